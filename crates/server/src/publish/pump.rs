//! One published connection: bytes between a real socket and a message port of the world.
//!
//! # Theory of operation
//! A task owns the real socket and the port. Bytes from the client are read only while the world
//! has given credit, so a lab that does not read stops the client by TCP's own window. Bytes from
//! the lab are written as the client takes them, and each [`GRANT`] written grants the world as
//! much again, so a client that does not read stops the lab's sender likewise. The end of one
//! direction (`FIN`) and breaking off (`RST`) pass to the other side as what they are.
//!
//! Memory per connection: [`WINDOW`] towards the client, one read buffer of at most [`READ_MAX`]
//! and the world's credit into the lab. An idle connection holds no buffer at all.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Instant;

use netarium_world::{Input, Output, Transport};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::{Inside, Publish};
use crate::os;
use crate::report::{Caller, End, Notice};
use crate::runner::Port;

/// Bytes that may be under way from the lab to the client.
const WINDOW: u32 = 1024 * 1024;
/// Credit is granted again in pieces of at least this size.
const GRANT: u32 = WINDOW / 4;
/// The first and the largest size of a read.
const READ_MIN: usize = 4 * 1024;
const READ_MAX: usize = 256 * 1024;
/// Buffers handed to one write.
const WRITE_PIECES: usize = 32;

/// Breaks a real connection off: its client sees a reset, not an orderly end.
pub(crate) fn reset(stream: TcpStream) {
    // When this fails the connection is gone already.
    let _ = stream.set_zero_linger();
}

/// A published connection, from the look at its client to its end.
pub(super) async fn run(
    stream: TcpStream,
    peer: SocketAddr,
    spec: &Publish,
    inside: &Inside,
    slot: OwnedSemaphorePermit,
) {
    let own = stream.local_addr().unwrap_or(spec.listen);
    let at_gateway = spec.from.is_none();
    let client = inside.clients.identify(Transport::Tcp, peer, own, at_gateway).await;
    let open = |port| Input::Open {
        port,
        client: client.caller.to_string(),
        from: spec.from.clone(),
        source: client.source,
        to: spec.to.into(),
    };
    let Ok(port) = inside.world.open_with_credit(WINDOW, open) else { return reset(stream) };
    let started = Instant::now();
    let (caller, to) = (client.caller, spec.to.to_string());
    let tell = Notice::Connected { client: caller.clone(), to: to.clone() };
    let moved = relay(stream, port, || inside.reporter.tell(tell)).await;
    // Whoever hears of the end finds the place free.
    drop(slot);
    inside.reporter.tell(moved.notice(caller, to, started));
}

/// What was moved, and how it ended.
#[derive(Debug)]
pub(crate) struct Moved {
    sent: u64,
    received: u64,
    accepted: bool,
    end: End,
}

impl Moved {
    /// What is to be told about the end.
    pub(crate) fn notice(self, client: Caller, to: String, started: Instant) -> Notice {
        let Moved { sent, received, accepted, end } = self;
        match end {
            End::ResetByLab(reason) if !accepted => Notice::Refused { client, to, reason },
            end => Notice::Closed { client, to, sent, received, lasted: started.elapsed(), end },
        }
    }
}

/// Moves bytes between a real connection and a port that was just opened, with [`WINDOW`] as its
/// credit, until both are over. `on_accepted` is called when the lab's side is established.
async fn relay(stream: TcpStream, port: Port, on_accepted: impl FnOnce()) -> Moved {
    let mut pump = Pump::new(stream, port);
    pump.until_the_end(on_accepted).await
}

/// The same for a port whose lab side is established: it has granted `credit`.
pub(crate) async fn relay_accepted(stream: TcpStream, port: Port, credit: u32) -> Moved {
    port.credit(WINDOW);
    let mut pump = Pump::new(stream, port);
    (pump.accepted, pump.credit) = (true, credit);
    pump.until_the_end(|| ()).await
}

/// The same for a connection that the lab asked for, now that its real server is there.
pub(crate) async fn relay_attached(stream: TcpStream, port: Port) -> Moved {
    port.accept(WINDOW);
    let mut pump = Pump::new(stream, port);
    pump.accepted = true;
    pump.until_the_end(|| ()).await
}

struct Pump {
    stream: TcpStream,
    port: Port,
    accepted: bool,
    /// What the world still takes.
    credit: u32,
    read_size: usize,
    /// The client has said all it had to say.
    client_done: bool,
    /// Bytes for the client, and how much of the first piece is written.
    queue: VecDeque<Vec<u8>>,
    written: usize,
    /// Written and not yet granted again.
    ungranted: u32,
    /// The lab has said all it had to say, and the client was told.
    lab_done: bool,
    shut: bool,
    sent: u64,
    received: u64,
}

