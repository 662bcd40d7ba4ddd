//! The receive window (RFC 9293 §3.8.6, RFC 7323 §2): how much is offered in which segment, and how
//! it grows, as Linux decides it.
//!
//! Three sizes: the *buffer* (`limit`), which automatic tuning lets grow with what the program reads
//! per round trip; the *threshold* (`ssthresh`), which starts at the window of the SYN and grows with
//! what the peer sends; and the right edge that was *advertised* (`adv`), which never moves back.

use netarium_base::{Duration, Instant};

use super::config::{TcpConfig, WireProfile};
use super::connection::Connection;
use super::options::MAX_WINDOW_SHIFT;
use super::segment_in::SegmentIn;
use super::seq::Seq;
use crate::options::Settings;

/// The measurements of dynamic right-sizing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RightSizing {
    /// Bytes that the program read in the last round trip.
    pub(crate) space: u32,
    /// Where the program's reading stood when the measurement began.
    from: Seq,
    at: Instant,
    /// The receiver's estimate of the round trip, µs; 0 before the first.
    pub(crate) rtt: u32,
    /// Without timestamps: when a window's worth of data from `rtt_from` on has arrived, a round
    /// trip has passed.
    rtt_from: Option<Seq>,
    rtt_at: Instant,
    last_echo: u32,
}

impl RightSizing {
    pub(crate) fn new(now: Instant) -> RightSizing {
        RightSizing {
            space: 0,
            from: Seq(0),
            at: now,
            rtt: 0,
            rtt_from: None,
            rtt_at: now,
            last_echo: 0,
        }
    }

    fn sample(&mut self, sample: Duration, by_window: bool) {
        let m = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX).max(1);
        self.rtt = match (self.rtt, by_window) {
            (0, _) => m,
            // A window takes at least a round trip: only the least counts.
            (old, true) => old.min(m),
            (old, false) => (u64::from(old) * 7 / 8 + u64::from(m) / 8) as u32,
        };
    }
}

/// The smallest shift with which a window of `max` bytes fits into 16 bits (RFC 7323 §2.2), at most
/// 14.
pub(crate) fn window_shift(max: u32) -> u8 {
    (0..MAX_WINDOW_SHIFT).find(|s| max >> s <= 65_535).unwrap_or(MAX_WINDOW_SHIFT)
}

/// What Windows offers in a SYN, whatever the segment size; in a SYN+ACK it is 65535.
const WINDOWS_SYN_WINDOW: u32 = 64_240;

/// The window that a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// What the buffer leaves for it, bytes.
    pub(crate) space: u32,
    /// The largest to offer ever.
    pub(crate) clamp: u32,
    /// The shift to ask for.
    pub(crate) shift: u8,
    /// The window of the SYN or SYN+ACK, bytes.
    pub(crate) window: u32,
}

impl Opening {
    /// What the buffer leaves, in whole segments of `mss` bytes. SO_RCVBUF limits the shift too.
    pub(crate) fn new(config: &TcpConfig, settings: &Settings, mss: u32, scaling: bool) -> Opening {
        Opening::with(config, settings, mss, scaling, WINDOWS_SYN_WINDOW)
    }

    /// As [`Opening::new`], for a SYN+ACK.
    pub(crate) fn answering(
        config: &TcpConfig,
        settings: &Settings,
        mss: u32,
        scaling: bool,
    ) -> Opening {
        Opening::with(config, settings, mss, scaling, 65_535)
    }

    fn with(
        config: &TcpConfig,
        settings: &Settings,
        mss: u32,
        scaling: bool,
        windows: u32,
    ) -> Opening {
        let fixed = settings.recv_buffer.map(|n| n.get().saturating_mul(2));
        let full = config.window_of(fixed.unwrap_or(config.rmem.default));
        let clamp = match settings.window_clamp {
            0 if fixed.is_some() => full,
            0 => u32::MAX,
            n => n,
        };
        let space = full.min(clamp);
        let mut window = if space > mss { space - space % mss.max(1) } else { space };
        if config.wire_profile == WireProfile::Windows && fixed.is_none() {
            window = space.min(windows);
        }
        let max = space.max(config.rmem.max).max(config.core_rmem_max).min(clamp);
        let shift = if scaling { window_shift(max) } else { 0 };
        Opening { space: full, clamp: clamp.min(65_535 << shift), shift, window }
    }
}

