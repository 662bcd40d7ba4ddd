//! The lines of `iperf`.

/// `[  1] 0.0000-1.0000 sec  1.10 GBytes  9.42 Gbits/sec`
pub(super) fn line(id: &str, from: f64, to: f64, bytes: u64, more: &str) -> String {
    let span = (to - from).max(1e-9);
    format!(
        "[{id}] {from:.4}-{to:.4} sec  {}Bytes  {}bits/sec{more}\n",
        short(bytes as f64, 1_024.0),
        short(bytes as f64 * 8.0 / span, 1_000.0)
    )
}

/// A number in at most four characters, with its unit: `1.10 G`, ` 944 M`.
fn short(value: f64, base: f64) -> String {
    let units = ["", "K", "M", "G", "T"];
    let (mut value, mut unit) = (value, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:>4.digits$} {}", units[unit])
}

/// The id of a connection, or of all together.
pub(super) fn id(number: usize) -> String {
    format!("{number:>3}")
}

/// A size of a buffer: `16.0 KByte`.
pub(super) fn buffer(bytes: u32) -> String {
    format!("{}Byte", short(f64::from(bytes), 1_024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_iperfs() {
        let gb = 1_024u64 * 1_024 * 1_024;
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
        assert_eq!(buffer(16_384), "16.0 KByte");
    }
}
