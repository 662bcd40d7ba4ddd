//! `LogFormat`: what a line of the access log has in it.
//!
//! A line is made in two steps: what the request says when it has been read, and the rest (status,
//! bytes, time) when the response is out.

use core::net::SocketAddr;
use std::fmt::{self, Write as _};
use std::rc::Rc;

use http::{HeaderMap, HeaderName, header};
use netarium_base::{Duration, Pid};

use crate::calendar::Date;

/// The longest format, characters.
const FORMAT_MAX: usize = 1_024;

/// A format, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogFormat(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// `%h`, `%a`
    Client,
    /// `%{c}p` is the client's, `%p` the server's.
    ClientPort,
    Local,
    LocalPort,
    /// `%t`
    Time,
    /// `%r`
    Line,
    Method,
    Path,
    Query,
    Protocol,
    Field(HeaderName),
    Cookie(String),
    /// `%v`, `%V`
    Site,
    Pid,
    Filled(Filled),
}

/// What is known at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// `%s`, `%>s`
    Status,
    /// `%O`: bytes sent, the head included.
    Sent,
    /// `%B`: bytes of the body.
    Body,
    /// `%b`: the same, with `-` for 0.
    BodyOrDash,
    /// `%I`: bytes received.
    Received,
    /// `%D`: microseconds.
    Micros,
    /// `%T`: seconds.
    Seconds,
}

/// What is known of a request when it has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) pid: Pid,
    pub(super) date: Date,
    /// The request line as it came; empty for none.
    pub(super) line: &'a [u8],
    pub(super) fields: &'a HeaderMap,
    pub(super) site: &'a str,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) status: u16,
    pub(super) sent: u64,
    pub(super) body: u64,
    pub(super) received: u64,
    pub(super) took: Duration,
}

/// A line that waits for the end of its response.
#[derive(Clone, Debug)]
pub(super) struct HalfLine {
    text: String,
    /// What is to be filled in, and before which byte of the text.
    holes: Vec<(usize, Filled)>,
}

impl LogFormat {
    /// `%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"`
    pub(super) fn combined() -> Rc<LogFormat> {
        let text = "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"";
        Rc::new(LogFormat::parse(text).unwrap_or_else(|_| LogFormat(Vec::new())))
    }

    /// `%h %l %u %t "%r" %>s %O`
    pub(super) fn common() -> Rc<LogFormat> {
        let text = "%h %l %u %t \"%r\" %>s %O";
        Rc::new(LogFormat::parse(text).unwrap_or_else(|_| LogFormat(Vec::new())))
    }

    /// Reads a format.
    pub(super) fn parse(text: &str) -> Result<LogFormat, String> {
        if text.len() > FORMAT_MAX {
            return Err(format!("a log format has at most {FORMAT_MAX} characters"));
        }
        let mut parts = Vec::new();
        let mut chars = text.chars();
        let mut plain = String::new();
        while let Some(c) = chars.next() {
            match c {
                '%' => match directive(&mut chars)? {
                    Part::Text(t) => plain.push_str(&t),
                    part => {
                        if !plain.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut plain)));
                        }
                        parts.push(part);
                    }
                },
                '\\' => match chars.next() {
                    Some('n') => plain.push('\n'),
                    Some('t') => plain.push('\t'),
                    other => plain.extend(other),
                },
                c => plain.push(c),
            }
        }
        parts.push(Part::Text(plain));
        Ok(LogFormat(parts))
    }

    /// What the request fills in.
    pub(super) fn asked(&self, asked: &Asked<'_>) -> HalfLine {
        let mut holes = Vec::with_capacity(4);
        let mut text = String::with_capacity(160);
        for part in &self.0 {
            match part {
                Part::Filled(hole) => holes.push((text.len(), *hole)),
                part => part.write(asked, &mut text),
            }
        }
        HalfLine { text, holes }
    }
}

fn directive(chars: &mut std::str::Chars<'_>) -> Result<Part, String> {
    let mut argument = None;
    loop {
        let c = chars.next().ok_or("a log format ends in the middle of a directive")?;
        return Ok(match c {
            '{' => {
                argument = Some(chars.by_ref().take_while(|c| *c != '}').collect::<String>());
                continue;
            }
            '<' | '>' => continue,
            '%' => Part::Text("%".to_owned()),
            'h' | 'a' => Part::Client,
            'A' => Part::Local,
            'l' | 'u' => Part::Text("-".to_owned()),
            't' => Part::Time,
            'r' => Part::Line,
            'm' => Part::Method,
            'U' => Part::Path,
            'q' => Part::Query,
            'H' => Part::Protocol,
            'v' | 'V' => Part::Site,
            'P' => Part::Pid,
            'p' if argument.as_deref() == Some("remote") => Part::ClientPort,
            'p' => Part::LocalPort,
            'i' => {
                let name = argument.as_deref().unwrap_or_default();
                Part::Field(
                    HeaderName::from_bytes(name.as_bytes())
                        .map_err(|_| format!("'{name}' is not a header name"))?,
                )
            }
            'C' => Part::Cookie(argument.take().unwrap_or_default()),
            's' => Part::Filled(Filled::Status),
            'O' => Part::Filled(Filled::Sent),
            'B' => Part::Filled(Filled::Body),
            'b' => Part::Filled(Filled::BodyOrDash),
            'I' => Part::Filled(Filled::Received),
            'D' => Part::Filled(Filled::Micros),
            'T' => Part::Filled(Filled::Seconds),
            c => return Err(format!("Unrecognized LogFormat directive %{c}")),
        });
    }
}

