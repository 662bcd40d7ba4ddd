//! Congestion control: the window, and behind one trait the algorithms that move it.
//!
//! As on Linux the window counts segments, not bytes. Loss recovery (`recovery`) decides *when*
//! the window is reduced, spreads the reduction over a round trip (PRR) and takes it back when it
//! was a mistake; an algorithm ([`Controller`]) only says *how far*, and how the window grows
//! while nothing is wrong.
//!
//! - [`reno`]: RFC 5681 with appropriate byte counting (RFC 3465);
//! - [`cubic`]: RFC 9438, in integers;
//! - [`hystart`]: HyStart++ (RFC 9406), which ends slow start before it overflows a queue, and the
//!   older HyStart of Linux.

pub mod cubic;
pub mod hystart;
pub mod reno;

use std::fmt::Debug;

use netarium_base::{Duration, Instant};

use super::config::{Congestion, TcpConfig};
use super::seq::Seq;

/// «No limit yet», as Linux' TCP_INFINITE_SSTHRESH.
pub const INFINITE: u32 = 0x7fff_ffff;

/// The window and the evidence of how much of it is used. Counts are segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Congestion window, at least 1.
    pub cwnd: u32,
    /// Slow-start threshold; [`INFINITE`] at first.
    pub ssthresh: u32,
    /// Acknowledged segments that did not yet add up to a growth (RFC 3465 `bytes_acked`).
    pub credit: u32,
    /// Sending stopped at the window in the current round.
    limited: bool,
    /// The most segments in flight in the current round, while the window was not the limit.
    most_out: u32,
    /// The current round ends when this is acknowledged.
    round_end: Seq,
    /// The most in flight since `stamp`.
    used: u32,
    /// When the window was last seen to be used, or was changed.
    stamp: Instant,
}

impl Window {
    /// The window at the start of a connection.
    pub fn new(segments: u32, start: Seq, now: Instant) -> Window {
        Window {
            cwnd: segments.max(1),
            ssthresh: INFINITE,
            credit: 0,
            limited: false,
            most_out: 0,
            round_end: start,
            used: 0,
            stamp: now,
        }
    }

