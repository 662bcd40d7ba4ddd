//! Breakpoints and steps: where a running lab is made to stand still.
//!
//! A breakpoint is a condition on trace events. While there is one, a sink in the tracer looks at
//! each event, and the lab runs event by event; the first event that fulfils a condition pauses the
//! lab at the end of what is happening at that moment of virtual time for that reason. None of it
//! is an input: no id changes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant as Wall;

use netarium_base::trace::{Event, Record, SinkId, TraceSink};
use netarium_base::{EventId, Instant};
use netarium_explain::{Predicate, sentence};
use netarium_world::{NameTable, World};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::clock::Pace;
use crate::runner::Desk;

/// The most breakpoints of a lab.
pub const BREAKPOINTS_MAX: usize = 64;
/// The most steps at once.
pub const STEPS_MAX: u64 = 100_000;
/// One request's steps end after so many dispatches, whatever was asked for.
const DISPATCHES_MAX: u64 = 1_000_000;

/// A breakpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakpoint {
    /// Its number.
    pub id: u32,
    /// Its condition.
    pub when: String,
}

/// Where and why a lab was paused by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The breakpoint; none for `step --until`.
    pub breakpoint: Option<u32>,
    /// The condition.
    pub when: String,
    /// The event that fulfilled it.
    pub id: EventId,
    /// When, nanoseconds of virtual time.
    pub at: Instant,
    /// Where.
    pub place: String,
    /// What happened, in a sentence.
    pub text: String,
}

/// What one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// One thing that was due, with all that follows from it at once.
    Event,
    /// Until a frame arrives at the far end of a wire.
    Packet,
}

/// What the sink in the tracer looks at.
struct Watch {
    names: Rc<NameTable>,
    breaks: Vec<Break>,
    hit: Option<Stopped>,
    /// Frames that have arrived.
    arrived: u64,
}

struct Break {
    id: u32,
    when: Predicate,
    /// Who waits for it; such a one goes with its first hit.
    waiter: Option<oneshot::Sender<Option<Stopped>>>,
}

struct Sink(Rc<RefCell<Watch>>);

impl TraceSink for Sink {
    fn record(&mut self, record: &Record) {
        let mut watch = self.0.borrow_mut();
        if matches!(record.event, Event::FrameDelivered { .. }) {
            watch.arrived += 1;
        }
        if watch.hit.is_none() {
            watch.hit = watch.find(record);
        }
    }
}

impl Watch {
    fn find(&self, record: &Record) -> Option<Stopped> {
        let names = &*self.names;
        let found = self.breaks.iter().find(|b| b.when.matches(record, names))?;
        Some(Stopped {
            breakpoint: found.waiter.is_none().then_some(found.id),
            when: found.when.text().to_owned(),
            id: record.id,
            at: record.at,
            place: netarium_explain::sentence::place(record, names),
            text: sentence(record, names),
        })
    }
}

/// All breakpoints of one lab, and what it is paused for.
pub(crate) struct Stops {
    watch: Rc<RefCell<Watch>>,
    sink: Option<SinkId>,
    next: u32,
    /// The pace to go on with.
    resume: Pace,
    stopped: Option<Stopped>,
    tell: Option<mpsc::UnboundedSender<Stopped>>,
}

impl Stops {
    pub(crate) fn new(world: &World, pace: Pace) -> Stops {
        let names = world.name_table();
        let watch = Watch { names, breaks: Vec::new(), hit: None, arrived: 0 };
        Stops {
            watch: Rc::new(RefCell::new(watch)),
            sink: None,
            next: 1,
            resume: if pace == Pace::Paused { Pace::Times(1.0) } else { pace },
            stopped: None,
            tell: None,
        }
    }

    /// The pace to go on with.
    pub(crate) fn resume(&self) -> Pace {
        self.resume
    }

    /// What the lab is paused for, when a condition paused it.
    pub(crate) fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// Who hears of each stop at a breakpoint.
    pub(crate) fn tell(&mut self, to: mpsc::UnboundedSender<Stopped>) {
        self.tell = Some(to);
    }

    pub(crate) fn list(&self) -> Vec<Breakpoint> {
        let watch = self.watch.borrow();
        let lasting = watch.breaks.iter().filter(|b| b.waiter.is_none());
        lasting.map(|b| Breakpoint { id: b.id, when: b.when.text().to_owned() }).collect()
    }

    fn watch(&mut self, world: &mut World) {
        if self.sink.is_none() {
            let sink = Sink(Rc::clone(&self.watch));
            self.sink = Some(world.tracer_mut().add_sink(Box::new(sink)));
        }
    }

    /// Lets the trace cost nothing again when there is nothing to look for.
    fn unwatch(&mut self, world: &mut World) {
        if self.watch.borrow().breaks.is_empty()
            && let Some(sink) = self.sink.take()
        {
            world.tracer_mut().remove_sink(sink);
        }
    }

    /// Takes away those that are not to stay, and gives them.
    fn remove(&mut self, world: &mut World, stays: impl Fn(&Break) -> bool) -> Vec<Break> {
        let all = std::mem::take(&mut self.watch.borrow_mut().breaks);
        let (kept, gone) = all.into_iter().partition(stays);
        self.watch.borrow_mut().breaks = kept;
        self.unwatch(world);
        gone
    }
}

