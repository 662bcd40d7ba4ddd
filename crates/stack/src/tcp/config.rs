//! The settings of a host that its connections start with: what Linux' `net.ipv4.tcp_*` sysctls
//! control, under the same names where the meaning is the same.
//!
//! The connections of a host share one value behind an `Rc`; changing the settings gives a new value
//! to connections that begin afterwards.

use netarium_base::Duration;

/// How the packets of a host look: option order, windows, TTL and timing of a family of systems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireProfile {
    /// As current Linux: `mss,sackOK,TS,nop,wscale`, window 64240, TTL 64.
    #[default]
    Linux,
    /// As current Windows: `mss,nop,wscale,nop,nop,sackOK`, no timestamps, TTL 128.
    Windows,
}

/// Explicit congestion notification (RFC 3168), as `tcp_ecn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// Never.
    Off,
    /// Asked for and granted.
    On,
    /// Granted to a peer that asks, never asked for.
    #[default]
    ServerOnly,
}

/// A congestion control algorithm, as `tcp_congestion_control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 5681.
    Reno,
    /// RFC 9438.
    #[default]
    Cubic,
}

impl Congestion {
    /// The name that TCP_CONGESTION takes.
    pub const fn name(self) -> &'static str {
        match self {
            Congestion::Reno => "reno",
            Congestion::Cubic => "cubic",
        }
    }

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<Congestion> {
        [Congestion::Reno, Congestion::Cubic].into_iter().find(|c| c.name() == name)
    }
}

/// How CUBIC's slow start ends before a queue overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hystart {
    /// It does not: only loss ends it.
    Off,
    /// HyStart as Linux has it: at once, by the round trip or by the length of an ACK train.
    Classic,
    /// HyStart++ (RFC 9406): through a phase of slower growth.
    #[default]
    PlusPlus,
}

/// When a listener answers with SYN cookies (RFC 4987 §3.6), as `tcp_syncookies`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SynCookies {
    /// Never: SYNs that do not fit into the queue are dropped.
    Off,
    /// When the queue is full.
    #[default]
    WhenFull,
    /// Always.
    Always,
}

/// When `connect` may take over end points in TIME-WAIT (RFC 6191), as `tcp_tw_reuse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeWaitReuse {
    /// Never.
    Off,
    /// After a second, when timestamps protect the new connection.
    On,
    /// As `On`, between addresses of this host only.
    #[default]
    Loopback,
}

/// Bytes of a buffer: least, at the start, at most; as `tcp_rmem` and `tcp_wmem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What is always granted.
    pub min: u32,
    /// At the start of a connection.
    pub default: u32,
    /// Automatic tuning goes up to here.
    pub max: u32,
}

