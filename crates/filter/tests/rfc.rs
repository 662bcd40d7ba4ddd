//! What RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP) and RFC 7857 ask of a NAT, requirement by
//! requirement, on the presets that follow them. `docs/nat.md` holds the table.

mod common;

use common::*;
use netarium_base::{DropReason, Duration};
use netarium_filter::{
    Behaviour, Dependence, InboundRule, PortForward, PortRange, Preset, TcpState,
};
use netarium_wire::icmp::kind;
use netarium_wire::{Frame, protocol};

const STUN: &str = "10.0.0.8";

/// The course's router, of a kind.
fn router(preset: Preset) -> Router {
    let mut r = Router::nat();
    r.filter.set_preset(r.now, preset);
    r
}

/// The outside port that a flow from inside gets.
fn port_to(r: &mut Router, src: &str, dst: &str) -> u16 {
    r.arrive(INSIDE, &udp(src, dst)).left().ports().unwrap().0
}

fn from_outside(r: &mut Router, src: &str, port: u16) -> Out {
    r.arrive(OUTSIDE, &udp(src, &format!("{ROUTER}:{port}")))
}

fn syn_from_outside(r: &mut Router, src: &str, port: u16) -> Out {
    r.arrive(OUTSIDE, &tcp(src, &format!("{ROUTER}:{port}"), SYN))
}

const INNER: &str = "192.168.17.20:5000";

#[test]
fn rfc4787_req1_mappings_do_not_depend_on_the_far_end() {
    for preset in [Preset::Home, Preset::FullCone, Preset::Cgnat] {
        let mut r = router(preset);
        let first = port_to(&mut r, INNER, "10.0.0.7:53");
        for far in ["10.0.0.7:54", "10.0.0.8:53", "10.0.0.9:99"] {
            assert_eq!(port_to(&mut r, INNER, far), first, "{preset:?} {far}");
        }
        assert_eq!(r.filter.mappings().count(), 1);
    }
}

#[test]
fn a_symmetric_nat_has_a_port_for_every_far_end() {
    let mut r = router(Preset::Symmetric);
    let all: Vec<_> =
        ["10.0.0.7:53", "10.0.0.7:54", "10.0.0.8:53"].map(|far| port_to(&mut r, INNER, far)).into();
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
    assert_eq!(port_to(&mut r, INNER, "10.0.0.7:53"), all[0], "a known far end keeps its port");
    let dependent = Behaviour { mapping: Dependence::Address, ..Preset::Symmetric.behaviour() };
    let mut r = Router::nat();
    r.filter.set_behaviour(dependent);
    let [a, b, c] =
        ["10.0.0.7:53", "10.0.0.7:54", "10.0.0.8:53"].map(|far| port_to(&mut r, INNER, far));
    assert!(a == b && b != c, "address-dependent: {a} {b} {c}");
    // The mapping towards an address ends with its last session.
    r.after(Duration::from_secs(30));
    assert_eq!(r.filter.mappings().count(), 0);
}

#[test]
fn rfc4787_req2_one_inside_address_has_one_outside_address() {
    use netarium_filter::{Chain, Match, NatTo, Rule, Table, Target};
    let mut r = Router::new();
    r.filter.set_preset(r.now, Preset::Home);
    let to = NatTo { addresses: Some((ip("10.0.0.32"), ip("10.0.0.47"))), ..NatTo::default() };
    let matches = Match { output: Some(OUTSIDE.into()), ..Match::default() };
    let rule = Rule::new(matches, Target::Snat(to), "pool".into()).unwrap();
    r.filter.table_mut(Table::Nat).append(Chain::Postrouting.id(), rule).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for host in 20..40 {
        let mut of = |port: u16, far: &str| {
            let f = r.arrive(INSIDE, &udp(&format!("192.168.17.{host}:{port}"), far)).left();
            f.src_ip().unwrap()
        };
        let first = of(5000, "10.0.0.7:53");
        assert!((1..10).all(|n| of(5000 + n, &format!("10.0.0.8:{n}")) == first));
        seen.insert(first);
    }
    assert!(seen.len() > 4, "the pool is used: {seen:?}");
}

#[test]
fn rfc4787_req3_no_port_is_overloaded_and_its_class_is_kept() {
    let mut r = router(Preset::Home);
    let a = port_to(&mut r, "192.168.17.20:5000", "10.0.0.7:53");
    // Linux would give both port 5000, since their far ends differ.
    let b = port_to(&mut r, "192.168.17.21:5000", "10.0.0.8:53");
    assert_eq!((a, b == a, b >= 1024), (5000, false, true));
    let low = port_to(&mut r, "192.168.17.20:500", "10.0.0.7:53");
    let other = port_to(&mut r, "192.168.17.21:500", "10.0.0.7:53");
    assert!(low == 500 && other < 1024, "{low} {other}");
    let mut linux = router(Preset::Linux);
    let ports = ["192.168.17.20:5000", "192.168.17.21:5000"];
    let far = ["10.0.0.7:53", "10.0.0.8:53"];
    let both: Vec<_> =
        ports.iter().zip(far).map(|(src, far)| port_to(&mut linux, src, far)).collect();
    assert_eq!(both, [5000, 5000], "REQ-3 is what Linux does not do");
}

