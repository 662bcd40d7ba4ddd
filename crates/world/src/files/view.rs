//! What one host sees, in layers: what its own programs wrote, edits of the lab's folder while the
//! world ran, the folder as it was at the start. In the lower two, `files/HOST/` comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use netarium_base::Instant;

use super::tree::normalise;
use super::{DirEntry, Edit, FILE_MAX, FileError, FileTree, HOST_FILES_MAX, HOST_MAX, Metadata};

/// Edits of the lab's folder that came in while the world ran.
pub(crate) type Edits = BTreeMap<String, Edit>;

/// A host's files, as far as they are its own.
#[derive(Debug, Default)]
pub(crate) struct HostFiles {
    pub(crate) base: Rc<FileTree>,
    written: Edits,
    bytes: usize,
    /// Folders that are there although nothing may be in them.
    folders: BTreeSet<String>,
}

/// A host's files together with what lies below them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) own: &'a HostFiles,
    pub(crate) edits: &'a Edits,
    pub(crate) host: &'a str,
}

impl HostFiles {
    pub(crate) fn new(base: Rc<FileTree>) -> HostFiles {
        HostFiles { base, ..HostFiles::default() }
    }

    /// Writes a file; the view has checked that the path can be one.
    pub(crate) fn write(
        &mut self,
        path: String,
        contents: Bytes,
        at: Instant,
    ) -> Result<(), FileError> {
        if contents.len() > FILE_MAX {
            return Err(FileError::TooLarge);
        }
        let old = self.written.get(&path).map(|e| e.contents.as_ref().map_or(0, Bytes::len));
        let bytes = self.bytes - old.unwrap_or(0) + contents.len();
        if bytes > HOST_MAX || (old.is_none() && self.written.len() >= HOST_FILES_MAX) {
            return Err(FileError::NoSpace);
        }
        self.bytes = bytes;
        self.written.insert(path, Edit { contents: Some(contents), at });
        Ok(())
    }

    /// Appends to a file that was written before. False: it was not.
    ///
    /// Bytes that nobody else holds grow in place, so that a log is not copied for each line.
    pub(crate) fn append(
        &mut self,
        path: &str,
        more: &[u8],
        at: Instant,
    ) -> Result<bool, FileError> {
        let Some(edit) = self.written.get_mut(path) else { return Ok(false) };
        let Some(contents) = edit.contents.as_mut() else { return Ok(false) };
        if contents.len() + more.len() > FILE_MAX {
            return Err(FileError::TooLarge);
        }
        if self.bytes + more.len() > HOST_MAX {
            return Err(FileError::NoSpace);
        }
        let mut grown = match std::mem::take(contents).try_into_mut() {
            Ok(own) => own,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        grown.extend_from_slice(more);
        *contents = grown.freeze();
        edit.at = at;
        self.bytes += more.len();
        Ok(true)
    }

    /// Makes a folder; its name and its parents' are free.
    pub(crate) fn make_dir(&mut self, path: String) -> Result<(), FileError> {
        if self.folders.len() >= HOST_FILES_MAX {
            return Err(FileError::NoSpace);
        }
        self.folders.insert(path);
        Ok(())
    }

    /// Removes a folder that has nothing in it.
    pub(crate) fn remove_dir(&mut self, path: &str) {
        self.folders.remove(path);
    }

    /// Removes a file that exists.
    pub(crate) fn remove(&mut self, path: String, at: Instant) -> Result<(), FileError> {
        let old = self.written.get(&path);
        if old.is_none() && self.written.len() >= HOST_FILES_MAX {
            return Err(FileError::NoSpace);
        }
        self.bytes -= old.and_then(|e| e.contents.as_ref()).map_or(0, Bytes::len);
        self.written.insert(path, Edit { contents: None, at });
        Ok(())
    }
}

impl View<'_> {
    /// The contents of a file and when it was written.
    pub(crate) fn read(&self, path: &str) -> Result<(Bytes, Instant), FileError> {
        let path = normalise(path)?;
        match self.find(&path) {
            Some(found) => Ok(found),
            None if self.is_dir(&path) => Err(FileError::IsDirectory),
            None if self.parent_is_file(&path) => Err(FileError::NotDirectory),
            None => Err(FileError::NotFound),
        }
    }

