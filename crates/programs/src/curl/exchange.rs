//! One request and its response over a connection that is open.
//!
//! curl shows header lines as they stand on the wire and tells apart an empty reply, a cut one and
//! one that is not HTTP. A client library that parses and normalises would hide all three, so this
//! client reads the bytes itself (RFC 9112); the server side is hyper.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use netarium_base::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::response::{Chunks, Framing, HEADERS_MAX, Head};
use super::terminal::{Sink, Terminal};

/// Bytes read or written at a time, as in curl.
const BUFFER: usize = 64 * 1024;

/// Why a transfer failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// curl's exit code.
    pub(super) code: i32,
    /// The text after `curl: (code) `.
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

impl From<(i32, String)> for Failure {
    fn from((code, message): (i32, String)) -> Failure {
        Failure { code, message }
    }
}

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The method.
    pub(super) method: String,
    /// Request line and fields, with the empty line.
    pub(super) head: Vec<u8>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Whether the answer has no body because curl asked with `-I`.
    pub(super) head_only: bool,
    /// `-f`: a status from 400 is an error, its body is not wanted.
    pub(super) fail: bool,
    /// `-L`: the body of a redirect is not wanted.
    pub(super) follow: bool,
    /// `-i`: header lines go to the output too.
    pub(super) include: bool,
}

/// How far a transfer has come; read when it times out, and by `-w`.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Body bytes received.
    pub(super) received: Cell<u64>,
    /// Body bytes expected.
    pub(super) expected: Cell<Option<u64>>,
    /// When the first byte of the response came.
    pub(super) first_byte: Cell<Option<Instant>>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) head: Head,
    /// Whether the connection may carry another request.
    pub(super) reusable: bool,
}

/// Sends the request and passes the response on to `sink`. `now` tells the virtual time.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    request: &Request,
    sink: &mut Sink<'_>,
    terminal: &mut Terminal<'_>,
    progress: &Progress,
    now: &dyn Fn() -> Instant,
) -> Result<Outcome, Failure> {
    let mut input = Input { io, buffer: vec![0; BUFFER], start: 0, end: 0, eof: false };
    let complete = send(&mut input, request, terminal).await?;
    let head = read_head(&mut input, request, sink, terminal, progress, now).await?;
    if request.fail && head.status >= 400 {
        let text = format!("The requested URL returned error: {}", head.status);
        terminal.info(&text).await;
        return Err(Failure::new(22, text));
    }
    if head.framing(request.head_only) == Framing::UntilClose && !head.close && !head.http10 {
        terminal.info("no chunk, no close, no size. Assume close to signal end").await;
    }
    end_of_head(request, sink, terminal).await?;
    let framing = head.framing(request.head_only);
    read_body(&mut input, &head, framing, request, sink, terminal, progress).await?;
    let clean = input.start == input.end && !input.eof;
    let reusable = complete && clean && head.keeps_alive() && framing != Framing::UntilClose;
    Ok(Outcome { head, reusable })
}

/// Sends head and body. `Ok(false)` when the answer came before the body was out.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    request: &Request,
    terminal: &mut Terminal<'_>,
) -> Result<bool, Failure> {
    let failed = |e: io::Error| Failure::new(55, format!("Send failure: {e}"));
    for line in request.head.split_inclusive(|b| *b == b'\n') {
        terminal.header_out(line).await;
    }
    if !request.body.is_empty() {
        terminal.data_out(request.body.len().min(BUFFER)).await;
    }
    // A short body travels with the head, in one segment if it fits.
    let together = request.body.len() <= BUFFER;
    let (with_head, mut rest) =
        request.body.split_at(if together { request.body.len() } else { 0 });
    let head = [request.head.as_slice(), with_head].concat();
    input.io.write_all(&head).await.map_err(failed)?;
    while !rest.is_empty() {
        match input.write_or_read(&rest[..rest.len().min(BUFFER)]).await {
            // The peer may have answered and closed: what it said counts more than that.
            Err(_) | Ok(None) => return Ok(false),
            Ok(Some(n)) => rest = &rest[n..],
        }
    }
    input.io.flush().await.map_err(failed)?;
    if request.body.len() > BUFFER {
        terminal.info("We are completely uploaded and fine").await;
    }
    Ok(true)
}

async fn read_head<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    request: &Request,
    sink: &mut Sink<'_>,
    terminal: &mut Terminal<'_>,
    progress: &Progress,
    now: &dyn Fn() -> Instant,
) -> Result<Head, Failure> {
    let mut head = Head::default();
    loop {
        let raw = match input.line(head.status == 0).await {
            Ok(line) => line,
            Err(f) => {
                terminal.info(&f.message).await;
                return Err(f);
            }
        };
        if progress.first_byte.get().is_none() {
            progress.first_byte.set(Some(now()));
        }
        let first = head.status == 0;
        let ended = match head.line(trim(&raw)) {
            Ok(ended) => ended,
            Err(wrong) => {
                terminal.info(&wrong.1).await;
                return Err(wrong.into());
            }
        };
        if first && head.http10 {
            terminal.info("HTTP 1.0, assume close after body").await;
        }
        if !ended {
            show_line(&raw, request, sink, terminal).await?;
        } else if (100..200).contains(&head.status) {
            // An interim response (RFC 9110 §15.2); the final one follows.
            head = Head { size: head.size, ..Head::default() };
            show_line(&raw, request, sink, terminal).await?;
        } else {
            return Ok(head);
        }
    }
}

