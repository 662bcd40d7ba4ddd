//! What rules compare with: address prefixes and port ranges.

use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

/// An address prefix in CIDR notation, without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

impl Prefix {
    /// The prefix of the first `len` bits of `address`; the other bits are cleared. `None` when
    /// `len` is beyond the family's 32 or 128 bits.
    pub fn new(address: IpAddr, len: u8) -> Option<Prefix> {
        let address = match address {
            IpAddr::V4(a) if len <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                IpAddr::V4((u32::from(a) & mask).into())
            }
            IpAddr::V6(a) if len <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                IpAddr::V6((u128::from(a) & mask).into())
            }
            _ => return None,
        };
        Some(Prefix { address, len })
    }

    /// The prefix that holds `address` only.
    pub fn host(address: IpAddr) -> Prefix {
        Prefix { address, len: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The address with the host bits cleared.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits count, 0 to 32 or 128.
    pub fn bits(self) -> u8 {
        self.len
    }

    /// Whether `ip` begins with the prefix; never across families.
    pub fn contains(self, ip: IpAddr) -> bool {
        Prefix::new(ip, self.len).is_some_and(|p| p.address == self.address)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// Reads `192.168.17.0/24`; an address alone is a host. Host bits are cleared.
    fn from_str(text: &str) -> Result<Prefix, String> {
        let err = || format!("expected a prefix such as 192.168.17.0/24, got `{text}`");
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| err())?;
        match len {
            Some(len) => Prefix::new(address, len.parse().map_err(|_| err())?).ok_or_else(err),
            None => Ok(Prefix::host(address)),
        }
    }
}

/// Ports `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange { first: 0, last: u16::MAX };

    /// Ports `first..=last`; `None` when `first` is beyond `last`.
    pub fn new(first: u16, last: u16) -> Option<PortRange> {
        (first <= last).then_some(PortRange { first, last })
    }

    /// One port.
    pub const fn one(port: u16) -> PortRange {
        PortRange { first: port, last: port }
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// How many ports, 1 to 65,536.
    pub fn count(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }

    /// Whether `port` is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    /// `80` or, as iptables writes it, `8000:8080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}:{}", self.first, self.last)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_hold_what_begins_with_them() {
        let p: Prefix = "192.168.17.99/24".parse().unwrap();
        assert_eq!(p.to_string(), "192.168.17.0/24");
        assert!(p.contains("192.168.17.1".parse().unwrap()));
        assert!(!p.contains("192.168.18.1".parse().unwrap()));
        assert!(!p.contains("::1".parse().unwrap()));
        let all: Prefix = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        let v6: Prefix = "2001:db8::/32".parse().unwrap();
        assert!(v6.contains("2001:db8:1::5".parse().unwrap()));
        assert!(!v6.contains("2001:db9::5".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/x"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn port_ranges_include_both_ends() {
        let r = PortRange::new(1000, 1002).unwrap();
        assert!(r.contains(1000) && r.contains(1002) && !r.contains(1003) && !r.contains(999));
        assert_eq!((r.count(), PortRange::ALL.count()), (3, 65_536));
        assert_eq!(r.to_string(), "1000:1002");
        assert!(PortRange::new(2, 1).is_none());
    }
}
