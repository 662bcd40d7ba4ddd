//! The progress meter, in virtual time.

use std::cell::{Cell, RefCell};

use netarium_base::Instant;

/// How far a transfer has come; read when it times out, by the meter, and by `-w`.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Body bytes received.
    pub(super) received: Cell<u64>,
    /// Body bytes expected.
    pub(super) expected: Cell<Option<u64>>,
    /// Body bytes sent.
    pub(super) sent: Cell<u64>,
    /// Body bytes to be sent.
    pub(super) to_send: Cell<Option<u64>>,
    /// When the first byte of the response came.
    pub(super) first_byte: Cell<Option<Instant>>,
    /// What was received after each of the last seconds.
    seconds: RefCell<Vec<(Instant, u64)>>,
}

/// How many of the last seconds the current speed looks at.
const SECONDS: usize = 5;

pub(super) const HEADER: &str = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n                                 Dload  Upload   Total   Spent    Left  Speed\n";

impl Progress {
    /// A new request of the same transfer begins.
    pub(super) fn restart(&self) {
        self.received.set(0);
        self.expected.set(None);
        self.sent.set(0);
        self.to_send.set(None);
    }

    /// One line of the meter, which overwrites the one before.
    pub(super) fn meter(&self, start: Instant, now: Instant) -> String {
        let us = now.since(start).as_micros();
        let (got, sent) = (self.received.get(), self.sent.get());
        let (down, up) = (speed(got, us), speed(sent, us));
        let (want, send) = (self.expected.get().unwrap_or(0), self.to_send.get().unwrap_or(0));
        let left = |total: u64, speed: u64| total.checked_div(speed).unwrap_or(0);
        let seconds = left(want, down).max(left(send, up));
        let spent = us / 1_000_000;
        let remains = seconds.saturating_sub(spent);
        let total = if want > 0 { want } else { got } + if send > 0 { send } else { sent };
        let percent = |part: u64, whole: u64| match whole {
            0 => 0,
            w if w > 10_000 => part / (w / 100),
            w => part * 100 / w,
        };
        format!(
            "\r{:>3} {}  {:>3} {}  {:>3} {}  {}  {} {} {} {} {}",
            percent(got + sent, total),
            five(total),
            percent(got, want),
            five(got),
            percent(sent, send),
            five(sent),
            five(down),
            five(up),
            clock(seconds),
            clock(spent),
            clock(remains),
            five(self.current(start, now)),
        )
    }

    /// Bytes a second over the last seconds.
    fn current(&self, start: Instant, now: Instant) -> u64 {
        let all = self.received.get() + self.sent.get();
        let mut seconds = self.seconds.borrow_mut();
        let (from, before) = seconds.first().copied().unwrap_or((start, 0));
        if seconds.last().is_none_or(|s| s.0 != now) {
            seconds.push((now, all));
        }
        if seconds.len() > SECONDS + 1 {
            seconds.remove(0);
        }
        speed(all.saturating_sub(before), now.since(from).as_micros())
    }

    /// `-#`: a bar of 73 signs and the percentage, once the size is known.
    pub(super) fn bar(&self) -> Option<String> {
        let (got, sent) = (self.received.get(), self.sent.get());
        let whole = self.expected.get().unwrap_or(0) + self.to_send.get().unwrap_or(0);
        if whole == 0 {
            return None;
        }
        let tenths = (got + sent).min(whole) as u128 * 1000 / u128::from(whole);
        let signs = "#".repeat((73 * tenths / 1000) as usize);
        Some(format!("\r{signs:<73} {:>3}.{}%", tenths / 10, tenths % 10))
    }
}

/// Bytes a second.
fn speed(bytes: u64, us: u64) -> u64 {
    match us {
        0 => bytes,
        us => (u128::from(bytes) * 1_000_000 / u128::from(us)) as u64,
    }
}

/// A number in five columns: `99999`, `9999k`, `12.3M`, `1234M`, `12.3G`…
fn five(n: u64) -> String {
    const K: u64 = 1 << 10;
    const M: u64 = 1 << 20;
    const G: u64 = 1 << 30;
    const T: u64 = 1 << 40;
    const P: u64 = 1 << 50;
    match n {
        0..100_000 => format!("{n:>5}"),
        n if n < 10_000 * K => format!("{:>4}k", n / K),
        n if n < 100 * M => format!("{:>2}.{}M", n / M, n % M / (M / 10)),
        n if n < 10_000 * M => format!("{:>4}M", n / M),
        n if n < 100 * G => format!("{:>2}.{}G", n / G, n % G / (G / 10)),
        n if n < 10_000 * G => format!("{:>4}G", n / G),
        n if n < 10_000 * T => format!("{:>4}T", n / T),
        n => format!("{:>4}P", n / P),
    }
}

/// Seconds in eight columns.
fn clock(seconds: u64) -> String {
    if seconds == 0 {
        return "--:--:--".to_owned();
    }
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (days, hours) = (seconds / 86_400, h % 24);
    match h {
        0..=99 => format!("{h:>2}:{m:02}:{s:02}"),
        _ if days <= 999 => format!("{days:>3}d {hours:02}h"),
        _ => format!("{:>7}d", days.min(9_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_has_curls_columns() {
        // As curl 7.88.1 draws it for 6 bytes in 1 ms.
        let p = Progress::default();
        p.received.set(6);
        p.expected.set(Some(6));
        let line = p.meter(Instant::ZERO, Instant::from_nanos(1_000_000));
        assert_eq!(
            line,
            "\r100     6  100     6    0     0   6000      0 --:--:-- --:--:-- --:--:--  6000"
        );
        assert_eq!(five(195 << 10), " 195k");
        assert_eq!(five(123_456_789), " 117M");
        assert_eq!(five(23_456_789), "22.3M");
        assert_eq!(clock(3_661), " 1:01:01");
        assert_eq!(clock(900_000), " 10d 10h");
    }
}
