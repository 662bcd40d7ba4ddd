//! `grep`, `egrep`, `fgrep`, with GNU's messages and exit codes.

use std::collections::VecDeque;

use netarium_world::process::{LocalBoxFuture, Process};
use regex_lite::{Regex, RegexBuilder};

use super::help::{HELP, VERSION, refuse};
use super::input::{Input, Out, names};
use crate::getopt::{Item, Long, OptError, Spec, Takes};

const LONG: &[Long] = &[
    ("extended-regexp", Takes::Nothing, 'E'),
    ("fixed-strings", Takes::Nothing, 'F'),
    ("basic-regexp", Takes::Nothing, 'G'),
    ("ignore-case", Takes::Nothing, 'i'),
    ("invert-match", Takes::Nothing, 'v'),
    ("count", Takes::Nothing, 'c'),
    ("line-number", Takes::Nothing, 'n'),
    ("files-with-matches", Takes::Nothing, 'l'),
    ("files-without-match", Takes::Nothing, 'L'),
    ("only-matching", Takes::Nothing, 'o'),
    ("quiet", Takes::Nothing, 'q'),
    ("silent", Takes::Nothing, 'q'),
    ("no-messages", Takes::Nothing, 's'),
    ("word-regexp", Takes::Nothing, 'w'),
    ("line-regexp", Takes::Nothing, 'x'),
    ("with-filename", Takes::Nothing, 'H'),
    ("no-filename", Takes::Nothing, 'h'),
    ("recursive", Takes::Nothing, 'r'),
    ("regexp", Takes::Value, 'e'),
    ("max-count", Takes::Value, 'm'),
    ("after-context", Takes::Value, 'A'),
    ("before-context", Takes::Value, 'B'),
    ("context", Takes::Value, 'C'),
    ("color", Takes::Nothing, 'K'),
    ("line-buffered", Takes::Nothing, 'K'),
    ("file", Takes::Value, 'f'),
    ("perl-regexp", Takes::Nothing, 'P'),
    HELP,
    VERSION,
];

const SPEC: Spec = Spec { short: "EFGPivcnlLoqswxHhre:f:m:A:B:C:", long: LONG };

/// How a pattern is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Syntax {
    #[default]
    Basic,
    Extended,
    Fixed,
}

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) syntax: Syntax,
    pub(super) ignore_case: bool,
    pub(super) invert: bool,
    pub(super) count: bool,
    pub(super) numbers: bool,
    pub(super) list: Option<bool>,
    pub(super) only: bool,
    pub(super) quiet: bool,
    pub(super) silent: bool,
    pub(super) word: bool,
    pub(super) line: bool,
    pub(super) names: Option<bool>,
    pub(super) recursive: bool,
    pub(super) patterns: Vec<String>,
    pub(super) most: Option<u64>,
    pub(super) after: usize,
    pub(super) before: usize,
    pub(super) files: Vec<String>,
}

/// `grep PATTERN [FILE]…`
pub(crate) fn grep(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let options = match parse(&process, &args) {
        Ok(options) => options,
        Err(Wrong::Option(help @ (OptError::Help | OptError::Version))) => {
            return refuse(&process, "grep", &help, 2).await;
        }
        Err(wrong) => {
            process.eprint(&wrong.text()).await;
            return 2;
        }
    };
    let regex = match compile(&options) {
        Ok(regex) => regex,
        Err(why) => {
            process.eprint(&format!("grep: {why}\n")).await;
            return 2;
        }
    };
    let mut files = Vec::new();
    for name in &options.files {
        match process.metadata(name) {
            Ok(m) if m.is_dir && name != "-" => {
                if options.recursive {
                    below(&process, name, &mut files);
                } else {
                    process.eprint(&format!("grep: {name}: Is a directory\n")).await;
                }
            }
            _ => files.push(name.clone()),
        }
    }
    let named = options.names.unwrap_or(options.files.len() > 1 || options.recursive);
    let mut out = Out::new(&process);
    let (mut found, mut failed) = (false, false);
    for name in &files {
        match Input::open(&process, name) {
            Ok(input) => {
                let search = Search { options: &options, regex: &regex, name, named };
                match search.run(input, &mut out).await {
                    Ok(any) => found |= any,
                    Err(why) => {
                        process.eprint(&format!("grep: {name}: {why}\n")).await;
                        failed = true;
                    }
                }
                if found && options.quiet {
                    return 0;
                }
            }
            Err(why) => {
                failed = true;
                if !options.silent {
                    process.eprint(&format!("grep: {name}: {why}\n")).await;
                }
            }
        }
    }
    out.flush().await;
    if failed { 2 } else { i32::from(!found) }
}

