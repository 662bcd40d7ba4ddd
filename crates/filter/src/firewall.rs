//! A host's firewall with the default deny that people know from their own computers: named rules
//! that can be switched off, and profiles of which one is in force. All of it stands in the chains
//! INPUT and OUTPUT of the table `filter`: this is a second language for them, not a second firewall.

use netarium_base::IfIndex;
use netarium_base::trace::Text;
use netarium_wire::protocol;

use crate::chain::{Chain, Policy};
use crate::matches::{Is, Match, States};
use crate::prefix::{Cidr, PortRange};
use crate::rules::{Profiles, Rule, RuleError};
use crate::target::Target;
use crate::{Filter, LOOPBACK};

/// Which profile is in force, and which of them do not filter at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Face {
    active: Profiles,
    off: Profiles,
}

impl Default for Face {
    /// Among strangers, and everything on.
    fn default() -> Face {
        Face { active: Profiles::PUBLIC, off: Profiles::empty() }
    }
}

impl Face {
    /// Whether a chain is not asked.
    pub(crate) fn is_off(self, chain: Chain) -> bool {
        self.off.intersects(self.active) && matches!(chain, Chain::Input | Chain::Output)
    }
}

/// What an inbound rule does to a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundAction {
    /// Let it in.
    Allow,
    /// Keep it out, whatever other rules allow.
    Block,
}

/// A named inbound rule of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRule {
    /// How it is shown: its name, or as written.
    pub text: Text,
    /// What it does.
    pub action: InboundAction,
    /// IP protocol number; any when absent.
    pub protocol: Option<u8>,
    /// Local ports; any when absent. Needs the protocol TCP or UDP.
    pub ports: Option<PortRange>,
    /// Who may ask; anybody when absent.
    pub source: Option<Cidr>,
}

impl InboundRule {
    /// Lets anybody in to a TCP port.
    pub fn allow_tcp(port: u16) -> InboundRule {
        InboundRule {
            text: format!("allow tcp/{port}").into(),
            action: InboundAction::Allow,
            protocol: Some(protocol::TCP),
            ports: Some(PortRange::one(port)),
            source: None,
        }
    }

    fn rule(self) -> Result<Rule, RuleError> {
        let matches = Match {
            protocol: self.protocol.map(Is::from),
            destination_ports: self.ports.map(Is::from),
            source: self.source.map(Is::from),
            ..Match::default()
        };
        let target = match self.action {
            InboundAction::Allow => Target::Accept,
            InboundAction::Block => Target::Drop,
        };
        Rule::new(matches, target, self.text)
    }
}

/// What the policy of the input chain is called.
pub const DEFAULT_DENY: &str = "default deny inbound";

impl Filter {
    /// Makes the input chain a host firewall: answers and related errors come in, everything on
    /// the loopback interface does, then blocking rules, then allowing ones, each group in the
    /// given order; the rest is denied by default. What the chain held before is replaced.
    ///
    /// # Errors
    /// The first rule that makes no sense; the chain then stays as it was.
    pub fn host_firewall(&mut self, inbound: Vec<InboundRule>) -> Result<(), RuleError> {
        let (blocks, allows): (Vec<_>, Vec<_>) =
            inbound.into_iter().partition(|r| r.action == InboundAction::Block);
        let mut rules = vec![loopback_rule()?, answers_rule()?];
        for rule in blocks.into_iter().chain(allows) {
            rules.push(rule.rule()?);
        }
        self.rules.fill(Chain::Input.id(), rules)?;
        self.set_policy(Chain::Input, Policy::Drop, DEFAULT_DENY.into())
    }

    /// Whether the chain INPUT lets in only what its rules name.
    pub fn denies_inbound(&self) -> bool {
        self.policy(Chain::Input).0 == Policy::Drop
    }

    /// Adds a rule to INPUT or OUTPUT where a host's firewall has it: what blocks before what allows,
    /// whichever was there first; loopback and answers before both.
    ///
    /// # Errors
    /// When the rule makes no sense there, or the chain is full.
    pub fn add_host_rule(&mut self, chain: Chain, rule: Rule) -> Result<(), RuleError> {
        let at = match rule.target() {
            Target::Drop => self.rules(chain).take_while(|(r, _)| self.is_standing(r)).count(),
            _ => self.rules(chain).count(),
        };
        self.insert_rule(chain, at, rule)
    }

    /// Whether a rule is one of those with which [`Filter::host_firewall`] begins.
    pub fn is_standing(&self, rule: &Rule) -> bool {
        let made = [loopback_rule(), answers_rule()];
        made.iter().any(|standing| {
            standing
                .as_ref()
                .is_ok_and(|s| s.matches() == rule.matches() && s.target() == rule.target())
        })
    }

    /// The profile in force.
    pub fn profile(&self) -> Profiles {
        self.face.active
    }

    /// Puts one profile in force: its rules are asked, and it decides whether anything is.
    pub fn set_profile(&mut self, profile: Profiles) {
        self.face.active = profile;
        self.rules.set_profile(profile);
    }

    /// The profiles in which INPUT and OUTPUT are asked.
    pub fn profiles_on(&self) -> Profiles {
        self.face.off.complement()
    }

    /// Switches profiles on or off: with the profile in force switched off everything may come in
    /// and go out.
    pub fn switch_profiles(&mut self, profiles: Profiles, on: bool) {
        self.face.off.set(profiles, !on);
    }
}

fn loopback_rule() -> Result<Rule, RuleError> {
    let lo: IfIndex = LOOPBACK;
    let matches = Match { input: Some(lo.into()), ..Match::default() };
    Rule::new(matches, Target::Accept, "loopback".into())
}

fn answers_rule() -> Result<Rule, RuleError> {
    let states = States::ESTABLISHED | States::RELATED;
    let matches = Match { states: Some(states.into()), ..Match::default() };
    Rule::new(matches, Target::Accept, "established, related".into())
}
