//! One outside connection or session, seen from a task.

use std::task::{Context, Poll};

use netarium_world::{Input, Output, PortId};
use tokio::sync::mpsc;

use super::WorldHandle;
use super::queue::Command;

/// One outside connection or session, as a task sees it. Dropping it before it has
/// [ended](Port::has_ended) resets it.
#[derive(Debug)]
pub struct Port {
    pub(super) id: PortId,
    pub(super) handle: WorldHandle,
    pub(super) outputs: mpsc::UnboundedReceiver<Output>,
    pub(super) ended: bool,
}

impl Port {
    /// Its number.
    pub fn id(&self) -> PortId {
        self.id
    }

    /// Hands bytes to the world. The caller keeps within the credit that the world has given.
    pub fn data(&self, bytes: Vec<u8>) {
        self.send(Input::Data { port: self.id, bytes });
    }

    /// The real server that the lab asked for is there, and takes `credit` bytes at first.
    pub fn accept(&self, credit: u32) {
        self.send(Input::Accepted { port: self.id, credit });
    }

    /// The real server that the lab asked for cannot be had.
    pub fn refuse(mut self, reason: String) {
        self.ended = true;
        self.send(Input::Refused { port: self.id, reason });
    }

    /// No more bytes will come from outside.
    pub fn eof(&self) {
        self.send(Input::Eof { port: self.id });
    }

    /// The outside has taken `bytes` bytes, or can take as many more.
    pub fn credit(&self, bytes: u32) {
        self.send(Input::Credit { port: self.id, bytes });
    }

    /// The outside connection broke.
    pub fn reset(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.send(Input::Reset { port: self.id });
        }
    }

    /// Sends a signal to a session's program.
    pub fn signal(&self, signal: u8) {
        self.send(Input::Signal { port: self.id, signal });
    }

    /// The next thing that the world says; `None` when the lab has ended.
    pub async fn next(&mut self) -> Option<Output> {
        let output = self.outputs.recv().await;
        self.note(output)
    }

    /// Like [`next`](Self::next), without waiting.
    pub fn try_next(&mut self) -> Result<Output, mpsc::error::TryRecvError> {
        let output = self.outputs.try_recv()?;
        Ok(self.note(Some(output)).expect("an output was given"))
    }

    /// [`next`](Self::next) for hand-written futures.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Output>> {
        self.outputs.poll_recv(cx).map(|output| self.note(output))
    }

    /// Marks a connection whose both directions are closed: dropping it resets nothing.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether it is over: reset by either side, finished, or its program has exited.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn note(&mut self, output: Option<Output>) -> Option<Output> {
        if matches!(output, None | Some(Output::Reset { .. } | Output::Exit { .. })) {
            self.ended = true;
        }
        output
    }

    fn send(&self, input: Input) {
        // When the lab has ended, `next` says so.
        let _ = self.handle.shared.push(Command::Input(input));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.reset();
        let _ = self.handle.shared.push(Command::Close(self.id));
    }
}
