//! The places where rules are asked, their policies and their counters.

/// Where on a packet's way a chain is asked: the built-in chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Chain {
    /// On arrival, before a destination is translated.
    Prerouting,
    /// For this host, before a socket sees it.
    Input,
    /// Between two interfaces.
    Forward,
    /// Made by this host.
    Output,
    /// On departure, before a source is translated.
    Postrouting,
}

impl Chain {
    /// All of them, in the order of a packet's way.
    pub const ALL: [Chain; 5] =
        [Chain::Prerouting, Chain::Input, Chain::Forward, Chain::Output, Chain::Postrouting];

    /// The name in trace events and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Chain::Prerouting => "prerouting",
            Chain::Input => "input",
            Chain::Forward => "forward",
            Chain::Output => "output",
            Chain::Postrouting => "postrouting",
        }
    }

    /// The name in a table: that of `iptables`.
    pub const fn id(self) -> &'static str {
        match self {
            Chain::Prerouting => "PREROUTING",
            Chain::Input => "INPUT",
            Chain::Forward => "FORWARD",
            Chain::Output => "OUTPUT",
            Chain::Postrouting => "POSTROUTING",
        }
    }

    pub(crate) fn has_input(self) -> bool {
        matches!(self, Chain::Prerouting | Chain::Input | Chain::Forward)
    }

    pub(crate) fn has_output(self) -> bool {
        matches!(self, Chain::Forward | Chain::Output | Chain::Postrouting)
    }
}

/// What happens to a packet that no rule of a chain decided about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    #[default]
    Accept,
    /// It ends.
    Drop,
}

/// How much was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

impl Counters {
    pub(crate) fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}
