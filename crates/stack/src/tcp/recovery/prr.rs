//! Proportional rate reduction (RFC 6937, RFC 9937) with its slow-start reduction bound: during a
//! recovery as many segments go out for each that arrives as bring what is in flight down to the
//! threshold by its end, and no faster back up to it than losses allow.

/// The sums of one reduction, in segments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prr {
    /// The window before it: `RecoverFS`.
    pub(crate) prior_cwnd: u32,
    delivered: u32,
    out: u32,
}

impl Prr {
    /// A reduction begins.
    pub(crate) fn begin(&mut self, cwnd: u32) {
        *self = Prr { prior_cwnd: cwnd, delivered: 0, out: 0 };
    }

    /// A segment was sent.
    pub(crate) fn sent(&mut self) {
        self.out = self.out.saturating_add(1);
    }

    /// The window after an acknowledgement that delivered `acked` segments and said that `lost`
    /// more are lost; `advanced` when it acknowledged cumulatively. `None` when it says nothing.
    pub(crate) fn window(
        &mut self,
        ssthresh: u32,
        in_flight: u32,
        (acked, lost, advanced): (u32, u32, bool),
    ) -> Option<u32> {
        if acked == 0 || self.prior_cwnd == 0 {
            return None;
        }
        self.delivered = self.delivered.saturating_add(acked);
        let (delivered, out) = (i64::from(self.delivered), i64::from(self.out));
        let room = i64::from(ssthresh) - i64::from(in_flight);
        let mut allowed = if room < 0 {
            // RFC 9937 §6.2: ceil(prr_delivered · ssthresh / RecoverFS) − prr_out.
            let prior = i64::from(self.prior_cwnd);
            (delivered * i64::from(ssthresh) + prior - 1) / prior - out
        } else {
            // PRR-SSRB: a segment more when nothing new is lost.
            let safe = i64::from(advanced && lost == 0);
            ((delivered - out).max(i64::from(acked)) + safe).min(room)
        };
        // The first retransmission goes out whatever the sums say.
        allowed = allowed.max(i64::from(self.out == 0));
        let cwnd = i64::from(in_flight) + allowed.max(0);
        Some(u32::try_from(cwnd).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of 20 reduced to 14 (RFC 6937 §4's kind of example): one segment of 20 is lost,
    /// each of the 19 others comes back in an ACK of its own.
    #[test]
    fn sending_is_spread_over_the_round_trip() {
        let mut prr = Prr::default();
        prr.begin(20);
        let (mut in_flight, mut sent) = (20 - 1 - 3, 0);
        let mut pattern = Vec::new();
        // Three duplicates before it began; the first ACK of the reduction is the third one.
        for n in 0..17 {
            if n > 0 {
                in_flight -= 1;
            }
            let cwnd = prr.window(14, in_flight, (1, u32::from(n == 0), false)).unwrap();
            let burst = cwnd.saturating_sub(in_flight);
            pattern.push(burst);
            for _ in 0..burst {
                prr.sent();
                in_flight += 1;
                sent += 1;
            }
            assert!(burst <= 1, "never two at once: {pattern:?}");
        }
        assert_eq!(pattern[..5], [1, 1, 1, 0, 1], "seven of ten at first: {pattern:?}");
        assert_eq!((sent, in_flight), (14, 14), "down to the threshold, not below: {pattern:?}");
    }

    /// Heavy loss: below the threshold the window grows by what is delivered, one more when an
    /// ACK shows that nothing more is lost.
    #[test]
    fn slow_start_bound_after_heavy_loss() {
        let mut prr = Prr::default();
        prr.begin(20);
        assert_eq!(prr.window(10, 3, (1, 10, false)), Some(4));
        prr.sent();
        assert_eq!(prr.window(10, 3, (1, 1, true)), Some(4), "more is lost: as delivered");
        prr.sent();
        assert_eq!(prr.window(10, 3, (1, 0, true)), Some(5), "safe: one more");
        prr.sent();
        prr.sent();
        assert_eq!(prr.window(10, 9, (5, 0, true)), Some(10), "not beyond the threshold");
        assert_eq!(prr.window(10, 9, (0, 0, true)), None, "nothing delivered");
    }
}
