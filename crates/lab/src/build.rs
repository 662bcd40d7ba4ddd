//! From a validated lab to a world: what every word of a lab file becomes.
//!
//! A network is a switch or hub of its name; a host's interface on a network is `eth0`, `eth1`… in
//! the order of the networks' names, and its wire is the link `HOST.NETWORK`. The gateway is a host
//! without programs of its own. Programs of the lab file are daemons that start at time 0; `[[run]]`
//! entries are started only when asked for.

use core::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use netarium_base::{Duration, IfIndex, Instant, NodeId, Seed};
use netarium_filter::{Behaviour, Chain, Filter, PortForward, RuleError, Timeout};
use netarium_wire::{Cidr, protocol};
use netarium_world::process::Programs;
use netarium_world::{
    DirectionSpec, FileTree, ForwardPort, HostSpec, HubSpec, IfaceSpec, LinkSpec, MirrorSpec,
    ProgramSpec, RouteSpec, Scheduled, SwitchSpec, World, WorldBuilder,
};

use crate::edit::ports;
use crate::model::{GATEWAY, Mirror, SwitchSettings};
use crate::{
    Action, Firewall, Host, Interface, Ipv4Net, Lab, Link, NatKind, NodeKind, PortRange, Protocol,
    Traffic,
};

/// What a lab's hosts take for the time at the start, unless told otherwise: 2026-01-01 UTC, in
/// nanoseconds since 1970. Fixed, so that runs are reproducible.
pub const EPOCH: u64 = 1_767_225_600_000_000_000;
/// Where a host's library finds its name servers.
const RESOLV_CONF: &str = "etc/resolv.conf";
/// The first interface of a host besides `lo`.
const FIRST_IFACE: usize = 2;

/// How a world is built from a lab.
pub struct BuildOptions {
    /// The seed of all chance.
    pub seed: u64,
    /// What virtual time zero is called, in nanoseconds since 1970-01-01 UTC; [`EPOCH`] when not
    /// given.
    pub epoch: Option<u64>,
    /// How many of the latest trace records are kept.
    pub trace_limit: usize,
    /// Whether the lab's `[[run]]` entries start, at their times, in the foreground.
    pub runs: bool,
    /// What can be started on hosts.
    pub programs: Rc<dyn Programs>,
}

impl std::fmt::Debug for BuildOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BuildOptions(seed {}, runs {})", self.seed, self.runs)
    }
}

/// Why a lab that is valid does not become a world: it passes a limit of a floor below.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The world refused.
    #[error(transparent)]
    World(#[from] netarium_world::BuildError),
    /// A host's rules were refused.
    #[error("{host}: {error}")]
    Rules {
        /// The host.
        host: String,
        /// Why.
        error: RuleError,
    },
    /// A file was refused.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: netarium_world::files::FileError,
    },
}

/// Builds the world that a lab describes; nothing has happened in it yet.
///
/// # Errors
/// When the lab passes a limit of the world or of a filter.
pub fn world(lab: &Lab, options: BuildOptions) -> Result<World, BuildError> {
    let seed = Seed(options.seed);
    let files = Rc::new(file_tree(lab)?);
    let mut builder = WorldBuilder::new(seed)
        .epoch(options.epoch.unwrap_or(EPOCH))
        .trace_limit(options.trace_limit)
        .programs(options.programs)
        .lab_hash(&hash(lab).to_le_bytes());
    builder = networks(lab, builder);
    for host in lab.hosts() {
        builder = builder.host(host_spec(host, seed, &files)?);
        for iface in host.interfaces.iter().enumerate() {
            builder = builder.link(wire(&host.name, iface));
        }
        for (argv, daemon) in host.services() {
            let at = Instant::ZERO;
            let host = host.name.clone();
            builder = builder.program(ProgramSpec { host, argv, at, daemon });
        }
        for program in &host.programs {
            builder = builder.daemon(&host.name, program.argv.clone());
        }
    }
    if let Some(gateway) = lab.gateway() {
        let spec = HostSpec {
            name: GATEWAY.to_owned(),
            title: gateway.title.text("en").map(str::to_owned),
            interfaces: vec![iface_spec((0, &gateway.interface))],
            routes: Vec::new(),
            files: Rc::clone(&files),
            ..HostSpec::default()
        };
        builder = builder.host(spec).link(wire(GATEWAY, (0, &gateway.interface))).gateway(GATEWAY);
    }
    if options.runs {
        for run in lab.runs() {
            builder = builder.run(&run.host, run.command.argv.clone(), Instant::ZERO + run.at);
        }
    }
    builder = schedule(lab, builder);
    let names = lab.names().map(|(name, address)| (name.to_owned(), vec![IpAddr::V4(address)]));
    Ok(builder.names(names).build()?)
}

/// A hash of the lab and its files, the same on every machine.
fn hash(lab: &Lab) -> u64 {
    let luck = Seed(0).luck("lab", "hash");
    let mut sum = luck.hash(lab.to_toml().as_bytes());
    for (path, contents) in lab.files().iter() {
        sum = luck.draw(sum, luck.hash(path.as_bytes()));
        sum = luck.draw(sum, luck.hash(contents));
    }
    sum
}

