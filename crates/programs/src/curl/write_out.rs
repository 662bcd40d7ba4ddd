//! `-w`: what is told about a transfer after it.

use core::net::SocketAddr;
use std::fmt::Write as _;

use netarium_base::Instant;
use netarium_world::process::TcpStream;

use super::exchange::Request;
use super::request::VERSION;
use super::response::Head;

/// What is known about a transfer.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) url: String,
    pub(super) effective: String,
    pub(super) number: u64,
    pub(super) method: String,
    pub(super) file: String,
    pub(super) referer: Option<String>,
    pub(super) status: u16,
    pub(super) connect_status: u16,
    pub(super) http10: bool,
    pub(super) content_type: Option<String>,
    pub(super) redirect_url: Option<String>,
    pub(super) redirects: u32,
    pub(super) connects: u32,
    pub(super) header_bytes: usize,
    /// The fields of the last response.
    pub(super) fields: Vec<(String, String)>,
    pub(super) request_bytes: usize,
    pub(super) uploaded: u64,
    pub(super) received: u64,
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) started: Instant,
    pub(super) resolved: Option<Instant>,
    pub(super) connected: Option<Instant>,
    pub(super) asked: Option<Instant>,
    pub(super) first_byte: Option<Instant>,
    pub(super) redirected: Option<Instant>,
    pub(super) ended: Instant,
    pub(super) code: i32,
    pub(super) error: Option<String>,
}

/// A variable's value.
enum Value {
    Text(Option<String>),
    Number(u64),
    Seconds(u64),
}

/// The text for standard output and for standard error, and what is wrong with the format.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) unknown: Vec<String>,
}

/// In the order of `%{json}`.
const NAMES: &[&str] = &[
    "certs",
    "content_type",
    "errormsg",
    "exitcode",
    "filename_effective",
    "ftp_entry_path",
    "http_code",
    "http_connect",
    "http_version",
    "local_ip",
    "local_port",
    "method",
    "num_certs",
    "num_connects",
    "num_headers",
    "num_redirects",
    "proxy_ssl_verify_result",
    "redirect_url",
    "referer",
    "remote_ip",
    "remote_port",
    "response_code",
    "scheme",
    "size_download",
    "size_header",
    "size_request",
    "size_upload",
    "speed_download",
    "speed_upload",
    "ssl_verify_result",
    "time_appconnect",
    "time_connect",
    "time_namelookup",
    "time_pretransfer",
    "time_redirect",
    "time_starttransfer",
    "time_total",
    "url",
    "url_effective",
    "urlnum",
];

impl Report {
    pub(super) fn new(url: &str, number: u64, now: Instant) -> Report {
        Report {
            url: url.to_owned(),
            effective: url.to_owned(),
            number,
            method: "GET".to_owned(),
            file: String::new(),
            referer: None,
            status: 0,
            connect_status: 0,
            http10: false,
            content_type: None,
            redirect_url: None,
            redirects: 0,
            connects: 0,
            header_bytes: 0,
            fields: Vec::new(),
            request_bytes: 0,
            uploaded: 0,
            received: 0,
            local: None,
            remote: None,
            started: now,
            resolved: None,
            connected: None,
            asked: None,
            first_byte: None,
            redirected: None,
            ended: now,
            code: 0,
            error: None,
        }
    }

    /// A request is on its way.
    pub(super) fn asked(&mut self, request: &Request, stream: &TcpStream, now: Instant) {
        self.method.clone_from(&request.method);
        self.request_bytes += request.head.len();
        self.local = Some(stream.local_addr());
        self.remote = Some(stream.peer_addr());
        self.asked = Some(now);
    }

    /// Its answer has come.
    pub(super) fn answered(&mut self, head: &Head) {
        self.status = head.status;
        self.http10 = head.http10;
        self.content_type.clone_from(&head.content_type);
        self.header_bytes += head.size;
        self.fields.clone_from(&head.list);
    }

    /// The format with its variables filled in.
    pub(super) fn expand(&self, format: &str) -> Written {
        let mut written = Written::default();
        let mut text = String::new();
        let mut to_err = false;
        let mut rest = format;
        while let Some(at) = rest.find(['%', '\\']) {
            text.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((name, after)) =
                rest.strip_prefix("%header{").and_then(|r| r.split_once('}'))
            {
                text.push_str(self.header(name));
                rest = after;
            } else if let Some((name, after)) =
                rest.strip_prefix("%{").and_then(|r| r.split_once('}'))
            {
                rest = after;
                match name {
                    // The rest is for errors only.
                    "onerror" if self.code == 0 => rest = "",
                    "onerror" => {}
                    "stdout" | "stderr" => {
                        written.put(&mut text, to_err);
                        to_err = name == "stderr";
                    }
                    "json" => text.push_str(&self.json()),
                    "header_json" => text.push_str(&self.header_json()),
                    "http_code" | "response_code" => _ = write!(text, "{:03}", self.status),
                    "http_connect" => _ = write!(text, "{:03}", self.connect_status),
                    _ => match self.variable(name) {
                        Some(value) => text.push_str(&value.plain()),
                        None => written.unknown.push(name.to_owned()),
                    },
                }
            } else {
                let (sign, after) = escape(rest);
                text.push_str(sign);
                rest = after;
            }
        }
        text.push_str(rest);
        written.put(&mut text, to_err);
        written
    }

