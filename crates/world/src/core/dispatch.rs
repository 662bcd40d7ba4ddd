//! What happens when an event is due.

use netarium_base::{Cause, Ctx, DropReason, IfIndex, Instant, NodeId, Place};
use netarium_wire::Frame;

use super::{Core, Due, EVENTS_PER_INSTANT};
use crate::link::Trip;
use crate::node::Kind;
use crate::process::socket;

impl Core {
    /// Lets the next event happen when it is due at `limit` or before. False: there is none, or the
    /// world is stuck.
    pub(crate) fn dispatch_next(&mut self, limit: Instant) -> bool {
        if self.stuck.is_some() {
            return false;
        }
        let Some((key, due)) = self.net.next_due(limit) else { return false };
        self.advance(key.at());
        self.events += 1;
        self.events_now += 1;
        if self.events_now > EVENTS_PER_INSTANT {
            self.get_stuck(&due);
        }
        match due {
            Due::Arrival(direction) => {
                if let Some((node, iface, trip, frame)) = self.net.arrive(direction, key) {
                    self.receive(node, iface, trip, frame);
                }
            }
            Due::Wake(node) => self.wake(node),
            Due::Start(number) => self.start_planned(number),
            Due::Scheduled(number) => self.give_scheduled(number),
        }
        true
    }

    /// Moves time forward.
    pub(crate) fn advance(&mut self, to: Instant) {
        if to > self.net.now {
            self.net.now = to;
            (self.events_now, self.polls_now) = (0, 0);
        }
    }

    #[cold]
    fn get_stuck(&mut self, due: &Due) {
        use netarium_base::trace::Names;
        let whom = match *due {
            Due::Arrival(direction) => {
                format!("a frame on link {}", self.names.link(direction.link()))
            }
            Due::Wake(node) => format!("a timer of host {}", self.names.node(node)),
            Due::Start(_) => "the start of a program".to_owned(),
            Due::Scheduled(_) => "a command of the schedule".to_owned(),
        };
        let text = format!(
            "more than {EVENTS_PER_INSTANT} events happened while no time passed; the last was {whom}"
        );
        self.note(Place::World, &text, Cause::NONE);
        self.stuck = Some(text);
    }

    /// A frame comes in at a node.
    fn receive(&mut self, id: NodeId, iface: IfIndex, trip: Trip, frame: Box<Frame>) {
        let Core { nodes, net, .. } = self;
        let Kind::Host(host) = &mut nodes[id.0 as usize].kind else {
            return self.repeat(id, iface, trip, frame);
        };
        let mut cx = Ctx::new(net.now, frame.meta.cause, &mut net.tracer);
        host.stack.handle_frame(&mut cx, iface, frame);
        self.settle(id);
    }

    /// A host's deadline has come, or had.
    fn wake(&mut self, id: NodeId) {
        let now = self.net.now;
        let Core { nodes, net, .. } = self;
        let Kind::Host(host) = &mut nodes[id.0 as usize].kind else { return };
        host.wakes.pop();
        if host.stack.next_deadline().is_some_and(|at| at <= now) {
            let mut cx = Ctx::new(now, Cause::NONE, &mut net.tracer);
            host.stack.handle_deadlines(&mut cx);
        }
        self.fire_timers(id);
        self.settle(id);
    }

    /// Does what follows from a call into a host's stack: frames leave, waiters wake, the next
    /// deadline is noted.
    pub(crate) fn settle(&mut self, id: NodeId) {
        let Core { nodes, net, ready, gateway, maybe_busy, .. } = self;
        let node = &mut nodes[id.0 as usize];
        let Kind::Host(host) = &mut node.kind else { return };
        while let Some((iface, frame)) = host.stack.poll_transmit() {
            let port = usize::from(iface.0).checked_sub(1).and_then(|i| *node.ports.get(i)?);
            match port {
                Some(direction) => net.send(direction, frame),
                None => net.drop_frame(Place::Iface(id, iface), &frame, DropReason::LinkDown),
            }
        }
        while let Some(event) = host.stack.poll_event() {
            if let Some((port, cause)) = socket::wake(&mut host.waits, &event, ready) {
                gateway.touch(port, cause);
            }
        }
        if !host.maybe_busy {
            host.maybe_busy = true;
            maybe_busy.push(id);
        }
        self.rearm(id);
    }

    /// Makes sure that the event queue comes back to a host when it next has something to do.
    pub(crate) fn rearm(&mut self, id: NodeId) {
        let node = &mut self.nodes[id.0 as usize];
        let Kind::Host(host) = &mut node.kind else { return };
        let next = match (host.stack.next_deadline(), host.timers.next()) {
            (Some(a), Some(b)) => a.min(b),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        let next = next.max(self.net.now);
        if host.wakes.last().is_none_or(|&scheduled| next < scheduled) {
            host.wakes.push(next);
            let key = node.key(next);
            self.net.queue.push(key, Due::Wake(id));
        }
    }

    fn start_planned(&mut self, number: u32) {
        let Some(start) = self.planned.remove(&number) else { return };
        let (node, argv) = (start.node, std::rc::Rc::clone(&start.argv));
        if let Err(e) = self.start(start, None) {
            let text = format!("{} was not started: {}", argv.join(" "), e);
            self.note(Place::Node(node), &text, Cause::NONE);
        }
    }
}
