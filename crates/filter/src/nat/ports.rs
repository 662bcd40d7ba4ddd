//! Which port a translated source gets.
//!
//! With overloaded ports, as Linux has them: the port that the inside end point already has outside,
//! else its own, else the next free one of its class; «free» means that no other session's answers
//! would look the same (RFC 4787 calls this address- and port-dependent mapping with port
//! preservation). Beyond Linux, a port of the router's own sockets is never taken.
//!
//! Without: the port of the mapping that serves the inside end point towards this far end, as far as
//! the behaviour depends on it; else its own, when ports are to be preserved, else one that no other
//! mapping has, if possible an even one for an even one (RFC 4787 REQ-4).

use core::net::{IpAddr, SocketAddr};

use netarium_base::{Duration, Instant, Luck};
use netarium_wire::protocol;

use super::behaviour::{Behaviour, Dependence};
use super::mapping::Mappings;
use super::peers::Peers;
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
    pub(crate) peers: &'a Peers,
    pub(crate) behaviour: Behaviour,
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
        let given = fixed.or(self.behaviour.ports.filter(|_| may_change(&original)));
        let range = range(&original, given);
        let known = self.known(&original, address);
        let own = self.behaviour.preserve_ports.then_some(inside.port());
        let allowed = |p: &u16| given.is_none_or(|r| r.contains(*p));
        if !self.behaviour.overload && known.is_some() {
            // Whoever has a mapping keeps it, or the far end would see two of them.
            return known.filter(|&p| self.answers_apart(reply, p));
        }
        let mut quick = known.into_iter().chain(own).filter(allowed);
        let quick = quick.find(|&p| self.is_free(reply, p));
        quick.or_else(|| self.scan(reply, range, inside, memo))
    }

    /// The port that the inside end point has at `address` already, for this far end.
    fn known(&self, original: &Tuple, address: IpAddr) -> Option<u16> {
        let (protocol, inside) = (original.protocol, original.source());
        let far_port = match self.behaviour.mapping {
            _ if self.behaviour.overload => {
                return self.mappings.port_of(protocol, inside, address);
            }
            Dependence::Endpoint => return self.mappings.port_of(protocol, inside, address),
            Dependence::Address => 0,
            Dependence::AddressAndPort => original.dport,
        };
        let mapping = self.peers.mapping(protocol, inside, original.dst, far_port)?;
        let outside = self.mappings.outside_of(mapping).filter(|o| o.ip() == address)?;
        Some(outside.port())
    }

    fn answers_apart(&self, reply: Tuple, port: u16) -> bool {
        self.table.find(&Tuple { dport: port, ..reply }).is_none()
    }

    fn is_free(&self, reply: Tuple, port: u16) -> bool {
        let outside = SocketAddr::new(reply.dst, port);
        self.answers_apart(reply, port)
            && !self.local.is_some_and(|l| l.in_use(reply.protocol, port))
            && (self.behaviour.overload
                || self.mappings.at_outside(reply.protocol, outside).is_none())
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
        // Without overloading the far end does not matter: nobody finds a port.
        let alike = match self.behaviour.overload {
            true => reply,
            false => Tuple { src: reply.dst, sport: 0, ..reply },
        };
        let still = |m: &Exhausted| {
            m.reply == alike
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
        let mut ports = (0..range.count()).map(port);
        let parity = |p: &u16| p % 2 == inside.port() % 2;
        let found = match self.behaviour.overload {
            true => ports.find(|&p| self.is_free(reply, p)),
            false => ports
                .clone()
                .filter(parity)
                .find(|&p| self.is_free(reply, p))
                .or_else(|| ports.filter(|p| !parity(p)).find(|&p| self.is_free(reply, p))),
        };
        if found.is_none() {
            *memo = Some(Exhausted { reply: alike, range, ended: self.ended, at: self.now });
        }
        found
    }
}

/// Whether a port or identifier can be rewritten: only that of an echo among ICMP queries; other
/// protocols have none.
fn may_change(original: &Tuple) -> bool {
    matches!(
        (original.protocol, original.icmp),
        (protocol::TCP | protocol::UDP, _) | (protocol::ICMP, 8)
    )
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
        _ => own,
    }
}
