//! Connections by origin: at most six to one at a time, kept and used again.

use core::net::{IpAddr, SocketAddr};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use netarium_base::map::Map;
use netarium_base::{Duration, FlowId, Instant};
use netarium_world::process::{Process, TcpStream};

use super::error::NetError;
use super::io::Io;
use crate::wait::within;

/// How many connections a browser opens to one origin over HTTP/1.1.
pub(super) const PER_ORIGIN: usize = 6;
/// How long a browser waits for a connection: four minutes, as Chromium does.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(240);

/// Where requests go: host and port.
pub(super) type Origin = (String, u16);

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: Option<SendRequest<Full<Bytes>>>,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) flow: FlowId,
    /// Requests that it has carried.
    pub(super) used: u32,
    origin: Origin,
    pool: Pool,
    keep: bool,
}

impl Connection {
    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// [`NetError`] when the conversation breaks off.
    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, NetError> {
        self.used += 1;
        let Some(sender) = &mut self.sender else {
            return Err(NetError::new("ERR_CONNECTION_CLOSED", "the connection is gone"));
        };
        sender.send_request(request).await.map_err(|e| NetError::talk(&e))
    }

    /// The answer was read to its end: goes back into the pool if the server keeps it open.
    /// True: it does.
    pub(super) async fn finish(mut self) -> bool {
        if let Some(sender) = &mut self.sender {
            self.keep = sender.ready().await.is_ok();
        }
        self.keep
    }
}

#[derive(Debug, Default)]
struct Slots {
    idle: Vec<Idle>,
    /// Open ones and those being opened, idle ones included.
    open: usize,
    waiting: VecDeque<Waker>,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<Full<Bytes>>,
    local: SocketAddr,
    peer: SocketAddr,
    flow: FlowId,
    used: u32,
}

/// The connections of a browser.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool(Rc<RefCell<Map<Origin, Slots>>>);

/// How a connection was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It was idle.
    Reused,
    /// It was opened; since when.
    Opened(Instant),
}

/// A place for a connection, taken; given back when dropped.
struct Place {
    pool: Pool,
    origin: Origin,
    used: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.used {
            self.pool.free(&self.origin);
        }
    }
}

impl Pool {
    /// An idle connection to the origin, or `None`: one may be opened now. Waits while all six
    /// are busy.
    async fn place(&self, origin: &Origin) -> Option<Idle> {
        poll_fn(|cx| {
            let mut all = self.0.borrow_mut();
            let slots = all.entry(origin.clone()).or_default();
            while let Some(idle) = slots.idle.pop() {
                if idle.sender.is_closed() || !idle.sender.is_ready() {
                    slots.open -= 1;
                    continue;
                }
                return Poll::Ready(Some(idle));
            }
            if slots.open < PER_ORIGIN {
                slots.open += 1;
                return Poll::Ready(None);
            }
            slots.waiting.push_back(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn free(&self, origin: &Origin) {
        let mut all = self.0.borrow_mut();
        if let Some(slots) = all.get_mut(origin) {
            slots.open = slots.open.saturating_sub(1);
            // Whoever waits may find its turn taken and waits again.
            slots.waiting.drain(..).for_each(Waker::wake);
        }
    }

    /// Idle connections that still stand, by origin.
    pub(super) fn idle(&self) -> usize {
        let all = self.0.borrow();
        all.values().flat_map(|s| &s.idle).filter(|i| !i.sender.is_closed()).count()
    }

    /// A connection to the origin at one of `addresses`.
    ///
    /// # Errors
    /// Why the last of the addresses could not be reached.
    pub(super) async fn get(
        &self,
        process: &Process,
        origin: &Origin,
        addresses: &[IpAddr],
    ) -> Result<(Connection, How), NetError> {
        let whole = |idle: Idle| Connection {
            sender: Some(idle.sender),
            local: idle.local,
            peer: idle.peer,
            flow: idle.flow,
            used: idle.used,
            origin: origin.clone(),
            pool: self.clone(),
            keep: false,
        };
        if let Some(idle) = self.place(origin).await {
            return Ok((whole(idle), How::Reused));
        }
        let mut place = Place { pool: self.clone(), origin: origin.clone(), used: false };
        let start = process.now();
        let mut last = NetError::new("ERR_NAME_NOT_RESOLVED", "the name has no address");
        for &ip in addresses {
            let to = SocketAddr::new(ip, origin.1);
            let connecting = TcpStream::connect(process, to);
            match within(process, Some(start + CONNECT_TIMEOUT), connecting).await {
                Some(Ok(stream)) => {
                    let idle = handshake(process, stream).await?;
                    place.used = true;
                    return Ok((whole(idle), How::Opened(start)));
                }
                Some(Err(e)) => last = NetError::connect(&e),
                None => {
                    last =
                        NetError::new("ERR_CONNECTION_TIMED_OUT", "four minutes without an answer");
                }
            }
        }
        Err(last)
    }
}

async fn handshake(process: &Process, stream: TcpStream) -> Result<Idle, NetError> {
    // A fresh socket takes the option.
    let _ = stream.set_nodelay(true);
    let (local, peer, flow) = (stream.local_addr(), stream.peer_addr(), stream.flow());
    let mut builder = Builder::new();
    builder.title_case_headers(true).max_headers(200);
    let (sender, driver) = builder.handshake(Io(stream)).await.map_err(|e| NetError::talk(&e))?;
    // How it ends, the requests on it are told.
    process.spawn(async move { drop(driver.await) });
    Ok(Idle { sender, local, peer, flow, used: 0 })
}

impl Drop for Connection {
    fn drop(&mut self) {
        let keep = self.keep;
        let sender = self.sender.take().filter(|s| keep && !s.is_closed());
        let Some(sender) = sender else { return self.pool.free(&self.origin) };
        let mut all = self.pool.0.borrow_mut();
        let slots = all.entry(self.origin.clone()).or_default();
        let (local, peer, flow, used) = (self.local, self.peer, self.flow, self.used);
        slots.idle.push(Idle { sender, local, peer, flow, used });
        slots.waiting.drain(..).for_each(Waker::wake);
    }
}