/// Settings that every connection of a host starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    /// What the packets look like.
    pub wire_profile: WireProfile,
    /// Offer and accept window scaling (RFC 7323 §2).
    pub window_scaling: bool,
    /// Offer and accept timestamps (RFC 7323 §3).
    pub timestamps: bool,
    /// Offer and accept selective acknowledgements (RFC 2018).
    pub sack: bool,
    /// Report duplicates with SACK (RFC 2883).
    pub dsack: bool,
    /// Explicit congestion notification.
    pub ecn: Ecn,
    /// Congestion control, unless the socket asks for another.
    pub congestion: Congestion,
    /// How slow start of CUBIC ends, as `hystart` of Linux' `tcp_cubic`.
    pub hystart: Hystart,
    /// Initial congestion window, segments (RFC 6928: 10).
    pub initial_window: u32,
    /// Tail loss probes (RFC 8985 §7), as `tcp_early_retrans` 3.
    pub early_retrans: bool,
    /// Time-based loss detection (RFC 8985), as bit 0 of `tcp_recovery`.
    pub recovery: bool,
    /// Spurious time-outs are detected (RFC 5682), as `tcp_frto`.
    pub frto: bool,
    /// Initial reordering degree, segments.
    pub reordering: u32,
    /// The largest reordering degree taken for such, segments.
    pub max_reordering: u32,
    /// The congestion window restarts after idle (RFC 5681 §4.1).
    pub slow_start_after_idle: bool,
    /// Connections are paced, also those that do not ask for it with SO_MAX_PACING_RATE.
    pub pacing: bool,
    /// The pacing rate in slow start, percent of a window per round trip (`tcp_pacing_ss_ratio`).
    pub pacing_ss_ratio: u16,
    /// The same in congestion avoidance (`tcp_pacing_ca_ratio`).
    pub pacing_ca_ratio: u16,
    /// SYN cookies.
    pub syn_cookies: SynCookies,
    /// A RST does not end TIME-WAIT (RFC 1337).
    pub rfc1337: bool,
    /// A handshake that completes into a full accept queue is reset instead of ignored.
    pub abort_on_overflow: bool,
    /// Connections in SYN-RECEIVED per listener at most; the backlog limits them too.
    pub max_syn_backlog: u32,
    /// The largest backlog.
    pub somaxconn: u32,
    /// Twice the maximum segment lifetime: how long TIME-WAIT lasts. RFC 9293 suggests 4 minutes,
    /// Linux uses one.
    pub time_wait: Duration,
    /// Whether `connect` reuses end points in TIME-WAIT.
    pub tw_reuse: TimeWaitReuse,
    /// Connections in TIME-WAIT at most; beyond, they end at once.
    pub max_tw_buckets: u32,
    /// Connections that no program holds at most, TIME-WAIT left out; beyond, `close` resets.
    pub max_orphans: u32,
    /// How long FIN-WAIT-2 waits for the peer's FIN when no program holds the connection.
    pub fin_timeout: Duration,
    /// How often data is sent again before the route is doubted (R1 of RFC 9293 §3.8.3).
    pub retries1: u8,
    /// How often data is sent again before the connection is given up (R2).
    pub retries2: u8,
    /// How often a FIN is sent again when no program holds the connection.
    pub orphan_retries: u8,
    /// How often a SYN is sent again before `connect` gives up.
    pub syn_retries: u8,
    /// How often a SYN+ACK is sent again.
    pub synack_retries: u8,
    /// So many SYNs are sent again without doubling the time-out.
    pub syn_linear_timeouts: u8,
    /// Time-out before the first measurement (RFC 6298 §2.1).
    pub initial_rto: Duration,
    /// The least time-out. RFC 6298 §2.4 asks for 1 s; Linux' is 200 ms.
    pub min_rto: Duration,
    /// The largest time-out (RFC 6298 §2.5: at least 60 s).
    pub max_rto: Duration,
    /// The least time for which an acknowledgement is held back.
    pub delayed_ack_min: Duration,
    /// The longest (RFC 9293 MUST-59: below 0.5 s).
    pub delayed_ack_max: Duration,
    /// Idle time before the first keep-alive probe (RFC 9293 MUST-28: two hours at least).
    pub keepalive_time: Duration,
    /// Time between keep-alive probes.
    pub keepalive_intvl: Duration,
    /// Probes without an answer before the connection is given up.
    pub keepalive_probes: u8,
    /// Receive buffer; the window is what `adv_win_scale` leaves of it.
    pub rmem: Memory,
    /// Send buffer.
    pub wmem: Memory,
    /// The largest SO_RCVBUF that a program gets, before doubling (`net.core.rmem_max`).
    pub core_rmem_max: u32,
    /// The largest SO_SNDBUF that a program gets, before doubling (`net.core.wmem_max`).
    pub core_wmem_max: u32,
    /// The receive buffer grows with what the program reads.
    pub moderate_rcvbuf: bool,
    /// Which share of the receive buffer is offered as window: all but 1/2ⁿ of it for positive n,
    /// 1/2⁻ⁿ of it for others; -16 … 16.
    pub adv_win_scale: i8,
    /// Bytes not yet sent from which on a socket is not writable; `u32::MAX` for no limit.
    pub notsent_lowat: u32,
    /// At most one acknowledgement of an invalid segment per connection in this time (RFC 5961 §10).
    pub invalid_ratelimit: Duration,
    /// Challenge ACKs of the host per second at most (RFC 5961 §10).
    pub challenge_ack_limit: u32,
    /// The least segment size that path-MTU discovery goes down to, plus headers: the least path
    /// MTU believed (`net.ipv4.route.min_pmtu`).
    pub min_pmtu: u16,
    /// How long a path MTU learnt from ICMP is believed (`net.ipv4.route.mtu_expires`).
    pub mtu_expires: Duration,
    /// The least maximum segment size taken from a peer (`tcp_min_snd_mss`).
    pub min_snd_mss: u16,
    /// The largest FIN+data… segment of an outgoing packet's time to live (`ip_default_ttl`).
    pub default_ttl: u8,
    /// The ports that `connect` and `bind` to port 0 choose from (`ip_local_port_range`).
    pub local_port_range: (u16, u16),
}

impl Default for TcpConfig {
    fn default() -> Self {
        TcpConfig::linux()
    }
}

