//! A connection into the lab as a byte stream.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use netarium_world::Output;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Opened;
use crate::report::{Caller, End, Notice, Reporter};
use crate::runner::Port;

/// Bytes that may be under way from the lab.
const WINDOW: u32 = 256 * 1024;
/// Credit is granted again in pieces of at least this size.
const GRANT: u32 = WINDOW / 4;
/// The largest piece that is handed to the world.
const PIECE: usize = 64 * 1024;

/// A connection into the lab that is established. Dropping it before both directions have ended
/// resets it. It is read and written by one task.
#[derive(Debug)]
pub(super) struct Lane {
    port: Port,
    credit: u32,
    /// What has come, and how much of the first piece was read.
    pending: VecDeque<Vec<u8>>,
    read: usize,
    ungranted: u32,
    ended: bool,
    shut: bool,
    broken: Option<String>,
    sent: u64,
    received: u64,
    started: Instant,
    /// Who came, where it went, and who is told of the end.
    story: (Caller, String, Reporter),
}

impl Lane {
    pub(super) fn new(opened: Opened, caller: Caller, to: String, reporter: Reporter) -> Lane {
        opened.port.credit(WINDOW);
        Lane {
            port: opened.port,
            credit: opened.credit,
            pending: VecDeque::new(),
            read: 0,
            ungranted: 0,
            ended: false,
            shut: false,
            broken: None,
            sent: 0,
            received: 0,
            started: Instant::now(),
            story: (caller, to, reporter),
        }
    }

    /// Takes what the world has said, and has the task woken when it says more.
    fn hear(&mut self, cx: &mut Context<'_>) {
        while self.broken.is_none()
            && let Poll::Ready(output) = self.port.poll_next(cx)
        {
            match output {
                Some(Output::Credit { bytes, .. }) => {
                    self.credit = self.credit.saturating_add(bytes);
                }
                Some(Output::Data { bytes, .. }) => self.pending.push_back(bytes),
                Some(Output::Eof { .. }) => self.ended = true,
                Some(Output::Reset { reason, .. }) => self.broken = Some(reason),
                Some(_) => {}
                None => self.broken = Some("the lab has ended".to_owned()),
            }
        }
        if self.ended && self.shut {
            self.port.finish();
        }
    }

    fn error(&self) -> Option<io::Error> {
        let reason = self.broken.clone()?;
        Some(io::Error::new(io::ErrorKind::ConnectionReset, reason))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let (client, to, reporter) = &self.story;
        let end = match self.broken.take() {
            Some(reason) => End::ResetByLab(reason),
            // A client may keep its half open and be gone; the port's own drop resets it then.
            None if self.ended => End::Closed,
            None => End::ResetByClient,
        };
        let (sent, received, lasted) = (self.sent, self.received, self.started.elapsed());
        let (client, to) = (client.clone(), to.clone());
        reporter.tell(Notice::Closed { client, to, sent, received, lasted, end });
    }
}

impl AsyncRead for Lane {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let lane = &mut *self;
        lane.hear(cx);
        let Some(piece) = lane.pending.front() else {
            return match lane.error() {
                _ if lane.ended || buf.remaining() == 0 => Poll::Ready(Ok(())),
                Some(e) => Poll::Ready(Err(e)),
                None => Poll::Pending,
            };
        };
        let n = (piece.len() - lane.read).min(buf.remaining());
        buf.put_slice(&piece[lane.read..lane.read + n]);
        lane.read += n;
        if lane.read == piece.len() {
            lane.pending.pop_front();
            lane.read = 0;
        }
        lane.ungranted += n as u32;
        lane.received += n as u64;
        if lane.ungranted >= GRANT {
            lane.port.credit(std::mem::take(&mut lane.ungranted));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lane {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let lane = &mut *self;
        lane.hear(cx);
        if let Some(e) = lane.error() {
            return Poll::Ready(Err(e));
        }
        let n = bytes.len().min(lane.credit as usize).min(PIECE);
        if n == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        if n > 0 {
            lane.credit -= n as u32;
            lane.sent += n as u64;
            lane.port.data(bytes[..n].to_vec());
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let lane = &mut *self;
        if !std::mem::replace(&mut lane.shut, true) && lane.broken.is_none() {
            lane.port.eof();
        }
        lane.hear(cx);
        Poll::Ready(Ok(()))
    }
}
