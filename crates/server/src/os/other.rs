//! Systems whose own ways are not written yet (Windows first): the user's profile keeps private
//! files private, and a process that cannot be asked about is taken to live.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

/// Unknown here, so a runtime file counts as stale only when nobody answers on its port.
pub(crate) fn process_lives(_: u32) -> bool {
    true
}

/// There is no such user here.
pub fn user_is_root() -> bool {
    false
}

/// Makes `dir` a directory inside the user's own profile.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)
}

/// How a file that only this user may read is created: the profile's access list is inherited.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

/// Where runtime files go.
pub(crate) fn fallback_runtime_dir() -> PathBuf {
    std::env::var_os("LOCALAPPDATA")
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join("netarium")
        .join("run")
}
