//! The thread: how it starts and how it ends.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use netarium_world::World;
use tokio::sync::Notify;

use super::queue::{Queue, Shared};
use super::{Desk, WorldHandle};
use crate::clock::Pace;

/// A running world thread. Dropping it ends the lab and waits for the thread.
pub struct WorldThread {
    handle: WorldHandle,
    thread: Option<JoinHandle<()>>,
}

impl WorldThread {
    /// Starts the thread; `build` makes the world there.
    ///
    /// # Errors
    /// Whatever `build` says; or that the system gives no thread.
    pub fn start<E: Send + 'static>(
        pace: Pace,
        build: impl FnOnce() -> Result<World, E> + Send + 'static,
    ) -> Result<WorldThread, StartError<E>> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            next_port: AtomicU64::new(1),
            ended: Notify::new(),
        });
        let handle = WorldHandle { shared: Arc::clone(&shared) };
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("world".to_owned())
            .spawn(move || {
                let _closed = CloseOnExit(Arc::clone(&shared));
                match build() {
                    Err(e) => drop(tx.send(Err(e))),
                    Ok(world) => {
                        let desk = Desk::new(world, pace);
                        let _ = tx.send(Ok(()));
                        desk.run(&shared);
                    }
                }
            })
            .map_err(StartError::Thread)?;
        match rx.recv() {
            Ok(Ok(())) => Ok(WorldThread { handle, thread: Some(thread) }),
            Ok(Err(e)) => Err(StartError::Build(e)),
            Err(_) => Err(StartError::Panicked),
        }
    }

    /// The way to talk to it.
    pub fn handle(&self) -> WorldHandle {
        self.handle.clone()
    }

    /// Ends the lab: what was asked before is done, captures are completed.
    ///
    /// # Errors
    /// When the thread had panicked.
    pub fn stop(mut self) -> Result<(), WorldPanicked> {
        self.handle.shared.close();
        self.thread.take().map_or(Ok(()), |t| t.join().map_err(|_| WorldPanicked))
    }
}

impl Drop for WorldThread {
    fn drop(&mut self) {
        self.handle.shared.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whatever ends the thread, a panic too, nobody waits for it in vain.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        // Whoever waits for an answer hears that there will be none.
        let commands = std::mem::take(&mut queue.commands);
        drop(queue);
        drop(commands);
        self.0.ended.notify_waiters();
    }
}

/// Why a world thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError<E> {
    /// The world could not be built.
    #[error("{0}")]
    Build(E),
    /// The system gave no thread.
    #[error("cannot start the world's thread: {0}")]
    Thread(std::io::Error),
    /// Building panicked.
    #[error("building the world panicked")]
    Panicked,
}

/// The world's thread had panicked; a bug in Netarium.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the world's thread panicked; this is a bug in Netarium")]
pub struct WorldPanicked;
