//! Hash maps for the pure crates: deterministic, fast, and without a visible hash order.
//!
//! [`Map`] is an `IndexMap` (iteration in insertion order, which only the world's own history
//! decides) with a fixed, quick hasher in the manner of FxHash. `std`'s `HashMap` is banned below
//! the `server` crate because its order, and its hasher's seed, differ from run to run.

use std::hash::{BuildHasherDefault, Hasher};

/// A hash map in insertion order. Remove with `swap_remove`: constant time, still deterministic.
pub type Map<K, V> = indexmap::IndexMap<K, V, BuildHasherDefault<QuickHasher>>;

/// A hash set in insertion order.
pub type Set<K> = indexmap::IndexSet<K, BuildHasherDefault<QuickHasher>>;

/// A multiply-rotate hasher with a final avalanche. Fixed key: what a stranger can put into a
/// table is bounded by the table's limit, so floods cost at most that.
#[derive(Default, Clone, Copy)]
pub struct QuickHasher(u64);

const K: u64 = 0x517c_c1b7_2722_0a95;

impl QuickHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(K);
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for c in &mut chunks {
            let mut word = [0u8; 8];
            word.copy_from_slice(c);
            self.add(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0u8; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(word) ^ ((rest.len() as u64) << 56));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.add(n.into());
    }

    fn write_u16(&mut self, n: u16) {
        self.add(n.into());
    }

    fn write_u32(&mut self, n: u32) {
        self.add(n.into());
    }

    fn write_u64(&mut self, n: u64) {
        self.add(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.add(n as u64);
    }

    fn finish(&self) -> u64 {
        let x = self.0;
        (x ^ (x >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26)
    }
}
