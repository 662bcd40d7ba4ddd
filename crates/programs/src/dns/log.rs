//! The log of a name server: lines on standard output. Servers never wait for it: when nobody reads
//! and [`QUEUE_MAX`] lines wait, further ones are dropped, and how many is told when writing goes on.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use netarium_world::process::Process;

/// How many lines may wait.
const QUEUE_MAX: usize = 1_024;

/// Lines on their way out, each with the time and the program before it, as `unbound` and `nsd`
/// write them.
#[derive(Debug)]
pub(crate) struct Log {
    process: Process,
    program: &'static str,
    queue: RefCell<VecDeque<String>>,
    dropped: Cell<u64>,
    writer: RefCell<Option<Waker>>,
}

impl Log {
    /// A log, and the task that writes it.
    pub(crate) fn start(process: Process, program: &'static str) -> Rc<Log> {
        let log = Rc::new(Log {
            process,
            program,
            queue: RefCell::default(),
            dropped: Cell::new(0),
            writer: RefCell::new(None),
        });
        let writer = Rc::clone(&log);
        process.spawn(async move {
            loop {
                let text = writer.next().await;
                process.print(&text).await;
            }
        });
        log
    }

    /// Adds a line: `[1767225600] unbound[100:0] info: start of service`.
    pub(crate) fn say(&self, level: &str, text: &str) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= QUEUE_MAX {
            self.dropped.set(self.dropped.get() + 1);
        } else {
            queue.push_back(self.line(level, text));
        }
        if let Some(waker) = self.writer.borrow_mut().take() {
            waker.wake();
        }
    }

    fn line(&self, level: &str, text: &str) -> String {
        let seconds = self.process.unix_time() / 1_000_000_000;
        let thread = if self.program == "unbound" { ":0" } else { "" };
        let (program, pid) = (self.program, self.process.pid());
        format!("[{seconds}] {program}[{pid}{thread}] {level}: {text}\n")
    }

    /// Everything that waits, as one text.
    async fn next(&self) -> String {
        poll_fn(|cx| {
            let mut queue = self.queue.borrow_mut();
            if queue.is_empty() && self.dropped.get() == 0 {
                *self.writer.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut text: String = queue.drain(..).collect();
            let dropped = self.dropped.take();
            if dropped > 0 {
                let _ = writeln!(text, "{dropped} log lines were dropped: nobody read them");
            }
            Poll::Ready(text)
        })
        .await
    }

    /// Writes what waits before the program ends.
    pub(crate) async fn flush(&self) {
        let text: String = self.queue.borrow_mut().drain(..).collect();
        self.process.print(&text).await;
    }
}
