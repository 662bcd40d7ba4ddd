//! Where connections began, so that sequence numbers are printed relative to that.

use core::net::IpAddr;
use std::collections::VecDeque;

use netarium_base::map::Map;

use crate::tcp::TcpFlags;

/// Remembers the initial sequence numbers of the connections that were last seen to begin. Beyond
/// its capacity it forgets the oldest; their numbers are then relative to the next segment.
#[derive(Debug)]
pub struct FlowTracker {
    capacity: usize,
    begun: Map<Ends, Origin>,
    order: VecDeque<Ends>,
}

type End = (IpAddr, u16);

/// The lesser end first.
type Ends = (End, End);

/// The numbers that count as 0: of what the lesser and the greater end send.
#[derive(Clone, Copy, Debug)]
struct Origin {
    lesser: u32,
    greater: u32,
}

/// Sequence numbers as they are to be printed.
pub(super) struct Relative {
    pub(super) seq: u32,
    pub(super) ack: u32,
    /// What SACK blocks of the segment are relative to.
    pub(super) sack: u32,
}

impl Default for FlowTracker {
    /// Remembers 4096 connections.
    fn default() -> Self {
        FlowTracker::new(4096)
    }
}

impl FlowTracker {
    /// Remembers at most `capacity` connections, at least one.
    pub fn new(capacity: usize) -> FlowTracker {
        FlowTracker { capacity: capacity.max(1), begun: Map::default(), order: VecDeque::new() }
    }

    /// How many connections are remembered.
    pub fn len(&self) -> usize {
        self.begun.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    /// The numbers of a segment. As in tcpdump, a segment with ACK that begins a connection (or is
    /// the first seen of one) keeps its absolute numbers and fixes the origin; segments without ACK
    /// stay absolute.
    pub(super) fn relative(
        &mut self,
        src: End,
        dst: End,
        flags: TcpFlags,
        seq: u32,
        ack: u32,
    ) -> Relative {
        if !flags.contains(TcpFlags::ACK) {
            return Relative { seq, ack, sack: 0 };
        }
        // Ordered by port first, like tcpdump; any order does.
        let from_lesser = (src.1, src.0) <= (dst.1, dst.0);
        let ends = if from_lesser { (src, dst) } else { (dst, src) };
        let sack = |o: &Origin| if from_lesser { o.greater } else { o.lesser };
        match self.begun.get(&ends) {
            Some(o) if !flags.contains(TcpFlags::SYN) => {
                let (mine, theirs) =
                    if from_lesser { (o.lesser, o.greater) } else { (o.greater, o.lesser) };
                let (seq, ack) = (seq.wrapping_sub(mine), ack.wrapping_sub(theirs));
                Relative { seq, ack, sack: sack(o) }
            }
            _ => {
                let (mine, theirs) = (seq, ack.wrapping_sub(1));
                let (lesser, greater) = if from_lesser { (mine, theirs) } else { (theirs, mine) };
                let origin = Origin { lesser, greater };
                self.remember(ends, origin);
                Relative { seq, ack, sack: sack(&origin) }
            }
        }
    }

    fn remember(&mut self, ends: Ends, origin: Origin) {
        if self.begun.insert(ends, origin).is_some() {
            return;
        }
        self.order.push_back(ends);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.begun.swap_remove(&oldest);
        }
    }
}
