//! A listener: it stays in LISTEN while connections begin beside it (RFC 9293 §3.10.7.2).
//!
//! Two queues, as in Linux: the SYN queue holds a small `Request` for
//! each handshake under way, the accept queue holds connections whose handshake is complete until
//! the program accepts them. When the accept queue is full, SYNs are dropped, and the last ACK of a
//! handshake is ignored, so that the peer, or our SYN+ACK timer, tries again later. When the SYN
//! queue is full, SYN cookies take over, or SYNs are dropped.

use core::net::SocketAddr;
use std::collections::VecDeque;

use netarium_base::Instant;
use netarium_base::map::Set;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    /// The address it is bound to; unspecified for all addresses of the host.
    pub local: SocketAddr,
    /// The accept queue's length as asked for by `listen`.
    pub backlog: u32,
    /// Its requests, by their places in the table.
    pub(crate) requests: Set<u32>,
    /// Requests whose SYN+ACK was sent once only.
    pub(crate) young: u32,
    /// Slots of the connections that wait for `accept`.
    pub ready: VecDeque<u32>,
    /// When a SYN cookie was last sent.
    pub(crate) cookie_sent: Option<Instant>,
    /// SYNs and handshakes dropped because a queue was full.
    pub dropped: u64,
}

impl Listener {
    /// A listener with empty queues. The backlog is limited to `somaxconn`; as on Linux, 0 admits
    /// one connection.
    pub fn new(local: SocketAddr, backlog: u32, somaxconn: u32) -> Listener {
        Listener {
            local,
            backlog: backlog.min(somaxconn),
            requests: Set::default(),
            young: 0,
            ready: VecDeque::new(),
            cookie_sent: None,
            dropped: 0,
        }
    }

    /// As in Linux one more than the backlog fits.
    pub fn accept_queue_is_full(&self) -> bool {
        self.ready.len() > self.backlog as usize
    }

    /// The SYN queue is as long as the backlog.
    pub fn syn_queue_is_full(&self) -> bool {
        self.requests.len() >= self.backlog as usize
    }

    /// How often a SYN+ACK is sent again at most: fewer times when more than half of the queue is
    /// taken by requests that were answered long ago, so that new ones find room.
    pub(crate) fn synack_retries(&self, configured: u8) -> u8 {
        let len = self.requests.len() as u64;
        let mut retries = configured;
        if 2 * len > u64::from(self.backlog.max(8)) {
            let mut young = 2 * u64::from(self.young);
            while retries > 2 && len >= young {
                retries -= 1;
                young *= 2;
                if young == 0 {
                    return 2;
                }
            }
        }
        retries
    }
}
