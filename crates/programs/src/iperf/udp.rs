//! `iperf` over UDP, with the original's datagrams: a number, seconds and microseconds when it was
//! sent, each four bytes; the last ones have the number negated and are answered by the server's
//! report.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeMap;
use std::io;

use netarium_base::{Duration, Instant};
use netarium_world::process::{Process, UdpSocket};

use super::options::Options;
use super::report::Format;
use super::{Meter, RULE, not_bound, report, window, words};
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
    let (socket, local) = match open(&process, from, to).await {
        Ok(open) => open,
        Err(e) => {
            process.eprint(&format!("connect failed: {}\n", words(&e))).await;
            return 1;
        }
    };
    let text = format!(
        "[  1] local {} port {} connected with {} port {}\n[ ID] Interval       Transfer     Bandwidth\n",
        local.ip(),
        local.port(),
        to.ip(),
        to.port()
    );
    process.print(&text).await;
    let (mut meter, mut number) = (Meter::new(process.now(), o.format), 0u32);
    let end = process.now() + o.time;
    let more = |meter: &Meter, now: Instant| match o.bytes {
        Some(bytes) => meter.bytes < bytes,
        None => now < end,
    };
    let mut datagram = vec![b'0'; o.length];
    while more(&meter, process.now()) {
        if let Some(interval) = o.interval {
            while process.now() >= meter.told_at + interval {
                let line = meter.interval("  1", meter.told_at + interval);
                process.print(&line).await;
            }
        }
        stamp(&process, &mut datagram, number as i32);
        // What an ICMP error says concerns an earlier datagram; the test goes on.
        let _ = socket.send(&datagram).await;
        meter.bytes += o.length as u64;
        number += 1;
        process
            .sleep_until(
                meter.start + Duration::from_nanos(gap.as_nanos().saturating_mul(number.into())),
            )
            .await;
    }
    let now = process.now();
    process.print(&format!("{}[  1] Sent {number} datagrams\n", meter.total("  1", now))).await;
    ask_for_report(&process, &socket, &mut datagram, (number, o.format)).await
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
    (number, format): (u32, Format),
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
        let text = format!(
            "[  1] Server Report:\n[ ID] Interval       Transfer     Bandwidth        Jitter   Lost/Total Datagrams\n{}",
            report::line(format, "  1", (0.0, seconds), bytes, &losses(jitter, at(5), at(7)))
        );
        process.print(&text).await;
        return 0;
    }
    let text =
        format!("[  1] WARNING: did not receive ack of last datagram after {TRIES} tries.\n");
    process.eprint(&text).await;
    0
}

fn losses(jitter_ms: f64, lost: u32, total: u32) -> String {
    let percent = if total > 0 { f64::from(lost) * 100.0 / f64::from(total) } else { 0.0 };
    let percent = if percent > 0.0 && percent < 10.0 {
        format!("{percent:.2}")
    } else {
        format!("{percent:.0}")
    };
    format!("  {jitter_ms:>6.3} ms {lost}/{total} ({percent}%)")
}

/// A client as its server sees it.
struct Flow {
    id: String,
    meter: Meter,
    /// The next number that is expected.
    next: u32,
    lost: u32,
    late: u32,
    /// Transit time of the last datagram, and its mean deviation (RFC 3550 §6.4.1), ns.
    transit: Option<i64>,
    jitter: f64,
    last: Instant,
    done: bool,
}

impl Flow {
    fn take(&mut self, process: &Process, datagram: &[u8]) {
        let number = word(datagram, 0);
        self.meter.bytes += datagram.len() as u64;
        self.last = process.now();
        let sent =
            u64::from(word(datagram, 4)) * 1_000_000_000 + u64::from(word(datagram, 8)) * 1_000;
        let transit = process.unix_time() as i64 - sent as i64;
        if let Some(before) = self.transit.replace(transit) {
            self.jitter += ((transit - before).unsigned_abs() as f64 - self.jitter) / 16.0;
        }
        if number >= self.next {
            self.lost = self.lost.saturating_add(number - self.next);
            self.next = number.saturating_add(1);
        } else {
            self.late += 1;
            self.lost = self.lost.saturating_sub(1);
        }
    }

    fn report(&self) -> String {
        let more = losses(self.jitter / 1e6, self.lost, self.next);
        let span = (0.0, self.meter.seconds(self.last));
        report::line(self.meter.format, &self.id, span, self.meter.bytes, &more)
    }

    /// The report as a datagram.
    fn datagram(&self, last: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 52.max(last.len().min(1_470))];
        out[..12].copy_from_slice(&last[..12]);
        let nanos = self.last.since(self.meter.start).as_nanos();
        let jitter = self.jitter as u64;
        let fields = [
            REPORT,
            (self.meter.bytes >> 32) as u32,
            self.meter.bytes as u32,
            (nanos / 1_000_000_000) as u32,
            (nanos % 1_000_000_000 / 1_000) as u32,
            self.lost,
            self.late,
            self.next,
            (jitter / 1_000_000_000) as u32,
            (jitter % 1_000_000_000 / 1_000) as u32,
        ];
        fields.iter().enumerate().for_each(|(n, v)| put(&mut out, 12 + n * 4, *v));
        out
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
            let mut text = format!(
                "[{id}] local {} port {} connected with {} port {}\n",
                meta.to,
                o.port,
                meta.from.ip(),
                meta.from.port()
            );
            if count == 1 {
                text += "[ ID] Interval       Transfer     Bandwidth        Jitter   Lost/Total Datagrams\n";
            }
            process.print(&text).await;
            let now = process.now();
            let flow = Flow {
                id,
                meter: Meter::new(now, o.format),
                next: 0,
                lost: 0,
                late: 0,
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
                let total = (word(datagram, 0) as i32).unsigned_abs();
                flow.lost = flow.lost.saturating_add(total.saturating_sub(flow.next));
                flow.next = flow.next.max(total);
                process.print(&flow.report()).await;
            }
            let answer = flow.datagram(datagram);
            // A client that has gone needs no report.
            let _ = socket.send_to(&answer, meta.from).await;
        } else if !flow.done {
            flow.take(&process, datagram);
        }
    }
}
