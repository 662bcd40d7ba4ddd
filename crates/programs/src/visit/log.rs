//! The steps of a visit: numbered, in the order in which they happen, as text or as JSON lines.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use netarium_base::Instant;
use netarium_world::process::Process;
use serde_json::{Map, Value, json};

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Url,
    Cache,
    Cookies,
    Name,
    Connection,
    Request,
    Response,
    Body,
    SetCookie,
    Redirect,
    Page,
    Form,
    Error,
}

impl Kind {
    /// For programs.
    fn name(self) -> &'static str {
        match self {
            Kind::Url => "url",
            Kind::Cache => "cache",
            Kind::Cookies => "cookies",
            Kind::Name => "name",
            Kind::Connection => "connection",
            Kind::Request => "request",
            Kind::Response => "response",
            Kind::Body => "body",
            Kind::SetCookie => "set-cookie",
            Kind::Redirect => "redirect",
            Kind::Page => "page",
            Kind::Form => "form",
            Kind::Error => "error",
        }
    }

    /// For people.
    fn title(self, lang: Lang) -> &'static str {
        match (self, lang) {
            (_, Lang::En) => self.name(),
            (Kind::Url, Lang::Ko) => "URL",
            (Kind::Cache, Lang::Ko) => "캐시",
            (Kind::Cookies, Lang::Ko) => "쿠키",
            (Kind::Name, Lang::Ko) => "이름",
            (Kind::Connection, Lang::Ko) => "연결",
            (Kind::Request, Lang::Ko) => "요청",
            (Kind::Response, Lang::Ko) => "응답",
            (Kind::Body, Lang::Ko) => "본문",
            (Kind::SetCookie, Lang::Ko) => "쿠키 저장",
            (Kind::Redirect, Lang::Ko) => "이동",
            (Kind::Page, Lang::Ko) => "페이지",
            (Kind::Form, Lang::Ko) => "폼",
            (Kind::Error, Lang::Ko) => "오류",
        }
    }
}

/// The language of the titles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lang {
    #[default]
    En,
    Ko,
}

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    kind: Kind,
    text: String,
    /// Lines below it: a name or line, and what is to be said about it.
    lines: Vec<(String, String)>,
    /// For programs only.
    details: Map<String, Value>,
}

impl Step {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Step {
        Step { kind, text: text.into(), lines: Vec::new(), details: Map::new() }
    }

    /// The same with another text.
    pub(super) fn renamed(mut self, text: impl Into<String>) -> Step {
        self.text = text.into();
        self
    }

    /// A line below it, with a remark.
    pub(super) fn line(mut self, line: impl Into<String>, remark: impl Into<String>) -> Step {
        self.lines.push((line.into(), remark.into()));
        self
    }

    /// A value for programs.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Step {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// Where steps go.
#[derive(Debug)]
pub(super) struct Log {
    process: Process,
    json: bool,
    quiet: bool,
    lang: Lang,
    start: Cell<Instant>,
    next: Cell<u32>,
    queue: RefCell<VecDeque<String>>,
    printing: Cell<bool>,
}

/// The width of the titles.
const TITLE: usize = 11;
/// Where remarks stand.
const REMARK: usize = 46;

impl Log {
    pub(super) fn new(process: Process, json: bool, quiet: bool, lang: Lang) -> Log {
        Log {
            process,
            json,
            quiet,
            lang,
            start: Cell::new(process.now()),
            next: Cell::new(1),
            queue: RefCell::default(),
            printing: Cell::new(false),
        }
    }

    /// Whether programs read it.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// A new visit begins: its steps are numbered from 1.
    pub(super) fn restart(&self) {
        self.start.set(self.process.now());
        self.next.set(1);
    }

    /// When the visit began.
    pub(super) fn start(&self) -> Instant {
        self.start.get()
    }

    /// One step of the resource with this number (0 is the page itself).
    pub(super) async fn step(&self, resource: usize, step: Step) {
        let number = self.next.replace(self.next.get() + 1);
        if !self.quiet {
            let at = self.process.now().since(self.start.get()).as_micros();
            let text = if self.json {
                as_json(number, at, resource, step)
            } else {
                as_text(number, at, resource, &step, self.lang)
            };
            self.put(text).await;
        }
    }

    /// Something as it is.
    pub(super) async fn put(&self, text: String) {
        self.queue.borrow_mut().push_back(text);
        // Several fetches go on at once: one prints for all, so that no lines mix.
        if self.printing.replace(true) {
            return;
        }
        loop {
            let next = self.queue.borrow_mut().pop_front();
            let Some(text) = next else { break };
            self.process.print(&text).await;
        }
        self.printing.set(false);
    }
}

/// Milliseconds with as many places as microseconds need.
pub(super) fn ms(us: u64) -> String {
    format!("{}.{:03} ms", us / 1000, us % 1000)
}

fn as_text(number: u32, at: u64, resource: usize, step: &Step, lang: Lang) -> String {
    let title = step.kind.title(lang);
    // Hangul takes two columns.
    let columns: usize = title.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    let pad = " ".repeat(TITLE.saturating_sub(columns));
    let whose = if resource == 0 { String::new() } else { format!("[{resource}] ") };
    let mut out = format!("{number:>3}  {:>12}  {title}{pad} {whose}{}\n", ms(at), step.text);
    for (line, remark) in &step.lines {
        let line = printable(line);
        if remark.is_empty() {
            out.push_str(&format!("{:33}{line}\n", ""));
        } else {
            out.push_str(&format!("{:33}{line:<REMARK$}  {remark}\n", ""));
        }
    }
    out
}

/// Control characters of a server do not reach the terminal.
fn printable(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "�")
}

fn as_json(number: u32, at: u64, resource: usize, step: Step) -> String {
    let mut all = Map::new();
    all.insert("step".to_owned(), json!(number));
    all.insert("at_us".to_owned(), json!(at));
    all.insert("resource".to_owned(), json!(resource));
    all.insert("kind".to_owned(), json!(step.kind.name()));
    all.insert("text".to_owned(), json!(step.text));
    let lines: Vec<Value> =
        step.lines.iter().map(|l| json!({ "line": l.0, "meaning": l.1 })).collect();
    if !lines.is_empty() {
        all.insert("lines".to_owned(), Value::Array(lines));
    }
    all.extend(step.details);
    format!("{}\n", Value::Object(all))
}
