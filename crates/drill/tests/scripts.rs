//! The project's own scripts: all pass, and twice is the same.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "reads the scripts")]

use std::path::{Path, PathBuf};

use netarium_drill::{Verdict, run, summary};

/// Scripts below the workspace's `tests/scripts`, in the order of their names.
fn scripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "pkt") {
            found.push(path);
        }
    }
}

#[test]
fn all_pass_and_twice_is_the_same() {
    let all = scripts();
    assert!(all.len() > 600, "only {} scripts", all.len());
    let (mut outcomes, mut differ) = (Vec::new(), Vec::new());
    for path in &all {
        let text = std::fs::read_to_string(path).unwrap();
        let name = path.display().to_string();
        let name = name.rsplit("tests/scripts/").next().unwrap();
        let outcome = run(name, &text, &[]);
        if run(name, &text, &[]) != outcome {
            differ.push(name.to_owned());
        }
        outcomes.push(outcome);
    }
    assert!(differ.is_empty(), "not the same twice: {differ:?}");
    let bad: Vec<String> = outcomes
        .iter()
        .filter(|o| o.verdict != Verdict::Passed || !o.notes.is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(bad.is_empty(), "{}\n{}", summary(&outcomes), bad.concat());
}

#[test]
fn every_script_says_what_it_pins_down() {
    for path in scripts() {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("// RFC "), "{}: {first}", path.display());
    }
}
