//! ICMP for IPv4 (RFC 792, RFC 1191), and what ICMP errors of both families quote.

use core::net::IpAddr;

use crate::checksum::Sum;
use crate::frame::{Frame, Network, be16, be32};
use crate::ip::{self, IpHeader, Side, protocol};
use crate::slice::{Payload, Slice};

/// Bytes of an ICMP header: type, code, checksum and four bytes that depend on the type.
pub const HEADER: usize = 8;

/// The longest IPv4 packet of an ICMP error message (RFC 1812 §4.3.2.3).
pub const ERROR_MAX: usize = 576;

/// ICMP types.
pub mod kind {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench, deprecated (RFC 6633).
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// Codes of «time exceeded».
pub mod time_exceeded {
    /// The time to live ran out on the way.
    pub const TRANSIT: u8 = 0;
    /// Not all fragments came in time.
    pub const REASSEMBLY: u8 = 1;
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
            kind::UNREACHABLE
                | kind::SOURCE_QUENCH
                | kind::REDIRECT
                | kind::TIME_EXCEEDED
                | kind::PARAMETER_PROBLEM
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

/// An ICMP error about `offending`, in a frame without MAC addresses. It quotes the packet from its
/// IP header on, as it stands now, as far as the error stays within [`ERROR_MAX`] bytes (RFC 1812
/// §4.3.2.3); nothing when `offending` is not a parsed IP packet. `rest` are the header's bytes 4
/// to 7: the next hop's MTU of «fragmentation needed» (RFC 1191 §4), the gateway of a redirect.
///
/// Whether an error may be sent at all (RFC 1122 §3.2.2) is for the caller to decide.
pub fn error(ip: &IpHeader, kind: u8, code: u8, rest: u32, offending: &Frame) -> Box<Frame> {
    Icmp { kind, code, rest }.frame(ip, quote(offending, ERROR_MAX - ip.len() - HEADER))
}

/// The first `max` bytes of a frame's IP packet; the payload is shared, not copied.
fn quote(frame: &Frame, max: usize) -> Payload {
    let mut quoted = Payload::new();
    if matches!(frame.meta.layers.network, Network::Ipv4 | Network::Ipv6) {
        quoted.push(Slice::copy_from(frame.network()));
        for s in frame.payload().slices() {
            quoted.push(s.clone());
        }
        quoted.truncate(max);
    }
    quoted
}

/// What an ICMP error says about the packet that caused it, so that the error finds its connection
/// (RFC 1122 §3.2.2, RFC 5927 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source address of the quoted packet: the receiver of the error, unless there is NAT between.
    pub src: IpAddr,
    /// Destination address of the quoted packet.
    pub dst: IpAddr,
    /// Its IP protocol number.
    pub protocol: u8,
    /// Source port of TCP and UDP, identifier of an ICMP echo, 0 otherwise.
    pub src_port: u16,
    /// Destination port of TCP and UDP, 0 otherwise.
    pub dst_port: u16,
    /// Sequence number of a TCP segment or an ICMP echo, 0 otherwise.
    pub seq: u32,
}

impl Quoted {
    /// Reads the quoted packet in `b`, the bytes behind the ICMP header of an error. Lengths within
    /// the quoted packet are those of the whole packet and are not checked; `None` when there is no
    /// IP header, or less of a TCP, UDP or ICMP header than the eight bytes that every error must
    /// quote (RFC 792). A later fragment has no ports: they are 0.
    pub fn parse(b: &[u8]) -> Option<Quoted> {
        let (network, header, protocol, later_fragment) = match b.first()? >> 4 {
            4 if b.len() >= ip::V4_HEADER => {
                let header = usize::from(b[0] & 0x0f) * 4;
                (Network::Ipv4, header, b[9], be16(b, 6) & 0x1fff != 0)
            }
            6 if b.len() >= ip::V6_HEADER => (Network::Ipv6, ip::V6_HEADER, b[6], false),
            _ => return None,
        };
        if network == Network::Ipv4 && header < ip::V4_HEADER {
            return None;
        }
        let src = ip::address_at(network, b, Side::Source)?;
        let dst = ip::address_at(network, b, Side::Destination)?;
        let bare = Quoted { src, dst, protocol, src_port: 0, dst_port: 0, seq: 0 };
        if later_fragment {
            return Some(bare);
        }
        bare.with_transport(b.get(header..)?)
    }

