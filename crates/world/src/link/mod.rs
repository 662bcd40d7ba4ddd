//! Links: wires with a delay, a rate, a queue and faults, per direction.
//!
//! A frame handed to a link first finds room in the queue (or is dropped at its tail), then is
//! serialised at the link's rate, then travels for the link's delay. Nothing of this needs an event
//! of its own: when it arrives is known as soon as it is handed over. The frames of a direction
//! wait in a line of their own, ordered by their keys, of which only the first must stand in the
//! world's event queue. A wire keeps the order of its frames, so a frame goes to the line's end.
//!
//! Settings may change while frames are under way. Those arrive as it was known when they were
//! handed over; a frame that would overtake them (because the delay became shorter, or the rate
//! unlimited) arrives together with the last of them, behind it.
//!
//! What a frame occupies of the rate are its bytes from the destination MAC to the end of the
//! payload: no preamble, padding, frame check sequence or gap between frames.
//!
//! The wire decides about loss by flow and ordinal: whether the third frame of a conversation is
//! lost does not depend on what others send. Lost frames occupied the wire, and are seen by a
//! capture at the sender's end.
//!
//! Beyond these, a direction can have [`Faults`]: jitter, loss in bursts, of chosen frames,
//! duplication, reordering, corruption, an MTU, a queue limited in bytes. A direction without them
//! does not look for them. Whatever is lost by a fault occupied the wire.
//!
//! A link that is *down* drops what it is handed. What it was handed before still arrives, frames
//! that wait in its queue included: it is in the fibre already, and nobody calls it back, unless a
//! command says that the cable is cut with everything on it.

mod direction;
pub mod faults;
pub mod matching;
mod odd;
pub mod wire;

pub(crate) use direction::{Direction, Handed, Trip};
pub use faults::{Burst, Faults, Jitter, Nth, Reorder, Shape};
pub use matching::PacketMatch;
pub(crate) use odd::{Fate, corrupted};
pub use wire::Wire;

use netarium_base::{Duration, IfIndex, LinkEnd, LinkId, NodeId, Seed};

use crate::edit::{Directions, LinkChange};
use crate::queue::Key;

/// The delay of a host's loopback link.
pub const LOOPBACK_DELAY: Duration = Duration::from_micros(10);
/// How many frames travel in one direction of a link at most; more are dropped as by a full queue.
/// Keeps a loop of switches from filling the memory.
pub const TRAVELLING_MAX: usize = 65_536;

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectionSpec {
    /// How long a bit travels; at least 1 ns (less is taken as 1 ns).
    pub delay: Duration,
    /// Bits per second; `None`: without limit.
    pub rate: Option<u64>,
    /// How many frames may wait while another is being serialised. Without a rate nothing waits.
    pub queue: u32,
    /// The probability of loss, in steps of 2⁻³² (see [`netarium_base::chance::probability`]).
    pub loss: u32,
}

impl Default for DirectionSpec {
    /// 10 µs, no limit of rate, a queue of 1000 frames, no loss.
    fn default() -> Self {
        DirectionSpec { delay: Duration::from_micros(10), rate: None, queue: 1_000, loss: 0 }
    }
}

/// What passed through one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionStats {
    /// Frames handed over and not dropped by the queue.
    pub sent_frames: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames of those that had to wait.
    pub queued_frames: u64,
    /// Frames dropped because the queue was full.
    pub dropped_full: u64,
    /// Frames dropped because the link was down.
    pub dropped_down: u64,
    /// Frames lost on the way by the random loss.
    pub dropped_loss: u64,
    /// Frames lost on the way in bursts.
    pub dropped_burst: u64,
    /// Frames lost on the way because they were chosen.
    pub dropped_picked: u64,
    /// Frames dropped because they were larger than the link's MTU.
    pub dropped_big: u64,
    /// Frames that a partition kept off the wire, or took from it.
    pub dropped_partition: u64,
    /// Frames under way that were cut off with the link.
    pub dropped_cut: u64,
    /// Copies that were made of frames; they arrive, but were not sent.
    pub duplicated: u64,
    /// Frames that were held back.
    pub reordered: u64,
    /// Frames of which a bit was turned over.
    pub corrupted: u64,
    /// Frames that arrived.
    pub delivered_frames: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
}

impl DirectionStats {
    /// All frames that were dropped, wherever.
    pub fn dropped(&self) -> u64 {
        let before = self.dropped_full + self.dropped_down + self.dropped_big;
        let on_the_way = self.dropped_loss + self.dropped_burst + self.dropped_picked;
        before + on_the_way + self.dropped_partition + self.dropped_cut
    }
}

/// One direction of one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DirId(u32);

impl DirId {
    /// The direction that starts at `end`.
    pub(crate) fn from(link: LinkId, end: LinkEnd) -> DirId {
        DirId(link.0 << 1 | end.index() as u32)
    }

    /// The link's id and the end in one number.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn link(self) -> LinkId {
        LinkId(self.0 >> 1)
    }

    /// The end where frames enter.
    pub(crate) fn source(self) -> LinkEnd {
        if self.0 & 1 == 0 { LinkEnd::A } else { LinkEnd::B }
    }
}

/// What the directions are called, by index.
const WAYS: [&str; 2] = ["up", "down"];

/// A link between two interfaces.
#[derive(Debug)]
pub(crate) struct Link {
    /// Rank of its name among all components.
    origin: u32,
    sequence: u64,
    /// What is plugged in at each end.
    pub(crate) ends: [(NodeId, IfIndex); 2],
    /// By the end where frames enter: `up` first.
    pub(crate) directions: [Direction; 2],
    /// How many captures listen here.
    pub(crate) taps: u16,
}

impl Link {
    pub(crate) fn new(
        seed: Seed,
        name: &str,
        origin: u32,
        ends: [(NodeId, IfIndex); 2],
        [up, down]: [(DirectionSpec, Faults); 2],
    ) -> Link {
        let directions = [
            Direction::new(seed, name, WAYS[0], up.0, up.1),
            Direction::new(seed, name, WAYS[1], down.0, down.1),
        ];
        Link { origin, sequence: 0, ends, directions, taps: 0 }
    }

    /// Whether it leads from an interface to itself.
    pub(crate) fn is_loopback(&self) -> bool {
        self.ends[0] == self.ends[1]
    }

    /// Takes the link up or down, in both directions. What is under way still arrives.
    pub(crate) fn set_up(&mut self, up: bool) {
        self.directions.iter_mut().for_each(|d| d.up = up);
    }

    /// Changes a setting, for frames that are handed over from now on.
    pub(crate) fn change(
        &mut self,
        seed: Seed,
        name: &str,
        which: Directions,
        change: &LinkChange,
    ) {
        for i in which.indices() {
            let new = || odd::Odd::new(seed, name, WAYS[i], Faults::default());
            self.directions[i].change(change.clone(), new);
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.directions.iter().all(|d| d.up)
    }

    /// The key of this link's next event.
    pub(crate) fn key(&mut self, at: netarium_base::Instant) -> Key {
        self.sequence += 1;
        Key::new(at, self.origin, self.sequence)
    }
}

#[cfg(test)]
mod tests;
