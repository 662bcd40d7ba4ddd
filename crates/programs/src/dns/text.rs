//! Names, types and records in the presentation format of master files (RFC 1035 §5.1), with the
//! spelling of BIND's tools.

use std::fmt::Write as _;
use std::str::FromStr;

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

/// A name with its final dot: `www.shop.lab.`, `.`.
pub(crate) fn name(name: &Name) -> String {
    if name.num_labels() == 0 && !name.is_wildcard() {
        return ".".to_owned();
    }
    let mut out = String::with_capacity(name.len() + 1);
    for label in name.iter() {
        for &byte in label {
            match byte {
                b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => {
                    out.push('\\');
                    out.push(char::from(byte));
                }
                0x21..=0x7e => out.push(char::from(byte)),
                _ => {
                    let _ = write!(out, "\\{byte:03}");
                }
            }
        }
        out.push('.');
    }
    out
}

/// A name without its final dot, as programs show it.
pub(crate) fn bare(of: &Name) -> String {
    let text = name(of);
    match text.strip_suffix('.') {
        Some(bare) if !bare.is_empty() && !bare.ends_with('\\') => bare.to_owned(),
        _ => text,
    }
}

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Two dots in a row, or a leading one.
    #[error("empty label")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("label too long")]
    LabelTooLong,
    /// More than 255 bytes.
    #[error("name too long")]
    TooLong,
    /// A backslash with nothing sensible behind it.
    #[error("bad escape")]
    BadEscape,
}

/// Reads a name; one without a final dot is completed with `origin`.
pub(crate) fn parse_name(text: &str, origin: &Name) -> Result<Name, NameError> {
    if text == "@" {
        return Ok(origin.clone());
    }
    if text == "." {
        return Ok(Name::root());
    }
    let (mut labels, absolute) = split_labels(text)?;
    if labels.iter().any(|l| l.len() > 63) {
        return Err(NameError::LabelTooLong);
    }
    if !absolute {
        labels.extend(origin.iter().map(<[u8]>::to_vec));
    }
    let length: usize = labels.iter().map(|l| l.len() + 1).sum::<usize>() + 1;
    if length > 255 {
        return Err(NameError::TooLong);
    }
    Name::from_labels(labels.iter().map(Vec::as_slice)).map_err(|_| NameError::TooLong)
}

/// The labels of a text, and whether it ends with a dot.
fn split_labels(text: &str) -> Result<(Vec<Vec<u8>>, bool), NameError> {
    let (mut labels, mut label, mut absolute) = (Vec::new(), Vec::new(), false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        absolute = false;
        match byte {
            b'.' => {
                if label.is_empty() {
                    return Err(NameError::EmptyLabel);
                }
                labels.push(std::mem::take(&mut label));
                absolute = true;
            }
            b'\\' => label.push(unescape(&mut bytes).ok_or(NameError::BadEscape)?),
            other => label.push(other),
        }
    }
    if !label.is_empty() {
        labels.push(label);
    }
    if labels.is_empty() { Err(NameError::EmptyLabel) } else { Ok((labels, absolute)) }
}

/// What stands behind a backslash: three decimal digits, or a character that stands for itself.
pub(crate) fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).ok()
}

/// A type's mnemonic; `TYPE65280` for one without (RFC 3597 §5).
pub(crate) fn rtype(of: RecordType) -> String {
    match of {
        RecordType::Unknown(n) => format!("TYPE{n}"),
        RecordType::ZERO => "TYPE0".to_owned(),
        known => <&'static str>::from(known).to_owned(),
    }
}

/// The type of a mnemonic, in any case of letters.
pub(crate) fn parse_rtype(text: &str) -> Option<RecordType> {
    let upper = text.to_ascii_uppercase();
    if let Some(number) = upper.strip_prefix("TYPE") {
        return number.parse().ok().map(|n: u16| RecordType::from(n));
    }
    match upper.as_str() {
        "ANAME" | "ZERO" => None,
        "OPT" => Some(RecordType::OPT),
        "IXFR" => Some(RecordType::IXFR),
        word => RecordType::from_str(word).ok(),
    }
}

