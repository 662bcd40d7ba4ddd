//! What a site answers: from a request's head to status, fields and body. No sockets here.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use netarium_base::Instant;
use netarium_base::map::QuickHasher;
use netarium_world::files::{FileError, Metadata};
use std::hash::Hasher as _;

use super::body::Contents;
use super::mime::content_type;
use super::target::{Target, TargetError};
use crate::calendar::{Date, parse_http};

/// What a site needs of its host.
pub(super) trait Disk {
    /// A file's contents.
    fn read(&self, path: &str) -> Result<Bytes, FileError>;
    /// What a path names.
    fn metadata(&self, path: &str) -> Result<Metadata, FileError>;
    /// Seconds since 1970 at a point in virtual time.
    fn unix_seconds(&self, at: Instant) -> u64;
    /// Virtual time.
    fn now(&self) -> Instant;
}

/// A document root and how it is served.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The document root.
    pub(super) root: String,
    /// The file that stands for a folder.
    pub(super) index: String,
    /// The `Server` field, when there is to be one.
    pub(super) server: Option<HeaderValue>,
}

const ALLOW: &str = "GET, HEAD";

impl Site {
    /// The response to a request, of which only the head is looked at.
    pub(super) fn respond<B>(&self, disk: &impl Disk, request: &Request<B>) -> Response<Contents> {
        let mut response = match self.answer(disk, request) {
            Ok(response) => response,
            Err(status) => error_page(status),
        };
        if request.method() == Method::HEAD {
            // The fields are those of the GET, its length among them (RFC 9110 §9.3.2).
            *response.body_mut() = Contents::default();
        }
        // Date and Server come first, as people know it from Apache.
        let mut fields = HeaderMap::with_capacity(8);
        let date = Date::from_unix(disk.unix_seconds(disk.now())).http();
        put(&mut fields, header::DATE, &date);
        if let Some(server) = &self.server {
            fields.insert(header::SERVER, server.clone());
        }
        fields.extend(std::mem::take(response.headers_mut()));
        *response.headers_mut() = fields;
        response
    }

    fn answer<B>(
        &self,
        disk: &impl Disk,
        request: &Request<B>,
    ) -> Result<Response<Contents>, StatusCode> {
        check_host(request)?;
        match *request.method() {
            Method::GET | Method::HEAD => {}
            Method::POST
            | Method::PUT
            | Method::DELETE
            | Method::PATCH
            | Method::OPTIONS
            | Method::TRACE
            | Method::CONNECT => return Err(StatusCode::METHOD_NOT_ALLOWED),
            // RFC 9110 §15.6.2: a method that the server does not know at all.
            _ => return Err(StatusCode::NOT_IMPLEMENTED),
        }
        let target = Target::parse(request.uri().path()).map_err(|e| match e {
            TargetError::Bad => StatusCode::BAD_REQUEST,
            TargetError::NotFound => StatusCode::NOT_FOUND,
        })?;
        if target.is_denied() {
            return Err(StatusCode::FORBIDDEN);
        }
        let (path, metadata) = match self.find(disk, &target)? {
            Found::File(path, metadata) => (path, metadata),
            Found::NeedsSlash => return Ok(moved(&target, request.uri().query())),
        };
        let contents = disk.read(&path).map_err(status_of)?;
        Ok(file(disk, request.headers(), &path, metadata, contents))
    }

    fn find(&self, disk: &impl Disk, target: &Target) -> Result<Found, StatusCode> {
        let path = format!("{}{}", self.root.trim_end_matches('/'), target.path);
        let metadata = disk.metadata(path.trim_end_matches('/')).map_err(status_of)?;
        match (metadata.is_dir, target.is_directory()) {
            (false, false) => Ok(Found::File(path, metadata)),
            (true, false) => Ok(Found::NeedsSlash),
            // A file is not a folder, whatever the slash says.
            (false, true) => Err(StatusCode::NOT_FOUND),
            (true, true) => {
                let index = format!("{path}{}", self.index);
                match disk.metadata(&index) {
                    Ok(m) if !m.is_dir => Ok(Found::File(index, m)),
                    // The folder is there, but its contents are not listed.
                    _ => Err(StatusCode::FORBIDDEN),
                }
            }
        }
    }
}

