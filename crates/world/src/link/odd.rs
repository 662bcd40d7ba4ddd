//! A direction with faults: what it draws for each frame.
//!
//! Each kind of fault draws for itself, by flow and by the frame's number in its flow, counted since
//! the direction had a fault first: changing one setting, or one link, changes nobody else's luck.
//! Frames are numbered whether they are lost or not.

use netarium_base::map::Map;
use netarium_base::{DropReason, Duration, FlowId, Luck, Seed};
use netarium_wire::{Frame, Network};

use super::direction::FLOWS_MAX;
use super::faults::{Faults, Jitter, Shape};
use crate::edit::LinkChange;

/// The faults of a direction and what they have come to.
#[derive(Debug)]
pub(super) struct Odd {
    pub(super) faults: Faults,
    jitter: Luck,
    burst: Luck,
    duplicate: Luck,
    reorder: Luck,
    corrupt: Luck,
    flows: Map<FlowId, FlowState>,
    /// How many frames were counted for [`Faults::nth`].
    counted: u64,
}

#[derive(Debug, Default)]
struct FlowState {
    frames: u64,
    /// In the bad state of the burst model.
    bad: bool,
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// It gets lost.
    pub(crate) lost: Option<DropReason>,
    /// By how many nanoseconds it is early or late.
    pub(crate) jitter: i64,
    /// It may overtake, and be overtaken.
    pub(crate) loose: bool,
    /// It is held back for this long.
    pub(crate) late: Option<Duration>,
    /// A copy arrives, too.
    pub(crate) copy: bool,
    /// This bit is turned over.
    pub(crate) bit: Option<u64>,
}

impl Fate {
    /// Whether something happens that is told.
    pub(crate) fn is_told(self) -> bool {
        self.late.is_some() || self.copy || self.bit.is_some()
    }
}

impl Odd {
    pub(super) fn new(seed: Seed, link: &str, way: &str, faults: Faults) -> Odd {
        let luck = |purpose: &str| seed.luck(link, &format!("{purpose} {way}"));
        Odd {
            faults,
            jitter: luck("jitter"),
            burst: luck("burst"),
            duplicate: luck("duplicate"),
            reorder: luck("reorder"),
            corrupt: luck("corrupt"),
            flows: Map::default(),
            counted: 0,
        }
    }

    /// Changes a setting that is one of the faults.
    pub(super) fn change(&mut self, change: LinkChange) {
        let faults = &mut self.faults;
        match change {
            LinkChange::QueueBytes(n) => faults.queue_bytes = n,
            LinkChange::Jitter(jitter) => faults.jitter = jitter,
            LinkChange::Burst(burst) => {
                faults.burst = burst;
                // A new model begins in the good state.
                self.flows.values_mut().for_each(|flow| flow.bad = false);
            }
            LinkChange::Nth(nth) => {
                faults.nth = nth;
                self.counted = 0;
            }
            LinkChange::Matching(matching) => {
                faults.matching = matching;
                self.counted = 0;
            }
            LinkChange::Duplicate(p) => faults.duplicate = p,
            LinkChange::Reorder(reorder) => faults.reorder = reorder,
            LinkChange::Corrupt(p) => faults.corrupt = p,
            LinkChange::Mtu(mtu) => faults.mtu = mtu,
            LinkChange::Loss(_)
            | LinkChange::Delay(_)
            | LinkChange::Rate(_)
            | LinkChange::Queue(_) => {}
        }
    }

    /// Whether the frame's packet is larger than the link carries.
    pub(super) fn is_too_big(&self, frame: &Frame) -> bool {
        self.faults.mtu.is_some_and(|mtu| {
            let packet = match frame.meta.layers.network {
                Network::Ipv4 | Network::Ipv6 => frame.ip_len(),
                _ => frame.len().saturating_sub(netarium_wire::eth::HEADER),
            };
            packet > mtu as usize
        })
    }

