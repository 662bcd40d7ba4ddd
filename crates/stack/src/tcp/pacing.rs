//! Pacing: what the window lets out is spread over the round trip instead of leaving at once (RFC
//! 9002 §7.7 and Aggarwal et al. 2000), as Linux' TCP does it by itself.
//!
//! The rate is the window per smoothed round trip, times 200 % in slow start, so that the window can
//! double, and 120 % later; SO_MAX_PACING_RATE is its ceiling. Segments leave in quanta of about a
//! millisecond, two segments at least, as segmentation offload wants them; then nothing leaves for as
//! long as the quantum takes at that rate. Repairs wait as new data does. What a time-out sends and
//! tail loss probes do not, nor do acknowledgements, but what they carry counts. Payload counts,
//! headers do not.
//!
//! Off, as on Linux without the queueing discipline `fq`, it costs a branch per segment.

use netarium_base::{Ctx, Duration, Instant};

use super::config::TcpConfig;
use super::connection::Connection;
use super::timers::Timer;
use crate::options::Settings;

/// «No ceiling», as SO_MAX_PACING_RATE has it.
pub const UNLIMITED: u32 = u32::MAX;

/// A quantum is what the rate gives in a second, shifted by this: 0.98 ms (`sk_pacing_shift`).
const SHIFT: u32 = 10;
/// The largest quantum, bytes: what Linux hands to a network card at once.
const MOST: u64 = 65_536;
/// The least quantum, segments (`tcp_min_tso_segs`).
const LEAST: u32 = 2;

/// The pacing of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pacing {
    /// Whether there is any.
    pub(crate) on: bool,
    /// Segments that the present quantum still takes.
    left: u32,
    /// The next quantum may not begin before.
    next: Instant,
}

impl Pacing {
    pub(crate) fn new(config: &TcpConfig, settings: &Settings) -> Pacing {
        Pacing { on: is_asked_for(config, settings), ..Pacing::default() }
    }

    /// Segments that may still go together.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }
}

fn is_asked_for(config: &TcpConfig, settings: &Settings) -> bool {
    config.pacing || settings.max_pacing_rate != UNLIMITED
}

impl Connection {
    /// SO_MAX_PACING_RATE was set: as on Linux that asks for pacing, too.
    pub(crate) fn apply_pacing(&mut self) {
        self.pacing.on = is_asked_for(&self.config, &self.settings);
        if !self.pacing.on {
            self.timers.cancel(Timer::Pacing);
        }
    }

    /// Payload bytes per second that pacing lets out; `None` while nothing limits them. It is known
    /// also where pacing is off, as on Linux.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        let ceiling = self.settings.max_pacing_rate;
        let ceiling = (ceiling != UNLIMITED).then_some(u64::from(ceiling.max(1)));
        let Some(srtt) = self.rtt.srtt() else { return ceiling };
        let window = &self.cc.window;
        // As on Linux the careful end of slow start is avoidance already.
        let percent = if window.cwnd < window.ssthresh / 2 {
            self.config.pacing_ss_ratio
        } else {
            self.config.pacing_ca_ratio
        };
        let segments = window.cwnd.max(self.rec.board.len());
        let bytes = u128::from(self.snd.mss) * u128::from(segments) * u128::from(percent) / 100;
        let rate = bytes * 1_000_000_000 / u128::from(srtt.as_nanos().max(1));
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        Some(ceiling.map_or(rate, |most| rate.min(most)))
    }

    /// Whether a segment with `len` payload bytes must wait for the next quantum; a timer is set
    /// then. Otherwise it may go, as the first of a quantum or as part of the present one.
    pub(crate) fn must_wait(&mut self, cx: &Ctx<'_>, len: u32) -> bool {
        // A FIN alone takes no time, what a timer forces has waited.
        if len == 0 || self.want.force || self.pacing.left > 0 {
            return false;
        }
        if cx.now < self.pacing.next {
            if self.timers.due(Timer::Pacing) != Some(self.pacing.next) {
                self.timers.set(Timer::Pacing, self.pacing.next, cx.cause);
            }
            return true;
        }
        if let Some(rate) = self.pacing_rate() {
            let segments = (rate >> SHIFT).min(MOST) / u64::from(self.snd.mss.max(1));
            self.pacing.left = (segments as u32).max(LEAST);
        }
        false
    }

    /// What the retransmission timer sends does not wait.
    pub(crate) fn let_one_out(&mut self) {
        self.pacing.left = self.pacing.left.max(1);
    }

    /// A segment with `len` payload bytes goes out.
    pub(crate) fn note_paced(&mut self, now: Instant, len: u32) {
        self.pacing.left = self.pacing.left.saturating_sub(1);
        let Some(rate) = self.pacing_rate() else { return };
        let takes = u64::from(len) * 1_000_000_000 / rate;
        self.pacing.next = self.pacing.next.max(now) + Duration::from_nanos(takes);
    }
}
