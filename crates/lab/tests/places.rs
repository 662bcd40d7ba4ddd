//! DHCP, MTUs, ranges of ports, one-to-one translations: what the keys mean, and what is said about
//! mistakes.

use netarium_lab::{Files, Lab, LabErrors};

const PROGRAMS: [&str; 1] = ["ping"];

fn read(text: &str) -> Result<Lab, LabErrors> {
    Lab::from_parts("lab.toml", text, &Files::new(), &PROGRAMS)
}

/// A router with this place on `home`, this NAT, and more.
fn lab(home: &str, nat: &str, more: &str) -> String {
    format!(
        r#"version = 1
[networks.home]
subnet = "192.168.17.0/24"
[networks.campus]
subnet = "10.0.0.0/24"
[hosts.router]
router = true
networks.home = {home}
networks.campus = "10.0.0.2"
nat = {{ inside = "home", outside = "campus"{nat} }}
[hosts.web]
networks.home = "192.168.17.17"
[hosts.pc]
networks.home = "dhcp"
[hosts.friend]
networks.campus = "10.0.0.7"
{more}"#
    )
}

fn good(home: &str, nat: &str, more: &str) -> Lab {
    let lab = read(&lab(home, nat, more)).unwrap_or_else(|e| panic!("{e}"));
    let again = read(&lab.to_toml()).unwrap_or_else(|e| panic!("{}\n{e}", lab.to_toml()));
    assert_eq!(again, lab, "{}", lab.to_toml());
    lab
}

const ROUTER: &str = r#"{ address = "192.168.17.1", dhcp = {} }"#;

#[test]
fn a_dhcp_server_without_words_follows_conventions() {
    let more =
        "[hosts.late]\nnetworks.home = \"192.168.17.200\"\n[hosts.next]\nnetworks.home = {}\n";
    let lab = good(ROUTER, "", more);
    let server = lab.host("router").unwrap().on("home").unwrap().dhcp.clone().unwrap();
    let text: Vec<String> = server.ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
    assert_eq!(text, ["192.168.17.128-192.168.17.199", "192.168.17.201-192.168.17.254"]);
    assert_eq!(server.router.unwrap().to_string(), "192.168.17.1");
    assert_eq!(server.lease.as_secs(), 3_600);
    assert!(server.dns.is_empty() && server.domain.is_none() && server.reserved.is_empty());
    // The client has no address yet, no route by convention, and stands for nothing.
    let pc = lab.host("pc").unwrap();
    assert!(pc.interfaces[0].by_dhcp && pc.interfaces[0].addresses.is_empty());
    assert!(pc.routes.is_empty() && !lab.names().any(|(name, _)| name == "pc"));
    assert_eq!(pc.services(), [(["dhclient", "-v", "eth0"].map(str::to_owned).to_vec(), false)]);
    let router = lab.host("router").unwrap();
    assert_eq!(router.services(), [(["dhcpd", "eth1"].map(str::to_owned).to_vec(), true)]);
    assert_eq!(lab.host("next").unwrap().address().to_string(), "192.168.17.2");
}

#[test]
fn conventions_keep_away_from_what_is_given_out() {
    let home = r#"{ address = "192.168.17.1", dhcp = { range = ["192.168.17.2-192.168.17.9", "192.168.17.11"], reserve = { pc = "192.168.17.10" } } }"#;
    let more = "[hosts.next]\nnetworks.home = {}\n[hosts.two]\nnetworks.home = {}\n";
    let lab = good(home, "", more);
    assert_eq!(lab.host("next").unwrap().address().to_string(), "192.168.17.12");
    assert_eq!(lab.host("two").unwrap().address().to_string(), "192.168.17.13");
    // What is reserved is known: forwards and published ports may lead there.
    let nat = r#", forward = [{ from = "tcp/80", to = "pc:80" }]"#;
    let more = "[publish]\n\"127.0.0.1:8080\" = { to = \"pc:80\", from = \"web\" }\n";
    let lab = good(home, nat, more);
    let forward = lab.host("router").unwrap().nat.as_ref().unwrap().forwards[0];
    assert_eq!(forward.to.to_string(), "192.168.17.10:80");
    assert_eq!(lab.publish()[0].to.to_string(), "192.168.17.10:80");
}

