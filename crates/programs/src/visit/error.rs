//! Failures by the names that browsers give them.

use netarium_stack::Errno;
use netarium_world::process::errno;

/// Why a page did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NetError {
    /// Chromium's name for it.
    pub(super) name: &'static str,
    /// What it means here.
    pub(super) text: String,
}

impl NetError {
    pub(super) fn new(name: &'static str, text: impl Into<String>) -> NetError {
        NetError { name, text: text.into() }
    }

    /// A connection that did not come about.
    pub(super) fn connect(e: &std::io::Error) -> NetError {
        let text = |t: &str| t.to_owned();
        match errno(e) {
            Some(Errno::ECONNREFUSED) => {
                NetError::new("ERR_CONNECTION_REFUSED", "nobody listens on that port")
            }
            Some(Errno::ETIMEDOUT) => NetError::new(
                "ERR_CONNECTION_TIMED_OUT",
                "no answer to any SYN: a firewall drops them, or nobody is there",
            ),
            Some(Errno::EHOSTUNREACH) => NetError::new(
                "ERR_ADDRESS_UNREACHABLE",
                text("nobody on the way or at the end answers for that address"),
            ),
            Some(Errno::ENETUNREACH) => {
                NetError::new("ERR_ADDRESS_UNREACHABLE", "no route leads there")
            }
            Some(Errno::ECONNRESET) => {
                NetError::new("ERR_CONNECTION_RESET", "the other side cut it off")
            }
            _ => NetError::new("ERR_CONNECTION_FAILED", e.to_string()),
        }
    }

    /// A conversation that broke off.
    pub(super) fn talk(e: &hyper::Error) -> NetError {
        let mut source = std::error::Error::source(e);
        while let Some(inner) = source {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                match errno(io) {
                    Some(Errno::ECONNRESET) => {
                        return NetError::new("ERR_CONNECTION_RESET", "the other side cut it off");
                    }
                    Some(Errno::ETIMEDOUT) => {
                        return NetError::new(
                            "ERR_CONNECTION_TIMED_OUT",
                            "what was sent is not acknowledged",
                        );
                    }
                    _ => {}
                }
            }
            source = inner.source();
        }
        if e.is_parse_too_large() {
            NetError::new("ERR_RESPONSE_HEADERS_TOO_BIG", "the header does not end")
        } else if e.is_parse() || e.is_parse_status() {
            NetError::new("ERR_INVALID_HTTP_RESPONSE", "the answer is not HTTP")
        } else if e.is_incomplete_message() || e.is_canceled() || e.is_closed() {
            NetError::new("ERR_EMPTY_RESPONSE", "the server closed without an answer")
        } else {
            NetError::new("ERR_FAILED", e.to_string())
        }
    }

    /// A body that was cut short.
    pub(super) fn body(e: &hyper::Error, chunked: bool) -> NetError {
        let talk = NetError::talk(e);
        match talk.name {
            "ERR_EMPTY_RESPONSE" | "ERR_FAILED" if chunked => NetError::new(
                "ERR_INCOMPLETE_CHUNKED_ENCODING",
                "the connection ended before the last chunk",
            ),
            "ERR_EMPTY_RESPONSE" | "ERR_FAILED" => NetError::new(
                "ERR_CONTENT_LENGTH_MISMATCH",
                "the connection ended before the body did",
            ),
            _ => talk,
        }
    }
}
