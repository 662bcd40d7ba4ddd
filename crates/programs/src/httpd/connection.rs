//! One connection of a client: hyper speaks, a watchdog watches the virtual clock.
//!
//! The watchdog is ours rather than hyper's timer: hyper knows one limit for reading a head, while a
//! server has three: for a head to arrive, for an idle connection, and for a peer that takes nothing.
//! It also keeps `std::time` out of this crate.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use netarium_base::{Duration, Event, Instant};
use netarium_world::files::{FileError, Metadata};
use netarium_world::process::{Process, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::io::{Io, Limits, Phase, State};
use super::log::{Entry, Log};
use super::site::{Disk, Site};
use crate::wait::within;

/// The most bytes of a request's head, and of what hyper buffers.
const HEAD_MAX: usize = 64 * 1024;
/// How long, and how many bytes, a closed connection may still talk (Apache: MAX_SECS_TO_LINGER).
const LINGER: (Duration, usize) = (Duration::from_secs(2), 1024 * 1024);

impl Disk for Process {
    fn read(&self, path: &str) -> Result<Bytes, FileError> {
        self.read_file(path)
    }

    fn metadata(&self, path: &str) -> Result<Metadata, FileError> {
        Process::metadata(self, path)
    }

    fn unix_seconds(&self, at: Instant) -> u64 {
        let epoch = self.unix_time().saturating_sub(Process::now(self).as_nanos());
        epoch.saturating_add(at.as_nanos()) / 1_000_000_000
    }

    fn now(&self) -> Instant {
        Process::now(self)
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(
    process: Process,
    stream: TcpStream,
    site: Rc<Site>,
    limits: Limits,
    log: Rc<Log>,
) {
    let (client, flow) = (stream.peer_addr().ip(), stream.flow());
    // Responses are written whole: waiting for acknowledgements would only delay their ends.
    let _ = stream.set_nodelay(true);
    let state = Rc::new(State::new(process, limits, log));
    let shared = Rc::clone(&state);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        process.emit(flow, || Event::HttpRequest {
            method: request.method().as_str().into(),
            target: request.uri().to_string().into(),
        });
        let entry = Entry::new(client, process.unix_seconds(process.now()), &request);
        let mut response = site.respond(&process, &request);
        let (status, bytes) = (response.status().as_u16(), response.body().len() as u64);
        process.emit(flow, || Event::HttpResponse { status, bytes });
        let done = Rc::new(Cell::new(false));
        response.body_mut().tell(Rc::clone(&done));
        shared.responding(entry, status, done);
        ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .auto_date_header(false)
        .title_case_headers(true)
        .header_read_timeout(None)
        .half_close(true)
        .max_buf_size(HEAD_MAX)
        .serve_connection(Io::new(stream, Rc::clone(&state)), service);
    let (end, connection) = watch(process, &state, connection).await;
    state.finish();
    let stream = connection.into_parts().io.into_stream();
    match end {
        End::Closed(Ok(())) => linger(process, stream).await,
        End::Closed(Err(e)) if e.is_parse() => {
            let entry = Entry::unreadable(client, process.unix_seconds(process.now()));
            state.log(&entry, if e.is_parse_too_large() { 431 } else { 400 });
            linger(process, stream).await;
        }
        End::Expired(Phase::Head) => {
            let entry = Entry::unreadable(client, process.unix_seconds(process.now()));
            state.log(&entry, 408);
            linger(process, stream).await;
        }
        // The peer takes nothing or is gone: there is nobody to be polite to.
        End::Expired(_) | End::Closed(Err(_)) => stream.abort(),
    }
}

enum End {
    Closed(hyper::Result<()>),
    Expired(Phase),
}

type Served<S> = http1::Connection<Io, S>;

/// Polls the connection until it ends or has taken too long. One timer is set; it is moved only
/// when it must fire earlier, or has fired too early.
async fn watch<S>(process: Process, state: &State, mut connection: Served<S>) -> (End, Served<S>)
where
    S: hyper::service::HttpService<Incoming, ResBody = super::body::Contents> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Served<S>: Future<Output = hyper::Result<()>> + Unpin,
{
    let mut timer = process.sleep_until(state.deadline());
    let end = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
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
                Phase::Idle => {
                    // Between requests nothing is lost: close, as the peer must expect.
                    Pin::new(&mut connection).graceful_shutdown();
                    state.enter(Phase::Busy);
                }
                phase => return Poll::Ready(End::Expired(phase)),
            }
        }
    })
    .await;
    (end, connection)
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
        let (mut buffer, mut left) = ([0u8; 4096], limit);
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(n);
            if left == 0 {
                return;
            }
        }
    };
    within(&process, Some(process.now() + span), drain).await;
}
