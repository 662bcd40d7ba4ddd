//! Names of protocols, services, ICMP types and the like, as Debian's `/etc/protocols`,
//! `/etc/services` and iptables have them.

use netarium_filter::{IcmpType, Reject, States};
use netarium_wire::TcpFlags;

const PROTOCOLS: &[(&str, u8)] = &[
    ("tcp", 6),
    ("sctp", 132),
    ("udp", 17),
    ("udplite", 136),
    ("icmp", 1),
    ("ipv6-icmp", 58),
    ("esp", 50),
    ("ah", 51),
    ("gre", 47),
    ("igmp", 2),
    ("ipip", 94),
    ("ospf", 89),
    ("dccp", 33),
    ("vrrp", 112),
    ("pim", 103),
    ("l2tp", 115),
];

const SERVICES: &[(&str, u16)] = &[
    ("tcpmux", 1),
    ("echo", 7),
    ("discard", 9),
    ("daytime", 13),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submission", 587),
    ("ldaps", 636),
    ("domain-s", 853),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("nfs", 2049),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("sip", 5060),
    ("xmpp-client", 5222),
    ("mdns", 5353),
    ("postgresql", 5432),
    ("x11", 6000),
    ("http-alt", 8080),
];

/// ICMP types by name: the first name of a type and code is the one that is shown.
const ICMP: &[(&str, u8, Option<u8>)] = &[
    ("any", IcmpType::ANY, None),
    ("echo-reply", 0, None),
    ("pong", 0, None),
    ("destination-unreachable", 3, None),
    ("network-unreachable", 3, Some(0)),
    ("host-unreachable", 3, Some(1)),
    ("protocol-unreachable", 3, Some(2)),
    ("port-unreachable", 3, Some(3)),
    ("fragmentation-needed", 3, Some(4)),
    ("source-route-failed", 3, Some(5)),
    ("network-unknown", 3, Some(6)),
    ("host-unknown", 3, Some(7)),
    ("network-prohibited", 3, Some(9)),
    ("host-prohibited", 3, Some(10)),
    ("TOS-network-unreachable", 3, Some(11)),
    ("TOS-host-unreachable", 3, Some(12)),
    ("communication-prohibited", 3, Some(13)),
    ("host-precedence-violation", 3, Some(14)),
    ("precedence-cutoff", 3, Some(15)),
    ("source-quench", 4, None),
    ("redirect", 5, None),
    ("network-redirect", 5, Some(0)),
    ("host-redirect", 5, Some(1)),
    ("TOS-network-redirect", 5, Some(2)),
    ("TOS-host-redirect", 5, Some(3)),
    ("echo-request", 8, None),
    ("ping", 8, None),
    ("router-advertisement", 9, None),
    ("router-solicitation", 10, None),
    ("time-exceeded", 11, None),
    ("ttl-exceeded", 11, None),
    ("ttl-zero-during-transit", 11, Some(0)),
    ("ttl-zero-during-reassembly", 11, Some(1)),
    ("parameter-problem", 12, None),
    ("ip-header-bad", 12, Some(0)),
    ("required-option-missing", 12, Some(1)),
    ("timestamp-request", 13, None),
    ("timestamp-reply", 14, None),
    ("address-mask-request", 17, None),
    ("address-mask-reply", 18, None),
];

const REJECTS: &[(&str, &str, Reject)] = &[
    ("icmp-net-unreachable", "net-unreach", Reject::Icmp { kind: 3, code: 0 }),
    ("icmp-host-unreachable", "host-unreach", Reject::Icmp { kind: 3, code: 1 }),
    ("icmp-proto-unreachable", "proto-unreach", Reject::Icmp { kind: 3, code: 2 }),
    ("icmp-port-unreachable", "port-unreach", Reject::Icmp { kind: 3, code: 3 }),
    ("icmp-net-prohibited", "net-prohib", Reject::Icmp { kind: 3, code: 9 }),
    ("icmp-host-prohibited", "host-prohib", Reject::Icmp { kind: 3, code: 10 }),
    ("tcp-reset", "tcp-rst", Reject::TcpReset),
    ("icmp-admin-prohibited", "admin-prohib", Reject::Icmp { kind: 3, code: 13 }),
];

/// In the order in which iptables shows them.
const STATES: &[(&str, States)] = &[
    ("INVALID", States::INVALID),
    ("NEW", States::NEW),
    ("RELATED", States::RELATED),
    ("ESTABLISHED", States::ESTABLISHED),
    ("UNTRACKED", States::UNTRACKED),
    ("SNAT", States::SNAT),
    ("DNAT", States::DNAT),
];

const FLAGS: &[(&str, TcpFlags)] = &[
    ("FIN", TcpFlags::FIN),
    ("SYN", TcpFlags::SYN),
    ("RST", TcpFlags::RST),
    ("PSH", TcpFlags::PSH),
    ("ACK", TcpFlags::ACK),
    ("URG", TcpFlags::URG),
];

