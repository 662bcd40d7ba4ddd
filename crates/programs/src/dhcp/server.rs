//! Which message is answered by which (RFC 2131 §4.3), without sockets or clocks.
//!
//! Addresses are chosen as §4.3.1 says: the reserved one; the one that the client has or had; the
//! one it asks for; one that nobody has had; the one that has been free for longest; and only when
//! there is no other, one that was abandoned. An address that is offered is held back for
//! [`OFFER`] seconds.
//!
//! Memory is bounded by the ranges, and by [`LEASES_MAX`] leases.

use core::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use netarium_wire::Mac;

use super::conf::{Config, Subnet};
use super::leases::{Binding, ClientId, Lease, Leases, hardware};
use super::wire::{address, kind_of, mac_of, reply, seconds, text};

/// Seconds for which an offered address is held back.
pub(super) const OFFER: u64 = 120;
/// Seconds for which an address is not given out that a client has declined (ISC's
/// `abandon-lease-time`).
pub(super) const ABANDON: u64 = 86_400;
/// The most leases of a server.
pub(super) const LEASES_MAX: usize = 65_536;

/// The interface that a message came by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port<'a> {
    pub(super) name: &'a str,
    pub(super) address: Ipv4Addr,
}

/// Where an answer goes (RFC 2131 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Everybody on the wire.
    Everybody,
    /// A client that has its address.
    Address(Ipv4Addr),
    /// A client that is about to get its address, and cannot answer ARP yet.
    Station(Ipv4Addr, Mac),
}

/// What comes of a message.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Lines for the log.
    pub(super) log: Vec<String>,
    /// What the trace should tell people.
    pub(super) note: Option<String>,
    pub(super) answer: Option<(Message, To)>,
    /// Leases have changed.
    pub(super) changed: bool,
}

/// A server: what it was told, and what it remembers.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) leases: Leases,
    /// By subnet: the range and the address from which on nobody has had any.
    fresh: Vec<(usize, u32)>,
}

/// What is known of the sender of a message.
struct Asker<'a> {
    message: &'a Message,
    mac: Mac,
    client: ClientId,
    hostname: Option<String>,
    port: Port<'a>,
    now: u64,
}

impl Asker<'_> {
    /// `02:… (pc) via eth0`.
    fn who(&self) -> String {
        let name = self.hostname.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
        format!("{}{name} via {}", self.mac, self.port.name)
    }
}

impl Server {
    pub(super) fn new(config: Config, leases: Leases) -> Server {
        let fresh = vec![(0, 0); config.subnets.len()];
        Server { config, leases, fresh }
    }

    /// A message came by `port` at `now`, seconds since 1970.
    pub(super) fn handle(&mut self, now: u64, port: Port<'_>, message: &Message) -> Outcome {
        self.leases.expire(now);
        let mac = mac_of(message);
        let client = match message.opts().get(OptionCode::ClientIdentifier) {
            Some(DhcpOption::ClientIdentifier(id)) if id.len() >= 2 => id.clone(),
            _ => hardware(mac),
        };
        let hostname = text(message, OptionCode::Hostname);
        let asker = Asker { message, mac, client, hostname, port, now };
        let mut out = Outcome::default();
        if !message.giaddr().is_unspecified() {
            let relay = message.giaddr();
            out.log.push(format!("message from relay {relay} dropped: relays are not supported"));
            return out;
        }
        let Some((number, subnet)) = self.config.subnet_of(port.address) else {
            out.log.push(format!("message from {}: unknown network segment", asker.who()));
            return out;
        };
        let subnet = subnet.clone();
        match kind_of(message) {
            Some(MessageType::Discover) => self.discover(&asker, number, &subnet, &mut out),
            Some(MessageType::Request) => self.request(&asker, &subnet, &mut out),
            Some(MessageType::Decline) => self.decline(&asker, &mut out),
            Some(MessageType::Release) => self.release(&asker, &mut out),
            Some(MessageType::Inform) => self.inform(&asker, &subnet, &mut out),
            _ => {}
        }
        out
    }