/// The files in a folder and in those within it.
fn below(process: &Process, folder: &str, files: &mut Vec<String>) {
    let base = folder.trim_end_matches('/');
    for entry in process.list_dir(folder).unwrap_or_default() {
        let path = format!("{base}/{}", entry.name);
        if entry.metadata.is_dir {
            below(process, &path, files);
        } else {
            files.push(path);
        }
    }
}

/// Why a command line is wrong.
enum Wrong {
    Option(OptError),
    /// There is no pattern.
    Missing,
    Value(String),
}

impl Wrong {
    fn text(&self) -> String {
        let usage = "Usage: grep [OPTION]... PATTERNS [FILE]...\n\
            Try 'grep --help' for more information.\n";
        match self {
            Wrong::Option(error) => format!("grep: {}\n{usage}", error.gnu()),
            Wrong::Missing => usage.to_owned(),
            Wrong::Value(why) => format!("grep: {why}\n"),
        }
    }
}

fn parse(process: &Process, args: &[String]) -> Result<Options, Wrong> {
    let mut o = Options::default();
    match args.first().map(|a| a.rsplit('/').next().unwrap_or(a)) {
        Some("egrep") => o.syntax = Syntax::Extended,
        Some("fgrep") => o.syntax = Syntax::Fixed,
        _ => {}
    }
    let bad = |v: &str| Wrong::Value(format!("{v}: invalid context length argument"));
    let number = |v: &str| v.parse().map_err(|_| bad(v));
    let mut listed = false;
    let mut operands = Vec::new();
    let mut words: Vec<String> = args.get(1..).unwrap_or_default().to_vec();
    words.retain(|w| !w.starts_with("--color"));
    for item in SPEC.parse(&words).map_err(Wrong::Option)? {
        match item {
            Item::Option(c, value) => match c {
                'E' => o.syntax = Syntax::Extended,
                'F' => o.syntax = Syntax::Fixed,
                'G' => o.syntax = Syntax::Basic,
                'i' => o.ignore_case = true,
                'v' => o.invert = true,
                'c' => o.count = true,
                'n' => o.numbers = true,
                'l' => o.list = Some(true),
                'L' => o.list = Some(false),
                'o' => o.only = true,
                'q' => o.quiet = true,
                's' => o.silent = true,
                'w' => o.word = true,
                'x' => o.line = true,
                'H' => o.names = Some(true),
                'h' => o.names = Some(false),
                'r' => o.recursive = true,
                'e' => o.patterns.push(value),
                'f' => {
                    o.patterns.extend(pattern_file(process, &value)?);
                    listed = true;
                }
                // In the words of a GNU grep that was built without it.
                'P' => {
                    let why = "Perl matching not supported in a --disable-perl-regexp build";
                    return Err(Wrong::Value(why.to_owned()));
                }
                'm' => {
                    let bad = |_| Wrong::Value("invalid max count".to_owned());
                    o.most = Some(value.parse().map_err(bad)?);
                }
                'A' => o.after = number(&value)?,
                'B' => o.before = number(&value)?,
                'C' => (o.before, o.after) = (number(&value)?, number(&value)?),
                _ => {}
            },
            Item::Operand(word) => operands.push(word),
        }
    }
    // A file without a line is no pattern, too: nothing fits.
    if o.patterns.is_empty() && !listed {
        if operands.is_empty() {
            return Err(Wrong::Missing);
        }
        o.patterns = operands.remove(0).split('\n').map(str::to_owned).collect();
    }
    o.before = o.before.min(10_000);
    o.files =
        if operands.is_empty() && o.recursive { vec![".".to_owned()] } else { names(operands) };
    Ok(o)
}

