//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use std::ops::Add;

/// A ones' complement sum of 16-bit words in network byte order, not yet complemented. Zero and
/// 0xffff are the same number; [`Sum::of`] of no bytes is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sum(u16);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Sum = Sum(0);

    /// The sum of `bytes`, an odd last byte padded with zero.
    pub fn of(bytes: &[u8]) -> Sum {
        // Sums in the machine's byte order, 32 bits at a time into 64: the ones' complement sum
        // is independent of byte order but for one swap at the end (RFC 1071 §2 (B)).
        let mut acc: u64 = 0;
        let mut chunks = bytes.chunks_exact(32);
        for c in &mut chunks {
            let mut lane = 0u64;
            for w in c.chunks_exact(4) {
                lane += u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
            }
            acc += lane;
        }
        let mut rest = chunks.remainder().chunks_exact(4);
        for w in &mut rest {
            acc += u64::from(u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
        }
        let tail = rest.remainder();
        let mut last = [0u8; 4];
        last[..tail.len()].copy_from_slice(tail);
        acc += u64::from(u32::from_ne_bytes(last));
        Sum(u16::from_be(fold(acc)))
    }

    /// The sum of one word.
    pub const fn word(word: u16) -> Sum {
        Sum(word)
    }

    /// The sum of two words.
    pub const fn long(word: u32) -> Sum {
        Sum(fold(word as u64))
    }

    /// The sum with its bytes swapped: what the same bytes sum to at an odd offset.
    pub const fn swapped(self) -> Sum {
        Sum(self.0.swap_bytes())
    }

    /// The checksum field: the complement.
    pub const fn checksum(self) -> u16 {
        !self.0
    }

    /// Whether a sum over data with its checksum in place says that the data is whole.
    pub const fn is_valid(self) -> bool {
        self.0 == 0xffff
    }
}

const fn fold(mut acc: u64) -> u16 {
    acc = (acc & 0xffff_ffff) + (acc >> 32);
    acc = (acc & 0xffff_ffff) + (acc >> 32);
    acc = (acc & 0xffff) + (acc >> 16);
    acc = (acc & 0xffff) + (acc >> 16);
    acc = (acc & 0xffff) + (acc >> 16);
    acc as u16
}

impl Add for Sum {
    type Output = Sum;
    fn add(self, other: Sum) -> Sum {
        let (sum, carry) = self.0.overflowing_add(other.0);
        Sum(sum + u16::from(carry))
    }
}

/// The new checksum field after bytes that summed to `old` were replaced by bytes that sum to
/// `new` (RFC 1624 §3, equation 3: HC' = ~(~HC + ~m + m')).
pub fn update(field: u16, old: Sum, new: Sum) -> u16 {
    (Sum(!field) + Sum(!old.0) + new).checksum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for c in bytes.chunks(2) {
            sum += u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    #[test]
    fn agrees_with_the_rfc_algorithm() {
        let data: Vec<u8> = (0..3000u32).map(|i| ((i * 7919) >> 3) as u8).collect();
        for len in (0..100).chain([1447, 1448, 2999]) {
            assert_eq!(Sum::of(&data[..len]).0, naive(&data[..len]), "length {len}");
        }
        // RFC 1071 §3: the example's sum is ddf2.
        assert_eq!(Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).0, 0xddf2);
    }

    /// RFC 1624 §4: the example on which RFC 1141's equation fails.
    #[test]
    fn incremental_update_survives_the_corner_case() {
        let field = update(0xdd2f, Sum::word(0x5555), Sum::word(0x3285));
        assert_eq!(field, 0x0000);
    }
}
