//! What the peer has sent and the program has not read, in order.

use std::collections::VecDeque;

use netarium_wire::{Payload, Slice};

/// Neighbours below this size are copied together, so that a peer that sends single bytes costs
/// the memory of its bytes, not of its segments.
const MERGE_BELOW: usize = 1024;

/// Two neighbours as one slice, when they are small.
pub(super) fn merge(first: &Slice, second: &Slice) -> Option<Slice> {
    if first.len() + second.len() > MERGE_BELOW {
        return None;
    }
    let mut merged = Vec::with_capacity(first.len() + second.len());
    merged.extend_from_slice(first.bytes());
    merged.extend_from_slice(second.bytes());
    Some(Slice::copy_from(&merged))
}

/// The receive buffer of a connection.
#[derive(Clone, Debug, Default)]
pub struct RecvBuffer {
    slices: VecDeque<Slice>,
    len: usize,
}

impl RecvBuffer {
    /// Bytes that wait for the program.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none wait.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the payload of a segment.
    pub fn push(&mut self, payload: Payload) {
        self.len += payload.len();
        for slice in payload.into_slices() {
            match self.slices.back_mut() {
                Some(last) => match merge(last, &slice) {
                    Some(merged) => *last = merged,
                    None => self.slices.push_back(slice),
                },
                None => self.slices.push_back(slice),
            }
        }
    }

    /// Moves bytes to `buf`; returns how many.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buf.len() {
            let Some(first) = self.slices.front_mut() else { break };
            let n = first.len().min(buf.len() - done);
            buf[done..done + n].copy_from_slice(&first.bytes()[..n]);
            done += n;
            if n == first.len() {
                self.slices.pop_front();
            } else {
                first.advance(n);
            }
        }
        self.len -= done;
        done
    }

    /// Copies bytes to `buf` without taking them; returns how many.
    pub fn peek(&self, buf: &mut [u8]) -> usize {
        let mut done = 0;
        for slice in &self.slices {
            let n = slice.len().min(buf.len() - done);
            buf[done..done + n].copy_from_slice(&slice.bytes()[..n]);
            done += n;
            if done == buf.len() {
                break;
            }
        }
        done
    }

    /// Drops up to `count` bytes; returns how many.
    pub fn skip(&mut self, count: usize) -> usize {
        let mut done = 0;
        while done < count {
            let Some(first) = self.slices.front_mut() else { break };
            let n = first.len().min(count - done);
            done += n;
            if n == first.len() {
                self.slices.pop_front();
            } else {
                first.advance(n);
            }
        }
        self.len -= done;
        done
    }

    /// How many slices hold them, for the tests of memory bounds.
    #[cfg(test)]
    pub(crate) fn slices(&self) -> usize {
        self.slices.len()
    }

    /// Drops everything and gives the memory back.
    pub fn clear(&mut self) {
        *self = RecvBuffer::default();
    }
}
