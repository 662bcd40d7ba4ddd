//! `httpd`: a web server, configured as people know it from Apache.
//!
//! In reading order: `command` (flags, `-k`), `conf` (`httpd.conf`), `server` (listening, the limit
//! on connections, restarts), `connection` (hyper and the watchdog), `state`, `io` and `gate` (what
//! is let in), `answer` (who answers), `places` (rules), `files` with `conditions`, `ranges`, `mime`
//! and `target`, `pages`, `log` and `log_format`; `application` is what else can answer.
//!
//! hyper parses and frames (RFC 9112); what may come in at all is decided by the gate before it;
//! what is served, and when a connection has taken too long, is decided here. It does not do:
//! compression, CGI, content negotiation, authentication, TLS.

mod answer;
mod application;
mod body;
mod chunks;
mod command;
mod conditions;
mod conf;
mod connection;
mod files;
mod gate;
mod io;
mod log;
mod log_format;
mod mime;
mod pages;
mod places;
mod ranges;
mod server;
mod state;
mod target;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use netarium_base::Pid;
use netarium_world::process::{LocalBoxFuture, Process, Spawn};

pub(crate) use application::{Admission, Application, Call};
pub(crate) use body::Contents;
pub(crate) use command::{Action, CommandLine};
pub(crate) use pages::Failure;

use conf::{Config, Host, Level};
use log::ErrorEntry;
use server::{Server, Stop};

/// Asks for a new start that ends nobody's request.
const USR1: u8 = 10;
/// Asks for a stop that ends nobody's request.
const WINCH: u8 = 28;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match CommandLine::parse(args.get(1..).unwrap_or_default()) {
            Ok(line) => run(process, line, None).await,
            Err(why) => {
                process.eprint(&why).await;
                1
            }
        }
    })
}

/// What a server answers with besides its files, made anew for each start.
pub(crate) type MakeApplication = Rc<dyn Fn(Process) -> Rc<dyn Application>>;

/// Does what a command line says.
pub(crate) async fn run(
    process: Process,
    line: CommandLine,
    application: Option<MakeApplication>,
) -> i32 {
    match &line.action {
        Action::Say(text) => {
            process.print(text).await;
            return 0;
        }
        Action::Signal(word) if !line.may_start() => {
            // Even a stop reads the file first, to know the pid file: as Apache does.
            let word = word.clone();
            return match load(process, &line, application.as_ref()) {
                Ok(config) => signal(process, &line, &config, &word).await,
                Err(why) => failed(process, &why).await,
            };
        }
        _ => {}
    }
    let config = match load(process, &line, application.as_ref()) {
        Ok(config) => config,
        Err(why) => return failed(process, &why).await,
    };
    match &line.action {
        Action::Check => {
            process.eprint("Syntax OK\n").await;
            0
        }
        Action::Dump => {
            process.print(&command::dump(&config)).await;
            0
        }
        Action::Signal(word) => {
            let word = word.clone();
            match running(process, &config) {
                Some(_) => signal(process, &line, &config, &word).await,
                None => {
                    if word != "start" {
                        process.eprint("httpd not running, trying to start\n").await;
                    }
                    detach(process, line, application).await
                }
            }
        }
        Action::Say(_) | Action::Serve => serve(process, &line, config, application, &|_| {}).await,
    }
}

async fn failed(process: Process, why: &str) -> i32 {
    process.eprint(&format!("{why}\n")).await;
    1
}

/// Reads and checks the configuration.
fn load(
    process: Process,
    line: &CommandLine,
    application: Option<&MakeApplication>,
) -> Result<Config, String> {
    let read = |path: &str| {
        let bytes = process.read_file(path).map_err(|e| e.to_string())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8 text".to_owned())
    };
    let expand = |pattern: &str| command::expand(process, pattern);
    let is_dir = |path: &str| process.metadata(path).is_ok_and(|m| m.is_dir);
    let routes = |path: &str| crate::app::load(process, path);
    let host = Host { read: &read, expand: &expand, is_dir: &is_dir, routes: &routes };
    let exists = |path: &str| process.metadata(path).is_ok_and(|m| !m.is_dir);
    let sources = line.sources(&exists);
    let application = application.map(|make| make(process));
    sources.load(&host, application).map_err(|e| e.0)
}

/// The server that a pid file names, when it runs.
fn running(process: Process, config: &Config) -> Option<Pid> {
    let text = process.read_file(&config.pid_file).ok()?;
    let pid = Pid(std::str::from_utf8(&text).ok()?.trim().parse().ok()?);
    process.kill(pid, 0).then_some(pid)
}

