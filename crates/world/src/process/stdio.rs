//! Standard input, output and error.
//!
//! With a session, output goes outside as far as the outside has granted credit, and a program that
//! writes more waits; input waits in a pipe of [`STDIN_CREDIT`] bytes. Without one (a daemon of the
//! lab file) input is at its end and the last [`LOG_MAX`] bytes of output are kept.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::task::WakerSet;
use super::{LOG_MAX, Process, slot};
use crate::core::Core;
use crate::message::{DATA_MAX, Output, PortId, STDIN_CREDIT, Stream};

/// The standard streams of a process.
#[derive(Debug)]
pub(crate) struct Stdio {
    pub(crate) sink: Sink,
    pub(crate) stdin: Pipe,
}

/// Where output goes.
#[derive(Debug)]
pub(crate) enum Sink {
    /// The latest bytes are kept.
    Log(VecDeque<u8>),
    /// To a session.
    Session {
        /// The session.
        port: PortId,
        /// How many more bytes it can take.
        credit: u32,
        /// Who waits for credit.
        waiters: WakerSet,
    },
}

/// What waits to be read from standard input.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) bytes: VecDeque<u8>,
    /// No more will come.
    pub(crate) ended: bool,
    pub(crate) waiters: WakerSet,
}

impl Stdio {
    /// Without a session.
    pub(crate) fn log() -> Stdio {
        let stdin = Pipe { ended: true, ..Pipe::default() };
        Stdio { sink: Sink::Log(VecDeque::new()), stdin }
    }

    /// With a session.
    pub(crate) fn session(port: PortId, credit: u32, stdin: bool) -> Stdio {
        let sink = Sink::Session { port, credit, waiters: WakerSet::default() };
        Stdio { sink, stdin: Pipe { ended: !stdin, ..Pipe::default() } }
    }

    /// The session.
    pub(crate) fn port(&self) -> Option<PortId> {
        match self.sink {
            Sink::Session { port, .. } => Some(port),
            Sink::Log(_) => None,
        }
    }

    /// The kept output, at most its last [`LOG_MAX`] bytes.
    pub(crate) fn kept(&self) -> Vec<u8> {
        match &self.sink {
            Sink::Log(log) => log.iter().copied().collect(),
            Sink::Session { .. } => Vec::new(),
        }
    }
}

impl Pipe {
    /// How many more bytes fit.
    pub(crate) fn room(&self) -> usize {
        (STDIN_CREDIT as usize).saturating_sub(self.bytes.len())
    }
}

fn log(kept: &mut VecDeque<u8>, bytes: &[u8]) {
    let tail = &bytes[bytes.len().saturating_sub(LOG_MAX)..];
    let over = (kept.len() + tail.len()).saturating_sub(LOG_MAX);
    kept.drain(..over);
    kept.extend(tail);
}

/// Standard output or standard error of a process.
#[derive(Debug)]
pub struct StdStream {
    process: Process,
    stream: Stream,
}

impl StdStream {
    pub(super) fn new(process: Process, stream: Stream) -> StdStream {
        StdStream { process, stream }
    }
}

impl AsyncWrite for StdStream {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        slot::with(|core| core.write_output(&self.process, self.stream, bytes, task.waker()))
            .map(Ok)
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
        slot::with(|core| core.read_input(&self.process, buf, task.waker())).map(Ok)
    }
}

impl Core {
    fn write_output(
        &mut self,
        process: &Process,
        stream: Stream,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<usize> {
        let Some(proc) = self.proc_mut(process.node(), process.pid()) else {
            return Poll::Ready(bytes.len());
        };
        match &mut proc.stdio.sink {
            Sink::Log(kept) => {
                log(kept, bytes);
                Poll::Ready(bytes.len())
            }
            Sink::Session { credit: 0, waiters, .. } if !bytes.is_empty() => {
                waiters.add(waker);
                Poll::Pending
            }
            Sink::Session { port, credit, .. } => {
                let n = bytes.len().min(*credit as usize).min(DATA_MAX);
                *credit -= n as u32;
                let port = *port;
                if n > 0 {
                    self.outbox.push(Output::Data { port, stream, bytes: bytes[..n].to_vec() });
                }
                Poll::Ready(n)
            }
        }
    }

    fn read_input(&mut self, process: &Process, buf: &mut ReadBuf<'_>, waker: &Waker) -> Poll<()> {
        let Some(proc) = self.proc_mut(process.node(), process.pid()) else {
            return Poll::Ready(());
        };
        let port = proc.stdio.port();
        let pipe = &mut proc.stdio.stdin;
        if pipe.bytes.is_empty() {
            if pipe.ended || buf.remaining() == 0 {
                return Poll::Ready(());
            }
            pipe.waiters.add(waker);
            return Poll::Pending;
        }
        let first = pipe.bytes.as_slices().0;
        let n = first.len().min(buf.remaining());
        buf.put_slice(&first[..n]);
        pipe.bytes.drain(..n);
        if let Some(port) = port.filter(|_| n > 0 && !pipe.ended) {
            self.outbox.push(Output::Credit { port, bytes: n as u32 });
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
