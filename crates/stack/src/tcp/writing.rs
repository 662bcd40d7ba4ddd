//! How a program's bytes enter the send buffer, as Linux lets them in: in chunks of what is sent at
//! once. A chunk is begun while the memory in use is below SO_SNDBUF, and what goes out in between
//! makes room; so the buffer may hold somewhat more than its size.

use netarium_base::Ctx;

use super::connection::Connection;
use super::state::State;
use crate::errno::Errno;
use crate::options::SendFlags;
use crate::types::Readiness;

/// What a chunk costs beyond its bytes.
const CHUNK_OVERHEAD: u32 = 1280;
/// The largest chunk: what Linux hands to a network card at once.
const MAX_CHUNK: u32 = 65_536;
/// Headers and bookkeeping that Linux adds to a segment before it rounds up to a power of two, and
/// those that it adds behind.
const SEGMENT_HEAD: u32 = 640;
const SEGMENT_TAIL: u32 = 256;

impl Connection {
    /// Queues a copy of the first bytes of `data`, one chunk at most; how many. The caller sends
    /// what may go and calls again with the rest.
    ///
    /// # Errors
    /// EPIPE after the sending half was closed, the connection's own error once, EAGAIN when the
    /// buffer is full or the handshake is not done.
    pub(crate) fn write(
        &mut self,
        cx: &mut Ctx<'_>,
        data: &[u8],
        flags: SendFlags,
    ) -> Result<usize, Errno> {
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        match self.state {
            State::SynSent | State::SynReceived if !self.closing => return Err(Errno::EAGAIN),
            s if !s.may_send() || self.closing => return Err(Errno::EPIPE),
            _ => {}
        }
        if data.is_empty() {
            return Ok(0);
        }
        let n = data.len().min(self.chunk_room());
        if n == 0 {
            self.no_space = true;
            return Err(Errno::EAGAIN);
        }
        let unsent = self.unsent();
        self.send.push(&data[..n], cx.cause, unsent as usize);
        if n < data.len() {
            // The rest follows at once.
            self.want.more = true;
            self.mark_push_if_forced();
            return Ok(n);
        }
        if flags.contains(SendFlags::OOB) {
            self.mark_urgent();
        }
        if flags.contains(SendFlags::MORE) {
            self.want.more = true;
            self.mark_push_if_forced();
        } else {
            self.want.more = false;
            self.snd.push = self.data_end();
        }
        Ok(n)
    }

    /// As Linux: more than half of the largest window waits since the last push.
    fn mark_push_if_forced(&mut self) {
        let end = self.data_end();
        if end.after(self.snd.push + self.snd.max_wnd / 2) {
            self.snd.push = end;
        }
    }

    /// Bytes that were never sent.
    pub(crate) fn unsent(&self) -> u32 {
        self.data_end().ahead_of(self.snd.nxt)
    }

    /// Bytes that fit into the last chunk, as far as it was not sent, or into a new one.
    fn chunk_room(&mut self) -> usize {
        let size = self.chunk_size();
        let begun = self.snd.chunk.max(self.snd.nxt);
        let filled = self.data_end().ahead_of(begun);
        if filled > 0 && filled < size {
            return (size - filled) as usize;
        }
        self.grow_send_buffer();
        if self.memory_used() >= self.sndbuf || self.unsent() >= self.notsent_lowat() {
            return 0;
        }
        self.snd.chunk = self.data_end();
        size as usize
    }

    /// Whole segments, at most half of the largest window.
    fn chunk_size(&self) -> u32 {
        let half = if self.snd.max_wnd > 536 { self.snd.max_wnd / 2 } else { self.snd.max_wnd };
        let bytes = MAX_CHUNK.min(half.max(1));
        let mss = self.snd.mss.max(1);
        (bytes / mss).max(1) * mss
    }

    fn memory_used(&self) -> u32 {
        let len = self.send.len() as u32;
        len + len.div_ceil(self.chunk_size()) * CHUNK_OVERHEAD
    }

    /// Without SO_SNDBUF the buffer follows the congestion window: twice what it takes.
    fn grow_send_buffer(&mut self) {
        if let Some(asked) = self.settings.send_buffer {
            self.sndbuf = asked.get().saturating_mul(2);
            return;
        }
        let mss = u32::from(self.snd.peer_mss).max(self.snd.mss);
        let segment = (mss + SEGMENT_HEAD).next_power_of_two() + SEGMENT_TAIL;
        let segments = (self.cwnd_bytes() / self.snd.mss.max(1)).max(10);
        let wanted = segments.saturating_mul(2 * segment);
        self.sndbuf = self.sndbuf.max(wanted).clamp(self.config.wmem.default, self.config.wmem.max);
    }

    pub(crate) fn notsent_lowat(&self) -> u32 {
        match self.settings.notsent_lowat {
            0 => self.config.notsent_lowat,
            n => n,
        }
    }

    /// Bytes of the send buffer that are free.
    pub(crate) fn send_room(&self) -> usize {
        self.sndbuf.saturating_sub(self.memory_used()) as usize
    }

    /// As Linux: a third of the buffer is free, and little waits to be sent.
    pub(crate) fn is_writable(&self) -> bool {
        let used = self.memory_used();
        let free = self.sndbuf.saturating_sub(used);
        free > 0 && free >= used / 2 && self.unsent().saturating_mul(2) < self.notsent_lowat()
    }

    /// Wakes a program that found no room, once there is.
    pub(crate) fn wake_waiting_writer(&mut self) {
        if !self.no_space || !self.state.may_send() {
            return;
        }
        self.grow_send_buffer();
        if self.is_writable() {
            self.no_space = false;
            self.wake |= Readiness::WRITABLE;
        }
    }
}
