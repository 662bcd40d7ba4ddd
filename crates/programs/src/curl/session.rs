//! A run of curl: resolving, connecting, reusing the connection, redirects, time-outs.

use core::net::{IpAddr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use netarium_base::{Duration, Event, Instant};
use netarium_stack::Errno;
use netarium_world::process::{Process, TcpStream, errno};
use tokio::io::{AsyncRead, ReadBuf};

use super::exchange::{Failure, Outcome, Progress, Request, exchange};
use super::options::Options;
use super::request;
use super::terminal::{Sink, Terminal};
use super::url::{BadUrl, Url};
use super::write_out::Report;
use crate::wait::within;

/// How many redirects `-L` follows unless told otherwise.
const REDIRECTS: u32 = 50;
/// How long curl waits for a connection unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

/// An open connection.
#[derive(Debug)]
struct Open {
    stream: TcpStream,
    number: u32,
    host: String,
    port: u16,
}

/// What a transfer is doing; decides what a time-out is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Resolving,
    Connecting,
    Transfer,
}

/// A run of curl.
#[derive(Debug)]
pub(super) struct Session<'p> {
    process: &'p Process,
    options: &'p Options,
    body: Option<Vec<u8>>,
    /// The connection of the last transfer, when it may be used again.
    kept: Option<Open>,
    /// The next connection's number.
    number: u32,
    /// Names that were looked up already.
    looked_up: BTreeSet<String>,
    phase: Cell<Phase>,
}

impl<'p> Session<'p> {
    pub(super) fn new(process: &'p Process, options: &'p Options, body: Option<Vec<u8>>) -> Self {
        Session {
            process,
            options,
            body,
            kept: None,
            number: 0,
            looked_up: BTreeSet::new(),
            phase: Cell::new(Phase::Resolving),
        }
    }

    /// Says what `--resolve` pinned.
    pub(super) async fn announce(&mut self, terminal: &mut Terminal<'_>) {
        for pin in &self.options.resolve {
            let text = format!("Added {}:{}:{} to DNS cache", pin.host, pin.port, pin.address);
            terminal.info(&text).await;
            self.looked_up.insert(pin.host.clone());
        }
    }

    /// Reads a URL of the command line; with `-G` the data becomes its query.
    pub(super) fn query(&self, text: &str) -> Result<Url, BadUrl> {
        let mut url = Url::parse(text)?;
        if let (true, Some(data)) = (self.options.get, &self.body) {
            let glue = if url.target.contains('?') { '&' } else { '?' };
            let with = format!("{}{glue}{}", url.target, String::from_utf8_lossy(data));
            url = url.join(&with)?;
        }
        Ok(url)
    }

    /// Fetches `url` within `-m`, following redirects if asked to.
    pub(super) async fn fetch(
        &mut self,
        url: Url,
        sink: &mut Sink<'_>,
        terminal: &mut Terminal<'_>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let start = self.process.now();
        let (limit, process) = (self.options.max_time, self.process);
        let progress = Progress::default();
        let shared = RefCell::new(report);
        let next = self.number;
        let work = self.follow(url, sink, terminal, &shared, &progress);
        let result = within(process, limit.map(|l| start + l), work).await;
        let report = shared.into_inner();
        report.received = progress.received.get();
        report.first_byte = progress.first_byte.get();
        if let Some(result) = result {
            return result;
        }
        let failure = self.timed_out(start, &progress);
        terminal.info(&failure.message).await;
        terminal.info(&format!("Closing connection {}", self.number.max(next + 1) - 1)).await;
        Err(failure)
    }

    fn timed_out(&self, start: Instant, progress: &Progress) -> Failure {
        let ms = self.process.now().since(start).as_millis();
        let text = match self.phase.get() {
            Phase::Resolving => format!("Resolving timed out after {ms} milliseconds"),
            Phase::Connecting => format!("Connection timed out after {ms} milliseconds"),
            Phase::Transfer => {
                let got = progress.received.get();
                let of =
                    progress.expected.get().map(|n| format!("out of {n} ")).unwrap_or_default();
                format!("Operation timed out after {ms} milliseconds with {got} {of}bytes received")
            }
        };
        Failure::new(28, text)
    }