fn file_tree(lab: &Lab) -> Result<FileTree, BuildError> {
    let mut tree = FileTree::new();
    // A file of the lab's folder comes before one that its keys ask for.
    for host in lab.hosts() {
        if let Some((path, text)) = crate::dhcp::conf(host) {
            tree.insert(&path, text.into_bytes())
                .map_err(|error| BuildError::File { path, error })?;
        }
    }
    for (path, contents) in lab.files().iter() {
        tree.insert(path, contents.clone())
            .map_err(|error| BuildError::File { path: path.to_owned(), error })?;
    }
    let hosts = lab.hosts().iter().map(|h| (h.name.as_str(), &h.resolvers));
    let gateway = lab.gateway().map(|g| (GATEWAY, &g.resolvers));
    for (host, resolvers) in hosts.chain(gateway) {
        resolv_conf(lab, &mut tree, host, resolvers)?;
    }
    Ok(tree)
}

/// Tells a host whom it asks for names, unless the lab's folder does.
fn resolv_conf(
    lab: &Lab,
    tree: &mut FileTree,
    host: &str,
    resolvers: &[Ipv4Addr],
) -> Result<(), BuildError> {
    if resolvers.is_empty() || lab.files_of(host).get(RESOLV_CONF).is_some() {
        return Ok(());
    }
    let contents: String = resolvers.iter().map(|ip| format!("nameserver {ip}\n")).collect();
    let path = format!("files/{host}/{RESOLV_CONF}");
    tree.insert(&path, contents).map_err(|error| BuildError::File { path, error })
}

fn networks(lab: &Lab, mut builder: WorldBuilder) -> WorldBuilder {
    let title = |title: &crate::Title| title.text("en").map(str::to_owned);
    let nodes = lab
        .networks()
        .iter()
        .map(|n| (&n.name, &n.title, n.kind, &n.switch))
        .chain(lab.switches().iter().map(|s| (&s.name, &s.title, s.kind, &s.settings)));
    for (name, name_for_people, kind, settings) in nodes {
        let title = title(name_for_people);
        builder = match kind {
            NodeKind::Switch => builder.switch(switch_spec(name, title, settings)),
            NodeKind::Hub => builder.hub(HubSpec { name: name.clone(), title }),
        };
    }
    for switch in lab.switches() {
        for other in std::iter::once(&switch.uplink).chain(&switch.cables) {
            let name = format!("{}.{other}", switch.name);
            let ends = LinkSpec::new(name, switch.name.as_str(), other.as_str());
            builder = builder.link(with_wires(ends, &switch.link));
        }
    }
    builder
}

fn switch_spec(name: &str, title: Option<String>, settings: &SwitchSettings) -> SwitchSpec {
    let plain = SwitchSpec::new(name);
    SwitchSpec {
        title,
        table: settings.table.map_or(plain.table, |n| n as usize),
        ageing: settings.ageing.unwrap_or(plain.ageing),
        mirror: settings.mirror.as_ref().map(mirror_spec),
        ..plain
    }
}

pub(crate) fn mirror_spec(mirror: &Mirror) -> MirrorSpec {
    MirrorSpec { to: mirror.to.clone(), from: mirror.from.clone() }
}

/// The commands that the lab gives itself.
fn schedule(lab: &Lab, mut builder: WorldBuilder) -> WorldBuilder {
    for entry in lab.schedule() {
        for command in &entry.commands {
            let (at, command) = (Instant::ZERO + entry.at, command.clone());
            builder = builder.schedule(Scheduled { at, command, again: entry.again });
        }
    }
    builder
}

fn wire(host: &str, (number, iface): (usize, &Interface)) -> LinkSpec {
    let ends = LinkSpec::new(&iface.link_name, (host, number), iface.plugged_into.as_str());
    with_wires(ends, &iface.link)
}

fn with_wires(ends: LinkSpec, link: &Link) -> LinkSpec {
    let direction = |wire: &crate::Wire| DirectionSpec {
        delay: wire.delay,
        rate: wire.rate.map(|rate| rate.0),
        queue: wire.queue,
        loss: wire.loss.threshold,
    };
    let faults = [link.up.faults.clone(), link.down.faults.clone()];
    LinkSpec { up: direction(&link.up), down: direction(&link.down), faults, ..ends }
}

fn host_spec(host: &Host, seed: Seed, files: &Rc<FileTree>) -> Result<HostSpec, BuildError> {
    let rules = |error| BuildError::Rules { host: host.name.clone(), error };
    let mut spec = HostSpec {
        name: host.name.clone(),
        title: host.title.text("en").map(str::to_owned),
        forwarding: host.router,
        interfaces: host.interfaces.iter().enumerate().map(iface_spec).collect(),
        routes: host.routes.iter().filter_map(|route| route_spec(host, route)).collect(),
        filter: None,
        reverse_path: host.reverse_path,
        pacing: host.pacing,
        files: Rc::clone(files),
    };
    if host.firewall.is_some() || host.nat.is_some() {
        // Made once to see that it can be made, and once more when the host's id is known.
        filter(host, NodeId::default(), seed).map_err(rules)?;
        let host = host.clone();
        spec.filter = Some(Box::new(move |node| {
            filter(&host, node, seed).expect("the same rules were accepted before")
        }));
    }
    Ok(spec)
}

