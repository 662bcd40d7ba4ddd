//! A connection with a buffer in front.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::exchange::{Failure, recv_failure};
use super::response::HEADERS_MAX;

/// Bytes read or written at a time, as in curl.
pub(super) const BUFFER: usize = 64 * 1024;

/// What came in and was not used yet.
pub(super) struct Input<'a, S> {
    pub(super) io: &'a mut S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Input<'a, S> {
    pub(super) fn new(io: &'a mut S) -> Input<'a, S> {
        Input { io, buffer: vec![0; BUFFER], start: 0, end: 0, eof: false }
    }

    /// Nothing waits to be used.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The last read found the end of the stream.
    pub(super) fn eof(&self) -> bool {
        self.eof
    }

    /// Nothing came that was not asked for.
    pub(super) fn is_clean(&self) -> bool {
        self.is_empty() && !self.eof
    }

    /// What waits to be used.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// So many bytes were used.
    pub(super) fn take(&mut self, n: usize) {
        self.start += n;
    }

    /// Reads more into the empty buffer.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        let n = self.io.read(&mut self.buffer).await?;
        (self.start, self.end, self.eof) = (0, n, n == 0);
        Ok(())
    }

    /// Whether the answer begins as HTTP/1 does; looks, takes nothing.
    pub(super) async fn says_http(&mut self) -> io::Result<bool> {
        if self.is_empty() && !self.eof {
            self.fill().await?;
        }
        let start = b"HTTP/";
        while !self.eof && self.rest().len() < start.len() && start.starts_with(self.rest()) {
            // A short first read: more goes behind it.
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let n = self.io.read(&mut self.buffer[self.end..]).await?;
            self.end += n;
            if n == 0 {
                break;
            }
        }
        Ok(self.rest().is_empty() || self.rest().starts_with(start))
    }

    /// Writes some of `data`; `None` when something came in instead.
    pub(super) async fn write_or_read(&mut self, data: &[u8]) -> io::Result<Option<usize>> {
        if !self.is_empty() || self.eof {
            return Ok(None);
        }
        let (io, buffer) = (&mut *self.io, &mut self.buffer);
        let got = poll_fn(|cx| {
            if let Poll::Ready(written) = Pin::new(&mut *io).poll_write(cx, data) {
                return Poll::Ready(written.map(Ok));
            }
            let mut room = ReadBuf::new(buffer);
            Pin::new(&mut *io).poll_read(cx, &mut room).map_ok(|()| Err(room.filled().len()))
        })
        .await?;
        Ok(match got {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => Some(written),
            Err(read) => {
                (self.start, self.end, self.eof) = (0, read, read == 0);
                None
            }
        })
    }

    /// The next line with its line end. `status` says that it must be a status line.
    pub(super) async fn line(&mut self, status: bool) -> Result<Vec<u8>, Failure> {
        let mut line = Vec::new();
        loop {
            if self.start == self.end && !self.eof {
                self.fill().await.map_err(recv_failure)?;
            }
            if self.eof {
                return Err(if status && line.is_empty() {
                    Failure::new(52, "Empty reply from server")
                } else {
                    Failure::new(56, "Recv failure: the connection ended within the headers")
                });
            }
            let here = &self.buffer[self.start..self.end];
            let n = here.iter().position(|b| *b == b'\n').map_or(here.len(), |at| at + 1);
            line.extend_from_slice(&here[..n]);
            self.start += n;
            let checked = line.len().min(5);
            if status && line[..checked] != b"HTTP/"[..checked] {
                return Err(Failure::new(1, "Received HTTP/0.9 when not allowed"));
            }
            if line.ends_with(b"\n") {
                return Ok(line);
            }
            if line.len() > HEADERS_MAX {
                let text = format!("Too large response headers: {} > {HEADERS_MAX}", line.len());
                return Err(Failure::new(56, text));
            }
        }
    }
}
