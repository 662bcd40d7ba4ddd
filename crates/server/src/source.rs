//! Which lab is meant: `LAB` on the command line is a built-in lab's name, a folder or a file.
//!
//! A built-in name wins over a folder of the same name in the current directory; `./course` means
//! the folder.

use std::fs;
use std::io;
use std::path::Path;

use netarium_lab::{Lab, LabErrors, builtin, builtins};

use crate::copies::working_copy;
use crate::folder::{FolderError, LabFolder};

pub use crate::copies::copies_dir;

/// A lab, read and validated, and where it came from.
#[derive(Clone, Debug)]
pub struct LoadedLab {
    /// The lab.
    pub lab: Lab,
    /// Its folder on disk, when it has one.
    pub folder: Option<LabFolder>,
    /// What was asked for, as one would ask again.
    pub what: String,
    /// For a built-in lab's working copy: whether its lab file differs from the built-in one.
    pub edited: bool,
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No such built-in lab, file or folder.
    #[error("there is no lab `{0}`: no file, no folder, and the built-in labs are {known}", known = names())]
    Unknown(String),
    /// Its folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its lab file has mistakes.
    #[error(transparent)]
    Lab(#[from] LabErrors),
}

fn names() -> String {
    builtins().iter().map(|b| b.name).collect::<Vec<_>>().join(", ")
}

/// Loads the lab that `what` names. A built-in lab is taken as it comes with the program.
///
/// # Errors
/// See [`LoadError`].
pub fn load(what: &str, known_programs: &[&str]) -> Result<LoadedLab, LoadError> {
    if let Some(built_in) = builtin(what) {
        let lab = built_in.load(known_programs)?;
        return Ok(LoadedLab { lab, folder: None, what: what.to_owned(), edited: false });
    }
    let path = Path::new(what);
    if !path.exists() {
        return Err(LoadError::Unknown(what.to_owned()));
    }
    load_folder(path, what, known_programs)
}

/// Like [`load`], but a built-in lab is taken from the user's working copy below `copies`, which is
/// made when it is not there. When it cannot be made, the lab is taken as it comes.
///
/// # Errors
/// See [`LoadError`].
pub fn load_to_edit(
    what: &str,
    copies: &Path,
    known_programs: &[&str],
) -> Result<LoadedLab, LoadError> {
    let Some(built_in) = builtin(what) else { return load(what, known_programs) };
    let Ok(root) = working_copy(built_in, copies) else { return load(what, known_programs) };
    let mut loaded = load_folder(&root, what, known_programs)?;
    loaded.edited = loaded.folder.as_ref().is_some_and(|f| f.text != built_in.toml);
    Ok(loaded)
}

fn load_folder(path: &Path, what: &str, known: &[&str]) -> Result<LoadedLab, LoadError> {
    let folder = LabFolder::read(path)?;
    let name = folder.file.display().to_string();
    let lab = Lab::from_parts(&name, &folder.text, &folder.files, known)?;
    Ok(LoadedLab { lab, folder: Some(folder), what: what.to_owned(), edited: false })
}

/// Replaces a file at once: whoever reads it finds the old text or the new one, never a part. A
/// link is followed; the permissions of a file that is there stay.
///
/// # Errors
/// When the disk refuses; the file is as it was then.
pub fn replace(file: &Path, contents: &[u8]) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its name begins with a dot: it is no file of the lab.
    let new = tempfile::Builder::new().prefix(".netarium-").tempfile_in(folder);
    // Its name, which the error would show, means nothing to anybody.
    let mut new = new.map_err(|e| io::Error::from(e.kind()))?;
    io::Write::write_all(&mut new, contents)?;
    new.as_file().sync_all()?;
    match fs::metadata(&file) {
        Ok(old) => new.as_file().set_permissions(old.permissions())?,
        Err(_) => readable(new.as_file())?,
    }
    new.persist(&file).map(drop).map_err(|e| e.error)
}

/// Temporary files are for their owner alone; a lab file is for all, as editors write files.
#[cfg(unix)]
fn readable(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &fs::File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::folder::LAB_FILE;

    const PROGRAMS: &[&str] = &["httpd", "curl", "dig", "nsd", "ping", "shop", "unbound"];

    #[test]
    fn a_built_in_lab_gets_a_working_copy_that_keeps_edits() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_to_edit("course", dir.path(), PROGRAMS).unwrap();
        assert!(!first.edited);
        let root = first.folder.unwrap().root;
        assert_eq!(root, dir.path().join("course"));
        assert_eq!(first.lab.files(), load("course", PROGRAMS).unwrap().lab.files());

        let file = root.join(LAB_FILE);
        fs::write(&file, fs::read_to_string(&file).unwrap() + "# mine\n").unwrap();
        fs::write(root.join("htdocs/new.html"), "new").unwrap();
        let again = load_to_edit("course", dir.path(), PROGRAMS).unwrap();
        assert!(again.edited);
        assert!(again.lab.files().get("htdocs/new.html").is_some());
    }

    #[test]
    fn an_unknown_lab_is_told_what_there_is() {
        let error = load("cuorse", PROGRAMS).unwrap_err().to_string();
        assert!(error.contains("`cuorse`") && error.contains("course"), "{error}");
    }
}
