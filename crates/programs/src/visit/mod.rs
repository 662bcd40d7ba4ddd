//! `visit`: goes to a URL as a browser does and tells each step.
//!
//! In reading order: this file (the command line), `browser` (what is kept between pages; a page
//! with all that belongs to it), `fetch` (one URL, step by step), `headers`, `cookies`, `cache` (RFC 9111),
//! `pool` and `io` (connections, hyper over lab sockets), `page` (what HTML and CSS refer to),
//! `words` (what status codes and header fields mean), `error` (failures by browsers' names), `log`
//! and `timeline` (how it is told).
//!
//! It runs no scripts and draws nothing.

mod browser;
mod cache;
mod cookies;
mod error;
mod fetch;
mod headers;
mod io;
mod log;
mod page;
mod pool;
mod timeline;
mod words;

use std::rc::Rc;

use http::Method;
use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process};
use url::Url;

use crate::cookies::{self as jars, Jar};
use crate::getopt::{Item, Spec, Takes};
use browser::{Browser, Loaded, Options};
use error::NetError;
use fetch::Ask;
use log::{Kind, Lang, Log, Step};
use page::Use;

const USAGE: &str = "\
Usage: visit [options] URL
Goes to a URL as a browser does and tells each step.

  -r, --repeat N          reload the page N times (0 to 100)
      --no-cache          use no cache, and tell servers so
  -c, --cookies FILE      keep cookies in FILE (Netscape format)
      --submit NAME=VALUE fill in a field of the page's form and send it; several times
      --form N|ID         which form: its number from 1 (the default) or its id
      --max-depth N       how deep sub-resources may nest (default: 3)
      --no-resources      the page alone
      --no-favicon        do not ask for /favicon.ico
  -o, --output FILE       save the page
  -A, --user-agent TEXT   what to call itself
  -t, --timeout T         how long one request may take (default: 300s)
      --lang en|ko        the language of the titles, and of Accept-Language
  -j, --json              one JSON object a line, for programs
  -q, --quiet             only the result
  -h, --help              this text
";

const SPEC: Spec = Spec {
    short: "r:c:o:A:t:jqh",
    long: &[
        ("repeat", Takes::Value, 'r'),
        ("no-cache", Takes::Nothing, 'n'),
        ("cookies", Takes::Value, 'c'),
        ("submit", Takes::Value, 's'),
        ("form", Takes::Value, 'f'),
        ("max-depth", Takes::Value, 'd'),
        ("no-resources", Takes::Nothing, 'R'),
        ("no-favicon", Takes::Nothing, 'F'),
        ("output", Takes::Value, 'o'),
        ("user-agent", Takes::Value, 'A'),
        ("timeout", Takes::Value, 't'),
        ("lang", Takes::Value, 'l'),
        ("json", Takes::Nothing, 'j'),
        ("quiet", Takes::Nothing, 'q'),
        ("help", Takes::Nothing, 'h'),
    ],
};

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) Netarium/0.1 visit/0.1";
const REPEAT_MAX: u32 = 100;

/// A command line that was understood.
#[derive(Clone, Debug)]
struct Line {
    url: String,
    repeat: u32,
    cookies: Option<String>,
    submit: Vec<(String, String)>,
    form: String,
    output: Option<String>,
    json: bool,
    quiet: bool,
    help: bool,
    options: Options,
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let line = match parse(args.get(1..).unwrap_or_default()) {
        Ok(line) => line,
        Err(text) => {
            process
                .eprint(&format!("visit: {text}\nTry 'visit --help' for more information.\n"))
                .await;
            return 2;
        }
    };
    if line.help {
        process.print(USAGE).await;
        return 0;
    }
    let now = process.unix_time() / 1_000_000_000;
    let mut jar = Jar::default();
    if let Some(bytes) = line.cookies.as_ref().and_then(|path| process.read_file(path).ok()) {
        jars::read(&mut jar, &String::from_utf8_lossy(&bytes), now);
    }
    let log = Log::new(process, line.json, line.quiet, line.options.lang);
    let browser = Rc::new(Browser::new(process, line.options.clone(), log, jar));
    let result = visits(&browser, &line).await;
    if let Some(path) = &line.cookies {
        let text = jars::write(&browser.jar.borrow(), browser.unix());
        if let Err(e) = process.write_file(path, text.into_bytes()) {
            process.eprint(&format!("visit: {path}: {e}\n")).await;
            return 1;
        }
    }
    match result {
        Ok(()) => 0,
        Err(e) => {
            let step = Step::new(Kind::Error, format!("net::{}: {}", e.name, e.text));
            browser.log.step(0, step.with("error", e.name)).await;
            process.eprint(&format!("visit: net::{}: {}\n", e.name, e.text)).await;
            1
        }
    }
}

