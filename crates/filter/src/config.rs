//! Changing rules, policies and translations, at any time. Flows that exist keep what they got.

use core::net::IpAddr;

use netarium_base::trace::Text;
use netarium_base::{Duration, IfIndex, Instant};

use crate::Filter;
use crate::chain::{Chain, Policy};
use crate::conntrack::session::NIL;
use crate::conntrack::{SESSIONS_MAX, Timeout};
use crate::inspect::{SessionView, view};
use crate::matches::Match;
use crate::nat::{Behaviour, PortForward, Preset, masquerade};
use crate::prefix::Cidr;
use crate::rules::{Rule, RuleError};
use crate::table::{RULES_MAX, Rules, Table};
use crate::target::{NatTo, Target};

impl Filter {
    /// The rules of a table, to change.
    pub fn table_mut(&mut self, table: Table) -> &mut Rules {
        match table {
            Table::Filter => &mut self.rules,
            Table::Nat => &mut self.nat_rules,
            Table::Mangle => &mut self.mangle,
        }
    }

    /// Adds a rule at the end of a chain of the table `filter`.
    ///
    /// # Errors
    /// When the rule makes no sense in this chain, the table has no such chain, or it is full.
    pub fn append_rule(&mut self, chain: Chain, rule: Rule) -> Result<(), RuleError> {
        self.rules.append(chain.id(), rule)
    }

    /// Inserts a rule of the table `filter` before the one with `index` (from 0); at the end when
    /// `index` is the number of rules.
    ///
    /// # Errors
    /// As [`Filter::append_rule`], and when there is no such place.
    pub fn insert_rule(&mut self, chain: Chain, index: usize, rule: Rule) -> Result<(), RuleError> {
        self.rules.insert(chain.id(), index, rule)
    }

    /// Takes the rule with `index` (from 0) out of a chain of the table `filter`.
    ///
    /// # Errors
    /// When there is no such rule.
    pub fn delete_rule(&mut self, chain: Chain, index: usize) -> Result<Rule, RuleError> {
        self.rules.delete(chain.id(), index)
    }

    /// Sets what happens to packets that no rule of a chain of the table `filter` decides about.
    /// `text` names the policy in trace events.
    ///
    /// # Errors
    /// When the table has no such chain.
    pub fn set_policy(&mut self, at: Chain, to: Policy, text: Text) -> Result<(), RuleError> {
        self.rules.set_policy(at.id(), to, text)
    }

    /// Makes the host a NAT router: what leaves by `outside` is masqueraded, the forwards lead
    /// inside, and new flows from outside to inside without a forward are dropped with
    /// [`DropReason::NatNoForward`](netarium_base::DropReason::NatNoForward), unless a rule of the
    /// chain FORWARD decides otherwise. A forward without an input interface applies to what
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
        if inside == outside {
            return Err(RuleError::SameInterface);
        }
        let rules = forwards.into_iter().map(|mut forward| {
            forward.input.get_or_insert(outside);
            forward.rule()
        });
        let rules: Vec<Rule> = rules.collect::<Result<_, _>>()?;
        let source = masquerade(outside)?;
        let there = |chain: Chain| self.nat_rules.chain(chain.id()).map_or(0, |c| c.rules().len());
        let (before, after) = (there(Chain::Prerouting), there(Chain::Postrouting));
        if before + rules.len() > RULES_MAX || after >= RULES_MAX {
            return Err(RuleError::TooMany(RULES_MAX));
        }
        for rule in rules {
            self.nat_rules.append(Chain::Prerouting.id(), rule)?;
        }
        self.nat_rules.append(Chain::Postrouting.id(), source)?;
        self.nat.guard(outside, inside);
        Ok(())
    }

    /// Lets an outside address stand for one inside address, both ways: what comes by `output` for
    /// `outside` goes to `inside`, on every port that no forward names, and what `inside` sends by
    /// `output` seems to come from `outside`. The host must have the outside address.
    ///
    /// # Errors
    /// When the addresses are not of one family, or there are too many rules.
    pub fn add_one_to_one(
        &mut self,
        output: IfIndex,
        outside: IpAddr,
        inside: IpAddr,
    ) -> Result<(), RuleError> {
        if outside.is_ipv4() != inside.is_ipv4() {
            return Err(RuleError::ForwardFamily(outside, inside));
        }
        let text: Text = format!("{outside} <-> {inside}").into();
        let inwards = Match {
            input: Some(output.into()),
            destination: Some(Cidr::host(outside).into()),
            ..Match::default()
        };
        let outwards = Match {
            output: Some(output.into()),
            source: Some(Cidr::host(inside).into()),
            ..Match::default()
        };
        let inwards = Rule::new(inwards, Target::Dnat(NatTo::address(inside)), text.clone())?;
        let outwards = Rule::new(outwards, Target::Snat(NatTo::address(outside)), text)?;
        self.nat_rules.append(Chain::Prerouting.id(), inwards)?;
        // In front of what masquerades everybody.
        self.nat_rules.insert(Chain::Postrouting.id(), 0, outwards)
    }

    /// Adds a forward behind the rules of the chain PREROUTING of the table `nat`; the first that
    /// matches a new flow counts.
    ///
    /// # Errors
    /// When the forward makes no sense, or there are too many.
    pub fn add_forward(&mut self, forward: &PortForward) -> Result<(), RuleError> {
        self.nat_rules.append(Chain::Prerouting.id(), forward.rule()?)
    }

    /// Takes the forward with `index` (from 0, among [`Filter::forwards`]) away. Its connections go
    /// on.
    ///
    /// # Errors
    /// When there is no such forward.
    pub fn remove_forward(&mut self, index: usize) -> Result<PortForward, RuleError> {
        let chain = Chain::Prerouting.id();
        let all: Vec<_> = self.forwards_at().map(|(at, f, _)| (at, f)).collect();
        let len = all.len();
        let found = all.into_iter().nth(index).ok_or(RuleError::NoSuchRule { index, len })?;
        self.nat_rules.delete(chain, found.0)?;
        Ok(found.1)
    }

    /// Makes the host's NAT one of a kind: [`Filter::set_behaviour`] and all time-outs.
    pub fn set_preset(&mut self, now: Instant, preset: Preset) {
        self.set_behaviour(preset.behaviour());
        let timeouts = preset.timeouts();
        for &kind in Timeout::ALL {
            self.set_timeout(now, kind, timeouts.get(kind));
        }
    }

    /// Changes how sources are translated from now on. Flows that exist keep their outside ports.
    pub fn set_behaviour(&mut self, to: Behaviour) {
        self.nat.behaviour = to;
        self.nat.exhausted = None;
        self.nat.mappings.index_outside(to.needs_outside());
        self.nat.peers.clear();
        for s in self.conntrack.table.iter().filter(|s| s.mapping != NIL && to.needs_peers()) {
            if let Some((inside, _, far)) = s.mapped_ends() {
                self.nat.peers.add(s.tuples[0].protocol, inside, far, s.mapping);
            }
        }
    }

    /// Forgets the tracked flows that `wanted` picks, and says how many. Their next packets begin them
    /// anew, if rules let them.
    pub fn forget(&mut self, now: Instant, wanted: impl Fn(&SessionView) -> bool) -> usize {
        let picked: Vec<u32> = self.conntrack.table.indices().collect();
        let mut count = 0;
        for index in picked {
            let view = self.conntrack.table.get(index).map(|s| view(s, now));
            if view.is_some_and(|v| wanted(&v)) && self.end(index).is_some() {
                count += 1;
            }
        }
        count
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
