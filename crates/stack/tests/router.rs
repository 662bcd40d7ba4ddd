//! A router between two networks: forwarding, ICMP errors, NAT with a port forward, firewalls,
//! pings, and the limits of what is answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netarium_base::{Cause, Ctx, DropReason, Duration, IfIndex, Instant, NodeId, Pid, Seed};
use netarium_base::{Place, SocketId, Tracer};
use netarium_filter::{Filter, InboundRule, PortForward};
use netarium_stack::{Errno, MtuDiscover, Route, SocketKind, Stack, StackConfig};
use netarium_wire::{Frame, IpHeader, Mac, udp};

const PID: Pid = Pid(1);
const PC: usize = 0;
const ROUTER: usize = 1;
const FRIEND: usize = 2;
const ETH0: IfIndex = IfIndex(2);
const ETH1: IfIndex = IfIndex(3);
const DELAY: Duration = Duration::from_millis(1);

fn mac(host: usize, iface: IfIndex) -> Mac {
    Mac([2, 0, 0, 0, host as u8, iface.0 as u8])
}

/// Three hosts: `pc` 192.168.17.20 behind `router` 192.168.17.1 / 10.0.0.2, and `friend` 10.0.0.7.
struct Lab {
    now: Instant,
    trace: Tracer,
    hosts: Vec<Stack>,
    wire: BTreeMap<(Instant, u64), (usize, IfIndex, Box<Frame>)>,
    sent: u64,
    /// Receiver, source and destination of every TCP and UDP packet.
    seen: Vec<String>,
}

/// Which host hears which: the ends of the two wires.
const WIRES: [((usize, IfIndex), (usize, IfIndex)); 2] =
    [((PC, ETH0), (ROUTER, ETH0)), ((ROUTER, ETH1), (FRIEND, ETH0))];

impl Lab {
    fn new() -> Lab {
        let hosts = (0..3)
            .map(|i| {
                Stack::new(StackConfig {
                    node: NodeId(i),
                    name: format!("h{i}"),
                    seed: Seed(3),
                    forwarding: i as usize == ROUTER,
                })
            })
            .collect();
        let mut lab = Lab {
            now: Instant::ZERO,
            trace: Tracer::new(100_000),
            hosts,
            wire: BTreeMap::new(),
            sent: 0,
            seen: Vec::new(),
        };
        for (host, address) in [
            (PC, "192.168.17.20/24"),
            (ROUTER, "192.168.17.1/24"),
            (ROUTER, "10.0.0.2/24"),
            (FRIEND, "10.0.0.7/24"),
        ] {
            let index = IfIndex(lab.hosts[host].interfaces().len() as u16 + 1);
            let s = &mut lab.hosts[host];
            assert_eq!(s.add_interface("eth", mac(host, index), 1500), index);
            s.add_address(index, address.parse().unwrap());
        }
        lab.route(PC, "0.0.0.0/0", "192.168.17.1");
        lab.route(FRIEND, "192.168.17.0/24", "10.0.0.2");
        lab.route(FRIEND, "172.16.0.0/16", "10.0.0.2");
        lab
    }

    fn route(&mut self, host: usize, to: &str, via: &str) {
        let via = Some(via.parse().unwrap());
        let route = Route { to: to.parse().unwrap(), via, iface: ETH0, metric: 0, source: None };
        assert!(self.hosts[host].add_route(route));
    }

    fn filter(&mut self, host: usize, make: impl FnOnce(&mut Filter)) {
        let mut f = Filter::new(NodeId(host as u32), Seed(3).luck("filter", "nat"));
        make(&mut f);
        self.hosts[host].set_filter(Some(f));
    }

