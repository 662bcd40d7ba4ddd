//! What a lease changes on the host, as `dhclient-script` does it: address, default route,
//! `/etc/resolv.conf`; and the client's own lease file.

use core::net::{IpAddr, Ipv4Addr};
use std::fmt::Write as _;

use dhcproto::v4::{DhcpOption, Message, OptionCode};
use netarium_base::{Duration, IfIndex, Instant};
use netarium_stack::types::{Lifetime, Route};
use netarium_wire::Cidr;
use netarium_world::process::Process;

use super::conf::Tokens;
use super::leases::{moment, time};
use super::wire::{address, addresses, prefix_of, seconds, text};

/// The longest lease that is counted with, seconds: ten years; longer ones end then.
const LEASE_MAX: u32 = 315_360_000;

/// A lease, as the client sees it. Times of day are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) server: Ipv4Addr,
    pub(super) routers: Vec<Ipv4Addr>,
    pub(super) dns: Vec<Ipv4Addr>,
    pub(super) domain: Option<String>,
    pub(super) mtu: Option<u16>,
    /// Seconds that the server granted.
    pub(super) lease: u32,
    /// When to ask its server for more.
    pub(super) renew: u64,
    /// When to ask any server.
    pub(super) rebind: u64,
    /// When it is over.
    pub(super) expire: u64,
}

impl Bound {
    /// The lease that an offer or acknowledgement describes, counted from `now`; `None` when it
    /// lacks what every lease has.
    pub(super) fn of(message: &Message, now: u64) -> Option<Bound> {
        let lease = seconds(message, OptionCode::AddressLeaseTime)?.clamp(1, LEASE_MAX);
        let mask = address(message, OptionCode::SubnetMask);
        let yiaddr = message.yiaddr();
        // RFC 2131 §4.4.5: T1 before T2 before the end, whatever a server says.
        let rebind = seconds(message, OptionCode::Rebinding).filter(|t| *t < lease);
        let rebind = rebind.unwrap_or((u64::from(lease) * 7 / 8) as u32);
        let renew = seconds(message, OptionCode::Renewal).filter(|t| *t <= rebind);
        let renew = renew.unwrap_or((lease / 2).min(rebind));
        let good = !yiaddr.is_unspecified() && !yiaddr.is_multicast() && !yiaddr.is_loopback();
        good.then_some(())?;
        Some(Bound {
            address: yiaddr,
            prefix: prefix_of(mask.unwrap_or(class_of(yiaddr))).filter(|p| *p > 0)?,
            server: address(message, OptionCode::ServerIdentifier)?,
            routers: addresses(message, OptionCode::Router),
            dns: addresses(message, OptionCode::DomainNameServer),
            domain: text(message, OptionCode::DomainName),
            mtu: match message.opts().get(OptionCode::InterfaceMtu) {
                Some(DhcpOption::InterfaceMtu(mtu)) => Some(*mtu),
                _ => None,
            },
            lease,
            renew: now + u64::from(renew),
            rebind: now + u64::from(rebind),
            expire: now + u64::from(lease),
        })
    }

    /// The lease as it stands in the client's file.
    fn file(&self, iface: &str) -> String {
        let mut out = format!("lease {{\n  interface \"{iface}\";\n");
        let list =
            |all: &[Ipv4Addr]| all.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(",");
        let mask = Ipv4Addr::from_bits(u32::MAX << (32 - u32::from(self.prefix).max(1)));
        let _ = writeln!(out, "  fixed-address {};", self.address);
        let _ = writeln!(out, "  option subnet-mask {mask};");
        if !self.routers.is_empty() {
            let _ = writeln!(out, "  option routers {};", list(&self.routers));
        }
        let _ = writeln!(out, "  option dhcp-lease-time {};", self.lease);
        if !self.dns.is_empty() {
            let _ = writeln!(out, "  option domain-name-servers {};", list(&self.dns));
        }
        let _ = writeln!(out, "  option dhcp-server-identifier {};", self.server);
        if let Some(domain) = &self.domain {
            let _ = writeln!(out, "  option domain-name \"{domain}\";");
        }
        if let Some(mtu) = self.mtu {
            let _ = writeln!(out, "  option interface-mtu {mtu};");
        }
        let _ = writeln!(out, "  renew {};", time(self.renew));
        let _ = writeln!(out, "  rebind {};", time(self.rebind));
        let _ = writeln!(out, "  expire {};\n}}", time(self.expire));
        out
    }

    /// The last lease of such a file.
    fn read(text: &str) -> Option<Bound> {
        let mut tokens = Tokens::of(text);
        let mut last = None;
        while let Some(word) = tokens.next_word() {
            if word == "lease" && tokens.next_word()? == "{" {
                last = read_lease(&mut tokens).or(last);
            }
        }
        last
    }
}

/// The mask of an address' class, for servers that do not say one (RFC 950).
fn class_of(address: Ipv4Addr) -> Ipv4Addr {
    match address.octets()[0] {
        0..=127 => Ipv4Addr::new(255, 0, 0, 0),
        128..=191 => Ipv4Addr::new(255, 255, 0, 0),
        _ => Ipv4Addr::new(255, 255, 255, 0),
    }
}

