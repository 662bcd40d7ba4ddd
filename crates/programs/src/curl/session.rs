//! A run of curl: one transfer after the other, each with its redirects, credentials and cookies.

use std::cell::RefCell;
use std::pin::pin;

use netarium_base::{Event, Instant};
use netarium_world::process::{LocalBoxFuture, Process};

use super::connect::{Phase, Pool};
use super::exchange::{Around, Clock, Failure, Outcome, Request, exchange};
use super::meter::Meter;
use super::options::{AuthMode, Options};
use super::output::Sink;
use super::progress::Progress;
use super::proxy;
use super::request::{Ask, Body, Verb, basic};
use super::terminal::Terminal;
use super::url::Url;
use super::watch::Watch;
use super::write_out::Report;
use crate::cookies::{Jar, Origin, Rejected, Stored};
use crate::wait::first;

/// How many redirects `-L` follows unless told otherwise.
const REDIRECTS: i64 = 50;
/// How many it follows when told to follow all.
const REDIRECTS_MAX: i64 = 10_000;

/// A run of curl.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) process: Process,
    pub(super) pool: Pool,
    /// The cookies, once an option asked to keep them.
    pub(super) jar: Option<Jar>,
}

/// One URL of the command line and what is sent there.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) url: Url,
    pub(super) verb: Verb,
    pub(super) body: Body,
    /// Where `-C` goes on.
    pub(super) resume: u64,
    /// `--etag-compare`.
    pub(super) etag: Option<String>,
    /// From `.netrc`.
    pub(super) user: Option<String>,
}

impl Clock for Process {
    fn now(&self) -> Instant {
        Process::now(self)
    }

    fn until(&self, at: Instant) -> LocalBoxFuture<()> {
        Box::pin(self.sleep_until(at))
    }
}

/// What a transfer fills in while it goes on.
struct Shared<'a, 'r> {
    report: &'a RefCell<&'r mut Report>,
    progress: &'a Progress,
    meter: &'a Meter,
}

/// Where a transfer with its redirects stands.
struct Course<'a> {
    url: Url,
    verb: Verb,
    body: &'a Body,
    /// The first URL's server, which credentials belong to.
    home: (String, u16),
    referer: Option<String>,
    /// `--anyauth` has seen that credentials are asked for.
    authorize: bool,
    no_expect: bool,
}

impl Session {
    pub(super) fn new(process: Process) -> Session {
        Session { process, pool: Pool::new(process), jar: None }
    }

    /// Seconds since 1970.
    pub(super) fn unix(&self) -> u64 {
        self.process.unix_time() / 1_000_000_000
    }

    /// Fetches within `-m`, following redirects if asked to.
    pub(super) async fn fetch(
        &mut self,
        o: &Options,
        job: &Job,
        sink: &mut Sink<'_>,
        terminal: &mut Terminal,
        report: &mut Report,
        meter: &Meter,
    ) -> Result<(), Failure> {
        let process = self.process;
        let start = process.now();
        let progress = Progress::default();
        let next = self.pool.number;
        let shared = RefCell::new(report);
        meter.begin(start, &progress).await;
        let all = Shared { report: &shared, progress: &progress, meter };
        let deadline = o.max_time.map(|l| start + l);
        let result = {
            let mut work = pin!(self.follow(o, job, sink, terminal, &all));
            let mut watch = Watch::new(o, meter, start);
            loop {
                let Some(at) = watch.next(deadline) else { break Some(work.await) };
                match first(work.as_mut(), process.sleep_until(at)).await {
                    Ok(result) => break Some(result),
                    Err(()) if deadline.is_some_and(|d| process.now() >= d) => break None,
                    Err(()) => {
                        meter.tick(process.now(), &progress).await;
                        if let Some(failure) = watch.too_slow(o, &progress, process.now()) {
                            break Some(Err(failure));
                        }
                    }
                }
            }
        };
        meter.done(process.now(), &progress).await;
        let report = shared.into_inner();
        report.received = progress.received.get();
        report.uploaded = progress.sent.get();
        report.first_byte = progress.first_byte.get();
        if let Some(result) = result {
            return result;
        }
        let failure = self.timed_out(start, &progress);
        terminal.info(&failure.message).await;
        let number = self.pool.number.max(next + 1) - 1;
        terminal.info(&format!("Closing connection {number}")).await;
        Err(failure)
    }

