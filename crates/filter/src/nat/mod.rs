//! Network address translation: what is configured, and the table of mappings.
//!
//! A *session* (see [`crate::conntrack`]) is one flow; a *mapping* says that an inside end point
//! is seen from outside under another one, and may serve many sessions. Which flows get a mapping is
//! said by the rules of the table `nat`; which outside end point it is, and who may use it from
//! outside, by the host's [`Behaviour`]. Linux' masquerading, the default, shares a mapping between
//! the sessions of one inside end point where it can and makes a second one where the first would
//! collide (address-and-port-dependent, with overloaded ports).

use core::net::{IpAddr, SocketAddr};

use netarium_base::IfIndex;
use netarium_base::trace::Text;
use netarium_wire::protocol;

use crate::matches::{Is, Match};
use crate::prefix::{Cidr, PortRange};
use crate::rules::{Rule, RuleError};
use crate::target::{NatTo, Target};

pub(crate) mod behaviour;
mod choose;
pub(crate) mod mapping;
pub(crate) mod peers;
pub(crate) mod ports;
pub(crate) mod translate;

pub use behaviour::{Behaviour, Dependence, Preset};

/// A port forward: new flows to these ports continue to a host inside. It is a rule of the chain
/// PREROUTING of the table `nat`, in words.
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

    /// The rule that it is.
    ///
    /// # Errors
    /// When the forward makes no sense.
    pub fn rule(&self) -> Result<Rule, RuleError> {
        if !matches!(self.protocol, protocol::TCP | protocol::UDP) {
            return Err(RuleError::ForwardProtocol(self.protocol));
        }
        let first = self.to.port();
        let last = u32::from(first) + self.ports.count() - 1;
        let refused = RuleError::ForwardRange { ports: self.ports, to: first };
        if first == 0 || self.ports.first() == 0 {
            return Err(refused);
        }
        let last = u16::try_from(last).map_err(|_| refused.clone())?;
        if let Some(d) = self.destination.filter(|d| d.is_ipv4() != self.to.is_ipv4()) {
            return Err(RuleError::ForwardFamily(d, self.to.ip()));
        }
        let matches = Match {
            protocol: Some(self.protocol.into()),
            input: self.input.map(Is::from),
            destination: self.destination.map(|a| Cidr::host(a).into()),
            destination_ports: Some(self.ports.into()),
            ..Match::default()
        };
        let to = NatTo {
            addresses: Some((self.to.ip(), self.to.ip())),
            ports: PortRange::new(first, last),
            base: (self.ports.count() > 1).then_some(self.ports.first()),
        };
        Rule::new(matches, Target::Dnat(to), self.text.clone())
    }

    /// The forward that a rule is; `None` for one that says more, or something else.
    pub fn of(rule: &Rule) -> Option<PortForward> {
        let (m, Target::Dnat(to)) = (rule.matches(), rule.target()) else { return None };
        let address = to.addresses.filter(|(first, last)| first == last)?.0;
        let ports = m.destination_ports?.value;
        let input = match &m.input {
            None => None,
            Some(i) => Some(*i.value.indices().first()?),
        };
        let forward = PortForward {
            protocol: m.protocol?.value,
            input,
            destination: m.destination.map(|d| d.value.address()),
            ports,
            to: SocketAddr::new(address, to.ports.map_or(ports.first(), PortRange::first)),
            text: rule.text().clone(),
        };
        // Whatever else the rule compares, or says, would not come out the same.
        let same = forward.rule().is_ok_and(|r| {
            let layout = Match { comment: m.comment.clone(), ..r.matches().clone() };
            layout == *m && (r.target() == rule.target() || to.ports.is_none())
        });
        same.then_some(forward)
    }
}

/// The rule that masquerades everything that leaves by an interface.
///
/// # Errors
/// Never: the rule makes sense.
pub fn masquerade(output: IfIndex) -> Result<Rule, RuleError> {
    let matches = Match { output: Some(output.into()), ..Match::default() };
    Rule::new(matches, Target::Masquerade(None), "masquerade".into())
}

/// What is known besides the rules of the table `nat`.
#[derive(Debug, Default)]
pub(crate) struct Nat {
    pub(crate) mappings: mapping::Mappings,
    pub(crate) peers: peers::Peers,
    pub(crate) exhausted: Option<ports::Exhausted>,
    pub(crate) behaviour: Behaviour,
    /// Pairs of (outside, inside) between which new flows need a forward.
    guarded: Vec<(IfIndex, IfIndex)>,
}

impl Nat {
    pub(crate) fn guard(&mut self, outside: IfIndex, inside: IfIndex) {
        if !self.guarded.contains(&(outside, inside)) {
            self.guarded.push((outside, inside));
        }
    }

    pub(crate) fn guarded(&self) -> &[(IfIndex, IfIndex)] {
        &self.guarded
    }

    /// Whether new flows from `input` to `output` need a forward.
    pub(crate) fn is_guarded(&self, input: IfIndex, output: IfIndex) -> bool {
        self.guarded.contains(&(input, output))
    }
}
