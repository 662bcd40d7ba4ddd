//! A host's firewall with the default deny that people know from their own computers.

use netarium_base::IfIndex;
use netarium_base::trace::Text;
use netarium_wire::protocol;

use crate::chain::{Chain, Policy};
use crate::prefix::{Cidr, PortRange};
use crate::rules::{Is, Match, Rule, RuleError, States, Target};
use crate::{Filter, LOOPBACK};

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
        self.replace_chain(Chain::Input, rules)?;
        self.set_policy(Chain::Input, Policy::Drop, DEFAULT_DENY.into());
        Ok(())
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
