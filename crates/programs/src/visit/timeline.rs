//! The waterfall: what took how long, side by side.

use netarium_base::Instant;
use serde_json::json;

use super::fetch::Timing;
use super::log::ms;

/// Columns of the bars.
const WIDTH: u64 = 40;
/// Columns of URLs.
const URL: usize = 36;

/// The timeline as text.
pub(super) fn draw(timings: &[Timing], start: Instant) -> String {
    let us = |t: Instant| t.since(start).as_micros();
    let end = timings.iter().map(|t| us(t.end)).max().unwrap_or(0).max(1);
    let mut all: Vec<&Timing> = timings.iter().collect();
    all.sort_by_key(|t| (us(t.start), t.resource));
    let mut out = format!(
        "\ntimeline of {}: . cache, name, cookies   - connection   = waiting for the answer   # receiving\n",
        ms(end)
    );
    for t in all {
        let column = |at: Instant| us(at) * WIDTH / end;
        let marks = [(Some(t.start), '.'), (t.connecting, '-'), (t.sent, '='), (t.first_byte, '#')];
        let mut bar = String::new();
        for c in 0..WIDTH {
            let reached = marks.iter().rev().find(|m| m.0.is_some_and(|at| column(at) <= c));
            let over = c > column(t.end) || (c == column(t.end) && column(t.end) > column(t.start));
            bar.push(reached.filter(|_| !over).map_or(' ', |m| m.1));
        }
        let took = t.end.since(t.start).as_micros();
        let shown: String = if t.url.chars().count() > URL {
            t.url.chars().take(URL - 1).chain(['…']).collect()
        } else {
            t.url.clone()
        };
        out.push_str(&format!(
            "{:>4} {:<7} {:>9} {shown:<URL$} |{bar}| {:>12}\n",
            format!("[{}]", t.resource),
            t.outcome.chars().take(7).collect::<String>(),
            format!("{} B", t.bytes),
            ms(took)
        ));
    }
    out
}

/// The timeline for programs: one line a request, in microseconds from the start.
pub(super) fn as_json(timings: &[Timing], start: Instant) -> String {
    let us = |t: Instant| t.since(start).as_micros();
    let mut out = String::new();
    for t in timings {
        let line = json!({
            "kind": "timing",
            "resource": t.resource,
            "url": t.url,
            "outcome": t.outcome,
            "bytes": t.bytes,
            "start_us": us(t.start),
            "connecting_us": t.connecting.map(us),
            "sent_us": t.sent.map(us),
            "first_byte_us": t.first_byte.map(us),
            "end_us": us(t.end),
        });
        out.push_str(&format!("{line}\n"));
    }
    out
}
