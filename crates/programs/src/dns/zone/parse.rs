//! Master files (RFC 1035 §5, RFC 2308 §4 for `$TTL`, RFC 3597 §5 for unknown types).

use std::rc::Rc;

use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

use super::super::text;
use super::lex::{Entry, Lexer, Token};
use super::rdata;

/// How deep files may include files.
const INCLUDE_DEPTH: usize = 8;
/// The time to live of a record without one, before any other was given, seconds.
const DEFAULT_TTL: u32 = 3_600;
/// The most records of a zone.
pub(crate) const RECORDS_MAX: usize = 1_000_000;
/// The most bytes of a file that are read.
pub(crate) const FILE_MAX: usize = 64 << 20;

/// What is wrong with a master file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub(crate) struct ZoneError {
    /// The file.
    pub(crate) file: Rc<str>,
    /// The line, from 1; 0 for the file as a whole.
    pub(crate) line: usize,
    /// In words.
    pub(crate) what: String,
}

/// A record of a file and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) record: Record,
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
}

/// Finds the text of a file that is included.
pub(crate) type Include<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads a master file, whose origin is `origin` until it says otherwise.
pub(crate) fn parse(
    file: &str,
    contents: &str,
    origin: &Name,
    include: Include<'_>,
) -> Result<Vec<Parsed>, ZoneError> {
    let mut reader = Reader {
        file: file.into(),
        origin: origin.clone(),
        owner: None,
        default_ttl: None,
        last_ttl: None,
        records: Vec::new(),
        include,
    };
    reader.read(contents, 0)?;
    Ok(reader.records)
}

struct Reader<'a> {
    file: Rc<str>,
    origin: Name,
    owner: Option<Name>,
    /// `$TTL`.
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    records: Vec<Parsed>,
    include: Include<'a>,
}

impl Reader<'_> {
    fn read(&mut self, contents: &str, depth: usize) -> Result<(), ZoneError> {
        let mut lexer = Lexer::new(contents);
        loop {
            let entry = match lexer.entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(()),
                Err(e) => return Err(self.error(e.line, e.what.to_owned())),
            };
            let line = entry.line;
            let done = match entry.tokens.first() {
                Some(word) if word.text.starts_with('$') && !word.quoted && !entry.blank => {
                    self.directive(&entry, depth)
                }
                _ => self.record(&entry).map_err(|what| self.error(line, what)),
            };
            done?;
        }
    }

    fn error(&self, line: usize, what: String) -> ZoneError {
        ZoneError { file: Rc::clone(&self.file), line, what }
    }

    fn directive(&mut self, entry: &Entry, depth: usize) -> Result<(), ZoneError> {
        let fail = |this: &Self, what: String| Err(this.error(entry.line, what));
        let words: Vec<&str> = entry.tokens.iter().map(|t| t.text.as_str()).collect();
        match (words[0].to_ascii_uppercase().as_str(), &words[1..]) {
            ("$ORIGIN", [name]) => match text::parse_name(name, &self.origin) {
                Ok(name) => self.origin = name,
                Err(e) => return fail(self, format!("`{name}` is not a name: {e}")),
            },
            ("$TTL", [value]) => match ttl(value) {
                Some(ttl) => self.default_ttl = Some(ttl),
                None => return fail(self, format!("`{value}` is not a time to live")),
            },
            ("$INCLUDE", [file]) => self.include(entry.line, file, None, depth)?,
            ("$INCLUDE", [file, origin]) => self.include(entry.line, file, Some(origin), depth)?,
            ("$ORIGIN" | "$TTL" | "$INCLUDE", _) => {
                return fail(self, format!("{} with {} words", words[0], words.len() - 1));
            }
            _ => return fail(self, format!("unknown directive {}", words[0])),
        }
        Ok(())
    }

    /// RFC 1035 §5.1: the file's origin and owner do not outlive it.
    fn include(
        &mut self,
        line: usize,
        file: &str,
        origin: Option<&str>,
        depth: usize,
    ) -> Result<(), ZoneError> {
        if depth >= INCLUDE_DEPTH {
            return Err(self.error(line, format!("more than {INCLUDE_DEPTH} files in each other")));
        }
        let contents =
            (self.include)(file).map_err(|e| self.error(line, format!("{file}: {e}")))?;
        let inner = match origin {
            Some(name) => text::parse_name(name, &self.origin)
                .map_err(|e| self.error(line, format!("`{name}` is not a name: {e}")))?,
            None => self.origin.clone(),
        };
        let outer = (Rc::clone(&self.file), self.origin.clone(), self.owner.clone());
        (self.file, self.origin) = (file.into(), inner);
        self.read(&contents, depth + 1)?;
        (self.file, self.origin, self.owner) = outer;
        Ok(())
    }

    fn record(&mut self, entry: &Entry) -> Result<(), String> {
        let mut tokens = entry.tokens.as_slice();
        let owner = if entry.blank {
            self.owner.clone().ok_or("no owner before the first record")?
        } else {
            let (first, rest) = tokens.split_first().ok_or("an empty record")?;
            tokens = rest;
            text::parse_name(&first.text, &self.origin)
                .map_err(|e| format!("`{}` is not a name: {e}", first.text))?
        };
        self.owner = Some(owner.clone());
        let (written, rtype, rest) = head(tokens)?;
        let data = rdata::parse(rtype, rest, &self.origin)?;
        // RFC 1035 §5.1 knows no default; NSD and Unbound take an hour when nothing else is known.
        let ttl = written.or(self.default_ttl).or(self.last_ttl).unwrap_or(DEFAULT_TTL);
        self.last_ttl = Some(ttl);
        if self.records.len() >= RECORDS_MAX {
            return Err(format!("more than {RECORDS_MAX} records"));
        }
        let record = Record::from_rdata(owner, ttl, data);
        self.records.push(Parsed { record, file: Rc::clone(&self.file), line: entry.line });
        Ok(())
    }
}

/// TTL and class, in either order, both optional; then the type.
fn head(mut tokens: &[Token]) -> Result<(Option<u32>, RecordType, &[Token]), String> {
    let (mut written, mut class) = (None, None);
    loop {
        let (first, rest) = tokens.split_first().ok_or("a record without a type")?;
        tokens = rest;
        let word = first.text.as_str();
        if written.is_none() && word.starts_with(|c: char| c.is_ascii_digit()) {
            written = Some(ttl(word).ok_or_else(|| format!("`{word}` is not a time to live"))?);
        } else if let Some(found) =
            text::parse_class(word).filter(|_| class.is_none() && !word.eq_ignore_ascii_case("ANY"))
        {
            if found != DNSClass::IN {
                return Err(format!("class {word}: only IN is served"));
            }
            class = Some(found);
        } else {
            let rtype = text::parse_rtype(word).ok_or_else(|| format!("unknown type `{word}`"))?;
            return Ok((written, rtype, tokens));
        }
    }
}

/// A time to live: seconds, or amounts with `s m h d w` (`1h30m`). At most 2³¹−1 (RFC 2181 §8).
pub(crate) fn ttl(word: &str) -> Option<u32> {
    let (mut total, mut number, mut digits) = (0_u64, 0_u64, false);
    for c in word.chars() {
        if let Some(d) = c.to_digit(10) {
            number = number.checked_mul(10)?.checked_add(u64::from(d))?;
            digits = true;
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        if !std::mem::take(&mut digits) {
            return None;
        }
        total = total.checked_add(number.checked_mul(unit)?)?;
        number = 0;
    }
    if word.is_empty() {
        return None;
    }
    u32::try_from(total.checked_add(number)?).ok().filter(|&t| t <= i32::MAX as u32)
}
