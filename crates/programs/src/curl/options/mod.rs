//! curl's command line. Its grammar is curl's own, not `getopt`'s: a long option never takes its
//! value after `=`, and messages quote the whole word.
//!
//! In reading order: this file (what a command line asks for, and its grammar), `table` (the
//! options), `apply` (what each does), `values` (numbers, rates, times), `config` (`-K`).

mod apply;
mod config;
mod table;
mod values;

use core::net::IpAddr;

use netarium_base::Duration;

use super::form::Part;
use apply::Apply;
use table::{Opt, TABLE, Takes};
pub(super) use values::TimeCondition;

/// Where the body of a URL goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// `-o FILE`; `-` is standard output.
    File(String),
    /// `-O`: the last part of the URL's path.
    RemoteName,
}

/// `--resolve HOST:PORT:ADDRESS[,ADDRESS]…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    /// As typed, for the error message when it is wrong.
    pub(super) text: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) valid: bool,
}

/// `--connect-to HOST1:PORT1:HOST2:PORT2`; what is empty means any, or the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Detour {
    pub(super) from_host: String,
    pub(super) from_port: Option<u16>,
    pub(super) to_host: String,
    pub(super) to_port: Option<u16>,
}

/// Where the server's credentials come from besides the URL and `-u`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Netrc {
    #[default]
    Ignored,
    /// `-n`, `--netrc-file FILE`.
    Required(Option<String>),
    /// `--netrc-optional`.
    Optional,
}

/// Which authentication `-u` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AuthMode {
    #[default]
    Basic,
    /// `--anyauth`: asks without first.
    Any,
}

/// Which protocols are allowed; only http can be there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protocols {
    pub(super) http: bool,
}

impl Default for Protocols {
    fn default() -> Self {
        Protocols { http: true }
    }
}

/// What holds for the whole command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Global {
    pub(super) silent: bool,
    pub(super) show_error: bool,
    pub(super) no_progress: bool,
    pub(super) progress_bar: bool,
    pub(super) verbose: bool,
    pub(super) trace: Option<(TraceKind, String)>,
    pub(super) stderr: Option<String>,
    pub(super) fail_early: bool,
    /// `--help` or `--version` was asked for.
    pub(super) show: Option<Show>,
    /// What is to be said before anything else.
    pub(super) warnings: Vec<Note>,
}

/// Something said about the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// `Warning: …`, wrapped.
    Warning(String),
    /// `Warning: …` without the end of the line, which the original leaves out.
    Open(String),
    /// `curl: …`, wrapped.
    Error(String),
}

/// How detailed a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TraceKind {
    /// `--trace-ascii`.
    Ascii,
    /// `--trace`.
    Hex,
}

/// What one part of the command line (up to `--next`) asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) urls: Vec<String>,
    /// The n-th belongs to the n-th URL.
    pub(super) outputs: Vec<Output>,
    /// `-T`; the n-th belongs to the n-th URL.
    pub(super) uploads: Vec<String>,
    pub(super) output_dir: Option<String>,
    pub(super) create_dirs: bool,
    pub(super) remote_name_all: bool,
    pub(super) content_disposition: bool,
    pub(super) no_clobber: bool,
    pub(super) remove_on_error: bool,
    pub(super) include: bool,
    pub(super) head: bool,
    pub(super) get: bool,
    pub(super) fail: bool,
    pub(super) fail_with_body: bool,
    pub(super) location: bool,
    pub(super) trusted: bool,
    pub(super) keep_post: [bool; 3],
    pub(super) http10: bool,
    pub(super) http09: bool,
    pub(super) raw: bool,
    pub(super) compressed: bool,
    pub(super) ignore_length: bool,
    pub(super) globoff: bool,
    pub(super) path_as_is: bool,
    pub(super) method: Option<String>,
    pub(super) target: Option<String>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) json: bool,
    pub(super) form: Vec<Part>,
    pub(super) query: Vec<String>,
    pub(super) headers: Vec<String>,
    pub(super) proxy_headers: Vec<String>,
    pub(super) user_agent: Option<String>,
    pub(super) referer: Option<String>,
    pub(super) auto_referer: bool,
    pub(super) user: Option<String>,
    pub(super) auth: AuthMode,
    pub(super) bearer: Option<String>,
    pub(super) netrc: Netrc,
    /// `-b NAME=VALUE`, joined.
    pub(super) cookie: Option<String>,
    /// `-b FILE`; an empty name switches the engine on.
    pub(super) cookie_files: Vec<String>,
    pub(super) cookie_jar: Option<String>,
    pub(super) junk_session: bool,
    pub(super) dump_header: Option<String>,
    pub(super) etag_save: Option<String>,
    pub(super) etag_compare: Option<String>,
    pub(super) range: Option<String>,
    /// `-C`; `None` inside: from where the file ends.
    pub(super) resume: Option<Option<u64>>,
    pub(super) time_condition: Option<TimeCondition>,
    pub(super) max_time: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) expect_timeout: Option<Duration>,
    pub(super) keepalive: Keepalive,
    pub(super) limit_rate: Option<u64>,
    pub(super) speed_limit: Option<u64>,
    pub(super) speed_time: Option<u64>,
    pub(super) max_filesize: Option<u64>,
    pub(super) max_redirs: Option<i64>,
    pub(super) retry: u64,
    pub(super) retry_delay: Option<Duration>,
    pub(super) retry_max_time: Option<Duration>,
    pub(super) retry_all: bool,
    pub(super) retry_refused: bool,
    pub(super) write_out: Option<String>,
    pub(super) resolve: Vec<Pinned>,
    pub(super) connect_to: Vec<Detour>,
    pub(super) interface: Option<String>,
    pub(super) local_ports: Option<(u16, u16)>,
    pub(super) proxy: Option<String>,
    pub(super) socks: Option<(String, bool)>,
    pub(super) proxy_user: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) tunnel: bool,
    pub(super) protocols: Protocols,
    pub(super) redirect_protocols: Protocols,
    pub(super) ipv4_only: bool,
    pub(super) ipv6_only: bool,
}

