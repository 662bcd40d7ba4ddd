//! What a connection tells about itself: Linux' `struct tcp_info`, field by field.

use netarium_base::{Duration, Instant};

use super::ack_policy::DEFAULT_MSS;
use super::connection::Connection;
use super::pacing::UNLIMITED;
use super::state::State;

/// Bits of [`TcpInfo::options`]: timestamps are in use.
pub const OPT_TIMESTAMPS: u8 = 1;
/// SACK is in use.
pub const OPT_SACK: u8 = 2;
/// Window scaling is in use.
pub const OPT_WSCALE: u8 = 4;
/// ECN was negotiated.
pub const OPT_ECN: u8 = 8;
/// A segment with ECT arrived.
pub const OPT_ECN_SEEN: u8 = 16;

/// The state of loss recovery, numbered as Linux numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum CaState {
    /// Nothing is known to be lost.
    #[default]
    Open = 0,
    /// Duplicate acknowledgements or SACK blocks came, loss is not yet declared.
    Disorder = 1,
    /// The window was reduced because of ECN.
    Cwr = 2,
    /// Fast recovery.
    Recovery = 3,
    /// After a retransmission time-out.
    Loss = 4,
}

/// What TCP_INFO says. Times are in microseconds unless a field says otherwise, windows and
/// counts named after `struct tcp_info` in its units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// State, numbered as in Linux: ESTABLISHED = 1 … LISTEN = 10, CLOSING = 11.
    pub state: u8,
    /// State of loss recovery.
    pub ca_state: CaState,
    /// Time-outs in a row without an acknowledgement.
    pub retransmits: u8,
    /// Zero-window or keep-alive probes in a row without an answer.
    pub probes: u8,
    /// Doublings of the time-out.
    pub backoff: u8,
    /// Bits `OPT_*`.
    pub options: u8,
    /// Window shift of the peer's windows.
    pub snd_wscale: u8,
    /// Window shift of our windows.
    pub rcv_wscale: u8,
    /// Retransmission time-out, µs.
    pub rto: u32,
    /// Delayed-ACK time-out as estimated, µs.
    pub ato: u32,
    /// Payload bytes of a full segment to the peer.
    pub snd_mss: u32,
    /// Payload bytes of a full segment from the peer, as estimated.
    pub rcv_mss: u32,
    /// Segments sent and not acknowledged; for a listener, connections that wait for `accept`.
    pub unacked: u32,
    /// Of these, selectively acknowledged; for a listener, its backlog.
    pub sacked: u32,
    /// Of these, taken for lost.
    pub lost: u32,
    /// Of these, sent again and not acknowledged since.
    pub retrans: u32,
    /// Kept for its name; 0 in current Linux.
    pub fackets: u32,
    /// Milliseconds since data was last sent.
    pub last_data_sent: u32,
    /// Kept for its name; 0 in Linux.
    pub last_ack_sent: u32,
    /// Milliseconds since data last arrived.
    pub last_data_recv: u32,
    /// Milliseconds since an acknowledgement last arrived.
    pub last_ack_recv: u32,
    /// Path MTU, bytes.
    pub pmtu: u32,
    /// The largest window that may be offered now, bytes.
    pub rcv_ssthresh: u32,
    /// Smoothed round-trip time, µs.
    pub rtt: u32,
    /// Its mean deviation, µs.
    pub rttvar: u32,
    /// Slow-start threshold, segments; 2³¹−1 at the start.
    pub snd_ssthresh: u32,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// The maximum segment size we advertised, timestamps taken off as in Linux.
    pub advmss: u32,
    /// Reordering degree, segments.
    pub reordering: u32,
    /// Round-trip time as the receiver estimates it, µs.
    pub rcv_rtt: u32,
    /// Bytes that the program reads per round trip, as estimated.
    pub rcv_space: u32,
    /// Segments sent again, in all.
    pub total_retrans: u32,
    /// Bytes that the peer acknowledged.
    pub bytes_acked: u64,
    /// Bytes that arrived in order.
    pub bytes_received: u64,
    /// Segments sent.
    pub segs_out: u32,
    /// Segments received.
    pub segs_in: u32,
    /// Bytes that wait to be sent for the first time.
    pub notsent_bytes: u32,
    /// The shortest round trip, µs; `u32::MAX` before the first.
    pub min_rtt: u32,
    /// Segments with data received.
    pub data_segs_in: u32,
    /// Segments with data sent.
    pub data_segs_out: u32,
    /// Segments delivered to the peer, copies counted.
    pub delivered: u32,
    /// Of these, delivered with a congestion mark.
    pub delivered_ce: u32,
    /// Time with data unacknowledged or unsent, µs.
    pub busy_time: u64,
    /// Of this, limited by the peer's window, µs.
    pub rwnd_limited: u64,
    /// Of this, limited by the send buffer, µs.
    pub sndbuf_limited: u64,
    /// Data bytes sent, copies counted.
    pub bytes_sent: u64,
    /// Data bytes sent again.
    pub bytes_retrans: u64,
    /// DSACK blocks received.
    pub dsack_dups: u32,
    /// Payload bytes per second that pacing would let out now, or does; `u64::MAX` before the first
    /// measurement.
    pub pacing_rate: u64,
    /// The ceiling that the program set for it; `u64::MAX` for none.
    pub max_pacing_rate: u64,
    /// Times that reordering was seen.
    pub reord_seen: u32,
    /// Segments received out of order.
    pub rcv_ooopack: u32,
    /// The peer's window, bytes.
    pub snd_wnd: u32,
    /// Our window as last advertised, bytes.
    pub rcv_wnd: u32,
}

