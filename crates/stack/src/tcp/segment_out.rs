//! What a connection sends next, and why. The only place that decides.

use netarium_base::{Cause, Ctx, Event};
use netarium_wire::{Payload, TcpFlags, TcpHeader, TcpOptions};

use super::connection::{Connection, Phase, Syn};
use super::options::{SegmentOptions, write_sack, write_timestamps};
use super::seq::Seq;
use super::state::State;
use super::timers::Timer;

/// A segment on its way out.
#[derive(Debug)]
pub struct SegmentOut {
    /// Its header; ports filled in.
    pub header: TcpHeader,
    /// Its options.
    pub options: TcpOptions,
    /// Its payload.
    pub payload: Payload,
    /// The event that says that it was built; its origin is the call whose bytes it carries.
    pub cause: Cause,
}

/// What to send.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Reset,
    Syn(Syn),
    /// `len` payload bytes from `seq` on, then a FIN if `fin`.
    Data {
        seq: Seq,
        len: u32,
        fin: bool,
        reason: &'static str,
        again: Option<&'static str>,
    },
    Probe(&'static str),
    Ack(&'static str),
}

impl Connection {
    /// The next segment to send now; `None` when there is nothing (more).
    pub(crate) fn poll_segment(&mut self, cx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let plan = self.plan(cx);
        self.want.force = false;
        Some(match plan? {
            Plan::Reset => self.send_reset(cx),
            Plan::Syn(which) => self.send_syn(cx, which),
            Plan::Data { seq, len, fin, reason, again } => {
                self.send_data(cx, seq, len, fin, reason, again)
            }
            Plan::Probe(reason) => self.send_probe(cx, reason),
            Plan::Ack(reason) => self.send_ack(cx, reason),
        })
    }

    fn plan(&mut self, cx: &mut Ctx<'_>) -> Option<Plan> {
        if self.want.rst {
            return Some(Plan::Reset);
        }
        match self.state {
            State::Closed | State::Listen => return None,
            _ if self.snd.syn_acked => {}
            _ if self.want.syn.is_some() => return self.want.syn.take().map(Plan::Syn),
            State::SynSent => return None,
            _ => return self.want.ack.map(Plan::Ack),
        }
        if let Some(plan) = self.plan_resend().or_else(|| self.plan_new_data(cx)) {
            return Some(plan);
        }
        if let Some(reason) = self.want.probe {
            return Some(Plan::Probe(reason));
        }
        self.want.ack.map(Plan::Ack)
    }

    /// Data that is to be sent again, as far as the windows allow.
    fn plan_resend(&mut self) -> Option<Plan> {
        let mut resend = self.resend?;
        resend.next = resend.next.max(self.snd.una);
        if resend.next.at_or_after(resend.end) {
            self.resend = None;
            return None;
        }
        // After a time-out everything is taken for lost, so that what is in flight is what was
        // sent again (RFC 5681 §3.1); the single segment of a fast retransmit goes out at once.
        let ahead = resend.next.ahead_of(self.snd.una);
        if matches!(self.phase, Phase::Loss { .. }) && ahead > 0 && ahead >= self.cc.cwnd() {
            return None;
        }
        let data_end = self.data_end();
        let len = data_end
            .ahead_of(resend.next)
            .min(self.segment_room())
            .min(resend.end.min(data_end).ahead_of(resend.next));
        let fin = self.snd.fin.is_some_and(|f| resend.next + len == f && f.before(resend.end));
        self.resend = Some(resend);
        let kind = resend.kind;
        Some(Plan::Data { seq: resend.next, len, fin, reason: "retransmission", again: Some(kind) })
    }

    fn plan_new_data(&mut self, cx: &mut Ctx<'_>) -> Option<Plan> {
        if self.snd.fin.is_some() {
            return None;
        }
        let unsent = self.data_end().ahead_of(self.snd.nxt);
        if unsent == 0 && !self.closing {
            return None;
        }
        self.restart_after_idle(cx);
        let in_flight = self.in_flight();
        // RFC 5681 §3.2 step 1, RFC 3042: the first two duplicate ACKs let one new segment out each.
        let limited =
            if self.phase == Phase::Open { self.dup_acks.min(2) * self.snd.mss } else { 0 };
        let window = self.snd.wnd.min(self.cc.cwnd().saturating_add(limited));
        let usable = window.saturating_sub(in_flight);
        let len = unsent.min(self.segment_room()).min(usable);
        let all = len == unsent;
        // A FIN needs no window of its own (RFC 9293 §3.10.4: it follows the last data).
        if unsent == 0 || (all && self.closing) {
            return Some(Plan::Data {
                seq: self.snd.nxt,
                len,
                fin: self.closing,
                reason: if len == 0 { "close" } else { "data" },
                again: None,
            });
        }
        if len == 0 || !self.worth_sending(len, all, in_flight) {
            self.consider_persist(cx, in_flight);
            return None;
        }
        Some(Plan::Data { seq: self.snd.nxt, len, fin: false, reason: "data", again: None })
    }

    /// Payload bytes that a segment sent now has room for: what its options take is taken off
    /// (RFC 6691 §2), those of SACK too, which come and go.
    fn segment_room(&self) -> u32 {
        let blocks = if self.sack { self.ooo.run_count(self.sack_room()) as u32 } else { 0 };
        let options = if blocks > 0 { 4 + 8 * blocks } else { 0 };
        self.snd.mss - options
    }

    /// SACK blocks that the header has room for.
    fn sack_room(&self) -> usize {
        if self.timestamps.is_some() { 3 } else { 4 }
    }

    /// Sender's silly-window avoidance (RFC 9293 §3.8.6.2.1) and Nagle (§3.7.4).
    fn worth_sending(&self, len: u32, all: bool, in_flight: u32) -> bool {
        let full = len >= self.segment_room();
        let nagle_lets_go = self.settings.nodelay || in_flight == 0;
        full || (all && nagle_lets_go) || len >= self.snd.max_wnd / 2 || self.want.force
    }

    /// Nothing in flight and no window to send into: only a timer can get things moving again.
    fn consider_persist(&mut self, cx: &mut Ctx<'_>, in_flight: u32) {
        if in_flight == 0
            && self.timers.due(Timer::Persist).is_none()
            && self.snd.wnd < self.snd.mss
        {
            self.timers.set(Timer::Persist, cx.now + self.rtt.rto(), cx.cause);
        }
    }

    /// RFC 5681 §4.1.
    fn restart_after_idle(&mut self, cx: &mut Ctx<'_>) {
        if self.in_flight() == 0 && cx.now.since(self.snd.last) > self.rtt.rto() {
            let before = self.cc.cwnd();
            self.cc.on_idle(self.snd.mss);
            if self.cc.cwnd() != before {
                self.tell_congestion(cx, "idle");
            }
        }
    }

    pub(crate) fn tell_congestion(&self, cx: &mut Ctx<'_>, reason: &'static str) {
        cx.emit(self.setup.place, self.setup.flow, || Event::Congestion {
            cwnd: self.cc.cwnd(),
            ssthresh: self.cc.ssthresh(),
            reason,
        });
    }

    fn send_reset(&mut self, cx: &mut Ctx<'_>) -> SegmentOut {
        self.want.rst = false;
        let flags = TcpFlags::RST | TcpFlags::ACK;
        let (seq, origin) = (self.snd.nxt, self.close_cause);
        self.build(cx, seq, flags, TcpOptions::new(), Payload::new(), origin, "abort")
    }

    fn send_syn(&mut self, cx: &mut Ctx<'_>, which: Syn) -> SegmentOut {
        self.want.ack = None;
        let answer = self.state != State::SynSent;
        let options = SegmentOptions {
            mss: Some(self.setup.mss),
            window_shift: self.scaling.then_some(self.rcv.shift),
            sack_permitted: self.sack,
            timestamps: self.timestamps.map(|t| (self.timestamp(cx.now), t.recent)),
        };
        let mut flags = TcpFlags::SYN;
        if answer {
            flags |= TcpFlags::ACK;
        }
        let saved = cx.cause;
        if let Syn::Again(kind) = which {
            self.tell_resend(cx, kind, self.snd.iss, 0);
        } else {
            self.snd.nxt = self.snd.iss + 1;
            self.timed = Some((self.snd.nxt, cx.now));
        }
        self.snd.last = cx.now;
        self.timers.set(Timer::Retransmit, cx.now + self.rtt.rto(), cx.cause);
        let reason = match (which, answer) {
            (Syn::First, false) => "connect",
            (Syn::First, true) => "SYN received",
            (Syn::Again(_), _) => "retransmission",
        };
        let (iss, origin) = (self.snd.iss, self.open_cause);
        let out = self.build(cx, iss, flags, options.write_syn(), Payload::new(), origin, reason);
        cx.cause = saved;
        out
    }

    fn tell_resend(&mut self, cx: &mut Ctx<'_>, kind: &'static str, seq: Seq, len: u32) {
        self.stats.retransmits += 1;
        self.stats.total_retransmits += 1;
        self.stats.bytes_retransmitted += u64::from(len);
        // Karn's rule: what was sent twice is not timed.
        self.timed = None;
        self.resent = Some(cx.now);
        let since = self.snd.last;
        cx.cause = cx.emit(self.setup.place, self.setup.flow, || Event::Retransmission {
            kind,
            seq: seq.0,
            len,
            since,
        });
    }

    fn send_data(
        &mut self,
        cx: &mut Ctx<'_>,
        seq: Seq,
        len: u32,
        fin: bool,
        reason: &'static str,
        again: Option<&'static str>,
    ) -> SegmentOut {
        let saved = cx.cause;
        let offset = seq.ahead_of(self.data_start()) as usize;
        let (payload, origin) = self.send.read(offset, len as usize);
        let origin = if len == 0 { self.close_cause } else { origin };
        let end = seq + len + u32::from(fin);
        if let Some(kind) = again {
            self.tell_resend(cx, kind, seq, len);
            if let Some(r) = &mut self.resend {
                r.next = end;
            }
        } else if self.timed.is_none() {
            self.timed = Some((end, cx.now));
        }
        if fin {
            self.snd.fin = Some(seq + len);
        }
        self.snd.nxt = self.snd.nxt.max(end);
        self.snd.last = cx.now;
        self.timers.cancel(Timer::Persist);
        if self.timers.due(Timer::Retransmit).is_none() {
            self.timers.set(Timer::Retransmit, cx.now + self.rtt.rto(), cx.cause);
        }
        let mut flags = TcpFlags::ACK;
        // RFC 9293 §3.9.1.2: PSH on the last segment of what there is to send.
        if len > 0 && (seq + len == self.data_end()) {
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        let options = self.options(cx);
        let out = self.build(cx, seq, flags, options, payload, origin, reason);
        cx.cause = saved;
        out
    }

    fn send_probe(&mut self, cx: &mut Ctx<'_>, reason: &'static str) -> SegmentOut {
        self.want.probe = None;
        // An old sequence number makes the peer answer with its window; RFC 9293 §3.8.6.1 asks
        // for an octet of new data, which Linux does not send either, since the answer is the
        // same and nothing needs to be taken back when the octet is not accepted.
        let seq = self.snd.una - 1;
        let options = self.options(cx);
        let origin = cx.cause;
        self.build(cx, seq, TcpFlags::ACK, options, Payload::new(), origin, reason)
    }

    fn send_ack(&mut self, cx: &mut Ctx<'_>, reason: &'static str) -> SegmentOut {
        let options = self.options(cx);
        let (seq, origin) = (self.snd.nxt, cx.cause);
        self.build(cx, seq, TcpFlags::ACK, options, Payload::new(), origin, reason)
    }

    /// The options of a segment without SYN.
    fn options(&self, cx: &Ctx<'_>) -> TcpOptions {
        let mut o = TcpOptions::new();
        if let Some(ts) = self.timestamps {
            write_timestamps(&mut o, self.timestamp(cx.now), ts.recent);
        }
        if self.sack && !self.ooo.is_empty() {
            write_sack(&mut o, &self.ooo.sack_blocks(self.sack_room()));
        }
        o
    }

    /// The window field, and the new right edge of the window.
    fn advertise(&mut self, syn: bool) -> u16 {
        let free = self.free_window();
        let offered = self.rcv.adv.ahead_of(self.rcv.nxt);
        let mut window = free;
        if syn {
            // As Linux: a whole number of segments.
            let mss = u32::from(self.setup.mss).max(1);
            window = window.min(65_535);
            window = if window > mss { window - window % mss } else { window };
        } else if free < offered + self.snd.mss.min(self.rcv.limit / 2) {
            // RFC 9293 §3.8.6.2.2, MUST-39: the right edge moves by worthwhile steps only.
            window = offered;
        }
        // RFC 9293 SHLD-14: what was offered stays offered.
        let window = window.max(offered);
        let shift = if syn { 0 } else { self.rcv.shift };
        let step = (1u32 << shift) - 1;
        // Rounded up, so that scaling takes nothing back; unless rounding added up to more than a
        // step beyond the buffer, as many small segments into a full one would have it (RFC 7323
        // §2.4: the edge then seems to move back by less than a step).
        let up = (window.saturating_add(step) >> shift) << shift;
        let fits = up <= free + step;
        let field = (if fits { up } else { window } >> shift).min(65_535);
        self.rcv.adv = self.rcv.adv.max(self.rcv.nxt + (field << shift));
        field as u16
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a segment")]
    fn build(
        &mut self,
        cx: &mut Ctx<'_>,
        seq: Seq,
        flags: TcpFlags,
        options: TcpOptions,
        payload: Payload,
        origin: Cause,
        reason: &'static str,
    ) -> SegmentOut {
        let acks = flags.contains(TcpFlags::ACK);
        let ack = if acks { self.rcv.nxt } else { Seq(0) };
        let window = self.advertise(flags.contains(TcpFlags::SYN));
        if acks {
            self.want.ack = None;
            self.unacked_in = 0;
            self.timers.cancel(Timer::DelayedAck);
            if let Some(ts) = &mut self.timestamps {
                ts.last_ack_sent = self.rcv.nxt;
            }
        }
        let len = payload.len() as u32;
        self.stats.segments_out += 1;
        if len > 0 {
            self.stats.data_segments_out += 1;
            self.stats.bytes_sent += u64::from(len);
        }
        let cause =
            cx.with(cx.cause.carrying(origin)).emit(self.setup.place, self.setup.flow, || {
                Event::SegmentBuilt {
                    seq: seq.0,
                    ack: ack.0,
                    flags: flags.bits(),
                    len,
                    window,
                    reason,
                }
            });
        let header = TcpHeader {
            src_port: self.setup.local.port(),
            dst_port: self.setup.remote.port(),
            seq: seq.0,
            ack: ack.0,
            flags,
            window,
            urgent: 0,
        };
        SegmentOut { header, options, payload, cause }
    }
}
