//! Building the request: fields in curl's order, changed, removed and added by `-H`.

use super::options::Options;
use super::url::Url;

/// The version in `User-Agent` and of the layouts.
pub(super) const VERSION: &str = "7.88.1";

/// The method of a request: as `-X` says, else by what is asked for.
pub(super) fn method(o: &Options, has_body: bool) -> String {
    match &o.method {
        Some(m) => m.clone(),
        None if o.head => "HEAD".to_owned(),
        None if has_body => "POST".to_owned(),
        None => "GET".to_owned(),
    }
}

/// Request line and fields with the empty line.
pub(super) fn head(o: &Options, url: &Url, method: &str, body: Option<&[u8]>) -> Vec<u8> {
    let version = if o.http10 { "1.0" } else { "1.1" };
    let mut out = format!("{method} {} HTTP/{version}\r\n", url.target);
    for (name, value) in standard(o, url) {
        if custom(o, name).is_none() {
            out.push_str(&format!("{name}: {value}\r\n"));
        } else if name == "Host"
            && let Some(Custom::Value(v)) = custom(o, name)
        {
            out.push_str(&format!("Host: {v}\r\n"));
        }
    }
    for line in &o.headers {
        match read_custom(line) {
            Some((name, _)) if name.eq_ignore_ascii_case("host") => {}
            Some((name, Custom::Value(v))) => out.push_str(&format!("{name}: {v}\r\n")),
            Some((name, Custom::Empty)) => out.push_str(&format!("{name}:\r\n")),
            Some((_, Custom::Removed)) | None => {}
        }
    }
    if let Some(body) = body {
        out.push_str(&body_fields(o, body));
    }
    out.push_str("\r\n");
    out.into_bytes()
}

fn standard(o: &Options, url: &Url) -> Vec<(&'static str, String)> {
    let mut fields = vec![("Host", url.host_field())];
    if let Some(user) = o.user.as_ref().or(url.userinfo.as_ref()) {
        let user = if user.contains(':') { user.clone() } else { format!("{user}:") };
        fields.push(("Authorization", format!("Basic {}", base64(user.as_bytes()))));
    }
    let agent = o.user_agent.clone().unwrap_or_else(|| format!("curl/{VERSION}"));
    if !agent.is_empty() {
        fields.push(("User-Agent", agent));
    }
    let accept = if o.json { "application/json" } else { "*/*" };
    fields.push(("Accept", accept.to_owned()));
    if let Some(referer) = o.referer.as_ref().filter(|r| !r.is_empty()) {
        fields.push(("Referer", referer.clone()));
    }
    if let Some(cookie) = &o.cookie {
        fields.push(("Cookie", cookie.clone()));
    }
    fields
}

fn body_fields(o: &Options, body: &[u8]) -> String {
    let mut out = String::new();
    if custom(o, "Content-Length").is_none() && custom(o, "Transfer-Encoding").is_none() {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    if custom(o, "Content-Type").is_none() {
        let kind = if o.json { "application/json" } else { "application/x-www-form-urlencoded" };
        out.push_str(&format!("Content-Type: {kind}\r\n"));
    }
    out
}

enum Custom<'a> {
    /// `Name: value`.
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
        Some((name, value)) => Some((name, Custom::Value(value.trim_start()))),
        None => line.strip_suffix(';').map(|name| (name, Custom::Empty)),
    }
}

fn custom<'a>(o: &'a Options, name: &str) -> Option<Custom<'a>> {
    let mut all = o.headers.iter().filter_map(|l| read_custom(l));
    all.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, c)| c)
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
    use super::*;

    fn of(line: &str, url: &str, body: Option<&[u8]>) -> String {
        let args: Vec<String> = line.split('|').chain([url]).map(str::to_owned).collect();
        let o = Options::parse(&args).unwrap();
        let method = method(&o, body.is_some());
        String::from_utf8(head(&o, &Url::parse(url).unwrap(), &method, body)).unwrap()
    }

    #[test]
    fn fields_stand_in_curls_order() {
        // Compared with curl 7.88.1: the same lines in the same order.
        assert_eq!(
            of(
                "-d|a=b|-H|X-Y: 1|-H|Accept:|-A|foo|-e|http://ref/",
                "http://h/x?q=1#f",
                Some(b"a=b")
            ),
            "POST /x?q=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: foo\r\nReferer: http://ref/\r\n\
             X-Y: 1\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        assert_eq!(
            of("-H|nonsense|-H|Empty;|-H|Host: foo", "http://h/", None),
            "GET / HTTP/1.1\r\nHost: foo\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nEmpty:\r\n\r\n"
        );
        assert_eq!(
            of("-I|-0", "http://user:pw@h:81/", None),
            "HEAD / HTTP/1.0\r\nHost: h:81\r\nAuthorization: Basic dXNlcjpwdw==\r\n\
             User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
        );
        assert_eq!(
            of("-H|Evil: a\r\nInjected: b|-A|", "http://h/", None),
            "GET / HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"
        );
    }
}
