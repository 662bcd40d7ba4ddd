//! The bans of the pure crates work: clippy, given `xtask/clippy-pure.toml`, objects to every name
//! in it. The fixture breaks each ban once, with stand-ins for crates that are not dependencies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const LINTS: [&str; 3] =
    ["clippy::disallowed_types", "clippy::disallowed_methods", "clippy::disallowed_macros"];

/// Every banned path as (lint, path), as clippy is told to see it.
fn banned() -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(manifest_dir().join("clippy-pure.toml")).expect("is there");
    let table: toml::Table = text.parse().expect("is TOML");
    let mut all = BTreeSet::new();
    for (key, entries) in &table {
        let lint = format!("clippy::{}", key.replace('-', "_"));
        assert!(LINTS.contains(&lint.as_str()), "`{key}` is not proven by this test");
        for entry in entries.as_array().expect("a list of bans") {
            let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
            assert!(text("reason").is_some_and(|r| r.len() > 20), "no reason: {entry}");
            let path = text("path").expect("a ban has a path").to_owned();
            assert!(all.insert((lint.clone(), path)), "banned twice: {entry}");
        }
    }
    all
}

fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A target folder of its own: the one of this test is locked by the cargo that runs it.
fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("impure")
}

/// Runs clippy on the fixture; `None` when this toolchain has no clippy.
fn clippy() -> Option<Vec<serde_json::Value>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let has_clippy = Command::new(&cargo).args(["clippy", "--version"]).output();
    if !has_clippy.is_ok_and(|out| out.status.success()) {
        return None;
    }
    let out = Command::new(cargo)
        .args(["clippy", "--offline", "--locked", "--message-format=json"])
        .current_dir(manifest_dir().join("fixtures/impure"))
        .env("CARGO_TARGET_DIR", target_dir())
        .env_remove("RUSTFLAGS")
        .env_remove("CLIPPY_CONF_DIR")
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&out.stderr);
    // The bans are warnings here (the workspace denies them), so anything else is a broken fixture.
    assert!(out.status.success(), "the fixture does not compile:\n{said}");
    assert!(!said.contains("clippy.toml"), "clippy does not understand the bans:\n{said}");
    let text = String::from_utf8(out.stdout).expect("JSON is UTF-8");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
}

/// The (lint, path) of a message like «use of a disallowed method `std::time::Instant::now`».
fn objection(message: &serde_json::Value) -> Option<(String, String)> {
    let lint = message["message"]["code"]["code"].as_str()?;
    let text = message["message"]["message"].as_str()?;
    LINTS
        .contains(&lint)
        .then(|| (lint.to_owned(), text.split('`').nth(1).unwrap_or(text).to_owned()))
}

#[test]
fn clippy_objects_to_every_banned_name() {
    let Some(messages) = clippy() else {
        eprintln!("skipped: this toolchain has no clippy");
        return;
    };
    let objections: BTreeSet<_> = messages.iter().filter_map(objection).collect();
    let banned = banned();
    let unseen: Vec<_> = banned.difference(&objections).collect();
    assert!(unseen.is_empty(), "clippy lets these pass: {unseen:#?}");
    assert_eq!(objections, banned, "the fixture breaks a ban that is not in the list");
}

#[test]
fn the_bans_cover_each_kind_of_leak() {
    let banned = banned();
    for path in [
        "std::time::Instant::now",
        "std::thread::spawn",
        "std::net::TcpStream",
        "std::fs::read",
        "std::env::var",
        "std::process::Command",
        "std::collections::HashMap",
        "std::hash::RandomState",
        "hickory_proto::op::Message::query",
        "rand::random",
        "f64::sin",
        "tokio::select",
        "futures::select",
        "std::println",
    ] {
        assert!(banned.iter().any(|(_, ban)| ban == path), "{path} is allowed");
    }
    assert!(!banned.iter().any(|(_, ban)| ban == "f64::sqrt"), "sqrt is exact");
}
