//! What rules compare with: address prefixes, which are [`Cidr`]s, and port ranges.

use std::fmt;

pub use netarium_wire::Cidr;

/// Ports `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange { first: 0, last: u16::MAX };

    /// All but the well-known ones: 1024 to 65535.
    pub const DYNAMIC: PortRange = PortRange { first: 1024, last: u16::MAX };

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
    fn port_ranges_include_both_ends() {
        let r = PortRange::new(1000, 1002).unwrap();
        assert!(r.contains(1000) && r.contains(1002) && !r.contains(1003) && !r.contains(999));
        assert_eq!((r.count(), PortRange::ALL.count()), (3, 65_536));
        assert_eq!(r.to_string(), "1000:1002");
        assert!(PortRange::new(2, 1).is_none());
    }
}
