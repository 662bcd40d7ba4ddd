//! Putting fragments together (RFC 791 §3.2, RFC 1122 §3.3.2, RFC 815).

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use netarium_base::map::Map;
use netarium_base::{DropReason, Duration, Instant};
use netarium_wire::{Frame, Payload};

/// How long a host waits for the rest of a packet, from its first fragment that arrived (Linux'
/// `net.ipv4.ipfrag_time`; RFC 1122 §3.3.2 asks for a fixed time).
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of incomplete packets that a host holds, each fragment counted with [`OVERHEAD`] (Linux'
/// `net.ipv4.ipfrag_high_thresh`). What comes beyond is dropped.
pub(crate) const MEMORY_MAX: usize = 4 * 1024 * 1024;
/// What a fragment costs beyond its bytes.
const OVERHEAD: usize = 256;

/// What makes fragments those of one packet (RFC 791 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u16,
}

/// The parts of one packet that have arrived.
#[derive(Debug, Default)]
struct Parts {
    /// By where they begin: where they end, and the data.
    parts: BTreeMap<usize, (usize, Payload)>,
    /// Bytes that have arrived.
    have: usize,
    /// Where the packet ends, once its last fragment has arrived.
    end: Option<usize>,
    /// The first fragment: the packet's header, and what an error about it quotes.
    first: Option<Box<Frame>>,
    /// What it costs.
    cost: usize,
    /// Which of the packets of this key it is.
    number: u64,
}

/// What became of a fragment.
#[derive(Debug)]
pub(crate) enum Added {
    /// It was the last that was missing: the whole packet, of so many fragments.
    Whole(Box<Frame>, usize),
    /// Others are missing.
    Waiting,
    /// It ends here.
    Dropped(Box<Frame>, DropReason),
}

/// The incomplete packets of a host.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    packets: Map<Key, Parts>,
    /// When packets are given up, the oldest first; those that are complete meanwhile stay listed.
    deadlines: VecDeque<(Instant, Key, u64)>,
    bytes: usize,
    numbers: u64,
}

impl Fragments {
    /// Takes a fragment in.
    pub(crate) fn add(&mut self, now: Instant, frame: Box<Frame>) -> Added {
        let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else {
            return Added::Dropped(frame, DropReason::Malformed);
        };
        let Ok(Some(part)) = frame.part() else {
            return Added::Dropped(frame, DropReason::Malformed);
        };
        let protocol = frame.protocol().unwrap_or(0);
        let key = Key { src, dst, protocol, id: frame.ip_id() };
        let cost = part.end - part.start + OVERHEAD;
        if self.bytes + cost > MEMORY_MAX {
            return Added::Dropped(frame, DropReason::FragmentMemory);
        }
        if !self.packets.contains_key(&key) {
            self.numbers += 1;
            self.deadlines.push_back((now + TIMEOUT, key, self.numbers));
            self.packets.insert(key, Parts { number: self.numbers, ..Parts::default() });
        }
        let Some(parts) = self.packets.get_mut(&key) else { return Added::Waiting };
        let same_end = part.more || parts.end == Some(part.end);
        if same_end && parts.holds(part.start, part.end) {
            return Added::Dropped(frame, DropReason::FragmentDuplicate);
        }
        if !parts.fits(part.start, part.end, part.more) {
            // What overlaps is an attack, or the work of two packets with one number: none of it
            // can be believed (RFC 5722's rule for IPv6, which Linux follows for IPv4 too).
            self.forget(key);
            return Added::Dropped(frame, DropReason::FragmentOverlap);
        }
        if !part.more {
            parts.end = Some(part.end);
        }
        parts.have += part.end - part.start;
        parts.cost += cost;
        self.bytes += cost;
        parts.parts.insert(part.start, (part.end, frame.ip_data()));
        let latest = frame.meta;
        if part.start == 0 {
            parts.first = Some(frame);
        }
        if parts.end != Some(parts.have) {
            return Added::Waiting;
        }
        let Some(parts) = self.forget(key) else { return Added::Waiting };
        parts.join(latest.cause)
    }

    fn forget(&mut self, key: Key) -> Option<Parts> {
        let parts = self.packets.swap_remove(&key)?;
        self.bytes -= parts.cost;
        while self.deadlines.front().is_some_and(|(_, k, n)| !self.is_current(k, *n)) {
            self.deadlines.pop_front();
        }
        // Those in the middle go when they are most of the list, so that it stays bounded.
        if self.deadlines.len() > 2 * self.packets.len() + 64 {
            let packets = &self.packets;
            self.deadlines.retain(|(_, k, n)| packets.get(k).is_some_and(|p| p.number == *n));
        }
        Some(parts)
    }

    fn is_current(&self, key: &Key, number: u64) -> bool {
        self.packets.get(key).is_some_and(|p| p.number == number)
    }

