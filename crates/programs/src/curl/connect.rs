//! Connections: where to, from which address, kept and used again.

use core::net::{IpAddr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use netarium_base::{Duration, Instant};
use netarium_stack::{Errno, SocketOption};
use netarium_world::process::{Process, TcpStream, errno};
use tokio::io::{AsyncRead, ReadBuf};

use super::exchange::Failure;
use super::options::Options;
use super::proxy::{self, Proxy};
use super::terminal::Terminal;
use super::url::Url;
use super::write_out::Report;
use crate::wait::within;

/// How long curl waits for a connection unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);
/// `-4` or `-6`, and the URL has an address of the other family: nothing is tried.
const NO_ADDRESS: &str = "Couldn't connect to server";
/// How many idle connections are kept, as in curl.
const KEPT_MAX: usize = 5;

/// An open connection.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) stream: TcpStream,
    pub(super) number: u32,
    /// Whom it leads to, for the messages.
    pub(super) host: String,
    key: Key,
    /// The server said HTTP/1.0: so does what is asked next on it.
    pub(super) http10: bool,
}

/// Connections with the same key are interchangeable.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    host: String,
    port: u16,
    proxy: Option<Proxy>,
    interface: Option<String>,
    local_ports: Option<(u16, u16)>,
}

/// What a transfer is doing; decides what a time-out is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    Transfer,
}

/// The connections of a run.
#[derive(Debug)]
pub(super) struct Pool {
    process: Process,
    /// Idle ones, the longest unused first.
    kept: Vec<Open>,
    /// The next connection's number.
    pub(super) number: u32,
    /// Names that were looked up already.
    looked_up: BTreeSet<String>,
    pub(super) phase: Cell<Phase>,
}

/// Where the request goes, as options say it.
#[derive(Debug)]
struct Route {
    host: String,
    port: u16,
    /// `--connect-to` changed it.
    detour: bool,
    /// The host of the URL.
    name: String,
}

impl Pool {
    pub(super) fn new(process: Process) -> Pool {
        Pool {
            process,
            kept: Vec::new(),
            number: 0,
            looked_up: BTreeSet::new(),
            phase: Cell::new(Phase::Resolving),
        }
    }

    /// Says what `--resolve` pins.
    ///
    /// # Errors
    /// When an entry cannot be read.
    pub(super) async fn announce(
        &mut self,
        o: &Options,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        for pin in &o.resolve {
            if !pin.valid {
                let text = format!("Couldn't parse CURLOPT_RESOLVE entry '{}'", pin.text);
                terminal.info(&text).await;
                return Err(Failure::new(49, text));
            }
            let all: Vec<String> = pin.addresses.iter().map(IpAddr::to_string).collect();
            let text = format!("Added {}:{}:{} to DNS cache", pin.host, pin.port, all.join(","));
            terminal.info(&text).await;
            self.looked_up.insert(pin.host.clone());
        }
        Ok(())
    }

    /// Keeps a connection for the next request.
    pub(super) async fn keep(&mut self, open: Open, terminal: &mut Terminal) {
        let text = format!("Connection #{} to host {} left intact", open.number, open.host);
        terminal.info(&text).await;
        if self.kept.len() >= KEPT_MAX {
            let oldest = self.kept.remove(0);
            terminal.info("Connection cache is full, closing the oldest one").await;
            terminal.info(&format!("Closing connection {}", oldest.number)).await;
        }
        self.kept.push(open);
    }

