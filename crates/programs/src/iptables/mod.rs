//! `iptables` and `iptables-save`: the host's packet filter and address translation, in the words and
//! layouts of iptables 1.8.9 (nf_tables), as Debian 12 has it.
//!
//! The tables `filter` and `nat` are there. What is changed holds for the next packet.

mod names;
mod options;
mod parse;
mod show;
#[cfg(test)]
mod tests;
mod values;

use netarium_base::IfIndex;
use netarium_filter::{Filter, Policy, Rule, RuleError, Rules, Table};
use netarium_stack::{Interface, Stack};
use netarium_world::process::{LocalBoxFuture, Process};

use parse::{Line, NAT_DROP, Refusal, Verb};

const VERSION: &str = "iptables v1.8.9 (nf_tables)";

/// What the program says on standard output and on standard error, and its exit code.
type Said = (String, String, i32);

/// The program `iptables`.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args().get(1..).unwrap_or_default().to_vec();
        let (out, err, code) = process.with_stack(|stack, _| run(stack, &args));
        process.print(&out).await;
        process.eprint(&err).await;
        code
    })
}

/// The program `iptables-save`.
pub(crate) fn save(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let counters = process.args().iter().any(|a| a == "-c" || a == "--counters");
        let text = process.with_stack(|stack, _| match stack.filter() {
            Some(filter) => saved(filter, stack.interfaces(), counters),
            None => String::new(),
        });
        process.print(&text).await;
        0
    })
}

/// Does what a command line says.
fn run(stack: &mut Stack, args: &[String]) -> Said {
    let ifaces = stack.interfaces().to_vec();
    let names: Vec<(String, IfIndex)> = ifaces.iter().map(|i| (i.name.clone(), i.index)).collect();
    let done = parse::parse(args, &names).and_then(|line| obey(stack, &line, &ifaces));
    match done {
        Ok(out) => (out, String::new(), 0),
        Err(refusal) => {
            let (text, code) = refused(refusal);
            (String::new(), text, code)
        }
    }
}

const TRY: &str = "Try `iptables -h' or 'iptables --help' for more information.\n";

fn refused(refusal: Refusal) -> (String, i32) {
    match refusal {
        Refusal::Usage(text) => match text.strip_prefix('\u{1}') {
            Some(bare) => (format!("{bare}\n{TRY}"), 2),
            None => (format!("{VERSION}: {text}\n{TRY}"), 2),
        },
        Refusal::Failed(text) => match text.strip_prefix('\u{1}') {
            Some(bare) => (bare.to_owned(), 1),
            None => (format!("iptables: {text}\n"), 1),
        },
        Refusal::Kernel(text) => (format!("{VERSION}:  {text}\n"), 4),
        Refusal::Table(table) => {
            let hint = "Perhaps iptables or your kernel needs to be upgraded.";
            (format!("{VERSION}: table '{table}' does not exist\n{hint}\n"), 3)
        }
    }
}

const NO_CHAIN: &str = "No chain/target/match by that name.";
const BAD_RULE: &str = "Bad rule (does a matching rule exist in that chain?).";

fn failed<T>(text: &str) -> Result<T, Refusal> {
    Err(Refusal::Failed(text.to_owned()))
}

fn obey(stack: &mut Stack, line: &Line, ifaces: &[Interface]) -> Result<String, Refusal> {
    match line.verb {
        Verb::Version => return Ok(format!("{VERSION}\n")),
        Verb::Help => return Ok(format!("{VERSION}\n\n{HELP}")),
        Verb::List | Verb::ListRules if stack.filter().is_none() => {
            // A host without rules has no filter; looking at it makes none.
            return list(&Rules::empty(line.table), line, ifaces);
        }
        _ => {}
    }
    let rules = stack.filter_or_new().table_mut(line.table);
    match line.verb {
        Verb::List | Verb::ListRules => list(rules, line, ifaces),
        _ => change(rules, line, ifaces).map(|()| String::new()),
    }
}

