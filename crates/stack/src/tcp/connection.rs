//! One connection: the transmission control block.
//!
//! Sans-IO. Input comes through `on_segment`, `on_deadline` and the calls
//! of the program; afterwards the caller drains `poll_segment` until `None`, takes
//! `take_wake`, and reads [`Connection::next_deadline`].
//!
//! Requests to send are only noted by the handlers; one place (`segment_out`) decides what goes
//! out next.

use core::net::SocketAddr;
use std::rc::Rc;

use netarium_base::{Cause, Ctx, Event, FlowId, Instant, Place, SocketId};

use super::ack_policy::AckPolicy;
use super::chrono::Chrono;
use super::congestion::Control;
use super::ecn::Ecn;
use super::options::SegmentOptions;
use super::pacing::Pacing;
use super::reassembly::Reassembly;
use super::recovery::Recovery;
use super::recv_buffer::RecvBuffer;
use super::rtt::Rtt;
use super::segment_out::Bunch;
use super::send_buffer::SendBuffer;
use super::seq::Seq;
use super::state::{State, Trigger};
use super::timers::{Timer, Timers};
use super::urgent::Urgent;
use super::window::{Opening, RightSizing};
use crate::errno::Errno;
use crate::options::Settings;
use crate::types::{Readiness, Repairs};

pub use super::config::TcpConfig;

/// What distinguishes one connection from the next when it begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// The conversation's id.
    pub flow: FlowId,
    /// Where events of the connection happen.
    pub place: Place,
    /// Initial sequence number (RFC 6528).
    pub iss: Seq,
    /// Random offset of our timestamps (RFC 7323 §5.4).
    pub timestamp_offset: u32,
    /// The maximum segment size that our interface's MTU allows.
    pub mss: u16,
    /// The path MTU as known now, bytes.
    pub pmtu: u16,
    /// The connection's id for the trace while no socket holds it.
    pub id: SocketId,
}

/// The send sequence space (RFC 9293 §3.3.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendSpace {
    pub(crate) iss: Seq,
    pub(crate) una: Seq,
    pub(crate) nxt: Seq,
    /// Window offered by the peer, scaled, bytes.
    pub(crate) wnd: u32,
    pub(crate) wl1: Seq,
    pub(crate) wl2: Seq,
    /// The largest window ever offered, for silly-window avoidance (RFC 9293 §3.8.6.2.1).
    pub(crate) max_wnd: u32,
    /// The shift that the peer asked for.
    pub(crate) shift: u8,
    /// Payload bytes of a full segment, options already taken off.
    pub(crate) mss: u32,
    /// Our SYN was acknowledged.
    pub(crate) syn_acked: bool,
    /// Where our FIN stands, once it was sent.
    pub(crate) fin: Option<Seq>,
    /// Where the last chunk begins that a program's write made.
    pub(crate) chunk: Seq,
    /// End of the last write that did not say that more follows: its last segment carries PSH.
    pub(crate) push: Seq,
    /// The largest segment that the peer takes, options not taken off.
    pub(crate) peer_mss: u16,
    /// End of the last segment that was not full (Minshall).
    pub(crate) sml: Seq,
    /// Behind the last urgent byte; not ahead of SND.UNA when there is none.
    pub(crate) up: Seq,
    /// When the last data segment was sent, for the restart after idle.
    pub(crate) last: Instant,
}

impl SendSpace {
    fn new(iss: Seq, mss: u32, now: Instant) -> SendSpace {
        SendSpace {
            iss,
            una: iss,
            nxt: iss,
            wnd: 0,
            wl1: Seq(0),
            wl2: Seq(0),
            max_wnd: 0,
            shift: 0,
            mss,
            syn_acked: false,
            fin: None,
            chunk: iss,
            push: iss + 1,
            peer_mss: mss as u16,
            sml: iss,
            up: iss,
            last: now,
        }
    }
}

/// The receive sequence space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecvSpace {
    pub(crate) irs: Seq,
    pub(crate) nxt: Seq,
    /// Right edge of the window as last advertised: it never moves back (RFC 9293 SHLD-14).
    pub(crate) adv: Seq,
    /// What was acknowledged last: RCV.NXT when the last segment with ACK was sent.
    pub(crate) wup: Seq,
    /// The first byte that the program has not read.
    pub(crate) copied: Seq,
    /// Our shift; 0 when scaling is off.
    pub(crate) shift: u8,
    /// What the buffer leaves for the window, bytes.
    pub(crate) limit: u32,
    /// The largest window to offer now, bytes; grows with what arrives.
    pub(crate) ssthresh: u32,
    /// The largest to offer ever.
    pub(crate) clamp: u32,
    /// The program fixed the limit with SO_RCVBUF.
    pub(crate) fixed: bool,
    pub(crate) drs: RightSizing,
}

