//! DHCP servers of the file.
//!
//! First their ranges, which conventions must keep away from; then, when all addresses and MACs are
//! known, what they say to clients. Conventions: the range is the upper half of the subnet without
//! the addresses that the file gives to somebody; a lease lasts an hour; the default route is the
//! host itself if it is a router, or else the only router of the network.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use netarium_base::Duration;

use crate::decode::At;
use crate::error::{Code, Errors, Spot};
use crate::limits::{MAX_LEASE, MAX_PER_HOST, MAX_RANGES};
use crate::model::{DhcpServer, Gateway, Host, Network, Reserved};
use crate::raw::{RawDhcp, RawLab};
use crate::value::{AddressRange, HostAddress, Ipv4Net, Mac};

use super::hosts::raw_interface;
use super::names::Names;
use super::routes::sole_routers;
use super::{check_count, short_text};

/// Addresses that are given out while the lab runs.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) network: String,
    pub(super) first: Ipv4Addr,
    pub(super) last: Ipv4Addr,
}

fn subnet_of(networks: &[Network], name: &str) -> Option<Ipv4Net> {
    let found = networks.binary_search_by(|n| n.name.as_str().cmp(name)).ok()?;
    Some(networks[found].subnet)
}

/// The ranges of all servers, and the addresses that they keep for somebody.
pub(super) fn pools(
    raw: &RawLab,
    networks: &[Network],
    hosts: &[Host],
    errors: &mut Errors,
) -> Vec<Pool> {
    let mut pools = Vec::new();
    for (host, i) in hosts.iter().flat_map(|h| h.interfaces.iter().map(move |i| (h, i))) {
        let Some((_, table)) = raw_interface(raw, &host.name, &i.network) else { continue };
        let (Some(dhcp), Some(subnet)) = (&table.dhcp, subnet_of(networks, &i.network)) else {
            continue;
        };
        let pool = |(first, last)| Pool { network: i.network.clone(), first, last };
        pools.extend(ranges(dhcp, subnet, &i.network, errors).into_iter().map(pool));
        let reserved = dhcp.reserve.as_ref().map_or(&[][..], |r| &r.0);
        let kept = reserved.iter().filter_map(|(_, a)| a.as_ref()).map(|a| (a.address, a.address));
        pools.extend(kept.map(pool));
    }
    pools
}

fn ranges(
    dhcp: &RawDhcp,
    subnet: Ipv4Net,
    network: &str,
    errors: &mut Errors,
) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let Some(written) = &dhcp.range else { return vec![upper_half(subnet)] };
    if let Some(first) = written.0.first() {
        check_count("ranges", written.0.len(), MAX_RANGES, first.spot, errors);
    }
    let mut out: Vec<(Ipv4Addr, Ipv4Addr)> = Vec::new();
    for range in written.0.iter().take(MAX_RANGES) {
        if let Some(bad) = [range.first, range.last].into_iter().find(|a| !is_usable(subnet, *a)) {
            let (first, last) = subnet.usable();
            let message = format!("{bad} is not an address for a host of `{network}`");
            errors
                .report(Code::OutsideSubnet, range.spot, message, "a range of the DHCP server")
                .hint(format!("hosts of `{network}` have addresses from {first} to {last}"));
            continue;
        }
        if out.iter().any(|(first, last)| range.first <= *last && *first <= range.last) {
            let message = "two ranges of a DHCP server have addresses in common";
            errors.report(Code::DuplicateAddress, range.spot, message, "the second range");
            continue;
        }
        out.push((range.first, range.last));
    }
    out
}

fn is_usable(subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    let (first, last) = subnet.usable();
    (first..=last).contains(&address)
}

fn upper_half(subnet: Ipv4Net) -> (Ipv4Addr, Ipv4Addr) {
    let (first, last) = subnet.usable();
    let (a, b) = (first.to_bits(), last.to_bits());
    (Ipv4Addr::from_bits(a + (b - a).div_ceil(2)), last)
}

