//! `iperf` over UDP, with the original's datagrams: a number, seconds and microseconds when it was
//! sent, each four bytes; the last ones have the number negated and are answered by the server's
//! report.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use netarium_base::{Duration, Instant};
use netarium_world::process::{Process, UdpSocket};

use super::meter::{Counts, Kind, Member, Meter, Sum};
use super::options::Options;
use super::report::Format;
use super::{RULE, all, not_bound, report, window, words};
use crate::wait::within;

/// How fast datagrams are sent unless `-b` says otherwise, bits per second.
const BANDWIDTH: u64 = 1_048_576;
/// How often the last datagram is sent until the report comes.
const TRIES: u32 = 10;
/// Marks a server's report in its first word behind the datagram's head.
const REPORT: u32 = 0x8000_0000;
/// How many clients a server remembers at once.
const CLIENTS_MAX: usize = 1_024;

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| b.iter().fold(0, |v, b| v << 8 | u32::from(*b)))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// `iperf -u -c`
pub(super) async fn client(
    process: Process,
    o: Options,
    from: Option<SocketAddr>,
    to: SocketAddr,
) -> i32 {
    let host = o.client.clone().unwrap_or_default();
    let rate = o.bandwidth.unwrap_or(BANDWIDTH);
    let gap = o.length as u128 * 8 * 1_000_000_000 / u128::from(rate);
    let gap = Duration::from_nanos(u64::try_from(gap).unwrap_or(u64::MAX));
    let head = format!(
        "{RULE}Client connecting to {host}, UDP port {}\nSending {} byte datagrams, IPG target: {:.2} us (kalman adjust)\n{}{RULE}",
        o.port,
        o.length,
        gap.as_nanos() as f64 / 1e3,
        window(&process, &o)
    );
    process.print(&head).await;
    let header = Cell::new(true);
    let sum = Sum::new(Meter::new(process.now(), o.format, Kind::UdpClient), &Rc::default());
    sum.borrow_mut().join(o.parallel);
    let shared = Rc::new((o, header, sum));
    let mut tasks = Vec::new();
    for number in 1..=shared.0.parallel {
        tasks.push(Box::pin(flow(process, Rc::clone(&shared), (from, to), (number, gap))));
    }
    all(tasks).await.into_iter().max().unwrap_or(0)
}

/// What the flows of a client share: the options, whether the heading is to be told, the sum.
type Shared = (Options, Cell<bool>, Rc<RefCell<Sum>>);

/// One flow of a client; gives the exit code.
async fn flow(
    process: Process,
    shared: Rc<Shared>,
    (from, to): (Option<SocketAddr>, SocketAddr),
    (number, gap): (usize, Duration),
) -> i32 {
    let (o, header, sum) = &*shared;
    let id = report::id(number);
    let (socket, local) = match open(&process, from, to).await {
        Ok(open) => open,
        Err(e) => {
            process.eprint(&format!("connect failed: {}\n", words(&e))).await;
            let all = sum.borrow_mut().fail(o.interval, process.now());
            process.print(&all).await;
            return 1;
        }
    };
    let mut text = format!(
        "[{id}] local {} port {} connected with {} port {}\n",
        local.ip(),
        local.port(),
        to.ip(),
        to.port()
    );
    if header.replace(false) {
        text += report::HEADING;
    }
    process.print(&text).await;
    let mut meter = Meter::new(process.now(), o.format, Kind::UdpClient);
    let of = Member { id, interval: o.interval, sum: Rc::clone(sum) };
    let end = process.now() + o.time;
    let more = |meter: &Meter, now: Instant| match o.bytes {
        Some(bytes) => meter.counts.bytes < bytes,
        None => now < end,
    };
    let (mut datagram, mut number) = (vec![b'0'; o.length], 0u32);
    while more(&meter, process.now()) {
        stamp(&process, &mut datagram, number as i32);
        // What an ICMP error says concerns an earlier datagram; the test goes on.
        let _ = socket.send(&datagram).await;
        meter.counts.bytes += o.length as u64;
        meter.counts.datagrams += 1;
        number += 1;
        let due = gap.as_nanos().saturating_mul(number.into());
        process.sleep_until(meter.start() + Duration::from_nanos(due)).await;
        let lines = meter.passed(&of, process.now());
        process.print(&lines).await;
    }
    let (own, all) = meter.end(&of, process.now());
    let mut text = format!("{own}[{}] Sent {number} datagrams\n{all}", of.id);
    if let Some((flows, sent)) = sum.borrow().sent().filter(|_| !all.is_empty()) {
        text += &format!("[SUM-{flows}] Sent {sent} datagrams\n");
    }
    // The lines of all are behind those of each.
    process.print(&text).await;
    ask_for_report(&process, &socket, &mut datagram, (&of.id, number, o.format)).await
}

