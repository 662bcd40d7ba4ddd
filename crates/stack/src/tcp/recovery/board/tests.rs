//! The board beside a plain list that looks at everything each time.

use netarium_base::{Duration, Instant, Rng, Seed};

use super::Record;
use super::{Board, NIL, Verdict, mark};
use crate::tcp::seq::Seq;

impl Board {
    /// Slots that memory is held for.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.capacity().max(self.order.capacity())
    }

    /// Walks over everything and compares with the counters.
    pub(crate) fn check(&self, una: Seq, nxt: Seq, sack: bool) {
        let all: Vec<Record> = self.order.iter().map(|s| self.slots[*s as usize]).collect();
        let count = |m| all.iter().filter(|r| r.is(m)).count() as u32;
        assert_eq!((self.lost, self.resent), (count(mark::LOST), count(mark::RESENT)), "{self:?}");
        assert!(!sack || self.sacked == count(mark::SACKED), "{self:?}");
        assert_eq!(self.waiting as usize, all.iter().filter(|r| r.waits()).count());
        assert!(all.iter().all(|r| !(r.is(mark::SACKED) && r.is(mark::LOST))));
        assert!(all.iter().all(|r| !r.waits() || r.start.at_or_after(self.hint)), "{self:?}");
        assert!(all.windows(2).all(|w| w[0].end == w[1].start), "{self:?}");
        assert!(all.first().is_none_or(|r| r.start.at_or_before(una) && r.end.after(una)));
        assert!(all.last().is_none_or(|r| r.end == nxt), "{nxt:?} {self:?}");
        assert!(self.sacked + self.lost <= self.len() + self.resent);
        let (mut slot, mut time, mut timed) = (self.oldest, Instant::ZERO, 0);
        while slot != NIL {
            let r = self.slots[slot as usize];
            assert!(r.timed && r.sent >= time, "the list by time is in order");
            (slot, time, timed) = (r.newer, r.sent, timed + 1);
        }
        assert_eq!(timed, all.iter().filter(|r| r.timed).count());
        assert!(all.iter().all(|r| !r.timed || !(r.is(mark::SACKED) || r.waits())));
    }
}

/// A segment as the list knows it.
#[derive(Clone, Copy, Debug, Default)]
struct Plain {
    start: u32,
    end: u32,
    sacked: bool,
    lost: bool,
    resent: bool,
    copied: bool,
}

/// Both, from `base` on.
struct Pair {
    base: Seq,
    board: Board,
    list: Vec<Plain>,
    una: u32,
    nxt: u32,
    now: Instant,
}

impl Pair {
    fn seq(&self, offset: u32) -> Seq {
        self.base + offset
    }

    fn push(&mut self, luck: &mut Rng) {
        let len = 1 + luck.below(3);
        let (start, end) = (self.nxt, self.nxt + len);
        self.board.push(self.seq(start), self.seq(end), self.now, 0);
        self.list.push(Plain { start, end, ..Plain::default() });
        self.nxt = end;
    }

    fn sack(&mut self, luck: &mut Rng) {
        let flight = self.nxt - self.una;
        let mut blocks = Vec::new();
        for _ in 0..1 + luck.below(4) {
            let start = self.una + 1 + luck.below(flight);
            let end = (start + 1 + luck.below(12)).min(self.nxt);
            if start < end {
                blocks.push((start, end));
            }
        }
        let mut newly = 0;
        let mut expected = 0;
        for (start, end) in &blocks {
            self.board.sack((self.seq(*start), self.seq(*end)), |_| newly += 1);
            for p in self.list.iter_mut().filter(|p| p.start >= *start && p.end <= *end) {
                expected += u32::from(!p.sacked);
                p.resent &= !p.lost && !p.sacked || p.resent && p.sacked;
                (p.sacked, p.lost) = (true, false);
            }
        }
        let blocks: Vec<_> = blocks.iter().map(|b| (self.seq(b.0), self.seq(b.1))).collect();
        self.board.remember(&blocks);
        assert_eq!(newly, expected);
    }

    fn acknowledge(&mut self, luck: &mut Rng) {
        self.una += luck.below(self.nxt - self.una + 1);
        let mut popped = 0;
        while self.board.pop_acked(self.seq(self.una)).is_some() {
            popped += 1;
        }
        let before = self.list.len();
        let una = self.una;
        self.list.retain(|p| p.end > una);
        assert_eq!(popped, before - self.list.len());
    }

