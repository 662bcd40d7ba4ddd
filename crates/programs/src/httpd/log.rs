//! The logs: files of the host, and standard output and error.
//!
//! Connections never wait for a log: lines queue, one task writes them. When nobody reads standard
//! output and [`QUEUE_MAX`] lines wait, further ones are dropped and counted, and the count is told
//! when writing goes on. A file is turned over at [`FILE_TURN`] bytes: what it held moves to
//! `access_log.1`.

use core::net::SocketAddr;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use netarium_base::Pid;
use netarium_world::process::Process;

use super::conf::{Level, Site};
use crate::calendar::Date;

/// How many lines may wait.
const QUEUE_MAX: usize = 4_096;
/// The size at which a file is turned over, bytes.
const FILE_TURN: u64 = 64 * 1024;

/// Which log a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Access,
    Error,
}

#[derive(Debug)]
struct Line {
    kind: Kind,
    path: Rc<str>,
    text: String,
}

/// Lines on their way into the logs.
#[derive(Debug, Default)]
pub(super) struct Log {
    queue: RefCell<VecDeque<Line>>,
    dropped: Cell<u64>,
    writer: RefCell<Option<Waker>>,
}

impl Log {
    /// Adds a line (without its end) to an access log.
    pub(super) fn access(&self, path: &Rc<str>, text: String) {
        self.push(Line { kind: Kind::Access, path: Rc::clone(path), text });
    }

    /// Adds a line to a site's error log, when its `LogLevel` asks for such lines.
    pub(super) fn error(&self, site: &Site, process: Process, entry: &ErrorEntry<'_>) {
        if entry.level <= site.level {
            self.always(site, process, entry);
        }
    }

    /// Adds a line to a site's error log.
    pub(super) fn always(&self, site: &Site, process: Process, entry: &ErrorEntry<'_>) {
        let text = entry.line(process.unix_time(), process.pid());
        self.push(Line { kind: Kind::Error, path: site.error_log.as_str().into(), text });
    }

    fn push(&self, line: Line) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= QUEUE_MAX {
            self.dropped.set(self.dropped.get() + 1);
        } else {
            queue.push_back(line);
        }
        if let Some(waker) = self.writer.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Everything that waits.
    async fn next(&self) -> Batch {
        poll_fn(|cx| {
            if self.queue.borrow().is_empty() && self.dropped.get() == 0 {
                *self.writer.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(self.take())
        })
        .await
    }

    fn take(&self) -> Batch {
        let mut batch = Batch::default();
        for line in self.queue.borrow_mut().drain(..) {
            let stream = match line.kind {
                Kind::Access => &mut batch.out,
                Kind::Error => &mut batch.err,
            };
            for text in [stream, batch.files.entry(line.path).or_default()] {
                text.push_str(&line.text);
                text.push('\n');
            }
        }
        let dropped = self.dropped.take();
        if dropped > 0 {
            let _ =
                writeln!(batch.err, "httpd: {dropped} log lines were dropped: nobody read them");
        }
        batch
    }

    /// Writes what waits to the files at once, for a program that ends.
    pub(super) fn close(&self, process: Process) {
        self.take().save(process);
    }

    /// Writes the logs until the process ends.
    pub(super) async fn write(&self, process: Process) {
        loop {
            let batch = self.next().await;
            batch.save(process);
            process.print(&batch.out).await;
            process.eprint(&batch.err).await;
        }
    }
}

/// Lines by where they go.
#[derive(Debug, Default)]
struct Batch {
    files: BTreeMap<Rc<str>, String>,
    out: String,
    err: String,
}

impl Batch {
    /// A host whose disk is full serves on; its log is on standard output all the same.
    fn save(&self, process: Process) {
        for (path, text) in &self.files {
            turn_over(&process, path);
            let _ = process.append_file(path, text.as_bytes());
        }
    }
}

fn turn_over(process: &Process, path: &str) {
    if process.metadata(path).is_ok_and(|m| m.len >= FILE_TURN)
        && let Ok(old) = process.read_file(path)
        && process.write_file(&format!("{path}.1"), old).is_ok()
    {
        let _ = process.remove_file(path);
    }
}

/// A line of the error log.
#[derive(Clone, Debug)]
pub(super) struct ErrorEntry<'a> {
    pub(super) module: &'static str,
    pub(super) level: Level,
    pub(super) client: Option<SocketAddr>,
    pub(super) text: &'a str,
}

impl ErrorEntry<'_> {
    /// `[Mon Nov 23 06:51:53.627149 2026] [core:error] [pid 100] [client 10.0.0.7:49152] text`
    fn line(&self, unix_nanos: u64, pid: Pid) -> String {
        let date = Date::from_unix(unix_nanos / 1_000_000_000);
        let micros = unix_nanos / 1_000 % 1_000_000;
        let mut line =
            format!("[{}] [{}:{}] [pid {pid}]", date.ctime(micros), self.module, self.level.name());
        if let Some(client) = self.client {
            let _ = write!(line, " [client {client}]");
        }
        line.push(' ');
        // What strangers sent may be in it.
        line.push_str(&super::log_format::escape(self.text.as_bytes()).replace("\\\"", "\""));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lines_look_like_apaches() {
        let entry = ErrorEntry {
            module: "core",
            level: Level::Error,
            client: "127.0.0.1:47210".parse().ok(),
            text: "AH00135: Invalid method in request \"BREW\" / HTTP/1.1\n",
        };
        assert_eq!(
            entry.line(1_795_416_713_627_149_000, Pid(100)),
            "[Mon Nov 23 06:51:53.627149 2026] [core:error] [pid 100] [client 127.0.0.1:47210] \
             AH00135: Invalid method in request \"BREW\" / HTTP/1.1\\n"
        );
    }

    #[test]
    fn the_queue_is_bounded() {
        let log = Log::default();
        for n in 0..QUEUE_MAX + 3 {
            log.access(&"/x".into(), n.to_string());
        }
        let batch = log.take();
        assert_eq!(batch.out.lines().count(), QUEUE_MAX);
        assert_eq!(batch.files["/x"].lines().count(), QUEUE_MAX);
        assert!(batch.err.contains("3 log lines were dropped"));
        assert!(log.queue.borrow().is_empty());
    }
}
