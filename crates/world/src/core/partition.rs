//! Partitions: sets of hosts between which nothing passes, whatever wires there are.
//!
//! A frame is cut off at the first wire that it is handed to when the two hosts of this hop stand on
//! different sides (by their MAC addresses; of a broadcast, the host at the wire's far end), or the
//! two hosts at the ends of its packet (by their IP addresses, of ARP too). Routers between the
//! sides go on working for others; behind an address translation the translated address counts. The
//! addresses are those that hosts had when the partition was made. Hosts of no side reach everyone.

use core::net::IpAddr;

use netarium_base::map::Map;
use netarium_base::{Cause, DropReason, LinkEnd, LinkId, NodeId, Place};
use netarium_wire::{Arp, Frame, Mac, Network};

use super::{Core, Due, Net};
use crate::link::DirId;
use crate::node::Kind;

/// How many partitions there are at most at a time.
const PARTITIONS_MAX: usize = 64;
/// How many sides one has at most.
const SIDES_MAX: usize = 64;

/// A partition, to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Its name.
    pub name: String,
    /// The hosts of each side.
    pub sides: Vec<Vec<String>>,
}

/// A partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) view: PartitionView,
    hosts: Map<NodeId, u8>,
    macs: Map<Mac, u8>,
    addresses: Map<IpAddr, u8>,
}

impl Partition {
    /// Whether a frame on the way to the node `far` is cut off.
    fn cuts(&self, frame: &Frame, far: NodeId) -> bool {
        let apart = |a: Option<&u8>, b: Option<&u8>| a.zip(b).is_some_and(|(a, b)| a != b);
        let to = frame.dst_mac();
        let by_mac = self.macs.get(&frame.src_mac());
        let hop = if to.is_multicast() { self.hosts.get(&far) } else { self.macs.get(&to) };
        if apart(by_mac, hop) {
            return true;
        }
        let (from, to) = match frame.meta.layers.network {
            Network::Arp => match Arp::parse(frame.network()) {
                Ok(arp) => (Some(arp.sender.into()), Some(arp.target.into())),
                Err(_) => return false,
            },
            _ => (frame.src_ip(), frame.dst_ip()),
        };
        let side = |ip: Option<IpAddr>| self.addresses.get(&ip?);
        apart(side(from), side(to))
    }
}

impl Net {
    /// Whether a partition keeps a frame off a wire.
    #[cold]
    pub(super) fn is_cut(&self, direction: DirId, frame: &Frame) -> bool {
        let link = &self.links[direction.link().0 as usize];
        let (far, _) = link.ends[direction.source().other().index()];
        !link.is_loopback() && self.partitions.iter().any(|p| p.cuts(frame, far))
    }

    /// Takes frames under way off a wire; they are dropped because of `cause`.
    fn take_off(
        &mut self,
        direction: DirId,
        (cause, reason): (Cause, DropReason),
        which: impl Fn(&Frame) -> bool,
    ) {
        let (id, end) = (direction.link(), direction.source());
        let wire = &mut self.links[id.0 as usize].directions[end.index()];
        let (taken, next) = wire.take_out(which);
        let count = taken.len() as u64;
        match reason {
            DropReason::Partition => wire.tally.rare().dropped_partition += count,
            _ => wire.tally.rare().dropped_cut += count,
        }
        next.into_iter().for_each(|key| self.queue.push(key, Due::Arrival(direction)));
        self.in_flight -= taken.len();
        for (_, frame) in taken {
            let cause = cause.carrying(frame.meta.cause);
            let place = Place::Link(id, end);
            self.tracer.drop_at(self.now, cause, place, frame.meta.flow, reason, frame.len());
        }
    }

    fn directions_of(link: LinkId) -> [DirId; 2] {
        [LinkEnd::A, LinkEnd::B].map(|end| DirId::from(link, end))
    }

    /// Drops everything that is under way on a link.
    pub(super) fn clear_link(&mut self, link: LinkId, cause: Cause) {
        for direction in Net::directions_of(link) {
            self.take_off(direction, (cause, DropReason::LinkCut), |_| true);
        }
    }

    fn cut_in_flight(&mut self, partition: &Partition, cause: Cause) {
        for id in (0..self.links.len() as u32).map(LinkId) {
            for direction in Net::directions_of(id) {
                let link = &self.links[id.0 as usize];
                if link.is_loopback() {
                    continue;
                }
                let (far, _) = link.ends[direction.source().other().index()];
                self.take_off(direction, (cause, DropReason::Partition), |f| {
                    partition.cuts(f, far)
                });
            }
        }
    }
}

impl Core {
    /// Parts hosts from each other; with one side, those from all others.
    pub(super) fn part(
        &mut self,
        name: &str,
        sides: &[Vec<String>],
        in_flight: bool,
        cause: Cause,
    ) -> Result<(), String> {
        let all = &self.net.partitions;
        if all.iter().any(|p| p.view.name == name) {
            return Err(format!("there is a partition `{name}` already"));
        }
        if all.len() >= PARTITIONS_MAX {
            return Err(format!("there are {PARTITIONS_MAX} partitions already"));
        }
        let partition = self.partition(name, self.sides(sides)?)?;
        if in_flight {
            self.net.cut_in_flight(&partition, cause);
        }
        self.net.partitions.push(partition);
        Ok(())
    }

    /// Takes a partition away, or all.
    pub(super) fn heal(&mut self, name: Option<&str>) -> Result<(), String> {
        let before = self.net.partitions.len();
        self.net.partitions.retain(|p| name.is_some_and(|name| p.view.name != name));
        match name {
            Some(name) if self.net.partitions.len() == before => {
                Err(format!("there is no partition `{name}`"))
            }
            _ => Ok(()),
        }
    }

    fn sides(&self, given: &[Vec<String>]) -> Result<Vec<Vec<String>>, String> {
        let mut sides = given.to_vec();
        if let [one] = given {
            let nodes = (0..).map(NodeId).zip(&self.nodes);
            let hosts = nodes.filter(|(_, node)| matches!(node.kind, Kind::Host(_)));
            let names = hosts.map(|(id, _)| {
                use netarium_base::trace::Names;
                self.names.node(id).to_owned()
            });
            sides.push(names.filter(|name| !one.contains(name)).collect());
        }
        if !(2..=SIDES_MAX).contains(&sides.len()) || sides.iter().any(Vec::is_empty) {
            return Err(format!("a partition has 2 to {SIDES_MAX} sides, each with a host"));
        }
        Ok(sides)
    }

    fn partition(&self, name: &str, sides: Vec<Vec<String>>) -> Result<Partition, String> {
        let mut partition = Partition {
            view: PartitionView { name: name.to_owned(), sides },
            hosts: Map::default(),
            macs: Map::default(),
            addresses: Map::default(),
        };
        for (number, side) in (0..).zip(&partition.view.sides) {
            for name in side {
                let id = self.host_id(name).ok_or_else(|| format!("no host is called `{name}`"))?;
                if partition.hosts.insert(id, number).is_some_and(|other| other != number) {
                    return Err(format!("`{name}` stands on two sides"));
                }
                for iface in self.host(id).stack.interfaces().iter().skip(1) {
                    partition.macs.insert(iface.mac, number);
                    let addresses = iface.addresses.iter().map(|net| (net.address(), number));
                    partition.addresses.extend(addresses);
                }
            }
        }
        Ok(partition)
    }
}
