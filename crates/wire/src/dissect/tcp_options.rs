//! The options of a TCP header, in tcpdump's words.

use super::{Cut, Printer, Seen};
use crate::frame::{be16, be32};

impl Printer<'_> {
    /// The options of a header. A malformed one ends the line with `[bad opt]`: `false`.
    pub(super) fn tcp_options(&mut self, seen: Seen<'_>, sack_origin: u32) -> Result<bool, Cut> {
        put!(self, ", options [");
        let mut rest = seen;
        while rest.len > 0 {
            let first = rest.len == seen.len;
            if !first {
                put!(self, ",");
            }
            let kind = rest.need(1, "tcp")?[0];
            let len = if kind < 2 { 1 } else { usize::from(rest.need(2, "tcp")?[1]) };
            if len > rest.len || (kind >= 2 && len < 2) {
                put!(self, "[bad opt]{}", if first { "" } else { "]" });
                return Ok(false);
            }
            // The value's length is the kind's, whatever the option claims: tcpdump goes on there.
            let size = value_len(kind, len);
            let data = rest.skip(if kind < 2 { 1 } else { 2 });
            put!(self, "{}", option_name(kind));
            if size > data.len || (kind == 254 && size < 2) {
                put!(self, "[bad opt]{}", if first { "" } else { "]" });
                return Ok(false);
            }
            self.option_value(kind, data.limit(size), sack_origin);
            if data.b.len() < size {
                put!(self, " [|tcp]{}", if first { "" } else { ">" });
                return Ok(false);
            }
            if kind >= 2 && size + 2 != len {
                put!(self, "[len {len}]");
            }
            if kind == 0 {
                break;
            }
            rest = data.skip(size);
        }
        put!(self, "]");
        Ok(true)
    }

    fn option_value(&mut self, kind: u8, data: Seen<'_>, sack_origin: u32) {
        let b = data.b;
        match kind {
            0 | 1 | 4 => {}
            5 if data.len.is_multiple_of(8) => self.sack(data, sack_origin),
            5 => put!(self, " invalid sack"),
            2 | 3 | 6 | 7 | 8 | 11..=13 | 20 | 28 if b.len() < data.len => {}
            2 => put!(self, " {}", be16(b, 0)),
            3 => put!(self, " {}", b[0]),
            6 | 7 | 11..=13 => put!(self, " {}", be32(b, 0)),
            8 => put!(self, " val {} ecr {}", be32(b, 0), be32(b, 4)),
            // RFC 2385: without a secret it cannot be checked.
            19 if b.len() < data.len => {}
            19 => {
                put!(self, " can't check - ");
                self.hex(b);
            }
            20 => put!(self, " cap {:02x} id {}", b[0], b[1]),
            28 => {
                let time = be16(b, 0);
                let unit = if time & 1 == 0 { 1 } else { 60 };
                put!(self, " 0x{time:x} {}", u32::from(time >> 1) * unit);
            }
            29 => self.authentication(data),
            34 if b.len() < data.len => {}
            34 => {
                put!(self, " ");
                self.fast_open(b);
            }
            254 if b.len() < data.len => {}
            254 => {
                put!(self, "-");
                match be16(b, 0) {
                    0xf989 => {
                        put!(self, "tfo");
                        self.fast_open(&b[2..]);
                    }
                    other => put!(self, "{other:04x}"),
                }
            }
            _ => {
                if data.len > 0 {
                    put!(self, " 0x");
                }
                self.hex(b);
            }
        }
    }

    fn sack(&mut self, data: Seen<'_>, origin: u32) {
        put!(self, " {} ", data.len / 8);
        for block in data.b.chunks_exact(8) {
            let (from, to) = (be32(block, 0), be32(block, 4));
            put!(self, "{{{}:{}}}", from.wrapping_sub(origin), to.wrapping_sub(origin));
        }
    }

    /// RFC 5925 §2.2.
    fn authentication(&mut self, data: Seen<'_>) {
        if data.len < 2 {
            put!(self, " (invalid)");
            return;
        }
        for (at, b) in data.b.iter().enumerate() {
            match at {
                0 => put!(self, " keyid {b}"),
                1 if data.len > 2 => put!(self, " rnextkeyid {b} mac 0x"),
                1 => put!(self, " rnextkeyid {b}"),
                _ => put!(self, "{b:02x}"),
            }
        }
    }

    /// RFC 7413 §4.1.1.
    fn fast_open(&mut self, cookie: &[u8]) {
        match cookie.len() {
            0 => put!(self, " cookiereq"),
            n if n % 2 != 0 || !(4..=16).contains(&n) => put!(self, " (invalid)"),
            _ => {
                put!(self, " cookie ");
                self.hex(cookie);
            }
        }
    }

    fn hex(&mut self, data: &[u8]) {
        for byte in data {
            put!(self, "{byte:02x}");
        }
    }
}

/// Bytes of the value of an option that claims to be `len` bytes long.
fn value_len(kind: u8, len: usize) -> usize {
    match kind {
        0 | 1 | 4 => 0,
        2 | 20 | 28 => 2,
        3 => 1,
        6 | 7 | 11..=13 => 4,
        8 => 8,
        19 => 16,
        _ => len - 2,
    }
}

fn option_name(kind: u8) -> std::borrow::Cow<'static, str> {
    match kind {
        0 => "eol".into(),
        1 => "nop".into(),
        2 => "mss".into(),
        3 => "wscale".into(),
        4 => "sackOK".into(),
        5 => "sack".into(),
        6 => "echo".into(),
        7 => "echoreply".into(),
        8 => "TS".into(),
        11 => "cc".into(),
        12 => "ccnew".into(),
        13 => "".into(),
        19 => "md5".into(),
        20 => "scps".into(),
        28 => "uto".into(),
        29 => "tcp-ao".into(),
        34 => "tfo".into(),
        254 => "exp".into(),
        other => format!("unknown-{other}").into(),
    }
}
