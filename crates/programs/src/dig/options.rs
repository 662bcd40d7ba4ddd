//! `dig`'s command line: options before the first name hold for all look-ups, those behind a name
//! for that name.

use core::net::IpAddr;

use hickory_proto::rr::{DNSClass, Name, RecordType};

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
}

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
    let mut reader = Reader { global, default, lookups: Vec::new(), warnings: Vec::new() };
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
            "4" | "6" | "r" | "m" | "i" if glued.is_empty() => return Ok(()),
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
                let wrong = || Stop::Fatal(format!("Couldn't parse port number '{value}'"));
                self.global.port = value.parse().map_err(|_| wrong())?;
            }
            "q" => self.add(value),
            "x" => {
                let address: IpAddr = value
                    .parse()
                    .map_err(|_| Stop::Usage(format!("Invalid IP address {value}")))?;
                self.add(&text::name(&Name::from(address)));
                self.current().rtype = RecordType::PTR;
                self.current().type_set = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn plus(&mut self, option: &str) -> Result<(), Stop> {
        let invalid = || Stop::Usage(format!("Invalid option: +{option}"));
        let (word, value) = match option.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (option, None),
        };
        let lower = word.to_ascii_lowercase();
        let (state, bare) = match lower.strip_prefix("no") {
            Some(bare) if full(bare).is_some() => (false, bare.to_owned()),
            _ => (true, lower.clone()),
        };
        let word = full(&bare).ok_or_else(invalid)?;
        if VALUES.contains(&word) {
            return self.valued(word, state, value).ok_or_else(invalid);
        }
        if value.is_some() {
            return Err(invalid());
        }
        self.flag(word, state);
        Ok(())
    }

    fn valued(&mut self, word: &str, state: bool, value: Option<&str>) -> Option<()> {
        let number = value.map(str::parse::<u32>);
        let lookup = self.lookups.last_mut().unwrap_or(&mut self.default);
        match (word, number) {
            ("edns", _) if !state => lookup.edns = None,
            ("edns", None) => lookup.edns = Some(0),
            ("edns", Some(version)) => lookup.edns = Some(u8::try_from(version.ok()?).ok()?),
            ("bufsize", None) => lookup.bufsize = 1_232,
            ("bufsize", Some(size)) => lookup.bufsize = u16::try_from(size.ok()?).ok()?,
            ("time" | "timeout", Some(seconds)) => {
                lookup.timeout = u64::from(seconds.ok()?.clamp(1, 86_400))
            }
            ("tries", Some(tries)) => lookup.tries = tries.ok()?.clamp(1, 100),
            ("retry", Some(retries)) => lookup.tries = retries.ok()?.min(99) + 1,
            ("split" | "ndots" | "domain", _) => {}
            _ => return None,
        }
        Some(())
    }

    fn flag(&mut self, word: &str, state: bool) {
        let global = &mut self.global;
        match word {
            "short" => {
                global.short = state;
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
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Line, Stop> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn options_hold_for_what_stands_behind_them() {
        let line =
            read("@10.0.0.53 +norec -p 5353 www.shop.lab +tcp mx shop.lab +noall +answer").unwrap();
        assert_eq!(line.global.port, 5_353);
        let [a, b] = &line.lookups[..] else { panic!("two look-ups") };
        assert_eq!(
            (a.name.as_str(), a.rtype, a.recurse, a.tcp),
            ("www.shop.lab", RecordType::MX, false, Some(true))
        );
        assert_eq!(
            (b.name.as_str(), b.rtype, b.recurse, b.tcp),
            ("shop.lab", RecordType::A, false, None)
        );
        assert_eq!((b.answer, b.authority, b.stats, b.comments), (true, false, false, false));
        assert!(a.stats && !line.global.cmd);
    }

    #[test]
    fn words_are_types_classes_or_names() {
        let line = read("ch txt version.bind").unwrap();
        assert_eq!((line.lookups[0].class, line.lookups[0].rtype), (DNSClass::CH, RecordType::TXT));
        let line = read("-x 10.0.0.80").unwrap();
        assert_eq!(
            (line.lookups[0].name.as_str(), line.lookups[0].rtype),
            ("80.0.0.10.in-addr.arpa.", RecordType::PTR)
        );
        let line = read("").unwrap();
        assert_eq!((line.lookups[0].name.as_str(), line.lookups[0].rtype), (".", RecordType::NS));
        assert_eq!(read("x A MX").unwrap().warnings, [";; Warning, extra type option"]);
        assert_eq!(read("-t NOPE x").unwrap().warnings, [";; Warning, ignoring invalid type NOPE"]);
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let usage = |text: &str| Err(Stop::Usage(text.to_owned()));
        assert_eq!(read("-z"), usage("Invalid option: -z"));
        assert_eq!(read("x +nosuch"), usage("Invalid option: +nosuch"));
        assert_eq!(read("x +tcp=1"), usage("Invalid option: +tcp=1"));
        assert_eq!(read("x +time"), usage("Invalid option: +time"));
        assert_eq!(read("-x nonsense"), usage("Invalid IP address nonsense"));
        assert_eq!(read("-p x"), Err(Stop::Fatal("Couldn't parse port number 'x'".to_owned())));
        assert_eq!(read("-h"), Err(Stop::Help));
        assert_eq!(read("-v"), Err(Stop::Version));
    }

    #[test]
    fn values_and_prefixes() {
        let lookup = |line: &str| read(line).unwrap().lookups[0].clone();
        assert_eq!(lookup("x +noedns").edns, None);
        assert_eq!(lookup("x +edns=1").edns, Some(1));
        assert_eq!(lookup("x +bufsize=4096").bufsize, 4_096);
        assert_eq!((lookup("x +time=2 +retry=0").timeout, lookup("x +retry=0").tries), (2, 1));
        assert_eq!((lookup("x +tries=0").tries, lookup("x +time=0").timeout), (1, 1));
        assert!(!lookup("x +nocook").cookie);
    }
}