    fn header(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|f| f.0.eq_ignore_ascii_case(name));
        found.map_or("", |f| &f.1)
    }

    fn variable(&self, name: &str) -> Option<Value> {
        let text = |t: &str| Value::Text(Some(t.to_owned()));
        let ip = |a: Option<SocketAddr>| {
            Value::Text(Some(a.map(|a| a.ip().to_string()).unwrap_or_default()))
        };
        let port = |a: Option<SocketAddr>| Value::Number(a.map_or(0, |a| u64::from(a.port())));
        let connected = self.connected.is_some() || self.remote.is_some();
        Some(match name {
            "certs" => text(""),
            "http_code" | "response_code" => Value::Number(u64::from(self.status)),
            "http_connect" => Value::Number(u64::from(self.connect_status)),
            "http_version" if self.status == 0 => text("0"),
            "http_version" => text(if self.http10 { "1.0" } else { "1.1" }),
            "scheme" => Value::Text(connected.then(|| "HTTP".to_owned())),
            "url" => text(&self.url),
            "url_effective" => text(&self.effective),
            "urlnum" => Value::Number(self.number),
            "method" => text(&self.method),
            "filename_effective" => Value::Text((!self.file.is_empty()).then(|| self.file.clone())),
            "ftp_entry_path" => Value::Text(None),
            "referer" => Value::Text(self.referer.clone()),
            "content_type" => Value::Text(self.content_type.clone()),
            "redirect_url" => Value::Text(self.redirect_url.clone()),
            "errormsg" => Value::Text(self.error.clone()),
            "num_redirects" => Value::Number(u64::from(self.redirects)),
            "num_connects" => Value::Number(u64::from(self.connects)),
            "num_headers" => Value::Number(self.fields.len() as u64),
            "num_certs" | "ssl_verify_result" | "proxy_ssl_verify_result" => Value::Number(0),
            "size_header" => Value::Number(self.header_bytes as u64),
            "size_request" => Value::Number(self.request_bytes as u64),
            "size_upload" => Value::Number(self.uploaded),
            "size_download" => Value::Number(self.received),
            "speed_download" => Value::Number(self.speed(self.received)),
            "speed_upload" => Value::Number(self.speed(self.uploaded)),
            "local_ip" => ip(self.local),
            "local_port" => port(self.local),
            "remote_ip" => ip(self.remote),
            "remote_port" => port(self.remote),
            "exitcode" => Value::Number(u64::try_from(self.code).unwrap_or(0)),
            _ => Value::Seconds(self.time(name)?),
        })
    }

    /// Microseconds from the start; 0 for what has not been.
    fn time(&self, name: &str) -> Option<u64> {
        let at = match name {
            "time_appconnect" => None,
            "time_namelookup" => self.resolved,
            "time_connect" => self.connected,
            "time_pretransfer" => self.asked,
            "time_starttransfer" => self.first_byte,
            "time_redirect" => self.redirected,
            "time_total" => Some(self.ended),
            _ => return None,
        };
        Some(at.map_or(0, |t| t.since(self.started).as_micros()))
    }

    /// Bytes per second of virtual time.
    fn speed(&self, bytes: u64) -> u64 {
        let ns = u128::from(self.ended.since(self.started).as_nanos()).max(1);
        u64::try_from(u128::from(bytes) * 1_000_000_000 / ns).unwrap_or(u64::MAX)
    }

    fn json(&self) -> String {
        let mut out = "{".to_owned();
        for name in NAMES {
            let value = match self.variable(name) {
                Some(Value::Text(Some(text))) => quote(&text),
                Some(Value::Text(None)) | None => "null".to_owned(),
                Some(Value::Number(n)) => n.to_string(),
                Some(seconds @ Value::Seconds(_)) => seconds.plain(),
            };
            let _ = write!(out, "\"{name}\":{value},");
        }
        let _ = write!(out, "\"curl_version\":\"libcurl/{VERSION} netarium\"}}");
        out
    }

    /// Each name once, in the order of first appearance, with all its values.
    fn header_json(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in &self.fields {
            let name = name.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let field = |name: &String| {
            let same = self.fields.iter().filter(|f| f.0.eq_ignore_ascii_case(name));
            let all: Vec<String> = same.map(|f| quote(&f.1)).collect();
            format!("{}:[{}]", quote(name), all.join(","))
        };
        let all: Vec<String> = names.iter().map(field).collect();
        format!("{{{}\n}}", all.join(",\n"))
    }
}

impl Written {
    fn put(&mut self, text: &mut String, to_err: bool) {
        let place = if to_err { &mut self.err } else { &mut self.out };
        place.push_str(&std::mem::take(text));
    }
}

impl Value {
    fn plain(&self) -> String {
        match self {
            Value::Text(text) => text.clone().unwrap_or_default(),
            Value::Number(n) => n.to_string(),
            Value::Seconds(us) => format!("{}.{:06}", us / 1_000_000, us % 1_000_000),
        }
    }
}

/// A JSON string.
fn quote(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// One escape or a lone sign, and what follows it.
fn escape(rest: &str) -> (&str, &str) {
    for (from, to) in [("%%", "%"), ("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t")] {
        if let Some(after) = rest.strip_prefix(from) {
            return (to, after);
        }
    }
    rest.split_at(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_escapes_expand() {
        let mut r = Report::new("web", 0, Instant::ZERO);
        r.status = 200;
        r.received = 6;
        r.connected = Some(Instant::from_nanos(1_500_000));
        let written = r.expand(r"%{http_code} %{size_download} %{time_connect}%%|%x%{no}\n");
        assert_eq!(written.out, "200 6 0.001500%|%x\n");
        assert_eq!(written.unknown, ["no"]);
        let empty = Report::new("web", 0, Instant::ZERO);
        assert_eq!(empty.expand("%{http_code}%{é").out, "000%{é");
        assert_eq!(empty.expand("plain").out, "plain");
        assert_eq!(empty.expand("a%{onerror}b%{stderr}c").out, "a");
        assert_eq!(empty.expand("a%{stderr}b%{stdout}c").err, "b");
    }
}
