//! `shop`: a delivery shop's back end, `--naive` or `--careful`.
//!
//! The front end (HTML and JavaScript in the document root) runs on the customer's computer, and
//! whoever sits there can change everything in it: prices in memory, cookies, requests. The naive
//! back end believes what it is sent. The careful one looks prices up, checks every field, signs what
//! it leaves with the client, and says why it refuses.
//!
//! In reading order: this file (paths, sign-in, the kitchen's list), `menu` (what is sold), `order`
//! (the two ways of looking at an order), `cart` (the two cookies).

mod cart;
mod menu;
mod order;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process};
use serde_json::{Value, json};

use crate::app::session::Sessions;
use crate::app::{form, new_id};
use crate::getopt::{Item, Spec, Takes};
use crate::httpd::{self, Admission, Application, Call, CommandLine, Contents, Failure};
use cart::Key;
use menu::Menu;
use order::{Judged, Order};

const USAGE: &str = "\
Usage: shop --naive|--careful [options]
      --naive               believe what the front end sends
      --careful             look prices up, check every field, sign the cart
      --menu FILE           dishes and users (default: shop.json)
      --root DIR            the front end (default: htdocs)
      --listen [ADDR:]PORT  where to listen (default: 0.0.0.0:80)
  -h, --help                this text
";

const SPEC: Spec = Spec {
    short: "h",
    long: &[
        ("naive", Takes::Nothing, 'n'),
        ("careful", Takes::Nothing, 'c'),
        ("menu", Takes::Value, 'm'),
        ("root", Takes::Value, 'r'),
        ("listen", Takes::Value, 'l'),
        ("help", Takes::Nothing, 'h'),
    ],
};

/// The answer to a sign-in by GET. It is a page and no redirection, so that the URL stays in the
/// address bar and is the `Referer` of what comes next.
const SIGNED_IN_PAGE: &str = include_str!("signed_in.html");
/// Where accepted orders are written, one JSON object a line.
const ORDER_LOG: &str = "/var/log/shop/orders.log";
/// The size at which that file begins anew, bytes.
const ORDER_LOG_MAX: u64 = 256 * 1024;
/// How many of the latest orders are shown.
const ORDERS_SHOWN: usize = 50;
/// How many customers can be signed in, and for how long.
const SIGNED_IN: (usize, Duration) = (1_000, Duration::from_secs(1_800));

/// Which of the two back ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Naive,
    Careful,
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let (kind, menu, line) = match parse(args.get(1..).unwrap_or_default()) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                process.print(USAGE).await;
                return 0;
            }
            Err(why) => {
                process.eprint(&format!("shop: {why}\n{USAGE}")).await;
                return 1;
            }
        };
        if let Err(why) = Menu::read(process, &menu) {
            process.eprint(&format!("shop: {menu}: {why}\n")).await;
            return 1;
        }
        let make: httpd::MakeApplication = Rc::new(move |process| {
            let application: Rc<dyn Application> = Rc::new(Shop::new(process, kind, &menu));
            application
        });
        httpd::run(process, line, Some(make)).await
    })
}

fn parse(args: &[String]) -> Result<Option<(Kind, String, CommandLine)>, String> {
    let (mut kind, mut menu, mut directives) = (None, "shop.json".to_owned(), Vec::new());
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    for item in SPEC.parse(args).map_err(|e| e.gnu())? {
        match item {
            Item::Option('n', _) => kind = Some(Kind::Naive),
            Item::Option('c', _) => kind = Some(Kind::Careful),
            Item::Option('m', file) => menu = file,
            Item::Option('r', dir) => directives.push(format!("DocumentRoot {}", quoted(&dir))),
            Item::Option('l', text) => directives.push(format!("Listen {}", quoted(&text))),
            Item::Option(..) => return Ok(None),
            Item::Operand(text) => return Err(format!("did not expect '{text}'")),
        }
    }
    // What is sold here must never come out of a cache.
    directives.push("Header set Cache-Control no-cache".to_owned());
    let kind = kind.ok_or("expected --naive or --careful")?;
    Ok(Some((kind, menu, CommandLine::fixed("shop", directives))))
}

/// A back end.
struct Shop(Rc<Desk>);

/// What a back end has.
#[derive(Debug)]
struct Desk {
    kind: Kind,
    menu: String,
    key: Key,
    sessions: Sessions,
    orders: RefCell<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    count: u64,
    latest: VecDeque<Value>,
}

impl Shop {
    fn new(process: Process, kind: Kind, menu: &str) -> Shop {
        Shop(Rc::new(Desk {
            kind,
            menu: menu.to_owned(),
            key: Key::draw(&mut process.rng("cart key")),
            sessions: Sessions::new(SIGNED_IN.0, SIGNED_IN.1),
            orders: RefCell::default(),
        }))
    }
}

