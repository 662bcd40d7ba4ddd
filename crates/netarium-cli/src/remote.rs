//! Commands for a lab that runs: `exec` and `capture` through its control API.

use std::io::{IsTerminal, Write};
use std::path::Path;

use netarium_server::api::session::{FromClient, Start};
use netarium_server::api::view::LabView;
use netarium_server::client::{Client, ClientError, Method, Session, SessionEvent, WholeBlocks};
use netarium_server::runtime_file::{RuntimeInfo, running_labs, runtime_dir};
use tokio::io::AsyncReadExt;

use crate::args::{Capture, Ends, Exec};
use crate::exec::{hint_at_shell, unknown_host};
use crate::exit::{self, Error};
use crate::terminal::{Terminal, bytes};
use crate::up::interrupted;

/// Output that may be under way from the lab.
const WINDOW: u32 = 1024 * 1024;
/// The largest piece of standard input.
const PIECE: usize = 32 * 1024;
/// Signal 2: Ctrl-C.
const SIGINT: u8 = 2;

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Error {
        Error::failed(error)
    }
}

/// The running lab that is meant.
pub(crate) fn find(on: Option<&str>) -> Result<RuntimeInfo, Error> {
    find_else(on, "start one with `netarium up`")
}

/// The same for a command that can also do with a fresh lab.
pub(crate) fn find_or_fresh(on: Option<&str>) -> Result<RuntimeInfo, Error> {
    find_else(on, "start one with `netarium up`, or use `--lab LAB` for a fresh one")
}

/// `start` is what can be done when no lab runs.
fn find_else(on: Option<&str>, start: &str) -> Result<RuntimeInfo, Error> {
    let mut labs = running_labs(&runtime_dir()).map_err(Error::failed)?;
    let names = labs.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", ");
    match on {
        _ if labs.is_empty() => {
            Err(Error::Failed("no lab is running".to_owned(), Some(start.to_owned())))
        }
        Some(name) => labs.into_iter().find(|l| l.name == name).ok_or_else(|| {
            let hint = format!("running: {names}");
            Error::Failed(format!("no lab named `{name}` is running"), Some(hint))
        }),
        None if labs.len() == 1 => Ok(labs.remove(0)),
        None => {
            let hint = format!("choose one with --on NAME: {names}");
            Err(Error::Failed("several labs are running".to_owned(), Some(hint)))
        }
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::failed)
}

/// `netarium exec`: runs a program on a host of a running lab.
pub(crate) fn exec(args: Exec, terminal: &Terminal) -> Result<i32, Error> {
    let client = Client::new(find_or_fresh(args.on.as_deref())?);
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let start = Start { host: args.host, argv: args.argv, stdin: true, credit: WINDOW };
        let ran = async { converse(client.exec(&start).await?, terminal).await };
        let code = match ran.await {
            Ok(code) => code,
            Err(e) => return Err(why_not(&client, &start.host, e).await),
        };
        hint_at_shell(code, &start.host, &start.argv, terminal);
        Ok(code)
    });
    // A read of the standard input may never end.
    runtime.shutdown_background();
    result
}

/// That there is no such host can be told with those that there are.
pub(crate) async fn why_not(client: &Client, host: &str, error: Error) -> Error {
    match client.call::<LabView>(Method::GET, "/api/v1/lab", None::<&()>).await {
        Ok(lab) if lab.hosts.iter().all(|h| h.name != host) => {
            unknown_host(&lab.running_as, host, lab.hosts.iter().map(|h| h.name.as_str()))
        }
        _ => error,
    }
}

async fn converse(mut session: Session, terminal: &Terminal) -> Result<i32, Error> {
    let mut stdin = Some(tokio::io::stdin());
    let mut credit = 0usize;
    let mut piece = vec![0; PIECE];
    loop {
        let wanted = credit.min(PIECE);
        tokio::select! {
            biased;
            event = session.next() => match event? {
                SessionEvent::Credit(n) => credit += n as usize,
                SessionEvent::Stdout(data) => {
                    if std::io::stdout().write_all(&data).and_then(|()| std::io::stdout().flush()).is_err() {
                        // Whoever read our output has gone; so has the reason to go on.
                        return Ok(exit::FAILURE);
                    }
                    session.say(&FromClient::Credit(data.len() as u32)).await?;
                }
                SessionEvent::Stderr(data) => {
                    let _ = std::io::stderr().write_all(&data);
                    session.say(&FromClient::Credit(data.len() as u32)).await?;
                }
                SessionEvent::Exit { code, message } => {
                    if let Some(message) = message {
                        terminal.error(message);
                    }
                    return Ok(code);
                }
            },
            () = interrupted() => session.say(&FromClient::Signal(SIGINT)).await?,
            read = read_some(&mut stdin, &mut piece[..wanted]), if wanted > 0 && stdin.is_some() => {
                match read {
                    Ok(n) if n > 0 => {
                        credit -= n;
                        session.input(&piece[..n]).await?;
                    }
                    _ => {
                        stdin = None;
                        session.say(&FromClient::Eof(true)).await?;
                    }
                }
            }
        }
    }
}

async fn read_some(
    stdin: &mut Option<tokio::io::Stdin>,
    piece: &mut [u8],
) -> std::io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.read(piece).await,
        None => Ok(0),
    }
}

/// `netarium capture`: frames of a running lab, until Ctrl-C or until the reader has gone.
pub(crate) fn capture(args: &Capture, terminal: &Terminal) -> Result<i32, Error> {
    let to_stdout = args.write == Path::new("-");
    if to_stdout && std::io::stdout().is_terminal() {
        return Err(Error::Usage(
            "a capture is binary and does not belong on a terminal".to_owned(),
            Some("write it to a file with -w FILE, or pipe it: -w - | tshark -r -".to_owned()),
        ));
    }
    let client = Client::new(find(args.on.as_deref())?);
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(std::io::stdout())
    } else {
        Box::new(std::fs::File::create(&args.write).map_err(|e| {
            Error::Failed(format!("cannot write {}: {e}", args.write.display()), None)
        })?)
    };
    let written = runtime()?.block_on(copy(&client, &capture_path(args), &mut *out, terminal))?;
    terminal.say(format_args!("{} captured", bytes(written)));
    Ok(exit::OK)
}

fn capture_path(args: &Capture) -> String {
    let ends = match args.ends {
        Ends::Sender => "sender",
        Ends::Receiver => "receiver",
        Ends::Both => "both",
    };
    let links = args.links.iter().map(|link| format!("&link={}", escape(link)));
    format!("/api/v1/capture?ends={ends}{}", links.collect::<String>())
}

/// Percent-encodes what is not a plain character of a query.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

async fn copy(
    client: &Client,
    path: &str,
    out: &mut dyn Write,
    terminal: &Terminal,
) -> Result<u64, Error> {
    let mut stream = client.stream(path).await?;
    terminal.say("capturing; Ctrl-C ends it");
    let mut written = 0;
    let mut blocks = WholeBlocks::default();
    loop {
        let piece = tokio::select! {
            biased;
            () = interrupted() => break,
            piece = stream.next() => match piece {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                // The lab went away in the middle; what is written is whole blocks.
                Err(e) => {
                    terminal.error(e);
                    break;
                }
            },
        };
        let whole = blocks.push(&piece)?;
        match out.write_all(&whole).and_then(|()| out.flush()) {
            Ok(()) => written += whole.len() as u64,
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => break,
            Err(e) => return Err(Error::failed(format_args!("cannot write the capture: {e}"))),
        }
    }
    Ok(written)
}
