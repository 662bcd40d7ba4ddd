//! What the documentation names must exist: targets of Markdown links in every `.md` file, and
//! paths in backticks where the documents describe the tree as it is today.
//!
//! Left out: fenced code blocks, and paths in the history (`CHANGELOG.md`, `docs/decisions/`),
//! which may name what is gone.

use crate::repo::{Finding, Repo};

const HISTORY: &[&str] = &["CHANGELOG.md", "docs/decisions/"];

/// Checks each Markdown file.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let documents = repo.files_in("", ".md").filter_map(|path| Some((path, repo.text(path)?)));
    documents.flat_map(|(path, text)| check_document(repo, path, &text)).collect()
}

fn check_document(repo: &Repo, path: &str, text: &str) -> Vec<Finding> {
    let is_history = HISTORY.iter().any(|h| path.starts_with(h));
    let mut findings = Vec::new();
    let mut fence = None;
    for (i, line) in text.lines().enumerate() {
        let marker = ["```", "~~~"].into_iter().find(|f| line.trim_start().starts_with(f));
        if let Some(marker) = marker {
            fence = if fence.is_none() { Some(marker) } else { fence.filter(|f| *f != marker) };
            continue;
        }
        if fence.is_some() {
            continue;
        }
        let mut missing = |name: &str, hint: &str| {
            let what = format!("`{name}` does not exist");
            findings.push(Finding::error(path, i + 1, what, hint));
        };
        for target in links(line).into_iter().filter(|t| !link_exists(repo, path, t)) {
            missing(target, "a link from this file");
        }
        let quoted = line.split('`').skip(1).step_by(2).filter(|_| !is_history);
        for name in quoted.filter(|name| is_missing_path(repo, path, name)) {
            missing(name, "paths are named from the root");
        }
    }
    findings
}

/// The targets of links, pictures and link definitions in this line that name files.
fn links(line: &str) -> Vec<&str> {
    let line_without_code = line.split('`').step_by(2);
    let inline = line_without_code
        .flat_map(|text| text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()));
    let definition = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .and_then(|(_, target)| target.split_whitespace().next());
    inline
        .chain(definition)
        .map(|target| target.split('#').next().unwrap_or_default())
        .map(|target| target.trim_start_matches('<').trim_end_matches('>'))
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .collect()
}

fn link_exists(repo: &Repo, document: &str, target: &str) -> bool {
    match target.strip_prefix('/') {
        Some(from_root) => repo.has(from_root),
        None => resolve(document, target).is_some_and(|path| path.is_empty() || repo.has(&path)),
    }
}

/// `target` seen from the folder of `document`, as a path from the root; `None` when it leaves it.
fn resolve(document: &str, target: &str) -> Option<String> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether `name` can only be meant as a path of this project, and is not there.
fn is_missing_path(repo: &Repo, document: &str, name: &str) -> bool {
    let name = name.split(['#', ':']).next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if name.is_empty() || !name.chars().all(is_plain) || name.starts_with(['/', '-']) {
        return false;
    }
    let (first, rest) = name.split_once('/').unwrap_or((name, ""));
    let in_crates = format!("crates/{first}");
    let is_ours = match rest {
        "" => first.ends_with(".md"),
        _ => is_top_folder(repo, first) || repo.has(&in_crates) || first == "src",
    };
    if !is_ours {
        return false;
    }
    let inside = format!("/{name}");
    let is_there = repo.has(name)
        || repo.has(&format!("crates/{name}"))
        || resolve(document, name).is_some_and(|path| repo.has(&path))
        || (first == "src" && repo.files.iter().any(|file| file.contains(&inside)));
    !is_there
}

/// Folders that belong to the root even when they are not there (any more).
fn is_top_folder(repo: &Repo, name: &str) -> bool {
    matches!(name, "crates" | "docs" | "xtask" | ".ci" | ".cargo" | ".github" | "fuzz")
        || repo.files.iter().any(|f| f.strip_prefix(name).is_some_and(|r| r.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(document: &str, text: &str) -> usize {
        let files = ["README.md", "docs/ARCHITECTURE.md", "crates/stack/src/tcp/mod.rs", ".ci/run"];
        let files = files.map(str::to_owned).to_vec();
        check_document(&Repo { root: "".into(), files }, document, text).len()
    }

    #[test]
    fn paths_in_backticks_exist_from_the_root_or_from_the_crates() {
        assert_eq!(missing("README.md", "`crates/stack/src/tcp/` and `.ci/run`, `stack/src/`"), 0);
        assert_eq!(missing("README.md", "`crates/gone/src/` `.ci/gone` `stack/src/udp.rs`"), 3);
        assert_eq!(missing("README.md", "`crates/stack/src/tcp/mod.rs:12` `src/tcp/mod.rs`"), 0);
        assert_eq!(missing("docs/ARCHITECTURE.md", "`ARCHITECTURE.md` `NOTES.md`"), 1);
    }

    #[test]
    fn what_is_not_a_path_of_the_project_is_left_alone() {
        let text = "`tcp/80` `a/b` `text/html` `/etc/hosts` `cargo run -- up` `htdocs/index.html` \
                    `crates/*/src` `http://docs/x` `lab.toml`";
        assert_eq!(missing("README.md", text), 0);
        assert_eq!(missing("README.md", "```\n`crates/gone`\n```\n`crates/gone`"), 1);
    }

    #[test]
    fn links_are_followed_from_the_document() {
        assert_eq!(missing("README.md", "[a](docs/ARCHITECTURE.md#code-map) [b](#here)"), 0);
        assert_eq!(missing("docs/ARCHITECTURE.md", "[a](../README.md) ![b](no.png)"), 1);
        assert_eq!(missing("README.md", "[a](https://example.org/x.md) `[b](no.md)`"), 0);
        assert_eq!(missing("README.md", "[a]: docs/gone.md"), 1);
        assert_eq!(missing("README.md", "[a](../outside.md)"), 1);
    }

    #[test]
    fn history_may_name_what_is_gone_but_its_links_work() {
        assert_eq!(missing("CHANGELOG.md", "`crates/gone`"), 0);
        assert_eq!(missing("docs/decisions/0001-x.md", "`crates/gone` [x](gone.md)"), 1);
    }
}
