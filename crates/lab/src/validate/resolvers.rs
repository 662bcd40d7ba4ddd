//! Which name servers a host asks: its own, else those of the first of its networks that has some,
//! else, by convention, the lab's one recursive resolver.

use core::net::Ipv4Addr;
use std::collections::BTreeMap;

use crate::decode::{At, OneOrMany};
use crate::error::{Code, Errors, shown};
use crate::model::{Gateway, Host};
use crate::raw::RawLab;

/// The program of a recursive resolver.
const RESOLVER: &str = "unbound";
/// How many servers a host asks at most (MAXNS of the C library).
const MOST: usize = 3;
/// The word for «nobody».
const NONE: &str = "none";

type Raw = OneOrMany<At<String>>;
/// The hosts by name, with the address by which each is known.
type Addresses = BTreeMap<String, Option<Ipv4Addr>>;

/// Fills in the name servers of all hosts and of the gateway.
pub(super) fn settle(
    raw: &RawLab,
    hosts: &mut [Host],
    gateway: Option<&mut Gateway>,
    errors: &mut Errors,
) {
    let addresses: Addresses = hosts.iter().map(|h| (h.name.clone(), first_address(h))).collect();
    let usual = by_convention(hosts);
    let networks: BTreeMap<&str, Vec<Ipv4Addr>> = raw
        .networks
        .iter()
        .flat_map(|n| n.read())
        .filter_map(|(name, n)| {
            Some((name.as_str(), read(n.resolver.as_ref()?, &addresses, errors)))
        })
        .collect();
    let of_network = |name: &str| networks.get(name).cloned();
    let own_of: BTreeMap<&str, &Raw> = raw
        .hosts
        .iter()
        .flat_map(|hosts| hosts.read())
        .filter_map(|(name, host)| Some((name.as_str(), host.resolver.as_ref()?)))
        .collect();
    for host in hosts {
        let own = own_of.get(host.name.as_str()).copied();
        let by_dhcp = host.interfaces.iter().any(|i| i.by_dhcp);
        host.resolvers = match own {
            Some(own) => read(own, &addresses, errors),
            None => host
                .interfaces
                .iter()
                .find_map(|i| of_network(&i.network))
                // Who gets its address by DHCP gets this the same way.
                .unwrap_or_else(|| if by_dhcp { Vec::new() } else { usual.clone() }),
        };
    }
    if let Some(gateway) = gateway {
        let on = gateway.interface.network.clone();
        let own = raw.gateway.as_ref().and_then(|g| g.resolver.as_ref());
        gateway.resolvers = match own {
            Some(own) => read(own, &addresses, errors),
            None => of_network(&on).unwrap_or(usual),
        };
    }
}

/// The address of the one host that runs a recursive resolver.
fn by_convention(hosts: &[Host]) -> Vec<Ipv4Addr> {
    let runs = |h: &&Host| h.programs.iter().any(|p| p.argv.first().is_some_and(|a| a == RESOLVER));
    let mut found = hosts.iter().filter(runs);
    match (found.next(), found.next()) {
        (Some(one), None) => first_address(one).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The address by which a host is known; a host that is broken may have none.
fn first_address(host: &Host) -> Option<Ipv4Addr> {
    host.interfaces.first()?.addresses.first().map(|net| net.address)
}

fn read(raw: &Raw, hosts: &Addresses, errors: &mut Errors) -> Vec<Ipv4Addr> {
    if matches!(raw.0.as_slice(), [one] if one.value == NONE) {
        return Vec::new();
    }
    if let Some(fourth) = raw.0.get(MOST) {
        let message = format!("{} name servers: at most {MOST} are asked", raw.0.len());
        errors.report(Code::Limit, fourth.spot, message, "too many");
    }
    raw.0.iter().take(MOST).filter_map(|word| server(word, hosts, errors)).collect()
}

fn server(word: &At<String>, hosts: &Addresses, errors: &mut Errors) -> Option<Ipv4Addr> {
    if let Ok(address) = word.parse() {
        return Some(address);
    }
    if let Some(address) = hosts.get(&word.value) {
        return *address;
    }
    let message = format!("`{}` is not a name server", shown(word));
    let label = "expected an IPv4 address, the name of a host, or `none`";
    let hint = errors.did_you_mean(word, hosts.keys().map(String::as_str));
    errors.report(Code::BadValue, word.spot, message, label).maybe_hint(hint);
    None
}
