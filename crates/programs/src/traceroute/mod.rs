//! `traceroute`: which routers a packet passes, found out by packets that live for one hop, two,
//! three… and by whose errors come back.
//!
//! As in the original, 16 probes are on their way at once, and hops are told in order.

mod options;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use netarium_base::{Duration, Instant};
use netarium_stack::{IcmpError, MtuDiscover, SocketOption};
use netarium_world::process::{LocalBoxFuture, PingSocket, Process, Sleep, UdpSocket};

use options::{Options, Usage};

const USAGE: &str = "\
Usage:
  traceroute [ -nIF ] [ -f first_ttl ] [ -m max_ttl ] [ -N squeries ] [ -p port ]
      [ -q nqueries ] [ -w waittime ] host [ packetlen ]
Options:
  -F                  Do not fragment packets
  -f first_ttl        Start from the first_ttl hop (instead from 1)
  -I                  Use ICMP ECHO for tracerouting
  -m max_ttl          Set the max number of hops (default 30)
  -N squeries         Set the number of probes to be tried simultaneously (default 16)
  -n                  Do not resolve IP addresses to their domain names
  -p port             Set the destination port to use (default 33434, incremented by each probe)
  -q nqueries         Set the number of probes per each hop (default 3)
  -w waittime         Wait for a probe no more than waittime seconds (default 5)
  -V                  Print version info and exit
      host            The host to traceroute to
      packetlen       The full packet length (default 60)
";

/// Bytes of the IP header and of UDP's or ICMP's.
const HEADERS: usize = 28;

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
            let host = &options.host;
            let why = failed.map_or_else(|e| e.text(), |_| "Name or service not known");
            let text = format!(
                "{host}: {why}\nCannot handle \"host\" cmdline arg `{host}' on position 1 (argc {})\n",
                args.len().saturating_sub(1)
            );
            process.eprint(&text).await;
            return 2;
        }
    };
    let head = format!(
        "traceroute to {} ({target}), {} hops max, {} byte packets\n",
        options.host, options.max, options.length
    );
    process.print(&head).await;
    Trace { process, target, next: 0, flying: VecDeque::new(), last: None, options }.go().await
}

async fn complain(process: &Process, usage: Usage) -> i32 {
    match usage {
        Usage::Help => {
            process.print(USAGE).await;
            0
        }
        Usage::Version => {
            process.print("Modern traceroute for Linux, version 2.1.2 (netarium)\n").await;
            0
        }
        Usage::Option(e) => {
            process.eprint(&format!("{}\n", e.gnu())).await;
            2
        }
        Usage::Wrong(text) => {
            process.eprint(&format!("{text}\n")).await;
            2
        }
    }
}

enum Socket {
    Udp(UdpSocket),
    Icmp(PingSocket),
}

/// A probe on its way, or answered and not told yet.
struct Probe {
    ttl: u8,
    socket: Socket,
    sent: Instant,
    patience: Sleep,
    outcome: Option<Outcome>,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Answer { from: IpAddr, after: Duration, mark: Mark, last: bool },
    Silence,
}

/// What stands behind the time.
#[derive(Clone, Copy, Debug)]
enum Mark {
    None,
    Letter(char),
    Mtu(u16),
    Code(u8),
}

struct Trace {
    process: Process,
    target: IpAddr,
    /// The number of the next probe.
    next: usize,
    flying: VecDeque<Probe>,
    /// The hop that answered as the last one.
    last: Option<u8>,
    options: Options,
}

impl Trace {
    async fn go(mut self) -> i32 {
        let mut line = String::new();
        let mut shown: Option<IpAddr> = None;
        loop {
            while self.flying.len() < self.options.at_once && self.has_more() {
                if let Err(e) = self.send().await {
                    self.process.print(&line).await;
                    self.process.eprint(&format!("\nsend: {e}\n")).await;
                    return 1;
                }
            }
            let Some(first) = self.flying.front() else { break };
            let (ttl, Some(outcome)) = (first.ttl, first.outcome) else {
                if self.wait().await { continue } else { return 130 }
            };
            self.flying.pop_front();
            if line.is_empty() {
                let _ = write!(line, "{ttl:2} ");
                shown = None;
            }
            self.tell(outcome, &mut shown, &mut line);
            // A hop's probes follow each other; its line ends with the last of them.
            if self.flying.front().is_none_or(|p| p.ttl != ttl) && !self.has_more_for(ttl) {
                line.push('\n');
                self.process.print(&line).await;
                line.clear();
                if self.last == Some(ttl) {
                    break;
                }
            }
        }
        0
    }

    fn ttl_of(&self, probe: usize) -> usize {
        usize::from(self.options.first) + probe / self.options.queries
    }

    fn has_more(&self) -> bool {
        let ttl = self.ttl_of(self.next);
        ttl <= self.options.max.into() && self.last.is_none_or(|last| ttl <= last.into())
    }

    fn has_more_for(&self, ttl: u8) -> bool {
        self.has_more() && self.ttl_of(self.next) == usize::from(ttl)
    }

