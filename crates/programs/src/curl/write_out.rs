//! `-w`: what is told about a transfer after it.

use core::net::SocketAddr;
use std::fmt::Write as _;

use netarium_base::Instant;

/// What is known about a transfer.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) url: String,
    pub(super) effective: String,
    pub(super) number: usize,
    pub(super) method: String,
    pub(super) file: String,
    pub(super) status: u16,
    pub(super) http10: bool,
    pub(super) content_type: Option<String>,
    pub(super) redirect_url: Option<String>,
    pub(super) redirects: u32,
    pub(super) connects: u32,
    pub(super) header_bytes: usize,
    pub(super) header_fields: usize,
    pub(super) request_bytes: usize,
    pub(super) uploaded: u64,
    pub(super) received: u64,
    pub(super) local: Option<SocketAddr>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) started: Instant,
    pub(super) resolved: Option<Instant>,
    pub(super) connected: Option<Instant>,
    pub(super) first_byte: Option<Instant>,
    pub(super) ended: Instant,
    pub(super) code: i32,
    pub(super) error: String,
}

impl Report {
    pub(super) fn new(url: &str, number: usize, now: Instant) -> Report {
        Report {
            url: url.to_owned(),
            effective: url.to_owned(),
            number,
            method: String::new(),
            file: String::new(),
            status: 0,
            http10: false,
            content_type: None,
            redirect_url: None,
            redirects: 0,
            connects: 0,
            header_bytes: 0,
            header_fields: 0,
            request_bytes: 0,
            uploaded: 0,
            received: 0,
            local: None,
            remote: None,
            started: now,
            resolved: None,
            connected: None,
            first_byte: None,
            ended: now,
            code: 0,
            error: String::new(),
        }
    }

    /// The format with its variables filled in, and the names that are not variables.
    pub(super) fn expand(&self, format: &str) -> (String, Vec<String>) {
        let (mut out, mut unknown) = (String::new(), Vec::new());
        let mut rest = format;
        while let Some(at) = rest.find(['%', '\\']) {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("%{")
                && let Some((name, after)) = after.split_once('}')
            {
                match self.variable(name) {
                    Some(value) => out.push_str(&value),
                    None => unknown.push(name.to_owned()),
                }
                rest = after;
            } else {
                let (text, after) = escape(rest);
                out.push_str(text);
                rest = after;
            }
        }
        out.push_str(rest);
        (out, unknown)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let ip = |a: Option<SocketAddr>| a.map(|a| a.ip().to_string()).unwrap_or_default();
        let port = |a: Option<SocketAddr>| a.map_or(0, |a| a.port()).to_string();
        Some(match name {
            "http_code" | "response_code" => format!("{:03}", self.status),
            "http_version" if self.status == 0 => "0".to_owned(),
            "http_version" => if self.http10 { "1.0" } else { "1.1" }.to_owned(),
            "scheme" => "HTTP".to_owned(),
            "url" => self.url.clone(),
            "url_effective" => self.effective.clone(),
            "urlnum" => self.number.to_string(),
            "method" => self.method.clone(),
            "filename_effective" => self.file.clone(),
            "content_type" => self.content_type.clone().unwrap_or_default(),
            "redirect_url" => self.redirect_url.clone().unwrap_or_default(),
            "num_redirects" => self.redirects.to_string(),
            "num_connects" => self.connects.to_string(),
            "num_headers" => self.header_fields.to_string(),
            "size_header" => self.header_bytes.to_string(),
            "size_request" => self.request_bytes.to_string(),
            "size_upload" => self.uploaded.to_string(),
            "size_download" => self.received.to_string(),
            "speed_download" => self.speed().to_string(),
            "local_ip" => ip(self.local),
            "local_port" => port(self.local),
            "remote_ip" => ip(self.remote),
            "remote_port" => port(self.remote),
            "time_namelookup" => self.since(self.resolved),
            "time_connect" | "time_pretransfer" => self.since(self.connected),
            "time_starttransfer" => self.since(self.first_byte),
            "time_total" => self.since(Some(self.ended)),
            "exitcode" => self.code.to_string(),
            "errormsg" => self.error.clone(),
            _ => return None,
        })
    }

    /// Bytes per second of virtual time.
    fn speed(&self) -> u128 {
        let ns = u128::from(self.ended.since(self.started).as_nanos()).max(1);
        u128::from(self.received) * 1_000_000_000 / ns
    }

    /// Seconds from the start, with microseconds.
    fn since(&self, at: Option<Instant>) -> String {
        let us = at.map_or(0, |t| t.since(self.started).as_micros());
        let mut text = String::new();
        let _ = write!(text, "{}.{:06}", us / 1_000_000, us % 1_000_000);
        text
    }
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
        let (text, unknown) =
            r.expand(r"%{http_code} %{size_download} %{time_connect}%%|%x%{no}\n");
        assert_eq!(text, "200 6 0.001500%|%x\n");
        assert_eq!(unknown, ["no"]);
        assert_eq!(Report::new("web", 0, Instant::ZERO).expand("%{http_code}%{é").0, "000%{é");
    }
}