    pub(crate) fn metadata(&self, path: &str) -> Result<Metadata, FileError> {
        match self.read(path) {
            Ok((contents, modified)) => {
                Ok(Metadata { len: contents.len() as u64, is_dir: false, modified })
            }
            Err(FileError::IsDirectory) => Ok(FOLDER),
            Err(e) => Err(e),
        }
    }

    /// The path as a place for a file.
    pub(crate) fn writable(&self, path: &str) -> Result<String, FileError> {
        let path = normalise(path)?;
        if path.is_empty() || self.is_dir(&path) {
            Err(FileError::IsDirectory)
        } else if self.parent_is_file(&path) {
            Err(FileError::NotDirectory)
        } else {
            Ok(path)
        }
    }

    /// The names in a folder, sorted.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<DirEntry>, FileError> {
        let path = normalise(path)?;
        if self.find(&path).is_some() {
            return Err(FileError::NotDirectory);
        }
        if !self.is_dir(&path) {
            return Err(FileError::NotFound);
        }
        let prefix = if path.is_empty() { path } else { path + "/" };
        let mut names = BTreeMap::new();
        for full in self.candidates(&prefix) {
            let Some((contents, modified)) = self.find(&full) else { continue };
            let rest = &full[prefix.len()..];
            match rest.split_once('/') {
                Some((name, _)) => names.insert(name.to_owned(), FOLDER),
                None => {
                    let len = contents.len() as u64;
                    names.insert(rest.to_owned(), Metadata { len, is_dir: false, modified })
                }
            };
        }
        for folder in self.folders_below(&prefix) {
            let name = folder[prefix.len()..].split('/').next().unwrap_or_default();
            names.insert(name.to_owned(), FOLDER);
        }
        Ok(names.into_iter().map(|(name, metadata)| DirEntry { name, metadata }).collect())
    }

    fn find(&self, path: &str) -> Option<(Bytes, Instant)> {
        if let Some(edit) = self.own.written.get(path) {
            return edit.contents.clone().map(|c| (c, edit.at));
        }
        let own = format!("files/{}/{path}", self.host);
        self.in_lab(&own).or_else(|| shared(path).then(|| self.in_lab(path)).flatten())
    }

    fn in_lab(&self, path: &str) -> Option<(Bytes, Instant)> {
        match self.edits.get(path) {
            Some(edit) => edit.contents.clone().map(|c| (c, edit.at)),
            None => self.own.base.get(path).map(|c| (c.clone(), Instant::ZERO)),
        }
    }

    fn is_dir(&self, path: &str) -> bool {
        let below = format!("{path}/");
        path.is_empty()
            || STANDARD.contains(&path)
            || self.own.folders.contains(path)
            || self.folders_below(&below).next().is_some()
            || self.candidates(&below).into_iter().any(|p| self.find(&p).is_some())
    }

    fn folders_below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = self.own.folders.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.map(String::as_str).take_while(move |f| f.starts_with(prefix))
    }

    fn parent_is_file(&self, path: &str) -> bool {
        path.match_indices('/').any(|(i, _)| self.find(&path[..i]).is_some())
    }

    /// Paths below `prefix` that exist in some layer, as the host sees them; some may be removed.
    fn candidates(&self, prefix: &str) -> Vec<String> {
        let own = format!("files/{}/", self.host);
        let below = |edits: &Edits, prefix: &str| -> Vec<String> {
            let from = edits.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
            from.map(|(p, _)| p.clone()).take_while(|p| p.starts_with(prefix)).collect()
        };
        let mut paths = below(&self.own.written, prefix);
        for (start, strip) in [(own.clone() + prefix, own.len()), (prefix.to_owned(), 0)] {
            let lower = below(self.edits, &start);
            let base = self.own.base.below(&start).map(|(p, _)| p.to_owned());
            paths.extend(lower.into_iter().chain(base).map(|p| p[strip..].to_owned()));
        }
        paths
    }
}