fn change(rules: &mut Rules, line: &Line, ifaces: &[Interface]) -> Result<(), Refusal> {
    let chain = line.chain.as_deref().unwrap_or_default();
    match line.verb {
        Verb::Append | Verb::Insert | Verb::Replace => put(rules, line, chain, ifaces),
        Verb::Delete | Verb::Check => take(rules, line, chain, ifaces),
        Verb::Flush => each(rules, line, |rules, chain| rules.flush(chain)),
        Verb::Zero => {
            let index = line.number.map(|n| raw_index(rules, chain, n)).transpose()?;
            each(rules, line, |rules, chain| rules.zero(chain, index))
        }
        Verb::New => new_chain(rules, chain),
        Verb::DeleteChain => delete_chains(rules, line),
        Verb::Rename => {
            let to = line.word.as_deref().unwrap_or_default();
            rules.rename_chain(chain, to).map_err(|e| match e {
                RuleError::ChainExists(_) => Refusal::Failed("File exists.".to_owned()),
                RuleError::BuiltIn(_) => Refusal::Failed(NO_CHAIN.to_owned()),
                e => fault("CHAIN_USER_RENAME", chain, e),
            })
        }
        Verb::Policy => set_policy(rules, line, chain),
        Verb::List | Verb::ListRules | Verb::Version | Verb::Help => Ok(()),
    }
}

/// The chain that is named, or all of them.
fn each(
    rules: &mut Rules,
    line: &Line,
    mut f: impl FnMut(&mut Rules, &str) -> Result<(), RuleError>,
) -> Result<(), Refusal> {
    let names: Vec<_> = match &line.chain {
        Some(name) => vec![name.as_str().into()],
        None => rules.chains().map(|c| c.name().clone()).collect(),
    };
    names.iter().try_for_each(|name| f(rules, name).map_err(|e| fault("", name, e)))
}

/// The rules that a line describes.
fn rules_of(line: &Line, ifaces: &[Interface]) -> Result<Vec<Rule>, RuleError> {
    let one = |(matches, target): &(netarium_filter::Match, netarium_filter::Target)| {
        let plain = Rule::new(matches.clone(), target.clone(), "".into())?;
        let text = match &matches.comment {
            Some(comment) => comment.clone(),
            None => show::spec(&plain, ifaces).into(),
        };
        Rule::new(matches.clone(), target.clone(), text)
    };
    line.specs.iter().map(one).collect()
}

fn put(rules: &mut Rules, line: &Line, chain: &str, ifaces: &[Interface]) -> Result<(), Refusal> {
    if let Some(name) = line.specs.first().and_then(|(_, target)| target.chain())
        && rules.chain(name).is_none()
    {
        return Err(Refusal::Usage(format!("Chain '{name}' does not exist")));
    }
    let what = match line.verb {
        Verb::Append => "RULE_APPEND",
        Verb::Insert => "RULE_INSERT",
        _ => "RULE_REPLACE",
    };
    let new = rules_of(line, ifaces).map_err(|e| fault(what, chain, e))?;
    let Some(view) = rules.chain(chain) else { return failed(NO_CHAIN) };
    let count = show::enabled(view).len();
    let number = line.number.unwrap_or(1);
    for (i, rule) in new.into_iter().enumerate() {
        let done = match line.verb {
            Verb::Append => rules.append(chain, rule),
            Verb::Insert if number > count + 1 => return failed("Index of insertion too big."),
            Verb::Insert if number == count + 1 && i == 0 => rules.append(chain, rule),
            Verb::Insert => {
                let at = raw_index(rules, chain, number)? + i;
                rules.insert(chain, at, rule)
            }
            _ if number > count => return failed("Index of replacement too big."),
            _ => {
                let at = raw_index(rules, chain, number)?;
                rules.replace(chain, at, rule)
            }
        };
        done.map_err(|e| fault(what, chain, e))?;
    }
    Ok(())
}

fn take(rules: &mut Rules, line: &Line, chain: &str, ifaces: &[Interface]) -> Result<(), Refusal> {
    let Some(view) = rules.chain(chain) else { return failed(NO_CHAIN) };
    if let (Verb::Delete, Some(number)) = (line.verb, line.number) {
        if number > show::enabled(view).len() {
            return failed("Index of deletion too big.");
        }
        let at = raw_index(rules, chain, number)?;
        return rules.delete(chain, at).map(drop).map_err(|e| fault("RULE_DELETE", chain, e));
    }
    let Ok(wanted) = rules_of(line, ifaces) else { return failed(BAD_RULE) };
    for rule in wanted {
        let text = show::spec(&rule, ifaces);
        let Some(view) = rules.chain(chain) else { return failed(NO_CHAIN) };
        let same = |(_, rule, _): &(usize, &Rule, _)| show::spec(rule, ifaces) == text;
        let Some((at, ..)) = show::enabled(view).into_iter().find(same) else {
            return failed(BAD_RULE);
        };
        if line.verb == Verb::Delete {
            rules.delete(chain, at).map_err(|e| fault("RULE_DELETE", chain, e))?;
        }
    }
    Ok(())
}

