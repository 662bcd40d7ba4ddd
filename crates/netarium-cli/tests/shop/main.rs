//! The delivery shop in a real browser: through a published port, and through the proxy with the
//! lab's own names, as `netarium browser` opens it. Both back ends, the price changed with F12, and
//! the sign-in by POST and by GET.
//!
//! `NETARIUM_SCREENSHOTS=FOLDER` keeps pictures of the pages.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod devtools;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Running, command};
use devtools::{Browser, QUIET};
use serde_json::Value;

/// Whether there is a browser; says so when not.
fn there_is_chromium() -> bool {
    let there = Command::new("chromium")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !there {
        println!("skipped: chromium is not installed");
    }
    there
}

const DOOR: &str = "--remote-debugging-port=0";

/// The real browser of this machine, which knows nothing of a lab.
fn beside(home: &Path) -> Browser {
    let mut command = Command::new("chromium");
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    command.args(QUIET).args([DOOR, profile.as_str(), "about:blank"]).env("HOME", home);
    Browser::start(command)
}

/// The same as `netarium browser` opens it, with the lab's names.
fn inside(home: &Path, at: &str) -> Browser {
    let args = ["browser", "--with", "chromium", "--headless", "--at", at, "about:blank"];
    Browser::start(command(home, &[&args[..], &["--", DOOR]].concat()))
}

/// What a customer does with a back end, honest and not; what it says to the order for 100 won.
fn order_twice(browser: &Browser, site: &str, name: &str) -> (Value, Value) {
    browser.open(&format!("{site}?lang=ko"));
    browser.until("document.querySelector('#menu button')");
    assert_eq!(browser.text("h1"), "배달 가게");
    browser.picture(&format!("{name}-open.png"));

    // As everybody orders.
    browser.click("#menu button");
    browser.fill("#address", "101호");
    browser.click("#order");
    let said = browser.until("document.querySelector('#said.good')?.textContent");
    assert_eq!(said, "주문 1번이 들어갔어요. 9,000원");

    // F12, Console: the price is in the page's memory.
    assert_eq!(browser.console("shop.dishes[0].price"), 9000);
    browser.console("shop.dishes[0].price = 100");
    browser.console("document.getElementById('said').className = ''");
    browser.click("#menu button");
    browser.click("#order");
    browser.until("document.querySelector('#said').className");
    browser.picture(&format!("{name}-tampered.png"));

    // F12, Network: the request's body, and what came back.
    let is_order = |p: &Value| {
        let request = &p["request"];
        request["url"].as_str().unwrap().ends_with("api/order")
            && request["postData"].as_str().is_some_and(|body| body.contains("\"total\":100"))
    };
    let asked = browser.told("Network.requestWillBeSent", is_order);
    let response =
        browser.told("Network.responseReceived", |p| p["requestId"] == asked["requestId"]);
    (response["response"]["status"].clone(), browser.text("#said").into())
}

const TAKEN: &str = "주문 2번이 들어갔어요. 100원";
const REFUSED: &str = "HTTP 403: 비빔밥 가격은 9000원인데 100원이 왔어요.";

/// One sign-in by the form `method` of the page, with a password that is looked for afterwards.
fn sign_in(browser: &Browser, site: &str, form: &str) {
    browser.open(&format!("{site}login.html"));
    browser.fill(&format!("#{form} [name=password]"), "network");
    browser.click(&format!("#{form} button"));
    browser.loaded();
}

/// The sign-in by POST: nothing in the address bar, the history or the log; by GET in all three.
fn sign_in_twice(browser: &Browser, lab: &Running, site: &str) {
    let log = || lab.run(&["exec", "naive", "cat", "/var/log/httpd/access_log"]).1;
    browser.call("Page.resetNavigationHistory", serde_json::json!({}));
    sign_in(browser, site, "post");
    browser.until("document.querySelector('#logout') && !document.querySelector('#logout').hidden");
    assert_eq!(browser.address_bar(), site);
    assert!(!browser.history().contains("network"), "{}", browser.history());
    assert!(log().contains("\"POST /login HTTP/1.1\" 303") && !log().contains("network"));
    assert_eq!(browser.console("document.cookie.includes('session')"), false, "HttpOnly");
    browser.click("#logout button");
    browser.loaded();

    sign_in(browser, site, "get");
    browser.picture("signed-in-by-get.png");
    let url = format!("{site}login?user=student&password=network");
    assert_eq!(browser.address_bar(), url);
    browser.click("#on");
    browser.loaded();
    browser.until("document.querySelector('#logout') && !document.querySelector('#logout').hidden");
    assert!(browser.history().contains("password=network"));
    let log = log();
    assert!(log.contains("GET /login?user=student&password=network HTTP/1.1\" 200"), "{log}");
    assert!(log.contains(&format!("\"{url}\"")), "as Referer: {log}");
}

