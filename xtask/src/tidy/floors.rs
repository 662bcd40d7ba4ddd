//! The floors: each crate depends only on crates below it, the pure ones on nothing that reaches
//! the real machine, and the library facade never on the server.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde_json::Value;

use crate::repo::{Finding, Repo};

/// The crates that must not touch the real machine, lowest first.
pub(super) const PURE: &[&str] =
    &["base", "wire", "filter", "stack", "drill", "world", "programs", "lab", "explain"];
/// The crates above them, lowest first.
const IMPURE: &[&str] = &["netarium", "tap", "server", "netarium-cli"];

/// The one crate that may hold `unsafe`, in the files that `code.rs` lists. It cannot take the
/// workspace's lints, which forbid it: what is forbidden nobody can allow again.
const UNSAFE: &str = "tap";

/// Crates that bring clocks, threads, sockets or ambient randomness by their nature.
const NEVER_IN_PURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "clap",
    "crossbeam",
    "fastrand",
    "getrandom",
    "mio",
    "nix",
    "rand",
    "rayon",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "uuid",
];
/// Features of tokio that are pure: traits and locks, no runtime.
const PURE_TOKIO: &[&str] = &["io-util", "sync"];
/// What the library facade must not pull in, however indirectly.
const NEVER_IN_FACADE: &[&str] = &["netarium-server", "clap", "axum"];

/// Checks the manifest of each crate, then the facade's whole dependency graph.
pub(super) fn check(repo: &Repo) -> Result<Vec<Finding>, Box<dyn Error>> {
    let mut findings = Vec::new();
    for path in repo.files_in("crates", "/Cargo.toml") {
        let text = repo.text(path).unwrap_or_default();
        match toml::from_str(&text) {
            Ok(manifest) => findings.extend(check_manifest(path, &text, &manifest)),
            Err(e) => findings.push(Finding::error(path, 0, e.message(), "not valid TOML")),
        }
    }
    findings.extend(check_root(&repo.text("Cargo.toml").unwrap_or_default()));
    findings.extend(check_facade(&repo.metadata()?));
    Ok(findings)
}

fn check_manifest(path: &str, text: &str, manifest: &toml::Table) -> Vec<Finding> {
    let folder = path.split('/').nth(1).unwrap_or_default();
    let Some(floor) = floor_of(folder) else {
        let hint = "add it to the floors in xtask/src/tidy/floors.rs";
        return vec![Finding::error(path, 0, "this crate has no floor", hint)];
    };
    let mut findings = Vec::new();
    for (dependency, spec, is_dev) in dependencies(manifest) {
        let line = 1 + text.lines().position(|l| names(l, dependency)).unwrap_or(0);
        if let Some(other) = dependency_folder(dependency).and_then(floor_of)
            && other >= floor
        {
            let what = format!("`{folder}` must not depend on `{dependency}`");
            findings.push(Finding::error(path, line, what, "crates depend only on lower floors"));
        }
        if !is_dev && PURE.contains(&folder) {
            findings.extend(impure_dependency(path, line, dependency, spec));
        }
    }
    let takes_lints = manifest.get("lints").and_then(|l| l.get("workspace"));
    if takes_lints != Some(&toml::Value::Boolean(true)) && folder != UNSAFE {
        let what = "does not take the workspace's lints";
        findings.push(Finding::error(path, 0, what, "add `[lints]` with `workspace = true`"));
    }
    findings
}

fn impure_dependency(
    path: &str,
    line: usize,
    dependency: &str,
    spec: &toml::Value,
) -> Option<Finding> {
    let hint = "pure crates get time, chance and bytes from their caller";
    if NEVER_IN_PURE.contains(&dependency) {
        let what = format!("a pure crate must not depend on `{dependency}`");
        return Some(Finding::error(path, line, what, hint));
    }
    let features = spec.get("features").and_then(toml::Value::as_array);
    let extra = features.into_iter().flatten().filter_map(toml::Value::as_str);
    let extra: Vec<&str> = extra.filter(|f| !PURE_TOKIO.contains(f)).collect();
    (dependency == "tokio" && !extra.is_empty()).then(|| {
        let what = format!("a pure crate must not use tokio's `{}`", extra.join("`, `"));
        Finding::error(path, line, what, hint)
    })
}

/// The workspace itself forbids `unsafe`, and gives no tokio runtime to every crate.
fn check_root(text: &str) -> Vec<Finding> {
    let root: toml::Table = toml::from_str(text).unwrap_or_default();
    let at = |keys: &[&str]| {
        let mut value = root.get("workspace")?;
        for key in keys {
            value = value.get(key)?;
        }
        Some(value.clone())
    };
    let mut findings = Vec::new();
    if at(&["lints", "rust", "unsafe_code"]) != Some("forbid".into()) {
        let hint = "set `unsafe_code = \"forbid\"` in [workspace.lints.rust]";
        findings.push(Finding::error("Cargo.toml", 0, "unsafe code is not forbidden", hint));
    }
    if let Some(tokio) = at(&["dependencies", "tokio"]) {
        findings.extend(impure_dependency("Cargo.toml", 0, "tokio", &tokio));
    }
    findings
}

/// Every dependency of a manifest: its name, what is asked of it, and whether only tests need it.
fn dependencies(manifest: &toml::Table) -> Vec<(&str, &toml::Value, bool)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(toml::Table::values).filter_map(|t| t.as_table());
    let mut all = Vec::new();
    for table in [manifest].into_iter().chain(targets) {
        for (kind, is_dev) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let entries = table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
            all.extend(entries.map(|(name, spec)| {
                let renamed = spec.get("package").and_then(toml::Value::as_str);
                (renamed.unwrap_or(name), spec, is_dev)
            }));
        }
    }
    all
}

