//! Data that arrived out of order (RFC 9293 §3.10.7.4, seventh step; SHLD-31), and what SACK says
//! of it (RFC 2018, RFC 2883).
//!
//! Where segments overlap, the bytes that arrived first stay: a later copy that differs cannot
//! change what was acknowledged by SACK.
//!
//! Data is kept as runs without gaps. What neighbours is merged, so that the memory is that of the
//! bytes (which the receive window bounds) and of [`MAX_RUNS`] runs, however the peer cuts and orders
//! its segments.

use std::collections::VecDeque;

use netarium_wire::{Payload, Slice};
use smallvec::SmallVec;

use super::recv_buffer::merge;
use super::seq::Seq;

/// The most runs kept; what would begin another is dropped (the peer sends it again).
pub const MAX_RUNS: usize = 1024;

/// Blocks that are remembered by how lately they changed, as on Linux.
const RECENT: usize = 4;

/// A block of sequence numbers: from the first up to, but not including, the second.
pub type Block = (Seq, Seq);

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// All of it is there now; `false` when some was dropped for lack of room.
    pub fits: bool,
    /// The first part of it that had been there before (RFC 2883).
    pub duplicate: Option<Block>,
}

#[derive(Clone, Debug)]
struct Run {
    start: Seq,
    end: Seq,
    slices: VecDeque<Slice>,
}

impl Run {
    fn append(&mut self, payload: Payload) {
        self.end += payload.len() as u32;
        for slice in payload.into_slices() {
            match self.slices.back_mut().and_then(|last| merge(last, &slice)) {
                Some(merged) => *self.slices.back_mut().expect("just seen") = merged,
                None => self.slices.push_back(slice),
            }
        }
    }

    fn prepend(&mut self, payload: Payload) {
        self.start = self.start - payload.len() as u32;
        let slices: SmallVec<[Slice; 2]> = payload.into_slices().collect();
        for slice in slices.into_iter().rev() {
            match self.slices.front().and_then(|first| merge(&slice, first)) {
                Some(merged) => *self.slices.front_mut().expect("just seen") = merged,
                None => self.slices.push_front(slice),
            }
        }
    }
}

/// Data behind a gap. Most connections never have any: then there is no memory for it.
#[derive(Clone, Debug, Default)]
pub struct Reassembly(Option<Box<Runs>>);

/// The runs behind a gap, in order, not touching.
#[derive(Clone, Debug, Default)]
struct Runs {
    runs: VecDeque<Run>,
    bytes: usize,
    /// The runs in the order in which they last changed, the latest first (RFC 2018 §4).
    recent: SmallVec<[Block; RECENT]>,
    /// A duplicate that waits to be reported (RFC 2883).
    duplicate: Option<Block>,
    /// The number of a FIN that arrived before what precedes it: it counts as received, too.
    fin: Option<Seq>,
}

