//! Arbitrary rules and kinds of NAT, changed between arbitrary packets: nothing panics, nothing grows
//! beyond its limit, the counters of mappings and sessions agree, and what was refused changed nothing.
//! The body is what a fuzz target would call.

mod common;

use common::*;
use netarium_base::Duration;
use netarium_filter::{
    Behaviour, Dependence, FlagTest, IcmpType, Interfaces, Is, Log, Match, NatTo, Policy,
    PortRange, PortSide, Ports, Preset, Profiles, Reject, Rule, States, Table, Target,
};
use netarium_wire::TcpFlags;
use proptest::prelude::*;

const CHAINS: [&str; 8] =
    ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "a", "b", "c"];

#[derive(Clone, Debug)]
enum Op {
    Append { nat: bool, chain: u8, rule: [u8; 12] },
    Insert { nat: bool, chain: u8, at: u8, rule: [u8; 12] },
    Replace { nat: bool, chain: u8, at: u8, rule: [u8; 12] },
    Delete { nat: bool, chain: u8, at: u8 },
    Flush { nat: bool, chain: u8 },
    NewChain { nat: bool, chain: u8 },
    DeleteChain { nat: bool, chain: u8 },
    Rename { nat: bool, chain: u8, to: u8 },
    Policy { chain: u8, drop: bool },
    Preset(u8),
    Kind([u8; 6]),
    Profile { on: bool, profile: u8 },
    Packet { inside: bool, host: u8, port: u8, peer: u8, what: u8, flags: u16 },
    Answer { flags: u16 },
    Own { port: u8, peer: u8 },
    Forget,
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    use any as a;
    let chain = || 0..8u8;
    prop_oneof![
        4 => (a::<bool>(), chain(), a::<[u8; 12]>())
            .prop_map(|(nat, chain, rule)| Op::Append { nat, chain, rule }),
        2 => (a::<bool>(), chain(), 0..4u8, a::<[u8; 12]>())
            .prop_map(|(nat, chain, at, rule)| Op::Insert { nat, chain, at, rule }),
        1 => (a::<bool>(), chain(), 0..4u8, a::<[u8; 12]>())
            .prop_map(|(nat, chain, at, rule)| Op::Replace { nat, chain, at, rule }),
        1 => (a::<bool>(), chain(), 0..4u8)
            .prop_map(|(nat, chain, at)| Op::Delete { nat, chain, at }),
        1 => (a::<bool>(), chain()).prop_map(|(nat, chain)| Op::Flush { nat, chain }),
        2 => (a::<bool>(), chain()).prop_map(|(nat, chain)| Op::NewChain { nat, chain }),
        1 => (a::<bool>(), chain()).prop_map(|(nat, chain)| Op::DeleteChain { nat, chain }),
        1 => (a::<bool>(), chain(), chain())
            .prop_map(|(nat, chain, to)| Op::Rename { nat, chain, to }),
        1 => (chain(), a::<bool>()).prop_map(|(chain, drop)| Op::Policy { chain, drop }),
        2 => (0..6u8).prop_map(Op::Preset),
        1 => a::<[u8; 6]>().prop_map(Op::Kind),
        1 => (a::<bool>(), 0..8u8).prop_map(|(on, profile)| Op::Profile { on, profile }),
        12 => (a::<bool>(), 0..4u8, 0..3u8, 0..4u8, 0..4u8, 0..0x40u16).prop_map(
            |(inside, host, port, peer, what, flags)| {
                Op::Packet { inside, host, port, peer, what, flags }
            }
        ),
        6 => prop_oneof![Just(0x12u16), Just(0x10), Just(0x11), Just(4)]
            .prop_map(|flags| Op::Answer { flags }),
        2 => (0..3u8, 0..3u8).prop_map(|(port, peer)| Op::Own { port, peer }),
        1 => Just(Op::Forget),
        2 => (0..200u64).prop_map(Op::Wait),
    ]
}

fn is<T>(value: T, bits: u8) -> Option<Is<T>> {
    match bits % 4 {
        0 => Some(Is::from(value)),
        1 => Some(Is::not(value)),
        _ => None,
    }
}

