//! How long a silent flow is remembered.

use netarium_base::Duration;

macro_rules! timeouts {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal $secs:literal,)*) => {
        /// What a flow waits for. Each kind has one time-out, so that flows of a kind expire in
        /// the order of their last packets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Timeout {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Timeout {
            /// All kinds.
            pub const ALL: &'static [Timeout] = &[$(Timeout::$variant),*];
            pub(crate) const COUNT: usize = Timeout::ALL.len();

            /// The name, after Linux' `net.netfilter.nf_conntrack_*_timeout*`.
            pub const fn name(self) -> &'static str {
                match self { $(Timeout::$variant => $name,)* }
            }

            /// The time-out that Linux has by default.
            pub const fn linux(self) -> Duration {
                match self { $(Timeout::$variant => Duration::from_secs($secs),)* }
            }
        }
    };
}

timeouts! {
    /// TCP: a SYN was seen.
    SynSent = "tcp_syn_sent" 120,
    /// TCP: SYN and SYN+ACK were seen.
    SynRecv = "tcp_syn_recv" 60,
    /// TCP: connected, packets in both directions.
    Established = "tcp_established" 432_000,
    /// TCP: one FIN was seen.
    FinWait = "tcp_fin_wait" 120,
    /// TCP: the first FIN was acknowledged.
    CloseWait = "tcp_close_wait" 60,
    /// TCP: both FINs were seen.
    LastAck = "tcp_last_ack" 30,
    /// TCP: both FINs and the last ACK were seen.
    TimeWait = "tcp_time_wait" 120,
    /// TCP: a RST was seen.
    Close = "tcp_close" 10,
    /// TCP: picked up in the middle, not answered yet.
    Unacknowledged = "tcp_unacknowledged" 300,
    /// UDP: unanswered, or answered within the first two seconds only.
    Udp = "udp" 30,
    /// UDP: packets in both directions, for more than two seconds.
    UdpStream = "udp_stream" 120,
    /// ICMP requests.
    Icmp = "icmp" 30,
    /// Other protocols.
    Generic = "generic" 600,
}

impl Timeout {
    /// Whether a flow that waits for this may have to make room in a full table: first those
    /// that were never surely a conversation, then those that are over.
    pub(crate) const FIRST_TO_GO: [Timeout; 6] = [
        Timeout::SynSent,
        Timeout::SynRecv,
        Timeout::Unacknowledged,
        Timeout::Udp,
        Timeout::Icmp,
        Timeout::Generic,
    ];
    pub(crate) const SECOND_TO_GO: [Timeout; 5] =
        [Timeout::FinWait, Timeout::CloseWait, Timeout::LastAck, Timeout::TimeWait, Timeout::Close];
}

/// The time-outs of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts([Duration; Timeout::COUNT]);

impl Default for Timeouts {
    /// Linux' defaults.
    fn default() -> Timeouts {
        Timeouts(std::array::from_fn(|i| Timeout::ALL[i].linux()))
    }
}

impl Timeouts {
    /// The time-out of a kind.
    pub fn get(&self, kind: Timeout) -> Duration {
        self.0[kind as usize]
    }

    /// Changes the time-out of a kind. Zero means that such flows end at once.
    pub fn set(&mut self, kind: Timeout, to: Duration) {
        self.0[kind as usize] = to;
    }
}
