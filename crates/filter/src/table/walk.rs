//! How a packet passes the rules of a table.

use netarium_base::trace::Text;

use super::gate::Probe;
use super::{Entry, Links, Rules};
use crate::chain::{Chain, Policy};
use crate::matches::Facts;
use crate::rules::Rule;
use crate::target::Target;

/// Who decided about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// A rule.
    Rule(Place),
    /// No rule: the policy is to be asked.
    Nobody,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    chain: usize,
    rule: usize,
}

impl Rules {
    pub(crate) fn rule(&self, at: Place) -> Option<&Rule> {
        Some(&self.chains.get(at.chain)?.entries.get(at.rule)?.rule)
    }

    /// Whether a built-in chain lets everything pass without a look.
    pub(crate) fn is_open(&self, base: Chain) -> bool {
        self.base(base).is_none_or(|at| {
            self.chains[at].entries.is_empty() && self.chains[at].policy == Policy::Accept
        })
    }

    /// Whether a built-in chain has no rules.
    pub(crate) fn is_empty(&self, base: Chain) -> bool {
        self.base(base).is_none_or(|at| self.chains[at].entries.is_empty())
    }

    pub(crate) fn policy_of(&self, base: Chain) -> (Policy, &Text) {
        let links = &self.chains[self.base(base).unwrap_or(0)];
        (links.policy, &links.policy_text)
    }

    /// Whether a built-in chain lets everything pass without a look; the packet is counted then.
    #[inline]
    pub(crate) fn pass(&mut self, base: Chain, bytes: usize) -> bool {
        let Some(chain) = self.base(base).and_then(|at| self.chains.get_mut(at)) else {
            return true;
        };
        let open = chain.entries.is_empty() && chain.policy == Policy::Accept;
        if open {
            chain.policy_counters.count(bytes);
        }
        open
    }

    pub(crate) fn count_policy(&mut self, base: Chain, bytes: usize) {
        if let Some(at) = self.base(base) {
            self.chains[at].policy_counters.count(bytes);
        }
    }

    fn base(&self, base: Chain) -> Option<usize> {
        self.table.place(base)
    }

    /// Asks the rules from a built-in chain on, in order, and counts. `log` is called for each
    /// matching rule that logs, or changes the packet.
    pub(crate) fn decide(
        &mut self,
        base: Chain,
        facts: &Facts,
        bytes: usize,
        mut log: impl FnMut(&Rule),
    ) -> Decided {
        let Some(at) = self.base(base) else { return Decided::Nobody };
        let (mut walk, probe) = (Walk::begin(at), Probe::of(facts));
        while let Some(place) = walk.next(&self.chains, probe, facts) {
            let entry = &mut self.chains[place.chain].entries[place.rule];
            entry.counters.count(bytes);
            if let Target::Log(_) | Target::TcpMss(_) = entry.rule.target() {
                log(&entry.rule);
            }
            if walk.follow(entry) {
                return Decided::Rule(place);
            }
        }
        Decided::Nobody
    }

    /// The rule that would decide, without counting.
    pub(crate) fn peek(&self, base: Chain, facts: &Facts) -> Option<&Rule> {
        let (mut walk, probe) = (Walk::begin(self.base(base)?), Probe::of(facts));
        while let Some(place) = walk.next(&self.chains, probe, facts) {
            let entry = &self.chains[place.chain].entries[place.rule];
            if walk.follow(entry) {
                return Some(&entry.rule);
            }
        }
        None
    }
}

/// A packet among the rules. [`super::check`] has seen to it that every walk ends.
struct Walk {
    /// The rule to be looked at next.
    at: Place,
    /// Where to go on behind the jumps.
    back: Vec<Place>,
}

impl Walk {
    fn begin(chain: usize) -> Walk {
        Walk { at: Place { chain, rule: 0 }, back: Vec::new() }
    }

    /// The next rule that matches.
    fn next(&mut self, chains: &[Links], probe: Probe, facts: &Facts) -> Option<Place> {
        loop {
            let rest = chains[self.at.chain].entries.get(self.at.rule..).unwrap_or_default();
            let hit = rest
                .iter()
                .position(|e| e.gate.lets(probe) && e.active && e.rule.matches().matches(facts));
            if let Some(skipped) = hit {
                let place = Place { rule: self.at.rule + skipped, ..self.at };
                self.at.rule = place.rule + 1;
                return Some(place);
            }
            self.at = self.back.pop()?;
        }
    }

    /// Goes where a rule leads; true when it decides.
    fn follow(&mut self, entry: &Entry) -> bool {
        match (entry.rule.target(), entry.to) {
            (Target::Continue | Target::Log(_) | Target::TcpMss(_), _) => return false,
            (Target::Jump(_), Some(chain)) => {
                self.back.push(self.at);
                self.at = Place { chain, rule: 0 };
            }
            (Target::Goto(_), Some(chain)) => self.at = Place { chain, rule: 0 },
            // At the end of the chain there is nothing left but the way back.
            (Target::Return, _) => self.at.rule = usize::MAX,
            _ => return true,
        }
        false
    }
}
