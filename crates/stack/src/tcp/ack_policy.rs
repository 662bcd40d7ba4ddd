//! When to acknowledge what was received (RFC 9293 §3.8.6.3, RFC 5681 §4.2), as Linux decides it.
//!
//! Every second full segment is acknowledged at once, others are held back for an adaptive time
//! (`ato`) between 40 ms and 200 ms. Three things make acknowledgements quick: the start of a
//! connection, anything that looks like loss, and a peer that was silent for long. A connection on
//! which each side answers the other («ping-pong») delays, so that the answer carries the
//! acknowledgement.

use netarium_base::{Ctx, Duration, Instant};

use super::connection::Connection;
use super::timers::Timer;

/// Acknowledgements sent at once at the start of a connection, at most.
pub(crate) const MAX_QUICK: u8 = 16;
/// RFC 9293 MUST-15, as the first guess of the peer's segments.
pub(crate) const DEFAULT_MSS: u32 = 536;
/// The smallest segment that is taken for a full one when it does not end a write.
const MIN_MSS: u32 = 88;

/// What a connection knows about the peer's segments and its own haste.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckPolicy {
    /// An acknowledgement is owed.
    pub(crate) scheduled: bool,
    /// Small segments that end a write since the last acknowledgement: 0, 1, 2 for more.
    pushed: u8,
    /// So many acknowledgements go out at once.
    pub(crate) quick: u8,
    /// The program answers what it receives.
    pub(crate) pingpong: bool,
    /// The estimated time between segments; zero before the first.
    pub(crate) ato: Duration,
    /// When data last arrived.
    last_in: Instant,
    /// Estimate of the peer's full segment, payload bytes.
    pub(crate) rcv_mss: u32,
    /// A smaller segment seen last: a second of the same size lowers the estimate.
    last_size: u32,
}

impl AckPolicy {
    pub(crate) fn new(now: Instant) -> AckPolicy {
        AckPolicy {
            scheduled: false,
            pushed: 0,
            quick: 0,
            pingpong: false,
            ato: Duration::ZERO,
            last_in: now,
            rcv_mss: DEFAULT_MSS,
            last_size: 0,
        }
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.quick > 0 && !self.pingpong
    }

    /// An acknowledgement was sent, with data or without.
    pub(crate) fn note_sent(&mut self, ato_min: Duration) {
        if self.quick > 0 && self.scheduled {
            self.quick -= 1;
            if self.quick == 0 {
                self.ato = ato_min;
            }
        }
        self.scheduled = false;
        self.pushed = 0;
    }

    /// Data was sent: soon after receiving, it is an answer.
    pub(crate) fn note_data_sent(&mut self, now: Instant) {
        if now.since(self.last_in) < self.ato {
            self.pingpong = true;
        }
    }

    /// Estimates the peer's segment size from a segment of `len` payload bytes.
    fn measure(&mut self, len: u32, push: bool, options: u32, mss: u32) {
        let last = std::mem::take(&mut self.last_size);
        if len >= self.rcv_mss {
            self.rcv_mss = len.min(mss);
            if push {
                self.pushed = self.pushed.max(1);
            }
            return;
        }
        if len + options >= DEFAULT_MSS || (len + options >= MIN_MSS && !push) {
            self.last_size = len;
            if len == last {
                self.rcv_mss = len;
                return;
            }
        }
        self.pushed = (self.pushed + 1).min(2);
    }
}

impl Connection {
    /// The handshake is done: a first guess of the peer's segment size.
    pub(crate) fn guess_peer_mss(&mut self) {
        let mss = u32::from(self.setup.mss).min(self.snd.mss);
        let window = self.rcv.adv.ahead_of(self.rcv.nxt);
        self.ack.rcv_mss = mss.min(window / 2).clamp(MIN_MSS, DEFAULT_MSS);
    }

    /// The largest segment that the peer sends: what we offered, less the timestamps.
    pub(crate) fn peer_mss(&self) -> u32 {
        u32::from(self.setup.mss) - self.option_bytes()
    }

