//! A lab's real folder, read into memory.
//!
//! Bounded as [`Files`] is (512 MiB per file, 1 GiB and 10,000 files in all) and in depth. Names
//! that begin with a dot are skipped. A symbolic link counts as the file it leads to, as long as
//! that lies in the folder; links to folders and out of the folder are refused.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use netarium_lab::limits::MAX_FILE_BYTES;
use netarium_lab::{Files, FilesError};

/// The deepest folder in a folder.
const DEPTH_MAX: usize = 32;
/// The most names that are looked at, skipped ones included.
const NAMES_MAX: usize = 50_000;
/// The name of a lab's file in its folder.
pub const LAB_FILE: &str = "lab.toml";

/// A lab as it lies on disk.
#[derive(Clone, Debug)]
pub struct LabFolder {
    /// The folder.
    pub root: PathBuf,
    /// The lab file.
    pub file: PathBuf,
    /// The lab file's text.
    pub text: String,
    /// Everything else in the folder that belongs to the lab.
    pub files: Files,
}

/// Why a lab's folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system said no.
    #[error("cannot read {}: {error}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that does not fit.
    #[error("{}: {error}", .path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// Why.
        error: FilesError,
    },
    /// The lab file is not text, or too long.
    #[error("{} is not a lab file: {why}", .path.display())]
    NotALab {
        /// Which.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A link that is not followed.
    #[error("{} is a link that leads to a folder or out of the lab's folder", .0.display())]
    Link(PathBuf),
    /// Too deep, or too many names.
    #[error("{} holds too much for a lab's folder; give the lab a folder of its own", .0.display())]
    TooMuch(PathBuf),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |error| FolderError::Io { path, error }
}

impl LabFolder {
    /// Reads a lab: a folder with a `lab.toml`, or the lab file itself. Beside a lab file of
    /// another name only those entries of its folder are read whose names the file mentions: such a
    /// file may lie among others.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn read(path: &Path) -> Result<LabFolder, FolderError> {
        let file = if path.is_dir() { path.join(LAB_FILE) } else { path.to_owned() };
        let text = read_text(&file)?;
        let parent = file.parent().filter(|p| !p.as_os_str().is_empty());
        let root = parent.unwrap_or(Path::new(".")).to_owned();
        let mentioned = (file.file_name() != Some(LAB_FILE.as_ref())).then_some(text.as_str());
        let files = read_files(&root, &file, mentioned)?;
        Ok(LabFolder { root, file, text, files })
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn reread(&self) -> Result<Files, FolderError> {
        let mentioned =
            (self.file.file_name() != Some(LAB_FILE.as_ref())).then_some(self.text.as_str());
        read_files(&self.root, &self.file, mentioned)
    }
}

fn read_text(file: &Path) -> Result<String, FolderError> {
    let not = |why| FolderError::NotALab { path: file.to_owned(), why };
    let bytes = read_bounded(file, MAX_FILE_BYTES)?.ok_or_else(|| not("it is too long"))?;
    String::from_utf8(bytes).map_err(|_| not("it is not UTF-8 text"))
}

/// Reads a file of at most `most` bytes; `None` when there are more.
fn read_bounded(path: &Path, most: usize) -> Result<Option<Vec<u8>>, FolderError> {
    let file = fs::File::open(path).map_err(io_error(path))?;
    // Mostly the size is known before reading; a file that grows meanwhile is caught below.
    if file.metadata().is_ok_and(|m| m.len() > most as u64) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    Ok((bytes.len() <= most).then_some(bytes))
}

fn read_files(root: &Path, lab: &Path, mentioned: Option<&str>) -> Result<Files, FolderError> {
    let canonical = root.canonicalize().map_err(io_error(root))?;
    let mut walk = Walk { root: canonical, lab, files: Files::new(), names: 0 };
    walk.folder(root, "", 0, mentioned)?;
    Ok(walk.files)
}

struct Walk<'a> {
    root: PathBuf,
    lab: &'a Path,
    files: Files,
    names: usize,
}

