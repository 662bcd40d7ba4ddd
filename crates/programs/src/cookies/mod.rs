//! A cookie jar (RFC 6265bis), as `curl` and `visit` keep it.
//!
//! In reading order: this file (the jar: what is stored, what is sent), `parse` (a `Set-Cookie`
//! field), [`date`] (its lenient dates), `netscape` (the file format).
//!
//! Times are seconds since 1970; the caller says what time it is. There is no public suffix list:
//! a domain without a dot counts as one, since a lab's names end in whatever the lab file says.

pub(crate) mod date;
mod netscape;
mod parse;

pub(crate) use netscape::{read, write};
pub(crate) use parse::{SameSite, SetCookie};

/// The most cookies a jar holds; the longest unused go first (RFC 6265bis §6.1 asks for 3000).
pub(crate) const JAR_MAX: usize = 3000;
/// The most cookies of one domain (RFC 6265bis §6.1 asks for 50; curl sends at most 150).
pub(crate) const DOMAIN_MAX: usize = 150;

/// A stored cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// The host, or with `subdomains` the domain (without a leading dot), in lower case.
    pub(crate) domain: String,
    /// Whether hosts below the domain get it, too (it came with a Domain attribute).
    pub(crate) subdomains: bool,
    /// As in the field or from the request's path.
    pub(crate) path: String,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) same_site: Option<SameSite>,
    /// When it expires; `None` for a cookie of the session.
    pub(crate) expires: Option<u64>,
    /// Its place in the order of creation; replacing keeps it.
    pub(crate) created: u64,
}

impl Cookie {
    /// Whether it goes to this host and path; `secure`: over a connection that nobody reads.
    fn matches(&self, host: &str, path: &str, secure: bool) -> bool {
        let domain = if self.subdomains {
            domain_match(host, &self.domain)
        } else {
            // One from a file of header lines has no domain and goes everywhere.
            self.domain.is_empty() || host.eq_ignore_ascii_case(&self.domain)
        };
        domain && (secure || !self.secure) && path_match(path, &self.path)
    }

    fn same(&self, other: &Cookie) -> bool {
        self.name == other.name
            && self.domain == other.domain
            && self.subdomains == other.subdomains
            && trim_path(&self.path) == trim_path(&other.path)
    }
}

/// Where a `Set-Cookie` field came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The host, without brackets and port.
    pub(crate) host: &'a str,
    /// The path of the request, without query.
    pub(crate) path: &'a str,
    /// Whether the connection cannot be read by others: https, or loopback.
    pub(crate) secure: bool,
}

/// What became of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Added(Cookie),
    Replaced(Cookie),
    /// It was there and is not any more: the new one had expired.
    Removed(Cookie),
}

/// Why a cookie is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// No name, or no `=`.
    Malformed,
    /// Control characters in name or value.
    Octets,
    /// More than 4096 bytes of name and value.
    TooLarge,
    /// The Domain attribute does not cover the host that sent it.
    Domain(String),
    /// The Domain attribute has no dot: a cookie for everybody under a top-level domain.
    PublicSuffix { name: String, domain: String },
    /// `Secure`, but from a connection that is not.
    Secure(String),
    /// `__Secure-` or `__Host-` without what the prefix promises.
    Prefix(String),
    /// Over http, and a Secure cookie of that name stands already.
    Overlay { name: String, domain: String },
    /// `SameSite=None` without `Secure`.
    SameSiteNone(String),
}

/// The cookies of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
    next: u64,
}

impl Jar {
    /// All cookies that have not expired, newest first.
    pub(crate) fn all(&self, now: u64) -> Vec<&Cookie> {
        let mut all: Vec<&Cookie> = self.cookies.iter().filter(|c| !expired(c, now)).collect();
        all.sort_by_key(|c| std::cmp::Reverse(c.created));
        all
    }

    /// Puts in a cookie from a file. It replaces one of the same name, domain and path.
    pub(crate) fn insert(&mut self, mut cookie: Cookie, now: u64) -> Stored {
        self.cookies.retain(|c| !expired(c, now));
        cookie.created = self.next;
        self.next += 1;
        let old = self.cookies.iter().position(|c| c.same(&cookie));
        if let Some(at) = old {
            cookie.created = self.cookies[at].created;
            if expired(&cookie, now) {
                return Stored::Removed(self.cookies.remove(at));
            }
            self.cookies[at] = cookie.clone();
            return Stored::Replaced(cookie);
        }
        if !expired(&cookie, now) {
            self.make_room(&cookie.domain);
            self.cookies.push(cookie.clone());
        }
        Stored::Added(cookie)
    }

