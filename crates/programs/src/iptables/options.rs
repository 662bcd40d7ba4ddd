//! The options of iptables: those of the program, and those that matches and targets bring along.

use netarium_filter::{Module, Target};

/// An option: its letter or, for options of matches and targets, its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    pub(super) short: char,
    pub(super) long: &'static str,
    pub(super) takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// No value.
    Nothing,
    /// The next word, or the rest of this one.
    One,
    /// A word that is no option, when there is one.
    Perhaps,
}

const fn opt(short: char, long: &'static str, takes: Takes) -> Opt {
    Opt { short, long, takes }
}

pub(super) const GLOBAL: &[Opt] = &[
    opt('A', "append", Takes::One),
    opt('D', "delete", Takes::One),
    opt('C', "check", Takes::One),
    opt('I', "insert", Takes::One),
    opt('R', "replace", Takes::One),
    opt('L', "list", Takes::Perhaps),
    opt('S', "list-rules", Takes::Perhaps),
    opt('F', "flush", Takes::Perhaps),
    opt('Z', "zero", Takes::Perhaps),
    opt('N', "new-chain", Takes::One),
    opt('X', "delete-chain", Takes::Perhaps),
    opt('E', "rename-chain", Takes::One),
    opt('P', "policy", Takes::One),
    opt('s', "source", Takes::One),
    opt('s', "src", Takes::One),
    opt('d', "destination", Takes::One),
    opt('d', "dst", Takes::One),
    opt('p', "protocol", Takes::One),
    opt('p', "proto", Takes::One),
    opt('i', "in-interface", Takes::One),
    opt('o', "out-interface", Takes::One),
    opt('j', "jump", Takes::One),
    opt('g', "goto", Takes::One),
    opt('t', "table", Takes::One),
    opt('m', "match", Takes::One),
    opt('n', "numeric", Takes::Nothing),
    opt('v', "verbose", Takes::Nothing),
    opt('x', "exact", Takes::Nothing),
    opt('0', "line-numbers", Takes::Nothing),
    opt('w', "wait", Takes::Perhaps),
    opt('V', "version", Takes::Nothing),
    opt('h', "help", Takes::Nothing),
    opt('4', "ipv4", Takes::Nothing),
];

const PORTS: &[Opt] = &[
    opt('\0', "sport", Takes::One),
    opt('\0', "source-port", Takes::One),
    opt('\0', "dport", Takes::One),
    opt('\0', "destination-port", Takes::One),
];

const TCP: &[Opt] = &[opt('\0', "tcp-flags", Takes::One), opt('\0', "syn", Takes::Nothing)];
const ICMP: &[Opt] = &[opt('\0', "icmp-type", Takes::One)];
const CONNTRACK: &[Opt] = &[opt('\0', "ctstate", Takes::One)];
const STATE: &[Opt] = &[opt('\0', "state", Takes::One)];
const COMMENT: &[Opt] = &[opt('\0', "comment", Takes::One)];
const MULTIPORT: &[Opt] = &[
    opt('\0', "sports", Takes::One),
    opt('\0', "source-ports", Takes::One),
    opt('\0', "dports", Takes::One),
    opt('\0', "destination-ports", Takes::One),
    opt('\0', "ports", Takes::One),
];

/// The options of a module.
pub(super) fn options_of(module: Module) -> [&'static [Opt]; 2] {
    match module {
        Module::Tcp => [PORTS, TCP],
        Module::Udp => [PORTS, &[]],
        Module::Icmp => [ICMP, &[]],
        Module::Conntrack => [CONNTRACK, &[]],
        Module::State => [STATE, &[]],
        Module::Multiport => [MULTIPORT, &[]],
        Module::Comment => [COMMENT, &[]],
    }
}

const REJECT: &[Opt] = &[opt('\0', "reject-with", Takes::One)];
const LOG: &[Opt] = &[opt('\0', "log-prefix", Takes::One), opt('\0', "log-level", Takes::One)];
const DNAT: &[Opt] = &[opt('\0', "to-destination", Takes::One)];
const SNAT: &[Opt] = &[opt('\0', "to-source", Takes::One)];
const TCPMSS: &[Opt] =
    &[opt('\0', "set-mss", Takes::One), opt('\0', "clamp-mss-to-pmtu", Takes::Nothing)];
const TO_PORTS: &[Opt] = &[opt('\0', "to-ports", Takes::One)];

/// The options of a target.
pub(super) fn options_for(target: &Target) -> &'static [Opt] {
    match target {
        Target::Reject(_) => REJECT,
        Target::Log(_) => LOG,
        Target::Dnat(_) => DNAT,
        Target::Snat(_) => SNAT,
        Target::TcpMss(_) => TCPMSS,
        Target::Masquerade(_) | Target::Redirect(_) => TO_PORTS,
        _ => &[],
    }
}

/// The long name of a short option.
pub(super) fn long_name(c: char) -> &'static str {
    GLOBAL.iter().find(|o| o.short == c).map_or("", |o| o.long)
}
