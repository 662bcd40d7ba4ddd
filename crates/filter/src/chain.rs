//! The five chains of rules, their policies and their counters.

use netarium_base::trace::Text;

use crate::rules::{Facts, Rule, RuleError, Target};

/// The most rules of one chain.
pub const RULES_MAX: usize = 4096;

/// Where on a packet's way a chain is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// On arrival, before a destination is translated (iptables: `mangle PREROUTING`).
    Prerouting,
    /// For this host, before a socket sees it.
    Input,
    /// Between two interfaces.
    Forward,
    /// Made by this host.
    Output,
    /// On departure, before a source is translated (iptables: `mangle POSTROUTING`).
    Postrouting,
}

impl Chain {
    /// All chains, in the order of a packet's way.
    pub const ALL: [Chain; 5] =
        [Chain::Prerouting, Chain::Input, Chain::Forward, Chain::Output, Chain::Postrouting];

    /// The name in trace events and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Chain::Prerouting => "prerouting",
            Chain::Input => "input",
            Chain::Forward => "forward",
            Chain::Output => "output",
            Chain::Postrouting => "postrouting",
        }
    }

    fn has_input(self) -> bool {
        matches!(self, Chain::Prerouting | Chain::Input | Chain::Forward)
    }

    fn has_output(self) -> bool {
        matches!(self, Chain::Forward | Chain::Output | Chain::Postrouting)
    }
}

/// What happens to a packet that no rule of a chain decided about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    #[default]
    Accept,
    /// It ends.
    Drop,
}

impl Policy {
    pub(crate) fn target(self) -> Target {
        match self {
            Policy::Accept => Target::Accept,
            Policy::Drop => Target::Drop,
        }
    }
}

/// How much was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    counters: Counters,
}

/// The rules of one chain.
#[derive(Debug)]
pub(crate) struct RuleList {
    entries: Vec<Entry>,
    pub(crate) policy: Policy,
    pub(crate) policy_text: Text,
    pub(crate) policy_counters: Counters,
}

/// Who decided about a packet.
pub(crate) enum Decided {
    /// The rule with this text.
    Rule(Text, Target),
    /// Nobody: the policy is to be asked.
    Nobody,
}

impl RuleList {
    pub(crate) fn new() -> RuleList {
        RuleList {
            entries: Vec::new(),
            policy: Policy::Accept,
            policy_text: "default".into(),
            policy_counters: Counters::default(),
        }
    }

    /// Whether the chain lets everything pass without a look.
    pub(crate) fn is_open(&self) -> bool {
        self.entries.is_empty() && self.policy == Policy::Accept
    }

    /// Asks the rules in order and counts. `log` is called for each matching LOG rule.
    pub(crate) fn decide(
        &mut self,
        facts: &Facts,
        bytes: usize,
        mut log: impl FnMut(&Text),
    ) -> Decided {
        for entry in &mut self.entries {
            if !entry.rule.matches().matches(facts) {
                continue;
            }
            entry.counters.count(bytes);
            match entry.rule.target() {
                Target::Log => log(entry.rule.text()),
                target => return Decided::Rule(entry.rule.text().clone(), target),
            }
        }
        Decided::Nobody
    }

    pub(crate) fn insert(&mut self, chain: Chain, at: usize, rule: Rule) -> Result<(), RuleError> {
        check_for(chain, &rule)?;
        let len = self.entries.len();
        if at > len {
            return Err(RuleError::NoSuchRule { index: at, len });
        }
        if len >= RULES_MAX {
            return Err(RuleError::TooMany(RULES_MAX));
        }
        self.entries.insert(at, Entry { rule, counters: Counters::default() });
        Ok(())
    }

    pub(crate) fn replace(&mut self, chain: Chain, at: usize, rule: Rule) -> Result<(), RuleError> {
        check_for(chain, &rule)?;
        let len = self.entries.len();
        let entry = self.entries.get_mut(at).ok_or(RuleError::NoSuchRule { index: at, len })?;
        *entry = Entry { rule, counters: Counters::default() };
        Ok(())
    }

    pub(crate) fn remove(&mut self, at: usize) -> Result<Rule, RuleError> {
        let len = self.entries.len();
        if at >= len {
            return Err(RuleError::NoSuchRule { index: at, len });
        }
        Ok(self.entries.remove(at).rule)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(crate) fn zero(&mut self) {
        self.policy_counters = Counters::default();
        for entry in &mut self.entries {
            entry.counters = Counters::default();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Rule, Counters)> {
        self.entries.iter().map(|e| (&e.rule, e.counters))
    }
}

fn check_for(chain: Chain, rule: &Rule) -> Result<(), RuleError> {
    if rule.matches().input.is_some() && !chain.has_input() {
        return Err(RuleError::NoInput(chain.name()));
    }
    if rule.matches().output.is_some() && !chain.has_output() {
        return Err(RuleError::NoOutput(chain.name()));
    }
    let reject = matches!(rule.target(), Target::Reject(_));
    if reject && matches!(chain, Chain::Prerouting | Chain::Postrouting) {
        return Err(RuleError::RejectHere(chain.name()));
    }
    Ok(())
}