    /// New data of `len` bytes arrived in order.
    pub(crate) fn note_data_in(&mut self, now: Instant, len: u32, push: bool) {
        let ato_min = self.config.delayed_ack_min;
        self.ack.scheduled = true;
        self.ack.measure(len, push, self.option_bytes(), self.peer_mss());
        let gap = now.since(self.ack.last_in);
        if self.ack.ato.is_zero() {
            self.raise_quick();
            self.ack.ato = ato_min;
        } else if gap <= ato_min / 2 {
            self.ack.ato = self.ack.ato / 2 + ato_min / 2;
        } else if gap < self.ack.ato {
            self.ack.ato = (self.ack.ato / 2 + gap).min(self.rtt.rto());
        } else if gap > self.rtt.rto() {
            // The peer starts anew and needs acknowledgements to open its window.
            self.raise_quick();
        }
        self.ack.last_in = now;
        if len >= 128 {
            self.grow_window(len);
        }
    }

    /// As many quick acknowledgements as there are pairs of segments in the window.
    fn raise_quick(&mut self) {
        let window = self.rcv.adv.ahead_of(self.rcv.nxt);
        let pairs = (window / (2 * self.ack.rcv_mss.max(1))).max(2);
        self.ack.quick = self.ack.quick.max(pairs.min(MAX_QUICK.into()) as u8);
    }

    /// Something was lost or came twice: the peer is told at once from now on.
    pub(crate) fn enter_quick_mode(&mut self) {
        self.raise_quick();
        self.ack.pingpong = false;
        self.ack.ato = self.config.delayed_ack_min;
    }

    /// A segment was processed: acknowledges it now, later, or not at all.
    pub(crate) fn consider_ack(&mut self, cx: &mut Ctx<'_>) {
        if self.want.ack.is_some() || !self.ack.scheduled {
            return;
        }
        let unacked = self.rcv.nxt.ahead_of(self.rcv.wup);
        let too_few = (self.recv.len() as u32) < self.settings.recv_lowat;
        if unacked > self.ack.rcv_mss && (too_few || self.window_keeps_up()) {
            self.want.ack = Some("second segment received");
        } else if self.ack.is_quick() {
            self.want.ack = Some("data received");
        } else if !self.ooo.is_empty() {
            self.want.ack = Some("out of order");
        } else {
            self.delay_ack(cx);
        }
    }

    fn delay_ack(&mut self, cx: &mut Ctx<'_>) {
        let config = &self.config;
        let mut ato = self.ack.ato;
        if ato > config.delayed_ack_min {
            let eager = self.ack.pingpong || self.ack.pushed > 0;
            let mut max = if eager { config.delayed_ack_max } else { Duration::from_millis(500) };
            if let Some(srtt) = self.rtt.srtt() {
                max = max.min(srtt.max(config.delayed_ack_min));
            }
            ato = ato.min(max);
        }
        ato = ato.min(config.delayed_ack_max).max(Duration::from_millis(1));
        let mut due = cx.now + ato;
        if let Some(running) = self.timers.due(Timer::DelayedAck) {
            if running <= cx.now + ato / 4 {
                self.want.ack = Some("delayed ack");
                return;
            }
            if running <= due {
                due = running;
            }
        }
        self.timers.set(Timer::DelayedAck, due, cx.cause);
    }

    /// The delayed acknowledgement is due.
    pub(crate) fn on_delayed_ack(&mut self) {
        if !self.ack.scheduled {
            return;
        }
        if self.ack.pingpong {
            self.ack.pingpong = false;
            self.ack.ato = self.config.delayed_ack_min;
        } else {
            self.ack.ato = (self.ack.ato * 2).min(self.rtt.rto());
        }
        self.want.ack = Some("delayed ack");
    }

    /// The program has read `n` bytes: acknowledges what was held back for it, or tells the peer
    /// that the window has opened.
    pub(crate) fn consider_ack_after_read(&mut self, n: usize) {
        if !self.state.is_synchronized() {
            return;
        }
        if self.ack.scheduled {
            let unacked = self.rcv.nxt.ahead_of(self.rcv.wup);
            let small = self.ack.pushed > 1 || (self.ack.pushed > 0 && !self.ack.pingpong);
            if unacked > self.ack.rcv_mss || (n > 0 && small && self.recv.is_empty()) {
                self.want.ack.get_or_insert("data read");
                return;
            }
        }
        if n > 0 {
            self.consider_window_update();
        }
    }

    /// TCP_QUICKACK.
    pub(crate) fn set_quick_ack(&mut self, on: bool) {
        self.ack.pingpong = !on;
        if on && self.ack.scheduled {
            self.want.ack.get_or_insert("quick ack");
        }
    }
}