    fn discover(&mut self, asker: &Asker<'_>, number: usize, subnet: &Subnet, out: &mut Outcome) {
        let line = format!("DHCPDISCOVER from {}", asker.who());
        let Some(free) = self.choose(asker, number, subnet, out) else {
            let net = format!("{}/{}", subnet.network, subnet.prefix);
            out.log.push(format!("{line}: network {net}: no free leases"));
            out.note = Some(self.exhausted(asker, subnet));
            return;
        };
        out.log.push(line);
        // Who has a lease and forgot keeps it: the offer must not shorten it.
        let active = |l: &Lease| l.binding == Binding::Active && l.client == asker.client;
        if !self.leases.get(free).is_some_and(active) {
            self.bind(asker, free, Binding::Offered, asker.now + OFFER);
        }
        let lease = lease_time(asker.message, subnet);
        out.log.push(format!("DHCPOFFER on {free} to {}", asker.who()));
        out.answer = Some(grant(asker, subnet, MessageType::Offer, free, Some(lease)));
    }

    /// Why there is no address, for people.
    fn exhausted(&self, asker: &Asker<'_>, subnet: &Subnet) -> String {
        let used = |b: Binding| {
            let all = self.leases.iter();
            all.filter(move |l| l.binding == b && subnet.in_ranges(l.address))
        };
        let ranges: Vec<String> =
            subnet.ranges.iter().map(|(a, b)| format!("{a} to {b}")).collect();
        let kept = self.config.hosts.iter().filter_map(|h| h.address);
        let next = match self.leases.next_end() {
            Some(end) => {
                format!("; the next one ends in {} s", (end + 1).saturating_sub(asker.now))
            }
            None => String::new(),
        };
        format!(
            "no address is left for {}: of {} ({}) {} are leased, {} offered and {} \
             kept for others{next}",
            asker.mac,
            subnet.size(),
            ranges.join(", "),
            used(Binding::Active).count(),
            used(Binding::Offered).count(),
            kept.filter(|a| subnet.in_ranges(*a) && self.leases.is_open_to(*a, &asker.client))
                .count(),
        )
    }

    /// RFC 2131 §4.3.1: the address for a client.
    fn choose(
        &mut self,
        asker: &Asker<'_>,
        number: usize,
        subnet: &Subnet,
        out: &mut Outcome,
    ) -> Option<Ipv4Addr> {
        if let Some(reserved) = self.config.reserved_for(asker.mac, subnet) {
            return self.leases.is_open_to(reserved, &asker.client).then_some(reserved);
        }
        let fits = |a: &Ipv4Addr| {
            subnet.in_ranges(*a)
                && *a != asker.port.address
                && !self.config.is_kept_from(*a, asker.mac)
                && self.leases.is_open_to(*a, &asker.client)
        };
        let had = self.leases.of(&asker.client).map(|l| l.address).filter(fits);
        let asked = || address(asker.message, OptionCode::RequestedIpAddress).filter(fits);
        if let Some(known) = had.or_else(asked) {
            return Some(known);
        }
        if let Some(fresh) = self.next_fresh(asker, number, subnet) {
            return Some(fresh);
        }
        let ours = |a: Ipv4Addr| subnet.in_ranges(a) && !self.config.is_kept_from(a, asker.mac);
        if let Some(free) = self.leases.longest_free(ours) {
            return Some(free);
        }
        let abandoned = self.leases.longest_abandoned(ours)?;
        out.log.push(format!("Reclaiming abandoned lease {abandoned}."));
        Some(abandoned)
    }

    /// The next address of the ranges that nobody has had.
    fn next_fresh(
        &mut self,
        asker: &Asker<'_>,
        number: usize,
        subnet: &Subnet,
    ) -> Option<Ipv4Addr> {
        if self.leases.len() >= LEASES_MAX {
            return None;
        }
        let (range, from) = self.fresh.get_mut(number)?;
        while let Some((first, last)) = subnet.ranges.get(*range) {
            let mut at = (*from).max(first.to_bits());
            while at <= last.to_bits() {
                let address = Ipv4Addr::from_bits(at);
                let edge = subnet.prefix < 31
                    && (address == subnet.network || address & !subnet.mask() == !subnet.mask());
                if !edge
                    && address != asker.port.address
                    && !self.config.is_kept_from(address, asker.mac)
                    && self.leases.get(address).is_none()
                {
                    *from = at;
                    return Some(address);
                }
                let Some(next) = at.checked_add(1) else { break };
                at = next;
            }
            *range += 1;
            *from = 0;
        }
        None
    }