/// A rule, or what is none.
fn rule(b: [u8; 12]) -> Result<Rule, netarium_filter::RuleError> {
    let port = |n: u8| 40_000 + u16::from(n % 4);
    let range = PortRange::new(port(b[0]).min(port(b[1])), port(b[0]).max(port(b[1]))).unwrap();
    let net = |n: u8| -> netarium_filter::Cidr {
        ["192.168.17.0/24", "10.0.0.0/24", "10.0.0.7/32", "0.0.0.0/0", "fe80::/10"]
            [usize::from(n % 5)]
        .parse()
        .unwrap()
    };
    let list =
        Ports { side: PortSide::Either, ranges: vec![range; usize::from(b[10] % 9)], not: false };
    let matches = Match {
        protocol: is([6, 17, 1, 6][usize::from(b[2] % 4)], b[2] >> 4),
        source: is(net(b[3]), b[3] >> 4),
        destination: is(net(b[4]), b[4] >> 4),
        source_ports: is(range, b[5]),
        destination_ports: is(range, b[5] >> 4),
        multiport: if b[10] & 0xc0 == 0 { vec![list] } else { vec![] },
        tcp_flags: is(FlagTest::syn(), b[6]),
        input: is(Interfaces::from([INSIDE, OUTSIDE][usize::from(b[6] & 1)]), b[7]),
        output: is(Interfaces::named("x".into(), [OUTSIDE]), b[7] >> 4),
        states: is(States::from_bits_truncate(b[8]), b[8] >> 6),
        icmp: is(IcmpType { kind: 8, code: None }, b[9]),
        ..Match::default()
    };
    let address = |n: u8| [ip("10.0.0.3"), ip("192.168.17.17"), ip("::1")][usize::from(n % 3)];
    let to = NatTo {
        addresses: (b[0] & 1 == 0).then(|| (address(b[1]), address(b[2]))),
        ports: (b[3] & 1 == 0).then_some(range),
        base: (b[4] & 3 == 0).then_some(port(b[4])),
    };
    let ports = (b[5] & 1 == 0).then_some(range);
    let chain = CHAINS[usize::from(b[10] % 8)].into();
    let target = match b[11] % 13 {
        0 => Target::Continue,
        1 => Target::Drop,
        2 => Target::Reject(Reject::TcpReset),
        3 => Target::Reject(Reject::Icmp { kind: 3, code: 3 }),
        4 => Target::Log(Log { prefix: "x".repeat(usize::from(b[0] % 40)).into(), level: 4 }),
        5 => Target::Jump(chain),
        6 => Target::Goto(chain),
        7 => Target::Return,
        8 => Target::Dnat(to),
        9 => Target::Snat(to),
        10 => Target::Masquerade(ports),
        11 => Target::Redirect(ports),
        _ => Target::Accept,
    };
    let profiles = Profiles::from_bits_truncate(b[9]);
    Ok(Rule::new(matches, target, "r".into())?.scoped(b[9] & 0x80 == 0, profiles))
}

