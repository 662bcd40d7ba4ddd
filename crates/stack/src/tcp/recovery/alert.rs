//! From an acknowledgement to the state of recovery and the window: the state machine of RFC 6582,
//! RFC 6675, RFC 8985 and RFC 3168 as Linux runs it.

use netarium_base::Ctx;

use super::{News, Resending};
use crate::tcp::congestion::Ack;
use crate::tcp::connection::Connection;
use crate::tcp::info::CaState;
use crate::tcp::seq::Seq;

impl News {
    /// Whether something else than a loss explains the acknowledgement.
    pub(super) fn is_no_duplicate(&self) -> bool {
        self.has_data || self.window_update || self.acked > 0
    }

    fn is_alarming(&self) -> bool {
        self.sacked || self.ece || self.duplicate
    }
}

/// The counters before an acknowledgement was processed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    delivered: u32,
    lost: u32,
    in_flight: u32,
    una: Seq,
}

impl Connection {
    /// What the next acknowledgement is compared with.
    pub(crate) fn before_ack(&mut self) -> Before {
        self.rec.resending = Resending::Nothing;
        Before {
            delivered: self.rec.delivered,
            lost: self.rec.lost,
            in_flight: self.rec.board.in_flight(),
            una: self.snd.una,
        }
    }

    /// Draws the conclusions from an acknowledgement whose news the board has taken in.
    /// `outstanding`: something was in flight before it.
    pub(crate) fn conclude_ack(
        &mut self,
        cx: &mut Ctx<'_>,
        news: &mut News,
        (before, outstanding): (Before, bool),
    ) {
        self.tell_algorithm(cx, news, before);
        self.adapt_reordering(news);
        if self.rec.probe.is_some() {
            self.take_probe_answer(cx, self.snd.una, news);
        }
        let calm = self.rec.state == CaState::Open;
        if outstanding && (!news.is_no_duplicate() || news.is_alarming() || !calm) {
            let expected = news.advanced || news.is_no_duplicate() || news.duplicate;
            self.alert(cx, news, u32::from(!expected), before.una);
        } else if news.duplicate {
            self.alert(cx, news, 0, before.una);
        }
        if news.rearm {
            self.rearm_after_progress(cx);
        }
        self.move_window(cx, news, before);
    }

    /// An acknowledgement older than SND.UNA that still carried SACK blocks: what they say makes
    /// room, or takes a reduction back.
    pub(crate) fn conclude_old_ack(&mut self, cx: &mut Ctx<'_>, news: &mut News, before: Before) {
        self.alert(cx, news, 0, before.una);
    }

    fn ack_for(&self, cx: &Ctx<'_>, news: &News, before: Before) -> Ack {
        Ack {
            now: cx.now,
            acked: self.rec.delivered.wrapping_sub(before.delivered),
            delivered: self.rec.delivered,
            in_flight: before.in_flight,
            rtt: news.rtt,
            srtt: self.rtt.srtt(),
            una: self.snd.una,
            nxt: self.snd.nxt,
        }
    }

    fn tell_algorithm(&mut self, cx: &mut Ctx<'_>, news: &News, before: Before) {
        if news.rtt.is_none() {
            return;
        }
        let ack = self.ack_for(cx, news, before);
        if let Some(reason) = self.cc.algorithm.measured(&mut self.cc.window, &ack) {
            self.tell_congestion(cx, reason);
        }
    }

    /// Grows or reduces the window.
    fn move_window(&mut self, cx: &mut Ctx<'_>, news: &News, before: Before) {
        let newly = self.rec.delivered.wrapping_sub(before.delivered);
        let lost = self.rec.lost.wrapping_sub(before.lost);
        if news.ece {
            self.rec.delivered_ce = self.rec.delivered_ce.wrapping_add(newly);
        }
        if self.rec.is_reducing() {
            return self.reduce(cx, (newly, lost, news.advanced));
        }
        // Where much is reordered, any delivery counts; else only delivery in order (RFC 5681).
        let reordering = self.rec.reordering > self.config.reordering;
        if newly == 0 || !(news.acked > 0 || (reordering && news.sacked)) {
            return;
        }
        let ack = self.ack_for(cx, news, before);
        let grown = self.cc.algorithm.grow(&mut self.cc.window, &ack);
        self.cc.window.set(self.cc.window.cwnd, cx.now);
        if let Some(reason) = grown {
            self.tell_congestion(cx, reason);
        }
    }

