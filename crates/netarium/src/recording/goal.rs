//! Where to go in a run, from where one stands.

use core::str::FromStr;

use netarium_base::{Duration, EventId, Instant};
use netarium_world::World;
use netarium_world::journal::Moment;

/// A point of a run, absolute or from where one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A point of the run.
    At(Moment),
    /// So much later.
    Later(Duration),
    /// So much earlier.
    Earlier(Duration),
    /// So many dispatched events on.
    Forward(u64),
    /// So many dispatched events back.
    Back(u64),
}

impl Goal {
    /// The point, seen from where this world stands.
    pub fn moment(self, world: &World) -> Moment {
        match self {
            Goal::At(moment) => moment,
            Goal::Later(time) => Moment::Time(world.now() + time),
            Goal::Earlier(time) => Moment::Time(world.now() - time),
            Goal::Forward(n) => Moment::Step(world.events().saturating_add(n)),
            Goal::Back(n) => Moment::Step(world.events().saturating_sub(n)),
        }
    }
}

impl FromStr for Goal {
    type Err = String;

    /// Reads `12.5s` (a virtual time), `#4711` (a trace event), `+2s`, `-500ms` (from here),
    /// `+3`, `-3` (dispatched events from here), `end`.
    fn from_str(text: &str) -> Result<Goal, String> {
        let text = text.trim();
        if text == "end" {
            return Ok(Goal::At(Moment::End));
        }
        if let Some(id) = text.strip_prefix('#') {
            let id = id.parse().map_err(|_| format!("`{text}` is not `#` and a number"))?;
            return Ok(Goal::At(Moment::Event(EventId(id))));
        }
        let time = |text: &str| -> Result<Duration, String> {
            text.parse().map_err(|e| format!("{e}, or an event: #1234"))
        };
        let by = |rest: &str, steps: fn(u64) -> Goal, span: fn(Duration) -> Goal| match rest.parse()
        {
            Ok(n) => Ok(steps(n)),
            Err(_) => time(rest).map(span),
        };
        if let Some(rest) = text.strip_prefix('+') {
            return by(rest, Goal::Forward, Goal::Later);
        }
        if let Some(rest) = text.strip_prefix('-') {
            return by(rest, Goal::Back, Goal::Earlier);
        }
        time(text).map(|time| Goal::At(Moment::Time(Instant::ZERO + time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_read() {
        let s = Duration::from_secs;
        for (text, goal) in [
            ("2s", Goal::At(Moment::Time(Instant::ZERO + s(2)))),
            ("#7", Goal::At(Moment::Event(EventId(7)))),
            ("end", Goal::At(Moment::End)),
            ("+2s", Goal::Later(s(2))),
            (" -1m ", Goal::Earlier(s(60))),
            ("+3", Goal::Forward(3)),
            ("-1", Goal::Back(1)),
        ] {
            assert_eq!(text.parse(), Ok(goal), "{text}");
        }
        for wrong in ["", "#", "#x", "+", "-x", "soon", "+-1", "2"] {
            assert!(wrong.parse::<Goal>().is_err(), "{wrong}");
        }
    }
}
