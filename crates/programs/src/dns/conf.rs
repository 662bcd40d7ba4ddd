//! The configuration files of `nsd` and `unbound`: sections (`server:`) of `key: value`, white space
//! and quotes as both programs read them, comments from `#`.

/// A section and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// `server`, `zone`…
    pub(crate) name: String,
    /// Keys and values in order.
    pub(crate) items: Vec<Item>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The key without its colon.
    pub(crate) key: String,
    /// The value without its quotes.
    pub(crate) value: String,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// What is wrong with a file: a line and words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: error: {what}")]
pub(crate) struct ConfError {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// The most bytes of a file that are read.
pub(crate) const CONF_MAX: usize = 1 << 20;

/// Reads a file. `sections` are the words that begin one.
pub(crate) fn parse(file: &str, text: &str, sections: &[&str]) -> Result<Vec<Section>, ConfError> {
    let fail = |line, what: String| ConfError { file: file.to_owned(), line, what };
    let mut found: Vec<Section> = Vec::new();
    let mut key: Option<(String, usize)> = None;
    for (line, word, quoted) in words(text) {
        let (line, word) = (line, word.map_err(|what| fail(line, what))?);
        match (key.take(), word.strip_suffix(':').filter(|_| !quoted)) {
            (Some((key, _)), _) => {
                let section = found.last_mut().ok_or_else(|| fail(line, outside(&key)))?;
                section.items.push(Item { key, value: word, line });
            }
            (None, Some(name)) if sections.contains(&name) => {
                found.push(Section { name: name.to_owned(), items: Vec::new() });
            }
            (None, Some(name)) => key = Some((name.to_owned(), line)),
            (None, None) => return Err(fail(line, format!("syntax error at `{word}`"))),
        }
    }
    match key {
        Some((key, line)) => Err(fail(line, format!("`{key}:` has no value"))),
        None => Ok(found),
    }
}

fn outside(key: &str) -> String {
    format!("`{key}:` stands before the first section")
}

/// The words of a text with their lines, and whether they stood in quotes.
fn words(text: &str) -> impl Iterator<Item = (usize, Result<String, String>, bool)> {
    text.lines().enumerate().flat_map(|(number, line)| {
        let (mut rest, mut found) = (line.trim_start(), Vec::new());
        while let Some(first) = rest.chars().next().filter(|&c| c != '#') {
            let (word, quoted);
            if first == '"' || first == '\'' {
                quoted = true;
                match rest[1..].split_once(first) {
                    Some((inner, tail)) => {
                        word = Ok(inner.to_owned());
                        rest = tail;
                    }
                    None => {
                        word = Err("a quote that does not end".to_owned());
                        rest = "";
                    }
                }
            } else {
                quoted = false;
                let end = word_end(rest);
                word = Ok(rest[..end].to_owned());
                rest = &rest[end..];
            }
            found.push((number + 1, word, quoted));
            rest = rest.trim_start();
        }
        found
    })
}

/// A word ends at white space or a comment; `key:value` without a space is two words.
fn word_end(rest: &str) -> usize {
    let end = rest.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(rest.len());
    match rest[..end].find(':') {
        // Keys are words; addresses and URLs are not.
        Some(at)
            if at + 1 < end && rest[..at].chars().all(|c| c.is_ascii_lowercase() || c == '-') =>
        {
            at + 1
        }
        _ => end,
    }
}

/// The value of a yes-or-no key.
pub(crate) fn yes(item: &Item) -> Result<bool, String> {
    match item.value.as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("expected yes or no, got `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_keys() {
        let text = "# c\nserver:\n\tport: 53 # x\n ip-address: 10.0.0.1@53\nzone:\n name: \"shop.lab\"\n zonefile:'a b'\n";
        let found = parse("f", text, &["server", "zone"]).unwrap();
        let flat: Vec<_> = found
            .iter()
            .flat_map(|s| {
                s.items
                    .iter()
                    .map(move |i| (s.name.as_str(), i.key.as_str(), i.value.as_str(), i.line))
            })
            .collect();
        let expect = [
            ("server", "port", "53", 3),
            ("server", "ip-address", "10.0.0.1@53", 4),
            ("zone", "name", "shop.lab", 6),
            ("zone", "zonefile", "a b", 7),
        ];
        assert_eq!(flat, expect);
    }

    #[test]
    fn mistakes_have_a_line() {
        let wrong = |text: &str| parse("f", text, &["server"]).unwrap_err().to_string();
        assert_eq!(wrong("server:\n x\n"), "f:2: error: syntax error at `x`");
        assert_eq!(wrong("port: 1\n"), "f:1: error: `port:` stands before the first section");
        assert_eq!(wrong("server: port:\n"), "f:1: error: `port:` has no value");
        assert_eq!(wrong("server: port: \"1\n"), "f:1: error: a quote that does not end");
    }
}
