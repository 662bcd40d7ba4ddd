//! The server: one function from requests to answers, without a clock, that both curls meet.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What outlives a connection.
#[derive(Debug, Default)]
pub(crate) struct State {
    connections: usize,
    /// (connection, request), in the order in which they were complete.
    requests: Vec<(usize, String)>,
    hits: BTreeMap<String, u32>,
}

impl State {
    /// The requests as text, each with the number of its connection.
    pub(crate) fn wire(&self) -> Vec<String> {
        self.requests.iter().map(|(n, text)| format!("#{n} {text}")).collect()
    }
}

/// What the server says next.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) close: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    number: usize,
    buffer: Vec<u8>,
    continued: bool,
}

struct Request {
    method: String,
    target: String,
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |q| q.1);
        let pairs = query.split('&').filter_map(|p| p.split_once('='));
        pairs.filter(|p| p.0 == name).map(|p| decode(p.1)).collect()
    }
}

impl Conversation {
    pub(crate) fn new(state: &mut State) -> Conversation {
        state.connections += 1;
        Conversation { number: state.connections - 1, buffer: Vec::new(), continued: false }
    }

    /// Takes bytes of the client; answers what is complete.
    pub(crate) fn feed(&mut self, bytes: &[u8], state: &mut State) -> Reply {
        self.buffer.extend_from_slice(bytes);
        let mut reply = Reply::default();
        while !reply.close {
            let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { break };
            let head = String::from_utf8_lossy(&self.buffer[..at + 4]).into_owned();
            let body = &self.buffer[at + 4..];
            if field(&head, "expect").is_some() && !self.continued {
                self.continued = true;
                let hits = state.hits.entry("expect".to_owned()).or_default();
                *hits += 1;
                if head.contains("/refuse") && *hits == 1 {
                    let (status, more) = if head.contains("/refuse/close") {
                        ("405 Method Not Allowed", "Connection: close\r\n")
                    } else if head.contains("/refuse/405") {
                        ("405 Method Not Allowed", "")
                    } else if head.contains("/refuse/302") {
                        ("302 Found", "Location: /hello\r\n")
                    } else {
                        ("417 Expectation Failed", "")
                    };
                    state.requests.push((self.number, head));
                    let text = format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\n\r\n");
                    reply.bytes.extend_from_slice(text.as_bytes());
                    reply.close = more.starts_with("Connection");
                    self.buffer.drain(..at + 4);
                    self.continued = false;
                    continue;
                }
                reply.bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let Some((body, length)) = framed(&head, body) else { break };
            self.buffer.drain(..at + 4 + length);
            self.continued = false;
            let mut words = head.split(' ');
            let mut word = || words.next().unwrap_or("").to_owned();
            let (method, target) = (word(), word());
            let request = Request { method, target, head, body };
            let text = String::from_utf8_lossy(&request.body);
            let text =
                if text.len() > 3000 { format!("{} bytes", text.len()) } else { text.into() };
            state.requests.push((self.number, format!("{}{text}", request.head)));
            answer(&request, state, &mut reply);
        }
        reply
    }
}

/// The body and how many bytes it takes on the wire.
fn framed(head: &str, rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    if field(head, "transfer-encoding").is_none() {
        let n = field(head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        return (rest.len() >= n).then(|| (rest[..n].to_vec(), n));
    }
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let line = rest[at..].windows(2).position(|w| w == b"\r\n")?;
        let n = std::str::from_utf8(&rest[at..at + line]).ok()?;
        let n = usize::from_str_radix(n.trim(), 16).ok()?;
        at += line + 2;
        body.extend_from_slice(rest.get(at..at + n)?);
        at += n + 2;
        if rest.len() < at {
            return None;
        }
        if n == 0 {
            return Some((body, at));
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().skip(1).filter_map(|l| l.split_once(':'));
    fields.find(|f| f.0.eq_ignore_ascii_case(name)).map(|f| f.1.trim())
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let hex: String = bytes.by_ref().take(2).map(char::from).collect();
            out.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
        } else {
            out.push(b);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn say(reply: &mut Reply, status: &str, fields: &[(&str, &str)], body: &[u8], head_only: bool) {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !fields.iter().any(|f| f.0 == "Content-Length") {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    reply.bytes.extend_from_slice(head.as_bytes());
    if !head_only {
        reply.bytes.extend_from_slice(body);
    }
}

const TEXT: (&str, &str) = ("Content-Type", "text/plain");

/// `printf 'hello gzip\n' | gzip -n`
const GZIP: &[u8] = include_bytes!("hello.gz");

fn answer(r: &Request, state: &mut State, reply: &mut Reply) {
    let head = r.method == "HEAD";
    let target = r
        .target
        .strip_prefix("http://")
        .map_or(r.target.as_str(), |t| t.find('/').map_or("/", |at| &t[at..]));
    if r.method == "CONNECT" {
        let open = r.target.starts_with("example.test:");
        let status = if open { "200 Connection established" } else { "403 No" };
        return reply.bytes.extend_from_slice(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
    }
    let parts: Vec<&str> = target.split('?').next().unwrap_or("").split('/').skip(1).collect();
    match parts[..] {
        ["status", code] => {
            let reason = if code == "200" { "OK" } else { "Because" };
            let fields = [TEXT, ("X-Odd", "  two")];
            say(reply, &format!("{code} {reason}"), &fields, b"status body\n", head);
        }
        ["redirect", code] => {
            let to = r.query("to").pop().unwrap_or_else(|| "/hello".into());
            say(reply, &format!("{code} Moved"), &[("Location", &to)], b"moved\n", head);
        }
        ["loop"] => say(reply, "302 Found", &[("Location", "/loop")], b"", head),
        ["cookies", ..] => {
            let all = r.query("set");
            let mut fields = vec![TEXT];
            fields.extend(all.iter().map(|c| ("Set-Cookie", c.as_str())));
            let to = r.query("to").pop();
            if let Some(to) = &to {
                fields.push(("Location", to));
            }
            let status = if to.is_some() { "302 Found" } else { "200 OK" };
            say(reply, status, &fields, b"cookies\n", head);
        }
        ["range"] => range(r, reply, head),
        ["retry", n] => {
            let hits = state.hits.entry(r.target.clone()).or_default();
            *hits += 1;
            if *hits <= n.parse().unwrap_or(0) {
                say(reply, "503 Busy", &[("Retry-After", "1")], b"busy\n", head);
            } else {
                say(reply, "200 OK", &[TEXT], b"at last\n", head);
            }
        }
        ["auth"] if r.field("authorization").is_some_and(|a| a.starts_with("Basic ")) => {
            say(reply, "200 OK", &[TEXT], b"welcome\n", head);
        }
        ["auth"] => {
            let ask = ("WWW-Authenticate", "Basic realm=\"lab\"");
            say(reply, "401 Unauthorized", &[ask], b"who are you?\n", head);
        }
        ["gzip"] => {
            let fields = [TEXT, ("Content-Encoding", "gzip")];
            say(reply, "200 OK", &fields, GZIP, head);
        }
        ["file", ..] => {
            let name = r.query("name").pop().unwrap_or_default();
            say(reply, "200 OK", &[("Content-Disposition", &name)], b"contents\n", head);
        }
        ["tagged"] => {
            let fields = [("ETag", "\"v1\""), ("Last-Modified", "Sun, 01 Mar 2020 10:00:00 GMT")];
            let same = r.field("if-none-match") == Some("\"v1\"");
            let status = if same { "304 Not Modified" } else { "200 OK" };
            say(reply, status, &fields, if same { b"" } else { b"tagged\n" }, head);
        }
        ["big"] => {
            let body: Vec<u8> = (0..200_000u32).map(|n| b'a' + (n % 26) as u8).collect();
            say(reply, "200 OK", &[TEXT], &body, head);
        }
        ["echo", ..] => {
            let mut body = format!("{} {}\n", r.method, r.target).into_bytes();
            body.extend_from_slice(&r.body);
            say(reply, "200 OK", &[TEXT], &body, head);
        }
        _ => raw(r, parts.first().copied().unwrap_or(""), reply, head),
    }
}

fn range(r: &Request, reply: &mut Reply, head: bool) {
    let all = b"0123456789abcdefghij";
    let Some(range) = r.field("range").and_then(|v| v.strip_prefix("bytes=")) else {
        return say(reply, "200 OK", &[("Accept-Ranges", "bytes")], all, head);
    };
    let (from, to) = range.split_once('-').unwrap_or((range, ""));
    let from: usize = from.parse().unwrap_or(0);
    let to: usize = to.parse().unwrap_or(all.len() - 1);
    if from >= all.len() {
        let fields = [("Content-Range", "bytes */20")];
        return say(reply, "416 Range Not Satisfiable", &fields, b"", head);
    }
    let content_range = format!("bytes {from}-{to}/20");
    say(reply, "206 Partial Content", &[("Content-Range", &content_range)], &all[from..=to], head);
}

/// Answers that are not well-formed, or end with the connection.
fn raw(r: &Request, what: &str, reply: &mut Reply, head: bool) {
    let (bytes, close): (&[u8], bool) = match what {
        "" | "hello" => return say(reply, "200 OK", &[TEXT], b"hello\n", head),
        "chunked" => (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nchunk \r\n7\r\nby chun\r\n2\r\nk\n\r\n0\r\n\r\n",
            false,
        ),
        "trailer" => (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
            false,
        ),
        "close" => (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end\n", true),
        "nosize" => (b"HTTP/1.1 200 OK\r\n\r\nuntil the end\n", true),
        "http10" => (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nold\n", true),
        "http10keep" => {
            (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 4\r\n\r\nold\n", false)
        }
        "empty" => (b"", true),
        "short" => (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", true),
        "shortchunk" => (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", true),
        "garbage" => (b"SSH-2.0-OpenSSH\r\n", true),
        "badlength" => (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", true),
        "nocontent" => (b"HTTP/1.1 204 No Content\r\n\r\n", false),
        "early" => (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", false),
        "folded" => (b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 3\r\n\r\nok\n", false),
        _ => return say(reply, "404 Not Found", &[TEXT], b"no such thing\n", head),
    };
    let _ = r.path();
    let cut = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    reply.bytes.extend_from_slice(if head { &bytes[..cut] } else { bytes });
    reply.close = close;
}
