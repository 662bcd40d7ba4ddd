//! The house rules that neither rustc nor clippy checks. Each finding is one line,
//! `file:line: what (hint)`; warnings do not fail the chore.
//!
//! - [`bans`]: the `clippy.toml` copies of the pure crates;
//! - [`floors`]: which crate may depend on which;
//! - [`modules`]: every file says what it is, `lib.rs` names its layers;
//! - [`code`]: names and attributes that have no place here;
//! - [`sizes`]: the ratchet on file and function sizes;
//! - [`words`]: text that belongs to one machine, and marks of unfinished work;
//! - [`paths`]: what the documentation names must exist;
//! - [`crate::states`]: the diagram of TCP's states shows the table.

mod bans;
mod code;
mod floors;
mod modules;
mod paths;
mod sizes;
mod words;

use crate::Outcome;
use crate::repo::{Finding, Repo, Weight};
use crate::source::Source;

/// Code that exists to break the rules.
const FIXTURES: &str = "xtask/fixtures/";

/// Checks every rule and prints the findings; with `fix`, first repairs what can be repaired
/// without thinking.
pub(crate) fn run(repo: &Repo, fix: bool) -> Outcome {
    let (sources, mut findings) = parse_all(repo);
    findings.extend(bans::check(repo, fix)?);
    findings.extend(floors::check(repo)?);
    findings.extend(sizes::check(repo, &sources, fix)?);
    findings.extend(modules::check(repo, &sources));
    findings.extend(code::check(repo, &sources));
    findings.extend(words::check(repo));
    findings.extend(paths::check(repo));
    findings.extend(lock_file(repo)?);
    findings.extend(crate::states::findings(repo)?);
    findings.sort_by(|a, b| (&a.path, a.line, &a.what).cmp(&(&b.path, b.line, &b.what)));
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.iter().filter(|f| f.weight == Weight::Error).count())
}

/// Parses every Rust file; files that do not parse become findings.
fn parse_all(repo: &Repo) -> (Vec<Source>, Vec<Finding>) {
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    for path in repo.files_in("", ".rs").filter(|path| !path.starts_with(FIXTURES)) {
        let Some(text) = repo.text(path) else { continue };
        match Source::parse(path, text) {
            Ok(source) => sources.push(source),
            Err((line, why)) => findings.push(Finding::error(path, line, why, "not valid Rust")),
        }
    }
    mark_test_files(&mut sources);
    (sources, findings)
}

/// Marks the files that a `#[cfg(test)] mod name;` stands for, and what they declare in turn.
fn mark_test_files(sources: &mut [Source]) {
    loop {
        let files: Vec<String> = sources
            .iter()
            .flat_map(|s| s.modules.iter().map(move |m| (s, m)))
            .filter(|(source, module)| source.is_test || module.is_test)
            .flat_map(|(source, module)| source.files_of(&module.name))
            .collect();
        let mut changed = false;
        for source in sources.iter_mut().filter(|s| !s.is_test && files.contains(&s.path)) {
            source.is_test = true;
            changed = true;
        }
        if !changed {
            return;
        }
    }
}

fn lock_file(repo: &Repo) -> Result<Option<Finding>, Box<dyn std::error::Error>> {
    let hint = "a binary's lock file belongs into the repository";
    let missing = || Finding::error("Cargo.lock", 0, "is not tracked by git", hint);
    Ok((!repo.is_tracked("Cargo.lock")?).then(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_declared_by_a_test_module_is_test_code_with_all_below_it() {
        let parse = |path: &str, text: &str| {
            Source::parse(path, text.to_owned()).unwrap_or_else(|e| panic!("{path}: {e:?}"))
        };
        let mut sources = [
            parse("crates/x/src/a.rs", "#[cfg(test)]\nmod tests;\nmod b;"),
            parse("crates/x/src/a/b.rs", ""),
            parse("crates/x/src/a/grid.rs", "mod rows;"),
            parse("crates/x/src/lib.rs", "#[cfg(all(test, unix))]\nmod grid;\nmod a;"),
            parse("crates/x/src/grid/mod.rs", "mod rows;"),
            parse("crates/x/src/grid/rows.rs", ""),
        ];
        mark_test_files(&mut sources);
        let tests: Vec<&str> =
            sources.iter().filter(|s| s.is_test).map(|s| s.path.as_str()).collect();
        assert_eq!(tests, ["crates/x/src/grid/mod.rs", "crates/x/src/grid/rows.rs"]);
    }
}
