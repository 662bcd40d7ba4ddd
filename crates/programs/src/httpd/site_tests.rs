//! What a site answers, over files without a world.

use std::collections::BTreeMap;

use super::*;

/// Files of a host, without a world.
struct Files(BTreeMap<&'static str, &'static str>);

impl Disk for Files {
    fn read(&self, path: &str) -> Result<Bytes, FileError> {
        let found = self.0.get(path.trim_start_matches('/'));
        found.map(|c| Bytes::from_static(c.as_bytes())).ok_or(FileError::NotFound)
    }

    fn metadata(&self, path: &str) -> Result<Metadata, FileError> {
        let path = path.trim_matches('/');
        let below = format!("{path}/");
        if let Some(contents) = self.0.get(path) {
            let len = contents.len() as u64;
            return Ok(Metadata { len, is_dir: false, modified: Instant::ZERO });
        }
        let is_dir = self.0.keys().any(|k| k.starts_with(&below));
        let folder = Metadata { len: 0, is_dir, modified: Instant::ZERO };
        if is_dir { Ok(folder) } else { Err(FileError::NotFound) }
    }

    fn unix_seconds(&self, at: Instant) -> u64 {
        1_795_356_857 + at.as_nanos() / 1_000_000_000
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(3_000_000_000)
    }
}

fn ask(method: &str, target: &str, fields: &[(&str, &str)]) -> Response<Contents> {
    let files =
        [("htdocs/index.html", "<p>hi"), ("htdocs/가/a b.txt", "x"), ("htdocs/d/e.css", "")];
    let site = Site { root: "htdocs".into(), index: "index.html".into(), server: None };
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    site.respond(&Files(files.into()), &request)
}

fn status(method: &str, target: &str) -> u16 {
    ask(method, target, &[("host", "web")]).status().as_u16()
}

fn field<'a>(r: &'a Response<Contents>, name: &str) -> Option<&'a str> {
    r.headers().get(name).map(|v| v.to_str().expect("text"))
}

#[test]
fn a_file_is_described() {
    let r = ask("GET", "http://web/", &[("host", "web")]);
    assert_eq!((r.status().as_u16(), r.body().len()), (200, 5));
    assert_eq!(field(&r, "date"), Some("Sun, 22 Nov 2026 14:14:20 GMT"));
    assert_eq!(field(&r, "last-modified"), Some("Sun, 22 Nov 2026 14:14:17 GMT"));
    assert_eq!(field(&r, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((field(&r, "content-length"), field(&r, "server")), (Some("5"), None));
    assert_eq!(r.headers().keys().next(), Some(&header::DATE));
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let (get, head) = (ask("GET", "/", &[("host", "web")]), ask("HEAD", "/", &[("host", "web")]));
    assert_eq!(get.headers(), head.headers());
    assert_eq!(head.body().len(), 0);
    let missing = ask("HEAD", "/none", &[("host", "web")]);
    assert_eq!((missing.status().as_u16(), missing.body().len()), (404, 0));
    assert_ne!(field(&missing, "content-length"), Some("0"));
}

#[test]
fn methods_and_hosts() {
    for (method, expect) in
        [("POST", 405), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 405), ("BREW", 501)]
    {
        assert_eq!(status(method, "/"), expect, "{method}");
    }
    assert_eq!(field(&ask("POST", "/", &[("host", "web")]), "allow"), Some("GET, HEAD"));
    assert_eq!(ask("GET", "/", &[]).status(), 400);
    assert_eq!(ask("GET", "/", &[("host", "a"), ("host", "b")]).status(), 400);
    assert_eq!(status("OPTIONS", "*"), 405);
    assert_eq!(status("GET", "*"), 400);
}

#[test]
fn folders_need_their_slash_and_an_index() {
    let r = ask("GET", "/%EA%B0%80?q=1", &[("host", "web")]);
    assert_eq!(r.status(), 301);
    assert_eq!(field(&r, "location"), Some("/%EA%B0%80/?q=1"));
    assert_eq!(status("GET", "/d/"), 403);
    assert_eq!(status("GET", "/%EA%B0%80/a%20b.txt"), 200);
    assert_eq!(ask("GET", "/d/e.css", &[("host", "web")]).body().len(), 0);
}

#[test]
fn tags_win_over_dates() {
    let get = |fields: &[(&str, &str)]| {
        let fields: Vec<_> = [("host", "web")].iter().chain(fields).copied().collect();
        ask("GET", "/", &fields)
    };
    let tag = field(&get(&[]), "etag").expect("a tag").to_owned();
    let now = "Sun, 22 Nov 2026 14:14:20 GMT";
    let unchanged = get(&[("if-none-match", &tag)]);
    assert_eq!((unchanged.status().as_u16(), unchanged.body().len()), (304, 0));
    assert_eq!(field(&unchanged, "etag"), Some(tag.as_str()));
    assert_eq!(field(&unchanged, "content-length"), None);
    assert_eq!(get(&[("if-none-match", "*")]).status(), 304);
    assert_eq!(get(&[("if-modified-since", now)]).status(), 304);
    assert_eq!(get(&[("if-none-match", "\"x\""), ("if-modified-since", now)]).status(), 200);
    assert_eq!(get(&[("if-modified-since", "yesterday")]).status(), 200);
}
