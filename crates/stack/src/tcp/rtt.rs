//! Round-trip time and retransmission time-out (RFC 6298), estimated as Linux does: the variance
//! term has a floor, follows an increase at once and a decrease only once per round trip, and a
//! sudden drop of the round trip does not count as variance.

use netarium_base::{Duration, Instant};

use super::config::TcpConfig;
use super::seq::Seq;

/// RFC 6298 §5.7: for data after a SYN that was sent twice, without a measurement.
pub const RTO_AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// How long the shortest round trip is remembered: routes change.
const MIN_LIFETIME: Duration = Duration::from_secs(300);

/// The estimator of one connection.
#[derive(Clone, Debug)]
pub struct Rtt {
    /// The longest span before the first measurement.
    srtt: Duration,
    /// Mean deviation.
    mdev: Duration,
    /// What is added to the smoothed round trip: four deviations, or the floor.
    margin: Duration,
    /// The largest margin in this round.
    margin_now: Duration,
    /// The round ends when this is acknowledged.
    round_end: Seq,
    /// The shortest round trip and when it was measured; the longest span before.
    min: (Duration, Instant),
    rto: Duration,
    /// Milliseconds.
    floor: u32,
    /// Milliseconds.
    ceiling: u32,
    backoff: u8,
    /// Something sent after the time-out or a probe turned out to be needless, and nothing was
    /// measured since.
    doubtful: bool,
}

impl Rtt {
    /// An estimator without a measurement.
    pub fn new(config: &TcpConfig) -> Rtt {
        Rtt {
            srtt: Duration::MAX,
            mdev: Duration::ZERO,
            margin: Duration::ZERO,
            margin_now: Duration::ZERO,
            round_end: Seq(0),
            min: (Duration::MAX, Instant::ZERO),
            rto: config.initial_rto,
            floor: millis(config.min_rto),
            ceiling: millis(config.max_rto),
            backoff: 0,
            doubtful: false,
        }
    }

    /// Takes a measurement, made while everything before `una` was acknowledged and `nxt` was to
    /// be sent next. Karn's rule (RFC 6298 §3) is the caller's: no samples from data that was sent
    /// twice, unless timestamps tell which copy was acknowledged.
    pub fn sample(&mut self, r: Duration, una: Seq, nxt: Seq) {
        match self.srtt() {
            // RFC 6298 §2.2
            None => {
                self.srtt = r;
                self.mdev = r / 2;
                self.margin = (self.mdev * 4).max(self.floor());
                self.margin_now = self.margin;
                self.round_end = nxt;
            }
            // RFC 6298 §2.3: alpha = 1/8, beta = 1/4.
            Some(srtt) => {
                self.deviate(srtt, r);
                self.srtt = (srtt * 7 + r) / 8;
                self.follow(una, nxt);
            }
        }
        self.rto = (self.srtt + self.margin).min(self.ceiling());
        self.backoff = 0;
        self.doubtful = false;
    }

    fn deviate(&mut self, srtt: Duration, r: Duration) {
        let delta = if srtt > r { srtt - r } else { r - srtt };
        if delta < self.mdev {
            self.mdev = self.mdev - (self.mdev - delta) / 4;
        } else {
            // A shorter round trip than expected is good news, no reason for patience.
            let weight = if srtt > r { 32 } else { 4 };
            self.mdev += (delta - self.mdev) / weight;
        }
    }

    fn follow(&mut self, una: Seq, nxt: Seq) {
        self.margin_now = self.margin_now.max(self.mdev * 4);
        self.margin = self.margin.max(self.margin_now);
        if una.after(self.round_end) {
            self.margin = self.margin - (self.margin - self.margin_now) / 4;
            self.round_end = nxt;
            self.margin_now = self.floor();
        }
    }

    /// Notes how long a segment took there and back, for the shortest round trip.
    pub fn note_min(&mut self, r: Duration, now: Instant) {
        let (min, at) = self.min;
        if r <= min || now.since(at) >= MIN_LIFETIME {
            self.min = (r, now);
        }
    }

