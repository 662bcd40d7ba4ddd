//! Packet sockets: what AF_PACKET is on Linux, and what libpcap reads from.
//!
//! A packet socket is given a copy of every frame that passes an interface: on the way in before the
//! IP layer and the filter have looked at it, on the way out behind both, as it goes onto the wire.
//! What an interface would not take (a unicast frame for another MAC address) is seen only while
//! somebody has put that interface into promiscuous mode; the IP layer refuses it all the same.
//!
//! Memory is bounded: a socket's ring holds [`RING_BYTES`] unless told otherwise, at most
//! [`RING_MAX`]; what comes when it is full is counted and lost. A host has at most [`TAPS_MAX`]
//! packet sockets. A host without any pays one branch per frame.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use netarium_base::{Cause, Ctx, Event, FlowId, IfIndex, Instant, Pid, Place, SocketId};
use netarium_wire::{Frame, Mac};

use crate::errno::Errno;
use crate::layer::{IpLayer, LO};
use crate::options::Settings;
use crate::sockets::{Inner, Socket};
use crate::stack::Stack;
use crate::types::{Readiness, SocketEvent, SocketKind};

/// Bytes that a socket's ring holds by default: libpcap's buffer of 2 MiB.
pub const RING_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that it holds at most.
pub const RING_MAX: usize = 64 * 1024 * 1024;
/// How many packet sockets a host has at most; more fail with ENOBUFS.
pub const TAPS_MAX: usize = 64;
/// What a frame in the ring costs beyond its bytes.
const OVERHEAD: usize = 96;

/// Which way a frame went, and for whom it was: Linux' `sll_pkttype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// It came in, for this interface (PACKET_HOST).
    Host,
    /// It came in, for everyone.
    Broadcast,
    /// It came in, for a group.
    Multicast,
    /// It came in for somebody else, and was seen in promiscuous mode.
    OtherHost,
    /// It went out.
    Outgoing,
}

impl PacketKind {
    /// Linux' number of it, as it stands in captures of `any`.
    pub const fn number(self) -> u8 {
        match self {
            PacketKind::Host => 0,
            PacketKind::Broadcast => 1,
            PacketKind::Multicast => 2,
            PacketKind::OtherHost => 3,
            PacketKind::Outgoing => 4,
        }
    }

    fn of(frame: &Frame, own: Mac) -> PacketKind {
        let to = frame.dst_mac();
        if to == own {
            PacketKind::Host
        } else if to == Mac::BROADCAST {
            PacketKind::Broadcast
        } else if to.is_multicast() {
            PacketKind::Multicast
        } else {
            PacketKind::OtherHost
        }
    }
}

/// A frame as a packet socket sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When it passed.
    pub at: Instant,
    /// Where.
    pub iface: IfIndex,
    /// Which way, and for whom.
    pub kind: PacketKind,
    /// How long it was, bytes.
    pub len: usize,
    /// Its first bytes, from the destination MAC on.
    pub bytes: Vec<u8>,
}

/// Decides which frames a socket wants, before they take room in its ring: what BPF is in a kernel.
/// It sees each frame whole.
#[derive(Clone)]
pub struct PacketFilter(Rc<dyn Fn(&Captured) -> bool>);

impl PacketFilter {
    /// A filter that asks a function.
    pub fn new(wants: impl Fn(&Captured) -> bool + 'static) -> PacketFilter {
        PacketFilter(Rc::new(wants))
    }
}

impl fmt::Debug for PacketFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketFilter")
    }
}

/// What a packet socket is to be given.
#[derive(Clone, Debug)]
pub struct PacketConfig {
    /// The interface; every one when there is none.
    pub iface: Option<IfIndex>,
    /// Whether frames for others are wanted. Without an interface it has no meaning, as on Linux.
    pub promiscuous: bool,
    /// How many bytes of a frame are kept.
    pub snaplen: usize,
    /// How many bytes the ring holds; at most [`RING_MAX`].
    pub ring: usize,
    /// Which frames are wanted.
    pub filter: Option<PacketFilter>,
}

impl Default for PacketConfig {
    fn default() -> Self {
        PacketConfig {
            iface: None,
            promiscuous: false,
            snaplen: usize::from(u16::MAX),
            ring: RING_BYTES,
            filter: None,
        }
    }
}

