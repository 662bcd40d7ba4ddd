//! A socket of Linux behind a TAP.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use netarium_stack::Errno;
use netarium_tap::{Netns, Tap, TapSpec};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Arp, Frame, IpHeader, Network, Payload, TcpFlags};
use nix::poll::{PollFd, PollFlags, poll};
use socket2::{Domain, SockAddr, Socket, Type};

use super::common::{KERNEL_MAC, OUR_MAC};
use super::generate::{Seg, Step, View};
use super::sides::{Answer, HOST, Numbers, PEER, PORT, Reply, Side, arp_from_peer};

/// Milliseconds after which Linux should have answered an echo request.
const PATIENCE: u16 = 10_000;

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
                let woken = poll(&mut fds, PATIENCE).expect("can wait");
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
