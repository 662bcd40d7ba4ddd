//! From tokens to commands: POSIX.1-2017 §2.10.

use std::rc::Rc;

use super::ast::{
    AndOr, Command, Join, Part, Pipeline, Redirect, RedirectKind, Script, What, Word,
};
use super::lexer::{Lexer, Token, name_len};

/// How deep commands may stand in commands.
const DEPTH_MAX: usize = 48;

/// Why a text is no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ParseError {
    /// Something is not closed: more text may help.
    Open(&'static str),
    /// The text ends where something must follow: more text may help.
    End {
        /// What was expected.
        expecting: Option<&'static str>,
    },
    /// A token stands where it must not.
    Unexpected {
        /// The token, as it is told.
        token: String,
        /// What was expected.
        expecting: Option<&'static str>,
    },
    /// `${…}` that means nothing.
    Substitution,
    /// Too many commands within commands.
    Deep,
}

impl ParseError {
    /// Whether more text may make it right.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, ParseError::Open(_) | ParseError::End { .. })
    }

    /// What dash says.
    pub(super) fn text(&self) -> String {
        let expecting = |e: &Option<&str>| match e {
            Some(word) => format!(" (expecting \"{word}\")"),
            None => String::new(),
        };
        match self {
            ParseError::Open("here document") => {
                "Syntax error: end of file in here document".to_owned()
            }
            ParseError::Open("substitution") => {
                "Syntax error: end of file unexpected (expecting \")\")".to_owned()
            }
            ParseError::Open(what) => format!("Syntax error: Unterminated {what}"),
            ParseError::End { expecting: e } => {
                format!("Syntax error: end of file unexpected{}", expecting(e))
            }
            ParseError::Unexpected { token, .. } if token.starts_with("Bad ") => {
                format!("Syntax error: {token}")
            }
            ParseError::Unexpected { token, expecting: e } => {
                format!("Syntax error: {token} unexpected{}", expecting(e))
            }
            ParseError::Substitution => "Syntax error: Bad substitution".to_owned(),
            ParseError::Deep => {
                format!("Syntax error: more than {DEPTH_MAX} commands within commands")
            }
        }
    }
}

/// Refuses what is too deep.
pub(super) fn deep(depth: usize) -> Result<(), ParseError> {
    if depth > DEPTH_MAX { Err(ParseError::Deep) } else { Ok(()) }
}

/// The first complete line of commands of a text, and how many bytes it has; `None` when nothing is
/// left.
pub(super) fn line(text: &str) -> Result<Option<(Script, usize)>, (ParseError, usize)> {
    let mut parser = Parser::new(Lexer::new(text, 0)).map_err(|e| (e, 1))?;
    let at_line = |p: &Parser<'_>, e| (e, p.start_line);
    loop {
        match &parser.token {
            Token::End => return Ok(None),
            Token::Op("\n") => parser.advance().map_err(|e| (e, 1))?,
            _ => break,
        }
    }
    let script = match parser.list(&["\n"]) {
        Ok(script) => script,
        Err(e) => return Err(at_line(&parser, e)),
    };
    match &parser.token {
        Token::End | Token::Op("\n") => Ok(Some((script, parser.lexer.at))),
        _ => {
            let e = parser.unexpected(None);
            Err(at_line(&parser, e))
        }
    }
}

/// All of a text.
pub(super) fn whole(text: &str, depth: usize) -> Result<Script, ParseError> {
    let mut parser = Parser::new(Lexer::new(text, depth))?;
    let script = parser.compound_list()?;
    match parser.token {
        Token::End => Ok(script),
        _ => Err(parser.unexpected(None)),
    }
}

/// A script that a closing parenthesis ends, which is read, too.
pub(super) fn until_parenthesis(lexer: &mut Lexer<'_>) -> Result<Script, ParseError> {
    let mut parser = Parser::new(lexer.clone())?;
    let script = parser.compound_list()?;
    if parser.token != Token::Op(")") {
        return Err(parser.unexpected(Some(")")));
    }
    lexer.at = parser.lexer.at;
    Ok(script)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// Where the token begins, and on which line.
    start: usize,
    start_line: usize,
    depth: usize,
}

const RESERVED: &[&str] = &[
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then",
    "until", "while",
];

impl<'a> Parser<'a> {
    fn new(lexer: Lexer<'a>) -> Result<Parser<'a>, ParseError> {
        let depth = lexer.depth;
        let mut parser = Parser { lexer, token: Token::End, start: 0, start_line: 1, depth };
        parser.advance()?;
        Ok(parser)
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.start = self.lexer.at;
        self.token = self.lexer.next()?;
        if self.token != Token::Op("\n") {
            self.start_line = self.lexer.line();
        }
        Ok(())
    }

    /// The reserved word that the token is, where one may stand.
    fn reserved(&self) -> Option<&'static str> {
        let text = plain(&self.token)?;
        RESERVED.iter().find(|r| **r == text).copied()
    }

    fn is(&self, word: &str) -> bool {
        self.reserved() == Some(word)
    }