    /// The smoothed round-trip time, once measured.
    pub fn srtt(&self) -> Option<Duration> {
        Some(self.srtt).filter(|r| *r != Duration::MAX)
    }

    /// The shortest round trip measured in the last five minutes.
    pub fn min(&self) -> Option<Duration> {
        Some(self.min.0).filter(|r| *r != Duration::MAX)
    }

    /// The mean deviation.
    pub fn rttvar(&self) -> Duration {
        self.mdev
    }

    /// The least time-out margin.
    pub fn floor(&self) -> Duration {
        Duration::from_millis(self.floor.into())
    }

    fn ceiling(&self) -> Duration {
        Duration::from_millis(self.ceiling.into())
    }

    /// The time-out with its backoff.
    pub fn rto(&self) -> Duration {
        (self.rto * (1u64 << self.backoff.min(16))).min(self.ceiling())
    }

    /// Whether the round trip is longer than the estimate: the time-out is backed off, or a probe
    /// was needless, and nothing was measured since. Copies sent early then would keep the estimate
    /// wrong for ever without timestamps (Karn's rule, RFC 6298 §3), so there are no probes until
    /// it is right; Linux probes even then.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful || self.backoff > 0
    }

    /// A probe was needless.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// How often the time-out was doubled.
    pub fn backoff(&self) -> u8 {
        self.backoff
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
        if self.srtt().is_none() {
            self.rto = RTO_AFTER_LOST_SYN;
            self.backoff = 0;
        }
    }
}

/// Whole milliseconds, at least one.
fn millis(d: Duration) -> u32 {
    u32::try_from(d.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn fresh() -> Rtt {
        Rtt::new(&TcpConfig::default())
    }

    /// RFC 6298 §2.
    #[test]
    fn follows_the_formulas() {
        let mut rtt = fresh();
        assert_eq!(rtt.rto(), Duration::from_secs(1));
        rtt.sample(ms(800), Seq(0), Seq(10));
        assert_eq!(rtt.rto(), ms(800 + 4 * 400));
        rtt.sample(ms(800), Seq(1), Seq(10));
        assert_eq!(rtt.rttvar(), ms(300));
        assert_eq!(rtt.rto(), ms(800 + 4 * 400), "the margin shrinks with the next round");
        rtt.sample(ms(800), Seq(11), Seq(20));
        rtt.sample(ms(800), Seq(21), Seq(30));
        assert!(rtt.rto() < ms(800 + 4 * 400) && rtt.rto() > ms(1000));
        rtt.sample(ms(2400), Seq(22), Seq(30));
        assert_eq!(rtt.srtt(), Some(ms(1000)));
        let before = rtt.rto();
        rtt.back_off();
        assert_eq!(rtt.rto(), before * 2);
        for _ in 0..40 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), Duration::from_secs(120));
    }

    /// As on Linux the floor applies to the margin, so that the time-out never falls to the round
    /// trip itself.
    #[test]
    fn the_margin_has_a_floor_and_drops_are_no_variance() {
        let mut rtt = fresh();
        for i in 0..200 {
            rtt.sample(ms(50), Seq(i * 2), Seq(i * 2 + 1));
        }
        assert_eq!(rtt.rto(), ms(250));
        rtt.sample(ms(10), Seq(1000), Seq(1001));
        assert!(rtt.rttvar() < ms(3), "{}", rtt.rttvar());
    }

    #[test]
    fn the_shortest_round_trip_ages() {
        let mut rtt = fresh();
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        rtt.note_min(ms(10), at(0));
        rtt.note_min(ms(20), at(299));
        assert_eq!(rtt.min(), Some(ms(10)));
        rtt.note_min(ms(20), at(300));
        assert_eq!(rtt.min(), Some(ms(20)));
        rtt.note_min(ms(5), at(301));
        assert_eq!(rtt.min(), Some(ms(5)));
    }
}