    /// A connection to the URL's server: a kept one if it leads there, else a new one.
    pub(super) async fn open(
        &mut self,
        url: &Url,
        o: &Options,
        terminal: &mut Terminal,
        report: &RefCell<&mut Report>,
    ) -> Result<Open, Failure> {
        let proxy = proxy::of(o, &url.host)?;
        let route = route(url, o);
        let key = Key {
            host: route.host.clone(),
            port: route.port,
            proxy: proxy.clone(),
            interface: o.interface.clone(),
            local_ports: o.local_ports,
        };
        if let Some(at) = self.kept.iter().rposition(|k| k.key == key) {
            let mut open = self.kept.remove(at);
            let (number, host) = (open.number, open.host.clone());
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
        let result = self.connect(&route, proxy.as_ref(), o, number, terminal, report).await;
        match result {
            Ok(stream) => {
                let host = match &proxy {
                    Some(p) => p.host.clone(),
                    None => route.name,
                };
                Ok(Open { stream, number, host, key, http10: false })
            }
            Err(failure) => {
                if failure.message != NO_ADDRESS {
                    terminal.info(&failure.message).await;
                }
                terminal.info(&format!("Closing connection {number}")).await;
                Err(failure)
            }
        }
    }

    async fn connect(
        &mut self,
        route: &Route,
        proxy: Option<&Proxy>,
        o: &Options,
        number: u32,
        terminal: &mut Terminal,
        report: &RefCell<&mut Report>,
    ) -> Result<TcpStream, Failure> {
        self.phase.set(Phase::Resolving);
        if route.detour {
            terminal.info(&format!("Connecting to hostname: {}", route.host)).await;
            terminal.info(&format!("Connecting to port: {}", route.port)).await;
        }
        let (host, port) = match proxy {
            Some(p) => (p.host.clone(), p.port),
            None => (route.host.clone(), route.port),
        };
        let start = self.process.now();
        let addresses = self.resolve(&host, port, o, proxy.is_some(), terminal).await?;
        self.phase.set(Phase::Connecting);
        report.borrow_mut().resolved = Some(self.process.now());
        let deadline = start + o.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let shown = if route.detour && proxy.is_none() { &route.name } else { &host };
        let (mut stream, ip) =
            self.try_each(&addresses, &host, port, o, start, deadline, terminal).await?;
        options(&stream, o);
        if let Some(proxy) = proxy.filter(|p| p.is_socks()) {
            let target = (route.host.as_str(), route.port);
            let address = if proxy.resolves() {
                None
            } else {
                Some(self.resolve(&route.host, route.port, o, false, terminal).await?[0])
            };
            proxy::socks5(&mut stream, proxy, target, address, terminal).await?;
        }
        let text = format!("Connected to {shown} ({ip}) port {port} (#{number})");
        terminal.info(&text).await;
        if proxy.is_some_and(|p| !p.is_socks()) && o.tunnel {
            proxy::tunnel(&mut stream, o, &route.host, route.port, terminal, report).await?;
        }
        let mut report = report.borrow_mut();
        report.connected = Some(self.process.now());
        report.connects += 1;
        Ok(stream)
    }

    #[expect(clippy::too_many_arguments, reason = "one call, kept apart for its length")]
    async fn try_each(
        &self,
        addresses: &[IpAddr],
        host: &str,
        port: u16,
        o: &Options,
        start: Instant,
        deadline: Instant,
        terminal: &mut Terminal,
    ) -> Result<(TcpStream, IpAddr), Failure> {
        let mut last = Errno::ECONNREFUSED;
        for &ip in addresses {
            let address = SocketAddr::new(ip, port);
            terminal.info(&format!("  Trying {address}...")).await;
            let before = self.process.now();
            let connecting = self.connect_from_local(address, o, terminal);
            match within(&self.process, Some(deadline), connecting).await {
                Some(Ok(stream)) => return Ok((stream, ip)),
                Some(Err(Refused::Bind(failure))) => return Err(failure),
                Some(Err(Refused::Connect(e))) => {
                    last = e;
                    let at_once = self.process.now() == before;
                    terminal.info(&failed(ip, port, last, at_once)).await;
                }
                None => {
                    let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
                    let ms = deadline.since(start).as_millis();
                    let text = format!("{family} connect timeout after {ms}ms, move on!");
                    terminal.info(&text).await;
                    let ms = self.process.now().since(start).as_millis();
                    return Err(not_connected(28, host, port, ms, "Timeout was reached"));
                }
            }
        }
        let ms = self.process.now().since(start).as_millis();
        let code = if last == Errno::ETIMEDOUT { 28 } else { 7 };
        let mut failure = not_connected(code, host, port, ms, "Couldn't connect to server");
        failure.refused = last == Errno::ECONNREFUSED;
        Err(failure)
    }

    /// Connects from where `--interface` and `--local-port` say.
    async fn connect_from_local(
        &self,
        to: SocketAddr,
        o: &Options,
        terminal: &mut Terminal,
    ) -> Result<TcpStream, Refused> {
        let any = IpAddr::from([0u8; 4]);
        let (local, bound) = match &o.interface {
            Some(name) => (self.local_address(name, to, terminal).await?, true),
            None if to.is_ipv4() => (any, false),
            None => (IpAddr::from([0u16; 8]), false),
        };
        let Some((first, last)) = o.local_ports else {
            let from = bound.then(|| SocketAddr::new(local, 0));
            if bound {
                terminal.info("Local port: 0").await;
            }
            let connected = TcpStream::connect_from(&self.process, from, to).await;
            return connected
                .map_err(|e| Refused::Connect(errno(&e).unwrap_or(Errno::ECONNABORTED)));
        };
        for port in first..=last {
            let from = Some(SocketAddr::new(local, port));
            match TcpStream::connect_from(&self.process, from, to).await {
                Err(e) if errno(&e) == Some(Errno::EADDRINUSE) => {
                    let text = format!("Bind to local port {port} failed, trying next");
                    terminal.info(&text).await;
                }
                result => {
                    terminal.info(&format!("Local port: {port}")).await;
                    let failed = |e| Refused::Connect(errno(&e).unwrap_or(Errno::ECONNABORTED));
                    return result.map_err(failed);
                }
            }
        }
        let text = format!("bind failed with errno 98: {}", Errno::EADDRINUSE.text());
        Err(Refused::Bind(Failure::new(45, text)))
    }

    /// The address of `--interface`: an interface's, or as given.
    async fn local_address(
        &self,
        name: &str,
        to: SocketAddr,
        terminal: &mut Terminal,
    ) -> Result<IpAddr, Refused> {
        let (device, host) = match (name.strip_prefix("if!"), name.strip_prefix("host!")) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ => (name, false),
        };
        let found = self.process.with_stack(|stack, _| {
            let of = stack.interfaces().iter().find(|i| i.name == device)?;
            of.addresses.iter().map(|a| a.address()).find(|a| a.is_ipv4() == to.is_ipv4())
        });
        if let Some(ip) = found.filter(|_| !host) {
            let text = format!("Local Interface {device} is ip {ip} using address family 2");
            terminal.info(&text).await;
            return Ok(ip);
        }
        let resolved = self.process.resolve(device).await.unwrap_or_default();
        let Some(ip) = resolved.into_iter().find(|a| a.is_ipv4() == to.is_ipv4()) else {
            let text = format!("Couldn't bind to '{device}'");
            terminal.info(&text).await;
            return Err(Refused::Bind(Failure::new(45, text)));
        };
        let text = format!("Name '{device}' family 2 resolved to '{ip}' family 2");
        terminal.info(&text).await;
        Ok(ip)
    }

