//! Firewalls and NAT.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::BTreeMap;

use crate::decode::{At, Tried};
use crate::error::{Code, Errors, Spot, shown};
use crate::limits::MAX_PER_HOST;
use crate::model::{
    Action, Firewall, Forward, Host, InboundRule, Interface, Nat, NatKind, Network, OneToOne,
};
use crate::raw::{RawFirewall, RawForward, RawLab, RawNat, RawRule};
use crate::value::{EndpointHost, ForwardFrom, Inside, Ipv4Net};

use super::hosts::raw_host;
use super::names::Names;
use super::{check_count, short_text};

/// The inbound firewall, when the host asks for one.
pub(super) fn firewall(raw: Option<&RawFirewall>, errors: &mut Errors) -> Option<Firewall> {
    let list = raw?.inbound.as_deref()?;
    if let Some(first) = list.first() {
        check_count("inbound rules of a host", list.len(), MAX_PER_HOST, first.spot, errors);
    }
    Some(Firewall { inbound: list.iter().filter_map(|r| rule(r, errors)).collect() })
}

fn rule(raw: &At<RawRule>, errors: &mut Errors) -> Option<InboundRule> {
    let given =
        [(Action::Allow, raw.allow), (Action::Drop, raw.drop), (Action::Reject, raw.reject)];
    let mut given = given.iter().filter_map(|(action, traffic)| Some((*action, (*traffic)?)));
    let name = raw.name.as_ref().filter(|n| short_text(n, "the name of a rule", errors));
    let name = name.map(|n| n.value.clone());
    let first = given.next();
    if let Some((second, _)) = given.next() {
        let message = "a rule does one thing";
        let label = format!("this one has `{}` too", second.as_str());
        errors
            .report(Code::BadRule, raw.spot, message, label)
            .hint("write two rules; the first that fits decides");
    }
    let Some((action, Tried(traffic))) = first else {
        let message = "this rule does not say what it does";
        let label = "expected one of `allow`, `drop` and `reject`";
        errors
            .report(Code::BadRule, raw.spot, message, label)
            .hint("such as `{ allow = \"tcp/80\" }`");
        return None;
    };
    // A traffic that could not be read has been reported.
    Some(InboundRule { action, traffic: traffic?, from: raw.from, name })
}

/// Puts the NAT of each router in its place.
pub(super) fn nats(
    raw: &RawLab,
    networks: &[Network],
    hosts: &mut [Host],
    names: &Names<'_>,
    errors: &mut Errors,
) {
    let known = by_name(hosts);
    for host in hosts {
        let Some((_, raw)) = raw_host(raw, &host.name) else { continue };
        let Some(nat) = &raw.nat else { continue };
        if !host.router {
            let message = format!("`nat` stands on `{}`, which is not a router", host.name);
            errors
                .report(Code::NotRouter, nat.spot, message, "only a router translates addresses")
                .hint(format!("add `router = true` to [hosts.{}]", host.name));
        }
        let inside = side(host, nat.inside.as_ref(), "inside", names, errors);
        let outside = side(host, nat.outside.as_ref(), "outside", names, errors);
        if let (Some(inside), Some(outside)) = (inside, outside) {
            host.nat = sides_differ(inside, outside, errors).then(|| Nat {
                inside: inside.value.clone(),
                outside: outside.value.clone(),
                forwards: Vec::new(),
                one_to_one: Vec::new(),
                kind: kind(nat),
            });
        }
        let network = inside.and_then(|i| networks.binary_search_by(|n| n.name.cmp(&i.value)).ok());
        let network = network.map(|i| &networks[i]);
        let forwards = forwards(nat, network, &known, names, errors);
        let places = Places { inside: network, hosts: &known, names };
        let own = outside.and_then(|o| host.on(o)).map(Interface::address);
        let one_to_one = places.one_to_one(nat, own, errors);
        if let Some(nat) = &mut host.nat {
            nat.forwards = forwards;
            nat.one_to_one = one_to_one;
        }
    }
}

fn kind(nat: &RawNat) -> NatKind {
    let timeouts = nat.timeouts.as_ref();
    NatKind {
        preset: nat.preset.map(|p| p.0).unwrap_or_default(),
        mapping: nat.mapping.map(|d| d.0),
        filtering: nat.filtering.map(|d| d.0),
        preserve_ports: nat.preserve,
        ports: nat.ports.map(|p| p.0),
        hairpin: nat.hairpin,
        udp_timeout: timeouts.and_then(|t| t.udp).map(|t| t.0),
        tcp_timeout: timeouts.and_then(|t| t.tcp).map(|t| t.0),
        icmp_timeout: timeouts.and_then(|t| t.icmp).map(|t| t.0),
    }
}

