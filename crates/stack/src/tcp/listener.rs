//! A listener: it stays in LISTEN while connections begin beside it (RFC 9293 §3.10.7.2).
//!
//! Two queues, as in Linux: the SYN queue counts connections in SYN-RECEIVED, the accept queue
//! holds those whose handshake is complete until the program accepts them. When the accept queue
//! is full, SYNs are dropped, and the last ACK of a handshake is ignored, so that the peer, or our
//! SYN+ACK timer, tries again later.

use core::net::SocketAddr;
use std::collections::VecDeque;

/// Linux' `net.core.somaxconn`: the largest backlog.
pub const MAX_BACKLOG: u32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    /// The address it is bound to; unspecified for all addresses of the host.
    pub local: SocketAddr,
    /// The accept queue's length as asked for by `listen`.
    pub backlog: u32,
    /// Connections in SYN-RECEIVED.
    pub half_open: u32,
    /// Slots of the connections that wait for `accept`.
    pub ready: VecDeque<u32>,
    /// SYNs and handshakes dropped because a queue was full.
    pub dropped: u64,
}

impl Listener {
    /// A listener with empty queues. The backlog is clamped to 1 … [`MAX_BACKLOG`].
    pub fn new(local: SocketAddr, backlog: u32) -> Listener {
        let backlog = backlog.clamp(1, MAX_BACKLOG);
        Listener { local, backlog, half_open: 0, ready: VecDeque::new(), dropped: 0 }
    }

    /// As in Linux one more than the backlog fits.
    pub fn accept_queue_is_full(&self) -> bool {
        self.ready.len() > self.backlog as usize
    }

    /// The SYN queue is as long as the backlog, but at least 16 connections.
    pub fn syn_queue_is_full(&self) -> bool {
        self.half_open >= self.backlog.max(16)
    }
}
