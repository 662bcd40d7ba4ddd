//! What all sockets of programs share: an id, waiting for readiness, closing on drop.

use std::io;
use std::task::{Context, Poll};

use netarium_base::{Cause, SocketId};
use netarium_stack::{Errno, Readiness, SocketEvent, SocketKind, Stack};

use super::task::{ReadyQueue, WakerSet};
use super::{Process, io_error, slot};
use crate::message::PortId;

/// Who waits for a socket of a host.
#[derive(Debug, Default)]
pub(crate) struct SocketWait {
    generation: u32,
    /// The outside connection that it belongs to.
    port: Option<PortId>,
    read: WakerSet,
    write: WakerSet,
}

/// Most hosts never have more sockets than these.
const FEW: usize = 4;

impl SocketWait {
    fn is_empty(&self) -> bool {
        self.port.is_none() && self.read.is_empty() && self.write.is_empty()
    }
}

/// For what a task waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interest {
    Read,
    Write,
}

/// The entry of a socket; entries of earlier sockets in the same slot are emptied.
fn entry(waits: &mut Vec<SocketWait>, id: SocketId) -> &mut SocketWait {
    let index = id.index as usize;
    if waits.len() <= index {
        if index < FEW {
            waits.reserve_exact(index + 1 - waits.len());
        }
        waits.resize_with(index + 1, SocketWait::default);
    }
    let wait = &mut waits[index];
    if wait.generation != id.generation {
        *wait = SocketWait { generation: id.generation, ..SocketWait::default() };
    }
    wait
}

/// Says that a socket belongs to an outside connection.
pub(crate) fn assign(waits: &mut Vec<SocketWait>, id: SocketId, port: PortId) {
    entry(waits, id).port = Some(port);
}

/// Forgets a socket that was closed.
pub(crate) fn forget(waits: &mut Vec<SocketWait>, id: SocketId) {
    if let Some(wait) = waits.get_mut(id.index as usize)
        && wait.generation == id.generation
    {
        *wait = SocketWait { generation: id.generation, ..SocketWait::default() };
    }
    // No entry says as much as an empty one.
    if waits.len() <= FEW && waits.iter().all(SocketWait::is_empty) {
        *waits = Vec::new();
    }
}

/// Wakes whoever waits for what happened; gives the outside connection that must look after it.
pub(crate) fn wake(
    waits: &mut [SocketWait],
    event: &SocketEvent,
    ready: &ReadyQueue,
) -> Option<(PortId, Cause)> {
    let wait = waits.get_mut(event.socket.index as usize)?;
    if wait.generation != event.socket.generation {
        return None;
    }
    let broken = Readiness::ERROR | Readiness::HANGUP;
    if event.readiness.intersects(Readiness::READABLE | broken) {
        wait.read.wake(ready, event.cause);
    }
    if event.readiness.intersects(Readiness::WRITABLE | broken) {
        wait.write.wake(ready, event.cause);
    }
    wait.port.map(|port| (port, event.cause))
}

/// A socket that a program holds. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) process: Process,
    pub(crate) id: SocketId,
}

impl Socket {
    pub(crate) fn new(process: &Process, kind: SocketKind) -> io::Result<Socket> {
        let id =
            process.with_stack(|stack, _| stack.socket(kind, process.pid())).map_err(io_error)?;
        Ok(Socket { process: *process, id })
    }

    /// A call on the stack that fails at once.
    pub(crate) fn call<R>(
        &self,
        f: impl FnOnce(&mut Stack, &mut netarium_base::Ctx<'_>, SocketId) -> Result<R, Errno>,
    ) -> io::Result<R> {
        self.process.with_stack(|stack, cx| f(stack, cx, self.id)).map_err(io_error)
    }

    /// A call on the stack that waits when it would block.
    pub(crate) fn poll_call<R>(
        &self,
        task: &mut Context<'_>,
        interest: Interest,
        f: impl FnOnce(&mut Stack, &mut netarium_base::Ctx<'_>, SocketId) -> Result<R, Errno>,
    ) -> Poll<io::Result<R>> {
        slot::with(|core| {
            let node = self.process.node();
            match core.with_stack(node, |stack, cx| f(stack, cx, self.id)) {
                Err(Errno::EAGAIN) => {
                    let wait = entry(&mut core.host_mut(node).waits, self.id);
                    let set = match interest {
                        Interest::Read => &mut wait.read,
                        Interest::Write => &mut wait.write,
                    };
                    set.add(task.waker());
                    Poll::Pending
                }
                Err(e) => Poll::Ready(Err(io_error(e))),
                Ok(value) => Poll::Ready(Ok(value)),
            }
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        slot::try_with(|core| {
            let node = self.process.node();
            forget(&mut core.host_mut(node).waits, self.id);
            // A socket that is gone already needs no closing.
            let _ = core.with_stack(node, |stack, cx| stack.close(cx, self.id));
        });
    }
}
