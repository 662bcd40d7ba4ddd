//! Connections that the lab opens to the outside: a lab program speaks to a real server.
//!
//! The world only asks, by [`Output::Open`]; whoever holds the world decides whether there is such a
//! server and whether the lab may speak to it. What a program reads and writes here is what the
//! journal records, so that a replay needs no server.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::task::{Poll, Waker};

use netarium_base::{Cause, NodeId, Place};
use netarium_stack::Errno;
use tokio::io::ReadBuf;

use super::Port;
use crate::core::Core;
use crate::message::{CONNECTION_CREDIT, CREDIT_MAX, DATA_MAX, LAB_PORTS, Output, PortId, Stream};
use crate::process::task::WakerSet;

/// Credit is granted again in pieces of at least this size.
const GRANT: u32 = CONNECTION_CREDIT / 4;

/// How far a connection to the outside has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The outside has not answered.
    Asked,
    /// It goes on.
    Open,
    /// The real server cannot be had.
    Refused,
    /// The outside broke it off.
    Reset,
}

/// A connection to the outside.
#[derive(Debug)]
pub(crate) struct Outside {
    node: NodeId,
    state: State,
    reason: String,
    /// From outside, not yet read; the first chunk from `offset` on.
    pending: VecDeque<Vec<u8>>,
    offset: usize,
    credit_in: u32,
    owed: u32,
    credit_out: u32,
    /// The outside sends no more.
    ended: bool,
    /// The program sends no more.
    shut: bool,
    waiters: WakerSet,
}

impl Outside {
    fn is_broken(&self) -> bool {
        matches!(self.state, State::Refused | State::Reset)
    }
}

impl Core {
    /// Asks for a real server.
    pub(crate) fn ask_outside(
        &mut self,
        node: NodeId,
        client: String,
        to: SocketAddr,
    ) -> Result<PortId, Errno> {
        let port = LAB_PORTS + self.gateway.asked;
        if self.gateway.is_full() {
            return Err(Errno::EMFILE);
        }
        self.gateway.asked += 1;
        let outside = Outside {
            node,
            state: State::Asked,
            reason: String::new(),
            pending: VecDeque::new(),
            offset: 0,
            credit_in: 0,
            owed: 0,
            credit_out: 0,
            ended: false,
            shut: false,
            waiters: WakerSet::default(),
        };
        self.gateway.ports.insert(port, Port::Outside(Box::new(outside)));
        let host = self.host(node).name.as_ref().to_owned();
        self.outbox.push(Output::Open { port, host, client, to });
        Ok(port)
    }

    /// Something came from the outside: changes the connection and wakes its program.
    fn on_outside(&mut self, port: PortId, cause: Cause, f: impl FnOnce(&mut Outside)) {
        let Some(Port::Outside(o)) = self.gateway.ports.get_mut(&port) else { return };
        f(o);
        o.waiters.wake(&self.ready, cause);
    }

    pub(crate) fn outside_accepted(&mut self, port: PortId, credit: u32, cause: Cause) {
        let mut first = false;
        self.on_outside(port, cause, |o| {
            if o.state == State::Asked {
                (o.state, o.credit_out, o.credit_in) =
                    (State::Open, credit.min(CREDIT_MAX), CONNECTION_CREDIT);
                first = true;
            }
        });
        if first {
            self.outbox.push(Output::Credit { port, bytes: CONNECTION_CREDIT });
        }
    }

    pub(crate) fn outside_refused(&mut self, port: PortId, reason: String, cause: Cause) {
        let Some(Port::Outside(o)) = self.gateway.ports.get(&port) else { return };
        let place = Place::Node(o.node);
        let cause = self.note(place, &format!("the real server was not reached: {reason}"), cause);
        self.on_outside(port, cause, |o| (o.state, o.reason) = (State::Refused, reason));
    }

    pub(crate) fn outside_data(&mut self, port: PortId, bytes: Vec<u8>, cause: Cause) {
        let Some(Port::Outside(o)) = self.gateway.ports.get_mut(&port) else { return };
        let len = bytes.len();
        if o.ended || len > o.credit_in as usize {
            let reason = "the outside sent data: more than it had credit for".to_owned();
            self.on_outside(port, cause, |o| (o.state, o.reason) = (State::Reset, reason.clone()));
            return self.outbox.push(Output::Reset { port, reason });
        }
        if len > 0 {
            self.on_outside(port, cause, |o| {
                o.credit_in -= len as u32;
                o.pending.push_back(bytes);
            });
        }
    }

