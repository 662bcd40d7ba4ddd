//! What a configuration means: checked, merged, ready to be served from.

use core::net::{IpAddr, SocketAddr};
use std::fmt;
use std::rc::Rc;
use std::str::Chars;

use http::{HeaderName, HeaderValue};
use netarium_base::Duration;

use super::super::log_format::LogFormat;
use super::tree::Place;
use crate::httpd::Application;

/// A whole server.
#[derive(Clone, Debug)]
pub(in crate::httpd) struct Config {
    pub(in crate::httpd) server_root: String,
    /// Where to listen. With nothing here the server does not start.
    pub(in crate::httpd) listen: Vec<SocketAddr>,
    /// Connections that may wait for `accept`, each listener.
    pub(in crate::httpd) backlog: u32,
    /// Connections served at a time.
    pub(in crate::httpd) workers: usize,
    pub(in crate::httpd) pid_file: String,
    /// What answers when no virtual host does.
    pub(in crate::httpd) main: Rc<Site>,
    pub(in crate::httpd) hosts: Vec<VirtualHost>,
    /// `-D` names, for `-S`.
    pub(in crate::httpd) defines: Vec<String>,
}

/// A virtual host: where its connections come in, and what it is.
#[derive(Clone, Debug)]
pub(in crate::httpd) struct VirtualHost {
    /// Local addresses; `None` is `*`.
    pub(in crate::httpd) addresses: Vec<(Option<IpAddr>, Option<u16>)>,
    pub(in crate::httpd) site: Rc<Site>,
    pub(in crate::httpd) at: Place,
}

/// What one server, main or virtual, answers.
#[derive(Clone)]
pub(in crate::httpd) struct Site {
    pub(in crate::httpd) name: Option<ServerName>,
    pub(in crate::httpd) aliases: Vec<String>,
    pub(in crate::httpd) admin: Option<String>,
    /// The document root, as a path of the host.
    pub(in crate::httpd) root: String,
    pub(in crate::httpd) error_log: String,
    pub(in crate::httpd) level: Level,
    pub(in crate::httpd) access_logs: Vec<(Rc<str>, Rc<LogFormat>)>,
    pub(in crate::httpd) formats: Vec<(String, Rc<LogFormat>)>,
    pub(in crate::httpd) timing: Timing,
    pub(in crate::httpd) limits: RequestLimits,
    pub(in crate::httpd) redirects: Vec<Redirect>,
    pub(in crate::httpd) path_aliases: Vec<(String, String)>,
    /// The `Server` field, when there is to be one.
    pub(in crate::httpd) server: Option<HeaderValue>,
    /// Error pages end with what the server is.
    pub(in crate::httpd) signature: bool,
    pub(in crate::httpd) trace: bool,
    /// `%2F` in a path: on, it is a slash of a name (and so names nothing); off, 404 at once.
    pub(in crate::httpd) encoded_slashes: bool,
    /// Programs behind a route table.
    pub(in crate::httpd) applications: Vec<Rc<dyn Application>>,
    /// The path of the route table, read when the configuration has been checked.
    pub(in crate::httpd) route_table: Option<(String, Place)>,
    /// What holds everywhere.
    pub(in crate::httpd) base: Rc<Rules>,
    /// What holds in some places, in the order in which it is merged.
    pub(in crate::httpd) sections: Vec<(Scope, Rules)>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("name", &self.name).field("root", &self.root).finish()
    }
}

/// `ServerName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct ServerName {
    pub(in crate::httpd) host: String,
    pub(in crate::httpd) port: Option<u16>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct Timing {
    pub(in crate::httpd) keep_alive: bool,
    pub(in crate::httpd) keep_alive_timeout: Duration,
    /// Requests on one connection; 0 is any number.
    pub(in crate::httpd) keep_alive_requests: u32,
    /// How long a peer may take nothing.
    pub(in crate::httpd) timeout: Duration,
    pub(in crate::httpd) head: ReadTimeout,
    pub(in crate::httpd) body: ReadTimeout,
}

/// `RequestReadTimeout`: a first span, more for each so many bytes, and an end to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct ReadTimeout {
    /// `None`: no limit.
    pub(in crate::httpd) first: Option<Duration>,
    pub(in crate::httpd) most: Option<Duration>,
    /// Bytes that earn a second; 0: none do.
    pub(in crate::httpd) rate: u32,
}

/// The sizes that a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct RequestLimits {
    /// Bytes of the request line.
    pub(in crate::httpd) line: usize,
    /// Fields.
    pub(in crate::httpd) fields: usize,
    /// Bytes of a field.
    pub(in crate::httpd) field: usize,
}

/// `Redirect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct Redirect {
    pub(in crate::httpd) status: u16,
    pub(in crate::httpd) from: String,
    /// Empty for a status that is no redirection (410).
    pub(in crate::httpd) to: String,
}

/// Where rules hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) enum Scope {
    /// A folder of the host and everything in it.
    Directory(String),
    /// Files of a name, with `*` and `?`.
    Files(String),
    /// Paths of URLs from here on.
    Location(String),
}

