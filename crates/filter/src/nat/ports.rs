//! Which port a translated source gets.
//!
//! As Linux: the port that the inside end point already has outside, else its own, else the next
//! free one of its class; «free» means that no other session's answers would look the same
//! (RFC 4787 calls this address- and port-dependent mapping with port preservation). Beyond
//! Linux, a port of the router's own sockets is never taken.

use core::net::{IpAddr, SocketAddr};

use netarium_base::{Duration, Instant, Luck};
use netarium_wire::protocol;

use super::mapping::Mappings;
use crate::LocalPorts;
use crate::conntrack::session::Session;
use crate::conntrack::table::Table;
use crate::prefix::PortRange;
use crate::tuple::Tuple;

/// How long «no port is left» is believed without another look at every port.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// The last search that found nothing: repeating it for every packet of a flood would cost
/// 65,536 look-ups each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exhausted {
    /// What the answers would look like, with port 0.
    reply: Tuple,
    range: PortRange,
    /// Sessions that had ended by then.
    ended: u64,
    at: Instant,
}

/// A search for a port.
pub(crate) struct Search<'a> {
    pub(crate) table: &'a Table,
    pub(crate) mappings: &'a Mappings,
    /// The router's own ports, when they matter.
    pub(crate) local: Option<&'a dyn LocalPorts>,
    pub(crate) luck: Luck,
    pub(crate) now: Instant,
    /// How many sessions ended so far.
    pub(crate) ended: u64,
}

impl Search<'_> {
    /// A port (ICMP identifier) at `address` for the first packet of `s`; `fixed` limits the
    /// choice. `None` when none is left.
    pub(crate) fn port(
        &self,
        s: &Session,
        address: IpAddr,
        fixed: Option<PortRange>,
        memo: &mut Option<Exhausted>,
    ) -> Option<u16> {
        let original = s.tuples[0];
        let reply = Tuple { dst: address, ..s.tuples[1] };
        let inside = original.source();
        let range = range(&original, fixed);
        let known = self.mappings.port_of(original.protocol, inside, address);
        let own = Some(inside.port());
        let allowed = |p: &u16| fixed.is_none_or(|r| r.contains(*p));
        let quick = known.into_iter().chain(own).filter(allowed).find(|&p| self.is_free(reply, p));
        quick.or_else(|| self.scan(reply, range, inside, memo))
    }

    fn is_free(&self, reply: Tuple, port: u16) -> bool {
        self.table.find(&Tuple { dport: port, ..reply }).is_none()
            && !self.local.is_some_and(|l| l.in_use(reply.protocol, port))
    }

    /// The next free port, from one that luck chooses for this inside end point.
    fn scan(
        &self,
        reply: Tuple,
        range: PortRange,
        inside: SocketAddr,
        memo: &mut Option<Exhausted>,
    ) -> Option<u16> {
        let reply = Tuple { dport: 0, ..reply };
        let still = |m: &Exhausted| {
            m.reply == reply
                && m.range == range
                && m.ended == self.ended
                && self.now.since(m.at) < BELIEVED_FOR
        };
        if memo.as_ref().is_some_and(still) {
            return None;
        }
        let flow = Tuple { src: inside.ip(), sport: inside.port(), ..reply.inverse() }.flow();
        let start = (self.luck.draw(flow.0, 0) % u64::from(range.count())) as u32;
        let port = |i: u32| range.first() + ((start + i) % range.count()) as u16;
        let found = (0..range.count()).map(port).find(|&p| self.is_free(reply, p));
        if found.is_none() {
            *memo = Some(Exhausted { reply, range, ended: self.ended, at: self.now });
        }
        found
    }
}

/// The ports to choose from: those of the same class as the original one, as Linux has it.
fn range(original: &Tuple, fixed: Option<PortRange>) -> PortRange {
    let own = PortRange::one(original.sport);
    let class = |first, last| PortRange::new(first, last).unwrap_or(own);
    match (original.protocol, original.icmp) {
        (protocol::TCP | protocol::UDP, _) => fixed.unwrap_or(match original.sport {
            0..512 => class(1, 511),
            512..1024 => class(600, 1023),
            _ => class(1024, u16::MAX),
        }),
        (protocol::ICMP, 8) => fixed.unwrap_or(PortRange::ALL),
        // Only the identifier of an echo can be rewritten; other protocols have none.
        _ => own,
    }
}