    fn expect(&mut self, word: &'static str) -> Result<(), ParseError> {
        if !self.is(word) {
            return Err(self.unexpected(Some(word)));
        }
        self.advance()
    }

    fn unexpected(&self, expecting: Option<&'static str>) -> ParseError {
        let token = match &self.token {
            Token::End => return ParseError::End { expecting },
            Token::Op("\n") => "newline".to_owned(),
            Token::Op(op) => format!("\"{op}\""),
            Token::Number(n) => format!("\"{n}\""),
            Token::Word(_) => match self.reserved() {
                Some(word) => format!("\"{word}\""),
                None => "word".to_owned(),
            },
        };
        ParseError::Unexpected { token, expecting }
    }

    fn newlines(&mut self) -> Result<(), ParseError> {
        while self.token == Token::Op("\n") {
            self.advance()?;
        }
        Ok(())
    }

    /// Commands up to something that ends them, across lines.
    fn compound_list(&mut self) -> Result<Script, ParseError> {
        self.depth += 1;
        deep(self.depth)?;
        self.newlines()?;
        let script = self.list(&[])?;
        self.depth -= 1;
        Ok(script)
    }

    /// Commands up to one of `ends` or what no command begins with.
    fn list(&mut self, ends: &[&str]) -> Result<Script, ParseError> {
        let mut script = Vec::new();
        loop {
            let closes = matches!(
                self.reserved(),
                Some("do" | "done" | "then" | "fi" | "else" | "elif" | "esac" | "}")
            );
            if closes || matches!(self.token, Token::End | Token::Op(")" | ";;")) {
                return Ok(script);
            }
            script.push(self.and_or()?);
            match &self.token {
                Token::Op("\n") if ends.contains(&"\n") => return Ok(script),
                Token::Op("\n") => self.newlines()?,
                Token::Op(op @ (";" | "&")) => {
                    if let Some(last) = script.last_mut() {
                        last.background = *op == "&";
                    }
                    self.advance()?;
                    if self.token == Token::Op("\n") && ends.contains(&"\n") {
                        return Ok(script);
                    }
                    self.newlines()?;
                }
                _ => return Ok(script),
            }
        }
    }

    fn and_or(&mut self) -> Result<AndOr, ParseError> {
        let from = self.start;
        let mut pipelines = vec![(Join::Always, self.pipeline()?)];
        loop {
            let join = match self.token {
                Token::Op("&&") => Join::And,
                Token::Op("||") => Join::Or,
                _ => break,
            };
            self.advance()?;
            self.newlines()?;
            pipelines.push((join, self.pipeline()?));
        }
        let text = self.lexer.text[from..self.start].trim().to_owned();
        Ok(AndOr { pipelines, background: false, text })
    }

