//! `nsd`'s flags and `nsd.conf`.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::rr::Name;
use netarium_world::process::Process;

use crate::dns::conf::{self, Item};
use crate::dns::text;
use crate::getopt;

/// Where NSD looks when no file is given.
const DEFAULT: &str = "/etc/nsd/nsd.conf";
/// Keys of `server:` that say how a real NSD uses its machine, and mean nothing here.
const IDLE_KEYS: &[&str] = &[
    "server-count",
    "cpu-affinity",
    "ip-transparent",
    "ip-freebind",
    "reuseport",
    "do-ip4",
    "do-ip6",
    "username",
    "chroot",
    "pidfile",
    "logfile",
    "log-only-syslog",
    "log-time-ascii",
    "database",
    "zonelistfile",
    "xfrdfile",
    "xfrdir",
    "statistics",
    "tcp-count",
    "tcp-timeout",
    "tcp-query-count",
    "xfrd-reload-timeout",
    "zonefiles-check",
    "zonefiles-write",
    "round-robin",
    "ipv6-edns-size",
    "hide-version",
    "hide-identity",
    "identity",
    "version",
    "nsid",
    "rrl-ratelimit",
    "answer-cookie",
    "refuse-any",
];

/// What the command line and the configuration ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) zones: Vec<ZoneFile>,
    pub(super) minimal: bool,
    pub(super) edns_size: u16,
    /// From 1 on, each query has its line in the log.
    pub(super) verbosity: u32,
}

/// A zone and its master file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ZoneFile {
    pub(super) apex: Name,
    pub(super) path: String,
}

/// Why the server does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A text for standard output, with exit code 0.
    Text(&'static str),
    /// A text for standard error, with exit code 1.
    Wrong(String),
}

const SPEC: getopt::Spec = getopt::Spec { short: "46a:c:dhp:vV:", long: &[] };
const USAGE: &str = "Usage: nsd [OPTION]... [ZONE=FILE]...
Name Server Daemon.

Supported options:
  -4                   Only listen to IPv4 connections.
  -a ip-address[@port] Listen to the specified incoming IP address (and port)
                       May be specified multiple times).
  -c configfile        Read specified configfile instead of /etc/nsd/nsd.conf.
  -d                   do not fork as a daemon process.
  -h                   Print this help information.
  -p port              Answer queries on this port (default 53).
  -v                   Print version information.
  -V level             Specify verbosity level.
";

/// Reads the command line, and the configuration file that it names.
pub(super) fn read(process: &Process, args: &[String]) -> Result<Config, Stop> {
    let wrong = |text: String| Stop::Wrong(format!("nsd: {text}"));
    let items = SPEC.parse(args).map_err(|e| Stop::Wrong(format!("nsd: {}\n{USAGE}", e.gnu())))?;
    let (mut file, mut addresses, mut port, mut zones, mut verbosity) =
        (None, Vec::new(), 53, Vec::new(), None);
    for item in items {
        match item {
            getopt::Item::Option('a', value) => addresses.push(value),
            getopt::Item::Option('c', value) => file = Some(value),
            getopt::Item::Option('p', value) => {
                port = value.parse().map_err(|_| wrong(format!("invalid port: {value}")))?;
            }
            getopt::Item::Option('V', value) => verbosity = value.parse().ok(),
            getopt::Item::Option('h', _) => return Err(Stop::Text(USAGE)),
            getopt::Item::Option('v', _) => {
                return Err(Stop::Text("NSD version 4.6.1 (netarium)\n"));
            }
            getopt::Item::Option(..) => {}
            getopt::Item::Operand(pair) => {
                let (zone, path) = pair
                    .split_once('=')
                    .ok_or_else(|| wrong(format!("expected ZONE=FILE, got `{pair}`")))?;
                zones.push(ZoneFile { apex: apex(zone).map_err(wrong)?, path: path.to_owned() });
            }
        }
    }
    let mut config =
        Config { addresses: Vec::new(), zones, minimal: false, edns_size: 1_232, verbosity: 1 };
    let needed = file.is_some() || config.zones.is_empty();
    let path = file.as_deref().unwrap_or(DEFAULT);
    match process.read_file(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(conf::CONF_MAX)]);
            from_file(&mut config, path, &text, &mut port).map_err(Stop::Wrong)?;
        }
        Err(_) if !needed => {}
        Err(e) => return Err(wrong(format!("could not read config: {path}: {e}"))),
    }
    if !addresses.is_empty() {
        let parse = |a: &String| address(a, port).map_err(&wrong);
        config.addresses = addresses.iter().map(parse).collect::<Result<_, _>>()?;
    }
    if config.addresses.is_empty() {
        config.addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port));
    }
    config.verbosity = verbosity.unwrap_or(config.verbosity);
    Ok(config)
}

