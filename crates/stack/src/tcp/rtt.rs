//! Round-trip time and retransmission time-out (RFC 6298).

use netarium_base::Duration;

/// RFC 6298 §2.1: before the first measurement.
pub const INITIAL_RTO: Duration = Duration::from_secs(1);
/// Linux' minimum. RFC 6298 §2.4 asks for 1 s; every common system deviates, because 1 s costs
/// far too much on today's links.
pub const MIN_RTO: Duration = Duration::from_millis(200);
/// RFC 6298 §2.5 allows a maximum of at least 60 s; Linux' is 120 s.
pub const MAX_RTO: Duration = Duration::from_secs(120);

/// RFC 6298 §5.7: for data after a SYN that was sent twice, without a measurement.
pub const RTO_AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// The estimator of one connection.
#[derive(Clone, Debug)]
pub struct Rtt {
    srtt: Option<Duration>,
    rttvar: Duration,
    min: Option<Duration>,
    rto: Duration,
    backoff: u32,
}

impl Default for Rtt {
    fn default() -> Self {
        Rtt { srtt: None, rttvar: Duration::ZERO, min: None, rto: INITIAL_RTO, backoff: 0 }
    }
}

impl Rtt {
    /// Takes a measurement. Karn's rule (RFC 6298 §3) is the caller's: no samples from data that
    /// was sent twice, unless timestamps tell which copy was acknowledged.
    pub fn sample(&mut self, r: Duration) {
        self.min = Some(self.min.map_or(r, |m| m.min(r)));
        match self.srtt {
            // RFC 6298 §2.2
            None => {
                self.srtt = Some(r);
                self.rttvar = r / 2;
            }
            // RFC 6298 §2.3: alpha = 1/8, beta = 1/4.
            Some(srtt) => {
                let delta = if srtt > r { srtt - r } else { r - srtt };
                self.rttvar = (self.rttvar * 3 + delta) / 4;
                self.srtt = Some((srtt * 7 + r) / 8);
            }
        }
        let srtt = self.srtt.unwrap_or(r);
        // As in Linux the floor applies to the variance term, so that RTO never falls to RTT.
        self.rto = (srtt + (self.rttvar * 4).max(MIN_RTO)).min(MAX_RTO);
        self.backoff = 0;
    }

    /// The smoothed round-trip time, once measured.
    pub fn srtt(&self) -> Option<Duration> {
        self.srtt
    }

    /// The shortest round trip measured.
    pub fn min(&self) -> Option<Duration> {
        self.min
    }

    /// The mean deviation.
    pub fn rttvar(&self) -> Duration {
        self.rttvar
    }

    /// The time-out with its backoff.
    pub fn rto(&self) -> Duration {
        (self.rto * (1u64 << self.backoff.min(16))).min(MAX_RTO)
    }

    /// RFC 6298 §5.5: doubles the time-out.
    pub fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    /// The backoff ends although nothing new was measured: the peer opened its window, or, with
    /// timestamps, acknowledged new data. Without timestamps an acknowledgement alone does not end
    /// it, that takes a sample from data sent once (RFC 6298 §5.7, the second half of Karn's
    /// rule), lest a path slower than the time-out had everything sent twice for ever.
    pub fn reset_backoff(&mut self) {
        self.backoff = 0;
    }

    /// The handshake is done, and its SYN had to be sent again. RFC 6298 §5.7: without a
    /// measurement data starts with a time-out of 3 s.
    pub fn after_lost_syn(&mut self) {
        if self.srtt.is_none() {
            self.rto = RTO_AFTER_LOST_SYN;
            self.backoff = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6298 §2.
    #[test]
    fn follows_the_formulas() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.rto(), Duration::from_secs(1));
        rtt.sample(Duration::from_millis(800));
        assert_eq!(rtt.rto(), Duration::from_millis(800 + 4 * 400));
        rtt.sample(Duration::from_millis(800));
        assert_eq!(rtt.rttvar(), Duration::from_millis(300));
        rtt.back_off();
        assert_eq!(rtt.rto(), Duration::from_millis(2 * (800 + 4 * 300)));
        for _ in 0..40 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), MAX_RTO);
    }
}
