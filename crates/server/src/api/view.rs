//! A lab as the API shows it.

use std::net::{IpAddr, SocketAddr};

use netarium_lab::{Interface, Lab, NodeKind, Title};
use serde::{Deserialize, Serialize};

/// A lab and where it can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabView {
    /// The lab's name.
    pub name: String,
    /// The name by which `--on` finds this run of it.
    pub running_as: String,
    /// What people read.
    pub title: TitleView,
    /// The folder whose files the lab serves; edits there enter the running lab.
    pub folder: Option<String>,
    /// Networks by name.
    pub networks: Vec<NetworkView>,
    /// Groups of hosts that a view may fold into one, by name.
    pub groups: Vec<GroupView>,
    /// Hosts by name.
    pub hosts: Vec<HostView>,
    /// The real machine, as the lab sees it.
    pub gateway: Option<HostView>,
    /// All wires by name.
    pub links: Vec<String>,
    /// Real ports that lead into the lab.
    pub published: Vec<PublishedView>,
    /// The proxy that enters the lab.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyView>,
    /// Ports of lab hosts behind which real servers stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<AttachedView>,
}

/// The proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyView {
    /// Where the real machine listens, for SOCKS5 and HTTP.
    pub listen: SocketAddr,
    /// The host from which its connections come.
    pub from: String,
}

/// An attached server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedView {
    /// The lab's host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The real server.
    pub to: SocketAddr,
    /// Whether connections continue there: `--allow-attach` was given.
    pub allowed: bool,
}

/// A title in up to two languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TitleView {
    /// English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
    /// Korean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ko: Option<String>,
}

impl TitleView {
    /// Both languages in one line, `English · 한국어`; `None` when there is neither.
    pub fn line(&self) -> Option<String> {
        match (&self.en, &self.ko) {
            (Some(en), Some(ko)) if en != ko => Some(format!("{en} · {ko}")),
            (Some(one), _) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}

impl From<&Title> for TitleView {
    fn from(title: &Title) -> TitleView {
        TitleView { en: title.en.clone(), ko: title.ko.clone() }
    }
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: TitleView,
    /// `switch` or `hub`.
    pub kind: String,
    /// Its subnet.
    pub subnet: String,
}

/// A group of hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: TitleView,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: TitleView,
    /// The group that it is shown in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether it forwards packets.
    pub router: bool,
    /// Whether it translates addresses.
    pub nat: bool,
    /// Whether it has an inbound firewall.
    pub firewall: bool,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceView>,
    /// The commands that start with the lab.
    pub programs: Vec<String>,
}

impl HostView {
    /// All its addresses, in the order of its interfaces.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.interfaces.iter().flat_map(|i| i.addresses.iter().copied())
    }
}

/// An interface of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceView {
    /// The network it is on.
    pub network: String,
    /// Its wire's name.
    pub link: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its Ethernet address.
    pub mac: String,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedView {
    /// Where the real machine listens.
    pub listen: SocketAddr,
    /// Where the lab file wanted it to listen, when that is another place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted: Option<SocketAddr>,
    /// Where connections go in the lab.
    pub to: SocketAddr,
    /// Whether it takes datagrams, not connections.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp: bool,
}

impl LabView {
    /// The view of a lab; what only a run knows is empty.
    pub fn new(lab: &Lab) -> LabView {
        let gateway = lab.gateway().map(|g| HostView {
            name: netarium_lab::model::GATEWAY.to_owned(),
            title: (&g.title).into(),
            group: None,
            router: false,
            nat: false,
            firewall: false,
            interfaces: vec![(&g.interface).into()],
            programs: Vec::new(),
        });
        let hosts: Vec<_> = lab.hosts().iter().map(HostView::new).collect();
        let mut links: Vec<String> = hosts
            .iter()
            .chain(&gateway)
            .flat_map(|h| h.interfaces.iter().map(|i| i.link.clone()))
            .chain(lab.switches().iter().map(|s| format!("{}.{}", s.name, s.uplink)))
            .collect();
        links.sort();
        LabView {
            name: lab.name().to_owned(),
            running_as: String::new(),
            title: lab.title().into(),
            folder: None,
            networks: lab.networks().iter().map(NetworkView::new).collect(),
            groups: lab.groups().iter().map(GroupView::new).collect(),
            hosts,
            gateway,
            links,
            published: Vec::new(),
            proxy: None,
            attached: Vec::new(),
        }
    }
}

impl NetworkView {
    fn new(network: &netarium_lab::Network) -> NetworkView {
        let kind = match network.kind {
            NodeKind::Switch => "switch",
            NodeKind::Hub => "hub",
        };
        NetworkView {
            name: network.name.clone(),
            title: (&network.title).into(),
            kind: kind.to_owned(),
            subnet: network.subnet.to_string(),
        }
    }
}

impl GroupView {
    fn new(group: &netarium_lab::Group) -> GroupView {
        GroupView { name: group.name.clone(), title: (&group.title).into() }
    }
}

impl HostView {
    fn new(host: &netarium_lab::Host) -> HostView {
        HostView {
            name: host.name.clone(),
            title: (&host.title).into(),
            group: host.group.clone(),
            router: host.router,
            nat: host.nat.is_some(),
            firewall: host.firewall.is_some(),
            interfaces: host.interfaces.iter().map(InterfaceView::from).collect(),
            programs: host.programs.iter().map(|p| p.text.clone()).collect(),
        }
    }
}

impl From<&Interface> for InterfaceView {
    fn from(iface: &Interface) -> InterfaceView {
        InterfaceView {
            network: iface.network.clone(),
            link: iface.link_name.clone(),
            addresses: iface.addresses.iter().map(|a| a.address.into()).collect(),
            mac: iface.mac.to_string(),
        }
    }
}