/// A class's mnemonic.
pub(crate) fn class(of: DNSClass) -> String {
    match of {
        DNSClass::IN => "IN".to_owned(),
        DNSClass::CH => "CH".to_owned(),
        DNSClass::HS => "HS".to_owned(),
        DNSClass::NONE => "NONE".to_owned(),
        DNSClass::ANY => "ANY".to_owned(),
        other => format!("CLASS{}", u16::from(other)),
    }
}

/// The class of a mnemonic, in any case of letters.
pub(crate) fn parse_class(text: &str) -> Option<DNSClass> {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "IN" => Some(DNSClass::IN),
        "CH" | "CHAOS" => Some(DNSClass::CH),
        "HS" | "HESIOD" => Some(DNSClass::HS),
        "ANY" => Some(DNSClass::ANY),
        other => other.strip_prefix("CLASS")?.parse().ok().map(|n: u16| DNSClass::from(n)),
    }
}

/// A response code as `dig` shows it.
pub(crate) fn rcode(of: ResponseCode) -> String {
    let name = match u16::from(of) {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        n @ 11..=15 => return format!("RESERVED{n}"),
        16 => "BADVERS",
        23 => "BADCOOKIE",
        n => return n.to_string(),
    };
    name.to_owned()
}

/// An operation as `dig` shows it.
pub(crate) fn opcode(of: OpCode) -> String {
    let name = match u8::from(of) {
        0 => "QUERY",
        1 => "IQUERY",
        2 => "STATUS",
        4 => "NOTIFY",
        5 => "UPDATE",
        n => return format!("RESERVED{n}"),
    };
    name.to_owned()
}

/// A record's data.
pub(crate) fn rdata(data: &RData) -> String {
    match data {
        RData::A(a) => a.0.to_string(),
        RData::AAAA(a) => a.0.to_string(),
        RData::NS(n) => name(&n.0),
        RData::CNAME(n) => name(&n.0),
        RData::PTR(n) => name(&n.0),
        RData::MX(mx) => format!("{} {}", mx.preference, name(&mx.exchange)),
        RData::SRV(s) => format!("{} {} {} {}", s.priority, s.weight, s.port, name(&s.target)),
        RData::SOA(s) => format!(
            "{} {} {} {} {} {} {}",
            name(&s.mname),
            name(&s.rname),
            s.serial,
            s.refresh as u32,
            s.retry as u32,
            s.expire as u32,
            s.minimum
        ),
        RData::TXT(txt) => txt.txt_data.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(" "),
        RData::HINFO(h) => format!("{} {}", quoted(&h.cpu), quoted(&h.os)),
        RData::CAA(caa) => {
            let flags = u8::from(caa.issuer_critical) << 7 | caa.reserved_flags;
            format!("{flags} {} {}", caa.tag, quoted(&caa.value))
        }
        RData::NAPTR(n) => format!(
            "{} {} {} {} {} {}",
            n.order,
            n.preference,
            quoted(&n.flags),
            quoted(&n.services),
            quoted(&n.regexp),
            name(&n.replacement)
        ),
        other => generic(other),
    }
}

/// A character string in quotes.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            0x20..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
    out.push('"');
    out
}

/// Data of a type that has no form of its own here (RFC 3597 §5): `\# 4 0A000001`.
fn generic(data: &RData) -> String {
    let bytes = rdata_bytes(data);
    let mut out = format!("\\# {}", bytes.len());
    if !bytes.is_empty() {
        out.push(' ');
    }
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out
}

/// A record's data as it goes over the wire, without compression.
pub(crate) fn rdata_bytes(data: &RData) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    // Data that cannot be encoded was never decoded or parsed.
    let _ = data.emit(&mut encoder);
    bytes
}

/// A record on one line, in the columns of `dig`.
pub(crate) fn record(of: &Record) -> String {
    let mut line = Columns::new(name(&of.name));
    line.at(24, &of.ttl.to_string());
    line.at(32, &class(of.dns_class));
    line.at(40, &rtype(of.record_type()));
    line.at(48, &rdata(&of.data));
    line.text
}

