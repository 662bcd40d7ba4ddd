//! One direction of a link: the arithmetic of its queue, rate and delay, and the frames under way.

use std::collections::VecDeque;

use netarium_base::map::Map;
use netarium_base::{DropReason, Duration, FlowId, Instant, Luck, Seed};
use netarium_wire::Frame;

use super::faults::Faults;
use super::odd::{Fate, Odd};
use super::{DirectionSpec, DirectionStats, TRAVELLING_MAX};
use crate::edit::LinkChange;
use crate::queue::Key;

/// How many flows a lossy direction counts apart. Beyond them the flow that was counted first is
/// forgotten and starts again with its first ordinal.
pub(super) const FLOWS_MAX: usize = 65_536;

/// For how many frames an empty line keeps room.
const LINE_KEPT: usize = 4;

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) spec: DirectionSpec,
    /// Frames can be handed over.
    pub(super) up: bool,
    /// When the last frame handed over will have been serialised.
    busy_until: Instant,
    /// When each waiting frame will begin to be serialised, and its bytes; only used with a rate.
    waiting: VecDeque<(Instant, u32)>,
    waiting_bytes: u64,
    /// Frames under way, in the order of their arrival. The first is always scheduled.
    line: VecDeque<Travelling>,
    /// When the last frame that travels arrives: none arrives before it.
    last_arrival: Instant,
    luck: Luck,
    /// How many frames of each flow were counted since there was a loss first.
    ordinals: Option<Box<Map<FlowId, u64>>>,
    /// What it does beyond that; absent in a direction that never did.
    odd: Option<Box<Odd>>,
    pub(crate) tally: Tally,
}

/// What a direction counts. Most of it never happens on most of ten thousand wires.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent_frames: u64,
    sent_bytes: u64,
    delivered_frames: u64,
    delivered_bytes: u64,
    /// Everything else; the first four are 0 here.
    rare: Option<Box<DirectionStats>>,
}

impl Tally {
    /// The counters of what happens to few frames.
    pub(crate) fn rare(&mut self) -> &mut DirectionStats {
        self.rare.get_or_insert_default()
    }
}

/// A frame under way.
#[derive(Debug)]
struct Travelling {
    key: Key,
    /// Its arrival stands in the event queue.
    scheduled: bool,
    /// The parts of its [`Trip`], which fit into what the others leave of 32 bytes.
    hops: u8,
    serial: u32,
    frame: Box<Frame>,
}

const _: () = assert!(size_of::<Travelling>() <= 32);

/// What a frame is known by between the host that it leaves and the host where it arrives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Trip {
    /// Counts what hosts hand to links, and the copies that links make of it; starts again at 0
    /// after 2³² frames.
    pub(crate) serial: u32,
    /// Switches and hubs that it has passed.
    pub(crate) hops: u8,
}

/// What became of a frame that was handed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Handed {
    /// It never got onto the wire.
    Dropped(DropReason),
    /// It is on the wire, or will be, and gets lost there.
    Lost {
        /// Frames waiting, this one included; 0 when it need not wait.
        depth: u32,
        /// Why.
        reason: DropReason,
    },
    /// It will arrive.
    Travels {
        /// When.
        arrives: Instant,
        /// Frames waiting, this one included; 0 when it need not wait.
        depth: u32,
    },
    /// It will arrive, but not only that.
    Oddly {
        /// When.
        arrives: Instant,
        /// Frames waiting, this one included; 0 when it need not wait.
        depth: u32,
        /// What else; rare, so that it may be elsewhere.
        fate: Box<Fate>,
    },
}

/// A frame that was taken out of the line.
pub(crate) type Taken = (Key, Box<Frame>);

impl Direction {
    pub(super) fn new(
        seed: Seed,
        link: &str,
        way: &'static str,
        spec: DirectionSpec,
        faults: Faults,
    ) -> Direction {
        let delay = Duration::from_nanos(spec.delay.as_nanos().max(1));
        let odd = (faults != Faults::default()).then(|| Odd::new(seed, link, way, faults));
        Direction {
            spec: DirectionSpec { delay, ..spec },
            up: true,
            busy_until: Instant::ZERO,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            line: VecDeque::new(),
            last_arrival: Instant::ZERO,
            luck: seed.luck(link, &format!("loss {way}")),
            ordinals: (spec.loss > 0).then(Box::default),
            odd: odd.map(Box::new),
            tally: Tally::default(),
        }
    }

