//! ICMP: echo, and errors sent and received (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3).

use core::net::{IpAddr, SocketAddr};

use netarium_base::{Ctx, DropReason, Duration, Event, Instant};
use netarium_wire::icmp::{self, Icmp, Quoted, kind, unreachable};
use netarium_wire::{Frame, IpHeader, protocol};

use crate::errno::Errno;
use crate::layer::{Way, may_answer_with_error};
use crate::options::MtuDiscover;
use crate::stack::Stack;
use crate::tcp::Seq;
use crate::tcp::demux::Ends;
use crate::types::{IcmpError, SocketKind};

/// Errors that may be sent in a burst, and per second (Linux' `icmp_msgs_burst` and
/// `icmp_msgs_per_sec`; RFC 1812 §4.3.2.8 asks for a limit).
const BURST: u64 = 50;
const PER_SECOND: u64 = 1000;

/// A token bucket for ICMP errors.
#[derive(Debug)]
pub struct Limit {
    tokens: u64,
    filled: Instant,
}

impl Default for Limit {
    fn default() -> Self {
        Limit { tokens: BURST, filled: Instant::ZERO }
    }
}

impl Limit {
    /// Takes a token; `false` when there is none.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let step = 1_000_000_000 / PER_SECOND;
        let new = now.since(self.filled).as_nanos() / step;
        if new > 0 {
            self.tokens = (self.tokens + new).min(BURST);
            // The rest of a step is not lost, or frequent callers would get fewer than promised.
            self.filled += Duration::from_nanos(new * step);
        }
        let had = self.tokens > 0;
        self.tokens -= u64::from(had);
        had
    }
}

/// The socket error that an ICMP error becomes (RFC 1122 §3.2.2, as Linux maps them).
pub fn errno_of(icmp_kind: u8, code: u8) -> Option<Errno> {
    match (icmp_kind, code) {
        (kind::UNREACHABLE, unreachable::NETWORK | 6 | 9 | 11) => Some(Errno::ENETUNREACH),
        (kind::UNREACHABLE, 5) => Some(Errno::EOPNOTSUPP),
        (kind::UNREACHABLE, 7) => Some(Errno::EHOSTDOWN),
        (kind::UNREACHABLE, 8) => Some(Errno::ENONET),
        (kind::UNREACHABLE, unreachable::PROTOCOL) => Some(Errno::ENOPROTOOPT),
        (kind::UNREACHABLE, unreachable::PORT) => Some(Errno::ECONNREFUSED),
        (kind::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED) => Some(Errno::EMSGSIZE),
        (kind::UNREACHABLE | kind::TIME_EXCEEDED, _) => Some(Errno::EHOSTUNREACH),
        (kind::PARAMETER_PROBLEM, _) => Some(Errno::EPROTO),
        _ => None,
    }
}

impl Stack {
    /// An ICMP message for this host.
    pub(crate) fn icmp_input(&mut self, cx: &mut Ctx<'_>, frame: Box<Frame>, broadcast: bool) {
        self.ip.stats.icmp_in += 1;
        let Some(message) = Icmp::of(&frame) else {
            return self.ip.drop(cx, &frame, DropReason::UnknownProtocol);
        };
        self.ip.stats.count_icmp_in(message.kind);
        match message.kind {
            // RFC 1122 §3.2.2.6: an echo to a broadcast address may be ignored; Linux does.
            kind::ECHO_REQUEST if !broadcast => self.echo_reply(cx, frame, message),
            kind::ECHO_REPLY => self.ping_input(cx, frame, message),
            // RFC 1812 §5.2.7.2: a router ignores them; Linux' hosts are told to by every guide.
            kind::REDIRECT => self.ip.drop(cx, &frame, DropReason::RedirectIgnored),
            _ if message.is_error() => self.icmp_error_input(cx, frame, message),
            _ => self.ip.drop(cx, &frame, DropReason::UnknownProtocol),
        }
    }

    fn echo_reply(&mut self, cx: &mut Ctx<'_>, mut frame: Box<Frame>, request: Icmp) {
        let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else { return };
        let mut header = IpHeader::new(dst, src);
        header.tos = frame.tos();
        header.id = self.ip.next_ip_id(src);
        header.dont_fragment = false;
        let reply = Icmp { kind: kind::ECHO_REPLY, ..request };
        let cause = frame.meta.cause;
        self.send_icmp(cx, reply.frame(&header, frame.take_payload()), cause, "echo-reply");
    }

