//! Sysctls of scripts, as settings of this TCP.
//!
//! Those of Linux (`net.ipv4.tcp_*`) mostly have a setting of the same name. Scripts written for
//! FreeBSD set `net.inet.tcp.*` and `kern.ipc.*`; where these have a meaning here, they are mapped
//! too, and the host then behaves as such scripts expect: its window is the whole receive buffer.

use netarium_base::Duration;
use netarium_stack::tcp::TcpConfig;
use netarium_stack::tcp::config::{Congestion, Ecn, SynCookies, TimeWaitReuse};

/// What became of a sysctl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// It is set.
    Yes,
    /// It changes nothing here, and why.
    Ignored(&'static str),
    /// It would change what the script sees, and is left out: the script cannot be run.
    No(String),
    /// Nobody knows it here; the script is run, with a note.
    Unknown(String),
}

/// What kind of system a script is written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Linux.
    #[default]
    Linux,
    /// FreeBSD.
    Bsd,
}

/// The settings of packetdrill's `defaults.sh`, on top of the system's own.
pub fn packetdrill_defaults(config: &mut TcpConfig) {
    for (name, value) in DEFAULTS {
        // Each is mapped; a test sees to it.
        let _ = set_linux(config, name, value);
    }
}

/// Name without `net.ipv4.`, and value, of each line of `defaults.sh` that has a meaning here.
const DEFAULTS: &[(&str, &str)] = &[
    ("tcp_rmem", "4096 540000 15728640"),
    ("tcp_wmem", "4096 262144 4194304"),
    ("tcp_timestamps", "1"),
    ("tcp_syn_retries", "5"),
    ("tcp_synack_retries", "5"),
    ("tcp_frto", "2"),
    ("tcp_sack", "1"),
    ("tcp_dsack", "1"),
    ("tcp_reordering", "3"),
    ("tcp_congestion_control", "cubic"),
    ("tcp_slow_start_after_idle", "0"),
    ("tcp_early_retrans", "4"),
    ("tcp_recovery", "1"),
    ("tcp_ecn", "0"),
    ("tcp_notsent_lowat", "4294967295"),
    ("tcp_syncookies", "1"),
];

/// Sets `name` to `value`; `dialect` becomes that of the name.
pub fn set(config: &mut TcpConfig, dialect: &mut Dialect, name: &str, value: &str) -> Mapped {
    let name = name.replace('/', ".");
    let name = name.strip_prefix(".proc.sys.").unwrap_or(&name);
    if let Some(rest) = name.strip_prefix("net.ipv4.") {
        return set_linux(config, rest, value);
    }
    if let Some(rest) = name.strip_prefix("net.core.") {
        return set_core(config, rest, value);
    }
    if name.starts_with("net.inet.") || name.starts_with("kern.") || name.starts_with("net.inet6.")
    {
        if *dialect == Dialect::Linux {
            *dialect = Dialect::Bsd;
            freebsd_defaults(config);
        }
        return set_bsd(config, name, value);
    }
    if name.starts_with("net.ipv6.") {
        return Mapped::Ignored("IPv6");
    }
    Mapped::Unknown(format!("sysctl {name}"))
}

/// What FreeBSD does in another way than Linux, as far as scripts see it.
pub(crate) fn freebsd_defaults(config: &mut TcpConfig) {
    config.adv_win_scale = 0;
    (config.rmem.default, config.wmem.default) = (65_536, 32_768);
    config.slow_start_after_idle = true;
    config.tw_reuse = TimeWaitReuse::Off;
    config.syn_linear_timeouts = 0;
    // Challenge ACKs are limited per host and second only.
    config.invalid_ratelimit = Duration::ZERO;
}

/// A number as shells and `/proc` write it.
fn number(value: &str) -> Option<i64> {
    let value = value.trim();
    match value.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => value.parse().ok(),
    }
}

fn seconds(n: i64) -> Duration {
    Duration::from_secs(n.clamp(0, 1 << 31) as u64)
}

fn millis(n: i64) -> Duration {
    Duration::from_millis(n.clamp(0, 1 << 40) as u64)
}

fn byte(n: i64) -> u8 {
    n.clamp(0, 255) as u8
}

fn word(n: i64) -> u32 {
    n.clamp(0, u32::MAX.into()) as u32
}

