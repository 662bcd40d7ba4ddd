//! Loss recovery: what is lost, when that is certain enough, and how much may be sent meanwhile.
//!
//! Theory of operation. Every segment in flight has a record on a [`board`]. An acknowledgement
//! first updates the board (`incoming`: what is delivered, by the cumulative acknowledgement or by
//! SACK, RFC 2018 and RFC 6675); then it is judged (`alert`): loss detection marks segments as
//! lost, and the connection moves between the five states of [`CaState`]; then the window grows or
//! is reduced (`prr`); then `segment_out` sends what the window allows, lost segments first.
//!
//! Loss is detected by time ([`rack`]: RFC 8985; reordering is tolerated for a part of a round
//! trip, more of it when duplicates show that it was too short), without SACK by three duplicate
//! acknowledgements (`plain`: RFC 6582), at the end of a flight by a probe (`probe`: RFC 8985 §7),
//! and in the end by the retransmission timer (`loss`: RFC 6298), whose mistakes are noticed
//! (RFC 5682). A reduction that was a mistake is taken back (`undo`: RFC 3522, RFC 3708).
//!
//! The structure follows what Linux does, because its behaviour is what the world's networks are
//! tuned to; where an RFC and Linux differ, `docs/tcp.md` says so. Left out: forward RTO recovery
//! for sockets without SACK beyond the basic algorithm, and MTU probing.

mod alert;
pub(crate) mod board;
mod incoming;
mod loss;
mod plain;
mod probe;
mod prr;
pub(crate) mod rack;
mod undo;

use netarium_base::{Ctx, Duration, Instant};

use self::board::{Board, Record, mark};
use self::prr::Prr;
use self::rack::Rack;
use self::undo::Undo;
use super::config::TcpConfig;
use super::congestion::{Burst, Change};
use super::connection::Connection;
use super::info::CaState;
use super::seq::Seq;
use super::timers::Timer;

pub(crate) use self::incoming::News;
pub(crate) use self::probe::Probe;

/// What may be sent again until the next acknowledgement or timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Resending {
    /// Nothing.
    #[default]
    Nothing,
    /// Lost segments, as far as the window allows.
    Lost,
    /// New data first, to see whether the time-out was spurious (RFC 5682 §2.1 step 2b); lost
    /// segments only when there is none.
    NewFirst,
}

/// Loss recovery of one connection.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) board: Board,
    pub(crate) state: CaState,
    pub(crate) resending: Resending,
    /// What had been sent when the present state was entered: it is left when this is
    /// acknowledged.
    pub(crate) high: Seq,
    pub(crate) rack: Rack,
    pub(crate) probe: Option<Probe>,
    pub(crate) undo: Undo,
    prr: Prr,
    /// Without SACK: this recovery has seen a partial acknowledgement.
    partial: bool,
    /// The time-out may have been spurious (RFC 5682).
    frto: bool,
    /// The distance, in segments, that reordering moves segments.
    pub(crate) reordering: u32,
    /// How often reordering was seen.
    pub(crate) reordered: u32,
    /// Segments delivered since the connection began; wraps.
    pub(crate) delivered: u32,
    /// Of these, delivered with a congestion mark.
    pub(crate) delivered_ce: u32,
    /// Segments taken for lost since the connection began; wraps.
    lost: u32,
    /// Duplicates that the peer reported.
    pub(crate) duplicates: u32,
    /// New segments sent since the last look at the window.
    burst: u32,
}

impl Recovery {
    pub(crate) fn new(config: &TcpConfig, start: Seq) -> Recovery {
        Recovery {
            board: Board::default(),
            state: CaState::Open,
            resending: Resending::Nothing,
            high: start,
            rack: Rack::default(),
            probe: None,
            undo: Undo::default(),
            prr: Prr::default(),
            partial: false,
            frto: false,
            reordering: config.reordering,
            reordered: 0,
            delivered: 0,
            delivered_ce: 0,
            lost: 0,
            duplicates: 0,
            burst: 0,
        }
    }

    /// Whether the window is being reduced, step by step.
    pub(crate) fn is_reducing(&self) -> bool {
        matches!(self.state, CaState::Cwr | CaState::Recovery)
    }
}

impl Connection {
    /// The congestion window in bytes, for what counts in bytes.
    pub(crate) fn cwnd_bytes(&self) -> u32 {
        self.cc.window.cwnd.saturating_mul(self.snd.mss)
    }

    /// Segments that the congestion window lets out now.
    pub(crate) fn cwnd_room(&self) -> u32 {
        self.cc.window.cwnd.saturating_sub(self.rec.board.in_flight())
    }

    /// A new segment of `start` to `end` goes out.
    pub(crate) fn on_sent_new(&mut self, cx: &mut Ctx<'_>, start: Seq, end: Seq) {
        let first = self.rec.board.is_empty();
        if self.rec.board.in_flight() == 0 {
            let idle = cx.now.since(self.snd.last);
            self.cc.algorithm.on_change(Change::Resumed(idle), cx.now);
        }
        self.rec.board.push(start, end, cx.now, self.rec.delivered);
        self.rec.burst += 1;
        if self.rec.is_reducing() {
            self.rec.prr.sent();
        }
        if first || self.timers.due(Timer::LossProbe).is_some() || !self.timers.is_watched() {
            self.rearm_rto(cx);
        }
    }

