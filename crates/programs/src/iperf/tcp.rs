//! `iperf` over TCP.
//!
//! A client that sends says nothing first. With `-R` the first eight bytes are [`REVERSE`], then
//! follow how many nanoseconds or bytes the server is to send, eight bytes each: this is not the
//! header of the original, whose ends can only test forward with these.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::cell::RefCell;
use std::rc::Rc;

use netarium_base::{Duration, Instant};
use netarium_stack::{Errno, SocketOption};
use netarium_world::process::{Process, TcpListener, TcpStream, errno};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::options::Options;
use super::{Meter, RULE, not_bound, report, window, words};
use crate::wait::first;

/// What a client begins with that wants to receive.
const REVERSE: &[u8; 8] = b"netariR\n";
/// The backlog of the server.
const BACKLOG: u32 = 128;

fn connected(id: &str, stream: &TcpStream) -> String {
    let (local, peer) = (stream.local_addr(), stream.peer_addr());
    format!(
        "[{id}] local {} port {} connected with {} port {}\n",
        local.ip(),
        local.port(),
        peer.ip(),
        peer.port()
    )
}

/// How much is to be sent.
#[derive(Clone, Copy, Debug)]
struct Amount {
    until: Option<Instant>,
    bytes: u64,
}

/// Sends until the amount is reached; at most `rate` bits per second.
async fn send(
    process: &Process,
    stream: &mut TcpStream,
    amount: Amount,
    (length, rate): (usize, Option<u64>),
    meter: &RefCell<Meter>,
) -> std::io::Result<()> {
    let pattern: Vec<u8> = (0..length).map(|n| b'0' + (n % 10) as u8).collect();
    let (mut sent, start) = (0u64, process.now());
    while sent < amount.bytes && amount.until.is_none_or(|until| process.now() < until) {
        let n = pattern.len().min(usize::try_from(amount.bytes - sent).unwrap_or(usize::MAX));
        let piece = stream.write(&pattern[..n]);
        let wrote = match amount.until {
            Some(until) => match first(piece, process.sleep_until(until)).await {
                Ok(result) => result?,
                Err(()) => break,
            },
            None => piece.await?,
        };
        sent += wrote as u64;
        meter.borrow_mut().bytes += wrote as u64;
        if let Some(rate) = rate {
            let due = u128::from(sent) * 8_000_000_000 / u128::from(rate);
            let due = start + Duration::from_nanos(u64::try_from(due).unwrap_or(u64::MAX));
            process.sleep_until(amount.until.map_or(due, |until| due.min(until))).await;
        }
    }
    stream.shutdown().await
}

async fn receive(stream: &mut TcpStream, length: usize, meter: &RefCell<Meter>) {
    let mut bytes = vec![0; length];
    while let Ok(n @ 1..) = stream.read(&mut bytes).await {
        meter.borrow_mut().bytes += n as u64;
    }
}

/// Prints the lines of `-i` while `work` runs.
async fn metered<F: Future>(
    process: &Process,
    o: &Options,
    id: &str,
    meter: &RefCell<Meter>,
    work: F,
) -> F::Output {
    let Some(interval) = o.interval else { return work.await };
    let lines = async {
        loop {
            let next = meter.borrow().told_at + interval;
            process.sleep_until(next).await;
            let line = meter.borrow_mut().interval(id, next);
            process.print(&line).await;
        }
    };
    match first(work, lines).await {
        Ok(value) => value,
        Err(never) => never,
    }
}

/// `iperf -c`
pub(super) async fn client(
    process: Process,
    o: Options,
    from: Option<SocketAddr>,
    to: SocketAddr,
) -> i32 {
    let host = o.client.clone().unwrap_or_default();
    let head = format!(
        "{RULE}Client connecting to {host}, TCP port {}\n{}{RULE}",
        o.port,
        window(&process, &o)
    );
    process.print(&head).await;
    let header = Rc::new(RefCell::new(true));
    let shared = Rc::new((o, header));
    let mut tasks = Vec::new();
    for number in 1..=shared.0.parallel {
        tasks.push(Box::pin(connection(process, Rc::clone(&shared), (from, to), number)));
    }
    let results = all(tasks).await;
    let good: Vec<_> = results.iter().flatten().collect();
    if good.len() > 1 {
        let bytes = good.iter().map(|r| r.0).sum();
        let end = good.iter().map(|r| r.1).fold(0.0, f64::max);
        let line = report::line(shared.0.format, "SUM", (0.0, end), bytes, "");
        process.print(&line).await;
    }
    0
}

