//! hyper's I/O traits over a lab connection, with the gate in between.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use netarium_world::process::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conf::RequestLimits;
use super::gate::{Gate, Next, Passage, Refusal};
use super::state::{Phase, State};

/// Writes up to this many bytes are put together, so that a small response is one segment.
const GATHER: usize = 16 * 1024;
/// Bytes read at a time.
const READ: usize = 8 * 1024;

/// A lab connection for hyper.
#[derive(Debug)]
pub(super) struct Io {
    stream: TcpStream,
    state: Rc<State>,
    gate: Gate,
    /// A head that has passed and that hyper has not taken whole.
    passing: Bytes,
    /// The peer sends no more.
    ended: bool,
}

impl Io {
    pub(super) fn new(stream: TcpStream, state: Rc<State>, limits: RequestLimits) -> Io {
        let gate = Gate::new(limits);
        Io { stream, state, gate, passing: Bytes::new(), ended: false }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn give_up(&mut self, refusal: Refusal) {
        match self.gate.give_up(refusal.clone()) {
            Some(passage) => self.pass(passage),
            None => self.state.refuse_body(refusal),
        }
    }

    fn pass(&mut self, passage: Passage) {
        self.passing = passage.head.into();
        self.state.asking(passage.line, passage.refusal);
    }

    /// Lets through what may pass: true when hyper got something or is at the end.
    fn let_through(&mut self, cursor: &mut ReadBufCursor<'_>, cx: &Context<'_>) -> Through {
        loop {
            if !self.passing.is_empty() {
                let n = self.passing.len().min(cursor.remaining());
                cursor.put_slice(&self.passing[..n]);
                self.passing.advance(n);
                return Through::Some;
            }
            let between = !self.gate.in_body() && !self.gate.is_shut();
            if between && self.state.must_wait(cx.waker()) {
                return Through::Later;
            }
            match self.gate.next() {
                Next::Head(passage) => self.pass(passage),
                Next::Body(n) => {
                    let n = n.min(cursor.remaining());
                    cursor.put_slice(self.gate.take(n).as_slice());
                    return Through::Some;
                }
                Next::BadBody(refusal) => {
                    self.state.refuse_body(refusal);
                    return Through::End;
                }
                Next::Shut => return Through::End,
                Next::More => return Through::More,
            }
        }
    }
}

/// What [`Io::let_through`] did.
enum Through {
    Some,
    End,
    /// More must be read.
    More,
    /// The response before must be out first.
    Later,
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if cursor.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            match self.let_through(&mut cursor, cx) {
                Through::Some | Through::End => return Poll::Ready(Ok(())),
                Through::Later => return Poll::Pending,
                Through::More => {}
            }
            if self.ended {
                if !self.gate.is_inside() {
                    return Poll::Ready(Ok(()));
                }
                let why = "the request ends in the middle";
                self.give_up(Refusal { status: StatusCode::BAD_REQUEST, why });
                continue;
            }
            if self.state.take_late() {
                let why = "the request did not arrive in time";
                self.give_up(Refusal { status: StatusCode::REQUEST_TIMEOUT, why });
                continue;
            }
            if self.gate.in_body() && self.state.phase() == Phase::Working {
                self.state.enter(Phase::Body);
            }
            let mut bytes = [0u8; READ];
            let mut buf = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            let n = buf.filled().len();
            self.ended = n == 0;
            self.state.received(n);
            self.gate.push(buf.filled());
            self.state.set_inside(self.gate.is_inside());
        }
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.state.sent(n);
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
        let all: usize = slices.iter().map(|s| s.len()).sum();
        let mut together = Vec::with_capacity(all.min(GATHER));
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