/// TCP keep-alive probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keepalive {
    pub(super) on: bool,
    /// Seconds of idleness before the first, and between them.
    pub(super) seconds: u64,
}

impl Default for Keepalive {
    fn default() -> Self {
        Keepalive { on: true, seconds: 60 }
    }
}

/// A request for words instead of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Help,
    Manual,
    Version,
}

/// A command line that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) global: Global,
    pub(super) operations: Vec<Options>,
}

/// Why a command line is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// What follows `curl: `; nothing when only the hint is given.
    pub(super) text: String,
    pub(super) code: i32,
    /// Whether the hint to `--help` follows.
    pub(super) hint: bool,
    /// Said before it.
    pub(super) notes: Vec<Note>,
    /// `-s` was among the options so far.
    pub(super) muted: bool,
}

/// What is wrong with one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// `is unknown` and the like; follows `option WORD: `.
    Reason(&'static str),
    /// A file that must be there is not.
    Read,
}

/// The files that options name.
pub(super) trait Files {
    /// The contents; `-` is standard input.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// When it was changed last, in seconds since 1970.
    fn modified(&self, path: &str) -> Option<u64>;
}

/// How deep `-K` may nest.
const CONFIG_DEPTH: u8 = 8;
/// The most operations (`--next`) of a command line.
const OPERATIONS_MAX: usize = 1000;

/// Reads the words after `curl`.
pub(super) fn parse(args: &[String], files: &dyn Files) -> Result<Line, Usage> {
    let mut line = Line { operations: vec![Options::default()], ..Line::default() };
    let mut parser = Parser { line: &mut line, files, depth: 0 };
    let result = parser.words(args);
    let wrong = |line: &mut Line, text: String, code: i32, hint: bool| Usage {
        text,
        code,
        hint,
        notes: std::mem::take(&mut line.global.warnings),
        muted: line.global.silent,
    };
    if let Err((word, bad)) = result {
        let (reason, code) = match bad {
            Bad::Reason(reason) => (reason, 2),
            Bad::Read => ("error encountered when reading a file", 26),
        };
        return Err(wrong(&mut line, format!("option {word}: {reason}"), code, true));
    }
    if line.global.show.is_some() {
        return Ok(line);
    }
    for o in &line.operations {
        if let Some(text) = o.contradiction() {
            return Err(wrong(&mut line, text.to_owned(), 2, true));
        }
        if o.urls.is_empty() {
            let text = if args.is_empty() { "" } else { "no URL specified!" };
            return Err(wrong(&mut line, text.to_owned(), 2, true));
        }
    }
    Ok(line)
}

impl Options {
    fn contradiction(&self) -> Option<&'static str> {
        if self.content_disposition && (self.include || self.head) {
            return Some("showing headers and --remote-header-name cannot be combined");
        }
        if self.content_disposition && self.resume.is_some() {
            return Some("--continue-at and --remote-header-name cannot be combined");
        }
        None
    }

    /// Whether cookies are kept at all.
    pub(super) fn keeps_cookies(&self) -> bool {
        !self.cookie_files.is_empty() || self.cookie_jar.is_some()
    }
}

struct Parser<'a> {
    line: &'a mut Line,
    files: &'a dyn Files,
    depth: u8,
}

type Wrong = (String, Bad);

