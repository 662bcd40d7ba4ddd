//! The sentences of the language, by recursive descent.

use super::lexer::{self, Kind, Token};
use super::{Action, Call, Event, Expr, Field, Flag, ParseError, Script, Time};

/// Expressions within expressions; real scripts need four.
const MAX_DEPTH: u32 = 32;

/// Parses a script.
pub(super) fn parse(text: &str, defines: &[(String, String)]) -> Result<Script, ParseError> {
    let tokens = lexer::tokens(text, defines)?;
    let mut p = Parser { tokens, at: 0, depth: 0 };
    let mut script = Script { flags: Vec::new(), events: Vec::new(), lines: Vec::new() };
    loop {
        let token = p.peek().clone();
        match token.kind {
            Kind::End => return Ok(script),
            Kind::Flag(name, value) => {
                p.advance();
                script.flags.push(Flag { name, value, line: token.line });
            }
            // The init command, or the one that cleans up.
            Kind::Command(text) => {
                p.advance();
                let action = Action::Command(text);
                script.events.push(Event { at: Time::None, action, line: token.line });
            }
            _ => script.events.push(p.event()?),
        }
    }
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

impl Parser {
    pub(super) fn peek(&self) -> &Token {
        // The last token is the end, and nothing advances beyond it.
        &self.tokens[self.at]
    }

    pub(super) fn peek_after(&self, n: usize) -> &Kind {
        self.tokens.get(self.at + n).map_or(&Kind::End, |t| &t.kind)
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        let Token { line, column, .. } = *self.peek();
        ParseError { line, column, message: message.into(), unsupported: false }
    }

    pub(super) fn unsupported(&self, what: impl Into<String>) -> ParseError {
        ParseError { unsupported: true, ..self.error(what) }
    }

    pub(super) fn expected(&self, what: &str) -> ParseError {
        self.error(format!("expected {what}, found {}", self.peek().kind.describe()))
    }

    pub(super) fn is(&self, c: char) -> bool {
        self.peek().kind == Kind::Char(c)
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let found = self.is(c);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn need(&mut self, c: char) -> Result<(), ParseError> {
        if self.eat(c) { Ok(()) } else { Err(self.expected(&format!("`{c}`"))) }
    }

    pub(super) fn word(&self) -> Option<&str> {
        match &self.peek().kind {
            Kind::Word(w) => Some(w),
            _ => None,
        }
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == Some(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn int(&mut self, what: &str, max: i64) -> Result<i64, ParseError> {
        match self.peek().kind {
            Kind::Int(n) if (0..=max).contains(&n) => {
                self.advance();
                Ok(n)
            }
            Kind::Int(n) => Err(self.error(format!("{what} {n} is not between 0 and {max}"))),
            _ => Err(self.expected(what)),
        }
    }

    fn event(&mut self) -> Result<Event, ParseError> {
        let line = self.peek().line;
        let at = self.time_stamp()?;
        let action = self.action(at)?;
        let outbound = matches!(&action, Action::Packet(p) if p.direction == super::Direction::Out);
        let ranged = matches!(at, Time::Any | Time::AbsoluteRange(..) | Time::RelativeRange(..));
        if ranged && !outbound {
            return Err(self.error("`*` and time ranges are for outbound packets only"));
        }
        Ok(Event { at, action, line })
    }

    fn time_stamp(&mut self) -> Result<Time, ParseError> {
        if self.eat('*') {
            return Ok(Time::Any);
        }
        let relative = self.eat('+');
        let from = self.seconds()?;
        if !self.eat('~') {
            return Ok(if relative { Time::Relative(from) } else { Time::Absolute(from) });
        }
        let end_relative = self.eat('+');
        let to = self.seconds()?;
        if to < from || end_relative != relative {
            return Err(self.error("this range of times is backwards, or mixes `+` and absolute"));
        }
        Ok(match relative {
            true => Time::RelativeRange(from, to),
            false => Time::AbsoluteRange(from, to),
        })
    }

    /// A time in seconds, as microseconds.
    fn seconds(&mut self) -> Result<i64, ParseError> {
        let text = match &self.peek().kind {
            Kind::Int(n) => n.to_string(),
            Kind::Float(text) => text.clone(),
            _ => return Err(self.expected("a time in seconds, `+` and a time, or `*`")),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let whole = if whole.is_empty() { "0" } else { whole };
        let parsed = whole.parse::<i64>().ok().zip(digits.parse::<i64>().ok());
        // A century is enough, and leaves room to add.
        let micros = parsed.filter(|(s, _)| (0..3_200_000_000).contains(s));
        let Some((seconds, micros)) = micros.filter(|_| !text.starts_with('-')) else {
            return Err(self.error(format!("`{text}` is not a time: 0 to 3200000000 seconds")));
        };
        self.advance();
        Ok(seconds * 1_000_000 + micros)
    }

    fn action(&mut self, at: Time) -> Result<Action, ParseError> {
        match self.peek().kind.clone() {
            Kind::Char('<' | '>') => self.packet().map(|p| Action::Packet(Box::new(p))),
            Kind::Command(text) => {
                self.advance();
                Ok(Action::Command(text))
            }
            Kind::Code(text) => {
                self.advance();
                Ok(Action::Code(text))
            }
            Kind::Word(_) | Kind::Ellipsis => self.call(at).map(|c| Action::Call(Box::new(c))),
            _ => Err(self.expected("`<`, `>`, a system call, a shell command or `%{`")),
        }
    }

    fn call(&mut self, at: Time) -> Result<Call, ParseError> {
        let until = match self.peek().kind {
            Kind::Ellipsis => {
                self.advance();
                Some(self.seconds()?)
            }
            _ => None,
        };
        if let (Some(end), Time::Absolute(start) | Time::Relative(start)) = (until, at)
            && end < start
        {
            return Err(self.error("this call ends before it starts"));
        }
        let Some(name) = self.word().map(str::to_owned) else {
            return Err(self.expected("the name of a system call"));
        };
        self.advance();
        self.need('(')?;
        let args = self.list(')')?;
        self.need('=')?;
        let result = self.expression()?;
        let errno = self.errno();
        self.note();
        Ok(Call { name, args, result, errno, until })
    }

    /// `EINPROGRESS` behind the result.
    fn errno(&mut self) -> Option<String> {
        let name = self.word().filter(|w| w.starts_with('E'))?.to_owned();
        self.advance();
        Some(name)
    }

    /// `(Operation now in progress)`: anything between parentheses.
    fn note(&mut self) {
        if !self.is('(') {
            return;
        }
        let mut depth = 0u32;
        loop {
            match self.advance().kind {
                Kind::Char('(') => depth += 1,
                Kind::Char(')') if depth <= 1 => return,
                Kind::Char(')') => depth -= 1,
                Kind::End => return,
                _ => {}
            }
        }
    }

    /// Expressions between commas, up to and with `close`.
    fn list(&mut self, close: char) -> Result<Vec<Expr>, ParseError> {
        let mut all = Vec::new();
        if self.eat(close) {
            return Ok(all);
        }
        loop {
            all.push(self.expression()?);
            if self.eat(close) {
                return Ok(all);
            }
            if !self.eat(',') {
                return Err(self.expected(&format!("`,` or `{close}`")));
            }
        }
    }

    fn expression(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("this expression is nested too deeply"));
        }
        let mut left = self.operand()?;
        while let Kind::Char(op @ ('|' | '+' | '*' | '&')) = self.peek().kind {
            // `+0 > …` on the next line is an event.
            if op != '|' && self.starts_line() {
                break;
            }
            self.advance();
            let right = self.operand()?;
            left = Expr::Op(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn starts_line(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|i| self.tokens.get(i));
        before.is_none_or(|t| t.line < self.peek().line)
    }

    fn operand(&mut self) -> Result<Expr, ParseError> {
        let token = self.peek().clone();
        match token.kind {
            Kind::Ellipsis => {
                self.advance();
                Ok(Expr::Ellipsis)
            }
            Kind::Int(n) => {
                self.advance();
                Ok(Expr::Int(n))
            }
            Kind::Float(text) => {
                self.advance();
                Ok(Expr::Word(text))
            }
            Kind::Str(first) => self.strings(first),
            Kind::Word(name) => {
                self.advance();
                if self.eat('(') {
                    return Ok(Expr::Call(name, self.list(')')?));
                }
                Ok(Expr::Word(name))
            }
            Kind::Char('[') => {
                self.advance();
                self.list(']').map(Expr::List)
            }
            Kind::Char('{') => {
                self.advance();
                self.fields().map(Expr::Struct)
            }
            Kind::Char('(') => {
                self.advance();
                let inner = self.expression()?;
                self.need(')')?;
                Ok(inner)
            }
            _ => Err(self.expected("a value")),
        }
    }

    /// Strings in a row are one; `...` behind the last leaves its end open.
    fn strings(&mut self, first: String) -> Result<Expr, ParseError> {
        self.advance();
        let mut text = first;
        while let Kind::Str(more) = &self.peek().kind {
            text += more;
            self.advance();
        }
        let open = self.peek().kind == Kind::Ellipsis;
        if open {
            self.advance();
        }
        Ok(Expr::Str(text, open))
    }

    fn fields(&mut self) -> Result<Vec<Field>, ParseError> {
        let mut all = Vec::new();
        while !self.eat('}') {
            all.push(self.field()?);
            if !self.eat(',') && !self.is('}') {
                return Err(self.expected("`,` or `}`"));
            }
        }
        Ok(all)
    }

    /// `name = value`, `msg_iov(1) = value`, or a value.
    fn field(&mut self) -> Result<Field, ParseError> {
        let start = self.at;
        if let Some(name) = self.word().map(str::to_owned) {
            self.advance();
            if self.is('(') {
                self.note();
            }
            if self.eat('=') {
                return Ok(Field { name, value: self.expression()? });
            }
            self.at = start;
        }
        Ok(Field { name: String::new(), value: self.expression()? })
    }
}
