//! Address prefixes: an address and how many of its leading bits name the network (RFC 4632).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// An address with a prefix length: an interface's address (`192.168.17.1/24`) or a network
/// (`192.168.17.0/24`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// `None` when the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Cidr> {
        (prefix <= bits(address)).then_some(Cidr { address, prefix })
    }

    /// The prefix of the one address itself (/32 or /128).
    pub fn host(address: IpAddr) -> Cidr {
        Cidr { address, prefix: bits(address) }
    }

    /// Every IPv4 address.
    pub const DEFAULT_V4: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 };

    /// The address as given, host bits included.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits name the network.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `ip` is in the network. Addresses of another family are not.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u32::from(a) ^ u32::from(b)) & mask32(self.prefix) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (u128::from(a) ^ u128::from(b)) & mask128(self.prefix) == 0
            }
            _ => false,
        }
    }

    /// The network itself, host bits cleared.
    pub fn network(&self) -> Cidr {
        let address = match self.address {
            IpAddr::V4(a) => IpAddr::V4(Ipv4Addr::from(u32::from(a) & mask32(self.prefix))),
            IpAddr::V6(a) => IpAddr::V6(Ipv6Addr::from(u128::from(a) & mask128(self.prefix))),
        };
        Cidr { address, prefix: self.prefix }
    }

    /// The directed broadcast address of an IPv4 network of at least four addresses.
    pub fn broadcast(&self) -> Option<IpAddr> {
        match self.address {
            IpAddr::V4(a) if self.prefix <= 30 => {
                Some(IpAddr::V4(Ipv4Addr::from(u32::from(a) | !mask32(self.prefix))))
            }
            _ => None,
        }
    }

    /// The netmask of an IPv4 network.
    pub fn netmask(&self) -> Option<Ipv4Addr> {
        self.address.is_ipv4().then(|| Ipv4Addr::from(mask32(self.prefix)))
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn mask32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// Reads `10.0.0.0/8`; a bare address is a network of one.
    fn from_str(text: &str) -> Result<Cidr, String> {
        let err = || format!("expected a network such as 192.168.17.0/24, got `{text}`");
        let (address, prefix) = match text.split_once('/') {
            Some((a, p)) => (a, Some(p)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| err())?;
        match prefix {
            None => Ok(Cidr::host(address)),
            Some(p) if p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()) => {
                p.parse().ok().and_then(|p| Cidr::new(address, p)).ok_or_else(err)
            }
            Some(_) => Err(err()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_contain_what_they_should() {
        let c: Cidr = "192.168.17.9/24".parse().unwrap();
        assert!(c.contains("192.168.17.255".parse().unwrap()));
        assert!(!c.contains("192.168.18.0".parse().unwrap()));
        assert_eq!(c.network().to_string(), "192.168.17.0/24");
        assert_eq!(c.broadcast(), Some("192.168.17.255".parse().unwrap()));
        assert!(Cidr::DEFAULT_V4.contains("1.2.3.4".parse().unwrap()));
        assert!("fe80::/10".parse::<Cidr>().unwrap().contains("fe80::1".parse().unwrap()));
        for bad in ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/", "10.0.0.0/+8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
