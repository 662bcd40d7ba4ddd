//! What each directive does to the configuration that is being built. Messages are Apache's.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use http::{HeaderName, HeaderValue};
use netarium_base::Duration;

use super::super::log_format::LogFormat;
use super::super::pages;
use super::model::{
    Config, ErrorDocument, HeaderChange, HeaderEdit, Level, ReadTimeout, Redirect, Require, Rules,
    ServerName, Site, Who,
};
use super::tree::Directive;

/// What a directive's function says: nothing, or what is wrong.
pub(super) type Outcome = Result<(), String>;

/// What is being built: the server, the site (main or virtual), and the rules of the place at hand.
pub(super) struct Builder<'a> {
    pub(super) config: &'a mut Config,
    pub(super) site: &'a mut Site,
    /// Rules of a section; `None` outside, where they are the site's.
    pub(super) rules: Option<Rules>,
    /// Whether a folder exists on the host.
    pub(super) is_dir: &'a dyn Fn(&str) -> bool,
    /// A `Listen` has come: the default is no more.
    pub(super) listened: &'a mut bool,
    /// The site has logs of its own: those it inherited are gone.
    pub(super) logged: bool,
}

pub(super) const SERVER_TOKENS: &str = "ServerTokens takes 1 argument: 'Prod(uctOnly)', 'Major', \
     'Minor', 'Min(imal)', 'OS', or 'Full'";

impl Builder<'_> {
    fn rules(&mut self) -> &mut Rules {
        match &mut self.rules {
            Some(rules) => rules,
            None => Rc::make_mut(&mut self.site.base),
        }
    }

    /// A path below `ServerRoot`, unless it is absolute.
    fn path(&self, path: &str) -> String {
        server_path(&self.config.server_root, path)
    }
}

/// A path below a server root, unless it is absolute.
pub(in crate::httpd) fn server_path(root: &str, path: &str) -> String {
    let root = root.trim_end_matches('/');
    if path.starts_with('/') || root.is_empty() {
        path.to_owned()
    } else {
        format!("{root}/{path}")
    }
}

fn on(d: &Directive) -> bool {
    d.args[0].eq_ignore_ascii_case("on")
}

/// A span as Apache reads it: seconds, or a number with `ms`, `s`, `min`, `h`.
fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let n: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" | "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "min" | "mi" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    // A century is enough for any time limit, and leaves the clock room.
    n.checked_mul(unit)
        .filter(|ns| *ns < 100 * 365 * 86_400 * 1_000_000_000)
        .map(Duration::from_nanos)
}

pub(super) fn listen(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let address = listen_address(&d.args[0])?;
    if let Some(protocol) = d.args.get(1).filter(|p| !p.eq_ignore_ascii_case("http")) {
        return Err(format!("Protocol '{protocol}' is not supported: only http is"));
    }
    if !std::mem::replace(b.listened, true) {
        b.config.listen.clear();
    }
    if b.config.listen.contains(&address) {
        return Err(format!("Cannot define multiple Listeners on the same IP:port ({address})"));
    }
    if b.config.listen.len() >= 1_024 {
        return Err("more than 1024 Listeners".to_owned());
    }
    b.config.listen.push(address);
    Ok(())
}

/// `80`, `127.0.0.1:80`, `[::1]:80`, `*:80`.
pub(in crate::httpd) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let any = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let address = match text.strip_prefix("*:") {
        Some(port) => port.parse().ok().map(any),
        None => text.parse().ok().or_else(|| text.parse().ok().map(any)),
    };
    let numeric = |t: &str| t.rsplit(':').next().is_some_and(|p| p.parse::<u64>().is_ok());
    address.filter(|a| a.port() > 0).ok_or_else(|| {
        let what = if numeric(text) { "Invalid address or port" } else { "Port must be specified" };
        what.to_owned()
    })
}

pub(super) fn listen_backlog(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let n = d.args[0].parse().ok().filter(|n| (1..=65_535).contains(n));
    b.config.backlog = n.ok_or("ListenBacklog must be > 0")?;
    Ok(())
}

pub(super) fn max_request_workers(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let n = d.args[0].parse().ok().filter(|n| (1..=20_000).contains(n));
    b.config.workers = n.ok_or("MaxRequestWorkers must be a number from 1 to 20000")?;
    Ok(())
}

