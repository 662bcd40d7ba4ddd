//! Processes: the programs that run on lab hosts, as async Rust.
//!
//! A program is a function from a [`Process`] to a future of its exit code. [`Process`] and the
//! sockets are plain ids (`Send + 'static`): whatever they do happens in the world, which the
//! executor puts into a thread-local slot while it polls one task. So they work only inside a
//! program that the world runs; elsewhere a call panics and a drop does nothing.
//!
//! In reading order:
//!
//! 1. [`Programs`], the library of what can be started, and [`Process`], what a program holds;
//! 2. [`TcpStream`], [`TcpListener`], [`UdpSocket`], [`PingSocket`], [`PacketSocket`], with tokio's `AsyncRead` and
//!    `AsyncWrite` (traits only: there is no runtime);
//! 3. [`Stdin`], [`StdStream`] and [`Fd`] (pipes and files), [`Sleep`];
//! 4. [`Spawn`] and [`Child`]: processes that processes start; [`signal`];
//! 5. inside: `slot` (where the world is while a task runs), `task` (wakers and the ready queue),
//!    `executor`, `table` and `life` (starting, signals, exits).
//!
//! A program that panics ends with exit code 134 (as by SIGABRT) and the world goes on. A process
//! that polls more than [`POLLS_PER_INSTANT`] times without time passing is killed, with a note.
//! Memory is bounded: see [`PROCESSES_MAX`], [`TASKS_MAX`], [`LOG_MAX`], [`OPENS_MAX`],
//! [`PIPE_MAX`], [`ARGUMENTS_MAX`] and [`STDIN_CREDIT`](crate::message::STDIN_CREDIT).

mod detach;
mod error;
pub(crate) mod executor;
mod files;
mod handle;
mod life;
mod open;
mod outside;
mod packet;
mod ping;
mod place;
pub(crate) mod session;
pub mod signal;
pub(crate) mod slot;
pub(crate) mod socket;
mod spawn;
mod stdio;
pub(crate) mod table;
pub(crate) mod task;
mod tcp;
mod time;
mod udp;

use core::net::IpAddr;
use std::future::Future;
use std::pin::Pin;

pub use error::{errno, io_error};
pub use handle::{Process, ResolveError};
pub use life::StartError;
pub(crate) use life::{Ending, Spawned, Start, Started};
pub(crate) use open::Opens;
pub use open::{OpenError, OpenMode};
pub use outside::OutsideStream;
pub use packet::PacketSocket;
pub use ping::{PingReply, PingSocket};
pub(crate) use place::{absolute, environment};
pub(crate) use socket::SocketWait;
pub use spawn::{Child, ChildState, Environment, Group, Spawn};
pub use stdio::{Fd, StdStream, Stdin};
pub(crate) use stdio::{LOGGED, Slot, session_slots};
pub use table::{ExitedProcess, ProcessInfo};
pub use tcp::{TcpListener, TcpStream};
pub use time::Sleep;
pub(crate) use time::Timers;
pub use udp::UdpSocket;

/// How many times the tasks of one process may be polled in one instant of virtual time.
pub const POLLS_PER_INSTANT: u32 = 1_000_000;
/// How many processes a host runs at most.
pub const PROCESSES_MAX: usize = 1_024;
/// How many tasks a process has at most; spawning more kills it.
pub const TASKS_MAX: usize = 65_536;
/// How many of the latest bytes of output are kept of a process without a session.
pub const LOG_MAX: usize = 64 * 1024;

/// How many files and pipe ends a host has open at most.
pub const OPENS_MAX: usize = 4_096;
/// How many bytes a pipe holds, as Linux' does.
pub const PIPE_MAX: usize = 64 * 1024;
/// How long a child's arguments and environment may be together, bytes.
pub const ARGUMENTS_MAX: usize = 2 * 1024 * 1024;

/// A future that stays on its world's thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A program: what `main` is elsewhere. Its value is the exit code.
pub type Program = fn(Process) -> LocalBoxFuture<i32>;

/// Looks a name up from a host, with packets: the addresses in the order in which they are to be
/// tried.
pub type Resolver = fn(Process, String) -> LocalBoxFuture<Result<Vec<IpAddr>, ResolveError>>;

/// What can be started on hosts.
pub trait Programs {
    /// The names of all programs, sorted.
    fn names(&self) -> Vec<&'static str>;

    /// The program of this name.
    fn start(&self, name: &str) -> Option<Program>;

    /// The stub resolver of the hosts' library, asked for names that no hosts file has. Without one
    /// such names are not found.
    fn resolver(&self) -> Option<Resolver> {
        None
    }
}

/// No programs at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn start(&self, _: &str) -> Option<Program> {
        None
    }
}