enum Found {
    File(String, Metadata),
    NeedsSlash,
}

/// RFC 9112 §3.2: an HTTP/1.1 request has exactly one Host field.
fn check_host<B>(request: &Request<B>) -> Result<(), StatusCode> {
    let count = request.headers().get_all(header::HOST).iter().count();
    let ok = count == 1 || (count == 0 && request.version() < Version::HTTP_11);
    if ok { Ok(()) } else { Err(StatusCode::BAD_REQUEST) }
}

fn status_of(e: FileError) -> StatusCode {
    match e {
        FileError::InvalidPath => StatusCode::BAD_REQUEST,
        FileError::NotFound | FileError::NotDirectory | FileError::IsDirectory => {
            StatusCode::NOT_FOUND
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn file(
    disk: &impl Disk,
    asked: &HeaderMap,
    path: &str,
    metadata: Metadata,
    contents: Bytes,
) -> Response<Contents> {
    let modified = disk.unix_seconds(metadata.modified);
    let tag = etag(&contents, modified);
    let mut response = Response::new(Contents::default());
    let fields = response.headers_mut();
    put(fields, header::LAST_MODIFIED, &Date::from_unix(modified).http());
    put(fields, header::ETAG, &tag);
    if is_unchanged(asked, &tag, modified) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    set_length(fields, contents.len());
    put(fields, header::CONTENT_TYPE, content_type(path));
    *response.body_mut() = Contents::new(contents);
    response
}

/// RFC 9110 §13.2.2: If-None-Match decides; If-Modified-Since only without it.
fn is_unchanged(asked: &HeaderMap, tag: &str, modified: u64) -> bool {
    let mut tags = asked.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).any(|t| {
            let t = t.trim();
            let weak = |t: &str| t.strip_prefix("W/").unwrap_or(t).to_owned();
            t == "*" || weak(t) == weak(tag)
        });
    }
    let since = asked.get(header::IF_MODIFIED_SINCE).and_then(|v| v.to_str().ok());
    since.and_then(parse_http).is_some_and(|since| modified <= since)
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

fn moved(target: &Target, query: Option<&str>) -> Response<Contents> {
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    let location = format!("{}/{query}", target.encoded());
    let mut response = error_page(StatusCode::MOVED_PERMANENTLY);
    put(response.headers_mut(), header::LOCATION, &location);
    response
}

fn error_page(status: StatusCode) -> Response<Contents> {
    let reason = status.canonical_reason().unwrap_or("Error");
    let why = match status {
        StatusCode::MOVED_PERMANENTLY => "The document has moved.",
        StatusCode::BAD_REQUEST => {
            "Your browser sent a request that this server could not understand."
        }
        StatusCode::FORBIDDEN => "You don't have permission to access this resource.",
        StatusCode::NOT_FOUND => "The requested URL was not found on this server.",
        StatusCode::METHOD_NOT_ALLOWED => "The requested method is not allowed for this URL.",
        StatusCode::NOT_IMPLEMENTED => "The requested method is not known to this server.",
        _ => "The server could not fulfil the request.",
    };
    let code = status.as_u16();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>{code} {reason}</title></head>\n<body><h1>{reason}</h1><p>{why}</p></body></html>\n"
    );
    let mut response = Response::new(Contents::new(Bytes::from(page)));
    *response.status_mut() = status;
    let length = response.body().len();
    let fields = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        put(fields, header::ALLOW, ALLOW);
    }
    set_length(fields, length);
    put(fields, header::CONTENT_TYPE, "text/html; charset=utf-8");
    response
}

fn set_length(fields: &mut HeaderMap, length: usize) {
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
}

/// Sets a field to a text that was made here and has nothing in it that a field may not have.
fn put(fields: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.insert(name, value);
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
