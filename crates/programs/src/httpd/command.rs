//! The command line: Apache's flags, and long ones for a server without a file.

use std::fmt::Write as _;

use http::HeaderValue;
use netarium_world::process::Process;

use super::conf::{Config, Sources, VirtualHost, directives, glob, listen_address, modules};
use super::pages::PRODUCT_FULL;
use crate::getopt::{Item, Spec, Takes};

const USAGE: &str = "\
Usage: httpd [-D name] [-d directory] [-f file]
             [-C \"directive\"] [-c \"directive\"]
             [-k start|restart|graceful|graceful-stop|stop]
             [-v] [-V] [-h] [-l] [-L] [-t] [-T] [-S] [-X]
Options:
  -D name            : define a name for use in <IfDefine name> directives
  -d directory       : specify an alternate initial ServerRoot
  -f file            : specify an alternate ServerConfigFile
  -C \"directive\"     : process directive before reading config files
  -c \"directive\"     : process directive after reading config files
  -v                 : show version number
  -V                 : show compile settings
  -h                 : list available command line options (this page)
  -l                 : list compiled in modules
  -L                 : list available configuration directives
  -S                 : show parsed vhost and run settings
  -M                 : show all loaded modules
  -t                 : run syntax check for config files
  -T                 : start without DocumentRoot(s) check
  -X                 : debug mode (do not detach)
Without a file:
  --root DIR              document root (default: htdocs)
  --listen [ADDR:]PORT    where to listen; may be given several times (default: 0.0.0.0:80)
  --index FILE            what stands for a folder (default: index.html)
  --routes FILE           applications behind a route table
  --server-header TEXT    send a Server field (default: none)
  --keep-alive-timeout T  close idle connections after T (default: 5s)
  --max-connections N     serve N connections at a time, let others wait (default: 1024)
";

const SPEC: Spec = Spec {
    short: "D:d:f:C:c:e:E:k:vVhlLtTSMX",
    long: &[
        ("root", Takes::Value, '1'),
        ("listen", Takes::Value, '2'),
        ("index", Takes::Value, '3'),
        ("routes", Takes::Value, '4'),
        ("server-header", Takes::Value, '5'),
        ("keep-alive-timeout", Takes::Value, '6'),
        ("max-connections", Takes::Value, '7'),
        ("help", Takes::Nothing, 'h'),
    ],
};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Serve,
    /// `-t`
    Check,
    /// `-S`
    Dump,
    /// `-k`
    Signal(String),
    /// Says something and ends.
    Say(String),
}

/// A command line, understood.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    pub(crate) action: Action,
    file: Option<String>,
    sources: Sources,
    /// Flags instead of a file.
    plain: bool,
    program: &'static str,
}

impl CommandLine {
    /// Reads `httpd`'s command line. The error is a text for standard error.
    pub(crate) fn parse(args: &[String]) -> Result<CommandLine, String> {
        let mut line = CommandLine {
            action: Action::Serve,
            file: None,
            sources: Sources::default(),
            plain: false,
            program: "httpd",
        };
        let wrong = |what: String| format!("httpd: {what}\n{USAGE}");
        for item in SPEC.parse(args).map_err(|e| wrong(e.gnu()))? {
            match item {
                Item::Option(flag, value) => line.option(flag, value).map_err(wrong)?,
                Item::Operand(text) => return Err(wrong(format!("did not expect '{text}'"))),
            }
        }
        Ok(line)
    }

    /// A server with fixed settings, for programs that bring their own application.
    pub(crate) fn fixed(program: &'static str, directives: Vec<String>) -> CommandLine {
        let sources = Sources { before: directives, ..Sources::default() };
        CommandLine { action: Action::Serve, file: None, sources, plain: true, program }
    }

