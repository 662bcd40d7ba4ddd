//! The predicate language, as breakpoints, filters and checks use it.
//!
//! ```text
//! tcp.state == TIME_WAIT && host == "pc"
//! event == "drop" and reason in (filter-drop, no-route)
//! tcp.segment.len > 0 && not flow == 00ff00ff00ff00ff
//! arp.address in 10.0.0.0/24 || at >= 5s
//! ```
//!
//! `or` binds weakest, then `and`, then `not`. A field alone means that the event has it; the name
//! of an event alone means that it is this event. A comparison with a field that an event does not
//! have is false, whatever the operator. Everything is checked when a text becomes a
//! [`Predicate`]: names, types, values. A text has at most [`LENGTH_MAX`] bytes, parentheses and
//! `not` go at most [`DEPTH_MAX`] deep, a list has at most [`LIST_MAX`] values.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::str::FromStr;

use netarium_base::trace::DropReason;
use netarium_base::trace::event::SCHEMA;
use netarium_base::{Duration, EventId, FlowId, Instant};

use crate::lexer::{Op, Spanned, Token, tokens};
use crate::schema::{Field, Kind, all_names, resolve};

/// The longest text of a predicate, bytes.
pub const LENGTH_MAX: usize = 4096;
/// How deep parentheses and `not` may go.
pub const DEPTH_MAX: usize = 32;
/// The longest list of values.
pub const LIST_MAX: usize = 256;

/// A condition on trace events, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    text: String,
    pub(crate) expr: Expr,
}

impl Predicate {
    /// The text that it was made from.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Predicate {
    type Err = PredicateError;

    fn from_str(text: &str) -> Result<Predicate, PredicateError> {
        if text.len() > LENGTH_MAX {
            let what = format!("a condition has at most {LENGTH_MAX} bytes, not {}", text.len());
            return Err(PredicateError::new("", 0..0, what, None));
        }
        let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
        let expr = parser.any()?;
        match parser.peek() {
            None => Ok(Predicate { text: text.to_owned(), expr }),
            Some(_) => Err(parser.expected("`&&`, `||` or the end")),
        }
    }
}

/// A condition in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    Has(Field),
    Compare(Field, Op, Value),
    Contains(Field, String),
    In(Field, Vec<Value>),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i128),
    Text(String),
    Address(IpAddr),
    Network(IpAddr, u8),
    Endpoint(SocketAddr),
    Time(Instant),
    Id(EventId),
    Flow(FlowId),
}

/// Why a text is no predicate. It displays as the reason and a picture of the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PredicateError {
    message: String,
    hint: Option<String>,
    text: String,
    span: Range<usize>,
}

