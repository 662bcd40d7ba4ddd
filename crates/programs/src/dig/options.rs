//! `dig`'s command line: options before the first name hold for all look-ups, those behind a name
//! for that name.

use core::net::IpAddr;

use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::INTERNAL;
use crate::dns::text;

/// What holds for the whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Global {
    pub(super) short: bool,
    pub(super) cmd: bool,
    pub(super) multiline: bool,
    pub(super) ttl: bool,
    pub(super) class: bool,
    pub(super) micros: bool,
    pub(super) port: u16,
}

/// One look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) servers: Vec<String>,
    pub(super) name: String,
    pub(super) rtype: RecordType,
    pub(super) type_set: bool,
    pub(super) class: DNSClass,
    pub(super) class_set: bool,
    pub(super) recurse: bool,
    pub(super) tcp: Option<bool>,
    pub(super) ignore: bool,
    pub(super) aa: bool,
    pub(super) ad: bool,
    pub(super) cd: bool,
    pub(super) edns: Option<u8>,
    pub(super) bufsize: u16,
    pub(super) cookie: bool,
    pub(super) dnssec: bool,
    pub(super) search: bool,
    pub(super) timeout: u64,
    pub(super) tries: u32,
    pub(super) comments: bool,
    pub(super) question: bool,
    pub(super) answer: bool,
    pub(super) authority: bool,
    pub(super) additional: bool,
    pub(super) stats: bool,
    pub(super) identify: bool,
    pub(super) qr: bool,
    pub(super) ttl_units: bool,
    pub(super) trace: bool,
}

impl Default for Lookup {
    fn default() -> Lookup {
        Lookup {
            servers: Vec::new(),
            name: ".".to_owned(),
            rtype: RecordType::A,
            type_set: false,
            class: DNSClass::IN,
            class_set: false,
            recurse: true,
            tcp: None,
            ignore: false,
            aa: false,
            ad: true,
            cd: false,
            edns: Some(0),
            bufsize: 1_232,
            cookie: true,
            dnssec: false,
            search: false,
            timeout: 5,
            tries: 3,
            comments: true,
            question: true,
            answer: true,
            authority: true,
            additional: true,
            stats: true,
            identify: false,
            qr: false,
            ttl_units: false,
            trace: false,
        }
    }
}

impl Lookup {
    /// Whether it uses TCP from the start: ANY does unless told otherwise.
    pub(super) fn over_tcp(&self) -> bool {
        self.tcp.unwrap_or(matches!(self.rtype, RecordType::ANY | RecordType::AXFR))
    }
}

/// A command line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) global: Global,
    pub(super) lookups: Vec<Lookup>,
    /// For standard error.
    pub(super) warnings: Vec<String>,
}

/// A command line that ends the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Help,
    Version,
    /// With the short usage behind it and exit code 1.
    Usage(String),
    /// With exit code 1.
    Fatal(String),
    /// Something that must be a number is none, or is too large.
    Number {
        what: &'static str,
        value: String,
        why: &'static str,
        code: i32,
    },
}

/// The most tries.
const TRIES_MAX: u32 = 100;

/// Words that are the same with `no` before them, in the order in which prefixes are tried.
const FLAGS: &[&str] = &[
    "aaflag",
    "aaonly",
    "additional",
    "adflag",
    "all",
    "answer",
    "authority",
    "besteffort",
    "cdflag",
    "class",
    "cmd",
    "comments",
    "cookie",
    "crypto",
    "defname",
    "dnssec",
    "do",
    "fail",
    "identify",
    "idnin",
    "idnout",
    "ignore",
    "keepalive",
    "keepopen",
    "multiline",
    "question",
    "qr",
    "rdflag",
    "recurse",
    "rrcomments",
    "search",
    "short",
    "showsearch",
    "stats",
    "tcp",
    "trace",
    "ttlid",
    "ttlunits",
    "unknownformat",
    "vc",
    "nsid",
    "badcookie",
    "onesoa",
    "expire",
];
/// Words that take a value.
const VALUES: &[&str] =
    &["bufsize", "edns", "time", "timeout", "tries", "retry", "split", "ndots", "domain"];

struct Reader {
    global: Global,
    default: Lookup,
    lookups: Vec<Lookup>,
    warnings: Vec<String>,
    /// `-4` and `-6`.
    families: [bool; 2],
}

