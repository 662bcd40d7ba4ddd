//! Working copies of built-in labs, in which their files can be edited.
//!
//! A copy keeps beside its files what they were when they were handed out. A newer program replaces
//! a copy in which nothing was changed; one that was edited stays as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use netarium_base::name_hash;
use netarium_lab::BuiltIn;

use crate::folder::LAB_FILE;

/// What the files were when they were handed out. Its name begins with a dot: it is no file of the
/// lab.
const HANDED_OUT: &str = ".handed-out";

/// Where working copies of built-in labs go: below the user's data directory.
pub fn copies_dir() -> PathBuf {
    data_dir().join("netarium").join("labs")
}

fn data_dir() -> PathBuf {
    let var = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || var("HOME").unwrap_or_else(std::env::temp_dir);
    if cfg!(windows) {
        var("LOCALAPPDATA").unwrap_or_else(std::env::temp_dir)
    } else if cfg!(target_os = "macos") {
        home().join("Library").join("Application Support")
    } else {
        var("XDG_DATA_HOME").unwrap_or_else(|| home().join(".local").join("share"))
    }
}

/// Makes the working copy of a built-in lab, or brings it up to date. The lab file is written last,
/// so that a copy that was interrupted is completed the next time.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn working_copy(built_in: &BuiltIn, copies: &Path) -> io::Result<PathBuf> {
    let root = copies.join(built_in.name);
    let mut wanted: Vec<(String, Vec<u8>)> =
        built_in.files().iter().map(|(path, c)| (path.to_owned(), c.to_vec())).collect();
    wanted.push((LAB_FILE.to_owned(), built_in.toml.as_bytes().to_vec()));
    if root.join(LAB_FILE).is_file() {
        let Some(old) = untouched(&root) else { return Ok(root) };
        if listing(&wanted) == old {
            return Ok(root);
        }
        // The lab file goes first: what is interrupted here is completed the next time.
        fs::remove_file(root.join(LAB_FILE))?;
        for (path, _) in entries(&old).filter(|(path, _)| *path != LAB_FILE) {
            fs::remove_file(root.join(path))?;
        }
    }
    fs::create_dir_all(&root)?;
    fs::write(root.join(HANDED_OUT), listing(&wanted))?;
    for (path, contents) in &wanted {
        write_new(&root.join(path), contents)?;
    }
    Ok(root)
}

/// One line for each file: its hash and its path.
fn listing(files: &[(String, Vec<u8>)]) -> String {
    files.iter().map(|(path, contents)| format!("{:016x} {path}\n", hash(contents))).collect()
}

fn hash(contents: &[u8]) -> u64 {
    // Each byte is a character: no two contents give one text.
    name_hash(&contents.iter().map(|&b| char::from(b)).collect::<String>())
}

fn entries(listing: &str) -> impl Iterator<Item = (&str, u64)> {
    listing.lines().filter_map(|line| {
        let (hash, path) = line.split_once(' ')?;
        Some((path, u64::from_str_radix(hash, 16).ok()?))
    })
}

/// The listing of a copy in which no file was changed or removed since it was handed out.
fn untouched(root: &Path) -> Option<String> {
    let listing = fs::read_to_string(root.join(HANDED_OUT)).ok()?;
    let same = |(path, was): (&str, u64)| {
        let inside = netarium_world::files::normalise(path).is_ok_and(|p| p == path);
        inside && fs::read(root.join(path)).is_ok_and(|now| hash(&now) == was)
    };
    let all = entries(&listing).all(same);
    all.then_some(listing)
}

fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_lab::builtin;

    /// A copy as an older program made it: with another page, and one that is no more.
    fn older(copies: &Path) -> PathBuf {
        let root = copies.join("course");
        let files = [("htdocs/index.html", "old"), ("htdocs/gone.html", "gone"), (LAB_FILE, "old")];
        let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        for (path, contents) in &files {
            write_new(&root.join(path), contents).unwrap();
        }
        fs::write(root.join(HANDED_OUT), listing(&files)).unwrap();
        root
    }

    #[test]
    fn a_copy_that_nobody_edited_follows_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let root = older(dir.path());
        fs::write(root.join("htdocs/mine.html"), "mine").unwrap();
        let course = builtin("course").unwrap();
        assert_eq!(working_copy(course, dir.path()).unwrap(), root);
        assert_eq!(fs::read_to_string(root.join(LAB_FILE)).unwrap(), course.toml);
        let page = fs::read(root.join("htdocs/index.html")).unwrap();
        assert_eq!(page, course.files().get("htdocs/index.html").unwrap().as_ref());
        assert!(!root.join("htdocs/gone.html").exists());
        assert_eq!(fs::read_to_string(root.join("htdocs/mine.html")).unwrap(), "mine");
    }

    #[test]
    fn a_copy_that_was_edited_stays() {
        for change in [("htdocs/index.html", "mine"), (LAB_FILE, "mine")] {
            let dir = tempfile::tempdir().unwrap();
            let root = older(dir.path());
            fs::write(root.join(change.0), change.1).unwrap();
            working_copy(builtin("course").unwrap(), dir.path()).unwrap();
            assert_eq!(fs::read_to_string(root.join(change.0)).unwrap(), "mine");
            assert!(root.join("htdocs/gone.html").exists());
        }
    }

    #[test]
    fn a_listing_cannot_name_files_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "x").unwrap();
        let root = older(dir.path());
        let text = format!("{:016x} ../outside\n", hash(b"x"));
        fs::write(root.join(HANDED_OUT), text).unwrap();
        working_copy(builtin("course").unwrap(), dir.path()).unwrap();
        assert!(outside.exists());
        assert_eq!(fs::read_to_string(root.join(LAB_FILE)).unwrap(), "old");
    }
}
