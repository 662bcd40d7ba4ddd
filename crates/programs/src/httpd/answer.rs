//! From a request to its response: which site, who answers, what the error page is.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use netarium_base::trace::Text;
use netarium_base::{Event, FlowId, Instant};
use netarium_world::process::Process;

use super::application::Call;
use super::body::Contents;
use super::conf::{Config, ErrorDocument, HeaderChange, Level, Rules, Site};
use super::files::{self, Disk, Wanted, put};
use super::log::ErrorEntry;
use super::log_format::Asked;
use super::pages::{self, Failure};
use super::places;
use super::state::{Lines, State};
use super::target::{Target, TargetError};
use crate::calendar::Date;

/// Answers one request of a connection.
pub(super) async fn answer(
    config: Rc<Config>,
    state: Rc<State>,
    flow: FlowId,
    request: Request<Incoming>,
) -> Response<Contents> {
    let process = state.process;
    process.emit(flow, || Event::HttpRequest {
        method: request.method().as_str().into(),
        target: target_of(request.uri()),
    });
    let (parts, body) = request.into_parts();
    let asked_at = process.now();
    let site = Rc::clone(config.site(state.local, host_of(&parts)));
    state.set_timing(site.timing);
    let lines = log_lines(&site, &state, &parts.headers, asked_at);
    let (head, version) = (parts.method == Method::HEAD, parts.version);
    let refused = state.take_refusal();
    let last = refused.is_some();
    let mut rules = Rc::clone(&site.base);
    let waits = parts.headers.contains_key(header::EXPECT);
    let keeps = asks_to_keep(&parts.headers);
    let mut body = Some(body);
    let result = match refused {
        Some(r) => {
            let text = format!("request refused ({}): {}", r.status.as_u16(), r.why);
            Err(Failure::logged(r.status, "http", text))
        }
        None => handle(&site, &state, parts, &mut body, &mut rules).await,
    };
    let mut response = match result {
        Ok(response) => response,
        Err(failure) => fail(&site, &state, &rules, failure),
    };
    let success = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    finish(&site, &rules, process, &mut response, head, success);
    // To look for the body of who waits for `100 Continue` would send it.
    let unread = match body {
        Some(body) if !body.is_end_stream() => waits || !is_there(body).await,
        _ => false,
    };
    // One that became too large was left in its middle.
    let left = response.status() == StatusCode::PAYLOAD_TOO_LARGE;
    if last || unread || left || state.is_last() || state.take_refusal().is_some() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        // hyper adds `keep-alive` to a 1.1 response to a 1.0 client that asked for it; a 1.0 response
        // it leaves as it is.
        *response.version_mut() = version;
    } else if keeps {
        tell_keep_alive(&state, response.headers_mut());
    }
    let (status, bytes) = (response.status(), response.body().len());
    process.emit(flow, || Event::HttpResponse { status: status.as_u16(), bytes: bytes as u64 });
    let done = Rc::new(Cell::new(false));
    response.body_mut().tell(Rc::clone(&done));
    state.responding(lines, status, bytes, asked_at, done);
    response
}

