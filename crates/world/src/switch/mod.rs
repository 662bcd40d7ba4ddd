//! Switches and hubs.
//!
//! A switch learns behind which port a MAC address is from the source of the frames that come in
//! (IEEE 802.1D-2004 §7.8), forgets it after [`SwitchSpec::ageing`] without a frame (§7.9.2), and
//! repeats to all other ports what it has no port for. It takes no time: links have delays. A hub
//! repeats everything.
//!
//! There is no spanning tree: cables that form a loop would have a broadcast go round and multiply
//! for ever. Where two ports of a switch or hub lead to others of their kind, it knows the frames
//! that passed lately: one that comes back, or that has passed [`HOPS_MAX`] of them, is dropped
//! before anything is learned from it, with its own reason, and a note says so. So a lab with a loop
//! works, is told of it, and does not melt.
//!
//! A *mirror* port gets a copy of every frame that comes in or leaves by the ports it watches, one
//! for each frame, besides its own traffic.

mod loops;

pub(crate) use loops::Loops;
pub use loops::{HOPS_MAX, LOOP_NOTE_EVERY};

use core::fmt;

use netarium_base::map::Map;
use netarium_base::{Duration, IfIndex, Instant};
use netarium_wire::Mac;

/// What a switch is made of.
#[derive(Clone, Debug)]
pub struct SwitchSpec {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: Option<String>,
    /// How many addresses its table holds; when it is full, new ones are not learned.
    pub table: usize,
    /// How long an address is remembered after its last frame.
    pub ageing: Duration,
    /// Which ports it copies to which.
    pub mirror: Option<MirrorSpec>,
}

/// What a switch copies where. Ports are named by the links that are plugged in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorSpec {
    /// The link by which the copies leave: `spy.home`.
    pub to: String,
    /// The links that are watched; all others when empty.
    pub from: Vec<String>,
}

impl fmt::Display for MirrorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--to {}", self.to)?;
        match self.from.as_slice() {
            [] => Ok(()),
            from => write!(f, " --from {}", from.join(",")),
        }
    }
}

/// A mirror, by port.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) to: IfIndex,
    /// Sorted; all when empty.
    pub(crate) from: Vec<IfIndex>,
    pub(crate) spec: MirrorSpec,
}

impl Mirror {
    /// Whether a frame from one port to others is to be copied: it passes a watched port, and does
    /// not pass the mirror port by itself.
    pub(crate) fn wants(&self, from: IfIndex, to: Egress) -> bool {
        let watched = |port| self.from.is_empty() || self.from.binary_search(&port).is_ok();
        from != self.to
            && match to {
                Egress::Flood => false,
                Egress::Same => watched(from),
                Egress::Port(to) => to != self.to && (watched(from) || watched(to)),
            }
    }
}

/// What a switch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwitchStats {
    /// Addresses that it learned, again after they were forgotten included.
    pub learned: u64,
    /// Addresses that appeared behind another port.
    pub moved: u64,
    /// Addresses that it found too old when it needed them.
    pub aged: u64,
    /// Frames whose source found no room in the table.
    pub full: u64,
    /// Frames that it repeated to all ports.
    pub flooded: u64,
    /// Copies for the mirror port.
    pub mirrored: u64,
}

/// A switch or hub, to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchView {
    /// The learned addresses that have not aged, sorted; none on a hub.
    pub entries: Vec<SwitchEntry>,
    /// How many addresses the table holds; 0 for a hub.
    pub limit: usize,
    /// How long an address is remembered.
    pub ageing: Duration,
    /// What it did.
    pub stats: SwitchStats,
    /// Frames that came back to it and were dropped.
    pub loops: u64,
    /// What it copies where.
    pub mirror: Option<MirrorSpec>,
}

impl SwitchSpec {
    /// A switch with the default table.
    pub fn new(name: impl Into<String>) -> SwitchSpec {
        SwitchSpec { name: name.into(), ..SwitchSpec::default() }
    }
}

impl Default for SwitchSpec {
    /// A table of 8192 addresses that are remembered for 300 s (802.1D-2004 §7.9.2); no name yet.
    fn default() -> SwitchSpec {
        let ageing = Duration::from_secs(300);
        SwitchSpec { name: String::new(), title: None, table: 8_192, ageing, mirror: None }
    }
}

/// What a hub is made of.
#[derive(Clone, Debug, Default)]
pub struct HubSpec {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: Option<String>,
}

/// Frames and bytes through one port of a switch or hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames that came in.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that went out.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
}

/// An address that a switch has learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchEntry {
    /// The address.
    pub mac: Mac,
    /// The port behind which it is.
    pub port: IfIndex,
    /// When a frame from it last came in.
    pub seen: Instant,
}

/// The learned addresses of a switch.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Map<Mac, (IfIndex, Instant)>,
    limit: usize,
    ageing: Duration,
    /// When a full table was last searched for aged entries.
    purged: Instant,
}

