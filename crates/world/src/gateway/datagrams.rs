//! The datagrams of one real client of a published UDP port.
//!
//! A port is a connected UDP socket on the gateway (or another host), so that each real client has a
//! port number of its own in the lab and answers find their way back. What the outside grants no
//! credit for stays in the socket's receive buffer; what does not fit there is dropped, as at any
//! socket that nobody reads.

use netarium_base::{Cause, NodeId, Place, SocketId};
use netarium_stack::Errno;

use super::connection::Begun;
use super::{ConnectionInfo, Port};
use crate::core::Core;
use crate::message::{
    CREDIT_MAX, DATAGRAM_CREDIT, DATAGRAM_MAX, Output, PortId, Transport, datagram_cost,
};
use crate::process::socket;

/// Credit is granted again in pieces of at least this size.
const GRANT: u32 = DATAGRAM_CREDIT / 4;

/// A port of datagrams.
#[derive(Debug)]
pub(crate) struct Datagrams {
    pub(super) node: NodeId,
    pub(super) socket: SocketId,
    /// The real client, in words.
    client: String,
    /// What the outside may still send, in [`datagram_cost`].
    credit_in: u32,
    /// What was taken and not granted again.
    owed: u32,
    /// What the outside can still take.
    credit_out: u32,
}

impl Datagrams {
    pub(super) fn new(node: NodeId, socket: SocketId, client: String, begun: Begun) -> Datagrams {
        let (credit_in, credit_out) = (DATAGRAM_CREDIT, begun.credit);
        Datagrams { node, socket, client, credit_in, owed: 0, credit_out }
    }

    pub(super) fn info(&self, port: PortId) -> ConnectionInfo {
        ConnectionInfo {
            port,
            client: self.client.clone(),
            host: self.node,
            socket: self.socket,
            transport: Transport::Udp,
            accepted: true,
        }
    }
}

impl Core {
    /// A socket for the datagrams of a real client is there.
    pub(super) fn datagrams_opened(&mut self, port: PortId, datagrams: Datagrams) {
        self.gateway.ports.insert(port, Port::Datagrams(Box::new(datagrams)));
        self.outbox.push(Output::Accepted { port, credit: DATAGRAM_CREDIT });
    }

    /// A datagram from outside. One that cannot be sent is dropped with a note, as it would be on a
    /// real machine whose program ignores the error of `send`.
    pub(crate) fn datagram(&mut self, port: PortId, bytes: &[u8], cause: Cause) {
        let Some(Port::Datagrams(d)) = self.gateway.ports.get_mut(&port) else { return };
        let cost = datagram_cost(bytes.len());
        if bytes.len() > DATAGRAM_MAX || cost > d.credit_in {
            let reason = "the outside sent a datagram: more than it had credit for".to_owned();
            self.datagrams_reset(port);
            return self.outbox.push(Output::Reset { port, reason });
        }
        d.credit_in -= cost;
        d.owed += cost;
        let (node, socket) = (d.node, d.socket);
        // An error of an earlier datagram is told first, and takes the place of this attempt.
        for _ in 0..2 {
            match self.with_stack(node, |stack, cx| stack.send(cx, socket, bytes)) {
                Err(e @ (Errno::ECONNREFUSED | Errno::EHOSTUNREACH)) => {
                    let reason = e.text().to_owned();
                    self.outbox.push(Output::Unreachable { port, reason });
                }
                Err(e) => {
                    let text = format!("port {port}: a datagram was not sent: {}", e.text());
                    self.note(Place::Node(node), &text, cause);
                    break;
                }
                Ok(_) => break,
            }
        }
        self.grant_datagrams(port);
    }

    fn grant_datagrams(&mut self, port: PortId) {
        if let Some(Port::Datagrams(d)) = self.gateway.ports.get_mut(&port)
            && d.owed >= GRANT
        {
            let bytes = std::mem::take(&mut d.owed);
            d.credit_in += bytes;
            self.outbox.push(Output::Credit { port, bytes });
        }
    }

    /// The outside can take more.
    pub(crate) fn datagrams_credit(&mut self, port: PortId, bytes: u32, cause: Cause) {
        if let Some(Port::Datagrams(d)) = self.gateway.ports.get_mut(&port) {
            d.credit_out = d.credit_out.saturating_add(bytes).min(CREDIT_MAX);
            self.gateway.touch(port, cause);
        }
    }

    /// Takes what has arrived, as far as the outside has room.
    pub(super) fn pump_datagrams(&mut self, port: PortId) {
        let mut scratch = std::mem::take(&mut self.gateway.scratch);
        if scratch.len() < DATAGRAM_MAX {
            scratch.resize(DATAGRAM_MAX, 0);
        }
        while let Some(Port::Datagrams(d)) = self.gateway.ports.get(&port)
            && d.credit_out > 0
        {
            let (node, socket) = (d.node, d.socket);
            match self.with_stack(node, |stack, cx| stack.recv_from(cx, socket, &mut scratch)) {
                Ok((n, _)) => {
                    if let Some(Port::Datagrams(d)) = self.gateway.ports.get_mut(&port) {
                        d.credit_out = d.credit_out.saturating_sub(datagram_cost(n));
                    }
                    self.outbox.push(Output::Datagram { port, bytes: scratch[..n].to_vec() });
                }
                Err(Errno::EAGAIN) => break,
                Err(e) => {
                    let reason = e.text().to_owned();
                    self.outbox.push(Output::Unreachable { port, reason });
                }
            }
        }
        self.gateway.scratch = scratch;
    }

    /// The outside hears no more of this client.
    pub(crate) fn datagrams_reset(&mut self, port: PortId) {
        let Some(Port::Datagrams(_)) = self.gateway.ports.get(&port) else { return };
        let Some(Port::Datagrams(d)) = self.gateway.ports.swap_remove(&port) else { return };
        socket::forget(&mut self.host_mut(d.node).waits, d.socket);
        // A socket that is gone already needs no closing.
        let _ = self.with_stack(d.node, |stack, cx| stack.close(cx, d.socket));
    }
}
