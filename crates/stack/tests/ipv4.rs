//! What IPv4 asks besides forwarding: addresses that cannot be, broadcasts, redirects, addresses that
//! two have, programs that are told by their own host's rules.

mod common;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::{Net, PID, mac, ms};
use netarium_base::{DropReason, Event, IfIndex, Place};
use netarium_filter::{Chain, Match, Reject, Rule, Target};
use netarium_stack::{Errno, Lifetime, ReversePath, Route, SocketKind, SocketOption};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Arp, Frame, IpHeader, Payload, udp};

const ETH0: IfIndex = IfIndex(2);

fn drops(net: &Net, h: usize, reason: DropReason) -> u64 {
    let here = |p: &Place| *p == Place::Node(netarium_base::NodeId(h as u32));
    net.trace.drops().filter(|(p, r, _)| here(p) && *r == reason).map(|(_, _, n)| n).sum()
}

/// A datagram as it comes from the wire.
fn datagram(src: &str, dst: &str) -> Box<Frame> {
    let header = IpHeader::new(src.parse().unwrap(), dst.parse().unwrap());
    let mut frame = udp::frame(&header, 1000, 9, Payload::copy_from(b"x"));
    frame.set_macs(mac(0), mac(1));
    Frame::from_bytes(&frame.to_vec())
}

/// RFC 1812 §5.3.7, RFC 1122 §3.2.1.3: each impossible address has its own reason.
#[test]
fn martians_are_dropped_each_with_its_reason() {
    for (src, dst, reason) in [
        ("127.0.0.1", "10.0.0.1", Some(DropReason::MartianLoopback)),
        ("10.0.0.2", "127.0.0.1", Some(DropReason::MartianLoopback)),
        ("0.0.0.0", "10.0.0.1", Some(DropReason::MartianZero)),
        ("0.1.2.3", "10.0.0.1", Some(DropReason::MartianZero)),
        ("0.1.2.3", "255.255.255.255", Some(DropReason::MartianZero)),
        ("0.0.0.0", "255.255.255.255", None),
        ("240.0.0.1", "10.0.0.1", Some(DropReason::MartianReserved)),
        ("250.1.1.1", "10.0.0.1", Some(DropReason::MartianReserved)),
        ("255.255.255.255", "10.0.0.1", Some(DropReason::MartianGroup)),
        ("10.0.0.255", "10.0.0.1", Some(DropReason::MartianGroup)),
        ("224.0.0.5", "10.0.0.1", Some(DropReason::MartianGroup)),
        ("10.0.0.1", "10.0.0.1", Some(DropReason::MartianOwn)),
        ("10.0.0.2", "0.0.0.0", Some(DropReason::Martian)),
        ("10.0.0.2", "241.0.0.1", Some(DropReason::Martian)),
        ("10.0.0.2", "10.0.0.1", None),
    ] {
        let mut net = Net::new(2);
        net.on(0, |s, cx| s.handle_frame(cx, ETH0, datagram(src, dst)));
        let told: Vec<_> = net.trace.drops().map(|(_, r, _)| r).collect();
        // What is no martian finds nobody who listens.
        assert_eq!(told, [reason.unwrap_or(DropReason::NoSocket)], "{src} > {dst}");
        let martian = u64::from(reason.is_some());
        assert_eq!(net.hosts[0].stats().ip_in_errors, martian, "{src} > {dst}");
        assert!(reason.is_none_or(|r| r.sentence().len() > 30));
    }
}

/// RFC 3704 §2.2 (strict), §2.4 (loose).
#[test]
fn the_way_back_must_fit_where_asked() {
    for (mode, src, dropped) in [
        (ReversePath::Off, "172.16.0.1", false),
        (ReversePath::Loose, "172.16.0.1", true),
        (ReversePath::Loose, "10.0.7.1", false),
        (ReversePath::Strict, "10.0.7.1", true),
        (ReversePath::Strict, "10.0.0.2", false),
        (ReversePath::Strict, "172.16.0.1", true),
    ] {
        let mut net = Net::new(2);
        net.on(0, |s, _| {
            let eth1 = s.add_interface("eth1", mac(7), 1500);
            s.add_address(eth1, "10.0.7.2/24".parse().unwrap());
            s.set_reverse_path(mode);
        });
        net.on(0, |s, cx| s.handle_frame(cx, ETH0, datagram(src, "10.0.0.1")));
        assert_eq!(drops(&net, 0, DropReason::ReversePath), u64::from(dropped), "{mode:?} {src}");
    }
}

