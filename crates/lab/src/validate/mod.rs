//! From the lab as written to the [`Lab`]: every reference, address and range is checked here, once,
//! and everything that a convention decides is filled in.
//!
//! The checks go on after a mistake. A part that is broken is left out of the result, which is
//! thrown away as soon as one error was reported; its name stays known, so that whoever refers to
//! it is not reported too.

mod addresses;
mod dhcp;
mod doors;
mod hosts;
mod macs;
mod names;
mod networks;
mod policy;
mod programs;
mod resolvers;
mod routes;
mod schedule;
mod switching;

use std::sync::Arc;

use crate::decode::At;
use crate::error::{Code, Errors, shown};
use crate::files::Files;
use crate::limits::MAX_TEXT;
use crate::model::{Lab, Link, Title, Wire};
use crate::raw::{RawLab, RawLink, RawTitle};

use names::Names;
use programs::Programs;

/// The one version of the format.
pub(crate) const VERSION: i64 = 1;

/// Validates a lab. The result is meaningful only when nothing was reported.
pub(crate) fn validate(
    raw: &RawLab,
    default_name: &str,
    files: &Arc<Files>,
    known_programs: &[&str],
    errors: &mut Errors,
) -> Lab {
    let names = Names::collect(raw, errors);
    let mut networks = networks::networks(raw, errors);
    let mut switches = networks::switches(raw, &names, errors);
    switching::cables(raw, &mut switches, errors);
    let mut programs = Programs { files, known: known_programs };
    let mut hosts = hosts::hosts(raw, &networks, &switches, &names, &mut programs, errors);
    let mut gateway = hosts::gateway(raw, &networks, &names, errors);
    let pools = dhcp::pools(raw, &networks, &hosts, errors);
    addresses::settle(raw, &networks, &pools, (&mut hosts, gateway.as_mut()), errors);
    macs::settle(raw, &mut hosts, gateway.as_mut(), errors);
    dhcp::servers(raw, &networks, &mut hosts, gateway.as_ref(), &names, errors);
    policy::nats(raw, &networks, &mut hosts, &names, errors);
    routes::settle(raw, &networks, &mut hosts, errors);
    resolvers::settle(raw, &mut hosts, gateway.as_mut(), errors);
    let publish = doors::publish(raw, &hosts, gateway.as_ref(), &names, errors);
    let attach = doors::attach(raw, &names, errors);
    let proxy_from = doors::proxy_from(raw, &names, errors);
    let runs = programs.runs(raw, &names, errors);
    let at = gateway.as_ref();
    switching::mirrors(raw, &mut networks, &mut switches, &hosts, at, errors);
    let there = schedule::There {
        networks: &networks,
        switches: &switches,
        hosts: &hosts,
        gateway: gateway.as_ref(),
        programs: known_programs,
    };
    let schedule = schedule::schedule(raw, &there, errors);
    let groups = hosts::groups(raw, errors);
    let (name, title, seed) = about(raw, default_name, errors);
    let files = Arc::clone(files);
    Lab {
        name,
        title,
        seed,
        networks,
        switches,
        hosts,
        groups,
        gateway,
        publish,
        attach,
        proxy_from,
        runs,
        schedule,
        files,
    }
}

fn about(raw: &RawLab, default_name: &str, errors: &mut Errors) -> (String, Title, Option<u64>) {
    let Some(about) = &raw.lab else { return (default_name.to_owned(), Title::default(), None) };
    let name = match &about.name {
        Some(name) => {
            names::check("lab", name, errors);
            name.value.clone()
        }
        None => default_name.to_owned(),
    };
    let seed = about.seed.as_ref().and_then(|seed| {
        let read = u64::try_from(seed.value).ok();
        if read.is_none() {
            let message = format!("`{}` is not a seed", seed.value);
            errors.report(Code::BadValue, seed.spot, message, "a seed is 0 to 9223372036854775807");
        }
        read
    });
    (name, title(about.title.as_ref(), errors), seed)
}

fn title(raw: Option<&RawTitle>, errors: &mut Errors) -> Title {
    let mut one = |text: &Option<At<String>>| {
        let text = text.as_ref()?;
        short_text(text, "a title", errors).then(|| text.value.clone())
    };
    raw.map_or_else(Title::default, |RawTitle(t)| Title { en: one(&t.en), ko: one(&t.ko) })
}

/// Whether a text for people is short and without control characters; reports it if not.
fn short_text(text: &At<String>, what: &str, errors: &mut Errors) -> bool {
    let complaint = if text.chars().count() > MAX_TEXT {
        format!("at most {MAX_TEXT} characters")
    } else if text.chars().any(char::is_control) {
        "control characters cannot stand here".to_owned()
    } else {
        return true;
    };
    let message = format!("`{}` is not {what}", shown(text));
    errors.report(Code::BadValue, text.spot, message, complaint);
    false
}

/// Reports a list that is longer than its limit.
fn check_count(
    what: &str,
    count: usize,
    most: usize,
    spot: crate::error::Spot,
    errors: &mut Errors,
) {
    if count > most {
        let message = format!("{count} {what}: at most {most} are possible");
        errors.report(Code::Limit, spot, message, "too many");
    }
}

/// A wire from the settings of its network, then its own; in each, a direction's settings come
/// after those for both.
fn link(levels: &[Option<&RawLink>]) -> Link {
    let mut link = Link::default();
    for raw in levels.iter().copied().flatten() {
        for (wire, own) in [(&mut link.up, &raw.up), (&mut link.down, &raw.down)] {
            set!(wire, raw);
            if let Some(own) = own {
                set!(wire, own);
            }
        }
    }
    link
}

/// Sets what stands in a raw table, whose keys are the same for a wire and for one direction.
macro_rules! set {
    ($wire:expr, $raw:expr) => {{
        let (wire, raw): (&mut Wire, _) = ($wire, $raw);
        wire.delay = raw.delay.map_or(wire.delay, |d| d.0);
        wire.rate = raw.rate.as_ref().map_or(wire.rate, |r| r.0);
        wire.queue = raw.queue.map_or(wire.queue, |q| q.0);
        wire.loss = raw.loss.unwrap_or(wire.loss);
        let faults = &mut wire.faults;
        faults.queue_bytes = raw.queue_bytes.map_or(faults.queue_bytes, |q| q.0);
        faults.jitter = raw.jitter.as_ref().map_or(faults.jitter, |j| j.0);
        faults.burst = raw.loss_burst.as_ref().map_or(faults.burst, |b| b.0);
        if let Some(nth) = &raw.drop_nth {
            faults.nth = nth.0.clone().unwrap_or_default();
        }
        if let Some(matching) = &raw.drop_match {
            faults.matching.clone_from(&matching.0);
        }
        faults.duplicate = raw.duplicate.map_or(faults.duplicate, |p| p.threshold);
        faults.reorder = raw.reorder.as_ref().map_or(faults.reorder, |r| r.0);
        faults.corrupt = raw.corrupt.map_or(faults.corrupt, |p| p.threshold);
        faults.mtu = raw.mtu.map_or(faults.mtu, |m| m.0);
    }};
}
use set;
