//! A browser's private cache (RFC 9111).

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use netarium_base::map::Map;

use crate::calendar::parse_http;

/// The most bytes of all bodies; the oldest entries go first.
const BYTES_MAX: usize = 64 << 20;
/// The most entries.
const ENTRIES_MAX: usize = 1000;
/// Without a lifetime, a tenth of its age is one (RFC 9111 §4.2.2), at most a day.
const HEURISTIC_MAX: u64 = 86_400;

/// A stored response.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Seconds since 1970, when it was stored or found unchanged.
    stored: u64,
    /// What the request said in the fields that `Vary` names.
    varied: Vec<(String, String)>,
}

/// What the cache has for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// It may be used unasked, for so many seconds more.
    Fresh { left: u64, heuristic: bool },
    /// The server must be asked whether it changed; why.
    Stale(&'static str),
}

/// The stored responses, by URL.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Map<String, Entry>,
    bytes: usize,
}

impl Cache {
    /// What is there for the URL, and whether it may be used at `now`.
    pub(super) fn look_up(
        &self,
        url: &str,
        request: &HeaderMap,
        now: u64,
    ) -> (Found, Option<Entry>) {
        let Some(entry) = self.entries.get(url) else { return (Found::Nothing, None) };
        let same = entry.varied.iter().all(|(name, value)| text(request, name) == *value);
        if !same {
            return (Found::Nothing, None);
        }
        (entry.freshness(now), Some(entry.clone()))
    }

    /// Stores a response, if that is allowed. The answer says what became of it.
    pub(super) fn store(
        &mut self,
        url: &str,
        request: &HeaderMap,
        (status, headers, body): (StatusCode, &HeaderMap, &Bytes),
        now: u64,
    ) -> Result<(), &'static str> {
        self.remove(url);
        let control = Control::of(headers);
        let vary = text(headers, "vary");
        if control.no_store {
            return Err("Cache-Control says no-store");
        }
        if vary.trim() == "*" {
            return Err("Vary: * never matches again");
        }
        // RFC 9110 §15.1: those that may be stored without being told so.
        let by_default = matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 410);
        if !by_default && control.max_age.is_none() && !headers.contains_key(header::EXPIRES) {
            return Err("answers with this status are stored only if told so");
        }
        let tagged =
            headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
        if !tagged && control.max_age.is_none() && !headers.contains_key(header::EXPIRES) {
            return Err("no lifetime and nothing to ask for changes by");
        }
        let names = vary.split(',').map(|n| n.trim().to_ascii_lowercase());
        let varied = names.filter(|n| !n.is_empty()).map(|n| (n.clone(), text(request, &n)));
        let entry = Entry {
            status,
            headers: headers.clone(),
            body: body.clone(),
            stored: now,
            varied: varied.collect(),
        };
        self.bytes += body.len();
        self.entries.insert(url.to_owned(), entry);
        while self.bytes > BYTES_MAX || self.entries.len() > ENTRIES_MAX {
            let Some((_, old)) = self.entries.shift_remove_index(0) else { break };
            self.bytes -= old.body.len();
        }
        Ok(())
    }

    /// The server says that nothing changed (304): new header fields, same body (RFC 9111 §4.3.4).
    pub(super) fn refresh(&mut self, url: &str, headers: &HeaderMap, now: u64) -> Option<Entry> {
        let entry = self.entries.get_mut(url)?;
        for name in headers.keys().filter(|n| *n != header::CONTENT_LENGTH) {
            entry.headers.remove(name);
        }
        for (name, value) in headers.iter().filter(|f| *f.0 != header::CONTENT_LENGTH) {
            entry.headers.append(name.clone(), value.clone());
        }
        entry.stored = now;
        Some(entry.clone())
    }

    /// Forgets what a successful POST may have changed (RFC 9111 §4.4).
    pub(super) fn remove(&mut self, url: &str) {
        if let Some(old) = self.entries.shift_remove(url) {
            self.bytes -= old.body.len();
        }
    }
}

impl Entry {
    /// The fields that ask whether it changed.
    pub(super) fn conditions(&self) -> Vec<(header::HeaderName, header::HeaderValue)> {
        let of = |from: header::HeaderName, to| self.headers.get(from).map(|v| (to, v.clone()));
        let tag = of(header::ETAG, header::IF_NONE_MATCH);
        let date = of(header::LAST_MODIFIED, header::IF_MODIFIED_SINCE);
        tag.into_iter().chain(date).collect()
    }

    /// Seconds since the origin server made it (RFC 9111 §4.2.3).
    pub(super) fn age(&self, now: u64) -> u64 {
        let said = text(&self.headers, "age").parse().unwrap_or(0);
        let date = parse_http(&text(&self.headers, "date"));
        let apparent = date.map_or(0, |d| self.stored.saturating_sub(d));
        apparent.max(said) + now.saturating_sub(self.stored)
    }