    /// Judges what is suspicious.
    fn alert(&mut self, cx: &mut Ctx<'_>, news: &mut News, duplicates: u32, before: Seq) {
        if news.ece {
            self.rec.undo.ssthresh = 0;
        }
        if self.check_reneging(cx, news) || self.leave_state(cx, news) {
            return;
        }
        self.rec.resending = Resending::Lost;
        match self.rec.state {
            CaState::Recovery => {
                self.note_partial(news);
                if !news.advanced {
                    if !self.sack {
                        self.add_plain(duplicates);
                    }
                } else if self.undo_partial(cx, news, before) {
                    self.rec.resending = Resending::Nothing;
                    return;
                }
                if self.undo_by_duplicates(cx) {
                    self.try_to_open(cx, news);
                }
                self.detect(cx, news);
                if self.rec.state != CaState::Recovery && self.rec.board.lost > 0 {
                    self.enter_recovery(cx, news.ece);
                }
            }
            CaState::Loss => {
                self.rec.resending = Resending::Nothing;
                self.process_loss(cx, news, duplicates);
                self.detect(cx, news);
                if self.rec.state == CaState::Open || news.lost_copy {
                    self.alert_calm(cx, news, duplicates);
                }
            }
            _ => self.alert_calm(cx, news, duplicates),
        }
    }

    /// In Open, Disorder and CWR: is it time to recover?
    fn alert_calm(&mut self, cx: &mut Ctx<'_>, news: &mut News, duplicates: u32) {
        if !self.sack {
            if news.advanced {
                self.reset_plain();
            }
            self.add_plain(duplicates);
        }
        if self.rec.state <= CaState::Disorder {
            self.undo_by_duplicates(cx);
        }
        self.detect(cx, news);
        if self.rec.board.lost == 0 {
            self.try_to_open(cx, news);
        } else {
            self.enter_recovery(cx, news.ece);
            self.rec.resending = Resending::Lost;
        }
    }

    /// States end when what had been sent at their beginning is acknowledged. Whether nothing
    /// more is to be done.
    fn leave_state(&mut self, cx: &mut Ctx<'_>, news: &News) -> bool {
        match self.rec.state {
            CaState::Open => self.rec.undo.first_copy = None,
            _ if self.snd.una.before(self.rec.high) => {}
            // Only an acknowledgement above shows that the peer got our CWR.
            CaState::Cwr if self.snd.una != self.rec.high => {
                self.end_reduction(cx, "reduced");
                self.rec.state = CaState::Open;
            }
            CaState::Recovery => {
                if !self.sack {
                    self.reset_plain();
                }
                if self.undo_whole(cx, news) {
                    return true;
                }
                self.end_reduction(cx, "recovered");
            }
            _ => {}
        }
        false
    }

    /// RFC 2018 §8: the peer discarded what it had SACKed. The timer decides, soon.
    fn check_reneging(&mut self, cx: &mut Ctx<'_>, news: &mut News) -> bool {
        if !news.reneging {
            return false;
        }
        use crate::tcp::timers::Timer;
        use netarium_base::Duration;
        let half = self.rtt.srtt().unwrap_or(Duration::ZERO) / 2;
        let due = cx.now + half.max(Duration::from_millis(10));
        self.timers.watch(Timer::Retransmit, due, cx.cause);
        news.rearm = false;
        true
    }