    pub(crate) fn outside_eof(&mut self, port: PortId, cause: Cause) {
        self.on_outside(port, cause, |o| o.ended = true);
    }

    pub(crate) fn outside_reset(&mut self, port: PortId, cause: Cause) {
        self.on_outside(port, cause, |o| o.state = State::Reset);
    }

    pub(crate) fn outside_credit(&mut self, port: PortId, bytes: u32, cause: Cause) {
        self.on_outside(port, cause, |o| {
            o.credit_out = o.credit_out.saturating_add(bytes).min(CREDIT_MAX);
        });
    }

    /// Whether the outside has answered, and what.
    pub(crate) fn poll_outside(&mut self, port: PortId, waker: &Waker) -> Poll<Result<(), String>> {
        let Some(Port::Outside(o)) = self.gateway.ports.get_mut(&port) else {
            return Poll::Ready(Err("the connection is gone".to_owned()));
        };
        match o.state {
            State::Asked => {
                o.waiters.add(waker);
                Poll::Pending
            }
            State::Open => Poll::Ready(Ok(())),
            State::Refused | State::Reset => Poll::Ready(Err(o.reason.clone())),
        }
    }

    /// Reads what has come; nothing at the end.
    pub(crate) fn read_outside(
        &mut self,
        port: PortId,
        buf: &mut ReadBuf<'_>,
        waker: &Waker,
    ) -> Poll<Result<(), Errno>> {
        let Some(Port::Outside(o)) = self.gateway.ports.get_mut(&port) else {
            return Poll::Ready(Err(Errno::ECONNRESET));
        };
        let before = buf.remaining();
        while buf.remaining() > 0
            && let Some(chunk) = o.pending.front()
        {
            let rest = &chunk[o.offset..];
            let n = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..n]);
            o.offset += n;
            if o.offset == chunk.len() {
                o.pending.pop_front();
                o.offset = 0;
            }
        }
        let taken = before - buf.remaining();
        if taken == 0 && before > 0 {
            if o.is_broken() {
                return Poll::Ready(Err(Errno::ECONNRESET));
            }
            if !o.ended {
                o.waiters.add(waker);
                return Poll::Pending;
            }
        }
        o.owed += taken as u32;
        if o.owed >= GRANT && !o.ended && !o.is_broken() {
            let bytes = std::mem::take(&mut o.owed);
            o.credit_in += bytes;
            self.outbox.push(Output::Credit { port, bytes });
        }
        Poll::Ready(Ok(()))
    }

    /// Writes as far as the outside has room.
    pub(crate) fn write_outside(
        &mut self,
        port: PortId,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, Errno>> {
        let Some(Port::Outside(o)) = self.gateway.ports.get_mut(&port) else {
            return Poll::Ready(Err(Errno::ECONNRESET));
        };
        if o.is_broken() {
            return Poll::Ready(Err(Errno::ECONNRESET));
        }
        if o.shut {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let n = bytes.len().min(o.credit_out as usize).min(DATA_MAX);
        if n == 0 && !bytes.is_empty() {
            o.waiters.add(waker);
            return Poll::Pending;
        }
        o.credit_out -= n as u32;
        if n > 0 {
            let bytes = bytes[..n].to_vec();
            self.outbox.push(Output::Data { port, stream: Stream::Net, bytes });
        }
        Poll::Ready(Ok(n))
    }

    /// The program sends no more.
    pub(crate) fn shut_outside(&mut self, port: PortId) {
        if let Some(Port::Outside(o)) = self.gateway.ports.get_mut(&port)
            && !o.is_broken()
            && !std::mem::replace(&mut o.shut, true)
        {
            self.outbox.push(Output::Eof { port });
        }
    }

    /// The program lets go of it: what was not ended in both directions is reset.
    pub(crate) fn close_outside(&mut self, port: PortId) {
        let Some(Port::Outside(_)) = self.gateway.ports.get(&port) else { return };
        let Some(Port::Outside(o)) = self.gateway.ports.swap_remove(&port) else { return };
        let whole = o.ended && o.shut && o.pending.is_empty();
        if !whole && !o.is_broken() {
            let reason = "the program in the lab broke the connection off".to_owned();
            self.outbox.push(Output::Reset { port, reason });
        }
    }
}
