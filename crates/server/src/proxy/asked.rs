//! What a request asks of the proxy: where it is to go, and how far.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full};

use super::http::Body;
use super::page::page;

/// What `OPTIONS` that ends here is told: the methods of RFC 9110 and RFC 5789. Others pass, too.
const ALLOW: &str = "GET, HEAD, POST, PUT, DELETE, PATCH, CONNECT, OPTIONS, TRACE";
/// What TRACE must not show: who can read the answer need not be who knows the secret (RFC 9110 §9.3.8).
const SECRET: [HeaderName; 3] =
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];

/// Why a request goes nowhere. Nothing is opened in the lab for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is for a server: perhaps a page of another site sent it.
    OriginForm,
    /// Another scheme than http.
    Scheme(String),
    /// CONNECT to something else than `HOST:PORT`.
    ConnectForm,
    /// Neither the port's number nor its default is known.
    Port(String),
    /// No host.
    NoHost,
    /// No `Host`, more than one, or one that names no host.
    HostField(&'static str),
}

/// Host and port of what is asked for.
pub(super) fn wanted(uri: &Uri, connect: bool) -> Result<(String, u16), Wrong> {
    let authority = uri.authority().ok_or(match connect {
        true => Wrong::ConnectForm,
        false => Wrong::OriginForm,
    })?;
    let default = match uri.scheme() {
        None if connect => None,
        Some(_) if connect => return Err(Wrong::ConnectForm),
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) => return Err(Wrong::Scheme(scheme.to_string())),
        None => return Err(Wrong::OriginForm),
    };
    let host = authority.host();
    if host.is_empty() {
        return Err(Wrong::NoHost);
    }
    let place = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, at)| at);
    let port = match place.strip_prefix(host).map(|rest| rest.strip_prefix(':').unwrap_or(rest)) {
        // RFC 3986 §3.2.3: an empty port is the default.
        Some("") => default.ok_or(Wrong::ConnectForm)?,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| Wrong::Port(digits.to_owned()))?
        }
        other => return Err(Wrong::Port(other.unwrap_or(place).to_owned())),
    };
    Ok((host.to_owned(), port))
}

/// RFC 9112 §3.2: there is one `Host`, and it names a host, or nothing. HTTP/1.0 knows none.
pub(super) fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Wrong> {
    let mut fields = headers.get_all(header::HOST).iter();
    match (fields.next(), fields.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(Wrong::HostField("has none")),
        (Some(_), Some(_)) => Err(Wrong::HostField("has more than one")),
        (Some(one), None) => {
            let text = one.to_str().unwrap_or("@");
            let good = text.is_empty() || !text.contains('@') && text.parse::<Authority>().is_ok();
            good.then_some(()).ok_or(Wrong::HostField("has one that names no host"))
        }
    }
}

/// `Max-Forwards` of OPTIONS and TRACE (RFC 9110 §7.6.2): the answer to a request that ends here; else
/// the field is one less.
pub(super) fn ends_here<B>(request: &mut Request<B>) -> Option<Response<Body>> {
    if ![Method::OPTIONS, Method::TRACE].contains(request.method()) {
        return None;
    }
    let left = request.headers().get(header::MAX_FORWARDS)?.to_str().ok()?;
    if left.is_empty() || !left.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A number too large for us is one that nobody reaches.
    let left: u64 = left.parse().unwrap_or(u64::MAX);
    let Some(less) = left.checked_sub(1) else {
        return Some(match *request.method() {
            Method::TRACE => traced(request),
            _ => {
                let mut response = own(Bytes::new());
                let allow = HeaderValue::from_static(ALLOW);
                response.headers_mut().insert(header::ALLOW, allow);
                response
            }
        });
    };
    request.headers_mut().insert(header::MAX_FORWARDS, less.into());
    None
}

