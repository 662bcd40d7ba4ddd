//! The core of a world: everything but the tasks of its programs.
//!
//! 1. this file: what it consists of, and the small words that all use;
//! 2. [`net`]: time, event queue, links, trace and captures: what a frame on its way needs;
//! 3. [`dispatch`]: what happens when an event is due;
//! 4. [`switching`]: what a switch or hub does with a frame; [`partition`]: what cannot reach what;
//! 5. [`inputs`] and [`commands`]: what happens when something comes from outside; [`schedule`]:
//!    commands that the lab gives itself;
//! 6. [`hosts_file`]: names that need no packet.
//!
//! Time moves only in [`Core::dispatch_next`] and [`Core::advance`].

mod commands;
mod dispatch;
mod files;
mod hosts_file;
mod inputs;
pub(crate) mod net;
pub(crate) mod partition;
pub(crate) mod schedule;
mod switching;

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use netarium_base::map::Map;
use netarium_base::trace::Event;
use netarium_base::{Cause, Ctx, FlowId, NodeId, Pid, Place, Seed};
use netarium_stack::Stack;

use crate::files::view::Edits;
use crate::gateway::Gateway;
use crate::journal::Fingerprint;
use crate::names::NameTable;
use crate::node::{Host, Kind, Node};
use crate::outbox::Outbox;
use crate::process::task::ReadyQueue;
use crate::process::{Ending, Environment, Programs, Spawned, Start, Started};

pub(crate) use net::{Due, Net};
use schedule::Scheduled;

/// How many events may happen in one instant of virtual time before the world is stuck.
pub(crate) const EVENTS_PER_INSTANT: u64 = 10_000_000;

/// How many polls of programs may happen in one instant of virtual time, whoever is polled, before
/// the world is stuck.
pub(crate) const POLLS_PER_INSTANT: u64 = 10_000_000;

/// Everything of a world but the tasks of its programs.
pub(crate) struct Core {
    pub(crate) net: Net,
    pub(crate) nodes: Vec<Node>,
    pub(crate) seed: Seed,
    /// What virtual time zero is called: nanoseconds since 1970-01-01 UTC.
    pub(crate) epoch: u64,
    pub(crate) names: Rc<NameTable>,
    /// Lower-case names to addresses.
    pub(crate) hosts_table: Map<String, Vec<IpAddr>>,
    /// Those of the names in the hosts table that stand for what a host got while it ran.
    pub(crate) dynamic_names: std::collections::BTreeSet<String>,
    pub(crate) programs: Rc<dyn Programs>,
    /// The environment variables of what nobody has given others.
    pub(crate) environment: Rc<Environment>,
    /// What the lab file starts, until it is started.
    pub(crate) planned: BTreeMap<u32, Start>,
    /// Commands to come, by number.
    pub(crate) scheduled: BTreeMap<u32, Scheduled>,
    pub(crate) schedule_next: u32,
    /// Edits of the lab's folder since the start.
    pub(crate) edits: Edits,
    pub(crate) edits_bytes: usize,
    pub(crate) ready: Arc<ReadyQueue>,
    /// Why what happens now happens: the cause of the task that runs.
    pub(crate) current: Cause,
    pub(crate) started: Vec<Started>,
    pub(crate) spawned: Vec<Spawned>,
    pub(crate) ending: Vec<Ending>,
    /// Background programs that failed and that nobody has asked for yet.
    pub(crate) failed: VecDeque<(NodeId, Pid)>,
    pub(crate) gateway: Gateway,
    pub(crate) outbox: Outbox,
    /// How many timers of programs run.
    pub(crate) timers: usize,
    /// How many foreground programs run. While there are any, all timers of programs count as work:
    /// the program may wait for a daemon that sleeps before it answers.
    pub(crate) foreground: usize,
    /// Hosts that were touched since they were last seen quiet.
    pub(crate) maybe_busy: Vec<NodeId>,
    /// How many events were dispatched.
    pub(crate) events: u64,
    /// How many of them in this instant.
    pub(crate) events_now: u64,
    /// How many times programs were polled in this instant.
    pub(crate) polls_now: u64,
    /// Why the world does not go on.
    pub(crate) stuck: Option<String>,
}

impl Core {
    pub(crate) fn host(&self, node: NodeId) -> &Host {
        match &self.nodes[node.0 as usize].kind {
            Kind::Host(host) => host,
            _ => unreachable!("processes and connections are on hosts"),
        }
    }

    pub(crate) fn host_mut(&mut self, node: NodeId) -> &mut Host {
        match &mut self.nodes[node.0 as usize].kind {
            Kind::Host(host) => host,
            _ => unreachable!("processes and connections are on hosts"),
        }
    }

    /// The host of this name.
    pub(crate) fn host_id(&self, name: &str) -> Option<NodeId> {
        let id = self.names.node_id(name)?;
        matches!(self.nodes[id.0 as usize].kind, Kind::Host(_)).then_some(id)
    }

    /// From now on things happen for this reason, and tasks are woken for it.
    pub(crate) fn set_current(&mut self, cause: Cause) {
        self.current = cause;
        self.ready.set_cause(cause);
    }

    /// A call into a host's stack under the present cause, and what follows from it.
    pub(crate) fn with_stack<R>(
        &mut self,
        node: NodeId,
        f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R,
    ) -> R {
        let cause = self.current;
        let Core { nodes, net, .. } = self;
        let Kind::Host(host) = &mut nodes[node.0 as usize].kind else {
            unreachable!("processes and connections are on hosts");
        };
        let mut cx = Ctx::new(net.now, cause, &mut net.tracer);
        let result = f(&mut host.stack, &mut cx);
        self.settle(node);
        result
    }

    /// The fingerprint of all that was said and done so far.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.outbox.fingerprint().with(self.net.tracer.emitted(), self.net.frames)
    }

    /// Says that something is wrong which is nobody's packet.
    pub(crate) fn note(&mut self, place: Place, text: &str, cause: Cause) -> Cause {
        let note = || Event::Note { text: text.into() };
        self.net.tracer.emit(self.net.now, cause, place, FlowId::NONE, note)
    }

    /// Whether the executor has something to do although no task is ready.
    pub(crate) fn has_work_for_executor(&self) -> bool {
        !(self.started.is_empty() && self.spawned.is_empty() && self.ending.is_empty())
            || self.gateway.has_work()
    }

    /// Whether nothing happens any more by itself that anybody waits for: no runnable process, no
    /// frame in flight, nothing unacknowledged, no start to come, and no program's sleep while a
    /// foreground program runs. Without one, sleeps of daemons do not count; maintenance timers
    /// never do.
    pub(crate) fn is_idle(&self) -> bool {
        let busy = self.net.in_flight > 0
            || (self.foreground > 0 && self.timers > 0)
            || !self.planned.is_empty()
            || !self.scheduled.is_empty()
            || !self.ready.is_empty()
            || self.has_work_for_executor();
        // The latest first: after `forget_quiet` it answers the question.
        !busy && self.maybe_busy.iter().rev().all(|&node| self.host(node).stack.is_quiet())
    }

    /// Takes hosts that are quiet by now off the list, so that the next
    /// [`is_idle`](Self::is_idle) need not ask them.
    pub(crate) fn forget_quiet(&mut self) {
        while let Some(&node) = self.maybe_busy.last() {
            let host = self.host_mut(node);
            if !host.stack.is_quiet() {
                return;
            }
            host.maybe_busy = false;
            host.stack.rest();
            self.maybe_busy.pop();
        }
    }
}
