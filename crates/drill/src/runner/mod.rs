//! Plays a script: event after event, in virtual time.
//!
//! [`machine`] is the host and its wire, [`flow`] translates numbers, [`survey`] finds out which
//! system a script is written for. [`expect`] matches what is sent, [`inbound`] makes what arrives;
//! [`calls`] and its neighbours make system calls, of which [`pending`] may suspend one until the
//! stack lets it return.

mod args;
mod calls;
mod consts;
mod expect;
mod flow;
mod inbound;
mod io;
mod machine;
mod pending;
mod poll;
mod shell;
mod sockopt;
mod survey;

use std::collections::BTreeMap;

use netarium_base::Instant;
use netarium_stack::tcp::TcpConfig;
use netarium_stack::tcp::config::Hystart;

use crate::code::Env;
use crate::config::{Config, FlagError};
use crate::report::{Failure, Outcome, Verdict};
use crate::script::{Action, Event, Flag, Script, Time};
use crate::sysctl::Dialect;
use calls::Fd;
use flow::Flow;
use machine::{Machine, Runaway};
use pending::Pending;

/// Lines of the log of one script at most; later ones are left out.
const MAX_LOG: usize = 20_000;

/// Why a script does not go on.
enum Stop {
    /// It differs.
    Fail(Box<Failure>),
    /// It needs what is left out.
    Skip(String),
}

type Step<T = ()> = Result<T, Stop>;

impl From<Runaway> for Stop {
    fn from(Runaway(why): Runaway) -> Stop {
        fail(why)
    }
}

/// A failure whose line is filled in later.
fn fail(why: impl Into<String>) -> Stop {
    Stop::Fail(Box::new(Failure { why: why.into(), ..Failure::default() }))
}