impl Connection {
    /// What the connection tells about itself at `now`.
    pub(crate) fn info(&self, now: Instant) -> TcpInfo {
        let unsent = self.data_end().ahead_of(self.snd.nxt);
        let mut info = TcpInfo {
            state: self.state.linux_number(),
            ca_state: self.rec.state,
            retransmits: self.retries,
            probes: self.probes.max(if self.snd.wnd == 0 { self.retries } else { 0 }),
            options: self.info_options(),
            snd_wscale: self.snd.shift,
            rcv_wscale: self.rcv.shift,
            rto: micros(self.rtt.rto()),
            snd_mss: self.snd.mss,
            backoff: self.rtt.backoff(),
            unacked: self.unacked_segments(),
            sacked: self.rec.board.sacked,
            lost: self.rec.board.lost,
            retrans: self.rec.board.resent,
            last_data_sent: millis(now, self.snd.last),
            pmtu: self.pmtu.into(),
            rtt: self.rtt.srtt().map_or(0, micros),
            rttvar: if self.rtt.srtt().is_some() { micros(self.rtt.rttvar()) } else { 250_000 },
            snd_ssthresh: self.cc.window.ssthresh,
            snd_cwnd: self.cc.window.cwnd,
            advmss: u32::from(self.setup.mss) - self.option_bytes(),
            reordering: self.rec.reordering,
            reord_seen: self.rec.reordered,
            delivered: self.rec.delivered,
            delivered_ce: self.rec.delivered_ce,
            dsack_dups: self.rec.duplicates,
            notsent_bytes: unsent,
            min_rtt: self.rtt.min().map_or(u32::MAX, micros),
            snd_wnd: self.snd.wnd,
            pacing_rate: self.pacing_rate().unwrap_or(u64::MAX),
            max_pacing_rate: match self.settings.max_pacing_rate {
                UNLIMITED => u64::MAX,
                rate => rate.into(),
            },
            ..TcpInfo::default()
        };
        self.receiver_info(now, &mut info);
        self.count_info(&mut info);
        if self.state == State::SynSent {
            self.nothing_agreed(&mut info);
        }
        info
    }

    /// Before the peer has answered nothing is agreed on. As Linux tells it: no options, its default
    /// segment, and a window of one once a SYN was lost (RFC 5681 §3.1).
    fn nothing_agreed(&self, info: &mut TcpInfo) {
        (info.options, info.snd_wscale, info.rcv_wscale, info.rcv_space) = (0, 0, 0, 0);
        info.advmss = self.setup.mss.into();
        info.snd_mss = DEFAULT_MSS - self.option_bytes();
        if self.retries > 0 {
            (info.snd_cwnd, info.lost, info.retrans) = (1, 1, 1);
        }
    }

    fn info_options(&self) -> u8 {
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        bit(self.timestamps.is_some(), OPT_TIMESTAMPS)
            | bit(self.sack, OPT_SACK)
            | bit(self.scaling, OPT_WSCALE)
            | bit(self.ecn.on, OPT_ECN)
            | bit(self.ecn.seen, OPT_ECN_SEEN)
    }

    /// Segments in flight; a SYN counts too.
    fn unacked_segments(&self) -> u32 {
        let syn = !self.snd.syn_acked && self.in_flight() > 0;
        self.rec.board.len() + u32::from(syn)
    }

    /// What the receiving side knows.
    fn receiver_info(&self, now: Instant, info: &mut TcpInfo) {
        info.ato = micros(self.ack.ato);
        info.rcv_mss = self.ack.rcv_mss;
        info.rcv_rtt = self.rcv.drs.rtt;
        info.rcv_space = self.rcv.drs.space;
        info.rcv_ssthresh = self.rcv.ssthresh;
        info.rcv_wnd = self.receive_window();
        (info.busy_time, info.rwnd_limited, info.sndbuf_limited) = self.chrono.report(now);
        info.last_data_recv = millis(now, self.stats.last_data_in);
        info.last_ack_recv = millis(now, self.stats.last_ack_in);
    }

    fn count_info(&self, info: &mut TcpInfo) {
        let s = &self.stats;
        info.total_retrans = s.total_retransmits;
        info.bytes_acked = s.bytes_acked;
        info.bytes_received = s.bytes_received;
        info.segs_out = s.segments_out;
        info.segs_in = s.segments_in;
        info.data_segs_in = s.data_segments_in;
        info.data_segs_out = s.data_segments_out;
        info.bytes_sent = s.bytes_sent;
        info.bytes_retrans = s.bytes_retransmitted;
        info.rcv_ooopack = s.out_of_order;
    }

    /// Bytes of IP and TCP headers without options.
    pub(crate) fn header_bytes(&self) -> u32 {
        if self.setup.remote.is_ipv4() { 40 } else { 60 }
    }

    /// Bytes of options on every segment.
    pub(crate) fn option_bytes(&self) -> u32 {
        if self.timestamps.is_some() { 12 } else { 0 }
    }
}

/// Whole microseconds, as far as they fit.
pub(crate) fn micros(d: Duration) -> u32 {
    u32::try_from(d.as_micros()).unwrap_or(u32::MAX)
}

fn millis(now: Instant, then: Instant) -> u32 {
    u32::try_from(now.since(then).as_millis()).unwrap_or(u32::MAX)
}
