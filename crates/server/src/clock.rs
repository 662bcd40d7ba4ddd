//! Real time and virtual time, tied together at an anchor.

use std::time::Instant as Wall;

use netarium_base::{Duration, Instant};

/// How far virtual time may fall behind before the anchor moves, in real time.
pub const MAX_LAG: std::time::Duration = std::time::Duration::from_millis(50);

/// How virtual time follows real time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Virtual time stands still. Outside inputs wait.
    Paused,
    /// Virtual seconds per real second. Clamped to 0.001 ..= 1000.
    Times(f64),
    /// As fast as the processor allows; at ×1 while a real client is connected to a published port,
    /// so that no time-out comes early for it.
    Max,
}

/// Maps real time to virtual time from an anchor on.
#[derive(Debug)]
pub(crate) struct Clock {
    wall: Wall,
    virt: Instant,
    pace: Pace,
    /// How often the anchor moved because the processor could not keep up.
    pub(crate) lags: u64,
    /// How much real time was given up that way.
    pub(crate) lag_total: std::time::Duration,
}

impl Clock {
    /// A clock at which `virt` is now.
    pub(crate) fn new(wall: Wall, virt: Instant, pace: Pace) -> Self {
        let mut clock =
            Clock { wall, virt, pace: Pace::Paused, lags: 0, lag_total: std::time::Duration::ZERO };
        clock.set_pace(wall, virt, pace);
        clock
    }

    /// Changes the pace; `virt` is where the world stands.
    pub(crate) fn set_pace(&mut self, wall: Wall, virt: Instant, pace: Pace) {
        self.wall = wall;
        self.virt = virt;
        self.pace = match pace {
            Pace::Times(x) if x.is_finite() => Pace::Times(x.clamp(0.001, 1000.0)),
            Pace::Times(_) => Pace::Times(1.0),
            Pace::Paused => Pace::Paused,
            Pace::Max => Pace::Max,
        };
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Real time and virtual time belong together from here on, at the same pace.
    pub(crate) fn anchor(&mut self, wall: Wall, virt: Instant) {
        (self.wall, self.virt) = (wall, virt);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.pace == Pace::Paused
    }

    /// The virtual time that belongs to the real time `wall`.
    pub(crate) fn virtual_at(&self, wall: Wall) -> Instant {
        self.virt + self.stretch(wall.saturating_duration_since(self.wall))
    }

    /// A span of real time, in virtual time at the present pace.
    pub(crate) fn stretch(&self, real: std::time::Duration) -> Duration {
        let ns = u64::try_from(real.as_nanos()).unwrap_or(u64::MAX);
        match self.pace {
            Pace::Paused => Duration::ZERO,
            Pace::Times(1.0) | Pace::Max => Duration::from_nanos(ns),
            Pace::Times(x) => Duration::from_nanos((ns as f64 * x) as u64),
        }
    }

    /// Virtual seconds per second while nothing is jumped over.
    fn speed(&self) -> Option<f64> {
        match self.pace {
            Pace::Paused => None,
            Pace::Times(speed) => Some(speed),
            Pace::Max => Some(1.0),
        }
    }

    /// How long to wait, from the real time `wall`, until `virt` is due. `None`: never.
    pub(crate) fn until(&self, wall: Wall, virt: Instant) -> Option<std::time::Duration> {
        let speed = self.speed()?;
        let ahead = virt.since(self.virtual_at(wall)).as_nanos();
        let ns = if speed == 1.0 { ahead } else { (ahead as f64 / speed) as u64 };
        Some(std::time::Duration::from_nanos(ns))
    }

    /// Moves the anchor when the world, at `reached`, is more than [`MAX_LAG`] behind; returns
    /// whether it did.
    pub(crate) fn forgive_lag(&mut self, wall: Wall, reached: Instant) -> bool {
        let behind = self.virtual_at(wall).since(reached);
        if behind <= self.stretch(MAX_LAG) || behind.is_zero() {
            return false;
        }
        self.lags += 1;
        let Some(speed) = self.speed() else { return false };
        self.lag_total +=
            std::time::Duration::from_nanos((behind.as_nanos() as f64 / speed) as u64);
        self.wall = wall;
        self.virt = reached;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration as Real;

    #[test]
    fn virtual_time_follows_at_each_speed() {
        let t0 = Wall::now();
        for (speed, ms) in [(1.0, 100), (0.5, 50), (10.0, 1000)] {
            let clock = Clock::new(t0, Instant::ZERO, Pace::Times(speed));
            let at = clock.virtual_at(t0 + Real::from_millis(100));
            assert_eq!(at.as_millis(), ms);
            let wait = clock.until(t0, Instant::from_nanos(ms * 1_000_000)).unwrap();
            assert_eq!(wait.as_millis(), 100);
        }
    }

    #[test]
    fn a_paused_clock_stands_still_and_goes_on_where_it_stood() {
        let t0 = Wall::now();
        let mut clock = Clock::new(t0, Instant::from_nanos(5), Pace::Paused);
        let later = t0 + Real::from_secs(60);
        assert_eq!(clock.virtual_at(later), Instant::from_nanos(5));
        assert_eq!(clock.until(later, Instant::from_nanos(9)), None);
        clock.set_pace(later, Instant::from_nanos(5), Pace::Times(1.0));
        assert_eq!(clock.virtual_at(later + Real::from_nanos(3)), Instant::from_nanos(8));
    }

    #[test]
    fn the_anchor_moves_only_after_fifty_milliseconds() {
        let t0 = Wall::now();
        let mut clock = Clock::new(t0, Instant::ZERO, Pace::Times(1.0));
        assert!(!clock.forgive_lag(t0 + Real::from_millis(50), Instant::ZERO));
        let late = t0 + Real::from_millis(60);
        assert!(clock.forgive_lag(late, Instant::from_nanos(1)));
        assert_eq!(clock.virtual_at(late), Instant::from_nanos(1));
        assert_eq!((clock.lags, clock.lag_total.as_millis()), (1, 59));
    }

    #[test]
    fn foolish_speeds_are_tamed() {
        let t0 = Wall::now();
        for speed in [f64::NAN, f64::INFINITY] {
            let clock = Clock::new(t0, Instant::ZERO, Pace::Times(speed));
            assert_eq!(clock.virtual_at(t0 + Real::from_secs(1)).as_millis(), 1000);
        }
        let clock = Clock::new(t0, Instant::ZERO, Pace::Times(-3.0));
        assert_eq!(clock.virtual_at(t0 + Real::from_secs(1)).as_millis(), 1);
    }
}