impl Connection {
    /// Begins with a window.
    pub(crate) fn open_window(&mut self, opening: Opening, mss: u32) {
        self.rcv.fixed = self.settings.recv_buffer.is_some();
        self.rcv.limit = opening.space;
        self.rcv.clamp = opening.clamp;
        self.rcv.shift = opening.shift;
        self.rcv.ssthresh = opening.window;
        self.rcv.drs.space = opening.window.min(10 * mss);
    }

    /// The peer does not scale.
    pub(crate) fn drop_scaling(&mut self) {
        self.scaling = false;
        self.rcv.shift = 0;
        self.snd.shift = 0;
        self.rcv.clamp = self.rcv.clamp.min(65_535);
        self.rcv.ssthresh = self.rcv.ssthresh.min(65_535);
    }

    /// SO_RCVBUF was set: the window is then what the program asked for.
    pub(crate) fn apply_recv_buffer(&mut self) {
        if let Some(bytes) = self.settings.recv_buffer {
            self.rcv.limit = self.config.window_of(bytes.get().saturating_mul(2));
            self.rcv.fixed = true;
            self.rcv.ssthresh = self.rcv.ssthresh.min(self.rcv.limit);
            self.rcv.clamp = self.rcv.limit.min(65_535 << self.rcv.shift);
        }
    }

    /// TCP_WINDOW_CLAMP was set.
    pub(crate) fn apply_window_clamp(&mut self) {
        let max = 65_535 << self.rcv.shift;
        self.rcv.clamp = match self.settings.window_clamp {
            0 => max,
            n => n.min(max),
        };
        let offered = self.rcv.adv.ahead_of(self.rcv.nxt);
        self.rcv.ssthresh = self.rcv.ssthresh.max(offered.min(self.rcv.clamp)).min(self.rcv.clamp);
    }

    /// The receive buffer as `SO_RCVBUF` tells it, bytes: the default until it has grown.
    pub(crate) fn receive_buffer(&self) -> u32 {
        let default = self.config.rmem.default;
        if self.rcv.limit <= self.config.window_of(default) {
            return default;
        }
        self.config.buffer_of(self.rcv.limit)
    }

    /// Bytes of receive buffer that are free.
    pub(crate) fn free_window(&self) -> u32 {
        self.rcv.limit.saturating_sub((self.recv.len() + self.ooo.bytes()) as u32)
    }

    /// The window that the buffer allows now (RFC 9293 §3.8.6.2.2, MUST-39: it moves in worthwhile
    /// steps only).
    fn allowed_window(&self) -> u32 {
        let mut free = self.free_window();
        let full = self.rcv.clamp.min(self.rcv.limit);
        let mss = self.ack.rcv_mss.min(full);
        if free < full / 2 {
            free = free >> self.rcv.shift << self.rcv.shift;
            if free < self.rcv.limit / 16 || free < mss {
                return 0;
            }
        }
        let free = free.min(self.rcv.ssthresh);
        if self.rcv.shift > 0 {
            return round_up(free, self.rcv.shift);
        }
        let offered = self.rcv.adv.ahead_of(self.rcv.wup);
        if offered + mss <= free || offered > free {
            free - free % mss.max(1)
        } else if mss == full && free > offered + full / 2 {
            free
        } else {
            offered
        }
    }

    /// Whether the window's right edge would move with the data.
    pub(crate) fn window_keeps_up(&self) -> bool {
        self.allowed_window() >= self.rcv.adv.ahead_of(self.rcv.wup)
    }

    /// The window field of a segment, and the new right edge.
    pub(crate) fn advertise(&mut self, syn: bool) -> u16 {
        if syn {
            // A SYN+ACK may go again behind data that came before it was acknowledged.
            let window = self.rcv.ssthresh.min(self.free_window());
            self.rcv.adv = self.rcv.adv.max(self.rcv.nxt + window);
            return window.min(65_535) as u16;
        }
        let offered = self.rcv.adv.ahead_of(self.rcv.nxt);
        let mut window = self.allowed_window();
        if window < offered {
            // RFC 9293 SHLD-14: what was offered stays offered. Rounded up, so that scaling takes
            // nothing back; unless rounding added up to more than a step beyond the buffer, as many
            // small segments into a full one would have it (RFC 7323 §2.4: the edge then seems to
            // move back by less than a step).
            let up = round_up(offered, self.rcv.shift);
            let step = (1u32 << self.rcv.shift) - 1;
            window = if up <= self.free_window() + step { up } else { offered };
        }
        let field = (window >> self.rcv.shift).min(65_535);
        self.rcv.adv = self.rcv.adv.max(self.rcv.nxt + (field << self.rcv.shift));
        field as u16
    }