impl Walk<'_> {
    fn folder(
        &mut self,
        dir: &Path,
        inside: &str,
        depth: usize,
        mentioned: Option<&str>,
    ) -> Result<(), FolderError> {
        if depth > DEPTH_MAX {
            return Err(FolderError::TooMuch(dir.to_owned()));
        }
        for entry in fs::read_dir(dir).map_err(io_error(dir))? {
            let entry = entry.map_err(io_error(dir))?;
            let path = entry.path();
            self.names += 1;
            if self.names > NAMES_MAX {
                return Err(FolderError::TooMuch(dir.to_owned()));
            }
            let name = entry.file_name();
            // Names that are not Unicode cannot be asked for by a lab's programs.
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.')
                || path == self.lab
                || mentioned.is_some_and(|text| !text.contains(name))
            {
                continue;
            }
            let inside = format!("{inside}{name}");
            let kind = entry.file_type().map_err(io_error(&path))?;
            if kind.is_dir() {
                self.folder(&path, &format!("{inside}/"), depth + 1, None)?;
            } else if kind.is_file() || self.leads_to_own_file(&path, kind.is_symlink())? {
                self.file(&path, &inside)?;
            }
        }
        Ok(())
    }

    /// Whether a link may be read. Sockets, devices and pipes are no files of a lab.
    fn leads_to_own_file(&self, path: &Path, link: bool) -> Result<bool, FolderError> {
        if !link {
            return Ok(false);
        }
        let target = path.canonicalize().map_err(io_error(path))?;
        if !target.starts_with(&self.root) || !target.is_file() {
            return Err(FolderError::Link(path.to_owned()));
        }
        Ok(true)
    }

    fn file(&mut self, path: &Path, inside: &str) -> Result<(), FolderError> {
        let most = netarium_lab::limits::MAX_HOST_FILE_BYTES;
        let too_large = |bytes| FolderError::Files {
            path: path.to_owned(),
            error: FilesError::FileTooLarge { path: inside.to_owned(), bytes },
        };
        let bytes = read_bounded(path, most)?.ok_or_else(|| too_large(most + 1))?;
        self.files
            .insert(inside, bytes)
            .map_err(|error| FolderError::Files { path: path.to_owned(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn paths(folder: &LabFolder) -> Vec<&str> {
        folder.files.iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_folder_is_read_with_all_its_files_but_hidden_ones() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("lab.toml", "version = 1"), ("htdocs/a/b.html", "b"), (".git/x", "x")];
        write(dir.path(), &files);
        for path in [dir.path().to_owned(), dir.path().join("lab.toml")] {
            let folder = LabFolder::read(&path).unwrap();
            assert_eq!(folder.text, "version = 1");
            assert_eq!(paths(&folder), ["htdocs/a/b.html"]);
        }
    }

    #[test]
    fn a_single_file_takes_only_what_it_mentions() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("my.toml", "httpd --root pages"), ("pages/i.html", "i"), ("tax/2025", "!")];
        write(dir.path(), &files);
        let folder = LabFolder::read(&dir.path().join("my.toml")).unwrap();
        assert_eq!(paths(&folder), ["pages/i.html"]);
    }

    #[test]
    fn what_is_missing_or_too_large_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = LabFolder::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("lab.toml"), "{error}");
        write(dir.path(), &[("lab.toml", "")]);
        let big = fs::File::create(dir.path().join("big")).unwrap();
        big.set_len(netarium_lab::limits::MAX_HOST_FILE_BYTES as u64 + 1).unwrap();
        let error = LabFolder::read(dir.path()).unwrap_err().to_string();
        assert!(error.contains("big"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_leave_the_folder() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("lab/lab.toml", ""), ("lab/a", "a"), ("secret", "s")]);
        let lab = dir.path().join("lab");
        symlink("a", lab.join("b")).unwrap();
        assert_eq!(paths(&LabFolder::read(&lab).unwrap()), ["a", "b"]);
        for (target, name) in [("../secret", "c"), (".", "d")] {
            symlink(target, lab.join(name)).unwrap();
            assert!(matches!(LabFolder::read(&lab), Err(FolderError::Link(_))), "{target}");
            fs::remove_file(lab.join(name)).unwrap();
        }
    }
}
