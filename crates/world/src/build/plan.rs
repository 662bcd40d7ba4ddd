//! From specifications to a world: checks, and ids from names.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use netarium_base::map::Map;
use netarium_base::trace::{Event, Tracer};
use netarium_base::{Cause, FlowId, IfIndex, Instant, LinkEnd, LinkId, NodeId, Place, Seed};
use netarium_stack::{Route, Stack, StackConfig};

use super::spec::{EndSpec, HostSpec, LinkSpec, ProgramSpec};
use super::{BuildError, WorldBuilder};
use crate::World;
use crate::capture::Captures;
use crate::core::{Core, Due, Net};
use crate::files::view::HostFiles;
use crate::gateway::Gateway;
use crate::journal::{FrameHash, Header, Journal};
use crate::link::{DirId, DirectionSpec, LOOPBACK_DELAY, Link};
use crate::names::NameTable;
use crate::node::{Host, Hub, Kind, Node, Switch};
use crate::outbox::Outbox;
use crate::process::task::ReadyQueue;
use crate::process::{LOGGED, Opens, Start};
use crate::queue::{ORIGINS_MAX, Queue};
use crate::switch::{HubSpec, MirrorSpec, SwitchSpec, SwitchStats, Table};

const PORTS_MAX: usize = 65_534;

/// The nodes by name, while names are looked up for each wire and program.
type Places = Map<Rc<str>, NodeId>;

enum AnyNode {
    Host(HostSpec),
    Switch(SwitchSpec),
    Hub(HubSpec),
}

impl AnyNode {
    fn name(&self) -> &str {
        match self {
            AnyNode::Host(h) => &h.name,
            AnyNode::Switch(s) => &s.name,
            AnyNode::Hub(h) => &h.name,
        }
    }
}

pub(super) fn build(b: WorldBuilder) -> Result<World, BuildError> {
    let seed = b.seed;
    let hosts = b.hosts.into_iter().map(AnyNode::Host);
    let switches = b.switches.into_iter().map(AnyNode::Switch);
    let nodes = hosts.chain(switches).chain(b.hubs.into_iter().map(AnyNode::Hub)).collect();
    let nodes = sorted(nodes, AnyNode::name);
    let links = sorted_links(&nodes, b.links);
    let count = nodes.len() + links.len();
    if count >= ORIGINS_MAX {
        return Err(BuildError::TooMany { count, max: ORIGINS_MAX - 1 });
    }
    let mut names = NameTable {
        nodes: unique(nodes.iter().map(AnyNode::name))?,
        links: unique(links.iter().map(|l| l.name.as_str()))?,
        ifaces: Vec::new(),
    };
    let origins = origins(&names);
    let mut mirrors = Vec::new();
    let mut made = make_nodes(seed, nodes, &mut names, &origins.nodes, &mut mirrors)?;
    let ids = (0..).map(NodeId);
    let places: Places = names.nodes.iter().map(Rc::clone).zip(ids).collect();
    let links = make_links(seed, links, &places, &origins.links, &mut made)?;
    watch_for_loops(&links, &mut made);
    name_ports(&mut names, &made);

    let mut tracer = Tracer::new(b.trace_limit);
    let root = begin(&mut tracer, seed);
    let gateway =
        b.gateway.map(|name| host_id(&places, &made, "the gateway", &name)).transpose()?;
    let mut queue = Queue::default();
    let planned = plan_programs(b.starts, &places, &mut made, &mut queue, root)?;
    let mut core = Core {
        net: net(queue, links, tracer),
        nodes: made,
        seed,
        epoch: b.epoch,
        names: Rc::new(names),
        hosts_table: b.names.into_iter().map(|(n, to)| (n.to_ascii_lowercase(), to)).collect(),
        dynamic_names: Default::default(),
        programs: b.programs,
        environment: crate::process::environment(),
        planned,
        scheduled: BTreeMap::new(),
        schedule_next: 0,
        edits: BTreeMap::new(),
        edits_bytes: 0,
        ready: Arc::new(ReadyQueue::default()),
        current: root,
        started: Vec::new(),
        spawned: Vec::new(),
        ending: Vec::new(),
        failed: VecDeque::new(),
        gateway: Gateway::new(gateway),
        outbox: Outbox::default(),
        timers: 0,
        foreground: 0,
        maybe_busy: Vec::new(),
        events: 0,
        events_now: 0,
        polls_now: 0,
        stuck: None,
    };
    for (switch, mirror) in mirrors {
        let set = core.set_mirror(&switch, Some(&mirror));
        set.map_err(|why| BuildError::BadMirror { switch, why })?;
    }
    b.schedule.into_iter().for_each(|entry| core.schedule(entry));
    let header = Header { build: b.build, lab: b.lab, seed: seed.0, epoch: b.epoch };
    Ok(World::new(core, Journal::new(&header)))
}