impl TcpConfig {
    /// The defaults of a profile.
    pub fn of(profile: WireProfile) -> TcpConfig {
        match profile {
            WireProfile::Linux => TcpConfig::linux(),
            WireProfile::Windows => TcpConfig::windows(),
        }
    }

    /// Linux' defaults.
    pub fn linux() -> TcpConfig {
        TcpConfig {
            wire_profile: WireProfile::Linux,
            window_scaling: true,
            timestamps: true,
            sack: true,
            dsack: true,
            ecn: Ecn::ServerOnly,
            congestion: Congestion::Cubic,
            hystart: Hystart::PlusPlus,
            initial_window: 10,
            early_retrans: true,
            recovery: true,
            frto: true,
            reordering: 3,
            max_reordering: 300,
            slow_start_after_idle: true,
            pacing: false,
            pacing_ss_ratio: 200,
            pacing_ca_ratio: 120,
            syn_cookies: SynCookies::WhenFull,
            rfc1337: false,
            abort_on_overflow: false,
            max_syn_backlog: 4096,
            somaxconn: 4096,
            time_wait: Duration::from_secs(60),
            tw_reuse: TimeWaitReuse::Loopback,
            max_tw_buckets: 262_144,
            max_orphans: 262_144,
            fin_timeout: Duration::from_secs(60),
            retries1: 3,
            retries2: 15,
            orphan_retries: 8,
            syn_retries: 6,
            synack_retries: 5,
            syn_linear_timeouts: 4,
            initial_rto: Duration::from_secs(1),
            min_rto: Duration::from_millis(200),
            max_rto: Duration::from_secs(120),
            delayed_ack_min: Duration::from_millis(40),
            delayed_ack_max: Duration::from_millis(200),
            keepalive_time: Duration::from_secs(7200),
            keepalive_intvl: Duration::from_secs(75),
            keepalive_probes: 9,
            rmem: Memory { min: 4096, default: 131_072, max: 6 * 1024 * 1024 },
            wmem: Memory { min: 4096, default: 16_384, max: 4 * 1024 * 1024 },
            core_rmem_max: 212_992,
            core_wmem_max: 212_992,
            moderate_rcvbuf: true,
            adv_win_scale: 1,
            notsent_lowat: u32::MAX,
            invalid_ratelimit: Duration::from_millis(500),
            challenge_ack_limit: u32::MAX,
            min_pmtu: 552,
            mtu_expires: Duration::from_secs(600),
            min_snd_mss: 48,
            default_ttl: 64,
            local_port_range: (32_768, 60_999),
        }
    }

    /// The defaults of Windows 10 and 11, as `netsh int tcp show global` lists them and captures
    /// show them.
    pub fn windows() -> TcpConfig {
        TcpConfig {
            wire_profile: WireProfile::Windows,
            timestamps: false,
            ecn: Ecn::Off,
            syn_cookies: SynCookies::Off,
            time_wait: Duration::from_secs(120),
            tw_reuse: TimeWaitReuse::Off,
            syn_retries: 4,
            synack_retries: 4,
            syn_linear_timeouts: 0,
            retries2: 5,
            orphan_retries: 5,
            min_rto: Duration::from_millis(300),
            max_rto: Duration::from_secs(60),
            delayed_ack_min: Duration::from_millis(40),
            delayed_ack_max: Duration::from_millis(40),
            keepalive_intvl: Duration::from_secs(1),
            keepalive_probes: 10,
            rmem: Memory { min: 4096, default: 131_072, max: 65_535 << 8 },
            default_ttl: 128,
            local_port_range: (49_152, 65_535),
            ..TcpConfig::linux()
        }
    }

    /// The window that a receive buffer of `space` bytes offers, by `adv_win_scale`.
    pub fn window_of(&self, space: u32) -> u32 {
        let scale = self.adv_win_scale.clamp(-16, 16);
        if scale <= 0 { space >> scale.unsigned_abs() } else { space - (space >> scale) }
    }

    /// The buffer of which such a window is the part that [`window_of`](TcpConfig::window_of) gives,
    /// bytes.
    pub(crate) fn buffer_of(&self, window: u32) -> u32 {
        let (window, scale) = (u64::from(window), self.adv_win_scale.clamp(-16, 16));
        let space = match u32::try_from(scale) {
            Ok(scale @ 1..) => (window << scale) / ((1 << scale) - 1),
            _ => window << scale.unsigned_abs(),
        };
        u32::try_from(space).unwrap_or(u32::MAX)
    }
}
