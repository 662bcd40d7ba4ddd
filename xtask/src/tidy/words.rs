//! Text that must not be committed: paths of one developer's machine, the hosts of package
//! registries (which are a machine's configuration), and marks of unfinished work.
//!
//! The words are spelled in two halves here, so that this file passes its own rule.

use crate::repo::{Finding, Repo};

/// Folders that are somebody's, at the beginning of an absolute path.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
/// Home folders are found by what follows.
const HOME: &str = concat!("/ho", "me/");
/// The one source that a lock file may name.
const LOCKED_SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";
const REGISTRIES: &[&str] = &[
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("pypi.", "org/simple"),
    concat!("files.", "pythonhosted.org"),
    concat!("deb.", "debian.org"),
    concat!("proxy.", "golang.org"),
    concat!("sparse", "+http"),
    concat!("/arti", "factory/"),
];
const UNFINISHED: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X")];

/// Checks every text file.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let texts = repo.files.iter().filter_map(|path| Some((path, repo.text(path)?)));
    texts.flat_map(|(path, text)| check_text(path, &text)).collect()
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(i, line)| {
            let (what, hint) = check_line(path, line)?;
            Some(Finding::error(path, i + 1, what, hint))
        })
        .collect()
}

fn check_line(path: &str, line: &str) -> Option<(String, &'static str)> {
    if let Some(found) = MACHINE.iter().find(|p| is_absolute(line, p)).copied().or(home(line)) {
        return Some((format!("a path of one machine: `{found}`"), "name it from the root"));
    }
    if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
        let hint = "which registry is used is the machine's own configuration";
        return Some((format!("the host of a registry: `{host}`"), hint));
    }
    let source = line.strip_prefix("source = \"").map(|rest| rest.trim_end_matches('"'));
    if let Some(source) = source.filter(|s| path.ends_with("Cargo.lock") && *s != LOCKED_SOURCE) {
        return Some((format!("a locked source: `{source}`"), "only released crates are locked"));
    }
    let mark = UNFINISHED.iter().find(|mark| has_word(line, mark));
    mark.filter(|_| is_code(path))
        .map(|mark| (format!("unfinished: `{mark}`"), "finish it, or say plainly what is left out"))
}

/// Whether `line` has `folder` where an absolute path begins, not inside a longer path or a URL.
fn is_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| !line[..at].ends_with(in_path))
}

fn in_path(c: char) -> bool {
    c.is_alphanumeric() || "/._-~*$}>".contains(c)
}

/// Somebody's home folder; `<user>`, `$USER` and the like are nobody's.
fn home(line: &str) -> Option<&'static str> {
    let mut homes = line.match_indices(HOME).filter(|(at, _)| !line[..*at].ends_with(in_path));
    homes
        .any(|(at, _)| {
            let user = line[at + HOME.len()..].split_once('/').map(|(user, _)| user);
            user.is_some_and(|u| u.starts_with(|c: char| c.is_ascii_lowercase()))
        })
        .then_some(HOME)
}

fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(inside) && !line[at + word.len()..].starts_with(inside)
    })
}

fn is_code(path: &str) -> bool {
    [".rs", ".js", ".mjs", ".css", ".html", ".toml", ".sh", "/run"]
        .iter()
        .any(|e| path.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(path: &str, line: &str) -> bool {
        !check_text(path, line).is_empty()
    }

    #[test]
    fn paths_of_a_machine_are_found_and_paths_of_the_project_are_not() {
        for folder in MACHINE {
            assert!(is_found("README.md", &format!("see {folder}x")), "{folder}");
            assert!(is_found("README.md", &format!("`{folder}x`")), "{folder}");
            assert!(!is_found("README.md", &format!("see docs{folder}x")), "{folder}");
            assert!(!is_found("README.md", &format!("$DIR{folder}x")), "{folder}");
        }
        assert!(is_found("README.md", &format!("cd {HOME}ann/netarium")));
        assert!(!is_found("README.md", &format!("cd {HOME}<user>/netarium")));
        assert!(!is_found("README.md", &format!("GET {HOME}index.html")));
    }

    #[test]
    fn registries_are_found_but_the_usual_lock_file_is_not() {
        for host in REGISTRIES {
            assert!(is_found(".ci/run", &format!("https://{host}")), "{host}");
        }
        assert!(!is_found("Cargo.lock", &format!("source = \"{LOCKED_SOURCE}\"")));
        assert!(is_found("Cargo.lock", "source = \"git+https://example.org/x#1\""));
        assert!(!is_found("README.md", "published on crates.io"));
    }

    #[test]
    fn marks_of_unfinished_work_are_whole_words_in_code() {
        for mark in UNFINISHED {
            assert!(is_found("crates/a/src/b.rs", &format!("// {mark}: later")));
            assert!(!is_found("crates/a/src/b.rs", &format!("mkstemp(\"a{mark}{mark}\")")));
            assert!(!is_found("docs/tcp.md", &format!("the word {mark}")));
        }
    }
}
