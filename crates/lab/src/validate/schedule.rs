//! Commands that the lab gives itself: that they can be read, and that what they name is there.

use std::collections::BTreeSet;

use netarium_base::Duration;
use netarium_world::Command;

use crate::command;
use crate::decode::{At, Tried};
use crate::error::{Code, Errors, shown};
use crate::limits::{MAX_DOORS, MAX_TIMES};
use crate::model::{GATEWAY, Gateway, Host, Network, NodeKind, Schedule, Switch};
use crate::raw::{RawLab, RawSchedule};
use crate::words::split;

use super::{check_count, short_text};

/// What commands can name.
pub(super) struct There<'a> {
    pub(super) networks: &'a [Network],
    pub(super) switches: &'a [Switch],
    pub(super) hosts: &'a [Host],
    pub(super) gateway: Option<&'a Gateway>,
    pub(super) programs: &'a [&'a str],
}

/// The schedule, by time; at one time as in the file.
pub(super) fn schedule(raw: &RawLab, there: &There<'_>, errors: &mut Errors) -> Vec<Schedule> {
    let list = raw.schedule.as_deref().unwrap_or_default();
    if let Some(spot) = list.iter().find_map(|r| Some(r.command.as_ref()?.spot)) {
        check_count("[[schedule]] entries", list.len(), MAX_DOORS, spot, errors);
    }
    if list.is_empty() {
        return Vec::new();
    }
    let known = there.known();
    let read = |raw| entry(raw, &known, errors);
    let mut out: Vec<Schedule> = list.iter().take(MAX_DOORS).filter_map(read).collect();
    out.sort_by_key(|s| s.at);
    out
}

fn entry(raw: &RawSchedule, known: &Known<'_>, errors: &mut Errors) -> Option<Schedule> {
    let command = raw.command.as_ref()?;
    let again = again(raw, command, errors)?;
    let commands = known.commands(command, errors)?;
    Some(Schedule { at: raw.at?.0, again, text: command.value.clone(), commands })
}

/// How often it is given again; outer `None` after reporting why not.
fn again(
    raw: &RawSchedule,
    command: &At<String>,
    errors: &mut Errors,
) -> Option<Option<(Duration, u32)>> {
    match (raw.every, &raw.times) {
        (None, None) => Some(None),
        // It was there, and was reported.
        (Some(Tried(None)), _) => None,
        (Some(Tried(Some(every))), Some(times)) => {
            let count = u32::try_from(times.value).ok().filter(|n| (1..=MAX_TIMES).contains(n));
            if count.is_none() {
                let message = format!("`{}` is not a number of times", times.value);
                let label = format!("expected 1 to {MAX_TIMES}");
                errors.report(Code::BadValue, times.spot, message, label);
            }
            count.map(|n| Some((every.0, n - 1)))
        }
        (every, _) => {
            let (has, needs) =
                if every.is_some() { ("every", "times") } else { ("times", "every") };
            let message = format!("`{has}` needs `{needs}`");
            errors
                .report(Code::MissingKey, command.spot, message, "in the entry of this command")
                .hint("such as `every = \"2s\"` and `times = 5`");
            None
        }
    }
}

/// Names by what they are.
struct Known<'a> {
    hosts: BTreeSet<&'a str>,
    switches: BTreeSet<&'a str>,
    links: BTreeSet<String>,
    programs: &'a [&'a str],
}

/// What a command names.
#[derive(Clone, Copy)]
enum What {
    Host,
    Switch,
    Link,
    Program,
}

impl Known<'_> {
    fn commands(&self, text: &At<String>, errors: &mut Errors) -> Option<Vec<Command>> {
        if !short_text(text, "a command", errors) {
            return None;
        }
        let read = split(text).map_err(|e| (e.to_string(), None));
        let read = read.and_then(|w| command::commands(&w).map_err(|e| (e.message, e.hint)));
        let commands = match read {
            Ok(commands) => commands,
            Err((label, hint)) => {
                let message = format!("`{}` is no command of a schedule", shown(text));
                errors.report(Code::BadCommand, text.spot, message, label).maybe_hint(hint);
                return None;
            }
        };
        let mut named = commands.iter().flat_map(names);
        named.all(|(what, name)| self.has(what, name, text, errors)).then(|| commands.clone())
    }

    /// Whether something is there; reports it if not.
    fn has(&self, what: What, name: &str, text: &At<String>, errors: &mut Errors) -> bool {
        let (there, word, code) = match what {
            What::Host => (self.hosts.contains(name), "host", Code::UnknownHost),
            What::Switch => (self.switches.contains(name), "switch", Code::UnknownSwitch),
            What::Link => (self.links.contains(name), "link", Code::UnknownLink),
            What::Program => (self.programs.contains(&name), "program", Code::UnknownProgram),
        };
        if !there {
            let hint = match what {
                What::Host => errors.did_you_mean(name, self.hosts.iter().copied()),
                What::Switch => errors.did_you_mean(name, self.switches.iter().copied()),
                What::Link => errors.did_you_mean(name, self.links.iter().map(String::as_str)),
                What::Program => errors.did_you_mean(name, self.programs.iter().copied()),
            };
            let message = format!("there is no {word} `{}`", shown(name));
            errors.report(code, text.spot, message, format!("unknown {word}")).maybe_hint(hint);
        }
        there
    }
}

/// All that a command names.
fn names(command: &Command) -> Vec<(What, &str)> {
    match command {
        Command::LinkUp { link, .. }
        | Command::Link { link, .. }
        | Command::CutInFlight { link } => vec![(What::Link, link)],
        Command::Partition { sides, .. } => {
            sides.iter().flatten().map(|host| (What::Host, host.as_str())).collect()
        }
        Command::Mirror { switch, mirror } => {
            let links = mirror.iter().flat_map(|m| std::iter::once(&m.to).chain(&m.from));
            let links = links.map(|link| (What::Link, link.as_str()));
            std::iter::once((What::Switch, switch.as_str())).chain(links).collect()
        }
        Command::Start { host, argv } => {
            let program = argv.first().map_or("", String::as_str);
            vec![(What::Host, host), (What::Program, program)]
        }
        Command::AddForward { host, .. }
        | Command::RemoveForward { host, .. }
        | Command::AddRule { host, .. }
        | Command::RemoveRule { host, .. }
        | Command::InboundDefault { host, .. } => vec![(What::Host, host)],
        _ => Vec::new(),
    }
}

impl<'a> There<'a> {
    fn known(&self) -> Known<'a> {
        let gateway = self.gateway.map(|_| GATEWAY);
        let networks = self.networks.iter().map(|n| (n.kind, n.name.as_str()));
        let all = networks.chain(self.switches.iter().map(|s| (s.kind, s.name.as_str())));
        let switches = all.filter(|(kind, _)| *kind == NodeKind::Switch).map(|(_, name)| name);
        Known {
            hosts: self.hosts.iter().map(|h| h.name.as_str()).chain(gateway).collect(),
            switches: switches.collect(),
            links: self.links(),
            programs: self.programs,
        }
    }

    fn links(&self) -> BTreeSet<String> {
        let of_hosts = self.hosts.iter().flat_map(|h| &h.interfaces);
        let of_gateway = self.gateway.iter().map(|g| &g.interface);
        let mut links: BTreeSet<String> =
            of_hosts.chain(of_gateway).map(|i| i.link_name.clone()).collect();
        for switch in self.switches {
            let ends = std::iter::once(&switch.uplink).chain(&switch.cables);
            links.extend(ends.map(|end| format!("{}.{end}", switch.name)));
        }
        links
    }
}
