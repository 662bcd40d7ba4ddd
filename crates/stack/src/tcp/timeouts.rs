//! What a connection does when one of its timers fires.

use netarium_base::{Ctx, Duration, Event};

use super::connection::{Connection, Syn};
use super::state::{State, Trigger};
use super::timers::Timer;
use crate::errno::Errno;

/// Keep-alive times below this are raised to it, so that no setting makes a timer that is always
/// due.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_millis(1);

impl Connection {
    pub(crate) fn keep_alive_idle(&self) -> Duration {
        set_or(self.settings.keep_idle, self.config.keepalive_time)
    }

    fn keep_alive_interval(&self) -> Duration {
        set_or(self.settings.keep_interval, self.config.keepalive_intvl)
    }

    fn keep_alive_count(&self) -> u8 {
        if self.settings.keep_count > 0 {
            self.settings.keep_count
        } else {
            self.config.keepalive_probes
        }
    }

    fn syn_retries(&self) -> u8 {
        if self.settings.syn_count > 0 { self.settings.syn_count } else { self.config.syn_retries }
    }

    /// Fires every timer that is due at `cx.now`, each with the event that set it as its cause.
    /// `cx.cause` is left at the last one, as the cause of the segments that follow.
    pub(crate) fn on_deadline(&mut self, cx: &mut Ctx<'_>) {
        while let Some((timer, cause)) = self.timers.take_due(cx.now) {
            cx.cause = cause;
            cx.cause = cx.emit(self.setup.place, self.setup.flow, || Event::TimerFired {
                timer: timer.name(),
            });
            match timer {
                Timer::Retransmit => self.on_retransmit(cx),
                Timer::LossProbe => self.on_loss_probe(cx),
                Timer::Reorder => self.on_reorder_timeout(cx),
                Timer::Persist => self.on_persist(cx),
                Timer::DelayedAck => self.on_delayed_ack(),
                Timer::Wait => {
                    self.transition(cx, Trigger::Expired);
                }
                Timer::KeepAlive => self.on_keep_alive(cx),
            }
        }
    }

    /// RFC 6298 §5.4 to §5.7.
    fn on_retransmit(&mut self, cx: &mut Ctx<'_>) {
        self.retries = self.retries.saturating_add(1);
        if self.retries > self.retry_limit() {
            self.give_up(cx);
            return;
        }
        if !self.snd.syn_acked {
            self.rtt.back_off();
            self.want.syn = Some(Syn::Again("rto"));
            return;
        }
        if self.rec.board.is_empty() {
            return;
        }
        self.enter_loss(cx, self.retries > 1);
        self.rtt.back_off();
    }

    fn retry_limit(&self) -> u8 {
        match self.state {
            State::SynSent => self.syn_retries(),
            State::SynReceived => self.config.synack_retries,
            _ if self.orphan => self.config.orphan_retries,
            _ => self.config.retries2,
        }
    }

    /// RFC 9293 §3.8.3 MUST-20: R2 is reached, the connection is closed.
    fn give_up(&mut self, cx: &mut Ctx<'_>) {
        let error = self.soft_error.take().unwrap_or(Errno::ETIMEDOUT);
        self.fail(cx, Trigger::TimedOut, error);
    }

    /// RFC 9293 §3.8.6.1. Probing goes on for ever while the peer answers (MUST-36).
    fn on_persist(&mut self, cx: &mut Ctx<'_>) {
        if self.snd.wnd > 0 {
            // Silly-window avoidance waited long enough (RFC 9293 §3.8.6.2.1, the override).
            self.want.force = true;
            return;
        }
        self.retries = self.retries.saturating_add(1);
        if self.retries > self.retry_limit() {
            self.give_up(cx);
            return;
        }
        self.rtt.back_off();
        self.want.probe = Some("zero-window probe");
        self.timers.set(Timer::Persist, cx.now + self.rtt.rto(), cx.cause);
    }

    /// RFC 9293 §3.8.4.
    fn on_keep_alive(&mut self, cx: &mut Ctx<'_>) {
        if self.in_flight() > 0 {
            // The retransmission timer watches over the peer already.
            self.arm_keep_alive(cx);
            return;
        }
        self.probes = self.probes.saturating_add(1);
        if self.probes > self.keep_alive_count() {
            self.give_up(cx);
            self.want.rst = true;
            return;
        }
        self.want.probe = Some("keep-alive");
        let due = cx.now + self.keep_alive_interval();
        self.timers.set(Timer::KeepAlive, due, cx.cause);
    }
}

/// What the program set, or the host's setting.
fn set_or(set: Duration, default: Duration) -> Duration {
    if set.is_zero() { default.max(SHORTEST_KEEP_ALIVE) } else { set }
}
