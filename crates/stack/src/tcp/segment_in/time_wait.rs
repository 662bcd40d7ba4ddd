//! A segment arrives in TIME-WAIT (RFC 9293 §3.6.1 and §3.10.7.4, RFC 6191, RFC 1337), as Linux
//! answers it. A SYN that begins a new connection is looked at before, by the stack.

use netarium_base::{Ctx, DropReason};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::tcp::connection::Connection;
use crate::tcp::seq::Seq;
use crate::tcp::state::Trigger;

impl Connection {
    pub(crate) fn in_time_wait(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) -> Outcome {
        let old = match (self.timestamps, seg.options.timestamps) {
            (Some(ts), Some((val, _))) => ts.is_old(cx.now, val, 0),
            _ => false,
        };
        let reset = seg.has(TcpFlags::RST);
        if !old && seg.seq == self.rcv.nxt && (reset || seg.is_empty()) {
            if !reset {
                self.restart_time_wait(cx);
            } else if !self.config.rfc1337 {
                // RFC 9293 §3.10.7.4: both streams are complete, there is nothing to report, and
                // what the program has not read yet stays.
                self.transition(cx, Trigger::Reset);
                return Outcome::Taken;
            }
            self.update_timestamp(cx.now, seg);
            return Outcome::Taken;
        }
        if reset {
            return Outcome::Dropped(DropReason::OutsideWindow);
        }
        // The peer did not get our last ACK, or this is a segment from long ago. A SYN without ACK
        // may be either, and does not keep the end points taken.
        if old || seg.has(TcpFlags::ACK) {
            self.restart_time_wait(cx);
        }
        let reason = if seg.has(TcpFlags::FIN) { "FIN again" } else { "segment in TIME-WAIT" };
        self.answer_stray(cx.now, reason, seg);
        Outcome::Dropped(if old { DropReason::OldTimestamp } else { DropReason::NotAcceptable })
    }

    /// RFC 9293 MAY-2, RFC 6191 §2: whether a SYN is newer than everything received, by timestamp or
    /// by sequence number. If so: the sequence number that the new connection must begin behind.
    pub(crate) fn gives_way_to(&self, now: netarium_base::Instant, seg: &SegmentIn) -> Option<Seq> {
        let only_syn =
            seg.has(TcpFlags::SYN) && !seg.flags.intersects(TcpFlags::ACK | TcpFlags::RST);
        let (old, newer) = match (self.timestamps, seg.options.timestamps) {
            (Some(ts), Some((val, _))) => {
                (ts.is_old(now, val, 0), (val.wrapping_sub(ts.recent) as i32) > 0)
            }
            _ => (false, false),
        };
        (only_syn && !old && (newer || seg.seq.after(self.rcv.nxt))).then_some(self.snd.nxt)
    }
}
