//! Rules: what they compare, what they ask for, and the check that makes a rule of both.
//!
//! A [`Rule`] is validated when it is made and again, against the chain, when it is put into one
//! (see [`crate::Filter::insert_rule`]); behind that door nothing is re-checked.

use core::net::IpAddr;

use bitflags::bitflags;
use netarium_base::IfIndex;
use netarium_base::trace::Text;
use netarium_wire::{Frame, protocol};

use crate::Reject;
use crate::prefix::{Cidr, PortRange};
use crate::tuple::icmp_of;

bitflags! {
    /// What connection tracking thinks of a packet. A packet is in exactly one state; a rule may
    /// ask for several.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct States: u8 {
        /// It belongs to a flow that no answer was seen of yet.
        const NEW = 1;
        /// It belongs to a flow with packets in both directions.
        const ESTABLISHED = 2;
        /// It is an ICMP error about a tracked flow.
        const RELATED = 4;
        /// It belongs to nothing known and cannot begin anything.
        const INVALID = 8;
    }
}

/// A value to compare with, or (`not`) to differ from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Is<T> {
    /// The value.
    pub value: T,
    /// Whether the rule wants anything but the value (`!` of iptables).
    pub not: bool,
}

impl<T> From<T> for Is<T> {
    fn from(value: T) -> Is<T> {
        Is { value, not: false }
    }
}

impl<T> Is<T> {
    /// Anything but `value`.
    pub fn not(value: T) -> Is<T> {
        Is { value, not: true }
    }

    fn ok(&self, test: impl FnOnce(&T) -> bool) -> bool {
        test(&self.value) != self.not
    }
}

/// An ICMP type with an optional code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpType {
    /// Type.
    pub kind: u8,
    /// Code; any when absent.
    pub code: Option<u8>,
}

/// What a rule compares. Absent parts match everything; a packet matches when all parts do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// IP protocol number.
    pub protocol: Option<Is<u8>>,
    /// Source address.
    pub source: Option<Is<Cidr>>,
    /// Destination address.
    pub destination: Option<Is<Cidr>>,
    /// Source port; TCP or UDP only.
    pub source_ports: Option<Is<PortRange>>,
    /// Destination port; TCP or UDP only.
    pub destination_ports: Option<Is<PortRange>>,
    /// Interface the packet came by.
    pub input: Option<Is<IfIndex>>,
    /// Interface the packet leaves by.
    pub output: Option<Is<IfIndex>>,
    /// Connection-tracking state.
    pub states: Option<Is<States>>,
    /// ICMP type; ICMP or ICMPv6 only.
    pub icmp: Option<Is<IcmpType>>,
}

/// What happens to a packet that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It goes on; no later rule of the chain is asked.
    Accept,
    /// It ends without a word.
    Drop,
    /// It ends, and its sender is told.
    Reject(Reject),
    /// It is noted in the trace, and the next rule is asked.
    Log,
}

impl Target {
    /// accept, drop, reject or log: the verdict in a trace event.
    pub fn name(self) -> &'static str {
        match self {
            Target::Accept => "accept",
            Target::Drop => "drop",
            Target::Reject(_) => "reject",
            Target::Log => "log",
        }
    }
}

/// A validated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    matches: Match,
    target: Target,
    text: Text,
}

