//! Virtual timers of programs.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use netarium_base::{Cause, Event, FlowId, Instant, NodeId, Pid, Place};

use super::{Process, slot};
use crate::core::Core;

/// The timers of one host's programs, in the order in which they fire.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    sequence: u64,
    set: BTreeMap<(Instant, u64), Timer>,
}

#[derive(Debug)]
struct Timer {
    pid: Pid,
    waker: Waker,
    /// Why the program waits: the cause under which it went to sleep.
    cause: Cause,
}

impl Timers {
    pub(crate) fn next(&self) -> Option<Instant> {
        self.set.first_key_value().map(|(&(at, _), _)| at)
    }
}

/// A wait for a point in virtual time.
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    process: Process,
    deadline: Instant,
    set: Option<u64>,
}

impl Sleep {
    pub(super) fn new(process: Process, deadline: Instant) -> Sleep {
        Sleep { process, deadline, set: None }
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Ends at another time instead. Works before and after it ended.
    pub fn reset(&mut self, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
    }

    fn cancel(&mut self) {
        if let Some(sequence) = self.set.take() {
            let key = (self.deadline, sequence);
            slot::try_with(|core| core.cancel_timer(self.process.node(), key));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        slot::with(|core| {
            if core.net.now >= this.deadline {
                if let Some(sequence) = this.set.take() {
                    core.cancel_timer(this.process.node(), (this.deadline, sequence));
                }
                return Poll::Ready(());
            }
            this.set = Some(core.set_timer(&this.process, this.deadline, this.set, cx.waker()));
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Core {
    /// Sets a timer, or gives the one that is set another waker. Returns its sequence number.
    fn set_timer(
        &mut self,
        process: &Process,
        at: Instant,
        sequence: Option<u64>,
        waker: &Waker,
    ) -> u64 {
        let cause = self.current;
        let (node, pid) = (process.node(), process.pid());
        let host = self.host_mut(node);
        if let Some(timer) = sequence.and_then(|s| host.timers.set.get_mut(&(at, s))) {
            timer.waker.clone_from(waker);
            return sequence.unwrap_or_default();
        }
        host.timers.sequence += 1;
        let sequence = host.timers.sequence;
        let timer = Timer { pid, waker: waker.clone(), cause };
        host.timers.set.insert((at, sequence), timer);
        self.timers += 1;
        self.rearm(node);
        sequence
    }

    fn cancel_timer(&mut self, node: NodeId, key: (Instant, u64)) {
        let removed = self.host_mut(node).timers.set.remove(&key);
        self.timers -= usize::from(removed.is_some());
    }

    /// Removes what timers a process has left behind.
    pub(super) fn cancel_timers_of(&mut self, node: NodeId, pid: Pid) {
        let set = &mut self.host_mut(node).timers.set;
        let before = set.len();
        set.retain(|_, timer| timer.pid != pid);
        let gone = before - set.len();
        self.timers -= gone;
    }

    /// Wakes whoever sleeps until now.
    pub(crate) fn fire_timers(&mut self, node: NodeId) {
        let now = self.net.now;
        loop {
            let host = self.host_mut(node);
            let Some(entry) = host.timers.set.first_entry().filter(|e| e.key().0 <= now) else {
                return;
            };
            let timer = entry.remove();
            self.timers -= 1;
            let pid = timer.pid;
            let place = Place::Process(node, pid);
            let woken = || Event::ProcessWoken { pid, by: "timer" };
            let cause = self.net.tracer.emit(now, timer.cause, place, FlowId::NONE, woken);
            self.ready.set_cause(cause);
            timer.waker.wake();
        }
    }
}
