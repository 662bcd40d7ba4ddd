//! Applications behind a route table: patterns of URIs to handlers, without writing Rust.
//!
//! A URL names a file of the server; a URI names whatever an application makes of it. In reading
//! order: this file (which route, and what it does), `config` (`routes.toml`), `pattern`, `template`,
//! `store`, `session`, `pool` (the workers), `form`. `docs/applications.md` is for authors.

mod config;
pub(crate) mod form;
mod pattern;
pub(crate) mod pool;
pub(crate) mod session;
mod store;
mod template;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process};
use serde_json::{Value, json};

use crate::httpd::{Admission, Application, Call, Contents, Failure};
use pattern::Pattern;
use pool::Pool;
use session::Sessions;
use store::Store;
use template::Templates;

/// A table, checked.
#[derive(Debug)]
struct Table {
    routes: Vec<Route>,
    pool: Option<Rc<Pool>>,
    retry_after: Duration,
    cookie: String,
    sessions: Option<Rc<Sessions>>,
    stores: BTreeMap<String, Rc<Store>>,
    templates: Templates,
}

/// A row of the table.
#[derive(Debug)]
struct Route {
    pattern: Pattern,
    methods: Vec<Method>,
    what: What,
    status: Option<StatusCode>,
    kind: HeaderValue,
    fields: Vec<(HeaderName, HeaderValue)>,
    delay: Option<Duration>,
    session: SessionUse,
    length_required: bool,
    body_max: u64,
    /// Needs a worker.
    pooled: bool,
}

/// What a route answers with.
#[derive(Debug)]
enum What {
    Text(String),
    /// A file of the host.
    File(String),
    /// A template by its name.
    Template(String),
    Echo,
    Redirect(String),
    /// A handler that fails, with what it dies of.
    Fail(String),
    Store(Rc<Store>),
    /// The status alone.
    Status,
}

/// What a route wants of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionUse {
    None,
    /// Begins one for who has none.
    Start,
    /// Refuses who has none.
    Require,
    End,
}

/// Reads a route table of the host.
pub(crate) fn load(process: Process, path: &str) -> Result<Rc<dyn Application>, String> {
    let read = |path: &str| {
        let bytes = process.read_file(path).map_err(|e| e.to_string())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8 text".to_owned())
    };
    let table = config::parse(&read(path)?, &read)?;
    Ok(Rc::new(App(Rc::new(table))))
}

/// The application.
#[derive(Debug)]
struct App(Rc<Table>);

impl Application for App {
    fn admit(&self, head: &Parts, path: &str) -> Option<Result<Admission, Failure>> {
        self.0.admit(head, path)
    }

    fn handle(&self, call: Call) -> LocalBoxFuture<Result<Response<Contents>, Failure>> {
        let table = Rc::clone(&self.0);
        Box::pin(async move { table.handle(call).await })
    }
}

impl Table {
    fn fitting<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Route> {
        self.routes.iter().filter(|r| r.pattern.fit(path).is_some())
    }

    fn admit(&self, head: &Parts, path: &str) -> Option<Result<Admission, Failure>> {
        let Some(first) = self.fitting(path).next() else {
            // As Django's APPEND_SLASH: the name without its slash leads to the one with it.
            let slashed = format!("{path}/");
            let there = head.method == Method::GET && self.fitting(&slashed).next().is_some();
            return there.then(|| {
                let query = head.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
                // One slash in front: with two it would be the name of another host (RFC 3986 §4.2).
                let to = format!("/{}/{query}", head.uri.path().trim_start_matches('/'));
                Err(Failure::to(StatusCode::MOVED_PERMANENTLY, &to))
            });
        };
        if head.method == Method::OPTIONS {
            return Some(Ok(Admission { body_max: 0, length_required: false }));
        }
        Some(match self.fitting(path).find(|r| r.takes(&head.method)) {
            Some(route) => {
                Ok(Admission { body_max: route.body_max, length_required: route.length_required })
            }
            None => {
                let failure = Failure::from(StatusCode::METHOD_NOT_ALLOWED);
                let _ = first;
                Err(failure.field(header::ALLOW, &self.allow(path)))
            }
        })
    }

    fn allow(&self, path: &str) -> String {
        let mut names: Vec<&str> = Vec::new();
        for method in self.fitting(path).flat_map(|r| &r.methods) {
            let more: &[&str] =
                if method == Method::GET { &["GET", "HEAD"] } else { &[method.as_str()] };
            for name in more {
                if !names.contains(name) {
                    names.push(name);
                }
            }
        }
        names.push("OPTIONS");
        names.join(", ")
    }

