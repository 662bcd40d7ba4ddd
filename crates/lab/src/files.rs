//! The lab folder in memory.
//!
//! [`Files`] is the tree of the lab's folder: paths relative to it, with `/` between the parts;
//! directories are implied by the files in them. What one host sees of it is a [`HostFiles`]: the
//! lab folder, with the files under `files/HOST/` laid over it. So `httpd --root htdocs` on `web`
//! serves `files/web/htdocs/` where it has the file, and `htdocs/` of the lab folder otherwise; a
//! lab with one web server needs only `htdocs/`. No host sees `files/` itself.
//!
//! Reading a real folder is the business of the crates that may touch the real machine.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits::{MAX_FILES, MAX_FILES_BYTES, MAX_HOST_FILE_BYTES};

/// The longest path, in bytes.
const MAX_PATH: usize = 1_024;

/// Why a path is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It starts with `/` or a drive letter.
    #[error("the path must be relative to the lab's folder")]
    Absolute,
    /// It has a part `..`.
    #[error("the path must not leave the folder with `..`")]
    Parent,
    /// It has a backslash.
    #[error("the parts of a path are separated by `/`, not by a backslash")]
    Backslash,
    /// It has a NUL or another control character.
    #[error("the path has a control character")]
    Control,
    /// It is longer than 1024 bytes.
    #[error("the path is longer than {MAX_PATH} bytes")]
    TooLong,
}

/// A path in its one form: without empty and `.` parts; the root is the empty text.
///
/// # Errors
/// Anything that could leave the folder on any system: see [`PathError`].
pub fn normalise(path: &str) -> Result<String, PathError> {
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    if path.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    if path.contains('\\') {
        return Err(PathError::Backslash);
    }
    if path.starts_with('/') {
        return Err(PathError::Absolute);
    }
    let mut out = String::with_capacity(path.len());
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(PathError::Parent),
            part => {
                if !out.is_empty() {
                    out.push('/');
                }
                out.push_str(part);
            }
        }
    }
    // Checked at the end, so that `./c:` does not become what `c:` must not be.
    let mut start = out.bytes();
    if start.next().is_some_and(|b| b.is_ascii_alphabetic()) && start.next() == Some(b':') {
        return Err(PathError::Absolute);
    }
    Ok(out)
}

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The path is not one.
    #[error("`{path}`: {why}")]
    Path {
        /// As given.
        path: String,
        /// Why not.
        why: PathError,
    },
    /// The path is the folder itself.
    #[error("a file needs a name")]
    NoName,
    /// A file and a folder with the same name.
    #[error("`{0}` cannot be both a file and a folder")]
    FileAndFolder(String),
    /// The file is larger than 512 MiB.
    #[error("`{path}` has {bytes} bytes; a lab file has at most {MAX_HOST_FILE_BYTES}")]
    FileTooLarge {
        /// Which.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// All files together are larger than 1 GiB.
    #[error("with `{0}` the lab's files pass {MAX_FILES_BYTES} bytes")]
    TooLarge(String),
    /// More than 10,000 files.
    #[error("a lab has at most {MAX_FILES} files")]
    TooMany,
}

/// The files of a lab's folder. Cloning shares the contents.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files {
    map: BTreeMap<String, Bytes>,
    bytes: usize,
}

impl std::fmt::Debug for Files {
    /// Names and sizes: contents may be large.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.map.iter().map(|(path, b)| (path, b.len()))).finish()
    }
}

impl Files {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file in its place, or replaces it.
    ///
    /// # Errors
    /// A path that [`normalise`] refuses or that clashes with a folder, or a limit: one file has at
    /// most 512 MiB, all together 1 GiB in at most 10,000 files. Nothing changes then.
    pub fn insert(&mut self, path: &str, contents: impl Into<Bytes>) -> Result<(), FilesError> {
        let key = normalise(path)
            .map_err(|why| FilesError::Path { path: path.escape_debug().to_string(), why })?;
        if key.is_empty() {
            return Err(FilesError::NoName);
        }
        let contents = contents.into();
        if contents.len() > MAX_HOST_FILE_BYTES {
            return Err(FilesError::FileTooLarge { path: key, bytes: contents.len() });
        }
        let above = key.match_indices('/').map(|(i, _)| &key[..i]);
        if self.is_dir(&key) || above.into_iter().any(|dir| self.map.contains_key(dir)) {
            return Err(FilesError::FileAndFolder(key));
        }
        let old = self.map.get(&key);
        if old.is_none() && self.map.len() >= MAX_FILES {
            return Err(FilesError::TooMany);
        }
        let bytes = self.bytes - old.map_or(0, Bytes::len) + contents.len();
        if bytes > MAX_FILES_BYTES {
            return Err(FilesError::TooLarge(key));
        }
        self.bytes = bytes;
        self.map.insert(key, contents);
        Ok(())
    }

    /// Takes a file away and gives its contents.
    pub fn remove(&mut self, path: &str) -> Option<Bytes> {
        let old = self.map.remove(&normalise(path).ok()?)?;
        self.bytes -= old.len();
        Some(old)
    }

    /// The contents of a file.
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        self.map.get(&normalise(path).ok()?)
    }

    /// Whether a folder of this name has a file in or below it. The root (`.`) always is a folder.
    pub fn is_dir(&self, path: &str) -> bool {
        match normalise(path) {
            Ok(dir) if dir.is_empty() => true,
            Ok(dir) => self.below(&dir).next().is_some(),
            Err(_) => false,
        }
    }

    /// All files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.map.iter().map(|(path, contents)| (path.as_str(), contents))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The bytes of all files together.
    pub fn total_bytes(&self) -> usize {
        self.bytes
    }

    /// The files below a normalised folder, by the rest of their paths.
    fn below(&self, dir: &str) -> impl Iterator<Item = (&str, &Bytes)> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let from = self.map.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        from.map_while(move |(path, contents)| Some((path.strip_prefix(&prefix)?, contents)))
    }
}