/// Those of Linux that take words or several numbers.
fn set_linux(config: &mut TcpConfig, name: &str, value: &str) -> Mapped {
    match name {
        "tcp_congestion_control" => match Congestion::from_name(value.trim()) {
            Some(c) => config.congestion = c,
            None => return Mapped::No(format!("congestion control {value}")),
        },
        "tcp_rmem" | "tcp_wmem" => {
            let parts: Vec<Option<i64>> = value.split_whitespace().map(number).collect();
            let &[Some(min), Some(default), Some(max)] = parts.as_slice() else {
                return Mapped::No(format!("{name} takes three numbers, not `{value}`"));
            };
            let memory = if name == "tcp_rmem" { &mut config.rmem } else { &mut config.wmem };
            (memory.min, memory.default, memory.max) = (word(min), word(default), word(max));
        }
        "ip_local_port_range" => {
            let parts: Vec<Option<i64>> = value.split_whitespace().map(number).collect();
            let &[Some(from @ 1..=65_535), Some(to @ 1..=65_535)] = parts.as_slice() else {
                return Mapped::No(format!("{name} takes two ports, not `{value}`"));
            };
            config.local_port_range = (from as u16, to.max(from) as u16);
        }
        _ => {
            let Some(n) = number(value) else {
                return ignored(name).unwrap_or_else(|| {
                    Mapped::No(format!("net.ipv4.{name} takes a number, not `{value}`"))
                });
            };
            return set_linux_number(config, name, n);
        }
    }
    Mapped::Yes
}

fn set_linux_number(config: &mut TcpConfig, name: &str, n: i64) -> Mapped {
    match name {
        "tcp_window_scaling" => config.window_scaling = n != 0,
        "tcp_timestamps" => config.timestamps = n != 0,
        "tcp_sack" => config.sack = n != 0,
        "tcp_dsack" => config.dsack = n != 0,
        "tcp_ecn" => {
            config.ecn = match n {
                0 => Ecn::Off,
                1 => Ecn::On,
                2 => Ecn::ServerOnly,
                _ => return Mapped::No("AccECN (tcp_ecn above 2)".to_owned()),
            }
        }
        "tcp_early_retrans" => config.early_retrans = n >= 3,
        "tcp_recovery" => config.recovery = n & 1 != 0,
        "tcp_frto" => config.frto = n != 0,
        "tcp_reordering" => config.reordering = word(n),
        "tcp_max_reordering" => config.max_reordering = word(n),
        "tcp_slow_start_after_idle" => config.slow_start_after_idle = n != 0,
        "tcp_pacing_ss_ratio" => config.pacing_ss_ratio = n.clamp(0, 1_000) as u16,
        "tcp_pacing_ca_ratio" => config.pacing_ca_ratio = n.clamp(0, 1_000) as u16,
        "tcp_syncookies" => {
            config.syn_cookies = match n {
                0 => SynCookies::Off,
                1 => SynCookies::WhenFull,
                _ => SynCookies::Always,
            }
        }
        "tcp_rfc1337" => config.rfc1337 = n != 0,
        "tcp_abort_on_overflow" => config.abort_on_overflow = n != 0,
        "tcp_max_syn_backlog" => config.max_syn_backlog = word(n),
        "tcp_tw_reuse" => {
            config.tw_reuse = match n {
                0 => TimeWaitReuse::Off,
                1 => TimeWaitReuse::On,
                _ => TimeWaitReuse::Loopback,
            }
        }
        "tcp_max_tw_buckets" => config.max_tw_buckets = word(n),
        "tcp_max_orphans" => config.max_orphans = word(n),
        _ => return set_linux_timer(config, name, n),
    }
    Mapped::Yes
}

