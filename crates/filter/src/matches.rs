//! What a rule compares a packet with, and the facts of a packet that it is compared by.

use core::net::IpAddr;

use bitflags::bitflags;
use netarium_base::IfIndex;
use netarium_base::trace::Text;
use netarium_wire::{Frame, TcpFlags, protocol};

use crate::prefix::{Cidr, PortRange};
use crate::rules::RuleError;
use crate::tuple::icmp_of;

/// The most ranges of one list of ports, as `multiport` has it: a range counts as two ports.
pub const MULTIPORT_MAX: usize = 15;

bitflags! {
    /// What connection tracking thinks of a packet. A packet is in exactly one of the first five
    /// states; a rule may ask for several.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct States: u8 {
        /// It belongs to a flow that no answer was seen of yet.
        const NEW = 1;
        /// It belongs to a flow with packets in both directions.
        const ESTABLISHED = 2;
        /// It is an ICMP error about a tracked flow.
        const RELATED = 4;
        /// It belongs to nothing known and cannot begin anything.
        const INVALID = 8;
        /// It is never tracked: neighbour discovery.
        const UNTRACKED = 16;
        /// The source of its flow is translated.
        const SNAT = 32;
        /// The destination of its flow is translated.
        const DNAT = 64;
    }
}

/// A value to compare with, or (`not`) to differ from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Is<T> {
    /// The value.
    pub value: T,
    /// Whether the rule wants anything but the value (`!` of iptables).
    pub not: bool,
}

impl<T> From<T> for Is<T> {
    fn from(value: T) -> Is<T> {
        Is { value, not: false }
    }
}

impl<T> Is<T> {
    /// Anything but `value`.
    pub fn not(value: T) -> Is<T> {
        Is { value, not: true }
    }

    fn ok(&self, test: impl FnOnce(&T) -> bool) -> bool {
        test(&self.value) != self.not
    }
}

/// An ICMP type with an optional code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpType {
    /// Type; [`IcmpType::ANY`] is any.
    pub kind: u8,
    /// Code; any when absent.
    pub code: Option<u8>,
}

impl IcmpType {
    /// The type that stands for any, as in the kernel.
    pub const ANY: u8 = 255;
}

/// Interfaces of the host, by one index or by a name that was looked up when the rule was made:
/// `eth+` means several, and the name of no interface none at all.
#[derive(Clone, Debug)]
pub struct Interfaces {
    name: Option<Text>,
    indices: Box<[IfIndex]>,
}

impl Interfaces {
    /// What `name` meant on the host.
    pub fn named(name: Text, indices: impl IntoIterator<Item = IfIndex>) -> Interfaces {
        Interfaces { name: Some(name), indices: indices.into_iter().collect() }
    }

    /// The name as it was written; `None` for an interface that was given by its index.
    pub fn name(&self) -> Option<&Text> {
        self.name.as_ref()
    }

    /// The interfaces.
    pub fn indices(&self) -> &[IfIndex] {
        &self.indices
    }

    fn contains(&self, index: IfIndex) -> bool {
        self.indices.contains(&index)
    }
}

impl PartialEq for Interfaces {
    /// The same interfaces, however they were written.
    fn eq(&self, other: &Interfaces) -> bool {
        self.indices == other.indices && (!self.indices.is_empty() || self.name == other.name)
    }
}

impl Eq for Interfaces {}

impl From<IfIndex> for Interfaces {
    fn from(index: IfIndex) -> Interfaces {
        Interfaces { name: None, indices: Box::new([index]) }
    }
}

impl From<IfIndex> for Is<Interfaces> {
    fn from(index: IfIndex) -> Is<Interfaces> {
        Is::from(Interfaces::from(index))
    }
}

/// TCP flags: of those in `mask`, exactly those in `set` are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagTest {
    /// The flags that are looked at.
    pub mask: TcpFlags,
    /// Those of them that have to be set.
    pub set: TcpFlags,
}

