//! What programs such as `iptables`, `conntrack` and the dashboard may look at. Nothing here
//! changes anything, and every order is that of the host's own history.

use core::net::SocketAddr;

use netarium_base::trace::Text;
use netarium_base::{DropReason, Duration, IfIndex, Instant};

use crate::Filter;
use crate::chain::{Chain, Counters, Policy};
use crate::conntrack::session::{Flags, Session};
use crate::conntrack::{ConntrackStats, TcpState, Timeout, Timeouts};
use crate::nat::{PortForward, SourceNat};
use crate::rules::Rule;
use crate::tuple::Tuple;

/// A tracked flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// What its first packet looked like when it came.
    pub original: Tuple,
    /// What answers look like when they come.
    pub reply: Tuple,
    /// The state of a TCP connection.
    pub tcp: Option<TcpState>,
    /// What it waits for.
    pub timeout: Timeout,
    /// How long it may still be silent.
    pub remaining: Duration,
    /// When its first packet was let through.
    pub created: Instant,
    /// Seen in the original and in the reply direction.
    pub counters: [Counters; 2],
    /// Packets were seen in both directions.
    pub replied: bool,
    /// It does not make room for others while it lives.
    pub assured: bool,
    /// Its source is translated.
    pub source_translated: bool,
    /// Its destination is translated.
    pub destination_translated: bool,
    /// This host began it.
    pub local: bool,
}

/// An inside end point and how it is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingView {
    /// IP protocol number.
    pub protocol: u8,
    /// Address and port (ICMP: identifier) inside.
    pub inside: SocketAddr,
    /// Address and port (ICMP: identifier) outside.
    pub outside: SocketAddr,
    /// How many sessions use it.
    pub sessions: u32,
    /// When the first of them began.
    pub created: Instant,
}

impl Filter {
    /// The rules of a chain, in order, with what they matched.
    pub fn rules(&self, chain: Chain) -> impl ExactSizeIterator<Item = (&Rule, Counters)> {
        self.list(chain).iter()
    }

    /// The policy of a chain, its name in trace events, and what it decided about.
    pub fn policy(&self, chain: Chain) -> (Policy, &Text, Counters) {
        let list = self.list(chain);
        (list.policy, &list.policy_text, list.policy_counters)
    }

    /// The port forwards for flows that arrive, in order, with the flows they led inside.
    pub fn forwards(&self) -> impl Iterator<Item = (&PortForward, Counters)> {
        self.nat.forwards.iter().filter(|f| !f.local).map(|f| (&f.spec, f.counters))
    }

    /// The forwards for flows that this host begins, in order, with the flows they redirected.
    pub fn local_forwards(&self) -> impl Iterator<Item = (&PortForward, Counters)> {
        self.nat.forwards.iter().filter(|f| f.local).map(|f| (&f.spec, f.counters))
    }

    /// The pairs of interfaces, outside and inside, between which this host is a NAT router.
    pub fn routers(&self) -> &[(IfIndex, IfIndex)] {
        self.nat.guarded()
    }

    /// The source translations, in order, with the flows they were applied to.
    pub fn source_nats(&self) -> impl ExactSizeIterator<Item = (&SourceNat, Counters)> {
        self.nat.sources.iter().map(|s| (&s.spec, s.counters))
    }

    /// The tracked flows. `now` is for their remaining time.
    pub fn sessions(&self, now: Instant) -> impl Iterator<Item = SessionView> {
        self.conntrack.table.iter().map(move |s| view(s, now))
    }

    /// How many flows are tracked.
    pub fn session_count(&self) -> usize {
        self.conntrack.table.len()
    }

    /// Bytes of memory taken by the tables of sessions and mappings.
    pub fn bytes_used(&self) -> usize {
        self.conntrack.table.bytes() + self.nat.mappings.bytes()
    }

    /// How many flows may be tracked.
    pub fn session_limit(&self) -> usize {
        self.conntrack.limit
    }

    /// The time-outs of tracked flows.
    pub fn timeouts(&self) -> &Timeouts {
        &self.conntrack.timeouts
    }

    /// The mappings of inside end points.
    pub fn mappings(&self) -> impl Iterator<Item = MappingView> {
        self.nat.mappings.iter().map(|m| MappingView {
            protocol: m.protocol,
            inside: m.inside(),
            outside: m.outside(),
            sessions: m.sessions,
            created: m.created,
        })
    }

    /// What connection tracking did so far.
    pub fn stats(&self) -> ConntrackStats {
        self.conntrack.stats
    }

    /// How many packets the filter ended, by reason.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.drops.iter().map(|(&reason, &n)| (reason, n))
    }
}

fn view(s: &Session, now: Instant) -> SessionView {
    let has = |flag| s.flags.contains(flag);
    SessionView {
        original: s.tuples[0],
        reply: s.tuples[1],
        tcp: (s.tcp != TcpState::None).then_some(s.tcp),
        timeout: s.timeout,
        remaining: s.expires.since(now),
        created: s.created,
        counters: s.counters,
        replied: has(Flags::SEEN_REPLY),
        assured: has(Flags::ASSURED),
        source_translated: has(Flags::SNAT),
        destination_translated: has(Flags::DNAT),
        local: has(Flags::LOCAL),
    }
}
