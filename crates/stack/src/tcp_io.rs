//! Between IP and the connections: finding them, letting them act, sending what they say.

use core::net::{IpAddr, SocketAddr};

use netarium_base::{Cause, Ctx, DropReason, Event, FlowId, Place, SocketId};
use netarium_wire::frame::flow_id;
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOptions, protocol};

use crate::input::Arrival;
use crate::layer::Way;
use crate::options::{MtuDiscover, Settings};
use crate::sockets::{Inner, PARENTLESS};
use crate::stack::Stack;
use crate::tcp::connection::{Connection, Setup};
use crate::tcp::demux::{Ends, Slot};
use crate::tcp::ecn;
use crate::tcp::segment_in::{Outcome, SegmentIn};
use crate::tcp::segment_out::SegmentOut;
use crate::tcp::{Seq, State, Trigger};
use crate::types::{Readiness, SocketEvent};

/// A segment that arrived, as far as an answer to it needs to know it.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) header: TcpHeader,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Bytes of the frame.
    pub(crate) len: usize,
}

/// What the reset that answers a segment needs to know of it.
#[derive(Clone, Copy, Debug)]
struct Refused {
    flags: TcpFlags,
    ack: Seq,
    /// Behind everything that it takes of the sequence space.
    end: Seq,
}

impl Refused {
    fn of(seg: &SegmentIn) -> Refused {
        Refused { flags: seg.flags, ack: seg.ack, end: seg.seq + seg.len() }
    }
}

impl Stack {
    /// A TCP segment for this host.
    pub(crate) fn tcp_input(&mut self, cx: &mut Ctx<'_>, arrival: Arrival, mut frame: Box<Frame>) {
        self.ip.stats.tcp_in_segments += 1;
        let len = frame.len();
        let Some((header, seg)) = SegmentIn::of(&mut frame) else { return };
        let Some(src) = frame.src_ip() else { return };
        let local = SocketAddr::new(arrival.dst, header.dst_port);
        let remote = SocketAddr::new(src, header.src_port);
        let arrived = Arrived { frame: &frame, header, local, remote, len };
        let ends = Ends::new(local, remote);
        let listener = self.find_listener(local);
        let mut after = None;
        if let Some(slot) = self.tcp.find(&ends) {
            after = listener.and_then(|_| self.gives_way(cx, slot, &seg));
            if after.is_none() {
                return self.segment_for(cx, slot, &arrived, seg);
            }
        } else if let Some(place) = self.tcp.requests.find(&ends) {
            return self.segment_for_request(cx, place, &arrived, seg);
        }
        let Some(listener) = listener else {
            self.drop_segment(cx, &frame, DropReason::NoSocket, len);
            return self.send_reset_for(cx, &frame, &header, &seg, "no listener");
        };
        self.segment_for_listener(cx, listener, &arrived, seg, after);
    }

    pub(crate) fn drop_segment(
        &mut self,
        cx: &mut Ctx<'_>,
        frame: &Frame,
        reason: DropReason,
        len: usize,
    ) {
        let (cause, place, flow) = (frame.meta.cause, self.ip.place(), frame.meta.flow);
        cx.trace.drop_at(cx.now, cause, place, flow, reason, len);
    }

    /// A connection in TIME-WAIT makes room for a newer one (RFC 9293 MAY-2, RFC 6191 §2): the SYN
    /// must be newer than everything received, by timestamp or by sequence number. `Some` when it
    /// did: the sequence number that the new connection must begin behind.
    fn gives_way(&mut self, cx: &mut Ctx<'_>, slot: u32, seg: &SegmentIn) -> Option<Seq> {
        let conn = &self.tcp.get(slot)?.conn;
        if conn.state != State::TimeWait {
            return None;
        }
        let used = conn.gives_way_to(cx.now, seg)?;
        self.with_connection(cx, slot, |cx, conn| {
            conn.transition(cx, Trigger::Syn);
        });
        Some(used)
    }

    pub(crate) fn segment_for(
        &mut self,
        cx: &mut Ctx<'_>,
        slot: u32,
        arrived: &Arrived<'_>,
        seg: SegmentIn,
    ) {
        let (frame, len) = (arrived.frame, arrived.len);
        // What a reset must answer, should the connection refuse the segment.
        let refused = Refused::of(&seg);
        let mut outcome = Outcome::Taken;
        self.with_connection(cx, slot, |cx, conn| outcome = conn.on_segment(cx, seg));
        let reason = match outcome {
            Outcome::Taken => return,
            Outcome::Dropped(reason) => return self.drop_segment(cx, frame, reason, len),
            Outcome::Refused => "unacceptable ACK",
            Outcome::Aborted(reason) => reason,
        };
        self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
        self.answer_with_reset(cx, frame, &arrived.header, refused, reason);
    }

