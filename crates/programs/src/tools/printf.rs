//! `printf`: `%s %b %c %d %i %u %o %x %X %%` with flags, width and precision; the format is used
//! again while arguments are left, as POSIX says.

use netarium_world::process::{LocalBoxFuture, Process};

use super::echo::unescape;

/// The longest output, bytes.
const OUTPUT_MAX: usize = 1 << 20;
/// The widest field.
const WIDTH_MAX: usize = 1_000;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match render(args.get(1..).unwrap_or_default()) {
            Ok(text) => {
                process.print(&text).await;
                0
            }
            Err(why) => {
                process.eprint(&format!("printf: {why}\n")).await;
                1
            }
        }
    })
}

/// What is printed.
pub(crate) fn render(args: &[String]) -> Result<String, String> {
    let args = if args.first().is_some_and(|a| a == "--") { &args[1..] } else { args };
    let (format, mut words) = args.split_first().ok_or("usage: printf format [arg ...]")?;
    let mut out = String::new();
    loop {
        let before = words.len();
        once(format, &mut words, &mut out)?;
        if words.is_empty() || words.len() == before {
            return Ok(out);
        }
        if out.len() > OUTPUT_MAX {
            return Err("the output is too long".to_owned());
        }
    }
}

fn once(format: &str, words: &mut &[String], out: &mut String) -> Result<(), String> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&unescape(&rest[..at], false).0);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let flags = &rest[..rest.find(|c| !"-+ 0#".contains(c)).unwrap_or(rest.len())];
        rest = &rest[flags.len()..];
        let (width, after) = size(rest, words)?;
        let (precision, after) = match after.strip_prefix('.') {
            Some(after) => size(after, words).map(|(n, a)| (Some(n.unwrap_or(0)), a))?,
            None => (None, after),
        };
        let kind = after.chars().next().ok_or_else(|| format!("%{rest}: invalid directive"))?;
        rest = &after[kind.len_utf8()..];
        let word = words.split_first().map(|(first, others)| {
            *words = others;
            first.as_str()
        });
        let text = directive(kind, word.unwrap_or(""), flags, precision)?;
        pad(out, &text, flags, width.unwrap_or(0), kind);
    }
    out.push_str(&unescape(rest, false).0);
    Ok(())
}

/// A width or precision: digits or `*`.
fn size<'a>(text: &'a str, words: &mut &[String]) -> Result<(Option<usize>, &'a str), String> {
    if let Some(rest) = text.strip_prefix('*') {
        let (first, others) = words.split_first().ok_or("*: no argument")?;
        *words = others;
        return Ok((Some(first.parse::<usize>().unwrap_or(0).min(WIDTH_MAX)), rest));
    }
    let len = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value = text[..len].parse::<usize>().ok().map(|n| n.min(WIDTH_MAX));
    Ok((value, &text[len..]))
}

fn directive(kind: char, word: &str, flags: &str, most: Option<usize>) -> Result<String, String> {
    let cut = |text: &str| text.chars().take(most.unwrap_or(usize::MAX)).collect::<String>();
    let zeros = |digits: String| format!("{digits:0>width$}", width = most.unwrap_or(1));
    Ok(match kind {
        's' => cut(word),
        'b' => cut(&unescape(word, true).0),
        'c' => word.chars().take(1).collect(),
        'd' | 'i' => {
            let value = integer(word)?;
            let sign = match (value < 0, flags) {
                (true, _) => "-",
                (false, f) if f.contains('+') => "+",
                (false, f) if f.contains(' ') => " ",
                _ => "",
            };
            format!("{sign}{}", zeros(value.unsigned_abs().to_string()))
        }
        'u' => zeros((integer(word)? as u64).to_string()),
        'o' => zeros(format!("{:o}", integer(word)?)),
        'x' => zeros(format!("{:x}", integer(word)?)),
        'X' => zeros(format!("{:X}", integer(word)?)),
        other => return Err(format!("%{other}: invalid directive")),
    })
}

fn integer(word: &str) -> Result<i64, String> {
    let bad = || format!("{word}: expected numeric value");
    if let Some(c) = word.strip_prefix(['\'', '"']) {
        return Ok(c.chars().next().map_or(0, |c| i64::from(u32::from(c))));
    }
    let (minus, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let value = match digits.as_bytes() {
        [] if word.is_empty() => 0,
        [b'0', b'x' | b'X', ..] => i64::from_str_radix(&digits[2..], 16).map_err(|_| bad())?,
        [b'0', _, ..] => i64::from_str_radix(&digits[1..], 8).map_err(|_| bad())?,
        _ => digits.parse().map_err(|_| bad())?,
    };
    Ok(if minus { value.wrapping_neg() } else { value })
}

fn pad(out: &mut String, text: &str, flags: &str, width: usize, kind: char) {
    let missing = width.saturating_sub(text.chars().count());
    if flags.contains('-') {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if flags.contains('0') && !matches!(kind, 's' | 'b' | 'c') {
        let sign = usize::from(text.starts_with(['-', '+', ' ']));
        out.push_str(&text[..sign]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&text[sign..]);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn formats_are_cs() {
        for (words, expect) in [
            (&["%s-%d\\n", "a", "7"][..], "a-7\n"),
            (&["%5s|%-5s|", "ab", "cd"], "   ab|cd   |"),
            (&["%05d %x %o", "-42", "255", "8"], "-0042 ff 10"),
            (&["%s ", "a", "b", "c"], "a b c "),
            (&["%.2s%%", "abc"], "ab%"),
            (&["%b", "a\\tb"], "a\tb"),
            (&["%*d", "4", "7"], "   7"),
            (&["%c%d", "xyz"], "x0"),
            (&["\\101"], "A"),
        ] {
            let args: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            assert_eq!(render(&args).as_deref(), Ok(expect), "{words:?}");
        }
        assert!(render(&["%d".to_owned(), "x".to_owned()]).is_err());
        assert!(render(&[]).is_err());
    }
}
