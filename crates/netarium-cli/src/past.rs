//! `netarium rewind` and `netarium replay --interactive`: back and forward in a run, by looking at a
//! second, read-only world of it.
//!
//! The run is a lab that goes on meanwhile, whose control API has that second world, or a recording,
//! for which it is in this process; both answer the same questions.

use std::io::{BufRead, IsTerminal, Write};

use netarium_server::api::edits::{ForwardView, RulesView};
use netarium_server::api::links::LinkView;
use netarium_server::api::past::PastWanted;
use netarium_server::client::{Client, Method};
use netarium_server::past::{Past as World, PastError, PastView};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::args;
use crate::edit::{columns, link_table, rule_table};
use crate::exit::{self, Error};
use crate::eyes::{Line, shown};
use crate::remote::{escape, find, runtime};
use crate::terminal::{Style, Terminal};

/// Events told after each move.
const TOLD: usize = 5;

const HELP: &str = "\
go to         12.5s, #4711 (an event), end, and from here: +2s, -500ms, +1, -1 (dispatched events)
until EXPR    on to the next event that fulfils a condition
events [N]    the latest events until here; events EXPR those that fulfil a condition
why N         from an event back to its root
processes HOST, sockets HOST, forwards HOST, rules HOST, links, drops
quit
";

/// The run.
enum Run {
    Recorded(World),
    Live(Client),
}

/// The run's second world, as the prompt asks it.
struct Past {
    run: Run,
    runtime: Runtime,
}

impl From<PastError> for Error {
    fn from(error: PastError) -> Error {
        Error::failed(error)
    }
}

/// `netarium rewind`
pub(crate) fn rewind(args: &args::Rewind, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let client = Client::new(find(args.lab.on.as_deref())?);
    let past = Past { run: Run::Live(client), runtime: runtime()? };
    match &args.to {
        Some(to) => once(&past, &PastWanted::To(to.clone()), json, terminal),
        None => prompt(&past, terminal),
    }
}

/// `netarium replay --interactive`
pub(crate) fn replay(bytes: Vec<u8>, terminal: &Terminal) -> Result<i32, Error> {
    prompt(&Past { run: Run::Recorded(World::of(bytes)), runtime: runtime()? }, terminal)
}

/// `netarium record`
pub(crate) fn record(args: &args::Record, terminal: &Terminal) -> Result<i32, Error> {
    let client = Client::new(find(args.lab.on.as_deref())?);
    let bytes = runtime()?.block_on(client.get("/api/v1/recording"))?;
    std::fs::write(&args.file, &bytes)
        .map_err(|e| Error::Usage(format!("cannot write {}: {e}", args.file.display()), None))?;
    let (file, bytes) = (args.file.display(), crate::terminal::bytes(bytes.len() as u64));
    terminal.say(format_args!("{file}: the run until now, {bytes}"));
    Ok(exit::OK)
}

