//! RFC 9293 §3.10.7.4, steps one to four: is the segment acceptable, does it reset, is it a SYN.
//! With RFC 7323 §5 (PAWS) before and RFC 5961 §3 and §4 between them, as Linux orders them.

use netarium_base::{Ctx, DropReason, Duration, Instant};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::errno::Errno;
use crate::tcp::connection::{Connection, Timestamps};
use crate::tcp::seq::Seq;
use crate::tcp::state::{State, Trigger};

/// RFC 7323 §5.5: how long a timestamp of a clock of 1 ms can be compared with.
const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

impl Timestamps {
    /// Whether `val` is older than the last by more than `tolerance` milliseconds (RFC 7323 §5.3).
    pub(crate) fn is_old(&self, now: Instant, val: u32, tolerance: i32) -> bool {
        // RFC 7323 §5.5: after an idle time of half the clock's circle nothing can be told. And as
        // on Linux: a peer whose SYN carried 0 may not have begun to count.
        let comparable = now.since(self.recent_at) < TIMESTAMP_LIFETIME && self.recent != 0;
        comparable && (self.recent.wrapping_sub(val) as i32) > tolerance
    }
}

impl Connection {
    /// Steps one to four. `Some` when the segment goes no further.
    pub(crate) fn check_acceptable(
        &mut self,
        cx: &mut Ctx<'_>,
        seg: &SegmentIn,
    ) -> Option<Outcome> {
        // RFC 7323 §5.3 R1: PAWS first; a reset is looked at in any case.
        if self.is_old_timestamp(cx.now, seg) && !seg.has(TcpFlags::RST) {
            if seg.has(TcpFlags::SYN) {
                return Some(self.challenge_syn(cx.now));
            }
            let pure_ack = seg.has(TcpFlags::ACK) && seg.is_empty();
            if pure_ack && seg.seq.before(self.rcv.nxt) {
                // It was overtaken by data: common, and as on Linux nothing to answer.
                return Some(Outcome::Dropped(DropReason::OldTimestamp));
            }
            if !self.is_disordered_ack(seg) {
                self.answer_unacceptable(cx.now, "old timestamp", seg);
                return Some(Outcome::Dropped(DropReason::OldTimestamp));
            }
        }
        if !self.is_in_window(seg) {
            return Some(self.take_outside(cx, seg));
        }
        if seg.has(TcpFlags::RST) {
            return Some(self.take_reset(cx, seg));
        }
        if seg.has(TcpFlags::SYN) && !self.completes_crossing_syns(seg) {
            return Some(self.challenge_syn(cx.now));
        }
        None
    }

    /// RFC 9293 §3.5, figure 8: the SYN+ACK that answers ours when two SYNs crossed. Its SYN is known,
    /// its ACK counts.
    pub(crate) fn completes_crossing_syns(&self, seg: &SegmentIn) -> bool {
        self.state == State::SynReceived
            && seg.flags.contains(TcpFlags::SYN | TcpFlags::ACK)
            && seg.len() == 1
            && seg.seq + 1 == self.rcv.nxt
            && seg.ack == self.snd.nxt
    }

    fn take_outside(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) -> Outcome {
        if seg.has(TcpFlags::RST) {
            if self.is_below_fin(seg) {
                return self.reset(cx);
            }
        } else if seg.has(TcpFlags::SYN) {
            return self.challenge_syn(cx.now);
        } else {
            self.answer_unacceptable(cx.now, "outside the window", seg);
        }
        Outcome::Dropped(DropReason::OutsideWindow)
    }

    /// RFC 5961 §4.2: a SYN is answered by a challenge, whatever its sequence number.
    fn challenge_syn(&mut self, now: Instant) -> Outcome {
        self.challenge(now, "unexpected SYN");
        Outcome::Dropped(DropReason::NotAcceptable)
    }

    fn is_old_timestamp(&self, now: Instant, seg: &SegmentIn) -> bool {
        match (self.timestamps, seg.options.timestamps) {
            (Some(ts), Some((val, _))) => ts.is_old(now, val, 1),
            _ => false,
        }
    }

    /// A pure duplicate acknowledgement that was overtaken by later segments: it does no harm, and
    /// loss recovery counts it (Linux lets it pass within a retransmission time-out).
    fn is_disordered_ack(&self, seg: &SegmentIn) -> bool {
        let (Some(ts), Some((val, _))) = (self.timestamps, seg.options.timestamps) else {
            return false;
        };
        seg.has(TcpFlags::ACK)
            && seg.is_empty()
            && seg.seq == self.rcv.nxt
            && seg.ack == self.snd.una
            && !self.may_move_window(seg)
            && i64::from(ts.recent.wrapping_sub(val)) <= self.rtt.rto().as_millis() as i64
    }

