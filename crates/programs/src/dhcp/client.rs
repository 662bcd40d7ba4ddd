//! The client's states (RFC 2131 §4.4): from INIT, or INIT-REBOOT with the lease of the last time,
//! to BOUND; RENEWING and REBINDING; and back when the lease is lost.
//!
//! Before an address is used it is probed (RFC 5227, RFC 2131 §4.4.1): somebody else who has it is
//! told of to the server. The RFC's probes take up to nine seconds; here they take [`PROBES`] times
//! [`PROBE_EVERY`], the fifth of a second in all that NetworkManager gives them, because nobody in a
//! lab is slower to answer.
//!
//! The client asks for answers by unicast: a stack here delivers a datagram to a socket that is tied
//! to an interface without an address. So a thousand clients do not read each other's answers.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use dhcproto::v4::{DhcpOption, Message, MessageType, OptionCode};
use netarium_base::{Duration, Event, FlowId, Instant, Rng};
use netarium_wire::Mac;
use netarium_world::process::{Process, UdpSocket};

use crate::wait::within;

use super::apply::{Bound, Place};
use super::wire::{LEN_MAX, decode, encode, kind_of, mac_of, request};
use super::{CLIENT_PORT, SERVER_PORT};

/// How long to look for a server before giving up for a while (ISC's `timeout`).
const TIMEOUT: Duration = Duration::from_secs(60);
/// For how long to give up (ISC's `retry`).
pub(super) const RETRY: Duration = Duration::from_secs(300);
/// How long a server has to confirm the lease of the last time (ISC's `reboot`).
const REBOOT: Duration = Duration::from_secs(10);
/// The first and the longest time between two tries (RFC 2131 §4.1), seconds; each is up to a
/// second more or less.
const BACKOFF: (u64, u64) = (4, 64);
/// How often an offer is requested before the client starts again.
const REQUESTS: u32 = 4;
/// How long to wait after a DECLINE (RFC 2131 §3.1 item 5).
const DECLINED: Duration = Duration::from_secs(10);
/// The least time between two tries to extend a lease (RFC 2131 §4.4.5), seconds.
const EXTEND_MIN: u64 = 60;
/// How many ARP probes there are, and the time behind each.
const PROBES: u32 = 3;
const PROBE_EVERY: Duration = Duration::from_millis(66);
/// After how long the new address is announced a second time (RFC 5227 §2.3).
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(2);

/// What is asked of servers, in ISC's order of importance.
const WANTED: [OptionCode; 6] = [
    OptionCode::SubnetMask,
    OptionCode::BroadcastAddr,
    OptionCode::Router,
    OptionCode::DomainName,
    OptionCode::DomainNameServer,
    OptionCode::InterfaceMtu,
];

/// A client of one interface.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) place: Place,
    mac: Mac,
    hostname: String,
    rng: Rng,
    verbose: bool,
    began: Instant,
}

impl Client {
    pub(super) fn new(place: Place, mac: Mac, verbose: bool) -> Client {
        let process: Process = place.process;
        Client {
            mac,
            hostname: process.host_name(),
            rng: process.rng(&format!("dhcp {}", place.name)),
            verbose,
            began: process.now(),
            place,
        }
    }

    pub(super) async fn say(&self, line: &str) {
        if self.verbose {
            self.place.process.eprint(&format!("{line}\n")).await;
        }
    }

    /// Gets a lease and uses it; `None` when nobody gave one in time.
    pub(super) async fn obtain(&mut self) -> Option<Bound> {
        self.began = self.place.process.now();
        let now = self.place.now();
        if let Some(last) = self.place.recall().filter(|l| l.expire > now)
            && let Some(lease) = self.reboot(&last).await
        {
            return Some(lease);
        }
        let deadline = self.place.process.now() + TIMEOUT;
        while self.place.process.now() < deadline {
            let offer = self.discover(deadline).await?;
            let Some(lease) = self.select(&offer).await else { continue };
            if let Some(lease) = self.take(lease).await {
                return Some(lease);
            }
        }
        None
    }

