//! Hosts and the gateway, but for what depends on all of them: addresses and MACs that a
//! convention gives, routes, NAT.

use crate::decode::At;
use crate::error::{Code, Errors, Spot, shown};
use crate::limits::{MAX_INTERFACES, MAX_PER_HOST, MTU};
use crate::model::{GATEWAY, Gateway, Group, Host, Interface, Network, Switch};
use crate::raw::{RawHost, RawInterface, RawInterfaceTable, RawLab, RawNetwork};
use crate::value::{Mac, PlaceAddress};

use super::names::{self, Names};
use super::programs::Programs;
use super::{check_count, link, policy, title};

/// The hosts that could be read, by name; addresses and MACs are still to be filled in.
pub(super) fn hosts(
    raw: &RawLab,
    networks: &[Network],
    switches: &[Switch],
    names: &Names<'_>,
    programs: &mut Programs<'_>,
    errors: &mut Errors,
) -> Vec<Host> {
    let mut plugs = Plugs { raw, networks, switches, names };
    let list = raw.hosts.as_ref().map_or(&[][..], |h| &h.0);
    let mut out = Vec::with_capacity(list.len());
    for (name, raw) in list.iter().filter_map(|(n, h)| Some((n, h.as_ref()?))) {
        out.push(host(name, raw, &mut plugs, programs, errors));
    }
    out
}

fn host(
    name: &At<String>,
    raw: &RawHost,
    plugs: &mut Plugs<'_>,
    programs: &mut Programs<'_>,
    errors: &mut Errors,
) -> Host {
    let title = title(raw.title.as_ref(), errors);
    let on = raw.networks.as_ref().map_or(&[][..], |n| &n.0);
    if raw.networks.is_some() && on.is_empty() {
        let message = format!("host `{}` is on no network", shown(name));
        errors
            .report(Code::NoNetworks, name.spot, message, "a host needs at least one network")
            .hint("add a line such as `networks.home = \"192.168.17.17\"`");
    }
    check_count("networks of a host", on.len(), MAX_INTERFACES, name.spot, errors);
    let mut interfaces = Vec::with_capacity(on.len());
    for (network, raw) in on {
        let table = raw.as_ref().map(|RawInterface(t)| t);
        interfaces.extend(plugs.interface(name, network, table, errors));
    }
    let list = raw.programs.as_deref().unwrap_or_default();
    check_count("programs of a host", list.len(), MAX_PER_HOST, name.spot, errors);
    let commands = list.iter().filter_map(|p| programs.command(p, Some(name), errors)).collect();
    Host {
        name: name.value.clone(),
        title,
        group: group(raw, plugs.names, errors),
        router: raw.router.is_some_and(|r| r.value),
        interfaces,
        resolvers: Vec::new(),
        programs: commands,
        firewall: policy::firewall(raw.firewall.as_ref(), errors),
        nat: None,
        routes: Vec::new(),
        pacing: raw.pacing.unwrap_or(false),
        reverse_path: raw.reverse_path.map_or(Default::default(), |r| r.0),
    }
}

fn group(raw: &RawHost, names: &Names<'_>, errors: &mut Errors) -> Option<String> {
    let group = raw.group.as_ref()?;
    names.group(group, group.spot, errors).then(|| group.value.clone())
}

/// The groups, by name.
pub(super) fn groups(raw: &RawLab, errors: &mut Errors) -> Vec<Group> {
    let list = raw.groups.as_ref().map_or(&[][..], |g| &g.0);
    let read = list.iter().filter_map(|(name, g)| Some((name, g.as_ref()?)));
    read.map(|(name, raw)| {
        names::check("group", name, errors);
        Group { name: name.value.clone(), title: title(raw.title.as_ref(), errors) }
    })
    .collect()
}

/// The gateway, when there is one that could be read.
pub(super) fn gateway(
    raw: &RawLab,
    networks: &[Network],
    names: &Names<'_>,
    errors: &mut Errors,
) -> Option<Gateway> {
    let gateway = raw.gateway.as_ref()?;
    let title = title(gateway.title.as_ref(), errors);
    let network = gateway.network.as_ref()?;
    let mut plugs = Plugs { raw, networks, switches: &[], names };
    let name = At { value: GATEWAY.to_owned(), spot: network.spot };
    let mut interface = plugs.interface(&name, network, None, errors)?;
    let of_network = plugs.raw_network(network).and_then(|n| n.link.as_ref());
    interface.link = link(&[of_network, gateway.link.as_ref()]);
    interface.mac_given = gateway.mac.is_some();
    interface.mac = gateway.mac.map_or(interface.mac, |m| m.value);
    Some(Gateway { title, interface, resolvers: Vec::new() })
}

/// What a wire can be plugged into.
struct Plugs<'a> {
    raw: &'a RawLab,
    networks: &'a [Network],
    switches: &'a [Switch],
    names: &'a Names<'a>,
}

