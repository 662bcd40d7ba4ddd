//! Passive opens: a listener's SYNs, the handshakes under way, SYN cookies (RFC 9293 §3.10.7.2,
//! §3.10.7.4 for SYN-RECEIVED, RFC 4987), as Linux answers them.

use netarium_base::{Ctx, DropReason, Event, SocketId};
use netarium_wire::{Payload, TcpFlags, TcpHeader, protocol};

use crate::layer::Way;
use crate::sockets::PARENTLESS;
use crate::stack::Stack;
use crate::tcp::config::{Ecn, SynCookies, TcpConfig};
use crate::tcp::connection::Connection;
use crate::tcp::cookies;
use crate::tcp::demux::Ends;
use crate::tcp::options::SegmentOptions;
use crate::tcp::request::Request;
use crate::tcp::segment_in::{ECN_SYN, SegmentIn};
use crate::tcp::window::Opening;
use crate::tcp::{Seq, State, Trigger};
use crate::tcp_io::Arrived;

/// What a SYN for a listener leads to.
enum Admission {
    Request,
    Cookie,
    Dropped(DropReason),
}

impl Stack {
    /// RFC 9293 §3.10.7.2: a segment for a listener. `after` is the last sequence number of a
    /// former connection between the same ends.
    pub(crate) fn segment_for_listener(
        &mut self,
        cx: &mut Ctx<'_>,
        listener: SocketId,
        arrived: &Arrived<'_>,
        seg: SegmentIn,
        after: Option<Seq>,
    ) {
        let frame = arrived.frame;
        if seg.has(TcpFlags::RST) {
            return self.drop_segment(cx, frame, DropReason::NotAcceptable, arrived.len);
        }
        if seg.has(TcpFlags::ACK) {
            if !seg.has(TcpFlags::SYN) && self.takes_cookie(cx, listener, arrived, &seg) {
                return self.child_from_cookie(cx, listener, arrived, seg);
            }
            self.drop_segment(cx, frame, DropReason::NotAcceptable, arrived.len);
            return self.send_reset_for(
                cx,
                frame,
                &arrived.header,
                &seg,
                "ACK without a connection",
            );
        }
        // As Linux: a SYN that ends the stream at once is nobody's.
        if !seg.has(TcpFlags::SYN) || seg.has(TcpFlags::FIN) {
            return self.drop_segment(cx, frame, DropReason::NotAcceptable, arrived.len);
        }
        match self.admit(listener, after.is_some()) {
            Admission::Dropped(reason) => {
                if let Some(l) = self.sockets.listener_mut(listener) {
                    l.dropped += 1;
                }
                self.ip.stats.tcp_listen_drops += 1;
                self.drop_segment(cx, frame, reason, arrived.len);
            }
            Admission::Cookie => self.answer_with_cookie(cx, listener, arrived, &seg),
            Admission::Request => self.begin_request(cx, listener, arrived, &seg, after),
        }
    }

    /// Whether there is room for a new handshake. One that follows a TIME-WAIT is surely no flood.
    fn admit(&mut self, listener: SocketId, proven: bool) -> Admission {
        let mode = self.tcp_config.syn_cookies;
        let Some(l) = self.sockets.listener(listener) else {
            return Admission::Dropped(DropReason::NoSocket);
        };
        let cookie = !proven && (mode == SynCookies::Always || l.syn_queue_is_full());
        if cookie && mode == SynCookies::Off {
            return Admission::Dropped(DropReason::SynQueueFull);
        }
        if l.accept_queue_is_full() {
            self.ip.stats.tcp_listen_overflows += 1;
            return Admission::Dropped(DropReason::AcceptQueueFull);
        }
        if cookie {
            return Admission::Cookie;
        }
        // Without cookies the last quarter of the queue is left to peers known to be alive.
        let max = self.tcp_config.max_syn_backlog;
        let left = max.saturating_sub(l.requests.len() as u32);
        if mode == SynCookies::Off && !proven && left < max / 4 {
            return Admission::Dropped(DropReason::SynQueueFull);
        }
        Admission::Request
    }

