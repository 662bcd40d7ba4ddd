//! What becomes of the first packet of a flow: the rules of the table `nat` are asked, once per place,
//! and the session remembers the answer for all packets that follow.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_base::{Ctx, DropReason, Event, IfIndex, Place};
use netarium_wire::Frame;

use super::behaviour::Dependence;
use super::ports::Search;
use crate::chain::Chain;
use crate::conntrack::session::{Flags, Session};
use crate::matches::{Facts, States};
use crate::prefix::PortRange;
use crate::table::Decided;
use crate::target::{NatTo, Target};
use crate::tuple::Tuple;
use crate::{Addresses, Filter, LocalPorts};

/// By which interfaces a packet comes and goes, as far as it is known.
type Way = (Option<IfIndex>, Option<IfIndex>);

impl Filter {
    /// Decides where a packet really goes, when it is the first of a flow.
    #[inline]
    pub(crate) fn choose_destination(
        &mut self,
        cx: &mut Ctx<'_>,
        way: Way,
        own: &dyn Addresses,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        if self.is_first(frame) { self.destination_of_flow(cx, way, own, frame) } else { Ok(()) }
    }

    fn destination_of_flow(
        &mut self,
        cx: &mut Ctx<'_>,
        (input, output): Way,
        own: &dyn Addresses,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        let chain = if input.is_some() { Chain::Prerouting } else { Chain::Output };
        let mapped = !self.nat.behaviour.overload && !self.nat.mappings.is_empty();
        if self.nat_rules.is_empty(chain) && !mapped {
            self.nat_rules.count_policy(chain, frame.ip_len());
            return Ok(());
        }
        let Some(mut facts) = Facts::of(frame, input, output, States::NEW) else { return Ok(()) };
        if !facts.dst.is_ipv4() {
            return Ok(());
        }
        // From inside to the outside address: as if it had come by the outside.
        let outside = input.and_then(|i| self.hairpin_for(i, facts.dst, own));
        facts.input = outside.or(input);
        let target = self.ask_nat(cx, chain, &facts, frame);
        let to = match target {
            Some(Target::Dnat(to)) => Some(self.destination(&facts, to)),
            Some(Target::Redirect(ports)) => {
                let address = match input {
                    Some(input) => own.address(input).ok_or(DropReason::NoRoute)?,
                    None => Ipv4Addr::LOCALHOST.into(),
                };
                let port = self.port_among(&facts, ports, None);
                Some(SocketAddr::new(address, port))
            }
            _ => None,
        };
        let Some(s) = &mut self.conntrack.pending else { return Ok(()) };
        if let Some(to) = to {
            s.lead_to(to);
        } else if mapped && input.is_some() && target.is_none() {
            self.enter_by_mapping(outside.is_some())?;
        }
        if let (Some(_), Some(s)) = (outside, &mut self.conntrack.pending)
            && s.flags.contains(Flags::DNAT)
        {
            s.flags.insert(Flags::HAIRPIN);
        }
        Ok(())
    }

    /// The outside interface whose address an inside host speaks to, when that is to work.
    fn hairpin_for(&self, input: IfIndex, dst: IpAddr, own: &dyn Addresses) -> Option<IfIndex> {
        if !self.nat.behaviour.hairpin {
            return None;
        }
        let pairs = self.nat.guarded().iter();
        let mut outside = pairs.filter(|(_, inside)| *inside == input).map(|&(outside, _)| outside);
        outside.find(|&o| own.has(o, dst))
    }

    /// What a chain of the table `nat` decides about the first packet of a flow, counted. `None`: no
    /// rule did. The trace tells of the translation, not of the rule.
    fn ask_nat(
        &mut self,
        cx: &mut Ctx<'_>,
        chain: Chain,
        facts: &Facts,
        frame: &mut Frame,
    ) -> Option<Target> {
        let (log, bytes) = (&mut self.log, frame.ip_len());
        let (place, mut cause) = (Place::Node(self.node), frame.meta.cause);
        let decided = self.nat_rules.decide(chain, facts, bytes, |rule| {
            let (rule, how) = (rule.text().clone(), rule.target());
            let event = || Event::RuleMatched { hook: chain.name(), rule, verdict: "log" };
            cause = cx.with(cause).emit(place, frame.meta.flow, event);
            if let Target::Log(how) = how {
                log.note(cx.now, how, (facts.input, facts.output), frame);
            }
        });
        frame.meta.cause = cause;
        match decided {
            Decided::Rule(place) => self.nat_rules.rule(place).map(|rule| rule.target().clone()),
            Decided::Nobody => {
                self.nat_rules.count_policy(chain, bytes);
                None
            }
        }
    }