    fn on<R>(&mut self, h: usize, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        let r = f(&mut self.hosts[h], &mut Ctx::new(self.now, Cause::NONE, &mut self.trace));
        while self.hosts[h].poll_event().is_some() {}
        while let Some((iface, frame)) = self.hosts[h].poll_transmit() {
            let other = WIRES.iter().find_map(|(a, b)| match (h, iface) {
                end if end == *a => Some(*b),
                end if end == *b => Some(*a),
                _ => None,
            });
            let to = other.unwrap_or((h, iface));
            self.sent += 1;
            self.wire.insert((self.now + DELAY, self.sent), (to.0, to.1, frame));
        }
        r
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let wire = self.wire.keys().next().map(|(t, _)| *t);
            let timers = self.hosts.iter().filter_map(Stack::next_deadline).min();
            let Some(next) = [wire, timers].into_iter().flatten().min().filter(|t| *t <= end)
            else {
                break;
            };
            self.now = next;
            while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= next) {
                let (to, iface, frame) = entry.remove();
                let mut copy = Frame::from_bytes(&frame.to_vec());
                copy.parse().expect("parses");
                copy.verify().expect("right checksums");
                copy.meta.cause = frame.meta.cause;
                if let (Some(src), Some(dst), Some(ports)) =
                    (copy.src_ip(), copy.dst_ip(), copy.ports())
                {
                    self.seen.push(format!("h{to} {src}:{} > {dst}:{}", ports.0, ports.1));
                }
                self.on(to, |s, cx| s.handle_frame(cx, iface, copy));
            }
            for h in 0..3 {
                if self.hosts[h].next_deadline().is_some_and(|d| d <= next) {
                    self.on(h, |s, cx| s.handle_deadlines(cx));
                }
            }
        }
        self.now = end;
    }

    fn connect(&mut self, h: usize, to: &str) -> SocketId {
        self.on(h, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).unwrap();
            assert_eq!(s.connect(cx, id, to.parse().unwrap()), Err(Errno::EINPROGRESS));
            id
        })
    }

    fn listen(&mut self, h: usize, port: u16) -> SocketId {
        self.on(h, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).unwrap();
            s.bind(id, SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
            s.listen(cx, id, 5).unwrap();
            id
        })
    }

    /// A UDP socket that is connected to `to` and has sent one datagram.
    fn datagram(&mut self, h: usize, to: &str) -> SocketId {
        self.on(h, |s, cx| {
            let id = s.socket(SocketKind::Udp, PID).unwrap();
            s.connect(cx, id, to.parse().unwrap()).unwrap();
            s.send(cx, id, b"hello").unwrap();
            id
        })
    }

    fn error(&mut self, h: usize, id: SocketId) -> Option<(Errno, u8, u8, String)> {
        let icmp = self.hosts[h].take_icmp_error(id);
        let errno = self.hosts[h].take_error(id)?;
        icmp.map(|e| (errno, e.kind, e.code, e.from.to_string()))
    }

    fn drops(&self, host: usize, reason: DropReason) -> u64 {
        let here = |p: &Place| *p == Place::Node(NodeId(host as u32));
        self.trace.drops().filter(|(p, r, _)| here(p) && *r == reason).map(|(_, _, n)| n).sum()
    }

    /// A full exchange over an established connection.
    fn talk(&mut self, (h, c): (usize, SocketId), (g, l): (usize, SocketId)) -> SocketAddr {
        let (s, peer) = self.on(g, |s, cx| s.accept(cx, l)).expect("a connection waits");
        let mut buf = [0; 100];
        for ((from, a), (to, b)) in [((h, c), (g, s)), ((g, s), (h, c))] {
            assert_eq!(self.on(from, |st, cx| st.send(cx, a, b"across")), Ok(6));
            self.run(Duration::from_millis(100));
            assert_eq!(self.on(to, |st, cx| st.recv(cx, b, &mut buf)), Ok(6));
        }
        peer
    }
}