    /// Whether the window is below the threshold.
    pub fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Whether the window is what limits the sender (RFC 9293 via RFC 7661 §4.4: a window that is
    /// not used is no evidence for a larger one). In slow start it may be twice what is used.
    pub fn is_limiting(&self) -> bool {
        self.limited || (self.in_slow_start() && self.cwnd < self.most_out.saturating_mul(2))
    }

    /// Slow start takes `acked` segments; what is left when the threshold is reached.
    pub fn slow_start(&mut self, acked: u32) -> u32 {
        let to = self.cwnd.saturating_add(acked).min(self.ssthresh);
        let left = acked - (to - self.cwnd);
        self.cwnd = to;
        left
    }

    /// Grows by one segment for each `per` acknowledged ones.
    pub fn grow(&mut self, per: u32, acked: u32) {
        let per = per.max(1);
        // What was saved up while growth was slower is applied gently.
        if self.credit >= per {
            self.credit = 0;
            self.cwnd = self.cwnd.saturating_add(1);
        }
        self.credit = self.credit.saturating_add(acked);
        let steps = self.credit / per;
        self.credit -= steps * per;
        self.cwnd = self.cwnd.saturating_add(steps);
    }

    /// Notes after a burst whether the window stopped it. Whether the window shrank because the
    /// program had not used it for a whole time-out (RFC 7661 §4.4, as Linux does it).
    pub(crate) fn validate(&mut self, burst: &Burst) -> bool {
        let Burst { now, una, nxt, out, limited, .. } = *burst;
        let new_round = una.at_or_after(self.round_end);
        if new_round || limited || (!self.limited && out > self.most_out) {
            self.limited = limited;
            self.most_out = out;
            self.round_end = nxt;
        }
        if self.is_limiting() {
            self.used = 0;
            self.stamp = now;
            return false;
        }
        self.used = self.used.max(out);
        if burst.shrink && now.since(self.stamp) >= burst.rto {
            return self.shrink_unused(burst);
        }
        false
    }

    fn shrink_unused(&mut self, burst: &Burst) -> bool {
        let before = self.cwnd;
        if burst.by_program {
            let used = self.used.max(burst.initial);
            if used < self.cwnd {
                self.ssthresh = self.current_ssthresh(false);
                self.cwnd = (self.cwnd + used) / 2;
            }
            self.used = 0;
        }
        self.stamp = burst.now;
        self.cwnd != before
    }

    /// The threshold to go back to: three quarters of the window, if that is more; during a
    /// reduction the reduced one.
    pub(crate) fn current_ssthresh(&self, reducing: bool) -> u32 {
        if reducing { self.ssthresh } else { self.ssthresh.max(self.cwnd / 2 + self.cwnd / 4) }
    }

    /// Restart after `idle` without sending (RFC 5681 §4.1; as Linux the window halves for each
    /// time-out of silence, down to the initial window).
    pub(crate) fn restart(&mut self, idle: Duration, rto: Duration, initial: u32, now: Instant) {
        self.ssthresh = self.current_ssthresh(false);
        let floor = initial.min(self.cwnd);
        let mut left = idle.saturating_sub(rto);
        while !left.is_zero() && self.cwnd > floor {
            self.cwnd /= 2;
            left = left.saturating_sub(rto);
        }
        self.cwnd = self.cwnd.max(floor);
        self.stamp = now;
        self.used = 0;
    }

    /// The window was set by loss recovery.
    pub(crate) fn set(&mut self, cwnd: u32, now: Instant) {
        self.cwnd = cwnd.max(1);
        self.stamp = now;
    }
}

/// What is known after a burst of sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) now: Instant,
    pub(crate) una: Seq,
    pub(crate) nxt: Seq,
    /// Segments sent and not acknowledged.
    pub(crate) out: u32,
    /// The window let no more out.
    pub(crate) limited: bool,
    /// The program, not the send buffer, is what keeps the window unused, and no loss is known.
    pub(crate) by_program: bool,
    /// Unused windows shrink.
    pub(crate) shrink: bool,
    pub(crate) rto: Duration,
    pub(crate) initial: u32,
}

/// What an acknowledgement says to a controller. Counts are segments.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// When it arrived.
    pub now: Instant,
    /// Segments newly delivered, by cumulative acknowledgement or SACK.
    pub acked: u32,
    /// Segments delivered since the connection began.
    pub delivered: u32,
    /// Segments in flight before it.
    pub in_flight: u32,
    /// The round trip of the newest segment it acknowledges, if that can be told.
    pub rtt: Option<Duration>,
    /// Smoothed round trip.
    pub srtt: Option<Duration>,
    /// The oldest sequence number not acknowledged.
    pub una: Seq,
    /// The next sequence number to be sent.
    pub nxt: Seq,
}

/// What else happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The retransmission timer fired.
    TimedOut,
    /// Sending starts again after nothing was in flight for this long.
    Resumed(Duration),
    /// The window was restored: the loss was none.
    Undone,
}

/// A congestion control algorithm.
pub trait Controller: Debug {
    /// Its name, as TCP_CONGESTION takes it.
    fn name(&self) -> &'static str;

    /// An acknowledgement arrived, in whatever state loss recovery is. The reason, when the
    /// threshold changed.
    fn measured(&mut self, window: &mut Window, ack: &Ack) -> Option<&'static str>;

    /// Nothing is wrong and new data was acknowledged: the window may grow. The reason, when it
    /// did.
    fn grow(&mut self, window: &mut Window, ack: &Ack) -> Option<&'static str>;

    /// The new threshold after loss or a congestion mark, at least 2.
    fn reduced(&mut self, window: &Window, now: Instant) -> u32;

    /// Something else happened.
    fn on_change(&mut self, change: Change, now: Instant);
}

