//! What waits for the world's thread.

use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use netarium_world::{Input, Output, PortId};
use tokio::sync::{Notify, mpsc};

use super::Desk;

/// What the world thread is asked to do.
pub(super) enum Command {
    /// Something from outside the world.
    Input(Input),
    /// A new outside connection or session, and who hears of it.
    Open(Input, mpsc::UnboundedSender<Output>),
    /// Nobody listens to this port any more.
    Close(PortId),
    /// Look at the world, or change how it is watched. Not an input.
    Query(Box<dyn FnOnce(&mut Desk) + Send>),
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) commands: Vec<Command>,
    /// The thread sleeps and wants to be woken.
    pub(super) asleep: bool,
    /// No more commands are taken.
    pub(super) closed: bool,
}

pub(super) struct Shared {
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    pub(super) next_port: AtomicU64,
    /// Told when the thread is gone.
    pub(super) ended: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after every statement that holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command; false when the world has ended.
    pub(super) fn push(&self, command: Command) -> bool {
        self.push_all([command])
    }

    /// Adds commands that follow each other, and wakes the thread once for them.
    pub(super) fn push_all(&self, commands: impl IntoIterator<Item = Command>) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            return false;
        }
        queue.commands.extend(commands);
        let wake = std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }
}
