//! One URL of the command line: what is sent, where the answer goes, again when it fails.

use netarium_base::Duration;
use netarium_world::process::{Process, StdStream};

use super::HINT;
use super::exchange::Failure;
use super::form;
use super::glob::fill;
use super::meter::{Kind, Meter};
use super::netrc;
use super::options::{Files, Global, Netrc, Options, Output};
use super::output::{FILE_LIMIT, Place, Sink, disposition};
use super::request::{Body, Verb};
use super::session::{Job, Session};
use super::terminal::{Terminal, Words};
use super::url::Url;
use super::write_out::Report;
use crate::calendar;
use crate::cookies;

/// A file of ours cannot be read.
const UNREAD: &str = "Failed to open/read local data from file/application";
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// One URL, and what belongs to it.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) o: &'a Options,
    pub(super) g: &'a Global,
    pub(super) url: String,
    /// Its number in the command line, from 0.
    pub(super) number: u64,
    pub(super) output: Option<Output>,
    pub(super) upload: Option<String>,
    /// What stood for the patterns of the URL.
    pub(super) values: Vec<String>,
}

/// Where the body of a URL goes.
#[derive(Debug)]
enum Target {
    Stdout,
    Null,
    File { name: String, before: Vec<u8> },
}

impl Task<'_> {
    /// Fetches the URL, as often as it takes. Gives the exit code.
    pub(super) async fn run(
        &self,
        session: &mut Session,
        files: &dyn Files,
        words: Words,
        terminal: &mut Terminal,
    ) -> i32 {
        let process = session.process;
        let url =
            if self.o.path_as_is { Url::parse_as_is(&self.url) } else { Url::parse(&self.url) };
        let mut report = Report::new(&self.url, self.number, process.now());
        report.referer = self.o.referer.clone().filter(|r| !r.is_empty());
        let prepared = self.prepare(session, files, url, terminal, &mut report).await;
        let (job, mut target) = match prepared {
            Ok(both) => both,
            Err(failure) => return self.end(&process, Err(failure), report, terminal).await,
        };
        let kind = self.meter_kind(&target);
        let meter = Meter::new(kind, words);
        let start = process.now();
        let (mut left, mut pause) = (self.o.retry, self.o.retry_delay.unwrap_or(SECOND));
        loop {
            let result = self.once(session, &job, &mut target, terminal, &mut report, &meter).await;
            let in_time = self.o.retry_max_time.is_none_or(|m| process.now().since(start) < m);
            let why = self.retryable(&result, &report).filter(|_| left > 0 && in_time);
            let Some(why) = why else {
                return self.end(&process, result.map(|_| ()), report, terminal).await;
            };
            self.complain(&result.as_ref().map(|_| ()), terminal).await;
            let seconds = pause.as_millis() / 1000;
            let text =
                format!("Problem {why}. Will retry in {seconds} seconds. {left} retries left.");
            terminal.warn(&text).await;
            if let (Target::File { .. }, Ok(bytes) | Err(Failed { bytes, .. })) = (&target, &result)
                && *bytes > 0
                && !self.g.silent
            {
                terminal.say(&format!("Throwing away {bytes} bytes")).await;
            }
            let after = if why == ": HTTP error" { retry_after(&process, &report) } else { None };
            process.sleep(after.map_or(pause, |a| a.max(pause))).await;
            left -= 1;
            if self.o.retry_delay.is_none() {
                pause = (pause + pause).min(PAUSE_MAX);
            }
            let (file, referer) = (report.file.clone(), report.referer.clone());
            report = Report::new(&self.url, self.number, process.now());
            (report.file, report.referer) = (file, referer);
        }
    }

    fn meter_kind(&self, target: &Target) -> Kind {
        let quiet = self.g.silent || self.g.no_progress || matches!(target, Target::Stdout);
        match (quiet, self.g.progress_bar) {
            (true, _) => Kind::Off,
            (false, true) => Kind::Bar,
            (false, false) => Kind::Table,
        }
    }

    /// Reads the URL and what is to be sent; finds out where the answer goes.
    async fn prepare(
        &self,
        session: &mut Session,
        files: &dyn Files,
        url: Result<Url, super::url::BadUrl>,
        terminal: &mut Terminal,
        report: &mut Report,
    ) -> Result<(Job, Target), Failure> {
        let o = self.o;
        let file = self.file_name(url.as_ref().ok())?;
        let Ok(mut url) = url else {
            terminal.info("Closing connection -1").await;
            return Err(Failure::new(3, "URL using bad/illegal format or missing URL"));
        };
        let target = self.target(&session.process, file, report)?;
        if let Some(path) = self.upload.as_ref().filter(|p| files.read(p).is_none()) {
            // Said whatever `-s` wants.
            terminal.say(&format!("curl: Can't open '{path}'!")).await;
            terminal.say(HINT).await;
            return Err(Failure::new(26, UNREAD));
        }
        let etag = match &o.etag_compare {
            None => None,
            Some(path) => {
                let Some(bytes) = files.read(path) else {
                    if !self.g.silent {
                        terminal.error(&format!("Failed to open {path}")).await;
                    }
                    return Err(Failure::new(26, String::new()));
                };
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                Some(if text.is_empty() { "\"\"".to_owned() } else { text })
            }
        };
        let mut resume = match (o.resume, &target) {
            (Some(Some(n)), _) => n,
            (Some(None), Target::File { before, .. }) => before.len() as u64,
            _ => 0,
        };
        let (verb, body) = self.body(&session.process, files, &mut url, &mut resume)?;
        if verb == Verb::Get && resume > 0 && self.meter_kind(&target) == Kind::Table {
            terminal.say(&format!("** Resuming transfer from byte position {resume}")).await;
        }
        for piece in &o.query {
            url.add_query(piece);
        }
        let user = match &o.netrc {
            Netrc::Ignored => None,
            Netrc::Required(path) => self.login(files, path.as_deref(), &url),
            Netrc::Optional => self.login(files, None, &url),
        };
        Ok((Job { url, verb, body, resume, etag, user }, target))
    }

    fn login(&self, files: &dyn Files, path: Option<&str>, url: &Url) -> Option<String> {
        let text = match path {
            Some(path) => files.read(path)?,
            None => files.read(".netrc").or_else(|| files.read(concat!("/root", "/.netrc")))?,
        };
        netrc::find(&String::from_utf8_lossy(&text), &url.host)
    }

    /// The method and the body that options ask for.
    fn body(
        &self,
        process: &Process,
        files: &dyn Files,
        url: &mut Url,
        resume: &mut u64,
    ) -> Result<(Verb, Body), Failure> {
        let o = self.o;
        if let Some(path) = &self.upload {
            let bytes = files.read(path).ok_or_else(|| Failure::new(26, UNREAD))?;
            let stdin = path == "-" || path == ".";
            if !stdin {
                url.add_file(path.rsplit('/').next().unwrap_or(path));
            }
            let whole = (!stdin).then_some(bytes.len() as u64);
            let skip = usize::try_from(*resume).unwrap_or(usize::MAX).min(bytes.len());
            return Ok((Verb::Put, Body::Upload { bytes: bytes[skip..].to_vec(), whole }));
        }
        if o.get {
            if let Some(data) = &o.body {
                url.add_query(&String::from_utf8_lossy(data));
            }
            return Ok((if o.head { Verb::Head } else { Verb::Get }, Body::None));
        }
        if !o.form.is_empty() {
            let mut chance = process.rng(&format!("curl boundary {}", self.number));
            let made = form::body(&o.form, &mut chance);
            let (boundary, bytes) = made.ok_or_else(|| Failure::new(26, UNREAD))?;
            return Ok((Verb::Post, Body::Form { boundary, bytes }));
        }
        Ok(match &o.body {
            Some(data) => (Verb::Post, Body::Data(data.clone())),
            None if o.head => (Verb::Head, Body::None),
            None => (Verb::Get, Body::None),
        })
    }

    /// The file's name with its folder; `None` is standard output.
    fn file_name(&self, url: Option<&Url>) -> Result<Option<String>, Failure> {
        let remote = || url.map_or("", Url::file_name).to_owned();
        let name = match &self.output {
            None if self.o.remote_name_all => remote(),
            None => return Ok(None),
            Some(Output::File(name)) if name == "-" => return Ok(None),
            Some(Output::File(name)) => fill(name, &self.values),
            Some(Output::RemoteName) => remote(),
        };
        if name.is_empty() {
            return Err(Failure::new(23, "Remote file name has no length!"));
        }
        Ok(Some(match &self.o.output_dir {
            Some(dir) => format!("{}/{name}", dir.trim_end_matches('/')),
            None => name,
        }))
    }

    fn target(
        &self,
        process: &Process,
        file: Option<String>,
        report: &mut Report,
    ) -> Result<Target, Failure> {
        let Some(mut name) = file else { return Ok(Target::Stdout) };
        if name == "/dev/null" {
            report.file.clone_from(&name);
            return Ok(Target::Null);
        }
        if self.o.no_clobber {
            let free = |n: &String| process.metadata(n).is_err();
            if !free(&name) {
                let numbered = (1..100).map(|n| format!("{name}.{n}")).find(free);
                name = numbered
                    .ok_or_else(|| Failure::new(23, "Failure writing output to destination"))?;
            }
        }
        report.file.clone_from(&name);
        let before = match self.o.resume {
            Some(_) => process.read_file(&name).map(|b| b.to_vec()).unwrap_or_default(),
            None => Vec::new(),
        };
        Ok(Target::File { name, before })
    }

    /// One try. Gives how many bytes of the body went out.
    async fn once(
        &self,
        session: &mut Session,
        job: &Job,
        target: &mut Target,
        terminal: &mut Terminal,
        report: &mut Report,
        meter: &Meter,
    ) -> Result<u64, Failed> {
        let process = session.process;
        let mut out: StdStream = process.stdout();
        let place = match &*target {
            Target::Stdout => Place::Stream(&mut out),
            Target::Null => Place::Null,
            Target::File { before, .. } => {
                Place::File { contents: before.clone(), limit: FILE_LIMIT }
            }
        };
        let mut sink = Sink::new(place);
        sink.include = self.o.include || job.verb == Verb::Head;
        match self.o.dump_header.as_deref() {
            Some("-") => sink.dump_shown = Some(Box::new(process.stdout())),
            Some(_) => sink.dump = Some(Vec::new()),
            None => {}
        }
        let mut result = session.fetch(self.o, job, &mut sink, terminal, report, meter).await;
        if let (Some(path), Some(dump)) = (&self.o.dump_header, sink.dump.take()) {
            let saved = self.save(&process, path, dump, terminal).await;
            result = result.and(saved);
        }
        self.keep(session, report);
        let mut bytes = report.received;
        if let Place::File { contents, .. } = sink.place
            && let Target::File { name, before } = target
        {
            bytes = (contents.len() - before.len().min(contents.len())) as u64;
            let failed = self.failed_with_body(report);
            if (result.is_ok() || bytes > 0)
                && !(self.o.remove_on_error && (result.is_err() || failed))
            {
                let given = self.given_name(&process, name, report, terminal).await;
                let saved = match given {
                    Ok(()) => self.save(&process, name, contents, terminal).await,
                    Err(failure) => Err(failure),
                };
                result = result.and(saved);
            }
        }
        if result.is_ok() && self.failed_with_body(report) {
            let text = format!("The requested URL returned error: {}", report.status);
            result = Err(Failure::new(22, text));
        }
        result.map(|()| bytes).map_err(|failure| Failed { failure, bytes })
    }

    fn failed_with_body(&self, report: &Report) -> bool {
        self.o.fail_with_body && report.status >= 400
    }

    /// `-J`: the name that the server gives; an existing file is not overwritten.
    async fn given_name(
        &self,
        process: &Process,
        name: &mut String,
        report: &mut Report,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        if !self.o.content_disposition || self.output != Some(Output::RemoteName) {
            return Ok(());
        }
        let mut fields = report.fields.iter();
        let field = fields.find(|f| f.0.eq_ignore_ascii_case("content-disposition"));
        if let Some(given) = field.and_then(|f| disposition(&f.1)) {
            *name = match &self.o.output_dir {
                Some(dir) => format!("{}/{given}", dir.trim_end_matches('/')),
                None => given,
            };
            report.file.clone_from(name);
            if process.metadata(name).is_ok() {
                terminal.warn(&format!("Refusing to overwrite {name}: File exists")).await;
                return Err(Failure::new(23, "Failure writing output to destination"));
            }
        }
        Ok(())
    }

    /// Writes a file; its folder must be there, unless `--create-dirs`.
    async fn save(
        &self,
        process: &Process,
        name: &str,
        contents: Vec<u8>,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let why = match name.rsplit_once('/') {
            Some((folder, _))
                if !self.o.create_dirs && !process.metadata(folder).is_ok_and(|m| m.is_dir) =>
            {
                "No such file or directory".to_owned()
            }
            _ => match process.write_file(name, contents) {
                Ok(()) => return Ok(()),
                Err(e) => e.to_string(),
            },
        };
        terminal.warn(&format!("Failed to open the file {name}: {why}")).await;
        Err(Failure::new(23, "Failure writing output to destination"))
    }

    /// Saves the cookie jar and the entity tag.
    fn keep(&self, session: &Session, report: &Report) {
        let process = session.process;
        if let (Some(path), Some(jar)) = (&self.o.cookie_jar, &session.jar)
            && path != "-"
        {
            // A jar that cannot be written is not an error, as in curl.
            let _ = process.write_file(path, cookies::write(jar, session.unix()).into_bytes());
        }
        if let Some(path) = &self.o.etag_save {
            let tag = report.fields.iter().find(|f| f.0.eq_ignore_ascii_case("etag"));
            let text = tag.map(|t| format!("{}\n", t.1)).unwrap_or_default();
            let _ = process.write_file(path, text.into_bytes());
        }
    }

    /// Why another try may help.
    fn retryable(&self, result: &Result<u64, Failed>, report: &Report) -> Option<&'static str> {
        let code = result.as_ref().err().map_or(0, |f| f.failure.code);
        let refused = result.as_ref().err().is_some_and(|f| f.failure.refused);
        let transient = matches!(report.status, 408 | 429 | 500 | 502 | 503 | 504);
        match code {
            28 | 6 | 5 => Some(": timeout"),
            7 if self.o.retry_refused && refused => Some(": connection refused"),
            0 | 22 if transient => Some(": HTTP error"),
            0 => None,
            _ => self.o.retry_all.then_some("(retrying all errors)"),
        }
    }

    async fn complain(&self, result: &Result<(), &Failed>, terminal: &mut Terminal) {
        if let Err(failed) = result {
            self.tell(&failed.failure, terminal).await;
        }
    }

    async fn tell(&self, failure: &Failure, terminal: &mut Terminal) {
        if !failure.message.is_empty() && (!self.g.silent || self.g.show_error) {
            let (code, message) = (failure.code, &failure.message);
            terminal.say(&format!("curl: ({code}) {message}")).await;
        }
    }

    /// The last words about a URL.
    async fn end<E: Into<Failure>>(
        &self,
        process: &Process,
        result: Result<(), E>,
        mut report: Report,
        terminal: &mut Terminal,
    ) -> i32 {
        let failure = result.err().map(Into::into);
        if let Some(failure) = &failure {
            self.tell(failure, terminal).await;
            report.error = Some(failure.message.clone());
        }
        report.code = failure.map_or(0, |f| f.code);
        report.ended = process.now();
        if let Some(format) = &self.o.write_out {
            let written = report.expand(format);
            for name in written.unknown {
                terminal.say(&format!("curl: unknown --write-out variable: '{name}'")).await;
            }
            process.print(&written.out).await;
            if !written.err.is_empty() {
                process.eprint(&written.err).await;
            }
        }
        report.code
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// A try that failed, and how much of the body went out before.
#[derive(Debug)]
struct Failed {
    failure: Failure,
    bytes: u64,
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        failed.failure
    }
}

/// The `Retry-After` field: seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(process: &Process, report: &Report) -> Option<Duration> {
    let field = report.fields.iter().find(|f| f.0.eq_ignore_ascii_case("retry-after"))?;
    let now = process.unix_time() / 1_000_000_000;
    let seconds = match field.1.parse::<u64>() {
        Ok(n) => n,
        Err(_) => calendar::parse_http(&field.1)?.saturating_sub(now),
    };
    // Six hours, as later versions limit it.
    Some(Duration::from_secs(seconds.min(6 * 3600)))
}
