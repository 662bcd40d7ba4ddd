//! `wc`, `uniq`, `tee`, `cut`, `seq`: GNU's, in the C locale.

use netarium_world::process::{LocalBoxFuture, OpenMode, Process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::help::{self, HELP, VERSION, refuse};
use super::input::{Input, Out, names, usage};
use crate::getopt::{Item, Long, Spec, Takes};

const UNIQ: &[Long] = &[
    ("count", Takes::Nothing, 'c'),
    ("repeated", Takes::Nothing, 'd'),
    ("ignore-case", Takes::Nothing, 'i'),
    ("unique", Takes::Nothing, 'u'),
    HELP,
    VERSION,
];
const TEE: &[Long] =
    &[("append", Takes::Nothing, 'a'), ("ignore-interrupts", Takes::Nothing, 'i'), HELP, VERSION];
const CUT: &[Long] = &[
    ("bytes", Takes::Value, 'b'),
    ("characters", Takes::Value, 'c'),
    ("delimiter", Takes::Value, 'd'),
    ("fields", Takes::Value, 'f'),
    ("only-delimited", Takes::Nothing, 's'),
    HELP,
    VERSION,
];

/// `wc [-lwcm] [FILE]…`
pub(crate) fn wc(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        const LONG: &[Long] = &[
            ("lines", Takes::Nothing, 'l'),
            ("words", Takes::Nothing, 'w'),
            ("chars", Takes::Nothing, 'm'),
            ("bytes", Takes::Nothing, 'c'),
            HELP,
            VERSION,
        ];
        let args = process.args();
        let items = match (Spec { short: "lwmc", long: LONG }).parse(&args[1..]) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "wc", &e, 1).await,
        };
        let (mut wanted, mut files) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Option(c, _) => wanted.push(c),
                Item::Operand(name) => files.push(name),
            }
        }
        if wanted.is_empty() {
            wanted = vec!['l', 'w', 'c'];
        }
        let named = !files.is_empty();
        let (mut rows, mut total, mut code) = (Vec::new(), [0u64; 4], 0);
        for name in names(files) {
            match count(&process, &name).await {
                Ok(counts) => {
                    (0..4).for_each(|i| total[i] += counts[i]);
                    rows.push((counts, if named { format!(" {name}") } else { String::new() }));
                }
                Err(why) => {
                    process.eprint(&format!("wc: {name}: {why}\n")).await;
                    code = 1;
                }
            }
        }
        let (single, several) = (rows.len() == 1, rows.len() > 1);
        if several {
            rows.push((total, " total".to_owned()));
        }
        let columns = "lwmc".chars().enumerate().filter(|(_, c)| wanted.contains(c));
        let columns: Vec<usize> = columns.map(|(i, _)| i).collect();
        let width = match (single && columns.len() == 1, named) {
            (true, _) => 1,
            (false, false) => 7,
            (false, true) => total[3].to_string().len(),
        };
        for (counts, name) in rows {
            let row = columns.iter().map(|&i| format!("{:>width$}", counts[i]));
            process.print(&format!("{}{name}\n", row.collect::<Vec<_>>().join(" "))).await;
        }
        code
    })
}

/// Lines, words, characters, bytes.
async fn count(process: &Process, name: &str) -> Result<[u64; 4], String> {
    let mut input = Input::open(process, name)?;
    let (mut counts, mut in_word) = ([0u64; 4], false);
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let n = input.fd.read(&mut bytes).await.map_err(|e| e.to_string())?;
        if n == 0 {
            return Ok(counts);
        }
        for &b in &bytes[..n] {
            counts[0] += u64::from(b == b'\n');
            let blank = b.is_ascii_whitespace() || b == 0x0b;
            counts[1] += u64::from(!blank && !in_word);
            in_word = !blank;
            counts[2] += u64::from(b & 0xc0 != 0x80);
        }
        counts[3] += n as u64;
    }
}

/// `uniq [-cdui] [FILE]`
pub(crate) fn uniq(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let items = match (Spec { short: "cdui", long: UNIQ }).parse(&args[1..]) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "uniq", &e, 1).await,
        };
        let has = |c| items.iter().any(|i| matches!(i, Item::Option(o, _) if *o == c));
        let (counts, repeated, single, fold) = (has('c'), has('d'), has('u'), has('i'));
        let name = items.iter().find_map(|i| match i {
            Item::Operand(name) => Some(name.clone()),
            Item::Option(..) => None,
        });
        let name = name.unwrap_or_else(|| "-".to_owned());
        let mut input = match Input::open(&process, &name) {
            Ok(input) => input,
            Err(why) => {
                process.eprint(&format!("uniq: {name}: {why}\n")).await;
                return 1;
            }
        };
        let mut out = Out::new(&process);
        let mut last: Option<(Vec<u8>, u64)> = None;
        loop {
            let line = input.line().await.unwrap_or(None).map(|mut line| {
                line.truncate(line.strip_suffix(b"\n").map_or(line.len(), <[u8]>::len));
                line
            });
            let same = |a: &[u8], b: &[u8]| if fold { a.eq_ignore_ascii_case(b) } else { a == b };
            match (&mut last, &line) {
                (Some((text, n)), Some(line)) if same(text, line) => *n += 1,
                (run, _) => {
                    if let Some((text, n)) = run.take()
                        && !(repeated && n < 2)
                        && !(single && n > 1)
                    {
                        let head = if counts { format!("{n:>7} ") } else { String::new() };
                        let row = [head.as_bytes(), &text, b"\n"].concat();
                        out.put(&row, !input.regular).await;
                    }
                    *run = line.clone().map(|line| (line, 1));
                }
            }
            if line.is_none() {
                out.flush().await;
                return 0;
            }
        }
    })
}

