//! The real-time runner: one thread owns the world, everybody else sends it commands.
//!
//! # Theory of operation
//! A world is not `Send`, so the thread builds it. The thread then repeats: take the commands that
//! have come, bring the world to the present, apply them, hand out what the world put out, and
//! sleep until the next event is due or a command comes. There is no tick: an idle lab sleeps.
//!
//! Virtual time follows real time from an anchor ([`Clock`](crate::clock)). Events due within
//! [`EARLY`] are run at once, because putting a thread to sleep for ten microseconds costs more
//! than that; so virtual time may be ahead by as much, and a burst of packets over short wires
//! costs one wake-up and not one per hop. A world that falls behind by more than
//! [`MAX_LAG`](crate::clock::MAX_LAG) has its anchor moved, and the lag is counted.
//!
//! # Bounds
//! Data in flight is bounded by credit in both directions, commands by the limits on connections of
//! the published ports and of the control API. While paused, inputs wait where they are.

mod desk;
mod port;
mod queue;
mod thread;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use netarium_base::Pid;
use netarium_world::{Input, Output, PortId, World};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Pace;
use queue::{Command, Shared};

pub(crate) use desk::{Asked, Desk};
pub use desk::{EARLY, Pacing};
pub use port::Port;
pub use thread::{StartError, WorldPanicked, WorldThread};

/// Why a question to the world got no answer: the lab has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lab has ended")]
pub struct WorldEnded;

/// Sends commands to a world thread. Cheap to clone.
#[derive(Clone)]
pub struct WorldHandle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for WorldHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorldHandle")
    }
}

impl WorldHandle {
    /// Opens an outside connection or a session; `input` makes the `Open` or `Exec` for its id.
    ///
    /// # Errors
    /// When the lab has ended.
    pub fn open(&self, input: impl FnOnce(PortId) -> Input) -> Result<Port, WorldEnded> {
        self.open_and(input, |_| None)
    }

    /// Opens an outside connection whose client takes `credit` bytes at first.
    ///
    /// # Errors
    /// When the lab has ended.
    pub(crate) fn open_with_credit(
        &self,
        credit: u32,
        input: impl FnOnce(PortId) -> Input,
    ) -> Result<Port, WorldEnded> {
        self.open_and(input, |port| Some(Input::Credit { port, bytes: credit }))
    }

    fn open_and(
        &self,
        input: impl FnOnce(PortId) -> Input,
        then: impl FnOnce(PortId) -> Option<Input>,
    ) -> Result<Port, WorldEnded> {
        let id = self.shared.next_port.fetch_add(1, Ordering::Relaxed);
        let (sink, outputs) = mpsc::unbounded_channel();
        let port = Port { id, handle: self.clone(), outputs, ended: false };
        let open = Command::Open(input(id), sink);
        let commands = std::iter::once(open).chain(then(id).map(Command::Input));
        self.shared.push_all(commands).then_some(port).ok_or(WorldEnded)
    }

    /// Opens an outside connection or session whose outputs go to `sink`, as those of others may.
    ///
    /// # Errors
    /// When the lab has ended.
    pub(crate) fn open_into(
        &self,
        sink: &mpsc::UnboundedSender<Output>,
        input: impl FnOnce(PortId) -> Input,
    ) -> Result<PortId, WorldEnded> {
        let id = self.shared.next_port.fetch_add(1, Ordering::Relaxed);
        let opened = self.shared.push(Command::Open(input(id), sink.clone()));
        opened.then_some(id).ok_or(WorldEnded)
    }

    /// Resets a port of [`open_into`](Self::open_into), and hears no more of it.
    pub(crate) fn close(&self, port: PortId) {
        // When the lab has ended, its ports have, too.
        let _ = self.shared.push(Command::Input(Input::Reset { port }));
        let _ = self.shared.push(Command::Close(port));
    }

    /// Has `asked` hear of the connections to real servers that the lab asks for. Without anybody
    /// they are refused.
    ///
    /// # Errors
    /// When the lab has ended.
    pub(crate) async fn hear_asked(
        &self,
        asked: mpsc::UnboundedSender<Asked>,
    ) -> Result<(), WorldEnded> {
        let handle = self.clone();
        self.desk(move |desk| desk.asked = Some((handle, asked))).await
    }

    /// Applies an input that belongs to no port (a file's new content).
    ///
    /// # Errors
    /// When the lab has ended.
    pub fn input(&self, input: Input) -> Result<(), WorldEnded> {
        self.shared.push(Command::Input(input)).then_some(()).ok_or(WorldEnded)
    }

    /// Asks on the world's thread. Questions change no id and are not journalled.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn query<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, WorldEnded> {
        self.desk(move |desk| ask(&mut desk.world)).await
    }

    /// Obeys an operator's command, also while the lab is paused, and answers it.
    ///
    /// # Errors
    /// When the lab has ended; within: why the command was not obeyed.
    pub async fn command(
        &self,
        command: netarium_world::Command,
    ) -> Result<Result<Option<Pid>, String>, WorldEnded> {
        self.desk(move |desk| desk.world.command(command)).await
    }

    /// Like [`query`](Self::query), with everything that the thread has on its desk.
    pub(crate) async fn desk<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Desk) -> R + Send + 'static,
    ) -> Result<R, WorldEnded> {
        let (tx, rx) = oneshot::channel();
        let command = Command::Query(Box::new(move |desk| {
            let _ = tx.send(ask(desk));
        }));
        if !self.shared.push(command) {
            return Err(WorldEnded);
        }
        rx.await.map_err(|_| WorldEnded)
    }

    /// Changes the pace: pauses, resumes, slows down, speeds up. Not an input: changes no id.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn set_pace(&self, pace: Pace) -> Result<(), WorldEnded> {
        self.desk(move |desk| desk.set_pace(pace)).await
    }

    /// Waits until the lab has ended.
    pub async fn ended(&self) {
        let mut ended = std::pin::pin!(self.shared.ended.notified());
        // Registered before looking, or an end between the two would be missed.
        ended.as_mut().enable();
        if !self.shared.lock().closed {
            ended.await;
        }
    }

    /// How well real time was kept so far.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn pacing(&self) -> Result<Pacing, WorldEnded> {
        self.desk(|desk| desk.pacing()).await
    }
}
