//! The browser: what it keeps between pages, and a page with all that belongs to it.

use core::net::IpAddr;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::{Method, header};
use netarium_base::Duration;
use netarium_base::map::Map;
use netarium_world::process::{LocalBoxFuture, Process};
use url::Url;

use super::cache::{Cache, text};
use super::error::NetError;
use super::fetch::{Ask, Fetched, Timing};
use super::log::{Kind, Lang, Log, Step};
use super::page::{self, Form, Page, RESOURCES_MAX, Reference, Use};
use super::pool::Pool;
use crate::cookies::Jar;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) no_cache: bool,
    pub(super) resources: bool,
    pub(super) favicon: bool,
    pub(super) max_depth: u32,
    pub(super) timeout: Duration,
    pub(super) user_agent: String,
    pub(super) lang: Lang,
}

impl Options {
    pub(super) fn accept_language(&self) -> &'static str {
        match self.lang {
            Lang::En => "en-US,en;q=0.9",
            Lang::Ko => "ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7",
        }
    }
}

/// A browser.
#[derive(Debug)]
pub(super) struct Browser {
    pub(super) process: Process,
    pub(super) options: Options,
    pub(super) log: Log,
    pub(super) pool: Pool,
    pub(super) jar: RefCell<Jar>,
    pub(super) cache: RefCell<Cache>,
    pub(super) names: RefCell<Map<String, Vec<IpAddr>>>,
    pub(super) timings: RefCell<Vec<Timing>>,
}

/// What is on a page so far.
#[derive(Debug, Default)]
struct Found {
    seen: RefCell<Vec<Url>>,
    count: Cell<usize>,
    failed: Cell<usize>,
}

/// A page that has come.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) fetched: Fetched,
    pub(super) page: Page,
    pub(super) resources: usize,
    pub(super) failed: usize,
}

impl Browser {
    pub(super) fn new(process: Process, options: Options, log: Log, jar: Jar) -> Browser {
        Browser {
            process,
            options,
            log,
            pool: Pool::default(),
            jar: RefCell::new(jar),
            cache: RefCell::default(),
            names: RefCell::default(),
            timings: RefCell::default(),
        }
    }

    /// Seconds since 1970.
    pub(super) fn unix(&self) -> u64 {
        self.process.unix_time() / 1_000_000_000
    }

    /// Goes to a page and fetches what belongs to it.
    ///
    /// # Errors
    /// [`NetError`] when the page itself does not come.
    pub(super) async fn go(self: &Rc<Self>, ask: Ask) -> Result<Loaded, NetError> {
        self.timings.borrow_mut().clear();
        let fetched = self.fetch(ask).await?;
        let page = match is_html(&fetched) {
            true => Page::parse(&fetched.body, &fetched.url),
            false => Page::default(),
        };
        let found = Rc::new(Found::default());
        let mut references = page.references.clone();
        if let Some(icon) = self.icon(&fetched, &page) {
            references.push(icon);
        }
        if is_html(&fetched) {
            self.tell_page(&page, references.len()).await;
        }
        if self.options.resources {
            self.all(references, &fetched.url, 1, &found).await;
        }
        let (resources, failed) = (found.count.get(), found.failed.get());
        Ok(Loaded { fetched, page, resources, failed })
    }

    /// Browsers ask for /favicon.ico when a page names no icon.
    fn icon(&self, fetched: &Fetched, page: &Page) -> Option<Reference> {
        let wanted = self.options.favicon && is_html(fetched) && !page.icon;
        let url = fetched.url.join("/favicon.ico").ok().filter(|_| wanted)?;
        Some(Reference { url, used_as: Use::Image })
    }

    async fn tell_page(&self, page: &Page, count: usize) {
        let title = if page.title.is_empty() { "(no title)" } else { &page.title };
        let forms = match page.forms.len() {
            0 => String::new(),
            1 => ", 1 form".to_owned(),
            n => format!(", {n} forms"),
        };
        let more = match page.left_out {
            0 => String::new(),
            n => format!(" ({n} more are left out)"),
        };
        let text = format!("\"{title}\": needs {count} more{forms}{more}");
        let step = Step::new(Kind::Page, text)
            .with("title", page.title.as_str())
            .with("resources", count)
            .with("forms", page.forms.len());
        self.log.step(0, step).await;
    }

