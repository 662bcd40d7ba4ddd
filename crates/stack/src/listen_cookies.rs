//! SYN cookies of listeners (RFC 4987 §3.6): handshakes that cost no memory.

use netarium_base::{Ctx, DropReason, SocketId};
use netarium_wire::{Payload, TcpFlags};

use crate::stack::Stack;
use crate::tcp::Trigger;
use crate::tcp::config::{Ecn, SynCookies};
use crate::tcp::cookies;
use crate::tcp::demux::Ends;
use crate::tcp::options::SegmentOptions;
use crate::tcp::segment_in::SegmentIn;
use crate::tcp_io::Arrived;

impl Stack {
    pub(crate) fn answer_with_cookie(
        &mut self,
        cx: &mut Ctx<'_>,
        listener: SocketId,
        arrived: &Arrived<'_>,
        seg: &SegmentIn,
    ) {
        let mut plain = SegmentIn { payload: Payload::new(), ..seg.header_copy() };
        if plain.options.timestamps.is_none() {
            // There is no place to remember them in.
            plain.options.window_shift = None;
            plain.options.sack_permitted = false;
        }
        let mut request = self.new_request(cx, listener, arrived, &plain);
        request.ecn &= request.agreed.timestamps.is_some();
        let peer = seg.options.mss.unwrap_or(536);
        let (iss, _) = cookies::encode(&self.cookie_luck, cx.now, &request.ends, seg.seq, peer);
        self.ip.stats.tcp_cookies_sent += 1;
        if let Some(l) = self.sockets.listener_mut(listener) {
            l.cookie_sent = Some(cx.now);
        }
        let cause = cx.cause;
        self.send_syn_ack(cx, &request, iss, None);
        cx.cause = cause;
    }

    /// Whether an ACK for a listener may answer a cookie.
    pub(crate) fn takes_cookie(
        &mut self,
        cx: &Ctx<'_>,
        listener: SocketId,
        arrived: &Arrived<'_>,
        seg: &SegmentIn,
    ) -> bool {
        let sent = self.sockets.listener(listener).and_then(|l| l.cookie_sent);
        let lately = sent.is_some_and(|t| cx.now.since(t) < cookies::LISTEN_FOR);
        if self.tcp_config.syn_cookies == SynCookies::Off || !lately {
            return false;
        }
        let known = self.cookie_of(cx, arrived, seg).is_some();
        if known {
            self.ip.stats.tcp_cookies_received += 1;
        } else {
            self.ip.stats.tcp_cookies_failed += 1;
        }
        known
    }

    fn cookie_of(&self, cx: &Ctx<'_>, arrived: &Arrived<'_>, seg: &SegmentIn) -> Option<u16> {
        let ends = Ends::new(arrived.local, arrived.remote);
        cookies::decode(&self.cookie_luck, cx.now, &ends, seg.seq - 1, seg.ack - 1)
    }

    pub(crate) fn child_from_cookie(
        &mut self,
        cx: &mut Ctx<'_>,
        listener: SocketId,
        arrived: &Arrived<'_>,
        seg: SegmentIn,
    ) {
        let Some(mss) = self.cookie_of(cx, arrived, &seg) else { return };
        if self.sockets.listener(listener).is_none_or(|l| l.accept_queue_is_full()) {
            self.ip.stats.tcp_listen_overflows += 1;
            return self.drop_segment(cx, arrived.frame, DropReason::AcceptQueueFull, arrived.len);
        }
        let mut syn = SegmentIn { payload: Payload::new(), ..seg.header_copy() };
        syn.seq = seg.seq - 1;
        syn.flags = TcpFlags::SYN;
        syn.options = SegmentOptions { mss: Some(mss), ..SegmentOptions::default() };
        let mut request = self.new_request(cx, listener, arrived, &syn);
        if let Some((val, echo)) = seg.options.timestamps.filter(|_| self.tcp_config.timestamps) {
            let stamp = echo.wrapping_sub(request.timestamp_offset);
            let (window_shift, sack_permitted, ecn) = cookies::decode_stamp(stamp);
            let timestamps = Some((val, 0));
            syn.options =
                SegmentOptions { window_shift, sack_permitted, timestamps, ..syn.options };
            request = self.new_request(cx, listener, arrived, &syn);
            request.ecn = ecn && self.tcp_config.ecn != Ecn::Off;
        }
        request.iss = seg.ack - 1;
        request.resent = true;
        let cause = cx.cause;
        self.tell_request(cx, &request, Trigger::Syn);
        cx.cause = cause;
        self.begin_child(cx, &request, arrived, seg);
    }
}
