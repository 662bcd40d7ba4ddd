//! Splitting a command into words the way a shell does: spaces between words, `'…'` literally,
//! `"…"` with `\"` and `\\`, a backslash before any other character. There are no variables, pipes
//! or redirections: `&`, `|`, `;`, `$`, `*` are ordinary characters here.

/// Why a command cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A quote is never closed.
    #[error("the {0} quote is never closed")]
    OpenQuote(&'static str),
    /// The last character is a backslash.
    #[error("a backslash stands at the end")]
    TrailingBackslash,
    /// There is no word.
    #[error("the command is empty")]
    Empty,
    /// A NUL or another control character.
    #[error("a control character stands in the command")]
    Control,
}

/// The words of a command; at least one, of which the first is not empty.
///
/// # Errors
/// See [`SplitError`].
pub fn split(command: &str) -> Result<Vec<String>, SplitError> {
    if command.chars().any(|c| c.is_control() && c != '\t' && c != '\n') {
        return Err(SplitError::Control);
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => single(&mut chars, word.get_or_insert_default())?,
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '\\' => {
                let next = chars.next().ok_or(SplitError::TrailingBackslash)?;
                word.get_or_insert_default().push(next);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match words.first() {
        Some(first) if !first.is_empty() => Ok(words),
        _ => Err(SplitError::Empty),
    }
}

fn single(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    loop {
        match chars.next() {
            Some('\'') => return Ok(()),
            Some(c) => word.push(c),
            None => return Err(SplitError::OpenQuote("single")),
        }
    }
}

fn double(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), SplitError> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some(c @ ('"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(SplitError::OpenQuote("double")),
            },
            Some(c) => word.push(c),
            None => return Err(SplitError::OpenQuote("double")),
        }
    }
}

/// The command that [`split`] turns back into `words`. What a shell would take for more than a
/// character of a word is quoted, too, so that it can be typed at one.
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| quote(w.as_ref())).collect();
    quoted.join(" ")
}

fn quote(word: &str) -> String {
    const SPECIAL: &str = "'\"\\|&;<>()$`*?[]{}#~!";
    let plain = |c: char| !c.is_whitespace() && !SPECIAL.contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_a_shell() {
        for (command, words) in [
            ("httpd --root htdocs", &["httpd", "--root", "htdocs"][..]),
            (
                "  curl   -H 'Host: web'  http://a/?x=1&y=2 ",
                &["curl", "-H", "Host: web", "http://a/?x=1&y=2"],
            ),
            (r#"echo "a \"b\" \n" c\ d '' "#, &["echo", r#"a "b" \n"#, "c d", ""]),
            ("a'b'\"c\"d", &["abcd"]),
        ] {
            assert_eq!(split(command).unwrap(), words, "{command}");
        }
        assert_eq!(split("a 'b"), Err(SplitError::OpenQuote("single")));
        assert_eq!(split("a \"b\\"), Err(SplitError::OpenQuote("double")));
        assert_eq!(split("a \\"), Err(SplitError::TrailingBackslash));
        assert_eq!(split(" \t"), Err(SplitError::Empty));
        assert_eq!(split("'' a"), Err(SplitError::Empty));
        assert_eq!(split("a\0b"), Err(SplitError::Control));
    }

    #[test]
    fn join_is_the_inverse() {
        let words =
            ["a", "", "b c", "it's", "\\", "\"", "한글", "http://a/?x=1&y", "$(b)", "--list=<-a>"];
        assert_eq!(split(&join(&words)).unwrap(), words);
        assert_eq!(
            join(&words),
            r#"a '' 'b c' 'it'\''s' '\' '"' 한글 'http://a/?x=1&y' '$(b)' '--list=<-a>'"#
        );
    }
}
