//! What both name servers do with sockets: UDP and TCP on port 53.
//!
//! UDP datagrams are answered in the order of their arrival as far as answers are there at once;
//! others are worked on beside each other, at most [`PENDING_MAX`], beyond which datagrams are
//! dropped. A TCP connection is closed after [`IDLE`] without a query; at most [`CONNECTIONS_MAX`]
//! stand, further ones wait in the backlog.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use netarium_base::{Cause, Duration};
use netarium_world::process::{LocalBoxFuture, Process, TcpListener, TcpStream, UdpSocket};

use super::message::TCP_MAX;
use super::wire;
use crate::wait::within;

/// How many queries are worked on at a time.
const PENDING_MAX: usize = 1_024;
/// How many TCP connections stand at a time.
const CONNECTIONS_MAX: usize = 128;
/// How long a TCP connection may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// How many connections wait to be accepted.
const BACKLOG: u32 = 128;

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// Address and port.
    pub(crate) address: SocketAddr,
    /// Over TCP.
    pub(crate) tcp: bool,
}

/// An answer, or the promise of one; `None` for queries that get none.
pub(crate) enum Reply {
    Now(Option<Vec<u8>>),
    Later(LocalBoxFuture<Option<Vec<u8>>>),
}

/// A name server without its sockets.
pub(crate) trait Service: 'static {
    /// Answers a query.
    fn handle(self: Rc<Self>, request: &[u8], client: Client) -> Reply;

    /// A query was dropped because too many are being worked on.
    fn overloaded(&self) {}
}

/// Listens on these addresses over UDP and TCP, and serves until the process ends. `0.0.0.0` stands
/// for each address of the host, so that answers come from the address that was asked.
///
/// # Errors
/// What cannot be bound, in words.
pub(crate) fn serve<S: Service>(
    process: Process,
    addresses: &[SocketAddr],
    service: &Rc<S>,
) -> Result<(), String> {
    let mut bound = Vec::new();
    for address in expand(&process, addresses) {
        let fail = |e: io::Error| format!("can't bind socket: {e} for {address}");
        let udp = UdpSocket::bind(&process, address).map_err(fail)?;
        let tcp = TcpListener::bind(&process, address, BACKLOG).map_err(fail)?;
        bound.push((udp, tcp));
    }
    let pending = Rc::new(Cell::new(0));
    let slots = Rc::new(Slots::default());
    for (udp, tcp) in bound {
        process.spawn(serve_udp(process, Rc::new(udp), Rc::clone(service), Rc::clone(&pending)));
        process.spawn(serve_tcp(process, tcp, Rc::clone(service), Rc::clone(&slots)));
    }
    Ok(())
}

fn expand(process: &Process, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let own: Vec<IpAddr> = process.with_stack(|stack, _| {
        let all = stack.interfaces().iter().flat_map(|i| i.addresses.clone());
        all.map(|cidr| cidr.address()).filter(IpAddr::is_ipv4).collect()
    });
    let mut list = Vec::new();
    for &address in addresses {
        // A host whose addresses are yet to come (DHCP) listens on whatever it will have.
        if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) && own.iter().any(|a| !a.is_loopback())
        {
            list.extend(own.iter().map(|&ip| SocketAddr::new(ip, address.port())));
        } else {
            list.push(address);
        }
    }
    list.sort_unstable();
    list.dedup();
    list
}

async fn serve_udp<S: Service>(
    process: Process,
    socket: Rc<UdpSocket>,
    service: Rc<S>,
    pending: Rc<Cell<usize>>,
) {
    let mut buffer = vec![0; TCP_MAX];
    loop {
        // An error is about an earlier answer whose client is gone.
        let Ok((n, meta)) = socket.recv_from(&mut buffer).await else { continue };
        process.follow(meta.cause);
        // Port 0 cannot be answered; it is how loops are made.
        if meta.from.port() == 0 {
            continue;
        }
        let client = Client { address: meta.from, tcp: false };
        match Rc::clone(&service).handle(&buffer[..n], client) {
            Reply::Now(None) => {}
            Reply::Now(Some(bytes)) => {
                let _ = socket.send_to(&bytes, meta.from).await;
            }
            Reply::Later(_) if pending.get() >= PENDING_MAX => service.overloaded(),
            Reply::Later(answer) => {
                pending.set(pending.get() + 1);
                let (socket, pending, cause) =
                    (Rc::clone(&socket), Rc::clone(&pending), process.cause());
                process.spawn(async move {
                    process.follow(cause);
                    if let Some(bytes) = answer.await {
                        let _ = socket.send_to(&bytes, client.address).await;
                    }
                    pending.set(pending.get() - 1);
                });
            }
        }
    }
}

async fn serve_tcp<S: Service>(
    process: Process,
    listener: TcpListener,
    service: Rc<S>,
    slots: Rc<Slots>,
) {
    loop {
        slots.free().await;
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let (service, slots) = (Rc::clone(&service), Rc::clone(&slots));
        slots.take();
        let cause = process.cause();
        process.spawn(async move {
            converse(process, stream, peer, service, cause).await;
            slots.give();
        });
    }
}

/// Answers the queries of one connection, one after the other.
async fn converse<S: Service>(
    process: Process,
    mut stream: TcpStream,
    peer: SocketAddr,
    service: Rc<S>,
    cause: Cause,
) {
    process.follow(cause);
    let client = Client { address: peer, tcp: true };
    loop {
        let deadline = Some(process.now() + IDLE);
        let read = within(&process, deadline, wire::read_message(&mut stream)).await;
        let Some(Ok(Some(request))) = read else { return };
        let answer = match Rc::clone(&service).handle(&request, client) {
            Reply::Now(answer) => answer,
            Reply::Later(answer) => answer.await,
        };
        // Who sends what deserves no answer has nothing to say here.
        let Some(bytes) = answer else { return };
        let deadline = Some(process.now() + IDLE);
        let written = within(&process, deadline, wire::write_message(&mut stream, &bytes)).await;
        if !matches!(written, Some(Ok(()))) {
            return;
        }
    }
}

/// Room for connections.
#[derive(Default)]
struct Slots {
    taken: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
}

impl Slots {
    async fn free(&self) {
        poll_fn(|cx| {
            if self.taken.get() < CONNECTIONS_MAX {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn take(&self) {
        self.taken.set(self.taken.get() + 1);
    }

    fn give(&self) {
        self.taken.set(self.taken.get() - 1);
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }
}
