//! The delivery shop through real stacks: the same attack on both back ends.

mod common;

use common::{Shell, lab_with, statuses};

const MENU: &str = include_str!("../../lab/labs/shop/shop.json");

fn shell(kind: &str) -> Shell {
    Shell::new(lab_with(&[&format!("shop --{kind}")], &[("shop.json", MENU)]))
}

fn json(method: &str, path: &str, more: &str, body: &str) -> String {
    format!(
        "curl -s -i -X {method} {more} -H Content-Type:␣application/json -d {body} http://web{path}"
    )
    .replace("  ", " ")
}

fn cart(said: &str) -> String {
    let line = said.lines().find_map(|l| l.strip_prefix("Set-Cookie: cart=")).expect("a cart");
    line.split(';').next().expect("a value").to_owned()
}

const CART: &str = r#"{"items":[{"id":1,"count":2,"price":9000}]}"#;
const HONEST: &str = r#"{"items":[{"id":1,"count":2,"price":9000}],"total":18000,"address":"101"}"#;
const TAMPERED: &str = r#"{"items":[{"id":1,"count":2,"price":50}],"total":100,"address":"101"}"#;

#[test]
fn an_order_for_a_hundred_won() {
    let mut naive = shell("naive");
    let said = naive.run("pc", &json("POST", "/api/order", "", TAMPERED)).out;
    assert!(statuses(&said) == [201] && said.contains("\"total\":100"), "{said}");
    assert!(naive.run("web", "cat /var/log/shop/orders.log").out.contains("\"total\":100"));

    let mut careful = shell("careful");
    let cookie = cart(&careful.run("pc", &json("PUT", "/api/cart", "", CART)).out);
    let with = format!("-b cart={cookie}");
    let said = careful.run("pc", &json("POST", "/api/order", &with, TAMPERED)).out;
    assert!(
        statuses(&said) == [403] && said.contains("Bibimbap costs 9000 won, not 50."),
        "{said}"
    );
    let said = careful.run("pc", &json("POST", "/api/order", &with, HONEST)).out;
    assert!(statuses(&said) == [201] && said.contains("\"total\":18000"), "{said}");
    let log = careful.run("web", "cat /var/log/httpd/error_log").out;
    assert!(
        log.contains("[shop:error]")
            && log.contains("order refused: price: Bibimbap costs 9000 won, not 50."),
        "{log}"
    );
}

#[test]
fn the_cart_cookie_is_believed_by_one_and_checked_by_the_other() {
    let mut naive = shell("naive");
    let cookie = cart(&naive.run("pc", &json("PUT", "/api/cart", "", CART)).out);
    let seen = naive.run("pc", &format!("curl -s -b cart={cookie} http://web/api/cart")).out;
    assert!(seen.contains("9000"), "the price is in the cookie: {seen}");

    let mut careful = shell("careful");
    let said = careful.run("pc", &json("PUT", "/api/cart", "", CART)).out;
    assert!(said.contains("; HttpOnly; SameSite=Lax\r\n"), "{said}");
    let cookie = cart(&said);
    assert!(cookie.starts_with("1:2."), "{cookie}");
    let changed = cookie.replacen("1:2", "1:9", 1);
    let order = HONEST.replace("\"count\":2", "\"count\":9");
    let said =
        careful.run("pc", &json("POST", "/api/order", &format!("-b cart={changed}"), &order)).out;
    assert!(statuses(&said) == [403] && said.contains("\"field\":\"cart\""), "{said}");
    let seen = careful.run("pc", &format!("curl -s -i -b cart={changed} http://web/api/cart")).out;
    assert!(seen.contains("\"tampered\":true") && seen.contains("Max-Age=0"), "{seen}");
    let said = careful
        .run("pc", &json("PUT", "/api/cart", "", r#"{"items":[{"id":1,"count":2,"price":1}]}"#))
        .out;
    assert_eq!(statuses(&said), [403]);
}

#[test]
fn a_password_in_the_url_is_in_the_log() {
    let mut naive = shell("naive");
    let said = naive.run("pc", "curl -s -i -d user=student&password=network http://web/login").out;
    assert!(
        statuses(&said) == [303] && said.contains("; Path=/; HttpOnly; SameSite=Lax\r\n"),
        "{said}"
    );
    let log = naive.run("web", "cat /var/log/httpd/access_log").out;
    assert!(!log.contains("network"), "in the body: {log}");
    let said = naive.run("pc", "curl -s -i http://web/login?user=student&password=network").out;
    assert!(statuses(&said) == [200] && said.contains("Look at the address bar"), "{said}");
    let log = naive.run("web", "cat /var/log/httpd/access_log").out;
    assert!(log.contains("GET /login?user=student&password=network HTTP/1.1"), "{log}");

    let mut careful = shell("careful");
    let said = careful.run("pc", "curl -s -i http://web/login?user=student&password=network").out;
    assert!(statuses(&said) == [405] && said.contains("Allow: POST\r\n"), "{said}");
    let said = careful.run("pc", "curl -s -i -d user=student&password=wrong http://web/login").out;
    assert_eq!(statuses(&said), [403]);
    let said =
        careful.run("pc", "curl -s -i -d user=student&password=network http://web/login").out;
    let id = said.lines().find_map(|l| l.strip_prefix("Set-Cookie: session=")).expect("a session");
    let id = id.split(';').next().expect("an id");
    let me = format!("curl -s -b session={id} http://web/api/me");
    assert_eq!(careful.run("pc", &me).out, "{\"user\":\"student\"}\n");
    careful.run("pc", &format!("curl -s -X POST -b session={id} http://web/logout"));
    assert_eq!(careful.run("pc", &me).out, "{\"user\":null}\n");
}

#[test]
fn a_price_that_is_edited_counts_at_once() {
    let mut shell = shell("careful");
    let bytes = Some(MENU.replace("9000", "9500").into_bytes());
    shell.world.apply(netarium_world::Input::FileWrite { path: "shop.json".to_owned(), bytes });
    assert!(shell.run("pc", "curl -s http://web/api/menu").out.contains("9500"));
    assert_eq!(statuses(&shell.run("pc", &json("PUT", "/api/cart", "", CART)).out), [403]);
    let bytes = Some(b"{".to_vec());
    shell.world.apply(netarium_world::Input::FileWrite { path: "shop.json".to_owned(), bytes });
    assert_eq!(statuses(&shell.run("pc", "curl -s -i http://web/api/menu").out), [500]);
}

#[test]
fn a_shop_without_a_menu_does_not_open() {
    let mut shell = Shell::new(lab_with(&[], &[]));
    let said = shell.run("web", "shop --naive");
    assert_eq!((said.code, said.err.as_str()), (1, "shop: shop.json: No such file or directory\n"));
    assert_eq!(shell.run("web", "shop").code, 1);
}
