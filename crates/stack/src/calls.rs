//! The calls of the socket layer, with the semantics of a kernel's non-blocking sockets.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_base::{Ctx, Event, FlowId, Pid, Place, SocketId};
use netarium_wire::frame::flow_id;
use netarium_wire::protocol;

use crate::errno::Errno;
use crate::options::{RecvFlags, SendFlags, Settings};
use crate::sockets::{Inner, Socket};
use crate::stack::Stack;
use crate::tcp::Listener;
use crate::types::{IcmpError, Readiness, RecvMeta, SocketKind};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

pub(crate) fn protocol_of(kind: SocketKind) -> u8 {
    match kind {
        SocketKind::Tcp => protocol::TCP,
        SocketKind::Udp => protocol::UDP,
        SocketKind::Ping => protocol::ICMP,
        // Has no ports.
        SocketKind::Packet => u8::MAX,
    }
}

impl Stack {
    /// A new socket for process `pid`.
    ///
    /// # Errors
    /// EMFILE when the host has too many, ENOPROTO for packet sockets: see [`Stack::open_packet`].
    pub fn socket(&mut self, kind: SocketKind, pid: Pid) -> Result<SocketId, Errno> {
        let inner = match kind {
            SocketKind::Tcp => Inner::Idle,
            SocketKind::Packet => return Err(Errno::ENOPROTO),
            _ => Inner::Datagram(Box::default()),
        };
        let socket = Socket { kind, pid, bound: None, settings: Settings::default(), inner };
        self.sockets.insert(socket).ok_or(Errno::EMFILE)
    }

    /// Binds a socket to a local address; port 0 lets the host choose.
    ///
    /// # Errors
    /// EBADF, EOPNOTSUPP for packet sockets, EINVAL when bound already, EADDRNOTAVAIL for an address of another host, EADDRINUSE.
    pub fn bind(&mut self, id: SocketId, addr: SocketAddr) -> Result<(), Errno> {
        let s = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if s.kind == SocketKind::Packet {
            return Err(Errno::EOPNOTSUPP);
        }
        if s.bound.is_some() {
            return Err(Errno::EINVAL);
        }
        if addr.is_ipv6() {
            return Err(Errno::EAFNOSUPPORT);
        }
        let ip = addr.ip();
        if !ip.is_unspecified() && !self.ip.is_own(ip) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let (kind, settings) = (s.kind, s.settings);
        let port = match addr.port() {
            0 => self.free_port(kind, ip).ok_or(Errno::EADDRINUSE)?,
            port if self.is_taken(kind, SocketAddr::new(ip, port), &settings) => {
                return Err(Errno::EADDRINUSE);
            }
            port => port,
        };
        self.set_bound(id, SocketAddr::new(ip, port));
        Ok(())
    }

    fn set_bound(&mut self, id: SocketId, bound: SocketAddr) {
        self.sockets.set_bound(id, bound);
        let Some(s) = self.sockets.get_mut(id) else { return };
        let kind = s.kind;
        if let Inner::Datagram(d) = &mut s.inner {
            d.local = Some(bound);
        }
        self.ip.ports.add(protocol_of(kind), bound.port());
        self.sockets.list(id);
    }

    /// Whether another socket stands in the way of binding to `addr`.
    fn is_taken(&self, kind: SocketKind, addr: SocketAddr, settings: &Settings) -> bool {
        use netarium_filter::LocalPorts;
        let (reuse, device) = (settings.reuse_addr, settings.device);
        if !self.ip.ports.in_use(protocol_of(kind), addr.port()) {
            return false;
        }
        let overlaps = |other: SocketAddr| {
            other.port() == addr.port()
                && (other.ip() == addr.ip()
                    || other.ip().is_unspecified()
                    || addr.ip().is_unspecified())
        };
        let by_socket = self.sockets.bound_to(kind, addr.port()).any(|s| {
            let both_reuse = reuse && s.settings.reuse_addr;
            let passive = matches!(s.inner, Inner::Idle | Inner::Stream(_));
            let elsewhere =
                matches!((s.settings.device, device), (Some(one), Some(other)) if one != other);
            s.bound.is_some_and(overlaps) && !(both_reuse && passive) && !elsewhere
        });
        // Without SO_REUSEADDR connections of former sockets, TIME-WAIT included, block the port.
        by_socket
            || (kind == SocketKind::Tcp
                && !reuse
                && self.tcp.uses_port(addr.port(), self.local_ips(addr.ip())))
    }

