//! Explicit congestion notification (RFC 3168).
//!
//! A sender marks new data as capable; a router that would drop a segment marks it instead; the
//! receiver echoes the mark (ECE) until the sender says that it has slowed down (CWR), which it
//! does once per round trip.

use netarium_wire::TcpFlags;

use super::config;
use super::connection::Connection;
use super::segment_in::SegmentIn;

/// IP's ECN field: capable, codepoint ECT(0).
pub(crate) const ECT0: u8 = 2;
/// IP's ECN field: congestion experienced.
pub(crate) const CE: u8 = 3;
/// The field's bits of the TOS byte.
pub(crate) const MASK: u8 = 3;

/// The state of ECN of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ecn {
    /// Both ends agreed to use it.
    pub(crate) on: bool,
    /// The next new data carries CWR.
    cwr: bool,
    /// A mark arrived that is echoed until the peer's CWR comes.
    echo: bool,
    /// A segment with ECT or CE arrived.
    pub(crate) seen: bool,
    /// A copy of the SYN does without (RFC 3168 §6.1.1.1): the first may have been dropped for it.
    pub(crate) gave_up: bool,
}

impl Ecn {
    /// The window was reduced: the peer is told.
    pub(crate) fn queue_cwr(&mut self) {
        self.cwr |= self.on;
    }

    /// The reduction was taken back before the peer was told.
    pub(crate) fn withdraw_cwr(&mut self) {
        self.cwr = false;
    }

    /// The flag and the IP field of a data segment; `new` for data that was never sent (RFC 3168
    /// §6.1.5: copies are not marked capable).
    pub(crate) fn mark(&mut self, new: bool) -> (TcpFlags, u8) {
        if !self.on || !new {
            return (TcpFlags::empty(), 0);
        }
        let cwr = std::mem::take(&mut self.cwr);
        (if cwr { TcpFlags::CWR } else { TcpFlags::empty() }, ECT0)
    }

    /// The echo of a congestion mark, on every acknowledgement until CWR comes.
    pub(crate) fn echo(&self, flags: TcpFlags) -> TcpFlags {
        let plain =
            flags.contains(TcpFlags::ACK) && !flags.intersects(TcpFlags::SYN | TcpFlags::RST);
        if self.on && self.echo && plain { TcpFlags::ECE } else { TcpFlags::empty() }
    }
}

impl Connection {
    /// The flags with which our SYN asks for ECN (RFC 3168 §6.1.1), or our SYN+ACK grants it.
    pub(crate) fn ecn_of_syn(&mut self, answer: bool, again: bool) -> TcpFlags {
        if answer {
            return if self.ecn.on { TcpFlags::ECE } else { TcpFlags::empty() };
        }
        self.ecn.gave_up |= again;
        if self.config.ecn == config::Ecn::On && !self.ecn.gave_up {
            TcpFlags::ECE | TcpFlags::CWR
        } else {
            TcpFlags::empty()
        }
    }

    /// What the peer's SYN or SYN+ACK says of ECN.
    pub(crate) fn take_ecn_of_syn(&mut self, seg: &SegmentIn) {
        let ece = seg.has(TcpFlags::ECE);
        let cwr = seg.has(TcpFlags::CWR);
        self.ecn.on = if seg.has(TcpFlags::ACK) {
            self.config.ecn == config::Ecn::On && ece && !cwr
        } else {
            // RFC 3168 §6.1.1: a SYN is never sent as capable; one that is comes from a network
            // that mangles the field.
            self.config.ecn != config::Ecn::Off && ece && cwr && seg.ecn == 0
        };
    }

    /// Data arrived: its mark is echoed from now on, and its CWR ends the echo (RFC 3168 §6.1.3).
    pub(crate) fn take_ecn_of_data(&mut self, seg: &SegmentIn) {
        if !self.ecn.on {
            return;
        }
        if seg.has(TcpFlags::CWR) {
            self.ecn.echo = false;
            // The sender has a small window now: it should not wait for a delayed ACK.
            self.want.ack.get_or_insert("CWR received");
        }
        self.ecn.seen |= seg.ecn != 0;
        if seg.ecn == CE && !self.ecn.echo {
            self.ecn.echo = true;
            self.enter_quick_mode();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cwr_goes_out_once_and_copies_are_not_capable() {
        let mut e = Ecn { on: true, ..Ecn::default() };
        assert_eq!(e.mark(true), (TcpFlags::empty(), ECT0));
        e.queue_cwr();
        assert_eq!(e.mark(false), (TcpFlags::empty(), 0), "a copy");
        assert_eq!(e.mark(true), (TcpFlags::CWR, ECT0));
        assert_eq!(e.mark(true), (TcpFlags::empty(), ECT0));
        let mut off = Ecn::default();
        off.queue_cwr();
        assert_eq!(off.mark(true), (TcpFlags::empty(), 0));
    }
}
