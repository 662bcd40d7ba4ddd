//! Published ports: real listeners whose connections, or datagrams, continue inside the lab.
//!
//! A listener is on a loopback address unless the person at the keyboard allowed more. Each real
//! connection is one message port of the world; `pump` moves its bytes. `udp` does the same for the
//! datagrams of each real client. When the wanted port is taken, the next free one is used and both
//! are named.
//!
//! # Limits
//! [`Limits::flows`] real clients of a UDP port at once; see `udp`. At most [`Limits::connections`] connections at once over all published ports. Further ones are
//! accepted and reset at once, so that their clients fail quickly instead of hanging, and counted.
//! When the system runs out of descriptors, accepting pauses for up to a second at a time; waiting
//! clients stay in the kernel's queue.

pub(crate) mod pump;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netarium_world::Transport;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::clients::Clients;
use crate::os::{self, PortHolder};
use crate::report::{Notice, Reporter};
use crate::runner::WorldHandle;

/// How many ports after the wanted one are tried before the system chooses one.
const NEXT_PORTS: u16 = 100;
/// Where the search goes on when the system keeps low ports for itself: 80 → 8080.
const HIGH: u16 = 8000;
/// The first and the longest pause after the system refused to accept.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// Notices of one kind come at most this often.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

/// A port to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The real address to listen on.
    pub listen: SocketAddr,
    /// Connections or datagrams.
    pub transport: Transport,
    /// The address in the lab that they go to.
    pub to: SocketAddr,
    /// The host that they come from; the gateway when not given.
    pub from: Option<String>,
}

/// How much published ports may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once, over all published ports and the proxy.
    pub connections: usize,
    /// Real clients at once of each published UDP port.
    pub flows: usize,
    /// Whether addresses other than loopback may be listened on.
    pub allow_lan: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: 1024, flows: 1024, allow_lan: false }
    }
}

/// Why a port could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Not loopback, and not allowed.
    #[error(
        "{0} can be reached from other machines; start with --allow-lan if that is what you want"
    )]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// What it said.
        error: io::Error,
    },
}

/// What the doors of a lab share.
#[derive(Clone)]
pub struct Inside {
    /// The lab's world.
    pub world: WorldHandle,
    /// Who its real clients are.
    pub(crate) clients: Arc<Clients>,
    /// The connections that it may have at once.
    pub slots: Arc<Slots>,
    /// Who is told.
    pub reporter: Reporter,
    /// The most clients of a UDP port.
    pub(crate) flows: usize,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inside")
    }
}

/// A socket that listens for connections, or for datagrams.
#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Listener {
    async fn bind(transport: Transport, at: SocketAddr) -> io::Result<Listener> {
        Ok(match transport {
            Transport::Tcp => Listener::Tcp(TcpListener::bind(at).await?),
            Transport::Udp => Listener::Udp(UdpSocket::bind(at).await?),
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr(),
            Listener::Udp(socket) => socket.local_addr(),
        }
    }
}

/// A published port that listens.
#[derive(Debug)]
pub struct Published {
    listener: Listener,
    local: SocketAddr,
    spec: Publish,
    moved: Option<Moved>,
}

/// Why a published port is not the wanted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The wanted address.
    pub wanted: SocketAddr,
    /// Who has it, when that can be known.
    pub holder: Option<PortHolder>,
    /// Whether the system keeps it for itself, rather than another program.
    pub reserved: bool,
}

impl Published {
    /// Listens on the wanted address, or on the next free port.
    ///
    /// # Errors
    /// An address that is not loopback without [`Limits::allow_lan`]; one that this machine does
    /// not have.
    pub async fn bind(spec: Publish, limits: &Limits) -> Result<Published, PublishError> {
        let (listener, moved) = listen(spec.transport, spec.listen, limits).await?;
        let local = listener.local_addr().map_err(|e| refused(spec.listen, e))?;
        Ok(Published { listener, local, spec, moved })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What it is for.
    pub fn spec(&self) -> &Publish {
        &self.spec
    }

    /// Why it is not where it should be; `None` when it is.
    pub fn moved(&self) -> Option<&Moved> {
        self.moved.as_ref()
    }

    /// Serves until the lab ends or the future is dropped; then connections that still run are
    /// reset.
    pub async fn serve(self, inside: Inside) {
        let spec = Arc::new(self.spec);
        match self.listener {
            Listener::Udp(socket) => udp::serve(socket, self.local, &spec, inside).await,
            Listener::Tcp(listener) => {
                let into = inside.clone();
                serve_connections(listener, self.local, inside, move |stream, peer, slot| {
                    let (spec, inside) = (Arc::clone(&spec), into.clone());
                    async move { pump::run(stream, peer, &spec, &inside, slot).await }
                })
                .await;
            }
        }
    }
}

/// Takes connections as long as there are slots for them, and has `each` look after one.
pub(crate) async fn serve_connections<F>(
    listener: TcpListener,
    listen: SocketAddr,
    inside: Inside,
    each: impl Fn(TcpStream, SocketAddr, OwnedSemaphorePermit) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let Inside { slots, reporter, .. } = inside;
    let (turned_away, starved) = Default::default();
    let mut door = Door { listen, slots, reporter, turned_away, starved };
    let mut connections = JoinSet::new();
    let mut back_off = BACK_OFF[0];
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    back_off = BACK_OFF[0];
                    if let Some((stream, slot)) = door.admit(stream) {
                        connections.spawn(each(stream, client, slot));
                    }
                }
                Err(e) if os::accept_is_starved(&e) => {
                    door.report_starved(&e);
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF[1]);
                }
                Err(_) => {}
            },
            _ = door.turned_away.due() => door.report_turned_away(),
        }
    }
}