fn udp_socket(net: &mut Net, h: usize, port: u16) -> netarium_base::SocketId {
    net.on(h, |s, _| {
        let id = s.socket(SocketKind::Udp, PID).unwrap();
        s.bind(id, SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
        id
    })
}

/// RFC 1122 §3.3.6: limited and directed broadcast reach everybody on the wire, and nobody by
/// accident: a program must ask for it.
#[test]
fn broadcasts_reach_everybody_on_the_wire() {
    let mut net = Net::new(3);
    let receivers = [udp_socket(&mut net, 1, 9), udp_socket(&mut net, 2, 9)];
    let sender = udp_socket(&mut net, 0, 9000);
    let send = |net: &mut Net, to: &str| {
        let to = to.parse().unwrap();
        net.on(0, |s, cx| s.send_to(cx, sender, to, b"all"))
    };
    assert_eq!(send(&mut net, "10.0.0.255:9"), Err(Errno::EACCES), "as on Linux");
    net.on(0, |s, cx| s.set_option(cx, sender, SocketOption::Broadcast(true))).unwrap();
    assert_eq!(send(&mut net, "255.255.255.255:9"), Err(Errno::ENETUNREACH), "no way is known");
    assert_eq!(send(&mut net, "10.0.0.255:9"), Ok(3));
    // With a default route the limited broadcast leaves there, but for everybody: not for the router.
    net.on(0, |s, _| {
        let to = "0.0.0.0/0".parse().unwrap();
        let via = Some("10.0.0.2".parse().unwrap());
        s.add_route(Route { to, via, iface: ETH0, metric: 0, source: None })
    });
    assert_eq!(send(&mut net, "255.255.255.255:9"), Ok(3));
    net.run(ms(100));
    for (h, id) in [1, 2].into_iter().zip(receivers) {
        for to in ["10.0.0.255", "255.255.255.255"] {
            let mut buf = [0; 8];
            let (n, meta) = net.on(h, |s, cx| s.recv_from(cx, id, &mut buf)).unwrap();
            assert_eq!((n, meta.to), (3, to.parse::<IpAddr>().unwrap()));
        }
    }
}

/// RFC 2644: what is for everybody of another network is not let in there.
#[test]
fn a_router_forwards_no_directed_broadcast() {
    let mut net = Net::new(2);
    let mut router = netarium_stack::Stack::new(netarium_stack::StackConfig {
        node: netarium_base::NodeId(0),
        name: "r".to_owned(),
        seed: netarium_base::Seed(1),
        forwarding: true,
    });
    for (n, subnet) in ["10.0.0.1/24", "192.168.5.1/24"].into_iter().enumerate() {
        let iface = router.add_interface(&format!("eth{n}"), mac(0), 1500);
        router.add_address(iface, subnet.parse().unwrap());
    }
    net.hosts[0] = router;
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, datagram("10.0.0.2", "192.168.5.255")));
    assert_eq!(net.hosts[0].stats().ip_forwarded, 0);
    // Limited broadcasts are for the router itself, too, and go no further.
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, datagram("10.0.0.2", "255.255.255.255")));
    assert_eq!(net.hosts[0].stats().ip_forwarded, 0);
    assert_eq!(net.hosts[0].stats().udp_no_ports, 2);
    assert_eq!(net.hosts[0].stats().icmp_out, 0, "nobody is told about a broadcast");
}

/// RFC 1812 §5.2.7.2: redirects are neither believed nor sent.
#[test]
fn redirects_are_off() {
    let mut net = Net::new(2);
    let header = IpHeader::new("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap());
    let redirect = Icmp { kind: kind::REDIRECT, code: 1, rest: u32::from_be_bytes([10, 0, 0, 2]) };
    let quoted = datagram("10.0.0.1", "172.16.0.1").to_vec()[14..42].to_vec();
    let mut frame = redirect.frame(&header, Payload::copy_from(&quoted));
    frame.set_macs(mac(0), mac(1));
    let frame = Frame::from_bytes(&frame.to_vec());
    let routes = net.hosts[0].routes().to_vec();
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, frame));
    assert_eq!(drops(&net, 0, DropReason::RedirectIgnored), 1);
    assert_eq!(net.hosts[0].routes(), routes);
    // A router that sends a packet back where it came from says nothing.
    let mut router = netarium_stack::Stack::new(netarium_stack::StackConfig {
        node: netarium_base::NodeId(0),
        name: "r".to_owned(),
        seed: netarium_base::Seed(1),
        forwarding: true,
    });
    let iface = router.add_interface("eth0", mac(0), 1500);
    router.add_address(iface, "10.0.0.1/24".parse().unwrap());
    let (to, via) = ("0.0.0.0/0".parse().unwrap(), Some("10.0.0.2".parse().unwrap()));
    router.add_route(Route { to, via, iface, metric: 0, source: None });
    net.hosts[0] = router;
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, datagram("10.0.0.2", "172.16.0.1")));
    net.run(ms(100));
    let stats = net.hosts[0].stats();
    assert_eq!((stats.ip_forwarded, stats.icmp_out), (1, 0));
}

