//! How a NAT behaves, in the terms of RFC 4787 §4, and presets for kinds that people meet.

use netarium_base::Duration;

use crate::conntrack::{Timeout, Timeouts};
use crate::prefix::PortRange;

/// How much of the far end something depends on (RFC 4787 §4.1 for mappings, §5 for filtering).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependence {
    /// Nothing: the same for every far end.
    Endpoint,
    /// The far end's address.
    Address,
    /// The far end's address and port.
    AddressAndPort,
}

impl Dependence {
    /// All of them.
    pub const ALL: [Dependence; 3] =
        [Dependence::Endpoint, Dependence::Address, Dependence::AddressAndPort];

    /// The name in lab files.
    pub const fn name(self) -> &'static str {
        match self {
            Dependence::Endpoint => "endpoint-independent",
            Dependence::Address => "address-dependent",
            Dependence::AddressAndPort => "address-and-port-dependent",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Dependence> {
        Dependence::ALL.into_iter().find(|d| d.name() == name)
    }
}

/// How a host translates sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Which flows of an inside end point share its outside end point.
    pub mapping: Dependence,
    /// From which far ends a mapping lets new flows in, without a forward.
    pub filtering: Dependence,
    /// Whether an inside end point keeps its port number where that is free.
    pub preserve_ports: bool,
    /// Whether one outside port may stand for several inside end points as long as their far ends
    /// differ. Linux does that; RFC 4787 REQ-3 forbids it. With it, [`Behaviour::filtering`] is
    /// always [`Dependence::AddressAndPort`]: an outside port alone tells nobody.
    pub overload: bool,
    /// The outside ports (identifiers) to choose from. When absent those of the inside port's
    /// class: below 512, 600 to 1023, or from 1024 on.
    pub ports: Option<PortRange>,
    /// Whether an inside host reaches others inside, and forwards, by the outside address.
    pub hairpin: bool,
}

impl Default for Behaviour {
    /// Linux'.
    fn default() -> Behaviour {
        Preset::Linux.behaviour()
    }
}

impl Behaviour {
    /// Whether mappings are found by their outside end points.
    pub(crate) fn needs_outside(&self) -> bool {
        !self.overload
    }

    /// Whether it has to be known which far ends a mapping is used with.
    pub(crate) fn needs_peers(&self) -> bool {
        !self.overload
            && (self.mapping != Dependence::Endpoint || self.filtering == Dependence::Address)
    }
}

/// Kinds of NAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preset {
    /// Linux' masquerading, in behaviour and in time-outs.
    #[default]
    Linux,
    /// A home router that follows the RFCs: endpoint-independent mapping, filtering by address and
    /// port, hairpinning.
    Home,
    /// A company's firewall: symmetric, no hairpinning, impatient.
    Corporate,
    /// Whoever was let out once can be reached by everybody.
    FullCone,
    /// Another random outside port for every far end.
    Symmetric,
    /// A carrier's NAT for many customers (RFC 6888): endpoint-independent in both ways, ports from
    /// 1024 on, no port preservation.
    Cgnat,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 6] = [
        Preset::Linux,
        Preset::Home,
        Preset::Corporate,
        Preset::FullCone,
        Preset::Symmetric,
        Preset::Cgnat,
    ];

    /// The name in lab files.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Linux => "linux",
            Preset::Home => "home",
            Preset::Corporate => "corporate",
            Preset::FullCone => "full-cone",
            Preset::Symmetric => "symmetric",
            Preset::Cgnat => "cgnat",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|p| p.name() == name)
    }

    /// How it behaves.
    pub const fn behaviour(self) -> Behaviour {
        use Dependence::{AddressAndPort, Endpoint};
        let plain = Behaviour {
            mapping: Endpoint,
            filtering: AddressAndPort,
            preserve_ports: true,
            overload: false,
            ports: None,
            hairpin: true,
        };
        match self {
            Preset::Linux => {
                Behaviour { mapping: AddressAndPort, overload: true, hairpin: false, ..plain }
            }
            Preset::Home => plain,
            Preset::Corporate => Behaviour { mapping: AddressAndPort, hairpin: false, ..plain },
            Preset::FullCone => Behaviour { filtering: Endpoint, ..plain },
            Preset::Symmetric => Behaviour {
                mapping: AddressAndPort,
                preserve_ports: false,
                hairpin: false,
                ..plain
            },
            Preset::Cgnat => Behaviour {
                filtering: Endpoint,
                preserve_ports: false,
                ports: Some(PortRange::DYNAMIC),
                ..plain
            },
        }
    }

    /// Its time-outs: Linux' own; a company's, which are short; else what RFC 4787 REQ-5 (UDP: five
    /// minutes), RFC 5382 REQ-5 (TCP: two hours and four minutes; four minutes while opening or
    /// closing) and RFC 5508 REQ-2 (ICMP: a minute) ask for at least.
    pub fn timeouts(self) -> Timeouts {
        let mut t = Timeouts::default();
        let mut set = |kinds: &[Timeout], secs| {
            kinds.iter().for_each(|&kind| t.set(kind, Duration::from_secs(secs)));
        };
        let transitory = [
            Timeout::SynSent,
            Timeout::SynRecv,
            Timeout::FinWait,
            Timeout::CloseWait,
            Timeout::LastAck,
            Timeout::TimeWait,
            Timeout::Unacknowledged,
        ];
        match self {
            Preset::Linux => {}
            Preset::Corporate => {
                set(&[Timeout::Udp, Timeout::UdpStream], 60);
                set(&[Timeout::Established], 3_600);
            }
            Preset::Home | Preset::FullCone | Preset::Symmetric | Preset::Cgnat => {
                set(&[Timeout::Udp, Timeout::UdpStream], 300);
                set(&[Timeout::Established], 7_440);
                set(&[Timeout::Icmp], 60);
                set(&transitory, 240);
            }
        }
        t
    }
}
