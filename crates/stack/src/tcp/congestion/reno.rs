//! Reno (RFC 5681 §3.1) with appropriate byte counting (RFC 3465), counted in segments.

use netarium_base::Instant;

use super::{Ack, Change, Controller, Window};

/// Reno. All it needs stands in the window.
#[derive(Clone, Copy, Debug)]
pub struct Reno;

impl Controller for Reno {
    fn name(&self) -> &'static str {
        "reno"
    }

    fn measured(&mut self, _window: &mut Window, _ack: &Ack) -> Option<&'static str> {
        None
    }

    fn grow(&mut self, window: &mut Window, ack: &Ack) -> Option<&'static str> {
        if !window.is_limiting() {
            return None;
        }
        let before = window.cwnd;
        let mut left = ack.acked;
        if window.in_slow_start() {
            left = window.slow_start(left);
        }
        let slow_start = left == 0;
        if left > 0 {
            window.grow(window.cwnd, left);
        }
        let reason = if slow_start { "slow-start" } else { "avoidance" };
        (window.cwnd != before).then_some(reason)
    }

    /// RFC 5681 §3.1, equation 4.
    fn reduced(&mut self, window: &Window, _now: Instant) -> u32 {
        (window.cwnd / 2).max(2)
    }

    fn on_change(&mut self, _change: Change, _now: Instant) {}
}

#[cfg(test)]
mod tests {
    use netarium_base::Duration;

    use super::*;
    use crate::tcp::congestion::Burst;
    use crate::tcp::seq::Seq;

    fn ack(acked: u32) -> Ack {
        Ack {
            now: Instant::ZERO,
            acked,
            delivered: 0,
            in_flight: 10,
            rtt: None,
            srtt: None,
            una: Seq(0),
            nxt: Seq(0),
        }
    }

    fn limited(window: &mut Window) {
        window.validate(&Burst {
            now: Instant::ZERO,
            una: Seq(0),
            nxt: Seq(0),
            out: window.cwnd,
            limited: true,
            by_program: true,
            shrink: true,
            rto: Duration::from_secs(1),
            initial: 10,
        });
    }

    #[test]
    fn reno_doubles_then_adds_one_per_round_and_halves() {
        let mut w = Window::new(10, Seq(0), Instant::ZERO);
        assert_eq!(Reno.grow(&mut w, &ack(2)), None, "an unused window does not grow");
        limited(&mut w);
        assert_eq!(Reno.grow(&mut w, &ack(2)), Some("slow-start"));
        assert_eq!(w.cwnd, 12);
        w.ssthresh = Reno.reduced(&w, Instant::ZERO);
        assert_eq!(w.ssthresh, 6);
        w.cwnd = 6;
        let grown: Vec<_> = (0..6).map(|_| Reno.grow(&mut w, &ack(1))).collect();
        assert_eq!(grown[..5], [None; 5]);
        assert_eq!((grown[5], w.cwnd), (Some("avoidance"), 7));
        w.cwnd = 3;
        assert_eq!(Reno.reduced(&w, Instant::ZERO), 2, "at least two");
    }
}
