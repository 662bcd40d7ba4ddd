//! Building the request: fields in curl's order, changed, removed and added by `-H`.

use netarium_base::Duration;

use super::options::Options;
use super::url::Url;
use crate::calendar::Date;

/// The version in `User-Agent` and of the layouts.
pub(super) const VERSION: &str = "7.88.1";
/// A larger body waits for `100 Continue`.
const EXPECT_BODY: usize = 1024 * 1024;
/// How long it waits, unless told otherwise.
const EXPECT_PATIENCE: Duration = Duration::from_secs(1);

/// What a request is about; decides how redirects change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Head,
    Post,
    Put,
}

impl Verb {
    /// The method, unless `-X` says another.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Head => "HEAD",
            Verb::Post => "POST",
            Verb::Put => "PUT",
        }
    }
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    /// `-d`.
    Data(Vec<u8>),
    /// `-F`.
    Form {
        boundary: String,
        bytes: Vec<u8>,
    },
    /// `-T`; `whole` is the size of the file it is the end of, unknown for standard input.
    Upload {
        bytes: Vec<u8>,
        whole: Option<u64>,
    },
}

impl Body {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Body::None => &[],
            Body::Data(bytes) | Body::Form { bytes, .. } | Body::Upload { bytes, .. } => bytes,
        }
    }
}

/// What a request is made of, besides the options.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) o: &'a Options,
    pub(super) url: &'a Url,
    pub(super) verb: Verb,
    pub(super) body: &'a Body,
    /// The value of `Authorization`.
    pub(super) authorization: Option<String>,
    /// The value of `Proxy-Authorization`.
    pub(super) proxy_authorization: Option<String>,
    /// The request goes to a proxy, which needs the whole URL.
    pub(super) proxied: bool,
    /// Whether this host may be told secrets of `-H`.
    pub(super) trusted: bool,
    pub(super) cookies: Option<String>,
    pub(super) referer: Option<&'a str>,
    /// Where `-C` goes on.
    pub(super) resume: u64,
    /// `--etag-compare`.
    pub(super) etag: Option<&'a str>,
    pub(super) http10: bool,
    /// The server has said that it does not want `Expect`.
    pub(super) no_expect: bool,
}

/// The head, and what it promises about the body.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) method: String,
    pub(super) head: Vec<u8>,
    pub(super) chunked: bool,
    pub(super) expect: Option<Duration>,
}

impl Ask<'_> {
    pub(super) fn build(&self) -> Built {
        let o = self.o;
        let method = o.method.clone().unwrap_or_else(|| self.verb.name().to_owned());
        let version = if self.http10 { "1.0" } else { "1.1" };
        let mut out = format!("{method} {} HTTP/{version}\r\n", self.target());
        for (name, value) in self.standard() {
            if self.custom(name).is_none() {
                out.push_str(&format!("{name}: {value}\r\n"));
            } else if name == "Host"
                && let Some(Custom::Value(v)) = self.custom(name)
            {
                out.push_str(&format!("Host:{v}\r\n"));
            }
        }
        let lines: Vec<String> = o.headers.iter().cloned().chain(self.extra()).collect();
        for line in &lines {
            out.push_str(&self.custom_line(line));
        }
        let expect = self.body_fields(&mut out);
        out.push_str("\r\n");
        let asked = expect || matches!(self.custom("expect"), Some(Custom::Value(_)));
        let patience = o.expect_timeout.unwrap_or(EXPECT_PATIENCE);
        let wait = asked && !self.body.bytes().is_empty() && !self.http10;
        Built {
            method,
            head: out.into_bytes(),
            chunked: self.chunked() && !matches!(self.body, Body::None),
            expect: wait.then_some(patience),
        }
    }

    fn target(&self) -> String {
        match &self.o.target {
            Some(target) => target.clone(),
            None if self.proxied => self.url.full(),
            None => self.url.target.clone(),
        }
    }

    fn standard(&self) -> Vec<(&'static str, String)> {
        let o = self.o;
        let mut fields = vec![("Host", self.url.host_field())];
        let mut put = |name, value: Option<String>| fields.extend(value.map(|v| (name, v)));
        put("Proxy-Authorization", self.proxy_authorization.clone());
        put("Authorization", self.authorization.clone());
        put("Range", self.range().map(|r| format!("bytes={r}")));
        put("Content-Range", self.content_range());
        let agent = o.user_agent.clone().unwrap_or_else(|| format!("curl/{VERSION}"));
        put("User-Agent", Some(agent).filter(|a| !a.is_empty()));
        let json = |value: &str| o.json.then(|| value.to_owned());
        if o.json && self.custom("Accept").is_none() {
            put("Content-Type", json("application/json"));
        }
        put("Accept", Some(json("application/json").unwrap_or_else(|| "*/*".to_owned())));
        put("Accept-Encoding", o.compressed.then(|| "deflate, gzip".to_owned()));
        put("Referer", self.referer.filter(|r| !r.is_empty()).map(str::to_owned));
        put("Proxy-Connection", self.proxied.then(|| "Keep-Alive".to_owned()));
        let streamed = matches!(self.body, Body::Upload { whole: None, .. });
        put("Transfer-Encoding", streamed.then(|| "chunked".to_owned()));
        put("Cookie", self.cookies.clone());
        if let Some(condition) = o.time_condition {
            let name =
                if condition.unmodified { "If-Unmodified-Since" } else { "If-Modified-Since" };
            put(name, Some(Date::from_unix(condition.time).http()));
        }
        fields
    }

    /// Lines like those of `-H` that other options make.
    fn extra(&self) -> Option<String> {
        self.etag.map(|tag| format!("If-None-Match: {tag}"))
    }

    fn range(&self) -> Option<String> {
        if matches!(self.verb, Verb::Post | Verb::Put) {
            return None;
        }
        if self.resume > 0 { Some(format!("{}-", self.resume)) } else { self.o.range.clone() }
    }

    /// `-T -C`: which part of the file comes.
    fn content_range(&self) -> Option<String> {
        match self.body {
            Body::Upload { whole: Some(whole), .. } if self.resume > 0 && *whole > 0 => {
                Some(format!("bytes {}-{}/{whole}", self.resume, whole - 1))
            }
            _ => None,
        }
    }

    fn custom_line(&self, line: &str) -> String {
        match read_custom(line) {
            Some((name, _)) if name.eq_ignore_ascii_case("host") => String::new(),
            Some((name, _)) if !self.trusted && is_secret(name) => String::new(),
            Some((name, Custom::Value(v))) => format!("{name}:{v}\r\n"),
            Some((name, Custom::Empty)) => format!("{name}:\r\n"),
            Some((_, Custom::Removed)) | None => String::new(),
        }
    }

    fn chunked(&self) -> bool {
        match self.custom("Transfer-Encoding") {
            Some(Custom::Value(v)) => v.to_ascii_lowercase().contains("chunked"),
            _ => matches!(self.body, Body::Upload { whole: None, .. }),
        }
    }

    /// The fields about the body. True when `Expect` is among them.
    fn body_fields(&self, out: &mut String) -> bool {
        let bytes = self.body.bytes();
        if matches!(self.body, Body::None) {
            return false;
        }
        if !self.chunked() && self.custom("Content-Length").is_none() {
            out.push_str(&format!("Content-Length: {}\r\n", bytes.len()));
        }
        let own = self.custom("Content-Type").is_none() && !self.o.json;
        match self.body {
            Body::Data(_) if own => {
                out.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
            }
            Body::Form { boundary, .. } if own => {
                out.push_str(&format!(
                    "Content-Type: multipart/form-data; boundary={boundary}\r\n"
                ));
            }
            _ => {}
        }
        let upload = matches!(self.body, Body::Upload { .. });
        let large = bytes.len() > EXPECT_BODY || (upload && !bytes.is_empty());
        let expect = large && !self.http10 && !self.no_expect && self.custom("Expect").is_none();
        if expect {
            out.push_str("Expect: 100-continue\r\n");
        }
        expect
    }

    fn custom(&self, name: &str) -> Option<Custom<'_>> {
        let mut all = self.o.headers.iter().filter_map(|l| read_custom(l));
        all.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, c)| c)
    }
}