    /// When the next packet is given up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|d| d.0)
    }

    /// A packet that has waited long enough, by its first fragment, if that arrived.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Option<Box<Frame>>> {
        while let Some((due, key, number)) = self.deadlines.front().copied() {
            if due > now {
                return None;
            }
            self.deadlines.pop_front();
            if self.is_current(&key, number) {
                return self.forget(key).map(|parts| parts.first);
            }
        }
        None
    }

    /// Bytes that are held, with their overhead.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Parts {
    /// Whether the bytes are there already.
    fn holds(&self, start: usize, end: usize) -> bool {
        let before = self.parts.range(..=start).next_back();
        before.is_some_and(|(_, (its_end, _))| *its_end >= end)
    }

    /// Whether a part fits between those that are there.
    fn fits(&self, start: usize, end: usize, more: bool) -> bool {
        let before = self.parts.range(..start).next_back().map_or(0, |(_, (end, _))| *end);
        let behind = self.parts.range(start..).next().map(|(start, _)| *start);
        let last = self.parts.last_key_value().map_or(0, |(_, (end, _))| *end);
        before <= start
            && behind.is_none_or(|behind| end <= behind)
            && self.end.is_none_or(|limit| if more { end < limit } else { end == limit })
            && (more || last <= end)
    }

    fn join(self, latest: netarium_base::Cause) -> Added {
        let (count, Some(first)) = (self.parts.len(), self.first) else { return Added::Waiting };
        let mut data = Payload::new();
        for (_, part) in self.parts.into_values() {
            for slice in part.into_slices() {
                data.push(slice);
            }
        }
        match first.joined(data) {
            Ok(mut whole) => {
                whole.meta.cause = latest;
                Added::Whole(whole, count)
            }
            Err(_) => Added::Dropped(first, DropReason::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_wire::{IpHeader, udp};

    #[expect(clippy::vec_box, reason = "as frames travel")]
    fn cut(id: u16, len: usize) -> Vec<Box<Frame>> {
        let mut header = IpHeader::new("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        (header.dont_fragment, header.id) = (false, id);
        let data: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        udp::frame(&header, 1, 2, Payload::copy_from(&data)).fragment(576)
    }

    fn reason(added: Added) -> Option<DropReason> {
        match added {
            Added::Dropped(_, reason) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn fragments_in_any_order_become_the_packet() {
        let pieces = cut(1, 3000);
        for turn in 0..pieces.len() {
            for back in [false, true] {
                let mut order: Vec<usize> = (0..pieces.len()).collect();
                order.rotate_left(turn);
                if back {
                    order.reverse();
                }
                let mut fragments = Fragments::default();
                let mut whole = None;
                for at in order {
                    assert!(whole.is_none());
                    if let Added::Whole(w, n) = fragments.add(Instant::ZERO, pieces[at].clone()) {
                        whole = Some((w, n));
                    }
                }
                let (mut whole, count) = whole.unwrap();
                assert_eq!((whole.verify(), count), (Ok(()), pieces.len()));
                assert_eq!((fragments.bytes(), fragments.next_deadline()), (0, None));
            }
        }
    }

    #[test]
    fn overlaps_forget_the_packet_and_copies_do_no_harm() {
        let (mut fragments, pieces) = (Fragments::default(), cut(1, 3000));
        fragments.add(Instant::ZERO, pieces[0].clone());
        let again = fragments.add(Instant::ZERO, pieces[0].clone());
        assert_eq!(reason(again), Some(DropReason::FragmentDuplicate));
        let other = cut(1, 3000)[0].fragment(400).remove(1);
        assert_eq!(
            reason(fragments.add(Instant::ZERO, other)),
            Some(DropReason::FragmentDuplicate)
        );
        fragments.add(Instant::ZERO, pieces[2].clone());
        // Larger pieces of the same packet lie over both.
        let mut header = IpHeader::new("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        (header.dont_fragment, header.id) = (false, 1);
        let large = udp::frame(&header, 1, 2, Payload::copy_from(&[9; 3000])).fragment(1200);
        let over = fragments.add(Instant::ZERO, large[0].clone());
        assert_eq!(reason(over), Some(DropReason::FragmentOverlap));
        assert_eq!(fragments.bytes(), 0);
        // Two last fragments that disagree about the end.
        let (a, b) = (cut(2, 1000), cut(2, 900));
        fragments.add(Instant::ZERO, a.last().unwrap().clone());
        let end = fragments.add(Instant::ZERO, b.last().unwrap().clone());
        assert_eq!(reason(end), Some(DropReason::FragmentOverlap));
    }

    #[test]
    fn what_stays_incomplete_is_given_up_and_memory_is_bounded() {
        let mut fragments = Fragments::default();
        let mut refused = 0;
        for id in 0..20_000u16 {
            let pieces = cut(id, 1000);
            refused +=
                usize::from(reason(fragments.add(Instant::ZERO, pieces[0].clone())).is_some());
            assert!(fragments.bytes() <= MEMORY_MAX);
        }
        assert!(refused > 10_000);
        assert_eq!(fragments.next_deadline(), Some(Instant::ZERO + TIMEOUT));
        let (mut given_up, late) = (0, Instant::ZERO + TIMEOUT);
        while let Some(first) = fragments.take_due(late) {
            given_up += usize::from(first.is_some());
        }
        assert_eq!((given_up + refused, fragments.bytes()), (20_000, 0));
        assert_eq!(fragments.next_deadline(), None);
    }

    #[test]
    fn nothing_that_arrives_does_harm() {
        use netarium_base::Seed;
        let mut rng = Seed(3).stream("fragments", "spray");
        let mut fragments = Fragments::default();
        let packets: Vec<_> = (0..4).map(|id| cut(id, 2500)).collect();
        let mut now = Instant::ZERO;
        for _ in 0..50_000 {
            let packet = &packets[(rng.next_u32() % 4) as usize];
            let mut piece = packet[rng.next_u32() as usize % packet.len()].clone();
            if rng.next_u32().is_multiple_of(8) {
                let mut bytes = piece.to_vec();
                let at = 14 + rng.next_u32() as usize % 12;
                bytes[at] = rng.next_u32() as u8;
                piece = Frame::from_bytes(&bytes);
                if piece.parse().is_err() {
                    continue;
                }
            }
            fragments.add(now, piece);
            now += Duration::from_millis(u64::from(rng.next_u32() % 1000));
            while fragments.take_due(now).is_some() {}
            assert!(fragments.bytes() <= MEMORY_MAX && fragments.deadlines.len() <= 50_000);
        }
    }
}
