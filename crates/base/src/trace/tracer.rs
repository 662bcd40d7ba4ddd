//! The numbering of events and their bounded store.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::id::{EventId, FlowId, IfIndex, LinkEnd, LinkId, NodeId, Pid};
use crate::time::Instant;

use super::event::{Event, Value};
use super::{Cause, DropReason};

/// Where an event happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Place {
    /// The world itself.
    #[default]
    World,
    /// A host, switch or hub.
    Node(NodeId),
    /// An interface of a node.
    Iface(NodeId, IfIndex),
    /// A process on a host.
    Process(NodeId, Pid),
    /// An end of a link.
    Link(LinkId, LinkEnd),
}

/// Turns ids into the names that people gave.
pub trait Names {
    /// The name of a node.
    fn node(&self, id: NodeId) -> &str;
    /// The name of a link.
    fn link(&self, id: LinkId) -> &str;
    /// The name of an interface of a node.
    fn iface(&self, node: NodeId, iface: IfIndex) -> &str;
}

/// Names for when there are none: everything is `?`.
#[derive(Debug, Clone, Copy)]
pub struct NoNames;

impl Names for NoNames {
    fn node(&self, _: NodeId) -> &str {
        "?"
    }
    fn link(&self, _: LinkId) -> &str {
        "?"
    }
    fn iface(&self, _: NodeId, _: IfIndex) -> &str {
        "?"
    }
}

/// One recorded event.
///
/// The 200,000 that a running lab keeps are 32 MB.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number.
    pub id: EventId,
    /// When it happened.
    pub at: Instant,
    /// What triggered it.
    pub cause: EventId,
    /// The call whose data or intent it carries.
    pub origin: EventId,
    /// The first event of its chain.
    pub root: EventId,
    /// Where it happened.
    pub place: Place,
    /// The conversation it belongs to.
    pub flow: FlowId,
    /// What happened.
    pub event: Event,
}

const _: () = assert!(size_of::<Record>() <= 160);

impl Record {
    /// The record as a JSON-serialisable value, with names instead of ids.
    pub fn json<'a>(&'a self, names: &'a dyn Names) -> impl Serialize + 'a {
        JsonRecord { record: self, names }
    }
}

struct JsonRecord<'a> {
    record: &'a Record,
    names: &'a dyn Names,
}

impl Serialize for JsonRecord<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let r = self.record;
        let names = self.names;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("id", &r.id.0)?;
        map.serialize_entry("at", &r.at.as_nanos())?;
        map.serialize_entry("event", r.event.name())?;
        match r.place {
            Place::World => map.serialize_entry("place", "world")?,
            Place::Node(n) => map.serialize_entry("place", names.node(n))?,
            Place::Iface(n, i) => {
                map.serialize_entry("place", names.node(n))?;
                map.serialize_entry("interface", names.iface(n, i))?;
            }
            Place::Process(n, p) => {
                map.serialize_entry("place", names.node(n))?;
                map.serialize_entry("process", &p.0)?;
            }
            Place::Link(l, end) => {
                map.serialize_entry("place", names.link(l))?;
                map.serialize_entry("at_end", &end)?;
            }
        }
        if r.flow != FlowId::NONE {
            map.serialize_entry("flow", &format_args!("{:016x}", r.flow.0))?;
        }
        for (key, id) in [("cause", r.cause), ("origin", r.origin), ("root", r.root)] {
            if id != EventId::NONE {
                map.serialize_entry(key, &id.0)?;
            }
        }
        let mut result = Ok(());
        r.event.fields(&mut |name, value| {
            if result.is_err() {
                return;
            }
            result = match value {
                Value::U64(v) => map.serialize_entry(name, &v),
                Value::I64(v) => map.serialize_entry(name, &v),
                Value::Str(v) => map.serialize_entry(name, &v),
                Value::Link(l) => map.serialize_entry(name, names.link(l)),
                Value::None => Ok(()),
            };
        });
        result?;
        map.end()
    }
}

/// Somebody who wants each record as it happens (a file, an observer). Sinks see records in order
/// and must not change anything in the world.
pub trait TraceSink {
    /// Takes one record.
    fn record(&mut self, record: &Record);
}

/// A sink of a [`Tracer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkId(u32);

/// Numbers events, keeps the latest ones when asked to, and counts drops by reason.
pub struct Tracer {
    next: u64,
    /// Whether anybody looks: a store with a limit above zero, or a sink.
    on: bool,
    limit: usize,
    kept: VecDeque<Record>,
    evicted: u64,
    sinks: Vec<(SinkId, Box<dyn TraceSink>)>,
    next_sink: u32,
    drops: BTreeMap<(Place, DropReason), u64>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("next", &self.next)
            .field("kept", &self.kept.len())
            .field("evicted", &self.evicted)
            .finish_non_exhaustive()
    }
}

impl Default for Tracer {
    fn default() -> Self {
        Tracer::new(0)
    }
}

