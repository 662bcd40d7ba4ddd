//! Commands that the lab itself gives at their times.

use netarium_base::trace::Event;
use netarium_base::{Cause, Duration, FlowId, Instant, Place};

use super::{Core, Due};
use crate::message::Command;
use crate::queue::{Key, ORIGINS_MAX};

/// A command to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// When it is given first.
    pub at: Instant,
    /// What is to be done.
    pub command: Command,
    /// After how long it is given again, and how many times more.
    pub again: Option<(Duration, u32)>,
}

/// Its events stand behind all others of an instant: no component has this rank.
const ORIGIN: u32 = ORIGINS_MAX as u32 - 1;

impl Core {
    /// Puts a command on the schedule. Those of one time are given in the order of the calls.
    pub(crate) fn schedule(&mut self, entry: Scheduled) {
        let number = self.schedule_next;
        self.schedule_next += 1;
        let key = Key::new(entry.at, ORIGIN, u64::from(number));
        self.net.queue.push(key, Due::Scheduled(number));
        self.scheduled.insert(number, entry);
    }

    /// The command of this number is due.
    pub(super) fn give_scheduled(&mut self, number: u32) {
        let Some(mut entry) = self.scheduled.remove(&number) else { return };
        let command = entry.command.clone();
        if let Some((every, times)) = entry.again
            && times > 0
        {
            // At least a nanosecond later, so that time goes on.
            entry.at = self.net.now + every.max(Duration::from_nanos(1));
            entry.again = Some((every, times - 1));
            self.schedule(entry);
        }
        let event = || Event::Command { text: format!("schedule: {command}").into() };
        let cause =
            self.net.tracer.emit(self.net.now, Cause::NONE, Place::World, FlowId::NONE, event);
        self.set_current(cause);
        // What it has to say stands in the trace, too.
        let _ = self.command(&command, cause);
    }
}
