//! Commands that change how a running lab runs: speed, pause, steps, breakpoints.

use netarium_server::Pace;
use netarium_server::api::pacing::{
    BreakWanted, PaceChange, PaceView, Speed as Wanted, StepView, StepWanted, Word,
};
use netarium_server::client::{Client, ClientError, Method};
use netarium_server::stops::{Breakpoint, Unit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{self, Break, OnLab, Speed, Step};
use crate::exit::{self, Error};
use crate::remote::{find, runtime};
use crate::screen::stopped_line;
use crate::terminal::Terminal;
use crate::up::interrupted;

/// What every request without a body says.
const NOTHING: Option<&()> = None;

/// Asks the running lab, until it answers or Ctrl-C.
fn ask<A: DeserializeOwned>(
    lab: &OnLab,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<Option<A>, Error> {
    let client = Client::new(find(lab.on.as_deref())?);
    let path = format!("/api/v1/{path}");
    runtime()?.block_on(async {
        tokio::select! {
            answer = client.call(method, &path, body) => {
                answer.map(Some).map_err(refusal)
            }
            () = interrupted() => Ok(None),
        }
    })
}

fn refusal(error: ClientError) -> Error {
    match error {
        ClientError::Refused { status: 400, message } => Error::Usage(message, None),
        other => Error::failed(other),
    }
}

/// `netarium speed`
pub(crate) fn speed(args: &Speed, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let speed = match args.speed {
        Pace::Times(x) => Wanted::Times(x),
        Pace::Max => Wanted::Word(Word::Max),
        Pace::Paused => Wanted::Times(0.0),
    };
    change(&args.lab, PaceChange { speed: Some(speed), paused: None }, json, terminal)
}

/// `netarium pause` and `netarium resume`
pub(crate) fn pause(
    lab: &OnLab,
    paused: bool,
    json: bool,
    terminal: &Terminal,
) -> Result<i32, Error> {
    change(lab, PaceChange { speed: None, paused: Some(paused) }, json, terminal)
}

fn change(lab: &OnLab, change: PaceChange, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let view: Option<PaceView> = ask(lab, Method::POST, "pace", Some(&change))?;
    if let Some(view) = view {
        tell(&view, json, terminal)?;
    }
    Ok(exit::OK)
}

fn tell(view: &PaceView, json: bool, terminal: &Terminal) -> Result<(), Error> {
    if json {
        return print(view);
    }
    let (seconds, rest) = (view.now / 1_000_000_000, view.now % 1_000_000_000);
    let speed = match view.speed {
        Wanted::Times(x) => format!("×{x}"),
        Wanted::Word(Word::Max) => "max".to_owned(),
    };
    let how = match &view.stopped {
        Some(stopped) => stopped_line(stopped),
        None if view.paused => format!("paused (speed {speed})"),
        None => format!("speed {speed}"),
    };
    terminal.say(format_args!("{seconds}.{rest:09} s, event #{}: {how}", view.events));
    Ok(())
}

fn print(value: &impl Serialize) -> Result<(), Error> {
    println!("{}", serde_json::to_string(value).map_err(Error::failed)?);
    Ok(())
}

/// `netarium step`
pub(crate) fn step(args: &Step, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let wanted = StepWanted {
        unit: match args.unit {
            args::Unit::Event => Unit::Event,
            args::Unit::Packet => Unit::Packet,
        },
        count: args.count,
        until: args.until.as_ref().map(|p| p.text().to_owned()),
    };
    let Some(view): Option<StepView> = ask(&args.lab, Method::POST, "step", Some(&wanted))? else {
        return Ok(exit::FAILURE);
    };
    if json {
        print(&view)?;
    } else {
        for event in &view.happened {
            println!("{event}");
        }
        tell(&view.pace, false, terminal)?;
    }
    let whole = match &args.until {
        Some(_) => view.taken > 0,
        None => view.taken >= args.count || view.pace.stopped.is_some(),
    };
    if !whole {
        terminal.hint("it ended before: nothing more happens, or somebody else changed the pace");
    }
    Ok(if whole { exit::OK } else { exit::FAILURE })
}

/// `netarium break`
pub(crate) fn breakpoints(args: &Break, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    if let Some(which) = args.clear {
        let query = which.map_or_else(String::new, |id| format!("?id={id}"));
        let path = format!("breakpoints{query}");
        let cleared: Option<serde_json::Value> = ask(&args.lab, Method::DELETE, &path, NOTHING)?;
        let count = cleared.and_then(|c| c["cleared"].as_u64()).unwrap_or(0);
        terminal.say(format_args!("{count} removed"));
        return Ok(if which.is_some() && count == 0 { exit::FAILURE } else { exit::OK });
    }
    let Some(when) = &args.when else {
        let all: Option<Vec<Breakpoint>> = ask(&args.lab, Method::GET, "breakpoints", NOTHING)?;
        let all = all.unwrap_or_default();
        if json {
            print(&all)?;
        } else {
            all.iter().for_each(|b| println!("{}  {}", b.id, b.when));
        }
        return Ok(exit::OK);
    };
    let wanted = BreakWanted { when: when.text().to_owned() };
    let added: Option<Breakpoint> = ask(&args.lab, Method::POST, "breakpoints", Some(&wanted))?;
    if let Some(added) = added {
        if json {
            print(&added)?;
        } else {
            terminal.say(format_args!("breakpoint {}: {}", added.id, added.when));
        }
    }
    Ok(exit::OK)
}
