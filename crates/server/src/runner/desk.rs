//! The thread's loop, and what lies before it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Instant as Wall;

use netarium_world::process::ExitedProcess;
use netarium_world::{Input, Output, PortId, World};
use tokio::sync::mpsc;

use super::queue::{Command, Shared};
use super::{Port, WorldHandle};
use crate::clock::{Clock, Pace};
use crate::observe::Observers;
use crate::stops::Stops;

/// Events due within this much real time are not waited for.
pub const EARLY: std::time::Duration = std::time::Duration::from_micros(50);
/// After this much real time's worth of events the thread looks for commands again.
const SLICE: std::time::Duration = std::time::Duration::from_micros(250);
/// A crash loses at most so much of the journal.
const JOURNAL_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// How well real time was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// How often the world fell more than 50 ms behind.
    pub lags: u64,
    /// How much real time was given up that way.
    pub lag_total: std::time::Duration,
    /// How often the thread went to sleep: an idle lab's number hardly grows.
    pub sleeps: u64,
}

/// A connection to a real server that the lab asks for.
pub(crate) struct Asked {
    /// Its port.
    pub(crate) port: Port,
    /// The host whose program asks.
    pub(crate) host: String,
    /// For whom: an address and port of the lab.
    pub(crate) client: String,
    /// The real server.
    pub(crate) to: SocketAddr,
}

/// What lies before the world's thread.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) observers: Observers,
    pub(crate) clock: Clock,
    /// Breakpoints, and what the lab is paused for.
    pub(crate) stops: Stops,
    ports: HashMap<PortId, mpsc::UnboundedSender<Output>>,
    /// Those of them that are connections of real clients, and no sessions.
    clients: HashSet<PortId>,
    /// Who hears of connections that the lab asks for.
    pub(super) asked: Option<(WorldHandle, mpsc::UnboundedSender<Asked>)>,
    /// Who hears of background programs that failed.
    pub(crate) failed: Option<mpsc::UnboundedSender<(String, ExitedProcess)>>,
    /// Inputs that came while paused.
    held: Vec<Command>,
    sleeps: u64,
    /// When the journal was last handed to its file, and how many entries and events there were.
    journalled: (Wall, (u64, u64)),
}

impl Desk {
    pub(super) fn new(world: World, pace: Pace) -> Desk {
        let clock = Clock::new(Wall::now(), world.now(), pace);
        Desk {
            stops: Stops::new(&world, pace),
            world,
            observers: Observers::default(),
            clock,
            ports: HashMap::new(),
            clients: HashSet::new(),
            asked: None,
            failed: None,
            held: Vec::new(),
            sleeps: 0,
            journalled: (Wall::now(), (0, 0)),
        }
    }

    pub(super) fn run(mut self, shared: &Shared) {
        let mut commands = Vec::new();
        loop {
            self.advance();
            for command in commands.drain(..) {
                self.execute(command);
            }
            if !self.clock.is_paused() {
                self.release();
            }
            self.hand_out();
            if !self.take(shared, &mut commands) {
                break;
            }
        }
        self.observers.end(&mut self.world);
        self.world.finish_journal();
    }

    /// Brings the world to the present, or a slice closer to it.
    fn advance(&mut self) {
        self.hurry();
        if self.clock.is_paused() {
            return;
        }
        let wall = Wall::now();
        let present = self.clock.virtual_at(wall);
        let horizon = present + self.clock.stretch(EARLY);
        let stop = match self.world.next_event() {
            Some(next) if next <= horizon => horizon.min(next + self.clock.stretch(SLICE)),
            _ => present,
        };
        if stop > self.world.now() {
            self.run_to(stop);
        }
        self.clock.forgive_lag(Wall::now(), self.world.now());
    }

    /// At full speed, a slice of what need not be waited for.
    fn hurry(&mut self) {
        let end = Wall::now() + SLICE;
        let mut steps = 0_u32;
        while self.is_hurried() && self.world.step() {
            steps += 1;
            // A stop pauses, which ends the hurry.
            self.look_for_stops();
            if steps.is_multiple_of(64) && Wall::now() >= end {
                break;
            }
        }
        if steps > 0 {
            self.clock.anchor(Wall::now(), self.world.now());
        }
    }

