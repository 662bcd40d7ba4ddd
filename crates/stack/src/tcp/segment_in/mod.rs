//! A segment arrives (RFC 9293 §3.10.7). One file per group of steps:
//!
//! - `syn_sent`: §3.10.7.3, the state SYN-SENT;
//! - `checks`: §3.10.7.4 steps one to four: sequence, RST, SYN;
//! - `ack`: step five: the acknowledgement, the window, loss;
//! - `text`: steps seven and eight: data and FIN;
//! - `time_wait`: the state TIME-WAIT.

mod ack;
mod checks;
mod syn_sent;
mod text;
mod time_wait;

use std::rc::Rc;

use netarium_base::{Ctx, DropReason};
use netarium_wire::{Frame, Payload, TcpFlags, TcpHeader};

use super::config::TcpConfig;
use super::connection::{Connection, Setup};
use super::ecn;
use super::options::SegmentOptions;
use super::request::Request;
use super::seq::Seq;
use super::state::State;
use super::window::Opening;
use crate::options::Settings;

/// A segment as a connection reads it.
#[derive(Debug)]
pub struct SegmentIn {
    /// Sequence number of the first byte (of the SYN, if there is one).
    pub seq: Seq,
    /// Acknowledgement number; meaningful with ACK.
    pub ack: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
    /// IP's ECN field.
    pub ecn: u8,
    /// Urgent pointer; meaningful with URG.
    pub urgent: u16,
    /// What the options say.
    pub options: SegmentOptions,
    /// The data.
    pub payload: Payload,
}

impl SegmentIn {
    /// The segment in a parsed TCP frame; its payload is taken out of the frame.
    pub fn of(frame: &mut Frame) -> Option<(TcpHeader, SegmentIn)> {
        let h = TcpHeader::of(frame)?;
        let seg = SegmentIn {
            seq: Seq(h.seq),
            ack: Seq(h.ack),
            flags: h.flags,
            window: h.window,
            ecn: frame.tos() & ecn::MASK,
            urgent: h.urgent,
            options: SegmentOptions::of(frame),
            payload: frame.take_payload(),
        };
        Some((h, seg))
    }

    /// How much of the sequence space it takes: data, SYN and FIN (RFC 9293 §3.4).
    pub fn len(&self) -> u32 {
        let controls = self.has(TcpFlags::SYN) as u32 + self.has(TcpFlags::FIN) as u32;
        self.payload.len() as u32 + controls
    }

    /// A copy without the payload.
    pub(crate) fn header_copy(&self) -> SegmentIn {
        SegmentIn {
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            ecn: self.ecn,
            urgent: self.urgent,
            options: self.options,
            payload: Payload::new(),
        }
    }

    /// Whether it takes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: TcpFlags) -> bool {
        self.flags.contains(flag)
    }
}

/// A SYN that asks for ECN (RFC 3168 §6.1.1).
pub(crate) const ECN_SYN: TcpFlags = TcpFlags::SYN.union(TcpFlags::ECE).union(TcpFlags::CWR);

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was processed.
    Taken,
    /// It was not, and this is why. An acknowledgement may have been asked for.
    Dropped(DropReason),
    /// It was not, and the peer is to be told with a reset.
    Refused,
    /// It ended the connection, and the peer is to be told with a reset: why.
    Aborted(&'static str),
}

impl Connection {
    /// Processes a segment.
    pub(crate) fn on_segment(&mut self, cx: &mut Ctx<'_>, seg: SegmentIn) -> Outcome {
        self.stats.segments_in += 1;
        if !seg.payload.is_empty() {
            self.stats.data_segments_in += 1;
        }
        match self.state {
            State::Closed | State::Listen => Outcome::Refused,
            State::SynSent => self.in_syn_sent(cx, seg),
            State::TimeWait => self.in_time_wait(cx, &seg),
            _ => self.in_other_states(cx, seg),
        }
    }

