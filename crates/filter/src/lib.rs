//! Packet filter, connection tracking and NAT of one host.

use core::net::IpAddr;

use netarium_base::{Ctx, DropReason, IfIndex, Instant, Luck, NodeId};
use netarium_wire::Frame;

pub mod chain;
mod config;
pub mod firewall;
pub mod nat;
pub mod prefix;
pub mod rules;
pub mod tuple;

pub use chain::{Chain, Counters, Policy};
pub use firewall::{InboundAction, InboundRule};
pub use nat::{PortForward, SourceNat, SourceTo};
pub use prefix::{PortRange, Prefix};
pub use rules::{IcmpType, Is, Match, Rule, RuleError, States, Target};
pub use tuple::Tuple;

/// The loopback interface of every host.
pub const LOOPBACK: IfIndex = IfIndex(1);

/// What a hook decides about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// One host's filter; a host without rules has none at all.
#[derive(Debug)]
pub struct Filter {
    node: NodeId,
    luck: Luck,
    chains: [chain::RuleList; 5],
    nat: nat::Nat,
}

impl Filter {
    /// A filter without rules: it tracks connections and lets everything pass.
    pub fn new(node: NodeId, luck: Luck) -> Filter {
        let chains = std::array::from_fn(|_| chain::RuleList::new());
        Filter { node, luck, chains, nat: nat::Nat::default() }
    }
    /// Prerouting.
    pub fn prerouting(&mut self, _: &mut Ctx<'_>, _: IfIndex, _: &mut Frame) -> Verdict {
        Verdict::Accept
    }
    /// Input.
    pub fn input(&mut self, _: &mut Ctx<'_>, _: IfIndex, _: &mut Frame) -> Verdict {
        Verdict::Accept
    }
    /// Forward.
    pub fn forward(&mut self, _: &mut Ctx<'_>, _: IfIndex, _: IfIndex, _: &mut Frame) -> Verdict {
        Verdict::Accept
    }
    /// Output.
    pub fn output(&mut self, _: &mut Ctx<'_>, _: IfIndex, _: &mut Frame) -> Verdict {
        Verdict::Accept
    }
    /// Postrouting.
    pub fn postrouting(
        &mut self,
        _: &mut Ctx<'_>,
        _: IfIndex,
        _: IpAddr,
        _: &dyn LocalPorts,
        _: &mut Frame,
    ) -> Verdict {
        Verdict::Accept
    }
    /// Next deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }
    /// Handle deadlines.
    pub fn handle_deadlines(&mut self, _: &mut Ctx<'_>) {}
}
