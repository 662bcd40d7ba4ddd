//! RACK (RFC 8985): a segment is lost when one that was sent later has arrived and a reordering
//! window has passed since.

use netarium_base::{Ctx, Duration, Instant};

use super::board::{Record, Verdict, mark};
use super::{News, Resending};
use crate::tcp::connection::Connection;
use crate::tcp::info::CaState;
use crate::tcp::timers::Timer;

/// How many recoveries a widened reordering window lasts (RFC 8985 §6.2 step 4).
const PERSIST: u8 = 16;
/// No timer of recovery is shorter than this.
pub(crate) const SHORTEST: Duration = Duration::from_millis(2);

/// The latest segment known to be delivered, and how much reordering is tolerated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rack {
    /// When the latest-sent delivered segment was sent: `RACK.xmit_ts`.
    sent: Instant,
    /// Which transmission it was: tells the order within one instant, for which the RFC takes
    /// `RACK.end_seq`, which misjudges copies and new data sent together.
    turn: u32,
    /// How long it took: `RACK.rtt`.
    rtt: Duration,
    /// Something was delivered since losses were last looked for.
    advanced: bool,
    /// The reordering window in quarters of the shortest round trip: `RACK.reo_wnd_mult`.
    steps: u8,
    /// Recoveries until it shrinks again: `RACK.reo_wnd_persist`.
    persist: u8,
    /// A duplicate was reported that a wider window might have avoided.
    duplicate: bool,
    /// What had been delivered when the window was last widened.
    widened_at: u32,
}

impl Default for Rack {
    fn default() -> Self {
        Rack {
            sent: Instant::ZERO,
            turn: 0,
            rtt: Duration::ZERO,
            advanced: false,
            steps: 1,
            persist: 0,
            duplicate: false,
            widened_at: 0,
        }
    }
}

impl Rack {
    /// A segment was delivered (RFC 8985 §6.2 step 2).
    pub(super) fn delivered(&mut self, r: &Record, now: Instant, min_rtt: Option<Duration>) {
        let rtt = now.since(r.sent);
        // Faster than ever: the answer is to an earlier copy.
        if r.is(mark::COPIED) && min_rtt.is_some_and(|m| rtt < m) {
            return;
        }
        self.advanced = true;
        self.rtt = rtt;
        if is_after((r.sent, r.turn), (self.sent, self.turn)) {
            (self.sent, self.turn) = (r.sent, r.turn);
        }
    }

    /// RFC 8985 §6.2 step 4: one more quarter after a round with duplicates.
    pub(super) fn adapt(&mut self, prior_delivered: Option<u32>, delivered: u32) {
        let Some(prior) = prior_delivered else { return };
        // Duplicates of the round in which the window was widened are no new evidence.
        if (prior.wrapping_sub(self.widened_at) as i32) < 0 {
            self.duplicate = false;
        }
        if std::mem::take(&mut self.duplicate) {
            self.steps = self.steps.saturating_add(1);
            self.widened_at = delivered;
            self.persist = PERSIST;
        } else if self.persist == 0 {
            self.steps = 1;
        }
    }

    pub(super) fn saw_duplicate(&mut self) {
        self.duplicate = true;
    }

    /// A recovery ended as it should.
    pub(super) fn recovery_ended(&mut self) {
        self.persist = self.persist.saturating_sub(1);
    }

    /// A recovery was a mistake.
    pub(super) fn recovery_undone(&mut self) {
        self.persist = self.persist.saturating_add(1).min(PERSIST);
    }

    /// Losses are looked for again although nothing new was delivered.
    pub(super) fn look_again(&mut self) {
        self.advanced = true;
    }

    /// How long a segment that is sent now is waited for beyond `reorder`.
    pub(super) fn left(&self, r: &Record, reorder: Duration, now: Instant) -> Option<Duration> {
        let left = (self.rtt + reorder).saturating_sub(now.since(r.sent));
        (!left.is_zero()).then_some(left)
    }

    /// RFC 8985 §6.2 step 5: whether a segment is lost, and how long that is still open.
    fn judge(&self, r: &Record, reorder: Duration, now: Instant) -> (Verdict, Duration) {
        if !is_after((self.sent, self.turn), (r.sent, r.turn)) {
            return (Verdict::Stop, Duration::ZERO);
        }
        match self.left(r, reorder, now) {
            None => (Verdict::Lost, Duration::ZERO),
            Some(left) => (Verdict::Wait, left),
        }
    }
}

/// Whether one transmission came after another.
fn is_after(a: (Instant, u32), b: (Instant, u32)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && (a.1.wrapping_sub(b.1) as i32) > 0)
}

impl Connection {
    /// How long a segment may be late before it is taken for lost.
    fn reordering_window(&self) -> Duration {
        let r = &self.rec;
        if r.reordered == 0 {
            // Nothing was ever reordered here: in recovery, and after as many SACKed segments as
            // mean loss in RFC 6675, no patience.
            let certain = r.state >= CaState::Recovery || r.board.sacked >= r.reordering;
            if certain {
                return Duration::ZERO;
            }
        }
        let min = self.rtt.min().unwrap_or(Duration::ZERO);
        let window = min / 4 * u64::from(r.rack.steps);
        window.min(self.rtt.srtt().unwrap_or(Duration::ZERO))
    }

