//! How processes start, get signals and end.

use std::collections::BTreeMap;
use std::rc::Rc;

use netarium_base::{Cause, Event, FlowId, Instant, NodeId, Pid, Place};

use super::signal::Signals;
use super::spawn::{Children, Inherited};
use super::table::{ExitedProcess, FAILED_MAX, FIRST_PID, Proc, ProcessInfo, WORLD_PID};
use super::{ChildState, LocalBoxFuture, POLLS_PER_INSTANT, PROCESSES_MAX, Process, Slot};
use crate::core::{Core, POLLS_PER_INSTANT as WORLD_POLLS};
use crate::message::PortId;

/// A program that is to be started.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) node: NodeId,
    pub(crate) argv: Rc<[String]>,
    pub(crate) daemon: bool,
    pub(crate) slots: [Slot; 3],
    pub(crate) cause: Cause,
}

/// Why a program was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No program has this name.
    #[error("command not found")]
    NoSuchProgram,
    /// The host runs [`PROCESSES_MAX`] processes.
    #[error("fork: Resource temporarily unavailable")]
    TooManyProcesses,
    /// Arguments and environment are longer than [`ARGUMENTS_MAX`](super::ARGUMENTS_MAX).
    #[error("Argument list too long")]
    TooLong,
}

impl StartError {
    /// The exit code that a shell gives for it.
    pub fn code(self) -> i32 {
        match self {
            StartError::NoSuchProgram => 127,
            StartError::TooManyProcesses => 254,
            StartError::TooLong => 126,
        }
    }
}

/// What a process runs.
pub(crate) type Body = Box<dyn FnOnce(Process) -> LocalBoxFuture<i32>>;

/// A program that has started and whose first task the executor has not yet taken up.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) program: Body,
    pub(crate) cause: Cause,
}

/// A task that a process has spawned and the executor has not yet taken up.
pub(crate) struct Spawned {
    pub(crate) process: Process,
    pub(crate) task: LocalBoxFuture<()>,
}

/// A process that the executor must take down.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) node: NodeId,
    pub(crate) pid: Pid,
    pub(crate) code: i32,
    pub(crate) message: Option<String>,
    pub(crate) cause: Cause,
}

impl Core {
    /// Starts a program that nobody waits for. Its first task runs when the executor next does.
    pub(crate) fn start(
        &mut self,
        start: Start,
        session: Option<PortId>,
    ) -> Result<Pid, StartError> {
        let inherited = self.of_the_world(session);
        self.start_as(start, inherited, None)
    }

    fn of_the_world(&self, session: Option<PortId>) -> Inherited {
        let (env, cwd) = (Rc::clone(&self.environment), "".into());
        Inherited { ppid: WORLD_PID, group: None, session, env, cwd }
    }

    /// Starts a process of the world's own that nobody waits for; `argv` is only what `ps` shows.
    pub(crate) fn start_own(
        &mut self,
        start: Start,
        main: super::Program,
    ) -> Result<Pid, StartError> {
        let inherited = self.of_the_world(None);
        self.start_as(start, inherited, Some(Box::new(main)))
    }

    /// Starts a process: `main`, or the program that its arguments name.
    pub(super) fn start_as(
        &mut self,
        start: Start,
        inherited: Inherited,
        main: Option<Body>,
    ) -> Result<Pid, StartError> {
        let name = start.argv.first().map_or("", String::as_str);
        let program = match main {
            Some(main) => main,
            None => Box::new(self.programs.start(name).ok_or(StartError::NoSuchProgram)?),
        };
        let now = self.net.now;
        let host = self.host_mut(start.node);
        if host.procs.len() >= PROCESSES_MAX {
            return Err(StartError::TooManyProcesses);
        }
        let pid = Pid(FIRST_PID + host.started);
        host.started += 1;
        let place = Place::Process(start.node, pid);
        let command = || Event::ProcessStarted { pid, command: start.argv.join(" ").into() };
        let cause = self.net.tracer.emit(now, start.cause, place, FlowId::NONE, command);
        self.retain_all(start.node, &start.slots);
        let proc = Proc {
            ppid: inherited.ppid,
            argv: start.argv,
            daemon: start.daemon,
            started: now,
            newest_task: None,
            tasks: 0,
            slots: start.slots,
            log: Default::default(),
            group: inherited.group.unwrap_or(pid),
            session: inherited.session,
            env: inherited.env,
            cwd: inherited.cwd,
            children: Children::default(),
            signals: Signals::default(),
            polls: 0,
            polled_at: now,
            ending: false,
        };
        self.foreground += usize::from(!proc.daemon);
        self.host_mut(start.node).procs.insert(pid, Box::new(proc));
        self.started.push(Started { process: Process::new(start.node, pid), program, cause });
        Ok(pid)
    }

