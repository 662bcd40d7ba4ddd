//! The first line of an HTTP message, in tcpdump's words.

use super::{Printer, Seen};

/// Methods that tcpdump knows.
const METHODS: [&str; 37] = [
    "GET",
    "PUT",
    "COPY",
    "HEAD",
    "LOCK",
    "MOVE",
    "POLL",
    "POST",
    "BCOPY",
    "BMOVE",
    "MKCOL",
    "TRACE",
    "LABEL",
    "MERGE",
    "DELETE",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "UPDATE",
    "NOTIFY",
    "BDELETE",
    "CONNECT",
    "OPTIONS",
    "CHECKIN",
    "PROPFIND",
    "CHECKOUT",
    "CCM_POST",
    "SUBSCRIBE",
    "PROPPATCH",
    "BPROPFIND",
    "BPROPPATCH",
    "UNCHECKOUT",
    "MKACTIVITY",
    "MKWORKSPACE",
    "UNSUBSCRIBE",
    "RPC_CONNECT",
    "PATCH",
];

/// The longest first word that is looked at.
const WORD_MAX: usize = 127;

/// Prints `: HTTP` and the first line, when `payload` begins with one. On HTTP's own ports
/// (`expected`) `: HTTP` stands behind every payload.
pub(super) fn print(p: &mut Printer<'_>, expected: bool, payload: Seen<'_>) {
    let starts = is_start_line(payload);
    if !(expected || starts && mentions_http(payload.b)) {
        return;
    }
    put!(p, ": HTTP");
    if starts {
        first_line(p, payload);
    }
}

fn is_start_line(payload: Seen<'_>) -> bool {
    let Some((word, rest)) = word(payload) else { return false };
    if METHODS.iter().any(|m| m.as_bytes().eq_ignore_ascii_case(word)) {
        return true;
    }
    self::word(rest)
        .is_some_and(|(status, _)| status.len() == 3 && status.iter().all(u8::is_ascii_digit))
}

/// The first word and what follows the spaces behind it. A word that the capture cut is none.
fn word(text: Seen<'_>) -> Option<(&[u8], Seen<'_>)> {
    let b = text.b;
    let found = b.iter().position(|c| c.is_ascii_whitespace() || *c == 0x0b);
    let end = found.or_else(|| (text.len == b.len()).then_some(b.len()))?;
    let word = &b[..end];
    if word.is_empty() || end > WORD_MAX || !word.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let spaces = b[end..].iter().take_while(|c| **c == b' ').count();
    Some((word, text.skip(end + spaces)))
}

/// On a port that is not HTTP's, only a line that names the protocol is believed.
fn mentions_http(b: &[u8]) -> bool {
    let line = b.split(|c| *c == b'\n').next().unwrap_or(b);
    line.windows(5).any(|w| w == b"HTTP/")
}

/// The line, unless it has bytes that are not text. A line without an end is marked `[|http]`.
fn first_line(p: &mut Printer<'_>, payload: Seen<'_>) {
    let b = payload.b;
    let text = |c: &u8| *c == b'\t' || (b' '..=b'~').contains(c);
    let end = b.iter().position(|c| !text(c)).unwrap_or(b.len());
    let whole = match b[end..] {
        [b'\n', ..] | [b'\r', b'\n', ..] => true,
        [] => false,
        [b'\r'] if payload.len > b.len() => false,
        _ => return,
    };
    // Where the capture cut the line, tcpdump does not print its start.
    if whole || payload.len == b.len() {
        put!(p, ": {}", String::from_utf8_lossy(&b[..end]));
    }
    if !whole {
        put!(p, " [|http]");
    }
}
