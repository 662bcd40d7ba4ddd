//! How processes start, get signals and end.

use std::rc::Rc;

use netarium_base::{Cause, Event, FlowId, Instant, NodeId, Pid, Place};

use super::stdio::Stdio;
use super::table::{ExitedProcess, FIRST_PID, Proc, ProcessInfo, Signals, WORLD_PID};
use super::{LocalBoxFuture, POLLS_PER_INSTANT, PROCESSES_MAX, Process, Program};
use crate::core::{Core, POLLS_PER_INSTANT as WORLD_POLLS};
use crate::message::Output;

/// A program that is to be started.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) node: NodeId,
    pub(crate) argv: Rc<[String]>,
    pub(crate) daemon: bool,
    pub(crate) stdio: Stdio,
    pub(crate) cause: Cause,
}

/// Why a program was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StartError {
    NoSuchProgram,
    TooManyProcesses,
}

impl StartError {
    /// What a shell says about it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            StartError::NoSuchProgram => "command not found",
            StartError::TooManyProcesses => "fork: Resource temporarily unavailable",
        }
    }

    /// The exit code that a shell gives for it.
    pub(crate) fn code(self) -> i32 {
        match self {
            StartError::NoSuchProgram => 127,
            StartError::TooManyProcesses => 254,
        }
    }
}

/// A program that has started and whose first task the executor has not yet taken up.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) program: Program,
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
    /// Starts a program. Its first task runs when the executor next does.
    pub(crate) fn start(&mut self, start: Start) -> Result<Pid, StartError> {
        let name = start.argv.first().map_or("", String::as_str);
        let program = self.programs.start(name).ok_or(StartError::NoSuchProgram)?;
        self.launch(start, program)
    }

    /// Starts a program that need not be one of the library's.
    pub(crate) fn launch(&mut self, start: Start, program: Program) -> Result<Pid, StartError> {
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
        let proc = Proc {
            ppid: WORLD_PID,
            argv: start.argv,
            daemon: start.daemon,
            started: now,
            newest_task: None,
            tasks: 0,
            stdio: start.stdio,
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

    /// Sends a signal.
    pub(crate) fn signal(&mut self, node: NodeId, pid: Pid, signal: u8, cause: Cause) {
        let Some(proc) = self.host_mut(node).procs.get_mut(&pid) else { return };
        match signal {
            1 | 2 | 15 if proc.signals.handled => {
                proc.signals.pending = Some(signal);
                let ready = std::sync::Arc::clone(&self.ready);
                let proc = self.proc_mut(node, pid);
                proc.into_iter().for_each(|p| p.signals.waiters.wake(&ready, cause));
            }
            1 | 2 | 9 | 15 => self.end(node, pid, 128 + i32::from(signal), None, cause),
            _ => {}
        }
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
        let foreground = usize::from(!proc.daemon);
        let exited = ExitedProcess {
            info: proc.info(pid),
            at: now,
            code,
            message: message.clone(),
            log: proc.stdio.kept(),
        };
        host.exited.push(exited);
        self.foreground -= foreground;
        self.lookup_ended(node, pid);
        if let Some(port) = proc.stdio.port() {
            self.gateway.forget(port);
            self.outbox.push(Output::Exit { port, code, message });
        }
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
        });
        world.into_iter().chain(host.procs.iter().map(|(&pid, p)| p.info(pid))).collect()
    }
}