    /// A process that runs.
    pub(crate) fn proc_mut(&mut self, node: NodeId, pid: Pid) -> Option<&mut Proc> {
        self.host_mut(node).procs.get_mut(&pid).map(|p| &mut **p)
    }

    /// Asks the executor to take a process down. The first who asks decides about the exit code.
    pub(crate) fn end(
        &mut self,
        node: NodeId,
        pid: Pid,
        code: i32,
        message: Option<String>,
        cause: Cause,
    ) {
        if let Some(proc) = self.proc_mut(node, pid)
            && !std::mem::replace(&mut proc.ending, true)
        {
            self.ending.push(Ending { node, pid, code, message, cause });
        }
    }

    /// Counts a poll of a process; false when it polls without end, which ends it, or when all
    /// together do, which ends the world: programs that wake or follow each other for ever while no
    /// time passes may each be innocent.
    pub(crate) fn may_poll(&mut self, process: &Process, cause: Cause) -> bool {
        let now = self.net.now;
        let (node, pid) = (process.node(), process.pid());
        let Some(proc) = self.proc_mut(node, pid) else { return false };
        if proc.ending {
            return false;
        }
        if proc.polled_at != now {
            (proc.polled_at, proc.polls) = (now, 0);
        }
        proc.polls += 1;
        if proc.polls <= POLLS_PER_INSTANT {
            self.polls_now += 1;
            if self.polls_now > WORLD_POLLS {
                self.polled_out(node, pid, cause);
            }
            return self.stuck.is_none();
        }
        let text = format!(
            "{} (pid {pid}) was polled {POLLS_PER_INSTANT} times while no time passed, and was killed",
            proc.name()
        );
        let cause = self.note(Place::Process(node, pid), &text, cause);
        self.end(node, pid, 137, Some(text), cause);
        false
    }

    #[cold]
    fn polled_out(&mut self, node: NodeId, pid: Pid, cause: Cause) {
        let who = self.proc_mut(node, pid).map_or_else(String::new, |p| p.argv.join(" "));
        let text = format!(
            "programs were polled more than {WORLD_POLLS} times while no time passed; the last was \
             `{who}` (pid {pid}) on {}",
            self.host(node).name
        );
        self.note(Place::World, &text, cause);
        self.stuck = Some(text);
    }

    /// Takes away what a process leaves behind when its tasks are gone.
    pub(crate) fn bury(&mut self, ending: Ending) {
        let Ending { node, pid, code, message, cause } = ending;
        let now = self.net.now;
        self.set_current(cause);
        self.with_stack(node, |stack, cx| stack.release_process(cx, pid));
        self.cancel_timers_of(node, pid);
        let exited = || Event::ProcessExited { pid, code };
        self.net.tracer.emit(now, cause, Place::Process(node, pid), FlowId::NONE, exited);
        let host = self.host_mut(node);
        let Some(proc) = host.procs.remove(&pid) else { return };
        if host.procs.is_empty() {
            // An empty tree would keep the room for eleven.
            host.procs = BTreeMap::new();
        }
        self.foreground -= usize::from(!proc.daemon);
        self.lookup_ended(node, pid);
        if proc.ppid == WORLD_PID {
            // What a signal has ended somebody wanted ended.
            if proc.daemon && (1..=128).contains(&code) {
                if self.failed.len() >= FAILED_MAX {
                    self.failed.pop_front();
                }
                self.failed.push_back((node, pid));
            }
            let (info, argv, log) = (proc.info(pid), proc.argv.to_vec(), proc.kept());
            self.host_mut(node).exited.push(ExitedProcess {
                info,
                argv,
                at: now,
                code,
                message: message.clone(),
                log,
            });
        }
        self.tell_parent(node, proc.ppid, pid, ChildState::Exited(code), cause);
        self.orphan(node, pid, &proc.children);
        proc.slots.iter().for_each(|&slot| self.release(node, slot, cause));
        if let Some(port) = proc.session.filter(|&port| self.leads(port, node, pid)) {
            self.end_session(port, node, code, message, cause);
        }
    }

    pub(super) fn leads(&self, port: PortId, node: NodeId, pid: Pid) -> bool {
        self.gateway.session(port) == Some((node, pid))
    }

    /// The processes of a host by id.
    pub(crate) fn processes(&self, node: NodeId) -> Vec<ProcessInfo> {
        let host = self.host(node);
        let world = (self.gateway.node == Some(node)).then(|| ProcessInfo {
            pid: WORLD_PID,
            ppid: Pid(0),
            name: "gateway".to_owned(),
            command: "gateway".to_owned(),
            started: Instant::ZERO,
            daemon: true,
            group: WORLD_PID,
            stopped: false,
            session: false,
        });
        world.into_iter().chain(host.procs.iter().map(|(&pid, p)| p.info(pid))).collect()
    }
}
