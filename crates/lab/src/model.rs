//! The validated lab: what is past this door needs no further check.
//!
//! A [`Lab`] can only be made by validation, and everything it refers to exists: networks, switches
//! and hosts are in the order of their names (so that an index is a rank of names), addresses and
//! MACs are filled in and unique, default routes by convention stand among the routes, commands are
//! split into words.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use netarium_base::Duration;
use netarium_filter::{Dependence, Preset};
use netarium_world::{Faults, ReversePath};

use crate::files::{Files, HostFiles};
use crate::value::{Ipv4Net, Mac, PortRange, Probability, Protocol, Rate, Traffic};

/// A validated lab.
#[derive(Clone, Debug, PartialEq)]
pub struct Lab {
    pub(crate) name: String,
    pub(crate) title: Title,
    pub(crate) seed: Option<u64>,
    pub(crate) networks: Vec<Network>,
    pub(crate) switches: Vec<Switch>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) groups: Vec<Group>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) publish: Vec<Publish>,
    pub(crate) attach: Vec<Attach>,
    pub(crate) proxy_from: Option<String>,
    pub(crate) runs: Vec<Run>,
    pub(crate) schedule: Vec<Schedule>,
    pub(crate) files: Arc<Files>,
}

impl Lab {
    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people read.
    pub fn title(&self) -> &Title {
        &self.title
    }

    /// The seed that the file asks for.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The networks, by name.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The switches beyond those that the networks are, by name.
    pub fn switches(&self) -> &[Switch] {
        &self.switches
    }

    /// The hosts, by name. The gateway is not among them.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The groups of hosts, by name.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The real machine's place in the lab.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.gateway.as_ref()
    }

    /// The published ports, in the order of their keys.
    pub fn publish(&self) -> &[Publish] {
        &self.publish
    }

    /// The attached servers, by host and port.
    pub fn attach(&self) -> &[Attach] {
        &self.attach
    }

    /// The host that the proxy's connections come from; `None` means the gateway, where there is one.
    pub fn proxy_from(&self) -> Option<&str> {
        self.proxy_from.as_deref()
    }

    /// What happens by itself when the lab runs headless, by time; at one time as in the file.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The commands that the lab gives itself, by time; at one time as in the file.
    pub fn schedule(&self) -> &[Schedule] {
        &self.schedule
    }

    /// The lab's folder.
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// What `host` sees of the lab's folder.
    pub fn files_of(&self, host: &str) -> HostFiles {
        HostFiles::new(Arc::clone(&self.files), host)
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        let found = self.hosts.binary_search_by(|h| h.name.as_str().cmp(name));
        found.ok().map(|i| &self.hosts[i])
    }

    /// The network of this name.
    pub fn network(&self, name: &str) -> Option<&Network> {
        let found = self.networks.binary_search_by(|n| n.name.as_str().cmp(name));
        found.ok().map(|i| &self.networks[i])
    }

    /// The hosts table, which is the resolver by convention: each host's name with its first
    /// address (that on the first of its networks by name), then `gateway`. Hosts whose addresses
    /// all come by DHCP are not in it before they have one.
    pub fn names(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        let hosts = self.hosts.iter().map(|h| (h.name.as_str(), h.address()));
        let hosts = hosts.filter(|(_, address)| !address.is_unspecified());
        hosts.chain(self.gateway.iter().map(|g| (GATEWAY, g.interface.address())))
    }
}

/// The gateway's name among the nodes of a lab.
pub const GATEWAY: &str = "gateway";

/// A title in up to two languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Title {
    /// English, or the one text for every language.
    pub en: Option<String>,
    /// Korean.
    pub ko: Option<String>,
}

impl Title {
    /// The title for a language tag such as `ko` or `en-GB`, else the other one that is there.
    pub fn text(&self, language: &str) -> Option<&str> {
        let (first, second) = match language.split(['-', '_']).next() {
            Some("ko") => (&self.ko, &self.en),
            _ => (&self.en, &self.ko),
        };
        first.as_deref().or(second.as_deref())
    }
}

