//! The state of a running world written back into its lab file.
//!
//! Only what differs is touched: comments, order and spelling of everything else stay. What is
//! written is the settings of links, forwards, inbound rules, mirror ports, programs that were
//! started in the background, and those that a command has ended. Of a link only the settings that
//! differ are written, each where it stands already, or else beside the link's other settings. The new text is read and validated before anybody
//! sees it, and must say what the world says; otherwise there is an error and no text.
//!
//! A lab file has no words for a link that is down, for a partition, nor for a rule that compares
//! more than rules of lab files do: these are told ([`Saved::left_out`]) and not written.

mod links;

use core::net::{SocketAddr, SocketAddrV4};
use std::collections::BTreeMap;

use netarium_base::chance::fraction;
use netarium_wire::protocol;
use netarium_world::edit::{self, Inbound};
use netarium_world::{DirectionSpec, Faults, World};
use toml_edit::{Array, DocumentMut, Item, TableLike, Value};

use crate::build::inbound_rule;
use crate::model::{Action, Forward, Host, InboundRule, Lab, Link, Mirror, Wire};
use crate::value::{Ipv4Net, PortRange, Probability, Protocol, Rate, Traffic};
use crate::words;
use crate::write;
use crate::{Files, LabErrors};

use links::{edit_links, edit_mirrors, links, mirrors, same_mirror};

/// What a world has that a lab file can say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    links: BTreeMap<String, Link>,
    down: Vec<String>,
    partitions: Vec<String>,
    mirrors: BTreeMap<String, Option<Mirror>>,
    hosts: BTreeMap<String, PresentHost>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct PresentHost {
    inbound: Option<Vec<InboundRule>>,
    foreign: Vec<String>,
    forwards: Vec<Forward>,
    daemons: Vec<Vec<String>>,
    killed: Vec<Vec<String>>,
}

/// A lab file that says what a world is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The text.
    pub text: String,
    /// What differs from the text before, a line each; empty when nothing does.
    pub changes: Vec<String>,
    /// What a lab file cannot say, a line each.
    pub left_out: Vec<String>,
}

/// Why a world cannot be written into a lab file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The file that is there has mistakes.
    #[error("the lab file has mistakes now; mend it first")]
    Before(LabErrors),
    /// It is about other hosts or wires than the world.
    #[error("the lab file has changed since the lab was started: {0}")]
    Another(String),
    /// The new text would not say what the world is.
    #[error("{0} cannot be written into this lab file")]
    Inexpressible(String),
}

impl Present {
    /// Looks at a world.
    pub fn of(world: &World) -> Present {
        let mut present = Present::default();
        for link in world.links() {
            let [up, down] = link.wires;
            let [up_faults, down_faults] = link.faults;
            let (up, down) = (wire(up, up_faults), wire(down, down_faults));
            present.links.insert(link.name.to_owned(), Link { up, down });
            if !link.up {
                present.down.push(link.name.to_owned());
            }
        }
        present.partitions.extend(world.partitions().into_iter().map(|p| p.name));
        for node in world.nodes() {
            if let Some(switch) = world.switch(node.id) {
                let mirror = switch.mirror.map(|m| Mirror { to: m.to, from: m.from });
                present.mirrors.insert(node.name.to_owned(), mirror);
            }
        }
        for node in world.hosts() {
            let owned = |all: &[std::rc::Rc<[String]>]| all.iter().map(|a| a.to_vec()).collect();
            let mut host = PresentHost {
                daemons: owned(&world.daemons(node.id)),
                killed: owned(world.killed(node.id)),
                ..PresentHost::default()
            };
            if let Some(filter) = world.stack(node.id).and_then(|s| s.filter()) {
                host.read_inbound(Inbound::of(filter));
                host.forwards = filter.forwards().filter_map(|(f, _)| forward(&f)).collect();
            }
            present.hosts.insert(node.name.to_owned(), host);
        }
        present
    }
}

impl Present {
    /// Without the programs behind which real servers stand: `[attach]` says it already.
    fn without_attached(&self, lab: &Lab) -> Present {
        let mut present = self.clone();
        for attach in lab.attach() {
            if let Some(host) = present.hosts.get_mut(&attach.host) {
                let other = |argv: &Vec<String>| *argv != attach.argv();
                host.daemons.retain(other);
                host.killed.retain(other);
            }
        }
        present
    }
}

