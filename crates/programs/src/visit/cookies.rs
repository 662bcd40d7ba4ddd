//! Which cookies go along, which are kept back, and what becomes of new ones.

use http::{HeaderMap, HeaderValue, Method, header};
use url::{Host, Url};

use super::browser::Browser;
use super::fetch::Ask;
use super::log::{Kind, Step};
use super::page::Use;
use crate::calendar::Date;
use crate::cookies::{Cookie, Origin, Rejected, SameSite, Stored};

/// Whether nobody can read along: loopback (and https, which is not there yet).
pub(super) fn is_trustworthy(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The site of a URL: the last two labels of its host, or its address. (There is no list of public
/// suffixes for a lab's names.)
pub(super) fn site(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => {
            let labels: Vec<&str> = name.rsplit('.').take(2).collect();
            labels.into_iter().rev().collect::<Vec<_>>().join(".")
        }
        Some(host) => host.to_string(),
        None => String::new(),
    }
}

fn origin(url: &Url) -> Origin<'_> {
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    Origin { host, path: url.path(), secure: is_trustworthy(url) }
}

/// Why SameSite keeps a cookie back (RFC 6265bis §5.8.3); a cookie without the attribute counts as
/// `Lax`, as browsers have it.
fn kept_back(cookie: &Cookie, ask: &Ask) -> Option<&'static str> {
    let from = ask.referrer.as_ref()?;
    if site(from) == site(&ask.url) {
        return None;
    }
    let safe = ask.used_as == Use::Document && ask.method == Method::GET;
    match cookie.same_site {
        Some(SameSite::None) => None,
        Some(SameSite::Strict) => Some("SameSite=Strict, and another site leads here"),
        _ if safe => None,
        _ => Some("SameSite=Lax, and another site's page asks"),
    }
}

/// The value of `Cookie`, told.
pub(super) async fn to_send(browser: &Browser, ask: &Ask) -> Option<HeaderValue> {
    let now = browser.unix();
    let (mut sent, mut step) = (Vec::new(), Step::new(Kind::Cookies, ""));
    {
        let jar = browser.jar.borrow();
        for cookie in jar.matching(origin(&ask.url), now) {
            let pair = format!("{}={}", cookie.name, cookie.value);
            match kept_back(cookie, ask) {
                None => sent.push(pair),
                Some(why) => step = step.line(pair, format!("kept back: {why}")),
            }
        }
    }
    let text = match sent.len() {
        0 => format!("none for {}{}", ask.url.host_str().unwrap_or(""), ask.url.path()),
        1 => format!("1 goes along: {}", sent[0]),
        n => format!("{n} go along: {}", sent.join("; ")),
    };
    let step = step.renamed(text).with("sent", sent.clone());
    browser.log.step(ask.resource, step).await;
    if sent.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(sent.join("; ").as_bytes()).ok()
}

/// Stores what `Set-Cookie` fields ask for, told.
pub(super) async fn store(browser: &Browser, ask: &Ask, headers: &HeaderMap) {
    let now = browser.unix();
    for field in headers.get_all(header::SET_COOKIE) {
        let field = String::from_utf8_lossy(field.as_bytes()).into_owned();
        let stored = browser.jar.borrow_mut().set_in_browser(&field, origin(&ask.url), now);
        let step = match stored {
            Ok(Stored::Added(cookie)) => attributes("stored", &cookie),
            Ok(Stored::Replaced(cookie)) => attributes("replaced", &cookie),
            Ok(Stored::Removed(cookie)) => {
                Step::new(Kind::SetCookie, format!("{} is gone: it has expired", cookie.name))
                    .with("name", cookie.name)
                    .with("stored", false)
            }
            Err(why) => Step::new(Kind::SetCookie, format!("refused: {}", refusal(&why)))
                .line(field.clone(), "")
                .with("stored", false),
        };
        browser.log.step(ask.resource, step).await;
    }
}

fn attributes(what: &str, c: &Cookie) -> Step {
    let whom = if c.subdomains { "and all hosts below it" } else { "that host only" };
    let until = match c.expires {
        None => ("session".to_owned(), "until the browser ends"),
        Some(t) => (Date::from_unix(t).http(), "kept on disk until then"),
    };
    let same_site = match c.same_site {
        None => ("(none: Lax)", "other sites' pages do not send it along, links do"),
        Some(SameSite::Lax) => ("Lax", "other sites' pages do not send it along, links do"),
        Some(SameSite::Strict) => ("Strict", "nothing from other sites sends it along"),
        Some(SameSite::None) => ("None", "goes along from everywhere"),
    };
    let scripts = if c.http_only { "yes" } else { "no" };
    let hidden = if c.http_only { "scripts cannot read it" } else { "scripts can read it" };
    let secure = if c.secure {
        ("yes", "only over https")
    } else {
        ("no", "over http, too: all can read it")
    };
    Step::new(Kind::SetCookie, format!("{what} {}={}", c.name, c.value))
        .line(format!("Domain {}", c.domain), whom)
        .line(format!("Path {}", c.path), "and what lies below it")
        .line(format!("Expires {}", until.0), until.1)
        .line(format!("HttpOnly {scripts}"), hidden)
        .line(format!("Secure {}", secure.0), secure.1)
        .line(format!("SameSite {}", same_site.0), same_site.1)
        .with("stored", true)
        .with("name", c.name.as_str())
        .with("value", c.value.as_str())
        .with("domain", c.domain.as_str())
        .with("path", c.path.as_str())
        .with("http_only", c.http_only)
        .with("secure", c.secure)
        .with("same_site", c.same_site.map_or("Lax", SameSite::name))
}

fn refusal(why: &Rejected) -> String {
    match why {
        Rejected::Malformed => "it has no name".to_owned(),
        Rejected::Octets => "control characters in it".to_owned(),
        Rejected::TooLarge => "more than 4096 bytes".to_owned(),
        Rejected::Domain(d) => format!("this host may not set cookies for {d}"),
        Rejected::PublicSuffix { domain, .. } => {
            format!("it would go to every host under {domain}")
        }
        Rejected::Secure(name) => format!("{name} says Secure, but this is http"),
        Rejected::Prefix(name) => format!("{name} promises by its prefix what it does not keep"),
        Rejected::Overlay { name, .. } => format!("a Secure cookie {name} stands in its place"),
        Rejected::SameSiteNone(name) => format!("{name} says SameSite=None without Secure"),
    }
}