/// What a packet socket has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketStats {
    /// Frames that its filter let pass, those that found no room included.
    pub received: u64,
    /// Frames that found no room.
    pub dropped: u64,
}

#[derive(Debug)]
struct Tap {
    id: SocketId,
    config: PacketConfig,
    ring: VecDeque<Captured>,
    bytes: usize,
    stats: PacketStats,
}

/// The packet sockets of a host.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    open: Vec<Tap>,
    pub(crate) events: VecDeque<SocketEvent>,
}

impl Taps {
    #[cold]
    #[inline(never)]
    pub(crate) fn see(
        &mut self,
        now: Instant,
        iface: IfIndex,
        kind: PacketKind,
        frame: &Frame,
        cause: Cause,
    ) {
        for tap in &mut self.open {
            if tap.config.iface.is_some_and(|i| i != iface) {
                continue;
            }
            let whole = Captured { at: now, iface, kind, len: frame.len(), bytes: frame.to_vec() };
            if tap.config.filter.as_ref().is_some_and(|f| !(f.0)(&whole)) {
                continue;
            }
            if tap.take(whole) {
                let readiness = Readiness::READABLE | Readiness::WRITABLE;
                self.events.push_back(SocketEvent { socket: tap.id, readiness, cause });
            }
        }
    }

    fn get(&mut self, id: SocketId) -> Option<&mut Tap> {
        self.open.iter_mut().find(|t| t.id == id)
    }
}

impl Tap {
    /// Takes a frame in; whether a reader is to be woken.
    fn take(&mut self, mut captured: Captured) -> bool {
        captured.bytes.truncate(self.config.snaplen);
        captured.bytes.shrink_to_fit();
        let cost = captured.bytes.len() + OVERHEAD;
        self.stats.received += 1;
        if self.bytes + cost > self.config.ring.min(RING_MAX) {
            self.stats.dropped += 1;
            return false;
        }
        self.bytes += cost;
        self.ring.push_back(captured);
        self.ring.len() == 1
    }
}

impl IpLayer {
    /// A frame that arrived is shown to whoever listens. `false`: the interface would not have taken
    /// it, because it is for somebody else.
    pub(crate) fn tap_in(&mut self, now: Instant, iface: IfIndex, frame: &Frame) -> bool {
        let Some(i) = self.iface(iface) else { return false };
        let to = frame.dst_mac();
        let mine = iface == LO || to == i.mac || to.is_multicast();
        if let Some(taps) = &mut self.taps {
            let i = &self.interfaces[usize::from(iface.0) - 1];
            if mine || i.promiscuous > 0 {
                taps.see(now, iface, PacketKind::of(frame, i.mac), frame, frame.meta.cause);
            }
        }
        mine
    }

    /// Puts an interface into promiscuous mode once more, or once less, and tells when that changes
    /// something.
    fn set_promiscuous(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, on: bool) {
        let place = Place::Iface(self.node, iface);
        let Some(i) = self.iface_mut(iface) else { return };
        let before = i.promiscuous;
        i.promiscuous = if on { before.saturating_add(1) } else { before.saturating_sub(1) };
        if (before > 0) != (i.promiscuous > 0) {
            let mode = if on { "promiscuous" } else { "normal" };
            cx.cause = cx.emit(place, FlowId::NONE, || Event::InterfaceMode { mode });
        }
    }
}

impl Stack {
    /// A packet socket for process `pid`.
    ///
    /// # Errors
    /// ENODEV for an interface that is not there, ENETDOWN for one that is down, ENOBUFS when the
    /// host has [`TAPS_MAX`] already, EMFILE when it has too many sockets.
    pub fn open_packet(
        &mut self,
        cx: &mut Ctx<'_>,
        pid: Pid,
        config: PacketConfig,
    ) -> Result<SocketId, Errno> {
        if let Some(iface) = config.iface {
            let i = self.ip.iface(iface).ok_or(Errno::ENODEV)?;
            if !i.up {
                return Err(Errno::ENETDOWN);
            }
        }
        if self.ip.taps.as_ref().is_some_and(|t| t.open.len() >= TAPS_MAX) {
            return Err(Errno::ENOBUFS);
        }
        let kind = SocketKind::Packet;
        let inner = Inner::Packet;
        let socket = Socket { kind, pid, bound: None, settings: Settings::default(), inner };
        let id = self.sockets.insert(socket).ok_or(Errno::EMFILE)?;
        self.note_call(cx, id, "packet-socket", FlowId::NONE, 0);
        if let Some(iface) = config.iface.filter(|_| config.promiscuous) {
            self.ip.set_promiscuous(cx, iface, true);
        }
        let (ring, stats) = (VecDeque::new(), PacketStats::default());
        let taps = self.ip.taps.get_or_insert_with(Box::default);
        taps.open.push(Tap { id, config, ring, bytes: 0, stats });
        Ok(id)
    }

