//! The layouts of net-tools' `netstat`.

use core::net::{IpAddr, SocketAddr};
use std::fmt::Write as _;

use netarium_base::Instant;
use netarium_stack::{Interface, Route, SocketInfo, SocketKind, StackStats};

use super::Flags;
use crate::interfaces::mtu;
use crate::services;
use crate::table::{Owners, interface_name};

/// How often a socket's segments were sent again, and how many probes went unanswered.
pub(super) type Tries<'a> = dyn Fn(&SocketInfo) -> (u8, u8) + 'a;

/// The table of sockets.
pub(super) fn sockets(
    flags: &Flags,
    sockets: &[SocketInfo],
    owners: &Owners,
    now: Instant,
    tries: &Tries<'_>,
) -> String {
    let which = match (flags.all, flags.listening) {
        (_, true) => "(only servers)",
        (true, false) => "(servers and established)",
        (false, false) => "(w/o servers)",
    };
    let mut out = format!(
        "Active Internet connections {which}\n\
         Proto Recv-Q Send-Q Local Address           Foreign Address         State      "
    );
    if flags.programs {
        let _ = write!(out, " {:<20}", "PID/Program name");
    }
    if flags.timers {
        out.push_str(" Timer");
    }
    out.push('\n');
    for s in flags.wanted(sockets) {
        row(&mut out, flags, s, owners);
        if flags.timers {
            let _ = write!(out, " {}", timer(s, now, tries));
        }
        out.push('\n');
    }
    out
}

fn row(out: &mut String, flags: &Flags, s: &SocketInfo, owners: &Owners) {
    let proto = match (s.kind, s.local) {
        (SocketKind::Tcp, SocketAddr::V4(_)) => "tcp",
        (SocketKind::Tcp, SocketAddr::V6(_)) => "tcp6",
        (_, SocketAddr::V4(_)) => "udp",
        (_, SocketAddr::V6(_)) => "udp6",
    };
    // A listener's Send-Q is the backlog to ss; netstat shows 0.
    let send_queue = if s.state == "LISTEN" { 0 } else { s.send_queue };
    let udp = s.kind != SocketKind::Tcp;
    let _ = write!(
        out,
        "{proto:<4}  {:>6} {send_queue:>6} {:<23} {:<23} {:<11}",
        s.recv_queue,
        address(s.local, udp, flags.numeric),
        s.remote.map_or_else(|| wildcard(s.local), |r| address(r, udp, flags.numeric)),
        s.state
    );
    if flags.programs {
        let _ = write!(out, " {:<20}", owners.name(s.pid));
    }
}

fn wildcard(local: SocketAddr) -> String {
    if local.is_ipv4() { "0.0.0.0:*" } else { ":::*" }.to_owned()
}

fn address(a: SocketAddr, udp: bool, numeric: bool) -> String {
    if a.port() == 0 {
        return format!("{}:*", a.ip());
    }
    match services::name(a.port(), udp).filter(|_| !numeric) {
        Some(name) => format!("{}:{name}", a.ip()),
        None => format!("{}:{}", a.ip(), a.port()),
    }
}

/// `-o`: the timer that runs, the seconds until it is due, how often something was sent again, and
/// how many probes went unanswered.
fn timer(s: &SocketInfo, now: Instant, tries: &Tries<'_>) -> String {
    let Some((name, due)) = s.timer else { return "off (0.00/0/0)".to_owned() };
    let left = due.since(now).as_millis() / 10;
    let (again, probes) = tries(s);
    format!("{name} ({}.{:02}/{again}/{probes})", left / 100, left % 100)
}