/// What joins the wires of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeKind {
    /// Learns where addresses are.
    #[default]
    Switch,
    /// Repeats everything to everyone.
    Hub,
}

/// A network: one broadcast domain with one subnet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Network {
    /// Its name, which is also that of its switch or hub.
    pub name: String,
    /// What people read.
    pub title: Title,
    /// Switch or hub.
    pub kind: NodeKind,
    /// The subnet.
    pub subnet: Ipv4Net,
    /// The settings of its switch.
    pub switch: SwitchSettings,
}

/// How a switch learns and what it copies where; the default for a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwitchSettings {
    /// How many addresses it remembers; the world's default when absent.
    pub table: Option<u32>,
    /// How long it remembers one; the world's default when absent.
    pub ageing: Option<Duration>,
    /// Its mirror port.
    pub mirror: Option<Mirror>,
}

/// A mirror port of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mirror {
    /// The wire by which the copies leave.
    pub to: String,
    /// The wires that are watched; all others when empty.
    pub from: Vec<String>,
}

/// A further switch (or hub) of a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Switch {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: Title,
    /// Switch or hub.
    pub kind: NodeKind,
    /// The network or switch that it is plugged into.
    pub uplink: String,
    /// The network at the end of its uplinks.
    pub network: String,
    /// The wire to `uplink`, called `NAME.UPLINK`; `up` leads towards the uplink.
    pub link: Link,
    /// Its settings.
    pub settings: SwitchSettings,
    /// Networks and switches to which further cables lead, called `NAME.OTHER`, with the same
    /// settings as the one to `uplink`.
    pub cables: Vec<String>,
}

/// A group of hosts that a view may fold into one. It changes nothing in the world.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: Title,
}

/// A host: a computer or a router.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: Title,
    /// The group that it is shown in.
    pub group: Option<String>,
    /// Whether it forwards packets that are not for itself.
    pub router: bool,
    /// Its interfaces, in the order of their networks' names; at least one.
    pub interfaces: Vec<Interface>,
    /// The name servers that it asks, those by convention included; at most three.
    pub resolvers: Vec<Ipv4Addr>,
    /// Programs that start with the lab.
    pub programs: Vec<Command>,
    /// The inbound firewall, when it has one.
    pub firewall: Option<Firewall>,
    /// Address translation, when it does it.
    pub nat: Option<Nat>,
    /// Routes beyond its own networks, those by convention included.
    pub routes: Vec<Route>,
    /// How a packet's source is compared with the way back to it.
    pub reverse_path: ReversePath,
    /// Whether its TCP connections are paced.
    pub pacing: bool,
}

impl Host {
    /// Its first address in the file; 0.0.0.0 for one that gets all its addresses by DHCP.
    pub fn address(&self) -> Ipv4Addr {
        let mut all = self.interfaces.iter().flat_map(|i| &i.addresses);
        all.next().map_or(Ipv4Addr::UNSPECIFIED, |a| a.address)
    }

    /// The commands of what runs on it because of its interfaces: the DHCP server, and a client for
    /// each address that comes by DHCP. Clients start in the foreground.
    pub fn services(&self) -> Vec<(Vec<String>, bool)> {
        let named = |i: usize| format!("eth{i}");
        let of = |words: &[&str], rest: Vec<String>| {
            words.iter().map(|w| (*w).to_owned()).chain(rest).collect::<Vec<_>>()
        };
        let all = || self.interfaces.iter().enumerate();
        let served: Vec<_> =
            all().filter(|(_, i)| i.dhcp.is_some()).map(|(n, _)| named(n)).collect();
        let mut services = Vec::new();
        if !served.is_empty() {
            services.push((of(&["dhcpd"], served), true));
        }
        for (n, _) in all().filter(|(_, i)| i.by_dhcp) {
            services.push((of(&["dhclient", "-v"], vec![named(n)]), false));
        }
        services
    }

