//! Packet sockets of programs, as libpcap has them over AF_PACKET.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use netarium_base::IfIndex;
use netarium_stack::{Captured, PacketConfig, PacketStats};

use super::socket::{Interest, Socket};
use super::{Process, io_error};

/// A socket that sees every frame of an interface, or of all. Dropping it ends that, and the
/// promiscuous mode that it asked for.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    /// A socket that sees frames from now on.
    ///
    /// # Errors
    /// ENODEV, ENETDOWN, ENOBUFS when the host has too many, EMFILE.
    pub fn open(process: &Process, config: PacketConfig) -> io::Result<PacketSocket> {
        let open = process.with_stack(|stack, cx| stack.open_packet(cx, process.pid(), config));
        let id = open.map_err(io_error)?;
        Ok(PacketSocket { socket: Socket { process: *process, id } })
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// Those of `recv(2)`; in practice none.
    pub async fn recv(&self) -> io::Result<Captured> {
        poll_fn(|task| self.poll_recv(task)).await
    }

    /// [`recv`](Self::recv) for hand-written futures.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, task: &mut Context<'_>) -> Poll<io::Result<Captured>> {
        self.socket.poll_call(task, Interest::Read, |stack, _, id| stack.recv_packet(id))
    }

    /// Sends a frame as it is, Ethernet header first.
    ///
    /// # Errors
    /// ENODEV, ENETDOWN, EINVAL for less than an Ethernet header, EMSGSIZE.
    pub fn send(&self, iface: IfIndex, frame: &[u8]) -> io::Result<()> {
        self.socket.call(|stack, cx, id| stack.send_packet(cx, id, iface, frame))
    }

    /// What it has counted.
    pub fn stats(&self) -> PacketStats {
        self.socket.process.with_stack(|stack, _| stack.packet_stats(self.socket.id))
    }
}
