//! The frame: an inline head of headers, a shared payload, and what is known about both.
//!
//! A frame's headers stand in an inline array, so that forwarding and NAT rewrite them in place;
//! its payload is a rope of shared slices that nobody copies between the sending and the receiving
//! program. [`Meta`] carries what was found out once: header offsets, that the checksums are right,
//! the causes, the conntrack entry. Whoever changes bytes behind the metadata's back (a corrupting
//! link) calls [`Frame::invalidate`].

use core::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use netarium_base::{Cause, FlowId, name_hash};

use crate::checksum::Sum;
use crate::eth::{self, EtherType, Mac};
use crate::ip;
use crate::slice::{Payload, Slice};
use crate::tcp;
use crate::udp;
use crate::{WireError, icmp};

/// Room for headers: Ethernet with a VLAN tag (18) + IPv4 with all options (60) + TCP with all
/// options (60), rounded up.
pub const HEAD_MAX: usize = 144;

/// A complete Ethernet frame, from the destination MAC to the end of the payload, without preamble
/// and frame check sequence.
#[derive(Clone, Debug)]
pub struct Frame {
    head: [u8; HEAD_MAX],
    head_len: u8,
    payload: Payload,
    /// What is known about the bytes and where they come from.
    pub meta: Meta,
}

/// What is known about a frame without looking at its bytes again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meta {
    /// The event that made the frame, updated at each hop.
    pub cause: Cause,
    /// The conversation, as it stands in the packet now.
    pub flow: FlowId,
    /// Where the headers are; `Network::Unparsed` until [`Frame::parse`] succeeded.
    pub layers: Layers,
    /// All checksums are known to be right.
    pub verified: bool,
    /// The handle of connection tracking on the present host, with the direction in bit 31.
    pub conntrack: Option<NonZeroU32>,
}

/// Where the headers of a frame are. Offsets count from the destination MAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// What the Ethernet header announces.
    pub network: Network,
    /// Offset of the ARP, IPv4 or IPv6 header.
    pub l3: u8,
    /// Offset of the TCP, UDP or ICMP header; equal to the head's length for other protocols.
    pub l4: u8,
    /// IP protocol or last IPv6 next-header number.
    pub protocol: u8,
    /// The packet is a fragment (more fragments follow, or its offset is not 0). Only the first
    /// fragment's transport header is parsed.
    pub fragment: bool,
}

/// The network layer of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nobody looked yet, or what was found is malformed.
    #[default]
    Unparsed,
    /// ARP.
    Arp,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Something else.
    Other,
}

impl Frame {
    /// A frame of a header, `rest` of the head and a payload. Layers are not parsed yet.
    ///
    /// # Panics
    /// When `rest` is longer than [`HEAD_MAX`] − 14.
    pub fn raw(dst: Mac, src: Mac, ty: EtherType, rest: &[u8], payload: Payload) -> Box<Frame> {
        let mut f = Frame::blank(eth::HEADER + rest.len(), payload);
        f.set_macs(dst, src);
        f.head[12..14].copy_from_slice(&ty.0.to_be_bytes());
        f.head[eth::HEADER..eth::HEADER + rest.len()].copy_from_slice(rest);
        f
    }

    /// A frame with a zeroed head of `head_len` bytes, to be filled by a protocol module.
    pub(crate) fn blank(head_len: usize, payload: Payload) -> Box<Frame> {
        assert!(head_len <= HEAD_MAX, "headers longer than any protocol's");
        Box::new(Frame {
            head: [0; HEAD_MAX],
            head_len: head_len as u8,
            payload,
            meta: Meta::default(),
        })
    }

