//! What a host's keys about DHCP become: the configuration file of its server.

use std::fmt::Write as _;

use crate::model::{DhcpServer, Host};

/// The path in the lab's folder, and the text, of a host's `/etc/dhcp/dhcpd.conf`; `None` for a host
/// that is no server.
pub(crate) fn conf(host: &Host) -> Option<(String, String)> {
    let mut servers = host.interfaces.iter().filter_map(|i| i.dhcp.as_ref()).peekable();
    servers.peek()?;
    let mut text = String::from("# Made from the lab file.\nauthoritative;\n");
    servers.for_each(|server| subnet(&mut text, server));
    Some((format!("files/{}/etc/dhcp/dhcpd.conf", host.name), text))
}

fn subnet(out: &mut String, server: &DhcpServer) {
    let (net, lease) = (server.subnet, server.lease.as_secs());
    let _ = writeln!(out, "\nsubnet {} netmask {} {{", net.address, net.mask());
    for (first, last) in &server.ranges {
        let _ = writeln!(out, "  range {first} {last};");
    }
    let _ = writeln!(out, "  default-lease-time {lease};\n  max-lease-time {lease};");
    if let Some(router) = server.router {
        let _ = writeln!(out, "  option routers {router};");
    }
    if !server.dns.is_empty() {
        let all: Vec<String> = server.dns.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "  option domain-name-servers {};", all.join(", "));
    }
    if let Some(domain) = &server.domain {
        let _ = writeln!(out, "  option domain-name \"{domain}\";");
    }
    out.push_str("}\n");
    for kept in &server.reserved {
        let name = kept.name.replace(':', "-");
        let (mac, address) = (kept.mac, kept.address);
        let _ =
            writeln!(out, "host {name} {{ hardware ethernet {mac}; fixed-address {address}; }}");
    }
}
