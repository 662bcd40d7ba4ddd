//! Frames that come back.

use netarium_base::{Duration, Instant};

use crate::link::Trip;

/// How many switches and hubs a frame passes at most between two hosts, where loops can be.
pub const HOPS_MAX: u8 = 200;
/// After how long a switch says again that its cables form a loop, when they still do.
pub const LOOP_NOTE_EVERY: Duration = Duration::from_secs(10);
/// How many frames are remembered.
const REMEMBERED: usize = 4_096;

/// The frames that passed a switch or hub lately.
#[derive(Debug)]
pub(crate) struct Loops {
    /// By the low bits of its number, the frame that passed last; 0 for none.
    seen: Box<[u32; REMEMBERED]>,
    /// When it was said last that there is a loop.
    told: Option<Instant>,
    /// How many frames came back.
    pub(crate) count: u64,
}

impl Default for Loops {
    fn default() -> Loops {
        Loops { seen: Box::new([0; REMEMBERED]), told: None, count: 0 }
    }
}

impl Loops {
    /// Whether a frame was here before, or has passed too many switches; takes note of it.
    pub(crate) fn is_back(&mut self, trip: Trip) -> bool {
        let slot = &mut self.seen[trip.serial as usize % REMEMBERED];
        let back = std::mem::replace(slot, trip.serial) == trip.serial && trip.serial != 0;
        let back = back || trip.hops > HOPS_MAX;
        self.count += u64::from(back);
        back
    }

    /// Whether it is time to say so.
    pub(crate) fn is_news(&mut self, now: Instant) -> bool {
        let news = self.told.is_none_or(|told| now.since(told) >= LOOP_NOTE_EVERY);
        if news {
            self.told = Some(now);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_comes_back_is_known_unless_too_many_passed_meanwhile() {
        let mut loops = Loops::default();
        let trip = |serial| Trip { serial, hops: 1 };
        assert!(!loops.is_back(trip(7)) && loops.is_back(trip(7)));
        assert!(!loops.is_back(trip(7 + REMEMBERED as u32)));
        assert!(!loops.is_back(trip(7)), "forgotten, but its hops are counted");
        assert!(loops.is_back(Trip { serial: 9, hops: HOPS_MAX + 1 }));
        assert_eq!(loops.count, 2);
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        assert_eq!(
            [0, 1, 9, 10, 11].map(|s| loops.is_news(at(s))),
            [true, false, false, true, false]
        );
    }
}