    /// What happened so far.
    pub(crate) fn stats(&self) -> DirectionStats {
        let Tally { sent_frames, sent_bytes, delivered_frames, delivered_bytes, ref rare } =
            self.tally;
        let rare = rare.as_deref().copied().unwrap_or_default();
        DirectionStats { sent_frames, sent_bytes, delivered_frames, delivered_bytes, ..rare }
    }

    /// Changes a setting, for frames that are handed over from now on. `new` makes the state of
    /// faults, for a direction that never had any.
    pub(super) fn change(&mut self, change: LinkChange, new: impl FnOnce() -> Odd) {
        match change {
            LinkChange::Loss(p) => {
                self.spec.loss = p;
                if p > 0 {
                    self.ordinals.get_or_insert_default();
                }
            }
            LinkChange::Delay(d) => self.spec.delay = Duration::from_nanos(d.as_nanos().max(1)),
            LinkChange::Rate(rate) => self.spec.rate = rate,
            LinkChange::Queue(n) => self.spec.queue = n,
            fault => self.odd.get_or_insert_with(|| Box::new(new())).change(fault),
        }
    }

    /// The settings beyond the plain ones.
    pub(crate) fn faults(&self) -> Faults {
        self.odd.as_ref().map_or_else(Faults::default, |odd| odd.faults.clone())
    }

