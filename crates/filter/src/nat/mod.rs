//! Network address translation: what is configured, and the table of mappings.
//!
//! A *session* (see [`crate::conntrack`]) is one flow; a *mapping* says that an inside end point
//! is seen from outside under another one, and may serve many sessions. Linux' masquerading, the
//! default here, shares a mapping between the sessions of one inside end point where it can and
//! makes a second one where the first would collide (address-and-port-dependent); the endpoint-
//! independent behaviour of RFC 4787 §4.1 needs no other tables than these two.

use core::net::{IpAddr, SocketAddr};

use netarium_base::IfIndex;
use netarium_base::trace::Text;
use netarium_wire::protocol;

use crate::chain::Counters;
use crate::prefix::{Cidr, PortRange};
use crate::rules::{Facts, Is, Match, RuleError};

pub(crate) mod mapping;
pub(crate) mod ports;
pub(crate) mod translate;

/// The most forwards of one host, and the most source translations.
pub const NAT_RULES_MAX: usize = 4096;

/// A port forward: new flows to these ports continue to a host inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// IP protocol number: TCP or UDP.
    pub protocol: u8,
    /// Only flows that come by this interface; any when absent.
    pub input: Option<IfIndex>,
    /// Only flows to this address; any when absent.
    pub destination: Option<IpAddr>,
    /// The ports asked for.
    pub ports: PortRange,
    /// Where they lead: the first of `ports` to this port, the second to the next one…
    pub to: SocketAddr,
    /// How the forward is shown: as written, or its name.
    pub text: Text,
}

impl PortForward {
    /// A forward of one TCP port.
    pub fn tcp(port: u16, to: SocketAddr) -> PortForward {
        PortForward {
            protocol: protocol::TCP,
            input: None,
            destination: None,
            ports: PortRange::one(port),
            to,
            text: format!("tcp/{port} -> {to}").into(),
        }
    }

    fn matches(&self) -> Match {
        Match {
            protocol: Some(self.protocol.into()),
            input: self.input.map(Is::from),
            destination: self.destination.map(|a| Cidr::host(a).into()),
            destination_ports: Some(self.ports.into()),
            ..Match::default()
        }
    }

    fn check(&self) -> Result<(), RuleError> {
        if !matches!(self.protocol, protocol::TCP | protocol::UDP) {
            return Err(RuleError::ForwardProtocol(self.protocol));
        }
        let last = u32::from(self.to.port()) + self.ports.count() - 1;
        if self.to.port() == 0 || self.ports.first() == 0 || last > u32::from(u16::MAX) {
            return Err(RuleError::ForwardRange { ports: self.ports, to: self.to.port() });
        }
        match self.destination {
            Some(d) if d.is_ipv4() != self.to.is_ipv4() => {
                Err(RuleError::ForwardFamily(d, self.to.ip()))
            }
            _ => Ok(()),
        }
    }

    /// Where a flow to `port`, one of `ports`, continues.
    fn target(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.to.ip(), self.to.port() + (port - self.ports.first()))
    }
}

/// Which address a translated source gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceTo {
    /// The address of the output interface at that moment (MASQUERADE).
    Interface,
    /// A fixed address (SNAT).
    Address(IpAddr),
}

/// A translation of the source of new flows that leave by an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceNat {
    /// The interface.
    pub output: IfIndex,
    /// Only flows from these addresses; all when absent.
    pub source: Option<Cidr>,
    /// The address they get.
    pub to: SourceTo,
    /// The ports (identifiers) they get. When absent, as Linux does: the old port where it is
    /// free, else one of the same class: below 512, 600 to 1023, or from 1024 on.
    pub ports: Option<PortRange>,
}

impl SourceNat {
    /// Masquerading of everything that leaves by `output`.
    pub fn masquerade(output: IfIndex) -> SourceNat {
        SourceNat { output, source: None, to: SourceTo::Interface, ports: None }
    }

    fn matches(&self) -> Match {
        Match {
            output: Some(self.output.into()),
            source: self.source.map(Is::from),
            ..Match::default()
        }
    }
}

/// A forward as it stands in the table.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    pub(crate) spec: PortForward,
    matches: Match,
    /// For flows that this host begins, instead of flows that arrive.
    pub(crate) local: bool,
    pub(crate) counters: Counters,
}

/// A source translation as it stands in the table.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) spec: SourceNat,
    pub(crate) matches: Match,
    pub(crate) counters: Counters,
}

/// What is configured.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    pub(crate) forwards: Vec<Forward>,
    pub(crate) sources: Vec<Source>,
    pub(crate) mappings: mapping::Mappings,
    pub(crate) exhausted: Option<ports::Exhausted>,
    /// Pairs of (outside, inside) between which new flows need a forward.
    guarded: Vec<(IfIndex, IfIndex)>,
}

