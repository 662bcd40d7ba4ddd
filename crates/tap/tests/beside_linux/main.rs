//! The same segments and calls, from seeds, to a socket of Linux and to one of ours: do they answer
//! alike?
//!
//! Each script opens a connection somehow, then goes on at random near what would be right. After
//! each step what came back is compared: segments with flags, numbers, lengths, options and SACK
//! blocks, and what calls returned. Windows are compared loosely. Linux is given raw frames over a
//! TAP, and answers before the next step: an echo request behind each frame comes back behind what
//! the frame caused, so nothing waits for time to pass.
//!
//! What may differ and why stands in [`legitimate`], and in `docs/tcp.md`.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod generate;
mod legitimate;
mod linux;
mod ours;
mod sides;

use std::collections::BTreeMap;

use common::on_ground;
use generate::Script;
use linux::Linux;
use netarium_tap::Netns;
use ours::Ours;
use sides::Side;

/// A difference that shows once may be the machine's: a timer of Linux fired because the test was
/// kept waiting. One that shows so often is one.
const TRIES: usize = 3;

/// One of so many scripts may differ for no reason that is listed: the chunks that a write makes on
/// Linux are cut by the window and the options of that moment, and stay so when both change.
const SPARED: usize = 10_000;

#[test]
fn answers_are_those_of_linux() {
    on_ground("answers_are_those_of_linux", |netns| compare(netns, 0..1_500));
}

#[test]
#[ignore = "takes minutes; a soak"]
fn answers_are_those_of_linux_many_times() {
    on_ground("answers_are_those_of_linux_many_times", |netns| {
        let seeds = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(50_000);
        compare(netns, 1_500..1_500 + seeds);
    });
}

fn compare(netns: Netns, seeds: std::ops::Range<u64>) {
    let mut linux = Linux::new(netns);
    let scripts = seeds.clone().count();
    let (mut steps, mut excused) = (0, BTreeMap::<&str, usize>::new());
    let mut found: Vec<String> = Vec::new();
    for seed in seeds {
        let mut last = Ok(Outcome::default());
        for _ in 0..TRIES {
            last = play(seed, &mut linux);
            if last.is_ok() {
                break;
            }
        }
        match last {
            Ok(outcome) => {
                steps += outcome.steps;
                if let Some(why) = outcome.excused {
                    *excused.entry(why).or_default() += 1;
                }
            }
            Err(report) => found.push(format!("seed {seed}:\n{report}")),
        }
    }
    println!("{steps} steps alike; legitimate differences: {excused:#?}");
    let shown = std::env::var("SHOW").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let shown = found.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(found.len() <= scripts / SPARED, "{} scripts differ, such as\n{shown}", found.len());
    assert!(steps >= scripts * legitimate::LEAST_STEPS, "{steps} steps of {scripts} scripts");
    for (why, times) in excused {
        let most = 1 + steps * legitimate::ceiling(why) / 1_000;
        assert!(times <= most, "{times} times, more than {most}, in {steps} steps: {why}");
    }
}

/// How far two sides went alike.
#[derive(Default)]
struct Outcome {
    steps: usize,
    /// Why they need not agree any further.
    excused: Option<&'static str>,
}

/// Plays one script to both sides, up to the first difference.
fn play(seed: u64, linux: &mut Linux) -> Result<Outcome, String> {
    let mut script = Script::new(seed);
    linux.begin(script.peer_port());
    let mut ours = Ours::new(script.peer_port());
    let mut log = String::new();
    let mut outcome = Outcome::default();
    while let Some(step) = script.next(&ours.view()) {
        let (we, they) = (ours.take(&step), linux.take(&step));
        log += &format!("  {step}\n      ours  {we}\n      linux {they}\n");
        outcome.steps += 1;
        if legitimate::same(&we, &they) {
            level(&script, &mut ours, linux, &mut log);
            continue;
        }
        outcome.excused = legitimate::reason(&step, &we, &they);
        if outcome.excused.is_some() {
            break;
        }
        linux.end();
        return Err(log);
    }
    linux.end();
    Ok(outcome)
}

/// When one has acknowledged what the other will in a moment: a segment that both answer at once, so
/// that the next is judged by the same window.
fn level(script: &Script, ours: &mut Ours, linux: &mut Linux, log: &mut String) {
    let (we, they) = (ours.view().seq, linux.view().seq);
    if we != they {
        let before = if (we.wrapping_sub(they) as i32) < 0 { we } else { they };
        let probe = script.probe(before, &ours.view());
        let (we, they) = (ours.take(&probe), linux.take(&probe));
        *log += &format!("  (level)\n      ours  {we}\n      linux {they}\n");
    }
}