/// The first address of each host on each network.
type Addresses = BTreeMap<(String, String), Ipv4Addr>;

fn by_name(hosts: &[Host]) -> Addresses {
    let all = hosts.iter().flat_map(|h| h.interfaces.iter().map(move |i| (h, i)));
    all.map(|(h, i)| ((h.name.clone(), i.network.clone()), known_address(hosts, i))).collect()
}

/// An interface's first address, or the one that a DHCP server keeps for it; 0.0.0.0 when only time
/// will tell.
pub(super) fn known_address(hosts: &[Host], of: &Interface) -> Ipv4Addr {
    if !of.by_dhcp {
        return of.address();
    }
    let servers = hosts.iter().flat_map(|h| &h.interfaces).filter(|i| i.network == of.network);
    let mut kept = servers.filter_map(|i| i.dhcp.as_ref()).flat_map(|s| &s.reserved);
    kept.find(|r| r.mac == of.mac).map_or(Ipv4Addr::UNSPECIFIED, |r| r.address)
}

/// Reports that a host's address is not known beforehand.
pub(super) fn unknown_address(name: &str, spot: Spot, errors: &mut Errors) {
    let message = format!("`{name}` gets its address while the lab runs");
    errors
        .report(Code::ForwardTarget, spot, message, "its address is not known beforehand")
        .hint(format!("let the DHCP server keep one: `reserve = {{ {name} = \"ADDRESS\" }}`"));
}

fn side<'r>(
    host: &Host,
    name: Option<&'r At<String>>,
    which: &str,
    names: &Names<'_>,
    errors: &mut Errors,
) -> Option<&'r At<String>> {
    let name = name?;
    if !names.network(name, name.spot, errors) {
        return None;
    }
    if host.on(name).is_none() {
        let on: Vec<String> = host.interfaces.iter().map(|i| format!("`{}`", i.network)).collect();
        let message = format!("`{}` is not on the network `{}`", host.name, name.value);
        let hint = match on.is_empty() {
            true => format!("`{which}` names a network of the router"),
            false => format!("`{which}` names a network of the router: {}", on.join(", ")),
        };
        errors
            .report(Code::NatNetworks, name.spot, message, format!("`{which}` of its nat"))
            .hint(hint);
        return None;
    }
    Some(name)
}

fn sides_differ(inside: &At<String>, outside: &At<String>, errors: &mut Errors) -> bool {
    if inside.value != outside.value {
        return true;
    }
    let message = format!("`{}` cannot be both inside and outside", inside.value);
    errors
        .report(Code::NatNetworks, outside.spot, message, "the same network")
        .also(inside.spot, "inside")
        .hint("`outside` is the network on which the router's address stands for the inside ones");
    false
}

fn forwards(
    nat: &RawNat,
    inside: Option<&Network>,
    hosts: &Addresses,
    names: &Names<'_>,
    errors: &mut Errors,
) -> Vec<Forward> {
    let list = nat.forward.as_deref().unwrap_or_default();
    if let Some(spot) = list.iter().find_map(|f| Some(f.from.as_ref()?.spot)) {
        check_count("forwards of a router", list.len(), MAX_PER_HOST, spot, errors);
    }
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for raw in list.iter().take(MAX_PER_HOST) {
        if let Some(from) = raw.from
            && let Some(before) = twice(&mut seen, &from)
        {
            let message = format!("{}/{} is forwarded twice", from.protocol, from.ports);
            errors
                .report(Code::DuplicateForward, from.spot, message, "the second forward")
                .also(before, "the first forward")
                .hint("one outside port leads to one inside address");
        }
        out.extend(forward(raw, inside, hosts, names, errors));
    }
    out
}