    /// What both sides of a handshake agree on, and the window we offer.
    fn agree(&self, listener: SocketId, seg: &SegmentIn, mss: u16) -> (SegmentOptions, Opening) {
        let config = &*self.tcp_config;
        let settings = self.sockets.inherited(listener);
        let offered = &seg.options;
        let agreed = SegmentOptions {
            mss: offered.mss,
            window_shift: offered.window_shift.filter(|_| config.window_scaling),
            sack_permitted: offered.sack_permitted && config.sack,
            timestamps: offered.timestamps.filter(|_| config.timestamps),
            ..SegmentOptions::default()
        };
        let options = if agreed.timestamps.is_some() { 12 } else { 0 };
        let scaling = agreed.window_shift.is_some();
        let full = u32::from(mss) - options;
        (agreed, Opening::answering(config, &settings, full, scaling))
    }

    pub(crate) fn new_request(
        &mut self,
        cx: &Ctx<'_>,
        listener: SocketId,
        arrived: &Arrived<'_>,
        seg: &SegmentIn,
    ) -> Request {
        let settings = self.sockets.inherited(listener);
        let setup = self.connection_setup(cx, arrived.local, arrived.remote, None, &settings);
        let (agreed, opening) = self.agree(listener, seg, setup.mss);
        Request {
            ends: Ends::new(arrived.local, arrived.remote),
            listener,
            flow: setup.flow,
            cause: cx.cause,
            irs: seg.seq,
            iss: setup.iss,
            agreed,
            peer_window: seg.window,
            window: opening.window,
            shift: opening.shift,
            timestamp_offset: setup.timestamp_offset,
            mss: setup.mss,
            ecn: asks_for_ecn(seg) && self.tcp_config.ecn != Ecn::Off,
            timeouts: 0,
            resent: false,
            acked: false,
            sent: cx.now,
            due: cx.now + self.tcp_config.initial_rto,
            challenged: None,
        }
    }

    fn begin_request(
        &mut self,
        cx: &mut Ctx<'_>,
        listener: SocketId,
        arrived: &Arrived<'_>,
        seg: &SegmentIn,
        after: Option<Seq>,
    ) {
        let mut request = self.new_request(cx, listener, arrived, seg);
        if let Some(used) = after {
            // RFC 9293 MAY-2: beyond what the former connection used, as far as Linux goes.
            request.iss = used + 65_537;
        }
        let cause = cx.cause;
        self.tell_request(cx, &request, Trigger::Syn);
        self.send_syn_ack(cx, &request, request.iss, None);
        cx.cause = cause;
        let place = self.tcp.requests.insert(request);
        if let Some(l) = self.sockets.listener_mut(listener) {
            l.requests.insert(place);
            l.young += 1;
        }
    }

    /// A request changes its state as the table says.
    pub(crate) fn tell_request(&mut self, cx: &mut Ctx<'_>, request: &Request, trigger: Trigger) {
        let from = if trigger == Trigger::Syn { State::Listen } else { State::SynReceived };
        let to = from.next(trigger).unwrap_or(State::Closed);
        cx.cause = cx.emit(self.ip.place(), request.flow, || Event::TcpState {
            socket: PARENTLESS,
            from: from.name(),
            to: to.name(),
            trigger: trigger.name(),
        });
    }

