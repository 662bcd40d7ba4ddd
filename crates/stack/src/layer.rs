//! The IP layer: its tables, and what is asked of them.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::{BTreeMap, VecDeque};

use netarium_base::map::Map;
use netarium_base::{Ctx, DropReason, Event, IfIndex, Instant, Luck, NodeId, Place};
use netarium_filter::{Addresses, Filter, LocalPorts, Reject};
use netarium_wire::{Cidr, Frame, Mac, Network, icmp};
use smallvec::SmallVec;

use crate::conflict::{Conflicts, Probe};
use crate::errno::Errno;
use crate::fragments::{Added, Fragments};
use crate::neighbour::NeighbourCache;
use crate::packet::Taps;
use crate::pmtu::PathMtus;
use crate::route::RouteTable;
use crate::types::{IfCounters, Interface, Lifetime, ReversePath, Route, StackConfig, StackStats};

/// The loopback interface.
pub const LO: IfIndex = IfIndex(1);

/// How often sockets use each local port, so that source NAT keeps away from them.
#[derive(Debug, Default)]
pub struct PortUse {
    uses: Map<(u8, u16), u32>,
}

impl PortUse {
    /// One more socket uses the port.
    pub fn add(&mut self, protocol: u8, port: u16) {
        *self.uses.entry((protocol, port)).or_default() += 1;
    }

    /// One socket fewer uses it.
    pub fn remove(&mut self, protocol: u8, port: u16) {
        if let Some(n) = self.uses.get_mut(&(protocol, port)) {
            *n -= 1;
            if *n == 0 {
                self.uses.swap_remove(&(protocol, port));
            }
            if self.uses.is_empty() {
                // Nor do ten thousand hosts without sockets keep an empty table each.
                self.uses = Map::default();
            }
        }
    }
}

#[cfg(test)]
impl PortUse {
    /// All uses, in order.
    pub(crate) fn snapshot(&self) -> std::collections::BTreeMap<(u8, u16), u32> {
        self.uses.iter().map(|(k, n)| (*k, *n)).collect()
    }
}

impl LocalPorts for PortUse {
    fn in_use(&self, protocol: u8, port: u16) -> bool {
        self.uses.contains_key(&(protocol, port))
    }
}

/// A host's addresses, as its filter asks for them.
pub(crate) struct Own<'a>(pub(crate) &'a [Interface]);

impl Own<'_> {
    fn of(&self, iface: IfIndex) -> impl Iterator<Item = IpAddr> {
        let found = self.0.get(usize::from(iface.0).wrapping_sub(1));
        found.into_iter().flat_map(|i| i.addresses.iter().map(Cidr::address))
    }
}

impl Addresses for Own<'_> {
    fn address(&self, iface: IfIndex) -> Option<IpAddr> {
        self.of(iface).find(IpAddr::is_ipv4)
    }

    fn has(&self, iface: IfIndex, address: IpAddr) -> bool {
        self.of(iface).any(|own| own == address)
    }
}

/// Counters per destination, each from a start that the seed decides: which number a packet gets
/// does not depend on what was sent to others (RFC 6056 §3.3.4, RFC 7739 §5.2). Destinations share
/// 256 counters, so that memory stays bounded.
#[derive(Debug)]
pub(crate) struct Counters {
    luck: Luck,
    /// Which counter, and how far it is; in the order of the counters.
    used: Vec<(u8, u32)>,
}

impl Counters {
    pub(crate) fn new(luck: Luck) -> Counters {
        Counters { luck, used: Vec::new() }
    }

    /// The next number for a destination.
    pub(crate) fn next(&mut self, to: IpAddr) -> u32 {
        let hash = match to {
            IpAddr::V4(a) => self.luck.hash(&a.octets()),
            IpAddr::V6(a) => self.luck.hash(&a.octets()),
        };
        let which = hash as u8;
        let at = match self.used.binary_search_by_key(&which, |&(counter, _)| counter) {
            Ok(at) => at,
            Err(at) => {
                self.used.insert(at, (which, 0));
                at
            }
        };
        let used = &mut self.used[at].1;
        *used = used.wrapping_add(1);
        ((hash >> 32) as u32).wrapping_add(*used)
    }
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface it leaves by.
    pub iface: IfIndex,
    /// The gateway, if the destination is not on the link.
    pub via: Option<IpAddr>,
    /// The source address for packets made here.
    pub source: IpAddr,
}

