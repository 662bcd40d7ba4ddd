//! The two sides: a socket of Linux behind a TAP, and one of ours in virtual time.

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::{Errno, Shutdown, SocketKind, Stack, StackConfig};
use netarium_tap::{Netns, Tap, TapSpec};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{
    Arp, Frame, IpHeader, Network, Payload, TcpFlags, TcpHeader, TcpOption, TcpOptions,
};
use nix::poll::{PollFd, PollFlags, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use super::common::{KERNEL_MAC, OUR_MAC};
use super::generate::{Seg, Step, View};

/// The host under test, on either side, and its port.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const PORT: u16 = 5_001;
/// The peer that the script plays.
const PEER: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// The peer's initial sequence number: its numbers pass zero.
const IRS: u32 = 0xffff_fff0;
const SECOND: i32 = 1000;

/// A segment of the host, with numbers relative to the initial ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) flags: TcpFlags,
    pub(crate) seq: u32,
    /// 0 without ACK.
    pub(crate) ack: u32,
    pub(crate) len: usize,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    /// Kinds of options, but for padding; MSS and shift with their values.
    pub(crate) options: String,
    /// It acknowledges more than any before.
    pub(crate) news: bool,
}

impl Answer {
    /// Equal but for the window, which must be zero for both or for none, and for whether data is
    /// pushed.
    pub(crate) fn is_like(&self, other: &Answer) -> bool {
        let pushed = if self.len > 0 { TcpFlags::PSH } else { TcpFlags::empty() };
        (self.window == 0) == (other.window == 0)
            && (self.flags | pushed, self.seq, self.ack)
                == (other.flags | pushed, other.seq, other.ack)
            && (self.len, self.urgent) == (other.len, other.urgent)
            && self.options == other.options
    }

    /// A pure acknowledgement of new data in order, of which the timing is nobody's business.
    fn is_timing(&self) -> bool {
        let plain = self.flags == TcpFlags::ACK && self.len == 0 && !self.options.contains("sack");
        self.news && plain
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { flags, seq, ack, len, window, urgent, options, .. } = self;
        let (seq, ack) = (*seq as i32, *ack as i32);
        write!(f, "{flags} {seq}({len}) ack {ack} win {window} <{options}>")?;
        if *urgent > 0 { write!(f, " urg {urgent}") } else { Ok(()) }
    }
}

/// What a step led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// Of a call: bytes, or minus the number of the error.
    pub(crate) result: Option<i64>,
    pub(crate) segments: Vec<Answer>,
    /// The host has acknowledged a FIN of the peer.
    pub(crate) fin_received: bool,
    /// The connection is one that the host began.
    pub(crate) connects: bool,
    /// The host's program has closed it, and the peer has acknowledged the FIN of that.
    pub(crate) is_left: bool,
    /// The host's next expected number.
    pub(crate) expects: u32,
}

impl Reply {
    /// The host, which connects, answers a SYN that crossed its own.
    pub(crate) fn crosses_syns(&self) -> bool {
        let syn_ack = TcpFlags::SYN | TcpFlags::ACK;
        self.connects && self.segments.iter().any(|s| s.flags.contains(syn_ack))
    }

    /// What the last of the pure acknowledgements of new data acknowledges.
    pub(crate) fn timed_ack(&self) -> Option<u32> {
        self.segments.iter().rfind(|s| s.is_timing()).map(|s| s.ack)
    }

    /// The segments without pure acknowledgements of new data.
    pub(crate) fn without_timing(&self) -> Vec<&Answer> {
        self.segments.iter().filter(|s| !s.is_timing()).collect()
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(result) = self.result {
            write!(f, "= {result} ")?;
        }
        let all: Vec<String> = self.segments.iter().map(Answer::to_string).collect();
        write!(f, "[{}]", all.join(" | "))
    }
}

/// Who takes the steps of a script.
pub(crate) trait Side {
    /// Takes one step; what it led to.
    fn take(&mut self, step: &Step) -> Reply;
}

