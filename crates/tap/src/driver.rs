//! Two ends, a wire between them, and the clock.
//!
//! A [`Driver`] is the only place where a stack meets real time. Its rhythm is one [`Driver::turn`]:
//! take what the kernels hand over, let arrive what has travelled, fire what is due, hand over
//! what stacks have to send; and when there was nothing of all that, sleep until there is.
//!
//! Real time is late sometimes: what is due while the machine does something else happens
//! afterwards, in order.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::time;

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, LinkEnd, SocketId, Tracer};
use netarium_stack::{Readiness, Stack};
use netarium_wire::Frame;
use netarium_world::Wire;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::device::Tap;
use crate::error::TapError;

/// How many reads of a TAP one turn does before it looks at anything else.
const READS_PER_TURN: usize = 64;

/// What is at an end of the wire.
#[derive(Debug)]
pub enum End {
    /// A kernel.
    Tap(Box<Tap>),
    /// An interface of one of our hosts.
    Stack(Box<Stack>, IfIndex),
}

/// What becomes of a frame that somebody looked at.
#[derive(Debug)]
pub enum Look {
    /// It goes its way.
    Pass,
    /// It is gone.
    Drop,
    /// These leave from the same end in its place.
    Instead(Vec<Box<Frame>>),
    /// It is gone, and these come back to who sent it.
    Answer(Vec<Box<Frame>>),
}

/// Looks at each frame that leaves an end, before the wire.
pub type Inspector = Box<dyn FnMut(LinkEnd, &Frame) -> Look>;

/// Two ends joined by a wire, or directly, in real time.
pub struct Driver {
    ends: [End; 2],
    wire: Option<Wire>,
    start: time::Instant,
    tracer: Tracer,
    /// What waits to leave at each end, towards what is there.
    out: [VecDeque<Box<Frame>>; 2],
    /// What arrived without a wire, and where.
    direct: VecDeque<(LinkEnd, Box<Frame>)>,
    ready: VecDeque<(LinkEnd, SocketId, Readiness)>,
    read: VecDeque<Box<Frame>>,
    inspector: Option<Inspector>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Driver { ends, wire, .. } = self;
        f.debug_struct("Driver").field("ends", ends).field("wire", wire).finish_non_exhaustive()
    }
}

impl Driver {
    /// Joins two ends; without a wire a frame arrives as soon as it was sent.
    pub fn new(a: End, b: End, wire: Option<Wire>) -> Driver {
        Driver {
            ends: [a, b],
            wire,
            start: time::Instant::now(),
            tracer: Tracer::new(0),
            out: [VecDeque::new(), VecDeque::new()],
            direct: VecDeque::new(),
            ready: VecDeque::new(),
            read: VecDeque::new(),
            inspector: None,
        }
    }

    /// What the clock shows: since the driver was made.
    pub fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The wire, to look at its counters or to change it.
    pub fn wire(&mut self) -> Option<&mut Wire> {
        self.wire.as_mut()
    }

    /// Lets somebody look at each frame that leaves an end, and change what becomes of it: for tests
    /// and for middle boxes.
    pub fn inspect(&mut self, inspector: Inspector) {
        self.inspector = Some(inspector);
    }

    /// What is at an end.
    pub fn end(&self, end: LinkEnd) -> &End {
        &self.ends[end.index()]
    }

    /// The stack at an end.
    ///
    /// # Panics
    /// When there is a TAP.
    pub fn stack(&self, end: LinkEnd) -> &Stack {
        match &self.ends[end.index()] {
            End::Stack(stack, _) => stack,
            End::Tap(tap) => panic!("at this end is the TAP {}", tap.name()),
        }
    }

    /// Calls into the stack at an end, and lets what it has to send leave.
    ///
    /// # Panics
    /// When there is a TAP.
    pub fn call<R>(&mut self, end: LinkEnd, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        let now = self.now();
        let End::Stack(stack, _) = &mut self.ends[end.index()] else {
            panic!("there is no stack at this end")
        };
        let result = f(stack, &mut Ctx::new(now, Cause::NONE, &mut self.tracer));
        self.drain(now, end);
        result
    }

    /// The next socket that became ready, where, and for what.
    pub fn next_ready(&mut self) -> Option<(LinkEnd, SocketId, Readiness)> {
        self.ready.pop_front()
    }

    /// Does what is to be done now, after waiting for it for at most `patience`. False: nothing was.
    ///
    /// # Errors
    /// What a kernel says about its TAP.
    pub fn turn(&mut self, patience: Duration) -> Result<bool, TapError> {
        let io_error = |e: io::Error| TapError::of("a TAP", e);
        let mut busy = self.move_on().map_err(io_error)?;
        if !busy {
            self.wait(patience).map_err(io_error)?;
            busy = self.move_on().map_err(io_error)?;
        }
        Ok(busy)
    }

