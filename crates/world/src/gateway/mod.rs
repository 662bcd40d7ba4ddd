//! Outside connections and sessions by port: see [`message`](crate::message) for their protocol.
//!
//! A connection is a socket on the gateway node (or another host) that the world itself holds, as
//! process 1. Bytes from outside wait in the port until the socket's send buffer takes them, and
//! only then is their credit given back; bytes from the lab stay in the socket's receive buffer,
//! and so close the peer's window, while the outside grants no credit. Ports that have something to
//! do are *touched* and looked after between polls of tasks, in the order of the touches.
//!
//! `datagrams` are the same for UDP, `outside` connections that the lab itself opens, and `clients`
//! the addresses that real clients have in the lab.
//!
//! A connection to a name that the opening host does not know by itself begins with a look-up: a
//! process of that host asks its name servers, with packets that everybody can see.

mod clients;
mod connection;
mod datagrams;
mod lookup;
mod outside;

use core::net::IpAddr;
use std::rc::Rc;

use netarium_base::map::Map;
use netarium_base::{Cause, NodeId, Pid, SocketId};

use crate::message::{LAB_PORTS, PortId, Transport};
use crate::process::session::Session;

pub use clients::CLIENTS_MAX;
pub(crate) use connection::{Connection, Wanted};
pub(crate) use datagrams::Datagrams;
use lookup::Lookup;
pub(crate) use outside::Outside;

/// How many ports a world has open at most; more are reset at once.
pub const PORTS_MAX: usize = 4_096;

/// An outside connection, to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The port.
    pub port: PortId,
    /// The real client, in words.
    pub client: String,
    /// The host that holds the lab's end.
    pub host: NodeId,
    /// That end's socket, as `netstat` lists it.
    pub socket: SocketId,
    /// A connection, or the datagrams of one client.
    pub transport: Transport,
    /// Whether the lab has accepted it.
    pub accepted: bool,
}

/// What an outside port is.
#[derive(Debug)]
pub(crate) enum Port {
    Connection(Box<Connection>),
    Datagrams(Box<Datagrams>),
    /// The lab's own, to a real server.
    Outside(Box<Outside>),
    Session(Box<Session>),
    /// What will be a connection when the name it leads to is an address.
    Lookup(Box<Lookup>),
    /// A connection that is being looked after right now.
    Busy,
}

/// All outside ports.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    /// Where connections come from unless they say otherwise.
    pub(crate) node: Option<NodeId>,
    pub(crate) ports: Map<PortId, Port>,
    /// The labels of real clients by their addresses in the lab.
    pub(crate) clients: Map<IpAddr, Rc<str>>,
    /// How many connections to the outside the lab has asked for.
    asked: u64,
    /// The processes that look up names for ports.
    lookups: Map<(NodeId, Pid), PortId>,
    touched: Vec<(PortId, Cause)>,
    /// Where received bytes land before they are sent out.
    scratch: Vec<u8>,
}

impl Gateway {
    pub(crate) fn new(node: Option<NodeId>) -> Gateway {
        Gateway { node, ..Gateway::default() }
    }

    /// The first process of a session.
    pub(crate) fn session(&self, port: PortId) -> Option<(NodeId, Pid)> {
        match self.ports.get(&port)? {
            Port::Session(session) => Some((session.node, session.leader)),
            _ => None,
        }
    }

    fn connection(&mut self, port: PortId) -> Option<&mut Connection> {
        match self.ports.get_mut(&port)? {
            Port::Connection(c) => Some(c),
            _ => None,
        }
    }

    /// All connections and flows of datagrams from outside, sorted by port.
    pub(crate) fn connections(&self) -> Vec<ConnectionInfo> {
        let connections = self.ports.iter().filter_map(|(&port, p)| match p {
            Port::Connection(c) => Some(c.info(port)),
            Port::Datagrams(d) => Some(d.info(port)),
            Port::Outside(_) | Port::Session(_) | Port::Lookup(_) | Port::Busy => None,
        });
        let mut list: Vec<_> = connections.collect();
        list.sort_by_key(|c| c.port);
        list
    }

    /// Why a new port cannot be opened.
    pub(crate) fn refuses(&self, port: PortId) -> Option<String> {
        if port >= LAB_PORTS {
            Some(format!("port {port} is one of the lab's own, which begin at 2^63"))
        } else if self.ports.contains_key(&port) {
            Some(format!("port {port} is in use"))
        } else if self.is_full() {
            Some(format!(
                "a lab has at most {PORTS_MAX} outside connections and sessions at a time"
            ))
        } else {
            None
        }
    }

    /// Whether no further port can be opened.
    fn is_full(&self) -> bool {
        self.ports.len() >= PORTS_MAX
    }

    fn take(&mut self, port: PortId) -> Option<Box<Connection>> {
        let slot = self.ports.get_mut(&port)?;
        match std::mem::replace(slot, Port::Busy) {
            Port::Connection(c) => Some(c),
            other => {
                *slot = other;
                None
            }
        }
    }

    fn put_back(&mut self, port: PortId, connection: Box<Connection>) {
        if let Some(slot) = self.ports.get_mut(&port) {
            *slot = Port::Connection(connection);
        }
    }

    pub(crate) fn forget(&mut self, port: PortId) {
        self.ports.swap_remove(&port);
    }

    /// Something happened to a port's socket.
    pub(crate) fn touch(&mut self, port: PortId, cause: Cause) {
        self.touched.push((port, cause));
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.touched.is_empty()
    }
}