/// A failure with what was expected and what there was.
fn differs(why: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Stop {
    let (why, expected, got) = (why.into(), expected.into(), got.into());
    Stop::Fail(Box::new(Failure { why, expected, got, ..Failure::default() }))
}

/// Runs the script `text`, called `name` in reports. `flags` are those of the command line; they
/// win over the script's own.
pub fn run(name: &str, text: &str, flags: &[Flag]) -> Outcome {
    let mut outcome = Outcome {
        name: name.to_owned(),
        verdict: Verdict::Passed,
        notes: Vec::new(),
        log: Vec::new(),
    };
    match Runner::prepare(text, flags) {
        Err(verdict) => outcome.verdict = verdict,
        Ok((mut runner, script)) => {
            outcome.verdict = runner.play(&script);
            outcome.notes = runner.notes;
            outcome.log = runner.log;
        }
    }
    outcome
}

/// A script on its way.
struct Runner {
    config: Config,
    machine: Machine,
    tcp: TcpConfig,
    dialect: Dialect,
    fds: BTreeMap<i64, Fd>,
    flows: Vec<Flow>,
    /// The conversation that packets without ports belong to.
    current: Option<usize>,
    /// The port of the last `listen`.
    listening: Option<u16>,
    /// The socket that code snippets ask for TCP_INFO.
    info_fd: Option<i64>,
    next_remote_port: u16,
    pending: Option<Pending>,
    env: Env,
    /// Whether the script expects ICMP or UDP packets.
    wants_other: bool,
    notes: Vec<String>,
    log: Vec<String>,
}

impl Runner {
    fn prepare(text: &str, flags: &[Flag]) -> Result<(Runner, Script), Verdict> {
        let defines: Vec<(String, String)> = flags
            .iter()
            .filter(|f| f.name == "define")
            .filter_map(|f| f.value.as_deref()?.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let script = Script::parse(text, &defines).map_err(|e| {
            let source = text.lines().nth(e.line as usize - 1).unwrap_or_default().to_owned();
            if e.unsupported {
                return Verdict::Skipped(format!("line {}: {}", e.line, e.message));
            }
            let why = format!("column {}: {}", e.column, e.message);
            Verdict::Failed(Box::new(Failure { line: e.line, source, why, ..Failure::default() }))
        })?;
        let all: Vec<Flag> = script.flags.iter().chain(flags).cloned().collect();
        let config = Config::of(&all).map_err(|e| match e {
            FlagError::Unsupported(why) => Verdict::Skipped(why),
            FlagError::Wrong(line, why) => {
                let source = script.lines.get((line as usize).wrapping_sub(1)).cloned();
                let source = source.unwrap_or_default();
                let failure = Failure { line, source, why, ..Failure::default() };
                Verdict::Failed(Box::new(failure))
            }
        })?;
        if let Some(why) = calls::left_out(&script) {
            return Err(Verdict::Skipped(why));
        }
        Ok((Runner::new(config, &script), script))
    }

    fn new(config: Config, script: &Script) -> Runner {
        let machine = Machine::new(&config);
        let mut runner = Runner {
            machine,
            config,
            // The scripts that speak of slow start's end speak of Linux' HyStart.
            tcp: TcpConfig { hystart: Hystart::Classic, ..TcpConfig::default() },
            dialect: Dialect::default(),
            fds: BTreeMap::new(),
            flows: Vec::new(),
            current: None,
            listening: None,
            info_fd: None,
            next_remote_port: 53_055,
            pending: None,
            env: Env::default(),
            wants_other: expect::wants_other(script),
            notes: Vec::new(),
            log: Vec::new(),
        };
        runner.survey(script);
        runner
    }

    fn play(&mut self, script: &Script) -> Verdict {
        let last = script.events.len().saturating_sub(1);
        for (i, event) in script.events.iter().enumerate() {
            let cleanup = event.at == Time::None && i == last && i > 0;
            let done = if cleanup { Ok(()) } else { self.event(event) };
            if let Err(stop) = done {
                return self.ended(script, event.line, stop);
            }
        }
        if let Err(stop) = self.finish_pending() {
            let line = self.pending.as_ref().map_or(0, |p| p.line);
            return self.ended(script, line, stop);
        }
        for sent in std::mem::take(&mut self.machine.sent) {
            let text = self.describe_sent(&sent);
            self.note_line(format!("{text}   (sent, not in the script)"));
        }
        Verdict::Passed
    }

    fn ended(&mut self, script: &Script, line: u32, stop: Stop) -> Verdict {
        match stop {
            Stop::Skip(why) => Verdict::Skipped(format!("line {line}: {why}")),
            Stop::Fail(mut failure) => {
                if failure.line == 0 {
                    failure.line = line;
                }
                let source = script.lines.get((failure.line as usize).wrapping_sub(1));
                failure.source = source.cloned().unwrap_or_default();
                failure.also.extend(self.waiting());
                Verdict::Failed(failure)
            }
        }
    }

    fn event(&mut self, event: &Event) -> Step {
        match &event.action {
            Action::Packet(packet) => self.packet(event, packet),
            Action::Call(call) => {
                self.finish_pending()?;
                self.go_to(event.at)?;
                self.start_call(call, event)
            }
            Action::Command(text) => {
                self.go_to(event.at)?;
                self.shell(text, event.line)
            }
            Action::Code(text) => {
                self.go_to(event.at)?;
                self.code(text, event.line)
            }
        }
    }

    /// Whether a difference only becomes a note (`--non_fatal`).
    fn forgive(&mut self, forgiving: bool, line: u32, result: Step) -> Step {
        match result {
            Err(Stop::Fail(failure)) if forgiving => {
                self.notes.push(format!("line {line}: {} (--non_fatal)", failure.why));
                Ok(())
            }
            other => other,
        }
    }

    /// Lets time pass until an event's time.
    fn go_to(&mut self, at: Time) -> Step {
        let Some((due, _)) = self.due(at) else { return Ok(()) };
        let tolerance = self.tolerance(due);
        if self.machine.now > due + tolerance {
            return Err(differs(
                "time goes backward: what stands before took longer",
                format!("at {}", self.clock(due)),
                format!("at {}", self.clock(self.machine.now)),
            ));
        }
        self.advance(due)
    }

    /// First and last moment of an event; `None` for any time.
    fn due(&self, at: Time) -> Option<(Instant, Instant)> {
        let m = &self.machine;
        let later = |us: i64| m.now + netarium_base::Duration::from_micros(us.max(0) as u64);
        Some(match at {
            Time::Any => return None,
            Time::None => (m.now, m.now),
            Time::Absolute(us) => (m.at(us), m.at(us)),
            Time::Relative(us) => (later(us), later(us)),
            Time::AbsoluteRange(from, to) => (m.at(from), m.at(to)),
            Time::RelativeRange(from, to) => (later(from), later(to)),
        })
    }

    /// packetdrill's rule: so many microseconds, or a share of the time that passed.
    fn tolerance(&self, due: Instant) -> netarium_base::Duration {
        let waited = due.since(self.machine.now).as_micros() as i64;
        let share = waited.saturating_mul(self.config.tolerance_percent) / 100;
        let micros = self.config.tolerance_usecs.max(share);
        netarium_base::Duration::from_micros(micros as u64)
    }

    /// Lets timers fire up to `to`, and the suspended call return when it can.
    fn advance(&mut self, to: Instant) -> Step {
        self.retry_pending()?;
        loop {
            let limit = self.pending_deadline().map_or(to, |d| d.min(to));
            if self.machine.step(limit)? {
                self.retry_pending()?;
                continue;
            }
            self.machine.now = self.machine.now.max(limit);
            self.retry_pending()?;
            if limit >= to {
                return Ok(());
            }
        }
    }

    /// A moment as seconds since the start.
    fn clock(&self, at: Instant) -> String {
        let us = self.machine.elapsed(at).as_micros();
        format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
    }

    fn note_line(&mut self, line: String) {
        if self.log.len() < MAX_LOG {
            self.log.push(line);
        }
    }
}
