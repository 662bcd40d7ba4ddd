//! Addresses: those of the file are checked, the others are given out.
//!
//! The convention: after all written addresses are known, interfaces without one get the lowest
//! free address of their subnet, the hosts in the order of their names, the gateway last.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use crate::decode::At;
use crate::error::{Code, Errors, Spot, later_first};
use crate::limits::{MAX_ADDRESSES, MAX_PER_HOST};
use crate::model::{Gateway, Host, Network};
use crate::raw::RawLab;
use crate::value::{HostAddress, Ipv4Net, PlaceAddress};

use super::check_count;
use super::dhcp::Pool;
use super::hosts::{raw_host, raw_interface};

/// Fills in the addresses of every interface.
pub(super) fn settle(
    raw: &RawLab,
    networks: &[Network],
    pools: &[Pool],
    (hosts, gateway): (&mut [Host], Option<&mut Gateway>),
    errors: &mut Errors,
) {
    let mut plan = Plan { networks, pools, taken: BTreeMap::new(), cursors: BTreeMap::new() };
    for host in hosts.iter_mut() {
        for interface in &mut host.interfaces {
            let Some((name, raw)) = raw_interface(raw, &host.name, &interface.network) else {
                continue;
            };
            let written = raw.address.as_ref().map_or(&[][..], |a| &a.0);
            check_count("addresses", written.len(), MAX_ADDRESSES, name.spot, errors);
            for address in written {
                let PlaceAddress::Own(own) = address.value else { continue };
                let address = At { value: own, spot: address.spot };
                let owner = interface.link_name.as_str();
                interface.addresses.extend(plan.take(&interface.network, address, owner, errors));
            }
        }
    }
    for host in hosts.iter_mut() {
        one_to_one(raw, host, &mut plan, errors);
    }
    let mut gateway = gateway;
    if let Some(gateway) = &mut gateway
        && let Some(address) = raw.gateway.as_ref().and_then(|g| g.address)
    {
        let network = &gateway.interface.network;
        gateway.interface.addresses.extend(plan.take(network, address, "the gateway", errors));
    }
    plan.rest(raw, hosts, gateway, errors);
}

/// A router has the outside addresses that it lets stand for inside ones, besides its own.
fn one_to_one(raw: &RawLab, host: &mut Host, plan: &mut Plan<'_>, errors: &mut Errors) {
    let nat = raw_host(raw, &host.name).and_then(|(_, h)| h.nat.as_ref());
    let Some((nat, outside)) = nat.and_then(|n| Some((n, n.outside.as_ref()?))) else { return };
    let Some(i) = host.interfaces.iter_mut().find(|i| i.network == outside.value) else { return };
    for pair in nat.one_to_one.iter().flatten().take(MAX_PER_HOST) {
        let Some(written) = pair.outside else { continue };
        if i.addresses.iter().any(|a| a.address == written.address) {
            continue;
        }
        let alone = HostAddress { prefix: Some(32), ..written.value };
        let address = At { value: alone, spot: written.spot };
        let owner = i.link_name.clone();
        i.addresses.extend(plan.take(&outside.value, address, &owner, errors));
    }
}

struct Plan<'a> {
    networks: &'a [Network],
    /// What is given out while the lab runs: no convention takes it.
    pools: &'a [Pool],
    /// Address to (owner, place).
    taken: BTreeMap<Ipv4Addr, (String, Spot)>,
    /// The next address to try, by network.
    cursors: BTreeMap<String, u32>,
}