const LEVELS: &[&[&str]] = &[
    &["emerg", "panic"],
    &["alert"],
    &["crit"],
    &["error", "err"],
    &["warn", "warning"],
    &["notice"],
    &["info"],
    &["debug"],
];

/// A protocol by name or number; `Some(None)` is all of them.
pub(super) fn protocol(word: &str) -> Option<Option<u8>> {
    let word = word.to_ascii_lowercase();
    let number = match word.as_str() {
        "all" => 0,
        "icmpv6" => 58,
        w => {
            let named = PROTOCOLS.iter().find(|p| p.0 == w).map(|p| p.1);
            named.or_else(|| w.parse().ok())?
        }
    };
    Some((number != 0).then_some(number))
}

/// The name of a protocol, or its number.
pub(super) fn protocol_name(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|p| p.1 == number);
    named.map_or_else(|| number.to_string(), |p| p.0.to_owned())
}

/// A port by name or number.
pub(super) fn port(word: &str) -> Option<u16> {
    let named = || SERVICES.iter().find(|s| s.0 == word).map(|s| s.1);
    word.parse().ok().or_else(named)
}

/// The name of a port, or its number.
pub(super) fn port_name(number: u16, numeric: bool) -> String {
    let named = SERVICES.iter().find(|s| s.1 == number && !numeric);
    named.map_or_else(|| number.to_string(), |s| s.0.to_owned())
}

/// An ICMP type by name (a beginning is enough), or as `TYPE[/CODE]`.
pub(super) fn icmp(word: &str) -> Option<IcmpType> {
    let lower = word.to_ascii_lowercase();
    let mut named = ICMP.iter().filter(|t| t.0.to_ascii_lowercase().starts_with(&lower));
    let exact = ICMP.iter().find(|t| t.0.eq_ignore_ascii_case(word));
    if let Some(&(_, kind, code)) = exact {
        return Some(IcmpType { kind, code });
    }
    if let (Some(&(_, kind, code)), None) = (named.next(), named.next()) {
        return Some(IcmpType { kind, code });
    }
    let (kind, code) = match word.split_once('/') {
        Some((kind, code)) => (kind, Some(code.parse().ok()?)),
        None => (word, None),
    };
    Some(IcmpType { kind: kind.parse().ok()?, code })
}

/// The name of an ICMP type and code.
pub(super) fn icmp_name(wanted: IcmpType) -> Option<&'static str> {
    let same = |t: &&(&str, u8, Option<u8>)| (t.1, t.2) == (wanted.kind, wanted.code);
    ICMP.iter().find(same).map(|t| t.0)
}

/// How a packet is rejected, by name.
pub(super) fn reject(word: &str) -> Option<Reject> {
    REJECTS.iter().find(|r| r.0.starts_with(word) || r.1.starts_with(word)).map(|r| r.2)
}

/// The name of a way to reject.
pub(super) fn reject_name(how: Reject) -> String {
    let named = REJECTS.iter().find(|r| r.2 == how).map(|r| r.0.to_owned());
    named.unwrap_or_else(|| format!("{how:?}"))
}

/// A list of states; the word that is none.
pub(super) fn states(list: &str) -> Result<States, &str> {
    let one = |word| {
        let found = STATES.iter().find(|s| s.0.eq_ignore_ascii_case(word));
        found.map(|s| s.1).ok_or(word)
    };
    list.split(',').map(one).try_fold(States::empty(), |all, s| Ok(all | s?))
}

/// The names of states.
pub(super) fn state_names(states: States) -> String {
    let names = STATES.iter().filter(|s| states.contains(s.1)).map(|s| s.0);
    names.collect::<Vec<_>>().join(",")
}

/// A list of TCP flags, `ALL` or `NONE`; the word that is none.
pub(super) fn flags(list: &str) -> Result<TcpFlags, &str> {
    let one = |word: &'_ str| match word {
        _ if word.eq_ignore_ascii_case("all") => Some(FLAGS.iter().map(|f| f.1).collect()),
        _ if word.eq_ignore_ascii_case("none") => Some(TcpFlags::empty()),
        _ => FLAGS.iter().find(|f| f.0.eq_ignore_ascii_case(word)).map(|f| f.1),
    };
    let words = list.split(',');
    words.map(|w| one(w).ok_or(w)).try_fold(TcpFlags::empty(), |all, f| Ok(all | f?))
}

/// The names of TCP flags.
pub(super) fn flag_names(flags: TcpFlags) -> String {
    let names: Vec<_> = FLAGS.iter().filter(|f| flags.contains(f.1)).map(|f| f.0).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}

/// A level of syslog, by name or number.
pub(super) fn level(word: &str) -> Option<u8> {
    let number = word.parse().ok().filter(|n| *n < 8);
    number.or_else(|| LEVELS.iter().position(|names| names.contains(&word)).map(|n| n as u8))
}

/// The name of a level of syslog.
pub(super) fn level_name(level: u8) -> &'static str {
    LEVELS.get(usize::from(level)).map_or("debug", |names| names[0])
}
