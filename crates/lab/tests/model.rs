//! Valid labs: what the conventions fill in, and that a lab written out reads as itself.

use std::net::Ipv4Addr;

use netarium_base::{Duration, name_hash};
use netarium_lab::model::NodeKind;
use netarium_lab::{
    Action, Files, HostBuilder, Ipv4Net, Lab, LabBuilder, PortRange, Protocol, Rate, Traffic,
    builtin, schema,
};

const PROGRAMS: [&str; 13] = [
    "cat",
    "conntrack",
    "curl",
    "dhclient",
    "dig",
    "httpd",
    "ip",
    "iptables",
    "netsh",
    "nsd",
    "ping",
    "shop",
    "unbound",
];

fn lab(text: &str) -> Lab {
    let text = format!("version = 1\n{text}");
    Lab::from_parts("lab.toml", &text, &Files::new(), &PROGRAMS).unwrap_or_else(|e| panic!("{e}"))
}

fn again(lab: &Lab) -> Lab {
    let text = lab.to_toml();
    Lab::from_parts("lab.toml", &text, lab.files(), &PROGRAMS)
        .unwrap_or_else(|e| panic!("{text}\n{e}"))
}

fn default_via(lab: &Lab, host: &str) -> Option<Ipv4Addr> {
    let routes = &lab.host(host).unwrap().routes;
    routes.iter().find(|r| r.to == Ipv4Net::ANY).map(|r| r.via)
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn the_course_is_as_the_class_knows_it() {
    let course = builtin("course").unwrap();
    let lab = course.load(&PROGRAMS).unwrap();
    assert_eq!((lab.name(), lab.title().text("ko")), ("course", Some("수업 네트워크")));
    // What stands alone at first glance; the rest is folded away in two groups.
    let folded = |host: &str| lab.host(host).is_some_and(|h| h.group.is_some());
    let names: Vec<_> = lab.names().filter(|(name, _)| !folded(name)).collect();
    let expected = [
        ("friend", ip("10.0.0.7")),
        ("pc", ip("192.168.17.20")),
        ("router", ip("10.0.0.2")),
        ("web", ip("192.168.17.17")),
        ("gateway", ip("10.0.0.1")),
    ];
    assert_eq!(names, expected);
    let groups: Vec<_> =
        lab.groups().iter().map(|g| (g.name.as_str(), g.title.text("ko"))).collect();
    assert_eq!(groups, [("names", Some("네임서버")), ("shop", Some("배달 가게"))]);

    let web = lab.host("web").unwrap();
    assert_eq!(web.title.text("ko-KR"), Some("내 가상 머신"));
    assert_eq!(web.programs[0].argv, ["httpd", "--root", "htdocs"]);
    let rules = &web.firewall.as_ref().unwrap().inbound;
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].action, Action::Allow);
    assert_eq!(rules[0].traffic, Traffic::Tcp(PortRange { first: 80, last: 80 }));

    let nat = lab.host("router").unwrap().nat.as_ref().unwrap();
    assert_eq!((nat.inside.as_str(), nat.outside.as_str()), ("home", "campus"));
    assert_eq!((nat.forwards[0].protocol, nat.forwards[0].ports.first), (Protocol::Tcp, 65535));
    assert_eq!(nat.forwards[0].to.to_string(), "192.168.17.17:80");

    assert_eq!(default_via(&lab, "web"), Some(ip("192.168.17.1")));
    assert_eq!(default_via(&lab, "pc"), Some(ip("192.168.17.1")));
    // The campus is the outside of the router's NAT.
    assert_eq!(default_via(&lab, "friend"), None);
    assert_eq!(default_via(&lab, "router"), None);

    let publish = &lab.publish()[0];
    assert_eq!(publish.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(publish.to.to_string(), "10.0.0.2:65535");
    assert!(publish.loopback && publish.from.is_none());
    assert_eq!(lab.runs().len(), 6);
    assert_eq!(lab.runs()[0].at, Duration::from_millis(100));
    assert!(lab.files_of("web").get("htdocs/menu/index.html").is_some());
}

