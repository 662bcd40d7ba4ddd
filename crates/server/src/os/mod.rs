//! What differs between operating systems, and nothing else: who holds a port or a connection,
//! whether a process lives, where a user's private files go.
//!
//! Each system answers the same questions with the same signatures; «unknown» is always a legal
//! answer, so that a new system starts with [`other`](self) and grows.

use std::fmt;
use std::io;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(unix))]
mod other;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
pub(crate) use linux::{port_holder, socket_owner, try_read};
#[cfg(not(unix))]
pub use other::user_is_root;
#[cfg(not(unix))]
pub(crate) use other::{create_private_dir, fallback_runtime_dir, private_options, process_lives};
#[cfg(unix)]
pub use unix::user_is_root;
#[cfg(unix)]
pub(crate) use unix::{create_private_dir, fallback_runtime_dir, private_options, process_lives};

/// A program that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortHolder {
    /// Its process id on the real machine.
    pub pid: u32,
    /// Its short name.
    pub program: String,
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.program, self.pid)
    }
}

/// The program that listens on a port of this machine, when the system tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn port_holder(
    _: netarium_world::Transport,
    _: std::net::SocketAddr,
) -> Option<PortHolder> {
    None
}

/// The program on this machine whose socket speaks to a peer, when the system tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn socket_owner(
    _: netarium_world::Transport,
    _: std::net::SocketAddr,
    _: std::net::SocketAddr,
    _: &[u32],
) -> Option<PortHolder> {
    None
}

/// Reads what is there, without waiting.
#[cfg(not(target_os = "linux"))]
pub(crate) fn try_read(stream: &tokio::net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    stream.try_read(buffer)
}

/// Whether binding failed because somebody else has the port: in use, or (Windows: `WSAEACCES`)
/// inside a range that the system has reserved. Ports below 1024 that only root may bind count too.
pub(crate) fn port_is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Whether accepting failed for want of descriptors or memory, which passes, and not because the
/// one connection was already gone.
pub(crate) fn accept_is_starved(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
