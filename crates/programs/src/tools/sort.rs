//! `sort`: GNU's, in the C locale.

use std::cmp::Ordering;

use netarium_world::process::{LocalBoxFuture, Process};

use super::help::{HELP, VERSION, refuse};
use super::input::{Input, names};
use crate::getopt::{Item, Long, Spec, Takes};

/// The most that `sort` holds, bytes.
const SORT_MAX: usize = 64 * 1024 * 1024;

const SORT: &[Long] = &[
    ("ignore-leading-blanks", Takes::Nothing, 'b'),
    ("ignore-case", Takes::Nothing, 'f'),
    ("key", Takes::Value, 'k'),
    ("numeric-sort", Takes::Nothing, 'n'),
    ("output", Takes::Value, 'o'),
    ("reverse", Takes::Nothing, 'r'),
    ("stable", Takes::Nothing, 's'),
    ("field-separator", Takes::Value, 't'),
    ("unique", Takes::Nothing, 'u'),
    HELP,
    VERSION,
];
/// A key of `sort`.
#[derive(Clone, Debug, Default)]
struct Key {
    from: usize,
    to: Option<usize>,
    numeric: bool,
    reverse: bool,
    fold: bool,
}

const BAD_KEY: &str = "sort: invalid number at field start: invalid count at start";

/// `sort [-bfnru] [-k FROM[,TO]] [-t C] [-o FILE] [FILE]…`
pub(crate) fn sort(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let items = match (Spec { short: "bfnrusk:t:o:", long: SORT }).parse(&args[1..]) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "sort", &e, 2).await,
        };
        let (mut keys, mut files, mut separator, mut to) = (Vec::new(), Vec::new(), None, None);
        let (mut whole, mut unique, mut stable) = (Key { from: 1, ..Key::default() }, false, false);
        for item in items {
            match item {
                Item::Option('n', _) => whole.numeric = true,
                Item::Option('r', _) => whole.reverse = true,
                Item::Option('f', _) => whole.fold = true,
                Item::Option('u', _) => unique = true,
                Item::Option('s', _) => stable = true,
                Item::Option('t', value) => separator = value.chars().next(),
                Item::Option('o', value) => to = Some(value),
                Item::Option('k', value) => match key(&value) {
                    Some(key) => keys.push(key),
                    None => {
                        process.eprint(&format!("{BAD_KEY} of ‘{value}’\n")).await;
                        return 2;
                    }
                },
                Item::Option(..) => {}
                Item::Operand(name) => files.push(name),
            }
        }
        for key in &mut keys {
            if !(key.numeric || key.reverse || key.fold) {
                let (from, to) = (key.from, key.to);
                *key = Key { from, to, ..whole.clone() };
            }
        }
        let last_resort = !unique && !stable;
        if keys.is_empty() {
            keys.push(whole.clone());
        }
        let mut lines = match gather(&process, names(files)).await {
            Ok(lines) => lines,
            Err(why) => {
                process.eprint(&format!("sort: {why}\n")).await;
                return 2;
            }
        };
        let order = |a: &String, b: &String| {
            let by_keys = keys.iter().map(|k| k.compare(a, b, separator));
            let order = by_keys.fold(Ordering::Equal, Ordering::then);
            let bytes = if last_resort { a.cmp(b) } else { Ordering::Equal };
            order.then(if whole.reverse { bytes.reverse() } else { bytes })
        };
        lines.sort_by(order);
        if unique {
            lines.dedup_by(|a, b| order(a, b) == Ordering::Equal);
        }
        let text: String = lines.iter().flat_map(|l| [l.as_str(), "\n"]).collect();
        let Some(name) = to else {
            process.print(&text).await;
            return 0;
        };
        if let Err(why) = process.write_file(&name, text) {
            process.eprint(&format!("sort: open failed: {name}: {why}\n")).await;
            return 2;
        }
        0
    })
}

