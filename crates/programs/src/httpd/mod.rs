//! `httpd`: a web server for a folder of files.
//!
//! In reading order: this file (command line, listening, the limit on connections), `connection`
//! (hyper and the watchdog), `io` (hyper's traits over a lab socket), `site` (what is answered),
//! `target` and `mime`, `body`, `log`.
//!
//! hyper parses and frames (RFC 9112); what is served, and when a connection has taken too long, is
//! decided here. It does not do: ranges, compression, listings of folders, CGI.

mod body;
mod connection;
mod io;
mod log;
mod mime;
mod site;
mod target;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use http::HeaderValue;
use netarium_base::Duration;
use netarium_stack::Errno;
use netarium_world::process::{LocalBoxFuture, Process, TcpListener, errno};

use crate::getopt::{Item, Spec, Takes};
use io::Limits;
use log::Log;
use site::Site;

const USAGE: &str = "\
Usage: httpd [-d DIR] [-l ADDR:PORT]... [options]
  -d, --root DIR              document root (default: htdocs)
  -l, --listen [ADDR:]PORT    where to listen; may be given several times (default: 0.0.0.0:80)
  -i, --index FILE            what stands for a folder (default: index.html)
      --server-header TEXT    send a Server field (default: none)
      --keep-alive-timeout T  close idle connections after T (default: 5s)
      --max-connections N     serve N connections at a time, let others wait (default: 1024)
  -h, --help                  this text
";

const SPEC: Spec = Spec {
    short: "d:l:i:h",
    long: &[
        ("root", Takes::Value, 'd'),
        ("listen", Takes::Value, 'l'),
        ("index", Takes::Value, 'i'),
        ("server-header", Takes::Value, 'S'),
        ("keep-alive-timeout", Takes::Value, 'k'),
        ("max-connections", Takes::Value, 'm'),
        ("help", Takes::Nothing, 'h'),
    ],
};

/// Connections served at a time unless told otherwise.
const CONNECTIONS: usize = 1_024;
/// Connections that may wait for `accept` (Apache: ListenBacklog).
const BACKLOG: u32 = 511;
/// How long a request's head may take (Apache: RequestReadTimeout).
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a peer may take nothing (Apache: Timeout).
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// A command line, understood.
#[derive(Clone, Debug)]
struct Config {
    site: Site,
    listen: Vec<SocketAddr>,
    keep_alive: Duration,
    connections: usize,
    help: bool,
}

impl Config {
    fn parse(args: &[String]) -> Result<Config, String> {
        let site = Site { root: "htdocs".into(), index: "index.html".into(), server: None };
        let keep_alive = Duration::from_secs(5);
        let mut c =
            Config { site, listen: vec![], keep_alive, connections: CONNECTIONS, help: false };
        for item in SPEC.parse(args).map_err(|e| e.gnu())? {
            match item {
                Item::Option('d', dir) => c.site.root = dir,
                Item::Option('l', text) => c.listen.push(listen_address(&text)?),
                Item::Option('i', file) if !file.is_empty() && !file.contains('/') => {
                    c.site.index = file;
                }
                Item::Option('S', text) => {
                    let value = HeaderValue::from_str(&text);
                    c.site.server = Some(value.map_err(|_| format!("not a header value: {text}"))?);
                }
                Item::Option('k', text) => {
                    c.keep_alive = text.parse().map_err(|e| format!("{e}"))?
                }
                Item::Option('m', text) => {
                    let ok = |n: &usize| (1..=65_536).contains(n);
                    let n = text.parse().ok().filter(ok);
                    c.connections =
                        n.ok_or_else(|| format!("expected 1 to 65536 connections, got {text}"))?;
                }
                Item::Option('h', _) => c.help = true,
                Item::Option(_, text) | Item::Operand(text) => {
                    return Err(format!("did not expect '{text}'"));
                }
            }
        }
        if c.listen.is_empty() {
            c.listen.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80));
        }
        Ok(c)
    }
}

