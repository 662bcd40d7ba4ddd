//! The other systems: whether the workspace compiles for them, tests included.
//!
//! Only compiled, not run: it shows what took another system for granted. A target that rustup has
//! not installed is named and left out.

use std::process::Command;

use crate::Outcome;
use crate::repo::Repo;

/// What is compiled for a target.
struct Target {
    triple: &'static str,
    /// Arguments of `cargo check` that choose packages.
    what: &'static [&'static str],
    flags: &'static str,
}

const TARGETS: &[Target] = &[
    Target {
        triple: "x86_64-pc-windows-gnu",
        what: &["--workspace", "--tests"],
        flags: "-D warnings",
    },
    Target {
        triple: "aarch64-apple-darwin",
        what: &["--workspace", "--tests"],
        flags: "-D warnings",
    },
    // What stands below `server`. There is no randomness of the machine to ask for, and none is.
    Target {
        triple: "wasm32-unknown-unknown",
        what: &[
            "-p=netarium-world",
            "-p=netarium-programs",
            "-p=netarium-lab",
            "-p=netarium-explain",
        ],
        flags: r#"-D warnings --cfg getrandom_backend="unsupported""#,
    },
];

/// Checks each target that is there; returns how many do not compile.
///
/// # Errors
/// When rustup cannot be asked, or none of the targets is installed.
pub(crate) fn run(repo: &Repo) -> Outcome {
    let out = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output()
        .map_err(|e| format!("portable: rustup: {e}"))?;
    let installed = String::from_utf8_lossy(&out.stdout).into_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (mut checked, mut failed) = (0, 0);
    for target in TARGETS {
        let triple = target.triple;
        if !installed.lines().any(|line| line == triple) {
            println!("portable: {triple}: skipped: `rustup target add {triple}` would install it");
            continue;
        }
        checked += 1;
        let check = Command::new(&cargo)
            .args(["check", "--locked", "--quiet", "--target", triple])
            .args(target.what)
            .env("RUSTFLAGS", target.flags)
            .current_dir(&repo.root)
            .status()?;
        failed += usize::from(!check.success());
        println!(
            "portable: {triple}: {}",
            if check.success() { "compiles" } else { "does not compile" }
        );
    }
    if checked == 0 {
        return Err("portable: no other system's target is installed".into());
    }
    Ok(failed)
}
