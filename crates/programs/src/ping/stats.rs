//! What ping counts, and the summary it prints of it.

use netarium_base::{Duration, Instant};

/// How many of the latest requests are remembered: replies to older ones are not counted.
const REMEMBERED: u64 = 4_096;

/// Counters of a run. Times are kept in microseconds, as ping keeps them.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    sent: u64,
    received: u64,
    duplicates: u64,
    errors: u64,
    pipe: u64,
    started: Instant,
    /// The last request sent or answer received.
    latest: Instant,
    times: u64,
    min: u64,
    max: u64,
    sum: u128,
    squares: u128,
    /// When each of the latest requests was sent, and whether it was answered.
    requests: std::collections::VecDeque<(u64, Instant, bool)>,
}

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The number of the request, from 1, beyond 16 bits.
    pub(super) seq: u64,
    /// From request to answer.
    pub(super) time: Duration,
    /// It had been answered before.
    pub(super) duplicate: bool,
}

impl Stats {
    pub(super) fn new(now: Instant) -> Stats {
        Stats {
            sent: 0,
            received: 0,
            duplicates: 0,
            errors: 0,
            pipe: 0,
            started: now,
            latest: now,
            times: 0,
            min: u64::MAX,
            max: 0,
            sum: 0,
            squares: 0,
            requests: std::collections::VecDeque::new(),
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether every request has been answered, one way or the other.
    pub(super) fn is_settled(&self) -> bool {
        self.received + self.errors >= self.sent
    }

    /// The longest time so far.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(self.max)
    }

    /// A request is sent; its number is returned.
    pub(super) fn send(&mut self, now: Instant) -> u64 {
        self.sent += 1;
        self.latest = now;
        self.requests.push_back((self.sent, now, false));
        if self.requests.len() as u64 > REMEMBERED {
            self.requests.pop_front();
        }
        self.sent
    }

    /// A reply came. `None` when it answers nothing that is remembered. `timed`: the data carried
    /// a time stamp.
    pub(super) fn reply(&mut self, seq: u16, now: Instant, timed: bool) -> Option<Answer> {
        let entry = self.requests.iter_mut().rev().find(|r| r.0 as u16 == seq)?;
        let (number, at) = (entry.0, entry.1);
        let duplicate = std::mem::replace(&mut entry.2, true);
        let time = now.since(at);
        self.latest = now;
        if duplicate {
            self.duplicates += 1;
            return Some(Answer { seq: number, time, duplicate });
        }
        self.received += 1;
        self.widen(number);
        if timed {
            let us = time.as_micros();
            self.times += 1;
            self.min = self.min.min(us);
            self.max = self.max.max(us);
            self.sum += u128::from(us);
            self.squares += u128::from(us) * u128::from(us);
        }
        Some(Answer { seq: number, time, duplicate })
    }

    /// An error came instead of an answer to `seq`, or to the oldest open request.
    pub(super) fn error(&mut self, seq: Option<u16>, now: Instant) -> u64 {
        self.errors += 1;
        self.latest = now;
        let open = |r: &&mut (u64, Instant, bool)| !r.2 && seq.is_none_or(|s| r.0 as u16 == s);
        let number = self.requests.iter_mut().find(open).map(|r| {
            r.2 = true;
            r.0
        });
        let number = number.unwrap_or_else(|| seq.map_or(self.sent, u64::from));
        self.widen(number);
        number
    }

    fn widen(&mut self, number: u64) {
        self.pipe = self.pipe.max((self.sent + 1).saturating_sub(number));
    }

    /// The lines after the last answer.
    pub(super) fn summary(&self, host: &str) -> String {
        let mut line = format!("{} packets transmitted, {} received", self.sent, self.received);
        for (count, what) in [(self.duplicates, "duplicates"), (self.errors, "errors")] {
            if count > 0 {
                line.push_str(&format!(", +{count} {what}"));
            }
        }
        if self.sent > 0 {
            let loss = loss(self.sent, self.received);
            let ms = self.latest.since(self.started).as_millis();
            line.push_str(&format!(", {loss}% packet loss, time {ms}ms"));
        }
        let mut last = Vec::new();
        if self.times > 0 {
            let n = u128::from(self.times);
            let average = self.sum / n;
            let variance = (self.squares / n).saturating_sub(average * average);
            let all = [self.min, average as u64, self.max, variance.isqrt() as u64];
            let all: Vec<String> = all.iter().map(|us| millis(*us)).collect();
            last.push(format!("rtt min/avg/max/mdev = {} ms", all.join("/")));
        }
        if self.pipe > 1 {
            last.push(format!("pipe {}", self.pipe));
        }
        format!("\n--- {host} ping statistics ---\n{line}\n{}\n", last.join(", "))
    }
}

fn millis(us: u64) -> String {
    format!("{}.{:03}", us / 1_000, us % 1_000)
}

/// The share of lost requests in percent, as C prints it with `%g`: six significant digits.
fn loss(sent: u64, received: u64) -> String {
    let lost = u128::from(sent.saturating_sub(received));
    // Ten-thousandths of a percent for two digits before the point, fewer zeros behind.
    let scaled = |factor: u128| (lost * 100 * factor + u128::from(sent) / 2) / u128::from(sent);
    let percent = lost * 100 / u128::from(sent);
    let digits = if percent >= 100 {
        3
    } else if percent >= 10 {
        4
    } else {
        5
    };
    let factor = 10u128.pow(digits);
    let value = scaled(factor);
    let (whole, part) = (value / factor, value % factor);
    let text = format!("{whole}.{part:0width$}", width = digits as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A round-trip time as ping rounds it: fewer digits the longer it is.
pub(super) fn round_trip(time: Duration) -> String {
    let us = time.as_micros();
    if us >= 100_000 - 50 {
        format!("{}", (us + 500) / 1_000)
    } else if us >= 10_000 - 5 {
        format!("{}.{:01}", (us + 50) / 1_000, (us + 50) % 1_000 / 100)
    } else if us >= 1_000 {
        format!("{}.{:02}", (us + 5) / 1_000, (us + 5) % 1_000 / 10)
    } else {
        millis(us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_nanos(us * 1_000)
    }

    #[test]
    fn the_summary_is_pings() {
        let mut s = Stats::new(at(0));
        s.send(at(0));
        s.reply(1, at(208), true);
        s.send(at(202_000));
        s.reply(2, at(202_068), true);
        assert_eq!(
            s.summary("10.0.0.3"),
            "\n--- 10.0.0.3 ping statistics ---\n\
             2 packets transmitted, 2 received, 0% packet loss, time 202ms\n\
             rtt min/avg/max/mdev = 0.068/0.138/0.208/0.070 ms\n"
        );
        assert!(s.is_settled());
    }

    #[test]
    fn errors_and_silence_are_counted() {
        let mut s = Stats::new(at(0));
        assert!(s.summary("h").contains("\n0 packets transmitted, 0 received\n\n"));
        for n in 0..3 {
            s.send(at(n * 1_000_000));
        }
        assert_eq!(s.error(None, at(3_000_000)), 1);
        assert_eq!(s.error(Some(2), at(3_000_000)), 2);
        assert!(!s.is_settled());
        assert_eq!(
            s.summary("h"),
            "\n--- h ping statistics ---\n\
             3 packets transmitted, 0 received, +2 errors, 100% packet loss, time 3000ms\npipe 3\n"
        );
        assert_eq!(s.reply(9, at(0), true), None);
        let answer = s.reply(3, at(3_500_000), false).unwrap();
        assert_eq!((answer.seq, answer.duplicate), (3, false));
        assert!(s.reply(3, at(3_500_000), false).unwrap().duplicate);
        assert!(
            s.summary("h").contains("1 received, +1 duplicates, +2 errors, 66.6667% packet loss")
        );
    }

    #[test]
    fn numbers_are_rounded_as_the_original_rounds_them() {
        for (us, text) in
            [(31, "0.031"), (1_234, "1.23"), (12_345, "12.3"), (123_456, "123"), (99_960, "100")]
        {
            assert_eq!(round_trip(Duration::from_micros(us)), text);
        }
        for (sent, received, text) in
            [(3, 2, "33.3333"), (2, 1, "50"), (1000, 999, "0.1"), (1, 1, "0"), (1, 0, "100")]
        {
            assert_eq!(loss(sent, received), text);
        }
    }
}
