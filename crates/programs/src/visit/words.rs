//! What status codes and header fields mean, in a sentence each.

/// Which side says a field, and what it is about: RFC 2616's classes, the first of which RFC 9110
/// has given up in favour of what the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// About the message itself, in either direction.
    General,
    /// What the client says.
    Request,
    /// What the server says.
    Response,
    /// About the body.
    Representation,
    /// In none of the lists.
    Other,
}

impl Class {
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::General => "general",
            Class::Request => "request",
            Class::Response => "response",
            Class::Representation => "representation",
            Class::Other => "other",
        }
    }
}

use Class::{General, Other, Representation, Request, Response};

/// Lower-case name, class, meaning. Sorted.
const FIELDS: &[(&str, Class, &str)] = &[
    ("accept", Request, "the kinds of content that are welcome"),
    ("accept-encoding", Request, "how the body may be packed"),
    ("accept-language", Request, "the languages that are welcome"),
    ("accept-ranges", Response, "whether parts of it can be asked for"),
    ("age", Response, "seconds that it has lain in caches"),
    ("allow", Response, "the methods that this resource takes"),
    ("authorization", Request, "the user's credentials"),
    ("cache-control", General, "what caches may do with it"),
    ("connection", General, "what becomes of the connection afterwards"),
    ("content-disposition", Representation, "shown, or saved under a name"),
    ("content-encoding", Representation, "how the body is packed"),
    ("content-language", Representation, "the language of the body"),
    ("content-length", Representation, "the size of the body in bytes"),
    ("content-location", Representation, "the URL of exactly this representation"),
    ("content-range", Representation, "which part of the whole this is"),
    ("content-security-policy", Response, "what the page may load and run"),
    ("content-type", Representation, "what kind of content the body is"),
    ("cookie", Request, "what the server has stored here, sent back to it"),
    ("date", General, "when the message was made"),
    ("etag", Response, "the version of the resource, to ask for changes by"),
    ("expect", Request, "the body follows when the server agrees"),
    ("expires", Representation, "until when a cache may use it unasked"),
    ("host", Request, "which site is meant: one address may serve many"),
    ("if-modified-since", Request, "send it only if it changed after this time"),
    ("if-none-match", Request, "send it only if its version is another one"),
    ("keep-alive", General, "how long the idle connection stays open"),
    ("last-modified", Representation, "when the resource changed last"),
    ("location", Response, "where to go instead"),
    ("origin", Request, "the site whose page sends this"),
    ("pragma", General, "Cache-Control of the last century"),
    ("proxy-authenticate", Response, "which credentials the proxy wants"),
    ("range", Request, "only these bytes"),
    ("referer", Request, "the page that led here"),
    ("retry-after", Response, "when to try again"),
    ("sec-fetch-dest", Request, "what the answer will be used as"),
    ("sec-fetch-mode", Request, "how it was asked for: by going there, or by a page"),
    ("sec-fetch-site", Request, "whether another site's page asks"),
    ("sec-fetch-user", Request, "the user clicked"),
    ("server", Response, "the server's software; modern ones do not tell"),
    ("set-cookie", Response, "store this and send it back with later requests"),
    ("strict-transport-security", Response, "use https only, from now on"),
    ("te", Request, "the transfer codings that are welcome"),
    ("trailer", General, "fields that follow the body"),
    ("transfer-encoding", General, "how the body is framed on this connection"),
    ("upgrade", General, "another protocol that could be spoken"),
    ("upgrade-insecure-requests", Request, "https would be preferred"),
    ("user-agent", Request, "the client's software"),
    ("vary", Response, "the request fields that the answer depends on"),
    ("via", General, "the proxies that it came through"),
    ("www-authenticate", Response, "which credentials are wanted"),
    ("x-content-type-options", Response, "do not guess the kind of content"),
    ("x-frame-options", Response, "whether it may be shown in a frame"),
];

/// The class and meaning of a field.
pub(super) fn field(name: &str) -> (Class, &'static str) {
    let name = name.to_ascii_lowercase();
    match FIELDS.binary_search_by(|f| f.0.cmp(&name)) {
        Ok(at) => (FIELDS[at].1, FIELDS[at].2),
        Err(_) => (Other, "this application's own"),
    }
}

/// What a status code says (RFC 9110 §15).
pub(super) fn status(code: u16) -> &'static str {
    match code {
        200 => "here it is",
        201 => "it was created",
        202 => "accepted, not done yet",
        204 => "done; there is nothing to show",
        206 => "here is the part",
        301 => "moved for good: ask there, now and later",
        302 => "for now it is elsewhere",
        303 => "done; the answer is at another place, get it there",
        304 => "nothing changed: use what is in the cache",
        307 => "for now it is elsewhere; ask in the same way",
        308 => "moved for good; ask in the same way",
        400 => "the client's fault: the request makes no sense",
        401 => "the client's fault: credentials are wanted",
        403 => "the client's fault: no permission",
        404 => "the client's fault: there is no such path",
        405 => "the client's fault: this path does not take that method",
        408 => "the client's fault: the request took too long to arrive",
        411 => "the client's fault: the size of the body is not given",
        413 => "the client's fault: the body is too large",
        414 => "the client's fault: the URL is too long",
        415 => "the client's fault: that kind of content is not taken",
        416 => "the client's fault: there is no such part",
        417 => "the client's fault: the expectation cannot be met",
        429 => "the client's fault: too many requests",
        431 => "the client's fault: the header is too large",
        500 => "the server's fault: its code failed",
        501 => "the server's fault: it does not know that method",
        502 => "the server's fault: the server behind it gave nonsense",
        503 => "the server's fault: too busy now",
        504 => "the server's fault: the server behind it did not answer",
        505 => "the server's fault: it does not speak that version",
        _ => class(code),
    }
}

/// What a status code says by its first digit alone.
fn class(code: u16) -> &'static str {
    match code / 100 {
        1 => "go on",
        2 => "it worked",
        3 => "something else is needed",
        4 => "the client's fault",
        5 => "the server's fault",
        _ => "no status that exists",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted_and_found() {
        assert!(FIELDS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(field("Host").0, Request);
        assert_eq!(field("Date").0, General);
        assert_eq!(field("X-Shop").0, Other);
    }
}