#[test]
fn macs_come_from_names() {
    let lab = builtin("course").unwrap().load(&PROGRAMS).unwrap();
    let mac = lab.host("web").unwrap().interfaces[0].mac;
    let [a, b, c, d, e, ..] = name_hash("web.home").to_le_bytes();
    assert_eq!(mac.0, [0x02, a, b, c, d, e]);
    // It stays the same when other hosts come and go.
    let other =
        self::lab("[networks.home]\nsubnet = \"10.9.0.0/24\"\n[hosts.web]\nnetworks.home = {}");
    assert_eq!(other.host("web").unwrap().interfaces[0].mac, mac);
}

#[test]
fn free_addresses_are_given_in_the_order_of_names() {
    let lab = lab(r#"
        [networks.lan]
        subnet = "10.0.0.0/29"
        [hosts]
        d = { networks.lan = {} }
        c = { networks.lan = "10.0.0.2" }
        b = { networks.lan = ["10.0.0.3", "10.0.0.6/32"] }
        a = { networks.lan = {} }
        [gateway]
        network = "lan"
    "#);
    let addresses: Vec<_> = lab.names().map(|(_, a)| a.octets()[3]).collect();
    assert_eq!(addresses, [1, 3, 2, 4, 5]);
    let b = &lab.host("b").unwrap().interfaces[0].addresses;
    assert_eq!((b[0].to_string(), b[1].to_string()), ("10.0.0.3/29".into(), "10.0.0.6/32".into()));
}

#[test]
fn default_routes_need_exactly_one_router() {
    let two = lab(r#"
        networks = { a = { subnet = "10.1.0.0/24" }, b = { subnet = "10.2.0.0/24" }, c = { subnet = "10.3.0.0/24" } }
        [hosts.r1]
        router = true
        networks = { a = "10.1.0.1", b = "10.2.0.1" }
        [hosts.r2]
        router = true
        networks = { b = "10.2.0.2", c = "10.3.0.1" }
        routes = [{ to = "default", via = "10.2.0.1" }]
        [hosts.on-a]
        networks.a = {}
        [hosts.on-b]
        networks.b = {}
        [hosts.on-a-and-c]
        networks = { a = {}, c = {} }
        [hosts.own-way]
        networks.a = {}
        routes = [{ to = "default", via = "10.1.0.99" }, { to = "10.3.0.0/24", via = "10.1.0.1" }]
    "#);
    assert_eq!(default_via(&two, "on-a"), Some(ip("10.1.0.1")));
    assert_eq!(default_via(&two, "on-b"), None, "two routers");
    assert_eq!(default_via(&two, "on-a-and-c"), None, "two ways out");
    assert_eq!(default_via(&two, "own-way"), Some(ip("10.1.0.99")));
    assert_eq!(default_via(&two, "r1"), None);
    assert_eq!(two.host("r2").unwrap().routes[0].network, "b");
    assert_eq!(again(&two), two);
}

#[test]
fn settings_of_a_wire_go_from_wide_to_narrow() {
    let lab = lab(r#"
        [networks.n]
        subnet = "10.0.0.0/24"
        link = { delay = "2ms", rate = "1Gbit", up = { delay = "3ms" } }
        [hosts.plain]
        networks.n = {}
        [hosts.own]
        networks.n = { link = { rate = "10Mbit", queue = 7, down = { loss = "1%" } } }
        [switches.s]
        uplink = "n"
    "#);
    let plain = &lab.host("plain").unwrap().interfaces[0].link;
    assert_eq!(
        (plain.up.delay, plain.down.delay),
        (Duration::from_millis(3), Duration::from_millis(2))
    );
    assert_eq!((plain.up.rate, plain.up.queue), (Some(Rate(1_000_000_000)), 1_000));
    let own = &lab.host("own").unwrap().interfaces[0].link;
    assert_eq!((own.up.delay, own.up.queue, own.up.loss.value), (Duration::from_millis(3), 7, 0.0));
    assert_eq!((own.down.rate, own.down.loss.value), (Some(Rate(10_000_000)), 0.01));
    assert_eq!(own.down.loss.threshold, netarium_base::chance::probability(0.01));
    let uplink = &lab.switches()[0].link;
    assert_eq!((uplink.up.delay, uplink.up.rate), (Duration::from_micros(10), None));
    assert_eq!(again(&lab), lab);
}

#[test]
fn switches_chain_to_a_network() {
    let lab = lab(r#"
        [networks.n]
        subnet = "10.0.0.0/24"
        kind = "hub"
        [switches]
        a = { uplink = "b" }
        b = { uplink = "n", kind = "hub" }
        [hosts.h]
        networks.n = { switch = "a" }
    "#);
    assert_eq!(lab.network("n").unwrap().kind, NodeKind::Hub);
    assert_eq!((lab.switches()[0].network.as_str(), lab.switches()[0].uplink.as_str()), ("n", "b"));
    assert_eq!(lab.switches()[1].kind, NodeKind::Hub);
    let wire = &lab.host("h").unwrap().interfaces[0];
    assert_eq!((wire.plugged_into.as_str(), wire.link_name.as_str()), ("a", "h.n"));
    assert_eq!(again(&lab), lab);
}

#[test]
fn doors_are_read_in_every_form() {
    let lab = lab(r#"
        [networks.n]
        subnet = "10.0.0.0/24"
        [hosts.web]
        networks.n = "10.0.0.2"
        [hosts.pc]
        networks.n = {}
        [gateway]
        network = "n"
        [publish]
        "127.0.0.1:0" = "web:80"
        "127.0.0.1:8080/udp" = { to = "10.0.0.2:53", from = "pc" }
        "0.0.0.0:8080" = { to = "10.0.0.2:80", proto = "tcp" }
        "[::1]:8081" = "web:80"
        [attach]
        "web:8000" = "127.0.0.1:8000"
        "web:80" = "[::1]:3000"
        [proxy]
        from = "pc"
    "#);
    let open: Vec<_> =
        lab.publish().iter().filter(|p| !p.loopback).map(|p| p.listen.port()).collect();
    assert_eq!((lab.publish().len(), open), (4, vec![8080]));
    let udp = lab.publish().iter().find(|p| p.protocol == Protocol::Udp).unwrap();
    assert_eq!(udp.from.as_deref(), Some("pc"));
    let ports: Vec<_> = lab.attach().iter().map(|a| a.port).collect();
    assert_eq!(ports, [80, 8000]);
    assert_eq!(lab.proxy_from(), Some("pc"));
    assert_eq!(again(&lab), lab);
}

#[test]
fn a_builder_makes_what_a_file_makes() {
    let built = LabBuilder::new("port-forwarding")
        .title("Port forwarding", "포트포워딩")
        .seed(7)
        .network_with("home", "192.168.17.0/24", |n| n.hub().title("home", "집"))
        .network_with("campus", "10.0.0.0/24", |n| n.link(|l| l.delay("2ms").rate("1Gbit")))
        .switch("s2", "home")
        .host("web", |h| {
            h.on("home", "192.168.17.17")
                .link("home", |l| l.queue(9).up(|u| u.loss(0.01)))
                .plugged_into("home", "s2")
                .mac("home", "02:00:00:00:00:17")
                .program("httpd --root htdocs")
                .allow("tcp/80")
                .reject("icmp")
        })
        .host("router", |h| {
            h.router()
                .on("home", "192.168.17.1")
                .on("campus", "10.0.0.2")
                .nat("home", "campus")
                .forward("tcp/65535", "web:80")
        })
        .host("friend", |h| h.on_next("campus").firewall().title("friend", "옆 학우"))
        .gateway("campus", "10.0.0.1")
        .set(&["gateway", "title"], "my browser")
        .publish("127.0.0.1:8080", "10.0.0.2:65535")
        .attach("web:443", "127.0.0.1:8443")
        .proxy_from("web")
        .run("1s", "friend", "curl 'http://10.0.0.2:65535/a b'")
        .file("htdocs/index.html", "hello")
        .build(&PROGRAMS)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(built.host("friend").unwrap().address(), ip("10.0.0.3"));
    assert_eq!(built.host("friend").unwrap().firewall.as_ref().map(|f| f.inbound.len()), Some(0));
    assert_eq!(built.gateway().unwrap().title.text("ko"), Some("my browser"));
    insta::assert_snapshot!("written", built.to_toml());
    assert_eq!(again(&built), built);
}

#[test]
fn ten_thousand_hosts_are_read() {
    let mut builder = LabBuilder::new("many").network("n", "10.0.0.0/16");
    for i in 0..10_000 {
        builder = builder.host(&format!("h{i}"), |h: HostBuilder| h.on_next("n"));
    }
    let lab = builder.build(&PROGRAMS).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(lab.hosts().len(), 10_000);
    assert_eq!(lab.hosts()[9_999].address(), ip("10.0.39.16"));
    assert_eq!(again(&lab), lab);
}

#[test]
fn names_of_labs_come_from_their_files() {
    for (file, name) in [
        ("lab.toml", "lab"),
        ("port-forwarding/lab.toml", "port-forwarding"),
        ("a/b c.toml", "bc"),
        ("C:\\labs\\first\\lab.toml", "first"),
        ("", "lab"),
    ] {
        let lab = Lab::from_parts(file, "version = 1", &Files::new(), &[]).unwrap();
        assert_eq!(lab.name(), name, "{file}");
    }
}

#[test]
fn the_schema_is_pinned() {
    insta::assert_snapshot!("schema", schema());
}

/// The labs of `docs/lab-file.md` are valid.
#[test]
fn documented_labs_are_valid() {
    let docs = include_str!("../../../docs/lab-file.md");
    let mut files = Files::new();
    files.insert("htdocs/index.html", "hello").unwrap();
    let labs: Vec<&str> = docs.split("```toml\n").skip(1).collect();
    assert_eq!(labs.len(), 5);
    for text in labs {
        let text = text.split("```").next().unwrap_or_default();
        let lab = Lab::from_parts("lab.toml", text, &files, &PROGRAMS);
        let lab = lab.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again(&lab), lab);
    }
}

#[test]
fn a_builder_has_the_words_of_wires_and_schedules() {
    let built = LabBuilder::new("flaky")
        .network("n", "10.0.0.0/24")
        .host("a", |h| {
            h.on("n", "10.0.0.1")
                .link("n", |l| l.mtu(1_400).down(|d| d.fault("loss_burst", "p 1% r 25%")))
        })
        .schedule("5s", "link a.n down")
        .build(&PROGRAMS)
        .unwrap_or_else(|e| panic!("{e}"));
    let written = lab(r#"
        lab.name = "flaky"
        [networks.n]
        subnet = "10.0.0.0/24"
        [hosts.a]
        networks.n = { address = "10.0.0.1", link = { mtu = 1400, down.loss_burst = "p 1% r 25%" } }
        [[schedule]]
        at = "5s"
        command = "link a.n down"
    "#);
    assert_eq!(built, written);
}

#[test]
fn a_host_may_pace() {
    let read = lab(r#"
        lab.name = "paced"
        [networks.n]
        subnet = "10.0.0.0/24"
        [hosts.a]
        networks.n = "10.0.0.1"
        pacing = true
        [hosts.b]
        networks.n = "10.0.0.2"
    "#);
    assert!(read.host("a").unwrap().pacing && !read.host("b").unwrap().pacing);
    assert_eq!(again(&read), read);
    let built = LabBuilder::new("paced")
        .network("n", "10.0.0.0/24")
        .host("a", |h| h.on("n", "10.0.0.1").paced())
        .host("b", |h| h.on("n", "10.0.0.2"))
        .build(&PROGRAMS)
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(built, read);
}

#[test]
fn faults_of_wires_and_settings_of_switches_are_read_and_written() {
    let lab = lab(r#"
        [networks.n]
        subnet = "10.0.0.0/24"
        table = 64
        ageing = "30s"
        mirror = { to = "spy", from = ["a", "s"] }
        link = { rate = "1Gbit", jitter = "1ms", mtu = 1400, duplicate = "1%", drop_nth = [5, 3] }
        [hosts.a]
        networks.n = { link = { rate = "none", mtu = "none", duplicate = "none", down = { jitter = "none" } } }
        [hosts.spy.networks.n.link]
        queue_bytes = 64000
        loss_burst = "p 1% r 25%"
        drop_match = "tcp port 80 and flags syn"
        reorder = "25% by 10ms gap 5"
        corrupt = 0.001
        [switches.s]
        uplink = "n"
        cables = ["t"]
        [switches.t]
        uplink = "n"
        mirror = { to = "n" }
        [[schedule]]
        at = "5s"
        every = "2s"
        times = 3
        command = "link a.n down --in-flight"
        [[schedule]]
        at = "1s"
        command = "partition split a spy"
    "#);
    let wire = |host: &str| lab.host(host).unwrap().interfaces[0].link.clone();
    let a = wire("a");
    assert_eq!((a.up.rate, a.up.faults.mtu), (None, None));
    assert_eq!((a.up.faults.duplicate, a.down.faults.duplicate), (0, 0));
    assert_eq!(a.up.faults.jitter, Some("1ms".parse().unwrap()));
    assert_eq!((a.down.faults.jitter, a.down.faults.nth.list.as_slice()), (None, &[3, 5][..]));
    let spy = wire("spy");
    let shown = [
        spy.up.faults.burst.unwrap().to_string(),
        spy.up.faults.matching.clone().unwrap().to_string(),
        spy.up.faults.reorder.unwrap().to_string(),
    ];
    assert_eq!(shown, ["p 1% r 25%", "tcp port 80 and flags syn", "25% by 10ms gap 5"]);
    assert_eq!((spy.up.faults.queue_bytes, spy.up.faults.mtu), (Some(64_000), Some(1_400)));
    let network = &lab.networks()[0].switch;
    let mirror = network.mirror.as_ref().unwrap();
    assert_eq!((mirror.to.as_str(), mirror.from.join(",")), ("spy.n", "a.n,s.n".to_owned()));
    assert_eq!((network.table, network.ageing), (Some(64), Some(Duration::from_secs(30))));
    assert_eq!(lab.switches()[1].settings.mirror.as_ref().unwrap().to, "t.n");
    assert_eq!(lab.switches()[0].cables, ["t"]);
    let [first, second] = lab.schedule() else { panic!("{:?}", lab.schedule()) };
    assert_eq!((first.at, first.again), (Duration::from_secs(1), None));
    assert_eq!((second.commands.len(), second.again), (2, Some((Duration::from_secs(2), 2))));
    assert_eq!(again(&lab), lab);
    faults_reach_the_world(&lab);
}

/// The same settings, in the world that is built of them.
fn faults_reach_the_world(lab: &Lab) {
    let spy = &lab.host("spy").unwrap().interfaces[0].link;
    let options = netarium_lab::build::BuildOptions {
        seed: 1,
        epoch: None,
        trace_limit: 0,
        runs: false,
        programs: std::rc::Rc::new(netarium_world::process::NoPrograms),
    };
    let mut world = netarium_lab::build::world(lab, options).unwrap();
    assert_eq!(world.scheduled().len(), 3);
    let link = world.links().find(|l| l.name == "spy.n").unwrap();
    assert_eq!(link.faults, [spy.up.faults.clone(), spy.down.faults.clone()]);
    assert!(world.link_id("s.t").is_some());
    let switch = world.switch(world.node_id("n").unwrap()).unwrap();
    assert_eq!((switch.limit, switch.mirror.unwrap().to), (64, "spy.n".to_owned()));
    world.run_until(netarium_base::Instant::ZERO + Duration::from_secs(6));
    assert_eq!(world.partitions().len(), 1);
    assert!(!world.links().find(|l| l.name == "a.n").unwrap().up);
}

#[test]
fn groups_are_for_whoever_looks_at_the_lab() {
    let lab = lab(r#"
        [networks.n]
        subnet = "10.0.0.0/24"
        [groups.names]
        title = { en = "Name servers", ko = "네임 서버" }
        [groups.empty]
        [hosts.root]
        group = "names"
        networks.n = {}
        [hosts.pc]
        networks.n = {}
    "#);
    let names: Vec<_> = lab.groups().iter().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["empty", "names"]);
    assert_eq!(lab.groups()[1].title.text("ko"), Some("네임 서버"));
    let group = |host: &str| lab.host(host).unwrap().group.as_deref();
    assert_eq!((group("root"), group("pc")), (Some("names"), None));
    assert_eq!(again(&lab), lab);
    let built = LabBuilder::new("built")
        .network("n", "10.0.0.0/24")
        .group("names", "Name servers", "네임 서버")
        .host("root", |h| h.on_next("n").group("names"))
        .build(&PROGRAMS);
    assert_eq!(built.unwrap().host("root").unwrap().group.as_deref(), Some("names"));
}
