//! Changing rules, policies and translations, at any time. Flows that exist keep what they got.

use netarium_base::trace::Text;
use netarium_base::{Duration, IfIndex, Instant};

use crate::Filter;
use crate::chain::{Chain, Policy, RULES_MAX, RuleList};
use crate::conntrack::{SESSIONS_MAX, Timeout};
use crate::nat::{PortForward, SourceNat};
use crate::rules::{Rule, RuleError};

impl Filter {
    pub(crate) fn list_mut(&mut self, chain: Chain) -> &mut RuleList {
        &mut self.chains[chain as usize]
    }

    pub(crate) fn list(&self, chain: Chain) -> &RuleList {
        &self.chains[chain as usize]
    }

    /// Adds a rule at the end of a chain.
    ///
    /// # Errors
    /// When the rule makes no sense in this chain, or the chain is full.
    pub fn append_rule(&mut self, chain: Chain, rule: Rule) -> Result<(), RuleError> {
        let end = self.list(chain).len();
        self.list_mut(chain).insert(chain, end, rule)
    }

    /// Inserts a rule before the one with `index` (from 0); at the end when `index` is the number
    /// of rules.
    ///
    /// # Errors
    /// When there is no such place, the rule makes no sense in this chain, or the chain is full.
    pub fn insert_rule(&mut self, chain: Chain, index: usize, rule: Rule) -> Result<(), RuleError> {
        self.list_mut(chain).insert(chain, index, rule)
    }

    /// Replaces the rule with `index` (from 0); its counters begin anew.
    ///
    /// # Errors
    /// When there is no such rule, or the new one makes no sense in this chain.
    pub fn replace_rule(
        &mut self,
        chain: Chain,
        index: usize,
        rule: Rule,
    ) -> Result<(), RuleError> {
        self.list_mut(chain).replace(chain, index, rule)
    }

    /// Takes the rule with `index` (from 0) out of a chain.
    ///
    /// # Errors
    /// When there is no such rule.
    pub fn delete_rule(&mut self, chain: Chain, index: usize) -> Result<Rule, RuleError> {
        self.list_mut(chain).remove(index)
    }

    /// Takes all rules out of a chain. Its policy stays.
    pub fn flush(&mut self, chain: Chain) {
        self.list_mut(chain).clear();
    }

    /// Replaces all rules of a chain at once; their counters begin at 0.
    ///
    /// # Errors
    /// The first rule that makes no sense in this chain; the chain then stays as it was.
    pub fn replace_chain(&mut self, chain: Chain, rules: Vec<Rule>) -> Result<(), RuleError> {
        if rules.len() > RULES_MAX {
            return Err(RuleError::TooMany(RULES_MAX));
        }
        let mut list = RuleList::new();
        for (at, rule) in rules.into_iter().enumerate() {
            list.insert(chain, at, rule)?;
        }
        let old = self.list_mut(chain);
        list.policy = old.policy;
        list.policy_text = old.policy_text.clone();
        list.policy_counters = old.policy_counters;
        *old = list;
        Ok(())
    }

    /// Sets what happens to packets that no rule of a chain decides about. `text` names the
    /// policy in trace events.
    pub fn set_policy(&mut self, chain: Chain, policy: Policy, text: Text) {
        let list = self.list_mut(chain);
        list.policy = policy;
        list.policy_text = text;
    }

    /// Sets the counters of a chain to 0.
    pub fn zero(&mut self, chain: Chain) {
        self.list_mut(chain).zero();
    }

    /// Makes the host a NAT router: what leaves by `outside` is masqueraded, the forwards lead
    /// inside, and new flows from outside to inside without a forward are dropped with
    /// [`DropReason::NatNoForward`](netarium_base::DropReason::NatNoForward), unless a rule of the
    /// forward chain decides otherwise. A forward without an input interface applies to what
    /// comes by `outside`. May be called for several pairs of interfaces.
    ///
    /// # Errors
    /// The first forward that makes no sense, or when both interfaces are the same; nothing is
    /// changed then.
    pub fn nat_router(
        &mut self,
        inside: IfIndex,
        outside: IfIndex,
        forwards: Vec<PortForward>,
    ) -> Result<(), RuleError> {
        self.nat.add_router(inside, outside, forwards)
    }

    /// Adds a forward behind the others; the first that matches a new flow counts.
    ///
    /// # Errors
    /// When the forward makes no sense, or there are too many.
    pub fn add_forward(&mut self, forward: PortForward) -> Result<(), RuleError> {
        self.nat.add_forward(forward, false)
    }

    /// The same for flows that this host itself begins (iptables: `nat OUTPUT`); they then leave
    /// by the route to the new destination.
    ///
    /// # Errors
    /// When the forward makes no sense, or there are too many.
    pub fn add_local_forward(&mut self, forward: PortForward) -> Result<(), RuleError> {
        self.nat.add_forward(forward, true)
    }

    /// Takes the forward with `index` (from 0) away. Its connections go on.
    ///
    /// # Errors
    /// When there is no such forward.
    pub fn remove_forward(&mut self, index: usize) -> Result<PortForward, RuleError> {
        self.nat.remove_forward(index, false)
    }

    /// Takes the local forward with `index` (from 0) away. Its connections go on.
    ///
    /// # Errors
    /// When there is no such forward.
    pub fn remove_local_forward(&mut self, index: usize) -> Result<PortForward, RuleError> {
        self.nat.remove_forward(index, true)
    }

    /// Adds a source translation behind the others; the first that matches a new flow counts.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add_source_nat(&mut self, source: SourceNat) -> Result<(), RuleError> {
        self.nat.add_source(source)
    }

    /// Takes the source translation with `index` (from 0) away. Its connections go on.
    ///
    /// # Errors
    /// When there is no such translation.
    pub fn remove_source_nat(&mut self, index: usize) -> Result<SourceNat, RuleError> {
        self.nat.remove_source(index)
    }

    /// Sets how many sessions are tracked at most, up to
    /// [`SESSIONS_MAX`]. A smaller limit than there are sessions
    /// ends none of them, but lets no new one in.
    pub fn set_session_limit(&mut self, limit: usize) {
        self.conntrack.limit = limit.min(SESSIONS_MAX);
    }

    /// Changes a time-out at `now`. Flows that would by then outlive the new time-out are
    /// shortened to it; the others get it with their next packet.
    pub fn set_timeout(&mut self, now: Instant, kind: Timeout, to: Duration) {
        self.conntrack.timeouts.set(kind, to);
        self.conntrack.table.clamp(kind, now.max(self.now) + to);
    }
}
