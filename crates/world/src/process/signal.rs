//! Signals: to a process, to a group, to a session's foreground; stopping and going on.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use netarium_base::{Cause, NodeId, Pid};

use super::task::{WakerSet, Woken};
use super::{Process, slot};
use crate::core::Core;

/// The terminal is gone.
pub const HUP: u8 = 1;
/// Ctrl-C.
pub const INT: u8 = 2;
/// Ctrl-\.
pub const QUIT: u8 = 3;
/// Ends a process that cannot refuse.
pub const KILL: u8 = 9;
/// A pipe that nobody reads was written to.
pub const PIPE: u8 = 13;
/// Asks a process to end.
pub const TERM: u8 = 15;
/// Lets a stopped process go on.
pub const CONT: u8 = 18;
/// Stops a process that cannot refuse.
pub const STOP: u8 = 19;
/// Ctrl-Z.
pub const TSTP: u8 = 20;
/// A background process read from its terminal.
pub const TTIN: u8 = 21;

/// The highest signal number.
pub const MAX: u8 = 64;

/// What a signal does to a process that does not catch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Default {
    End,
    Stop,
    Continue,
    Nothing,
}

fn default(signal: u8) -> Default {
    match signal {
        0 | 17 | 23 | 28 => Default::Nothing,
        CONT => Default::Continue,
        STOP..=22 => Default::Stop,
        1..=MAX => Default::End,
        _ => Default::Nothing,
    }
}

/// The signals of a process.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Bit n: signal n is caught, or ignored when nobody takes it.
    caught: u64,
    /// Bit n: signal n was caught and not yet taken.
    pending: u64,
    waiters: WakerSet,
    /// It is stopped: wakes of its tasks wait here.
    held: Option<Vec<Woken>>,
}

fn bit(signal: u8) -> u64 {
    1u64.checked_shl(u32::from(signal) - 1).unwrap_or(0)
}

impl Signals {
    pub(crate) fn is_stopped(&self) -> bool {
        self.held.is_some()
    }

    /// The lowest of the wanted signals that wait.
    fn take(&mut self, wanted: u64) -> Option<u8> {
        let first = (self.pending & wanted).trailing_zeros();
        (first < 64).then(|| {
            self.pending &= !(1 << first);
            first as u8 + 1
        })
    }
}

impl Core {
    /// Sends a signal.
    pub(crate) fn signal(&mut self, node: NodeId, pid: Pid, signal: u8, cause: Cause) {
        let ready = Arc::clone(&self.ready);
        if signal == 0 || signal > MAX {
            return;
        }
        let action = default(signal);
        if action == Default::Continue {
            self.go_on(node, pid, cause);
        }
        let Some(proc) = self.proc_mut(node, pid) else { return };
        let caught = proc.signals.caught & bit(signal) != 0 && !matches!(signal, KILL | STOP);
        if caught {
            proc.signals.pending |= bit(signal);
            return proc.signals.waiters.wake(&ready, cause);
        }
        match action {
            Default::End => self.end(node, pid, 128 + i32::from(signal), None, cause),
            Default::Stop => self.stop(node, pid, signal, cause),
            Default::Continue | Default::Nothing => {}
        }
    }

    /// Sends a signal to every process of a group. False: it has none.
    pub(crate) fn signal_group(
        &mut self,
        node: NodeId,
        group: Pid,
        signal: u8,
        cause: Cause,
    ) -> bool {
        let procs = self.host(node).procs.iter().filter(|(_, p)| p.group == group && !p.ending);
        let members: Vec<Pid> = procs.map(|(&pid, _)| pid).collect();
        members.iter().for_each(|&pid| self.signal(node, pid, signal, cause));
        !members.is_empty()
    }

    fn stop(&mut self, node: NodeId, pid: Pid, signal: u8, cause: Cause) {
        let Some(proc) = self.proc_mut(node, pid) else { return };
        if proc.signals.held.is_none() {
            proc.signals.held = Some(Vec::new());
            let parent = proc.ppid;
            self.tell_parent(node, parent, pid, super::ChildState::Stopped(signal), cause);
        }
    }

