//! Commands that change a running lab: `link`, `partition`, `heal`, `switch`, `mirror`, `forward`,
//! `rule`, `start`, `kill`, `save`.

mod change;
mod link;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use netarium_server::api::edits::{
    DefaultEdit, ForwardView, KillEdit, KilledView, RuleEdit, RulesView, SavedView, StartEdit,
    StartedView,
};
use netarium_server::client::{Client, ClientError, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::{self, Error};
use crate::remote::{escape, find, runtime};
use crate::terminal::Terminal;

pub(crate) use change::Change;
pub(crate) use link::{
    Heal, Link, Mirror, Partition, Switch, heal, link, link_table, mirror, partition, switch,
};

/// Which running lab.
#[derive(Debug, Args)]
pub(crate) struct On {
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME")]
    on: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium forward list router
  netarium forward add router tcp/8081 192.168.17.20:80
  netarium forward remove router tcp/65535

Connections that a forward led inside go on when it is removed.")]
pub(crate) struct Forward {
    #[command(subcommand)]
    what: ForwardWhat,
}

#[derive(Debug, Subcommand)]
enum ForwardWhat {
    /// List the forwards of a router
    List {
        /// The router
        host: String,
        #[command(flatten)]
        on: On,
    },
    /// Forward an outside port of a router to a host inside
    Add {
        /// The router
        host: String,
        /// The outside port: tcp/65535
        from: String,
        /// The inside address and port
        to: String,
        #[command(flatten)]
        on: On,
    },
    /// Take a forward away
    Remove {
        /// The router
        host: String,
        /// The outside port: tcp/65535
        from: String,
        #[command(flatten)]
        on: On,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium rule list web
  netarium rule add web 'allow tcp/8080' --name 'second web server'
  netarium rule add web 'drop tcp/80' --from 10.0.0.7/32 --before 1
  netarium rule remove web 'allow tcp/8080'
  netarium rule default pc deny

The first rule that fits a new flow decides. Flows that a rule let in go on when it is removed. A
host without a firewall gets one with its first rule; it still lets in what no rule names.")]
pub(crate) struct Rule {
    #[command(subcommand)]
    what: RuleWhat,
}

#[derive(Debug, Subcommand)]
enum RuleWhat {
    /// List the inbound rules of a host
    List {
        /// The host
        host: String,
        #[command(flatten)]
        on: On,
    },
    /// Add an inbound rule
    Add {
        /// The host
        host: String,
        /// allow, drop or reject, and what: tcp/80, udp/5000-5010, icmp, any
        rule: String,
        /// Only from this network
        #[arg(long, value_name = "CIDR")]
        from: Option<String>,
        /// Its name
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Put it before the rule of this number [default: behind all]
        #[arg(long, value_name = "N")]
        before: Option<u32>,
        #[command(flatten)]
        on: On,
    },
    /// Take an inbound rule away
    Remove {
        /// The host
        host: String,
        /// Its name, or what it says
        rule: String,
        #[command(flatten)]
        on: On,
    },
    /// Say what happens to new flows that no rule names
    Default {
        /// The host
        host: String,
        /// Let them in or drop them
        what: Default,
        #[command(flatten)]
        on: On,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Default {
    /// Let them in
    Allow,
    /// Drop them
    Deny,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium start pc httpd --root htdocs
  netarium start --on course pc ping 10.0.0.2

The program goes on when this command has ended; `netarium kill` ends it.")]
pub(crate) struct Start {
    #[command(flatten)]
    on: On,
    /// The host
    #[arg(value_name = "HOST")]
    host: String,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    argv: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium kill web httpd
  netarium kill web 100 --signal kill")]
pub(crate) struct Kill {
    /// The host
    host: String,
    /// A process id, or a program's name: all its processes
    #[arg(value_name = "PID|NAME")]
    process: String,
    /// Which signal
    #[arg(long, value_enum, default_value_t = Signal::Term)]
    signal: Signal,
    #[command(flatten)]
    on: On,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Signal {
    /// 1: the terminal has gone
    Hup,
    /// 2: Ctrl-C
    Int,
    /// 15: end
    Term,
    /// 9: end at once
    Kill,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium save                             into the lab's own file
  netarium save -o other.toml

Links' settings, forwards, inbound rules and programs that were started or killed are written;
comments and the order of the file stay.")]
pub(crate) struct Save {
    /// Write this file instead of the lab's own
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    #[command(flatten)]
    on: On,
}

/// A running lab and how to ask it.
struct Lab {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Lab {
    fn of(on: &On) -> Result<Lab, Error> {
        Ok(Lab { client: Client::new(find(on.on.as_deref())?), runtime: runtime()? })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.runtime.block_on(self.client.get(&format!("/api/v1{path}")))?;
        serde_json::from_slice(&answer).map_err(Error::failed)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Vec<u8>, ClientError> {
        let path = format!("/api/v1{path}");
        self.runtime.block_on(self.client.send(method, &path, Some(body))).map(|b| b.to_vec())
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        serde_json::from_slice(&self.send(method, path, body)?).map_err(Error::failed)
    }
}

/// Data on the standard output: JSON, or what `text` makes of it.
fn show<T: Serialize>(
    value: &T,
    json: bool,
    text: impl FnOnce(&T) -> String,
) -> Result<i32, Error> {
    let shown = match json {
        true => serde_json::to_string(value).map_err(Error::failed)? + "\n",
        false => text(value),
    };
    match std::io::stdout().write_all(shown.as_bytes()) {
        Ok(()) => Ok(exit::OK),
        Err(_) => Ok(exit::FAILURE),
    }
}

/// Rows with their columns under each other.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// `netarium forward`.
pub(crate) fn forward(args: Forward, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let path = |host: &str| format!("/hosts/{}/forwards", escape(host));
    match args.what {
        ForwardWhat::List { host, on } => {
            let list: Vec<ForwardView> = Lab::of(&on)?.get(&path(&host))?;
            return show(&list, json, |list| {
                let row = |f: &ForwardView| [f.from.clone(), f.to.clone(), f.flows.to_string()];
                let head = ["FROM", "TO", "FLOWS"].map(str::to_owned);
                columns(&std::iter::once(head).chain(list.iter().map(row)).collect::<Vec<_>>())
            });
        }
        ForwardWhat::Add { host, from, to, on } => {
            let said = format!("{host}: {from} -> {to}");
            let forward = ForwardView { from, to, flows: 0 };
            Lab::of(&on)?.send(Method::POST, &path(&host), &forward)?;
            terminal.say(said);
        }
        ForwardWhat::Remove { host, from, on } => {
            let path = format!("{}?from={}", path(&host), escape(&from));
            Lab::of(&on)?.send(Method::DELETE, &path, &())?;
            terminal.say(format_args!("{host}: {from} is not forwarded any more"));
        }
    }
    Ok(exit::OK)
}

/// `netarium rule`.
pub(crate) fn rule(args: Rule, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let path = |host: &str| format!("/hosts/{}/rules", escape(host));
    match args.what {
        RuleWhat::List { host, on } => {
            let list: RulesView = Lab::of(&on)?.get(&path(&host))?;
            return show(&list, json, rule_table);
        }
        RuleWhat::Add { host, rule, from, name, before, on } => {
            let rule = from.map_or(rule.clone(), |from| format!("{rule} from {from}"));
            let said = format!("{host}: {rule}");
            Lab::of(&on)?.send(Method::POST, &path(&host), &RuleEdit { rule, name, before })?;
            terminal.say(said);
        }
        RuleWhat::Remove { host, rule, on } => {
            let path = format!("{}?rule={}", path(&host), escape(&rule));
            Lab::of(&on)?.send(Method::DELETE, &path, &())?;
            terminal.say(format_args!("{host}: without {rule}"));
        }
        RuleWhat::Default { host, what, on } => {
            let deny = what == Default::Deny;
            Lab::of(&on)?.send(Method::PUT, &path(&host), &DefaultEdit { deny })?;
            let word = if deny { "denied" } else { "let in" };
            terminal.say(format_args!("{host}: what no rule names is {word}"));
        }
    }
    Ok(exit::OK)
}

pub(crate) fn rule_table(list: &RulesView) -> String {
    if !list.firewall {
        return "no firewall: everything comes in\n".to_owned();
    }
    let mut rows = vec![["#", "RULE", "NAME", "PACKETS"].map(str::to_owned)];
    for (n, rule) in (1..).zip(&list.rules) {
        let says = rule.rule.clone().unwrap_or_else(|| "(more than a lab file can say)".to_owned());
        let name = if says == rule.name { String::new() } else { rule.name.clone() };
        rows.push([n.to_string(), says, name, rule.packets.to_string()]);
    }
    format!("{}what no rule names: {}\n", columns(&rows), list.default)
}

/// `netarium start`.
pub(crate) fn start(args: Start, json: bool) -> Result<i32, Error> {
    let path = format!("/hosts/{}/start", escape(&args.host));
    let edit = StartEdit { argv: args.argv };
    let started: StartedView = Lab::of(&args.on)?.ask(Method::POST, &path, &edit)?;
    show(&started, json, |s| format!("{}\n", s.pid))
}

/// `netarium kill`.
pub(crate) fn kill(args: Kill, json: bool) -> Result<i32, Error> {
    let signal = match args.signal {
        Signal::Hup => 1,
        Signal::Int => 2,
        Signal::Kill => 9,
        Signal::Term => 15,
    };
    let path = format!("/hosts/{}/kill", escape(&args.host));
    let edit = KillEdit { process: args.process, signal };
    let killed: KilledView = Lab::of(&args.on)?.ask(Method::POST, &path, &edit)?;
    let lines = |k: &KilledView| k.pids.iter().map(|pid| format!("{pid}\n")).collect();
    show(&killed, json, lines)
}

/// `netarium save`.
pub(crate) fn save(args: Save, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let saved: SavedView = Lab::of(&args.on)?.get("/saved")?;
    for what in &saved.left_out {
        terminal.plain(format_args!("note: not saved, a lab file cannot say it: {what}"));
    }
    let file = args.output.or(saved.file.as_ref().map(PathBuf::from)).ok_or_else(|| {
        let hint = Some("name one with -o FILE".to_owned());
        Error::Failed("this lab has no file of its own".to_owned(), hint)
    })?;
    let own = saved.file.as_deref().map(Path::new) == Some(file.as_path());
    if !own || !saved.changes.is_empty() {
        netarium_server::source::replace(&file, saved.text.as_bytes())
            .map_err(|e| Error::Failed(format!("cannot write {}: {e}", file.display()), None))?;
    }
    match saved.changes.len() {
        0 if own => terminal.say(format_args!("{} says it already", file.display())),
        _ => terminal.say(format_args!("{} written", file.display())),
    }
    show(&saved.changes, json, |lines| lines.iter().map(|l| format!("{l}\n")).collect())
}