fn read_lease(tokens: &mut Tokens<'_>) -> Option<Bound> {
    let mut b = Bound {
        address: Ipv4Addr::UNSPECIFIED,
        prefix: 24,
        server: Ipv4Addr::UNSPECIFIED,
        routers: Vec::new(),
        dns: Vec::new(),
        domain: None,
        mtu: None,
        lease: 0,
        renew: 0,
        rebind: 0,
        expire: 0,
    };
    loop {
        let statement = tokens.statement();
        let words: Vec<&str> = statement.iter().map(String::as_str).collect();
        let all = |words: &[&str]| words.iter().filter_map(|w| w.parse().ok()).collect();
        match words.as_slice() {
            ["fixed-address", a] => b.address = a.parse().ok()?,
            ["option", "subnet-mask", m] => b.prefix = prefix_of(m.parse().ok()?)?,
            ["option", "routers", list @ ..] => b.routers = all(list),
            ["option", "domain-name-servers", list @ ..] => b.dns = all(list),
            ["option", "dhcp-server-identifier", a] => b.server = a.parse().ok()?,
            ["option", "dhcp-lease-time", n] => b.lease = n.parse().ok()?,
            ["option", "domain-name", name] => b.domain = Some((*name).to_owned()),
            ["option", "interface-mtu", n] => b.mtu = n.parse().ok(),
            ["renew", _, day, clock] => b.renew = moment(day, clock)?,
            ["rebind", _, day, clock] => b.rebind = moment(day, clock)?,
            ["expire", _, day, clock] => b.expire = moment(day, clock)?,
            [] => break,
            _ => {}
        }
    }
    (tokens.next_word()? == "}" && !b.address.is_unspecified()).then_some(b)
}

/// The interface that a client looks after.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) process: Process,
    pub(super) name: String,
    pub(super) index: IfIndex,
    /// The client's lease file.
    pub(super) file: String,
}

impl Place {
    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.process.unix_time() / 1_000_000_000
    }

    /// The virtual time of a second since 1970.
    pub(super) fn instant(&self, second: u64) -> Instant {
        let ahead = second.saturating_mul(1_000_000_000).saturating_sub(self.process.unix_time());
        self.process.now() + Duration::from_nanos(ahead)
    }

    /// Uses a lease: address, route, resolver, name.
    pub(super) fn apply(&self, lease: &Bound) {
        let Some(address) = Cidr::new(IpAddr::V4(lease.address), lease.prefix) else { return };
        let valid_until = self.instant(lease.expire);
        let lifetime = Lifetime { valid_until, preferred_until: valid_until };
        let (index, ip) = (self.index, IpAddr::V4(lease.address));
        self.process.with_stack(|stack, _| {
            stack.add_address(index, address);
            stack.set_lifetime(index, ip, Some(lifetime));
            if let Some(mtu) = lease.mtu {
                stack.set_mtu(index, mtu);
            }
            let default = Cidr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            let router = lease.routers.first().map(|r| IpAddr::V4(*r));
            if let (Some(to), Some(via)) = (default, router)
                && !stack.routes().iter().any(|r| r.to.prefix() == 0)
            {
                let via = Some(via);
                stack.add_route(Route { to, via, iface: index, metric: 0, source: None });
            }
        });
        self.resolver(lease);
        self.process.set_host_address(Some(ip));
        self.remember(lease);
    }

    fn resolver(&self, lease: &Bound) {
        if lease.dns.is_empty() {
            return;
        }
        let mut text = String::new();
        if let Some(domain) = &lease.domain {
            let _ = writeln!(text, "domain {domain}\nsearch {domain}");
        }
        for server in &lease.dns {
            let _ = writeln!(text, "nameserver {server}");
        }
        // A host whose disk is full keeps the resolver that it had.
        let _ = self.process.write_file("/etc/resolv.conf", text.into_bytes());
    }

    /// Puts a lease into the client's file, for the next start.
    pub(super) fn remember(&self, lease: &Bound) {
        let text = lease.file(&self.name);
        let _ = self.process.write_file(&self.file, text.into_bytes());
    }

    /// The lease of the last time.
    pub(super) fn recall(&self) -> Option<Bound> {
        let file = self.process.read_file(&self.file).ok()?;
        Bound::read(&String::from_utf8_lossy(&file))
    }

    /// Gives up a lease: the address goes, and the routes that need it.
    pub(super) fn give_up(&self, lease: &Bound) {
        let (index, ip) = (self.index, IpAddr::V4(lease.address));
        self.process.with_stack(|stack, _| {
            stack.remove_routes(|r| {
                r.iface == index
                    && r.to.prefix() == 0
                    && lease.routers.iter().any(|router| r.via == Some(IpAddr::V4(*router)))
            });
            stack.remove_address(index, ip);
        });
        self.process.set_host_address(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_remembered_as_it_was() {
        let lease = Bound {
            address: Ipv4Addr::new(192, 168, 17, 100),
            prefix: 24,
            server: Ipv4Addr::new(192, 168, 17, 1),
            routers: vec![Ipv4Addr::new(192, 168, 17, 1)],
            dns: vec![Ipv4Addr::new(192, 168, 17, 1), Ipv4Addr::new(10, 0, 0, 53)],
            domain: Some("home.lab".to_owned()),
            mtu: Some(1400),
            lease: 600,
            renew: 1_795_417_700,
            rebind: 1_795_417_933,
            expire: 1_795_418_008,
        };
        let text = lease.file("eth0");
        assert!(text.contains("  fixed-address 192.168.17.100;\n"), "{text}");
        assert!(text.contains("  expire 1 2026/11/23 07:13:28;\n"), "{text}");
        assert_eq!(Bound::read(&text), Some(lease.clone()));
        assert_eq!(Bound::read(&format!("{text}lease {{ broken }}")), Some(lease));
        assert_eq!(Bound::read("lease {"), None);
    }
}
