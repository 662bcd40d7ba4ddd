//! The names of `/etc/services` that a lab meets.

/// Port, name, whether TCP has it, whether UDP has it.
const SERVICES: &[(u16, &str, bool, bool)] = &[
    (7, "echo", true, true),
    (9, "discard", true, true),
    (13, "daytime", true, false),
    (20, "ftp-data", true, false),
    (21, "ftp", true, false),
    (22, "ssh", true, false),
    (23, "telnet", true, false),
    (25, "smtp", true, false),
    (37, "time", true, true),
    (53, "domain", true, true),
    (67, "bootps", false, true),
    (68, "bootpc", false, true),
    (69, "tftp", false, true),
    (80, "http", true, false),
    (110, "pop3", true, false),
    (123, "ntp", false, true),
    (143, "imap2", true, false),
    (161, "snmp", true, true),
    (179, "bgp", true, false),
    (389, "ldap", true, true),
    (443, "https", true, true),
    (514, "syslog", false, true),
    (993, "imaps", true, false),
    (1433, "ms-sql-s", true, false),
    (3306, "mysql", true, false),
    (3389, "ms-wbt-server", true, false),
    (5432, "postgresql", true, false),
    (5900, "vnc", true, false),
    (6379, "redis", true, false),
    (8080, "http-alt", true, true),
];

/// The name of a port; `udp` chooses the protocol.
pub(crate) fn name(port: u16, udp: bool) -> Option<&'static str> {
    let fits = |s: &&(u16, &str, bool, bool)| s.0 == port && if udp { s.3 } else { s.2 };
    SERVICES.iter().find(fits).map(|s| s.1)
}

/// The port of a name.
pub(crate) fn port(name: &str, udp: bool) -> Option<u16> {
    let alias = match name {
        "www" => "http",
        "dns" => "domain",
        other => other,
    };
    let fits = |s: &&(u16, &str, bool, bool)| s.1 == alias && if udp { s.3 } else { s.2 };
    SERVICES.iter().find(fits).map(|s| s.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_and_ports() {
        assert_eq!(super::name(80, false), Some("http"));
        assert_eq!(super::name(80, true), None);
        assert_eq!(super::port("domain", true), Some(53));
        assert_eq!(super::port("nonsense", false), None);
    }
}
