//! Matches what the host sends against what the script expects.

use netarium_base::Instant;
use netarium_wire::TcpFlags;

use super::machine::{Body, Sent};
use super::{Runner, Step, Stop, differs, fail};
use crate::script::{
    Action, Direction, Event, Icmp, Opt, PacketSpec, Script, SegmentSpec, Time, Transport,
};
use crate::sysctl::Dialect;

/// How long `*` waits.
const ANY_TIME: netarium_base::Duration = netarium_base::Duration::from_secs(1_000_000);

/// Data below this many bytes never counts as a full-sized segment (RFC 9293 §3.7.1).
const FULL_SIZE: u32 = 536;

/// Packets that a failure lists beside the one that differs.
const MAX_ALSO: usize = 12;

/// Whether a script expects packets other than TCP; otherwise they are not looked at.
pub(super) fn wants_other(script: &Script) -> bool {
    script.events.iter().any(|e| match &e.action {
        Action::Packet(p) => {
            p.direction == Direction::Out && !matches!(p.transport, Transport::Tcp(_))
        }
        _ => false,
    })
}

/// A segment of the script, and the one or several of ours that meet it.
struct Met {
    got: SegmentSpec,
    parts: Vec<Sent>,
}

impl Runner {
    pub(super) fn packet(&mut self, event: &Event, spec: &PacketSpec) -> Step {
        match spec.direction {
            Direction::In => {
                self.go_to(event.at)?;
                self.inbound(spec)
            }
            Direction::Out => {
                let result = self.outbound(event.at, spec);
                self.forgive(self.config.non_fatal_packets, event.line, result)
            }
        }
    }

    fn outbound(&mut self, at: Time, spec: &PacketSpec) -> Step {
        let due = self.due(at);
        let tolerance = due.map(|(from, _)| self.tolerance(from)).unwrap_or_default();
        let latest = due.map_or(self.machine.now + ANY_TIME, |(_, to)| to + tolerance);
        let Some(first) = self.next_sent(latest)? else {
            return Err(self.nothing_sent(spec, due, latest));
        };
        match &spec.transport {
            Transport::Tcp(segment) => {
                let flow = self.flow_of(spec);
                let met = self.segment(flow, segment, first, latest)?;
                self.compare(spec, segment, flow, &met)
                    .and_then(|()| self.timely(spec, due, tolerance, &met.parts))?;
                self.log_met(&met);
            }
            Transport::Udp(len) => {
                self.compare_udp(*len, spec, &first)?;
                self.timely(spec, due, tolerance, std::slice::from_ref(&first))?;
                let line = self.describe_sent(&first);
                self.note_line(line);
            }
            Transport::Icmp(icmp) => {
                self.compare_icmp(icmp, spec, &first)?;
                self.timely(spec, due, tolerance, std::slice::from_ref(&first))?;
                let line = self.describe_sent(&first);
                self.note_line(line);
            }
        }
        Ok(())
    }

    /// The next packet of a known conversation, waiting for it up to `latest`.
    fn next_sent(&mut self, latest: Instant) -> Step<Option<Sent>> {
        loop {
            while let Some(sent) = self.machine.sent.pop_front() {
                if let Body::Broken(why) = &sent.body {
                    return Err(fail(format!("a malformed packet was sent: {why}")));
                }
                let other = !matches!(sent.body, Body::Tcp { .. });
                let known = self.flows.iter().any(|f| f.owns(&sent));
                if self.wants_other && other || known && !other {
                    return Ok(Some(sent));
                }
                let text = self.describe_sent(&sent);
                self.note_line(format!("{text}   (of no connection of the script)"));
            }
            self.retry_pending()?;
            if !self.machine.sent.is_empty() {
                continue;
            }
            let limit = self.pending_deadline().map_or(latest, |d| d.min(latest));
            if self.machine.step(limit)? {
                self.retry_pending()?;
            } else if limit < latest {
                self.machine.now = self.machine.now.max(limit);
                self.retry_pending()?;
            } else {
                return Ok(None);
            }
        }
    }

