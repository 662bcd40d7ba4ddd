//! Tuples: the key of a flow in one direction.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::hash::Hasher;

use netarium_base::FlowId;
use netarium_base::map::QuickHasher;
use netarium_wire::frame::flow_id;
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Frame, Network, protocol};

/// The end points of a flow as they stand in the packets of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port; the identifier of an ICMP request; else 0.
    pub sport: u16,
    /// Destination port; the identifier of an ICMP reply; else 0.
    pub dport: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// ICMP type of a request or reply; else 0. It tells the two directions of a ping between
    /// the same two hosts apart from a ping the other way round.
    pub icmp: u8,
}

impl Tuple {
    /// The tuple of a whole packet. `None` for what has none: other frames, malformed transport
    /// headers, ICMP that is neither a request nor a reply.
    #[inline(always)]
    pub(crate) fn of(frame: &Frame) -> Option<Tuple> {
        let (src, dst) = (frame.src_ip()?, frame.dst_ip()?);
        Tuple::with_transport(src, dst, frame.protocol()?, frame.transport())
    }

    #[inline(always)]
    fn with_transport(src: IpAddr, dst: IpAddr, proto: u8, t: &[u8]) -> Option<Tuple> {
        let word = |at: usize| Some(u16::from_be_bytes([*t.get(at)?, *t.get(at + 1)?]));
        let mut tuple = Tuple { src, dst, sport: 0, dport: 0, protocol: proto, icmp: 0 };
        match proto {
            protocol::TCP | protocol::UDP => {
                (tuple.sport, tuple.dport) = (word(0)?, word(2)?);
            }
            protocol::ICMP | protocol::ICMPV6 => {
                tuple.icmp = *t.first()?;
                let ident = word(4)?;
                match query_side(proto, tuple.icmp)? {
                    QuerySide::Request => tuple.sport = ident,
                    QuerySide::Reply => tuple.dport = ident,
                }
            }
            _ => {}
        }
        Some(tuple)
    }

    /// The tuple of an answer.
    pub(crate) fn inverse(&self) -> Tuple {
        Tuple {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            protocol: self.protocol,
            icmp: if self.is_icmp() { opposite(self.protocol, self.icmp) } else { 0 },
        }
    }

    /// Address and port (identifier) of the sender.
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(self.src, self.sport)
    }

    /// Address and port (identifier) of the receiver.
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.dst, self.dport)
    }

    /// The id of the conversation in trace events.
    pub fn flow(&self) -> FlowId {
        // The wire crate's flow ids know the ports of TCP and UDP only.
        let ports = if self.is_icmp() { (0, 0) } else { (self.sport, self.dport) };
        flow_id(self.protocol, (self.src, ports.0), (self.dst, ports.1))
    }

    pub(crate) fn is_icmp(&self) -> bool {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
    }

    /// Whether this is an ICMP request, whose identifier stands on the source side.
    pub(crate) fn is_icmp_request(&self) -> bool {
        query_side(self.protocol, self.icmp) == Some(QuerySide::Request)
    }

    #[inline]
    pub(crate) fn hash(&self, key: u64) -> u64 {
        let mut h = QuickHasher::default();
        h.write_u64(key);
        match (self.src, self.dst) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                h.write_u64(u64::from(u32::from(a)) << 32 | u64::from(u32::from(b)));
            }
            (a, b) => {
                for ip in [a, b] {
                    let bits = u128::from(v6_bits(ip));
                    h.write_u64((bits >> 64) as u64);
                    h.write_u64(bits as u64);
                }
            }
        }
        h.write_u64(
            u64::from(self.sport) << 32
                | u64::from(self.dport) << 16
                | u64::from(self.protocol) << 8
                | u64::from(self.icmp),
        );
        h.finish()
    }
}

