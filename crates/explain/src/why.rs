//! From an event back to its root.

use netarium_base::trace::{Names, Record, Tracer};
use netarium_base::{EventId, Instant};
use serde::Serialize;

use crate::sentence::{place, sentence};

/// The most events of a chain that are told; of a longer one, the latest.
pub const CHAIN_MAX: usize = 1000;

/// Where records are looked up.
pub trait Records {
    /// The record with this id, if it is kept.
    fn find(&self, id: EventId) -> Option<&Record>;
}

impl Records for Tracer {
    fn find(&self, id: EventId) -> Option<&Record> {
        self.get(id)
    }
}

/// Records in the order of their ids.
impl Records for [Record] {
    fn find(&self, id: EventId) -> Option<&Record> {
        self.binary_search_by_key(&id, |r| r.id).ok().map(|i| &self[i])
    }
}

/// What a line of an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The event that was asked about.
    Asked,
    /// What triggered the one before it.
    Cause,
    /// The call whose data or intent the event carries, when it is not among its causes.
    Origin,
    /// The chain goes on, but its events are no longer kept, or there are too many.
    Gap,
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is about.
    pub role: Role,
    /// The event.
    pub id: EventId,
    /// When it happened; for a gap, when what came after it happened.
    pub at: Instant,
    /// Where it happened.
    pub place: String,
    /// What kind of event it is; empty for a gap.
    pub event: &'static str,
    /// What happened, in a sentence.
    pub text: String,
}

/// An event in words, alone.
pub fn told(record: &Record, names: &dyn Names) -> Line {
    line(Role::Asked, record, names)
}

/// Walks from an event over its causes to its root: the event itself first. A chain whose beginning
/// is no longer kept ends with a gap; an event that is not kept gives an empty answer.
pub fn why(records: &(impl Records + ?Sized), names: &dyn Names, id: EventId) -> Vec<Line> {
    let Some(asked) = records.find(id) else { return Vec::new() };
    let mut lines = vec![line(Role::Asked, asked, names)];
    let mut last = asked;
    // Causes come before their effects; anything else would not be a trace.
    while last.cause != EventId::NONE && last.cause < last.id {
        match records.find(last.cause) {
            Some(cause) if lines.len() < CHAIN_MAX => {
                lines.push(line(Role::Cause, cause, names));
                last = cause;
            }
            Some(_) => {
                lines.push(gap(last, "Earlier causes are left out: the chain is too long."));
                break;
            }
            None => {
                lines.push(gap(last, "This cause and those before it are no longer kept."));
                break;
            }
        }
    }
    if asked.origin != asked.id
        && lines.iter().all(|l| l.id != asked.origin)
        && let Some(origin) = records.find(asked.origin)
    {
        lines.push(line(Role::Origin, origin, names));
    }
    lines
}

fn line(role: Role, record: &Record, names: &dyn Names) -> Line {
    Line {
        role,
        id: record.id,
        at: record.at,
        place: place(record, names),
        event: record.event.name(),
        text: sentence(record, names),
    }
}

fn gap(after: &Record, text: &str) -> Line {
    Line {
        role: Role::Gap,
        id: after.cause,
        at: after.at,
        place: String::new(),
        event: "",
        text: text.to_owned(),
    }
}
