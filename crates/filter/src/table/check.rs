//! What has to hold of a table whatever is changed: rules work where they can be reached, jumps do
//! not go in circles, and no packet passes too many rules.

use super::{NAME_MAX, Rules, STEPS_MAX, Table};
use crate::chain::Chain;
use crate::rules::{Rule, RuleError};
use crate::target::{Mss, Target};

/// The targets that are written like chains.
const TARGETS: [&str; 14] = [
    "ACCEPT",
    "DROP",
    "RETURN",
    "QUEUE",
    "REJECT",
    "LOG",
    "DNAT",
    "SNAT",
    "MASQUERADE",
    "REDIRECT",
    "NFLOG",
    "MARK",
    "TCPMSS",
    "NOTRACK",
];

pub(super) fn is_chain_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic())
        && !name.starts_with(['-', '!'])
        && !TARGETS.contains(&name)
}

impl Rules {
    /// Checks the table after the rule at `index` of the chain `at` was put there; `undo` takes it
    /// back when that made no sense.
    pub(super) fn keep_if_sound(
        &mut self,
        at: usize,
        index: usize,
        undo: impl FnOnce(&mut Rules),
    ) -> Result<(), RuleError> {
        let checked = self.check(at, index);
        if checked.is_err() {
            undo(self);
        }
        checked
    }

    fn check(&self, at: usize, index: usize) -> Result<(), RuleError> {
        let chain = &self.chains[at];
        let entry = &chain.entries[index];
        if let (Some(base), None) = (chain.base, entry.to) {
            return check_rule(self.table, base, &chain.name, &entry.rule);
        }
        // The rule changes what is reached from where: everything is looked at again.
        let mut costs = vec![None; self.chains.len()];
        for (at, chain) in self.chains.iter().enumerate() {
            self.cost(at, &mut costs)?;
            let Some(base) = chain.base else { continue };
            let reached = self.reached_from(at);
            for (chain, _) in self.chains.iter().zip(reached).filter(|(_, reached)| *reached) {
                for entry in &chain.entries {
                    check_rule(self.table, base, &chain.name, &entry.rule)?;
                }
            }
        }
        Ok(())
    }

    /// The most rules that a packet passes from the beginning of a chain. `costs` remembers them;
    /// `Some(0)` is a chain that is being looked at.
    fn cost(&self, at: usize, costs: &mut [Option<u32>]) -> Result<u32, RuleError> {
        match costs[at] {
            Some(0) => return Err(RuleError::TooDeep(STEPS_MAX)),
            Some(known) => return Ok(known),
            None => costs[at] = Some(0),
        }
        let mut sum = 1u32;
        for entry in &self.chains[at].entries {
            let further = entry.to.map_or(Ok(0), |to| self.cost(to, costs))?;
            sum = sum.saturating_add(1).saturating_add(further);
        }
        if sum > STEPS_MAX {
            return Err(RuleError::TooDeep(STEPS_MAX));
        }
        costs[at] = Some(sum);
        Ok(sum)
    }

    /// Which chains packets of a built-in chain can come to.
    fn reached_from(&self, base: usize) -> Vec<bool> {
        let mut reached = vec![false; self.chains.len()];
        let mut open = vec![base];
        while let Some(at) = open.pop() {
            if !core::mem::replace(&mut reached[at], true) {
                open.extend(self.chains[at].entries.iter().filter_map(|e| e.to));
            }
        }
        reached
    }
}

fn check_rule(table: Table, base: Chain, name: &str, rule: &Rule) -> Result<(), RuleError> {
    if rule.matches().input.is_some() && !base.has_input() {
        return Err(RuleError::NoInput(name.into()));
    }
    if rule.matches().output.is_some() && !base.has_output() {
        return Err(RuleError::NoOutput(name.into()));
    }
    let target = rule.target();
    let works = match (target, table) {
        (Target::Drop, _) => table != Table::Nat,
        (Target::Reject(_), _) => table == Table::Filter,
        // The path is known only where the way out is.
        (Target::TcpMss(Mss::ClampToPmtu), Table::Filter | Table::Mangle) => {
            matches!(base, Chain::Forward | Chain::Output | Chain::Postrouting)
        }
        (Target::TcpMss(_), Table::Nat) => false,
        (Target::Dnat(_) | Target::Redirect(_), Table::Nat) => {
            matches!(base, Chain::Prerouting | Chain::Output)
        }
        (Target::Snat(_), Table::Nat) => matches!(base, Chain::Postrouting | Chain::Input),
        (Target::Masquerade(_), Table::Nat) => base == Chain::Postrouting,
        _ => !target.translates(),
    };
    if works {
        return Ok(());
    }
    Err(RuleError::TargetHere { target: target.name(), chain: base.id(), table: table.name() })
}
