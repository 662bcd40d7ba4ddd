//! The directives: their names, where they may stand, how many arguments they take, what they do.

use super::apply::{self, Builder, Outcome};
use super::tree::Directive;

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of all sections.
    Server,
    /// There, and in `<VirtualHost>`.
    Host,
    /// In `<Directory>`, `<Files>`, `<Location>` only.
    Place,
    /// Anywhere.
    Any,
}

/// How many arguments a directive takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Args {
    One,
    OneOrTwo,
    Two,
    TwoOrThree,
    UpToThree,
    /// `On` or `Off`.
    Flag,
    /// One or more.
    Some,
    Any,
}

pub(super) type Apply = fn(&mut Builder<'_>, &Directive) -> Outcome;

/// A row of the table. Without a function the directive is understood and has no effect here.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) context: Context,
    pub(super) args: Args,
    pub(super) help: &'static str,
    pub(super) apply: Option<Apply>,
}

const fn row(
    name: &'static str,
    context: Context,
    args: Args,
    help: &'static str,
    apply: Apply,
) -> Row {
    Row { name, context, args, help, apply: Some(apply) }
}

const fn ignored(name: &'static str, args: Args, help: &'static str) -> Row {
    Row { name, context: Context::Any, args, help, apply: None }
}

use Args::{Any, Flag, One, OneOrTwo, Some as Many, Two, TwoOrThree, UpToThree};
use Context::{Any as Everywhere, Host, Place, Server};

pub(super) const ROWS: &[Row] = &[
    ignored(
        "AddDefaultCharset",
        One,
        "The name of the default charset to add to any Content-Type without one or 'Off' to disable",
    ),
    row(
        "AddType",
        Everywhere,
        Many,
        "a mime type followed by one or more file extensions",
        apply::add_type,
    ),
    row("Alias", Host, Two, "a fakename and a realname", apply::alias),
    row(
        "AllowEncodedSlashes",
        Host,
        One,
        "Allow URLs containing '/' encoded as '%2F'",
        apply::encoded_slashes,
    ),
    row(
        "AllowOverride",
        Place,
        Many,
        "Controls what groups of directives can be configured by per-directory config files",
        apply::allow_override,
    ),
    row(
        "CustomLog",
        Host,
        TwoOrThree,
        "a file name, a custom log format string or format name",
        apply::custom_log,
    ),
    row("DirectoryIndex", Everywhere, Any, "a list of file names", apply::directory_index),
    row("DocumentRoot", Host, One, "Root directory of the document tree", apply::document_root),
    row(
        "ErrorDocument",
        Everywhere,
        Two,
        "Change responses for HTTP errors",
        apply::error_document,
    ),
    row("ErrorLog", Host, One, "The filename of the error log", apply::error_log),
    ignored("Group", One, "Effective group id for this server"),
    row(
        "Header",
        Everywhere,
        Many,
        "an optional condition, an action, header and value",
        apply::header,
    ),
    ignored(
        "HostnameLookups",
        One,
        "\"on\" to enable, \"off\" to disable reverse DNS lookups, or \"double\" to enable double-reverse \
         DNS lookups",
    ),
    ignored("IndexOptions", Any, "one or more index options"),
    row(
        "KeepAlive",
        Host,
        Flag,
        "Whether persistent connections should be On or Off",
        apply::keep_alive,
    ),
    row(
        "KeepAliveTimeout",
        Host,
        One,
        "Keep-Alive timeout duration (sec)",
        apply::keep_alive_timeout,
    ),
    row(
        "LimitRequestBody",
        Everywhere,
        One,
        "Limit (in bytes) on maximum size of request message body",
        apply::limit_body,
    ),
    row(
        "LimitRequestFields",
        Host,
        One,
        "Limit on number of header fields in request message (0=unlimited)",
        apply::limit_fields,
    ),
    row(
        "LimitRequestFieldSize",
        Host,
        One,
        "Limit on the maximum size of any one header field (bytes)",
        apply::limit_field,
    ),
    row(
        "LimitRequestLine",
        Host,
        One,
        "Limit on maximum size of an HTTP request line (bytes)",
        apply::limit_line,
    ),
    row("Listen", Server, OneOrTwo, "", apply::listen),
    row(
        "ListenBacklog",
        Server,
        One,
        "Maximum length of the queue of pending connections, as used by listen(2)",
        apply::listen_backlog,
    ),
    ignored(
        "LoadModule",
        Two,
        "a module name and the name of a shared object file to load it from",
    ),
    row(
        "LogFormat",
        Host,
        OneOrTwo,
        "a log format string (see docs) and an optional format name",
        apply::log_format,
    ),
    row("LogLevel", Host, Many, "Level of verbosity in error logging", apply::log_level),
    ignored(
        "MaxConnectionsPerChild",
        One,
        "Maximum number of connections a particular child serves before dying.",
    ),
    row(
        "MaxKeepAliveRequests",
        Host,
        One,
        "Maximum number of Keep-Alive requests per connection, or 0 for infinite",
        apply::keep_alive_requests,
    ),
    row(
        "MaxRequestWorkers",
        Server,
        One,
        "Maximum number of requests processed at the same time",
        apply::max_request_workers,
    ),
    ignored("MaxSpareThreads", One, "Maximum number of idle threads"),
    ignored("MinSpareThreads", One, "Minimum number of idle threads, to handle request spikes"),
    row(
        "Options",
        Everywhere,
        Any,
        "Set a number of attributes for a given directory",
        apply::options,
    ),
    row("PidFile", Server, One, "A file for logging the server process ID", apply::pid_file),
    row(
        "Redirect",
        Host,
        UpToThree,
        "an optional status, then document to be redirected and destination URL",
        apply::redirect,
    ),
    row(
        "RequestReadTimeout",
        Host,
        Many,
        "Set various timeout parameters for TLS handshake, reading request headers and body",
        apply::read_timeout,
    ),
    row(
        "Require",
        Place,
        Many,
        "specifies authorization directives which one must pass (or not) for a request to suceeed",
        apply::require,
    ),
    row(
        "RouteTable",
        Host,
        One,
        "a TOML file that maps URI patterns to handlers",
        apply::route_table,
    ),
    row(
        "ServerAdmin",
        Host,
        One,
        "The email address of the server administrator",
        apply::server_admin,
    ),
    row(
        "ServerAlias",
        Host,
        Many,
        "A name or names alternately used to access the server",
        apply::server_alias,
    ),
    ignored("ServerLimit", One, "Maximum number of child processes for this run of Apache"),
    row("ServerName", Host, One, "The hostname and port of the server", apply::server_name),
    row(
        "ServerRoot",
        Server,
        One,
        "Common directory of server-related files (logs, confs, etc.)",
        apply::server_root,
    ),
    row(
        "ServerSignature",
        Host,
        One,
        "En-/disable server signature (on|off|email)",
        apply::server_signature,
    ),
    row("ServerTokens", Server, One, "", apply::server_tokens),
    ignored("StartServers", One, "Number of child processes launched at server startup"),
    ignored("ThreadsPerChild", One, "Number of threads each child creates"),
    row("Timeout", Host, One, "Timeout duration (sec)", apply::timeout),
    row(
        "TraceEnable",
        Host,
        One,
        "'on' (default), 'off' or 'extended' to trace request body content",
        apply::trace_enable,
    ),
    ignored("TypesConfig", One, "the MIME types config file"),
    ignored(
        "UseCanonicalName",
        One,
        "How to work out the ServerName : Port when constructing URLs",
    ),
    ignored("User", One, "Effective user id for this server"),
];

