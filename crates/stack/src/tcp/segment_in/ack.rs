//! RFC 9293 §3.10.7.4, step five: the acknowledgement; with it the window, round-trip samples and
//! loss recovery (RFC 5681, RFC 6582).

use netarium_base::{Ctx, DropReason, Duration, Event, Instant};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::tcp::congestion::Ack;
use crate::tcp::connection::{Connection, Phase, Resend};
use crate::tcp::state::{State, Trigger};
use crate::tcp::timers::Timer;
use crate::types::Readiness;

/// RFC 5681 §3.2: this many duplicates mean loss.
const DUPLICATES: u32 = 3;

impl Connection {
    /// `Some` when the segment goes no further.
    pub(crate) fn take_ack(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) -> Option<Outcome> {
        if !seg.has(TcpFlags::ACK) {
            return Some(Outcome::Dropped(DropReason::NotAcceptable));
        }
        if self.state == State::SynReceived {
            if seg.ack.at_or_before(self.snd.una) || seg.ack.after(self.snd.nxt) {
                return Some(Outcome::Refused);
            }
            self.finish_passive_open(cx, seg);
        }
        // RFC 5961 §5.2: what acknowledges the unsent or the long gone is challenged.
        let oldest = self.snd.una - self.snd.max_wnd;
        if seg.ack.after(self.snd.nxt) || seg.ack.before(oldest) {
            self.challenge(cx.now, "unacceptable ACK");
            return Some(Outcome::Dropped(DropReason::NotAcceptable));
        }
        self.stats.last_ack_in = cx.now;
        if seg.ack.after(self.snd.una) {
            self.take_new_ack(cx, seg);
        } else if self.is_duplicate(seg) {
            self.take_duplicate(cx);
        }
        if self.state != State::Closed {
            self.update_send_window(cx, seg);
        }
        None
    }

    fn finish_passive_open(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        self.snd.una = self.snd.iss + 1;
        self.snd.syn_acked = true;
        self.finish_handshake(cx, seg);
        self.want.syn = None;
        self.snd.wnd = u32::from(seg.window) << self.snd.shift;
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
        self.snd.wl1 = seg.seq;
        self.snd.wl2 = seg.ack;
        self.transition(cx, Trigger::AckOfSyn);
    }

    /// Our SYN was acknowledged: its timer, and what its loss means for time-out and window.
    pub(crate) fn finish_handshake(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        self.sample_rtt(cx.now, seg);
        self.timers.cancel(Timer::Retransmit);
        if self.retries > 0 {
            self.rtt.after_lost_syn();
        }
        // RFC 5681 §3.1: after a lost SYN one segment; as Linux only from the second loss on,
        // since the first time-out of 1 s may just have been too short (RFC 6298 appendix A).
        if self.retries > 1 {
            self.cc.on_timeout(0, self.snd.mss, false);
        }
        self.retries = 0;
    }

    /// An RTT sample: exact from the timed segment; from the echoed timestamp when that segment
    /// was sent twice (RFC 7323 §4.1).
    pub(crate) fn sample_rtt(&mut self, now: Instant, seg: &SegmentIn) {
        match (self.timed, self.timestamps, seg.options.timestamps) {
            (Some((end, sent)), _, _) if seg.ack.at_or_after(end) => {
                self.rtt.sample(now.since(sent));
                self.timed = None;
            }
            (None, Some(_), Some((_, ecr))) if ecr != 0 && !self.answers_a_copy(now, ecr) => {
                let ms = self.timestamp(now).wrapping_sub(ecr);
                if ms < 600_000 {
                    self.rtt.sample(Duration::from_millis(ms.into()));
                }
            }
            _ => {}
        }
    }

    /// An old echo in an ACK that came long enough after a retransmission to be the answer to it:
    /// the first copy had arrived and its ACK was lost. RFC 7323 §5.3 lets the receiver echo the
    /// first copy's timestamp then, and the wait for our own timer would pass for a round trip.
    fn answers_a_copy(&self, now: Instant, ecr: u32) -> bool {
        let (Some(resent), Some(min)) = (self.resent, self.rtt.min()) else { return false };
        let older = (self.timestamp(resent).wrapping_sub(ecr) as i32) > 0;
        older && now.since(resent) >= min
    }

    fn take_new_ack(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        let in_flight = self.in_flight();
        self.sample_rtt(cx.now, seg);
        let acked = seg.ack.ahead_of(self.snd.una);
        let fin_acked = self.snd.fin.is_some_and(|f| seg.ack.after(f));
        let room_before = self.send_room();
        let syn_acked = !std::mem::replace(&mut self.snd.syn_acked, true);
        self.send.advance((acked - u32::from(fin_acked) - u32::from(syn_acked)) as usize);
        self.snd.una = seg.ack;
        self.stats.bytes_acked += u64::from(acked);
        self.retries = 0;
        if self.timestamps.is_some() {
            self.rtt.reset_backoff();
        }
        self.dup_acks = 0;
        self.take_ack_in_phase(cx, seg, acked, in_flight);
        // RFC 6298 §5.2 and §5.3.
        if self.snd.una == self.snd.nxt {
            self.timers.cancel(Timer::Retransmit);
        } else {
            self.timers.set(Timer::Retransmit, cx.now + self.rtt.rto(), cx.cause);
        }
        // As Linux: a writer is woken when a third of the buffer is free, not for each segment.
        let room = self.send_room();
        if room > room_before && (self.send.len() / 2 <= room || room_before == 0) {
            self.wake |= Readiness::WRITABLE;
        }
        if fin_acked {
            self.take_ack_of_fin(cx);
        }
    }

