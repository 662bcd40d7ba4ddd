//! TCP sockets of programs.

use core::net::SocketAddr;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use netarium_base::FlowId;
use netarium_stack::{Errno, Readiness, Shutdown, SocketKind, SocketOption};
use netarium_wire::frame::flow_id;
use netarium_wire::protocol;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::{Interest, Socket};
use super::{Process, io_error};

/// A TCP connection. Reading gives 0 bytes at the end of the peer's stream; `shutdown` sends a FIN.
/// Dropping it closes it, with a reset when received data was not read (RFC 1122 §4.2.2.13).
#[derive(Debug)]
pub struct TcpStream {
    socket: Socket,
    local: SocketAddr,
    peer: SocketAddr,
}

impl TcpStream {
    /// Connects.
    ///
    /// # Errors
    /// As `connect(2)`: ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL…, to be
    /// had with [`errno`](super::errno).
    pub async fn connect(process: &Process, to: SocketAddr) -> io::Result<TcpStream> {
        Self::connect_from(process, None, to).await
    }

    /// Connects from a given local address (port 0: any).
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and those of `bind(2)`.
    pub async fn connect_from(
        process: &Process,
        from: Option<SocketAddr>,
        to: SocketAddr,
    ) -> io::Result<TcpStream> {
        let socket = Socket::new(process, SocketKind::Tcp)?;
        if let Some(from) = from {
            socket.call(|stack, _, id| stack.bind(id, from))?;
        }
        match process.with_stack(|stack, cx| stack.connect(cx, socket.id, to)) {
            Ok(()) => {}
            Err(Errno::EINPROGRESS | Errno::EAGAIN) => connected(&socket).await?,
            Err(e) => return Err(io_error(e)),
        }
        TcpStream::of(socket, Some(to))
    }

    fn of(socket: Socket, peer: Option<SocketAddr>) -> io::Result<TcpStream> {
        let (local, remote) = socket
            .process
            .with_stack(|stack, _| (stack.local_addr(socket.id), stack.peer_addr(socket.id)));
        let local = local.ok_or_else(|| io_error(Errno::ENOTCONN))?;
        let peer = peer.or(remote).ok_or_else(|| io_error(Errno::ENOTCONN))?;
        Ok(TcpStream { socket, local, peer })
    }

    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The other end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The conversation, as trace events name it.
    pub fn flow(&self) -> FlowId {
        let ends = [self.local, self.peer].map(|a| (a.ip(), a.port()));
        flow_id(protocol::TCP, ends[0], ends[1])
    }

    /// Turns Nagle's algorithm off or on.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.set_option(SocketOption::NoDelay(on))
    }

    /// Sets any option.
    ///
    /// # Errors
    /// Those of `setsockopt(2)`.
    pub fn set_option(&self, option: SocketOption) -> io::Result<()> {
        self.socket.call(|stack, cx, id| stack.set_option(cx, id, option))
    }

    /// Resets the connection now.
    pub fn abort(self) {
        // A connection that is gone already needs no reset.
        let _ = self.socket.call(|stack, cx, id| stack.abort(cx, id));
    }
}

/// Waits until a `connect` has ended.
async fn connected(socket: &Socket) -> io::Result<()> {
    poll_fn(|task| {
        socket.poll_call(task, Interest::Write, |stack, _, id| {
            let ready = stack.readiness(id);
            if let Some(e) =
                ready.contains(Readiness::ERROR).then(|| stack.take_error(id)).flatten()
            {
                Err(e)
            } else if ready.contains(Readiness::WRITABLE) {
                Ok(())
            } else if ready.contains(Readiness::HANGUP) {
                Err(Errno::ECONNRESET)
            } else {
                Err(Errno::EAGAIN)
            }
        })
    })
    .await
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let n = ready!(self.socket.poll_call(task, Interest::Read, |stack, cx, id| {
            stack.recv(cx, id, buf.initialize_unfilled())
        }))?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.socket.poll_call(task, Interest::Write, |stack, cx, id| stack.send(cx, id, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.call(|stack, cx, id| stack.shutdown(cx, id, Shutdown::Write)))
    }
}

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpListener {
    socket: Socket,
    local: SocketAddr,
}

impl TcpListener {
    /// Listens on an address (port 0: any free one), with room for `backlog` connections that wait
    /// for `accept`.
    ///
    /// # Errors
    /// As `bind(2)` and `listen(2)`: EADDRINUSE, EADDRNOTAVAIL, EACCES…
    pub fn bind(process: &Process, address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
        let socket = Socket::new(process, SocketKind::Tcp)?;
        socket.call(|stack, cx, id| stack.set_option(cx, id, SocketOption::ReuseAddr(true)))?;
        socket.call(|stack, _, id| stack.bind(id, address))?;
        socket.call(|stack, cx, id| stack.listen(cx, id, backlog))?;
        let local = process.with_stack(|stack, _| stack.local_addr(socket.id)).unwrap_or(address);
        Ok(TcpListener { socket, local })
    }

    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Waits for a connection and takes it.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|task| self.poll_accept(task)).await
    }

    /// [`accept`](Self::accept) for hand-written futures.
    ///
    /// # Errors
    /// As `accept(2)`.
    pub fn poll_accept(&self, task: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let accept =
            self.socket.poll_call(task, Interest::Read, |stack, cx, id| stack.accept(cx, id));
        let (id, peer) = ready!(accept)?;
        let socket = Socket { process: self.socket.process, id };
        Poll::Ready(TcpStream::of(socket, Some(peer)).map(|stream| (stream, peer)))
    }
}
