//! Translation: masquerade, forwards, ports, mappings.

mod common;

use common::*;
use netarium_base::{DropReason, Duration};
use netarium_filter::{
    Chain, Filter, Match, NatTo, PortForward, PortRange, Rule, RuleError, Table, Target,
};
use netarium_wire::icmp::kind;
use netarium_wire::{TcpFlags, protocol};

#[test]
fn masquerade_keeps_a_free_port_and_answers_find_back() {
    let mut r = Router::nat();
    let out = r.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    assert_eq!(ends(&out), "10.0.0.2:40000 > 10.0.0.7:80");
    let back = r.arrive(OUTSIDE, &tcp("10.0.0.7:80", "10.0.0.2:40000", SYN_ACK)).left();
    assert_eq!(ends(&back), "10.0.0.7:80 > 192.168.17.20:40000");
    assert_eq!(
        r.events(),
        [
            "nat source 192.168.17.20:40000 10.0.0.2:40000",
            "conntrack new",
            "conntrack answered",
            "nat destination 10.0.0.2:40000 192.168.17.20:40000",
        ]
    );
    let m: Vec<_> = r.filter.mappings().collect();
    assert_eq!(m.len(), 1);
    assert_eq!((m[0].inside, m[0].outside), (at("192.168.17.20:40000"), at("10.0.0.2:40000")));
}

#[test]
fn each_event_of_a_packet_causes_the_next() {
    let mut r = Router::nat();
    let out = r.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    let records: Vec<_> = r.trace.records().collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].cause, records[0].id);
    assert_eq!(out.meta.cause.id, records[1].id);
}

#[test]
fn two_hosts_with_one_port_get_two_ports_for_one_server() {
    let mut r = Router::nat();
    r.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    let second = r.arrive(INSIDE, &tcp("192.168.17.21:40000", "10.0.0.7:80", SYN)).left();
    let (port, _) = second.ports().unwrap();
    assert!(port != 40_000 && port >= 1024);
    let back = tcp_at(at("10.0.0.7:80"), format!("10.0.0.2:{port}").parse().unwrap(), SYN_ACK);
    assert_eq!(ends(&r.arrive(OUTSIDE, &back).left()), "10.0.0.7:80 > 192.168.17.21:40000");
    // To another server nothing collides: but the mapping that exists is used (as Linux does).
    let other = r.arrive(INSIDE, &tcp("192.168.17.21:40000", "10.0.0.8:80", SYN)).left();
    assert_eq!(other.ports().unwrap().0, port);
    assert_eq!(r.filter.mappings().count(), 2);
    assert_eq!(r.filter.mappings().map(|m| m.sessions).sum::<u32>(), 3);
    // The same choice in every run.
    let mut again = Router::nat();
    again.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    let second = again.arrive(INSIDE, &tcp("192.168.17.21:40000", "10.0.0.7:80", SYN)).left();
    assert_eq!(second.ports().unwrap().0, port);
}

#[test]
fn the_class_of_a_low_port_is_kept() {
    let mut r = Router::nat();
    for (own, class) in [(300, 1..=511), (700, 600..=1023)] {
        let from = |host| format!("192.168.17.{host}:{own}");
        r.arrive(INSIDE, &tcp(&from(20), "10.0.0.7:80", SYN)).left();
        let second = r.arrive(INSIDE, &tcp(&from(21), "10.0.0.7:80", SYN)).left();
        let port = second.ports().unwrap().0;
        assert!(port != own && class.contains(&port), "{port}");
    }
}

#[test]
fn a_port_of_the_routers_own_sockets_is_never_taken() {
    let mut r = Router::nat();
    r.ports.0.push((protocol::TCP, 40_000));
    let out = r.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    assert_ne!(out.ports().unwrap().0, 40_000);
    // The router's own connections keep their ports.
    let own = r.send(tcp("10.0.0.2:40000", "10.0.0.7:80", SYN)).left();
    assert_eq!(ends(&own), "10.0.0.2:40000 > 10.0.0.7:80");
}

#[test]
fn the_routers_own_flow_makes_way_when_its_port_was_given_away() {
    let mut r = Router::nat();
    r.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    let own = r.send(tcp("10.0.0.2:40000", "10.0.0.7:80", SYN)).left();
    let port = own.ports().unwrap().0;
    assert_ne!(port, 40_000);
    let back = tcp_at(at("10.0.0.7:80"), format!("10.0.0.2:{port}").parse().unwrap(), SYN_ACK);
    assert_eq!(ends(&r.arrive(OUTSIDE, &back).local()), "10.0.0.7:80 > 10.0.0.2:40000");
}