    /// Whether frames are looked at more closely than by their length and flow.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd.is_some()
    }

    /// Decides about a frame that is handed over now. With faults, its headers have been found.
    pub(crate) fn hand_over(&mut self, now: Instant, frame: &Frame) -> Handed {
        let (flow, len) = (frame.meta.flow, frame.len());
        if !self.up {
            self.tally.rare().dropped_down += 1;
            return Handed::Dropped(DropReason::LinkDown);
        }
        while let Some(&(_, bytes)) = self.waiting.front().filter(|(start, _)| *start <= now) {
            self.waiting.pop_front();
            self.waiting_bytes -= u64::from(bytes);
        }
        let must_wait = self.busy_until > now;
        let full = must_wait && self.waiting.len() >= self.spec.queue as usize;
        let mut full = full || self.line.len() >= TRAVELLING_MAX;
        if let Some(odd) = &self.odd {
            if odd.is_too_big(frame) {
                self.tally.rare().dropped_big += 1;
                return Handed::Dropped(DropReason::FrameTooBig);
            }
            let limit = odd.faults.queue_bytes;
            full |= must_wait && limit.is_some_and(|n| self.waiting_bytes + len as u64 > n);
        }
        if full {
            self.tally.rare().dropped_full += 1;
            return Handed::Dropped(DropReason::LinkQueueFull);
        }
        let mut leaves = now;
        let mut depth = 0;
        if let Some(rate) = self.spec.rate {
            let starts = self.busy_until.max(now);
            leaves = starts + serialisation(len, rate);
            self.busy_until = leaves;
            if must_wait {
                self.waiting.push_back((starts, len as u32));
                self.waiting_bytes += len as u64;
                depth = self.waiting.len() as u32;
                self.tally.rare().queued_frames += 1;
            }
        }
        self.tally.sent_frames += 1;
        self.tally.sent_bytes += len as u64;
        let lost = self.loses(flow);
        let fate = self.odd.as_mut().map(|odd| odd.decide(frame));
        if lost {
            self.tally.rare().dropped_loss += 1;
            return Handed::Lost { depth, reason: DropReason::LinkLoss };
        }
        if let Some(fate) = fate {
            return self.oddly(leaves, depth, fate);
        }
        let arrives = self.last_arrival.max(leaves + self.spec.delay);
        self.last_arrival = arrives;
        Handed::Travels { arrives, depth }
    }

    /// A frame leaves a direction with faults.
    fn oddly(&mut self, leaves: Instant, depth: u32, mut fate: Fate) -> Handed {
        match fate.lost {
            Some(reason @ DropReason::LinkBurst) => {
                self.tally.rare().dropped_burst += 1;
                return Handed::Lost { depth, reason };
            }
            Some(reason) => {
                self.tally.rare().dropped_picked += 1;
                return Handed::Lost { depth, reason };
            }
            None => {}
        }
        let delay = self.spec.delay.as_nanos().saturating_add_signed(fate.jitter);
        let due = leaves + Duration::from_nanos(delay.max(1));
        let arrives = match fate.late {
            // It stands outside the order: nothing waits for it.
            Some(late) => {
                self.tally.rare().reordered += 1;
                due.max(self.last_arrival) + late
            }
            None => {
                let arrives = if fate.loose { due } else { due.max(self.last_arrival) };
                self.last_arrival = arrives.max(self.last_arrival);
                arrives
            }
        };
        fate.copy &= self.line.len() + 1 < TRAVELLING_MAX;
        let rare = self.tally.rare();
        rare.duplicated += u64::from(fate.copy);
        rare.corrupted += u64::from(fate.bit.is_some());
        if fate.is_told() {
            Handed::Oddly { arrives, depth, fate: Box::new(fate) }
        } else {
            Handed::Travels { arrives, depth }
        }
    }

    fn loses(&mut self, flow: FlowId) -> bool {
        let Some(ordinals) = &mut self.ordinals else { return false };
        if ordinals.len() >= FLOWS_MAX && !ordinals.contains_key(&flow) {
            ordinals.swap_remove_index(0);
        }
        let ordinal = ordinals.entry(flow).or_insert(0);
        *ordinal += 1;
        self.luck.happens(self.spec.loss, flow.0, *ordinal)
    }

    /// Puts a frame that travels into the line; true when it is the first there and its arrival
    /// must be put into the event queue.
    pub(crate) fn travel(&mut self, key: Key, trip: Trip, frame: Box<Frame>) -> bool {
        let place = match self.line.back() {
            Some(last) if last.key > key => self.line.partition_point(|t| t.key < key),
            _ => self.line.len(),
        };
        let first = place == 0;
        let Trip { serial, hops } = trip;
        let travelling = Travelling { key, scheduled: first, hops, serial, frame };
        if place == self.line.len() {
            self.line.push_back(travelling);
        } else {
            self.line.insert(place, travelling);
        }
        first
    }

    /// The key of the frame behind the one that is due with `due`, whose arrival is to stand in the
    /// event queue from now on.
    pub(crate) fn schedule_second(&mut self, due: Key) -> Option<Key> {
        if self.line.front()?.key != due {
            return None;
        }
        let second = self.line.get_mut(1).filter(|second| !second.scheduled)?;
        second.scheduled = true;
        Some(second.key)
    }

    /// Takes the frame that is due with `due`, and the key of the one behind it when its arrival
    /// must be put into the event queue. None when the line does not begin with that frame: the
    /// event is about a frame that was taken out of the line.
    pub(crate) fn arrive(&mut self, due: Key) -> Option<(Box<Frame>, Trip, Option<Key>)> {
        if self.line.front()?.key != due {
            return None;
        }
        let Travelling { frame, serial, hops, .. } = self.line.pop_front()?;
        self.tally.delivered_frames += 1;
        self.tally.delivered_bytes += frame.len() as u64;
        if self.line.is_empty() && self.line.capacity() > LINE_KEPT {
            // The room for a burst is not kept on each of ten thousand wires.
            self.line = VecDeque::new();
        }
        Some((frame, Trip { serial, hops }, self.schedule_first()))
    }

    /// The key of the first frame of the line, when its arrival must be put into the event queue.
    fn schedule_first(&mut self) -> Option<Key> {
        let first = self.line.front_mut().filter(|first| !first.scheduled)?;
        first.scheduled = true;
        Some(first.key)
    }

    /// The key of the frame that arrives next.
    pub(crate) fn first(&self) -> Option<Key> {
        self.line.front().map(|t| t.key)
    }

    /// Takes frames out of the line, in the order of their arrival; and the key of the one that is
    /// the first now, when its arrival must be put into the event queue. Events of frames that were
    /// taken find none.
    pub(crate) fn take_out(&mut self, which: impl Fn(&Frame) -> bool) -> (Vec<Taken>, Option<Key>) {
        let (taken, left) = self.line.drain(..).partition::<Vec<_>, _>(|t| which(&t.frame));
        self.line = left.into();
        let taken = taken.into_iter().map(|t| (t.key, t.frame)).collect();
        (taken, self.schedule_first())
    }
}