    async fn handle(&self, call: Call) -> Result<Response<Contents>, Failure> {
        let method = call.request.method().clone();
        if method == Method::OPTIONS {
            let mut response = Response::new(Contents::default());
            let allow = HeaderValue::from_str(&self.allow(&call.path));
            if let Ok(allow) = allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            return Ok(response);
        }
        let route = self.fitting(&call.path).find(|r| r.takes(&method));
        let route = route.ok_or(StatusCode::NOT_FOUND)?;
        // Sessions first: who cannot have one needs no worker.
        let session = self.session(route, &call)?;
        let _worker = match self.pool.as_ref().filter(|_| route.pooled) {
            None => None,
            Some(pool) => match Pool::ask(pool) {
                Some(waiting) => Some(waiting.await),
                None => return Err(self.busy("all workers are busy and the queue is full")),
            },
        };
        if let Some(delay) = route.delay {
            call.process.sleep(delay).await;
        }
        let mut response = self.answer(route, &call, session.as_ref())?;
        for (name, value) in &route.fields {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        if let Some(cookie) = session.and_then(|s| s.cookie)
            && let Ok(value) = HeaderValue::from_str(&cookie)
        {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(response)
    }

    /// 503: the server is well, but cannot serve this now (RFC 9110 §15.6.4).
    fn busy(&self, why: &str) -> Failure {
        let seconds = self.retry_after.as_nanos().div_ceil(1_000_000_000);
        let failure = Failure::logged(StatusCode::SERVICE_UNAVAILABLE, "app", why);
        failure.field(header::RETRY_AFTER, &seconds.to_string()).detail(why)
    }

    fn session(&self, route: &Route, call: &Call) -> Result<Option<Visit>, Failure> {
        let Some(sessions) = self.sessions.as_ref() else { return Ok(None) };
        let cookies = form::cookies(call.request.headers());
        let id = form::value(&cookies, &self.cookie).map(str::to_owned);
        let now = call.process.now();
        let found = id.and_then(|id| sessions.touch(&id, now).map(|s| (id, s)));
        let set = |id: &str, more: &str| {
            format!("{}={id}; Path=/; HttpOnly; SameSite=Lax{more}", self.cookie)
        };
        match (route.session, found) {
            (SessionUse::End, Some((id, session))) => {
                sessions.end(&id);
                let cookie = Some(set("", "; Max-Age=0"));
                Ok(Some(Visit { id, data: session.data, cookie }))
            }
            (SessionUse::None | SessionUse::End, None) => Ok(None),
            (SessionUse::Require, None) => {
                Err(Failure::from(StatusCode::FORBIDDEN).detail("You have no session here."))
            }
            (SessionUse::Start, None) => {
                let id = new_id(call);
                let session = sessions
                    .begin(id.clone(), now)
                    .ok_or_else(|| self.busy("the sessions are full"))?;
                let cookie = Some(set(&id, ""));
                Ok(Some(self.visited(sessions, Visit { id, data: session.data, cookie })))
            }
            (_, Some((id, session))) => {
                Ok(Some(self.visited(sessions, Visit { id, data: session.data, cookie: None })))
            }
        }
    }

    /// Counts a visit, and remembers what a form says.
    fn visited(&self, sessions: &Sessions, mut visit: Visit) -> Visit {
        let visits = visit.data.get("visits").and_then(Value::as_u64).unwrap_or(0) + 1;
        sessions.put(&visit.id, "visits", visits.into());
        visit.data.insert("visits".to_owned(), visits.into());
        visit
    }

    fn answer(
        &self,
        route: &Route,
        call: &Call,
        session: Option<&Visit>,
    ) -> Result<Response<Contents>, Failure> {
        let status = route.status.unwrap_or(StatusCode::OK);
        match &route.what {
            What::Text(text) => Ok(page(status, &route.kind, text.clone())),
            What::File(path) => {
                let bytes = call.process.read_file(path).map_err(|e| {
                    let text = format!("{path}: {e}");
                    Failure::logged(StatusCode::INTERNAL_SERVER_ERROR, "app", text)
                })?;
                Ok(page(status, &route.kind, bytes))
            }
            What::Template(name) => {
                let context = self.context(route, call, session);
                let text = self.templates.render(name, &context).map_err(|e| {
                    let text = format!("{}: {e}", route.pattern.text());
                    Failure::logged(StatusCode::INTERNAL_SERVER_ERROR, "app", text)
                })?;
                Ok(page(status, &route.kind, text))
            }
            What::Echo => Ok(page(status, &route.kind, echo(call))),
            What::Redirect(to) => {
                let status =
                    route.status.filter(|s| s.is_redirection()).unwrap_or(StatusCode::FOUND);
                Err(Failure::to(status, to))
            }
            // Unwinds as a panic does, without the message that a real one leaves on the terminal.
            What::Fail(why) => std::panic::resume_unwind(Box::new(why.clone())),
            What::Store(store) => stored(store, route, call),
            What::Status if status.is_client_error() || status.is_server_error() => {
                let text =
                    format!("{} answers {} by its route", route.pattern.text(), status.as_u16());
                let failure = Failure::logged(status, "app", text);
                let retry = status == StatusCode::SERVICE_UNAVAILABLE;
                let seconds = self.retry_after.as_nanos().div_ceil(1_000_000_000).to_string();
                Err(if retry { failure.field(header::RETRY_AFTER, &seconds) } else { failure })
            }
            What::Status => Ok(page(status, &route.kind, "")),
        }
    }

    /// What templates can name.
    fn context(&self, route: &Route, call: &Call, session: Option<&Visit>) -> Value {
        let request = &call.request;
        let uri = request.uri();
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let is = |name: &str| kind.is_some_and(|k| k.starts_with(name));
        let text = String::from_utf8_lossy(request.body());
        let form =
            if is("application/x-www-form-urlencoded") { form::pairs(&text) } else { vec![] };
        let json: Value = if is("application/json") {
            serde_json::from_slice(request.body()).unwrap_or(Value::Null)
        } else {
            Value::Null
        };
        let map = |pairs: Vec<(String, String)>| -> Value {
            pairs.into_iter().rev().map(|(n, v)| (n, Value::from(v))).collect()
        };
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(n, v)| {
                (n.as_str().replace('-', "_"), String::from_utf8_lossy(v.as_bytes()).into_owned())
            })
            .collect();
        let stores: BTreeMap<&String, Value> =
            self.stores.iter().map(|(n, s)| (n, s.list())).collect();
        let (busy, waiting) = self.pool.as_ref().map_or((0, 0), |p| p.load());
        json!({
            "method": request.method().as_str(),
            "path": call.path,
            "params": map(route.pattern.fit(&call.path).unwrap_or_default()),
            "query": map(form::pairs(uri.query().unwrap_or_default())),
            "form": map(form),
            "json": json,
            "body": text,
            "headers": map(headers),
            "cookies": map(form::cookies(request.headers())),
            "client": call.client.ip().to_string(),
            "host": call.process.host_name(),
            "now": crate::calendar::Date::from_unix(call.process.unix_time() / 1_000_000_000).http(),
            "session": session.map(|s| json!({ "id": s.id, "data": s.data })),
            "sessions": self.sessions.as_ref().map_or(0, |s| s.len()),
            "workers": { "busy": busy, "waiting": waiting },
            "stores": stores,
        })
    }
}

/// A session as a request sees it.
#[derive(Debug)]
struct Visit {
    id: String,
    data: serde_json::Map<String, Value>,
    /// What is to be said in `Set-Cookie`.
    cookie: Option<String>,
}

/// A name for a session that nobody guesses: 128 bits of the lab's chance.
pub(crate) fn new_id(call: &Call) -> String {
    // Two calls at one instant come from different connections.
    let purpose = format!("session {} {}", call.process.now().as_nanos(), call.client);
    let mut rng = call.process.rng(&purpose);
    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64())
}