#[test]
fn a_forward_leads_inside_and_answers_come_from_the_router() {
    let mut r = Router::nat();
    let f = r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN)).left();
    assert_eq!(ends(&f), "10.0.0.7:4000 > 192.168.17.17:80");
    let b = r.arrive(INSIDE, &tcp("192.168.17.17:80", "10.0.0.7:4000", SYN_ACK)).left();
    assert_eq!(ends(&b), "10.0.0.2:65535 > 10.0.0.7:4000");
    let (_, counters) = r.filter.forwards().next().unwrap();
    assert_eq!(counters.packets, 1, "flows are counted, not packets");
    assert_eq!(r.filter.mappings().count(), 0, "a forward is no mapping of an inside end point");
}

#[test]
fn outside_gets_nowhere_without_a_forward() {
    let mut r = Router::nat();
    // To the router's own address: the router's own stack decides (and refuses).
    let own = r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65534", SYN)).local();
    assert_eq!(ends(&own), "10.0.0.7:4000 > 10.0.0.2:65534");
    // To an inside address, by a host that routes it here.
    for flags in [SYN, ACK, TcpFlags::empty()] {
        let f = tcp("10.0.0.7:4001", "192.168.17.17:80", flags);
        assert_eq!(r.arrive(OUTSIDE, &f).dropped(), DropReason::NatNoForward);
    }
    let f = udp("10.0.0.7:4000", "192.168.17.17:53");
    assert_eq!(r.arrive(OUTSIDE, &f).dropped(), DropReason::NatNoForward);
    assert_eq!(r.filter.session_count(), 1);
    assert_eq!(r.filter.drops().collect::<Vec<_>>(), [(DropReason::NatNoForward, 4)]);
}

#[test]
fn refused_at_the_forwards_target_looks_refused_at_the_router() {
    let mut r = Router::nat();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN)).left();
    let rst = tcp("192.168.17.17:80", "10.0.0.7:4000", RST | ACK);
    assert_eq!(ends(&r.arrive(INSIDE, &rst).left()), "10.0.0.2:65535 > 10.0.0.7:4000");
    // A RST as the only answer ends the tracking at once.
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn forwards_match_interface_address_and_range() {
    let mut r = Router::new();
    let forward = PortForward {
        protocol: protocol::UDP,
        input: Some(OUTSIDE),
        destination: Some(ip(ROUTER)),
        ports: PortRange::new(5000, 5002).unwrap(),
        to: at("192.168.17.17:53"),
        text: "udp".into(),
    };
    r.filter.add_forward(&forward).unwrap();
    let f = r.arrive(OUTSIDE, &udp("10.0.0.7:4000", "10.0.0.2:5002")).left();
    assert_eq!(ends(&f), "10.0.0.7:4000 > 192.168.17.17:55");
    let back = r.arrive(INSIDE, &udp("192.168.17.17:55", "10.0.0.7:4000")).left();
    assert_eq!(ends(&back), "10.0.0.2:5002 > 10.0.0.7:4000");
    r.arrive(OUTSIDE, &udp("10.0.0.7:4000", "10.0.0.2:5003")).local();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:5002", SYN)).local();
    r.arrive(INSIDE, &udp("192.168.17.20:4000", "10.0.0.2:5002")).local();
    let f = r.arrive(OUTSIDE, &udp("10.0.0.7:4000", "192.168.17.20:5002")).left();
    assert_eq!(ends(&f), "10.0.0.7:4000 > 192.168.17.20:5002");
}

#[test]
fn forwards_change_while_connections_go_on() {
    let mut r = Router::nat();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN)).left();
    r.filter.remove_forward(0).unwrap();
    let f = r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN)).left();
    assert_eq!(ends(&f), "10.0.0.7:4000 > 192.168.17.17:80");
    r.arrive(OUTSIDE, &tcp("10.0.0.7:4001", "10.0.0.2:65535", SYN)).local();
    assert_eq!(r.filter.remove_forward(0), Err(RuleError::NoSuchRule { index: 0, len: 0 }));
}

