//! CUBIC (RFC 9438) in integers.
//!
//! Windows are segments, times on the curve are 1/1024 s, the scaling constant C is 410/1024
//! (0.4 in the RFC), the reduction β is 717/1024 (0.7), and the growth of the Reno-friendly
//! estimate one segment per 15/8 windows (α = 3·(1−β)/(1+β) ≈ 8/15).

use netarium_base::{Duration, Instant};

use super::hystart::Exit;
use super::{Ack, Change, Controller, Window};
use crate::tcp::config::Hystart;

/// β · 1024 (RFC 9438 §4.6).
const BETA: u64 = 717;
/// C · 1024 (RFC 9438 §4.1).
const C: u64 = 410;
/// Eighths of a window that α of the Reno-friendly region takes for one segment.
const FRIENDLY: u64 = 15;
/// While nothing is known of the path, one segment for so many at least.
const BLIND: u32 = 20;
/// Samples right after a reduction are no measure of the path.
const SETTLE: Duration = Duration::from_secs(1);
/// The curve is looked at again when the window moved or after this.
const STALE: Duration = Duration::from_millis(31);

/// The curve that the window follows since the last reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Epoch {
    start: Instant,
    /// Time from the start of the epoch to its plateau, 1/1024 s: `K`.
    k: u32,
    /// The window of the plateau.
    origin: u32,
    /// Segments acknowledged that the Reno-friendly estimate has not used up.
    acked: u32,
    /// What Reno would have: `W_est`.
    friendly: u32,
    /// One segment of growth for so many acknowledged ones.
    per: u32,
    /// For which window `per` was computed, and when.
    computed_for: u32,
    computed: Instant,
}

/// What a reduction changed, to take it back.
#[derive(Clone, Copy, Debug)]
struct Before {
    w_max: u32,
    epoch: Option<Epoch>,
}

/// CUBIC.
#[derive(Clone, Debug, Default)]
pub struct Cubic {
    /// The window before the last reduction, less when it was itself not reached: `W_max`.
    w_max: u32,
    /// The window before the last reduction: `cwnd_prior`.
    cwnd_prior: u32,
    epoch: Option<Epoch>,
    /// The shortest round trip.
    min_rtt: Option<Duration>,
    before: Option<Box<Before>>,
    hystart: Exit,
}

impl Cubic {
    /// CUBIC at the start of a connection.
    pub fn new(hystart: Hystart) -> Cubic {
        Cubic { hystart: Exit::new(hystart), ..Cubic::default() }
    }

    fn epoch(&mut self, cwnd: u32, acked: u32, now: Instant) -> &mut Epoch {
        let w_max = self.w_max;
        let epoch = self.epoch.get_or_insert_with(|| {
            // RFC 9438 §4.2: K = cbrt((W_max − cwnd_epoch) / C).
            let (k, origin) = if w_max > cwnd {
                (cube_root((u64::from(w_max - cwnd) << 40) / C) as u32, w_max)
            } else {
                (0, cwnd)
            };
            Epoch {
                start: now,
                k,
                origin,
                acked: 0,
                friendly: cwnd,
                per: 0,
                computed_for: 0,
                computed: Instant::ZERO,
            }
        });
        epoch.acked = epoch.acked.saturating_add(acked);
        epoch
    }

    /// How many acknowledged segments make the window grow by one (RFC 9438 §4.2 to §4.5).
    fn segments_per_growth(&mut self, cwnd: u32, acked: u32, now: Instant) -> u32 {
        let (blind, prior) = (self.w_max == 0, self.cwnd_prior);
        let ahead = self.min_rtt.unwrap_or(Duration::ZERO);
        let epoch = self.epoch(cwnd, acked, now);
        let fresh = epoch.computed_for == cwnd && now.since(epoch.computed) <= STALE;
        if epoch.per > 0 && fresh {
            return epoch.per;
        }
        (epoch.computed_for, epoch.computed) = (cwnd, now);
        // RFC 9438 §4.2: the target is where the curve will be one round trip from now.
        let target = epoch.target(ticks(now.since(epoch.start) + ahead));
        let mut per = if target > cwnd { cwnd / (target - cwnd) } else { cwnd.saturating_mul(100) };
        if blind {
            per = per.min(BLIND);
        }
        per = per.min(epoch.friendly_per(cwnd, prior));
        // RFC 9438 §4.2: the target is at most 1.5 windows away.
        epoch.per = per.max(2);
        epoch.per
    }
}

