//! The gate: what comes in is looked at before hyper sees it.
//!
//! Theory of operation. hyper parses HTTP as a friendly library should; a server on a hostile
//! network must be strict, and has limits, answers and a log of its own for what it refuses. So the
//! bytes of a connection pass the gate, which knows where each message begins and ends (RFC 9112
//! §6): it holds each head until it is whole and checked, counts each body through, and lets the
//! next head in when the response before it is out. hyper therefore never sees anything that two
//! readers could read in two ways: that is what request smuggling lives on.
//!
//! What is refused is replaced by a small request that hyper understands, with the reason beside it
//! ([`Passage::refusal`]): the answer then goes the way of all answers, with `Date`, error page and
//! log, and the connection closes.
//!
//! Stricter than it must be: a line ends with CRLF and nothing else (RFC 9112 §2.2 lets a server
//! take a bare LF), folded lines are refused (§5.2), and so are `Content-Length` beside
//! `Transfer-Encoding` (§6.1) and two equal `Content-Length`s (§6.3). Apache's `HttpProtocolOptions
//! Strict` draws most of these lines in the same places.

use http::{StatusCode, Uri};

use super::chunks::{Chunks, Step as ChunkStep};
use super::conf::RequestLimits;

/// The longest head, bytes: line and fields.
pub(super) const HEAD_MAX: usize = 64 * 1024;
/// Empty lines before a request that are passed over (RFC 9112 §2.2).
const EMPTY_MAX: usize = 4;

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// For the error log.
    pub(super) why: &'static str,
}

const fn refuse(status: StatusCode, why: &'static str) -> Refusal {
    Refusal { status, why }
}

const fn bad(why: &'static str) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, why)
}

/// A head that may pass, or what stands for one that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// The bytes for hyper.
    pub(super) head: Vec<u8>,
    /// The request line as it came, for the log; empty when there was none.
    pub(super) line: Vec<u8>,
    pub(super) refusal: Option<Refusal>,
}

/// How a message's body is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked(Chunks),
}

/// Where the stream is.
#[derive(Clone, Debug)]
enum Stage {
    /// In a head, of which so much has been looked at.
    Head(HeadScan),
    Body(Framing),
    /// Nothing more will be let in.
    Shut,
}

/// What comes of asking for bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A head has passed.
    Head(Passage),
    /// So many of the bytes at the front belong to a body.
    Body(usize),
    /// The body broke its framing: nothing more comes.
    BadBody(Refusal),
    /// More must be read first.
    More,
    /// The gate is shut.
    Shut,
}

/// The gate of one connection.
#[derive(Debug)]
pub(super) struct Gate {
    limits: RequestLimits,
    buffer: Vec<u8>,
    stage: Stage,
}

/// What has been found in a head so far.
#[derive(Clone, Debug, Default)]
struct HeadScan {
    /// Where the line that is being read begins, and how far it has been looked through.
    line_start: usize,
    scanned: usize,
    /// Where the request line begins and ends.
    request: Option<(usize, usize)>,
    empties: usize,
    fields: usize,
    one_zero: bool,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    coded: bool,
}

impl Gate {
    pub(super) fn new(limits: RequestLimits) -> Gate {
        Gate { limits, buffer: Vec::new(), stage: Stage::Head(HeadScan::default()) }
    }