/// What a socket asks of the way of its packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// Only by this interface.
    pub(crate) device: Option<IfIndex>,
    /// In front of the filter.
    pub(crate) before_filter: bool,
}

/// A packet could not be sent to its next hop.
#[derive(Debug)]
pub struct Unreachable {
    /// The packet.
    pub frame: Box<Frame>,
}

/// The IP layer of a host.
#[derive(Debug)]
pub struct IpLayer {
    pub(crate) node: NodeId,
    pub(crate) forwarding: bool,
    pub(crate) interfaces: Vec<Interface>,
    /// The IPv4 addresses of all interfaces: asked three times per packet.
    own: SmallVec<[Ipv4Addr; 4]>,
    pub(crate) routes: RouteTable,
    pub(crate) neighbours: NeighbourCache,
    pub(crate) filter: Option<Box<Filter>>,
    /// The luck of a filter that is made later.
    pub(crate) filter_luck: Luck,
    pub(crate) transmit: VecDeque<(IfIndex, Box<Frame>)>,
    pub(crate) stats: StackStats,
    pub(crate) ports: PortUse,
    pub(crate) icmp_limit: crate::icmp::Limit,
    pub(crate) path_mtus: PathMtus,
    /// Packets of which not all fragments have come; made with the first of them.
    pub(crate) fragments: Option<Box<Fragments>>,
    /// Packets that could not be resolved; the stack tells their senders.
    pub(crate) unreachable: VecDeque<Unreachable>,
    /// Programs that look at every frame; none on most hosts.
    pub(crate) taps: Option<Box<Taps>>,
    /// Packets made here that the filter rejected; the stack tells their senders.
    pub(crate) rejected: VecDeque<(Box<Frame>, Reject)>,
    /// Until when addresses are good that do not stay.
    pub(crate) lifetimes: BTreeMap<(IfIndex, IpAddr), Lifetime>,
    /// Addresses that are being probed.
    pub(crate) probes: Vec<Probe>,
    pub(crate) conflicts: Conflicts,
    pub(crate) reverse_path: ReversePath,
    /// IPv4 identifications, per destination: what is sent elsewhere changes none of them.
    pub(crate) ids: Counters,
}

