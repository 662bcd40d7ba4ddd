//! The same commands on the same hosts: in Linux network namespaces with the real programs, and in a
//! lab with ours. Exit codes, and output field by field.
//!
//! [`neighbours`] has two hosts on one wire, [`routed`] a router between them; [`real`] and [`ours`]
//! run their commands, [`compare`] takes out what chance decides.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "runs real programs"
)]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod neighbours;
mod ours;
mod real;
mod routed;

/// A command on a host, as `sh -c` takes it.
type Line = (&'static str, &'static str);

/// Exit code, and what was said on both streams.
type Outcome = (i32, String);

/// How often the real programs are asked before a difference is one. On a busy machine a real
/// program's threads, or two of them beside each other, do not always speak in the same order; ours
/// always do, so theirs alone are asked again.
const TIMES: usize = 3;

/// What the real programs say in a network of their own, each line of it, or why they cannot be
/// asked.
type Real = Result<Vec<Option<Outcome>>, real::Skip>;

/// Compares runs of the same commands: each line of ours is what the real one says at least once.
fn check(lines: &[Line], real: impl Fn() -> Real, ours: impl FnOnce() -> Vec<Outcome>) {
    let mut asked = match real() {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let ours = ours();
    assert_eq!(ours.len(), lines.len(), "every command has an outcome");
    let mut agreed = vec![false; lines.len()];
    for time in 1.. {
        let mut wrong = Vec::new();
        for (at, (host, command)) in lines.iter().enumerate() {
            let (Some(real), ours, false) = (&asked[at], &ours[at], agreed[at]) else { continue };
            agreed[at] = real.0 == ours.0 && compare::same(command, &real.1, &ours.1);
            if !agreed[at] {
                wrong.push(format!(
                    "{host}: {command}\n-- real, exit code {}\n{}-- ours, exit code {}\n{}",
                    real.0, real.1, ours.0, ours.1
                ));
            }
        }
        if wrong.is_empty() {
            return;
        }
        let differ = format!("{} of {} differ\n{}", wrong.len(), lines.len(), wrong.join("\n"));
        assert!(time < TIMES, "{differ}");
        eprintln!("asked again, since {differ}");
        asked = real().expect("what could be asked once can be asked again");
    }
}
