//! Properties of frames: against etherparse, against full recomputation, against arbitrary bytes.

mod common;

use std::net::{IpAddr, SocketAddr};

use common::{HERE, THERE, samples};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use netarium_wire::dissect::{FlowTracker, Style, line, line_of_bytes};
use netarium_wire::icmp::{Icmp, Quoted};
use netarium_wire::ip::Side;
use netarium_wire::tcp::TcpOptionIter;
use netarium_wire::{
    Frame, IpHeader, Network, Payload, Slice, TcpFlags, TcpHeader, TcpOptions, udp,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..max)
}

/// Payloads of several slices, also empty and odd ones.
fn rope() -> impl Strategy<Value = Payload> {
    vec(bytes(40), 0..4).prop_map(|parts| {
        let mut p = Payload::new();
        parts.iter().for_each(|part| p.push(Slice::copy_from(part)));
        p
    })
}

fn ip_header() -> impl Strategy<Value = IpHeader> {
    let v4 = any::<[[u8; 4]; 2]>().prop_map(|[a, b]| (IpAddr::from(a), IpAddr::from(b)));
    let v6 = any::<[[u8; 16]; 2]>().prop_map(|[a, b]| (IpAddr::from(a), IpAddr::from(b)));
    (prop_oneof![v4, v6], any::<(u8, u8, u16, bool)>()).prop_map(
        |((src, dst), (ttl, tos, id, dont_fragment))| IpHeader {
            src,
            dst,
            ttl,
            tos,
            id: if src.is_ipv4() { id } else { 0 },
            dont_fragment: dont_fragment || src.is_ipv6(),
        },
    )
}

fn tcp_header() -> impl Strategy<Value = TcpHeader> {
    (any::<[u16; 4]>(), any::<[u32; 2]>(), 0..0x200u16).prop_map(|(w, [seq, ack], flags)| {
        TcpHeader {
            src_port: w[0],
            dst_port: w[1],
            seq,
            ack,
            flags: TcpFlags::from_bits_truncate(flags),
            window: w[2],
            urgent: w[3],
        }
    })
}

/// Options of any bytes, malformed ones too.
fn options() -> impl Strategy<Value = TcpOptions> {
    bytes(41).prop_map(|b| {
        let mut o = TcpOptions::new();
        assert!(o.push_raw(&b));
        o
    })
}

#[derive(Clone, Debug)]
enum Sent {
    Tcp(TcpHeader, TcpOptions),
    Udp(u16, u16),
    Icmp(Icmp),
}

/// A frame, what it was made of, and its payload.
fn frame() -> impl Strategy<Value = (Box<Frame>, IpHeader, Sent, Vec<u8>)> {
    let tcp = (tcp_header(), options()).prop_map(|(h, o)| Sent::Tcp(h, o));
    let udp = any::<(u16, u16)>().prop_map(|(a, b)| Sent::Udp(a, b));
    let icmp = (prop_oneof![Just(0u8), Just(8), any::<u8>()], any::<u8>(), any::<u32>())
        .prop_map(|(kind, code, rest)| Sent::Icmp(Icmp { kind, code, rest }));
    (ip_header(), prop_oneof![tcp, udp, icmp], rope()).prop_map(|(ip, sent, payload)| {
        // ICMP here is IPv4's.
        let sent = match sent {
            Sent::Icmp(_) if ip.src.is_ipv6() => Sent::Udp(1, 2),
            other => other,
        };
        let data = payload.to_vec();
        let mut f = match &sent {
            Sent::Tcp(h, o) => h.frame(&ip, o, payload),
            Sent::Udp(src, dst) => udp::frame(&ip, *src, *dst, payload),
            Sent::Icmp(icmp) => icmp.frame(&ip, payload),
        };
        f.set_macs(THERE, HERE);
        (f, ip, sent, data)
    })
}

/// Fails unless the frame's bytes parse to right checksums, by our own full computation.
fn assert_whole(f: &Frame) -> Box<Frame> {
    let mut again = Frame::from_bytes(&f.to_vec());
    assert_ne!(again.meta.layers.network, Network::Unparsed);
    assert!(!again.meta.verified);
    assert_eq!(again.verify(), Ok(()), "{:02x?}", f.to_vec());
    again
}

