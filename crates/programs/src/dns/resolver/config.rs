//! `unbound`'s flags and `unbound.conf`.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::rr::{Name, RData, Record, RecordType};
use netarium_wire::Cidr;
use netarium_world::process::Process;

use super::cache::Limits;
use crate::dns::conf::{self, Item};
use crate::dns::server::address;
use crate::dns::text;
use crate::dns::zone::parse;
use crate::getopt;

/// Where unbound looks when no file is given.
const DEFAULT: &str = "/etc/unbound/unbound.conf";
/// Keys of `server:` that say how a real unbound uses its machine, or what is always so here.
const IDLE_KEYS: &[&str] = &[
    "num-threads",
    "outgoing-range",
    "so-rcvbuf",
    "so-sndbuf",
    "so-reuseport",
    "username",
    "chroot",
    "directory",
    "logfile",
    "use-syslog",
    "log-time-ascii",
    "pidfile",
    "do-ip4",
    "do-ip6",
    "do-udp",
    "do-tcp",
    "do-daemonize",
    "hide-identity",
    "hide-version",
    "harden-glue",
    "harden-dnssec-stripped",
    "harden-below-nxdomain",
    "qname-minimisation",
    "module-config",
    "auto-trust-anchor-file",
    "private-address",
    "private-domain",
    "domain-insecure",
    "msg-cache-size",
    "infra-host-ttl",
    "prefetch",
    "minimal-responses",
    "udp-connect",
    "ip-transparent",
    "statistics-interval",
    "extended-statistics",
    "val-log-level",
    "aggressive-nsec",
    "num-queries-per-thread",
];

/// Whether a client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anything.
    AllowSnoop,
    /// With RD only.
    Allow,
    /// It is told REFUSED.
    Refuse,
    /// It is told nothing.
    Deny,
}

/// A part of the name space whose servers are given instead of found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) zone: Name,
    pub(super) servers: Vec<SocketAddr>,
    /// The servers are resolvers themselves, and are asked with RD.
    pub(super) forward: bool,
}

/// What the command line and the configuration ask for.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) addresses: Vec<SocketAddr>,
    /// The root's servers: names with addresses.
    pub(super) root: Vec<(Name, IpAddr)>,
    pub(super) given: Vec<Given>,
    pub(super) access: Vec<(Cidr, Access)>,
    pub(super) local: Vec<Record>,
    pub(super) limits: Limits,
    /// 1 tells starts and failures, 2 each query too.
    pub(super) verbosity: u32,
    pub(super) log_queries: bool,
    pub(super) log_replies: bool,
    /// Questions with letters in random case (0x20).
    pub(super) caps: bool,
}

/// Why the resolver does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A text for standard output, with exit code 0.
    Text(&'static str),
    /// A text for standard error, with exit code 1.
    Wrong(String),
}

const SPEC: getopt::Spec = getopt::Spec { short: "c:dhpvVr:", long: &[] };
const USAGE: &str = "usage:  unbound [options]
	start unbound daemon DNS resolver.
-h	this help.
-c file	config file to read instead of /etc/unbound/unbound.conf
	file format is described in unbound.conf(5).
-d	do not fork into the background.
-p	do not create a pidfile.
-r file	root hints to use, as root-hints in the config file.
-v	verbose (more times to increase verbosity).
-V	show version number and build options.
";

