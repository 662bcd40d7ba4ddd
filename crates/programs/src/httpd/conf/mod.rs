//! `httpd.conf`: the subset that `docs/httpd.md` lists.
//!
//! 1. `tree`: text to directives and sections, with `Include`, `<IfDefine>`, `<IfModule>`;
//! 2. `table` and `apply`: the directives, in Apache's words where they are wrong;
//! 3. `model`: what comes out, merged: a virtual host has everything that it inherits.

mod apply;
mod model;
mod table;
mod tree;

#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use http::HeaderValue;
use netarium_base::Duration;

use crate::httpd::Application;
pub(super) use apply::{listen_address, server_path};
pub(super) use model::{
    Config, ErrorDocument, HeaderChange, Level, ReadTimeout, RequestLimits, Require, Rules, Scope,
    Site, Timing, VirtualHost, Who, glob,
};

use super::log_format::LogFormat;
use apply::Builder;
use table::Context;
use tree::{Directive, Reader};

/// Virtual hosts at most.
const HOSTS_MAX: usize = 1_024;

/// What is wrong with a configuration, as Apache would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfError(pub(super) String);

/// What reading a configuration needs of its host.
pub(super) struct Host<'a> {
    /// The text of a file, or the system's error.
    pub(super) read: &'a dyn Fn(&str) -> Result<String, String>,
    /// The files that a pattern names.
    pub(super) expand: &'a dyn Fn(&str) -> Vec<String>,
    /// Whether a folder is there.
    pub(super) is_dir: &'a dyn Fn(&str) -> bool,
    /// The applications of a route table.
    pub(super) routes: &'a RouteLoader<'a>,
}

/// Makes the application of a route table, or says why not.
pub(super) type RouteLoader<'a> = dyn Fn(&str) -> Result<Rc<dyn Application>, String> + 'a;

/// What the command line adds to the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// `-d`.
    pub(super) server_root: String,
    /// The file, when there is one.
    pub(super) file: Option<String>,
    /// `-C`, and flags that stand for directives.
    pub(super) before: Vec<String>,
    /// `-c`.
    pub(super) after: Vec<String>,
    /// `-D`.
    pub(super) defines: Vec<String>,
    /// The `Server` field.
    pub(super) server: Option<HeaderValue>,
}

impl Sources {
    /// Reads and checks everything.
    pub(super) fn load(
        &self,
        host: &Host<'_>,
        application: Option<Rc<dyn Application>>,
    ) -> Result<Config, ConfError> {
        let expand = |pattern: &str| (host.expand)(&server_path(&self.server_root, pattern));
        let mut reader = Reader::new(host.read, &expand, &self.defines);
        let flags = "-C/-c directives";
        let mut all = reader.text(flags, &self.before.join("\n"), 0)?;
        if let Some(file) = &self.file {
            all.extend(reader.file(&server_path(&self.server_root, file), 0)?);
        }
        all.extend(reader.text(flags, &self.after.join("\n"), 0)?);
        build(self, host, &all, application)
    }
}

fn build(
    sources: &Sources,
    host: &Host<'_>,
    all: &[Directive],
    application: Option<Rc<dyn Application>>,
) -> Result<Config, ConfError> {
    let mut config = empty(sources);
    let mut site = (*config.main).clone();
    site.applications.extend(application);
    let mut listened = false;
    let mut tables = Vec::new();
    let main = all.iter().filter(|d| !is_host(d));
    configure(&mut config, &mut site, host, &mut listened, main, false)?;
    add_routes(&mut site, host, &mut tables)?;
    let inherited = Site { name: None, aliases: Vec::new(), ..site.clone() };
    config.main = Rc::new(site);
    for section in all.iter().filter(|d| is_host(d)) {
        if config.hosts.len() >= HOSTS_MAX {
            return Err(section.at.error("more than 1024 virtual hosts"));
        }
        let addresses = section.args.iter().map(|a| host_address(a));
        let addresses = addresses.collect::<Result<_, _>>().map_err(|e| section.at.error(&e))?;
        let mut site = inherited.clone();
        site.route_table = None;
        configure(&mut config, &mut site, host, &mut listened, section.children.iter(), true)?;
        add_routes(&mut site, host, &mut tables)?;
        let host = VirtualHost { addresses, site: Rc::new(site), at: section.at.clone() };
        config.hosts.push(host);
    }
    // A server that is all application needs no files.
    if !(host.is_dir)(&config.main.root) && config.main.applications.is_empty() {
        let text =
            format!("DocumentRoot '{}' is not a directory, or is not readable", config.main.root);
        return Err(ConfError(format!("httpd: {text}")));
    }
    Ok(config)
}