/// Fails unless etherparse computes the same checksums.
fn assert_checksums_as_etherparse(bytes: &[u8]) {
    let packet = SlicedPacket::from_ethernet(bytes).expect("etherparse reads it");
    let transport = packet.transport.as_ref().expect("it has a transport header");
    match packet.net.as_ref().expect("it is IP") {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            let (src, dst) = (header.source, header.destination);
            match transport {
                TransportSlice::Tcp(t) => {
                    assert_eq!(t.calc_checksum_ipv4(src, dst), Ok(t.checksum()),)
                }
                TransportSlice::Udp(u) => {
                    let sum = u.to_header().calc_checksum_ipv4(&header, u.payload());
                    assert_eq!(sum, Ok(u.checksum()));
                }
                TransportSlice::Icmpv4(i) => {
                    assert_eq!(i.icmp_type().calc_checksum(i.payload()), i.checksum());
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header().to_header();
            match transport {
                TransportSlice::Tcp(t) => assert_eq!(
                    t.calc_checksum_ipv6(header.source, header.destination),
                    Ok(t.checksum()),
                ),
                TransportSlice::Udp(u) => {
                    let sum = u.to_header().calc_checksum_ipv6(&header, u.payload());
                    assert_eq!(sum, Ok(u.checksum()));
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        other => panic!("unexpected {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_parsed((f, ip, sent, data) in frame()) {
        prop_assert!(f.meta.verified);
        let again = assert_whole(&f);
        prop_assert_eq!(again.meta.layers, f.meta.layers);
        prop_assert_eq!(again.meta.flow, f.flow_key());
        prop_assert_eq!(again.payload().to_vec(), data);
        prop_assert_eq!((again.dst_mac(), again.src_mac()), (THERE, HERE));
        prop_assert_eq!((again.src_ip(), again.dst_ip()), (Some(ip.src), Some(ip.dst)));
        prop_assert_eq!((again.ttl(), again.tos(), again.ip_id()), (ip.ttl, ip.tos, ip.id));
        prop_assert_eq!(again.dont_fragment(), ip.dont_fragment);
        match sent {
            Sent::Tcp(h, o) => {
                prop_assert_eq!(TcpHeader::of(&again), Some(h));
                let padded = TcpHeader::options_of(&again);
                prop_assert!(padded.take(o.iter().count()).eq(o.iter()));
            }
            Sent::Udp(src, dst) => prop_assert_eq!(again.ports(), Some((src, dst))),
            Sent::Icmp(icmp) => prop_assert_eq!(Icmp::of(&again), Some(icmp)),
        }
    }

    #[test]
    fn etherparse_agrees((f, ip, sent, data) in frame()) {
        // etherparse wants timestamp messages to have their twelve bytes of times.
        let timestamp = |i: &Icmp| matches!(i.kind, 13 | 14) && i.code == 0;
        prop_assume!(!matches!(&sent, Sent::Icmp(i) if timestamp(i)));
        let bytes = f.to_vec();
        let packet = SlicedPacket::from_ethernet(&bytes).expect("etherparse reads it");
        match packet.net.expect("it is IP") {
            NetSlice::Ipv4(p) => {
                let h = p.header();
                prop_assert_eq!(IpAddr::from(h.source_addr()), ip.src);
                prop_assert_eq!(IpAddr::from(h.destination_addr()), ip.dst);
                prop_assert_eq!((h.ttl(), h.identification()), (ip.ttl, ip.id));
                prop_assert_eq!(h.dont_fragment(), ip.dont_fragment);
            }
            NetSlice::Ipv6(p) => {
                let h = p.header();
                prop_assert_eq!(IpAddr::from(h.source_addr()), ip.src);
                prop_assert_eq!(IpAddr::from(h.destination_addr()), ip.dst);
                prop_assert_eq!((h.hop_limit(), h.traffic_class()), (ip.ttl, ip.tos));
            }
            other => prop_assert!(false, "unexpected {other:?}"),
        }
        match (packet.transport.expect("it has a transport header"), sent) {
            (TransportSlice::Tcp(t), Sent::Tcp(h, o)) => {
                prop_assert_eq!((t.source_port(), t.destination_port()), (h.src_port, h.dst_port));
                prop_assert_eq!((t.sequence_number(), t.acknowledgment_number()), (h.seq, h.ack));
                prop_assert_eq!((t.window_size(), t.urgent_pointer()), (h.window, h.urgent));
                prop_assert_eq!(&t.options()[..o.bytes().len()], o.bytes());
                prop_assert_eq!(t.payload(), data);
                let flags = [t.fin(), t.syn(), t.rst(), t.psh(), t.ack(), t.urg(), t.ece(), t.cwr()];
                for (bit, set) in flags.into_iter().enumerate() {
                    prop_assert_eq!(h.flags.bits() >> bit & 1 == 1, set, "bit {}", bit);
                }
            }
            (TransportSlice::Udp(u), Sent::Udp(src, dst)) => {
                prop_assert_eq!((u.source_port(), u.destination_port()), (src, dst));
                prop_assert_eq!(u.payload(), data);
            }
            (TransportSlice::Icmpv4(i), Sent::Icmp(icmp)) => {
                prop_assert_eq!((i.type_u8(), i.code_u8()), (icmp.kind, icmp.code));
                prop_assert_eq!(u32::from_be_bytes(i.bytes5to8()), icmp.rest);
            }
            (other, sent) => prop_assert!(false, "{other:?} is not {sent:?}"),
        }
        assert_checksums_as_etherparse(&bytes);
    }

    /// Incremental updates leave what full computation would have written.
    #[test]
    fn rewriting_keeps_checksums_right(
        (mut f, ip, _, _) in frame(),
        to in ip_header(),
        ports in any::<(u16, u16)>(),
        no_checksum in any::<bool>(),
    ) {
        let at = f.head().len() - f.transport().len();
        let plain_udp = f.protocol() == Some(17) && ip.src.is_ipv4();
        if no_checksum && plain_udp {
            let mut bytes = f.to_vec();
            bytes[at + 6..at + 8].fill(0);
            f = Frame::from_bytes(&bytes);
        }
        f.rewrite(Side::Source, SocketAddr::new(to.src, ports.0));
        f.rewrite(Side::Destination, SocketAddr::new(to.dst, ports.1));
        let hop = f.decrement_ttl();
        prop_assert_eq!(hop, ip.ttl > 1);
        let again = assert_whole(&f);
        if to.src.is_ipv4() == ip.src.is_ipv4() {
            prop_assert_eq!(again.meta.flow, f.meta.flow);
        }
        prop_assert_eq!(again.ttl(), if hop { ip.ttl - 1 } else { ip.ttl });
        if to.src.is_ipv4() == ip.src.is_ipv4() {
            prop_assert_eq!((again.src_ip(), again.dst_ip()), (Some(to.src), Some(to.dst)));
            if f.protocol() != Some(1) {
                prop_assert_eq!(again.ports(), Some(ports));
            }
        } else {
            prop_assert_eq!((again.src_ip(), again.dst_ip()), (Some(ip.src), Some(ip.dst)));
        }
        if no_checksum && plain_udp {
            prop_assert_eq!(&again.transport()[6..8], &[0, 0], "none stays none");
        } else {
            assert_checksums_as_etherparse(&f.to_vec());
        }
    }

    #[test]
    fn any_bytes_are_taken(b in bytes(300), kept in 0..300usize) {
        take(&b, kept);
    }

    /// Samples with changed bytes come further than random ones.
    #[test]
    fn any_mutants_are_taken(
        which in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        vlan in any::<bool>(),
    ) {
        let samples = samples();
        let mut b = samples[which.index(samples.len())].to_vec();
        if vlan {
            b.splice(12..12, [0x81, 0, 0x20, 5]);
        }
        for (at, byte) in changes {
            let at = at.index(b.len());
            b[at] = byte;
        }
        let kept = cut.index(b.len() + 1);
        take(&b, kept);
        take(&b[..kept], kept);
    }

    #[test]
    fn any_options_are_taken(b in bytes(60)) {
        let found = TcpOptionIter::new(&b).count();
        prop_assert!(found <= b.len());
    }

    /// A changed byte is a wrong checksum, whatever was known before.
    #[test]
    fn corruption_is_found((f, ..) in frame(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = f.to_vec();
        let at = 34 + at.index(bytes.len() - 34);
        bytes[at] ^= 1 << bit;
        let mut broken = Frame::from_bytes(&bytes);
        let accepted = broken.meta.layers.network != Network::Unparsed && broken.verify().is_ok();
        // What no checksum covers: fields of IPv6, a UDP checksum that became «none».
        let uncovered = f.meta.layers.network == Network::Ipv6 && at < 54;
        let none = f.protocol() == Some(17) && broken.transport().get(6..8) == Some(&[0, 0]);
        prop_assert!(!accepted || uncovered || none, "byte {at} of {bytes:02x?}");
    }
}

/// Does with the bytes everything that can be done; nothing panics, and no byte changes.
fn take(b: &[u8], kept: usize) {
    let mut f = Frame::from_bytes(b);
    let back = f.to_vec();
    assert_eq!(back, b[..back.len()], "bytes changed");
    if f.meta.layers.network == Network::Unparsed {
        assert_eq!(back.len(), b.len(), "a malformed frame lost bytes");
    }
    let mut late = f.clone();
    late.invalidate();
    assert_eq!(late.parse().is_ok(), f.meta.layers.network != Network::Unparsed);
    assert_eq!(late.meta.layers, f.meta.layers);
    assert_eq!(late.to_vec(), back);
    let _ = f.verify();
    let mut flows = FlowTracker::new(1);
    for ethernet in [false, true] {
        line(&f, Style { ethernet }, Some(&mut flows));
        line_of_bytes(&b[..kept.min(b.len())], b.len(), Style { ethernet }, None);
    }
    let _ = (TcpHeader::of(&f), Icmp::of(&f), f.ports(), udp::data_len(&f));
    TcpHeader::options_of(&f).for_each(drop);
    Quoted::parse(b);
    Quoted::parse(f.network());
    for side in [Side::Source, Side::Destination] {
        f.rewrite(side, SocketAddr::from(([1, 2, 3, 4], 5)));
        f.rewrite(side, SocketAddr::from(([1, 2, 3, 4, 5, 6, 7, 8], 9)));
    }
    f.decrement_ttl();
    assert_eq!(f.len(), back.len());
}

/// A VLAN tag between the addresses and the ethertype changes nothing behind it.
#[test]
fn vlan_tags_are_stepped_over() {
    for sample in samples() {
        let mut bytes = sample.to_vec();
        bytes.splice(12..12, [0x81, 0, 0x20, 5]);
        let mut f = assert_whole(&Frame::from_bytes(&bytes));
        assert_eq!(usize::from(f.meta.layers.l3), 18);
        assert_eq!(f.meta.flow, sample.flow_key());
        assert_eq!(f.ports(), sample.ports());
        f.rewrite(Side::Source, SocketAddr::from(([9, 9, 9, 9], 9)));
        f.decrement_ttl();
        assert_whole(&f);
    }
}

/// A packet cut into IPv4 fragments: the first has the transport header, the later ones none.
#[test]
fn fragments_have_ip_checksums_only() {
    let whole = udp::frame(&common::v4(), 40_000, 41_000, common::text(&[7; 100])).to_vec();
    let fragment = |offset: u16, more: bool, body: &[u8]| {
        let mut b = whole[..34].to_vec();
        b[16..18].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        b[20..22].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
        b[24..26].fill(0);
        let sum = netarium_wire::checksum::Sum::of(&b[14..34]).checksum();
        b[24..26].copy_from_slice(&sum.to_be_bytes());
        b.extend_from_slice(body);
        Frame::from_bytes(&b)
    };
    let mut first = fragment(0, true, &whole[34..34 + 56]);
    assert!(first.meta.layers.fragment);
    assert_eq!(first.ports(), Some((40_000, 41_000)));
    assert_eq!((first.payload().len(), first.verify()), (48, Ok(())));
    let mut later = fragment(56, false, &whole[34 + 56..]);
    assert!(later.meta.layers.fragment);
    assert_eq!((later.ports(), later.transport(), later.payload().len()), (None, &[][..], 52));
    assert_eq!(later.verify(), Ok(()));
    assert_eq!(line(&later, Style::default(), None), "IP 10.0.0.1 > 10.0.0.2: ip-proto-17");

    // NAT changes both alike, and the whole put together again is right.
    let to = SocketAddr::from(([192, 168, 17, 17], 80));
    for f in [&mut first, &mut later] {
        f.rewrite(Side::Destination, to);
        assert_whole(f);
    }
    let mut joined = whole[..34].to_vec();
    joined.extend_from_slice(&first.to_vec()[34..]);
    joined.extend_from_slice(&later.to_vec()[34..]);
    joined[30..34].copy_from_slice(&[192, 168, 17, 17]);
    joined[24..26].fill(0);
    let sum = netarium_wire::checksum::Sum::of(&joined[14..34]).checksum();
    joined[24..26].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(Frame::from_bytes(&joined).verify(), Ok(()));
}

/// Ethernet padding is no payload, and bytes behind a UDP datagram's own length are not checked.
#[test]
fn what_is_behind_the_packet_is_left_alone() {
    let f = udp::frame(&common::v4(), 1, 2, common::text(b"abc"));
    let mut padded = f.to_vec();
    padded.resize(60, 0);
    assert_eq!(Frame::from_bytes(&padded).to_vec(), f.to_vec());

    let mut longer = f.to_vec();
    longer.extend_from_slice(b"options");
    let len = longer.len() as u16 - 14;
    longer[16..18].copy_from_slice(&len.to_be_bytes());
    longer[24..26].fill(0);
    let sum = netarium_wire::checksum::Sum::of(&longer[14..34]).checksum();
    longer[24..26].copy_from_slice(&sum.to_be_bytes());
    let mut g = Frame::from_bytes(&longer);
    assert_eq!(g.verify(), Ok(()));
    assert_eq!(udp::data_len(&g), Some(3));
    assert_eq!(g.to_vec(), longer, "a router passes all of it on");
}

#[test]
fn udp_without_a_checksum_is_ipv4_only() {
    for (ip, verdict) in [(common::v4(), true), (common::v6(), false)] {
        let mut b = udp::frame(&ip, 1, 2, common::text(b"abc")).to_vec();
        let at = b.len() - 3 - 2;
        b[at..at + 2].fill(0);
        assert_eq!(Frame::from_bytes(&b).verify().is_ok(), verdict);
    }
}

/// RFC 4443 §2.3: the checksum of ICMPv6 covers the addresses, so NAT must update it.
#[test]
fn icmpv6_survives_rewriting() {
    let datagram = udp::frame(&common::v6(), 1, 2, common::text(b"12345678"));
    for kind in [128, 129, 1, 135] {
        let mut b = datagram.to_vec();
        b[14 + 6] = 58;
        b[54..62].copy_from_slice(&[kind, 0, 0, 0, 0, 1, 0, 2]);
        let (src, dst) = (datagram.src_ip().expect("IPv6"), datagram.dst_ip().expect("IPv6"));
        let pseudo = netarium_wire::ip::pseudo_header(src, dst, 58, b.len() - 54);
        let sum = (pseudo + netarium_wire::checksum::Sum::of(&b[54..])).checksum();
        b[56..58].copy_from_slice(&sum.to_be_bytes());
        let mut f = assert_whole(&Frame::from_bytes(&b));
        f.rewrite(Side::Source, SocketAddr::new(IpAddr::from([7, 7, 7, 7, 7, 7, 7, 7]), 99));
        let again = assert_whole(&f);
        let ident = u16::from_be_bytes([again.transport()[4], again.transport()[5]]);
        assert_eq!(ident, if matches!(kind, 128 | 129) { 99 } else { 1 });
    }
}

/// The corner that RFC 1624's equation gets wrong: all words become zero.
#[test]
fn an_echo_reply_of_zeros_keeps_its_checksum() {
    for (from, to) in [(5, 0), (0, 0), (0, 5), (0xffff, 0)] {
        let mut f = Icmp::echo(0, from, 0).frame(&common::v4(), Payload::new());
        f.rewrite(Side::Source, SocketAddr::from(([10, 0, 0, 1], to)));
        assert_whole(&f);
        assert_checksums_as_etherparse(&f.to_vec());
    }
}

/// Nothing is known to be right about bytes that nobody looked at.
#[test]
fn an_invalidated_frame_is_looked_at_again() {
    let mut f = Frame::from_bytes(&samples()[3].to_vec());
    f.invalidate();
    assert_eq!(f.verify(), Ok(()));
    assert_eq!(f.meta.layers.network, Network::Ipv4);
    let mut runt = Frame::from_bytes(&[1; 10]);
    assert_eq!(runt.verify(), Ok(()));
    assert!(!runt.meta.verified);
}

/// Found by fuzzing: the offsets of such pieces overflowed into the flags.
#[test]
fn a_part_that_no_packet_can_have_is_not_cut() {
    let mut bytes =
        netarium_wire::udp::frame(&common::v4(), 1, 2, common::text(&[7; 200])).to_vec();
    bytes[20..22].copy_from_slice(&[0x3f, 0xff]);
    let mut frame = Frame::from_bytes(&bytes);
    frame.parse().expect("a later fragment has no ports to be wrong");
    assert!(frame.part().is_err());
    assert!(frame.fragment(100).is_empty());
}
