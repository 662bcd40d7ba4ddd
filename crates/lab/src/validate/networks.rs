//! Networks and their switches.

use core::net::Ipv4Addr;

use crate::decode::At;
use crate::error::{Code, Errors, Spot, did_you_mean, shown};
use crate::model::{Network, NodeKind, Switch};
use crate::raw::{RawLab, RawSwitch};
use crate::value::Ipv4Net;

use super::names::Names;
use super::{link, switching, title};

/// The networks that could be read, by name.
pub(super) fn networks(raw: &RawLab, errors: &mut Errors) -> Vec<Network> {
    let mut out = Vec::new();
    let mut subnets: Vec<(Ipv4Net, &str, Spot)> = Vec::new();
    for (name, raw) in raw.networks.iter().flat_map(|n| n.read()) {
        let kind = kind(raw.kind.as_ref(), errors);
        let title = title(raw.title.as_ref(), errors);
        let Some(subnet) = raw.subnet else { continue };
        if for_hosts(subnet, errors) {
            subnets.push((subnet.value, name, subnet.spot));
        }
        let (sizes, mirror) = ((raw.table, raw.ageing), raw.mirror.as_ref());
        let switch = switching::settings(kind, sizes, mirror, name.spot, errors);
        out.push(Network { name: name.value.clone(), title, kind, subnet: subnet.value, switch });
    }
    overlaps(subnets, errors);
    out
}

fn kind(raw: Option<&At<String>>, errors: &mut Errors) -> NodeKind {
    match raw.map(|k| k.value.as_str()) {
        None | Some("switch") => NodeKind::Switch,
        Some("hub") => NodeKind::Hub,
        Some(other) => {
            let spot = raw.map_or(Spot::default(), |k| k.spot);
            let message = format!("`{}` is not a kind of network", shown(other));
            errors
                .report(Code::BadValue, spot, message, "expected `switch` or `hub`")
                .maybe_hint(did_you_mean(other, ["switch", "hub"]));
            NodeKind::Switch
        }
    }
}

/// Whether hosts can have addresses of the subnet: not of 0/8, 127/8, and 224/3 (RFC 6890).
fn for_hosts(subnet: At<Ipv4Net>, errors: &mut Errors) -> bool {
    let reserved = [
        (Ipv4Addr::new(0, 0, 0, 0), 8, "0.0.0.0/8 means «this network»"),
        (Ipv4Addr::new(127, 0, 0, 0), 8, "127.0.0.0/8 is each host's own loopback"),
        (Ipv4Addr::new(224, 0, 0, 0), 3, "224.0.0.0 and above are for multicast and broadcast"),
    ];
    let clash = reserved.iter().find(|(address, prefix, _)| {
        Ipv4Net { address: *address, prefix: *prefix }.overlaps(subnet.value)
    });
    if let Some((_, _, why)) = clash {
        let message = format!("no host can have an address of {}", subnet.value);
        errors
            .report(Code::ReservedAddress, subnet.spot, message, *why)
            .hint("private networks are 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16");
    }
    clash.is_none()
}

fn overlaps(mut subnets: Vec<(Ipv4Net, &str, Spot)>, errors: &mut Errors) {
    // In this order a network that overlaps an earlier one overlaps the widest one so far.
    subnets.sort_by_key(|&(net, _, spot)| (net.network(), net.prefix, spot));
    let mut widest: Option<(Ipv4Net, &str, Spot)> = None;
    for (net, name, spot) in subnets {
        match widest {
            Some((other, other_name, other_spot)) if other.overlaps(net) => {
                // Point at the one that comes later in the file.
                let (at, before, of) = if spot > other_spot {
                    (spot, other_spot, name)
                } else {
                    (other_spot, spot, other_name)
                };
                let first = if of == name { other_name } else { name };
                let message = format!("the subnets of `{first}` and `{of}` share addresses");
                errors
                    .report(Code::SubnetOverlap, at, message, format!("the subnet of `{of}`"))
                    .also(before, format!("the subnet of `{first}`"))
                    .hint("each network needs addresses of its own");
            }
            _ => widest = Some((net, name, spot)),
        }
    }
}

/// The further switches, by name, each with the network at the end of its uplinks.
pub(super) fn switches(raw: &RawLab, names: &Names<'_>, errors: &mut Errors) -> Vec<Switch> {
    let list = raw.switches.as_ref().map_or(&[][..], |s| &s.0);
    let mut networks: Vec<Option<Option<String>>> = vec![None; list.len()];
    for i in 0..list.len() {
        follow(list, i, &mut networks, names, errors);
    }
    let mut out = Vec::new();
    for ((name, raw), network) in list.iter().zip(networks) {
        let Some(raw) = raw else { continue };
        let kind = kind(raw.kind.as_ref(), errors);
        let title = title(raw.title.as_ref(), errors);
        let (Some(uplink), Some(Some(network))) = (&raw.uplink, network) else { continue };
        let (sizes, mirror) = ((raw.table, raw.ageing), raw.mirror.as_ref());
        let settings = switching::settings(kind, sizes, mirror, name.spot, errors);
        let (name, uplink) = (name.value.clone(), uplink.value.clone());
        let link = link(&[raw.link.as_ref()]);
        let cables = Vec::new();
        out.push(Switch { name, title, kind, uplink, network, link, settings, cables });
    }
    out
}

/// Follows the uplinks of switch `i` to a network, and notes the result for every switch passed.
/// Outer `None`: not yet followed; inner `None`: broken, and reported.
fn follow(
    list: &[(At<String>, Option<RawSwitch>)],
    i: usize,
    networks: &mut [Option<Option<String>>],
    names: &Names<'_>,
    errors: &mut Errors,
) {
    let mut path = Vec::new();
    let mut on_path = vec![false; if networks[i].is_none() { list.len() } else { 0 }];
    let mut at = i;
    let end = loop {
        if let Some(known) = &networks[at] {
            break known.clone();
        }
        if on_path[at] {
            report_cycle(list, at, errors);
            break None;
        }
        on_path[at] = true;
        path.push(at);
        let Some(uplink) = list[at].1.as_ref().and_then(|s| s.uplink.as_ref()) else { break None };
        match list.binary_search_by(|(n, _)| n.value.cmp(&uplink.value)) {
            Ok(next) => at = next,
            Err(_) if names.uplink(uplink, uplink.spot, errors) => {
                break Some(uplink.value.clone());
            }
            Err(_) => break None,
        }
    };
    for passed in path {
        networks[passed] = Some(end.clone());
    }
}

fn report_cycle(list: &[(At<String>, Option<RawSwitch>)], at: usize, errors: &mut Errors) {
    let name = &list[at].0;
    let spot = list[at].1.as_ref().and_then(|s| s.uplink.as_ref()).map_or(name.spot, |u| u.spot);
    let message = format!("the uplinks of switch `{}` lead back to itself", shown(name));
    errors
        .report(Code::UplinkCycle, spot, message, "following the uplinks ends here again")
        .hint("one switch of a chain needs a network as its uplink");
}