    fn detect(&mut self, cx: &mut Ctx<'_>, news: &mut News) {
        if self.rec.board.is_empty() {
            return;
        }
        if !self.sack {
            self.detect_by_count(cx, news.advanced);
            return;
        }
        let copies = self.rec.board.resent;
        if self.detect_by_time(cx) {
            news.rearm = false;
        }
        news.lost_copy |= self.rec.board.resent < copies;
    }

    fn try_to_open(&mut self, cx: &mut Ctx<'_>, news: &News) {
        if !self.rec.board.has_copies() {
            self.rec.undo.first_copy = None;
        }
        if news.ece {
            self.enter_cwr(cx);
        }
        if self.rec.state != CaState::Cwr {
            self.keep_open();
        }
    }

    /// Open, or Disorder while something is SACKed or a copy is out.
    pub(super) fn keep_open(&mut self) {
        let disorder = self.rec.board.left_out() > 0 || self.rec.board.has_copies();
        let state = if disorder { CaState::Disorder } else { CaState::Open };
        if self.rec.state != state {
            self.rec.state = state;
            self.rec.high = self.snd.nxt;
        }
    }

    pub(super) fn begin_undo(&mut self) {
        let probe = self.rec.probe.is_some_and(|p| p.copy);
        let copies = self.rec.board.resent + u32::from(probe);
        self.rec.undo.begin(self.snd.una, copies);
    }

    /// Something is lost: fast recovery (RFC 6675 §5).
    pub(super) fn enter_recovery(&mut self, cx: &mut Ctx<'_>, ece: bool) {
        self.rec.undo.ssthresh = 0;
        self.begin_undo();
        if !self.rec.is_reducing() {
            if !ece {
                self.rec.undo.ssthresh = self.cc.window.current_ssthresh(false);
            }
            self.begin_reduction(cx);
        }
        self.rec.state = CaState::Recovery;
        self.rec.partial = false;
        self.tell_congestion(cx, "fast retransmit");
    }

    /// A congestion mark: the window is reduced once per round trip (RFC 3168 §6.1.2).
    fn enter_cwr(&mut self, cx: &mut Ctx<'_>) {
        self.rec.undo.ssthresh = 0;
        if self.rec.state >= CaState::Cwr {
            return;
        }
        self.rec.undo.marker = None;
        self.begin_reduction(cx);
        self.rec.state = CaState::Cwr;
        self.tell_congestion(cx, "ECN echo");
    }

    pub(super) fn begin_reduction(&mut self, cx: &mut Ctx<'_>) {
        self.rec.high = self.snd.nxt;
        self.rec.probe = None;
        self.cc.window.credit = 0;
        self.rec.undo.cwnd = self.cc.window.cwnd;
        self.rec.prr.begin(self.cc.window.cwnd);
        self.cc.window.ssthresh = self.cc.algorithm.reduced(&self.cc.window, cx.now);
        self.ecn.queue_cwr();
    }

    /// The next step of a reduction.
    pub(super) fn reduce(&mut self, cx: &mut Ctx<'_>, what: (u32, u32, bool)) {
        let in_flight = self.rec.board.in_flight();
        let before = self.cc.window.cwnd;
        if let Some(cwnd) = self.rec.prr.window(self.cc.window.ssthresh, in_flight, what) {
            self.cc.window.set(cwnd, cx.now);
            if cwnd != before {
                self.tell_congestion(cx, "prr");
            }
        }
    }

    pub(super) fn end_reduction(&mut self, cx: &mut Ctx<'_>, reason: &'static str) {
        let held = self.rec.state == CaState::Cwr || self.rec.undo.marker.is_some();
        let room = if self.sack { u32::MAX } else { self.rec.board.in_flight().max(1) + 1 };
        let w = &mut self.cc.window;
        if w.ssthresh < crate::tcp::congestion::INFINITE && held {
            // RFC 6582 §3.2 step 3, option 1: without SACK the last repair may acknowledge all that
            // was in flight, and the whole window at once would be a burst that loses as much again.
            w.set(w.ssthresh.min(room), cx.now);
        }
        self.tell_congestion(cx, reason);
    }
}
