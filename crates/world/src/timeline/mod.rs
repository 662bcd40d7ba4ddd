//! Timelines: what happened in a run, so that two runs can be compared.
//!
//! Events of two runs are matched by what they *are*, never by their ids: by place, flow, kind, the
//! segment or packet they are about, and the how-many-eth of its like it is (`identity`). What
//! has no match is missing or new; what has one may have moved in time or changed in its details
//! (`diff`).

pub mod diff;
mod identity;

use std::cell::RefCell;
use std::rc::Rc;

use netarium_base::EventId;
use netarium_base::trace::{Record, TraceSink};

use crate::World;
use crate::names::NameTable;
use identity::{Identities, Identity};

pub use diff::{Diff, Difference, FlowDiff, What, diff};

/// How many events of a run are compared; later ones are not, and the comparison says so.
pub const EVENTS_MAX: usize = 1_000_000;

/// The events of a run from one of them on.
#[derive(Debug)]
pub struct Timeline {
    items: Vec<Item>,
    names: Rc<NameTable>,
    left_out: u64,
}

#[derive(Debug)]
struct Item {
    identity: Identity,
    record: Record,
}

/// A timeline that is being collected.
#[derive(Debug)]
pub struct Collector {
    shared: Rc<RefCell<Collected>>,
    names: Rc<NameTable>,
}

#[derive(Debug)]
struct Collected {
    from: EventId,
    items: Vec<Item>,
    left_out: u64,
    identities: Identities,
}

impl Collector {
    /// Begins to collect the events of a world. To be called before anything happens there.
    pub fn attach(world: &mut World) -> Collector {
        let names = world.name_table();
        let shared = Rc::new(RefCell::new(Collected {
            from: EventId(u64::MAX),
            items: Vec::new(),
            left_out: 0,
            identities: Identities::new(Rc::clone(&names)),
        }));
        world.tracer_mut().add_sink(Box::new(Sink(Rc::clone(&shared))));
        Collector { shared, names }
    }

    /// From this event on they are kept; without a call, none is.
    pub fn keep_from(&self, from: EventId) {
        self.shared.borrow_mut().from = from;
    }

    /// The record of a kept event.
    pub fn record(&self, id: EventId) -> Option<Record> {
        let shared = self.shared.borrow();
        let at = shared.items.binary_search_by_key(&id, |item| item.record.id).ok()?;
        Some(shared.items[at].record.clone())
    }

    /// What was collected.
    pub fn finish(self) -> Timeline {
        let mut shared = self.shared.borrow_mut();
        let items = std::mem::take(&mut shared.items);
        Timeline { items, names: self.names, left_out: shared.left_out }
    }
}

struct Sink(Rc<RefCell<Collected>>);

impl TraceSink for Sink {
    fn record(&mut self, record: &Record) {
        let mut shared = self.0.borrow_mut();
        let kept = record.id >= shared.from;
        // What an event is about comes from its causes, before the first that is kept, too.
        let identity = shared.identities.of(record, kept);
        match identity {
            Some(_) if shared.items.len() >= EVENTS_MAX => shared.left_out += 1,
            Some(identity) => shared.items.push(Item { identity, record: record.clone() }),
            None => {}
        }
    }
}
