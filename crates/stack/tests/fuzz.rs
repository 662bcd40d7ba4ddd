//! The fuzz bodies over seeded inputs: a bounded number of cases, so that a run takes seconds.

mod common;

use common::fuzz::{STEP, segments};
use netarium_base::Seed;

/// Sequences of segments, calls and waits: no panic, bounded answers, and nothing left behind.
#[test]
fn any_sequence_of_segments_is_survived() {
    let mut luck = Seed(4).stream("fuzz", "segments");
    for _ in 0..15_000 {
        let steps = luck.below(60) as usize;
        let bytes: Vec<u8> = (0..1 + steps * STEP).map(|_| luck.next_u32() as u8).collect();
        segments(&bytes);
    }
}
