//! Connection tracking per packet: from a frame to its session, and from a pending session to a
//! confirmed one.

use netarium_base::{Cause, Ctx, DropReason, Event, FlowId, IfIndex, Instant, NodeId, Place};
use netarium_wire::Frame;

use crate::conntrack::session::{Flags, Handle, NIL, Session};
use crate::conntrack::tcp::Step;
use crate::conntrack::{Conntrack, Direction, TcpState, apply};
use crate::matches::States;
use crate::tuple::{Quoted, Tuple, is_icmp_error, is_neighbour_discovery};
use crate::{Filter, LOOPBACK};

/// Where a packet enters the filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// From an interface.
    Arrived(IfIndex),
    /// From this host.
    Made,
}

impl Filter {
    /// Finds the session of a packet, or begins one, and puts its handle into the frame. Without
    /// a handle afterwards the packet is INVALID.
    pub(crate) fn track(&mut self, cx: &mut Ctx<'_>, entry: Entry, frame: &mut Frame) {
        let given = frame.meta.conntrack.take().and_then(Handle::unpack);
        if frame.verify().is_ok() {
            let handle = if is_icmp_error(frame) {
                self.track_error(entry, given, frame)
            } else {
                self.track_packet(cx, entry, frame)
            };
            frame.meta.conntrack = handle.and_then(Handle::pack);
        }
        match frame.meta.conntrack.and_then(Handle::unpack) {
            Some(handle) if handle.is_pending() => {}
            Some(_) => self.conntrack.pending = None,
            None => {
                self.conntrack.pending = None;
                self.conntrack.stats.invalid += 1;
            }
        }
    }

    fn track_packet(
        &mut self,
        cx: &mut Ctx<'_>,
        entry: Entry,
        frame: &mut Frame,
    ) -> Option<Handle> {
        let tuple = Tuple::of(frame)?;
        // What comes back over the loopback interface was tracked, and translated, on its way out:
        // it is the inverse of what its answers will look like.
        if entry == Entry::Arrived(LOOPBACK)
            && let Some((index, dir)) = self.conntrack.table.find(&tuple.inverse())
        {
            return Some(Handle { index, dir: dir.other() });
        }
        if let Some((index, dir)) = self.conntrack.table.find(&tuple) {
            return self.known(cx, entry, Handle { index, dir }, frame);
        }
        // An answer of this host to a first packet that goes no further, such as a RST.
        let answers = |s: &Session| *s.tuple(Direction::Reply) == tuple;
        if entry == Entry::Made && self.conntrack.pending.as_ref().is_some_and(answers) {
            return Some(Handle { index: Handle::PENDING, dir: Direction::Reply });
        }
        self.first(entry, tuple, frame)
    }

    fn first(&mut self, entry: Entry, tuple: Tuple, frame: &Frame) -> Option<Handle> {
        let mut s = Conntrack::begin(frame, tuple, self.now)?;
        if entry == Entry::Made {
            s.flags.insert(Flags::LOCAL);
        }
        self.conntrack.pending = Some(s);
        Some(Handle { index: Handle::PENDING, dir: Direction::Original })
    }