/// Reads a site's route table; a table that several sites name is read once. A site's own comes
/// before what it inherits.
fn add_routes(
    site: &mut Site,
    host: &Host<'_>,
    tables: &mut Vec<(String, Rc<dyn Application>)>,
) -> Result<(), ConfError> {
    let Some((path, at)) = &site.route_table else { return Ok(()) };
    let known = tables.iter().find(|t| t.0 == *path).map(|t| Rc::clone(&t.1));
    let table = match known {
        Some(table) => table,
        None => {
            let table = (host.routes)(path);
            let table = table.map_err(|e| at.error(&format!("RouteTable {path}: {e}")))?;
            tables.push((path.clone(), Rc::clone(&table)));
            table
        }
    };
    site.applications.insert(0, table);
    Ok(())
}

fn is_host(d: &Directive) -> bool {
    d.name.eq_ignore_ascii_case("<virtualhost")
}

/// Applies directives to a site; sections follow what stands outside of them.
fn configure<'d>(
    config: &mut Config,
    site: &mut Site,
    host: &Host<'_>,
    listened: &mut bool,
    directives: impl Iterator<Item = &'d Directive>,
    is_virtual: bool,
) -> Result<(), ConfError> {
    let mut sections = Vec::new();
    let inherited = (site.path_aliases.len(), site.redirects.len());
    let is_dir = host.is_dir;
    let mut b = Builder { config, site, rules: None, is_dir, listened, logged: false };
    for d in directives {
        if let Some(scope) = scope(d) {
            b.rules = Some(Rules::default());
            for inner in &d.children {
                one(&mut b, inner, is_virtual, Some(d))?;
            }
            let rules = b.rules.take().unwrap_or_default();
            sections.push((scope.map_err(|e| d.at.error(&e))?, rules));
        } else {
            one(&mut b, d, is_virtual, None)?;
        }
    }
    // The first that fits counts: a host's own come before what it inherits.
    site.path_aliases.rotate_left(inherited.0);
    site.redirects.rotate_left(inherited.1);
    site.sections.extend(sections);
    // Directory (the shortest first), then Files, then Location: Apache's order of merging.
    site.sections.sort_by_key(|(scope, _)| match scope {
        Scope::Directory(path) => (0, path.split('/').count()),
        Scope::Files(_) => (1, 0),
        Scope::Location(_) => (2, 0),
    });
    Ok(())
}

fn one(
    b: &mut Builder<'_>,
    d: &Directive,
    is_virtual: bool,
    section: Option<&Directive>,
) -> Result<(), ConfError> {
    let row = table::find(&d.name).ok_or_else(|| {
        d.at.error(&format!(
            "Invalid command '{}', perhaps misspelled or defined by a module not included in the \
             server configuration",
            d.name
        ))
    })?;
    let outside = match (row.context, section) {
        (Context::Server | Context::Host, Some(section)) => Some(section.name.as_str()),
        (Context::Server, None) if is_virtual => Some("<VirtualHost"),
        (Context::Place, None) => {
            return Err(d.at.error(&format!("{} not allowed here", row.name)));
        }
        _ => None,
    };
    if let Some(section) = outside {
        let text = format!("{} cannot occur within {section}> section", row.name);
        return Err(d.at.error(&text));
    }
    row.check(&d.args).map_err(|e| d.at.error(&e))?;
    row.apply.map_or(Ok(()), |apply| apply(b, d).map_err(|e| d.at.error(&e)))
}