    /// The oldest cookie of a full domain, or of a full jar, goes.
    fn make_room(&mut self, domain: &str) {
        let of = |c: &Cookie| c.domain == domain;
        if self.cookies.iter().filter(|c| of(c)).count() >= DOMAIN_MAX {
            let oldest = self.cookies.iter().filter(|c| of(c)).map(|c| c.created).min();
            self.cookies.retain(|c| Some(c.created) != oldest);
        }
        if self.cookies.len() >= JAR_MAX {
            let oldest = self.cookies.iter().map(|c| c.created).min();
            self.cookies.retain(|c| Some(c.created) != oldest);
        }
    }

    /// Stores the cookie of a `Set-Cookie` field (RFC 6265bis §5.7).
    ///
    /// # Errors
    /// [`Rejected`] when a rule forbids it.
    pub(crate) fn set(
        &mut self,
        field: &str,
        origin: Origin<'_>,
        now: u64,
    ) -> Result<Stored, Rejected> {
        self.store(SetCookie::parse(field, now)?, origin, now)
    }

    /// As [`set`](Self::set), with a browser's further rules: no cookie outlives 400 days, and
    /// `SameSite=None` wants `Secure`.
    ///
    /// # Errors
    /// [`Rejected`] when a rule forbids it.
    pub(crate) fn set_in_browser(
        &mut self,
        field: &str,
        origin: Origin<'_>,
        now: u64,
    ) -> Result<Stored, Rejected> {
        let set = SetCookie::parse(field, now)?.limit_age(now);
        if set.same_site == Some(SameSite::None) && !set.secure {
            return Err(Rejected::SameSiteNone(set.name));
        }
        self.store(set, origin, now)
    }

    fn store(&mut self, set: SetCookie, origin: Origin<'_>, now: u64) -> Result<Stored, Rejected> {
        let cookie = set.into_cookie(origin)?;
        let overlaid = self.cookies.iter().any(|c| {
            c.secure
                && c.name == cookie.name
                && (domain_match(&c.domain, &cookie.domain)
                    || domain_match(&cookie.domain, &c.domain))
                && path_match(&cookie.path, &c.path)
        });
        if overlaid && !cookie.secure && !origin.secure {
            return Err(Rejected::Overlay { name: cookie.name, domain: cookie.domain });
        }
        Ok(self.insert(cookie, now))
    }

    /// The cookies for a request, in the order in which they are sent: longest path first (RFC
    /// 6265bis §5.8.3); then, as in curl, longest domain, longest name, newest.
    pub(crate) fn matching(&self, origin: Origin<'_>, now: u64) -> Vec<&Cookie> {
        let fits =
            |c: &&Cookie| !expired(c, now) && c.matches(origin.host, origin.path, origin.secure);
        let mut found: Vec<&Cookie> = self.cookies.iter().filter(fits).collect();
        let key = |c: &Cookie| (c.path.len(), c.domain.len(), c.name.len(), c.created);
        found.sort_by_key(|c| std::cmp::Reverse(key(c)));
        found.truncate(DOMAIN_MAX);
        found
    }

    /// Forgets the cookies of the session (`-j`).
    pub(crate) fn end_session(&mut self) {
        self.cookies.retain(|c| c.expires.is_some());
    }
}

fn expired(cookie: &Cookie, now: u64) -> bool {
    cookie.expires.is_some_and(|t| t < now)
}

/// RFC 6265bis §5.1.3. An address matches only itself.
pub(crate) fn domain_match(host: &str, domain: &str) -> bool {
    if host.eq_ignore_ascii_case(domain) {
        return true;
    }
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host.parse::<core::net::IpAddr>().is_err()
        && host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// RFC 6265bis §5.1.4.
fn path_match(request: &str, cookie: &str) -> bool {
    let cookie = trim_path(cookie);
    let request = if request.starts_with('/') { request } else { "/" };
    match request.strip_prefix(cookie) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || cookie == "/",
        None => false,
    }
}

/// Without a slash at the end.
fn trim_path(path: &str) -> &str {
    if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path }
}

/// The path of a cookie without a Path attribute: up to the request's last slash, which curl keeps.
pub(crate) fn default_path(request: &str) -> &str {
    match request.rfind('/') {
        Some(at) if request.starts_with('/') => &request[..=at],
        _ => "/",
    }
}

#[cfg(test)]
mod tests;
