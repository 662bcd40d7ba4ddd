//! Tables of chains of rules: `mangle`, which changes, `nat`, which translates the first packets of
//! flows, and `filter`, which decides.
//!
//! Every change is checked as a whole before it happens: rules fit the built-in chains from which
//! they can be reached, jumps lead to chains that exist and never in a circle, and no packet ever
//! passes more than [`STEPS_MAX`] rules.

use netarium_base::trace::Text;

use crate::chain::{Chain, Counters, Policy};
use crate::rules::{Profiles, Rule, RuleError};

mod check;
mod gate;
mod walk;

use gate::Gate;
pub(crate) use walk::Decided;

/// The most rules of one chain.
pub const RULES_MAX: usize = 4096;
/// The most chains of one table that are not built in.
pub const CHAINS_MAX: usize = 256;
/// The most rules that one packet may have to pass in one table.
pub const STEPS_MAX: u32 = 65_536;
/// The longest name of a chain, bytes.
pub const NAME_MAX: usize = 28;

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What may pass.
    Filter,
    /// What is translated.
    Nat,
    /// What is changed.
    Mangle,
}

impl Table {
    /// The name, as after `iptables -t`.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Filter => "filter",
            Table::Nat => "nat",
            Table::Mangle => "mangle",
        }
    }

    /// The built-in chains, in the order in which they are shown.
    pub const fn chains(self) -> &'static [Chain] {
        match self {
            Table::Filter => &[Chain::Input, Chain::Forward, Chain::Output],
            Table::Nat => &[Chain::Prerouting, Chain::Input, Chain::Output, Chain::Postrouting],
            Table::Mangle => &[
                Chain::Prerouting,
                Chain::Input,
                Chain::Forward,
                Chain::Output,
                Chain::Postrouting,
            ],
        }
    }

    /// Where a built-in chain stands among [`Table::chains`]. Asked several times per packet.
    const fn place(self, chain: Chain) -> Option<usize> {
        match (self, chain) {
            (Table::Mangle, chain) => Some(chain as usize),
            (Table::Nat, Chain::Prerouting) | (Table::Filter, Chain::Input) => Some(0),
            (Table::Nat, Chain::Input) | (Table::Filter, Chain::Forward) => Some(1),
            (Table::Nat | Table::Filter, Chain::Output) => Some(2),
            (Table::Nat, Chain::Postrouting) => Some(3),
            (Table::Nat, Chain::Forward) => None,
            (Table::Filter, Chain::Prerouting | Chain::Postrouting) => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// What most packets fail at that the rule does not match.
    gate: Gate,
    rule: Rule,
    /// The chain that it leads to, by its place in the table.
    to: Option<usize>,
    /// Whether it is asked in the profile of now.
    active: bool,
    counters: Counters,
}

#[derive(Clone, Debug)]
struct Links {
    name: Text,
    base: Option<Chain>,
    policy: Policy,
    policy_text: Text,
    policy_counters: Counters,
    entries: Vec<Entry>,
}

/// The chains of one table.
#[derive(Debug)]
pub struct Rules {
    table: Table,
    /// The built-in ones first.
    chains: Vec<Links>,
    profile: Profiles,
}

/// A chain, to look at.
#[derive(Clone, Copy, Debug)]
pub struct ChainView<'a> {
    rules: &'a Rules,
    at: usize,
}

impl<'a> ChainView<'a> {
    /// Its name.
    pub fn name(self) -> &'a Text {
        &self.links().name
    }

    /// Which built-in chain it is.
    pub fn base(self) -> Option<Chain> {
        self.links().base
    }

    /// The policy, its name in trace events, and what it decided about; for built-in chains.
    pub fn policy(self) -> (Policy, &'a Text, Counters) {
        let l = self.links();
        (l.policy, &l.policy_text, l.policy_counters)
    }

    /// How many rules lead to it.
    pub fn references(self) -> usize {
        self.rules.references(self.at)
    }

    /// The rules, in order, with what they matched.
    pub fn rules(self) -> impl ExactSizeIterator<Item = (&'a Rule, Counters)> {
        self.links().entries.iter().map(|e| (&e.rule, e.counters))
    }

    fn links(self) -> &'a Links {
        &self.rules.chains[self.at]
    }
}

impl Rules {
    /// A table without rules, in which everything is accepted.
    pub fn empty(table: Table) -> Rules {
        let chains = table.chains().iter().map(|&c| Links::new(c.id().into(), Some(c)));
        Rules { table, chains: chains.collect(), profile: Profiles::PUBLIC }
    }

