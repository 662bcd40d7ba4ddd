//! Names: from `curl` on a PC down to the root and back, in the built-in lab `dns` and in labs that
//! go wrong in one way each.

use netarium::{BuildOptions, Duration, Lab, World, lab};
use netarium_base::EventId;
use netarium_base::trace::{Event, Record};
use netarium_explain::{Role, why};

/// The lab `dns` with other files, and its text changed.
fn changed(files: &[(&str, &str)], edit: impl Fn(&str) -> String) -> Lab {
    let built_in = lab::builtin("dns").unwrap();
    let mut all = built_in.files();
    for (path, contents) in files {
        all.insert(path, contents.as_bytes().to_vec()).unwrap();
    }
    Lab::load("lab.toml", &edit(built_in.toml), &all).unwrap()
}

fn build(lab: &Lab) -> World {
    let options = BuildOptions { seed: Some(1), trace_limit: 1_000_000, ..BuildOptions::default() };
    lab.build_with(options).unwrap()
}

fn with_files(files: &[(&str, &str)]) -> World {
    build(&changed(files, str::to_owned))
}

fn run(world: &mut World, host: &str, command: &str) -> (i32, String) {
    let said = world.exec(host, command).unwrap();
    (said.code, said.stdout_text() + &said.stderr_text())
}

fn ok(world: &mut World, host: &str, command: &str) -> String {
    let (code, text) = run(world, host, command);
    assert_eq!(code, 0, "{command}: {text}");
    text
}