pub(crate) fn v6_bits(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(a) => a.to_ipv6_mapped(),
        IpAddr::V6(a) => a,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum QuerySide {
    Request,
    Reply,
}

/// RFC 792 and RFC 4443 §4: echo; RFC 792: timestamp, information; RFC 950: address mask.
fn query_side(proto: u8, icmp: u8) -> Option<QuerySide> {
    match (proto, icmp) {
        (protocol::ICMP, 8 | 13 | 15 | 17) | (protocol::ICMPV6, 128) => Some(QuerySide::Request),
        (protocol::ICMP, 0 | 14 | 16 | 18) | (protocol::ICMPV6, 129) => Some(QuerySide::Reply),
        _ => None,
    }
}

fn opposite(proto: u8, icmp: u8) -> u8 {
    match (proto, icmp) {
        (protocol::ICMP, kind::ECHO_REQUEST) => kind::ECHO_REPLY,
        (protocol::ICMP, kind::ECHO_REPLY) => kind::ECHO_REQUEST,
        (protocol::ICMP, 13 | 15 | 17) => icmp + 1,
        (protocol::ICMP, 14 | 16 | 18) => icmp - 1,
        (protocol::ICMPV6, 128) => 129,
        (protocol::ICMPV6, 129) => 128,
        _ => icmp,
    }
}

/// The ICMP or ICMPv6 header of a packet.
pub(crate) fn icmp_of(frame: &Frame) -> Option<Icmp> {
    let t = frame.transport();
    let icmp = matches!(frame.protocol()?, protocol::ICMP | protocol::ICMPV6) && t.len() >= 8;
    icmp.then(|| Icmp {
        kind: t[0],
        code: t[1],
        rest: u32::from_be_bytes([t[4], t[5], t[6], t[7]]),
    })
}

/// Whether the packet is an ICMP error that quotes another packet. A redirect (type 5) counts:
/// it quotes one, too.
pub(crate) fn is_icmp_error(frame: &Frame) -> bool {
    let Some(icmp) = icmp_of(frame) else { return false };
    match frame.meta.layers.network {
        Network::Ipv6 => icmp.kind < 128,
        _ => icmp.is_error(),
    }
}

/// Whether the packet is neighbour discovery (RFC 4861), which IPv6 needs as IPv4 needs ARP: like
/// ARP it never meets the filter.
pub(crate) fn is_neighbour_discovery(frame: &Frame) -> bool {
    frame.meta.layers.network == Network::Ipv6
        && frame.protocol() == Some(protocol::ICMPV6)
        && frame.transport().first().is_some_and(|kind| (133..=137).contains(kind))
}

/// The packet that an ICMP error quotes, as far as it is quoted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted {
    pub(crate) tuple: Tuple,
    /// Where the quoted transport header begins in the payload of the error.
    pub(crate) l4: usize,
}

impl Quoted {
    /// Reads the quotation of an ICMP error. `None` when it is too short, a later fragment, or
    /// itself an ICMP error.
    pub(crate) fn of(frame: &Frame) -> Option<Quoted> {
        let b = frame.payload().prefix(60 + 8);
        let v6 = frame.meta.layers.network == Network::Ipv6;
        let (src, dst, proto, l4) = if v6 { quoted_v6(&b)? } else { quoted_v4(&b)? };
        let tuple = Tuple::with_transport(src, dst, proto, b.get(l4..)?)?;
        Some(Quoted { tuple, l4 })
    }
}

fn quoted_v4(b: &[u8]) -> Option<(IpAddr, IpAddr, u8, usize)> {
    let header = b.get(..20)?;
    let l4 = usize::from(header[0] & 0x0f) * 4;
    let whole = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
    let address = |at: usize| -> IpAddr {
        Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
    };
    (header[0] >> 4 == 4 && l4 >= 20 && whole).then(|| (address(12), address(16), header[9], l4))
}

fn quoted_v6(b: &[u8]) -> Option<(IpAddr, IpAddr, u8, usize)> {
    let header = b.get(..40)?;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = header[at..at + 16].try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    if header[0] >> 4 != 6 {
        return None;
    }
    Some((address(8)?, address(24)?, header[6], 40))
}