    /// A segment of `start` to `end` goes out again; when it was last sent.
    pub(crate) fn on_sent_again(
        &mut self,
        cx: &mut Ctx<'_>,
        (start, end): (Seq, Seq),
        probe: bool,
    ) -> Instant {
        let is_head = self.rec.board.head().is_some_and(|h| h.start.at_or_before(start));
        let delivered = self.rec.delivered;
        let since = self.rec.board.resend(start, end, (cx.now, delivered), probe);
        let since = since.unwrap_or(self.snd.last);
        if probe {
            return since;
        }
        self.rec.undo.sent_again(cx.now);
        if self.rec.is_reducing() {
            self.rec.prr.sent();
        }
        let reordering = self.timers.due(Timer::Reorder).is_some();
        let steady = is_head && !reordering && !self.is_impatient();
        if steady || !self.timers.is_watched() {
            let due = cx.now + self.retry_wait(cx.now);
            self.timers.watch(Timer::Retransmit, due, cx.cause);
        }
        since
    }

    /// Everything that may go out now went out: was the window the limit (RFC 7661), and what
    /// watches over the end of the flight.
    pub(crate) fn end_burst(&mut self, cx: &mut Ctx<'_>, more: bool) {
        let sent = std::mem::take(&mut self.rec.burst);
        let limited = self.cwnd_room() == 0;
        if sent == 0 && !(more && limited) {
            return;
        }
        let burst = Burst {
            now: cx.now,
            una: self.snd.una,
            nxt: self.snd.nxt,
            out: self.rec.board.len(),
            limited,
            by_program: self.rec.state == CaState::Open && self.send_room() > 0,
            shrink: self.config.slow_start_after_idle,
            rto: self.rtt.rto(),
            initial: self.config.initial_window,
        };
        if self.cc.window.validate(&burst) {
            self.tell_congestion(cx, "unused");
        }
        if sent > 0 && self.rec.probe.is_none_or(|p| p.end != self.snd.nxt) {
            self.schedule_probe(cx, false);
        }
    }

    /// When the oldest segment has waited for a time-out since it was last sent.
    fn rto_due(&self) -> Option<Instant> {
        self.rec.board.head().map(|r| r.sent + self.rtt.rto())
    }

    /// The retransmission timer watches again (RFC 6298 §5.1 to §5.3).
    pub(crate) fn rearm_rto(&mut self, cx: &mut Ctx<'_>) {
        let Some(oldest) = self.rto_due() else { return self.timers.cancel_watch() };
        let instead = [Timer::LossProbe, Timer::Reorder];
        // What ran instead of it took its time; at least a millisecond is left.
        let due = if instead.into_iter().any(|t| self.timers.due(t).is_some()) {
            oldest.max(cx.now + Duration::from_millis(1))
        } else {
            cx.now + self.rtt.rto()
        };
        self.timers.watch(Timer::Retransmit, due, cx.cause);
    }

    /// After progress: a probe if one is due before the time-out, else the time-out.
    pub(crate) fn rearm_after_progress(&mut self, cx: &mut Ctx<'_>) {
        if !self.schedule_probe(cx, true) {
            self.timers.cancel(Timer::LossProbe);
            self.rearm_rto(cx);
        }
    }

    /// Restart after idle (RFC 5681 §4.1).
    pub(crate) fn restart_after_idle(&mut self, cx: &mut Ctx<'_>) {
        let idle = cx.now.since(self.snd.last);
        let rto = self.rtt.rto();
        if !self.config.slow_start_after_idle || !self.rec.board.is_empty() || idle <= rto {
            return;
        }
        let before = self.cc.window;
        self.cc.window.restart(idle, rto, self.config.initial_window, cx.now);
        self.snd.last = cx.now;
        if self.cc.window.cwnd != before.cwnd {
            self.tell_congestion(cx, "idle");
        }
    }

    /// The path takes only smaller segments than some of those in flight: they are sent again at
    /// once, cut to size, and that says nothing of congestion (RFC 1191 §6.5 as Linux does it).
    pub(crate) fn on_smaller_mss(&mut self, cx: &mut Ctx<'_>) {
        let marked = self.rec.board.mark_oversized(self.snd.mss);
        if marked == 0 {
            return;
        }
        self.rec.lost = self.rec.lost.wrapping_add(marked);
        if !self.sack {
            self.limit_plain();
        }
        if self.rec.state != CaState::Loss {
            self.rec.high = self.snd.nxt;
            self.cc.window.ssthresh = self.cc.window.current_ssthresh(self.rec.is_reducing());
            self.rec.undo.forget();
            self.rec.state = CaState::Loss;
        }
        self.rec.frto = false;
        self.rec.resending = Resending::Lost;
        self.tell_congestion(cx, "path MTU");
    }

    /// Whether the copy's original, not the copy, was acknowledged: the echoed timestamp is older
    /// than the copy (RFC 3522).
    fn is_spurious_copy(&self, r: &Record, echo: Option<u32>) -> bool {
        r.is(mark::COPIED) && self.echo_is_before(echo, r.sent)
    }

    /// Whether an echoed timestamp is older than what was sent at `t`.
    fn echo_is_before(&self, echo: Option<u32>, t: Instant) -> bool {
        echo.is_some_and(|e| (self.timestamp(t).wrapping_sub(e) as i32) > 0)
    }
}
