//! One outside connection.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use netarium_base::{Cause, NodeId, SocketId};
use netarium_stack::{Errno, Readiness, Shutdown, SocketKind, SocketOption};

use super::{ConnectionInfo, Datagrams, Port};
use crate::core::Core;
use crate::message::{
    CONNECTION_CREDIT, CREDIT_MAX, DATA_MAX, Output, PortId, Stream, Target, Transport,
};
use crate::process::socket;
use crate::process::table::WORLD_PID;

/// Credit is granted again in pieces of at least this size.
const GRANT: u32 = CONNECTION_CREDIT / 4;

/// An outside connection.
#[derive(Debug)]
pub(crate) struct Connection {
    node: NodeId,
    socket: SocketId,
    /// The real client, in words.
    client: String,
    accepted: bool,
    /// From outside, not yet taken by the socket; the first chunk from `offset` on.
    pending: VecDeque<(Vec<u8>, Cause)>,
    offset: usize,
    /// How many more bytes the outside may send.
    credit_in: u32,
    /// How many bytes were taken and not granted again.
    owed: u32,
    /// How many more bytes the outside can take.
    credit_out: u32,
    /// The outside sends no more.
    eof_in: bool,
    /// The FIN was sent.
    shut: bool,
    /// The lab sends no more.
    eof_out: bool,
}

impl Connection {
    pub(super) fn info(&self, port: PortId) -> ConnectionInfo {
        ConnectionInfo {
            port,
            client: self.client.clone(),
            host: self.node,
            socket: self.socket,
            transport: Transport::Tcp,
            accepted: self.accepted,
        }
    }
}

/// What the outside has said before there was a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begun {
    /// How many bytes it can take.
    pub(super) credit: u32,
    /// It sends nothing.
    pub(super) eof: bool,
}

/// What an outside connection is to become.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// A connection, or datagrams.
    pub(crate) kind: SocketKind,
    /// The real client, in words.
    pub(crate) client: String,
    /// The host that opens it; the gateway when not given.
    pub(crate) from: Option<String>,
    /// Which address of that host it comes from.
    pub(crate) source: Option<IpAddr>,
    pub(crate) to: Target,
}

impl Core {
    /// A real client wants a connection, or sends datagrams.
    pub(crate) fn open(&mut self, port: PortId, wanted: Wanted, cause: Cause) {
        if let Some(reason) = self.gateway.refuses(port) {
            return self.outbox.push(Output::Reset { port, reason });
        }
        let node = match self.opener(&wanted) {
            Ok(node) => node,
            Err(reason) => return self.outbox.push(Output::Reset { port, reason }),
        };
        let targets: Vec<_> = match &wanted.to {
            Target::Addr(to) => vec![*to],
            Target::Name { host, port: at } => match self.resolve_locally(node, host) {
                Some(found) => found.into_iter().map(|ip| SocketAddr::new(ip, *at)).collect(),
                None => return self.look_up(port, node, wanted, cause),
            },
        };
        self.open_at(port, node, wanted, &targets, Begun::default(), cause);
    }

    /// Opens a port from a host to the first of these addresses to which there is a route.
    pub(super) fn open_at(
        &mut self,
        port: PortId,
        node: NodeId,
        wanted: Wanted,
        targets: &[SocketAddr],
        begun: Begun,
        cause: Cause,
    ) {
        let socket = match self.begin(node, &wanted, targets) {
            Ok(socket) => socket,
            Err(reason) => return self.outbox.push(Output::Reset { port, reason }),
        };
        socket::assign(&mut self.host_mut(node).waits, socket, port);
        if wanted.kind == SocketKind::Udp {
            return self.datagrams_opened(port, Datagrams::new(node, socket, wanted.client, begun));
        }
        let connection = Connection {
            node,
            socket,
            client: wanted.client,
            accepted: false,
            pending: VecDeque::new(),
            offset: 0,
            credit_in: 0,
            owed: 0,
            credit_out: begun.credit,
            eof_in: begun.eof,
            shut: false,
            eof_out: false,
        };
        self.gateway.ports.insert(port, Port::Connection(Box::new(connection)));
        self.gateway.touch(port, cause);
    }

    /// The host that opens a connection.
    fn opener(&self, wanted: &Wanted) -> Result<NodeId, String> {
        match &wanted.from {
            Some(name) => self.host_id(name).ok_or_else(|| format!("no host is called `{name}`")),
            None => self.gateway.node.ok_or_else(|| "the lab has no gateway".to_owned()),
        }
    }

