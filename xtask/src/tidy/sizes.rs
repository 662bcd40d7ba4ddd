//! The ratchet on sizes. A production file may have 800 lines and should have 500, a function 70.
//! What is larger stands in `xtask/ratchet.toml` with its size, and may only shrink.
//!
//! Test code may be long as a file, but not as a function.

use std::collections::BTreeMap;
use std::error::Error;

use crate::repo::{Finding, Repo};
use crate::source::Source;

const RATCHET: &str = "xtask/ratchet.toml";
/// Lines of a production file.
const FILE: Limit = Limit { table: "files", unit: "file", advise: 500, forbid: 800 };
/// Lines of a function, from its signature to its closing brace.
const FUNCTION: Limit = Limit { table: "functions", unit: "function", advise: 70, forbid: 70 };

/// What one kind of thing may measure.
struct Limit {
    table: &'static str,
    unit: &'static str,
    /// Above this a warning.
    advise: usize,
    /// Above this an error.
    forbid: usize,
}

/// Something measured.
struct Measured<'a> {
    /// Its key in the ratchet.
    key: String,
    path: &'a str,
    line: usize,
    lines: usize,
}

/// The sizes that were there when the rule was made, or were let in since.
type Allowed = BTreeMap<String, usize>;

/// Measures every file and function; with `fix`, lowers the ratchet to what is there.
pub(super) fn check(
    repo: &Repo,
    sources: &[Source],
    fix: bool,
) -> Result<Vec<Finding>, Box<dyn Error>> {
    let text = repo.text(RATCHET).ok_or(format!("{RATCHET} is missing"))?;
    let ratchet: toml::Table = text.parse()?;
    let (mut findings, mut lowered) = (Vec::new(), Vec::new());
    for (limit, measured) in [(FILE, files(sources)), (FUNCTION, functions(sources))] {
        let allowed = allowed(&ratchet, limit.table)?;
        findings.extend(measured.iter().filter_map(|m| judge(&limit, &allowed, m)));
        let kept = tighten(&limit, &allowed, &measured);
        if kept != allowed && !fix {
            findings.extend(slack(&limit, &allowed, &kept));
        }
        lowered.push((limit.table, kept));
    }
    if fix {
        std::fs::write(repo.root.join(RATCHET), render(&text, &lowered))?;
    }
    Ok(findings)
}

fn files(sources: &[Source]) -> Vec<Measured<'_>> {
    let production = sources.iter().filter(|s| !s.is_test);
    let measure = |s: &'_ Source| (s.path.clone(), s.production_lines());
    production
        .map(|s| (s, measure(s)))
        .map(|(s, (key, lines))| Measured { key, path: &s.path, line: 0, lines })
        .collect()
}

/// Functions of one file with the same name (under different `cfg`s) share a key: the largest counts.
fn functions(sources: &[Source]) -> Vec<Measured<'_>> {
    sources
        .iter()
        .flat_map(|s| s.functions.iter().map(move |f| (s, f)))
        .map(|(s, f)| Measured {
            key: format!("{}::{}", s.path, f.name),
            path: &s.path,
            line: f.line,
            lines: f.lines,
        })
        .collect()
}

fn allowed(ratchet: &toml::Table, table: &str) -> Result<Allowed, Box<dyn Error>> {
    let entries = ratchet.get(table).and_then(toml::Value::as_table).into_iter().flatten();
    entries
        .map(|(key, value)| {
            let lines = value.as_integer().and_then(|n| usize::try_from(n).ok());
            let lines = lines.ok_or_else(|| format!("{RATCHET}: `{key}` is not a size"))?;
            Ok((key.clone(), lines))
        })
        .collect()
}