/// Where the rule that is shown with a number (from 1) stands among all.
fn raw_index(rules: &Rules, chain: &str, number: usize) -> Result<usize, Refusal> {
    let Some(view) = rules.chain(chain) else { return failed(NO_CHAIN) };
    match show::enabled(view).get(number.wrapping_sub(1)) {
        Some((at, ..)) => Ok(*at),
        None => failed("Index of replacement too big."),
    }
}

fn new_chain(rules: &mut Rules, name: &str) -> Result<(), Refusal> {
    if name.starts_with(['-', '!']) {
        let first = &name[..1];
        return Err(Refusal::Usage(format!("chain name not allowed to start with `{first}'")));
    }
    if name.len() > netarium_filter::table::NAME_MAX {
        let text = format!("chain name `{name}' too long (must be under 29 chars)");
        return Err(Refusal::Usage(text));
    }
    rules.new_chain(name).map_err(|e| match e {
        RuleError::ChainName(_) => {
            Refusal::Usage("chain name may not clash with target name".to_owned())
        }
        RuleError::ChainExists(_) => Refusal::Failed("Chain already exists.".to_owned()),
        e => fault("CHAIN_ADD", name, e),
    })
}

fn delete_chains(rules: &mut Rules, line: &Line) -> Result<(), Refusal> {
    if let Some(name) = &line.chain {
        return rules.delete_chain(name).map_err(|e| match e {
            RuleError::NoSuchChain(_) => Refusal::Failed(NO_CHAIN.to_owned()),
            _ => busy(name),
        });
    }
    let user = rules.chains().filter(|c| c.base().is_none());
    let names: Vec<_> = user.map(|c| c.name().clone()).collect();
    names.iter().try_for_each(|name| rules.delete_chain(name).map_err(|_| busy(name)))
}

fn busy(chain: &str) -> Refusal {
    Refusal::Kernel(format!("CHAIN_DEL failed (Device or resource busy): chain {chain}"))
}

fn set_policy(rules: &mut Rules, line: &Line, chain: &str) -> Result<(), Refusal> {
    let policy = match line.word.as_deref() {
        Some("ACCEPT") => Policy::Accept,
        Some("DROP") => Policy::Drop,
        _ => return failed("Bad policy name. Run `dmesg' for more information."),
    };
    rules.set_policy(chain, policy, "policy".into()).map_err(|e| match e {
        RuleError::PolicyHere => Refusal::Usage(NAT_DROP.to_owned()),
        _ => Refusal::Failed("Bad built-in chain name.".to_owned()),
    })
}

/// What iptables says when the kernel refuses.
fn fault(what: &str, chain: &str, error: RuleError) -> Refusal {
    match error {
        RuleError::NoSuchChain(_) => Refusal::Failed(NO_CHAIN.to_owned()),
        RuleError::NoInput(_) => Refusal::Usage(format!("Can't use -i with {chain}\n")),
        RuleError::NoOutput(_) => Refusal::Usage(format!("Can't use -o with {chain}\n")),
        RuleError::TooDeep(_) => kernel(what, "Too many links", chain),
        RuleError::TooMany(_) | RuleError::TooManyChains(_) => {
            kernel(what, "Cannot allocate memory", chain)
        }
        _ => kernel(what, "Invalid argument", chain),
    }
}

fn kernel(what: &str, why: &str, chain: &str) -> Refusal {
    let object = if what.starts_with("CHAIN") { "chain" } else { "rule in chain" };
    Refusal::Kernel(format!("{what} failed ({why}): {object} {chain}"))
}

/// The built-in chains in their order, then the others by name.
fn in_order(rules: &Rules) -> Vec<netarium_filter::ChainView<'_>> {
    let mut all: Vec<_> = rules.chains().collect();
    all.sort_by_key(|c| (c.base().is_none(), c.base().is_none().then(|| c.name().clone())));
    all
}

