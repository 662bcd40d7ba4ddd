//! `ping`: echo requests and their answers, in the words of iputils.
//!
//! 1. `options`: the command line;
//! 2. this file: sending, waiting, and what is said about each answer;
//! 3. `stats`: what is counted, and the summary.

mod options;
mod stats;

use core::net::IpAddr;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use netarium_base::{Duration, Instant};
use netarium_stack::{Errno, IcmpError, SocketOption};
use netarium_world::process::{
    LocalBoxFuture, PingReply, PingSocket, Process, Sleep, errno, signal,
};

use options::{Options, Usage};
use stats::{Stats, round_trip};

const USAGE: &str = "
Usage
  ping [options] <destination>

Options:
  <destination>      dns name or ip address
  -c <count>         stop after <count> replies
  -h                 print help and exit
  -i <interval>      seconds between sending each packet
  -M <pmtud opt>     define path MTU discovery, can be one of <do|dont|want|probe>
  -n                 no dns name resolution
  -q                 quiet output
  -s <size>          use <size> as number of data bytes to be sent
  -t <ttl>           define time to live
  -V                 print version and exit
  -w <deadline>      reply wait <deadline> in seconds
  -W <timeout>       time to wait for response

For more details see ping(8).
";

/// How long to wait for the last answers when none came before (iputils: MAXWAIT).
const LAST_WAIT: Duration = Duration::from_secs(10);
/// Data that long carries a time stamp, and only then is a time printed.
const STAMP: usize = 16;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let options = match Options::parse(args.get(1..).unwrap_or_default()) {
        Ok(options) => options,
        Err(usage) => return complain(&process, usage).await,
    };
    let target = match process.resolve(&options.host).await {
        Ok(found) if !found.is_empty() => found[0],
        failed => {
            let why = failed.map_or_else(|e| e.text(), |_| "Name or service not known");
            process.eprint(&format!("ping: {}: {why}\n", options.host)).await;
            return 2;
        }
    };
    if let Err(e) = process.with_stack(|stack, _| stack.source_for(target)) {
        process.eprint(&format!("ping: connect: {e}\n")).await;
        return 2;
    }
    if process.with_stack(|stack, _| stack.is_broadcast(target)) {
        if !options.broadcast {
            let text = "ping: Do you want to ping broadcast? Then -b. If not, check your local \
                        firewall rules\n";
            process.eprint(text).await;
            return 2;
        }
        process.eprint("WARNING: pinging broadcast address\n").await;
    }
    let socket = match open(&process, &options) {
        Ok(socket) => socket,
        Err(e) => {
            process.eprint(&format!("ping: socket: {e}\n")).await;
            return 2;
        }
    };
    Run { process, socket, target, stats: Stats::new(process.now()), options }.go().await
}

async fn complain(process: &Process, usage: Usage) -> i32 {
    match usage {
        Usage::Help => {
            process.eprint(USAGE).await;
            2
        }
        Usage::Version => {
            process.print("ping from iputils 20221126 (netarium)\n").await;
            0
        }
        Usage::Option(e) => {
            process.eprint(&format!("ping: {}\n{USAGE}", e.gnu())).await;
            2
        }
        Usage::Wrong(text, code) => {
            process.eprint(&format!("ping: {text}\n")).await;
            code
        }
    }
}

fn open(process: &Process, options: &Options) -> std::io::Result<PingSocket> {
    let socket = PingSocket::new(process)?;
    if let Some(ttl) = options.ttl {
        socket.set_ttl(ttl)?;
    }
    if options.broadcast {
        socket.set_option(SocketOption::Broadcast(true))?;
    }
    if let Some(mode) = options.mtu_discover {
        socket.set_option(SocketOption::MtuDiscover(mode))?;
    }
    Ok(socket)
}

struct Run {
    process: Process,
    socket: PingSocket,
    target: IpAddr,
    stats: Stats,
    options: Options,
}

enum Happened {
    Signal,
    Answer(std::io::Result<PingReply>),
    Time,
}

impl Run {
    async fn go(mut self) -> i32 {
        let size = self.options.size;
        let head = format!(
            "PING {} ({}) {size}({}) bytes of data.\n",
            self.options.host,
            self.target,
            size + 28
        );
        self.process.print(&head).await;
        let started = self.process.now();
        let deadline = self.options.deadline.map(|d| started + d);
        let mut next_send = Some(started);
        let mut give_up = Instant::FAR_FUTURE;
        loop {
            let now = self.process.now();
            if now >= give_up || deadline.is_some_and(|d| now >= d) {
                break;
            }
            if next_send.is_some_and(|at| now >= at) {
                self.send().await;
                let more = self.options.count.is_none_or(|c| self.stats.sent() < c);
                next_send = more.then(|| now + self.options.interval);
                if !more {
                    give_up = now + self.last_wait();
                }
                continue;
            }
            if next_send.is_none() && self.stats.is_settled() {
                break;
            }
            let until = next_send.unwrap_or(give_up).min(deadline.unwrap_or(Instant::FAR_FUTURE));
            match self.happens(until).await {
                Happened::Signal => break,
                Happened::Answer(Ok(reply)) => self.answered(reply).await,
                Happened::Answer(Err(e)) => self.failed(&e).await,
                Happened::Time => {}
            }
        }
        let summary = self.stats.summary(&self.options.host);
        self.process.print(&summary).await;
        let (sent, received) = (self.stats.sent(), self.stats.received());
        let short = deadline.is_some() && self.options.count.is_some_and(|c| received < c);
        i32::from(received == 0 && sent > 0 || short)
    }

