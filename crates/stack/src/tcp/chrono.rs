//! What a connection's sending waits for, over time: the `busy_time`, `rwnd_limited` and
//! `sndbuf_limited` of TCP_INFO.

use netarium_base::{Duration, Instant};

use super::connection::Connection;

/// What the sender waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Limit {
    /// Nothing: there is no data.
    #[default]
    Idle,
    /// Acknowledgements.
    Network,
    /// The peer's window.
    Window,
    /// The program found no room for more, and all there was is sent.
    Buffer,
}

/// The clock of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chrono {
    now: Limit,
    since: Instant,
    spent: [Duration; 3],
}

impl Chrono {
    fn turn(&mut self, now: Instant, limit: Limit) {
        if limit == self.now {
            return;
        }
        if self.now != Limit::Idle {
            self.spent[self.now as usize - 1] += now.since(self.since);
        }
        self.now = limit;
        self.since = now;
    }

    fn spent(&self, now: Instant, limit: Limit) -> Duration {
        let open = if self.now == limit { now.since(self.since) } else { Duration::ZERO };
        self.spent[limit as usize - 1] + open
    }

    /// Busy time, and of it the time limited by the window and by the buffer, µs.
    pub(crate) fn report(&self, now: Instant) -> (u64, u64, u64) {
        let [network, window, buffer] =
            [Limit::Network, Limit::Window, Limit::Buffer].map(|l| self.spent(now, l).as_micros());
        (network + window + buffer, window, buffer)
    }
}

impl Connection {
    /// Everything that may go out now went out.
    pub(crate) fn turn_chrono(&mut self, now: Instant) {
        let unsent = self.unsent();
        let next = unsent.min(self.snd.mss);
        let limit = if self.send.is_empty() {
            Limit::Idle
        } else if unsent > 0 && self.in_flight() + next > self.snd.wnd && self.cwnd_room() > 0 {
            Limit::Window
        } else if unsent == 0 && self.no_space {
            Limit::Buffer
        } else {
            Limit::Network
        };
        self.chrono.turn(now, limit);
    }
}
