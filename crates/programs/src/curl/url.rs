//! URLs as curl reads them: a scheme may be missing, dot segments are removed, spaces are wrong.

use core::net::Ipv6Addr;

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The scheme in lower case: `http`.
    pub scheme: String,
    /// `user:password`, decoded, when the URL has one.
    pub userinfo: Option<String>,
    /// The host without brackets.
    pub host: String,
    /// The port as written; none when the scheme's own is meant.
    pub port: Option<u16>,
    /// Path and query as they stand in a request: starts with `/`, no fragment.
    pub target: String,
}

/// Why a text is not a URL curl would fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUrl;

impl Url {
    /// Reads a URL. Without a scheme, `http` is meant.
    pub fn parse(text: &str) -> Result<Url, BadUrl> {
        Self::read(text, false)
    }

    /// As [`parse`](Self::parse), but with dot segments left as they are (`--path-as-is`).
    pub(super) fn parse_as_is(text: &str) -> Result<Url, BadUrl> {
        Self::read(text, true)
    }

    fn read(text: &str, as_is: bool) -> Result<Url, BadUrl> {
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(BadUrl);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((s, rest)) if is_scheme(s) => (s.to_ascii_lowercase(), rest),
            Some(_) if !text.contains(['/', '?', '#']) => return Err(BadUrl),
            _ => ("http".to_owned(), text),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((u, h)) => (Some(unescape(u).ok_or(BadUrl)?), h),
            None => (None, authority),
        };
        // A file's URL names no host (RFC 8089 §2); the scheme is refused elsewhere.
        let (host, port) = match scheme.as_str() {
            "file" if host_port.is_empty() => (String::new(), None),
            _ => split_port(host_port)?,
        };
        Ok(Url { scheme, userinfo, host, port, target: target(tail, as_is) })
    }

    /// The port to connect to: as written, or 80 (443 for https).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == "https" { 443 } else { 80 })
    }

    /// The value of the `Host` field: the port is left out when it is the scheme's own.
    pub fn host_field(&self) -> String {
        let host = self.bracketed();
        let default = if self.scheme == "https" { 443 } else { 80 };
        match self.port {
            Some(p) if p != default => format!("{host}:{p}"),
            _ => host,
        }
    }

    /// The host, in brackets when it is an IPv6 address.
    pub fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("/")
    }

    /// Puts `more` behind the query, or makes it the query.
    pub(super) fn add_query(&mut self, more: &str) {
        let glue = if self.target.contains('?') { '&' } else { '?' };
        self.target.push(glue);
        self.target.push_str(&more.replace(|c: char| c.is_whitespace() || c.is_control(), "+"));
    }

    /// Puts a file's name behind a path that ends in a slash (`-T`).
    pub(super) fn add_file(&mut self, name: &str) {
        let name = super::form::urlencode(name.as_bytes()).replace('+', "%20");
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path.to_owned(), format!("?{query}")),
            None => (self.target.clone(), String::new()),
        };
        if path.ends_with('/') {
            self.target = format!("{path}{name}{query}");
        }
    }

    /// The last part of the path, for `-O`; empty when there is none.
    pub fn file_name(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or("");
        path.rsplit('/').next().unwrap_or("")
    }

    /// Resolves the reference in a `Location` field against this URL (RFC 3986 §5.2).
    pub fn join(&self, reference: &str) -> Result<Url, BadUrl> {
        if let Some((scheme, _)) = reference.split_once("://")
            && is_scheme(scheme)
        {
            return Url::parse(reference);
        }
        let joined = if let Some(rest) = reference.strip_prefix("//") {
            return Url::parse(&format!("{}://{rest}", self.scheme));
        } else if reference.starts_with('/') {
            reference.to_owned()
        } else {
            let path = self.target.split('?').next().unwrap_or("/");
            if reference.starts_with('?') {
                format!("{path}{reference}")
            } else {
                let directory = path.rfind('/').map_or("/", |at| &path[..=at]);
                format!("{directory}{reference}")
            }
        };
        if joined.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(BadUrl);
        }
        Ok(Url { target: target(&joined, false), ..self.clone() })
    }

    /// The URL in full, as `%{url_effective}` and «Issue another request» print it.
    pub fn full(&self) -> String {
        let port = self.port.map(|p| format!(":{p}")).unwrap_or_default();
        format!("{}://{}{port}{}", self.scheme, self.bracketed(), self.target)
    }
}

