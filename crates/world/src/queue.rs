//! The event queue: what happens next, and after what.
//!
//! Events are ordered by (time, origin, sequence). The origin is the rank of a component's name
//! among the sorted names of all nodes and links, the sequence counts the component's own events;
//! so the order of simultaneous events depends on names alone, never on which component happened
//! to be asked first. The three are packed into one number, so that a comparison is one
//! instruction or two.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use netarium_base::Instant;

const SEQUENCE_BITS: u32 = 40;

/// How many components a world has at most: the origins that fit into a [`Key`].
pub const ORIGINS_MAX: usize = 1 << 24;

/// When an event is due and where it stands among simultaneous ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Key(u128);

impl Key {
    /// The key of the `sequence`-th event of `origin`, due at `at`. Sequences count to 2⁴⁰ and
    /// start again then, which could only reorder events of one component that are due in the same
    /// nanosecond.
    pub fn new(at: Instant, origin: u32, sequence: u64) -> Key {
        let sequence = sequence & ((1 << SEQUENCE_BITS) - 1);
        let low = u64::from(origin) << SEQUENCE_BITS | sequence;
        Key(u128::from(at.as_nanos()) << 64 | u128::from(low))
    }

    /// When the event is due.
    pub fn at(self) -> Instant {
        Instant::from_nanos((self.0 >> 64) as u64)
    }
}

struct Entry<T> {
    key: Key,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    /// Reversed: `BinaryHeap` gives the greatest first, and the earliest is wanted.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

/// A priority queue of events.
pub struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { heap: BinaryHeap::new() }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue({} events)", self.heap.len())
    }
}

impl<T> Queue<T> {
    /// Adds an event. Keys are unique by construction.
    pub fn push(&mut self, key: Key, what: T) {
        self.heap.push(Entry { key, what });
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|e| e.key.at())
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<(Key, T)> {
        self.heap.pop().map(|e| (e.key, e.what))
    }

    /// Takes the next event when it is due at `limit` or before. `again` may say that the same event
    /// happens once more, and with which key: then it changes its place in the queue, which costs
    /// less than leaving and coming back.
    pub fn pop_until(
        &mut self,
        limit: Instant,
        again: impl FnOnce(Key, &T) -> Option<Key>,
    ) -> Option<(Key, T)>
    where
        T: Copy,
    {
        let mut first = self.heap.peek_mut().filter(|first| first.key.at() <= limit)?;
        let (key, what) = (first.key, first.what);
        match again(key, &what) {
            Some(next) => first.key = next,
            None => {
                PeekMut::pop(first);
            }
        }
        Some((key, what))
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_time_then_origin_then_sequence() {
        let mut q = Queue::default();
        let at = Instant::from_nanos;
        for (t, origin, seq) in [(5, 2, 0), (5, 1, 7), (4, 9, 0), (5, 1, 6), (u64::MAX, 0, 0)] {
            q.push(Key::new(at(t), origin, seq), (t, origin, seq));
        }
        assert_eq!(q.next_at(), Some(at(4)));
        assert!(q.pop_until(at(3), |_, _| None).is_none());
        let order: Vec<_> = std::iter::from_fn(|| q.pop()).map(|(_, e)| e).collect();
        assert_eq!(order, [(4, 9, 0), (5, 1, 6), (5, 1, 7), (5, 2, 0), (u64::MAX, 0, 0)]);
        assert!(q.is_empty());
    }

    #[test]
    fn an_event_that_comes_again_keeps_the_order() {
        let mut q = Queue::default();
        let key = |t, seq| Key::new(Instant::from_nanos(t), 1, seq);
        q.push(key(1, 0), 'a');
        q.push(key(3, 1), 'b');
        let limit = Instant::from_nanos(9);
        // «a» happens at 1, 2 and 4.
        let mut times = vec![4, 2];
        let mut order = Vec::new();
        while let Some((k, what)) =
            q.pop_until(
                limit,
                |_, what| {
                    if *what == 'a' { times.pop().map(|t| key(t, 9)) } else { None }
                },
            )
        {
            order.push((k.at().as_nanos(), what));
        }
        assert_eq!(order, [(1, 'a'), (2, 'a'), (3, 'b'), (4, 'a')]);
    }

    #[test]
    fn an_entry_is_small() {
        assert!(std::mem::size_of::<Entry<(u32, Box<u8>)>>() <= 32);
    }
}
