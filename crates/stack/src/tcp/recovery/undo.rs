//! Taking back what was a mistake: every copy sent turned out to be needless, by duplicates that
//! the peer reported (RFC 3708) or by the timestamps that it echoes (Eifel, RFC 3522).

use netarium_base::{Ctx, Instant};

use super::News;
use crate::tcp::congestion::Change;
use crate::tcp::connection::Connection;
use crate::tcp::info::CaState;
use crate::tcp::seq::Seq;

/// What is needed to take a reduction back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Undo {
    /// SND.UNA when the episode began; `None` when there is nothing to take back.
    pub(crate) marker: Option<Seq>,
    /// Copies of the episode not known to be needless; `None` before the first.
    copies: Option<u32>,
    /// When the first copy was sent.
    pub(crate) first_copy: Option<Instant>,
    /// The threshold before the reduction; 0 when it is not to come back.
    pub(super) ssthresh: u32,
    /// The window before the reduction.
    pub(super) cwnd: u32,
}

impl Undo {
    /// An episode begins at `una`, with so many copies in flight already.
    pub(super) fn begin(&mut self, una: Seq, copies: u32) {
        self.marker = Some(una);
        self.copies = (copies > 0).then_some(copies);
    }

    /// Nothing can be taken back any more.
    pub(super) fn forget(&mut self) {
        self.marker = None;
        self.ssthresh = 0;
    }

    pub(super) fn sent_again(&mut self, now: Instant) {
        self.copies = Some(self.copies.unwrap_or(0) + 1);
        self.first_copy.get_or_insert(now);
    }

    /// So many copies were needless.
    pub(super) fn needless(&mut self, segments: u32) {
        if let (Some(_), Some(copies)) = (self.marker, &mut self.copies) {
            *copies = copies.saturating_sub(segments);
        }
    }

    /// Whether all copies were needless.
    fn all_needless(&self) -> bool {
        self.copies == Some(0)
    }
}

impl Connection {
    /// Whether SND.UNA moved before a copy could have done it: the original was only late.
    fn was_only_late(&self, news: &News) -> bool {
        match self.rec.undo.first_copy {
            Some(t) => self.echo_is_before(news.echo, t),
            // No copy was sent yet; or, without SACK, it was forgotten when all was acknowledged.
            None => self.sack || self.snd.una.before(self.rec.high),
        }
    }

    fn may_undo(&self, news: &News) -> bool {
        let undo = &self.rec.undo;
        undo.marker.is_some() && (undo.all_needless() || self.was_only_late(news))
    }

    /// Restores window and threshold; `unmark`: what counts as lost is not.
    fn undo_reduction(&mut self, cx: &mut Ctx<'_>, unmark: bool, reason: &'static str) {
        if unmark {
            self.rec.board.unmark_lost();
        }
        let undo = self.rec.undo;
        if undo.ssthresh > 0 {
            let cwnd = self.cc.window.cwnd.max(undo.cwnd);
            self.cc.window.set(cwnd, cx.now);
            self.cc.algorithm.on_change(Change::Undone, cx.now);
            if undo.ssthresh > self.cc.window.ssthresh {
                self.cc.window.ssthresh = undo.ssthresh;
                self.ecn.withdraw_cwr();
            }
        }
        self.rec.undo.marker = None;
        self.rec.rack.look_again();
        self.tell_congestion(cx, reason);
    }

    /// Everything of the episode is acknowledged. Whether the state is kept for now: without SACK
    /// late duplicates at `high` must not pass for a new loss (RFC 6582 §3.2 step 2).
    pub(super) fn undo_whole(&mut self, cx: &mut Ctx<'_>, news: &News) -> bool {
        if self.may_undo(news) {
            self.undo_reduction(cx, false, "undone");
        } else {
            self.rec.rack.recovery_ended();
        }
        if self.keeps_closed() {
            return true;
        }
        self.rec.state = CaState::Open;
        false
    }

    /// A part of the episode is acknowledged, by the originals. Whether nothing more is to be
    /// done.
    pub(super) fn undo_partial(&mut self, cx: &mut Ctx<'_>, news: &News, before: Seq) -> bool {
        if self.rec.undo.marker.is_none() || !self.was_only_late(news) {
            return false;
        }
        if self.sack {
            self.saw_reordering(before);
        } else {
            self.rec.reordered = self.rec.reordered.saturating_add(1);
        }
        // Copies are in flight: wait for what they say.
        if self.rec.board.resent > 0 {
            return true;
        }
        if !self.rec.board.has_copies() {
            self.rec.undo.first_copy = None;
        }
        self.undo_reduction(cx, true, "undone");
        self.keep_open();
        false
    }

    /// The peer reported all copies as duplicates.
    pub(super) fn undo_by_duplicates(&mut self, cx: &mut Ctx<'_>) -> bool {
        if self.rec.undo.marker.is_none() || !self.rec.undo.all_needless() {
            return false;
        }
        self.rec.rack.recovery_undone();
        self.undo_reduction(cx, false, "undone by duplicates");
        true
    }

    /// The time-out was spurious; `certain` when RFC 5682 says so.
    pub(super) fn undo_loss(&mut self, cx: &mut Ctx<'_>, news: &News, certain: bool) -> bool {
        if !certain && !self.may_undo(news) {
            return false;
        }
        self.undo_reduction(cx, true, "spurious timeout");
        self.retries = 0;
        if self.keeps_closed() {
            return true;
        }
        if certain || self.sack {
            self.rec.state = CaState::Open;
        }
        true
    }

    fn keeps_closed(&mut self) -> bool {
        if self.sack || self.snd.una != self.rec.high {
            return false;
        }
        if !self.rec.board.has_copies() {
            self.rec.undo.first_copy = None;
        }
        true
    }
}
