//! Outside connections to names that take packets to look up.
//!
//! The opening host runs a process that asks its resolver; until it has an answer, the port keeps
//! what the outside says. It shows in `ps`, owns the sockets of the look-up, and can be killed like
//! any other.

use core::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use netarium_base::{Cause, NodeId, Pid};

use super::connection::Begun;
use super::{Gateway, Port, Wanted};
use crate::core::Core;
use crate::message::{Output, PortId, Target};
use crate::process::{LOGGED, LocalBoxFuture, Process, ResolveError, Start, slot};

/// A port whose name is being looked up.
#[derive(Debug)]
pub(crate) struct Lookup {
    wanted: Wanted,
    node: NodeId,
    pid: Pid,
    begun: Begun,
}

impl Gateway {
    /// What the outside has said so far to a port whose name is being looked up.
    pub(super) fn begun(&mut self, port: PortId) -> Option<&mut Begun> {
        match self.ports.get_mut(&port)? {
            Port::Lookup(lookup) => Some(&mut lookup.begun),
            _ => None,
        }
    }
}

impl Core {
    /// Begins to look up the name that a port leads to.
    pub(super) fn look_up(&mut self, port: PortId, node: NodeId, wanted: Wanted, cause: Cause) {
        let Target::Name { host, .. } = &wanted.to else {
            unreachable!("only names are looked up");
        };
        if self.programs.resolver().is_none() {
            let reason = ResolveError::NotFound(host.clone()).to_string();
            return self.outbox.push(Output::Reset { port, reason });
        }
        let argv: Rc<[String]> = Rc::new(["lookup".to_owned(), host.clone()]);
        let start = Start { node, argv, daemon: false, slots: LOGGED, cause };
        match self.start_own(start, asks) {
            Ok(pid) => {
                let lookup = Lookup { wanted, node, pid, begun: Begun::default() };
                self.gateway.ports.insert(port, Port::Lookup(Box::new(lookup)));
                self.gateway.lookups.insert((node, pid), port);
            }
            Err(e) => self.outbox.push(Output::Reset { port, reason: e.to_string() }),
        }
    }

    /// A look-up has its answer: now the connection can begin.
    fn looked_up(&mut self, process: Process, found: Result<Vec<IpAddr>, ResolveError>) {
        let key = (process.node(), process.pid());
        let Some(port) = self.gateway.lookups.swap_remove(&key) else { return };
        let Some(Port::Lookup(lookup)) = self.gateway.ports.swap_remove(&port) else { return };
        let Target::Name { port: at, .. } = lookup.wanted.to else { return };
        match found {
            Ok(found) => {
                let targets: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, at)).collect();
                let Lookup { wanted, node, begun, .. } = *lookup;
                self.open_at(port, node, wanted, &targets, begun, self.current);
            }
            Err(e) => self.outbox.push(Output::Reset { port, reason: e.to_string() }),
        }
    }

    /// The outside is gone before the answer came.
    pub(super) fn drop_lookup(&mut self, lookup: &Lookup) {
        self.gateway.lookups.swap_remove(&(lookup.node, lookup.pid));
        self.signal(lookup.node, lookup.pid, 9, self.current);
    }

    /// Bytes came before any credit was given.
    pub(super) fn data_during_lookup(&mut self, port: PortId, bytes: usize) {
        if bytes > 0 && self.gateway.begun(port).is_some() {
            let reason = "the outside sent data: more than it had credit for".to_owned();
            self.break_connection(port, reason);
        }
    }

    /// A process has ended: if it was looking up a name, it never will.
    pub(crate) fn lookup_ended(&mut self, node: NodeId, pid: Pid) {
        let Some(port) = self.gateway.lookups.swap_remove(&(node, pid)) else { return };
        self.gateway.forget(port);
        let reason = "the process that looked up the name was killed".to_owned();
        self.outbox.push(Output::Reset { port, reason });
    }
}

/// The process of a look-up.
fn asks(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let name = process.args().get(1).cloned().unwrap_or_default();
        let found = process.resolve(&name).await;
        let code = if found.is_ok() { 0 } else { 2 };
        slot::with(|core| core.looked_up(process, found));
        code
    })
}