/// `80`, `127.0.0.1:80` or `[::1]:80`.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let any = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let address = text.parse().ok().or_else(|| text.parse().ok().map(any));
    address.ok_or_else(|| format!("expected a port or an address with port, got {text}"))
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let config = match Config::parse(args.get(1..).unwrap_or_default()) {
        Ok(config) => config,
        Err(why) => {
            process.eprint(&format!("httpd: {why}\n{USAGE}")).await;
            return 1;
        }
    };
    if config.help {
        process.print(USAGE).await;
        return 0;
    }
    if !process.metadata(&config.site.root).is_ok_and(|m| m.is_dir) {
        let root = &config.site.root;
        let text = format!("DocumentRoot '{root}' is not a directory, or is not readable");
        process.eprint(&format!("httpd: {text}\n")).await;
        return 1;
    }
    let mut listeners = Vec::new();
    for &address in &config.listen {
        match TcpListener::bind(&process, address, BACKLOG) {
            Ok(listener) => listeners.push(listener),
            Err(e) => {
                process.eprint(&could_not_bind(address, errno(&e), &e)).await;
                return 1;
            }
        }
    }
    let log = Rc::new(Log::default());
    process.spawn(Rc::clone(&log).write(process));
    let slots = Rc::new(Slots::new(config.connections));
    let site = Rc::new(config.site);
    let limits = Limits { head: HEAD_TIMEOUT, idle: config.keep_alive, busy: BUSY_TIMEOUT };
    for listener in listeners {
        let server = Server {
            process,
            site: Rc::clone(&site),
            limits,
            log: Rc::clone(&log),
            slots: Rc::clone(&slots),
        };
        process.spawn(server.accept(listener));
    }
    process.terminated().await;
    0
}

/// In Apache's words.
fn could_not_bind(address: SocketAddr, e: Option<Errno>, io: &std::io::Error) -> String {
    let code = e.map_or(0, Errno::code);
    format!(
        "({code}){io}: AH00072: make_sock: could not bind to address {address}\n\
         no listening sockets available, shutting down\n"
    )
}

struct Server {
    process: Process,
    site: Rc<Site>,
    limits: Limits,
    log: Rc<Log>,
    slots: Rc<Slots>,
}

impl Server {
    /// Takes connections while there are slots; others wait in the listener's backlog.
    async fn accept(self, listener: TcpListener) {
        loop {
            let slot = Slots::take(&self.slots).await;
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // One connection could not be taken (it is gone, or memory is short).
                    drop(slot);
                    self.process.sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let (site, log) = (Rc::clone(&self.site), Rc::clone(&self.log));
            let serving = connection::serve(self.process, stream, site, self.limits, log);
            self.process.spawn(async move {
                serving.await;
                drop(slot);
            });
        }
    }
}

/// How many connections may be served at a time.
#[derive(Debug)]
struct Slots {
    free: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Slots {
    fn new(count: usize) -> Slots {
        Slots { free: Cell::new(count), waiting: RefCell::new(Vec::new()) }
    }

    /// Waits for a free slot.
    async fn take(slots: &Rc<Slots>) -> Slot {
        poll_fn(|cx| match slots.free.get().checked_sub(1) {
            Some(free) => {
                slots.free.set(free);
                Poll::Ready(())
            }
            None => {
                slots.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
        Slot(Rc::clone(slots))
    }
}

/// A slot that is in use; dropping it frees it.
#[derive(Debug)]
struct Slot(Rc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() + 1);
        self.0.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Config, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Config::parse(&args)
    }

    #[test]
    fn the_command_line_is_understood() {
        let c = parse("--root www --listen 127.0.0.1:8080 -l 81 --keep-alive-timeout 1s").unwrap();
        assert_eq!(c.site.root, "www");
        assert_eq!(c.listen.len(), 2);
        assert_eq!(c.listen[1].to_string(), "0.0.0.0:81");
        assert_eq!(parse("").unwrap().listen[0].to_string(), "0.0.0.0:80");
        for bad in ["-l x", "-l 70000", "extra", "--nope", "--max-connections 0", "-i a/b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