async fn show_line(
    raw: &[u8],
    request: &Request,
    sink: &mut Sink<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    terminal.header_in(raw).await;
    if request.include { sink.write(raw).await } else { Ok(()) }
}

async fn end_of_head(
    request: &Request,
    sink: &mut Sink<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    show_line(b"\r\n", request, sink, terminal).await
}

async fn read_body<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    head: &Head,
    framing: Framing,
    request: &Request,
    sink: &mut Sink<'_>,
    terminal: &mut Terminal<'_>,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut body = Body { framing, chunks: Chunks::default(), left: u64::MAX };
    if let Framing::Length(n) = framing {
        body.left = n;
        progress.expected.set(Some(n));
    }
    let redirect = request.follow && (300..400).contains(&head.status) && head.location.is_some();
    let mut first = true;
    let mut decoded = Vec::new();
    while !body.done() {
        if input.start == input.end {
            input.fill().await.map_err(recv_failure)?;
        }
        if input.eof {
            let end = body.end();
            if let Err(f) = &end {
                terminal.info(&f.message).await;
            }
            return end;
        }
        let here = &input.buffer[input.start..input.end];
        if first {
            first = false;
            if redirect {
                terminal.info("Ignoring the response-body").await;
            }
            terminal.data_in(here.len()).await;
        }
        decoded.clear();
        let (taken, data) = body.take(here, &mut decoded)?;
        progress.received.set(progress.received.get() + data.len() as u64);
        if !redirect {
            sink.write(data).await?;
        }
        input.start += taken;
    }
    Ok(())
}

/// Where a body ends.
struct Body {
    framing: Framing,
    chunks: Chunks,
    left: u64,
}

impl Body {
    fn done(&self) -> bool {
        match self.framing {
            Framing::None => true,
            Framing::Length(_) => self.left == 0,
            Framing::Chunked => self.chunks.done(),
            Framing::UntilClose => false,
        }
    }

    /// How much of `here` belongs to the body, and the data in it.
    fn take<'a>(
        &mut self,
        here: &'a [u8],
        decoded: &'a mut Vec<u8>,
    ) -> Result<(usize, &'a [u8]), Failure> {
        if self.framing == Framing::Chunked {
            let taken = self.chunks.feed(here, decoded)?;
            return Ok((taken, decoded));
        }
        let n = here.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if let Framing::Length(_) = self.framing {
            self.left -= n as u64;
        }
        Ok((n, &here[..n]))
    }

    /// What the end of the connection means here.
    fn end(&self) -> Result<(), Failure> {
        match self.framing {
            Framing::None | Framing::UntilClose => Ok(()),
            Framing::Length(_) => {
                let left = self.left;
                let text = format!("transfer closed with {left} bytes remaining to read");
                Err(Failure::new(18, text))
            }
            Framing::Chunked => {
                Err(Failure::new(18, "transfer closed with outstanding read data remaining"))
            }
        }
    }
}

fn recv_failure(e: io::Error) -> Failure {
    Failure::new(56, format!("Recv failure: {e}"))
}

fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A connection with a buffer in front.
struct Input<'a, S> {
    io: &'a mut S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Input<'_, S> {
    /// Reads more into the empty buffer.
    async fn fill(&mut self) -> io::Result<()> {
        let n = self.io.read(&mut self.buffer).await?;
        (self.start, self.end, self.eof) = (0, n, n == 0);
        Ok(())
    }

    /// Writes some of `data`; `None` when something came in instead.
    async fn write_or_read(&mut self, data: &[u8]) -> io::Result<Option<usize>> {
        let (io, buffer) = (&mut *self.io, &mut self.buffer);
        let got = poll_fn(|cx| {
            if let Poll::Ready(written) = Pin::new(&mut *io).poll_write(cx, data) {
                return Poll::Ready(written.map(Ok));
            }
            let mut room = ReadBuf::new(buffer);
            Pin::new(&mut *io).poll_read(cx, &mut room).map_ok(|()| Err(room.filled().len()))
        })
        .await?;
        Ok(match got {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => Some(written),
            Err(read) => {
                (self.start, self.end, self.eof) = (0, read, read == 0);
                None
            }
        })
    }

    /// The next line with its line end. `status` says that it must be a status line.
    async fn line(&mut self, status: bool) -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        loop {
            if self.start == self.end && !self.eof {
                self.fill().await.map_err(recv_failure)?;
            }
            if self.eof {
                return Err(if status && line.is_empty() {
                    Failure::new(52, "Empty reply from server")
                } else {
                    Failure::new(56, "Recv failure: the connection ended within the headers")
                });
            }
            let here = &self.buffer[self.start..self.end];
            let n = here.iter().position(|b| *b == b'\n').map_or(here.len(), |at| at + 1);
            line.extend_from_slice(&here[..n]);
            self.start += n;
            let checked = line.len().min(5);
            if status && line[..checked] != b"HTTP/"[..checked] {
                return Err(Failure::new(1, "Received HTTP/0.9 when not allowed"));
            }
            if line.ends_with(b"\n") {
                return Ok(line);
            }
            if line.len() > HEADERS_MAX {
                let text = format!("Too large response headers: {} > {HEADERS_MAX}", line.len());
                return Err(Failure::new(56, text));
            }
        }
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