fn judge(limit: &Limit, allowed: &Allowed, measured: &Measured) -> Option<Finding> {
    let lines = measured.lines;
    if let Some(max) = allowed.get(&measured.key) {
        return (lines > *max).then(|| {
            let what = format!("this {} grew to {lines} lines from {max}", limit.unit);
            Finding::error(measured.path, measured.line, what, "the ratchet may only shrink")
        });
    }
    if lines <= limit.advise {
        return None;
    }
    let what = format!("this {} has {lines} lines", limit.unit);
    if lines > limit.forbid {
        let hint = format!("at most {}: split it where a reader would", limit.forbid);
        return Some(Finding::error(measured.path, measured.line, what, hint));
    }
    let hint = format!("better under {}", limit.advise);
    Some(Finding::error(measured.path, measured.line, what, hint).into_warning())
}

/// The entries that are still needed, at the size that is there.
fn tighten(limit: &Limit, allowed: &Allowed, measured: &[Measured]) -> Allowed {
    let mut kept = Allowed::new();
    for m in measured.iter().filter(|m| m.lines > limit.advise) {
        if let Some(max) = allowed.get(&m.key) {
            let size = kept.entry(m.key.clone()).or_insert(0);
            *size = (*size).max(m.lines.min(*max));
        }
    }
    kept
}

/// A ratchet that is looser than it need be would let things grow back.
fn slack(limit: &Limit, allowed: &Allowed, kept: &Allowed) -> Vec<Finding> {
    let loose = allowed.iter().filter(|(key, max)| kept.get(*key) != Some(max));
    loose
        .map(|(key, max)| {
            let now = kept.get(key).map_or("not needed".to_owned(), |n| format!("{n}"));
            let what = format!("{} `{key}` is {now} now, not {max}", limit.unit);
            Finding::error(RATCHET, 0, what, "run `cargo xtask tidy --fix`")
        })
        .collect()
}

/// The ratchet file again: its opening comment, then the tables.
fn render(old: &str, tables: &[(&str, Allowed)]) -> String {
    let comment = old.lines().take_while(|line| line.starts_with('#'));
    let mut text: String = comment.flat_map(|line| [line, "\n"]).collect();
    for (table, allowed) in tables {
        text += &format!("\n[{table}]\n");
        for (key, lines) in allowed {
            text += &format!("{} = {lines}\n", toml::Value::from(key.as_str()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(lines: usize) -> Measured<'static> {
        Measured { key: "a.rs".into(), path: "a.rs", line: 1, lines }
    }

    fn weight(lines: usize, max: Option<usize>) -> Option<crate::repo::Weight> {
        let allowed = max.map(|max| ("a.rs".to_owned(), max)).into_iter().collect();
        judge(&FILE, &allowed, &measured(lines)).map(|f| f.weight)
    }

    #[test]
    fn a_file_is_advised_then_forbidden_unless_the_ratchet_knows_it() {
        use crate::repo::Weight::{Error, Warning};
        assert_eq!(weight(500, None), None);
        assert_eq!(weight(501, None), Some(Warning));
        assert_eq!(weight(801, None), Some(Error));
        assert_eq!(weight(900, Some(900)), None);
        assert_eq!(weight(901, Some(900)), Some(Error));
        assert_eq!(weight(601, Some(600)), Some(Error));
    }

    #[test]
    fn the_ratchet_only_shrinks_and_forgets_what_is_small() {
        let allowed = Allowed::from([("a.rs".to_owned(), 900), ("gone.rs".to_owned(), 900)]);
        let keep = |lines| tighten(&FILE, &allowed, &[measured(lines)]).get("a.rs").copied();
        assert_eq!(keep(850), Some(850));
        assert_eq!(keep(950), Some(900));
        assert_eq!(keep(400), None);
        let kept = tighten(&FILE, &allowed, &[measured(850)]);
        assert_eq!(slack(&FILE, &allowed, &kept).len(), 2);
    }

    #[test]
    fn the_ratchet_file_survives_its_own_rewriting() {
        let tables = [("files", Allowed::from([("a \"b\".rs".to_owned(), 7)]))];
        let text = render("# why\n\n[files]\n\"x\" = 1\n", &tables);
        assert!(text.starts_with("# why\n\n[files]\n"), "{text}");
        let parsed: toml::Table = text.parse().expect("is TOML");
        assert_eq!(allowed(&parsed, "files").expect("has sizes"), tables[0].1);
    }
}