    /// Whether the next event is not waited for: at full speed, unless a real client is connected.
    /// Its time is real: whatever the lab let pass beyond that, one of its time-outs could come too
    /// early for the client.
    fn is_hurried(&self) -> bool {
        self.clock.pace() == Pace::Max
            && self.world.stuck().is_none()
            && self.world.next_event().is_some()
            && self.clients.is_empty()
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Query(ask) => ask(self),
            // What came later must not overtake what waits.
            later if self.clock.is_paused() || !self.held.is_empty() => self.held.push(later),
            now => {
                self.admit(now);
                self.look_for_stops();
            }
        }
    }

    /// Lets in what waited while paused, until a breakpoint pauses again.
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        for command in held {
            self.execute(command);
        }
    }

    /// Lets in everything that waited.
    pub(crate) fn admit_held(&mut self) {
        for command in std::mem::take(&mut self.held) {
            self.admit(command);
        }
    }

    fn admit(&mut self, command: Command) {
        match command {
            Command::Query(ask) => ask(self),
            Command::Input(input) => self.world.apply(input),
            Command::Open(input, sink) => {
                let Some(port) = input.port() else { return };
                self.ports.insert(port, sink);
                if let Input::Open { .. } | Input::OpenUdp { .. } = input {
                    self.clients.insert(port);
                }
                self.world.apply(input);
            }
            Command::Close(port) => {
                self.ports.remove(&port);
                self.clients.remove(&port);
            }
        }
    }

    fn hand_out(&mut self) {
        while let Some(output) = self.world.poll_output() {
            let output = match output {
                Output::Open { port, host, client, to } => {
                    self.ask(port, host, client, to);
                    continue;
                }
                output => output,
            };
            if let Some(sink) = output.port().and_then(|port| self.ports.get(&port)) {
                // A port that nobody listens to any more is about to be closed.
                let _ = sink.send(output);
            }
        }
        self.tell_failed();
        self.observers.flush(&mut self.world);
        self.forget_absent();
        self.keep_journal();
    }

    fn tell_failed(&mut self) {
        let Some(hear) = &self.failed else { return };
        for (node, process) in self.world.take_failed() {
            if let Some(host) = self.world.nodes().find(|n| n.id == node) {
                // Who hears no more has ended with the lab.
                let _ = hear.send((host.name.to_owned(), process));
            }
        }
    }

    /// The lab asks for a connection to a real server.
    fn ask(&mut self, id: PortId, host: String, client: String, to: SocketAddr) {
        if let Some((handle, asked)) = &self.asked {
            let (sink, outputs) = mpsc::unbounded_channel();
            let port = Port { id, handle: handle.clone(), outputs, ended: false };
            self.ports.insert(id, sink);
            // A real server's time is real, as a real client's.
            self.clients.insert(id);
            // Where nobody hears, the port's drop resets it.
            let _ = asked.send(Asked { port, host, client, to });
        } else {
            let reason = "no real server is attached to this run".to_owned();
            self.world.apply(Input::Refused { port: id, reason });
        }
    }

    /// Hands the journal on every second in which something was recorded or happened.
    fn keep_journal(&mut self) {
        if self.journal_due().is_some_and(|wait| wait.is_zero()) {
            self.world.flush_journal();
            self.journalled = (Wall::now(), self.progress());
        }
    }

    /// When the journal is to be handed on; `None` when nothing is new in it.
    fn journal_due(&self) -> Option<std::time::Duration> {
        let (last, known) = self.journalled;
        (self.progress() != known).then(|| JOURNAL_EVERY.saturating_sub(last.elapsed()))
    }

    fn progress(&self) -> (u64, u64) {
        (self.world.journal().entries(), self.world.events())
    }

    /// Waits for commands or the next event; false when the lab is to end.
    fn take(&mut self, shared: &Shared, commands: &mut Vec<Command>) -> bool {
        let mut queue = shared.lock();
        loop {
            if !queue.commands.is_empty() {
                std::mem::swap(&mut queue.commands, commands);
                return true;
            }
            if queue.closed {
                return false;
            }
            let now = Wall::now();
            let wait = self.world.next_event().and_then(|next| self.clock.until(now, next));
            let journal = self.journal_due();
            if journal.is_some_and(|wait| wait.is_zero()) {
                return true;
            }
            let wait = wait.map_or(journal, |wait| Some(journal.map_or(wait, |j| j.min(wait))));
            queue = match wait {
                Some(wait) if wait <= EARLY || self.is_hurried() => return true,
                Some(wait) => {
                    self.sleeps += 1;
                    queue.asleep = true;
                    let (mut queue, _) = shared
                        .wake
                        .wait_timeout(queue, wait)
                        .unwrap_or_else(PoisonError::into_inner);
                    queue.asleep = false;
                    queue
                }
                None => {
                    self.sleeps += 1;
                    queue.asleep = true;
                    shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Outside connections and sessions that somebody listens to.
    pub(crate) fn open_ports(&self) -> usize {
        self.ports.len()
    }

    /// How well real time was kept.
    pub(crate) fn pacing(&self) -> Pacing {
        Pacing { lags: self.clock.lags, lag_total: self.clock.lag_total, sleeps: self.sleeps }
    }
}
