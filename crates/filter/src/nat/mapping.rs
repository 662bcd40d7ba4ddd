//! The table of mappings.

use core::net::{IpAddr, SocketAddr};
use std::hash::Hasher;

use hashbrown::HashTable;
use netarium_base::Instant;
use netarium_base::map::QuickHasher;

use crate::tuple::v6_bits;

/// An inside end point and what it looks like from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    pub(crate) protocol: u8,
    inside: (IpAddr, u16),
    outside: (IpAddr, u16),
    pub(crate) sessions: u32,
    pub(crate) created: Instant,
}

impl Mapping {
    pub(crate) fn inside(&self) -> SocketAddr {
        self.inside.into()
    }

    pub(crate) fn outside(&self) -> SocketAddr {
        self.outside.into()
    }
}

/// All mappings, found by their inside end points. A mapping lives as long as a session uses it,
/// so there are never more of them than sessions.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    slots: Vec<Option<Mapping>>,
    free: Vec<u32>,
    by_inside: HashTable<u32>,
    /// The same by their outside end points; only kept for kinds of NAT that ask for it.
    by_outside: Option<HashTable<u32>>,
}

impl Mappings {
    /// From now on mappings can, or cannot, be found by their outside end points.
    pub(crate) fn index_outside(&mut self, on: bool) {
        self.by_outside = on.then(HashTable::new);
        for index in (0..self.slots.len() as u32).filter(|_| on) {
            self.link_outside(index);
        }
    }

    /// The mapping that an outside end point stands for; the oldest, when there are several.
    pub(crate) fn at_outside(&self, protocol: u8, outside: SocketAddr) -> Option<(u32, &Mapping)> {
        let outside = (outside.ip(), outside.port());
        let same = self.by_outside.as_ref()?.iter_hash(hash(protocol, outside));
        let same = same.filter_map(|&i| self.get(i).map(|m| (i, m)));
        same.filter(|(_, m)| m.protocol == protocol && m.outside == outside)
            .min_by_key(|&(i, m)| (m.created, i))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_inside.is_empty()
    }

    /// The outside end point of a mapping.
    pub(crate) fn outside_of(&self, index: u32) -> Option<SocketAddr> {
        self.get(index).map(Mapping::outside)
    }

    fn link_outside(&mut self, index: u32) {
        let slots = &self.slots;
        let at = |i: u32| slots.get(i as usize).and_then(Option::as_ref);
        let rehash = |&i: &u32| at(i).map_or(0, |m| hash(m.protocol, m.outside));
        if let (Some(table), Some(m)) = (&mut self.by_outside, at(index)) {
            table.insert_unique(hash(m.protocol, m.outside), index, rehash);
        }
    }

    /// The port under which the inside end point is already seen at the outside address: the
    /// lowest, when there are several.
    pub(crate) fn port_of(&self, protocol: u8, inside: SocketAddr, outside: IpAddr) -> Option<u16> {
        let inside = (inside.ip(), inside.port());
        let same = self.by_inside.iter_hash(hash(protocol, inside)).filter_map(|&i| self.get(i));
        same.filter(|m| m.protocol == protocol && m.inside == inside && m.outside.0 == outside)
            .map(|m| m.outside.1)
            .min()
    }

    /// A mapping between these end points for one more session: its index.
    pub(crate) fn acquire(
        &mut self,
        protocol: u8,
        inside: SocketAddr,
        outside: SocketAddr,
        now: Instant,
    ) -> u32 {
        let (inside, outside) = ((inside.ip(), inside.port()), (outside.ip(), outside.port()));
        let h = hash(protocol, inside);
        let same = |&i: &u32| {
            self.get(i).is_some_and(|m| {
                m.protocol == protocol && m.inside == inside && m.outside == outside
            })
        };
        let found = self.by_inside.find(h, same).copied();
        let index = found.unwrap_or_else(|| {
            self.add(Mapping { protocol, inside, outside, sessions: 0, created: now })
        });
        if let Some(Some(m)) = self.slots.get_mut(index as usize) {
            m.sessions += 1;
        }
        index
    }

    fn add(&mut self, m: Mapping) -> u32 {
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        if index as usize == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[index as usize] = Some(m);
        let slots = &self.slots;
        let rehash = |&i: &u32| match slots.get(i as usize) {
            Some(Some(m)) => hash(m.protocol, m.inside),
            _ => 0,
        };
        self.by_inside.insert_unique(hash(m.protocol, m.inside), index, rehash);
        self.link_outside(index);
        index
    }

    /// One session less; the last one takes the mapping with it.
    pub(crate) fn release(&mut self, index: u32) {
        let Some(Some(m)) = self.slots.get_mut(index as usize) else { return };
        m.sessions -= 1;
        if m.sessions > 0 {
            return;
        }
        let m = *m;
        let h = hash(m.protocol, m.inside);
        if let Ok(entry) = self.by_inside.find_entry(h, |&i| i == index) {
            entry.remove();
        }
        let h = hash(m.protocol, m.outside);
        if let Some(Ok(entry)) = self.by_outside.as_mut().map(|t| t.find_entry(h, |&i| i == index))
        {
            entry.remove();
        }
        self.slots[index as usize] = None;
        self.free.push(index);
    }

    fn get(&self, index: u32) -> Option<&Mapping> {
        self.slots.get(index as usize)?.as_ref()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Mapping>>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_inside.allocation_size()
            + self.by_outside.as_ref().map_or(0, HashTable::allocation_size)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.slots.iter().flatten()
    }
}

fn hash(protocol: u8, (ip, port): (IpAddr, u16)) -> u64 {
    let mut h = QuickHasher::default();
    let bits = u128::from(v6_bits(ip));
    h.write_u64((bits >> 64) as u64);
    h.write_u64(bits as u64);
    h.write_u64(u64::from(port) << 8 | u64::from(protocol));
    h.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_lives_as_long_as_its_sessions() {
        let mut t = Mappings::default();
        let inside: SocketAddr = "192.168.17.20:1000".parse().unwrap();
        let outside = |port| SocketAddr::new("10.0.0.2".parse().unwrap(), port);
        let a = t.acquire(6, inside, outside(1000), Instant::ZERO);
        assert_eq!(t.acquire(6, inside, outside(1000), Instant::ZERO), a);
        let b = t.acquire(6, inside, outside(999), Instant::ZERO);
        let c = t.acquire(17, inside, outside(7), Instant::ZERO);
        assert_eq!(t.port_of(6, inside, outside(0).ip()), Some(999));
        t.release(b);
        t.release(a);
        assert_eq!(t.port_of(6, inside, outside(0).ip()), Some(1000));
        t.release(a);
        assert_eq!(t.port_of(6, inside, outside(0).ip()), None);
        assert_eq!(t.iter().count(), 1);
        t.release(c);
        assert!(t.iter().next().is_none() && t.by_inside.is_empty());
    }
}