impl PresentHost {
    fn read_inbound(&mut self, inbound: Option<Inbound>) {
        let Some(inbound) = inbound else { return };
        let mut rules = Vec::new();
        for view in inbound.rules {
            match view.rule.as_ref().and_then(rule) {
                Some(rule) => rules.push(rule),
                None => self.foreign.push(view.label),
            }
        }
        if !inbound.deny {
            rules.push(LET_IN.clone());
        }
        self.inbound = Some(rules);
    }
}

/// What a firewall ends with that lets in what no rule names: lab files deny it.
const LET_IN: InboundRule =
    InboundRule { action: Action::Allow, traffic: Traffic::Any, from: None, name: None };

fn wire(spec: DirectionSpec, faults: Faults) -> Wire {
    let loss = Probability { value: fraction(spec.loss), threshold: spec.loss };
    Wire { delay: spec.delay, rate: spec.rate.map(Rate), queue: spec.queue, loss, faults }
}

/// Whether two wires behave the same, however their loss was written.
fn same(a: &Wire, b: &Wire) -> bool {
    let plain = |w: &Wire| (w.delay, w.rate, w.queue, w.loss.threshold);
    plain(a) == plain(b) && a.faults == b.faults
}

fn rule(rule: &edit::InboundRule) -> Option<InboundRule> {
    let range = rule.ports.map_or(PortRange::ALL, |(first, last)| PortRange { first, last });
    let from = match rule.from.map(|net| (net.address(), net.prefix())) {
        None => None,
        Some((core::net::IpAddr::V4(a), prefix)) => Some(Ipv4Net::new(a, prefix)?),
        Some(_) => return None,
    };
    Some(InboundRule {
        action: match rule.action {
            edit::Action::Allow => Action::Allow,
            edit::Action::Drop => Action::Drop,
            edit::Action::Reject => Action::Reject,
        },
        traffic: match rule.protocol {
            None => Traffic::Any,
            Some(protocol::ICMP) => Traffic::Icmp,
            Some(protocol::TCP) => Traffic::Tcp(range),
            Some(protocol::UDP) => Traffic::Udp(range),
            Some(_) => return None,
        },
        from,
        name: rule.name.clone(),
    })
}

fn forward(forward: &netarium_filter::PortForward) -> Option<Forward> {
    let protocol = match forward.protocol {
        protocol::TCP => Protocol::Tcp,
        protocol::UDP => Protocol::Udp,
        _ => return None,
    };
    let SocketAddr::V4(to) = forward.to else { return None };
    Some(Forward {
        protocol,
        ports: PortRange { first: forward.ports.first(), last: forward.ports.last() },
        to: SocketAddrV4::new(*to.ip(), to.port()),
    })
}

/// The lab file `text`, changed so that it says what is present.
///
/// # Errors
/// See [`SaveError`].
pub fn save(
    file_name: &str,
    text: &str,
    files: &Files,
    known_programs: &[&str],
    present: &Present,
) -> Result<Saved, SaveError> {
    let read = |text: &str| Lab::from_parts(file_name, text, files, known_programs);
    let before = read(text).map_err(SaveError::Before)?;
    let present = &present.without_attached(&before);
    let mut doc: DocumentMut =
        text.parse().map_err(|_| SaveError::Inexpressible("its syntax".to_owned()))?;
    let mut changes = Vec::new();
    edit_links(&mut doc, &before, present, &mut changes)?;
    edit_mirrors(&mut doc, &before, present, &mut changes)?;
    for host in &before.hosts {
        let now = present.hosts.get(&host.name);
        let now = now.ok_or_else(|| SaveError::Another(format!("no host `{}` runs", host.name)))?;
        edit_host(&mut doc, host, now, &mut changes)?;
    }
    let text = if changes.is_empty() { text.to_owned() } else { doc.to_string() };
    let after = read(&text).map_err(|e| SaveError::Inexpressible(e.to_string()))?;
    check(&after, present)?;
    let mut left_out = left_out(present);
    left_out.extend(links::odd_cables(&before, present));
    Ok(Saved { text, changes, left_out })
}

