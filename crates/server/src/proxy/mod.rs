//! The proxy: SOCKS5 and HTTP on one real port, for programs that are to see the lab.
//!
//! A client's connections begin at a host of the lab (that of the lab file's `[proxy]`, else the
//! gateway), and names are looked up there: `http://www.shop.lab/` and `http://192.168.17.17/` work as
//! typed. Only the lab can be reached: whatever address is asked for is an address of the lab, `127.0.0.1` the lab host's own.
//! `socks` speaks SOCKS5 (RFC 1928, with names, and RFC 1929, whose user name chooses the host),
//! `http` HTTP (RFC 9110 §7.3, §9.3.6); the first byte of a connection tells which.
//!
//! # Who may use it
//! It listens on a loopback address unless more was allowed. A web page in the user's browser can send
//! requests to any port of this machine, but only as to a server: such requests (origin-form) are
//! refused before anything happens, and so is everything that is neither of the two protocols (`asked`). So
//! neither cross-site requests nor rebound DNS names get in.
//!
//! # Limits
//! Connections count as those of published ports. A client that does not say what it wants within
//! [`PATIENCE`] is cut off.

mod asked;
mod http;
mod lane;
mod more;
mod page;
mod socks;

pub use more::{MoreError, PROXIES_MAX, Proxies};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use netarium_lab::Lab;
use netarium_lab::model::GATEWAY;
use netarium_stack::Errno;
use netarium_world::{Input, Output, Target, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::clients::Client;
use crate::publish::pump;
use crate::publish::{Inside, Limits, Moved, PublishError, listen_tcp, serve_connections};
use crate::report::Notice;
use crate::runner::Port;

/// Where the proxy listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1080);
/// How long a client may take to say what it wants.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the proxy is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyOptions {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The host from which connections come; that of the lab file, or the gateway, when not given.
    pub from: Option<String>,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The port.
    #[error(transparent)]
    Listen(#[from] PublishError),
    /// The host.
    #[error("the lab has no host `{0}` from which the proxy's connections could come")]
    NoHost(String),
}

/// A proxy that listens.
#[derive(Debug)]
pub struct Proxy {
    listener: TcpListener,
    local: SocketAddr,
    moved: Option<Moved>,
    from: String,
}

impl Proxy {
    /// Listens; `None` when the lab has no gateway and no host was chosen.
    ///
    /// # Errors
    /// See [`ProxyError`].
    pub async fn bind(
        lab: &Lab,
        options: &ProxyOptions,
        limits: &Limits,
    ) -> Result<Option<Proxy>, ProxyError> {
        let gateway = lab.gateway().is_some();
        let from = match options.from.as_deref().or(lab.proxy_from()) {
            Some(host) if lab.host(host).is_some() => host.to_owned(),
            Some(host) if gateway && host == GATEWAY => host.to_owned(),
            Some(host) => return Err(ProxyError::NoHost(host.to_owned())),
            None if gateway => GATEWAY.to_owned(),
            None => return Ok(None),
        };
        let (listener, moved) = listen_tcp(options.listen, limits).await?;
        let local = listener
            .local_addr()
            .map_err(|error| PublishError::Listen { listen: options.listen, error })?;
        Ok(Some(Proxy { listener, local, moved, from }))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Why it is not where it should be; `None` when it is.
    pub fn moved(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }

    /// The host from which its connections come.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Serves until the lab ends or the future is dropped.
    pub async fn serve(self, lab: &Lab, inside: Inside) {
        let mut hosts: Vec<String> = lab.hosts().iter().map(|h| h.name.clone()).collect();
        hosts.extend(lab.gateway().map(|_| GATEWAY.to_owned()));
        let door = Arc::new(Door { inside: inside.clone(), from: self.from, hosts });
        let local = self.local;
        serve_connections(self.listener, local, inside, move |stream, peer, slot| {
            let door = Arc::clone(&door);
            async move { door.serve(stream, peer, slot).await }
        })
        .await;
    }
}

/// What all connections of the proxy share.
struct Door {
    inside: Inside,
    from: String,
    hosts: Vec<String>,
}

/// Why a target is not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    kind: Kind,
    reason: String,
}

/// What went wrong, as far as the protocols tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Refused,
    HostUnreachable,
    NetworkUnreachable,
    TimedOut,
    NotAllowed,
    /// The lab has ended, or something else that is no fault of the target.
    General,
}