    /// A packet of a session in the table.
    fn known(
        &mut self,
        cx: &mut Ctx<'_>,
        entry: Entry,
        handle: Handle,
        frame: &mut Frame,
    ) -> Option<Handle> {
        let Handle { index, dir } = handle;
        let now = self.now;
        let s = self.conntrack.table.get_mut(index)?;
        let before = (s.tcp, s.flags.contains(Flags::SEEN_REPLY));
        let step = apply(s, dir, frame, now);
        let after = (s.tcp, s.flags.contains(Flags::SEEN_REPLY));
        let (cause, flow) = (frame.meta.cause, frame.meta.flow);
        if before.0 != after.0 {
            frame.meta.cause = tell(cx, self.node, cause, flow, after.0.event());
        } else if after.0 == TcpState::None && before.1 != after.1 {
            frame.meta.cause = tell(cx, self.node, cause, flow, "established");
        }
        s.cause = frame.meta.cause;
        match step {
            Step::Refresh(kind) => {
                let timeout = self.conntrack.timeouts.get(kind);
                self.conntrack.table.refresh(index, kind, now, timeout);
                Some(handle)
            }
            Step::Ignore => Some(handle),
            Step::Invalid => None,
            Step::Forget => {
                let mut s = self.end(index)?;
                s.flags.insert(Flags::DYING);
                self.conntrack.pending = Some(s);
                Some(Handle { index: Handle::PENDING, dir })
            }
            Step::Reopen => {
                self.end(index);
                frame.meta.cause = self.tell(cx, frame.meta.cause, frame.meta.flow, "reopened");
                self.first(entry, Tuple::of(frame)?, frame)
            }
        }
    }

    /// An ICMP error belongs to the session of the packet that it quotes, and goes the way of
    /// that packet's answers.
    fn track_error(
        &mut self,
        entry: Entry,
        given: Option<Handle>,
        frame: &Frame,
    ) -> Option<Handle> {
        let quoted = Quoted::of(frame)?.tuple;
        if entry == Entry::Made {
            let pending = Handle { index: Handle::PENDING, dir: Direction::Original };
            let about = [given, Some(pending)].into_iter().flatten().find(|h| {
                self.conntrack.session(*h).is_some_and(|s| s.may_have_sent(h.dir, &quoted))
            });
            if let Some(Handle { index, dir }) = about {
                return Some(Handle { index, dir: dir.other() });
            }
        } else if frame.dst_ip() != Some(quoted.src) {
            // Who did not send the packet has no use for the error: somebody made it up.
            return None;
        }
        let table = &self.conntrack.table;
        if let Some((index, dir)) = table.find(&quoted.inverse()) {
            return Some(Handle { index, dir });
        }
        // This host quotes a packet whose source it has not translated yet, or that it sent itself.
        let own = matches!(entry, Entry::Made | Entry::Arrived(LOOPBACK));
        let (index, dir) = table.find(&quoted).filter(|_| own)?;
        Some(Handle { index, dir: dir.other() })
    }

    /// Whether the frame is the first of a flow that is not confirmed yet.
    #[inline]
    pub(crate) fn is_first(&self, frame: &Frame) -> bool {
        // Asked several times per packet: of most the handle says enough.
        let pending = Handle { index: Handle::PENDING, dir: Direction::Original };
        frame.meta.conntrack == pending.pack()
            && self.conntrack.pending.as_ref().is_some_and(|s| !s.flags.contains(Flags::DYING))
            && !is_icmp_error(frame)
    }

    /// What rules see of a packet's session.
    #[inline]
    pub(crate) fn state_of(&self, frame: &Frame) -> States {
        let Some((handle, s)) = self.conntrack.of(frame) else {
            return if is_neighbour_discovery(frame) { States::UNTRACKED } else { States::INVALID };
        };
        let mut state = if is_icmp_error(frame) {
            States::RELATED
        } else if handle.dir == Direction::Reply || s.flags.contains(Flags::SEEN_REPLY) {
            States::ESTABLISHED
        } else {
            States::NEW
        };
        state.set(States::SNAT, s.flags.contains(Flags::SNAT));
        state.set(States::DNAT, s.flags.contains(Flags::DNAT));
        state
    }

    /// Enters the session of a first packet into the table, at the end of the packet's way.
    #[inline]
    pub(crate) fn confirm(
        &mut self,
        cx: &mut Ctx<'_>,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        if self.is_first(frame) { self.confirm_first(cx, frame) } else { Ok(()) }
    }