    /// A frame from bytes off a wire. Malformed bytes make a frame too; [`Frame::parse`] says what
    /// is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Box<Frame> {
        let first = &bytes[..bytes.len().min(HEAD_MAX)];
        let Ok(found) = find_layers(first, bytes.len()) else {
            return Frame::cut(first, &bytes[first.len()..]);
        };
        let (head, body) = bytes.split_at(found.head_len);
        let mut f = Frame::cut(head, &body[..found.payload_len.unwrap_or(body.len())]);
        f.meta.layers = found.layers;
        f.meta.flow = f.flow_key();
        f
    }

    /// A frame whose headers and payload are apart already, without copying the payload. Its layers
    /// are known when `head` holds exactly the headers; otherwise [`Frame::parse`] sorts it out.
    ///
    /// # Panics
    /// When `head` is longer than [`HEAD_MAX`].
    pub fn from_parts(head: &[u8], payload: Payload) -> Box<Frame> {
        let mut f = Frame::blank(head.len(), payload);
        f.head_mut().copy_from_slice(head);
        if let Ok(found) = find_layers(head, f.len())
            && found.head_len == head.len()
        {
            f.payload.truncate(found.payload_len.unwrap_or(usize::MAX));
            f.meta.layers = found.layers;
            f.meta.flow = f.flow_key();
        }
        f
    }

    fn cut(head: &[u8], payload: &[u8]) -> Box<Frame> {
        let mut f = Frame::blank(head.len(), Payload::copy_from(payload));
        f.head_mut().copy_from_slice(head);
        f
    }

    /// Forgets everything known about the bytes: they were changed, or are not trusted.
    pub fn invalidate(&mut self) {
        self.meta.layers = Layers::default();
        self.meta.verified = false;
        self.meta.conntrack = None;
    }

    /// Finds the headers and checks lengths (not checksums: see [`Frame::verify`]). Afterwards the
    /// head holds exactly the headers, and the payload what follows them, without padding.
    pub fn parse(&mut self) -> Result<(), WireError> {
        if self.meta.layers.network != Network::Unparsed {
            return Ok(());
        }
        self.gather_head();
        let found = find_layers(&self.head[..self.head_len as usize], self.len())?;
        self.split_head_at(found.head_len);
        if let Some(len) = found.payload_len {
            self.payload.truncate(len);
        }
        self.meta.layers = found.layers;
        self.meta.flow = self.flow_key();
        Ok(())
    }

    /// Moves payload bytes into the head until it is full or nothing is left.
    fn gather_head(&mut self) {
        let have = self.head_len as usize;
        let more = self.payload.prefix(HEAD_MAX - have);
        self.head[have..have + more.len()].copy_from_slice(&more);
        self.payload.advance(more.len());
        self.head_len += more.len() as u8;
    }

    /// Moves what the head holds beyond `at` to the front of the payload.
    fn split_head_at(&mut self, at: usize) {
        let old = std::mem::take(&mut self.payload);
        self.payload.push(Slice::copy_from(&self.head[at..self.head_len as usize]));
        for s in old.into_slices() {
            self.payload.push(s);
        }
        self.head[at..].fill(0);
        self.head_len = at as u8;
    }

    /// Whether all checksums are right. Looks at bytes only when it is not known yet. Fragments
    /// are checked at the IP layer only. A frame that does not parse has none that could be wrong.
    #[inline]
    pub fn verify(&mut self) -> Result<(), ChecksumError> {
        if self.meta.verified { Ok(()) } else { self.verify_bytes() }
    }

    fn verify_bytes(&mut self) -> Result<(), ChecksumError> {
        if self.parse().is_err() {
            return Ok(());
        }
        if self.meta.layers.network == Network::Ipv4
            && !Sum::of(&self.head[self.l3()..self.ip_header_end()]).is_valid()
        {
            return Err(ChecksumError::Ip);
        }
        if !self.meta.layers.fragment && !self.transport_checksum_is_right() {
            return Err(ChecksumError::Transport);
        }
        self.meta.verified = true;
        Ok(())
    }

    fn transport_checksum_is_right(&self) -> bool {
        let body = || Sum::of(self.transport()) + self.payload.sum();
        match (self.meta.layers.network, self.meta.layers.protocol) {
            (Network::Ipv4, ip::protocol::ICMP) => body().is_valid(),
            (Network::Ipv4 | Network::Ipv6, ip::protocol::UDP) => self.udp_checksum_is_right(),
            (Network::Ipv4 | Network::Ipv6, ip::protocol::TCP)
            | (Network::Ipv6, ip::protocol::ICMPV6) => {
                let len = self.transport().len() + self.payload.len();
                (self.pseudo_header_sum(len) + body()).is_valid()
            }
            _ => true,
        }
    }

    fn udp_checksum_is_right(&self) -> bool {
        let header = self.transport();
        if header[6..8] == [0, 0] {
            // RFC 768: none was sent. RFC 8200 §8.1: which IPv6 does not allow.
            return self.meta.layers.network == Network::Ipv4;
        }
        let data = udp::data_len(self).unwrap_or(0);
        let payload = if data == self.payload.len() {
            self.payload.sum()
        } else {
            let mut cut = self.payload.clone();
            cut.truncate(data);
            cut.sum()
        };
        (self.pseudo_header_sum(udp::HEADER + data) + Sum::of(header) + payload).is_valid()
    }

    /// The sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1) of a transport packet of `len`
    /// bytes; zero without addresses.
    fn pseudo_header_sum(&self, len: usize) -> Sum {
        let (Some(src), Some(dst)) = (self.src_ip(), self.dst_ip()) else { return Sum::ZERO };
        ip::pseudo_header(src, dst, self.meta.layers.protocol, len)
    }

    /// Bytes of the frame.
    #[inline]
    pub fn len(&self) -> usize {
        self.head_len as usize + self.payload.len()
    }

    /// Whether the frame has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The headers.
    #[inline]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_len as usize]
    }

    #[inline]
    pub(crate) fn head_mut(&mut self) -> &mut [u8] {
        &mut self.head[..self.head_len as usize]
    }

    /// What follows the headers.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Takes the payload out, leaving the headers.
    pub fn take_payload(&mut self) -> Payload {
        std::mem::take(&mut self.payload)
    }

    /// Appends all bytes to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head());
        self.payload.write_to(out);
    }

    /// All bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut v = Vec::with_capacity(self.len());
        self.write_to(&mut v);
        v
    }

    /// Destination MAC; zero when the frame is shorter than that.
    pub fn dst_mac(&self) -> Mac {
        Mac(std::array::from_fn(|i| self.head[i]))
    }

    /// Source MAC; zero when the frame is shorter than that.
    pub fn src_mac(&self) -> Mac {
        Mac(std::array::from_fn(|i| self.head[6 + i]))
    }

    /// Writes both MAC addresses.
    pub fn set_macs(&mut self, dst: Mac, src: Mac) {
        self.head[0..6].copy_from_slice(&dst.0);
        self.head[6..12].copy_from_slice(&src.0);
    }

    #[inline]
    pub(crate) fn l3(&self) -> usize {
        self.meta.layers.l3 as usize
    }

    fn ip_header_end(&self) -> usize {
        match self.meta.layers.network {
            Network::Ipv4 => self.l3() + usize::from(self.head[self.l3()] & 0x0f) * 4,
            _ => self.meta.layers.l4 as usize,
        }
    }

    /// The network header and everything of the head behind it; empty when not parsed.
    #[inline]
    pub fn network(&self) -> &[u8] {
        match self.meta.layers.network {
            Network::Unparsed => &[],
            _ => &self.head()[self.l3()..],
        }
    }

    /// The transport header; empty when there is none.
    #[inline]
    pub fn transport(&self) -> &[u8] {
        match self.meta.layers.network {
            Network::Ipv4 | Network::Ipv6 => &self.head()[self.meta.layers.l4 as usize..],
            _ => &[],
        }
    }

    /// Bytes of the IP packet: from the IP header to the end of the payload; 0 for other frames.
    #[inline]
    pub fn ip_len(&self) -> usize {
        match self.meta.layers.network {
            Network::Ipv4 | Network::Ipv6 => self.len() - self.l3(),
            _ => 0,
        }
    }

    /// Source address of an IP packet.
    #[inline]
    pub fn src_ip(&self) -> Option<IpAddr> {
        ip::address_at(self.meta.layers.network, self.network(), ip::Side::Source)
    }

    /// Destination address of an IP packet.
    #[inline]
    pub fn dst_ip(&self) -> Option<IpAddr> {
        ip::address_at(self.meta.layers.network, self.network(), ip::Side::Destination)
    }

    /// IP protocol number; `None` when the frame is not IP.
    #[inline]
    pub fn protocol(&self) -> Option<u8> {
        matches!(self.meta.layers.network, Network::Ipv4 | Network::Ipv6)
            .then_some(self.meta.layers.protocol)
    }

    /// Source and destination port of TCP and UDP.
    #[inline]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let t = self.transport();
        matches!(self.protocol()?, ip::protocol::TCP | ip::protocol::UDP)
            .then(|| t.get(..4).map(|b| (be16(b, 0), be16(b, 2))))
            .flatten()
    }

    /// The flow id of the packet as it stands: see [`flow_id`].
    pub fn flow_key(&self) -> FlowId {
        if self.meta.layers.network == Network::Arp {
            // Who asks for whom is a conversation too: the luck of one pair is not another's.
            return crate::Arp::parse(self.network()).map_or(FlowId::NONE, |arp| {
                flow_id(0, (arp.sender.into(), 0), (arp.target.into(), 0))
            });
        }
        let (Some(src), Some(dst)) = (self.src_ip(), self.dst_ip()) else { return FlowId::NONE };
        let (sport, dport) = self.ports().unwrap_or((0, 0));
        flow_id(self.meta.layers.protocol, (src, sport), (dst, dport))
    }
}