pub(super) fn pid_file(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.config.pid_file = b.path(&d.args[0]);
    Ok(())
}

pub(super) fn server_root(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    if !(b.is_dir)(&d.args[0]) {
        return Err("ServerRoot must be a valid directory".to_owned());
    }
    b.config.server_root.clone_from(&d.args[0]);
    Ok(())
}

pub(super) fn document_root(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let path = b.path(&d.args[0]);
    if !(b.is_dir)(&path) {
        return Err(format!("DocumentRoot '{path}' is not a directory, or is not readable"));
    }
    b.site.root = path;
    Ok(())
}

pub(super) fn server_name(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let text = d.args[0].strip_prefix("http://").unwrap_or(&d.args[0]);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().map_err(|_| format!("Invalid ServerName \"{text}\" port"))?;
            (host, Some(port))
        }
        None => (text, None),
    };
    b.site.name = Some(ServerName { host: host.to_owned(), port });
    Ok(())
}

pub(super) fn server_alias(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.aliases.extend(d.args.iter().cloned());
    Ok(())
}

pub(super) fn server_admin(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.admin = Some(d.args[0].clone());
    Ok(())
}

pub(super) fn server_tokens(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let text = match d.args[0].to_ascii_lowercase().as_str() {
        "prod" | "productonly" => "Apache",
        "major" => "Apache/2",
        "minor" => "Apache/2.4",
        "min" | "minimal" => pages::PRODUCT,
        "os" | "full" => pages::PRODUCT_FULL,
        "off" | "none" => {
            b.site.server = None;
            return Ok(());
        }
        _ => return Err(SERVER_TOKENS.to_owned()),
    };
    b.site.server = Some(HeaderValue::from_static(text));
    Ok(())
}

pub(super) fn server_signature(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.signature = match d.args[0].to_ascii_lowercase().as_str() {
        "on" | "email" => true,
        "off" => false,
        _ => return Err("ServerSignature: use one of: off | on | email".to_owned()),
    };
    Ok(())
}

pub(super) fn trace_enable(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.trace = match d.args[0].to_ascii_lowercase().as_str() {
        "on" | "extended" => true,
        "off" => false,
        _ => return Err("TraceEnable must be one of 'on', 'off', or 'extended'".to_owned()),
    };
    Ok(())
}

pub(super) fn encoded_slashes(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.encoded_slashes = match d.args[0].to_ascii_lowercase().as_str() {
        "on" | "nodecode" => true,
        "off" => false,
        other => {
            return Err(format!("AllowEncodedSlashes must be On, Off, or NoDecode, not {other}"));
        }
    };
    Ok(())
}

pub(super) fn keep_alive(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.timing.keep_alive = on(d);
    Ok(())
}

pub(super) fn keep_alive_timeout(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.timing.keep_alive_timeout =
        span(&d.args[0]).ok_or("KeepAliveTimeout has wrong format")?;
    Ok(())
}

pub(super) fn keep_alive_requests(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.timing.keep_alive_requests = d.args[0]
        .parse()
        .map_err(|_| "MaxKeepAliveRequests must be a number, or 0 for infinite".to_owned())?;
    Ok(())
}

pub(super) fn timeout(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let positive = span(&d.args[0]).filter(|s| s.as_nanos() > 0);
    b.site.timing.timeout = positive.ok_or("Timeout must be a number of seconds, at least 1")?;
    Ok(())
}

pub(super) fn read_timeout(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    for arg in &d.args {
        stage(b, arg).map_err(|e| format!("RequestReadTimeout: {arg}: {e}"))?;
    }
    Ok(())
}