    fn confirm_first(&mut self, cx: &mut Ctx<'_>, frame: &mut Frame) -> Result<(), DropReason> {
        let Some(mut s) = self.conntrack.pending.take() else { return Ok(()) };
        frame.meta.conntrack = None;
        self.make_room(cx)?;
        let Conntrack { table, timeouts, stats, .. } = &mut self.conntrack;
        if s.tuples.iter().any(|t| table.find(t).is_some()) {
            return Err(DropReason::NatPortsExhausted);
        }
        if let Some((inside, outside, far)) = s.mapped_ends() {
            let protocol = s.tuples[0].protocol;
            s.mapping = self.nat.mappings.acquire(protocol, inside, outside, self.now);
            if self.nat.behaviour.needs_peers() {
                self.nat.peers.add(protocol, inside, far, s.mapping);
            }
        }
        let timeout = timeouts.get(s.timeout);
        stats.confirmed += 1;
        frame.meta.cause = tell(cx, self.node, frame.meta.cause, frame.meta.flow, "new");
        s.cause = frame.meta.cause;
        let index = table.insert(s, self.now, timeout);
        frame.meta.conntrack = Handle { index, dir: Direction::Original }.pack();
        Ok(())
    }

    /// Sees to it that one more session fits: at the limit the longest silent of those that are
    /// not surely conversations, or over, has to go.
    fn make_room(&mut self, cx: &mut Ctx<'_>) -> Result<(), DropReason> {
        if self.conntrack.table.len() < self.conntrack.limit {
            return Ok(());
        }
        let timeouts = self.conntrack.timeouts;
        let over = self.conntrack.table.len() > self.conntrack.limit;
        let victim = self.conntrack.table.most_dispensable(|kind| timeouts.get(kind));
        let Some(index) = victim.filter(|_| !over) else {
            self.conntrack.stats.full += 1;
            return Err(DropReason::ConntrackFull);
        };
        if let Some(s) = self.end(index) {
            self.conntrack.stats.evicted += 1;
            self.tell(cx, s.cause, s.tuples[0].flow(), "evicted");
        }
        Ok(())
    }

    /// Takes a session out of the table and gives its mapping back.
    pub(crate) fn end(&mut self, index: u32) -> Option<Session> {
        let mut s = self.conntrack.table.remove(index)?;
        if s.mapping != NIL {
            if let Some((inside, _, far)) = s.mapped_ends()
                && self.nat.behaviour.needs_peers()
            {
                self.nat.peers.remove(s.tuples[0].protocol, inside, far);
            }
            self.nat.mappings.release(s.mapping);
            s.mapping = NIL;
        }
        self.ended += 1;
        Some(s)
    }

    /// Ends what has been silent for too long.
    #[inline]
    pub(crate) fn expire(&mut self, cx: &mut Ctx<'_>) {
        self.now = self.now.max(cx.now);
        if self.conntrack.table.deadline().is_some_and(|due| due <= self.now) {
            self.expire_due(cx);
        }
    }

    fn expire_due(&mut self, cx: &mut Ctx<'_>) {
        while let Some(index) = self.conntrack.table.first_expired(self.now) {
            let Some(s) = self.end(index) else { break };
            self.conntrack.stats.expired += 1;
            self.tell(cx, s.cause, s.tuples[0].flow(), "expired");
        }
    }

    /// When [`Filter::handle_deadlines`] wants to be called: not later than the next expiry, but
    /// perhaps earlier, so that it does not move with every packet. `None` without sessions.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.conntrack.table.deadline()
    }

    /// Ends the sessions that have been silent for too long, and mappings without sessions.
    pub fn handle_deadlines(&mut self, cx: &mut Ctx<'_>) {
        self.expire(cx);
    }

    fn tell(&self, cx: &mut Ctx<'_>, cause: Cause, flow: FlowId, state: &'static str) -> Cause {
        tell(cx, self.node, cause, flow, state)
    }
}

fn tell(cx: &mut Ctx<'_>, node: NodeId, cause: Cause, flow: FlowId, state: &'static str) -> Cause {
    cx.with(cause).emit(Place::Node(node), flow, || Event::Tracked { state })
}