fn change(r: &mut Router, op: &Op) {
    let f = &mut r.filter;
    let table = |nat| if nat { Table::Nat } else { Table::Filter };
    let name = |n: u8| CHAINS[usize::from(n % 8)];
    let before = match *op {
        Op::Append { nat, chain, .. } | Op::Insert { nat, chain, .. } => {
            f.table(table(nat)).chain(name(chain)).map(|c| c.rules().len())
        }
        _ => None,
    };
    let put =
        match *op {
            Op::Append { nat, chain, rule: b } => {
                rule(b).and_then(|rule| f.table_mut(table(nat)).append(name(chain), rule))
            }
            Op::Insert { nat, chain, at, rule: b } => rule(b)
                .and_then(|rule| f.table_mut(table(nat)).insert(name(chain), at.into(), rule)),
            Op::Replace { nat, chain, at, rule: b } => rule(b)
                .and_then(|rule| f.table_mut(table(nat)).replace(name(chain), at.into(), rule)),
            Op::Delete { nat, chain, at } => {
                f.table_mut(table(nat)).delete(name(chain), at.into()).map(drop)
            }
            Op::Flush { nat, chain } => f.table_mut(table(nat)).flush(name(chain)),
            Op::NewChain { nat, chain } => f.table_mut(table(nat)).new_chain(name(chain)),
            Op::DeleteChain { nat, chain } => f.table_mut(table(nat)).delete_chain(name(chain)),
            Op::Rename { nat, chain, to } => {
                f.table_mut(table(nat)).rename_chain(name(chain), name(to))
            }
            Op::Policy { chain, drop } => {
                let to = if drop { Policy::Drop } else { Policy::Accept };
                f.table_mut(Table::Filter).set_policy(name(chain), to, "p".into())
            }
            _ => Ok(()),
        };
    if let (Some(before), Op::Append { nat, chain, .. } | Op::Insert { nat, chain, .. }) =
        (before, op)
    {
        let after = f.table(table(*nat)).chain(name(*chain)).unwrap().rules().len();
        assert_eq!(after, before + usize::from(put.is_ok()), "{put:?}");
    }
}

fn send(r: &mut Router, op: &Op, last: &mut Option<(bool, Box<netarium_wire::Frame>)>) {
    let flags = TcpFlags::from_bits_truncate;
    let (inside, frame) = match *op {
        Op::Packet { inside, host, port, peer, what, flags: f } => {
            let (from, to) = match inside {
                true => ("192.168.17.2", ["10.0.0.7", "10.0.0.8", ROUTER, ROUTER_IN]),
                false => ("10.0.0.1", [ROUTER, ROUTER, "192.168.17.17", "192.168.17.20"]),
            };
            let to = to[usize::from(peer)];
            let src = format!("{from}{host}:{}", 40_000 + u16::from(port));
            let dst = format!("{to}:{}", 40_000 + u16::from(peer));
            let frame = match what {
                0 | 1 => tcp(&src, &dst, flags(f)),
                2 => udp(&src, &dst),
                _ => ping(&format!("{from}{host}"), to, 8, port.into()),
            };
            (inside, frame)
        }
        Op::Answer { flags: f } => {
            let Some((inside, l)) = last else { return };
            let (Some((sport, dport)), Some(src), Some(dst)) = (l.ports(), l.src_ip(), l.dst_ip())
            else {
                return;
            };
            let (from, to) = (format!("{dst}:{dport}"), format!("{src}:{sport}"));
            let is_udp = l.protocol() == Some(17);
            (*inside, if is_udp { udp(&from, &to) } else { tcp(&from, &to, flags(f)) })
        }
        Op::Own { port, peer } => {
            let dst = format!("10.0.0.{}:80", 7 + peer);
            if let Out::Left(_, f) =
                r.send(udp(&format!("10.0.0.2:{}", 40_000 + u16::from(port)), &dst))
            {
                *last = Some((false, f));
            }
            return;
        }
        _ => return,
    };
    if let Out::Left(output, f) = r.arrive(if inside { INSIDE } else { OUTSIDE }, &frame) {
        *last = Some((output == INSIDE, f));
    }
}