fn stage(b: &mut Builder<'_>, text: &str) -> Outcome {
    let (name, value) = text.split_once('=').ok_or("Missing '=' in parameter")?;
    let (times, rate) = match value.split_once(',') {
        None => (value, 0),
        Some((times, rate)) => {
            let lower = rate.to_ascii_lowercase();
            let n = lower.strip_prefix("minrate=").ok_or("unknown parameter")?;
            let n = n.parse().map_err(|_| format!("Value '{n}' not numerical"))?;
            (times, n)
        }
    };
    let seconds = |t: &str| {
        let n: u32 = t.parse().map_err(|_| format!("Value '{t}' not numerical"))?;
        Ok::<_, String>((n > 0).then(|| Duration::from_secs(u64::from(n))))
    };
    let (first, most) = match times.split_once('-') {
        None => (seconds(times)?, None),
        Some((first, most)) => (seconds(first)?, seconds(most)?),
    };
    if most.is_some() && rate == 0 {
        return Err("Must set MinRate option if using timeout range".to_owned());
    }
    if most.is_some_and(|most| first.is_some_and(|first| most <= first)) {
        return Err("Maximum timeout must be larger than initial timeout".to_owned());
    }
    let limit = ReadTimeout { first, most, rate };
    match name.to_ascii_lowercase().as_str() {
        "header" => b.site.timing.head = limit,
        "body" => b.site.timing.body = limit,
        // There is no TLS in front of this server.
        "handshake" => {}
        other => return Err(format!("Unknown RequestReadTimeout parameter {other}")),
    }
    Ok(())
}

fn count(d: &Directive, max: usize) -> Result<usize, String> {
    let text = &d.args[0];
    let n: usize = text
        .parse()
        .map_err(|_| format!("{} \"{text}\" must be a non-negative integer", d.name))?;
    if n > max { Err(format!("{} \"{text}\" must not exceed {max}", d.name)) } else { Ok(n) }
}

pub(super) fn limit_line(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.limits.line = count(d, 32_768)?;
    Ok(())
}

pub(super) fn limit_field(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.limits.field = count(d, 32_768)?;
    Ok(())
}

pub(super) fn limit_fields(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let n = count(d, 1_000)?;
    b.site.limits.fields = if n == 0 { 1_000 } else { n };
    Ok(())
}

pub(super) fn limit_body(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let text = &d.args[0];
    let n: u64 = text
        .parse()
        .map_err(|_| format!("LimitRequestBody \"{text}\" must be a non-negative integer"))?;
    b.rules().body = Some(if n == 0 { u64::MAX } else { n });
    Ok(())
}

pub(super) fn directory_index(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let names = d.args.iter().filter(|n| !n.eq_ignore_ascii_case("disabled")).cloned();
    b.rules().index = Some(names.collect());
    Ok(())
}

/// Files `.htaccess` are not read: only `None` says what is so.
pub(super) fn allow_override(_: &mut Builder<'_>, d: &Directive) -> Outcome {
    match d.args.as_slice() {
        [none] if none.eq_ignore_ascii_case("none") => Ok(()),
        _ => {
            Err("AllowOverride: only None is supported here, files .htaccess are not read"
                .to_owned())
        }
    }
}

pub(super) fn options(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let signed = d.args.iter().filter(|a| a.starts_with(['+', '-'])).count();
    if signed != 0 && signed != d.args.len() {
        return Err("Either all Options must start with + or -, or no Option may.".to_owned());
    }
    let mut listing = b.rules().listing;
    if d.args.first().is_some_and(|a| !a.starts_with(['+', '-'])) {
        listing = Some(false);
    }
    for arg in &d.args {
        let (on, name) = match arg.split_at_checked(1) {
            Some(("-", name)) => (false, name),
            Some(("+", name)) => (true, name),
            _ => (true, arg.as_str()),
        };
        match name.to_ascii_lowercase().as_str() {
            "indexes" | "all" => listing = Some(on),
            "none" => listing = Some(false),
            "followsymlinks"
            | "symlinksifownermatch"
            | "multiviews"
            | "execcgi"
            | "includes"
            | "includesnoexec" => {}
            _ => return Err(format!("Illegal option {name}")),
        }
    }
    b.rules().listing = listing;
    Ok(())
}

pub(super) fn require(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let (not, words) = match d.args.split_first() {
        Some((first, rest)) if first.eq_ignore_ascii_case("not") => (true, rest),
        _ => (false, d.args.as_slice()),
    };
    let (kind, values) = words.split_first().ok_or("Require: no provider name")?;
    let who = match kind.to_ascii_lowercase().as_str() {
        "all" => match values.first().map(|v| v.to_ascii_lowercase()).as_deref() {
            Some("granted") => Who::Granted,
            Some("denied") => Who::Denied,
            _ => {
                return Err("Argument for 'Require all' must be 'granted' or 'denied'".to_owned());
            }
        },
        "local" => Who::Local,
        "ip" => Who::Net(values.iter().map(|v| network(v)).collect::<Result<_, _>>()?),
        other => return Err(format!("Unknown Authz provider: {other}")),
    };
    b.rules().require.get_or_insert_default().push(Require { not, who });
    Ok(())
}

