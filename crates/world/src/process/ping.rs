//! ICMP echo sockets of programs, as Linux' `IPPROTO_ICMP` datagram sockets.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use netarium_stack::{Errno, IcmpError, SocketKind, SocketOption};

use super::socket::{Interest, Socket};
use super::{Process, io_error};

/// An echo reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingReply {
    /// Who answered.
    pub from: IpAddr,
    /// The sequence number of the request.
    pub seq: u16,
    /// The time to live that the reply arrived with.
    pub ttl: u8,
    /// What came back behind the sequence number.
    pub payload: Vec<u8>,
}

/// A socket for echo requests and their replies. The stack gives it an echo identifier.
#[derive(Debug)]
pub struct PingSocket {
    socket: Socket,
}

impl PingSocket {
    /// A socket with an identifier of its own.
    ///
    /// # Errors
    /// As `socket(2)` and `bind(2)`.
    pub fn new(process: &Process) -> io::Result<PingSocket> {
        let socket = Socket::new(process, SocketKind::Ping)?;
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        socket.call(|stack, _, id| stack.bind(id, any))?;
        Ok(PingSocket { socket })
    }

    /// The echo identifier.
    pub fn identifier(&self) -> u16 {
        let address = self.socket.process.with_stack(|stack, _| stack.local_addr(self.socket.id));
        address.map_or(0, |a| a.port())
    }

    /// Sends an echo request.
    ///
    /// # Errors
    /// As `sendto(2)`: ENETUNREACH, EMSGSIZE…
    pub async fn send_to(&self, to: IpAddr, seq: u16, payload: &[u8]) -> io::Result<()> {
        let mut data = Vec::with_capacity(2 + payload.len());
        data.extend_from_slice(&seq.to_be_bytes());
        data.extend_from_slice(payload);
        let to = SocketAddr::new(to, 0);
        let send = |task: &mut Context<'_>| {
            self.socket.poll_call(task, Interest::Write, |s, cx, id| s.send_to(cx, id, to, &data))
        };
        poll_fn(send).await.map(|_| ())
    }

    /// Waits for a reply.
    ///
    /// # Errors
    /// EHOSTUNREACH and others when an ICMP error came instead: see
    /// [`take_icmp_error`](Self::take_icmp_error). The socket stays usable.
    pub async fn recv(&self) -> io::Result<PingReply> {
        poll_fn(|task| self.poll_recv(task)).await
    }

    /// [`recv`](Self::recv) for hand-written futures.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, task: &mut Context<'_>) -> Poll<io::Result<PingReply>> {
        self.socket.poll_call(task, Interest::Read, |stack, cx, id| {
            if stack.readiness(id).is_empty() {
                return Err(Errno::EAGAIN);
            }
            let mut buf = vec![0; usize::from(u16::MAX)];
            let (n, meta) = stack.recv_from(cx, id, &mut buf)?;
            if n < 2 {
                return Err(Errno::EPROTO);
            }
            let seq = u16::from_be_bytes([buf[0], buf[1]]);
            buf.truncate(n);
            let payload = buf.split_off(2);
            Ok(PingReply { from: meta.from.ip(), seq, ttl: meta.ttl, payload })
        })
    }

    /// The ICMP error behind the last failure, if there was one.
    pub fn take_icmp_error(&self) -> Option<IcmpError> {
        self.socket.process.with_stack(|stack, _| stack.take_icmp_error(self.socket.id))
    }

    /// Sets the time to live of what is sent.
    ///
    /// # Errors
    /// EINVAL for 0.
    pub fn set_ttl(&self, ttl: u8) -> io::Result<()> {
        if ttl == 0 {
            return Err(io_error(Errno::EINVAL));
        }
        self.socket.call(|stack, cx, id| stack.set_option(cx, id, SocketOption::Ttl(ttl)))
    }

    /// Sets any option.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_option(&self, option: SocketOption) -> io::Result<()> {
        self.socket.call(|stack, cx, id| stack.set_option(cx, id, option))
    }
}
