//! `netarium up`: a lab in real time, with its doors open, until Ctrl-C.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use netarium::world::JsonTrace;
use netarium::{BuildOptions, Lab, program_names};
use netarium_server::Pace;
use netarium_server::proxy::{DEFAULT_LISTEN, ProxyOptions};
use netarium_server::publish::Limits;
use netarium_server::recording::Tape;
use netarium_server::report::{Notice, Reporter};
use netarium_server::runtime_file::{running_labs, runtime_dir};
use netarium_server::source::{LoadedLab, copies_dir, load_to_edit};
use netarium_server::up::{Door, Options, RunningLab, UpError};

use crate::args::{ProxyAt, Up};
use crate::exit::{self, Error};
use crate::files::{OutputFile, ThreadFile, recorded_all, recording_file};
use crate::notices::Notices;
use crate::screen;
use crate::terminal::Terminal;

/// How many of the latest events a running lab keeps for `why` and `trace`: at most about 32 MB.
pub(crate) const TRACE_KEPT: usize = 200_000;

impl From<UpError> for Error {
    fn from(error: UpError) -> Error {
        match error {
            UpError::Publish(_) | UpError::Proxy(_) => Error::Usage(error.to_string(), None),
            UpError::World(_) | UpError::Control(_) => Error::failed(error),
        }
    }
}

/// Runs the lab until Ctrl-C or SIGTERM.
pub(crate) fn up(args: Up, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let loaded = load_to_edit(&args.lab, &copies_dir(), &program_names())?;
    let capture = args.pcap.as_deref().map(OutputFile::create).transpose()?;
    let trace = args.trace.as_deref().map(OutputFile::create).transpose()?;
    let record = args.record.as_deref().map(|path| recording_file(path, &loaded.lab, false));
    let record = record.transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
        .map_err(Error::failed)?;
    let files = Files {
        capture: capture.map(ThreadFile::new),
        trace: trace.map(ThreadFile::new),
        tape: record.clone().unwrap_or_else(Tape::temporary),
    };
    let code = runtime.block_on(serve(args, loaded, files.clone(), json, *terminal))?;
    for file in [files.capture, files.trace].into_iter().flatten() {
        file.finish()?;
    }
    record.map_or(Ok(()), |tape| recorded_all(&tape))?;
    Ok(code)
}

/// How many threads move bytes: the world has one of its own, and more of them than processors only
/// wake each other.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    processors.saturating_sub(1).clamp(1, 4)
}

/// Starts a lab in real time that a shell ends again; its notices are not shown.
pub(crate) async fn for_shell(
    what: &str,
    seed: Option<u64>,
    terminal: Terminal,
) -> Result<RunningLab, Error> {
    let loaded = load_to_edit(what, &copies_dir(), &program_names())?;
    let build = BuildOptions {
        seed,
        epoch: Some(unix_now()),
        trace_limit: TRACE_KEPT,
        ..Default::default()
    };
    let options = Options {
        lab: loaded.lab,
        folder: loaded.folder,
        what: loaded.what,
        name: None,
        pace: Pace::Times(1.0),
        limits: Limits::default(),
        proxy: None,
        allow_attach: false,
        runtime_dir: runtime_dir(),
        tape: Tape::temporary(),
    };
    let reporter = Reporter::new(|_: Notice| {});
    let (lab, doors) = RunningLab::start(options, reporter, move |lab| {
        Lab::from(lab.clone()).build_with(build).map(|world| world.into_inner())
    })
    .await?;
    for moved in doors.iter().filter_map(|door| Some(moved_line(door, door.moved.as_ref()?))) {
        terminal.say(moved);
    }
    Ok(lab)
}

/// What is written while the lab runs.
#[derive(Clone)]
struct Files {
    capture: Option<ThreadFile>,
    trace: Option<ThreadFile>,
    tape: Tape,
}

