//! Shared immutable bytes. Data handed to `send()` is copied once into a [`Slice`]; from there to
//! the receiving program's buffer it is only pointed at.

use std::fmt;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::checksum::Sum;

/// A range of shared immutable bytes. Cloning copies a pointer.
#[derive(Clone)]
pub struct Slice {
    buf: Rc<[u8]>,
    start: u32,
    end: u32,
}

impl Slice {
    /// A slice over a copy of `bytes`.
    ///
    /// # Panics
    /// When `bytes` is longer than 4 GiB − 1; callers bound their buffers far below.
    pub fn copy_from(bytes: &[u8]) -> Slice {
        let end = u32::try_from(bytes.len()).expect("a slice is shorter than 4 GiB");
        Slice { buf: Rc::from(bytes), start: 0, end }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start as usize..self.end as usize]
    }

    /// The sub-range `from..to`, clamped to what there is.
    pub fn range(&self, from: usize, to: usize) -> Slice {
        let to = to.min(self.len());
        let from = from.min(to);
        Slice {
            buf: Rc::clone(&self.buf),
            start: self.start + from as u32,
            end: self.start + to as u32,
        }
    }

    /// Drops the first `n` bytes (all of them when there are fewer).
    pub fn advance(&mut self, n: usize) {
        self.start += n.min(self.len()) as u32;
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({} bytes)", self.len())
    }
}

impl PartialEq for Slice {
    fn eq(&self, other: &Slice) -> bool {
        self.bytes() == other.bytes()
    }
}

/// The payload of a frame: usually no or one slice, sometimes the end of one and the start of the
/// next.
#[derive(Clone, Default, Debug)]
pub struct Payload {
    slices: SmallVec<[Slice; 2]>,
    len: u32,
}

impl Payload {
    /// No payload.
    pub fn new() -> Payload {
        Payload::default()
    }

    /// A payload that copies `bytes`.
    pub fn copy_from(bytes: &[u8]) -> Payload {
        if bytes.is_empty() { Payload::new() } else { Payload::from(Slice::copy_from(bytes)) }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a slice; empty ones are ignored.
    pub fn push(&mut self, slice: Slice) {
        if !slice.is_empty() {
            self.len += slice.len() as u32;
            self.slices.push(slice);
        }
    }

    /// The slices in order.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The slices, by value.
    pub fn into_slices(self) -> impl Iterator<Item = Slice> {
        self.slices.into_iter()
    }

    /// Appends the bytes to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for s in &self.slices {
            out.extend_from_slice(s.bytes());
        }
    }

    /// The bytes as one vector.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut v = Vec::with_capacity(self.len());
        self.write_to(&mut v);
        v
    }

    /// The first `n` bytes at most, copied.
    pub fn prefix(&self, n: usize) -> Vec<u8> {
        let mut v = Vec::with_capacity(n.min(self.len()));
        for s in &self.slices {
            let take = (n - v.len()).min(s.len());
            v.extend_from_slice(&s.bytes()[..take]);
            if v.len() == n {
                break;
            }
        }
        v
    }

    /// Drops the first `n` bytes.
    pub fn advance(&mut self, mut n: usize) {
        n = n.min(self.len());
        self.len -= n as u32;
        let whole = self.slices.iter().take_while(|s| {
            let drop = n > 0 && s.len() <= n;
            n -= if drop { s.len() } else { 0 };
            drop
        });
        let whole = whole.count();
        self.slices.drain(..whole);
        if n > 0 {
            self.slices[0].advance(n);
        }
    }

    /// Keeps the first `n` bytes.
    pub fn truncate(&mut self, n: usize) {
        if n >= self.len() {
            return;
        }
        self.len = n as u32;
        let mut left = n;
        let mut keep = 0;
        for s in &mut self.slices {
            if left == 0 {
                break;
            }
            if s.len() > left {
                *s = s.range(0, left);
            }
            left -= s.len();
            keep += 1;
        }
        self.slices.truncate(keep);
    }

    /// The ones' complement sum of the bytes.
    pub fn sum(&self) -> Sum {
        let mut sum = Sum::ZERO;
        let mut odd = false;
        for s in &self.slices {
            let part = Sum::of(s.bytes());
            sum = sum + if odd { part.swapped() } else { part };
            odd ^= s.len() % 2 == 1;
        }
        sum
    }
}

impl From<Slice> for Payload {
    fn from(slice: Slice) -> Payload {
        let mut p = Payload::new();
        p.push(slice);
        p
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        let mine = self.slices.iter().flat_map(|s| s.bytes());
        let theirs = other.slices.iter().flat_map(|s| s.bytes());
        self.len == other.len && mine.eq(theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(parts: &[&[u8]]) -> Payload {
        let mut p = Payload::new();
        for part in parts {
            p.push(Slice::copy_from(part));
        }
        p
    }

    #[test]
    fn ropes_cut_like_flat_bytes() {
        let parts: [&[u8]; 4] = [b"abc", b"", b"defgh", b"i"];
        let flat = b"abcdefghi";
        for n in 0..=10 {
            let mut p = rope(&parts);
            p.truncate(n);
            assert_eq!(p.to_vec(), flat[..n.min(9)]);
            let mut p = rope(&parts);
            p.advance(n);
            assert_eq!(p.to_vec(), flat[n.min(9)..]);
            assert_eq!(p.len(), p.to_vec().len());
            assert_eq!(rope(&parts).prefix(n), flat[..n.min(9)]);
        }
        assert_eq!(rope(&parts).sum(), Sum::of(flat));
    }
}
