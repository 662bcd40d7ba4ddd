//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::WireError;
use crate::checksum::Sum;
use crate::eth::{self, EtherType};
use crate::frame::{Frame, Layers, Network, be16};
use crate::slice::Payload;

/// Bytes of an IPv4 header without options.
pub const V4_HEADER: usize = 20;
/// Bytes of the fixed IPv6 header.
pub const V6_HEADER: usize = 40;

/// IP protocol numbers (IANA).
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
}

/// One of the two addresses of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// What a host decides about a packet's IP header. Addresses must be of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// DSCP and ECN bits: the former TOS byte, or the traffic class.
    pub tos: u8,
    /// IPv4 identification (RFC 6864: matters only for fragments).
    pub id: u16,
    /// IPv4 «don't fragment».
    pub dont_fragment: bool,
}

impl IpHeader {
    /// A header with the defaults of a host: TTL 64, DF set, id 0.
    pub fn new(src: IpAddr, dst: IpAddr) -> IpHeader {
        IpHeader { src, dst, ttl: 64, tos: 0, id: 0, dont_fragment: true }
    }

    /// Bytes of the header.
    pub fn len(&self) -> usize {
        match self.dst {
            IpAddr::V4(_) => V4_HEADER,
            IpAddr::V6(_) => V6_HEADER,
        }
    }

    /// Never: a header has bytes.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// A frame with this IP header, `transport_len` zeroed bytes for a transport header and a
    /// payload. MAC addresses are zero until the neighbour is known.
    pub(crate) fn frame(&self, proto: u8, transport_len: usize, payload: Payload) -> Box<Frame> {
        let l4 = eth::HEADER + self.len();
        let total = transport_len + payload.len();
        debug_assert!(self.len() + total <= 65_535, "a packet longer than IP's length field");
        let mut f = Frame::blank(l4 + transport_len, payload);
        let network = match (self.src, self.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                write_v6(self, src, dst, proto, total, f.head_mut());
                Network::Ipv6
            }
            (src, dst) => {
                write_v4(self, v4(src), v4(dst), proto, total, f.head_mut());
                Network::Ipv4
            }
        };
        f.meta.layers = Layers {
            network,
            l3: eth::HEADER as u8,
            l4: l4 as u8,
            protocol: proto,
            fragment: false,
        };
        f.meta.verified = true;
        f
    }
}

/// The IPv4 address of `ip`; unspecified for an IPv6 address that maps none.
fn v4(ip: IpAddr) -> Ipv4Addr {
    match ip {
        IpAddr::V4(a) => a,
        IpAddr::V6(a) => a.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
    }
}

