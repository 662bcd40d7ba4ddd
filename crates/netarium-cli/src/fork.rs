//! `netarium fork` and `netarium diff`: what differs between two runs.

use std::fmt::Write as _;
use std::io::Write as _;

use netarium::recording::{Change, Diff, Difference, ForkError, Moment, What, compare_recordings};
use serde_json::Value;

use crate::args;
use crate::exit::{self, Error};
use crate::replay::open;
use crate::terminal::{Style, Terminal};

impl From<ForkError> for Error {
    fn from(error: ForkError) -> Error {
        match error {
            ForkError::Diverges(_) => Error::failed(error),
            _ => Error::Usage(error.to_string(), None),
        }
    }
}

/// Forks a recording and tells what differs from there on.
pub(crate) fn fork(args: &args::Fork, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let change = &args.change.0;
    let at = match (change, args.at) {
        (_, Some(at)) => at.0,
        (Change::Seed(_), None) => Moment::End,
        _ => return Err(Error::Usage("where? `--at TIME` or `--at '#EVENT'`".to_owned(), None)),
    };
    let recording = open(&args.file)?;
    let diff = netarium::recording::fork(&recording, at, change)?;
    print(&diff, json, terminal)
}

/// Tells what differs between two recordings.
pub(crate) fn diff(args: &args::Diff, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let diff = compare_recordings(&open(&args.before)?, &open(&args.after)?)?;
    print(&diff, json, terminal)
}

fn print(diff: &Diff, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let told = match json {
        true => serde_json::to_string_pretty(diff).map_err(Error::failed)? + "\n",
        false => text(diff, terminal),
    };
    // Who reads only the beginning (`| head`) has seen what it wanted.
    let _ = std::io::stdout().write_all(told.as_bytes());
    Ok(exit::OK)
}

/// The differences in words: the first, then those of each flow.
fn text(diff: &Diff, terminal: &Terminal) -> String {
    let mut out = String::new();
    let Some(first) = &diff.first else { return "the same in both runs\n".to_owned() };
    let _ = writeln!(out, "first difference:\n  {}", line(first, terminal));
    for flow in diff.flows.iter().filter(|flow| !flow.is_same()) {
        let name = flow.flow.as_deref().unwrap_or("none");
        let _ = writeln!(
            out,
            "flow {name}: {} missing, {} new, {} moved, {} changed, {} the same",
            flow.missing, flow.new, flow.moved, flow.changed, flow.same
        );
        for difference in &flow.first {
            let _ = writeln!(out, "  {}", line(difference, terminal));
        }
        let more = flow.missing + flow.new + flow.moved + flow.changed;
        if let Some(more @ 1..) = more.checked_sub(flow.first.len() as u64) {
            let _ = writeln!(out, "  … and {more} more");
        }
    }
    let same = diff.flows.iter().filter(|flow| flow.is_same()).count();
    let _ = writeln!(out, "the same in both runs: {same} flows");
    if diff.not_compared > 0 {
        let _ = writeln!(out, "not compared: {} later events", diff.not_compared);
    }
    out
}

fn line(difference: &Difference, terminal: &Terminal) -> String {
    let (sign, style) = match difference.what {
        What::Missing => ("missing", Style::Red),
        What::New => ("new    ", Style::Cyan),
        What::Moved => ("moved  ", Style::Dim),
        What::Changed => ("changed", Style::Dim),
    };
    let at = netarium::Instant::from_nanos(difference.at);
    let one = difference.before.as_ref().or(difference.after.as_ref());
    let mut line =
        format!("{at} {} {}", terminal.paint(style, sign), one.map_or_else(String::new, event));
    if let (Some(before), Some(after)) = (&difference.before, &difference.after) {
        line.push_str(&change(before, after));
    }
    line
}

/// An event on one line: what, where, and its details.
fn event(event: &Value) -> String {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut line = format!("#{} {} {}", event["id"], text("event"), text("place"));
    for (key, value) in details(event) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(line, " {key}={value}");
    }
    line
}

fn details(event: &Value) -> impl Iterator<Item = (&String, &Value)> {
    const KNOWN: &[&str] = &["id", "at", "event", "place", "flow", "cause", "origin", "root"];
    event.as_object().into_iter().flatten().filter(|(key, _)| !KNOWN.contains(&key.as_str()))
}

/// How much later, and which details are others.
fn change(before: &Value, after: &Value) -> String {
    let mut out = String::new();
    let at = |event: &Value| event["at"].as_u64().unwrap_or(0);
    let (was, is) = (at(before), at(after));
    if was != is {
        let way = if is > was { "later" } else { "earlier" };
        // Seconds with nine decimals, as in front of the line.
        let by = netarium::Instant::from_nanos(was.abs_diff(is));
        let _ = write!(out, "; {by} s {way}");
    }
    for (key, value) in details(after).filter(|(key, value)| before.get(key) != Some(value)) {
        let _ = write!(out, "; now {key}={value}");
    }
    out
}