/// Rules of one place; what is `None` is left to the place around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::httpd) struct Rules {
    pub(in crate::httpd) index: Option<Vec<String>>,
    pub(in crate::httpd) listing: Option<bool>,
    pub(in crate::httpd) require: Option<Vec<Require>>,
    pub(in crate::httpd) errors: Vec<(u16, ErrorDocument)>,
    pub(in crate::httpd) headers: Vec<HeaderEdit>,
    pub(in crate::httpd) types: Vec<(String, HeaderValue)>,
    pub(in crate::httpd) body: Option<u64>,
}

/// `Require`: any that grants is enough, none that forbids may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct Require {
    pub(in crate::httpd) not: bool,
    pub(in crate::httpd) who: Who,
}

/// Whom a `Require` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) enum Who {
    Granted,
    Denied,
    Local,
    /// Addresses with the number of bits that count.
    Net(Vec<(IpAddr, u8)>),
}

/// `ErrorDocument`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) enum ErrorDocument {
    Text(String),
    Path(String),
    Url(String),
    /// The page that comes with the server.
    Default,
}

/// `Header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct HeaderEdit {
    /// Of error pages, too.
    pub(in crate::httpd) always: bool,
    pub(in crate::httpd) name: HeaderName,
    pub(in crate::httpd) change: HeaderChange,
}

/// What `Header` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) enum HeaderChange {
    Set(HeaderValue),
    Add(HeaderValue),
    Unset,
}

/// How bad something is that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::httpd) enum Level {
    Emerg,
    Alert,
    Crit,
    Error,
    Warn,
    Notice,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// As the error log writes it.
    pub(in crate::httpd) fn name(self) -> &'static str {
        match self {
            Level::Emerg => "emerg",
            Level::Alert => "alert",
            Level::Crit => "crit",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Notice => "notice",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace1",
        }
    }
}

impl Rules {
    /// These rules with those of a narrower place over them.
    pub(in crate::httpd) fn overlay(&mut self, inner: &Rules) {
        let Rules { index, listing, require, errors, headers, types, body } = inner;
        self.index = index.clone().or(self.index.take());
        self.listing = listing.or(self.listing);
        self.require = require.clone().or(self.require.take());
        self.errors.extend(errors.iter().cloned());
        self.headers.extend(headers.iter().cloned());
        self.types.extend(types.iter().cloned());
        self.body = body.or(self.body);
    }

    /// The last `ErrorDocument` for a status.
    pub(in crate::httpd) fn error(&self, status: u16) -> Option<&ErrorDocument> {
        self.errors.iter().rev().find(|e| e.0 == status).map(|e| &e.1)
    }
}

impl Config {
    /// The site for a connection's local address and the name that was asked for.
    ///
    /// An address beats `*`, a port beats none; among equals the name decides, else the first.
    pub(in crate::httpd) fn site(&self, local: SocketAddr, name: &str) -> &Rc<Site> {
        let mut best: Option<(u8, &VirtualHost)> = None;
        for host in &self.hosts {
            let Some(rank) = host.rank(local) else { continue };
            let rank = rank * 2 + u8::from(host.site.is_called(name));
            if best.is_none_or(|b| b.0 / 2 < rank / 2 || (b.0 / 2 == rank / 2 && b.0 < rank)) {
                best = Some((rank, host));
            }
        }
        best.map_or(&self.main, |b| &b.1.site)
    }
}

impl VirtualHost {
    fn rank(&self, local: SocketAddr) -> Option<u8> {
        let rank = |&(ip, port): &(Option<IpAddr>, Option<u16>)| {
            let fits = ip.is_none_or(|ip| ip == local.ip())
                && port.is_none_or(|port| port == local.port());
            fits.then(|| u8::from(ip.is_some()) * 2 + u8::from(port.is_some()))
        };
        self.addresses.iter().filter_map(rank).max()
    }
}

impl Site {
    /// Whether a name (without port, in any case) is one of this site's.
    pub(in crate::httpd) fn is_called(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|n| n.host.eq_ignore_ascii_case(name))
            || self
                .aliases
                .iter()
                .any(|a| glob(&a.to_ascii_lowercase(), &name.to_ascii_lowercase()))
    }
}

/// Whether a text fits a pattern with `*` (any text) and `?` (any character). Linear in the product
/// of the lengths: no pattern makes it slow.
pub(in crate::httpd) fn glob(pattern: &str, text: &str) -> bool {
    let (mut p, mut t) = (pattern.chars(), text.chars());
    // What follows the last star, and the text that it has been tried on.
    let mut back: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut next_p, mut next_t) = (p.clone(), t.clone());
        match (next_p.next(), next_t.next()) {
            (Some('*'), Some(_)) => {
                back = Some((next_p.clone(), t.clone()));
                p = next_p;
            }
            (Some(c), Some(is)) if c == '?' || c == is => (p, t) = (next_p, next_t),
            (_, None) => return p.all(|c| c == '*'),
            (_, Some(_)) => {
                let Some((behind, from)) = &mut back else { return false };
                from.next();
                (p, t) = (behind.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns() {
        for (pattern, text, expect) in [
            ("*.lab", "www.lab", true),
            ("*.lab", "lab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            (".ht*", ".htaccess", true),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxba", false),
        ] {
            assert_eq!(glob(pattern, text), expect, "{pattern} {text}");
        }
    }
}