/// `10.0.0.7`, `10.0`, `10.0.0.0/24`, `10.0.0.0/255.255.255.0`, `fd00::/8`.
fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let bad = || format!("ip address '{text}' appears to be invalid");
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let (address, whole): (IpAddr, u8) = match address.parse() {
        Ok(IpAddr::V4(v4)) => (v4.into(), 32),
        Ok(IpAddr::V6(v6)) => (v6.into(), 128),
        Err(_) => partial(address).ok_or_else(bad)?,
    };
    let bits = match mask {
        None => whole,
        Some(mask) => match mask.parse::<u8>() {
            Ok(bits) if bits <= whole => bits,
            _ => {
                let mask = u32::from(mask.parse::<Ipv4Addr>().map_err(|_| bad())?);
                let bits = mask.leading_ones();
                if mask.checked_shl(bits).unwrap_or(0) != 0 || address.is_ipv6() {
                    return Err(bad());
                }
                bits as u8
            }
        },
    };
    Ok((address, bits))
}

fn partial(text: &str) -> Option<(IpAddr, u8)> {
    let mut bytes = [0u8; 4];
    let parts: Vec<&str> = text.trim_end_matches('.').split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    for (byte, part) in bytes.iter_mut().zip(&parts) {
        *byte = part.parse().ok()?;
    }
    Some((Ipv4Addr::from(bytes).into(), parts.len() as u8 * 8))
}

pub(super) fn error_document(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let (code, what) = (&d.args[0], &d.args[1]);
    let status = code.parse().ok().filter(|n| (400..=599).contains(n));
    let status = status.ok_or_else(|| format!("Unsupported HTTP response code {code}"))?;
    let document = if what.starts_with('/') {
        ErrorDocument::Path(what.clone())
    } else if what.contains("://") {
        ErrorDocument::Url(what.clone())
    } else if what.eq_ignore_ascii_case("default") {
        ErrorDocument::Default
    } else {
        ErrorDocument::Text(what.clone())
    };
    b.rules().errors.push((status, document));
    Ok(())
}

pub(super) fn redirect(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let (status, rest) = match d.args[0].to_ascii_lowercase().as_str() {
        _ if d.args[0].starts_with('/') => (302, &d.args[..]),
        "permanent" => (301, &d.args[1..]),
        "temp" => (302, &d.args[1..]),
        "seeother" => (303, &d.args[1..]),
        "gone" => (410, &d.args[1..]),
        number => match number.parse() {
            Ok(n @ 300..=599) => (n, &d.args[1..]),
            Ok(_) => return Err("Redirect URL not valid for this status".to_owned()),
            Err(_) => return Err("Redirect to non-URL".to_owned()),
        },
    };
    let (from, to) = match rest {
        [from] => (from, String::new()),
        [from, to] => (from, to.clone()),
        _ => return Err("Redirect: a path and a destination are needed".to_owned()),
    };
    let redirects = (300..400).contains(&status);
    if redirects == to.is_empty() {
        let what = if redirects {
            "URL to redirect to is missing"
        } else {
            "Redirect URL not valid for this status"
        };
        return Err(what.to_owned());
    }
    if redirects && !to.starts_with('/') && !to.contains("://") {
        return Err("Redirect to non-URL".to_owned());
    }
    HeaderValue::from_str(&to).map_err(|_| "Redirect to non-URL")?;
    b.site.redirects.push(Redirect { status, from: from.clone(), to });
    Ok(())
}

pub(super) fn alias(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let to = b.path(&d.args[1]);
    b.site.path_aliases.push((d.args[0].clone(), to));
    Ok(())
}

pub(super) fn add_type(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    if d.args.len() < 2 {
        return Err(
            "AddType requires at least two arguments, a mime type followed by one or more \
                    file extensions"
                .to_owned(),
        );
    }
    let value = HeaderValue::from_str(&d.args[0]).map_err(|_| "AddType: not a MIME type")?;
    for extension in &d.args[1..] {
        let extension = extension.trim_start_matches('.').to_ascii_lowercase();
        b.rules().types.push((extension, value.clone()));
    }
    Ok(())
}

