//! A link that belongs to no world.
//!
//! The same arithmetic, faults and luck as a link of a [`World`](crate::World), for whoever joins two
//! ends that are not both in one: a driver of TAP devices, a test of two bare stacks. Time comes
//! in; frames that have travelled come out.
//!
//! After [`Wire::hand_over`] and whenever [`Wire::next_arrival`] is due, drain [`Wire::arrive`].

use netarium_base::{Instant, LinkEnd, Seed};
use netarium_wire::Frame;

use super::{DirectionSpec, DirectionStats, Fate, Faults, Handed, Link, Trip, corrupted};
use crate::edit::{Directions, LinkChange};

/// A link between two ends outside of any world.
#[derive(Debug)]
pub struct Wire {
    link: Link,
    seed: Seed,
    name: String,
}

impl Wire {
    /// A wire whose luck derives from the seed and the name; `up` leads from [`LinkEnd::A`] to
    /// [`LinkEnd::B`], `down` back.
    pub fn new(
        seed: Seed,
        name: &str,
        up: (DirectionSpec, Faults),
        down: (DirectionSpec, Faults),
    ) -> Wire {
        let nowhere = (netarium_base::NodeId(0), netarium_base::IfIndex(0));
        let link = Link::new(seed, name, 0, [nowhere; 2], [up, down]);
        Wire { link, seed, name: name.to_owned() }
    }

    /// The same plain wire in both directions.
    pub fn plain(seed: Seed, name: &str, spec: DirectionSpec) -> Wire {
        Wire::new(seed, name, (spec, Faults::default()), (spec, Faults::default()))
    }

    /// Changes a setting, for frames that are handed over from now on.
    pub fn change(&mut self, which: Directions, change: &LinkChange) {
        self.link.change(self.seed, &self.name, which, change);
    }

    /// Takes the wire up or down, in both directions. What is under way still arrives.
    pub fn set_up(&mut self, up: bool) {
        self.link.set_up(up);
    }

    /// What passed through the direction that starts at `from`.
    pub fn stats(&self, from: LinkEnd) -> DirectionStats {
        self.link.directions[from.index()].stats()
    }

    /// A frame enters the wire at `from`. Whether it will arrive: when not, the counters say why.
    pub fn hand_over(&mut self, now: Instant, from: LinkEnd, mut frame: Box<Frame>) -> bool {
        frame.meta.conntrack = None;
        let direction = &mut self.link.directions[from.index()];
        if direction.is_odd() {
            // Faults look at headers. What has none is dropped where it arrives.
            let _ = frame.parse();
        }
        match direction.hand_over(now, &frame) {
            Handed::Dropped(_) | Handed::Lost { .. } => false,
            Handed::Travels { arrives, .. } => {
                self.travel(from, arrives, frame);
                true
            }
            Handed::Oddly { arrives, fate, .. } => {
                self.travel_oddly(from, arrives, frame, *fate);
                true
            }
        }
    }

    fn travel(&mut self, from: LinkEnd, arrives: Instant, frame: Box<Frame>) {
        let key = self.link.key(arrives);
        self.link.directions[from.index()].travel(key, Trip { serial: 0, hops: 0 }, frame);
    }

    /// A copy is of the frame as it was sent, and arrives behind it.
    fn travel_oddly(&mut self, from: LinkEnd, arrives: Instant, frame: Box<Frame>, fate: Fate) {
        let copy = fate.copy.then(|| frame.clone());
        let frame = match fate.bit {
            Some(bit) => corrupted(&frame, bit),
            None => frame,
        };
        self.travel(from, arrives, frame);
        if let Some(copy) = copy {
            self.travel(from, arrives, copy);
        }
    }

    /// When the next frame arrives, at either end.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.first().map(|(_, at)| at)
    }

    /// The next frame that has arrived by `now`, and the end where it did. What arrives at one
    /// instant comes in the order in which it was handed over.
    pub fn arrive(&mut self, now: Instant) -> Option<(LinkEnd, Box<Frame>)> {
        let (from, _) = self.first().filter(|(_, at)| *at <= now)?;
        let direction = &mut self.link.directions[from.index()];
        let key = direction.first()?;
        let (frame, ..) = direction.arrive(key)?;
        Some((from.other(), frame))
    }

    /// The direction whose first frame arrives next, by its start.
    fn first(&self) -> Option<(LinkEnd, Instant)> {
        let firsts = [LinkEnd::A, LinkEnd::B]
            .into_iter()
            .filter_map(|end| self.link.directions[end.index()].first().map(|key| (key, end)));
        firsts.min_by_key(|(key, _)| *key).map(|(key, end)| (end, key.at()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::Duration;

    fn frame(n: u8) -> Box<Frame> {
        Frame::from_bytes(&[n; 60])
    }

    fn arrived(wire: &mut Wire) -> Vec<(u64, LinkEnd, u8)> {
        let mut all = Vec::new();
        while let Some(at) = wire.next_arrival() {
            assert!(wire.arrive(Instant::from_nanos(at.as_nanos() - 1)).is_none(), "not before");
            let (end, frame) = wire.arrive(at).expect("it is due");
            all.push((at.as_nanos(), end, frame.head()[0]));
        }
        all
    }

    #[test]
    fn both_directions_have_their_own_delay_and_stand_in_one_order() {
        let spec = |ns| DirectionSpec { delay: Duration::from_nanos(ns), ..Default::default() };
        let plain = |ns| (spec(ns), Faults::default());
        let mut wire = Wire::new(Seed(1), "w", plain(10), plain(4));
        for (ns, end, n) in [(0, LinkEnd::A, 1), (1, LinkEnd::B, 2), (6, LinkEnd::B, 3)] {
            assert!(wire.hand_over(Instant::from_nanos(ns), end, frame(n)));
        }
        let order = [(5, LinkEnd::A, 2), (10, LinkEnd::B, 1), (10, LinkEnd::A, 3)];
        assert_eq!(arrived(&mut wire), order);
        assert_eq!(wire.stats(LinkEnd::B).delivered_frames, 2);
    }

    #[test]
    fn faults_are_those_of_a_world() {
        let faults = Faults { duplicate: u32::MAX, ..Faults::default() };
        let plain = (DirectionSpec::default(), Faults::default());
        let mut wire = Wire::new(Seed(1), "w", (DirectionSpec::default(), faults), plain);
        assert!(wire.hand_over(Instant::ZERO, LinkEnd::A, frame(7)));
        let twice = [(10_000, LinkEnd::B, 7); 2];
        assert_eq!(arrived(&mut wire), twice);
        wire.change(Directions::Up, &LinkChange::Loss(u32::MAX));
        wire.set_up(false);
        assert!(!wire.hand_over(Instant::ZERO, LinkEnd::A, frame(8)));
        assert_eq!((wire.stats(LinkEnd::A).dropped_down, wire.next_arrival()), (1, None));
    }
}
