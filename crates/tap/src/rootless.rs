//! The same without being root: programs in a user namespace of their own.
//!
//! A process with threads cannot enter a user namespace; a program that is about to start can. So
//! who is not root starts *itself* once more by [`command`], and finds in [`Ground`] what it may do.
//! Ubuntu since 23.10 and some containers give an unprivileged user namespace no capabilities
//! unless a profile allows it: [`TapError::NotPermitted`] says so.

use std::ffi::OsStr;
use std::io;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd::{getgid, getuid, write};

use crate::error::TapError;
use crate::netns::Netns;
use crate::sys;

/// Set for programs that [`command`] starts.
pub const INSIDE: &str = "NETARIUM_TAP_INSIDE";

/// What this process may do with namespaces.
#[derive(Debug)]
pub enum Ground {
    /// It may make namespaces; here is one.
    Free(Netns),
    /// It may not, but a program started by [`command`] may.
    Again,
}

impl Ground {
    /// Finds out, by trying.
    ///
    /// # Errors
    /// [`TapError::NotPermitted`] when not even a user namespace helps, and what else went wrong.
    pub fn find() -> Result<Ground, TapError> {
        match Netns::new() {
            Ok(netns) => Ok(Ground::Free(netns)),
            Err(TapError::NotPermitted { what }) => {
                let probed = command("true").status();
                let inside = std::env::var_os(INSIDE).is_some();
                let works = !inside && probed.is_ok_and(|status| status.success());
                if works { Ok(Ground::Again) } else { Err(TapError::NotPermitted { what }) }
            }
            Err(other) => Err(other),
        }
    }
}

/// A program that starts in user and network namespaces of its own, where it has all capabilities
/// and the same user and group as outside, mapped to root's.
///
/// Starting it fails with PermissionDenied where that is not allowed.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env(INSIDE, "1");
    // Between `fork` and `exec` nothing may be allocated.
    let uid_map = format!("0 {} 1\n", getuid());
    let gid_map = format!("0 {} 1\n", getgid());
    sys::before_exec(&mut command, move || {
        nix::sched::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
        put(c"/proc/self/setgroups", b"deny")?;
        put(c"/proc/self/uid_map", uid_map.as_bytes())?;
        put(c"/proc/self/gid_map", gid_map.as_bytes())
    });
    command
}

fn put(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let written = write(&file, text)?;
    if written == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
