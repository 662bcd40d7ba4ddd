//! What a connection sends next, and why. The only place that decides.

use netarium_base::trace::event::{CONGESTION_REASONS, RETRANSMISSION_KINDS};
use netarium_base::{Cause, Ctx, Event, Instant};
use netarium_wire::{Payload, TcpFlags, TcpHeader, TcpOptions};

use super::congestion::INFINITE;
use super::connection::{Connection, Syn};
use super::info::{CaState, micros};
use super::options::{SegmentOptions, write_sack, write_timestamps};
use super::recovery::Resending;
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
    /// IP's ECN field (RFC 3168 §5).
    pub ecn: u8,
    /// The event that says that it was built; its origin is the call whose bytes it carries.
    pub cause: Cause,
}

/// New segments that go out together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bunch {
    /// How many it still takes.
    left: u32,
    /// How many it has.
    sent: u32,
}

/// What to send.
#[derive(Debug, Clone, Copy)]
enum Plan {
    Reset,
    Syn(Syn),
    Data(Data),
    Probe(&'static str),
    Ack(&'static str),
}

/// `len` payload bytes from `seq` on, then a FIN if `fin`.
#[derive(Debug, Clone, Copy)]
struct Data {
    seq: Seq,
    len: u32,
    fin: bool,
    reason: &'static str,
    /// The kind of retransmission, if it is one.
    again: Option<&'static str>,
    /// It probes the end of the flight (RFC 8985 §7).
    probe: bool,
}

impl Data {
    fn end(&self) -> Seq {
        self.seq + self.len + u32::from(self.fin)
    }
}

impl Connection {
    /// The next segment to send now; `None` when there is nothing (more).
    pub(crate) fn poll_segment(&mut self, cx: &mut Ctx<'_>) -> Option<SegmentOut> {
        let plan = self.plan(cx);
        self.want.force = false;
        if plan.is_none() {
            self.want.more = false;
        }
        Some(match plan? {
            Plan::Reset => self.send_reset(cx),
            Plan::Syn(which) => self.send_syn(cx, which),
            Plan::Data(data) => self.send_data(cx, data),
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
        if let Some(data) = self.plan_data(cx) {
            return Some(Plan::Data(data));
        }
        if let Some(reason) = self.want.probe {
            return Some(Plan::Probe(reason));
        }
        self.want.ack.map(Plan::Ack)
    }

    /// Data to send: a probe of the flight's end, what is lost, what is new.
    fn plan_data(&mut self, cx: &mut Ctx<'_>) -> Option<Data> {
        if std::mem::take(&mut self.want.tail_probe) {
            if let Some(probe) = self.plan_tail_probe() {
                return Some(probe);
            }
            self.rearm_after_probe(cx);
        }
        if self.rec.resending == Resending::NewFirst {
            self.want.force = true;
            if let Some(new) = self.plan_new_data(cx) {
                return Some(new);
            }
            self.after_new_first();
        }
        let mut data = self.plan_resend().or_else(|| self.plan_new_data(cx));
        if self.pacing.on && data.is_some_and(|d| self.must_wait(cx, d.len)) {
            data = None;
        }
        if data.is_none() {
            let more = self.snd.fin.is_none() && self.data_end().ahead_of(self.snd.nxt) > 0;
            self.end_burst(cx, more);
        }
        data
    }

    /// RFC 8985 §7.3: new data if there is any, whatever the congestion window says, else the last
    /// segment again.
    fn plan_tail_probe(&mut self) -> Option<Data> {
        let unsent = self.data_end().ahead_of(self.snd.nxt);
        let len = unsent.min(self.segment_room());
        let fits = (self.snd.nxt + len).at_or_before(self.snd.una + self.snd.wnd);
        if self.snd.fin.is_none() && len > 0 && fits {
            let fin = self.closing && len == unsent;
            let (seq, reason) = (self.snd.nxt, "tail loss probe");
            return Some(Data { seq, len, fin, reason, again: None, probe: true });
        }
        let last = *self.rec.board.last()?;
        let mut data = self.again(last.start.max(self.snd.una), last.end, "tail loss probe");
        data.probe = true;
        Some(data)
    }

    /// The next lost segment, as far as the windows allow.
    fn plan_resend(&mut self) -> Option<Data> {
        let allowed = self.rec.resending == Resending::Lost && self.rec.board.has_waiting();
        if !allowed || self.cwnd_room() == 0 {
            return None;
        }
        let lost = self.rec.board.next_waiting()?;
        let start = lost.start.max(self.snd.una);
        // A peer that took its window back still gets the first segment, as a probe.
        let open = (self.snd.una + self.snd.wnd).ahead_of(start);
        if open == 0 && start != self.snd.una {
            return None;
        }
        // Small lost segments go together, as on Linux.
        let room = if open == 0 { 0 } else { open.min(self.segment_room()) };
        let whole = self.rec.board.join_waiting(start, room).unwrap_or(lost.end);
        let end = if open == 0 { whole } else { whole.min(start + open) };
        let end = if self.snd.fin == Some(end) && whole.after(end) { whole } else { end };
        let kind = match self.rec.state {
            _ if self.too_large => "path MTU",
            // What follows the timer's own repair is sent as acknowledgements come in.
            CaState::Loss if self.retries == 0 || self.rec.board.resent > 0 => "slow-start",
            CaState::Loss => "rto",
            _ => "fast",
        };
        Some(self.again(start, end, kind))
    }

    /// What lies between `start` and `end` once more, or as much as a segment takes.
    fn again(&self, start: Seq, end: Seq, kind: &'static str) -> Data {
        let data_end = self.data_end();
        let len = end.min(data_end).ahead_of(start).min(self.segment_room());
        let fin = self.snd.fin.is_some_and(|f| start + len == f && f.before(end));
        Data { seq: start, len, fin, reason: "retransmission", again: Some(kind), probe: false }
    }

    fn plan_new_data(&mut self, cx: &mut Ctx<'_>) -> Option<Data> {
        if self.snd.fin.is_some() {
            return None;
        }
        let unsent = self.data_end().ahead_of(self.snd.nxt);
        if unsent == 0 && !self.closing {
            return None;
        }
        self.restart_after_idle(cx);
        let in_flight = self.in_flight();
        let usable = if self.cwnd_room() == 0 { 0 } else { self.snd.wnd.saturating_sub(in_flight) };
        let len = unsent.min(self.segment_room()).min(usable);
        let all = len == unsent;
        let new = |len, fin, reason| Data {
            seq: self.snd.nxt,
            len,
            fin,
            reason,
            again: None,
            probe: false,
        };
        // A FIN needs no window of its own (RFC 9293 §3.10.4: it follows the last data).
        if unsent == 0 || (all && self.closing) {
            return Some(new(len, self.closing, if len == 0 { "close" } else { "data" }));
        }
        if len == 0 || !self.worth_sending(len, all, in_flight) {
            self.consider_persist(cx, in_flight);
            return None;
        }
        Some(new(len, false, "data"))
    }

    /// Payload bytes that a segment sent now has room for: what its options take is taken off
    /// (RFC 6691 §2), those of SACK too, which come and go.
    pub(crate) fn segment_room(&self) -> u32 {
        let blocks = if self.sack { self.ooo.block_count(self.sack_room()) as u32 } else { 0 };
        let options = if blocks > 0 { 4 + 8 * blocks } else { 0 };
        self.snd.mss - options
    }

    /// SACK blocks that the header has room for.
    fn sack_room(&self) -> usize {
        if self.timestamps.is_some() { 3 } else { 4 }
    }

    pub(crate) fn tell_congestion(&self, cx: &mut Ctx<'_>, reason: &'static str) {
        debug_assert!(CONGESTION_REASONS.contains(&reason), "`{reason}` is not in the schema");
        cx.emit(self.setup.place, self.setup.flow, || Event::Congestion {
            cwnd: self.cwnd_bytes(),
            ssthresh: match self.cc.window.ssthresh {
                INFINITE => u32::MAX,
                segments => segments.saturating_mul(self.snd.mss),
            },
            inflight: self.rec.board.in_flight().saturating_mul(self.snd.mss).min(self.in_flight()),
            srtt: self.rtt.srtt().map_or(0, micros),
            rttvar: micros(self.rtt.rttvar()),
            reason,
        });
    }

    fn send_reset(&mut self, cx: &mut Ctx<'_>) -> SegmentOut {
        self.want.rst = false;
        let flags = TcpFlags::RST | TcpFlags::ACK;
        let (seq, origin) = (self.snd.nxt, self.close_cause);
        let options = self.options(cx);
        self.build(cx, seq, flags, options, Payload::new(), origin, "abort")
    }

    fn send_syn(&mut self, cx: &mut Ctx<'_>, which: Syn) -> SegmentOut {
        self.want.ack = None;
        let answer = self.state != State::SynSent;
        let options = SegmentOptions {
            mss: Some(self.setup.mss),
            window_shift: self.scaling.then_some(self.rcv.shift),
            sack_permitted: self.sack,
            timestamps: self.timestamps.map(|t| (self.timestamp(cx.now), t.recent)),
            ..SegmentOptions::default()
        };
        let mut flags = TcpFlags::SYN;
        if answer {
            flags |= TcpFlags::ACK;
        }
        let saved = cx.cause;
        if let Syn::Again(kind) = which {
            // Karn's rule: what was sent twice is not timed.
            self.syn_timed = None;
            self.tell_resend(cx, kind, self.snd.iss, 0, self.snd.last);
        } else {
            self.snd.nxt = self.snd.iss + 1;
            self.syn_timed = Some(cx.now);
        }
        flags |= self.ecn_of_syn(answer, matches!(which, Syn::Again(_)));
        self.snd.last = cx.now;
        self.timers.set(Timer::Retransmit, cx.now + self.rtt.rto(), cx.cause);
        let reason = match (which, answer) {
            (Syn::First, false) => "connect",
            (Syn::First, true) => "SYN received",
            (Syn::Again(_), _) => "retransmission",
        };
        let (iss, origin) = (self.snd.iss, self.open_cause);
        let out = self.build(
            cx,
            iss,
            flags,
            options.write_syn(self.config.wire_profile),
            Payload::new(),
            origin,
            reason,
        );
        cx.cause = saved;
        out
    }

    /// `since` is when that very segment was last sent.
    fn tell_resend(
        &mut self,
        cx: &mut Ctx<'_>,
        kind: &'static str,
        seq: Seq,
        len: u32,
        since: Instant,
    ) {
        debug_assert!(RETRANSMISSION_KINDS.contains(&kind), "`{kind}` is not in the schema");
        match kind {
            "fast" => self.stats.repairs.fast += 1,
            "slow-start" => self.stats.repairs.slow_start += 1,
            _ => {}
        }
        self.stats.retransmits += 1;
        self.stats.total_retransmits += 1;
        self.stats.bytes_retransmitted += u64::from(len);
        self.resent = Some(cx.now);
        cx.cause = cx.emit(self.setup.place, self.setup.flow, || Event::Retransmission {
            kind,
            seq: seq.0,
            len,
            since,
        });
    }

    fn send_data(&mut self, cx: &mut Ctx<'_>, data: Data) -> SegmentOut {
        let saved = cx.cause;
        let Data { seq, len, fin, reason, again, probe } = data;
        self.stats.repairs.probes += u64::from(probe);
        let offset = seq.ahead_of(self.data_start()) as usize;
        let (payload, origin) = self.send.read(offset, len as usize);
        let origin = if len == 0 { self.close_cause } else { origin };
        if let Some(kind) = again {
            let since = self.on_sent_again(cx, (seq, data.end()), probe);
            self.tell_resend(cx, kind, seq, len, since);
        } else {
            self.count_bunch();
            self.on_sent_new(cx, seq, data.end());
        }
        if fin {
            self.snd.fin = Some(seq + len);
        }
        self.snd.nxt = self.snd.nxt.max(data.end());
        if again.is_none() {
            self.note_small(len);
        }
        self.snd.last = cx.now;
        if self.pacing.on {
            self.note_paced(cx.now, len);
        }
        self.timers.cancel(Timer::Persist);
        self.probing_since = None;
        if probe {
            self.probe_sent(cx, again.is_some());
        }
        let mut flags = TcpFlags::ACK;
        // RFC 9293 §3.9.1.2: PSH on the last segment of what there is to send.
        let ends_bunch = again.is_none() && self.ends_bunch();
        let pushed = seq + len == self.data_end() && seq + len == self.snd.push;
        if len > 0 && (ends_bunch || pushed) {
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        // RFC 3168 §6.1.5: only data that was never sent is marked as capable.
        let (marks, field) = self.ecn.mark(again.is_none() && len > 0);
        let options = self.options(cx);
        let mut out = self.build(cx, seq, flags | marks, options, payload, origin, reason);
        out.ecn = field;
        cx.cause = saved;
        out
    }

    /// Linux hands bunches of segments to the network card to be cut there (segmentation offload),
    /// at most half a window each; a bunch of several ends in PSH. Captures show that.
    fn count_bunch(&mut self) {
        if self.bunch.left == 0 {
            let half = (self.cc.window.cwnd / 2).max(1);
            let mut left = self.cwnd_room().clamp(1, half);
            if self.pacing.on {
                left = left.min(self.pacing.left().max(1));
            }
            self.bunch = Bunch { left, sent: 0 };
        }
        self.bunch.left -= 1;
        self.bunch.sent += 1;
    }

    /// Whether the segment sent just now is the last of a bunch of several.
    fn ends_bunch(&mut self) -> bool {
        let in_flight = self.in_flight();
        let unsent = self.data_end().ahead_of(self.snd.nxt);
        let open = self.snd.wnd.saturating_sub(in_flight);
        let len = unsent.min(self.segment_room()).min(open);
        let more = len > 0
            && self.snd.fin.is_none()
            && self.cwnd_room() > 0
            && self.worth_sending(len, len == unsent, in_flight);
        if !more {
            self.bunch.left = 0;
        }
        self.bunch.left == 0 && self.bunch.sent > 1
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
        let (seq, origin) = (self.acceptable_seq(), cx.cause);
        self.build(cx, seq, TcpFlags::ACK, options, Payload::new(), origin, reason)
    }

    /// SND.NXT, or where the peer took its window back to: what lies beyond it would be dropped there
    /// with its acknowledgement. A scaled window may be short by its rounding.
    fn acceptable_seq(&self) -> Seq {
        let edge = self.snd.una + self.snd.wnd;
        let beyond = self.snd.nxt.ahead_of(edge);
        let rounding = if self.scaling { 1 << self.rcv.shift } else { 0 };
        if beyond == 0 || beyond < rounding { self.snd.nxt } else { edge }
    }

    /// The options of a segment without SYN.
    fn options(&mut self, cx: &Ctx<'_>) -> TcpOptions {
        let mut o = TcpOptions::new();
        if let Some(ts) = self.timestamps {
            write_timestamps(&mut o, self.timestamp(cx.now), ts.recent);
        }
        if self.sack && self.ooo.block_count(1) > 0 {
            write_sack(&mut o, &self.ooo.sack_blocks(self.sack_room()));
            self.ooo.forget_duplicate();
        }
        o
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
        let mut flags = flags | self.ecn.echo(flags);
        let urgent = self.urgent_pointer(seq);
        if urgent.is_some() {
            flags |= TcpFlags::URG;
        }
        let ack = if acks { self.rcv.nxt } else { Seq(0) };
        let window = self.advertise(flags.contains(TcpFlags::SYN));
        if acks {
            self.want.ack = None;
            self.rcv.wup = self.rcv.nxt;
            self.ack.note_sent(self.config.delayed_ack_min);
            self.timers.cancel(Timer::DelayedAck);
        }
        let len = payload.len() as u32;
        self.stats.segments_out += 1;
        if len > 0 {
            self.stats.data_segments_out += 1;
            self.stats.bytes_sent += u64::from(len);
            self.ack.note_data_sent(cx.now);
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
            urgent: urgent.unwrap_or(0),
        };
        SegmentOut { header, options, payload, ecn: 0, cause }
    }
}
