//! RFC 9293 §3.10.7.3: a segment arrives in SYN-SENT.

use netarium_base::{Ctx, DropReason, Duration, Instant};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::errno::Errno;
use crate::tcp::connection::{Connection, Syn};
use crate::tcp::state::Trigger;
use crate::tcp::timers::Timer;

/// How soon a SYN goes out again after an answer that was not to it.
const SOON: Duration = Duration::from_millis(2);

impl Connection {
    pub(crate) fn in_syn_sent(&mut self, cx: &mut Ctx<'_>, seg: SegmentIn) -> Outcome {
        // First: the ACK bit.
        let acks = seg.has(TcpFlags::ACK);
        if acks && (seg.ack.at_or_before(self.snd.iss) || seg.ack.after(self.snd.nxt)) {
            if self.retries == 0 {
                // As Linux: an old connection of the peer may stand in the way; the reset that
                // answers it clears it, and the SYN need not wait for its time-out.
                self.timers.set(Timer::Retransmit, cx.now + SOON, cx.cause);
            }
            return self.refuse_unless_reset(&seg);
        }
        if acks && self.echoes_another(cx.now, &seg) {
            return self.refuse_unless_reset(&seg);
        }
        // Second: the RST bit.
        if seg.has(TcpFlags::RST) {
            if !acks {
                return Outcome::Dropped(DropReason::NotAcceptable);
            }
            self.fail(cx, Trigger::Reset, Errno::ECONNREFUSED);
            return Outcome::Taken;
        }
        // Fourth: the SYN bit.
        if !seg.has(TcpFlags::SYN) {
            return Outcome::Dropped(DropReason::NotAcceptable);
        }
        self.take_syn(cx, &seg);
        if acks {
            self.snd.una = seg.ack;
            self.snd.syn_acked = true;
            // As Linux counts: the SYN is the first.
            self.stats.bytes_acked += 1;
            self.finish_handshake(cx, &seg);
            self.transition(cx, Trigger::SynAck);
            self.acknowledge_syn(cx);
            // RFC 9293: data or a FIN on the SYN is processed as in the other states; rcv.nxt
            // is behind the SYN already.
            let mut rest = seg;
            rest.seq += 1;
            rest.flags.remove(TcpFlags::SYN);
            if rest.is_empty() {
                return Outcome::Taken;
            }
            let outcome = self.take_text(cx, &mut rest);
            self.consider_ack(cx);
            return outcome;
        }
        // Simultaneous open (RFC 9293 §3.5, figure 7): our SYN goes out again, now with an ACK.
        self.transition(cx, Trigger::Syn);
        self.want.syn = Some(Syn::First);
        Outcome::Taken
    }

    fn refuse_unless_reset(&self, seg: &SegmentIn) -> Outcome {
        if seg.has(TcpFlags::RST) {
            Outcome::Dropped(DropReason::NotAcceptable)
        } else {
            Outcome::Refused
        }
    }

    /// The echoed timestamp is none that this SYN carried: the segment answers an older connection.
    fn echoes_another(&self, now: Instant, seg: &SegmentIn) -> bool {
        let (Some(_), Some((_, echo))) = (self.timestamps, seg.options.timestamps) else {
            return false;
        };
        let (first, last) = (self.timestamp(self.opened), self.timestamp(now));
        echo != 0 && echo.wrapping_sub(first) > last.wrapping_sub(first)
    }

    /// The third segment of the handshake, unless the program wants it to wait for data.
    fn acknowledge_syn(&mut self, cx: &mut Ctx<'_>) {
        if self.ack.pingpong || self.settings.defer_accept > 0 {
            self.ack.scheduled = true;
            self.enter_quick_mode();
            self.timers.set(Timer::DelayedAck, cx.now + self.config.delayed_ack_max, cx.cause);
        } else {
            self.want.ack = Some("SYN+ACK received");
        }
    }
}