    /// Adds bytes that were read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        match &self.stage {
            Stage::Head(_) => !self.buffer.is_empty(),
            Stage::Body(_) => true,
            Stage::Shut => false,
        }
    }

    /// Whether a body is being read.
    pub(super) fn in_body(&self) -> bool {
        matches!(self.stage, Stage::Body(_))
    }

    /// Whether nothing more will be let in.
    pub(super) fn is_shut(&self) -> bool {
        matches!(self.stage, Stage::Shut)
    }

    /// What may pass now. For [`Next::Body`], [`take`](Self::take) takes the bytes.
    pub(super) fn next(&mut self) -> Next {
        match &mut self.stage {
            Stage::Shut => Next::Shut,
            Stage::Head(scan) => match scan.run(&self.buffer, &self.limits) {
                Ok(None) => Next::More,
                Ok(Some(end)) => Next::Head(self.pass(end)),
                Err(refusal) => Next::Head(self.refused(refusal)),
            },
            Stage::Body(Framing::Length(left)) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                if n == 0 { Next::More } else { Next::Body(n) }
            }
            Stage::Body(Framing::Chunked(chunks)) => {
                let mut ahead = chunks.clone();
                match ahead.run(&self.buffer) {
                    ChunkStep::Some(0) => Next::More,
                    ChunkStep::Some(n) | ChunkStep::End(n) => Next::Body(n),
                    ChunkStep::Bad(refusal) => {
                        self.stage = Stage::Shut;
                        Next::BadBody(refusal)
                    }
                }
            }
        }
    }

    /// Takes bytes of a body off the front: at most those that [`next`](Self::next) counted.
    pub(super) fn take(&mut self, n: usize) -> std::vec::Drain<'_, u8> {
        let ended = match &mut self.stage {
            Stage::Body(Framing::Length(left)) => {
                *left -= n as u64;
                *left == 0
            }
            Stage::Body(Framing::Chunked(chunks)) => {
                matches!(chunks.run(&self.buffer[..n]), ChunkStep::End(_))
            }
            Stage::Head(_) | Stage::Shut => false,
        };
        if ended {
            self.stage = Stage::Head(HeadScan::default());
        }
        self.buffer.drain(..n)
    }

    /// Gives up on what is being read: a time-out, or the end of the stream in the middle. In a
    /// head, what stands for it; in a body, nothing (its reader must be told).
    pub(super) fn give_up(&mut self, refusal: Refusal) -> Option<Passage> {
        match self.stage {
            Stage::Head(_) => Some(self.refused(refusal)),
            Stage::Body(_) | Stage::Shut => {
                self.stage = Stage::Shut;
                None
            }
        }
    }

    fn pass(&mut self, end: usize) -> Passage {
        let Stage::Head(scan) = std::mem::replace(&mut self.stage, Stage::Shut) else {
            return self.refused(bad("not at a head"));
        };
        let (from, to) = scan.request.unwrap_or((0, 0));
        let line = self.buffer[from..to].to_vec();
        let mut head: Vec<u8> = self.buffer.drain(..end).collect();
        head.drain(..from);
        // RFC 9110 §2.5: a higher minor version is treated as the highest that is known. The parser
        // behind knows only 1.0 and 1.1.
        if !scan.one_zero
            && let Some(minor) = head.get_mut(to - from - 1)
        {
            *minor = b'1';
        }
        self.stage = match (scan.chunked, scan.length) {
            (true, _) => Stage::Body(Framing::Chunked(Chunks::new(self.limits.field))),
            (false, Some(n @ 1..)) => Stage::Body(Framing::Length(n)),
            (false, _) => Stage::Head(HeadScan::default()),
        };
        Passage { head, line, refusal: None }
    }

    fn refused(&mut self, refusal: Refusal) -> Passage {
        let mut line = Vec::new();
        if let Stage::Head(scan) = &self.stage {
            let (from, to) = scan.request.unwrap_or_else(|| {
                // A line that did not end: what there is of it.
                let rest = &self.buffer[scan.line_start..];
                (scan.line_start, scan.line_start + rest.len().min(self.limits.line))
            });
            line = self.buffer[from..to].trim_ascii_end().to_vec();
        }
        // The answer to a HEAD has no body, even when it is a refusal (RFC 9110 §9.3.2).
        let method = if line.starts_with(b"HEAD ") { "HEAD" } else { "GET" };
        let head = format!("{method} / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n");
        self.stage = Stage::Shut;
        self.buffer.clear();
        Passage { head: head.into_bytes(), line, refusal: Some(refusal) }
    }
}

impl HeadScan {
    /// Looks at what is new; the end of the head, when it is there.
    fn run(&mut self, buffer: &[u8], limits: &RequestLimits) -> Result<Option<usize>, Refusal> {
        while let Some(at) = buffer[self.scanned..].iter().position(|b| *b == b'\n') {
            let end = self.scanned + at;
            let line = &buffer[self.line_start..end];
            let line = line.strip_suffix(b"\r").ok_or(bad("a line ends with a bare LF"))?;
            let start = std::mem::replace(&mut self.line_start, end + 1);
            self.scanned = end + 1;
            match (self.request, line.is_empty()) {
                (None, true) => {
                    self.empties += 1;
                    if self.empties > EMPTY_MAX {
                        return Err(bad("empty lines instead of a request"));
                    }
                }
                (None, false) => {
                    // Known before it is judged: the log shows what was refused.
                    self.request = Some((start, start + line.len().min(limits.line)));
                    check_length(line.len(), limits.line, true)?;
                    self.one_zero = request_line(line)?;
                }
                (Some(_), true) => {
                    self.check_whole()?;
                    return Ok(Some(end + 1));
                }
                (Some(_), false) => self.field(line, limits)?,
            }
            if self.line_start > HEAD_MAX {
                return Err(too_large("the head is larger than 64 KiB"));
            }
        }
        self.scanned = buffer.len();
        let open = buffer.len() - self.line_start;
        if self.request.is_none() {
            check_length(open, limits.line, true)?;
            if buffer[self.line_start..].first().is_some_and(|b| !is_token(*b) && *b != b'\r') {
                return Err(bad("not a request line"));
            }
        } else {
            check_length(open, limits.field, false)?;
        }
        if buffer.len() > HEAD_MAX {
            return Err(too_large("the head is larger than 64 KiB"));
        }
        Ok(None)
    }

