//! The timers of a connection: a closed set in a table.

use netarium_base::{Cause, Instant};

/// The timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Unacknowledged data, SYN or FIN is sent again (RFC 6298).
    Retransmit,
    /// The end of a flight is probed for loss (RFC 8985 §7). Runs instead of `Retransmit`.
    LossProbe,
    /// Segments that might only be late are taken for lost (RFC 8985 §6.2 step 5). Runs instead
    /// of `Retransmit`.
    Reorder,
    /// A zero window is probed (RFC 9293 §3.8.6.1).
    Persist,
    /// An acknowledgement was held back long enough (RFC 9293 §3.8.6.3).
    DelayedAck,
    /// The wait of FIN-WAIT-2 for the peer's FIN, or of TIME-WAIT for old segments.
    Wait,
    /// An idle connection is probed (RFC 9293 §3.8.4).
    KeepAlive,
    /// The next quantum of a paced connection may leave.
    Pacing,
}

const COUNT: usize = 8;

impl Timer {
    /// All timers, in the order in which simultaneous ones fire.
    pub const ALL: [Timer; COUNT] = [
        Timer::Retransmit,
        Timer::LossProbe,
        Timer::Reorder,
        Timer::Persist,
        Timer::DelayedAck,
        Timer::Wait,
        Timer::KeepAlive,
        Timer::Pacing,
    ];

    /// The name in the trace.
    pub const fn name(self) -> &'static str {
        match self {
            Timer::Retransmit => "retransmit",
            Timer::LossProbe => "loss-probe",
            Timer::Reorder => "reordering",
            Timer::Persist => "persist",
            Timer::DelayedAck => "delayed-ack",
            Timer::Wait => "wait",
            Timer::KeepAlive => "keep-alive",
            Timer::Pacing => "pacing",
        }
    }
}

/// When each timer is due and which event set it.
#[derive(Clone, Debug)]
pub struct Timers {
    /// The far future for one that does not run.
    due: [Instant; COUNT],
    causes: [Cause; CAUSES],
    /// What the trace knows of `due`.
    told: [Instant; COUNT],
}

/// What stands for the time of a timer that does not run.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// The three timers that watch over what is in flight never run together and share a cause.
const CAUSES: usize = COUNT - 2;

impl Timer {
    const fn cause_at(self) -> usize {
        (self as usize).saturating_sub(2)
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers { due: [NEVER; COUNT], causes: Default::default(), told: [NEVER; COUNT] }
    }
}

/// A change that the trace does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set or moved, by this cause.
    Set(Instant, Cause),
    /// Stopped.
    Cancelled,
}

impl Timers {
    /// Sets or moves a timer.
    pub fn set(&mut self, timer: Timer, due: Instant, cause: Cause) {
        self.due[timer as usize] = due;
        self.causes[timer.cause_at()] = cause;
    }

    /// Sets one of the three timers that watch over what is in flight, and stops the other two.
    pub fn watch(&mut self, timer: Timer, due: Instant, cause: Cause) {
        self.cancel_watch();
        self.set(timer, due, cause);
    }

    /// Stops what watches over what is in flight.
    pub fn cancel_watch(&mut self) {
        for t in [Timer::Retransmit, Timer::LossProbe, Timer::Reorder] {
            self.due[t as usize] = NEVER;
        }
    }

    /// Whether something watches over what is in flight.
    pub fn is_watched(&self) -> bool {
        let watches = [Timer::Retransmit, Timer::LossProbe, Timer::Reorder];
        watches.into_iter().any(|t| self.due(t).is_some())
    }

    /// Stops a timer. Whether it was running.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        std::mem::replace(&mut self.due[timer as usize], NEVER) != NEVER
    }

    /// Stops all timers.
    pub fn clear(&mut self) {
        self.due = [NEVER; COUNT];
    }

    /// When a timer is due.
    pub fn due(&self, timer: Timer) -> Option<Instant> {
        Some(self.due[timer as usize]).filter(|due| *due != NEVER)
    }

    /// When the first timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().min().copied().filter(|due| *due != NEVER)
    }

    /// Takes a timer that is due at `now`, with the event that set it.
    pub fn take_due(&mut self, now: Instant) -> Option<(Timer, Cause)> {
        let timer = Timer::ALL.into_iter().find(|t| self.due(*t).is_some_and(|d| d <= now))?;
        self.due[timer as usize] = NEVER;
        self.told[timer as usize] = NEVER;
        Some((timer, self.causes[timer.cause_at()]))
    }

    /// What became of a timer since this was asked last. What was set and stopped in between is no
    /// change.
    pub fn take_change(&mut self, timer: Timer) -> Option<Change> {
        let at = timer as usize;
        let now = self.due[at];
        if std::mem::replace(&mut self.told[at], now) == now {
            return None;
        }
        let cause = self.causes[timer.cause_at()];
        Some(if now == NEVER { Change::Cancelled } else { Change::Set(now, cause) })
    }

    /// The event that tells of the setting is what the timer fires because of.
    pub fn set_cause(&mut self, timer: Timer, cause: Cause) {
        self.causes[timer.cause_at()] = cause;
    }
}