    fn freshness(&self, now: u64) -> Found {
        let control = Control::of(&self.headers);
        if control.no_cache {
            return Found::Stale("Cache-Control: no-cache: ask each time");
        }
        let date = parse_http(&text(&self.headers, "date")).unwrap_or(self.stored);
        let expires = text(&self.headers, "expires");
        let modified = parse_http(&text(&self.headers, "last-modified"));
        let (lifetime, heuristic) = match (control.max_age, expires.is_empty(), modified) {
            (Some(seconds), ..) => (seconds, false),
            // What is no date is the past (RFC 9111 §5.3).
            (None, false, _) => (parse_http(&expires).unwrap_or(0).saturating_sub(date), false),
            (None, true, Some(m)) => ((date.saturating_sub(m) / 10).min(HEURISTIC_MAX), true),
            (None, true, None) => return Found::Stale("no lifetime is given"),
        };
        match lifetime.checked_sub(self.age(now)) {
            Some(left) if left > 0 => Found::Fresh { left, heuristic },
            _ => Found::Stale("its lifetime is over"),
        }
    }
}

/// The directives of Cache-Control that matter here.
#[derive(Debug, Default)]
struct Control {
    no_store: bool,
    no_cache: bool,
    max_age: Option<u64>,
}

impl Control {
    fn of(headers: &HeaderMap) -> Control {
        let mut control = Control::default();
        let all = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok());
        for word in all.flat_map(|v| v.split(',')) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => control.no_store = true,
                "no-cache" => control.no_cache = true,
                "max-age" => {
                    // What cannot be read is stale (RFC 9111 §4.2.1).
                    control.max_age = Some(value.trim().trim_matches('"').parse().unwrap_or(0));
                }
                _ => {}
            }
        }
        control
    }
}

/// A field as text; several are joined by commas.
pub(super) fn text(headers: &HeaderMap, name: &str) -> String {
    let all = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
    all.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(n, v)| (n.parse().expect("a name"), v.parse().expect("a value")))
            .collect()
    }

    fn found(lines: &[(&'static str, &str)], later: u64) -> Found {
        let mut cache = Cache::default();
        let ok = (StatusCode::OK, &headers(lines), &Bytes::from_static(b"x"));
        match cache.store("u", &HeaderMap::new(), ok, NOW) {
            Ok(()) => cache.look_up("u", &HeaderMap::new(), NOW + later).0,
            Err(_) => Found::Nothing,
        }
    }

    #[test]
    fn freshness_follows_rfc_9111() {
        let fresh = |left| Found::Fresh { left, heuristic: false };
        assert_eq!(found(&[("cache-control", "max-age=60")], 10), fresh(50));
        assert_eq!(found(&[("cache-control", "max-age=60"), ("age", "30")], 10), fresh(20));
        assert!(matches!(found(&[("cache-control", "max-age=60")], 60), Found::Stale(_)));
        assert!(matches!(
            found(&[("cache-control", "no-cache"), ("etag", "x")], 0),
            Found::Stale(_)
        ));
        assert_eq!(found(&[("cache-control", "no-store, max-age=9")], 0), Found::Nothing);
        assert_eq!(found(&[], 0), Found::Nothing);
        // Expires counts from Date; 14 Nov 2023 22:13:20 is NOW.
        let date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(found(&[date, ("expires", "Tue, 14 Nov 2023 22:14:20 GMT")], 10), fresh(50));
        assert!(matches!(found(&[date, ("expires", "0")], 0), Found::Stale(_)));
        // A tenth of its age.
        assert_eq!(
            found(&[date, ("last-modified", "Tue, 14 Nov 2023 22:03:20 GMT")], 0),
            Found::Fresh { left: 60, heuristic: true }
        );
        assert!(matches!(found(&[("etag", "\"1\"")], 0), Found::Stale(_)));
    }

    #[test]
    fn vary_and_304() {
        let mut cache = Cache::default();
        let body = Bytes::from_static(b"x");
        let said =
            headers(&[("vary", "Accept"), ("etag", "\"1\""), ("cache-control", "max-age=1")]);
        let html = headers(&[("accept", "text/html")]);
        cache.store("u", &html, (StatusCode::OK, &said, &body), NOW).expect("may be stored");
        assert_eq!(cache.look_up("u", &headers(&[("accept", "image/*")]), NOW).0, Found::Nothing);
        assert!(matches!(cache.look_up("u", &html, NOW + 9).0, Found::Stale(_)));
        cache.refresh("u", &headers(&[("cache-control", "max-age=100")]), NOW + 9);
        assert!(matches!(cache.look_up("u", &html, NOW + 10).0, Found::Fresh { left: 99, .. }));
    }
}
