//! A host: its tables, its sockets, and the drain rule.
//!
//! After every `handle_*` and every socket call the caller drains [`Stack::poll_transmit`] and
//! [`Stack::poll_event`] until `None`, then reads [`Stack::next_deadline`].

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::rc::Rc;

use netarium_base::{Cause, Ctx, IfIndex, Instant, Luck, Pid, Rng, SocketId};
use netarium_filter::Filter;
use netarium_wire::{Cidr, Frame};

use crate::errno::Errno;
use crate::layer::{Counters, IpLayer, LO, earlier};
use crate::listen_io::ChallengeLimit;
use crate::sockets::{Inner, PARENTLESS, Sockets};
use crate::tcp::request::Request;
use crate::tcp::timers::Timer;
use crate::tcp::{Connection, State, Tcp, TcpConfig};
use crate::types::{
    Interface, NeighbourInfo, Route, SocketEvent, SocketInfo, SocketKind, StackConfig, StackStats,
};

/// One host's network layer.
#[derive(Debug)]
pub struct Stack {
    pub(crate) ip: IpLayer,
    pub(crate) tcp: Tcp,
    pub(crate) tcp_config: Rc<TcpConfig>,
    pub(crate) sockets: Sockets,
    pub(crate) events: VecDeque<SocketEvent>,
    pub(crate) isn_luck: Luck,
    pub(crate) cookie_luck: Luck,
    pub(crate) challenges: ChallengeLimit,
    pub(crate) port_luck: Luck,
    pub(crate) port_rng: Rng,
    pub(crate) port_counters: Counters,
}

impl Stack {
    /// A host with nothing but `lo`.
    pub fn new(config: StackConfig) -> Stack {
        let (seed, name) = (config.seed, config.name.as_str());
        let mut stack = Stack {
            ip: IpLayer::new(&config),
            tcp: Tcp::default(),
            tcp_config: Rc::default(),
            sockets: Sockets::default(),
            events: VecDeque::new(),
            isn_luck: seed.luck(name, "isn"),
            cookie_luck: seed.luck(name, "cookie"),
            challenges: ChallengeLimit::default(),
            port_luck: seed.luck(name, "port"),
            port_rng: seed.stream(name, "port"),
            port_counters: Counters::new(seed.luck(name, "port-counter")),
        };
        let loopback = Cidr::new(IpAddr::from([127, 0, 0, 1]), 8);
        if let (Some(lo), Some(address)) = (stack.ip.iface_mut(LO), loopback) {
            lo.addresses.reserve_exact(1);
            lo.addresses.push(address);
        }
        stack.ip.note_addresses();
        stack
    }

