//! The settings of a host that its connections start with.

use netarium_base::Duration;

/// Settings that every connection of a host starts with.
#[derive(Clone, Copy, Debug)]
pub struct TcpConfig {
    /// Bytes the send buffer holds at the start; grows with the congestion window.
    pub send_buffer: u32,
    /// Bytes the receive window offers at the start; grows while the program keeps up.
    pub recv_buffer: u32,
    /// The largest either may grow to.
    pub max_buffer: u32,
    /// Twice the maximum segment lifetime: how long TIME-WAIT lasts. RFC 9293 suggests 4 minutes,
    /// Linux uses one.
    pub time_wait: Duration,
    /// How long FIN-WAIT-2 waits for the peer's FIN when no program holds the connection.
    pub fin_wait2: Duration,
    /// How often a SYN is sent again before `connect` gives up.
    pub syn_retries: u8,
    /// How often a SYN+ACK is sent again.
    pub syn_ack_retries: u8,
    /// How often data is sent again (R2 of RFC 9293 §3.8.3).
    pub data_retries: u8,
    /// How often a FIN is sent again when no program holds the connection.
    pub orphan_retries: u8,
    /// How long an acknowledgement may be held back (RFC 9293 MUST-59: below 0.5 s).
    pub delayed_ack: Duration,
    /// Idle time before the first keep-alive probe.
    pub keep_alive_idle: Duration,
    /// Time between keep-alive probes.
    pub keep_alive_interval: Duration,
    /// Probes without an answer before the connection is given up.
    pub keep_alive_probes: u8,
}

impl Default for TcpConfig {
    fn default() -> Self {
        TcpConfig {
            send_buffer: 128 * 1024,
            recv_buffer: 65_535,
            max_buffer: 6 * 1024 * 1024,
            time_wait: Duration::from_secs(60),
            fin_wait2: Duration::from_secs(60),
            syn_retries: 6,
            syn_ack_retries: 5,
            data_retries: 15,
            orphan_retries: 8,
            delayed_ack: Duration::from_millis(40),
            keep_alive_idle: Duration::from_secs(7200),
            keep_alive_interval: Duration::from_secs(75),
            keep_alive_probes: 9,
        }
    }
}
