//! Ways over several routers: what traceroute and ping see of them.

use std::fmt::Write as _;

use netarium::{Lab, World};

/// `a` – r1 – … – r5 – `b`: networks 10.0.0.0/24 to 10.0.5.0/24, .1 and .2 at the ends of each.
/// `turn` is a router that sends what is for the last network back where it came from.
fn chain(turn: Option<u32>) -> String {
    let mut lab = String::from("version = 1\nlab.name = \"chain\"\n");
    for n in 0..=5 {
        let subnet = format!("subnet = \"10.0.{n}.0/24\"");
        let _ = writeln!(lab, "[networks.n{n}]\n{subnet}\nlink.delay = \"1ms\"");
    }
    let all = |via: &str| format!("routes = [{{ to = \"10.0.0.0/8\", via = \"{via}\" }}]");
    let _ = writeln!(lab, "[hosts.a]\nnetworks.n0 = \"10.0.0.1\"\n{}", all("10.0.0.2"));
    let _ = writeln!(lab, "[hosts.b]\nnetworks.n5 = \"10.0.5.2\"\n{}", all("10.0.5.1"));
    for n in 1..=5 {
        let back = format!("10.0.{}.1", n - 1);
        let _ = writeln!(
            lab,
            "[hosts.r{n}]\nrouter = true\nnetworks.n{} = \"10.0.{}.2\"",
            n - 1,
            n - 1
        );
        let _ = writeln!(lab, "networks.n{n} = \"10.0.{n}.1\"\nroutes = [");
        for m in (0..=5).filter(|m| m + 1 < n || *m > n) {
            let on = m > n && !(turn == Some(n) && m == 5);
            let via = if on { format!("10.0.{n}.2") } else { back.clone() };
            let _ = writeln!(lab, "  {{ to = \"10.0.{m}.0/24\", via = \"{via}\" }},");
        }
        lab += "]\n";
    }
    lab
}

fn world() -> World {
    Lab::load_str(&chain(None)).unwrap_or_else(|e| panic!("{e}")).build(1).unwrap()
}

fn told(world: &mut World, command: &str) -> (i32, String) {
    let out = world.exec("a", command).unwrap();
    (out.code, out.stdout_text() + &out.stderr_text())
}

#[test]
fn traceroute_names_each_router() {
    let mut world = world();
    let (code, said) = told(&mut world, "traceroute -n 10.0.5.2");
    assert_eq!(code, 0);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "traceroute to 10.0.5.2 (10.0.5.2), 30 hops max, 60 byte packets");
    assert_eq!(lines.len(), 7, "{said}");
    for (n, line) in (1..).zip(&lines[1..]) {
        let address = format!("10.0.{}.2", n - 1);
        assert!(line.starts_with(&format!("{n:2}  {address}  ")), "{line}");
        assert_eq!(line.matches(" ms").count(), 3, "{line}");
    }
    // Behind each router two more wires of 1 ms, there and back, once ARP is done.
    let (_, said) = told(&mut world, "traceroute -n -q 1 10.0.5.2");
    for (n, line) in (1..).zip(said.lines().skip(1)) {
        assert!(line.ends_with(&format!("  {}.000 ms", 4 * n)), "{line}");
    }
    let (code, icmp) = told(&mut world, "traceroute -I -n -q 1 b");
    assert_eq!(code, 0);
    assert_eq!(icmp.lines().skip(1).collect::<Vec<_>>(), said.lines().skip(1).collect::<Vec<_>>());
    let (_, named) = told(&mut world, "traceroute -q 1 -f 6 b");
    assert_eq!(named.lines().nth(1), Some(" 6  b (10.0.5.2)  24.000 ms"));
}

#[test]
fn traceroute_tells_where_a_way_ends() {
    let mut world = world();
    // Nobody there: the last router says so.
    let (_, said) = told(&mut world, "traceroute -n -q 1 10.0.5.77");
    assert!(said.trim_end().ends_with("!H"), "{said}");
    let (_, said) = told(&mut world, "traceroute -n -q 1 10.9.0.1");
    assert!(said.trim_end().ends_with("!N"), "{said}");
    // A host that drops what comes: silence, up to the limit.
    world
        .inner_mut()
        .command(netarium::world::Command::InboundDefault { host: "b".to_owned(), deny: true })
        .unwrap();
    let before = world.now();
    let (code, said) = told(&mut world, "traceroute -n -m 7 10.0.5.2");
    assert_eq!(code, 0);
    assert!(said.ends_with(" 6  * * *\n 7  * * *\n"), "{said}");
    assert_eq!(world.now().since(before).as_nanos() / 1_000_000_000, 5, "all at once");
    assert_eq!(told(&mut world, "traceroute nowhere").0, 2);
    assert_eq!(told(&mut world, "traceroute").0, 0);
}

/// RFC 791, RFC 1812 §5.3.1: packets do not go in circles for ever.
#[test]
fn a_routing_loop_ends_by_the_time_to_live() {
    let mut world = Lab::load_str(&chain(Some(3))).unwrap().build(1).unwrap();
    let (code, said) = told(&mut world, "ping -c 1 10.0.5.2");
    assert_eq!(code, 1);
    assert!(said.contains("Time to live exceeded"), "{said}");
    let (_, said) = told(&mut world, "traceroute -n -q 1 -m 6 10.0.5.2");
    let hops: Vec<_> = said.lines().skip(1).map(|l| l.split_whitespace().nth(1).unwrap()).collect();
    // As on Linux, an error comes from the address of the interface that it leaves by.
    assert_eq!(hops[1..], ["10.0.1.2", "10.0.2.2", "10.0.1.2", "10.0.2.2", "10.0.1.2"], "{said}");
}

#[test]
fn long_pings_are_cut_and_put_together() {
    let mut world = world();
    let (code, said) = told(&mut world, "ping -c 2 -s 4000 10.0.5.2");
    assert_eq!(code, 0);
    assert!(said.contains("4008 bytes from 10.0.5.2"), "{said}");
    let b = world.inner().host_id("b").unwrap();
    let stats = world.inner().stack(b).unwrap().stats();
    assert_eq!((stats.ip_reasm_oks, stats.ip_frag_oks), (2, 2));
    let (code, said) = told(&mut world, "ping -c 1 -M do -s 1500 10.0.5.2");
    assert_eq!(code, 1);
    assert!(said.contains("ping: local error: message too long, mtu=1500"), "{said}");
    assert_eq!(told(&mut world, "ping -c 1 -M do -s 1472 10.0.5.2").0, 0);
    assert_eq!(told(&mut world, "ping -M nonsense 10.0.5.2").0, 1);
}
