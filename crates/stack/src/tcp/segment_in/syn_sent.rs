//! RFC 9293 §3.10.7.3: a segment arrives in SYN-SENT.

use netarium_base::{Ctx, DropReason};
use netarium_wire::TcpFlags;

use super::{Outcome, SegmentIn};
use crate::errno::Errno;
use crate::tcp::connection::{Connection, Syn};
use crate::tcp::state::Trigger;

impl Connection {
    pub(crate) fn in_syn_sent(&mut self, cx: &mut Ctx<'_>, seg: SegmentIn) -> Outcome {
        // First: the ACK bit.
        let acks = seg.has(TcpFlags::ACK);
        if acks && (seg.ack.at_or_before(self.snd.iss) || seg.ack.after(self.snd.nxt)) {
            let refused = !seg.has(TcpFlags::RST);
            return if refused {
                Outcome::Refused
            } else {
                Outcome::Dropped(DropReason::NotAcceptable)
            };
        }
        // Second: the RST bit.
        if seg.has(TcpFlags::RST) {
            if !acks {
                return Outcome::Dropped(DropReason::NotAcceptable);
            }
            self.fail(cx, Trigger::Reset, Errno::ECONNREFUSED);
            return Outcome::Taken;
        }
        // Fourth: the SYN bit.
        if !seg.has(TcpFlags::SYN) {
            return Outcome::Dropped(DropReason::NotAcceptable);
        }
        self.take_syn(cx, &seg);
        if acks {
            self.snd.una = seg.ack;
            self.snd.syn_acked = true;
            self.finish_handshake(cx, &seg);
            self.transition(cx, Trigger::SynAck);
            self.want.ack = Some("SYN+ACK received");
            // RFC 9293: data or a FIN on the SYN is processed as in the other states; rcv.nxt
            // is behind the SYN already.
            let mut rest = seg;
            rest.seq += 1;
            rest.flags.remove(TcpFlags::SYN);
            return if rest.is_empty() { Outcome::Taken } else { self.take_text(cx, &mut rest) };
        }
        // Simultaneous open (RFC 9293 §3.5, figure 7): our SYN goes out again, now with an ACK.
        self.transition(cx, Trigger::Syn);
        self.want.syn = Some(Syn::First);
        Outcome::Taken
    }
}
