//! `{a,b}` and `[1-5]` in URLs, and `#1` in file names.

/// The most URLs one pattern may mean.
const URLS_MAX: u64 = 100_000;

/// A URL with its patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    pieces: Vec<Piece>,
    count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Choice(Vec<String>),
}

/// What is wrong, as curl says it, with the URL and a mark under it.
pub(super) type Wrong = String;

impl Glob {
    /// A URL without patterns (`-g`).
    pub(super) fn literal(url: &str) -> Glob {
        Glob { pieces: vec![Piece::Text(url.to_owned())], count: 1 }
    }

    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Glob, Wrong> {
        let bytes = url.as_bytes();
        let fail = |what: &str, at: usize| {
            let at = at.max(1);
            format!("{what} in URL position {at}:\n{url}\n{}^", " ".repeat(at - 1))
        };
        let mut glob = Glob { pieces: Vec::new(), count: 1 };
        let mut text = String::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &url[at..];
            // `[::1]` is an address.
            let address = rest.starts_with('[') && is_address(rest);
            let choice = match bytes[at] {
                b'{' => Some(braces(rest).map_err(|(what, n)| fail(what, at + n))?),
                b'[' if !address => Some(range(rest).map_err(|n| fail("bad range", at + n + 1))?),
                b'}' | b']' if !text.contains('[') => {
                    return Err(fail("unmatched close brace/bracket", at + 1));
                }
                _ => None,
            };
            match choice {
                Some((choices, taken)) => {
                    glob.count = glob.count.saturating_mul(choices.len() as u64);
                    if glob.count > URLS_MAX {
                        return Err(fail("range overflow", at + 1));
                    }
                    glob.pieces.push(Piece::Text(std::mem::take(&mut text)));
                    glob.pieces.push(Piece::Choice(choices));
                    at += taken;
                }
                None => {
                    let escaped = bytes[at] == b'\\'
                        && bytes.get(at + 1).is_some_and(|b| b"{}[]".contains(b));
                    at += usize::from(escaped);
                    let c = url[at..].chars().next().unwrap_or(' ');
                    text.push(c);
                    at += c.len_utf8();
                }
            }
        }
        glob.pieces.push(Piece::Text(text));
        Ok(glob)
    }

    /// How many URLs it means, at least 1.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The n-th URL (the last pattern changes fastest) and what stood for each pattern.
    pub(super) fn nth(&self, n: u64) -> (String, Vec<String>) {
        let mut left = n;
        let mut values: Vec<&str> = Vec::new();
        for piece in self.pieces.iter().rev() {
            if let Piece::Choice(all) = piece {
                let size = all.len() as u64;
                values.push(&all[(left % size) as usize]);
                left /= size;
            }
        }
        values.reverse();
        let mut url = String::new();
        let mut next = values.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Choice(_) => url.push_str(next.next().unwrap_or(&"")),
            }
        }
        (url, values.into_iter().map(str::to_owned).collect())
    }
}

fn is_address(rest: &str) -> bool {
    let inside = rest[1..].split_once(']').map_or("", |r| r.0);
    inside.contains(':') && inside.bytes().all(|b| b.is_ascii_hexdigit() || b":.%".contains(&b))
}

/// `{a,b}`: the choices and how many bytes they take. An error says where.
fn braces(rest: &str) -> Result<(Vec<String>, usize), (&'static str, usize)> {
    let mut choices = vec![String::new()];
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        let last = choices.len() - 1;
        match c {
            _ if escaped => {
                choices[last].push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            ',' => choices.push(String::new()),
            '}' if at == 1 => return Err(("empty string within braces", 2)),
            '}' => return Ok((choices, at + 1)),
            '{' | '[' => return Err(("nested brace", at + 1)),
            ']' => return Err(("unexpected close bracket", at + 1)),
            c => choices[last].push(c),
        }
    }
    Err(("unmatched brace", 1))
}

/// `[1-5]`, `[01-10:2]`, `[a-e]`: as [`braces`].
fn range(rest: &str) -> Result<(Vec<String>, usize), usize> {
    let close = rest.find(']').ok_or(rest.len())?;
    let (span, step) = match rest[1..close].split_once(':') {
        Some((span, step)) => (span, step.parse::<u64>().map_err(|_| close + 1)?),
        None => (&rest[1..close], 1),
    };
    let (from, to) = span.split_once('-').ok_or(close + 1)?;
    let letters = |t: &str| {
        let mut chars = t.chars();
        let c = chars.next().filter(char::is_ascii_alphabetic)?;
        chars.next().is_none().then_some(c as u64)
    };
    let (first, last, letter, width) = match (letters(from), letters(to)) {
        (Some(a), Some(b)) => (a, b, true, 0),
        _ => {
            let number = |t: &str| {
                t.bytes().all(|b| b.is_ascii_digit()).then(|| t.parse::<u64>().ok()).flatten()
            };
            let (Some(a), Some(b)) = (number(from), number(to)) else { return Err(close + 1) };
            let width = if from.starts_with('0') { from.len() } else { 0 };
            (a, b, false, width)
        }
    };
    if first > last
        || step == 0
        || (last - first) / step >= URLS_MAX
        || (letter && last - first > 25)
    {
        return Err(close + 1);
    }
    let show = |n: u64| match letter {
        true => char::from(n as u8).to_string(),
        false => format!("{n:0width$}"),
    };
    let mut all = Vec::new();
    let mut n = first;
    while n <= last {
        all.push(show(n));
        n += step;
    }
    Ok((all, close + 1))
}

/// A file name with `#1` replaced by what stood for the first pattern, and so on.
pub(super) fn fill(name: &str, values: &[String]) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some(at) = rest.find('#') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let value =
            after[..digits].parse::<usize>().ok().and_then(|n| values.get(n.wrapping_sub(1)));
        match value {
            Some(value) => {
                out.push_str(value);
                rest = &after[digits..];
            }
            None => {
                out.push('#');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in() {
        let values = ["a".to_owned(), "7".to_owned()];
        assert_eq!(fill("x#2-#1#3#.out", &values), "x7-a#3#.out");
    }

    #[test]
    fn addresses_are_not_patterns() {
        let glob = Glob::parse("http://[::1]/{a,b}[01-03:2]").expect("a pattern");
        let all: Vec<String> = (0..glob.count()).map(|n| glob.nth(n).0).collect();
        assert_eq!(
            all,
            ["http://[::1]/a01", "http://[::1]/a03", "http://[::1]/b01", "http://[::1]/b03"]
        );
        assert!(Glob::parse("http://h/[1-99999999]").is_err());
        assert!(Glob::parse("http://h/[1-9999][1-9999]").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_is_read_without_panic(text in "([a-c0-9,:\\-\\[\\]{}\\\\]|\\PC){0,20}") {
            if let Ok(glob) = Glob::parse(&text) {
                let _ = glob.nth(glob.count() - 1);
            }
        }
    }
}
