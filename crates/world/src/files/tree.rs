//! The lab's folder in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{EDIT_MAX, FileError};

/// The longest path, bytes.
pub const PATH_MAX: usize = 1_024;

/// The files of a lab's folder: paths relative to it, with `/` between their parts; folders are
/// implied by the files in them. Files under `files/HOST/` are seen by that host only, laid over
/// the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTree {
    files: BTreeMap<String, Bytes>,
}

impl FileTree {
    /// No files.
    pub fn new() -> FileTree {
        FileTree::default()
    }

    /// Puts a file in its place, or replaces it.
    ///
    /// # Errors
    /// A path that [`normalise`] refuses or that is the folder itself, or more than [`EDIT_MAX`]
    /// bytes.
    pub fn insert(&mut self, path: &str, contents: impl Into<Bytes>) -> Result<(), FileError> {
        let contents = contents.into();
        let path = normalise(path)?;
        if path.is_empty() {
            return Err(FileError::IsDirectory);
        }
        if contents.len() > EDIT_MAX {
            return Err(FileError::TooLarge);
        }
        self.files.insert(path, contents);
        Ok(())
    }

    /// The contents of a file, by its normalised path.
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// All files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(path, contents)| (path.as_str(), contents))
    }

    /// The files whose paths start with `prefix`, by their whole paths.
    pub(crate) fn below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Bytes)> {
        let from = self.files.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(path, c)| (path.as_str(), c)).take_while(move |(p, _)| p.starts_with(prefix))
    }
}

/// A path in its one form: relative to the root, without empty and `.` parts; the root is the
/// empty text. A leading `/` is the same as none.
///
/// # Errors
/// [`FileError::InvalidPath`] for `..`, a backslash, a control character or more than 1024 bytes:
/// whatever could leave the folder on any system.
pub fn normalise(path: &str) -> Result<String, FileError> {
    if path.len() > PATH_MAX || path.contains('\\') || path.chars().any(char::is_control) {
        return Err(FileError::InvalidPath);
    }
    let mut out = String::with_capacity(path.len());
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(FileError::InvalidPath),
            part => {
                if !out.is_empty() {
                    out.push('/');
                }
                out.push_str(part);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(normalise("/a//./b/").unwrap(), "a/b");
        assert_eq!(normalise(".").unwrap(), "");
        assert_eq!(normalise("한글/…").unwrap(), "한글/…");
        for bad in ["..", "a/../b", "a\\b", "a\nb", "a\0b"] {
            assert_eq!(normalise(bad), Err(FileError::InvalidPath), "{bad:?}");
        }
        assert_eq!(normalise(&"a/".repeat(600)), Err(FileError::InvalidPath));
    }

    #[test]
    fn a_tree_takes_files_only() {
        let mut tree = FileTree::new();
        tree.insert("htdocs/./index.html", "x").unwrap();
        assert_eq!(tree.insert("/", "x"), Err(FileError::IsDirectory));
        assert_eq!(tree.insert("big", vec![0; EDIT_MAX + 1]), Err(FileError::TooLarge));
        assert_eq!(tree.get("htdocs/index.html").unwrap(), "x");
        assert_eq!(tree.below("htdocs/").count(), 1);
    }
}
