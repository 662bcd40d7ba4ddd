//! The record of what was sent and is not acknowledged yet, segment by segment: the SACK
//! scoreboard of RFC 6675 §3 and the transmission times that RACK needs (RFC 8985 §5.2).
//!
//! Three views of the same records: by sequence number (`order`, a ring of slots), by time of the
//! last transmission (a list threaded through the slots; what is SACKed or taken for lost is not
//! on it), and the lowest one that waits to be sent again (`hint`). An acknowledgement costs what
//! it newly acknowledges, not what is in flight: blocks that the last acknowledgement had already
//! reported are skipped, and all counters are kept, not counted.
//!
//! Bounded by what the windows let into flight. Nothing is allocated while nothing is in flight.

mod marks;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use netarium_base::Instant;

use crate::tcp::options::Blocks;
use crate::tcp::seq::Seq;

/// No slot.
const NIL: u32 = u32::MAX;

/// What is known of a segment.
pub(crate) mod mark {
    /// A SACK block covers it.
    pub(crate) const SACKED: u8 = 1;
    /// It is taken for lost.
    pub(crate) const LOST: u8 = 2;
    /// A copy of it, sent as a repair, is in flight.
    pub(crate) const RESENT: u8 = 4;
    /// It was sent more than once.
    pub(crate) const COPIED: u8 = 8;
}

/// A segment in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) start: Seq,
    /// Behind the last byte, or behind the FIN.
    pub(crate) end: Seq,
    /// When it was last sent.
    pub(crate) sent: Instant,
    /// Which transmission of the connection that was; wraps. Tells the order of what was sent at
    /// one instant.
    pub(crate) turn: u32,
    /// Segments that had been delivered when it was last sent.
    pub(crate) delivered: u32,
    pub(crate) marks: u8,
    /// Whether it is on the list by time.
    timed: bool,
    older: u32,
    newer: u32,
}

impl Record {
    pub(crate) fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// It waits to be sent again.
    fn waits(&self) -> bool {
        self.marks & (mark::LOST | mark::RESENT | mark::SACKED) == mark::LOST
    }
}

/// The records. Counters are in segments.
#[derive(Debug)]
pub(crate) struct Board {
    slots: Vec<Record>,
    /// Slots in use, by sequence number.
    order: VecDeque<u32>,
    free: u32,
    oldest: u32,
    newest: u32,
    /// SACKed segments; without SACK, how many duplicate ACKs say that segments left the network.
    pub(crate) sacked: u32,
    /// Segments taken for lost, whether sent again or not.
    pub(crate) lost: u32,
    /// Copies in flight.
    pub(crate) resent: u32,
    /// Lost segments that were not sent again yet.
    waiting: u32,
    /// Transmissions so far; wraps.
    turn: u32,
    /// Nothing that waits to be sent again begins below.
    hint: Seq,
    /// Behind the highest SACKed segment; meaningful while something is SACKed.
    highest: Seq,
    /// The blocks of the last acknowledgement.
    blocks: Option<Box<Blocks>>,
}

impl Default for Board {
    fn default() -> Self {
        Board {
            slots: Vec::new(),
            order: VecDeque::new(),
            free: NIL,
            oldest: NIL,
            newest: NIL,
            sacked: 0,
            lost: 0,
            resent: 0,
            waiting: 0,
            turn: 0,
            hint: Seq(0),
            highest: Seq(0),
            blocks: None,
        }
    }
}