fn run(ops: &[Op]) {
    const LIMIT: usize = 16;
    let mut r = Router::nat();
    r.filter.set_session_limit(LIMIT);
    let mut last = None;
    for op in ops {
        match *op {
            Op::Preset(n) => r.filter.set_preset(r.now, Preset::ALL[usize::from(n)]),
            Op::Kind(b) => r.filter.set_behaviour(Behaviour {
                mapping: Dependence::ALL[usize::from(b[0] % 3)],
                filtering: Dependence::ALL[usize::from(b[1] % 3)],
                preserve_ports: b[2] & 1 == 0,
                overload: b[3] & 3 == 0,
                ports: PortRange::new(40_000, 40_000 + u16::from(b[4] % 8))
                    .filter(|_| b[4] & 64 == 0),
                hairpin: b[5] & 1 == 0,
            }),
            Op::Profile { on, profile } => {
                r.filter.switch_profiles(Profiles::from_bits_truncate(profile), on);
                r.filter.set_profile(Profiles::from_bits_truncate(profile));
            }
            Op::Forget => {
                let all = r.filter.session_count();
                assert_eq!(r.filter.forget(r.now, |_| true), all);
            }
            Op::Wait(secs) => {
                r.after(Duration::from_secs(secs));
            }
            Op::Packet { .. } | Op::Answer { .. } | Op::Own { .. } => send(&mut r, op, &mut last),
            _ => change(&mut r, op),
        }
        let mapped: u32 = r.filter.mappings().map(|m| m.sessions).sum();
        assert!(r.filter.session_count() <= LIMIT && mapped as usize <= LIMIT);
        assert!(r.filter.mappings().all(|m| m.sessions > 0));
        assert!(r.filter.log().0.len() <= netarium_filter::log::LINES_MAX);
    }
    r.after(Duration::from_secs(1_000_000));
    assert_eq!((r.filter.session_count(), r.filter.mappings().count()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_rules_between_any_packets(ops in prop::collection::vec(op(), 1..80)) {
        run(&ops);
    }
}

/// Jumps that would multiply are refused when they are made.
#[test]
fn no_packet_passes_too_many_rules() {
    let mut r = Router::new();
    let t = r.filter.table_mut(Table::Filter);
    let jump =
        |to: &str| Rule::new(Match::default(), Target::Jump(to.into()), "jump".into()).unwrap();
    let name = |n: usize| format!("c{n}");
    t.new_chain("c0").unwrap();
    let mut refused = 0;
    for n in 1..40 {
        t.new_chain(&name(n)).unwrap();
        for _ in 0..2 {
            refused += usize::from(t.append(&name(n), jump(&name(n - 1))).is_err());
        }
    }
    assert_eq!(refused, 6, "each time that a packet would pass more than 65,536 rules");
    assert!(t.append("c0", jump("c3")).is_err(), "a circle");
    t.append("INPUT", jump("c9")).unwrap();
    r.arrive(INSIDE, &udp("192.168.17.20:1", "192.168.17.1:1")).local();
}

#[test]
fn user_chains_return_go_to_and_are_counted() {
    let mut r = Router::new();
    let t = r.filter.table_mut(Table::Filter);
    let any = |target: Target| Rule::new(Match::default(), target, "any".into()).unwrap();
    for chain in ["a", "b"] {
        t.new_chain(chain).unwrap();
    }
    t.append("a", any(Target::Goto("b".into()))).unwrap();
    t.append("a", any(Target::Drop)).unwrap();
    t.append("b", any(Target::Log(Log::default()))).unwrap();
    t.append("b", any(Target::Return)).unwrap();
    t.append("b", any(Target::Drop)).unwrap();
    t.append("INPUT", any(Target::Jump("a".into()))).unwrap();
    t.append("INPUT", any(Target::Continue)).unwrap();
    r.arrive(INSIDE, &udp("192.168.17.20:1", "192.168.17.1:1")).local();
    let t = r.filter.table(Table::Filter);
    let counted = |chain: &str| -> Vec<u64> {
        t.chain(chain).unwrap().rules().map(|(_, c)| c.packets).collect()
    };
    assert_eq!(
        (counted("INPUT"), counted("a"), counted("b")),
        (vec![1, 1], vec![1, 0], vec![1, 1, 0])
    );
    assert_eq!(t.chain("INPUT").unwrap().policy().2.packets, 1);
    assert_eq!(t.chain("b").unwrap().references(), 1);
    let line = r.filter.log().0.next().unwrap().text(|_| Some("eth0"));
    let wanted = "SRC=192.168.17.20 DST=192.168.17.1 LEN=31 TOS=0x00 PREC=0x00 TTL=64 ID=0 ";
    assert!(line.starts_with("IN=eth0 OUT= MAC=") && line.contains(wanted), "{line}");
    assert!(line.ends_with("PROTO=UDP SPT=1 DPT=1 LEN=11 "), "{line}");
}