/// Reads the command line, and the configuration file that it names.
pub(super) fn read(process: &Process, args: &[String]) -> Result<Config, Stop> {
    let wrong = |e: getopt::OptError| Stop::Wrong(format!("unbound: {}\n{USAGE}", e.gnu()));
    let (mut file, mut hints, mut verbose) = (None, None, 0);
    for item in SPEC.parse(args).map_err(wrong)? {
        match item {
            getopt::Item::Option('c', value) => file = Some(value),
            getopt::Item::Option('r', value) => hints = Some(value),
            getopt::Item::Option('v', _) => verbose += 1,
            getopt::Item::Option('h', _) => return Err(Stop::Text(USAGE)),
            getopt::Item::Option('V', _) => {
                return Err(Stop::Text("Version 1.17.1 (netarium)\n"));
            }
            getopt::Item::Option(..) => {}
            getopt::Item::Operand(word) => {
                return Err(Stop::Wrong(format!("unbound: unexpected `{word}`\n{USAGE}")));
            }
        }
    }
    let mut config = fresh();
    let path = file.as_deref().unwrap_or(DEFAULT);
    match process.read_file(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(conf::CONF_MAX)]);
            from_file(&mut config, path, &text, &mut hints).map_err(Stop::Wrong)?;
        }
        Err(_) if file.is_none() => {}
        Err(e) => return Err(Stop::Wrong(format!("error: cannot open config file {path}: {e}"))),
    }
    if let Some(path) = hints {
        config.root = root_hints(process, &path).map_err(Stop::Wrong)?;
    }
    config.verbosity += verbose;
    if config.addresses.is_empty() {
        config.addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53));
    }
    let everything = config.given.iter().any(|g| g.zone.is_root());
    if config.root.is_empty() && !everything {
        let text = "error: no root hints: give `root-hints:` in the configuration, or `-r FILE`";
        return Err(Stop::Wrong(text.to_owned()));
    }
    Ok(config)
}

/// What is answered without asking anybody (RFC 6761 §6.3), as the real one has it built in.
const BUILT_IN: [&str; 3] = [
    "localhost. 10800 IN A 127.0.0.1",
    "localhost. 10800 IN AAAA ::1",
    "1.0.0.127.in-addr.arpa. 10800 IN PTR localhost.",
];

fn fresh() -> Config {
    Config {
        addresses: Vec::new(),
        root: Vec::new(),
        given: Vec::new(),
        access: Vec::new(),
        local: BUILT_IN.iter().filter_map(|record| local(record).ok()).collect(),
        limits: Limits::default(),
        verbosity: 1,
        log_queries: false,
        log_replies: false,
        caps: false,
    }
}

/// Takes what a configuration file says.
fn from_file(
    config: &mut Config,
    file: &str,
    contents: &str,
    hints: &mut Option<String>,
) -> Result<(), String> {
    let names = ["server", "forward-zone", "stub-zone", "remote-control", "python", "auth-zone"];
    let sections = conf::parse(file, contents, &names).map_err(|e| e.to_string())?;
    let (mut port, mut interfaces) = (53, Vec::new());
    for section in &sections {
        let mut given = Given {
            zone: Name::root(),
            servers: Vec::new(),
            forward: section.name == "forward-zone",
        };
        for item in &section.items {
            let fail = |what: String| format!("{file}:{}: error: {what}", item.line);
            match (section.name.as_str(), item.key.as_str()) {
                ("server", "interface" | "ip-address") => interfaces.push(item),
                ("server", "port") => port = number(item).map_err(fail)?,
                ("server", "root-hints") => {
                    hints.get_or_insert_with(|| item.value.clone());
                }
                ("server", _) => server(config, item).map_err(fail)?,
                ("forward-zone" | "stub-zone", "name") => given.zone = name(item).map_err(fail)?,
                ("forward-zone", "forward-addr") | ("stub-zone", "stub-addr") => {
                    given.servers.push(address(&item.value, 53).map_err(fail)?);
                }
                ("remote-control", _) => {}
                (of, key) => return Err(fail(format!("`{key}` in `{of}:` is not supported"))),
            }
        }
        match section.name.as_str() {
            "forward-zone" | "stub-zone" if given.servers.is_empty() => {
                return Err(format!("{file}: error: {} without an address", section.name));
            }
            "forward-zone" | "stub-zone" => config.given.push(given),
            _ => {}
        }
    }
    for item in interfaces {
        let fail = |what: String| format!("{file}:{}: error: {what}", item.line);
        config.addresses.push(address(&item.value, port).map_err(fail)?);
    }
    Ok(())
}

