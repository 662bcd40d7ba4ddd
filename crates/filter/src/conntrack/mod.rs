//! Connection tracking: which flow a packet belongs to, and what state that flow is in.
//!
//! A session is *pending* from its first packet's arrival until the packet has passed all rules;
//! only then is it confirmed, that is, entered into the table. Packets pass through a host one at
//! a time, so there is never more than one pending session, held by value: a dropped first packet
//! leaves nothing behind.

pub(crate) mod session;
pub(crate) mod table;
pub(crate) mod tcp;
pub(crate) mod timeouts;

pub use session::Direction;
pub use tcp::TcpState;
pub use timeouts::{Timeout, Timeouts};

use netarium_base::{Duration, Instant};
use netarium_wire::{Frame, TcpHeader, protocol};

use crate::tuple::Tuple;
use session::{Flags, Handle, Session};
use table::Table;
use tcp::Step;

/// How many sessions a host tracks unless told otherwise: what Linux takes on a machine with
/// enough memory.
pub const SESSIONS_DEFAULT: usize = 262_144;

/// The most that can be asked for.
pub const SESSIONS_MAX: usize = 16_777_216;

/// UDP: answers after this time make a stream of a flow.
const UDP_STREAM_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Conntrack {
    pub(crate) table: Table,
    pub(crate) pending: Option<Session>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limit: usize,
    pub(crate) stats: ConntrackStats,
}

/// What connection tracking did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConntrackStats {
    /// Sessions confirmed.
    pub confirmed: u64,
    /// Sessions that expired.
    pub expired: u64,
    /// Sessions that made room for others because the table was full.
    pub evicted: u64,
    /// First packets dropped because the table was full and nothing could make room.
    pub full: u64,
    /// Packets found to belong to nothing.
    pub invalid: u64,
}

impl Conntrack {
    pub(crate) fn new(key: u64) -> Conntrack {
        Conntrack {
            table: Table::new(key),
            pending: None,
            timeouts: Timeouts::default(),
            limit: SESSIONS_DEFAULT,
            stats: ConntrackStats::default(),
        }
    }

    #[inline]
    pub(crate) fn session(&self, handle: Handle) -> Option<&Session> {
        if handle.is_pending() { self.pending.as_ref() } else { self.table.get(handle.index) }
    }

    /// The handle and session of a frame.
    #[inline]
    pub(crate) fn of(&self, frame: &Frame) -> Option<(Handle, &Session)> {
        let handle = Handle::unpack(frame.meta.conntrack?)?;
        Some((handle, self.session(handle)?))
    }

    /// A session for the first packet of a flow; `None` when the packet cannot begin one.
    pub(crate) fn begin(frame: &Frame, tuple: Tuple, now: Instant) -> Option<Session> {
        let mut s = Session::new(tuple, now, frame.meta.cause);
        (s.tcp, s.timeout) = match tuple.protocol {
            protocol::TCP => tcp::first(&TcpHeader::of(frame)?)?,
            protocol::UDP => (TcpState::None, Timeout::Udp),
            _ if tuple.is_icmp_request() => (TcpState::None, Timeout::Icmp),
            _ if tuple.is_icmp() => return None,
            _ => (TcpState::None, Timeout::Generic),
        };
        s.counters[0].count(frame.ip_len());
        Some(s)
    }
}

/// Applies a packet to the session that it belongs to.
pub(crate) fn apply(s: &mut Session, dir: Direction, frame: &Frame, now: Instant) -> Step {
    let step = match s.tuples[0].protocol {
        protocol::TCP => match TcpHeader::of(frame) {
            Some(header) => tcp::segment(s, dir, &header, frame.payload().len()),
            None => Step::Invalid,
        },
        protocol::UDP => Step::Refresh(udp(s, now)),
        _ => Step::Refresh(s.timeout),
    };
    if matches!(step, Step::Invalid | Step::Reopen) {
        return step;
    }
    s.counters[dir as usize].count(frame.ip_len());
    if dir == Direction::Reply {
        s.flags.insert(Flags::SEEN_REPLY);
    }
    step
}

/// As Linux: a flow that is answered for more than two seconds is a stream.
fn udp(s: &mut Session, now: Instant) -> Timeout {
    if !s.flags.contains(Flags::SEEN_REPLY) || now.since(s.created) <= UDP_STREAM_AFTER {
        return Timeout::Udp;
    }
    s.flags.insert(Flags::ASSURED);
    Timeout::UdpStream
}
