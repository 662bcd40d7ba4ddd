//! Connections of programs to real servers.

use core::net::SocketAddr;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Process, io_error, slot};
use crate::message::PortId;

/// A connection to a server on the real machine. Whoever holds the world decides whether there is
/// one; in a world that nobody holds (a headless run) the question stays without an answer.
///
/// Reading gives 0 bytes at the end of the server's stream; `shutdown` sends ours. Dropping it before
/// both directions have ended resets it.
#[derive(Debug)]
pub struct OutsideStream {
    port: PortId,
}

impl Process {
    /// Asks for a connection to a real server, on behalf of `client` (words that name it).
    ///
    /// # Errors
    /// EMFILE when the world has too many outside connections.
    pub fn outside(&self, client: &str, to: SocketAddr) -> io::Result<OutsideStream> {
        let node = self.node();
        let port = slot::with(|core| core.ask_outside(node, client.to_owned(), to));
        Ok(OutsideStream { port: port.map_err(io_error)? })
    }
}

impl OutsideStream {
    /// Waits until the server is connected.
    ///
    /// # Errors
    /// Why it is not, in words.
    pub async fn connected(&mut self) -> Result<(), String> {
        poll_fn(|task| slot::with(|core| core.poll_outside(self.port, task.waker()))).await
    }
}

impl AsyncRead for OutsideStream {
    fn poll_read(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        slot::with(|core| core.read_outside(self.port, buf, task.waker()))
            .map(|read| read.map_err(io_error))
    }
}

impl AsyncWrite for OutsideStream {
    fn poll_write(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        slot::with(|core| core.write_outside(self.port, bytes, task.waker()))
            .map(|written| written.map_err(io_error))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        slot::with(|core| core.shut_outside(self.port));
        Poll::Ready(Ok(()))
    }
}

impl Drop for OutsideStream {
    fn drop(&mut self) {
        slot::try_with(|core| core.close_outside(self.port));
    }
}
