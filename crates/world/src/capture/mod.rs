//! Captures: frames as they pass the ends of links.
//!
//! A capture watches links and gives each frame to a [`CaptureSink`], with the interface (one per
//! link end), the time, and the direction as seen by who is plugged in there. By default a frame is
//! recorded once, at the first captured end that sent it, so that Wireshark does not take a second
//! sighting for a retransmission: a switch that repeats what was recorded on the way in is not
//! recorded again. A frame that the wire loses is seen too. The time of sending is when the frame
//! was handed to the link, before it waits in its queue: as tcpdump on the sender sees it.
//!
//! Captures only watch: with and without them the same happens, with the same ids.

mod pcap;

use netarium_base::map::{Map, Set};
use netarium_base::{Instant, LinkEnd, LinkId};
use netarium_wire::{Cidr, Frame, Mac};

use crate::link::DirId;

pub use pcap::{ByteSink, PcapSink};

/// Which ends of a link record a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// The end that sent it; not the end where a switch or hub repeats a frame of a host whose
    /// own wire is captured as well.
    #[default]
    Sender,
    /// The end where it arrived.
    Receiver,
    /// Both: each frame that arrives is recorded twice.
    Both,
}

/// What to capture.
#[derive(Clone, Debug, Default)]
pub struct CaptureSpec {
    /// Which links.
    pub links: Vec<LinkId>,
    /// At which of their ends.
    pub ends: Ends,
    /// How many bytes of a frame to keep; 0 for all.
    pub snaplen: u32,
}

/// A running capture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CaptureId(pub u32);

/// Which way a frame passed an end, as seen by who is plugged in there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// It came in.
    In,
    /// It went out.
    Out,
}

/// One end of a link, as a capture describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureInterface {
    /// The link.
    pub link: LinkId,
    /// The end.
    pub end: LinkEnd,
    /// `web.home` at the host's end, `home.web` at the network's.
    pub name: String,
    /// Who is plugged in here, in a sentence.
    pub description: String,
    /// The MAC address of who is plugged in, when it is a host.
    pub mac: Option<Mac>,
    /// The addresses of who is plugged in, when it is a host.
    pub addresses: Vec<Cidr>,
    /// The rate of what leaves here, bits per second.
    pub speed: Option<u64>,
    /// How many bytes of a frame are kept; 0 for all.
    pub snaplen: u32,
}

/// Who takes captured frames. Must not change anything in the world.
pub trait CaptureSink {
    /// The capture begins at `start`. Virtual time zero is called `epoch`, in nanoseconds since
    /// 1970-01-01 UTC.
    fn begin(&mut self, epoch: u64, start: Instant, interfaces: &[CaptureInterface]);
    /// Takes a frame, with the position of its interface.
    fn frame(&mut self, interface: usize, at: Instant, direction: Direction, frame: &Frame);
    /// The capture ends at `at`.
    fn end(&mut self, at: Instant);
}

/// What happened to a frame at an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Sent,
    Received,
}

/// All running captures.
#[derive(Default)]
pub(crate) struct Captures {
    next: u32,
    running: Vec<Running>,
}

struct Running {
    id: CaptureId,
    ends: Ends,
    /// Interface number of the end A of a link; the end B has the next.
    interfaces: Map<u32, usize>,
    /// The MAC addresses of the hosts at captured links: what switches repeat of theirs was
    /// recorded when they sent it.
    recorded: Set<Mac>,
    /// The links whose end B is a switch or hub. A host there sends frames of its own.
    repeaters: Set<u32>,
    sink: Box<dyn CaptureSink>,
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Captures({} running)", self.running.len())
    }
}

impl Captures {
    /// Begins a capture of the links whose ends are described, both ends of each in a row.
    pub(crate) fn begin(
        &mut self,
        epoch: u64,
        now: Instant,
        ends: Ends,
        interfaces: &[CaptureInterface],
        mut sink: Box<dyn CaptureSink>,
    ) -> CaptureId {
        self.next += 1;
        let id = CaptureId(self.next);
        sink.begin(epoch, now, interfaces);
        let mut numbers = Map::default();
        for (i, interface) in interfaces.iter().enumerate() {
            numbers.entry(interface.link.0).or_insert(i);
        }
        let recorded = interfaces.iter().filter_map(|i| i.mac).collect();
        let repeaters = interfaces.iter().filter(|i| i.end == LinkEnd::B && i.mac.is_none());
        let repeaters = repeaters.map(|i| i.link.0).collect();
        self.running.push(Running { id, ends, interfaces: numbers, recorded, repeaters, sink });
        id
    }

    /// Ends a capture and gives the links that it watched.
    pub(crate) fn end(&mut self, id: CaptureId, now: Instant) -> Vec<LinkId> {
        let Some(at) = self.running.iter().position(|r| r.id == id) else { return Vec::new() };
        let mut capture = self.running.remove(at);
        capture.sink.end(now);
        capture.interfaces.keys().map(|&l| LinkId(l)).collect()
    }

    /// The captures that run.
    pub(crate) fn ids(&self) -> Vec<CaptureId> {
        self.running.iter().map(|r| r.id).collect()
    }

    /// A frame passes an end of a link: that where it was sent, or that where it arrives.
    #[cold]
    #[inline(never)]
    pub(crate) fn see(&mut self, way: DirId, seen: Seen, now: Instant, frame: &Frame) {
        let (end, direction) = match seen {
            Seen::Sent => (way.source(), Direction::Out),
            Seen::Received => (way.source().other(), Direction::In),
        };
        for capture in &mut self.running {
            let wanted = match capture.ends {
                Ends::Sender => {
                    let repeated = end == LinkEnd::B
                        && capture.repeaters.contains(&way.link().0)
                        && capture.recorded.contains(&frame.src_mac());
                    seen == Seen::Sent && !repeated
                }
                Ends::Receiver => seen == Seen::Received,
                Ends::Both => true,
            };
            if !wanted {
                continue;
            }
            if let Some(&first) = capture.interfaces.get(&way.link().0) {
                capture.sink.frame(first + end.index(), now, direction, frame);
            }
        }
    }
}
