//! RFC 9293 §3.10.7.4, steps one to four: is the segment acceptable, does it reset, is it a SYN.

use netarium_base::{Ctx, DropReason, Duration, Instant};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::errno::Errno;
use crate::tcp::connection::{Connection, Syn};
use crate::tcp::state::{State, Trigger};

/// RFC 5961 §10: at most one challenge ACK per connection in this time, as Linux limits them.
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(500);

/// RFC 7323 §5.5: how long a timestamp of a clock of 1 ms can be compared with.
const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);

impl Connection {
    /// Step one: the sequence number, after PAWS (RFC 7323 §5.3). `Some` when the segment goes no
    /// further.
    pub(crate) fn check_acceptable(
        &mut self,
        cx: &mut Ctx<'_>,
        seg: &SegmentIn,
    ) -> Option<Outcome> {
        if self.is_repeated_syn(seg) {
            self.want.syn = Some(Syn::Again("syn"));
            return Some(Outcome::Dropped(DropReason::NotAcceptable));
        }
        if self.is_old_timestamp(cx.now, seg) {
            self.answer_unacceptable(cx.now, "old timestamp", seg);
            return Some(Outcome::Dropped(DropReason::OldTimestamp));
        }
        if self.is_in_window(seg) {
            return None;
        }
        if !seg.has(TcpFlags::RST) {
            self.answer_unacceptable(cx.now, "outside the window", seg);
        }
        if self.state == State::TimeWait && seg.has(TcpFlags::FIN) {
            self.restart_time_wait(cx);
        }
        Some(Outcome::Dropped(DropReason::OutsideWindow))
    }

    /// The peer did not get our SYN+ACK and sent its SYN again.
    fn is_repeated_syn(&self, seg: &SegmentIn) -> bool {
        self.state == State::SynReceived
            && seg.seq == self.rcv.irs
            && seg.has(TcpFlags::SYN)
            && !seg.has(TcpFlags::ACK)
            && !seg.has(TcpFlags::RST)
    }

    fn is_old_timestamp(&self, now: Instant, seg: &SegmentIn) -> bool {
        let (Some(ts), Some((val, _))) = (self.timestamps, seg.options.timestamps) else {
            return false;
        };
        // RFC 7323 §5.5: after an idle time of half the clock's circle nothing can be told.
        let comparable = now.since(ts.recent_at) < TIMESTAMP_LIFETIME;
        comparable && !seg.has(TcpFlags::RST) && (val.wrapping_sub(ts.recent) as i32) < 0
    }

    /// The four cases of RFC 9293 §3.4, table 6.
    fn is_in_window(&self, seg: &SegmentIn) -> bool {
        let (nxt, len) = (self.rcv.nxt, seg.len());
        let window = self.rcv.adv.ahead_of(nxt);
        let inside = |s| nxt.at_or_before(s) && s.before(nxt + window);
        match (len, window) {
            (0, 0) => seg.seq == nxt,
            // The right edge included, as Linux does: a peer that filled our window sends its
            // pure ACKs from there, and they count even while part of that data is lost.
            (0, _) => inside(seg.seq) || seg.seq == nxt + window,
            // RFC 9293 §3.8.6.1: with a closed window, what starts at RCV.NXT is still looked at
            // for its ACK, RST and URG (MUST-66); its data is cut off later.
            (_, 0) => seg.seq == nxt,
            _ => inside(seg.seq) || inside(seg.seq + (len - 1)),
        }
    }

    /// An acknowledgement for what cannot be accepted. For segments without data it is limited,
    /// so that two confused ends do not answer each other for ever (RFC 5961 §7).
    fn answer_unacceptable(&mut self, now: Instant, reason: &'static str, seg: &SegmentIn) {
        if seg.is_empty() {
            self.challenge(now, reason);
        } else {
            self.want.ack = Some(reason);
        }
    }

    pub(crate) fn challenge(&mut self, now: Instant, reason: &'static str) {
        if self.challenged.is_none_or(|t| now.since(t) >= CHALLENGE_INTERVAL) {
            self.challenged = Some(now);
            self.want.ack = Some(reason);
        }
    }

    /// Steps two and four: RST and SYN.
    pub(crate) fn check_control(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) -> Option<Outcome> {
        if seg.has(TcpFlags::RST) {
            return Some(self.take_reset(cx, seg));
        }
        if seg.has(TcpFlags::SYN) {
            // RFC 5961 §4.2: a SYN is answered by a challenge, whatever its sequence number.
            self.challenge(cx.now, "unexpected SYN");
            return Some(Outcome::Dropped(DropReason::NotAcceptable));
        }
        None
    }

    /// RFC 5961 §3.2: only a RST exactly at RCV.NXT is believed; others in the window are
    /// challenged.
    fn take_reset(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) -> Outcome {
        if seg.seq != self.rcv.nxt {
            self.challenge(cx.now, "RST inside the window");
            return Outcome::Dropped(DropReason::NotAcceptable);
        }
        if self.state == State::TimeWait {
            // RFC 9293 §3.10.7.4: both streams are complete, there is nothing to report, and what
            // the program has not read yet stays.
            self.transition(cx, Trigger::Reset);
            return Outcome::Taken;
        }
        let error = match self.state {
            State::SynReceived => Errno::ECONNREFUSED,
            State::CloseWait => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        };
        self.fail(cx, Trigger::Reset, error);
        if matches!(self.state, State::Closed) && self.orphan {
            self.error = None;
        }
        Outcome::Taken
    }

    /// RFC 7323 §4.3.
    pub(crate) fn update_timestamp(&mut self, now: Instant, seg: &SegmentIn) {
        if let (Some(ts), Some((val, _))) = (&mut self.timestamps, seg.options.timestamps)
            && seg.seq.at_or_before(ts.last_ack_sent)
        {
            // PAWS has let it pass: it is not older.
            ts.recent = val;
            ts.recent_at = now;
        }
    }
}