/// Numbers of one connection as the peer knows them.
#[derive(Debug, Default)]
struct Numbers {
    peer_port: u16,
    /// The host's initial sequence number, once seen.
    iss: Option<u32>,
    /// The host's last TSval.
    tsval: u32,
    view: View,
    /// The peer sent a FIN in order.
    fin: bool,
    connects: bool,
    closed: bool,
    /// What acknowledges the host's FIN.
    fin_end: Option<u32>,
    fin_acked: bool,
}

impl Numbers {
    fn note(&mut self, step: &Step) {
        self.connects |= matches!(step, Step::Connect);
        self.closed |= matches!(step, Step::Close);
    }

    fn reply(&self, result: Option<i64>, segments: Vec<Answer>) -> Reply {
        let Numbers { fin: fin_received, connects, closed, fin_acked, .. } = *self;
        Reply {
            result,
            segments,
            fin_received,
            connects,
            is_left: closed && fin_acked,
            expects: self.view.seq,
        }
    }

    fn frame(&mut self, seg: &Seg) -> Box<Frame> {
        self.fin |= seg.flags.contains(TcpFlags::FIN);
        self.fin_acked |= seg.flags.contains(TcpFlags::ACK) && self.fin_end == Some(seg.ack);
        let iss = self.iss.unwrap_or(0);
        let mut options = TcpOptions::new();
        if let Some(mss) = seg.mss {
            options.push(TcpOption::Mss(mss));
        }
        if seg.sack_permitted {
            options.push(TcpOption::SackPermitted);
        }
        if let Some(shift) = seg.window_scale {
            options.push(TcpOption::WindowScale(shift));
        }
        if let Some(tsval) = seg.timestamp {
            options.push(TcpOption::Timestamps(tsval, self.tsval));
        }
        if let Some((from, to)) = seg.sack {
            let ends = [from, to].map(|n| n.wrapping_add(iss).to_be_bytes());
            options.push(TcpOption::Sack(&ends.concat()));
        }
        let has_ack = seg.flags.contains(TcpFlags::ACK);
        let header = TcpHeader {
            src_port: self.peer_port,
            dst_port: PORT,
            seq: seg.seq.wrapping_add(IRS),
            ack: if has_ack { seg.ack.wrapping_add(iss) } else { 0 },
            flags: seg.flags,
            window: seg.window,
            urgent: seg.urgent,
        };
        let ip = IpHeader::new(PEER.into(), HOST.into());
        let mut frame = header.frame(&ip, &options, Payload::copy_from(&vec![b'x'; seg.len]));
        frame.set_macs(KERNEL_MAC, OUR_MAC);
        frame
    }

    /// Reads a segment of the host; `None` when it is of another connection.
    fn read(&mut self, frame: &Frame) -> Option<Answer> {
        let tcp = TcpHeader::of(frame)?;
        if tcp.dst_port != self.peer_port || tcp.src_port != PORT {
            return None;
        }
        let (syn, ack) = (tcp.flags.contains(TcpFlags::SYN), tcp.flags.contains(TcpFlags::ACK));
        if syn {
            // Of a later connection between the same ends, too.
            self.iss = Some(tcp.seq);
        }
        let len = frame.payload().len();
        let mut options = self.options(frame);
        if tcp.flags.contains(TcpFlags::RST) {
            // Nobody reads those.
            options.clear();
        }
        let answer = Answer {
            flags: tcp.flags,
            // A RST for what has no ACK has the number 0, absolutely.
            seq: if tcp.seq == 0 { 0 } else { tcp.seq.wrapping_sub(self.iss.unwrap_or(0)) },
            ack: if ack { tcp.ack.wrapping_sub(IRS) } else { 0 },
            len,
            window: tcp.window,
            urgent: tcp.urgent,
            options,
            news: ack && tcp.ack.wrapping_sub(IRS).wrapping_sub(self.view.seq) as i32 > 0,
        };
        if !tcp.flags.contains(TcpFlags::RST) {
            let ends = len as u32 + u32::from(syn) + u32::from(tcp.flags.contains(TcpFlags::FIN));
            let end = answer.seq.wrapping_add(ends);
            if tcp.flags.contains(TcpFlags::FIN) {
                self.fin_end = Some(end);
            }
            if end.wrapping_sub(self.view.ack) as i32 > 0 {
                self.view.ack = end;
            }
            if ack {
                self.view.seq = answer.ack;
            }
        }
        Some(answer)
    }