    fn go_on(&mut self, node: NodeId, pid: Pid, cause: Cause) {
        let Some(proc) = self.proc_mut(node, pid) else { return };
        if let Some(held) = proc.signals.held.take() {
            let parent = proc.ppid;
            held.into_iter().for_each(|woken| self.ready.requeue(woken));
            self.tell_parent(node, parent, pid, super::ChildState::Running, cause);
        }
    }

    /// Keeps the wake of a stopped process's task for later. False: it is not stopped.
    pub(crate) fn hold(&mut self, process: &Process, woken: Woken) -> bool {
        let proc = self.proc_mut(process.node(), process.pid());
        match proc.and_then(|p| p.signals.held.as_mut()) {
            Some(held) => {
                // A task is in the queue at most once, so this is bounded by the tasks.
                held.push(woken);
                true
            }
            None => false,
        }
    }
}

impl Process {
    /// Sends a signal to a process of this host; 0 only asks whether it is there. It takes effect
    /// when this task waits. False: there is no such process.
    pub fn kill(&self, pid: Pid, signal: u8) -> bool {
        slot::with(|core| {
            let there = core.proc_mut(self.node(), pid).is_some();
            if there && signal != 0 {
                let cause = core.current;
                core.signal(self.node(), pid, signal, cause);
            }
            there
        })
    }

    /// Sends a signal to all processes of a group. False: there is no such group.
    pub fn kill_group(&self, group: Pid, signal: u8) -> bool {
        slot::with(|core| {
            let cause = core.current;
            core.signal_group(self.node(), group, signal, cause)
        })
    }

    /// Waits for INT, TERM or HUP and gives its number. From the first call on, these signals do
    /// not kill the process by themselves.
    pub async fn terminated(&self) -> u8 {
        self.catch(&[HUP, INT, TERM]).await
    }

    /// Waits for one of these signals and gives its number. From the first call on they are caught:
    /// they do nothing by themselves. KILL and STOP cannot be caught.
    pub async fn catch(&self, signals: &[u8]) -> u8 {
        let wanted = signals.iter().fold(0, |mask, &s| mask | bit(s));
        poll_fn(|task| {
            slot::with(|core| {
                let Some(proc) = core.proc_mut(self.node(), self.pid()) else {
                    return Poll::Pending;
                };
                proc.signals.caught |= wanted;
                match proc.signals.take(wanted) {
                    Some(signal) => Poll::Ready(signal),
                    None => {
                        proc.signals.waiters.add(task.waker());
                        Poll::Pending
                    }
                }
            })
        })
        .await
    }

    /// Takes one of these signals when it has come, without waiting. From the first call on they are
    /// caught.
    pub fn take_signal(&self, signals: &[u8]) -> Option<u8> {
        let wanted = signals.iter().fold(0, |mask, &s| mask | bit(s));
        slot::with(|core| {
            let proc = core.proc_mut(self.node(), self.pid())?;
            proc.signals.caught |= wanted;
            proc.signals.take(wanted)
        })
    }

    /// From now on these signals do nothing to this process, as `signal(2)` with `SIG_IGN`, unless
    /// [`catch`](Process::catch) waits for them.
    pub fn ignore(&self, signals: &[u8]) {
        let mask = signals.iter().fold(0, |mask, &s| mask | bit(s));
        slot::with(|core| {
            if let Some(proc) = core.proc_mut(self.node(), self.pid()) {
                proc.signals.caught |= mask;
            }
        });
    }

    /// Forgets caught signals that nobody has taken.
    pub fn forget_signals(&self) {
        slot::with(|core| {
            if let Some(proc) = core.proc_mut(self.node(), self.pid()) {
                proc.signals.pending = 0;
            }
        });
    }
}
