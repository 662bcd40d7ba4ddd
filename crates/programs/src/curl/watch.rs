//! What is looked at once a second while a transfer goes on.

use netarium_base::{Duration, Instant};

use super::exchange::Failure;
use super::meter::Meter;
use super::options::Options;
use super::progress::Progress;

/// What is looked at once a second: the meter, and `--speed-limit`.
pub(super) struct Watch {
    next: Option<Instant>,
    slow_since: Instant,
    before: u64,
}

const SECOND: Duration = Duration::from_secs(1);
/// How long a transfer may be too slow, unless told otherwise.
const SPEED_TIME: u64 = 30;

impl Watch {
    pub(super) fn new(o: &Options, meter: &Meter, start: Instant) -> Watch {
        let watched = meter.is_on() || o.speed_limit.is_some() || o.speed_time.is_some();
        Watch { next: watched.then(|| start + SECOND), slow_since: start, before: 0 }
    }

    /// When to look up next.
    pub(super) fn next(&self, deadline: Option<Instant>) -> Option<Instant> {
        match (self.next, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn too_slow(
        &mut self,
        o: &Options,
        progress: &Progress,
        now: Instant,
    ) -> Option<Failure> {
        self.next = Some(now + SECOND);
        let all = progress.received.get() + progress.sent.get();
        let limit = o.speed_limit.or(o.speed_time.map(|_| 1))?;
        let last = all.saturating_sub(self.before);
        self.before = all;
        if last >= limit {
            self.slow_since = now;
            return None;
        }
        let span = o.speed_time.unwrap_or(SPEED_TIME);
        (now.since(self.slow_since) >= Duration::from_secs(span)).then(|| {
            let text = format!(
                "Operation too slow. Less than {limit} bytes/sec transferred the last {span} seconds"
            );
            Failure::new(28, text)
        })
    }
}
