//! What `dig`, `nslookup` and `host` have in common (BIND's dighost): asking servers one after the
//! other, several times each, with the messages that people know when it fails.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;

use hickory_proto::op::Message;
use netarium_base::Duration;
use netarium_stack::Errno;
use netarium_world::process::{Process, UdpSocket, errno};

use super::message::{self, TCP_MAX};
use super::stub::{ResolvConf, matching};
use super::text;
use super::wire::{self, Side};
use crate::wait::within;

/// A server as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The word on the command line, or its address.
    pub(crate) name: String,
}

impl Server {
    /// A server that is known by its address.
    pub(crate) fn at(address: SocketAddr) -> Server {
        Server { address, name: address.ip().to_string() }
    }

    /// `10.0.0.53#53`.
    pub(crate) fn place(&self) -> String {
        format!("{}#{}", self.address.ip(), self.address.port())
    }
}

/// How servers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct How {
    /// How long one try lasts.
    pub(crate) timeout: Duration,
    /// How often each server is asked.
    pub(crate) tries: u32,
    /// Over TCP from the start.
    pub(crate) tcp: bool,
    /// A truncated answer is taken as it is.
    pub(crate) ignore_tc: bool,
    /// The network prints its failures (not those of `nslookup` and `host`: they do, too).
    pub(crate) quiet_tc: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) message: Message,
    pub(crate) size: usize,
    pub(crate) server: Server,
    pub(crate) tcp: bool,
    pub(crate) elapsed: Duration,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// Nobody answered: that is yet to be told.
    Silence,
    /// Nobody could even be asked: that has been told.
    NoWay,
}

/// Asks the servers until one answers. Failures on the way are printed.
pub(crate) async fn ask(
    process: &Process,
    servers: &[Server],
    query: &Message,
    how: How,
) -> Result<Reply, Miss> {
    let mut miss = Miss::Silence;
    for server in servers {
        for _ in 0..how.tries {
            match once(process, server, query, how).await {
                Ok(reply) => return Ok(reply),
                Err(failed) => {
                    miss = failed.miss();
                    process.print(&failed.told(server, query)).await;
                }
            }
        }
    }
    Err(miss)
}

/// How one try failed.
enum Failed {
    /// Sending or waiting.
    Communication(String),
    /// There was no way to send.
    Setup { tcp: bool, why: String },
}

impl Failed {
    fn of(e: &io::Error, tcp: bool) -> Failed {
        let why = reason(e);
        let no_way = matches!(
            errno(e),
            Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EADDRNOTAVAIL | Errno::EACCES)
        );
        if tcp || no_way { Failed::Setup { tcp, why } } else { Failed::Communication(why) }
    }

    fn miss(&self) -> Miss {
        match self {
            Failed::Communication(_) => Miss::Silence,
            Failed::Setup { .. } => Miss::NoWay,
        }
    }

    fn told(&self, server: &Server, query: &Message) -> String {
        let place = server.place();
        match self {
            Failed::Communication(why) => format!(";; communications error to {place}: {why}\n"),
            Failed::Setup { tcp, why } => {
                let what = if *tcp { "Connection to" } else { "UDP setup with" };
                let name = query.queries.first().map_or(".".to_owned(), |q| text::bare(q.name()));
                format!(
                    ";; {what} {place}({}) for {name} failed: {why}.\n;; no servers could be reached\n",
                    server.name
                )
            }
        }
    }
}

/// An error in the words of BIND's library.
fn reason(e: &io::Error) -> String {
    let words = match errno(e) {
        Some(Errno::ECONNREFUSED) => "connection refused",
        Some(Errno::ENETUNREACH) => "network unreachable",
        Some(Errno::EHOSTUNREACH) => "host unreachable",
        Some(Errno::EADDRNOTAVAIL) => "address not available",
        Some(Errno::EACCES) => "permission denied",
        Some(Errno::ETIMEDOUT) => "timed out",
        Some(Errno::ECONNRESET) => "connection reset",
        _ if e.kind() == io::ErrorKind::UnexpectedEof => "end of file",
        _ => return e.to_string(),
    };
    words.to_owned()
}

async fn once(
    process: &Process,
    server: &Server,
    query: &Message,
    how: How,
) -> Result<Reply, Failed> {
    let start = process.now();
    let bytes = query.to_vec().map_err(|e| Failed::Communication(e.to_string()))?;
    if !how.tcp {
        wire::note_query(process, Side::Sent, server.address.ip(), query);
        let asked = within(process, Some(start + how.timeout), udp(process, server, query, &bytes));
        let (message, size) = match asked.await {
            None => return Err(Failed::Communication("timed out".to_owned())),
            Some(Err(e)) => return Err(Failed::of(&e, false)),
            Some(Ok(answer)) => answer,
        };
        wire::note_response(process, Side::Received, server.address.ip(), &message);
        if !message.metadata.truncation || how.ignore_tc {
            let elapsed = process.now().since(start);
            return Ok(Reply { message, size, server: server.clone(), tcp: false, elapsed });
        }
        if !how.quiet_tc {
            process.print(";; Truncated, retrying in TCP mode.\n").await;
        }
    }
    let start = process.now();
    wire::note_query(process, Side::Sent, server.address.ip(), query);
    let asked = wire::ask_tcp(process, server.address, &bytes);
    let answer = match within(process, Some(start + how.timeout), asked).await {
        None => return Err(Failed::Setup { tcp: true, why: "timed out".to_owned() }),
        Some(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Failed::Communication(reason(&e)));
        }
        Some(Err(e)) => return Err(Failed::of(&e, true)),
        Some(Ok(answer)) => answer,
    };
    let message = message::decode(&answer)
        .ok_or_else(|| Failed::Communication("unexpected end of input".to_owned()))?;
    wire::note_response(process, Side::Received, server.address.ip(), &message);
    let elapsed = process.now().since(start);
    Ok(Reply { message, size: answer.len(), server: server.clone(), tcp: true, elapsed })
}

/// Sends a query and waits for the answer to it; other messages are passed over.
async fn udp(
    process: &Process,
    server: &Server,
    query: &Message,
    bytes: &[u8],
) -> io::Result<(Message, usize)> {
    let any: IpAddr = match server.address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(process, SocketAddr::new(any, 0))?;
    socket.connect(server.address)?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; TCP_MAX];
    loop {
        let (n, meta) = socket.recv_from(&mut buffer).await?;
        process.follow(meta.cause);
        if let Some(message) = own(query, &buffer[..n]) {
            return Ok((message, n));
        }
    }
}

/// The response to a query in these bytes. A server that refuses may leave the question out.
fn own(query: &Message, bytes: &[u8]) -> Option<Message> {
    let bare = || {
        let head = message::Head::of(bytes)?;
        let response = message::decode(bytes)?;
        let ours = head.response && head.id == query.metadata.id && response.queries.is_empty();
        ours.then_some(response)
    };
    let any_class =
        query.queries.first().is_none_or(|q| q.query_class() != hickory_proto::rr::DNSClass::IN);
    let same = || {
        let response = message::decode(bytes)?;
        let ours = response.metadata.id == query.metadata.id && response.queries == query.queries;
        ours.then_some(response)
    };
    matching(query, bytes).or_else(|| if any_class { same() } else { None }).or_else(bare)
}

/// The servers that the host asks when the user names none.
pub(crate) fn usual_servers(process: &Process, port: u16) -> Vec<Server> {
    let conf = ResolvConf::of(process).unwrap_or_else(|| ResolvConf::parse(""));
    conf.servers.iter().map(|&ip| Server::at(SocketAddr::new(ip, port))).collect()
}
