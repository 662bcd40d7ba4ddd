//! Firewalls and NAT.

use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::BTreeMap;

use crate::decode::{At, Tried};
use crate::error::{Code, Errors, shown};
use crate::limits::MAX_PER_HOST;
use crate::model::{Action, Firewall, Forward, Host, InboundRule, Nat, NatKind, Network};
use crate::raw::{RawFirewall, RawForward, RawLab, RawNat, RawRule};
use crate::value::{EndpointHost, Ipv4Net};

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
                kind: kind(nat),
            });
        }
        let network = inside.and_then(|i| networks.binary_search_by(|n| n.name.cmp(&i.value)).ok());
        let network = network.map(|i| &networks[i]);
        let forwards = forwards(nat, network, &known, names, errors);
        if let Some(nat) = &mut host.nat {
            nat.forwards = forwards;
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
    all.map(|(h, i)| ((h.name.clone(), i.network.clone()), i.address())).collect()
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
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for raw in list.iter().take(MAX_PER_HOST) {
        if let Some(from) = raw.from
            && let Some(before) = seen.insert((from.protocol, from.port), from.spot)
        {
            let message = format!("{}/{} is forwarded twice", from.protocol, from.port);
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
    let address = match &to.host {
        EndpointHost::Address(address) => *address,
        EndpointHost::Name(name) => match hosts.get(&(name.clone(), network.name.clone())) {
            Some(address) => *address,
            None => {
                let message = format!("`{name}` is not inside, on `{}`", network.name);
                errors
                    .report(Code::ForwardTarget, to.spot, message, "a host of another network")
                    .hint("a forward leads to a host on the inside network");
                return None;
            }
        },
    };
    let subnet: Ipv4Net = network.subnet;
    let (first, last) = subnet.usable();
    if address < first || address > last {
        let message = format!("{address} is not an address inside `{}`", shown(&network.name));
        errors
            .report(
                Code::ForwardTarget,
                to.spot,
                message,
                format!("`{}` is {subnet}", network.name),
            )
            .hint("a forward leads to a host on the inside network");
        return None;
    }
    let from = raw.from?;
    let to = SocketAddrV4::new(address, to.port);
    Some(Forward { protocol: from.protocol, port: from.port, to })
}