/// Waits for all, polling them in order.
async fn all<F: Future + Unpin>(mut tasks: Vec<F>) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = tasks.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (task, result) in tasks.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = std::pin::Pin::new(task).poll(cx)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// One connection of a client; gives its bytes and seconds.
async fn connection(
    process: Process,
    shared: Rc<(Options, Rc<RefCell<bool>>)>,
    (from, to): (Option<SocketAddr>, SocketAddr),
    number: usize,
) -> Option<(u64, f64)> {
    let (o, header) = (&shared.0, &shared.1);
    let id = report::id(number);
    let mut stream = match TcpStream::connect_from(&process, from, to).await {
        Ok(stream) => stream,
        Err(e) => {
            let binding = matches!(errno(&e), Some(Errno::EADDRNOTAVAIL | Errno::EADDRINUSE));
            let what = if from.is_some() && binding { "bind failed" } else { "tcp connect failed" };
            process.eprint(&format!("{what}: {}\n", words(&e))).await;
            // The original shows the socket that came to nothing, and ends well all the same.
            let none = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            let [own, peer] = [from.unwrap_or(none), to].map(|at| (at.ip(), at.port()));
            let local = format!("local {} port {}", own.0, own.1);
            let text = format!("[{id}] {local} connected with {} port {}\n", peer.0, peer.1);
            process.print(&text).await;
            return None;
        }
    };
    if let Some(w) = o.window {
        // As much as the system allows.
        let _ = (
            stream.set_option(SocketOption::SendBuffer(w)),
            stream.set_option(SocketOption::RecvBuffer(w)),
        );
    }
    if let Some(bits) = o.fq_rate {
        let bytes = u32::try_from((bits / 8).max(1)).unwrap_or(u32::MAX);
        let _ = stream.set_option(SocketOption::MaxPacingRate(bytes));
    }
    let mut text = connected(&id, &stream);
    if header.replace(false) {
        text += "[ ID] Interval       Transfer     Bandwidth\n";
    }
    process.print(&text).await;
    let meter = RefCell::new(Meter::new(process.now(), o.format));
    let amount = Amount {
        until: o.bytes.is_none().then(|| process.now() + o.time),
        bytes: o.bytes.unwrap_or(u64::MAX),
    };
    let failed = if o.reverse {
        let time = if o.bytes.is_some() { 0 } else { o.time.as_nanos() };
        let words = [time, o.bytes.unwrap_or(0), o.bandwidth.unwrap_or(0)];
        let ask: Vec<u8> =
            REVERSE.iter().copied().chain(words.into_iter().flat_map(u64::to_be_bytes)).collect();
        let asked = stream.write_all(&ask).await;
        metered(&process, o, &id, &meter, receive(&mut stream, o.length, &meter)).await;
        asked.err()
    } else {
        let work = send(&process, &mut stream, amount, (o.length, o.bandwidth), &meter);
        let result = metered(&process, o, &id, &meter, work).await;
        // The test lasts until the server has all of it.
        receive(&mut stream, 1, &RefCell::new(Meter::new(process.now(), o.format))).await;
        result.err()
    };
    if let Some(e) = &failed {
        process.eprint(&format!("write failed: {}\n", words(e))).await;
    }
    let now = process.now();
    let total = meter.borrow().total(&id, now);
    process.print(&total).await;
    let meter = meter.into_inner();
    failed.is_none().then(|| (meter.bytes, meter.seconds(now)))
}

/// `iperf -s`
pub(super) async fn server(process: Process, o: Options, at: SocketAddr) -> i32 {
    let listener = match TcpListener::bind(&process, at, BACKLOG) {
        Ok(listener) => listener,
        Err(e) => return not_bound(&process, &e).await,
    };
    let head =
        format!("{RULE}Server listening on TCP port {}\n{}{RULE}", o.port, window(&process, &o));
    process.print(&head).await;
    let options = Rc::new(o);
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        number += 1;
        process.spawn(serve(process, Rc::clone(&options), stream, number));
    }
}

async fn serve(process: Process, o: Rc<Options>, mut stream: TcpStream, number: usize) {
    let id = report::id(number);
    let mut text = connected(&id, &stream);
    if number == 1 {
        text += "[ ID] Interval       Transfer     Bandwidth\n";
    }
    process.print(&text).await;
    let meter = RefCell::new(Meter::new(process.now(), o.format));
    let mut head = [0; 32];
    let mut have = 0;
    while have < head.len() {
        match stream.read(&mut head[have..]).await {
            Ok(n @ 1..) => have += n,
            _ => break,
        }
        if !head[..have.min(8)].iter().eq(REVERSE[..have.min(8)].iter()) {
            break;
        }
    }
    if have == head.len() && head.starts_with(REVERSE) {
        let word = |at: usize| head[at..at + 8].iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
        let (time, bytes, rate) = (word(8), word(16), word(24));
        let until =
            (time > 0).then(|| process.now() + Duration::from_nanos(time.min(86_400_000_000_000)));
        let amount = Amount { until, bytes: if until.is_some() { u64::MAX } else { bytes } };
        let rate = Some(rate).filter(|r| *r > 0);
        let work = send(&process, &mut stream, amount, (o.length, rate), &meter);
        // A client that has gone ends the test.
        let _ = metered(&process, &o, &id, &meter, work).await;
    } else {
        meter.borrow_mut().bytes = have as u64;
        metered(&process, &o, &id, &meter, receive(&mut stream, o.length, &meter)).await;
    }
    let line = meter.borrow().total(&id, process.now());
    process.print(&line).await;
}
