//! `iperf` over TCP.
//!
//! A client that sends says nothing first. With `-R` the first eight bytes are [`REVERSE`], then
//! follow how many nanoseconds or bytes the server is to send, eight bytes each: this is not the
//! header of the original, whose ends can only test forward with these.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use netarium_base::{Duration, Instant};
use netarium_stack::{Errno, SocketOption};
use netarium_world::process::{Process, TcpListener, TcpStream, errno};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::meter::{Kind, Member, Meter, Sum};
use super::options::Options;
use super::{RULE, all, not_bound, report, window, words};
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
        meter.borrow_mut().counts.bytes += wrote as u64;
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
        meter.borrow_mut().counts.bytes += n as u64;
    }
}

/// Prints the lines of `-i` while `work` runs.
async fn metered<F: Future>(
    process: &Process,
    of: &Member,
    meter: &RefCell<Meter>,
    work: F,
) -> F::Output {
    let Some(interval) = of.interval else { return work.await };
    let lines = async {
        loop {
            let next = meter.borrow().told_at + interval;
            process.sleep_until(next).await;
            let lines = meter.borrow_mut().passed(of, next);
            process.print(&lines).await;
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
    let header = Rc::new(Cell::new(true));
    let sum = Sum::new(Meter::new(process.now(), o.format, Kind::Tcp), &Rc::default());
    sum.borrow_mut().join(o.parallel);
    let shared = Rc::new((o, header, sum));
    let mut tasks = Vec::new();
    for number in 1..=shared.0.parallel {
        tasks.push(Box::pin(connection(process, Rc::clone(&shared), (from, to), number)));
    }
    all(tasks).await;
    0
}

/// What the connections of a client share: the options, whether the heading is to be told, the sum.
type Shared = (Options, Rc<Cell<bool>>, Rc<RefCell<Sum>>);

/// One connection of a client.
async fn connection(
    process: Process,
    shared: Rc<Shared>,
    (from, to): (Option<SocketAddr>, SocketAddr),
    number: usize,
) {
    let (o, header, sum) = &*shared;
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
            let all = sum.borrow_mut().fail(o.interval, process.now());
            process.print(&(text + &all)).await;
            return;
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
        text += report::HEADING;
    }
    process.print(&text).await;
    let meter = RefCell::new(Meter::new(process.now(), o.format, Kind::Tcp));
    let of = Member { id, interval: o.interval, sum: Rc::clone(sum) };
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
        metered(&process, &of, &meter, receive(&mut stream, o.length, &meter)).await;
        asked.err()
    } else {
        let work = async {
            let sent = send(&process, &mut stream, amount, (o.length, o.bandwidth), &meter).await;
            // The test lasts until the server has all of it.
            let none = RefCell::new(Meter::new(process.now(), o.format, Kind::Tcp));
            receive(&mut stream, 1, &none).await;
            sent
        };
        metered(&process, &of, &meter, work).await.err()
    };
    if let Some(e) = &failed {
        process.eprint(&format!("write failed: {}\n", words(e))).await;
    }
    let (own, all) = meter.borrow_mut().end(&of, process.now());
    process.print(&(own + &all)).await;
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
    // The connections of one client are summed while one of them is there.
    let mut sums: BTreeMap<IpAddr, Rc<RefCell<Sum>>> = BTreeMap::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        number += 1;
        sums.retain(|_, sum| !sum.borrow().over());
        let new = || Sum::new(Meter::new(process.now(), options.format, Kind::Tcp), &Rc::default());
        let sum = Rc::clone(sums.entry(stream.peer_addr().ip()).or_insert_with(new));
        sum.borrow_mut().join(1);
        process.spawn(serve(process, Rc::clone(&options), sum, stream, number));
    }
}

async fn serve(
    process: Process,
    o: Rc<Options>,
    sum: Rc<RefCell<Sum>>,
    mut stream: TcpStream,
    number: usize,
) {
    let id = report::id(number);
    let mut text = connected(&id, &stream);
    if number == 1 {
        text += report::HEADING;
    }
    process.print(&text).await;
    let meter = RefCell::new(Meter::new(process.now(), o.format, Kind::Tcp));
    let of = Member { id, interval: o.interval, sum };
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
        let _ = metered(&process, &of, &meter, work).await;
    } else {
        meter.borrow_mut().counts.bytes = have as u64;
        metered(&process, &of, &meter, receive(&mut stream, o.length, &meter)).await;
    }
    let (own, all) = meter.borrow_mut().end(&of, process.now());
    process.print(&(own + &all)).await;
}
