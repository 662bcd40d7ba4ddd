//! The five places on a packet's way where the filter is asked, in the order of that way.

use core::net::IpAddr;

use netarium_base::trace::Text;
use netarium_base::{Cause, Ctx, DropReason, Event, IfIndex, Place};
use netarium_wire::Frame;
use netarium_wire::ip::Side;

use crate::chain::{Chain, Policy};
use crate::matches::{Facts, States};
use crate::nat::translate::translate;
use crate::table::{Decided, Table};
use crate::target::{Mss, Target};
use crate::track::Entry;
use crate::tuple::is_neighbour_discovery;
use crate::{Addresses, Filter, LocalPorts, Verdict};

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
    /// destination may be another one afterwards. `own` are the host's addresses.
    pub fn prerouting(
        &mut self,
        cx: &mut Ctx<'_>,
        input: IfIndex,
        own: &dyn Addresses,
        frame: &mut Frame,
    ) -> Verdict {
        pass!(self.enter(cx, Entry::Arrived(input), frame));
        pass!(self.mangle(cx, Chain::Prerouting, (Some(input), None), frame));
        if let Err(reason) = self.choose_destination(cx, (Some(input), None), own, frame) {
            return self.dropped(reason);
        }
        self.rewrite(cx, Side::Destination, frame)
    }

    /// A packet for this host came by `input`: may it reach a socket?
    pub fn input(&mut self, cx: &mut Ctx<'_>, input: IfIndex, frame: &mut Frame) -> Verdict {
        pass!(self.mangle(cx, Chain::Input, (Some(input), None), frame));
        pass!(self.ask(cx, Chain::Input, Some(input), None, frame));
        if let Err(reason) = self.choose_source_of_input(cx, input, frame) {
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
        pass!(self.mangle(cx, Chain::Forward, (Some(input), Some(output)), frame));
        self.ask(cx, Chain::Forward, Some(input), Some(output), frame)
    }

    /// A packet was made on this host and is about to leave by `output`. Its destination may be
    /// another one afterwards; then it has to be routed again. `own` are the host's addresses. An
    /// ICMP error whose `meta.conntrack` is that of the packet it is about is recognised most
    /// reliably.
    pub fn output(
        &mut self,
        cx: &mut Ctx<'_>,
        output: IfIndex,
        own: &dyn Addresses,
        frame: &mut Frame,
    ) -> Verdict {
        pass!(self.enter(cx, Entry::Made, frame));
        pass!(self.mangle(cx, Chain::Output, (None, Some(output)), frame));
        if let Err(reason) = self.choose_destination(cx, (None, Some(output)), own, frame) {
            return self.dropped(reason);
        }
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
        pass!(self.mangle(cx, Chain::Postrouting, (None, Some(output)), frame));
        if let Err(reason) = self.choose_source(cx, output, source, ports, frame) {
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

    /// Asks the rules of a chain of the table `filter`, then what the translation implies, then the
    /// policy.
    fn ask(
        &mut self,
        cx: &mut Ctx<'_>,
        chain: Chain,
        input: Option<IfIndex>,
        output: Option<IfIndex>,
        frame: &mut Frame,
    ) -> Verdict {
        let bytes = frame.ip_len();
        let state = self.state_of(frame);
        let guarded = self.needs_forward(input, output, state);
        if (self.rules.is_open(chain) || self.face.is_off(chain)) && !guarded {
            self.rules.count_policy(chain, bytes);
            return Verdict::Accept;
        }
        let Some(facts) = Facts::of(frame, input, output, state) else { return Verdict::Accept };
        if is_neighbour_discovery(frame) {
            return Verdict::Accept;
        }
        // What is let through is only told of the first packets of a flow.
        let silent = !state.intersects(States::NEW | States::INVALID);
        let decided = self.decide(cx, (Table::Filter, chain), &facts, frame);
        let (target, text) = match decided {
            Decided::Rule(place) => {
                let rule = self.rules.rule(place).expect("a rule that just decided");
                if silent && *rule.target() == Target::Accept {
                    return Verdict::Accept;
                }
                (rule.target().clone(), rule.text())
            }
            Decided::Nobody if guarded => return self.dropped(DropReason::NatNoForward),
            Decided::Nobody => {
                self.rules.count_policy(chain, bytes);
                let (policy, text) = self.rules.policy_of(chain);
                (policy.into(), text)
            }
        };
        if !silent || target != Target::Accept {
            let verdict = target.name();
            frame.meta.cause = self.tell_rule(cx, chain, frame, text.clone(), verdict);
        }
        self.verdict(&target)
    }

    /// Asks the rules of the table `filter` or `mangle`; rules that log, or change the packet, are
    /// told of.
    fn decide(
        &mut self,
        cx: &mut Ctx<'_>,
        (table, chain): (Table, Chain),
        facts: &Facts,
        frame: &mut Frame,
    ) -> Decided {
        let (place, flow, bytes) = (Place::Node(self.node), frame.meta.flow, frame.ip_len());
        let mut cause = frame.meta.cause;
        let (log, mss) = (&mut self.log, &mut self.mss);
        let rules = match table {
            Table::Mangle => &mut self.mangle,
            _ => &mut self.rules,
        };
        let decided = rules.decide(chain, facts, bytes, |rule| {
            let (text, verdict) = (rule.text().clone(), rule.target().name());
            let event = || Event::RuleMatched { hook: chain.name(), rule: text, verdict };
            cause = cx.with(cause).emit(place, flow, event);
            match rule.target() {
                Target::Log(how) => log.note(cx.now, how, (facts.input, facts.output), frame),
                Target::TcpMss(how) => *mss = Some(*how),
                _ => {}
            }
        });
        frame.meta.cause = cause;
        decided
    }

    /// Asks the rules of the table `mangle`, which is empty on most hosts.
    #[inline(always)]
    fn mangle(
        &mut self,
        cx: &mut Ctx<'_>,
        chain: Chain,
        way: (Option<IfIndex>, Option<IfIndex>),
        frame: &mut Frame,
    ) -> Verdict {
        if self.mangle.pass(chain, frame.ip_len()) {
            return Verdict::Accept;
        }
        self.ask_mangle(cx, chain, way, frame)
    }

    fn ask_mangle(
        &mut self,
        cx: &mut Ctx<'_>,
        chain: Chain,
        (input, output): (Option<IfIndex>, Option<IfIndex>),
        frame: &mut Frame,
    ) -> Verdict {
        let bytes = frame.ip_len();
        if is_neighbour_discovery(frame) {
            self.mangle.count_policy(chain, bytes);
            return Verdict::Accept;
        }
        let state = self.state_of(frame);
        let Some(facts) = Facts::of(frame, input, output, state) else { return Verdict::Accept };
        let target = match self.decide(cx, (Table::Mangle, chain), &facts, frame) {
            Decided::Rule(place) => {
                self.mangle.rule(place).map_or(Target::Accept, |rule| rule.target().clone())
            }
            Decided::Nobody => {
                self.mangle.count_policy(chain, bytes);
                self.mangle.policy_of(chain).0.into()
            }
        };
        self.verdict(&target)
    }

    /// To what the segment size in the packet that was just let through is to be lowered.
    pub fn take_mss(&mut self) -> Option<Mss> {
        self.mss.take()
    }

    fn tell_rule(
        &self,
        cx: &mut Ctx<'_>,
        chain: Chain,
        frame: &Frame,
        rule: Text,
        verdict: &'static str,
    ) -> Cause {
        let event = || Event::RuleMatched { hook: chain.name(), rule, verdict };
        cx.with(frame.meta.cause).emit(Place::Node(self.node), frame.meta.flow, event)
    }

    fn verdict(&mut self, target: &Target) -> Verdict {
        match target {
            Target::Drop => self.dropped(DropReason::FilterDrop),
            Target::Reject(how) => {
                *self.drops.entry(DropReason::FilterReject).or_default() += 1;
                Verdict::Reject(*how)
            }
            _ => Verdict::Accept,
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
        state: States,
    ) -> bool {
        let starts = state.intersects(States::NEW | States::INVALID);
        let (true, Some(input), Some(output)) = (starts, input, output) else { return false };
        self.nat.is_guarded(input, output) && !state.contains(States::DNAT)
    }

    /// Rewrites one side of a packet as its session says.
    #[inline(always)]
    fn rewrite(&mut self, cx: &mut Ctx<'_>, side: Side, frame: &mut Frame) -> Verdict {
        match self.conntrack.of(frame) {
            Some((handle, s)) if s.translates(handle.dir, side) => self.translate(cx, side, frame),
            _ => Verdict::Accept,
        }
    }

    fn translate(&mut self, cx: &mut Ctx<'_>, side: Side, frame: &mut Frame) -> Verdict {
        let Some((handle, s)) = self.conntrack.of(frame) else { return Verdict::Accept };
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

    #[inline]
    fn finish(&mut self, cx: &mut Ctx<'_>, frame: &mut Frame) -> Verdict {
        match self.confirm(cx, frame) {
            Ok(()) => Verdict::Accept,
            Err(reason) => self.dropped(reason),
        }
    }
}

impl From<Policy> for Target {
    fn from(policy: Policy) -> Target {
        match policy {
            Policy::Accept => Target::Accept,
            Policy::Drop => Target::Drop,
        }
    }
}