    /// The connection that a listener's request stands for, in SYN-RECEIVED: its SYN+ACK was sent,
    /// the segment that acknowledges it is about to be taken.
    pub(crate) fn from_request(
        cx: &Ctx<'_>,
        setup: Setup,
        config: Rc<TcpConfig>,
        settings: Settings,
        request: &Request,
    ) -> Connection {
        let mut c = Connection::new(setup, config, settings, cx.now);
        c.open_cause = request.cause;
        // The SYN.
        c.stats.segments_in = 1;
        c.opened = request.sent;
        let syn = SegmentIn {
            seq: request.irs,
            ack: Seq(0),
            flags: if request.ecn { ECN_SYN } else { TcpFlags::SYN },
            window: request.peer_window,
            ecn: 0,
            urgent: 0,
            options: request.agreed,
            payload: Payload::new(),
        };
        c.take_syn(cx, &syn);
        // As on Linux the largest window is counted from the handshake's third segment on.
        c.snd.max_wnd = 0;
        c.sync_mss();
        let mss = c.peer_mss();
        let mut opening = Opening::answering(&c.config, &c.settings, mss, c.scaling);
        opening.window = request.window;
        c.open_window(opening, mss);
        c.rcv.adv = c.rcv.nxt + request.window;
        c.guess_peer_mss();
        c.state = State::SynReceived;
        c.snd.nxt = request.iss + 1;
        c.snd.last = request.sent;
        if !request.resent {
            c.syn_timed = Some(request.sent);
        }
        c.retries = request.timeouts;
        c
    }

    /// Takes over the peer's sequence numbers, window and options from its SYN.
    fn take_syn(&mut self, cx: &Ctx<'_>, seg: &SegmentIn) {
        // What our own SYN offered, before the peer's numbers were known, stays offered.
        let offered = self.rcv.adv.ahead_of(self.rcv.nxt);
        self.rcv.irs = seg.seq;
        self.rcv.nxt = seg.seq + 1;
        self.rcv.wup = self.rcv.nxt;
        self.rcv.adv = self.rcv.nxt + offered;
        self.start_reading_at(self.rcv.nxt);
        self.take_syn_options(cx, &seg.options);
        self.take_ecn_of_syn(seg);
        self.guess_peer_mss();
        // RFC 7323 §2.2: the window of a SYN is never scaled.
        self.snd.wnd = seg.window.into();
        self.snd.max_wnd = self.snd.wnd;
        self.sync_mss();
        self.snd.wl1 = seg.seq;
        self.snd.wl2 = seg.ack;
    }

    /// Whether the acknowledgement number can be the peer's: only then its timestamp is taken over.
    fn may_acknowledge(&self, seg: &SegmentIn) -> bool {
        seg.has(TcpFlags::ACK) && !seg.ack.after(self.snd.nxt) && !seg.ack.before(self.oldest_ack())
    }

    fn in_other_states(&mut self, cx: &mut Ctx<'_>, mut seg: SegmentIn) -> Outcome {
        if let Some(outcome) = self.check_acceptable(cx, &seg) {
            return outcome;
        }
        if self.completes_crossing_syns(&seg) {
            seg.seq += 1;
            seg.flags.remove(TcpFlags::SYN);
            self.want.ack = Some("SYN+ACK received");
        }
        self.measure_receive_rtt(cx.now, &seg);
        if self.may_acknowledge(&seg) {
            self.update_timestamp(cx.now, &seg);
        }
        if let Some(outcome) = self.take_ack(cx, &seg) {
            return outcome;
        }
        if self.state == State::Closed {
            return Outcome::Taken;
        }
        if self.state.may_receive() {
            self.take_urgent(&seg);
        }
        let outcome = self.take_text(cx, &mut seg);
        if self.state != State::Closed {
            self.arm_keep_alive(cx);
            self.consider_ack(cx);
        }
        outcome
    }
}