    fn pipeline(&mut self) -> Result<Pipeline, ParseError> {
        let mut negated = false;
        while self.is("!") {
            negated = !negated;
            self.advance()?;
        }
        let mut commands = vec![self.command()?];
        while self.token == Token::Op("|") {
            self.advance()?;
            self.newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Result<Command, ParseError> {
        let line = self.start_line;
        let what = match (&self.token, self.reserved()) {
            (Token::Op("("), _) => {
                self.advance()?;
                let script = self.compound_list()?;
                if self.token != Token::Op(")") {
                    return Err(self.unexpected(Some(")")));
                }
                self.advance()?;
                What::Subshell(Rc::new(script))
            }
            (_, Some("{")) => {
                self.advance()?;
                let script = self.compound_list()?;
                self.expect("}")?;
                What::Group(script)
            }
            (_, Some("if")) => self.conditional()?,
            (_, Some("for")) => self.for_loop()?,
            (_, Some("while" | "until")) => {
                let until = self.is("until");
                self.advance()?;
                let condition = self.compound_list()?;
                let body = self.body()?;
                What::While { until, condition, body }
            }
            (_, Some("case")) => self.case()?,
            (_, Some(_)) => return Err(self.unexpected(None)),
            _ => return self.simple(line),
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command { what, redirects, line })
    }

    fn conditional(&mut self) -> Result<What, ParseError> {
        let mut arms = Vec::new();
        let mut otherwise = None;
        loop {
            self.advance()?;
            let condition = self.compound_list()?;
            self.expect("then")?;
            arms.push((condition, self.compound_list()?));
            if self.is("elif") {
                continue;
            }
            if self.is("else") {
                self.advance()?;
                otherwise = Some(self.compound_list()?);
            }
            self.expect("fi")?;
            return Ok(What::If { arms, otherwise });
        }
    }

    fn body(&mut self) -> Result<Script, ParseError> {
        self.expect("do")?;
        let body = self.compound_list()?;
        self.expect("done")?;
        Ok(body)
    }

    fn for_loop(&mut self) -> Result<What, ParseError> {
        self.advance()?;
        let name = plain(&self.token).filter(|n| is_name(n)).map(str::to_owned);
        let name = name.ok_or_else(|| match self.unexpected(None) {
            e @ ParseError::End { .. } => e,
            _ => ParseError::Unexpected {
                token: "Bad for loop variable".to_owned(),
                expecting: None,
            },
        })?;
        self.advance()?;
        self.newlines()?;
        let mut words = None;
        if self.is("in") {
            self.advance()?;
            let mut list = Vec::new();
            while let Token::Word(word) = &self.token {
                list.push(word.clone());
                self.advance()?;
            }
            words = Some(list);
        }
        if self.token == Token::Op(";") {
            self.advance()?;
        }
        self.newlines()?;
        Ok(What::For { name, words, body: self.body()? })
    }

    fn case(&mut self) -> Result<What, ParseError> {
        self.advance()?;
        let Token::Word(word) = self.token.clone() else { return Err(self.unexpected(None)) };
        self.advance()?;
        self.newlines()?;
        self.expect("in")?;
        self.newlines()?;
        let mut arms = Vec::new();
        while !self.is("esac") {
            if self.token == Token::Op("(") {
                self.advance()?;
            }
            let mut patterns = Vec::new();
            loop {
                let Token::Word(pattern) = self.token.clone() else {
                    return Err(self.unexpected(Some("esac")));
                };
                patterns.push(pattern);
                self.advance()?;
                match self.token {
                    Token::Op("|") => self.advance()?,
                    Token::Op(")") => break,
                    _ => return Err(self.unexpected(Some(")"))),
                }
            }
            self.advance()?;
            let body = self.compound_list()?;
            arms.push((patterns, body));
            if self.token == Token::Op(";;") {
                self.advance()?;
                self.newlines()?;
            } else if !self.is("esac") {
                return Err(self.unexpected(Some("esac")));
            }
        }
        self.advance()?;
        Ok(What::Case { word, arms })
    }

    fn simple(&mut self, line: usize) -> Result<Command, ParseError> {
        let (mut assigns, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            match self.token.clone() {
                Token::Word(word) => {
                    match assignment(&word).filter(|_| words.is_empty()) {
                        Some(assign) => assigns.push(assign),
                        None => words.push(word),
                    }
                    self.advance()?;
                }
                Token::Op("(") if words.len() == 1 && assigns.is_empty() => {
                    return self.function(&words[0], line);
                }
                _ => break,
            }
        }
        if assigns.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(self.unexpected(None));
        }
        Ok(Command { what: What::Simple { assigns, words }, redirects, line })
    }

    fn function(&mut self, name: &Word, line: usize) -> Result<Command, ParseError> {
        let name = match name.as_slice() {
            [Part::Text { text, quoted: false }] if is_name(text) => text.clone(),
            _ => return Err(ParseError::Unexpected { token: "\"(\"".to_owned(), expecting: None }),
        };
        self.advance()?;
        if self.token != Token::Op(")") {
            return Err(self.unexpected(Some(")")));
        }
        self.advance()?;
        self.newlines()?;
        self.depth += 1;
        deep(self.depth)?;
        let body = Rc::new(self.command()?);
        self.depth -= 1;
        Ok(Command { what: What::Function { name, body }, redirects: Vec::new(), line })
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, ParseError> {
        let number = match self.token {
            Token::Number(n) => {
                self.advance()?;
                Some(n)
            }
            _ => None,
        };
        let (op, kind, default) = match self.token {
            Token::Op(op @ "<") => (op, RedirectKind::Read, 0),
            Token::Op(op @ (">" | ">|")) => (op, RedirectKind::Write, 1),
            Token::Op(op @ ">>") => (op, RedirectKind::Append, 1),
            Token::Op(op @ ">&") => (op, RedirectKind::Duplicate, 1),
            Token::Op(op @ "<&") => (op, RedirectKind::Duplicate, 0),
            Token::Op(op @ ("<<" | "<<-")) => (op, RedirectKind::Here, 0),
            _ => return Ok(None),
        };
        self.advance()?;
        let Token::Word(mut target) = self.token.clone() else {
            return Err(self.unexpected(None));
        };
        if kind == RedirectKind::Here {
            target = self.here(&target, op == "<<-")?;
        } else {
            self.advance()?;
        }
        Ok(Some(Redirect { fd: number.unwrap_or(default), kind, target }))
    }

    /// The text of `<<`, which stands behind the end of this line: it is read at once, from there.
    fn here(&mut self, mark: &Word, tabs: bool) -> Result<Word, ParseError> {
        let mut text = String::new();
        let mut expand = true;
        for part in mark {
            if let Part::Text { text: t, quoted } = part {
                text.push_str(t);
                expand &= !quoted;
            }
        }
        let text = self.lexer.here(&text, tabs, expand)?;
        self.advance()?;
        Ok(text)
    }
}

/// The text of an unquoted word without expansions.
fn plain(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) => match word.as_slice() {
            [Part::Text { text, quoted: false }] => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name_len(text) == text.len()
}

/// `NAME=word`
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text { text, quoted: false }) = word.first() else { return None };
    let (name, value) = text.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut rest = word[1..].to_vec();
    if value == "~" || value.starts_with("~/") {
        rest.insert(0, Part::Text { text: value[1..].to_owned(), quoted: false });
        rest.insert(0, Part::Home);
    } else {
        rest.insert(0, Part::Text { text: value.to_owned(), quoted: false });
    }
    Some((name.to_owned(), rest))
}
