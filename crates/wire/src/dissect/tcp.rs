//! TCP, in tcpdump's words; its options stand in `tcp_options`.

use super::flow::Relative;
use super::http;
use super::ip::{Transport, should_be};
use super::{Cut, Printer, Seen};
use crate::frame::{be16, be32};
use crate::tcp::{HEADER, TcpFlags};

/// How much of the data of a reset is shown.
const RESET_DATA: usize = 30;

impl Printer<'_> {
    pub(super) fn tcp(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        let Ok(ports) = t.seen.need(4, "tcp") else {
            let (src, dst) = (self.host(t.src), self.host(t.dst));
            put!(self, "{src} > {dst}:");
            return Err(Cut::here("tcp"));
        };
        let (src_port, dst_port) = (be16(ports, 0), be16(ports, 2));
        self.ends(&t, src_port, dst_port);
        let b = t.seen.head(HEADER, "tcp")?;
        let header = usize::from(b[12] >> 4) * 4;
        let length = t.seen.len;
        let data = (length as u32).wrapping_sub(header as u32);
        if header < HEADER {
            put!(self, " tcp {data} [bad hdr length {header} - too short, < {HEADER}]");
            return Ok(());
        }
        let too_long = format!(" [bad hdr length {header} - too long, > {length}]");
        if self.o.quiet {
            put!(self, "tcp {data}{}", if header > length { &too_long } else { "" });
            return Ok(());
        }
        let mut flags = TcpFlags::from_bits_truncate(be16(b, 12) & 0x1ff);
        if !self.o.lenient {
            // The one flag that tcpdump 4.99 does not know.
            flags &= TcpFlags::from_bits_truncate(0xff);
        }
        put!(self, "Flags [{flags}]");
        let numbers = self.numbers(&t, src_port, dst_port, flags, b);
        if header > length {
            put!(self, "{too_long}");
            return Ok(());
        }
        let data = length - header;
        self.tcp_checksum(&t, be16(b, 16));
        self.sequence(&numbers, flags, data);
        put!(self, ", win {}", be16(b, 14));
        if flags.contains(TcpFlags::URG) {
            put!(self, ", urg {}", be16(b, 18));
        }
        let options = t.seen.limit(header).skip(HEADER);
        if options.len > 0 && !self.tcp_options(options, numbers.sack)? {
            return Ok(());
        }
        put!(self, ", length {data}");
        if data > 0 && t.seen.b.len() < header {
            put!(self, " [remaining caplen({}) < header length({header})]", t.seen.b.len());
            return Err(Cut::here("tcp"));
        }
        let payload = t.seen.skip(header);
        match data {
            0 => Ok(()),
            _ if flags.contains(TcpFlags::RST) && self.o.verbose > 0 => {
                self.reset_data(payload);
                Ok(())
            }
            _ => self.application([src_port, dst_port], payload),
        }
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

    fn tcp_checksum(&mut self, t: &Transport<'_>, field: u16) {
        if self.o.verbose == 0 || t.fragment || t.seen.b.len() < t.seen.len {
            return;
        }
        put!(self, ", cksum 0x{field:04x}");
        match t.checksum(t.seen.len) {
            0 => put!(self, " (correct)"),
            sum => put!(self, " (incorrect -> 0x{:04x})", should_be(field, sum)),
        }
    }

    fn sequence(&mut self, n: &Relative, flags: TcpFlags, data: usize) {
        let says = flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST);
        if data > 0 || says || self.o.verbose > 1 {
            put!(self, ", seq {}", n.seq);
            if data > 0 {
                put!(self, ":{}", n.seq.wrapping_add(data as u32));
            }
        }
        if flags.contains(TcpFlags::ACK) {
            put!(self, ", ack {}", n.ack);
        }
    }

    /// RFC 1122 §4.2.2.12: a reset may say why.
    fn reset_data(&mut self, payload: Seen<'_>) {
        put!(self, "{}", if payload.b.len() >= payload.len { " [RST" } else { " [!RST" });
        if payload.len > RESET_DATA {
            put!(self, "+");
        }
        put!(self, " ");
        self.printable(payload.limit(RESET_DATA).b);
        put!(self, "]");
    }

    /// `: HTTP: GET / HTTP/1.1` and the like, by the ports.
    fn application(&mut self, ports: [u16; 2], payload: Seen<'_>) -> Result<(), Cut> {
        let on = |port: u16| ports.contains(&port);
        let text = |p: &mut Self, text: http::Text| {
            put!(p, ": ");
            http::print(p, text, payload)
        };
        match () {
            () if self.o.lenient => http::print_anywhere(self, on(80) || on(8080), payload),
            // Telnet's commands are not printed. The first port that fits counts, in this order.
            () if on(23) => Ok(()),
            () if on(25) => text(self, http::SMTP),
            () if on(43) => text(self, http::WHOIS),
            () if on(22) => http::ssh(self, payload),
            () if on(21) => text(self, http::FTP),
            () if on(80) || on(8080) => text(self, http::HTTP),
            () if on(554) || on(8554) => text(self, http::RTSP),
            () if on(53) => self.domain(payload, true, false),
            () => Ok(()),
        }
    }
}
