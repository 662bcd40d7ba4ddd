//! The file by which commands find a running lab: where its control API listens and the token that
//! opens it. One JSON file per running lab, mode 0600, in a directory of mode 0700.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::os;

/// Larger files are not ours.
const MAX_BYTES: u64 = 64 * 1024;
/// How many labs of one name may run at once (`course`, `course-2` …).
const MAX_SAME_NAME: u32 = 1000;

/// What a running lab says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeInfo {
    /// The file format; 1.
    pub version: u32,
    /// The name by which `--on NAME` finds it.
    pub name: String,
    /// Process id of the program that runs the lab.
    pub pid: u32,
    /// Loopback TCP port of the control API.
    pub port: u16,
    /// The secret that the API asks for.
    pub token: String,
    /// What was started: a built-in lab's name, or a path.
    pub lab: String,
}

/// A runtime file that exists as long as this value.
#[derive(Debug)]
pub struct RuntimeFile {
    path: PathBuf,
    info: RuntimeInfo,
}

impl RuntimeFile {
    /// Writes the file for a lab. When a living lab has the name already, the next free one of
    /// `NAME-2`, `NAME-3` … is taken; [`info`](Self::info) tells which.
    ///
    /// # Errors
    /// When the user has no directory that is safe to use, or the disk refuses.
    pub fn create(dir: &Path, mut info: RuntimeInfo) -> io::Result<RuntimeFile> {
        os::create_private_dir(dir)?;
        let wanted = file_name(&info.name);
        for n in 1..=MAX_SAME_NAME {
            info.name = if n == 1 { wanted.clone() } else { format!("{wanted}-{n}") };
            let path = dir.join(format!("{}.json", info.name));
            if read_living(&path)?.is_some() {
                continue;
            }
            match write_whole(dir, &path, &info) {
                Ok(()) => return Ok(RuntimeFile { path, info }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            }
        }
        Err(io::Error::other(format!("{MAX_SAME_NAME} labs named {wanted} are running already")))
    }

    /// What the file says.
    pub fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RuntimeFile {
    fn drop(&mut self) {
        // Somebody may have taken our place after an over-eager clean-up: remove only our own.
        if read(&self.path).is_some_and(|found| found == self.info) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The user's directory for runtime files: `$XDG_RUNTIME_DIR/netarium`, or a directory of the
/// user's own below the temporary one.
pub fn runtime_dir() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() && dir.is_dir() => dir.join("netarium"),
        _ => os::fallback_runtime_dir(),
    }
}

/// The living labs of this user, by name. Files of dead ones are removed.
///
/// # Errors
/// When the directory exists but is not safe to read from.
pub fn running_labs(dir: &Path) -> io::Result<Vec<RuntimeInfo>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    os::create_private_dir(dir)?;
    let mut labs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json")
            && let Some(info) = read_living(&path)?
        {
            labs.push(info);
        }
    }
    labs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(labs)
}

/// A name that is safe as a file's name: other characters become `-`.
fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' })
        .collect();
    if safe.is_empty() { "lab".to_owned() } else { safe }
}

fn read(path: &Path) -> Option<RuntimeInfo> {
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Reads a file and removes it when its lab is dead. A file that is not ours to understand stays,
/// and its name counts as free until writing there fails.
fn read_living(path: &Path) -> io::Result<Option<RuntimeInfo>> {
    let Some(info) = read(path) else { return Ok(None) };
    if lives(&info) {
        return Ok(Some(info));
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(None),
    }
}

/// A process id may have been given to another program since: somebody must also listen.
fn lives(info: &RuntimeInfo) -> bool {
    if info.pid == std::process::id() {
        return true;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, info.port));
    os::process_lives(info.pid)
        && TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

/// The file appears with its whole content or not at all, and never replaces another.
fn write_whole(dir: &Path, path: &Path, info: &RuntimeInfo) -> io::Result<()> {
    let draft = dir.join(format!(".{}-{}.tmp", info.name, info.pid));
    let _ = fs::remove_file(&draft);
    let mut file = os::private_options().open(&draft)?;
    let result = file
        .write_all(&serde_json::to_vec_pretty(info)?)
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, pid: u32) -> RuntimeInfo {
        RuntimeInfo {
            version: 1,
            name: name.to_owned(),
            pid,
            port: 1,
            token: "t".to_owned(),
            lab: name.to_owned(),
        }
    }

    #[test]
    fn a_second_lab_of_a_name_gets_the_next_one_and_both_vanish_at_the_end() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("run");
        let first = RuntimeFile::create(&dir, info("course", std::process::id())).unwrap();
        let second = RuntimeFile::create(&dir, info("course", std::process::id())).unwrap();
        assert_eq!(first.info().name, "course");
        assert_eq!(second.info().name, "course-2");
        let names: Vec<_> = running_labs(&dir).unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["course", "course-2"]);
        drop((first, second));
        assert_eq!(running_labs(&dir).unwrap(), []);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn the_file_of_a_dead_lab_is_cleaned_up() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("run");
        // Process ids end far below this one on every system.
        let dead = RuntimeFile::create(&dir, info("course", i32::MAX as u32)).unwrap();
        let path = dead.path().to_owned();
        std::mem::forget(dead);
        assert!(path.exists());
        let next = RuntimeFile::create(&dir, info("course", std::process::id())).unwrap();
        assert_eq!(next.info().name, "course");
    }

    #[test]
    fn strange_names_stay_inside_the_directory() {
        assert_eq!(file_name("../../etc/passwd"), "------etc-passwd");
        assert_eq!(file_name(""), "lab");
        assert_eq!(file_name("과제 1"), "----1".replace("----", "---"));
    }

    #[cfg(unix)]
    #[test]
    fn others_can_neither_read_the_file_nor_set_a_trap() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("run");
        let file = RuntimeFile::create(&dir, info("course", std::process::id())).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);

        let link = top.path().join("link");
        symlink(&dir, &link).unwrap();
        assert!(RuntimeFile::create(&link, info("x", 1)).is_err());

        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(RuntimeFile::create(&dir, info("y", 1)).is_err());

        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        symlink("/dev/null", dir.join("z.json")).unwrap();
        let z = RuntimeFile::create(&dir, info("z", std::process::id())).unwrap();
        assert_eq!(z.info().name, "z-2");
    }
}
