//! The access log, in Apache's combined format, on standard output and in a file of the host.
//!
//! Connections never wait for the log: lines queue, one task writes them. When nobody reads standard
//! output and [`QUEUE_MAX`] lines wait, further ones are dropped and counted, and the count is told
//! when writing goes on. The file is turned over at [`FILE_TURN`] bytes: what it held moves to
//! `access_log.1`.

use core::net::IpAddr;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use http::{HeaderMap, Method, Request, Uri, Version, header};
use netarium_world::process::Process;

use crate::calendar::Date;

/// How many lines may wait.
const QUEUE_MAX: usize = 4_096;
/// The size at which the file is turned over, bytes.
const FILE_TURN: u64 = 64 * 1024;
/// Where the log is.
pub(super) const PATH: &str = "/var/log/httpd/access_log";

/// Lines on their way into the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    queue: RefCell<VecDeque<String>>,
    dropped: Cell<u64>,
    writer: RefCell<Option<Waker>>,
}

impl Log {
    /// Adds a line (without its end).
    pub(super) fn push(&self, line: String) {
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

    /// Everything that waits, as one text.
    async fn next(&self) -> String {
        poll_fn(|cx| {
            let mut queue = self.queue.borrow_mut();
            if queue.is_empty() && self.dropped.get() == 0 {
                *self.writer.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut text: String = queue.drain(..).map(|line| line + "\n").collect();
            let dropped = self.dropped.take();
            if dropped > 0 {
                let _ = writeln!(text, "httpd: {dropped} log lines were dropped: nobody read them");
            }
            Poll::Ready(text)
        })
        .await
    }

    /// Writes the log until the process ends.
    pub(super) async fn write(self: Rc<Self>, process: Process) {
        loop {
            let text = self.next().await;
            turn_over(&process);
            // A host whose disk is full serves on; its log is on standard output all the same.
            let _ = process.append_file(PATH, text.as_bytes());
            process.print(&text).await;
        }
    }
}

fn turn_over(process: &Process) {
    if process.metadata(PATH).is_ok_and(|m| m.len >= FILE_TURN)
        && let Ok(old) = process.read_file(PATH)
        && process.write_file(&format!("{PATH}.1"), old).is_ok()
    {
        let _ = process.remove_file(PATH);
    }
}

/// What is known about a request when it is read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    client: IpAddr,
    date: Date,
    request: String,
    referer: String,
    agent: String,
}

impl Entry {
    pub(super) fn new<B>(client: IpAddr, unix_seconds: u64, request: &Request<B>) -> Entry {
        let head = request_line(request.method(), request.uri(), request.version());
        Entry {
            client,
            date: Date::from_unix(unix_seconds),
            request: head,
            referer: field(request.headers(), header::REFERER),
            agent: field(request.headers(), header::USER_AGENT),
        }
    }

    /// A request that could not be read.
    pub(super) fn unreadable(client: IpAddr, unix_seconds: u64) -> Entry {
        let dash = || "-".to_owned();
        let date = Date::from_unix(unix_seconds);
        Entry { client, date, request: dash(), referer: dash(), agent: dash() }
    }

    /// `%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"`: `sent` counts the header, too.
    pub(super) fn line(&self, status: u16, sent: u64) -> String {
        let Entry { client, date, request, referer, agent } = self;
        let date = date.log();
        format!("{client} - - {date} \"{request}\" {status} {sent} \"{referer}\" \"{agent}\"")
    }
}

fn request_line(method: &Method, uri: &Uri, version: Version) -> String {
    escape(format!("{method} {uri} {version:?}").as_bytes())
}

fn field(fields: &HeaderMap, name: header::HeaderName) -> String {
    fields.get(name).map_or_else(|| "-".to_owned(), |v| escape(v.as_bytes()))
}

/// As Apache writes what strangers sent: quotes, backslashes and what is not printable escaped.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(b));
            }
            b' '..=b'~' => out.push(char::from(b)),
            _ => {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_like_apaches() {
        let request = Request::builder()
            .uri("/a?b=1")
            .header("User-Agent", "x\"y")
            .body(())
            .expect("a request");
        let entry = Entry::new("10.0.0.7".parse().unwrap(), 1_795_356_857, &request);
        assert_eq!(
            entry.line(200, 473),
            "10.0.0.7 - - [22/Nov/2026:14:14:17 +0000] \"GET /a?b=1 HTTP/1.1\" 200 473 \"-\" \"x\\\"y\""
        );
    }

    #[test]
    fn the_queue_is_bounded() {
        let log = Log::default();
        for n in 0..QUEUE_MAX + 3 {
            log.push(n.to_string());
        }
        assert_eq!(log.queue.borrow().len(), QUEUE_MAX);
        assert_eq!(log.dropped.get(), 3);
    }
}
