//! `ifconfig` in the layout of net-tools 2.10, and `ipconfig` in that of Windows: what a host's own
//! address is. Both only show; `docs/programs.md` says what differs.

use core::net::IpAddr;
use std::fmt::Write as _;

use netarium_stack::{Interface, Route, Stack};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::dns::stub::ResolvConf;

/// Flags of an interface as Linux numbers and orders them (`net/if.h`).
const FLAGS: [(u32, &str); 6] = [
    (0x1, "UP"),
    (0x2, "BROADCAST"),
    (0x8, "LOOPBACK"),
    (0x40, "RUNNING"),
    (0x100, "PROMISC"),
    (0x1000, "MULTICAST"),
];

const USAGE: &str = "\
Usage:
  ifconfig [-a] [-v] [-s] [<interface>]

  Addresses and interfaces are set up in the lab file, or by dhclient.
";

const WINDOWS_USAGE: &str = "
USAGE:
    ipconfig [/? | /all]

    Options:
       /?               Display this help message
       /all             Display full configuration information.

The default is to display only the IP address, subnet mask and
default gateway for each adapter bound to TCP/IP.
";

/// `ifconfig [-a] [-s] [INTERFACE]`.
pub(crate) fn ifconfig(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let (mut all, mut short, mut wanted) = (false, false, None);
        for word in &args[1..] {
            match word.as_str() {
                "-a" => all = true,
                "-s" => short = true,
                "-v" => {}
                "-h" | "--help" => {
                    process.print(USAGE).await;
                    return 0;
                }
                "-V" | "--version" => {
                    process.print("net-tools 2.10\n").await;
                    return 0;
                }
                option if option.starts_with('-') => {
                    let text = format!(
                        "ifconfig: option `{option}' not recognised.\n\
                         ifconfig: `--help' gives usage information.\n"
                    );
                    process.eprint(&text).await;
                    return 1;
                }
                _ if wanted.is_some() => {
                    process.eprint("ifconfig: interfaces are set up in the lab file\n").await;
                    return 1;
                }
                name => wanted = Some(name.to_owned()),
            }
        }
        let text = process.with_stack(|stack, _| {
            let fits = |i: &&Interface| match &wanted {
                Some(name) => i.name == *name,
                None => all || i.up,
            };
            let mut found: Vec<Interface> =
                stack.interfaces().iter().filter(fits).cloned().collect();
            found.sort_by(|a, b| a.name.cmp(&b.name));
            match short {
                true => crate::netstat::interface_table(&found),
                false => found.iter().map(unix).collect::<String>(),
            }
        });
        if let (Some(name), true) = (wanted, text.is_empty()) {
            let why = format!("{name}: error fetching interface information: Device not found\n");
            process.eprint(&why).await;
            return 1;
        }
        process.print(&text).await;
        0
    })
}

fn is_loopback(i: &Interface) -> bool {
    i.index.0 == 1
}

fn flags(i: &Interface) -> u32 {
    let kind = if is_loopback(i) { 0x8 } else { 0x1002 };
    let up = if i.up { 0x41 } else { 0 };
    kind | up | if i.promiscuous > 0 { 0x100 } else { 0 }
}

/// One interface, with an empty line behind it.
fn unix(i: &Interface) -> String {
    let bits = flags(i);
    let names: Vec<&str> = FLAGS.iter().filter(|f| bits & f.0 != 0).map(|f| f.1).collect();
    let mut out = format!("{}: flags={bits}<{}>  mtu {}\n", i.name, names.join(","), mtu(i));
    for a in &i.addresses {
        let address = a.address();
        let _ = match (a.netmask(), a.broadcast()) {
            (Some(mask), Some(broadcast)) if !is_loopback(i) => {
                writeln!(out, "        inet {address}  netmask {mask}  broadcast {broadcast}")
            }
            (Some(mask), _) => writeln!(out, "        inet {address}  netmask {mask}"),
            (None, _) => {
                let prefix = a.prefix();
                writeln!(out, "        inet6 {address}  prefixlen {prefix}  scopeid 0x0<global>")
            }
        };
    }
    let _ = match is_loopback(i) {
        true => writeln!(out, "        loop  txqueuelen 1000  (Local Loopback)"),
        false => writeln!(out, "        ether {}  txqueuelen 1000  (Ethernet)", i.mac),
    };
    let c = &i.counters;
    for (way, packets, bytes, dropped) in [
        ("RX", c.rx_packets, c.rx_bytes, c.rx_dropped),
        ("TX", c.tx_packets, c.tx_bytes, c.tx_dropped),
    ] {
        let errors = if way == "RX" {
            format!("dropped {dropped}  overruns 0  frame 0")
        } else {
            format!("dropped {dropped} overruns 0  carrier 0  collisions 0")
        };
        let _ = writeln!(
            out,
            "        {way} packets {packets}  bytes {bytes} ({})\n        {way} errors 0  {errors}",
            human(bytes)
        );
    }
    out + "\n"
}