    fn options(&mut self, frame: &Frame) -> String {
        let iss = IRS;
        let mut texts = Vec::new();
        for option in TcpHeader::options_of(frame) {
            texts.push(match option {
                TcpOption::Nop | TcpOption::End => continue,
                TcpOption::Mss(mss) => format!("mss {mss}"),
                TcpOption::WindowScale(shift) => format!("ws {shift}"),
                TcpOption::SackPermitted => "sackOK".to_owned(),
                TcpOption::Timestamps(val, _) => {
                    self.tsval = val;
                    "ts".to_owned()
                }
                TcpOption::Sack(blocks) => {
                    let number = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
                    let block = |b: &[u8]| {
                        let [from, to] =
                            [&b[..4], &b[4..]].map(|n| number(n).wrapping_sub(iss) as i32);
                        format!("{from}-{to}")
                    };
                    let blocks: Vec<String> = blocks.chunks_exact(8).map(block).collect();
                    format!("sack {}", blocks.join(","))
                }
                TcpOption::Unknown(kind, _) => format!("kind {kind}"),
            });
        }
        texts.join(" ")
    }
}

fn arp_from_peer(operation: u16) -> Box<Frame> {
    let arp =
        Arp { operation, sender_mac: OUR_MAC, sender: PEER, target_mac: KERNEL_MAC, target: HOST };
    let mut frame = arp.frame(KERNEL_MAC);
    frame.set_macs(KERNEL_MAC, OUR_MAC);
    frame
}

/// A socket of ours.
pub(crate) struct Ours {
    stack: Stack,
    eth0: IfIndex,
    now: Instant,
    tracer: Tracer,
    numbers: Numbers,
    listener: Option<SocketId>,
    socket: Option<SocketId>,
}

impl Ours {
    pub(crate) fn new(peer_port: u16) -> Ours {
        let mut stack = Stack::new(StackConfig {
            node: NodeId(1),
            name: "host".to_owned(),
            seed: Seed(u64::from(peer_port)),
            forwarding: false,
        });
        let config = stack.tcp_config_mut();
        config.invalid_ratelimit = Duration::ZERO;
        config.challenge_ack_limit = u32::MAX;
        let eth0 = stack.add_interface("eth0", KERNEL_MAC, 1500);
        stack.add_address(eth0, format!("{HOST}/24").parse().expect("an address"));
        let mut ours = Ours {
            stack,
            eth0,
            now: Instant::ZERO + Duration::from_secs(100),
            tracer: Tracer::new(0),
            numbers: Numbers { peer_port, ..Numbers::default() },
            listener: None,
            socket: None,
        };
        ours.arrive(arp_from_peer(Arp::REQUEST));
        ours
    }

    /// What it would be right to send to it.
    pub(crate) fn view(&self) -> View {
        self.numbers.view
    }

    fn arrive(&mut self, frame: Box<Frame>) -> Vec<Answer> {
        let eth0 = self.eth0;
        self.on(|stack, cx, _| stack.handle_frame(cx, eth0, frame)).1
    }

    /// Something happens; its result, and the segments that leave.
    fn on<R>(
        &mut self,
        f: impl FnOnce(&mut Stack, &mut Ctx<'_>, &mut Option<SocketId>) -> R,
    ) -> (R, Vec<Answer>) {
        self.now = self.now + Duration::from_micros(20);
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.tracer);
        let result = f(&mut self.stack, &mut cx, &mut self.socket);
        while self.stack.poll_event().is_some() {}
        let mut answers = Vec::new();
        while let Some((_, frame)) = self.stack.poll_transmit() {
            answers.extend(self.numbers.read(&frame));
        }
        (result, answers)
    }