    /// Marks what is lost by now; how long the latest undecided segment is waited for.
    fn detect_losses(&mut self, now: Instant) -> Option<Duration> {
        let reorder = self.reordering_window();
        let rack = self.rec.rack;
        let mut longest = None;
        let marked = self.rec.board.mark_by_time(|r| {
            let (verdict, left) = rack.judge(r, reorder, now);
            if verdict == Verdict::Wait {
                longest = longest.max(Some(left));
            }
            verdict
        });
        self.rec.lost = self.rec.lost.wrapping_add(marked);
        longest
    }

    /// Looks for losses after an acknowledgement. Whether the reordering timer was set.
    pub(super) fn detect_by_time(&mut self, cx: &mut Ctx<'_>) -> bool {
        if !std::mem::take(&mut self.rec.rack.advanced) {
            return false;
        }
        let Some(left) = self.detect_losses(cx.now) else { return false };
        self.timers.watch(Timer::Reorder, cx.now + left + SHORTEST, cx.cause);
        true
    }

    /// RFC 8985 §6.3: the reordering window has passed.
    pub(crate) fn on_reorder_timeout(&mut self, cx: &mut Ctx<'_>) {
        let (in_flight, lost) = (self.rec.board.in_flight(), self.rec.lost);
        self.detect_losses(cx.now);
        if self.rec.board.in_flight() != in_flight {
            if self.rec.state != CaState::Recovery {
                self.enter_recovery(cx, false);
                let newly = self.rec.lost.wrapping_sub(lost);
                self.reduce(cx, (1, newly, false));
            }
            self.rec.resending = Resending::Lost;
        }
        if !self.timers.is_watched() {
            // The timer's own turn is over: what is left of the time-out remains.
            if let Some(due) = self.rto_due() {
                let due = due.max(cx.now + Duration::from_millis(1));
                self.timers.watch(Timer::Retransmit, due, cx.cause);
            }
        }
    }

    /// Duplicates that the peer reported widen the window, a round later (RFC 8985 §6.2 step 4).
    pub(super) fn adapt_reordering(&mut self, news: &News) {
        self.rec.rack.adapt(news.prior_delivered, self.rec.delivered);
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::*;
    use crate::tcp::seq::Seq;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn board(sent: &[u64]) -> Board {
        let mut b = Board::default();
        for (i, t) in sent.iter().enumerate() {
            b.push(Seq(i as u32 * 100), Seq(i as u32 * 100 + 100), at(*t), 0);
        }
        b
    }

    /// RFC 8985 §6.2 step 5: lost is what was sent before the latest delivered segment and waited
    /// for longer than its round trip and the reordering window.
    #[test]
    fn time_decides() {
        let mut b = board(&[0, 0, 5, 9, 12]);
        let mut delivered = Vec::new();
        b.sack((Seq(300), Seq(400)), |r| delivered.push(*r));
        let mut rack = Rack::default();
        rack.delivered(&delivered[0], at(50), None);
        let mut waits = Vec::new();
        let lost = b.mark_by_time(|r| {
            let (verdict, left) = rack.judge(r, ms(8), at(50));
            waits.push((verdict, left));
            verdict
        });
        assert_eq!(lost, 2, "41 + 8 ms have passed for those sent at 0");
        let rest = [(Verdict::Wait, ms(4)), (Verdict::Stop, Duration::ZERO)];
        assert_eq!(waits[2..], rest, "sent at 5; sent after the delivered one");
        b.check(Seq(0), Seq(500), true);
    }

    /// An answer that is faster than any before is to the original, not to the copy.
    #[test]
    fn a_copy_that_answers_too_fast_says_nothing() {
        let mut b = board(&[0]);
        b.resend(Seq(0), Seq(100), (at(40), 0), true);
        let copy = *b.head().unwrap();
        let mut rack = Rack::default();
        rack.delivered(&copy, at(50), Some(ms(30)));
        assert!(!rack.advanced);
        rack.delivered(&copy, at(71), Some(ms(30)));
        assert!(rack.advanced && rack.rtt == ms(31));
    }

    /// RFC 8985 §6.2 step 4: wider once per round with duplicates, narrow again after sixteen
    /// recoveries without.
    #[test]
    fn duplicates_widen_the_window_once_per_round() {
        let mut rack = Rack::default();
        rack.saw_duplicate();
        rack.adapt(Some(10), 20);
        assert_eq!(rack.steps, 2);
        rack.saw_duplicate();
        rack.adapt(Some(19), 25);
        assert_eq!(rack.steps, 2, "sent before it was widened");
        rack.saw_duplicate();
        rack.adapt(Some(20), 30);
        assert_eq!(rack.steps, 3);
        for _ in 0..16 {
            rack.adapt(Some(40), 40);
            assert_eq!(rack.steps, 3);
            rack.recovery_ended();
        }
        rack.adapt(Some(40), 40);
        assert_eq!(rack.steps, 1);
    }
}