impl Past {
    fn go(&self, wanted: &PastWanted) -> Result<PastView, Error> {
        match &self.run {
            Run::Live(client) => {
                let asked = client.call(Method::POST, "/api/v1/past", Some(wanted));
                Ok(self.runtime.block_on(asked)?)
            }
            Run::Recorded(past) => match wanted {
                PastWanted::To(to) => {
                    let goal = to.parse().map_err(usage)?;
                    Ok(self.runtime.block_on(past.seek(goal))?)
                }
                PastWanted::Until(when) => {
                    let when = when.parse().map_err(usage)?;
                    Ok(self.runtime.block_on(past.until(when))?)
                }
            },
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = match &self.run {
            Run::Live(client) => {
                self.runtime.block_on(client.get(&format!("/api/v1/past/{path}")))?
            }
            Run::Recorded(past) => {
                let (status, body) =
                    self.runtime.block_on(past.get(path)).map_err(Error::failed)?;
                if !status.is_success() {
                    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let why = said["error"].as_str().unwrap_or("it cannot be told").to_owned();
                    return Err(Error::Failed(why, None));
                }
                body
            }
        };
        serde_json::from_slice(&answer).map_err(Error::failed)
    }

    /// Where it stands, and what happened last.
    fn tell(&self, view: &PastView, terminal: &Terminal) -> Result<String, Error> {
        let latest: Vec<Line> = self.get(&format!("happened?last={TOLD}"))?;
        let mut out: String = latest.iter().map(|line| shown(line) + "\n").collect();
        let place = format!(
            "at {} s of {} s, event #{}",
            seconds(view.now),
            seconds(view.end.max(view.now)),
            view.events
        );
        out += &format!("{}\n", terminal.paint(Style::Bold, place));
        if !view.faithful {
            out += "the replay is another run than the recorded one: another build?\n";
        }
        if !view.reached {
            out += "that is not in what was recorded; this is its end\n";
        }
        Ok(out)
    }
}

fn usage(error: impl std::fmt::Display) -> Error {
    Error::Usage(error.to_string(), None)
}

fn seconds(ns: u64) -> netarium::Instant {
    netarium::Instant::from_nanos(ns)
}

fn once(past: &Past, to: &PastWanted, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let view = past.go(to)?;
    if json {
        println!("{}", serde_json::to_string(&view).map_err(Error::failed)?);
    } else {
        print!("{}", past.tell(&view, terminal)?);
    }
    Ok(if view.reached && view.faithful { exit::OK } else { exit::FAILURE })
}

/// Reads commands until `quit` or the end of the input. A mistake is told, and is no end; without a
/// terminal on the other side, it makes the exit code 1.
fn prompt(past: &Past, terminal: &Terminal) -> Result<i32, Error> {
    let (input, person) = (std::io::stdin(), std::io::stdin().is_terminal());
    let start = PastWanted::To(if matches!(past.run, Run::Live(_)) { "end" } else { "0s" }.into());
    if person {
        terminal.say("`help` lists what can be typed");
    }
    print!("{}", past.tell(&past.go(&start)?, terminal)?);
    let mut code = exit::OK;
    let mut lines = input.lock().lines();
    loop {
        if person {
            print!("> ");
        }
        let _ = std::io::stdout().flush();
        let Some(Ok(line)) = lines.next() else { break };
        match answer(past, line.trim(), terminal) {
            Ok(Some(text)) => print!("{text}"),
            Ok(None) => break,
            Err(error) => {
                let failed = error.report(terminal);
                code = if person { exit::OK } else { failed };
            }
        }
    }
    Ok(code)
}

/// What a line is answered; `None` for the wish to leave.
fn answer(past: &Past, line: &str, terminal: &Terminal) -> Result<Option<String>, Error> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let host = |what: &str| format!("hosts/{}/{what}", escape(rest));
    Ok(Some(match (word, rest) {
        ("", _) => String::new(),
        ("quit" | "exit" | "q", "") => return Ok(None),
        ("help" | "?", _) => HELP.to_owned(),
        ("until", when) => past.tell(&past.go(&PastWanted::Until(when.to_owned()))?, terminal)?,
        ("events", which) => {
            let query = match which.parse::<usize>() {
                Ok(n) => format!("last={n}"),
                Err(_) if which.is_empty() => "last=20".to_owned(),
                Err(_) => format!("last=20&filter={}", escape(which)),
            };
            let lines: Vec<Line> = past.get(&format!("happened?{query}"))?;
            lines.iter().map(|line| shown(line) + "\n").collect()
        }
        ("why", id) => {
            let id = id.trim_start_matches('#');
            let lines: Vec<Line> = past.get(&format!("why?id={}", escape(id)))?;
            lines.iter().map(|line| shown(line) + "\n").collect()
        }
        ("processes" | "ps", _) => {
            table(&past.get::<Vec<Value>>(&host("processes"))?, ["pid", "ppid", "name", "command"])
        }
        ("sockets", _) => {
            let keys = ["kind", "local", "remote", "state", "recv_queue", "send_queue", "pid"];
            table(&past.get::<Vec<Value>>(&host("sockets"))?, keys)
        }
        ("forwards", _) => {
            let list: Vec<ForwardView> = past.get(&host("forwards"))?;
            let rows = list.iter().map(|f| [f.from.clone(), f.to.clone(), f.flows.to_string()]);
            let head = ["FROM", "TO", "FLOWS"].map(str::to_owned);
            columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
        }
        ("rules", _) => rule_table(&past.get::<RulesView>(&host("rules"))?),
        ("links", "") => link_table(&past.get::<Vec<LinkView>>("links")?),
        ("drops", "") => table(&past.get::<Vec<Value>>("drops")?, ["count", "place", "sentence"]),
        (goal, "") => past.tell(&past.go(&PastWanted::To(goal.to_owned()))?, terminal)?,
        _ => return Err(usage(format!("`{line}` is not known; `help` lists what is"))),
    }))
}

/// Objects as rows.
fn table<const N: usize>(rows: &[Value], keys: [&str; N]) -> String {
    let cell = |row: &Value, key: &str| match &row[key] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let head = keys.map(|key| key.replace('_', "-").to_uppercase());
    let rows = rows.iter().map(|row| keys.map(|key| cell(row, key)));
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