/// `Connection: keep-alive`, which browsers still say in HTTP/1.1; `close` beside it wins (RFC 9112
/// §9.3).
fn asks_to_keep(fields: &HeaderMap) -> bool {
    let says = |wanted: &[u8]| {
        let values = fields.get_all(header::CONNECTION);
        let mut options = values.iter().flat_map(|v| v.as_bytes().split(|b| *b == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    says(b"keep-alive") && !says(b"close")
}

/// How long, and for how many more requests, the connection is kept: RFC 2068 §19.7.1.1, as Apache
/// says it to who asks.
fn tell_keep_alive(state: &State, fields: &mut HeaderMap) {
    let (seconds, left) = state.kept_for();
    let left = left.map_or_else(String::new, |left| format!(", max={left}"));
    put(fields, HeaderName::from_static("keep-alive"), format!("timeout={seconds}{left}"));
    put(fields, header::CONNECTION, "Keep-Alive");
}

/// A request's target, as it stood in its line.
fn target_of(uri: &http::Uri) -> Text {
    match uri.path_and_query() {
        // By far the most: no scheme and host in front.
        Some(target) if uri.scheme().is_none() && uri.authority().is_none() => {
            target.as_str().into()
        }
        _ => uri.to_string().into(),
    }
}

/// What is known by now of the lines in the access logs.
fn log_lines(site: &Site, state: &State, fields: &HeaderMap, at: Instant) -> Lines {
    let (process, line) = (state.process, state.line());
    let asked = Asked {
        client: state.client,
        local: state.local,
        pid: process.pid(),
        date: Date::from_unix(process.unix_seconds(at)),
        line: &line,
        fields,
        site: site.name.as_ref().map_or("-", |n| n.host.as_str()),
    };
    let logs = site.access_logs.iter();
    logs.map(|(path, format)| (Rc::clone(path), format.asked(&asked))).collect()
}

/// The name that was asked for: of an absolute target, else of the Host field (RFC 9112 §3.2.2);
/// without its port.
fn host_of(parts: &Parts) -> &str {
    if let Some(host) = parts.uri.host() {
        return host;
    }
    let field = parts.headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match field.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => field.split(':').next().unwrap_or(field),
    }
}

/// Methods that files are asked for with.
const ALLOW: &str = "GET, HEAD, OPTIONS";

async fn handle(
    site: &Site,
    state: &State,
    parts: Parts,
    body: &mut Option<Incoming>,
    rules: &mut Rc<Rules>,
) -> Result<Response<Contents>, Failure> {
    expectation(&parts.headers)?;
    known_method(&parts.method, &parts.uri)?;
    if parts.uri.path() == "*" {
        return Ok(options(ALLOW));
    }
    if parts.method == Method::TRACE {
        return trace(site, &parts);
    }
    if parts.method == Method::CONNECT {
        return Err(Failure::from(StatusCode::METHOD_NOT_ALLOWED).field(header::ALLOW, ALLOW));
    }
    let target = Target::parse(parts.uri.path(), site.encoded_slashes).map_err(|e| match e {
        TargetError::Bad => Failure::logged(
            StatusCode::BAD_REQUEST,
            "core",
            format!("AH10244: invalid URI path ({})", parts.uri.path()),
        ),
        TargetError::NotFound => StatusCode::NOT_FOUND.into(),
    })?;
    *rules = places::rules(site, &target.path);
    if let Some(redirection) = redirection(site, &target, parts.uri.query()) {
        return Err(redirection);
    }
    if !places::may(rules.require.as_deref(), state.client.ip()) {
        return Err(files::denied(&places::file_path(site, &target.path)));
    }
    let most = rules.body.unwrap_or(u64::MAX);
    if content_length(&parts.headers).is_some_and(|n| n > most) {
        let text = format!(
            "AH01587: Requested content-length is larger than the configured limit of {most}"
        );
        return Err(Failure::logged(StatusCode::PAYLOAD_TOO_LARGE, "core", text));
    }
    for application in &site.applications {
        let Some(admission) = application.admit(&parts, &target.path) else { continue };
        let admission = admission?;
        let length = content_length(&parts.headers);
        let expected = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
        if admission.length_required && expected && length.is_none() {
            return Err(StatusCode::LENGTH_REQUIRED.into());
        }
        let most = most.min(admission.body_max);
        if length.is_some_and(|n| n > most) {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
        }
        let body = match body.take() {
            Some(body) => read_body(state, body, most).await?,
            None => Bytes::new(),
        };
        let call = Call {
            process: state.process,
            client: state.client,
            path: target.path.clone(),
            request: Request::from_parts(parts, body),
        };
        return caught(application.handle(call)).await;
    }
    static_file(site, state, &parts, &target, rules)
}

fn static_file(
    site: &Site,
    state: &State,
    parts: &Parts,
    target: &Target,
    rules: &Rules,
) -> Result<Response<Contents>, Failure> {
    match parts.method {
        Method::GET | Method::HEAD => {}
        Method::OPTIONS => return Ok(options(ALLOW)),
        _ => {
            let failure = Failure::from(StatusCode::METHOD_NOT_ALLOWED);
            return Err(failure.field(header::ALLOW, ALLOW));
        }
    }
    let query = parts.uri.query();
    let (client, fields) = (state.client.ip(), &parts.headers);
    let wanted = Wanted { client, method: &parts.method, target, query, fields };
    files::answer(site, &state.process, wanted, rules)
}

/// RFC 9110 §10.1.1: an expectation that cannot be met is answered with 417.
fn expectation(fields: &HeaderMap) -> Result<(), Failure> {
    for value in fields.get_all(header::EXPECT) {
        if !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"100-continue") {
            let said = String::from_utf8_lossy(value.as_bytes());
            let failure = Failure::from(StatusCode::EXPECTATION_FAILED);
            return Err(failure.detail(format!("The client sent Expect: {said}")));
        }
    }
    Ok(())
}

/// RFC 9110 §15.6.2: 501 for a method that the server does not know at all.
fn known_method(method: &Method, uri: &http::Uri) -> Result<(), Failure> {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => Ok(()),
        _ => {
            let text = format!("AH00135: Invalid method in request {method} {uri}");
            let failure = Failure::logged(StatusCode::NOT_IMPLEMENTED, "core", text);
            Err(failure.field(header::ALLOW, ALLOW))
        }
    }
}

