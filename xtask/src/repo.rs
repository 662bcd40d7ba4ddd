//! The project's files as git sees them, and what can be found about them.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The project: its root folder and the files that are, or are about to be, tracked.
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
    /// Paths relative to the root, with `/` between parts, sorted.
    pub(crate) files: Vec<String>,
}

impl Repo {
    /// Opens the project that this xtask was built from.
    ///
    /// # Errors
    /// When git is not there or the folder is not a repository.
    pub(crate) fn open() -> Result<Repo, Box<dyn Error>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent")?;
        let mut repo = Repo { root: root.to_owned(), files: Vec::new() };
        repo.files = repo.git_files(&["--cached", "--others", "--exclude-standard"])?;
        Ok(repo)
    }

    /// `git ls-files` with these arguments; files that are deleted in the working tree are left out.
    fn git_files(&self, args: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z"]).args(args).current_dir(&self.root);
        let out = git.output().map_err(|e| format!("cannot run git: {e}"))?;
        if !out.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&out.stderr)).into());
        }
        let names = String::from_utf8(out.stdout)?;
        let mut files: Vec<String> = names
            .split_terminator('\0')
            .filter(|name| self.root.join(name).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The text of a file; `None` when it cannot be read as UTF-8 (pictures, captures).
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }

    /// Whether this file is committed or staged, not only present.
    pub(crate) fn is_tracked(&self, path: &str) -> Result<bool, Box<dyn Error>> {
        Ok(!self.git_files(&["--cached", "--", path])?.is_empty())
    }

    /// Whether a tracked file or a folder of tracked files has this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| {
            file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// The files below `folder` whose names end with `suffix`.
    pub(crate) fn files_in<'a>(
        &'a self,
        folder: &'a str,
        suffix: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let of_folder = move |file: &&String| {
            file.strip_prefix(folder).is_some_and(|r| folder.is_empty() || r.starts_with('/'))
        };
        self.files.iter().filter(of_folder).map(String::as_str).filter(move |f| f.ends_with(suffix))
    }

    /// Runs `cargo metadata` and returns its JSON.
    ///
    /// # Errors
    /// When cargo fails, for instance because `Cargo.lock` is out of date.
    pub(crate) fn metadata(&self) -> Result<serde_json::Value, Box<dyn Error>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let out = Command::new(cargo)
            .args(["metadata", "--format-version=1", "--locked"])
            .current_dir(&self.root)
            .output()?;
        if !out.status.success() {
            return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&out.stderr)).into());
        }
        Ok(serde_json::from_slice(&out.stdout)?)
    }
}

/// How much a finding weighs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weight {
    /// The chore fails.
    Error,
    /// Printed, but the chore passes.
    Warning,
}

/// One thing that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1; 0 when the finding is about the file as a whole.
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) hint: String,
    pub(crate) weight: Weight,
}

impl Finding {
    /// A finding that fails the chore.
    pub(crate) fn error(
        path: &str,
        line: usize,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        let (path, what, hint) = (path.to_owned(), what.into(), hint.into());
        Finding { path, line, what, hint, weight: Weight::Error }
    }

    /// The same finding as a mere warning.
    pub(crate) fn into_warning(self) -> Finding {
        Finding { weight: Weight::Warning, ..self }
    }
}

/// `file:line: what (hint)`, which editors can jump to.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.weight == Weight::Warning { "warning: " } else { "" };
        write!(f, "{}:{}: {mark}{}", self.path, self.line.max(1), self.what)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}