    /// Gives the host a filter, or takes it away.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.ip.filter = filter.map(Box::new);
    }

    /// The host's filter, if it has one.
    pub fn filter(&self) -> Option<&Filter> {
        self.ip.filter.as_deref()
    }

    /// The host's filter, to change its rules.
    pub fn filter_mut(&mut self) -> Option<&mut Filter> {
        self.ip.filter.as_deref_mut()
    }

    /// The host's filter; a host without one gets one that lets everything pass, tracks connections
    /// from now on and picks up those that exist in the middle.
    pub fn filter_or_new(&mut self) -> &mut Filter {
        let (node, luck) = (self.ip.node, self.ip.filter_luck);
        self.ip.filter.get_or_insert_with(|| Box::new(Filter::new(node, luck)))
    }

    /// The settings of TCP.
    pub fn tcp_config(&self) -> &TcpConfig {
        &self.tcp_config
    }

    /// The settings of TCP, to change them for connections that begin from now on.
    pub fn tcp_config_mut(&mut self) -> &mut TcpConfig {
        Rc::make_mut(&mut self.tcp_config)
    }

    /// Replaces the settings of TCP for connections that begin from now on.
    pub fn set_tcp_config(&mut self, config: TcpConfig) {
        self.tcp_config = Rc::new(config);
    }

    /// Shares the settings of TCP with another host until one of them changes its own.
    pub fn share_tcp_config(&mut self, other: &Stack) {
        self.tcp_config = Rc::clone(&other.tcp_config);
    }

    /// The longest IP packet for this destination, bytes: the MTU of the interface that it leaves
    /// by, or less when a router told so in the last ten minutes (RFC 1191).
    pub fn path_mtu(&self, now: Instant, destination: IpAddr) -> u16 {
        self.ip.path_mtu(now, destination)
    }

    /// The interfaces, `lo` first.
    pub fn interfaces(&self) -> &[Interface] {
        &self.ip.interfaces
    }

    /// The routing table.
    pub fn routes(&self) -> &[Route] {
        self.ip.routes.list()
    }

    /// Whether packets for others are forwarded: a router.
    pub fn forwards(&self) -> bool {
        self.ip.forwarding
    }

    /// The neighbour cache as it stands at `now`.
    pub fn neighbours(&self, now: Instant) -> Vec<NeighbourInfo> {
        self.ip.neighbours.list(now)
    }

    /// The host's counters.
    pub fn stats(&self) -> &StackStats {
        &self.ip.stats
    }

    /// Fires every timer that is due at `cx.now`. Timers carry their own causes.
    pub fn handle_deadlines(&mut self, cx: &mut Ctx<'_>) {
        self.expire_addresses(cx.now);
        self.ip.neighbour_deadlines(cx);
        self.fragment_deadlines(cx);
        self.tcp_deadlines(cx);
        if let Some(filter) = &mut self.ip.filter
            && filter.next_deadline().is_some_and(|d| d <= cx.now)
        {
            filter.handle_deadlines(&mut cx.with(Cause::NONE));
        }
        self.drain_unreachable(cx);
    }

    /// When [`Stack::handle_deadlines`] wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        earlier(self.ip.next_deadline(), self.tcp.next_deadline())
    }

    /// The next frame to put on a wire, and its interface. Frames for `lo` come back to the same
    /// host after the loopback's delay.
    pub fn poll_transmit(&mut self) -> Option<(IfIndex, Box<Frame>)> {
        self.ip.transmit.pop_front()
    }

    /// The next socket that became ready.
    pub fn poll_event(&mut self) -> Option<SocketEvent> {
        self.events.pop_front().or_else(|| self.next_packet_event())
    }

    /// Whether no answer is owed to this host and none is held back by it: nothing unacknowledged,
    /// no handshake or address resolution running. TIME-WAIT and the like do not count.
    pub fn is_quiet(&self) -> bool {
        self.tcp.is_quiet()
            && self.ip.neighbours.is_quiet()
            && self.ip.transmit.is_empty()
            && self.events.is_empty()
    }

    /// Gives back the room of queues that are empty, on a host without connections that forwards
    /// nothing: it may be one of ten thousand that are done.
    pub fn rest(&mut self) {
        if !self.ip.forwarding && self.tcp.is_empty() {
            if self.events.is_empty() {
                self.events = VecDeque::new();
            }
            if self.ip.transmit.is_empty() {
                self.ip.transmit = VecDeque::new();
            }
        }
    }

    /// Where a packet for `dst` would go: interface, source address, gateway.
    ///
    /// # Errors
    /// ENETUNREACH, ENETDOWN, EADDRNOTAVAIL.
    pub fn source_for(&self, dst: IpAddr) -> Result<(IfIndex, IpAddr, Option<IpAddr>), Errno> {
        self.ip.hop_for(dst).map(|h| (h.iface, h.source, h.via))
    }

    /// What was learnt of the path to `dst`: the largest packet in bytes, and until when that is
    /// believed (RFC 1191 §6.3). `None` where only the interface counts.
    pub fn learnt_mtu(&self, now: Instant, dst: IpAddr) -> Option<(u16, Instant)> {
        self.ip.path_mtus.until(now, dst)
    }

    /// The rows of `netstat`: sockets of programs, half-open connections, and those in TIME-WAIT
    /// or otherwise left behind. Sorted: TCP listeners, TCP connections, UDP, pings; then by
    /// addresses.
    pub fn sockets(&self) -> Vec<SocketInfo> {
        let mut rows: Vec<SocketInfo> =
            self.sockets.iter().filter_map(|(id, _)| self.socket_row(id)).collect();
        for (slot, entry) in self.tcp.iter() {
            if entry.socket.is_none() && entry.linked {
                let id = SocketId { index: PARENTLESS.index, generation: slot };
                rows.push(stream_row(id, Pid(0), &entry.conn));
            }
        }
        for (place, request) in self.tcp.requests.iter() {
            let id = SocketId { index: PARENTLESS.index, generation: place | HALF_OPEN };
            rows.push(request_row(id, request));
        }
        let rank = |r: &SocketInfo| match (r.kind, r.state) {
            (SocketKind::Tcp, "LISTEN") => 0,
            (SocketKind::Tcp, _) => 1,
            (SocketKind::Udp, _) => 2,
            (SocketKind::Ping, _) => 3,
            (SocketKind::Packet, _) => 4,
        };
        rows.sort_by_key(|r| (rank(r), r.local, r.remote, r.id));
        rows
    }

    /// The row of one socket; none when it is neither bound nor connected.
    pub fn socket_info(&self, id: SocketId) -> Option<SocketInfo> {
        self.socket_row(id)
    }

    fn socket_row(&self, id: SocketId) -> Option<SocketInfo> {
        let s = self.sockets.get(id)?;
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let row = |local, remote, state, recv_queue, send_queue| SocketInfo {
            id,
            kind: s.kind,
            pid: s.pid,
            local,
            remote,
            state,
            recv_queue,
            send_queue,
            timer: None,
        };
        Some(match &s.inner {
            // Neither bound nor connected, or without addresses: netstat does not list it.
            Inner::Idle | Inner::Packet => return None,
            Inner::Listener(l) => row(l.local, None, "LISTEN", l.ready.len() as u32, l.backlog),
            Inner::Datagram(d) => row(d.local.unwrap_or(unspecified), d.remote, "", d.queued(), 0),
            Inner::Stream(slot) => {
                let entry = self.tcp.get(*slot).filter(|e| e.conn.state != State::Closed)?;
                let pid = if entry.conn.state == State::TimeWait { Pid(0) } else { s.pid };
                stream_row(id, pid, &entry.conn)
            }
        })
    }
}