fn options(allow: &'static str) -> Response<Contents> {
    let mut response = Response::new(Contents::default());
    put(response.headers_mut(), header::ALLOW, allow);
    response
}

/// RFC 9110 §9.3.8: the request comes back, when that is switched on.
fn trace(site: &Site, parts: &Parts) -> Result<Response<Contents>, Failure> {
    if !site.trace {
        let text = "AH01228: TRACE forbidden by server configuration";
        let failure = Failure::logged(StatusCode::METHOD_NOT_ALLOWED, "core", text);
        return Err(failure.field(header::ALLOW, ALLOW));
    }
    if content_length(&parts.headers).is_some_and(|n| n > 0)
        || parts.headers.contains_key(header::TRANSFER_ENCODING)
    {
        return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
    }
    let mut text = format!("{} {} {:?}\r\n", parts.method, parts.uri, parts.version).into_bytes();
    for (name, value) in &parts.headers {
        // What a client keeps secret is not told to its scripts.
        if [header::COOKIE, header::AUTHORIZATION].contains(name) {
            continue;
        }
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    let mut response = Response::new(Contents::new(text));
    put(response.headers_mut(), header::CONTENT_TYPE, "message/http");
    Ok(response)
}

/// `Redirect`: the first whose path fits.
fn redirection(site: &Site, target: &Target, query: Option<&str>) -> Option<Failure> {
    let (redirect, rest) = site
        .redirects
        .iter()
        .find_map(|r| places::below(&target.path, &r.from).map(|rest| (r, rest)))?;
    let status = StatusCode::from_u16(redirect.status).ok()?;
    if redirect.to.is_empty() {
        return Some(status.into());
    }
    let rest = Target { path: rest.to_owned() }.encoded();
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    Some(Failure::to(status, &format!("{}{rest}{query}", redirect.to)))
}

fn content_length(fields: &HeaderMap) -> Option<u64> {
    fields.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The most bytes of a body that nobody wants which are read for the next request's sake.
const UNWANTED_MAX: usize = 64 * 1024;

/// How often such a body is looked for again: hyper hands over one chunk at a time, and its end last.
const LOOKS: u32 = 4;

/// Throws away a body that nobody wants, and says whether all of it had come. When not, the
/// connection has to end with the response, and the response to say so: what follows is no request.
async fn is_there(body: Incoming) -> bool {
    let (mut body, mut left, mut looks) = (pin!(body), UNWANTED_MAX, LOOKS);
    poll_fn(|cx| {
        loop {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Ok(frame))) => {
                    let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len))
                    else {
                        return Poll::Ready(false);
                    };
                    (left, looks) = (rest, LOOKS);
                }
                Poll::Pending if looks > 0 => {
                    looks -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Err(_))) | Poll::Pending => return Poll::Ready(false),
            }
        }
    })
    .await
}

/// Reads a body whole, as far as it may go.
async fn read_body(state: &State, body: Incoming, most: u64) -> Result<Bytes, Failure> {
    let mut body = pin!(body);
    let mut all = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else {
            let refusal = state.take_refusal();
            let (status, why) = refusal
                .map_or((StatusCode::BAD_REQUEST, "the body ends too early"), |r| {
                    (r.status, r.why)
                });
            let text = format!("request body refused ({}): {why}", status.as_u16());
            return Err(Failure::logged(status, "http", text));
        };
        if let Some(data) = frame.data_ref() {
            if (all.len() + data.len()) as u64 > most {
                return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
            }
            all.extend_from_slice(data);
        }
    }
    Ok(all.freeze())
}

type Handled = Result<Response<Contents>, Failure>;