    /// Its interface on a network.
    pub fn on(&self, network: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.network == network)
    }
}

/// A host's place on a network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Interface {
    /// The network.
    pub network: String,
    /// What the wire is plugged into: the network, or one of its further switches.
    pub plugged_into: String,
    /// The wire's name, `HOST.NETWORK`.
    pub link_name: String,
    /// The addresses; the first is the one by which the host is known. None when it gets one by
    /// DHCP, else at least one.
    pub addresses: Vec<Ipv4Net>,
    /// Whether it gets its address by DHCP.
    pub by_dhcp: bool,
    /// The DHCP server there.
    pub dhcp: Option<DhcpServer>,
    /// The largest packet that it sends, bytes.
    pub mtu: u16,
    /// The Ethernet address.
    pub mac: Mac,
    /// Whether the file names the MAC.
    pub mac_given: bool,
    /// The wire; `up` leads from the host to the network.
    pub link: Link,
}

impl Interface {
    /// The first address.
    pub fn address(&self) -> Ipv4Addr {
        self.addresses.first().map_or(Ipv4Addr::UNSPECIFIED, |a| a.address)
    }
}

/// What a DHCP server gives to the clients of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhcpServer {
    /// The network's subnet.
    pub subnet: Ipv4Net,
    /// First and last addresses of the ranges that it gives out; at least one.
    pub ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// For how long: whole seconds.
    pub lease: Duration,
    /// The default route of the clients.
    pub router: Option<Ipv4Addr>,
    /// Their name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Their domain.
    pub domain: Option<String>,
    /// Addresses for certain clients.
    pub reserved: Vec<Reserved>,
}

/// An address that a DHCP server keeps for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reserved {
    /// The client as the file names it: a host, or a MAC address.
    pub name: String,
    /// Its MAC address.
    pub mac: Mac,
    /// Its address.
    pub address: Ipv4Addr,
}

/// A wire, direction by direction.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// From the host (or further switch) to the network.
    pub up: Wire,
    /// From the network to the host (or further switch).
    pub down: Wire,
}

/// One direction of a wire.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Wire {
    /// How long a bit travels: at least 1 ns.
    pub delay: Duration,
    /// Bits per second; `None` means without limit.
    pub rate: Option<Rate>,
    /// Frames that may wait to be sent: at least 1.
    pub queue: u32,
    /// The probability that a frame is lost.
    pub loss: Probability,
    /// What it does beyond that.
    pub faults: Faults,
}

impl Default for Wire {
    /// 10 µs, without limit of rate, a queue of 1000 frames, without loss.
    fn default() -> Self {
        let delay = Duration::from_micros(10);
        Wire { delay, rate: None, queue: 1_000, loss: Probability::ZERO, faults: Faults::default() }
    }
}

/// A command, split into words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// The words: the program's name and its arguments.
    pub argv: Vec<String>,
    /// As written.
    pub text: String,
}

/// A stateful inbound firewall: what no rule names is dropped, answers to the host's own traffic
/// come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firewall {
    /// The rules; the first that fits decides.
    pub inbound: Vec<InboundRule>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it in.
    Allow,
    /// Throws it away without a word.
    Drop,
    /// Refuses it: a TCP reset, or an ICMP error.
    Reject,
}

impl Action {
    /// The rule's key in a lab file.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Drop => "drop",
            Action::Reject => "reject",
        }
    }
}

/// One inbound rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboundRule {
    /// What it does.
    pub action: Action,
    /// With which traffic.
    pub traffic: Traffic,
    /// Only from this subnet.
    pub from: Option<Ipv4Net>,
    /// Its name.
    pub name: Option<String>,
}

impl InboundRule {
    /// Its name, or what it says: `allow tcp/80 from 10.0.0.0/8`.
    pub fn label(&self) -> String {
        match (&self.name, self.from) {
            (Some(name), _) => name.clone(),
            (None, Some(from)) => format!("{} {} from {from}", self.action.as_str(), self.traffic),
            (None, None) => format!("{} {}", self.action.as_str(), self.traffic),
        }
    }
}

