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

use netarium_world::{Input, Output};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::Publish;
use crate::report::{End, Notice, Reporter};
use crate::runner::{Port, WorldHandle};

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
pub(super) fn reset(stream: TcpStream) {
    // When this fails the connection is gone already.
    let _ = stream.set_zero_linger();
}

/// Moves bytes until the connection is over, and gives what is to be told about its end.
pub(super) async fn run(
    stream: TcpStream,
    client: SocketAddr,
    spec: Publish,
    world: &WorldHandle,
    reporter: &Reporter,
) -> Option<Notice> {
    let started = Instant::now();
    let to = spec.to;
    let open = |port| Input::Open {
        port,
        client: client.to_string(),
        from: spec.from,
        source: None,
        to: to.into(),
    };
    let Ok(port) = world.open(open) else {
        reset(stream);
        return None;
    };
    port.credit(WINDOW);
    let _ = stream.set_nodelay(true);
    let mut pump = Pump::new(stream, port);
    let end = loop {
        if let Some(end) = pump.turn() {
            break end;
        }
        if pump.just_accepted() {
            reporter.tell(Notice::Connected { client, to });
        }
        if let Err(end) = pump.wait().await {
            break end;
        }
    };
    let (sent, received, accepted) = (pump.sent, pump.received, pump.accepted);
    if end == End::Closed {
        pump.port.finish();
    }
    drop(pump);
    Some(match end {
        End::ResetByLab(reason) if !accepted => Notice::Refused { client, to, reason },
        end => Notice::Closed { client, to, sent, received, lasted: started.elapsed(), end },
    })
}

struct Pump {
    stream: TcpStream,
    port: Port,
    accepted: bool,
    told: bool,
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
        Pump {
            stream,
            port,
            accepted: false,
            told: false,
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

    /// Whether the lab's side was established since this was last asked.
    fn just_accepted(&mut self) -> bool {
        self.accepted && !std::mem::replace(&mut self.told, true)
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
            self.stream.try_read(&mut probe[..size])
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
