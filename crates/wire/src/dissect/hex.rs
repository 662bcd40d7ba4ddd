//! Bytes below a packet: `-x`, `-X`, `-A`.

use std::fmt::Write;

/// Bytes of a row.
const ROW: usize = 16;

/// `-x`: two bytes at a time, as hexadecimal numbers.
pub(super) fn numbers(out: &mut String, bytes: &[u8]) {
    numbers_at(out, "\n\t", bytes);
}

/// `-x`, each row behind `indent`.
pub(super) fn numbers_at(out: &mut String, indent: &str, bytes: &[u8]) {
    for (n, row) in bytes.chunks(ROW).enumerate() {
        let _ = write!(out, "{indent}0x{:04x}: {}", n * ROW, row_of(row));
    }
}

/// `-X`: the same, and as text beside it.
pub(super) fn numbers_and_text(out: &mut String, bytes: &[u8]) {
    for (n, row) in bytes.chunks(ROW).enumerate() {
        let letter = |&b: &u8| if b.is_ascii_graphic() { char::from(b) } else { '.' };
        let text: String = row.iter().map(letter).collect();
        let _ = write!(out, "\n\t0x{:04x}: {:<40}  {text}", n * ROW, row_of(row));
    }
}

fn row_of(row: &[u8]) -> String {
    let mut out = String::with_capacity(ROW * 3);
    for pair in row.chunks(2) {
        out.push(' ');
        for b in pair {
            let _ = write!(out, "{b:02x}");
        }
    }
    out
}

/// `-A`: as text alone. Line ends stay; a carriage return in the middle of a line is a dot.
pub(super) fn letters(out: &mut String, bytes: &[u8]) {
    out.push('\n');
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'\r' => {
                let rest = &bytes[i + 1..];
                if rest.len() > 1 && rest[0] != b'\n' {
                    out.push('.');
                }
            }
            b'\t' | b' ' | b'\n' => out.push(char::from(b)),
            _ if b.is_ascii_graphic() => out.push(char::from(b)),
            _ => out.push('.'),
        }
    }
}
