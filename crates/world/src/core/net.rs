//! What a frame on its way needs: time, the event queue, links, the trace, captures.

use netarium_base::trace::{Event, Tracer};
use netarium_base::{Ctx, DropReason, EventId, FlowId, IfIndex, Instant, NodeId, Place};
use netarium_wire::Frame;

use crate::capture::{Captures, Seen};
use crate::journal::FrameHash;
use crate::link::{DirId, Handed, Link};
use crate::queue::{Key, Queue};

/// What is due when an event's time has come.
#[derive(Debug)]
pub(crate) enum Due {
    /// The frame of a direction's line that has the event's key arrives.
    Arrival(DirId),
    /// A host has something to do: a deadline of its stack or a timer of a program.
    Wake(NodeId),
    /// A program of the lab file starts.
    Start(u32),
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
}

impl Net {
    /// A frame is handed to a link.
    pub(crate) fn send(&mut self, direction: DirId, mut frame: Box<Frame>) {
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
        let handed = link.directions[end.index()].hand_over(self.now, flow, len);
        let mut cx = Ctx::new(self.now, frame.meta.cause, &mut self.tracer);
        let (depth, arrives) = match handed {
            Handed::Dropped(reason) => {
                cx.trace.drop_at(cx.now, cx.cause, place, flow, reason, len);
                return;
            }
            Handed::Lost { depth } => (depth, None),
            Handed::Travels { arrives, depth } => (depth, Some(arrives)),
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
        let Some(arrives) = arrives.filter(|_| !forced) else {
            let reason = if forced { DropReason::Fork } else { DropReason::LinkLoss };
            self.tracer.drop_at(self.now, frame.meta.cause, place, flow, reason, len);
            return;
        };
        let key = link.key(arrives);
        if link.directions[end.index()].travel(key, frame) {
            self.queue.push(key, Due::Arrival(direction));
        }
        self.in_flight += 1;
    }

    /// The frame of a direction's line that is due with `due` arrives: gives it, and where it
    /// arrives. None when it is not there any more.
    pub(crate) fn arrive(
        &mut self,
        direction: DirId,
        due: Key,
    ) -> Option<(NodeId, IfIndex, Box<Frame>)> {
        let (id, source) = (direction.link(), direction.source());
        let end = source.other();
        let link = &mut self.links[id.0 as usize];
        let (mut frame, next) = link.directions[source.index()].arrive(due)?;
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
        Some((node, iface, frame))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::DirectionSpec;
    use netarium_base::{LinkEnd, LinkId, Seed};

    /// A handle of connection tracking means something to the host that gave it only.
    #[test]
    fn connection_tracking_is_forgotten_on_the_way_to_another_host() {
        let [here, there] = [1, 2].map(|n| (NodeId(n), IfIndex(1)));
        let spec = DirectionSpec::default();
        let link = |name, origin, ends| Link::new(Seed(1), name, origin, ends, [spec; 2]);
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
            let (node, _, frame) = net.arrive(direction, key).expect("it travels");
            arrived.push((node, frame.meta.conntrack.map(Into::into)));
        }
        assert_eq!(arrived, [(NodeId(1), Some(7u32)), (NodeId(2), None)]);
        assert_eq!(net.in_flight, 0);
    }
}
