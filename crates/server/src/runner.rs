//! The real-time runner: one thread owns the world, everybody else sends it commands.
//!
//! # Theory of operation
//! A world is not `Send`, so the thread builds it. The thread then repeats: take the commands that
//! have come, bring the world to the present, apply them, hand out what the world put out, and
//! sleep until the next event is due or a command comes. There is no tick: an idle lab sleeps.
//!
//! Virtual time follows real time from an anchor ([`Clock`](crate::clock)). Events due within
//! [`EARLY`] are run at once, because putting a thread to sleep for ten microseconds costs more
//! than that; so virtual time may be ahead by as much, and a burst of packets over short wires
//! costs one wake-up and not one per hop. A world that falls behind by more than
//! [`MAX_LAG`](crate::clock::MAX_LAG) has its anchor moved, and the lag is counted.
//!
//! # Bounds
//! Data in flight is bounded by credit in both directions, commands by the limits on connections of
//! the published ports and of the control API. While paused, inputs wait where they are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant as Wall;

use netarium_base::Pid;
use netarium_world::{Input, Output, PortId, World};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::{Clock, Pace};
use crate::journal::Spill;
use crate::observe::Observers;
use crate::stops::Stops;

/// Events due within this much real time are not waited for.
pub const EARLY: std::time::Duration = std::time::Duration::from_micros(50);
/// After this much real time's worth of events the thread looks for commands again.
const SLICE: std::time::Duration = std::time::Duration::from_micros(250);
/// A crash loses at most so much of the journal.
const JOURNAL_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// What the world thread is asked to do.
enum Command {
    /// Something from outside the world.
    Input(Input),
    /// A new outside connection or session, and who hears of it.
    Open(Input, mpsc::UnboundedSender<Output>),
    /// Nobody listens to this port any more.
    Close(PortId),
    /// Look at the world, or change how it is watched. Not an input.
    Query(Box<dyn FnOnce(&mut Desk) + Send>),
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    /// The thread sleeps and wants to be woken.
    asleep: bool,
    /// No more commands are taken.
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    next_port: AtomicU64,
    /// Told when the thread is gone.
    ended: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole after every statement that holds the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command; false when the world has ended.
    fn push(&self, command: Command) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            return false;
        }
        queue.commands.push(command);
        let wake = std::mem::take(&mut queue.asleep);
        drop(queue);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }
}

/// Why a question to the world got no answer: the lab has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lab has ended")]
pub struct WorldEnded;

/// Sends commands to a world thread. Cheap to clone.
#[derive(Clone)]
pub struct WorldHandle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for WorldHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorldHandle")
    }
}

impl WorldHandle {
    /// Opens an outside connection or a session; `input` makes the `Open` or `Exec` for its id.
    ///
    /// # Errors
    /// When the lab has ended.
    pub fn open(&self, input: impl FnOnce(PortId) -> Input) -> Result<Port, WorldEnded> {
        let id = self.shared.next_port.fetch_add(1, Ordering::Relaxed);
        let (sink, outputs) = mpsc::unbounded_channel();
        let port = Port { id, handle: self.clone(), outputs, ended: false };
        match self.shared.push(Command::Open(input(id), sink)) {
            true => Ok(port),
            false => Err(WorldEnded),
        }
    }

    /// Applies an input that belongs to no port (a file's new content).
    ///
    /// # Errors
    /// When the lab has ended.
    pub fn input(&self, input: Input) -> Result<(), WorldEnded> {
        self.shared.push(Command::Input(input)).then_some(()).ok_or(WorldEnded)
    }