impl Failure {
    /// From the reason that the world gives, which is the text of an error of `connect(2)` or says
    /// that a name is unknown.
    fn new(reason: String) -> Failure {
        let is = |e: Errno| reason == e.text();
        let kind = if is(Errno::ECONNREFUSED) || is(Errno::ECONNRESET) {
            Kind::Refused
        } else if is(Errno::ETIMEDOUT) {
            Kind::TimedOut
        } else if [Errno::ENETUNREACH, Errno::ENETDOWN, Errno::EAFNOSUPPORT].into_iter().any(is) {
            // The lab has no IPv6: none of its networks leads there.
            Kind::NetworkUnreachable
        } else if is(Errno::EHOSTUNREACH) || !is_errno(&reason) {
            Kind::HostUnreachable
        } else {
            Kind::General
        };
        Failure { kind, reason }
    }

    fn ended() -> Failure {
        Failure { kind: Kind::General, reason: "the lab has ended".to_owned() }
    }
}

/// Whether it is the text of an error; what is not tells of a name.
fn is_errno(reason: &str) -> bool {
    Errno::all().any(|e| e.text() == reason)
}

/// A connection into the lab that is established, and what it may be sent at first.
struct Opened {
    port: Port,
    credit: u32,
}

impl Door {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let own = stream.local_addr().unwrap_or(DEFAULT_LISTEN);
        let mut first = [0];
        let peeked = tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await;
        let Ok(Ok(1)) = peeked else { return };
        let at_gateway = self.from == GATEWAY;
        let clients = &self.inside.clients;
        let client = clients.identify(Transport::Tcp, peer, own, at_gateway).await;
        match first[0] {
            socks::VERSION => socks::serve(self, stream, &client, slot).await,
            // A request's method (RFC 9110 §9.1: a token). Anything else (TLS, SOCKS4) is refused.
            b'!'..=b'~' => http::serve(self, stream, &client, slot).await,
            _ => pump::reset(stream),
        }
    }

    /// The host that a user name chooses; without one, that from which connections come by default.
    fn host(&self, user: Option<&str>) -> Result<&str, Failure> {
        let Some(user) = user.filter(|user| !user.is_empty()) else { return Ok(&self.from) };
        self.hosts.iter().find(|host| *host == user).map(String::as_str).ok_or_else(|| Failure {
            kind: Kind::NotAllowed,
            reason: format!("the lab has no host `{user}`"),
        })
    }

    /// Opens a connection into the lab and waits until it is established.
    async fn open(&self, client: &Client, host: &str, to: &Target) -> Result<Opened, Failure> {
        let open = |port| Input::Open {
            port,
            client: client.caller.to_string(),
            from: (host != GATEWAY).then(|| host.to_owned()),
            source: client.source.filter(|_| host == GATEWAY),
            to: to.clone(),
        };
        let world = &self.inside.world;
        let mut port = world.open(open).map_err(|_| Failure::ended())?;
        loop {
            match port.next().await {
                Some(Output::Accepted { credit, .. }) => {
                    let (client, to) = (client.caller.clone(), to.to_string());
                    self.inside.reporter.tell(Notice::Connected { client, to });
                    return Ok(Opened { port, credit });
                }
                Some(Output::Reset { reason, .. }) => {
                    let (client, to) = (client.caller.clone(), to.to_string());
                    let why = reason.clone();
                    self.inside.reporter.tell(Notice::Refused { client, to, reason: why });
                    return Err(Failure::new(reason));
                }
                Some(_) => {}
                None => return Err(Failure::ended()),
            }
        }
    }
}

/// A target from a host in words (an address, with or without brackets, or a name) and a port.
fn target(host: &str, port: u16) -> Target {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Target::Addr(SocketAddr::new(ip, port)),
        Err(_) => Target::Name { host: host.to_owned(), port },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_world_says_becomes_what_the_protocols_tell_apart() {
        for (errno, kind) in [
            (Errno::ECONNREFUSED, Kind::Refused),
            (Errno::ETIMEDOUT, Kind::TimedOut),
            (Errno::EHOSTUNREACH, Kind::HostUnreachable),
            (Errno::ENETUNREACH, Kind::NetworkUnreachable),
            (Errno::EAFNOSUPPORT, Kind::NetworkUnreachable),
            (Errno::EADDRNOTAVAIL, Kind::General),
        ] {
            assert_eq!(Failure::new(errno.text().to_owned()).kind, kind, "{errno:?}");
        }
        assert_eq!(Failure::new("no host is called `x`".to_owned()).kind, Kind::HostUnreachable);
    }

    #[test]
    fn addresses_are_no_names() {
        for (host, wanted) in [
            ("10.0.0.1", "10.0.0.1:80"),
            ("::1", "[::1]:80"),
            ("[::1]", "[::1]:80"),
            ("web", "web:80"),
            ("1.2.3", "1.2.3:80"),
        ] {
            assert_eq!(target(host, 80).to_string(), wanted);
        }
        assert!(matches!(target("[::1]", 80), Target::Addr(_)));
    }
}
