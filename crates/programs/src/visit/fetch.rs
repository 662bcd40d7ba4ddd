//! Fetching one URL the way a browser does, each step told: cache, cookies, name, connection,
//! request, response, redirects.

use core::net::IpAddr;
use std::io::Read as _;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use netarium_base::{Event, Instant};
use url::{Host, Url};

use super::browser::Browser;
use super::cache::{Entry, Found, text};
use super::cookies;
use super::error::NetError;
use super::headers::{parts, with_fields};
use super::log::{Kind, Step, ms};
use super::page::Use;
use super::pool::{Connection, How};
use super::words;
use crate::wait::within;

/// How many redirects a browser follows (Fetch standard).
const REDIRECTS: u32 = 20;
/// The most bytes of a body, before and after unpacking.
const BODY_MAX: usize = 16 << 20;
/// Ports that browsers refuse, since other protocols live there (Fetch standard, bad ports).
const BAD_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
    103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
    995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
    6669, 6679, 6697, 10080,
];

/// What is to be fetched.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) url: Url,
    pub(super) method: Method,
    /// The body of a form and its kind.
    pub(super) body: Option<(&'static str, Bytes)>,
    pub(super) used_as: Use,
    /// The page that leads there.
    pub(super) referrer: Option<Url>,
    /// The user has pressed reload: the server is asked, whatever the cache says.
    pub(super) reload: bool,
    /// Its number on the page; 0 is the page itself.
    pub(super) resource: usize,
}

/// What came.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// Where, after redirects.
    pub(super) url: Url,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Unpacked.
    pub(super) body: Bytes,
}

/// When what happened, for the timeline.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    pub(super) resource: usize,
    pub(super) url: String,
    pub(super) start: Instant,
    /// A place for a connection was free, and the name known.
    pub(super) connecting: Option<Instant>,
    pub(super) sent: Option<Instant>,
    pub(super) first_byte: Option<Instant>,
    pub(super) end: Instant,
    pub(super) outcome: String,
    pub(super) bytes: usize,
}

impl Browser {
    /// Fetches a URL, following redirects.
    ///
    /// # Errors
    /// [`NetError`] when no answer comes.
    pub(super) async fn fetch(&self, mut ask: Ask) -> Result<Fetched, NetError> {
        for _ in 0..=REDIRECTS {
            let now = self.process.now();
            let mut timing = Timing {
                resource: ask.resource,
                url: ask.url.to_string(),
                start: now,
                connecting: None,
                sent: None,
                first_byte: None,
                end: now,
                outcome: String::new(),
                bytes: 0,
            };
            let limit = self.options.timeout;
            let work = self.once(&ask, &mut timing);
            let result = within(&self.process, Some(now + limit), work).await;
            let result =
                result.unwrap_or_else(|| Err(NetError::new("ERR_TIMED_OUT", "it took too long")));
            timing.end = self.process.now();
            timing.outcome = match &result {
                Ok(fetched) => fetched.status.as_u16().to_string(),
                Err(e) => e.name.to_owned(),
            };
            self.timings.borrow_mut().push(timing);
            let fetched = result?;
            match self.redirect(&mut ask, &fetched).await? {
                true => {}
                false => return Ok(fetched),
            }
        }
        Err(NetError::new("ERR_TOO_MANY_REDIRECTS", format!("more than {REDIRECTS} redirects")))
    }

