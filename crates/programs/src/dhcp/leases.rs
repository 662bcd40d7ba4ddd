//! Who has which address until when, as in ISC's `dhcpd.leases`.
//!
//! Times are seconds since 1970. An address that was never leased has no entry; one whose lease has
//! ended keeps it, so that the same client gets the same address again while nobody else needs it.

use core::fmt::Write as _;
use core::net::Ipv4Addr;
use std::collections::{BTreeMap, BTreeSet};

use netarium_wire::Mac;

use crate::calendar::Date;

use super::conf::Tokens;

/// What a client is known by: its client identifier, or hardware type and address (RFC 2131 §4.2).
pub(super) type ClientId = Vec<u8>;

/// The state of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// Held back for a client that has been offered it.
    Offered,
    /// In use.
    Active,
    /// It was in use; the client has given it back, or its time is over.
    Free,
    /// A client has found another station with this address.
    Abandoned,
}

impl Binding {
    fn word(self) -> &'static str {
        match self {
            Binding::Offered | Binding::Free => "free",
            Binding::Active => "active",
            Binding::Abandoned => "abandoned",
        }
    }
}

/// A lease, or what is left of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    pub(super) client: ClientId,
    pub(super) mac: Mac,
    pub(super) hostname: Option<String>,
    pub(super) binding: Binding,
    pub(super) starts: u64,
    /// The last second of the present binding.
    pub(super) ends: u64,
}

/// All leases of a server.
#[derive(Debug, Default)]
pub(super) struct Leases {
    all: BTreeMap<Ipv4Addr, Lease>,
    of: BTreeMap<ClientId, Ipv4Addr>,
    /// Bindings that end by themselves, by their end.
    due: BTreeSet<(u64, Ipv4Addr)>,
    /// Free ones, the one that ended longest ago first.
    free: BTreeSet<(u64, Ipv4Addr)>,
    abandoned: BTreeSet<(u64, Ipv4Addr)>,
}

impl Leases {
    /// The lease of an address.
    pub(super) fn get(&self, address: Ipv4Addr) -> Option<&Lease> {
        self.all.get(&address)
    }

    /// The last lease of a client.
    pub(super) fn of(&self, client: &ClientId) -> Option<&Lease> {
        self.all.get(self.of.get(client)?)
    }

    /// All leases by address.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.all.values()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether the address may be given to this client: nobody else has it.
    pub(super) fn is_open_to(&self, address: Ipv4Addr, client: &ClientId) -> bool {
        self.get(address).is_none_or(|l| match l.binding {
            Binding::Free => true,
            Binding::Offered | Binding::Active => l.client == *client,
            Binding::Abandoned => false,
        })
    }

    /// When the first binding ends of those that are in use.
    pub(super) fn next_end(&self) -> Option<u64> {
        self.due.first().map(|(end, _)| *end)
    }

    /// The free address that nobody has used for longest.
    pub(super) fn longest_free(&self, wanted: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        self.free.iter().map(|(_, a)| *a).find(|a| wanted(*a))
    }

    /// The address that was abandoned longest ago.
    pub(super) fn longest_abandoned(&self, wanted: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        self.abandoned.iter().map(|(_, a)| *a).find(|a| wanted(*a))
    }

    /// Enters a lease in place of what was known of its address.
    pub(super) fn set(&mut self, lease: Lease) {
        self.forget(lease.address);
        let place = (lease.ends, lease.address);
        match lease.binding {
            Binding::Offered | Binding::Active => self.due.insert(place),
            Binding::Free => self.free.insert(place),
            Binding::Abandoned => self.abandoned.insert(place) && self.due.insert(place),
        };
        if lease.binding != Binding::Abandoned {
            self.of.insert(lease.client.clone(), lease.address);
        }
        self.all.insert(lease.address, lease);
    }

    fn forget(&mut self, address: Ipv4Addr) {
        let Some(old) = self.all.remove(&address) else { return };
        let place = (old.ends, address);
        self.due.remove(&place);
        self.free.remove(&place);
        self.abandoned.remove(&place);
        if self.of.get(&old.client) == Some(&address) {
            self.of.remove(&old.client);
        }
    }

    /// Frees what has ended before `now`.
    pub(super) fn expire(&mut self, now: u64) {
        while let Some(&(end, address)) = self.due.first().filter(|(end, _)| *end < now) {
            self.due.remove(&(end, address));
            let Some(mut lease) = self.all.get(&address).cloned() else { continue };
            lease.binding = Binding::Free;
            self.set(lease);
        }
    }