    fn with_transport(self, t: &[u8]) -> Option<Quoted> {
        match self.protocol {
            protocol::TCP | protocol::UDP | protocol::ICMP | protocol::ICMPV6 if t.len() < 8 => {
                None
            }
            protocol::TCP => {
                Some(Quoted { src_port: be16(t, 0), dst_port: be16(t, 2), seq: be32(t, 4), ..self })
            }
            protocol::UDP => Some(Quoted { src_port: be16(t, 0), dst_port: be16(t, 2), ..self }),
            protocol::ICMP | protocol::ICMPV6 if is_echo(self.protocol, t[0]) => {
                Some(Quoted { src_port: be16(t, 4), seq: be16(t, 6).into(), ..self })
            }
            _ => Some(self),
        }
    }
}

pub(crate) fn is_echo(protocol: u8, kind: u8) -> bool {
    match protocol {
        protocol::ICMP => matches!(kind, kind::ECHO_REQUEST | kind::ECHO_REPLY),
        // RFC 4443 §4.
        _ => matches!(kind, 128 | 129),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::{TcpFlags, TcpHeader, TcpOptions};
    use crate::udp;

    fn v4(a: u8, b: u8) -> IpHeader {
        IpHeader::new(IpAddr::from([10, 0, 0, a]), IpAddr::from([10, 0, 0, b]))
    }

    fn segment(len: usize) -> Box<Frame> {
        TcpHeader {
            src_port: 4000,
            dst_port: 80,
            seq: 0xdead_beef,
            flags: TcpFlags::PSH | TcpFlags::ACK,
            ..TcpHeader::default()
        }
        .frame(&v4(1, 2), &TcpOptions::new(), Payload::copy_from(&vec![7; len]))
    }

    fn reparsed(frame: &Frame) -> Box<Frame> {
        let mut back = Frame::from_bytes(&frame.to_vec());
        back.verify().expect("its checksums are right");
        back
    }

    #[test]
    fn an_error_quotes_as_much_as_fits() {
        for (payload, total) in [(0, 20 + 8 + 40), (507, 575), (508, 576), (509, 576), (1460, 576)]
        {
            let f = error(&v4(9, 1), kind::TIME_EXCEEDED, 0, 0, &segment(payload));
            assert_eq!(f.ip_len(), total, "quoting {payload} bytes of payload");
            let back = reparsed(&f);
            assert_eq!(back.ip_len(), total);
            let quoted = Quoted::parse(&back.payload().to_vec()).expect("a whole header is quoted");
            assert_eq!((quoted.src_port, quoted.dst_port, quoted.seq), (4000, 80, 0xdead_beef));
            assert_eq!(quoted.src, IpAddr::from([10, 0, 0, 1]));
            assert_eq!((quoted.dst, quoted.protocol), (IpAddr::from([10, 0, 0, 2]), 6));
        }
    }

    #[test]
    fn the_rest_of_the_header_carries_the_mtu() {
        let code = unreachable::FRAGMENTATION_NEEDED;
        let f = error(&v4(9, 1), kind::UNREACHABLE, code, 1400, &segment(1460));
        let icmp = Icmp::of(&reparsed(&f)).expect("it is ICMP");
        assert_eq!(icmp, Icmp { kind: 3, code: 4, rest: 1400 });
        assert!(icmp.is_error());
    }

    #[test]
    fn quotes_of_udp_echo_and_other_protocols() {
        let datagram = udp::frame(&v4(1, 2), 5353, 53, Payload::copy_from(b"query"));
        let q = Quoted::parse(datagram.network()).expect("UDP");
        assert_eq!((q.protocol, q.src_port, q.dst_port, q.seq), (17, 5353, 53, 0));
        let echo = Icmp::echo(kind::ECHO_REQUEST, 77, 3).frame(&v4(1, 2), Payload::new());
        let q = Quoted::parse(echo.network()).expect("ICMP");
        assert_eq!((q.protocol, q.src_port, q.dst_port, q.seq), (1, 77, 0, 3));
        let other = v4(1, 2).frame(47, 0, Payload::new());
        let q = Quoted::parse(other.network()).expect("GRE without a body");
        assert_eq!((q.protocol, q.src_port, q.dst_port), (47, 0, 0));
    }

    #[test]
    fn a_quote_too_short_is_none() {
        let whole = segment(0).network().to_vec();
        for len in 0..28 {
            assert_eq!(Quoted::parse(&whole[..len]), None, "{len} bytes");
        }
        assert!(Quoted::parse(&whole[..28]).is_some());
        let mut later = whole.clone();
        later[7] = 1;
        let q = Quoted::parse(&later[..20]).expect("a later fragment needs no more");
        assert_eq!((q.src_port, q.dst_port, q.seq), (0, 0, 0));
    }
}
