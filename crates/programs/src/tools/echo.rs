//! `echo`.

use netarium_world::process::{LocalBoxFuture, Process};

/// `echo [-neE] WORD…`.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        process.print(&render(args.get(1..).unwrap_or_default())).await;
        0
    })
}

/// What is printed. Words that are no options of these letters only are words.
pub(crate) fn render(args: &[String]) -> String {
    let (mut newline, mut escapes) = (true, false);
    let mut words = args;
    while let Some(word) = words.first() {
        let letters = word.strip_prefix('-').unwrap_or_default();
        if letters.is_empty() || letters.contains(|c| !matches!(c, 'n' | 'e' | 'E')) {
            break;
        }
        for c in letters.chars() {
            match c {
                'n' => newline = false,
                c => escapes = c == 'e',
            }
        }
        words = &words[1..];
    }
    let text = words.join(" ");
    let (mut text, stop) = if escapes { unescape(&text, true) } else { (text, false) };
    if newline && !stop {
        text.push('\n');
    }
    text
}

/// The text that backslashes stand for, and whether `\c` ended it. `zero`: octal numbers begin with
/// a zero (`echo`); otherwise they need none (`printf`).
pub(crate) fn unescape(text: &str, zero: bool) -> (String, bool) {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        rest = &rest[c.len_utf8()..];
        match c {
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'c' => return (out, true),
            'e' => out.push('\x1b'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '\\' => out.push('\\'),
            '0' if zero => rest = number(&mut out, rest, 8, 3),
            'x' => rest = number(&mut out, rest, 16, 2),
            '0'..='7' if !zero => {
                let from = &text[text.len() - rest.len() - 1..];
                rest = number(&mut out, from, 8, 3);
            }
            c => out.extend(['\\', c]),
        }
    }
    out.push_str(rest);
    (out, false)
}

/// Adds the character of a number of at most so many digits; gives what follows it.
fn number<'a>(out: &mut String, text: &'a str, base: u32, most: usize) -> &'a str {
    let len = text.chars().take(most).take_while(|c| c.is_digit(base)).count();
    let value = u8::try_from(u32::from_str_radix(&text[..len], base).unwrap_or(0) & 0xff);
    out.push(char::from(value.unwrap_or(0)));
    &text[len..]
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn options_and_escapes() {
        for (line, expect) in [
            ("a b", "a b\n"),
            ("-n a", "a"),
            ("-e a\\tb\\x41\\0101\\n", "a\tbAA\n\n"),
            ("-ne a\\cb c", "a"),
            ("-E -e x\\n", "x\n\n"),
            ("-nx", "-nx\n"),
            ("a\\n", "a\\n\n"),
            ("- -n", "- -n\n"),
            ("", "\n"),
        ] {
            let args: Vec<String> =
                line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
            assert_eq!(render(&args), expect, "{line}");
        }
    }
}
