//! The layouts of iproute2.

use core::net::IpAddr;
use std::fmt::Write as _;

use netarium_base::IfIndex;
use netarium_stack::{Interface, NeighbourInfo, NeighbourState, Route};

use super::Options;
use crate::table::interface_name;

/// `lo` is the interface with the number 1.
fn is_loopback(i: &Interface) -> bool {
    i.index == IfIndex(1)
}

fn wants(options: Options, address: IpAddr) -> bool {
    (!options.v4 || address.is_ipv4()) && (!options.v6 || address.is_ipv6())
}

/// For how many more seconds an address is good: valid and preferred; `None` for ever.
pub(super) type Left<'a> = &'a dyn Fn(&Interface, IpAddr) -> Option<(u64, u64)>;

/// `ip addr`.
pub(super) fn addresses(interfaces: &[&Interface], options: Options, left: Left<'_>) -> String {
    let mut out = String::new();
    let family = options.v4 || options.v6;
    for i in interfaces {
        let shown: Vec<_> = i.addresses.iter().filter(|a| wants(options, a.address())).collect();
        if family && shown.is_empty() {
            continue;
        }
        head(&mut out, i, "");
        if !family {
            hardware(&mut out, i);
        }
        for a in shown {
            let name = if a.address().is_ipv4() { "inet" } else { "inet6" };
            let brd = match a.broadcast() {
                Some(b) if !is_loopback(i) => format!(" brd {b}"),
                _ => String::new(),
            };
            let scope = if is_loopback(i) { "host" } else { "global" };
            let left = left(i, a.address());
            let dynamic = if left.is_some() { " dynamic" } else { "" };
            let _ = writeln!(out, "    {name} {a}{brd} scope {scope}{dynamic} {}", i.name);
            let _ = match left {
                Some((valid, preferred)) => {
                    writeln!(out, "       valid_lft {valid}sec preferred_lft {preferred}sec")
                }
                None => writeln!(out, "       valid_lft forever preferred_lft forever"),
            };
        }
        if options.statistics {
            statistics(&mut out, i);
        }
    }
    out
}

/// `ip link`.
pub(super) fn links(interfaces: &[&Interface], options: Options) -> String {
    let mut out = String::new();
    for i in interfaces {
        head(&mut out, i, " mode DEFAULT");
        hardware(&mut out, i);
        if options.statistics {
            statistics(&mut out, i);
        }
    }
    out
}

fn head(out: &mut String, i: &Interface, mode: &str) {
    let flags = flags(i);
    let state = state(i);
    let _ = writeln!(
        out,
        "{}: {}: <{flags}> mtu {} qdisc noqueue state {state}{mode} group default qlen 1000",
        i.index, i.name, i.mtu
    );
}

fn flags(i: &Interface) -> String {
    let kind = if is_loopback(i) { "LOOPBACK" } else { "BROADCAST,MULTICAST" };
    let promiscuous = if i.promiscuous > 0 { ",PROMISC" } else { "" };
    let up = if i.up { ",UP,LOWER_UP" } else { "" };
    format!("{kind}{promiscuous}{up}")
}

fn state(i: &Interface) -> &'static str {
    match (is_loopback(i), i.up) {
        (_, false) => "DOWN",
        (true, true) => "UNKNOWN",
        (false, true) => "UP",
    }
}

fn hardware(out: &mut String, i: &Interface) {
    let _ = if is_loopback(i) {
        writeln!(out, "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00")
    } else {
        writeln!(out, "    link/ether {} brd ff:ff:ff:ff:ff:ff", i.mac)
    };
}

/// `-s`: columns widen with their numbers, as iproute2 lets them.
fn statistics(out: &mut String, i: &Interface) {
    let c = &i.counters;
    let rx = [c.rx_bytes, c.rx_packets, 0, c.rx_dropped, 0, 0];
    let tx = [c.tx_bytes, c.tx_packets, 0, c.tx_dropped, 0, 0];
    let mut widths = [10, 7, 6, 7, 7, 7];
    for row in [&rx, &tx] {
        for (w, n) in widths.iter_mut().zip(row) {
            *w = (*w).max(n.to_string().len());
        }
    }
    let names = [
        ["bytes", "packets", "errors", "dropped", "missed", "mcast"],
        ["bytes", "packets", "errors", "dropped", "carrier", "collsns"],
    ];
    for (label, names, row) in [("RX:", names[0], rx), ("TX:", names[1], tx)] {
        let first = widths[0] - label.len();
        let _ = write!(out, "    {label}{:>first$} ", names[0]);
        for (name, w) in names.iter().zip(widths).skip(1) {
            let _ = write!(out, "{name:>w$} ");
        }
        out.push_str("          \n    ");
        for (n, w) in row.iter().zip(widths) {
            let _ = write!(out, "{n:>w$} ");
        }
        out.push('\n');
    }
}