#[test]
fn a_forward_and_a_direct_flow_to_one_server_are_kept_apart() {
    let mut r = Router::new();
    r.filter.add_forward(&PortForward::tcp(65_535, at("192.168.17.17:80"))).unwrap();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "192.168.17.17:80", SYN)).left();
    let f = r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN)).left();
    let port = f.ports().unwrap().0;
    assert_ne!(port, 4000, "the server could not tell the two connections apart");
    let to = format!("10.0.0.7:{port}").parse().unwrap();
    let back = r.arrive(INSIDE, &tcp_at(at("192.168.17.17:80"), to, SYN_ACK)).left();
    assert_eq!(ends(&back), "10.0.0.2:65535 > 10.0.0.7:4000");
}

#[test]
fn pings_share_the_outside_by_identifier() {
    let mut r = Router::nat();
    let one = r.arrive(INSIDE, &ping(PC, FRIEND, kind::ECHO_REQUEST, 7)).left();
    assert_eq!(ends(&one), "10.0.0.2:7 > 10.0.0.7:7");
    let two = r.arrive(INSIDE, &ping(WEB, FRIEND, kind::ECHO_REQUEST, 7)).left();
    let ident = netarium_wire::icmp::Icmp::of(&two).unwrap().ident();
    assert_ne!(ident, 7);
    let back = r.arrive(OUTSIDE, &ping(FRIEND, ROUTER, kind::ECHO_REPLY, ident)).left();
    assert_eq!(ends(&back), "10.0.0.7:7 > 192.168.17.17:7");
    let back = r.arrive(OUTSIDE, &ping(FRIEND, ROUTER, kind::ECHO_REPLY, 7)).left();
    assert_eq!(ends(&back), "10.0.0.7:7 > 192.168.17.20:7");
    // A ping the other way round is another flow, for the router itself.
    r.arrive(OUTSIDE, &ping(FRIEND, ROUTER, kind::ECHO_REQUEST, 7)).local();
    assert_eq!(r.filter.session_count(), 3);
}

#[test]
fn a_range_of_ports_runs_out() {
    let mut r = Router::new();
    let to = NatTo { ports: PortRange::new(2000, 2009), ..NatTo::address(ip("10.0.0.3")) };
    let matches = Match {
        protocol: Some(protocol::TCP.into()),
        output: Some(OUTSIDE.into()),
        source: Some("192.168.17.0/24".parse::<netarium_filter::Cidr>().unwrap().into()),
        ..Match::default()
    };
    let rule = Rule::new(matches, Target::Snat(to), "snat".into()).unwrap();
    r.filter.table_mut(Table::Nat).append(Chain::Postrouting.id(), rule).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let from = |n: u16| format!("192.168.17.20:{}", 40_000 + n);
    for n in 0..10 {
        let f = r.arrive(INSIDE, &tcp(&from(n), "10.0.0.7:80", SYN)).left();
        assert_eq!(f.src_ip(), Some(ip("10.0.0.3")));
        assert!(seen.insert(f.ports().unwrap().0));
    }
    assert!(seen.iter().all(|p| (2000..2010).contains(p)));
    for _ in 0..2 {
        let eleventh = r.arrive(INSIDE, &tcp(&from(10), "10.0.0.7:80", SYN));
        assert_eq!(eleventh.dropped(), DropReason::NatPortsExhausted);
    }
    // Another server has all ten again; a session that ends makes its port free.
    r.arrive(INSIDE, &tcp(&from(10), "10.0.0.8:80", SYN)).left();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:80", "10.0.0.3:2003", RST)).left();
    let f = r.arrive(INSIDE, &tcp(&from(11), "10.0.0.7:80", SYN)).left();
    assert_eq!(f.ports().unwrap().0, 2003);
    assert_eq!(r.filter.session_count(), 11);
}

