//! What `iperf` has measured: the lines of `-i`, those of all together (`[SUM]`), and the total.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use netarium_base::{Duration, Instant};

use super::report::{self, Format};

/// What went through a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes: u64,
    /// Of UDP: how many datagrams were sent, how many of them were missing when a later one came,
    /// and how many came behind a later one.
    pub(super) datagrams: u64,
    pub(super) lost: u64,
    pub(super) late: u64,
}

impl Counts {
    fn since(self, before: Counts) -> Counts {
        Counts {
            bytes: self.bytes.saturating_sub(before.bytes),
            datagrams: self.datagrams.saturating_sub(before.datagrams),
            lost: self.lost.saturating_sub(before.lost),
            late: self.late.saturating_sub(before.late),
        }
    }

    fn add(&mut self, more: Counts) {
        self.bytes += more.bytes;
        self.datagrams += more.datagrams;
        self.lost += more.lost;
        self.late += more.late;
    }

    /// What did not come at all: a datagram that came late was counted as lost before.
    pub(super) fn missing(self) -> u64 {
        self.lost.saturating_sub(self.late)
    }
}

/// Who measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    /// Knows what it sent only.
    UdpClient,
    UdpServer,
}

/// How the lines of a connection begin, and what it belongs to.
pub(super) struct Member {
    pub(super) id: String,
    /// `-i`
    pub(super) interval: Option<Duration>,
    pub(super) sum: Rc<RefCell<Sum>>,
}

/// How many lines are told at once, when nothing was heard for long.
const LINES_MAX: usize = 1_000;

/// What passed since a point in time.
#[derive(Debug)]
pub(super) struct Meter {
    start: Instant,
    pub(super) counts: Counts,
    /// What the lines of `-i` have told, until when, and how many they were.
    told: Counts,
    pub(super) told_at: Instant,
    rounds: u64,
    /// The jitter of a UDP server, ms.
    pub(super) jitter: f64,
    format: Format,
    kind: Kind,
}

impl Meter {
    pub(super) fn new(now: Instant, format: Format, kind: Kind) -> Meter {
        let none = Counts::default();
        Meter {
            start: now,
            counts: none,
            told: none,
            told_at: now,
            rounds: 0,
            jitter: 0.0,
            format,
            kind,
        }
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.since(self.start).as_nanos() as f64 / 1e9
    }

    fn line(&self, id: &str, (from, to): (Instant, Instant), counts: Counts) -> String {
        let span = (self.seconds(from), self.seconds(to));
        if self.kind != Kind::UdpServer {
            return report::line(self.format, id, span, counts.bytes, "");
        }
        let jitter = (id != SUM).then_some(self.jitter);
        report::received(self.format, id, span, counts, jitter)
    }

    /// The lines of the intervals that have passed.
    pub(super) fn passed(&mut self, of: &Member, at: Instant) -> String {
        let mut out = String::new();
        let Some(interval) = of.interval else { return out };
        for _ in 0..LINES_MAX {
            let end = self.told_at + interval;
            if end > at {
                return out;
            }
            let counts = self.counts.since(self.told);
            out += &self.line(&of.id, (self.told_at, end), counts);
            (self.told, self.told_at) = (self.counts, end);
            self.rounds += 1;
            out += &of.sum.borrow_mut().tell(counts, interval);
        }
        self.told_at = at;
        out
    }

    /// The last interval if much of it has passed, and the total; then the lines of all together,
    /// if this was the last of them.
    pub(super) fn end(&mut self, of: &Member, at: Instant) -> (String, String) {
        let mut own = self.passed(of, at);
        let counts = self.counts.since(self.told);
        own += &self.rest(&of.id, of.interval, at);
        own += &self.line(&of.id, (self.start, at), self.counts);
        (own, of.sum.borrow_mut().leave(counts, self.rounds, of.interval, at))
    }

    /// The original shows an interval that did not end if something went through in it and a
    /// quarter of it has passed; never at a UDP client.
    fn rest(&self, id: &str, interval: Option<Duration>, at: Instant) -> String {
        let counts = self.counts.since(self.told);
        let long = interval.is_some_and(|i| {
            at.max(self.told_at).since(self.told_at).as_nanos() > i.as_nanos() / 4
        });
        if !long || counts.bytes == 0 || self.kind == Kind::UdpClient {
            return String::new();
        }
        self.line(id, (self.told_at, at), counts)
    }
}

const SUM: &str = "SUM";

/// Connections that belong together: all of a client, or all of one client at its server.
pub(super) struct Sum {
    meter: Meter,
    /// How many there are, and how many there were.
    live: usize,
    most: usize,
    /// How many have told the interval that runs.
    told: usize,
    /// Whether the first line gets a heading: a server's over UDP, where it looks otherwise.
    heading: Rc<Cell<bool>>,
}

impl Sum {
    pub(super) fn new(meter: Meter, heading: &Rc<Cell<bool>>) -> Rc<RefCell<Sum>> {
        let heading = Rc::clone(heading);
        Rc::new(RefCell::new(Sum { meter, live: 0, most: 0, told: 0, heading }))
    }

    pub(super) fn join(&mut self, members: usize) {
        self.live += members;
        self.most += members;
    }

    /// Whether nobody is left.
    pub(super) fn over(&self) -> bool {
        self.live == 0
    }

    /// Of how many connections this is the sum, and how many datagrams they sent; `None` of one.
    pub(super) fn sent(&self) -> Option<(usize, u64)> {
        (self.most > 1).then_some((self.most, self.meter.counts.datagrams))
    }

    /// One that never came to be.
    pub(super) fn fail(&mut self, interval: Option<Duration>, at: Instant) -> String {
        self.most = self.most.saturating_sub(1);
        self.leave(Counts::default(), 0, interval, at)
    }

    fn headed(&self, line: String) -> String {
        if line.is_empty() || !self.heading.replace(false) {
            return line;
        }
        format!("{}{line}", report::HEADING)
    }

    fn tell(&mut self, counts: Counts, interval: Duration) -> String {
        self.meter.counts.add(counts);
        self.told += 1;
        self.round(interval)
    }

    /// The line of an interval that all have told.
    fn round(&mut self, interval: Duration) -> String {
        if self.told < self.live || self.told == 0 {
            return String::new();
        }
        let (from, end) = (self.meter.told_at, self.meter.told_at + interval);
        let counts = self.meter.counts.since(self.meter.told);
        self.told = 0;
        (self.meter.told, self.meter.told_at) = (self.meter.counts, end);
        self.meter.rounds += 1;
        if self.most < 2 {
            return String::new();
        }
        self.headed(self.meter.line(SUM, (from, end), counts))
    }

    fn leave(
        &mut self,
        counts: Counts,
        rounds: u64,
        interval: Option<Duration>,
        at: Instant,
    ) -> String {
        self.meter.counts.add(counts);
        self.live = self.live.saturating_sub(1);
        if rounds > self.meter.rounds {
            self.told = self.told.saturating_sub(1);
        }
        if self.live > 0 {
            return interval.map_or_else(String::new, |i| self.round(i));
        }
        if self.most < 2 {
            return String::new();
        }
        let rest = self.headed(self.meter.rest(SUM, interval, at));
        let total = self.meter.line(SUM, (self.meter.start, at), self.meter.counts);
        rest + &self.headed(total)
    }
}