    fn call(&mut self, step: &Step) -> (Result<i64, Errno>, Vec<Answer>) {
        let (listener, peer_port) = (&mut self.listener.take(), self.numbers.peer_port);
        let mut slot = *listener;
        let result = self.on(|s, cx, socket| match step {
            Step::Listen => {
                let id = s.socket(SocketKind::Tcp, Pid(7))?;
                s.bind(id, SocketAddr::from((HOST, PORT)))?;
                s.listen(cx, id, 8)?;
                slot = Some(id);
                Ok(0)
            }
            Step::Connect => {
                let id = s.socket(SocketKind::Tcp, Pid(7))?;
                s.bind(id, SocketAddr::from((HOST, PORT)))?;
                *socket = Some(id);
                s.connect(cx, id, SocketAddr::from((PEER, peer_port))).map(|()| 0)
            }
            Step::Accept => match slot {
                Some(listener) if socket.is_none() => {
                    *socket = Some(s.accept(cx, listener)?.0);
                    Ok(0)
                }
                _ => Ok(0),
            },
            Step::Read(n) => {
                let id = socket.ok_or(Errno::EBADF)?;
                s.recv(cx, id, &mut vec![0; *n]).map(|n| n as i64)
            }
            Step::Write(n) => {
                let id = socket.ok_or(Errno::EBADF)?;
                s.send(cx, id, &vec![b'y'; *n]).map(|n| n as i64)
            }
            Step::Shutdown => {
                let id = socket.ok_or(Errno::EBADF)?;
                s.shutdown(cx, id, Shutdown::Write).map(|()| 0)
            }
            Step::Close => {
                let id = socket.take().ok_or(Errno::EBADF)?;
                s.close(cx, id).map(|()| 0)
            }
            Step::Segment(_) => Ok(0),
        });
        self.listener = slot;
        result
    }
}

impl Side for Ours {
    fn take(&mut self, step: &Step) -> Reply {
        if let Step::Segment(seg) = step {
            let frame = self.numbers.frame(seg);
            let segments = self.arrive(frame);
            return self.numbers.reply(None, segments);
        }
        self.numbers.note(step);
        let (result, segments) = self.call(step);
        let result = result.unwrap_or_else(|e| -i64::from(e.code()));
        self.numbers.reply(Some(result), segments)
    }
}

/// A socket of Linux.
pub(crate) struct Linux {
    netns: Netns,
    tap: Tap,
    numbers: Numbers,
    listener: Option<Socket>,
    socket: Option<Socket>,
    /// The number of the last echo request.
    echo: u16,
}

