//! What iptables prints: `-S` and `-L`.

use core::net::IpAddr;
use std::fmt::Write as _;

use netarium_base::IfIndex;
use netarium_filter::{
    ChainView, Cidr, Counters, IcmpType, Interfaces, Is, Match, Module, Mss, NatTo, Policy,
    PortRange, PortSide, Ports, Rule, Target,
};
use netarium_stack::Interface;
use netarium_wire::protocol;

use super::names;
use crate::table::interface_name;

/// How rules are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) numeric: bool,
    pub(super) verbose: bool,
    pub(super) exact: bool,
    pub(super) numbers: bool,
}

/// The rules of a chain that are asked at all, with their places among all.
pub(super) fn enabled(chain: ChainView<'_>) -> Vec<(usize, &Rule, Counters)> {
    let all = chain.rules().enumerate().filter(|(_, (rule, _))| rule.enabled());
    all.map(|(at, (rule, counters))| (at, rule, counters)).collect()
}

/// The words of a rule behind `-A CHAIN `.
pub(super) fn spec(rule: &Rule, ifaces: &[Interface]) -> String {
    let mut out = matches(rule.matches(), ifaces);
    out.push_str(&target(rule.target()));
    out.trim_start().to_owned()
}

/// A line of `-S`.
pub(super) fn rule_line(
    chain: &str,
    (rule, counters): (&Rule, Counters),
    verbose: bool,
    ifaces: &[Interface],
) -> String {
    let counted = match verbose {
        true => format!(" -c {} {}", counters.packets, counters.bytes),
        false => String::new(),
    };
    let (matches, target) = (matches(rule.matches(), ifaces), target(rule.target()));
    format!("-A {chain}{matches}{counted}{target}\n")
}

fn matches(m: &Match, ifaces: &[Interface]) -> String {
    let mut out = String::new();
    let mut word = |not: bool, option: &str, value: String| {
        let _ = write!(out, "{}{option} {value}", if not { " ! " } else { " " });
    };
    for (option, net) in [("-s", m.source), ("-d", m.destination)] {
        if let Some(net) = net {
            word(net.not, option, prefix(net.value));
        }
    }
    for (option, iface) in [("-i", &m.input), ("-o", &m.output)] {
        if let Some(i) = iface {
            word(i.not, option, iface_name(&i.value, ifaces));
        }
    }
    if let Some(p) = m.protocol {
        word(p.not, "-p", names::protocol_name(p.value));
    }
    let mut lists = m.multiport.iter();
    for module in modules(m) {
        out.push_str(&module_words(m, module, &mut lists));
    }
    out
}

/// The modules in the order in which they were written, then those that were not written.
fn modules(m: &Match) -> Vec<Module> {
    let mut all = m.layout.0.clone();
    let ports = m.source_ports.is_some() || m.destination_ports.is_some();
    let is = |number| m.protocol.is_some_and(|p| p.value == number);
    let needed = [
        (ports && is(protocol::UDP), Module::Udp),
        ((ports && !is(protocol::UDP)) || m.tcp_flags.is_some(), Module::Tcp),
        (m.icmp.is_some(), Module::Icmp),
        (m.states.is_some() && !all.contains(&Module::State), Module::Conntrack),
        (m.comment.is_some(), Module::Comment),
    ];
    for (_, module) in needed.into_iter().filter(|(needed, _)| *needed) {
        if !all.contains(&module) {
            all.push(module);
        }
    }
    let listed = all.iter().filter(|m| **m == Module::Multiport).count();
    all.extend((listed..m.multiport.len()).map(|_| Module::Multiport));
    all
}

