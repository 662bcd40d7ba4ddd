//! The way out of the IP layer: output filter, route, postrouting, neighbour, interface.

use core::net::IpAddr;

use netarium_base::{Cause, Ctx, DropReason, Event, IfIndex, Instant, Place};
use netarium_filter::{Mss, Verdict};
use netarium_wire::{Arp, Frame, Mac};

use crate::errno::Errno;
use crate::layer::{Hop, IpLayer, LO, Own, Unreachable, Way, source_on};
use crate::neighbour::{Due, Resolution};
use crate::packet::PacketKind;

/// Frames that wait for the world to take them; more are dropped. The world drains after every
/// call, so that only a runaway could reach it.
const MAX_TRANSMIT: usize = 65_536;

impl IpLayer {
    /// Sends a packet that this host made: output filter, route, postrouting, neighbour.
    ///
    /// # Errors
    /// As [`IpLayer::hop_on`]; EPERM when a rule ends the packet here, as Linux' `sendto` has it.
    /// Who rejects does so with an answer of its own, besides.
    pub(crate) fn send_local(
        &mut self,
        cx: &mut Ctx<'_>,
        mut frame: Box<Frame>,
        way: Way,
    ) -> Result<(), Errno> {
        self.stats.ip_out_requests += 1;
        let Some(dst) = frame.dst_ip() else { return Err(Errno::EAFNOSUPPORT) };
        let mut hop = match self.hop_on(dst, way.device) {
            Ok(hop) => hop,
            Err(e) => {
                self.stats.ip_out_no_routes += 1;
                self.drop(cx, &frame, DropReason::NoRoute);
                return Err(e);
            }
        };
        if way.before_filter {
            self.route(cx, hop, frame);
            return Ok(());
        }
        if let Some(filter) = &mut self.filter {
            let own = Own(&self.interfaces);
            let cx = &mut cx.with(frame.meta.cause);
            match filter.output(cx, hop.iface, &own, &mut frame) {
                Verdict::Accept => {}
                Verdict::Drop(reason) => {
                    self.drop(cx, &frame, reason);
                    return Err(Errno::EPERM);
                }
                Verdict::Reject(how) => {
                    self.drop(cx, &frame, DropReason::FilterReject);
                    self.rejected.push_back((frame, how));
                    return Err(Errno::EPERM);
                }
            }
            let mss = filter.take_mss();
            self.lower_mss(cx.now, mss, hop.iface, &mut frame);
            // Destination NAT of local packets may lead elsewhere.
            if frame.dst_ip() != Some(dst)
                && let Some(again) = frame.dst_ip().and_then(|d| self.hop_for(d).ok())
            {
                hop = again;
            }
        }
        self.leave(cx, hop, frame)
    }

    /// Postrouting and the neighbour: for packets made here and forwarded ones alike.
    ///
    /// # Errors
    /// EPERM when the filter ends the packet.
    pub(crate) fn leave(
        &mut self,
        cx: &mut Ctx<'_>,
        hop: Hop,
        mut frame: Box<Frame>,
    ) -> Result<(), Errno> {
        if let Some(filter) = &mut self.filter {
            let cause = frame.meta.cause;
            let verdict = filter.postrouting(
                &mut cx.with(cause),
                hop.iface,
                hop.source,
                &self.ports,
                &mut frame,
            );
            let mss = filter.take_mss();
            if let Some(reason) = refused(verdict) {
                self.drop(cx, &frame, reason);
                return Err(Errno::EPERM);
            }
            if mss.is_some() {
                self.lower_mss(cx.now, mss, hop.iface, &mut frame);
            }
        }
        self.route(cx, hop, frame);
        Ok(())
    }

    /// The way on, behind the filter.
    fn route(&mut self, cx: &mut Ctx<'_>, hop: Hop, mut frame: Box<Frame>) {
        // The next host has its own connection tracking; over loopback the next host is this one.
        if hop.iface != LO {
            frame.meta.conntrack = None;
        }
        let Some(dst) = frame.dst_ip() else { return };
        let via = hop.via;
        frame.meta.cause = cx.with(frame.meta.cause).emit(
            Place::Iface(self.node, hop.iface),
            frame.meta.flow,
            || Event::RouteChosen { destination: dst, via, iface: hop.iface },
        );
        let mtu = self.iface(hop.iface).map_or(0, |i| i.mtu);
        if frame.ip_len() > mtu.into() && !frame.dont_fragment() {
            self.leave_in_pieces(cx, hop, dst, &frame, mtu);
        } else {
            self.hand_over(cx, hop, dst, frame);
        }
    }

    /// Does what a rule TCPMSS asks for: a SYN offers no larger segment than fits, as far as this
    /// host knows, into the packets of both directions.
    pub(crate) fn lower_mss(
        &self,
        now: Instant,
        how: Option<Mss>,
        out: IfIndex,
        frame: &mut Frame,
    ) {
        let Some(how) = how else { return };
        let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else { return };
        let headers = if dst.is_ipv4() { 40 } else { 60 };
        let most = match how {
            Mss::Set(most) => most,
            Mss::ClampToPmtu => {
                let there = self.iface(out).map_or(u16::MAX, |i| i.mtu);
                let learned = self.path_mtus.get(now, dst).map_or(there, |path| path.mtu);
                let back = if self.is_own(src) { there } else { self.path_mtu(now, src) };
                there.min(learned).min(back).saturating_sub(headers)
            }
        };
        frame.lower_mss(most);
    }

