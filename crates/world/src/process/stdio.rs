//! Standard input, output and error, and every other open file: what a descriptor leads to.
//!
//! A descriptor ([`Fd`]) is a small word: nothing, the process's log, a session's terminal or pipe
//! outside, or an open file description of the host (a pipe's end, a file), which descriptors share
//! as after `dup(2)` and `fork(2)`. A daemon of the lab file reads nothing, and the last
//! [`LOG_MAX`] bytes of its output, and of what its children write to theirs, are kept.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use netarium_base::Pid;
use netarium_stack::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::open::OpenId;
use super::{LOG_MAX, Process, io_error, slot};
use crate::core::Core;
use crate::message::{PortId, Stream};

/// What a descriptor leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// `/dev/null`.
    Null,
    /// The kept output of the process; reading it gives its end at once.
    Log,
    /// The kept output of the process that it was inherited from, or of the process itself once that
    /// one is gone.
    LogOf(Pid),
    /// A session's input, or one of its outputs.
    Session(PortId, Stream),
    /// An open file description of the host.
    Open(OpenId),
}

/// The standard streams of a process that the lab file starts.
pub(crate) const LOGGED: [Slot; 3] = [Slot::Log; 3];

/// The standard streams of a session's first process.
pub(crate) fn session_slots(port: PortId) -> [Slot; 3] {
    [Stream::Stdout, Stream::Stdout, Stream::Stderr].map(|stream| Slot::Session(port, stream))
}

/// What a child of `parent` has of its parent's stream.
pub(crate) fn inherited(slot: Slot, parent: Pid) -> Slot {
    if slot == Slot::Log { Slot::LogOf(parent) } else { slot }
}

/// Keeps the last bytes of output.
fn log(kept: &mut std::collections::VecDeque<u8>, bytes: &[u8]) {
    let tail = &bytes[bytes.len().saturating_sub(LOG_MAX)..];
    let over = (kept.len() + tail.len()).saturating_sub(LOG_MAX);
    kept.drain(..over);
    kept.extend(tail);
}

/// An open file, a pipe's end, or one of a process's streams. Cloning gives another descriptor of
/// the same description; dropping the last one closes it.
#[derive(Debug)]
pub struct Fd {
    owner: Process,
    slot: Slot,
}

impl Fd {
    /// Takes over a reference that has been counted.
    pub(super) fn counted(owner: Process, slot: Slot) -> Fd {
        Fd { owner, slot }
    }

    /// What a child has that is given this descriptor.
    pub(super) fn for_child(&self) -> Slot {
        inherited(self.slot, self.owner.pid())
    }

    /// Whether it leads to a terminal: `isatty(3)`.
    pub fn is_terminal(&self) -> bool {
        match self.slot {
            Slot::Session(port, _) => slot::with(|core| core.is_terminal(port)),
            _ => false,
        }
    }

    /// Reads one line, with its newline, and leaves what is behind it to whoever reads next; the
    /// last line may have none. 0 at the end. Lines are cut at 64 KiB.
    ///
    /// # Errors
    /// As [`AsyncRead`].
    pub async fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        let before = line.len();
        let read = |task: &mut Context<'_>| {
            slot::with(|core| core.read_line_of(&self.owner, self.slot, line, task.waker()))
        };
        std::future::poll_fn(read).await?;
        Ok(line.len() - before)
    }
}

impl Clone for Fd {
    fn clone(&self) -> Fd {
        slot::with(|core| core.retain(self.owner.node(), self.slot));
        Fd { owner: self.owner, slot: self.slot }
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        slot::try_with(|core| {
            let cause = core.current;
            core.release(self.owner.node(), self.slot, cause);
        });
    }
}