/// What a frame taught the switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing new.
    Known,
    /// An address, or one that had been forgotten.
    Learned,
    /// An address is behind another port now.
    Moved,
    /// The table has no room.
    Full,
}

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Egress {
    Port(IfIndex),
    /// Every port but the one it came from.
    Flood,
    /// The destination is behind the port it came from.
    Same,
}

impl Table {
    pub(crate) fn new(limit: usize, ageing: Duration) -> Table {
        Table { entries: Map::default(), limit, ageing, purged: Instant::ZERO }
    }

    pub(crate) fn limits(&self) -> (usize, Duration) {
        (self.limit, self.ageing)
    }

    fn fresh(&self, seen: Instant, now: Instant) -> bool {
        now.since(seen) <= self.ageing
    }

    /// Takes note of a frame's source.
    pub(crate) fn learn(&mut self, now: Instant, source: Mac, port: IfIndex) -> Step {
        if source.is_multicast() {
            return Step::Known;
        }
        if let Some(entry) = self.entries.get_mut(&source) {
            let (old_port, seen) = std::mem::replace(entry, (port, now));
            return match (old_port == port, self.fresh(seen, now)) {
                (_, false) => Step::Learned,
                (true, true) => Step::Known,
                (false, true) => Step::Moved,
            };
        }
        if self.entries.len() >= self.limit && !self.purge(now) {
            return Step::Full;
        }
        self.entries.insert(source, (port, now));
        Step::Learned
    }

    /// Forgets aged entries, at most once per second; true when there is room now.
    fn purge(&mut self, now: Instant) -> bool {
        if now.since(self.purged) >= Duration::from_secs(1) {
            self.purged = now;
            let ageing = self.ageing;
            self.entries.retain(|_, &mut (_, seen)| now.since(seen) <= ageing);
        }
        self.entries.len() < self.limit
    }

    /// Where a frame to `destination` goes that came in by `port`; and whether that made the switch
    /// notice that it has to forget the address.
    pub(crate) fn egress(
        &mut self,
        now: Instant,
        destination: Mac,
        port: IfIndex,
    ) -> (Egress, bool) {
        if destination.is_multicast() {
            return (Egress::Flood, false);
        }
        match self.entries.get(&destination) {
            Some(&(_, seen)) if !self.fresh(seen, now) => {
                self.entries.swap_remove(&destination);
                (Egress::Flood, true)
            }
            Some(&(to, _)) if to == port => (Egress::Same, false),
            Some(&(to, _)) => (Egress::Port(to), false),
            None => (Egress::Flood, false),
        }
    }

    /// The entries that have not aged, sorted by address.
    pub(crate) fn entries(&self, now: Instant) -> Vec<SwitchEntry> {
        let fresh = self.entries.iter().filter(|(_, (_, seen))| self.fresh(*seen, now));
        let mut list: Vec<_> =
            fresh.map(|(&mac, &(port, seen))| SwitchEntry { mac, port, seen }).collect();
        list.sort_by_key(|e| e.mac);
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, n])
    }

    const P1: IfIndex = IfIndex(1);
    const P2: IfIndex = IfIndex(2);

    fn s(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn addresses_are_learned_moved_and_forgotten() {
        let mut t = Table::new(10, Duration::from_secs(300));
        assert_eq!(t.egress(s(0), mac(1), P2), (Egress::Flood, false));
        assert_eq!(t.learn(s(0), mac(1), P1), Step::Learned);
        assert_eq!(t.learn(s(1), mac(1), P1), Step::Known);
        assert_eq!(t.egress(s(1), mac(1), P2), (Egress::Port(P1), false));
        assert_eq!(t.egress(s(1), mac(1), P1), (Egress::Same, false));
        assert_eq!(t.learn(s(2), mac(1), P2), Step::Moved);
        assert_eq!(t.egress(s(302), mac(1), P1), (Egress::Port(P2), false));
        assert_eq!(t.egress(s(303), mac(1), P1), (Egress::Flood, true));
        assert_eq!(t.egress(s(303), mac(1), P1), (Egress::Flood, false));
        assert_eq!(t.egress(s(303), Mac::BROADCAST, P1), (Egress::Flood, false));
        assert_eq!(t.learn(s(303), Mac::BROADCAST, P1), Step::Known);
        assert!(t.entries(s(303)).is_empty());
    }

    #[test]
    fn a_full_table_learns_only_what_ages_out() {
        let mut t = Table::new(2, Duration::from_secs(300));
        t.learn(s(0), mac(1), P1);
        t.learn(s(200), mac(2), P1);
        assert_eq!(t.learn(s(300), mac(3), P2), Step::Full);
        assert_eq!(t.egress(s(300), mac(3), P1), (Egress::Flood, false));
        assert_eq!(t.learn(s(301), mac(3), P2), Step::Learned);
        let macs: Vec<_> = t.entries(s(301)).iter().map(|e| e.mac).collect();
        assert_eq!(macs, [mac(2), mac(3)]);
    }
}