/// Fields that other hosts are not told after a redirect.
fn is_secret(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("cookie")
}

enum Custom<'a> {
    /// `Name: value`, with the blanks in front of the value.
    Value(&'a str),
    /// `Name;`: a field without a value.
    Empty,
    /// `Name:`: curl's own field is left out.
    Removed,
}

/// Reads a `-H`; what is neither form is ignored, as in curl. Line ends, which would start a field
/// of their own, make it nothing.
fn read_custom(line: &str) -> Option<(&str, Custom<'_>)> {
    if line.contains(['\r', '\n']) {
        return None;
    }
    match line.split_once(':') {
        Some((name, value)) if value.trim().is_empty() => Some((name, Custom::Removed)),
        Some((name, value)) => Some((name, Custom::Value(value))),
        None => line.strip_suffix(';').map(|name| (name, Custom::Empty)),
    }
}

/// The value of a field for `user:password` (RFC 7617).
pub(super) fn basic(credentials: &str) -> String {
    format!("Basic {}", base64(credentials.as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let six = (word >> (18 - 6 * i)) & 63;
            out.push(if i <= three.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::options::{Files, parse};
    use super::*;

    struct Nothing;

    impl Files for Nothing {
        fn read(&self, _: &str) -> Option<Vec<u8>> {
            None
        }

        fn modified(&self, _: &str) -> Option<u64> {
            None
        }
    }

    fn of(line: &str, url: &str, verb: Verb, body: &Body) -> String {
        let args: Vec<String> = line.split('|').chain([url]).map(str::to_owned).collect();
        let o = parse(&args, &Nothing).unwrap().operations.remove(0);
        let url = Url::parse(url).unwrap();
        let ask = Ask {
            o: &o,
            url: &url,
            verb,
            body,
            authorization: url.userinfo.as_deref().map(basic),
            proxy_authorization: None,
            proxied: false,
            trusted: true,
            cookies: None,
            referer: o.referer.as_deref(),
            resume: 0,
            etag: None,
            http10: o.http10,
            no_expect: false,
        };
        String::from_utf8(ask.build().head).unwrap()
    }

    #[test]
    fn fields_stand_in_curls_order() {
        // Compared with curl 7.88.1: the same lines in the same order.
        assert_eq!(
            of(
                "-d|a=b|-H|X-Y: 1|-H|Accept:|-A|foo|-e|http://ref/",
                "http://h/x?q=1#f",
                Verb::Post,
                &Body::Data(b"a=b".to_vec())
            ),
            "POST /x?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: foo\r\nReferer: http://ref/\r\n\
             X-Y: 1\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        assert_eq!(
            of("-H|nonsense|-H|Empty;|-H|Host: foo", "http://h/", Verb::Get, &Body::None),
            "GET / HTTP/1.1\r\nHost: foo\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nEmpty:\r\n\r\n"
        );
        assert_eq!(
            of("-I|-0", "http://user:pw@h:81/", Verb::Head, &Body::None),
            "HEAD / HTTP/1.0\r\nHost: h:81\r\nAuthorization: Basic dXNlcjpwdw==\r\n\
             User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(
            of("-H|Evil: a\r\nInjected: b|-A|", "http://h/", Verb::Get, &Body::None),
            "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"
        );
    }
}
