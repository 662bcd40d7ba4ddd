//! Ports, and addresses with ports.

use core::net::{Ipv4Addr, SocketAddr};
use std::fmt;

use super::{FromText, Problem, text_value};
use crate::error::{did_you_mean, shown};

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, RFC 9293.
    Tcp,
    /// UDP, RFC 768.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

impl FromText for Protocol {
    const EXPECTED: &'static str = "`tcp` or `udp`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            _ => Err(Problem::new("an unknown protocol")),
        }
    }
}
text_value!(Protocol, "Protocol", "tcp");

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The first port, at least 1.
    pub first: u16,
    /// The last port, not below the first.
    pub last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange { first: 0, last: u16::MAX };

    /// Whether `port` is among them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// The traffic a firewall rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Traffic {
    /// Everything.
    Any,
    /// ICMP of every type.
    Icmp,
    /// TCP to these ports.
    Tcp(PortRange),
    /// UDP to these ports.
    Udp(PortRange),
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Traffic::Any => f.write_str("any"),
            Traffic::Icmp => f.write_str("icmp"),
            Traffic::Tcp(PortRange::ALL) => f.write_str("tcp"),
            Traffic::Udp(PortRange::ALL) => f.write_str("udp"),
            Traffic::Tcp(ports) => write!(f, "tcp/{ports}"),
            Traffic::Udp(ports) => write!(f, "udp/{ports}"),
        }
    }
}

impl FromText for Traffic {
    const EXPECTED: &'static str = "traffic such as `tcp/80`, `tcp/8000-8100`, `udp/53` or `icmp`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let (protocol, ports) = match text.split_once('/') {
            Some((protocol, ports)) => (protocol, Some(port_range(ports)?)),
            None => (text, None),
        };
        match (protocol, ports) {
            ("tcp", ports) => Ok(Traffic::Tcp(ports.unwrap_or(PortRange::ALL))),
            ("udp", ports) => Ok(Traffic::Udp(ports.unwrap_or(PortRange::ALL))),
            ("icmp", None) => Ok(Traffic::Icmp),
            ("any", None) => Ok(Traffic::Any),
            ("icmp" | "any", Some(_)) => Err(Problem::new(format!("`{protocol}` has no ports"))
                .hint(format!("write `{protocol}` alone"))),
            _ => Err(unknown_protocol(protocol, text)),
        }
    }
}
text_value!(Traffic, "Traffic", "tcp/80");

fn unknown_protocol(protocol: &str, text: &str) -> Problem {
    let problem =
        Problem::new("expected `tcp`, `udp`, `icmp` or `any`, then `/` and a port or range");
    if port(text).is_ok() {
        return problem.hint(format!("for TCP write `tcp/{text}`"));
    }
    match did_you_mean(protocol, ["tcp", "udp", "icmp", "any"]) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

fn port(text: &str) -> Result<u16, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse::<u16>().ok().filter(|&p| digits && p > 0);
    port.ok_or_else(|| Problem::new(format!("`{}` is not a port from 1 to 65535", shown(text))))
}

pub(super) fn port_range(text: &str) -> Result<PortRange, Problem> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(
            Problem::new("the range ends before it starts").hint(format!("write `{last}-{first}`"))
        );
    }
    Ok(PortRange { first, last })
}

/// The outside port of a forward, or a range of ports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardFrom {
    pub(crate) protocol: Protocol,
    pub(crate) ports: PortRange,
}

impl FromText for ForwardFrom {
    const EXPECTED: &'static str = "an outside port such as `tcp/65535`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let Some((protocol, ports)) = text.split_once('/') else {
            return Err(Problem::new("expected `tcp/` or `udp/` and a port"));
        };
        let protocol = Protocol::from_text(protocol)?;
        Ok(ForwardFrom { protocol, ports: port_range(ports)? })
    }
}
text_value!(ForwardFrom, "ForwardFrom", "tcp/65535");

/// An address or a host's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndpointHost {
    Address(Ipv4Addr),
    Name(String),
}

/// An address or a host's name, with a port: `10.0.0.2:65535`, `web:80`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) host: EndpointHost,
    pub(crate) port: u16,
}

impl FromText for Endpoint {
    const EXPECTED: &'static str = "an address and port such as `192.168.17.17:80`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let Some((host, number)) = text.rsplit_once(':') else {
            return Err(Problem::new("the port is missing").hint("add `:80` for a web server"));
        };
        let host = match host.parse::<Ipv4Addr>() {
            Ok(address) => EndpointHost::Address(address),
            Err(_) if host.contains(':') => {
                return Err(Problem::new("IPv6 addresses are not supported yet"));
            }
            Err(_) if host.is_empty() => return Err(Problem::new("the address is missing")),
            Err(_) if host.contains('.') => {
                return Err(Problem::new(format!("`{}` is not an IPv4 address", shown(host))));
            }
            Err(_) => EndpointHost::Name(host.to_owned()),
        };
        Ok(Endpoint { host, port: port(number)? })
    }
}
text_value!(Endpoint, "Endpoint", "10.0.0.2:65535");

/// Where the real machine listens: `127.0.0.1:8080`, `[::1]:8080`, `127.0.0.1:5300/udp`. Port 0
/// lets the real machine choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Option<Protocol>,
}

impl FromText for Listen {
    const EXPECTED: &'static str = "an address and port of this machine such as `127.0.0.1:8080`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let (address, protocol) = match text.split_once('/') {
            Some((address, protocol)) => (address, Some(Protocol::from_text(protocol)?)),
            None => (text, None),
        };
        let address = address.parse().map_err(|_| {
            let bare = port(address.trim_start_matches(':'));
            match (bare, address.strip_prefix("localhost:")) {
                (Ok(p), _) => {
                    Problem::new("the address is missing").hint(format!("write `127.0.0.1:{p}`"))
                }
                (_, Some(p)) => Problem::new("an address is needed, not a name")
                    .hint(format!("write `127.0.0.1:{}`", shown(p))),
                _ => {
                    Problem::new("expected an IPv4 address, or an IPv6 one in [ ], `:` and a port")
                }
            }
        })?;
        Ok(Listen { address, protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_reads_and_prints() {
        for text in ["tcp/80", "tcp/8000-8100", "udp/53", "icmp", "tcp", "udp", "any"] {
            let traffic = Traffic::from_text(text).ok().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(traffic.to_string(), text);
        }
        for bad in ["", "80", "tcp/", "tcp/0", "tcp/65536", "tcp/9-8", "icmp/8", "tpc/80", "tcp/+1"]
        {
            assert!(Traffic::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn listen_places_read() {
        for good in ["127.0.0.1:8080", "[::1]:80", "0.0.0.0:53/udp", "127.0.0.1:0"] {
            assert!(Listen::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "8080", ":8080", "localhost:80", "127.0.0.1", "127.0.0.1:80/sctp"] {
            assert!(Listen::from_text(bad).is_err(), "{bad}");
        }
    }
}