#[test]
fn ranges_of_ports_one_to_one_and_mtus() {
    let nat = r#", forward = [{ from = "udp/8000-8010", to = "web:9000" }, { from = "tcp/8005", to = "192.168.17.17:80" }], one_to_one = [{ outside = "10.0.0.5", inside = "web" }, { outside = "10.0.0.6", inside = "192.168.17.99" }]"#;
    let home = r#"{ address = ["192.168.17.1", "192.168.17.3"], mtu = 1400 }"#;
    let lab = good(home, nat, "[hosts.next]\nnetworks.campus = {}\n");
    let router = lab.host("router").unwrap();
    let nat = router.nat.as_ref().unwrap();
    let ports = nat.forwards[0].ports();
    assert_eq!((ports.first, ports.last), (8000, 8010));
    let pairs: Vec<String> =
        nat.one_to_one.iter().map(|o| format!("{} {}", o.outside, o.inside)).collect();
    assert_eq!(pairs, ["10.0.0.5 192.168.17.17", "10.0.0.6 192.168.17.99"]);
    // The router has the outside addresses, and nobody else gets them.
    let own: Vec<String> =
        router.on("campus").unwrap().addresses.iter().map(ToString::to_string).collect();
    assert_eq!(own, ["10.0.0.2/24", "10.0.0.5/32", "10.0.0.6/32"]);
    assert_eq!(router.on("home").unwrap().mtu, 1400);
    assert_eq!(lab.host("next").unwrap().address().to_string(), "10.0.0.1");
}

