//! The data of records as master files write it.

use std::str::FromStr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, HINFO, MX, NAPTR, NS, NULL, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use super::super::text;
use super::lex::Token;
use super::parse::ttl;

/// The longest character string (RFC 1035 §3.3).
const STRING_MAX: usize = 255;
/// The most bytes of data.
const DATA_MAX: usize = 65_535;

/// Reads the data of a record of this type.
pub(super) fn parse(rtype: RecordType, tokens: &[Token], origin: &Name) -> Result<RData, String> {
    if tokens.first().is_some_and(|t| t.text == "\\#" && !t.quoted) {
        return generic(rtype, &tokens[1..]);
    }
    let mut words = Words { rtype, rest: tokens, origin };
    let data = words.data()?;
    match words.rest {
        [] => Ok(data),
        [more, ..] => Err(format!("{}: `{}` is one word too many", text::rtype(rtype), more.text)),
    }
}

struct Words<'a> {
    rtype: RecordType,
    rest: &'a [Token],
    origin: &'a Name,
}

impl<'a> Words<'a> {
    fn data(&mut self) -> Result<RData, String> {
        Ok(match self.rtype {
            RecordType::A => RData::A(A(self.parse("an IPv4 address")?)),
            RecordType::AAAA => RData::AAAA(AAAA(self.parse("an IPv6 address")?)),
            RecordType::NS => RData::NS(NS(self.name()?)),
            RecordType::CNAME => RData::CNAME(CNAME(self.name()?)),
            RecordType::PTR => RData::PTR(PTR(self.name()?)),
            RecordType::MX => RData::MX(MX::new(self.parse("a preference")?, self.name()?)),
            RecordType::SRV => RData::SRV(SRV::new(
                self.parse("a priority")?,
                self.parse("a weight")?,
                self.parse("a port")?,
                self.name()?,
            )),
            RecordType::SOA => self.soa()?,
            RecordType::TXT => {
                let mut strings = vec![self.string()?];
                while !self.rest.is_empty() {
                    strings.push(self.string()?);
                }
                RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
            }
            RecordType::HINFO => {
                RData::HINFO(HINFO::from_bytes(self.string()?.into(), self.string()?.into()))
            }
            RecordType::CAA => self.caa()?,
            RecordType::NAPTR => RData::NAPTR(NAPTR::new(
                self.parse("an order")?,
                self.parse("a preference")?,
                self.string()?.into(),
                self.string()?.into(),
                self.string()?.into(),
                self.name()?,
            )),
            other => {
                let name = text::rtype(other);
                return Err(format!("data of type {name} can be given as `\\# LENGTH HEX` only"));
            }
        })
    }

    fn soa(&mut self) -> Result<RData, String> {
        let (mname, rname) = (self.name()?, self.name()?);
        let serial = self.parse("a serial number")?;
        let mut times = [0; 4];
        for (time, what) in times.iter_mut().zip(["refresh", "retry", "expire", "minimum"]) {
            let word = self.word(what)?;
            *time = ttl(&word.text).ok_or_else(|| self.wrong(word, &format!("a time ({what})")))?;
        }
        let [refresh, retry, expire, minimum] = times;
        let (refresh, retry, expire) = (refresh as i32, retry as i32, expire as i32);
        Ok(RData::SOA(SOA::new(mname, rname, serial, refresh, retry, expire, minimum)))
    }

    fn caa(&mut self) -> Result<RData, String> {
        let flags: u8 = self.parse("flags")?;
        let tag = self.word("a tag")?.text.clone();
        if tag.is_empty() || tag.len() > 15 || !tag.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(format!("CAA: `{tag}` is not a tag"));
        }
        // The value may be longer than other strings.
        let word = self.word("a value")?;
        let value = unescaped(&word.text).ok_or_else(|| self.wrong(word, "a string"))?;
        let mut wire = vec![flags, tag.len() as u8];
        wire.extend(tag.as_bytes());
        wire.extend(value);
        decode(RecordType::CAA, &wire)
    }

    fn word(&mut self, what: &str) -> Result<&'a Token, String> {
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| format!("{}: {what} is missing", text::rtype(self.rtype)))?;
        self.rest = rest;
        Ok(first)
    }

    fn wrong(&self, word: &Token, what: &str) -> String {
        format!("{}: `{}` is not {what}", text::rtype(self.rtype), word.text)
    }

    fn parse<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.word(what)?;
        word.text.parse().map_err(|_| self.wrong(word, what))
    }

    fn name(&mut self) -> Result<Name, String> {
        let word = self.word("a name")?;
        text::parse_name(&word.text, self.origin)
            .map_err(|e| format!("{} ({e})", self.wrong(word, "a name")))
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        let word = self.word("a string")?;
        unescaped(&word.text)
            .filter(|s| s.len() <= STRING_MAX)
            .ok_or_else(|| self.wrong(word, "a string of at most 255 bytes"))
    }
}

/// A string without its escapes.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { text::unescape(&mut bytes)? } else { byte });
    }
    Some(out)
}

/// `LENGTH HEX…` behind `\#` (RFC 3597 §5), for any type.
fn generic(rtype: RecordType, tokens: &[Token]) -> Result<RData, String> {
    let (length, hex) = tokens.split_first().ok_or("\\# without a length")?;
    let length: usize =
        length.text.parse().map_err(|_| format!("`{}` is not a length", length.text))?;
    let digits: String = hex.iter().map(|t| t.text.as_str()).collect();
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("data behind \\# is not hexadecimal".to_owned());
    }
    let wire: Vec<u8> = (0..digits.len())
        .step_by(2)
        .filter_map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok())
        .collect();
    if wire.len() != length || length > DATA_MAX {
        return Err(format!("\\# {length}, but there are {} bytes", wire.len()));
    }
    decode(rtype, &wire)
}

/// Data from its wire form.
fn decode(rtype: RecordType, wire: &[u8]) -> Result<RData, String> {
    let bad = || format!("these bytes are no data of type {}", text::rtype(rtype));
    if wire.is_empty() {
        return Ok(RData::Unknown { code: rtype, rdata: NULL::new() });
    }
    let length = u16::try_from(wire.len()).map_err(|_| bad())?;
    let mut decoder = BinDecoder::new(wire);
    let limit = Restrict::new(length);
    let data = RData::read(&mut decoder, rtype, limit).map_err(|_| bad())?;
    if decoder.is_empty() { Ok(data) } else { Err(bad()) }
}
