//! HTTP/1.1: CONNECT (RFC 9110 §9.3.6) and requests in absolute-form (RFC 9112 §3.2.2).
//!
//! Each connection of a client keeps at most one connection into the lab for its requests, and uses it
//! again while host and port stay the same. Hop-by-hop fields (RFC 9110 §7.6.1) end here, and `Via` is
//! added (§7.6.3). A name and password (`Proxy-Authorization: Basic`) choose the host from which the
//! connections come, by the name; nothing else is asked of them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use netarium_world::Target;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use super::asked::{check_host, ends_here, refuse, wanted};
use super::lane::Lane;
use super::page::page;
use super::{DEFAULT_LISTEN, Door, Failure, Kind, PATIENCE, target};
use crate::clients::Client;

/// A body that is passed on, or a page of our own.
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// The most that is held of a request's or an answer's head.
const HEAD_MAX: usize = 64 * 1024;
/// How long the lab's server may take to end a connection that we have ended: Linux' `tcp_fin_timeout`.
const LINGER: Duration = Duration::from_secs(60);
/// Bytes that one direction of a tunnel holds.
const BUFFER: usize = 64 * 1024;

/// Fields that concern one connection only, beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A connection into the lab, with the host that it comes from and where it leads.
type Idle = ((String, Target), SendRequest<Incoming>);

/// What the requests of one connection share.
struct Talk<'a> {
    door: &'a Door,
    client: &'a Client,
    /// Where the client found the proxy.
    own: SocketAddr,
    /// The connection into the lab that is free for the next request, and where from and to.
    idle: Mutex<Option<Idle>>,
    /// Tunnels and connections into the lab: they end with the client's connection.
    tasks: Mutex<tokio::task::JoinSet<()>>,
}

/// Serves one connection.
pub(super) async fn serve(
    door: &Door,
    stream: TcpStream,
    client: &Client,
    slot: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let own = stream.local_addr().unwrap_or(DEFAULT_LISTEN);
    let (idle, tasks) = (Mutex::new(None), Mutex::default());
    let talk = Arc::new(Talk { door, client, own, idle, tasks });
    let service = service_fn(|request| {
        let talk = Arc::clone(&talk);
        async move { Ok::<_, Infallible>(talk.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_MAX)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // How a client's connection broke interests nobody.
    let _ = connection.await;
    // A tunnel outlives the requests; connections for requests have nothing more to do.
    talk.idle.lock().await.take();
    let mut tasks = std::mem::take(&mut *talk.tasks.lock().await);
    while tasks.join_next().await.is_some() {}
    drop(slot);
}

impl Talk<'_> {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        let connect = request.method() == Method::CONNECT;
        let asked = wanted(request.uri(), connect)
            .and_then(|to| check_host(request.headers(), request.version()).map(|()| to));
        let (host, port) = match asked {
            Ok(to) => to,
            Err(wrong) => return refuse(&wrong, self.own),
        };
        if let Some(response) = ends_here(&mut request) {
            return response;
        }
        let to = target(&host, port);
        let from = match self.door.host(user(request.headers()).as_deref()) {
            Ok(from) => from.to_owned(),
            Err(failure) => return failed(&failure, &to),
        };
        let answered = if connect {
            self.tunnel(request, &from, &to).await
        } else {
            self.forward(request, from, &to).await
        };
        answered.unwrap_or_else(|failure| failed(&failure, &to))
    }

    /// CONNECT: bytes go both ways from here on.
    async fn tunnel(
        &self,
        request: Request<Incoming>,
        from: &str,
        to: &Target,
    ) -> Result<Response<Body>, Failure> {
        let mut lane = self.lane(from, to).await?;
        self.spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
            let mut real = TokioIo::new(upgraded);
            // The lane tells how it ended.
            let _ = tokio::io::copy_bidirectional_with_sizes(&mut real, &mut lane, BUFFER, BUFFER)
                .await;
        })
        .await;
        Ok(Response::new(empty()))
    }

    /// A request in absolute-form goes to its server in origin-form.
    async fn forward(
        &self,
        request: Request<Incoming>,
        from: String,
        to: &Target,
    ) -> Result<Response<Body>, Failure> {
        let mut request = rewritten(request)?;
        let key = (from, to.clone());
        let kept = self.idle.lock().await.take().filter(|(of, _)| *of == key);
        if let Some((_, mut sender)) = kept
            && sender.ready().await.is_ok()
        {
            // A server may close a connection that was kept at any time; a request that it did not
            // get goes on a new one.
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.passed_on(response, key, sender).await),
                Err(mut e) => match e.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(e.error())),
                },
            }
        }
        let lane = self.lane(&key.0, to).await?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(lane))
            .await
            .map_err(|e| broken(&e))?;
        self.spawn(async move {
            // Who waits for its answer hears how it broke.
            if let Ok(parts) = connection.without_shutdown().await {
                linger(parts.io.into_inner()).await;
            }
        })
        .await;
        let response = sender.send_request(request).await.map_err(|e| broken(&e))?;
        Ok(self.passed_on(response, key, sender).await)
    }

    async fn lane(&self, from: &str, to: &Target) -> Result<Lane, Failure> {
        let opened = self.door.open(self.client, from, to).await?;
        let (caller, reporter) = (self.client.caller.clone(), self.door.inside.reporter.clone());
        Ok(Lane::new(opened, caller, to.to_string(), reporter))
    }

    async fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().await;
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    async fn passed_on(
        &self,
        mut response: Response<Incoming>,
        key: (String, Target),
        sender: SendRequest<Incoming>,
    ) -> Response<Body> {
        *self.idle.lock().await = Some((key, sender));
        let version = response.version();
        end_hop(response.headers_mut(), version);
        *response.version_mut() = Version::HTTP_11;
        response.map(BodyExt::boxed)
    }
}