#[test]
fn the_shop_through_a_published_port() {
    if !there_is_chromium() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["shop", "--proxy", "off"]);
    let site =
        |n: usize| format!("http://{}/", lab.up["lab"]["published"][n]["listen"].as_str().unwrap());
    let browser = beside(home.path());
    assert_eq!(order_twice(&browser, &site(0), "port-naive"), (201.into(), TAKEN.into()));
    assert_eq!(order_twice(&browser, &site(1), "port-careful"), (403.into(), REFUSED.into()));
    sign_in_twice(&browser, &lab, &site(0));
    browser.close();
    lab.stop();
}

#[test]
fn the_shop_by_the_labs_own_names() {
    if !there_is_chromium() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course", "--proxy", "0"]);
    let browser = inside(home.path(), "friend");
    let naive = "http://www.shop.lab/";
    assert_eq!(order_twice(&browser, naive, "names-naive"), (201.into(), TAKEN.into()));
    let careful = "http://careful.shop.lab/";
    assert_eq!(order_twice(&browser, careful, "names-careful"), (403.into(), REFUSED.into()));
    sign_in_twice(&browser, &lab, naive);
    refused_by_the_careful(&browser, &lab, careful);
    // The friend's own address is in the shop's log, and the names came from the lab's servers.
    let (_, log) = lab.run(&["exec", "naive", "cat", "/var/log/httpd/access_log"]);
    assert!(log.lines().all(|line| line.starts_with("10.0.0.7 ")), "{log}");
    let (_, cache) = lab.run(&["exec", "resolver", "unbound-control", "dump_cache"]);
    assert!(cache.contains("www.shop.lab.") && cache.contains("careful.shop.lab."), "{cache}");
    browser.close();
    lab.stop();
}

/// What else the careful back end does not take: an order without an address (400), a cart cookie
/// that was changed (403), a password in the URL (405).
fn refused_by_the_careful(browser: &Browser, lab: &Running, site: &str) {
    browser.open(&format!("{site}?lang=ko"));
    browser.until("document.querySelector('#menu button')");
    browser.fill("#address", " ");
    browser.click("#menu button");
    browser.click("#order");
    let said = browser.until("document.querySelector('#said').textContent");
    assert!(said.as_str().unwrap().starts_with("HTTP 400: "), "{said}");

    let cookies = browser.call("Network.getCookies", serde_json::json!({}))["cookies"].take();
    let cart = cookies.as_array().unwrap().iter().find(|c| c["name"] == "cart").unwrap();
    assert_eq!((&cart["httpOnly"], &cart["sameSite"]), (&true.into(), &"Lax".into()));
    let signed = cart["value"].as_str().unwrap();
    let changed = signed.replacen(':', ":7", 1);
    let wanted = serde_json::json!({
        "name": "cart", "value": changed, "url": site, "httpOnly": true, "sameSite": "Lax",
    });
    browser.call("Network.setCookie", wanted);
    browser.open(&format!("{site}?lang=ko"));
    let said = browser.until("document.querySelector('#said').textContent");
    assert_eq!(said, "장바구니 쿠키가 바뀌어 있어서 비웠어요.");

    sign_in(browser, site, "get");
    assert!(browser.text("body").contains("405") || browser.text("title").contains("405"));
    let (_, log) = lab.run(&["exec", "careful", "cat", "/var/log/httpd/error_log"]);
    assert!(log.contains("order refused: price: Bibimbap costs 9000 won, not 100."), "{log}");
}
