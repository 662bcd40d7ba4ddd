//! Routes: those of the file, and the default route by convention.
//!
//! The convention: a host that does not route itself and has no default route in the file gets one
//! when, among its networks, there is exactly one with exactly one router on it, not counting
//! networks that are the outside of that router's NAT. Routers and the gateway get none.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use crate::decode::At;
use crate::error::{Code, Errors};
use crate::limits::MAX_PER_HOST;
use crate::model::{Host, Interface, Network, Route};
use crate::raw::{RawLab, RawRoute};
use crate::value::Ipv4Net;

use super::check_count;
use super::hosts::raw_host;

/// Fills in the routes of every host.
pub(super) fn settle(raw: &RawLab, networks: &[Network], hosts: &mut [Host], errors: &mut Errors) {
    let routers = sole_routers(hosts);
    for host in hosts {
        let Some((spot, raw)) = raw_host(raw, &host.name) else { continue };
        let list = raw.routes.as_deref().unwrap_or_default();
        check_count("routes of a host", list.len(), MAX_PER_HOST, spot, errors);
        let mut seen = BTreeMap::new();
        for raw in list.iter().take(MAX_PER_HOST) {
            if let Some(to) = raw.to
                && let Some(before) = seen.insert(to.0, raw.spot)
            {
                let message = format!("`{}` has two routes to {}", host.name, to.0);
                errors
                    .report(Code::BadRoute, raw.spot, message, "the second route")
                    .also(before, "the first route");
            }
            let route = route(host, networks, raw, errors);
            host.routes.extend(route);
        }
        if !host.router && !seen.contains_key(&Ipv4Net::ANY) {
            let by_convention = by_convention(host, &routers);
            host.routes.extend(by_convention);
        }
    }
}

/// The router of each network that has exactly one; `None` in it when that is its NAT's outside.
pub(super) fn sole_routers(hosts: &[Host]) -> BTreeMap<String, Option<Ipv4Addr>> {
    let mut count: BTreeMap<&str, (usize, Option<Ipv4Addr>)> = BTreeMap::new();
    for host in hosts.iter().filter(|h| h.router) {
        for interface in &host.interfaces {
            let outside = host.nat.as_ref().is_some_and(|n| n.outside == interface.network);
            let entry = count.entry(&interface.network).or_default();
            let known = !outside && !interface.by_dhcp;
            *entry = (entry.0 + 1, known.then(|| interface.address()));
        }
    }
    let sole = count.into_iter().filter(|(_, (n, _))| *n == 1);
    sole.map(|(network, (_, via))| (network.to_owned(), via)).collect()
}

fn by_convention(host: &Host, routers: &BTreeMap<String, Option<Ipv4Addr>>) -> Option<Route> {
    // Where the address comes by DHCP, so does the route.
    let own = host.interfaces.iter().filter(|i| !i.by_dhcp);
    let mut candidates = own.filter_map(|i| {
        let via = (*routers.get(&i.network)?)?;
        Some(Route { to: Ipv4Net::ANY, via, network: i.network.clone(), by_convention: true })
    });
    let first = candidates.next()?;
    candidates.next().is_none().then_some(first)
}

fn route(
    host: &Host,
    networks: &[Network],
    raw: &At<RawRoute>,
    errors: &mut Errors,
) -> Option<Route> {
    let via = raw.via.as_ref()?;
    if let Some(length) = via.prefix {
        let message = format!("the next hop `{}/{length}` is not a single address", via.address);
        errors.report(Code::BadRoute, via.spot, message, "leave the prefix length out");
        return None;
    }
    let own = host.interfaces.iter().flat_map(|i| &i.addresses).any(|a| a.address == via.address);
    if own {
        let message = format!("{} is an address of `{}` itself", via.address, host.name);
        errors
            .report(Code::BadRoute, via.spot, message, "not a next hop")
            .hint("`via` is the address of a router on one of the host's networks");
        return None;
    }
    let near = |a: &Ipv4Net| a.contains(via.address);
    let subnet = |name: &str| {
        let found = networks.binary_search_by(|n| n.name.as_str().cmp(name)).ok();
        found.map(|i| networks[i].subnet)
    };
    let will_be_near =
        |i: &Interface| i.by_dhcp && subnet(&i.network).is_some_and(|s| s.contains(via.address));
    let reaches = |i: &&Interface| i.addresses.iter().any(near) || will_be_near(i);
    let Some(interface) = host.interfaces.iter().find(reaches) else {
        let networks: Vec<String> = host
            .interfaces
            .iter()
            .flat_map(|i| i.addresses.iter().map(|a| format!("{} ({})", a.subnet(), i.network)))
            .take(8)
            .collect();
        let message = format!("{} is on no network of `{}`", via.address, host.name);
        errors
            .report(Code::BadRoute, via.spot, message, "the next hop must be a neighbour")
            .hint(format!("its networks: {}", networks.join(", ")));
        return None;
    };
    let network = interface.network.clone();
    Some(Route { to: raw.to?.0, via: via.address, network, by_convention: false })
}