/// What `<IfModule>` finds: the modules whose directives are understood here.
pub(super) const MODULES: &[&str] = &[
    "core",
    "http",
    "alias",
    "authz_core",
    "authz_host",
    "autoindex",
    "dir",
    "headers",
    "log_config",
    "mime",
    "mpm_event",
    "mpm_worker",
    "reqtimeout",
    "unixd",
    "so",
];

/// Whether a module is here, by either of its names: `mod_alias.c` or `alias_module`.
pub(super) fn is_module(name: &str) -> bool {
    let plain = name.strip_suffix("_module").unwrap_or_else(|| {
        let stem = name.strip_suffix(".c").unwrap_or(name);
        stem.strip_prefix("mod_").unwrap_or(stem)
    });
    let plain = match plain {
        "event" | "worker" => return true,
        other => other,
    };
    MODULES.contains(&plain)
}

/// The row of a directive, in any case of letters.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

impl Row {
    /// Whether the number of arguments is right, in Apache's words when not.
    pub(super) fn check(&self, args: &[String]) -> Result<(), String> {
        let n = args.len();
        let count = match self.args {
            One if n != 1 => "one argument",
            OneOrTwo if !(1..=2).contains(&n) && self.name == "Listen" => {
                return Err("Listen requires 1 or 2 arguments.".to_owned());
            }
            OneOrTwo if !(1..=2).contains(&n) => "1-2 arguments",
            Two if n != 2 => "two arguments",
            TwoOrThree if !(2..=3).contains(&n) => "two or three arguments",
            UpToThree if !(1..=3).contains(&n) => "one, two or three arguments",
            Many if n == 0 => "at least one argument",
            Flag => {
                let on = args.first().filter(|_| n == 1).map(|a| a.to_ascii_lowercase());
                return match on.as_deref() {
                    Some("on" | "off") => Ok(()),
                    _ => Err(format!("{} must be On or Off", self.name)),
                };
            }
            _ => return Ok(()),
        };
        if self.name == "ServerTokens" {
            return Err(apply::SERVER_TOKENS.to_owned());
        }
        Err(format!("{} takes {count}, {}", self.name, self.help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_modules_have_two_names() {
        assert!(ROWS.is_sorted_by_key(|row| row.name.to_ascii_lowercase()));
        for name in ["mod_alias.c", "alias_module", "mpm_event_module", "event.c"] {
            assert!(is_module(name), "{name}");
        }
        assert!(!is_module("ssl_module") && !is_module("mod_php.c"));
    }
}