    /// Asks on the world's thread. Questions change no id and are not journalled.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn query<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, WorldEnded> {
        self.desk(move |desk| ask(&mut desk.world)).await
    }

    /// Obeys an operator's command, also while the lab is paused, and answers it.
    ///
    /// # Errors
    /// When the lab has ended; within: why the command was not obeyed.
    pub async fn command(
        &self,
        command: netarium_world::Command,
    ) -> Result<Result<Option<Pid>, String>, WorldEnded> {
        self.desk(move |desk| desk.world.command(command)).await
    }

    /// Like [`query`](Self::query), with everything that the thread has on its desk.
    pub(crate) async fn desk<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Desk) -> R + Send + 'static,
    ) -> Result<R, WorldEnded> {
        let (tx, rx) = oneshot::channel();
        let command = Command::Query(Box::new(move |desk| {
            let _ = tx.send(ask(desk));
        }));
        if !self.shared.push(command) {
            return Err(WorldEnded);
        }
        rx.await.map_err(|_| WorldEnded)
    }

    /// Changes the pace: pauses, resumes, slows down, speeds up. Not an input: changes no id.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn set_pace(&self, pace: Pace) -> Result<(), WorldEnded> {
        self.desk(move |desk| desk.set_pace(pace)).await
    }

    /// Waits until the lab has ended.
    pub async fn ended(&self) {
        let mut ended = std::pin::pin!(self.shared.ended.notified());
        // Registered before looking, or an end between the two would be missed.
        ended.as_mut().enable();
        if !self.shared.lock().closed {
            ended.await;
        }
    }

    /// How well real time was kept so far.
    ///
    /// # Errors
    /// When the lab has ended.
    pub async fn pacing(&self) -> Result<Pacing, WorldEnded> {
        self.desk(|desk| desk.pacing()).await
    }
}

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

/// One outside connection or session, as a task sees it. Dropping it before it has
/// [ended](Port::has_ended) resets it.
#[derive(Debug)]
pub struct Port {
    id: PortId,
    handle: WorldHandle,
    outputs: mpsc::UnboundedReceiver<Output>,
    ended: bool,
}

impl Port {
    /// Its number.
    pub fn id(&self) -> PortId {
        self.id
    }

    /// Hands bytes to the world. The caller keeps within the credit that the world has given.
    pub fn data(&self, bytes: Vec<u8>) {
        self.send(Input::Data { port: self.id, bytes });
    }

    /// No more bytes will come from outside.
    pub fn eof(&self) {
        self.send(Input::Eof { port: self.id });
    }

    /// The outside has taken `bytes` bytes, or can take as many more.
    pub fn credit(&self, bytes: u32) {
        self.send(Input::Credit { port: self.id, bytes });
    }

    /// The outside connection broke.
    pub fn reset(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            self.send(Input::Reset { port: self.id });
        }
    }

    /// Sends a signal to a session's program.
    pub fn signal(&self, signal: u8) {
        self.send(Input::Signal { port: self.id, signal });
    }

    /// The next thing that the world says; `None` when the lab has ended.
    pub async fn next(&mut self) -> Option<Output> {
        let output = self.outputs.recv().await;
        self.note(output)
    }

    /// Like [`next`](Self::next), without waiting.
    pub fn try_next(&mut self) -> Result<Output, mpsc::error::TryRecvError> {
        let output = self.outputs.try_recv()?;
        Ok(self.note(Some(output)).expect("an output was given"))
    }

    /// Marks a connection whose both directions are closed: dropping it resets nothing.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether it is over: reset by either side, finished, or its program has exited.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn note(&mut self, output: Option<Output>) -> Option<Output> {
        if matches!(output, None | Some(Output::Reset { .. } | Output::Exit { .. })) {
            self.ended = true;
        }
        output
    }

    fn send(&self, input: Input) {
        // When the lab has ended, `next` says so.
        let _ = self.handle.shared.push(Command::Input(input));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.reset();
        let _ = self.handle.shared.push(Command::Close(self.id));
    }
}

/// A running world thread. Dropping it ends the lab and waits for the thread.
pub struct WorldThread {
    handle: WorldHandle,
    thread: Option<JoinHandle<()>>,
}

