//! One connection of a client: hyper speaks, a watchdog watches the virtual clock.
//!
//! The watchdog is ours rather than hyper's timer: hyper knows one limit for reading a head, while a
//! server has several: for a head to arrive, for a body, for an idle connection, and for a peer that
//! takes nothing. It also keeps `std::time` out of this crate.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use netarium_base::{Duration, Instant};
use netarium_world::files::{DirEntry, FileError};
use netarium_world::process::{Process, TcpStream};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::answer::answer;
use super::files::Disk;
use super::gate::HEAD_MAX;
use super::io::Io;
use super::log_format::{Asked, Sent};
use super::server::{Generation, Stop};
use super::state::{Phase, State};
use crate::calendar::Date;
use crate::wait::within;

/// How long, and how many bytes, a closed connection may still talk (Apache: MAX_SECS_TO_LINGER).
const LINGER: (Duration, usize) = (Duration::from_secs(2), 1024 * 1024);
/// Bytes of that which are read at a time.
const LINGER_READ: usize = 4096;

impl Disk for Process {
    fn open(&self, path: &str) -> Result<(Bytes, Instant), FileError> {
        self.read_dated(path)
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>, FileError> {
        self.list_dir(path)
    }

    fn unix_seconds(&self, at: Instant) -> u64 {
        let epoch = self.unix_time().saturating_sub(Process::now(self).as_nanos());
        epoch.saturating_add(at.as_nanos()) / 1_000_000_000
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(process: Process, stream: TcpStream, generation: Rc<Generation>) {
    let (client, local, flow) = (stream.peer_addr(), stream.local_addr(), stream.flow());
    // Responses are written whole: waiting for acknowledgements would only delay their ends.
    let _ = stream.set_nodelay(true);
    // Before a request has named its host, the first site of the address sets the limits.
    let first = Rc::clone(generation.config.site(local, ""));
    let log = Rc::clone(&generation.log);
    let state = Rc::new(State::new(process, (client, local), first.timing, log));
    let shared = (Rc::clone(&state), Rc::clone(&generation.config));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let answer = answer(Rc::clone(&shared.1), Rc::clone(&shared.0), flow, request);
        let answer = Box::pin(async move { Ok::<_, Infallible>(answer.await) });
        answer as Pin<Box<dyn Future<Output = _>>>
    });
    let mut builder = http1::Builder::new();
    builder
        .auto_date_header(false)
        .title_case_headers(true)
        .header_read_timeout(None)
        .half_close(true)
        .max_buf_size(HEAD_MAX + 1024);
    if first.limits.fields > 100 {
        builder.max_headers(first.limits.fields);
    }
    let io = Io::new(stream, Rc::clone(&state), first.limits);
    let mut connection = builder.serve_connection(io, service);
    let end = watch(process, &state, &generation, &mut connection).await;
    state.finish();
    let stream = connection.into_parts().io.into_stream();
    match end {
        End::Closed(Ok(())) => linger(process, stream).await,
        End::Expired(Phase::Head) => {
            unasked(&state, &generation);
            linger(process, stream).await;
        }
        End::Stopped => {}
        // The peer takes nothing or is gone: there is nobody to be polite to.
        End::Expired(_) | End::Closed(Err(_)) => stream.abort(),
    }
}

/// Logs a connection that never asked anything.
fn unasked(state: &State, generation: &Generation) {
    let site = generation.config.site(state.local, "");
    let process = state.process;
    let fields = http::HeaderMap::new();
    let asked = Asked {
        client: state.client,
        local: state.local,
        pid: process.pid(),
        date: Date::from_unix(process.unix_seconds(process.now())),
        line: b"",
        fields: &fields,
        site: site.name.as_ref().map_or("-", |n| n.host.as_str()),
    };
    let sent = Sent { status: 408, sent: 0, body: 0, received: 0, took: Duration::from_nanos(0) };
    for (path, format) in &site.access_logs {
        state.log.access(path, format.asked(&asked).finish(&sent));
    }
}

enum End {
    Closed(hyper::Result<()>),
    Expired(Phase),
    /// The server has stopped.
    Stopped,
}

type Served<S> = http1::Connection<Io, S>;

/// Polls the connection until it ends or has taken too long. One timer is set; it is moved only
/// when it must fire earlier, or has fired too early.
async fn watch<S>(
    process: Process,
    state: &State,
    generation: &Generation,
    connection: &mut Served<S>,
) -> End
where
    S: hyper::service::HttpService<Incoming, ResBody = super::body::Contents> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Served<S>: Future<Output = hyper::Result<()>> + Unpin,
{
    let mut timer = process.sleep_until(state.deadline());
    let mut notice = generation.listen();
    let mut leaving = false;
    poll_fn(|cx| {
        loop {
            match notice.poll(cx) {
                Stop::No => {}
                Stop::Now => return Poll::Ready(End::Stopped),
                Stop::Gracefully if leaving => {}
                Stop::Gracefully => {
                    leaving = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                }
            }
            if let Poll::Ready(result) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(End::Closed(result));
            }
            let deadline = state.deadline();
            if deadline < timer.deadline() {
                timer.reset(deadline);
            }
            if Pin::new(&mut timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if process.now() < deadline {
                timer.reset(deadline);
                continue;
            }
            match state.phase() {
                _ if !state.is_late() => timer.reset(state.deadline()),
                Phase::Idle => {
                    // Between requests nothing is lost: close, as the peer must expect.
                    Pin::new(&mut *connection).graceful_shutdown();
                    state.enter(Phase::Busy);
                }
                // What has come of a request is answered with 408.
                Phase::Head | Phase::Body if state.late() => {}
                phase => return Poll::Ready(End::Expired(phase)),
            }
        }
    })
    .await
}

/// Closes in a way that lets the peer read what was sent: a FIN, then whatever still comes in is
/// thrown away for a while. Closing at once would answer it with a reset (RFC 1122 §4.2.2.13),
/// which can overtake the response.
async fn linger(process: Process, mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let (span, limit) = LINGER;
    let drain = async {
        let mut left = limit;
        while let Ok(n @ 1..) = discard(&mut stream).await {
            left = left.saturating_sub(n);
            if left == 0 {
                return;
            }
        }
    };
    within(&process, Some(process.now() + span), drain).await;
}

/// Reads what has come and throws it away; how much it was. The buffer is on the stack of the poll:
/// in the future it would make each connection larger by itself.
async fn discard(stream: &mut TcpStream) -> std::io::Result<usize> {
    poll_fn(|cx| {
        let mut bytes = [MaybeUninit::<u8>::uninit(); LINGER_READ];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}
