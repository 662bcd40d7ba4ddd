//! Between IP and the connections: finding them, letting them act, sending what they say.

use core::net::SocketAddr;

use netarium_base::{Cause, Ctx, DropReason, Event, FlowId, Place, SocketId};
use netarium_wire::frame::flow_id;
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOptions, protocol};

use crate::input::Arrival;
use crate::sockets::{Inner, PARENTLESS};
use crate::stack::Stack;
use crate::tcp::connection::{Connection, Setup};
use crate::tcp::demux::{Ends, Slot};
use crate::tcp::segment_in::{Outcome, SegmentIn};
use crate::tcp::segment_out::SegmentOut;
use crate::tcp::{Seq, State, Trigger};
use crate::types::{Readiness, SocketEvent};

impl Stack {
    /// A TCP segment for this host.
    pub(crate) fn tcp_input(&mut self, cx: &mut Ctx<'_>, arrival: Arrival, mut frame: Box<Frame>) {
        self.ip.stats.tcp_in_segments += 1;
        let len = frame.len();
        let Some((header, seg)) = SegmentIn::of(&mut frame) else { return };
        let Some(src) = frame.src_ip() else { return };
        let local = SocketAddr::new(arrival.dst, header.dst_port);
        let remote = SocketAddr::new(src, header.src_port);
        let ends = Ends::new(local, remote);
        let listener = self.find_listener(local);
        let mut after = None;
        if let Some(slot) = self.tcp.find(&ends) {
            after = listener.and_then(|_| self.gives_way(cx, slot, &seg));
            if after.is_none() {
                return self.segment_for(cx, slot, &frame, &header, seg, len);
            }
        }
        let Some(listener) = listener else {
            self.drop_segment(cx, &frame, DropReason::NoSocket, len);
            return self.send_reset_for(cx, &frame, &header, &seg, "no listener");
        };
        self.segment_for_listener(cx, listener, (local, remote), &frame, &header, seg, after);
    }