    /// The addresses that `ip` stands for: itself, or all of the host.
    fn local_ips(&self, ip: IpAddr) -> impl Iterator<Item = IpAddr> {
        let all = self.ip.addresses().map(|(_, a)| a.address());
        let one = (!ip.is_unspecified()).then_some(ip);
        one.into_iter().chain(all.filter(move |_| ip.is_unspecified()))
    }

    fn free_port(&mut self, kind: SocketKind, ip: IpAddr) -> Option<u16> {
        let offset = self.port_rng.next_u32();
        let mut ports = ephemeral_from(self.tcp_config.local_port_range, offset);
        ports.find(|&p| !self.is_taken(kind, SocketAddr::new(ip, p), &Settings::default()))
    }

    /// Starts listening (RFC 9293 §3.10.1, passive open). Unbound sockets get a port.
    ///
    /// # Errors
    /// EBADF, EOPNOTSUPP for datagrams, EINVAL when connected, EADDRINUSE.
    pub fn listen(&mut self, cx: &mut Ctx<'_>, id: SocketId, backlog: u32) -> Result<(), Errno> {
        let s = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        match &mut s.inner {
            Inner::Listener(l) => {
                l.backlog = backlog.min(self.tcp_config.somaxconn);
                return Ok(());
            }
            Inner::Idle => {}
            Inner::Stream(_) => return Err(Errno::EINVAL),
            Inner::Datagram(_) | Inner::Packet => return Err(Errno::EOPNOTSUPP),
        }
        if s.bound.is_none() {
            self.bind(id, SocketAddr::new(ANY, 0))?;
        }
        let s = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let bound = s.bound.ok_or(Errno::EINVAL)?;
        // With SO_REUSEADDR two may be bound, but only one may listen.
        let listens = |other: &SocketId| {
            self.sockets.listener(*other).is_some_and(|l| {
                let ip = l.local.ip();
                ip == bound.ip() || ip.is_unspecified() || bound.ip().is_unspecified()
            })
        };
        if self.sockets.listeners_on(bound.port()).iter().any(listens) {
            return Err(Errno::EADDRINUSE);
        }
        self.note_call(cx, id, "listen", FlowId::NONE, 0);
        let somaxconn = self.tcp_config.somaxconn;
        if let Some(s) = self.sockets.get_mut(id) {
            s.inner = Inner::Listener(Box::new(Listener::new(bound, backlog, somaxconn)));
        }
        self.sockets.list(id);
        Ok(())
    }

    /// Takes the oldest complete connection of a listener.
    ///
    /// # Errors
    /// EBADF, EINVAL when not listening, EAGAIN when none waits, EMFILE.
    pub fn accept(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
    ) -> Result<(SocketId, SocketAddr), Errno> {
        let s = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let (pid, settings) = (s.pid, s.settings);
        let Inner::Listener(l) = &mut s.inner else { return Err(Errno::EINVAL) };
        let slot = l.ready.pop_front().ok_or(Errno::EAGAIN)?;
        let (local, remote, flow) = {
            let entry = self.tcp.get(slot).ok_or(Errno::ECONNABORTED)?;
            (entry.conn.setup.local, entry.conn.setup.remote, entry.conn.setup.flow)
        };
        let socket = Socket {
            kind: SocketKind::Tcp,
            pid,
            bound: Some(local),
            settings,
            inner: Inner::Stream(slot),
        };
        let Some(new) = self.sockets.insert(socket) else {
            self.discard(cx, slot);
            return Err(Errno::EMFILE);
        };
        // The new socket uses its port as every bound socket does.
        self.ip.ports.add(protocol::TCP, local.port());
        self.note_call(cx, new, "accept", flow, 0);
        if let Some(entry) = self.tcp.get_mut(slot) {
            entry.socket = Some(new);
            entry.listener = None;
            entry.conn.setup.id = new;
        }
        Ok((new, remote))
    }

    /// Resets a connection that nobody will accept.
    pub(crate) fn discard(&mut self, cx: &mut Ctx<'_>, slot: u32) {
        if let Some(entry) = self.tcp.get_mut(slot) {
            entry.listener = None;
        }
        self.with_connection(cx, slot, |cx, conn| {
            conn.orphan = true;
            conn.abort(cx);
        });
    }

    /// Sends bytes of a stream, or one datagram to the connected peer. How many bytes were taken.
    ///
    /// # Errors
    /// EBADF, EAGAIN, EPIPE, ENOTCONN, EDESTADDRREQ, EMSGSIZE, and the socket's own error once.
    pub fn send(&mut self, cx: &mut Ctx<'_>, id: SocketId, data: &[u8]) -> Result<usize, Errno> {
        self.send_with(cx, id, data, SendFlags::empty())
    }

