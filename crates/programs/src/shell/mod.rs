//! `sh`: a POSIX shell (POSIX.1-2017, XCU chapter 2) in dash's words, for scripts and for people.
//!
//! In reading order: `ast`, `lexer`, `parser` (from text to commands), `pattern`, `sum`, `words`
//! (expansion), `state`, `jobs`, `run` (execution) with `start` and `control`, `builtins`, and this
//! file: where commands come from.
//!
//! A script runs line by line, as it is read; what stands behind a line on standard input belongs
//! to the programs of that line. Every round of a loop takes a microsecond of virtual time, so that
//! a loop without end does not hold the world up. Nesting, values and words are bounded.
//!
//! At a terminal (`sh -i`) the prompt is marked as terminals know it: OSC 7 says which folder it
//! is, OSC 133 where the prompt begins and ends; a line editor at the other end of the session
//! takes over from there.

mod ast;
mod builtins;
mod control;
mod jobs;
mod lexer;
mod parser;
mod pattern;
mod redirect;
mod run;
mod start;
mod state;
mod sum;
#[cfg(test)]
mod tests;
mod words;

use netarium_world::process::{Fd, LocalBoxFuture, Process, signal};

use parser::ParseError;
use state::{Flow, Shell, Stop};

/// The longest command that is read from a terminal or standard input, bytes.
const COMMAND_MAX: usize = 1 << 20;

/// Begins a prompt, as terminals are told: OSC 133;A.
pub const PROMPT_BEGIN: &str = "\x1b]133;A\x1b\\";
/// Ends a prompt: OSC 133;B.
pub const PROMPT_END: &str = "\x1b]133;B\x1b\\";

const USAGE: &str = "Usage: sh [-eiux] [-c COMMAND [NAME [ARG]...]] [FILE [ARG]...]\n";

/// The names of the shell's own commands, sorted, for completion.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    builtins::names()
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let mut shell = Shell::new(process, "sh", Vec::new());
        let mut rest = args.get(1..).unwrap_or_default();
        let mut command = false;
        while let Some(word) = rest.first().filter(|w| w.len() > 1 && w.starts_with('-')) {
            rest = &rest[1..];
            if word == "--" {
                break;
            }
            for c in word[1..].chars() {
                match c {
                    'c' => command = true,
                    'i' => shell.options.interactive = true,
                    'e' => shell.options.errexit = true,
                    'u' => shell.options.nounset = true,
                    'x' => shell.options.xtrace = true,
                    's' | 'l' => {}
                    c => {
                        process.eprint(&format!("sh: 0: Illegal option -{c}\n{USAGE}")).await;
                        return 2;
                    }
                }
            }
        }
        let flow = if command {
            let Some(text) = rest.first() else {
                process.eprint("sh: 0: -c requires an argument\n").await;
                return 2;
            };
            if let Some(name) = rest.get(1) {
                shell.name.clone_from(name);
            }
            shell.parameters = rest.get(2..).unwrap_or_default().to_vec();
            shell.text(text).await
        } else if let Some(file) = rest.first() {
            shell.parameters = rest[1..].to_vec();
            let contents = match process.read_file(file) {
                Ok(contents) => contents,
                Err(_) => {
                    process.eprint(&format!("sh: 0: cannot open {file}: No such file\n")).await;
                    return 2;
                }
            };
            shell.name.clone_from(file);
            shell.text(&String::from_utf8_lossy(&contents)).await
        } else {
            shell.commands_of_input().await
        };
        shell.ended(flow)
    })
}

impl Shell {
    /// Runs a text line by line.
    async fn text(&mut self, text: &str) -> Flow {
        let mut rest = text;
        loop {
            match parser::line(rest) {
                Ok(None) => return Ok(self.status),
                Ok(Some((script, len))) => {
                    self.status = self.script(&script).await?;
                    self.lines += rest[..len].matches('\n').count();
                    rest = &rest[len..];
                }
                Err((e, line)) => {
                    self.line = line;
                    return Err(self.syntax(&e).await);
                }
            }
        }
    }

    async fn syntax(&mut self, e: &ParseError) -> Stop {
        self.fail(&e.text()).await
    }

    /// Reads commands from standard input, with a prompt at a terminal.
    async fn commands_of_input(&mut self) -> Flow {
        if self.options.interactive {
            self.process.make_terminal();
            self.process.set_foreground(self.process.group());
            self.process.ignore(&[
                signal::INT,
                signal::TERM,
                signal::TSTP,
                signal::TTIN,
                signal::QUIT,
            ]);
        }
        let mut input: Fd = self.process.fd(0);
        let mut pending = String::new();
        let mut warned = false;
        loop {
            self.prompt(&pending).await;
            let mut line = Vec::new();
            let read = input.read_line(&mut line);
            let read = match self.options.interactive {
                true => jobs::unless(read, self.process.catch(&[signal::INT])).await,
                false => Some(read.await),
            };
            let Some(read) = read else {
                // Ctrl-C: what was typed so far is forgotten.
                pending.clear();
                self.status = 128 + i32::from(signal::INT);
                continue;
            };
            let n = read.unwrap_or(0);
            self.process.take_signal(&[signal::INT]);
            pending += &String::from_utf8_lossy(&line);
            if n > 0 && pending.ends_with("\\\n") {
                continue;
            }
            let end = n == 0;
            match self.step(&pending, end).await {
                Ok(true) => pending.clear(),
                Ok(false) if end => {}
                Ok(false) => continue,
                Err(Stop::Interrupt) => pending.clear(),
                Err(Stop::Break(_) | Stop::Continue(_) | Stop::Return(_)) => pending.clear(),
                Err(stop @ Stop::Exit(_)) => {
                    if self.may_leave(&mut warned).await {
                        return Err(stop);
                    }
                    pending.clear();
                }
            }
            if end && self.may_leave(&mut warned).await {
                return Ok(self.status);
            }
        }
    }

    /// Runs what was read, when it is complete. False: more must be read.
    async fn step(&mut self, text: &str, end: bool) -> Result<bool, Stop> {
        if text.len() > COMMAND_MAX {
            return Err(self.fail("Out of space").await);
        }
        let mut rest = text;
        loop {
            match parser::line(rest) {
                Ok(None) => return Ok(true),
                Err((e, _)) if e.is_open() && !end => return Ok(false),
                Err((e, line)) => {
                    self.line = line;
                    return Err(self.syntax(&e).await);
                }
                Ok(Some((script, len))) => {
                    if self.options.interactive {
                        self.remember(&rest[..len]);
                    }
                    self.status = self.script(&script).await?;
                    self.lines += rest[..len].matches('\n').count();
                    rest = &rest[len..];
                }
            }
        }
    }

    async fn prompt(&mut self, pending: &str) {
        if !self.options.interactive {
            return;
        }
        let news = self.jobs.news();
        let (host, cwd) = (self.process.host_name(), self.process.cwd());
        let prompt = match pending {
            "" => format!("root@{host}:{cwd}# "),
            _ => "> ".to_owned(),
        };
        let place = format!("\x1b]7;file://{host}{cwd}\x1b\\");
        let text = format!("{news}{place}{PROMPT_BEGIN}{prompt}{PROMPT_END}");
        self.process.eprint(&text).await;
    }

    /// Whether the shell may end: with stopped jobs only when asked twice.
    async fn may_leave(&mut self, warned: &mut bool) -> bool {
        let stopped = self.jobs.0.iter().any(|j| j.state() == jobs::JobState::Stopped);
        if !self.options.interactive || !stopped || *warned {
            return true;
        }
        *warned = true;
        self.process.eprint("You have stopped jobs.\n").await;
        false
    }
}
