//! From a request target to a path below the document root.
//!
//! What leaves this module is safe to append to the root: absolute, without dot segments, empty
//! segments, NUL or backslash. Encoded separators are refused, as Apache does by default
//! (`AllowEncodedSlashes Off`): a `%2f` that turned into a `/` after the checks is how servers
//! were robbed.

use std::fmt::Write as _;

/// What a target names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The decoded path: `/`, `/a/b`, `/a/` (a trailing slash asks for a directory).
    pub(super) path: String,
}

/// Why a target names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetError {
    /// Malformed, or climbs out of the root: 400.
    Bad,
    /// Could name nothing here (encoded slash or backslash): 404.
    NotFound,
}

impl Target {
    /// Reads the path of a request target (query already cut off).
    /// With `slashes` an encoded slash does not end the request at once; it is part of a name then,
    /// which no file has.
    pub(super) fn parse(raw: &str, slashes: bool) -> Result<Target, TargetError> {
        if !raw.starts_with('/') {
            return Err(TargetError::Bad);
        }
        let mut segments: Vec<String> = Vec::new();
        let mut directory = true;
        for raw_segment in raw[1..].split('/') {
            let segment = decode(raw_segment, slashes)?;
            directory = matches!(segment.as_str(), "" | "." | "..");
            match segment.as_str() {
                "" | "." => {}
                ".." => {
                    segments.pop().ok_or(TargetError::Bad)?;
                }
                _ => segments.push(segment),
            }
        }
        let mut path = String::with_capacity(raw.len());
        for s in &segments {
            path.push('/');
            path.push_str(s);
        }
        if directory {
            path.push('/');
        }
        Ok(Target { path })
    }

    /// Whether the target asks for a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.path.ends_with('/')
    }

    /// The path with what is not allowed in a URL percent-encoded (RFC 3986 §3.3).
    pub(super) fn encoded(&self) -> String {
        let mut out = String::with_capacity(self.path.len());
        for b in self.path.bytes() {
            if b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&b) {
                out.push(char::from(b));
            } else {
                let _ = write!(out, "%{b:02X}");
            }
        }
        out
    }
}

fn decode(segment: &str, slashes: bool) -> Result<String, TargetError> {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(b) = bytes.next() {
        let b = match b {
            b'%' => {
                let hi = bytes.next().and_then(hex).ok_or(TargetError::Bad)?;
                let lo = bytes.next().and_then(hex).ok_or(TargetError::Bad)?;
                hi << 4 | lo
            }
            b => b,
        };
        match b {
            0 => return Err(TargetError::Bad),
            // Not a separator: what looks like one, so that no path is made of it.
            b'/' if slashes => out.extend_from_slice("\u{2215}".as_bytes()),
            b'/' | b'\\' => return Err(TargetError::NotFound),
            b => out.push(b),
        }
    }
    // Host files have UTF-8 names: other bytes name nothing.
    String::from_utf8(out).map_err(|_| TargetError::NotFound)
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_below_the_root() {
        use TargetError::{Bad, NotFound};
        for (raw, expect) in [
            ("/", Ok("/")),
            ("/a/b.html", Ok("/a/b.html")),
            ("/a//b/./c/", Ok("/a/b/c/")),
            ("/a/../b", Ok("/b")),
            ("/a/b/..", Ok("/a/")),
            ("/%EA%B0%80", Ok("/가")),
            ("/a%20b", Ok("/a b")),
            ("/..", Err(Bad)),
            ("/a/../../etc/passwd", Err(Bad)),
            ("/%2e%2e/etc/passwd", Err(Bad)),
            ("/.%2E/x", Err(Bad)),
            ("/a%2fb", Err(NotFound)),
            ("/a%5cb", Err(NotFound)),
            ("/..\\x", Err(NotFound)),
            ("/a%00", Err(Bad)),
            ("/%", Err(Bad)),
            ("/%4", Err(Bad)),
            ("/%zz", Err(Bad)),
            ("/%ff", Err(NotFound)),
            ("*", Err(Bad)),
            ("", Err(Bad)),
        ] {
            let got = Target::parse(raw, false);
            assert_eq!(got.as_ref().map(|t| t.path.as_str()).map_err(|e| *e), expect, "{raw}");
        }
        assert_eq!(Target::parse("/%EA%B0%80 b", false).unwrap().encoded(), "/%EA%B0%80%20b");
    }

    proptest::proptest! {
        #[test]
        fn nothing_climbs_out(raw in "/([a-z./\\\\%]|%2[ef5]|%5c|\\PC){0,40}") {
            if let Ok(t) = Target::parse(&raw, false) {
                proptest::prop_assert!(t.path.starts_with('/'));
                proptest::prop_assert!(!t.path.contains("//"));
                proptest::prop_assert!(t.path.split('/').all(|s| s != ".." && s != "."));
                proptest::prop_assert!(!t.path.contains(['\0', '\\']));
            }
        }
    }
}
