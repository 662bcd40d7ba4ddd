//! One request and its response over a connection that is open.
//!
//! curl shows header lines as they stand on the wire and tells apart an empty reply, a cut one and
//! one that is not HTTP. A client library that parses and normalises would hide all three, so this
//! client reads the bytes itself (RFC 9112); the server side is hyper.

use std::io;

use netarium_base::{Duration, Instant};
use netarium_world::process::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::input::{BUFFER, Input};
use super::options::TimeCondition;
use super::output::Sink;
use super::progress::Progress;
use super::response::{Chunks, Framing, Head};
use super::terminal::Terminal;
use crate::calendar;
use crate::wait::first;

/// Why a transfer failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// curl's exit code.
    pub(super) code: i32,
    /// The text after `curl: (code) `.
    pub(super) message: String,
    /// Whether the peer refused the connection (`--retry-connrefused`).
    pub(super) refused: bool,
}

impl Failure {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), refused: false }
    }
}

impl From<(i32, String)> for Failure {
    fn from((code, message): (i32, String)) -> Failure {
        Failure::new(code, message)
    }
}

/// Virtual time.
pub(super) trait Clock {
    fn now(&self) -> Instant;

    /// Waits.
    fn until(&self, at: Instant) -> LocalBoxFuture<()>;
}

/// A request, ready to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// The method.
    pub(super) method: String,
    /// Request line and fields, with the empty line.
    pub(super) head: Vec<u8>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// The body travels with the head, in one segment if it fits.
    pub(super) together: bool,
    /// The body is sent in chunks.
    pub(super) chunked: bool,
    /// How long to wait for `100 Continue` before the body.
    pub(super) expect: Option<Duration>,
    /// Whether the answer has no body because curl asked with `-I`.
    pub(super) head_only: bool,
    /// `-f`: a status from 400 is an error, its body is not wanted.
    pub(super) fail: bool,
    /// `-L`: the body of a redirect is not wanted.
    pub(super) follow: bool,
    /// The body must be sent again when the request is.
    pub(super) rewinds: bool,
    /// `--http0.9`.
    pub(super) http09: bool,
    /// `--raw`: chunks are passed on as they are.
    pub(super) raw: bool,
    /// `--compressed`.
    pub(super) compressed: bool,
    pub(super) ignore_length: bool,
    /// `-C`: the answer must be a part.
    pub(super) resumed: bool,
    pub(super) max_filesize: Option<u64>,
    pub(super) condition: Option<TimeCondition>,
    /// Bytes a second.
    pub(super) limit_rate: Option<u64>,
    /// `--anyauth`: the body of a 401 is not wanted.
    pub(super) skip_401: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) head: Head,
    /// Whether the connection may carry another request.
    pub(super) reusable: bool,
    /// The server did not want `Expect` (417).
    pub(super) unexpected: bool,
}

/// What a request goes through, and who is told.
pub(super) struct Around<'a, 's> {
    pub(super) sink: &'a mut Sink<'s>,
    pub(super) terminal: &'a mut Terminal,
    pub(super) progress: &'a Progress,
    pub(super) clock: &'a dyn Clock,
    /// Told each header field; what it answers is said as `* …` before the line.
    pub(super) on_field: &'a mut dyn FnMut(&str, &str) -> Vec<String>,
}

/// Sends the request and passes the response on.
pub(super) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    request: &Request,
    around: &mut Around<'_, '_>,
) -> Result<Outcome, Failure> {
    let mut input = Input::new(io);
    let (early, complete) = send(&mut input, request, around).await?;
    let head = match early {
        Some(head) => head,
        None => read_head(&mut input, request, around, false).await?,
    };
    let unexpected = head.status == 417 && !complete;
    if let Some(failure) = refused(&head, request) {
        around.terminal.info(&failure.message).await;
        return Err(failure);
    }
    let mut framing = head.framing(request.head_only);
    if request.ignore_length && matches!(framing, Framing::Length(_)) {
        framing = Framing::UntilClose;
    }
    if framing == Framing::UntilClose && !head.close && !head.http10 && head.status != 0 {
        around.terminal.info("no chunk, no close, no size. Assume close to signal end").await;
    }
    if unexpected {
        around.terminal.info("Got 417 while waiting for a 100").await;
    }
    if head.status != 0 {
        show_line(b"\r\n", around).await?;
    }
    if request.resumed && head.status == 200 {
        let text = "HTTP server doesn't seem to support byte ranges. Cannot resume.";
        around.terminal.info(text).await;
        return Err(Failure::new(33, text));
    }
    if let Some(stale) = stale(&head, request) {
        around.terminal.info(stale).await;
        around.terminal.info("Simulate an HTTP 304 response").await;
        let head = Head { status: 304, ..head };
        return Ok(Outcome { head, reusable: false, unexpected: false });
    }
    if let (true, Some(encodings)) = (request.compressed, head.get("content-encoding")) {
        around.sink.decode(encodings)?;
    }
    read_body(&mut input, &head, framing, request, around).await?;
    let stopped = !complete && !unexpected;
    let reusable =
        !stopped && input.is_clean() && head.keeps_alive() && framing != Framing::UntilClose;
    Ok(Outcome { head, reusable, unexpected })
}

