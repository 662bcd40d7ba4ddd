//! The world: what the outside holds of it.

use std::rc::Rc;

use netarium_base::trace::{Names, Tracer};
use netarium_base::{EventId, Instant, LinkEnd, LinkId, Pid};

use crate::capture::{CaptureId, CaptureInterface, CaptureSink, CaptureSpec};
use crate::core::Core;
use crate::journal::{Fingerprint, Journal, JournalSink};
use crate::message::{Command, Input, Output};
use crate::names::NameTable;
use crate::node::Kind;
use crate::process::executor::{Executor, Seat};

/// A whole network, with everything that runs in it.
///
/// It does nothing by itself: [`run_until`](World::run_until) and its relatives let virtual time
/// pass, [`apply`](World::apply) is the only way in, [`poll_output`](World::poll_output) the only
/// way out. Everything else only looks and changes nothing, not even an id.
pub struct World {
    pub(crate) seat: Seat,
    executor: Executor,
    journal: Journal,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Nothing happens any more by itself that anybody waits for.
    Idle,
    /// The time was over.
    Limit,
    /// The world cannot go on: something happens without end while no time passes.
    Stuck(String),
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let core = self.seat.look();
        let (now, nodes) = (core.net.now, core.nodes.len());
        write!(f, "World(at {now}, {nodes} nodes, {} events so far)", core.events)
    }
}

impl Drop for World {
    /// Tasks may hold sockets, whose drops need the core.
    fn drop(&mut self) {
        // The run is over: what is torn down now is nobody's event.
        drop(std::mem::take(&mut self.seat.core().net.tracer));
        self.executor.drop_all(&mut self.seat);
    }
}

/// Time.
impl World {
    pub(crate) fn new(core: Core, journal: Journal) -> World {
        World { seat: Seat::new(core), executor: Executor::default(), journal }
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.seat.look().net.now
    }

    /// What virtual time zero is called: nanoseconds since 1970-01-01 UTC.
    pub fn epoch(&self) -> u64 {
        self.seat.look().epoch
    }

    /// When the next event is due.
    pub fn next_event(&self) -> Option<Instant> {
        self.seat.look().net.queue.next_at()
    }

    /// How many events were dispatched so far.
    pub fn events(&self) -> u64 {
        self.seat.look().events
    }

    /// Lets everything happen that is due until `limit`, and moves the clock there.
    pub fn run_until(&mut self, limit: Instant) {
        while self.dispatch(limit) {}
        let core = self.seat.core();
        if core.stuck.is_none() {
            core.advance(limit);
        }
    }

    /// Lets one event happen, and what programs do because of it. False: there is none.
    pub fn step(&mut self) -> bool {
        self.dispatch(Instant::FAR_FUTURE)
    }

    /// Runs until nothing happens any more by itself that anybody waits for, or until `limit`.
    pub fn run_until_idle(&mut self, limit: Instant) -> RunEnd {
        loop {
            let core = self.seat.core();
            core.forget_quiet();
            if core.is_idle() {
                return RunEnd::Idle;
            }
            if !self.dispatch(limit) {
                let core = self.seat.core();
                if let Some(why) = &core.stuck {
                    return RunEnd::Stuck(why.clone());
                }
                let more = core.net.queue.next_at().is_some();
                if more {
                    core.advance(limit);
                }
                return if more { RunEnd::Limit } else { RunEnd::Idle };
            }
        }
    }

    /// Whether nothing happens any more by itself that anybody waits for: no runnable process, no
    /// frame in flight, nothing unacknowledged, no start to come. While a foreground program runs,
    /// every program's sleep counts too, since it may wait for a daemon that answers late. Without
    /// one, sleeps of daemons do not count; maintenance timers never do.
    pub fn is_idle(&self) -> bool {
        self.seat.look().is_idle()
    }

    /// Why the world does not go on, when it does not.
    pub fn stuck(&self) -> Option<&str> {
        self.seat.look().stuck.as_deref()
    }

    fn dispatch(&mut self, limit: Instant) -> bool {
        let dispatched = self.seat.core().dispatch_next(limit);
        if dispatched {
            self.executor.run(&mut self.seat);
        }
        dispatched
    }

    /// Runs until `events` events were dispatched in all, and the clock to `at`: exactly where an
    /// input was applied when it was recorded.
    pub(crate) fn run_to_position(&mut self, at: Instant, events: u64) {
        while self.events() < events && self.dispatch(at) {}
        self.seat.core().advance(at);
    }

    /// Lets one event happen if it is due until `limit`. False: there is none.
    pub(crate) fn step_until(&mut self, limit: Instant) -> bool {
        self.dispatch(limit)
    }
}

/// The border.
impl World {
    /// Lets something come in from outside, now, and lets programs act on it. Journalled.
    pub fn apply(&mut self, input: Input) {
        // What a command has to say stands in the trace, too.
        let _ = self.apply_for_answer(input);
    }

    /// Obeys an operator's command, now. Journalled. Gives the process that it started, if any.
    ///
    /// # Errors
    /// Why it was not obeyed, in words; nothing is changed then.
    pub fn command(&mut self, command: Command) -> Result<Option<Pid>, String> {
        self.apply_for_answer(Input::Command(command))
    }

