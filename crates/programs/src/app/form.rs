//! Queries, forms and cookies: pairs of names and values.

use http::HeaderMap;
use http::header;

/// The most pairs that are read.
const PAIRS_MAX: usize = 1_000;

/// The pairs of a query or of a form (`application/x-www-form-urlencoded`), decoded.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|p| !p.is_empty()).take(PAIRS_MAX);
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The value of a name.
pub(crate) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|p| p.0 == name).map(|p| p.1.as_str())
}

/// A plus is a blank, `%XX` a byte; what is malformed stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let digit = |n: usize| bytes.get(at + n).and_then(|b| char::from(*b).to_digit(16));
        match (b, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(b),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The cookies of a request (RFC 6265 §5.4), as they are.
pub(crate) fn cookies(fields: &HeaderMap) -> Vec<(String, String)> {
    let values = fields.get_all(header::COOKIE).into_iter().filter_map(|v| v.to_str().ok());
    let pairs = values.flat_map(|v| v.split(';')).map(str::trim).take(PAIRS_MAX);
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.trim_matches('"').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let got = pairs("a=1&b=x+y&%EA%B0%80=%26&c&=&d=%zz");
        let text: Vec<String> = got.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(text, ["a=1", "b=x y", "가=&", "c=", "=", "d=%zz"]);
        assert_eq!(value(&got, "b"), Some("x y"));
        assert_eq!(pairs(&"a&".repeat(5_000)).len(), PAIRS_MAX);
    }

    #[test]
    fn cookies_are_read() {
        let mut fields = HeaderMap::new();
        fields.append("cookie", "a=1; b=\"2\"".parse().unwrap());
        fields.append("cookie", "c=x=y".parse().unwrap());
        let got = cookies(&fields);
        assert_eq!(
            got,
            [("a", "1"), ("b", "2"), ("c", "x=y")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
    }
}