/// A counter of the resolver.
fn count(world: &mut World, name: &str) -> u64 {
    let text = ok(world, "resolver", "unbound-control stats");
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn records(world: &World) -> Vec<Record> {
    world.inner().tracer().records().cloned().collect()
}

/// Steps of the resolver since the start, by name.
fn steps(world: &World, wanted: &str) -> Vec<String> {
    let detail = |r: Record| match r.event {
        Event::DnsStep { step, detail, .. } if step == wanted => Some(detail.to_string()),
        _ => None,
    };
    records(world).into_iter().filter_map(detail).collect()
}

/// Which servers got queries since the start, in order.
fn asked(world: &World) -> Vec<String> {
    let names = world.inner().names();
    let server = |r: &Record| match (&r.event, r.place) {
        (Event::DnsQuery { side: "received", .. }, netarium_base::Place::Process(node, _)) => {
            Some(netarium_base::trace::Names::node(names, node).to_owned())
        }
        _ => None,
    };
    records(world).iter().filter_map(server).collect()
}

#[test]
fn a_name_becomes_a_page() {
    let mut world = with_files(&[]);
    assert!(ok(&mut world, "pc", "curl -s http://www.shop.lab/").contains("The shop"));
    assert_eq!(asked(&world), ["resolver", "root", "tld", "ns1"]);
    // The second time the resolver knows.
    assert_eq!(ok(&mut world, "pc", "dig +short www.shop.lab"), "shop.lab.\n10.0.0.80\n");
    assert_eq!(asked(&world).len(), 5);
    assert_eq!(ok(&mut world, "pc", "dig -x 10.0.0.80 +short"), "www.shop.lab.\n");
    assert_eq!(ok(&mut world, "pc", "dig @ns1 shop.lab MX +short"), "10 mail.shop.lab.\n");
    let trace = ok(&mut world, "pc", "dig +trace www.shop.lab");
    let hops: Vec<&str> = trace.lines().filter(|l| l.starts_with(";; Received")).collect();
    assert_eq!(hops.len(), 4, "{trace}");
    for (hop, server) in hops.iter().zip([
        "10.0.0.53#53(10.0.0.53)",
        "10.0.0.1#53(a.root-servers.lab)",
        "10.0.0.2#53(ns.nic.lab)",
        "10.0.0.3#53(ns1.shop.lab)",
    ]) {
        assert!(hop.contains(&format!("from {server} in ")), "{hop}");
    }
    // Every host of the lab asks the one resolver.
    assert_eq!(ok(&mut world, "tld", "cat /etc/resolv.conf"), "nameserver 10.0.0.53\n");
    assert!(ok(&mut world, "web", "ping -c 1 mail.shop.lab").contains("(10.0.0.80)"));
}

/// From the query that reaches the authority, causes lead back through both referrals to the
/// program on the PC.
#[test]
fn why_walks_from_the_authority_back_to_the_program() {
    let mut world = with_files(&[]);
    ok(&mut world, "pc", "curl -s http://www.shop.lab/");
    let (all, names) = (records(&world), world.inner().names());
    let node = world.inner().host_id("ns1").unwrap();
    let last = all.iter().rev().find(|r| {
        matches!(r.event, Event::DnsQuery { side: "received", .. })
            && matches!(r.place, netarium_base::Place::Process(n, _) if n == node)
    });
    let chain = why(&all[..], names, last.unwrap().id);
    assert!(chain.iter().all(|l| l.role != Role::Gap));
    let find = |id: EventId| all.binary_search_by_key(&id, |r| r.id).ok().map(|i| &all[i]);
    let told: Vec<String> = chain
        .iter()
        .filter(|l| l.role != Role::Origin)
        .filter_map(|l| find(l.id))
        .filter_map(|r| {
            let place = match r.place {
                netarium_base::Place::Process(n, _) => netarium_base::trace::Names::node(names, n),
                _ => return None,
            };
            match &r.event {
                Event::DnsQuery { side, .. } => Some(format!("{place} query {side}")),
                Event::DnsResponse { side, .. } => Some(format!("{place} response {side}")),
                Event::ProcessStarted { command, .. } => Some(format!("{place} {command}")),
                _ => None,
            }
        })
        .collect();
    let expect = [
        "ns1 query received",
        "resolver query sent",
        "resolver response received",
        "tld response sent",
        "tld query received",
        "resolver query sent",
        "resolver response received",
        "root response sent",
        "root query received",
        "resolver query sent",
        "resolver query received",
        "pc query sent",
        "pc curl -s http://www.shop.lab/",
    ];
    assert_eq!(told, expect);
}

#[test]
fn what_is_not_there_is_remembered() {
    let mut world = with_files(&[]);
    let (code, text) = run(&mut world, "pc", "curl -s -S http://nope.shop.lab/");
    assert_eq!((code, text.as_str()), (6, "curl: (6) Could not resolve host: nope.shop.lab\n"));
    let sent = count(&mut world, "upstream.num.queries");
    assert_eq!(sent, 3);
    let text = ok(&mut world, "pc", "dig nope.shop.lab MX");
    assert!(
        text.contains("status: NXDOMAIN") && text.contains("shop.lab.\t\t300\tIN\tSOA"),
        "{text}"
    );
    ok(&mut world, "pc", "dig +short www.shop.lab AAAA");
    ok(&mut world, "pc", "dig +short www.shop.lab AAAA");
    assert_eq!(count(&mut world, "upstream.num.queries"), sent + 1);
    // Longer than the SOA record says it is not believed.
    world.run_for(Duration::from_secs(301));
    ok(&mut world, "pc", "dig nope.shop.lab");
    assert_eq!(count(&mut world, "upstream.num.queries"), sent + 2);
}

#[test]
fn the_cache_forgets_what_is_over() {
    let mut world = with_files(&[]);
    let ask = |world: &mut World| {
        let text = ok(world, "pc", "dig www.shop.lab +noall +answer");
        let ttl: Vec<&str> = text.lines().filter_map(|l| l.split_whitespace().nth(1)).collect();
        (ttl.join(" "), asked(world).join(" "))
    };
    let first = "resolver root tld ns1";
    assert_eq!(ask(&mut world), ("300 300".into(), first.into()));
    world.run_for(Duration::from_secs(200));
    assert_eq!(ask(&mut world), ("100 100".into(), format!("{first} resolver")));
    // The records are over after 5 minutes, the delegation lives an hour, that of `lab` two days.
    world.run_for(Duration::from_secs(200));
    assert_eq!(ask(&mut world), ("300 300".into(), format!("{first} resolver resolver ns1")));
    world.run_for(Duration::from_secs(3_600));
    let before = asked(&world).len();
    ask(&mut world);
    assert_eq!(asked(&world)[before..], ["resolver", "tld", "ns1"]);
    world.run_for(Duration::from_secs(50 * 3_600));
    let before = asked(&world).len();
    ask(&mut world);
    assert_eq!(asked(&world)[before..], ["resolver", "root", "tld", "ns1"]);
    assert!(count(&mut world, "cache.expired") > 3);
    // By hand, too.
    assert!(ok(&mut world, "resolver", "unbound-control dump_cache").contains("10.0.0.80"));
    ok(&mut world, "resolver", "unbound-control flush_zone shop.lab");
    assert!(!ok(&mut world, "resolver", "unbound-control dump_cache").contains("10.0.0.80"));
}

#[test]
fn a_server_that_is_silent_is_told_and_comes_back() {
    let mut world = with_files(&[]);
    ok(&mut world, "ns1", "iptables -A INPUT -p udp --dport 53 -j DROP");
    let (code, text) = run(&mut world, "pc", "dig www.shop.lab +time=20 +tries=1");
    assert_eq!(code, 0, "{text}");
    let why = "all servers of shop.lab. failed; 10.0.0.3 did not answer";
    assert!(text.contains("status: SERVFAIL"), "{text}");
    assert!(text.contains(&format!("; EDE: 22 (No Reachable Authority): ({why})")), "{text}");
    assert_eq!(steps(&world, "timeout").len(), 4, "four tries, each twice as long");
    assert_eq!(steps(&world, "servfail"), [why]);
    // Other programs say it in their own words.
    let (code, text) = run(&mut world, "pc", "ping -c 1 www.shop.lab");
    assert_eq!(
        (code, text.as_str()),
        (2, "ping: www.shop.lab: Temporary failure in name resolution\n")
    );
    ok(&mut world, "ns1", "iptables -F INPUT");
    world.run_for(Duration::from_secs(6));
    assert_eq!(ok(&mut world, "pc", "dig +short www.shop.lab"), "shop.lab.\n10.0.0.80\n");
}

#[test]
fn a_server_that_cannot_be_reached_is_told() {
    let mut world = with_files(&[]);
    let command = netarium::world::Command::LinkUp { link: "ns1.net".to_owned(), up: false };
    world.inner_mut().command(command).unwrap();
    let text = ok(&mut world, "pc", "dig www.shop.lab +time=20 +tries=1");
    let why = "all servers of shop.lab. failed; 10.0.0.3: No route to host";
    assert!(text.contains("SERVFAIL") && text.contains(why), "{text}");
}

#[test]
fn lame_servers_are_passed_over() {
    let zone = |servers: &str| {
        let old = lab::builtin("dns").unwrap().files();
        let lab = String::from_utf8_lossy(old.get("zones/lab.zone").unwrap()).into_owned();
        lab.replace("shop          3600 IN NS  ns1.shop\n", servers)
    };
    // Two of three do not serve the zone; whichever is asked first, the answer is found.
    let three = "shop NS ns1.shop\nshop NS ns2.shop\nshop NS ns3.shop\nns2.shop A 10.0.0.1\nns3.shop A 10.0.0.2\n";
    let mut lame = 0;
    for seed in 1..6 {
        let lab = changed(&[("zones/lab.zone", &zone(three))], str::to_owned);
        let mut world = lab.build(seed).unwrap();
        assert_eq!(ok(&mut world, "pc", "dig +short www.shop.lab"), "shop.lab.\n10.0.0.80\n");
        lame += count(&mut world, "upstream.num.lame");
    }
    assert!(lame > 0, "the servers are chosen by chance");
    // All of them.
    let two = "shop NS ns2.shop\nns2.shop A 10.0.0.2\n";
    let mut world = with_files(&[("zones/lab.zone", &zone(two))]);
    let text = ok(&mut world, "pc", "dig www.shop.lab");
    assert!(text.contains("SERVFAIL") && text.contains("10.0.0.2 is lame for shop.lab."), "{text}");
}

#[test]
fn long_answers_come_over_tcp() {
    let string = format!("\"{}\" ", "x".repeat(200));
    let zone = format!(
        "$TTL 300\n@ SOA ns1 a 1 2 3 4 5\n NS ns1\nns1 A 10.0.0.3\nbig TXT {}\n",
        string.repeat(8)
    );
    let mut world = with_files(&[("zones/shop.lab.zone", &zone)]);
    let text = ok(&mut world, "pc", "dig big.shop.lab TXT");
    assert!(text.starts_with(";; Truncated, retrying in TCP mode.\n"), "{text}");
    assert!(text.contains("(TCP)") && text.matches(&"x".repeat(200)).count() == 8, "{text}");
    assert_eq!(count(&mut world, "upstream.num.tcp"), 1);
    assert_eq!(steps(&world, "truncated").len(), 1);
}

#[test]
fn work_is_bounded() {
    // RFC 1034 §3.6.2 forbids it, and so it is tried: aliases in a circle.
    let head = "$TTL 300\n@ SOA ns1 a 1 2 3 4 5\n NS ns1\nns1 A 10.0.0.3\n";
    let zone = format!("{head}a CNAME b\nb CNAME a\n");
    let mut world = with_files(&[("zones/shop.lab.zone", &zone)]);
    let text = ok(&mut world, "pc", "dig a.shop.lab");
    assert!(text.contains("SERVFAIL") && text.contains("the aliases lead in a circle"), "{text}");
    // A zone that names many servers without addresses (NXNSAttack).
    let servers: String = (0..50).map(|n| format!("x NS ns{n}.y{n}\n")).collect();
    let mut world = with_files(&[("zones/shop.lab.zone", &format!("{head}{servers}"))]);
    let text = ok(&mut world, "pc", "dig www.x.shop.lab");
    assert!(
        text.contains("SERVFAIL") && text.contains("no server of x.shop.lab. has an address"),
        "{text}"
    );
    assert!(count(&mut world, "upstream.num.queries") < 10);
    // Servers whose names need each other.
    let zone = format!("{head}p NS ns.q\nq NS ns.p\n");
    let mut world = with_files(&[("zones/shop.lab.zone", &zone)]);
    let text = ok(&mut world, "pc", "dig www.p.shop.lab");
    assert!(text.contains("SERVFAIL"), "{text}");
    assert!(count(&mut world, "upstream.num.queries") < 20);
}

#[test]
fn delegations_without_addresses_are_followed() {
    let lab = "$TTL 172800\n@ SOA ns.nic a 1 2 3 4 5\n NS ns.nic\nns.nic A 10.0.0.2\na.root-servers A 10.0.0.1\nshop NS ns1.shop\nns1.shop A 10.0.0.3\nother NS ns1.shop\n";
    let other = "$TTL 60\n@ SOA ns1.shop.lab. a 1 2 3 4 5\n NS ns1.shop.lab.\nwww A 10.0.0.80\n";
    let edit = |text: &str| {
        text.replace(
            "nsd shop.lab=zones/shop.lab.zone",
            "nsd shop.lab=zones/shop.lab.zone other.lab=zones/other.zone",
        )
    };
    let mut world = build(&changed(&[("zones/lab.zone", lab), ("zones/other.zone", other)], edit));
    assert_eq!(ok(&mut world, "pc", "dig +short www.other.lab"), "10.0.0.80\n");
    // An alias from one zone into another.
    let shop =
        "$TTL 300\n@ SOA ns1 a 1 2 3 4 5\n NS ns1\nns1 A 10.0.0.3\nwww CNAME www.other.lab.\n";
    let files =
        [("zones/lab.zone", lab), ("zones/other.zone", other), ("zones/shop.lab.zone", shop)];
    let mut world = build(&changed(&files, edit));
    assert_eq!(ok(&mut world, "web", "dig +short www.shop.lab"), "www.other.lab.\n10.0.0.80\n");
}

#[test]
fn the_same_question_is_asked_once() {
    let edit = |text: &str| {
        let runs = text.find("[[run]]").unwrap();
        let run = |host: &str| {
            format!(
                "[[run]]\nat = \"1s\"\nhost = \"{host}\"\ncommand = \"dig +short www.shop.lab\"\n"
            )
        };
        format!("{}{}{}{}", &text[..runs], run("pc"), run("web"), run("tld"))
    };
    let options = BuildOptions { seed: Some(1), runs: true, ..BuildOptions::default() };
    let mut world = changed(&[], edit).build_with(options).unwrap();
    world.run_until_idle(Duration::from_secs(60));
    assert_eq!(count(&mut world, "total.num.queries"), 3);
    assert_eq!(count(&mut world, "total.num.coalesced"), 2);
    assert_eq!(count(&mut world, "upstream.num.queries"), 3);
}

#[test]
fn hosts_files_search_lists_and_keys() {
    let files = [
        (
            "files/pc/etc/resolv.conf",
            "nameserver 10.0.0.53\nsearch shop.lab\noptions timeout:1 attempts:1\n",
        ),
        ("files/pc/etc/hosts", "10.0.0.80 mine.example mine\n"),
    ];
    let edit = |text: &str| {
        text.replace(
            "networks.net = \"10.0.0.80\"\n",
            "networks.net = \"10.0.0.80\"\nresolver = \"none\"\n",
        )
        .replace(
            "networks.net = \"10.0.0.3\"\n",
            "networks.net = \"10.0.0.3\"\nresolver = [\"root\", \"10.0.0.53\"]\n",
        )
    };
    let mut world = build(&changed(&files, edit));
    assert!(ok(&mut world, "pc", "curl -s http://www/").contains("The shop"));
    assert!(ok(&mut world, "pc", "curl -s http://mine/").contains("The shop"));
    assert!(
        ok(&mut world, "pc", "nslookup www").contains("www.shop.lab\tcanonical name = shop.lab.")
    );
    assert_eq!(
        ok(&mut world, "pc", "getent hosts 10.0.0.80 www.shop.lab"),
        "10.0.0.80       mine.example\n10.0.0.80       www.shop.lab\n"
    );
    assert_eq!(ok(&mut world, "pc", "getent hosts 10.0.0.3"), "10.0.0.3        ns1\n");
    // Without a resolver there is nobody to ask, and no waiting.
    let (code, text) = run(&mut world, "web", "ping -c 1 www.shop.lab");
    assert_eq!((code, text.as_str()), (2, "ping: www.shop.lab: Name or service not known\n"));
    assert_eq!(
        ok(&mut world, "ns1", "cat /etc/resolv.conf"),
        "nameserver 10.0.0.1\nnameserver 10.0.0.53\n"
    );
    // The first server refuses nothing here: it is no resolver, and says so; the second answers.
    assert!(ok(&mut world, "ns1", "dig +short www.shop.lab @10.0.0.53").contains("10.0.0.80"));
    // The lab with its keys, written and read again.
    let lab = changed(&files, edit);
    let again = Lab::load("lab.toml", &lab.model().to_toml(), lab.model().files()).unwrap();
    assert_eq!(again.model(), lab.model());
}

#[test]
fn zones_are_read_again_on_hangup() {
    let mut world = with_files(&[]);
    let log = |world: &mut World| ok(world, "ns1", "ps").contains("nsd");
    assert!(log(&mut world));
    let edit = |world: &mut World, zone: &str| {
        let input = netarium::world::Input::FileWrite {
            path: "zones/shop.lab.zone".to_owned(),
            bytes: Some(zone.as_bytes().to_vec()),
        };
        world.inner_mut().apply(input);
        let kill = netarium::world::Command::Kill { host: "ns1".to_owned(), pid: 100, signal: 1 };
        world.inner_mut().command(kill).unwrap();
    };
    edit(&mut world, "$TTL 9\n@ SOA a b 2 2 3 4 5\n NS a\nwww A 10.9.9.9\n");
    assert_eq!(ok(&mut world, "pc", "dig @ns1 +short www.shop.lab"), "10.9.9.9\n");
    // A file with a mistake changes nothing.
    edit(&mut world, "$TTL 9\n@ SOA nonsense\n");
    assert_eq!(ok(&mut world, "pc", "dig @ns1 +short www.shop.lab"), "10.9.9.9\n");
}
