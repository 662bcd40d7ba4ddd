//! What rules match.

use super::*;

fn facts(dport: u16, state: States) -> Facts {
    Facts {
        protocol: protocol::TCP,
        src: "10.0.0.7".parse().unwrap(),
        dst: "192.168.17.17".parse().unwrap(),
        ports: Some((40_000, dport)),
        flags: Some(TcpFlags::SYN),
        icmp: None,
        input: Some(IfIndex(2)),
        output: None,
        state,
    }
}

#[test]
fn every_part_of_a_match_counts() {
    let all = Match {
        protocol: Some(protocol::TCP.into()),
        source: Some("10.0.0.0/24".parse::<Cidr>().unwrap().into()),
        destination: Some(Cidr::host("192.168.17.17".parse().unwrap()).into()),
        source_ports: Some(PortRange::new(1024, 65_535).unwrap().into()),
        destination_ports: Some(PortRange::one(80).into()),
        input: Some(IfIndex(2).into()),
        states: Some((States::NEW | States::RELATED).into()),
        tcp_flags: Some(FlagTest::syn().into()),
        multiport: vec![ports(PortSide::Destination, &[443, 80])],
        comment: Some("any".into()),
        ..Match::default()
    };
    let hit = facts(80, States::NEW);
    assert!(all.matches(&hit) && Match::default().matches(&hit));
    let misses = [
        Facts { protocol: protocol::UDP, ..hit },
        Facts { src: "10.0.1.7".parse().unwrap(), ..hit },
        Facts { dst: "192.168.17.18".parse().unwrap(), ..hit },
        Facts { ports: Some((1023, 80)), ..hit },
        Facts { ports: Some((40_000, 81)), ..hit },
        Facts { ports: None, ..hit },
        Facts { input: Some(IfIndex(3)), ..hit },
        Facts { flags: Some(TcpFlags::SYN | TcpFlags::ACK), ..hit },
        Facts { state: States::ESTABLISHED, ..hit },
    ];
    for miss in misses {
        assert!(!all.matches(&miss), "{miss:?}");
    }
}

fn ports(side: PortSide, ports: &[u16]) -> Ports {
    Ports { side, ranges: ports.iter().map(|&p| PortRange::one(p)).collect(), not: false }
}

#[test]
fn lists_of_ports_look_at_either_side() {
    let hit = facts(80, States::NEW);
    for (side, list, wanted) in [
        (PortSide::Source, [40_000, 1], true),
        (PortSide::Source, [80, 1], false),
        (PortSide::Destination, [1, 80], true),
        (PortSide::Either, [80, 1], true),
        (PortSide::Either, [1, 40_000], true),
        (PortSide::Either, [1, 2], false),
    ] {
        let list = ports(side, &list);
        let not = Ports { not: true, ..list.clone() };
        let m = |list| Match { multiport: vec![list], ..Match::default() };
        assert_eq!(m(list.clone()).matches(&hit), wanted, "{list:?}");
        assert_eq!(m(not).matches(&hit), !wanted, "not {list:?}");
        assert!(!m(list).matches(&Facts { ports: None, ..hit }));
    }
}

#[test]
fn any_icmp_type_is_255_and_names_mean_interfaces() {
    let echo = Facts { icmp: Some((8, 0)), ports: None, ..facts(0, States::NEW) };
    let icmp =
        |kind, code| Match { icmp: Some(IcmpType { kind, code }.into()), ..Match::default() };
    assert!(icmp(IcmpType::ANY, None).matches(&echo) && icmp(8, Some(0)).matches(&echo));
    assert!(!icmp(8, Some(1)).matches(&echo) && !icmp(0, None).matches(&echo));
    assert!(!icmp(IcmpType::ANY, None).matches(&facts(1, States::NEW)));
    let named = |all: &[u16]| Match {
        input: Some(Interfaces::named("eth+".into(), all.iter().map(|&i| IfIndex(i))).into()),
        ..Match::default()
    };
    assert!(named(&[1, 2]).matches(&echo) && !named(&[]).matches(&echo));
}

#[test]
fn a_not_turns_one_part_round() {
    let not_80 = Match { destination_ports: Some(Is::not(PortRange::one(80))), ..Match::default() };
    assert!(!not_80.matches(&facts(80, States::NEW)));
    assert!(not_80.matches(&facts(81, States::NEW)));
    assert!(!not_80.matches(&Facts { ports: None, ..facts(81, States::NEW) }));
}
