//! `visit` against a scripted server and `httpd`, in virtual time.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{Shell, lab, web};
use netarium_base::Seed;
use netarium_programs::Builtin;
use netarium_wire::frame::mac_for_name;
use netarium_world::process::{LocalBoxFuture, Process, Program, Programs, TcpListener};
use netarium_world::{HostSpec, IfaceSpec, LinkSpec, SwitchSpec, World, WorldBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

thread_local! {
    /// Requests as they came: (connection, head and body).
    static WIRE: RefCell<Vec<(usize, String)>> = RefCell::default();
}

struct Library;

impl Programs for Library {
    fn names(&self) -> Vec<&'static str> {
        vec!["cat", "netstat", "shop", "visit"]
    }

    fn start(&self, name: &str) -> Option<Program> {
        if name == "shop" { Some(shop) } else { Builtin.start(name) }
    }
}

/// A server that answers by path, each answer after 10 ms.
fn shop(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let listener = TcpListener::bind(&process, ([0, 0, 0, 0], 80).into(), 64).expect("free");
        let mut number = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mine = number;
            number += 1;
            process.spawn(async move {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    request.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: "));
                    if body.len() < length.and_then(|l| l.parse().ok()).unwrap_or(0) {
                        continue;
                    }
                    request.clear();
                    WIRE.with_borrow_mut(|w| w.push((mine, text.clone())));
                    process.sleep(netarium_base::Duration::from_millis(10)).await;
                    let answer = answer(head);
                    if stream.write_all(answer.as_bytes()).await.is_err() || answer.is_empty() {
                        return;
                    }
                }
            });
        }
        0
    })
}

fn answer(head: &str) -> String {
    let path = head.split([' ', '?']).nth(1).unwrap_or("");
    let tagged = head.contains("If-None-Match: \"v1\"");
    let images: String = (0..8).map(|n| format!("<img src=/i/{n}.png>")).collect();
    let (status, fields, body) = match path {
        "/" => (
            "200 OK",
            "Content-Type: text/html\r\nETag: \"v1\"\r\nCache-Control: no-cache\r\n\
             Set-Cookie: cart=soup; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600\r\n\
             Set-Cookie: wide=1; Domain=lab\r\nSet-Cookie: safe=1; Secure\r\n",
            format!("<title>Shop</title><link rel=stylesheet href=/s.css>{images}"),
        ),
        "/s.css" => (
            "200 OK",
            "Content-Type: text/css\r\nCache-Control: max-age=600\r\n",
            "body { background: url(bg.png) }".to_owned(),
        ),
        "/moved" => ("302 Found", "Location: /login#top\r\n", String::new()),
        "/round" => ("301 Moved Permanently", "Location: /round\r\n", String::new()),
        "/login" => (
            "200 OK",
            "Content-Type: text/html\r\n",
            "<form method=post action=/in><input name=user><input name=token value=t&1></form>\
             <form id=get action=/in><input name=q></form>"
                .to_owned(),
        ),
        "/empty" => return String::new(),
        "/garbage" => return "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        p if p.starts_with("/i/") || p == "/bg.png" => (
            "200 OK",
            "Content-Type: image/png\r\nCache-Control: max-age=600\r\n",
            "png".to_owned(),
        ),
        p if p.starts_with("/in") => ("200 OK", "Content-Type: text/plain\r\n", "in\n".to_owned()),
        _ => ("404 Not Found", "", String::new()),
    };
    if path == "/" && tagged {
        return "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n".to_owned();
    }
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn world() -> World {
    WIRE.take();
    let host = |name: &str, address: &str| HostSpec {
        name: name.to_owned(),
        interfaces: vec![IfaceSpec {
            name: "eth0".to_owned(),
            mac: mac_for_name(name),
            mtu: 1_500,
            addresses: vec![address.parse().expect("an address")],
        }],
        ..HostSpec::default()
    };
    WorldBuilder::new(Seed(1))
        .epoch(common::EPOCH)
        .programs(Rc::new(Library))
        .switch(SwitchSpec::new("home"))
        .names([("www.shop.lab".to_owned(), vec!["192.168.17.17".parse().expect("an address")])])
        .host(host("web", "192.168.17.17/24"))
        .host(host("pc", "192.168.17.20/24"))
        .gateway("pc")
        .link(LinkSpec::new("web.home".to_owned(), ("web", 0), "home"))
        .link(LinkSpec::new("pc.home".to_owned(), ("pc", 0), "home"))
        .daemon("web", vec!["shop".to_owned()])
        .build()
        .expect("a lab")
}

fn steps(out: &str) -> Vec<Value> {
    out.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
}