/// The event from which everything follows.
fn begin(tracer: &mut Tracer, seed: Seed) -> Cause {
    let started = || Event::WorldStarted { seed: seed.0 };
    tracer.emit(Instant::ZERO, Cause::NONE, Place::World, FlowId::NONE, started)
}

/// The wires at the start: nothing is on its way.
fn net(queue: Queue<Due>, links: Vec<Link>, tracer: Tracer) -> Net {
    Net {
        now: Instant::ZERO,
        queue,
        links,
        tracer,
        captures: Captures::default(),
        in_flight: 0,
        frames: FrameHash::default(),
        doomed: netarium_base::EventId::NONE,
        serial: 0,
        partitions: Vec::new(),
    }
}

/// The given links and the loopback link of every host, by name.
fn sorted_links(nodes: &[AnyNode], mut links: Vec<LinkSpec>) -> Vec<LinkSpec> {
    let wire = DirectionSpec { delay: LOOPBACK_DELAY, ..DirectionSpec::default() };
    for node in nodes {
        if let AnyNode::Host(host) = node {
            let end = EndSpec { node: host.name.clone(), iface: LOOPBACK_END };
            let name = format!("{}.lo", host.name);
            links.push(LinkSpec { up: wire, down: wire, ..LinkSpec::new(name, end.clone(), end) });
        }
    }
    sorted(links, |link| &link.name)
}

/// Sorts large things by their names, moving each once.
fn sorted<T>(things: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let mut order: Vec<usize> = (0..things.len()).collect();
    order.sort_by(|&x, &y| name(&things[x]).cmp(name(&things[y])));
    let mut things: Vec<Option<T>> = things.into_iter().map(Some).collect();
    order.into_iter().filter_map(|i| things[i].take()).collect()
}

/// Stands for `lo` where interfaces are counted without it.
const LOOPBACK_END: usize = usize::MAX;

fn unique<'a>(sorted: impl Iterator<Item = &'a str>) -> Result<Vec<Rc<str>>, BuildError> {
    let mut names: Vec<Rc<str>> = Vec::new();
    for name in sorted {
        if names.last().is_some_and(|last| **last == *name) {
            return Err(BuildError::DuplicateName(name.to_owned()));
        }
        names.push(Rc::from(name));
    }
    Ok(names)
}

/// The ranks of all components' names among each other. A node and a link of the same name stand
/// in this order.
struct Origins {
    nodes: Vec<u32>,
    links: Vec<u32>,
}

fn origins(names: &NameTable) -> Origins {
    let (mut nodes, mut links) = (Vec::new(), Vec::new());
    let mut rank = 0;
    while nodes.len() < names.nodes.len() || links.len() < names.links.len() {
        let node_first = match (names.nodes.get(nodes.len()), names.links.get(links.len())) {
            (Some(node), Some(link)) => node <= link,
            (node, _) => node.is_some(),
        };
        if node_first {
            nodes.push(rank)
        } else {
            links.push(rank)
        }
        rank += 1;
    }
    Origins { nodes, links }
}

