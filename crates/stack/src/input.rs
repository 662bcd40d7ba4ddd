//! A frame arrives: Ethernet, ARP, IP, the way to a socket or onward.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_base::{Ctx, DropReason, Event, IfIndex, Instant, Place};
use netarium_filter::{Reject, Verdict};
use netarium_wire::frame::ChecksumError;
use netarium_wire::icmp::{kind, time_exceeded, unreachable};
use netarium_wire::{Arp, Frame, Network, protocol};

use crate::layer::{LO, Own};
use crate::stack::Stack;
use crate::tcp::segment_in::SegmentIn;
use crate::types::{ReversePath, SocketKind};

/// What is known of a packet on its way in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) iface: IfIndex,
    pub(crate) dst: IpAddr,
    /// To a broadcast address.
    pub(crate) broadcast: bool,
    /// To a multicast address.
    pub(crate) multicast: bool,
    pub(crate) transport_ok: bool,
}

impl Stack {
    /// A frame arrives at an interface. Its `meta.cause` is the event of its delivery.
    pub fn handle_frame(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, mut frame: Box<Frame>) {
        cx.cause = frame.meta.cause;
        if let Err(reason) = self.accept_frame(cx.now, iface, &mut frame) {
            if let Some(i) = self.ip.iface_mut(iface) {
                i.counters.rx_dropped += 1;
            }
            return self.ip.drop(cx, &frame, reason);
        }
        match frame.meta.layers.network {
            Network::Arp => self.arp_input(cx, iface, &frame),
            Network::Ipv4 => self.ip_input(cx, iface, frame),
            // IPv6 is not spoken yet.
            _ => self.ip.drop(cx, &frame, DropReason::UnknownProtocol),
        }
        self.drain_unreachable(cx);
    }

    /// Interface and Ethernet: is it up, is the frame for us, does it parse.
    fn accept_frame(
        &mut self,
        now: Instant,
        iface: IfIndex,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        let len = frame.len() as u64;
        let Some(i) = self.ip.iface_mut(iface) else { return Err(DropReason::InterfaceDown) };
        i.counters.rx_packets += 1;
        i.counters.rx_bytes += len;
        if !i.up {
            return Err(DropReason::InterfaceDown);
        }
        let mine = self.ip.tap_in(now, iface, frame);
        frame.parse().map_err(|_| DropReason::Malformed)?;
        if mine { Ok(()) } else { Err(DropReason::NotForMe) }
    }

    /// RFC 826, with what RFC 5227 asks of an address's owner.
    fn arp_input(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, frame: &Frame) {
        let Ok(arp) = Arp::parse(frame.network()) else { return };
        let sender = IpAddr::V4(arp.sender);
        let place = Place::Iface(self.ip.node, iface);
        self.note_for_probes(iface, &arp);
        let own = |ip| self.ip.addresses().any(|(i, a)| i == iface && a.address() == ip);
        let (for_us, from_us) = (own(IpAddr::V4(arp.target)), own(sender));
        if from_us {
            return self.tell_conflict(cx, iface, frame, &arp);
        }
        if arp.sender_mac.is_multicast() {
            // Who claims to be everyone is not to be believed.
            cx.emit(place, Default::default(), || Event::Arp { step: "conflict", address: sender });
            return;
        }
        if !arp.sender.is_unspecified() {
            let reply = arp.operation == Arp::REPLY && for_us;
            let create = for_us && arp.operation == Arp::REQUEST;
            let (waiting, news) =
                self.ip.neighbours.learn(cx.now, iface, sender, arp.sender_mac, reply, create);
            if news {
                cx.cause = cx.emit(place, Default::default(), || Event::Arp {
                    step: "learned",
                    address: sender,
                });
            }
            for mut f in waiting {
                // The answer lets the packet go; the data is still that of its own call.
                f.meta.cause = cx.cause.carrying(f.meta.cause);
                self.ip.send_on(cx, iface, arp.sender_mac, f);
            }
        }
        if arp.operation == Arp::REQUEST && for_us {
            self.arp_reply(cx, iface, &arp);
        }
    }