async fn gather(process: &Process, files: Vec<String>) -> Result<Vec<String>, String> {
    let (mut lines, mut size) = (Vec::new(), 0);
    for name in files {
        let mut input =
            Input::open(process, &name).map_err(|e| format!("cannot read: {name}: {e}"))?;
        while let Some(line) =
            input.line().await.map_err(|e| format!("read failed: {name}: {e}"))?
        {
            size += line.len();
            if size > SORT_MAX {
                return Err("memory exhausted".to_owned());
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            lines.push(text.strip_suffix('\n').map_or(text.clone(), str::to_owned));
        }
    }
    Ok(lines)
}

/// `2`, `2,3`, `2n`, `2,2nr`; offsets within fields (`2.3`) count from the field's start.
fn key(text: &str) -> Option<Key> {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let plain: String = text.chars().filter(|c| !c.is_ascii_alphabetic()).collect();
    let (from, to) = match plain.split_once(',') {
        Some((from, to)) => (from, Some(to)),
        None => (plain.as_str(), None),
    };
    let field = |t: &str| t.split('.').next()?.parse::<usize>().ok().filter(|&n| n > 0);
    let to = match to {
        Some(to) => Some(field(to)?),
        None => None,
    };
    let has = |c| letters.contains(c);
    Some(Key { from: field(from)?, to, numeric: has('n'), reverse: has('r'), fold: has('f') })
}

impl Key {
    fn compare(&self, a: &str, b: &str, separator: Option<char>) -> Ordering {
        let (a, b) = (self.part(a, separator), self.part(b, separator));
        let order = if self.numeric {
            number(a).cmp(&number(b))
        } else if self.fold {
            a.to_ascii_uppercase().cmp(&b.to_ascii_uppercase())
        } else {
            a.cmp(b)
        };
        if self.reverse { order.reverse() } else { order }
    }

    /// Its fields of a line. Without a separator a field begins with the blanks before it.
    fn part<'a>(&self, line: &'a str, separator: Option<char>) -> &'a str {
        let start = |n: usize| -> usize {
            let mut at = 0;
            for _ in 1..n {
                let rest = &line[at..];
                let skipped = match separator {
                    Some(c) => rest.find(c).map(|i| i + c.len_utf8()),
                    None => {
                        let text = rest.trim_start_matches([' ', '\t']);
                        text.find([' ', '\t']).map(|i| rest.len() - text.len() + i)
                    }
                };
                at += skipped.unwrap_or(rest.len());
            }
            at
        };
        let from = start(self.from);
        let to = match self.to {
            None => line.len(),
            Some(n) => {
                let end = start(n + 1);
                let cut = separator.is_some_and(|c| line[..end].ends_with(c));
                if cut { end - 1 } else { end }
            }
        };
        line.get(from..to.max(from)).unwrap_or("")
    }
}

/// The number at the beginning of a text, in millionths.
fn number(text: &str) -> i128 {
    let text = text.trim_start();
    let (minus, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let digits = |t: &str| t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
    let whole = digits(rest);
    let fraction = rest[whole..].strip_prefix('.').map_or("", |f| &f[..digits(f).min(6)]);
    let value = rest[..whole.min(30)].parse::<i128>().unwrap_or(0) * 1_000_000
        + format!("{fraction:0<6}").parse::<i128>().unwrap_or(0);
    if minus { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parts_of_lines() {
        let part = |k: &str, line: &'static str, t| key(k).unwrap().part(line, t);
        assert_eq!(part("2,2", "a bb c", None), " bb");
        assert_eq!(part("2", "a:b:c", Some(':')), "b:c");
        assert_eq!(part("2,2", "a:b:c", Some(':')), "b");
        assert_eq!(part("4", "a:b:c", Some(':')), "");
        assert!(key("0").is_none() && key("x").is_none());
        assert!(number("10") > number("9.5") && number("-2") < number("x"));
    }
}
