//! What `dig` shows of a message.

use std::fmt::Write as _;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{RData, Record, RecordType};

use super::options::{Global, Lookup};
use crate::dns::text::{self, Columns};

/// Purposes of extended errors (RFC 8914 §4).
const ERRORS: [&str; 25] = [
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
];

/// A message in sections, as far as the look-up wants to see them.
pub(super) fn message(message: &Message, global: &Global, lookup: &Lookup) -> String {
    let mut out = String::new();
    let sections = [&message.answers, &message.authorities, &message.additionals];
    if lookup.comments {
        out.push_str(&header(message));
        if let Some(edns) = &message.edns {
            out.push_str(&opt(edns));
        }
    }
    if lookup.question && !message.queries.is_empty() {
        let lines = message.queries.iter().map(|q| question(q, global) + "\n").collect::<String>();
        section(&mut out, "QUESTION", lookup, &lines);
    }
    let wanted = [lookup.answer, lookup.authority, lookup.additional];
    for ((records, wanted), title) in
        sections.into_iter().zip(wanted).zip(["ANSWER", "AUTHORITY", "ADDITIONAL"])
    {
        if wanted && !records.is_empty() {
            let lines =
                records.iter().map(|r| record(r, global, lookup) + "\n").collect::<String>();
            section(&mut out, title, lookup, &lines);
        }
    }
    out
}

fn section(out: &mut String, title: &str, lookup: &Lookup, lines: &str) {
    if lookup.comments {
        let _ = write!(out, ";; {title} SECTION:\n{lines}\n");
    } else {
        out.push_str(lines);
    }
}

/// The lines `->>HEADER<<-` and `flags:`, and an empty one.
pub(crate) fn header(message: &Message) -> String {
    let m = &message.metadata;
    let mut out = format!(
        ";; ->>HEADER<<- opcode: {}, status: {}, id: {}\n;; flags:",
        text::opcode(m.op_code),
        text::rcode(m.response_code),
        m.id
    );
    let response = m.message_type == hickory_proto::op::MessageType::Response;
    for (set, name) in [
        (response, " qr"),
        (m.authoritative, " aa"),
        (m.truncation, " tc"),
        (m.recursion_desired, " rd"),
        (m.recursion_available, " ra"),
        (m.authentic_data, " ad"),
        (m.checking_disabled, " cd"),
    ] {
        out.push_str(if set { name } else { "" });
    }
    let _ = writeln!(
        out,
        "; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}",
        message.queries.len(),
        message.answers.len(),
        message.authorities.len(),
        message.additionals.len() + usize::from(message.edns.is_some())
    );
    if response && m.recursion_desired && !m.recursion_available {
        out.push_str(";; WARNING: recursion requested but not available\n");
    }
    out.push('\n');
    out
}

fn opt(edns: &Edns) -> String {
    let flags = if edns.flags().dnssec_ok { " do" } else { "" };
    let mut out = format!(
        ";; OPT PSEUDOSECTION:\n; EDNS: version: {}, flags:{flags}; udp: {}\n",
        edns.version(),
        edns.max_payload()
    );
    for (code, option) in edns.options().as_ref() {
        let bytes = match option {
            EdnsOption::Unknown(_, bytes) => bytes.clone(),
            other => Vec::try_from(other).unwrap_or_default(),
        };
        let _ = writeln!(out, "; {}", option_text(u16::from(*code), &bytes));
    }
    out
}

fn option_text(code: u16, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    match (code, bytes) {
        (10, _) => format!("COOKIE: {hex}"),
        (15, [high, low, why @ ..]) => {
            let purpose = u16::from_be_bytes([*high, *low]);
            let mut out = format!("EDE: {purpose}");
            if let Some(name) = ERRORS.get(usize::from(purpose)) {
                let _ = write!(out, " ({name})");
            }
            if !why.is_empty() {
                let _ = write!(out, ": ({})", String::from_utf8_lossy(why));
            }
            out
        }
        _ => format!("OPT={code}: {hex}"),
    }
}

