//! Congestion control behind one trait. Here: Reno with appropriate byte counting (RFC 5681,
//! RFC 3465) and an initial window of ten segments (RFC 6928).

use std::fmt::Debug;

/// What a controller is told of an acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Bytes newly acknowledged.
    pub acked: u32,
    /// Bytes in flight before it.
    pub in_flight: u32,
    /// Sender's maximum segment size.
    pub mss: u32,
}

/// A congestion controller. All quantities in bytes.
pub trait Controller: Debug {
    /// The congestion window.
    fn cwnd(&self) -> u32;
    /// The slow-start threshold.
    fn ssthresh(&self) -> u32;
    /// New data was acknowledged outside of recovery. The reason of the change, if there was one.
    fn on_ack(&mut self, ack: Ack) -> Option<&'static str>;
    /// Loss was noticed by duplicate acknowledgements: recovery begins.
    fn on_fast_retransmit(&mut self, in_flight: u32, mss: u32);
    /// A duplicate acknowledgement arrived during recovery.
    fn on_duplicate_in_recovery(&mut self, mss: u32);
    /// A partial acknowledgement arrived during recovery (RFC 6582 §3.2 step 3).
    fn on_partial_ack(&mut self, acked: u32, mss: u32);
    /// Recovery is over (RFC 6582 §3.2 step 3, full acknowledgement).
    fn on_recovered(&mut self, in_flight: u32, mss: u32);
    /// The retransmission timer fired. `first` for the first time-out of this data.
    fn on_timeout(&mut self, in_flight: u32, mss: u32, first: bool);
    /// Nothing was sent for longer than one RTO (RFC 5681 §4.1).
    fn on_idle(&mut self, mss: u32);
}

/// RFC 6928 §2: min (10·MSS, max (2·MSS, 14600)).
pub const fn initial_window(mss: u32) -> u32 {
    let upper = if 2 * mss > 14_600 { 2 * mss } else { 14_600 };
    if 10 * mss < upper { 10 * mss } else { upper }
}

/// Reno.
#[derive(Clone, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged since the last growth in congestion avoidance.
    acked: u32,
}

impl Reno {
    /// A controller at the start of a connection.
    pub fn new(mss: u32) -> Reno {
        Reno { cwnd: initial_window(mss), ssthresh: u32::MAX, acked: 0 }
    }
}

impl Controller for Reno {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, ack: Ack) -> Option<&'static str> {
        // RFC 9293 and RFC 7661: a window that was not used is no evidence for a larger one.
        if ack.in_flight.saturating_mul(2) < self.cwnd {
            return None;
        }
        if self.cwnd < self.ssthresh {
            // RFC 3465 §2.2 with L = 2.
            self.cwnd = self.cwnd.saturating_add(ack.acked.min(2 * ack.mss));
            return Some("slow-start");
        }
        // RFC 3465 §2.1
        self.acked = self.acked.saturating_add(ack.acked);
        if self.acked < self.cwnd {
            return None;
        }
        self.acked -= self.cwnd;
        self.cwnd = self.cwnd.saturating_add(ack.mss);
        Some("avoidance")
    }

    fn on_fast_retransmit(&mut self, in_flight: u32, mss: u32) {
        // RFC 5681 §3.2 steps 2 and 3.
        self.ssthresh = (in_flight / 2).max(2 * mss);
        self.cwnd = self.ssthresh + 3 * mss;
    }

    fn on_duplicate_in_recovery(&mut self, mss: u32) {
        self.cwnd = self.cwnd.saturating_add(mss);
    }

    fn on_partial_ack(&mut self, acked: u32, mss: u32) {
        self.cwnd = self.cwnd.saturating_sub(acked).max(mss);
        if acked >= mss {
            self.cwnd += mss;
        }
    }

    fn on_recovered(&mut self, in_flight: u32, mss: u32) {
        // RFC 6582 §3.2: min (ssthresh, max (FlightSize, SMSS) + SMSS), against bursts.
        self.cwnd = self.ssthresh.min(in_flight.max(mss) + mss);
        self.acked = 0;
    }

    fn on_timeout(&mut self, in_flight: u32, mss: u32, first: bool) {
        if first {
            // RFC 5681 §3.1, equation 4.
            self.ssthresh = (in_flight / 2).max(2 * mss);
        }
        self.cwnd = mss;
        self.acked = 0;
    }

    fn on_idle(&mut self, mss: u32) {
        self.cwnd = self.cwnd.min(initial_window(mss));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reno_grows_halves_and_restarts() {
        let mss = 1000;
        let mut r = Reno::new(mss);
        assert_eq!(r.cwnd(), 10_000);
        let ack = |in_flight| Ack { acked: 1000, in_flight, mss };
        assert_eq!(r.on_ack(ack(10_000)), Some("slow-start"));
        assert_eq!(r.cwnd(), 11_000);
        assert_eq!(r.on_ack(ack(1000)), None, "an unused window does not grow");
        r.on_fast_retransmit(20_000, mss);
        assert_eq!((r.ssthresh(), r.cwnd()), (10_000, 13_000));
        r.on_recovered(12_000, mss);
        assert_eq!(r.cwnd(), 10_000);
        for _ in 0..10 {
            r.on_ack(ack(10_000));
        }
        assert_eq!(r.cwnd(), 11_000, "one segment per window in avoidance");
        r.on_timeout(11_000, mss, true);
        assert_eq!((r.cwnd(), r.ssthresh()), (1000, 5500));
    }
}
