//! Who may talk to the control API: programs of this user that have read the runtime file, and no
//! web page.
//!
//! - `Host` must be one of the loopback names with our port, or a name rebound to 127.0.0.1 by a
//!   hostile DNS server would make a page «same-origin» with us.
//! - `Origin`, when a browser sends it, must be our own, and `Sec-Fetch-Site` must not say that
//!   another site asks.
//! - `Authorization: Bearer TOKEN` must be right. It is compared in constant time.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Failure;

/// What a request is held against.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: [String; 3],
    token: String,
}

impl Guard {
    /// A guard for the API on `port`, opened by `token`.
    pub(super) fn new(port: u16, token: String) -> Guard {
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}"));
        Guard { hosts, token }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
        let forbidden = |why: &str| Failure::new(StatusCode::FORBIDDEN, why);
        if !text(header::HOST).is_some_and(|host| self.knows(host)) {
            return Err(forbidden("the Host header must name this machine's loopback address"));
        }
        if let Some(origin) = text(header::ORIGIN)
            && !origin.strip_prefix("http://").is_some_and(|host| self.knows(host))
        {
            return Err(forbidden("pages of other sites may not use this API"));
        }
        if headers.get("sec-fetch-site").is_some_and(|s| s != "same-origin" && s != "none") {
            return Err(forbidden("pages of other sites may not use this API"));
        }
        let given = text(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        if !given.is_some_and(|token| same(token.as_bytes(), self.token.as_bytes())) {
            return Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "send the token of the lab's runtime file as «Authorization: Bearer TOKEN»",
            ));
        }
        Ok(())
    }

    fn knows(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}

/// Lets a request pass, or answers it.
pub(super) async fn admit(
    State(guard): State<std::sync::Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    match guard.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |all, (x, y)| std::hint::black_box(all | (x ^ y)));
    a.len() == b.len() && difference == 0
}

/// A new token: 256 random bits as 64 hexadecimal digits.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_token() -> std::io::Result<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)]) -> Option<u16> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        Guard::new(7777, "secret".to_owned()).check(&map).err().map(|f| f.status().as_u16())
    }

    #[test]
    fn only_own_programs_with_the_token_pass() {
        let token = ("authorization", "Bearer secret");
        let host = ("host", "127.0.0.1:7777");
        assert_eq!(check(&[host, token]), None);
        assert_eq!(check(&[("host", "LOCALHOST:7777"), token]), None);
        assert_eq!(check(&[("host", "[::1]:7777"), ("authorization", "bearer secret")]), None);
        assert_eq!(check(&[host, token, ("origin", "http://localhost:7777")]), None);

        assert_eq!(check(&[token]), Some(403));
        for rebound in ["evil.example:7777", "127.0.0.1", "127.0.0.1:7778", "127.0.0.1.evil:7777"] {
            assert_eq!(check(&[("host", rebound), token]), Some(403), "{rebound}");
        }
        for origin in ["http://evil.example", "null", "https://localhost:7777", "http://localhost"]
        {
            assert_eq!(check(&[host, token, ("origin", origin)]), Some(403), "{origin}");
        }
        assert_eq!(check(&[host, token, ("sec-fetch-site", "cross-site")]), Some(403));
        assert_eq!(check(&[host, token, ("sec-fetch-site", "same-origin")]), None);

        assert_eq!(check(&[host]), Some(401));
        for wrong in ["Bearer secre", "Bearer secret1", "Bearer ", "Basic secret", "secret"] {
            assert_eq!(check(&[host, ("authorization", wrong)]), Some(401), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let (a, b) = (new_token().unwrap(), new_token().unwrap());
        assert_eq!(a.len(), 64);
        assert_ne!(a, b);
    }
}
