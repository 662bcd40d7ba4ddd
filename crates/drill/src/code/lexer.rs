//! Snippets as statements, and expressions as tokens.

/// A statement with the column it starts at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) indent: usize,
    pub(super) text: String,
}

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Int(i64),
    Float(f64),
    /// A string; `true` when it is an f-string.
    Str(String, bool),
    Name(String),
    Op(&'static str),
}

/// The operators, longer ones first.
const OPS: [&str; 33] = [
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "<>", "+", "-", "*", "/", "%", "&", "|", "^",
    "~", "<", ">", "(", ")", "[", "]", ",", ".", ":", "=", "{", "}", ";", "!", "@",
];

/// The logical lines of a snippet: brackets and backslashes join, `;` separates, comments go.
pub(super) fn statements(text: &str) -> Result<Vec<Line>, String> {
    let text = text.replace("\r\n", "\n").replace("\\\n", " ");
    let (mut lines, mut line, mut depth, mut quote) = (Vec::new(), String::new(), 0i32, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', Some(_)) => {
                line.push(c);
                line.extend(chars.next());
                continue;
            }
            (c, Some(q)) if c == q => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(c),
            ('#', None) => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
                continue;
            }
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) => depth -= 1,
            ('\n', None) if depth > 0 => {
                line.push(' ');
                continue;
            }
            ('\n', None) => {
                push_line(&mut lines, &mut line);
                continue;
            }
            (';', None) if depth <= 0 => {
                let indent = line.len() - line.trim_start().len();
                push_line(&mut lines, &mut line);
                line = " ".repeat(indent);
                while chars.peek().is_some_and(|c| matches!(c, ' ' | '\t')) {
                    chars.next();
                }
                continue;
            }
            _ => {}
        }
        line.push(c);
    }
    push_line(&mut lines, &mut line);
    if quote.is_some() || depth != 0 {
        return Err("brackets or quotes do not match".to_owned());
    }
    Ok(lines)
}

fn push_line(lines: &mut Vec<Line>, line: &mut String) {
    let text = std::mem::take(line);
    if !text.trim().is_empty() {
        let indent = text.len() - text.trim_start().len();
        lines.push(Line { indent, text: text.trim().to_owned() });
    }
}

/// Where `wanted` stands outside of brackets and quotes.
pub(super) fn find_top(text: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0i32, None, false);
    for (i, c) in text.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            (c, Some(q)) if c == q => quote = None,
            (_, Some(_)) => {}
            (c, None) if c == wanted && depth == 0 => return Some(i),
            ('"' | '\'', None) => quote = Some(c),
            ('(' | '[' | '{', None) => depth += 1,
            (')' | ']' | '}', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `name = value` or `name += value`.
pub(super) fn assignment(text: &str) -> Option<(&str, Option<char>, &str)> {
    let at = find_top(text, '=')?;
    let (left, right) = (&text[..at], &text[at + 1..]);
    if right.starts_with('=') || left.ends_with(['<', '>', '!', '=']) {
        return None;
    }
    let operator = left.trim_end().chars().last().filter(|c| "+-*/%|&".contains(*c));
    let name = left.trim_end().trim_end_matches(|c| Some(c) == operator).trim();
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    is_name.then_some((name, operator, right))
}

/// The names in an expression, each once, in order.
pub(super) fn names(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for token in tokens(text).unwrap_or_default() {
        if let Token::Name(name) = token
            && !all.contains(&name)
        {
            all.push(name);
        }
    }
    all
}

/// The tokens of an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, len) = if first.is_ascii_digit() {
            number(rest)?
        } else if first == '"' || first == '\'' {
            let (s, len) = string(rest)?;
            (Token::Str(s, false), len)
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            let after = &rest[name.len()..];
            if matches!(name, "f" | "r" | "b" | "u") && after.starts_with(['"', '\'']) {
                let (s, len) = string(after)?;
                (Token::Str(s, name == "f"), len + 1)
            } else {
                (Token::Name(name.to_owned()), name.len())
            }
        } else {
            let op = OPS.iter().find(|op| rest.starts_with(**op));
            let op = op.ok_or_else(|| format!("`{first}`"))?;
            (Token::Op(op), op.len())
        };
        all.push(token);
        rest = rest[len..].trim_start();
    }
    Ok(all)
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let wrong = || format!("the number in `{text}`");
    if let Some(hex) = text.strip_prefix("0x") {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let n = i64::from_str_radix(&hex[..end], 16).map_err(|_| wrong())?;
        return Ok((Token::Int(n), end + 2));
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut len = end;
    if text[end..].starts_with(['e', 'E']) {
        let exponent = text[end + 1..].trim_start_matches(['+', '-']);
        let digits = exponent.find(|c: char| !c.is_ascii_digit()).unwrap_or(exponent.len());
        len = text.len() - exponent.len() + digits;
    }
    let word = &text[..len];
    let token = match word.parse::<i64>() {
        Ok(n) => Token::Int(n),
        Err(_) => Token::Float(word.parse().map_err(|_| wrong())?),
    };
    Ok((token, len))
}

fn string(text: &str) -> Result<(String, usize), String> {
    let quote = text.chars().next().unwrap_or('"');
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, other)) => out.push(other),
                None => break,
            },
            c if c == quote => return Ok((out, i + 1)),
            c => out.push(c),
        }
    }
    Err("a string that does not end".to_owned())
}
