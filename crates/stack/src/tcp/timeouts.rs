//! What a connection does when one of its timers fires.

use netarium_base::{Ctx, Event};

use super::connection::{Connection, Syn};
use super::state::{State, Trigger};
use super::timers::{Change, Timer};
use crate::errno::Errno;

impl Connection {
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
                // What waited goes out behind this.
                Timer::Pacing => {}
            }
        }
    }

    /// Tells the trace which timers were set, moved and stopped.
    pub(crate) fn tell_timers(&mut self, cx: &mut Ctx<'_>) {
        let (place, flow) = (self.setup.place, self.setup.flow);
        for timer in Timer::ALL {
            match self.timers.take_change(timer) {
                Some(Change::Set(due, cause)) => {
                    let told = cx
                        .with(cause)
                        .emit(place, flow, || Event::TimerSet { timer: timer.name(), due });
                    self.timers.set_cause(timer, told);
                }
                Some(Change::Cancelled) => {
                    cx.emit(place, flow, || Event::TimerCancelled { timer: timer.name() });
                }
                None => {}
            }
        }
    }

    /// RFC 6298 §5.4 to §5.7.
    fn on_retransmit(&mut self, cx: &mut Ctx<'_>) {
        self.too_large = false;
        self.stats.repairs.timeouts += 1;
        self.retries = self.retries.saturating_add(1);
        if self.retries == 1 && self.snd.syn_acked {
            self.retrying_since = Some(cx.now);
        }
        if self.has_waited_enough(cx.now) {
            self.give_up(cx);
            return;
        }
        if !self.snd.syn_acked {
            if self.state != State::SynSent || self.retries > self.config.syn_linear_timeouts {
                self.rtt.back_off();
            }
            self.stats.repairs.syn += u64::from(self.state == State::SynSent);
            self.want.syn = Some(Syn::Again("rto"));
            return;
        }
        if self.rec.board.is_empty() {
            return;
        }
        self.enter_loss(cx, self.retries > 1);
        self.let_one_out();
        self.rtt.back_off();
    }

    /// RFC 9293 §3.8.3 MUST-20: R2 is reached, the connection is closed.
    pub(crate) fn give_up(&mut self, cx: &mut Ctx<'_>) {
        let error = self.soft_error.take().unwrap_or(Errno::ETIMEDOUT);
        self.fail(cx, Trigger::TimedOut, error);
    }

    /// RFC 9293 §3.8.6.1. Probing goes on for ever while the peer answers (MUST-36).
    fn on_persist(&mut self, cx: &mut Ctx<'_>) {
        if self.snd.wnd > 0 {
            // Silly-window avoidance waited long enough (RFC 9293 §3.8.6.2.1, the override).
            self.want.force = true;
            self.snd.push = self.data_end();
            return;
        }
        self.probing_since.get_or_insert(cx.now);
        self.retries = self.retries.saturating_add(1);
        if self.has_probed_enough(cx.now) {
            self.give_up(cx);
            return;
        }
        self.rtt.back_off();
        self.want.probe = Some("zero-window probe");
        let wait = self.probe_wait(cx.now);
        self.timers.set(Timer::Persist, cx.now + wait, cx.cause);
    }
}