impl Epoch {
    /// The window of the curve `t` 1/1024 s after the start of the epoch (RFC 9438 figure 1).
    fn target(&self, t: u64) -> u32 {
        let k = u64::from(self.k);
        let away = u128::from(t.abs_diff(k));
        let delta = (u128::from(C) * away * away * away) >> 40;
        let delta = u32::try_from(delta).unwrap_or(u32::MAX);
        if t < k { self.origin.saturating_sub(delta) } else { self.origin.saturating_add(delta) }
    }

    /// RFC 9438 §4.3: not slower than Reno. Past the window before the reduction α is 1.
    fn friendly_per(&mut self, cwnd: u32, prior: u32) -> u32 {
        loop {
            let eighths = if self.friendly >= prior && prior > 0 { 8 } else { FRIENDLY };
            let round = u32::try_from((u64::from(cwnd) * eighths) >> 3).unwrap_or(u32::MAX);
            if round == 0 || self.acked <= round {
                break;
            }
            self.acked -= round;
            self.friendly = self.friendly.saturating_add(1);
        }
        if self.friendly > cwnd { cwnd / (self.friendly - cwnd) } else { u32::MAX }
    }
}

impl Controller for Cubic {
    fn name(&self) -> &'static str {
        "cubic"
    }

    fn measured(&mut self, window: &mut Window, ack: &Ack) -> Option<&'static str> {
        let rtt = ack.rtt?;
        if self.epoch.is_some_and(|e| ack.now.since(e.start) < SETTLE) {
            return None;
        }
        self.min_rtt = Some(self.min_rtt.map_or(rtt, |m| m.min(rtt)));
        let shortest = self.min_rtt.unwrap_or(rtt);
        self.hystart.measured(window, ack, shortest)
    }

    fn grow(&mut self, window: &mut Window, ack: &Ack) -> Option<&'static str> {
        if !window.is_limiting() {
            return None;
        }
        let before = window.cwnd;
        let mut left = ack.acked;
        if window.in_slow_start() {
            left = self.hystart.growth(window, left);
            if left == 0 {
                return None;
            }
            left = window.slow_start(left);
            if left == 0 {
                let careful = self.hystart.is_careful();
                return Some(if careful { "careful slow-start" } else { "slow-start" });
            }
        }
        let slow = window.cwnd;
        let per = self.segments_per_growth(slow, left, ack.now);
        window.grow(per, left);
        match window.cwnd {
            now if now != slow => Some("cubic"),
            // It reached the threshold, and what was left gave nothing more.
            _ => (slow != before).then_some("slow-start"),
        }
    }

    /// RFC 9438 §4.6, and §4.7, fast convergence: who did not get back to its last maximum leaves
    /// room for others.
    fn reduced(&mut self, window: &Window, _now: Instant) -> u32 {
        let cwnd = u64::from(window.cwnd);
        self.before = Some(Box::new(Before { w_max: self.w_max, epoch: self.epoch.take() }));
        let converging = window.cwnd < self.w_max;
        self.w_max = if converging { (cwnd * (1024 + BETA) / 2048) as u32 } else { window.cwnd };
        self.cwnd_prior = window.cwnd;
        ((cwnd * BETA / 1024) as u32).max(2)
    }

    fn on_change(&mut self, change: Change, _now: Instant) {
        match change {
            // RFC 9438 §4.8: slow start, then a curve that begins where slow start ends.
            Change::TimedOut => {
                self.w_max = 0;
                self.epoch = None;
                self.min_rtt = None;
                self.hystart.timed_out();
            }
            // RFC 9438 §5.8: time without data is not time on the curve.
            Change::Resumed(idle) => {
                if let Some(epoch) = &mut self.epoch {
                    epoch.start += idle;
                }
            }
            // RFC 9438 §4.9.
            Change::Undone => {
                if let Some(before) = self.before.take() {
                    self.w_max = before.w_max;
                    self.epoch = before.epoch;
                }
            }
        }
    }
}

/// Whole 1/1024 s.
fn ticks(d: Duration) -> u64 {
    d.as_micros().saturating_mul(1024) / 1_000_000
}

