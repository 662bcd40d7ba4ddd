//! Files of the host as answers: folders, listings, types, ranges.

use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use netarium_base::Instant;
use netarium_base::map::QuickHasher;
use netarium_world::files::{DirEntry, FileError, PATH_MAX};

use super::body::Contents;
use super::conditions::{self, Validators};
use super::conf::{Rules, Site};
use super::mime::content_type;
use super::pages::{Failure, html};
use super::places;
use super::ranges;
use super::target::Target;
use crate::calendar::Date;

/// What a site needs of its host.
pub(super) trait Disk {
    /// A file's contents, and when they were written; of a folder [`FileError::IsDirectory`].
    fn open(&self, path: &str) -> Result<(Bytes, Instant), FileError>;
    /// What is in a folder, sorted.
    fn list(&self, path: &str) -> Result<Vec<DirEntry>, FileError>;
    /// Seconds since 1970 at a point in virtual time.
    fn unix_seconds(&self, at: Instant) -> u64;
}

/// The head of a request for a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) client: IpAddr,
    pub(super) method: &'a Method,
    pub(super) target: &'a Target,
    pub(super) query: Option<&'a str>,
    pub(super) fields: &'a HeaderMap,
}

/// The answer from the document root (or an `Alias`).
pub(super) fn answer(
    site: &Site,
    disk: &impl Disk,
    wanted: Wanted<'_>,
    rules: &Rules,
) -> Result<Response<Contents>, Failure> {
    let Wanted { target, .. } = wanted;
    let path = places::file_path(site, &target.path);
    let found = match disk.open(path.trim_end_matches('/')) {
        Ok(found) => Some(found),
        Err(FileError::IsDirectory) => None,
        Err(e) => return Err(status_of(e, &path)),
    };
    match (found, target.is_directory()) {
        (Some(found), false) => file(disk, wanted, &path, found, rules),
        (None, false) => {
            let query = wanted.query.map(|q| format!("?{q}")).unwrap_or_default();
            let location = format!("{}/{query}", target.encoded());
            Err(Failure::to(StatusCode::MOVED_PERMANENTLY, &location))
        }
        // A file is not a folder, whatever the slash says.
        (Some(_), true) => Err(StatusCode::NOT_FOUND.into()),
        (None, true) => folder(site, disk, wanted, &path, rules),
    }
}

fn folder(
    site: &Site,
    disk: &impl Disk,
    wanted: Wanted<'_>,
    path: &str,
    rules: &Rules,
) -> Result<Response<Contents>, Failure> {
    let names = rules.index.as_deref().unwrap_or_default();
    for name in names {
        let index = format!("{path}{}", name.trim_start_matches('/'));
        if let Ok(found) = disk.open(&index) {
            // What holds for the file by its name holds for it here, too.
            let rules = places::rules(site, &format!("{}{name}", wanted.target.path));
            if !places::may(rules.require.as_deref(), wanted.client) {
                return Err(denied(&index));
            }
            return file(disk, wanted, &index, found, &rules);
        }
    }
    if rules.listing == Some(true) {
        let entries = disk.list(path.trim_end_matches('/')).map_err(|e| status_of(e, path))?;
        return Ok(listing(disk, site, wanted, &entries));
    }
    let text = format!(
        "AH01276: Cannot serve directory {path}: No matching DirectoryIndex ({}) found, and \
         server-generated directory index forbidden by Options directive",
        names.join(",")
    );
    Err(Failure::logged(StatusCode::FORBIDDEN, "autoindex", text))
}

/// `Require` says no.
pub(super) fn denied(path: &str) -> Failure {
    let text = format!("AH01630: client denied by server configuration: {path}");
    Failure::logged(StatusCode::FORBIDDEN, "authz_core", text)
}

fn status_of(e: FileError, path: &str) -> Failure {
    match e {
        // As Apache answers what no file system could hold.
        FileError::InvalidPath if path.len() > PATH_MAX => {
            let text = format!("(36)File name too long: AH00036: access to {path} failed");
            Failure::logged(StatusCode::FORBIDDEN, "core", text)
        }
        FileError::InvalidPath => StatusCode::BAD_REQUEST.into(),
        FileError::NotFound | FileError::NotDirectory | FileError::IsDirectory => {
            StatusCode::NOT_FOUND.into()
        }
        e => Failure::logged(StatusCode::INTERNAL_SERVER_ERROR, "core", format!("{e}: {path}")),
    }
}