    fn send_icmp(
        &mut self,
        cx: &mut Ctx<'_>,
        mut frame: Box<Frame>,
        cause: netarium_base::Cause,
        what: &'static str,
    ) {
        self.ip.stats.count_icmp_out(Icmp::of(&frame).map(|message| message.kind));
        let len = frame.payload().len() as u32;
        let place = self.ip.place();
        frame.meta.cause = cx.with(cause).emit(place, frame.meta.flow, || Event::PacketBuilt {
            protocol: "icmp",
            kind: what,
            len,
        });
        // Nobody waits for it: what the filter ends here, it has told.
        let _ = self.ip.send_local(cx, frame, Way::default());
    }

    /// Tells the sender of `about` what went wrong, as far as rules and rate allow.
    pub(crate) fn icmp_error(
        &mut self,
        cx: &mut Ctx<'_>,
        about: &Frame,
        (error_kind, code, rest): (u8, u8, u32),
        broadcast: bool,
    ) {
        if !may_answer_with_error(about, broadcast) {
            return;
        }
        let Some(sender) = about.src_ip() else { return };
        // As on Linux the limit is for what leaves the host.
        if !self.ip.is_own(sender) && !self.ip.icmp_limit.take(cx.now) {
            self.ip.stats.icmp_rate_limited += 1;
            return self.ip.drop(cx, about, DropReason::RateLimited);
        }
        let Ok(hop) = self.ip.hop_for(sender) else { return };
        let own_target = about.dst_ip().filter(|d| self.ip.is_own(*d));
        let mut header = IpHeader::new(own_target.unwrap_or(hop.source), sender);
        header.tos = 0xc0;
        header.id = self.ip.next_ip_id(sender);
        header.dont_fragment = false;
        let what = match (error_kind, code) {
            (kind::TIME_EXCEEDED, _) => "time-exceeded",
            (_, unreachable::NETWORK) => "network-unreachable",
            (_, unreachable::HOST) => "host-unreachable",
            (_, unreachable::PROTOCOL) => "protocol-unreachable",
            (_, unreachable::PORT) => "port-unreachable",
            (_, unreachable::FRAGMENTATION_NEEDED) => "fragmentation-needed",
            _ => "administratively-prohibited",
        };
        let mut frame = icmp::error(&header, error_kind, code, rest, about);
        // The error belongs to the flow that it is about: NAT translates it on its way back.
        frame.meta.conntrack = about.meta.conntrack;
        self.send_icmp(cx, frame, about.meta.cause, what);
    }

    /// An ICMP error arrived: it finds the socket whose packet it quotes.
    fn icmp_error_input(&mut self, cx: &mut Ctx<'_>, frame: Box<Frame>, message: Icmp) {
        let quoted = Quoted::parse(&frame.payload().prefix(icmp::ERROR_MAX));
        let (Some(quoted), Some(from)) = (quoted, frame.src_ip()) else {
            return self.ip.drop(cx, &frame, DropReason::Malformed);
        };
        let Some(errno) = errno_of(message.kind, message.code) else { return };
        cx.cause = frame.meta.cause;
        if errno == Errno::EMSGSIZE && quoted.protocol == protocol::TCP {
            // RFC 1191 §4: the MTU stands in the lower half.
            return self.path_mtu_input(cx, &quoted, message.rest & 0xffff);
        }
        let seq = quoted.seq as u16;
        let mtu = (errno == Errno::EMSGSIZE).then_some(message.rest as u16);
        if let Some(mtu) = mtu {
            self.learn_for_datagrams(cx, &quoted, mtu.into());
        }
        let error = IcmpError { from, kind: message.kind, code: message.code, seq, mtu };
        cx.cause = frame.meta.cause;
        self.report_unreachable(cx, &quoted, errno, Some(error));
    }