/// What a UDP socket of the friend receives of a datagram that the PC sends.
fn sent_through(lab: &mut Lab, data: &[u8], discover: MtuDiscover) -> Result<Vec<u8>, Errno> {
    let (to, port) = ("10.0.0.7:9", 9);
    let receiver = lab.on(FRIEND, |s, _| {
        let id = s.socket(SocketKind::Udp, PID).unwrap();
        s.bind(id, SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
        id
    });
    let sent = lab.on(PC, |s, cx| {
        let id = s.socket(SocketKind::Udp, PID).unwrap();
        s.set_option(cx, id, netarium_stack::SocketOption::MtuDiscover(discover)).unwrap();
        s.connect(cx, id, to.parse().unwrap()).unwrap();
        s.send(cx, id, data)
    });
    lab.run(second());
    let mut buf = vec![0; 70_000];
    let got = lab.on(FRIEND, |s, cx| s.recv(cx, receiver, &mut buf));
    lab.on(FRIEND, |s, cx| s.close(cx, receiver)).unwrap();
    sent?;
    got.map(|n| buf[..n].to_vec())
}

fn second() -> Duration {
    Duration::from_secs(1)
}

#[test]
fn a_router_forwards() {
    let mut lab = Lab::new();
    let l = lab.listen(FRIEND, 80);
    let c = lab.connect(PC, "10.0.0.7:80");
    lab.run(second());
    let peer = lab.talk((PC, c), (FRIEND, l));
    assert_eq!(peer.ip().to_string(), "192.168.17.20", "without NAT the address stays");
    assert!(lab.hosts[ROUTER].stats().ip_forwarded >= 7);
    assert_eq!(lab.hosts[FRIEND].stats().ip_forwarded, 0);
}

/// RFC 1812 §5.3.1 and §4.3.3: TTL exceeded, network, host and port unreachable, each told to the
/// sender by who noticed.
#[test]
fn errors_come_back_to_the_sender() {
    let mut lab = Lab::new();
    let ttl = lab.on(PC, |s, cx| {
        let id = s.socket(SocketKind::Udp, PID).unwrap();
        s.set_option(cx, id, netarium_stack::SocketOption::Ttl(1)).unwrap();
        s.connect(cx, id, "10.0.0.7:9".parse().unwrap()).unwrap();
        s.send(cx, id, b"x").unwrap();
        id
    });
    let net = lab.datagram(FRIEND, "172.16.0.1:9");
    let host = lab.datagram(PC, "10.0.0.99:9");
    let port = lab.datagram(PC, "10.0.0.7:9");
    lab.run(Duration::from_secs(10));
    let router = |inside: bool| if inside { "192.168.17.1" } else { "10.0.0.2" }.to_owned();
    assert_eq!(lab.error(PC, ttl), Some((Errno::EHOSTUNREACH, 11, 0, router(true))));
    assert_eq!(lab.error(FRIEND, net), Some((Errno::ENETUNREACH, 3, 0, router(false))));
    assert_eq!(lab.error(PC, host), Some((Errno::EHOSTUNREACH, 3, 1, router(true))));
    assert_eq!(lab.error(PC, port), Some((Errno::ECONNREFUSED, 3, 3, "10.0.0.7".to_owned())));
    for reason in [DropReason::TtlExceeded, DropReason::NoRoute, DropReason::NoNeighbour] {
        assert_eq!(lab.drops(ROUTER, reason), 1, "{reason:?}");
    }
    assert_eq!(lab.drops(FRIEND, DropReason::NoSocket), 1);
}

/// The course's router: masquerade outwards, tcp/65535 forwarded inwards, nothing else comes in.
#[test]
fn nat_router_masquerades_and_forwards_a_port() {
    let mut lab = Lab::new();
    let web = "192.168.17.20:80".parse().unwrap();
    lab.filter(ROUTER, |f| {
        f.nat_router(ETH0, ETH1, vec![PortForward::tcp(65_535, web)]).unwrap();
    });
    let (outside, inside) = (lab.listen(FRIEND, 80), lab.listen(PC, 80));
    let c = lab.connect(PC, "10.0.0.7:80");
    lab.run(second());
    let peer = lab.talk((PC, c), (FRIEND, outside));
    assert_eq!(peer.ip().to_string(), "10.0.0.2", "masqueraded");
    let outside_sees_inside = |l: &String| l.starts_with("h2") && l.contains("192.168.17.");
    assert!(!lab.seen.iter().any(outside_sees_inside), "{:?}", lab.seen);

    let f = lab.connect(FRIEND, "10.0.0.2:65535");
    lab.run(second());
    assert_eq!(lab.hosts[FRIEND].take_error(f), None);
    let peer = lab.talk((FRIEND, f), (PC, inside));
    assert_eq!(peer.ip().to_string(), "10.0.0.7", "DNAT keeps the source");

    let refused = lab.connect(FRIEND, "10.0.0.2:65534");
    let direct = lab.connect(FRIEND, "192.168.17.20:80");
    lab.run(second());
    assert_eq!(lab.hosts[FRIEND].take_error(refused), Some(Errno::ECONNREFUSED));
    assert_eq!(lab.hosts[FRIEND].take_error(direct), None);
    assert_eq!(lab.drops(ROUTER, DropReason::NatNoForward), 1);
}

/// Default deny: the SYN is dropped and counted, nobody is told; what the host began comes in.
#[test]
fn host_firewall_denies_by_default() {
    let mut lab = Lab::new();
    lab.filter(FRIEND, |f| f.host_firewall(vec![InboundRule::allow_tcp(80)]).unwrap());
    let (open, closed) = (lab.listen(FRIEND, 80), lab.listen(FRIEND, 81));
    let a = lab.connect(PC, "10.0.0.7:80");
    let b = lab.connect(PC, "10.0.0.7:81");
    lab.run(Duration::from_millis(500));
    lab.talk((PC, a), (FRIEND, open));
    assert_eq!(lab.drops(FRIEND, DropReason::FilterDrop), 1);
    assert_eq!(lab.on(FRIEND, |s, cx| s.accept(cx, closed)), Err(Errno::EAGAIN));
    let mine = lab.listen(PC, 90);
    let c = lab.connect(FRIEND, "192.168.17.20:90");
    lab.run(Duration::from_secs(140));
    lab.talk((FRIEND, c), (PC, mine));
    assert_eq!(lab.hosts[PC].take_error(b), Some(Errno::ETIMEDOUT));
    assert_eq!(lab.drops(FRIEND, DropReason::FilterDrop), 11, "the SYN and its ten copies");
}

/// RFC 1812 §4.3.2.8: a burst of 50, then 1000 in a second, whatever the pace of the offence.
#[test]
fn icmp_errors_are_limited() {
    let mut lab = Lab::new();
    lab.run(second());
    let mut offend = |times: u32, pace: Duration| {
        let before = lab.hosts[FRIEND].stats().icmp_out;
        for _ in 0..times {
            let ip = IpHeader::new("10.0.0.9".parse().unwrap(), "10.0.0.7".parse().unwrap());
            let mut frame = udp::frame(&ip, 1, 9, netarium_wire::Payload::new());
            frame.set_macs(mac(FRIEND, ETH0), mac(ROUTER, ETH1));
            lab.on(FRIEND, |s, cx| s.handle_frame(cx, ETH0, frame));
            lab.now += pace;
        }
        lab.hosts[FRIEND].stats().icmp_out - before
    };
    assert_eq!(offend(2000, Duration::ZERO), 50);
    // A bucket that forgets the rest of a step would answer every second one only.
    assert_eq!(offend(1000, Duration::from_micros(700)), 699);
    assert_eq!(lab.hosts[FRIEND].stats().icmp_rate_limited, 1950 + 301);
}

/// Pings through the router, and the error when there is nobody.
#[test]
fn pings_are_answered() {
    let mut lab = Lab::new();
    let id = lab.on(PC, |s, _| s.socket(SocketKind::Ping, PID)).unwrap();
    let ping = |lab: &mut Lab, to: &str, seq: u16| {
        let to = format!("{to}:0").parse().unwrap();
        let mut data = seq.to_be_bytes().to_vec();
        data.extend(b"payload");
        lab.on(PC, |s, cx| s.send_to(cx, id, to, &data)).unwrap();
        lab.run(Duration::from_secs(4));
    };
    let mut buf = [0; 64];
    for (to, seq, ttl) in [("10.0.0.7", 1, 63), ("192.168.17.1", 2, 64), ("10.0.0.2", 3, 64)] {
        ping(&mut lab, to, seq);
        let (n, meta) = lab.on(PC, |s, cx| s.recv_from(cx, id, &mut buf)).unwrap();
        assert_eq!(&buf[..n], [&seq.to_be_bytes()[..], b"payload"].concat());
        assert_eq!((meta.from.ip().to_string().as_str(), meta.ttl), (to, ttl));
    }
    ping(&mut lab, "10.0.0.99", 4);
    let e = lab.hosts[PC].take_icmp_error(id).expect("an error");
    assert_eq!((e.kind, e.code, e.seq), (3, 1, 4));
    assert_eq!(lab.hosts[PC].take_error(id), Some(Errno::EHOSTUNREACH));
}

/// RFC 791 §3.2: cut where the way is narrow, put together at the destination only; and with DF,
/// RFC 1191: told, learned, and cut by the sender from then on.
#[test]
fn long_datagrams_arrive_in_fragments() {
    let data: Vec<u8> = (0..5000).map(|n| (n % 251) as u8).collect();
    let mut lab = Lab::new();
    // The sender cuts what is longer than its own wire takes.
    assert_eq!(sent_through(&mut lab, &data, MtuDiscover::Want).as_deref(), Ok(&data[..]));
    let (pc, friend) = (lab.hosts[PC].stats(), lab.hosts[FRIEND].stats());
    assert_eq!((pc.ip_frag_oks, pc.ip_frag_creates), (1, 4));
    assert_eq!((friend.ip_reasm_reqds, friend.ip_reasm_oks), (4, 1));
    assert_eq!(lab.hosts[ROUTER].stats().ip_reasm_reqds, 0, "a plain router puts nothing together");
    // A narrower wire behind the router: fragments may be cut again.
    assert!(lab.hosts[ROUTER].set_mtu(ETH1, 576) && !lab.hosts[ROUTER].set_mtu(ETH1, 67));
    assert_eq!(sent_through(&mut lab, &data, MtuDiscover::Want).as_deref(), Ok(&data[..]));
    assert_eq!(lab.hosts[ROUTER].stats().ip_frag_oks, 4);
    // What fits into the sender's wire says DF: the router tells, and the next one is cut at home.
    let one = &data[..1200];
    assert_eq!(sent_through(&mut lab, one, MtuDiscover::Want), Err(Errno::EAGAIN));
    assert_eq!(lab.drops(ROUTER, DropReason::FragmentationNeeded), 1);
    assert_eq!(sent_through(&mut lab, one, MtuDiscover::Want).as_deref(), Ok(one));
    assert_eq!(lab.drops(ROUTER, DropReason::FragmentationNeeded), 1);
    // A program that forbids cutting hears of it at once; one that does not care is cut by routers.
    assert_eq!(sent_through(&mut lab, one, MtuDiscover::Do), Err(Errno::EMSGSIZE));
    assert_eq!(sent_through(&mut lab, one, MtuDiscover::Dont).as_deref(), Ok(one));
    assert_eq!(sent_through(&mut lab, &[0; 65_508], MtuDiscover::Want), Err(Errno::EMSGSIZE));
    // RFC 1191 §6.3: what was learned is forgotten after ten minutes.
    lab.run(Duration::from_secs(601));
    assert!(lab.hosts[ROUTER].set_mtu(ETH1, 1500));
    assert_eq!(sent_through(&mut lab, one, MtuDiscover::Do).as_deref(), Ok(one));
}

/// Connection tracking needs ports: fragments are put together before NAT, and cut again behind it.
#[test]
fn fragments_pass_network_address_translation() {
    let data: Vec<u8> = (0..4000).map(|n| (n % 251) as u8).collect();
    let mut lab = Lab::new();
    lab.filter(ROUTER, |f| f.nat_router(ETH0, ETH1, Vec::new()).unwrap());
    assert_eq!(sent_through(&mut lab, &data, MtuDiscover::Want).as_deref(), Ok(&data[..]));
    let router = lab.hosts[ROUTER].stats();
    assert_eq!((router.ip_reasm_oks, router.ip_frag_oks), (1, 1));
    assert!(lab.seen.iter().any(|s| s.starts_with("h2 10.0.0.2:")), "{:?}", lab.seen);
}

/// RFC 1122 §3.3.2: who cannot put a packet together in time tells the sender.
#[test]
fn what_stays_incomplete_is_told() {
    let mut lab = Lab::new();
    let c = lab.datagram(PC, "10.0.0.7:9");
    lab.run(second());
    let mut header = IpHeader::new("192.168.17.20".parse().unwrap(), "10.0.0.7".parse().unwrap());
    header.dont_fragment = false;
    let local = lab.hosts[PC].sockets().iter().find(|s| s.id == c).unwrap().local.port();
    let whole = udp::frame(&header, local, 9, netarium_wire::Payload::copy_from(&[1; 3000]));
    for (at, mut piece) in whole.fragment(1500).into_iter().enumerate() {
        piece.set_macs(mac(FRIEND, ETH0), mac(ROUTER, ETH1));
        if at != 1 {
            lab.on(FRIEND, |s, cx| s.handle_frame(cx, ETH0, piece));
        }
    }
    lab.run(Duration::from_secs(29));
    assert_eq!(lab.hosts[FRIEND].stats().ip_reasm_timeouts, 0);
    lab.run(Duration::from_secs(2));
    assert_eq!(lab.hosts[FRIEND].stats().ip_reasm_timeouts, 1);
    assert_eq!(lab.drops(FRIEND, DropReason::FragmentTimeout), 1);
    // Time exceeded, code 1, from the friend.
    let mut last = None;
    while let Some(error) = lab.hosts[PC].take_icmp_error(c) {
        last = Some((error.kind, error.code, error.from.to_string()));
    }
    assert_eq!(last, Some((11, 1, "10.0.0.7".to_owned())));
}
