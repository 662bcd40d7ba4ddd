//! The five places on a packet's way where the filter is asked, in the order of that way.

use core::net::IpAddr;

use netarium_base::trace::Text;
use netarium_base::{Ctx, DropReason, Event, IfIndex, Place};
use netarium_wire::Frame;
use netarium_wire::ip::Side;

use crate::chain::{Chain, Decided};
use crate::conntrack::session::Flags;
use crate::nat::ports::Search;
use crate::nat::translate::translate;
use crate::rules::{Facts, States, Target};
use crate::track::Entry;
use crate::tuple::is_neighbour_discovery;
use crate::{Filter, LocalPorts, Verdict};

/// Goes on with the packet, or returns the verdict that ends it.
macro_rules! pass {
    ($verdict:expr) => {
        match $verdict {
            Verdict::Accept => {}
            end => return end,
        }
    };
}

impl Filter {
    /// A packet arrived by `input`: which flow it belongs to, and for whom it really is. Its
    /// destination may be another one afterwards.
    pub fn prerouting(&mut self, cx: &mut Ctx<'_>, input: IfIndex, frame: &mut Frame) -> Verdict {
        pass!(self.enter(cx, Entry::Arrived(input), frame));
        pass!(self.ask(cx, Chain::Prerouting, Some(input), None, frame));
        self.choose_destination(Some(input), None, frame);
        self.rewrite(cx, Side::Destination, frame)
    }

    /// A packet for this host came by `input`: may it reach a socket?
    pub fn input(&mut self, cx: &mut Ctx<'_>, input: IfIndex, frame: &mut Frame) -> Verdict {
        pass!(self.ask(cx, Chain::Input, Some(input), None, frame));
        if let Err(reason) = self.keep_source_apart(frame) {
            return self.dropped(reason);
        }
        pass!(self.rewrite(cx, Side::Source, frame));
        self.finish(cx, frame)
    }

    /// A packet is to go on from `input` to `output`: may it?
    pub fn forward(
        &mut self,
        cx: &mut Ctx<'_>,
        input: IfIndex,
        output: IfIndex,
        frame: &mut Frame,
    ) -> Verdict {
        self.ask(cx, Chain::Forward, Some(input), Some(output), frame)
    }

    /// A packet was made on this host and is about to leave by `output`. Its destination may be
    /// another one afterwards; then it has to be routed again. An ICMP error whose
    /// `meta.conntrack` is that of the packet it is about is recognised most reliably.
    pub fn output(&mut self, cx: &mut Ctx<'_>, output: IfIndex, frame: &mut Frame) -> Verdict {
        pass!(self.enter(cx, Entry::Made, frame));
        self.choose_destination(None, Some(output), frame);
        pass!(self.rewrite(cx, Side::Destination, frame));
        self.ask(cx, Chain::Output, None, Some(output), frame)
    }

    /// A packet leaves by `output`, whose address is `source`: from whom will it seem to come?
    /// `ports` are the ports that the host itself uses.
    pub fn postrouting(
        &mut self,
        cx: &mut Ctx<'_>,
        output: IfIndex,
        source: IpAddr,
        ports: &dyn LocalPorts,
        frame: &mut Frame,
    ) -> Verdict {
        pass!(self.ask(cx, Chain::Postrouting, None, Some(output), frame));
        if let Err(reason) = self.choose_source(output, source, ports, frame) {
            return self.dropped(reason);
        }
        pass!(self.rewrite(cx, Side::Source, frame));
        self.finish(cx, frame)
    }

    fn enter(&mut self, cx: &mut Ctx<'_>, entry: Entry, frame: &mut Frame) -> Verdict {
        self.expire(cx);
        if frame.protocol().is_none() || is_neighbour_discovery(frame) {
            frame.meta.conntrack = None;
            return Verdict::Accept;
        }
        // Without the ports of the first fragment nothing can be said about the others; the
        // stack puts packets together before they come here.
        if frame.meta.layers.fragment {
            return self.dropped(DropReason::Fragment);
        }
        self.track(cx, entry, frame);
        Verdict::Accept
    }