impl RecvSpace {
    fn new(now: Instant) -> RecvSpace {
        RecvSpace {
            irs: Seq(0),
            nxt: Seq(0),
            adv: Seq(0),
            wup: Seq(0),
            copied: Seq(0),
            shift: 0,
            limit: 0,
            ssthresh: 0,
            clamp: u32::MAX,
            fixed: false,
            drs: RightSizing::new(now),
        }
    }
}

/// The state of timestamps (RFC 7323).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamps {
    pub(crate) offset: u32,
    pub(crate) recent: u32,
    /// When `recent` was taken.
    pub(crate) recent_at: Instant,
}

/// Which SYN or SYN+ACK goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syn {
    /// The first of its kind.
    First,
    /// A copy: `rto` for the timer, `syn` because the peer sent its own again.
    Again(&'static str),
}

/// Requests to the sending side.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// SYN or SYN+ACK: for the first time, or again and why (the kind of retransmission).
    pub(crate) syn: Option<Syn>,
    /// An acknowledgement now, and why.
    pub(crate) ack: Option<&'static str>,
    /// That acknowledgement is a challenge, which the host limits (RFC 5961 §10).
    pub(crate) challenge: bool,
    /// A reset: the connection was aborted.
    pub(crate) rst: bool,
    /// A probe of a zero window or of an idle peer, and which.
    pub(crate) probe: Option<&'static str>,
    /// The end of the flight is to be probed for loss.
    pub(crate) tail_probe: bool,
    /// Send what the window allows although silly-window avoidance says wait.
    pub(crate) force: bool,
    /// The program said that more follows at once (MSG_MORE).
    pub(crate) more: bool,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    pub(crate) setup: Setup,
    pub(crate) config: Rc<TcpConfig>,
    pub(crate) state: State,
    pub(crate) snd: SendSpace,
    pub(crate) rcv: RecvSpace,
    /// The path MTU, bytes.
    pub(crate) pmtu: u16,
    pub(crate) send: SendBuffer,
    pub(crate) recv: RecvBuffer,
    pub(crate) ooo: Reassembly,
    pub(crate) timers: Timers,
    pub(crate) rtt: Rtt,
    pub(crate) cc: Control,
    pub(crate) rec: Recovery,
    pub(crate) ecn: Ecn,
    /// The bunch of new segments that is going out.
    pub(crate) bunch: Bunch,
    pub(crate) pacing: Pacing,
    pub(crate) timestamps: Option<Timestamps>,
    pub(crate) sack: bool,
    pub(crate) scaling: bool,
    /// When our SYN was sent, if once.
    pub(crate) syn_timed: Option<Instant>,
    /// When data was last sent again.
    pub(crate) resent: Option<Instant>,
    /// Time-outs in a row.
    pub(crate) retries: u8,
    /// When the first of them was.
    pub(crate) retrying_since: Option<Instant>,
    /// What is lost was too large for the path.
    pub(crate) too_large: bool,
    /// When the zero window was first probed.
    pub(crate) probing_since: Option<Instant>,
    /// Keep-alive probes in a row without an answer.
    pub(crate) probes: u8,
    /// The program asked to close its sending half; a FIN follows the data.
    pub(crate) closing: bool,
    /// A FIN that arrived out of order stands here.
    pub(crate) ooo_fin: Option<Seq>,
    /// The peer's FIN was taken.
    pub(crate) fin_received: bool,
    /// The program shut down its receiving half.
    pub(crate) read_closed: bool,
    /// No program holds the connection any more.
    pub(crate) orphan: bool,
    pub(crate) want: Wants,
    pub(crate) ack: AckPolicy,
    /// The peer's urgent byte.
    pub(crate) urgent: Urgent,
    /// The program found no room for what it wanted to write, and waits for some.
    pub(crate) no_space: bool,
    pub(crate) chrono: Chrono,
    /// Bytes of memory that the send buffer may take.
    pub(crate) sndbuf: u32,
    /// RFC 5961 §10: when the last challenge ACK was sent.
    pub(crate) challenged: Option<Instant>,
    pub(crate) settings: Settings,
    pub(crate) error: Option<Errno>,
    pub(crate) soft_error: Option<Errno>,
    pub(crate) wake: Readiness,
    /// The call that closed or aborted: the origin of the FIN or RST.
    pub(crate) close_cause: Cause,
    pub(crate) open_cause: Cause,
    /// When the connection began.
    pub(crate) opened: Instant,
    pub(crate) stats: ConnStats,
}