    fn drop_segment(&mut self, cx: &mut Ctx<'_>, frame: &Frame, reason: DropReason, len: usize) {
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

    fn segment_for(
        &mut self,
        cx: &mut Ctx<'_>,
        slot: u32,
        frame: &Frame,
        header: &TcpHeader,
        seg: SegmentIn,
        len: usize,
    ) {
        if self.completes_into_full_queue(slot, &seg) {
            self.ip.stats.tcp_listen_drops += 1;
            return self.drop_segment(cx, frame, DropReason::AcceptQueueFull, len);
        }
        // What a reset must answer, should the connection refuse the segment.
        let echo = SegmentIn { payload: Payload::new(), ..seg_copy(&seg) };
        let taken = seg.len();
        let mut outcome = Outcome::Taken;
        self.with_connection(cx, slot, |cx, conn| outcome = conn.on_segment(cx, seg));
        match outcome {
            Outcome::Taken => {}
            Outcome::Dropped(reason) => self.drop_segment(cx, frame, reason, len),
            Outcome::Refused => {
                self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
                self.send_reset_sized(cx, frame, header, &echo, taken, "unacceptable ACK");
            }
        }
    }

    /// The last ACK of a handshake while the accept queue is full is ignored, as Linux does.
    fn completes_into_full_queue(&self, slot: u32, seg: &SegmentIn) -> bool {
        let Some(entry) = self.tcp.get(slot) else { return false };
        let plain_ack = seg.flags.contains(TcpFlags::ACK)
            && !seg.flags.intersects(TcpFlags::RST | TcpFlags::SYN);
        entry.conn.state == State::SynReceived
            && plain_ack
            && entry
                .listener
                .and_then(|l| self.sockets.listener(l))
                .is_some_and(|l| l.accept_queue_is_full())
    }

    /// RFC 9293 §3.10.7.2: a segment for a listener. `after` is the last sequence number of a
    /// former connection between the same ends.
    #[expect(clippy::too_many_arguments, reason = "what a segment comes with")]
    fn segment_for_listener(
        &mut self,
        cx: &mut Ctx<'_>,
        listener: SocketId,
        (local, remote): (SocketAddr, SocketAddr),
        frame: &Frame,
        header: &TcpHeader,
        seg: SegmentIn,
        after: Option<Seq>,
    ) {
        let len = frame.len();
        if seg.flags.contains(TcpFlags::RST) {
            return self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
        }
        if seg.flags.contains(TcpFlags::ACK) {
            self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
            return self.send_reset_for(cx, frame, header, &seg, "ACK without a connection");
        }
        if !seg.flags.contains(TcpFlags::SYN) {
            return self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
        }
        let Some(l) = self.sockets.listener_mut(listener) else { return };
        let full = match (l.accept_queue_is_full(), l.syn_queue_is_full()) {
            (true, _) => Some(DropReason::AcceptQueueFull),
            (_, true) => Some(DropReason::SynQueueFull),
            _ => None,
        };
        if let Some(reason) = full {
            l.dropped += 1;
            self.ip.stats.tcp_listen_drops += 1;
            return self.drop_segment(cx, frame, reason, len);
        }
        l.half_open += 1;
        let mut setup = self.connection_setup(cx, local, remote, None);
        if let Some(used) = after {
            // RFC 9293 MAY-2: beyond what the former connection used, as far as Linux goes.
            setup.iss = setup.iss.max(used + 65_537);
        }
        let settings = self.sockets.inherited(listener);
        let mut conn = Connection::new(setup, self.tcp_config.clone(), settings, cx.now);
        conn.on_first_syn(cx, &seg);
        self.ip.ports.add(protocol::TCP, local.port());
        if let Some(slot) = self.tcp.insert(conn, None, Some(listener)) {
            self.with_connection(cx, slot, |_, _| {});
        }
    }

    /// What a new connection starts from. Without a socket it is known in the trace by its ends.
    pub(crate) fn connection_setup(
        &mut self,
        cx: &Ctx<'_>,
        local: SocketAddr,
        remote: SocketAddr,
        socket: Option<SocketId>,
    ) -> Setup {
        let mut key = Vec::with_capacity(40);
        for end in [local, remote] {
            match end.ip() {
                core::net::IpAddr::V4(a) => key.extend(a.octets()),
                core::net::IpAddr::V6(a) => key.extend(a.octets()),
            }
            key.extend(end.port().to_be_bytes());
        }
        let hash = self.isn_luck.hash(&key);
        // RFC 6528 §3: ISN = M + F(ends, secret), with M a clock of 4 µs ticks.
        let clock = (cx.now.as_nanos() / 4_000) as u32;
        let mtu = self.ip.hop_for(remote.ip()).ok().and_then(|h| self.ip.iface(h.iface));
        let headers = if remote.is_ipv4() { 40 } else { 60 };
        let mss = mtu.map_or(536, |i| i.mtu).saturating_sub(headers).max(64);
        Setup {
            local,
            remote,
            flow: flow_id(protocol::TCP, (local.ip(), local.port()), (remote.ip(), remote.port())),
            place: Place::Node(self.ip.node),
            iss: Seq((hash as u32).wrapping_add(clock)),
            timestamp_offset: (hash >> 32) as u32,
            mss,
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
        while let Some(segment) = entry.conn.poll_segment(cx) {
            self.send_segment(cx, &entry.conn, segment);
        }
        self.after_acting(cx, slot, &mut entry, before);
        let port = entry.ends.local_port;
        if self.tcp.put(slot, entry) {
            self.ip.ports.remove(protocol::TCP, port);
        }
    }

    fn after_acting(&mut self, cx: &mut Ctx<'_>, slot: u32, entry: &mut Slot, before: State) {
        let now = entry.conn.state;
        if let Some(listener) = entry.listener
            && before == State::SynReceived
            && now != State::SynReceived
        {
            self.leave_syn_queue(cx, slot, entry, listener);
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
        let woken = entry.conn.take_wake();
        if !woken.is_empty()
            && let Some(socket) = entry.socket
        {
            let readiness = entry.conn.readiness();
            self.events.push_back(SocketEvent { socket, readiness, cause: cx.cause });
        }
    }

    /// A handshake ended: the connection moves to the accept queue, or is gone.
    fn leave_syn_queue(
        &mut self,
        cx: &mut Ctx<'_>,
        slot: u32,
        entry: &mut Slot,
        listener: SocketId,
    ) {
        let alive = entry.conn.state != State::Closed;
        match self.sockets.listener_mut(listener) {
            Some(l) => {
                l.half_open -= 1;
                if alive {
                    l.ready.push_back(slot);
                    self.ip.stats.tcp_passive_opens += 1;
                    let readiness = Readiness::READABLE;
                    let event = SocketEvent { socket: listener, readiness, cause: cx.cause };
                    self.events.push_back(event);
                } else {
                    entry.listener = None;
                }
            }
            None => entry.listener = None,
        }
    }

    fn send_segment(&mut self, cx: &mut Ctx<'_>, conn: &Connection, segment: SegmentOut) {
        self.ip.stats.tcp_out_segments += 1;
        if segment.header.flags.contains(TcpFlags::RST) {
            self.ip.stats.tcp_out_resets += 1;
        }
        let mut ip = IpHeader::new(conn.setup.local.ip(), conn.setup.remote.ip());
        ip.tos |= segment.ecn;
        ip.ttl = conn.settings.ttl.unwrap_or(64);
        let mut frame = segment.header.frame(&ip, &segment.options, segment.payload);
        frame.meta.cause = segment.cause;
        frame.meta.flow = conn.setup.flow;
        self.ip.send_local(cx, frame);
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
        self.send_reset_sized(cx, frame, header, seg, seg.len(), reason);
    }

    fn send_reset_sized(
        &mut self,
        cx: &mut Ctx<'_>,
        frame: &Frame,
        header: &TcpHeader,
        seg: &SegmentIn,
        taken: u32,
        reason: &'static str,
    ) {
        if seg.flags.contains(TcpFlags::RST) {
            return;
        }
        let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else { return };
        let (seq, ack, flags) = if seg.flags.contains(TcpFlags::ACK) {
            (seg.ack, Seq(0), TcpFlags::RST)
        } else {
            (Seq(0), seg.seq + taken, TcpFlags::RST | TcpFlags::ACK)
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
        let ip = IpHeader::new(dst, src);
        let mut out = answer.frame(&ip, &TcpOptions::new(), Payload::new());
        out.meta.flow = flow;
        out.meta.cause = self.segment_event(cx, cause, flow, &answer, reason);
        self.ip.send_local(cx, out);
    }

    fn segment_event(
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

/// A copy of a segment's header fields.
fn seg_copy(seg: &SegmentIn) -> SegmentIn {
    SegmentIn {
        seq: seg.seq,
        ack: seg.ack,
        flags: seg.flags,
        window: seg.window,
        ecn: seg.ecn,
        urgent: seg.urgent,
        options: seg.options,
        payload: Payload::new(),
    }
}
