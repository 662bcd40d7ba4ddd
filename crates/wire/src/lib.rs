//! Frames and packets to bytes and back.
//!
//! In reading order:
//!
//! 1. [`mod@slice`]: shared immutable bytes ([`Slice`]) and ropes of them ([`Payload`]);
//! 2. [`cidr`]: address prefixes; [`checksum`]: the Internet checksum, whole and incremental (RFC 1071, RFC 1624);
//! 3. [`frame`]: the [`Frame`]: headers inline, payload shared, parsed offsets beside them;
//!    [`fragment`]: cutting packets and putting them together;
//! 4. the protocols: [`eth`], [`arp`], [`ip`] (IPv4 and IPv6), [`icmp`], [`udp`], [`tcp`];
//! 5. [`rewrite`]: what NAT and forwarding change in place;
//! 6. [`dissect`]: a packet in tcpdump's words; [`packet_filter`]: its filter expressions;
//! 7. [`pcapng`]: captures that Wireshark opens; [`mod@capture_file`]: captures read and written as
//!    tcpdump does.
//!
//! This crate knows neither time nor state. Parsing never panics, whatever the bytes.

pub mod arp;
pub mod capture_file;
pub mod checksum;
pub mod cidr;
pub mod dissect;
pub mod eth;
pub mod fragment;
pub mod frame;
pub mod icmp;
pub mod ip;
pub mod packet_filter;
pub mod pcapng;
pub mod rewrite;
pub mod slice;
pub mod tcp;
pub mod udp;

pub use arp::Arp;
pub use cidr::Cidr;
pub use eth::{EtherType, Mac};
pub use frame::{Frame, HEAD_MAX, Layers, Meta, Network};
pub use ip::{IpHeader, protocol};
pub use slice::{Payload, Slice};
pub use tcp::{TcpFlags, TcpHeader, TcpOption, TcpOptions};

/// Why bytes are not the packet they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end before the header does.
    #[error("{layer}: {got} bytes are too few, at least {need} are needed")]
    Short {
        /// Which header.
        layer: &'static str,
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        got: usize,
    },
    /// A field contradicts another or the protocol.
    #[error("{layer}: {what}")]
    Invalid {
        /// Which header.
        layer: &'static str,
        /// What is wrong.
        what: &'static str,
    },
}

impl WireError {
    pub(crate) fn need(layer: &'static str, need: usize, got: usize) -> Result<(), WireError> {
        if got < need { Err(WireError::Short { layer, need, got }) } else { Ok(()) }
    }
}