    fn arp_reply(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, request: &Arp) {
        let Some(mac) = self.ip.iface(iface).map(|i| i.mac) else { return };
        let reply = Arp {
            operation: Arp::REPLY,
            sender_mac: mac,
            sender: request.target,
            target_mac: request.sender_mac,
            target: request.sender,
        };
        let mut frame = reply.frame(request.sender_mac);
        let address = IpAddr::V4(request.target);
        frame.meta.cause = cx.emit(Place::Iface(self.ip.node, iface), Default::default(), || {
            Event::Arp { step: "reply", address }
        });
        self.ip.push(cx, iface, frame);
    }

    fn ip_input(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, mut frame: Box<Frame>) {
        self.ip.stats.ip_in_receives += 1;
        let transport_ok = match frame.verify() {
            Ok(()) => true,
            // A router passes it on: the transport checksum is the ends' business.
            Err(ChecksumError::Transport) => false,
            Err(ChecksumError::Ip) => {
                self.ip.stats.ip_in_errors += 1;
                return self.ip.drop(cx, &frame, DropReason::BadIpChecksum);
            }
        };
        if let Some(reason) = self.martian(iface, &frame) {
            self.ip.stats.ip_in_errors += 1;
            return self.ip.drop(cx, &frame, reason);
        }
        let (mut frame, transport_ok) = match self.whole(cx, frame) {
            Some((frame, None)) => (frame, transport_ok),
            Some((frame, Some(ok))) => (frame, ok),
            None => return,
        };
        if let Some(arrival) = self.before_filter(iface, &frame).filter(|_| transport_ok) {
            self.ip.stats.ip_in_delivers += 1;
            cx.cause = frame.meta.cause;
            return self.udp_input(cx, arrival, frame);
        }
        if let Some(filter) = &mut self.ip.filter {
            let verdict = filter.prerouting(
                &mut cx.with(frame.meta.cause),
                iface,
                &Own(&self.ip.interfaces),
                &mut frame,
            );
            if verdict != Verdict::Accept {
                return self.refuse(cx, &frame, verdict);
            }
        }
        let Some(dst) = frame.dst_ip() else { return };
        let broadcast = self.ip.is_broadcast(dst);
        let multicast = matches!(dst, IpAddr::V4(d) if d.is_multicast());
        let arrival = Arrival { iface, dst, broadcast, multicast, transport_ok };
        if !broadcast && !multicast && frame.dst_mac().is_multicast() {
            // RFC 1122 §3.3.6, RFC 1812 §5.3.4: a packet for one host in a frame for everyone
            // would be answered or forwarded by all of them.
            return self.ip.drop(cx, &frame, DropReason::NotForMe);
        }
        if broadcast || multicast || self.ip.is_own(dst) {
            self.deliver(cx, arrival, frame);
        } else if self.ip.forwarding {
            self.forward(cx, arrival, frame);
        } else {
            self.ip.drop(cx, &frame, DropReason::NotForwarding);
        }
    }

    /// A datagram for a socket in front of the filter: for this host or for everybody, or for an
    /// address that the host does not have (yet): the answer of a DHCP server to a client that it has
    /// just offered that address (RFC 2131 §4.1). A router takes such only while the interface has
    /// no address: otherwise they pass through it.
    fn before_filter(&self, iface: IfIndex, frame: &Frame) -> Option<Arrival> {
        if frame.protocol() != Some(protocol::UDP) {
            return None;
        }
        let (src, dst, (sport, dport)) = (frame.src_ip()?, frame.dst_ip()?, frame.ports()?);
        let broadcast = self.ip.is_broadcast(dst);
        let bare = self.ip.iface(iface).is_some_and(|i| i.addresses.is_empty());
        let in_transit = self.ip.forwarding && !bare;
        if in_transit && !broadcast && !self.ip.is_own(dst) {
            return None;
        }
        let (from, to) = (SocketAddr::new(src, sport), SocketAddr::new(dst, dport));
        let id = self.find_datagram(SocketKind::Udp, to, from, (Some(iface), broadcast))?;
        let settings = &self.sockets.get(id)?.settings;
        let wanted = settings.before_filter && settings.device == Some(iface);
        let arrival = Arrival { iface, dst, broadcast, multicast: false, transport_ok: true };
        wanted.then_some(arrival)
    }

