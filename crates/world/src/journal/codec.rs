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
//! 0 check   count:number hash:8 bytes, little-endian      outputs until here, and the fingerprint
//! 1 open    port client:text from:option(text) source:option(address) to:target
//! 2 data    port bytes
//! 3 eof     port
//! 4 reset   port
//! 5 credit  port number
//! 6 exec    port host:text argv stdin:byte(0|1) credit:number
//! 7 signal  port number
//! 8 file    path:text option(bytes)
//! 9 command 0 host:text argv                   start a program
//!         | 1 host:text pid:number signal:number    send a signal
//!         | 2 link:text up:byte(0|1)           take a link up or down
//!         | 3 link:text directions:byte(0 both|1 up|2 down) change    change a wire
//!         | 4 host:text protocol:number port:number address port:number   add a forward
//!         | 5 host:text protocol:number port:number    remove a forward
//!         | 6 host:text rule before:option(number)     add an inbound rule
//!         | 7 host:text rule:text              remove an inbound rule
//!         | 8 host:text deny:byte(0|1)         deny or let in what no rule names
//!         | 9 link:text                        drop what is under way on a link
//!         | 10 name:text sides in_flight:byte(0|1)     part hosts from each other
//!         | 11 name:option(text)               end a partition, or all
//!         | 12 switch:text option(to:text from:argv)   mirror ports of a switch
//! change    0 loss:number | 1 delay:number | 2 rate:option(number) | 3 queue:number
//!         | 4 queue_bytes:option(number)
//!         | 5 jitter:option(spread:number shape:byte(0 uniform|1 normal) reorder:byte(0|1))
//!         | 6 burst:option(p:number r:number good:number bad:number)
//!         | 7 nth:(count:number number*) every:option(number) | 8 match:option(text)
//!         | 9 duplicate:number | 10 reorder:option(probability:number late:number gap:number)
//!         | 11 corrupt:number | 12 mtu:option(number)
//! sides     count:number argv*
//! rule      action:byte(0 allow|1 drop|2 reject) protocol:option(number) ports:option(number number)
//!           from:option(address prefix:number) name:option(text)
//! 10 datagram port bytes                       of a published UDP port
//! 11 full                                      inputs from here on are not recorded; the last entry
//! 12 end                                       the run ended here; the last entry
//! 20 open-udp port client:text from:option(text) source:option(address) to:target
//! 21 accepted port credit:number               the real server that the lab asked for
//! 22 refused  port reason:text                 it cannot be had
//! 23 client   address label:text               a real client's address in the lab
//! option    0 | 1 value
//! target    0 address port:number | 1 name:text port:number
//! address   4 | 6, then 4 or 16 bytes
//! argv      count:number text*
//! ```
//!
//! An entry of a kind that is not listed is an error ([`DecodeError::Unknown`]): to skip an input
//! would be to replay something else.
//!
//! A file that is cut anywhere is good up to its last whole entry.

use netarium_base::{Duration, Instant};

use super::Fingerprint;
use super::inputs::{read_input, write_data_head, write_input};
use super::parts::{Cursor, Fault, bytes, number};
use crate::message::Input;

/// How every journal begins.
pub const MAGIC: &[u8] = b"NETARIUM-J\n";
/// The version written here.
pub const VERSION: u64 = 1;
/// The kind of the entry that says that the journal was full.
const FULL: u8 = 11;
/// The kind of the entry that says that the run ended.
const END: u8 = 12;
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
    /// The run until here had this fingerprint.
    Check(Fingerprint),
    /// The journal had no more room: the inputs from here on are missing. The last entry.
    Full,
    /// The run ended, as it was to: nothing is missing. The last entry.
    End,
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
    /// They hold something that this build does not know.
    #[error(
        "the journal has {what} of kind {kind} at byte {offset}, which this build does not know"
    )]
    Unknown {
        /// Where the entry begins.
        offset: usize,
        /// What it is: an entry, a target, a command.
        what: &'static str,
        /// Its kind.
        kind: u8,
    },
}

/// What is written as an entry.
pub(super) enum Item<'a> {
    Input(&'a Input),
    Check(Fingerprint),
    Full,
    End,
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
        let mut rest: &[u8] = &[];
        match item {
            // A connection's bytes are copied once, straight to where they stay.
            Item::Input(Input::Data { port, bytes }) => {
                write_data_head(&mut body, *port, bytes.len());
                rest = bytes;
            }
            Item::Input(input) => write_input(&mut body, input),
            Item::Full => body.push(FULL),
            Item::End => body.push(END),
            Item::Check(f) => {
                body.push(0);
                number(&mut body, f.count());
                body.extend_from_slice(&f.hash().to_le_bytes());
            }
        }
        number(out, (body.len() + rest.len()) as u64);
        out.extend_from_slice(&body);
        out.extend_from_slice(rest);
        self.body = body;
    }
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
            FULL => Recorded::Full,
            END => Recorded::End,
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
