//! Names for numbers: services, protocols.

use crate::ip::protocol;

/// What `/etc/services` calls the usual ports of TCP and UDP.
const SERVICES: &[(u16, &str, Carriers)] = {
    use Carriers::{Both, Tcp, Udp};
    &[
        (7, "echo", Both),
        (9, "discard", Both),
        (13, "daytime", Both),
        (19, "chargen", Both),
        (20, "ftp-data", Tcp),
        (21, "ftp", Tcp),
        (22, "ssh", Tcp),
        (23, "telnet", Tcp),
        (25, "smtp", Tcp),
        (37, "time", Both),
        (43, "whois", Tcp),
        (49, "tacacs", Both),
        (53, "domain", Both),
        (67, "bootps", Udp),
        (68, "bootpc", Udp),
        (69, "tftp", Udp),
        (70, "gopher", Tcp),
        (79, "finger", Tcp),
        (80, "http", Tcp),
        (88, "kerberos", Both),
        (110, "pop3", Tcp),
        (111, "sunrpc", Both),
        (113, "auth", Tcp),
        (119, "nntp", Tcp),
        (123, "ntp", Udp),
        (137, "netbios-ns", Udp),
        (138, "netbios-dgm", Udp),
        (139, "netbios-ssn", Tcp),
        (143, "imap2", Tcp),
        (161, "snmp", Both),
        (162, "snmp-trap", Both),
        (179, "bgp", Tcp),
        (389, "ldap", Both),
        (443, "https", Both),
        (445, "microsoft-ds", Both),
        (465, "submissions", Tcp),
        (500, "isakmp", Udp),
        (514, "syslog", Udp),
        (514, "shell", Tcp),
        (520, "route", Udp),
        (546, "dhcpv6-client", Udp),
        (547, "dhcpv6-server", Udp),
        (554, "rtsp", Both),
        (587, "submission", Tcp),
        (631, "ipp", Tcp),
        (636, "ldaps", Both),
        (853, "domain-s", Both),
        (873, "rsync", Tcp),
        (993, "imaps", Tcp),
        (995, "pop3s", Tcp),
        (1080, "socks", Tcp),
        (1194, "openvpn", Both),
        (1433, "ms-sql-s", Tcp),
        (1812, "radius", Both),
        (2049, "nfs", Both),
        (3128, "squid", Tcp),
        (3306, "mysql", Tcp),
        (3389, "ms-wbt-server", Tcp),
        (5060, "sip", Both),
        (5353, "mdns", Udp),
        (5432, "postgresql", Tcp),
        (6379, "redis", Tcp),
        (8080, "http-alt", Both),
    ]
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carriers {
    Both,
    Tcp,
    Udp,
}

/// What a port of TCP (6) or UDP (17) is called.
pub fn service(protocol: u8, port: u16) -> Option<&'static str> {
    let fits = |c: Carriers| match c {
        Carriers::Both => true,
        Carriers::Tcp => protocol == protocol::TCP,
        Carriers::Udp => protocol == protocol::UDP,
    };
    SERVICES.iter().find(|s| s.0 == port && fits(s.2)).map(|s| s.1)
}

/// The port that a service name means: for TCP, UDP or whichever has it.
pub(crate) fn service_port(protocol: Option<u8>, name: &str) -> Option<u16> {
    let known = SERVICES.iter().filter(|s| s.1.eq_ignore_ascii_case(name));
    known.map(|s| s.0).find(|&port| match protocol {
        Some(p) => service(p, port).is_some_and(|n| n.eq_ignore_ascii_case(name)),
        None => true,
    })
}

/// What `-v` calls IP protocols.
pub(super) fn ip_protocol(number: u8) -> &'static str {
    match number {
        0 => "Options",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        8 => "EGP",
        9 => "IGRP",
        17 => "UDP",
        33 => "DCCP",
        41 => "IPv6",
        43 => "Routing",
        44 => "Fragment",
        46 => "RSVP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        55 => "Mobile IP",
        58 => "ICMPv6",
        62 => "Mobile IP (old)",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        108 => "Compressed IP",
        112 => "VRRP",
        113 => "PGM",
        132 => "SCTP",
        135 => "Mobility",
        143 => "Ethernet",
        _ => "unknown",
    }
}

/// What `/etc/protocols` calls IP protocols.
pub(crate) fn protocol_name(number: u8) -> Option<&'static str> {
    PROTOCOLS.iter().find(|p| p.0 == number).map(|p| p.1)
}

/// The IP protocol of a name in `/etc/protocols`.
pub(crate) fn protocol_number(name: &str) -> Option<u8> {
    PROTOCOLS.iter().find(|p| p.1.eq_ignore_ascii_case(name)).map(|p| p.0)
}

const PROTOCOLS: &[(u8, &str)] = &[
    (0, "hopopts"),
    (1, "icmp"),
    (2, "igmp"),
    (3, "ggp"),
    (4, "ipencap"),
    (5, "st"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (12, "pup"),
    (17, "udp"),
    (20, "hmp"),
    (22, "xns-idp"),
    (27, "rdp"),
    (29, "iso-tp4"),
    (33, "dccp"),
    (36, "xtp"),
    (37, "ddp"),
    (38, "idpr-cmtp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (45, "idrp"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (57, "skip"),
    (58, "ipv6-icmp"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (73, "rspf"),
    (81, "vmtp"),
    (88, "eigrp"),
    (89, "ospf"),
    (93, "ax.25"),
    (94, "ipip"),
    (97, "etherip"),
    (98, "encap"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (124, "isis"),
    (132, "sctp"),
    (133, "fc"),
    (135, "mobility-header"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
    (138, "manet"),
    (139, "hip"),
    (140, "shim6"),
    (141, "wesp"),
    (142, "rohc"),
];
