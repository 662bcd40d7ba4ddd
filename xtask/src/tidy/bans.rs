//! Clippy reads a `clippy.toml` from each crate's own folder and cannot include another. So the
//! bans of the pure crates have one source, and this rule keeps the copies equal to it.
//! That the bans themselves work is proven by `xtask/tests/bans.rs`.

use std::error::Error;

use super::floors;
use crate::repo::{Finding, Repo};

const SOURCE: &str = "xtask/clippy-pure.toml";
/// The crate that breaks every ban is checked against the same text.
const FIXTURE: &str = "xtask/fixtures/impure/clippy.toml";

/// Compares, or with `fix` rewrites, each copy.
pub(super) fn check(repo: &Repo, fix: bool) -> Result<Vec<Finding>, Box<dyn Error>> {
    let want = repo.text(SOURCE).ok_or(format!("{SOURCE} is missing"))?;
    let mut findings = Vec::new();
    let crates = floors::PURE.iter().map(|name| format!("crates/{name}"));
    let copies = crates.filter(|folder| repo.has(&format!("{folder}/Cargo.toml")));
    for copy in copies.map(|folder| folder + "/clippy.toml").chain([FIXTURE.to_owned()]) {
        if repo.text(&copy).as_deref() == Some(&want) {
            continue;
        }
        if fix {
            std::fs::write(repo.root.join(&copy), &want)?;
            continue;
        }
        let what = format!("is not the same as {SOURCE}");
        findings.push(Finding::error(&copy, 0, what, "run `cargo xtask tidy --fix`"));
    }
    Ok(findings)
}
