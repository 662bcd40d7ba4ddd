//! One host's network layer, from frame to socket, sans-IO.
//!
//! In reading order:
//!
//! 1. [`types`] and [`errno`]: the words of the socket layer and of a host's tables;
//! 2. [`stack`]: the [`Stack`] itself: `handle_*`, `poll_*`, one `next_deadline`.
//!
//! Nothing here reads a clock, draws ambient randomness, performs I/O or spawns.

pub mod errno;
pub mod stack;
pub mod types;

pub use errno::Errno;
pub use stack::Stack;
pub use types::{
    IcmpError, IfCounters, Interface, NeighbourInfo, NeighbourState, Readiness, RecvMeta, Route,
    Shutdown, SocketEvent, SocketInfo, SocketKind, SocketOption, StackConfig, StackStats,
};
