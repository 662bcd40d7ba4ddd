//! A rolling fingerprint of a world's outputs.

use crate::message::Output;

/// A fingerprint of all outputs so far: the same for the same outputs on every machine. It finds
/// divergences; it does not resist an attacker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    count: u64,
    hash: u64,
}

const LANES: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0xd6e8_feb8_6659_fd93];

impl Fingerprint {
    pub(crate) fn from_parts(count: u64, hash: u64) -> Fingerprint {
        Fingerprint { count, hash }
    }

    /// How many outputs it covers.
    pub fn count(self) -> u64 {
        self.count
    }

    /// The hash.
    pub fn hash(self) -> u64 {
        self.hash
    }

    pub(crate) fn add(&mut self, output: &Output) {
        self.count += 1;
        match output {
            Output::Accepted { port, credit } => self.words([1, *port, u64::from(*credit)]),
            Output::Credit { port, bytes } => self.words([2, *port, u64::from(*bytes)]),
            Output::Data { port, stream, bytes } => {
                self.words([3 | (*stream as u64) << 8, *port, bytes.len() as u64]);
                self.bytes(bytes);
            }
            Output::Eof { port } => self.words([4, *port, 0]),
            Output::Reset { port, reason } => {
                self.words([5, *port, reason.len() as u64]);
                self.bytes(reason.as_bytes());
            }
            Output::Exit { port, code, message } => {
                self.words([6 | u64::from(message.is_some()) << 8, *port, *code as u64]);
                self.bytes(message.as_deref().unwrap_or_default().as_bytes());
            }
        }
    }

    fn words(&mut self, words: [u64; 3]) {
        words.into_iter().for_each(|w| self.word(w));
    }

    fn word(&mut self, word: u64) {
        self.hash = mix(self.hash ^ word);
    }

    /// Four independent lanes, so that the processor multiplies in parallel.
    fn bytes(&mut self, bytes: &[u8]) {
        let mut lanes = LANES;
        let mut blocks = bytes.chunks_exact(32);
        for block in &mut blocks {
            for (lane, eight) in lanes.iter_mut().zip(block.chunks_exact(8)) {
                let word = u64::from_le_bytes(eight.try_into().unwrap_or_default());
                *lane = (*lane ^ word).wrapping_mul(LANES[0]).rotate_left(29);
            }
        }
        let rest = blocks.remainder();
        if bytes.len() >= 32 {
            lanes.into_iter().for_each(|lane| self.word(lane));
        }
        for eight in rest.chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            self.word(u64::from_le_bytes(word));
        }
    }
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(LANES[0]);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stream;

    fn of(outputs: &[Output]) -> Fingerprint {
        let mut f = Fingerprint::default();
        outputs.iter().for_each(|o| f.add(o));
        f
    }

    fn data(bytes: Vec<u8>) -> Output {
        Output::Data { port: 1, stream: Stream::Net, bytes }
    }

    #[test]
    fn every_byte_counts() {
        for len in [1, 7, 8, 9, 31, 32, 33, 64, 100] {
            let base = of(&[data(vec![0; len])]);
            for i in 0..len {
                let mut bytes = vec![0; len];
                bytes[i] = 1;
                assert_ne!(of(&[data(bytes)]), base, "byte {i} of {len}");
            }
            assert_ne!(of(&[data(vec![0; len + 1])]), base);
        }
        let (a, b) = (Output::Eof { port: 1 }, Output::Eof { port: 2 });
        assert_ne!(of(&[a.clone(), b.clone()]), of(&[b, a]));
    }

    /// Recordings hold fingerprints: this number must never change.
    #[test]
    fn the_fingerprint_is_pinned() {
        let f = of(&[data((0..100).collect()), Output::Eof { port: 3 }]);
        assert_eq!((f.count(), f.hash()), (2, PINNED));
    }

    const PINNED: u64 = 15_251_976_479_032_882_191;
}
