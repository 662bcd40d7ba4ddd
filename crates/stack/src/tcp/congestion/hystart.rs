//! HyStart++ (RFC 9406): leaves the first slow start when the round trips grow, before the queue
//! that they stand in overflows; through a phase of slower growth in which a false alarm shows.
//! And the older HyStart, as Linux has it.

use netarium_base::{Duration, Instant};

use super::{Ack, INFINITE, Window};
use crate::tcp::config::Hystart;
use crate::tcp::seq::Seq;

/// How slow start ends before it must.
#[derive(Clone, Debug, Default)]
pub enum Exit {
    /// Only by loss.
    #[default]
    Off,
    /// Linux' HyStart.
    Classic(Box<Classic>),
    /// HyStart++, from the first sizeable window on until it has done its work.
    PlusPlus(Option<Box<HyStart>>),
}

impl Exit {
    /// The way that the setting names.
    pub fn new(setting: Hystart) -> Exit {
        match setting {
            Hystart::Off => Exit::Off,
            Hystart::Classic => Exit::Classic(Box::default()),
            Hystart::PlusPlus => Exit::PlusPlus(None),
        }
    }

    /// Takes the round trip of an acknowledgement; `shortest` is the shortest one known.
    pub fn measured(
        &mut self,
        window: &mut Window,
        ack: &Ack,
        shortest: Duration,
    ) -> Option<&'static str> {
        match self {
            Exit::Off => None,
            Exit::Classic(h) => h.measured(window, ack, shortest),
            Exit::PlusPlus(_) if window.ssthresh != INFINITE => {
                // RFC 9406 §4.3: for the first slow start only.
                *self = Exit::Off;
                None
            }
            Exit::PlusPlus(None) if window.cwnd < LOW_WINDOW => None,
            Exit::PlusPlus(h) => h.get_or_insert_default().measured(window, ack),
        }
    }

    /// By how many segments slow start grows for so many acknowledged ones.
    pub fn growth(&mut self, window: &Window, acked: u32) -> u32 {
        match self {
            Exit::PlusPlus(Some(h)) if window.ssthresh == INFINITE => h.growth(acked),
            _ => acked,
        }
    }

    /// Whether growth is slowed down.
    pub fn is_careful(&self) -> bool {
        matches!(self, Exit::PlusPlus(Some(h)) if h.is_careful())
    }

    /// A time-out: slow start begins anew.
    pub fn timed_out(&mut self) {
        if let Exit::Classic(h) = self {
            **h = Classic::default();
        }
    }
}

/// From this window on the end of slow start is looked for, segments: smaller ones fill no queue.
const LOW_WINDOW: u32 = 16;
/// Acknowledgements closer than this are one train.
const TRAIN_GAP: Duration = Duration::from_millis(2);
/// What a train may last beyond half of the shortest round trip.
const TRAIN_SLACK: Duration = Duration::from_millis(1);

/// HyStart as Linux has it: one look at the round trip and at the length of the train of
/// acknowledgements, in every slow start, and no way back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Classic {
    found: bool,
    round_end: Option<Seq>,
    round_start: Instant,
    last_ack: Instant,
    this_round: Option<Duration>,
    samples: u8,
}

impl Classic {
    fn measured(&mut self, w: &mut Window, ack: &Ack, shortest: Duration) -> Option<&'static str> {
        let rtt = ack.rtt?;
        if self.found || !w.in_slow_start() || w.cwnd < LOW_WINDOW {
            return None;
        }
        if self.round_end.is_none_or(|end| ack.una.after(end)) {
            self.round_end = Some(ack.nxt);
            (self.round_start, self.last_ack) = (ack.now, ack.now);
            (self.this_round, self.samples) = (None, 0);
        }
        if ack.now.since(self.last_ack) <= TRAIN_GAP {
            self.last_ack = ack.now;
            let train = ack.now.since(self.round_start);
            self.found |= train > (shortest + TRAIN_SLACK) / 2;
        }
        let this = self.this_round.map_or(rtt, |r| r.min(rtt));
        self.this_round = Some(this);
        if self.samples < SAMPLES {
            self.samples += 1;
        } else {
            let threshold = (shortest / THRESHOLD_DIVISOR).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
            self.found |= this > shortest + threshold;
        }
        if !self.found {
            return None;
        }
        w.ssthresh = w.cwnd;
        Some("hystart exit")
    }
}

// RFC 9406 §4.3.
const MIN_THRESHOLD: Duration = Duration::from_millis(4);
const MAX_THRESHOLD: Duration = Duration::from_millis(16);
const THRESHOLD_DIVISOR: u64 = 8;
const SAMPLES: u8 = 8;
const GROWTH_DIVISOR: u32 = 4;
const ROUNDS: u8 = 5;

/// Where slow start stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Growing as ever.
    Slow,
    /// Conservative slow start: since so many rounds; resumed when a round trip is below the
    /// baseline.
    Careful { rounds: u8, baseline: Duration },
}

/// The rounds of a slow start and their shortest round trips.
#[derive(Clone, Copy, Debug)]
pub struct HyStart {
    phase: Phase,
    /// The round ends when this is acknowledged; `None` before the first.
    round_end: Option<Seq>,
    last_round: Option<Duration>,
    this_round: Option<Duration>,
    samples: u8,
    /// Acknowledged segments that did not yet add up to a growth in the careful phase.
    credit: u32,
}

