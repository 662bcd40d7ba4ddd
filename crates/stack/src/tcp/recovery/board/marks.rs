//! What acknowledgements and timers say of the segments on the board.

use super::{Board, NIL, Record, Verdict, mark};
use crate::tcp::options::Blocks;
use crate::tcp::seq::Seq;

impl Board {
    /// Marks what lies whole inside the block, newly SACKed segments only; `each` is told of each
    /// as it was before.
    pub(crate) fn sack(&mut self, (start, end): (Seq, Seq), mut each: impl FnMut(&Record)) {
        let mut from = start;
        while from.before(end) {
            // What the last acknowledgement said of this stretch need not be looked at again.
            let known = self.known_blocks().find(|b| b.0.at_or_before(from) && b.1.after(from));
            if let Some((_, known_end)) = known {
                from = known_end;
                // A segment across the edge was not covered before.
                if from.before(end) {
                    self.sack_at(self.position(from), (start, end), &mut each);
                }
                continue;
            }
            let next = self.known_blocks().map(|b| b.0).filter(|s| s.after(from));
            let stop = next.fold(end, Seq::min);
            let mut at = self.position(from);
            while self.sack_at(at, (start, end), &mut each)
                && self.record(at).is_some_and(|r| r.end.before(stop))
            {
                at += 1;
            }
            from = stop;
        }
    }

    /// Marks the segment at a position if the block covers it; whether there is such a segment.
    fn sack_at(
        &mut self,
        at: usize,
        (start, end): (Seq, Seq),
        each: &mut impl FnMut(&Record),
    ) -> bool {
        let Some(slot) = self.order.get(at).copied() else { return false };
        let r = self.slots[slot as usize];
        let covered = r.start.at_or_after(start) && r.end.at_or_before(end);
        if !covered || r.is(mark::SACKED) {
            return r.start.before(end);
        }
        each(&r);
        self.unlink(slot);
        self.uncount(&r);
        // A copy whose original was not taken for lost may still be on its way (RFC 6675 §4).
        let keep = if r.is(mark::LOST) { mark::COPIED } else { mark::COPIED | mark::RESENT };
        let r = &mut self.slots[slot as usize];
        r.marks = r.marks & keep | mark::SACKED;
        self.resent += u32::from(r.is(mark::RESENT));
        if self.sacked == 0 || r.end.after(self.highest) {
            self.highest = r.end;
        }
        self.sacked += 1;
        true
    }

    fn known_blocks(&self) -> impl Iterator<Item = (Seq, Seq)> + use<'_> {
        self.blocks.iter().flat_map(|b| b.as_slice().iter().copied())
    }

    /// Remembers the blocks that were just processed.
    pub(crate) fn remember(&mut self, blocks: &[(Seq, Seq)]) {
        if self.sacked == 0 {
            self.blocks = None;
        } else {
            **self.blocks.get_or_insert_default() = Blocks::new(blocks);
        }
    }

    /// A copy of a segment inside the block arrived although the original had (DSACK, RFC 2883);
    /// `each` is told of the segments concerned.
    pub(crate) fn duplicate(&mut self, (start, end): (Seq, Seq), mut each: impl FnMut(&Record)) {
        let mut at = self.position(start);
        while let Some(r) = self.record(at).filter(|r| r.start.before(end)) {
            if r.start.at_or_after(start) && r.end.at_or_before(end) && r.is(mark::COPIED) {
                each(&r);
                if r.is(mark::RESENT) && r.is(mark::SACKED) {
                    self.resent -= 1;
                    self.slots[self.order[at] as usize].marks &= !mark::RESENT;
                }
            }
            at += 1;
        }
    }

    /// Takes the lowest segment for lost.
    pub(crate) fn mark_head_lost(&mut self) -> u32 {
        self.order.front().copied().map_or(0, |slot| self.mark_lost(slot))
    }

    /// Takes segments for lost whose last transmission `judge` condemns, oldest first, until it
    /// says [`Verdict::Stop`]. How many were.
    pub(crate) fn mark_by_time(&mut self, mut judge: impl FnMut(&Record) -> Verdict) -> u32 {
        let mut slot = self.oldest;
        let mut marked = 0;
        while slot != NIL {
            let r = self.slots[slot as usize];
            let next = r.newer;
            match judge(&r) {
                Verdict::Stop => break,
                Verdict::Lost => marked += self.mark_lost(slot),
                Verdict::Wait => {}
            }
            slot = next;
        }
        marked
    }

    /// After a time-out: takes everything for lost that was not SACKed and that `spare` does not
    /// excuse; the lowest segment in any case. When the lowest one was SACKED the peer has thrown
    /// away what it reported (RFC 2018 §8), and nothing counts as SACKed any more.
    pub(crate) fn mark_all_lost(&mut self, mut spare: impl FnMut(&Record) -> bool) -> u32 {
        if self.head().is_some_and(|r| r.is(mark::SACKED)) {
            self.forget_sacks();
        }
        let mut marked = 0;
        for at in 0..self.order.len() {
            let slot = self.order[at];
            if at == 0 || !spare(&self.slots[slot as usize]) {
                marked += self.mark_lost(slot);
            }
        }
        marked
    }

    /// Takes segments of more than `mss` bytes for lost: they were too big for the path.
    pub(crate) fn mark_oversized(&mut self, mss: u32) -> u32 {
        let mut marked = 0;
        for at in 0..self.order.len() {
            let slot = self.order[at];
            let r = &self.slots[slot as usize];
            if r.end.ahead_of(r.start) > mss {
                marked += self.mark_lost(slot);
            }
        }
        marked
    }

    fn forget_sacks(&mut self) {
        for at in 0..self.order.len() {
            let slot = self.order[at];
            let r = &mut self.slots[slot as usize];
            if r.is(mark::SACKED) {
                r.marks &= !mark::SACKED;
                self.sacked -= 1;
            }
        }
        self.blocks = None;
    }

    /// The losses were none: nothing counts as lost any more.
    pub(crate) fn unmark_lost(&mut self) {
        for at in 0..self.order.len() {
            let slot = self.order[at];
            self.slots[slot as usize].marks &= !mark::LOST;
        }
        self.lost = 0;
        self.waiting = 0;
    }

    fn mark_lost(&mut self, slot: u32) -> u32 {
        let r = &mut self.slots[slot as usize];
        if r.is(mark::SACKED) || r.waits() {
            return 0;
        }
        if r.is(mark::RESENT) {
            r.marks &= !mark::RESENT;
            self.resent -= 1;
        }
        if !r.is(mark::LOST) {
            r.marks |= mark::LOST;
            self.lost += 1;
        }
        self.hint = if self.waiting == 0 { r.start } else { self.hint.min(r.start) };
        self.waiting += 1;
        self.unlink(slot);
        1
    }
}
