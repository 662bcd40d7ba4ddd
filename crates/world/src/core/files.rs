//! The files of hosts, and edits of the lab's folder.

use bytes::Bytes;
use netarium_base::{Cause, NodeId, Place};

use super::Core;
use crate::files::view::View;
use crate::files::{EDIT_MAX, Edit, FileError, normalise};

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

    /// A program removes a file of its host.
    pub(crate) fn remove_file(&mut self, node: NodeId, path: &str) -> Result<(), FileError> {
        self.files(node).read(path)?;
        let path = normalise(path)?;
        let now = self.net.now;
        self.host_mut(node).files.remove(path, now)
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
