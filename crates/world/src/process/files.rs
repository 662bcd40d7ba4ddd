//! A process's access to the files of its host. Paths are read from its working directory; `..` is
//! one folder up.

use bytes::Bytes;
use netarium_base::Instant;

use super::{Process, slot};
use crate::files::{DirEntry, FileError, Metadata};

/// What is always empty and takes everything.
pub(super) const DEV_NULL: &str = "dev/null";

impl Process {
    /// The contents of a file; copying them is cheap.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn read_file(&self, path: &str) -> Result<Bytes, FileError> {
        self.read_dated(path).map(|(contents, _)| contents)
    }

    /// The contents of a file, and when they were written.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn read_dated(&self, path: &str) -> Result<(Bytes, Instant), FileError> {
        let path = self.absolute(path);
        if path == DEV_NULL {
            return Ok((Bytes::new(), Instant::ZERO));
        }
        slot::with(|core| core.files(self.node()).read(&path))
    }

    /// What is known about a file or folder.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn metadata(&self, path: &str) -> Result<Metadata, FileError> {
        let path = self.absolute(path);
        if path == DEV_NULL {
            return Ok(Metadata { len: 0, is_dir: false, modified: Instant::ZERO });
        }
        slot::with(|core| core.files(self.node()).metadata(&path))
    }

    /// What a folder has in it, sorted by name.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn list_dir(&self, path: &str) -> Result<Vec<DirEntry>, FileError> {
        let path = self.absolute(path);
        slot::with(|core| core.files(self.node()).list(&path))
    }

    /// Writes a file, on this host only. Folders need not exist.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn write_file(&self, path: &str, contents: impl Into<Bytes>) -> Result<(), FileError> {
        let (path, contents) = (self.absolute(path), contents.into());
        if path == DEV_NULL {
            return Ok(());
        }
        slot::with(|core| core.write_file(self.node(), &path, contents))
    }

    /// Appends to a file, on this host only; makes it when it is not there.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn append_file(&self, path: &str, more: &[u8]) -> Result<(), FileError> {
        let path = self.absolute(path);
        if path == DEV_NULL {
            return Ok(());
        }
        slot::with(|core| core.append_file(self.node(), &path, more))
    }

    /// Removes a file, on this host only.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn remove_file(&self, path: &str) -> Result<(), FileError> {
        let path = self.absolute(path);
        slot::with(|core| core.remove_file(self.node(), &path))
    }

    /// Makes a folder, on this host only; its parents need not exist.
    ///
    /// # Errors
    /// [`FileError::Exists`] when there is something of this name, and others of [`FileError`].
    pub fn make_dir(&self, path: &str) -> Result<(), FileError> {
        let path = self.absolute(path);
        slot::with(|core| core.make_dir(self.node(), &path))
    }

    /// Removes an empty folder, on this host only.
    ///
    /// # Errors
    /// [`FileError::NotEmpty`] when something is in it, and others of [`FileError`].
    pub fn remove_dir(&self, path: &str) -> Result<(), FileError> {
        let path = self.absolute(path);
        slot::with(|core| core.remove_dir(self.node(), &path))
    }
}
