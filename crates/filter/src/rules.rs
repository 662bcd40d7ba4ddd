//! Rules: a comparison and a target, and the check that makes a rule of both.
//!
//! A [`Rule`] is validated when it is made and again, against the chain, when it is put into one
//! (see [`crate::table::Rules`]); behind that door nothing is re-checked.

use core::net::IpAddr;

use bitflags::bitflags;
use netarium_base::trace::Text;
use netarium_wire::protocol;

use crate::Reject;
use crate::matches::{Is, Match};
use crate::prefix::{Cidr, PortRange};
use crate::target::{LOG_PREFIX_MAX, Target};

bitflags! {
    /// The profiles of a host's firewall in which a rule holds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Profiles: u8 {
        /// In a network with a domain controller.
        const DOMAIN = 1;
        /// At home or at work.
        const PRIVATE = 2;
        /// Among strangers.
        const PUBLIC = 4;
    }
}

/// A validated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    matches: Match,
    target: Target,
    text: Text,
    enabled: bool,
    profiles: Profiles,
}

/// Why something is not a rule, or not one for this chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Ports without TCP or UDP.
    #[error("ports need the protocol tcp or udp")]
    PortsNeedProtocol,
    /// TCP flags without TCP.
    #[error("flags need the protocol tcp")]
    FlagsNeedTcp,
    /// An ICMP type without ICMP.
    #[error("an ICMP type needs the protocol icmp")]
    IcmpNeedsProtocol,
    /// A RST for something other than TCP.
    #[error("rejecting with a TCP reset needs the protocol tcp")]
    ResetNeedsTcp,
    /// TCPMSS for something other than TCP.
    #[error("TCPMSS needs the protocol tcp")]
    MssNeedsTcp,
    /// An empty list of ports, or too long a one.
    #[error("a list of ports has 1 to 15 ports; a range counts as two")]
    PortList,
    /// Source and destination of different address families.
    #[error("source {0} and destination {1} are of different address families")]
    FamiliesDiffer(Cidr, Cidr),
    /// No state at all: nothing would ever match.
    #[error("the set of states is empty")]
    NoStates,
    /// An input interface in a chain for packets without one.
    #[error("the chain {0} has no input interface to compare with")]
    NoInput(Text),
    /// An output interface in a chain where none is chosen yet.
    #[error("the chain {0} has no output interface to compare with")]
    NoOutput(Text),
    /// A target where it cannot work.
    #[error("{target} does not work in the chain {chain} of the table {table}")]
    TargetHere {
        /// The kind of target.
        target: &'static str,
        /// The built-in chain from which the rule is reached.
        chain: &'static str,
        /// The table.
        table: &'static str,
    },
    /// Addresses or ports that cannot be translated to.
    #[error("the addresses or ports to translate to make no sense")]
    NatTo,
    /// Too long a prefix for the log.
    #[error("a prefix of the log has at most {LOG_PREFIX_MAX} bytes")]
    LogPrefix,
    /// No chain has this name.
    #[error("there is no chain {0}")]
    NoSuchChain(Text),
    /// A chain with this name is there already.
    #[error("the chain {0} is there already")]
    ChainExists(Text),
    /// What is not a name for a chain.
    #[error("a chain's name has 1 to 28 visible characters and is no target's name, not {0:?}")]
    ChainName(Text),
    /// A built-in chain can neither be removed nor jumped to.
    #[error("{0} is a built-in chain")]
    BuiltIn(Text),
    /// Only built-in chains have a policy.
    #[error("{0} is no built-in chain: it has no policy")]
    NoPolicy(Text),
    /// A policy that the table does not have.
    #[error("the table nat translates and does not filter: it drops nothing")]
    PolicyHere,
    /// The chain still has rules.
    #[error("the chain {0} has rules")]
    NotEmpty(Text),
    /// Rules lead to the chain.
    #[error("rules lead to the chain {0}")]
    InUse(Text),
    /// Jumps in a circle, or more than a packet may be asked about.
    #[error("a packet would pass more than {0} rules, or go in circles")]
    TooDeep(u32),
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
    /// Enough chains.
    #[error("at most {0} chains fit into a table")]
    TooManyChains(usize),
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
    ///
    /// # Errors
    /// When the parts do not fit together.
    pub fn new(matches: Match, target: Target, text: Text) -> Result<Rule, RuleError> {
        matches.check()?;
        let tcp = matches.protocol == Some(Is::from(protocol::TCP));
        match &target {
            Target::Reject(Reject::TcpReset) if !tcp => return Err(RuleError::ResetNeedsTcp),
            Target::TcpMss(_) if !tcp => return Err(RuleError::MssNeedsTcp),
            Target::Log(log) if log.prefix.len() > LOG_PREFIX_MAX => {
                return Err(RuleError::LogPrefix);
            }
            Target::Dnat(to) | Target::Snat(to) if !to.makes_sense() => {
                return Err(RuleError::NatTo);
            }
            _ => {}
        }
        let has_ports = matches
            .protocol
            .is_some_and(|p| !p.not && matches!(p.value, protocol::TCP | protocol::UDP));
        let needs_ports = match &target {
            Target::Dnat(to) | Target::Snat(to) => to.ports.is_some(),
            Target::Masquerade(ports) | Target::Redirect(ports) => ports.is_some(),
            _ => false,
        };
        if needs_ports && !has_ports {
            return Err(RuleError::PortsNeedProtocol);
        }
        Ok(Rule { matches, target, text, enabled: true, profiles: Profiles::all() })
    }

    /// The same rule, asked or not, in these profiles.
    #[must_use]
    pub fn scoped(self, enabled: bool, profiles: Profiles) -> Rule {
        Rule { enabled, profiles, ..self }
    }

    /// The same rule, leading to a chain of another name.
    pub(crate) fn leading_to(self, chain: Text) -> Rule {
        let target = match self.target {
            Target::Goto(_) => Target::Goto(chain),
            _ => Target::Jump(chain),
        };
        Rule { target, ..self }
    }

    /// What it compares.
    pub fn matches(&self) -> &Match {
        &self.matches
    }

    /// What it asks for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// How it is shown.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// Whether it is asked at all.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The profiles in which it is asked.
    pub fn profiles(&self) -> Profiles {
        self.profiles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::{IcmpType, States};

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