impl Linux {
    pub(crate) fn new(netns: Netns) -> Linux {
        for (name, value) in [
            ("net.ipv4.tcp_invalid_ratelimit", "0"),
            ("net.ipv4.tcp_challenge_ack_limit", "2147483647"),
            ("net.ipv4.tcp_no_metrics_save", "1"),
            ("net.ipv4.tcp_fastopen", "0"),
            ("net.ipv4.tcp_syncookies", "0"),
            // Ours; newer kernels have larger ones, and other shifts of the window.
            ("net.ipv4.tcp_rmem", "4096 131072 6291456"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304"),
        ] {
            netns.sysctl(name, value).unwrap_or_else(|e| panic!("{e}"));
        }
        let address = format!("{HOST}/24").parse().ok();
        let spec = TapSpec { mac: Some(KERNEL_MAC), address, ..TapSpec::default() };
        let tap = netns.tap(&spec).unwrap_or_else(|e| panic!("{e}"));
        Linux { netns, tap, numbers: Numbers::default(), listener: None, socket: None, echo: 0 }
    }

    /// What it would be right to send to it.
    pub(crate) fn view(&self) -> View {
        self.numbers.view
    }

    /// Begins with a connection to another port.
    pub(crate) fn begin(&mut self, peer_port: u16) {
        self.numbers = Numbers { peer_port, ..Numbers::default() };
    }

    /// Ends whatever there is, unseen.
    pub(crate) fn end(&mut self) {
        for socket in [self.socket.take(), self.listener.take()].into_iter().flatten() {
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        }
        self.answers();
        // What is left of it in the kernel answers to nobody any more.
        let reset = Seg { flags: TcpFlags::RST, seq: self.numbers.view.seq, ..Seg::default() };
        let reset = self.numbers.frame(&reset);
        self.put(reset);
        self.answers();
    }

    fn put(&mut self, frame: Box<Frame>) {
        self.tap.send(&mut VecDeque::from([frame])).expect("the TAP works");
    }

    /// What has come back so far: everything before the answer to an echo request.
    fn answers(&mut self) -> Vec<Answer> {
        self.echo = self.echo.wrapping_add(1);
        let ip = IpHeader::new(PEER.into(), HOST.into());
        let mut request = Icmp::echo(kind::ECHO_REQUEST, 77, self.echo).frame(&ip, Payload::new());
        request.set_macs(KERNEL_MAC, OUR_MAC);
        self.put(request);
        let (mut frames, mut answers) = (VecDeque::new(), Vec::new());
        loop {
            if !self.tap.receive(&mut frames).expect("the TAP works") {
                let mut fds = [PollFd::new(self.tap.as_fd(), PollFlags::POLLIN)];
                let woken = poll(&mut fds, 10 * SECOND as u16).expect("can wait");
                assert!(woken > 0, "Linux does not answer an echo request");
            }
            while let Some(frame) = frames.pop_front() {
                match frame.meta.layers.network {
                    Network::Arp => self.put(arp_from_peer(Arp::REPLY)),
                    _ if Icmp::of(&frame).is_some_and(|i| i.seq() == self.echo) => return answers,
                    _ => answers.extend(self.numbers.read(&frame)),
                }
            }
        }
    }

    fn open(&self) -> std::io::Result<Socket> {
        let socket = self.netns.run(|| Socket::new(Domain::IPV4, Type::STREAM, None))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(SocketAddr::from((HOST, PORT))))?;
        Ok(socket)
    }

    fn call(&mut self, step: &Step) -> std::io::Result<i64> {
        let none = || std::io::Error::from_raw_os_error(Errno::EBADF.code());
        match step {
            Step::Listen => {
                let socket = self.open()?;
                socket.listen(8)?;
                self.listener = Some(socket);
                Ok(0)
            }
            Step::Connect => {
                let socket = self.open()?;
                let to = SocketAddr::from((PEER, self.numbers.peer_port));
                let result = socket.connect(&to.into());
                self.socket = Some(socket);
                result.map(|()| 0)
            }
            Step::Accept => match &self.listener {
                Some(listener) if self.socket.is_none() => {
                    let (socket, _) = listener.accept()?;
                    socket.set_nonblocking(true)?;
                    self.socket = Some(socket);
                    Ok(0)
                }
                _ => Ok(0),
            },
            Step::Read(n) => {
                use std::io::Read;
                let mut socket = self.socket.as_ref().ok_or_else(none)?;
                socket.read(&mut vec![0; *n]).map(|n| n as i64)
            }
            Step::Write(n) => {
                let socket = self.socket.as_ref().ok_or_else(none)?;
                socket.send(&vec![b'y'; *n]).map(|n| n as i64)
            }
            Step::Shutdown => {
                let socket = self.socket.as_ref().ok_or_else(none)?;
                socket.shutdown(std::net::Shutdown::Write).map(|()| 0)
            }
            Step::Close => self.socket.take().map(|_| 0).ok_or_else(none),
            Step::Segment(_) => Ok(0),
        }
    }
}

impl Side for Linux {
    fn take(&mut self, step: &Step) -> Reply {
        if let Step::Segment(seg) = step {
            let frame = self.numbers.frame(seg);
            self.put(frame);
            let segments = self.answers();
            return self.numbers.reply(None, segments);
        }
        self.numbers.note(step);
        let result = self.call(step);
        let result = result.unwrap_or_else(|e| -i64::from(e.raw_os_error().unwrap_or(0)));
        let segments = self.answers();
        self.numbers.reply(Some(result), segments)
    }
}
