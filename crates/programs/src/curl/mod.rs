//! `curl`: fetches URLs, in the words of curl 7.88.
//!
//! In reading order: `options` (the command line), [`url`], `session` (resolving, connecting,
//! redirects), `request`, `exchange` and `response` (HTTP on the wire), `terminal` (where words and
//! data go), `write_out` (`-w`).
//!
//! There is no progress meter: in a lab it would only get into the way of what is to be seen.

mod exchange;
mod options;
mod request;
mod response;
mod session;
mod terminal;
pub mod url;
mod write_out;

use netarium_world::process::{LocalBoxFuture, Process};

use exchange::Failure;
use options::{BOTH_METHODS, Options, Output, Show};
use session::Session;
use terminal::{Sink, Terminal};
use url::Url;
use write_out::Report;

const HELP: &str = "\
Usage: curl [options...] <url>
 -d, --data <data>          HTTP POST data
 -f, --fail                 Fail fast with no output on HTTP errors
 -h, --help                 Get help for commands
 -i, --include              Include protocol response headers in the output
 -o, --output <file>        Write to file instead of stdout
 -O, --remote-name          Write output to a file named as the remote file
 -s, --silent               Silent mode
 -u, --user <user:password> Server user and password
 -A, --user-agent <name>    Send User-Agent <name> to server
 -v, --verbose              Make the operation more talkative
 -V, --version              Show version number and quit

 -b, --cookie <data>        Send cookies from string
 -e, --referer <URL>        Referrer URL
 -G, --get                  Put the post data in the URL and use GET
 -H, --header <header>      Pass custom header(s) to server
 -I, --head                 Show document info only
 -L, --location             Follow redirects
 -m, --max-time <seconds>   Maximum time allowed for transfer
 -S, --show-error           Show error even when -s is used
 -w, --write-out <format>   Use output FORMAT after completion
 -X, --request <method>     Specify request method to use
     --connect-timeout <seconds>  Maximum time allowed for connection
     --data-binary, --data-raw, --json <data>  Other kinds of HTTP POST data
     --fail-with-body       Fail on HTTP errors but save the body
     --max-redirs <num>     Maximum number of redirects allowed
     --resolve <host:port:addr>  Resolve the host+port to this address
 -0, --http1.0              Use HTTP 1.0
";

/// The largest file that `-o` writes; more fails with exit code 23.
const FILE_LIMIT: usize = netarium_world::files::FILE_MAX;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let options = match Options::parse(args.get(1..).unwrap_or_default()) {
        Ok(options) => options,
        Err(usage) if usage.0 == BOTH_METHODS => {
            process.eprint(&format!("{BOTH_METHODS}\n")).await;
            return 2;
        }
        Err(usage) => {
            let first =
                if usage.0.is_empty() { String::new() } else { format!("curl: {}\n", usage.0) };
            let text =
                format!("{first}curl: try 'curl --help' or 'curl --manual' for more information\n");
            process.eprint(&text).await;
            return 2;
        }
    };
    match options.show {
        Some(Show::Help) => {
            process.print(HELP).await;
            0
        }
        Some(Show::Version) => {
            let text = format!("curl {} (netarium)\nProtocols: http\n", request::VERSION);
            process.print(&text).await;
            0
        }
        None => fetch_all(&process, &options).await,
    }
}

/// Fetches every URL in turn. The exit code is the last one's, as in curl.
async fn fetch_all(process: &Process, options: &Options) -> i32 {
    let mut err = process.stderr();
    let mut terminal = Terminal::new(&mut err, options.verbose);
    let body = body(process, options, &mut terminal).await;
    let mut session = Session::new(process, options, body);
    session.announce(&mut terminal).await;
    let mut code = 0;
    for (at, text) in options.urls.iter().enumerate() {
        code = fetch(process, options, &mut session, &mut terminal, at, text).await;
    }
    code
}

