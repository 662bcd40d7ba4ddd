//! `head` and `tail`.

use std::collections::VecDeque;

use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process};
use tokio::io::AsyncReadExt;

use super::help::{HELP, VERSION, refuse};
use super::input::{Input, Out, names};
use crate::getopt::{Item, Long, OptError, Spec, Takes};

const LONG: &[Long] = &[
    ("lines", Takes::Value, 'n'),
    ("bytes", Takes::Value, 'c'),
    ("quiet", Takes::Nothing, 'q'),
    ("silent", Takes::Nothing, 'q'),
    ("verbose", Takes::Nothing, 'v'),
    ("follow", Takes::Nothing, 'f'),
    ("sleep-interval", Takes::Value, 's'),
    HELP,
    VERSION,
];
const SPEC: Spec = Spec { short: "n:c:qvfFs:", long: LONG };
/// The most that `tail` keeps, bytes.
const KEEP_MAX: usize = 64 * 1024 * 1024;

/// What is asked for.
#[derive(Debug)]
struct Options {
    bytes: bool,
    count: u64,
    /// `head -n -5`: all but the last; `tail -n +5`: from there on.
    other: bool,
    headers: Option<bool>,
    follow: bool,
    /// `-F`: a file that is not there may come.
    retry: bool,
    interval: Duration,
    files: Vec<String>,
}

/// Why a command line is wrong.
enum Wrong {
    Option(OptError),
    Value(String),
}

fn parse(args: &[String], name: &str) -> Result<Options, Wrong> {
    let mut o = Options {
        bytes: false,
        count: 10,
        other: false,
        headers: None,
        follow: false,
        retry: false,
        interval: Duration::from_secs(1),
        files: Vec::new(),
    };
    let mut words = args.get(1..).unwrap_or_default().to_vec();
    // `-5` is as old as `head`.
    if let Some(first) = words.first_mut()
        && let Some(digits) = first.strip_prefix('-')
        && digits.parse::<u64>().is_ok()
    {
        *first = format!("-n{digits}");
    }
    for item in SPEC.parse(&words).map_err(Wrong::Option)? {
        match item {
            Item::Option(c @ ('n' | 'c'), value) => {
                let sign = if name == "head" { '-' } else { '+' };
                let what = if c == 'n' { "lines" } else { "bytes" };
                o.bytes = c == 'c';
                o.other = value.starts_with(sign);
                let digits = value.trim_start_matches(['-', '+']);
                let bad = || Wrong::Value(format!("invalid number of {what}: ‘{value}’"));
                o.count = size(digits).ok_or_else(bad)?;
            }
            Item::Option('q', _) => o.headers = Some(false),
            Item::Option('v', _) => o.headers = Some(true),
            Item::Option(c @ ('f' | 'F'), _) => {
                o.follow = true;
                o.retry |= c == 'F';
            }
            Item::Option('s', value) => {
                let bad = || Wrong::Value(format!("invalid number of seconds: ‘{value}’"));
                o.interval = format!("{value}s").parse().map_err(|_| bad())?;
            }
            Item::Option(..) => {}
            Item::Operand(word) => o.files.push(word),
        }
    }
    o.files = names(o.files);
    Ok(o)
}

/// `5`, `5k`, `5M`.
fn size(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'k' | 'K' => 1024,
        'M' => 1024 * 1024,
        'b' => 512,
        _ => 1,
    };
    let digits = if unit == 1 { text } else { &text[..text.len() - 1] };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// `head [-n N|-c N] [FILE]…`
pub(crate) fn head(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(each(process, "head"))
}

/// `tail [-n N|-c N] [-f] [FILE]…`
pub(crate) fn tail(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(each(process, "tail"))
}

async fn each(process: Process, program: &'static str) -> i32 {
    let options = match parse(&process.args(), program) {
        Ok(options) => options,
        Err(Wrong::Option(error)) => return refuse(&process, program, &error, 1).await,
        Err(Wrong::Value(why)) => {
            process.eprint(&format!("{program}: {why}\n")).await;
            return 1;
        }
    };
    let mut out = Out::new(&process);
    let (mut code, mut first) = (0, true);
    let mut gone = Vec::new();
    for name in &options.files {
        let input = match Input::open(&process, name) {
            Ok(input) => input,
            Err(why) => {
                out.flush().await;
                let text = format!("{program}: cannot open '{name}' for reading: {why}\n");
                process.eprint(&text).await;
                gone.push(name.as_str());
                code = 1;
                continue;
            }
        };
        if options.headers.unwrap_or(options.files.len() > 1) {
            let title = if name == "-" { "standard input" } else { name };
            let gap = if first { "" } else { "\n" };
            out.put(format!("{gap}==> {title} <==\n").as_bytes(), false).await;
        }
        first = false;
        let result = match program {
            "head" => show_head(&options, input, &mut out).await,
            _ => show_tail(&options, input, &mut out).await,
        };
        if let Err(why) = result {
            process.eprint(&format!("{program}: error reading '{name}': {why}\n")).await;
            code = 1;
        }
    }
    out.flush().await;
    if options.follow && program == "tail" {
        let there = options.files.len() - gone.len();
        if there == 0 && !options.retry {
            process.eprint("tail: no files remaining\n").await;
            return 1;
        }
        follow(&process, &options, &gone).await;
    }
    code
}