/// Takes what a configuration file says.
fn from_file(
    config: &mut Config,
    file: &str,
    contents: &str,
    port: &mut u16,
) -> Result<(), String> {
    let sections = ["server", "zone", "remote-control", "pattern", "key"];
    let sections = conf::parse(file, contents, &sections).map_err(|e| e.to_string())?;
    let (mut folder, mut addresses) = ("/etc/nsd".to_owned(), Vec::new());
    for section in &sections {
        let (mut apex_of, mut path) = (None, None);
        for item in &section.items {
            let fail = |what: String| format!("{file}:{}: error: {what}", item.line);
            match (section.name.as_str(), item.key.as_str()) {
                ("server", "zonesdir") => folder.clone_from(&item.value),
                ("server", "ip-address" | "interface") => {
                    addresses.push((item, item.value.clone()))
                }
                ("server", _) => server(config, item, port).map_err(fail)?,
                ("zone", "name") => apex_of = Some(apex(&item.value).map_err(fail)?),
                ("zone", "zonefile") => path = Some(item.value.clone()),
                ("remote-control", _) => {}
                (of, key) => return Err(fail(format!("`{key}` in `{of}:` is not supported"))),
            }
        }
        match (section.name.as_str(), apex_of, path) {
            ("zone", Some(apex), Some(path)) => {
                let path = if path.starts_with('/') { path } else { format!("{folder}/{path}") };
                config.zones.push(ZoneFile { apex, path });
            }
            ("zone", ..) => {
                return Err(format!("{file}: error: a zone needs `name:` and `zonefile:`"));
            }
            _ => {}
        }
    }
    for (item, text) in addresses {
        let fail = |what: String| format!("{file}:{}: error: {what}", item.line);
        config.addresses.push(address(&text, *port).map_err(fail)?);
    }
    Ok(())
}

/// A key of `server:`.
fn server(config: &mut Config, item: &Item, port: &mut u16) -> Result<(), String> {
    let number = || format!("expected a number, got `{}`", item.value);
    match item.key.as_str() {
        "port" => *port = item.value.parse().map_err(|_| number())?,
        "verbosity" => config.verbosity = item.value.parse().map_err(|_| number())?,
        "ipv4-edns-size" => {
            let size: u16 = item.value.parse().map_err(|_| number())?;
            config.edns_size = size.clamp(512, 4_096);
        }
        "minimal-responses" => config.minimal = conf::yes(item)?,
        key if IDLE_KEYS.contains(&key) => {}
        key => return Err(format!("unknown keyword `{key}`")),
    }
    Ok(())
}

fn apex(zone: &str) -> Result<Name, String> {
    text::parse_name(zone, &Name::root()).map_err(|e| format!("`{zone}` is not a zone: {e}"))
}

/// `10.0.0.1` or `10.0.0.1@5353`.
pub(crate) fn address(value: &str, port: u16) -> Result<SocketAddr, String> {
    let (ip, port) = match value.split_once('@') {
        Some((ip, port)) => (ip, port.parse().map_err(|_| format!("`{port}` is not a port"))?),
        None => (value, port),
    };
    let ip = ip.parse().map_err(|_| format!("`{ip}` is not an address"))?;
    Ok(SocketAddr::new(ip, port))
}
