//! After a retransmission time-out (RFC 5681 §3.1), and whether it was spurious (F-RTO, RFC 5682
//! with SACK, appendix of §3.1 as Linux does it).

use netarium_base::Ctx;

use super::{News, Resending};
use crate::tcp::congestion::Change;
use crate::tcp::connection::Connection;
use crate::tcp::info::CaState;
use netarium_base::Duration;

impl Connection {
    /// The time-out: everything not SACKed is lost, one segment goes out. `again` when it is not
    /// the first time-out of this data.
    pub(crate) fn enter_loss(&mut self, cx: &mut Ctx<'_>, again: bool) {
        let fresh = self.rec.state < CaState::Recovery;
        let (rack, now) = (self.rec.rack, cx.now);
        if !self.sack {
            self.reset_plain();
        }
        // What was sent just now is not lost yet.
        let by_time = self.sack && self.config.recovery;
        let spare = |r: &_| by_time && rack.left(r, Duration::ZERO, now).is_some();
        let marked = self.rec.board.mark_all_lost(spare);
        self.rec.lost = self.rec.lost.wrapping_add(marked);
        let state = self.rec.state;
        let due = state <= CaState::Disorder
            || self.rec.high.at_or_before(self.snd.una)
            || (state == CaState::Loss && !again);
        if due {
            self.rec.undo.ssthresh = self.cc.window.current_ssthresh(self.rec.is_reducing());
            self.rec.undo.cwnd = self.cc.window.cwnd;
            self.cc.window.ssthresh = self.cc.algorithm.reduced(&self.cc.window, cx.now);
            self.cc.algorithm.on_change(Change::TimedOut, cx.now);
            self.begin_undo();
        }
        self.cc.window.set(self.rec.board.in_flight() + 1, cx.now);
        self.cc.window.credit = 0;
        // So many duplicates, and still a time-out: reordering was overestimated.
        if state <= CaState::Disorder && self.rec.board.sacked >= self.config.reordering {
            self.rec.reordering = self.rec.reordering.min(self.config.reordering);
        }
        self.rec.state = CaState::Loss;
        self.rec.high = self.snd.nxt;
        self.rec.probe = None;
        self.ecn.queue_cwr();
        self.rec.frto = self.config.frto && (fresh || again);
        self.rec.resending = Resending::Lost;
        self.tell_congestion(cx, "timeout");
    }

    /// An acknowledgement after a time-out.
    pub(super) fn process_loss(&mut self, cx: &mut Ctx<'_>, news: &News, duplicates: u32) {
        let recovered = self.snd.una.at_or_after(self.rec.high);
        if news.advanced && self.undo_loss(cx, news, false) {
            return;
        }
        let sent_new = self.snd.nxt.after(self.rec.high);
        if self.rec.frto {
            // RFC 5682 §3.1 step 3b: what was sent once before the time-out arrived after it.
            if news.original && self.undo_loss(cx, news, true) {
                return;
            }
            if sent_new {
                if news.sacked || duplicates > 0 {
                    self.rec.frto = false;
                }
            } else if news.advanced && !recovered {
                self.rec.high = self.snd.nxt;
                // Step 2b: new data, if there is any, shows more than copies.
                if self.has_new_to_send() {
                    self.rec.resending = Resending::NewFirst;
                    return;
                }
                self.rec.frto = false;
            }
        }
        if recovered {
            self.undo_whole(cx, news);
            return;
        }
        if !self.sack {
            if self.snd.nxt.after(self.rec.high) && duplicates > 0 {
                self.add_plain(duplicates);
            } else if news.advanced {
                self.reset_plain();
            }
        }
        self.rec.resending = Resending::Lost;
    }

    fn has_new_to_send(&self) -> bool {
        let unsent = self.data_end().ahead_of(self.snd.nxt) > 0;
        unsent && (self.snd.una + self.snd.wnd).after(self.snd.nxt)
    }

    /// New data that was preferred went out, or there was none: whether lost segments may follow.
    pub(crate) fn after_new_first(&mut self) -> bool {
        if self.snd.nxt.after(self.rec.high) {
            self.rec.resending = Resending::Nothing;
            return false;
        }
        self.rec.frto = false;
        self.rec.resending = Resending::Lost;
        true
    }
}