impl Application for Shop {
    fn admit(&self, head: &Parts, path: &str) -> Option<Result<Admission, Failure>> {
        let allow: &[Method] = match (path, self.0.kind) {
            ("/api/menu" | "/api/orders" | "/api/me", _) => &[Method::GET, Method::HEAD],
            ("/api/cart", _) => &[Method::GET, Method::HEAD, Method::PUT],
            ("/api/order" | "/logout", _) => &[Method::POST],
            // A password in a URL ends up in the history, in logs and in Referer fields.
            ("/login", Kind::Careful) => &[Method::POST],
            ("/login", Kind::Naive) => &[Method::GET, Method::POST],
            _ => return None,
        };
        if allow.contains(&head.method) {
            return Some(Ok(Admission { body_max: 64 * 1024, length_required: false }));
        }
        let names: Vec<&str> = allow.iter().map(Method::as_str).collect();
        let failure = Failure::from(StatusCode::METHOD_NOT_ALLOWED);
        Some(Err(failure.field(header::ALLOW, &names.join(", "))))
    }

    fn handle(&self, call: Call) -> LocalBoxFuture<Result<Response<Contents>, Failure>> {
        let desk = Rc::clone(&self.0);
        Box::pin(async move { desk.handle(&call) })
    }
}

type Answered = Result<Response<Contents>, Failure>;

impl Desk {
    fn handle(&self, call: &Call) -> Answered {
        // The menu is read each time, so that a price that is edited counts at once.
        let menu = Menu::read(call.process, &self.menu).map_err(|why| {
            let text = format!("{}: {why}", self.menu);
            Failure::logged(StatusCode::INTERNAL_SERVER_ERROR, "shop", text)
        })?;
        match (call.path.as_str(), call.request.method().as_str()) {
            ("/api/menu", _) => {
                let backend = if self.kind == Kind::Naive { "naive" } else { "careful" };
                Ok(answer(StatusCode::OK, &json!({ "backend": backend, "dishes": menu.dishes })))
            }
            ("/api/orders", _) => {
                let orders = self.orders.borrow();
                Ok(answer(
                    StatusCode::OK,
                    &json!({ "count": orders.count, "orders": orders.latest }),
                ))
            }
            ("/api/me", _) => Ok(answer(StatusCode::OK, &json!({ "user": self.user(call) }))),
            ("/api/cart", "PUT") => self.keep_cart(call, &menu),
            ("/api/cart", _) => self.show_cart(call),
            ("/api/order", _) => self.order(call, &menu),
            ("/logout", _) => Ok(self.log_out(call)),
            ("/login", _) => self.log_in(call, &menu),
            _ => Err(StatusCode::NOT_FOUND.into()),
        }
    }

    fn session_id(call: &Call) -> Option<String> {
        let cookies = form::cookies(call.request.headers());
        form::value(&cookies, "session").map(str::to_owned)
    }

    fn user(&self, call: &Call) -> Option<Value> {
        let id = Self::session_id(call)?;
        self.sessions.touch(&id, call.process.now())?.data.get("user").cloned()
    }

    /// The same sign-in by POST (in the body) and by GET (in the URL, for all to see).
    fn log_in(&self, call: &Call, menu: &Menu) -> Answered {
        let request = &call.request;
        let by_post = *request.method() == Method::POST;
        let pairs = if by_post {
            form::pairs(&String::from_utf8_lossy(request.body()))
        } else {
            form::pairs(request.uri().query().unwrap_or_default())
        };
        let user = form::value(&pairs, "user").unwrap_or_default();
        let password = form::value(&pairs, "password").unwrap_or_default();
        if !menu.knows(user, password) {
            return Err(Failure::logged(
                StatusCode::FORBIDDEN,
                "shop",
                format!("user {user}: wrong password"),
            )
            .detail("아이디나 비밀번호가 맞지 않아요. / Wrong name or password."));
        }
        // A new name for the session at each sign-in: one that somebody planted before is worth nothing.
        if let Some(old) = Self::session_id(call) {
            self.sessions.end(&old);
        }
        let id = new_id(call);
        if self.sessions.begin(id.clone(), call.process.now()).is_none() {
            let failure =
                Failure::logged(StatusCode::SERVICE_UNAVAILABLE, "shop", "the sessions are full");
            return Err(failure.field(header::RETRY_AFTER, "60"));
        }
        self.sessions.put(&id, "user", user.into());
        let mut response = if by_post {
            let mut response = answer(StatusCode::SEE_OTHER, &Value::Null);
            set(&mut response, header::LOCATION, "/");
            response
        } else {
            let mut response = Response::new(Contents::new(SIGNED_IN_PAGE.to_owned()));
            set(&mut response, header::CONTENT_TYPE, "text/html; charset=utf-8");
            response
        };
        let more = "Path=/; HttpOnly; SameSite=Lax";
        set(&mut response, header::SET_COOKIE, &format!("session={id}; {more}"));
        Ok(response)
    }

