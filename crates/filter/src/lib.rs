//! Packet filter, connection tracking and NAT of one host, without sockets, clocks or I/O.
//!
//! # The way of a packet
//!
//! ```text
//!  arrives ─ prerouting ─ route ─┬─ forward ───────┬─ postrouting ─ leaves
//!            conntrack           │  rules          │  rules
//!            nat: DNAT           │                 │  nat: SNAT
//!                                └─ input ─ socket │  confirm
//!                                   rules          │
//!                                   confirm        │
//!                          socket ─ route ─ output ┘
//!                                           conntrack, DNAT, rules
//! ```
//!
//! The stack puts fragments together first; a fragment that comes here is dropped. Each hook
//! takes the frame, may rewrite it, and returns a [`Verdict`]; the stack emits the drop event,
//! and makes the reset or ICMP error of a [`Verdict::Reject`]. Events of the filter continue the
//! frame's own chain of causes (`frame.meta.cause`).
//!
//! # Sessions and mappings
//!
//! A *session* ([`conntrack`]) is one flow: the tuple of its first packet as it came, and the
//! tuple of the answers as they will come. Translation is nothing but a reply tuple that is not
//! the inverse of the original one: every later packet is rewritten so that it fits the inverse
//! of the other direction's tuple, destination first, source last. A *mapping* ([`nat`]) says
//! under which outside end point an inside end point is seen, and counts the sessions that use
//! it. They are two tables so that RFC 4787's endpoint-independent behaviour needs no third.
//!
//! The first packet's session stays outside of the table until the packet has passed everything
//! (`confirm`), so a dropped first packet leaves nothing behind. Packets pass through a host one
//! at a time: at most one session is pending. `frame.meta.conntrack` holds the index of the
//! session and the direction; it means something only on this host, between two hooks. What comes
//! back over the loopback interface was tracked on its way out, and is not counted twice.
//!
//! # Behaviour that is Linux'
//!
//! Time-outs ([`Timeout`]), TCP states, picking up connections in the middle, which packets are
//! NEW, ESTABLISHED, RELATED or INVALID, choice of ports when masquerading, early drop of
//! unassured sessions in a full table. Differences are listed where they are made:
//!
//! - TCP windows are not checked (`conntrack/tcp.rs`);
//! - ports of the router's own sockets are never taken for translation ([`LocalPorts`]);
//! - what belongs to no flow and would leave through a source translation untranslated is
//!   dropped ([`DropReason::ConntrackInvalid`]); Linux lets it leave with its inside address;
//! - `nat_router` drops new flows from outside to inside without a forward
//!   ([`DropReason::NatNoForward`]); on Linux that takes a rule.
//!
//! # Left out
//!
//! IPv6 is tracked and filtered but not translated. Neighbour discovery passes, as ARP does.
//! There are no expectations (FTP and its like), no zones and no marks: nothing in a lab asks for
//! them.
//!
//! # Limits
//!
//! Sessions: [`conntrack::SESSIONS_DEFAULT`] or as set; at the limit the longest silent unassured
//! session makes room, then the longest silent closing one, else the packet is dropped with
//! [`DropReason::ConntrackFull`]. Mappings: never more than sessions. Rules: 4096 per chain, 256
//! chains of one's own per table, 65,536 rules for one packet (see [`mod@table`]).
//!
//! # Reading order
//!
//! [`prefix`], [`matches`](mod@matches), [`target`], [`rules`], [`chain`], [`mod@table`], [`firewall`];
//! [`mod@tuple`], [`conntrack`]; [`nat`]; `track` (frame to session), `hooks` (the way of a packet),
//! [`log`], `config` and `inspect` (from outside).

use std::collections::BTreeMap;

use netarium_base::{DropReason, IfIndex, Instant, Luck, NodeId};

pub mod chain;
mod config;
pub mod conntrack;
pub mod firewall;
mod hooks;
mod inspect;
pub mod log;
pub mod matches;
pub mod nat;
pub mod prefix;
pub mod rules;
pub mod table;
pub mod target;
mod track;
pub mod tuple;

pub use chain::{Chain, Counters, Policy};
pub use conntrack::{Direction, TcpState, Timeout, Timeouts};
pub use firewall::{InboundAction, InboundRule};
pub use inspect::{MappingView, SessionView};
pub use log::LogLine;
pub use matches::{
    FlagTest, IcmpType, Interfaces, Is, Layout, Match, Module, PortSide, Ports, States,
};
pub use nat::{Behaviour, Dependence, PortForward, Preset};
pub use prefix::{Cidr, PortRange};
pub use rules::{Profiles, Rule, RuleError};
pub use table::{ChainView, Rules, Table};
pub use target::{Log, Mss, NatTo, Target};
pub use tuple::Tuple;

/// The loopback interface of every host.
pub const LOOPBACK: IfIndex = IfIndex(1);

/// What a hook decides about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It ends.
    Drop(DropReason),
    /// It ends, and its sender is told.
    Reject(Reject),
}

/// How the sender of a rejected packet is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// With a TCP reset; the packet is a TCP segment.
    TcpReset,
    /// With an ICMP error.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
}

/// The ports that the host's own sockets use.
pub trait LocalPorts {
    /// Whether a socket of the host uses the port (or, for ICMP, the identifier).
    fn in_use(&self, protocol: u8, port: u16) -> bool;
}

/// The addresses of the host itself.
pub trait Addresses {
    /// The first IPv4 address of an interface.
    fn address(&self, iface: IfIndex) -> Option<core::net::IpAddr>;

    /// Whether an address is one of an interface.
    fn has(&self, iface: IfIndex, address: core::net::IpAddr) -> bool;
}

/// One host's filter; a host without rules has none at all.
#[derive(Debug)]
pub struct Filter {
    node: NodeId,
    luck: Luck,
    /// The table `filter`.
    rules: Rules,
    /// The table `nat`.
    nat_rules: Rules,
    /// The table `mangle`.
    mangle: Rules,
    /// What a rule asked for of the packet that was just looked at.
    mss: Option<Mss>,
    face: firewall::Face,
    log: log::HostLog,
    conntrack: conntrack::Conntrack,
    nat: nat::Nat,
    drops: BTreeMap<DropReason, u64>,
    /// How many sessions ended so far.
    ended: u64,
    /// The latest time heard of: lists of sessions rely on time not running backwards.
    now: Instant,
}

impl Filter {
    /// A filter without rules: it tracks connections and lets everything pass. `luck` belongs to
    /// the host's name.
    pub fn new(node: NodeId, luck: Luck) -> Filter {
        Filter {
            node,
            luck,
            rules: Rules::empty(Table::Filter),
            nat_rules: Rules::empty(Table::Nat),
            mangle: Rules::empty(Table::Mangle),
            mss: None,
            face: firewall::Face::default(),
            log: log::HostLog::default(),
            conntrack: conntrack::Conntrack::new(luck.draw(0, 0)),
            nat: nat::Nat::default(),
            drops: BTreeMap::new(),
            ended: 0,
            now: Instant::ZERO,
        }
    }
}
