//! What the program has sent and the peer has not acknowledged: a rope of shared slices, each with
//! the call that handed it over.

use std::collections::VecDeque;

use netarium_base::Cause;
use netarium_wire::{Payload, Slice};

/// Unsent neighbours below this size are merged, so that a program that writes single bytes costs
/// the memory of its bytes, not of its calls.
const MERGE_BELOW: usize = 1024;

#[derive(Clone, Debug)]
struct Chunk {
    /// Offset in the stream of the first byte, counted from the connection's first data byte.
    start: u64,
    slice: Slice,
    cause: Cause,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.slice.len() as u64
    }
}

/// The send buffer of a connection. Offsets count from its first byte, which is the byte at
/// `SND.UNA` once the handshake is done.
#[derive(Clone, Debug, Default)]
pub struct SendBuffer {
    chunks: VecDeque<Chunk>,
    start: u64,
    end: u64,
}

impl SendBuffer {
    /// Bytes held.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Appends a copy of `bytes`, handed over by the call `cause`. `unsent` says how many bytes at
    /// the end were never sent: only those may be merged with the new ones.
    pub fn push(&mut self, bytes: &[u8], cause: Cause, unsent: usize) {
        if bytes.is_empty() {
            return;
        }
        let start = self.end;
        self.end += bytes.len() as u64;
        if let Some(last) = self.chunks.back_mut() {
            let small = last.slice.len() + bytes.len() <= MERGE_BELOW;
            if small && last.slice.len() <= unsent {
                let mut merged = last.slice.bytes().to_vec();
                merged.extend_from_slice(bytes);
                last.slice = Slice::copy_from(&merged);
                return;
            }
        }
        self.chunks.push_back(Chunk { start, slice: Slice::copy_from(bytes), cause });
    }

    /// The `len` bytes from `offset` on (fewer when there are fewer), and the call that handed
    /// over the first of them.
    pub fn read(&self, offset: usize, len: usize) -> (Payload, Cause) {
        let from = self.start + offset as u64;
        let to = (from + len as u64).min(self.end);
        let mut payload = Payload::new();
        let first = self.chunks.partition_point(|c| c.end() <= from);
        let cause = self.chunks.get(first).map_or(Cause::NONE, |c| c.cause);
        for c in self.chunks.range(first..) {
            if c.start >= to {
                break;
            }
            let lo = from.saturating_sub(c.start) as usize;
            let hi = (to - c.start).min(c.slice.len() as u64) as usize;
            payload.push(c.slice.range(lo, hi));
        }
        (payload, cause)
    }

    /// Drops the first `n` bytes: they were acknowledged.
    pub fn advance(&mut self, n: usize) {
        self.start = (self.start + n as u64).min(self.end);
        while self.chunks.front().is_some_and(|c| c.end() <= self.start) {
            self.chunks.pop_front();
        }
    }

    /// Drops everything and gives the memory back.
    pub fn clear(&mut self) {
        *self = SendBuffer { start: self.end, end: self.end, ..SendBuffer::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_chunks_and_forgets_what_was_acknowledged() {
        let mut b = SendBuffer::default();
        let big: Vec<u8> = (0..3000u32).map(|i| i as u8).collect();
        b.push(&big[..1500], Cause::NONE, 0);
        b.push(&big[1500..], Cause::NONE, 1500);
        assert_eq!(b.read(1000, 1000).0.to_vec(), big[1000..2000]);
        b.advance(1600);
        assert_eq!((b.len(), b.read(0, 10_000).0.to_vec()), (1400, big[1600..].to_vec()));
        b.advance(5000);
        assert!(b.is_empty() && b.read(0, 1).0.is_empty());
    }

    #[test]
    fn single_bytes_are_merged_only_while_unsent() {
        let mut b = SendBuffer::default();
        for i in 0..100u8 {
            b.push(&[i], Cause::NONE, i as usize);
        }
        assert_eq!(b.chunks.len(), 1);
        b.push(&[100], Cause::NONE, 0);
        assert_eq!(b.chunks.len(), 2);
        assert_eq!(b.read(0, 200).0.to_vec(), (0..=100).collect::<Vec<u8>>());
    }
}