impl Part {
    fn write(&self, asked: &Asked<'_>, out: &mut String) {
        let words = || asked.line.split(|b| *b == b' ');
        let target = || words().nth(1).unwrap_or_default();
        let mark = || target().iter().position(|b| *b == b'?').unwrap_or(target().len());
        let _ = match self {
            Part::Text(text) => out.write_str(text),
            Part::Client => write!(out, "{}", asked.client.ip()),
            Part::ClientPort => write!(out, "{}", asked.client.port()),
            Part::Local => write!(out, "{}", asked.local.ip()),
            Part::LocalPort => write!(out, "{}", asked.local.port()),
            Part::Time => asked.date.write_log(out),
            Part::Line => escape_or_dash(asked.line, out),
            Part::Method => escape_or_dash(words().next().unwrap_or_default(), out),
            Part::Path => escape_into(&target()[..mark()], out),
            Part::Query => escape_into(&target()[mark()..], out),
            Part::Protocol => escape_into(words().nth(2).unwrap_or_default(), out),
            Part::Site => out.write_str(asked.site),
            Part::Pid => write!(out, "{}", asked.pid),
            Part::Field(name) => match asked.fields.get(name) {
                Some(value) => escape_into(value.as_bytes(), out),
                None => out.write_str("-"),
            },
            Part::Cookie(name) => {
                let field = asked.fields.get(header::COOKIE);
                match field.and_then(|v| cookie(v.as_bytes(), name)) {
                    Some(value) => escape_into(value, out),
                    None => out.write_str("-"),
                }
            }
            Part::Filled(_) => Ok(()),
        };
    }
}

fn escape_or_dash(bytes: &[u8], out: &mut String) -> fmt::Result {
    if bytes.is_empty() { out.write_str("-") } else { escape_into(bytes, out) }
}

fn cookie<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    field.split(|b| *b == b';').map(<[u8]>::trim_ascii).find_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        (&pair[..at] == name.as_bytes()).then_some(&pair[at + 1..])
    })
}

impl HalfLine {
    /// The whole line.
    pub(super) fn finish(&self, sent: &Sent) -> String {
        let mut out = String::with_capacity(self.text.len() + 40);
        let mut from = 0;
        for &(at, hole) in &self.holes {
            out.push_str(&self.text[from..at]);
            from = at;
            let _ = match hole {
                Filled::Status => write!(out, "{}", sent.status),
                Filled::Sent => write!(out, "{}", sent.sent),
                Filled::BodyOrDash if sent.body == 0 => out.write_str("-"),
                Filled::Body | Filled::BodyOrDash => write!(out, "{}", sent.body),
                Filled::Received => write!(out, "{}", sent.received),
                Filled::Micros => write!(out, "{}", sent.took.as_nanos() / 1_000),
                Filled::Seconds => write!(out, "{}", sent.took.as_nanos() / 1_000_000_000),
            };
        }
        out.push_str(&self.text[from..]);
        out
    }
}

/// As Apache writes what strangers sent: quotes, backslashes and what is not printable escaped.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    // Writing to a string does not fail.
    let _ = escape_into(bytes, &mut out);
    out
}

/// The same, behind a text.
fn escape_into(mut bytes: &[u8], out: &mut String) -> fmt::Result {
    let plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
    while !bytes.is_empty() {
        let run = bytes.iter().position(|b| !plain(b)).unwrap_or(bytes.len());
        let (fine, rest) = bytes.split_at(run);
        out.push_str(std::str::from_utf8(fine).map_err(|_| fmt::Error)?);
        let Some((&b, rest)) = rest.split_first() else { break };
        bytes = rest;
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(b));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => write!(out, "\\x{b:02x}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: &str) -> String {
        let mut fields = HeaderMap::new();
        fields.insert("user-agent", http::HeaderValue::from_static("x\"y"));
        fields.insert("cookie", http::HeaderValue::from_static("a=1; cart=soup"));
        let asked = Asked {
            client: "10.0.0.7:49152".parse().unwrap(),
            local: "10.0.0.1:80".parse().unwrap(),
            pid: Pid(100),
            date: Date::from_unix(1_795_356_857),
            line: b"GET /a?b=1 HTTP/1.1",
            fields: &fields,
            site: "www.shop.lab",
        };
        let took = Duration::from_millis(1_500);
        let sent = Sent { status: 200, sent: 473, body: 0, received: 80, took };
        LogFormat::parse(format).unwrap().asked(&asked).finish(&sent)
    }

    #[test]
    fn lines_look_like_apaches() {
        assert_eq!(
            line("%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""),
            "10.0.0.7 - - [22/Nov/2026:14:14:17 +0000] \"GET /a?b=1 HTTP/1.1\" 200 473 \"-\" \"x\\\"y\""
        );
        assert_eq!(
            line("%v:%p %{remote}p %A %m %U %q %H %b %B %I %D %T %P %{cart}C %%\\t."),
            "www.shop.lab:80 49152 10.0.0.1 GET /a ?b=1 HTTP/1.1 - 0 80 1500000 1 100 soup %\t."
        );
        assert_eq!(LogFormat::parse("%z").unwrap_err(), "Unrecognized LogFormat directive %z");
        assert!(LogFormat::parse("%{x").is_err() && LogFormat::parse(&"x".repeat(2_000)).is_err());
    }
}
