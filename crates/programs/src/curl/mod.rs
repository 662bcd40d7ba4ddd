//! `curl`: fetches URLs, in the words of curl 7.88.
//!
//! In reading order: `options` (the command line), `glob` and [`url`], `transfer` (one URL: what is
//! sent, where the answer goes, retries), `session` (redirects, credentials, cookies), `connect` and
//! `proxy`, `request`, `exchange`, `input` and `response` (HTTP on the wire), `form` (`-F`),
//! `output` and `terminal` (where data and words go), `meter`, `watch` and `progress`, `write_out` (`-w`).
//!
//! Standard output counts as a terminal: the progress meter is drawn when the body goes to a file.

mod connect;
mod exchange;
mod form;
mod glob;
mod help;
mod input;
mod meter;
mod netrc;
mod options;
mod output;
mod progress;
mod proxy;
mod request;
mod response;
mod session;
mod terminal;
mod transfer;
pub mod url;
mod watch;
mod write_out;

use std::cell::RefCell;
use std::rc::Rc;

use netarium_world::process::{LocalBoxFuture, Process};

use crate::cookies::{self, Jar};
use glob::Glob;
use options::{Files, Global, Line, Note, Options, Show, Usage};
use session::Session;
use terminal::{Talk, Terminal, Words, wrap};
use transfer::Task;

/// What follows a command line that is wrong.
const HINT: &str = "curl: try 'curl --help' or 'curl --manual' for more information";

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let args = args.get(1..).unwrap_or_default();
    let files = HostFiles { process, stdin: stdin(&process, args).await };
    let line = match options::parse(args, &files) {
        Ok(line) => line,
        Err(usage) => return refuse(&process, usage).await,
    };
    match line.global.show {
        Some(Show::Help) => {
            let mut words = line.operations.iter().flat_map(|o| &o.urls);
            process.print(&help::page(words.next().map(String::as_str))).await;
            0
        }
        Some(Show::Manual) => {
            process.print(&help::manual()).await;
            0
        }
        Some(Show::Version) => {
            let version = request::VERSION;
            let text = format!(
                "curl {version} (netarium) libcurl/{version} netarium\nProtocols: http\nFeatures: libz\n"
            );
            process.print(&text).await;
            0
        }
        None => fetch_all(&process, &files, &line).await,
    }
}

async fn refuse(process: &Process, usage: Usage) -> i32 {
    let mut text = String::new();
    for note in &usage.notes {
        match note {
            _ if usage.muted => {}
            Note::Warning(w) => text.push_str(&wrap("Warning: ", w)),
            Note::Open(w) => text.push_str(&format!("Warning: {w}")),
            Note::Error(e) => text.push_str(&wrap("curl: ", e)),
        }
    }
    if !usage.text.is_empty() {
        text.push_str(&format!("curl: {}\n", usage.text));
    }
    if usage.hint {
        text.push_str(&format!("{HINT}\n"));
    }
    process.eprint(&text).await;
    usage.code
}

/// The host's files, and standard input when an option names it.
struct HostFiles {
    process: Process,
    stdin: Option<Vec<u8>>,
}

impl Files for HostFiles {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        if path == "-" || path == "." {
            return self.stdin.clone();
        }
        self.process.read_file(path).ok().map(|bytes| bytes.to_vec())
    }

    fn modified(&self, path: &str) -> Option<u64> {
        let known = self.process.metadata(path).ok()?;
        let start = self.process.unix_time() - self.process.now().as_nanos();
        Some((start + known.modified.as_nanos()) / 1_000_000_000)
    }
}

/// Standard input, up to a file's size, when a word asks for it: `-d @-`, `-T -`, `-K -`…
async fn stdin(process: &Process, args: &[String]) -> Option<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    let from_dash = |o: &str| matches!(o, "-T" | "--upload-file" | "-K" | "--config");
    let asks = |(at, word): (usize, &String)| {
        let before = at.checked_sub(1).map_or("", |b| args[b].as_str());
        word.ends_with("@-")
            || word.ends_with("=<-")
            || (matches!(word.as_str(), "-" | ".") && from_dash(before))
            || matches!(word.as_str(), "-T-" | "-T." | "-K-")
    };
    if !args.iter().enumerate().any(asks) {
        return None;
    }
    let mut bytes = Vec::new();
    let limit = netarium_world::files::FILE_MAX as u64;
    process.stdin().take(limit).read_to_end(&mut bytes).await.ok()?;
    Some(bytes)
}

