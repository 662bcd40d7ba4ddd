//! TCP, in tcpdump's words.

use super::flow::Relative;
use super::ip::Transport;
use super::{Cut, Printer, Seen};
use crate::frame::{be16, be32};
use crate::tcp::{HEADER, TcpFlags};

impl Printer<'_> {
    pub(super) fn tcp(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        let Ok(ports) = t.seen.need(4, "tcp") else {
            put!(self, "{} > {}:", t.src, t.dst);
            return Err(Cut("tcp"));
        };
        let (src_port, dst_port) = (be16(ports, 0), be16(ports, 2));
        self.ends(&t, src_port, dst_port);
        let b = t.seen.need(HEADER, "tcp")?;
        let header = usize::from(b[12] >> 4) * 4;
        let length = t.seen.len;
        if header < HEADER {
            put!(
                self,
                " tcp {} [bad hdr length {header} - too short, < {HEADER}]",
                length.wrapping_sub(header)
            );
            return Ok(());
        }
        let flags = TcpFlags::from_bits_truncate(be16(b, 12) & 0x1ff);
        put!(self, "Flags [{flags}]");
        let numbers = self.numbers(&t, src_port, dst_port, flags, b);
        if header > length {
            put!(self, " [bad hdr length {header} - too long, > {length}]");
            return Ok(());
        }
        let data = length - header;
        self.sequence(&numbers, flags, data);
        put!(self, ", win {}", be16(b, 14));
        if flags.contains(TcpFlags::URG) {
            put!(self, ", urg {}", be16(b, 18));
        }
        let options = t.seen.limit(header).skip(HEADER);
        if options.len > 0 && !self.options(options, numbers.sack)? {
            return Ok(());
        }
        put!(self, ", length {data}");
        if data > 0 && t.seen.b.len() < header {
            put!(self, " [remaining caplen({}) < header length({header})]", t.seen.b.len());
            return Err(Cut("tcp"));
        }
        if data > 0 {
            self.application([src_port, dst_port], t.seen.skip(header));
        }
        Ok(())
    }

    fn numbers(
        &mut self,
        t: &Transport<'_>,
        src_port: u16,
        dst_port: u16,
        flags: TcpFlags,
        b: &[u8],
    ) -> Relative {
        let (seq, ack) = (be32(b, 4), be32(b, 8));
        match self.flows.as_deref_mut() {
            Some(flows) => flows.relative((t.src, src_port), (t.dst, dst_port), flags, seq, ack),
            None => Relative { seq, ack, sack: 0 },
        }
    }

    fn sequence(&mut self, n: &Relative, flags: TcpFlags, data: usize) {
        if data > 0 || flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            put!(self, ", seq {}", n.seq);
            if data > 0 {
                put!(self, ":{}", n.seq.wrapping_add(data as u32));
            }
        }
        if flags.contains(TcpFlags::ACK) {
            put!(self, ", ack {}", n.ack);
        }
    }

    /// The options of a header. A malformed one ends the line with `[bad opt]`: `false`.
    fn options(&mut self, seen: Seen<'_>, sack_origin: u32) -> Result<bool, Cut> {
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
            if size > data.len {
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
            2 | 3 | 8 if b.len() < data.len => {}
            2 => put!(self, " {}", be16(b, 0)),
            3 => put!(self, " {}", b[0]),
            8 => put!(self, " val {} ecr {}", be32(b, 0), be32(b, 4)),
            _ => self.hex(b),
        }
    }

    fn sack(&mut self, data: Seen<'_>, origin: u32) {
        put!(self, " {} ", data.len / 8);
        for block in data.b.chunks_exact(8) {
            let (from, to) = (be32(block, 0), be32(block, 4));
            put!(self, "{{{}:{}}}", from.wrapping_sub(origin), to.wrapping_sub(origin));
        }
    }

    fn hex(&mut self, data: &[u8]) {
        if !data.is_empty() {
            put!(self, " 0x");
        }
        for byte in data {
            put!(self, "{byte:02x}");
        }
    }
}

/// Bytes of the value of an option that claims to be `len` bytes long.
fn value_len(kind: u8, len: usize) -> usize {
    match kind {
        0 | 1 | 4 => 0,
        2 => 2,
        3 => 1,
        8 => 8,
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
        8 => "TS".into(),
        other => format!("unknown-{other}").into(),
    }
}