impl Route {
    fn takes(&self, method: &Method) -> bool {
        self.methods.contains(method)
            || (*method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}

fn page(
    status: StatusCode,
    kind: &HeaderValue,
    body: impl Into<bytes::Bytes>,
) -> Response<Contents> {
    let mut response = Response::new(Contents::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    response
}

/// The request as it arrived here: fields in their order, names in small letters.
fn echo(call: &Call) -> Vec<u8> {
    let request = &call.request;
    let mut head = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        let _ = writeln!(head, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    head.push('\n');
    let mut out = head.into_bytes();
    out.extend_from_slice(request.body());
    out
}

fn stored(store: &Store, route: &Route, call: &Call) -> Result<Response<Contents>, Failure> {
    let request = &call.request;
    let method =
        if *request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let params = route.pattern.fit(&call.path).unwrap_or_default();
    // Patterns let only digits in that fit; a number that is none names nothing.
    let id = match params.first() {
        None => None,
        Some((_, text)) => Some(text.parse().map_err(|_| StatusCode::NOT_FOUND)?),
    };
    let writes = [Method::POST, Method::PUT, Method::PATCH].contains(&method);
    let json = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if writes && !json.is_some_and(|k| k.to_ascii_lowercase().starts_with("application/json")) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into());
    }
    let reply = store.call(&method, id, request.body());
    if reply.status.is_client_error() || reply.status.is_server_error() {
        return Err(reply.status.into());
    }
    let text = reply.value.map(|v| v.to_string() + "\n").unwrap_or_default();
    let mut response = page(reply.status, &HeaderValue::from_static("application/json"), text);
    if reply.status == StatusCode::NO_CONTENT {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    if let Some(id) = reply.created {
        let path = call.request.uri().path();
        let slash = if path.ends_with('/') { "" } else { "/" };
        if let Ok(value) = HeaderValue::from_str(&format!("{path}{slash}{id}/")) {
            response.headers_mut().insert(header::LOCATION, value);
        }
    }
    Ok(response)
}