/// Reads the words behind the program's name.
pub(super) fn parse(args: &[String]) -> Result<Line, Stop> {
    let global = Global {
        short: false,
        cmd: true,
        multiline: false,
        ttl: true,
        class: true,
        micros: false,
        port: 53,
    };
    let default = Lookup::default();
    let mut reader =
        Reader { global, default, lookups: Vec::new(), warnings: Vec::new(), families: [false; 2] };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if let Some(server) = word.strip_prefix('@') {
            reader.current().servers.push(server.to_owned());
        } else if let Some(option) = word.strip_prefix('+') {
            reader.plus(option)?;
        } else if word.len() > 1 && word.starts_with('-') {
            reader.dash(&word[1..], &mut words)?;
        } else {
            reader.word(word);
        }
    }
    if reader.lookups.is_empty() {
        // Without a name the root's servers are asked for.
        let mut root = reader.default.clone();
        if !root.type_set {
            root.rtype = RecordType::NS;
        }
        reader.lookups.push(root);
    }
    let Reader { global, lookups, warnings, .. } = reader;
    Ok(Line { global, lookups, warnings })
}

impl Reader {
    fn current(&mut self) -> &mut Lookup {
        self.lookups.last_mut().unwrap_or(&mut self.default)
    }

    fn add(&mut self, name: &str) {
        let lookup = Lookup { name: name.to_owned(), ..self.default.clone() };
        self.lookups.push(lookup);
    }

    /// A word is a type, a class, or else a name.
    fn word(&mut self, word: &str) {
        if let Some(rtype) = text::parse_rtype(word) {
            self.set_type(rtype);
        } else if let Some(class) = text::parse_class(word) {
            let extra = std::mem::replace(&mut self.current().class_set, true);
            self.current().class = class;
            if extra {
                self.warnings.push(";; Warning, extra class option".to_owned());
            }
        } else {
            self.add(word);
        }
    }

    fn set_type(&mut self, rtype: RecordType) {
        let extra = std::mem::replace(&mut self.current().type_set, true);
        self.current().rtype = rtype;
        if extra {
            self.warnings.push(";; Warning, extra type option".to_owned());
        }
    }