impl Tracer {
    /// A tracer that keeps the latest `limit` records; 0 keeps none, and costs nothing.
    pub fn new(limit: usize) -> Self {
        Tracer {
            next: 1,
            on: limit > 0,
            limit,
            kept: VecDeque::new(),
            evicted: 0,
            sinks: Vec::new(),
            next_sink: 0,
            drops: BTreeMap::new(),
        }
    }

    /// Adds a sink for all records from now on.
    pub fn add_sink(&mut self, sink: Box<dyn TraceSink>) -> SinkId {
        let id = SinkId(self.next_sink);
        self.next_sink += 1;
        self.sinks.push((id, sink));
        self.on = true;
        id
    }

    /// Takes a sink away and gives it back. When nobody looks any more, events cost nothing again.
    pub fn remove_sink(&mut self, id: SinkId) -> Option<Box<dyn TraceSink>> {
        let at = self.sinks.iter().position(|(other, _)| *other == id)?;
        let (_, sink) = self.sinks.remove(at);
        self.on = self.limit > 0 || !self.sinks.is_empty();
        Some(sink)
    }

    /// Whether anybody looks: otherwise the details of events need not be gathered.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Numbers an event and records it when somebody looks.
    #[inline]
    pub fn emit(
        &mut self,
        at: Instant,
        cause: Cause,
        place: Place,
        flow: FlowId,
        event: impl FnOnce() -> Event,
    ) -> Cause {
        let id = EventId(self.next);
        self.next += 1;
        let own = if cause.id == EventId::NONE {
            Cause { id, origin: id, root: id }
        } else {
            Cause { id, ..cause }
        };
        if self.on {
            self.keep(Record {
                id,
                at,
                cause: cause.id,
                origin: own.origin,
                root: own.root,
                place,
                flow,
                event: event(),
            });
        }
        own
    }

    /// Records a drop and counts it, whether or not anybody looks.
    pub fn drop_at(
        &mut self,
        at: Instant,
        cause: Cause,
        place: Place,
        flow: FlowId,
        reason: DropReason,
        len: usize,
    ) -> Cause {
        let counted_at = match place {
            Place::Iface(node, _) | Place::Process(node, _) => Place::Node(node),
            other => other,
        };
        *self.drops.entry((counted_at, reason)).or_default() += 1;
        self.emit(at, cause, place, flow, || Event::Dropped { reason, len: len as u32 })
    }

    #[cold]
    #[inline(never)]
    fn keep(&mut self, record: Record) {
        for (_, sink) in &mut self.sinks {
            sink.record(&record);
        }
        if self.limit == 0 {
            return;
        }
        if self.kept.len() >= self.limit {
            self.kept.pop_front();
            self.evicted += 1;
        }
        self.kept.push_back(record);
    }

    /// How many events were numbered so far.
    pub fn emitted(&self) -> u64 {
        self.next - 1
    }

    /// How many kept records had to make room for newer ones.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The kept records, oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.kept.iter()
    }

    /// The kept record with this id, if it is still there.
    pub fn get(&self, id: EventId) -> Option<&Record> {
        let first = self.kept.front()?.id.0;
        let at = usize::try_from(id.0.checked_sub(first)?).ok()?;
        self.kept.get(at).filter(|r| r.id == id)
    }

    /// How often something was dropped, by node or link and by reason.
    pub fn drops(&self) -> impl Iterator<Item = (Place, DropReason, u64)> + '_ {
        self.drops.iter().map(|(&(place, reason), &n)| (place, reason, n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(t: &mut Tracer, cause: Cause) -> Cause {
        t.emit(Instant::ZERO, cause, Place::World, FlowId::NONE, || Event::WorldStarted { seed: 1 })
    }

    #[test]
    fn ids_do_not_depend_on_who_looks() {
        let mut off = Tracer::new(0);
        let mut on = Tracer::new(2);
        for t in [&mut off, &mut on] {
            let root = note(t, Cause::NONE);
            let a = note(t, root);
            let b = note(t, a);
            assert_eq!((b.id, b.root), (EventId(3), EventId(1)));
        }
        assert_eq!(off.records().count(), 0);
        assert_eq!(on.records().count(), 2);
        assert_eq!(on.evicted(), 1);
        assert!(on.get(EventId(1)).is_none());
        assert_eq!(on.get(EventId(3)).unwrap().cause, EventId(2));
    }

    #[test]
    fn a_sink_that_leaves_costs_nothing_more() {
        struct Nothing;
        impl TraceSink for Nothing {
            fn record(&mut self, _: &Record) {}
        }
        let mut t = Tracer::new(0);
        let id = t.add_sink(Box::new(Nothing));
        assert!(t.is_on());
        assert!(t.remove_sink(id).is_some() && t.remove_sink(id).is_none());
        assert!(!t.is_on());
    }

    #[test]
    fn drops_are_counted_when_nobody_looks() {
        let mut t = Tracer::new(0);
        t.drop_at(Instant::ZERO, Cause::NONE, Place::World, FlowId::NONE, DropReason::NoRoute, 60);
        assert_eq!(t.drops().collect::<Vec<_>>(), [(Place::World, DropReason::NoRoute, 1)]);
    }
}
