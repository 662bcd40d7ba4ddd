//! Keep-alive (RFC 9293 §3.8.4) and how long a connection waits for an answer at all (§3.8.3, the
//! user time-out of §3.9.1), as Linux counts it.

use netarium_base::{Ctx, Duration, Instant};

use super::connection::Connection;
use super::state::State;
use super::timers::Timer;
use crate::options::Millis;

/// Keep-alive times below this are raised to it, so that no setting makes a timer that is always
/// due.
const SHORTEST: Duration = Duration::from_millis(1);
/// The least time-out that the model of R1 and R2 begins with, whatever `min_rto` is.
const MODEL_RTO: Duration = Duration::from_millis(200);

impl Connection {
    fn keep_alive_idle(&self) -> Duration {
        set_or(self.settings.keep_idle, self.config.keepalive_time)
    }

    fn keep_alive_interval(&self) -> Duration {
        set_or(self.settings.keep_interval, self.config.keepalive_intvl)
    }

    fn keep_alive_count(&self) -> u8 {
        match self.settings.keep_count {
            0 => self.config.keepalive_probes,
            n => n,
        }
    }

    /// A segment came, or the setting changed: the wait begins anew.
    pub(crate) fn arm_keep_alive(&mut self, cx: &mut Ctx<'_>) {
        self.probes = 0;
        // TIME-WAIT ends by itself.
        let watched = self.state.is_synchronized() && self.state != State::TimeWait;
        if self.settings.keep_alive && watched {
            let due = cx.now + self.keep_alive_idle();
            self.timers.set(Timer::KeepAlive, due, cx.cause);
        } else {
            self.timers.cancel(Timer::KeepAlive);
        }
    }

    /// TCP_KEEPIDLE changed: what has passed of the wait counts.
    pub(crate) fn apply_keep_idle(&mut self, cx: &mut Ctx<'_>) {
        self.arm_keep_alive(cx);
        if self.timers.due(Timer::KeepAlive).is_some() {
            let left = self.keep_alive_idle().saturating_sub(self.silence(cx.now));
            self.timers.set(Timer::KeepAlive, cx.now + left, cx.cause);
        }
    }

    /// How long nothing has come from the peer.
    fn silence(&self, now: Instant) -> Duration {
        now.since(self.stats.last_data_in).min(now.since(self.stats.last_ack_in))
    }

    /// The keep-alive timer fired.
    pub(crate) fn on_keep_alive(&mut self, cx: &mut Ctx<'_>) {
        let idle = self.keep_alive_idle();
        if self.in_flight() > 0 || !self.send.is_empty() {
            // Other timers watch over the peer already.
            self.timers.set(Timer::KeepAlive, cx.now + idle, cx.cause);
            return;
        }
        let silence = self.silence(cx.now);
        if silence < idle {
            self.timers.set(Timer::KeepAlive, cx.now + (idle - silence), cx.cause);
            return;
        }
        let user = self.settings.user_timeout.get();
        let dead = if user.is_zero() {
            self.probes >= self.keep_alive_count()
        } else {
            silence >= user && self.probes > 0
        };
        if dead {
            self.give_up(cx);
            self.want.rst = true;
            return;
        }
        self.probes = self.probes.saturating_add(1);
        self.want.probe = Some("keep-alive");
        let due = cx.now + self.keep_alive_interval();
        self.timers.set(Timer::KeepAlive, due, cx.cause);
    }

    /// Whether data, a SYN or a FIN has been sent again for long enough (RFC 9293 §3.8.3, MUST-20 to
    /// MUST-23): R2 is the time that so many doublings of the least time-out take; TCP_USER_TIMEOUT
    /// replaces it (RFC 9293 §3.9.1, MUST-21).
    pub(crate) fn has_waited_enough(&self, now: Instant) -> bool {
        let user = self.settings.user_timeout.get();
        let c = &self.config;
        if !self.snd.syn_acked {
            let retries = match self.settings.syn_count {
                0 => c.syn_retries,
                n => n,
            };
            let linear = if self.state == State::SynSent { c.syn_linear_timeouts } else { 0 };
            let too_long = !user.is_zero() && now.since(self.opened) >= user;
            return too_long || self.retries > retries.saturating_add(linear);
        }
        let since = self.retrying_since.map_or(Duration::ZERO, |t| now.since(t));
        match self.state {
            _ if !user.is_zero() => since >= user,
            _ if self.orphan => since >= self.patience(self.orphan_retries()),
            _ => since >= self.patience(c.retries2),
        }
    }

    /// As Linux: less patience for a peer that ICMP called unreachable.
    fn orphan_retries(&self) -> u8 {
        let alive = self.rtt.rto() < self.config.max_rto;
        if self.soft_error.is_some() && !alive { 0 } else { self.config.orphan_retries }
    }

    /// The time that `retries` doublings take, from the first time-out to the end of the last.
    fn patience(&self, retries: u8) -> Duration {
        let max = self.config.max_rto;
        let mut timeout = MODEL_RTO;
        let mut total = Duration::ZERO;
        for _ in 0..=retries {
            total += timeout;
            timeout = (timeout * 2).min(max);
        }
        total
    }

    /// Zero-window probes without an answer (RFC 9293 §3.8.6.1, MUST-36: for ever while the peer
    /// answers).
    pub(crate) fn has_probed_enough(&self, now: Instant) -> bool {
        let user = self.settings.user_timeout.get();
        let since = self.probing_since.map_or(Duration::ZERO, |t| now.since(t));
        if !user.is_zero() && since >= user {
            return true;
        }
        let limit = if self.orphan { self.orphan_retries() } else { self.config.retries2 };
        self.retries > limit
    }

    /// The time-out of what is sent again: it does not outlast TCP_USER_TIMEOUT.
    pub(crate) fn retry_wait(&self, now: Instant) -> Duration {
        let since = self.retrying_since.filter(|_| self.retries > 0);
        self.within_user_timeout(now, since, self.rtt.rto())
    }

    /// The wait for the next probe of a zero window.
    pub(crate) fn probe_wait(&self, now: Instant) -> Duration {
        self.within_user_timeout(now, self.probing_since, self.rtt.rto())
    }

    fn within_user_timeout(
        &self,
        now: Instant,
        since: Option<Instant>,
        wait: Duration,
    ) -> Duration {
        let user = self.settings.user_timeout.get();
        match since {
            Some(since) if !user.is_zero() => {
                let left = user.saturating_sub(now.since(since));
                wait.min(left.max(Duration::from_millis(1)))
            }
            _ => wait,
        }
    }
}

/// What the program set, or the host's setting.
fn set_or(set: Millis, default: Duration) -> Duration {
    if set.is_zero() { default.max(SHORTEST) } else { set.get() }
}
