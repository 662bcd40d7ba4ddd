//! The ground floor of Netarium: what every other crate may know and what knows nothing of them.
//!
//! In reading order:
//!
//! 1. [`time`]: virtual time in integer nanoseconds ([`Instant`], [`Duration`]);
//! 2. [`chance`]: seeded randomness whose streams derive from *names* ([`Seed`], [`Rng`], [`Luck`]);
//! 3. [`id`]: the ids of nodes, interfaces, links, sockets, processes, events and flows;
//! 4. [`map`]: hash maps whose order nobody can see ([`map::Map`]);
//! 5. [`trace`]: the schema of trace events, their causes, and the [`Tracer`] that numbers them.
//!
//! Nothing here reads a clock, draws ambient randomness or knows a protocol.

pub mod chance;
pub mod id;
pub mod map;
pub mod time;
pub mod trace;

pub use chance::{Luck, Rng, Seed, name_hash};
pub use id::{EventId, FlowId, IfIndex, LinkEnd, LinkId, NodeId, Pid, SocketId};
pub use time::{Duration, Instant};
pub use trace::{Cause, Ctx, DropReason, Event, Place, Record, Tracer};