    fn apply_for_answer(&mut self, input: Input) -> Result<Option<Pid>, String> {
        let core = self.seat.core();
        self.journal.record(core.net.now, core.events, core.fingerprint(), &input);
        let answer = core.apply(input);
        self.executor.run(&mut self.seat);
        answer
    }

    /// Takes the next thing that the world tells the outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.seat.core().outbox.pop()
    }

    /// The fingerprint of the run so far: of what the world has said and of what happened in it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.seat.look().fingerprint()
    }

    /// The journal of inputs.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Sends the journal to a sink, from its beginning.
    pub fn spill_journal(&mut self, sink: Box<dyn JournalSink>) {
        self.journal.spill_to(sink);
    }

    /// Notes in the journal how far the world has come, and hands all of it to its sink. Whoever
    /// records calls this every second or so, and at the end.
    pub fn flush_journal(&mut self) {
        let core = self.seat.core();
        self.journal.check(core.net.now, core.events, core.fingerprint());
        self.journal.flush();
    }

    /// Notes in the journal that the run ends here, and hands all of it to its sink. Inputs that are
    /// applied later are not recorded.
    pub fn finish_journal(&mut self) {
        let core = self.seat.core();
        self.journal.end(core.net.now, core.events, core.fingerprint());
    }

    /// Has the frame that is handed to a link in this event (a `frame.sent`) lost there. For forks:
    /// it is no input, and not journalled.
    pub fn lose_frame(&mut self, sent: EventId) {
        self.seat.core().net.doomed = sent;
    }
}

/// Watching.
impl World {
    /// The trace.
    pub fn tracer(&self) -> &Tracer {
        &self.seat.look().net.tracer
    }

    /// The trace, to add sinks.
    pub fn tracer_mut(&mut self) -> &mut Tracer {
        &mut self.seat.core().net.tracer
    }

    /// The names of nodes, links and interfaces.
    pub fn names(&self) -> &dyn Names {
        &*self.seat.look().names
    }

    /// The same names, to be kept.
    pub fn name_table(&self) -> Rc<NameTable> {
        Rc::clone(&self.seat.look().names)
    }

    /// Begins a capture. Links that do not exist are ignored.
    pub fn capture(&mut self, spec: &CaptureSpec, sink: Box<dyn CaptureSink>) -> CaptureId {
        let mut links = spec.links.clone();
        links.sort();
        links.dedup();
        let ends = |&link: &LinkId| [LinkEnd::A, LinkEnd::B].map(|end| (link, end));
        let described = links.iter().flat_map(ends);
        let interfaces: Vec<_> =
            described.filter_map(|(l, e)| self.capture_interface(l, e, spec.snaplen)).collect();
        let core = self.seat.core();
        let (epoch, net) = (core.epoch, &mut core.net);
        for link in links {
            if let Some(link) = net.links.get_mut(link.0 as usize) {
                link.taps += 1;
            }
        }
        net.captures.begin(epoch, net.now, spec.ends, &interfaces, sink)
    }

    /// Ends a capture; its sink is told.
    pub fn end_capture(&mut self, id: CaptureId) {
        let net = &mut self.seat.core().net;
        for link in net.captures.end(id, net.now) {
            net.links[link.0 as usize].taps -= 1;
        }
    }

    /// Ends all captures.
    pub fn end_captures(&mut self) {
        for id in self.seat.look().net.captures.ids() {
            self.end_capture(id);
        }
    }

    fn capture_interface(
        &self,
        id: LinkId,
        end: LinkEnd,
        snaplen: u32,
    ) -> Option<CaptureInterface> {
        let core = self.seat.look();
        let link = core.net.links.get(id.0 as usize)?;
        let link_name = core.names.link(id);
        let name = match (end, link_name.split_once('.')) {
            (LinkEnd::B, Some((host, network))) => format!("{network}.{host}"),
            (LinkEnd::B, None) => format!("{link_name}.b"),
            (LinkEnd::A, _) => link_name.to_owned(),
        };
        let (node, iface) = link.ends[end.index()];
        let (who, port) = (core.names.node(node), core.names.iface(node, iface));
        let data = &core.nodes[node.0 as usize];
        let kind = match data.kind {
            Kind::Host(_) => "host",
            Kind::Switch(_) => "switch",
            Kind::Hub(_) => "hub",
        };
        let title = data.title.as_deref().map_or_else(String::new, |t| format!(" «{t}»"));
        let (mut mac, mut addresses) = (None, Vec::new());
        if let Kind::Host(host) = &data.kind
            && let Some(i) = host.stack.interfaces().iter().find(|i| i.index == iface)
        {
            mac = Some(i.mac);
            addresses.clone_from(&i.addresses);
        }
        Some(CaptureInterface {
            link: id,
            end,
            name,
            description: format!("link {link_name} at {port} of {kind} {who}{title}"),
            mac,
            addresses,
            speed: link.directions[end.index()].spec.rate,
            snaplen,
        })
    }
}