/// Fetches every URL in turn. The exit code is the last one's, as in curl.
async fn fetch_all(process: &Process, files: &HostFiles, line: &Line) -> i32 {
    let g = &line.global;
    let err_file = g.stderr.as_ref().filter(|p| *p != "-").map(|_| Rc::default());
    let trace_file: Rc<RefCell<Vec<u8>>> = Rc::default();
    let words = || Words::new(process, err_file.as_ref());
    let talk = match &g.trace {
        Some((kind, path)) if path == "%" => Talk::Trace(*kind, None),
        Some((kind, path)) if path == "-" => {
            Talk::Trace(*kind, Some(Words::Stream(process.stdout())))
        }
        Some((kind, _)) => Talk::Trace(*kind, Some(Words::File(Rc::clone(&trace_file)))),
        None if g.verbose => Talk::Verbose,
        None => Talk::Quiet,
    };
    let mut terminal = Terminal::new(words(), talk, g.silent);
    for note in &g.warnings {
        match note {
            Note::Warning(text) => terminal.warn(text).await,
            Note::Open(text) if !g.silent => terminal.tell(&format!("Warning: {text}")).await,
            Note::Open(_) => {}
            Note::Error(text) if !g.silent => terminal.error(text).await,
            Note::Error(_) => {}
        }
    }
    let mut session = Session::new(*process);
    let (mut code, mut number) = (0, 0);
    for o in &line.operations {
        code = operation(o, g, files, &mut session, &mut number, &words, &mut terminal).await;
        if code != 0 && g.fail_early {
            break;
        }
    }
    if let Some(jar) = &session.jar
        && line.operations.iter().any(|o| o.cookie_jar.as_deref() == Some("-"))
    {
        process.print(&cookies::write(jar, session.unix())).await;
    }
    if let (Some(path), Some(contents)) = (&g.stderr, err_file) {
        let _ = process.write_file(path, contents.take());
    }
    if let Some((_, path)) = g.trace.as_ref().filter(|t| t.1 != "-" && t.1 != "%") {
        let _ = process.write_file(path, trace_file.take());
    }
    code
}

/// The URLs of one part of the command line.
async fn operation(
    o: &Options,
    g: &Global,
    files: &HostFiles,
    session: &mut Session,
    number: &mut u64,
    words: &dyn Fn() -> Words,
    terminal: &mut Terminal,
) -> i32 {
    if let Some(text) = two_methods(o) {
        terminal.warn(&text).await;
        return 2;
    }
    if o.outputs.len() > o.urls.len() && !o.urls.iter().any(|u| u.contains(['{', '['])) {
        terminal.warn("Got more output options than URLs").await;
    }
    start_cookies(o, session, files);
    if let Err(failure) = session.pool.announce(o, terminal).await {
        if !g.silent || g.show_error {
            terminal.say(&format!("curl: ({}) {}", failure.code, failure.message)).await;
        }
        return failure.code;
    }
    let glob = |text: &str| {
        if o.globoff { Ok(Glob::literal(text)) } else { Glob::parse(text) }
    };
    let mut code = 0;
    for (at, text) in o.urls.iter().enumerate() {
        let upload = o.uploads.get(at);
        let globs = glob(text).and_then(|url| Ok((url, upload.map(|u| glob(u)).transpose()?)));
        let (urls, uploads) = match globs {
            Ok(globs) => globs,
            Err(wrong) => {
                if !g.silent || g.show_error {
                    terminal.say(&format!("curl: (3) {wrong}")).await;
                }
                return 3;
            }
        };
        for up in 0..uploads.as_ref().map_or(1, Glob::count) {
            for n in 0..urls.count() {
                let (url, values) = urls.nth(n);
                let task = Task {
                    o,
                    g,
                    url,
                    number: *number,
                    output: o.outputs.get(at).cloned(),
                    upload: uploads.as_ref().map(|u| u.nth(up).0),
                    values,
                };
                code = task.run(session, files, words(), terminal).await;
                *number += 1;
                if code != 0 && g.fail_early {
                    return code;
                }
            }
        }
    }
    code
}

/// What is answered when two options want different methods.
fn two_methods(o: &Options) -> Option<String> {
    const POST: &str = "POST (-d, --data)";
    const FORM: &str = "multipart formpost (-F, --form)";
    const HEAD: &str = "HEAD (-I, --head)";
    let data = o.body.is_some() && !o.get;
    let (new, old) = match (data, !o.form.is_empty(), o.head) {
        (true, true, _) => (POST, FORM),
        (true, _, true) => (POST, HEAD),
        (_, true, true) => (FORM, HEAD),
        _ => return None,
    };
    Some(format!(
        "You can only select one HTTP request method! You asked for both {new} and {old}."
    ))
}

/// Starts keeping cookies, with those of `-b FILE`.
fn start_cookies(o: &Options, session: &mut Session, files: &HostFiles) {
    if !o.keeps_cookies() {
        return;
    }
    let now = session.unix();
    let jar = session.jar.get_or_insert_with(Jar::default);
    for path in o.cookie_files.iter().filter(|p| !p.is_empty()) {
        if let Some(bytes) = files.read(path) {
            cookies::read(jar, &String::from_utf8_lossy(&bytes), now);
        }
    }
    if o.junk_session {
        jar.end_session();
    }
}
