//! What a frame on its way needs: time, the event queue, links, the trace, captures.

use netarium_base::trace::{Event, Tracer};
use netarium_base::{Cause, Ctx, DropReason, EventId, FlowId, IfIndex, Instant, NodeId, Place};
use netarium_wire::Frame;

use crate::capture::{Captures, Seen};
use crate::journal::FrameHash;
use crate::link::{DirId, Fate, Handed, Link, Trip, corrupted};
use crate::queue::{Key, Queue};

use super::partition::Partition;

/// What is due when an event's time has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    /// The frame of a direction's line that has the event's key arrives.
    Arrival(DirId),
    /// A host has something to do: a deadline of its stack or a timer of a program.
    Wake(NodeId),
    /// A program of the lab file starts.
    Start(u32),
    /// A command of the schedule is given.
    Scheduled(u32),
}

/// Time, the event queue, the links, and who watches.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) queue: Queue<Due>,
    pub(crate) links: Vec<Link>,
    pub(crate) tracer: Tracer,
    pub(crate) captures: Captures,
    /// Frames on all links.
    pub(crate) in_flight: usize,
    /// Of all frames that were handed to links.
    pub(crate) frames: FrameHash,
    /// The frame that is handed to a link in this event gets lost, because a fork asks for it.
    pub(crate) doomed: EventId,
    /// How many frames hosts have handed to links, and copies that links made.
    pub(crate) serial: u32,
    /// What cannot reach what.
    pub(crate) partitions: Vec<Partition>,
}

impl Net {
    fn new_trip(&mut self) -> Trip {
        self.serial = self.serial.wrapping_add(1);
        Trip { serial: self.serial, hops: 0 }
    }

    /// A host hands a frame to a link.
    pub(crate) fn send(&mut self, direction: DirId, frame: Box<Frame>) {
        let trip = self.new_trip();
        self.send_on(direction, trip, frame);
    }

    /// A frame is handed to a link.
    pub(crate) fn send_on(&mut self, direction: DirId, trip: Trip, mut frame: Box<Frame>) {
        let (id, end) = (direction.link(), direction.source());
        let link = &mut self.links[id.0 as usize];
        let (len, flow) = (frame.len(), frame.meta.flow);
        let place = Place::Link(id, end);
        self.frames.add(self.now, direction, &frame);
        // What connection tracking knows is knowledge of the host that the frame leaves; over the
        // loopback link it comes back there.
        if !link.is_loopback() {
            frame.meta.conntrack = None;
        }
        if !self.partitions.is_empty() && self.is_cut(direction, &frame) {
            self.links[id.0 as usize].directions[end.index()].tally.rare().dropped_partition += 1;
            return self.drop_frame(place, &frame, DropReason::Partition);
        }
        let link = &mut self.links[id.0 as usize];
        let wire = &mut link.directions[end.index()];
        if wire.is_odd() {
            // Faults look at headers. What has none is dropped where it arrives.
            let _ = frame.parse();
        }
        let handed = wire.hand_over(self.now, &frame);
        let mut cx = Ctx::new(self.now, frame.meta.cause, &mut self.tracer);
        let (depth, arrives, fate) = match handed {
            Handed::Dropped(reason) => {
                cx.trace.drop_at(cx.now, cx.cause, place, flow, reason, len);
                return;
            }
            Handed::Lost { depth, reason } => (depth, Err(reason), None),
            Handed::Travels { arrives, depth } => (depth, Ok(arrives), None),
            Handed::Oddly { arrives, depth, fate } => (depth, Ok(arrives), Some(fate)),
        };
        if depth > 0 {
            cx.cause = cx.emit(place, flow, || Event::FrameQueued { link: id, end, depth });
        }
        let sent = || Event::FrameSent { link: id, end, len: len as u32 };
        frame.meta.cause = cx.emit(place, flow, sent);
        if link.taps > 0 {
            self.captures.see(direction, Seen::Sent, self.now, &frame);
        }
        let forced = frame.meta.cause.id == self.doomed;
        let arrives = match arrives {
            Ok(arrives) if !forced => arrives,
            lost => {
                let reason = if forced { DropReason::Fork } else { lost.err().unwrap_or(LOSS) };
                self.tracer.drop_at(self.now, frame.meta.cause, place, flow, reason, len);
                return;
            }
        };
        if let Some(fate) = fate {
            return self.travel_oddly(direction, (arrives, trip), frame, *fate);
        }
        self.travel(direction, arrives, trip, frame);
    }

    /// A frame travels in the line of its direction.
    fn travel(&mut self, direction: DirId, arrives: Instant, trip: Trip, frame: Box<Frame>) {
        let link = &mut self.links[direction.link().0 as usize];
        let key = link.key(arrives);
        if link.directions[direction.source().index()].travel(key, trip, frame) {
            self.queue.push(key, Due::Arrival(direction));
        }
        self.in_flight += 1;
    }