fn iface_spec((number, iface): (usize, &Interface)) -> IfaceSpec {
    IfaceSpec {
        name: format!("eth{number}"),
        mac: netarium_wire::Mac(iface.mac.0),
        mtu: iface.mtu,
        addresses: iface.addresses.iter().map(|&a| cidr(a)).collect(),
    }
}

fn route_spec(host: &Host, route: &crate::Route) -> Option<RouteSpec> {
    let iface = host.interfaces.iter().position(|i| i.network == route.network)?;
    Some(RouteSpec { to: cidr(route.to), via: Some(route.via.into()), iface })
}

fn cidr(net: Ipv4Net) -> Cidr {
    Cidr::new(net.address.into(), net.prefix).expect("a lab's prefixes are at most 32")
}

/// A host's filter: its inbound firewall, its address translation, or both.
fn filter(host: &Host, node: NodeId, seed: Seed) -> Result<Filter, RuleError> {
    let mut filter = Filter::new(node, seed.luck(&host.name, "filter"));
    if let Some(firewall) = &host.firewall {
        inbound(&mut filter, firewall)?;
    }
    if let Some(nat) = &host.nat {
        let index = |network: &str| {
            let at = host.interfaces.iter().position(|i| i.network == network);
            IfIndex((FIRST_IFACE + at.unwrap_or(0)) as u16)
        };
        let forwards = nat.forwards.iter().map(forward).collect();
        filter.nat_router(index(&nat.inside), index(&nat.outside), forwards)?;
        for pair in &nat.one_to_one {
            let (inside, outside) = (pair.inside.into(), pair.outside.into());
            filter.add_one_to_one(index(&nat.outside), outside, inside)?;
        }
        nat_kind(&mut filter, &nat.kind);
    }
    Ok(filter)
}

/// Makes a router's NAT one of a kind. Who asks for a behaviour that overloaded ports cannot have
/// gets ports without.
fn nat_kind(filter: &mut Filter, kind: &NatKind) {
    let now = Instant::ZERO;
    filter.set_preset(now, kind.preset);
    let preset = kind.preset.behaviour();
    filter.set_behaviour(Behaviour {
        mapping: kind.mapping.unwrap_or(preset.mapping),
        filtering: kind.filtering.unwrap_or(preset.filtering),
        preserve_ports: kind.preserve_ports.unwrap_or(preset.preserve_ports),
        overload: preset.overload && kind.mapping.is_none() && kind.filtering.is_none(),
        ports: kind
            .ports
            .and_then(|p| netarium_filter::PortRange::new(p.first, p.last))
            .or(preset.ports),
        hairpin: kind.hairpin.unwrap_or(preset.hairpin),
    });
    let mut set = |kinds: &[Timeout], to: Option<Duration>| {
        if let Some(to) = to {
            kinds.iter().for_each(|&kind| filter.set_timeout(now, kind, to));
        }
    };
    set(&[Timeout::Udp, Timeout::UdpStream], kind.udp_timeout);
    set(&[Timeout::Established], kind.tcp_timeout);
    set(&[Timeout::Icmp], kind.icmp_timeout);
}

/// Loopback and answers come in, the rest is denied; between them the lab's rules, of which the
/// first that fits decides.
fn inbound(filter: &mut Filter, firewall: &Firewall) -> Result<(), RuleError> {
    filter.host_firewall(Vec::new())?;
    for rule in &firewall.inbound {
        for rule in inbound_rule(rule).rules()? {
            filter.append_rule(Chain::Input, rule)?;
        }
    }
    Ok(())
}

/// A rule as a world takes it.
pub(crate) fn inbound_rule(rule: &crate::InboundRule) -> netarium_world::InboundRule {
    let (protocol, ports) = match rule.traffic {
        Traffic::Any => (None, None),
        Traffic::Icmp => (Some(protocol::ICMP), None),
        Traffic::Tcp(range) => (Some(protocol::TCP), ports(range)),
        Traffic::Udp(range) => (Some(protocol::UDP), ports(range)),
    };
    netarium_world::InboundRule {
        action: match rule.action {
            Action::Allow => netarium_world::edit::Action::Allow,
            Action::Drop => netarium_world::edit::Action::Drop,
            Action::Reject => netarium_world::edit::Action::Reject,
        },
        protocol,
        ports,
        from: rule.from.map(cidr),
        name: rule.name.clone(),
    }
}

fn forward(forward: &crate::Forward) -> PortForward {
    let protocol = match forward.protocol {
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
    };
    let PortRange { first, last } = forward.ports;
    ForwardPort { protocol, port: first, last }.to(forward.to.into())
}
