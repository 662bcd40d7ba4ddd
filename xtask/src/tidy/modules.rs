//! Every file under a crate's `src` opens by saying what it is, and each `lib.rs` names its layers.

use crate::repo::{Finding, Repo};
use crate::source::Source;

/// Checks module docs and that they cover the modules declared.
pub(super) fn check(repo: &Repo, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|s| s.path.contains("/src/")) {
        let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        if !first.starts_with("//!") {
            let hint = "begin with `//!`: what this file is for, and what it leaves out";
            findings.push(Finding::error(&source.path, 1, "no module documentation", hint));
        } else if first.contains("(under construction)") {
            let hint = "say what this crate is for";
            let finding = Finding::error(&source.path, 1, "a placeholder", hint);
            findings.push(finding.into_warning());
        }
        if is_crate_root(&source.path) {
            findings.extend(unexplained_modules(repo, source));
        }
    }
    findings
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

/// The modules that the crate's own documentation does not name.
fn unexplained_modules(repo: &Repo, source: &Source) -> Vec<Finding> {
    let docs: String = source
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .collect::<Vec<_>>()
        .join("\n");
    let is_named = |module: &str| {
        ["", "mod@"]
            .iter()
            .flat_map(|kind| [format!("`{kind}{module}`"), format!("`{kind}{module}/`")])
            .collect::<Vec<_>>()
            .iter()
            .any(|form| docs.contains(form.as_str()))
    };
    source
        .modules
        .iter()
        .filter(|m| !m.is_test && !is_named(&m.name))
        .filter(|m| source.files_of(&m.name).iter().any(|file| repo.has(file)))
        .map(|m| {
            let what = format!("the crate's documentation does not name its module `{}`", m.name);
            Finding::error(&source.path, m.line, what, "explain the layers in reading order")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str) -> Vec<String> {
        let root = std::path::PathBuf::new();
        let files = ["crates/x/src/a.rs".to_owned()].to_vec();
        let source = Source::parse("crates/x/src/lib.rs", text.to_owned()).expect("is Rust");
        check(&Repo { root, files }, &[source]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_says_what_it_is_before_anything_else() {
        assert_eq!(check_text("//! What.\nfn f() {}").len(), 0);
        assert_eq!(check_text("use std::fmt;\n").len(), 1);
        assert_eq!(check_text("// A mere comment.\nfn f() {}").len(), 1);
        assert_eq!(check_text("").len(), 1);
    }

    #[test]
    fn lib_rs_names_its_modules_but_not_those_of_tests() {
        assert_eq!(check_text("//! 1. [`a`]: the first.\nmod a;").len(), 0);
        assert_eq!(check_text("//! `a`: the first.\nmod a;").len(), 0);
        assert_eq!(check_text("//! Something.\n#[cfg(test)]\nmod a;").len(), 0);
        let found = check_text("//! Something.\nmod a;");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/x/src/lib.rs:2: "), "{found:?}");
    }
}