    /// [`Stack::send`] with flags, which mean something for streams only.
    ///
    /// # Errors
    /// As [`Stack::send`].
    pub fn send_with(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        data: &[u8],
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        match &self.sockets.get(id).ok_or(Errno::EBADF)?.inner {
            Inner::Idle | Inner::Listener(_) => Err(Errno::EPIPE),
            Inner::Packet => Err(Errno::EOPNOTSUPP),
            Inner::Datagram(d) => {
                let to = d.remote.ok_or(Errno::EDESTADDRREQ)?;
                self.send_to(cx, id, to, data)
            }
            Inner::Stream(slot) => {
                let slot = *slot;
                let flow = self.tcp.get(slot).map_or(FlowId::NONE, |e| e.conn.setup.flow);
                self.note_call(cx, id, "send", flow, data.len());
                let result = self.write_chunks(cx, slot, data, flags);
                self.drain_unreachable(cx);
                result
            }
        }
    }

    /// Hands bytes to a connection chunk by chunk; each goes out as far as it may before the next.
    fn write_chunks(
        &mut self,
        cx: &mut Ctx<'_>,
        slot: u32,
        data: &[u8],
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        let cause = cx.cause;
        let mut done = 0;
        loop {
            cx.cause = cause;
            let mut result = Err(Errno::EBADF);
            let rest = &data[done..];
            self.with_connection(cx, slot, |cx, conn| result = conn.write(cx, rest, flags));
            match result {
                Ok(n) => done += n,
                Err(_) if done > 0 => return Ok(done),
                Err(e) => return Err(e),
            }
            if done == data.len() {
                return Ok(done);
            }
        }
    }

    /// Receives bytes of a stream (`Ok(0)` at its end), or one datagram.
    ///
    /// # Errors
    /// EBADF, EAGAIN, ENOTCONN, and the socket's own error once.
    pub fn recv(&mut self, cx: &mut Ctx<'_>, id: SocketId, buf: &mut [u8]) -> Result<usize, Errno> {
        self.recv_with(cx, id, buf, RecvFlags::empty())
    }

    /// [`Stack::recv`] with flags, which mean something for streams only.
    ///
    /// # Errors
    /// As [`Stack::recv`]; with OOB EINVAL when there is no urgent byte, EAGAIN while it has not
    /// arrived.
    pub fn recv_with(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        buf: &mut [u8],
        flags: RecvFlags,
    ) -> Result<usize, Errno> {
        match &self.sockets.get(id).ok_or(Errno::EBADF)?.inner {
            Inner::Idle | Inner::Listener(_) => Err(Errno::ENOTCONN),
            Inner::Packet => Err(Errno::EOPNOTSUPP),
            Inner::Datagram(_) => self.recv_from(cx, id, buf).map(|(n, _)| n),
            Inner::Stream(slot) => {
                let slot = *slot;
                let oob = flags.contains(RecvFlags::OOB);
                if !oob && self.tcp.get(slot).is_some_and(|e| e.conn.has_nothing_to_read()) {
                    return Err(Errno::EAGAIN);
                }
                let flow = self.tcp.get(slot).map_or(FlowId::NONE, |e| e.conn.setup.flow);
                self.note_call(cx, id, "recv", flow, buf.len());
                let mut result = Err(Errno::EBADF);
                self.with_connection(cx, slot, |cx, conn| result = conn.read(cx, buf, flags));
                result
            }
        }
    }

    /// Sends one datagram. Unbound sockets get a port. For pings `data` starts with the sequence
    /// number and the identifier is the socket's port.
    ///
    /// # Errors
    /// EBADF, EMSGSIZE when it does not fit into one packet, ENETUNREACH, EACCES for a broadcast
    /// address without SO_BROADCAST, EPERM when the host's own rules end it, and the socket's own
    /// error once.
    pub fn send_to(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        to: SocketAddr,
        data: &[u8],
    ) -> Result<usize, Errno> {
        let s = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let (kind, settings) = (s.kind, s.settings);
        let Inner::Datagram(d) = &mut s.inner else { return Err(Errno::EISCONN) };
        if let Some(e) = d.error.take() {
            return Err(e);
        }
        self.ip.hop_on(to.ip(), settings.device)?;
        // As Linux: who wants to speak to everybody must say so first.
        if !settings.broadcast && self.ip.is_broadcast(to.ip()) {
            return Err(Errno::EACCES);
        }
        if self.sockets.get(id).is_some_and(|s| s.bound.is_none()) {
            self.bind(id, SocketAddr::new(ANY, 0))?;
        }
        let local = self.local_addr(id).ok_or(Errno::EINVAL)?;
        let (from, peer) = ((local.ip(), local.port()), (to.ip(), to.port()));
        let flow = flow_id(protocol_of(kind), from, peer);
        self.note_call(cx, id, "send", flow, data.len());
        let cause = cx.cause;
        let sent = self.send_datagram(cx, kind, (local, to), data, settings, cause);
        self.drain_unreachable(cx);
        sent
    }

