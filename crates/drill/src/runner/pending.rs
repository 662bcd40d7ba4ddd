//! How calls wait, and whether they return what the script says, when it says.
//!
//! One call may be suspended at a time, as packetdrill has one thread for those that block. It is
//! tried again whenever something has happened.

use netarium_base::{Duration, Instant};
use netarium_stack::Errno;

use super::consts::{errno_name, errno_text};
use super::{Runner, Step, Stop, differs};
use crate::script::{Call, Event, Expr, Time};

/// How a call ended, or that it waits.
pub(super) enum Try {
    /// It returned a number, or failed with an errno.
    Done(Result<i64, &'static str>),
    /// It waits; for so long at most.
    Wait(Option<Instant>),
}

/// A suspended call.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    call: Call,
    pub(super) line: u32,
    /// When it began.
    pub(super) start: Instant,
    /// When the script says that it returns; `None` for a call that must not wait.
    until: Option<Instant>,
    /// Bytes moved so far; or that a `connect` was begun.
    pub(super) progress: i64,
    /// When it gives up waiting by itself.
    pub(super) wake: Option<Instant>,
    /// Whether it was tried before.
    pub(super) again: bool,
}

/// What a script expects of a call.
enum Expected {
    Any,
    Number(i64),
    /// The name; empty for any.
    Error(String),
}

impl Runner {
    /// Makes a call; one that waits is suspended.
    pub(super) fn start_call(&mut self, call: &Call, event: &Event) -> Step {
        let start = self.machine.now;
        let begins = match event.at {
            Time::Absolute(us) | Time::Relative(us) => us,
            _ => 0,
        };
        let until =
            call.until.map(|end| start + Duration::from_micros((end - begins).max(0) as u64));
        self.pending = Some(Pending {
            call: call.clone(),
            line: event.line,
            start,
            until,
            progress: 0,
            wake: None,
            again: false,
        });
        self.retry_pending()?;
        if self.pending.as_ref().is_some_and(|p| p.until.is_none()) {
            self.finish_pending()?;
        }
        Ok(())
    }

    /// When the suspended call gives up by itself, if that is still to come.
    pub(super) fn pending_deadline(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|p| p.wake).filter(|w| *w > self.machine.now)
    }

    /// Lets the suspended call return if it can.
    pub(super) fn retry_pending(&mut self) -> Step {
        let Some(mut pending) = self.pending.take() else { return Ok(()) };
        let call = pending.call.clone();
        match self.attempt(&call, &mut pending)? {
            Try::Wait(wake) => {
                pending.again = true;
                pending.wake = wake;
                self.pending = Some(pending);
                Ok(())
            }
            Try::Done(result) => {
                let clock = self.clock(self.machine.now);
                let shown = shown_result(result);
                self.note_line(format!("{clock} {}(…) = {shown}", call.name));
                let done = self.check_result(&pending, result);
                self.forgive(self.config.non_fatal_calls, pending.line, done)
            }
        }
    }

    /// Waits for the suspended call to return.
    pub(super) fn finish_pending(&mut self) -> Step {
        let Some(pending) = &self.pending else { return Ok(()) };
        let (name, line) = (pending.call.name.clone(), pending.line);
        let until = pending.until.unwrap_or(pending.start);
        let limit = until + self.tolerance(until);
        while self.pending.is_some() {
            let next = self.pending_deadline().map_or(limit, |d| d.min(limit));
            if self.machine.step(next)? {
                self.retry_pending()?;
            } else if next < limit {
                self.machine.now = self.machine.now.max(next);
                self.retry_pending()?;
            } else {
                let expected = match self.pending.as_ref().and_then(|p| p.until) {
                    Some(until) => format!("{name} returns at {}", self.clock(until)),
                    None => format!("{name} returns at once"),
                };
                let mut stop = differs("a call does not return", expected, "it still waits");
                if let Stop::Fail(failure) = &mut stop {
                    failure.line = line;
                }
                return Err(stop);
            }
        }
        Ok(())
    }

    fn check_result(&mut self, pending: &Pending, result: Result<i64, &'static str>) -> Step {
        let call = &pending.call;
        let at_line = |mut stop: Stop| {
            if let Stop::Fail(failure) = &mut stop {
                failure.line = pending.line;
            }
            stop
        };
        let expected = self.expected_result(call)?;
        let same = match (&expected, result) {
            (Expected::Any, _) => true,
            (Expected::Number(n), Ok(got)) => *n == got,
            (Expected::Error(name), Err(got)) => {
                name.is_empty() || errno_name(name) == errno_name(got)
            }
            _ => false,
        };
        if !same {
            let want = match expected {
                Expected::Any => "...".to_owned(),
                Expected::Number(n) => n.to_string(),
                Expected::Error(name) => shown_error(&name),
            };
            let why = format!("{} returns something else", call.name);
            return Err(at_line(differs(why, want, shown_result(result))));
        }
        if let Some(until) = pending.until {
            let now = self.machine.now;
            let waited = until.since(pending.start).as_micros() as i64;
            let share = waited * self.config.tolerance_percent / 100;
            let slack = Duration::from_micros(self.config.tolerance_usecs.max(share) as u64);
            if now + slack < until || now > until + slack {
                return Err(at_line(differs(
                    format!("{} returns at another time", call.name),
                    format!("at {}", self.clock(until)),
                    format!("at {}", self.clock(now)),
                )));
            }
        }
        Ok(())
    }

    fn expected_result(&self, call: &Call) -> Step<Expected> {
        if let Some(name) = &call.errno {
            return Ok(Expected::Error(name.clone()));
        }
        Ok(match &call.result {
            Expr::Ellipsis => Expected::Any,
            other => match self.int(other)? {
                // -1 without a name: any error.
                -1 => Expected::Error(String::new()),
                n => Expected::Number(n),
            },
        })
    }
}

impl Pending {
    /// Whether the time-out of a blocking call has passed.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.wake.is_some_and(|w| now >= w)
    }
}

/// What a call of the stack returned.
pub(super) fn returned(result: Result<i64, Errno>) -> Try {
    Try::Done(result.map_err(Errno::name))
}

/// A blocking call waits; when its socket's time-out has passed, it fails.
pub(super) fn wait_for(timeout: Option<Duration>, pending: &Pending) -> Try {
    Try::Wait(timeout.map(|t| pending.start + t))
}

fn shown_result(result: Result<i64, &'static str>) -> String {
    match result {
        Ok(n) => n.to_string(),
        Err(name) => shown_error(name),
    }
}

fn shown_error(name: &str) -> String {
    match errno_text(errno_name(name)) {
        "" => format!("-1 {name}").trim_end().to_owned(),
        text => format!("-1 {name} ({text})"),
    }
}
