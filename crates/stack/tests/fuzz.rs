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

/// Found by libFuzzer: what one acknowledgement lets go is bounded by the congestion window, and by
/// nothing less.
#[test]
fn the_least_mss_makes_many_segments() {
    let hex = concat!(
        "023100ffffffffffffff358affffffe371d31071e2332571d310ffffffffffff358ae233c4c4c42571d310e371d310",
        "e33076213329293ab9b9b9300229ffffff023329ff00e3303329ffffffffffff0300ffffffffffffffffffffffffff",
        "ffffffff8ae2332571d310e371d3023100ffffff762100d310e3101029332901293a3076210229ffffffffffffffff",
        "ffff03fe16ffffffffffffffffffff332571d310e371d3023100ffffff7621ffffffff358ae2332571d3d310e31010",
        "2933290029ffffffffffff03fe16ffffffffffffffffffffffffffffffff8ae2332571d310e371d3023100ffffff76",
        "21ffffffff358ae2332571d310e371d3cd000000d310e3101029332901293a30ffffffffffff5529ffffffffffff03",
        "fe16ffffffffffffffffffff332571d310e371d3023100ffffff7621ffffffff358ae2332571d3d310e31010293329",
        "00"
    );
    let pairs = hex.as_bytes().chunks(2).map(|p| std::str::from_utf8(p).expect("digits"));
    let bytes: Vec<u8> = pairs.map(|p| u8::from_str_radix(p, 16).expect("a byte")).collect();
    segments(&bytes);
}
