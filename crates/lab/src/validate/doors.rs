//! The doors between the lab and the real machine: published ports and attached servers.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::collections::{BTreeMap, BTreeSet};

use crate::decode::At;
use crate::error::{Code, Errors, Spot, later_first, shown};
use crate::limits::MAX_DOORS;
use crate::model::{Attach, Gateway, Host, Publish};
use crate::raw::{RawLab, RawPublish, RawPublishTable, attach_key, listen_key};
use crate::value::{Endpoint, EndpointHost, Listen, Protocol};

use super::check_count;
use super::names::Names;
use super::policy::{known_address, unknown_address};

/// The published ports, in the order of their keys.
pub(super) fn publish(
    raw: &RawLab,
    hosts: &[Host],
    gateway: Option<&Gateway>,
    names: &Names<'_>,
    errors: &mut Errors,
) -> Vec<Publish> {
    let Some(list) = &raw.publish else { return Vec::new() };
    if let Some((first, _)) = list.0.first() {
        check_count("published ports", list.0.len(), MAX_DOORS, first.spot, errors);
    }
    let targets = Targets { hosts, gateway, names, addresses: addresses(hosts) };
    let mut listening: Vec<(SocketAddr, Protocol, Spot)> = Vec::new();
    let mut out = Vec::new();
    for (key, RawPublish(table)) in list.read().take(MAX_DOORS) {
        let listen = listen_key(key, errors);
        let from = table.from.as_ref().map(|f| (f, names.host(f, f.spot, errors)));
        if from.is_none() && raw.gateway.is_none() {
            errors
                .report(
                    Code::NoGateway,
                    key.spot,
                    "a port is published, but the lab has no gateway",
                    "from where in the lab would its connections come?",
                )
                .hint("add [gateway] with its `network`, or name a host: `from = \"HOST\"`");
        }
        let to = table.to.as_ref().and_then(|to| targets.find(to, errors));
        let Some(listen) = listen else { continue };
        let protocol = protocol(listen, table, errors);
        free_place(listen.address, protocol, key.spot, &mut listening, errors);
        let Some(to) = to else { continue };
        out.push(Publish {
            listen: listen.address,
            protocol,
            to,
            from: from.filter(|(_, known)| *known).map(|(f, _)| f.value.clone()),
            loopback: listen.address.ip().is_loopback(),
        });
    }
    out
}

fn protocol(listen: Listen, table: &RawPublishTable, errors: &mut Errors) -> Protocol {
    if let (Some(key), Some(proto)) = (listen.protocol, &table.proto)
        && key != proto.value
    {
        let message = format!("the key says {key}, `proto` says {}", proto.value);
        errors.report(Code::BadValue, proto.spot, message, "these must agree");
    }
    listen.protocol.or(table.proto.map(|p| p.value)).unwrap_or(Protocol::Tcp)
}

/// No two published ports may listen at one place, as the real machine would refuse it: a wildcard
/// address takes the port on every address.
fn free_place(
    address: SocketAddr,
    protocol: Protocol,
    spot: Spot,
    listening: &mut Vec<(SocketAddr, Protocol, Spot)>,
    errors: &mut Errors,
) {
    let clash = |&&(other, p, _): &&(SocketAddr, Protocol, Spot)| {
        let (a, b) = (address.ip(), other.ip());
        let wild = a.is_unspecified() || b.is_unspecified();
        p == protocol && other.port() == address.port() && address.port() != 0 && (a == b || wild)
    };
    if let Some((other, _, before)) = listening.iter().find(clash).copied() {
        let message = format!("two published ports listen on {protocol} port {}", address.port());
        let (late, early) = later_first((spot, address), (before, other));
        errors
            .report(Code::DuplicateListen, late.0, message, late.1.to_string())
            .also(early.0, early.1.to_string())
            .hint("give one of them another port, or port 0 for any free one");
    }
    listening.push((address, protocol, spot));
}

fn addresses(hosts: &[Host]) -> BTreeSet<Ipv4Addr> {
    let all = hosts.iter().flat_map(|h| &h.interfaces).flat_map(|i| &i.addresses);
    all.map(|a| a.address).collect()
}

/// What a published port can lead to.
struct Targets<'a> {
    hosts: &'a [Host],
    gateway: Option<&'a Gateway>,
    names: &'a Names<'a>,
    addresses: BTreeSet<Ipv4Addr>,
}