#[test]
fn rfc4787_req4_parity_is_kept_while_it_can_be() {
    let mut r = router(Preset::Cgnat);
    for n in 0..200u16 {
        let inner = 20_000 + n;
        let outer = port_to(&mut r, &format!("192.168.17.20:{inner}"), "10.0.0.7:53");
        assert_eq!(outer % 2, inner % 2);
    }
}

#[test]
fn rfc4787_req5_a_udp_mapping_lives_five_minutes_and_req6_packets_refresh_it() {
    let mut r = router(Preset::Home);
    port_to(&mut r, INNER, "10.0.0.7:53");
    r.after(Duration::from_secs(299));
    port_to(&mut r, INNER, "10.0.0.7:53");
    r.after(Duration::from_secs(299));
    assert_eq!(from_outside_answer(&mut r), INNER, "refreshed by what went out");
    r.after(Duration::from_secs(299));
    assert_eq!(r.filter.mappings().count(), 1, "what came in refreshes, too (REQ-6 b)");
    r.after(Duration::from_secs(1));
    assert_eq!((r.filter.mappings().count(), r.filter.session_count()), (0, 0));
}

fn from_outside_answer(r: &mut Router) -> String {
    let f = r.arrive(OUTSIDE, &udp("10.0.0.7:53", "10.0.0.2:5000")).left();
    format!("{}:{}", f.dst_ip().unwrap(), f.ports().unwrap().1)
}

#[test]
fn rfc4787_req8_filtering_in_its_three_kinds() {
    let base = Preset::Home.behaviour();
    for (filtering, admitted) in [
        (Dependence::Endpoint, [true, true, true]),
        (Dependence::Address, [true, true, false]),
        (Dependence::AddressAndPort, [true, false, false]),
    ] {
        let mut r = Router::nat();
        r.filter.set_behaviour(Behaviour { filtering, ..base });
        let port = port_to(&mut r, INNER, "10.0.0.7:53");
        let far = ["10.0.0.7:53", "10.0.0.7:54", "10.0.0.8:53"];
        for (far, wanted) in far.into_iter().zip(admitted) {
            let out = from_outside(&mut r, far, port);
            match wanted {
                true => assert_eq!(out.left().dst_ip(), Some(ip(PC)), "{filtering:?} {far}"),
                false => assert_eq!(out.dropped(), DropReason::NatNoForward, "{filtering:?} {far}"),
            }
        }
        // What was let in is answered from the same outside end point.
        if filtering == Dependence::Endpoint {
            assert_eq!(port_to(&mut r, INNER, "10.0.0.8:53"), port);
        }
        // A port without a mapping is the router's own business.
        assert!(matches!(from_outside(&mut r, "10.0.0.7:53", 6000), Out::Local(_)));
    }
}

#[test]
fn rfc4787_req9_inside_hosts_reach_each_other_by_the_outside() {
    let mut r = router(Preset::Home);
    let b = port_to(&mut r, "192.168.17.21:6000", "10.0.0.8:3478");
    let f = r.arrive(INSIDE, &udp(INNER, &format!("{ROUTER}:{b}"))).left();
    assert_eq!(ends(&f), "10.0.0.2:5000 > 192.168.17.21:6000", "the source is the external one");
    let f = r.arrive(INSIDE, &udp("192.168.17.21:6000", "10.0.0.2:5000")).left();
    assert_eq!(ends(&f), format!("10.0.0.2:{b} > 192.168.17.20:5000"));
    // And forwards: the web server by the router's outside address.
    let f = r.arrive(INSIDE, &tcp("192.168.17.20:4000", "10.0.0.2:65535", SYN)).left();
    assert_eq!(ends(&f), "10.0.0.2:4000 > 192.168.17.17:80");
    let f = r.arrive(INSIDE, &tcp("192.168.17.17:80", "10.0.0.2:4000", SYN_ACK)).left();
    assert_eq!(ends(&f), "10.0.0.2:65535 > 192.168.17.20:4000");
    let mut linux = router(Preset::Linux);
    let out = linux.arrive(INSIDE, &tcp("192.168.17.20:4000", "10.0.0.2:65535", SYN));
    assert!(matches!(out, Out::Local(_)), "Linux asks for a rule of its own");
}

