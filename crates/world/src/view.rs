//! Looking at a world: its nodes, links, processes and counters.

use core::net::IpAddr;
use std::rc::Rc;

use netarium_base::trace::Names;
use netarium_base::{DropReason, IfIndex, LinkId, NodeId, Pid, Place};
use netarium_stack::Stack;

use crate::World;
use crate::core::partition::PartitionView;
use crate::core::schedule::Scheduled;
use crate::files::{DirEntry, FileError};
use crate::gateway::ConnectionInfo;
use crate::link::{DirectionSpec, DirectionStats, Faults};
use crate::node::Kind;
use crate::process::{ExitedProcess, ProcessInfo};
use crate::switch::{PortCounters, SwitchEntry, SwitchStats, SwitchView};

/// What kind of node it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A host.
    Host,
    /// A switch.
    Switch,
    /// A hub.
    Hub,
}

/// A node, to look at.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: &'a str,
    /// What people read.
    pub title: Option<&'a str>,
    /// What it is.
    pub kind: NodeKind,
}

/// A link, to look at.
#[derive(Clone, Debug)]
pub struct LinkView<'a> {
    /// Its id.
    pub id: LinkId,
    /// Its name.
    pub name: &'a str,
    /// The nodes at its ends, A first.
    pub ends: [NodeId; 2],
    /// The wires, `up` first.
    pub wires: [DirectionSpec; 2],
    /// What they do beyond that.
    pub faults: [Faults; 2],
    /// What passed through them.
    pub stats: [DirectionStats; 2],
    /// Whether it takes frames.
    pub up: bool,
}