    fn nothing_sent(
        &mut self,
        spec: &PacketSpec,
        due: Option<(Instant, Instant)>,
        latest: Instant,
    ) -> Stop {
        let expected = self.timed(due, &spec.to_string());
        if due.is_some() {
            self.machine.now = self.machine.now.max(latest);
        }
        differs("an expected packet was not sent", expected, "nothing")
    }

    /// The segment that meets `spec`: one, or several of ours where the script has one that
    /// segmentation offload would split.
    fn segment(
        &mut self,
        flow: usize,
        spec: &SegmentSpec,
        first: Sent,
        latest: Instant,
    ) -> Step<Met> {
        let mut first = first;
        // What an earlier connection still sends is not looked at, as packetdrill does once its
        // socket is closed.
        while self.is_of_older(flow, &first) {
            let text = self.describe_sent(&first);
            self.note_line(format!("{text}   (of an earlier connection)"));
            let Some(next) = self.next_sent(latest)? else {
                return Err(differs(
                    "an expected packet was not sent",
                    format!("> {spec}"),
                    "nothing",
                ));
            };
            first = next;
        }
        if !self.flows[flow].owns(&first) {
            let got = self.describe_sent(&first);
            return Err(differs(
                "a packet of another connection was sent",
                format!("> {spec}"),
                got,
            ));
        }
        self.learn(flow, spec, &first);
        let mut got = self.in_script_numbers(flow, &first)?;
        let mut parts = vec![first];
        while got.len > 0 && got.len < spec.len && got.seq == spec.seq {
            let end = got.flags & (TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST);
            if !end.is_empty() {
                break;
            }
            let Some(next) = self.next_sent(latest)? else { break };
            let more = self.in_script_numbers(flow, &next);
            let follows = self.flows[flow].owns(&next)
                && more.as_ref().is_ok_and(|m| {
                    m.seq == got.seq.wrapping_add(got.len) && m.ack == got.ack && m.len > 0
                });
            let Some(more) = more.ok().filter(|_| follows) else {
                self.machine.sent.push_front(next);
                break;
            };
            got.len += more.len;
            got.flags = more.flags | (got.flags & (TcpFlags::CWR | TcpFlags::URG));
            parts.push(next);
        }
        Ok(Met { got, parts })
    }

    fn is_of_older(&self, flow: usize, sent: &Sent) -> bool {
        let owner = self.flows.iter().rposition(|f| f.owns(sent));
        owner.is_some_and(|o| o < flow && self.flows[o].script_ports.is_none())
    }

    fn in_script_numbers(&self, flow: usize, sent: &Sent) -> Step<SegmentSpec> {
        let segment = self.flows[flow].in_script_numbers(sent);
        segment.ok_or_else(|| {
            let got = self.describe_sent(sent);
            differs("another kind of packet was sent", "a TCP segment", got)
        })
    }

    /// The first SYN ties the sequence numbers, each timestamp that the script names the clocks.
    fn learn(&mut self, flow: usize, spec: &SegmentSpec, sent: &Sent) {
        let Body::Tcp { header, options, data } = &sent.body else { return };
        let flow = &mut self.flows[flow];
        flow.largest = flow.largest.max(data.len() as u32);
        if header.flags.contains(TcpFlags::SYN) && flow.offset.is_none() {
            flow.offset = Some(header.seq.wrapping_sub(spec.seq));
        }
        let script = spec.options.iter().flatten().find_map(|o| match o {
            Opt::Ts(val, _) => Some(*val),
            _ => None,
        });
        let live = options.iter().find_map(|o| match o {
            Opt::Ts(val, _) => Some(*val),
            _ => None,
        });
        flow.last_timestamp = live.or(flow.last_timestamp);
        if let (Some(script), Some(live)) = (script, live) {
            flow.learn_timestamp(script, live);
        }
    }

