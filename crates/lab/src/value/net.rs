//! Addresses: IPv4 with and without prefix, MAC.

use core::net::Ipv4Addr;
use std::fmt;

use super::{FromText, Problem, text_value};

/// An IPv4 address with the length of its network's prefix. As a subnet, the address is the
/// network's own (host bits zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Net {
    /// The address.
    pub address: Ipv4Addr,
    /// The prefix length, 0 to 32.
    pub prefix: u8,
}

impl Ipv4Net {
    /// Everything: `0.0.0.0/0`.
    pub const ANY: Ipv4Net = Ipv4Net { address: Ipv4Addr::UNSPECIFIED, prefix: 0 };

    /// An address and its prefix length; `None` when the length is beyond 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then_some(Ipv4Net { address, prefix })
    }

    /// The mask: `255.255.255.0` for a prefix of 24.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0))
    }

    /// The network's own address, host bits zero.
    pub fn network(self) -> Ipv4Addr {
        self.address & self.mask()
    }

    /// The directed broadcast address, host bits one.
    pub fn broadcast(self) -> Ipv4Addr {
        self.address | !self.mask()
    }

    /// The same network written with its own address.
    pub fn subnet(self) -> Ipv4Net {
        Ipv4Net { address: self.network(), prefix: self.prefix }
    }

    /// Whether `address` lies in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.network()
    }

    /// Whether the two networks share an address.
    pub fn overlaps(self, other: Ipv4Net) -> bool {
        self.contains(other.network()) || other.contains(self.network())
    }

    /// The first and last address that a host can have. Networks of /31 and /32 have no address of
    /// their own and no broadcast (RFC 3021).
    pub fn usable(self) -> (Ipv4Addr, Ipv4Addr) {
        let (first, last) = (self.network().to_bits(), self.broadcast().to_bits());
        if self.prefix >= 31 {
            (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last))
        } else {
            (Ipv4Addr::from_bits(first + 1), Ipv4Addr::from_bits(last - 1))
        }
    }
}

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn ipv4(text: &str) -> Result<Ipv4Addr, Problem> {
    text.parse().map_err(|_| {
        if text.contains(':') {
            return Problem::new("IPv6 addresses are not supported yet")
                .hint("use an IPv4 address such as 10.0.0.7");
        }
        let parts: Vec<&str> = text.split('.').collect();
        let label = if parts.len() != 4 {
            "four numbers with dots between them are needed"
        } else if parts.iter().any(|p| p.len() > 1 && p.starts_with('0')) {
            "a number must not start with 0"
        } else {
            "each of the four numbers must be 0 to 255"
        };
        Problem::new(label)
    })
}

fn prefix(text: &str) -> Result<u8, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|&p: &u8| digits && p <= 32)
        .ok_or_else(|| Problem::new("the prefix length after `/` must be 0 to 32"))
}

fn with_prefix(text: &str) -> Result<Ipv4Net, Problem> {
    let Some((address, length)) = text.split_once('/') else {
        let problem = Problem::new("the prefix length is missing");
        return Err(match text.parse::<Ipv4Addr>() {
            Ok(a) => problem.hint(format!("a home network is usually a /24: `{a}/24`")),
            Err(_) => problem,
        });
    };
    Ok(Ipv4Net { address: ipv4(address)?, prefix: prefix(length)? })
}

impl FromText for Ipv4Net {
    const EXPECTED: &'static str = "a subnet such as `192.168.17.0/24`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let net = with_prefix(text)?;
        if net.address != net.network() {
            return Err(Problem::new("this is an address inside a network, not the network")
                .hint(format!("the network is `{}`", net.subnet())));
        }
        Ok(net)
    }
}
text_value!(Ipv4Net, "Subnet", "192.168.17.0/24");

/// Where a route leads: a subnet, or `default`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouteTarget(pub(crate) Ipv4Net);

impl FromText for RouteTarget {
    const EXPECTED: &'static str = "a subnet such as `10.1.0.0/16`, or `default`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        if text == "default" {
            return Ok(RouteTarget(Ipv4Net::ANY));
        }
        Ipv4Net::from_text(text).map(RouteTarget)
    }
}
text_value!(RouteTarget, "RouteTarget", "0.0.0.0/0");

/// An address of a host: `192.168.17.17`, or with a prefix of its own `192.168.17.17/24`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostAddress {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: Option<u8>,
}

impl FromText for HostAddress {
    const EXPECTED: &'static str = "an IPv4 address such as `192.168.17.17`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(prefix(length)?)),
            None => (text, None),
        };
        Ok(HostAddress { address: ipv4(address)?, prefix: length })
    }
}
text_value!(HostAddress, "Address", "192.168.17.17");

/// An address of a host, or that it gets one by DHCP.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlaceAddress {
    /// It asks for one.
    Dhcp,
    /// It has this one.
    Own(HostAddress),
}

impl FromText for PlaceAddress {
    const EXPECTED: &'static str = "an IPv4 address such as `192.168.17.17`, or `dhcp`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "dhcp" => Ok(PlaceAddress::Dhcp),
            _ => HostAddress::from_text(text).map(PlaceAddress::Own),
        }
    }
}
text_value!(PlaceAddress, "PlaceAddress", "192.168.17.17");