    async fn follow(
        &mut self,
        mut url: Url,
        sink: &mut Sink<'_>,
        terminal: &mut Terminal<'_>,
        report: &RefCell<&mut Report>,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let mut body = if self.options.get { None } else { self.body.clone() };
        let mut method = request::method(self.options, body.is_some());
        let max = self.options.max_redirs.unwrap_or(REDIRECTS);
        for redirects in 0.. {
            report.borrow_mut().effective = url.full();
            let head = self
                .one(&url, &method, body.as_deref(), sink, terminal, report, progress)
                .await?
                .head;
            let target = head.location.as_deref().filter(|_| (300..400).contains(&head.status));
            let Some(next) = target.and_then(|l| url.join(l).ok()) else { return Ok(()) };
            if !self.options.location {
                report.borrow_mut().redirect_url = Some(next.full());
                return Ok(());
            }
            if redirects == max {
                let text = format!("Maximum ({max}) redirects followed");
                terminal.info(&text).await;
                return Err(Failure::new(47, text));
            }
            if next.port_or_default() != url.port_or_default() {
                let (from, to) = (url.port_or_default(), next.port_or_default());
                terminal.info(&format!("Clear auth, redirects to port from {from} to {to}")).await;
            }
            terminal.info(&format!("Issue another request to this URL: '{}'", next.full())).await;
            // RFC 9110 §15.4: 307 and 308 keep the method; 301, 302 and 303 turn POST into GET.
            if method == "POST" && matches!(head.status, 301..=303) && self.options.method.is_none()
            {
                terminal.info("Switch from POST to GET").await;
                (method, body) = ("GET".to_owned(), None);
            }
            report.borrow_mut().redirects += 1;
            progress.received.set(0);
            progress.expected.set(None);
            url = next;
        }
        Ok(())
    }

    /// One request to one URL.
    #[expect(clippy::too_many_arguments, reason = "what a transfer reads and what it fills in")]
    async fn one(
        &mut self,
        url: &Url,
        method: &str,
        body: Option<&[u8]>,
        sink: &mut Sink<'_>,
        terminal: &mut Terminal<'_>,
        report: &RefCell<&mut Report>,
        progress: &Progress,
    ) -> Result<Outcome, Failure> {
        let o = self.options;
        let mut open = self.open(url, terminal, report).await?;
        self.phase.set(Phase::Transfer);
        let request = Request {
            method: method.to_owned(),
            head: request::head(o, url, method, body),
            body: body.unwrap_or_default().to_vec(),
            head_only: o.head,
            fail: o.fail,
            follow: o.location,
            include: o.include || o.head,
        };
        let flow = open.stream.flow();
        self.process.emit(flow, || Event::HttpRequest {
            method: request.method.as_str().into(),
            target: url.target.as_str().into(),
        });
        fill_in(&mut report.borrow_mut(), &request, &open.stream);
        let now = || self.process.now();
        let result = exchange(&mut open.stream, &request, sink, terminal, progress, &now).await;
        let number = open.number;
        match result {
            Ok(outcome) => {
                let (status, bytes) = (outcome.head.status, progress.received.get());
                self.process.emit(flow, || Event::HttpResponse { status, bytes });
                describe(&mut report.borrow_mut(), &outcome);
                if outcome.reusable {
                    let text = format!("Connection #{number} to host {} left intact", url.host);
                    terminal.info(&text).await;
                    self.kept = Some(open);
                } else {
                    terminal.info(&format!("Closing connection {number}")).await;
                }
                Ok(outcome)
            }
            Err(failure) => {
                drop(open);
                terminal.info(&format!("Closing connection {number}")).await;
                Err(failure)
            }
        }
    }

    /// A connection to the URL's server: the kept one if it leads there, else a new one.
    async fn open(
        &mut self,
        url: &Url,
        terminal: &mut Terminal<'_>,
        report: &RefCell<&mut Report>,
    ) -> Result<Open, Failure> {
        self.check_scheme(url, terminal).await?;
        let port = url.port_or_default();
        if let Some(mut open) = self.kept.take_if(|k| k.host == url.host && k.port == port) {
            let (number, host) = (open.number, &url.host);
            if is_quiet(&mut open.stream).await {
                let text = format!("Re-using existing connection #{number} with host {host}");
                terminal.info(&text).await;
                return Ok(open);
            }
            terminal.info(&format!("Connection {number} seems to be dead")).await;
            terminal.info(&format!("Closing connection {number}")).await;
        }
        let number = self.number;
        self.number += 1;
        let result = self.connect(url, number, terminal, report).await;
        if let Err(failure) = &result {
            terminal.info(&failure.message).await;
            terminal.info(&format!("Closing connection {number}")).await;
        }
        result
    }