fn list(rules: &Rules, line: &Line, ifaces: &[Interface]) -> Result<String, Refusal> {
    let chains = match &line.chain {
        None => in_order(rules),
        Some(name) => match rules.chain(name) {
            Some(chain) => vec![chain],
            None => {
                let text = format!(
                    "\u{1}{VERSION}: chain `{name}' in table `{}' is incompatible, use 'nft' tool.\n",
                    line.table.name()
                );
                return Err(Refusal::Failed(text));
            }
        },
    };
    let mut out = String::new();
    let wanted = |n: usize| line.number.is_none_or(|w| w == n);
    if line.verb == Verb::ListRules {
        if line.number.is_none() {
            chains.iter().for_each(|c| out.push_str(&declaration(*c, line.layout.verbose)));
        }
        for chain in chains {
            for (i, (_, rule, counters)) in show::enabled(chain).into_iter().enumerate() {
                if wanted(i + 1) {
                    let verbose = line.layout.verbose;
                    out.push_str(&show::rule_line(chain.name(), (rule, counters), verbose, ifaces));
                }
            }
        }
        return Ok(out);
    }
    for (at, chain) in chains.into_iter().enumerate() {
        if line.number.is_none() {
            out.push_str(if at > 0 { "\n" } else { "" });
            out.push_str(&show::chain_head(chain, line.layout));
        }
        for (i, (_, rule, counters)) in show::enabled(chain).into_iter().enumerate() {
            if wanted(i + 1) {
                out.push_str(&show::row(i + 1, (rule, counters), line.layout, ifaces));
            }
        }
    }
    Ok(out)
}

/// `-P INPUT ACCEPT` or `-N web`.
fn declaration(chain: netarium_filter::ChainView<'_>, verbose: bool) -> String {
    let (policy, _, counters) = chain.policy();
    match chain.base() {
        None => format!("-N {}\n", chain.name()),
        Some(_) => {
            let counted = match verbose {
                true => format!(" -c {} {}", counters.packets, counters.bytes),
                false => String::new(),
            };
            format!("-P {} {}{counted}\n", chain.name(), show::policy_name(policy))
        }
    }
}

/// What `iptables-save` prints, without the lines that tell the time.
fn saved(filter: &Filter, ifaces: &[Interface], counted: bool) -> String {
    let mut out = String::new();
    // A table that was never touched is not there, as with the original's kernel modules.
    let mangles = filter.table(Table::Mangle).chains().any(|c| c.rules().len() > 0);
    let more = mangles.then_some(Table::Mangle);
    for table in [Table::Filter, Table::Nat].into_iter().chain(more) {
        out.push_str(&format!(
            "# Generated by iptables-save v1.8.9 (nf_tables)\n*{}\n",
            table.name()
        ));
        let chains = in_order(filter.table(table));
        for chain in &chains {
            let (policy, _, c) = chain.policy();
            let policy = chain.base().map_or("-", |_| show::policy_name(policy));
            out.push_str(&format!(":{} {policy} [{}:{}]\n", chain.name(), c.packets, c.bytes));
        }
        for chain in chains {
            for (_, rule, c) in show::enabled(chain) {
                if counted {
                    out.push_str(&format!("[{}:{}] ", c.packets, c.bytes));
                }
                out.push_str(&show::rule_line(chain.name(), (rule, c), false, ifaces));
            }
        }
        out.push_str("COMMIT\n# Completed\n");
    }
    out
}

const HELP: &str = "\
Usage: iptables -[ACD] chain rule-specification [options]
       iptables -I chain [rulenum] rule-specification [options]
       iptables -R chain rulenum rule-specification [options]
       iptables -D chain rulenum [options]
       iptables -[LS] [chain [rulenum]] [options]
       iptables -[FZ] [chain] [options]
       iptables -[NX] chain
       iptables -E old-chain-name new-chain-name
       iptables -P chain target [options]

Options:
  -t filter|nat  -s/-d [!] address[/mask]  -i/-o [!] name[+]  -p [!] protocol
  -m tcp|udp|icmp|conntrack|state|multiport|comment
  -j ACCEPT|DROP|REJECT|LOG|RETURN|DNAT|SNAT|MASQUERADE|REDIRECT|CHAIN  -g CHAIN
  -n  -v  -x  --line-numbers
";
