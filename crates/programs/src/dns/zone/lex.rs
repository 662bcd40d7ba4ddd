//! The words of a master file (RFC 1035 §5.1): entries over several lines in parentheses, quotes,
//! escapes, comments.

/// A word. Escapes are still in it: a name and a string read them differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) quoted: bool,
}

/// One entry: a record or a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// It begins with white space: the owner is that of the record before.
    pub(super) blank: bool,
    pub(super) tokens: Vec<Token>,
}

/// Why a text is not made of entries, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LexError {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

/// Reads the entries of a master file one by one.
pub(super) struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { rest: text.chars().peekable(), line: 1 }
    }

    /// The next entry that is not empty.
    pub(super) fn entry(&mut self) -> Result<Option<Entry>, LexError> {
        loop {
            if self.rest.peek().is_none() {
                return Ok(None);
            }
            let entry = self.one()?;
            if !entry.tokens.is_empty() {
                return Ok(Some(entry));
            }
        }
    }

    /// Reads to the end of a line outside parentheses.
    fn one(&mut self) -> Result<Entry, LexError> {
        let line = self.line;
        let blank = matches!(self.rest.peek(), Some(' ' | '\t'));
        let (mut tokens, mut depth) = (Vec::new(), 0_u32);
        while let Some(c) = self.rest.next() {
            match c {
                '\n' => {
                    self.line += 1;
                    if depth == 0 {
                        return Ok(Entry { line, blank, tokens });
                    }
                }
                ' ' | '\t' | '\r' => {}
                ';' => while self.rest.next_if(|&c| c != '\n').is_some() {},
                '(' => depth += 1,
                ')' => {
                    let what = "a closing parenthesis without an opening one";
                    depth = depth.checked_sub(1).ok_or(LexError { line: self.line, what })?;
                }
                '"' => tokens.push(self.quoted()?),
                first => tokens.push(self.word(first)),
            }
        }
        if depth > 0 {
            return Err(LexError { line, what: "a parenthesis that does not end" });
        }
        Ok(Entry { line, blank, tokens })
    }

    fn quoted(&mut self) -> Result<Token, LexError> {
        let line = self.line;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(Token { text, quoted: true }),
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.rest.next_if(|&c| c != '\n'));
                }
                Some('\n') | None => {
                    return Err(LexError { line, what: "a quote that does not end" });
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn word(&mut self, first: char) -> Token {
        let mut text = String::from(first);
        let mut escaped = first == '\\';
        let ends = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '(' | ')' | '"');
        while let Some(c) = self.rest.next_if(|&c| c != '\n' && (escaped || !ends(c))) {
            escaped = !escaped && c == '\\';
            text.push(c);
        }
        Token { text, quoted: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(usize, bool, Vec<String>)>, LexError> {
        let mut lexer = Lexer::new(text);
        let mut all = Vec::new();
        while let Some(e) = lexer.entry()? {
            all.push((e.line, e.blank, e.tokens.into_iter().map(|t| t.text).collect()));
        }
        Ok(all)
    }

    #[test]
    fn entries_and_their_words() {
        let text = "a IN ( 1 ; c\n 2\n) 3\n\n ; only a comment\n\tTXT \"x ; y\" \"\\\"\" a\\;b\\ c;d\r\nlast";
        let words = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let expect = vec![
            (1, false, words(&["a", "IN", "1", "2", "3"])),
            (6, true, words(&["TXT", "x ; y", "\\\"", "a\\;b\\ c"])),
            (7, false, words(&["last"])),
        ];
        assert_eq!(read(text), Ok(expect));
    }

    #[test]
    fn what_does_not_end_is_told() {
        let wrong = |text: &str| read(text).unwrap_err();
        assert_eq!(wrong("\na ( b"), LexError { line: 2, what: "a parenthesis that does not end" });
        assert_eq!(wrong("a \"b\nc\""), LexError { line: 1, what: "a quote that does not end" });
        assert_eq!(wrong("a )").line, 1);
    }
}
