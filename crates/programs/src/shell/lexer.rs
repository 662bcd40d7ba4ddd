//! Words and operators of a script: POSIX.1-2017 §2.2 (quoting) and §2.3 (tokens).

use std::rc::Rc;

use super::ast::{Change, Part, Word};
use super::parser::{self, ParseError};

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word; with its digits only when it may name a descriptor of a redirection.
    Word(Word),
    /// A number right in front of `<` or `>`.
    Number(usize),
    /// An operator, `\n` among them.
    Op(&'static str),
    /// The end of the text.
    End,
}

/// Operators, the longer ones first.
const OPERATORS: &[&str] = &[
    "&&", "||", ";;", "<<-", "<<", ">>", ">&", "<&", ">|", "\n", "|", "&", ";", "<", ">", "(", ")",
];

/// Where reading has come to.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// How deep commands stand in commands.
    pub(super) depth: usize,
    /// Texts of `<<` that have been read: where they begin, behind the end of a line, and end.
    skip: Option<(usize, usize)>,
}

/// What ends a word that stands in another construct.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// A blank or an operator.
    Word,
    /// The closing `"`.
    Quote,
    /// The closing `}`.
    Brace,
    /// Nothing: the text of `<<`.
    Nothing,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, depth: usize) -> Lexer<'a> {
        Lexer { text, at: 0, depth, skip: None }
    }

    /// The line that comes next, from 1.
    pub(super) fn line(&self) -> usize {
        1 + self.text[..self.at].matches('\n').count()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        self.at += if there { text.len() } else { 0 };
        there
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks();
        let Some(c) = self.peek() else { return Ok(Token::End) };
        if let Some(op) = OPERATORS.iter().find(|op| self.rest().starts_with(**op)) {
            self.at += op.len();
            if let Some((from, to)) = self.skip
                && self.at == from
            {
                (self.at, self.skip) = (to, None);
            }
            return Ok(Token::Op(op));
        }
        if c.is_ascii_digit() {
            let digits = self.rest().chars().take_while(char::is_ascii_digit).count();
            if self.rest()[digits..].starts_with(['<', '>']) {
                let number = self.rest()[..digits].parse().unwrap_or(usize::MAX);
                self.at += digits;
                return Ok(Token::Number(number));
            }
        }
        let mut word = Vec::new();
        if c == '~'
            && matches!(self.rest()[1..].chars().next(), None | Some('/' | ' ' | '\n' | ';'))
        {
            self.at += 1;
            word.push(Part::Home);
        }
        self.parts(Until::Word, &mut word)?;
        Ok(Token::Word(word))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r']);
            self.at += rest.len() - trimmed.len();
            if self.eat("\\\n") {
                continue;
            }
            if self.peek() == Some('#') {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            }
            return;
        }
    }

    /// Reads parts of a word until its end.
    fn parts(&mut self, until: Until, word: &mut Word) -> Result<(), ParseError> {
        let quoted = matches!(until, Until::Quote | Until::Nothing);
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '<' | '>' | '(' | ')'
                    if until == Until::Word =>
                {
                    return Ok(());
                }
                '"' if until == Until::Quote => return Ok(()),
                '}' if until == Until::Brace => return Ok(()),
                '\'' if !quoted => {
                    self.at += 1;
                    let end = self.rest().find('\'').ok_or(ParseError::Open("quoted string"))?;
                    let text = self.rest()[..end].to_owned();
                    self.at += end + 1;
                    word.push(Part::Text { text, quoted: true });
                }
                '"' if until != Until::Nothing => {
                    self.at += 1;
                    // An empty pair of quotes is a word, too.
                    word.push(Part::Text { text: String::new(), quoted: true });
                    self.parts(Until::Quote, word)?;
                    if !self.eat("\"") {
                        return Err(ParseError::Open("quoted string"));
                    }
                }
                '\\' => self.backslash(quoted, word),
                '$' => self.dollar(quoted, word)?,
                '`' => self.backquoted(quoted, word)?,
                c => {
                    self.at += c.len_utf8();
                    push(word, c, quoted);
                }
            }
        }
        if until == Until::Quote || until == Until::Brace {
            return Err(ParseError::Open("quoted string"));
        }
        Ok(())
    }

    fn backslash(&mut self, quoted: bool, word: &mut Word) {
        self.at += 1;
        match self.peek() {
            None => push(word, '\\', quoted),
            Some('\n') => self.at += 1,
            Some(c) if quoted && !matches!(c, '$' | '`' | '"' | '\\') => push(word, '\\', true),
            Some(c) => {
                self.at += c.len_utf8();
                push(word, c, true);
            }
        }
    }

    fn dollar(&mut self, quoted: bool, word: &mut Word) -> Result<(), ParseError> {
        self.at += 1;
        if self.rest().starts_with("((")
            && let Some(sum) = self.sum(quoted)?
        {
            word.push(sum);
            return Ok(());
        }
        if self.eat("(") {
            let script = self.nested()?;
            word.push(Part::Command { script: Rc::new(script), quoted });
            return Ok(());
        }
        if self.eat("{") {
            return self.braces(quoted, word);
        }
        let len = name_len(self.rest());
        if len == 0 {
            push(word, '$', quoted);
            return Ok(());
        }
        let name = self.rest()[..len].to_owned();
        self.at += len;
        word.push(Part::Variable { name, change: Change::None, quoted });
        Ok(())
    }

    /// `$((…))`; `None` when it is a subshell in a substitution after all.
    fn sum(&mut self, quoted: bool) -> Result<Option<Part>, ParseError> {
        let (mut depth, mut end) = (0usize, None);
        for (at, c) in self.rest().char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = Some(at);
                break;
            }
        }
        let end = end.ok_or(ParseError::Open("substitution"))?;
        let Some(inner) = self.rest()[2..end].strip_suffix(')') else { return Ok(None) };
        let mut lexer = Lexer::new(inner, self.depth + 1);
        parser::deep(lexer.depth)?;
        let mut text = Vec::new();
        lexer.parts(Until::Nothing, &mut text)?;
        self.at += end + 1;
        Ok(Some(Part::Sum { text, quoted }))
    }

    /// The script of a substitution, up to its closing parenthesis.
    fn nested(&mut self) -> Result<super::ast::Script, ParseError> {
        let mut lexer = Lexer::new(self.rest(), self.depth + 1);
        parser::deep(lexer.depth)?;
        let script = parser::until_parenthesis(&mut lexer)?;
        self.at += lexer.at;
        Ok(script)
    }

    fn backquoted(&mut self, quoted: bool, word: &mut Word) -> Result<(), ParseError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(ParseError::Open("quoted string")),
                Some('`') => break,
                Some('\\') => match self.bump() {
                    Some(c @ ('`' | '\\' | '$')) => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => return Err(ParseError::Open("quoted string")),
                },
                Some(c) => text.push(c),
            }
        }
        parser::deep(self.depth + 1)?;
        let script = Rc::new(parser::whole(&text, self.depth + 1)?);
        word.push(Part::Command { script, quoted });
        Ok(())
    }

    /// `${…}` behind its brace.
    fn braces(&mut self, quoted: bool, word: &mut Word) -> Result<(), ParseError> {
        self.depth += 1;
        parser::deep(self.depth)?;
        let bad = || ParseError::Substitution;
        let length = self.rest().starts_with('#') && !self.rest().starts_with("#}");
        self.at += usize::from(length);
        let digits = self.rest().chars().take_while(char::is_ascii_digit).count();
        let len = name_len(self.rest()).max(digits);
        let name = self.rest().get(..len).filter(|n| !n.is_empty()).ok_or_else(bad)?.to_owned();
        self.at += len;
        let change = if length { Change::Length } else { self.change()? };
        match self.peek() {
            Some('}') => self.at += 1,
            Some(_) => return Err(bad()),
            None => return Err(ParseError::Open("substitution")),
        }
        word.push(Part::Variable { name, change, quoted });
        self.depth -= 1;
        Ok(())
    }

    fn change(&mut self) -> Result<Change, ParseError> {
        let mut inner = Vec::new();
        let colon = self.eat(":");
        match self.peek() {
            Some(operator @ ('-' | '=' | '+' | '?')) => {
                self.at += 1;
                self.parts(Until::Brace, &mut inner)?;
                Ok(Change::Default { operator, colon, word: inner })
            }
            Some(c @ ('%' | '#')) if !colon => {
                self.at += 1;
                let longest = self.eat(&c.to_string());
                self.parts(Until::Brace, &mut inner)?;
                Ok(Change::Strip { suffix: c == '%', longest, pattern: inner })
            }
            Some('}') if !colon => Ok(Change::None),
            None => Err(ParseError::Open("substitution")),
            Some(_) => Err(ParseError::Substitution),
        }
    }

    /// The text of `<<` up to a line that is `mark`; it stands behind the end of this line, and
    /// behind other such texts.
    pub(super) fn here(
        &mut self,
        mark: &str,
        tabs: bool,
        expand: bool,
    ) -> Result<Word, ParseError> {
        let open = ParseError::Open("here document");
        let (from, mut at) = match self.skip {
            Some(skip) => skip,
            None => {
                let end = self.at + self.rest().find('\n').ok_or(open.clone())? + 1;
                (end, end)
            }
        };
        let mut text = String::new();
        loop {
            let rest = &self.text[at..];
            if rest.is_empty() {
                return Err(open);
            }
            let line = &rest[..rest.find('\n').map_or(rest.len(), |n| n + 1)];
            at += line.len();
            let line = if tabs { line.trim_start_matches('\t') } else { line };
            if line.trim_end_matches('\n') == mark {
                break;
            }
            text.push_str(line);
        }
        self.skip = Some((from, at));
        let mut word = Vec::new();
        if expand {
            Lexer::new(&text, self.depth + 1).parts(Until::Nothing, &mut word)?;
        } else {
            word.push(Part::Text { text, quoted: true });
        }
        Ok(word)
    }
}

/// How long the name of a variable or parameter is that the text begins with; 0 when none does.
pub(super) fn name_len(text: &str) -> usize {
    match text.chars().next() {
        Some(c) if c.is_ascii_alphabetic() || c == '_' => {
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
        }
        Some('?' | '$' | '!' | '#' | '@' | '*' | '-' | '0'..='9') => 1,
        _ => 0,
    }
}

fn push(word: &mut Word, c: char, quoted: bool) {
    match word.last_mut() {
        Some(Part::Text { text, quoted: q }) if *q == quoted => text.push(c),
        _ => word.push(Part::Text { text: c.to_string(), quoted }),
    }
}