    fn lose(&mut self, luck: &mut Rng) {
        if luck.below(3) == 0 {
            self.board.mark_all_lost(|_| false);
            let renege = self.list.first().is_some_and(|p| p.sacked);
            for p in &mut self.list {
                p.sacked &= !renege;
                if !p.sacked {
                    (p.lost, p.resent) = (true, false);
                }
            }
        } else {
            // All whose last transmission is older than a few steps.
            let age = Duration::from_millis(u64::from(luck.below(40)));
            let limit = self.now - age;
            let mut condemned = Vec::new();
            self.board.mark_by_time(|r| {
                if r.sent > limit {
                    return Verdict::Stop;
                }
                condemned.push(r.start);
                Verdict::Lost
            });
            for p in &mut self.list {
                if condemned.contains(&(self.base + p.start)) {
                    assert!(!p.sacked, "SACKed segments are not on the list by time");
                    (p.lost, p.resent) = (true, false);
                }
            }
        }
    }

    fn repair(&mut self, luck: &mut Rng) {
        for _ in 0..luck.below(4) {
            let waits = |p: &Plain| p.lost && !p.resent && !p.sacked;
            let expected = self.list.iter().position(waits);
            let next = self.board.next_waiting();
            assert_eq!(next.map(|r| r.start), expected.map(|i| self.seq(self.list[i].start)));
            let (Some(i), Some(r)) = (expected, next) else { return };
            if luck.below(3) == 0 {
                let room = luck.below(12);
                let from = r.start.max(self.seq(self.una));
                let end = self.board.join_waiting(from, room);
                let limit = self.list[i].start.max(self.una) + room;
                while let Some(next) = self.list.get(i + 1).copied().filter(waits) {
                    if next.end <= limit {
                        self.list.remove(i + 1);
                        self.list[i].end = next.end;
                        self.list[i].copied |= next.copied;
                        continue;
                    }
                    if next.end - next.start > room && next.start < limit {
                        self.list[i].end = limit;
                        self.list[i].copied |= next.copied;
                        self.list[i + 1].start = limit;
                    }
                    break;
                }
                assert_eq!(end, Some(self.seq(self.list[i].end)));
            }
            // Sometimes only a part fits.
            let from = self.list[i].start.max(self.una);
            let cut = luck.below(3) == 0 && self.list[i].end - from > 1;
            let end = if cut { from + 1 } else { self.list[i].end };
            let (start, end_seq) = (r.start.max(self.seq(self.una)), self.seq(end));
            self.board.resend(start, end_seq, (self.now, 0), false);
            if cut {
                let rest = Plain { start: end, ..self.list[i] };
                self.list[i].end = end;
                self.list.insert(i + 1, rest);
            }
            (self.list[i].resent, self.list[i].copied) = (true, true);
        }
    }

    fn compare(&self) {
        let count = |f: fn(&Plain) -> bool| self.list.iter().filter(|p| f(p)).count() as u32;
        assert_eq!(self.board.len() as usize, self.list.len());
        assert_eq!(self.board.sacked, count(|p| p.sacked));
        assert_eq!(self.board.lost, count(|p| p.lost));
        assert_eq!(self.board.resent, count(|p| p.resent));
        assert_eq!(self.board.has_waiting(), count(|p| p.lost && !p.resent) > 0);
        let copied = self.list.first().is_some_and(|p| p.copied);
        assert_eq!(self.board.head().is_some_and(|r| r.is(mark::COPIED)), copied);
        self.board.check(self.seq(self.una), self.seq(self.nxt), true);
    }
}

/// Random lives of a board, across the wrap of sequence numbers.
#[test]
fn the_board_agrees_with_a_plain_list() {
    for seed in 0..1000 {
        let mut luck = Seed(seed).stream("test", "board");
        let mut pair = Pair {
            base: Seq(u32::MAX - luck.below(200)),
            board: Board::default(),
            list: Vec::new(),
            una: 0,
            nxt: 0,
            now: Instant::ZERO,
        };
        for _ in 0..200 {
            pair.now += Duration::from_millis(u64::from(luck.below(5)));
            match luck.below(8) {
                0..3 => (0..luck.below(6)).for_each(|_| pair.push(&mut luck)),
                _ if pair.list.is_empty() => {}
                3 | 4 => pair.sack(&mut luck),
                5 => pair.acknowledge(&mut luck),
                6 => pair.lose(&mut luck),
                _ => pair.repair(&mut luck),
            }
            pair.compare();
        }
    }
}

/// Nothing is kept for a connection that has nothing in flight.
#[test]
fn an_empty_board_gives_its_memory_back() {
    let mut board = Board::default();
    for i in 0..1000 {
        board.push(Seq(i), Seq(i + 1), Instant::ZERO, 0);
    }
    assert!(board.capacity() >= 1000);
    while board.pop_acked(Seq(1000)).is_some() {}
    assert!(board.is_empty() && board.capacity() == 0);
}