    /// The chains, built-in ones first, then the others in the order in which they were made.
    pub fn chains(&self) -> impl ExactSizeIterator<Item = ChainView<'_>> {
        (0..self.chains.len()).map(|at| ChainView { rules: self, at })
    }

    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<ChainView<'_>> {
        self.at(name).ok().map(|at| ChainView { rules: self, at })
    }

    /// Makes a chain without rules.
    ///
    /// # Errors
    /// When the name is none, or taken, or there are [`CHAINS_MAX`] already.
    pub fn new_chain(&mut self, name: &str) -> Result<(), RuleError> {
        if !check::is_chain_name(name) {
            return Err(RuleError::ChainName(name.into()));
        }
        if self.at(name).is_ok() {
            return Err(RuleError::ChainExists(name.into()));
        }
        if self.chains.len() >= self.table.chains().len() + CHAINS_MAX {
            return Err(RuleError::TooManyChains(CHAINS_MAX));
        }
        self.chains.push(Links::new(name.into(), None));
        Ok(())
    }

    /// Takes a chain away that has no rules and that no rule leads to.
    ///
    /// # Errors
    /// When there is none, it is built in, or in use.
    pub fn delete_chain(&mut self, name: &str) -> Result<(), RuleError> {
        let at = self.at(name)?;
        if self.chains[at].base.is_some() {
            return Err(RuleError::BuiltIn(name.into()));
        }
        if !self.chains[at].entries.is_empty() {
            return Err(RuleError::NotEmpty(name.into()));
        }
        if self.references(at) > 0 {
            return Err(RuleError::InUse(name.into()));
        }
        self.chains.remove(at);
        for entry in self.chains.iter_mut().flat_map(|c| &mut c.entries) {
            entry.to = entry.to.map(|to| if to > at { to - 1 } else { to });
        }
        Ok(())
    }

    /// Gives a chain another name.
    ///
    /// # Errors
    /// When there is none, it is built in, or the new name is none, or taken.
    pub fn rename_chain(&mut self, name: &str, to: &str) -> Result<(), RuleError> {
        let at = self.at(name)?;
        if self.chains[at].base.is_some() {
            return Err(RuleError::BuiltIn(name.into()));
        }
        if !check::is_chain_name(to) {
            return Err(RuleError::ChainName(to.into()));
        }
        if self.at(to).is_ok() {
            return Err(RuleError::ChainExists(to.into()));
        }
        self.chains[at].name = to.into();
        let users = self.chains.iter_mut().flat_map(|c| &mut c.entries);
        for entry in users.filter(|e| e.to == Some(at)) {
            entry.rule = entry.rule.clone().leading_to(to.into());
        }
        Ok(())
    }

    /// Inserts a rule before the one with `index` (from 0); at the end when `index` is the number of
    /// rules.
    ///
    /// # Errors
    /// When there is no such place, the rule makes no sense in this chain, or the chain is full.
    pub fn insert(&mut self, chain: &str, index: usize, rule: Rule) -> Result<(), RuleError> {
        let at = self.at(chain)?;
        let len = self.chains[at].entries.len();
        if index > len {
            return Err(RuleError::NoSuchRule { index, len });
        }
        if len >= RULES_MAX {
            return Err(RuleError::TooMany(RULES_MAX));
        }
        let entry = self.entry(rule)?;
        self.chains[at].entries.insert(index, entry);
        self.keep_if_sound(at, index, |rules| {
            rules.chains[at].entries.remove(index);
        })
    }

    /// Adds a rule at the end of a chain.
    ///
    /// # Errors
    /// When the rule makes no sense in this chain, or the chain is full.
    pub fn append(&mut self, chain: &str, rule: Rule) -> Result<(), RuleError> {
        let end = self.chains[self.at(chain)?].entries.len();
        self.insert(chain, end, rule)
    }

    /// Replaces the rule with `index` (from 0); its counters begin anew.
    ///
    /// # Errors
    /// When there is no such rule, or the new one makes no sense in this chain.
    pub fn replace(&mut self, chain: &str, index: usize, rule: Rule) -> Result<(), RuleError> {
        let at = self.at(chain)?;
        let len = self.chains[at].entries.len();
        let new = self.entry(rule)?;
        let entry = self.chains[at].entries.get_mut(index);
        let old = core::mem::replace(entry.ok_or(RuleError::NoSuchRule { index, len })?, new);
        self.keep_if_sound(at, index, |rules| rules.chains[at].entries[index] = old)
    }

    /// Takes the rule with `index` (from 0) out of a chain.
    ///
    /// # Errors
    /// When there is no such rule.
    pub fn delete(&mut self, chain: &str, index: usize) -> Result<Rule, RuleError> {
        let at = self.at(chain)?;
        let len = self.chains[at].entries.len();
        if index >= len {
            return Err(RuleError::NoSuchRule { index, len });
        }
        Ok(self.chains[at].entries.remove(index).rule)
    }

    /// Takes all rules out of a chain. Its policy stays.
    ///
    /// # Errors
    /// When there is no such chain.
    pub fn flush(&mut self, chain: &str) -> Result<(), RuleError> {
        let at = self.at(chain)?;
        self.chains[at].entries.clear();
        Ok(())
    }

    /// Replaces all rules of a chain at once; their counters begin at 0.
    ///
    /// # Errors
    /// The first rule that makes no sense in this chain; the chain then stays as it was.
    pub fn fill(&mut self, chain: &str, rules: Vec<Rule>) -> Result<(), RuleError> {
        let at = self.at(chain)?;
        let old = core::mem::take(&mut self.chains[at].entries);
        for rule in rules {
            if let Err(e) = self.append(chain, rule) {
                self.chains[at].entries = old;
                return Err(e);
            }
        }
        Ok(())
    }

    /// Sets what happens to packets that no rule of a built-in chain decides about. `text` names the
    /// policy in trace events.
    ///
    /// # Errors
    /// When there is no such chain, or it is not built in; for dropping in the table `nat`.
    pub fn set_policy(&mut self, chain: &str, to: Policy, text: Text) -> Result<(), RuleError> {
        let at = self.at(chain)?;
        if self.table == Table::Nat && to == Policy::Drop {
            return Err(RuleError::PolicyHere);
        }
        let chain = &mut self.chains[at];
        if chain.base.is_none() {
            return Err(RuleError::NoPolicy(chain.name.clone()));
        }
        (chain.policy, chain.policy_text) = (to, text);
        Ok(())
    }

    /// Sets the counters of a chain, its policy and its rules to 0, or those of one rule (from 0).
    ///
    /// # Errors
    /// When there is no such chain or rule.
    pub fn zero(&mut self, chain: &str, index: Option<usize>) -> Result<(), RuleError> {
        let at = self.at(chain)?;
        let chain = &mut self.chains[at];
        let len = chain.entries.len();
        match index {
            Some(index) => {
                let entry = chain.entries.get_mut(index);
                entry.ok_or(RuleError::NoSuchRule { index, len })?.counters = Counters::default();
            }
            None => {
                chain.policy_counters = Counters::default();
                chain.entries.iter_mut().for_each(|e| e.counters = Counters::default());
            }
        }
        Ok(())
    }

    /// From now on the rules of this profile are asked.
    pub(crate) fn set_profile(&mut self, profile: Profiles) {
        self.profile = profile;
        for entry in self.chains.iter_mut().flat_map(|c| &mut c.entries) {
            entry.active = entry.rule.enabled() && entry.rule.profiles().intersects(profile);
        }
    }

    fn entry(&self, rule: Rule) -> Result<Entry, RuleError> {
        let to = match rule.target().chain() {
            Some(name) => {
                let to = self.at(name)?;
                if self.chains[to].base.is_some() {
                    return Err(RuleError::BuiltIn(name.clone()));
                }
                Some(to)
            }
            None => None,
        };
        let active = rule.enabled() && rule.profiles().intersects(self.profile);
        let gate = Gate::of(rule.matches());
        Ok(Entry { gate, rule, to, active, counters: Counters::default() })
    }

    fn at(&self, name: &str) -> Result<usize, RuleError> {
        let found = self.chains.iter().position(|c| *c.name == *name);
        found.ok_or_else(|| RuleError::NoSuchChain(name.into()))
    }

    fn references(&self, at: usize) -> usize {
        self.chains.iter().flat_map(|c| &c.entries).filter(|e| e.to == Some(at)).count()
    }
}

impl Links {
    fn new(name: Text, base: Option<Chain>) -> Links {
        Links {
            name,
            base,
            policy: Policy::Accept,
            policy_text: "default".into(),
            policy_counters: Counters::default(),
            entries: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_built_in_chain_is_where_it_is_shown() {
        for table in [Table::Filter, Table::Nat, Table::Mangle] {
            for chain in Chain::ALL {
                let shown = table.chains().iter().position(|&c| c == chain);
                assert_eq!(table.place(chain), shown, "{} of {}", chain.id(), table.name());
            }
        }
    }
}
