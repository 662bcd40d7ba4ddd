//! One tracked flow.

use bitflags::bitflags;
use core::net::SocketAddr;
use core::num::NonZeroU32;

use netarium_base::{Cause, Instant};
use netarium_wire::ip::Side;

use super::tcp::TcpState;
use super::timeouts::Timeout;
use crate::chain::Counters;
use crate::tuple::Tuple;

/// The direction of a packet within its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// As the first packet.
    Original,
    /// The answers.
    Reply,
}

impl Direction {
    /// The opposite direction.
    pub const fn other(self) -> Direction {
        match self {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        }
    }
}

/// «No entry» in links between entries.
pub(crate) const NIL: u32 = u32::MAX;

/// A tracked flow. Kept small: a router may hold a million.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// What packets of each direction look like when they arrive here.
    pub(crate) tuples: [Tuple; 2],
    pub(crate) counters: [Counters; 2],
    /// Of the last packet: what an expiry results from.
    pub(crate) cause: Cause,
    pub(crate) created: Instant,
    pub(crate) expires: Instant,
    /// Neighbours in the list of flows with the same kind of time-out.
    pub(crate) prev: u32,
    pub(crate) next: u32,
    /// The mapping that the flow uses, or [`NIL`].
    pub(crate) mapping: u32,
    /// Sequence number behind an ignored SYN.
    pub(crate) ignored_syn_end: u32,
    pub(crate) timeout: Timeout,
    pub(crate) tcp: TcpState,
    pub(crate) flags: Flags,
}

bitflags! {
    /// What is known about a session.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u16 {
        /// A packet of the reply direction was seen.
        const SEEN_REPLY = 1;
        /// Surely a conversation: it does not make room for others.
        const ASSURED = 2;
        /// The destination is translated.
        const DNAT = 4;
        /// The source is translated.
        const SNAT = 8;
        /// This host began it.
        const LOCAL = 16;
        /// Forgotten already; only its last packet is still on its way.
        const DYING = 32;
        /// The source of the first packet was decided.
        const BOUND = 64;
        /// The original side sent a SYN that was ignored.
        const IGNORED_SYN = 128;
        /// From inside to inside by the outside address.
        const HAIRPIN = 256;
        /// It came in by a mapping, without a forward.
        const MAPPED = 512;
        /// A FIN began to close it.
        const CLOSING = 1024;
        /// The last segment was a RST from the original side.
        const RST_ORIGINAL = 2048;
        /// The last segment was a RST from the replying side.
        const RST_REPLY = 4096;
    }
}

impl Session {
    pub(crate) fn new(tuple: Tuple, now: Instant, cause: Cause) -> Session {
        Session {
            tuples: [tuple, tuple.inverse()],
            counters: [Counters::default(); 2],
            cause,
            created: now,
            expires: now,
            prev: NIL,
            next: NIL,
            mapping: NIL,
            ignored_syn_end: 0,
            timeout: Timeout::Generic,
            tcp: TcpState::None,
            flags: Flags::empty(),
        }
    }

    pub(crate) fn tuple(&self, dir: Direction) -> &Tuple {
        &self.tuples[dir as usize]
    }

    /// Whether one side of the packets of a direction is another one when they leave here.
    #[inline]
    pub(crate) fn translates(&self, dir: Direction, side: Side) -> bool {
        self.flags.contains(match (dir, side) {
            (Direction::Original, Side::Source) | (Direction::Reply, Side::Destination) => {
                Flags::SNAT
            }
            _ => Flags::DNAT,
        })
    }

    /// What packets of a direction look like when they leave here.
    pub(crate) fn translated(&self, dir: Direction) -> Tuple {
        self.tuple(dir.other()).inverse()
    }

    /// The inside and the outside end point of the mapping that the flow needs, and the far end as
    /// the inside sees it.
    pub(crate) fn mapped_ends(&self) -> Option<(SocketAddr, SocketAddr, SocketAddr)> {
        let [original, reply] = &self.tuples;
        if self.flags.contains(Flags::SNAT) {
            return Some((original.source(), reply.destination(), original.destination()));
        }
        let mapped = self.flags.contains(Flags::MAPPED);
        mapped.then(|| (reply.source(), original.destination(), original.source()))
    }

    /// Whether `quoted` can be a packet of direction `dir` anywhere on its way through this host:
    /// before or after the translation of its destination and of its source.
    pub(crate) fn may_have_sent(&self, dir: Direction, quoted: &Tuple) -> bool {
        let (before, after) = (self.tuple(dir), self.translated(dir));
        let source = quoted.source();
        let destination = quoted.destination();
        quoted.protocol == before.protocol
            && quoted.icmp == before.icmp
            && (source == before.source() || source == after.source())
            && (destination == before.destination() || destination == after.destination())
    }
}

/// A frame's link to its session, as [`netarium_wire::Meta::conntrack`] holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    /// Index of the session; [`Handle::PENDING`] for the one that is not confirmed yet.
    pub(crate) index: u32,
    pub(crate) dir: Direction,
}

impl Handle {
    /// The index of the session that is not in the table (yet, or any more).
    pub(crate) const PENDING: u32 = 0x7fff_fffe;

    pub(crate) fn pack(self) -> Option<NonZeroU32> {
        NonZeroU32::new((self.index + 1) | (self.dir as u32) << 31)
    }

    pub(crate) fn unpack(raw: NonZeroU32) -> Option<Handle> {
        let dir = if raw.get() >> 31 == 0 { Direction::Original } else { Direction::Reply };
        let index = (raw.get() & 0x7fff_ffff).checked_sub(1)?;
        Some(Handle { index, dir })
    }

    pub(crate) fn is_pending(self) -> bool {
        self.index == Handle::PENDING
    }
}