/// `-k` for a server that runs, or should.
async fn signal(process: Process, line: &CommandLine, config: &Config, word: &str) -> i32 {
    let Some(pid) = running(process, config) else {
        let program = line.program();
        let text = match process.read_file(&config.pid_file) {
            Ok(pid) => {
                format!("{program} (pid {}?) not running\n", String::from_utf8_lossy(&pid).trim())
            }
            Err(_) => format!("{program} (no pid file) not running\n"),
        };
        process.print(&text).await;
        return 0;
    };
    let number = match word {
        "stop" => netarium_world::process::signal::TERM,
        "graceful-stop" => WINCH,
        "restart" => netarium_world::process::signal::HUP,
        "graceful" => USR1,
        _ => {
            process.print(&format!("{} (pid {pid}) already running\n", line.program())).await;
            return 0;
        }
    };
    i32::from(!process.kill(pid, number))
}

/// Starts the server as a process of its own, and waits until it listens or has failed.
async fn detach(process: Process, line: CommandLine, application: Option<MakeApplication>) -> i32 {
    #[derive(Default)]
    struct Outcome {
        code: Option<i32>,
        waker: Option<Waker>,
    }
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let told = Rc::clone(&outcome);
    let tell = move |code| {
        let mut told = told.borrow_mut();
        told.code.get_or_insert(code);
        if let Some(waker) = told.waker.take() {
            waker.wake();
        }
    };
    let argv = process.args();
    // What goes wrong at the start is said where the command was given.
    let spawn = Spawn::new(argv).daemon().stderr(process.fd(2));
    let child = process.fork(spawn, move |process| {
        Box::pin(async move {
            let code = match load(process, &line, application.as_ref()) {
                Ok(config) => serve(process, &line, config, application, &tell).await,
                Err(why) => failed(process, &why).await,
            };
            tell(code);
            code
        })
    });
    if let Err(e) = child {
        process.eprint(&format!("httpd: {e}\n")).await;
        return 1;
    }
    poll_fn(|cx| {
        let mut outcome = outcome.borrow_mut();
        if outcome.code.is_none() {
            outcome.waker = Some(cx.waker().clone());
        }
        outcome.code.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Serves until told to stop. `listening` is told 0 when the listeners are there.
async fn serve(
    process: Process,
    line: &CommandLine,
    config: Config,
    application: Option<MakeApplication>,
    listening: &dyn Fn(i32),
) -> i32 {
    let mut server = match Server::start(process, config) {
        Ok(server) => server,
        Err(why) => {
            process.eprint(&why).await;
            return 1;
        }
    };
    let pid_file = server.config().pid_file.clone();
    let _ = process.write_file(&pid_file, format!("{}\n", process.pid()));
    notice(
        process,
        &server,
        "mpm",
        &format!("{} configured -- resuming normal operations", pages::PRODUCT_FULL),
    );
    notice(
        process,
        &server,
        "core",
        &format!("AH00094: Command line: '{}'", process.args().join(" ")),
    );
    listening(0);
    let code = loop {
        match process.catch(&[1, 2, 15, USR1, WINCH]).await {
            signal @ (1 | USR1) => {
                let (how, word) = match signal {
                    1 => (Stop::Now, "AH00493: SIGHUP received.  Attempting to restart"),
                    _ => (Stop::Gracefully, "AH00493: SIGUSR1 received.  Doing graceful restart"),
                };
                notice(process, &server, "mpm", word);
                let config = load(process, line, application.as_ref());
                if let Err(why) = config.and_then(|config| server.restart(config, how)) {
                    process.eprint(&format!("{}\n", why.trim_end())).await;
                    why.lines().for_each(|line| error(process, &server, Level::Emerg, line));
                    break 1;
                }
                notice(process, &server, "mpm", "resuming normal operations");
            }
            WINCH => {
                notice(
                    process,
                    &server,
                    "mpm",
                    "AH00492: caught SIGWINCH, shutting down gracefully",
                );
                server.stop(Stop::Gracefully).await;
                break 0;
            }
            _ => {
                notice(process, &server, "mpm", "AH00491: caught SIGTERM, shutting down");
                break 0;
            }
        }
    };
    let own = process
        .read_file(&pid_file)
        .is_ok_and(|p| p.trim_ascii() == process.pid().to_string().as_bytes());
    if own {
        let _ = process.remove_file(&pid_file);
    }
    server.log.close(process);
    code
}

fn notice(process: Process, server: &Server, module: &'static str, text: &str) {
    // Apache writes these whatever its LogLevel is.
    let entry = ErrorEntry { module, level: Level::Notice, client: None, text };
    server.log.always(&server.config().main, process, &entry);
}

fn error(process: Process, server: &Server, level: Level, text: &str) {
    let entry = ErrorEntry { module: "core", level, client: None, text };
    server.log.error(&server.config().main, process, &entry);
}
