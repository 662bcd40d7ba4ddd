//! RFC 9293 §3.10.7.4, steps seven and eight: the data and the FIN, and when to acknowledge them
//! (RFC 5681 §4.2, RFC 9293 §3.8.6.3).

use netarium_base::{Ctx, DropReason};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::tcp::connection::Connection;
use crate::tcp::seq::Seq;
use crate::tcp::state::{State, Trigger};
use crate::tcp::timers::Timer;
use crate::types::Readiness;

impl Connection {
    pub(crate) fn take_text(&mut self, cx: &mut Ctx<'_>, seg: &mut SegmentIn) -> Outcome {
        let fin = seg.has(TcpFlags::FIN);
        if seg.payload.is_empty() && !fin {
            return Outcome::Taken;
        }
        if !self.state.may_receive() {
            // The peer has closed already: nothing can come after its FIN.
            if self.state == State::TimeWait && fin {
                self.restart_time_wait(cx);
            }
            self.want.ack = Some("data after FIN");
            return Outcome::Dropped(DropReason::NotAcceptable);
        }
        // RFC 2525 §2.17: the program closed, nobody will read this data.
        if !seg.payload.is_empty() && (self.orphan || self.read_closed) {
            let new = (seg.seq + seg.payload.len() as u32).after(self.rcv.nxt);
            if self.orphan && new {
                self.abort(cx);
                return Outcome::Dropped(DropReason::NoSocket);
            }
        }
        self.stats.last_data_in = cx.now;
        let fin = self.trim(seg) && fin;
        let end = seg.seq + seg.payload.len() as u32;
        if seg.seq.after(self.rcv.nxt) {
            return self.take_out_of_order(seg, fin);
        }
        let had = seg.payload.len() as u32;
        self.deliver(seg);
        let mut filled_gap = false;
        while let Some(payload) = self.ooo.take(self.rcv.nxt) {
            filled_gap = true;
            self.rcv.nxt += payload.len() as u32;
            self.stats.bytes_received += payload.len() as u64;
            if !self.read_closed {
                self.recv.push(payload);
            }
        }
        let fin_now = (fin && self.rcv.nxt == end) || self.fin_waits_at(self.rcv.nxt);
        if fin_now {
            self.take_fin(cx);
        } else if had > 0 {
            self.schedule_ack(cx, had, filled_gap);
        }
        Outcome::Taken
    }

    /// Cuts off what lies before RCV.NXT and beyond the window. Whether a FIN at the end stays.
    fn trim(&mut self, seg: &mut SegmentIn) -> bool {
        let before = self.rcv.nxt.ahead_of(seg.seq);
        if before > 0 {
            seg.payload.advance(before as usize);
            seg.seq = self.rcv.nxt;
            self.want.ack = Some("duplicate data");
        }
        let room = self.rcv.adv.ahead_of(seg.seq) as usize;
        if seg.payload.len() > room {
            seg.payload.truncate(room);
            self.want.ack = Some("beyond the window");
            return false;
        }
        true
    }

    fn take_out_of_order(&mut self, seg: &mut SegmentIn, fin: bool) -> Outcome {
        // RFC 5681 §4.2: an immediate duplicate ACK tells the sender of the gap.
        self.want.ack = Some("out of order");
        self.stats.out_of_order += 1;
        if fin {
            self.ooo_fin = Some(seg.seq + seg.payload.len() as u32);
        }
        let payload = std::mem::take(&mut seg.payload);
        if self.ooo.insert(seg.seq, payload) {
            Outcome::Taken
        } else {
            Outcome::Dropped(DropReason::ReassemblyFull)
        }
    }

    fn deliver(&mut self, seg: &mut SegmentIn) {
        let payload = std::mem::take(&mut seg.payload);
        if payload.is_empty() {
            return;
        }
        self.rcv.nxt += payload.len() as u32;
        self.stats.bytes_received += payload.len() as u64;
        self.unacked_in += payload.len() as u32;
        if !self.read_closed {
            self.recv.push(payload);
            self.wake |= Readiness::READABLE;
        }
    }

    fn fin_waits_at(&self, next: Seq) -> bool {
        self.ooo_fin == Some(next)
    }

    fn take_fin(&mut self, cx: &mut Ctx<'_>) {
        self.fin_received = true;
        self.stats.bytes_received += 1;
        self.ooo_fin = None;
        self.rcv.nxt += 1;
        self.rcv.adv = self.rcv.adv.max(self.rcv.nxt);
        self.want.ack = Some("FIN received");
        self.wake |= Readiness::READABLE;
        self.timers.cancel(Timer::Wait);
        self.transition(cx, Trigger::Fin);
    }

    pub(crate) fn restart_time_wait(&mut self, cx: &mut Ctx<'_>) {
        self.timers.set(Timer::Wait, cx.now + self.config.time_wait, cx.cause);
    }

    /// RFC 9293 §3.8.6.3: every second full segment is acknowledged at once, others after a
    /// delay; at the start of a connection, and when a gap was filled, all at once.
    fn schedule_ack(&mut self, cx: &mut Ctx<'_>, len: u32, filled_gap: bool) {
        self.rcv_mss = self.rcv_mss.max(len);
        if filled_gap || !self.ooo.is_empty() {
            self.want.ack = Some("gap filled");
        } else if self.quick_acks > 0 {
            self.quick_acks -= 1;
            self.want.ack = Some("data received");
        } else if self.unacked_in > self.rcv_mss {
            self.want.ack = Some("second segment received");
        } else if self.timers.due(Timer::DelayedAck).is_none() {
            self.timers.set(Timer::DelayedAck, cx.now + self.config.delayed_ack_min, cx.cause);
        }
    }
}
