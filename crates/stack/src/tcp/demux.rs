//! All connections of a host: found by their end points, and by their deadlines.
//!
//! Each connection has at most one entry in the deadline set. A deadline that moves later leaves
//! the entry where it is (it fires early, finds nothing due and is set again), so that the timers
//! that every acknowledgement restarts cost nothing.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use netarium_base::map::Map;
use netarium_base::{Instant, SocketId};

use smallvec::SmallVec;

use super::connection::Connection;
use super::request::Requests;
use super::state::State;

/// Both ends of a connection, as this host sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ends {
    /// This host's address.
    pub local: IpAddr,
    /// This host's port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
    /// The peer's address.
    pub remote: IpAddr,
}

impl Ends {
    /// The ends as two socket addresses.
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Ends {
        Ends {
            local: local.ip(),
            local_port: local.port(),
            remote_port: remote.port(),
            remote: remote.ip(),
        }
    }

    /// The ends as bytes, for keyed hashes.
    pub(crate) fn key(&self) -> SmallVec<[u8; 64]> {
        let mut key = SmallVec::new();
        for (ip, port) in [(self.local, self.local_port), (self.remote, self.remote_port)] {
            match ip {
                IpAddr::V4(a) => key.extend(a.octets()),
                IpAddr::V6(a) => key.extend(a.octets()),
            }
            key.extend(port.to_be_bytes());
        }
        key
    }
}

/// A connection with what ties it to the rest of the host.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) conn: Connection,
    /// The socket that holds it.
    pub(crate) socket: Option<SocketId>,
    /// The listener it came from, until it is accepted.
    pub(crate) listener: Option<SocketId>,
    /// Whether it can be found by its ends.
    pub(crate) linked: bool,
    armed: Option<Instant>,
    quiet: bool,
    parentless: bool,
}

/// The connections of a host.
#[derive(Debug, Default)]
pub struct Tcp {
    slots: Vec<Option<Box<Slot>>>,
    free: Vec<u32>,
    by_ends: Map<Ends, u32>,
    /// How many connections each local end has.
    by_local: Map<(u16, IpAddr), u32>,
    deadlines: BTreeSet<(Instant, u32)>,
    /// Handshakes that listeners have answered.
    pub(crate) requests: Requests,
    busy: u32,
    parentless: u32,
}

/// Tables of more slots than this stay when the last connection has gone: there will be more.
const FEW: usize = 16;

/// Connections that no program holds (closing, TIME-WAIT) at most; beyond, `close` ends them at
/// once, as Linux does at `tcp_max_orphans` and `tcp_max_tw_buckets`.
pub const MAX_PARENTLESS: u32 = if cfg!(test) { 64 } else { 65_536 };

impl Tcp {
    /// Adds a connection; `None` when its ends are taken.
    pub(crate) fn insert(
        &mut self,
        conn: Connection,
        socket: Option<SocketId>,
        listener: Option<SocketId>,
    ) -> Option<u32> {
        let ends = Ends::new(conn.setup.local, conn.setup.remote);
        if self.by_ends.contains_key(&ends) {
            return None;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.by_ends.insert(ends, slot);
        *self.by_local.entry((ends.local_port, ends.local)).or_default() += 1;
        let entry = Slot {
            conn,
            socket,
            listener,
            linked: true,
            armed: None,
            quiet: true,
            parentless: false,
        };
        self.slots[slot as usize] = Some(Box::new(entry));
        Some(slot)
    }

    /// The slot of the connection between these ends.
    pub(crate) fn find(&self, ends: &Ends) -> Option<u32> {
        self.by_ends.get(ends).copied()
    }

    /// The connection in a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Slot> {
        self.slots.get(slot as usize)?.as_deref()
    }

    /// The connection in a slot, to change it. Whoever lets it act takes it out with
    /// [`Tcp::take`], so that its deadline is looked at again.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    /// Takes a connection out of its slot, to let it act; [`Tcp::put`] brings it back.
    pub(crate) fn take(&mut self, slot: u32) -> Option<Box<Slot>> {
        self.slots.get_mut(slot as usize)?.take()
    }

