//! The two ways of looking at the same orders.

use netarium_base::Seed;
use serde_json::json;

use super::cart::{self, Key};
use super::menu::Menu;
use super::order::{self, Items};
use super::*;

fn menu() -> Menu {
    let text = r#"{ "dishes": [
        { "id": 1, "name": { "en": "Bibimbap", "ko": "비빔밥" }, "price": 9000 },
        { "id": 2, "name": { "en": "Naengmyeon", "ko": "냉면" }, "price": 11000 }
    ], "users": [{ "name": "student", "password": "network" }] }"#;
    Menu::parse(text.as_bytes()).unwrap()
}

fn key() -> Key {
    Key::draw(&mut Seed(1).stream("web", "key"))
}

fn honest() -> Value {
    json!({ "items": [{ "id": 1, "count": 2, "price": 9000 }], "total": 18000, "address": "기숙사 101호" })
}

fn judged(order: &Value, cart: Option<Option<Items>>) -> (u16, &'static str) {
    match order::judge(order.to_string().as_bytes(), true, &menu(), cart) {
        Ok(order) => (201, if order.total == 18000 { "18000" } else { "other" }),
        Err(refusal) => refusal.told(),
    }
}

#[test]
fn the_careful_back_end_refuses_what_was_changed() {
    let cart = || Some(Some(vec![(1, 2)]));
    assert_eq!(judged(&honest(), cart()), (201, "18000"));
    let with = |path: &str, value: Value| {
        let mut order = honest();
        *order.pointer_mut(path).unwrap() = value;
        order
    };
    for (path, value, expect) in [
        ("/items/0/price", json!(100), (403, "price")),
        ("/items/0/price", json!("9000"), (403, "price")),
        ("/items/0/price", json!(-9000), (403, "price")),
        ("/items/0/price", json!(9000.5), (403, "price")),
        ("/total", json!(100), (403, "total")),
        ("/total", json!("18000"), (403, "total")),
        ("/total", json!(null), (403, "total")),
        ("/items/0/count", json!(0), (400, "count")),
        ("/items/0/count", json!(-1), (400, "count")),
        ("/items/0/count", json!(1.5), (400, "count")),
        ("/items/0/count", json!(100), (400, "count")),
        ("/items/0/count", json!(3), (403, "items")),
        ("/items/0/id", json!(9), (400, "id")),
        ("/items/0/id", json!("1"), (400, "id")),
        ("/items", json!([]), (400, "items")),
        ("/items", json!("x"), (400, "items")),
        ("/address", json!(""), (400, "address")),
        ("/address", json!("x".repeat(201)), (400, "address")),
        ("/address", json!("a\nb"), (400, "address")),
        ("/address", json!(7), (400, "address")),
    ] {
        assert_eq!(judged(&with(path, value.clone()), cart()), expect, "{path} {value}");
    }
    assert_eq!(judged(&honest(), None), (400, "cart"));
    assert_eq!(judged(&honest(), Some(None)), (403, "cart"));
    assert_eq!(judged(&json!({ "coupon": 1 }), cart()), (400, "body"));
    let twice = json!([{ "id": 1, "count": 1 }, { "id": 1, "count": 1 }]);
    assert_eq!(judged(&with("/items", twice), cart()), (400, "id"));
    let plain = order::judge(b"{", true, &menu(), cart());
    assert_eq!(plain.unwrap_err().told(), (400, "body"));
    assert_eq!(order::judge(b"{}", false, &menu(), cart()).unwrap_err().told(), (415, "body"));
}

#[test]
fn the_naive_back_end_believes_everything() {
    let cheap =
        json!({ "items": [{ "id": 1, "count": 2, "price": 50 }], "total": 100, "address": "x" });
    let order = order::believe(cheap.to_string().as_bytes()).unwrap();
    assert_eq!(order.total, 100);
    assert!(order::believe(b"total=100").is_err());
}

#[test]
fn a_signed_cart_cannot_be_changed() {
    let key = key();
    let cookie = key.sign(&vec![(1, 2), (2, 1)]);
    assert!(cookie.starts_with("1:2,2:1."), "{cookie}");
    assert_eq!(key.verify(&cookie), Some(vec![(1, 2), (2, 1)]));
    assert_eq!(key.verify(&cookie.replacen("1:2", "1:9", 1)), None);
    assert_eq!(key.verify("1:2"), None);
    assert_eq!(key.verify("1:2."), None);
    assert_eq!(key.verify(""), None);
    let other = Key::draw(&mut Seed(2).stream("web", "key"));
    assert_eq!(other.verify(&cookie), None, "each server has a key of its own");
    assert_eq!(key.verify(&key.sign(&vec![])), Some(vec![]));
}

#[test]
fn a_plain_cart_says_whatever_it_was_told() {
    let cart = json!({ "items": [{ "id": 1, "count": 1, "price": 1 }] });
    assert_eq!(cart::read_plain(&cart::plain(&cart)), cart);
    assert_eq!(cart::read_plain("%%%"), json!({ "items": [] }));
}

#[test]
fn the_command_line_is_understood() {
    let parse = |line: &str| {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        super::parse(&args).map(|p| p.map(|p| (p.0, p.1)))
    };
    assert_eq!(parse("--naive"), Ok(Some((Kind::Naive, "shop.json".to_owned()))));
    assert_eq!(
        parse("--careful --menu m.json --listen 81"),
        Ok(Some((Kind::Careful, "m.json".to_owned())))
    );
    assert_eq!(parse("--help"), Ok(None));
    for bad in ["", "--greedy", "--naive x"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