    fn log_out(&self, call: &Call) -> Response<Contents> {
        if let Some(id) = Self::session_id(call) {
            self.sessions.end(&id);
        }
        let mut response = answer(StatusCode::SEE_OTHER, &Value::Null);
        set(&mut response, header::LOCATION, "/");
        let gone = "session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";
        set(&mut response, header::SET_COOKIE, gone);
        response
    }

    fn cookie(call: &Call) -> Option<String> {
        let cookies = form::cookies(call.request.headers());
        form::value(&cookies, "cart").map(str::to_owned)
    }

    fn keep_cart(&self, call: &Call, menu: &Menu) -> Answered {
        let body: Value = serde_json::from_slice(call.request.body())
            .map_err(|_| {
                order::refusal(
                    StatusCode::BAD_REQUEST,
                    "body",
                    "JSON이 아니에요.",
                    "This is not JSON.",
                )
            })
            .map_err(|r| r.failure())?;
        let cookie = match self.kind {
            Kind::Naive => format!("cart={}; Path=/; SameSite=Lax", cart::plain(&body)),
            Kind::Careful => {
                let items = order::items(&body, menu, 0).map_err(|r| r.failure())?;
                format!("cart={}; Path=/; HttpOnly; SameSite=Lax", self.key.sign(&items))
            }
        };
        if cookie.len() > 4_000 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE.into());
        }
        let mut response = answer(StatusCode::OK, &json!({ "ok": true }));
        set(&mut response, header::SET_COOKIE, &cookie);
        Ok(response)
    }

    fn show_cart(&self, call: &Call) -> Answered {
        let cart = match (Self::cookie(call), self.kind) {
            (None, _) => json!({ "items": [] }),
            (Some(text), Kind::Naive) => cart::read_plain(&text),
            (Some(text), Kind::Careful) => match self.key.verify(&text) {
                Some(items) => order::as_json(&items),
                None => {
                    // What was changed on the way is thrown away.
                    let mut response =
                        answer(StatusCode::OK, &json!({ "items": [], "tampered": true }));
                    let gone = "cart=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";
                    set(&mut response, header::SET_COOKIE, gone);
                    return Ok(response);
                }
            },
        };
        Ok(answer(StatusCode::OK, &cart))
    }

    fn order(&self, call: &Call, menu: &Menu) -> Answered {
        let body = call.request.body();
        let judged: Judged = match self.kind {
            Kind::Naive => order::believe(body),
            Kind::Careful => {
                let kind = call.request.headers().get(header::CONTENT_TYPE);
                let json = kind
                    .and_then(|v| v.to_str().ok())
                    .is_some_and(|k| k.starts_with("application/json"));
                order::judge(body, json, menu, Self::cookie(call).map(|c| self.key.verify(&c)))
            }
        };
        let order = judged.map_err(|r| r.failure())?;
        let entry = self.record(call, &order);
        let mut response = answer(StatusCode::CREATED, &entry);
        let gone = "cart=; Path=/; SameSite=Lax; Max-Age=0";
        set(&mut response, header::SET_COOKIE, gone);
        Ok(response)
    }

    /// Writes an accepted order down.
    fn record(&self, call: &Call, order: &Order) -> Value {
        let mut orders = self.orders.borrow_mut();
        orders.count += 1;
        let seconds = call.process.unix_time() / 1_000_000_000;
        let entry = json!({
            "number": orders.count,
            "time": crate::calendar::Date::from_unix(seconds).http(),
            "from": call.client.ip().to_string(),
            "user": self.user(call),
            "items": order.items,
            "total": order.total,
            "address": order.address,
        });
        if orders.latest.len() >= ORDERS_SHOWN {
            orders.latest.pop_back();
        }
        orders.latest.push_front(entry.clone());
        let full = call.process.metadata(ORDER_LOG).is_ok_and(|m| m.len >= ORDER_LOG_MAX);
        if full {
            let _ = call.process.remove_file(ORDER_LOG);
        }
        // A host whose disk is full sells on.
        let _ = call.process.append_file(ORDER_LOG, format!("{entry}\n").as_bytes());
        entry
    }
}

fn set(response: &mut Response<Contents>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
}

fn answer(status: StatusCode, value: &Value) -> Response<Contents> {
    let text = if value.is_null() { String::new() } else { format!("{value}\n") };
    let mut response = Response::new(Contents::new(text));
    *response.status_mut() = status;
    if !value.is_null() {
        set(&mut response, header::CONTENT_TYPE, "application/json");
    }
    response
}