    fn socket(&self) -> Option<UdpSocket> {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), CLIENT_PORT);
        UdpSocket::bind_on(&self.place.process, self.place.index, any).ok()
    }

    fn message(&mut self, xid: u32, kind: MessageType) -> Message {
        let mut message = request(xid, self.mac, kind);
        let waited = self.place.process.now().since(self.began).as_secs();
        message.set_secs(u16::try_from(waited).unwrap_or(u16::MAX));
        if matches!(kind, MessageType::Discover | MessageType::Request) {
            let options = message.opts_mut();
            options.insert(DhcpOption::Hostname(self.hostname.clone()));
            options.insert(DhcpOption::ParameterRequestList(WANTED.to_vec()));
        }
        message
    }

    async fn send(&self, socket: &UdpSocket, message: &Message, to: Ipv4Addr) {
        let to = SocketAddr::new(IpAddr::V4(to), SERVER_PORT);
        if let Err(e) = socket.send_to(&encode(message), to).await {
            self.say(&format!("send_packet: {e}")).await;
        }
    }

    /// The next answer to `xid` of one of these kinds that comes before the deadline.
    async fn receive(
        &self,
        socket: &UdpSocket,
        xid: u32,
        kinds: &[MessageType],
        deadline: Instant,
    ) -> Option<Message> {
        let mut buf = vec![0; LEN_MAX];
        loop {
            let got =
                within(&self.place.process, Some(deadline), socket.recv_from(&mut buf)).await?;
            // An ICMP error is no answer; the deadline comes.
            let Ok((n, _)) = got else { continue };
            let Some(message) = decode(&buf[..n]) else { continue };
            let reply = message.opcode() == dhcproto::v4::Opcode::BootReply;
            let ours = reply && message.xid() == xid && mac_of(&message) == self.mac;
            if ours && kind_of(&message).is_some_and(|k| kinds.contains(&k)) {
                return Some(message);
            }
        }
    }

    /// RFC 2131 §4.4.2: the lease of the last time may still hold.
    async fn reboot(&mut self, last: &Bound) -> Option<Bound> {
        let socket = self.socket()?;
        let xid = self.rng.next_u32();
        let mut message = self.message(xid, MessageType::Request);
        message.opts_mut().insert(DhcpOption::RequestedIpAddress(last.address));
        self.say_request(last.address, Ipv4Addr::BROADCAST).await;
        self.send(&socket, &message, Ipv4Addr::BROADCAST).await;
        let deadline = self.place.process.now() + REBOOT;
        let kinds = [MessageType::Ack, MessageType::Nak];
        let answer = self.receive(&socket, xid, &kinds, deadline).await?;
        let lease = self.granted(&answer).await?;
        self.take(lease).await
    }

    async fn say_request(&self, address: Ipv4Addr, to: Ipv4Addr) {
        let name = &self.place.name;
        self.say(&format!("DHCPREQUEST for {address} on {name} to {to} port {SERVER_PORT}")).await;
    }

    /// What an acknowledgement grants; `None` for a refusal.
    async fn granted(&self, answer: &Message) -> Option<Bound> {
        let now = self.place.now();
        if kind_of(answer) == Some(MessageType::Ack) {
            let lease = Bound::of(answer, now)?;
            self.say(&format!("DHCPACK of {} from {}", lease.address, lease.server)).await;
            return Some(lease);
        }
        let server = super::wire::address(answer, OptionCode::ServerIdentifier);
        let server = server.map_or("?".to_owned(), |s| s.to_string());
        self.say(&format!("DHCPNAK from {server}")).await;
        None
    }

    /// RFC 2131 §4.4.1: asks everybody, and takes the first offer.
    async fn discover(&mut self, deadline: Instant) -> Option<Message> {
        let socket = self.socket()?;
        let (xid, mut wait) = (self.rng.next_u32(), BACKOFF.0);
        loop {
            let now = self.place.process.now();
            if now >= deadline {
                return None;
            }
            let interval = wait - 1 + u64::from(self.rng.below(3));
            let message = self.message(xid, MessageType::Discover);
            self.say(&format!(
                "DHCPDISCOVER on {} to 255.255.255.255 port {SERVER_PORT} interval {interval}",
                self.place.name
            ))
            .await;
            self.send(&socket, &message, Ipv4Addr::BROADCAST).await;
            let until = (now + Duration::from_secs(interval)).min(deadline);
            while let Some(offer) = self.receive(&socket, xid, &[MessageType::Offer], until).await {
                if let Some(lease) = Bound::of(&offer, self.place.now()) {
                    self.say(&format!("DHCPOFFER of {} from {}", lease.address, lease.server))
                        .await;
                    return Some(offer);
                }
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    /// Requests what was offered; `None` when it is refused, or nobody answers.
    async fn select(&mut self, offer: &Message) -> Option<Bound> {
        let socket = self.socket()?;
        let offered = Bound::of(offer, self.place.now())?;
        let (xid, mut wait) = (offer.xid(), BACKOFF.0);
        for _ in 0..REQUESTS {
            let mut message = self.message(xid, MessageType::Request);
            let options = message.opts_mut();
            options.insert(DhcpOption::RequestedIpAddress(offered.address));
            options.insert(DhcpOption::ServerIdentifier(offered.server));
            self.say_request(offered.address, Ipv4Addr::BROADCAST).await;
            self.send(&socket, &message, Ipv4Addr::BROADCAST).await;
            let until = self.place.process.now() + Duration::from_secs(wait);
            let kinds = [MessageType::Ack, MessageType::Nak];
            if let Some(answer) = self.receive(&socket, xid, &kinds, until).await {
                return self.granted(&answer).await;
            }
            wait *= 2;
        }
        None
    }

    /// Uses an address if nobody else has it; otherwise declines it and waits.
    async fn take(&mut self, lease: Bound) -> Option<Bound> {
        let Some(other) = self.probe(lease.address).await else {
            self.use_lease(&lease).await;
            return Some(lease);
        };
        let (address, name) = (lease.address, self.place.name.clone());
        let text = format!("the address {address} that was offered to {name} is in use by {other}");
        self.place.process.emit(FlowId::NONE, || Event::Note { text: text.into() });
        self.say(&format!(
            "DHCPDECLINE of {address} on {name} to 255.255.255.255 port {SERVER_PORT}"
        ))
        .await;
        if let Some(socket) = self.socket() {
            let xid = self.rng.next_u32();
            let mut message = self.message(xid, MessageType::Decline);
            let options = message.opts_mut();
            options.insert(DhcpOption::RequestedIpAddress(address));
            options.insert(DhcpOption::ServerIdentifier(lease.server));
            self.send(&socket, &message, Ipv4Addr::BROADCAST).await;
        }
        self.place.process.sleep(DECLINED).await;
        None
    }

    /// Who else has an address.
    async fn probe(&self, address: Ipv4Addr) -> Option<Mac> {
        let (process, index) = (self.place.process, self.place.index);
        for _ in 0..PROBES {
            process.with_stack(|stack, cx| stack.probe_address(cx, index, address));
            process.sleep(PROBE_EVERY).await;
            if process.with_stack(|stack, _| stack.probe_heard(index, address)).is_some() {
                break;
            }
        }
        process.with_stack(|stack, _| stack.end_probe(index, address))
    }

    async fn use_lease(&self, lease: &Bound) {
        self.place.apply(lease);
        let (index, address) = (self.place.index, lease.address);
        let announce = move |process: &Process| {
            process.with_stack(|stack, cx| stack.announce_address(cx, index, address));
        };
        let process = self.place.process;
        announce(&process);
        process.spawn(async move {
            process.sleep(ANNOUNCE_AGAIN).await;
            announce(&process);
        });
        self.say_bound(lease).await;
    }

    async fn say_bound(&self, lease: &Bound) {
        let renewal = lease.renew.saturating_sub(self.place.now());
        self.say(&format!("bound to {} -- renewal in {renewal} seconds.", lease.address)).await;
    }

    /// Keeps a lease as long as a server extends it; returns when it is lost, its address with it.
    pub(super) async fn hold(&mut self, mut lease: Bound) {
        loop {
            self.place.process.sleep_until(self.place.instant(lease.renew)).await;
            match self.extend(&lease).await {
                Some(longer) if longer.address == lease.address => {
                    self.place.apply(&longer);
                    self.say_bound(&longer).await;
                    lease = longer;
                }
                other => {
                    self.place.give_up(&lease);
                    // Another address instead, which nobody here asked for, is started anew.
                    if other.is_none() {
                        self.say(&format!("The lease of {} is over.", lease.address)).await;
                    }
                    return;
                }
            }
        }
    }

    /// RFC 2131 §4.4.5: RENEWING, then REBINDING; `None` when the time is over, or a server
    /// refuses.
    async fn extend(&mut self, lease: &Bound) -> Option<Bound> {
        self.began = self.place.process.now();
        let xid = self.rng.next_u32();
        let socket = self.socket()?;
        loop {
            let now = self.place.now();
            if now >= lease.expire {
                return None;
            }
            let (to, limit) = if now < lease.rebind {
                (lease.server, lease.rebind)
            } else {
                (Ipv4Addr::BROADCAST, lease.expire)
            };
            let mut message = self.message(xid, MessageType::Request);
            message.set_ciaddr(lease.address);
            self.say_request(lease.address, to).await;
            self.send(&socket, &message, to).await;
            let wait = ((limit - now) / 2).max(EXTEND_MIN);
            let until = self.place.instant((now + wait).min(limit));
            let kinds = [MessageType::Ack, MessageType::Nak];
            if let Some(answer) = self.receive(&socket, xid, &kinds, until).await {
                return self.granted(&answer).await;
            }
        }
    }

    /// RFC 2131 §4.4.6: gives a lease back.
    pub(super) async fn release(&mut self, lease: &Bound) {
        let (address, name) = (lease.address, self.place.name.clone());
        let server = lease.server;
        self.say(&format!("DHCPRELEASE of {address} on {name} to {server} port {SERVER_PORT}"))
            .await;
        if let Some(socket) = self.socket() {
            let xid = self.rng.next_u32();
            let mut message = self.message(xid, MessageType::Release);
            message.set_ciaddr(address);
            message.opts_mut().insert(DhcpOption::ServerIdentifier(server));
            self.send(&socket, &message, server).await;
        }
        self.place.give_up(lease);
        let now = self.place.now();
        self.place.remember(&Bound { renew: now, rebind: now, expire: now, ..lease.clone() });
    }
}