fn forward(
    raw: &RawForward,
    inside: Option<&Network>,
    hosts: &Addresses,
    names: &Names<'_>,
    errors: &mut Errors,
) -> Option<Forward> {
    let to = raw.to.as_ref()?;
    if let EndpointHost::Name(name) = &to.host
        && !names.host(name, to.spot, errors)
    {
        return None;
    }
    let network = inside?;
    let places = Places { inside, hosts, names };
    let address = match &to.host {
        EndpointHost::Address(address) => *address,
        EndpointHost::Name(name) => places.address_of(name, to.spot, errors)?,
    };
    if !places.is_inside(address, to.spot, errors) {
        return None;
    }
    let from = raw.from?;
    let last = u32::from(to.port) + u32::from(from.ports.last - from.ports.first);
    if last > 65_535 {
        let message =
            format!("the forward of {}/{} would end at port {last}", from.protocol, from.ports);
        errors
            .report(Code::ForwardTarget, to.spot, message, "ports end at 65535")
            .hint("a range of ports leads to as many ports, from this one on");
        return None;
    }
    debug_assert!(network.subnet.contains(address));
    let to = SocketAddrV4::new(address, to.port);
    Some(Forward { protocol: from.protocol, ports: from.ports, to })
}

/// Where an earlier forward has one of these ports.
fn twice(seen: &mut Vec<At<ForwardFrom>>, from: &At<ForwardFrom>) -> Option<Spot> {
    let overlaps = |other: &&At<ForwardFrom>| {
        other.protocol == from.protocol
            && other.ports.first <= from.ports.last
            && from.ports.first <= other.ports.last
    };
    let before = seen.iter().find(overlaps).map(|f| f.spot);
    seen.push(*from);
    before
}

/// What a translation can lead to.
struct Places<'a> {
    inside: Option<&'a Network>,
    hosts: &'a Addresses,
    names: &'a Names<'a>,
}

impl Places<'_> {
    /// The address of an inside host.
    fn address_of(&self, name: &str, spot: Spot, errors: &mut Errors) -> Option<Ipv4Addr> {
        let network = self.inside?;
        match self.hosts.get(&(name.to_owned(), network.name.clone())) {
            Some(address) if address.is_unspecified() => {
                unknown_address(name, spot, errors);
                None
            }
            Some(address) => Some(*address),
            None => {
                let message = format!("`{name}` is not inside, on `{}`", network.name);
                errors
                    .report(Code::ForwardTarget, spot, message, "a host of another network")
                    .hint("a forward leads to a host on the inside network");
                None
            }
        }
    }

    /// Whether a host inside can have the address; reports it if not.
    fn is_inside(&self, address: Ipv4Addr, spot: Spot, errors: &mut Errors) -> bool {
        let Some(network) = self.inside else { return false };
        let subnet: Ipv4Net = network.subnet;
        let (first, last) = subnet.usable();
        if (first..=last).contains(&address) {
            return true;
        }
        let message = format!("{address} is not an address inside `{}`", shown(&network.name));
        let label = format!("`{}` is {subnet}", network.name);
        errors
            .report(Code::ForwardTarget, spot, message, label)
            .hint("a forward leads to a host on the inside network");
        false
    }

    /// Outside addresses that stand for one inside host each.
    fn one_to_one(
        &self,
        nat: &RawNat,
        own: Option<Ipv4Addr>,
        errors: &mut Errors,
    ) -> Vec<OneToOne> {
        let list = nat.one_to_one.as_deref().unwrap_or_default();
        if let Some(spot) = list.iter().find_map(|o| Some(o.outside.as_ref()?.spot)) {
            check_count("one-to-one translations", list.len(), MAX_PER_HOST, spot, errors);
        }
        let mut seen = BTreeMap::new();
        let mut out = Vec::new();
        for raw in list.iter().take(MAX_PER_HOST) {
            let (Some(outside), Some(inside)) = (raw.outside, &raw.inside) else { continue };
            let label = "stands for one inside host here";
            if own == Some(outside.address) {
                let message = format!("{} is the router's own address", outside.address);
                errors
                    .report(Code::DuplicateAddress, outside.spot, message, label)
                    .hint("the router's first outside address stands for all that have none");
                continue;
            }
            if let Some(before) = seen.insert(outside.address, outside.spot) {
                let message = format!("{} stands for two inside hosts", outside.address);
                errors
                    .report(Code::DuplicateForward, outside.spot, message, "the second one")
                    .also(before, "the first one");
                continue;
            }
            let address = match &inside.value {
                Inside::Address(address) => Some(*address),
                Inside::Name(name) if self.names.host(name, inside.spot, errors) => {
                    self.address_of(name, inside.spot, errors)
                }
                Inside::Name(_) => None,
            };
            if let Some(inside) = address.filter(|a| self.is_inside(*a, inside.spot, errors)) {
                out.push(OneToOne { outside: outside.address, inside });
            }
        }
        out
    }
}