impl FromText for super::OrNone<HostAddress> {
    const EXPECTED: &'static str = "an IPv4 address such as `192.168.17.1`, or `none`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match text {
            "none" => Ok(super::OrNone(None)),
            _ => HostAddress::from_text(text).map(|a| super::OrNone(Some(a))),
        }
    }
}
text_value!(super::OrNone<HostAddress>, "AddressOrNone", "192.168.17.1");

/// Addresses from the first to the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressRange {
    pub(crate) first: Ipv4Addr,
    pub(crate) last: Ipv4Addr,
}

impl FromText for AddressRange {
    const EXPECTED: &'static str = "a range of addresses such as `192.168.17.100-192.168.17.199`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (ipv4(first.trim())?, ipv4(last.trim())?);
        if first > last {
            return Err(Problem::new("the range ends before it starts")
                .hint(format!("write `{last}-{first}`")));
        }
        Ok(AddressRange { first, last })
    }
}
text_value!(AddressRange, "AddressRange", "192.168.17.100-192.168.17.199");

/// An address, or the name of a host.
#[derive(Clone, Debug)]
pub(crate) enum Inside {
    Address(Ipv4Addr),
    Name(String),
}

impl FromText for Inside {
    const EXPECTED: &'static str = "an inside host or address such as `192.168.17.17`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match text.parse() {
            Ok(address) => Ok(Inside::Address(address)),
            Err(_) if text.contains(['.', ':', '/']) => ipv4(text).map(Inside::Address),
            Err(_) if text.is_empty() => Err(Problem::new("the address is missing")),
            Err(_) => Ok(Inside::Name(text.to_owned())),
        }
    }
}
text_value!(Inside, "Inside", "192.168.17.17");

/// How a packet's source is compared with the way back to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReversePathWord(pub(crate) netarium_world::ReversePath);

impl FromText for ReversePathWord {
    const EXPECTED: &'static str = "`off`, `strict` or `loose`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        use netarium_world::ReversePath;
        let mode = match text {
            "off" => ReversePath::Off,
            "strict" => ReversePath::Strict,
            "loose" => ReversePath::Loose,
            _ => return Err(Problem::new("an unknown way of comparing")),
        };
        Ok(ReversePathWord(mode))
    }
}
text_value!(ReversePathWord, "ReversePath", "strict");

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromText for Mac {
    const EXPECTED: &'static str = "a MAC address such as `02:00:00:00:00:17`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let mut mac = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut mac {
            *byte = parts
                .next()
                .filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|p| u8::from_str_radix(p, 16).ok())
                .ok_or_else(|| Problem::new("six pairs of hexadecimal digits are needed"))?;
        }
        if parts.next().is_some() {
            return Err(Problem::new("six pairs of hexadecimal digits are needed"));
        }
        if mac[0] & 1 == 1 {
            return Err(Problem::new("this is a group address; an interface needs one of its own")
                .hint("make the first byte even: `02` is a good one"));
        }
        if mac == [0; 6] {
            return Err(Problem::new("this address means «none»"));
        }
        Ok(Mac(mac))
    }
}
text_value!(Mac, "Mac", "02:00:00:00:00:17");

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        Ipv4Net::from_text(text).unwrap_or_else(|p| panic!("{text}: {}", p.label))
    }

    #[test]
    fn networks_know_their_edges() {
        let n = net("192.168.17.0/24");
        assert_eq!(n.broadcast(), Ipv4Addr::new(192, 168, 17, 255));
        assert_eq!(n.usable().0, Ipv4Addr::new(192, 168, 17, 1));
        assert!(n.contains(Ipv4Addr::new(192, 168, 17, 255)));
        assert!(!n.contains(Ipv4Addr::new(192, 168, 18, 0)));
        assert!(n.overlaps(net("192.168.0.0/16")) && net("192.168.0.0/16").overlaps(n));
        assert!(!n.overlaps(net("192.168.18.0/24")));
        assert!(Ipv4Net::ANY.contains(Ipv4Addr::BROADCAST));
        assert_eq!(Ipv4Net::ANY.mask(), Ipv4Addr::UNSPECIFIED);
    }

    /// RFC 3021: both addresses of a /31 belong to hosts.
    #[test]
    fn point_to_point_networks_use_both_addresses() {
        let n = net("10.0.0.4/31");
        assert_eq!(n.usable(), (Ipv4Addr::new(10, 0, 0, 4), Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(net("10.0.0.4/32").usable().0, net("10.0.0.4/32").usable().1);
    }

    #[test]
    fn bad_texts_are_refused() {
        for bad in
            ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.1/24", "10.0.0/24", "::/0"]
        {
            assert!(Ipv4Net::from_text(bad).is_err(), "{bad}");
        }
        for bad in
            ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "01:00:00:00:00:01", "0g:0:0:0:0:0"]
        {
            assert!(Mac::from_text(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Mac::from_text("02-AB-00-00-00-17").ok().unwrap().to_string(),
            "02:ab:00:00:00:17"
        );
    }
}