    async fn check_scheme(&self, url: &Url, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        let scheme = &url.scheme;
        let text = match scheme.as_str() {
            "http" => return Ok(()),
            "https" => format!(
                "Protocol \"{scheme}\" not supported: there is no TLS in the lab yet, use http://"
            ),
            _ => format!("Protocol \"{scheme}\" not supported or disabled in libcurl"),
        };
        terminal.info(&text).await;
        terminal.info("Closing connection -1").await;
        Err(Failure::new(1, text))
    }

    async fn connect(
        &mut self,
        url: &Url,
        number: u32,
        terminal: &mut Terminal<'_>,
        report: &RefCell<&mut Report>,
    ) -> Result<Open, Failure> {
        self.phase.set(Phase::Resolving);
        let (host, port) = (url.host.clone(), url.port_or_default());
        let start = self.process.now();
        let addresses = self.resolve(&host, port, terminal).await?;
        self.phase.set(Phase::Connecting);
        report.borrow_mut().resolved = Some(self.process.now());
        let limit = self.options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let deadline = start + limit;
        let mut last = Errno::ECONNREFUSED;
        for ip in addresses {
            let address = SocketAddr::new(ip, port);
            terminal.info(&format!("  Trying {address}...")).await;
            let before = self.process.now();
            let connecting = TcpStream::connect(self.process, address);
            match within(self.process, Some(deadline), connecting).await {
                Some(Ok(stream)) => {
                    // curl turns Nagle's algorithm off, too; a fresh socket takes the option.
                    let _ = stream.set_nodelay(true);
                    let text = format!("Connected to {host} ({ip}) port {port} (#{number})");
                    terminal.info(&text).await;
                    let mut report = report.borrow_mut();
                    report.connected = Some(self.process.now());
                    report.connects += 1;
                    return Ok(Open { stream, number, host, port });
                }
                Some(Err(e)) => {
                    last = errno(&e).unwrap_or(last);
                    let at_once = self.process.now() == before;
                    terminal.info(&failed(ip, port, last, at_once)).await;
                }
                None => {
                    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
                    let ms = limit.as_millis();
                    let text = format!("{family} connect timeout after {ms}ms, move on!");
                    terminal.info(&text).await;
                    let ms = self.process.now().since(start).as_millis();
                    return Err(not_connected(28, &host, port, ms, "Timeout was reached"));
                }
            }
        }
        let ms = self.process.now().since(start).as_millis();
        let code = if last == Errno::ETIMEDOUT { 28 } else { 7 };
        Err(not_connected(code, &host, port, ms, "Couldn't connect to server"))
    }

    async fn resolve(
        &mut self,
        host: &str,
        port: u16,
        terminal: &mut Terminal<'_>,
    ) -> Result<Vec<IpAddr>, Failure> {
        let name = host.to_ascii_lowercase();
        let pins = &self.options.resolve;
        let pinned = pins.iter().rev().find(|p| p.host == name && p.port == port);
        if !self.looked_up.insert(name) {
            terminal.info(&format!("Hostname {host} was found in DNS cache")).await;
        }
        if let Some(pin) = pinned {
            return Ok(vec![pin.address]);
        }
        match self.process.resolve(host).await {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err(Failure::new(6, format!("Could not resolve host: {host}"))),
        }
    }
}

fn failed(ip: IpAddr, port: u16, e: Errno, at_once: bool) -> String {
    if at_once && e != Errno::ECONNREFUSED {
        format!("Immediate connect fail for {ip}: {}", e.text())
    } else {
        format!("connect to {ip} port {port} failed: {}", e.text())
    }
}

fn not_connected(code: i32, host: &str, port: u16, ms: u64, why: &str) -> Failure {
    Failure::new(code, format!("Failed to connect to {host} port {port} after {ms} ms: {why}"))
}

fn fill_in(report: &mut Report, request: &Request, stream: &TcpStream) {
    report.method.clone_from(&request.method);
    report.request_bytes += request.head.len();
    report.uploaded = request.body.len() as u64;
    report.local = Some(stream.local_addr());
    report.remote = Some(stream.peer_addr());
}

fn describe(report: &mut Report, outcome: &Outcome) {
    let head = &outcome.head;
    report.status = head.status;
    report.http10 = head.http10;
    report.content_type.clone_from(&head.content_type);
    report.header_bytes += head.size;
    report.header_fields = head.fields;
}

/// Whether an idle connection still stands: nothing to read, not even its end.
async fn is_quiet(stream: &mut TcpStream) -> bool {
    let mut byte = [0u8; 1];
    poll_fn(|cx| {
        let mut room = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut room).is_pending())
    })
    .await
}