impl AsyncWrite for Fd {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        slot::with(|core| core.write_to(&self.owner, self.slot, bytes, task.waker()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Fd {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        slot::with(|core| core.read_from(&self.owner, self.slot, buf, task.waker()))
    }
}

/// Standard output or standard error of a process.
#[derive(Debug)]
pub struct StdStream {
    process: Process,
    number: usize,
}

impl StdStream {
    pub(super) fn new(process: Process, stream: Stream) -> StdStream {
        StdStream { process, number: if stream == Stream::Stderr { 2 } else { 1 } }
    }
}

impl AsyncWrite for StdStream {
    /// `BrokenPipe` when nobody reads it any more, which also ends the process (SIGPIPE).
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        slot::with(|core| {
            let Some(slot) = core.std_slot(&self.process, self.number) else {
                return Poll::Ready(Ok(bytes.len()));
            };
            core.write_to(&self.process, slot, bytes, task.waker())
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Standard input of a process.
#[derive(Debug)]
pub struct Stdin {
    process: Process,
}

impl Stdin {
    pub(super) fn new(process: Process) -> Stdin {
        Stdin { process }
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        slot::with(|core| match core.std_slot(&self.process, 0) {
            Some(slot) => core.read_from(&self.process, slot, buf, task.waker()),
            None => Poll::Ready(Ok(())),
        })
    }
}

impl Core {
    /// What one of the standard streams leads to.
    pub(super) fn std_slot(&mut self, process: &Process, number: usize) -> Option<Slot> {
        self.proc_mut(process.node(), process.pid()).map(|proc| proc.slots[number])
    }

    /// Another descriptor of the same description.
    pub(super) fn retain(&mut self, node: netarium_base::NodeId, slot: Slot) {
        if let Slot::Open(id) = slot {
            self.host_mut(node).opens.retain(id);
        }
    }

    /// A descriptor is closed.
    pub(super) fn release(
        &mut self,
        node: netarium_base::NodeId,
        slot: Slot,
        cause: netarium_base::Cause,
    ) {
        if let Slot::Open(id) = slot {
            let ready = std::sync::Arc::clone(&self.ready);
            self.host_mut(node).opens.release(id, &ready, cause);
        }
    }

    fn write_to(
        &mut self,
        process: &Process,
        slot: Slot,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let (node, pid) = (process.node(), process.pid());
        let Some(proc) = self.proc_mut(node, pid) else { return Poll::Ready(Ok(bytes.len())) };
        if proc.ending {
            // Nothing of it runs any more: not even a loop that ignores errors.
            return Poll::Pending;
        }
        match slot {
            Slot::Null => Poll::Ready(Ok(bytes.len())),
            Slot::Log => {
                log(&mut proc.log, bytes);
                Poll::Ready(Ok(bytes.len()))
            }
            Slot::LogOf(from) => {
                let holder = if self.proc_mut(node, from).is_some() { from } else { pid };
                if let Some(proc) = self.proc_mut(node, holder) {
                    log(&mut proc.log, bytes);
                }
                Poll::Ready(Ok(bytes.len()))
            }
            Slot::Session(port, stream) => match self.session_write(port, stream, bytes, waker) {
                Some(poll) => poll.map(Ok),
                None => self.write_to(process, Slot::Log, bytes, waker),
            },
            Slot::Open(id) => self.write_open(process, id, bytes, waker),
        }
    }

    fn write_open(
        &mut self,
        process: &Process,
        id: OpenId,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let (node, cause) = (process.node(), self.current);
        let ready = std::sync::Arc::clone(&self.ready);
        match self.host_mut(node).opens.write_pipe(id, bytes, waker, &ready, cause) {
            Some(Poll::Ready(Err(Errno::EPIPE))) => {
                self.signal(node, process.pid(), super::signal::PIPE, cause);
                Poll::Ready(Err(io_error(Errno::EPIPE)))
            }
            Some(poll) => poll.map_err(io_error),
            None => Poll::Ready(self.write_open_file(node, id, bytes).map_err(io::Error::from)),
        }
    }

    fn read_from(
        &mut self,
        process: &Process,
        slot: Slot,
        buf: &mut ReadBuf<'_>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut take = |bytes: &[u8]| {
            let n = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..n]);
            n
        };
        self.take_input(process, slot, &mut take, waker)
    }

    fn read_line_of(
        &mut self,
        process: &Process,
        slot: Slot,
        line: &mut Vec<u8>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut read = 0;
            let mut take = |bytes: &[u8]| {
                let room = LINE_MAX.saturating_sub(line.len()).max(1).min(bytes.len());
                let newline = bytes[..room].iter().position(|&b| b == b'\n');
                read = newline.map_or(room, |at| at + 1);
                line.extend_from_slice(&bytes[..read]);
                read
            };
            match self.take_input(process, slot, &mut take, waker) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            if read == 0 || line.ends_with(b"\n") || line.len() >= LINE_MAX {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Offers what waits to be read to `take`, which says how much of it it has taken. It is not
    /// called at the end.
    fn take_input(
        &mut self,
        process: &Process,
        slot: Slot,
        take: &mut dyn FnMut(&[u8]) -> usize,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let (node, pid) = (process.node(), process.pid());
        match slot {
            Slot::Null | Slot::Log | Slot::LogOf(_) => Poll::Ready(Ok(())),
            Slot::Session(port, _) => self.session_read(port, node, pid, take, waker).map(Ok),
            Slot::Open(id) => {
                let (ready, cause) = (std::sync::Arc::clone(&self.ready), self.current);
                let opens = &mut self.host_mut(node).opens;
                opens.read(id, take, waker, &ready, cause).map_err(io_error)
            }
        }
    }
}

/// The longest line that is read as one, bytes.
const LINE_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn the_log_keeps_the_latest_bytes() {
        let mut kept = VecDeque::new();
        log(&mut kept, b"old");
        log(&mut kept, &vec![b'x'; LOG_MAX - 1]);
        assert_eq!((kept.len(), kept[0]), (LOG_MAX, b'd'));
        log(&mut kept, &vec![b'y'; 2 * LOG_MAX]);
        assert!(kept.len() == LOG_MAX && kept.iter().all(|&b| b == b'y'));
    }
}