impl PredicateError {
    pub(crate) fn new(
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> PredicateError {
        PredicateError { message: message.into(), hint, text: text.to_owned(), span }
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The bytes of the text that are meant.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Display for PredicateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.text.is_empty() {
            let plain = |c: char| if c.is_control() { ' ' } else { c };
            let shown: String = self.text.chars().map(plain).collect();
            let count = |r: Range<usize>| self.text.get(r).map_or(0, |t| t.chars().count());
            let (before, marked) = (count(0..self.span.start), count(self.span.clone()));
            write!(f, "\n  {shown}\n  {:before$}{}", "", "^".repeat(marked.max(1)))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    at: usize,
    depth: usize,
}

/// Structure.
impl Parser<'_> {
    fn any(&mut self) -> Result<Expr, PredicateError> {
        let mut parts = vec![self.all()?];
        while self.take(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(single(parts, Expr::Any))
    }

    fn all(&mut self) -> Result<Expr, PredicateError> {
        let mut parts = vec![self.term()?];
        while self.take(&Token::And) {
            parts.push(self.term()?);
        }
        Ok(single(parts, Expr::All))
    }

    fn term(&mut self) -> Result<Expr, PredicateError> {
        if self.depth >= DEPTH_MAX {
            let what = format!("a condition goes at most {DEPTH_MAX} deep");
            return Err(PredicateError::new(self.text, self.span(), what, None));
        }
        self.depth += 1;
        let expr = if self.take(&Token::Not) {
            Expr::Not(Box::new(self.term()?))
        } else if self.take(&Token::Open) {
            let inner = self.any()?;
            self.need(&Token::Close, "`)`")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, PredicateError> {
        let span = self.span();
        let Some(Token::Word(name)) = self.peek().cloned() else {
            return Err(self.expected("a field"));
        };
        self.at += 1;
        let next = self.peek().cloned();
        let compared = matches!(next, Some(Token::Op(_) | Token::In | Token::Contains));
        let (field, kind) = self.field(&name, span, compared)?;
        if compared && matches!(field, Field::Event(_)) {
            let hint = format!("write `{name}` alone, or `{name}.FIELD == …`");
            let what = format!("`{name}` is an event and has no value");
            return Err(PredicateError::new(self.text, self.span(), what, Some(hint)));
        }
        match next {
            Some(Token::Op(op)) => self.compare(field, kind, &name, op),
            Some(Token::In) => {
                self.at += 1;
                Ok(Expr::In(field, self.values(kind)?))
            }
            Some(Token::Contains) => {
                if !kind.is_textual() {
                    let what = format!("`{name}` is a {}; only texts contain others", kind.name());
                    return Err(PredicateError::new(self.text, self.span(), what, None));
                }
                self.at += 1;
                let (text, _) = self.literal("a text")?;
                Ok(Expr::Contains(field, text))
            }
            _ => Ok(Expr::Has(field)),
        }
    }

    fn compare(
        &mut self,
        field: Field,
        kind: Kind,
        name: &str,
        op: Op,
    ) -> Result<Expr, PredicateError> {
        if op.is_order() && !kind.is_ordered() {
            let what = format!("`{name}` is a {}, of which none is less or more", kind.name());
            let hint = Some("compare it with `==` or `!=`".to_owned());
            return Err(PredicateError::new(self.text, self.span(), what, hint));
        }
        self.at += 1;
        Ok(Expr::Compare(field, op, self.value(kind, false)?))
    }

    fn values(&mut self, kind: Kind) -> Result<Vec<Value>, PredicateError> {
        if !self.take(&Token::Open) {
            return Ok(vec![self.value(kind, true)?]);
        }
        let mut values = vec![self.value(kind, true)?];
        while self.take(&Token::Comma) {
            if values.len() >= LIST_MAX {
                let what = format!("a list has at most {LIST_MAX} values");
                return Err(PredicateError::new(self.text, self.span(), what, None));
            }
            values.push(self.value(kind, true)?);
        }
        self.need(&Token::Close, "`,` or `)`")?;
        Ok(values)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.0)
    }

    /// The bytes of the next piece; the end of the text when there is none.
    fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |t| t.1.clone())
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, token: &Token, name: &str) -> Result<(), PredicateError> {
        if self.take(token) { Ok(()) } else { Err(self.expected(name)) }
    }

    fn expected(&self, what: &str) -> PredicateError {
        let span = self.span();
        let found = match self.text.get(span.clone()) {
            None | Some("") => "the end".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        PredicateError::new(self.text, span, format!("expected {what}, found {found}"), None)
    }
}

fn single(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

/// Names and values.
impl Parser<'_> {
    fn field(
        &self,
        name: &str,
        span: Range<usize>,
        compared: bool,
    ) -> Result<(Field, Kind), PredicateError> {
        resolve(name, compared).ok_or_else(|| {
            let hint = nearest(name, all_names());
            let what = format!("no event has a field `{name}`");
            PredicateError::new(self.text, span, what, hint)
        })
    }

    /// A piece that can be a value, and its bytes.
    fn literal(&mut self, wanted: &str) -> Result<(String, Range<usize>), PredicateError> {
        let span = self.span();
        let text = match self.peek() {
            Some(Token::Word(text) | Token::Quoted(text)) => text.clone(),
            _ => return Err(self.expected(wanted)),
        };
        self.at += 1;
        Ok((text, span))
    }

    /// A value of this kind. In lists and after `in`, an address may be a network.
    fn value(&mut self, kind: Kind, listed: bool) -> Result<Value, PredicateError> {
        let (text, span) = self.literal(&format!("a value: {}", example(kind)))?;
        let wrong = |hint: Option<String>| {
            let what = format!("`{text}` is no {}, such as {}", kind.name(), example(kind));
            PredicateError::new(self.text, span.clone(), what, hint)
        };
        let known = |names: &mut dyn Iterator<Item = &'static str>,
                     same: fn(&str, &str) -> bool| {
            let names: Vec<&str> = names.collect();
            let found = names.iter().find(|n| same(n, &text));
            found
                .map(|n| Value::Text((*n).to_owned()))
                .ok_or_else(|| wrong(nearest(&text, names.iter().map(|n| (*n).to_owned()))))
        };
        match kind {
            Kind::Text | Kind::Link => Ok(Value::Text(text)),
            Kind::State => known(&mut STATES.iter().copied(), same_state),
            Kind::Word(words) => known(&mut words.iter().copied(), same_word),
            Kind::Reason => {
                known(&mut DropReason::ALL.iter().map(|r| r.name()), str::eq_ignore_ascii_case)
            }
            Kind::Event => known(&mut SCHEMA.iter().map(|e| e.name), |a, b| a == b),
            Kind::Number => number(&text).map(Value::Number).ok_or_else(|| wrong(None)),
            Kind::Time => match text.parse::<Duration>() {
                Ok(time) => Ok(Value::Time(Instant::ZERO + time)),
                Err(e) => Err(wrong(Some(e.to_string()))),
            },
            Kind::Id => {
                let digits = text.strip_prefix('#').unwrap_or(&text);
                digits.parse().map(|id| Value::Id(EventId(id))).map_err(|_| wrong(None))
            }
            Kind::Flow => {
                let flow = u64::from_str_radix(&text, 16).ok().filter(|_| text.len() == 16);
                flow.map(|f| Value::Flow(FlowId(f))).ok_or_else(|| wrong(None))
            }
            Kind::Address | Kind::Endpoint => {
                place(&text, kind, listed).ok_or_else(|| wrong(network_hint(&text, listed)))
            }
        }
    }
}

/// The states of a TCP connection (RFC 9293 §3.3.2), as the trace names them.
pub const STATES: &[&str] = &[
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
];

/// Whether a word names the state: case, `-` and `_` do not matter, `SYN_RECV` is known.
fn same_state(state: &str, word: &str) -> bool {
    let plain = |s: &str| -> String {
        let kept = s.chars().filter(|c| !matches!(c, '-' | '_'));
        kept.map(|c| c.to_ascii_uppercase()).collect()
    };
    plain(state) == plain(word) || (state == "SYN-RECEIVED" && plain(word) == "SYNRECV")
}

/// `fast retransmit` is `fast-retransmit`: a blank would want quotes.
fn same_word(word: &str, typed: &str) -> bool {
    let plain = |s: &str| s.to_ascii_lowercase().replace([' ', '_'], "-");
    plain(word) == plain(typed)
}

fn number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value: u64 = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if digits.starts_with('+') => return None,
        None => digits.parse().ok()?,
    };
    Some(if negative { -i128::from(value) } else { value.into() })
}

/// An address, an address with a port, or a network.
fn place(text: &str, kind: Kind, listed: bool) -> Option<Value> {
    if let Ok(address) = text.parse::<IpAddr>() {
        // Of an endpoint in a list, the address alone is enough.
        return (kind == Kind::Address || listed).then_some(Value::Address(address));
    }
    if listed && let Some((address, bits)) = text.split_once('/') {
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        return (bits <= most).then_some(Value::Network(address, bits));
    }
    let endpoint = text.parse().ok().filter(|_| kind == Kind::Endpoint);
    endpoint.map(Value::Endpoint)
}

fn network_hint(text: &str, listed: bool) -> Option<String> {
    (!listed && text.contains('/')).then(|| format!("networks are asked for with `in {text}`"))
}

const fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "5",
        Kind::Text => "\"pc\"",
        Kind::State => "TIME_WAIT",
        Kind::Reason => "filter-drop",
        Kind::Word([first, ..]) => first,
        Kind::Word([]) => "",
        Kind::Event => "\"tcp.segment\"",
        Kind::Address => "10.0.0.1",
        Kind::Endpoint => "10.0.0.1:80",
        Kind::Link => "\"web.home\"",
        Kind::Time => "5s",
        Kind::Id => "17",
        Kind::Flow => "00c0ffee00c0ffee",
    }
}

/// «did you mean», when something is near enough.
fn nearest(word: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let word = word.to_ascii_lowercase();
    // The measure is quadratic, and nothing known is long.
    if word.len() > 64 {
        return None;
    }
    let mut best: Option<(f64, String)> = None;
    for name in known {
        let score = strsim::normalized_damerau_levenshtein(&word, &name.to_ascii_lowercase());
        if score >= 0.5 && best.as_ref().is_none_or(|(b, _)| score > *b) {
            best = Some((score, name));
        }
    }
    best.map(|(_, name)| format!("did you mean `{name}`?"))
}