    fn compare(&self, spec: &PacketSpec, segment: &SegmentSpec, flow: usize, met: &Met) -> Step {
        let mut wrong = Vec::new();
        let got = &met.got;
        let mut check = |same: bool, what: &'static str| {
            if !same {
                wrong.push(what);
            }
        };
        let free = self.free_flags(segment, flow, met);
        check(segment.flags - free == got.flags - free, "flags");
        check(segment.seq == got.seq, "sequence number");
        check(segment.len == got.len, "length");
        check(segment.ack == got.ack, "acknowledgement number");
        // Windows follow from the buffers of a system, which FreeBSD counts in another way.
        let bsd = self.dialect == Dialect::Bsd;
        check(bsd || segment.window.is_none_or(|w| Some(w) == got.window), "window");
        check(segment.urgent == got.urgent, "urgent pointer");
        let lenient = bsd && segment.flags.contains(TcpFlags::SYN);
        let options = segment.options.as_ref();
        let given = got.options.as_deref().unwrap_or_default();
        check(options.is_none_or(|o| same_options(o, given, lenient)), "options");
        check(self.ticks(segment, flow, met), "timestamp (--tcp_ts_tick_usecs)");
        for sent in &met.parts {
            wrong.extend(wrong_ip(spec, sent));
        }
        self.verdict(spec, &wrong, met)
    }

    /// Linux sets PSH on every packet that the network card is to split, so that what it splits
    /// says nothing about the stream: PSH is free where several segments meet one of the script,
    /// and where a full-sized one has it beyond what the script asks for.
    fn free_flags(&self, segment: &SegmentSpec, flow: usize, met: &Met) -> TcpFlags {
        let full = met.got.len >= FULL_SIZE && met.got.len == self.flows[flow].largest;
        let more = full && !segment.flags.contains(TcpFlags::PSH);
        if met.parts.len() > 1 || more { TcpFlags::PSH } else { TcpFlags::empty() }
    }

    fn verdict(&self, spec: &PacketSpec, wrong: &[&str], met: &Met) -> Step {
        if wrong.is_empty() {
            return Ok(());
        }
        let at = met.parts[0].at;
        Err(differs(
            format!("a packet differs: {}", wrong.join(", ")),
            spec.to_string(),
            format!("> {} at {}{}", met.got, self.clock(at), ip_text(spec, &met.parts[0])),
        ))
    }

    /// Whether the host's timestamps run as `--tcp_ts_tick_usecs` says.
    fn ticks(&self, spec: &SegmentSpec, flow: usize, met: &Met) -> bool {
        let (tick, first) = (self.config.tcp_ts_tick_usecs, self.flows[flow].first_timestamp);
        let value = |o: &Opt| match o {
            Opt::Ts(val, _) => Some(*val),
            _ => None,
        };
        let Body::Tcp { options, .. } = &met.parts[0].body else { return true };
        let script = spec.options.iter().flatten().find_map(value);
        let (Some(script), Some(live), Some((s0, l0))) =
            (script, options.iter().find_map(value), first)
        else {
            return true;
        };
        let (want, have) = (script.wrapping_sub(s0) as i32, live.wrapping_sub(l0) as i32);
        let off = i64::from(want.wrapping_sub(have)).abs() * tick;
        tick == 0 || off <= self.config.tolerance_usecs.max(tick)
    }

    fn compare_udp(&self, len: u16, spec: &PacketSpec, sent: &Sent) -> Step {
        let same = matches!(sent.body, Body::Udp { len: n, .. } if n == usize::from(len));
        let wrong = wrong_ip(spec, sent);
        if same && wrong.is_empty() {
            return Ok(());
        }
        Err(differs("a packet differs", spec.to_string(), self.describe_sent(sent)))
    }

    fn compare_icmp(&self, icmp: &Icmp, spec: &PacketSpec, sent: &Sent) -> Step {
        let same = match &sent.body {
            Body::Icmp(got) => {
                (icmp.kind, icmp.code) == (got.kind, got.code)
                    && icmp.mtu.is_none_or(|mtu| got.mtu == Some(mtu))
            }
            _ => false,
        };
        if same && wrong_ip(spec, sent).is_empty() {
            return Ok(());
        }
        Err(differs("a packet differs", spec.to_string(), self.describe_sent(sent)))
    }

    fn timely(
        &self,
        spec: &PacketSpec,
        due: Option<(Instant, Instant)>,
        tolerance: netarium_base::Duration,
        parts: &[Sent],
    ) -> Step {
        let Some((from, to)) = due else { return Ok(()) };
        let late = parts.iter().find(|p| p.at + tolerance < from || p.at > to + tolerance);
        let Some(late) = late else { return Ok(()) };
        let why = if late.at < from { "too early" } else { "too late" };
        Err(differs(
            format!("a packet was sent {why}"),
            self.timed(due, &spec.to_string()),
            format!("at {}", self.clock(late.at)),
        ))
    }

    fn timed(&self, due: Option<(Instant, Instant)>, text: &str) -> String {
        match due {
            None => format!("{text} at any time"),
            Some((from, to)) if from == to => format!("{text} at {}", self.clock(from)),
            Some((from, to)) => {
                format!("{text} between {} and {}", self.clock(from), self.clock(to))
            }
        }
    }

    fn log_met(&mut self, met: &Met) {
        for part in &met.parts {
            let line = self.describe_sent(part);
            self.note_line(line);
        }
    }

    /// A packet as the script would write it.
    pub(super) fn describe_sent(&self, sent: &Sent) -> String {
        let at = self.clock(sent.at);
        let flow = self.flows.iter().rev().find(|f| f.owns(sent));
        match (&sent.body, flow) {
            (Body::Tcp { .. }, Some(flow)) => {
                let text = flow.in_script_numbers(sent).map(|s| s.to_string());
                format!("{at} > {}", text.unwrap_or_default())
            }
            (Body::Tcp { header, .. }, None) => {
                let (from, to) = (header.src_port, header.dst_port);
                format!("{at} > {from} > {to} {} seq {}", header.flags, header.seq)
            }
            (Body::Udp { ports, len }, _) => {
                format!("{at} > udp {} > {} ({len})", ports.0, ports.1)
            }
            (Body::Icmp(icmp), _) => format!("{at} > {icmp}"),
            (Body::Broken(why), _) => format!("{at} > malformed: {why}"),
        }
    }

    /// What was sent and not yet matched, for a failure.
    pub(super) fn waiting(&self) -> Vec<String> {
        let all = &self.machine.sent;
        let mut lines: Vec<String> =
            all.iter().take(MAX_ALSO).map(|s| self.describe_sent(s)).collect();
        if all.len() > MAX_ALSO {
            lines.push(format!("and {} more", all.len() - MAX_ALSO));
        }
        lines
    }
}

