//! ARP for IPv4 over Ethernet (RFC 826, RFC 5227).

use core::net::Ipv4Addr;

use crate::WireError;
use crate::eth::{EtherType, Mac};
use crate::frame::Frame;
use crate::slice::Payload;

/// Bytes of an ARP packet for IPv4 over Ethernet.
pub const LEN: usize = 28;

/// An ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arp {
    /// 1 request, 2 reply; others exist (RFC 903) and are carried through.
    pub operation: u16,
    /// Sender hardware address.
    pub sender_mac: Mac,
    /// Sender protocol address.
    pub sender: Ipv4Addr,
    /// Target hardware address; zero in a request.
    pub target_mac: Mac,
    /// Target protocol address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Operation code of a request.
    pub const REQUEST: u16 = 1;
    /// Operation code of a reply.
    pub const REPLY: u16 = 2;

    /// Reads an ARP packet.
    pub fn parse(b: &[u8]) -> Result<Arp, WireError> {
        WireError::need("arp", LEN, b.len())?;
        let invalid = |what| Err(WireError::Invalid { layer: "arp", what });
        if b[0..4] != [0, 1, 8, 0] {
            return invalid("not IPv4 over Ethernet");
        }
        if b[4..6] != [6, 4] {
            return invalid("address lengths are not 6 and 4");
        }
        let mac = |at: usize| {
            let mut m = [0u8; 6];
            m.copy_from_slice(&b[at..at + 6]);
            Mac(m)
        };
        let ip = |at: usize| Ipv4Addr::new(b[at], b[at + 1], b[at + 2], b[at + 3]);
        Ok(Arp {
            operation: u16::from_be_bytes([b[6], b[7]]),
            sender_mac: mac(8),
            sender: ip(14),
            target_mac: mac(18),
            target: ip(24),
        })
    }

    /// The packet's bytes.
    pub fn bytes(&self) -> [u8; LEN] {
        let mut b = [0u8; LEN];
        b[0..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
        b[6..8].copy_from_slice(&self.operation.to_be_bytes());
        b[8..14].copy_from_slice(&self.sender_mac.0);
        b[14..18].copy_from_slice(&self.sender.octets());
        b[18..24].copy_from_slice(&self.target_mac.0);
        b[24..28].copy_from_slice(&self.target.octets());
        b
    }

    /// The packet in a frame from its sender to `to`.
    pub fn frame(&self, to: Mac) -> Box<Frame> {
        let mut f = Frame::raw(to, self.sender_mac, EtherType::ARP, &self.bytes(), Payload::new());
        f.parse().expect("a complete ARP packet parses");
        f.meta.verified = true;
        f
    }
}