    /// Receives one datagram and where it came from; what does not fit into `buf` is lost.
    ///
    /// # Errors
    /// EBADF, EAGAIN, EOPNOTSUPP for streams, and the socket's own error once.
    pub fn recv_from(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        buf: &mut [u8],
    ) -> Result<(usize, RecvMeta), Errno> {
        let s = self.sockets.get_mut(id).ok_or(Errno::EBADF)?;
        let Inner::Datagram(d) = &mut s.inner else { return Err(Errno::EOPNOTSUPP) };
        let (n, meta) = d.pop(buf)?;
        self.note_call(cx, id, "recv", FlowId::NONE, n);
        Ok((n, meta))
    }

    /// The oldest ICMP error about the socket's packets that was not taken yet: several requests
    /// can fail at once, when a neighbour does not answer.
    pub fn take_icmp_error(&mut self, id: SocketId) -> Option<IcmpError> {
        self.sockets.datagram_mut(id)?.icmp_errors.pop_front()
    }

    /// What a socket is ready for; an unknown one for everything, so that nobody waits for it.
    pub fn readiness(&self, id: SocketId) -> Readiness {
        let Some(s) = self.sockets.get(id) else { return Readiness::all() };
        match &s.inner {
            Inner::Idle => Readiness::HANGUP | Readiness::WRITABLE,
            Inner::Listener(l) if l.ready.is_empty() => Readiness::empty(),
            Inner::Listener(_) => Readiness::READABLE,
            Inner::Datagram(d) => d.readiness(),
            Inner::Packet => self.packet_readiness(id),
            Inner::Stream(slot) => {
                self.tcp.get(*slot).map_or(Readiness::all(), |e| e.conn.readiness())
            }
        }
    }

    /// SO_ERROR: takes the socket's error.
    pub fn take_error(&mut self, id: SocketId) -> Option<Errno> {
        match &mut self.sockets.get_mut(id)?.inner {
            Inner::Datagram(d) => d.error.take(),
            Inner::Stream(slot) => {
                let slot = *slot;
                self.tcp.get_mut(slot)?.conn.error.take()
            }
            _ => None,
        }
    }

    /// The socket's own address, once it is bound.
    pub fn local_addr(&self, id: SocketId) -> Option<SocketAddr> {
        let s = self.sockets.get(id)?;
        match &s.inner {
            Inner::Stream(slot) => self.tcp.get(*slot).map(|e| e.conn.setup.local),
            _ => s.bound,
        }
    }

    /// The peer's address, once there is one.
    pub fn peer_addr(&self, id: SocketId) -> Option<SocketAddr> {
        match &self.sockets.get(id)?.inner {
            Inner::Stream(slot) => self.tcp.get(*slot).map(|e| e.conn.setup.remote),
            Inner::Datagram(d) => d.remote,
            _ => None,
        }
    }

    /// The conversation a stream belongs to; none before it is connected.
    pub fn flow(&self, id: SocketId) -> FlowId {
        let stream = self.connection_of(id).and_then(|slot| self.tcp.get(slot));
        stream.map_or(FlowId::NONE, |e| e.conn.setup.flow)
    }

    /// Records a call; what follows from it has it as cause and origin.
    pub(crate) fn note_call(
        &mut self,
        cx: &mut Ctx<'_>,
        socket: SocketId,
        call: &'static str,
        flow: FlowId,
        bytes: usize,
    ) {
        let pid = self.sockets.get(socket).map_or(Pid(0), |s| s.pid);
        let place = Place::Process(self.ip.node, pid);
        let bytes = bytes as u64;
        cx.cause = cx.emit_call(place, flow, || Event::Call { pid, call, socket, bytes });
    }
}

/// Every ephemeral port once, from a place that `offset` decides.
pub(crate) fn ephemeral_from((low, high): (u16, u16), offset: u32) -> impl Iterator<Item = u16> {
    let count = u32::from(high.saturating_sub(low)) + 1;
    let first = offset % count;
    (0..count).map(move |i| low + ((first + i) % count) as u16)
}