/// Each mistake: where, and what is said.
#[test]
fn mistakes_are_said() {
    let dhcp = |inner: &str| format!(r#"{{ address = "192.168.17.1", dhcp = {{ {inner} }} }}"#);
    let nat = |inner: &str| format!(", {inner}");
    let route = "[hosts.far]\nnetworks.home = \"dhcp\"\nroutes = [{ to = \"10.9.0.0/16\", via = \"10.0.0.2\" }]\n";
    let publish = "[publish]\n\"127.0.0.1:8080\" = { to = \"pc:80\", from = \"web\" }\n";
    for (home, nat, more, code, says) in [
        (
            dhcp("range = \"10.0.0.5-10.0.0.9\""),
            "".into(),
            "",
            "outside-subnet",
            "10.0.0.5 is not an address for a host of `home`",
        ),
        (
            dhcp("range = \"192.168.17.0-192.168.17.9\""),
            "".into(),
            "",
            "outside-subnet",
            "192.168.17.0 is not",
        ),
        (
            dhcp("range = \"192.168.17.9-192.168.17.5\""),
            "".into(),
            "",
            "bad-value",
            "the range ends before it starts",
        ),
        (
            dhcp("range = [\"192.168.17.5-192.168.17.9\", \"192.168.17.9\"]"),
            "".into(),
            "",
            "duplicate-address",
            "have addresses in common",
        ),
        (dhcp("lease = \"500ms\""), "".into(), "", "bad-value", "whole seconds, 1s to 365d"),
        (dhcp("lease = \"366d\""), "".into(), "", "bad-value", "this is at most 365d"),
        (dhcp("dns = \"10.0.0.53/24\""), "".into(), "", "bad-value", "is not a single address"),
        (dhcp("domain = \"home lab\""), "".into(), "", "bad-value", "`home lab` is not a domain"),
        (
            dhcp("reserve = { pc = \"10.0.0.9\" }"),
            "".into(),
            "",
            "outside-subnet",
            "10.0.0.9 is not an address for a host",
        ),
        (dhcp("reserve = { nobody = \"192.168.17.9\" }"), "".into(), "", "unknown-host", "nobody"),
        (
            dhcp("reserve = { friend = \"192.168.17.9\" }"),
            "".into(),
            "",
            "unknown-host",
            "`friend` is not on the network `home`",
        ),
        (
            dhcp("reserve = { \"02:00\" = \"192.168.17.9\" }"),
            "".into(),
            "",
            "bad-value",
            "is not a MAC address",
        ),
        (
            dhcp("reserve = { pc = \"192.168.17.9\", \"02:00:00:00:00:09\" = \"192.168.17.9\" }"),
            "".into(),
            "",
            "duplicate-address",
            "192.168.17.9 is reserved twice",
        ),
        (dhcp("rnage = \"192.168.17.9\""), "".into(), "", "unknown-key", "rnage"),
        (
            r#"{ address = "dhcp", dhcp = {} }"#.into(),
            "".into(),
            "",
            "bad-value",
            "cannot be a DHCP server and a client at once",
        ),
        (r#"["dhcp", "192.168.17.1"]"#.into(), "".into(), "", "bad-value", "`dhcp` stands alone"),
        (
            r#"{ address = "192.168.17.1", mtu = 67 }"#.into(),
            "".into(),
            "",
            "bad-value",
            "every IPv4 link takes 68 bytes",
        ),
        (
            r#"{ address = "192.168.17.1", mtu = "1500" }"#.into(),
            "".into(),
            "",
            "wrong-type",
            "expected bytes, 68 to 65535",
        ),
        (
            dhcp(""),
            nat("forward = [{ from = \"tcp/8010-8000\", to = \"web:80\" }]"),
            "",
            "bad-value",
            "the range ends before it starts",
        ),
        (
            dhcp(""),
            nat("forward = [{ from = \"tcp/8000-8010\", to = \"web:65530\" }]"),
            "",
            "forward-target",
            "would end at port 65540",
        ),
        (
            dhcp(""),
            nat(
                "forward = [{ from = \"tcp/8000-8010\", to = \"web:80\" }, { from = \"tcp/8010\", to = \"web:81\" }]",
            ),
            "",
            "duplicate-forward",
            "tcp/8010 is forwarded twice",
        ),
        (
            dhcp(""),
            nat("forward = [{ from = \"tcp/80\", to = \"pc:80\" }]"),
            "",
            "forward-target",
            "`pc` gets its address while the lab runs",
        ),
        (
            dhcp(""),
            nat("one_to_one = [{ outside = \"10.0.0.2\", inside = \"web\" }]"),
            "",
            "duplicate-address",
            "10.0.0.2 is the router's own address",
        ),
        (
            dhcp(""),
            nat("one_to_one = [{ outside = \"10.0.0.7\", inside = \"web\" }]"),
            "",
            "duplicate-address",
            "10.0.0.7 is already the address of",
        ),
        (
            dhcp(""),
            nat("one_to_one = [{ outside = \"10.0.1.7\", inside = \"web\" }]"),
            "",
            "outside-subnet",
            "10.0.1.7 is outside the subnet",
        ),
        (
            dhcp(""),
            nat("one_to_one = [{ outside = \"10.0.0.5\", inside = \"friend\" }]"),
            "",
            "forward-target",
            "`friend` is not inside",
        ),
        (
            dhcp(""),
            nat("one_to_one = [{ outside = \"10.0.0.5\", inside = \"10.0.0.7\" }]"),
            "",
            "forward-target",
            "10.0.0.7 is not an address inside `home`",
        ),
        (
            dhcp(""),
            nat(
                "one_to_one = [{ outside = \"10.0.0.5\", inside = \"web\" }, { outside = \"10.0.0.5\", inside = \"192.168.17.50\" }]",
            ),
            "",
            "duplicate-forward",
            "10.0.0.5 stands for two inside hosts",
        ),
        (dhcp(""), "".into(), route, "bad-route", "10.0.0.2 is on no network of `far`"),
        (
            dhcp(""),
            "".into(),
            publish,
            "forward-target",
            "`pc` gets its address while the lab runs",
        ),
        (
            dhcp(""),
            "".into(),
            "reverse_path = \"tight\"\n",
            "bad-value",
            "`off`, `strict` or `loose`",
        ),
    ] {
        let text = lab(&home, &nat, more);
        let errors = read(&text).expect_err(&text);
        let (first, shown) = (&errors.errors()[0], errors.to_string());
        assert_eq!(first.code.as_str(), code, "{shown}");
        assert!(shown.contains(says), "{says}:\n{shown}");
        assert_eq!(errors.errors().len(), 1, "{shown}");
    }
}
