//! Dates in the proleptic Gregorian calendar, UTC, as servers and `ls` write them.

use std::fmt::{self, Write as _};

/// A date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year, from 1970.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59; leap seconds are not counted, as in POSIX.
    pub second: u8,
    /// Day of the week, 0 is Sunday.
    pub weekday: u8,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY_SECONDS: u64 = 86_400;

impl Date {
    /// The date `seconds` after 1970-01-01T00:00:00Z. Any value is a date.
    pub fn from_unix(seconds: u64) -> Date {
        let days = seconds / DAY_SECONDS;
        let rest = seconds % DAY_SECONDS;
        let (year, month, day) = civil(days);
        Date {
            year,
            month,
            day,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }

    /// Seconds since 1970; `None` when a field is out of range or the year is before 1970 or
    /// after 9999.
    pub fn to_unix(self) -> Option<u64> {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let lengths = [31, 28 + u8::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let length = *lengths.get(usize::from(self.month).checked_sub(1)?)?;
        let ok = (1970..=9999).contains(&self.year)
            && (1..=length).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60;
        if !ok {
            return None;
        }
        let clock = u64::from(self.hour) * 3600 + u64::from(self.minute) * 60;
        let days = days_since_1970(self.year, self.month, self.day);
        Some(days * DAY_SECONDS + clock + u64::from(self.second))
    }

    /// The month's name in three letters.
    pub fn month_name(&self) -> &'static str {
        MONTHS[usize::from(self.month) - 1]
    }

    /// As `date` and `dig` write it: `Sun Nov 22 14:14:16 UTC 2026`.
    pub fn ctime_utc(&self) -> String {
        format!(
            "{} {} {:02} {:02}:{:02}:{:02} UTC {}",
            DAYS[usize::from(self.weekday)],
            self.month_name(),
            self.day,
            self.hour,
            self.minute,
            self.second,
            self.year
        )
    }

    /// As HTTP writes dates (IMF-fixdate, RFC 9110 §5.6.7): `Sun, 22 Nov 2026 14:14:17 GMT`.
    pub fn http(&self) -> String {
        let mut out = String::with_capacity(29);
        out.push_str(DAYS[usize::from(self.weekday)]);
        out.push_str(", ");
        two(&mut out, self.day);
        out.push(' ');
        out.push_str(self.month_name());
        out.push(' ');
        self.push_year(&mut out);
        out.push(' ');
        self.push_clock(&mut out);
        out.push_str(" GMT");
        out
    }

    /// As Apache's logs write them: `[22/Nov/2026:14:14:17 +0000]`.
    pub fn log(&self) -> String {
        let mut out = String::with_capacity(28);
        // Writing to a string does not fail.
        let _ = self.write_log(&mut out);
        out
    }

    /// The same, behind a text. A server writes it for each request, so it is made without the
    /// general way of formatting.
    pub fn write_log(&self, out: &mut String) -> fmt::Result {
        out.push('[');
        two(out, self.day);
        out.push('/');
        out.push_str(self.month_name());
        out.push('/');
        self.push_year(out);
        out.push(':');
        self.push_clock(out);
        out.push_str(" +0000]");
        Ok(())
    }

    fn push_year(&self, out: &mut String) {
        match self.year {
            year @ 0..=9_999 => {
                two(out, (year / 100) as u8);
                two(out, (year % 100) as u8);
            }
            // Writing to a string does not fail.
            year => drop(write!(out, "{year}")),
        }
    }

    /// `14:14:17`
    fn push_clock(&self, out: &mut String) {
        two(out, self.hour);
        out.push(':');
        two(out, self.minute);
        out.push(':');
        two(out, self.second);
    }
}

/// Two digits of a number below 100.
fn two(out: &mut String, n: u8) {
    out.push(char::from(b'0' + n / 10));
    out.push(char::from(b'0' + n % 10));
}

impl Date {
    /// As Apache's error log writes them: `Mon Nov 23 06:51:53.627149 2026`.
    pub fn ctime(&self, micros: u64) -> String {
        format!(
            "{} {} {:02} {:02}:{:02}:{:02}.{micros:06} {:04}",
            DAYS[usize::from(self.weekday)],
            self.month_name(),
            self.day,
            self.hour,
            self.minute,
            self.second,
            self.year
        )
    }

    /// As listings of folders write them: `2026-11-22 14:14`.
    pub fn short(&self) -> String {
        let Date { year, month, day, hour, minute, .. } = self;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

/// Reads an HTTP date in any of the three forms of RFC 9110 §5.6.7 (IMF-fixdate, RFC 850,
/// asctime), as seconds since 1970. The day's name is not checked.
pub fn parse_http(text: &str) -> Option<u64> {
    let (name, rest) = text.trim().split_once(' ')?;
    let words: Vec<&str> = rest.split(' ').filter(|w| !w.is_empty()).collect();
    let date = match (name.ends_with(','), words.as_slice()) {
        (true, [day, month, year, clock, "GMT"]) => build(day, month, number(year, 4)?, clock)?,
        (true, [date, clock, "GMT"]) => {
            let mut parts = date.split('-');
            let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
            let year = number(year, 2)?;
            // Two digits mean 1970 to 2069: nothing older than the epoch can be said here.
            build(day, month, if year < 70 { 2000 + year } else { 1900 + year }, clock)?
        }
        (false, [month, day, clock, year]) => build(day, month, number(year, 4)?, clock)?,
        _ => return None,
    };
    date.to_unix()
}

fn build(day: &str, month: &str, year: u64, clock: &str) -> Option<Date> {
    let mut hms = clock.split(':').map(|n| number(n, 2));
    Some(Date {
        year,
        month: MONTHS.iter().position(|m| *m == month)? as u8 + 1,
        day: number(day, 2).or_else(|| number(day, 1))? as u8,
        hour: hms.next()?? as u8,
        minute: hms.next()?? as u8,
        second: hms.next()?? as u8,
        weekday: 0,
    })
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let ok = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    ok.then(|| text.parse().ok())?
}

/// Howard Hinnant's `civil_from_days`, for days since 1970: years start in March, so that the
/// leap day is the last of its year, and 400 years are 146,097 days.
fn civil(days: u64) -> (u64, u8, u8) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// The inverse, for years from 1970.
fn days_since_1970(year: u64, month: u8, day: u8) -> u64 {
    let month = u64::from(month);
    let year = year - u64::from(month <= 2);
    let (era, yoe) = (year / 400, year % 400);
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + u64::from(day) - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_print_as_known_tools_print_them() {
        // `date -u -d @1795356857`
        let d = Date::from_unix(1_795_356_857);
        assert_eq!(d.http(), "Sun, 22 Nov 2026 14:14:17 GMT");
        assert_eq!(d.log(), "[22/Nov/2026:14:14:17 +0000]");
        assert_eq!(Date::from_unix(0).http(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(Date::from_unix(951_782_400).http(), "Tue, 29 Feb 2000 00:00:00 GMT");
    }

    #[test]
    fn all_three_http_forms_are_read() {
        // RFC 9110 §5.6.7: the same moment three times.
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse_http(text), Some(784_111_777), "{text}");
        }
        for bad in [
            "",
            "now",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 2020 00:00:00 GMT",
            "Sun, 06 Nov 1894 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, -6 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn dates_survive_the_round_trip(seconds in 0u64..250_000_000_000) {
            let date = Date::from_unix(seconds);
            proptest::prop_assert_eq!(date.to_unix(), Some(seconds));
            proptest::prop_assert_eq!(parse_http(&date.http()), Some(seconds));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = parse_http(&text);
        }
    }
}
