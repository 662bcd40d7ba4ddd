//! Data that arrived out of order (RFC 9293 §3.10.7.4, seventh step; SHLD-31).
//!
//! Where segments overlap, the bytes that arrived first stay: a later copy that differs cannot
//! change what was acknowledged by SACK.

use netarium_wire::Payload;

use super::seq::Seq;

/// The most pieces kept; more are dropped (the peer sends them again).
pub const MAX_PIECES: usize = 512;

/// The pieces behind a gap, in order, not overlapping, each with its place.
#[derive(Clone, Debug, Default)]
pub struct Reassembly {
    pieces: Vec<(Seq, Payload)>,
    bytes: usize,
    /// First byte of the piece that arrived last, for the order of SACK blocks (RFC 2018 §4).
    latest: Option<Seq>,
}

impl Reassembly {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Takes in the payload that starts at `seq`. `false` when it was dropped for lack of room.
    pub fn insert(&mut self, mut seq: Seq, mut payload: Payload) -> bool {
        self.latest = Some(seq);
        let mut at = self.pieces.partition_point(|(s, p)| (*s + p.len() as u32).at_or_before(seq));
        while !payload.is_empty() {
            let room = match self.pieces.get(at) {
                Some((s, _)) if s.after(seq) => s.ahead_of(seq) as usize,
                Some((s, p)) => {
                    // The start is there already: skip what the piece covers.
                    let covered = (*s + p.len() as u32).ahead_of(seq);
                    payload.advance(covered as usize);
                    seq += covered;
                    at += 1;
                    continue;
                }
                None => usize::MAX,
            };
            if self.pieces.len() >= MAX_PIECES {
                return false;
            }
            let mut part = payload.clone();
            part.truncate(room);
            let len = part.len();
            payload.advance(len);
            self.bytes += len;
            self.pieces.insert(at, (seq, part));
            seq += len as u32;
            at += 1;
        }
        true
    }

    /// Takes the next piece that continues at `next`, without what was received before.
    pub fn take(&mut self, next: Seq) -> Option<Payload> {
        let (seq, _) = self.pieces.first()?;
        if seq.after(next) {
            return None;
        }
        let (seq, mut payload) = self.pieces.remove(0);
        self.bytes -= payload.len();
        payload.advance(next.ahead_of(seq) as usize);
        if self.pieces.is_empty() {
            *self = Reassembly::default();
        }
        Some(payload)
    }

    /// The blocks for a SACK option, at most `max`: first the one that the latest segment lies in,
    /// then the others from the lowest on (RFC 2018 §4).
    pub fn sack_blocks(&self, max: usize) -> Vec<(Seq, Seq)> {
        let mut runs: Vec<(Seq, Seq)> = Vec::new();
        for (seq, p) in &self.pieces {
            let end = *seq + p.len() as u32;
            match runs.last_mut() {
                Some((_, e)) if *e == *seq => *e = end,
                _ => runs.push((*seq, end)),
            }
        }
        if let Some(latest) = self.latest
            && let Some(i) =
                runs.iter().position(|(s, e)| latest.at_or_after(*s) && latest.before(*e))
        {
            let run = runs.remove(i);
            runs.insert(0, run);
        }
        runs.truncate(max);
        runs
    }

    /// How many blocks [`Reassembly::sack_blocks`] would give.
    pub fn run_count(&self, max: usize) -> usize {
        let mut end = None;
        let starts =
            self.pieces.iter().filter(|(seq, p)| end.replace(*seq + p.len() as u32) != Some(*seq));
        starts.take(max).count()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Reassembly::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(from: u32, len: u32) -> Payload {
        Payload::copy_from(&(from..from + len).map(|i| i as u8).collect::<Vec<_>>())
    }

    /// Every order of overlapping pieces gives the same stream, also across the wrap.
    #[test]
    fn overlaps_in_any_order_give_the_stream() {
        let pieces = [(3u32, 4u32), (5, 6), (1, 3), (9, 4), (0, 2), (2, 12)];
        let base = Seq(u32::MAX - 4);
        for rotation in 0..pieces.len() {
            let mut r = Reassembly::default();
            for i in 0..pieces.len() {
                let (at, len) = pieces[(i + rotation) % pieces.len()];
                assert!(r.insert(base + at, data(at, len)));
            }
            let mut out = Vec::new();
            while let Some(p) = r.take(base + out.len() as u32) {
                out.extend(p.to_vec());
            }
            assert_eq!(out, (0..14).collect::<Vec<u8>>(), "rotation {rotation}");
            assert_eq!(r.bytes(), 0);
        }
    }

    #[test]
    fn sack_starts_with_the_latest() {
        let mut r = Reassembly::default();
        r.insert(Seq(10), data(10, 5));
        r.insert(Seq(30), data(30, 5));
        r.insert(Seq(15), data(15, 5));
        assert_eq!(r.sack_blocks(4), [(Seq(10), Seq(20)), (Seq(30), Seq(35))]);
        r.insert(Seq(50), data(50, 1));
        assert_eq!(r.sack_blocks(2), [(Seq(50), Seq(51)), (Seq(10), Seq(20))]);
    }

    #[test]
    fn the_number_of_pieces_is_bounded() {
        let mut r = Reassembly::default();
        let kept = (0..2000u32).filter(|i| r.insert(Seq(i * 2), data(0, 1))).count();
        assert_eq!(kept, MAX_PIECES);
    }
}