    /// Puts fragments together where the whole packet is needed: at its destination, and before
    /// connection tracking, which must see ports (Linux' nf_defrag). `None` while others are
    /// missing; with a packet that was put together, whether its transport checksum is right.
    fn whole(&mut self, cx: &mut Ctx<'_>, frame: Box<Frame>) -> Option<(Box<Frame>, Option<bool>)> {
        if !frame.meta.layers.fragment {
            return Some((frame, None));
        }
        let dst = frame.dst_ip()?;
        let here = self.ip.is_own(dst)
            || self.ip.is_broadcast(dst)
            || matches!(dst, IpAddr::V4(d) if d.is_multicast());
        if !here && self.ip.filter.is_none() {
            return Some((frame, None));
        }
        let mut whole = self.ip.reassemble(cx, frame)?;
        let ok = whole.verify().is_ok();
        Some((whole, Some(ok)))
    }

    /// Packets whose missing fragments did not come in time (RFC 1122 §3.3.2: their sender hears
    /// of it when the first fragment arrived).
    pub(crate) fn fragment_deadlines(&mut self, cx: &mut Ctx<'_>) {
        while let Some(first) = self.ip.fragments.as_mut().and_then(|f| f.take_due(cx.now)) {
            self.ip.stats.ip_reasm_timeouts += 1;
            self.ip.stats.ip_reasm_fails += 1;
            let Some(first) = first else { continue };
            self.ip.drop(cx, &first, DropReason::FragmentTimeout);
            if first.dst_ip().is_some_and(|dst| self.ip.is_own(dst)) {
                cx.cause = first.meta.cause;
                self.icmp_error(
                    cx,
                    &first,
                    (kind::TIME_EXCEEDED, time_exceeded::REASSEMBLY, 0),
                    false,
                );
            }
        }
    }

    /// RFC 1812 §5.3.7 and §5.3.8: addresses that cannot stand on this wire, and why.
    fn martian(&self, iface: IfIndex, frame: &Frame) -> Option<DropReason> {
        let (Some(IpAddr::V4(src)), Some(IpAddr::V4(dst))) = (frame.src_ip(), frame.dst_ip())
        else {
            return Some(DropReason::Martian);
        };
        let first = src.octets()[0];
        if iface != LO && (src.is_loopback() || dst.is_loopback()) {
            return Some(DropReason::MartianLoopback);
        }
        if src.is_multicast() || self.ip.is_broadcast(IpAddr::V4(src)) {
            return Some(DropReason::MartianGroup);
        }
        if first >= 240 {
            return Some(DropReason::MartianReserved);
        }
        if dst.octets()[0] == 0 || (dst.octets()[0] >= 240 && !dst.is_broadcast()) {
            return Some(DropReason::Martian);
        }
        // RFC 1122 §3.2.1.3: 0.0.0.0 is only for hosts that ask everyone for their address.
        if first == 0 && !(src.is_unspecified() && dst.is_broadcast()) {
            return Some(DropReason::MartianZero);
        }
        if iface != LO && self.ip.is_own(IpAddr::V4(src)) {
            return Some(DropReason::MartianOwn);
        }
        (!self.comes_the_right_way(iface, src)).then_some(DropReason::ReversePath)
    }

    /// RFC 3704 §2.2, §2.4: whether the way back to a source fits the way that its packet came.
    fn comes_the_right_way(&self, iface: IfIndex, src: Ipv4Addr) -> bool {
        if iface == LO || src.is_unspecified() {
            return true;
        }
        let back = || self.ip.routes.look_up(IpAddr::V4(src));
        match self.ip.reverse_path {
            ReversePath::Off => true,
            ReversePath::Loose => back().is_some(),
            ReversePath::Strict => back().is_some_and(|route| route.iface == iface),
        }
    }