/// `tee [-a] [FILE]…`
pub(crate) fn tee(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let items = match (Spec { short: "ai", long: TEE }).parse(&args[1..]) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "tee", &e, 1).await,
        };
        let append = items.contains(&Item::Option('a', String::new()));
        let mode = if append { OpenMode::Append } else { OpenMode::Truncate };
        let (mut outs, mut code) = (vec![process.fd(1)], 0);
        for item in items {
            let Item::Operand(name) = item else { continue };
            match process.open(&name, mode) {
                Ok(fd) => outs.push(fd),
                Err(why) => {
                    process.eprint(&format!("tee: {name}: {why}\n")).await;
                    code = 1;
                }
            }
        }
        let (mut input, mut bytes) = (process.stdin(), vec![0; 16 * 1024]);
        while let Ok(n @ 1..) = input.read(&mut bytes).await {
            for out in &mut outs {
                if let Err(why) = out.write_all(&bytes[..n]).await {
                    process.eprint(&format!("tee: {why}\n")).await;
                    code = 1;
                }
            }
        }
        code
    })
}

/// `cut -f LIST [-d C]` or `cut -c LIST`, `[FILE]…`
pub(crate) fn cut(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let items = match (Spec { short: "f:c:b:d:s", long: CUT }).parse(&args[1..]) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "cut", &e, 1).await,
        };
        let (mut fields, mut list, mut separator, mut files) = (true, None, '\t', Vec::new());
        let mut only = false;
        for item in items {
            match item {
                Item::Option(c @ ('f' | 'c' | 'b'), value) => {
                    fields = c == 'f';
                    list = ranges(&value);
                    if list.is_none() {
                        return usage(&process, "cut", "invalid field range", 1).await;
                    }
                }
                Item::Option('d', value) => separator = value.chars().next().unwrap_or('\0'),
                Item::Option(..) => only = true,
                Item::Operand(name) => files.push(name),
            }
        }
        let Some(list) = list else {
            let why = "you must specify a list of bytes, characters, or fields";
            return usage(&process, "cut", why, 1).await;
        };
        let wanted = |n: usize| list.iter().any(|&(from, to)| (from..=to).contains(&n));
        let (mut out, mut code) = (Out::new(&process), 0);
        for name in names(files) {
            let mut input = match Input::open(&process, &name) {
                Ok(input) => input,
                Err(why) => {
                    process.eprint(&format!("cut: {name}: {why}\n")).await;
                    code = 1;
                    continue;
                }
            };
            while let Ok(Some(line)) = input.line().await {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches('\n');
                let row = if !fields {
                    let chars = text.chars().enumerate().filter(|(n, _)| wanted(n + 1));
                    chars.map(|(_, c)| c).collect()
                } else if text.contains(separator) {
                    let parts = text.split(separator).enumerate().filter(|(n, _)| wanted(n + 1));
                    parts.map(|(_, p)| p).collect::<Vec<_>>().join(&separator.to_string())
                } else if only {
                    continue;
                } else {
                    text.to_owned()
                };
                out.put(format!("{row}\n").as_bytes(), !input.regular).await;
            }
        }
        out.flush().await;
        code
    })
}

/// `1,3-5,7-`
fn ranges(text: &str) -> Option<Vec<(usize, usize)>> {
    let one = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let from = if from.is_empty() { 1 } else { from.parse().ok()? };
        let to = if to.is_empty() { usize::MAX } else { to.parse().ok()? };
        (from > 0 && from <= to).then_some((from, to))
    };
    text.split(',').map(one).collect()
}

/// `seq [FIRST [STEP]] LAST`, whole numbers; at most a million lines.
pub(crate) fn seq(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if help::answered(&process, "seq").await {
            return 0;
        }
        let args = process.args();
        let words = args.get(1..).unwrap_or_default();
        let mut numbers = Vec::new();
        for word in words {
            match word.parse::<i64>() {
                Ok(n) => numbers.push(n),
                Err(_) => {
                    let why = format!("invalid integer argument: ‘{word}’");
                    return usage(&process, "seq", &why, 1).await;
                }
            }
        }
        let (first, step, last) = match numbers[..] {
            [last] => (1, 1, last),
            [first, last] => (first, 1, last),
            [first, step, last] if step != 0 => (first, step, last),
            _ => return usage(&process, "seq", "missing operand", 1).await,
        };
        let mut out = Out::new(&process);
        let mut n = first;
        for _ in 0..1_000_000 {
            if (step > 0 && n > last) || (step < 0 && n < last) {
                break;
            }
            out.put(format!("{n}\n").as_bytes(), false).await;
            let Some(next) = n.checked_add(step) else { break };
            n = next;
        }
        out.flush().await;
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_fields() {
        assert_eq!(ranges("1,3-5,7-"), Some(vec![(1, 1), (3, 5), (7, usize::MAX)]));
        assert_eq!(ranges("-2"), Some(vec![(1, 2)]));
        assert!(ranges("0").is_none() && ranges("3-2").is_none() && ranges("a").is_none());
    }
}