    async fn resolve(
        &mut self,
        host: &str,
        port: u16,
        o: &Options,
        is_proxy: bool,
        terminal: &mut Terminal,
    ) -> Result<Vec<IpAddr>, Failure> {
        let name = host.to_ascii_lowercase();
        let pinned =
            o.resolve.iter().rev().find(|p| (p.host == name || p.host == "*") && p.port == port);
        if host.parse::<IpAddr>().is_err() && !self.looked_up.insert(name) {
            terminal.info(&format!("Hostname {host} was found in DNS cache")).await;
        }
        if let Some(pin) = pinned {
            return Ok(pin.addresses.clone());
        }
        let fits = |a: &IpAddr| !(o.ipv4_only || o.ipv6_only) || a.is_ipv4() == o.ipv4_only;
        if host.parse().is_ok_and(|a| !fits(&a)) {
            return Err(Failure::new(7, NO_ADDRESS));
        }
        let mut found = self.process.resolve(host).await.unwrap_or_default();
        found.retain(fits);
        match found.is_empty() {
            false => Ok(found),
            true if is_proxy => Err(Failure::new(5, format!("Could not resolve proxy: {host}"))),
            true => Err(Failure::new(6, format!("Could not resolve host: {host}"))),
        }
    }
}

enum Refused {
    Bind(Failure),
    Connect(Errno),
}

/// Nagle's algorithm off and keep-alive probes, as curl sets them.
fn options(stream: &TcpStream, o: &Options) {
    // A fresh socket takes these options.
    let _ = stream.set_nodelay(true);
    if o.keepalive.on && o.keepalive.seconds > 0 {
        let span = Duration::from_secs(o.keepalive.seconds.min(32_767));
        let _ = stream.set_option(SocketOption::KeepAlive(true));
        let _ = stream.set_option(SocketOption::KeepIdle(span));
        let _ = stream.set_option(SocketOption::KeepInterval(span));
    }
}

/// Where to connect to: as the URL says, or as `--connect-to` changes it.
fn route(url: &Url, o: &Options) -> Route {
    let (host, port) = (url.host.to_ascii_lowercase(), url.port_or_default());
    let fits = o.connect_to.iter().find(|d| {
        (d.from_host.is_empty() || d.from_host == host) && d.from_port.is_none_or(|p| p == port)
    });
    match fits {
        Some(d) if !d.to_host.is_empty() || d.to_port.is_some() => Route {
            host: if d.to_host.is_empty() { url.host.clone() } else { d.to_host.clone() },
            port: d.to_port.unwrap_or(port),
            detour: true,
            name: url.host.clone(),
        },
        _ => Route { host: url.host.clone(), port, detour: false, name: url.host.clone() },
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

/// Whether an idle connection still stands: nothing to read, not even its end.
async fn is_quiet(stream: &mut TcpStream) -> bool {
    let mut byte = [0u8; 1];
    poll_fn(|cx| {
        let mut room = ReadBuf::new(&mut byte);
        Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut room).is_pending())
    })
    .await
}