    /// Sends the SYN+ACK of a request; `again` for a copy: why.
    pub(crate) fn send_syn_ack(
        &mut self,
        cx: &mut Ctx<'_>,
        request: &Request,
        iss: Seq,
        again: Option<&'static str>,
    ) {
        let mut reason = "SYN received";
        let place = self.ip.place();
        if let Some(kind) = again {
            reason = "retransmission";
            let since = request.sent;
            cx.cause = cx.emit(place, request.flow, || Event::Retransmission {
                kind,
                seq: iss.0,
                len: 0,
                since,
            });
            self.ip.stats.tcp_retransmits += 1;
        } else {
            self.ip.stats.tcp_out_segments += 1;
        }
        let mut flags = TcpFlags::SYN | TcpFlags::ACK;
        if request.ecn {
            flags |= TcpFlags::ECE;
        }
        let header = TcpHeader {
            src_port: request.ends.local_port,
            dst_port: request.ends.remote_port,
            seq: iss.0,
            ack: (request.irs + 1).0,
            flags,
            window: request.window.min(65_535) as u16,
            urgent: 0,
        };
        let echo = request.agreed.timestamps.map_or(0, |(val, _)| val);
        let options = SegmentOptions {
            mss: Some(request.mss),
            window_shift: request.agreed.window_shift.map(|_| request.shift),
            timestamps: request.agreed.timestamps.map(|_| (self.stamp(cx, request, iss), echo)),
            ..request.agreed
        };
        let written = options.write_syn(self.tcp_config.wire_profile);
        self.send_of_request(cx, request, &header, &written, reason);
    }

    /// The timestamp of a SYN+ACK; that of a cookie carries the options.
    fn stamp(&self, cx: &Ctx<'_>, request: &Request, iss: Seq) -> u32 {
        let now = request.timestamp(cx.now);
        if iss == request.iss {
            return now;
        }
        let clock = now.wrapping_sub(request.timestamp_offset);
        let stamp = cookies::encode_stamp(clock, &request.agreed, request.ecn);
        request.timestamp_offset.wrapping_add(stamp)
    }

    fn send_of_request(
        &mut self,
        cx: &mut Ctx<'_>,
        request: &Request,
        header: &TcpHeader,
        options: &netarium_wire::TcpOptions,
        reason: &'static str,
    ) {
        let settings = self.sockets.inherited(request.listener);
        let ip = self.ip_header_of(&settings, request.local().ip(), request.remote().ip());
        let mut frame = header.frame(&ip, options, Payload::new());
        let cause = cx.cause;
        let origin = cause.carrying(request.cause);
        frame.meta.cause = self.segment_event(cx, origin, request.flow, header, reason);
        frame.meta.flow = request.flow;
        let _ = self.ip.send_local(cx, frame, Way::default());
    }

    /// A segment for a handshake under way (RFC 9293 §3.10.7.4, SYN-RECEIVED).
    pub(crate) fn segment_for_request(
        &mut self,
        cx: &mut Ctx<'_>,
        place: u32,
        arrived: &Arrived<'_>,
        seg: SegmentIn,
    ) {
        let Some(request) = self.tcp.requests.get(place).cloned() else { return };
        let (frame, len) = (arrived.frame, arrived.len);
        let old = is_old_timestamp(&request, &seg);
        let only_syn = seg.flags.intersection(CONTROLS) == TcpFlags::SYN;
        if seg.seq == request.irs && only_syn && !old {
            self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
            return self.repeat_syn_ack(cx, place, &request);
        }
        let acks = seg.has(TcpFlags::ACK);
        // RFC 9293 §3.10.7.4: a reset is judged by its sequence number, before the acknowledgement.
        if acks && seg.ack != request.iss + 1 && !seg.has(TcpFlags::RST) {
            self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
            return self.send_reset_for(cx, frame, &arrived.header, &seg, "unacceptable ACK");
        }
        if old || echoes_another(&request, cx, &seg) || !is_in_window(&request, &seg) {
            let reason = if old { DropReason::OldTimestamp } else { DropReason::OutsideWindow };
            self.drop_segment(cx, frame, reason, len);
            if !seg.has(TcpFlags::RST) {
                self.acknowledge_request(cx, place, &request, &seg);
            }
            return;
        }
        if seg.has(TcpFlags::RST) && seg.seq != request.irs + 1 {
            // RFC 5961 §3.2: only one exactly at RCV.NXT is believed.
            self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
            return self.acknowledge_request(cx, place, &request, &seg);
        }
        let syn = seg.has(TcpFlags::SYN) && seg.seq != request.irs;
        if syn || seg.has(TcpFlags::RST) {
            self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
            self.end_request(cx, place, Trigger::Reset);
            return self.send_reset_for(cx, frame, &arrived.header, &seg, "SYN in the window");
        }
        if !acks {
            return self.drop_segment(cx, frame, DropReason::NotAcceptable, len);
        }
        self.complete_request(cx, place, &request, arrived, seg);
    }

