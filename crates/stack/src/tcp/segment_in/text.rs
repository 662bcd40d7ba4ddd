//! RFC 9293 §3.10.7.4, steps seven and eight: the data and the FIN. When they are acknowledged
//! `ack_policy` decides.

use netarium_base::{Ctx, DropReason};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::errno::Errno;
use crate::tcp::connection::Connection;
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
            return self.take_after_fin(seg);
        }
        if self.is_for_nobody(seg) {
            let error = if self.orphan { None } else { Some(Errno::ECONNRESET) };
            self.transition(cx, Trigger::Abort);
            self.recv.clear();
            self.error = error;
            return Outcome::Aborted("data after close");
        }
        self.stats.last_data_in = cx.now;
        self.take_ecn_of_data(seg);
        if seg.seq != self.rcv.nxt || !self.ooo.is_empty() {
            // RFC 2883 §4: a duplicate is reported by the acknowledgement of the segment that
            // brought it; one that was not sent is no news any more.
            self.ooo.forget_duplicate();
        }
        if self.was_there(seg) || self.is_beyond(seg, fin) {
            return Outcome::Dropped(DropReason::OutsideWindow);
        }
        // As on Linux a segment that came in part before tells how large the peer's are.
        let whole = seg.payload.len() as u32;
        let fin = self.trim(seg) && fin;
        if seg.seq.after(self.rcv.nxt) {
            return self.take_out_of_order(seg, fin);
        }
        self.deliver(seg);
        if whole > 0 {
            self.note_data_in(cx.now, whole, seg.has(TcpFlags::PSH));
        }
        // What lies behind the FIN is nobody's.
        if !fin {
            self.fill_gap();
        }
        if fin || self.ooo_fin == Some(self.rcv.nxt) {
            self.take_fin(cx);
        }
        Outcome::Taken
    }

    /// Nothing can come after the peer's FIN (RFC 9293 §3.10.7.4: it is ignored); what came before it
    /// may come again.
    fn take_after_fin(&mut self, seg: &SegmentIn) -> Outcome {
        if seg.seq.before(self.rcv.nxt) {
            self.report_duplicate(seg.seq, (seg.seq + seg.len()).min(self.rcv.nxt));
            self.enter_quick_mode();
            self.want.ack = Some("duplicate data");
        }
        Outcome::Dropped(DropReason::NotAcceptable)
    }

    /// RFC 2525 §2.17, RFC 9293 MUST-13's companion: the program closed, or closed its sending half
    /// and said that it reads no more; nobody will take this data.
    fn is_for_nobody(&self, seg: &SegmentIn) -> bool {
        // A FIN ahead of the stream says that there is some, too.
        let end = seg.seq + seg.payload.len() as u32;
        let waits = matches!(self.state, State::FinWait1 | State::FinWait2);
        waits && (self.orphan || self.read_closed) && end.after(self.rcv.nxt)
    }

    /// All of it came before: the peer is told at once, with what came twice (RFC 2883).
    fn was_there(&mut self, seg: &SegmentIn) -> bool {
        let end = seg.seq + seg.len();
        if end.after(self.rcv.nxt) {
            return false;
        }
        self.report_duplicate(seg.seq, end);
        self.enter_quick_mode();
        self.want.ack = Some("duplicate data");
        true
    }

    /// Nothing of it lies in the window: a probe of a closed one, usually.
    fn is_beyond(&mut self, seg: &SegmentIn, fin: bool) -> bool {
        let window = self.receive_window();
        let bare_fin = fin && seg.payload.is_empty() && seg.seq == self.rcv.nxt;
        let beyond = seg.seq.at_or_after(self.rcv.nxt + window);
        if bare_fin || !beyond {
            return false;
        }
        self.enter_quick_mode();
        self.want.ack = Some(if window == 0 { "window is closed" } else { "beyond the window" });
        true
    }

    /// Cuts off what lies before RCV.NXT and beyond the window. Whether a FIN at the end stays.
    fn trim(&mut self, seg: &mut SegmentIn) -> bool {
        let before = self.rcv.nxt.ahead_of(seg.seq);
        if before > 0 {
            self.report_duplicate(seg.seq, self.rcv.nxt);
            seg.payload.advance(before as usize);
            seg.seq = self.rcv.nxt;
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
        self.ack.scheduled = true;
        self.stats.out_of_order += 1;
        if fin {
            let number = seg.seq + seg.payload.len() as u32;
            self.ooo_fin = Some(number);
            self.ooo.note_fin(number);
        }
        let payload = std::mem::take(&mut seg.payload);
        let inserted = self.ooo.insert(seg.seq, payload);
        if let Some((from, to)) = inserted.duplicate {
            self.report_duplicate(from, to);
        }
        if inserted.fits { Outcome::Taken } else { Outcome::Dropped(DropReason::ReassemblyFull) }
    }

    fn deliver(&mut self, seg: &mut SegmentIn) {
        let payload = std::mem::take(&mut seg.payload);
        if payload.is_empty() {
            return;
        }
        self.rcv.nxt += payload.len() as u32;
        self.stats.bytes_received += payload.len() as u64;
        self.recv.push(payload);
        if self.recv.len() as u64 >= u64::from(self.settings.recv_lowat) {
            self.wake |= Readiness::READABLE;
        }
    }

    /// RFC 5681 §4.2: a filled gap is acknowledged at once.
    fn fill_gap(&mut self) {
        if self.ooo.is_empty() && self.ooo_fin.is_none() {
            return;
        }
        if let Some((from, to)) = self.ooo.covered_before(self.rcv.nxt) {
            self.report_duplicate(from, to);
        }
        while let Some(payload) = self.ooo.take(self.rcv.nxt) {
            self.rcv.nxt += payload.len() as u32;
            self.stats.bytes_received += payload.len() as u64;
            self.recv.push(payload);
            self.wake |= Readiness::READABLE;
        }
        self.ooo.forget_fin_before(self.rcv.nxt);
        self.ooo_fin = self.ooo_fin.filter(|f| !f.before(self.rcv.nxt));
        self.want.ack = Some("gap filled");
    }

    fn take_fin(&mut self, cx: &mut Ctx<'_>) {
        self.fin_received = true;
        self.ooo_fin = None;
        self.ooo.clear();
        self.rcv.nxt += 1;
        self.rcv.adv = self.rcv.adv.max(self.rcv.nxt);
        self.stats.bytes_received += 1;
        self.ack.scheduled = true;
        self.wake |= Readiness::READABLE;
        self.timers.cancel(Timer::Wait);
        if matches!(self.state, State::Established | State::SynReceived) && !self.ack.ato.is_zero()
        {
            // As Linux: the program probably closes too, and its FIN carries the acknowledgement.
            self.ack.pingpong = true;
        } else {
            self.want.ack = Some("FIN received");
        }
        self.transition(cx, Trigger::Fin);
    }

    pub(crate) fn restart_time_wait(&mut self, cx: &mut Ctx<'_>) {
        self.timers.set(Timer::Wait, cx.now + self.config.time_wait, cx.cause);
    }
}