/// Why something is not a rule, or not one for this chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Ports without TCP or UDP.
    #[error("ports need the protocol tcp or udp")]
    PortsNeedProtocol,
    /// An ICMP type without ICMP.
    #[error("an ICMP type needs the protocol icmp")]
    IcmpNeedsProtocol,
    /// A RST for something other than TCP.
    #[error("rejecting with a TCP reset needs the protocol tcp")]
    ResetNeedsTcp,
    /// Source and destination of different address families.
    #[error("source {0} and destination {1} are of different address families")]
    FamiliesDiffer(Cidr, Cidr),
    /// No state at all: nothing would ever match.
    #[error("the set of states is empty")]
    NoStates,
    /// An input interface in a chain for packets without one.
    #[error("the chain {0} has no input interface to compare with")]
    NoInput(&'static str),
    /// An output interface in a chain where none is chosen yet.
    #[error("the chain {0} has no output interface to compare with")]
    NoOutput(&'static str),
    /// REJECT where no answer can be made.
    #[error("reject works in the chains input, forward and output only, not in {0}")]
    RejectHere(&'static str),
    /// No rule has this index.
    #[error("there is no rule {index}; the chain has {len}")]
    NoSuchRule {
        /// Index asked for, from 0.
        index: usize,
        /// Rules in the chain.
        len: usize,
    },
    /// The list is full.
    #[error("at most {0} rules fit into a chain")]
    TooMany(usize),
    /// The forwarded ports do not fit behind the target's first port.
    #[error("ports {ports} forwarded to port {to} would go beyond 65535 or include port 0")]
    ForwardRange {
        /// Ports forwarded.
        ports: PortRange,
        /// First port of the target.
        to: u16,
    },
    /// Only TCP and UDP have ports to forward.
    #[error("IP protocol {0} has no ports to forward; only tcp (6) and udp (17) do")]
    ForwardProtocol(u8),
    /// A forward between address families.
    #[error("a forward from {0} to {1} would change the address family")]
    ForwardFamily(IpAddr, IpAddr),
    /// A translation with the same interface on both sides.
    #[error("the inside and the outside of a translation are the same interface")]
    SameInterface,
}

impl Rule {
    /// A rule, when its parts fit together. `text` is how it is shown: as written, or its name.
    pub fn new(matches: Match, target: Target, text: Text) -> Result<Rule, RuleError> {
        matches.check()?;
        let tcp = matches.protocol == Some(Is::from(protocol::TCP));
        if target == Target::Reject(Reject::TcpReset) && !tcp {
            return Err(RuleError::ResetNeedsTcp);
        }
        Ok(Rule { matches, target, text })
    }

    /// What it compares.
    pub fn matches(&self) -> &Match {
        &self.matches
    }

    /// What it asks for.
    pub fn target(&self) -> Target {
        self.target
    }

    /// How it is shown.
    pub fn text(&self) -> &Text {
        &self.text
    }
}

impl Match {
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        let is = |wanted: &[u8]| self.protocol.is_some_and(|p| !p.not && wanted.contains(&p.value));
        let ports = self.source_ports.is_some() || self.destination_ports.is_some();
        if ports && !is(&[protocol::TCP, protocol::UDP]) {
            return Err(RuleError::PortsNeedProtocol);
        }
        if self.icmp.is_some() && !is(&[protocol::ICMP, protocol::ICMPV6]) {
            return Err(RuleError::IcmpNeedsProtocol);
        }
        if self.states.is_some_and(|s| s.value.is_empty()) {
            return Err(RuleError::NoStates);
        }
        match (self.source, self.destination) {
            (Some(s), Some(d)) if s.value.address().is_ipv4() != d.value.address().is_ipv4() => {
                Err(RuleError::FamiliesDiffer(s.value, d.value))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn matches(&self, f: &Facts) -> bool {
        self.protocol.is_none_or(|m| m.ok(|&p| p == f.protocol))
            && self.input.is_none_or(|m| m.ok(|&i| f.input == Some(i)))
            && self.output.is_none_or(|m| m.ok(|&i| f.output == Some(i)))
            && self.states.is_none_or(|m| m.ok(|s| s.intersects(f.state)))
            && self.source.is_none_or(|m| m.ok(|p| p.contains(f.src)))
            && self.destination.is_none_or(|m| m.ok(|p| p.contains(f.dst)))
            && port_matches(self.source_ports, f.ports.map(|p| p.0))
            && port_matches(self.destination_ports, f.ports.map(|p| p.1))
            && self.icmp.is_none_or(|m| {
                f.icmp.is_some_and(|(kind, code)| {
                    m.ok(|t| t.kind == kind && t.code.is_none_or(|c| c == code))
                })
            })
    }
}

/// A packet without ports matches neither a range nor its opposite.
fn port_matches(wanted: Option<Is<PortRange>>, port: Option<u16>) -> bool {
    wanted.is_none_or(|m| port.is_some_and(|p| m.ok(|r| r.contains(p))))
}

/// What rules compare with, taken from a packet once per hook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) protocol: u8,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) icmp: Option<(u8, u8)>,
    pub(crate) input: Option<IfIndex>,
    pub(crate) output: Option<IfIndex>,
    pub(crate) state: States,
}

impl Facts {
    /// The facts of an IP packet; `None` for other frames.
    pub(crate) fn of(
        frame: &Frame,
        input: Option<IfIndex>,
        output: Option<IfIndex>,
        state: States,
    ) -> Option<Facts> {
        Some(Facts {
            protocol: frame.protocol()?,
            src: frame.src_ip()?,
            dst: frame.dst_ip()?,
            ports: frame.ports(),
            icmp: icmp_of(frame).map(|i| (i.kind, i.code)),
            input,
            output,
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(dport: u16, state: States) -> Facts {
        Facts {
            protocol: protocol::TCP,
            src: "10.0.0.7".parse().unwrap(),
            dst: "192.168.17.17".parse().unwrap(),
            ports: Some((40_000, dport)),
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
            output: None,
            states: Some((States::NEW | States::RELATED).into()),
            icmp: None,
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
            Facts { state: States::ESTABLISHED, ..hit },
        ];
        for miss in misses {
            assert!(!all.matches(&miss), "{miss:?}");
        }
    }

    #[test]
    fn a_not_turns_one_part_round() {
        let not_80 =
            Match { destination_ports: Some(Is::not(PortRange::one(80))), ..Match::default() };
        assert!(!not_80.matches(&facts(80, States::NEW)));
        assert!(not_80.matches(&facts(81, States::NEW)));
        assert!(!not_80.matches(&Facts { ports: None, ..facts(81, States::NEW) }));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        let make = |m: Match, t| Rule::new(m, t, "x".into()).unwrap_err();
        let ports =
            Match { destination_ports: Some(PortRange::one(80).into()), ..Match::default() };
        assert_eq!(make(ports.clone(), Target::Accept), RuleError::PortsNeedProtocol);
        let not_udp = Match { protocol: Some(Is::not(protocol::UDP)), ..ports };
        assert_eq!(make(not_udp, Target::Accept), RuleError::PortsNeedProtocol);
        let icmp = IcmpType { kind: 8, code: None };
        let icmp = Match { icmp: Some(icmp.into()), ..Match::default() };
        assert_eq!(make(icmp, Target::Accept), RuleError::IcmpNeedsProtocol);
        let reset = Target::Reject(Reject::TcpReset);
        assert_eq!(make(Match::default(), reset), RuleError::ResetNeedsTcp);
        let none = Match { states: Some(States::empty().into()), ..Match::default() };
        assert_eq!(make(none, Target::Drop), RuleError::NoStates);
        let (v4, v6) = ("10.0.0.0/8".parse().unwrap(), "fe80::/10".parse().unwrap());
        let mixed = Match {
            source: Some(Is::from(v4)),
            destination: Some(Is::from(v6)),
            ..Match::default()
        };
        assert_eq!(make(mixed, Target::Drop), RuleError::FamiliesDiffer(v4, v6));
    }
}