impl Plan<'_> {
    fn subnet(&self, network: &str) -> Option<Ipv4Net> {
        let found = self.networks.binary_search_by(|n| n.name.as_str().cmp(network)).ok()?;
        Some(self.networks[found].subnet)
    }

    /// Checks a written address and takes it.
    fn take(
        &mut self,
        network: &str,
        written: At<HostAddress>,
        owner: &str,
        errors: &mut Errors,
    ) -> Option<Ipv4Net> {
        let subnet = self.subnet(network)?;
        let address = written.address;
        let prefix = written.prefix.unwrap_or(subnet.prefix);
        if !fits(network, subnet, written, errors) {
            return None;
        }
        if let Some((other, spot)) = self.taken.get(&address) {
            let hint = match (!errors.is_full()).then(|| self.free(network, subnet)).flatten() {
                Some(free) => format!("the next free address of `{network}` is {free}"),
                None => format!("`{network}` has no free address left"),
            };
            let (late, early) =
                later_first((written.spot, owner.to_owned()), (*spot, other.clone()));
            let message = format!("{address} is already the address of {}", early.1);
            errors
                .report(Code::DuplicateAddress, late.0, message, format!("given to {} too", late.1))
                .also(early.0, format!("the address of {}", early.1))
                .hint(hint);
            return None;
        }
        self.taken.insert(address, (owner.to_owned(), written.spot));
        Ipv4Net::new(address, prefix)
    }

    /// The lowest free address that a host can have, without taking it.
    fn free(&self, network: &str, subnet: Ipv4Net) -> Option<Ipv4Addr> {
        let (first, last) = subnet.usable();
        let from = self.cursors.get(network).copied().unwrap_or(first.to_bits());
        let mut next = from;
        loop {
            let before = next;
            // Taken addresses come in order, so this walks over one run of them.
            for &taken in self.taken.range(Ipv4Addr::from_bits(next)..).map(|(a, _)| a) {
                if taken.to_bits() != next {
                    break;
                }
                next = next.checked_add(1)?;
            }
            let at = Ipv4Addr::from_bits(next);
            let in_pool = |p: &&Pool| p.network == network && (p.first..=p.last).contains(&at);
            if let Some(pool) = self.pools.iter().find(in_pool) {
                next = pool.last.to_bits().checked_add(1)?;
            }
            if next == before {
                break;
            }
        }
        (next <= last.to_bits()).then(|| Ipv4Addr::from_bits(next))
    }

    /// Gives an address to every interface without a written one.
    fn rest(
        &mut self,
        raw: &RawLab,
        hosts: &mut [Host],
        gateway: Option<&mut Gateway>,
        errors: &mut Errors,
    ) {
        for host in hosts {
            for interface in &mut host.interfaces {
                let raw = raw_interface(raw, &host.name, &interface.network);
                let Some((name, raw)) = raw else { continue };
                if raw.address.is_none() && !interface.by_dhcp {
                    let given = self.give(&interface.network, name.spot, errors);
                    interface.addresses.extend(given);
                }
            }
        }
        if let (Some(gateway), Some(raw)) = (gateway, &raw.gateway)
            && raw.address.is_none()
        {
            let spot = raw.network.as_ref().map_or(Spot::default(), |n| n.spot);
            let given = self.give(&gateway.interface.network, spot, errors);
            gateway.interface.addresses.extend(given);
        }
    }

    fn give(&mut self, network: &str, spot: Spot, errors: &mut Errors) -> Option<Ipv4Net> {
        let subnet = self.subnet(network)?;
        let Some(address) = self.free(network, subnet) else {
            let message = format!("the subnet {subnet} of `{network}` has no free address left");
            errors
                .report(Code::NoFreeAddress, spot, message, "there is no address for this one")
                .hint("a shorter prefix has more addresses: /24 has 254, /16 has 65534");
            return None;
        };
        self.taken.insert(address, (network.to_owned(), spot));
        self.cursors.insert(network.to_owned(), address.to_bits().saturating_add(1));
        Ipv4Net::new(address, subnet.prefix)
    }
}

/// Whether a host can have the address in this subnet; reports it if not.
fn fits(network: &str, subnet: Ipv4Net, written: At<HostAddress>, errors: &mut Errors) -> bool {
    let (address, spot) = (written.address, written.spot);
    let (first, last) = subnet.usable();
    let hint = if first == last {
        format!("`{network}` has one address: {first}")
    } else {
        format!("hosts of `{network}` have addresses from {first} to {last}")
    };
    if !subnet.contains(address) {
        let message = format!("{address} is outside the subnet {subnet} of `{network}`");
        errors.report(Code::OutsideSubnet, spot, message, "not in this network").hint(hint);
        return false;
    }
    if address < first || address > last {
        let what = if address < first { "the network's own" } else { "the broadcast" };
        let message = format!("{address} is {what} address of `{network}`");
        errors.report(Code::ReservedAddress, spot, message, "no host can have it").hint(hint);
        return false;
    }
    if written.prefix == Some(0) {
        let message = "an interface with prefix length 0 would hold every address";
        errors.report(Code::BadValue, spot, message, "prefix lengths here are 1 to 32").hint(hint);
        return false;
    }
    true
}