    /// What the acknowledgement means for the congestion window, by phase.
    fn take_ack_in_phase(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn, acked: u32, in_flight: u32) {
        let mss = self.snd.mss;
        match self.phase {
            Phase::Open => {
                // Keeps the comparison with `recover` meaningful across the wrap.
                self.recover = self.recover.max(seg.ack - 1);
                if let Some(reason) = self.cc.on_ack(Ack { acked, in_flight, mss }) {
                    self.tell_congestion(cx, reason);
                }
            }
            Phase::Recovery { recover } if seg.ack.before(recover) => {
                // RFC 6582 §3.2 step 3, partial acknowledgement: the next hole is lost too.
                self.cc.on_partial_ack(acked, mss);
                self.tell_congestion(cx, "partial ack");
                self.resend_first("fast");
            }
            Phase::Recovery { .. } => {
                self.cc.on_recovered(self.in_flight(), mss);
                self.phase = Phase::Open;
                self.resend = None;
                self.tell_congestion(cx, "recovered");
            }
            Phase::Loss { recover } => {
                if seg.ack.at_or_after(recover) {
                    self.phase = Phase::Open;
                    self.resend = None;
                }
                // In slow start what counts as in flight is what was sent again; RFC 3465 §2.3:
                // after a time-out the window grows by one segment at most.
                let (in_flight, acked) = (self.cc.cwnd(), acked.min(mss));
                if let Some(reason) = self.cc.on_ack(Ack { acked, in_flight, mss }) {
                    self.tell_congestion(cx, reason);
                }
            }
        }
    }

    fn take_ack_of_fin(&mut self, cx: &mut Ctx<'_>) {
        if let State::FinWait1 | State::Closing | State::LastAck = self.state {
            self.transition(cx, Trigger::AckOfFin);
        }
    }

    /// RFC 5681 §2: the five marks of a duplicate acknowledgement.
    fn is_duplicate(&self, seg: &SegmentIn) -> bool {
        seg.ack == self.snd.una
            && self.snd.una != self.snd.nxt
            && seg.is_empty()
            && u32::from(seg.window) << self.snd.shift == self.snd.wnd
    }

    fn take_duplicate(&mut self, cx: &mut Ctx<'_>) {
        let mss = self.snd.mss;
        self.dup_acks = self.dup_acks.saturating_add(1);
        match self.phase {
            // RFC 6582 §3.2 step 2: duplicates at `recover` may be echoes of what the last
            // recovery sent twice, no sign of a new loss.
            Phase::Open if self.dup_acks >= DUPLICATES && self.snd.una.after(self.recover) => {
                // What limited transmit sent beyond the window does not count (RFC 5681 §3.2).
                let in_flight = self.in_flight().min(self.cc.cwnd());
                self.cc.on_fast_retransmit(in_flight, mss);
                self.phase = Phase::Recovery { recover: self.snd.nxt };
                self.recover = self.snd.nxt;
                self.tell_congestion(cx, "fast retransmit");
                self.resend_first("fast");
            }
            Phase::Recovery { .. } => {
                self.cc.on_duplicate_in_recovery(mss);
                self.tell_congestion(cx, "duplicate ack");
            }
            _ => {}
        }
    }

    fn resend_first(&mut self, kind: &'static str) {
        let next = self.snd.una;
        let end = (next + self.snd.mss).min(self.snd.nxt);
        self.resend = Some(Resend { next, end, kind });
    }

    /// RFC 9293 §3.10.7.4: the window is taken from the newest segment only.
    fn update_send_window(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        let newer = self.snd.wl1.before(seg.seq)
            || (self.snd.wl1 == seg.seq && self.snd.wl2.at_or_before(seg.ack));
        if seg.ack.before(self.snd.una) || !newer {
            return;
        }
        let before = self.snd.wnd;
        self.snd.wnd = u32::from(seg.window) << self.snd.shift;
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
        self.snd.wl1 = seg.seq;
        self.snd.wl2 = seg.ack;
        let window = self.snd.wnd;
        if (before == 0) != (window == 0) {
            let reason = if window == 0 { "closed" } else { "opened" };
            cx.emit(self.setup.place, self.setup.flow, || Event::Window { window, reason });
        }
        if window >= self.snd.mss {
            self.timers.cancel(Timer::Persist);
        }
        if before == 0 && window > 0 {
            // What the probes backed off to must not delay the repair of a loss from now on. A
            // small window gets a fresh wait.
            self.timers.cancel(Timer::Persist);
            self.rtt.reset_backoff();
        }
        // Even if the window is still closed: the peer is alive (RFC 9293 MUST-36), also when it
        // shrank the window over data that is sent again and again.
        if before == 0 || window == 0 {
            self.retries = 0;
        }
    }
}