/// RFC 5227: two hosts with one address; both are told, with both stations.
#[test]
fn duplicate_addresses_are_told() {
    let mut net = Net::new(3);
    net.on(2, |s, _| s.add_address(ETH0, "10.0.0.1/24".parse().unwrap()));
    // The third host asks for somebody: its request shows that it has the first one's address, too.
    let id = udp_socket(&mut net, 2, 7);
    net.on(2, |s, _| s.remove_address(ETH0, "10.0.0.3".parse().unwrap()));
    net.on(2, |s, cx| s.send_to(cx, id, "10.0.0.2:9".parse().unwrap(), b"x")).unwrap();
    net.run(ms(100));
    assert_eq!(drops(&net, 0, DropReason::AddressConflict), 1);
    let told: Vec<String> = net
        .trace
        .records()
        .filter_map(|r| match &r.event {
            Event::Note { text } => Some(text.to_string()),
            _ => None,
        })
        .collect();
    let text = "two hosts have the address 10.0.0.1: 02:00:00:00:00:01 and 02:00:00:00:00:03";
    assert_eq!(told, [text]);
    // Within ten seconds it is told once.
    let announce = |net: &mut Net| {
        net.on(2, |s, cx| s.announce_address(cx, ETH0, Ipv4Addr::new(10, 0, 0, 1)));
        net.run(ms(10));
    };
    announce(&mut net);
    assert_eq!(drops(&net, 0, DropReason::AddressConflict), 2);
    let notes =
        |net: &Net| net.trace.records().filter(|r| matches!(r.event, Event::Note { .. })).count();
    assert_eq!(notes(&net), 1);
    net.run(ms(10_000));
    announce(&mut net);
    assert_eq!(notes(&net), 2);
}

/// RFC 5227 §2.1.1: who asks first hears of whoever has the address, or asks for it as well.
#[test]
fn probes_hear_who_has_an_address() {
    let mut net = Net::new(3);
    let (taken, free) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 9));
    for address in [taken, free] {
        assert!(net.on(0, |s, cx| s.probe_address(cx, ETH0, address)));
    }
    net.run(ms(50));
    assert_eq!(net.hosts[0].end_probe(ETH0, taken), Some(mac(1)));
    assert_eq!(net.hosts[0].probe_heard(ETH0, free), None);
    assert!(net.on(2, |s, cx| s.probe_address(cx, ETH0, free)));
    net.run(ms(50));
    assert_eq!(net.hosts[0].end_probe(ETH0, free), Some(mac(2)), "a simultaneous probe");
    assert_eq!(net.hosts[2].end_probe(ETH0, free), None, "the first one has stopped asking");
    // A probe teaches nobody a neighbour.
    assert!(net.hosts[1].neighbours(net.now).is_empty());
    // Others' ARP packets are no answer.
    let stranger = Arp {
        operation: Arp::REPLY,
        sender_mac: mac(5),
        sender: Ipv4Addr::new(10, 0, 0, 77),
        target_mac: mac(0),
        target: free,
    };
    net.on(0, |s, cx| s.probe_address(cx, ETH0, free));
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, stranger.frame(mac(0))));
    assert_eq!(net.hosts[0].end_probe(ETH0, free), None);
}