impl Board {
    /// Segments sent and not acknowledged cumulatively.
    pub(crate) fn len(&self) -> u32 {
        self.order.len() as u32
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Segments believed to be in the network: the `pipe` of RFC 6675 §4.
    pub(crate) fn in_flight(&self) -> u32 {
        (self.len() + self.resent).saturating_sub(self.sacked + self.lost)
    }

    /// Segments that left the network without a cumulative acknowledgement.
    pub(crate) fn left_out(&self) -> u32 {
        self.sacked + self.lost
    }

    /// Whether a lost segment waits to be sent again.
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// The lowest segment.
    pub(crate) fn head(&self) -> Option<&Record> {
        self.order.front().map(|s| &self.slots[*s as usize])
    }

    /// The highest segment.
    pub(crate) fn last(&self) -> Option<&Record> {
        self.order.back().map(|s| &self.slots[*s as usize])
    }

    /// Behind the highest SACKed segment; `una` when none is.
    pub(crate) fn highest_sacked(&self, una: Seq) -> Seq {
        if self.sacked == 0 { una } else { self.highest }
    }

    /// Whether any segment was sent as a repair or a probe and is not acknowledged (the first one
    /// tells: repairs begin there).
    pub(crate) fn has_copies(&self) -> bool {
        self.resent > 0 || self.head().is_some_and(|r| r.is(mark::COPIED))
    }

    /// A new segment was sent, behind all others.
    pub(crate) fn push(&mut self, start: Seq, end: Seq, now: Instant, delivered: u32) {
        debug_assert!(self.last().is_none_or(|l| l.end.at_or_before(start)), "segments overlap");
        self.turn = self.turn.wrapping_add(1);
        let record = Record {
            start,
            end,
            sent: now,
            turn: self.turn,
            delivered,
            marks: 0,
            timed: false,
            older: NIL,
            newer: NIL,
        };
        if self.order.is_empty() {
            self.hint = start;
        }
        let slot = self.take_slot(record);
        self.order.push_back(slot);
        self.link_newest(slot);
    }

    /// The segment that begins at `start` is sent again, as a repair or (`probe`) to provoke an
    /// answer; `end` cuts it when only a part goes out. When it was last sent.
    pub(crate) fn resend(
        &mut self,
        start: Seq,
        end: Seq,
        (now, delivered): (Instant, u32),
        probe: bool,
    ) -> Option<Instant> {
        let at = self.at(start)?;
        if end.before(self.slots[self.order[at] as usize].end) {
            self.split(at, end);
        }
        let slot = self.order[at];
        self.unlink(slot);
        self.turn = self.turn.wrapping_add(1);
        let r = &mut self.slots[slot as usize];
        let before = r.sent;
        r.sent = now;
        r.turn = self.turn;
        r.delivered = delivered;
        if r.waits() {
            self.waiting -= 1;
        }
        r.marks |= mark::COPIED;
        if !probe && !r.is(mark::RESENT) {
            r.marks |= mark::RESENT;
            self.resent += 1;
        }
        if r.waits() {
            self.waiting += 1;
        } else if !r.is(mark::SACKED) {
            self.link_newest(slot);
        }
        Some(before)
    }

    /// The lowest lost segment that was not sent again.
    pub(crate) fn next_waiting(&mut self) -> Option<Record> {
        if self.waiting == 0 {
            return None;
        }
        let mut at = self.position(self.hint);
        while let Some(slot) = self.order.get(at) {
            let r = self.slots[*slot as usize];
            self.hint = r.start;
            if r.waits() {
                return Some(r);
            }
            at += 1;
        }
        None
    }

    /// Joins the lost segment at `start` with those behind it that wait to be sent again too, as
    /// long as they fit into `room` bytes together (RFC 9293 §3.8: data may be repacketised). One
    /// that is too large itself gives what fits. The end of what it is then.
    pub(crate) fn join_waiting(&mut self, start: Seq, room: u32) -> Option<Seq> {
        let at = self.at(start)?;
        let first = self.order[at];
        while let Some(next) = self.record(at + 1).filter(Record::waits) {
            if next.end.ahead_of(start) <= room {
                self.remove(at + 1, &next);
                self.widen(first, next.end, &next);
                continue;
            }
            let edge = start + room;
            if next.end.ahead_of(next.start) > room && next.start.before(edge) {
                self.widen(first, edge, &next);
                let second = self.order[at + 1];
                self.slots[second as usize].start = edge;
            }
            break;
        }
        Some(self.slots[first as usize].end)
    }

    /// A segment takes over a part of the one behind it. What a block had covered in part may be
    /// covered whole then.
    fn widen(&mut self, slot: u32, end: Seq, from: &Record) {
        self.blocks = None;
        let r = &mut self.slots[slot as usize];
        r.end = end;
        r.marks |= from.marks & mark::COPIED;
    }

    fn remove(&mut self, at: usize, record: &Record) {
        if let Some(slot) = self.order.remove(at) {
            self.uncount(record);
            self.unlink(slot);
            self.slots[slot as usize].newer = self.free;
            self.free = slot;
        }
    }

    /// Takes the segments off that `una` acknowledges whole, the lowest first.
    pub(crate) fn pop_acked(&mut self, una: Seq) -> Option<Record> {
        let slot = *self.order.front()?;
        let r = self.slots[slot as usize];
        if r.end.after(una) {
            return None;
        }
        self.order.pop_front();
        self.unlink(slot);
        self.uncount(&r);
        self.slots[slot as usize].newer = self.free;
        self.free = slot;
        if self.order.is_empty() {
            self.release();
        } else if self.sacked == 0 && self.blocks.is_some() {
            self.blocks = None;
        }
        Some(r)
    }

    /// Takes a record's marks out of the counters.
    fn uncount(&mut self, r: &Record) {
        self.sacked -= u32::from(r.is(mark::SACKED));
        self.lost -= u32::from(r.is(mark::LOST));
        self.resent -= u32::from(r.is(mark::RESENT));
        self.waiting -= u32::from(r.waits());
    }

    /// Cuts a segment in two at `end`. A block that had covered it in part may cover one half.
    fn split(&mut self, at: usize, end: Seq) {
        self.blocks = None;
        let slot = self.order[at];
        let mut rest = self.slots[slot as usize];
        self.slots[slot as usize].end = end;
        rest.start = end;
        rest.timed = false;
        self.lost += u32::from(rest.is(mark::LOST));
        self.resent += u32::from(rest.is(mark::RESENT));
        self.sacked += u32::from(rest.is(mark::SACKED));
        self.waiting += u32::from(rest.waits());
        let timed = self.slots[slot as usize].timed;
        let new = self.take_slot(rest);
        self.order.insert(at + 1, new);
        if timed {
            self.link_behind(new, slot);
        }
    }

    fn record(&self, at: usize) -> Option<Record> {
        self.order.get(at).map(|s| self.slots[*s as usize])
    }

    /// Where the first segment stands that ends behind `seq`.
    fn position(&self, seq: Seq) -> usize {
        self.order.partition_point(|s| self.slots[*s as usize].end.at_or_before(seq))
    }

    /// Where the segment stands that begins at `start`, its acknowledged part left out.
    fn at(&self, start: Seq) -> Option<usize> {
        let at = self.position(start);
        (at < self.order.len()).then_some(at)
    }

    fn take_slot(&mut self, record: Record) -> u32 {
        if self.free == NIL {
            self.slots.push(record);
            return (self.slots.len() - 1) as u32;
        }
        let slot = self.free;
        self.free = self.slots[slot as usize].newer;
        self.slots[slot as usize] = record;
        slot
    }

    fn link_newest(&mut self, slot: u32) {
        let newest = self.newest;
        self.link_behind(slot, newest);
    }

    /// Puts a slot on the list by time, behind `older` (at the front when that is none).
    fn link_behind(&mut self, slot: u32, older: u32) {
        let newer = if older == NIL { self.oldest } else { self.slots[older as usize].newer };
        let r = &mut self.slots[slot as usize];
        (r.older, r.newer, r.timed) = (older, newer, true);
        match older {
            NIL => self.oldest = slot,
            o => self.slots[o as usize].newer = slot,
        }
        match newer {
            NIL => self.newest = slot,
            n => self.slots[n as usize].older = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let r = &mut self.slots[slot as usize];
        if !std::mem::take(&mut r.timed) {
            return;
        }
        let (older, newer) = (r.older, r.newer);
        match older {
            NIL => self.oldest = newer,
            o => self.slots[o as usize].newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            n => self.slots[n as usize].older = older,
        }
    }

    /// Nothing is in flight: gives the memory back. The order of transmissions goes on.
    fn release(&mut self) {
        *self = Board { turn: self.turn, ..Board::default() };
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Board::default();
    }
}

/// What becomes of a segment that is looked at by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is lost.
    Lost,
    /// Not yet.
    Wait,
    /// Neither it nor any sent later.
    Stop,
}