fn write_v4(h: &IpHeader, src: Ipv4Addr, dst: Ipv4Addr, proto: u8, total: usize, head: &mut [u8]) {
    head[12..14].copy_from_slice(&EtherType::IPV4.0.to_be_bytes());
    let b = &mut head[eth::HEADER..eth::HEADER + V4_HEADER];
    b[0] = 0x45;
    b[1] = h.tos;
    b[2..4].copy_from_slice(&((V4_HEADER + total) as u16).to_be_bytes());
    b[4..6].copy_from_slice(&h.id.to_be_bytes());
    b[6] = if h.dont_fragment { 0x40 } else { 0 };
    b[8] = h.ttl;
    b[9] = proto;
    b[12..16].copy_from_slice(&src.octets());
    b[16..20].copy_from_slice(&dst.octets());
    let sum = Sum::of(b).checksum();
    b[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn write_v6(h: &IpHeader, src: Ipv6Addr, dst: Ipv6Addr, proto: u8, total: usize, head: &mut [u8]) {
    head[12..14].copy_from_slice(&EtherType::IPV6.0.to_be_bytes());
    let b = &mut head[eth::HEADER..eth::HEADER + V6_HEADER];
    b[0] = 0x60 | h.tos >> 4;
    b[1] = h.tos << 4;
    b[4..6].copy_from_slice(&(total as u16).to_be_bytes());
    b[6] = proto;
    b[7] = h.ttl;
    b[8..24].copy_from_slice(&src.octets());
    b[24..40].copy_from_slice(&dst.octets());
}

/// The pseudo header's sum for a transport segment of `len` bytes.
pub fn pseudo_header(src: IpAddr, dst: IpAddr, proto: u8, len: usize) -> Sum {
    let addresses = match (src, dst) {
        (IpAddr::V6(a), IpAddr::V6(b)) => Sum::of(&a.octets()) + Sum::of(&b.octets()),
        (a, b) => Sum::long(v4(a).into()) + Sum::long(v4(b).into()),
    };
    addresses + Sum::word(proto.into()) + Sum::long(len as u32)
}

#[inline]
pub(crate) fn address_at(network: Network, b: &[u8], side: Side) -> Option<IpAddr> {
    match network {
        Network::Ipv4 => {
            let at = if side == Side::Source { 12 } else { 16 };
            let o: [u8; 4] = b.get(at..at + 4)?.try_into().ok()?;
            Some(IpAddr::V4(o.into()))
        }
        Network::Ipv6 => {
            let at = if side == Side::Source { 8 } else { 24 };
            let o: [u8; 16] = b.get(at..at + 16)?.try_into().ok()?;
            Some(IpAddr::V6(o.into()))
        }
        _ => None,
    }
}

/// What parsing an IP header found.
pub(crate) struct Parsed {
    pub(crate) network: Network,
    pub(crate) header_len: usize,
    pub(crate) payload_len: usize,
    pub(crate) protocol: u8,
    pub(crate) fragment: bool,
    pub(crate) later_fragment: bool,
}

/// Parses an IPv4 header in `b`, of a packet of which `total` bytes arrived.
pub(crate) fn parse_v4(b: &[u8], total: usize) -> Result<Parsed, WireError> {
    WireError::need("ipv4", V4_HEADER, b.len())?;
    let invalid = |what| Err(WireError::Invalid { layer: "ipv4", what });
    if b[0] >> 4 != 4 {
        return invalid("the version is not 4");
    }
    let header_len = usize::from(b[0] & 0x0f) * 4;
    if header_len < V4_HEADER {
        return invalid("the header length is below 20");
    }
    WireError::need("ipv4", header_len, b.len())?;
    let packet = usize::from(be16(b, 2));
    if packet < header_len {
        return invalid("the total length is below the header length");
    }
    if packet > total {
        return invalid("the total length is beyond the frame");
    }
    let flags = be16(b, 6);
    Ok(Parsed {
        network: Network::Ipv4,
        header_len,
        payload_len: packet - header_len,
        protocol: b[9],
        fragment: flags & 0x3fff != 0,
        later_fragment: flags & 0x1fff != 0,
    })
}

/// Parses an IPv6 header in `b`, of a packet of which `total` bytes arrived. Extension headers
/// are not walked: their number is reported as the protocol.
pub(crate) fn parse_v6(b: &[u8], total: usize) -> Result<Parsed, WireError> {
    WireError::need("ipv6", V6_HEADER, b.len())?;
    let invalid = |what| Err(WireError::Invalid { layer: "ipv6", what });
    if b[0] >> 4 != 6 {
        return invalid("the version is not 6");
    }
    let payload_len = usize::from(be16(b, 4));
    if V6_HEADER + payload_len > total {
        return invalid("the payload length is beyond the frame");
    }
    Ok(Parsed {
        network: Network::Ipv6,
        header_len: V6_HEADER,
        payload_len,
        protocol: b[6],
        fragment: b[6] == 44,
        later_fragment: false,
    })
}

impl Frame {
    /// Time to live or hop limit; 0 when the frame is not IP.
    pub fn ttl(&self) -> u8 {
        match self.meta.layers.network {
            Network::Ipv4 => self.network()[8],
            Network::Ipv6 => self.network()[7],
            _ => 0,
        }
    }

    /// The former TOS byte or the traffic class; 0 when the frame is not IP.
    pub fn tos(&self) -> u8 {
        match self.meta.layers.network {
            Network::Ipv4 => self.network()[1],
            Network::Ipv6 => self.network()[0] << 4 | self.network()[1] >> 4,
            _ => 0,
        }
    }

    /// Whether routers must not fragment the packet. Always so for IPv6.
    pub fn dont_fragment(&self) -> bool {
        match self.meta.layers.network {
            Network::Ipv4 => self.network()[6] & 0x40 != 0,
            _ => true,
        }
    }

    /// IPv4 identification; 0 otherwise.
    pub fn ip_id(&self) -> u16 {
        match self.meta.layers.network {
            Network::Ipv4 => be16(self.network(), 4),
            _ => 0,
        }
    }
}
