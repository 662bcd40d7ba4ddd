//! Standard error in the manner of curl: `-v` lines, traces, warnings, and the progress meter's
//! lines between them.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

use netarium_world::process::{Process, StdStream};
use tokio::io::AsyncWriteExt;

use super::options::TraceKind;

/// Columns of a warning, prefix included.
const WIDTH: usize = 79;
/// The most bytes of `--stderr FILE` and of a trace; what is more is lost.
const FILE_LIMIT: usize = netarium_world::files::FILE_MAX;

/// Where words go.
#[derive(Debug)]
pub(super) enum Words {
    /// A standard stream.
    Stream(StdStream),
    /// A file, written at the end of the run.
    File(Rc<RefCell<Vec<u8>>>),
}

impl Words {
    /// Standard error, or the file of `--stderr`.
    pub(super) fn new(process: &Process, file: Option<&Rc<RefCell<Vec<u8>>>>) -> Words {
        file.map_or_else(|| Words::Stream(process.stderr()), |f| Words::File(Rc::clone(f)))
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        match self {
            // Nobody reads it: then there is nobody to tell.
            Words::Stream(stream) => _ = stream.write_all(bytes).await,
            Words::File(contents) => {
                let mut contents = contents.borrow_mut();
                let room = FILE_LIMIT.saturating_sub(contents.len());
                contents.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
    }
}

/// Where the lines of `-v` and of traces go.
#[derive(Debug)]
pub(super) enum Talk {
    Quiet,
    /// `-v`: onto standard error.
    Verbose,
    /// `--trace`, `--trace-ascii`; `None`: onto standard error.
    Trace(TraceKind, Option<Words>),
}

/// Standard error and what is said there.
#[derive(Debug)]
pub(super) struct Terminal {
    err: Words,
    talk: Talk,
    /// `-s`: no warnings.
    muted: bool,
    /// That data were announced since the last line of another kind.
    announced: bool,
}

impl Terminal {
    pub(super) fn new(err: Words, talk: Talk, muted: bool) -> Terminal {
        Terminal { err, talk, muted, announced: false }
    }

    /// `* text`.
    pub(super) async fn info(&mut self, text: &str) {
        self.announced = false;
        match &mut self.talk {
            Talk::Quiet => {}
            Talk::Verbose => self.err.write(format!("* {text}\n").as_bytes()).await,
            Talk::Trace(..) => self.trace(&format!("== Info: {text}\n")).await,
        }
    }

    /// The request's head, as sent.
    pub(super) async fn head_out(&mut self, head: &[u8]) {
        self.announced = false;
        if let Talk::Verbose = self.talk {
            for line in head.split_inclusive(|b| *b == b'\n') {
                self.err.write(&[b"> ", line].concat()).await;
            }
        }
        self.dump("=> Send header", head).await;
    }

    /// A header line, as received.
    pub(super) async fn header_in(&mut self, line: &[u8]) {
        self.announced = false;
        if let Talk::Verbose = self.talk {
            self.err.write(&[b"< ", line].concat()).await;
        }
        self.dump("<= Recv header", line).await;
    }

    /// Body bytes, as sent.
    pub(super) async fn data_out(&mut self, bytes: &[u8]) {
        self.announce('}', bytes.len()).await;
        self.dump("=> Send data", bytes).await;
    }

    /// Body bytes, as received.
    pub(super) async fn data_in(&mut self, bytes: &[u8]) {
        self.announce('{', bytes.len()).await;
        self.dump("<= Recv data", bytes).await;
    }

    async fn announce(&mut self, sign: char, n: usize) {
        if let Talk::Verbose = self.talk
            && !self.announced
        {
            self.announced = true;
            self.err.write(format!("{sign} [{n} bytes data]\n").as_bytes()).await;
        }
    }

    async fn trace(&mut self, text: &str) {
        match &mut self.talk {
            Talk::Trace(_, Some(words)) => words.write(text.as_bytes()).await,
            _ => self.err.write(text.as_bytes()).await,
        }
    }

    async fn dump(&mut self, what: &str, bytes: &[u8]) {
        if let Talk::Trace(kind, _) = self.talk {
            let text = dump(kind, what, bytes);
            self.trace(&text).await;
        }
    }

    /// A line whatever the mode.
    pub(super) async fn say(&mut self, text: &str) {
        self.err.write(format!("{text}\n").as_bytes()).await;
    }

    /// Words whatever the mode, without a line end.
    pub(super) async fn tell(&mut self, text: &str) {
        self.err.write(text.as_bytes()).await;
    }

    /// `Warning: …`, wrapped, unless `-s`.
    pub(super) async fn warn(&mut self, text: &str) {
        if !self.muted {
            self.err.write(wrap("Warning: ", text).as_bytes()).await;
        }
    }

    /// `curl: …`, wrapped.
    pub(super) async fn error(&mut self, text: &str) {
        self.err.write(wrap("curl: ", text).as_bytes()).await;
    }
}

/// Lines of at most [`WIDTH`] columns, each with the prefix, broken at blanks.
pub(super) fn wrap(prefix: &str, text: &str) -> String {
    let width = WIDTH - prefix.len();
    let mut out = String::new();
    let mut rest = text;
    while rest.len() > width {
        let mut cut = width;
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let cut = rest[..cut].rfind([' ', '\t']).filter(|at| *at > 0).map_or(cut, |at| at + 1);
        let _ = writeln!(out, "{prefix}{}", &rest[..cut]);
        rest = &rest[cut..];
    }
    let _ = writeln!(out, "{prefix}{rest}");
    out
}

/// Bytes as `--trace` and `--trace-ascii` show them.
fn dump(kind: TraceKind, what: &str, bytes: &[u8]) -> String {
    let mut out = format!("{what}, {n} bytes (0x{n:x})\n", n = bytes.len());
    let printable = |b: u8| if (0x20..0x7f).contains(&b) { char::from(b) } else { '.' };
    let mut at = 0;
    while at < bytes.len() {
        let _ = write!(out, "{at:04x}: ");
        let rest = &bytes[at..];
        match kind {
            TraceKind::Hex => {
                let row = &rest[..rest.len().min(16)];
                for n in 0..16 {
                    match row.get(n) {
                        Some(b) => _ = write!(out, "{b:02x} "),
                        None => out.push_str("   "),
                    }
                }
                out.extend(row.iter().map(|b| printable(*b)));
                at += row.len();
            }
            TraceKind::Ascii => {
                let row = &rest[..rest.len().min(64)];
                // A line ends at CRLF, which is not shown; also when it stands right behind.
                let end = rest[..rest.len().min(66)].windows(2).position(|w| w == b"\r\n");
                let (show, step) = match end {
                    Some(n) if n <= row.len() => (n, n + 2),
                    _ => (row.len(), row.len()),
                };
                out.extend(rest[..show].iter().map(|b| printable(*b)));
                at += step;
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_warnings_are_wrapped() {
        assert_eq!(
            wrap(
                "Warning: ",
                "Problem : connection refused. Will retry in 10 seconds. 1 retries left."
            ),
            "Warning: Problem : connection refused. Will retry in 10 seconds. 1 retries \n\
             Warning: left.\n"
        );
        assert_eq!(wrap("curl: ", ""), "curl: \n");
        assert!(wrap("Warning: ", &"가".repeat(60)).lines().count() > 1);
    }
}
