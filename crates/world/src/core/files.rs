//! The files of hosts, and edits of the lab's folder.

use bytes::Bytes;
use netarium_base::{Cause, NodeId, Place};

use super::Core;
use crate::files::view::View;
use crate::files::{EDIT_MAX, Edit, FILE_MAX, FileError, normalise};

/// How many bytes of edits of the lab's folder are held, and in how many files.
const EDITS_MAX: (usize, usize) = (1024 * 1024 * 1024, 10_000);

impl Core {
    /// What a host sees of files.
    pub(crate) fn files(&self, node: NodeId) -> View<'_> {
        let host = self.host(node);
        View { own: &host.files, edits: &self.edits, host: &host.name }
    }

    /// A program writes a file of its host.
    pub(crate) fn write_file(
        &mut self,
        node: NodeId,
        path: &str,
        contents: Bytes,
    ) -> Result<(), FileError> {
        let path = self.files(node).writable(path)?;
        let now = self.net.now;
        self.host_mut(node).files.write(path, contents, now)
    }

    /// A program writes behind what a file has; the file is made when it is not there.
    pub(crate) fn append_file(
        &mut self,
        node: NodeId,
        path: &str,
        more: &[u8],
    ) -> Result<(), FileError> {
        let now = self.net.now;
        // What a program has written under exactly this name is a file, and stays one.
        if self.host_mut(node).files.append(path, more, now)? {
            return Ok(());
        }
        let path = self.files(node).writable(path)?;
        if self.host_mut(node).files.append(&path, more, now)? {
            return Ok(());
        }
        let old = match self.files(node).read(&path) {
            Ok((contents, _)) => contents,
            Err(FileError::NotFound) => Bytes::new(),
            Err(e) => return Err(e),
        };
        if old.len() + more.len() > FILE_MAX {
            return Err(FileError::TooLarge);
        }
        let all = [&old[..], more].concat();
        self.host_mut(node).files.write(path, all.into(), now)
    }

    /// A program removes a file of its host. Its folder stays.
    pub(crate) fn remove_file(&mut self, node: NodeId, path: &str) -> Result<(), FileError> {
        self.files(node).read(path)?;
        let path = normalise(path)?;
        let now = self.net.now;
        self.host_mut(node).files.remove(path.clone(), now)?;
        self.keep_parent(node, &path)
    }

    /// A program makes a folder.
    pub(crate) fn make_dir(&mut self, node: NodeId, path: &str) -> Result<(), FileError> {
        match self.files(node).writable(path) {
            Ok(path) if self.files(node).read(&path).is_err() => {
                self.host_mut(node).files.make_dir(path)
            }
            Ok(_) | Err(FileError::IsDirectory) => Err(FileError::Exists),
            Err(e) => Err(e),
        }
    }

    /// A program removes an empty folder.
    pub(crate) fn remove_dir(&mut self, node: NodeId, path: &str) -> Result<(), FileError> {
        let path = normalise(path)?;
        if !self.files(node).list(&path)?.is_empty() {
            return Err(FileError::NotEmpty);
        }
        self.host_mut(node).files.remove_dir(&path);
        self.keep_parent(node, &path)
    }

    /// Folders are there because something is in them; one that loses its last file stays.
    fn keep_parent(&mut self, node: NodeId, path: &str) -> Result<(), FileError> {
        let Some((parent, _)) = path.rsplit_once('/') else { return Ok(()) };
        if self.files(node).metadata(parent).is_ok() {
            return Ok(());
        }
        self.host_mut(node).files.make_dir(parent.to_owned())
    }

    /// A file of the lab's folder was edited outside. What cannot be taken is noted in the trace.
    pub(crate) fn edit_file(&mut self, path: &str, contents: Option<Vec<u8>>, cause: Cause) {
        if let Err(e) = self.try_edit(path, contents.map(Bytes::from)) {
            let text = format!("the edit of {} was not taken: {e}", path.escape_debug());
            self.note(Place::World, &text, cause);
        }
    }

    fn try_edit(&mut self, path: &str, contents: Option<Bytes>) -> Result<(), FileError> {
        let path = normalise(path)?;
        let len = contents.as_ref().map_or(0, Bytes::len);
        if path.is_empty() {
            return Err(FileError::IsDirectory);
        }
        if len > EDIT_MAX {
            return Err(FileError::TooLarge);
        }
        let old = self.edits.get(&path).map(|e| e.contents.as_ref().map_or(0, Bytes::len));
        let bytes = self.edits_bytes - old.unwrap_or(0) + len;
        if bytes > EDITS_MAX.0 || (old.is_none() && self.edits.len() >= EDITS_MAX.1) {
            return Err(FileError::NoSpace);
        }
        self.edits_bytes = bytes;
        self.edits.insert(path, Edit { contents, at: self.net.now });
        Ok(())
    }
}