fn module_words<'a>(
    m: &Match,
    module: Module,
    lists: &mut impl Iterator<Item = &'a Ports>,
) -> String {
    let no = |not: bool| if not { "! " } else { "" };
    let mut out = String::new();
    match module {
        Module::Tcp | Module::Udp => {
            out.push_str(if module == Module::Tcp { " -m tcp" } else { " -m udp" });
            for (option, ports) in [("--sport", m.source_ports), ("--dport", m.destination_ports)] {
                if let Some(p) = ports {
                    let _ = write!(out, " {}{option} {}", no(p.not), p.value);
                }
            }
            if let Some(f) = m.tcp_flags.filter(|_| module == Module::Tcp) {
                let (mask, set) = (names::flag_names(f.value.mask), names::flag_names(f.value.set));
                let _ = write!(out, " {}--tcp-flags {mask} {set}", no(f.not));
            }
        }
        Module::Icmp => {
            out.push_str(" -m icmp");
            if let Some(t) = m.icmp {
                let _ = write!(out, " {}--icmp-type {}", no(t.not), icmp_number(t.value));
            }
        }
        Module::Conntrack | Module::State => {
            let words = match module {
                Module::State => ("state", "--state"),
                _ => ("conntrack", "--ctstate"),
            };
            let _ = write!(out, " -m {}", words.0);
            if let Some(s) = m.states {
                let _ = write!(out, " {}{} {}", no(s.not), words.1, names::state_names(s.value));
            }
        }
        Module::Multiport => {
            if let Some(list) = lists.next() {
                let option = match list.side {
                    PortSide::Source => "--sports",
                    PortSide::Destination => "--dports",
                    PortSide::Either => "--ports",
                };
                let _ =
                    write!(out, " -m multiport {}{option} {}", no(list.not), ranges(list, true));
            }
        }
        Module::Comment => {
            let text = m.comment.as_deref().unwrap_or_default();
            let _ = write!(out, " -m comment --comment {}", quoted(text));
        }
    }
    out
}

fn target(target: &Target) -> String {
    let ports = |p: &Option<PortRange>| {
        p.map_or_else(String::new, |p| format!(" --to-ports {}", dashed(p)))
    };
    match target {
        Target::Continue => String::new(),
        Target::Goto(chain) => format!(" -g {chain}"),
        Target::Reject(how) => format!(" -j REJECT --reject-with {}", names::reject_name(*how)),
        Target::Log(log) => {
            let mut out = " -j LOG".to_owned();
            if !log.prefix.is_empty() {
                let _ = write!(out, " --log-prefix {}", quoted(&log.prefix));
            }
            if log.level != 4 {
                let _ = write!(out, " --log-level {}", log.level);
            }
            out
        }
        Target::Dnat(to) => format!(" -j DNAT --to-destination {}", nat_to(to)),
        Target::Snat(to) => format!(" -j SNAT --to-source {}", nat_to(to)),
        Target::Masquerade(p) => format!(" -j MASQUERADE{}", ports(p)),
        Target::Redirect(p) => format!(" -j REDIRECT{}", ports(p)),
        Target::TcpMss(Mss::ClampToPmtu) => " -j TCPMSS --clamp-mss-to-pmtu".to_owned(),
        Target::TcpMss(Mss::Set(n)) => format!(" -j TCPMSS --set-mss {n}"),
        other => format!(" -j {}", target_name(other)),
    }
}

fn target_name(target: &Target) -> String {
    match target {
        Target::Continue => String::new(),
        Target::Jump(chain) | Target::Goto(chain) => chain.to_string(),
        other => other.name().to_ascii_uppercase(),
    }
}

/// The chain with its policy or its references, and the names of the columns.
pub(super) fn chain_head(chain: ChainView<'_>, layout: Layout) -> String {
    let mut out = format!("Chain {} (", chain.name());
    if chain.base().is_some() {
        let (policy, _, counters) = chain.policy();
        let _ = write!(out, "policy {}", policy_name(policy));
        if layout.verbose {
            let number = |n| short(n, layout.exact, 0);
            let (packets, bytes) = (number(counters.packets), number(counters.bytes));
            let _ = write!(out, " {packets} packets, {bytes} bytes");
        }
    } else {
        let _ = write!(out, "{} references", chain.references());
    }
    out.push_str(")\n");
    if layout.numbers {
        out.push_str("num  ");
    }
    if layout.verbose {
        out.push_str(if layout.exact { "    pkts      bytes " } else { " pkts bytes " });
    }
    out.push_str("target     prot opt ");
    if layout.verbose {
        out.push_str("in     out     ");
    }
    out.push_str("source               destination         \n");
    out
}

