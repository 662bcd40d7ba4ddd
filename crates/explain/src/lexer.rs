//! A predicate's text in pieces.

use core::ops::Range;

use crate::predicate::PredicateError;

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A field, a number, an address, a time, or a text without blanks.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    /// A comparison.
    Op(Op),
    And,
    Or,
    Not,
    In,
    Contains,
    Open,
    Close,
    Comma,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    pub(crate) const fn is_order(self) -> bool {
        !matches!(self, Op::Eq | Op::Ne)
    }
}

/// A piece and the bytes that it takes.
pub(crate) type Spanned = (Token, Range<usize>);

const SYMBOLS: &[(&str, Token)] = &[
    ("==", Token::Op(Op::Eq)),
    ("!=", Token::Op(Op::Ne)),
    ("<=", Token::Op(Op::Le)),
    (">=", Token::Op(Op::Ge)),
    ("&&", Token::And),
    ("||", Token::Or),
    ("<", Token::Op(Op::Lt)),
    (">", Token::Op(Op::Gt)),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

/// Cuts a text into pieces.
pub(crate) fn tokens(text: &str) -> Result<Vec<Spanned>, PredicateError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
        } else if let Some((symbol, token)) = SYMBOLS.iter().find(|(s, _)| rest.starts_with(s)) {
            out.push((token.clone(), at..at + symbol.len()));
            at += symbol.len();
        } else if c == '"' || c == '\'' {
            let (value, len) = quoted(text, at, c)?;
            out.push((Token::Quoted(value), at..at + len));
            at += len;
        } else if is_word(c) {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.push((word(&rest[..len]), at..at + len));
            at += len;
        } else {
            return Err(unexpected(text, at, c));
        }
    }
    Ok(out)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-' | '#' | '[' | ']')
}

fn word(text: &str) -> Token {
    match text {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "in" => Token::In,
        "contains" => Token::Contains,
        _ => Token::Word(text.to_owned()),
    }
}

/// The text between two quotes and how many bytes it takes with them.
fn quoted(text: &str, start: usize, quote: char) -> Result<(String, usize), PredicateError> {
    let mut value = String::new();
    let mut chars = text[start + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, i + 2)),
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '"' | '\''))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(PredicateError::new(text, start..text.len(), "this quote is not closed", None))
}

fn unexpected(text: &str, at: usize, c: char) -> PredicateError {
    let hint = match c {
        '=' => Some("two values are compared with `==`"),
        '&' => Some("both must hold: `&&` or `and`"),
        '|' => Some("either may hold: `||` or `or`"),
        _ => None,
    };
    let what = format!("`{}` means nothing here", c.escape_default());
    PredicateError::new(text, at..at + c.len_utf8(), what, hint.map(str::to_owned))
}
