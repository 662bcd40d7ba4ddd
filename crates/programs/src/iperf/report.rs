//! The lines of `iperf`.

use super::meter::Counts;

/// `-f`: in which unit rates and amounts are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    /// Rates in bytes: the letter is a capital.
    bytes: bool,
    /// The place of the unit in [`UNITS`]; `None` is what fits.
    unit: Option<usize>,
}

const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];

impl Format {
    /// Reads the letter of `-f`; an unknown one chooses what fits, as in the original.
    pub(super) fn of(word: &str) -> Format {
        let letter = word.chars().next().unwrap_or('a');
        let unit = "BKMGT".find(letter.to_ascii_uppercase());
        Format { bytes: letter.is_ascii_uppercase() && (unit.is_some() || letter == 'A'), unit }
    }

    /// An amount: `1.10 GBytes`.
    fn amount(self, bytes: f64) -> String {
        format!("{}Bytes", short(bytes, 1_024.0, self.unit))
    }

    /// A rate: `9.42 Gbits/sec`.
    fn rate(self, bytes: f64) -> String {
        if self.bytes {
            return format!("{}/sec", self.amount(bytes));
        }
        format!("{}bits/sec", short(bytes * 8.0, 1_000.0, self.unit))
    }
}

/// `[  1] 0.0000-1.0000 sec  1.10 GBytes  9.42 Gbits/sec`
pub(super) fn line(
    format: Format,
    id: &str,
    (from, to): (f64, f64),
    bytes: u64,
    more: &str,
) -> String {
    let span = (to - from).max(1e-9);
    let (amount, rate) = (format.amount(bytes as f64), format.rate(bytes as f64 / span));
    format!("[{id}] {from:.4}-{to:.4} sec  {amount}  {rate}{more}\n")
}

/// What stands above the first line.
pub(super) const HEADING: &str = "[ ID] Interval       Transfer     Bandwidth\n";

/// A line of a UDP server, and the one about datagrams out of order; a sum has no jitter.
pub(super) fn received(
    format: Format,
    id: &str,
    span: (f64, f64),
    counts: Counts,
    jitter_ms: Option<f64>,
) -> String {
    let (lost, total) = (counts.missing(), counts.datagrams);
    let percent = if total > 0 { lost as f64 * 100.0 / total as f64 } else { 0.0 };
    let jitter = jitter_ms.map_or_else(|| " ".to_owned(), |ms| format!("{ms:>6.3} ms "));
    let more = format!("  {jitter}{lost}/{total} ({}%)", percentage(percent));
    let mut out = line(format, id, span, counts.bytes, &more);
    if counts.late > 0 {
        let (from, to) = span;
        let late = counts.late;
        out += &format!("[{id}] {from:.4}-{to:.4} sec  {late} datagrams received out-of-order\n");
    }
    out
}

/// Two digits, as C's `%.2g` has them: `0.059`, `3.4`, `12`, `1e+02`.
fn percentage(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    if value >= 99.5 {
        return "1e+02".to_owned();
    }
    let digits = [10.0, 1.0, 0.1, 0.01, 0.001].iter().filter(|limit| value < **limit).count();
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A number with its unit, in four characters where it fits: `1.10 G`, ` 944 M`.
fn short(value: f64, base: f64, fixed: Option<usize>) -> String {
    let (mut value, mut unit) = (value, 0);
    let more = |value: f64, unit: usize| match fixed {
        Some(fixed) => unit < fixed,
        None => value >= 999.5 && unit + 1 < UNITS.len(),
    };
    while more(value, unit) {
        value /= base;
        unit += 1;
    }
    let digits = if value < 0.9995 {
        3
    } else if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:>4.digits$} {}", UNITS[unit])
}

/// The id of a connection, or of all together.
pub(super) fn id(number: usize) -> String {
    format!("{number:>3}")
}

/// A size of a buffer: `16.0 KByte`.
pub(super) fn buffer(bytes: u32) -> String {
    format!("{}Byte", short(f64::from(bytes), 1_024.0, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_iperfs() {
        let gb = 1_024u64 * 1_024 * 1_024;
        let line = |id: &str, from, to, bytes, more: &str| {
            super::line(Format::default(), id, (from, to), bytes, more)
        };
        assert_eq!(
            line("  1", 0.0, 1.0, 944 * 1_024 * 1_024, ""),
            "[  1] 0.0000-1.0000 sec   944 MBytes  7.92 Gbits/sec\n"
        );
        assert_eq!(
            line("  1", 0.0, 2.0186, 2 * gb, ""),
            "[  1] 0.0000-2.0186 sec  2.00 GBytes  8.51 Gbits/sec\n"
        );
        assert_eq!(
            line("SUM", 0.0, 1.0, 137_445, " x"),
            "[SUM] 0.0000-1.0000 sec   134 KBytes  1.10 Mbits/sec x\n"
        );
        assert_eq!(
            line("  1", 0.0, 1.0, 0, ""),
            "[  1] 0.0000-1.0000 sec  0.000 Bytes  0.000 bits/sec\n"
        );
        assert_eq!(buffer(16_384), "16.0 KByte");
    }

    #[test]
    fn losses_have_two_digits() {
        let of = |lost, late, datagrams| {
            let counts = Counts { bytes: 1_470, datagrams, lost, late };
            received(Format::default(), "  1", (0.0, 1.0), counts, Some(0.023))
        };
        let begin = "[  1] 0.0000-1.0000 sec  1.44 KBytes  11.8 Kbits/sec   0.023 ms ";
        for (lost, total, expect) in [
            (0, 174, "0/174 (0%)"),
            (3, 89, "3/89 (3.4%)"),
            (1, 428, "1/428 (0.23%)"),
            (1, 1_708, "1/1708 (0.059%)"),
            (10, 100, "10/100 (10%)"),
            (9, 9, "9/9 (1e+02%)"),
        ] {
            assert_eq!(of(lost, 0, total), format!("{begin}{expect}\n"));
        }
        // What came late is not lost.
        let late = "[  1] 0.0000-1.0000 sec  2 datagrams received out-of-order\n";
        assert_eq!(of(2, 2, 87), format!("{begin}0/87 (0%)\n{late}"));
    }

    #[test]
    fn units_are_those_that_are_asked_for() {
        // 10 MiB in 16.4 ms, and what iperf 2.1.8 made of such.
        let of = |letter: &str| super::line(Format::of(letter), "  1", (0.0, 0.0164), 10 << 20, "");
        for (letter, amount, rate) in [
            ("k", "10240 KBytes", "5115005 Kbits/sec"),
            ("m", "10.0 MBytes", "5115 Mbits/sec"),
            ("g", "0.010 GBytes", "5.12 Gbits/sec"),
            ("t", "0.000 TBytes", "0.005 Tbits/sec"),
            ("K", "10240 KBytes", "624390 KBytes/sec"),
            ("M", "10.0 MBytes", " 610 MBytes/sec"),
            ("G", "0.010 GBytes", "0.595 GBytes/sec"),
            ("a", "10.0 MBytes", "5.12 Gbits/sec"),
            ("A", "10.0 MBytes", " 610 MBytes/sec"),
            ("B", "10485760 Bytes", "639375610 Bytes/sec"),
            ("z", "10.0 MBytes", "5.12 Gbits/sec"),
        ] {
            let expect = format!("[  1] 0.0000-0.0164 sec  {amount}  {rate}\n");
            assert_eq!(of(letter), expect, "{letter}");
        }
    }
}