/// A socket to the server, and its own address: that which the routing table chooses where `-B` has
/// not. An address that cannot be had is told, and any taken, as in the original.
async fn open(
    process: &Process,
    from: Option<SocketAddr>,
    to: SocketAddr,
) -> io::Result<(UdpSocket, SocketAddr)> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let any = SocketAddr::new(any, 0);
    let socket = match UdpSocket::bind(process, from.unwrap_or(any)) {
        Err(e) if from.is_some() => {
            process.eprint(&format!("bind failed: {}\n", words(&e))).await;
            UdpSocket::bind(process, any)?
        }
        bound => bound?,
    };
    socket.connect(to)?;
    let mut local = socket.local_addr().unwrap_or(any);
    if local.ip().is_unspecified() {
        let chosen = process.with_stack(|stack, _| stack.source_for(to.ip()).ok().map(|s| s.1));
        local.set_ip(chosen.unwrap_or(local.ip()));
    }
    Ok((socket, local))
}

fn stamp(process: &Process, datagram: &mut [u8], number: i32) {
    let now = process.unix_time();
    put(datagram, 0, number as u32);
    put(datagram, 4, (now / 1_000_000_000) as u32);
    put(datagram, 8, (now % 1_000_000_000 / 1_000) as u32);
}

/// Sends the last datagram until the server reports; prints that.
async fn ask_for_report(
    process: &Process,
    socket: &UdpSocket,
    datagram: &mut [u8],
    (id, number, format): (&str, u32, Format),
) -> i32 {
    let mut answer = vec![0; 2_048];
    for _ in 0..TRIES {
        stamp(process, datagram, -(number as i32));
        let _ = socket.send(datagram).await;
        let deadline = process.now() + Duration::from_millis(250);
        let Some(Ok((n, _))) = within(process, Some(deadline), socket.recv_from(&mut answer)).await
        else {
            continue;
        };
        let answer = &answer[..n];
        if word(answer, 12) & REPORT == 0 {
            continue;
        }
        let at = |field: usize| word(answer, 12 + field * 4);
        let bytes = u64::from(at(1)) << 32 | u64::from(at(2));
        let seconds = f64::from(at(3)) + f64::from(at(4)) / 1e6;
        let jitter = f64::from(at(8)) * 1e3 + f64::from(at(9)) / 1e3;
        let [missing, late, total] = [at(5), at(6), at(7)].map(u64::from);
        let counts = Counts { bytes, datagrams: total, lost: missing + late, late };
        let line = report::received(format, id, (0.0, seconds), counts, Some(jitter));
        let text = format!("[{id}] Server Report:\n{HEADING}{line}");
        process.print(&text).await;
        return 0;
    }
    let text =
        format!("[{id}] WARNING: did not receive ack of last datagram after {TRIES} tries.\n");
    process.eprint(&text).await;
    0
}

/// What stands above a server's lines.
const HEADING: &str =
    "[ ID] Interval       Transfer     Bandwidth        Jitter   Lost/Total Datagrams\n";

/// A client as its server sees it.
struct Flow {
    of: Member,
    /// Its datagrams are the next number that is expected.
    meter: Meter,
    /// Transit time of the last datagram, and its mean deviation (RFC 3550 §6.4.1), ns.
    transit: Option<i64>,
    jitter: f64,
    last: Instant,
    done: bool,
}

impl Flow {
    fn take(&mut self, process: &Process, datagram: &[u8]) {
        let number = u64::from(word(datagram, 0));
        let counts = &mut self.meter.counts;
        counts.bytes += datagram.len() as u64;
        self.last = process.now();
        let sent =
            u64::from(word(datagram, 4)) * 1_000_000_000 + u64::from(word(datagram, 8)) * 1_000;
        let transit = process.unix_time() as i64 - sent as i64;
        if let Some(before) = self.transit.replace(transit) {
            self.jitter += ((transit - before).unsigned_abs() as f64 - self.jitter) / 16.0;
        }
        if number >= counts.datagrams {
            counts.lost += number - counts.datagrams;
            counts.datagrams = number + 1;
        } else {
            counts.late += 1;
        }
        self.meter.jitter = self.jitter / 1e6;
    }

