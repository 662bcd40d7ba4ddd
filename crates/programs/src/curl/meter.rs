//! Who draws the progress meter, and when.

use std::cell::{Cell, RefCell};

use netarium_base::Instant;

use super::progress::{HEADER, Progress};
use super::terminal::Words;

/// The progress meter of one URL.
#[derive(Debug)]
pub(super) struct Meter {
    kind: Kind,
    words: RefCell<Option<Words>>,
    start: Cell<Instant>,
    headed: Cell<bool>,
    /// The line of the request that has ended stands.
    ended: Cell<bool>,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: the body goes to the terminal, or `-s`.
    Off,
    /// The table.
    Table,
    /// `-#`.
    Bar,
}

impl Meter {
    pub(super) fn new(kind: Kind, words: Words) -> Meter {
        Meter {
            kind,
            words: RefCell::new(Some(words)),
            start: Cell::new(Instant::ZERO),
            headed: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.kind != Kind::Off
    }

    /// A transfer begins.
    pub(super) async fn begin(&self, now: Instant, progress: &Progress) {
        self.start.set(now);
        self.ended.set(false);
        if self.kind == Kind::Table {
            if !self.headed.replace(true) {
                self.write(HEADER).await;
            }
            self.tick(now, progress).await;
        }
    }

    /// A second has passed.
    pub(super) async fn tick(&self, now: Instant, progress: &Progress) {
        match self.kind {
            Kind::Off => {}
            Kind::Table => self.write(&progress.meter(self.start.get(), now)).await,
            Kind::Bar => {
                if let Some(bar) = progress.bar() {
                    self.write(&bar).await;
                }
            }
        }
    }

    /// The next request of the same transfer begins.
    pub(super) fn again(&self) {
        self.ended.set(false);
    }

    /// A request has ended.
    pub(super) async fn done(&self, now: Instant, progress: &Progress) {
        if self.ended.replace(true) {
            return;
        }
        match self.kind {
            Kind::Off => {}
            Kind::Table => {
                self.tick(now, progress).await;
                self.write("\n").await;
            }
            Kind::Bar => {
                if let Some(bar) = progress.bar() {
                    self.write(&format!("{bar}\n")).await;
                }
            }
        }
    }

    async fn write(&self, text: &str) {
        // Taken out while it writes: nobody else writes meanwhile.
        let Some(mut words) = self.words.take() else { return };
        words.write(text.as_bytes()).await;
        *self.words.borrow_mut() = Some(words);
    }
}