    /// The peer did not get our SYN+ACK and sent its SYN again.
    fn repeat_syn_ack(&mut self, cx: &mut Ctx<'_>, place: u32, request: &Request) {
        if !self.may_answer(cx, place) {
            return;
        }
        self.send_syn_ack(cx, request, request.iss, Some("syn"));
        let due = cx.now + self.request_timeout(request.timeouts);
        if let Some(r) = self.tcp.requests.get_mut(place) {
            r.resent = true;
        }
        self.tcp.requests.rearm(place, due);
    }

    /// RFC 5961 §10: at most one answer to an invalid segment within the interval.
    fn may_answer(&mut self, cx: &Ctx<'_>, place: u32) -> bool {
        let interval = self.tcp_config.invalid_ratelimit;
        let Some(r) = self.tcp.requests.get_mut(place) else { return false };
        let may = r.challenged.is_none_or(|t| cx.now.since(t) >= interval);
        if may {
            r.challenged = Some(cx.now);
        }
        may
    }

    /// An acknowledgement of what cannot be accepted. For segments without data it is limited.
    fn acknowledge_request(
        &mut self,
        cx: &mut Ctx<'_>,
        place: u32,
        request: &Request,
        seg: &SegmentIn,
    ) {
        let limited = seg.payload.is_empty() || seg.has(TcpFlags::SYN);
        if limited && !self.may_answer(cx, place) {
            return;
        }
        let header = TcpHeader {
            src_port: request.ends.local_port,
            dst_port: request.ends.remote_port,
            seq: (request.iss + 1).0,
            ack: (request.irs + 1).0,
            flags: TcpFlags::ACK,
            window: (request.window >> request.shift).min(65_535) as u16,
            urgent: 0,
        };
        let mut options = netarium_wire::TcpOptions::new();
        if let Some((val, _)) = request.agreed.timestamps {
            crate::tcp::options::write_timestamps(&mut options, request.timestamp(cx.now), val);
        }
        self.ip.stats.tcp_out_segments += 1;
        self.send_of_request(cx, request, &header, &options, "outside the window");
    }

    /// The ACK that completes the handshake: from here on there is a connection.
    fn complete_request(
        &mut self,
        cx: &mut Ctx<'_>,
        place: u32,
        request: &Request,
        arrived: &Arrived<'_>,
        seg: SegmentIn,
    ) {
        let settings = self.sockets.inherited(request.listener);
        let bare = seg.is_empty();
        if request.timeouts < settings.defer_accept && bare {
            if let Some(r) = self.tcp.requests.get_mut(place) {
                r.acked = true;
            }
            return self.drop_segment(cx, arrived.frame, DropReason::Deferred, arrived.len);
        }
        if self.sockets.listener(request.listener).is_some_and(|l| l.accept_queue_is_full()) {
            return self.overflow(cx, place, request, arrived, &seg);
        }
        self.forget_request(place);
        self.begin_child(cx, request, arrived, seg);
    }

    /// The accept queue is full: as Linux the ACK is ignored, or the peer reset.
    fn overflow(
        &mut self,
        cx: &mut Ctx<'_>,
        place: u32,
        request: &Request,
        arrived: &Arrived<'_>,
        seg: &SegmentIn,
    ) {
        self.ip.stats.tcp_listen_overflows += 1;
        self.ip.stats.tcp_listen_drops += 1;
        if let Some(l) = self.sockets.listener_mut(request.listener) {
            l.dropped += 1;
        }
        self.drop_segment(cx, arrived.frame, DropReason::AcceptQueueFull, arrived.len);
        if self.tcp_config.abort_on_overflow {
            self.end_request(cx, place, Trigger::Abort);
            let (frame, header) = (arrived.frame, &arrived.header);
            self.send_reset_for(cx, frame, header, seg, "the accept queue is full");
        } else if let Some(r) = self.tcp.requests.get_mut(place) {
            r.acked = true;
        }
    }

