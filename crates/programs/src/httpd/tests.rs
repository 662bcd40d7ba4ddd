//! What a site answers, over files without a world.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response};
use netarium_base::Instant;
use netarium_world::files::{DirEntry, FileError, Metadata};

use super::body::Contents;
use super::conf::{Host, Site, Sources};
use super::files::{self, Disk, Wanted};
use super::pages::Failure;
use super::places;
use super::target::Target;

/// Files of a host, without a world.
struct Files(BTreeMap<&'static str, &'static str>);

impl Disk for Files {
    fn open(&self, path: &str) -> Result<(Bytes, Instant), FileError> {
        let path = path.trim_matches('/');
        let below = format!("{path}/");
        match self.0.get(path) {
            Some(contents) => Ok((Bytes::from_static(contents.as_bytes()), Instant::ZERO)),
            None if self.0.keys().any(|k| k.starts_with(&below)) => Err(FileError::IsDirectory),
            None => Err(FileError::NotFound),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<DirEntry>, FileError> {
        let prefix = format!("{}/", path.trim_matches('/'));
        let mut names: BTreeMap<String, bool> = BTreeMap::new();
        for rest in self.0.keys().filter_map(|k| k.strip_prefix(&prefix)) {
            match rest.split_once('/') {
                Some((name, _)) => names.insert(name.to_owned(), true),
                None => names.insert(rest.to_owned(), false),
            };
        }
        let entry = |(name, is_dir)| DirEntry {
            name,
            metadata: Metadata { len: 1, is_dir, modified: Instant::ZERO },
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn unix_seconds(&self, at: Instant) -> u64 {
        1_795_356_857 + at.as_nanos() / 1_000_000_000
    }
}

/// A site with these directives.
fn site(conf: &str) -> Site {
    let text = conf.to_owned();
    let host = Host {
        read: &move |_| Ok(text.clone()),
        expand: &|_| Vec::new(),
        is_dir: &|_| true,
        routes: &|_| Err("none".to_owned()),
    };
    let sources = Sources { file: Some("httpd.conf".to_owned()), ..Sources::default() };
    (*sources.load(&host, None).expect("a configuration").main).clone()
}

fn ask_of(
    site: &Site,
    method: &Method,
    target: &str,
    fields: &[(&'static str, &str)],
) -> Result<Response<Contents>, Failure> {
    let files = [
        ("htdocs/index.html", "<p>hi"),
        ("htdocs/가/a b.txt", "x"),
        ("htdocs/d/e.css", "0123456789"),
        ("htdocs/d/.htsecret", "x"),
        ("htdocs/d/f/g.dish", "soup"),
        ("pictures/p.png", "png"),
    ];
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let target = Target::parse(path, false).expect("a target");
    let client = Ipv4Addr::new(10, 0, 0, 9).into();
    let wanted = Wanted { client, method, target: &target, query, fields: &map };
    let rules = places::rules(site, &target.path);
    files::answer(site, &Files(files.into()), wanted, &rules)
}

fn get(target: &str, fields: &[(&'static str, &str)]) -> (u16, Vec<u8>, HeaderMap) {
    let answer = ask_of(&site(""), &Method::GET, target, fields);
    match answer {
        Ok(r) => (r.status().as_u16(), r.body().bytes(), r.headers().clone()),
        Err(f) => (f.status.as_u16(), Vec::new(), f.fields.into_iter().collect()),
    }
}

#[test]
fn a_file_is_described() {
    let (status, body, fields) = get("/", &[]);
    assert_eq!((status, body.as_slice()), (200, &b"<p>hi"[..]));
    assert_eq!(fields["last-modified"], "Sun, 22 Nov 2026 14:14:17 GMT");
    assert_eq!(fields["content-type"], "text/html; charset=utf-8");
    assert_eq!(fields["accept-ranges"], "bytes");
}

#[test]
fn folders_need_their_slash_and_an_index() {
    let (status, _, fields) = get("/%EA%B0%80?q=1", &[]);
    assert_eq!((status, &fields["location"]), (301, &HeaderValue::from_static("/%EA%B0%80/?q=1")));
    assert_eq!(get("/d/", &[]).0, 403);
    assert_eq!(get("/%EA%B0%80/a%20b.txt", &[]).0, 200);
    assert_eq!(get("/d/e.css/", &[]).0, 404);
    let other = site("DirectoryIndex none.html e.css");
    assert_eq!(ask_of(&other, &Method::GET, "/d/", &[]).unwrap().body().bytes(), b"0123456789");
}

#[test]
fn an_index_that_may_not_be_read_is_not_shown() {
    for (who, status) in [("all denied", 403), ("ip 10.1.0.0/16", 403), ("ip 10.0.0.0/8", 200)] {
        let conf = format!("DirectoryIndex e.css\n<Files \"e.css\">\nRequire {who}\n</Files>");
        let answer = ask_of(&site(&conf), &Method::GET, "/d/", &[]);
        let found = answer.map_or_else(|f| f.status, |r| r.status());
        assert_eq!(found, status, "{who}");
        let conf = format!("<Directory htdocs/d>\nOptions +Indexes\n</Directory>\n{conf}");
        let conf = conf.replace("DirectoryIndex e.css", "DirectoryIndex none");
        let page = ask_of(&site(&conf), &Method::GET, "/d/", &[]).unwrap();
        let text = String::from_utf8(page.body().bytes()).unwrap();
        assert_eq!(text.contains("e.css"), status == 200, "{who}: {text}");
    }
}

#[test]
fn a_listing_shows_what_may_be_read() {
    let site = site("<Directory htdocs/d>\nOptions +Indexes\n</Directory>");
    let page = ask_of(&site, &Method::GET, "/d/", &[]).unwrap();
    let text = String::from_utf8(page.body().bytes()).unwrap();
    assert!(
        text.contains("<a href=\"e.css\">e.css</a></td><td>2026-11-22 14:14</td><td>1<"),
        "{text}"
    );
    assert!(
        text.contains("<a href=\"f/\">f/</a>") && text.contains("<a href=\"/\">Parent"),
        "{text}"
    );
    assert!(!text.contains("htsecret"), "{text}");
    assert_eq!(ask_of(&site, &Method::GET, "/%EA%B0%80/", &[]).unwrap_err().status, 403);
}

#[test]
fn conditions_and_tags() {
    let tag = get("/", &[]).2["etag"].to_str().unwrap().to_owned();
    let (status, body, fields) = get("/", &[("if-none-match", &tag)]);
    assert_eq!((status, body.len()), (304, 0));
    assert_eq!(fields["etag"], tag.as_str());
    assert_eq!(get("/", &[("if-match", "\"x\"")]).0, 412);
    assert_eq!(get("/", &[("if-modified-since", "Sun, 22 Nov 2026 14:14:20 GMT")]).0, 304);
}

#[test]
fn ranges_of_a_file() {
    let range = |r: &str| get("/d/e.css", &[("range", r)]);
    let (status, body, fields) = range("bytes=2-4");
    assert_eq!((status, body.as_slice()), (206, &b"234"[..]));
    assert_eq!(fields["content-range"], "bytes 2-4/10");
    let (status, _, fields) = range("bytes=20-");
    assert_eq!((status, &fields["content-range"]), (416, &HeaderValue::from_static("bytes */10")));
    let (status, body, fields) = range("bytes=0-0,-1");
    let kind = fields["content-type"].to_str().unwrap().to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let text = String::from_utf8(body).unwrap();
    assert_eq!((status, text.matches(boundary).count()), (206, 3), "{text}");
    assert!(text.contains("Content-Range: bytes 9-9/10\r\n\r\n9\r\n"), "{text}");
    assert_eq!(get("/d/e.css", &[("range", "bytes=0-1"), ("if-range", "\"x\"")]).0, 200);
    let head = ask_of(&site(""), &Method::HEAD, "/d/e.css", &[("range", "bytes=0-1")]).unwrap();
    assert_eq!(head.status(), 200, "a range counts for GET only");
}

#[test]
fn aliases_and_types() {
    let site = site(
        "Alias /img pictures\nAddType text/x-dish .dish\n<Location /d>\nAddType text/css css\n</Location>",
    );
    assert_eq!(ask_of(&site, &Method::GET, "/img/p.png", &[]).unwrap().body().bytes(), b"png");
    assert_eq!(ask_of(&site, &Method::GET, "/image/p.png", &[]).unwrap_err().status, 404);
    let kind =
        |t: &str| ask_of(&site, &Method::GET, t, &[]).unwrap().headers()["content-type"].clone();
    assert_eq!(
        (kind("/d/f/g.dish"), kind("/d/e.css")),
        ("text/x-dish".parse().unwrap(), "text/css".parse().unwrap())
    );
}