fn of<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|s| s["kind"] == kind).collect()
}

#[test]
fn each_step_of_a_page_is_told() {
    let mut shell = Shell::new(world());
    let said = shell.run("pc", "visit http://www.shop.lab/moved?a=1#x");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for text in [
        "http://www.shop.lab/moved?a=1#x (document)",
        "scheme http",
        "query a=1",
        "data for the application, in everybody's view",
        "fragment x",
        "nothing stored for this URL",
        "none for www.shop.lab/moved",
        "www.shop.lab → 192.168.17.17",
        "→ 192.168.17.17:80, opened in ",
        "GET /moved?a=1 HTTP/1.1",
        "request: which site is meant: one address may serve many",
        "HTTP/1.1 302 Found: for now it is elsewhere (after ",
        "response: where to go instead",
        "http://www.shop.lab/moved?a=1#x → http://www.shop.lab/login#top",
        "open already: request 2 on it",
        "representation: what kind of content the body is",
        "2 forms",
        "timeline of ",
        "404",
    ] {
        assert!(said.out.contains(text), "{text} in:\n{}", said.out);
    }
    let (steps, _) = said.out.split_once("\ntimeline").unwrap();
    let numbers = steps.lines().filter_map(|l| l.get(..3)?.trim().parse::<usize>().ok());
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.len() > 12, "{}", said.out);
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "{}", said.out);
}

#[test]
fn at_most_six_connections_go_to_one_origin() {
    let mut shell = Shell::new(world());
    let said = shell.run("pc", "visit --json http://www.shop.lab/");
    assert_eq!(said.code, 0, "{}", said.err);
    let wire = WIRE.take();
    // The page, the style sheet, eight images, the icon, the style sheet's image.
    assert_eq!(wire.len(), 12);
    let most = wire.iter().map(|r| r.0).max();
    assert_eq!(most, Some(5), "connections are numbered from 0");
    let all = steps(&said.out);
    let opened = of(&all, "connection").iter().filter(|s| s["reused"] == false).count();
    assert_eq!(opened, 6);
    let waited = of(&all, "connection").iter().filter(|s| s["reused"] == true).count();
    assert_eq!(waited, 6);
    assert_eq!(of(&all, "timing").len(), 12);
    let icon = all.iter().find(|s| s["kind"] == "timing" && s["outcome"] == "404");
    assert!(icon.is_some_and(|i| i["url"] == "http://www.shop.lab/favicon.ico"));
    assert!(wire[1].1.contains("\r\nReferer: http://www.shop.lab/\r\n"), "{}", wire[1].1);
    assert!(!wire[0].1.contains("Sec-Fetch"), "only to places where nobody reads along");
}

#[test]
fn a_reload_asks_for_the_page_and_takes_the_rest_from_the_cache() {
    let mut shell = Shell::new(world());
    let said = shell.run("pc", "visit --json --repeat 1 --no-favicon http://www.shop.lab/");
    assert_eq!(said.code, 0, "{}", said.err);
    let wire = WIRE.take();
    assert_eq!(wire.len(), 12);
    let again = &wire[11].1;
    assert!(again.starts_with("GET / HTTP/1.1\r\n"), "{again}");
    for line in ["If-None-Match: \"v1\"", "Cache-Control: max-age=0", "Cookie: cart=soup"] {
        assert!(again.contains(&format!("\r\n{line}\r\n")), "{line} in {again}");
    }
    let all = steps(&said.out);
    let fresh = of(&all, "cache").iter().filter(|s| s["cache"] == "fresh").count();
    assert_eq!(fresh, 10);
    assert!(of(&all, "response").iter().any(|s| s["status"] == 304));
    // Everything again when no cache is used.
    WIRE.take();
    shell.run("pc", "visit --no-cache --repeat 1 --no-favicon -q http://www.shop.lab/");
    assert_eq!(WIRE.take().len(), 22);
}

/// What Chromium 156 sends for the same page over http, in its order.
#[test]
fn requests_have_chromiums_fields_in_its_order() {
    let mut shell = Shell::new(world());
    shell.run("pc", "visit -q http://www.shop.lab/");
    let wire = WIRE.take();
    let names = |at: usize| -> Vec<String> {
        let head = wire[at].1.split("\r\n\r\n").next().unwrap_or("");
        head.lines().skip(1).map(|l| l.split(':').next().unwrap_or("").to_owned()).collect()
    };
    let start = ["Host", "Connection"];
    let end = ["Accept-Encoding", "Accept-Language"];
    let page = [&start[..], &["Upgrade-Insecure-Requests", "User-Agent", "Accept"], &end].concat();
    assert_eq!(names(0), page);
    let style = [&start[..], &["User-Agent", "Accept", "Referer"], &end, &["Cookie"]].concat();
    assert_eq!(names(1), style);
    assert!(wire[1].1.starts_with("GET /s.css HTTP/1.1\r\n"), "{}", wire[1].1);
    assert!(wire[1].1.contains("\r\nAccept: text/css,*/*;q=0.1\r\n"));
    assert!(wire.iter().any(|(_, head)| head.starts_with("GET /bg.png ")));
}