#[test]
fn rfc4787_req12_icmp_errors_do_not_end_mappings() {
    let mut r = router(Preset::Home);
    let out = r.arrive(INSIDE, &udp(INNER, "10.0.0.7:53")).left();
    let error = r.arrive(OUTSIDE, &error_about(STUN, &out, 8)).left();
    assert_eq!(error.dst_ip(), Some(ip(PC)));
    assert_eq!((r.filter.mappings().count(), r.filter.session_count()), (1, 1));
}

#[test]
fn rfc5382_req1_and_req3_tcp_mappings_and_their_filtering() {
    let mut r = router(Preset::FullCone);
    let out = |r: &mut Router, far: &str| {
        r.arrive(INSIDE, &tcp(INNER, far, SYN)).left().ports().unwrap().0
    };
    let port = out(&mut r, "10.0.0.7:80");
    assert_eq!(out(&mut r, "10.0.0.8:81"), port);
    let f = syn_from_outside(&mut r, "10.0.0.9:999", port).left();
    assert_eq!(ends(&f), "10.0.0.9:999 > 192.168.17.20:5000");
}

#[test]
fn rfc5382_req2_simultaneous_open_passes() {
    for preset in Preset::ALL {
        let mut r = router(preset);
        let port = r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:7000", SYN)).left().ports().unwrap().0;
        let to = format!("{ROUTER}:{port}");
        let f = r.arrive(OUTSIDE, &tcp("10.0.0.7:7000", &to, SYN)).left();
        assert_eq!(ends(&f), "10.0.0.7:7000 > 192.168.17.20:5000", "{preset:?}");
        r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:7000", SYN_ACK)).left();
        r.arrive(OUTSIDE, &tcp("10.0.0.7:7000", &to, SYN_ACK)).left();
        r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:7000", ACK)).left();
        assert_eq!(r.sessions()[0].tcp, Some(TcpState::Established), "{preset:?}");
    }
}

#[test]
fn rfc5382_req4_an_unsolicited_syn_to_a_mapping_gets_no_answer() {
    let mut r = router(Preset::Home);
    let port = r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:80", SYN)).left().ports().unwrap().0;
    let out = syn_from_outside(&mut r, "10.0.0.8:80", port);
    assert_eq!(out.dropped(), DropReason::NatNoForward);
    // Then the inside opens towards it as well: from now on it may.
    r.arrive(INSIDE, &tcp(INNER, "10.0.0.8:80", SYN)).left();
    syn_from_outside(&mut r, "10.0.0.8:80", port).left();
}

fn established(r: &mut Router) {
    r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:80", SYN)).left();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:80", "10.0.0.2:5000", SYN_ACK)).left();
    r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:80", ACK)).left();
}

