//! Live observers: streams of bytes (trace lines, captured frames) that leave the world's thread.
//!
//! An observer never slows the world down. What it does not take in time is lost to it, and it is
//! told how much: that is what [`ChunkSender::push`]'s answer is for.

use std::cell::RefCell;
use std::rc::Rc;

use netarium_base::Record;
use netarium_base::trace::{SinkId, TraceSink};
use netarium_explain::Predicate;
use netarium_world::{CaptureId, NameTable, World};
use tokio::sync::mpsc;

/// Bytes collected before they are sent as one chunk.
const CHUNK: usize = 64 * 1024;
/// Chunks that may wait for an observer: 4 MiB.
const CHUNKS: usize = 64;

/// The receiving end of an observer.
pub(crate) type Chunks = mpsc::Receiver<Vec<u8>>;

/// The world's end of an observer's stream.
#[derive(Debug)]
pub(crate) struct ChunkSender {
    tx: mpsc::Sender<Vec<u8>>,
    pending: Vec<u8>,
}

impl ChunkSender {
    pub(crate) fn new() -> (ChunkSender, Chunks) {
        let (tx, rx) = mpsc::channel(CHUNKS);
        (ChunkSender { tx, pending: Vec::new() }, rx)
    }

    /// Adds one item, whole; false when the observer is too far behind and loses it.
    pub(crate) fn push(&mut self, item: &[u8]) -> bool {
        if self.pending.len() + item.len() > CHUNK {
            self.flush();
            // An item of its own size may pass an empty buffer; a full one means «behind».
            if !self.pending.is_empty() {
                return false;
            }
        }
        self.pending.extend_from_slice(item);
        true
    }

    /// Adds what must not be lost: heads and ends of streams, whose size the lab bounds.
    pub(crate) fn push_anyway(&mut self, item: &[u8]) {
        if self.pending.len() + item.len() > CHUNK {
            self.flush();
        }
        self.pending.extend_from_slice(item);
    }

    /// Sends what was collected, if there is room.
    pub(crate) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(back)) =
            self.tx.try_send(std::mem::take(&mut self.pending))
        {
            self.pending = back;
        }
    }

    /// Whether nobody listens any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }
}

/// All observers of one world.
#[derive(Default)]
pub(crate) struct Observers {
    captures: Vec<(CaptureId, Rc<RefCell<ChunkSender>>)>,
    traces: Option<(SinkId, Rc<RefCell<Vec<TraceObserver>>>)>,
}

impl Observers {
    /// Remembers a live capture, which ends when its reader goes away.
    pub(crate) fn add_capture(&mut self, id: CaptureId, sender: Rc<RefCell<ChunkSender>>) {
        self.captures.push((id, sender));
    }

    /// Adds an observer of the trace: one JSON object per line, from now on.
    pub(crate) fn add_trace(&mut self, world: &mut World, filter: Option<Predicate>) -> Chunks {
        let (sender, chunks) = ChunkSender::new();
        let (_, observers) = self.traces.get_or_insert_with(|| {
            let observers = Rc::new(RefCell::new(Vec::new()));
            let names = world.name_table();
            let fan = FanOut { observers: Rc::clone(&observers), names, line: Vec::new() };
            (world.tracer_mut().add_sink(Box::new(fan)), observers)
        });
        observers.borrow_mut().push(TraceObserver { sender, filter, lost: 0 });
        chunks
    }

    /// Sends what was collected, and lets go of observers that have left.
    pub(crate) fn flush(&mut self, world: &mut World) {
        self.captures.retain(|(id, sender)| {
            sender.borrow_mut().flush();
            let gone = sender.borrow().is_closed();
            if gone {
                world.end_capture(*id);
            }
            !gone
        });
        if let Some((sink, observers)) = &self.traces {
            let mut list = observers.borrow_mut();
            list.retain_mut(|observer| {
                observer.sender.flush();
                !observer.sender.is_closed()
            });
            if list.is_empty() {
                // When nobody looks, the trace costs nothing.
                world.tracer_mut().remove_sink(*sink);
                drop(list);
                self.traces = None;
            }
        }
    }

    /// Completes everything, captures into files too.
    pub(crate) fn end(&mut self, world: &mut World) {
        world.end_captures();
        for (_, sender) in self.captures.drain(..) {
            sender.borrow_mut().flush();
        }
    }
}

struct TraceObserver {
    sender: ChunkSender,
    /// Which events are wanted; all when not given.
    filter: Option<Predicate>,
    lost: u64,
}

impl TraceObserver {
    fn push(&mut self, line: &[u8]) {
        if self.lost > 0 {
            let notice = format!("{{\"lost\":{}}}\n", self.lost);
            if !self.sender.push(notice.as_bytes()) {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if !self.sender.push(line) {
            self.lost += 1;
        }
    }
}

/// The one sink of all observers in the world's tracer; it leaves with the last of them.
struct FanOut {
    observers: Rc<RefCell<Vec<TraceObserver>>>,
    names: Rc<NameTable>,
    line: Vec<u8>,
}

impl TraceSink for FanOut {
    fn record(&mut self, record: &Record) {
        let (line, names) = (&mut self.line, &*self.names);
        line.clear();
        for observer in self.observers.borrow_mut().iter_mut() {
            if observer.filter.as_ref().is_some_and(|f| !f.matches(record, names)) {
                continue;
            }
            // Made once, and only when somebody wants it.
            if line.is_empty() {
                if serde_json::to_writer(&mut *line, &record.json(names)).is_err() {
                    return;
                }
                line.push(b'\n');
            }
            observer.push(line);
        }
    }
}