    /// What a new connection starts from. Without a socket it is known in the trace by its ends.
    pub(crate) fn connection_setup(
        &self,
        cx: &Ctx<'_>,
        local: SocketAddr,
        remote: SocketAddr,
        socket: Option<SocketId>,
        settings: &Settings,
    ) -> Setup {
        let key = Ends::new(local, remote).key();
        let hash = self.isn_luck.hash(&key);
        // RFC 6528 §3: ISN = M + F(ends, secret), with M a clock of 4 µs ticks.
        let clock = (cx.now.as_nanos() / 4_000) as u32;
        let headers = if remote.is_ipv4() { 40 } else { 60 };
        let mss = self.ip.interface_mtu(remote.ip()).saturating_sub(headers).max(64);
        let mss = if settings.max_seg > 0 { mss.min(settings.max_seg) } else { mss };
        Setup {
            local,
            remote,
            flow: flow_id(protocol::TCP, (local.ip(), local.port()), (remote.ip(), remote.port())),
            place: Place::Node(self.ip.node),
            iss: Seq((hash as u32).wrapping_add(clock)),
            timestamp_offset: (hash >> 32) as u32,
            mss,
            pmtu: self.ip.path_mtu(cx.now, remote.ip()),
            id: socket.unwrap_or(PARENTLESS),
        }
    }