/// The head of a TRACE as it came, without what is secret.
fn traced<B>(request: &Request<B>) -> Response<Body> {
    let mut uri = request.uri().to_string();
    if let Some((user, _)) = request.uri().authority().and_then(|a| a.as_str().rsplit_once('@')) {
        uri = uri.replacen(&format!("{user}@"), "", 1);
    }
    let mut head = format!("TRACE {uri} {:?}\r\n", request.version()).into_bytes();
    for (name, value) in request.headers().iter().filter(|(name, _)| !SECRET.contains(name)) {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let mut response = own(head.into());
    let kind = HeaderValue::from_static("message/http");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn own(body: Bytes) -> Response<Body> {
    Response::new(Full::new(body).map_err(|never| match never {}).boxed())
}

/// The page for a request that goes nowhere; `own` is where the proxy was found.
pub(super) fn refuse(wrong: &Wrong, own: SocketAddr) -> Response<Body> {
    let (headline, sentence) = match wrong {
        Wrong::OriginForm => (
            "This is a proxy",
            format!(
                "It is no web server. Set it as the proxy of a program: \
                 curl -x http://{own} http://NAME/, or: netarium browser http://NAME/"
            ),
        ),
        Wrong::Scheme(scheme) => {
            ("This proxy forwards http only", format!("For {scheme} use CONNECT or SOCKS5."))
        }
        Wrong::ConnectForm => (
            "CONNECT needs a host and a port",
            "It takes HOST:PORT, without a scheme and a path: CONNECT NAME:443".to_owned(),
        ),
        Wrong::Port(port) => {
            ("This is no port", format!("A port is a number from 0 to 65535, not {port}."))
        }
        Wrong::NoHost => {
            ("The host is missing", "A request to a proxy names it: http://NAME/".to_owned())
        }
        Wrong::HostField(what) => {
            ("A request has one Host field", format!("This one {what} (RFC 9112, section 3.2)."))
        }
    };
    let mut response = page(StatusCode::BAD_REQUEST, headline, &sentence);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_for_a_proxy_is_taken() {
        let of = |uri: &str, connect| wanted(&uri.parse().unwrap(), connect);
        let to = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(of("http://web/x?y", false), to("web", 80));
        assert_eq!(of("http://web:/", false), to("web", 80));
        assert_eq!(of("http://me:x@web:81/", false), to("web", 81));
        assert_eq!(of("http://10.0.0.2:65535/", false), to("10.0.0.2", 65535));
        assert_eq!(of("http://[::1]:8080/", false), to("[::1]", 8080));
        assert_eq!(of("http://[::1]/", false), to("[::1]", 80));
        assert_eq!(of("web:443", true), to("web", 443));
        let port = |port: &str| Wrong::Port(port.to_owned());
        for (no, connect, why) in [
            ("/", false, Wrong::OriginForm),
            ("/http://web/", false, Wrong::OriginForm),
            ("web:80", false, Wrong::OriginForm),
            ("*", false, Wrong::OriginForm),
            ("https://web/", false, Wrong::Scheme("https".to_owned())),
            ("http://web:99999/", false, port("99999")),
            ("http://web:x/", false, port("x")),
            ("http://web:+80/", false, port("+80")),
            ("web", true, Wrong::ConnectForm),
            ("web:", true, Wrong::ConnectForm),
            ("/", true, Wrong::ConnectForm),
            ("http://web:80/", true, Wrong::ConnectForm),
            ("web:99999", true, port("99999")),
        ] {
            assert_eq!(of(no, connect), Err(why), "{no}");
        }
    }

    #[test]
    fn there_is_one_host_field() {
        let check = |hosts: &[&str], version| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, host.parse().unwrap());
            }
            check_host(&headers, version).is_ok()
        };
        for good in ["web", "web:80", "10.0.0.1", "[::1]:80", ""] {
            assert!(check(&[good], Version::HTTP_11), "{good}");
        }
        for bad in [&[][..], &["web", "web"], &["a b"], &["me@web"], &["http://web/"]] {
            assert!(!check(bad, Version::HTTP_11), "{bad:?}");
        }
        assert!(check(&[], Version::HTTP_10) && !check(&["a", "b"], Version::HTTP_10));
    }

    #[test]
    fn forwards_are_counted_down() {
        let left = |method: Method, left: &str| {
            let request = Request::builder().method(method).uri("http://web/");
            let mut request = request.header(header::MAX_FORWARDS, left).body(()).unwrap();
            let ended = ends_here(&mut request).is_some();
            (ended, request.headers()[header::MAX_FORWARDS].to_str().unwrap().to_owned())
        };
        let of = |ended: bool, left: &str| (ended, left.to_owned());
        for method in [Method::OPTIONS, Method::TRACE] {
            assert!(left(method.clone(), "0").0);
            assert_eq!(left(method.clone(), "1"), of(false, "0"));
            assert_eq!(left(method.clone(), "99999999999999999999").1, (u64::MAX - 1).to_string());
            assert_eq!(left(method, "some"), of(false, "some"));
        }
        assert_eq!(left(Method::GET, "0"), of(false, "0"));
    }
}
