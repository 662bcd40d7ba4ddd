//! When a segment that is not full may go: silly-window avoidance of the sender (RFC 9293
//! §3.8.6.2.1), Nagle's algorithm (§3.7.4) with Minshall's modification, TCP_NODELAY, TCP_CORK and
//! MSG_MORE, as Linux combines them.

use netarium_base::{Ctx, Duration};

use super::connection::Connection;
use super::timers::Timer;

/// What is held back goes after this time at the latest, or after one time-out if that is longer.
const CEILING: Duration = Duration::from_millis(200);

impl Connection {
    /// Whether `len` bytes, which do not fill a segment or are `all` there is, may go.
    pub(crate) fn worth_sending(&self, len: u32, all: bool, in_flight: u32) -> bool {
        if len >= self.segment_room() || self.want.force {
            return true;
        }
        if !all {
            // The window cuts it short. A full segment is half of the largest window ever offered,
            // or all of one that was always small: less is a sliver.
            return false;
        }
        if self.has_urgent_out() {
            return true;
        }
        if self.settings.cork || self.want.more {
            return false;
        }
        self.settings.nodelay || in_flight == 0 || !self.has_small_in_flight()
    }

    /// Minshall: only a small segment that is not acknowledged holds back the next one.
    fn has_small_in_flight(&self) -> bool {
        self.snd.sml.after(self.snd.una) && !self.snd.sml.after(self.snd.nxt)
    }

    /// A segment of new data was sent.
    pub(crate) fn note_small(&mut self, len: u32) {
        if len > 0 && len < self.segment_room() {
            self.snd.sml = self.snd.nxt;
        }
    }

    /// Nothing in flight, and what there is may not go: only a timer can get things moving again.
    pub(crate) fn consider_persist(&mut self, cx: &mut Ctx<'_>, in_flight: u32) {
        if in_flight == 0 && self.timers.due(Timer::Persist).is_none() {
            let wait = self.rtt.rto().max(CEILING);
            self.timers.set(Timer::Persist, cx.now + wait, cx.cause);
        }
    }
}
