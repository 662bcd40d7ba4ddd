//! The trace: everything that happens is an [`Event`] with a recorded [`Cause`].
//!
//! One definition ([`event`]) gives the Rust types, their JSON form and their documentation
//! ([`event::SCHEMA`]). The [`Tracer`] numbers events; ids are handed out identically whether
//! anything is kept or not, so that an event that was not kept can be recovered by replay.
//!
//! - `cause`: what triggered the event (a delivered frame, a fired timer, a call, a command);
//! - `origin`: the call whose data or intent the event carries: an ACK may open the window, but
//!   the bytes are the `send()`'s;
//! - `root`: the first event of the causal chain.

pub mod event;
mod reason;
mod tracer;

pub use event::{Event, EventDoc, FieldDoc, FieldRef, Text, Value};
pub use reason::DropReason;
pub use tracer::{Names, NoNames, Place, Record, SinkId, TraceSink, Tracer};

use crate::id::{EventId, FlowId};
use crate::time::Instant;

/// Where something comes from. Travels with frames, buffered data, timers and wake-ups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cause {
    /// The event that triggers what happens next.
    pub id: EventId,
    /// The call whose data or intent is carried.
    pub origin: EventId,
    /// The first event of the chain.
    pub root: EventId,
}

impl Cause {
    /// No cause: the next event emitted with it becomes a root.
    pub const NONE: Cause = Cause { id: EventId::NONE, origin: EventId::NONE, root: EventId::NONE };

    /// The same trigger, carrying the data or intent of `other`.
    pub fn carrying(self, other: Cause) -> Cause {
        Cause { origin: other.origin, ..self }
    }
}

/// What every sans-IO call gets from its caller: the time, the reason, and where to tell.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// Virtual time of the call.
    pub now: Instant,
    /// Why the call is made.
    pub cause: Cause,
    /// Where events go.
    pub trace: &'a mut Tracer,
}

impl<'a> Ctx<'a> {
    /// A context for `now` and `cause`.
    pub fn new(now: Instant, cause: Cause, trace: &'a mut Tracer) -> Self {
        Ctx { now, cause, trace }
    }

    /// The same time and trace under another cause.
    pub fn with(&mut self, cause: Cause) -> Ctx<'_> {
        Ctx { now: self.now, cause, trace: self.trace }
    }

    /// Records an event caused by this context's cause; the event's own cause handle is returned.
    /// `event` is only built when somebody looks.
    #[inline]
    pub fn emit(&mut self, place: Place, flow: FlowId, event: impl FnOnce() -> Event) -> Cause {
        self.trace.emit(self.now, self.cause, place, flow, event)
    }

    /// Records a call of a program: it becomes the origin of what follows from it.
    #[inline]
    pub fn emit_call(
        &mut self,
        place: Place,
        flow: FlowId,
        event: impl FnOnce() -> Event,
    ) -> Cause {
        let cause = self.trace.emit(self.now, self.cause, place, flow, event);
        Cause { origin: cause.id, ..cause }
    }
}