/// `-br`.
pub(super) fn brief(interfaces: &[&Interface], addresses: bool) -> String {
    let mut out = String::new();
    for i in interfaces {
        let _ = write!(out, "{:<16} {:<14} ", i.name, state(i));
        if addresses {
            for a in &i.addresses {
                let _ = write!(out, "{a} ");
            }
        } else {
            let _ = write!(out, "{} <{}> ", i.mac, flags(i));
        }
        out.push('\n');
    }
    out
}

/// `ip route`: the main table, in which loopback has no part.
pub(super) fn routes(
    routes: &[Route],
    all: &[Interface],
    chosen: &[&Interface],
    options: Options,
) -> String {
    let mut rows: Vec<&Route> = routes
        .iter()
        .filter(|r| r.iface != IfIndex(1) && chosen.iter().any(|i| i.index == r.iface))
        .filter(|r| r.to.address().is_ipv6() == options.v6)
        .collect();
    rows.sort_by_key(|r| (r.to.network().address(), r.to.prefix(), r.metric));
    let mut out = String::new();
    for r in rows {
        let network = r.to.network();
        if r.to.prefix() == 0 {
            out.push_str("default ");
        } else if network == netarium_wire::Cidr::host(network.address()) {
            let _ = write!(out, "{} ", network.address());
        } else {
            let _ = write!(out, "{network} ");
        }
        if let Some(via) = r.via {
            let _ = write!(out, "via {via} ");
        }
        let _ = write!(out, "dev {} ", interface_name(all, r.iface));
        if r.via.is_none() {
            out.push_str("proto kernel scope link ");
            if let Some(source) = r.source.or_else(|| own_address(all, r)) {
                let _ = write!(out, "src {source} ");
            }
        } else if let Some(source) = r.source {
            let _ = write!(out, "src {source} ");
        }
        if r.metric > 0 {
            let _ = write!(out, "metric {} ", r.metric);
        }
        out.push('\n');
    }
    out
}

fn own_address(all: &[Interface], r: &Route) -> Option<IpAddr> {
    let i = all.iter().find(|i| i.index == r.iface)?;
    i.addresses.iter().map(|a| a.address()).find(|a| r.to.contains(*a))
}

/// `ip route get`; `learnt` is what the way takes, bytes, and for how many seconds that is believed.
pub(super) fn route_get(
    interfaces: &[Interface],
    to: IpAddr,
    iface: IfIndex,
    source: IpAddr,
    via: Option<IpAddr>,
    learnt: Option<(u16, u64)>,
) -> String {
    let own = interfaces.iter().any(|i| {
        i.addresses.iter().any(|a| a.address() == to)
            || (is_loopback(i) && i.addresses.iter().any(|a| a.contains(to)))
    });
    if own {
        return format!("local {to} dev lo src {to} uid 0 \n    cache <local> \n");
    }
    let via = via.map(|v| format!("via {v} ")).unwrap_or_default();
    let dev = interface_name(interfaces, iface);
    let learnt = learnt.map(|(mtu, left)| format!("expires {left}sec mtu {mtu} "));
    let learnt = learnt.unwrap_or_default();
    format!("{to} {via}dev {dev} src {source} uid 0 \n    cache {learnt}\n")
}

/// `ip neigh`.
pub(super) fn neighbours(rows: &[NeighbourInfo], chosen: &[&Interface]) -> String {
    let mut out = String::new();
    for n in rows {
        let Some(i) = chosen.iter().find(|i| i.index == n.iface) else { continue };
        let state = match n.state {
            NeighbourState::Incomplete => "INCOMPLETE",
            NeighbourState::Reachable => "REACHABLE",
            NeighbourState::Stale => "STALE",
            NeighbourState::Delay => "DELAY",
            NeighbourState::Probe => "PROBE",
            NeighbourState::Failed => "FAILED",
        };
        let unknown = matches!(n.state, NeighbourState::Incomplete | NeighbourState::Failed);
        let mac = n.mac.filter(|_| !unknown).map(|m| format!("lladdr {m} ")).unwrap_or_default();
        let _ = writeln!(out, "{} dev {} {mac}{state} ", n.address, i.name);
    }
    out
}