/// What a section covers; `None` for what is no such section.
fn scope(d: &Directive) -> Option<Result<Scope, String>> {
    let name = d.name.to_ascii_lowercase();
    let make: fn(String) -> Scope = match name.as_str() {
        "<directory" => Scope::Directory,
        "<files" => Scope::Files,
        "<location" => Scope::Location,
        _ => return None,
    };
    let argument = match d.args.as_slice() {
        [one] => one,
        _ => return Some(Err("Multiple arguments not (yet) supported.".to_owned())),
    };
    Some(Ok(make(argument.clone())))
}

/// `*:80`, `*`, `_default_:80`, `10.0.0.1:80`, `[::1]:80`.
fn host_address(text: &str) -> Result<(Option<IpAddr>, Option<u16>), String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((Some(address.ip()), Some(address.port())));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
        return Ok((Some(ip), None));
    }
    let (ip, port) = text.rsplit_once(':').map_or((text, None), |(ip, port)| (ip, Some(port)));
    let port = match port {
        None | Some("*") => None,
        Some(port) => Some(port.parse().map_err(|_| "Invalid address or port".to_owned())?),
    };
    match ip {
        "*" | "_default_" => Ok((None, port)),
        _ => Err(format!("Could not resolve host name {ip} -- ignoring!")),
    }
}

/// `-L`: the directives that are understood.
pub(super) fn directives() -> String {
    table::ROWS.iter().fold(String::new(), |mut out, row| {
        out.push_str(&format!("{}\n\t{}\n", row.name, row.help));
        out
    })
}

/// `-l`: the modules that are stood for.
pub(super) fn modules() -> String {
    let names = table::MODULES.iter().map(|m| format!("  {m}.c\n"));
    format!("Compiled in modules:\n{}", names.collect::<String>())
}

/// The server before any directive.
fn empty(sources: &Sources) -> Config {
    let site = Site {
        name: None,
        aliases: Vec::new(),
        admin: None,
        root: server_path(&sources.server_root, "htdocs"),
        error_log: "/var/log/httpd/error_log".to_owned(),
        level: Level::Warn,
        access_logs: vec![("/var/log/httpd/access_log".into(), LogFormat::combined())],
        formats: vec![
            ("combined".to_owned(), LogFormat::combined()),
            ("common".to_owned(), LogFormat::common()),
        ],
        timing: Timing {
            keep_alive: true,
            keep_alive_timeout: Duration::from_secs(5),
            keep_alive_requests: 100,
            timeout: Duration::from_secs(60),
            head: ReadTimeout {
                first: Some(Duration::from_secs(20)),
                most: Some(Duration::from_secs(40)),
                rate: 500,
            },
            body: ReadTimeout { first: Some(Duration::from_secs(20)), most: None, rate: 500 },
        },
        limits: RequestLimits { line: 8_190, fields: 100, field: 8_190 },
        redirects: Vec::new(),
        path_aliases: Vec::new(),
        server: sources.server.clone(),
        signature: false,
        trace: false,
        encoded_slashes: false,
        applications: Vec::new(),
        route_table: None,
        base: Rc::new(Rules {
            index: Some(vec!["index.html".to_owned()]),
            types: Vec::<(String, HeaderValue)>::new(),
            body: Some(1 << 30),
            ..Rules::default()
        }),
        sections: vec![(
            Scope::Files(".ht*".to_owned()),
            Rules {
                require: Some(vec![Require { not: false, who: Who::Denied }]),
                ..Rules::default()
            },
        )],
    };
    Config {
        server_root: sources.server_root.clone(),
        // A file says itself where, as with Apache.
        listen: match sources.file {
            Some(_) => Vec::new(),
            None => vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80)],
        },
        backlog: 511,
        workers: 1_024,
        pid_file: server_path(&sources.server_root, "/run/httpd/httpd.pid"),
        main: Rc::new(site),
        hosts: Vec::new(),
        defines: sources.defines.clone(),
    }
}