#[test]
fn rfc5382_req5_two_hours_and_four_minutes_established_four_minutes_else() {
    let mut r = router(Preset::Home);
    established(&mut r);
    r.after(Duration::from_secs(7_439));
    assert_eq!(r.filter.session_count(), 1);
    r.after(Duration::from_secs(1));
    assert_eq!(r.filter.session_count(), 0);
    // Half open: four minutes.
    r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:80", SYN)).left();
    r.after(Duration::from_secs(239));
    assert_eq!(r.filter.session_count(), 1);
    r.after(Duration::from_secs(1));
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn rfc7857_4_a_fin_shortens_and_a_rst_shortens_more() {
    let mut r = router(Preset::Home);
    established(&mut r);
    r.arrive(INSIDE, &tcp(INNER, "10.0.0.7:80", FIN_ACK)).left();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:80", "10.0.0.2:5000", FIN_ACK)).left();
    r.after(Duration::from_secs(240));
    assert_eq!(r.filter.session_count(), 0, "closing: four minutes");
    established(&mut r);
    r.arrive(OUTSIDE, &tcp("10.0.0.7:80", "10.0.0.2:5000", RST)).left();
    r.after(Duration::from_secs(10));
    assert_eq!(r.filter.session_count(), 0, "reset");
}

#[test]
fn rfc5508_req1_req2_and_req3_queries_keep_their_mapping() {
    let mut r = router(Preset::Home);
    let first = r.arrive(INSIDE, &ping(PC, FRIEND, kind::ECHO_REQUEST, 7)).left();
    let second = r.arrive(INSIDE, &ping(PC, STUN, kind::ECHO_REQUEST, 7)).left();
    let ident = |f: &Frame| netarium_wire::icmp::Icmp::of(f).unwrap().ident();
    assert_eq!(ident(&first), ident(&second), "REQ-1: endpoint-independent");
    r.after(Duration::from_secs(59));
    let back = r.arrive(OUTSIDE, &ping(FRIEND, ROUTER, kind::ECHO_REPLY, ident(&first))).left();
    assert_eq!(back.dst_ip(), Some(ip(PC)), "REQ-2: at least a minute");
    // REQ-7: between inside hosts by the outside address only queries that a mapping knows.
    r.after(Duration::from_secs(60));
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn port_exhaustion_tells_and_counts() {
    let mut r = Router::nat();
    r.filter.set_session_limit(100_000);
    let all = PortRange::new(1, 65_535);
    r.filter.set_behaviour(Behaviour { ports: all, ..Preset::Home.behaviour() });
    for n in 1..=65_535u32 {
        let src = format!("192.168.{}.{}:{n}", 17 + (n >> 15), 20 + (n & 1));
        r.arrive(INSIDE, &udp(&src, "10.0.0.7:53")).left();
    }
    // The 65,536th flow: no port of the address is left, for whichever far end.
    for far in ["10.0.0.7:53", "10.0.0.8:99"] {
        let out = r.arrive(INSIDE, &udp("192.168.17.99:1", far));
        assert_eq!(out.dropped(), DropReason::NatPortsExhausted);
    }
    assert!(r.filter.drops().any(|d| d == (DropReason::NatPortsExhausted, 2)));
    assert_eq!(r.filter.session_count(), 65_535);
    // TCP has ports of its own, and a mapping that ends makes room.
    r.arrive(INSIDE, &tcp("192.168.17.99:1", "10.0.0.7:53", SYN)).left();
    r.after(Duration::from_secs(30));
    r.arrive(INSIDE, &udp("192.168.17.99:1", "10.0.0.7:53")).left();
}

#[test]
fn forwards_one_to_one_by_ranges_and_changed_while_connections_run() {
    let mut r = Router::nat();
    let udp_range = PortForward {
        protocol: protocol::UDP,
        input: Some(OUTSIDE),
        destination: None,
        ports: PortRange::new(8000, 8010).unwrap(),
        to: at("192.168.17.17:9000"),
        text: "range".into(),
    };
    r.filter.add_forward(&udp_range).unwrap();
    let f = r.arrive(OUTSIDE, &udp("10.0.0.7:5000", "10.0.0.2:8003")).left();
    assert_eq!(ends(&f), "10.0.0.7:5000 > 192.168.17.17:9003");
    assert_eq!(r.filter.forwards().nth(1).unwrap().0, udp_range, "read back from its rule");
    // The rule goes; the flow stays, a new one does not come in.
    assert_eq!(r.filter.remove_forward(1).unwrap(), udp_range);
    r.arrive(OUTSIDE, &udp("10.0.0.7:5000", "10.0.0.2:8003")).left();
    assert!(matches!(r.arrive(OUTSIDE, &udp("10.0.0.7:5001", "10.0.0.2:8003")), Out::Local(_)));
}

/// A customer's NAT behind a carrier's: each sees only its own side.
#[test]
fn two_nats_in_a_row() {
    let mut home = router(Preset::Home);
    let mut carrier = router(Preset::Cgnat);
    home.arrive(INSIDE, &udp(INNER, "10.0.0.7:53")).left();
    // The carrier's inside is where the home's outside is.
    let out = carrier.arrive(INSIDE, &udp("192.168.17.2:5000", "10.0.0.7:53").clone()).left();
    let (port, _) = out.ports().unwrap();
    let back = from_outside(&mut carrier, "10.0.0.7:53", port).left();
    assert_eq!(back.dst_ip(), Some(ip("192.168.17.2")));
    let back = home.arrive(OUTSIDE, &udp("10.0.0.7:53", "10.0.0.2:5000")).left();
    assert_eq!(ends(&back), format!("10.0.0.7:53 > {INNER}"));
    // A stranger passes the carrier (endpoint-independent filtering) and ends at home.
    from_outside(&mut carrier, "10.0.0.9:1", port).left();
    let out = home.arrive(OUTSIDE, &udp("10.0.0.9:1", "10.0.0.2:5000"));
    assert_eq!(out.dropped(), DropReason::NatNoForward);
}

/// A behaviour is changed while flows run: they keep their ports, and are still found.
#[test]
fn a_kind_changed_while_flows_run() {
    let mut r = router(Preset::Linux);
    port_to(&mut r, INNER, "10.0.0.7:53");
    for preset in Preset::ALL.into_iter().cycle().take(13) {
        r.filter.set_preset(r.now, preset);
        assert_eq!(from_outside_answer(&mut r), INNER, "{preset:?}");
    }
    r.filter.host_firewall(vec![InboundRule::allow_tcp(1)]).unwrap();
    r.after(Duration::from_secs(400));
    assert_eq!((r.filter.mappings().count(), r.filter.session_count()), (0, 0));
}