    /// The report as a datagram.
    fn datagram(&self, last: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 52.max(last.len().min(1_470))];
        out[..12].copy_from_slice(&last[..12]);
        let nanos = self.last.since(self.meter.start()).as_nanos();
        let (jitter, counts) = (self.jitter as u64, self.meter.counts);
        let fields = [
            REPORT,
            (counts.bytes >> 32) as u32,
            counts.bytes as u32,
            (nanos / 1_000_000_000) as u32,
            (nanos % 1_000_000_000 / 1_000) as u32,
            counts.missing() as u32,
            counts.late as u32,
            counts.datagrams as u32,
            (jitter / 1_000_000_000) as u32,
            (jitter % 1_000_000_000 / 1_000) as u32,
        ];
        fields.iter().enumerate().for_each(|(n, v)| put(&mut out, 12 + n * 4, *v));
        out
    }

    /// The closing datagram has come, and says how many there were: the last lines.
    fn close(&mut self, now: Instant, datagram: &[u8]) -> String {
        let total = u64::from((word(datagram, 0) as i32).unsigned_abs());
        let counts = &mut self.meter.counts;
        counts.lost += total.saturating_sub(counts.datagrams);
        counts.datagrams = counts.datagrams.max(total);
        let lines = self.meter.passed(&self.of, now);
        let (own, all) = self.meter.end(&self.of, self.last);
        lines + &own + &all
    }
}

/// `iperf -u -s`
pub(super) async fn server(process: Process, o: Options, at: SocketAddr) -> i32 {
    let socket = match UdpSocket::bind(&process, at) {
        Ok(socket) => socket,
        Err(e) => return not_bound(&process, &e).await,
    };
    let buffer = window(&process, &o);
    let head = format!("{RULE}Server listening on UDP port {}\n{buffer}{RULE}", o.port);
    process.print(&head).await;
    let mut flows: BTreeMap<SocketAddr, Flow> = BTreeMap::new();
    // The flows of one client are summed while one of them is there.
    let mut sums: BTreeMap<IpAddr, Rc<RefCell<Sum>>> = BTreeMap::new();
    let heading = Rc::new(Cell::new(true));
    let (mut buffer, mut count) = (vec![0; 65_535], 0);
    loop {
        let Ok((n, meta)) = socket.recv_from(&mut buffer).await else { continue };
        let datagram = &buffer[..n];
        if n < 12 {
            continue;
        }
        if !flows.contains_key(&meta.from) {
            if flows.len() >= CLIENTS_MAX {
                flows.retain(|_, f| !f.done);
                if flows.len() >= CLIENTS_MAX {
                    continue;
                }
            }
            count += 1;
            let id = report::id(count);
            let (here, port, from) = (meta.to, o.port, meta.from);
            let heading_once = if count == 1 { HEADING } else { "" };
            let text = format!(
                "[{id}] local {here} port {port} connected with {} port {}\n{heading_once}",
                from.ip(),
                from.port()
            );
            process.print(&text).await;
            let now = process.now();
            let meter = || Meter::new(now, o.format, Kind::UdpServer);
            sums.retain(|_, sum| !sum.borrow().over());
            let new = || Sum::new(meter(), &heading);
            let sum = Rc::clone(sums.entry(meta.from.ip()).or_insert_with(new));
            sum.borrow_mut().join(1);
            let flow = Flow {
                of: Member { id, interval: o.interval, sum },
                meter: meter(),
                transit: None,
                jitter: 0.0,
                last: now,
                done: false,
            };
            flows.insert(meta.from, flow);
        }
        let Some(flow) = flows.get_mut(&meta.from) else { continue };
        if (word(datagram, 0) as i32) < 0 {
            if !std::mem::replace(&mut flow.done, true) {
                process.print(&flow.close(process.now(), datagram)).await;
            }
            let answer = flow.datagram(datagram);
            // A client that has gone needs no report.
            let _ = socket.send_to(&answer, meta.from).await;
        } else if !flow.done {
            // As in the original, intervals are told when something comes.
            let lines = flow.meter.passed(&flow.of, process.now());
            if !lines.is_empty() {
                process.print(&lines).await;
            }
            flow.take(&process, datagram);
        }
    }
}