/// The patterns of `-f FILE`, one a line.
fn pattern_file(process: &Process, name: &str) -> Result<Vec<String>, Wrong> {
    let bytes = process.read_file(name).map_err(|e| Wrong::Value(format!("{name}: {e}")))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

pub(super) fn compile(o: &Options) -> Result<Regex, String> {
    if o.patterns.is_empty() {
        // A character that is none of all characters.
        return Regex::new(r"[^\s\S]").map_err(|e| e.to_string());
    }
    let patterns = o.patterns.iter().map(|p| match o.syntax {
        Syntax::Fixed => regex_lite::escape(p),
        Syntax::Extended => p.clone(),
        Syntax::Basic => basic(p),
    });
    let all = patterns.map(|p| format!("(?:{p})")).collect::<Vec<_>>().join("|");
    let all = if o.line {
        format!("^(?:{all})$")
    } else if o.word {
        format!(r"(?:^|\b)(?:{all})(?:$|\b)")
    } else {
        all
    };
    RegexBuilder::new(&all)
        .case_insensitive(o.ignore_case)
        .build()
        .map_err(|_| "Invalid regular expression".to_owned())
}

/// A basic regular expression as an extended one: there `\(` groups and `(` is itself.
pub(super) fn basic(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut first = true;
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '[' if !class => {
                class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    out.push_str(r"\]");
                    chars.next();
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '[' | '\\' | '&' | '~' if class && (c != '[' || chars.peek() != Some(&':')) => {
                out.extend(['\\', c]);
            }
            _ if class => out.push(c),
            '\\' => match chars.next() {
                Some(c @ ('(' | ')' | '{' | '}' | '|' | '+' | '?')) => {
                    out.push(c);
                    first = matches!(c, '(' | '|');
                    continue;
                }
                Some('<' | '>') => out.push_str(r"\b"),
                Some(c) => out.extend(['\\', c]),
                None => out.push_str(r"\\"),
            },
            '*' if first => out.push_str(r"\*"),
            '^' if !first => out.push_str(r"\^"),
            '^' => {
                out.push('^');
                continue;
            }
            '(' | ')' | '{' | '}' | '|' | '+' | '?' => out.extend(['\\', c]),
            c => out.push(c),
        }
        first = false;
    }
    out
}

/// The search of one file.
pub(super) struct Search<'a> {
    pub(super) options: &'a Options,
    pub(super) regex: &'a Regex,
    pub(super) name: &'a str,
    pub(super) named: bool,
}

impl Search<'_> {
    /// Prints what fits; whether something did.
    pub(super) async fn run(&self, mut input: Input, out: &mut Out) -> Result<bool, String> {
        let o = self.options;
        let (mut number, mut count, mut left) = (0u64, 0u64, 0usize);
        let mut before: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
        let mut last = 0;
        while let Some(line) = input.line().await? {
            number += 1;
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches('\n');
            if self.regex.is_match(text) != o.invert {
                count += 1;
                if o.quiet || o.list.is_some() {
                    break;
                }
                let context = o.before + o.after > 0;
                if !o.count {
                    if context && last > 0 && number - before.len() as u64 > last + 1 {
                        out.put(b"--\n", false).await;
                    }
                    for (n, line) in before.drain(..) {
                        out.put(&self.head(n, '-'), false).await;
                        out.put(&line, !input.regular).await;
                    }
                    self.show(number, text, out, !input.regular).await;
                    last = number;
                }
                left = o.after;
                if o.most == Some(count) {
                    break;
                }
            } else if left > 0 && !o.count {
                left -= 1;
                last = number;
                out.put(&self.head(number, '-'), false).await;
                out.put(&line, !input.regular).await;
            } else if o.before > 0 {
                if before.len() >= o.before {
                    before.pop_front();
                }
                before.push_back((number, line));
            }
        }
        let name = if self.name == "-" { "(standard input)" } else { self.name };
        if o.list == Some(count > 0) {
            out.put(format!("{name}\n").as_bytes(), false).await;
        } else if o.count && o.list.is_none() && !o.quiet {
            let prefix = if self.named { format!("{name}:") } else { String::new() };
            out.put(format!("{prefix}{count}\n").as_bytes(), false).await;
        }
        Ok(if o.list == Some(false) { count == 0 } else { count > 0 })
    }

    fn head(&self, number: u64, separator: char) -> Vec<u8> {
        let mut text = String::new();
        if self.named {
            let name = if self.name == "-" { "(standard input)" } else { self.name };
            text += &format!("{name}{separator}");
        }
        if self.options.numbers {
            text += &format!("{number}{separator}");
        }
        text.into_bytes()
    }

    async fn show(&self, number: u64, text: &str, out: &mut Out, now: bool) {
        let head = self.head(number, ':');
        if !self.options.only {
            let line = [&head[..], text.as_bytes(), b"\n"].concat();
            return out.put(&line, now).await;
        }
        for found in self.regex.find_iter(text).filter(|m| !m.is_empty()) {
            let line = [&head[..], found.as_str().as_bytes(), b"\n"].concat();
            out.put(&line, now).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_expressions_become_extended_ones() {
        for (from, to) in [
            ("a+b", r"a\+b"),
            (r"\(a\|b\)\{2\}", "(a|b){2}"),
            ("*a", r"\*a"),
            ("^*a", r"^\*a"),
            ("a^b", r"a\^b"),
            ("[]a]", r"[\]a]"),
            ("[^[:space:]]", "[^[:space:]]"),
            (r"\.80", r"\.80"),
            (":80 ", ":80 "),
        ] {
            assert_eq!(basic(from), to, "{from}");
        }
    }
}