#[test]
fn cookies_are_stored_by_rule_and_kept_in_a_file() {
    let mut shell = Shell::new(world());
    let said = shell.run("pc", "visit --json --no-resources -c jar http://www.shop.lab/");
    let all = steps(&said.out);
    let stored: Vec<&Value> = of(&all, "set-cookie").iter().map(|s| &s["stored"]).collect();
    assert_eq!(stored, [true, false, false]);
    let jar = shell.run("pc", "cat jar").out;
    assert!(jar.contains("#HttpOnly_www.shop.lab\tFALSE\t/\tFALSE\t"), "{jar}");
    WIRE.take();
    shell.run("pc", "visit -q --no-resources -c jar http://www.shop.lab/login");
    assert!(WIRE.take()[0].1.contains("\r\nCookie: cart=soup\r\n"));
}

#[test]
fn forms_are_sent_by_post_and_by_get() {
    let mut shell = Shell::new(world());
    let said =
        shell.run("pc", "visit -q --no-favicon --submit user=kim␣lee http://www.shop.lab/login");
    assert_eq!(said.code, 0, "{}", said.err);
    let wire = WIRE.take();
    assert!(wire[1].1.starts_with("POST /in HTTP/1.1\r\n"), "{}", wire[1].1);
    assert!(wire[1].1.ends_with("\r\n\r\nuser=kim+lee&token=t%261"), "{}", wire[1].1);
    assert!(wire[1].1.contains("\r\nOrigin: http://www.shop.lab\r\n"));
    shell.run("pc", "visit -q --no-favicon --form get --submit q=a http://www.shop.lab/login");
    assert!(WIRE.take()[1].1.starts_with("GET /in?q=a HTTP/1.1\r\n"));
}

#[test]
fn failures_have_the_names_that_browsers_give_them() {
    let mut shell = Shell::new(world());
    for (url, name) in [
        ("http://nosuch.lab/", "ERR_NAME_NOT_RESOLVED"),
        ("http://www.shop.lab:81/", "ERR_CONNECTION_REFUSED"),
        ("http://203.0.113.1/", "ERR_ADDRESS_UNREACHABLE"),
        ("http://www.shop.lab:22/", "ERR_UNSAFE_PORT"),
        ("https://www.shop.lab/", "ERR_SSL_PROTOCOL_ERROR"),
        ("ftp://www.shop.lab/", "ERR_UNKNOWN_URL_SCHEME"),
        ("http://www.shop.lab/empty", "ERR_EMPTY_RESPONSE"),
        ("http://www.shop.lab/garbage", "ERR_INVALID_HTTP_RESPONSE"),
        ("http://www.shop.lab/round", "ERR_TOO_MANY_REDIRECTS"),
        ("http://[::1/", "ERR_INVALID_URL"),
    ] {
        let said = shell.run("pc", &format!("visit -q {url}"));
        assert_eq!(said.code, 1, "{url}: {}", said.out);
        assert!(said.err.starts_with(&format!("visit: net::{name}: ")), "{url}: {}", said.err);
    }
    // Nobody answers the SYNs: virtual minutes.
    let mut shell = Shell::new(lab(&[]));
    let said = shell.run("pc", "visit -q http://172.16.0.1/");
    assert!(said.err.contains("net::ERR_ADDRESS_UNREACHABLE"), "{}", said.err);
    assert_eq!(shell.run("pc", "visit").code, 2);
    assert_eq!(shell.run("pc", "visit --repeat x http://h/").code, 2);
}

#[test]
fn our_own_server_is_visited() {
    let mut shell = Shell::new(web());
    let said = shell.run("pc", "visit -o page web");
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(shell.run("pc", "cat page").out, common::PAGE);
    let again = Shell::new(web()).run("pc", "visit -o page web");
    assert_eq!(said, again, "the same in every run");
    // The browser has ended and closed its connections first: TIME_WAIT is its own.
    shell.wait(1_000);
    let netstat = shell.run("pc", "netstat -tan").out;
    assert!(netstat.contains("TIME_WAIT"), "{netstat}");
}