async fn serve(
    args: Up,
    loaded: LoadedLab,
    files: Files,
    json: bool,
    terminal: Terminal,
) -> Result<i32, Error> {
    let build = BuildOptions {
        seed: args.seed,
        epoch: Some(unix_now()),
        trace_limit: TRACE_KEPT,
        ..Default::default()
    };
    let edited = loaded.edited;
    let (options, limits) = options(&args, loaded, files.tape);
    let trace = files.trace;
    let broken = Arc::new(AtomicBool::new(false));
    let notices = Notices::new();
    let (lab, doors) = RunningLab::start(options, notices.reporter(), move |lab| {
        Lab::from(lab.clone()).build_with(build).map(|world| {
            let mut world = world.into_inner();
            if let Some(file) = trace {
                let names = world.name_table();
                world.tracer_mut().add_sink(Box::new(JsonTrace::new(file, names)));
            }
            world
        })
    })
    .await?;
    if let Some(file) = files.capture {
        let ends = args.ends.into();
        lab.capture_to(file, ends).await.map_err(Error::failed)?;
    }
    // Listened to before anybody is told that there is something to end.
    let mut end = std::pin::pin!(interrupted());
    let ended = tokio::select! {
        biased;
        () = &mut end => true,
        () = std::future::ready(()) => false,
    };
    announce(&lab, &doors, edited, json, &limits, &terminal);
    let notices = notices.write(json, terminal).map_err(Error::failed)?;
    if !ended {
        tokio::select! {
            () = &mut end => {}
            () = lab.broken() => broken.store(true, Ordering::Relaxed),
        }
    }
    let name = lab.info().name.clone();
    lab.stop().await.map_err(Error::failed)?;
    notices.finish();
    terminal.say(format_args!("\n{name} has ended"));
    Ok(if broken.load(Ordering::Relaxed) { exit::FAILURE } else { exit::OK })
}

fn options(args: &Up, loaded: LoadedLab, tape: Tape) -> (Options, Limits) {
    let limits = Limits {
        connections: args.max_connections,
        allow_lan: args.allow_lan,
        ..Limits::default()
    };
    let proxy = |listen| ProxyOptions { listen, from: args.proxy_from.clone() };
    let options = Options {
        lab: loaded.lab,
        folder: loaded.folder,
        what: loaded.what,
        name: args.name.clone(),
        pace: args.speed,
        limits: limits.clone(),
        proxy: match args.proxy {
            Some(ProxyAt::Off) => None,
            Some(ProxyAt::Listen(listen)) => Some(proxy(listen)),
            None => Some(proxy(DEFAULT_LISTEN)),
        },
        allow_attach: args.allow_attach,
        runtime_dir: runtime_dir(),
        tape,
    };
    (options, limits)
}

/// Nanoseconds since 1970 on the real machine: what the lab's hosts take for the time.
fn unix_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn print_json(value: &serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

fn announce(
    lab: &RunningLab,
    doors: &[Door],
    edited: bool,
    json: bool,
    limits: &Limits,
    terminal: &Terminal,
) {
    for door in doors {
        if let Some(moved) = &door.moved {
            terminal.plain(moved_line(door, moved));
        }
        if limits.allow_lan && !door.view.listen.ip().is_loopback() {
            terminal.plain(format_args!(
                "note: {} can be reached from other machines",
                door.view.listen
            ));
        }
    }
    if let Some(proxy) = &lab.view().proxy
        && !proxy.listen.ip().is_loopback()
    {
        terminal.plain(format_args!("note: {} can be reached from other machines", proxy.listen));
    }
    for a in lab.view().attached.iter().filter(|a| !a.allowed) {
        terminal.plain(format_args!(
            "note: {}:{} does not continue to {}: start with --allow-attach if that is what you want",
            a.host, a.port, a.to
        ));
    }
    if json {
        let lab = serde_json::to_value(lab.view()).unwrap_or_default();
        print_json(&serde_json::json!({"event": "up", "lab": lab}));
    } else {
        let own = &lab.info().name;
        // Whether others run is of no importance where that cannot be found out.
        let others = running_labs(&runtime_dir()).unwrap_or_default();
        let alone = others.iter().all(|other| other.name == *own);
        terminal.say(screen::welcome(lab.view(), edited, alone, terminal));
    }
}

fn moved_line(door: &Door, moved: &netarium_server::publish::Moved) -> String {
    let why = match &moved.holder {
        Some(holder) => format!("{} is used by {holder}", moved.wanted),
        None if moved.reserved => format!("the system keeps {} for itself", moved.wanted),
        None => format!("{} is used by another program", moved.wanted),
    };
    format!("note: {why}; the lab is at {} instead", door.view.listen)
}

/// Waits for Ctrl-C, or for the system's wish that the program ends.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
