//! `connect`: active opens of streams, and the peers of datagram sockets.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_base::{Ctx, Duration, Instant, SocketId};
use netarium_wire::frame::flow_id;
use netarium_wire::protocol;

use crate::calls::ephemeral_from;
use crate::errno::Errno;
use crate::sockets::Inner;
use crate::stack::Stack;
use crate::tcp::config::TimeWaitReuse;
use crate::tcp::connection::Connection;
use crate::tcp::demux::Ends;
use crate::tcp::{Seq, State, Trigger};

impl Stack {
    /// Connects: for TCP an active open, for datagrams only the peer's address.
    ///
    /// # Errors
    /// EINPROGRESS when a TCP handshake began (the usual case), EBADF, EISCONN, EALREADY,
    /// ENETUNREACH, ENETDOWN, EADDRNOTAVAIL, EADDRINUSE.
    pub fn connect(&mut self, cx: &mut Ctx<'_>, id: SocketId, to: SocketAddr) -> Result<(), Errno> {
        self.connect_from(cx, id, None, to)
    }

    /// Like [`connect`](Self::connect), from this address of the host. The port is chosen as for any
    /// connection: as Linux does it after IP_BIND_ADDRESS_NO_PORT and `bind` to port 0, so that ports
    /// of other peers' connections are no obstacle.
    ///
    /// # Errors
    /// Those of `connect`; EADDRNOTAVAIL when the host has no such address.
    pub fn connect_from(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        source: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<(), Errno> {
        if source.is_some_and(|ip| !self.ip.is_own(ip)) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let s = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if to.is_ipv6() {
            return Err(Errno::EAFNOSUPPORT);
        }
        match &s.inner {
            Inner::Idle => self.connect_stream(cx, id, source, to),
            Inner::Listener(_) => Err(Errno::EISCONN),
            Inner::Stream(slot) => Err(match self.tcp.get(*slot).map(|e| e.conn.state) {
                Some(State::SynSent | State::SynReceived) => Errno::EALREADY,
                _ => Errno::EISCONN,
            }),
            Inner::Datagram(_) => self.connect_datagram(id, source, to),
            Inner::Packet => Err(Errno::EOPNOTSUPP),
        }
    }

    fn connect_stream(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        source: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<(), Errno> {
        let to = if to.ip().is_unspecified() {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), to.port())
        } else {
            to
        };
        if self.ip.is_broadcast(to.ip()) || to.ip().is_multicast() {
            return Err(Errno::ENETUNREACH);
        }
        if to.port() == 0 {
            return Err(Errno::ECONNREFUSED);
        }
        let hop = self.ip.hop_for(to.ip())?;
        let s = self.sockets.get(id).ok_or(Errno::EBADF)?;
        let settings = s.settings;
        let local = match s.bound {
            Some(b) if !b.ip().is_unspecified() => b,
            Some(b) => SocketAddr::new(hop.source, b.port()),
            None => {
                let source = source.unwrap_or(hop.source);
                SocketAddr::new(source, self.ephemeral_for(cx.now, source, to)?)
            }
        };
        let after = match self.tcp.find(&Ends::new(local, to)) {
            None => None,
            Some(slot) if self.may_reuse(cx.now, slot) => Some(self.take_over(cx, slot)),
            Some(_) => return Err(Errno::EADDRNOTAVAIL),
        };
        let flow = flow_id(protocol::TCP, (local.ip(), local.port()), (to.ip(), to.port()));
        self.note_call(cx, id, "connect", flow, 0);
        let mut setup = self.connection_setup(cx, local, to, Some(id), &settings);
        if let Some((used, _)) = after {
            setup.iss = used + 65_537;
        }
        let mut conn = Connection::connect(cx, setup, self.tcp_config.clone(), settings);
        if let (Some((_, recent)), Some(ts)) = (after, &mut conn.timestamps) {
            ts.recent = recent;
        }
        let slot = self.tcp.insert(conn, Some(id), None).ok_or(Errno::EADDRINUSE)?;
        self.ip.ports.add(protocol::TCP, local.port());
        self.ip.stats.tcp_active_opens += 1;
        if let Some(s) = self.sockets.get_mut(id) {
            s.inner = Inner::Stream(slot);
        }
        self.with_connection(cx, slot, |_, _| {});
        self.drain_unreachable(cx);
        Err(Errno::EINPROGRESS)
    }

    /// RFC 6191 §2 for active opens: whether the connection in `slot` is in TIME-WAIT and makes room,
    /// as `tcp_tw_reuse` says: after a second, and when timestamps tell old segments from new ones.
    fn may_reuse(&self, now: Instant, slot: u32) -> bool {
        let Some(conn) = self.tcp.get(slot).map(|e| &e.conn) else { return false };
        let wanted = match self.tcp_config.tw_reuse {
            TimeWaitReuse::Off => false,
            TimeWaitReuse::On => true,
            TimeWaitReuse::Loopback => self.ip.is_own(conn.setup.remote.ip()),
        };
        let older = |since: Instant| now.since(since) > Duration::from_secs(1);
        wanted
            && conn.state == State::TimeWait
            && conn.timestamps.is_some_and(|ts| older(ts.recent_at))
    }

    /// Ends a connection in TIME-WAIT whose ends are used again; the last number that it used, and
    /// the peer's last timestamp.
    fn take_over(&mut self, cx: &mut Ctx<'_>, slot: u32) -> (Seq, u32) {
        let used = self
            .tcp
            .get(slot)
            .map_or((Seq(0), 0), |e| (e.conn.snd.nxt, e.conn.timestamps.map_or(0, |ts| ts.recent)));
        self.with_connection(cx, slot, |cx, conn| {
            conn.transition(cx, Trigger::Syn);
        });
        used
    }

    /// RFC 6056 §3.3.4, algorithm 4: a port that depends on the peer and how often it was spoken to, so
    /// that a connection to one peer changes no port of those to others.
    fn ephemeral_for(
        &mut self,
        now: Instant,
        source: IpAddr,
        to: SocketAddr,
    ) -> Result<u16, Errno> {
        let key = format!("{source} {to}");
        let offset = self.port_luck.hash(key.as_bytes()) as u32;
        let offset = offset.wrapping_add(self.port_counters.next(to.ip()));
        let mut ports = ephemeral_from(self.tcp_config.local_port_range, offset);
        let free = |p: &u16| {
            let local = SocketAddr::new(source, *p);
            let unbound = self.sockets.listeners_on(*p).is_empty();
            unbound
                && match self.tcp.find(&Ends::new(local, to)) {
                    None => true,
                    Some(slot) => self.may_reuse(now, slot),
                }
        };
        ports.find(free).ok_or(Errno::EADDRNOTAVAIL)
    }

    fn connect_datagram(
        &mut self,
        id: SocketId,
        source: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<(), Errno> {
        let settings = self.sockets.get(id).ok_or(Errno::EBADF)?.settings;
        let hop = self.ip.hop_on(to.ip(), settings.device)?;
        if !settings.broadcast && self.ip.is_broadcast(to.ip()) {
            return Err(Errno::EACCES);
        }
        if self.sockets.get(id).is_some_and(|s| s.bound.is_none()) {
            self.bind(id, SocketAddr::new(source.unwrap_or(hop.source), 0))?;
        }
        if let Some(d) = self.sockets.datagram_mut(id) {
            d.remote = Some(to);
        }
        Ok(())
    }
}
