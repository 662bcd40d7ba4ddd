//! `routes.toml`: what a lab author writes, checked.

use std::collections::BTreeMap;
use std::rc::Rc;

use http::{HeaderName, HeaderValue, Method, StatusCode};
use netarium_base::Duration;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::pool::Pool;
use super::session::Sessions;
use super::store::Store;
use super::template::Templates;
use super::{Route, SessionUse, Table, What};

/// Routes at most.
const ROUTES_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    pool: Option<PoolTable>,
    sessions: Option<SessionsTable>,
    #[serde(default)]
    stores: BTreeMap<String, StoreTable>,
    #[serde(default)]
    route: Vec<toml::Spanned<RouteTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolTable {
    workers: usize,
    #[serde(default)]
    queue: usize,
    retry_after: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionsTable {
    cookie: Option<String>,
    limit: Option<usize>,
    lifetime: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreTable {
    limit: Option<usize>,
    #[serde(default)]
    items: Vec<Map<String, Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteTable {
    path: String,
    methods: Option<Vec<String>>,
    text: Option<String>,
    file: Option<String>,
    template: Option<String>,
    #[serde(default)]
    echo: bool,
    redirect: Option<String>,
    fail: Option<String>,
    store: Option<String>,
    status: Option<u16>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    delay: Option<String>,
    session: Option<String>,
    #[serde(default)]
    length_required: bool,
    body_max: Option<u64>,
    pool: Option<bool>,
}

/// Reads a table; `read` gives the files that it names. The error points at the place.
pub(super) fn parse(
    text: &str,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Table, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    if file.route.is_empty() {
        return Err("expected at least one [[route]]".to_owned());
    }
    if file.route.len() > ROUTES_MAX {
        return Err(format!("more than {ROUTES_MAX} routes"));
    }
    let (pool, retry_after) = match file.pool {
        None => (None, Duration::from_secs(5)),
        Some(p) => {
            check(p.workers, 1..=10_000, "pool.workers")?;
            check(p.queue, 0..=10_000, "pool.queue")?;
            let retry = span(p.retry_after.as_deref(), "pool.retry_after", 5)?;
            (Some(Rc::new(Pool::new(p.workers, p.queue))), retry)
        }
    };
    let sessions = file.sessions.map(sessions).transpose()?;
    let mut stores = BTreeMap::new();
    for (name, store) in file.stores {
        let limit = store.limit.unwrap_or(1_000);
        check(limit, 1..=100_000, &format!("stores.{name}.limit"))?;
        stores.insert(name, Rc::new(Store::new(limit, store.items)));
    }
    let mut templates = Templates::new();
    let mut routes = Vec::new();
    for (n, entry) in file.route.into_iter().enumerate() {
        let line = 1 + text[..entry.span().start].matches('\n').count();
        let known =
            Known { stores: &stores, sessions: sessions.is_some(), pool: pool.is_some(), read };
        let route = route(n, entry.into_inner(), &known, &mut templates);
        routes.push(route.map_err(|e| format!("route at line {line}: {e}"))?);
    }
    let (cookie, sessions) = sessions.unzip();
    Ok(Table {
        routes,
        pool,
        retry_after,
        cookie: cookie.unwrap_or_else(|| "sid".to_owned()),
        sessions: sessions.map(Rc::new),
        stores,
        templates,
    })
}

fn check(n: usize, range: std::ops::RangeInclusive<usize>, what: &str) -> Result<(), String> {
    if range.contains(&n) {
        return Ok(());
    }
    Err(format!("{what}: expected {} to {}, got {n}", range.start(), range.end()))
}

fn span(text: Option<&str>, what: &str, default: u64) -> Result<Duration, String> {
    match text {
        None => Ok(Duration::from_secs(default)),
        Some(t) => t.parse().map_err(|e| format!("{what}: {e}")),
    }
}

fn sessions(table: SessionsTable) -> Result<(String, Sessions), String> {
    let limit = table.limit.unwrap_or(1_000);
    check(limit, 1..=100_000, "sessions.limit")?;
    let lifetime = span(table.lifetime.as_deref(), "sessions.lifetime", 1_200)?;
    let cookie = table.cookie.unwrap_or_else(|| "sid".to_owned());
    if cookie.is_empty() || !cookie.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    {
        return Err(format!("sessions.cookie: '{cookie}' is no cookie name"));
    }
    Ok((cookie, Sessions::new(limit, lifetime)))
}

/// What a route may refer to.
struct Known<'a> {
    stores: &'a BTreeMap<String, Rc<Store>>,
    sessions: bool,
    pool: bool,
    read: &'a dyn Fn(&str) -> Result<String, String>,
}

fn route(
    n: usize,
    table: RouteTable,
    known: &Known<'_>,
    templates: &mut Templates,
) -> Result<Route, String> {
    let pattern = Pattern::parse(&table.path)?;
    let status = table.status.map(|s| {
        let ok = StatusCode::from_u16(s).ok().filter(|_| (200..=599).contains(&s));
        ok.ok_or_else(|| format!("expected a status from 200 to 599, got {s}"))
    });
    let status = status.transpose()?;
    let what = what(n, &table, status, known, templates)?;
    let methods = methods(&table, &what)?;
    let mut fields = Vec::new();
    for (name, value) in &table.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("headers: '{name}' is no header name"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("headers: '{value}' is no header value"))?;
        fields.push((name, value));
    }
    let kind = match (&table.kind, &what) {
        (Some(kind), _) => HeaderValue::from_str(kind).map_err(|_| format!("type: '{kind}'"))?,
        (None, What::Text(_) | What::Echo) => HeaderValue::from_static("text/plain; charset=utf-8"),
        (None, _) => HeaderValue::from_static("text/html; charset=utf-8"),
    };
    let session = match table.session.as_deref() {
        None => SessionUse::None,
        Some("start") => SessionUse::Start,
        Some("require") => SessionUse::Require,
        Some("end") => SessionUse::End,
        Some(other) => {
            return Err(format!("session: expected start, require or end, got '{other}'"));
        }
    };
    if session != SessionUse::None && !known.sessions {
        return Err("session: there is no [sessions]".to_owned());
    }
    if table.pool == Some(true) && !known.pool {
        return Err("pool: there is no [pool]".to_owned());
    }
    let delay = table.delay.as_deref().map(str::parse).transpose();
    Ok(Route {
        pattern,
        methods,
        what,
        status,
        kind,
        fields,
        delay: delay.map_err(|e| format!("delay: {e}"))?,
        session,
        length_required: table.length_required,
        body_max: table.body_max.unwrap_or(64 * 1024).min(16 * 1024 * 1024),
        pooled: known.pool && table.pool != Some(false),
    })
}

/// The one thing that a route answers with.
fn what(
    n: usize,
    table: &RouteTable,
    status: Option<StatusCode>,
    known: &Known<'_>,
    templates: &mut Templates,
) -> Result<What, String> {
    let mut all = Vec::new();
    if let Some(text) = &table.text {
        all.push(What::Text(text.clone()));
    }
    if let Some(path) = &table.file {
        all.push(What::File(path.clone()));
    }
    if let Some(template) = &table.template {
        // A name of a file, or the template itself.
        let text = match template.strip_prefix('@') {
            Some(path) => (known.read)(path).map_err(|e| format!("template: {path}: {e}"))?,
            None => template.clone(),
        };
        let html = table.kind.as_deref().is_none_or(|k| k.contains("html"));
        let json = table.kind.as_deref().is_some_and(|k| k.contains("json"));
        let escape = if html {
            "html"
        } else if json {
            "json"
        } else {
            "txt"
        };
        let name = format!("route{}.{escape}", n + 1);
        templates.add(&name, text).map_err(|e| format!("template: {e}"))?;
        all.push(What::Template(name));
    }
    if table.echo {
        all.push(What::Echo);
    }
    if let Some(to) = &table.redirect {
        HeaderValue::from_str(to).map_err(|_| format!("redirect: '{to}' is no place"))?;
        all.push(What::Redirect(to.clone()));
    }
    if let Some(why) = &table.fail {
        all.push(What::Fail(why.clone()));
    }
    if let Some(name) = &table.store {
        let store =
            known.stores.get(name).ok_or_else(|| format!("store: there is no [stores.{name}]"))?;
        all.push(What::Store(Rc::clone(store)));
    }
    match (all.len(), status) {
        (0, Some(_)) => Ok(What::Status),
        (1, _) => Ok(all.remove(0)),
        _ => Err("expected one of text, file, template, echo, redirect, fail, store, or status \
                  alone"
            .to_owned()),
    }
}

fn methods(table: &RouteTable, what: &What) -> Result<Vec<Method>, String> {
    let default: &[Method] = match what {
        What::Store(_) => &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE],
        What::Echo | What::Status | What::Fail(_) => {
            &[Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
        }
        What::Text(_) | What::File(_) | What::Template(_) | What::Redirect(_) => &[Method::GET],
    };
    let Some(names) = &table.methods else { return Ok(default.to_vec()) };
    names
        .iter()
        .map(|name| {
            let known = ["GET", "POST", "PUT", "PATCH", "DELETE"];
            let method = Method::from_bytes(name.as_bytes()).ok();
            let method = method.filter(|m| known.contains(&m.as_str()));
            method.ok_or_else(|| format!("methods: expected {}, got '{name}'", known.join(", ")))
        })
        .collect()
}