impl Pump {
    fn new(stream: TcpStream, port: Port) -> Pump {
        // What the lab's programs send at once the client gets at once.
        let _ = stream.set_nodelay(true);
        Pump {
            stream,
            port,
            accepted: false,
            credit: 0,
            read_size: READ_MIN,
            client_done: false,
            queue: VecDeque::new(),
            written: 0,
            ungranted: 0,
            lab_done: false,
            shut: false,
            sent: 0,
            received: 0,
        }
    }

    async fn until_the_end(&mut self, on_accepted: impl FnOnce()) -> Moved {
        let mut on_accepted = Some(on_accepted);
        let end = loop {
            if let Some(end) = self.turn() {
                break end;
            }
            if self.accepted
                && let Some(tell) = on_accepted.take()
            {
                tell();
            }
            if let Err(end) = self.wait().await {
                break end;
            }
        };
        if end == End::Closed {
            self.port.finish();
        }
        Moved { sent: self.sent, received: self.received, accepted: self.accepted, end }
    }

    /// Does everything that can be done without waiting; the end, if that was it.
    fn turn(&mut self) -> Option<End> {
        while let Ok(output) = self.port.try_next() {
            if let Some(end) = self.take(output) {
                return Some(end);
            }
        }
        let io = self.write().and_then(|()| self.read());
        if io.is_err() {
            return Some(End::ResetByClient);
        }
        (self.client_done && self.shut).then_some(End::Closed)
    }

    /// Waits until there is something to do.
    async fn wait(&mut self) -> Result<(), End> {
        // Errors are always of interest: a client that resets while nobody reads is noticed.
        let mut interest = Interest::ERROR;
        if self.wants_read() {
            interest |= Interest::READABLE;
        }
        if self.wants_write() {
            interest |= Interest::WRITABLE;
        }
        let idle = interest == Interest::ERROR;
        tokio::select! {
            output = self.port.next() => match output {
                Some(output) => self.take(output).map_or(Ok(()), Err),
                None => Err(End::LabEnded),
            },
            ready = self.stream.ready(interest) => match ready {
                Ok(ready) if idle && ready.is_error() => Err(End::ResetByClient),
                Ok(_) => Ok(()),
                Err(_) => Err(End::ResetByClient),
            },
        }
    }

    fn take(&mut self, output: Output) -> Option<End> {
        match output {
            Output::Accepted { credit, .. } => {
                self.accepted = true;
                self.credit = self.credit.saturating_add(credit);
            }
            Output::Credit { bytes, .. } => self.credit = self.credit.saturating_add(bytes),
            Output::Data { bytes, .. } => self.queue.push_back(bytes),
            Output::Eof { .. } => self.lab_done = true,
            Output::Reset { reason, .. } => return Some(End::ResetByLab(reason)),
            _ => {}
        }
        None
    }

    fn wants_read(&self) -> bool {
        self.credit > 0 && !self.client_done
    }

    fn wants_write(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Reads once, as much as the world takes.
    fn read(&mut self) -> io::Result<()> {
        if !self.wants_read() {
            return Ok(());
        }
        // Nothing is allocated before there is something to read.
        let size = self.read_size.min(self.credit as usize);
        let mut probe = [0; READ_MIN];
        let mut large = Vec::new();
        let result = if size <= READ_MIN {
            os::try_read(&self.stream, &mut probe[..size])
        } else {
            large.reserve_exact(size);
            self.stream.try_read_buf(&mut large)
        };
        let n = match result {
            Ok(0) => {
                self.client_done = true;
                self.port.eof();
                return Ok(());
            }
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.read_size = READ_MIN;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let bytes = if size <= READ_MIN { probe[..n].to_vec() } else { large };
        self.read_size = if n == size { (size * 4).clamp(READ_MIN, READ_MAX) } else { READ_MIN };
        self.credit -= n as u32;
        self.sent += n as u64;
        self.port.data(bytes);
        Ok(())
    }

    /// Writes what the client takes, and passes the lab's end on after the last byte.
    fn write(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.queue) {
                let skip = if count == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&piece[skip..]);
                count += 1;
            }
            match self.stream.try_write_vectored(&slices[..count]) {
                Ok(n) => self.advance(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        if self.lab_done && !self.shut {
            self.shut = true;
            shutdown_write(&self.stream)?;
        }
        Ok(())
    }

    fn advance(&mut self, n: usize) {
        self.received += n as u64;
        self.ungranted += n as u32;
        self.written += n;
        while let Some(piece) = self.queue.front()
            && self.written >= piece.len()
        {
            self.written -= piece.len();
            self.queue.pop_front();
        }
        if self.ungranted >= GRANT {
            self.port.credit(std::mem::take(&mut self.ungranted));
        }
    }
}

impl Drop for Pump {
    /// What ends before both sides have said all, also because the lab ends, ends as a reset.
    fn drop(&mut self) {
        if !(self.client_done && self.shut) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

/// Half-closes: the client sees the end of the lab's bytes and may go on sending.
fn shutdown_write(stream: &TcpStream) -> io::Result<()> {
    match socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write) {
        // The client is gone; what it sent may still be there to read.
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}
