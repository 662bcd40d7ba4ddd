//! Sockets of datagrams: UDP (RFC 768, RFC 1122 §4.1) and ICMP echo.

use core::net::SocketAddr;
use std::collections::VecDeque;

use netarium_base::{Cause, Ctx, DropReason, Event, IfIndex, SocketId};
use netarium_wire::icmp::{Icmp, Quoted, kind, unreachable};
use netarium_wire::{Frame, IpHeader, Payload, protocol, udp};

use crate::errno::Errno;
use crate::input::Arrival;
use crate::layer::Way;
use crate::options::{MtuDiscover, Settings};
use crate::sockets::Inner;
use crate::stack::Stack;
use crate::types::{IcmpError, Readiness, RecvMeta, SocketEvent, SocketKind};

/// Bytes of datagrams that wait for a program at most, each counted with 128 bytes of overhead; more are
/// dropped (Linux' `net.core.rmem_default`).
pub const RECV_LIMIT: usize = 212_992;
/// How many ICMP errors wait for a program at most.
const ICMP_ERRORS: usize = 32;
/// The longest IPv4 packet.
const PACKET_MAX: usize = 65_535;
/// What a queued datagram costs beyond its bytes.
const OVERHEAD: usize = 128;

/// A socket of datagrams.
#[derive(Debug, Default)]
pub(crate) struct Datagram {
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    queue: VecDeque<(RecvMeta, Payload, Vec<u8>)>,
    queued: usize,
    pub(crate) error: Option<Errno>,
    /// Oldest first, at most [`ICMP_ERRORS`]; the oldest make room.
    pub(crate) icmp_errors: VecDeque<IcmpError>,
}

impl Datagram {
    /// Bytes that wait.
    pub(crate) fn queued(&self) -> u32 {
        self.queued as u32
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let mut r = Readiness::WRITABLE;
        if !self.queue.is_empty() || self.error.is_some() {
            r |= Readiness::READABLE;
        }
        if self.error.is_some() {
            r |= Readiness::ERROR;
        }
        r
    }

    /// Takes a datagram in; `false` when the buffer is full.
    fn push(&mut self, meta: RecvMeta, front: Vec<u8>, payload: Payload) -> bool {
        let cost = payload.len() + front.len() + OVERHEAD;
        if self.queued + cost > RECV_LIMIT {
            return false;
        }
        self.queued += cost;
        self.queue.push_back((meta, payload, front));
        true
    }

    /// The next datagram, cut to the size of `buf` (RFC 1122: the rest is lost, as in POSIX).
    pub(crate) fn pop(&mut self, buf: &mut [u8]) -> Result<(usize, RecvMeta), Errno> {
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        let (meta, payload, front) = self.queue.pop_front().ok_or(Errno::EAGAIN)?;
        self.queued -= payload.len() + front.len() + OVERHEAD;
        let mut done = 0;
        for part in std::iter::once(&front[..]).chain(payload.slices().iter().map(|s| s.bytes())) {
            let n = part.len().min(buf.len() - done);
            buf[done..done + n].copy_from_slice(&part[..n]);
            done += n;
        }
        Ok((done, meta))
    }
}

impl Stack {
    /// A UDP datagram for this host.
    pub(crate) fn udp_input(&mut self, cx: &mut Ctx<'_>, arrival: Arrival, mut frame: Box<Frame>) {
        let (Some(src), Some((sport, dport))) = (frame.src_ip(), frame.ports()) else { return };
        let from = SocketAddr::new(src, sport);
        let to = SocketAddr::new(arrival.dst, dport);
        let way = (Some(arrival.iface), arrival.broadcast);
        let Some(id) = self.find_datagram(SocketKind::Udp, to, from, way) else {
            self.ip.stats.udp_no_ports += 1;
            self.ip.drop(cx, &frame, DropReason::NoSocket);
            let what = (kind::UNREACHABLE, unreachable::PORT, 0);
            return self.icmp_error(cx, &frame, what, arrival.broadcast);
        };
        let meta = RecvMeta { from, to: arrival.dst, ttl: frame.ttl(), cause: cx.cause };
        // UDP's own length may be shorter than IP's (RFC 768 leaves the rest undefined).
        let data_len = udp::data_len(&frame).unwrap_or(0);
        let mut payload = frame.take_payload();
        payload.truncate(data_len);
        if self.queue_datagram(cx, id, meta, Vec::new(), payload) {
            self.ip.stats.udp_in += 1;
        } else {
            self.ip.stats.udp_in_errors += 1;
            self.ip.drop(cx, &frame, DropReason::SocketBufferFull);
        }
    }

