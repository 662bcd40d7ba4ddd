//! Unix: modes and owners keep private what is private.

use std::fs::{DirBuilder, OpenOptions, symlink_metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Whether a process with this id exists. One that belongs to another user exists too.
pub(crate) fn process_lives(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// Whether the user may do everything.
pub fn user_is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes `dir` a directory that only this user can look into, or says why it is not one.
///
/// # Errors
/// A symbolic link, a directory of another user or one that others can enter is refused: in a
/// shared temporary directory it may be a trap.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let meta = symlink_metadata(dir)?;
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != own || meta.mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} is not a directory that only you can use (mode 0700)", dir.display()),
        ));
    }
    Ok(())
}

/// How a file that only this user may read is created.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

/// Where runtime files go when the system names no runtime directory.
pub(crate) fn fallback_runtime_dir() -> PathBuf {
    std::env::temp_dir().join(format!("netarium-{}", rustix::process::geteuid().as_raw()))
}
