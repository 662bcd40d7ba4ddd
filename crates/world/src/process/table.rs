//! A host's table of processes.

use std::collections::VecDeque;
use std::rc::Rc;

use netarium_base::{Instant, Pid};

use super::signal::Signals;
use super::spawn::{Children, Environment};
use super::{LOG_MAX, Slot};
use crate::message::PortId;

/// The first process id of a host; 1 is the world itself (the gateway's connections).
pub(crate) const FIRST_PID: u32 = 100;
/// The process id of sockets that belong to outside connections, and the parent of what the lab
/// file starts.
pub(crate) const WORLD_PID: Pid = Pid(1);
/// How many ended processes a host remembers.
const EXITED_MAX: usize = 64;
/// How many background programs that failed a world remembers; of more, the latest.
pub(crate) const FAILED_MAX: usize = 64;

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
    /// Its process group's id: the group's first process.
    pub group: Pid,
    /// Whether a signal has stopped it.
    pub stopped: bool,
    /// Whether it belongs to a session.
    pub session: bool,
}

/// A process that has ended, as its host remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitedProcess {
    /// What it was.
    pub info: ProcessInfo,
    /// The words of its command line.
    pub argv: Vec<String>,
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
    /// What standard input, output and error lead to.
    pub(crate) slots: [Slot; 3],
    /// The latest output, when it leads nowhere else.
    pub(crate) log: VecDeque<u8>,
    /// Its group, named by the group's first process.
    pub(crate) group: Pid,
    /// The session it belongs to, as long as that lasts.
    pub(crate) session: Option<PortId>,
    pub(crate) env: Rc<Environment>,
    /// Normalised: without a slash in front.
    pub(crate) cwd: Rc<str>,
    pub(crate) children: Children,
    pub(crate) signals: Signals,
    /// How often its tasks were polled at `polled_at`.
    pub(crate) polls: u32,
    pub(crate) polled_at: Instant,
    /// It is about to be taken down; nothing of it runs any more.
    pub(crate) ending: bool,
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
            group: self.group,
            stopped: self.signals.is_stopped(),
            session: self.session.is_some(),
        }
    }

    /// The kept output, at most its last [`LOG_MAX`] bytes.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.log.iter().copied().collect()
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
        if self.0.len() < 2 {
            // Most hosts run one program and no more.
            self.0.reserve_exact(1);
        }
        self.0.push_back(process);
    }
}