/// A handler that panics has failed: 500, and the server goes on.
async fn caught(mut future: Pin<Box<dyn Future<Output = Handled>>>) -> Handled {
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "for no stated reason".to_owned());
            let text = format!("the handler panicked: {text}");
            Poll::Ready(Err(Failure::logged(StatusCode::INTERNAL_SERVER_ERROR, "app", text)))
        }
    })
    .await
}

/// Logs a failure and makes its page: that of `ErrorDocument`, or the server's own.
fn fail(site: &Site, state: &State, rules: &Rules, failure: Failure) -> Response<Contents> {
    if let Some((level, module, text)) = &failure.log {
        let entry = ErrorEntry { module, level: *level, client: Some(state.client), text };
        state.log.error(site, state.process, &entry);
    }
    let signature = site.signature.then(|| {
        let name =
            site.name.as_ref().map_or_else(|| state.local.ip().to_string(), |n| n.host.clone());
        format!("{} Server at {name} Port {}", pages::PRODUCT_FULL, state.local.port())
    });
    let own = pages::page(&failure, signature.as_deref());
    let status = failure.status;
    match rules.error(status.as_u16()) {
        None | Some(ErrorDocument::Default) => own,
        Some(ErrorDocument::Text(text)) => {
            let (mut head, _) = own.into_parts();
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Contents::new(text.clone()))
        }
        Some(ErrorDocument::Url(url)) => {
            // A redirection has its own status: Apache says so, too.
            pages::page(&Failure::to(StatusCode::FOUND, url), signature.as_deref())
        }
        Some(ErrorDocument::Path(path)) => match document(site, state.process, path) {
            Ok(page) => {
                let mut response = Response::new(Contents::new(page.0));
                *response.status_mut() = status;
                for (name, value) in failure.fields {
                    response.headers_mut().append(name, value);
                }
                response.headers_mut().insert(header::CONTENT_TYPE, page.1);
                response
            }
            Err(why) => {
                let text = format!("AH00127: Cannot map ErrorDocument {path}: {why}");
                let entry = ErrorEntry {
                    module: "core",
                    level: Level::Error,
                    client: Some(state.client),
                    text: &text,
                };
                state.log.error(site, state.process, &entry);
                own
            }
        },
    }
}

fn document(site: &Site, process: Process, path: &str) -> Result<(Bytes, HeaderValue), String> {
    let target = Target::parse(path, false).map_err(|_| "not a path".to_owned())?;
    let file = places::file_path(site, &target.path);
    let bytes = process.read_file(&file).map_err(|e| e.to_string())?;
    // Who writes an error page without an extension means a page.
    let kind = super::mime::content_type(&file).unwrap_or("text/html; charset=utf-8");
    Ok((bytes, HeaderValue::from_static(kind)))
}

/// What every response has: date and server first, as people know it from Apache, its length, and
/// what `Header` adds. A HEAD gets the fields of the GET and no body (RFC 9110 §9.3.2).
fn finish(
    site: &Site,
    rules: &Rules,
    process: Process,
    response: &mut Response<Contents>,
    head: bool,
    success: bool,
) {
    let mut fields = HeaderMap::with_capacity(10);
    let date = Date::from_unix(process.unix_seconds(Process::now(&process))).http();
    put(&mut fields, header::DATE, date);
    if let Some(server) = &site.server {
        fields.insert(header::SERVER, server.clone());
    }
    // RFC 9110 §8.6: no length with 204, and with 304 only that of the 200 that it stands for.
    let mute = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status());
    let length = HeaderValue::from(response.body().len());
    // The order of fields means nothing; this is the one that people know.
    let mut last = None;
    for (name, value) in std::mem::take(response.headers_mut()) {
        // Further values of a field come without its name.
        let Some(name) = name.or_else(|| last.clone()) else { continue };
        if name == header::CONTENT_TYPE && !mute {
            fields.insert(header::CONTENT_LENGTH, length.clone());
        }
        last = Some(name.clone());
        fields.append(name, value);
    }
    if !mute {
        fields.insert(header::CONTENT_LENGTH, length);
    }
    for edit in &rules.headers {
        if !success && !edit.always {
            continue;
        }
        match &edit.change {
            HeaderChange::Set(value) => {
                fields.insert(edit.name.clone(), value.clone());
            }
            HeaderChange::Add(value) => {
                fields.append(edit.name.clone(), value.clone());
            }
            HeaderChange::Unset => {
                fields.remove(&edit.name);
            }
        }
    }
    *response.headers_mut() = fields;
    if head {
        *response.body_mut() = Contents::default();
    }
}