impl Reassembly {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |r| r.bytes)
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|r| r.runs.is_empty())
    }

    /// The highest sequence number held, or behind it.
    pub fn right_edge(&self) -> Option<Seq> {
        self.0.as_ref()?.runs.back().map(|r| r.end)
    }

    /// The part of the first run that lies before `seq`, unless a duplicate waits to be reported
    /// already (RFC 2883 §4: the first one counts).
    pub fn covered_before(&self, seq: Seq) -> Option<Block> {
        let r = self.0.as_ref().filter(|r| r.duplicate.is_none())?;
        let first = r.runs.front().filter(|run| run.start.before(seq))?;
        Some((first.start, r.with_fin(first.end).min(seq)))
    }

    /// Takes in the payload that starts at `seq`.
    pub fn insert(&mut self, seq: Seq, payload: Payload) -> Inserted {
        self.0.get_or_insert_default().insert(seq, payload)
    }

    /// Takes the run that continues at `next`, without what was received before.
    pub fn take(&mut self, next: Seq) -> Option<Payload> {
        let taken = self.0.as_mut()?.take(next);
        self.shrink();
        taken
    }

    /// Asks for a report of a duplicate (RFC 2883) in the next acknowledgement.
    pub fn report_duplicate(&mut self, block: Block) {
        self.0.get_or_insert_default().duplicate = Some(block);
    }

    /// A FIN with this number arrived before what precedes it. Reported by SACK with the run that it
    /// ends, or by itself.
    pub fn note_fin(&mut self, seq: Seq) {
        self.0.get_or_insert_default().fin = Some(seq);
    }

    /// More than what the FIN ended has arrived: the peer contradicts itself, and the text counts.
    pub fn forget_fin_before(&mut self, next: Seq) {
        if let Some(r) = &mut self.0 {
            r.fin = r.fin.filter(|f| !f.before(next));
        }
        self.shrink();
    }

    /// The blocks for a SACK option, at most `max`: first a duplicate to report, then the run that
    /// the latest segment lies in, then those that changed before it (RFC 2018 §4, RFC 2883 §4).
    pub fn sack_blocks(&self, max: usize) -> SmallVec<[Block; RECENT]> {
        let Some(r) = &self.0 else { return SmallVec::new() };
        let lone = r.lone_fin().map(|f| (f, f + 1));
        let runs =
            lone.into_iter().chain(r.recent.iter().map(|&(from, to)| (from, r.with_fin(to))));
        r.duplicate.into_iter().chain(runs).take(max).collect()
    }

    /// How many blocks [`Reassembly::sack_blocks`] gives.
    pub fn block_count(&self, max: usize) -> usize {
        let Some(r) = &self.0 else { return 0 };
        let others = usize::from(r.duplicate.is_some()) + usize::from(r.lone_fin().is_some());
        (others + r.recent.len()).min(max)
    }

    /// The blocks were sent: a duplicate is reported once (RFC 2883 §4).
    pub fn forget_duplicate(&mut self) {
        if let Some(r) = &mut self.0 {
            r.duplicate = None;
        }
        self.shrink();
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Gives the memory back when there is nothing to remember.
    fn shrink(&mut self) {
        if self.0.as_ref().is_some_and(|r| r.is_blank()) {
            self.0 = None;
        }
    }

    /// How many runs and slices are held, for the tests of memory bounds.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> (usize, usize) {
        let Some(r) = &self.0 else { return (0, 0) };
        (r.runs.len(), r.runs.iter().map(|r| r.slices.len()).sum())
    }
}

impl Runs {
    /// Whether there is nothing to remember.
    fn is_blank(&self) -> bool {
        self.runs.is_empty() && self.duplicate.is_none() && self.fin.is_none()
    }

    /// The end of a run, with the FIN if that ends it.
    fn with_fin(&self, end: Seq) -> Seq {
        if self.fin == Some(end) { end + 1 } else { end }
    }

    /// A FIN that ends no run.
    fn lone_fin(&self) -> Option<Seq> {
        self.fin.filter(|f| self.runs.iter().all(|r| r.end != *f))
    }

    /// Takes in the payload that starts at `seq`.
    fn insert(&mut self, seq: Seq, mut payload: Payload) -> Inserted {
        let end = seq + payload.len() as u32;
        let mut duplicate: Option<Block> = None;
        let mut fits = true;
        let mut cur = seq;
        let at = self.runs.partition_point(|r| r.end.before(seq));
        while cur.before(end) {
            let next = self.runs.get(at).map(|r| r.start);
            let touches = next.is_some_and(|s| s.at_or_before(cur));
            if touches {
                let covered = self.runs[at].end.min(end);
                if covered.after(cur) {
                    extend(&mut duplicate, (cur, covered));
                    payload.advance(covered.ahead_of(cur) as usize);
                    cur = covered;
                    continue;
                }
            }
            // The part up to the run that follows, or to the end.
            let follows = self.runs.get(at + usize::from(touches)).map(|r| r.start);
            let part_end = follows.map_or(end, |s| s.min(end));
            let part = front(&mut payload, part_end.ahead_of(cur));
            fits &= self.place(at, touches, cur, part);
            cur = part_end;
            if !touches && !fits {
                break;
            }
        }
        self.note_recent(seq);
        Inserted { fits, duplicate }
    }

    /// Puts `part`, which starts at `seq` and overlaps nothing, beside or before the run `at`.
    fn place(&mut self, at: usize, touches: bool, seq: Seq, part: Payload) -> bool {
        let len = part.len();
        let end = seq + len as u32;
        if touches {
            self.runs[at].append(part);
            let joins = self.runs.get(at + 1).is_some_and(|r| r.start == end);
            if joins && let Some(next) = self.runs.remove(at + 1) {
                let run = &mut self.runs[at];
                run.end = next.end;
                run.slices.extend(next.slices);
            }
        } else if self.runs.get(at).is_some_and(|r| r.start == end) {
            self.runs[at].prepend(part);
        } else if self.runs.len() < MAX_RUNS {
            let mut run = Run { start: seq, end: seq, slices: VecDeque::new() };
            run.append(part);
            self.runs.insert(at, run);
        } else {
            return false;
        }
        self.bytes += len;
        true
    }

