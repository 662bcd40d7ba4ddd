//! The header fields that a browser sends, and how URLs and fields are told.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::browser::Browser;
use super::cookies;
use super::fetch::Ask;
use super::log::{Kind, Step};
use super::page::Use;
use super::words;

impl Browser {
    /// The fields of the request, without cookies and conditions.
    pub(super) fn headers(&self, ask: &Ask, host: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                map.insert(name, value);
            }
        };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = ask.url.port().map(|p| format!(":{p}")).unwrap_or_default();
        put(header::HOST, &format!("{bracketed}{port}"));
        put(header::CONNECTION, "keep-alive");
        if let Some((kind, body)) = &ask.body {
            put(header::CONTENT_LENGTH, &body.len().to_string());
            put(header::CONTENT_TYPE, kind);
        }
        if self.options.no_cache {
            put(header::PRAGMA, "no-cache");
            put(header::CACHE_CONTROL, "no-cache");
        } else if ask.reload {
            put(header::CACHE_CONTROL, "max-age=0");
        }
        let page = matches!(ask.used_as, Use::Document | Use::Frame);
        if page {
            put(header::UPGRADE_INSECURE_REQUESTS, "1");
        }
        if let (true, Some(from)) = (ask.method == Method::POST, &ask.referrer) {
            put(header::ORIGIN, &from.origin().ascii_serialization());
        }
        put(header::USER_AGENT, &self.options.user_agent);
        put(header::ACCEPT, ask.used_as.accept());
        if cookies::is_trustworthy(&ask.url) {
            self.fetch_metadata(ask, page, &mut put);
        }
        if let Some(referrer) = referer(ask) {
            put(header::REFERER, &referrer);
        }
        put(header::ACCEPT_ENCODING, "gzip, deflate");
        put(header::ACCEPT_LANGUAGE, self.options.accept_language());
        map
    }

    /// `Sec-Fetch-*`, which browsers tell only to places where nobody reads along.
    fn fetch_metadata(&self, ask: &Ask, page: bool, put: &mut dyn FnMut(HeaderName, &str)) {
        let name = HeaderName::from_static;
        let site = match &ask.referrer {
            None => "none",
            Some(from) if from.origin() == ask.url.origin() => "same-origin",
            Some(from) if cookies::site(from) == cookies::site(&ask.url) => "same-site",
            Some(_) => "cross-site",
        };
        put(name("sec-fetch-site"), site);
        put(name("sec-fetch-mode"), if page { "navigate" } else { "no-cors" });
        if ask.used_as == Use::Document {
            put(name("sec-fetch-user"), "?1");
        }
        put(name("sec-fetch-dest"), ask.used_as.name());
    }
}

/// The URL taken apart; of sub-resources only the whole.
pub(super) fn parts(ask: &Ask) -> Step {
    let url = &ask.url;
    let host = url.host_str().unwrap_or("");
    let port = url.port_or_known_default().unwrap_or(0);
    let step = Step::new(Kind::Url, format!("{url} ({})", ask.used_as.name()))
        .with("url", url.as_str())
        .with("scheme", url.scheme())
        .with("host", host)
        .with("port", port)
        .with("path", url.path())
        .with("use", ask.used_as.name());
    if ask.resource != 0 {
        return step;
    }
    let of_scheme = if url.port().is_none() { "the scheme's own: left out" } else { "as typed" };
    let mut step = step.line(format!("scheme {}", url.scheme()), "how to talk");
    if !url.username().is_empty() {
        step = step.line(format!("user {}", url.username()), "a name for the server");
    }
    step = step
        .line(format!("host {host}"), "whom to ask: a name or an address")
        .line(format!("port {port}"), format!("which program there ({of_scheme})"))
        .line(format!("path {}", url.path()), "what to ask for");
    if let Some(query) = url.query() {
        step = step.line(format!("query {query}"), "data for the application, in everybody's view");
    }
    if let Some(fragment) = url.fragment() {
        step = step.line(format!("fragment {fragment}"), "a place in the page; it is never sent");
    }
    step
}

/// The fields as lines: those of the page with their class and meaning, the others for programs.
pub(super) fn with_fields(mut step: Step, headers: &HeaderMap, explain: bool) -> Step {
    let mut all = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if explain {
            let (class, meaning) = words::field(name.as_str());
            step = step.line(
                format!("{}: {value}", title_case(name.as_str())),
                format!("{}: {meaning}", class.name()),
            );
        }
        all.push(serde_json::json!([title_case(name.as_str()), value]));
    }
    step.with("headers", all)
}

/// As hyper writes names on the wire.
fn title_case(name: &str) -> String {
    let word = |w: &str| {
        let mut chars = w.chars();
        chars.next().map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + chars.as_str())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// The value of Referer: the whole URL to the same origin, only the origin to others
/// (`strict-origin-when-cross-origin`); never user and fragment.
fn referer(ask: &Ask) -> Option<String> {
    let mut from = ask.referrer.clone()?;
    if from.origin() != ask.url.origin() {
        return Some(format!("{}/", from.origin().ascii_serialization()));
    }
    from.set_fragment(None);
    // An http URL takes both changes.
    let _ = from.set_username("");
    let _ = from.set_password(None);
    Some(from.to_string())
}
