//! ICMP for IPv4 (RFC 792, RFC 1191).

use crate::checksum::Sum;
use crate::frame::{Frame, be16, be32};
use crate::ip::{IpHeader, protocol};
use crate::slice::Payload;

/// Bytes of an ICMP header: type, code, checksum and four bytes that depend on the type.
pub const HEADER: usize = 8;

/// ICMP types.
pub mod kind {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// Codes of «destination unreachable».
pub mod unreachable {
    /// Network unreachable.
    pub const NETWORK: u8 = 0;
    /// Host unreachable.
    pub const HOST: u8 = 1;
    /// Protocol unreachable.
    pub const PROTOCOL: u8 = 2;
    /// Port unreachable.
    pub const PORT: u8 = 3;
    /// Fragmentation needed and DF set; the rest of the header holds the next hop's MTU.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Communication administratively prohibited (RFC 1812 §5.2.7.1).
    pub const ADMIN_PROHIBITED: u8 = 13;
}

/// An ICMP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Bytes 4 to 7: identifier and sequence number of an echo, the MTU of a «fragmentation
    /// needed».
    pub rest: u32,
}

impl Icmp {
    /// An echo request or reply.
    pub fn echo(kind: u8, ident: u16, seq: u16) -> Icmp {
        Icmp { kind, code: 0, rest: u32::from(ident) << 16 | u32::from(seq) }
    }

    /// Identifier of an echo.
    pub fn ident(&self) -> u16 {
        (self.rest >> 16) as u16
    }

    /// Sequence number of an echo.
    pub fn seq(&self) -> u16 {
        self.rest as u16
    }

    /// Whether it is an error message, about which no other error may be sent (RFC 1122 §3.2.2).
    pub fn is_error(&self) -> bool {
        matches!(
            self.kind,
            kind::UNREACHABLE | 4 | kind::REDIRECT | kind::TIME_EXCEEDED | kind::PARAMETER_PROBLEM
        )
    }

    /// The header of a parsed ICMP frame.
    pub fn of(frame: &Frame) -> Option<Icmp> {
        let t = frame.transport();
        (frame.protocol()? == protocol::ICMP && t.len() >= HEADER).then(|| Icmp {
            kind: t[0],
            code: t[1],
            rest: be32(t, 4),
        })
    }

    /// The message in a frame without MAC addresses.
    pub fn frame(&self, ip: &IpHeader, payload: Payload) -> Box<Frame> {
        let sum = payload.sum();
        let mut f = ip.frame(protocol::ICMP, HEADER, payload);
        let at = f.meta.layers.l4 as usize;
        let t = &mut f.head_mut()[at..];
        t[0] = self.kind;
        t[1] = self.code;
        t[4..8].copy_from_slice(&self.rest.to_be_bytes());
        let checksum = (Sum::of(t) + sum).checksum();
        t[2..4].copy_from_slice(&checksum.to_be_bytes());
        f.meta.flow = f.flow_key();
        f
    }
}

/// The checksum field of an ICMP header.
pub fn checksum(transport: &[u8]) -> u16 {
    be16(transport, 2)
}
