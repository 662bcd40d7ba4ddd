//! The conditions that an expression becomes, and how a packet is asked.
//!
//! `None` means that a condition looked behind the captured bytes: the packet is rejected, whatever
//! stands around the condition.

use super::{LinkType, View, Way};

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// So many bytes from the packet's start.
    Start(usize),
    /// Behind an IPv4 header that begins at `net`, and so many bytes more.
    Behind { net: usize, offset: usize },
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Never,
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
    /// The value of `size` bytes at `at`, masked, lies between.
    Field {
        at: At,
        size: u8,
        mask: u32,
        least: u32,
        most: u32,
    },
    Len {
        least: usize,
        most: usize,
    },
    Out,
    IfIndex(u32),
    Relation(Num, &'static str, Num),
}

/// Arithmetic on 32-bit numbers.
#[derive(Clone, Debug)]
pub(super) enum Num {
    Number(u32),
    Len,
    /// `size` bytes at an index from a place.
    Load {
        from: At,
        index: Box<Num>,
        size: u8,
    },
    Binary(&'static str, Box<Num>, Box<Num>),
    Negative(Box<Num>),
}

impl Test {
    pub(super) fn and(self, other: Test) -> Test {
        Test::And(Box::new(self), Box::new(other))
    }

    pub(super) fn or(self, other: Test) -> Test {
        Test::Or(Box::new(self), Box::new(other))
    }

    /// `None`: the captured bytes end before what was asked for.
    pub(super) fn ask(&self, packet: &View<'_>, link: LinkType) -> Option<bool> {
        Some(match self {
            Test::Never => false,
            Test::And(a, b) => a.ask(packet, link)? && b.ask(packet, link)?,
            Test::Or(a, b) => a.ask(packet, link)? || b.ask(packet, link)?,
            Test::Not(a) => !a.ask(packet, link)?,
            Test::Field { at, size, mask, least, most } => {
                let value = load(packet.bytes, at.position(packet.bytes)?, *size)? & mask;
                (*least..=*most).contains(&value)
            }
            Test::Len { least, most } => (*least..=*most).contains(&packet.len),
            Test::Out => match link {
                LinkType::Cooked => load(packet.bytes, 0, 2)? == 4,
                LinkType::Cooked2 => load(packet.bytes, 10, 1)? == 4,
                _ => packet.way == Way::Out,
            },
            Test::IfIndex(wanted) => match (link, packet.ifindex) {
                (LinkType::Cooked2, _) => load(packet.bytes, 4, 4)? == *wanted,
                (_, index) => index == Some(*wanted),
            },
            Test::Relation(a, sign, b) => {
                let (a, b) = (a.value(packet)?, b.value(packet)?);
                match *sign {
                    "=" => a == b,
                    "!=" => a != b,
                    "<" => a < b,
                    ">" => a > b,
                    "<=" => a <= b,
                    _ => a >= b,
                }
            }
        })
    }
}

impl At {
    fn position(self, bytes: &[u8]) -> Option<usize> {
        match self {
            At::Start(at) => Some(at),
            At::Behind { net, offset } => {
                Some(net + usize::from(*bytes.get(net)? & 0x0f) * 4 + offset)
            }
        }
    }
}

impl Num {
    fn value(&self, packet: &View<'_>) -> Option<u32> {
        Some(match self {
            Num::Number(n) => *n,
            Num::Len => u32::try_from(packet.len).unwrap_or(u32::MAX),
            Num::Load { from, index, size } => {
                let index = index.value(packet)? as usize;
                load(packet.bytes, from.position(packet.bytes)?.checked_add(index)?, *size)?
            }
            Num::Negative(n) => n.value(packet)?.wrapping_neg(),
            Num::Binary(sign, a, b) => {
                let (a, b) = (a.value(packet)?, b.value(packet)?);
                match *sign {
                    "+" => a.wrapping_add(b),
                    "-" => a.wrapping_sub(b),
                    "*" => a.wrapping_mul(b),
                    // As in BPF, dividing by zero rejects the packet.
                    "/" => a.checked_div(b)?,
                    "%" => a.checked_rem(b)?,
                    "&" => a & b,
                    "|" => a | b,
                    "^" => a ^ b,
                    "<<" => a.checked_shl(b).unwrap_or(0),
                    _ => a.checked_shr(b).unwrap_or(0),
                }
            }
        })
    }
}

/// A number of 1, 2 or 4 bytes in network order.
fn load(bytes: &[u8], at: usize, size: u8) -> Option<u32> {
    let end = at.checked_add(size.into())?;
    Some(bytes.get(at..end)?.iter().fold(0, |v, b| v << 8 | u32::from(*b)))
}
