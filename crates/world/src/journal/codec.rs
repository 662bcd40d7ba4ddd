//! The binary form of a journal, version 1.
//!
//! All numbers are variable-length: seven bits per byte, the lowest first, the high bit set on all
//! bytes but the last (LEB128). A text or byte string is its length and its bytes; texts are UTF-8.
//!
//! ```text
//! file    = "NETARIUM-J\n" version(1) build:text lab:bytes seed:number epoch:number entry*
//! entry   = length:number body             length of the body in bytes
//! body    = dt:number de:number kind:byte fields
//! ```
//!
//! `dt` is the virtual time in nanoseconds since the entry before (since 0 for the first), `de` the
//! number of events that the world dispatched since then: together they say exactly between which
//! two events an input was applied. Kinds and their fields:
//!
//! ```text
//! 0 check   count:number hash:8 bytes, little-endian      the outputs until here
//! 1 open    port client:text from:option(text) to:address
//! 2 data    port bytes
//! 3 eof     port
//! 4 reset   port
//! 5 credit  port number
//! 6 exec    port host:text count:number argv:text* stdin:byte(0|1) credit:number
//! 7 signal  port number
//! 8 file    path:text option(bytes)
//! option    0 | 1 value
//! address   4 | 6, then 4 or 16 bytes, then port:number
//! ```
//!
//! A file that is cut anywhere is good up to its last whole entry.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netarium_base::{Duration, Instant};

use super::Fingerprint;
use crate::message::Input;

/// How every journal begins.
pub const MAGIC: &[u8] = b"NETARIUM-J\n";
/// The version written here.
pub const VERSION: u64 = 1;
/// The longest entry that is read, bytes: a file edit of the largest size and its path fit.
const ENTRY_MAX: usize = crate::files::EDIT_MAX + 64 * 1024;

/// What a journal belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The build that wrote it.
    pub build: String,
    /// A hash of the lab.
    pub lab: Vec<u8>,
    /// The seed.
    pub seed: u64,
    /// What virtual time zero is called: nanoseconds since 1970-01-01 UTC.
    pub epoch: u64,
}

/// An entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Virtual time.
    pub at: Instant,
    /// How many events the world had dispatched.
    pub events: u64,
    /// What is recorded.
    pub what: Recorded,
}

/// What an entry records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// An input was applied.
    Input(Input),
    /// The outputs until here had this fingerprint.
    Check(Fingerprint),
}

/// Why bytes are not a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin as one.
    #[error("this is not a journal of Netarium")]
    NotAJournal,
    /// Another version.
    #[error("the journal has version {0}; this build reads version {VERSION}")]
    Version(u64),
    /// They end in the middle of an entry.
    #[error("the journal is cut in the middle of the entry at byte {offset}")]
    Cut {
        /// Where the incomplete entry begins.
        offset: usize,
    },
    /// They contradict the format.
    #[error("the journal is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the entry begins.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// What is written as an entry.
pub(super) enum Item<'a> {
    Input(&'a Input),
    Check(Fingerprint),
}

/// Writes entries.
#[derive(Debug, Default)]
pub(super) struct Writer {
    at: Instant,
    events: u64,
    body: Vec<u8>,
}

pub(super) fn write_header(out: &mut Vec<u8>, header: &Header) {
    out.extend_from_slice(MAGIC);
    number(out, VERSION);
    bytes(out, header.build.as_bytes());
    bytes(out, &header.lab);
    number(out, header.seed);
    number(out, header.epoch);
}

impl Writer {
    pub(super) fn entry(&mut self, out: &mut Vec<u8>, at: Instant, events: u64, item: &Item<'_>) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        number(&mut body, at.since(self.at).as_nanos());
        number(&mut body, events.saturating_sub(self.events));
        (self.at, self.events) = (at, events);
        match item {
            Item::Input(input) => write_input(&mut body, input),
            Item::Check(f) => {
                body.push(0);
                number(&mut body, f.count());
                body.extend_from_slice(&f.hash().to_le_bytes());
            }
        }
        bytes(out, &body);
        self.body = body;
    }
}

