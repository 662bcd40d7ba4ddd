//! Tail loss probes (RFC 8985 §7): when the answers to the end of a flight stay away for two
//! round trips, one segment more, new or sent again, lets SACK and RACK see what was lost before
//! the time-out throws everything back.

use netarium_base::Ctx;

use super::News;
use super::rack::SHORTEST;
use crate::tcp::connection::Connection;
use crate::tcp::info::CaState;
use crate::tcp::seq::Seq;
use crate::tcp::timers::Timer;

/// A probe in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// SND.NXT when it was sent: `TLP.end_seq`.
    pub(crate) end: Seq,
    /// It was a copy, not new data.
    pub(crate) copy: bool,
}

impl Connection {
    /// Sets the probe timer (RFC 8985 §7.2); `advancing` when the time-out starts again now.
    pub(crate) fn schedule_probe(&mut self, cx: &mut Ctx<'_>, advancing: bool) -> bool {
        let calm = matches!(self.rec.state, CaState::Open | CaState::Cwr);
        let Some(head) = self.rec.board.head() else { return false };
        if !self.config.early_retrans || !self.sack || !calm || self.rtt.is_doubtful() {
            return false;
        }
        let mut wait = match self.rtt.srtt() {
            // A single segment's answer may be delayed on purpose.
            Some(srtt) if self.rec.board.len() == 1 => srtt * 2 + self.rtt.floor(),
            Some(srtt) => srtt * 2 + SHORTEST,
            None => self.config.initial_rto,
        };
        let rto = self.rtt.rto();
        let left = if advancing { rto } else { (head.sent + rto).since(cx.now) };
        if !left.is_zero() {
            wait = wait.min(left);
        }
        self.timers.watch(Timer::LossProbe, cx.now + wait, cx.cause);
        true
    }

    /// The probe timer fired: a probe is asked for, unless one is out already (§7.3).
    pub(crate) fn on_loss_probe(&mut self, cx: &mut Ctx<'_>) {
        if self.rec.probe.is_none() && !self.rec.board.is_empty() {
            self.want.tail_probe = true;
        } else {
            self.rearm_after_probe(cx);
        }
    }

    /// A probe could not go out: what is left of the time-out takes over.
    pub(crate) fn rearm_after_probe(&mut self, cx: &mut Ctx<'_>) {
        let due = self.rec.board.head().map(|r| r.sent + self.rtt.rto());
        match due {
            Some(due) => self.timers.watch(Timer::Retransmit, due.max(cx.now + SHORTEST), cx.cause),
            None => self.timers.cancel_watch(),
        }
    }

    /// A probe went out: the time-out starts anew.
    pub(crate) fn probe_sent(&mut self, cx: &mut Ctx<'_>, copy: bool) {
        self.rec.probe = Some(Probe { end: self.snd.nxt, copy });
        self.timers.watch(Timer::Retransmit, cx.now + self.rtt.rto(), cx.cause);
    }

    /// What an acknowledgement says of the probe (RFC 8985 §7.4).
    pub(crate) fn take_probe_answer(&mut self, cx: &mut Ctx<'_>, ack: Seq, news: &News) {
        let Some(probe) = self.rec.probe.filter(|p| ack.at_or_after(p.end)) else { return };
        let plain = !news.advanced && !news.is_no_duplicate() && !news.sacked;
        if !probe.copy {
            self.rec.probe = None;
        } else if news.duplicate_probe {
            self.rec.probe = None;
            self.rtt.doubt();
        } else if ack.after(probe.end) {
            // Something was lost, and the probe repaired it: the window must pay (§7.4.2).
            self.begin_reduction(cx);
            self.rec.state = CaState::Cwr;
            self.end_reduction(cx, "probe repaired a loss");
            self.keep_open();
        } else if plain {
            // A duplicate without a report: both copies arrived.
            self.rec.probe = None;
            self.rtt.doubt();
        }
    }
}