    /// Asks the rules of a chain, then what the translation implies, then the policy.
    fn ask(
        &mut self,
        cx: &mut Ctx<'_>,
        chain: Chain,
        input: Option<IfIndex>,
        output: Option<IfIndex>,
        frame: &mut Frame,
    ) -> Verdict {
        let bytes = frame.ip_len();
        let guarded = self.needs_forward(input, output, frame);
        if self.list(chain).is_open() && !guarded {
            self.list_mut(chain).policy_counters.count(bytes);
            return Verdict::Accept;
        }
        let state = self.state_of(frame);
        let Some(facts) = Facts::of(frame, input, output, state) else { return Verdict::Accept };
        if is_neighbour_discovery(frame) {
            return Verdict::Accept;
        }
        let (place, flow) = (Place::Node(self.node), frame.meta.flow);
        let mut tell = |rule: &Text, verdict| {
            let event = || Event::RuleMatched { hook: chain.name(), rule: rule.clone(), verdict };
            frame.meta.cause = cx.with(frame.meta.cause).emit(place, flow, event);
        };
        let list = self.list_mut(chain);
        let (text, target) = match list.decide(&facts, bytes, |text| tell(text, "log")) {
            Decided::Rule(text, target) => (text, target),
            Decided::Nobody if guarded => return self.dropped(DropReason::NatNoForward),
            Decided::Nobody => {
                list.policy_counters.count(bytes);
                (list.policy_text.clone(), list.policy.target())
            }
        };
        // What is let through is only told of the first packets of a flow.
        if target != Target::Accept || state.intersects(States::NEW | States::INVALID) {
            tell(&text, target.name());
        }
        self.verdict(target)
    }

    fn verdict(&mut self, target: Target) -> Verdict {
        match target {
            Target::Accept | Target::Log => Verdict::Accept,
            Target::Drop => self.dropped(DropReason::FilterDrop),
            Target::Reject(how) => {
                *self.drops.entry(DropReason::FilterReject).or_default() += 1;
                Verdict::Reject(how)
            }
        }
    }

    pub(crate) fn dropped(&mut self, reason: DropReason) -> Verdict {
        *self.drops.entry(reason).or_default() += 1;
        Verdict::Drop(reason)
    }

    /// Whether the packet would begin something from outside to inside that no forward allows.
    fn needs_forward(
        &self,
        input: Option<IfIndex>,
        output: Option<IfIndex>,
        frame: &Frame,
    ) -> bool {
        let (Some(input), Some(output)) = (input, output) else { return false };
        if !self.nat.is_guarded(input, output) {
            return false;
        }
        let forwarded =
            self.conntrack.of(frame).is_some_and(|(_, s)| s.flags.contains(Flags::DNAT));
        let starts = self.state_of(frame).intersects(States::NEW | States::INVALID);
        starts && !forwarded
    }

    /// Decides where the first packet of a flow really goes.
    fn choose_destination(
        &mut self,
        input: Option<IfIndex>,
        output: Option<IfIndex>,
        frame: &Frame,
    ) {
        if self.nat.forwards.is_empty() || !self.is_first(frame) {
            return;
        }
        let Some(facts) = Facts::of(frame, input, output, States::NEW) else { return };
        let local = input.is_none();
        let Some(to) = self.nat.forward_for(&facts, local, frame.ip_len()) else { return };
        if let Some(s) = &mut self.conntrack.pending {
            (s.tuples[1].src, s.tuples[1].sport) = (to.ip(), to.port());
            s.flags.insert(Flags::DNAT);
        }
    }