/// The id of a conversation: the same for both directions, the same in every run, never 0 for a
/// real one. Derived from the end points, so that no table is needed to give it out.
#[inline]
pub fn flow_id(protocol: u8, a: (IpAddr, u16), b: (IpAddr, u16)) -> FlowId {
    let v4 = |ip: Ipv4Addr, port: u16| u64::from(u32::from(ip)) << 16 | u64::from(port);
    if let ((IpAddr::V4(x), p), (IpAddr::V4(y), q)) = (a, b) {
        // Each translated packet gets another one: the usual case is short.
        let (x, y) = (v4(x, p), v4(y, q));
        let hash = mix(mix(flow_seed(protocol), x.min(y)), x.max(y));
        return FlowId(hash.max(1));
    }
    let (lo, hi) = if a <= b { (a, b) } else { (b, a) };
    let mut h = flow_seed(protocol);
    for (ip, port) in [lo, hi] {
        match ip {
            IpAddr::V4(ip) => h = mix(h, v4(ip, port)),
            IpAddr::V6(v6) => {
                let bits = u128::from(v6);
                for word in [(bits >> 64) as u64, bits as u64, u64::from(port) | 1 << 63] {
                    h = mix(h, word);
                }
            }
        }
    }
    FlowId(h.max(1))
}