/// Listens on the wanted TCP address, or on the next free port.
pub(crate) async fn listen_tcp(
    wanted: SocketAddr,
    limits: &Limits,
) -> Result<(TcpListener, Option<Moved>), PublishError> {
    match listen(Transport::Tcp, wanted, limits).await? {
        (Listener::Tcp(listener), moved) => Ok((listener, moved)),
        (Listener::Udp(_), _) => unreachable!("connections were asked for"),
    }
}

async fn listen(
    transport: Transport,
    wanted: SocketAddr,
    limits: &Limits,
) -> Result<(Listener, Option<Moved>), PublishError> {
    if !wanted.ip().is_loopback() && !limits.allow_lan {
        return Err(PublishError::NotLoopback(wanted));
    }
    match Listener::bind(transport, wanted).await {
        Ok(listener) => Ok((listener, None)),
        Err(e) if os::port_is_taken(&e) => {
            let reserved = e.kind() == io::ErrorKind::PermissionDenied;
            let holder = if reserved { None } else { os::port_holder(transport, wanted) };
            let listener = bind_next(transport, wanted, reserved).await;
            let moved = Moved { wanted, holder, reserved };
            Ok((listener.map_err(|e| refused(wanted, e))?, Some(moved)))
        }
        Err(error) => Err(refused(wanted, error)),
    }
}

fn refused(listen: SocketAddr, error: io::Error) -> PublishError {
    PublishError::Listen { listen, error }
}

async fn bind_next(
    transport: Transport,
    wanted: SocketAddr,
    reserved: bool,
) -> io::Result<Listener> {
    let first = if reserved && wanted.port() < 1024 {
        wanted.port() + HIGH
    } else {
        wanted.port().saturating_add(1)
    };
    let mut at = wanted;
    for port in first..first.saturating_add(NEXT_PORTS) {
        at.set_port(port);
        match Listener::bind(transport, at).await {
            Err(e) if os::port_is_taken(&e) => {}
            other => return other,
        }
    }
    at.set_port(0);
    Listener::bind(transport, at).await
}

/// The connections that a lab's published ports may have at once.
#[derive(Debug)]
pub struct Slots {
    free: Arc<Semaphore>,
    limit: usize,
}

impl Slots {
    /// Slots as [`Limits::connections`] says.
    pub fn new(limits: &Limits) -> Arc<Slots> {
        let limit = limits.connections.min(Semaphore::MAX_PERMITS);
        Arc::new(Slots { free: Arc::new(Semaphore::new(limit)), limit })
    }

    /// How many connections there are now.
    pub fn used(&self) -> usize {
        self.limit - self.free.available_permits()
    }
}

/// What decides at a published port.
struct Door {
    listen: SocketAddr,
    slots: Arc<Slots>,
    reporter: Reporter,
    turned_away: Throttle,
    starved: Throttle,
}

impl Door {
    /// The connection and its slot; without a free one it is reset and counted.
    fn admit(&mut self, stream: TcpStream) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        if let Ok(slot) = Arc::clone(&self.slots.free).try_acquire_owned() {
            return Some((stream, slot));
        }
        pump::reset(stream);
        if self.turned_away.count() {
            self.report_turned_away();
        }
        None
    }

    fn report_turned_away(&mut self) {
        let connections = self.turned_away.take();
        let (listen, limit) = (self.listen, self.slots.limit);
        self.reporter.tell(Notice::OverLimit { listen, limit, connections });
    }

    fn report_starved(&mut self, error: &io::Error) {
        if self.starved.count() {
            self.starved.take();
            let (listen, error) = (self.listen, error.to_string());
            self.reporter.tell(Notice::Starved { listen, error });
        }
    }
}

/// Counts, and says when the count may be told.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    count: u64,
    told: Option<Instant>,
}

impl Throttle {
    /// Counts one; true when it may be told now.
    pub(crate) fn count(&mut self) -> bool {
        self.count += 1;
        self.told.is_none_or(|told| told.elapsed() >= NOTICE_EVERY)
    }

    /// Takes the count to tell it.
    pub(crate) fn take(&mut self) -> u64 {
        self.told = Some(Instant::now());
        std::mem::take(&mut self.count)
    }

    /// Waits until what was counted may be told; for ever when nothing was.
    pub(crate) async fn due(&self) {
        match self.told {
            Some(told) if self.count > 0 => {
                tokio::time::sleep_until((told + NOTICE_EVERY).into()).await;
            }
            _ => std::future::pending().await,
        }
    }
}
