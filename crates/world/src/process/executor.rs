//! The executor: polls tasks with the core in the thread's slot, and drops them there too.
//!
//! Tasks run in the order in which they were woken. Whatever a task asks for that concerns other
//! tasks (spawning, ending a process) is noted in the core and done between polls.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use netarium_base::trace::{Event, Place};
use netarium_base::{Cause, FlowId, NodeId, Pid};

use super::task::{TaskKey, TaskWaker, Woken};
use super::{LocalBoxFuture, Process, TASKS_MAX, slot};
use crate::core::Core;

/// The exit code of a program that panicked: 128 + SIGABRT.
const PANICKED: i32 = 134;

/// Where the core sits while no task runs.
pub(crate) struct Seat(Option<Box<Core>>);

impl Seat {
    pub(crate) fn new(core: Core) -> Seat {
        Seat(Some(Box::new(core)))
    }

    pub(crate) fn core(&mut self) -> &mut Core {
        self.0.as_mut().expect("the core is in its seat between polls")
    }

    pub(crate) fn look(&self) -> &Core {
        self.0.as_ref().expect("the core is in its seat between polls")
    }

    /// Runs program code. A panic is caught and told.
    fn run<R>(&mut self, f: impl FnOnce() -> R) -> Result<R, String> {
        slot::enter(&mut self.0, || catch_unwind(AssertUnwindSafe(f))).map_err(|p| told(&*p))
    }
}

/// What a panic says.
fn told(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".to_owned())
}

/// All tasks of a world.
#[derive(Default)]
pub(crate) struct Executor {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    task: Option<Task>,
}

struct Task {
    process: Process,
    work: Work,
    state: Arc<TaskWaker>,
    waker: Waker,
    /// Neighbours in the list of the process's tasks.
    newer: Option<u32>,
    older: Option<u32>,
}

enum Work {
    /// The program itself.
    Main(LocalBoxFuture<i32>),
    /// A task that it has spawned.
    Side(LocalBoxFuture<()>),
}

impl Work {
    /// `Ready(Some(code))` when the program has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<i32>> {
        match self {
            Work::Main(f) => f.as_mut().poll(cx).map(Some),
            Work::Side(f) => f.as_mut().poll(cx).map(|()| None),
        }
    }
}

impl Executor {
    /// Runs tasks until none is ready or the world is stuck, and looks after connections in between.
    pub(crate) fn run(&mut self, seat: &mut Seat) {
        loop {
            self.adopt(seat);
            self.take_down(seat);
            let core = seat.core();
            core.pump_ports();
            if core.stuck.is_some() {
                return;
            }
            match core.ready.pop() {
                Some(woken) => self.poll(seat, woken),
                None if core.has_work_for_executor() => {}
                None => return,
            }
        }
    }

    /// Takes up what was started and spawned.
    fn adopt(&mut self, seat: &mut Seat) {
        let core = seat.core();
        if core.started.is_empty() && core.spawned.is_empty() {
            return;
        }
        for started in std::mem::take(&mut core.started) {
            let (process, program) = (started.process, started.program);
            // The program function itself may use the process: it runs inside the first poll.
            let main = Work::Main(Box::pin(async move { program(process).await }));
            self.insert_or_drop(seat, process, main, started.cause);
        }
        let cause = seat.core().current;
        for spawned in std::mem::take(&mut seat.core().spawned) {
            self.insert_or_drop(seat, spawned.process, Work::Side(spawned.task), cause);
        }
    }

    fn insert_or_drop(&mut self, seat: &mut Seat, process: Process, work: Work, cause: Cause) {
        if let Err(work) = self.insert(seat.core(), process, work, cause) {
            // Even a task that never runs may hold sockets, whose drops need the core.
            let _ = seat.run(|| drop(work));
        }
    }

    /// Gives a task a slot and makes it ready. Gives the work back when its process has ended or
    /// has too many tasks.
    fn insert(
        &mut self,
        core: &mut Core,
        process: Process,
        work: Work,
        cause: Cause,
    ) -> Result<(), Work> {
        let (node, pid) = (process.node(), process.pid());
        let Some(proc) = core.proc_mut(node, pid).filter(|p| !p.ending) else { return Err(work) };
        if proc.tasks as usize >= TASKS_MAX {
            let text = format!("{} (pid {pid}) has more than {TASKS_MAX} tasks", proc.name());
            core.end(node, pid, 137, Some(text), cause);
            return Err(work);
        }
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        if index as usize == self.slots.len() {
            self.slots.push(Slot::default());
        }
        let older = proc.newest_task.replace(index);
        proc.tasks += 1;
        if let Some(task) = older.and_then(|o| self.slots[o as usize].task.as_mut()) {
            task.newer = Some(index);
        }
        let slot = &mut self.slots[index as usize];
        let key = TaskKey { index, generation: slot.generation };
        let state = TaskWaker::new(key, Arc::clone(&core.ready));
        let waker = Waker::from(Arc::clone(&state));
        core.ready.set_cause(cause);
        waker.wake_by_ref();
        slot.task = Some(Task { process, work, state, waker, newer: None, older });
        Ok(())
    }