/// Retries, timers and limits.
fn set_linux_timer(config: &mut TcpConfig, name: &str, n: i64) -> Mapped {
    match name {
        "tcp_fin_timeout" => config.fin_timeout = seconds(n),
        "tcp_retries1" => config.retries1 = byte(n),
        "tcp_retries2" => config.retries2 = byte(n),
        "tcp_orphan_retries" => config.orphan_retries = if n == 0 { 8 } else { byte(n) },
        "tcp_syn_retries" => config.syn_retries = byte(n),
        "tcp_synack_retries" => config.synack_retries = byte(n),
        "tcp_syn_linear_timeouts" => config.syn_linear_timeouts = byte(n),
        "tcp_rto_min_us" => config.min_rto = Duration::from_micros(n.max(0) as u64),
        "tcp_rto_max_ms" => config.max_rto = millis(n),
        "tcp_keepalive_time" => config.keepalive_time = seconds(n),
        "tcp_keepalive_intvl" => config.keepalive_intvl = seconds(n),
        "tcp_keepalive_probes" => config.keepalive_probes = byte(n),
        "tcp_moderate_rcvbuf" => config.moderate_rcvbuf = n != 0,
        "tcp_adv_win_scale" => config.adv_win_scale = n.clamp(-16, 16) as i8,
        "tcp_notsent_lowat" => config.notsent_lowat = word(n),
        "tcp_invalid_ratelimit" => config.invalid_ratelimit = millis(n),
        "tcp_challenge_ack_limit" => config.challenge_ack_limit = word(n),
        "tcp_min_snd_mss" => config.min_snd_mss = n.clamp(48, 65_535) as u16,
        "ip_default_ttl" => config.default_ttl = byte(n).max(1),
        "route.min_pmtu" | "min_pmtu" => config.min_pmtu = n.clamp(68, 65_535) as u16,
        "route.mtu_expires" => config.mtu_expires = seconds(n),
        "tcp_tw_reuse_delay" if n != 1000 => {
            return Mapped::No("tcp_tw_reuse_delay: a second here".to_owned());
        }
        "tcp_tw_reuse_delay" => return Mapped::Ignored("the default is what this TCP does"),
        "tcp_mtu_probing" if n != 0 => return Mapped::No("MTU probing".to_owned()),
        "tcp_fastopen" => return Mapped::Ignored("no TCP Fast Open: it stays off"),
        _ => {
            return ignored(name)
                .unwrap_or_else(|| Mapped::Unknown(format!("sysctl net.ipv4.{name}")));
        }
    }
    Mapped::Yes
}

/// Sysctls of Linux that change nothing that a script could see here.
fn ignored(name: &str) -> Option<Mapped> {
    Some(Mapped::Ignored(match name {
        "tcp_fack" | "tcp_low_latency" | "tcp_thin_dupack" | "tcp_thin_linear_timeouts" => {
            "no longer in Linux"
        }
        "tcp_no_metrics_save" | "tcp_no_ssthresh_metrics_save" | "route.flush" => {
            "no metrics are kept"
        }
        "tcp_tso_win_divisor"
        | "tcp_min_tso_segs"
        | "tcp_limit_output_bytes"
        | "tcp_autocorking"
        | "tcp_tso_rtt_log" => "segments leave one by one, at once",
        "tcp_comp_sack_delay_ns"
        | "tcp_comp_sack_nr"
        | "tcp_comp_sack_slack_ns"
        | "tcp_comp_sack_rtt_percent" => "acknowledgements are not compressed",
        "tcp_mem"
        | "tcp_app_win"
        | "tcp_backlog_ack_defer"
        | "tcp_shrink_window"
        | "tcp_min_rtt_wlen"
        | "tcp_stdurg"
        | "tcp_workaround_signed_windows"
        | "tcp_reflect_tos"
        | "tcp_collapse_max_bytes" => "the default is what this TCP does",
        "tcp_base_mss"
        | "tcp_mtu_probe_floor"
        | "tcp_probe_threshold"
        | "tcp_probe_interval"
        | "tcp_mtu_probing"
        | "ip_no_pmtu_disc" => "no MTU probing",
        "tcp_available_congestion_control" | "tcp_allowed_congestion_control" => "read only",
        "icmp_ratelimit" | "icmp_ratemask" | "icmp_msgs_per_sec" => "ICMP has its own limit",
        _ if name.starts_with("tcp_fastopen") => "no TCP Fast Open: it stays off",
        _ if name.starts_with("tcp_plb") || name.starts_with("conf.") => "no meaning for one wire",
        _ => return None,
    }))
}

fn set_core(config: &mut TcpConfig, name: &str, value: &str) -> Mapped {
    let Some(n) = number(value) else {
        return Mapped::Ignored("not a number of this host");
    };
    match name {
        "rmem_max" => config.core_rmem_max = word(n),
        "wmem_max" => config.core_wmem_max = word(n),
        "somaxconn" => config.somaxconn = word(n),
        _ => return Mapped::Ignored("queues of a real kernel"),
    }
    Mapped::Yes
}

fn set_bsd(config: &mut TcpConfig, name: &str, value: &str) -> Mapped {
    if name == "net.inet.tcp.cc.algorithm" {
        match Congestion::from_name(&value.replace("newreno", "reno")) {
            Some(c) => config.congestion = c,
            None => return Mapped::No(format!("congestion control {value}")),
        }
        return Mapped::Yes;
    }
    let Some(n) = number(value) else {
        return Mapped::Ignored("not a number");
    };
    match name {
        "kern.ipc.maxsockbuf" => {
            (config.rmem.max, config.wmem.max) = (word(n), word(n));
            (config.core_rmem_max, config.core_wmem_max) = (word(n), word(n));
        }
        "kern.ipc.somaxconn" | "kern.ipc.soacceptqueue" => config.somaxconn = word(n),
        "net.inet.ip.ttl" => config.default_ttl = byte(n).max(1),
        _ => match name.strip_prefix("net.inet.tcp.") {
            Some(rest) => return set_bsd_tcp(config, rest, n),
            None => return Mapped::Ignored("no meaning here"),
        },
    }
    Mapped::Yes
}

