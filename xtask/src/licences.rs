//! Every dependency's licence against the allow list.

use serde_json::Value;
use spdx::{AdditionItem, Expression, LicenseReq, ParseMode};

use crate::Outcome;
use crate::repo::Repo;

/// Licences that a dependency may be used under.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];
/// Exceptions that only add permissions to an allowed licence.
const ALLOWED_EXCEPTIONS: &[&str] = &["LLVM-exception"];

/// Checks every package that the lock file names and that is not our own.
pub(crate) fn run(repo: &Repo) -> Outcome {
    let metadata = repo.metadata()?;
    let (mut checked, mut findings) = (0, 0);
    for package in metadata["packages"].as_array().into_iter().flatten() {
        // Our own packages have no source.
        if package["source"].is_null() {
            continue;
        }
        checked += 1;
        if let Err(why) = judge(package["license"].as_str(), &package["license_file"]) {
            findings += 1;
            let (name, version) = (text(&package["name"]), text(&package["version"]));
            println!(
                "Cargo.lock:1: {name} {version}: {why} (see ALLOWED in xtask/src/licences.rs)"
            );
        }
    }
    println!("licences: {checked} dependencies checked, {findings} not allowed");
    Ok(findings)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// Whether a package under this licence expression may be used.
fn judge(licence: Option<&str>, file: &Value) -> Result<(), String> {
    let Some(licence) = licence else {
        let file = file.as_str().unwrap_or("none");
        return Err(format!("no licence expression, licence file: {file}"));
    };
    // Older crates write `MIT/Apache-2.0` and lower case: lax mode reads both.
    let expression =
        Expression::parse_mode(licence, ParseMode::LAX).map_err(|e| format!("`{licence}`: {e}"))?;
    if expression.evaluate(is_allowed) { Ok(()) } else { Err(format!("licence `{licence}`")) }
}

fn is_allowed(requirement: &LicenseReq) -> bool {
    let id = requirement.license.id();
    let is_harmless = |added: &AdditionItem| {
        added.id().is_some_and(|exception| ALLOWED_EXCEPTIONS.contains(&exception.name))
    };
    id.is_some_and(|id| ALLOWED.contains(&id.name))
        && requirement.addition.as_ref().is_none_or(is_harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(licence: &str) -> bool {
        judge(Some(licence), &Value::Null).is_ok()
    }

    #[test]
    fn or_needs_one_side_and_needs_both() {
        assert!(ok("MIT"));
        assert!(ok("MIT OR GPL-3.0-only"));
        assert!(ok("MIT/Apache-2.0"));
        assert!(ok("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(ok("Apache-2.0 WITH LLVM-exception"));
        assert!(!ok("MIT AND GPL-3.0-only"));
        assert!(!ok("(MIT AND AGPL-3.0-only) OR (LGPL-2.1-or-later AND ISC)"));
        assert!(!ok("GPL-2.0-only WITH Classpath-exception-2.0"));
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        assert!(!ok("See LICENSE"));
        assert!(!ok("LicenseRef-Mine"));
        assert!(!ok(""));
        let why = judge(None, &Value::from("COPYING")).expect_err("says nothing");
        assert!(why.contains("COPYING"), "{why}");
    }

    #[test]
    fn every_allowed_name_is_a_licence() {
        assert!(ALLOWED.iter().all(|name| spdx::license_id(name).is_some()));
    }
}
