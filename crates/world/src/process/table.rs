//! A host's table of processes.

use std::collections::VecDeque;
use std::rc::Rc;

use netarium_base::{Instant, Pid};

use super::LOG_MAX;
use super::stdio::Stdio;
use super::task::WakerSet;

/// The first process id of a host; 1 is the world itself (the gateway's connections).
pub(crate) const FIRST_PID: u32 = 100;
/// The process id of sockets that belong to outside connections, and the parent of what the lab
/// file starts.
pub(crate) const WORLD_PID: Pid = Pid(1);
/// How many ended processes a host remembers.
const EXITED_MAX: usize = 8;

/// A row of `ps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its id.
    pub pid: Pid,
    /// Its parent's id.
    pub ppid: Pid,
    /// The program's name.
    pub name: String,
    /// The command line.
    pub command: String,
    /// When it started.
    pub started: Instant,
    /// Whether the lab file started it in the background.
    pub daemon: bool,
}

/// A process that has ended, as its host remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitedProcess {
    /// What it was.
    pub info: ProcessInfo,
    /// When it ended.
    pub at: Instant,
    /// Its exit code.
    pub code: i32,
    /// What is to be told about its end, when there is something to tell.
    pub message: Option<String>,
    /// The last of its output, when it had no session; at most [`LOG_MAX`] bytes.
    pub log: Vec<u8>,
}

/// A process.
#[derive(Debug)]
pub(crate) struct Proc {
    pub(crate) ppid: Pid,
    pub(crate) argv: Rc<[String]>,
    pub(crate) daemon: bool,
    pub(crate) started: Instant,
    /// The newest of its tasks: the head of a list through the executor's slots.
    pub(crate) newest_task: Option<u32>,
    pub(crate) tasks: u32,
    pub(crate) stdio: Stdio,
    pub(crate) signals: Signals,
    /// How often its tasks were polled at `polled_at`.
    pub(crate) polls: u32,
    pub(crate) polled_at: Instant,
    /// It is about to be taken down; nothing of it runs any more.
    pub(crate) ending: bool,
}

/// The signals of a process.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// It waits for signals, or has waited, and so is not killed by INT, TERM and HUP.
    pub(crate) handled: bool,
    /// The last one that has not been taken.
    pub(crate) pending: Option<u8>,
    pub(crate) waiters: WakerSet,
}

impl Proc {
    pub(crate) fn info(&self, pid: Pid) -> ProcessInfo {
        ProcessInfo {
            pid,
            ppid: self.ppid,
            name: self.name().to_owned(),
            command: self.argv.join(" "),
            started: self.started,
            daemon: self.daemon,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// The ended processes that a host remembers.
#[derive(Debug, Default)]
pub(crate) struct Exited(pub(crate) VecDeque<ExitedProcess>);

impl Exited {
    pub(crate) fn push(&mut self, process: ExitedProcess) {
        debug_assert!(process.log.len() <= LOG_MAX, "logs are bounded where they are written");
        if self.0.len() >= EXITED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(process);
    }
}
