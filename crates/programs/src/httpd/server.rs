//! Listening, the limit on connections, and starting anew without losing anybody.
//!
//! A configuration that is in force is a [`Generation`]. A restart makes the next one: listeners
//! whose address is still wanted go over to it; connections of the old one end at once
//! (`restart`) or after their present request (`graceful`), as Apache's children do.

use core::net::SocketAddr;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use netarium_base::Duration;
use netarium_stack::Errno;
use netarium_world::process::{Process, TcpListener, errno};

use super::conf::Config;
use super::connection;
use super::log::Log;
use crate::wait::first;

/// What the connections of a generation are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// After the present request.
    Gracefully,
    Now,
}

/// A configuration in force.
pub(super) struct Generation {
    pub(super) config: Rc<Config>,
    pub(super) log: Rc<Log>,
    slots: Rc<Slots>,
    stop: Cell<Stop>,
    next: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, Waker>>,
}

/// A connection's ear for its generation's end.
pub(super) struct Notice<'a> {
    generation: &'a Generation,
    id: u64,
}

impl Notice<'_> {
    /// What has been said; wakes when that changes.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Stop {
        let stop = self.generation.stop.get();
        if stop != Stop::Now {
            let mut waiting = self.generation.waiting.borrow_mut();
            match waiting.get_mut(&self.id) {
                Some(waker) => waker.clone_from(cx.waker()),
                None => {
                    waiting.insert(self.id, cx.waker().clone());
                }
            }
        }
        stop
    }
}

impl Drop for Notice<'_> {
    fn drop(&mut self) {
        self.generation.waiting.borrow_mut().remove(&self.id);
    }
}

impl Generation {
    fn new(config: Config, log: Rc<Log>) -> Generation {
        let slots = Rc::new(Slots::new(config.workers));
        Generation {
            config: Rc::new(config),
            log,
            slots,
            stop: Cell::new(Stop::No),
            next: Cell::new(0),
            waiting: RefCell::new(BTreeMap::new()),
        }
    }

    /// For a connection that wants to know when to end.
    pub(super) fn listen(&self) -> Notice<'_> {
        let id = self.next.get();
        self.next.set(id + 1);
        Notice { generation: self, id }
    }

    fn end(&self, how: Stop) {
        self.stop.set(how);
        for waker in self.waiting.borrow().values() {
            waker.wake_by_ref();
        }
    }

    /// Waits until the generation is over.
    async fn over(&self) {
        let mut notice = self.listen();
        poll_fn(|cx| match notice.poll(cx) {
            Stop::No => Poll::Pending,
            Stop::Gracefully | Stop::Now => Poll::Ready(()),
        })
        .await;
    }
}

/// A server that runs.
pub(super) struct Server {
    process: Process,
    pub(super) log: Rc<Log>,
    listeners: BTreeMap<SocketAddr, Rc<TcpListener>>,
    generation: Rc<Generation>,
}

impl Server {
    /// Binds the listeners and begins to serve.
    pub(super) fn start(process: Process, config: Config) -> Result<Server, String> {
        let log = Rc::new(Log::default());
        let listeners = bind(process, &config, &BTreeMap::new())?;
        let writer = Rc::clone(&log);
        process.spawn(async move { writer.write(process).await });
        let generation = Rc::new(Generation::new(config, Rc::clone(&log)));
        let server = Server { process, log, listeners, generation };
        server.serve();
        Ok(server)
    }

    /// The configuration in force.
    pub(super) fn config(&self) -> &Config {
        &self.generation.config
    }

    /// Goes over to another configuration.
    pub(super) fn restart(&mut self, config: Config, how: Stop) -> Result<(), String> {
        let listeners = bind(self.process, &config, &self.listeners)?;
        self.generation.end(how);
        self.listeners = listeners;
        self.generation = Rc::new(Generation::new(config, Rc::clone(&self.log)));
        self.serve();
        Ok(())
    }

    /// Takes no more connections; those that are there end as told. Waits for them.
    pub(super) async fn stop(&mut self, how: Stop) {
        self.listeners.clear();
        self.generation.end(how);
        let generation = Rc::clone(&self.generation);
        generation.slots.all_free(generation.config.workers).await;
    }

    fn serve(&self) {
        for listener in self.listeners.values() {
            let generation = Rc::clone(&self.generation);
            self.process.spawn(accept(self.process, Rc::clone(listener), generation));
        }
    }
}

/// The listeners of a configuration: those that are there already, and new ones.
fn bind(
    process: Process,
    config: &Config,
    old: &BTreeMap<SocketAddr, Rc<TcpListener>>,
) -> Result<BTreeMap<SocketAddr, Rc<TcpListener>>, String> {
    if config.listen.is_empty() {
        return Err(format!("{NO_SOCKETS}AH00015: Unable to open logs\n"));
    }
    let mut all = BTreeMap::new();
    for &address in &config.listen {
        let listener = match old.get(&address) {
            Some(listener) => Rc::clone(listener),
            None => Rc::new(
                TcpListener::bind(&process, address, config.backlog)
                    .map_err(|e| could_not_bind(address, errno(&e), &e))?,
            ),
        };
        all.insert(address, listener);
    }
    Ok(all)
}

/// What Apache says last when it listens nowhere.
const NO_SOCKETS: &str = "no listening sockets available, shutting down\n";

/// In Apache's words.
fn could_not_bind(address: SocketAddr, e: Option<Errno>, io: &std::io::Error) -> String {
    let code = e.map_or(0, Errno::code);
    format!("({code}){io}: AH00072: make_sock: could not bind to address {address}\n{NO_SOCKETS}")
}

/// Takes connections while there are slots; others wait in the listener's backlog.
async fn accept(process: Process, listener: Rc<TcpListener>, generation: Rc<Generation>) {
    loop {
        let next = Slots::with(&generation.slots, |cx| listener.poll_accept(cx));
        let Err((taken, slot)) = first(generation.over(), next).await else { return };
        let Ok((stream, _)) = taken else {
            // One connection could not be taken (it is gone, or memory is short).
            drop(slot);
            process.sleep(Duration::from_millis(10)).await;
            continue;
        };
        let generation = Rc::clone(&generation);
        process.spawn(async move {
            // In a box of its own, and made when it runs: it is large, and would be copied twice.
            Box::pin(connection::serve(process, stream, generation)).await;
            drop(slot);
        });
    }
}

/// How many connections may be served at a time.
#[derive(Debug)]
struct Slots {
    free: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Slots {
    fn new(count: usize) -> Slots {
        Slots { free: Cell::new(count), waiting: RefCell::new(Vec::new()) }
    }

    /// Asks for something while there is a free slot, which it then has. A slot is not kept while
    /// waiting: several listeners share them.
    async fn with<T>(
        slots: &Rc<Slots>,
        mut ask: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> (T, Slot) {
        poll_fn(|cx| {
            let Some(free) = slots.free.get().checked_sub(1) else {
                slots.wait(cx);
                return Poll::Pending;
            };
            ask(cx).map(|value| {
                slots.free.set(free);
                (value, Slot(Rc::clone(slots)))
            })
        })
        .await
    }

    /// Waits until nothing is served any more.
    async fn all_free(&self, count: usize) {
        poll_fn(|cx| {
            if self.free.get() >= count {
                return Poll::Ready(());
            }
            self.wait(cx);
            Poll::Pending
        })
        .await;
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }
}

/// A slot that is in use; dropping it frees it.
#[derive(Debug)]
struct Slot(Rc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() + 1);
        self.0.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }
}
