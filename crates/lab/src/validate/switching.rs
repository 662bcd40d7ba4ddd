//! Switches: what they mirror, and further cables between them.

use crate::decode::{At, Named};
use crate::error::{Code, Errors, Spot, did_you_mean, shown};
use crate::model::{Gateway, Host, Mirror, Network, NodeKind, Switch, SwitchSettings};
use crate::raw::{RawLab, RawMirror, RawNetwork, RawSwitch};
use crate::value::{Queue, Span};

/// The settings of a switch but its mirror; a hub has none.
pub(super) fn settings(
    kind: NodeKind,
    (table, ageing): (Option<Queue>, Option<Span>),
    mirror: Option<&At<RawMirror>>,
    spot: Spot,
    errors: &mut Errors,
) -> SwitchSettings {
    if kind == NodeKind::Hub && (table.is_some() || ageing.is_some() || mirror.is_some()) {
        let message = "a hub has no `table`, `ageing` or `mirror`";
        errors
            .report(Code::NotASwitch, spot, message, "this is a hub")
            .hint("a hub repeats everything to everyone; leave `kind` out for a switch");
        return SwitchSettings::default();
    }
    SwitchSettings { table: table.map(|t| t.0), ageing: ageing.map(|a| a.0), mirror: None }
}

/// Checks the further cables of switches, and keeps those that can be.
pub(super) fn cables(raw: &RawLab, switches: &mut [Switch], errors: &mut Errors) {
    let of_network: Vec<(String, String)> =
        switches.iter().map(|s| (s.name.clone(), s.network.clone())).collect();
    for switch in switches {
        let Some(raw) = raw_switch(raw, &switch.name) else { continue };
        for cable in raw.cables.iter().flatten() {
            let network = match of_network.iter().find(|(name, _)| *name == cable.value) {
                Some((_, network)) => Some(network.as_str()),
                None => (cable.value == switch.network).then_some(switch.network.as_str()),
            };
            let taken = cable.value == switch.uplink || switch.cables.contains(&cable.value);
            let label = if cable.value == switch.name {
                "a cable leads to another switch"
            } else if taken {
                "there is such a cable already"
            } else if network != Some(&switch.network) {
                "no switch of this network"
            } else {
                switch.cables.push(cable.value.clone());
                continue;
            };
            let same = of_network.iter().filter(|(_, n)| *n == switch.network);
            let known = same.map(|(name, _)| name.as_str()).chain([switch.network.as_str()]);
            let hint = if network.is_none() { did_you_mean(cable, known) } else { None };
            let message = format!("`{}` cannot have a cable to `{}`", switch.name, shown(cable));
            errors.report(Code::UnknownSwitch, cable.spot, message, label).maybe_hint(hint);
        }
    }
}

/// What is plugged into switches: its name, the switch, the wire.
struct Plugs(Vec<(String, String, String)>);

/// Fills in the mirrors, now that it is known what is plugged in where.
pub(super) fn mirrors(
    raw: &RawLab,
    networks: &mut [Network],
    switches: &mut [Switch],
    hosts: &[Host],
    gateway: Option<&Gateway>,
    errors: &mut Errors,
) {
    let of_networks = raw.networks.iter().flat_map(|n| n.read()).any(|(_, n)| n.mirror.is_some());
    let of_switches = raw.switches.iter().flat_map(|s| s.read()).any(|(_, s)| s.mirror.is_some());
    if !of_networks && !of_switches {
        return;
    }
    let mut plugs = Plugs(Vec::new());
    let of_hosts = hosts.iter().flat_map(|h| h.interfaces.iter().map(|i| (h.name.as_str(), i)));
    let of_gateway = gateway.map(|g| (crate::model::GATEWAY, &g.interface));
    for (name, i) in of_hosts.chain(of_gateway) {
        plugs.0.push((name.to_owned(), i.plugged_into.clone(), i.link_name.clone()));
    }
    for switch in &*switches {
        for other in std::iter::once(&switch.uplink).chain(&switch.cables) {
            let wire = format!("{}.{other}", switch.name);
            plugs.0.push((switch.name.clone(), other.clone(), wire.clone()));
            plugs.0.push((other.clone(), switch.name.clone(), wire));
        }
    }
    for network in networks {
        let raw = raw_network(raw, &network.name).and_then(|n| n.mirror.as_ref());
        network.switch.mirror = raw.and_then(|m| plugs.mirror(&network.name, m, errors));
    }
    for switch in switches {
        let raw = raw_switch(raw, &switch.name).and_then(|s| s.mirror.as_ref());
        switch.settings.mirror = raw.and_then(|m| plugs.mirror(&switch.name, m, errors));
    }
}

impl Plugs {
    fn mirror(&self, switch: &str, raw: &At<RawMirror>, errors: &mut Errors) -> Option<Mirror> {
        let to = self.wire(switch, raw.to.as_ref()?, errors)?;
        let mut from = Vec::new();
        for one in raw.from.iter().flat_map(|f| &f.0) {
            let wire = self.wire(switch, one, errors)?;
            if wire == to {
                let message = format!("`{}` cannot be a mirror of itself", shown(one));
                errors.report(Code::NotASwitch, one.spot, message, "the copies leave here");
                return None;
            }
            from.push(wire);
        }
        Some(Mirror { to, from })
    }

    /// The wire at a switch's port that is named by itself or by what is at its other end.
    fn wire(&self, switch: &str, name: &At<String>, errors: &mut Errors) -> Option<String> {
        let here = || self.0.iter().filter(|(_, at, _)| at == switch);
        let found = here().find(|(who, _, wire)| *who == name.value || *wire == name.value);
        if found.is_none() {
            let message = format!("`{}` is not plugged into `{switch}`", shown(name));
            let hint = errors.did_you_mean(name, here().map(|(who, ..)| who.as_str()));
            errors.report(Code::UnknownHost, name.spot, message, "not here").maybe_hint(hint);
        }
        found.map(|(_, _, wire)| wire.clone())
    }
}

fn raw_network<'r>(raw: &'r RawLab, name: &str) -> Option<&'r RawNetwork> {
    find(raw.networks.as_ref()?, name)
}

fn raw_switch<'r>(raw: &'r RawLab, name: &str) -> Option<&'r RawSwitch> {
    find(raw.switches.as_ref()?, name)
}

/// What a table, which is sorted, has under a name.
fn find<'r, T>(table: &'r Named<T>, name: &str) -> Option<&'r T> {
    let found = table.0.binary_search_by(|(n, _)| n.value.as_str().cmp(name)).ok()?;
    table.0[found].1.as_ref()
}