    fn move_on(&mut self) -> io::Result<bool> {
        let mut busy = false;
        for end in [LinkEnd::A, LinkEnd::B] {
            busy |= self.read(end)?;
        }
        let now = self.now();
        while let Some((end, frame)) = self.next_arrived(now) {
            busy = true;
            self.arrive(now, end, frame);
        }
        for end in [LinkEnd::A, LinkEnd::B] {
            busy |= self.fire(now, end);
        }
        while let Some((end, frame)) = self.direct.pop_front() {
            self.arrive(now, end, frame);
        }
        for (end, out) in self.ends.iter_mut().zip(&mut self.out) {
            if let End::Tap(tap) = end {
                tap.send(out)?;
            }
        }
        Ok(busy)
    }

    fn next_arrived(&mut self, now: Instant) -> Option<(LinkEnd, Box<Frame>)> {
        let travelled = self.wire.as_mut().and_then(|wire| wire.arrive(now));
        travelled.or_else(|| self.direct.pop_front())
    }

    /// Takes what a kernel hands over.
    fn read(&mut self, end: LinkEnd) -> io::Result<bool> {
        let mut any = false;
        for _ in 0..READS_PER_TURN {
            let End::Tap(tap) = &mut self.ends[end.index()] else { break };
            if !tap.receive(&mut self.read)? {
                break;
            }
            any = true;
            let now = self.now();
            let mut read = std::mem::take(&mut self.read);
            read.drain(..).for_each(|frame| self.send(now, end, frame));
            self.read = read;
        }
        Ok(any)
    }

    /// A frame leaves what is at `end`.
    fn send(&mut self, now: Instant, end: LinkEnd, mut frame: Box<Frame>) {
        let Some(inspector) = &mut self.inspector else { return self.travel(now, end, frame) };
        // What has no headers is shown as it is.
        let _ = frame.parse();
        match inspector(end, &frame) {
            Look::Pass => self.travel(now, end, frame),
            Look::Drop => {}
            Look::Instead(others) => others.into_iter().for_each(|f| self.travel(now, end, f)),
            Look::Answer(back) => back.into_iter().for_each(|f| self.travel(now, end.other(), f)),
        }
    }

    fn travel(&mut self, now: Instant, end: LinkEnd, frame: Box<Frame>) {
        match &mut self.wire {
            Some(wire) => {
                wire.hand_over(now, end, frame);
            }
            None => self.direct.push_back((end.other(), frame)),
        }
    }

    /// A frame comes to what is at `end`.
    fn arrive(&mut self, now: Instant, end: LinkEnd, frame: Box<Frame>) {
        match &mut self.ends[end.index()] {
            End::Tap(_) => self.out[end.index()].push_back(frame),
            End::Stack(stack, iface) => {
                let cause = frame.meta.cause;
                let mut cx = Ctx::new(now, cause, &mut self.tracer);
                stack.handle_frame(&mut cx, *iface, frame);
                self.drain(now, end);
            }
        }
    }

    /// Fires the timers of a stack that are due.
    fn fire(&mut self, now: Instant, end: LinkEnd) -> bool {
        let End::Stack(stack, _) = &mut self.ends[end.index()] else { return false };
        if stack.next_deadline().is_none_or(|due| due > now) {
            return false;
        }
        stack.handle_deadlines(&mut Ctx::new(now, Cause::NONE, &mut self.tracer));
        self.drain(now, end);
        true
    }

    /// Frames leave a stack, events are noted.
    fn drain(&mut self, now: Instant, end: LinkEnd) {
        loop {
            let End::Stack(stack, wired) = &mut self.ends[end.index()] else { return };
            while let Some(event) = stack.poll_event() {
                self.ready.push_back((end, event.socket, event.readiness));
            }
            let Some((iface, frame)) = stack.poll_transmit() else { return };
            // What leaves by another interface, the loopback one for instance, ends there.
            if iface == *wired {
                self.send(now, end, frame);
            }
        }
    }

    /// Sleeps until a kernel hands something over, something is due, or `patience` has passed.
    fn wait(&self, patience: Duration) -> io::Result<()> {
        let now = self.now();
        let stacks = self.ends.iter().filter_map(|end| match end {
            End::Stack(stack, _) => stack.next_deadline(),
            End::Tap(_) => None,
        });
        let arrival = self.wire.as_ref().and_then(Wire::next_arrival);
        let next = stacks.chain(arrival).chain([now + patience]).min().unwrap_or(now);
        let sleep = next.since(now).min(patience);
        let mut fds: Vec<PollFd<'_>> = self
            .ends
            .iter()
            .filter_map(|end| match end {
                End::Tap(tap) => Some(PollFd::new(tap.as_fd(), PollFlags::POLLIN)),
                End::Stack(..) => None,
            })
            .collect();
        let sleep = TimeSpec::from_duration(time::Duration::from_nanos(sleep.as_nanos()));
        match ppoll(&mut fds, Some(sleep), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}
