//! Dates as cookies have them, in whatever order and punctuation (RFC 6265bis §5.1.1), which also
//! reads what `curl -z` is usually given: HTTP dates, `20200131`, `31 Jan 2020 10:00`.

use crate::calendar::Date;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Seconds since 1970, UTC; a time of day may be missing and is midnight then.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let delimiter = |c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '+');
    let mut found = Found::default();
    for token in text.trim().split(delimiter).filter(|t| !t.is_empty()) {
        if !found.take(token) {
            return None;
        }
    }
    found.seconds()
}

#[derive(Debug, Default)]
struct Found {
    year: Option<u64>,
    month: Option<u8>,
    day: Option<u8>,
    clock: Option<(u8, u8, u8)>,
}

impl Found {
    /// False: a word that no date has.
    fn take(&mut self, token: &str) -> bool {
        if self.time(token) {
            return true;
        }
        let lower = token.to_ascii_lowercase();
        if let Some(m) = lower.get(..3).and_then(|l| MONTHS.iter().position(|m| *m == l)) {
            self.month.get_or_insert(m as u8 + 1);
            return true;
        }
        let digits = token.bytes().all(|b| b.is_ascii_digit());
        match (token.len(), token.parse::<u64>()) {
            (8, Ok(n)) if digits && self.year.is_none() => {
                (self.year, self.month) = (Some(n / 10_000), Some((n / 100 % 100) as u8));
                self.day = Some((n % 100) as u8);
            }
            (1 | 2, Ok(n)) if digits && self.day.is_none() => self.day = Some(n as u8),
            (2, Ok(n)) if digits && self.year.is_none() => {
                self.year = Some(if n < 70 { 2000 + n } else { 1900 + n });
            }
            (4, Ok(n)) if digits && self.year.is_none() => self.year = Some(n),
            _ => return is_word(&lower),
        }
        true
    }

    /// `10:00:00` or `10:00`.
    fn time(&mut self, token: &str) -> bool {
        let mut parts = token.split(':').map(|p| p.parse::<u8>().ok());
        let (Some(Some(h)), Some(Some(m))) = (parts.next(), parts.next()) else { return false };
        let s = parts.next().unwrap_or(Some(0)).unwrap_or(0);
        self.clock.get_or_insert((h, m, s));
        true
    }

    fn seconds(self) -> Option<u64> {
        let (hour, minute, second) = self.clock.unwrap_or((0, 0, 0));
        let (year, month, day) = (self.year?, self.month?, self.day?);
        Date { year, month, day, hour, minute, second, weekday: 0 }.to_unix()
    }
}

/// Days of the week and the names of UTC.
fn is_word(lower: &str) -> bool {
    let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    ["gmt", "utc", "z"].contains(&lower)
        || lower.get(..3).is_some_and(|l| days.contains(&l))
        || lower.starts_with('+')
}
