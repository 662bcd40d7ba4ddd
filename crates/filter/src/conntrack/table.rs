//! The table of sessions: a slab, one hash index over both directions, and per kind of time-out a
//! list in the order of expiry.
//!
//! Every operation takes constant time, whatever the number of sessions. Since flows of one kind
//! have one time-out and time does not run backwards, moving a session to the end of its list on
//! each packet keeps the list sorted, and the first of each list is the next to expire.

use hashbrown::HashTable;
use netarium_base::{Duration, Instant};

use super::session::{Direction, NIL, Session};
use super::timeouts::Timeout;
use crate::tuple::Tuple;

/// Sessions per block of the slab: growing never copies old blocks.
const BLOCK: usize = 1024;

#[derive(Debug)]
pub(crate) struct Table {
    blocks: Vec<Vec<Option<Session>>>,
    free: Vec<u32>,
    /// Session index × 2 + direction, by the hash of that direction's tuple.
    index: HashTable<u32>,
    /// Makes the hash another one for each host.
    key: u64,
    len: usize,
    lists: [List; Timeout::COUNT],
    /// Not later than the first expiry.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

impl Table {
    pub(crate) fn new(key: u64) -> Table {
        Table {
            blocks: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            key,
            len: 0,
            lists: [List { first: NIL, last: NIL }; Timeout::COUNT],
            deadline: Instant::FAR_FUTURE,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Session> {
        slot(&self.blocks, index)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Session> {
        let i = index as usize;
        self.blocks.get_mut(i / BLOCK)?.get_mut(i % BLOCK)?.as_mut()
    }

    /// The session and direction of packets that look like `tuple`.
    pub(crate) fn find(&self, tuple: &Tuple) -> Option<(u32, Direction)> {
        let hit = self
            .index
            .find(tuple.hash(self.key), |&id| tuple_of(&self.blocks, id) == Some(tuple))?;
        let dir = if hit & 1 == 0 { Direction::Original } else { Direction::Reply };
        Some((hit >> 1, dir))
    }

    /// Takes a session in; it expires `timeout` after `now`. The caller has seen to it that
    /// neither of its tuples is in the table.
    pub(crate) fn insert(&mut self, mut s: Session, now: Instant, timeout: Duration) -> u32 {
        s.expires = now + timeout;
        let kind = s.timeout;
        let tuples = s.tuples;
        let index = match self.free.pop() {
            Some(index) => {
                self.blocks[index as usize / BLOCK][index as usize % BLOCK] = Some(s);
                index
            }
            None => self.push(s),
        };
        self.len += 1;
        self.link_last(index, kind);
        self.add_to_index(index << 1, &tuples[0]);
        if tuples[1] != tuples[0] {
            self.add_to_index(index << 1 | 1, &tuples[1]);
        }
        index
    }

    fn push(&mut self, s: Session) -> u32 {
        if self.blocks.last().is_none_or(|b| b.len() == BLOCK) {
            let room = if self.blocks.is_empty() { 4 } else { BLOCK };
            self.blocks.push(Vec::with_capacity(room));
        }
        let at = self.blocks.len() - 1;
        let block = &mut self.blocks[at];
        block.push(Some(s));
        (at * BLOCK + block.len() - 1) as u32
    }

    fn add_to_index(&mut self, id: u32, tuple: &Tuple) {
        let (blocks, key) = (&self.blocks, self.key);
        let hash = |&id: &u32| tuple_of(blocks, id).map_or(0, |t| t.hash(key));
        self.index.insert_unique(tuple.hash(key), id, hash);
    }

    /// Takes a session out.
    pub(crate) fn remove(&mut self, index: u32) -> Option<Session> {
        let tuples = self.get(index)?.tuples;
        self.unlink(index);
        for (tuple, id) in [(&tuples[0], index << 1), (&tuples[1], index << 1 | 1)] {
            if let Ok(entry) = self.index.find_entry(tuple.hash(self.key), |&i| i == id) {
                entry.remove();
            }
        }
        self.free.push(index);
        self.len -= 1;
        let i = index as usize;
        self.blocks.get_mut(i / BLOCK)?.get_mut(i % BLOCK)?.take()
    }

    /// Notes a packet: the session now expires `timeout` after `now`, as one of `kind`.
    #[inline]
    pub(crate) fn refresh(&mut self, index: u32, kind: Timeout, now: Instant, timeout: Duration) {
        let Some(s) = self.get_mut(index) else { return };
        s.expires = now + timeout;
        let expires = s.expires;
        let moves = s.timeout != kind || s.next != NIL;
        if moves {
            self.unlink(index);
            self.link_last(index, kind);
        }
        self.deadline = self.deadline.min(expires);
    }

    fn link_last(&mut self, index: u32, kind: Timeout) {
        let last = self.lists[kind as usize].last;
        if let Some(s) = self.get_mut(index) {
            (s.timeout, s.prev, s.next) = (kind, last, NIL);
            let expires = s.expires;
            self.deadline = self.deadline.min(expires);
        }
        match self.get_mut(last) {
            Some(before) => before.next = index,
            None => self.lists[kind as usize].first = index,
        }
        self.lists[kind as usize].last = index;
    }

    fn unlink(&mut self, index: u32) {
        let Some(s) = self.get(index) else { return };
        let (kind, prev, next) = (s.timeout as usize, s.prev, s.next);
        match self.get_mut(prev) {
            Some(s) => s.next = next,
            None => self.lists[kind].first = next,
        }
        match self.get_mut(next) {
            Some(s) => s.prev = prev,
            None => self.lists[kind].last = prev,
        }
    }

    /// When to call [`Table::first_expired`] again: not later than the first expiry, but perhaps
    /// earlier, so that it need not be moved with every packet.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.len > 0).then_some(self.deadline)
    }

    /// The session that expired first, if one did by `now`.
    pub(crate) fn first_expired(&mut self, now: Instant) -> Option<u32> {
        let soonest = self.soonest(Timeout::ALL, |s, _| s.expires);
        self.deadline = soonest.map_or(Instant::FAR_FUTURE, |(expires, _)| expires);
        soonest.filter(|&(expires, _)| expires <= now).map(|(_, index)| index)
    }

    /// The longest silent of the sessions that may make room for another.
    pub(crate) fn most_dispensable(&self, timeout: impl Fn(Timeout) -> Duration) -> Option<u32> {
        let heard = |s: &Session, kind| s.expires - timeout(kind);
        let found = self
            .soonest(&Timeout::FIRST_TO_GO, heard)
            .or_else(|| self.soonest(&Timeout::SECOND_TO_GO, heard));
        found.map(|(_, index)| index)
    }

    fn soonest(
        &self,
        kinds: &[Timeout],
        at: impl Fn(&Session, Timeout) -> Instant,
    ) -> Option<(Instant, u32)> {
        let firsts = kinds.iter().filter_map(|&kind| {
            let index = self.lists[kind as usize].first;
            self.get(index).map(|s| (at(s, kind), index))
        });
        firsts.min_by_key(|&(at, _)| at)
    }

    /// Lets no session of a kind expire later than `latest`: what keeps the list in order when a
    /// time-out is shortened.
    pub(crate) fn clamp(&mut self, kind: Timeout, latest: Instant) {
        let mut index = self.lists[kind as usize].first;
        while let Some(s) = self.get_mut(index) {
            s.expires = s.expires.min(latest);
            index = s.next;
        }
        self.deadline = self.deadline.min(latest);
    }

    pub(crate) fn bytes(&self) -> usize {
        let slots: usize = self.blocks.iter().map(Vec::capacity).sum();
        slots * size_of::<Option<Session>>()
            + self.free.capacity() * size_of::<u32>()
            + self.index.allocation_size()
    }

    /// The indices of all sessions.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> {
        let blocks = self.blocks.iter().enumerate();
        blocks.flat_map(|(b, block)| {
            let there = block.iter().enumerate().filter(|(_, slot)| slot.is_some());
            there.map(move |(i, _)| (b * BLOCK + i) as u32)
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.blocks.iter().flatten().flatten()
    }
}

fn slot(blocks: &[Vec<Option<Session>>], index: u32) -> Option<&Session> {
    let i = index as usize;
    blocks.get(i / BLOCK)?.get(i % BLOCK)?.as_ref()
}

fn tuple_of(blocks: &[Vec<Option<Session>>], id: u32) -> Option<&Tuple> {
    Some(&slot(blocks, id >> 1)?.tuples[(id & 1) as usize])
}