    fn field(&mut self, line: &[u8], limits: &RequestLimits) -> Result<(), Refusal> {
        check_length(line.len(), limits.field, false)?;
        self.fields += 1;
        if self.fields > limits.fields {
            return Err(too_large("too many fields"));
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err(bad("a folded line (obs-fold)"));
        }
        let colon = line.iter().position(|b| *b == b':').ok_or(bad("a field without a colon"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            // RFC 9112 §5.1: blanks before the colon have led to smuggling.
            return Err(bad("a field name that is no token"));
        }
        if value.iter().any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f) {
            return Err(bad("a control character in a field"));
        }
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            check_host(value)?;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.replace(length(value)?).is_some() {
                return Err(bad("more than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coding(value)?;
        }
        Ok(())
    }

    /// RFC 9112 §6.1 and §6.3.
    fn coding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // RFC 9110 §5.6.1.2: empty elements of a list count for nothing.
        let codings = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
        let mut codings = codings.filter(|coding| !coding.is_empty()).peekable();
        if codings.peek().is_none() {
            return Err(bad("a Transfer-Encoding that names none"));
        }
        for coding in codings {
            if self.chunked {
                return Err(bad("chunked is not the last transfer coding"));
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.chunked = true;
            } else {
                self.coded = true;
            }
        }
        Ok(())
    }

    fn check_whole(&self) -> Result<(), Refusal> {
        let coded = self.chunked || self.coded;
        if self.hosts > 1 || (self.hosts == 0 && !self.one_zero) {
            return Err(bad("not exactly one Host field"));
        }
        if coded && self.length.is_some() {
            return Err(bad("Content-Length beside Transfer-Encoding"));
        }
        if coded && self.one_zero {
            return Err(bad("Transfer-Encoding in HTTP/1.0"));
        }
        if self.coded && !self.chunked {
            return Err(bad("a transfer coding that leaves the length open"));
        }
        if self.coded {
            let status = StatusCode::NOT_IMPLEMENTED;
            return Err(refuse(status, "a transfer coding that is not known"));
        }
        Ok(())
    }
}

fn too_large(why: &'static str) -> Refusal {
    refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, why)
}

fn check_length(length: usize, limit: usize, request: bool) -> Result<(), Refusal> {
    if length <= limit {
        Ok(())
    } else if request {
        Err(refuse(StatusCode::URI_TOO_LONG, "the request line is too long"))
    } else {
        Err(too_large("a field is too long"))
    }
}

/// Checks `method SP target SP version`; whether the version is 1.0.
fn request_line(line: &[u8]) -> Result<bool, Refusal> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("not method, target and version with one blank between them"));
    };
    if method.is_empty() || method.len() > 64 || !method.iter().all(|b| is_token(*b)) {
        return Err(bad("a method that is no token"));
    }
    let one_zero = match version {
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            return Err(refuse(status, "a major version that is not spoken here"));
        }
        _ => return Err(bad("not a version of HTTP")),
    };
    check_target(method, target)?;
    Ok(one_zero)
}

/// RFC 9112 §3.2: origin-form, absolute-form, `*` for OPTIONS, authority-form for CONNECT.
fn check_target(method: &[u8], target: &[u8]) -> Result<(), Refusal> {
    if target.iter().any(|b| *b <= b' ' || *b >= 0x7f || *b == b'#') {
        return Err(bad("a character that no target has"));
    }
    let uri = Uri::try_from(target).map_err(|_| bad("a target that is no URI"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    let ok = match target {
        b"*" => method == b"OPTIONS",
        _ if method == b"CONNECT" => true,
        [b'/', ..] => true,
        _ => scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"),
    };
    let user = uri.authority().is_some_and(|a| a.as_str().contains('@'));
    if ok && !user { Ok(()) } else { Err(bad("a form of target that this method has not")) }
}

/// `host [":" port]` (RFC 9110 §7.2): no blank, path or user in it.
fn check_host(value: &[u8]) -> Result<(), Refusal> {
    let wrong = || bad("a Host that is none");
    let (host, port) = match value {
        [b'[', ..] => {
            let end = value.iter().position(|b| *b == b']').ok_or_else(wrong)?;
            (&value[1..end], &value[end + 1..])
        }
        _ => value.split_at(value.iter().position(|b| *b == b':').unwrap_or(value.len())),
    };
    let fine = |b: &u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:".contains(b);
    let port_ok = match port {
        [] => true,
        [b':'] => true,
        [b':', digits @ ..] => {
            let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<u16>().ok());
            digits.iter().all(u8::is_ascii_digit) && number.is_some()
        }
        _ => false,
    };
    if !host.is_empty() && host.iter().all(fine) && port_ok { Ok(()) } else { Err(wrong()) }
}

fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits);
    // Beyond 2^63 sums of lengths would overflow somewhere.
    let n = text.and_then(|t| t.parse().ok()).filter(|n| *n < 1 << 63);
    n.ok_or(bad("a Content-Length that is no number"))
}

/// RFC 9110 §5.6.2: `tchar`.
pub(super) fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
