//! A deterministic world: nodes, links, clock, programs.
//!
//! A [`World`] is everything in a running lab. It is single-threaded and takes part in nothing
//! outside: what comes in is an [`Input`], what goes out an [`Output`], and virtual time passes
//! only when it is told to. The same lab, seed and inputs give the same events with the same ids.
//!
//! In reading order:
//!
//! 1. [`message`]: what crosses the border;
//! 2. [`build`]: the [`WorldBuilder`] and what it is given;
//! 3. [`world`]: the [`World`] itself: time, border, who watches; [`view`]: what can be looked at;
//! 4. [`queue`], [`link`], [`switch`]: events, wires, and what repeats frames;
//! 5. [`process`]: programs, their sockets and timers; [`files`]: their files;
//! 6. [`gateway`]: outside connections and sessions by port; [`edit`]: wires and rules that an
//!    operator changes;
//! 7. [`capture`], [`trace_json`], [`journal`]: who watches and records; [`timeline`]: comparing two
//!    runs.
//!
//! Inside, `core` puts the parts together: `node` says what a host, switch or hub consists of,
//! [`names`] what things are called, `outbox` what waits to be told. Its one rhythm: an event is
//! dispatched, what it changes in a host's stack is *settled* (frames leave, waiters wake, the next
//! deadline is noted), then ready tasks run until none is left. Nothing here reads a clock, draws
//! ambient randomness, opens a socket or spawns a thread.

pub mod build;
pub mod capture;
pub(crate) mod core;
pub mod edit;
pub mod files;
pub mod gateway;
pub mod journal;
pub mod link;
pub mod message;
pub mod names;
pub(crate) mod node;
pub(crate) mod outbox;
pub mod process;
pub mod queue;
pub mod switch;
pub mod timeline;
pub mod trace_json;
pub mod view;
pub mod world;

pub use build::spec::{
    EndSpec, FilterMaker, HostSpec, IfaceSpec, LinkSpec, ProgramSpec, RouteSpec,
};
pub use build::{BuildError, WorldBuilder};
pub use capture::{ByteSink, CaptureId, CaptureSink, CaptureSpec, Ends, PcapSink};
pub use core::partition::PartitionView;
pub use core::schedule::Scheduled;
pub use edit::{Directions, ForwardPort, Inbound, InboundRule, LinkChange};
pub use files::FileTree;
pub use gateway::{CLIENTS_MAX, ConnectionInfo, PORTS_MAX};
pub use journal::{Journal, JournalSink, ReplayEnd, replay};
pub use link::{DirectionSpec, DirectionStats, Faults, PacketMatch, Wire};
pub use message::{Command, Input, LAB_PORTS, Output, PortId, Stream, Target, Transport};
pub use names::NameTable;
pub use netarium_stack::ReversePath;
pub use switch::{HubSpec, MirrorSpec, SwitchSpec, SwitchView};
pub use trace_json::JsonTrace;
pub use view::{LinkView, NodeKind, NodeView};
pub use world::{RunEnd, World};