    fn timed_out(&self, start: Instant, progress: &Progress) -> Failure {
        let ms = self.process.now().since(start).as_millis();
        let text = match self.pool.phase.get() {
            Phase::Resolving => format!("Resolving timed out after {ms} milliseconds"),
            Phase::Connecting => format!("Connection timed out after {ms} milliseconds"),
            Phase::Transfer => {
                let got = progress.received.get();
                let of =
                    progress.expected.get().map(|n| format!("out of {n} ")).unwrap_or_default();
                format!("Operation timed out after {ms} milliseconds with {got} {of}bytes received")
            }
        };
        Failure::new(28, text)
    }

    async fn follow(
        &mut self,
        o: &Options,
        job: &Job,
        sink: &mut Sink<'_>,
        terminal: &mut Terminal,
        all: &Shared<'_, '_>,
    ) -> Result<(), Failure> {
        let none = Body::None;
        let mut course = Course {
            url: job.url.clone(),
            verb: job.verb,
            body: &job.body,
            home: (job.url.host.clone(), job.url.port_or_default()),
            referer: o.referer.clone(),
            authorize: o.auth != AuthMode::Any,
            no_expect: false,
        };
        let max = match o.max_redirs.unwrap_or(REDIRECTS) {
            ..0 => REDIRECTS_MAX,
            n => n,
        };
        let mut hops = 0;
        let mut protocols = o.protocols;
        loop {
            all.report.borrow_mut().effective = course.url.full();
            check_scheme(&course.url, protocols.http, hops > 0, terminal).await?;
            protocols = o.redirect_protocols;
            let outcome = self.one(o, job, &course, sink, terminal, all).await?;
            let head = outcome.head;
            let target = head.location.as_deref().filter(|_| (300..400).contains(&head.status));
            let redirect = target.and_then(|l| course.url.join(l).ok());
            let again = (outcome.unexpected && !course.body.bytes().is_empty())
                || (head.status == 401 && !course.authorize && asks_basic(&head.list));
            let next = match redirect {
                Some(next) if o.location => next,
                Some(next) => {
                    all.report.borrow_mut().redirect_url = Some(next.full());
                    return Ok(());
                }
                None if again => course.url.clone(),
                None => return Ok(()),
            };
            if hops == max {
                let text = format!("Maximum ({max}) redirects followed");
                terminal.info(&text).await;
                all.report.borrow_mut().redirect_url = Some(next.full());
                return Err(Failure::new(47, text));
            }
            hops += 1;
            self.turn(o, &mut course, &head.status, &next, !again, terminal).await;
            if course.verb == Verb::Get && job.verb != Verb::Get {
                course.body = &none;
            }
            course.authorize |= again;
            course.no_expect |= outcome.unexpected;
            if !again {
                all.report.borrow_mut().redirects += 1;
                all.report.borrow_mut().redirected = Some(self.process.now());
            }
            all.meter.again();
            all.progress.restart();
            course.url = next;
        }
    }

    /// What a redirect changes, and what is said about it.
    async fn turn(
        &self,
        o: &Options,
        course: &mut Course<'_>,
        status: &u16,
        next: &Url,
        redirect: bool,
        terminal: &mut Terminal,
    ) {
        if next.port_or_default() != course.url.port_or_default() && !o.trusted {
            let (from, to) = (course.url.port_or_default(), next.port_or_default());
            terminal.info(&format!("Clear auth, redirects to port from {from} to {to}")).await;
        }
        terminal.info(&format!("Issue another request to this URL: '{}'", next.full())).await;
        if !redirect {
            return;
        }
        if o.auto_referer {
            course.referer = Some(course.url.full());
        }
        // RFC 9110 §15.4: 307 and 308 keep the method; 301, 302 and 303 turn POST into GET, as all
        // clients do, and 303 every other method, too.
        let kept = match status {
            301 => o.keep_post[0],
            302 => o.keep_post[1],
            303 => o.keep_post[2],
            _ => return,
        };
        let post = course.verb == Verb::Post && !kept;
        let put = course.verb == Verb::Put && *status == 303;
        if post && *status != 303 {
            terminal.info("Switch from POST to GET").await;
        } else if post || put {
            terminal.info("Switch to GET").await;
        }
        if post || put {
            course.verb = Verb::Get;
        }
    }