/// The next piece: a line, or some bytes.
async fn piece(options: &Options, input: &mut Input) -> Result<Option<Vec<u8>>, String> {
    if !options.bytes {
        return input.line().await;
    }
    let mut bytes = vec![0; 16 * 1024];
    let n = input.fd.read(&mut bytes).await.map_err(|e| e.to_string())?;
    bytes.truncate(n);
    Ok((n > 0).then_some(bytes))
}

async fn show_head(o: &Options, mut input: Input, out: &mut Out) -> Result<(), String> {
    let mut left = o.count;
    if o.other {
        let mut kept: VecDeque<Vec<u8>> = VecDeque::new();
        while let Some(bytes) = piece(o, &mut input).await? {
            push(&mut kept, bytes, o.bytes);
            while kept.len() as u64 > o.count {
                let line = kept.pop_front().unwrap_or_default();
                out.put(&line, !input.regular).await;
            }
        }
        return Ok(());
    }
    while left > 0 {
        let Some(bytes) = piece(o, &mut input).await? else { break };
        let n = if o.bytes {
            bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))
        } else {
            bytes.len()
        };
        out.put(&bytes[..n], !input.regular).await;
        left -= if o.bytes { n as u64 } else { 1 };
    }
    Ok(())
}

/// Adds a line, or each byte of some.
fn push(kept: &mut VecDeque<Vec<u8>>, bytes: Vec<u8>, single: bool) {
    if single {
        kept.extend(bytes.into_iter().map(|b| vec![b]));
    } else {
        kept.push_back(bytes);
    }
}

async fn show_tail(o: &Options, mut input: Input, out: &mut Out) -> Result<(), String> {
    if o.other {
        let mut skip = o.count.saturating_sub(1);
        while let Some(bytes) = piece(o, &mut input).await? {
            let n = if o.bytes {
                bytes.len().min(usize::try_from(skip).unwrap_or(usize::MAX))
            } else if skip > 0 {
                bytes.len()
            } else {
                0
            };
            skip -= if o.bytes { n as u64 } else { u64::from(n > 0) };
            out.put(&bytes[n..], !input.regular).await;
        }
        return Ok(());
    }
    let (mut kept, mut size): (VecDeque<Vec<u8>>, usize) = (VecDeque::new(), 0);
    while let Some(bytes) = piece(o, &mut input).await? {
        size += bytes.len();
        kept.push_back(bytes);
        // Bytes are kept in pieces: drop a whole one only when the others are enough.
        loop {
            let over = if o.bytes {
                kept.front().is_some_and(|f| (size - f.len()) as u64 >= o.count)
            } else {
                kept.len() as u64 > o.count
            };
            if !over && size <= KEEP_MAX {
                break;
            }
            size -= kept.pop_front().map_or(0, |b| b.len());
        }
    }
    let mut skip = if o.bytes { (size as u64).saturating_sub(o.count) as usize } else { 0 };
    for bytes in kept {
        let n = skip.min(bytes.len());
        skip -= n;
        out.put(&bytes[n..], false).await;
    }
    Ok(())
}

/// Shows what is written to the files from now on, until a signal comes. Those that are `gone` are
/// waited for with `-F`, and forgotten otherwise.
async fn follow(process: &Process, o: &Options, gone: &[&str]) {
    let mut missing: Vec<&str> = if o.retry { gone.to_vec() } else { Vec::new() };
    let forgotten = |f: &str| f == "-" || (!o.retry && gone.contains(&f));
    let files: Vec<&String> = o.files.iter().filter(|f| !forgotten(f)).collect();
    let len = |name: &str| process.metadata(name).map_or(0, |m| m.len);
    let mut seen: Vec<u64> = files.iter().map(|f| len(f)).collect();
    let mut shown = files.len().checked_sub(1);
    while !files.is_empty() {
        process.sleep(o.interval.max(Duration::from_millis(1))).await;
        for (at, name) in files.iter().enumerate() {
            let Ok(contents) = process.read_file(name) else { continue };
            if let Some(n) = missing.iter().position(|m| m == name) {
                missing.remove(n);
                let text = format!("tail: '{name}' has appeared;  following new file\n");
                process.eprint(&text).await;
            }
            if (contents.len() as u64) < seen[at] {
                process.eprint(&format!("tail: {name}: file truncated\n")).await;
                seen[at] = 0;
            }
            let new = contents
                .slice(usize::try_from(seen[at]).unwrap_or(contents.len()).min(contents.len())..);
            if new.is_empty() {
                continue;
            }
            let mut out = Out::new(process);
            if o.files.len() > 1 && shown != Some(at) {
                out.put(format!("\n==> {name} <==\n").as_bytes(), false).await;
            }
            out.put(&new, true).await;
            shown = Some(at);
            seen[at] = contents.len() as u64;
        }
    }
}