    /// The program freed room: the peer is told when the window at least doubles by it.
    pub(crate) fn consider_window_update(&mut self) {
        if !self.state.may_receive() || self.read_closed {
            return;
        }
        let offered = self.rcv.adv.ahead_of(self.rcv.nxt);
        if offered.saturating_mul(2) > self.rcv.clamp.min(self.rcv.limit) {
            return;
        }
        let window = self.allowed_window();
        if window > 0 && window >= offered.saturating_mul(2) {
            self.want.ack.get_or_insert("window update");
        }
    }

    /// Data of `len` bytes came in order: the threshold grows by two segments for it, as far as the
    /// buffer reaches.
    pub(crate) fn grow_window(&mut self, len: u32) {
        let room = self.rcv.clamp.min(self.free_window()).saturating_sub(self.rcv.ssthresh);
        if room > 0 {
            let step = (2 * self.peer_mss()).max(2 * len);
            self.rcv.ssthresh += step.min(room);
            self.ack.quick |= 1;
        }
    }

    /// A segment arrived: what it tells about the round trip as the receiver sees it.
    pub(crate) fn measure_receive_rtt(&mut self, now: Instant, seg: &SegmentIn) {
        let drs = &mut self.rcv.drs;
        match (self.timestamps, seg.options.timestamps) {
            (Some(ts), Some((_, echo))) if echo != 0 => {
                if echo == drs.last_echo || (seg.payload.len() as u32) < self.ack.rcv_mss {
                    return;
                }
                drs.last_echo = echo;
                let ms = ts.offset.wrapping_add(now.as_millis() as u32).wrapping_sub(echo);
                if ms < 600_000 {
                    drs.sample(Duration::from_millis(u64::from(ms.max(1))), false);
                }
            }
            (None, _) => {
                if drs.rtt_from.is_some_and(|from| self.rcv.nxt.before(from)) {
                    return;
                }
                if drs.rtt_from.is_some() {
                    drs.sample(now.since(drs.rtt_at), true);
                }
                drs.rtt_from = Some(self.rcv.adv);
                drs.rtt_at = now;
            }
            _ => {}
        }
    }

    /// The program has read: once per round trip the buffer is fitted to what it reads in one
    /// (dynamic right-sizing), so that the window and not the program limits the peer.
    pub(crate) fn tune_receive_window(&mut self, now: Instant) {
        let drs = self.rcv.drs;
        if drs.rtt == 0 || now.since(drs.at) < Duration::from_micros(drs.rtt.into()) {
            return;
        }
        let read = self.rcv.copied.ahead_of(drs.from);
        if read > drs.space {
            if self.config.moderate_rcvbuf && !self.rcv.fixed {
                self.fit_buffer(read, drs.space);
            }
            self.rcv.drs.space = read;
        }
        self.rcv.drs.from = self.rcv.copied;
        self.rcv.drs.at = now;
    }

    /// Twice what was read for losses, 16 segments for bursts, and twice the growth since the last
    /// round for a peer in slow start.
    fn fit_buffer(&mut self, read: u32, before: u32) {
        let base = 2 * u64::from(read) + 16 * u64::from(self.peer_mss());
        let growth = base * u64::from(read - before) / u64::from(before.max(1));
        let wanted = (base + 2 * growth).min(u64::from(u32::MAX)) as u32;
        let max = self.config.window_of(self.config.rmem.max);
        if wanted.min(max) > self.rcv.limit {
            self.rcv.limit = wanted.min(max);
            self.rcv.clamp = self.rcv.limit.min(65_535 << self.rcv.shift);
        }
    }

    /// The stream's first byte is known.
    pub(crate) fn start_reading_at(&mut self, first: Seq) {
        self.rcv.copied = first;
        self.rcv.drs.from = first;
    }

    /// What is left of the window as advertised.
    pub(crate) fn receive_window(&self) -> u32 {
        self.rcv.adv.ahead_of(self.rcv.nxt)
    }
}

fn round_up(window: u32, shift: u8) -> u32 {
    let step = (1u32 << shift) - 1;
    window.saturating_add(step) >> shift << shift
}
