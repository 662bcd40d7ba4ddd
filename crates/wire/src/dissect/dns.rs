//! DNS (RFC 1035) and multicast DNS (RFC 6762), in tcpdump's words.
//!
//! Positions count from the message's start. `None` means that the message ends, or goes wrong,
//! where something had to be printed: the line then ends with `[|domain]`.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::dns_message::{HEADER, Message, kind, option_name, relative_time, type_name};
use super::{Cut, Printer, Seen};

/// The longest name that is printed.
const NAME_MAX: usize = 255;

const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];

const RESULTS: [&str; 24] = [
    "",
    " FormErr",
    " ServFail",
    " NXDomain",
    " NotImp",
    " Refused",
    " YXDomain",
    " YXRRSet",
    " NXRRSet",
    " NotAuth",
    " NotZone",
    " Resp11",
    " Resp12",
    " Resp13",
    " Resp14",
    " NoChange",
    " BadVers",
    "Resp17",
    " Resp18",
    " Resp19",
    " Resp20",
    "Resp21",
    " Resp22",
    " BadCookie",
];

impl Printer<'_> {
    pub(super) fn domain(&mut self, seen: Seen<'_>, tcp: bool, multicast: bool) -> Result<(), Cut> {
        let mut seen = seen;
        if tcp {
            // RFC 1035 §4.2.2: the length stands in front.
            if seen.len < 2 {
                put!(self, " [DNS over TCP: length {} < 2] (invalid)", seen.len);
                return Ok(());
            }
            let prefix = seen.need(2, "domain")?;
            let claimed = usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
            seen = seen.skip(2);
            if claimed != seen.len {
                put!(self, " [prefix length({claimed}) != length({})] (invalid)", seen.len);
                return Ok(());
            }
            put!(self, " ");
        }
        if seen.len < HEADER {
            put!(self, "domain [length {} < {HEADER}] (invalid)", seen.len);
            return Ok(());
        }
        seen.need(HEADER, "domain")?;
        let message = Message(seen.b);
        let printed = if seen.b[2] & 0x80 != 0 {
            self.dns_answer(message, multicast)
        } else {
            self.dns_query(message, multicast)
        };
        printed.ok_or(Cut::here("domain"))?;
        put!(self, " ({})", seen.len);
        Ok(())
    }

    fn dns_answer(&mut self, m: Message<'_>, multicast: bool) -> Option<()> {
        let (id, flags) = (m.word(0)?, m.word(2)?);
        let counts = [m.word(4)?, m.word(6)?, m.word(8)?, m.word(10)?];
        let code = m.result(counts);
        put!(self, "{id}{}", OPERATIONS[usize::from(flags >> 11) & 0x0f]);
        match RESULTS.get(code) {
            Some(name) => put!(self, "{name}"),
            None => put!(self, " Resp{code}"),
        }
        let mark = |bit: u16, text: &'static str| if flags & bit != 0 { text } else { "" };
        put!(self, "{}", mark(0x0400, "*"));
        put!(self, "{}", if flags & 0x0080 != 0 { "" } else { "-" });
        put!(self, "{}{}", mark(0x0200, "|"), mark(0x0020, "$"));
        let [questions, answers, authorities, more] = counts;
        if questions != 1 {
            put!(self, " [{questions}q]");
        }
        let mut at = HEADER;
        for n in 0..questions {
            if n > 0 {
                put!(self, ",");
            }
            if self.o.verbose > 1 {
                put!(self, " q:");
                at = self.dns_question(m, at, multicast)?;
            } else {
                at = m.skip_name(at)? + 4;
            }
        }
        put!(self, " {answers}/{authorities}/{more}");
        at = self.dns_records(m, at, answers, multicast, true)?;
        if self.o.verbose > 1 {
            if authorities > 0 && at < m.0.len() {
                put!(self, " ns:");
            }
            at = self.dns_records(m, at, authorities, multicast, false)?;
            if more > 0 && at < m.0.len() {
                put!(self, " ar:");
            }
            self.dns_records(m, at, more, multicast, false)?;
        }
        Some(())
    }

    fn dns_query(&mut self, m: Message<'_>, multicast: bool) -> Option<()> {
        let (id, flags) = (m.word(0)?, m.word(2)?);
        let [questions, answers, authorities, more] =
            [m.word(4)?, m.word(6)?, m.word(8)?, m.word(10)?];
        let operation = usize::from(flags >> 11) & 0x0f;
        put!(self, "{id}{}", OPERATIONS[operation]);
        let mark = |bit: u16, text: &'static str| if flags & bit != 0 { text } else { "" };
        put!(self, "{}{}", mark(0x0100, "+"), mark(0x0010, "%"));
        if flags & 0x06cf != 0 {
            put!(self, " [b2&3=0x{flags:x}]");
        }
        if operation == 1 {
            if questions != 0 {
                put!(self, " [{questions}q]");
            }
            if answers != 1 {
                put!(self, " [{answers}a]");
            }
        } else {
            if answers != 0 {
                put!(self, " [{answers}a]");
            }
            if questions != 1 {
                put!(self, " [{questions}q]");
            }
        }
        if authorities != 0 {
            put!(self, " [{authorities}n]");
        }
        if more != 0 {
            put!(self, " [{more}au]");
        }
        let mut at = HEADER;
        for n in 0..questions {
            if n > 0 && at >= m.0.len() {
                return None;
            }
            at = self.dns_question(m, at, multicast)?;
        }
        if self.o.verbose > 1 {
            at = self.dns_records(m, at, answers, multicast, true)?;
            if authorities > 0 && at < m.0.len() {
                put!(self, " ns:");
            }
            at = self.dns_records(m, at, authorities, multicast, false)?;
            if more > 0 && at < m.0.len() {
                put!(self, " ar:");
            }
            self.dns_records(m, at, more, multicast, false)?;
        }
        Some(())
    }

    /// Records with commas between them. The first of answers is tried even at the message's end.
    fn dns_records(
        &mut self,
        m: Message<'_>,
        mut at: usize,
        count: u16,
        multicast: bool,
        eager: bool,
    ) -> Option<usize> {
        for n in 0..count {
            if at >= m.0.len() && !(eager && n == 0) {
                return None;
            }
            if n > 0 {
                put!(self, ",");
            }
            at = self.dns_record(m, at, multicast)?;
        }
        Some(at)
    }

    fn dns_question(&mut self, m: Message<'_>, at: usize, multicast: bool) -> Option<usize> {
        let behind = m.skip_name(at)?;
        let (ty, class) = (m.word(behind)?, m.word(behind + 2)?);
        put!(self, " {}", type_name(ty));
        self.dns_class(if multicast { class & 0x7fff } else { class });
        if multicast {
            put!(self, "{}", if class & 0x8000 != 0 { " (QU)" } else { " (QM)" });
        }
        put!(self, "? ");
        Some(self.dns_name(m, at)? + 4)
    }

    fn dns_class(&mut self, class: u16) {
        match class {
            1 => {}
            3 => put!(self, " CHAOS"),
            4 => put!(self, " HS"),
            255 => put!(self, " ANY"),
            other => put!(self, " (Class {other})"),
        }
    }

    /// A record; where it ends by its length.
    fn dns_record(&mut self, m: Message<'_>, at: usize, multicast: bool) -> Option<usize> {
        let mut at = if self.o.verbose > 0 {
            put!(self, " ");
            self.dns_name(m, at)?
        } else {
            // As tcpdump, take a name that cannot be skipped for the message's end.
            match m.skip_name(at) {
                Some(at) => at,
                None => return Some(m.0.len()),
            }
        };
        if m.0.len() < at + 10 {
            return Some(m.0.len());
        }
        let (ty, raw_class) = (m.word(at)?, m.word(at + 2)?);
        let class = if multicast { raw_class & 0x7fff } else { raw_class };
        if ty != kind::OPT {
            self.dns_class(class);
        }
        if multicast && raw_class & 0x8000 != 0 {
            put!(self, " (Cache flush)");
        }
        let ttl = m.long(at + 4)?;
        if ty != kind::OPT && self.o.verbose > 2 {
            put!(self, " [{}]", relative_time(ttl));
        }
        let len = usize::from(m.word(at + 8)?);
        at += 10;
        put!(self, " {}", type_name(ty));
        let end = at + len;
        if end > m.0.len() {
            return None;
        }
        if ty == kind::OPT {
            put!(self, " UDPsize={class}{}", if ttl & 0x8000 != 0 { " DO" } else { "" });
            self.dns_options(m, at, end)?;
        } else {
            self.dns_data(m, ty, at, end)?;
        }
        Some(end)
    }

    fn dns_data(&mut self, m: Message<'_>, ty: u16, at: usize, end: usize) -> Option<()> {
        match ty {
            kind::A => put!(self, " {}", Ipv4Addr::from(m.long(at)?)),
            kind::AAAA => {
                let b: [u8; 16] = m.0.get(at..at + 16)?.try_into().ok()?;
                put!(self, " {}", Ipv6Addr::from(b));
            }
            kind::NS | kind::CNAME | kind::PTR | kind::DNAME => {
                put!(self, " ");
                self.dns_name(m, at)?;
            }
            kind::SOA if self.o.verbose > 0 => {
                put!(self, " ");
                let next = self.dns_name(m, at)?;
                put!(self, " ");
                let next = self.dns_name(m, next)?;
                let whole: Option<Vec<u32>> = (0..5).map(|n| m.long(next + n * 4)).collect();
                for number in whole? {
                    put!(self, " {number}");
                }
            }
            kind::MX => {
                put!(self, " ");
                let preference = m.word(at)?;
                self.dns_name(m, at + 2)?;
                put!(self, " {preference}");
            }
            kind::SRV => {
                put!(self, " ");
                let (priority, weight, port) = (m.word(at)?, m.word(at + 2)?, m.word(at + 4)?);
                self.dns_name(m, at + 6)?;
                put!(self, ":{port} {priority} {weight}");
            }
            kind::TXT => {
                let mut at = at;
                while at < end {
                    let len = usize::from(m.byte(at)?);
                    let text = m.0.get(at + 1..)?;
                    put!(self, " \"");
                    self.printable(&text[..len.min(text.len())]);
                    if text.len() < len {
                        return None;
                    }
                    put!(self, "\"");
                    at += 1 + len;
                }
            }
            kind::URI => {
                put!(self, " {} {} ", m.word(at)?, m.word(at + 2)?);
                self.printable(m.0.get(at + 4..end)?);
            }
            _ => {}
        }
        Some(())
    }

    /// RFC 6891 §6.1.2.
    fn dns_options(&mut self, m: Message<'_>, mut at: usize, end: usize) -> Option<()> {
        if at >= end {
            return Some(());
        }
        put!(self, " [");
        while at < end {
            let (code, len) = (m.word(at)?, usize::from(m.word(at + 2)?));
            match option_name(code) {
                Some(name) => put!(self, "{name}"),
                None => put!(self, "Opt{code}"),
            }
            let data = m.0.get(at + 4..at + 4 + len)?;
            if len > 0 {
                put!(self, " ");
                self.dns_option(code, data);
            }
            at += 4 + len;
            if at < end {
                put!(self, ",");
            }
        }
        put!(self, "]");
        Some(())
    }

    fn dns_option(&mut self, code: u16, data: &[u8]) {
        let len = data.len();
        match code {
            10 if len < 8 || (len > 8 && len < 16) || len > 40 => put!(self, " (invalid)"),
            10 => {
                for (n, b) in data.iter().enumerate() {
                    put!(self, "{}{b:02x}", if n == 8 { " " } else { "" });
                }
            }
            11 if len == 2 => {
                let tenths = u16::from_be_bytes([data[0], data[1]]);
                put!(self, "{}.{} sec", tenths / 10, tenths % 10);
            }
            9 if len == 4 => {
                put!(self, "{} sec", u32::from_be_bytes([data[0], data[1], data[2], data[3]]));
            }
            9 | 11 => put!(self, " (invalid)"),
            12 => put!(self, "({len})"),
            _ => {
                for b in data {
                    put!(self, "{b:02x}");
                }
            }
        }
    }

    /// A name, its labels where pointers lead; the position behind it.
    fn dns_name(&mut self, m: Message<'_>, at: usize) -> Option<usize> {
        let (mut at, mut limit, mut behind) = (at, at, None);
        let mut letters = 0;
        if m.byte(at)? == 0 {
            put!(self, ".");
            return Some(at + 1);
        }
        loop {
            let len = m.byte(at)?;
            if len != 0 && at + 1 >= m.0.len() {
                // A length at the very end: tcpdump takes the name for whole.
                at += usize::from(len);
                break;
            }
            match len & 0xc0 {
                0xc0 => {
                    let to = usize::from(m.word(at)? & 0x3fff);
                    behind.get_or_insert(at + 2);
                    // RFC 1035 §4.1.4: pointers lead backwards, or they could lead in circles.
                    if to >= limit {
                        put!(self, "<BAD PTR>");
                        return None;
                    }
                    (limit, at) = (to, to);
                }
                0x00 if len == 0 => break,
                0x00 => {
                    let len = usize::from(len);
                    let room = NAME_MAX.saturating_sub(letters).min(len);
                    let label = m.0.get(at + 1..)?;
                    self.printable(&label[..room.min(label.len())]);
                    if label.len() < room {
                        return None;
                    }
                    letters += len;
                    if letters <= NAME_MAX {
                        put!(self, ".");
                    }
                    letters += 1;
                    at += 1 + len;
                    if at >= m.0.len() {
                        return None;
                    }
                }
                0x40 => {
                    put!(self, "<ELT {}>", len & 0x3f);
                    return None;
                }
                _ => {
                    put!(self, "<BAD LABEL TYPE>");
                    return None;
                }
            }
        }
        if letters > NAME_MAX {
            put!(self, "<DOMAIN NAME TOO LONG>");
        }
        Some(behind.unwrap_or(at + 1))
    }
}