/// The page, its reloads, and its form.
async fn visits(browser: &Rc<Browser>, line: &Line) -> Result<(), NetError> {
    let mut loaded = visit(browser, ask(&line.url, false)?).await?;
    for _ in 0..line.repeat {
        browser.log.put(if line.json { String::new() } else { "\nreload\n".to_owned() }).await;
        loaded = visit(browser, ask(&line.url, true)?).await?;
    }
    if !line.submit.is_empty() {
        let forms = &loaded.page.forms;
        let number = line.form.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let form = match number {
            Some(n) => forms.get(n),
            None => forms.iter().find(|f| f.id.as_deref() == Some(&line.form)),
        };
        let missing =
            || NetError::new("ERR_INVALID_ARGUMENT", format!("the page has no form {}", line.form));
        let form = form.ok_or_else(missing)?;
        let next = browser.submit(&loaded, form, &line.submit).ok_or_else(missing)?;
        let how = if form.post {
            "by POST: its fields go in the body"
        } else {
            "by GET: its fields go in the URL, into history and logs"
        };
        browser.log.put(if line.json { String::new() } else { "\nsubmit\n".to_owned() }).await;
        let step = Step::new(Kind::Form, format!("sent to {} {how}", next.url));
        browser.log.restart();
        browser.log.step(0, step.with("method", next.method.as_str())).await;
        loaded = visit_on(browser, next).await?;
    }
    if let Some(path) = &line.output {
        let body = loaded.fetched.body.clone();
        let failed = |e| NetError::new("ERR_FILE_WRITE", format!("{path}: {e}"));
        browser.process.write_file(path, body).map_err(failed)?;
    }
    Ok(())
}

/// The request for what was typed.
fn ask(text: &str, reload: bool) -> Result<Ask, NetError> {
    // What is typed into an address bar may leave the scheme out.
    let whole = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None => format!("http://{text}"),
    };
    let url =
        Url::parse(&whole).map_err(|e| NetError::new("ERR_INVALID_URL", format!("{text}: {e}")))?;
    Ok(Ask {
        url,
        method: Method::GET,
        body: None,
        used_as: Use::Document,
        referrer: None,
        reload,
        resource: 0,
    })
}

async fn visit(browser: &Rc<Browser>, ask: Ask) -> Result<Loaded, NetError> {
    browser.log.restart();
    visit_on(browser, ask).await
}

async fn visit_on(browser: &Rc<Browser>, ask: Ask) -> Result<Loaded, NetError> {
    let loaded = browser.go(ask).await;
    let timings = browser.timings.take();
    let start = browser.log.start();
    let text = if browser.log.is_json() {
        timeline::as_json(&timings, start)
    } else {
        let summary = match &loaded {
            Ok(l) => summary(browser, l),
            Err(_) => String::new(),
        };
        format!("{}{summary}", timeline::draw(&timings, start))
    };
    browser.log.put(text).await;
    loaded
}

fn summary(browser: &Browser, loaded: &Loaded) -> String {
    let failed = match loaded.failed {
        0 => String::new(),
        n => format!(" ({n} not found or failed)"),
    };
    let status = loaded.fetched.status;
    format!(
        "{} {}: {} bytes and {} more{failed}; {} idle connections are kept\n",
        status.as_u16(),
        loaded.fetched.url,
        loaded.fetched.body.len(),
        loaded.resources,
        browser.pool.idle()
    )
}

fn parse(args: &[String]) -> Result<Line, String> {
    let mut line = Line {
        url: String::new(),
        repeat: 0,
        cookies: None,
        submit: Vec::new(),
        form: "1".to_owned(),
        output: None,
        json: false,
        quiet: false,
        help: false,
        options: Options {
            no_cache: false,
            resources: true,
            favicon: true,
            max_depth: 3,
            timeout: Duration::from_secs(300),
            user_agent: AGENT.to_owned(),
            lang: Lang::En,
        },
    };
    for item in SPEC.parse(args).map_err(|e| e.gnu())? {
        match item {
            Item::Option(letter, value) => line.apply(letter, value)?,
            Item::Operand(text) if line.url.is_empty() => line.url = text,
            Item::Operand(text) => {
                return Err(format!("one URL is enough, but there is {text}, too"));
            }
        }
    }
    if line.url.is_empty() && !line.help {
        return Err("which URL?".to_owned());
    }
    Ok(line)
}

impl Line {
    fn apply(&mut self, letter: char, value: String) -> Result<(), String> {
        let number = |what: &str, max: u32| {
            let n = value.parse().ok().filter(|n| *n <= max);
            n.ok_or_else(|| format!("{what}: expected a number from 0 to {max}, got {value}"))
        };
        let o = &mut self.options;
        match letter {
            'r' => self.repeat = number("--repeat", REPEAT_MAX)?,
            'n' => o.no_cache = true,
            'c' => self.cookies = Some(value),
            's' => {
                let (name, text) = value
                    .split_once('=')
                    .ok_or_else(|| format!("--submit: expected NAME=VALUE, got {value}"))?;
                self.submit.push((name.to_owned(), text.to_owned()));
            }
            'f' => self.form = value,
            'd' => o.max_depth = number("--max-depth", 10)?,
            'R' => o.resources = false,
            'F' => o.favicon = false,
            'o' => self.output = Some(value),
            'A' => o.user_agent = value,
            't' => {
                o.timeout = value
                    .parse()
                    .map_err(|_| format!("--timeout: expected a span such as 30s, got {value}"))?;
            }
            'l' => {
                o.lang = match value.as_str() {
                    "en" => Lang::En,
                    "ko" => Lang::Ko,
                    _ => return Err(format!("--lang: expected en or ko, got {value}")),
                };
            }
            'j' => self.json = true,
            'q' => self.quiet = true,
            _ => self.help = true,
        }
        Ok(())
    }
}