    fn option(&mut self, flag: char, value: String) -> Result<(), String> {
        match flag {
            'D' if self.sources.defines.len() < 100 => self.sources.defines.push(value),
            'd' => self.sources.server_root = value,
            'f' => self.file = Some(value),
            'C' => self.sources.before.push(value),
            'c' => self.sources.after.push(value),
            'k' => match value.as_str() {
                "start" | "restart" | "graceful" | "graceful-stop" | "stop" => {
                    self.action = Action::Signal(value);
                }
                other => return Err(format!("unknown -k argument '{other}'")),
            },
            't' if self.action == Action::Serve => self.action = Action::Check,
            'S' => self.action = Action::Dump,
            'v' => self.action = Action::Say(version()),
            'V' => self.action = Action::Say(settings()),
            'h' => self.action = Action::Say(USAGE.to_owned()),
            'l' | 'M' => self.action = Action::Say(modules()),
            'L' => self.action = Action::Say(directives()),
            '1'..='7' => {
                self.plain = true;
                self.flag(flag, &value)?;
            }
            // Where start-up errors go, and checks: always standard error, always checked.
            _ => {}
        }
        Ok(())
    }

    fn flag(&mut self, flag: char, value: &str) -> Result<(), String> {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let directive = match flag {
            '1' => format!("DocumentRoot \"{quoted}\""),
            '2' => {
                let why = |_| format!("expected a port or an address with port, got {value}");
                listen_address(value).map_err(why)?;
                format!("Listen {value}")
            }
            '3' if value.is_empty() || value.contains('/') => {
                return Err(format!("expected a file name, got '{value}'"));
            }
            '3' => format!("DirectoryIndex \"{quoted}\""),
            '4' => format!("RouteTable \"{quoted}\""),
            '5' => {
                let header = HeaderValue::from_str(value);
                self.sources.server =
                    Some(header.map_err(|_| format!("not a header value: {value}"))?);
                return Ok(());
            }
            '6' => format!("KeepAliveTimeout {value}"),
            _ => {
                let ok = value.parse::<u32>().is_ok_and(|n| (1..=20_000).contains(&n));
                if !ok {
                    return Err(format!("expected 1 to 20000 connections, got {value}"));
                }
                format!("MaxRequestWorkers {value}")
            }
        };
        self.sources.before.push(directive);
        Ok(())
    }

    /// Where the configuration comes from. Without `-f` and flags, `conf/httpd.conf` or
    /// `httpd.conf` when one is there.
    pub(super) fn sources(&self, exists: &dyn Fn(&str) -> bool) -> Sources {
        let root = &self.sources.server_root;
        let usual = || {
            ["conf/httpd.conf", "httpd.conf"]
                .into_iter()
                .find(|f| !self.plain && exists(&super::conf::server_path(root, f)))
        };
        let file = self.file.clone().or_else(|| usual().map(str::to_owned));
        Sources { file, ..self.sources.clone() }
    }

    /// Whether `-k`, when no server runs, starts one.
    pub(super) fn may_start(&self) -> bool {
        !matches!(&self.action, Action::Signal(w) if w == "stop" || w == "graceful-stop")
    }

    /// The name that messages begin with.
    pub(super) fn program(&self) -> &'static str {
        self.program
    }
}

fn version() -> String {
    format!("Server version: {PRODUCT_FULL}\n")
}

fn settings() -> String {
    format!(
        "{}Server MPM:     one task for each connection\nServer compiled with....\n \
         -D HTTPD_ROOT=\"/\"\n -D DEFAULT_PIDLOG=\"run/httpd/httpd.pid\"\n \
         -D DEFAULT_ERRORLOG=\"var/log/httpd/error_log\"\n -D SERVER_CONFIG_FILE=\"conf/httpd.conf\"\n",
        version()
    )
}

/// The files that a pattern names: `*` and `?` in its last part only.
pub(super) fn expand(process: Process, pattern: &str) -> Vec<String> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if !name.contains(['*', '?']) {
        let there = process.metadata(pattern).is_ok_and(|m| !m.is_dir);
        return there.then(|| pattern.to_owned()).into_iter().collect();
    }
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let entries = process.list_dir(folder).unwrap_or_default().into_iter();
    entries
        .filter(|e| !e.metadata.is_dir && glob(name, &e.name))
        .map(|e| format!("{prefix}{}", e.name))
        .collect()
}