    /// Makes the connection that a request, or a cookie, stands for, and gives it the segment.
    pub(crate) fn begin_child(
        &mut self,
        cx: &mut Ctx<'_>,
        request: &Request,
        arrived: &Arrived<'_>,
        seg: SegmentIn,
    ) {
        let settings = self.sockets.inherited(request.listener);
        let mut setup = self.connection_setup(cx, arrived.local, arrived.remote, None, &settings);
        setup.iss = request.iss;
        setup.timestamp_offset = request.timestamp_offset;
        setup.mss = request.mss;
        let config = self.tcp_config.clone();
        let conn = Connection::from_request(cx, setup, config, settings, request);
        self.ip.ports.add(protocol::TCP, arrived.local.port());
        let Some(slot) = self.tcp.insert(conn, None, Some(request.listener)) else {
            return self.ip.ports.remove(protocol::TCP, arrived.local.port());
        };
        self.segment_for(cx, slot, arrived, seg);
        let stuck = self.tcp.get(slot).is_some_and(|e| e.conn.state == State::SynReceived);
        if stuck {
            self.discard(cx, slot);
        }
    }
}

const CONTROLS: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK).union(TcpFlags::RST);

/// RFC 3168 §6.1.1; a SYN that is marked as capable itself comes from a network that mangles the
/// field.
fn asks_for_ecn(seg: &SegmentIn) -> bool {
    seg.flags.contains(ECN_SYN) && seg.ecn == 0
}

fn is_old_timestamp(request: &Request, seg: &SegmentIn) -> bool {
    match (request.agreed.timestamps, seg.options.timestamps) {
        (Some((recent, _)), Some((val, _))) => recent != 0 && (val.wrapping_sub(recent) as i32) < 0,
        _ => false,
    }
}

/// The echoed timestamp is none that our SYN+ACKs carried.
fn echoes_another(request: &Request, cx: &Ctx<'_>, seg: &SegmentIn) -> bool {
    let (Some(_), Some((_, echo))) = (request.agreed.timestamps, seg.options.timestamps) else {
        return false;
    };
    let first = request.timestamp(request.sent);
    echo != 0 && echo.wrapping_sub(first) > request.timestamp(cx.now).wrapping_sub(first)
}

/// RFC 9293 §3.4, table 6; a segment that begins with the SYN itself is looked at for the rest.
fn is_in_window(request: &Request, seg: &SegmentIn) -> bool {
    let (nxt, end) = (request.irs + 1, seg.seq + seg.len());
    let edge = nxt + request.window.min(65_535);
    if seg.seq == nxt {
        return true;
    }
    (end.after(nxt) && seg.seq.before(edge)) || (seg.seq == edge && seg.is_empty())
}

/// The limit of challenge ACKs of a host (RFC 5961 §10): a number per second that nobody outside
/// can tell.
#[derive(Debug, Default)]
pub(crate) struct ChallengeLimit {
    second: Option<u64>,
    left: u32,
}

impl ChallengeLimit {
    /// Whether one more may be sent.
    pub(crate) fn take(
        &mut self,
        now: netarium_base::Instant,
        config: &TcpConfig,
        luck: &netarium_base::Luck,
    ) -> bool {
        let limit = config.challenge_ack_limit;
        if limit == u32::MAX {
            return true;
        }
        let second = now.as_millis() / 1000;
        if self.second != Some(second) {
            self.second = Some(second);
            let random = luck.draw(0, second) % u64::from(limit.max(1));
            self.left = limit.div_ceil(2) + random as u32;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}