    fn dash<'a>(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), Stop> {
        let (letter, glued) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        match letter {
            "h" => return Err(Stop::Help),
            "v" => return Err(Stop::Version),
            "4" | "6" if glued.is_empty() => {
                self.families[usize::from(letter == "6")] = true;
                if self.families == [true; 2] {
                    return Err(Stop::Fatal("only one of -4 and -6 allowed".to_owned()));
                }
                return Ok(());
            }
            "r" | "m" | "i" if glued.is_empty() => return Ok(()),
            "u" if glued.is_empty() => {
                self.global.micros = true;
                return Ok(());
            }
            _ => {}
        }
        let usage = || Stop::Usage(format!("Invalid option: -{word}"));
        if !matches!(letter, "b" | "c" | "p" | "q" | "t" | "x") {
            return Err(usage());
        }
        let next = if glued.is_empty() { rest.next().map(String::as_str) } else { Some(glued) };
        let value = next.ok_or_else(usage)?;
        match letter {
            "c" => match text::parse_class(value) {
                Some(class) => self.current().class = class,
                None => self.warnings.push(format!(";; Warning, ignoring invalid class {value}")),
            },
            "t" => match text::parse_rtype(value) {
                Some(rtype) => self.set_type(rtype),
                None => self.warnings.push(format!(";; Warning, ignoring invalid type {value}")),
            },
            "p" => {
                let port = number("port number", value, 0xffff, 1)?;
                self.global.port = u16::try_from(port).unwrap_or(u16::MAX);
            }
            "q" => self.add(value),
            "x" => {
                self.add(&reverse(value));
                self.current().rtype = RecordType::PTR;
                self.current().type_set = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn plus(&mut self, option: &str) -> Result<(), Stop> {
        let (word, value) = match option.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (option, None),
        };
        let typed = word;
        let invalid = || Stop::Usage(format!("Invalid option: +{typed}"));
        let lower = word.to_ascii_lowercase();
        let (state, bare) = match lower.strip_prefix("no") {
            Some(bare) if full(bare).is_some() => (false, bare.to_owned()),
            _ => (true, lower.clone()),
        };
        let word = full(&bare).ok_or_else(invalid)?;
        if VALUES.contains(&word) {
            return self.valued(word, state, value.filter(|v| !v.is_empty()))?.ok_or_else(invalid);
        }
        // A value that nobody asked for is passed over, as in the original.
        self.flag(word, state);
        Ok(())
    }

    /// A word with a value; `None` when it needs one.
    fn valued(&mut self, word: &str, state: bool, value: Option<&str>) -> Result<Option<()>, Stop> {
        let lookup = self.lookups.last_mut().unwrap_or(&mut self.default);
        let number = |what, most| value.map(|v| number(what, v, most, INTERNAL)).transpose();
        match word {
            "edns" if !state => lookup.edns = None,
            "edns" => lookup.edns = number("edns", 255)?.map_or(Some(0), |n| u8::try_from(n).ok()),
            "bufsize" => {
                let size = number("buffer size", 0xffff)?.and_then(|n| u16::try_from(n).ok());
                lookup.bufsize = size.unwrap_or(1_232);
            }
            "time" | "timeout" => match number("timeout", 0xffff)? {
                Some(seconds) => lookup.timeout = u64::from(seconds.max(1)),
                None => return Ok(None),
            },
            "tries" => match number("tries", u32::MAX)? {
                Some(tries) => lookup.tries = tries.clamp(1, TRIES_MAX),
                None => return Ok(None),
            },
            "retry" => match number("retries", u32::MAX - 1)? {
                Some(retries) => lookup.tries = retries.min(TRIES_MAX - 1) + 1,
                None => return Ok(None),
            },
            // Of no effect here, but wrong ones are told.
            "ndots" => return Ok(number("ndots", 0xffff)?.map(|_| ())),
            "split" if state => _ = number("split", 1_023)?,
            "split" => {}
            _ => return Ok(value.map(|_| ())),
        }
        Ok(Some(()))
    }

    fn flag(&mut self, word: &str, state: bool) {
        let global = &mut self.global;
        match word {
            "short" => {
                global.short = state;
                global.cmd &= !state;
                return;
            }
            "cmd" => global.cmd = state,
            "multiline" => global.multiline = state,
            "ttlid" => global.ttl = state,
            "class" => global.class = state,
            "all" => global.cmd = state,
            _ => {}
        }
        let lookup = self.lookups.last_mut().unwrap_or(&mut self.default);
        match word {
            "all" => {
                lookup.sections(state);
                (lookup.comments, lookup.stats) = (state, state);
            }
            "aaflag" | "aaonly" => lookup.aa = state,
            "additional" => lookup.additional = state,
            "adflag" => lookup.ad = state,
            "answer" => lookup.answer = state,
            "authority" => lookup.authority = state,
            "cdflag" => lookup.cd = state,
            "comments" => lookup.comments = state,
            "cookie" => lookup.cookie = state,
            "dnssec" | "do" => lookup.dnssec = state,
            "identify" => lookup.identify = state,
            "ignore" => lookup.ignore = state,
            "question" => lookup.question = state,
            "qr" => lookup.qr = state,
            "rdflag" | "recurse" => lookup.recurse = state,
            "defname" | "search" | "showsearch" => lookup.search = state,
            "stats" => lookup.stats = state,
            "tcp" | "vc" => lookup.tcp = Some(state),
            "ttlunits" => lookup.ttl_units = state,
            "trace" => {
                lookup.trace = state;
                if state {
                    (lookup.comments, lookup.stats, lookup.question) = (false, false, false);
                    (lookup.additional, lookup.authority, lookup.dnssec) = (false, true, true);
                    lookup.recurse = true;
                }
            }
            // Of no effect on what is asked or shown here.
            _ => {}
        }
    }
}

impl Lookup {
    fn sections(&mut self, state: bool) {
        (self.question, self.answer) = (state, state);
        (self.authority, self.additional) = (state, state);
    }
}

/// A whole number up to `most`, as BIND's `parse_uint` reads it.
fn number(what: &'static str, value: &str, most: u32, code: i32) -> Result<u32, Stop> {
    let stop = |why| Stop::Number { what, value: value.to_owned(), why, code };
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(stop("not a valid number"));
    }
    let fits = value.parse::<u32>().ok().filter(|n| *n <= most);
    fits.ok_or_else(|| stop("out of range"))
}

/// The name that `-x` asks for: an address', or else the parts between the points in reverse.
fn reverse(value: &str) -> String {
    match value.parse::<IpAddr>() {
        Ok(address) => text::name(&Name::from(address)),
        Err(_) => {
            let parts: Vec<&str> = value.split('.').rev().collect();
            format!("{}.in-addr.arpa.", parts.join("."))
        }
    }
}

/// The word that a prefix stands for.
fn full(prefix: &str) -> Option<&'static str> {
    let mut all = FLAGS.iter().chain(VALUES).copied();
    if prefix.is_empty() {
        return None;
    }
    let exact = all.clone().find(|w| *w == prefix);
    exact.or_else(|| all.find(|w| prefix.len() >= 2 && w.starts_with(prefix)))
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