fn left_out(present: &Present) -> Vec<String> {
    let down = present.down.iter().map(|l| format!("{l} is down"));
    let foreign = present.hosts.iter().flat_map(|(host, now)| {
        now.foreign.iter().map(move |rule| format!("{host}: the rule `{rule}`"))
    });
    let partitions = present.partitions.iter().map(|p| format!("the partition {p}"));
    down.chain(partitions).chain(foreign).collect()
}

/// Whether the file says what is present, as far as it can.
fn check(after: &Lab, present: &Present) -> Result<(), SaveError> {
    let no = |what: &str| Err(SaveError::Inexpressible(what.to_owned()));
    for (name, link, _) in links(after) {
        let same = present
            .links
            .get(&name)
            .is_some_and(|now| same(&now.up, &link.up) && same(&now.down, &link.down));
        if !same {
            return no(&format!("the link {name}"));
        }
    }
    for (name, _, mirror) in mirrors(after) {
        let now = present.mirrors.get(name).and_then(Option::as_ref);
        if !same_mirror(now, mirror) {
            return no(&format!("the mirror of {name}"));
        }
    }
    for host in &after.hosts {
        let Some(now) = present.hosts.get(&host.name) else { continue };
        if !same_rules(host.firewall.as_ref().map(|f| f.inbound.as_slice()), now) {
            return no(&format!("what {} lets in", host.name));
        }
        let forwards = host.nat.as_ref().map(|n| n.forwards.as_slice()).unwrap_or_default();
        if forwards != now.forwards {
            return no(&format!("the forwards of {}", host.name));
        }
    }
    Ok(())
}

/// Compared as worlds see them: a name that is what the rule says is no name.
fn same_rules(file: Option<&[InboundRule]>, now: &PresentHost) -> bool {
    let plain = |rules: &[InboundRule]| {
        rules.iter().map(|r| (inbound_rule(r).to_string(), r.label())).collect::<Vec<_>>()
    };
    file.map(plain) == now.inbound.as_deref().map(plain)
}

fn lost(what: &str) -> SaveError {
    SaveError::Inexpressible(format!("{what}, which stands in no place that is known,"))
}

/// What stands at a path of keys.
fn at<'a>(item: &'a mut Item, path: &[&str]) -> Option<&'a mut Item> {
    path.iter().try_fold(item, |item, key| item.as_table_like_mut()?.get_mut(key))
}

fn value(text: &str) -> Result<Value, SaveError> {
    text.parse().map_err(|_| SaveError::Inexpressible(format!("`{text}`")))
}

fn edit_host(
    doc: &mut DocumentMut,
    host: &Host,
    now: &PresentHost,
    changes: &mut Vec<String>,
) -> Result<(), SaveError> {
    let name = host.name.as_str();
    let place = at(doc.as_item_mut(), &["hosts", name]).ok_or_else(|| lost(name))?;
    let table = place.as_table_like_mut().ok_or_else(|| lost(name))?;
    let mut note = |text: String| changes.push(format!("{name}: {text}"));

    let old = host.firewall.as_ref().map(|f| f.inbound.as_slice());
    if !same_rules(old, now) {
        match &now.inbound {
            None => {
                table.remove("firewall");
                note("no firewall any more".to_owned());
            }
            Some(rules) => {
                let array = array(table, &["firewall", "inbound"]).ok_or_else(|| lost(name))?;
                let said = |r: &InboundRule| (inbound_rule(r).to_string(), r.label());
                let same = |a: &InboundRule, b: &InboundRule| said(a) == said(b);
                sync(array, old.unwrap_or_default(), rules, same, write::rule, |sign, r| {
                    note(format!("{sign} rule {}", inbound_rule(r)));
                })?;
            }
        }
    }
    let old = host.nat.as_ref().map(|n| n.forwards.as_slice()).unwrap_or_default();
    if old != now.forwards {
        let array = array(table, &["nat", "forward"]).ok_or_else(|| lost(name))?;
        sync(array, old, &now.forwards, PartialEq::eq, write::forward, |sign, f| {
            note(format!("{sign} forward {}/{} -> {}", f.protocol, f.ports, f.to));
        })?;
    }
    let old: Vec<Vec<String>> = host.programs.iter().map(|p| p.argv.clone()).collect();
    let programs = programs(&old, now, host);
    if old != programs {
        let array = array(table, &["programs"]).ok_or_else(|| lost(name))?;
        let text = |argv: &Vec<String>| write::quoted(&words::join(argv));
        sync(array, &old, &programs, PartialEq::eq, text, |sign, argv| {
            note(format!("{sign} program {}", words::join(argv)));
        })?;
    }
    Ok(())
}