impl<'a> Plugs<'a> {
    fn raw_network(&self, name: &str) -> Option<&'a RawNetwork> {
        let list = &self.raw.networks.as_ref()?.0;
        let found = list.binary_search_by(|(n, _)| n.value.as_str().cmp(name)).ok()?;
        list[found].1.as_ref()
    }

    fn interface(
        &mut self,
        host: &At<String>,
        network: &At<String>,
        raw: Option<&RawInterfaceTable>,
        errors: &mut Errors,
    ) -> Option<Interface> {
        if self.names.is_switch(network) {
            self.switch_as_network(network, errors);
            return None;
        }
        if !self.names.network(network, network.spot, errors) {
            return None;
        }
        let plugged_into = match raw.and_then(|r| r.switch.as_ref()) {
            Some(switch) => self.switch(network, switch, errors)?,
            None => network.value.clone(),
        };
        // A network that is named but broken has been reported.
        self.networks.binary_search_by(|n| n.name.cmp(&network.value)).ok()?;
        let of_network = self.raw_network(network).and_then(|n| n.link.as_ref());
        let mac = raw.and_then(|r| r.mac);
        Some(Interface {
            network: network.value.clone(),
            plugged_into,
            link_name: format!("{}.{}", host.value, network.value),
            addresses: Vec::new(),
            by_dhcp: raw.is_some_and(|r| by_dhcp(r, errors)),
            dhcp: None,
            mtu: raw.and_then(|r| r.mtu).map_or(MTU, |m| m.0),
            mac: mac.map_or(Mac([0; 6]), |m| m.value),
            mac_given: mac.is_some(),
            link: link(&[of_network, raw.and_then(|r| r.link.as_ref())]),
        })
    }

    /// Hosts name the network and, if they want, the switch.
    fn switch_as_network(&self, name: &At<String>, errors: &mut Errors) {
        let of = self.switches.iter().find(|s| s.name == name.value);
        let network = of.map_or("NETWORK", |s| s.network.as_str());
        let hint = format!("write `networks.{network} = {{ switch = \"{}\" }}`", name.value);
        let message = format!("`{}` is a switch, not a network", name.value);
        errors.report(Code::UnknownNetwork, name.spot, message, "this is a switch").hint(hint);
    }

    fn switch(
        &self,
        network: &At<String>,
        switch: &At<String>,
        errors: &mut Errors,
    ) -> Option<String> {
        if !self.names.is_switch(switch) {
            let known = self.switches.iter().filter(|s| s.network == network.value);
            let hint = errors.did_you_mean(switch, known.map(|s| s.name.as_str()));
            let message = format!("there is no switch `{}`", shown(switch));
            errors
                .report(Code::UnknownSwitch, switch.spot, message, "unknown switch")
                .hint(hint.unwrap_or_else(|| "add [switches.NAME] with its `uplink`".to_owned()));
            return None;
        }
        let found = self.switches.binary_search_by(|s| s.name.cmp(&switch.value)).ok()?;
        let of = &self.switches[found].network;
        if *of != network.value {
            let message = format!("switch `{}` belongs to the network `{of}`", shown(switch));
            let label = format!("not to `{}`", network.value);
            errors.report(Code::UnknownSwitch, switch.spot, message, label);
            return None;
        }
        Some(switch.value.clone())
    }
}

/// Whether an interface gets its address by DHCP.
fn by_dhcp(raw: &RawInterfaceTable, errors: &mut Errors) -> bool {
    let written = raw.address.as_ref().map_or(&[][..], |a| &a.0);
    let dhcp = written.iter().find(|a| matches!(a.value, PlaceAddress::Dhcp));
    if let Some(dhcp) = dhcp.filter(|_| written.len() > 1) {
        let message = "`dhcp` stands alone: an interface has addresses of its own or asks for one";
        errors.report(Code::BadValue, dhcp.spot, message, "one of several addresses");
    }
    dhcp.is_some()
}

/// The raw table of a host's interface.
pub(super) fn raw_interface<'r>(
    raw: &'r RawLab,
    host: &str,
    network: &str,
) -> Option<(&'r At<String>, &'r RawInterfaceTable)> {
    let hosts = &raw.hosts.as_ref()?.0;
    let i = hosts.binary_search_by(|(n, _)| n.value.as_str().cmp(host)).ok()?;
    let networks = &hosts[i].1.as_ref()?.networks.as_ref()?.0;
    let i = networks.binary_search_by(|(n, _)| n.value.as_str().cmp(network)).ok()?;
    let (name, interface) = &networks[i];
    interface.as_ref().map(|RawInterface(t)| (name, t))
}

/// The raw host of this name.
pub(super) fn raw_host<'r>(raw: &'r RawLab, host: &str) -> Option<(Spot, &'r RawHost)> {
    let hosts = &raw.hosts.as_ref()?.0;
    let i = hosts.binary_search_by(|(n, _)| n.value.as_str().cmp(host)).ok()?;
    Some((hosts[i].0.spot, hosts[i].1.as_ref()?))
}