    /// A packet for this host.
    fn deliver(&mut self, cx: &mut Ctx<'_>, arrival: Arrival, mut frame: Box<Frame>) {
        if frame.meta.layers.fragment {
            return self.ip.drop(cx, &frame, DropReason::Fragment);
        }
        if !arrival.transport_ok {
            if frame.protocol() == Some(protocol::TCP) {
                self.ip.stats.tcp_in_errors += 1;
            }
            return self.ip.drop(cx, &frame, DropReason::BadChecksum);
        }
        if let Some(filter) = &mut self.ip.filter {
            let verdict = filter.input(&mut cx.with(frame.meta.cause), arrival.iface, &mut frame);
            if verdict != Verdict::Accept {
                return self.refuse(cx, &frame, verdict);
            }
        }
        self.ip.stats.ip_in_delivers += 1;
        cx.cause = frame.meta.cause;
        match frame.meta.layers.protocol {
            // RFC 9293 MUST-57: connections are between two hosts.
            protocol::TCP if arrival.broadcast || arrival.multicast => {
                self.ip.drop(cx, &frame, DropReason::NotAcceptable);
            }
            protocol::TCP => self.tcp_input(cx, arrival, frame),
            protocol::UDP => self.udp_input(cx, arrival, frame),
            protocol::ICMP => self.icmp_input(cx, frame, arrival.broadcast || arrival.multicast),
            _ => {
                self.ip.drop(cx, &frame, DropReason::UnknownProtocol);
                let what = (kind::UNREACHABLE, unreachable::PROTOCOL, 0);
                self.icmp_error(cx, &frame, what, arrival.broadcast);
            }
        }
    }

    /// A packet for somebody else (RFC 1812 §5.2.1).
    fn forward(&mut self, cx: &mut Ctx<'_>, arrival: Arrival, mut frame: Box<Frame>) {
        if frame.ttl() <= 1 {
            self.ip.drop(cx, &frame, DropReason::TtlExceeded);
            return self.icmp_error(
                cx,
                &frame,
                (kind::TIME_EXCEEDED, time_exceeded::TRANSIT, 0),
                false,
            );
        }
        let Ok(hop) = self.ip.hop_away(arrival.dst) else {
            self.ip.stats.ip_out_no_routes += 1;
            self.ip.drop(cx, &frame, DropReason::NoRoute);
            let what = (kind::UNREACHABLE, unreachable::NETWORK, 0);
            return self.icmp_error(cx, &frame, what, false);
        };
        let mtu = self.ip.iface(hop.iface).map_or(0, |i| i.mtu);
        if frame.ip_len() > mtu.into() && frame.dont_fragment() {
            self.ip.stats.ip_frag_fails += 1;
            self.ip.drop(cx, &frame, DropReason::FragmentationNeeded);
            let what = (kind::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, mtu.into());
            return self.icmp_error(cx, &frame, what, false);
        }
        if let Some(filter) = &mut self.ip.filter {
            let mut cx = cx.with(frame.meta.cause);
            let verdict = filter.forward(&mut cx, arrival.iface, hop.iface, &mut frame);
            let mss = filter.take_mss();
            if verdict != Verdict::Accept {
                return self.refuse(&mut cx, &frame, verdict);
            }
            if mss.is_some() {
                self.ip.lower_mss(cx.now, mss, hop.iface, &mut frame);
            }
        }
        frame.decrement_ttl();
        self.ip.stats.ip_forwarded += 1;
        // What the filter ends here, it has told.
        let _ = self.ip.leave(cx, hop, frame);
    }

    /// Carries out a verdict that ends a packet.
    fn refuse(&mut self, cx: &mut Ctx<'_>, frame: &Frame, verdict: Verdict) {
        match verdict {
            Verdict::Accept => {}
            Verdict::Drop(reason) => self.ip.drop(cx, frame, reason),
            Verdict::Reject(how) => {
                self.ip.drop(cx, frame, DropReason::FilterReject);
                self.answer_rejected(cx, frame, how);
            }
        }
    }

    /// Tells the sender of a packet that a rule rejected it.
    pub(crate) fn answer_rejected(&mut self, cx: &mut Ctx<'_>, frame: &Frame, how: Reject) {
        cx.cause = frame.meta.cause;
        match how {
            Reject::Icmp { kind, code } => self.icmp_error(cx, frame, (kind, code, 0), false),
            Reject::TcpReset => {
                let mut copy = Box::new(frame.clone());
                if let Some((header, seg)) = SegmentIn::of(&mut copy) {
                    self.send_reset_for(cx, frame, &header, &seg, "rejected by the firewall");
                }
            }
        }
    }
}