fn is_scheme(s: &str) -> bool {
    s.starts_with(|c: char| c.is_ascii_alphabetic())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn split_port(text: &str) -> Result<(String, Option<u16>), BadUrl> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(BadUrl)?;
        let address: Ipv6Addr = address.parse().map_err(|_| BadUrl)?;
        match after.strip_prefix(':') {
            Some(p) => (address.to_string(), Some(p)),
            None if after.is_empty() => (address.to_string(), None),
            None => return Err(BadUrl),
        }
    } else {
        match text.split_once(':') {
            Some((h, p)) => (h.to_owned(), Some(p)),
            None => (text.to_owned(), None),
        }
    };
    let bad = |c: char| c.is_ascii() && !(c.is_ascii_alphanumeric() || "-._~:".contains(c));
    if host.is_empty() || host.contains(bad) {
        return Err(BadUrl);
    }
    let port = match port {
        None | Some("") => None,
        Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => Some(p.parse().map_err(|_| BadUrl)?),
        Some(_) => return Err(BadUrl),
    };
    Ok((host, port))
}

/// Path and query without fragment, dot segments removed (RFC 3986 §5.2.4), bytes beyond ASCII
/// percent-encoded.
fn target(tail: &str, as_is: bool) -> String {
    let tail = tail.split('#').next().unwrap_or("");
    let (path, query) = match tail.split_once('?') {
        Some((p, q)) => (p, Some(q)),
        None => (tail, None),
    };
    let mut out = if as_is {
        escape(&format!("/{}", path.strip_prefix('/').unwrap_or(path)))
    } else {
        escape(&remove_dots(path))
    };
    if let Some(q) = query {
        out.push('?');
        out.push_str(&escape(q));
    }
    out
}

fn remove_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(s) = segments.next() {
        let last = segments.peek().is_none();
        match s {
            "." | ".." => {
                if s == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            _ => kept.push(s),
        }
    }
    format!("/{}", kept.join("/"))
}

fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii() {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02x}");
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let hi = char::from(bytes.next()?).to_digit(16)?;
            let lo = char::from(bytes.next()?).to_digit(16)?;
            out.push((hi * 16 + lo) as u8);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_read_as_curl_reads_them() {
        for (text, full, host) in [
            ("web", "http://web/", "web"),
            ("10.0.0.2:80", "http://10.0.0.2:80/", "10.0.0.2"),
            ("10.0.0.2?x", "http://10.0.0.2/?x", "10.0.0.2"),
            ("HTTP://10.0.0.2:8080/A/../a.txt#f", "http://10.0.0.2:8080/a.txt", "10.0.0.2:8080"),
            ("http://[::1]:81/x/./y/..", "http://[::1]:81/x/", "[::1]:81"),
            ("http://u:p%40@h/가", "http://h/%ea%b0%80", "h"),
            ("https://h:443", "https://h:443/", "h"),
            ("a/b://c", "http://a/b://c", "a"),
            ("http://h/a/../../b", "http://h/b", "h"),
        ] {
            let url = Url::parse(text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!((url.full().as_str(), url.host_field().as_str()), (full, host), "{text}");
        }
        assert_eq!(Url::parse("http://u:p%40@h/").unwrap().userinfo.as_deref(), Some("u:p@"));
    }

    #[test]
    fn what_curl_refuses_is_refused() {
        for bad in [
            "",
            "http:///",
            "http://a b/",
            "http://10.0.0.2:99999/",
            "http://10.0.0.2:8a/",
            "http://[::1/",
            "http://[::zz]/",
            "http://a%zz@h/",
            "http://a<b/",
            "http://h/\n",
        ] {
            assert_eq!(Url::parse(bad), Err(BadUrl), "{bad}");
        }
    }

    #[test]
    fn locations_are_joined() {
        let base = Url::parse("http://h:81/a/b?q").unwrap();
        for (reference, full) in [
            ("/x", "http://h:81/x"),
            ("x", "http://h:81/a/x"),
            ("../x", "http://h:81/x"),
            ("?y", "http://h:81/a/b?y"),
            ("//o/z", "http://o/z"),
            ("http://o:8/z", "http://o:8/z"),
        ] {
            assert_eq!(base.join(reference).unwrap().full(), full, "{reference}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(http://)?([a-z:/?#@%\\[\\].]|\\PC){0,40}") {
            if let Ok(url) = Url::parse(&text) {
                proptest::prop_assert!(url.target.starts_with('/'));
                let _ = url.join(&text);
            }
        }
    }
}