/// Address translation on a router: inside addresses leave as the router's first outside address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nat {
    /// The network whose addresses are hidden.
    pub inside: String,
    /// The network on which the router's address stands for them.
    pub outside: String,
    /// Outside ports that lead inside. No two have the same protocol and port.
    pub forwards: Vec<Forward>,
    /// Outside addresses that stand for one inside address each. The router has them all.
    pub one_to_one: Vec<OneToOne>,
    /// How it translates.
    pub kind: NatKind,
}

/// How a NAT translates: a preset, and what differs from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NatKind {
    /// Where everything else comes from.
    pub preset: Preset,
    /// Which flows of an inside port share an outside port.
    pub mapping: Option<Dependence>,
    /// From whom a mapping lets new flows in without a forward.
    pub filtering: Option<Dependence>,
    /// Whether an inside port keeps its number where it is free.
    pub preserve_ports: Option<bool>,
    /// The outside ports to choose from.
    pub ports: Option<PortRange>,
    /// Whether inside hosts reach each other by the outside address.
    pub hairpin: Option<bool>,
    /// How long a silent UDP flow is remembered.
    pub udp_timeout: Option<Duration>,
    /// How long a silent TCP connection is remembered.
    pub tcp_timeout: Option<Duration>,
    /// How long an ICMP query is remembered.
    pub icmp_timeout: Option<Duration>,
}

/// An outside address that stands for an inside one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OneToOne {
    /// The outside address.
    pub outside: Ipv4Addr,
    /// The inside address.
    pub inside: Ipv4Addr,
}

/// A forwarded port, or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forward {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The outside ports.
    pub ports: PortRange,
    /// The inside address and the port to which the first outside port leads, the second to the
    /// next one…; the address is in the inside network's subnet.
    pub to: SocketAddrV4,
}

impl Forward {
    /// The outside ports.
    pub fn ports(&self) -> PortRange {
        self.ports
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// Where it leads.
    pub to: Ipv4Net,
    /// The next hop, on `network`.
    pub via: Ipv4Addr,
    /// The network by which it leaves.
    pub network: String,
    /// Whether it stands there by convention and not in the file.
    pub by_convention: bool,
}

/// The real machine, as the lab sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gateway {
    /// What people read.
    pub title: Title,
    /// Its one interface, with one address; the wire is called `gateway.NETWORK`.
    pub interface: Interface,
    /// The name servers that it asks, those by convention included; at most three.
    pub resolvers: Vec<Ipv4Addr>,
}

/// A port of the real machine that leads into the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publish {
    /// Where the real machine listens; port 0 lets it choose.
    pub listen: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The lab's address and port, which a host of the lab has.
    pub to: SocketAddrV4,
    /// The host that the connections come from; `None` means the gateway, which then exists.
    pub from: Option<String>,
    /// Whether only programs on the real machine itself can reach it. If not, say so to the user.
    pub loopback: bool,
}

/// A port of a lab host behind which a real server stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attach {
    /// The lab host.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The real server, on a loopback address.
    pub to: SocketAddr,
}

impl Attach {
    /// The program that listens on the host while the lab runs, and its arguments.
    pub fn argv(&self) -> Vec<String> {
        vec!["attach".to_owned(), self.port.to_string(), self.to.to_string()]
    }
}

/// A command that runs by itself when the lab runs headless.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// When, from the lab's start.
    pub at: Duration,
    /// The host.
    pub host: String,
    /// The command.
    pub command: Command,
}

/// A command, or several of one line, that the lab gives itself while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// When, from the lab's start.
    pub at: Duration,
    /// After how long it is given again, and how many times more.
    pub again: Option<(Duration, u32)>,
    /// As written.
    pub text: String,
    /// What is to be done.
    pub commands: Vec<netarium_world::Command>,
}