    async fn send(&mut self) -> std::io::Result<()> {
        let probe = self.next;
        self.next += 1;
        let ttl = self.ttl_of(probe) as u8;
        let data = vec![b'@'; self.options.length.saturating_sub(HEADERS)];
        let mtu = if self.options.dont_fragment { MtuDiscover::Probe } else { MtuDiscover::Dont };
        let options = [SocketOption::Ttl(ttl), SocketOption::MtuDiscover(mtu)];
        let socket = if self.options.icmp {
            let socket = PingSocket::new(&self.process)?;
            options.into_iter().try_for_each(|o| socket.set_option(o))?;
            socket.send_to(self.target, probe as u16, &data).await?;
            Socket::Icmp(socket)
        } else {
            let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            let socket = UdpSocket::bind(&self.process, any)?;
            options.into_iter().try_for_each(|o| socket.set_option(o))?;
            let port = self.options.port.wrapping_add(probe as u16);
            socket.connect(SocketAddr::new(self.target, port))?;
            socket.send(&data).await?;
            Socket::Udp(socket)
        };
        let sent = self.process.now();
        let patience = self.process.sleep_until(sent + self.options.wait);
        self.flying.push_back(Probe { ttl, socket, sent, patience, outcome: None });
        Ok(())
    }

    /// Waits until something becomes of a probe. False: a signal came first.
    async fn wait(&mut self) -> bool {
        let mut signal = std::pin::pin!(self.process.terminated());
        let (target, process) = (self.target, &self.process);
        let (flying, last) = (&mut self.flying, &mut self.last);
        poll_fn(|cx| {
            if signal.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            let mut news = false;
            for probe in flying.iter_mut().filter(|p| p.outcome.is_none()) {
                probe.outcome = probe.poll(cx, target, process.now());
                news |= probe.outcome.is_some();
                if let Some(Outcome::Answer { last: true, .. }) = probe.outcome {
                    *last = Some(last.map_or(probe.ttl, |l| l.min(probe.ttl)));
                }
            }
            if news { Poll::Ready(true) } else { Poll::Pending }
        })
        .await
    }

    fn tell(&self, outcome: Outcome, shown: &mut Option<IpAddr>, line: &mut String) {
        let Outcome::Answer { from, after, mark, .. } = outcome else {
            line.push_str(" *");
            return;
        };
        if *shown != Some(from) {
            *shown = Some(from);
            let _ = match self.options.numeric {
                true => write!(line, " {from} "),
                false => write!(line, " {} ({from}) ", self.name_of(from)),
            };
        }
        let us = after.as_nanos() / 1000;
        let _ = write!(line, " {}.{:03} ms", us / 1000, us % 1000);
        let _ = match mark {
            Mark::None => Ok(()),
            Mark::Letter(letter) => write!(line, " !{letter}"),
            Mark::Mtu(mtu) => write!(line, " !F-{mtu}"),
            Mark::Code(code) => write!(line, " !<{code}>"),
        };
    }

    /// The name that was asked for, when this is its address; otherwise the address itself.
    fn name_of(&self, address: IpAddr) -> String {
        if address == self.target { self.options.host.clone() } else { address.to_string() }
    }
}

impl Probe {
    fn poll(&mut self, cx: &mut Context<'_>, target: IpAddr, now: Instant) -> Option<Outcome> {
        let after = now.since(self.sent);
        let answer = |from, mark, last| Some(Outcome::Answer { from, after, mark, last });
        let failed = match &self.socket {
            Socket::Udp(socket) => match socket.poll_recv_from(cx, &mut [0; 1]) {
                Poll::Ready(Ok((_, meta))) => return answer(meta.from.ip(), Mark::None, true),
                Poll::Ready(Err(_)) => socket.take_icmp_error(),
                Poll::Pending => None,
            },
            Socket::Icmp(socket) => match socket.poll_recv(cx) {
                Poll::Ready(Ok(reply)) => return answer(reply.from, Mark::None, true),
                Poll::Ready(Err(_)) => socket.take_icmp_error(),
                Poll::Pending => None,
            },
        };
        if let Some(error) = failed {
            let (mark, last) = meaning(&error, target);
            return answer(error.from, mark, last);
        }
        Pin::new(&mut self.patience).poll(cx).is_ready().then_some(Outcome::Silence)
    }
}

/// What an error says, and whether the way ends there.
fn meaning(e: &IcmpError, target: IpAddr) -> (Mark, bool) {
    match (e.kind, e.code) {
        (11, _) => (Mark::None, e.from == target),
        (3, 3) => (Mark::None, true),
        (3, 0 | 6 | 8 | 11) => (Mark::Letter('N'), true),
        (3, 1 | 7 | 12) => (Mark::Letter('H'), true),
        (3, 2) => (Mark::Letter('P'), true),
        (3, 4) => (Mark::Mtu(e.mtu.unwrap_or(0)), true),
        (3, 5) => (Mark::Letter('S'), true),
        (3, 9 | 10 | 13) => (Mark::Letter('X'), true),
        (3, 14) => (Mark::Letter('V'), true),
        (3, 15) => (Mark::Letter('C'), true),
        (_, code) => (Mark::Code(code), true),
    }
}