    /// Turns the request towards where a redirect leads. False: it is none.
    async fn redirect(&self, ask: &mut Ask, fetched: &Fetched) -> Result<bool, NetError> {
        let status = fetched.status.as_u16();
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Ok(false);
        }
        let Some(location) = fetched.headers.get(header::LOCATION) else { return Ok(false) };
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let bad = || NetError::new("ERR_INVALID_REDIRECT", format!("Location: {location}"));
        let mut next = ask.url.join(&location).map_err(|_| bad())?;
        if next.fragment().is_none() {
            next.set_fragment(ask.url.fragment());
        }
        // RFC 9110 §15.4.
        let to_get = (matches!(status, 301 | 302) && ask.method == Method::POST) || status == 303;
        let how = if to_get && ask.method != Method::GET {
            ask.method = Method::GET;
            ask.body = None;
            " with GET"
        } else {
            ""
        };
        let step = Step::new(Kind::Redirect, format!("{} → {next}{how}", ask.url))
            .with("from", ask.url.as_str())
            .with("to", next.as_str());
        self.log.step(ask.resource, step).await;
        ask.url = next;
        Ok(true)
    }

    /// One request, or none when the cache has the answer.
    async fn once(&self, ask: &Ask, timing: &mut Timing) -> Result<Fetched, NetError> {
        self.log.step(ask.resource, parts(ask)).await;
        let (host, port) = destination(&ask.url)?;
        let mut headers = self.headers(ask, &host);
        let key = cache_key(&ask.url);
        let (found, entry) = self.cached(ask, &key, &headers).await;
        if let (Found::Fresh { .. }, Some(entry), false) = (&found, &entry, ask.reload) {
            return self.out_of_cache(ask, entry.clone());
        }
        if let Some(entry) = &entry {
            headers.extend(entry.conditions());
        }
        if let Some(cookies) = cookies::to_send(self, ask).await {
            headers.insert(header::COOKIE, cookies);
        }
        let addresses = self.resolve(ask, &host).await?;
        timing.connecting = Some(self.process.now());
        let mut connection = self.connect(ask, (host, port), &addresses).await?;
        timing.sent = Some(self.process.now());
        let request = self.request(ask, &headers, connection.used > 0).await?;
        let (method, target) = (request.method().clone(), request.uri().to_string());
        self.process.emit(connection.flow, || Event::HttpRequest {
            method: method.as_str().into(),
            target: target.as_str().into(),
        });
        let response = connection.send(request).await?;
        timing.first_byte = Some(self.process.now());
        let (head, body) = response.into_parts();
        self.tell_response(ask, head.version, head.status, &head.headers, timing).await;
        cookies::store(self, ask, &head.headers).await;
        let body = read(body, &head.headers, timing).await?;
        let (status, bytes) = (head.status.as_u16(), body.len() as u64);
        self.process.emit(connection.flow, || Event::HttpResponse { status, bytes });
        let kept = connection.finish().await;
        self.tell_body(ask, &head.headers, timing.bytes, body.len(), kept).await;
        if head.status == StatusCode::NOT_MODIFIED {
            let now = self.unix();
            let entry = self.cache.borrow_mut().refresh(&key, &head.headers, now);
            if let Some(entry) = entry {
                let text = "nothing changed: the stored body is used, for its new lifetime";
                self.log.step(ask.resource, Step::new(Kind::Cache, text)).await;
                return self.out_of_cache(ask, entry);
            }
        }
        self.remember(ask, &key, &headers, (head.status, &head.headers, &body)).await;
        Ok(Fetched { url: ask.url.clone(), status: head.status, headers: head.headers, body })
    }

    fn out_of_cache(&self, ask: &Ask, entry: Entry) -> Result<Fetched, NetError> {
        let Entry { status, headers, body, .. } = entry;
        Ok(Fetched { url: ask.url.clone(), status, headers, body })
    }

    async fn cached(&self, ask: &Ask, key: &str, headers: &HeaderMap) -> (Found, Option<Entry>) {
        if self.options.no_cache || ask.method != Method::GET {
            let why = if self.options.no_cache { "--no-cache" } else { "only GET is cached" };
            self.log.step(ask.resource, Step::new(Kind::Cache, format!("not asked: {why}"))).await;
            return (Found::Nothing, None);
        }
        let (found, entry) = self.cache.borrow().look_up(key, headers, self.unix());
        let age = entry.as_ref().map_or(0, |e| e.age(self.unix()));
        let text = match &found {
            Found::Nothing => "nothing stored for this URL".to_owned(),
            Found::Fresh { .. } if ask.reload => {
                format!("stored {age} s ago; a reload asks the server anyway")
            }
            Found::Fresh { left, heuristic } => {
                let guess = if *heuristic { ", a guess from Last-Modified" } else { "" };
                format!("fresh: used without asking, for {left} s more (age {age} s{guess})")
            }
            Found::Stale(why) => format!("stale ({why}; age {age} s): the server is asked"),
        };
        let state = match found {
            Found::Nothing => "miss",
            Found::Fresh { .. } if !ask.reload => "fresh",
            _ => "revalidate",
        };
        let step = Step::new(Kind::Cache, text).with("cache", state).with("age", age);
        self.log.step(ask.resource, step).await;
        (found, entry)
    }

    async fn remember(
        &self,
        ask: &Ask,
        key: &str,
        request: &HeaderMap,
        response: (StatusCode, &HeaderMap, &Bytes),
    ) {
        if self.options.no_cache {
            return;
        }
        if ask.method != Method::GET {
            // RFC 9111 §4.4: what was changed is not known any more.
            if response.0.is_success() || response.0.is_redirection() {
                self.cache.borrow_mut().remove(key);
            }
            return;
        }
        let now = self.unix();
        let stored = self.cache.borrow_mut().store(key, request, response, now);
        let text = match stored {
            Ok(()) => "stored".to_owned(),
            Err(why) => format!("not stored: {why}"),
        };
        let step = Step::new(Kind::Cache, text)
            .with("cache", if stored.is_ok() { "stored" } else { "not stored" });
        self.log.step(ask.resource, step).await;
    }

    async fn resolve(&self, ask: &Ask, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let known = self.names.borrow().get(host).cloned();
        if let Some(addresses) = known {
            return Ok(addresses);
        }
        let start = self.process.now();
        let literal = host.parse::<IpAddr>().is_ok();
        let found = self.process.resolve(host).await.unwrap_or_default();
        let took = self.process.now().since(start).as_micros();
        let by = match (literal, took) {
            (true, _) => "an address already: nobody is asked".to_owned(),
            (false, 0) => "answered at once: hosts file".to_owned(),
            (false, us) => format!("answered after {}: DNS", ms(us)),
        };
        if found.is_empty() {
            return Err(NetError::new("ERR_NAME_NOT_RESOLVED", format!("nobody knows {host}")));
        }
        let all: Vec<String> = found.iter().map(IpAddr::to_string).collect();
        let step = Step::new(Kind::Name, format!("{host} → {} ({by})", all.join(", ")))
            .with("host", host)
            .with("addresses", all)
            .with("took_us", took);
        self.log.step(ask.resource, step).await;
        self.names.borrow_mut().insert(host.to_owned(), found.clone());
        Ok(found)
    }

    async fn connect(
        &self,
        ask: &Ask,
        origin: (String, u16),
        addresses: &[IpAddr],
    ) -> Result<Connection, NetError> {
        let asked = self.process.now();
        let (connection, how) = self.pool.get(&self.process, &origin, addresses).await?;
        let (local, peer) = (connection.local, connection.peer);
        let now = self.process.now();
        let text = match how {
            How::Reused => {
                format!("{local} → {peer}, open already: request {} on it", connection.used + 1)
            }
            How::Opened(since) => {
                let waited = since.since(asked).as_micros();
                let queue = if waited > 0 {
                    format!(" after {} in the queue for one of six", ms(waited))
                } else {
                    String::new()
                };
                format!("{local} → {peer}, opened in {}{queue}", ms(now.since(since).as_micros()))
            }
        };
        let step = Step::new(Kind::Connection, text)
            .with("local", local.to_string())
            .with("peer", peer.to_string())
            .with("reused", how == How::Reused);
        self.log.step(ask.resource, step).await;
        Ok(connection)
    }

    async fn tell_response(
        &self,
        ask: &Ask,
        version: http::Version,
        status: StatusCode,
        headers: &HeaderMap,
        timing: &Timing,
    ) {
        let waited = self.process.now().since(timing.sent.unwrap_or(timing.start)).as_micros();
        let reason = status.canonical_reason().unwrap_or("");
        let meaning = words::status(status.as_u16());
        let version = if version == http::Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
        let text =
            format!("{version} {} {reason}: {meaning} (after {})", status.as_u16(), ms(waited));
        let step = Step::new(Kind::Response, text).with("status", status.as_u16());
        self.log.step(ask.resource, with_fields(step, headers, ask.resource == 0)).await;
    }

    async fn tell_body(
        &self,
        ask: &Ask,
        headers: &HeaderMap,
        wire: usize,
        size: usize,
        kept: bool,
    ) {
        let packed = text(headers, "content-encoding");
        let after = if kept { "the connection stays open" } else { "the connection is closed" };
        let text = if packed.is_empty() {
            format!("{size} bytes; {after}")
        } else {
            format!("{wire} bytes of {packed}, {size} unpacked; {after}")
        };
        let step = Step::new(Kind::Body, text)
            .with("bytes", size)
            .with("wire_bytes", wire)
            .with("kept", kept);
        self.log.step(ask.resource, step).await;
    }

    /// The request itself, told.
    async fn request(
        &self,
        ask: &Ask,
        headers: &HeaderMap,
        again: bool,
    ) -> Result<Request<Full<Bytes>>, NetError> {
        let target = match ask.url.query() {
            Some(query) => format!("{}?{query}", ask.url.path()),
            None => ask.url.path().to_owned(),
        };
        let body = ask.body.as_ref().map(|b| b.1.clone()).unwrap_or_default();
        let bad = || NetError::new("ERR_INVALID_URL", "it cannot be put into a request");
        let mut request = Request::builder()
            .method(ask.method.clone())
            .uri(&target)
            .body(Full::new(body.clone()))
            .map_err(|_| bad())?;
        *request.headers_mut() = headers.clone();
        let size =
            if body.is_empty() { String::new() } else { format!(" and {} bytes", body.len()) };
        let step = Step::new(Kind::Request, format!("{} {target} HTTP/1.1{size}", ask.method))
            .with("method", ask.method.as_str())
            .with("target", target.as_str())
            .with("on_reused_connection", again);
        let mut step = with_fields(step, headers, ask.resource == 0);
        if !body.is_empty() && ask.resource == 0 {
            let shown: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            step = step.line(shown, "the body: not in the URL, but on the wire for all to read");
        }
        self.log.step(ask.resource, step).await;
        Ok(request)
    }
}

