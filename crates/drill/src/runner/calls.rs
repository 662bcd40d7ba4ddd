//! System calls: which there are, and those about sockets as such.

use std::net::{Ipv4Addr, SocketAddr};

use netarium_base::{Duration, SocketId};
use netarium_stack::{Errno, Readiness, Shutdown, SocketKind};

use super::consts;
use super::pending::{Pending, Try, returned, wait_for};
use super::poll::Epoll;
use super::{Runner, Step, Stop, differs};
use crate::script::{Action, Call, Expr, Script};

/// A file descriptor of the program.
#[derive(Clone, Debug)]
pub(super) struct Fd {
    pub(super) object: Object,
    pub(super) nonblocking: bool,
}

/// What a descriptor stands for.
#[derive(Clone, Debug)]
pub(super) enum Object {
    Socket(Sock),
    Epoll(Epoll),
}

/// What the runner knows of a socket beyond the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sock {
    pub(super) id: SocketId,
    /// SO_RCVTIMEO and SO_SNDTIMEO.
    pub(super) recv_timeout: Option<Duration>,
    pub(super) send_timeout: Option<Duration>,
    /// TCP_INQ: `recvmsg` tells how much is left.
    pub(super) inq: bool,
    /// SO_LINGER, for a `close` that waits.
    pub(super) linger: Option<Duration>,
    /// IP_LOCAL_PORT_RANGE: the ports that `connect` chooses from.
    pub(super) ports: Option<(u16, u16)>,
    /// A `connect` was begun and its success not yet told.
    pub(super) connecting: bool,
}

/// The calls that are understood.
const CALLS: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "close",
    "connect",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "fcntl",
    "getpeername",
    "getsockname",
    "getsockopt",
    "ioctl",
    "listen",
    "poll",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "recvmsg",
    "send",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socket",
    "write",
    "writev",
];

/// Why a script cannot be run: a call or a word that is left out.
pub(super) fn left_out(script: &Script) -> Option<String> {
    script.events.iter().find_map(|event| {
        let Action::Call(call) = &event.action else { return None };
        if !CALLS.contains(&call.name.as_str()) {
            return Some(format!("line {}: the call {}", event.line, call.name));
        }
        let word = call.args.iter().find_map(unsupported_word);
        word.map(|why| format!("line {}: {why}", event.line))
    })
}

fn unsupported_word(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Word(word) => consts::unsupported(word),
        Expr::List(list) | Expr::Call(_, list) => list.iter().find_map(unsupported_word),
        Expr::Struct(fields) => fields.iter().find_map(|f| unsupported_word(&f.value)),
        Expr::Op(_, a, b) => unsupported_word(a).or_else(|| unsupported_word(b)),
        _ => None,
    }
}

impl Runner {
    /// Makes a call, or tries again to.
    pub(super) fn attempt(&mut self, call: &Call, pending: &mut Pending) -> Step<Try> {
        match call.name.as_str() {
            "socket" => self.socket(call),
            "bind" => self.bind(call),
            "listen" => self.listen(call),
            "accept" | "accept4" => self.accept(call, pending),
            "connect" => self.connect(call, pending),
            "close" => self.close(call, pending),
            "shutdown" => self.shutdown(call),
            "fcntl" => self.fcntl(call),
            "getsockname" | "getpeername" => self.names(call),
            "ioctl" => self.ioctl(call),
            "getsockopt" => self.getsockopt(call),
            "setsockopt" => self.setsockopt(call),
            "poll" => self.poll(call, pending),
            "epoll_create" | "epoll_create1" => self.epoll_create(call),
            "epoll_ctl" => self.epoll_ctl(call),
            "epoll_wait" => self.epoll_wait(call, pending),
            _ => self.transfer(call, pending),
        }
    }

    fn socket(&mut self, call: &Call) -> Step<Try> {
        let kind = match self.arg(call, 1)? {
            Expr::Ellipsis => 1,
            other => self.int(other)?,
        };
        let protocol = if call.args.len() > 2 { self.int_arg(call, 2)? } else { 0 };
        let socket = match (kind & 0xf, protocol) {
            (1, 0 | 6) => SocketKind::Tcp,
            (2, 0 | 17) => SocketKind::Udp,
            (2, 1) => SocketKind::Ping,
            _ => return Err(Stop::Skip("raw sockets and other protocols".to_owned())),
        };
        let made = self.machine.call(|s, _| s.socket(socket, super::machine::PID))?;
        let id = match made {
            Ok(id) => id,
            Err(e) => return Ok(Try::Done(Err(e.name()))),
        };
        let n = self.open(call, Object::Socket(Sock::new(id)), kind & 0x800 != 0)?;
        self.current = None;
        self.info_fd = Some(n);
        Ok(Try::Done(Ok(n)))
    }

