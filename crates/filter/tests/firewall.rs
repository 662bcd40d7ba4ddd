//! The host firewall, chains of rules, policies and counters.

mod common;

use common::*;
use netarium_base::{DropReason, IfIndex};
use netarium_filter::firewall::DEFAULT_DENY;
use netarium_filter::table::RULES_MAX;
use netarium_filter::{
    Chain, Cidr, InboundAction, InboundRule, Is, Log, Match, Policy, PortRange, Reject, Rule,
    RuleError, States, Table, Target, TcpState,
};
use netarium_wire::icmp::kind;
use netarium_wire::protocol;

/// A host with one interface; what [`Router`] calls the router is this host.
fn host(inbound: Vec<InboundRule>) -> Router {
    let mut r = Router::new();
    r.filter.host_firewall(inbound).unwrap();
    r
}

#[test]
fn only_what_a_rule_names_comes_in() {
    let mut h = host(vec![InboundRule::allow_tcp(80)]);
    h.arrive(INSIDE, &tcp("192.168.17.20:4000", "192.168.17.1:80", SYN)).local();
    let no = h.arrive(INSIDE, &tcp("192.168.17.20:4000", "192.168.17.1:81", SYN));
    assert_eq!(no.dropped(), DropReason::FilterDrop);
    let no = h.arrive(INSIDE, &ping(PC, ROUTER_IN, kind::ECHO_REQUEST, 1));
    assert_eq!(no.dropped(), DropReason::FilterDrop);
    assert_eq!(
        h.events(),
        [
            "rule input allow tcp/80 accept",
            "conntrack new",
            "rule input default deny inbound drop",
            "rule input default deny inbound drop",
        ]
    );
    let rules: Vec<_> =
        h.filter.rules(Chain::Input).map(|(r, c)| (r.text().to_string(), c.packets)).collect();
    assert_eq!(
        rules,
        [("loopback".into(), 0), ("established, related".into(), 0), ("allow tcp/80".into(), 1)]
    );
    let input = h.filter.table(Table::Filter).chain("INPUT").unwrap();
    let (policy, text, counters) = input.policy();
    assert_eq!((policy, text.as_ref(), counters.packets), (Policy::Drop, DEFAULT_DENY, 2));
    assert_eq!(counters.bytes, 20 + 20 + 7 + 20 + 8 + 3);
    assert_eq!(h.filter.session_count(), 1, "a dropped first packet leaves nothing");
}

#[test]
fn answers_and_errors_come_back_to_who_asked() {
    let mut h = host(vec![]);
    h.send(tcp("192.168.17.1:4000", "192.168.17.17:80", SYN)).left();
    h.arrive(INSIDE, &tcp("192.168.17.17:80", "192.168.17.1:4000", SYN_ACK)).local();
    h.send(tcp("192.168.17.1:4000", "192.168.17.17:80", ACK)).left();
    h.arrive(INSIDE, &tcp("192.168.17.17:80", "192.168.17.1:4000", ACK)).local();
    let sent = h.send(udp("192.168.17.1:4000", "192.168.17.17:53")).left();
    h.arrive(INSIDE, &error_about(WEB, &sent, 8)).local();
    h.send(ping(ROUTER_IN, WEB, kind::ECHO_REQUEST, 1)).left();
    h.arrive(INSIDE, &ping(WEB, ROUTER_IN, kind::ECHO_REPLY, 1)).local();
    let no = h.arrive(INSIDE, &ping(WEB, ROUTER_IN, kind::ECHO_REPLY, 2));
    assert_eq!(no.dropped(), DropReason::FilterDrop);
    let no = h.arrive(INSIDE, &tcp("192.168.17.17:80", "192.168.17.1:4001", SYN_ACK));
    assert_eq!(no.dropped(), DropReason::FilterDrop);
}