/// `-r`.
pub(super) fn routes(routes: &[Route], interfaces: &[Interface], numeric: bool) -> String {
    let mut out = "Kernel IP routing table\n\
        Destination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n"
        .to_owned();
    let mut rows: Vec<&Route> = routes.iter().filter(|r| r.iface.0 != 1).collect();
    rows.sort_by_key(|r| (r.to.prefix(), r.to.address(), r.metric));
    for r in rows.iter().filter(|r| r.to.address().is_ipv4()) {
        let network = r.to.network().address();
        let any = r.to.prefix() == 0;
        let destination = if any && !numeric { "default".to_owned() } else { network.to_string() };
        let gateway = r.via.map_or_else(|| "0.0.0.0".to_owned(), |g: IpAddr| g.to_string());
        let mask = r.to.netmask().map(|m| m.to_string()).unwrap_or_default();
        let mut flags = "U".to_owned();
        if r.via.is_some() {
            flags.push('G');
        }
        if r.to.prefix() == 32 {
            flags.push('H');
        }
        let iface = interface_name(interfaces, r.iface);
        let _ = writeln!(
            out,
            "{destination:<15} {gateway:<15} {mask:<15} {flags:<5} {:>5} {:<5} {:>6} {iface}",
            0, 0, 0
        );
    }
    out
}

/// `-i`.
pub(super) fn interfaces(interfaces: &[Interface]) -> String {
    let mut out = "Kernel Interface table\n\
        Iface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n"
        .to_owned();
    let mut rows: Vec<&Interface> = interfaces.iter().filter(|i| i.up).collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    for i in rows {
        let c = &i.counters;
        let flags = if i.index.0 == 1 { "LRU" } else { "BMRU" };
        let _ = writeln!(
            out,
            "{:<15} {:>5} {:>8} {:>6} {:>6} {:<6} {:>8} {:>6} {:>6} {:>6} {flags}",
            i.name,
            mtu(i),
            c.rx_packets,
            0,
            c.rx_dropped,
            0,
            c.tx_packets,
            0,
            c.tx_dropped,
            0
        );
    }
    out
}

