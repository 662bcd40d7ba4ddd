//! Finding out whether somebody has an address already, and saying that one has it now (RFC 5227).
//!
//! A program that is about to use an address asks with [`Stack::probe_address`] as often as it
//! likes; while the probe runs, every ARP packet that shows another station with the address, or
//! about to take it, is remembered. [`Stack::end_probe`] says what was heard. At most
//! [`MAX_PROBES`] probes run at a time.
//!
//! What contradicts an address that the host *has* is told in the trace: the frame is dropped with
//! [`DropReason::AddressConflict`], and a note names both stations, once in [`TELL_AGAIN`] for an
//! address. As on Linux the host goes on using its address, and defends it only by answering.

use core::net::{IpAddr, Ipv4Addr};

use netarium_base::{Cause, Ctx, DropReason, Duration, Event, IfIndex, Instant, Place};
use netarium_wire::{Arp, Frame, Mac};

use crate::stack::Stack;

/// How many addresses a host can probe at a time.
pub const MAX_PROBES: usize = 64;
/// After how long a conflict is told again (RFC 5227 §2.4: DEFEND_INTERVAL).
pub const TELL_AGAIN: Duration = Duration::from_secs(10);

/// An address that is being probed.
#[derive(Debug)]
pub(crate) struct Probe {
    iface: IfIndex,
    address: Ipv4Addr,
    heard: Option<Mac>,
}

/// Addresses of the host that others have claimed, and when that was last told.
pub(crate) type Conflicts = std::collections::BTreeMap<(IfIndex, IpAddr), Instant>;

impl Stack {
    /// RFC 5227 §2.1.1: asks everybody on the wire, in nobody's name, who has `address`. From the
    /// first call on answers are remembered, until [`Stack::end_probe`]. `false` when there are
    /// too many probes, or no such interface.
    pub fn probe_address(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, address: Ipv4Addr) -> bool {
        let known = self.ip.probes.iter().any(|p| (p.iface, p.address) == (iface, address));
        if self.ip.iface(iface).is_none() || (!known && self.ip.probes.len() >= MAX_PROBES) {
            return false;
        }
        if !known {
            self.ip.probes.push(Probe { iface, address, heard: None });
        }
        self.broadcast_arp(cx, iface, (Ipv4Addr::UNSPECIFIED, address), "probe");
        true
    }

    /// Who was heard to have, or to be about to take, an address that is being probed.
    pub fn probe_heard(&self, iface: IfIndex, address: Ipv4Addr) -> Option<Mac> {
        let probe = self.ip.probes.iter().find(|p| (p.iface, p.address) == (iface, address));
        probe.and_then(|p| p.heard)
    }

    /// Ends a probe; the same as [`Stack::probe_heard`].
    pub fn end_probe(&mut self, iface: IfIndex, address: Ipv4Addr) -> Option<Mac> {
        let heard = self.probe_heard(iface, address);
        self.ip.probes.retain(|p| (p.iface, p.address) != (iface, address));
        heard
    }

    /// RFC 5227 §2.3: tells everybody on the wire that this host has `address` now, so that nobody
    /// sends to whoever had it before.
    pub fn announce_address(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, address: Ipv4Addr) {
        self.broadcast_arp(cx, iface, (address, address), "announce");
    }

    fn broadcast_arp(
        &mut self,
        cx: &mut Ctx<'_>,
        iface: IfIndex,
        (sender, target): (Ipv4Addr, Ipv4Addr),
        step: &'static str,
    ) {
        let Some(mac) = self.ip.iface(iface).map(|i| i.mac) else { return };
        let request =
            Arp { operation: Arp::REQUEST, sender_mac: mac, sender, target_mac: Mac::ZERO, target };
        let mut frame = request.frame(Mac::BROADCAST);
        let place = Place::Iface(self.ip.node, iface);
        let event = || Event::Arp { step, address: IpAddr::V4(target) };
        frame.meta.cause = cx.emit(place, Default::default(), event);
        self.ip.push(cx, iface, frame);
    }

    /// RFC 5227 §2.1.1: whether an ARP packet speaks against an address that is being probed: its
    /// sender has it, or probes for it as well.
    pub(crate) fn note_for_probes(&mut self, iface: IfIndex, arp: &Arp) {
        let Some(own) = self.ip.iface(iface).map(|i| i.mac) else { return };
        if arp.sender_mac == own {
            return;
        }
        for p in self.ip.probes.iter_mut().filter(|p| p.iface == iface) {
            let probes_too = arp.sender.is_unspecified()
                && arp.operation == Arp::REQUEST
                && arp.target == p.address;
            if arp.sender == p.address || probes_too {
                p.heard.get_or_insert(arp.sender_mac);
            }
        }
    }

    /// RFC 5227 §2.4: somebody else has an address of this host, or says so.
    pub(crate) fn tell_conflict(
        &mut self,
        cx: &mut Ctx<'_>,
        iface: IfIndex,
        frame: &Frame,
        arp: &Arp,
    ) {
        let address = IpAddr::V4(arp.sender);
        let place = Place::Iface(self.ip.node, iface);
        cx.cause = cx.emit(place, Default::default(), || Event::Arp { step: "conflict", address });
        let last = self.ip.conflicts.get(&(iface, address)).copied();
        if last.is_none_or(|at| cx.now.since(at) >= TELL_AGAIN) {
            // As many as the host has addresses at most: only those are asked about.
            self.ip.conflicts.insert((iface, address), cx.now);
            let (theirs, ours) = (arp.sender_mac, self.ip.iface(iface).map(|i| i.mac));
            let ours = ours.unwrap_or(Mac::ZERO);
            let text = format!("two hosts have the address {address}: {ours} and {theirs}");
            cx.cause = cx.emit(place, Default::default(), || Event::Note { text: text.into() });
        }
        self.drop_with(cx, frame, DropReason::AddressConflict);
    }

    fn drop_with(&mut self, cx: &mut Ctx<'_>, frame: &Frame, reason: DropReason) {
        let (place, cause): (Place, Cause) = (self.ip.place(), cx.cause);
        cx.trace.drop_at(cx.now, cause, place, frame.meta.flow, reason, frame.len());
    }

    /// Puts an entry into the neighbour cache, as `ip neigh replace … nud reachable`: for who knows
    /// a station's address from elsewhere (RFC 2131 §4.1: a server that answers a client which
    /// cannot yet answer ARP).
    pub fn set_neighbour(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, address: IpAddr, mac: Mac) {
        let (waiting, _) = self.ip.neighbours.learn(cx.now, iface, address, mac, true, true);
        for frame in waiting {
            self.ip.send_on(cx, iface, mac, frame);
        }
    }
}
