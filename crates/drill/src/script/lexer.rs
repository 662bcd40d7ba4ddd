//! The words of the language.
//!
//! A word that `--define` names becomes its value. What stands behind the `=` of a `--flag` is taken
//! as it is, up to the next blank, so that addresses and `NAME="a b"` need no words of their own.

use std::collections::BTreeMap;

use super::ParseError;

/// The longest script, bytes. Public ones stay below 100 kB.
const MAX_TEXT: usize = 4 << 20;

/// A word with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: u32,
    pub(super) column: u32,
    /// Whether a blank stands before it.
    pub(super) spaced: bool,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `--name` with what follows its `=`.
    Flag(String, Option<String>),
    /// A decimal or `0x` number.
    Int(i64),
    /// A number with a point, as it was written.
    Float(String),
    /// Letters, digits, `_`.
    Word(String),
    /// Between double quotes, escapes resolved.
    Str(String),
    /// Between backticks.
    Command(String),
    /// Between `%{` and `}%`.
    Code(String),
    /// `1.2.3.4`.
    Ipv4(String),
    /// `...`
    Ellipsis,
    /// Anything else.
    Char(char),
    /// The end of the script.
    End,
}

impl Kind {
    /// How a message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Kind::Flag(name, _) => format!("`--{name}`"),
            Kind::Int(n) => format!("`{n}`"),
            Kind::Float(s) | Kind::Word(s) | Kind::Ipv4(s) => format!("`{s}`"),
            Kind::Str(s) => format!("\"{s}\""),
            Kind::Command(_) => "a shell command".to_owned(),
            Kind::Code(_) => "`%{`".to_owned(),
            Kind::Ellipsis => "`...`".to_owned(),
            Kind::Char(c) => format!("`{c}`"),
            Kind::End => "the end of the script".to_owned(),
        }
    }
}