    /// Where a DNAT rule leads a flow.
    fn destination(&self, facts: &Facts, to: NatTo) -> SocketAddr {
        let address = to.addresses.map_or(facts.dst, |range| self.address_among(facts, range));
        SocketAddr::new(address, self.port_among(facts, to.ports, to.base))
    }

    /// One of several addresses, always the same for an inside address (RFC 4787 REQ-2: «paired»).
    fn address_among(&self, facts: &Facts, (first, last): (IpAddr, IpAddr)) -> IpAddr {
        let (IpAddr::V4(first), IpAddr::V4(last)) = (first, last) else { return first };
        let count = u64::from(u32::from(last) - u32::from(first)) + 1;
        if count == 1 {
            return first.into();
        }
        let IpAddr::V4(src) = facts.src else { return first.into() };
        let draw = self.luck.draw(self.luck.hash(&src.octets()), 0) % count;
        Ipv4Addr::from(u32::from(first) + draw as u32).into()
    }

    fn port_among(&self, facts: &Facts, ports: Option<PortRange>, base: Option<u16>) -> u16 {
        let (sport, port) = facts.ports.unwrap_or_default();
        match (ports, base) {
            (None, _) => port,
            (Some(range), Some(base)) => {
                let offset = u32::from(port.wrapping_sub(base)) % range.count();
                range.first() + offset as u16
            }
            (Some(range), None) if range.contains(port) => port,
            (Some(range), None) => {
                let draw = self.luck.draw(u64::from(sport) << 16 | u64::from(port), 1);
                range.first() + (draw % u64::from(range.count())) as u16
            }
        }
    }

    /// A flow from outside to an outside end point that stands for an inside one: it comes in as far
    /// as the filtering behaviour lets it (RFC 4787 §5), else it ends without a word (RFC 5382
    /// REQ-4). What inside hosts send to each other this way is not filtered.
    fn enter_by_mapping(&mut self, hairpin: bool) -> Result<(), DropReason> {
        let Some(s) = &mut self.conntrack.pending else { return Ok(()) };
        let t = s.tuples[0];
        if t.is_icmp() {
            return Ok(());
        }
        let found = self.nat.mappings.at_outside(t.protocol, t.destination());
        let Some((_, m)) = found else { return Ok(()) };
        let known = |far| self.nat.peers.mapping(t.protocol, m.inside(), far, 0).is_some();
        let admitted = hairpin
            || match self.nat.behaviour.filtering {
                Dependence::Endpoint => true,
                Dependence::Address => known(t.src),
                Dependence::AddressAndPort => false,
            };
        if !admitted {
            return Err(DropReason::NatNoForward);
        }
        s.lead_to(m.inside());
        s.flags.insert(Flags::MAPPED);
        Ok(())
    }

    /// Decides from whom a packet will seem to come, when it is the first of a flow.
    #[inline]
    pub(crate) fn choose_source(
        &mut self,
        cx: &mut Ctx<'_>,
        output: IfIndex,
        source: IpAddr,
        ports: &dyn LocalPorts,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        let first = self.is_first(frame);
        if !first && self.conntrack.of(frame).is_some() {
            return Ok(());
        }
        self.source_of_flow(cx, output, source, (ports, first), frame)
    }

    fn source_of_flow(
        &mut self,
        cx: &mut Ctx<'_>,
        output: IfIndex,
        source: IpAddr,
        (ports, first): (&dyn LocalPorts, bool),
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        let chain = Chain::Postrouting;
        let hairpin = first && self.is_hairpin();
        if self.nat_rules.is_empty(chain) && !hairpin {
            if first {
                self.nat_rules.count_policy(chain, frame.ip_len());
            }
            return self.keep_source_apart(frame);
        }
        let Some(facts) = Facts::of(frame, None, Some(output), self.state_of(frame)) else {
            return Ok(());
        };
        if !first {
            return self.check_untracked(&facts, source, frame);
        }
        let choice = match self.ask_nat(cx, chain, &facts, frame) {
            _ if !facts.src.is_ipv4() => None,
            Some(Target::Masquerade(range)) if source.is_ipv4() => Some((source, range)),
            Some(Target::Snat(to)) => {
                let address = to.addresses.map_or(facts.src, |all| self.address_among(&facts, all));
                Some((address, to.ports))
            }
            _ => None,
        };
        let seen_as = self.conntrack.pending.as_ref().map(|s| s.tuples[0].dst);
        let choice = match (hairpin, seen_as) {
            (true, Some(address)) => Some((address, None)),
            _ => choice,
        };
        match choice {
            Some(choice) => self.bind_source(choice, ports),
            None => self.keep_source_apart(frame),
        }
    }

    fn is_hairpin(&self) -> bool {
        self.conntrack.pending.as_ref().is_some_and(|s| s.flags.contains(Flags::HAIRPIN))
    }

