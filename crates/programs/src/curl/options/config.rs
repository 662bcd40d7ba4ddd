//! `-K`: options in a file, one a line: `name value`, `name = value`, `name: "quoted"`.

/// The options and their values, in order; comments and empty lines are skipped.
pub(super) fn read(text: &str) -> Vec<(String, Option<String>)> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<(String, Option<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let dashed = line.starts_with('-');
    // After a dashed option only blanks separate: `-d=x` has the value `=x`.
    let separator = |c: char| c.is_whitespace() || (!dashed && (c == '=' || c == ':'));
    let end = line.find(separator).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(separator);
    if rest.is_empty() {
        return Some((name.to_owned(), None));
    }
    let value = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        // The first word; what follows is ignored with a warning by curl, silently here.
        None => rest.split_whitespace().next().unwrap_or("").to_owned(),
    };
    Some((name.to_owned(), Some(value)))
}

/// Up to the closing quotation mark; `\t \n \r \v` and `\` before anything else are undone.
fn unquote(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('v') => out.push('\u{b}'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_options() {
        let text = "# no\n\n url = \"http://h/ \\\"x\\\"\"\n-d=x\nsilent\n--header: y\n";
        let got = read(text);
        let value = |v: &str| Some(v.to_owned());
        assert_eq!(
            got,
            [
                ("url".into(), value("http://h/ \"x\"")),
                ("-d=x".into(), None),
                ("silent".into(), None),
                ("--header:".into(), value("y")),
            ]
        );
    }
}