    fn bind(&mut self, call: &Call) -> Step<Try> {
        let usual = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.config.bind_port));
        let to = self.address(self.arg(call, 1)?, usual)?;
        let sock = match self.sock(call)? {
            Ok((_, sock, _)) => sock,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let done = self.machine.call(|s, _| s.bind(sock.id, to))?;
        Ok(returned(done.map(|()| 0)))
    }

    fn listen(&mut self, call: &Call) -> Step<Try> {
        let backlog = self.int_arg(call, 1)?.clamp(0, u32::MAX.into()) as u32;
        let sock = match self.sock(call)? {
            Ok((_, sock, _)) => sock,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let done = self.machine.call(|s, cx| s.listen(cx, sock.id, backlog))?;
        if done.is_ok() {
            self.listening = self.machine.stack.local_addr(sock.id).map(|a| a.port());
        }
        Ok(returned(done.map(|()| 0)))
    }

    fn accept(&mut self, call: &Call, pending: &Pending) -> Step<Try> {
        let (_, sock, nonblocking) = match self.sock(call)? {
            Ok(all) => all,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let made = self.machine.call(|s, cx| s.accept(cx, sock.id))?;
        let (id, _) = match made {
            Ok(made) => made,
            Err(Errno::EAGAIN) if !nonblocking && !pending.is_over(self.machine.now) => {
                return Ok(wait_for(sock.recv_timeout, pending));
            }
            Err(e) => return Ok(Try::Done(Err(e.name()))),
        };
        let flags = if call.name == "accept4" { self.int_arg(call, 3)? } else { 0 };
        let sock = Sock { linger: sock.linger, inq: sock.inq, ..Sock::new(id) };
        let n = self.open(call, Object::Socket(sock), flags & 0x800 != 0)?;
        self.info_fd = Some(n);
        Ok(Try::Done(Ok(n)))
    }

    fn connect(&mut self, call: &Call, pending: &mut Pending) -> Step<Try> {
        let remote = SocketAddr::new(self.config.remote_ip.into(), self.config.connect_port);
        let to = self.address(self.arg(call, 1)?, remote)?;
        let (n, sock, nonblocking) = match self.sock(call)? {
            Ok(all) => all,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let id = sock.id;
        if pending.again || (sock.connecting && self.is_settled(id)) {
            if !self.is_settled(id) {
                let over = pending.is_over(self.machine.now);
                let waits = wait_for(sock.send_timeout, pending);
                return Ok(if over { Try::Done(Err("EINPROGRESS")) } else { waits });
            }
            self.update(n, |s| s.connecting = false);
            let error = self.machine.call(|s, _| s.take_error(id))?;
            return Ok(Try::Done(error.map_or(Ok(0), |e| Err(e.name()))));
        }
        let usual = self.tcp.local_port_range;
        self.machine.stack.tcp_config_mut().local_port_range = sock.ports.unwrap_or(usual);
        let done = self.machine.call(|s, cx| s.connect(cx, id, to))?;
        self.machine.stack.tcp_config_mut().local_port_range = usual;
        let local = self.machine.stack.local_addr(id);
        if matches!(done, Ok(()) | Err(Errno::EINPROGRESS))
            && let Some(local) = local
        {
            let flow = self.add_flow(local, to);
            self.current = Some(flow);
        }
        self.update(n, |s| s.connecting = done == Err(Errno::EINPROGRESS) || s.connecting);
        match done {
            Err(Errno::EINPROGRESS) if !nonblocking => Ok(wait_for(sock.send_timeout, pending)),
            other => Ok(returned(other.map(|()| 0))),
        }
    }

    /// Whether a handshake has ended, well or not.
    fn is_settled(&self, id: SocketId) -> bool {
        let ready = Readiness::WRITABLE | Readiness::ERROR | Readiness::HANGUP;
        self.machine.readiness(id).intersects(ready)
    }

    /// Changes what is known of a socket.
    pub(super) fn update(&mut self, n: i64, change: impl FnOnce(&mut Sock)) {
        if let Some(Fd { object: Object::Socket(sock), .. }) = self.fds.get_mut(&n) {
            change(sock);
        }
    }

    fn close(&mut self, call: &Call, pending: &mut Pending) -> Step<Try> {
        if pending.again {
            // A lingering close: until everything is acknowledged.
            let over = self.machine.now >= pending.wake.unwrap_or(pending.start);
            let closing = self.is_closing(pending.progress);
            return Ok(if over || !closing { Try::Done(Ok(0)) } else { Try::Wait(pending.wake) });
        }
        let n = self.int_arg(call, 0)?;
        let Some(fd) = self.fds.remove(&n) else { return Ok(Try::Done(Err("EBADF"))) };
        let Object::Socket(sock) = fd.object else { return Ok(Try::Done(Ok(0))) };
        let shared = |f: &Fd| matches!(f.object, Object::Socket(s) if s.id == sock.id);
        if self.fds.values().any(shared) {
            return Ok(Try::Done(Ok(0)));
        }
        let local = self.machine.stack.local_addr(sock.id);
        let peer = self.machine.stack.peer_addr(sock.id);
        let done = self.machine.call(|s, cx| s.close(cx, sock.id))?;
        if let (Some(linger), false) = (sock.linger.filter(|l| !l.is_zero()), fd.nonblocking) {
            let flow =
                self.flows.iter().rposition(|f| Some(f.local) == local && Some(f.remote) == peer);
            pending.progress = flow.map_or(-1, |i| i as i64);
            if self.is_closing(pending.progress) {
                return Ok(Try::Wait(Some(self.machine.now + linger)));
            }
        }
        Ok(returned(done.map(|()| 0)))
    }

    /// Whether a connection still waits for its data or FIN to be acknowledged.
    fn is_closing(&self, flow: i64) -> bool {
        let flow = usize::try_from(flow).ok().and_then(|i| self.flows.get(i));
        flow.is_some_and(|f| !self.machine.stack.has_lingered(f.local, f.remote))
    }

    fn shutdown(&mut self, call: &Call) -> Step<Try> {
        let how = match self.int_arg(call, 1)? {
            0 => Shutdown::Read,
            1 => Shutdown::Write,
            2 => Shutdown::Both,
            _ => return Ok(Try::Done(Err("EINVAL"))),
        };
        let sock = match self.sock(call)? {
            Ok((_, sock, _)) => sock,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let done = self.machine.call(|s, cx| s.shutdown(cx, sock.id, how))?;
        Ok(returned(done.map(|()| 0)))
    }

    fn names(&mut self, call: &Call) -> Step<Try> {
        let sock = match self.sock(call)? {
            Ok((_, sock, _)) => sock,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        let stack = &self.machine.stack;
        let got = match call.name.as_str() {
            "getsockname" => stack.local_addr(sock.id),
            _ => stack.peer_addr(sock.id),
        };
        let Some(got) = got else { return Ok(Try::Done(Err("ENOTCONN"))) };
        let want = self.address(self.arg(call, 1)?, got)?;
        if want != got {
            let why = format!("{} gives another address", call.name);
            return Err(differs(why, want.to_string(), got.to_string()));
        }
        Ok(Try::Done(Ok(0)))
    }

    fn fcntl(&mut self, call: &Call) -> Step<Try> {
        let bsd = self.dialect == crate::sysctl::Dialect::Bsd;
        let command = self.int_arg(call, 1)?;
        let Some((n, fd)) = self.fd(call)? else { return Ok(Try::Done(Err("EBADF"))) };
        Ok(Try::Done(match command {
            3 => Ok(2 | if !fd.nonblocking {
                0
            } else if bsd {
                4
            } else {
                0x800
            }),
            4 => {
                let flags = self.int_arg(call, 2)?;
                let on = flags & 0x800 != 0 || (bsd && flags & 4 != 0);
                if let Some(fd) = self.fds.get_mut(&n) {
                    fd.nonblocking = on;
                }
                Ok(0)
            }
            1 | 2 => Ok(0),
            _ => return Err(Stop::Skip("fcntl of another kind".to_owned())),
        }))
    }
}

impl Sock {
    fn new(id: SocketId) -> Sock {
        Sock {
            id,
            recv_timeout: None,
            send_timeout: None,
            inq: false,
            linger: None,
            ports: None,
            connecting: false,
        }
    }
}