impl FlagTest {
    /// `--syn`: of FIN, SYN, RST and ACK only SYN.
    pub fn syn() -> FlagTest {
        let mask = TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST | TcpFlags::ACK;
        FlagTest { mask, set: TcpFlags::SYN }
    }
}

/// Which port a list of ports is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSide {
    /// The source port.
    Source,
    /// The destination port.
    Destination,
    /// Either of them.
    Either,
}

/// A list of ports (`multiport`); TCP, UDP and their like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Which port.
    pub side: PortSide,
    /// The ranges: one to [`MULTIPORT_MAX`] ports, a range being two.
    pub ranges: Vec<PortRange>,
    /// Whether the rule wants none of them.
    pub not: bool,
}

impl Ports {
    fn matches(&self, (source, destination): (u16, u16)) -> bool {
        let among = |port| self.ranges.iter().any(|r| r.contains(port));
        let hit = match self.side {
            PortSide::Source => among(source),
            PortSide::Destination => among(destination),
            PortSide::Either => among(source) || among(destination),
        };
        hit != self.not
    }
}

/// The parts of a rule that iptables writes as `-m NAME`, for the order in which a rule is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Ports and flags of TCP.
    Tcp,
    /// Ports of UDP.
    Udp,
    /// The ICMP type.
    Icmp,
    /// Connection-tracking state, as `conntrack --ctstate`.
    Conntrack,
    /// The same, in its old spelling `state --state`.
    State,
    /// The next of [`Match::multiport`].
    Multiport,
    /// The comment.
    Comment,
}

/// The order in which the modules of a rule were written. It decides nothing, and rules that differ
/// in it only are equal.
#[derive(Clone, Debug, Default)]
pub struct Layout(pub Vec<Module>);

impl PartialEq for Layout {
    fn eq(&self, _: &Layout) -> bool {
        true
    }
}

impl Eq for Layout {}

/// What a rule compares. Absent parts match everything; a packet matches when all parts do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// IP protocol number.
    pub protocol: Option<Is<u8>>,
    /// Source address.
    pub source: Option<Is<Cidr>>,
    /// Destination address.
    pub destination: Option<Is<Cidr>>,
    /// Source port; TCP or UDP only.
    pub source_ports: Option<Is<PortRange>>,
    /// Destination port; TCP or UDP only.
    pub destination_ports: Option<Is<PortRange>>,
    /// Lists of ports; TCP or UDP only.
    pub multiport: Vec<Ports>,
    /// TCP flags; TCP only.
    pub tcp_flags: Option<Is<FlagTest>>,
    /// Interface the packet came by.
    pub input: Option<Is<Interfaces>>,
    /// Interface the packet leaves by.
    pub output: Option<Is<Interfaces>>,
    /// Connection-tracking state.
    pub states: Option<Is<States>>,
    /// ICMP type; ICMP or ICMPv6 only.
    pub icmp: Option<Is<IcmpType>>,
    /// What people say about the rule; compares nothing.
    pub comment: Option<Text>,
    /// The order in which it was written.
    pub layout: Layout,
}

