//! What a connection is doing and how long it may: seen by its I/O, its service and its watchdog.

use core::net::SocketAddr;
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::task::Waker;

use http::StatusCode;
use netarium_base::{Duration, Instant};
use netarium_world::process::Process;

use super::conf::{ReadTimeout, Timing};
use super::gate::Refusal;
use super::log::Log;
use super::log_format::{HalfLine, Sent};

/// How often a connection is looked at that has no time limit.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first request, or the rest of one that has begun.
    Head,
    /// The rest of a request's body.
    Body,
    /// The next request, after a response.
    Idle,
    /// The handler. It takes as long as it takes.
    Working,
    /// The peer, who must take the response.
    Busy,
}

/// A connection as its parts see it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) process: Process,
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) log: Rc<Log>,
    timing: Cell<Timing>,
    phase: Cell<Phase>,
    began: Cell<Instant>,
    deadline: Cell<Instant>,
    earned: Cell<u64>,
    written: Cell<u64>,
    read: Cell<u64>,
    /// Requests so far.
    requests: Cell<u32>,
    open: RefCell<Option<Open>>,
    /// The request line of the request at hand, as it came.
    line: RefCell<Vec<u8>>,
    /// Why the request at hand, or its body, was refused.
    refusal: RefCell<Option<Refusal>>,
    /// A message has begun and not ended.
    inside: Cell<bool>,
    /// What is being read takes too long.
    late: Cell<bool>,
    /// A request has passed the gate and its response is not out.
    answering: Cell<bool>,
    /// Who waits for that.
    waiting: RefCell<Option<Waker>>,
}

/// What the access logs will say of a response.
pub(super) type Lines = Vec<(Rc<str>, HalfLine)>;

/// A response on its way.
#[derive(Debug)]
struct Open {
    lines: Lines,
    status: u16,
    start: u64,
    body: u64,
    asked: Instant,
    received: u64,
    body_done: Rc<Cell<bool>>,
}

impl State {
    pub(super) fn new(
        process: Process,
        ends: (SocketAddr, SocketAddr),
        timing: Timing,
        log: Rc<Log>,
    ) -> State {
        let now = process.now();
        let state = State {
            process,
            client: ends.0,
            local: ends.1,
            log,
            timing: Cell::new(timing),
            phase: Cell::new(Phase::Head),
            began: Cell::new(now),
            deadline: Cell::new(now),
            earned: Cell::new(0),
            written: Cell::new(0),
            read: Cell::new(0),
            requests: Cell::new(0),
            open: RefCell::new(None),
            line: RefCell::new(Vec::new()),
            refusal: RefCell::new(None),
            inside: Cell::new(false),
            late: Cell::new(false),
            answering: Cell::new(false),
            waiting: RefCell::new(None),
        };
        state.enter(Phase::Head);
        state
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// When the connection has taken too long.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// Takes the time limits of the site that answers.
    pub(super) fn set_timing(&self, timing: Timing) {
        self.timing.set(timing);
    }

    pub(super) fn enter(&self, phase: Phase) {
        let (timing, now) = (self.timing.get(), self.process.now());
        let limit = match phase {
            Phase::Head => timing.head.first.unwrap_or(FOR_EVER),
            Phase::Body => timing.body.first.unwrap_or(FOR_EVER),
            Phase::Idle => timing.keep_alive_timeout,
            Phase::Working => FOR_EVER,
            Phase::Busy => timing.timeout,
        };
        self.phase.set(phase);
        self.began.set(now);
        self.earned.set(0);
        self.deadline.set(now + limit);
    }

    /// A limit has passed; whether it was one, or only the time to look again.
    pub(super) fn is_late(&self) -> bool {
        let timing = self.timing.get();
        let limited = match self.phase.get() {
            Phase::Head => timing.head.first.is_some(),
            Phase::Body => timing.body.first.is_some(),
            Phase::Working => false,
            Phase::Idle | Phase::Busy => true,
        };
        if !limited {
            self.deadline.set(self.process.now() + FOR_EVER);
        }
        limited
    }

    /// Whether a message has begun and not ended, as the gate sees it.
    pub(super) fn set_inside(&self, inside: bool) {
        self.inside.set(inside);
    }

    /// The time for reading is over. False: nothing has been asked that could be answered.
    pub(super) fn late(&self) -> bool {
        let inside = self.inside.get();
        self.late.set(inside);
        if inside {
            self.enter(Phase::Busy);
        }
        inside
    }

    /// Whether the time for reading is over; asked once.
    pub(super) fn take_late(&self) -> bool {
        self.late.take()
    }

    /// Bytes came in.
    pub(super) fn received(&self, n: usize) {
        self.read.set(self.read.get() + n as u64);
        match self.phase.get() {
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head => self.earn(self.timing.get().head, n),
            Phase::Body => self.earn(self.timing.get().body, n),
            Phase::Working | Phase::Busy => {}
        }
    }

    /// `MinRate`: who sends fast enough gets more time.
    fn earn(&self, limit: ReadTimeout, n: usize) {
        let (Some(first), true) = (limit.first, limit.rate > 0) else { return };
        self.earned.set(self.earned.get() + n as u64);
        let earned = self.earned.get().saturating_mul(1_000_000_000) / u64::from(limit.rate);
        let span = Duration::from_nanos(first.as_nanos().saturating_add(earned));
        let span = limit.most.map_or(span, |most| span.min(most));
        self.deadline.set(self.began.get() + span);
    }

    /// Bytes went out.
    pub(super) fn sent(&self, n: usize) {
        self.written.set(self.written.get() + n as u64);
        if self.phase.get() == Phase::Busy {
            self.enter(Phase::Busy);
        }
    }

    /// A request has passed the gate, or what stands for one.
    pub(super) fn asking(&self, line: Vec<u8>, refusal: Option<Refusal>) {
        *self.line.borrow_mut() = line;
        *self.refusal.borrow_mut() = refusal;
        self.requests.set(self.requests.get() + 1);
        self.answering.set(true);
        self.enter(Phase::Working);
    }

    /// The request line, as it came.
    pub(super) fn line(&self) -> Ref<'_, [u8]> {
        Ref::map(self.line.borrow(), Vec::as_slice)
    }

