//! Protocols of text, in tcpdump's words: HTTP first of all.

use super::{Cut, Printer, Seen};

/// A protocol of text.
#[derive(Clone, Copy)]
pub(super) struct Text {
    name: &'static str,
    /// Its name where something is cut off.
    layer: &'static str,
    /// The first words of what is printed, besides answers with a number of three digits; none:
    /// everything is printed.
    words: Option<&'static [&'static str]>,
}

pub(super) const HTTP: Text = Text { name: "HTTP", layer: "http", words: Some(&METHODS) };
pub(super) const RTSP: Text = Text { name: "RTSP", layer: "rtsp", words: Some(&RTSP_METHODS) };
pub(super) const SMTP: Text = Text { name: "SMTP", layer: "smtp", words: None };
pub(super) const FTP: Text = Text { name: "FTP", layer: "ftp", words: None };
pub(super) const WHOIS: Text = Text { name: "WHOIS", layer: "whois", words: None };

/// Methods of HTTP that tcpdump knows.
const METHODS: [&str; 38] = [
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
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

/// Methods of RTSP that tcpdump knows.
const RTSP_METHODS: [&str; 11] = [
    "DESCRIBE",
    "ANNOUNCE",
    "GET_PARAMETER",
    "OPTIONS",
    "PAUSE",
    "PLAY",
    "RECORD",
    "REDIRECT",
    "SETUP",
    "SET_PARAMETER",
    "TEARDOWN",
];

/// The longest first word that is looked at.
const WORD_MAX: usize = 127;

/// Prints the protocol's name and the first line, or with `-v` all lines, of what begins with a
/// request or an answer.
pub(super) fn print(p: &mut Printer<'_>, text: Text, payload: Seen<'_>) -> Result<(), Cut> {
    put!(p, "{}", text.name);
    if text.words.is_some_and(|words| !is_start_line(payload, words)) {
        return Ok(());
    }
    if p.o.verbose == 0 {
        return lines(p, text.layer, ": ", payload, 1);
    }
    put!(p, ", length: {}", payload.len);
    lines(p, text.layer, "\n\t", payload, usize::MAX)
}

/// Prints `: HTTP` and the first line, when `payload` begins with one. On HTTP's own ports
/// (`expected`) `: HTTP` stands behind every payload.
pub(super) fn print_anywhere(
    p: &mut Printer<'_>,
    expected: bool,
    payload: Seen<'_>,
) -> Result<(), Cut> {
    // RFC 5789 is younger than tcpdump's list.
    let starts = is_start_line(payload, &METHODS) || is_start_line(payload, &["PATCH"]);
    if !(expected || starts && mentions_http(payload.b)) {
        return Ok(());
    }
    put!(p, ": HTTP");
    if starts { lines(p, HTTP.layer, ": ", payload, 1) } else { Ok(()) }
}

/// RFC 4253 §4.2: the line that names the version.
pub(super) fn ssh(p: &mut Printer<'_>, payload: Seen<'_>) -> Result<(), Cut> {
    let b = payload.b;
    if b.len() < 4 && payload.len >= 4 && b"SSH-".starts_with(b) {
        return Err(Cut::here("ssh"));
    }
    if !b.starts_with(b"SSH-") {
        return Ok(());
    }
    let end = b.iter().position(|c| !(b' '..=b'~').contains(c)).unwrap_or(b.len());
    if matches!(b[end..], [b'\n', ..] | [b'\r', b'\n', ..]) {
        put!(p, ": SSH: {}", String::from_utf8_lossy(&b[..end]));
    } else if end == b.len() && payload.len > b.len() {
        return Err(Cut::here("ssh"));
    }
    Ok(())
}

fn is_start_line(payload: Seen<'_>, words: &[&str]) -> bool {
    let Some((word, rest)) = word(payload) else { return false };
    if words.iter().any(|m| m.as_bytes().eq_ignore_ascii_case(word)) {
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

/// At most `most` lines, each behind `prefix`, until one has bytes that are not text. A line without
/// an end is marked `[|http]`.
fn lines(
    p: &mut Printer<'_>,
    layer: &'static str,
    prefix: &str,
    payload: Seen<'_>,
    most: usize,
) -> Result<(), Cut> {
    let mut rest = payload;
    for _ in 0..most {
        if rest.len == 0 {
            break;
        }
        let b = rest.b;
        let text = |c: &u8| *c == b'\t' || (b' '..=b'~').contains(c);
        let end = b.iter().position(|c| !text(c)).unwrap_or(b.len());
        let line_end = match b[end..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            [b'\r'] if rest.len > b.len() => 0,
            _ => break,
        };
        // Where the capture cut the line, tcpdump does not print its start.
        if line_end > 0 || rest.len == b.len() {
            put!(p, "{prefix}{}", String::from_utf8_lossy(&b[..end]));
        }
        if line_end == 0 {
            return Err(Cut { layer, far: rest.len > b.len() });
        }
        rest = rest.skip(end + line_end);
    }
    Ok(())
}