/// A key of `server:`.
fn server(config: &mut Config, item: &Item) -> Result<(), String> {
    match item.key.as_str() {
        "verbosity" => config.verbosity = number(item)?,
        "log-queries" => config.log_queries = conf::yes(item)?,
        "log-replies" => config.log_replies = conf::yes(item)?,
        "log-servfail" => {
            conf::yes(item)?;
        }
        "use-caps-for-id" => config.caps = conf::yes(item)?,
        "cache-min-ttl" => config.limits.ttl.0 = number(item)?,
        "cache-max-ttl" => config.limits.ttl.1 = number(item)?,
        "rrset-cache-size" => config.limits.bytes = size(item)?,
        "access-control" => config.access.push(access(&item.value)?),
        "local-data" => config.local.push(local(&item.value)?),
        "local-zone" => {}
        key if IDLE_KEYS.contains(&key) => {}
        key => return Err(format!("unknown keyword `{key}`")),
    }
    if config.limits.ttl.0 > config.limits.ttl.1 {
        return Err("cache-min-ttl is more than cache-max-ttl".to_owned());
    }
    Ok(())
}

fn number<T: std::str::FromStr>(item: &Item) -> Result<T, String> {
    item.value.parse().map_err(|_| format!("expected a number, got `{}`", item.value))
}

fn name(item: &Item) -> Result<Name, String> {
    let parsed = text::parse_name(&item.value, &Name::root());
    parsed.map_err(|e| format!("`{}` is not a name: {e}", item.value))
}

/// Bytes: `4m`.
fn size(item: &Item) -> Result<usize, String> {
    let lower = item.value.to_ascii_lowercase();
    let (digits, unit) = match lower.strip_suffix(['k', 'm', 'g', 'b']) {
        Some(digits) => (digits, lower.as_bytes()[lower.len() - 1]),
        None => (lower.as_str(), b'b'),
    };
    let shift = match unit {
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        _ => 0,
    };
    let wrong = || format!("expected a size such as `4m`, got `{}`", item.value);
    let count: u64 = digits.trim().parse().map_err(|_| wrong())?;
    // A cache of a lab host never needs more than this.
    Ok(count.saturating_mul(1 << shift).min(1 << 30) as usize)
}

fn access(value: &str) -> Result<(Cidr, Access), String> {
    let wrong = || format!("expected `access-control: NETWORK ACTION`, got `{value}`");
    let (network, action) = value.split_once(char::is_whitespace).ok_or_else(wrong)?;
    let action = match action.trim() {
        "allow" => Access::Allow,
        "allow_snoop" => Access::AllowSnoop,
        "refuse" => Access::Refuse,
        "deny" => Access::Deny,
        _ => return Err(wrong()),
    };
    let network = if network.contains('/') { network.to_owned() } else { format!("{network}/32") };
    Ok((network.parse().map_err(|_| wrong())?, action))
}

/// A record in quotes: `"web.lab. 300 IN A 10.0.0.1"`.
fn local(value: &str) -> Result<Record, String> {
    let none = |_: &str| Err("local data includes no files".to_owned());
    let text = format!("$TTL 3600\n{value}\n");
    let parsed = parse::parse("local-data", &text, &Name::root(), &none).map_err(|e| e.what)?;
    parsed.into_iter().next().map(|p| p.record).ok_or_else(|| format!("no record in `{value}`"))
}

/// The root's servers from a master file: each name of an NS record with its addresses.
fn root_hints(process: &Process, path: &str) -> Result<Vec<(Name, IpAddr)>, String> {
    let bytes = process.read_file(path).map_err(|e| format!("error: root hints {path}: {e}"))?;
    let contents = String::from_utf8_lossy(&bytes[..bytes.len().min(conf::CONF_MAX)]);
    let none = |_: &str| Err("hints include no files".to_owned());
    let parsed =
        parse::parse(path, &contents, &Name::root(), &none).map_err(|e| format!("error: {e}"))?;
    let servers: Vec<&Name> = parsed
        .iter()
        .filter(|p| p.record.name.is_root() && p.record.record_type() == RecordType::NS)
        .filter_map(|p| match &p.record.data {
            RData::NS(ns) => Some(&ns.0),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for parsed in &parsed {
        let owner = &parsed.record.name;
        match &parsed.record.data {
            RData::A(a) if servers.contains(&owner) => found.push((owner.clone(), IpAddr::V4(a.0))),
            RData::AAAA(a) if servers.contains(&owner) => {
                found.push((owner.clone(), IpAddr::V6(a.0)))
            }
            _ => {}
        }
    }
    if found.is_empty() {
        Err(format!("error: {path} names no root server with an address"))
    } else {
        Ok(found)
    }
}
