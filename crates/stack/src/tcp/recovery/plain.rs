//! Without SACK (RFC 5681, RFC 6582): duplicate acknowledgements are counted, each says that some
//! segment left the network.

use netarium_base::Ctx;

use super::News;
use crate::tcp::connection::Connection;
use crate::tcp::info::CaState;

impl Connection {
    /// So many duplicate acknowledgements arrived.
    pub(super) fn add_plain(&mut self, duplicates: u32) {
        if duplicates == 0 {
            return;
        }
        let before = self.rec.board.sacked;
        self.rec.board.sacked += duplicates;
        self.check_plain_reordering(0);
        let delivered = self.rec.board.sacked.saturating_sub(before);
        self.rec.delivered = self.rec.delivered.wrapping_add(delivered);
    }

    /// So many segments were acknowledged: one filled the hole, the others had been counted by
    /// their duplicates.
    pub(super) fn remove_plain(&mut self, acked: u32) {
        let board = &mut self.rec.board;
        let counted = board.sacked;
        let delivered = acked.saturating_sub(counted).max(1);
        self.rec.delivered = self.rec.delivered.wrapping_add(delivered);
        board.sacked = counted.saturating_sub(acked - 1);
        self.check_plain_reordering(acked);
    }

    pub(super) fn reset_plain(&mut self) {
        self.rec.board.sacked = 0;
    }

    /// More duplicates than segments that could have caused them: they were reordered.
    fn check_plain_reordering(&mut self, addend: u32) {
        if self.limit_plain() {
            let seen = self.rec.board.len() + addend;
            self.rec.reordering = self.rec.reordering.max(seen.min(self.config.max_reordering));
            self.rec.reordered = self.rec.reordered.saturating_add(1);
        }
    }

    /// At least one segment is missing, else there would be no duplicates. Whether more was
    /// counted.
    pub(super) fn limit_plain(&mut self) -> bool {
        let board = &mut self.rec.board;
        let holes = board.lost.max(1).min(board.len());
        if board.sacked + holes <= board.len() {
            return false;
        }
        board.sacked = board.len() - holes;
        true
    }

    /// RFC 6582 §3.2 step 3: only the first partial acknowledgement of a recovery restarts the
    /// retransmission timer (§4: the impatient variant). Each repairs one hole; where there are so
    /// many that this takes longer than a time-out, slow start is faster.
    pub(super) fn note_partial(&mut self, news: &mut News) {
        if !self.sack && news.advanced {
            news.rearm &= !self.rec.partial;
            self.rec.partial = true;
        }
    }

    /// A copy does not put the time-out off any more.
    pub(super) fn is_impatient(&self) -> bool {
        !self.sack && self.rec.state == CaState::Recovery && self.rec.partial
    }

    /// RFC 5681 §3.2: three duplicates mean that the lowest segment is lost; RFC 6582 §3.2: in
    /// recovery each partial acknowledgement means the next one.
    pub(super) fn detect_by_count(&mut self, _cx: &mut Ctx<'_>, advanced: bool) {
        let threshold =
            self.rec.state < CaState::Recovery && self.rec.board.sacked >= self.rec.reordering;
        let partial = self.rec.state == CaState::Recovery && advanced;
        if threshold || partial {
            use super::board::mark;
            if self.rec.board.head().is_some_and(|h| !h.is(mark::LOST)) {
                let marked = self.rec.board.mark_head_lost();
                self.rec.lost = self.rec.lost.wrapping_add(marked);
            }
        }
    }
}
