//! Any bytes for everything that reads some: the bodies of the fuzz targets over mutations of what
//! means something.
//!
//! A run takes seconds. `NETARIUM_SOAK=3600 cargo test -p netarium --test arbitrary_bytes -- --nocapture`
//! goes on for so many seconds of one processor, and says how many inputs each target survived;
//! `NETARIUM_TARGET=labs` chooses one target. An input that panics is printed.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "a soak knows the machine's time and environment"
)]

#[path = "../../../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a crate of its own for cargo-fuzz")]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use netarium_base::{Rng, Seed};
use targets::{TARGETS, Target};

/// Inputs of each target in a usual run: those that build whole labs get fewer.
fn usual(target: &Target) -> u64 {
    match target.name {
        "commands" | "http" | "names" | "configurations" => 60,
        "labs" | "journals" | "drills" => 400,
        _ => 1_500,
    }
}

/// A seed with bytes changed, cut out, doubled, joined with another, or words put in.
fn mutation(rng: &mut Rng, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let pick = |rng: &mut Rng, n: usize| rng.below(n.max(1) as u32) as usize;
    let mut bytes = seeds[pick(rng, seeds.len())].clone();
    for _ in 0..1 + pick(rng, 6) {
        let at = pick(rng, bytes.len() + 1);
        let end = (at + pick(rng, 16)).min(bytes.len());
        match rng.below(8) {
            0 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] ^= 1 << rng.below(8);
            }
            1 if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b' ', b'9'][pick(rng, 7)];
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                let other = &seeds[pick(rng, seeds.len())];
                let from = pick(rng, other.len() + 1);
                let part = other[from..(from + pick(rng, 64)).min(other.len())].to_vec();
                bytes.splice(at..end, part);
            }
            5 | 6 if !words.is_empty() => {
                let word = words[pick(rng, words.len())].as_bytes().to_vec();
                bytes.splice(at..at, word);
            }
            7 => bytes.truncate(at),
            _ => bytes.insert(at, rng.next_u32() as u8),
        }
    }
    bytes.truncate(20_000);
    bytes
}

/// Gives the target inputs until `done`; how many it was.
fn feed(target: &Target, seed: u64, mut done: impl FnMut(u64) -> bool) -> u64 {
    let seeds = (target.seeds)();
    for input in &seeds {
        (target.body)(input);
    }
    let mut rng = Seed(seed).stream("arbitrary", target.name);
    let mut count = 0;
    while !done(count) {
        let input = mutation(&mut rng, &seeds, target.words);
        let survived = catch_unwind(AssertUnwindSafe(|| (target.body)(&input)));
        assert!(survived.is_ok(), "{}: {:?}", target.name, String::from_utf8_lossy(&input));
        count += 1;
    }
    count
}

#[test]
fn any_bytes_are_survived() {
    let soak = std::env::var("NETARIUM_SOAK").ok().and_then(|s| s.parse::<u64>().ok());
    let only = std::env::var("NETARIUM_TARGET").ok();
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|t| only.as_deref().is_none_or(|o| o == t.name)).collect();
    for target in &chosen {
        let (begun, share) = (Instant::now(), soak.map(|s| s / chosen.len() as u64));
        let seed = soak.map_or(1, |s| s ^ u64::from(std::process::id()));
        let count = feed(target, seed, |n| match share {
            Some(seconds) => begun.elapsed() > Duration::from_secs(seconds),
            None => n >= usual(target),
        });
        if soak.is_some() {
            eprintln!("{}: {count} inputs in {:?}", target.name, begun.elapsed());
        }
    }
}

#[test]
#[ignore = "writes files for libFuzzer"]
fn seeds_are_written() -> std::io::Result<()> {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for target in TARGETS {
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n}")), seed)?;
        }
        let bytes = |word: &str| word.bytes().map(|b| format!("\\x{b:02x}")).collect::<String>();
        let words: String = target.words.iter().map(|w| format!("\"{}\"\n", bytes(w))).collect();
        std::fs::write(corpus.join(format!("{}.dict", target.name)), words)?;
    }
    Ok(())
}
