//! Children: starting them, waiting for them, and what becomes of them.
//!
//! A child inherits its parent's standard streams, environment, working directory, session and
//! group, unless [`Spawn`] says otherwise. It is a program ([`Process::spawn_program`]) or a
//! function of the parent's own ([`Process::fork`]). The parent's [`Child`] waits for it; dropping
//! that lets it run unwatched. When a parent ends, its children get process 1 as their parent.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use netarium_base::{Cause, NodeId, Pid};

use super::life::{Body, Start};
use super::stdio::{self, LOGGED};
use super::task::WakerSet;
use super::{ARGUMENTS_MAX, Fd, LocalBoxFuture, Process, Slot, StartError, slot};
use crate::core::Core;
use crate::message::PortId;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// Which process group a child belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Group {
    /// Its parent's.
    #[default]
    Inherit,
    /// A new one, which it leads.
    New,
    /// One that is there.
    Join(Pid),
}

/// How a child is to be started.
#[derive(Debug, Default)]
#[must_use = "it only says how a child is to be started"]
pub struct Spawn {
    argv: Vec<String>,
    streams: [Option<Fd>; 3],
    group: Group,
    env: Option<Rc<Environment>>,
    cwd: Option<String>,
    daemon: bool,
}

impl Spawn {
    /// A program and its arguments; what is not said is inherited.
    pub fn new(argv: Vec<String>) -> Spawn {
        Spawn { argv, ..Spawn::default() }
    }

    /// Its standard input.
    pub fn stdin(self, fd: Fd) -> Spawn {
        self.stream(0, fd)
    }

    /// Its standard output.
    pub fn stdout(self, fd: Fd) -> Spawn {
        self.stream(1, fd)
    }

    /// Its standard error.
    pub fn stderr(self, fd: Fd) -> Spawn {
        self.stream(2, fd)
    }

    /// One of its standard streams by number.
    ///
    /// # Panics
    /// For a number above 2.
    pub fn stream(mut self, number: usize, fd: Fd) -> Spawn {
        self.streams[number] = Some(fd);
        self
    }

    /// Its process group.
    pub fn group(mut self, group: Group) -> Spawn {
        self.group = group;
        self
    }

    /// Its environment.
    pub fn env(mut self, env: Environment) -> Spawn {
        self.env = Some(Rc::new(env));
        self
    }

    /// Cut loose, as a server that goes into the background is: no session, a group of its own, and
    /// the lab may come to rest while it runs. Streams that are not given are those of a process
    /// without a session: no input, and the latest output is kept.
    pub fn daemon(mut self) -> Spawn {
        self.daemon = true;
        self.group = Group::New;
        self
    }

    /// Its working directory.
    pub fn cwd(mut self, cwd: &str) -> Spawn {
        self.cwd = Some(cwd.to_owned());
        self
    }
}

/// How a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It runs.
    Running,
    /// A signal has stopped it.
    Stopped(u8),
    /// It has ended with this code: 128 + n by signal n.
    Exited(i32),
}

/// What a process knows of its children.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Those that somebody holds a [`Child`] of.
    watched: BTreeMap<Pid, ChildState>,
    waiters: WakerSet,
    /// It has had children.
    any: bool,
}

/// What a process passes on to its children.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    pub(crate) ppid: Pid,
    /// The group; its own when not given.
    pub(crate) group: Option<Pid>,
    pub(crate) session: Option<PortId>,
    pub(crate) env: Rc<Environment>,
    /// Normalised: without a slash in front.
    pub(crate) cwd: Rc<str>,
}

/// A child that was started. Dropping it lets the child run on unwatched.
#[derive(Debug)]
pub struct Child {
    parent: Process,
    pid: Pid,
}

impl Child {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it stands now.
    pub fn state(&self) -> ChildState {
        slot::with(|core| core.child_state(&self.parent, self.pid))
    }

    /// Waits until it has ended, and gives its exit code: 128 + n by signal n.
    pub async fn wait(&self) -> i32 {
        loop {
            match self.changed(&[ChildState::Running]).await {
                ChildState::Exited(code) => return code,
                state => {
                    // Stopped: wait until that changes.
                    self.changed(&[state]).await;
                }
            }
        }
    }

    /// Waits until it stands otherwise than one of these ways.
    pub async fn changed(&self, from: &[ChildState]) -> ChildState {
        poll_fn(|task| {
            slot::with(|core| core.poll_child(&self.parent, self.pid, from, task.waker()))
        })
        .await
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        slot::try_with(|core| {
            if let Some(proc) = core.proc_mut(self.parent.node(), self.parent.pid()) {
                proc.children.watched.remove(&self.pid);
            }
        });
    }
}

