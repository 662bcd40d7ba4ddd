//! Hosts as written: their places on networks, firewalls, address translation, DHCP, routes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{RawLink, RawTitle};
use crate::decode::{At, Decode, Named, OneOrMany, Tried, either, table, wrong_type};
use crate::error::Errors;
use crate::tree::{Kind, Node};
use crate::value::{
    AddressRange, DependenceWord, Endpoint, ForwardFrom, HostAddress, IfMtu, Inside, Ipv4Net, Mac,
    NatPorts, OrNone, PlaceAddress, PresetWord, ReversePathWord, RouteTarget, RunAt, Span, Traffic,
};

table! {
    /// A host: a computer, or with `router = true` a router.
    RawHost: "a host" {
        required {
            /// The networks it is on, with its address on each.
            networks: Named<RawInterface>,
        }
        optional {
            /// What people read.
            title: RawTitle,
            /// The group that it is shown in.
            group: At<String>,
            /// Whether it forwards packets that are not for itself.
            router: At<bool>,
            /// The name servers that it asks: addresses, names of hosts, or "none".
            resolver: OneOrMany<At<String>>,
            /// Programs that start with the lab, as typed in a shell.
            programs: Vec<At<String>>,
            /// The inbound firewall.
            firewall: RawFirewall,
            /// Address translation; only on a router.
            nat: At<RawNat>,
            /// Routes beyond the networks it is on.
            routes: Vec<At<RawRoute>>,
            /// How a packet's source is compared with the way back to it: `off` (the default),
            /// `strict` or `loose`.
            reverse_path: ReversePathWord,
            /// Whether its TCP connections are paced: what the window lets out is spread over the
            /// round trip.
            pacing: bool,
        }
    }
}

table! {
    /// A host on a network.
    RawInterfaceTable: "a host's place on a network" {
        required {}
        optional {
            /// One address or several, with or without prefix length, or `dhcp`. Left out, the
            /// next free one of the subnet is taken.
            address: OneOrMany<At<PlaceAddress>>,
            /// The Ethernet address; by convention it comes from the names.
            mac: At<Mac>,
            /// The further switch that it is plugged into, instead of the network's own.
            switch: At<String>,
            /// The wire.
            link: RawLink,
            /// The largest packet that the interface sends, bytes; 1500 by default.
            mtu: IfMtu,
            /// Addresses that a DHCP server on this host gives to others on the network.
            dhcp: RawDhcp,
        }
    }
}

table! {
    /// A DHCP server on a network.
    RawDhcp: "a DHCP server" {
        required {}
        optional {
            /// The addresses that it gives out: `192.168.17.100-192.168.17.199`, or several such.
            /// Left out, the upper half of the subnet.
            range: OneOrMany<At<AddressRange>>,
            /// For how long: 1s to 365d; 1h by default.
            lease: At<Span>,
            /// The default route of the clients; by default this host, if it is a router, or else
            /// the only router of the network. `none` for no route.
            router: At<OrNone<HostAddress>>,
            /// The name servers of the clients.
            dns: OneOrMany<At<HostAddress>>,
            /// The domain of the clients.
            domain: At<String>,
            /// Addresses for certain clients, by the name of the host or by MAC address.
            reserve: Named<At<HostAddress>>,
        }
    }
}

/// An address, a list of addresses, or a table.
#[derive(Debug, Default)]
pub(crate) struct RawInterface(pub(crate) RawInterfaceTable);

impl Decode for RawInterface {
    const EXPECTED: &'static str = "an address, a list of addresses, or a table";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match &node.kind {
            Kind::Text(_) | Kind::List(_) => {
                let address = OneOrMany::decode(node, errors);
                Some(RawInterface(RawInterfaceTable { address, ..Default::default() }))
            }
            Kind::Table(_) => RawInterfaceTable::decode(node, errors).map(RawInterface),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

impl JsonSchema for RawInterface {
    fn schema_name() -> Cow<'static, str> {
        "Interface".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either::<OneOrMany<PlaceAddress>, RawInterfaceTable>(generator)
    }
}

table! {
    /// A host's own firewall.
    RawFirewall: "a firewall" {
        required {}
        optional {
            /// What may come in. When this is there, even empty, everything else is dropped.
            inbound: Vec<At<RawRule>>,
        }
    }
}

table! {
    /// An inbound rule: exactly one of `allow`, `drop` and `reject`.
    RawRule: "an inbound rule" {
        required {}
        optional {
            /// Let it in.
            allow: Tried<Traffic>,
            /// Throw it away without a word.
            drop: Tried<Traffic>,
            /// Refuse it: a TCP reset, or an ICMP error.
            reject: Tried<Traffic>,
            /// Only from this subnet.
            from: Ipv4Net,
            /// The rule's name.
            name: At<String>,
        }
    }
}

table! {
    /// Address translation on a router.
    RawNat: "nat" {
        required {
            /// The network whose addresses are hidden.
            inside: At<String>,
            /// The network on which the router's own address stands for them.
            outside: At<String>,
        }
        optional {
            /// Outside ports that lead to an inside address.
            forward: Vec<RawForward>,
            /// Outside addresses that stand for one inside host each.
            one_to_one: Vec<RawOneToOne>,
            /// The kind of NAT, in behaviour and time-outs; `linux` when left out.
            preset: PresetWord,
            /// Which flows of an inside port share an outside port.
            mapping: DependenceWord,
            /// From whom a mapping lets new flows in without a forward.
            filtering: DependenceWord,
            /// Whether an inside port keeps its number where it is free.
            preserve: bool,
            /// The outside ports to choose from.
            ports: NatPorts,
            /// Whether inside hosts reach each other by the outside address.
            hairpin: bool,
            /// How long silent flows are remembered.
            timeouts: RawNatTimeouts,
        }
    }
}

table! {
    /// How long a NAT remembers silent flows.
    RawNatTimeouts: "time-outs" {
        required {}
        optional {
            /// UDP, answered or not.
            udp: RunAt,
            /// TCP, established.
            tcp: RunAt,
            /// ICMP queries.
            icmp: RunAt,
        }
    }
}

table! {
    /// An outside address that stands for one inside host.
    RawOneToOne: "a one-to-one translation" {
        required {
            /// The outside address; the router has it besides its own.
            outside: At<HostAddress>,
            /// The inside address, or an inside host.
            inside: At<Inside>,
        }
        optional {}
    }
}

table! {
    /// A forwarded port, or a range of ports.
    RawForward: "a forward" {
        required {
            /// The outside port: `tcp/65535`, or ports: `udp/8000-8010`.
            from: At<ForwardFrom>,
            /// The inside address and (first) port: `192.168.17.17:80`.
            to: At<Endpoint>,
        }
        optional {}
    }
}

table! {
    /// A route.
    RawRoute: "a route" {
        required {
            /// Where it leads: a subnet, or `default`.
            to: RouteTarget,
            /// The next hop, on one of the host's networks.
            via: At<HostAddress>,
        }
        optional {}
    }
}