    /// Gives the pending flow a source at `address`.
    fn bind_source(
        &mut self,
        (address, range): (IpAddr, Option<PortRange>),
        ports: &dyn LocalPorts,
    ) -> Result<(), DropReason> {
        let Some(s) = &self.conntrack.pending else { return Ok(()) };
        let own = s.flags.contains(Flags::LOCAL);
        let mut memo = self.nat.exhausted.take();
        let port = self.search((!own).then_some(ports)).port(s, address, range, &mut memo);
        self.nat.exhausted = memo;
        let port = port.filter(|_| !address.is_unspecified());
        let port = port.ok_or(DropReason::NatPortsExhausted)?;
        let Some(s) = &mut self.conntrack.pending else { return Ok(()) };
        s.flags.insert(Flags::BOUND);
        if (address, port) != (s.tuples[0].src, s.tuples[0].sport) {
            (s.tuples[1].dst, s.tuples[1].dport) = (address, port);
            s.flags.insert(Flags::SNAT);
        }
        Ok(())
    }

    fn search<'a>(&'a self, local: Option<&'a dyn LocalPorts>) -> Search<'a> {
        Search {
            table: &self.conntrack.table,
            mappings: &self.nat.mappings,
            peers: &self.nat.peers,
            behaviour: self.nat.behaviour,
            local,
            luck: self.luck,
            now: self.now,
            ended: self.ended,
        }
    }

    /// What belongs to no flow cannot be translated, and must not leave with an inside address.
    fn check_untracked(
        &self,
        facts: &Facts,
        source: IpAddr,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        if !facts.state.contains(States::INVALID) || !facts.src.is_ipv4() {
            return Ok(());
        }
        let rule = self.nat_rules.peek(Chain::Postrouting, facts);
        let would_change = match rule.map(|r| r.target()) {
            Some(Target::Masquerade(_)) => source.is_ipv4() && source != facts.src,
            Some(Target::Snat(to)) => {
                to.addresses.is_some_and(|(a, b)| facts.src < a || facts.src > b)
            }
            _ => false,
        };
        match would_change.then(|| frame.verify()) {
            None => Ok(()),
            Some(Ok(())) => Err(DropReason::ConntrackInvalid),
            Some(Err(_)) => Err(DropReason::BadChecksum),
        }
    }

    /// The same for flows to this host itself (`nat INPUT`).
    pub(crate) fn choose_source_of_input(
        &mut self,
        cx: &mut Ctx<'_>,
        input: IfIndex,
        frame: &mut Frame,
    ) -> Result<(), DropReason> {
        if !self.is_first(frame) {
            return Ok(());
        }
        if self.nat_rules.is_empty(Chain::Input) {
            self.nat_rules.count_policy(Chain::Input, frame.ip_len());
            return self.keep_source_apart(frame);
        }
        let facts = Facts::of(frame, Some(input), None, States::NEW);
        let Some(facts) = facts.filter(|f| f.src.is_ipv4()) else { return Ok(()) };
        match self.ask_nat(cx, Chain::Input, &facts, frame) {
            Some(Target::Snat(to)) => {
                let address = to.addresses.map_or(facts.src, |all| self.address_among(&facts, all));
                self.bind_source((address, to.ports), &NoPorts)
            }
            _ => self.keep_source_apart(frame),
        }
    }

    /// Where destinations are translated, two flows can come to look the same behind the
    /// translation. The later one then gets another source port, as on Linux.
    fn keep_source_apart(&mut self, frame: &Frame) -> Result<(), DropReason> {
        if !self.is_first(frame) {
            return Ok(());
        }
        let Some(s) = &self.conntrack.pending else { return Ok(()) };
        let collides = |t: &Tuple| self.conntrack.table.find(t).is_some();
        if s.flags.contains(Flags::BOUND) || !collides(&s.tuples[1]) {
            return Ok(());
        }
        let address = s.tuples[0].src;
        let mut memo = self.nat.exhausted.take();
        let port = self.search(None).port(s, address, None, &mut memo);
        self.nat.exhausted = memo;
        let port = port.ok_or(DropReason::NatPortsExhausted)?;
        let Some(s) = &mut self.conntrack.pending else { return Ok(()) };
        s.tuples[1].dport = port;
        s.flags.insert(Flags::BOUND | Flags::SNAT);
        Ok(())
    }
}

impl Session {
    /// The flow continues to `to`.
    fn lead_to(&mut self, to: SocketAddr) {
        (self.tuples[1].src, self.tuples[1].sport) = (to.ip(), to.port());
        if self.tuples[0].is_icmp() {
            // The identifier of a query belongs to who asks.
            self.tuples[1].sport = self.tuples[0].dport;
        }
        self.flags.insert(Flags::DNAT);
    }
}

/// A place where no port is reserved.
struct NoPorts;

impl LocalPorts for NoPorts {
    fn in_use(&self, _: u8, _: u16) -> bool {
        false
    }
}