/// The folder of one of our packages.
fn dependency_folder(package: &str) -> Option<&str> {
    match package {
        "netarium" | "netarium-cli" => Some(package),
        _ => package.strip_prefix("netarium-"),
    }
}

fn floor_of(folder: &str) -> Option<usize> {
    PURE.iter().chain(IMPURE).position(|name| *name == folder)
}

/// Whether this line of a manifest begins with the key `dependency`.
fn names(line: &str, dependency: &str) -> bool {
    line.trim_start().strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
}

/// The facade is what a Rust test links: nothing of the server may come along.
fn check_facade(metadata: &Value) -> Vec<Finding> {
    let names: BTreeMap<&str, &str> = array(&metadata["packages"])
        .filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?)))
        .collect();
    let edges: BTreeMap<&str, Vec<&str>> = array(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, normal_dependencies(node))))
        .collect();
    let mut seen = BTreeSet::new();
    let mut next: Vec<&str> =
        names.iter().filter(|(_, name)| **name == "netarium").map(|(id, _)| *id).collect();
    while let Some(id) = next.pop() {
        if seen.insert(id) {
            next.extend(edges.get(id).into_iter().flatten());
        }
    }
    let found: BTreeSet<&str> = seen.iter().filter_map(|id| names.get(id).copied()).collect();
    NEVER_IN_FACADE
        .iter()
        .filter(|name| found.contains(**name))
        .map(|name| {
            let what = format!("the facade depends on `{name}`, directly or not");
            Finding::error("crates/netarium/Cargo.toml", 0, what, "see `cargo tree -p netarium`")
        })
        .collect()
}

fn normal_dependencies(node: &Value) -> Vec<&str> {
    array(&node["deps"])
        .filter(|dep| array(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null()))
        .filter_map(|dep| dep["pkg"].as_str())
        .collect()
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(folder: &str, dependencies: &str) -> Vec<String> {
        let text = format!("[lints]\nworkspace = true\n{dependencies}");
        let manifest = toml::from_str(&text).expect("is TOML");
        let path = format!("crates/{folder}/Cargo.toml");
        check_manifest(&path, &text, &manifest).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_crate_may_look_down_but_neither_up_nor_at_itself() {
        assert!(findings("stack", "[dependencies]\nnetarium-wire.workspace = true").is_empty());
        for up in ["netarium-world", "netarium-stack", "netarium-server", "netarium"] {
            let found = findings("stack", &format!("[dependencies]\n{up}.workspace = true"));
            assert_eq!(found.len(), 1, "{up}: {found:?}");
            assert!(found[0].starts_with("crates/stack/Cargo.toml:4: "), "{found:?}");
        }
        assert_eq!(findings("wire", "[dev-dependencies]\nnetarium-lab.workspace = true").len(), 1);
        let target = "[target.'cfg(unix)'.build-dependencies]\nx = { package = \"netarium-lab\" }";
        assert_eq!(findings("wire", target).len(), 1);
    }

    #[test]
    fn pure_crates_take_nothing_that_reaches_the_machine() {
        assert_eq!(findings("world", "[dependencies]\nrand = \"0.9\"").len(), 1);
        assert!(findings("world", "[dev-dependencies]\ntempfile = \"3\"").is_empty());
        assert!(findings("server", "[dependencies]\nsocket2 = \"0.6\"").is_empty());
        let tokio =
            |f: &str| format!("[dependencies]\ntokio = {{ version = \"1\", features = [{f}] }}");
        assert_eq!(findings("world", &tokio("\"net\"")).len(), 1);
        assert!(findings("world", &tokio("\"io-util\"")).is_empty());
    }

    #[test]
    fn a_crate_without_a_floor_or_without_the_lints_is_found() {
        assert_eq!(findings("attic", "").len(), 1);
        let own = toml::from_str("[lints.rust]\nunsafe_code = \"deny\"").expect("is TOML");
        assert!(check_manifest("crates/tap/Cargo.toml", "", &own).is_empty());
        assert_eq!(check_manifest("crates/server/Cargo.toml", "", &own).len(), 1);
        let manifest = toml::from_str("[package]").expect("is TOML");
        assert_eq!(check_manifest("crates/base/Cargo.toml", "", &manifest).len(), 1);
        assert_eq!(check_root("[workspace.lints.rust]\nunsafe_code = \"warn\"").len(), 1);
        assert_eq!(check_root("[workspace.lints.rust]\nunsafe_code = \"forbid\"").len(), 0);
    }

    #[test]
    fn the_facade_is_followed_through_normal_dependencies_only() {
        let graph = |kind: &str| -> Value {
            serde_json::from_str(&format!(
                r#"{{"packages": [{{"id": "1", "name": "netarium"}}, {{"id": "2", "name": "x"}},
                    {{"id": "3", "name": "axum"}}],
                "resolve": {{"nodes": [
                    {{"id": "1", "deps": [{{"pkg": "2", "dep_kinds": [{{"kind": null}}]}}]}},
                    {{"id": "2", "deps": [{{"pkg": "3", "dep_kinds": [{{"kind": {kind}}}]}}]}}]}}}}"#
            ))
            .expect("is JSON")
        };
        assert_eq!(check_facade(&graph("null")).len(), 1);
        assert_eq!(check_facade(&graph("\"dev\"")).len(), 0);
    }
}