/// A counter, its words, and whether it is shown when it is 0.
type Counter = (u64, &'static str, bool);

/// `-s`: what this stack counts, in net-tools' words and order; with `-t` or `-u` of these
/// protocols only.
pub(super) fn statistics(
    flags: &Flags,
    s: &StackStats,
    established: usize,
    forwarding: bool,
) -> String {
    let each = !flags.tcp && !flags.udp;
    let mut out = if each { internet(s, forwarding) } else { String::new() };
    let mut section = |name: &str, counters: &[Counter]| {
        let _ = writeln!(out, "{name}:");
        rows(&mut out, counters);
    };
    if each || flags.tcp {
        section("Tcp", &tcp(s, established));
    }
    if each || flags.udp {
        section(
            "Udp",
            &[
                (s.udp_in, "packets received", true),
                (s.udp_no_ports, "packets to unknown port received", true),
                (s.udp_in_errors, "packet receive errors", true),
                (s.udp_out, "packets sent", true),
            ],
        );
    }
    if each || flags.tcp {
        section(
            "TcpExt",
            &[
                (s.tcp_cookies_sent, "SYN cookies sent", false),
                (s.tcp_cookies_received, "SYN cookies received", false),
                (s.tcp_cookies_failed, "invalid SYN cookies received", false),
                (s.tcp_listen_overflows, "times the listen queue of a socket overflowed", false),
                (s.tcp_listen_drops, "SYNs to LISTEN sockets dropped", false),
                (s.tcp_repairs.fast, "fast retransmits", false),
                (s.tcp_repairs.slow_start, "retransmits in slow start", false),
                (s.tcp_repairs.timeouts, "TCPTimeouts:", false),
                (s.tcp_repairs.probes, "TCPLossProbes:", false),
                (s.tcp_orphan_drops, "TCP sockets destroyed because too many were closing", false),
                (s.tcp_challenge_acks, "TCPChallengeACK:", false),
                (s.tcp_repairs.syn, "TCPSynRetrans:", false),
            ],
        );
    }
    out
}

/// The parts about IP and ICMP.
fn internet(s: &StackStats, forwarding: bool) -> String {
    let mut out = String::new();
    let mut section = |name: &str, first: &str, counters: &[Counter]| {
        let _ = write!(out, "{name}:\n{first}");
        rows(&mut out, counters);
    };
    let first = format!("    Forwarding: {}\n", if forwarding { 1 } else { 2 });
    section("Ip", &first, &ip(s));
    section("Icmp", "", &[(s.icmp_in, "ICMP messages received", true)]);
    out += &histogram("input", IN_KINDS, &s.icmp_in_kinds);
    let sent = [
        (s.icmp_out, "ICMP messages sent", true),
        (s.icmp_rate_limited, "ICMP messages held back by the rate limit", false),
    ];
    rows(&mut out, &sent);
    out += &histogram("output", OUT_KINDS, &s.icmp_out_kinds);
    out + &by_number(s)
}

fn rows(out: &mut String, counters: &[Counter]) {
    for (count, what, _) in counters.iter().filter(|(count, _, always)| *always || *count > 0) {
        let _ = if what.ends_with(':') {
            writeln!(out, "    {what} {count}")
        } else {
            writeln!(out, "    {count} {what}")
        };
    }
}

/// Words for [`StackStats::ICMP_KINDS`]; what is sent has one of its own.
const IN_KINDS: [&str; 6] = [
    "echo replies",
    "destination unreachable",
    "redirects",
    "echo requests",
    "timeout in transit",
    "wrong parameters",
];
const OUT_KINDS: [&str; 6] = [
    "echo replies",
    "destination unreachable",
    "redirect",
    "echo requests",
    "time exceeded",
    "wrong parameters",
];
/// The kernel's order of them: errors before echoes, requests before replies.
const KERNEL_ORDER: [usize; 6] = [1, 4, 5, 2, 3, 0];

fn histogram(which: &str, names: [&str; 6], counts: &[u32; 6]) -> String {
    let mut out = String::new();
    for at in KERNEL_ORDER.into_iter().filter(|at| counts[*at] > 0) {
        if out.is_empty() {
            let _ = writeln!(out, "    ICMP {which} histogram:");
        }
        let _ = writeln!(out, "        {}: {}", names[at], counts[at]);
    }
    out
}

/// `IcmpMsg`: the same by number.
fn by_number(s: &StackStats) -> String {
    let mut out = String::new();
    for (way, counts) in [("In", &s.icmp_in_kinds), ("Out", &s.icmp_out_kinds)] {
        for (kind, count) in StackStats::ICMP_KINDS.iter().zip(counts).filter(|c| *c.1 > 0) {
            let head = if out.is_empty() { "IcmpMsg:\n" } else { "" };
            let _ = writeln!(out, "{head}        {way}Type{kind}: {count}");
        }
    }
    out
}

fn ip(s: &StackStats) -> [Counter; 14] {
    [
        (s.ip_in_receives, "total packets received", true),
        (s.ip_in_errors, "with invalid headers", false),
        (s.ip_forwarded, "forwarded", true),
        (0, "incoming packets discarded", true),
        (s.ip_in_delivers, "incoming packets delivered", true),
        (s.ip_out_requests, "requests sent out", true),
        (s.ip_out_no_routes, "dropped because of missing route", false),
        (s.ip_reasm_timeouts, "fragments dropped after timeout", false),
        (s.ip_reasm_reqds, "reassemblies required", false),
        (s.ip_reasm_oks, "packets reassembled ok", false),
        (s.ip_reasm_fails, "packet reassemblies failed", false),
        (s.ip_frag_oks, "outgoing packets fragmented ok", false),
        (s.ip_frag_fails, "outgoing packets failed fragmentation", false),
        (s.ip_frag_creates, "fragments created", false),
    ]
}

fn tcp(s: &StackStats, established: usize) -> [Counter; 10] {
    [
        (s.tcp_active_opens, "active connection openings", true),
        (s.tcp_passive_opens, "passive connection openings", true),
        (s.tcp_attempt_fails, "failed connection attempts", true),
        (s.tcp_estab_resets, "connection resets received", true),
        (established as u64, "connections established", true),
        (s.tcp_in_segments, "segments received", true),
        (s.tcp_out_segments, "segments sent out", true),
        (s.tcp_retransmits, "segments retransmitted", true),
        (s.tcp_in_errors, "bad segments received", true),
        (s.tcp_out_resets, "resets sent", true),
    ]
}