impl Process {
    /// Starts a program as a child of this process.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn spawn_program(&self, spawn: Spawn) -> Result<Child, StartError> {
        let child = slot::with(|core| core.spawn_child(self, &spawn, None));
        child.map(|pid| Child { parent: *self, pid })
    }

    /// Starts a child that runs `main`; `argv` is only what `ps` shows.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn fork(
        &self,
        spawn: Spawn,
        main: impl FnOnce(Process) -> LocalBoxFuture<i32> + 'static,
    ) -> Result<Child, StartError> {
        let child = slot::with(|core| core.spawn_child(self, &spawn, Some(Box::new(main))));
        child.map(|pid| Child { parent: *self, pid })
    }
}

impl Core {
    fn spawn_child(
        &mut self,
        parent: &Process,
        spawn: &Spawn,
        main: Option<Body>,
    ) -> Result<Pid, StartError> {
        let (node, ppid, cause) = (parent.node(), parent.pid(), self.current);
        let proc = self.proc_mut(node, ppid).ok_or(StartError::TooManyProcesses)?;
        let env = spawn.env.as_ref().unwrap_or(&proc.env);
        let words = spawn.argv.iter().map(|w| w.len() + 1).sum::<usize>();
        if words + env.iter().map(|(n, v)| n.len() + v.len() + 2).sum::<usize>() > ARGUMENTS_MAX {
            return Err(StartError::TooLong);
        }
        let mut slots =
            if spawn.daemon { LOGGED } else { proc.slots.map(|slot| stdio::inherited(slot, ppid)) };
        for (slot, stream) in slots.iter_mut().zip(&spawn.streams) {
            *slot = stream.as_ref().map_or(*slot, Fd::for_child);
        }
        let group = match spawn.group {
            Group::Inherit => Some(proc.group),
            Group::New => None,
            Group::Join(group) => Some(group),
        };
        let cwd = spawn.cwd.as_deref().map_or_else(|| Rc::clone(&proc.cwd), Rc::from);
        let session = proc.session.filter(|_| !spawn.daemon);
        let inherited = Inherited { ppid, group, session, env: Rc::clone(env), cwd };
        let (argv, daemon) = (spawn.argv.as_slice().into(), proc.daemon || spawn.daemon);
        let pid = self.start_as(Start { node, argv, daemon, slots, cause }, inherited, main)?;
        if let Some(proc) = self.proc_mut(node, ppid) {
            proc.children.watched.insert(pid, ChildState::Running);
            proc.children.any = true;
        }
        Ok(pid)
    }

    fn child_state(&mut self, parent: &Process, pid: Pid) -> ChildState {
        let proc = self.proc_mut(parent.node(), parent.pid());
        // Its parent is gone only while that is being taken down.
        proc.and_then(|p| p.children.watched.get(&pid).copied()).unwrap_or(ChildState::Exited(0))
    }

    fn poll_child(
        &mut self,
        parent: &Process,
        pid: Pid,
        from: &[ChildState],
        waker: &Waker,
    ) -> Poll<ChildState> {
        let state = self.child_state(parent, pid);
        if !from.contains(&state) {
            return Poll::Ready(state);
        }
        if let Some(proc) = self.proc_mut(parent.node(), parent.pid()) {
            proc.children.waiters.add(waker);
        }
        Poll::Pending
    }

    /// A child stands otherwise.
    pub(super) fn tell_parent(
        &mut self,
        node: NodeId,
        parent: Pid,
        child: Pid,
        state: ChildState,
        cause: Cause,
    ) {
        let ready = std::sync::Arc::clone(&self.ready);
        let Some(proc) = self.proc_mut(node, parent) else { return };
        if let Some(known) = proc.children.watched.get_mut(&child) {
            *known = state;
            proc.children.waiters.wake(&ready, cause);
        }
    }

    /// Gives the children of a process that has ended another parent.
    pub(super) fn orphan(&mut self, node: NodeId, parent: Pid, children: &Children) {
        if !children.any {
            return;
        }
        for proc in self.host_mut(node).procs.values_mut().filter(|p| p.ppid == parent) {
            proc.ppid = super::table::WORLD_PID;
        }
    }

    /// Counts what a new process's streams lead to.
    pub(super) fn retain_all(&mut self, node: NodeId, slots: &[Slot; 3]) {
        slots.iter().for_each(|&slot| self.retain(node, slot));
    }
}
