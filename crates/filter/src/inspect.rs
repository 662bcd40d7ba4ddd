//! What programs such as `iptables`, `conntrack` and the dashboard may look at. Nothing here
//! changes anything, and every order is that of the host's own history.

use core::net::SocketAddr;

use netarium_base::{DropReason, Duration, IfIndex, Instant};

use crate::Filter;
use crate::chain::{Chain, Counters, Policy};
use crate::conntrack::session::{Flags, Session};
use crate::conntrack::{ConntrackStats, TcpState, Timeout, Timeouts};
use crate::log::LogLine;
use crate::nat::{Behaviour, PortForward};
use crate::rules::Rule;
use crate::table::{Rules, Table};
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
    /// The rules of a table.
    pub fn table(&self, table: Table) -> &Rules {
        match table {
            Table::Filter => &self.rules,
            Table::Nat => &self.nat_rules,
            Table::Mangle => &self.mangle,
        }
    }

    /// The rules of a chain of the table `filter`, in order, with what they matched.
    pub fn rules(&self, chain: Chain) -> impl Iterator<Item = (&Rule, Counters)> {
        self.rules.chain(chain.id()).into_iter().flat_map(|c| c.rules())
    }

    /// The policy of a chain of the table `filter`, its name in trace events, and what it decided
    /// about; a chain that the table does not have lets everything pass.
    pub fn policy(&self, chain: Chain) -> (Policy, Counters) {
        let found = self.rules.chain(chain.id()).map(|c| c.policy());
        found.map_or_else(Default::default, |(policy, _, counters)| (policy, counters))
    }

    /// The port forwards for flows that arrive, in order, with the flows they led inside: the rules
    /// of the chain PREROUTING of the table `nat` that are nothing more than that.
    pub fn forwards(&self) -> impl Iterator<Item = (PortForward, Counters)> {
        self.forwards_at().map(|(_, forward, counters)| (forward, counters))
    }

    pub(crate) fn forwards_at(&self) -> impl Iterator<Item = (usize, PortForward, Counters)> {
        let rules = self.nat_rules.chain(Chain::Prerouting.id()).into_iter();
        let rules = rules.flat_map(|c| c.rules()).enumerate();
        rules.filter_map(|(at, (rule, counters))| {
            PortForward::of(rule).map(|forward| (at, forward, counters))
        })
    }

    /// The pairs of interfaces, outside and inside, between which this host is a NAT router.
    pub fn routers(&self) -> &[(IfIndex, IfIndex)] {
        self.nat.guarded()
    }

    /// How sources are translated.
    pub fn behaviour(&self) -> Behaviour {
        self.nat.behaviour
    }

    /// The host's log of packets that met a LOG rule, oldest line first, and how many lines there
    /// were too many of.
    pub fn log(&self) -> (impl ExactSizeIterator<Item = &LogLine>, u64) {
        (self.log.lines(), self.log.suppressed())
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
        self.conntrack.table.bytes() + self.nat.mappings.bytes() + self.nat.peers.bytes()
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

pub(crate) fn view(s: &Session, now: Instant) -> SessionView {
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
