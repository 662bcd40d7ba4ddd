//! The lines of `iperf`.

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