    /// Takes a task out of its slot and out of its process's list.
    fn remove(&mut self, core: &mut Core, index: u32) -> Option<Task> {
        let slot = &mut self.slots[index as usize];
        let task = slot.task.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        let (newer, older) = (task.newer, task.older);
        match newer.and_then(|n| self.slots[n as usize].task.as_mut()) {
            Some(newer) => newer.older = older,
            None => {
                if let Some(proc) = core.proc_mut(task.process.node(), task.process.pid()) {
                    proc.newest_task = older;
                }
            }
        }
        if let Some(older) = older.and_then(|o| self.slots[o as usize].task.as_mut()) {
            older.newer = newer;
        }
        if let Some(proc) = core.proc_mut(task.process.node(), task.process.pid()) {
            proc.tasks -= 1;
        }
        Some(task)
    }

    /// Polls a task that was woken.
    fn poll(&mut self, seat: &mut Seat, woken: Woken) {
        let TaskKey { index, generation } = woken.task;
        let slot = self.slots.get_mut(index as usize).filter(|s| s.generation == generation);
        let Some(task) = slot.and_then(|s| s.task.as_mut()) else { return };
        let core = seat.core();
        let (node, pid) = (task.process.node(), task.process.pid());
        if !woken.first {
            let remark = || Event::ProcessWoken { pid, by: "another wake" };
            let place = Place::Process(node, pid);
            core.net.tracer.emit(core.net.now, woken.cause, place, FlowId::NONE, remark);
            return;
        }
        if core.hold(&task.process, woken) || !core.may_poll(&task.process, woken.cause) {
            return;
        }
        core.set_current(woken.cause);
        task.state.begin();
        let mut cx = Context::from_waker(&task.waker);
        let polled = seat.run(|| task.work.poll(&mut cx));
        let core = seat.core();
        let cause = core.current;
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(Some(code))) => core.end(node, pid, code, None, cause),
            Ok(Poll::Ready(None)) => {
                let task = self.remove(core, index);
                if let Err(panic) = seat.run(|| drop(task)) {
                    panicked(seat.core(), node, pid, &panic, cause);
                }
            }
            Err(panic) => panicked(core, node, pid, &panic, cause),
        }
    }

    /// Drops all tasks: the world ends.
    pub(crate) fn drop_all(&mut self, seat: &mut Seat) {
        for slot in &mut self.slots {
            let task = slot.task.take();
            // A program that panics while it is dropped is being dropped all the same.
            let _ = seat.run(|| drop(task));
        }
        let core = seat.core();
        let spawned = (std::mem::take(&mut core.spawned), std::mem::take(&mut core.started));
        let _ = seat.run(|| drop(spawned));
    }

    /// Takes down the processes that have ended: their tasks first, then what they leave.
    fn take_down(&mut self, seat: &mut Seat) {
        while !seat.core().ending.is_empty() {
            for ending in std::mem::take(&mut seat.core().ending) {
                seat.core().set_current(ending.cause);
                let newest = |core: &mut Core| core.proc_mut(ending.node, ending.pid)?.newest_task;
                while let Some(index) = newest(seat.core()) {
                    let task = self.remove(seat.core(), index);
                    // A program that panics while it is dropped is being dropped all the same.
                    let _ = seat.run(|| drop(task));
                }
                seat.core().bury(ending);
            }
        }
    }
}

/// Ends a process whose program panicked.
fn panicked(core: &mut Core, node: NodeId, pid: Pid, panic: &str, cause: Cause) {
    let name = core.proc_mut(node, pid).map_or_else(String::new, |p| p.name().to_owned());
    let text = format!("{name} (pid {pid}) panicked: {panic}");
    let cause = core.note(Place::Process(node, pid), &text, cause);
    core.end(node, pid, PANICKED, Some(text), cause);
}
