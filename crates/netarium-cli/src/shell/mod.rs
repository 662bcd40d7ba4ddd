//! `netarium shell HOST`: a shell on a host of a running lab, or of one that runs as long as the
//! shell does.
//!
//! The shell itself (`sh -i`) runs in the lab; here are the terminal and the line editor. Its
//! prompt is marked ([`marks`]): when one comes, the editor ([`editor`]) reads a line and sends it;
//! while a program runs, what is typed goes to it line by line ([`typed`]), Ctrl-C and Ctrl-Z as
//! signals, Ctrl-D as an end of input. Without a terminal it is `exec HOST sh`.

mod editor;
mod marks;
mod stops;
mod typed;

use std::io::{IsTerminal, Write};

use netarium_server::api::session::{FromClient, Start};
use netarium_server::client::{Client, Session, SessionEvent};
use tokio::sync::mpsc;

use crate::args::{Exec, Shell};
use crate::exit::Error;
use crate::terminal::Terminal;
use crate::{exec, remote, up};

use editor::{Asking, Line, Wanted};
use marks::{Marks, Piece};
use stops::{SIGINT, Stops};
use typed::Typed;

/// Output that may be under way from the lab, bytes.
const WINDOW: u32 = 1024 * 1024;

/// Runs a shell to its end; its exit code is ours.
pub(crate) fn shell(args: Shell, terminal: &Terminal) -> Result<i32, Error> {
    if !std::io::stdin().is_terminal() || args.command.is_some() {
        return script(args, terminal);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::failed)?;
    let result = runtime.block_on(async {
        let Some(lab) = &args.lab else {
            let client = Client::new(remote::find_or_fresh(args.on.as_deref())?);
            return interact(client, args.host, terminal).await;
        };
        let lab = up::for_shell(lab, args.seed, *terminal).await?;
        let client = Client::new(lab.info().clone());
        let result = interact(client, args.host, terminal).await;
        lab.stop().await.map_err(Error::failed)?;
        result
    });
    // The editor may still wait for a line.
    runtime.shutdown_background();
    result
}

/// Commands from a pipe, a file or the command line.
fn script(args: Shell, terminal: &Terminal) -> Result<i32, Error> {
    let Shell { lab, on, seed, command, host } = args;
    let mut argv = vec!["sh".to_owned()];
    argv.extend(command.into_iter().flat_map(|text| ["-c".to_owned(), text]));
    let exec = Exec { lab, on, seed, pcap: None, host, argv };
    if exec.lab.is_some() { exec::exec(&exec, terminal) } else { remote::exec(exec, terminal) }
}

async fn interact(client: Client, host: String, terminal: &Terminal) -> Result<i32, Error> {
    match converse(client.clone(), host.clone(), terminal).await {
        Err(error) => Err(remote::why_not(&client, &host, error).await),
        ended => ended,
    }
}

async fn converse(client: Client, host: String, terminal: &Terminal) -> Result<i32, Error> {
    let argv = vec!["sh".to_owned(), "-i".to_owned()];
    let start = Start { host: host.clone(), argv, stdin: true, credit: WINDOW };
    let session = client.exec(&start).await?;
    let asking = editor::start(client, host).map_err(Error::failed)?;
    let (typing, typed) = mpsc::channel(1);
    let mut conversation = Conversation {
        session,
        asking,
        typing,
        typed,
        reader: None,
        marks: Marks::default(),
        folder: "/".to_owned(),
        prompt: None,
        credit: 0,
        waiting: Vec::new(),
    };
    let (code, message) = conversation.run().await?;
    if let Some(message) = message {
        terminal.error(message);
    }
    Ok(code)
}

/// A shell at a terminal.
struct Conversation {
    session: Session,
    asking: Asking,
    typing: mpsc::Sender<Vec<u8>>,
    typed: mpsc::Receiver<Vec<u8>>,
    /// Reads what is typed while a program runs.
    reader: Option<Typed>,
    marks: Marks,
    folder: String,
    /// The prompt behind which a line is being edited.
    prompt: Option<String>,
    /// Bytes of input that the lab can take.
    credit: usize,
    /// Input that waits for credit.
    waiting: Vec<u8>,
}

impl Conversation {
    async fn run(&mut self) -> Result<(i32, Option<String>), Error> {
        let mut stop = Stops::new().map_err(Error::failed)?;
        loop {
            tokio::select! {
                biased;
                event = self.session.next() => match event? {
                    SessionEvent::Credit(n) => {
                        self.credit += n as usize;
                        self.send_waiting().await?;
                    }
                    SessionEvent::Stdout(data) => self.show(&data, true).await?,
                    SessionEvent::Stderr(data) => self.show(&data, false).await?,
                    SessionEvent::Exit { code, message } => return Ok((code, message)),
                },
                line = self.asking.lines.recv(), if self.prompt.is_some() => {
                    self.prompt = None;
                    match line {
                        Some(Line::Text(text)) => {
                            self.input(format!("{text}\n").as_bytes()).await?;
                            self.reader = Some(Typed::start(self.typing.clone()));
                        }
                        Some(Line::Interrupted) => {
                            self.session.say(&FromClient::Signal(SIGINT)).await?;
                        }
                        Some(Line::End) | None => {
                            let _ = writeln!(std::io::stderr(), "exit");
                            self.session.say(&FromClient::Eof(true)).await?;
                        }
                    }
                }
                Some(bytes) = self.typed.recv(), if self.prompt.is_none() => {
                    if bytes.is_empty() {
                        self.session.say(&FromClient::Eof(true)).await?;
                    } else {
                        self.input(&bytes).await?;
                    }
                }
                signal = stop.next(), if self.prompt.is_none() => {
                    self.session.say(&FromClient::Signal(signal)).await?;
                }
            }
        }
    }

    async fn input(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.waiting.extend_from_slice(bytes);
        self.send_waiting().await
    }

    async fn send_waiting(&mut self) -> Result<(), Error> {
        let n = self.waiting.len().min(self.credit);
        if n > 0 {
            let bytes: Vec<u8> = self.waiting.drain(..n).collect();
            self.credit -= n;
            self.session.input(&bytes).await?;
        }
        Ok(())
    }

    /// Shows output; a prompt in it hands the terminal to the editor.
    async fn show(&mut self, data: &[u8], out: bool) -> Result<(), Error> {
        for piece in self.marks.push(data) {
            match piece {
                Piece::Text(text) => self.print(&text, out),
                Piece::Folder(folder) => self.folder = folder,
                Piece::Prompt(prompt) => {
                    // The terminal is the editor's from here: nobody else may read it.
                    self.reader = None;
                    while let Ok(bytes) = self.typed.try_recv() {
                        self.input(&bytes).await?;
                    }
                    let folder = self.folder.clone();
                    self.prompt = Some(prompt.clone());
                    let _ = self.asking.wanted.send(Wanted { prompt, folder });
                }
            }
        }
        self.session.say(&FromClient::Credit(data.len() as u32)).await?;
        Ok(())
    }

    fn print(&mut self, text: &[u8], out: bool) {
        if self.prompt.is_some()
            && let Some(printer) = &mut self.asking.printer
        {
            // What a background job says stands above the line that is being edited.
            let _ = printer.print(String::from_utf8_lossy(text).into_owned());
            return;
        }
        // Nobody can be told that the terminal is gone.
        let _ = if out {
            std::io::stdout().write_all(text).and_then(|()| std::io::stdout().flush())
        } else {
            std::io::stderr().write_all(text)
        };
    }
}