    /// One request to one URL.
    async fn one(
        &mut self,
        o: &Options,
        job: &Job,
        course: &Course<'_>,
        sink: &mut Sink<'_>,
        terminal: &mut Terminal,
        all: &Shared<'_, '_>,
    ) -> Result<Outcome, Failure> {
        let url = &course.url;
        let mut open = self.pool.open(url, o, terminal, all.report).await?;
        self.pool.phase.set(Phase::Transfer);
        let number = open.number;
        let request = match self.request(o, job, course, open.http10, terminal).await {
            Ok(request) => request,
            Err(failure) => {
                terminal.info(&format!("Closing connection {number}")).await;
                return Err(failure);
            }
        };
        all.progress.to_send.set(Some(request.body.len() as u64).filter(|n| *n > 0));
        let flow = open.stream.flow();
        self.process.emit(flow, || Event::HttpRequest {
            method: request.method.as_str().into(),
            target: url.target.as_str().into(),
        });
        all.report.borrow_mut().asked(&request, &open.stream, self.process.now());
        let (process, now) = (self.process, self.unix());
        let jar = &mut self.jar;
        let mut on_field = |name: &str, value: &str| match jar {
            Some(jar) if name.eq_ignore_ascii_case("set-cookie") => cookie(jar, url, value, now),
            _ => Vec::new(),
        };
        let result = {
            let mut around = Around {
                sink,
                terminal: &mut *terminal,
                progress: all.progress,
                clock: &process,
                on_field: &mut on_field,
            };
            exchange(&mut open.stream, &request, &mut around).await
        };
        all.meter.done(self.process.now(), all.progress).await;
        match result {
            Ok(outcome) => {
                let (status, bytes) = (outcome.head.status, all.progress.received.get());
                self.process.emit(flow, || Event::HttpResponse { status, bytes });
                all.report.borrow_mut().answered(&outcome.head);
                if outcome.reusable {
                    open.http10 = outcome.head.http10;
                    self.pool.keep(open, terminal).await;
                } else {
                    terminal.info(&format!("Closing connection {number}")).await;
                }
                Ok(outcome)
            }
            Err(failure) => {
                drop(open);
                if let Some(status) = status_of(&failure) {
                    all.report.borrow_mut().status = status;
                }
                terminal.info(&format!("Closing connection {number}")).await;
                Err(failure)
            }
        }
    }

    async fn request(
        &self,
        o: &Options,
        job: &Job,
        course: &Course<'_>,
        http10: bool,
        terminal: &mut Terminal,
    ) -> Result<Request, Failure> {
        let url = &course.url;
        let trusted = o.trusted || course.home == (url.host.clone(), url.port_or_default());
        let user = url.userinfo.as_ref().or(o.user.as_ref()).or(job.user.as_ref());
        let user = user.filter(|_| trusted);
        let proxy = proxy::of(o, &url.host)?;
        let proxied = proxy.as_ref().is_some_and(|p| p.takes_urls(o));
        let proxy_authorization =
            proxy.as_ref().filter(|_| proxied).and_then(|p| p.authorization());
        if let Some((name, _)) = &proxy_authorization {
            terminal.info(&format!("Proxy auth using Basic with user '{name}'")).await;
        }
        let authorization = match (user, &o.bearer) {
            (Some(user), _) if course.authorize => {
                let name = user.split(':').next().unwrap_or("");
                terminal.info(&format!("Server auth using Basic with user '{name}'")).await;
                let with_colon = if user.contains(':') { user.clone() } else { format!("{user}:") };
                Some(basic(&with_colon))
            }
            (None, Some(token)) if trusted => Some(format!("Bearer {token}")),
            _ => None,
        };
        let ask = Ask {
            o,
            url,
            verb: course.verb,
            body: course.body,
            authorization,
            proxy_authorization: proxy_authorization.map(|a| a.1),
            proxied,
            trusted,
            cookies: self.cookies(o, url),
            referer: course.referer.as_deref(),
            resume: job.resume,
            etag: job.etag.as_deref(),
            http10: o.http10 || http10,
            no_expect: course.no_expect,
        };
        let built = ask.build();
        Ok(Request {
            method: built.method,
            head: built.head,
            body: course.body.bytes().to_vec(),
            together: matches!(course.body, Body::None | Body::Data(_)),
            chunked: built.chunked,
            expect: built.expect,
            head_only: course.verb == Verb::Head,
            fail: o.fail,
            follow: o.location,
            rewinds: matches!(course.verb, Verb::Post | Verb::Put),
            http09: o.http09,
            raw: o.raw,
            compressed: o.compressed,
            ignore_length: o.ignore_length,
            resumed: job.resume > 0 && course.verb == Verb::Get,
            max_filesize: o.max_filesize,
            condition: o.time_condition,
            limit_rate: o.limit_rate,
            skip_401: !course.authorize,
        })
    }