/// A connection's congestion control.
#[derive(Debug)]
pub struct Control {
    /// The window.
    pub window: Window,
    /// The algorithm.
    pub algorithm: Box<dyn Controller>,
}

impl Control {
    /// Congestion control at the start of a connection.
    pub fn new(which: Congestion, config: &TcpConfig, start: Seq, now: Instant) -> Control {
        Control {
            window: Window::new(config.initial_window, start, now),
            algorithm: algorithm(which, config),
        }
    }

    /// Nothing will be sent any more: keeps the window only.
    pub(crate) fn retire(&mut self) {
        self.algorithm = Box::new(reno::Reno);
    }

    /// Changes the algorithm; the window stays.
    pub fn switch(&mut self, which: Congestion, config: &TcpConfig) {
        if self.algorithm.name() != which.name() {
            self.algorithm = algorithm(which, config);
        }
    }
}

fn algorithm(which: Congestion, config: &TcpConfig) -> Box<dyn Controller> {
    match which {
        Congestion::Reno => Box::new(reno::Reno),
        Congestion::Cubic => Box::new(cubic::Cubic::new(config.hystart)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window::new(10, Seq(0), Instant::ZERO)
    }

    fn burst(at: u64, out: u32, limited: bool) -> Burst {
        Burst {
            now: Instant::ZERO + Duration::from_millis(at),
            una: Seq(1),
            nxt: Seq(1 + out),
            out,
            limited,
            by_program: true,
            shrink: true,
            rto: Duration::from_millis(200),
            initial: 10,
        }
    }

    /// RFC 5681 §4.1: one halving per silent time-out, not below the initial window.
    #[test]
    fn idle_halves_down_to_the_initial_window() {
        let rto = Duration::from_millis(200);
        for (idle, cwnd) in [(200, 100), (201, 50), (399, 50), (401, 25), (601, 12), (10_000, 10)] {
            let mut w = Window { cwnd: 100, ..window() };
            w.restart(Duration::from_millis(idle), rto, 10, Instant::ZERO);
            assert_eq!((w.cwnd, w.ssthresh), (cwnd, INFINITE), "after {idle} ms");
        }
        let mut small = Window { cwnd: 4, ssthresh: 4, ..window() };
        small.restart(Duration::from_secs(9), rto, 10, Instant::ZERO);
        assert_eq!(small.cwnd, 4, "idleness does not enlarge");
    }

    /// RFC 7661: a window that was not used for a time-out moves half way to what was used.
    #[test]
    fn an_unused_window_shrinks() {
        let mut w = Window { cwnd: 100, ssthresh: 50, ..window() };
        assert!(!w.validate(&burst(0, 20, false)));
        assert!(!w.validate(&burst(199, 20, false)));
        assert!(w.validate(&burst(200, 20, false)));
        assert_eq!((w.cwnd, w.ssthresh), (60, 75));
    }

    #[test]
    fn slow_start_counts_as_limiting_up_to_twice_the_flight() {
        let mut w = window();
        w.validate(&burst(0, 4, false));
        assert!(!w.is_limiting(), "4 of 10");
        w.validate(&burst(1, 6, false));
        assert!(w.is_limiting(), "6 of 10, below the threshold");
        w.ssthresh = 10;
        assert!(!w.is_limiting(), "not in avoidance");
        w.validate(&burst(1, 10, true));
        assert!(w.is_limiting());
    }

    #[test]
    fn growth_stops_at_the_threshold_and_counts_on() {
        let mut w = Window { cwnd: 10, ssthresh: 13, ..window() };
        assert_eq!(w.slow_start(5), 2);
        w.grow(13, 2);
        assert_eq!((w.cwnd, w.credit), (13, 2));
        w.grow(13, 24);
        assert_eq!((w.cwnd, w.credit), (15, 0));
        w.grow(15, 14);
        w.grow(5, 0);
        assert_eq!((w.cwnd, w.credit), (16, 0), "a sudden speed-up applies one segment");
    }
}