/// A line of `-L`; `number` counts from 1.
pub(super) fn row(
    number: usize,
    (rule, counters): (&Rule, Counters),
    layout: Layout,
    ifaces: &[Interface],
) -> String {
    let m = rule.matches();
    let mut out = String::new();
    if layout.numbers {
        let _ = write!(out, "{number:<4} ");
    }
    if layout.verbose {
        let width = if layout.exact { 8 } else { 5 };
        let number = |n| short(n, layout.exact, width);
        let _ = write!(out, "{} {} ", number(counters.packets), number(counters.bytes));
    }
    let _ = write!(out, "{:<9} ", target_name(rule.target()));
    let protocol = match m.protocol {
        Some(p) if layout.numeric => p.value.to_string(),
        Some(p) => names::protocol_name(p.value),
        None if layout.numeric => "0".to_owned(),
        None => "all".to_owned(),
    };
    let _ = write!(out, "{}{protocol:<4} -- ", mark(m.protocol.is_some_and(|p| p.not), " "));
    if layout.verbose {
        let name = |i: &Option<Is<Interfaces>>| match i {
            Some(i) => format!("{}{}", mark(i.not, ""), iface_name(&i.value, ifaces)),
            None if layout.numeric => "*".to_owned(),
            None => "any".to_owned(),
        };
        let _ = write!(out, " {:<6} {:<6} ", name(&m.input), name(&m.output));
    }
    for net in [m.source, m.destination] {
        let (not, text) = match net {
            Some(net) => (net.not, short_prefix(net.value)),
            None if layout.numeric => (false, "0.0.0.0/0".to_owned()),
            None => (false, "anywhere".to_owned()),
        };
        let _ = write!(out, "{}{text:<19} ", mark(not, " "));
    }
    if matches!(rule.target(), Target::Goto(_)) {
        out.push_str("[goto] ");
    }
    let mut lists = m.multiport.iter();
    for module in modules(m) {
        out.push_str(&module_column(m, module, &mut lists, layout.numeric));
    }
    out.push_str(&target_column(rule.target(), layout.numeric));
    out.push('\n');
    out
}

fn module_column<'a>(
    m: &Match,
    module: Module,
    lists: &mut impl Iterator<Item = &'a Ports>,
    numeric: bool,
) -> String {
    let mut out = String::new();
    match module {
        Module::Tcp | Module::Udp => {
            out.push_str(if module == Module::Tcp { " tcp" } else { " udp" });
            for (name, ports) in [("spt", m.source_ports), ("dpt", m.destination_ports)] {
                let Some(p) = ports else { continue };
                let several = if p.value.count() > 1 { "s" } else { "" };
                let _ =
                    write!(out, " {name}{several}:{}{}", mark(p.not, ""), range(p.value, numeric));
            }
            if let Some(f) = m.tcp_flags.filter(|_| module == Module::Tcp) {
                let text = match numeric {
                    true => format!("0x{:02X}/0x{:02X}", f.value.mask.bits(), f.value.set.bits()),
                    false => {
                        let names = [f.value.mask, f.value.set].map(names::flag_names);
                        names.join("/")
                    }
                };
                let _ = write!(out, " flags:{}{text}", mark(f.not, ""));
            }
        }
        Module::Icmp => {
            let Some(t) = m.icmp else { return out };
            let named = names::icmp_name(t.value).filter(|_| !numeric);
            let not = mark(t.not, "");
            match named {
                Some(name) => out.push_str(&format!(" icmp {not}{name}")),
                None => {
                    let start = if t.not { " icmp !" } else { " icmp" };
                    let _ = write!(out, "{start}type {}", t.value.kind);
                    if let Some(code) = t.value.code {
                        let _ = write!(out, " code {code}");
                    }
                }
            }
        }
        Module::Conntrack | Module::State => {
            let word = if module == Module::State { "state" } else { "ctstate" };
            if let Some(s) = m.states {
                let not = if s.not { "! " } else { "" };
                let _ = write!(out, " {not}{word} {}", names::state_names(s.value));
            }
        }
        Module::Multiport => {
            if let Some(list) = lists.next() {
                let side = match list.side {
                    PortSide::Source => "sports",
                    PortSide::Destination => "dports",
                    PortSide::Either => "ports",
                };
                let not = if list.not { " !" } else { "" };
                let _ = write!(out, " multiport {side} {not}{}", ranges(list, numeric));
            }
        }
        Module::Comment => {
            let _ = write!(out, " /* {} */", m.comment.as_deref().unwrap_or_default());
        }
    }
    out
}