    /// Fetches sub-resources side by side, and what they need in turn.
    fn all(
        self: &Rc<Self>,
        references: Vec<Reference>,
        from: &Url,
        depth: u32,
        found: &Rc<Found>,
    ) -> LocalBoxFuture<()> {
        let (browser, from, found) = (Rc::clone(self), from.clone(), Rc::clone(found));
        Box::pin(async move {
            let mut work: Vec<LocalBoxFuture<()>> = Vec::new();
            for reference in references {
                let mut seen = found.seen.borrow_mut();
                if seen.contains(&reference.url) || seen.len() >= RESOURCES_MAX {
                    continue;
                }
                seen.push(reference.url.clone());
                found.count.set(found.count.get() + 1);
                let number = found.count.get();
                let (browser, from, found) = (Rc::clone(&browser), from.clone(), Rc::clone(&found));
                work.push(Box::pin(async move {
                    browser.resource(reference, from, number, depth, &found).await;
                }));
            }
            together(work).await;
        })
    }

    async fn resource(
        self: &Rc<Self>,
        reference: Reference,
        from: Url,
        number: usize,
        depth: u32,
        found: &Rc<Found>,
    ) {
        let ask = Ask {
            url: reference.url.clone(),
            method: Method::GET,
            body: None,
            used_as: reference.used_as,
            referrer: Some(from),
            reload: false,
            resource: number,
        };
        let fetched = match self.fetch(ask).await {
            Ok(fetched) => fetched,
            Err(e) => {
                found.failed.set(found.failed.get() + 1);
                let text = format!("net::{}: {} ({})", e.name, e.text, reference.url);
                let step = Step::new(Kind::Error, text).with("error", e.name);
                return self.log.step(number, step).await;
            }
        };
        if !fetched.status.is_success() {
            found.failed.set(found.failed.get() + 1);
        }
        if depth >= self.options.max_depth {
            return;
        }
        let more = match reference.used_as {
            Use::Style => page::style(&fetched.body, &fetched.url),
            Use::Frame if is_html(&fetched) => Page::parse(&fetched.body, &fetched.url).references,
            _ => return,
        };
        let base = fetched.url;
        self.all(more, &base, depth + 1, found).await;
    }

    /// The request that sends a form, its fields changed as `changes` say.
    pub(super) fn submit(
        &self,
        loaded: &Loaded,
        form: &Form,
        changes: &[(String, String)],
    ) -> Option<Ask> {
        let mut fields = form.fields.clone();
        for (name, value) in changes {
            match fields.iter_mut().find(|f| f.0 == *name) {
                Some(field) => field.1.clone_from(value),
                None => fields.push((name.clone(), value.clone())),
            }
        }
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(&fields);
        let encoded = encoded.finish();
        let page = &loaded.fetched.url;
        let mut url = page.join(form.action.as_deref().unwrap_or("")).ok()?;
        url.set_fragment(None);
        let mut ask = Ask {
            url,
            method: Method::GET,
            body: None,
            used_as: Use::Document,
            referrer: Some(page.clone()),
            reload: false,
            resource: 0,
        };
        if form.post {
            ask.method = Method::POST;
            ask.body = Some(("application/x-www-form-urlencoded", Bytes::from(encoded)));
        } else {
            ask.url.set_query(Some(&encoded));
        }
        Some(ask)
    }
}

fn is_html(fetched: &Fetched) -> bool {
    let kind = text(&fetched.headers, header::CONTENT_TYPE.as_str()).to_ascii_lowercase();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml+xml")
}

/// Waits for all, which go on side by side; polled in their order.
async fn together(mut work: Vec<LocalBoxFuture<()>>) {
    poll_fn(|cx| {
        work.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if work.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
