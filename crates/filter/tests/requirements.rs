//! The tables of `docs/nat.md` leave no requirement out, and name no test that does not exist.
#![allow(clippy::disallowed_methods, reason = "reads the tests that the page names")]

use std::collections::BTreeSet;
use std::path::Path;

const DOC: &str = include_str!("../../../docs/nat.md");

/// The rows of the table under a heading, cell by cell.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let from = DOC.find(&format!("## {heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let section = DOC[from + 3..].split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|l| l.starts_with("| ")).skip(1);
    rows.map(|l| l.trim_matches('|').split(" | ").map(|c| c.trim().to_owned()).collect()).collect()
}

/// Words between back quotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Checks that each test that a cell names is a function of the file that it names.
fn check_tests(cell: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let words = quoted(cell);
    let files: Vec<&str> = words.iter().copied().filter(|w| w.ends_with(".rs")).collect();
    let default = "crates/filter/tests/rfc.rs";
    let texts: Vec<String> = files
        .iter()
        .chain([&default])
        .map(|f| std::fs::read_to_string(root.join(f)).unwrap_or_else(|e| panic!("{f}: {e}")))
        .collect();
    let is_name =
        |w: &&str| w.contains('_') && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let tests: Vec<&str> = words.into_iter().filter(is_name).collect();
    assert!(!tests.is_empty(), "no test in: {cell}");
    for test in tests {
        let function = format!("\nfn {test}(");
        let at = texts.iter().find_map(|t| t.find(&function).map(|at| &t[..at]));
        let before = at.unwrap_or_else(|| panic!("there is no test `{test}`: {cell}"));
        assert!(before.ends_with("#[test]"), "`{test}` is no test");
    }
}

#[test]
fn every_requirement_has_its_test_or_its_reason() {
    let mut seen = BTreeSet::new();
    for row in rows("The RFCs, requirement by requirement") {
        assert_eq!(row.len(), 5, "{row:?}");
        seen.insert(row[0].clone());
        let last = &row[4];
        match last.strip_prefix("reason: ") {
            Some(reason) => assert!(!reason.is_empty(), "{row:?}"),
            None => check_tests(last),
        }
    }
    let all = |rfc: u32, n: u32| (1..=n).map(move |i| format!("RFC {rfc} REQ-{i}"));
    let sections = ["2.1", "2.2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
    let updates = sections.iter().map(|s| format!("RFC 7857 §{s}"));
    for wanted in all(4787, 14).chain(all(5382, 10)).chain(all(5508, 11)).chain(updates) {
        assert!(seen.contains(&wanted), "{wanted} is left out");
    }
}

#[test]
fn everything_that_goes_wrong_has_a_test_and_a_reason_that_exists() {
    let rows = rows("What goes wrong, and how it is told");
    assert!(rows.len() >= 12);
    for row in rows {
        check_tests(&row[2]);
        let known: Vec<_> = netarium_base::DropReason::ALL.iter().map(|r| r.name()).collect();
        let reasons: Vec<&str> = quoted(&row[1]).into_iter().filter(|w| w.contains('-')).collect();
        for reason in reasons {
            assert!(known.contains(&reason), "there is no reason `{reason}`");
        }
    }
}