/// Puts the server of each interface in its place.
pub(super) fn servers(
    raw: &RawLab,
    networks: &[Network],
    hosts: &mut [Host],
    gateway: Option<&Gateway>,
    names: &Names<'_>,
    errors: &mut Errors,
) {
    let wide = Wide::of(hosts, gateway);
    for host in hosts {
        let router = host.router;
        for i in &mut host.interfaces {
            let Some((name, table)) = raw_interface(raw, &host.name, &i.network) else { continue };
            let (Some(dhcp), Some(subnet)) = (&table.dhcp, subnet_of(networks, &i.network)) else {
                continue;
            };
            if i.by_dhcp {
                let message =
                    format!("`{}` cannot be a DHCP server and a client at once", host.name);
                errors
                    .report(Code::BadValue, name.spot, message, "its own address comes by DHCP")
                    .hint("give the server an address of its own");
                continue;
            }
            let place = Place { network: &i.network, subnet, spot: name.spot };
            let own = i.addresses.first().map(|a| a.address).filter(|_| router);
            i.dhcp = Some(server(dhcp, &place, own, &wide, names, errors));
        }
    }
}

/// What servers need to know of the whole lab.
struct Wide {
    /// MAC addresses by host and network.
    macs: BTreeMap<(String, String), Mac>,
    /// Addresses by network.
    taken: BTreeMap<String, Vec<Ipv4Addr>>,
    routers: BTreeMap<String, Option<Ipv4Addr>>,
}

impl Wide {
    fn of(hosts: &[Host], gateway: Option<&Gateway>) -> Wide {
        let all = || hosts.iter().flat_map(|h| h.interfaces.iter().map(move |i| (h, i)));
        let key = |(h, i): (&Host, &crate::model::Interface)| {
            ((h.name.clone(), i.network.clone()), i.mac)
        };
        let macs = all().map(key).collect();
        let mut taken: BTreeMap<String, Vec<Ipv4Addr>> = BTreeMap::new();
        let at_gateway = gateway.map(|g| &g.interface);
        for i in all().map(|(_, i)| i).chain(at_gateway) {
            let of_network = taken.entry(i.network.clone()).or_default();
            of_network.extend(i.addresses.iter().map(|a| a.address));
        }
        taken.values_mut().for_each(|all| all.sort_unstable());
        Wide { macs, taken, routers: sole_routers(hosts) }
    }
}

/// Where a server stands.
struct Place<'a> {
    network: &'a str,
    subnet: Ipv4Net,
    spot: Spot,
}

fn server(
    dhcp: &RawDhcp,
    place: &Place<'_>,
    own: Option<Ipv4Addr>,
    wide: &Wide,
    names: &Names<'_>,
    errors: &mut Errors,
) -> DhcpServer {
    let written = |r: &At<AddressRange>| (r.first, r.last);
    let ranges = match &dhcp.range {
        Some(all) => all.0.iter().take(MAX_RANGES).map(written).collect(),
        None => without(upper_half(place.subnet), wide.taken.get(place.network)),
    };
    if ranges.is_empty() {
        let message = format!("no address of `{}` is left for a DHCP server", place.network);
        errors
            .report(Code::NoFreeAddress, place.spot, message, "its range would be empty")
            .hint("say which: `dhcp = { range = \"192.168.17.100-192.168.17.199\" }`");
    }
    let sole = || wide.routers.get(place.network).copied().flatten();
    let router = match &dhcp.router {
        Some(written) => {
            written.0.and_then(|a| single(At { value: a, spot: written.spot }, errors))
        }
        None => own.or_else(sole),
    };
    let dns = dhcp.dns.as_ref().map_or(&[][..], |d| &d.0);
    check_count("name servers", dns.len(), MAX_RANGES, place.spot, errors);
    let domain = dhcp.domain.as_ref().filter(|d| is_domain(d, errors));
    DhcpServer {
        subnet: place.subnet,
        ranges,
        lease: lease(dhcp, errors),
        router,
        dns: dns.iter().filter_map(|a| single(*a, errors)).collect(),
        domain: domain.map(|d| d.value.clone()),
        reserved: reserved(dhcp, place, wide, names, errors),
    }
}

/// An address without a prefix length.
fn single(written: At<HostAddress>, errors: &mut Errors) -> Option<Ipv4Addr> {
    if let Some(length) = written.prefix {
        let message = format!("`{}/{length}` is not a single address", written.address);
        errors.report(Code::BadValue, written.spot, message, "leave the prefix length out");
        return None;
    }
    Some(written.address)
}