    /// RFC 791 §3.2: a packet that is longer than the way allows, and may be cut.
    fn leave_in_pieces(
        &mut self,
        cx: &mut Ctx<'_>,
        hop: Hop,
        dst: IpAddr,
        frame: &Frame,
        mtu: u16,
    ) {
        let pieces = frame.fragment(mtu.into());
        if pieces.is_empty() {
            self.stats.ip_frag_fails += 1;
            return self.drop(cx, frame, DropReason::FrameTooBig);
        }
        self.stats.ip_frag_oks += 1;
        self.stats.ip_frag_creates += pieces.len() as u64;
        let place = Place::Iface(self.node, hop.iface);
        let fragments = pieces.len() as u32;
        let cause = cx
            .with(frame.meta.cause)
            .emit(place, frame.meta.flow, || Event::Fragmented { fragments, mtu: mtu.into() });
        for mut piece in pieces {
            piece.meta.cause = cause;
            self.hand_over(cx, hop, dst, piece);
        }
    }

    /// The neighbour, and the interface.
    fn hand_over(&mut self, cx: &mut Ctx<'_>, hop: Hop, dst: IpAddr, mut frame: Box<Frame>) {
        if hop.iface == LO {
            frame.set_macs(Mac::ZERO, Mac::ZERO);
            return self.push(cx, LO, frame);
        }
        let next = hop.via.unwrap_or(dst);
        if self.is_broadcast(next) {
            return self.send_on(cx, hop.iface, Mac::BROADCAST, frame);
        }
        self.resolve(cx, hop.iface, next, frame);
    }

    fn resolve(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, next: IpAddr, frame: Box<Frame>) {
        let cause = frame.meta.cause;
        match self.neighbours.resolve(cx.now, iface, next, frame) {
            Resolution::Send(mac, frame) => self.send_on(cx, iface, mac, frame),
            Resolution::Wait { ask, dropped } => {
                if let Some(frame) = dropped {
                    self.drop(cx, &frame, DropReason::NeighbourQueueFull);
                }
                if ask {
                    self.ask(cx, iface, next, None, cause);
                }
            }
        }
    }

    /// Sends an ARP request; to everyone, or to `mac` to confirm it.
    fn ask(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, ip: IpAddr, mac: Option<Mac>, why: Cause) {
        let IpAddr::V4(target) = ip else { return };
        let Some(i) = self.iface(iface) else { return };
        let Some(IpAddr::V4(sender)) = source_on(i, ip) else { return };
        let request = Arp {
            operation: Arp::REQUEST,
            sender_mac: i.mac,
            sender,
            target_mac: Mac::ZERO,
            target,
        };
        let step = if mac.is_some() { "probe" } else { "request" };
        let mut frame = request.frame(mac.unwrap_or(Mac::BROADCAST));
        frame.meta.cause =
            cx.with(why).emit(Place::Iface(self.node, iface), Default::default(), || Event::Arp {
                step,
                address: ip,
            });
        self.push(cx, iface, frame);
    }

    /// Everything the neighbour cache's timers ask for.
    pub(crate) fn neighbour_deadlines(&mut self, cx: &mut Ctx<'_>) {
        while let Some(due) = self.neighbours.take_due(cx.now) {
            match due {
                Due::Ask { iface, address, mac, cause } => self.ask(cx, iface, address, mac, cause),
                Due::Failed { address, cause, frames } => {
                    let cause = cx.with(cause).emit(self.place(), Default::default(), || {
                        Event::Arp { step: "failed", address }
                    });
                    for mut frame in frames {
                        frame.meta.cause = cause.carrying(frame.meta.cause);
                        self.unreachable.push_back(Unreachable { frame });
                    }
                }
            }
        }
    }

    pub(crate) fn send_on(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, to: Mac, mut f: Box<Frame>) {
        let Some(i) = self.iface(iface) else { return };
        f.set_macs(to, i.mac);
        self.push(cx, iface, f);
    }

    /// Hands a finished frame to the interface.
    pub(crate) fn push(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, frame: Box<Frame>) {
        let full = self.transmit.len() >= MAX_TRANSMIT;
        let Some(i) = self.iface_mut(iface) else { return };
        let fits = frame.ip_len() <= i.mtu.into();
        if !i.up || !fits || full {
            i.counters.tx_dropped += 1;
            let reason = match (i.up, fits) {
                (false, _) => DropReason::InterfaceDown,
                (_, false) => DropReason::FrameTooBig,
                _ => DropReason::LinkQueueFull,
            };
            return self.drop(cx, &frame, reason);
        }
        i.counters.tx_packets += 1;
        i.counters.tx_bytes += frame.len() as u64;
        if let Some(taps) = &mut self.taps {
            taps.see(cx.now, iface, PacketKind::Outgoing, &frame, frame.meta.cause);
        }
        self.transmit.push_back((iface, frame));
    }
}

/// Why a verdict ends a packet that this host made or passes on, where nobody is told.
fn refused(verdict: Verdict) -> Option<DropReason> {
    match verdict {
        Verdict::Accept => None,
        Verdict::Drop(reason) => Some(reason),
        Verdict::Reject(_) => Some(DropReason::FilterReject),
    }
}