    fn bind(&mut self, asker: &Asker<'_>, to: Ipv4Addr, binding: Binding, ends: u64) {
        // A client has one address: what it was offered or had besides is free.
        if let Some(other) = self.leases.of(&asker.client)
            && other.address != to
            && matches!(other.binding, Binding::Offered | Binding::Active)
        {
            let ended = Lease { binding: Binding::Free, ends: asker.now, ..other.clone() };
            self.leases.set(ended);
        }
        self.leases.set(Lease {
            address: to,
            client: asker.client.clone(),
            mac: asker.mac,
            hostname: asker.hostname.clone(),
            binding,
            starts: asker.now,
            ends,
        });
    }

    /// RFC 2131 §4.3.2: the client's state shows in what it says.
    fn request(&mut self, asker: &Asker<'_>, subnet: &Subnet, out: &mut Outcome) {
        let server = address(asker.message, OptionCode::ServerIdentifier);
        let asked = address(asker.message, OptionCode::RequestedIpAddress);
        let wanted = asked.unwrap_or(asker.message.ciaddr());
        let of = server.map(|s| format!(" ({s})")).unwrap_or_default();
        let line = format!("DHCPREQUEST for {wanted}{of} from {}", asker.who());
        if server.is_some_and(|s| s != asker.port.address) {
            // SELECTING: the client has taken another server's offer.
            self.withdraw_offer(asker);
            out.log.push(format!("{line}: not our offer"));
            return;
        }
        let reserved = self.config.reserved_for(asker.mac, subnet);
        let mine = self
            .leases
            .get(wanted)
            .is_some_and(|l| l.client == asker.client && l.binding != Binding::Abandoned);
        let granted = match reserved {
            Some(reserved) => reserved == wanted && self.leases.is_open_to(wanted, &asker.client),
            None => {
                mine && subnet.in_ranges(wanted) && !self.config.is_kept_from(wanted, asker.mac)
            }
        };
        if granted {
            out.log.push(line);
            return self.acknowledge(asker, subnet, wanted, out);
        }
        // What another server may have given is not ours to deny (INIT-REBOOT, REBINDING).
        let elsewhere = !subnet.contains(wanted);
        let known = self.leases.get(wanted).is_some() || reserved.is_some();
        if server.is_none() && !(elsewhere && self.config.authoritative) && !known {
            out.log.push(format!("{line}: unknown lease {wanted}."));
            return;
        }
        let why = if elsewhere { "wrong network." } else { "lease not available." };
        out.log.push(format!("{line}: {why}"));
        out.log.push(format!("DHCPNAK on {wanted} to {}", asker.who()));
        let mut nak = reply(asker.message, MessageType::Nak);
        let options = nak.opts_mut();
        options.insert(DhcpOption::ServerIdentifier(asker.port.address));
        options.insert(DhcpOption::Message(why.trim_end_matches('.').to_owned()));
        out.answer = Some((nak, To::Everybody));
    }

    fn withdraw_offer(&mut self, asker: &Asker<'_>) {
        if let Some(offered) = self.leases.of(&asker.client)
            && offered.binding == Binding::Offered
        {
            let free = Lease { binding: Binding::Free, ends: asker.now, ..offered.clone() };
            self.leases.set(free);
        }
    }

    fn acknowledge(&mut self, asker: &Asker<'_>, subnet: &Subnet, to: Ipv4Addr, out: &mut Outcome) {
        let lease = lease_time(asker.message, subnet);
        self.bind(asker, to, Binding::Active, asker.now + u64::from(lease));
        out.log.push(format!("DHCPACK on {to} to {}", asker.who()));
        out.answer = Some(grant(asker, subnet, MessageType::Ack, to, Some(lease)));
        out.changed = true;
    }

    /// RFC 2131 §4.3.3: somebody else has the address.
    fn decline(&mut self, asker: &Asker<'_>, out: &mut Outcome) {
        let wanted = address(asker.message, OptionCode::RequestedIpAddress);
        let wanted = wanted.unwrap_or(asker.message.ciaddr());
        let line = format!("DHCPDECLINE of {wanted} from {}", asker.who());
        let for_us =
            address(asker.message, OptionCode::ServerIdentifier) == Some(asker.port.address);
        let lease = self.leases.get(wanted).filter(|l| for_us && l.client == asker.client);
        let Some(lease) = lease.cloned() else {
            out.log.push(format!("{line}: ignored"));
            return;
        };
        out.log.push(format!("Abandoning IP address {wanted}: declined."));
        out.log.push(format!("{line}: abandoned"));
        out.note = Some(format!(
            "the address {wanted} is in use by a station that did not get it from this server; it \
             is not given out any more"
        ));
        let ends = asker.now + ABANDON;
        self.leases.set(Lease { binding: Binding::Abandoned, ends, ..lease });
        out.changed = true;
    }

