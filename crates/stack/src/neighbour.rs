//! The neighbour cache: which MAC address has the next hop (RFC 826, with the states and timers of
//! RFC 4861 §7.3, as Linux uses them for ARP too).
//!
//! Limits: [`MAX_ENTRIES`] entries (the one confirmed longest ago makes room; while all of them are
//! being resolved, frames for further addresses are dropped), [`MAX_QUEUE`] frames while one
//! address is resolved (the oldest is dropped).

use core::net::IpAddr;
use std::collections::{BTreeSet, VecDeque};

use netarium_base::map::Map;
use netarium_base::{Cause, Duration, IfIndex, Instant};
use netarium_wire::{Frame, Mac};

use crate::types::{NeighbourInfo, NeighbourState};

/// The most neighbours a host remembers (Linux' `gc_thresh3`).
pub const MAX_ENTRIES: usize = 1024;
/// The most frames that wait for one address (Linux' `unres_qlen`).
pub const MAX_QUEUE: usize = 101;
/// Time between two requests.
pub const RETRANSMIT: Duration = Duration::from_secs(1);
/// Requests before an address counts as absent.
pub const MAX_PROBES: u8 = 3;
/// How long a confirmation is good (RFC 4861 §10; not randomised, so that runs are easy to read).
pub const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// How long a stale entry is used before it is probed.
pub const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);

type Key = (IfIndex, IpAddr);

#[derive(Debug)]
struct Entry {
    state: NeighbourState,
    mac: Option<Mac>,
    confirmed: Instant,
    probes: u8,
    due: Option<Instant>,
    cause: Cause,
    queue: VecDeque<Box<Frame>>,
}

/// What to do with a frame for a neighbour.
#[derive(Debug)]
pub enum Resolution {
    /// Send it to this address.
    Send(Mac, Box<Frame>),
    /// It waits. `ask` when a request must be sent now; `dropped` had to make room.
    Wait {
        /// A request must be sent now.
        ask: bool,
        /// The frame that had to make room.
        dropped: Option<Box<Frame>>,
    },
}

/// What a timer of the cache asks for.
#[derive(Debug)]
pub enum Due {
    /// Send a request; to the known address when there is one.
    Ask {
        /// Interface.
        iface: IfIndex,
        /// Whom to ask for.
        address: IpAddr,
        /// The address to confirm, if any.
        mac: Option<Mac>,
        /// What set the resolution going.
        cause: Cause,
    },
    /// Nobody answered: these frames cannot be sent.
    Failed {
        /// The absent neighbour.
        address: IpAddr,
        /// What set the resolution going.
        cause: Cause,
        /// The frames that waited.
        frames: VecDeque<Box<Frame>>,
    },
}

/// A host's neighbour cache.
#[derive(Debug, Default)]
pub struct NeighbourCache {
    entries: Map<Key, Box<Entry>>,
    deadlines: BTreeSet<(Instant, Key)>,
    /// Entries whose resolution is running.
    resolving: u32,
}

impl NeighbourCache {
    /// Looks up a neighbour for a frame, starting its resolution when it is unknown.
    pub fn resolve(
        &mut self,
        now: Instant,
        iface: IfIndex,
        address: IpAddr,
        frame: Box<Frame>,
    ) -> Resolution {
        let key = (iface, address);
        if let Some(entry) = self.entries.get_mut(&key) {
            if entry.state == NeighbourState::Reachable
                && now.since(entry.confirmed) > REACHABLE_TIME
            {
                entry.state = NeighbourState::Stale;
            }
            match (entry.state, entry.mac) {
                (NeighbourState::Stale, Some(mac)) => {
                    entry.cause = frame.meta.cause;
                    self.change(key, NeighbourState::Delay, Some(now + DELAY_FIRST_PROBE));
                    return Resolution::Send(mac, frame);
                }
                (NeighbourState::Incomplete, _) => {
                    let full = entry.queue.len() >= MAX_QUEUE;
                    let dropped = if full { entry.queue.pop_front() } else { None };
                    entry.queue.push_back(frame);
                    return Resolution::Wait { ask: false, dropped };
                }
                (NeighbourState::Failed, _) | (_, None) => {}
                (_, Some(mac)) => return Resolution::Send(mac, frame),
            }
        }
        if !self.entry(now, key) {
            return Resolution::Wait { ask: false, dropped: Some(frame) };
        }
        self.start(now, key, frame);
        Resolution::Wait { ask: true, dropped: None }
    }