    /// «Fragmentation needed» about a segment of ours (RFC 1191).
    fn path_mtu_input(&mut self, cx: &mut Ctx<'_>, quoted: &Quoted, mtu: u32) {
        if !self.ip.is_own(quoted.src) {
            return;
        }
        let local = SocketAddr::new(quoted.src, quoted.src_port);
        let remote = SocketAddr::new(quoted.dst, quoted.dst_port);
        let Some(slot) = self.tcp.find(&Ends::new(local, remote)) else { return };
        let believed = self.tcp.get(slot).is_some_and(|e| {
            let mode = e.conn.settings.mtu_discover;
            e.conn.is_in_flight(Seq(quoted.seq))
                && !matches!(mode, MtuDiscover::Dont | MtuDiscover::Probe)
        });
        if !believed {
            return;
        }
        let current = self.ip.path_mtu(cx.now, quoted.dst);
        let limits = (self.tcp_config.min_pmtu, self.tcp_config.mtu_expires);
        self.ip.path_mtus.learn(cx.now, quoted.dst, (mtu, current), limits);
        let pmtu = self.ip.path_mtu(cx.now, quoted.dst);
        self.with_connection(cx, slot, |cx, conn| {
            conn.on_path_mtu(cx, Seq(quoted.seq), pmtu);
        });
    }

    /// «Fragmentation needed» about a datagram of ours: later ones to that destination are cut.
    fn learn_for_datagrams(&mut self, cx: &Ctx<'_>, quoted: &Quoted, mtu: u32) {
        let ping = quoted.protocol == protocol::ICMP;
        let kind_of = if ping { SocketKind::Ping } else { SocketKind::Udp };
        let port = if ping { quoted.src_port } else { quoted.dst_port };
        let local = SocketAddr::new(quoted.src, quoted.src_port);
        let remote = SocketAddr::new(quoted.dst, port);
        // RFC 5927 §4: only about what a program of this host may have sent.
        let Some(id) = self.find_datagram(kind_of, local, remote, (None, false)) else { return };
        let mode = self.sockets.get(id).map(|s| s.settings.mtu_discover);
        if !matches!(mode, Some(MtuDiscover::Want | MtuDiscover::Do)) {
            return;
        }
        let current = self.ip.path_mtu(cx.now, quoted.dst);
        let limits = (self.tcp_config.min_pmtu, self.tcp_config.mtu_expires);
        self.ip.path_mtus.learn(cx.now, quoted.dst, (mtu, current), limits);
    }

    /// Tells the socket that sent the quoted packet that it did not arrive.
    pub(crate) fn report_unreachable(
        &mut self,
        cx: &mut Ctx<'_>,
        quoted: &Quoted,
        errno: Errno,
        error: Option<IcmpError>,
    ) {
        if !self.ip.is_own(quoted.src) {
            return;
        }
        let local = SocketAddr::new(quoted.src, quoted.src_port);
        let remote = SocketAddr::new(quoted.dst, quoted.dst_port);
        match quoted.protocol {
            protocol::TCP => {
                let ends = Ends::new(local, remote);
                if matches!(errno, Errno::EHOSTUNREACH | Errno::ENETUNREACH) {
                    self.request_unreachable(cx, &ends, Seq(quoted.seq));
                }
                if let Some(slot) = self.tcp.find(&ends) {
                    self.with_connection(cx, slot, |cx, conn| {
                        conn.on_unreachable(cx, errno, Some(Seq(quoted.seq)));
                    });
                }
            }
            protocol::UDP => self.datagram_error(cx, local, remote, errno, error),
            protocol::ICMP => self.ping_error(cx, quoted, errno, error),
            _ => {}
        }
    }

    /// Packets whose next hop did not answer: a program here gets EHOSTUNREACH, a sender elsewhere
    /// an ICMP error.
    pub(crate) fn drain_unreachable(&mut self, cx: &mut Ctx<'_>) {
        while let Some((frame, how)) = self.ip.rejected.pop_front() {
            self.answer_rejected(cx, &frame, how);
        }
        while let Some(u) = self.ip.unreachable.pop_front() {
            let frame = u.frame;
            self.ip.drop(cx, &frame, DropReason::NoNeighbour);
            if !frame.src_ip().is_some_and(|s| self.ip.is_own(s)) {
                self.icmp_error(cx, &frame, (kind::UNREACHABLE, unreachable::HOST, 0), false);
                continue;
            }
            let mut packet = frame.network().to_vec();
            packet.extend(frame.payload().prefix(8));
            if let Some(quoted) = Quoted::parse(&packet) {
                cx.cause = frame.meta.cause;
                let error = IcmpError {
                    from: frame.src_ip().unwrap_or(IpAddr::from([0, 0, 0, 0])),
                    kind: kind::UNREACHABLE,
                    code: unreachable::HOST,
                    seq: quoted.seq as u16,
                    mtu: None,
                };
                self.report_unreachable(cx, &quoted, Errno::EHOSTUNREACH, Some(error));
            }
        }
    }
}