    /// What happens next until `until`; at the same instant a signal comes first, time last.
    async fn happens(&self, until: Instant) -> Happened {
        let mut interrupt = pin!(self.process.catch(&[signal::INT]));
        let mut timer: Sleep = self.process.sleep_until(until);
        poll_fn(|cx| {
            if interrupt.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Happened::Signal);
            }
            if let Poll::Ready(answer) = self.socket.poll_recv(cx) {
                return Poll::Ready(Happened::Answer(answer));
            }
            std::pin::Pin::new(&mut timer).poll(cx).map(|()| Happened::Time)
        })
        .await
    }

    /// After the last request: twice the longest round trip and at least an interval, or `-W`.
    fn last_wait(&self) -> Duration {
        if let Some(wait) = self.options.wait {
            wait
        } else if self.stats.received() > 0 {
            (self.stats.longest() * 2).max(self.options.interval)
        } else {
            LAST_WAIT
        }
    }

    async fn send(&mut self) {
        let now = self.process.now();
        let seq = self.stats.send(now);
        let mut data: Vec<u8> = (0..self.options.size).map(|i| i as u8).collect();
        if let Some(stamp) = data.get_mut(..8) {
            stamp.copy_from_slice(&now.as_nanos().to_be_bytes());
        }
        if let Err(e) = self.socket.send_to(self.target, seq as u16, &data).await {
            let text = if errno(&e) == Some(Errno::EMSGSIZE) {
                let mtu = self.process.with_stack(|stack, cx| stack.path_mtu(cx.now, self.target));
                format!("ping: local error: message too long, mtu={mtu}\n")
            } else {
                format!("ping: sendmsg: {e}\n")
            };
            self.process.eprint(&text).await;
            self.stats.error(Some(seq as u16), now);
        }
    }

    async fn answered(&mut self, reply: PingReply) {
        let timed = reply.payload.len() >= STAMP;
        let now = self.process.now();
        let Some(answer) = self.stats.reply(reply.seq, now, timed) else { return };
        if self.options.quiet {
            return;
        }
        let named = !self.options.numeric
            && reply.from == self.target
            && self.options.host.parse::<IpAddr>().is_err();
        let from = if named {
            format!("{} ({})", self.options.host, reply.from)
        } else {
            reply.from.to_string()
        };
        let bytes = reply.payload.len() + 8;
        let time =
            if timed { format!(" time={} ms", round_trip(answer.time)) } else { String::new() };
        let duplicate = if answer.duplicate { " (DUP!)" } else { "" };
        let (seq, ttl) = (answer.seq, reply.ttl);
        let text =
            format!("{bytes} bytes from {from}: icmp_seq={seq} ttl={ttl}{time}{duplicate}\n");
        self.process.print(&text).await;
    }

    /// Tells of every error that has come in; several requests can fail at once.
    async fn failed(&mut self, e: &std::io::Error) {
        let now = self.process.now();
        let mut told = false;
        while let Some(report) = self.socket.take_icmp_error() {
            told = true;
            let seq = self.stats.error(Some(report.seq), now);
            self.say(&format!("From {} icmp_seq={seq} {}\n", report.from, describe(&report))).await;
        }
        if !told {
            let seq = self.stats.error(None, now);
            let own = self.process.with_stack(|stack, _| stack.source_for(self.target));
            let own = own.map_or_else(|_| "?".to_owned(), |(_, source, _)| source.to_string());
            self.say(&format!("From {own} icmp_seq={seq} {e}\n")).await;
        }
    }

    async fn say(&self, text: &str) {
        if !self.options.quiet {
            self.process.print(text).await;
        }
    }
}

/// RFC 792 and RFC 1812 §5.2.7.1 in ping's words.
fn describe(e: &IcmpError) -> String {
    let known = match (e.kind, e.code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 4) => return format!("Frag needed and DF set (mtu = {})", e.mtu.unwrap_or(0)),
        (3, 5) => "Source Route Failed",
        (3, 6) => "Destination Net Unknown",
        (3, 7) => "Destination Host Unknown",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 13) => "Packet filtered",
        (11, 0) => "Time to live exceeded",
        (11, 1) => "Frag reassembly time exceeded",
        (12, _) => "Parameter problem",
        (kind, code) => return format!("Bad ICMP type: {kind}, code: {code}"),
    };
    known.to_owned()
}
