//! Each kind of event in one sentence.

use netarium_base::trace::{Event, Names, Place, Record};
use netarium_base::{Duration, LinkEnd, LinkId};

/// Where it happened, for people: `web`, `web (eth0)`, `web (process 3)`, `web.home`.
pub fn place(record: &Record, names: &dyn Names) -> String {
    match record.place {
        Place::World => "the world".to_owned(),
        Place::Node(n) => names.node(n).to_owned(),
        Place::Iface(n, i) => format!("{} ({})", names.node(n), names.iface(n, i)),
        Place::Process(n, p) => format!("{} (process {p})", names.node(n)),
        Place::Link(l, _) => format!("wire {}", names.link(l)),
    }
}

/// What happened, in words, without time and place.
pub fn sentence(record: &Record, names: &dyn Names) -> String {
    match &record.event {
        Event::WorldStarted { .. }
        | Event::Command { .. }
        | Event::Input { .. }
        | Event::ProcessStarted { .. }
        | Event::ProcessExited { .. }
        | Event::ProcessWoken { .. }
        | Event::Call { .. }
        | Event::HttpRequest { .. }
        | Event::HttpResponse { .. }
        | Event::DnsQuery { .. }
        | Event::DnsResponse { .. }
        | Event::DnsStep { .. }
        | Event::Note { .. } => above(&record.event),
        Event::SegmentBuilt { .. }
        | Event::TcpState { .. }
        | Event::TimerSet { .. }
        | Event::TimerCancelled { .. }
        | Event::TimerFired { .. }
        | Event::Retransmission { .. }
        | Event::Congestion { .. }
        | Event::Window { .. } => tcp(&record.event),
        Event::FrameSent { .. }
        | Event::FrameQueued { .. }
        | Event::FrameDelivered { .. }
        | Event::FrameFault { .. }
        | Event::Dropped { .. }
        | Event::SwitchTable { .. } => wire(&record.event, names),
        Event::PacketBuilt { .. }
        | Event::Fragmented { .. }
        | Event::Reassembled { .. }
        | Event::InterfaceMode { .. }
        | Event::Arp { .. }
        | Event::RouteChosen { .. }
        | Event::RuleMatched { .. }
        | Event::Tracked { .. }
        | Event::Translated { .. } => network(&record.event),
    }
}

/// Programs, people, and what they ask of each other.
fn above(event: &Event) -> String {
    match event {
        Event::WorldStarted { seed } => format!("The lab started, with seed {seed}."),
        Event::Command { text } => match text.strip_prefix("schedule: ") {
            Some(text) => format!("The lab file's schedule asked: {text}."),
            None => format!("The operator asked: {text}."),
        },
        Event::Input { kind, port, bytes: 0 } => {
            format!("From outside came «{kind}» on port {port}.")
        }
        Event::Input { kind, port, bytes } => {
            format!("From outside came «{kind}» of {bytes} bytes on port {port}.")
        }
        Event::ProcessStarted { pid, command } => format!("Process {pid} started: {command}."),
        Event::ProcessExited { pid, code } => format!("Process {pid} ended with exit code {code}."),
        Event::ProcessWoken { pid, by } => format!("Process {pid} was woken by {by}."),
        Event::Call { pid, call, socket, bytes } => {
            let who = if pid.0 == 0 { "The host".to_owned() } else { format!("Process {pid}") };
            let amount = if *bytes > 0 { format!(" with {bytes} bytes") } else { String::new() };
            format!(
                "{who} called {call}() on socket {}.{}{amount}.",
                socket.index, socket.generation
            )
        }
        Event::HttpRequest { method, target } => format!("The request was {method} {target}."),
        Event::HttpResponse { status, bytes } => {
            format!("The answer was {status}, with {bytes} bytes.")
        }
        Event::DnsQuery { side, name, kind, id, peer } if *side == "sent" => {
            format!("{peer} was asked for the {kind} records of {name} (DNS query {id}).")
        }
        Event::DnsQuery { name, kind, id, peer, .. } => {
            format!("{peer} asked for the {kind} records of {name} (DNS query {id}).")
        }
        Event::DnsResponse { side, name, kind, rcode, answers, peer } => {
            let whom =
                if *side == "sent" { format!("{peer} was") } else { "The client was".into() };
            let by = if *side == "sent" { String::new() } else { format!(" by {peer}") };
            format!(
                "{whom} told{by}: {} for {name} {kind}, {}.",
                rcode_name(*rcode),
                records(*answers)
            )
        }
        Event::DnsStep { step, name, detail } => format!("On the way to {name}, {step}: {detail}."),
        Event::Note { text } => format!("{text}."),
        _ => String::new(),
    }
}

/// A response code of DNS by its name (RFC 1035 §4.1.1, RFC 6895 §2.3).
fn rcode_name(code: u16) -> String {
    let name = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        16 => "BADVERS",
        other => return format!("response code {other}"),
    };
    name.to_owned()
}

