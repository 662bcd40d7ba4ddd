//! Conditional requests (RFC 9110 §13): what decides, and in which order.

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};

use crate::calendar::parse_http;

/// What a representation is known by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validators<'a> {
    /// The entity tag, with its quotes.
    pub(crate) tag: &'a str,
    /// Seconds since 1970.
    pub(crate) modified: u64,
}

/// RFC 9110 §13.2.2, steps 1 to 4: `None` when the request is to be carried out.
pub(crate) fn check(asked: &HeaderMap, method: &Method, is: Validators<'_>) -> Option<StatusCode> {
    let read = *method == Method::GET || *method == Method::HEAD;
    if asked.contains_key(header::IF_MATCH) {
        // Strong comparison: a weak tag matches nothing.
        let strong = !is.tag.starts_with("W/");
        if !tags(asked, &header::IF_MATCH).any(|t| t == "*" || (strong && t == is.tag)) {
            return Some(StatusCode::PRECONDITION_FAILED);
        }
    } else if let Some(since) = date(asked, &header::IF_UNMODIFIED_SINCE)
        && is.modified > since
    {
        return Some(StatusCode::PRECONDITION_FAILED);
    }
    if asked.contains_key(header::IF_NONE_MATCH) {
        let weak = |t: &str| t == "*" || plain(t) == plain(is.tag);
        if tags(asked, &header::IF_NONE_MATCH).any(weak) {
            let unchanged = StatusCode::NOT_MODIFIED;
            return Some(if read { unchanged } else { StatusCode::PRECONDITION_FAILED });
        }
    } else if read
        && let Some(since) = date(asked, &header::IF_MODIFIED_SINCE)
        && is.modified <= since
    {
        return Some(StatusCode::NOT_MODIFIED);
    }
    None
}

/// Step 5: whether `Range` counts. A date in `If-Range` must be exactly that of the file.
pub(crate) fn range_holds(asked: &HeaderMap, is: Validators<'_>) -> bool {
    let Some(value) = asked.get(header::IF_RANGE) else { return true };
    let Ok(text) = value.to_str().map(str::trim) else { return false };
    if text.starts_with('"') || text.starts_with("W/") {
        text == is.tag && !text.starts_with("W/")
    } else {
        parse_http(text) == Some(is.modified)
    }
}

fn plain(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

fn date(asked: &HeaderMap, name: &HeaderName) -> Option<u64> {
    parse_http(asked.get(name)?.to_str().ok()?)
}

/// The tags of a list; a comma inside a tag's quotes does not end it.
fn tags<'a>(asked: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = asked.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    values.flat_map(|v| {
        let mut quoted = false;
        v.split(move |c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const THEN: &str = "Sun, 22 Nov 2026 14:14:17 GMT";
    const LATER: &str = "Sun, 22 Nov 2026 14:14:18 GMT";
    const BEFORE: &str = "Sun, 22 Nov 2026 14:14:16 GMT";

    fn ask(method: Method, fields: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let is = Validators { tag: "\"a\"", modified: 1_795_356_857 };
        check(&map, &method, is).map_or(200, |s| s.as_u16())
    }

    #[test]
    fn the_order_is_that_of_the_rfc() {
        for (fields, get, put) in [
            (&[("if-match", "\"a\"")][..], 200, 200),
            (&[("if-match", "\"b\", \"a\"")], 200, 200),
            (&[("if-match", "*")], 200, 200),
            (&[("if-match", "\"b\"")], 412, 412),
            (&[("if-match", "W/\"a\"")], 412, 412),
            (&[("if-match", "\"a\""), ("if-unmodified-since", BEFORE)], 200, 200),
            (&[("if-unmodified-since", BEFORE)], 412, 412),
            (&[("if-unmodified-since", THEN)], 200, 200),
            (&[("if-none-match", "\"a\"")], 304, 412),
            (&[("if-none-match", "W/\"a\"")], 304, 412),
            (&[("if-none-match", "*")], 304, 412),
            (&[("if-none-match", "\"b,\", \"a\"")], 304, 412),
            (&[("if-none-match", "\"b\""), ("if-modified-since", LATER)], 200, 200),
            (&[("if-modified-since", THEN)], 304, 200),
            (&[("if-modified-since", BEFORE)], 200, 200),
            (&[("if-modified-since", "yesterday")], 200, 200),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], 412, 412),
            (&[], 200, 200),
        ] {
            assert_eq!(ask(Method::GET, fields), get, "{fields:?}");
            assert_eq!(ask(Method::PUT, fields), put, "{fields:?}");
        }
    }

    #[test]
    fn a_range_counts_for_the_same_representation_only() {
        let is = Validators { tag: "\"a\"", modified: 1_795_356_857 };
        for (value, expect) in [
            ("\"a\"", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            (THEN, true),
            (BEFORE, false),
            ("x", false),
        ] {
            let mut map = HeaderMap::new();
            map.insert("if-range", HeaderValue::from_str(value).unwrap());
            assert_eq!(range_holds(&map, is), expect, "{value}");
        }
        assert!(range_holds(&HeaderMap::new(), is));
    }
}