/// Host and port to connect to.
fn destination(url: &Url) -> Result<(String, u16), NetError> {
    match url.scheme() {
        "http" => {}
        "https" => {
            let text = "https is not supported: there is no TLS in the lab yet, use http://";
            return Err(NetError::new("ERR_SSL_PROTOCOL_ERROR", text));
        }
        other => {
            let text = format!("nobody here speaks {other}:");
            return Err(NetError::new("ERR_UNKNOWN_URL_SCHEME", text));
        }
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        None => return Err(NetError::new("ERR_INVALID_URL", "there is no host in it")),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    if BAD_PORTS.contains(&port) {
        let text = format!("browsers refuse port {port}: another protocol lives there");
        return Err(NetError::new("ERR_UNSAFE_PORT", text));
    }
    Ok((host, port))
}

/// Without the fragment, which is not part of the request.
fn cache_key(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.to_string()
}

/// Reads the body and unpacks it.
async fn read(
    mut body: Incoming,
    headers: &HeaderMap,
    timing: &mut Timing,
) -> Result<Bytes, NetError> {
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let mut all = BytesMut::new();
    let too_large = || NetError::new("ERR_FILE_TOO_BIG", format!("more than {BODY_MAX} bytes"));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| NetError::body(&e, chunked))?;
        if let Ok(data) = frame.into_data() {
            if all.len() + data.len() > BODY_MAX {
                return Err(too_large());
            }
            all.extend_from_slice(&data);
        }
    }
    timing.bytes = all.len();
    let mut out = Vec::new();
    let limit = BODY_MAX as u64 + 1;
    let failed =
        |_| NetError::new("ERR_CONTENT_DECODING_FAILED", "the body is not packed as it says");
    match text(headers, "content-encoding").to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => {
            let unpacked = flate2::read::MultiGzDecoder::new(&all[..]);
            unpacked.take(limit).read_to_end(&mut out).map_err(failed)?;
        }
        "deflate" if all.first().is_some_and(|b| b & 0x0f == 8) => {
            let unpacked = flate2::read::ZlibDecoder::new(&all[..]);
            unpacked.take(limit).read_to_end(&mut out).map_err(failed)?;
        }
        "deflate" => {
            let unpacked = flate2::read::DeflateDecoder::new(&all[..]);
            unpacked.take(limit).read_to_end(&mut out).map_err(failed)?;
        }
        _ => return Ok(all.freeze()),
    }
    if out.len() > BODY_MAX { Err(too_large()) } else { Ok(out.into()) }
}