/// Ends a connection into the lab as a kernel does it after `close`: FIN, and for a while whatever
/// the server still says is taken and forgotten.
async fn linger(mut lane: Lane) {
    if lane.shutdown().await.is_ok() {
        let mut nowhere = tokio::io::sink();
        let rest = tokio::io::copy(&mut lane, &mut nowhere);
        // What is over is over, in whichever way.
        let _ = tokio::time::timeout(LINGER, rest).await;
    }
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// The user name of `Proxy-Authorization: Basic` (RFC 7617).
fn user(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::PROXY_AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64(encoded.trim())?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split_once(':').map_or(text.as_str(), |(user, _)| user).to_owned())
}

/// RFC 4648 §4, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0u32, 0u32, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

/// The request as its server gets it.
fn rewritten(request: Request<Incoming>) -> Result<Request<Incoming>, Failure> {
    let (mut head, body) = request.into_parts();
    let no = |what: &str| Failure { kind: Kind::NotAllowed, reason: what.to_owned() };
    // RFC 9112 §3.2.2: `Host` is made from the target, whatever the client sent.
    let authority = head.uri.authority().map(|a| a.as_str().to_owned()).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority.as_str(), |(_, host)| host);
    let host = HeaderValue::from_str(host).map_err(|_| no("the host cannot be named"))?;
    let root = PathAndQuery::from_static("/");
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(head.uri.path_and_query().cloned().unwrap_or(root));
    head.uri = Uri::from_parts(parts).map_err(|_| no("the path cannot be sent"))?;
    end_hop(&mut head.headers, head.version);
    head.headers.insert(header::HOST, host);
    head.version = Version::HTTP_11;
    Ok(Request::from_parts(head, body))
}

/// Takes away what concerned one connection, and tells that the message went through here.
fn end_hop(headers: &mut HeaderMap, version: Version) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // What frames a message is not for a peer to take away.
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    let via = match version {
        Version::HTTP_10 => HeaderValue::from_static("1.0 netarium"),
        _ => HeaderValue::from_static("1.1 netarium"),
    };
    headers.append(header::VIA, via);
}

/// A connection that broke before its answer was there.
fn broken(error: &hyper::Error) -> Failure {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let reason = cause.unwrap_or_else(|| error.to_string());
    let reason = format!("the connection broke before an answer came: {reason}");
    Failure { kind: Kind::General, reason }
}

fn failed(failure: &Failure, to: &Target) -> Response<Body> {
    let status = match failure.kind {
        Kind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Kind::NotAllowed => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_GATEWAY,
    };
    let headline = format!("{to} was not reached");
    page(status, &headline, &format!("{}.", failure.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_one_hop_end_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine, content-length, host"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("content-length", "3"),
            ("host", "web"),
            ("x-other", "2"),
            ("via", "1.1 somebody"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        end_hop(&mut headers, Version::HTTP_11);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "via", "x-other"]);
        assert_eq!(headers.get_all("via").iter().count(), 2);
    }

    #[test]
    fn the_name_of_an_authorization_is_read() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::PROXY_AUTHORIZATION, value.parse().unwrap());
            user(&headers)
        };
        assert_eq!(of("Basic ZnJpZW5kOng="), Some("friend".to_owned()));
        assert_eq!(of("basic ZnJpZW5k"), Some("friend".to_owned()));
        for no in ["Bearer x", "Basic", "Basic !!!!", "Basic /w=="] {
            assert_eq!(of(no), None, "{no}");
        }
    }
}
