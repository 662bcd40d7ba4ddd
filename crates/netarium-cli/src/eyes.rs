//! Commands that look at events: `trace` and `why`, of a running lab or of a fresh one.

use std::io::Write;
use std::rc::Rc;

use netarium::world::NameTable;
use netarium::{BuildOptions, Duration, Lab, RunEnd, World, program_names};
use netarium_base::EventId;
use netarium_base::trace::{Record, TraceSink};
use netarium_explain::{Predicate, Role};
use netarium_server::client::Client;
use netarium_server::source::load;
use serde::{Deserialize, Serialize};

use crate::args::{Trace, Why};
use crate::exit::{self, Error};
use crate::remote::{escape, find, find_or_fresh, runtime};
use crate::terminal::Terminal;
use crate::up::{TRACE_KEPT, interrupted};

/// The longest run of a lab that never becomes idle.
const LONGEST: Duration = Duration::from_secs(3600);

fn fresh(lab: &str, seed: Option<u64>, trace_limit: usize) -> Result<World, Error> {
    let lab = Lab::from(load(lab, &program_names())?.lab);
    let options = BuildOptions { seed, runs: true, trace_limit, ..BuildOptions::default() };
    lab.build_with(options).map_err(Error::failed)
}

/// `netarium trace`
pub(crate) fn trace(args: &Trace, terminal: &Terminal) -> Result<i32, Error> {
    let Some(lab) = &args.lab else { return remote_trace(args, terminal) };
    let mut world = fresh(lab, args.seed, 0)?;
    let sink = Lines {
        names: world.inner().name_table(),
        filter: args.filter.clone(),
        out: std::io::BufWriter::new(std::io::stdout()),
    };
    let tracer = world.inner_mut().tracer_mut();
    let id = tracer.add_sink(Box::new(sink));
    let end = world.run_until_idle(LONGEST);
    // Its drop writes what is left.
    drop(world.inner_mut().tracer_mut().remove_sink(id));
    match end {
        RunEnd::Stuck(why) => Err(Error::failed(why)),
        RunEnd::Idle | RunEnd::Limit => Ok(exit::OK),
    }
}

/// Writes events as JSON lines.
struct Lines<W: Write> {
    names: Rc<NameTable>,
    filter: Option<Predicate>,
    out: W,
}

impl<W: Write> TraceSink for Lines<W> {
    fn record(&mut self, record: &Record) {
        if self.filter.as_ref().is_none_or(|f| f.matches(record, &*self.names)) {
            // Whoever read our output may have gone; the run is short.
            let _ = serde_json::to_writer(&mut self.out, &record.json(&*self.names));
            let _ = self.out.write_all(b"\n");
        }
    }
}

fn remote_trace(args: &Trace, terminal: &Terminal) -> Result<i32, Error> {
    // Only what has happened can be had of a fresh lab, too.
    let find = if args.follow { find } else { find_or_fresh };
    let client = Client::new(find(args.on.as_deref())?);
    let what = if args.follow { "events" } else { "trace" };
    let filter = args.filter.as_ref();
    let query = filter.map_or_else(String::new, |f| format!("?filter={}", escape(f.text())));
    runtime()?.block_on(async {
        let mut stream = client.stream(&format!("/api/v1/{what}{query}")).await?;
        if args.follow {
            terminal.say("following; Ctrl-C ends it");
        }
        let mut out = std::io::stdout();
        loop {
            let piece = tokio::select! {
                biased;
                () = interrupted() => return Ok(exit::OK),
                piece = stream.next() => piece?,
            };
            let Some(piece) = piece else { return Ok(exit::OK) };
            if out.write_all(&piece).and_then(|()| out.flush()).is_err() {
                // Whoever read our output has gone.
                return Ok(exit::OK);
            }
        }
    })
}

/// A line of an answer, from a running lab or from a fresh one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    role: String,
    id: u64,
    at: u64,
    place: String,
    event: String,
    text: String,
}

impl From<netarium_explain::Line> for Line {
    fn from(line: netarium_explain::Line) -> Line {
        let role = match line.role {
            Role::Asked => "asked",
            Role::Cause => "cause",
            Role::Origin => "origin",
            Role::Gap => "gap",
        };
        Line {
            role: role.to_owned(),
            id: line.id.0,
            at: line.at.as_nanos(),
            place: line.place,
            event: line.event.to_owned(),
            text: line.text,
        }
    }
}

/// `netarium why`
pub(crate) fn why(args: &Why, json: bool) -> Result<i32, Error> {
    let lines = match &args.lab {
        Some(lab) => fresh_why(lab, args)?,
        None => {
            let client = Client::new(find_or_fresh(args.on.as_deref())?);
            let answer = runtime()?.block_on(client.get(&format!("/api/v1/why?id={}", args.id)))?;
            serde_json::from_slice(&answer).map_err(Error::failed)?
        }
    };
    if json {
        println!("{}", serde_json::to_string(&lines).map_err(Error::failed)?);
        return Ok(exit::OK);
    }
    for line in &lines {
        println!("{}", shown(line));
    }
    Ok(exit::OK)
}

pub(crate) fn shown(line: &Line) -> String {
    let Line { id, place, text, .. } = line;
    let time = format!("{}.{:09}", line.at / 1_000_000_000, line.at % 1_000_000_000);
    match line.role.as_str() {
        "asked" => format!("{time}  #{id} {place}: {text}"),
        "origin" => format!("{time}  for #{id} {place}: {text}"),
        "gap" => format!("{time}  because #{id}: {text}"),
        _ => format!("{time}  because #{id} {place}: {text}"),
    }
}

/// Runs until the event has happened; ids are the same in every run.
fn fresh_why(lab: &str, args: &Why) -> Result<Vec<Line>, Error> {
    let mut world = fresh(lab, args.seed, TRACE_KEPT)?;
    let end = world.now() + LONGEST;
    while world.inner().tracer().emitted() < args.id
        && world.now() < end
        && !world.inner().is_idle()
        && world.inner_mut().step()
    {}
    let tracer = world.inner().tracer();
    let lines = netarium_explain::why(tracer, world.inner().names(), EventId(args.id));
    if lines.is_empty() {
        let emitted = tracer.emitted();
        let why = format!("there is no event #{}: the run has {emitted} events", args.id);
        return Err(Error::Failed(why, None));
    }
    Ok(lines.into_iter().map(Line::from).collect())
}