    /// Decides from whom the first packet of a flow will seem to come.
    fn choose_source(
        &mut self,
        output: IfIndex,
        source: IpAddr,
        ports: &dyn LocalPorts,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        if !self.nat.is_active() {
            return Ok(());
        }
        let Some(facts) = Facts::of(frame, None, Some(output), self.state_of(frame)) else {
            return Ok(());
        };
        if !self.is_first(frame) {
            return self.check_untracked(&facts, source, frame);
        }
        let choice = self.nat.source_for(&facts, source);
        let Some(s) = &mut self.conntrack.pending else { return Ok(()) };
        let Some(choice) = choice else { return self.keep_source_apart(frame) };
        let own = s.flags.contains(Flags::LOCAL);
        let search = Search {
            table: &self.conntrack.table,
            mappings: &self.nat.mappings,
            local: (!own).then_some(ports),
            luck: self.luck,
            now: self.now,
            ended: self.ended,
        };
        let port = search
            .port(s, choice.address, choice.ports, &mut self.nat.exhausted)
            .filter(|_| !choice.address.is_unspecified())
            .ok_or(DropReason::NatPortsExhausted)?;
        s.flags.insert(Flags::BOUND);
        if (choice.address, port) != (s.tuples[0].src, s.tuples[0].sport) {
            (s.tuples[1].dst, s.tuples[1].dport) = (choice.address, port);
            s.flags.insert(Flags::SNAT);
        }
        self.nat.sources[choice.rule].counters.count(frame.ip_len());
        Ok(())
    }

    /// What belongs to no flow cannot be translated, and must not leave with an inside address.
    fn check_untracked(
        &self,
        facts: &Facts,
        source: IpAddr,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        if facts.state != States::INVALID {
            return Ok(());
        }
        match self.nat.source_for(facts, source) {
            Some(choice) if choice.address != facts.src => Err(match frame.verify() {
                Ok(()) => DropReason::ConntrackInvalid,
                Err(_) => DropReason::BadChecksum,
            }),
            _ => Ok(()),
        }
    }

    /// Where destinations are translated, two flows can come to look the same behind the
    /// translation. The later one then gets another source port, as on Linux.
    fn keep_source_apart(&mut self, frame: &Frame) -> Result<(), DropReason> {
        if !self.nat.is_active() || !self.is_first(frame) {
            return Ok(());
        }
        let Some(s) = &mut self.conntrack.pending else { return Ok(()) };
        if s.flags.contains(Flags::BOUND) || self.conntrack.table.find(&s.tuples[1]).is_none() {
            return Ok(());
        }
        let search = Search {
            table: &self.conntrack.table,
            mappings: &self.nat.mappings,
            local: None,
            luck: self.luck,
            now: self.now,
            ended: self.ended,
        };
        let port = search
            .port(s, s.tuples[0].src, None, &mut self.nat.exhausted)
            .ok_or(DropReason::NatPortsExhausted)?;
        s.tuples[1].dport = port;
        s.flags.insert(Flags::BOUND | Flags::SNAT);
        Ok(())
    }

    /// Rewrites one side of a packet as its session says.
    fn rewrite(&mut self, cx: &mut Ctx<'_>, side: Side, frame: &mut Frame) -> Verdict {
        let Some((handle, s)) = self.conntrack.of(frame) else { return Verdict::Accept };
        if !s.flags.intersects(Flags::SNAT | Flags::DNAT) {
            return Verdict::Accept;
        }
        let (before, after) = match translate(frame, s, handle.dir, side) {
            Ok(None) => return Verdict::Accept,
            Ok(Some(change)) => change,
            Err(reason) => return self.dropped(reason),
        };
        let name = if side == Side::Source { "source" } else { "destination" };
        frame.meta.cause =
            cx.with(frame.meta.cause).emit(Place::Node(self.node), frame.meta.flow, || {
                Event::Translated { side: name, before, after }
            });
        Verdict::Accept
    }

    fn finish(&mut self, cx: &mut Ctx<'_>, frame: &mut Frame) -> Verdict {
        match self.confirm(cx, frame) {
            Ok(()) => Verdict::Accept,
            Err(reason) => self.dropped(reason),
        }
    }
}