    /// RFC 9293 §3.4, with the two mercies of Linux: what ends at or behind the last acknowledgement
    /// sent is looked at for its own acknowledgement, and so is what begins at the very right edge,
    /// where a peer that filled the window sends its pure ACKs from.
    fn is_in_window(&self, seg: &SegmentIn) -> bool {
        let end = seg.seq + seg.len();
        end.at_or_after(self.rcv.wup) && seg.seq.at_or_before(self.rcv.adv.max(self.rcv.nxt))
    }

    /// An acknowledgement for what cannot be accepted. For segments without data it is limited,
    /// so that two confused ends do not answer each other for ever (RFC 5961 §7).
    fn answer_unacceptable(&mut self, now: Instant, reason: &'static str, seg: &SegmentIn) {
        if seg.is_empty() {
            self.answer_limited(now, reason);
            return;
        }
        if seg.seq.before(self.rcv.nxt) {
            // An acknowledgement of ours was lost.
            self.enter_quick_mode();
            self.report_duplicate(seg.seq, (seg.seq + seg.len()).min(self.rcv.nxt));
        }
        self.want.ack = Some(reason);
    }

    /// RFC 2883 §4: tells the peer what it sent twice.
    pub(crate) fn report_duplicate(&mut self, from: Seq, to: Seq) {
        if self.sack && self.config.dsack && from.before(to) {
            self.ooo.report_duplicate((from, to));
        }
    }

    /// An acknowledgement for a segment after the end; for one without data it is limited.
    pub(crate) fn answer_stray(&mut self, now: Instant, reason: &'static str, seg: &SegmentIn) {
        if seg.is_empty() || seg.has(TcpFlags::SYN) {
            self.answer_limited(now, reason);
        } else {
            self.want.ack = Some(reason);
        }
    }

    /// An acknowledgement unless one was sent for such a reason within `invalid_ratelimit`.
    fn answer_limited(&mut self, now: Instant, reason: &'static str) -> bool {
        let interval = self.config.invalid_ratelimit;
        let allowed = self.challenged.is_none_or(|t| now.since(t) >= interval);
        if allowed {
            self.challenged = Some(now);
            self.want.ack = Some(reason);
        }
        allowed
    }

    /// A challenge ACK (RFC 5961 §7), as far as the limits of the connection and the host (§10)
    /// allow.
    pub(crate) fn challenge(&mut self, now: Instant, reason: &'static str) {
        if self.answer_limited(now, reason) {
            self.want.challenge = true;
        }
    }

    /// RFC 5961 §3.2: only a RST exactly at RCV.NXT is believed, or, as on Linux, one behind
    /// everything that SACK reported; others in the window are challenged.
    fn take_reset(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) -> Outcome {
        let at_edge = self.sack && self.ooo.right_edge() == Some(seg.seq);
        if seg.seq == self.rcv.nxt || at_edge || self.is_below_fin(seg) {
            return self.reset(cx);
        }
        self.challenge(cx.now, "RST inside the window");
        Outcome::Dropped(DropReason::NotAcceptable)
    }

    /// A RST one below RCV.NXT comes from peers that do not count their own FIN.
    fn is_below_fin(&self, seg: &SegmentIn) -> bool {
        let closing = matches!(self.state, State::CloseWait | State::LastAck | State::Closing);
        closing && seg.seq == self.rcv.nxt - 1
    }

    fn reset(&mut self, cx: &mut Ctx<'_>) -> Outcome {
        let error = match self.state {
            State::CloseWait => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        };
        self.fail(cx, Trigger::Reset, error);
        if self.orphan {
            self.error = None;
        }
        Outcome::Taken
    }

    /// RFC 7323 §4.3.
    pub(crate) fn update_timestamp(&mut self, now: Instant, seg: &SegmentIn) {
        let wup = self.rcv.wup;
        if let (Some(ts), Some((val, _))) = (&mut self.timestamps, seg.options.timestamps)
            && seg.seq.at_or_before(wup)
            && !ts.is_old(now, val, 0)
        {
            ts.recent = val;
            ts.recent_at = now;
        }
    }
}