    /// The value of `Cookie`: from the jar, then as `-b` says.
    fn cookies(&self, o: &Options, url: &Url) -> Option<String> {
        let mut all = String::new();
        if let Some(jar) = &self.jar {
            for c in jar.matching(origin(url), self.unix()) {
                let glue = if all.is_empty() { "" } else { "; " };
                all.push_str(&format!("{glue}{}={}", c.name, c.value));
            }
        }
        if let Some(own) = &o.cookie {
            let glue = if all.is_empty() { "" } else { "; " };
            all.push_str(&format!("{glue}{own}"));
        }
        (!all.is_empty()).then_some(all)
    }
}

/// `-f` fails with the status in its words; `-w` wants it, too.
fn status_of(failure: &Failure) -> Option<u16> {
    let text = failure.message.strip_prefix("The requested URL returned error: ")?;
    (failure.code == 22).then(|| text.parse().ok())?
}

fn asks_basic(fields: &[(String, String)]) -> bool {
    fields.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("www-authenticate")
            && value.get(..5).is_some_and(|v| v.eq_ignore_ascii_case("basic"))
    })
}

/// Where cookies of this URL come from. Nobody reads along on loopback.
fn origin(url: &Url) -> Origin<'_> {
    let secure = matches!(url.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    Origin { host: &url.host, path: url.path(), secure }
}

/// Stores a cookie; what curl says about it.
fn cookie(jar: &mut Jar, url: &Url, field: &str, now: u64) -> Vec<String> {
    let added = |what: &str, c: &crate::cookies::Cookie| {
        format!(
            "{what} cookie {}=\"{}\" for domain {}, path {}, expire {}",
            c.name,
            c.value,
            c.domain,
            c.path,
            c.expires.unwrap_or(0)
        )
    };
    let text = match jar.set(field, origin(url), now) {
        Ok(Stored::Added(c)) => added("Added", &c),
        Ok(Stored::Replaced(c)) => added("Replaced", &c),
        Ok(Stored::Removed(c)) => {
            added("Replaced", &crate::cookies::Cookie { expires: Some(1), ..c })
        }
        Err(Rejected::Octets) => "invalid octets in name/value, cookie dropped".to_owned(),
        Err(Rejected::TooLarge) => format!(
            "oversized cookie dropped, name/val {} bytes",
            field.split(';').next().unwrap_or("").len()
        ),
        Err(Rejected::Domain(d)) => format!("skipped cookie with bad tailmatch domain: {d}"),
        Err(Rejected::PublicSuffix { name, domain }) => format!(
            "cookie '{name}' dropped, domain '{}' must not set cookies for '{domain}'",
            url.host
        ),
        Err(Rejected::Overlay { name, domain }) => format!(
            "cookie '{name}' for domain '{domain}' dropped, would overlay an existing cookie"
        ),
        Err(_) => return Vec::new(),
    };
    vec![text]
}

/// Schemes that the real curl knows.
const SCHEMES: &[&str] = &[
    "dict", "file", "ftp", "ftps", "gopher", "gophers", "http", "https", "imap", "imaps", "ldap",
    "ldaps", "mqtt", "pop3", "pop3s", "rtmp", "rtsp", "scp", "sftp", "smb", "smbs", "smtp",
    "smtps", "telnet", "tftp", "ws", "wss",
];

async fn check_scheme(
    url: &Url,
    http: bool,
    redirected: bool,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let scheme = &url.scheme;
    let text = match scheme.as_str() {
        "http" if http => return Ok(()),
        "https" => format!(
            "Protocol \"{scheme}\" not supported: there is no TLS in the lab yet, use http://"
        ),
        other if redirected && !SCHEMES.contains(&other) => {
            let text = "The redirect target URL could not be parsed: Unsupported URL scheme";
            return Err(Failure::new(1, text));
        }
        _ => format!("Protocol \"{scheme}\" not supported or disabled in libcurl"),
    };
    terminal.info(&text).await;
    terminal.info("Closing connection -1").await;
    Err(Failure::new(1, text))
}