impl WorldThread {
    /// Starts the thread; `build` makes the world there.
    ///
    /// # Errors
    /// Whatever `build` says; or that the system gives no thread.
    pub fn start<E: Send + 'static>(
        pace: Pace,
        build: impl FnOnce() -> Result<World, E> + Send + 'static,
    ) -> Result<WorldThread, StartError<E>> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            next_port: AtomicU64::new(1),
            ended: Notify::new(),
        });
        let handle = WorldHandle { shared: Arc::clone(&shared) };
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("world".to_owned())
            .spawn(move || {
                let _closed = CloseOnExit(Arc::clone(&shared));
                match build() {
                    Err(e) => drop(tx.send(Err(e))),
                    Ok(world) => {
                        let desk = Desk::new(world, pace);
                        let _ = tx.send(Ok(()));
                        desk.run(&shared);
                    }
                }
            })
            .map_err(StartError::Thread)?;
        match rx.recv() {
            Ok(Ok(())) => Ok(WorldThread { handle, thread: Some(thread) }),
            Ok(Err(e)) => Err(StartError::Build(e)),
            Err(_) => Err(StartError::Panicked),
        }
    }

    /// The way to talk to it.
    pub fn handle(&self) -> WorldHandle {
        self.handle.clone()
    }

    /// Ends the lab: what was asked before is done, captures are completed.
    ///
    /// # Errors
    /// When the thread had panicked.
    pub fn stop(mut self) -> Result<(), WorldPanicked> {
        self.handle.shared.close();
        self.thread.take().map_or(Ok(()), |t| t.join().map_err(|_| WorldPanicked))
    }
}

impl Drop for WorldThread {
    fn drop(&mut self) {
        self.handle.shared.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whatever ends the thread, a panic too, nobody waits for it in vain.
struct CloseOnExit(Arc<Shared>);

impl Drop for CloseOnExit {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        // Whoever waits for an answer hears that there will be none.
        let commands = std::mem::take(&mut queue.commands);
        drop(queue);
        drop(commands);
        self.0.ended.notify_waiters();
    }
}

/// Why a world thread did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError<E> {
    /// The world could not be built.
    #[error("{0}")]
    Build(E),
    /// The system gave no thread.
    #[error("cannot start the world's thread: {0}")]
    Thread(std::io::Error),
    /// Building panicked.
    #[error("building the world panicked")]
    Panicked,
}

/// The world's thread had panicked; a bug in Netarium.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the world's thread panicked; this is a bug in Netarium")]
pub struct WorldPanicked;

/// What lies before the world's thread.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) observers: Observers,
    pub(crate) clock: Clock,
    /// Breakpoints, and what the lab is paused for.
    pub(crate) stops: Stops,
    ports: HashMap<PortId, mpsc::UnboundedSender<Output>>,
    /// Inputs that came while paused.
    held: Vec<Command>,
    sleeps: u64,
    /// When the journal was last handed to its file, and how many entries and events there were.
    journalled: (Wall, (u64, u64)),
}

impl Desk {
    fn new(mut world: World, pace: Pace) -> Desk {
        // A world that is recorded has a sink already.
        if !world.journal().has_sink() {
            world.spill_journal(Box::new(Spill::default()));
        }
        let clock = Clock::new(Wall::now(), world.now(), pace);
        Desk {
            stops: Stops::new(&world, pace),
            world,
            observers: Observers::default(),
            clock,
            ports: HashMap::new(),
            held: Vec::new(),
            sleeps: 0,
            journalled: (Wall::now(), (0, 0)),
        }
    }

    fn run(mut self, shared: &Shared) {
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

    /// Whether the next event is not waited for: at full speed, unless an outside connection is
    /// open and no frame is on its way, so that the lab waits for the outside or for a timer.
    fn is_hurried(&self) -> bool {
        self.clock.pace() == Pace::Max
            && self.world.stuck().is_none()
            && self.world.next_event().is_some()
            && (self.ports.is_empty() || self.world.frames_in_flight() > 0)
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
                let (Input::Open { port, .. } | Input::Exec { port, .. }) = input else { return };
                self.ports.insert(port, sink);
                self.world.apply(input);
            }
            Command::Close(port) => drop(self.ports.remove(&port)),
        }
    }

    fn hand_out(&mut self) {
        while let Some(output) = self.world.poll_output() {
            if let Some(sink) = output.port().and_then(|port| self.ports.get(&port)) {
                // A port that nobody listens to any more is about to be closed.
                let _ = sink.send(output);
            }
        }
        self.observers.flush(&mut self.world);
        self.forget_absent();
        self.keep_journal();
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