    /// Lets a connection act, then sends what it wants to send, wakes who waits for it, and files
    /// it under its new deadline.
    pub(crate) fn with_connection(
        &mut self,
        cx: &mut Ctx<'_>,
        slot: u32,
        act: impl FnOnce(&mut Ctx<'_>, &mut Connection),
    ) {
        let Some(mut entry) = self.tcp.take(slot) else { return };
        let before = entry.conn.state;
        act(cx, &mut entry.conn);
        self.limit_challenge(cx, &mut entry.conn);
        if !self.ip.path_mtus.is_empty() {
            self.follow_path_mtu(cx, &mut entry.conn);
        }
        while let Some(segment) = entry.conn.poll_segment(cx) {
            self.send_segment(cx, &entry.conn, segment);
        }
        entry.conn.tell_timers(cx);
        self.after_acting(cx, slot, &mut entry, before);
        let port = entry.conn.setup.local.port();
        if self.tcp.put(slot, entry) {
            self.ip.ports.remove(protocol::TCP, port);
        }
    }

    /// Another connection may have learnt about the path, or what was learnt has expired (RFC 1191
    /// §6.3).
    fn follow_path_mtu(&self, cx: &mut Ctx<'_>, conn: &mut Connection) {
        let mode = conn.settings.mtu_discover;
        if !conn.state.is_synchronized() || mode != MtuDiscover::Want {
            return;
        }
        let pmtu = self.ip.path_mtu(cx.now, conn.setup.remote.ip());
        if pmtu != conn.pmtu && conn.set_path_mtu(pmtu) {
            conn.too_large = true;
            conn.on_smaller_mss(cx);
        }
    }

    /// RFC 5961 §10: the host's own limit of challenge ACKs.
    fn limit_challenge(&mut self, cx: &Ctx<'_>, conn: &mut Connection) {
        if std::mem::take(&mut conn.want.challenge) {
            if self.challenges.take(cx.now, &self.tcp_config, &self.cookie_luck) {
                self.ip.stats.tcp_challenge_acks += 1;
            } else {
                conn.want.ack = None;
                self.ip.stats.tcp_challenges_limited += 1;
            }
        }
    }

    fn after_acting(&mut self, cx: &mut Ctx<'_>, slot: u32, entry: &mut Slot, before: State) {
        let now = entry.conn.state;
        if let Some(listener) = entry.listener
            && before == State::SynReceived
            && now != State::SynReceived
        {
            self.enter_accept_queue(cx, slot, entry, listener);
        }
        if before != now {
            let s = &mut self.ip.stats;
            match (before, now) {
                (State::SynSent | State::SynReceived, State::Closed) => s.tcp_attempt_fails += 1,
                (State::Established | State::CloseWait, State::Closed) => s.tcp_estab_resets += 1,
                _ => {}
            }
        }
        // RFC 4022: tcpOutSegs leaves retransmissions out.
        let again = std::mem::take(&mut entry.conn.stats.retransmits);
        self.ip.stats.tcp_retransmits += again;
        self.ip.stats.tcp_out_segments -= again;
        self.ip.stats.tcp_repairs.take(&mut entry.conn.stats.repairs);
        self.ip.stats.tcp_bad_transitions += std::mem::take(&mut entry.conn.stats.bad_transitions);
        entry.conn.wake_waiting_writer();
        entry.conn.turn_chrono(cx.now);
        let woken = entry.conn.take_wake();
        if !woken.is_empty()
            && let Some(socket) = entry.socket
        {
            let readiness = entry.conn.readiness();
            self.events.push_back(SocketEvent { socket, readiness, cause: cx.cause });
        }
    }

    /// A handshake ended: the connection moves to the accept queue, or is gone.
    fn enter_accept_queue(
        &mut self,
        cx: &mut Ctx<'_>,
        slot: u32,
        entry: &mut Slot,
        listener: SocketId,
    ) {
        let alive = entry.conn.state != State::Closed;
        match self.sockets.listener_mut(listener) {
            Some(l) if alive => {
                l.ready.push_back(slot);
                self.ip.stats.tcp_passive_opens += 1;
                let readiness = Readiness::READABLE;
                let event = SocketEvent { socket: listener, readiness, cause: cx.cause };
                self.events.push_back(event);
            }
            _ => entry.listener = None,
        }
    }

    fn send_segment(&mut self, cx: &mut Ctx<'_>, conn: &Connection, segment: SegmentOut) {
        self.ip.stats.tcp_out_segments += 1;
        if segment.header.flags.contains(TcpFlags::RST) {
            self.ip.stats.tcp_out_resets += 1;
        }
        let (local, remote) = (conn.setup.local.ip(), conn.setup.remote.ip());
        let mut ip = self.ip_header_of(&conn.settings, local, remote);
        ip.id = conn.ip_id();
        if !self.ip.path_mtus.is_empty()
            && self.ip.path_mtus.get(cx.now, remote).is_some_and(|p| p.may_fragment)
        {
            ip.dont_fragment = false;
        }
        ip.tos = (ip.tos & !ecn::MASK) | segment.ecn;
        let mut frame = segment.header.frame(&ip, &segment.options, segment.payload);
        frame.meta.cause = segment.cause;
        frame.meta.flow = conn.setup.flow;
        // As on Linux a segment that the filter ends is one that got lost.
        let _ = self.ip.send_local(cx, frame, Way::default());
    }

    /// The IP header of a socket's packets.
    pub(crate) fn ip_header_of(&self, settings: &Settings, src: IpAddr, dst: IpAddr) -> IpHeader {
        let mut ip = IpHeader::new(src, dst);
        ip.ttl = settings.ttl.unwrap_or(self.tcp_config.default_ttl);
        ip.tos = settings.tos;
        ip.dont_fragment = settings.mtu_discover != MtuDiscover::Dont;
        ip
    }

    /// RFC 9293 §3.10.7.1: the reset that answers a segment nobody wants. Never one for a reset.
    pub(crate) fn send_reset_for(
        &mut self,
        cx: &mut Ctx<'_>,
        frame: &Frame,
        header: &TcpHeader,
        seg: &SegmentIn,
        reason: &'static str,
    ) {
        self.answer_with_reset(cx, frame, header, Refused::of(seg), reason);
    }

    fn answer_with_reset(
        &mut self,
        cx: &mut Ctx<'_>,
        frame: &Frame,
        header: &TcpHeader,
        refused: Refused,
        reason: &'static str,
    ) {
        if refused.flags.contains(TcpFlags::RST) {
            return;
        }
        let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else { return };
        let (seq, ack, flags) = if refused.flags.contains(TcpFlags::ACK) {
            (refused.ack, Seq(0), TcpFlags::RST)
        } else {
            (Seq(0), refused.end, TcpFlags::RST | TcpFlags::ACK)
        };
        let answer = TcpHeader {
            src_port: header.dst_port,
            dst_port: header.src_port,
            seq: seq.0,
            ack: ack.0,
            flags,
            ..TcpHeader::default()
        };
        self.ip.stats.tcp_out_segments += 1;
        self.ip.stats.tcp_out_resets += 1;
        let (cause, flow) = (frame.meta.cause, frame.meta.flow);
        let ip = self.ip_header_of(&Settings::default(), dst, src);
        let mut out = answer.frame(&ip, &TcpOptions::new(), Payload::new());
        out.meta.flow = flow;
        out.meta.cause = self.segment_event(cx, cause, flow, &answer, reason);
        let _ = self.ip.send_local(cx, out, Way::default());
    }

    pub(crate) fn segment_event(
        &mut self,
        cx: &mut Ctx<'_>,
        cause: Cause,
        flow: FlowId,
        h: &TcpHeader,
        reason: &'static str,
    ) -> Cause {
        cx.with(cause).emit(self.ip.place(), flow, || Event::SegmentBuilt {
            seq: h.seq,
            ack: h.ack,
            flags: h.flags.bits(),
            len: 0,
            window: h.window,
            reason,
        })
    }

    /// Everything the connections' timers ask for.
    pub(crate) fn tcp_deadlines(&mut self, cx: &mut Ctx<'_>) {
        self.request_deadlines(cx);
        while let Some(slot) = self.tcp.take_due(cx.now) {
            self.with_connection(cx, slot, |cx, conn| conn.on_deadline(cx));
        }
    }

    /// The listener for a local end: one bound to the very address before one bound to all.
    fn find_listener(&self, local: SocketAddr) -> Option<SocketId> {
        let candidates = self.sockets.listeners_on(local.port());
        let bound_to = |id: &&SocketId| self.sockets.listener(**id).map(|l| l.local.ip());
        let exact = candidates.iter().find(|id| bound_to(id) == Some(local.ip()));
        let any =
            || candidates.iter().find(|id| bound_to(id).is_some_and(|ip| ip.is_unspecified()));
        exact.or_else(any).copied()
    }

    /// Whether the slot's connection is one that its socket's `Inner` names.
    pub(crate) fn connection_of(&self, id: SocketId) -> Option<u32> {
        match self.sockets.get(id)?.inner {
            Inner::Stream(slot) => Some(slot),
            _ => None,
        }
    }
}