/// Linux' loopback is wider than ours can say.
pub(crate) fn mtu(i: &Interface) -> u32 {
    if is_loopback(i) { 65_536 } else { i.mtu.into() }
}

/// `504.0 B`, `1.2 KiB`: one digit behind the point, cut and not rounded.
fn human(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (0..units.len() - 1).find(|n| bytes >> (10 * (n + 1)) == 0).unwrap_or(6);
    let tenths = u128::from(bytes) * 10 / (1 << (10 * unit));
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// `ipconfig [/all]`.
pub(crate) fn ipconfig(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let all = match args[1..] {
            [] => false,
            [ref word] if matches!(word.to_ascii_lowercase().as_str(), "/all" | "-all") => true,
            [ref word] if matches!(word.as_str(), "/?" | "-?") => {
                process.print(WINDOWS_USAGE).await;
                return 0;
            }
            _ => {
                let word = args[1].clone();
                let text = format!(
                    "\nError: unrecognized or incomplete command line.\n{WINDOWS_USAGE}\
                     \n{word} is not there: addresses are set in the lab file, or by dhclient.\n"
                );
                process.eprint(&text).await;
                return 1;
            }
        };
        let servers = ResolvConf::of(&process).map_or_else(Vec::new, |c| c.servers);
        let name = process.host_name();
        let text = process.with_stack(|stack, _| windows(stack, &name, &servers, all));
        process.print(&text).await;
        0
    })
}

/// A line: its name is filled up with dots.
fn line(out: &mut String, name: &str, value: &str) {
    let mut dotted = format!("   {name} ");
    while dotted.chars().count() < 37 {
        dotted.push_str(if dotted.chars().count() % 2 == 0 { " " } else { "." });
    }
    let _ = writeln!(out, "{dotted}: {value}");
}

fn windows(stack: &Stack, name: &str, servers: &[IpAddr], all: bool) -> String {
    let mut out = "\nWindows IP Configuration\n\n".to_owned();
    if all {
        line(&mut out, "Host Name", name);
        line(&mut out, "Primary Dns Suffix", "");
        line(&mut out, "Node Type", "Hybrid");
        line(&mut out, "IP Routing Enabled.", if stack.forwards() { "Yes" } else { "No" });
        line(&mut out, "WINS Proxy Enabled.", "No");
    }
    for i in stack.interfaces().iter().filter(|i| !is_loopback(i)) {
        let _ = write!(out, "\nEthernet adapter {}:\n\n", i.name);
        adapter(&mut out, i, stack.routes(), servers, all);
    }
    out
}

fn adapter(out: &mut String, i: &Interface, routes: &[Route], servers: &[IpAddr], all: bool) {
    if !i.up {
        line(out, "Media State", "Media disconnected");
    }
    line(out, "Connection-specific DNS Suffix", "");
    if all {
        line(out, "Description", "Netarium Ethernet Adapter");
        let mac = i.mac.to_string().replace(':', "-").to_uppercase();
        line(out, "Physical Address.", &mac);
        line(out, "Autoconfiguration Enabled", "Yes");
    }
    for a in &i.addresses {
        let preferred = if all { "(Preferred)" } else { "" };
        let kind = if a.address().is_ipv4() { "IPv4 Address." } else { "IPv6 Address." };
        line(out, kind, &format!("{}{preferred}", a.address()));
        if let Some(mask) = a.netmask() {
            line(out, "Subnet Mask", &mask.to_string());
        }
    }
    let gateway = routes.iter().find(|r| r.iface == i.index && r.to.prefix() == 0);
    let gateway = gateway.and_then(|r| r.via).map_or_else(String::new, |g| g.to_string());
    line(out, "Default Gateway", &gateway);
    for (n, server) in servers.iter().enumerate().filter(|_| all) {
        match n {
            0 => line(out, "DNS Servers", &server.to_string()),
            _ => {
                let _ = writeln!(out, "{:39}{server}", "");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{human, line};

    #[test]
    fn bytes_are_net_tools() {
        for (bytes, text) in [
            (0, "0.0 B"),
            (504, "504.0 B"),
            (1_023, "1023.0 B"),
            (1_024, "1.0 KiB"),
            (1_300_000, "1.2 MiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn names_end_in_the_dots_of_windows() {
        let mut out = String::new();
        line(&mut out, "IPv4 Address.", "192.168.17.20");
        line(&mut out, "Connection-specific DNS Suffix", "");
        line(&mut out, "Subnet Mask", "255.255.255.0");
        line(&mut out, "Default Gateway", "192.168.17.1");
        let expect = "   IPv4 Address. . . . . . . . . . . : 192.168.17.20\n   \
                      Connection-specific DNS Suffix  . : \n   \
                      Subnet Mask . . . . . . . . . . . : 255.255.255.0\n   \
                      Default Gateway . . . . . . . . . : 192.168.17.1\n";
        assert_eq!(out, expect);
    }
}