/// Queries.
impl World {
    /// All nodes by name.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'_>> {
        let core = self.seat.look();
        (0..).map(NodeId).zip(&core.nodes).map(|(id, node)| NodeView {
            id,
            name: core.names.node(id),
            title: node.title.as_deref(),
            kind: match node.kind {
                Kind::Host(_) => NodeKind::Host,
                Kind::Switch(_) => NodeKind::Switch,
                Kind::Hub(_) => NodeKind::Hub,
            },
        })
    }

    /// All hosts by name.
    pub fn hosts(&self) -> impl Iterator<Item = NodeView<'_>> {
        self.nodes().filter(|n| n.kind == NodeKind::Host)
    }

    /// All links by name, loopback links included.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'_>> {
        let core = self.seat.look();
        (0..).map(LinkId).zip(&core.net.links).map(|(id, link)| LinkView {
            id,
            name: core.names.link(id),
            ends: link.ends.map(|(node, _)| node),
            wires: [0, 1].map(|i| link.directions[i].spec),
            faults: [0, 1].map(|i| link.directions[i].faults()),
            stats: [0, 1].map(|i| link.directions[i].stats()),
            up: link.is_up(),
        })
    }

    /// The node of this name.
    pub fn node_id(&self, name: &str) -> Option<NodeId> {
        self.seat.look().names.node_id(name)
    }

    /// The host of this name.
    pub fn host_id(&self, name: &str) -> Option<NodeId> {
        self.seat.look().host_id(name)
    }

    /// The link of this name.
    pub fn link_id(&self, name: &str) -> Option<LinkId> {
        self.seat.look().names.link_id(name)
    }

    /// The names of the programs that hosts can run, sorted.
    pub fn program_names(&self) -> Vec<&'static str> {
        self.seat.look().programs.names()
    }

    /// The processes of a host by id; none on other nodes.
    pub fn processes(&self, host: NodeId) -> Vec<ProcessInfo> {
        let core = self.seat.look();
        if self.stack(host).is_some() { core.processes(host) } else { Vec::new() }
    }

    /// The programs that run in the background on a host, by process id: program and arguments.
    pub fn daemons(&self, host: NodeId) -> Vec<Rc<[String]>> {
        let Some(_) = self.stack(host) else { return Vec::new() };
        let procs = self.seat.look().host(host).procs.values();
        procs.filter(|p| p.daemon && !p.ending).map(|p| Rc::clone(&p.argv)).collect()
    }

    /// The programs that ran in the background on a host until a command ended them (or tried to).
    pub fn killed(&self, host: NodeId) -> &[Rc<[String]>] {
        self.stack(host).map_or(&[], |_| &self.seat.look().host(host).killed)
    }

    /// The last processes of a host that have ended, with their output.
    pub fn exited(&self, host: NodeId) -> Vec<ExitedProcess> {
        let core = self.seat.look();
        match self.stack(host) {
            Some(_) => core.host(host).exited.0.iter().cloned().collect(),
            None => Vec::new(),
        }
    }

    /// The programs that ran in the background and ended by themselves with an exit code other than 0,
    /// since the last call; of more than 64, the latest.
    pub fn take_failed(&mut self) -> Vec<(NodeId, ExitedProcess)> {
        let failed = std::mem::take(&mut self.seat.core().failed);
        let last = |(node, pid): (NodeId, Pid)| {
            let process = self.exited(node).into_iter().rev().find(|e| e.info.pid == pid)?;
            Some((node, process))
        };
        failed.into_iter().filter_map(last).collect()
    }

    /// The names in the lab's hosts table, in its order.
    pub fn known_names(&self) -> Vec<String> {
        self.seat.look().hosts_table.keys().cloned().collect()
    }

    /// What a folder of a host has in it, sorted by name.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::NotFound`] also when there is no such host.
    pub fn list_dir(&self, host: NodeId, path: &str) -> Result<Vec<DirEntry>, FileError> {
        let Some(_) = self.stack(host) else { return Err(FileError::NotFound) };
        self.seat.look().files(host).list(&crate::process::absolute("", path))
    }

    /// The latest output of a running process that has no session.
    pub fn process_log(&self, host: NodeId, pid: Pid) -> Option<Vec<u8>> {
        self.stack(host)?;
        Some(self.seat.look().host(host).procs.get(&pid)?.kept())
    }

    /// The host that has an address now.
    pub fn address_holder(&self, address: IpAddr) -> Option<NodeId> {
        self.seat.look().holder(address)
    }

    /// Who real clients are, by the addresses that they have in the lab; in the order in which they
    /// came.
    pub fn clients(&self) -> Vec<(IpAddr, Rc<str>)> {
        let clients = self.seat.look().gateway.clients.iter();
        clients.map(|(address, label)| (*address, Rc::clone(label))).collect()
    }

    /// The outside connections, and the datagrams of outside clients, by port.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.seat.look().gateway.connections()
    }

    /// The stack of a host.
    pub fn stack(&self, host: NodeId) -> Option<&Stack> {
        match &self.seat.look().nodes.get(host.0 as usize)?.kind {
            Kind::Host(h) => Some(&h.stack),
            _ => None,
        }
    }

    /// What passed through the two directions of a link, `up` first.
    pub fn link_stats(&self, link: LinkId) -> Option<[DirectionStats; 2]> {
        let link = self.seat.look().net.links.get(link.0 as usize)?;
        Some([0, 1].map(|i| link.directions[i].stats()))
    }

    /// The addresses that a switch has learned, sorted; none on other nodes.
    pub fn switch_table(&self, switch: NodeId) -> Vec<SwitchEntry> {
        let core = self.seat.look();
        match core.nodes.get(switch.0 as usize).map(|n| &n.kind) {
            Some(Kind::Switch(s)) => s.table.entries(core.net.now),
            _ => Vec::new(),
        }
    }

    /// A switch or hub; none for a host.
    pub fn switch(&self, node: NodeId) -> Option<SwitchView> {
        let core = self.seat.look();
        match &core.nodes.get(node.0 as usize)?.kind {
            Kind::Host(_) => None,
            Kind::Switch(s) => {
                let (limit, ageing) = s.table.limits();
                Some(SwitchView {
                    entries: s.table.entries(core.net.now),
                    limit,
                    ageing,
                    stats: s.stats,
                    loops: s.loops.as_ref().map_or(0, |l| l.count),
                    mirror: s.mirror.as_ref().map(|m| m.spec.clone()),
                })
            }
            Kind::Hub(hub) => Some(SwitchView {
                entries: Vec::new(),
                limit: 0,
                ageing: Default::default(),
                stats: SwitchStats::default(),
                loops: hub.loops.as_ref().map_or(0, |l| l.count),
                mirror: None,
            }),
        }
    }

    /// The link that is plugged into a port of a node.
    pub fn plugged(&self, node: NodeId, port: IfIndex) -> Option<LinkId> {
        let ports = &self.seat.look().nodes.get(node.0 as usize)?.ports;
        let out = (*ports.get(usize::from(port.0).checked_sub(1)?)?)?;
        Some(out.link())
    }

    /// The partitions, in the order in which they were made.
    pub fn partitions(&self) -> Vec<PartitionView> {
        self.seat.look().net.partitions.iter().map(|p| p.view.clone()).collect()
    }

    /// The commands that the lab will give itself, in the order of their making.
    pub fn scheduled(&self) -> Vec<Scheduled> {
        self.seat.look().scheduled.values().cloned().collect()
    }

    /// The counters of a switch's or hub's ports, from port 1; none on hosts.
    pub fn port_counters(&self, node: NodeId) -> &[PortCounters] {
        match self.seat.look().nodes.get(node.0 as usize).map(|n| &n.kind) {
            Some(Kind::Switch(s)) => &s.counters,
            Some(Kind::Hub(hub)) => &hub.counters,
            _ => &[],
        }
    }

    /// How often something was dropped, by node or link and by reason.
    pub fn drops(&self) -> impl Iterator<Item = (Place, DropReason, u64)> + '_ {
        self.tracer().drops()
    }
}
