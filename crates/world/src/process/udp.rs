//! UDP sockets of programs.

use core::net::SocketAddr;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use netarium_base::IfIndex;
use netarium_stack::{IcmpError, RecvMeta, SocketKind, SocketOption};

use super::Process;
use super::socket::{Interest, Socket};

/// A UDP socket. Receiving into a buffer that is too small cuts the datagram.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
}

impl UdpSocket {
    /// A socket bound to an address (port 0: any free one).
    ///
    /// # Errors
    /// As `bind(2)`: EADDRINUSE, EADDRNOTAVAIL…
    pub fn bind(process: &Process, address: SocketAddr) -> io::Result<UdpSocket> {
        let socket = Socket::new(process, SocketKind::Udp)?;
        socket.call(|stack, _, id| stack.bind(id, address))?;
        Ok(UdpSocket { socket })
    }

    /// A socket that sends and receives by one interface only, also while that has no address, in
    /// front of the host's rules, and may speak to everybody: what DHCP takes. Sockets of different
    /// interfaces may have one port.
    ///
    /// # Errors
    /// As `bind(2)`.
    pub fn bind_on(
        process: &Process,
        iface: IfIndex,
        address: SocketAddr,
    ) -> io::Result<UdpSocket> {
        let socket = Socket::new(process, SocketKind::Udp)?;
        socket.call(|stack, cx, id| {
            stack.set_option(cx, id, SocketOption::BindToDevice(Some(iface)))?;
            stack.set_option(cx, id, SocketOption::Broadcast(true))?;
            stack.set_option(cx, id, SocketOption::BeforeFilter(true))?;
            stack.bind(id, address)
        })?;
        Ok(UdpSocket { socket })
    }

    /// Sets the peer of `send` and `recv`; other senders are no longer heard.
    ///
    /// # Errors
    /// As `connect(2)`: ENETUNREACH…
    pub fn connect(&self, to: SocketAddr) -> io::Result<()> {
        self.socket.call(|stack, cx, id| stack.connect(cx, id, to))
    }

    /// Sends one datagram to the peer.
    ///
    /// # Errors
    /// As `send(2)`: EMSGSIZE, ECONNREFUSED from an earlier datagram…
    pub async fn send(&self, data: &[u8]) -> io::Result<usize> {
        let send = |task: &mut Context<'_>| {
            self.socket.poll_call(task, Interest::Write, |stack, cx, id| stack.send(cx, id, data))
        };
        poll_fn(send).await
    }

    /// Sends one datagram.
    ///
    /// # Errors
    /// As `sendto(2)`.
    pub async fn send_to(&self, data: &[u8], to: SocketAddr) -> io::Result<usize> {
        let send = |task: &mut Context<'_>| {
            self.socket.poll_call(task, Interest::Write, |s, cx, id| s.send_to(cx, id, to, data))
        };
        poll_fn(send).await
    }

    /// Receives one datagram from the peer.
    ///
    /// # Errors
    /// As `recv(2)`: ECONNREFUSED when an ICMP error came…
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_from(buf).await.map(|(n, _)| n)
    }

    /// Receives one datagram and says where it came from.
    ///
    /// # Errors
    /// As `recvfrom(2)`.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, RecvMeta)> {
        poll_fn(|task| self.poll_recv_from(task, buf)).await
    }

    /// [`recv_from`](Self::recv_from) for hand-written futures.
    ///
    /// # Errors
    /// As `recvfrom(2)`.
    pub fn poll_recv_from(
        &self,
        task: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, RecvMeta)>> {
        self.socket.poll_call(task, Interest::Read, |stack, cx, id| stack.recv_from(cx, id, buf))
    }

    /// The ICMP error behind the last failure, if there was one.
    pub fn take_icmp_error(&self) -> Option<IcmpError> {
        self.socket.process.with_stack(|stack, _| stack.take_icmp_error(self.socket.id))
    }

    /// Sets any option.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_option(&self, option: SocketOption) -> io::Result<()> {
        self.socket.call(|stack, cx, id| stack.set_option(cx, id, option))
    }

    /// Our end.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.process.with_stack(|stack, _| stack.local_addr(self.socket.id))
    }

    /// The peer set by [`connect`](Self::connect).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.process.with_stack(|stack, _| stack.peer_addr(self.socket.id))
    }
}