fn target_column(target: &Target, numeric: bool) -> String {
    match target {
        Target::Reject(how) => format!(" reject-with {}", names::reject_name(*how)),
        Target::Log(log) => {
            let level = match numeric {
                true => format!(" LOG flags 0 level {}", log.level),
                false => format!(" LOG level {}", names::level_name(log.level)),
            };
            match log.prefix.is_empty() {
                true => level,
                false => format!("{level} prefix \"{}\"", log.prefix),
            }
        }
        Target::Dnat(to) | Target::Snat(to) => format!(" to:{}", nat_to(to)),
        Target::Masquerade(Some(ports)) => format!(" masq ports: {}", dashed(*ports)),
        Target::Redirect(Some(ports)) => format!(" redir ports {}", dashed(*ports)),
        Target::TcpMss(Mss::ClampToPmtu) => " TCPMSS clamp to PMTU".to_owned(),
        Target::TcpMss(Mss::Set(n)) => format!(" TCPMSS set {n}"),
        _ => String::new(),
    }
}

/// A number as in a column `width` wide, large ones in thousands.
fn short(n: u64, exact: bool, width: usize) -> String {
    if exact || n <= 99_999 {
        return format!("{n:>width$}");
    }
    let inner = width.saturating_sub(1);
    let mut n = (n + 500) / 1_000;
    for unit in ["K", "M", "G"] {
        if n <= 9_999 {
            return format!("{n:>inner$}{unit}");
        }
        n = (n + 500) / 1_000;
    }
    format!("{n:>inner$}T")
}

pub(super) fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    }
}

fn mark(not: bool, otherwise: &'static str) -> &'static str {
    if not { "!" } else { otherwise }
}

fn iface_name(i: &Interfaces, ifaces: &[Interface]) -> String {
    let index = i.indices().first().copied().unwrap_or(IfIndex(0));
    i.name().map_or_else(|| interface_name(ifaces, index).to_owned(), |n| n.to_string())
}

fn prefix(net: Cidr) -> String {
    let net = net.network();
    format!("{}/{}", net.address(), net.prefix())
}

/// Without the length where it is that of a single address.
fn short_prefix(net: Cidr) -> String {
    let full = if matches!(net.address(), IpAddr::V4(_)) { 32 } else { 128 };
    if net.prefix() == full { net.address().to_string() } else { prefix(net) }
}

fn icmp_number(t: IcmpType) -> String {
    match (t.kind, t.code) {
        (IcmpType::ANY, _) => "any".to_owned(),
        (kind, Some(code)) => format!("{kind}/{code}"),
        (kind, None) => kind.to_string(),
    }
}

fn range(r: PortRange, numeric: bool) -> String {
    let name = |port| names::port_name(port, numeric);
    if r.count() == 1 {
        return name(r.first());
    }
    format!("{}:{}", name(r.first()), name(r.last()))
}

fn ranges(list: &Ports, numeric: bool) -> String {
    list.ranges.iter().map(|r| range(*r, numeric)).collect::<Vec<_>>().join(",")
}

fn dashed(r: PortRange) -> String {
    if r.count() == 1 { r.first().to_string() } else { format!("{}-{}", r.first(), r.last()) }
}

fn nat_to(to: &NatTo) -> String {
    let mut out = match to.addresses {
        Some((first, last)) if first != last => format!("{first}-{last}"),
        Some((first, _)) => first.to_string(),
        None => String::new(),
    };
    if let Some(ports) = to.ports {
        let _ = write!(out, ":{}", dashed(ports));
        if let Some(base) = to.base {
            let _ = write!(out, "/{base}");
        }
    }
    out
}

/// In quotation marks when a shell would need them.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = "\"".to_owned();
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out + "\""
}
