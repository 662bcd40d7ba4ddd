//! What an expression is made of.

use core::net::Ipv6Addr;

use crate::eth::Mac;

/// A protocol that qualifies a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proto {
    Default,
    Link,
    Ip,
    Ip6,
    Arp,
    Rarp,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
    Igmp,
    Igrp,
    Pim,
    Vrrp,
    Ah,
    Esp,
}

impl Proto {
    pub(super) fn of(word: &str) -> Option<Proto> {
        Some(match word {
            "link" | "ether" | "ppp" | "slip" | "fddi" | "tr" | "wlan" => Proto::Link,
            "ip" => Proto::Ip,
            "ip6" => Proto::Ip6,
            "arp" => Proto::Arp,
            "rarp" => Proto::Rarp,
            "tcp" => Proto::Tcp,
            "udp" => Proto::Udp,
            "sctp" => Proto::Sctp,
            "icmp" => Proto::Icmp,
            "icmp6" => Proto::Icmp6,
            "igmp" => Proto::Igmp,
            "igrp" => Proto::Igrp,
            "pim" => Proto::Pim,
            "vrrp" | "carp" => Proto::Vrrp,
            "ah" => Proto::Ah,
            "esp" => Proto::Esp,
            _ => return None,
        })
    }

    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Proto::Default | Proto::Link => "ether",
            Proto::Ip => "ip",
            Proto::Ip6 => "ip6",
            Proto::Arp => "arp",
            Proto::Rarp => "rarp",
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::Sctp => "sctp",
            Proto::Icmp => "icmp",
            Proto::Icmp6 => "icmp6",
            Proto::Igmp => "igmp",
            Proto::Igrp => "igrp",
            Proto::Pim => "pim",
            Proto::Vrrp => "vrrp",
            Proto::Ah => "ah",
            Proto::Esp => "esp",
        }
    }

    /// Its number in the IP header.
    pub(super) fn number(self) -> Option<u8> {
        Some(match self {
            Proto::Icmp => 1,
            Proto::Igmp => 2,
            Proto::Tcp => 6,
            Proto::Igrp => 9,
            Proto::Udp => 17,
            Proto::Esp => 50,
            Proto::Ah => 51,
            Proto::Icmp6 => 58,
            Proto::Pim => 103,
            Proto::Vrrp => 112,
            Proto::Sctp => 132,
            _ => return None,
        })
    }
}

/// A direction that qualifies a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    /// Either, by default.
    Default,
    Src,
    Dst,
    Or,
    And,
}

/// What kind of thing an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Default,
    Host,
    Net,
    Port,
    PortRange,
    Proto,
    ProtoChain,
    Gateway,
}

/// Qualifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quals {
    pub(super) proto: Proto,
    pub(super) dir: Dir,
    pub(super) ty: Type,
}

/// What stands behind qualifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    Number(u32),
    /// Value, bits, as written.
    Partial(u32, u32, String),
    /// With a prefix length.
    Prefix(u32, u32, String, u32),
    /// With a mask.
    Mask((u32, u32, String), (u32, u32, String)),
    V6(Ipv6Addr),
    V6Prefix(Ipv6Addr, u32),
    Mac(Mac),
    Name(String),
}

/// Arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arith {
    Number(u32),
    Length,
    Load(Proto, Box<Arith>, u32),
    Binary(&'static str, Box<Arith>, Box<Arith>),
    Negative(Box<Arith>),
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Id(Quals, Id),
    /// A protocol alone.
    Proto(Proto),
    Broadcast(Proto),
    Multicast(Proto),
    Less(u32),
    Greater(u32),
    /// `byte 12 = 5`
    Byte(u32, &'static str, u32),
    Inbound(bool),
    IfIndex(u32),
    Vlan(Option<u32>),
    Relation(Arith, &'static str, Arith),
}

impl Tree {
    pub(super) fn names(&self, out: &mut Vec<String>) {
        match self {
            Tree::And(a, b) | Tree::Or(a, b) => {
                a.names(out);
                b.names(out);
            }
            Tree::Not(a) => a.names(out),
            Tree::Id(q, Id::Name(name)) if matches!(q.ty, Type::Default | Type::Host) => {
                if q.proto != Proto::Link && !out.contains(name) {
                    out.push(name.clone());
                }
            }
            _ => {}
        }
    }
}