    /// Why the request at hand was refused; asked once.
    pub(super) fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.borrow_mut().take()
    }

    /// The body at hand is refused.
    pub(super) fn refuse_body(&self, refusal: Refusal) {
        *self.refusal.borrow_mut() = Some(refusal);
    }

    /// Whether a response must be out before the next request is let in; if so, wakes then.
    pub(super) fn must_wait(&self, waker: &Waker) -> bool {
        if self.answering.get() {
            *self.waiting.borrow_mut() = Some(waker.clone());
        }
        self.answering.get()
    }

    /// How many seconds a kept connection may be idle, and for how many more requests it is kept, this
    /// one among them; any number without a limit.
    pub(super) fn kept_for(&self) -> (u64, Option<u32>) {
        let timing = self.timing.get();
        let most = Some(timing.keep_alive_requests).filter(|most| *most > 0);
        let left = most.map(|most| (most + 1).saturating_sub(self.requests.get()));
        (timing.keep_alive_timeout.as_secs(), left)
    }

    /// Whether the request at hand is the last that this connection may make.
    pub(super) fn is_last(&self) -> bool {
        let timing = self.timing.get();
        let most = timing.keep_alive_requests;
        !timing.keep_alive || (most > 0 && self.requests.get() >= most)
    }

    /// A response begins; `body_done` is set when its body has been handed to hyper.
    pub(super) fn responding(
        &self,
        lines: Lines,
        status: StatusCode,
        body: usize,
        asked: Instant,
        body_done: Rc<Cell<bool>>,
    ) {
        let (start, received) = (self.written.get(), self.read.replace(0));
        let (status, body) = (status.as_u16(), body as u64);
        let open = Open { lines, status, start, body, asked, received, body_done };
        *self.open.borrow_mut() = Some(open);
        self.enter(Phase::Busy);
    }

    /// Everything written is out: if that was the end of a response, it is logged.
    pub(super) fn flushed(&self) {
        if self.open.borrow().as_ref().is_some_and(|e| e.body_done.get()) {
            self.finish();
            self.enter(Phase::Idle);
            self.answering.set(false);
            if let Some(waker) = self.waiting.borrow_mut().take() {
                waker.wake();
            }
        }
    }

    /// Logs the response on its way, with what has been sent of it.
    pub(super) fn finish(&self) {
        if let Some(open) = self.open.borrow_mut().take() {
            let sent = Sent {
                status: open.status,
                sent: self.written.get() - open.start,
                body: open.body,
                received: open.received,
                took: self.process.now().since(open.asked),
            };
            for (path, line) in open.lines {
                self.log.access(&path, line.finish(&sent));
            }
        }
    }
}