/// Counters of a connection, named as in [`TcpInfo`](super::info::TcpInfo).
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnStats {
    /// Segments sent again that the host's counters do not know yet.
    pub retransmits: u64,
    /// What repaired losses, of which the host's counters do not know yet.
    pub repairs: Repairs,
    /// Transitions refused that the host's counters do not know yet.
    pub bad_transitions: u64,
    /// Segments sent again.
    pub total_retransmits: u32,
    /// Segments sent.
    pub segments_out: u32,
    /// Segments received.
    pub segments_in: u32,
    /// Segments with data sent.
    pub data_segments_out: u32,
    /// Segments with data received.
    pub data_segments_in: u32,
    /// Segments received out of order.
    pub out_of_order: u32,
    /// Data bytes sent, copies counted.
    pub bytes_sent: u64,
    /// Data bytes sent again.
    pub bytes_retransmitted: u64,
    /// Bytes acknowledged by the peer, SYN and FIN counted as on Linux.
    pub bytes_acked: u64,
    /// Bytes received in order, the FIN counted as on Linux.
    pub bytes_received: u64,
    /// When data last arrived.
    pub last_data_in: Instant,
    /// When an acknowledgement last arrived.
    pub last_ack_in: Instant,
}

impl ConnStats {
    fn new(now: Instant) -> ConnStats {
        ConnStats { last_data_in: now, last_ack_in: now, ..ConnStats::default() }
    }
}

impl Connection {
    /// A connection in CLOSED, about to open.
    pub(crate) fn new(
        setup: Setup,
        config: Rc<TcpConfig>,
        settings: Settings,
        now: Instant,
    ) -> Connection {
        let mss = u32::from(setup.mss);
        let opening = Opening::new(&config, &settings, mss, config.window_scaling);
        let mut c = Connection {
            setup,
            state: State::Closed,
            snd: SendSpace::new(setup.iss, mss, now),
            rcv: RecvSpace::new(now),
            send: SendBuffer::default(),
            pmtu: setup.pmtu,
            recv: RecvBuffer::default(),
            ooo: Reassembly::default(),
            timers: Timers::default(),
            rtt: Rtt::new(&config),
            cc: Control::new(config.congestion, &config, setup.iss, now),
            rec: Recovery::new(&config, setup.iss),
            ecn: Ecn::default(),
            bunch: Bunch::default(),
            pacing: Pacing::new(&config, &settings),
            timestamps: config.timestamps.then_some(Timestamps {
                offset: setup.timestamp_offset,
                recent: 0,
                recent_at: now,
            }),
            sack: config.sack,
            scaling: config.window_scaling,
            syn_timed: None,
            resent: None,
            retries: 0,
            retrying_since: None,
            too_large: false,
            probing_since: None,
            urgent: Urgent::None,
            no_space: false,
            chrono: Chrono::default(),
            sndbuf: config.wmem.default,
            probes: 0,
            closing: false,
            ooo_fin: None,
            fin_received: false,
            read_closed: false,
            orphan: false,
            want: Wants::default(),
            ack: AckPolicy::new(now),
            challenged: None,
            settings,
            error: None,
            soft_error: None,
            wake: Readiness::empty(),
            close_cause: Cause::NONE,
            open_cause: Cause::NONE,
            opened: now,
            stats: ConnStats::new(now),
            config,
        };
        c.open_window(opening, mss);
        c
    }

    /// Active open: a SYN goes out next (RFC 9293 §3.10.1).
    pub(crate) fn connect(
        cx: &mut Ctx<'_>,
        setup: Setup,
        config: Rc<TcpConfig>,
        settings: Settings,
    ) -> Connection {
        let mut c = Connection::new(setup, config, settings, cx.now);
        c.open_cause = cx.cause;
        c.transition(cx, Trigger::ActiveOpen);
        c.want.syn = Some(Syn::First);
        c
    }

    /// Moves to the next state by the table and tells the trace.
    ///
    /// A transition that the table does not have is refused: it is counted and noted in the trace. It
    /// would be a defect of the caller, never the peer's doing, and tests stop at it.
    pub(crate) fn transition(&mut self, cx: &mut Ctx<'_>, trigger: Trigger) -> Cause {
        let from = self.state;
        let Some(to) = from.next(trigger) else { return self.refuse(cx, trigger) };
        self.state = to;
        let cause = cx.emit(self.setup.place, self.setup.flow, || Event::TcpState {
            socket: self.setup.id,
            from: from.name(),
            to: to.name(),
            trigger: trigger.name(),
        });
        match to {
            State::Closed => {
                self.timers.clear();
                self.rec.board.clear();
                let keep_rst = self.want.rst;
                self.want = Wants { rst: keep_rst, ..Wants::default() };
                self.send.clear();
                self.ooo.clear();
                self.wake |= Readiness::READABLE | Readiness::WRITABLE | Readiness::HANGUP;
            }
            State::TimeWait => {
                self.timers.clear();
                self.timers.set(Timer::Wait, cx.now + self.config.time_wait, cause);
                self.send.clear();
                self.rec.board.clear();
                self.cc.retire();
                self.wake |= Readiness::HANGUP;
            }
            State::FinWait2 if self.orphan => {
                self.timers.set(Timer::Wait, cx.now + self.fin_wait(), cause);
            }
            State::Established => {
                self.stats.last_data_in = cx.now;
                self.stats.last_ack_in = cx.now;
                self.wake |= Readiness::WRITABLE;
                self.arm_keep_alive(cx);
            }
            _ => {}
        }
        cause
    }