/// Where TTL, class, type and data begin.
fn columns(global: &Global) -> [usize; 4] {
    match (global.multiline, global.ttl, global.class) {
        (true, ..) | (_, false, false) => [24, 24, 24, 32],
        (_, true, true) => [24, 32, 40, 48],
        _ => [24, 24, 32, 40],
    }
}

fn question(query: &Query, global: &Global) -> String {
    let [_, class, rtype, _] = columns(global);
    let mut line = Columns::comment(&text::name(query.name()));
    line.at(class, &text::class(query.query_class()));
    line.at(rtype, &text::rtype(query.query_type()));
    line.text
}

fn record(record: &Record, global: &Global, lookup: &Lookup) -> String {
    let [ttl, class, rtype, data] = columns(global);
    let mut line = Columns::new(text::name(&record.name));
    if global.ttl {
        let seconds = record.ttl;
        line.at(ttl, &if lookup.ttl_units { units(seconds) } else { seconds.to_string() });
    }
    if global.class {
        line.at(class, &text::class(record.dns_class));
    }
    line.at(rtype, &text::rtype(record.record_type()));
    let shown = match &record.data {
        RData::SOA(soa) if global.multiline => {
            let mut out = format!("{} {} (", text::name(&soa.mname), text::name(&soa.rname));
            let _ = write!(out, "\n\t\t\t\t{:<10} ; serial", soa.serial);
            for (value, name) in [
                (soa.refresh as u32, "refresh"),
                (soa.retry as u32, "retry"),
                (soa.expire as u32, "expire"),
                (soa.minimum, "minimum"),
            ] {
                let _ = write!(out, "\n\t\t\t\t{value:<10} ; {name} ({})", in_words(value));
            }
            out + "\n\t\t\t\t)"
        }
        other => text::rdata(other),
    };
    line.at(data, &shown);
    line.text
}

/// Weeks, days, hours, minutes, seconds.
fn parts(seconds: u32) -> [(u32, &'static str); 5] {
    [
        (seconds / 604_800, "week"),
        (seconds / 86_400 % 7, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ]
}

/// `1h30m`.
fn units(seconds: u32) -> String {
    let all = parts(seconds).into_iter().filter(|p| p.0 > 0);
    let text: String = all.map(|(n, unit)| format!("{n}{}", &unit[..1])).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `1 hour 30 minutes`.
fn in_words(seconds: u32) -> String {
    let all = parts(seconds).into_iter().filter(|p| p.0 > 0);
    let text: Vec<String> =
        all.map(|(n, unit)| format!("{n} {unit}{}", if n == 1 { "" } else { "s" })).collect();
    if text.is_empty() { "0 seconds".to_owned() } else { text.join(" ") }
}

/// The data of the answer's records, one a line.
pub(super) fn short(message: &Message) -> impl Iterator<Item = String> {
    message.answers.iter().map(|r| text::rdata(&r.data))
}

/// Whether a message hands the question on: servers in the authority section and no answer.
pub(super) fn servers_of(message: &Message, answer: bool) -> Vec<&Record> {
    let section = if answer { &message.answers } else { &message.authorities };
    section.iter().filter(|r| r.record_type() == RecordType::NS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_two_ways() {
        for (seconds, short, long) in [
            (0, "0s", "0 seconds"),
            (300, "5m", "5 minutes"),
            (5_400, "1h30m", "1 hour 30 minutes"),
            (777_661, "1w2d1m1s", "1 week 2 days 1 minute 1 second"),
        ] {
            assert_eq!((units(seconds).as_str(), in_words(seconds).as_str()), (short, long));
        }
    }

    #[test]
    fn options_of_edns() {
        assert_eq!(option_text(10, &[1, 0xab]), "COOKIE: 01ab");
        assert_eq!(option_text(15, &[0, 22]), "EDE: 22 (No Reachable Authority)");
        assert_eq!(option_text(15, b"\0\x17why"), "EDE: 23 (Network Error): (why)");
        assert_eq!(option_text(99, &[1]), "OPT=99: 01");
    }
}