fn make_nodes(
    seed: Seed,
    specs: Vec<AnyNode>,
    names: &mut NameTable,
    origins: &[u32],
    mirrors: &mut Vec<(String, MirrorSpec)>,
) -> Result<Vec<Node>, BuildError> {
    let mut nodes: Vec<Node> = Vec::with_capacity(specs.len());
    // All hosts start with the same settings of TCP.
    let mut first: Option<usize> = None;
    let mut words: BTreeMap<String, Rc<str>> = BTreeMap::new();
    for (i, spec) in specs.into_iter().enumerate() {
        let origin = origins[i];
        let node = match spec {
            AnyNode::Host(mut host) => {
                let title = host.title.take();
                let mut iface_names = vec!["lo".to_owned()];
                iface_names.extend(host.interfaces.iter().map(|x| x.name.clone()));
                let shared = iface_names.into_iter().map(|n| {
                    Rc::clone(words.entry(n).or_insert_with_key(|n| Rc::from(n.as_str())))
                });
                names.ifaces.push(shared.collect());
                let name = Rc::clone(&names.nodes[i]);
                let (mut host, ports) = make_host(seed, NodeId(i as u32), name, host)?;
                match first.map(|first| &nodes[first].kind) {
                    Some(Kind::Host(first)) => host.stack.share_tcp_config(&first.stack),
                    _ => first = Some(i),
                }
                let mut node = Node::new(origin, title, Kind::Host(Box::new(host)));
                node.ports.resize(ports, None);
                node
            }
            AnyNode::Switch(s) => {
                names.ifaces.push(Box::default());
                let table = Table::new(s.table, s.ageing);
                mirrors.extend(s.mirror.map(|mirror| (s.name, mirror)));
                let switch = Switch {
                    table,
                    counters: Vec::new(),
                    stats: SwitchStats::default(),
                    loops: None,
                    mirror: None,
                };
                Node::new(origin, s.title, Kind::Switch(Box::new(switch)))
            }
            AnyNode::Hub(h) => {
                names.ifaces.push(Box::default());
                Node::new(origin, h.title, Kind::Hub(Hub::default()))
            }
        };
        nodes.push(node);
    }
    Ok(nodes)
}

/// A host and the number of its interfaces, `lo` included.
fn make_host(
    seed: Seed,
    node: NodeId,
    name: Rc<str>,
    spec: HostSpec,
) -> Result<(Host, usize), BuildError> {
    if spec.interfaces.len() >= PORTS_MAX {
        return Err(BuildError::TooManyPorts(spec.name));
    }
    let config = StackConfig { node, name: spec.name, seed, forwarding: spec.forwarding };
    let mut stack = Stack::new(config);
    let mut indices = Vec::with_capacity(spec.interfaces.len());
    for iface in &spec.interfaces {
        let index = stack.add_interface(&iface.name, iface.mac, iface.mtu);
        iface.addresses.iter().for_each(|&a| stack.add_address(index, a));
        indices.push(index);
    }
    for route in &spec.routes {
        let iface = *indices.get(route.iface).ok_or_else(|| BuildError::NoSuchInterface {
            user: format!("a route of {name}"),
            host: name.as_ref().to_owned(),
            iface: route.iface,
        })?;
        let taken =
            stack.add_route(Route { to: route.to, via: route.via, iface, metric: 0, source: None });
        if !taken {
            let host = name.as_ref().to_owned();
            return Err(BuildError::BadRoute { host, to: route.to.to_string() });
        }
    }
    stack.set_reverse_path(spec.reverse_path);
    if spec.pacing {
        stack.tcp_config_mut().pacing = true;
    }
    if let Some(make) = spec.filter {
        stack.set_filter(Some(make(node)));
    }
    let host = Host {
        name,
        stack,
        procs: BTreeMap::new(),
        started: 0,
        killed: Vec::new(),
        exited: Default::default(),
        opens: Opens::default(),
        waits: Vec::new(),
        timers: Default::default(),
        wakes: Default::default(),
        files: HostFiles::new(spec.files),
        maybe_busy: false,
    };
    Ok((host, indices.len() + 1))
}

fn make_links(
    seed: Seed,
    specs: Vec<LinkSpec>,
    places: &Places,
    origins: &[u32],
    nodes: &mut [Node],
) -> Result<Vec<Link>, BuildError> {
    let mut links = Vec::with_capacity(specs.len());
    for (i, spec) in specs.into_iter().enumerate() {
        let id = LinkId(i as u32);
        let a = plug(&spec, &spec.a, places, nodes, DirId::from(id, LinkEnd::A))?;
        let b = match spec.b.iface {
            // Both ends of a loopback link are the one interface; it sends at the end A.
            LOOPBACK_END => a,
            _ => plug(&spec, &spec.b, places, nodes, DirId::from(id, LinkEnd::B))?,
        };
        let [up, down] = spec.faults;
        let wires = [(spec.up, up), (spec.down, down)];
        links.push(Link::new(seed, &spec.name, origins[i], [a, b], wires));
    }
    Ok(links)
}