    /// Brings a connection back into its slot, or frees the slot when nothing holds it any more.
    /// Returns whether it was freed.
    pub(crate) fn put(&mut self, slot: u32, mut entry: Box<Slot>) -> bool {
        let closed = entry.conn.state() == State::Closed;
        if closed && entry.linked {
            entry.linked = false;
            let ends = Ends::new(entry.conn.setup.local, entry.conn.setup.remote);
            self.by_ends.swap_remove(&ends);
            self.unlist(ends.local_port, ends.local);
        }
        let freed = closed && entry.socket.is_none() && entry.listener.is_none();
        let deadline = if closed { None } else { entry.conn.next_deadline() };
        self.rearm(slot, &mut entry, deadline);
        let quiet = closed || entry.conn.is_quiet();
        match (entry.quiet, quiet) {
            (true, false) => self.busy += 1,
            (false, true) => self.busy -= 1,
            _ => {}
        }
        entry.quiet = quiet;
        let parentless = !closed && entry.socket.is_none() && entry.listener.is_none();
        match (entry.parentless, parentless) {
            (false, true) => self.parentless += 1,
            (true, false) => self.parentless -= 1,
            _ => {}
        }
        entry.parentless = parentless;
        if freed {
            self.free.push(slot);
            self.rest();
        } else {
            self.slots[slot as usize] = Some(entry);
        }
        freed
    }

    /// A host without connections keeps no tables for them.
    fn rest(&mut self) {
        if self.is_empty() && self.slots.len() <= FEW {
            self.slots = Vec::new();
            self.free = Vec::new();
            self.by_ends = Map::default();
            self.by_local = Map::default();
            self.deadlines = BTreeSet::new();
        }
    }

    fn unlist(&mut self, port: u16, ip: IpAddr) {
        if let Some(n) = self.by_local.get_mut(&(port, ip)) {
            *n -= 1;
            if *n == 0 {
                self.by_local.swap_remove(&(port, ip));
            }
        }
    }

    /// Whether a connection uses this port of one of the addresses.
    pub(crate) fn uses_port(&self, port: u16, mut own: impl Iterator<Item = IpAddr>) -> bool {
        own.any(|ip| self.by_local.contains_key(&(port, ip)))
    }

    fn rearm(&mut self, slot: u32, entry: &mut Slot, deadline: Option<Instant>) {
        let later = matches!((entry.armed, deadline), (Some(a), Some(d)) if a <= d);
        if later {
            return;
        }
        if let Some(armed) = entry.armed.take() {
            self.deadlines.remove(&(armed, slot));
        }
        if let Some(due) = deadline {
            entry.armed = Some(due);
            self.deadlines.insert((due, slot));
        }
    }

    /// A slot whose entry in the deadline set is due; the entry is removed.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<u32> {
        let &(due, slot) = self.deadlines.first().filter(|(due, _)| *due <= now)?;
        self.deadlines.remove(&(due, slot));
        if let Some(entry) = self.get_mut(slot) {
            entry.armed = None;
        }
        Some(slot)
    }

    /// When the first connection wants to be looked at.
    pub fn next_deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(due, _)| *due);
        crate::layer::earlier(first, self.requests.next_deadline())
    }

    /// Whether no connection waits for an answer.
    pub fn is_quiet(&self) -> bool {
        self.busy == 0 && self.requests.is_empty()
    }

    /// Whether there are as many connections without a program as a host keeps.
    pub(crate) fn has_too_many_parentless(&self) -> bool {
        self.parentless > MAX_PARENTLESS
    }

    /// All connections, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(i, s)| s.as_deref().map(|s| (i as u32, s)))
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Compares the counters with what a walk over the connections found.
    #[cfg(test)]
    pub(crate) fn check(&self, busy: u32, parentless: u32) {
        assert_eq!((self.busy, self.parentless), (busy, parentless));
        for (slot, e) in self.iter() {
            let wanted = if e.linked { e.conn.next_deadline() } else { None };
            assert!(e.armed.is_some() || wanted.is_none(), "{slot} has no deadline");
            assert!(wanted.is_none_or(|w| e.armed.is_some_and(|a| a <= w)), "{slot} fires late");
        }
        let armed = self.iter().filter_map(|(slot, e)| e.armed.map(|a| (a, slot)));
        assert_eq!(armed.collect::<BTreeSet<_>>(), self.deadlines);
    }
}
