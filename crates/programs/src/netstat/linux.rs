//! The layouts of net-tools' `netstat`.

use core::net::{IpAddr, SocketAddr};
use std::fmt::Write as _;

use netarium_base::Instant;
use netarium_stack::{Interface, Route, SocketInfo, SocketKind, StackStats};

use super::Flags;
use crate::table::{Owners, interface_name};

/// The table of sockets.
pub(super) fn sockets(
    flags: &Flags,
    sockets: &[SocketInfo],
    owners: &Owners,
    now: Instant,
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
        row(&mut out, flags, s, owners, now);
    }
    out
}

fn row(out: &mut String, flags: &Flags, s: &SocketInfo, owners: &Owners, now: Instant) {
    let proto = match (s.kind, s.local) {
        (SocketKind::Tcp, SocketAddr::V4(_)) => "tcp",
        (SocketKind::Tcp, SocketAddr::V6(_)) => "tcp6",
        (_, SocketAddr::V4(_)) => "udp",
        (_, SocketAddr::V6(_)) => "udp6",
    };
    // A listener's Send-Q is the backlog to ss; netstat shows 0.
    let send_queue = if s.state == "LISTEN" { 0 } else { s.send_queue };
    let _ = write!(
        out,
        "{proto:<4}  {:>6} {send_queue:>6} {:<23} {:<23} {:<11}",
        s.recv_queue,
        address(s.local, flags.numeric),
        s.remote.map_or_else(|| wildcard(s.local), |r| address(r, flags.numeric)),
        s.state
    );
    if flags.programs {
        let _ = write!(out, " {:<20}", owners.name(s.pid));
    }
    if flags.timers {
        let _ = write!(out, " {}", timer(s, now));
    }
    out.push('\n');
}

fn wildcard(local: SocketAddr) -> String {
    if local.is_ipv4() { "0.0.0.0:*" } else { ":::*" }.to_owned()
}

fn address(a: SocketAddr, numeric: bool) -> String {
    match service(a.port()).filter(|_| !numeric) {
        Some(name) => format!("{}:{name}", a.ip()),
        None => format!("{}:{}", a.ip(), a.port()),
    }
}

/// The names of `/etc/services` that a lab meets.
fn service(port: u16) -> Option<&'static str> {
    Some(match port {
        22 => "ssh",
        25 => "smtp",
        53 => "domain",
        80 => "http",
        443 => "https",
        8080 => "http-alt",
        _ => return None,
    })
}

/// `-o`: the timer that runs, and the seconds until it is due.
fn timer(s: &SocketInfo, now: Instant) -> String {
    let Some((name, due)) = s.timer else { return "off (0.00/0/0)".to_owned() };
    let name = match name {
        "retransmit" | "rto" | "syn" => "on",
        "time-wait" | "time_wait" | "timewait" => "timewait",
        "keep-alive" | "keepalive" => "keepalive",
        "persist" | "probe" => "probe",
        other => other,
    };
    let left = due.since(now).as_millis() / 10;
    format!("{name} ({}.{:02}/0/0)", left / 100, left % 100)
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
            i.name, i.mtu, c.rx_packets, 0, c.rx_dropped, 0, c.tx_packets, 0, c.tx_dropped, 0
        );
    }
    out
}

/// `-s`: what this stack counts, in net-tools' words.
pub(super) fn statistics(s: &StackStats, established: usize) -> String {
    let mut out = String::new();
    let mut section = |name: &str, rows: &[(u64, &str)]| {
        let _ = writeln!(out, "{name}:");
        for (count, what) in rows {
            let _ = writeln!(out, "    {count} {what}");
        }
    };
    section(
        "Ip",
        &[
            (s.ip_in_receives, "total packets received"),
            (s.ip_in_errors, "with invalid headers"),
            (s.ip_forwarded, "forwarded"),
            (s.ip_in_delivers, "incoming packets delivered"),
            (s.ip_out_requests, "requests sent out"),
            (s.ip_out_no_routes, "dropped because of missing route"),
        ],
    );
    section(
        "Icmp",
        &[
            (s.icmp_in, "ICMP messages received"),
            (s.icmp_out, "ICMP messages sent"),
            (s.icmp_rate_limited, "ICMP messages held back by the rate limit"),
        ],
    );
    section(
        "Tcp",
        &[
            (s.tcp_active_opens, "active connection openings"),
            (s.tcp_passive_opens, "passive connection openings"),
            (s.tcp_attempt_fails, "failed connection attempts"),
            (s.tcp_estab_resets, "connection resets received"),
            (established as u64, "connections established"),
            (s.tcp_in_segments, "segments received"),
            (s.tcp_out_segments, "segments sent out"),
            (s.tcp_retransmits, "segments retransmitted"),
            (s.tcp_in_errors, "bad segments received"),
            (s.tcp_out_resets, "resets sent"),
        ],
    );
    section(
        "Udp",
        &[
            (s.udp_in, "packets received"),
            (s.udp_no_ports, "packets to unknown port received"),
            (s.udp_in_errors, "packet receive errors"),
            (s.udp_out, "packets sent"),
        ],
    );
    section("TcpExt", &[(s.tcp_listen_drops, "SYNs to LISTEN sockets dropped")]);
    out
}