impl Match {
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        let is = |wanted: &[u8]| self.protocol.is_some_and(|p| !p.not && wanted.contains(&p.value));
        let ports = self.source_ports.is_some() || self.destination_ports.is_some();
        if (ports || !self.multiport.is_empty()) && !is(&[protocol::TCP, protocol::UDP]) {
            return Err(RuleError::PortsNeedProtocol);
        }
        if self.tcp_flags.is_some() && !is(&[protocol::TCP]) {
            return Err(RuleError::FlagsNeedTcp);
        }
        if self.icmp.is_some() && !is(&[protocol::ICMP, protocol::ICMPV6]) {
            return Err(RuleError::IcmpNeedsProtocol);
        }
        if self.states.is_some_and(|s| s.value.is_empty()) {
            return Err(RuleError::NoStates);
        }
        let width = |r: &PortRange| if r.count() == 1 { 1 } else { 2 };
        let fits = |p: &Ports| (1..=MULTIPORT_MAX).contains(&p.ranges.iter().map(width).sum());
        if self.multiport.len() > MULTIPORT_MAX || !self.multiport.iter().all(fits) {
            return Err(RuleError::PortList);
        }
        match (self.source, self.destination) {
            (Some(s), Some(d)) if s.value.address().is_ipv4() != d.value.address().is_ipv4() => {
                Err(RuleError::FamiliesDiffer(s.value, d.value))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn matches(&self, f: &Facts) -> bool {
        self.protocol.is_none_or(|m| m.ok(|&p| p == f.protocol))
            && self.states.is_none_or(|m| m.ok(|s| s.intersects(f.state)))
            && iface_matches(self.input.as_ref(), f.input)
            && iface_matches(self.output.as_ref(), f.output)
            && self.source.is_none_or(|m| m.ok(|p| p.contains(f.src)))
            && self.destination.is_none_or(|m| m.ok(|p| p.contains(f.dst)))
            && port_matches(self.source_ports, f.ports.map(|p| p.0))
            && port_matches(self.destination_ports, f.ports.map(|p| p.1))
            && self.multiport.iter().all(|list| f.ports.is_some_and(|p| list.matches(p)))
            && self.icmp.is_none_or(|m| f.icmp.is_some_and(|i| icmp_matches(m, i)))
            && self
                .tcp_flags
                .is_none_or(|m| f.flags.is_some_and(|flags| m.ok(|t| flags & t.mask == t.set)))
    }
}

fn iface_matches(wanted: Option<&Is<Interfaces>>, index: Option<IfIndex>) -> bool {
    wanted.is_none_or(|m| m.ok(|set| index.is_some_and(|i| set.contains(i))))
}

/// A packet without ports matches neither a range nor its opposite.
fn port_matches(wanted: Option<Is<PortRange>>, port: Option<u16>) -> bool {
    wanted.is_none_or(|m| port.is_some_and(|p| m.ok(|r| r.contains(p))))
}

fn icmp_matches(wanted: Is<IcmpType>, (kind, code): (u8, u8)) -> bool {
    wanted.ok(|t| {
        t.kind == IcmpType::ANY || (t.kind == kind && t.code.is_none_or(|wanted| wanted == code))
    })
}

/// What rules compare with, taken from a packet once per hook.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) protocol: u8,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) flags: Option<TcpFlags>,
    pub(crate) icmp: Option<(u8, u8)>,
    pub(crate) input: Option<IfIndex>,
    pub(crate) output: Option<IfIndex>,
    pub(crate) state: States,
}

impl Facts {
    /// The facts of an IP packet; `None` for other frames.
    #[inline]
    pub(crate) fn of(
        frame: &Frame,
        input: Option<IfIndex>,
        output: Option<IfIndex>,
        state: States,
    ) -> Option<Facts> {
        let protocol = frame.protocol()?;
        let (ports, flags, icmp) = match protocol {
            protocol::TCP => (frame.ports(), tcp_flags(frame.transport()), None),
            protocol::UDP => (frame.ports(), None, None),
            _ => (None, None, icmp_of(frame).map(|i| (i.kind, i.code))),
        };
        Some(Facts {
            protocol,
            src: frame.src_ip()?,
            dst: frame.dst_ip()?,
            ports,
            flags,
            icmp,
            input,
            output,
            state,
        })
    }
}

/// The flags of a whole TCP header.
fn tcp_flags(transport: &[u8]) -> Option<TcpFlags> {
    let word = transport.get(12..14)?;
    Some(TcpFlags::from_bits_truncate(u16::from_be_bytes([word[0], word[1]])))
}

#[cfg(test)]
#[path = "matches_tests.rs"]
mod tests;