/// `-S`, in Apache's layout.
pub(super) fn dump(config: &Config) -> String {
    let mut out = String::from("VirtualHost configuration:\n");
    let mut groups: Vec<(String, Vec<&VirtualHost>)> = Vec::new();
    for host in &config.hosts {
        for (ip, port) in &host.addresses {
            let ip = ip.map_or_else(|| "*".to_owned(), |ip| ip.to_string());
            let port = port.map_or_else(|| "*".to_owned(), |p| p.to_string());
            let key = format!("{ip}:{port}");
            match groups.iter_mut().find(|g| g.0 == key) {
                Some(group) => group.1.push(host),
                None => groups.push((key, vec![host])),
            }
        }
    }
    // Apache lists single addresses first.
    groups.sort_by_key(|g| g.0.starts_with('*'));
    for (key, hosts) in &groups {
        match hosts.as_slice() {
            [one] => {
                let _ = writeln!(out, "{key:<22} {} ({}:{})", name(one), one.at.file, one.at.line);
                aliases(&mut out, one);
            }
            several => group(&mut out, key, several),
        }
    }
    let main = &config.main;
    let _ = write!(
        out,
        "ServerRoot: \"{}\"\nMain DocumentRoot: \"{}\"\nMain ErrorLog: \"{}\"\nPidFile: \"{}\"\n",
        config.server_root, main.root, main.error_log, config.pid_file
    );
    for define in
        ["DUMP_VHOSTS", "DUMP_RUN_CFG"].into_iter().chain(config.defines.iter().map(String::as_str))
    {
        let _ = writeln!(out, "Define: {define}");
    }
    out
}

fn group(out: &mut String, key: &str, hosts: &[&VirtualHost]) {
    let port = key.rsplit(':').next().unwrap_or("*");
    let _ = writeln!(out, "{key:<22} is a NameVirtualHost");
    for (n, host) in hosts.iter().enumerate() {
        let at = format!("({}:{})", host.at.file, host.at.line);
        if n == 0 {
            let _ = writeln!(out, "         default server {} {at}", name(host));
        }
        let _ = writeln!(out, "         port {port} namevhost {} {at}", name(host));
        aliases(out, host);
    }
}

fn aliases(out: &mut String, host: &VirtualHost) {
    for alias in &host.site.aliases {
        let wild = if alias.contains(['*', '?']) { "wild " } else { "" };
        let _ = writeln!(out, "                 {wild}alias {alias}");
    }
}

fn name(host: &VirtualHost) -> &str {
    host.site.name.as_ref().map_or("-", |n| n.host.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        CommandLine::parse(&args)
    }

    #[test]
    fn the_command_line_is_understood() {
        let line = parse("--root www --listen 127.0.0.1:8080 --listen 81 --keep-alive-timeout 1s")
            .unwrap();
        assert_eq!(
            line.sources(&|_| true).before,
            ["DocumentRoot \"www\"", "Listen 127.0.0.1:8080", "Listen 81", "KeepAliveTimeout 1s"]
        );
        assert_eq!(line.sources(&|_| true).file, None, "flags stand for a file");
        assert_eq!(
            parse("").unwrap().sources(&|f| f == "httpd.conf").file.as_deref(),
            Some("httpd.conf")
        );
        assert_eq!(parse("-f x -t").unwrap().action, Action::Check);
        assert_eq!(parse("-k graceful").unwrap().action, Action::Signal("graceful".into()));
        for bad in [
            "--listen x",
            "--listen 70000",
            "extra",
            "--nope",
            "--max-connections 0",
            "--index a/b",
            "-k x",
            "-z",
        ] {
            let why = parse(bad).unwrap_err();
            assert!(why.starts_with("httpd: ") && why.ends_with(USAGE), "{bad}: {why}");
        }
    }
}