    /// Begins to connect; otherwise says in words why not.
    fn begin(
        &mut self,
        node: NodeId,
        wanted: &Wanted,
        targets: &[SocketAddr],
    ) -> Result<SocketId, String> {
        let mut reason = format!("{} has no address", wanted.to);
        for &to in targets {
            match self.connect(node, wanted.kind, wanted.source, to) {
                Ok(socket) => return Ok(socket),
                Err(Errno::EADDRNOTAVAIL) if wanted.source.is_some() => {
                    let host = &self.host(node).name;
                    let source = wanted.source.map(|ip| ip.to_string()).unwrap_or_default();
                    return Err(format!("{source} is not an address of {host}"));
                }
                Err(e) => reason = e.text().to_owned(),
            }
        }
        Err(reason)
    }

    fn connect(
        &mut self,
        node: NodeId,
        kind: SocketKind,
        source: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<SocketId, Errno> {
        if source.is_some_and(|ip| ip.is_unspecified()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.with_stack(node, |stack, cx| {
            let socket = stack.socket(kind, WORLD_PID)?;
            // A relay must not hold back what the real programs sent on their own terms.
            let ready = match kind {
                SocketKind::Tcp => stack.set_option(cx, socket, SocketOption::NoDelay(true)),
                _ => Ok(()),
            };
            let connected = ready.and_then(|()| stack.connect_from(cx, socket, source, to));
            match connected {
                Ok(()) | Err(Errno::EINPROGRESS | Errno::EAGAIN) => Ok(socket),
                Err(e) => {
                    // The error that matters is that of the connect.
                    let _ = stack.close(cx, socket);
                    Err(e)
                }
            }
        })
    }

    pub(crate) fn connection_data(&mut self, port: PortId, bytes: Vec<u8>, cause: Cause) {
        let Some(c) = self.gateway.connection(port) else {
            return self.data_during_lookup(port, bytes.len());
        };
        let len = bytes.len() as u64;
        if c.eof_in || len > u64::from(c.credit_in) {
            let what = if c.eof_in { "sent behind its end" } else { "more than it had credit for" };
            return self.break_connection(port, format!("the outside sent data: {what}"));
        }
        if len > 0 {
            c.credit_in -= len as u32;
            c.pending.push_back((bytes, cause));
            self.gateway.touch(port, cause);
        }
    }

    pub(crate) fn connection_eof(&mut self, port: PortId, cause: Cause) {
        if let Some(begun) = self.gateway.begun(port) {
            begun.eof = true;
        }
        let Some(c) = self.gateway.connection(port) else { return };
        c.eof_in = true;
        self.gateway.touch(port, cause);
    }

    pub(crate) fn connection_credit(&mut self, port: PortId, bytes: u32, cause: Cause) {
        if let Some(begun) = self.gateway.begun(port) {
            begun.credit = begun.credit.saturating_add(bytes).min(CREDIT_MAX);
        }
        let Some(c) = self.gateway.connection(port) else { return };
        c.credit_out = c.credit_out.saturating_add(bytes).min(CREDIT_MAX);
        self.gateway.touch(port, cause);
    }

    /// The outside reset the connection: so does the lab.
    pub(crate) fn connection_reset(&mut self, port: PortId) {
        let c = match self.gateway.ports.swap_remove(&port) {
            Some(Port::Connection(c)) => c,
            Some(Port::Lookup(lookup)) => return self.drop_lookup(&lookup),
            _ => return,
        };
        socket::forget(&mut self.host_mut(c.node).waits, c.socket);
        self.with_stack(c.node, |stack, cx| {
            // A connection that is gone already needs no reset, only to be let go.
            let _ = stack.abort(cx, c.socket);
            let _ = stack.close(cx, c.socket);
        });
    }

    pub(super) fn break_connection(&mut self, port: PortId, reason: String) {
        self.connection_reset(port);
        self.outbox.push(Output::Reset { port, reason });
    }

    /// Looks after all ports that were touched.
    pub(crate) fn pump_ports(&mut self) {
        while !self.gateway.touched.is_empty() {
            let mut touched = std::mem::take(&mut self.gateway.touched);
            for &(port, cause) in &touched {
                self.set_current(cause);
                self.pump(port, cause);
            }
            if self.gateway.touched.is_empty() {
                touched.clear();
                self.gateway.touched = touched;
            }
        }
    }

    fn pump(&mut self, port: PortId, cause: Cause) {
        if let Some(Port::Datagrams(_)) = self.gateway.ports.get(&port) {
            return self.pump_datagrams(port);
        }
        let Some(mut c) = self.gateway.take(port) else { return };
        let step = self.pump_connection(port, &mut c, cause);
        let over = c.eof_out && c.shut;
        let (node, socket) = (c.node, c.socket);
        self.gateway.put_back(port, c);
        match step {
            Err(e) => self.break_connection(port, e.text().to_owned()),
            Ok(()) if over => {
                self.gateway.forget(port);
                socket::forget(&mut self.host_mut(node).waits, socket);
                // What is still under way is the stack's business; a reset by now is none of ours.
                let _ = self.with_stack(node, |stack, cx| stack.close(cx, socket));
            }
            Ok(()) => {}
        }
    }

    fn pump_connection(
        &mut self,
        port: PortId,
        c: &mut Connection,
        cause: Cause,
    ) -> Result<(), Errno> {
        if !c.accepted && !self.pump_connect(port, c)? {
            return Ok(());
        }
        // What has arrived is delivered before an error is told, as `recv` does it.
        self.pump_out(port, c)?;
        self.pump_in(port, c, cause)?;
        let stack = &mut self.host_mut(c.node).stack;
        let broken = stack.readiness(c.socket).contains(Readiness::ERROR);
        match stack.take_error(c.socket).filter(|_| broken && c.credit_out == 0) {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    /// Whether the connection is established by now.
    fn pump_connect(&mut self, port: PortId, c: &mut Connection) -> Result<bool, Errno> {
        let stack = &mut self.host_mut(c.node).stack;
        let ready = stack.readiness(c.socket);
        if ready.contains(Readiness::ERROR)
            && let Some(e) = stack.take_error(c.socket)
        {
            return Err(e);
        }
        if !ready.contains(Readiness::WRITABLE) {
            let gone = ready.contains(Readiness::HANGUP);
            return if gone { Err(Errno::ECONNRESET) } else { Ok(false) };
        }
        c.accepted = true;
        c.credit_in = CONNECTION_CREDIT;
        self.outbox.push(Output::Accepted { port, credit: CONNECTION_CREDIT });
        Ok(true)
    }

    /// Hands bytes from outside to the socket, and then the end of them.
    fn pump_in(&mut self, port: PortId, c: &mut Connection, cause: Cause) -> Result<(), Errno> {
        let mut taken = 0;
        while let Some((chunk, origin)) = c.pending.front() {
            // What triggers the sending may be an acknowledgement; the bytes are the outside's.
            self.set_current(cause.carrying(*origin));
            let rest = &chunk[c.offset..];
            match self.with_stack(c.node, |stack, cx| stack.send(cx, c.socket, rest)) {
                Ok(n) => {
                    c.offset += n;
                    taken += n as u32;
                }
                Err(Errno::EAGAIN) => break,
                Err(e) => return Err(e),
            }
            if c.offset >= chunk.len() {
                c.pending.pop_front();
                c.offset = 0;
            }
        }
        self.set_current(cause);
        c.owed += taken;
        // In large pieces: each message wakes somebody up, and the outside still has the rest.
        if c.owed >= GRANT && !c.eof_in {
            let bytes = std::mem::take(&mut c.owed);
            c.credit_in += bytes;
            self.outbox.push(Output::Credit { port, bytes });
        }
        if c.pending.is_empty() && c.eof_in && !c.shut {
            c.shut = true;
            self.with_stack(c.node, |stack, cx| stack.shutdown(cx, c.socket, Shutdown::Write))?;
        }
        Ok(())
    }

    /// Takes bytes from the socket as far as the outside has room, and the end of them.
    fn pump_out(&mut self, port: PortId, c: &mut Connection) -> Result<(), Errno> {
        let mut scratch = std::mem::take(&mut self.gateway.scratch);
        scratch.resize(DATA_MAX, 0);
        let mut result = Ok(());
        // The end of the stream needs no credit, but cannot be seen without asking for a byte.
        while !c.eof_out && c.credit_out > 0 {
            let room = DATA_MAX.min(c.credit_out as usize);
            let buf = &mut scratch[..room];
            match self.with_stack(c.node, |stack, cx| stack.recv(cx, c.socket, buf)) {
                Ok(0) => {
                    c.eof_out = true;
                    self.outbox.push(Output::Eof { port });
                }
                Ok(n) => {
                    c.credit_out -= n as u32;
                    let bytes = scratch[..n].to_vec();
                    self.outbox.push(Output::Data { port, stream: Stream::Net, bytes });
                }
                Err(Errno::EAGAIN) => break,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        self.gateway.scratch = scratch;
        result
    }
}