    /// Draws what becomes of a frame that is on the wire.
    pub(super) fn decide(&mut self, frame: &Frame) -> Fate {
        let flow = frame.meta.flow;
        if self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&flow) {
            self.flows.swap_remove_index(0);
        }
        let state = self.flows.entry(flow).or_default();
        state.frames += 1;
        let (key, n) = (flow.0, state.frames);
        let faults = &self.faults;
        let mut fate = Fate::default();
        if let Some(burst) = faults.burst {
            // The state changes first, as in netem; a loss is drawn in the new state.
            let change = if state.bad { burst.leave } else { burst.enter };
            state.bad ^= always(self.burst, change, key, n * 2);
            let loss = if state.bad { burst.bad } else { burst.good };
            if always(self.burst, loss, key, n * 2 + 1) {
                fate.lost = Some(DropReason::LinkBurst);
            }
        }
        if is_picked(faults, &mut self.counted, frame) {
            fate.lost = Some(DropReason::LinkPicked);
        }
        if let Some(jitter) = faults.jitter {
            fate.jitter = draw_jitter(self.jitter, jitter, key, n);
            fate.loose = jitter.reorder;
        }
        if let Some(reorder) = faults.reorder
            && n.is_multiple_of(u64::from(reorder.gap.max(1)))
            && always(self.reorder, reorder.probability, key, n)
        {
            fate.late = Some(reorder.late);
        }
        fate.copy = always(self.duplicate, faults.duplicate, key, n);
        if always(self.corrupt, faults.corrupt, key, n * 2) && !frame.is_empty() {
            let bits = frame.len() as u64 * 8;
            let drawn = u128::from(self.corrupt.draw(key, n * 2 + 1));
            fate.bit = Some(((drawn * u128::from(bits)) >> 64) as u64);
        }
        fate
    }
}

/// Whether a draw hits; the largest threshold always does, so that «100%» is no figure of speech.
fn always(luck: Luck, p: u32, flow: u64, ordinal: u64) -> bool {
    p > 0 && (p == u32::MAX || luck.happens(p, flow, ordinal))
}

fn is_picked(faults: &Faults, counted: &mut u64, frame: &Frame) -> bool {
    if faults.nth.is_none() {
        return faults.matching.as_ref().is_some_and(|m| m.matches(frame));
    }
    if faults.matching.as_ref().is_some_and(|m| !m.matches(frame)) {
        return false;
    }
    *counted += 1;
    faults.nth.names(*counted)
}

/// Nanoseconds more (or less) than the delay.
fn draw_jitter(luck: Luck, jitter: Jitter, flow: u64, n: u64) -> i64 {
    let spread = i128::from(jitter.spread.as_nanos());
    let offset = match jitter.shape {
        Shape::Uniform => {
            let drawn = i128::from(luck.draw(flow, n * 3));
            // −spread to +spread, both included.
            ((drawn * (2 * spread + 1)) >> 64) - spread
        }
        // Twelve draws of 16 bits: their sum has a standard deviation of 2¹⁶ around 6·2¹⁶.
        Shape::Normal => {
            let parts = (0..3).map(|i| luck.draw(flow, n * 3 + i));
            let sum: u64 = parts.flat_map(|x| (0..4).map(move |i| x >> (16 * i) & 0xffff)).sum();
            // The mean of a draw is (2¹⁶ − 1) / 2.
            ((2 * i128::from(sum) - 12 * 0xffff) * spread) >> 17
        }
    };
    i64::try_from(offset).unwrap_or_default()
}

/// The frame with one bit turned over, and nothing known about it but where it belongs.
pub(crate) fn corrupted(frame: &Frame, bit: u64) -> Box<Frame> {
    let mut bytes = frame.to_vec();
    if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
        *byte ^= 0x80 >> (bit % 8);
    }
    let mut other = Frame::from_bytes(&bytes);
    other.meta.flow = frame.meta.flow;
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> Vec<i64> {
        let luck = Seed(1).luck("web.home", "jitter up");
        let jitter = text.parse().unwrap();
        (1..=100_000).map(|n| draw_jitter(luck, jitter, 7, n)).collect()
    }

    #[test]
    fn uniform_jitter_fills_its_range() {
        let all = drawn("1us");
        assert!(all.iter().all(|j| (-1_000..=1_000).contains(j)));
        assert!(all.contains(&-1_000) && all.contains(&1_000));
        let mean = all.iter().sum::<i64>() / 100_000;
        assert!(mean.abs() <= 10, "{mean}");
        // The variance of −n … n is n(n+1)/3.
        let variance = all.iter().map(|j| j * j).sum::<i64>() / 100_000;
        assert!((330_000..337_500).contains(&variance), "{variance}");
    }

    #[test]
    fn normal_jitter_has_its_deviation() {
        let all = drawn("1us normal");
        let mean = all.iter().sum::<i64>() / 100_000;
        let variance = all.iter().map(|j| j * j).sum::<i64>() / 100_000;
        assert!(mean.abs() <= 15 && (980_000..1_020_000).contains(&variance), "{mean} {variance}");
        let within = |n: i64| all.iter().filter(|j| j.abs() <= n * 1_000).count();
        // 68.3 %, 95.4 %, 99.7 % of a normal distribution; a sum of twelve is a little narrower.
        assert!((67_500..69_500).contains(&within(1)), "{}", within(1));
        assert!((95_000..96_200).contains(&within(2)), "{}", within(2));
        assert!(within(6) == 100_000 && within(3) < 100_000);
    }
}
