//! Handshakes that a listener has answered: what must be known between the SYN and the ACK that
//! completes it, and no more (RFC 4987 §3.4: a SYN cache). A connection is made when that ACK comes.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use netarium_base::map::Map;
use netarium_base::{Cause, FlowId, Instant, SocketId};

use super::demux::Ends;
use super::options::SegmentOptions;
use super::seq::Seq;

/// A handshake under way: SYN-RECEIVED, before there is a connection.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) ends: Ends,
    pub(crate) listener: SocketId,
    pub(crate) flow: FlowId,
    /// The event that says that the SYN arrived.
    pub(crate) cause: Cause,
    pub(crate) irs: Seq,
    pub(crate) iss: Seq,
    /// What both sides agreed on: our own offers, as far as the peer made the same.
    pub(crate) agreed: SegmentOptions,
    /// The window of the SYN.
    pub(crate) peer_window: u16,
    /// The window of the SYN+ACK, bytes, and its shift.
    pub(crate) window: u32,
    pub(crate) shift: u8,
    pub(crate) timestamp_offset: u32,
    /// The segment size that we offer.
    pub(crate) mss: u16,
    /// ECN was asked for and granted (RFC 3168 §6.1.1).
    pub(crate) ecn: bool,
    /// Time-outs of the SYN+ACK.
    pub(crate) timeouts: u8,
    /// The SYN+ACK was sent again, for whatever reason: its round trip cannot be told.
    pub(crate) resent: bool,
    /// The ACK came, but TCP_DEFER_ACCEPT waits for data, or the accept queue was full.
    pub(crate) acked: bool,
    /// When the SYN+ACK was first sent.
    pub(crate) sent: Instant,
    /// When it goes out again.
    pub(crate) due: Instant,
    /// When an acknowledgement of an invalid segment was last sent (RFC 5961 §10).
    pub(crate) challenged: Option<Instant>,
}

impl Request {
    pub(crate) fn local(&self) -> SocketAddr {
        SocketAddr::new(self.ends.local, self.ends.local_port)
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        SocketAddr::new(self.ends.remote, self.ends.remote_port)
    }

    /// Our timestamp at `now`.
    pub(crate) fn timestamp(&self, now: Instant) -> u32 {
        self.timestamp_offset.wrapping_add(now.as_millis() as u32)
    }
}

/// The handshakes under way of a host. Their number is bounded by the listeners' backlogs.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    slots: Vec<Option<Box<Request>>>,
    free: Vec<u32>,
    by_ends: Map<Ends, u32>,
    deadlines: BTreeSet<(Instant, u32)>,
}

impl Requests {
    /// Adds a request; its ends must be free.
    pub(crate) fn insert(&mut self, request: Request) -> u32 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.by_ends.insert(request.ends, place);
        self.deadlines.insert((request.due, place));
        self.slots[place as usize] = Some(Box::new(request));
        place
    }

    pub(crate) fn find(&self, ends: &Ends) -> Option<u32> {
        self.by_ends.get(ends).copied()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Request> {
        self.slots.get(place as usize)?.as_deref()
    }

    /// A request to change it; its deadline is moved with [`Requests::rearm`].
    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut Request> {
        self.slots.get_mut(place as usize)?.as_deref_mut()
    }

    /// Sets when the SYN+ACK goes out again.
    pub(crate) fn rearm(&mut self, place: u32, due: Instant) {
        let Some(r) = self.slots.get_mut(place as usize).and_then(|s| s.as_deref_mut()) else {
            return;
        };
        self.deadlines.remove(&(r.due, place));
        r.due = due;
        self.deadlines.insert((due, place));
    }

    pub(crate) fn remove(&mut self, place: u32) -> Option<Box<Request>> {
        let r = self.slots.get_mut(place as usize)?.take()?;
        self.by_ends.swap_remove(&r.ends);
        self.deadlines.remove(&(r.due, place));
        self.free.push(place);
        if self.by_ends.is_empty() {
            // A flood leaves no memory behind.
            *self = Requests::default();
        }
        Some(r)
    }

    /// A request that is due.
    pub(crate) fn due(&self, now: Instant) -> Option<u32> {
        self.deadlines.first().filter(|(due, _)| *due <= now).map(|(_, place)| *place)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_ends.is_empty()
    }

    /// All requests, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Request)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(i, s)| s.as_deref().map(|r| (i as u32, r)))
    }
}
