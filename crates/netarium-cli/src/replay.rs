//! `netarium replay`: a recorded run again, compared on the way.

use std::path::Path;
use std::rc::Rc;

use netarium::CaptureSpec;
use netarium::recording::{Ending, Moment, RecordingError};
use netarium::world::PcapSink;
use netarium::{Recording, Replay};
use serde_json::json;

use crate::args;
use crate::exit::{self, Error};
use crate::files::{OutputFile, finish};
use crate::past;
use crate::run::{Into, trace_all};
use crate::terminal::Terminal;

impl From<RecordingError> for Error {
    fn from(error: RecordingError) -> Error {
        Error::Usage(error.to_string(), None)
    }
}

fn cannot(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Usage(format!("cannot read {}: {why}", path.display()), None)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    netarium_server::recording::read(path).map_err(|e| cannot(path, e))
}

/// Reads a recording.
pub(crate) fn open(path: &Path) -> Result<Recording, Error> {
    Recording::open(&read(path)?).map_err(|e| cannot(path, e))
}

/// Plays the recording, up to a point or to its end.
pub(crate) fn replay(args: &args::Replay, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    if args.interactive {
        return past::replay(read(&args.file)?, terminal);
    }
    let recording = open(&args.file)?;
    let pcap = args.pcap.as_deref().map(OutputFile::create).transpose()?;
    let trace = args.trace.as_deref().map(OutputFile::create).transpose()?;
    let mut replay = Replay::new(recording)?;
    let pcap = pcap.map(|file| {
        let (world, file) = (replay.watch(), file.shared());
        let wires = world.links().filter(|l| l.ends[0] != l.ends[1]).map(|l| l.id).collect();
        let spec = CaptureSpec { links: wires, ends: args.ends.into(), snaplen: 0 };
        let sink = PcapSink::new(Into(Rc::clone(&file)));
        (world.capture(&spec, Box::new(sink)), file)
    });
    let trace = trace.map(|file| trace_all(replay.watch(), file));
    let to = args.to.map_or(Moment::End, |at| at.0);
    let reached = replay.play(to, &mut |_| {});
    if let Some((id, file)) = pcap {
        replay.watch().end_capture(id);
        finish(&file)?;
    }
    if let Some(file) = trace {
        finish(&file)?;
    }
    let same = replay.divergence().is_none();
    if json {
        println!("{:#}", as_json(&replay, reached));
    } else {
        tell(&replay, reached, terminal);
    }
    Ok(if same && (reached || to == Moment::End) { exit::OK } else { exit::FAILURE })
}

fn as_json(replay: &Replay, reached: bool) -> serde_json::Value {
    let (world, recording) = (replay.world(), replay.recording());
    json!({
        "virtual_time": world.now().as_nanos(),
        "events": world.tracer().emitted(),
        "inputs": replay.inputs(),
        "checks": replay.checks(),
        "reached": reached,
        "divergence": replay.divergence().map(|d| json!({
            "check": d.check,
            "at": d.at.as_nanos(),
            "agreed_until": d.agreed_until.as_nanos(),
        })),
        "build": recording.header().build,
        "seed": recording.header().seed,
        "end": recording.end().as_nanos(),
        "ending": ending(recording.ending()),
    })
}

fn tell(replay: &Replay, reached: bool, terminal: &Terminal) {
    let (world, recording) = (replay.world(), replay.recording());
    if let Some(told) = ending(recording.ending()) {
        terminal.plain(format_args!("note: {told}; it is good until {} s", recording.end()));
    }
    let (events, checks) = (world.tracer().emitted(), replay.checks());
    terminal.say(format_args!(
        "replayed until {} s: {events} events, {} inputs, {checks} checks",
        world.now(),
        replay.inputs(),
    ));
    if let Some(d) = replay.divergence() {
        terminal.error(format_args!(
            "the replay is another run: check {} at {} s differs; until {} s both agreed",
            d.check, d.at, d.agreed_until
        ));
        let (theirs, ours) = (&recording.header().build, netarium::build_name());
        if *theirs != ours {
            terminal.hint(format_args!("it was recorded by {theirs}; this is {ours}"));
        }
    } else if !reached {
        terminal.error(format_args!("the recording ends at {} s, before that", recording.end()));
    }
}

/// What is to be said about the end of a recording that is not whole.
fn ending(ending: &Ending) -> Option<String> {
    match ending {
        Ending::Whole => None,
        Ending::Cut => Some("the recording is cut: it does not tell how the run ended".to_owned()),
        Ending::Full => Some("the journal was full: later inputs were not recorded".to_owned()),
        Ending::Unreadable(why) => Some(format!("the recording cannot be read to its end: {why}")),
    }
}
