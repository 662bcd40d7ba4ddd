//! `netarium run`: a lab headless, as fast as the processor allows, and what came of it.

use std::io::Write;
use std::rc::Rc;

use netarium::lab::words;
use netarium::world::{ByteSink, CaptureId, JsonTrace, NodeKind};
use netarium::{BuildOptions, CaptureSpec, Duration, Lab, RunEnd, World, program_names};
use netarium_server::api::{DropView, drops};
use netarium_server::source::load;
use serde::Serialize;

use crate::args::{Ends, Run};
use crate::exit::{self, Error};
use crate::files::{OutputFile, SharedFile, finish, recorded_all, recording_file};
use crate::terminal::{Style, Terminal, plain};

/// A lab that is never idle is stopped after so much virtual time.
const LONGEST: Duration = Duration::from_secs(3600);

impl From<Ends> for netarium::Ends {
    fn from(ends: Ends) -> netarium::Ends {
        match ends {
            Ends::Sender => netarium::Ends::Sender,
            Ends::Receiver => netarium::Ends::Receiver,
            Ends::Both => netarium::Ends::Both,
        }
    }
}

/// Writes what passes here into a file that is shared.
pub(crate) struct Into(pub(crate) SharedFile);

impl ByteSink for Into {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().write(bytes);
    }
}

/// Writes every event into a file.
pub(crate) fn trace_all(world: &mut netarium::world::World, file: OutputFile) -> SharedFile {
    let file = file.shared();
    let sink = JsonTrace::new(Into(Rc::clone(&file)), world.name_table());
    world.tracer_mut().add_sink(Box::new(sink));
    file
}

/// Captures every wire into a file.
pub(crate) fn capture_all(
    world: &mut World,
    file: OutputFile,
    ends: netarium::Ends,
) -> (CaptureId, SharedFile) {
    let file = file.shared();
    let spec = CaptureSpec { links: world.wires(), ends, snaplen: 0 };
    (world.capture_to(spec, Into(Rc::clone(&file))), file)
}

/// Runs the lab and tells what came of it.
pub(crate) fn run(args: &Run, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let lab = Lab::from(load(&args.lab, &program_names())?.lab);
    let pcap = args.pcap.as_deref().map(OutputFile::create).transpose()?;
    let record = args.record.as_deref().map(|path| recording_file(path, lab.model(), true));
    let record = record.transpose()?;
    let trace = args.trace.as_deref().map(OutputFile::create).transpose()?;
    let options = BuildOptions { seed: args.seed, runs: true, ..BuildOptions::default() };
    let mut world = lab.build_with(options).map_err(Error::failed)?;

    if let Some(tape) = &record {
        tape.record(world.inner_mut());
    }
    let pcap = pcap.map(|file| capture_all(&mut world, file, args.ends.into()));
    let trace = trace.map(|file| trace_all(world.inner_mut(), file));
    let end = match args.limit {
        None => world.run_until_idle(LONGEST),
        Some(time) => {
            world.run_for(time);
            world.inner().stuck().map_or(RunEnd::Limit, |why| RunEnd::Stuck(why.to_owned()))
        }
    };
    if let Some(tape) = &record {
        world.inner_mut().finish_journal();
        recorded_all(tape)?;
    }
    if let Some((id, file)) = pcap {
        world.inner_mut().end_capture(id);
        finish(&file)?;
    }
    if let Some(file) = trace {
        finish(&file)?;
    }
    let summary = Summary::of(&world, &end);
    if json {
        println!("{}", serde_json::to_string_pretty(&summary).map_err(Error::failed)?);
    } else {
        summary.tell(&world, terminal).map_err(Error::failed)?;
    }
    match end {
        RunEnd::Stuck(why) => Err(Error::failed(why)),
        _ => Ok(exit::OK),
    }
}

/// How many lines of a program's output a run shows.
const SHOWN: usize = 40;

/// What came of a run.
#[derive(Debug, Serialize)]
struct Summary {
    /// Nanoseconds.
    virtual_time: u64,
    end: &'static str,
    events: u64,
    /// Frames that left an interface onto a wire.
    frames: u64,
    bytes: u64,
    /// TCP connections that were established from inside the lab.
    connections: u64,
    programs: Vec<Ended>,
    drops: Vec<DropView>,
}

/// A program that has ended.
#[derive(Debug, Serialize)]
struct Ended {
    host: String,
    command: String,
    code: i32,
    /// The last of what it wrote, both streams together.
    output: String,
}

impl Ended {
    fn show(&self, out: &mut impl Write, terminal: &Terminal) -> std::io::Result<()> {
        let typed = format!("{}$ {}", self.host, self.command);
        writeln!(out, "{}", terminal.paint(Style::Bold, typed))?;
        let lines: Vec<&str> = self.output.lines().collect();
        for line in lines.iter().take(SHOWN) {
            writeln!(out, "{}", plain(line))?;
        }
        if lines.len() > SHOWN {
            writeln!(out, "… and {} more lines", lines.len() - SHOWN)?;
        }
        match self.code {
            0 => writeln!(out),
            code => writeln!(out, "[exit code {code}]\n"),
        }
    }
}

impl Summary {
    fn of(world: &World, end: &RunEnd) -> Summary {
        let inner = world.inner();
        let wires = inner.links().filter(|l| l.ends[0] != l.ends[1]);
        let (frames, bytes) = wires
            .flat_map(|l| l.stats)
            .fold((0, 0), |(frames, bytes), s| (frames + s.sent_frames, bytes + s.sent_bytes));
        let hosts = || inner.nodes().filter(|n| n.kind == NodeKind::Host);
        let stats = hosts().filter_map(|h| inner.stack(h.id)).map(|s| s.stats());
        let mut ended: Vec<_> = hosts()
            .flat_map(|h| inner.exited(h.id).into_iter().map(move |e| (h.name.to_owned(), e)))
            .collect();
        ended.sort_by_key(|(_, e)| e.info.started);
        Summary {
            virtual_time: inner.now().as_nanos(),
            end: match end {
                RunEnd::Idle => "idle",
                RunEnd::Limit => "limit",
                RunEnd::Stuck(_) => "stuck",
            },
            events: inner.events(),
            frames,
            bytes,
            connections: stats.map(|s| s.tcp_active_opens).sum(),
            programs: ended
                .into_iter()
                .map(|(host, e)| Ended {
                    host,
                    command: words::join(&e.argv),
                    code: e.code,
                    output: String::from_utf8_lossy(&e.log).into_owned(),
                })
                .collect(),
            drops: drops(inner),
        }
    }

    /// What the programs wrote, as if one had typed them; the rest is told beside it.
    fn tell(&self, world: &World, terminal: &Terminal) -> std::io::Result<()> {
        if !terminal.is_quiet() {
            let mut out = std::io::stdout().lock();
            self.programs.iter().try_for_each(|p| p.show(&mut out, terminal))?;
            out.flush()?;
        }
        let time = world.now();
        let size = crate::terminal::bytes(self.bytes);
        terminal.say(format_args!(
            "{} of virtual time, {} frames ({size}), {} TCP connections; ended: {}",
            terminal.paint(Style::Bold, format_args!("{time} s")),
            self.frames,
            self.connections,
            self.end
        ));
        for drop in &self.drops {
            terminal
                .say(format_args!("  {} dropped {}: {}", drop.place, drop.count, drop.sentence));
        }
        Ok(())
    }
}
