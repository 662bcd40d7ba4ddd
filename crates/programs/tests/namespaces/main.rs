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

/// Compares two runs of the same commands.
fn check(lines: &[Line], real: &[Option<Outcome>], ours: &[Outcome]) {
    let mut wrong = Vec::new();
    for (((host, command), real), ours) in lines.iter().zip(real).zip(ours) {
        let Some(real) = real else { continue };
        if real.0 != ours.0 || !compare::same(command, &real.1, &ours.1) {
            wrong.push(format!(
                "{host}: {command}\n-- real, exit code {}\n{}-- ours, exit code {}\n{}",
                real.0, real.1, ours.0, ours.1
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), lines.len(), wrong.join("\n"));
}