/// Why the body of this answer is not wanted.
fn refused(head: &Head, request: &Request) -> Option<Failure> {
    let resumed_end = request.resumed && head.status == 416;
    if request.fail
        && head.status >= 400
        && !resumed_end
        && !(request.skip_401 && head.status == 401)
    {
        return Some(Failure::new(
            22,
            format!("The requested URL returned error: {}", head.status),
        ));
    }
    let too_long = head.length.is_some_and(|n| request.max_filesize.is_some_and(|m| n > m));
    too_long.then(|| Failure::new(63, "Maximum file size exceeded"))
}

/// `-z`, when the server did not look at it (RFC 9110 §13.1.3).
fn stale(head: &Head, request: &Request) -> Option<&'static str> {
    let condition = request.condition.filter(|_| head.status == 200)?;
    let time = calendar::parse_http(head.get("last-modified")?)?;
    match condition.unmodified {
        false if time <= condition.time => Some("The requested document is not new enough"),
        true if time >= condition.time => Some("The requested document is not old enough"),
        _ => None,
    }
}

/// Sends head and body. False when the answer came before the body was out; then it may be there
/// already.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    request: &Request,
    around: &mut Around<'_, '_>,
) -> Result<(Option<Head>, bool), Failure> {
    around.terminal.head_out(&request.head).await;
    let body = wire_body(request);
    if let Some(patience) = request.expect {
        input.io.write_all(&request.head).await.map_err(send_failure)?;
        let deadline = around.clock.now() + patience;
        match first(input.fill(), around.clock.until(deadline)).await {
            Err(()) => around.terminal.info("Done waiting for 100-continue").await,
            Ok(filled) => {
                filled.map_err(recv_failure)?;
                let head = read_head(input, request, around, true).await?;
                if head.status != 100 {
                    // What closes the connection anyway needs no word.
                    if head.status >= 300 && head.status != 417 && head.keeps_alive() {
                        let text = "HTTP error before end of send, stop sending";
                        around.terminal.info(text).await;
                    }
                    return Ok((Some(head), false));
                }
            }
        }
        let complete = send_body(input, &body, request, around).await?;
        around.terminal.info("We are completely uploaded and fine").await;
        return Ok((None, complete));
    }
    let together = request.together && body.len() <= BUFFER;
    if together {
        if !body.is_empty() {
            around.terminal.data_out(&body).await;
        }
        let all = [request.head.as_slice(), &body].concat();
        input.io.write_all(&all).await.map_err(send_failure)?;
        around.progress.sent.set(body.len() as u64);
        input.io.flush().await.map_err(send_failure)?;
        return Ok((None, true));
    }
    input.io.write_all(&request.head).await.map_err(send_failure)?;
    let complete = send_body(input, &body, request, around).await?;
    if complete && !body.is_empty() {
        around.terminal.info("We are completely uploaded and fine").await;
    }
    Ok((None, complete))
}

/// The body as it goes over the wire.
fn wire_body(request: &Request) -> Vec<u8> {
    if !request.chunked {
        return request.body.clone();
    }
    let mut out = Vec::new();
    for piece in request.body.chunks(BUFFER) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

async fn send_body<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    body: &[u8],
    request: &Request,
    around: &mut Around<'_, '_>,
) -> Result<bool, Failure> {
    let mut pace = Pace::new(request, around);
    let mut rest = body;
    while !rest.is_empty() {
        match input.write_or_read(&rest[..rest.len().min(pace.piece)]).await {
            // The peer may have answered and closed: what it said counts more than that.
            Err(_) | Ok(None) => return Ok(false),
            Ok(Some(n)) => {
                around.terminal.data_out(&rest[..n]).await;
                around.progress.sent.set(around.progress.sent.get() + n as u64);
                rest = &rest[n..];
                pace.after(n, around).await;
            }
        }
    }
    input.io.flush().await.map_err(send_failure)?;
    Ok(true)
}

/// `--limit-rate`: waits so that no more than the rate has gone since the start.
struct Pace {
    rate: Option<u64>,
    start: Instant,
    bytes: u64,
    piece: usize,
}

impl Pace {
    fn new(request: &Request, around: &Around<'_, '_>) -> Pace {
        let piece = request.limit_rate.map_or(BUFFER, |r| (r as usize / 10).clamp(1, BUFFER));
        Pace { rate: request.limit_rate, start: around.clock.now(), bytes: 0, piece }
    }

