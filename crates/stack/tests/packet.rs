//! Packet sockets: what they see, when, and what they cannot make worse.

use netarium_base::{Cause, Ctx, IfIndex, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::packet::{RING_MAX, TAPS_MAX};
use netarium_stack::{Captured, Errno, PacketConfig, PacketFilter, PacketKind, Stack, StackConfig};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Arp, Frame, IpHeader, Mac, Payload};

const PID: Pid = Pid(7);
const LO: IfIndex = IfIndex(1);
const ETH0: IfIndex = IfIndex(2);
const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 3]);

struct Host {
    stack: Stack,
    trace: Tracer,
}

impl Host {
    fn new() -> Host {
        let (node, name, seed) = (NodeId(0), "h".to_owned(), Seed(1));
        let mut stack = Stack::new(StackConfig { node, name, seed, forwarding: false });
        assert_eq!(stack.add_interface("eth0", OWN, 1500), ETH0);
        stack.add_address(ETH0, "10.0.0.1/24".parse().unwrap());
        Host { stack, trace: Tracer::new(1000) }
    }

    fn on<R>(&mut self, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        f(&mut self.stack, &mut Ctx::new(Instant::ZERO, Cause::NONE, &mut self.trace))
    }

    fn open(&mut self, config: PacketConfig) -> SocketId {
        self.on(|s, cx| s.open_packet(cx, PID, config)).unwrap()
    }

    fn arrive(&mut self, frame: Box<Frame>) {
        self.on(|s, cx| s.handle_frame(cx, ETH0, frame));
    }

    /// Everything that a socket has, and what woke its reader.
    fn seen(&mut self, id: SocketId) -> Vec<(IfIndex, PacketKind, usize)> {
        let mut all = Vec::new();
        loop {
            match self.stack.recv_packet(id) {
                Ok(c) => all.push((c.iface, c.kind, c.bytes.len())),
                Err(Errno::EAGAIN) => return all,
                Err(e) => panic!("{e}"),
            }
        }
    }
}

fn eth0(promiscuous: bool) -> PacketConfig {
    PacketConfig { iface: Some(ETH0), promiscuous, ..PacketConfig::default() }
}

/// An echo request from the peer, in a frame for `to`.
fn ping(to: Mac) -> Box<Frame> {
    let header = IpHeader::new([10, 0, 0, 2].into(), [10, 0, 0, 1].into());
    let echo = Icmp::echo(kind::ECHO_REQUEST, 1, 1);
    let mut frame = echo.frame(&header, Payload::copy_from(b"0123456789"));
    frame.set_macs(to, PEER);
    Frame::from_bytes(&frame.to_vec())
}

#[test]
fn a_frame_is_seen_on_the_way_in_and_its_answer_on_the_way_out() {
    let mut h = Host::new();
    let id = h.open(eth0(false));
    let request = Arp {
        operation: Arp::REQUEST,
        sender_mac: PEER,
        sender: [10, 0, 0, 2].into(),
        target_mac: Mac::ZERO,
        target: [10, 0, 0, 1].into(),
    };
    h.arrive(request.frame(Mac::BROADCAST));
    h.arrive(ping(OWN));
    let kinds: Vec<PacketKind> = h.seen(id).iter().map(|s| s.1).collect();
    use PacketKind::{Broadcast, Host as Own, Outgoing};
    assert_eq!(kinds, [Broadcast, Outgoing, Own, Outgoing]);
    let woken = std::iter::from_fn(|| h.stack.poll_event()).filter(|e| e.socket == id).count();
    assert_eq!(woken, 1, "one wake for a ring that was empty");
}