#[test]
fn a_mapping_ends_with_its_last_session() {
    let mut r = Router::nat();
    r.arrive(INSIDE, &udp("192.168.17.20:5000", "10.0.0.7:53")).left();
    r.after(Duration::from_secs(20));
    r.arrive(INSIDE, &udp("192.168.17.20:5000", "10.0.0.8:53")).left();
    assert_eq!(r.filter.mappings().next().unwrap().sessions, 2);
    r.after(Duration::from_secs(10));
    assert_eq!(r.filter.mappings().next().unwrap().sessions, 1);
    r.after(Duration::from_secs(20));
    assert_eq!(r.filter.mappings().count(), 0);
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn what_belongs_to_no_flow_does_not_leave_with_an_inside_address() {
    let mut r = Router::nat();
    let stray = tcp("192.168.17.20:40000", "10.0.0.7:80", FIN_ACK);
    assert_eq!(r.arrive(INSIDE, &stray).dropped(), DropReason::ConntrackInvalid);
    let mut bytes = tcp("192.168.17.20:40000", "10.0.0.7:80", SYN).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let corrupt = netarium_wire::Frame::from_bytes(&bytes);
    assert_eq!(r.arrive(INSIDE, &corrupt).dropped(), DropReason::BadChecksum);
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn forwards_that_make_no_sense_are_refused() {
    let mut f = Filter::new(netarium_base::NodeId(0), netarium_base::Seed(0).luck("x", "y"));
    let ok = PortForward::tcp(1, at("10.0.0.1:1"));
    let refuse = |f: &mut Filter, p: PortForward| f.add_forward(&p).unwrap_err();
    let ports = PortRange::new(1, 10).unwrap();
    let beyond = PortForward { ports, to: at("10.0.0.1:65530"), ..ok.clone() };
    assert_eq!(refuse(&mut f, beyond), RuleError::ForwardRange { ports, to: 65_530 });
    let icmp = PortForward { protocol: protocol::ICMP, ..ok.clone() };
    assert_eq!(refuse(&mut f, icmp), RuleError::ForwardProtocol(1));
    let family = PortForward { destination: Some(ip("::1")), ..ok.clone() };
    assert_eq!(refuse(&mut f, family), RuleError::ForwardFamily(ip("::1"), ip("10.0.0.1")));
    assert_eq!(f.nat_router(INSIDE, INSIDE, vec![]), Err(RuleError::SameInterface));
    let bad = PortForward { protocol: 99, ..ok.clone() };
    assert!(f.nat_router(INSIDE, OUTSIDE, vec![ok, bad]).is_err());
    let rules: usize = f.table(Table::Nat).chains().map(|c| c.rules().len()).sum();
    assert_eq!((f.forwards().count(), rules), (0, 0), "all or nothing");
}

/// A forward of flows that the host begins: the router reaches the server by its own address.
#[test]
fn a_local_forward_redirects_what_the_host_itself_begins() {
    let mut r = Router::nat();
    let forward = PortForward {
        destination: Some(ip(ROUTER)),
        ..PortForward::tcp(65_535, at("192.168.17.17:80"))
    };
    let rule = forward.rule().unwrap();
    r.filter.table_mut(Table::Nat).append(Chain::Output.id(), rule).unwrap();
    let out = r.send(tcp("192.168.17.1:4000", "10.0.0.2:65535", SYN)).left();
    assert_eq!(ends(&out), "192.168.17.1:4000 > 192.168.17.17:80");
    let back = r.arrive(INSIDE, &tcp("192.168.17.17:80", "192.168.17.1:4000", SYN_ACK)).local();
    // The source is translated on the way in: the program sees the address that it asked for.
    assert_eq!(ends(&back), "10.0.0.2:65535 > 192.168.17.1:4000");
    let local = r.filter.table(Table::Nat).chain("OUTPUT").unwrap().rules().next().unwrap();
    assert_eq!((local.1.packets, r.filter.forwards().count()), (1, 1));
}

/// And to a port of its own (REDIRECT): over the loopback interface, translated once.
#[test]
fn a_redirect_to_the_host_itself_passes_the_loopback_once() {
    let mut r = Router::new();
    let redirect = Target::Redirect(Some(PortRange::one(8080)));
    let matches = Match {
        protocol: Some(protocol::TCP.into()),
        destination_ports: Some(PortRange::one(80).into()),
        ..Match::default()
    };
    let rule = Rule::new(matches, redirect, "redirect".into()).unwrap();
    r.filter.table_mut(Table::Nat).append(Chain::Output.id(), rule).unwrap();
    let lo = netarium_filter::LOOPBACK;
    let out = r.send(tcp("127.0.0.1:4000", "127.0.0.1:80", SYN)).left();
    let seen = r.arrive(lo, &out).local();
    assert_eq!(ends(&seen), "127.0.0.1:4000 > 127.0.0.1:8080");
    let out = r.send(tcp("127.0.0.1:8080", "127.0.0.1:4000", SYN_ACK)).left();
    assert_eq!(ends(&out), "127.0.0.1:80 > 127.0.0.1:4000");
    let seen = r.arrive(lo, &out).local();
    assert_eq!(ends(&seen), "127.0.0.1:80 > 127.0.0.1:4000");
    assert_eq!(r.filter.session_count(), 1);
}
