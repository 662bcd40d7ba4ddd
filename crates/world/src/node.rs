//! Nodes: hosts, switches and hubs, and how they are plugged into links.

use std::collections::BTreeMap;
use std::rc::Rc;

use netarium_base::{Instant, Pid};
use netarium_stack::Stack;
use smallvec::SmallVec;

use crate::files::view::HostFiles;
use crate::link::DirId;
use crate::process::table::{Exited, Proc};
use crate::process::{Opens, SocketWait, Timers};
use crate::queue::Key;
use crate::switch::{Loops, Mirror, PortCounters, SwitchStats, Table};

/// A host, switch or hub.
#[derive(Debug)]
pub(crate) struct Node {
    /// Rank of its name among all components.
    pub(crate) origin: u32,
    sequence: u64,
    /// By interface from 1: the direction that leaves there; none when nothing is plugged in.
    pub(crate) ports: SmallVec<[Option<DirId>; 2]>,
    pub(crate) title: Option<Box<str>>,
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    Host(Box<Host>),
    Switch(Box<Switch>),
    Hub(Hub),
}

/// A host: its stack and what runs on it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: Rc<str>,
    pub(crate) stack: Stack,
    pub(crate) procs: BTreeMap<Pid, Box<Proc>>,
    /// How many processes were ever started.
    pub(crate) started: u32,
    /// What an operator's command has ended of what ran in the background.
    pub(crate) killed: Vec<Rc<[String]>>,
    pub(crate) exited: Exited,
    pub(crate) opens: Opens,
    pub(crate) waits: Vec<SocketWait>,
    pub(crate) timers: Timers,
    /// When the event queue will come back to this host: each earlier than the one before it, so
    /// the last is the next. A wake for which nothing is left to do is harmless.
    pub(crate) wakes: SmallVec<[Instant; 2]>,
    pub(crate) files: HostFiles,
    /// It stands in the list of hosts that may keep the world busy.
    pub(crate) maybe_busy: bool,
}

/// A switch.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) table: Table,
    pub(crate) counters: Vec<PortCounters>,
    pub(crate) stats: SwitchStats,
    /// Only where its cables could form a loop.
    pub(crate) loops: Option<Box<Loops>>,
    pub(crate) mirror: Option<Box<Mirror>>,
}

/// A hub.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    pub(crate) counters: Vec<PortCounters>,
    /// Only where its cables could form a loop.
    pub(crate) loops: Option<Box<Loops>>,
}

impl Node {
    pub(crate) fn new(origin: u32, title: Option<String>, kind: Kind) -> Node {
        let title = title.map(String::into_boxed_str);
        Node { origin, sequence: 0, ports: SmallVec::new(), title, kind }
    }

    /// The key of this node's next event.
    pub(crate) fn key(&mut self, at: Instant) -> Key {
        self.sequence += 1;
        Key::new(at, self.origin, self.sequence)
    }
}