/// The integer cube root.
fn cube_root(n: u64) -> u64 {
    let (mut low, mut high) = (0u64, 1 << 22);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if middle * middle * middle <= n { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::Burst;
    use crate::tcp::seq::Seq;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    /// A path of `rtt` ms on which every window is used and acknowledged in full, segment by
    /// segment; the window at each round, from a reduction at `cwnd` on.
    fn after_reduction(cwnd: u32, rtt: u64, rounds: u64) -> Vec<u32> {
        let mut c = Cubic { min_rtt: Some(Duration::from_millis(rtt)), ..Cubic::default() };
        let mut w = Window { cwnd, ..Window::new(10, Seq(0), at(0)) };
        w.ssthresh = c.reduced(&w, at(0));
        w.cwnd = w.ssthresh;
        let mut windows = vec![w.cwnd];
        for round in 0..rounds {
            let n = w.cwnd;
            for i in 0..n {
                let now =
                    at(round * rtt) + Duration::from_millis(rtt) * u64::from(i) / u64::from(n);
                w.validate(&burst(now, w.cwnd));
                c.grow(&mut w, &ack(now, 1));
            }
            windows.push(w.cwnd);
        }
        windows
    }

    fn burst(now: Instant, out: u32) -> Burst {
        Burst {
            now,
            una: Seq(0),
            nxt: Seq(0),
            out,
            limited: true,
            by_program: false,
            shrink: true,
            rto: Duration::from_secs(1),
            initial: 10,
        }
    }

    fn ack(now: Instant, acked: u32) -> Ack {
        Ack {
            now,
            acked,
            delivered: 0,
            in_flight: 0,
            rtt: None,
            srtt: None,
            una: Seq(0),
            nxt: Seq(0),
        }
    }

    #[test]
    fn cube_roots_are_exact() {
        for (n, root) in [(0, 0), (1, 1), (7, 1), (8, 2), (26, 2), (27, 3), (1 << 60, 1 << 20)] {
            assert_eq!(cube_root(n), root);
        }
        let edge = 1_234_567u64.pow(3);
        assert_eq!((cube_root(edge), cube_root(edge - 1)), (1_234_567, 1_234_566));
    }

    /// RFC 9438 §4.2: K = cbrt((W_max − cwnd_epoch)/C). From 1000 reduced to 700 that is
    /// cbrt(300/0.4) = 9.086 s; the window is back at its maximum then, and flat around it.
    #[test]
    fn the_old_maximum_is_reached_after_k() {
        let windows = after_reduction(1000, 100, 130);
        assert_eq!(windows[0], 700);
        let reached = windows.iter().position(|w| *w >= 990).unwrap();
        assert!((58..=64).contains(&reached), "990 in round {reached}, not after 6.16 s");
        let full = windows.iter().position(|w| *w >= 1000).unwrap();
        assert!((75..=80).contains(&full), "1000, rounded, in round {full}");
        // W(t) = 0.4·(t − 9.086)³ + 1000.
        for (t, expect) in [(20, 858), (40, 947), (60, 988), (80, 999), (120, 1010)] {
            let w = windows[t];
            assert!(w.abs_diff(expect) <= 4, "{w} instead of {expect} after {t} rounds");
        }
    }

    /// RFC 9438 §4.3: on short paths CUBIC is Reno with α ≈ 0.53 until W_max, then α = 1.
    #[test]
    fn short_round_trips_are_reno_friendly() {
        let windows = after_reduction(20, 10, 200);
        assert_eq!(windows[0], 14);
        let back = windows.iter().position(|w| *w >= 20).unwrap();
        assert!((10..=14).contains(&back), "6 segments at 8/15 a round: {back}");
        let later = windows[back + 20] - windows[back];
        assert!((17..=22).contains(&later), "then one a round: {later}");
    }

    #[test]
    fn fast_convergence_and_undo() {
        let mut c = Cubic::default();
        let mut w = Window { cwnd: 100, ..Window::new(10, Seq(0), at(0)) };
        assert_eq!((c.reduced(&w, at(0)), c.w_max), (70, 100));
        w.cwnd = 80;
        assert_eq!((c.reduced(&w, at(0)), c.w_max), (56, 68), "80 · 0.85");
        c.on_change(Change::Undone, at(0));
        assert_eq!(c.w_max, 100);
        w.cwnd = 2;
        assert_eq!(c.reduced(&w, at(0)), 2);
    }

    /// Idle time does not count (RFC 9438 §5.8), and the window never more than half doubles.
    #[test]
    fn idleness_makes_no_leap() {
        let mut c = Cubic { w_max: 100, cwnd_prior: 100, ..Cubic::default() };
        let mut w = Window { cwnd: 70, ssthresh: 70, ..Window::new(10, Seq(0), at(0)) };
        w.validate(&burst(at(0), 70));
        c.grow(&mut w, &ack(at(0), 1));
        c.on_change(Change::Resumed(Duration::from_secs(60)), at(60_000));
        for _ in 0..70 {
            c.grow(&mut w, &ack(at(60_000), 1));
        }
        assert!(w.cwnd <= 75, "{}", w.cwnd);
        for _ in 0..70 {
            c.grow(&mut w, &ack(at(3_600_000), 1));
        }
        assert!(w.cwnd <= 75 + 36, "{}", w.cwnd);
    }
}
