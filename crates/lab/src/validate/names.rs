//! Names: their form, and that no two things share one.

use std::collections::BTreeMap;

use crate::decode::{At, Named};
use crate::error::{Code, Errors, Spot, later_first, shown};
use crate::limits::{MAX_GROUPS, MAX_HOSTS, MAX_NAME, MAX_NETWORKS, MAX_SWITCHES};
use crate::model::GATEWAY;
use crate::raw::RawLab;

use super::check_count;

/// The names of a lab.
pub(super) struct Names<'r> {
    raw: &'r RawLab,
}

impl<'r> Names<'r> {
    /// Checks every name.
    pub(super) fn collect(raw: &'r RawLab, errors: &mut Errors) -> Self {
        let mut seen: BTreeMap<String, (&'static str, &str, Spot)> = BTreeMap::new();
        let names = Names { raw };
        let all = names.networks().map(|n| ("network", n));
        let all = all.chain(names.switches().map(|n| ("switch", n)));
        for (what, name) in all.chain(names.hosts().map(|n| ("host", n))) {
            check(what, name, errors);
            let before = seen.insert(name.to_ascii_lowercase(), (what, &name.value, name.spot));
            if let Some((other, other_name, spot)) = before {
                let (late, early) =
                    later_first((name.spot, (what, name.as_str())), (spot, (other, other_name)));
                clash(late, early, errors);
            }
        }
        for (what, most, named) in [
            ("networks", MAX_NETWORKS, raw.networks.as_ref().map_or(0, |n| n.0.len())),
            ("switches", MAX_SWITCHES, raw.switches.as_ref().map_or(0, |n| n.0.len())),
            ("groups", MAX_GROUPS, raw.groups.as_ref().map_or(0, |n| n.0.len())),
            ("hosts", MAX_HOSTS, raw.hosts.as_ref().map_or(0, |n| n.0.len())),
        ] {
            check_count(what, named, most, Spot::default(), errors);
        }
        names
    }

    fn networks(&self) -> impl Iterator<Item = &'r At<String>> + use<'r> {
        self.raw.networks.iter().flat_map(|n| &n.0).map(|(name, _)| name)
    }

    fn switches(&self) -> impl Iterator<Item = &'r At<String>> + use<'r> {
        self.raw.switches.iter().flat_map(|n| &n.0).map(|(name, _)| name)
    }

    fn hosts(&self) -> impl Iterator<Item = &'r At<String>> + use<'r> {
        self.raw.hosts.iter().flat_map(|n| &n.0).map(|(name, _)| name)
    }

    /// Whether the network was named, well or badly; reports it if not.
    pub(super) fn network(&self, name: &str, spot: Spot, errors: &mut Errors) -> bool {
        if has(self.raw.networks.as_ref(), name) {
            return true;
        }
        let hint = errors.did_you_mean(name, self.networks().map(|n| n.as_str()));
        let hint = hint.unwrap_or_else(|| {
            format!("add [networks.{}] with its `subnet`", if valid(name) { name } else { "…" })
        });
        let message = format!("there is no network `{}`", shown(name));
        errors.report(Code::UnknownNetwork, spot, message, "unknown network").hint(hint);
        false
    }

    /// Whether it is a network or a switch; reports it if not.
    pub(super) fn uplink(&self, name: &str, spot: Spot, errors: &mut Errors) -> bool {
        if has(self.raw.networks.as_ref(), name) || self.is_switch(name) {
            return true;
        }
        let known = self.networks().chain(self.switches()).map(|n| n.as_str());
        let hint = errors.did_you_mean(name, known);
        let message = format!("there is no network or switch `{}`", shown(name));
        errors
            .report(Code::UnknownSwitch, spot, message, "unknown network or switch")
            .maybe_hint(hint);
        false
    }

    /// Whether there is a switch of this name.
    pub(super) fn is_switch(&self, name: &str) -> bool {
        has(self.raw.switches.as_ref(), name)
    }

    /// Whether the group was named; reports it if not.
    pub(super) fn group(&self, name: &str, spot: Spot, errors: &mut Errors) -> bool {
        if has(self.raw.groups.as_ref(), name) {
            return true;
        }
        let groups = self.raw.groups.iter().flat_map(|g| &g.0).map(|(name, _)| name.as_str());
        let hint = errors.did_you_mean(name, groups);
        let hint = hint.unwrap_or_else(|| {
            format!("add [groups.{}] with a `title`", if valid(name) { name } else { "…" })
        });
        let message = format!("there is no group `{}`", shown(name));
        errors.report(Code::UnknownGroup, spot, message, "unknown group").hint(hint);
        false
    }

    /// Whether the host was named; reports it if not.
    pub(super) fn host(&self, name: &str, spot: Spot, errors: &mut Errors) -> bool {
        if has(self.raw.hosts.as_ref(), name) {
            return true;
        }
        let hint = if name == GATEWAY {
            Some("the gateway is the real machine; lab programs run on hosts".to_owned())
        } else {
            errors.did_you_mean(name, self.hosts().map(|n| n.as_str()))
        };
        let message = format!("there is no host `{}`", shown(name));
        errors.report(Code::UnknownHost, spot, message, "unknown host").maybe_hint(hint);
        false
    }
}

/// Reports two things with one name; each is (what it is, its name).
fn clash(late: (Spot, (&str, &str)), early: (Spot, (&str, &str)), errors: &mut Errors) {
    let ((_, (what, name)), (_, (other, other_name))) = (late, early);
    let (message, hint) = if name == other_name {
        let message = format!("{} is the name of a {other} and of a {what}", quoted(name));
        (message, "hosts, switches and networks need names of their own")
    } else {
        let message = format!("{} and {} are the same name", quoted(other_name), quoted(name));
        (message, "capital letters make no difference")
    };
    errors
        .report(Code::NameClash, late.0, message, format!("this {what}"))
        .also(early.0, format!("and this {other}"))
        .hint(hint);
}

/// Whether the table, which is sorted, has the name.
fn has<T>(table: Option<&Named<T>>, name: &str) -> bool {
    table.is_some_and(|t| t.0.binary_search_by(|(n, _)| n.value.as_str().cmp(name)).is_ok())
}

fn quoted(name: &str) -> String {
    format!("`{}`", shown(name))
}

fn valid(name: &str) -> bool {
    complaint(name).is_none()
}

fn complaint(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        Some("a name has at least one character")
    } else if name.len() > MAX_NAME {
        Some("a name has at most 63 characters")
    } else if !name.chars().all(allowed) {
        Some("names are made of the letters a to z, digits, `-` and `_`")
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some("a name starts with a letter or digit")
    } else if !name.contains(|c: char| c.is_ascii_alphabetic()) {
        Some("a name has a letter, or it would be taken for an address")
    } else {
        None
    }
}

/// Checks the form of a name.
pub(super) fn check(what: &str, name: &At<String>, errors: &mut Errors) {
    if let Some(complaint) = complaint(name) {
        let message = format!("{} cannot be the name of a {what}", quoted(name));
        errors
            .report(Code::BadName, name.spot, message, complaint)
            .hint("what people read, in any script, stands in `title`");
    } else if what != "lab" && ["localhost", GATEWAY].iter().any(|r| name.eq_ignore_ascii_case(r)) {
        let message = format!("{} cannot be the name of a {what}", quoted(name));
        let label = if name.eq_ignore_ascii_case(GATEWAY) {
            "this name belongs to the real machine, [gateway]"
        } else {
            "this name means each host itself"
        };
        errors.report(Code::BadName, name.spot, message, label);
    }
}
