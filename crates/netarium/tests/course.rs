//! The lab `course`: its names from the root down, the shop with both back ends, and what it has
//! always promised.

use netarium::{BuildOptions, Lab, World};
use netarium_base::Place;
use netarium_base::trace::{Event, Record};

const ORDER: &str =
    r#"{"items":[{"id":1,"count":1,"price":100}],"total":100,"address":"room 101"}"#;

fn course() -> World {
    let options = BuildOptions { seed: Some(1), trace_limit: 100_000, ..BuildOptions::default() };
    Lab::builtin("course").unwrap().build_with(options).unwrap()
}

/// What a command says on its standard output, and its exit code.
fn run(world: &mut World, host: &str, command: &str) -> (i32, String) {
    let said = world.exec(host, command).unwrap();
    (said.code, said.stdout_text())
}

#[test]
fn a_name_leads_from_the_root_down_to_the_shop_for_everybody() {
    let mut world = course();
    for host in ["friend", "pc", "web", "router", "naive"] {
        let (code, page) = run(&mut world, host, "curl -s http://www.shop.lab/");
        assert!(code == 0 && page.contains("Delivery shop"), "{host}: {code} {page}");
    }
    // One client's question cost three of the resolver's; all others found it remembered.
    let names = world.inner().names();
    let server = |r: &Record| match (&r.event, r.place) {
        (Event::DnsQuery { side: "received", .. }, Place::Process(node, _)) => {
            Some(names.node(node).to_owned())
        }
        _ => None,
    };
    let queries: Vec<String> = world.inner().tracer().records().filter_map(server).collect();
    let asked = |host: &str| queries.iter().filter(|q| *q == host).count();
    assert_eq!(["dns-root", "dns-lab", "dns-shop"].map(asked), [1, 1, 1]);
    assert_eq!((asked("resolver"), queries.len()), (5, 8));
}

#[test]
fn a_trace_of_a_name_shows_each_server() {
    let (code, said) = run(&mut course(), "pc", "dig +trace www.shop.lab");
    assert_eq!(code, 0, "{said}");
    let from: Vec<_> = said.lines().filter(|l| l.starts_with(";; Received")).collect();
    let servers = ["10.0.0.53#53", "10.0.0.51#53", "10.0.0.52#53", "10.0.0.54#53"];
    assert!(from.len() == 4 && from.iter().zip(servers).all(|(l, s)| l.contains(s)), "{said}");
    assert!(said.contains("shop.lab.\t\t300\tIN\tA\t10.0.0.80"), "{said}");
}

#[test]
fn an_order_for_a_hundred_won_goes_through_at_one_back_end() {
    let mut world = course();
    let mut order = |site: &str| {
        let command = format!(
            "curl -s -w %{{http_code}} -H 'Content-Type: application/json' -d '{ORDER}' \
             http://{site}/api/order"
        );
        run(&mut world, "friend", &command).1
    };
    for site in ["www.shop.lab", "shop.lab", "naive.shop.lab"] {
        let said = order(site);
        assert!(said.ends_with("201") && said.contains("\"total\":100"), "{site}: {said}");
    }
    let said = order("careful.shop.lab");
    assert!(said.ends_with("403") && said.contains("costs 9000 won, not 100"), "{said}");
}

#[test]
fn a_browser_takes_the_steps_of_the_shops_page() {
    let (code, said) = run(&mut course(), "friend", "visit http://www.shop.lab/");
    assert_eq!(code, 0, "{said}");
    for step in ["www.shop.lab → 10.0.0.80", "/style.css", "/shop.js", "and 2 more"] {
        assert!(said.contains(step), "{step}: {said}");
    }
}

#[test]
fn a_name_that_nobody_has_is_not_found() {
    let mut world = course();
    for name in ["nope.shop.lab", "example.com", "nothing"] {
        assert_eq!(run(&mut world, "friend", &format!("curl -s http://{name}/")).0, 6, "{name}");
    }
}
