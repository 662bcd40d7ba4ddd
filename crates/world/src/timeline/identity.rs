//! What an event is, whatever its id: the same in two runs that differ.

use std::collections::VecDeque;
use std::rc::Rc;

use netarium_base::map::Map;
use netarium_base::trace::{Event, Names, Record, Value};
use netarium_base::{EventId, Luck, Place, Seed};

use crate::names::NameTable;

/// How many of the latest events keep what they are about, for those that follow from them.
const SUBJECTS_MAX: usize = 1 << 20;

/// What an event is, and a hash of its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Place, flow, kind, subject and texts.
    pub(super) key: u64,
    /// The how-many-eth with this key, from 1.
    pub(super) occurrence: u64,
    /// Everything else that it says, but ids and times.
    pub(super) details: u64,
}

/// Gives events their identities, in the order of the run.
#[derive(Debug)]
pub(super) struct Identities {
    names: Rc<NameTable>,
    hash: Luck,
    /// What the latest events are about: a segment or packet; 0 when about none.
    subjects: VecDeque<u64>,
    /// The id of the first of them.
    first: u64,
    seen: Map<u64, u64>,
}

impl Identities {
    pub(super) fn new(names: Rc<NameTable>) -> Identities {
        let hash = Seed(0).luck("timeline", "identity");
        let (subjects, seen) = (VecDeque::new(), Map::default());
        Identities { names, hash, subjects, first: 0, seen }
    }

    /// Notes an event; its identity when it is `wanted`.
    pub(super) fn of(&mut self, record: &Record, wanted: bool) -> Option<Identity> {
        if self.subjects.is_empty() {
            // The world's first events may have happened before anybody looked.
            self.first = record.id.0;
        }
        let subject = self.subject(record);
        self.subjects.push_back(subject);
        if self.subjects.len() > SUBJECTS_MAX {
            self.subjects.pop_front();
            self.first += 1;
        }
        if !wanted {
            return None;
        }
        let (key, details) = self.hashes(record, subject);
        let seen = self.seen.entry(key).or_insert(0);
        *seen += 1;
        Some(Identity { key, occurrence: *seen, details })
    }

    /// The segment or packet that an event is about: its own, or that of its cause when it tells of
    /// a step on the way of one.
    fn subject(&self, record: &Record) -> u64 {
        let text = |text: &str| self.hash.hash(text.as_bytes());
        match &record.event {
            Event::SegmentBuilt { seq, flags, len, .. } => {
                let what = u64::from(*seq) << 32 | u64::from(*len) << 8 | u64::from(*flags & 0xff);
                self.hash.draw(record.flow.0, what)
            }
            Event::PacketBuilt { kind, len, .. } => {
                self.hash.draw(text(kind) ^ record.flow.0, u64::from(*len))
            }
            Event::FrameSent { .. }
            | Event::FrameQueued { .. }
            | Event::FrameDelivered { .. }
            | Event::FrameFault { .. }
            | Event::Dropped { .. }
            | Event::RouteChosen { .. }
            | Event::RuleMatched { .. }
            | Event::Tracked { .. }
            | Event::Translated { .. }
            | Event::SwitchTable { .. } => self.subject_of(record.cause),
            _ => 0,
        }
    }

    fn subject_of(&self, id: EventId) -> u64 {
        let at = id.0.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.subjects.get(at)).copied().unwrap_or(0)
    }

    fn hashes(&self, record: &Record, subject: u64) -> (u64, u64) {
        let text = |text: &str| self.hash.hash(text.as_bytes());
        let mut key = self.hash.draw(text(record.event.name()), self.place(record.place));
        key = self.hash.draw(self.hash.draw(key, record.flow.0), subject);
        let mut details = 0;
        record.event.fields(&mut |name, value| {
            let hashed = match &value {
                Value::U64(n) => *n,
                Value::I64(n) => *n as u64,
                Value::Str(s) => text(s),
                Value::Link(link) => text(self.names.link(*link)),
                Value::None => 0,
            };
            if names_it(record, name, &value) {
                key = self.hash.draw(key, hashed);
            } else if !matches!(name, "since" | "socket") {
                details = self.hash.draw(details, hashed ^ text(name));
            }
        });
        (key, details)
    }

    fn place(&self, place: Place) -> u64 {
        let text = |text: &str| self.hash.hash(text.as_bytes());
        match place {
            Place::World => 0,
            Place::Node(node) => text(self.names.node(node)),
            Place::Iface(node, iface) => {
                self.hash.draw(text(self.names.node(node)), iface.0.into())
            }
            Place::Process(node, pid) => self.hash.draw(text(self.names.node(node)), pid.0.into()),
            Place::Link(link, end) => {
                self.hash.draw(text(self.names.link(link)), end.index() as u64)
            }
        }
    }
}

/// Whether a field says which event it is, and not only how it went: texts do, and the numbers
/// without which two would be one.
fn names_it(record: &Record, field: &str, value: &Value) -> bool {
    match (&record.event, field) {
        (_, "socket") | (Event::SegmentBuilt { .. }, "reason") => false,
        (Event::TcpState { .. }, "trigger") => false,
        (Event::SegmentBuilt { .. } | Event::Retransmission { .. }, "seq") => true,
        (Event::Input { .. }, "port") => true,
        (Event::ProcessStarted { .. } | Event::ProcessExited { .. }, "pid") => true,
        _ => matches!(value, Value::Str(_) | Value::Link(_)),
    }
}