#[test]
fn the_host_itself_is_no_stranger() {
    let mut h = host(vec![]);
    let (client, server) = ("127.0.0.1:4000", "127.0.0.1:80");
    let mut exchange = |from, to, flags| {
        let out = h.send(tcp(from, to, flags)).left();
        h.arrive(IfIndex(1), &out).local();
        let s = h.sessions();
        assert_eq!(s.len(), 1);
        s[0]
    };
    exchange(client, server, SYN);
    exchange(server, client, SYN_ACK);
    exchange(client, server, ACK);
    let s = exchange(client, server, FIN_ACK);
    assert_eq!(s.tcp, Some(TcpState::FinWait), "the FIN was seen once");
    assert_eq!((s.counters[0].packets, s.counters[1].packets), (3, 1), "counted once each");
    let mut h = host(vec![]);
    h.send(ping("127.0.0.1", "127.0.0.1", kind::ECHO_REQUEST, 1)).left();
    h.send(ping("127.0.0.1", "127.0.0.1", kind::ECHO_REPLY, 1)).left();
    let s = h.sessions()[0];
    assert_eq!((s.counters[0].packets, s.counters[1].packets), (1, 1));
}

#[test]
fn blocking_goes_before_allowing() {
    let block = InboundRule {
        text: "no friend".into(),
        action: InboundAction::Block,
        protocol: None,
        ports: None,
        source: Some(Cidr::host(ip(FRIEND))),
    };
    let mut h = host(vec![InboundRule::allow_tcp(80), block]);
    let f = tcp("10.0.0.7:4000", "192.168.17.1:80", SYN);
    assert_eq!(h.arrive(INSIDE, &f).dropped(), DropReason::FilterDrop);
    assert_eq!(h.events(), ["rule input no friend drop"]);
    h.arrive(INSIDE, &tcp("10.0.0.8:4000", "192.168.17.1:80", SYN)).local();
    let ports_of_nothing = InboundRule { protocol: None, ..InboundRule::allow_tcp(1) };
    assert_eq!(h.filter.host_firewall(vec![ports_of_nothing]), Err(RuleError::PortsNeedProtocol));
    assert_eq!(h.filter.rules(Chain::Input).count(), 4, "a refused change changes nothing");
}

fn rule(matches: Match, target: Target, text: &str) -> Rule {
    Rule::new(matches, target, text.into()).unwrap()
}

#[test]
fn rules_change_at_run_time_by_index() {
    let mut r = Router::new();
    let tcp_80 = Match {
        protocol: Some(protocol::TCP.into()),
        destination_ports: Some(PortRange::one(80).into()),
        ..Match::default()
    };
    let f = &mut r.filter;
    f.append_rule(Chain::Forward, rule(tcp_80.clone(), Target::Drop, "drop")).unwrap();
    f.insert_rule(Chain::Forward, 0, rule(tcp_80.clone(), Target::Log(Log::default()), "log"))
        .unwrap();
    let syn = tcp("192.168.17.20:4000", "10.0.0.7:80", SYN);
    assert_eq!(r.arrive(INSIDE, &syn).dropped(), DropReason::FilterDrop);
    assert_eq!(r.events(), ["rule forward log log", "rule forward drop drop"]);
    let reset = Target::Reject(Reject::TcpReset);
    let all = r.filter.table_mut(Table::Filter);
    all.replace("FORWARD", 1, rule(tcp_80.clone(), reset, "reset")).unwrap();
    assert!(matches!(r.arrive(INSIDE, &syn), Out::Rejected(Reject::TcpReset)));
    r.filter.delete_rule(Chain::Forward, 1).unwrap();
    r.arrive(INSIDE, &syn).left();
    let counted: Vec<_> = r.filter.rules(Chain::Forward).map(|(_, c)| c.packets).collect();
    assert_eq!(counted, [3]);
    r.filter.table_mut(Table::Filter).zero("FORWARD", None).unwrap();
    assert!(r.filter.rules(Chain::Forward).all(|(_, c)| c.packets == 0));
    let no_rule = Err(RuleError::NoSuchRule { index: 7, len: 1 });
    assert_eq!(r.filter.delete_rule(Chain::Forward, 7), no_rule);
    r.filter.table_mut(Table::Filter).flush("FORWARD").unwrap();
    assert_eq!(r.filter.rules(Chain::Forward).count(), 0);
    assert_eq!(
        r.filter.drops().collect::<Vec<_>>(),
        [(DropReason::FilterDrop, 1), (DropReason::FilterReject, 1)]
    );
}