fn file(
    disk: &impl Disk,
    wanted: Wanted<'_>,
    path: &str,
    (contents, modified): (Bytes, Instant),
    rules: &Rules,
) -> Result<Response<Contents>, Failure> {
    let modified = disk.unix_seconds(modified);
    let tag = etag(&contents, modified);
    let is = Validators { tag: &tag, modified };
    let mut response = Response::new(Contents::default());
    let fields = response.headers_mut();
    put(fields, header::LAST_MODIFIED, Date::from_unix(modified).http());
    put(fields, header::ETAG, tag.clone());
    match conditions::check(wanted.fields, wanted.method, is) {
        Some(StatusCode::NOT_MODIFIED) => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        Some(status) => return Err(status.into()),
        None => {}
    }
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let kind = type_of(path, rules);
    let mut ranges = wanted.fields.get_all(header::RANGE).iter();
    // Of two fields nobody knows which is meant.
    let range = match (ranges.next(), ranges.next()) {
        (Some(one), None) => one.to_str().ok(),
        _ => None,
    };
    // RFC 9110 §14.2: a range counts for GET only.
    let range = range
        .filter(|_| *wanted.method == Method::GET && conditions::range_holds(wanted.fields, is));
    let asked = range.map_or(ranges::Asked::All, |r| ranges::parse(r, contents.len()));
    let (status, body, kind) = match asked {
        ranges::Asked::All => (StatusCode::OK, Contents::new(contents), kind),
        ranges::Asked::Nothing => {
            let whole = format!("bytes */{}", contents.len());
            let failure = Failure::from(StatusCode::RANGE_NOT_SATISFIABLE);
            return Err(failure.field(header::CONTENT_RANGE, &whole));
        }
        ranges::Asked::Parts(parts) => match parts.as_slice() {
            [one] => {
                put(fields, header::CONTENT_RANGE, ranges::content_range(*one, contents.len()));
                (StatusCode::PARTIAL_CONTENT, Contents::new(contents.slice(one.0..=one.1)), kind)
            }
            parts => {
                let boundary = boundary(&contents);
                let text = kind.as_ref().and_then(|kind| kind.to_str().ok());
                let body = ranges::multipart(&contents, parts, text, &boundary);
                let kind = format!("multipart/byteranges; boundary={boundary}");
                (StatusCode::PARTIAL_CONTENT, body, HeaderValue::from_str(&kind).ok())
            }
        },
    };
    if let Some(kind) = kind {
        fields.insert(header::CONTENT_TYPE, kind);
    }
    *response.status_mut() = status;
    *response.body_mut() = body;
    Ok(response)
}

fn type_of(path: &str, rules: &Rules) -> Option<HeaderValue> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|e| e.1.to_ascii_lowercase());
    let own = rules.types.iter().rev().find(|t| Some(&t.0) == extension.as_ref());
    own.map(|t| t.1.clone()).or_else(|| content_type(path).map(HeaderValue::from_static))
}

/// A line that is not in the file: the first of a fixed series.
fn boundary(contents: &Bytes) -> String {
    let mut hasher = QuickHasher::default();
    hasher.write(&contents[..contents.len().min(4_096)]);
    hasher.write_usize(contents.len());
    let mut n = hasher.finish();
    loop {
        let text = format!("{n:016x}");
        if !contents.windows(text.len()).any(|w| w == text.as_bytes()) {
            return text;
        }
        n = n.wrapping_add(1);
    }
}

/// Files up to this size get a strong tag of all their bytes.
const TAG_WHOLE: usize = 1024 * 1024;

/// A tag of the contents: virtual time begins anew with each run of a lab, so a date could let a
/// browser keep a page that was edited between two runs. Of a large file only samples and the date
/// count, so that answering does not take the time of reading it: its tag is weak (RFC 9110 §8.8.1).
fn etag(contents: &Bytes, modified: u64) -> String {
    let mut hasher = QuickHasher::default();
    if contents.len() <= TAG_WHOLE {
        hasher.write(contents);
        return format!("\"{:x}-{:016x}\"", contents.len(), hasher.finish());
    }
    hasher.write_u64(modified);
    for sample in contents.chunks(contents.len().div_ceil(64)) {
        hasher.write(&sample[..sample.len().min(4096)]);
    }
    format!("W/\"{:x}-{:016x}\"", contents.len(), hasher.finish())
}

/// `Options +Indexes`: what is in the folder, without what this client may not read.
fn listing(
    disk: &impl Disk,
    site: &Site,
    Wanted { client, target, .. }: Wanted<'_>,
    entries: &[DirEntry],
) -> Response<Contents> {
    let title = html(&target.path);
    let title = if title == "/" { title } else { title.trim_end_matches('/').to_owned() };
    let mut page = format!(
        "<!DOCTYPE html>\n<html>\n <head>\n  <meta charset=\"utf-8\">\n  <title>Index of {title}</title>\n \
         </head>\n <body>\n<h1>Index of {title}</h1>\n<table>\n<tr><th>Name</th><th>Last modified</th>\
         <th>Size</th></tr>\n"
    );
    if target.path != "/" {
        let up = target.encoded();
        let up = up.trim_end_matches('/').rsplit_once('/').map_or("/", |p| p.0);
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{up}/\">Parent Directory</a></td><td></td><td>-</td></tr>"
        );
    }
    for entry in entries {
        let slash = if entry.metadata.is_dir { "/" } else { "" };
        let path = format!("{}{}{slash}", target.path, entry.name);
        if !places::may(places::rules(site, &path).require.as_deref(), client) {
            continue;
        }
        let date = Date::from_unix(disk.unix_seconds(entry.metadata.modified)).short();
        let size =
            if entry.metadata.is_dir { "-".to_owned() } else { entry.metadata.len.to_string() };
        let name = html(&entry.name);
        let href = Target { path: format!("/{}{slash}", entry.name) }.encoded();
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{}\">{name}{slash}</a></td><td>{date}</td><td>{size}</td></tr>",
            &href[1..]
        );
    }
    page.push_str("</table>\n</body></html>\n");
    let mut response = Response::new(Contents::new(page));
    put(response.headers_mut(), header::CONTENT_TYPE, "text/html; charset=utf-8");
    response
}

/// Sets a field to a text that was made here and has nothing in it that a field may not have.
pub(super) fn put(fields: &mut HeaderMap, name: HeaderName, value: impl Into<Bytes>) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value.into()) {
        fields.insert(name, value);
    }
}
