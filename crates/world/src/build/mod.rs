//! Building a world.
//!
//! 1. [`spec`]: what nodes, links and programs are made of;
//! 2. this file: the [`WorldBuilder`], which collects them;
//! 3. `plan`: what it checks and how ids derive from names: nodes, links and the ports of
//!    switches are numbered in the order of their names, whatever the order of the calls.

mod plan;
pub mod spec;

use core::net::IpAddr;
use std::rc::Rc;

use netarium_base::Instant;
use netarium_base::Seed;

use crate::World;
use crate::core::schedule::Scheduled;
use crate::process::{NoPrograms, Programs};
use crate::switch::{HubSpec, SwitchSpec};
use spec::{HostSpec, LinkSpec, ProgramSpec};

/// Why a world cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two nodes, or two links, have the same name.
    #[error("the name `{0}` is used twice")]
    DuplicateName(String),
    /// Something is plugged into, or runs on, a node that is not there.
    #[error("{user}: there is no {wanted} called `{name}`")]
    NoSuchNode {
        /// Who refers to it.
        user: String,
        /// node or host.
        wanted: &'static str,
        /// The name.
        name: String,
    },
    /// A link or route names an interface that the host does not have.
    #[error("{user}: `{host}` has no interface number {iface}")]
    NoSuchInterface {
        /// Who refers to it.
        user: String,
        /// The host.
        host: String,
        /// The number, from 0.
        iface: usize,
    },
    /// Two links are plugged into one interface of a host.
    #[error("{user}: interface number {iface} of `{host}` has a link already")]
    InterfaceTaken {
        /// The second link.
        user: String,
        /// The host.
        host: String,
        /// The number, from 0.
        iface: usize,
    },
    /// A route that the host refuses.
    #[error("{host}: the route to {to} has a next hop that is on none of its networks")]
    BadRoute {
        /// The host.
        host: String,
        /// Where the route leads.
        to: String,
    },
    /// A node has more interfaces than can be numbered.
    #[error("`{0}` has more than 65534 interfaces")]
    TooManyPorts(String),
    /// A switch is to mirror what it does not have.
    #[error("the mirror of switch {switch}: {why}")]
    BadMirror {
        /// The switch.
        switch: String,
        /// Why.
        why: String,
    },
    /// More nodes and links than can be ordered.
    #[error("a world has at most {max} nodes and links, this one has {count}")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// Collects what a world consists of.
pub struct WorldBuilder {
    seed: Seed,
    epoch: u64,
    trace_limit: usize,
    programs: Rc<dyn Programs>,
    hosts: Vec<HostSpec>,
    switches: Vec<SwitchSpec>,
    hubs: Vec<HubSpec>,
    links: Vec<LinkSpec>,
    names: Vec<(String, Vec<IpAddr>)>,
    gateway: Option<String>,
    starts: Vec<ProgramSpec>,
    schedule: Vec<Scheduled>,
    lab: Vec<u8>,
    build: String,
}

/// The build's name, as recordings tell it.
pub fn build_name() -> String {
    concat!("netarium ", env!("CARGO_PKG_VERSION")).to_owned()
}

impl std::fmt::Debug for WorldBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (hosts, links) = (self.hosts.len(), self.links.len());
        write!(f, "WorldBuilder({hosts} hosts, {links} links)")
    }
}

impl WorldBuilder {
    /// An empty world with this seed of all chance.
    pub fn new(seed: Seed) -> WorldBuilder {
        WorldBuilder {
            seed,
            epoch: 0,
            trace_limit: 0,
            programs: Rc::new(NoPrograms),
            hosts: Vec::new(),
            switches: Vec::new(),
            hubs: Vec::new(),
            links: Vec::new(),
            names: Vec::new(),
            gateway: None,
            starts: Vec::new(),
            schedule: Vec::new(),
            lab: Vec::new(),
            build: build_name(),
        }
    }

    /// What virtual time zero is called: nanoseconds since 1970-01-01 UTC.
    pub fn epoch(mut self, unix_ns: u64) -> Self {
        self.epoch = unix_ns;
        self
    }

    /// How many of the latest trace records the world keeps; 0, the default, keeps none.
    pub fn trace_limit(mut self, records: usize) -> Self {
        self.trace_limit = records;
        self
    }

    /// What can be started on hosts.
    pub fn programs(mut self, programs: Rc<dyn Programs>) -> Self {
        self.programs = programs;
        self
    }

    /// Adds a host.
    pub fn host(mut self, host: HostSpec) -> Self {
        self.hosts.push(host);
        self
    }

    /// Adds a switch.
    pub fn switch(mut self, switch: SwitchSpec) -> Self {
        self.switches.push(switch);
        self
    }

    /// Adds a hub.
    pub fn hub(mut self, hub: HubSpec) -> Self {
        self.hubs.push(hub);
        self
    }

    /// Adds a link.
    pub fn link(mut self, link: LinkSpec) -> Self {
        self.links.push(link);
        self
    }

    /// Adds names to the lab's hosts table. Case does not matter; a later entry replaces an earlier.
    pub fn names(mut self, names: impl IntoIterator<Item = (String, Vec<IpAddr>)>) -> Self {
        self.names.extend(names);
        self
    }

    /// The host where outside connections come from.
    pub fn gateway(mut self, host: impl Into<String>) -> Self {
        self.gateway = Some(host.into());
        self
    }

    /// Starts a program in the background when the world begins. Its sleeps do not keep the world
    /// from being idle.
    pub fn daemon(self, host: impl Into<String>, argv: Vec<String>) -> Self {
        self.program(ProgramSpec { host: host.into(), argv, at: Instant::ZERO, daemon: true })
    }

    /// Starts a program in the foreground at a point in virtual time.
    pub fn run(self, host: impl Into<String>, argv: Vec<String>, at: Instant) -> Self {
        self.program(ProgramSpec { host: host.into(), argv, at, daemon: false })
    }

    /// Starts a program. Those that start on one host at one time do so in the order of the calls.
    pub fn program(mut self, program: ProgramSpec) -> Self {
        self.starts.push(program);
        self
    }

    /// Gives a command at a point in virtual time, behind everything else that is due then. It is
    /// a part of the lab and no input: it is not journalled, and a replay has it from here. Until
    /// the last of them was given, the world is not idle. Those of one time are given in the order
    /// of the calls.
    pub fn schedule(mut self, entry: Scheduled) -> Self {
        self.schedule.push(entry);
        self
    }

    /// A hash of the lab, for recordings.
    pub fn lab_hash(mut self, hash: &[u8]) -> Self {
        hash.clone_into(&mut self.lab);
        self
    }

    /// The build's name, for recordings; `netarium` and its version when not given.
    pub fn build_name(mut self, name: impl Into<String>) -> Self {
        self.build = name.into();
        self
    }

    /// Builds the world; nothing has happened in it yet.
    ///
    /// # Errors
    /// [`BuildError`] when names clash or refer to what is not there.
    pub fn build(self) -> Result<World, BuildError> {
        plan::build(self)
    }
}
