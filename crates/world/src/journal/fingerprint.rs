//! Rolling fingerprints of what a world says and does.

use netarium_base::Instant;
use netarium_wire::Frame;

use crate::link::DirId;
use crate::message::Output;

/// A fingerprint of a world's run so far: of all outputs, of the frames handed to links, and of the
/// number of trace events. The same for the same run on every machine. It finds divergences; it
/// does not resist an attacker.
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
            Output::Datagram { port, bytes } => {
                self.words([8, *port, bytes.len() as u64]);
                self.bytes(bytes);
            }
            Output::Unreachable { port, reason } => {
                self.words([9, *port, reason.len() as u64]);
                self.bytes(reason.as_bytes());
            }
            Output::Open { port, host, client, to } => {
                let text = format!("{host} {client} {to}");
                self.words([10, *port, text.len() as u64]);
                self.bytes(text.as_bytes());
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

    /// Folds in what happened inside: how many events the trace numbered, and the frames.
    pub(crate) fn with(mut self, emitted: u64, frames: FrameHash) -> Fingerprint {
        self.words([7, emitted, frames.0]);
        self
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

/// A rolling hash of all frames that were handed to links: when, where, how long, of which flow,
/// and the beginning of their transport header (ports and sequence number, or the checksum). Cheap,
/// because every frame pays for it: a multiplication per word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameHash(u64);

impl FrameHash {
    #[inline]
    pub(crate) fn add(&mut self, now: Instant, direction: DirId, frame: &Frame) {
        let head = frame.head();
        let l4 = usize::from(frame.meta.layers.l4);
        let transport = head.get(l4..l4 + 8).or(head.last_chunk::<8>().map(|last| &last[..]));
        let transport: [u8; 8] = transport.and_then(|t| t.try_into().ok()).unwrap_or_default();
        let place = u64::from(direction.number()) << 32 | frame.len() as u64;
        let first = now.as_nanos() ^ place.rotate_left(32).wrapping_mul(LANES[1]);
        let second = frame.meta.flow.0 ^ u64::from_le_bytes(transport).wrapping_mul(LANES[2]);
        self.0 = (self.0 ^ first).wrapping_mul(LANES[0]).rotate_left(29);
        self.0 = (self.0 ^ second).wrapping_mul(LANES[0]).rotate_left(29);
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

    #[test]
    fn what_happens_to_every_frame_counts() {
        use netarium_base::{LinkEnd, LinkId};
        let end = |n| DirId::from(LinkId(n), LinkEnd::A);
        let frame = |n: u8| Frame::from_bytes(&[n; 60]);
        let longer = Frame::from_bytes(&[1; 61]);
        let at = Instant::from_nanos;
        let of = |list: &[(Instant, DirId, &Frame)]| {
            let mut hash = FrameHash::default();
            list.iter().for_each(|(at, end, frame)| hash.add(*at, *end, frame));
            Fingerprint::default().with(0, hash)
        };
        let a = frame(1);
        let base = of(&[(at(5), end(1), &a)]);
        for other in [(at(6), end(1), &*a), (at(5), end(2), &*a), (at(5), end(1), &*frame(2))] {
            assert_ne!(of(&[other]), base, "{other:?}");
        }
        assert_ne!(of(&[(at(5), end(1), &longer)]), base);
        let two = [(at(5), end(1), &*a), (at(5), end(2), &*a)];
        assert_ne!(of(&two), of(&[two[1], two[0]]));
        assert_ne!(Fingerprint::default().with(1, FrameHash::default()), of(&[]));
    }

    /// Recordings hold fingerprints: this number must never change.
    #[test]
    fn the_fingerprint_is_pinned() {
        let f = of(&[data((0..100).collect()), Output::Eof { port: 3 }]);
        assert_eq!((f.count(), f.hash()), (2, PINNED));
    }

    const PINNED: u64 = 15_251_976_479_032_882_191;
}