/// Has switches and hubs look out for frames that come back, where that could be: where two ports
/// lead to other switches or hubs.
fn watch_for_loops(links: &[Link], nodes: &mut [Node]) {
    let is_host = |id: NodeId, nodes: &[Node]| matches!(nodes[id.0 as usize].kind, Kind::Host(_));
    let mut ports = vec![0u32; nodes.len()];
    for link in links {
        let [a, b] = link.ends.map(|(node, _)| node);
        if !is_host(a, nodes) && !is_host(b, nodes) {
            [a, b].into_iter().for_each(|id| ports[id.0 as usize] += 1);
        }
    }
    for (node, _) in nodes.iter_mut().zip(ports).filter(|(_, ports)| *ports >= 2) {
        match &mut node.kind {
            Kind::Host(_) => {}
            Kind::Switch(switch) => switch.loops = Some(Box::default()),
            Kind::Hub(hub) => hub.loops = Some(Box::default()),
        }
    }
}

/// Plugs an end of a link in, so that what leaves there goes in direction `out`.
fn plug(
    link: &LinkSpec,
    end: &EndSpec,
    places: &Places,
    nodes: &mut [Node],
    out: DirId,
) -> Result<(NodeId, IfIndex), BuildError> {
    let user = || format!("link {}", link.name);
    let id = places.get(end.node.as_str()).copied().ok_or_else(|| BuildError::NoSuchNode {
        user: user(),
        wanted: "node",
        name: end.node.clone(),
    })?;
    let node = &mut nodes[id.0 as usize];
    let index = match &mut node.kind {
        Kind::Host(_) => {
            let index = end.iface.wrapping_add(1);
            let (host, iface) = (end.node.clone(), end.iface);
            match node.ports.get_mut(index) {
                None => return Err(BuildError::NoSuchInterface { user: user(), host, iface }),
                Some(Some(_)) => {
                    return Err(BuildError::InterfaceTaken { user: user(), host, iface });
                }
                Some(port) => *port = Some(out),
            }
            index
        }
        Kind::Switch(s) => {
            s.counters.push(Default::default());
            node.ports.push(Some(out));
            node.ports.len() - 1
        }
        Kind::Hub(hub) => {
            hub.counters.push(Default::default());
            node.ports.push(Some(out));
            node.ports.len() - 1
        }
    };
    if index >= PORTS_MAX {
        return Err(BuildError::TooManyPorts(end.node.clone()));
    }
    Ok((id, IfIndex(index as u16 + 1)))
}

/// Gives the ports of switches and hubs their numbers as names.
fn name_ports(names: &mut NameTable, nodes: &[Node]) {
    let mut words: Vec<Rc<str>> = Vec::new();
    for (node, ifaces) in nodes.iter().zip(&mut names.ifaces) {
        if !matches!(node.kind, Kind::Host(_)) {
            while words.len() < node.ports.len() {
                words.push(Rc::from(format!("port{}", words.len() + 1)));
            }
            *ifaces = words[..node.ports.len()].into();
        }
    }
}

fn host_id(places: &Places, nodes: &[Node], user: &str, name: &str) -> Result<NodeId, BuildError> {
    let id = places.get(name).copied();
    let host = id.filter(|id| matches!(nodes[id.0 as usize].kind, Kind::Host(_)));
    host.ok_or_else(|| BuildError::NoSuchNode {
        user: user.to_owned(),
        wanted: "host",
        name: name.to_owned(),
    })
}

fn plan_programs(
    specs: Vec<ProgramSpec>,
    places: &Places,
    nodes: &mut [Node],
    queue: &mut Queue<Due>,
    cause: Cause,
) -> Result<BTreeMap<u32, Start>, BuildError> {
    let mut planned = BTreeMap::new();
    for (number, spec) in (0..).zip(specs) {
        let user = spec.argv.first().map_or("a program", String::as_str);
        let node = host_id(places, nodes, user, &spec.host)?;
        let key = nodes[node.0 as usize].key(spec.at);
        queue.push(key, Due::Start(number));
        let (argv, daemon) = (spec.argv.into(), spec.daemon);
        planned.insert(number, Start { node, argv, daemon, slots: LOGGED, cause });
    }
    Ok(planned)
}
