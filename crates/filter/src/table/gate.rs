//! The gate in front of a rule: the comparisons that most packets fail at, made ready when the rule
//! is, as one number to compare under a mask.
//!
//! A gate never refuses a packet that the rule matches; one that it lets through is compared in full.

use core::net::IpAddr;

use crate::matches::{Facts, Is, Match, States};
use crate::prefix::{Cidr, PortRange};

/// What is compared in front of a rule: of the bits of a packet's [`Probe`] those in `mask` are as
/// in `bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate {
    mask: u128,
    bits: u128,
}

/// A packet in one number: source and destination address (of IPv6 zero: no rule with an IPv4
/// network matches it), the ports, the protocol, and one bit for the state that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe(u128);

const SOURCE: u32 = 96;
const DESTINATION: u32 = 64;
const SOURCE_PORT: u32 = 48;
const DESTINATION_PORT: u32 = 32;
const PROTOCOL: u32 = 8;
const STATE: u32 = 0;

/// The states of which a packet is in exactly one.
const EXCLUSIVE: States = States::NEW
    .union(States::ESTABLISHED)
    .union(States::RELATED)
    .union(States::INVALID)
    .union(States::UNTRACKED);

impl Gate {
    pub(super) fn of(m: &Match) -> Gate {
        let mut gate = Gate { mask: 0, bits: 0 };
        gate.add(SOURCE, network(m.source));
        gate.add(DESTINATION, network(m.destination));
        gate.add(SOURCE_PORT, common_bits(m.source_ports));
        gate.add(DESTINATION_PORT, common_bits(m.destination_ports));
        gate.add(PROTOCOL, wanted(m.protocol).map(|p| (u32::from(p), 0xff)));
        gate.add(STATE, refused_states(m.states).map(|refused| (0, refused)));
        gate
    }

    fn add(&mut self, at: u32, part: Option<(u32, u32)>) {
        let (bits, mask) = part.unwrap_or_default();
        self.bits |= u128::from(bits & mask) << at;
        self.mask |= u128::from(mask) << at;
    }

    /// Whether the rule may match.
    #[inline]
    pub(super) fn lets(&self, packet: Probe) -> bool {
        packet.0 & self.mask == self.bits
    }
}

impl Probe {
    #[inline]
    pub(super) fn of(f: &Facts) -> Probe {
        // Without ports a rule that has some does not match anyway.
        let (sport, dport) = f.ports.unwrap_or_default();
        let low = u64::from(sport) << SOURCE_PORT
            | u64::from(dport) << DESTINATION_PORT
            | u64::from(f.protocol) << PROTOCOL
            | u64::from((f.state & EXCLUSIVE).bits()) << STATE;
        let high = u64::from(v4(f.src)) << 32 | u64::from(v4(f.dst));
        Probe(u128::from(high) << 64 | u128::from(low))
    }
}

/// What a packet must have; none when the rule wants something else than the value.
fn wanted<T>(is: Option<Is<T>>) -> Option<T> {
    is.filter(|m| !m.not).map(|m| m.value)
}

/// Network and mask of an IPv4 prefix.
fn network(prefix: Option<Is<Cidr>>) -> Option<(u32, u32)> {
    let prefix = wanted(prefix)?;
    Some((v4(prefix.address()), prefix.netmask()?.into()))
}

/// The leading bits that all ports of a range have in common, and a mask of them.
fn common_bits(ports: Option<Is<PortRange>>) -> Option<(u32, u32)> {
    let range = wanted(ports)?;
    let same = (range.first() ^ range.last()).leading_zeros();
    let mask = !u16::MAX.checked_shr(same).unwrap_or(0);
    Some((range.first().into(), mask.into()))
}

/// The states in which a packet does not match; none when a rule also asks for translations, which
/// are on top of a state.
fn refused_states(states: Option<Is<States>>) -> Option<u32> {
    let states = wanted(states).filter(|s| EXCLUSIVE.contains(*s))?;
    Some((EXCLUSIVE - states).bits().into())
}

fn v4(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(a) => a.into(),
        IpAddr::V6(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use netarium_base::Seed;

    use super::*;

    /// A rule and a packet out of few values, so that many pairs match.
    fn pair(draw: &mut impl FnMut(usize) -> usize) -> (Match, Facts) {
        let prefixes = ["10.0.0.0/8", "10.1.2.0/24", "0.0.0.0/0", "fe80::/10", "10.1.2.3/32"];
        let addresses = ["10.1.2.3", "10.9.9.9", "192.168.1.1", "fe80::1", "0.0.0.0"];
        let ranges = [(80, 80), (0, u16::MAX), (1000, 2000), (65_535, 65_535), (0, 0)];
        let ports = [80, 0, 1500, 65_535];
        let states = [States::NEW, States::ESTABLISHED, States::INVALID, States::UNTRACKED];
        let more = [States::empty(), States::SNAT, States::DNAT, States::empty()];
        fn maybe<T>(draw: &mut impl FnMut(usize) -> usize, value: T) -> Option<Is<T>> {
            [None, Some(Is::from(0)), Some(Is::not(0))][draw(3)].map(|i| Is { value, not: i.not })
        }
        let prefix = |i: usize| prefixes[i].parse::<Cidr>().expect("a prefix");
        let range = |(a, b)| PortRange::new(a, b).expect("a range");
        let rule = Match {
            protocol: {
                let p = [6, 17, 1][draw(3)];
                maybe(draw, p)
            },
            source: {
                let p = prefix(draw(5));
                maybe(draw, p)
            },
            destination: {
                let p = prefix(draw(5));
                maybe(draw, p)
            },
            source_ports: {
                let r = range(ranges[draw(5)]);
                maybe(draw, r)
            },
            destination_ports: {
                let r = range(ranges[draw(5)]);
                maybe(draw, r)
            },
            states: {
                let s = states[draw(4)] | states[draw(4)] | more[draw(4)];
                maybe(draw, s)
            },
            ..Match::default()
        };
        let facts = Facts {
            protocol: [6, 17, 1][draw(3)],
            src: addresses[draw(5)].parse().expect("an address"),
            dst: addresses[draw(5)].parse().expect("an address"),
            ports: (draw(4) > 0).then(|| (ports[draw(4)], ports[draw(4)])),
            flags: None,
            icmp: None,
            input: None,
            output: None,
            state: states[draw(4)] | more[draw(4)],
        };
        (rule, facts)
    }

    #[test]
    fn a_gate_never_refuses_what_its_rule_matches() {
        let mut luck = Seed(1).stream("gate", "pairs");
        let mut draw = |n: usize| (luck.next_u64() % n as u64) as usize;
        let (mut matching, mut refused) = (0, 0);
        for _ in 0..100_000 {
            let (rule, facts) = pair(&mut draw);
            let lets = Gate::of(&rule).lets(Probe::of(&facts));
            assert!(lets || !rule.matches(&facts), "{rule:?} {facts:?}");
            matching += u32::from(rule.matches(&facts));
            refused += u32::from(!lets);
        }
        assert!(matching > 1_000 && refused > 50_000, "{matching} {refused}");
    }
}
