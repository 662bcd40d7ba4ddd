//! RFC 9293 §3.10.7.4, step five: the acknowledgement; with it the window. What it says of the
//! segments in flight is the business of `recovery`.

use netarium_base::{Ctx, DropReason, Event};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::options::Linger2;
use crate::tcp::connection::Connection;
use crate::tcp::recovery::News;
use crate::tcp::seq::Seq;
use crate::tcp::state::{State, Trigger};
use crate::tcp::timers::Timer;
use crate::types::Readiness;

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
        if seg.ack.after(self.snd.nxt) || seg.ack.before(self.oldest_ack()) {
            self.challenge(cx.now, "unacceptable ACK");
            return Some(Outcome::Dropped(DropReason::NotAcceptable));
        }
        self.stats.last_ack_in = cx.now;
        self.take_acknowledgement(cx, seg);
        None
    }

    /// The least acknowledgement number that a peer can still send: RFC 5961 §5.2 goes back by the
    /// largest window, Linux by no more than was ever acknowledged.
    pub(crate) fn oldest_ack(&self) -> Seq {
        let acked = u32::try_from(self.stats.bytes_acked).unwrap_or(u32::MAX);
        self.snd.una - self.snd.max_wnd.min(acked)
    }

    fn finish_passive_open(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        self.snd.una = self.snd.iss + 1;
        self.snd.syn_acked = true;
        self.finish_handshake(cx, seg);
        self.want.syn = None;
        self.snd.wnd = u32::from(seg.window) << self.snd.shift;
        self.note_window();
        self.snd.wl1 = seg.seq;
        self.snd.wl2 = seg.ack;
        self.transition(cx, Trigger::AckOfSyn);
    }

    /// Our SYN was acknowledged: its timer, and what its loss means for time-out and window.
    pub(crate) fn finish_handshake(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        let timed = self.syn_timed.take().map(|sent| cx.now.since(sent));
        let echo = seg.options.timestamps.map(|(_, ecr)| ecr);
        let echo = echo.filter(|_| self.timestamps.is_some());
        if let Some(rtt) = timed.or_else(|| self.echoed_rtt(cx.now, echo)) {
            self.rtt.note_min(rtt, cx.now);
            self.rtt.sample(rtt, self.snd.una, self.snd.nxt);
        }
        self.rec.delivered += 1;
        self.timers.cancel_watch();
        if self.retries > 0 {
            self.rtt.after_lost_syn();
        }
        // RFC 5681 §3.1: after a lost SYN one segment; as Linux only from the second loss on,
        // since the first time-out of 1 s may just have been too short (RFC 6298 appendix A).
        if self.retries > 1 {
            self.cc.window.set(1, cx.now);
            self.tell_congestion(cx, "lost SYNs");
        }
        self.retries = 0;
    }

    fn take_acknowledgement(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        let before = self.before_ack();
        let outstanding = !self.rec.board.is_empty();
        let highest = self.rec.board.highest_sacked(self.snd.una);
        let echo = seg.options.timestamps.map(|(_, ecr)| ecr);
        let mut news = News {
            echo: echo.filter(|e| *e != 0 && self.timestamps.is_some()),
            has_data: !seg.is_empty(),
            window_update: self.may_move_window(seg),
            advanced: seg.ack.after(self.snd.una),
            ece: self.ecn.on && seg.has(TcpFlags::ECE),
            ..News::default()
        };
        let old = seg.ack.before(self.snd.una);
        if !old {
            self.update_send_window(cx, seg);
        }
        let blocks = seg.options.sack.as_slice();
        if self.sack && !blocks.is_empty() {
            self.take_sack(cx.now, seg.ack, blocks, &mut news);
            if old {
                return self.conclude_old_ack(cx, &mut news, before);
            }
        } else if old {
            return;
        }
        let was_writable = self.is_writable();
        let fin_acked = news.advanced && self.advance(seg);
        self.take_delivered(cx.now, &mut news, highest);
        self.conclude_ack(cx, &mut news, (before, outstanding));
        if news.advanced {
            self.wake_writer(was_writable);
        }
        if fin_acked {
            self.take_ack_of_fin(cx);
        }
    }

    /// SND.UNA moves. Whether our FIN is acknowledged.
    fn advance(&mut self, seg: &SegmentIn) -> bool {
        let acked = seg.ack.ahead_of(self.snd.una);
        let fin_acked = self.snd.fin.is_some_and(|f| seg.ack.after(f));
        let syn_acked = !std::mem::replace(&mut self.snd.syn_acked, true);
        self.send.advance((acked - u32::from(fin_acked) - u32::from(syn_acked)) as usize);
        self.snd.una = seg.ack;
        self.too_large = false;
        self.stats.bytes_acked += u64::from(acked);
        self.retries = 0;
        if self.timestamps.is_some() {
            self.rtt.reset_backoff();
        }
        fin_acked
    }

    /// As Linux: a writer is woken when a third of the buffer is free, not for each segment.
    fn wake_writer(&mut self, was_writable: bool) {
        if !was_writable && self.is_writable() {
            self.no_space = false;
            self.wake |= Readiness::WRITABLE;
        }
    }

    fn take_ack_of_fin(&mut self, cx: &mut Ctx<'_>) {
        if let State::FinWait1 | State::Closing | State::LastAck = self.state {
            self.transition(cx, Trigger::AckOfFin);
        }
        if self.state == State::FinWait2 && self.orphan && self.settings.linger2 == Linger2::Never {
            self.abort(cx);
        }
    }

    /// The largest window decides how large segments may be.
    fn note_window(&mut self) {
        if self.snd.wnd > self.snd.max_wnd {
            self.snd.max_wnd = self.snd.wnd;
            self.sync_mss();
        }
    }

    /// Whether the window field may be news, so that the segment is no duplicate acknowledgement
    /// (RFC 5681 §2, as Linux reads it: a window that only shrank is none).
    pub(crate) fn may_move_window(&self, seg: &SegmentIn) -> bool {
        let window = u32::from(seg.window) << self.snd.shift;
        seg.ack.after(self.snd.una)
            || seg.seq.after(self.snd.wl1)
            || (seg.seq == self.snd.wl1 && (window > self.snd.wnd || window == 0))
    }

    /// RFC 9293 §3.10.7.4: the window is taken from the newest segment only.
    fn update_send_window(&mut self, cx: &mut Ctx<'_>, seg: &SegmentIn) {
        // And, as on Linux, from any that acknowledges more than all before it: that is news, too.
        let newer = self.snd.wl1.before(seg.seq)
            || (self.snd.wl1 == seg.seq && self.snd.wl2.at_or_before(seg.ack))
            || seg.ack.after(self.snd.una);
        if seg.ack.before(self.snd.una) || !newer {
            return;
        }
        let before = self.snd.wnd;
        self.snd.wnd = u32::from(seg.window) << self.snd.shift;
        self.note_window();
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