#[test]
fn frames_for_others_take_promiscuous_mode_and_are_not_answered() {
    let mut h = Host::new();
    let (plain, all) = (h.open(eth0(false)), h.open(PacketConfig::default()));
    h.arrive(ping(OTHER));
    assert!(h.seen(plain).is_empty());
    let promiscuous = h.open(eth0(true));
    assert_eq!(h.stack.interfaces()[1].promiscuous, 1);
    h.arrive(ping(OTHER));
    let other = vec![(ETH0, PacketKind::OtherHost, 52)];
    // As on Linux the mode is the interface's: every listener sees what it lets in.
    for id in [promiscuous, plain, all] {
        assert_eq!(h.seen(id), other);
    }
    assert!(h.stack.poll_transmit().is_none(), "not ours to answer");
    h.on(|s, cx| s.close(cx, promiscuous)).unwrap();
    assert_eq!(h.stack.interfaces()[1].promiscuous, 0);
    h.arrive(ping(OTHER));
    assert!(h.seen(all).is_empty());
    let modes: Vec<String> = h
        .trace
        .records()
        .filter(|r| r.event.name() == "iface.mode")
        .map(|r| format!("{:?}", r.event))
        .collect();
    assert_eq!(modes.len(), 2, "{modes:?}");
    // The end of the process ends what it left open.
    h.open(eth0(true));
    h.on(|s, cx| s.release_process(cx, PID));
    assert_eq!(h.stack.interfaces()[1].promiscuous, 0);
}

#[test]
fn the_ring_is_bounded_and_counts_what_it_loses() {
    let mut h = Host::new();
    let id = h.open(PacketConfig { ring: 1000, snaplen: 20, ..eth0(false) });
    for _ in 0..100 {
        h.arrive(ping(OWN));
    }
    let seen = h.seen(id);
    // 20 bytes and what a place costs: as many as fit, cut to the snap length.
    assert!(seen.len() > 4 && seen.len() < 50, "{}", seen.len());
    assert!(seen.iter().all(|s| s.2 == 20));
    let stats = h.stack.packet_stats(id);
    assert_eq!(stats.received, stats.dropped + seen.len() as u64);
    // Room again.
    h.arrive(ping(OWN));
    assert!(!h.seen(id).is_empty());
}

#[test]
fn a_filter_decides_before_the_ring() {
    let mut h = Host::new();
    let out = PacketFilter::new(|c: &Captured| c.kind == PacketKind::Outgoing);
    let id = h.open(PacketConfig { filter: Some(out), ..PacketConfig::default() });
    h.arrive(ping(OWN));
    let socket = h.on(|s, _| s.socket(netarium_stack::SocketKind::Udp, PID)).unwrap();
    let to = "10.0.0.1:9".parse().unwrap();
    h.on(|s, cx| s.send_to(cx, socket, to, b"x")).unwrap();
    assert!(h.seen(id).iter().all(|s| s.1 == PacketKind::Outgoing));
    assert_eq!(h.stack.packet_stats(id).dropped, 0);
    let sent: Vec<_> = std::iter::from_fn(|| h.stack.poll_transmit()).collect();
    assert!(sent.iter().any(|(i, _)| *i == LO), "{}", sent.len());
}

#[test]
fn what_cannot_be_is_refused() {
    let mut h = Host::new();
    let nowhere = PacketConfig { iface: Some(IfIndex(9)), ..PacketConfig::default() };
    assert_eq!(h.on(|s, cx| s.open_packet(cx, PID, nowhere)), Err(Errno::ENODEV));
    h.on(|s, cx| s.set_interface_up(cx, ETH0, false));
    assert_eq!(h.on(|s, cx| s.open_packet(cx, PID, eth0(false))), Err(Errno::ENETDOWN));
    h.on(|s, cx| s.set_interface_up(cx, ETH0, true));
    let id = h.open(PacketConfig { ring: usize::MAX, ..eth0(false) });
    const { assert!(RING_MAX < usize::MAX) };
    let send =
        |h: &mut Host, len: usize| h.on(|s, cx| s.send_packet(cx, id, ETH0, &vec![0xff; len]));
    assert_eq!(send(&mut h, 13), Err(Errno::EINVAL));
    assert_eq!(send(&mut h, 1515), Err(Errno::EMSGSIZE));
    assert_eq!(send(&mut h, 1514), Ok(()));
    assert_eq!(h.stack.poll_transmit().map(|(i, f)| (i, f.len())), Some((ETH0, 1514)));
    assert_eq!(h.on(|s, cx| s.send(cx, id, b"x")), Err(Errno::EOPNOTSUPP));
    assert_eq!(h.stack.bind(id, "0.0.0.0:1".parse().unwrap()), Err(Errno::EOPNOTSUPP));
    for _ in 1..TAPS_MAX {
        h.open(PacketConfig::default());
    }
    let more = h.on(|s, cx| s.open_packet(cx, PID, PacketConfig::default()));
    assert_eq!(more, Err(Errno::ENOBUFS));
}