/// Standing still and going on.
impl Desk {
    /// Changes the pace. Who waits for a condition hears that there will be none.
    pub(crate) fn set_pace(&mut self, pace: Pace) {
        for waiting in self.stops.remove(&mut self.world, |b| b.waiter.is_none()) {
            let _ = waiting.waiter.map(|w| w.send(None));
        }
        // Who pauses what stands still already is told for what it stands still.
        if pace != Pace::Paused || !self.clock.is_paused() {
            self.stops.stopped = None;
        }
        self.turn_to(pace);
    }

    fn turn_to(&mut self, pace: Pace) {
        if pace != Pace::Paused {
            self.stops.resume = pace;
        }
        if !(pace == Pace::Paused && self.clock.is_paused()) {
            self.clock.set_pace(Wall::now(), self.world.now(), pace);
        }
    }

    /// Adds a breakpoint; `None` when there are too many.
    pub(crate) fn add_break(&mut self, when: Predicate) -> Option<Breakpoint> {
        let text = when.text().to_owned();
        let id = self.insert(when, None)?;
        Some(Breakpoint { id, when: text })
    }

    /// Removes a breakpoint, or all of them; gives how many there were.
    pub(crate) fn clear_breaks(&mut self, id: Option<u32>) -> usize {
        let stays = |b: &Break| b.waiter.is_some() || id.is_some_and(|id| id != b.id);
        self.stops.remove(&mut self.world, stays).len()
    }

    /// Goes on until an event fulfils the condition; `None` when there are too many breakpoints.
    pub(crate) fn run_until(
        &mut self,
        when: Predicate,
    ) -> Option<oneshot::Receiver<Option<Stopped>>> {
        let (tx, rx) = oneshot::channel();
        self.insert(when, Some(tx))?;
        self.stops.stopped = None;
        if self.clock.is_paused() {
            self.turn_to(self.stops.resume);
        }
        Some(rx)
    }

    fn insert(
        &mut self,
        when: Predicate,
        waiter: Option<oneshot::Sender<Option<Stopped>>>,
    ) -> Option<u32> {
        if self.stops.watch.borrow().breaks.len() >= BREAKPOINTS_MAX {
            return None;
        }
        let id = self.stops.next;
        self.stops.next += 1;
        self.stops.watch.borrow_mut().breaks.push(Break { id, when, waiter });
        self.stops.watch(&mut self.world);
        Some(id)
    }

    /// Lets everything happen until `stop`, or until a breakpoint.
    pub(crate) fn run_to(&mut self, stop: Instant) {
        if self.stops.sink.is_some() {
            while self.world.next_event().is_some_and(|at| at <= stop) && self.world.step() {
                if self.look_for_stops() {
                    return;
                }
            }
        }
        self.world.run_until(stop);
    }

    /// Pauses when an event has fulfilled a condition; whether one has.
    pub(crate) fn look_for_stops(&mut self) -> bool {
        if self.stops.sink.is_none() {
            return false;
        }
        let Some(stopped) = self.stops.watch.borrow_mut().hit.take() else { return false };
        self.turn_to(Pace::Paused);
        for waiting in self.stops.remove(&mut self.world, |b| b.waiter.is_none()) {
            let _ = waiting.waiter.map(|w| w.send(Some(stopped.clone())));
        }
        if let (Some(tell), Some(_)) = (&self.stops.tell, stopped.breakpoint) {
            let _ = tell.send(stopped.clone());
        }
        self.stops.stopped = Some(stopped);
        true
    }

    /// Forgets conditions whose waiters have gone, and pauses: nobody wants the lab to run on.
    pub(crate) fn forget_absent(&mut self) {
        let absent = |b: &Break| b.waiter.as_ref().is_some_and(oneshot::Sender::is_closed);
        if self.stops.sink.is_some() && self.stops.watch.borrow().breaks.iter().any(absent) {
            self.stops.remove(&mut self.world, |b| !absent(b));
            self.turn_to(Pace::Paused);
        }
    }

    /// Pauses, lets in what waited outside, and takes steps; gives how many were taken. It ends
    /// early when nothing is left to happen, at a breakpoint, or after a million dispatches.
    pub(crate) fn step(&mut self, unit: Unit, count: u64) -> u64 {
        self.set_pace(Pace::Paused);
        self.stops.watch(&mut self.world);
        self.admit_held();
        let arrived = |desk: &Desk| desk.stops.watch.borrow().arrived;
        let start = arrived(self);
        let (mut dispatched, mut taken) = (0, 0);
        while taken < count.min(STEPS_MAX) && dispatched < DISPATCHES_MAX {
            if self.look_for_stops() || !self.world.step() {
                break;
            }
            dispatched += 1;
            taken = match unit {
                Unit::Event => dispatched,
                Unit::Packet => arrived(self) - start,
            };
        }
        self.look_for_stops();
        self.stops.unwatch(&mut self.world);
        taken
    }
}