fn wrong_ip(spec: &PacketSpec, sent: &Sent) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    if spec.ecn.is_some_and(|ecn| !ecn.accepts(sent.tos)) {
        wrong.push("ECN field");
    }
    if spec.tos.is_some_and(|tos| tos != sent.tos) {
        wrong.push("TOS");
    }
    if spec.ttl.is_some_and(|ttl| ttl != sent.ttl) {
        wrong.push("TTL");
    }
    wrong
}

fn ip_text(spec: &PacketSpec, sent: &Sent) -> String {
    match (spec.ecn, spec.tos, spec.ttl) {
        (None, None, None) => String::new(),
        _ => format!(" [tos {:#x}, ttl {}]", sent.tos, sent.ttl),
    }
}

/// Whether options are as expected. Timestamps may have any value. `lenient`: in any order, with
/// any padding, for scripts of another system, whose SYN says the same in another order.
fn same_options(expected: &[Opt], got: &[Opt], lenient: bool) -> bool {
    let same = |a: &Opt, b: &Opt| match (a, b) {
        (Opt::Ts(_, a), Opt::Ts(_, b)) => a == b,
        _ => a == b,
    };
    if lenient {
        let padding = |o: &&Opt| !matches!(o, Opt::Nop | Opt::Eol);
        let (a, b) = (expected.iter().filter(padding), got.iter().filter(padding));
        let all = |x: Vec<&Opt>, y: Vec<&Opt>| x.iter().all(|o| y.iter().any(|p| same(o, p)));
        let (a, b): (Vec<&Opt>, Vec<&Opt>) = (a.collect(), b.collect());
        return all(a.clone(), b.clone()) && all(b, a);
    }
    let trimmed = |list: &[Opt]| list.iter().rposition(|o| *o != Opt::Eol).map_or(0, |i| i + 1);
    let (a, b) = (&expected[..trimmed(expected)], &got[..trimmed(got)]);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