    async fn after(&mut self, n: usize, around: &Around<'_, '_>) {
        let Some(rate) = self.rate else { return };
        self.bytes += n as u64;
        let ns = u128::from(self.bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let due = self.start + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX / 2));
        if due > around.clock.now() {
            around.clock.until(due).await;
        }
    }
}

async fn read_head<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    request: &Request,
    around: &mut Around<'_, '_>,
    stop_at_100: bool,
) -> Result<Head, Failure> {
    let mut head = Head::default();
    loop {
        if request.http09 && head.status == 0 && !input.says_http().await.map_err(recv_failure)? {
            return Ok(head);
        }
        let raw = match input.line(head.status == 0).await {
            Ok(line) => line,
            Err(f) => {
                around.terminal.info(&f.message).await;
                return Err(f);
            }
        };
        if around.progress.first_byte.get().is_none() {
            around.progress.first_byte.set(Some(around.clock.now()));
        }
        let before = (head.status, head.list.len());
        let ended = match head.line(trim(&raw)) {
            Ok(ended) => ended,
            Err(wrong) => {
                around.terminal.info(&wrong.1).await;
                return Err(wrong.into());
            }
        };
        if !ended {
            remarks(&head, before, request, around).await;
            show_line(&raw, around).await?;
        } else if head.status == 100 && stop_at_100 {
            around.sink.header(&raw).await?;
            return Ok(head);
        } else if (100..200).contains(&head.status) {
            // An interim response (RFC 9110 §15.2); the final one follows. curl does not show the
            // empty line behind it.
            head = Head { size: head.size, ..Head::default() };
            around.sink.header(&raw).await?;
        } else {
            return Ok(head);
        }
    }
}

/// What curl remarks before it shows a header line.
async fn remarks(
    head: &Head,
    before: (u16, usize),
    request: &Request,
    around: &mut Around<'_, '_>,
) {
    if before.0 == 0 && head.http10 {
        around.terminal.info("HTTP 1.0, assume close after body").await;
    }
    let Some((name, value)) = head.list.get(before.1).cloned() else { return };
    let is = |n: &str| name.eq_ignore_ascii_case(n);
    if is("connection") && head.http10 && head.keep_alive {
        around.terminal.info("HTTP/1.0 connection set to keep alive").await;
    }
    let redirect = is("location") && request.follow && (300..400).contains(&head.status);
    if redirect && request.rewinds && !request.body.is_empty() {
        around.terminal.info("Please rewind output before next send").await;
    }
    for text in (around.on_field)(&name, &value) {
        around.terminal.info(&text).await;
    }
}

async fn show_line(raw: &[u8], around: &mut Around<'_, '_>) -> Result<(), Failure> {
    around.terminal.header_in(raw).await;
    around.sink.header(raw).await
}

async fn read_body<S: AsyncRead + AsyncWrite + Unpin>(
    input: &mut Input<'_, S>,
    head: &Head,
    framing: Framing,
    request: &Request,
    around: &mut Around<'_, '_>,
) -> Result<(), Failure> {
    let mut body = Body { framing, chunks: Chunks::default(), left: u64::MAX };
    if let Framing::Length(n) = framing {
        body.left = n;
        around.progress.expected.set(Some(n));
    }
    let redirect = request.follow && (300..400).contains(&head.status) && head.location.is_some();
    let unwanted = redirect
        || (request.skip_401 && head.status == 401)
        || (request.resumed && head.status == 416);
    let mut pace = Pace::new(request, around);
    let mut announced = false;
    let mut decoded = Vec::new();
    while !body.done() {
        if input.is_empty() {
            input.fill().await.map_err(recv_failure)?;
        }
        if input.eof() {
            let end = body.end();
            if let Err(f) = &end {
                around.terminal.info(&f.message).await;
            }
            return end;
        }
        if unwanted && !announced {
            announced = true;
            around.terminal.info("Ignoring the response-body").await;
        }
        let here = &input.rest()[..input.rest().len().min(pace.piece)];
        around.terminal.data_in(here).await;
        decoded.clear();
        let (taken, data) = body.take(here, &mut decoded)?;
        let got = around.progress.received.get() + data.len() as u64;
        around.progress.received.set(got);
        if let Some(max) = request.max_filesize.filter(|m| got > *m) {
            let text = format!("Exceeded the maximum allowed file size ({max})");
            around.terminal.info(&text).await;
            return Err(Failure::new(63, text));
        }
        let out = if request.raw { &here[..taken] } else { data };
        if !unwanted {
            around.sink.write(out).await?;
        }
        input.take(taken);
        pace.after(taken, around).await;
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

pub(super) fn recv_failure(e: io::Error) -> Failure {
    Failure::new(56, format!("Recv failure: {e}"))
}

pub(super) fn send_failure(e: io::Error) -> Failure {
    Failure::new(55, format!("Send failure: {e}"))
}

fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