impl Nat {
    pub(crate) fn add_router(
        &mut self,
        inside: IfIndex,
        outside: IfIndex,
        mut forwards: Vec<PortForward>,
    ) -> Result<(), RuleError> {
        if inside == outside {
            return Err(RuleError::SameInterface);
        }
        if self.forwards.len() + forwards.len() > NAT_RULES_MAX {
            return Err(RuleError::TooMany(NAT_RULES_MAX));
        }
        forwards.iter().try_for_each(PortForward::check)?;
        self.add_source(SourceNat::masquerade(outside))?;
        for forward in &mut forwards {
            forward.input.get_or_insert(outside);
        }
        self.forwards.extend(forwards.into_iter().map(|f| Forward::new(f, false)));
        self.guarded.push((outside, inside));
        Ok(())
    }

    pub(crate) fn add_forward(
        &mut self,
        forward: PortForward,
        local: bool,
    ) -> Result<(), RuleError> {
        forward.check()?;
        if self.forwards.len() >= NAT_RULES_MAX {
            return Err(RuleError::TooMany(NAT_RULES_MAX));
        }
        self.forwards.push(Forward::new(forward, local));
        Ok(())
    }

    pub(crate) fn remove_forward(
        &mut self,
        index: usize,
        local: bool,
    ) -> Result<PortForward, RuleError> {
        let mut same = self.forwards.iter().enumerate().filter(|(_, f)| f.local == local);
        match same.nth(index) {
            Some((at, _)) => Ok(self.forwards.remove(at).spec),
            None => {
                let len = self.forwards.iter().filter(|f| f.local == local).count();
                Err(RuleError::NoSuchRule { index, len })
            }
        }
    }

    pub(crate) fn add_source(&mut self, source: SourceNat) -> Result<(), RuleError> {
        if self.sources.len() >= NAT_RULES_MAX {
            return Err(RuleError::TooMany(NAT_RULES_MAX));
        }
        self.sources.push(Source::from(source));
        Ok(())
    }

    pub(crate) fn remove_source(&mut self, index: usize) -> Result<SourceNat, RuleError> {
        let len = self.sources.len();
        if index >= len {
            return Err(RuleError::NoSuchRule { index, len });
        }
        Ok(self.sources.remove(index).spec)
    }

    /// Whether anything is ever translated.
    pub(crate) fn is_active(&self) -> bool {
        !self.forwards.is_empty() || !self.sources.is_empty()
    }

    pub(crate) fn guarded(&self) -> &[(IfIndex, IfIndex)] {
        &self.guarded
    }

    /// Whether new flows from `input` to `output` need a forward.
    pub(crate) fn is_guarded(&self, input: IfIndex, output: IfIndex) -> bool {
        self.guarded.contains(&(input, output))
    }

    /// The first forward that matches a new flow, counted, and where it leads. IPv4 only: see
    /// the crate's documentation.
    pub(crate) fn forward_for(
        &mut self,
        facts: &Facts,
        local: bool,
        bytes: usize,
    ) -> Option<SocketAddr> {
        let port = facts.ports?.1;
        let fits =
            |f: &&mut Forward| f.local == local && f.spec.to.is_ipv4() && f.matches.matches(facts);
        let hit = self.forwards.iter_mut().filter(|_| facts.dst.is_ipv4()).find(fits)?;
        hit.counters.count(bytes);
        Some(hit.spec.target(port))
    }

    /// The first source translation that matches a packet. `interface` is the address of the
    /// output interface. IPv4 only: see the crate's documentation.
    pub(crate) fn source_for(&self, facts: &Facts, interface: IpAddr) -> Option<SourceChoice> {
        if !facts.src.is_ipv4() {
            return None;
        }
        self.sources.iter().enumerate().find_map(|(rule, s)| {
            let address = match s.spec.to {
                SourceTo::Interface => interface,
                SourceTo::Address(address) => address,
            };
            let fits = address.is_ipv4() && s.matches.matches(facts);
            fits.then_some(SourceChoice { rule, address, ports: s.spec.ports })
        })
    }
}

/// The outcome of [`Nat::source_for`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceChoice {
    /// Index of the translation.
    pub(crate) rule: usize,
    /// The address the source gets.
    pub(crate) address: IpAddr,
    /// The ports it may get.
    pub(crate) ports: Option<PortRange>,
}

impl Forward {
    fn new(spec: PortForward, local: bool) -> Forward {
        let matches = spec.matches();
        Forward { spec, matches, local, counters: Counters::default() }
    }
}

impl From<SourceNat> for Source {
    fn from(spec: SourceNat) -> Source {
        let matches = spec.matches();
        Source { spec, matches, counters: Counters::default() }
    }
}
