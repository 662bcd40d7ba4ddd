//! The calls that end a connection or a socket.

use core::net::SocketAddr;

use netarium_base::{Ctx, FlowId, Pid, SocketId};

use crate::calls::protocol_of;
use crate::errno::Errno;
use crate::sockets::Inner;
use crate::stack::Stack;
use crate::tcp::State;
use crate::tcp::connection::Connection;
use crate::tcp::demux::Ends;
use crate::types::{Readiness, Shutdown};

impl Stack {
    /// Shuts down one or both halves of a connection.
    ///
    /// # Errors
    /// EBADF, ENOTCONN.
    pub fn shutdown(&mut self, cx: &mut Ctx<'_>, id: SocketId, how: Shutdown) -> Result<(), Errno> {
        self.sockets.get(id).ok_or(Errno::EBADF)?;
        let slot = self.connection_of(id).ok_or(Errno::ENOTCONN)?;
        let conn = self.tcp.get(slot).map(|e| &e.conn).ok_or(Errno::ENOTCONN)?;
        if matches!(conn.state, State::Closed | State::TimeWait) {
            return Err(Errno::ENOTCONN);
        }
        let flow = conn.setup.flow;
        self.note_call(cx, id, "shutdown", flow, 0);
        self.with_connection(cx, slot, |cx, conn| {
            if how != Shutdown::Write {
                conn.read_closed = true;
                conn.wake |= Readiness::READABLE;
            }
            if how != Shutdown::Read {
                conn.close_send(cx);
            }
        });
        Ok(())
    }

    /// Lets go of a socket. A connection goes on closing by itself; unread data or a zero linger
    /// make that a reset.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&mut self, cx: &mut Ctx<'_>, id: SocketId) -> Result<(), Errno> {
        self.end_socket(cx, id, "close", |cx, conn| conn.release(cx))
    }

    /// Whether a blocking `close` with SO_LINGER need not wait any longer for the connection between
    /// these ends: the peer has acknowledged our FIN, or there is no connection.
    pub fn has_lingered(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let entry = self.tcp.find(&Ends::new(local, remote)).and_then(|slot| self.tcp.get(slot));
        !entry.is_some_and(|e| {
            matches!(e.conn.state, State::FinWait1 | State::Closing | State::LastAck)
        })
    }

    /// Lets go of a socket and resets its connection.
    ///
    /// # Errors
    /// EBADF.
    pub fn abort(&mut self, cx: &mut Ctx<'_>, id: SocketId) -> Result<(), Errno> {
        self.end_socket(cx, id, "abort", |cx, conn| {
            conn.orphan = true;
            conn.abort(cx);
        })
    }

    fn end_socket(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        call: &'static str,
        end: impl FnOnce(&mut Ctx<'_>, &mut Connection),
    ) -> Result<(), Errno> {
        let stream = self.connection_of(id).and_then(|slot| self.tcp.get(slot));
        let flow = stream.map_or(FlowId::NONE, |e| e.conn.setup.flow);
        self.sockets.get(id).ok_or(Errno::EBADF)?;
        self.note_call(cx, id, call, flow, 0);
        let socket = self.sockets.remove(id).ok_or(Errno::EBADF)?;
        if let Some(bound) = socket.bound {
            self.ip.ports.remove(protocol_of(socket.kind), bound.port());
        }
        match socket.inner {
            Inner::Stream(slot) => {
                if let Some(entry) = self.tcp.get_mut(slot) {
                    entry.socket = None;
                }
                self.with_connection(cx, slot, end);
                if self.tcp.has_too_many_parentless() {
                    self.ip.stats.tcp_orphan_drops += 1;
                    self.with_connection(cx, slot, |cx, conn| conn.abort(cx));
                }
            }
            Inner::Listener(l) => self.close_listener(cx, &l),
            Inner::Packet => self.close_packet(cx, id),
            Inner::Idle | Inner::Datagram(_) => {}
        }
        Ok(())
    }

    /// Closes every socket of a process that ended.
    pub fn release_process(&mut self, cx: &mut Ctx<'_>, pid: Pid) {
        for id in self.sockets.of_process(pid) {
            // The ids were just listed, so that none can be unknown.
            let _ = self.close(cx, id);
        }
    }
}
