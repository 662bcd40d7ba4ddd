//! Urgent data (RFC 9293 §3.8.5, RFC 6093), with the semantics of Linux.
//!
//! Sending: MSG_OOB marks the end of what was written; segments before the mark carry URG and a
//! pointer to the byte *behind* the urgent one, as every system does (RFC 6093 §2.1).
//! Receiving: the last byte before the pointer is taken out of the stream and given to MSG_OOB,
//! unless SO_OOBINLINE leaves it in its place; reading stops at the mark. There is one urgent byte
//! at a time: a newer pointer replaces it.

use netarium_wire::{Payload, TcpFlags};

use super::connection::Connection;
use super::segment_in::SegmentIn;
use super::seq::Seq;
use crate::errno::Errno;
use crate::types::Readiness;

/// Where the urgent byte of the peer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Urgent {
    /// There is none.
    #[default]
    None,
    /// Announced, not arrived.
    Announced(Seq),
    /// Arrived.
    Here(Seq, u8),
    /// Taken with MSG_OOB; the mark still stands in the stream.
    Taken(Seq),
}

impl Urgent {
    /// Its place in the stream.
    pub(crate) fn mark(self) -> Option<Seq> {
        match self {
            Urgent::None => None,
            Urgent::Announced(seq) | Urgent::Here(seq, _) | Urgent::Taken(seq) => Some(seq),
        }
    }
}

impl Connection {
    /// Step six of RFC 9293 §3.10.7.4: what a segment says of urgent data, and the byte itself.
    pub(crate) fn take_urgent(&mut self, seg: &SegmentIn) {
        if seg.has(TcpFlags::URG) {
            self.take_urgent_pointer(seg);
        }
        let Urgent::Announced(mark) = self.urgent else { return };
        if mark.before(seg.seq) {
            return;
        }
        let offset = mark.ahead_of(seg.seq) as usize;
        if let Some(byte) = byte_at(&seg.payload, offset) {
            self.urgent = Urgent::Here(mark, byte);
            self.wake |= Readiness::PRIORITY | Readiness::READABLE;
        }
    }

    fn take_urgent_pointer(&mut self, seg: &SegmentIn) {
        let mark = seg.seq + u32::from(seg.urgent.max(1)) - 1;
        let read = self.rcv.copied.after(mark) || mark.before(self.rcv.nxt);
        let known = self.urgent.mark().is_some_and(|old| !mark.after(old));
        if read || known {
            return;
        }
        self.urgent = Urgent::Announced(mark);
    }

    /// MSG_OOB of `recv`.
    ///
    /// # Errors
    /// EINVAL without urgent data, or when it stays in the stream; EAGAIN before it has arrived.
    pub(crate) fn read_urgent(&mut self, buf: &mut [u8], peek: bool) -> Result<usize, Errno> {
        match self.urgent {
            _ if self.settings.oob_inline => Err(Errno::EINVAL),
            Urgent::None | Urgent::Taken(_) => Err(Errno::EINVAL),
            Urgent::Announced(_) if self.fin_received || self.read_closed => Ok(0),
            Urgent::Announced(_) => Err(Errno::EAGAIN),
            Urgent::Here(mark, byte) => {
                if !peek {
                    self.urgent = Urgent::Taken(mark);
                }
                let Some(first) = buf.first_mut() else { return Ok(0) };
                *first = byte;
                Ok(1)
            }
        }
    }

    /// How many bytes a read that begins at the first unread byte may take: up to the mark. At the
    /// mark the urgent byte is skipped, unless it stays in the stream.
    pub(crate) fn readable_before_mark(&mut self, skip: bool) -> usize {
        let all = self.recv.len();
        let Some(mark) = self.urgent.mark() else { return all };
        if mark.before(self.rcv.copied) {
            self.urgent = Urgent::None;
            return all;
        }
        let offset = mark.ahead_of(self.rcv.copied) as usize;
        if offset > 0 || self.settings.oob_inline {
            return if offset > 0 { all.min(offset) } else { all };
        }
        if all > 0 && skip {
            self.recv.skip(1);
            self.rcv.copied += 1;
            self.urgent = Urgent::None;
            return all - 1;
        }
        all
    }

    /// SIOCATMARK: the next byte to read is the urgent one.
    pub(crate) fn is_at_mark(&self) -> bool {
        self.urgent.mark() == Some(self.rcv.copied)
    }

    /// SIOCINQ: bytes up to the mark, or all of them.
    pub(crate) fn readable(&self) -> u32 {
        let all = self.recv.len() as u32;
        match self.urgent.mark() {
            Some(mark)
                if !self.settings.oob_inline
                    && mark.at_or_after(self.rcv.copied)
                    && mark.before(self.rcv.nxt) =>
            {
                mark.ahead_of(self.rcv.copied)
            }
            _ => all,
        }
    }

    /// Bytes before this number are urgent: what was just written ends with an urgent byte.
    pub(crate) fn mark_urgent(&mut self) {
        self.snd.up = self.data_end();
    }

    /// Whether urgent data is on its way or waits.
    pub(crate) fn has_urgent_out(&self) -> bool {
        self.snd.up.after(self.snd.una)
    }

    /// URG and the pointer of a segment that begins at `seq` (RFC 9293 MUST-62: a pointer that does
    /// not reach says as far as it can).
    pub(crate) fn urgent_pointer(&self, seq: Seq) -> Option<u16> {
        if !self.has_urgent_out() || !seq.before(self.snd.up) {
            return None;
        }
        let distance = self.snd.up.ahead_of(seq);
        match u16::try_from(distance) {
            Ok(near) => Some(near),
            Err(_) if (seq + 0xffff).after(self.snd.nxt) => Some(0xffff),
            Err(_) => None,
        }
    }
}

fn byte_at(payload: &Payload, mut offset: usize) -> Option<u8> {
    for slice in payload.slices() {
        if let Some(byte) = slice.bytes().get(offset) {
            return Some(*byte);
        }
        offset -= slice.len();
    }
    None
}