async fn fetch(
    process: &Process,
    options: &Options,
    session: &mut Session<'_>,
    terminal: &mut Terminal<'_>,
    at: usize,
    text: &str,
) -> i32 {
    let mut report = Report::new(text, at, process.now());
    let url = session.query(text);
    let mut out = process.stdout();
    let mut result = match place(options, at, url.as_ref().ok(), &mut out) {
        Ok((mut sink, file)) => {
            report.file = file.clone().unwrap_or_default();
            let mut result = match url {
                Ok(url) => session.fetch(url, &mut sink, terminal, &mut report).await,
                Err(_) => {
                    terminal.info("Closing connection -1").await;
                    Err(Failure::new(3, "URL using bad/illegal format or missing URL"))
                }
            };
            let save = result.is_ok() || report.received > 0;
            if let (Sink::File { contents, .. }, Some(file), true) = (sink, file, save)
                && let Err(e) = process.write_file(&file, contents)
            {
                terminal.say(&format!("Warning: Failed to open the file {file}: {e}")).await;
                result = result.and(Err(Failure::new(23, "Failure writing output to destination")));
            }
            result
        }
        Err(failure) => Err(failure),
    };
    if result.is_ok() && options.fail_with_body && report.status >= 400 {
        let text = format!("The requested URL returned error: {}", report.status);
        result = Err(Failure::new(22, text));
    }
    let code = result.as_ref().err().map_or(0, |f| f.code);
    if let Err(f) = &result {
        report.error.clone_from(&f.message);
        if !options.silent || options.show_error {
            terminal.say(&format!("curl: ({}) {}", f.code, f.message)).await;
        }
    }
    report.code = code;
    report.ended = process.now();
    if let Some(format) = &options.write_out {
        let (text, complaints) = report.expand(format);
        for name in complaints {
            terminal.say(&format!("curl: unknown --write-out variable: '{name}'")).await;
        }
        process.print(&text).await;
    }
    code
}

/// Where the body of the URL goes, and the file's name when it is one.
fn place<'a>(
    options: &Options,
    at: usize,
    url: Option<&Url>,
    out: &'a mut netarium_world::process::StdStream,
) -> Result<(Sink<'a>, Option<String>), Failure> {
    let name = match options.outputs.get(at) {
        None => return Ok((Sink::Stream(out), None)),
        Some(Output::File(name)) if name == "-" => return Ok((Sink::Stream(out), None)),
        Some(Output::File(name)) if name == "/dev/null" => return Ok((Sink::Null, None)),
        Some(Output::File(name)) => name.clone(),
        Some(Output::RemoteName) => url.map_or("", Url::file_name).to_owned(),
    };
    if name.is_empty() {
        return Err(Failure::new(23, "Remote file name has no length!"));
    }
    Ok((Sink::File { contents: Vec::new(), limit: FILE_LIMIT }, Some(name)))
}

/// The request body that `-d` and its kin make; `None` without any.
async fn body(
    process: &Process,
    options: &Options,
    terminal: &mut Terminal<'_>,
) -> Option<Vec<u8>> {
    let mut all: Option<Vec<u8>> = None;
    for piece in &options.data {
        let bytes = match piece {
            options::Data::Text(text) => text.clone().into_bytes(),
            options::Data::File { path, binary } => {
                let mut bytes = match read(process, path).await {
                    Some(bytes) => bytes,
                    None => {
                        let text = "this makes an empty POST.";
                        let text =
                            format!("Warning: Couldn't read data from file \"{path}\", {text}");
                        terminal.say(&text).await;
                        Vec::new()
                    }
                };
                if !binary {
                    bytes.retain(|b| !matches!(b, b'\r' | b'\n' | 0));
                }
                bytes
            }
        };
        match &mut all {
            None => all = Some(bytes),
            Some(so_far) => {
                if !options.json {
                    so_far.push(b'&');
                }
                so_far.extend_from_slice(&bytes);
            }
        }
    }
    all
}

/// A file's contents, or what standard input has to say (`-`), up to a file's size.
async fn read(process: &Process, path: &str) -> Option<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    if path != "-" {
        return process.read_file(path).ok().map(|bytes| bytes.to_vec());
    }
    let mut bytes = Vec::new();
    let limit = FILE_LIMIT as u64;
    process.stdin().take(limit).read_to_end(&mut bytes).await.ok()?;
    Some(bytes)
}