impl Parser<'_> {
    fn words(&mut self, args: &[String]) -> Result<(), Wrong> {
        let mut words = args.iter().peekable();
        let mut operands_only = false;
        while let Some(word) = words.next() {
            if operands_only || word == "-" || !word.starts_with('-') {
                self.options().urls.push(word.clone());
            } else if word == "--" {
                operands_only = true;
            } else if let Some(name) = word.strip_prefix("--") {
                let following = words.peek().map(|w| w.as_str());
                if self.long(word, name, following)? {
                    words.next();
                }
            } else {
                let following = words.peek().map(|w| w.as_str());
                if self.cluster(word, following)? {
                    words.next();
                }
            }
        }
        Ok(())
    }

    fn options(&mut self) -> &mut Options {
        if self.line.operations.is_empty() {
            self.line.operations.push(Options::default());
        }
        let last = self.line.operations.len() - 1;
        &mut self.line.operations[last]
    }

    /// One long option. True when it took the following word.
    fn long(&mut self, word: &str, name: &str, following: Option<&str>) -> Result<bool, Wrong> {
        let fail = |reason| (word.to_owned(), Bad::Reason(reason));
        let exact = |n: &str| TABLE.iter().find(|r| r.0.eq_ignore_ascii_case(n));
        let (name, on) = match name.strip_prefix("no-") {
            Some(rest) if exact(name).is_none() => (rest, false),
            _ => (name, true),
        };
        let row = match exact(name) {
            Some(row) => row,
            None => {
                let starts = |r: &&table::Row| {
                    !name.is_empty()
                        && r.0.get(..name.len()).is_some_and(|s| s.eq_ignore_ascii_case(name))
                };
                let mut fits = TABLE.iter().filter(starts);
                match (fits.next(), fits.next()) {
                    (Some(row), None) => row,
                    (Some(a), Some(b)) if a.3 == b.3 && fits.next().is_none() => a,
                    (Some(_), Some(_)) => return Err(fail("is ambiguous")),
                    (None, _) => return Err(fail("is unknown")),
                }
            }
        };
        if !on && row.2 != Takes::Switch {
            return Err(fail("used '--no-' for option that isn't a boolean"));
        }
        if row.2 != Takes::Word {
            return self.one(row.3, on, "", word).map(|()| false);
        }
        let value = following.ok_or_else(|| fail("requires parameter"))?;
        self.one(row.3, true, value, word).map(|()| true)
    }

    /// Short options in one word. True when the last took the following word.
    fn cluster(&mut self, word: &str, following: Option<&str>) -> Result<bool, Wrong> {
        let fail = |reason| (word.to_owned(), Bad::Reason(reason));
        for (at, c) in word.char_indices().skip(1) {
            let row = TABLE.iter().find(|r| r.1 == c && c != '\0');
            let row = row.ok_or_else(|| fail("is unknown"))?;
            if row.2 != Takes::Word {
                self.one(row.3, true, "", word)?;
                continue;
            }
            let glued = &word[at + c.len_utf8()..];
            if !glued.is_empty() {
                return self.one(row.3, true, glued, word).map(|()| false);
            }
            let value = following.ok_or_else(|| fail("requires parameter"))?;
            return self.one(row.3, true, value, word).map(|()| true);
        }
        Ok(false)
    }

    fn one(&mut self, opt: Opt, on: bool, value: &str, word: &str) -> Result<(), Wrong> {
        let wrong = |bad| (word.to_owned(), bad);
        match opt {
            Opt::Next => {
                if self.line.operations.len() >= OPERATIONS_MAX {
                    return Err(wrong(Bad::Reason("too large number")));
                }
                self.line.operations.push(Options::default());
                Ok(())
            }
            Opt::Config => self.config(value, word),
            _ => {
                let (files, line) = (self.files, &mut *self.line);
                let Line { global, operations } = line;
                let Some(options) = operations.last_mut() else { return Ok(()) };
                Apply { o: options, g: global, files }.apply(opt, on, value).map_err(wrong)
            }
        }
    }

    /// `-K FILE`: more options.
    fn config(&mut self, path: &str, word: &str) -> Result<(), Wrong> {
        let text = self.files.read(path).filter(|_| self.depth < CONFIG_DEPTH);
        let Some(text) = text else {
            self.line
                .global
                .warnings
                .push(Note::Error(format!("cannot read config from '{path}'")));
            return Err((word.to_owned(), Bad::Read));
        };
        self.depth += 1;
        for (option, value) in config::read(&String::from_utf8_lossy(&text)) {
            let value = value.as_deref();
            let taken = if let Some(long) = option.strip_prefix("--") {
                self.long(&option, long, value)
            } else if option.starts_with('-') {
                self.cluster(&option, value)
            } else {
                self.long(&option, &option, value)
            };
            taken?;
        }
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