    /// RFC 2131 §4.3.4.
    fn release(&mut self, asker: &Asker<'_>, out: &mut Outcome) {
        let ciaddr = asker.message.ciaddr();
        let lease = self.leases.get(ciaddr);
        let lease = lease.filter(|l| l.client == asker.client && l.binding == Binding::Active);
        let found = if lease.is_some() { "found" } else { "not found" };
        out.log.push(format!("DHCPRELEASE of {ciaddr} from {} ({found})", asker.who()));
        if let Some(lease) = lease.cloned() {
            self.leases.set(Lease { binding: Binding::Free, ends: asker.now, ..lease });
            out.changed = true;
        }
    }

    /// RFC 2131 §4.3.5: a client that has an address asks for the rest.
    fn inform(&mut self, asker: &Asker<'_>, subnet: &Subnet, out: &mut Outcome) {
        let ciaddr = asker.message.ciaddr();
        out.log.push(format!("DHCPINFORM from {ciaddr} via {}", asker.port.name));
        if !subnet.contains(ciaddr) {
            return;
        }
        out.log.push(format!("DHCPACK to {ciaddr} ({}) via {}", asker.mac, asker.port.name));
        let (mut ack, _) = grant(asker, subnet, MessageType::Ack, ciaddr, None);
        ack.set_yiaddr(Ipv4Addr::UNSPECIFIED);
        out.answer = Some((ack, To::Address(ciaddr)));
    }
}

/// How long a client gets its address for, seconds: as long as it asks for, within limits.
fn lease_time(message: &Message, subnet: &Subnet) -> u32 {
    let scope = &subnet.scope;
    let asked = seconds(message, OptionCode::AddressLeaseTime).unwrap_or(scope.lease);
    asked.min(scope.lease_max.max(scope.lease_min)).max(scope.lease_min).max(1)
}

/// An offer or acknowledgement, and where it goes.
fn grant(
    asker: &Asker<'_>,
    subnet: &Subnet,
    kind: MessageType,
    to: Ipv4Addr,
    lease: Option<u32>,
) -> (Message, To) {
    let message = asker.message;
    let mut answer = reply(message, kind);
    answer.set_yiaddr(to).set_siaddr(asker.port.address);
    if kind == MessageType::Ack {
        answer.set_ciaddr(message.ciaddr());
    }
    let wants = |code| match message.opts().get(OptionCode::ParameterRequestList) {
        Some(DhcpOption::ParameterRequestList(list)) => list.contains(&code),
        _ => true,
    };
    let scope = &subnet.scope;
    let mut add = |option: DhcpOption, code| {
        if wants(code) {
            answer.opts_mut().insert(option);
        }
    };
    if !scope.routers.is_empty() {
        add(DhcpOption::Router(scope.routers.clone()), OptionCode::Router);
    }
    if !scope.dns.is_empty() {
        add(DhcpOption::DomainNameServer(scope.dns.clone()), OptionCode::DomainNameServer);
    }
    if let Some(domain) = &scope.domain {
        add(DhcpOption::DomainName(domain.clone()), OptionCode::DomainName);
    }
    if let Some(mtu) = scope.mtu {
        add(DhcpOption::InterfaceMtu(mtu), OptionCode::InterfaceMtu);
    }
    add(DhcpOption::BroadcastAddr(subnet.network | !subnet.mask()), OptionCode::BroadcastAddr);
    let options = answer.opts_mut();
    options.insert(DhcpOption::SubnetMask(subnet.mask()));
    options.insert(DhcpOption::ServerIdentifier(asker.port.address));
    if let Some(lease) = lease {
        options.insert(DhcpOption::AddressLeaseTime(lease));
        // RFC 2131 §4.4.5: a half and seven eighths.
        options.insert(DhcpOption::Renewal(lease / 2));
        options.insert(DhcpOption::Rebinding((u64::from(lease) * 7 / 8) as u32));
    }
    let to = if !message.ciaddr().is_unspecified() {
        To::Address(message.ciaddr())
    } else if message.flags().broadcast() {
        To::Everybody
    } else {
        To::Station(to, asker.mac)
    };
    (answer, to)
}
