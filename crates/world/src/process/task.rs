//! Wakers, and the queue of tasks that are ready to run.
//!
//! A waker only pushes (task, cause) to the queue. The cause is that of whoever wakes: the core
//! notes it before it wakes anybody ([`ReadyQueue::set_cause`]), and a task that wakes another
//! passes on its own. A task in the queue runs with the cause of its first wake; further wakes
//! with other causes are queued as remarks, for the trace.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use netarium_base::{Cause, EventId};
use smallvec::SmallVec;

/// How many remarks about further wakes are kept at once; more are left out.
const REMARKS_MAX: usize = 1_024;

/// A task: its slot in the executor, and how often the slot had been used before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// An entry of the ready queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Woken {
    pub(crate) task: TaskKey,
    pub(crate) cause: Cause,
    /// False: the task was in the queue already; this is a remark about another cause.
    pub(crate) first: bool,
}

/// The tasks that are ready to run, in the order in which they were woken.
///
/// A world is looked after by one thread, but wakers must be able to go anywhere. Whether anything
/// waits is asked after every event, and why something happens is noted for every frame: neither
/// takes the lock.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    state: Mutex<State>,
    /// How many entries the queue has.
    waiting: AtomicUsize,
    /// The parts of a [`Cause`].
    cause: [AtomicU64; 3],
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Woken>,
    remarks: usize,
}

impl ReadyQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes why wakes happen from now on.
    pub(crate) fn set_cause(&self, cause: Cause) {
        for (part, id) in self.cause.iter().zip([cause.id, cause.origin, cause.root]) {
            part.store(id.0, Ordering::Relaxed);
        }
    }

    fn cause(&self) -> Cause {
        let [id, origin, root] = [0, 1, 2].map(|i| EventId(self.cause[i].load(Ordering::Relaxed)));
        Cause { id, origin, root }
    }

    /// Puts a wake back that was held while its process was stopped.
    pub(crate) fn requeue(&self, woken: Woken) {
        self.push(&mut self.lock(), woken);
    }

    fn push(&self, state: &mut State, woken: Woken) {
        state.queue.push_back(woken);
        self.waiting.store(state.queue.len(), Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn pop(&self) -> Option<Woken> {
        if self.is_empty() {
            return None;
        }
        let mut state = self.lock();
        let woken = state.queue.pop_front()?;
        self.waiting.store(state.queue.len(), Ordering::Relaxed);
        state.remarks -= usize::from(!woken.first);
        Some(woken)
    }
}

/// What stands behind a task's wakers.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    key: TaskKey,
    ready: Arc<ReadyQueue>,
    queued: AtomicBool,
    /// The last cause that was queued for it.
    last: AtomicU64,
}

impl TaskWaker {
    pub(crate) fn new(key: TaskKey, ready: Arc<ReadyQueue>) -> Arc<TaskWaker> {
        Arc::new(TaskWaker { key, ready, queued: AtomicBool::new(false), last: AtomicU64::new(0) })
    }

    /// The task is about to be polled: the next wake queues it again.
    pub(crate) fn begin(&self) {
        self.queued.store(false, Ordering::Relaxed);
    }

    fn push(&self) {
        let mut state = self.ready.lock();
        let cause = self.ready.cause();
        let first = !self.queued.swap(true, Ordering::Relaxed);
        let last = self.last.swap(cause.id.0, Ordering::Relaxed);
        if !first && (last == cause.id.0 || state.remarks >= REMARKS_MAX) {
            return;
        }
        state.remarks += usize::from(!first);
        self.ready.push(&mut state, Woken { task: self.key, cause, first });
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.push();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.push();
    }
}

/// Wakers that wait for one thing. A task stands in it at most once.
#[derive(Debug, Default)]
pub(crate) struct WakerSet(SmallVec<[Waker; 1]>);

impl WakerSet {
    pub(crate) fn add(&mut self, waker: &Waker) {
        if !self.0.iter().any(|w| w.will_wake(waker)) {
            self.0.push(waker.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn wake(&mut self, ready: &ReadyQueue, cause: Cause) {
        if self.0.is_empty() {
            return;
        }
        ready.set_cause(cause);
        self.0.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(n: u64) -> Cause {
        Cause { id: EventId(n), origin: EventId(n), root: EventId(n) }
    }

    #[test]
    fn the_first_wake_gives_the_cause_and_others_are_remarked() {
        let ready = Arc::new(ReadyQueue::default());
        let task = TaskWaker::new(TaskKey { index: 1, generation: 0 }, Arc::clone(&ready));
        let waker = Waker::from(Arc::clone(&task));
        for n in [5, 5, 6, 6] {
            ready.set_cause(cause(n));
            waker.wake_by_ref();
        }
        let list: Vec<_> = std::iter::from_fn(|| ready.pop()).collect();
        let seen: Vec<_> = list.iter().map(|w| (w.cause.id.0, w.first)).collect();
        assert_eq!(seen, [(5, true), (6, false)]);
        task.begin();
        waker.wake();
        assert!(ready.pop().unwrap().first);
        assert!(ready.is_empty());
    }

    #[test]
    fn a_set_holds_a_task_once() {
        let ready = Arc::new(ReadyQueue::default());
        let task = TaskWaker::new(TaskKey { index: 1, generation: 0 }, Arc::clone(&ready));
        let waker = Waker::from(task);
        let mut set = WakerSet::default();
        set.add(&waker);
        set.add(&waker);
        assert_eq!(set.0.len(), 1);
        set.wake(&ready, cause(3));
        set.wake(&ready, cause(4));
        assert_eq!(ready.pop().unwrap().cause, cause(3));
        assert!(ready.is_empty());
    }
}
