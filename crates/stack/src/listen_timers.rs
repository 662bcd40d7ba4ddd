//! The time-outs and the ends of handshakes that peers began.

use netarium_base::{Ctx, Duration, Event};

use crate::stack::Stack;
use crate::tcp::demux::Ends;
use crate::tcp::request::Request;
use crate::tcp::{Listener, Seq, Trigger};

impl Stack {
    /// Takes a request out of the table and its listener's queue.
    pub(crate) fn forget_request(&mut self, place: u32) {
        let Some(r) = self.tcp.requests.remove(place) else { return };
        if let Some(l) = self.sockets.listener_mut(r.listener) {
            l.requests.swap_remove(&place);
            if r.timeouts == 0 {
                l.young -= 1;
            }
        }
    }

    /// A handshake failed.
    pub(crate) fn end_request(&mut self, cx: &mut Ctx<'_>, place: u32, trigger: Trigger) {
        let Some(request) = self.tcp.requests.get(place).cloned() else { return };
        self.ip.stats.tcp_attempt_fails += 1;
        self.tell_request(cx, &request, trigger);
        self.forget_request(place);
    }

    pub(crate) fn request_timeout(&self, timeouts: u8) -> Duration {
        let c = &self.tcp_config;
        (c.initial_rto * (1u64 << timeouts.min(16))).min(c.max_rto)
    }

    /// SYN+ACKs that were not answered go out again, or are given up.
    pub(crate) fn request_deadlines(&mut self, cx: &mut Ctx<'_>) {
        while let Some(place) = self.tcp.requests.due(cx.now) {
            let Some(request) = self.tcp.requests.get(place).cloned() else { return };
            cx.cause = request.cause;
            cx.cause = cx
                .emit(self.ip.place(), request.flow, || Event::TimerFired { timer: "retransmit" });
            self.request_is_due(cx, place, request);
        }
    }

    fn request_is_due(&mut self, cx: &mut Ctx<'_>, place: u32, mut request: Request) {
        let settings = self.sockets.inherited(request.listener);
        let configured = match settings.syn_count {
            0 => self.tcp_config.synack_retries,
            n => n,
        };
        let listener = self.sockets.listener(request.listener);
        let retries = listener.map_or(0, |l| l.synack_retries(configured));
        let defer = settings.defer_accept;
        let waits_for_data = defer > 0 && request.acked && request.timeouts < defer;
        if request.timeouts >= retries && !waits_for_data {
            return self.end_request(cx, place, Trigger::TimedOut);
        }
        let last_chance = defer == 0 || !request.acked || request.timeouts + 1 >= defer;
        if last_chance {
            self.send_syn_ack(cx, &request, request.iss, Some("rto"));
        }
        if request.timeouts == 0
            && let Some(l) = self.sockets.listener_mut(request.listener)
        {
            l.young -= 1;
        }
        request.timeouts = request.timeouts.saturating_add(1);
        if let Some(r) = self.tcp.requests.get_mut(place) {
            r.timeouts = request.timeouts;
            r.resent |= last_chance;
        }
        let due = cx.now + self.request_timeout(request.timeouts);
        self.tcp.requests.rearm(place, due);
    }

    /// An ICMP error about a SYN+ACK: believed when it quotes our sequence number (RFC 5927 §4).
    pub(crate) fn request_unreachable(&mut self, cx: &mut Ctx<'_>, ends: &Ends, quoted: Seq) {
        let Some(place) = self.tcp.requests.find(ends) else { return };
        if self.tcp.requests.get(place).is_some_and(|r| r.iss == quoted) {
            self.end_request(cx, place, Trigger::Unreachable);
        }
    }

    /// Drops a listener's handshakes, and resets what waits for `accept` (RFC 9293 §3.10.4), as on
    /// every system.
    pub(crate) fn close_listener(&mut self, cx: &mut Ctx<'_>, listener: &Listener) {
        for place in &listener.requests {
            self.end_request(cx, *place, Trigger::Abort);
        }
        for slot in &listener.ready {
            self.discard(cx, *slot);
        }
    }
}
