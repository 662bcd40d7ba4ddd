//! What happens to a packet that a rule matches.

use core::net::IpAddr;

use netarium_base::trace::Text;

use crate::Reject;
use crate::prefix::PortRange;

/// The longest prefix of a line in the log, bytes, as in the kernel.
pub const LOG_PREFIX_MAX: usize = 29;

/// What a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: the packet is counted, and the next rule is asked.
    Continue,
    /// It goes on; no later rule of the table is asked.
    Accept,
    /// It ends without a word.
    Drop,
    /// It ends, and its sender is told.
    Reject(Reject),
    /// It is noted in the trace and in the host's log, and the next rule is asked.
    Log(Log),
    /// The largest segment that a SYN offers is made smaller, and the next rule is asked.
    TcpMss(Mss),
    /// The rules of another chain are asked, then those behind this one.
    Jump(Text),
    /// The rules of another chain are asked instead of those behind this one.
    Goto(Text),
    /// The chain is left: the rules behind the jump are asked, or the policy.
    Return,
    /// The first packet of a flow continues to another destination; the flow follows it.
    Dnat(NatTo),
    /// The first packet of a flow leaves with another source; the flow follows it.
    Snat(NatTo),
    /// The same with the address of the interface that it leaves by.
    Masquerade(Option<PortRange>),
    /// The first packet of a flow continues to this host itself, perhaps to another port.
    Redirect(Option<PortRange>),
}

impl Target {
    /// The verdict in a trace event, or the kind of target: accept, drop, reject, log…
    pub fn name(&self) -> &'static str {
        match self {
            Target::Continue => "continue",
            Target::Accept => "accept",
            Target::Drop => "drop",
            Target::Reject(_) => "reject",
            Target::Log(_) => "log",
            Target::TcpMss(_) => "tcpmss",
            Target::Jump(_) => "jump",
            Target::Goto(_) => "goto",
            Target::Return => "return",
            Target::Dnat(_) => "dnat",
            Target::Snat(_) => "snat",
            Target::Masquerade(_) => "masquerade",
            Target::Redirect(_) => "redirect",
        }
    }

    /// The chain that it leads to.
    pub fn chain(&self) -> Option<&Text> {
        match self {
            Target::Jump(name) | Target::Goto(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it translates addresses.
    pub fn translates(&self) -> bool {
        matches!(
            self,
            Target::Dnat(_) | Target::Snat(_) | Target::Masquerade(_) | Target::Redirect(_)
        )
    }
}

/// To what the largest segment that a SYN offers is lowered; it never grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mss {
    /// To what fits into the path, as far as this host knows it: the MTU of the interfaces that
    /// lead to both ends, less 40 bytes of headers.
    ClampToPmtu,
    /// To so many bytes.
    Set(u16),
}

/// How a line in the host's log looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What the line begins with, at most [`LOG_PREFIX_MAX`] bytes.
    pub prefix: Text,
    /// syslog's level: 0 `emerg` to 7 `debug`; 4 `warning` unless told otherwise.
    pub level: u8,
}

impl Default for Log {
    fn default() -> Log {
        Log { prefix: "".into(), level: 4 }
    }
}

/// Where a translation leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatTo {
    /// The first and the last address; the address stays when absent.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// The ports (identifiers); as for the kind of translation when absent.
    pub ports: Option<PortRange>,
    /// Of a destination: a flow to this port continues to the first of `ports`, one to the next
    /// port to the second…
    pub base: Option<u16>,
}

impl NatTo {
    /// One address.
    pub fn address(address: IpAddr) -> NatTo {
        NatTo { addresses: Some((address, address)), ..NatTo::default() }
    }

    pub(crate) fn makes_sense(&self) -> bool {
        let addresses = self.addresses.is_none_or(|(first, last)| {
            first.is_ipv4() == last.is_ipv4() && first <= last && !first.is_unspecified()
        });
        let base = match (self.base, self.ports) {
            (Some(base), Some(ports)) => u32::from(base) + ports.count() <= 65_536,
            (base, _) => base.is_none(),
        };
        let ports = self.ports.is_none_or(|p| p.first() > 0);
        addresses && base && ports && (self.addresses.is_some() || self.ports.is_some())
    }
}