/// Marks the ids of rows that are handshakes.
pub(crate) const HALF_OPEN: u32 = 1 << 31;

fn request_row(id: SocketId, request: &Request) -> SocketInfo {
    SocketInfo {
        id,
        kind: SocketKind::Tcp,
        pid: Pid(0),
        local: request.local(),
        remote: Some(request.remote()),
        state: State::SynReceived.netstat(),
        recv_queue: 0,
        send_queue: 1,
        timer: Some(("on", request.due)),
    }
}

fn stream_row(id: SocketId, pid: Pid, conn: &Connection) -> SocketInfo {
    let timer = [
        ("on", Timer::Retransmit),
        // Linux names all three alike: what is sent is sent again, or probed for.
        ("on", Timer::LossProbe),
        ("on", Timer::Reorder),
        ("probe", Timer::Persist),
        ("timewait", Timer::Wait),
        ("keepalive", Timer::KeepAlive),
    ];
    SocketInfo {
        id,
        kind: SocketKind::Tcp,
        pid,
        local: conn.setup.local,
        remote: Some(conn.setup.remote),
        state: conn.state.netstat(),
        recv_queue: conn.recv.len() as u32,
        send_queue: conn.in_flight().max(conn.send.len() as u32),
        timer: timer.into_iter().find_map(|(name, t)| conn.timers.due(t).map(|due| (name, due))),
    }
}
