//! What `--flags` set: those of the script, then those of the command line.

use core::net::{IpAddr, Ipv4Addr};

use crate::script::Flag;

/// The settings of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The address of the host under test.
    pub local_ip: Ipv4Addr,
    /// The address that inbound packets come from.
    pub remote_ip: Ipv4Addr,
    /// The port of `bind(3, ..., ...)`.
    pub bind_port: u16,
    /// The port of `connect(3, ..., ...)`.
    pub connect_port: u16,
    /// The MTU of the host's interface, bytes.
    pub mtu: u16,
    /// How far from its time an event may be, microseconds.
    pub tolerance_usecs: i64,
    /// The same in percent of the time since the event before.
    pub tolerance_percent: i64,
    /// Microseconds per tick of the TCP timestamps to be checked; 0 does not check them.
    pub tcp_ts_tick_usecs: i64,
    /// Packets that differ are noted, and the script goes on.
    pub non_fatal_packets: bool,
    /// Calls that return something else are noted, and the script goes on.
    pub non_fatal_calls: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            local_ip: Ipv4Addr::new(192, 168, 0, 1),
            remote_ip: Ipv4Addr::new(192, 0, 2, 1),
            bind_port: 8080,
            connect_port: 8080,
            mtu: 1500,
            tolerance_usecs: 4000,
            tolerance_percent: 1,
            tcp_ts_tick_usecs: 0,
            non_fatal_packets: false,
            non_fatal_calls: false,
        }
    }
}

/// Why flags do not make a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagError {
    /// Correct packetdrill that this drill leaves out.
    Unsupported(String),
    /// Not a flag, or not a value of it. The line is that of the script, 0 on the command line.
    Wrong(u32, String),
}

/// Flags of packetdrill that have no meaning in virtual time.
const IGNORED: &[&str] = &[
    "D",
    "code_command",
    "code_format",
    "code_sockopt",
    "debug",
    "define",
    "dry_run",
    "dump",
    "gateway_ip",
    "init_scripts",
    "is_anyip",
    "mss",
    "netmask_ip",
    "no_cleanup",
    "prefix",
    "socktype_address",
    "speed",
    "strict_segments",
    "verbose",
    "v",
];

impl Config {
    /// The settings that flags ask for; later ones win. A script that names several IP versions
    /// runs with IPv4.
    ///
    /// # Errors
    /// An unknown flag, a value out of range, or what needs IPv6 or a second machine.
    pub fn of(flags: &[Flag]) -> Result<Config, FlagError> {
        let mut config = Config::default();
        let ip_versions: Vec<&str> = flags
            .iter()
            .filter(|f| f.name == "ip_version")
            .filter_map(|f| f.value.as_deref())
            .collect();
        let several = ip_versions.len() > 1 && ip_versions.contains(&"ipv4");
        for flag in flags {
            if flag.name == "ip_version" && several {
                continue;
            }
            config.apply(flag)?;
        }
        Ok(config)
    }

    fn apply(&mut self, flag: &Flag) -> Result<(), FlagError> {
        let name = flag.name.as_str();
        match name {
            "ip_version" => ip_version(flag)?,
            "local_ip" => set_address(&mut self.local_ip, flag)?,
            "remote_ip" => set_address(&mut self.remote_ip, flag)?,
            "bind_port" => self.bind_port = number(flag, 65_535)? as u16,
            "connect_port" => self.connect_port = number(flag, 65_535)? as u16,
            "mtu" => {
                self.mtu = number(flag, 65_535)?.max(68) as u16;
            }
            "tolerance_usecs" => self.tolerance_usecs = number(flag, 60_000_000)?,
            "tolerance_percent" => self.tolerance_percent = number(flag, 100)?,
            "tcp_ts_tick_usecs" => self.tcp_ts_tick_usecs = number(flag, 10_000_000)?,
            "non_fatal" => {
                let list = flag.value.clone().unwrap_or_default();
                self.non_fatal_packets = list.split(',').any(|w| w == "packet");
                self.non_fatal_calls = list.split(',').any(|w| w == "syscall");
            }
            _ if IGNORED.contains(&name) => {}
            _ if name.starts_with("wire_") || name.starts_with("so_") => {
                return Err(FlagError::Unsupported(format!("--{name} needs a second machine")));
            }
            _ if name.starts_with("udp_") || name.starts_with("sctp") => {
                return Err(FlagError::Unsupported(format!("--{name}")));
            }
            _ => {
                return Err(FlagError::Wrong(flag.line, format!("--{name} is not a known flag")));
            }
        }
        Ok(())
    }
}

fn ip_version(flag: &Flag) -> Result<(), FlagError> {
    match flag.value.as_deref() {
        Some("ipv4") => Ok(()),
        Some("ipv6" | "ipv4-mapped-ipv6") => Err(FlagError::Unsupported("IPv6".to_owned())),
        _ => Err(FlagError::Wrong(flag.line, "--ip_version is ipv4 or ipv6".to_owned())),
    }
}

fn set_address(address: &mut Ipv4Addr, flag: &Flag) -> Result<(), FlagError> {
    match flag.value.as_deref().map(str::parse::<IpAddr>) {
        Some(Ok(IpAddr::V4(v4))) => *address = v4,
        // Scripts for both versions give both addresses.
        Some(Ok(IpAddr::V6(_))) => {}
        _ => {
            let text = format!("--{} needs an IP address", flag.name);
            return Err(FlagError::Wrong(flag.line, text));
        }
    }
    Ok(())
}

fn number(flag: &Flag, max: i64) -> Result<i64, FlagError> {
    let value = flag.value.as_deref().and_then(|v| v.parse::<i64>().ok());
    value.filter(|n| (0..=max).contains(n)).ok_or_else(|| {
        let text = format!("--{} needs a number between 0 and {max}", flag.name);
        FlagError::Wrong(flag.line, text)
    })
}
