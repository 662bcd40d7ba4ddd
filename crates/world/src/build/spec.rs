//! What a world is made of.

use core::net::IpAddr;
use std::rc::Rc;

use netarium_base::{Instant, NodeId};
use netarium_filter::Filter;
use netarium_stack::ReversePath;
use netarium_wire::{Cidr, Mac};

use crate::files::FileTree;
use crate::link::{DirectionSpec, Faults};

/// Makes a host's filter, once its id is known.
pub type FilterMaker = Box<dyn FnOnce(NodeId) -> Filter>;

/// A host.
#[derive(Default)]
pub struct HostSpec {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: Option<String>,
    /// Whether it forwards packets for others: a router.
    pub forwarding: bool,
    /// Its interfaces besides `lo`. The first gets interface number 2, and so on.
    pub interfaces: Vec<IfaceSpec>,
    /// Routes beyond those to its own networks.
    pub routes: Vec<RouteSpec>,
    /// How a packet's source is compared with the way back to it.
    pub reverse_path: ReversePath,
    /// Whether its TCP connections are paced.
    pub pacing: bool,
    /// Its packet filter, connection tracking and NAT.
    pub filter: Option<FilterMaker>,
    /// The lab's folder; the same for all hosts.
    pub files: Rc<FileTree>,
}

impl std::fmt::Debug for HostSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostSpec")
            .field("name", &self.name)
            .field("forwarding", &self.forwarding)
            .field("interfaces", &self.interfaces)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// An interface of a host.
#[derive(Clone, Debug)]
pub struct IfaceSpec {
    /// Its name: `eth0`.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// The largest IP packet it carries, bytes.
    pub mtu: u16,
    /// Its addresses, each with the prefix of its network.
    pub addresses: Vec<Cidr>,
}

/// A route of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Which destinations.
    pub to: Cidr,
    /// The next hop; none when they are on the link.
    pub via: Option<IpAddr>,
    /// The number of the interface among [`HostSpec::interfaces`], from 0.
    pub iface: usize,
}

/// A link.
#[derive(Clone, Debug)]
pub struct LinkSpec {
    /// Its name: `web.home`.
    pub name: String,
    /// The end that the link is named after.
    pub a: EndSpec,
    /// The other end.
    pub b: EndSpec,
    /// From `a` to `b`.
    pub up: DirectionSpec,
    /// From `b` to `a`.
    pub down: DirectionSpec,
    /// What the directions do beyond that, `up` first.
    pub faults: [Faults; 2],
}

impl LinkSpec {
    /// A link with the same default wire in both directions.
    pub fn new(name: impl Into<String>, a: impl Into<EndSpec>, b: impl Into<EndSpec>) -> LinkSpec {
        let wire = DirectionSpec::default();
        let (name, faults) = (name.into(), Default::default());
        LinkSpec { name, a: a.into(), b: b.into(), up: wire, down: wire, faults }
    }
}

/// What an end of a link is plugged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndSpec {
    /// The node.
    pub node: String,
    /// On a host, the number of the interface among [`HostSpec::interfaces`], from 0. Of no meaning
    /// on switches and hubs, whose ports are numbered in the order of the links' names.
    pub iface: usize,
}

impl From<(&str, usize)> for EndSpec {
    fn from((node, iface): (&str, usize)) -> EndSpec {
        EndSpec { node: node.to_owned(), iface }
    }
}

impl From<(String, usize)> for EndSpec {
    fn from((node, iface): (String, usize)) -> EndSpec {
        EndSpec { node, iface }
    }
}

impl From<&str> for EndSpec {
    fn from(node: &str) -> EndSpec {
        EndSpec { node: node.to_owned(), iface: 0 }
    }
}

impl From<String> for EndSpec {
    fn from(node: String) -> EndSpec {
        EndSpec { node, iface: 0 }
    }
}

/// A program that starts by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSpec {
    /// On which host.
    pub host: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// When.
    pub at: Instant,
    /// In the background: its sleeps do not keep the world from being idle.
    pub daemon: bool,
}
