//! The smallest parts of the binary form: numbers, texts, options, addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::DecodeError;

pub(super) fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(super) fn bytes(out: &mut Vec<u8>, b: &[u8]) {
    number(out, b.len() as u64);
    out.extend_from_slice(b);
}

pub(super) fn option(out: &mut Vec<u8>, b: Option<&[u8]>) {
    present(out, b, bytes);
}

/// Whether there is a value, and the value.
pub(super) fn present<T>(out: &mut Vec<u8>, value: Option<T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

pub(super) fn socket_address(out: &mut Vec<u8>, a: SocketAddr) {
    address(out, a.ip());
    number(out, u64::from(a.port()));
}

pub(super) fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
}

/// Why bytes cannot be read.
pub(super) enum Fault {
    /// The bytes end too early.
    End,
    Bad(&'static str),
    /// An entry of a kind, or a command, that this build does not know.
    Unknown(&'static str, u8),
}

impl Fault {
    pub(super) fn at(self, offset: usize) -> DecodeError {
        match self {
            Fault::End => DecodeError::Cut { offset },
            Fault::Bad(what) => DecodeError::Damaged { offset, what },
            Fault::Unknown(what, kind) => DecodeError::Unknown { offset, what, kind },
        }
    }
}

pub(super) fn utf8(b: &[u8]) -> Result<String, Fault> {
    std::str::from_utf8(b).map(str::to_owned).map_err(|_| Fault::Bad("a text is not UTF-8"))
}

/// What is left to be read.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Fault::End)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.take(1).map(|b| b[0])
    }

    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            let part = u64::from(b & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            n |= part << shift;
            if b & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Fault::Bad("a number is larger than 64 bits"))
    }

    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Fault> {
        T::try_from(self.number()?).map_err(|_| Fault::Bad("a number is too large for its field"))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault::Bad("a flag is neither 0 nor 1")),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let n = self.number()?;
        self.take(usize::try_from(n).map_err(|_| Fault::End)?)
    }

    pub(super) fn text(&mut self) -> Result<String, Fault> {
        utf8(self.bytes()?)
    }

    pub(super) fn option(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        if self.flag()? { self.bytes().map(Some) } else { Ok(None) }
    }

    pub(super) fn socket_address(&mut self) -> Result<SocketAddr, Fault> {
        Ok(SocketAddr::new(self.address()?, self.small()?))
    }

    pub(super) fn address(&mut self) -> Result<IpAddr, Fault> {
        match self.byte()? {
            4 => {
                let b: [u8; 4] = self.take(4)?.try_into().map_err(|_| Fault::End)?;
                Ok(IpAddr::V4(Ipv4Addr::from(b)))
            }
            6 => {
                let b: [u8; 16] = self.take(16)?.try_into().map_err(|_| Fault::End)?;
                Ok(IpAddr::V6(Ipv6Addr::from(b)))
            }
            _ => Err(Fault::Bad("an address of unknown family")),
        }
    }
}