/// Folders of the Filesystem Hierarchy Standard that each host has, and that are listed only when
/// something is in them: a host's root is the lab's folder, too.
const STANDARD: [&str; 6] = ["tmp", "var", "var/log", "var/tmp", "home", "root"];

const FOLDER: Metadata = Metadata { len: 0, is_dir: true, modified: Instant::ZERO };

/// Whether the path is outside the part of the folder that belongs to single hosts.
fn shared(path: &str) -> bool {
    path != "files" && !path.starts_with("files/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(paths: &[&str]) -> Rc<FileTree> {
        let mut tree = FileTree::new();
        for p in paths {
            tree.insert(p, (*p).to_owned()).unwrap();
        }
        Rc::new(tree)
    }

    fn names(view: View<'_>, path: &str) -> Vec<String> {
        view.list(path).unwrap().into_iter().map(|e| e.name).collect()
    }

    #[test]
    fn layers_hide_each_other() {
        let paths = ["htdocs/a", "htdocs/b", "files/web/htdocs/a", "files/pc/x"];
        let mut own = HostFiles::new(base(&paths));
        let mut edits = Edits::new();
        let at = Instant::from_nanos(5);
        let text = |v: View<'_>, p: &str| v.read(p).map(|(c, _)| c);
        fn view<'a>(own: &'a HostFiles, edits: &'a Edits) -> View<'a> {
            View { own, edits, host: "web" }
        }

        assert_eq!(text(view(&own, &edits), "htdocs/a").unwrap(), "files/web/htdocs/a");
        assert_eq!(text(view(&own, &edits), "files/pc/x"), Err(FileError::NotFound));
        assert_eq!(names(view(&own, &edits), "/"), ["htdocs"]);
        edits.insert("htdocs/c".into(), Edit { contents: Some("new".into()), at });
        edits.insert("htdocs/b".into(), Edit { contents: None, at });
        assert_eq!(names(view(&own, &edits), "htdocs"), ["a", "c"]);
        own.write("htdocs/a".into(), "mine".into(), at).unwrap();
        assert_eq!(view(&own, &edits).read("/htdocs/a").unwrap(), ("mine".into(), at));
        own.remove("htdocs/a".into(), at).unwrap();
        assert_eq!(text(view(&own, &edits), "htdocs/a"), Err(FileError::NotFound));
        assert_eq!(text(view(&own, &edits), "htdocs"), Err(FileError::IsDirectory));
        assert_eq!(view(&own, &edits).writable("htdocs/c/d"), Err(FileError::NotDirectory));
        assert!(view(&own, &edits).metadata("htdocs").unwrap().is_dir);
    }

    #[test]
    fn every_host_has_the_usual_folders() {
        let mut own = HostFiles::new(base(&["a"]));
        let edits = Edits::new();
        let view = View { own: &own, edits: &edits, host: "web" };
        assert!(view.metadata("/tmp").unwrap().is_dir && view.list("/var/log").unwrap().is_empty());
        assert_eq!(names(view, "/"), ["a"]);
        assert_eq!(view.writable("/tmp"), Err(FileError::IsDirectory));
        let path = view.writable("/tmp/b").unwrap();
        own.write(path, Bytes::new(), Instant::ZERO).unwrap();
        let view = View { own: &own, edits: &edits, host: "web" };
        assert_eq!(names(view, "/"), ["a", "tmp"]);
    }

    #[test]
    fn what_a_host_writes_is_bounded() {
        let mut own = HostFiles::new(base(&[]));
        let big = Bytes::from(vec![0; FILE_MAX]);
        for i in 0..HOST_MAX / FILE_MAX {
            own.write(format!("{i}"), big.clone(), Instant::ZERO).unwrap();
        }
        assert_eq!(own.write("x".into(), "y".into(), Instant::ZERO), Err(FileError::NoSpace));
        own.write("0".into(), "y".into(), Instant::ZERO).unwrap();
        own.write("x".into(), "y".into(), Instant::ZERO).unwrap();
        let too_big = Bytes::from(vec![0; FILE_MAX + 1]);
        assert_eq!(own.write("x".into(), too_big, Instant::ZERO), Err(FileError::TooLarge));
    }
}