    /// The run that `seq` lies in comes first among the recent ones.
    fn note_recent(&mut self, seq: Seq) {
        let at = self.runs.partition_point(|r| r.end.at_or_before(seq));
        let Some(run) = self.runs.get(at).filter(|r| r.start.at_or_before(seq)) else { return };
        let block = (run.start, run.end);
        self.recent.retain(|(s, _)| s.before(block.0) || s.after(block.1));
        self.recent.insert(0, block);
        self.recent.truncate(RECENT);
    }

    /// Takes the run that continues at `next`, without what was received before.
    fn take(&mut self, next: Seq) -> Option<Payload> {
        if self.runs.front()?.start.after(next) {
            return None;
        }
        let run = self.runs.pop_front()?;
        let mut payload = Payload::new();
        for slice in run.slices {
            payload.push(slice);
        }
        self.bytes -= payload.len();
        payload.advance(next.ahead_of(run.start).min(payload.len() as u32) as usize);
        self.recent.retain(|(s, _)| *s != run.start);
        Some(payload)
    }
}

/// The first `n` bytes, cut off.
fn front(payload: &mut Payload, n: u32) -> Payload {
    let mut part = payload.clone();
    part.truncate(n as usize);
    payload.advance(n as usize);
    part
}

/// The first duplicate counts; a second is added only where it continues the first.
fn extend(duplicate: &mut Option<Block>, more: Block) {
    match duplicate {
        None => *duplicate = Some(more),
        Some((_, end)) if *end == more.0 => *end = more.1,
        Some(_) => {}
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
                assert!(r.insert(base + at, data(at, len)).fits);
            }
            assert_eq!(r.pieces().0, 1, "one run");
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
        assert_eq!(r.sack_blocks(4)[..], [(Seq(10), Seq(20)), (Seq(30), Seq(35))]);
        r.insert(Seq(50), data(50, 1));
        assert_eq!(r.sack_blocks(2)[..], [(Seq(50), Seq(51)), (Seq(10), Seq(20))]);
        // What the stream has reached is no longer reported.
        assert!(r.take(Seq(10)).is_some());
        assert_eq!(r.sack_blocks(4)[..], [(Seq(50), Seq(51)), (Seq(30), Seq(35))]);
    }

    /// RFC 2883 §4: what had been there before is told once, before the other blocks.
    #[test]
    fn duplicates_are_told_once() {
        let mut r = Reassembly::default();
        assert_eq!(r.insert(Seq(10), data(10, 10)).duplicate, None);
        assert_eq!(r.insert(Seq(5), data(5, 8)).duplicate, Some((Seq(10), Seq(13))));
        assert_eq!(r.insert(Seq(6), data(6, 2)).duplicate, Some((Seq(6), Seq(8))));
        r.report_duplicate((Seq(6), Seq(8)));
        assert_eq!(r.sack_blocks(4)[..], [(Seq(6), Seq(8)), (Seq(5), Seq(20))]);
        assert_eq!(r.block_count(1), 1);
        r.forget_duplicate();
        assert_eq!(r.sack_blocks(4)[..], [(Seq(5), Seq(20))]);
    }

    /// Single bytes with gaps between them, then the gaps: runs stay bounded, and small pieces are
    /// merged in whatever order they come.
    #[test]
    fn memory_is_bounded() {
        let mut r = Reassembly::default();
        let kept = (0..4000u32).filter(|i| r.insert(Seq(i * 2), data(0, 1)).fits).count();
        assert_eq!((kept, r.pieces().0), (MAX_RUNS, MAX_RUNS));
        for i in (0..MAX_RUNS as u32).rev() {
            assert!(r.insert(Seq(i * 2 + 1), data(0, 1)).fits);
        }
        assert_eq!((r.bytes(), r.pieces().0), (2 * MAX_RUNS, 1));
        let mut backwards = Reassembly::default();
        for i in (0..50_000u32).rev() {
            backwards.insert(Seq(i), data(i, 1));
        }
        let (runs, slices) = backwards.pieces();
        assert!(runs == 1 && slices <= 50_000 / 512 + 1, "{slices} slices");
    }
}
