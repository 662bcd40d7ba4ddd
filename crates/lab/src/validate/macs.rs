//! MAC addresses. The convention: `02:` (locally administered, one interface) and 40 bits of the
//! hash of the wire's name `HOST.NETWORK`; where two wires of a lab agree in those, the later name
//! hashes with `#1`, `#2`… after it.

use std::collections::{BTreeMap, BTreeSet};

use netarium_base::name_hash;

use crate::error::{Code, Errors, Spot, later_first};
use crate::model::{Gateway, Host, Interface};
use crate::raw::RawLab;
use crate::value::Mac;

use super::hosts::raw_interface;

/// Fills in the MAC of every interface.
pub(super) fn settle(
    raw: &RawLab,
    hosts: &mut [Host],
    gateway: Option<&mut Gateway>,
    errors: &mut Errors,
) {
    let mut all: Vec<(&mut Interface, Spot)> = Vec::new();
    for host in hosts {
        for interface in &mut host.interfaces {
            let mac = raw_interface(raw, &host.name, &interface.network).and_then(|(_, t)| t.mac);
            all.push((interface, mac.map_or(Spot::default(), |m| m.spot)));
        }
    }
    if let Some(gateway) = gateway {
        let mac = raw.gateway.as_ref().and_then(|g| g.mac);
        all.push((&mut gateway.interface, mac.map_or(Spot::default(), |m| m.spot)));
    }
    let mut given = BTreeMap::new();
    for (interface, spot) in all.iter().filter(|(i, _)| i.mac_given) {
        let key = (interface.mac, interface.network.as_str());
        let this = (*spot, interface.link_name.as_str());
        if let Some(other) = given.insert(key, this) {
            let (late, early) = later_first(this, other);
            let message = format!("{} is already the MAC address of {}", interface.mac, early.1);
            errors
                .report(Code::DuplicateMac, late.0, message, format!("given to {} too", late.1))
                .also(early.0, format!("the MAC address of {}", early.1))
                .hint("leave `mac` out: by convention each wire gets one from its name");
        }
    }
    let mut taken: BTreeSet<Mac> = given.keys().map(|(mac, _)| *mac).collect();
    drop(given);
    all.sort_by(|(a, _), (b, _)| a.link_name.cmp(&b.link_name));
    for (interface, _) in all.iter_mut().filter(|(i, _)| !i.mac_given) {
        interface.mac = by_convention(&interface.link_name, &mut taken);
    }
}

fn by_convention(name: &str, taken: &mut BTreeSet<Mac>) -> Mac {
    let mut mac = from_hash(name_hash(name));
    let mut attempt = 0u32;
    while !taken.insert(mac) {
        attempt += 1;
        mac = from_hash(name_hash(&format!("{name}#{attempt}")));
    }
    mac
}

fn from_hash(hash: u64) -> Mac {
    let [a, b, c, d, e, ..] = hash.to_le_bytes();
    Mac([0x02, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collisions_are_resolved_and_pinned() {
        let mut taken = BTreeSet::new();
        let first = by_convention("web.home", &mut taken);
        let second = by_convention("web.home", &mut taken);
        assert_ne!(first, second);
        assert_eq!(first.0[0], 0x02);
        assert_eq!(second, from_hash(name_hash("web.home#1")));
    }
}
