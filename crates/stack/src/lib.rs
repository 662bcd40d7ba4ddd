//! One host's network layer, from frame to socket, sans-IO.
//!
//! In reading order:
//!
//! 1. [`types`] and [`errno`]: the words of the socket layer and of a host's tables;
//! 2. [`stack`]: the [`Stack`] itself: `handle_*`, `poll_*`, one `next_deadline`; [`configure`]:
//!    its interfaces, addresses and routes; [`conflict`]: whether somebody else has an address;
//! 3. `input`: a frame arrives: Ethernet, ARP, IP, onward or to a socket;
//! 4. [`layer`]: the tables of the IP layer, with [`route`], [`neighbour`], `pmtu` and `fragments`;
//!    `egress`: the way out: route, filter, neighbour, interface;
//! 5. [`icmp`]: echo and errors;
//! 6. [`tcp`]: connections; `tcp_io`, `listen_io`, `listen_cookies` and `listen_timers` tie them to
//!    the IP layer;
//! 7. `datagram`: UDP and pings;
//! 8. [`sockets`], [`calls`], `connect`, [`options`] and `closing`: the socket layer with a kernel's semantics;
//! 9. [`packet`]: sockets that see every frame of an interface.
//!
//! Nothing here reads a clock, draws ambient randomness, performs I/O or spawns.

pub mod calls;
mod closing;
pub mod configure;
pub mod conflict;
mod connect;
mod datagram;
mod egress;
pub mod errno;
mod fragments;
pub mod icmp;
mod input;
pub mod layer;
mod listen_cookies;
mod listen_io;
mod listen_timers;
pub mod neighbour;
pub mod options;
pub mod packet;
mod pmtu;
pub mod route;
pub mod sockets;
pub mod stack;
pub mod tcp;
mod tcp_io;
pub mod types;

pub use datagram::RECV_LIMIT as DATAGRAM_RECV_LIMIT;
pub use errno::Errno;
pub use options::{MtuDiscover, OptionName, RecvFlags, SendFlags, SocketOption};
pub use packet::{Captured, PacketConfig, PacketFilter, PacketKind, PacketStats};
pub use stack::Stack;
pub use tcp::{TcpConfig, TcpInfo};
pub use types::{
    IcmpError, IfCounters, Interface, Lifetime, NeighbourInfo, NeighbourState, Readiness, RecvMeta,
    Repairs, ReversePath, Route, Shutdown, SocketEvent, SocketInfo, SocketKind, StackConfig,
    StackStats,
};

// Lets the tests inside the crate share the helpers of those in `tests/`.
#[cfg(test)]
extern crate self as netarium_stack;
#[cfg(test)]
mod tests;