    fn refuse(&mut self, cx: &mut Ctx<'_>, trigger: Trigger) -> Cause {
        let (from, by) = (self.state.name(), trigger.name());
        debug_assert!(false, "no transition from {from} by {by}");
        self.stats.bad_transitions += 1;
        cx.emit(self.setup.place, self.setup.flow, || Event::Note {
            text: format!("a transition that does not exist was refused: {from} by {by}").into(),
        })
    }

    /// Ends the connection with an error for the program.
    pub(crate) fn fail(&mut self, cx: &mut Ctx<'_>, trigger: Trigger, error: Errno) {
        if self.state == State::Closed {
            return;
        }
        self.error = Some(error);
        self.wake |= Readiness::ERROR;
        // As Linux what was received and acknowledged can still be read (RFC 9293 §3.10.7.4 would
        // flush it).
        self.transition(cx, trigger);
    }

    /// An ICMP error quoted one of our segments (RFC 5927: only believed when the quoted
    /// sequence number is in flight).
    pub(crate) fn on_unreachable(&mut self, cx: &mut Ctx<'_>, error: Errno, quoted: Option<Seq>) {
        let believable = quoted.is_none_or(|s| self.is_in_flight(s));
        match self.state {
            _ if !believable => {}
            State::SynSent | State::SynReceived => self.fail(cx, Trigger::Unreachable, error),
            // RFC 9293 §3.9.2.2 MUST-56: soft errors do not end a connection.
            _ => self.soft_error = Some(error),
        }
    }

    /// When a timer is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether nothing is on its way that an answer is owed to.
    pub(crate) fn is_quiet(&self) -> bool {
        self.snd.una == self.snd.nxt
            && self.timers.due(Timer::DelayedAck).is_none()
            && self.timers.due(Timer::Persist).is_none()
            && !matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// Sequence number of the first byte in the send buffer.
    pub(crate) fn data_start(&self) -> Seq {
        if self.snd.syn_acked { self.snd.una } else { self.snd.iss + 1 }
    }

    /// Sequence number behind the last byte in the send buffer: where a FIN stands.
    pub(crate) fn data_end(&self) -> Seq {
        self.snd.fin.unwrap_or_else(|| self.data_start() + self.send.len() as u32)
    }

    /// Bytes on their way, the SYN and the FIN counted as one each.
    pub(crate) fn in_flight(&self) -> u32 {
        self.snd.nxt.ahead_of(self.snd.una)
    }

    /// Our timestamp now, in milliseconds from a random start.
    pub(crate) fn timestamp(&self, now: Instant) -> u32 {
        let offset = self.timestamps.map_or(0, |t| t.offset);
        offset.wrapping_add(now.as_millis() as u32)
    }

    /// Takes over what a SYN's options offer (RFC 9293 §3.7.1, RFC 7323 §2 and §3, RFC 2018 §2).
    pub(crate) fn take_syn_options(&mut self, cx: &Ctx<'_>, o: &SegmentOptions) {
        // RFC 9293 MUST-15: 536 without the option (1220 for IPv6).
        let default = if self.setup.remote.is_ipv4() { 536 } else { 1220 };
        self.snd.peer_mss = match o.mss {
            None | Some(0) => default,
            Some(mss) => mss,
        };
        if self.settings.max_seg > 0 {
            self.snd.peer_mss = self.snd.peer_mss.min(self.settings.max_seg);
        }
        self.sack &= o.sack_permitted;
        match (o.timestamps, &mut self.timestamps) {
            (Some((val, _)), Some(ts)) => {
                ts.recent = val;
                ts.recent_at = cx.now;
            }
            (None, ts) => *ts = None,
            (Some(_), None) => {}
        }
        self.sync_mss();
        match o.window_shift {
            Some(shift) if self.scaling => self.snd.shift = shift,
            _ => {
                self.drop_scaling();
            }
        }
    }
}
