//! The journal: every outside input with its virtual time, in the order applied.
//!
//! 1. [`codec`]: the binary form, documented there (`inputs` and `parts` are pieces of it);
//! 2. this file: the [`Journal`] that a world keeps, bounded in memory or spilling into a
//!    [`JournalSink`];
//! 3. `fingerprint`: a rolling hash of what the world said and did, noted in the journal every so
//!    often;
//! 4. `replay`: feeding a journal to a fresh world and comparing; [`player`]: the same piece by
//!    piece, and going on otherwise.

mod changes;
pub mod codec;
mod edits;
mod fingerprint;
mod inputs;
mod parts;
pub mod player;
mod replay;

use netarium_base::Instant;

use crate::message::Input;

pub use codec::{DecodeError, Entry, Header, Reader, Recorded};
pub use fingerprint::Fingerprint;
pub(crate) use fingerprint::FrameHash;
pub use player::{Moment, Player};
pub use replay::{Divergence, ReplayEnd, replay};

/// How many bytes a journal without a sink holds. When that is reached, the journal says so as its
/// last entry ([`codec::Recorded::Full`]) and ends: a journal with a gap would replay another run.
pub const MEMORY_MAX: usize = 64 * 1024 * 1024;
/// After how many events a fingerprint is noted with the next input, though there is no output.
const CHECK_AFTER: u64 = 10_000;
/// How many bytes are collected before they go to the sink.
const SPILL_AT: usize = 64 * 1024;

/// Somewhere for a journal to go: a file.
pub trait JournalSink {
    /// Takes the next bytes of the journal. Always whole entries.
    fn append(&mut self, bytes: &[u8]);
}

/// The journal of a world.
pub struct Journal {
    bytes: Vec<u8>,
    writer: codec::Writer,
    sink: Option<Box<dyn JournalSink>>,
    entries: u64,
    left_out: u64,
    /// Outputs and events at the last fingerprint.
    checked: (u64, u64),
    /// The end was noted: nothing comes after it.
    ended: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("entries", &self.entries)
            .field("bytes", &self.bytes.len())
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

impl Journal {
    pub(crate) fn new(header: &Header) -> Journal {
        let mut bytes = Vec::new();
        codec::write_header(&mut bytes, header);
        let writer = codec::Writer::default();
        Journal {
            bytes,
            writer,
            sink: None,
            entries: 0,
            left_out: 0,
            checked: (0, 0),
            ended: false,
        }
    }

    /// Sends what was and will be recorded to `sink`, instead of holding it.
    pub(crate) fn spill_to(&mut self, mut sink: Box<dyn JournalSink>) {
        sink.append(&self.bytes);
        self.bytes.clear();
        self.sink = Some(sink);
    }

    /// Hands everything recorded so far to the sink, if there is one.
    pub(crate) fn flush(&mut self) {
        if let Some(sink) = &mut self.sink
            && !self.bytes.is_empty()
        {
            sink.append(&self.bytes);
            self.bytes.clear();
        }
    }

    /// Records an input, and before it the fingerprint when there are new outputs or many events.
    pub(crate) fn record(&mut self, at: Instant, events: u64, now: Fingerprint, input: &Input) {
        if self.ended || self.is_full(at, events) {
            self.left_out += 1;
            return;
        }
        let (outputs, checked) = self.checked;
        if now.count() != outputs || events.saturating_sub(checked) >= CHECK_AFTER {
            self.check(at, events, now);
        }
        self.writer.entry(&mut self.bytes, at, events, &codec::Item::Input(input));
        self.entries += 1;
        if self.bytes.len() >= SPILL_AT {
            self.flush();
        }
    }

    /// Records how far the world has come and what it has said and done until then.
    pub(crate) fn check(&mut self, at: Instant, events: u64, now: Fingerprint) {
        // Behind the end there is nothing to compare; before it, a check takes no more than a line.
        if self.left_out == 0 && !self.ended {
            self.checked = (now.count(), events);
            self.writer.entry(&mut self.bytes, at, events, &codec::Item::Check(now));
        }
    }

    /// Records that the run ended here, with nothing left out. What is recorded later is left out.
    pub(crate) fn end(&mut self, at: Instant, events: u64, now: Fingerprint) {
        self.check(at, events, now);
        if self.left_out == 0 && !self.ended {
            self.writer.entry(&mut self.bytes, at, events, &codec::Item::End);
        }
        self.ended = true;
        self.flush();
    }

    /// Whether it goes to a sink.
    pub fn has_sink(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether nothing can be recorded any more. The first time, that is written down.
    fn is_full(&mut self, at: Instant, events: u64) -> bool {
        let full = self.sink.is_none() && self.bytes.len() >= MEMORY_MAX;
        if full && self.left_out == 0 {
            self.writer.entry(&mut self.bytes, at, events, &codec::Item::Full);
        }
        full || self.left_out > 0
    }

    /// What is held in memory: the whole journal, unless it spills to a sink. [`Reader`] reads it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many inputs were recorded.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// How many inputs were not recorded because [`MEMORY_MAX`] was reached without a sink. The
    /// journal is good up to the first of them, and ends there, even when a sink comes later.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