fn write_input(out: &mut Vec<u8>, input: &Input) {
    let head = |out: &mut Vec<u8>, kind: u8, port: u64| {
        out.push(kind);
        number(out, port);
    };
    match input {
        Input::Open { port, client, from, to } => {
            head(out, 1, *port);
            bytes(out, client.as_bytes());
            option(out, from.as_deref().map(str::as_bytes));
            address(out, *to);
        }
        Input::Data { port, bytes: data } => {
            head(out, 2, *port);
            bytes(out, data);
        }
        Input::Eof { port } => head(out, 3, *port),
        Input::Reset { port } => head(out, 4, *port),
        Input::Credit { port, bytes } => {
            head(out, 5, *port);
            number(out, u64::from(*bytes));
        }
        Input::Exec { port, host, argv, stdin, credit } => {
            head(out, 6, *port);
            bytes(out, host.as_bytes());
            number(out, argv.len() as u64);
            argv.iter().for_each(|a| bytes(out, a.as_bytes()));
            out.push(u8::from(*stdin));
            number(out, u64::from(*credit));
        }
        Input::Signal { port, signal } => {
            head(out, 7, *port);
            number(out, u64::from(*signal));
        }
        Input::FileWrite { path, bytes: contents } => {
            out.push(8);
            bytes(out, path.as_bytes());
            option(out, contents.as_deref());
        }
    }
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(out: &mut Vec<u8>, b: &[u8]) {
    number(out, b.len() as u64);
    out.extend_from_slice(b);
}

fn option(out: &mut Vec<u8>, b: Option<&[u8]>) {
    out.push(u8::from(b.is_some()));
    if let Some(b) = b {
        bytes(out, b);
    }
}

fn address(out: &mut Vec<u8>, a: SocketAddr) {
    match a.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    number(out, u64::from(a.port()));
}

/// Reads a journal, entry by entry. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    all: &'a [u8],
    offset: usize,
    at: Instant,
    events: u64,
    failed: bool,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`DecodeError`] when there is no whole header of a known version.
    pub fn open(all: &'a [u8]) -> Result<(Header, Reader<'a>), DecodeError> {
        let rest = all.strip_prefix(MAGIC).ok_or(DecodeError::NotAJournal)?;
        let mut c = Cursor(rest);
        let fail = |e: Fault| e.at(0);
        let version = c.number().map_err(fail)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let header = Header {
            build: c.text().map_err(fail)?,
            lab: c.bytes().map_err(fail)?.to_vec(),
            seed: c.number().map_err(fail)?,
            epoch: c.number().map_err(fail)?,
        };
        let offset = all.len() - c.0.len();
        Ok((header, Reader { all, offset, at: Instant::ZERO, events: 0, failed: false }))
    }

    fn read(&mut self) -> Result<Entry, Fault> {
        let mut c = Cursor(&self.all[self.offset..]);
        let len = c.number()?;
        if len > ENTRY_MAX as u64 {
            return Err(Fault::Bad("an entry is longer than any can be"));
        }
        let body = c.take(len as usize)?;
        let next = self.all.len() - c.0.len();
        let entry = self.body(body).map_err(|fault| match fault {
            // The body is all there: an end inside it is no cut.
            Fault::End => Fault::Bad("an entry is shorter than its fields"),
            bad => bad,
        })?;
        self.offset = next;
        (self.at, self.events) = (entry.at, entry.events);
        Ok(entry)
    }

    fn body(&self, body: &[u8]) -> Result<Entry, Fault> {
        let mut c = Cursor(body);
        let at = self.at + Duration::from_nanos(c.number()?);
        let events = self.events.saturating_add(c.number()?);
        let what = match c.byte()? {
            0 => {
                let count = c.number()?;
                let hash = c.take(8)?.try_into().map_err(|_| Fault::End)?;
                Recorded::Check(Fingerprint::from_parts(count, u64::from_le_bytes(hash)))
            }
            kind => Recorded::Input(read_input(kind, &mut c)?),
        };
        if c.0.is_empty() {
            Ok(Entry { at, events, what })
        } else {
            Err(Fault::Bad("an entry is longer than its fields"))
        }
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Entry, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.offset >= self.all.len() {
            return None;
        }
        let offset = self.offset;
        let entry = self.read().map_err(|fault| fault.at(offset));
        self.failed = entry.is_err();
        Some(entry)
    }
}

fn read_input(kind: u8, c: &mut Cursor<'_>) -> Result<Input, Fault> {
    if kind == 8 {
        return Ok(Input::FileWrite { path: c.text()?, bytes: c.option()?.map(<[u8]>::to_vec) });
    }
    if !(1..=7).contains(&kind) {
        return Err(Fault::Bad("an entry of unknown kind"));
    }
    let port = c.number()?;
    Ok(match kind {
        1 => {
            let client = c.text()?;
            let from = c.option()?.map(utf8).transpose()?;
            Input::Open { port, client, from, to: c.address()? }
        }
        2 => Input::Data { port, bytes: c.bytes()?.to_vec() },
        3 => Input::Eof { port },
        4 => Input::Reset { port },
        5 => Input::Credit { port, bytes: c.small()? },
        6 => {
            let host = c.text()?;
            let count = c.number()?;
            if count > c.0.len() as u64 {
                return Err(Fault::Bad("more arguments than bytes"));
            }
            let argv = (0..count).map(|_| c.text()).collect::<Result<_, _>>()?;
            Input::Exec { port, host, argv, stdin: c.flag()?, credit: c.small()? }
        }
        _ => Input::Signal { port, signal: c.small()? },
    })
}

enum Fault {
    /// The bytes end too early.
    End,
    Bad(&'static str),
}

impl Fault {
    fn at(self, offset: usize) -> DecodeError {
        match self {
            Fault::End => DecodeError::Cut { offset },
            Fault::Bad(what) => DecodeError::Damaged { offset, what },
        }
    }
}

fn utf8(b: &[u8]) -> Result<String, Fault> {
    std::str::from_utf8(b).map(str::to_owned).map_err(|_| Fault::Bad("a text is not UTF-8"))
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Fault::End)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.take(1).map(|b| b[0])
    }

    fn number(&mut self) -> Result<u64, Fault> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            let part = u64::from(b & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            n |= part << shift;
            if b & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Fault::Bad("a number is larger than 64 bits"))
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Fault> {
        T::try_from(self.number()?).map_err(|_| Fault::Bad("a number is too large for its field"))
    }

    fn flag(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault::Bad("a flag is neither 0 nor 1")),
        }
    }

    fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let n = self.number()?;
        self.take(usize::try_from(n).map_err(|_| Fault::End)?)
    }

    fn text(&mut self) -> Result<String, Fault> {
        utf8(self.bytes()?)
    }

    fn option(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        if self.flag()? { self.bytes().map(Some) } else { Ok(None) }
    }

    fn address(&mut self) -> Result<SocketAddr, Fault> {
        let ip = match self.byte()? {
            4 => {
                let b: [u8; 4] = self.take(4)?.try_into().map_err(|_| Fault::End)?;
                IpAddr::V4(Ipv4Addr::from(b))
            }
            6 => {
                let b: [u8; 16] = self.take(16)?.try_into().map_err(|_| Fault::End)?;
                IpAddr::V6(Ipv6Addr::from(b))
            }
            _ => return Err(Fault::Bad("an address of unknown family")),
        };
        Ok(SocketAddr::new(ip, self.small()?))
    }
}