impl IpLayer {
    pub(crate) fn new(config: &StackConfig) -> IpLayer {
        let lo = Interface {
            index: LO,
            name: "lo".to_owned(),
            mac: Mac::ZERO,
            mtu: 65_535,
            addresses: Vec::new(),
            up: true,
            promiscuous: 0,
            counters: IfCounters::default(),
        };
        IpLayer {
            node: config.node,
            forwarding: config.forwarding,
            interfaces: vec![lo],
            own: SmallVec::new(),
            routes: RouteTable::default(),
            neighbours: NeighbourCache::default(),
            filter: None,
            filter_luck: config.seed.luck(&config.name, "filter"),
            transmit: VecDeque::new(),
            stats: StackStats::default(),
            ports: PortUse::default(),
            icmp_limit: crate::icmp::Limit::default(),
            path_mtus: PathMtus::default(),
            fragments: None,
            unreachable: VecDeque::new(),
            taps: None,
            rejected: VecDeque::new(),
            lifetimes: BTreeMap::new(),
            probes: Vec::new(),
            conflicts: Conflicts::new(),
            reverse_path: ReversePath::Off,
            ids: Counters::new(config.seed.luck(&config.name, "ip-id")),
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place::Node(self.node)
    }

    pub(crate) fn iface(&self, index: IfIndex) -> Option<&Interface> {
        self.interfaces.get(usize::from(index.0).checked_sub(1)?)
    }

    pub(crate) fn iface_mut(&mut self, index: IfIndex) -> Option<&mut Interface> {
        self.interfaces.get_mut(usize::from(index.0).checked_sub(1)?)
    }

    /// Whether `ip` is an address of this host: configured, or anywhere in 127.0.0.0/8.
    #[inline]
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) => v4.is_loopback() || self.own.contains(&v4),
            IpAddr::V6(_) => ip.is_loopback() || self.addresses().any(|(_, a)| a.address() == ip),
        }
    }

    /// Notes the addresses anew, after one was added or taken away.
    pub(crate) fn note_addresses(&mut self) {
        let v4 = |(_, a): (IfIndex, Cidr)| match a.address() {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        };
        self.own = self.addresses().filter_map(v4).collect();
    }

    /// Whether `ip` is the limited broadcast or a directed broadcast of one of our networks.
    pub(crate) fn is_broadcast(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(v4) = ip else { return false };
        // Networks of two addresses and less have no broadcast address (RFC 3021), so that the last
        // two bits of one are always set: for most addresses that is the answer.
        u32::from(v4) & 3 == 3
            && (is_limited_broadcast(ip)
                || self.addresses().any(|(_, a)| a.broadcast() == Some(ip)))
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = (IfIndex, Cidr)> + '_ {
        let ifaces = self.interfaces.iter();
        ifaces.flat_map(|i| i.addresses.iter().map(move |a| (i.index, *a)))
    }

    /// Where a packet made here for `dst` goes.
    ///
    /// # Errors
    /// ENETUNREACH without a route, ENETDOWN when the route's interface is down, EADDRNOTAVAIL
    /// when it has no address.
    pub(crate) fn hop_for(&self, dst: IpAddr) -> Result<Hop, Errno> {
        if self.is_own(dst) {
            return Ok(Hop { iface: LO, via: None, source: dst });
        }
        self.hop_away(dst)
    }

    /// Where a packet goes that is not for this host.
    ///
    /// # Errors
    /// As [`IpLayer::hop_for`].
    pub(crate) fn hop_away(&self, dst: IpAddr) -> Result<Hop, Errno> {
        let route = self.routes.look_up(dst).ok_or(Errno::ENETUNREACH)?;
        let iface = self.iface(route.iface).ok_or(Errno::ENETUNREACH)?;
        if !iface.up {
            return Err(Errno::ENETDOWN);
        }
        // The limited broadcast is for everybody on the wire, not for a router.
        let via = route.via.filter(|_| !is_limited_broadcast(dst));
        let source = route.source.or_else(|| source_on(iface, via.unwrap_or(dst)));
        let source = source.ok_or(Errno::EADDRNOTAVAIL)?;
        Ok(Hop { iface: route.iface, via, source })
    }

    /// Where a packet of a socket goes that is tied to an interface (SO_BINDTODEVICE): as Linux
    /// believes, to a neighbour there when no route says more. The source is 0.0.0.0 while the
    /// interface has no address.
    ///
    /// # Errors
    /// ENETDOWN, ENODEV-like ENETUNREACH for an interface that is not there.
    pub(crate) fn hop_on(&self, dst: IpAddr, device: Option<IfIndex>) -> Result<Hop, Errno> {
        let Some(device) = device else { return self.hop_for(dst) };
        if self.is_own(dst) {
            return self.hop_for(dst);
        }
        let iface = self.iface(device).ok_or(Errno::ENETUNREACH)?;
        if !iface.up {
            return Err(Errno::ENETDOWN);
        }
        let route = self.routes.look_up_on(dst, device);
        let via = route.and_then(|r| r.via).filter(|_| !is_limited_broadcast(dst));
        let source = route.and_then(|r| r.source);
        let source = source.or_else(|| source_on(iface, via.unwrap_or(dst)));
        let source = source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Hop { iface: device, via, source })
    }

    /// The MTU of the interface that packets for `dst` leave by; 576 when there is none (RFC 1122
    /// §3.3.3).
    pub(crate) fn interface_mtu(&self, dst: IpAddr) -> u16 {
        self.hop_for(dst).ok().and_then(|h| self.iface(h.iface)).map_or(576, |i| i.mtu)
    }

    /// The largest packet to `dst`: what was learnt of the path, at most the interface's MTU.
    pub(crate) fn path_mtu(&self, now: Instant, dst: IpAddr) -> u16 {
        let own = self.interface_mtu(dst);
        self.path_mtus.get(now, dst).map_or(own, |path| path.mtu.min(own))
    }

    pub(crate) fn add_route(&mut self, route: Route) -> bool {
        self.routes.add(route)
    }

    /// Ends a packet here, with its reason.
    pub(crate) fn drop(&mut self, cx: &mut Ctx<'_>, frame: &Frame, reason: DropReason) {
        let place = self.place();
        let meta = &frame.meta;
        cx.trace.drop_at(cx.now, meta.cause, place, meta.flow, reason, frame.len());
    }

    /// Takes a fragment in; the whole packet, when it was the last that was missing.
    pub(crate) fn reassemble(&mut self, cx: &mut Ctx<'_>, frame: Box<Frame>) -> Option<Box<Frame>> {
        self.stats.ip_reasm_reqds += 1;
        let fragments = self.fragments.get_or_insert_with(Box::default);
        match fragments.add(cx.now, frame) {
            Added::Waiting => None,
            Added::Dropped(frame, reason) => {
                self.stats.ip_reasm_fails += 1;
                self.drop(cx, &frame, reason);
                None
            }
            Added::Whole(mut whole, count) => {
                self.stats.ip_reasm_oks += 1;
                let (fragments, len) = (count as u32, whole.ip_len() as u32);
                let event = || Event::Reassembled { fragments, len };
                let place = self.place();
                whole.meta.cause = cx.with(whole.meta.cause).emit(place, whole.meta.flow, event);
                Some(whole)
            }
        }
    }

    /// The next IPv4 identification, for packets that may be fragmented (RFC 6864).
    pub(crate) fn next_ip_id(&mut self, to: IpAddr) -> u16 {
        self.ids.next(to) as u16
    }

    /// When something of this layer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let filter = self.filter.as_ref().and_then(|f| f.next_deadline());
        let fragments = self.fragments.as_ref().and_then(|f| f.next_deadline());
        let near = earlier(self.neighbours.next_deadline(), earlier(filter, fragments));
        if self.lifetimes.is_empty() {
            return near;
        }
        earlier(near, self.lifetimes.values().map(|l| l.valid_until).min())
    }
}