impl Targets<'_> {
    fn find(&self, to: &At<Endpoint>, errors: &mut Errors) -> Option<SocketAddrV4> {
        let address = match &to.host {
            EndpointHost::Address(address) => *address,
            EndpointHost::Name(name) => {
                if !self.names.host(name, to.spot, errors) {
                    return None;
                }
                let address = self.address_of(name)?;
                if address.is_unspecified() {
                    unknown_address(name, to.spot, errors);
                    return None;
                }
                address
            }
        };
        let gateway = self.gateway.map(|g| g.interface.address());
        if gateway == Some(address) {
            let message = format!("{address} is the gateway itself, the real machine");
            errors
                .report(Code::PublishTarget, to.spot, message, "nothing listens there")
                .hint("a published port leads to a host of the lab");
            return None;
        }
        if !self.addresses.contains(&address) && !self.may_be_leased(address) {
            let hint = match self
                .hosts
                .iter()
                .find(|h| h.interfaces.iter().any(|i| !i.addresses.is_empty()))
            {
                Some(h) => format!("`{}`, for example, is {}", h.name, h.address()),
                None => "the lab has no hosts yet".to_owned(),
            };
            let message = format!("no host of the lab has the address {address}");
            errors
                .report(Code::PublishTarget, to.spot, message, "connections would reach nobody")
                .hint(hint);
            return None;
        }
        Some(SocketAddrV4::new(address, to.port))
    }

    /// Whether a DHCP server may give the address to somebody.
    fn may_be_leased(&self, address: Ipv4Addr) -> bool {
        let interfaces = self.hosts.iter().flat_map(|h| &h.interfaces);
        let mut servers = interfaces.filter_map(|i| i.dhcp.as_ref());
        servers.any(|s| {
            s.reserved.iter().any(|r| r.address == address)
                || s.ranges.iter().any(|(first, last)| (*first..=*last).contains(&address))
        })
    }

    /// The host's address next to the gateway, else its first.
    fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        let i = self.hosts.binary_search_by(|h| h.name.as_str().cmp(name)).ok()?;
        let host = &self.hosts[i];
        let near = self.gateway.and_then(|g| host.on(&g.interface.network));
        let first = host.interfaces.first().map(|i| known_address(self.hosts, i));
        let own = Some(host.address()).filter(|a| !a.is_unspecified()).or(first);
        near.map(|i| known_address(self.hosts, i)).or(own)
    }
}

/// The host that the proxy's connections come from.
pub(super) fn proxy_from(raw: &RawLab, names: &Names<'_>, errors: &mut Errors) -> Option<String> {
    let from = raw.proxy.as_ref()?.from.as_ref()?;
    names.host(from, from.spot, errors).then(|| from.value.clone())
}

/// The attached servers, by host and port.
pub(super) fn attach(raw: &RawLab, names: &Names<'_>, errors: &mut Errors) -> Vec<Attach> {
    let Some(list) = &raw.attach else { return Vec::new() };
    if let Some((first, _)) = list.0.first() {
        check_count("attached servers", list.0.len(), MAX_DOORS, first.spot, errors);
    }
    let mut seen = BTreeMap::new();
    for (key, value) in list.read().take(MAX_DOORS) {
        let target = loopback(value, errors);
        let Some(endpoint) = attach_key(key, errors) else { continue };
        let EndpointHost::Name(host) = endpoint.host else {
            let message = format!("`{}` does not name a host", shown(key));
            errors
                .report(Code::BadValue, key.spot, message, "expected a host's name and a port")
                .hint("such as `\"web:80\" = \"127.0.0.1:8000\"`");
            continue;
        };
        if !names.host(&host, key.spot, errors) {
            continue;
        }
        let place = (host, endpoint.port);
        if let Some((_, before)) = seen.get(&place) {
            let message = format!("two servers are attached to port {} of `{}`", place.1, place.0);
            let (late, early) = later_first((key.spot, ()), (*before, ()));
            errors
                .report(Code::DuplicateListen, late.0, message, "the second")
                .also(early.0, "the first");
        }
        seen.insert(place, (target, key.spot));
    }
    let read = seen.into_iter();
    read.filter_map(|((host, port), (to, _))| Some(Attach { host, port, to: to? })).collect()
}

/// A port of a loopback address of the real machine.
fn loopback(value: &At<String>, errors: &mut Errors) -> Option<SocketAddr> {
    let address = match value.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => address,
        _ => {
            let message = format!("`{}` is not an address and port of this machine", shown(value));
            let port = value.rsplit_once(':').map_or("8000", |(_, p)| p);
            let port = port.parse::<u16>().ok().filter(|&p| p > 0).unwrap_or(8_000);
            errors
                .report(Code::BadValue, value.spot, message, "expected an address, `:` and a port")
                .hint(format!("such as `127.0.0.1:{port}`"));
            return None;
        }
    };
    if !address.ip().is_loopback() {
        let message = format!("{} is not a loopback address", address.ip());
        errors
            .report(
                Code::NotLoopback,
                value.spot,
                message,
                "only servers on this machine itself can be attached",
            )
            .hint(format!("such as `127.0.0.1:{}` or `[::1]:{}`", address.port(), address.port()));
        return None;
    }
    Some(address)
}