    fn start(&mut self, now: Instant, key: Key, frame: Box<Frame>) {
        let cause = frame.meta.cause;
        self.change(key, NeighbourState::Incomplete, Some(now + RETRANSMIT));
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.probes = 1;
            entry.mac = None;
            entry.cause = cause;
            entry.queue.push_back(frame);
        }
    }

    /// Makes sure there is an entry, at the cost of the one confirmed longest ago. `false` when
    /// the table is full of entries that are being resolved or probed.
    fn entry(&mut self, now: Instant, key: Key) -> bool {
        if self.entries.contains_key(&key) {
            return true;
        }
        if self.entries.len() >= MAX_ENTRIES {
            let settled = self.entries.iter().filter(|(_, e)| e.due.is_none());
            let oldest = settled.min_by_key(|(k, e)| (e.confirmed, **k)).map(|(k, _)| *k);
            let Some(victim) = oldest else { return false };
            self.entries.swap_remove(&victim);
        }
        let entry = Entry {
            state: NeighbourState::Failed,
            mac: None,
            confirmed: now,
            probes: 0,
            due: None,
            cause: Cause::NONE,
            queue: VecDeque::new(),
        };
        self.entries.insert(key, Box::new(entry));
        true
    }

    /// An empty set would keep the memory of eleven entries, on each of ten thousand hosts.
    fn forget_deadline(&mut self, deadline: (Instant, Key)) {
        self.deadlines.remove(&deadline);
        if self.deadlines.is_empty() {
            self.deadlines = BTreeSet::new();
        }
    }

    fn change(&mut self, key: Key, state: NeighbourState, due: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let (was, is) =
            (entry.state == NeighbourState::Incomplete, state == NeighbourState::Incomplete);
        match (was, is) {
            (false, true) => self.resolving += 1,
            (true, false) => self.resolving -= 1,
            _ => {}
        }
        entry.state = state;
        if let Some(old) = std::mem::replace(&mut entry.due, due) {
            self.forget_deadline((old, key));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, key));
        }
    }

    /// A neighbour told its address. `solicited`: in answer to our request, which confirms it.
    /// `create`: also when nobody asked. Returns the frames that waited for it, and whether the
    /// address is news.
    pub fn learn(
        &mut self,
        now: Instant,
        iface: IfIndex,
        address: IpAddr,
        mac: Mac,
        solicited: bool,
        create: bool,
    ) -> (VecDeque<Box<Frame>>, bool) {
        let key = (iface, address);
        if create && !self.entry(now, key) {
            return (VecDeque::new(), false);
        }
        let Some(entry) = self.entries.get_mut(&key) else { return (VecDeque::new(), false) };
        let news = entry.mac != Some(mac);
        entry.mac = Some(mac);
        entry.confirmed = now;
        entry.probes = 0;
        let waiting = std::mem::take(&mut entry.queue);
        let confirmed = solicited || !waiting.is_empty();
        if confirmed {
            self.change(key, NeighbourState::Reachable, None);
        } else if news || self.entries[&key].state == NeighbourState::Failed {
            self.change(key, NeighbourState::Stale, None);
        }
        (waiting, news)
    }

    /// What a due timer asks for; `None` when no timer is due.
    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        loop {
            let &(due, key) = self.deadlines.first().filter(|(due, _)| *due <= now)?;
            self.forget_deadline((due, key));
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            entry.due = None;
            let (iface, address) = key;
            let (cause, mac) = (entry.cause, entry.mac);
            if entry.state == NeighbourState::Delay {
                entry.probes = 0;
            } else if entry.probes >= MAX_PROBES {
                let frames = std::mem::take(&mut entry.queue);
                entry.mac = None;
                self.change(key, NeighbourState::Failed, None);
                return Some(Due::Failed { address, cause, frames });
            }
            entry.probes += 1;
            let state = match entry.state {
                NeighbourState::Delay => NeighbourState::Probe,
                s => s,
            };
            self.change(key, state, Some(now + RETRANSMIT));
            return Some(Due::Ask { iface, address, mac, cause });
        }
    }

    /// When the first timer is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Whether no resolution is running.
    pub fn is_quiet(&self) -> bool {
        self.resolving == 0
    }

    /// Forgets all neighbours of an interface, as when it goes down; the frames that waited.
    pub fn flush(&mut self, iface: IfIndex) -> Vec<Box<Frame>> {
        let keys: Vec<Key> = self.entries.keys().copied().filter(|(i, _)| *i == iface).collect();
        let mut frames = Vec::new();
        for key in keys {
            self.change(key, NeighbourState::Failed, None);
            if let Some(entry) = self.entries.swap_remove(&key) {
                frames.extend(entry.queue);
            }
        }
        frames
    }

    /// The cache as `ip neigh` lists it, in the order of interfaces and addresses.
    pub fn list(&self, now: Instant) -> Vec<NeighbourInfo> {
        let mut rows: Vec<NeighbourInfo> = self
            .entries
            .iter()
            .map(|((iface, address), e)| {
                let old = now.since(e.confirmed) > REACHABLE_TIME;
                let state = match e.state {
                    NeighbourState::Reachable if old => NeighbourState::Stale,
                    s => s,
                };
                NeighbourInfo { address: *address, mac: e.mac, iface: *iface, state }
            })
            .collect();
        rows.sort_by_key(|r| (r.iface, r.address));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_wire::{EtherType, Payload};

    const IF: IfIndex = IfIndex(2);

    fn frame() -> Box<Frame> {
        Frame::raw(Mac::ZERO, Mac::ZERO, EtherType::IPV4, &[], Payload::new())
    }

    fn ip(n: u16) -> IpAddr {
        IpAddr::from([10, 0, (n >> 8) as u8, n as u8])
    }

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn three_requests_then_failure_hands_back_the_frames() {
        let mut c = NeighbourCache::default();
        let r = c.resolve(at(0), IF, ip(1), frame());
        assert!(matches!(r, Resolution::Wait { ask: true, .. }));
        assert!(!c.is_quiet());
        for s in [1, 2] {
            assert!(matches!(c.take_due(at(s * 1000)), Some(Due::Ask { mac: None, .. })), "{s}");
        }
        let Some(Due::Failed { frames, .. }) = c.take_due(at(3000)) else { panic!("failed") };
        assert_eq!(frames.len(), 1);
        assert!(c.is_quiet() && c.next_deadline().is_none());
    }

    #[test]
    fn stale_entries_are_used_then_probed() {
        let mut c = NeighbourCache::default();
        c.resolve(at(0), IF, ip(1), frame());
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let (frames, news) = c.learn(at(1), IF, ip(1), mac, true, false);
        assert!(news && frames.len() == 1);
        assert!(matches!(c.resolve(at(10_000), IF, ip(1), frame()), Resolution::Send(..)));
        assert_eq!(c.next_deadline(), None, "reachable");
        assert!(matches!(c.resolve(at(40_000), IF, ip(1), frame()), Resolution::Send(..)));
        assert_eq!(c.next_deadline(), Some(at(45_000)), "delay");
        assert!(matches!(c.take_due(at(45_000)), Some(Due::Ask { mac: Some(m), .. }) if m == mac));
        c.learn(at(45_001), IF, ip(1), mac, true, false);
        assert_eq!(c.list(at(45_001))[0].state, NeighbourState::Reachable);
    }

    #[test]
    fn queue_and_table_are_bounded() {
        let mut c = NeighbourCache::default();
        let mut dropped = 0;
        for _ in 0..MAX_QUEUE + 5 {
            if let Resolution::Wait { dropped: Some(_), .. } = c.resolve(at(0), IF, ip(1), frame())
            {
                dropped += 1;
            }
        }
        assert_eq!(dropped, 5);
        let mut full = NeighbourCache::default();
        for n in 0..MAX_ENTRIES as u16 + 1 {
            let asked = match full.resolve(at(0), IF, ip(n), frame()) {
                Resolution::Wait { ask, dropped } => {
                    assert_eq!(ask, dropped.is_none(), "what is not asked for is reported");
                    ask
                }
                Resolution::Send(..) => panic!("nobody is known"),
            };
            assert_eq!(asked, usize::from(n) < MAX_ENTRIES);
        }
        for n in 0..3000 {
            c.learn(at(u64::from(n)), IF, ip(n), Mac::ZERO, false, true);
        }
        assert_eq!(c.list(at(0)).len(), MAX_ENTRIES);
    }
}