/// All words of a script.
pub(super) fn tokens(text: &str, defines: &[(String, String)]) -> Result<Vec<Token>, ParseError> {
    let mut lexer =
        Lexer { rest: text, line: 1, column: 1, defines: defines.iter().cloned().collect() };
    if text.len() > MAX_TEXT {
        return Err(lexer.error(format!("the script has more than {MAX_TEXT} bytes")));
    }
    let mut all = Vec::new();
    loop {
        let token = lexer.next()?;
        let end = token.kind == Kind::End;
        if let Kind::Flag(name, Some(value)) = &token.kind
            && matches!(name.as_str(), "define" | "D")
            && let Some((k, v)) = value.split_once('=')
        {
            lexer.defines.entry(k.to_owned()).or_insert_with(|| v.to_owned());
        }
        all.push(token);
        if end {
            return Ok(all);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    defines: BTreeMap<String, String>,
}

impl<'a> Lexer<'a> {
    fn error(&self, message: impl Into<String>) -> ParseError {
        let (line, column) = (self.line, self.column);
        ParseError { line, column, message: message.into(), unsupported: false }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !test(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// Skips blanks and comments; whether there were any.
    fn skip(&mut self) -> Result<bool, ParseError> {
        let before = self.rest.len();
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    return Err(self.error("this comment does not end: `*/` is missing"));
                };
                self.take(end + 2);
            } else {
                return Ok(self.rest.len() < before);
            }
        }
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        let spaced = self.skip()?;
        let (line, column) = (self.line, self.column);
        let kind = self.kind()?;
        Ok(Token { kind, line, column, spaced })
    }

    fn kind(&mut self) -> Result<Kind, ParseError> {
        let mut chars = self.rest.chars();
        let Some(first) = chars.next() else { return Ok(Kind::End) };
        let second = chars.next().unwrap_or(' ');
        match (first, second) {
            ('-', '-') if self.rest[2..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                self.flag()
            }
            ('.', '.') if self.rest.starts_with("...") => {
                self.take(3);
                Ok(Kind::Ellipsis)
            }
            ('%', '{') => self.delimited(2, "}%").map(|s| Kind::Code(s.to_owned())),
            ('"', _) => self.string(),
            ('`', _) => self.delimited(1, "`").map(|s| Kind::Command(s.to_owned())),
            ('$', _) => self.variable(),
            ('.', d) if d.is_ascii_digit() => self.number(),
            ('-', d) if d.is_ascii_digit() => self.number(),
            (d, _) if d.is_ascii_digit() => self.number(),
            (c, _) if c.is_ascii_alphabetic() || c == '_' => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
                self.replaced(word)
            }
            (c, _) => {
                self.take(c.len_utf8());
                Ok(Kind::Char(c))
            }
        }
    }

    fn flag(&mut self) -> Result<Kind, ParseError> {
        self.take(2);
        let name =
            self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-').to_owned();
        if !self.rest.starts_with('=') {
            return Ok(Kind::Flag(name, None));
        }
        self.take(1);
        let mut value = String::new();
        loop {
            value += self.take_while(|c| !c.is_whitespace() && c != '"' && c != '`');
            match self.rest.chars().next() {
                Some('"') => {
                    let text = self.delimited(1, "\"")?;
                    // Only the quotes of `--define=A="b"` tell a string from a word.
                    let keep = value.ends_with('=');
                    value += &if keep { format!("\"{text}\"") } else { text.to_owned() };
                }
                Some('`') => {
                    let text = self.delimited(1, "`")?;
                    value += &format!("`{text}`");
                }
                _ => return Ok(Kind::Flag(name, Some(value))),
            }
        }
    }

    /// What stands between `open` bytes and `close`, which does not follow a backslash.
    fn delimited(&mut self, open: usize, close: &str) -> Result<&'a str, ParseError> {
        let body = &self.rest[open..];
        let mut from = 0;
        while let Some(at) = body[from..].find(close).map(|i| i + from) {
            if body[..at].ends_with('\\') && close.len() == 1 {
                from = at + close.len();
                continue;
            }
            let text = &body[..at];
            self.take(open + at + close.len());
            return Ok(text);
        }
        Err(self.error(format!("this does not end: `{close}` is missing")))
    }

    fn string(&mut self) -> Result<Kind, ParseError> {
        let raw = self.delimited(1, "\"")?;
        Ok(Kind::Str(unescape(raw)))
    }

    fn variable(&mut self) -> Result<Kind, ParseError> {
        let here = self.error("");
        self.take(1);
        let braces = self.rest.starts_with('{');
        if braces {
            self.take(1);
        }
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        if braces && self.rest.starts_with('}') {
            self.take(1);
        }
        if !self.defines.contains_key(&name) {
            let message = format!("`${name}` is not defined (give it with --define {name}=VALUE)");
            return Err(ParseError { message, unsupported: true, ..here });
        }
        self.replaced(name)
    }

    fn number(&mut self) -> Result<Kind, ParseError> {
        let here = self.error("");
        let wrong = |text: &str| ParseError {
            message: format!("`{text}` is not a number of 64 bits"),
            ..here.clone()
        };
        if self.rest.starts_with("0x") || self.rest.starts_with("0X") {
            self.take(2);
            let digits = self.take_while(|c| c.is_ascii_alphanumeric());
            let n = u64::from_str_radix(digits, 16).map_err(|_| wrong(digits))?;
            return Ok(Kind::Int(n as i64));
        }
        let sign = usize::from(self.rest.starts_with('-'));
        let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let mut len = sign + digits(&self.rest[sign..]);
        let mut parts = 0;
        while parts < 3 && self.rest[len..].starts_with('.') && digits(&self.rest[len + 1..]) > 0 {
            len += 1 + digits(&self.rest[len + 1..]);
            parts += 1;
        }
        // `1234abcd` is a word: the digits of a cookie.
        let word = parts == 0
            && sign == 0
            && self.rest[len..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if word {
            let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
            return Ok(Kind::Word(word));
        }
        let text = self.take(len);
        match parts {
            0 => text.parse().map(Kind::Int).map_err(|_| wrong(text)),
            1 => Ok(Kind::Float(text.to_owned())),
            3 => Ok(Kind::Ipv4(text.to_owned())),
            _ => Err(wrong(text)),
        }
    }

    fn replaced(&mut self, word: String) -> Result<Kind, ParseError> {
        let Some(value) = self.defines.get(&word) else { return Ok(Kind::Word(word)) };
        let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        if let Some(text) = inner('"') {
            return Ok(Kind::Str(unescape(text)));
        }
        if let Some(text) = inner('`') {
            return Ok(Kind::Command(text.to_owned()));
        }
        let hex = value.strip_prefix("0x").and_then(|h| i64::from_str_radix(h, 16).ok());
        Ok(match value.parse::<i64>().ok().or(hex) {
            Some(n) => Kind::Int(n),
            None => Kind::Word(value.clone()),
        })
    }
}

/// Resolves backslashes as C does.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('0') => text.push('\0'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}