#[test]
fn a_chain_takes_only_rules_that_it_can_ask() {
    let mut r = Router::new();
    let from = Match { input: Some(INSIDE.into()), ..Match::default() };
    let to = Match { output: Some(INSIDE.into()), ..Match::default() };
    let f = &mut r.filter;
    let no = f.append_rule(Chain::Output, rule(from, Target::Drop, "x"));
    assert_eq!(no, Err(RuleError::NoInput("OUTPUT".into())));
    let no = f.append_rule(Chain::Input, rule(to, Target::Drop, "x"));
    assert_eq!(no, Err(RuleError::NoOutput("INPUT".into())));
    let how = Reject::Icmp { kind: kind::UNREACHABLE, code: 13 };
    let reject = rule(Match::default(), Target::Reject(how), "x");
    let no = f.table_mut(Table::Nat).append("POSTROUTING", reject);
    let here = RuleError::TargetHere { target: "reject", chain: "POSTROUTING", table: "nat" };
    assert_eq!(no, Err(here));
    let any = rule(Match::default(), Target::Accept, "x");
    for _ in 0..RULES_MAX {
        f.append_rule(Chain::Input, any.clone()).unwrap();
    }
    assert_eq!(f.append_rule(Chain::Input, any), Err(RuleError::TooMany(RULES_MAX)));
}

#[test]
fn states_separate_old_from_new() {
    let mut r = Router::new();
    let old = States::ESTABLISHED | States::RELATED;
    let m = Match { states: Some(old.into()), ..Match::default() };
    r.filter.append_rule(Chain::Forward, rule(m, Target::Accept, "old")).unwrap();
    let m = Match {
        states: Some(States::NEW.into()),
        input: Some(Is::not(OUTSIDE.into())),
        ..Match::default()
    };
    r.filter.append_rule(Chain::Forward, rule(m, Target::Accept, "new from inside")).unwrap();
    r.filter.set_policy(Chain::Forward, Policy::Drop, "default".into()).unwrap();
    let syn = tcp("192.168.17.20:4000", "10.0.0.7:80", SYN);
    let out = r.arrive(INSIDE, &syn).left();
    r.arrive(INSIDE, &syn).left();
    r.arrive(OUTSIDE, &error_about(FRIEND, &out, 8)).left();
    r.arrive(OUTSIDE, &tcp("10.0.0.7:80", "192.168.17.20:4000", SYN_ACK)).left();
    for stranger in [SYN, ACK, RST, FIN_ACK] {
        let f = tcp("10.0.0.7:81", "192.168.17.20:4000", stranger);
        assert_eq!(r.arrive(OUTSIDE, &f).dropped(), DropReason::FilterDrop);
    }
    let counted: Vec<_> = r.filter.rules(Chain::Forward).map(|(_, c)| c.packets).collect();
    assert_eq!(counted, [2, 2]);
    assert_eq!(r.filter.policy(Chain::Forward).1.packets, 4);
}

/// The note's two firewalls: on the way in, rules see the port after its translation.
#[test]
fn a_rule_behind_a_forward_names_the_translated_port() {
    for (port, passes) in [(80, true), (65_535, false)] {
        let mut r = Router::nat();
        let m = Match {
            protocol: Some(protocol::TCP.into()),
            destination_ports: Some(PortRange::one(port).into()),
            input: Some(OUTSIDE.into()),
            ..Match::default()
        };
        r.filter.append_rule(Chain::Forward, rule(m, Target::Accept, "in")).unwrap();
        r.filter.set_policy(Chain::Forward, Policy::Drop, "default".into()).unwrap();
        let out = r.arrive(OUTSIDE, &tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN));
        assert_eq!(matches!(out, Out::Left(..)), passes, "rule for {port}");
    }
}