    /// The oldest frame that a packet socket was given.
    ///
    /// # Errors
    /// EBADF, EAGAIN when none waits.
    pub fn recv_packet(&mut self, id: SocketId) -> Result<Captured, Errno> {
        let tap = self.ip.taps.as_mut().and_then(|t| t.get(id)).ok_or(Errno::EBADF)?;
        let captured = tap.ring.pop_front().ok_or(Errno::EAGAIN)?;
        tap.bytes -= captured.bytes.len() + OVERHEAD;
        Ok(captured)
    }

    /// What a packet socket has counted so far; zero for other sockets.
    pub fn packet_stats(&self, id: SocketId) -> PacketStats {
        let open = self.ip.taps.iter().flat_map(|t| &t.open);
        open.into_iter().find(|t| t.id == id).map_or_else(Default::default, |t| t.stats)
    }

    /// Whether a frame waits in a packet socket.
    pub(crate) fn packet_readiness(&self, id: SocketId) -> Readiness {
        let mut open = self.ip.taps.iter().flat_map(|t| &t.open);
        let waits = open.any(|t| t.id == id && !t.ring.is_empty());
        if waits { Readiness::READABLE | Readiness::WRITABLE } else { Readiness::WRITABLE }
    }

    /// Sends a frame as it is: Ethernet header first, whatever it says.
    ///
    /// # Errors
    /// EBADF, ENODEV, ENETDOWN, EINVAL for less than an Ethernet header, EMSGSIZE for more than the
    /// interface's MTU behind it.
    pub fn send_packet(
        &mut self,
        cx: &mut Ctx<'_>,
        id: SocketId,
        iface: IfIndex,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        const ETHERNET: usize = 14;
        let socket = self.sockets.get(id).ok_or(Errno::EBADF)?;
        if !matches!(socket.inner, Inner::Packet) {
            return Err(Errno::EOPNOTSUPP);
        }
        let i = self.ip.iface(iface).ok_or(Errno::ENODEV)?;
        if !i.up {
            return Err(Errno::ENETDOWN);
        }
        let body = bytes.len().checked_sub(ETHERNET).ok_or(Errno::EINVAL)?;
        if body > usize::from(i.mtu) {
            return Err(Errno::EMSGSIZE);
        }
        self.note_call(cx, id, "send", FlowId::NONE, bytes.len());
        let mut frame = Frame::from_bytes(bytes);
        let (place, len) = (Place::Iface(self.ip.node, iface), bytes.len() as u32);
        frame.meta.cause = cx.emit(place, frame.meta.flow, || Event::PacketBuilt {
            protocol: "ethernet",
            kind: "raw",
            len,
        });
        self.ip.push(cx, iface, frame);
        Ok(())
    }

    /// Ends a packet socket.
    pub(crate) fn close_packet(&mut self, cx: &mut Ctx<'_>, id: SocketId) {
        let Some(taps) = &mut self.ip.taps else { return };
        let Some(at) = taps.open.iter().position(|t| t.id == id) else { return };
        let tap = taps.open.remove(at);
        // Wakes that nobody has fetched yet still go to the other sockets.
        if taps.open.is_empty() && taps.events.is_empty() {
            self.ip.taps = None;
        }
        if let Some(iface) = tap.config.iface.filter(|_| tap.config.promiscuous) {
            self.ip.set_promiscuous(cx, iface, false);
        }
    }

    /// The next packet socket that became readable.
    pub(crate) fn next_packet_event(&mut self) -> Option<SocketEvent> {
        self.ip.taps.as_mut()?.events.pop_front()
    }
}