pub(super) fn header(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let (always, words) = match d.args.split_first() {
        Some((first, rest)) if first.eq_ignore_ascii_case("always") => (true, rest),
        Some((first, rest)) if first.eq_ignore_ascii_case("onsuccess") => (false, rest),
        _ => (false, d.args.as_slice()),
    };
    let (action, name, value) = match words {
        [action, name] => (action, name, None),
        [action, name, value] => (action, name, Some(value)),
        _ => return Err("Header: an action, a header name and a value are needed".to_owned()),
    };
    let name = HeaderName::from_bytes(name.trim_end_matches(':').as_bytes())
        .map_err(|_| format!("Header: '{name}' is not a header name"))?;
    let value = || {
        let value = value.ok_or_else(|| format!("header {action} requires three arguments"))?;
        HeaderValue::from_str(&header_text(value)?)
            .map_err(|_| "Header: not a header value".to_owned())
    };
    let change = match action.to_ascii_lowercase().as_str() {
        "set" => HeaderChange::Set(value()?),
        "add" | "append" => HeaderChange::Add(value()?),
        "unset" => HeaderChange::Unset,
        _ => {
            return Err("first argument must be 'add', 'set', 'append' or 'unset'.".to_owned());
        }
    };
    b.rules().headers.push(HeaderEdit { always, name, change });
    Ok(())
}

/// A value of `Header` without its format: of mod_headers' specifiers only `%%` is known here.
fn header_text(value: &str) -> Result<String, String> {
    let (mut out, mut rest) = (String::with_capacity(value.len()), value);
    while let Some((before, after)) = rest.split_once('%') {
        let Some(after) = after.strip_prefix('%') else {
            let what: String = after.chars().take(1).collect();
            return Err(format!("Unrecognized header format %{what}"));
        };
        out += before;
        out.push('%');
        rest = after;
    }
    Ok(out + rest)
}

pub(super) fn error_log(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.error_log = b.path(&d.args[0]);
    Ok(())
}

pub(super) fn log_level(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    for word in &d.args {
        // `module:level` sets one module; here there is one level for all.
        if word.contains(':') {
            continue;
        }
        b.site.level = match word.to_ascii_lowercase().as_str() {
            "emerg" => Level::Emerg,
            "alert" => Level::Alert,
            "crit" => Level::Crit,
            "error" => Level::Error,
            "warn" => Level::Warn,
            "notice" => Level::Notice,
            "info" => Level::Info,
            "debug" => Level::Debug,
            word if word
                .strip_prefix("trace")
                .is_some_and(|n| matches!(n, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8")) =>
            {
                Level::Trace
            }
            _ => {
                return Err("Log level keyword must be one of emerg/alert/crit/error/warn/notice/\
                            info/debug/trace1/.../trace8"
                    .to_owned());
            }
        };
    }
    Ok(())
}

pub(super) fn log_format(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let format = Rc::new(LogFormat::parse(&d.args[0])?);
    if let Some(name) = d.args.get(1) {
        b.site.formats.push((name.clone(), format));
    }
    Ok(())
}

pub(super) fn custom_log(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    let (path, what) = (b.path(&d.args[0]), &d.args[1]);
    if path.starts_with('|') {
        return Err("CustomLog: pipes to programs are not supported".to_owned());
    }
    let named = b.site.formats.iter().rev().find(|f| f.0 == *what).map(|f| Rc::clone(&f.1));
    let format = match named {
        Some(format) => format,
        None => Rc::new(LogFormat::parse(what)?),
    };
    if !std::mem::replace(&mut b.logged, true) {
        b.site.access_logs.clear();
    }
    if b.site.access_logs.len() >= 16 {
        return Err("more than 16 CustomLogs".to_owned());
    }
    b.site.access_logs.push((path.into(), format));
    Ok(())
}

pub(super) fn route_table(b: &mut Builder<'_>, d: &Directive) -> Outcome {
    b.site.route_table = Some((b.path(&d.args[0]), d.at.clone()));
    Ok(())
}