fn flow_seed(protocol: u8) -> u64 {
    u64::from(protocol) ^ 0x9e37_79b9_7f4a_7c15
}

fn mix(hash: u64, word: u64) -> u64 {
    let h = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^ (h >> 32)
}

/// A MAC address for a name: locally administered, unicast, the same in every lab.
pub fn mac_for_name(name: &str) -> Mac {
    let h = name_hash(name).to_be_bytes();
    Mac([0x02, h[1], h[2], h[3], h[4], h[5]])
}

/// Which checksum is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumError {
    /// The IPv4 header's.
    Ip,
    /// TCP's, UDP's or ICMP's.
    Transport,
}

struct Found {
    layers: Layers,
    head_len: usize,
    payload_len: Option<usize>,
}

/// Finds the headers in `head`, the first bytes of a frame of `total` bytes.
fn find_layers(head: &[u8], total: usize) -> Result<Found, WireError> {
    WireError::need("ethernet", eth::HEADER, head.len())?;
    let mut l3 = eth::HEADER;
    let mut ty = EtherType(be16(head, 12));
    if ty == EtherType::VLAN {
        WireError::need("vlan", eth::HEADER + 4, head.len())?;
        ty = EtherType(be16(head, 16));
        l3 += 4;
    }
    let mut layers = Layers { l3: l3 as u8, l4: l3 as u8, ..Layers::default() };
    let body = &head[l3..];
    match ty {
        EtherType::ARP => {
            layers.network = Network::Arp;
            crate::Arp::parse(body)?;
            let end = l3 + crate::arp::LEN;
            layers.l4 = end as u8;
            Ok(Found { layers, head_len: end, payload_len: Some(0) })
        }
        EtherType::IPV4 => ip_layers(ip::parse_v4(body, total - l3)?, layers, body),
        EtherType::IPV6 => ip_layers(ip::parse_v6(body, total - l3)?, layers, body),
        _ => {
            layers.network = Network::Other;
            Ok(Found { layers, head_len: l3, payload_len: None })
        }
    }
}

fn ip_layers(ip: ip::Parsed, mut layers: Layers, body: &[u8]) -> Result<Found, WireError> {
    layers.network = ip.network;
    layers.protocol = ip.protocol;
    layers.fragment = ip.fragment;
    let l4 = layers.l3 as usize + ip.header_len;
    layers.l4 = l4 as u8;
    let transport = &body[ip.header_len..];
    let inside = transport.len().min(ip.payload_len);
    let header = match transport_header_len(&ip, &transport[..inside]) {
        _ if ip.later_fragment => 0,
        // A first fragment may be too short for the header: it is whole in the whole packet.
        Err(_) if ip.fragment && inside == ip.payload_len => 0,
        header => header?,
    };
    Ok(Found { layers, head_len: l4 + header, payload_len: Some(ip.payload_len - header) })
}

/// Length of the transport header at the start of `b`.
fn transport_header_len(ip: &ip::Parsed, b: &[u8]) -> Result<usize, WireError> {
    match (ip.network, ip.protocol) {
        (_, ip::protocol::TCP) => tcp::header_len(b),
        (_, ip::protocol::UDP) => udp::check(b, ip.payload_len, ip.fragment).map(|()| udp::HEADER),
        (Network::Ipv4, ip::protocol::ICMP) | (Network::Ipv6, ip::protocol::ICMPV6) => {
            WireError::need("icmp", icmp::HEADER, b.len()).map(|()| icmp::HEADER)
        }
        _ => Ok(0),
    }
}

#[inline]
pub(crate) fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

#[inline]
pub(crate) fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}
