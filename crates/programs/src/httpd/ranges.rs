//! Byte ranges (RFC 9110 §14): which parts of a file are asked for, and the answer with several.

use bytes::Bytes;

use super::body::Contents;

/// Ranges in one request at most; with more the whole is sent, as RFC 9110 §14.2 allows.
const RANGES_MAX: usize = 100;

/// What a `Range` field asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: no range, another unit, or nonsense, which is ignored.
    All,
    /// First and last byte of each part.
    Parts(Vec<(usize, usize)>),
    /// Nothing that is there: 416.
    Nothing,
}

/// Reads a `Range` field for a file of this length.
pub(super) fn parse(field: &str, length: usize) -> Asked {
    let Some((unit, set)) = field.split_once('=') else { return Asked::All };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Asked::All;
    }
    let mut parts = Vec::new();
    let mut some = false;
    for spec in set.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        some = true;
        match part(spec, length) {
            None => return Asked::All,
            Some(None) => {}
            Some(Some(range)) => parts.push(range),
        }
    }
    // Overlapping parts would let a small request ask for a huge answer (RFC 9110 §17.15).
    let total: usize = parts.iter().map(|(a, b)| b - a + 1).sum();
    match (some, parts.is_empty()) {
        (false, _) => Asked::All,
        (true, true) => Asked::Nothing,
        _ if parts.len() > RANGES_MAX || total > length => Asked::All,
        _ => Asked::Parts(parts),
    }
}

/// One range: `None` is nonsense, `Some(None)` is nothing that is there.
fn part(spec: &str, length: usize) -> Option<Option<(usize, usize)>> {
    let (first, last) = spec.split_once('-')?;
    let number = |t: &str| {
        let ok = !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        // More than the address space is past the end all the same.
        ok.then(|| t.parse::<usize>().unwrap_or(usize::MAX))
    };
    if first.is_empty() {
        let n = number(last)?;
        // The last bytes of nothing are there, and are everything (RFC 9110 §14.1.2).
        if n > 0 && length == 0 {
            return None;
        }
        return Some((n > 0 && length > 0).then(|| (length - n.min(length), length - 1)));
    }
    let first = number(first)?;
    let last = if last.is_empty() { usize::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some((first < length).then(|| (first, last.min(length - 1))))
}

/// `bytes 0-3/1492`
pub(super) fn content_range((first, last): (usize, usize), length: usize) -> String {
    format!("bytes {first}-{last}/{length}")
}

/// The body of an answer with several parts (RFC 9110 §14.6).
pub(super) fn multipart(
    file: &Bytes,
    parts: &[(usize, usize)],
    content_type: Option<&str>,
    boundary: &str,
) -> Contents {
    let mut out = Vec::with_capacity(parts.len() * 2 + 1);
    let kind = content_type.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
    for &(first, last) in parts {
        let range = content_range((first, last), file.len());
        out.push(Bytes::from(format!("\r\n--{boundary}\r\n{kind}Content-Range: {range}\r\n\r\n")));
        out.push(file.slice(first..=last));
    }
    out.push(Bytes::from(format!("\r\n--{boundary}--\r\n")));
    Contents::of(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        use Asked::{All, Nothing, Parts};
        for (field, expect) in [
            ("bytes=0-3", Parts(vec![(0, 3)])),
            ("bytes=5-", Parts(vec![(5, 9)])),
            ("bytes=-3", Parts(vec![(7, 9)])),
            ("bytes=-30", Parts(vec![(0, 9)])),
            ("bytes=0-99999999999999999999999", Parts(vec![(0, 9)])),
            ("Bytes=0-0, 9-9", Parts(vec![(0, 0), (9, 9)])),
            ("bytes = 0-0", All),
            ("bytes=0-3,20-", Parts(vec![(0, 3)])),
            ("bytes=10-", Nothing),
            ("bytes=-0", Nothing),
            ("bytes=5-3", All),
            ("bytes=a-b", All),
            ("bytes=-", All),
            ("bytes=", All),
            ("lines=1-2", All),
            ("0-3", All),
            ("bytes=0-9,0-9", All),
        ] {
            assert_eq!(parse(field, 10), expect, "{field}");
        }
        let many = (0..200).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(parse(&format!("bytes={many}"), 1_000), All);
        assert_eq!(parse("bytes=0-", 0), Nothing);
    }

    #[test]
    fn several_parts_in_one_body() {
        let file = Bytes::from_static(b"0123456789");
        let body = multipart(&file, &[(0, 1), (8, 9)], Some("text/plain"), "b");
        let text = String::from_utf8(body.bytes()).unwrap();
        assert_eq!(
            text,
            "\r\n--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
             \r\n--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--b--\r\n"
        );
        assert_eq!(body.len(), text.len());
    }
}