/// How many records an answer has, in words.
fn records(n: u16) -> String {
    match n {
        0 => "no records".to_owned(),
        1 => "1 record".to_owned(),
        n => format!("{n} records"),
    }
}

fn tcp(event: &Event) -> String {
    match event {
        Event::SegmentBuilt { seq, ack, flags, len, window, reason } => format!(
            "A TCP segment was built ({}): sequence number {seq}, acknowledgement {ack}, {len} \
             bytes, window {window}; sent because of {reason}.",
            flag_names(*flags)
        ),
        Event::TcpState { from, to, trigger, .. } => {
            format!("The connection went from {from} to {to}: {trigger}.")
        }
        Event::TimerSet { timer, due } => format!("The {timer} timer was set to {due} s."),
        Event::TimerCancelled { timer } => format!("The {timer} timer was stopped."),
        Event::TimerFired { timer } => format!("The {timer} timer fired."),
        Event::Retransmission { kind, seq, len, since } => format!(
            "{len} bytes from sequence number {seq} are sent again ({kind}); they were last sent \
             at {since} s."
        ),
        Event::Congestion { cwnd, ssthresh, inflight, srtt, rttvar, reason } => {
            let threshold = match *ssthresh {
                u32::MAX => "no slow-start threshold yet".to_owned(),
                bytes => format!("slow-start threshold {bytes}"),
            };
            format!(
                "The congestion window became {cwnd} bytes ({threshold}, {inflight} under way, \
                 round trip {} ± {} ms): {reason}.",
                millis(*srtt),
                millis(*rttvar),
            )
        }
        Event::Window { window, reason } => format!("The window became {window} bytes: {reason}."),
        _ => String::new(),
    }
}

/// Microseconds as milliseconds.
fn millis(us: u32) -> String {
    format!("{}.{:03}", us / 1_000, us % 1_000)
}

fn wire(event: &Event, names: &dyn Names) -> String {
    let to = |link: LinkId, end: LinkEnd| format!("{} at {}", names.link(link), end_name(end));
    match event {
        Event::FrameSent { link, end, len } => {
            format!("A frame of {len} bytes was put on the wire {}.", to(*link, *end))
        }
        Event::FrameQueued { link, end, depth } => format!(
            "A frame had to wait for the wire {}; {depth} were in the queue.",
            to(*link, *end)
        ),
        Event::FrameDelivered { link, end, len } => {
            format!("A frame of {len} bytes arrived from the wire {}.", to(*link, *end))
        }
        Event::FrameFault { link, end, fault, amount } => {
            let what = match *fault {
                "corrupted" => format!("turned over bit {amount} of the frame"),
                "reordered" => format!("holds the frame back by {}", Duration::from_nanos(*amount)),
                _ => "delivers the frame twice".to_owned(),
            };
            format!("The wire {} {what}, as its settings ask.", to(*link, *end))
        }
        Event::Dropped { reason, len } => {
            format!("{} bytes were dropped ({}): {}", len, reason.name(), reason.sentence())
        }
        Event::SwitchTable { step, port } => {
            format!("The switch's table of addresses changed at port {port}: {step}.")
        }
        _ => String::new(),
    }
}

fn network(event: &Event) -> String {
    match event {
        Event::PacketBuilt { protocol, kind, len } => {
            format!("A packet was built: {protocol} {kind} with {len} bytes.")
        }
        Event::Fragmented { fragments, mtu } => {
            format!("The packet was cut into {fragments} fragments of at most {mtu} bytes.")
        }
        Event::Reassembled { fragments, len } => {
            format!("{fragments} fragments were put together to a packet of {len} bytes.")
        }
        Event::InterfaceMode { mode: "promiscuous" } => {
            "The interface takes every frame that it sees: promiscuous mode.".to_owned()
        }
        Event::InterfaceMode { .. } => {
            "The interface takes only frames for itself again.".to_owned()
        }
        Event::Arp { step, address } => format!("ARP for {address}: {step}."),
        Event::RouteChosen { destination, via: Some(via), .. } => {
            format!("The route to {destination} leads over {via}.")
        }
        Event::RouteChosen { destination, via: None, .. } => {
            format!("{destination} can be reached directly.")
        }
        Event::RuleMatched { hook, rule, verdict } => {
            format!("The {hook} rule «{rule}» decided: {verdict}.")
        }
        Event::Tracked { state } => format!("Connection tracking: the flow is {state}."),
        Event::Translated { side, before, after } => {
            format!("NAT changed the {side} from {before} to {after}.")
        }
        _ => String::new(),
    }
}

const fn end_name(end: LinkEnd) -> &'static str {
    match end {
        LinkEnd::A => "the host's end",
        LinkEnd::B => "the network's end",
    }
}

/// `SYN, ACK`.
fn flag_names(flags: u16) -> String {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = NAMES.iter().enumerate().filter(|(i, _)| flags & (1 << i) != 0);
    let set: Vec<&str> = set.map(|(_, name)| *name).collect();
    if set.is_empty() { "no flags".to_owned() } else { set.join(", ") }
}