/// What one host sees of the lab's files. Cheap to clone, and `'static` for the host's programs.
#[derive(Clone, Debug)]
pub struct HostFiles {
    files: Arc<Files>,
    own: String,
}

impl HostFiles {
    /// The view of `host`: `files/HOST/` laid over the lab folder.
    pub fn new(files: Arc<Files>, host: &str) -> Self {
        HostFiles { files, own: format!("files/{host}") }
    }

    /// The contents of a file; `None` when there is none, or when the path leaves the folder.
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        let path = normalise(path).ok()?;
        let own = self.files.map.get(&format!("{}/{path}", self.own));
        own.or_else(|| visible(&path).then(|| self.files.map.get(&path)).flatten())
    }

    /// Whether it is a folder with a file in or below it; the root (`.`) always is.
    pub fn is_dir(&self, path: &str) -> bool {
        let Ok(path) = normalise(path) else { return false };
        path.is_empty()
            || self.files.is_dir(&format!("{}/{path}", self.own))
            || (visible(&path) && self.files.is_dir(&path))
    }

    /// The names in a folder, sorted, each with whether it is a folder itself.
    pub fn list(&self, path: &str) -> Vec<(String, bool)> {
        let Ok(path) = normalise(path) else { return Vec::new() };
        let own = if path.is_empty() { self.own.clone() } else { format!("{}/{path}", self.own) };
        let mut names = BTreeMap::new();
        if visible(&path) {
            children(&self.files, &path, &mut names);
            if path.is_empty() {
                names.remove("files");
            }
        }
        children(&self.files, &own, &mut names);
        names.into_iter().collect()
    }
}

/// Whether the path is outside the part of the folder that belongs to single hosts.
fn visible(path: &str) -> bool {
    path != "files" && !path.starts_with("files/")
}

fn children(files: &Files, dir: &str, names: &mut BTreeMap<String, bool>) {
    for (rest, _) in files.below(dir) {
        match rest.split_once('/') {
            Some((name, _)) => names.insert(name.to_owned(), true),
            None => names.insert(rest.to_owned(), false),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Files {
        let mut files = Files::new();
        for path in paths {
            files.insert(path, path.to_string()).unwrap();
        }
        files
    }

    #[test]
    fn paths_stay_inside() {
        assert_eq!(normalise("a//./b/").unwrap(), "a/b");
        assert_eq!(normalise(".").unwrap(), "");
        assert_eq!(normalise("한글/…").unwrap(), "한글/…");
        for (bad, why) in [
            ("/etc/passwd", PathError::Absolute),
            ("C:/x", PathError::Absolute),
            ("c:x", PathError::Absolute),
            ("./c:", PathError::Absolute),
            ("a/../../b", PathError::Parent),
            ("..", PathError::Parent),
            ("a\\b", PathError::Backslash),
            ("a\0b", PathError::Control),
            ("a\nb", PathError::Control),
        ] {
            assert_eq!(normalise(bad), Err(why), "{bad}");
        }
        assert_eq!(normalise(&"a/".repeat(600)), Err(PathError::TooLong));
    }

    #[test]
    fn a_host_sees_its_own_files_first() {
        let files = tree(&[
            "htdocs/index.html",
            "htdocs/a.css",
            "files/web/htdocs/index.html",
            "files/pc/x",
        ]);
        let web = HostFiles::new(Arc::new(files.clone()), "web");
        assert_eq!(web.get("htdocs/index.html").unwrap(), "files/web/htdocs/index.html");
        assert_eq!(web.get("./htdocs//a.css").unwrap(), "htdocs/a.css");
        assert_eq!(web.get("files/pc/x"), None);
        assert_eq!(web.get("htdocs/../files/pc/x"), None);
        assert!(
            web.is_dir("htdocs") && web.is_dir(".") && !web.is_dir("files") && !web.is_dir("htdo")
        );
        assert_eq!(web.list(""), [("htdocs".to_owned(), true)]);
        assert_eq!(
            web.list("htdocs"),
            [("a.css".to_owned(), false), ("index.html".to_owned(), false)]
        );
        let pc = HostFiles::new(Arc::new(files), "pc");
        assert_eq!(pc.get("x").unwrap(), "files/pc/x");
    }

    #[test]
    fn limits_and_clashes_change_nothing() {
        let mut files = tree(&["a/b"]);
        assert_eq!(files.insert("a", ""), Err(FilesError::FileAndFolder("a".into())));
        assert_eq!(files.insert("a/b/c", ""), Err(FilesError::FileAndFolder("a/b/c".into())));
        assert_eq!(files.insert("./", ""), Err(FilesError::NoName));
        let large = Bytes::from(vec![0; MAX_HOST_FILE_BYTES + 1]);
        assert!(matches!(files.insert("l", large), Err(FilesError::FileTooLarge { .. })));
        let big = Bytes::from(vec![0; MAX_HOST_FILE_BYTES]);
        // The three bytes of a/b are in the way of the last one that would fit.
        let fit = MAX_FILES_BYTES / MAX_HOST_FILE_BYTES - 1;
        for i in 0..fit {
            files.insert(&format!("big{i}"), big.clone()).unwrap();
        }
        assert_eq!(files.insert("one-more", big), Err(FilesError::TooLarge("one-more".into())));
        assert_eq!((files.len(), files.remove("a/b").map(|b| b.len())), (fit + 1, Some(3)));
        assert_eq!(files.total_bytes(), fit * MAX_HOST_FILE_BYTES);
    }
}