/// A line whose parts begin at columns, as BIND writes them: tabs as far as they reach, then
/// spaces; what is too long pushes the next part one column on.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) text: String,
    column: usize,
}

impl Columns {
    /// A line that begins with this text.
    pub(crate) fn new(text: String) -> Columns {
        Columns { column: text.len(), text }
    }

    /// The line of a question: a record in a comment, whose mark takes no column.
    pub(crate) fn comment(text: &str) -> Columns {
        Columns { column: text.len(), text: format!(";{text}") }
    }

    /// Adds a part.
    pub(crate) fn at(&mut self, column: usize, part: &str) {
        let to = column.max(self.column + 1);
        let tabs = (to / 8).saturating_sub(self.column / 8);
        if tabs > 0 {
            self.column = to / 8 * 8;
        }
        self.text.extend(std::iter::repeat_n('\t', tabs));
        self.text.extend(std::iter::repeat_n(' ', to - self.column));
        self.text.push_str(part);
        self.column = to + part.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, shown: Result<&str, NameError>) {
        let origin = parse_name("lab.", &Name::root()).unwrap();
        let got = parse_name(text, &origin).map(|n| name(&n));
        assert_eq!(got, shown.map(str::to_owned), "{text}");
    }

    #[test]
    fn names_are_read_and_shown() {
        check("www", Ok("www.lab."));
        check("WWW.Shop.lab.", Ok("WWW.Shop.lab."));
        check("@", Ok("lab."));
        check(".", Ok("."));
        check("*", Ok("*.lab."));
        check(r"a\.b", Ok(r"a\.b.lab."));
        check(r"a\032b\255.", Ok(r"a\032b\255."));
        check(r"a\;\@", Ok(r"a\;\@.lab."));
        check("a..b", Err(NameError::EmptyLabel));
        check("", Err(NameError::EmptyLabel));
        check(r"a\", Err(NameError::BadEscape));
        check(r"a\2", Err(NameError::BadEscape));
        check(r"a\256", Err(NameError::BadEscape));
        check(&"x".repeat(64), Err(NameError::LabelTooLong));
        check(
            &format!(
                "{}.",
                ["y".repeat(63), "y".repeat(63), "y".repeat(63), "y".repeat(63)].join(".")
            ),
            Err(NameError::TooLong),
        );
        assert_eq!(bare(&Name::root()), ".");
        assert_eq!(bare(&parse_name("a.b.", &Name::root()).unwrap()), "a.b");
    }

    #[test]
    fn types_and_classes_have_names_both_ways() {
        for n in 1..=65_280 {
            let of = RecordType::from(n);
            if matches!(of, RecordType::ANAME | RecordType::ZERO) {
                continue;
            }
            assert_eq!(parse_rtype(&rtype(of)), Some(of), "{n}");
        }
        assert_eq!(parse_rtype("nope"), None);
        assert_eq!(parse_class("ch"), Some(DNSClass::CH));
        assert_eq!(parse_class("class3"), Some(DNSClass::CH));
    }

    #[test]
    fn records_stand_in_columns() {
        let owner = parse_name("www.shop.lab.", &Name::root()).unwrap();
        let to = parse_name("shop.lab.", &Name::root()).unwrap();
        let alias = RData::CNAME(hickory_proto::rr::rdata::CNAME(to));
        let line = record(&Record::from_rdata(owner, 300, alias));
        assert_eq!(line, "www.shop.lab.\t\t300\tIN\tCNAME\tshop.lab.");
        let long = parse_name("a-rather-long-name.shop.lab.", &Name::root()).unwrap();
        let txt = hickory_proto::rr::rdata::TXT::from_bytes(vec![b"a \"b\"", b"\xff"]);
        let line = record(&Record::from_rdata(long, 300, RData::TXT(txt)));
        assert_eq!(line, "a-rather-long-name.shop.lab. 300 IN\tTXT\t\"a \\\"b\\\"\" \"\\255\"");
    }
}
