//! hyper's I/O traits over a lab connection, and what the watchdog needs to know about it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use netarium_base::{Duration, Instant};
use netarium_world::process::{Process, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::log::{Entry, Log};

/// Writes up to this many bytes are put together, so that a small response is one segment.
const GATHER: usize = 16 * 1024;
/// Bytes read at a time.
const READ: usize = 8 * 1024;

/// What a connection is waiting for, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first request, or the rest of one that has begun.
    Head,
    /// The next request, after a response.
    Idle,
    /// The peer, who must take the response (or send a body that nobody reads).
    Busy,
}

/// How long each phase may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) busy: Duration,
}

/// A connection as its service and its watchdog see it.
#[derive(Debug)]
pub(super) struct State {
    process: Process,
    limits: Limits,
    log: Rc<Log>,
    phase: Cell<Phase>,
    deadline: Cell<Instant>,
    written: Cell<u64>,
    entry: RefCell<Option<Open>>,
}

/// A response on its way.
#[derive(Debug)]
struct Open {
    entry: Entry,
    status: u16,
    start: u64,
    body_done: Rc<Cell<bool>>,
}

impl State {
    pub(super) fn new(process: Process, limits: Limits, log: Rc<Log>) -> State {
        State {
            process,
            limits,
            log,
            phase: Cell::new(Phase::Head),
            deadline: Cell::new(process.now() + limits.head),
            written: Cell::new(0),
            entry: RefCell::new(None),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// When the connection has taken too long.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    pub(super) fn enter(&self, phase: Phase) {
        let limit = match phase {
            Phase::Head => self.limits.head,
            Phase::Idle => self.limits.idle,
            Phase::Busy => self.limits.busy,
        };
        self.phase.set(phase);
        self.deadline.set(self.process.now() + limit);
    }

    /// A response begins; `body_done` is set when its body has been handed to hyper.
    pub(super) fn responding(&self, entry: Entry, status: u16, body_done: Rc<Cell<bool>>) {
        self.finish();
        let start = self.written.get();
        *self.entry.borrow_mut() = Some(Open { entry, status, start, body_done });
        self.enter(Phase::Busy);
    }

    /// Everything written is out: if that was the end of a response, it is logged.
    fn flushed(&self) {
        if self.entry.borrow().as_ref().is_some_and(|e| e.body_done.get()) {
            self.finish();
            self.enter(Phase::Idle);
        }
    }

    /// Logs the response on its way, with what has been sent of it.
    pub(super) fn finish(&self) {
        if let Some(open) = self.entry.borrow_mut().take() {
            self.log.push(open.entry.line(open.status, self.written.get() - open.start));
        }
    }

    /// Logs something that was no request.
    pub(super) fn log(&self, entry: &Entry, status: u16) {
        self.log.push(entry.line(status, self.written.get()));
    }

    fn progress(&self, read: bool) {
        match self.phase.get() {
            Phase::Idle if read => self.enter(Phase::Head),
            Phase::Busy => self.enter(Phase::Busy),
            // The limit holds for the whole head: dribbling does not extend it.
            Phase::Head | Phase::Idle => {}
        }
    }
}

/// A lab connection for hyper.
#[derive(Debug)]
pub(super) struct Io {
    stream: TcpStream,
    state: Rc<State>,
}

impl Io {
    pub(super) fn new(stream: TcpStream, state: Rc<State>) -> Io {
        Io { stream, state }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0u8; READ];
        let room = cursor.remaining().min(READ);
        let mut buf = ReadBuf::new(&mut bytes[..room]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        if !buf.filled().is_empty() {
            self.state.progress(true);
        }
        cursor.put_slice(buf.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.state.written.set(self.state.written.get() + n as u64);
        self.state.progress(false);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts = slices.iter().filter(|s| !s.is_empty());
        let Some(first) = parts.next() else { return Poll::Ready(Ok(0)) };
        let Some(second) = parts.next().filter(|_| first.len() < GATHER) else {
            return self.poll_write(cx, first);
        };
        let mut together = Vec::with_capacity(GATHER);
        together.extend_from_slice(first);
        for part in [second].into_iter().chain(parts) {
            let room = GATHER - together.len();
            together.extend_from_slice(&part[..part.len().min(room)]);
        }
        self.poll_write(cx, &together)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