/// How long `len` bytes take at `rate` bits per second, rounded up to whole nanoseconds. A rate of
/// 0 is taken as 1.
fn serialisation(len: usize, rate: u64) -> Duration {
    let bits_e9 = len as u128 * 8 * 1_000_000_000;
    let ns = match u64::try_from(bits_e9) {
        Ok(small) => small.div_ceil(rate.max(1)),
        Err(_) => u64::try_from(bits_e9.div_ceil(u128::from(rate.max(1)))).unwrap_or(u64::MAX),
    };
    Duration::from_nanos(ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::chance::probability;

    fn direction(spec: DirectionSpec) -> Direction {
        Direction::new(Seed(1), "web.home", "up", spec, Faults::default())
    }

    /// A frame of so many bytes.
    fn bytes(flow: u64, len: usize) -> Box<Frame> {
        let mut frame = Frame::from_bytes(&vec![0; len]);
        frame.meta.flow = FlowId(flow);
        frame
    }

    fn change(d: &mut Direction, change: LinkChange) {
        d.change(change, || Odd::new(Seed(1), "web.home", "up", Faults::default()));
    }

    const TRIP: Trip = Trip { serial: 0, hops: 0 };

    fn at(ns: u64) -> Instant {
        Instant::from_nanos(ns)
    }

    #[test]
    fn serialisation_is_exact_and_rounds_up() {
        for (len, rate, ns) in [
            (1_500, 1_000_000_000, 12_000),
            (1_500, 10_000_000_000, 1_200),
            (1, 3, 2_666_666_667),
            (1, 8_000_000_000, 1),
            (1, 100_000_000_000, 1),
            (60, 56_000, 8_571_429),
            (65_549, 1, 524_392_000_000_000),
            (0, 1_000, 0),
            (1, 0, 8_000_000_000),
        ] {
            assert_eq!(serialisation(len, rate).as_nanos(), ns, "{len} bytes at {rate} bit/s");
        }
    }

    #[test]
    fn the_delay_is_exact_and_at_least_a_nanosecond() {
        let delay = Duration::from_nanos(12_345);
        let mut d = direction(DirectionSpec { delay, ..DirectionSpec::default() });
        let handed = d.hand_over(at(7), &bytes(0, 1_000));
        assert_eq!(handed, Handed::Travels { arrives: at(12_352), depth: 0 });
        let mut d = direction(DirectionSpec { delay: Duration::ZERO, ..DirectionSpec::default() });
        let handed = d.hand_over(at(7), &bytes(0, 1_000));
        assert_eq!(handed, Handed::Travels { arrives: at(8), depth: 0 });
    }

    #[test]
    fn frames_wait_for_each_other_and_overflow_at_the_tail() {
        let delay = Duration::from_nanos(5);
        let spec = DirectionSpec { delay, rate: Some(8_000_000_000), queue: 2, loss: 0 };
        let mut d = direction(spec);
        let mut hand = |now| d.hand_over(at(now), &bytes(0, 100));
        assert_eq!(hand(0), Handed::Travels { arrives: at(105), depth: 0 });
        assert_eq!(hand(0), Handed::Travels { arrives: at(205), depth: 1 });
        assert_eq!(hand(10), Handed::Travels { arrives: at(305), depth: 2 });
        assert_eq!(hand(99), Handed::Dropped(DropReason::LinkQueueFull));
        // At 100 the second begins to be serialised and makes room.
        assert_eq!(hand(100), Handed::Travels { arrives: at(405), depth: 2 });
        // The wire is free from 400 on.
        assert_eq!(hand(400), Handed::Travels { arrives: at(505), depth: 0 });
        assert_eq!(
            (d.stats().sent_frames, d.stats().queued_frames, d.stats().dropped_full),
            (5, 3, 1)
        );
    }

    #[test]
    fn changes_are_about_later_frames_and_nothing_overtakes() {
        let delay = Duration::from_nanos(1_000);
        let spec = DirectionSpec { delay, rate: Some(8_000_000_000), queue: 2, loss: 0 };
        let mut d = direction(spec);
        let hand = |d: &mut Direction, now| match d.hand_over(at(now), &bytes(1, 100)) {
            Handed::Travels { arrives, .. } => Some(arrives.as_nanos()),
            _ => None,
        };
        assert_eq!([hand(&mut d, 0), hand(&mut d, 0)], [Some(1_100), Some(1_200)]);
        change(&mut d, LinkChange::Delay(Duration::from_nanos(1)));
        assert_eq!(hand(&mut d, 10), Some(1_200), "behind those under way");
        change(&mut d, LinkChange::Queue(1));
        assert_eq!(hand(&mut d, 20), None, "two wait already");
        change(&mut d, LinkChange::Rate(None));
        assert_eq!(hand(&mut d, 1_300), Some(1_301));
        change(&mut d, LinkChange::Loss(probability(1.0)));
        assert_eq!((hand(&mut d, 1_400), d.stats().dropped_loss), (None, 1));
        change(&mut d, LinkChange::Loss(0));
        assert_eq!(hand(&mut d, 1_500), Some(1_501));
    }

    fn frame(n: u8) -> Box<Frame> {
        Frame::from_bytes(&[n; 60])
    }

    /// Whatever the order in which frames set out, they arrive in the order of their keys, and each
    /// arrival is put into the event queue exactly once.
    #[test]
    fn frames_that_overtake_arrive_first() {
        let mut d = direction(DirectionSpec::default());
        let mut queue = crate::queue::Queue::default();
        let mut arrived = Vec::new();
        for (n, due) in [(0, 50), (1, 60), (2, 55), (3, 40), (4, 70), (5, 40), (6, 30)] {
            let key = Key::new(at(due), 9, n);
            if d.travel(key, TRIP, frame(n as u8)) {
                queue.push(key, ());
            }
        }
        while let Some((key, ())) = queue.pop() {
            let (frame, _, next) = d.arrive(key).expect("every event has its frame");
            next.into_iter().for_each(|key| queue.push(key, ()));
            arrived.push((key.at().as_nanos(), frame.head()[0]));
        }
        assert_eq!(arrived, [(30, 6), (40, 3), (40, 5), (50, 0), (55, 2), (60, 1), (70, 4)]);
        assert!(d.line.is_empty() && d.stats().delivered_frames == 7);
    }

    #[test]
    fn an_event_without_its_frame_takes_no_other() {
        let mut d = direction(DirectionSpec::default());
        let [a, b] = [1, 2].map(|n| Key::new(at(10 * n), 9, n));
        assert!(d.arrive(a).is_none());
        assert!(d.travel(a, TRIP, frame(1)) && !d.travel(b, TRIP, frame(2)));
        d.line.pop_front();
        assert!(d.arrive(a).is_none());
        assert_eq!(d.arrive(b).map(|(frame, ..)| frame.head()[0]), Some(2));
    }

    #[test]
    fn the_luck_of_a_flow_is_its_own() {
        let spec = DirectionSpec { loss: probability(0.3), ..DirectionSpec::default() };
        let lost = |d: &mut Direction, flow| {
            matches!(d.hand_over(Instant::ZERO, &bytes(flow, 60)), Handed::Lost { .. })
        };
        let mut alone = direction(spec);
        let mut crowd = direction(spec);
        let mut losses = 0;
        for n in 0..1_000 {
            for other in 0..n % 4 {
                lost(&mut crowd, 100 + other);
            }
            let a = lost(&mut alone, 7);
            assert_eq!(a, lost(&mut crowd, 7), "frame {n}");
            losses += u32::from(a);
        }
        assert!((230..370).contains(&losses), "{losses}");
        assert_eq!(alone.stats().dropped_loss, u64::from(losses));
        let mut down = Direction::new(Seed(1), "web.home", "down", spec, Faults::default());
        let mut again = direction(spec);
        assert!((0..100).any(|_| lost(&mut down, 7) != lost(&mut again, 7)));
    }
}