/// The programs of the file without those that a command has ended, and those that run beyond them.
/// A program that has ended by itself stays.
fn programs(file: &[Vec<String>], now: &PresentHost, host: &Host) -> Vec<Vec<String>> {
    let services = host.services();
    // What runs because of an interface's address stands there already.
    let implied = |argv: &Vec<String>| services.iter().any(|(s, _)| s.first() == argv.first());
    let runs = |argv: &Vec<String>| now.daemons.contains(argv);
    let ended = |argv: &Vec<String>| now.killed.contains(argv) && !runs(argv);
    let mut programs: Vec<_> = file.iter().filter(|p| !ended(p)).cloned().collect();
    let mut left = programs.clone();
    for daemon in now.daemons.iter().filter(|d| !implied(d)) {
        match left.iter().position(|p| p == daemon) {
            Some(known) => drop(left.remove(known)),
            None => programs.push(daemon.clone()),
        }
    }
    programs
}

/// The array at a path below a table, made when it is not there; a single value becomes its one
/// element.
fn array<'a>(table: &'a mut dyn TableLike, path: &[&str]) -> Option<&'a mut Array> {
    let (first, rest) = path.split_first()?;
    let mut item = table.entry(first).or_insert(Item::None);
    for key in rest {
        if item.is_none() {
            let mut inner = toml_edit::Table::new();
            inner.set_dotted(true);
            *item = Item::Table(inner);
        }
        item = item.as_table_like_mut()?.entry(key).or_insert(Item::None);
    }
    if item.is_none() {
        *item = Item::Value(Value::Array(Array::new()));
    } else if !item.is_array() {
        let value = std::mem::take(item).into_value().ok()?;
        let array = match value {
            Value::Array(array) => array,
            single => Array::from_iter([single]),
        };
        *item = Item::Value(Value::Array(array));
    }
    item.as_array_mut()
}

/// Makes an array whose elements mean `old` mean `new`, and leaves elements that stay as they are.
fn sync<T>(
    array: &mut Array,
    old: &[T],
    new: &[T],
    same: impl Fn(&T, &T) -> bool,
    text: impl Fn(&T) -> String,
    mut tell: impl FnMut(char, &T),
) -> Result<(), SaveError> {
    let mut there: Vec<&T> = old.iter().collect();
    if array.len() != there.len() {
        return Err(lost("a list"));
    }
    for (i, wanted) in new.iter().enumerate() {
        match there.iter().skip(i).position(|old| same(old, wanted)) {
            Some(behind) => {
                for _ in 0..behind {
                    tell('-', there.remove(i));
                    array.remove(i);
                }
            }
            None => {
                tell('+', wanted);
                there.insert(i, wanted);
                let mut value = value(&text(wanted))?;
                place(array, i, &mut value);
                array.insert_formatted(i, value);
            }
        }
    }
    while there.len() > new.len() {
        let last = there.len() - 1;
        tell('-', there.remove(last));
        array.remove(last);
    }
    Ok(())
}

/// Gives a new element the line, or the space, that its neighbours have.
fn place(array: &mut Array, i: usize, value: &mut Value) {
    let text = |raw: Option<&toml_edit::RawString>| {
        raw.and_then(toml_edit::RawString::as_str).unwrap_or_default().to_owned()
    };
    let Some(before) = i.checked_sub(1).and_then(|i| array.get(i)) else {
        if let Some(first) = array.get_mut(0)
            && text(first.decor().prefix()).is_empty()
        {
            first.decor_mut().set_prefix(" ");
        }
        return;
    };
    let prefix = text(before.decor().prefix());
    let Some((_, indent)) = prefix.rsplit_once('\n') else {
        return value.decor_mut().set_prefix(" ");
    };
    let trailing = text(Some(array.trailing()));
    let mut lines = format!("\n{indent}");
    if i == array.len()
        && let Some((comment, rest)) = trailing.rsplit_once('\n')
    {
        // A comment behind the last element stays with that.
        lines = format!("{comment}\n{indent}");
        array.set_trailing(format!("\n{rest}"));
    }
    value.decor_mut().set_prefix(lines);
}

#[cfg(test)]
mod tests;