/// Addresses come and go, with their routes, also by themselves.
#[test]
fn addresses_come_and_go() {
    let mut net = Net::new(1);
    let second: IpAddr = "10.0.0.50".parse().unwrap();
    net.on(0, |s, _| {
        s.add_address(ETH0, "10.0.0.50/24".parse().unwrap());
        let (to, via) = ("0.0.0.0/0".parse().unwrap(), Some("10.0.0.2".parse().unwrap()));
        s.add_route(Route { to, via, iface: ETH0, metric: 0, source: None });
    });
    let valid_until = net.now + ms(5_000);
    let lifetime = Lifetime { valid_until, preferred_until: valid_until };
    assert!(net.hosts[0].set_lifetime(ETH0, second, Some(lifetime)));
    assert_eq!(net.hosts[0].next_deadline(), Some(valid_until));
    net.run(ms(5_001));
    assert_eq!(net.hosts[0].interfaces()[1].addresses.len(), 1);
    assert_eq!(net.hosts[0].routes().len(), 2, "the network's route is the first address'");
    assert!(net.hosts[0].remove_address(ETH0, "10.0.0.1".parse().unwrap()));
    assert!(net.hosts[0].routes().is_empty(), "an interface without an address has no routes");
    assert!(!net.hosts[0].remove_address(ETH0, second));
}

/// What Linux' programs hear of rules in their own host's OUTPUT chain: measured in a network
/// namespace with iptables 1.8.9 on Linux 6.18.
#[test]
fn rules_of_output_tell_the_program() {
    let icmp = |code| Target::Reject(Reject::Icmp { kind: kind::UNREACHABLE, code });
    for (target, again, connects) in [
        (Target::Drop, Errno::EPERM, Err(Errno::EAGAIN)),
        (icmp(3), Errno::ECONNREFUSED, Ok(Errno::ECONNREFUSED)),
        (icmp(10), Errno::EHOSTUNREACH, Ok(Errno::EHOSTUNREACH)),
    ] {
        let mut net = Net::new(2);
        let matches = Match {
            destination: Some(netarium_filter::Cidr::host("10.0.0.2".parse().unwrap()).into()),
            ..Match::default()
        };
        let rule = Rule::new(matches, target.clone(), "out".into()).unwrap();
        net.on(0, |s, _| s.filter_or_new().append_rule(Chain::Output, rule)).unwrap();
        let to = "10.0.0.2:9".parse().unwrap();
        let plain = udp_socket(&mut net, 0, 0);
        for _ in 0..2 {
            let sent = net.on(0, |s, cx| s.send_to(cx, plain, to, b"x"));
            assert_eq!(sent, Err(Errno::EPERM), "{target:?}");
            net.run(ms(10));
        }
        let connected = udp_socket(&mut net, 0, 0);
        net.on(0, |s, cx| s.connect(cx, connected, to)).unwrap();
        assert_eq!(net.send(0, connected, b"x"), Err(Errno::EPERM));
        net.run(ms(10));
        assert_eq!(net.send(0, connected, b"x"), Err(again), "{target:?}");
        let stream = net.connect(0, "10.0.0.2:80");
        net.run(ms(10));
        let told = net.hosts[0].take_error(stream).ok_or(Errno::EAGAIN);
        assert_eq!(told, connects, "{target:?}");
        let reason = match target {
            Target::Drop => DropReason::FilterDrop,
            _ => DropReason::FilterReject,
        };
        assert!(drops(&net, 0, reason) >= 4, "{target:?}");
    }
    // A reset, for TCP.
    let mut net = Net::new(2);
    let matches = Match { protocol: Some(6.into()), ..Match::default() };
    let reset = Target::Reject(Reject::TcpReset);
    let rule = Rule::new(matches, reset, "out".into()).unwrap();
    net.on(0, |s, _| s.filter_or_new().append_rule(Chain::Output, rule)).unwrap();
    // The rule is for the reset, too: as on Linux it ends there.
    let stream = net.connect(0, "10.0.0.2:80");
    net.run(ms(10));
    assert_eq!(net.hosts[0].take_error(stream), None);
    net.on(0, |s, _| s.filter_mut().unwrap().delete_rule(Chain::Output, 0)).unwrap();
    let to_web = Match {
        protocol: Some(6.into()),
        destination_ports: Some(netarium_filter::PortRange::one(80).into()),
        ..Match::default()
    };
    let rule = Rule::new(to_web, Target::Reject(Reject::TcpReset), "out".into()).unwrap();
    net.on(0, |s, _| s.filter_or_new().append_rule(Chain::Output, rule)).unwrap();
    let stream = net.connect(0, "10.0.0.2:80");
    net.run(ms(10));
    assert_eq!(net.hosts[0].take_error(stream), Some(Errno::ECONNREFUSED));
}