/// The earlier of two times, if there is any. Asked for after every event: as an iterator over all
/// of them it was 4 % of a transfer.
pub(crate) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}

pub(crate) fn is_limited_broadcast(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

/// The address of `iface` to speak to `peer` from: one of the same network if there is one.
pub(crate) fn source_on(iface: &Interface, peer: IpAddr) -> Option<IpAddr> {
    let same_family = |a: &&Cidr| a.address().is_ipv4() == peer.is_ipv4();
    let fits = iface.addresses.iter().find(|a| a.contains(peer));
    fits.or_else(|| iface.addresses.iter().find(same_family)).map(Cidr::address)
}

/// Whether an ICMP error may be sent about a packet (RFC 1122 §3.2.2): not about errors, not about
/// what went to everyone, not about later fragments, not to nobody.
pub(crate) fn may_answer_with_error(frame: &Frame, broadcast: bool) -> bool {
    let source_is_one_host = match frame.src_ip() {
        Some(IpAddr::V4(s)) => !s.is_unspecified() && !s.is_broadcast() && !s.is_multicast(),
        _ => false,
    };
    let is_error = icmp::Icmp::of(frame).is_some_and(|i| i.is_error());
    let later_fragment = frame.meta.layers.fragment && frame.transport().is_empty();
    let network = frame.meta.layers.network == Network::Ipv4;
    network
        && source_is_one_host
        && !is_error
        && !broadcast
        && !later_fragment
        && !frame.dst_mac().is_multicast()
        && !matches!(frame.dst_ip(), Some(IpAddr::V4(d)) if d.is_multicast() || d.is_broadcast())
}