impl Default for HyStart {
    fn default() -> Self {
        HyStart {
            phase: Phase::Slow,
            round_end: None,
            last_round: None,
            this_round: None,
            samples: 0,
            credit: 0,
        }
    }
}

impl HyStart {
    /// RFC 9406 §4.2: takes the round trip of an acknowledgement. The reason when the phase
    /// changed. Only the first slow start is watched (§4.3).
    pub fn measured(&mut self, window: &mut Window, ack: &Ack) -> Option<&'static str> {
        if window.ssthresh != INFINITE {
            return None;
        }
        let rtt = ack.rtt?;
        // A round is what was in flight when it began, what the acknowledgement that ended the
        // last one let out included: so rounds keep step with the bursts of a sender that does
        // not pace, and each begins with the shortest wait.
        let end = *self.round_end.get_or_insert(ack.nxt);
        self.this_round = Some(self.this_round.map_or(rtt, |r| r.min(rtt)));
        self.samples = self.samples.saturating_add(1);
        let reason = self.judge();
        if ack.una.at_or_after(end) { self.next_round(window).or(reason) } else { reason }
    }

    fn next_round(&mut self, window: &mut Window) -> Option<&'static str> {
        self.round_end = None;
        self.last_round = self.this_round.take();
        self.samples = 0;
        let Phase::Careful { rounds, .. } = &mut self.phase else { return None };
        *rounds += 1;
        if *rounds <= ROUNDS {
            return None;
        }
        window.ssthresh = window.cwnd;
        self.phase = Phase::Slow;
        Some("hystart exit")
    }

    fn judge(&mut self) -> Option<&'static str> {
        let (Some(this), true) = (self.this_round, self.samples >= SAMPLES) else { return None };
        match self.phase {
            Phase::Slow => {
                let last = self.last_round?;
                let threshold = (last / THRESHOLD_DIVISOR).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
                if this < last + threshold {
                    return None;
                }
                self.phase = Phase::Careful { rounds: 0, baseline: this };
                self.credit = 0;
                Some("hystart careful")
            }
            Phase::Careful { baseline, .. } if this < baseline => {
                self.phase = Phase::Slow;
                Some("hystart resume")
            }
            Phase::Careful { .. } => None,
        }
    }

    /// By how many segments the window grows for so many acknowledged ones. As on Linux there is
    /// no limit per acknowledgement (L of §4.2): where acknowledgements are merged on the way, that
    /// would be a limit to the growth itself.
    pub fn growth(&mut self, acked: u32) -> u32 {
        if self.phase == Phase::Slow {
            return acked;
        }
        self.credit += acked;
        let grown = self.credit / GROWTH_DIVISOR;
        self.credit %= GROWTH_DIVISOR;
        grown
    }

    /// Whether growth is slowed down.
    pub fn is_careful(&self) -> bool {
        self.phase != Phase::Slow
    }
}

#[cfg(test)]
mod tests {
    use netarium_base::Instant;

    use super::*;

    /// Plays rounds of so many samples with one round trip each.
    fn play(rounds: &[(u64, usize)]) -> (HyStart, Window, Vec<&'static str>) {
        let mut h = HyStart::default();
        let mut w = Window::new(10, Seq(0), Instant::ZERO);
        let mut said = Vec::new();
        let mut una = Seq(0);
        for (rtt, samples) in rounds {
            for i in 0..*samples {
                // Everything of a round is acknowledged before the next begins.
                let ack = Ack {
                    now: Instant::ZERO,
                    acked: 1,
                    delivered: 0,
                    in_flight: 10,
                    rtt: Some(Duration::from_millis(*rtt)),
                    srtt: None,
                    una: una + i as u32 + 1,
                    nxt: una + *samples as u32,
                };
                said.extend(h.measured(&mut w, &ack));
            }
            una += *samples as u32;
        }
        (h, w, said)
    }

    /// RFC 9406 §4.2: 100 ms → threshold 12.5 ms.
    #[test]
    fn growing_round_trips_make_it_careful() {
        let (h, _, said) = play(&[(100, 10), (112, 10)]);
        assert!(!h.is_careful() && said.is_empty());
        let (mut h, _, said) = play(&[(100, 10), (113, 10)]);
        assert!(h.is_careful());
        assert_eq!(said, ["hystart careful"]);
        assert_eq!([h.growth(2), h.growth(2), h.growth(100)], [0, 1, 25], "a quarter");
        let (h, ..) = play(&[(100, 10), (113, 7)]);
        assert!(!h.is_careful(), "seven samples are too few");
        let (h, ..) = play(&[(10, 10), (13, 10)]);
        assert!(!h.is_careful(), "4 ms at least");
        let (h, ..) = play(&[(800, 10), (816, 10)]);
        assert!(h.is_careful(), "16 ms at most");
    }

    #[test]
    fn five_careful_rounds_end_slow_start_and_a_short_one_resumes_it() {
        let long = [(100, 10), (120, 10), (121, 10), (121, 10), (121, 10), (121, 10)];
        let (h, w, _) = play(&long);
        assert!(h.is_careful() && w.ssthresh == INFINITE);
        let (_, w, said) = play(&[&long[..], &[(121, 10)]].concat());
        assert_eq!((w.ssthresh, said.last()), (10, Some(&"hystart exit")));
        let (h, w, said) = play(&[&long[..], &[(119, 10)]].concat());
        assert!(!h.is_careful() && w.ssthresh == INFINITE);
        assert_eq!(said, ["hystart careful", "hystart resume"]);
    }
}
