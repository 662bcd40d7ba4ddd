//! Arbitrary frames into hosts and routers, with and without a filter: no panic, bounded queues.

use core::net::{IpAddr, SocketAddr};

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Rng, Seed, Tracer};
use netarium_filter::{Filter, PortForward};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Arp, EtherType, Frame, IpHeader, Mac, Payload, TcpFlags, TcpHeader, udp};

use super::common::{PID, mac};
use crate::{SocketKind, Stack, StackConfig, neighbour};

const INSIDE: IfIndex = IfIndex(2);
const OUTSIDE: IfIndex = IfIndex(3);

fn router(filtered: bool, seed: u64) -> Stack {
    let node = NodeId(0);
    let mut s =
        Stack::new(StackConfig { node, name: "r".into(), seed: Seed(seed), forwarding: true });
    for (i, address) in ["10.0.0.1/16", "10.9.0.1/16"].into_iter().enumerate() {
        let iface = s.add_interface("eth", mac(i), 1500);
        s.add_address(iface, address.parse().unwrap());
    }
    if filtered {
        let mut f = Filter::new(node, Seed(seed).luck("r", "nat"));
        let web = SocketAddr::from(([10, 0, 0, 17], 80));
        f.nat_router(INSIDE, OUTSIDE, vec![PortForward::tcp(80, web)]).unwrap();
        s.set_filter(Some(f));
    }
    s
}

/// A frame of some protocol with plausible and less plausible fields.
fn plausible(luck: &mut Rng, to: Mac) -> Box<Frame> {
    let mut address = || -> IpAddr {
        let b = luck.next_u32().to_be_bytes();
        match luck.below(8) {
            0 => b.into(),
            1 => [255; 4].into(),
            2 => [127, 0, 0, b[0]].into(),
            3 => [224, 0, 0, b[0]].into(),
            4 => [10, 9, 0, 1].into(),
            5 => [10, 0, 0, 1].into(),
            _ => [10, b[0] & 9, 0, b[1]].into(),
        }
    };
    let mut ip = IpHeader::new(address(), address());
    ip.ttl = luck.below(4) as u8;
    let payload = Payload::copy_from(&vec![7; luck.below(2000) as usize]);
    let ports = (luck.below(100) as u16, luck.below(100) as u16);
    let mut f = match luck.below(5) {
        0 => TcpHeader {
            src_port: ports.0,
            dst_port: ports.1,
            flags: TcpFlags::from_bits_truncate(luck.next_u32() as u16),
            seq: luck.next_u32(),
            ..TcpHeader::default()
        }
        .frame(&ip, &Default::default(), payload),
        1 => udp::frame(&ip, ports.0, ports.1, payload),
        2 => Icmp::echo(luck.below(19) as u8, ports.0, ports.1).frame(&ip, payload),
        3 => {
            let own = udp::frame(&IpHeader::new(ip.dst, ip.src), ports.0, ports.1, Payload::new());
            let unreachable = luck.below(16) as u8;
            netarium_wire::icmp::error(&ip, kind::UNREACHABLE, unreachable, 1400, &own)
        }
        _ => {
            let b = luck.next_u32().to_be_bytes();
            let sender = [10, b[0] & 9, b[1], b[2]].into();
            let operation = luck.below(4) as u16;
            let target = [10, 0, 0, b[3] & 3].into();
            Arp { operation, sender_mac: mac(9), sender, target_mac: to, target }.frame(to)
        }
    };
    f.set_macs(to, mac(9));
    f
}

/// Random bytes, or a plausible frame with a few bytes changed, cut or added.
fn frame(luck: &mut Rng, to: Mac) -> Box<Frame> {
    let to = if luck.below(10) == 0 { Mac::BROADCAST } else { to };
    if luck.below(5) == 0 {
        let rest: Vec<u8> = (0..luck.below(200)).map(|_| luck.next_u32() as u8).collect();
        let types = [EtherType::IPV4, EtherType::ARP, EtherType(luck.next_u32() as u16)];
        let ty = types[luck.below(3) as usize];
        let mut bytes = Frame::raw(to, mac(9), ty, &[], Payload::new()).to_vec();
        bytes.extend(rest);
        return Frame::from_bytes(&bytes);
    }
    let whole = plausible(luck, to);
    if luck.below(2) == 0 {
        return whole;
    }
    let mut bytes = whole.to_vec();
    for _ in 0..luck.below(4) {
        let at = luck.below(bytes.len() as u32) as usize;
        bytes[at] = luck.next_u32() as u8;
    }
    match luck.below(6) {
        0 => bytes.truncate(luck.below(bytes.len() as u32) as usize),
        1 => bytes.extend([0; 10]),
        // A fragment with a right checksum.
        2 => {
            bytes.truncate(14 + 20);
            bytes.extend([0; 60]);
            bytes[14] = 0x45;
            bytes[16..18].copy_from_slice(&80u16.to_be_bytes());
            bytes[20..22].copy_from_slice(&(luck.next_u32() as u16).to_be_bytes());
            bytes[24..26].fill(0);
            let sum = netarium_wire::checksum::Sum::of(&bytes[14..34]).checksum();
            bytes[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        _ => {}
    }
    Frame::from_bytes(&bytes)
}

#[test]
fn no_frame_harms_a_host_or_router() {
    (0..40).for_each(storm);
}

/// The same for hours: `cargo test --release -p netarium-stack -- --ignored long`.
#[test]
#[ignore = "it takes hours; no_frame_harms_a_host_or_router is its beginning"]
fn long_no_frame_harms_a_host_or_router() {
    (1_000..1_000_000).for_each(storm);
}

fn storm(seed: u64) {
    let mut luck = Seed(seed).stream("test", "frames");
    let mut trace = Tracer::new(0);
    let mut s = router(seed % 2 == 0, seed);
    s.ip.forwarding = seed % 4 < 2;
    let mut now = Instant::ZERO;
    let mut cx = Ctx::new(now, Cause::NONE, &mut trace);
    let listener = s.socket(SocketKind::Tcp, PID).unwrap();
    s.bind(listener, "0.0.0.0:80".parse().unwrap()).unwrap();
    s.listen(&mut cx, listener, 4).unwrap();
    for kind in [SocketKind::Udp, SocketKind::Ping] {
        let id = s.socket(kind, PID).unwrap();
        s.bind(id, "0.0.0.0:53".parse().unwrap()).unwrap();
    }
    for _ in 0..2000 {
        let to = luck.below(2) as usize;
        let f = frame(&mut luck, mac(to));
        let mut cx = Ctx::new(now, Cause::NONE, &mut trace);
        s.handle_frame(&mut cx, IfIndex(2 + to as u16), f);
        let mut answers = 0;
        while let Some((_, f)) = s.poll_transmit() {
            answers += 1;
            let mut copy = Frame::from_bytes(&f.to_vec());
            copy.parse().expect("what is sent parses");
        }
        assert!(answers <= neighbour::MAX_QUEUE + 2, "{answers} answers to one frame");
        while s.poll_event().is_some() {}
        if luck.below(20) == 0 {
            now += Duration::from_millis(luck.below(2000).into());
            let mut cx = Ctx::new(now, Cause::NONE, &mut trace);
            s.handle_deadlines(&mut cx);
            assert!(s.next_deadline().is_none_or(|d| d > now), "nothing stays due");
        }
    }
    assert!(s.neighbours(now).len() <= neighbour::MAX_ENTRIES);
    assert!(s.tcp.len() <= 16 + 5, "{} connections", s.tcp.len());
}