    /// An echo reply for a program that pings.
    pub(crate) fn ping_input(&mut self, cx: &mut Ctx<'_>, mut frame: Box<Frame>, reply: Icmp) {
        let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else { return };
        let from = SocketAddr::new(src, reply.ident());
        let to = SocketAddr::new(dst, reply.ident());
        let Some(id) = self.find_datagram(SocketKind::Ping, to, from, (None, false)) else {
            return self.ip.drop(cx, &frame, DropReason::NoSocket);
        };
        let meta = RecvMeta { from, to: dst, ttl: frame.ttl(), cause: cx.cause };
        let payload = frame.take_payload();
        if !self.queue_datagram(cx, id, meta, reply.seq().to_be_bytes().to_vec(), payload) {
            self.ip.drop(cx, &frame, DropReason::SocketBufferFull);
        }
    }

    fn queue_datagram(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        meta: RecvMeta,
        front: Vec<u8>,
        payload: Payload,
    ) -> bool {
        let Some(d) = self.sockets.datagram_mut(id) else { return false };
        let taken = d.push(meta, front, payload);
        if taken {
            let readiness = d.readiness();
            self.events.push_back(SocketEvent { socket: id, readiness, cause: cx.cause });
        }
        taken
    }

    /// The socket for a datagram: the better it fits, the better (connected before bound to the
    /// address before bound to all, tied to the interface before tied to none), as Linux scores them;
    /// among equals the oldest. `iface` is the one that the datagram came by, if it came by one.
    pub(crate) fn find_datagram(
        &self,
        kind: SocketKind,
        to: SocketAddr,
        from: SocketAddr,
        (iface, broadcast): (Option<IfIndex>, bool),
    ) -> Option<SocketId> {
        let mut best: Option<(u8, SocketId)> = None;
        for &id in self.sockets.datagrams_on(kind, to.port()) {
            let Some(socket) = self.sockets.get(id) else { continue };
            let Inner::Datagram(d) = &socket.inner else { continue };
            let device = socket.settings.device;
            if iface.is_some() && device.is_some() && device != iface {
                continue;
            }
            let Some(local) = d.local else { continue };
            let bound_here = local.ip() == to.ip();
            if !(bound_here || local.ip().is_unspecified() || broadcast) {
                continue;
            }
            let connected = match (kind, d.remote) {
                (_, None) => false,
                // An answer to an echo comes from the address only.
                (SocketKind::Ping, Some(r)) => r.ip() == from.ip(),
                (_, Some(r)) => r == from,
            };
            if d.remote.is_some() && !connected {
                continue;
            }
            let tied = device.is_some();
            let score = u8::from(connected) * 4 + u8::from(tied) * 2 + u8::from(bound_here);
            if best.is_none_or(|(s, _)| score > s) {
                best = Some((score, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Sends one datagram; `data` of a ping starts with its sequence number.
    pub(crate) fn send_datagram(
        &mut self,
        cx: &mut Ctx<'_>,
        kind_of: SocketKind,
        (local, remote): (SocketAddr, SocketAddr),
        data: &[u8],
        settings: Settings,
        cause: Cause,
    ) -> Result<usize, Errno> {
        let hop = self.ip.hop_on(remote.ip(), settings.device)?;
        let source = if local.ip().is_unspecified() { hop.source } else { local.ip() };
        let mut header = IpHeader::new(source, remote.ip());
        header.ttl = settings.ttl.unwrap_or(self.tcp_config.default_ttl);
        header.tos = settings.tos;
        header.id = self.ip.next_ip_id(remote.ip());
        let ping = kind_of == SocketKind::Ping;
        let (seq, body) = match data.split_first_chunk::<2>() {
            Some((seq, rest)) if ping => (u16::from_be_bytes(*seq), rest),
            None if ping => return Err(Errno::EINVAL),
            _ => (0, data),
        };
        let len = header.len() + udp::HEADER + body.len();
        let mtu = usize::from(self.ip.path_mtu(cx.now, remote.ip()));
        // As on Linux, what is longer than the path allows is cut here, unless the program forbids
        // it; what fits says that routers must not cut it.
        header.dont_fragment = match settings.mtu_discover {
            MtuDiscover::Dont => false,
            MtuDiscover::Want => len <= mtu,
            _ if len > mtu => return Err(Errno::EMSGSIZE),
            _ => true,
        };
        if len > PACKET_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let payload = Payload::copy_from(body);
        let (mut frame, what) = if ping {
            self.ip.stats.count_icmp_out(Some(kind::ECHO_REQUEST));
            let echo = Icmp::echo(kind::ECHO_REQUEST, local.port(), seq);
            (echo.frame(&header, payload), ("icmp", "echo-request"))
        } else {
            self.ip.stats.udp_out += 1;
            (udp::frame(&header, local.port(), remote.port(), payload), ("udp", "datagram"))
        };
        let (protocol, packet) = what;
        let len = frame.payload().len() as u32;
        let place = self.ip.place();
        frame.meta.cause = cx.with(cause).emit(place, frame.meta.flow, || Event::PacketBuilt {
            protocol,
            kind: packet,
            len,
        });
        let Settings { device, before_filter, .. } = settings;
        self.ip.send_local(cx, frame, Way { device, before_filter })?;
        Ok(data.len())
    }

    /// An ICMP error about one of our datagrams. RFC 1122 §4.1.3.3: it reaches the program; as on
    /// Linux only a connected socket is told by errno.
    pub(crate) fn datagram_error(
        &mut self,
        cx: &mut Ctx<'_>,
        local: SocketAddr,
        remote: SocketAddr,
        errno: Errno,
        error: Option<IcmpError>,
    ) {
        let Some(id) = self.find_datagram(SocketKind::Udp, local, remote, (None, false)) else {
            return;
        };
        self.fail_datagram(cx, id, errno, error, true);
    }

    /// An ICMP error about one of our echo requests.
    pub(crate) fn ping_error(
        &mut self,
        cx: &mut Ctx<'_>,
        quoted: &Quoted,
        errno: Errno,
        error: Option<IcmpError>,
    ) {
        let local = SocketAddr::new(quoted.src, quoted.src_port);
        let remote = SocketAddr::new(quoted.dst, quoted.src_port);
        debug_assert_eq!(quoted.protocol, protocol::ICMP);
        let Some(id) = self.find_datagram(SocketKind::Ping, local, remote, (None, false)) else {
            return;
        };
        self.fail_datagram(cx, id, errno, error, false);
    }

    fn fail_datagram(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        errno: Errno,
        error: Option<IcmpError>,
        connected_only: bool,
    ) {
        let Some(d) = self.sockets.datagram_mut(id) else { return };
        if d.icmp_errors.len() >= ICMP_ERRORS {
            d.icmp_errors.pop_front();
        }
        d.icmp_errors.extend(error);
        if connected_only && d.remote.is_none() {
            return;
        }
        d.error = Some(errno);
        let readiness = d.readiness();
        self.events.push_back(SocketEvent { socket: id, readiness, cause: cx.cause });
    }
}