    /// The file `dhcpd.leases`. What is only offered is not in it, as with ISC's.
    pub(super) fn file(&self) -> String {
        let mut out = String::from(
            "# The format of this file is documented in the dhcpd.leases(5) manual page.\n",
        );
        for l in self.iter().filter(|l| l.binding != Binding::Offered) {
            let _ = writeln!(out, "lease {} {{", l.address);
            let _ = writeln!(out, "  starts {};", time(l.starts));
            let _ = writeln!(out, "  ends {};", time(l.ends));
            let _ = writeln!(out, "  binding state {};", l.binding.word());
            let _ = writeln!(out, "  hardware ethernet {};", l.mac);
            let _ = writeln!(out, "  uid \"{}\";", octal(&l.client));
            if let Some(name) = &l.hostname {
                let _ = writeln!(out, "  client-hostname \"{name}\";");
            }
            out.push_str("}\n");
        }
        out
    }

    /// Reads such a file; what is not a lease in it is left out.
    pub(super) fn read(text: &str) -> Leases {
        let mut leases = Leases::default();
        let mut tokens = Tokens::of(text);
        while let Some(word) = tokens.next_word() {
            if word == "lease"
                && let Some(lease) = read_lease(&mut tokens)
            {
                leases.set(lease);
            }
        }
        leases
    }
}

fn read_lease(tokens: &mut Tokens<'_>) -> Option<Lease> {
    let address = tokens.next_word()?.parse().ok()?;
    (tokens.next_word()? == "{").then_some(())?;
    let mut lease = Lease {
        address,
        client: Vec::new(),
        mac: Mac::ZERO,
        hostname: None,
        binding: Binding::Free,
        starts: 0,
        ends: 0,
    };
    loop {
        let statement = tokens.statement();
        let words: Vec<&str> = statement.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["starts", _, day, clock] => lease.starts = moment(day, clock)?,
            ["ends", _, day, clock] => lease.ends = moment(day, clock)?,
            ["binding", "state", "active"] => lease.binding = Binding::Active,
            ["binding", "state", "abandoned"] => lease.binding = Binding::Abandoned,
            ["hardware", "ethernet", mac] => lease.mac = mac.parse().ok()?,
            ["uid", text] => lease.client = from_octal(text),
            ["client-hostname", name] => lease.hostname = Some((*name).to_owned()),
            [] => break,
            _ => {}
        }
    }
    (tokens.next_word()? == "}").then_some(())?;
    if lease.client.is_empty() {
        lease.client = hardware(lease.mac);
    }
    Some(lease)
}

/// What a client without a client identifier is known by.
pub(super) fn hardware(mac: Mac) -> ClientId {
    [&[1][..], &mac.0].concat()
}

/// `4 2026/01/01 00:00:00`: day of the week, date, time of day.
pub(super) fn time(seconds: u64) -> String {
    let d = Date::from_unix(seconds);
    format!(
        "{} {}/{:02}/{:02} {:02}:{:02}:{:02}",
        d.weekday, d.year, d.month, d.day, d.hour, d.minute, d.second
    )
}

/// The seconds of `2026/01/01` and `00:00:00`.
pub(super) fn moment(day: &str, clock: &str) -> Option<u64> {
    let mut day = day.splitn(3, '/').map(|w| w.parse::<u64>().ok());
    let mut clock = clock.splitn(3, ':').map(|w| w.parse::<u8>().ok());
    let mut date = Date::from_unix(0);
    date.year = day.next()??;
    date.month = u8::try_from(day.next()??).ok()?;
    date.day = u8::try_from(day.next()??).ok()?;
    date.hour = clock.next()??;
    date.minute = clock.next()??;
    date.second = clock.next()??;
    date.to_unix()
}

fn octal(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &b in bytes {
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(b as char);
            }
            b' '..=b'~' => out.push(b as char),
            _ => {
                let _ = write!(out, "\\{b:03o}");
            }
        }
    }
    out
}

fn from_octal(text: &str) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), text.bytes().peekable());
    while let Some(b) = bytes.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let mut value = None;
        for _ in 0..3 {
            let Some(digit) = bytes.next_if(|d| (b'0'..=b'7').contains(d)) else { break };
            value = Some(value.unwrap_or(0u32) * 8 + u32::from(digit - b'0'));
        }
        match value {
            Some(value) => out.push(value as u8),
            None => out.extend(bytes.next()),
        }
    }
    out
}