    /// A frame travels that is late, comes twice, or loses a bit on the way. A copy is of the frame
    /// as it was sent, and arrives behind it.
    #[cold]
    fn travel_oddly(
        &mut self,
        direction: DirId,
        (arrives, trip): (Instant, Trip),
        mut frame: Box<Frame>,
        fate: Fate,
    ) {
        if let Some(late) = fate.late {
            frame.meta.cause = self.tell_fault(direction, &frame, "reordered", late.as_nanos());
        }
        let copy = fate.copy.then(|| frame.clone());
        if let Some(bit) = fate.bit {
            let cause = self.tell_fault(direction, &frame, "corrupted", bit);
            frame = corrupted(&frame, bit);
            frame.meta.cause = cause;
        }
        self.travel(direction, arrives, trip, frame);
        if let Some(mut copy) = copy {
            copy.meta.cause = self.tell_fault(direction, &copy, "duplicated", 1);
            // It is no frame that came back, when a switch meets it behind the other.
            let trip = Trip { serial: self.new_trip().serial, ..trip };
            self.travel(direction, arrives, trip, copy);
        }
    }

    fn tell_fault(&mut self, on: DirId, frame: &Frame, fault: &'static str, amount: u64) -> Cause {
        let (link, end) = (on.link(), on.source());
        let event = || Event::FrameFault { link, end, fault, amount };
        let (cause, flow) = (frame.meta.cause, frame.meta.flow);
        self.tracer.emit(self.now, cause, Place::Link(link, end), flow, event)
    }

    /// Takes the next event when it is due at `limit` or before. Behind a frame that arrives usually
    /// comes another one.
    pub(crate) fn next_due(&mut self, limit: Instant) -> Option<(Key, Due)> {
        let Net { queue, links, .. } = self;
        queue.pop_until(limit, |key, due| match *due {
            Due::Arrival(on) => {
                let link = &mut links[on.link().0 as usize];
                link.directions[on.source().index()].schedule_second(key)
            }
            _ => None,
        })
    }

    /// The frame of a direction's line that is due with `due` arrives: gives it, and where it
    /// arrives. None when it is not there any more.
    pub(crate) fn arrive(
        &mut self,
        direction: DirId,
        due: Key,
    ) -> Option<(NodeId, IfIndex, Trip, Box<Frame>)> {
        let (id, source) = (direction.link(), direction.source());
        let end = source.other();
        let link = &mut self.links[id.0 as usize];
        let (mut frame, trip, next) = link.directions[source.index()].arrive(due)?;
        if let Some(key) = next {
            self.queue.push(key, Due::Arrival(direction));
        }
        self.in_flight -= 1;
        let (flow, len) = (frame.meta.flow, frame.len() as u32);
        let mut cx = Ctx::new(self.now, frame.meta.cause, &mut self.tracer);
        let delivered = || Event::FrameDelivered { link: id, end, len };
        frame.meta.cause = cx.emit(Place::Link(id, end), flow, delivered);
        if link.taps > 0 {
            self.captures.see(direction, Seen::Received, self.now, &frame);
        }
        let (node, iface) = link.ends[end.index()];
        Some((node, iface, trip, frame))
    }

    /// Records a drop of a frame at a node.
    pub(crate) fn drop_frame(&mut self, place: Place, frame: &Frame, reason: DropReason) {
        let (cause, flow) = (frame.meta.cause, frame.meta.flow);
        self.tracer.drop_at(self.now, cause, place, flow, reason, frame.len());
    }

    /// Records an event that belongs to no flow.
    pub(crate) fn tell(&mut self, frame: &Frame, place: Place, event: impl FnOnce() -> Event) {
        self.tracer.emit(self.now, frame.meta.cause, place, FlowId::NONE, event);
    }
}

const LOSS: DropReason = DropReason::LinkLoss;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{DirectionSpec, Faults};
    use netarium_base::{LinkEnd, LinkId, Seed};

    /// A handle of connection tracking means something to the host that gave it only.
    #[test]
    fn connection_tracking_is_forgotten_on_the_way_to_another_host() {
        let [here, there] = [1, 2].map(|n| (NodeId(n), IfIndex(1)));
        let spec = DirectionSpec::default();
        let link = |name, origin, ends| {
            Link::new(Seed(1), name, origin, ends, [(); 2].map(|()| (spec, Faults::default())))
        };
        let links = vec![link("a.lo", 1, [here, here]), link("a.net", 2, [here, there])];
        let mut net = Net {
            now: Instant::ZERO,
            queue: Queue::default(),
            links,
            tracer: Tracer::new(0),
            captures: Captures::default(),
            in_flight: 0,
            frames: FrameHash::default(),
            doomed: EventId::NONE,
            serial: 0,
            partitions: Vec::new(),
        };
        let mut frame = Frame::from_bytes(&[0; 60]);
        frame.meta.conntrack = core::num::NonZeroU32::new(7);
        for link in [0, 1] {
            net.send(DirId::from(LinkId(link), LinkEnd::A), frame.clone());
        }
        assert_eq!(net.in_flight, 2);
        let mut arrived = Vec::new();
        while let Some((key, due)) = net.queue.pop() {
            let Due::Arrival(direction) = due else { panic!("{due:?}") };
            let (node, _, _, frame) = net.arrive(direction, key).expect("it travels");
            arrived.push((node, frame.meta.conntrack.map(Into::into)));
        }
        assert_eq!(arrived, [(NodeId(1), Some(7u32)), (NodeId(2), None)]);
        assert_eq!(net.in_flight, 0);
    }
}