fn is_domain(domain: &At<String>, errors: &mut Errors) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !short_text(domain, "a domain", errors) {
        return false;
    }
    let good = !domain.is_empty() && domain.len() <= 253 && domain.chars().all(plain);
    if !good {
        let message = format!("`{}` is not a domain", crate::error::shown(domain));
        errors.report(Code::BadValue, domain.spot, message, "letters, digits, `-`, `_` and dots");
    }
    good
}

fn lease(dhcp: &RawDhcp, errors: &mut Errors) -> Duration {
    let Some(written) = &dhcp.lease else { return Duration::from_secs(3_600) };
    let seconds = written.0.as_secs();
    let whole = Duration::from_secs(seconds) == written.0;
    if !whole || !(1..=MAX_LEASE).contains(&seconds) {
        let message = format!("a lease cannot last {}", written.0);
        errors
            .report(Code::BadValue, written.spot, message, "whole seconds, 1s to 365d")
            .hint("such as `1h`");
    }
    Duration::from_secs(seconds)
}

/// A range without some addresses: the pieces between them.
fn without(
    (first, last): (Ipv4Addr, Ipv4Addr),
    taken: Option<&Vec<Ipv4Addr>>,
) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut out = Vec::new();
    let mut from = first.to_bits();
    for taken in taken.into_iter().flatten().map(|a| a.to_bits()) {
        if taken < from || taken > last.to_bits() {
            continue;
        }
        if taken > from {
            out.push((Ipv4Addr::from_bits(from), Ipv4Addr::from_bits(taken - 1)));
        }
        from = taken + 1;
    }
    if from <= last.to_bits() {
        out.push((Ipv4Addr::from_bits(from), last));
    }
    out
}

fn reserved(
    dhcp: &RawDhcp,
    place: &Place<'_>,
    wide: &Wide,
    names: &Names<'_>,
    errors: &mut Errors,
) -> Vec<Reserved> {
    let list = dhcp.reserve.as_ref().map_or(&[][..], |r| &r.0);
    check_count("reservations", list.len(), MAX_PER_HOST, place.spot, errors);
    let mut seen = BTreeMap::new();
    let mut out = Vec::new();
    for (name, address) in list.iter().take(MAX_PER_HOST) {
        let Some(address) = address else { continue };
        let mac = client(name, place, wide, names, errors);
        if !is_usable(place.subnet, address.address) {
            let message =
                format!("{} is not an address for a host of `{}`", address.address, place.network);
            let (first, last) = place.subnet.usable();
            errors
                .report(Code::OutsideSubnet, address.spot, message, "a reserved address")
                .hint(format!("hosts there have addresses from {first} to {last}"));
            continue;
        }
        if let Some(before) = seen.insert(address.address, address.spot) {
            let message = format!("{} is reserved twice", address.address);
            errors
                .report(Code::DuplicateAddress, address.spot, message, "the second reservation")
                .also(before, "the first reservation");
            continue;
        }
        if let (Some(mac), Some(address)) = (mac, single(*address, errors)) {
            out.push(Reserved { name: name.value.clone(), mac, address });
        }
    }
    out
}

/// The MAC address of a client: one that is written, or that of a host.
fn client(
    name: &At<String>,
    place: &Place<'_>,
    wide: &Wide,
    names: &Names<'_>,
    errors: &mut Errors,
) -> Option<Mac> {
    use crate::value::FromText;
    if name.contains(':') {
        return match Mac::from_text(name) {
            Ok(mac) => Some(mac),
            Err(problem) => {
                problem.report(name, <Mac as FromText>::EXPECTED, name.spot, errors);
                None
            }
        };
    }
    if !names.host(name, name.spot, errors) {
        return None;
    }
    let mac = wide.macs.get(&(name.value.clone(), place.network.to_owned()));
    if mac.is_none() {
        let message = format!("`{}` is not on the network `{}`", name.value, place.network);
        errors.report(Code::UnknownHost, name.spot, message, "it cannot ask this server");
    }
    mac.copied()
}