fn set_bsd_tcp(config: &mut TcpConfig, name: &str, n: i64) -> Mapped {
    match name {
        "rfc1323" => {
            // 1 both, 2 window scaling only, 3 timestamps only.
            config.window_scaling = n == 1 || n == 2;
            config.timestamps = n == 1 || n == 3;
        }
        "sack.enable" => config.sack = n != 0,
        "ecn.enable" => {
            config.ecn = match n {
                0 => Ecn::Off,
                1 => Ecn::On,
                2 => Ecn::ServerOnly,
                _ => return Mapped::No("AccECN".to_owned()),
            }
        }
        "recvspace" => config.rmem.default = word(n),
        "sendspace" => config.wmem.default = word(n),
        "recvbuf_auto" => config.moderate_rcvbuf = n != 0,
        "recvbuf_max" => config.rmem.max = word(n),
        "sendbuf_max" => config.wmem.max = word(n),
        "rexmit_initial" => config.initial_rto = millis(n),
        "rexmit_min" => config.min_rto = millis(n),
        "rexmit_slop" => return Mapped::Ignored("added by FreeBSD to the time-out"),
        "initcwnd_segments" => config.initial_window = word(n),
        "msl" => config.time_wait = millis(n.saturating_mul(2)),
        "finwait2_timeout" => config.fin_timeout = millis(n),
        "keepidle" => config.keepalive_time = millis(n),
        "keepintvl" => config.keepalive_intvl = millis(n),
        "keepcnt" => config.keepalive_probes = byte(n),
        "syncookies" => {
            config.syn_cookies = if n == 0 { SynCookies::Off } else { SynCookies::WhenFull };
        }
        "syncookies_only" if n != 0 => config.syn_cookies = SynCookies::Always,
        "syncache.rexmtlimit" => config.synack_retries = byte(n),
        "insecure_rst" | "insecure_syn" | "insecure_ack" if n != 0 => {
            return Mapped::No(format!("net.inet.tcp.{name}: RFC 5961 stays on"));
        }
        "blackhole" | "drop_synfin" | "log_in_vain" if n != 0 => {
            return Mapped::No(format!("net.inet.tcp.{name}"));
        }
        "delayed_ack" if n == 0 => {
            config.delayed_ack_min = Duration::ZERO;
            config.delayed_ack_max = Duration::ZERO;
        }
        "delacktime" => {
            config.delayed_ack_min = millis(n);
            config.delayed_ack_max = millis(n);
        }
        _ => return Mapped::Ignored("no meaning here, or the default is what this TCP does"),
    }
    Mapped::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_mapped() {
        for (name, value) in DEFAULTS {
            assert_eq!(set_linux(&mut TcpConfig::default(), name, value), Mapped::Yes, "{name}");
        }
    }

    #[test]
    fn both_spellings_of_a_name_mean_the_same() {
        let (mut config, mut dialect) = (TcpConfig::default(), Dialect::Linux);
        let done = set(&mut config, &mut dialect, "/proc/sys/net/ipv4/tcp_ecn", "1");
        assert_eq!((done, config.ecn), (Mapped::Yes, Ecn::On));
        let done = set(&mut config, &mut dialect, "net.ipv4.tcp_ecn", "0");
        assert_eq!((done, config.ecn, dialect), (Mapped::Yes, Ecn::Off, Dialect::Linux));
    }

    #[test]
    fn a_sysctl_of_freebsd_changes_the_dialect() {
        let (mut config, mut dialect) = (TcpConfig::default(), Dialect::Linux);
        let done = set(&mut config, &mut dialect, "net.inet.tcp.recvspace", "65536");
        assert_eq!((done, dialect), (Mapped::Yes, Dialect::Bsd));
        assert_eq!(config.window_of(config.rmem.default), 65_536);
    }

    #[test]
    fn what_has_no_meaning_says_so() {
        let (mut config, mut dialect) = (TcpConfig::default(), Dialect::Linux);
        let before = config.clone();
        for (name, value) in [("net.ipv4.tcp_nonsense", "1"), ("vm.swappiness", "1")] {
            let done = set(&mut config, &mut dialect, name, value);
            assert!(matches!(done, Mapped::Unknown(_)), "{name}: {done:?}");
        }
        assert_eq!(config, before);
    }
}
