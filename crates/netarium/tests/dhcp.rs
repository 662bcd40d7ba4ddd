//! Addresses by DHCP, from the lab file to the packet: whole lives over virtual days.

use netarium::world::Command;
use netarium::{BuildOptions, Duration, Lab, World};
use netarium_base::trace::Event;

/// A router with a pool, and hosts that ask it.
fn lab(pool: &str, more: &str) -> String {
    format!(
        r#"version = 1
lab.name = "dhcp-test"
[networks.home]
subnet = "192.168.17.0/24"
[networks.campus]
subnet = "10.0.0.0/24"
[hosts.router]
router = true
networks.campus = "10.0.0.2"
networks.home = {{ address = "192.168.17.1", dhcp = {{ {pool} }} }}
nat = {{ inside = "home", outside = "campus" }}
[hosts.friend]
networks.campus = "10.0.0.7"
[hosts.pc]
networks.home = "dhcp"
{more}"#
    )
}

const POOL: &str = r#"range = "192.168.17.100-192.168.17.199", lease = "1h", dns = ["10.0.0.53", "10.0.0.54"], domain = "home.lab""#;

fn world(text: &str) -> World {
    let lab = Lab::load_str(text).unwrap_or_else(|e| panic!("{e}"));
    let options = BuildOptions { seed: Some(1), trace_limit: 100_000, ..BuildOptions::default() };
    lab.build_with(options).unwrap()
}

fn said(world: &mut World, host: &str, command: &str) -> String {
    let out = world.exec(host, command).unwrap();
    out.stdout_text() + &out.stderr_text()
}

fn address(world: &World, host: &str) -> Option<String> {
    let id = world.inner().host_id(host).unwrap();
    let stack = world.inner().stack(id).unwrap();
    stack.interfaces()[1].addresses.first().map(|a| a.address().to_string())
}

fn log(world: &World, host: &str, program: &str) -> String {
    let id = world.inner().host_id(host).unwrap();
    let all = world.inner().processes(id);
    let pid = all.iter().find(|p| p.name == program).unwrap_or_else(|| panic!("{all:?}")).pid;
    String::from_utf8(world.inner().process_log(id, pid).unwrap()).unwrap()
}

fn notes(world: &World) -> Vec<String> {
    let records = world.inner().tracer().records();
    let text = |e: &Event| match e {
        Event::Note { text } => Some(text.to_string()),
        _ => None,
    };
    records.filter_map(|r| text(&r.event)).collect()
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn wire(world: &mut World, link: &str, up: bool) {
    let link = link.to_owned();
    world.inner_mut().command(Command::LinkUp { link, up }).unwrap();
}

#[test]
fn a_host_gets_all_that_it_needs() {
    let mut world = world(&lab(POOL, ""));
    // Whoever comes in finds the lab with addresses: clients work in the foreground until then.
    let shown = said(&mut world, "pc", "ip -4 addr show eth0");
    assert!(
        shown.contains("    inet 192.168.17.100/24 brd 192.168.17.255 scope global dynamic eth0\n")
    );
    let left = shown.lines().last().unwrap();
    assert!(left == "       valid_lft 3599sec preferred_lft 3599sec", "{left}");
    assert_eq!(
        said(&mut world, "pc", "ip route"),
        "default via 192.168.17.1 dev eth0 \n\
         192.168.17.0/24 dev eth0 proto kernel scope link src 192.168.17.100 \n"
    );
    assert_eq!(
        said(&mut world, "pc", "cat /etc/resolv.conf"),
        "domain home.lab\nsearch home.lab\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n"
    );
    // Through the router, and by name from outside in.
    assert_eq!(world.exec("pc", "ping -c 1 friend").unwrap().code, 0);
    assert_eq!(world.exec("router", "ping -c 1 pc").unwrap().code, 0);
    insta::assert_snapshot!(said(&mut world, "router", "cat /var/lib/dhcp/dhcpd.leases"));
    insta::assert_snapshot!(said(&mut world, "router", "cat /etc/dhcp/dhcpd.conf"));
    insta::assert_snapshot!(log(&world, "router", "dhcpd"));
    insta::assert_snapshot!(log(&world, "pc", "dhclient"));
}

/// RFC 2131 §4.4.5: renewed at a half, rebound at seven eighths, given up at the end.
#[test]
fn a_lease_lives_as_long_as_it_is_renewed() {
    let mut world = world(&lab(POOL, ""));
    world.run_for(minutes(3 * 24 * 60));
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.100"));
    let acks = log(&world, "pc", "dhclient").matches("DHCPACK of").count();
    assert!((140..=145).contains(&acks), "a renewal each half hour: {acks}");
    // Just behind a renewal the server goes: the client asks it, then everybody, and in the end has
    // no address.
    let renewals = |world: &World| log(world, "pc", "dhclient").matches("DHCPACK of").count();
    let before = renewals(&world);
    while renewals(&world) == before {
        world.run_for(minutes(1));
    }
    wire(&mut world, "router.home", false);
    world.run_for(minutes(35));
    let asked = log(&world, "pc", "dhclient");
    let server = "DHCPREQUEST for 192.168.17.100 on eth0 to 192.168.17.1 port 67\n";
    assert!(asked.contains(server), "{asked}");
    assert!(address(&world, "pc").is_some(), "until the lease is over");
    world.run_for(minutes(21));
    let asked = log(&world, "pc", "dhclient");
    let everybody = "DHCPREQUEST for 192.168.17.100 on eth0 to 255.255.255.255 port 67\n";
    assert!(asked.contains(everybody), "{asked}");
    world.run_for(minutes(5));
    assert_eq!(address(&world, "pc"), None);
    assert_eq!(said(&mut world, "pc", "ip route"), "");
    assert!(world.exec("router", "ping -c 1 pc").unwrap().code != 0, "its name stands for nobody");
    // It is back: so is the address, the same one.
    wire(&mut world, "router.home", true);
    world.run_for(minutes(7));
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.100"));
}

#[test]
fn a_pool_that_is_empty_says_so() {
    let pool = r#"range = "192.168.17.100-192.168.17.101", lease = "1h""#;
    let more = "[hosts.phone]\nnetworks.home = \"dhcp\"\n[hosts.tv]\nnetworks.home = \"dhcp\"\n";
    let mut world = world(&lab(pool, more));
    world.run_for(minutes(2));
    let hosts = ["pc", "phone", "tv"];
    let with: Vec<_> = hosts.iter().filter(|h| address(&world, h).is_some()).collect();
    assert_eq!(with, [&"pc", &"phone"]);
    let told = log(&world, "router", "dhcpd");
    assert!(told.contains("via eth1: network 192.168.17.0/24: no free leases\n"), "{told}");
    let note = notes(&world).into_iter().rfind(|n| n.starts_with("no address is left")).unwrap();
    assert!(
        note.contains("of 2 (192.168.17.100 to 192.168.17.101) 2 are leased, 0 offered and 0 kept"),
        "{note}"
    );
    let asked = log(&world, "tv", "dhclient");
    let end = "No DHCPOFFERS received.\nNo working leases in persistent database - sleeping.\n";
    assert!(asked.ends_with(end), "{asked}");
    // One is given back: the next try gets it.
    let told = said(&mut world, "phone", "dhclient -v -r eth0");
    assert!(told.contains("Killed old client process\n"), "{told}");
    assert!(told.contains("DHCPRELEASE of 192.168.17.101 on eth0 to 192.168.17.1 port 67\n"));
    assert_eq!(address(&world, "phone"), None);
    world.run_for(minutes(6));
    assert_eq!(address(&world, "tv").as_deref(), Some("192.168.17.101"));
    // And the phone, which asks again, finds none.
    let out = world.exec("phone", "dhclient -1 -v eth0").unwrap();
    assert_eq!(out.code, 2);
    assert!(out.stderr_text().contains("Unable to obtain a lease on first try.  Exiting.\n"));
}

/// RFC 5227, RFC 2131 §4.4.4: an address that somebody has is declined, and not given again.
#[test]
fn an_address_in_use_is_declined() {
    let more = "[hosts.old]\nnetworks.home = \"192.168.17.100\"\n";
    let mut world = world(&lab(POOL, more));
    world.run_for(minutes(1));
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.101"));
    let asked = log(&world, "pc", "dhclient");
    assert!(asked.contains("DHCPDECLINE of 192.168.17.100 on eth0 to 255.255.255.255 port 67\n"));
    let told = log(&world, "router", "dhcpd");
    assert!(told.contains("Abandoning IP address 192.168.17.100: declined.\n"), "{told}");
    let leases = said(&mut world, "router", "cat /var/lib/dhcp/dhcpd.leases");
    assert!(leases.contains("  binding state abandoned;\n"), "{leases}");
    let both = notes(&world);
    assert!(both.iter().any(|n| n.contains("the address 192.168.17.100 that was offered to eth0")));
    assert!(both.iter().any(|n| n.contains("192.168.17.100 is in use by a station that did not")));
}

/// Two servers that know nothing of each other: clients take the first offer, and when its server
/// is gone, the other's, after the lease is over.
#[test]
fn two_servers_share_a_network() {
    let pool = r#"range = "192.168.17.100-192.168.17.149", lease = "10m""#;
    let more = r#"
[hosts.second]
router = true
networks.home = { address = "192.168.17.2", dhcp = { range = "192.168.17.150-192.168.17.199", lease = "10m", router = "192.168.17.1" }, link = { delay = "1ms" } }
"#;
    let mut world = world(&lab(pool, more));
    world.run_for(minutes(1));
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.100"));
    let second = log(&world, "second", "dhcpd");
    assert!(second.contains("DHCPOFFER on 192.168.17.150 to "), "{second}");
    assert!(second.contains("(192.168.17.1) from ") && second.contains(": not our offer\n"));
    wire(&mut world, "router.home", false);
    world.run_for(minutes(13));
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.150"));
    let second = log(&world, "second", "dhcpd");
    assert!(second.contains(": unknown lease 192.168.17.100.\n"), "rebinding: {second}");
    assert_eq!(
        said(&mut world, "pc", "ip route show"),
        "default via 192.168.17.1 dev eth0 \n\
         192.168.17.0/24 dev eth0 proto kernel scope link src 192.168.17.150 \n"
    );
}

/// RFC 2131 §3.2: a client that comes from elsewhere is told so.
#[test]
fn a_lease_of_another_network_is_refused() {
    let lease = "lease {\n  interface \"eth0\";\n  fixed-address 172.16.5.5;\n  option subnet-mask \
                 255.255.255.0;\n  option dhcp-lease-time 600;\n  option dhcp-server-identifier \
                 172.16.5.1;\n  renew 1 2030/01/07 00:00:00;\n  rebind 1 2030/01/07 00:00:00;\n  \
                 expire 1 2030/01/07 00:00:00;\n}\n";
    let mut files = netarium::lab::Files::new();
    files.insert("files/pc/var/lib/dhcp/dhclient.eth0.leases", lease).unwrap();
    let lab = Lab::load("lab.toml", &lab(POOL, ""), &files).unwrap_or_else(|e| panic!("{e}"));
    let mut world = lab.build(1).unwrap();
    world.run_for(minutes(1));
    let asked = log(&world, "pc", "dhclient");
    let first = "DHCPREQUEST for 172.16.5.5 on eth0 to 255.255.255.255 port 67\nDHCPNAK from \
                 192.168.17.1\nDHCPDISCOVER on eth0";
    assert!(asked.contains(first), "{asked}");
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.100"));
    let told = log(&world, "router", "dhcpd");
    assert!(told.contains("DHCPNAK on 172.16.5.5 to "), "{told}");
}

/// A reserved address is known beforehand: forwards may lead there.
#[test]
fn a_reserved_address_is_always_the_same() {
    let pool = r#"range = "192.168.17.100-192.168.17.199", reserve = { pc = "192.168.17.9", "02:00:00:00:00:99" = "192.168.17.10" }"#;
    let text = lab(pool, "programs = [\"source --listen 80 --bytes 10 --http\"]\n").replace(
        "outside = \"campus\" }",
        "outside = \"campus\", forward = [{ from = \"tcp/8080\", to = \"pc:80\" }] }",
    );
    let mut world = world(&text);
    assert_eq!(world.exec("friend", "curl -s http://10.0.0.2:8080/").unwrap().code, 0);
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.9"));
}

#[test]
fn dhclient_says_what_the_original_says() {
    let mut world = world(&lab(POOL, ""));
    let out = world.exec("pc", "dhclient -v eth0").unwrap();
    assert_eq!(out.code, 1);
    assert!(out.stderr_text().ends_with(" is already running - exiting. \n"));
    assert_eq!(world.exec("pc", "dhclient -r").unwrap().code, 0);
    assert_eq!(address(&world, "pc"), None);
    // It goes to the background when it has a lease.
    let out = world.exec("pc", "dhclient -v eth0").unwrap();
    assert_eq!(out.code, 0);
    insta::assert_snapshot!(out.stderr_text());
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.100"));
    assert_eq!(world.exec("pc", "dhclient -zz").unwrap().code, 1);
    assert_eq!(world.exec("pc", "dhclient eth7").unwrap().code, 1);
    for (bad, why) in [
        ("subnet 10.9.0.0 netmask 255.255.255.0 { range 10.8.0.1; }", "not on net 10.9.0.0/24!"),
        ("option nonsense 1;", "unknown option dhcp.nonsense"),
        ("default-lease-time 5", "semicolon expected"),
        ("subnet 10.9.0.0 netmask 255.255.255.0 {", "right brace"),
    ] {
        let mut files = netarium::lab::Files::new();
        files.insert("bad.conf", bad).unwrap();
        let lab = Lab::load("lab.toml", &lab(POOL, ""), &files).unwrap();
        let out = lab.build(1).unwrap().exec("friend", "dhcpd -t -cf bad.conf").unwrap();
        let told = out.stderr_text();
        assert!(out.code == 1 && told.starts_with("bad.conf line 1: "), "{told}");
        assert!(told.contains(why), "{told}");
    }
    let out = world.exec("friend", "dhcpd").unwrap();
    assert!(out.code == 1 && out.stderr_text().starts_with("Can't open /etc/dhcp/dhcpd.conf: "));
}

/// A server that is started again knows its leases.
#[test]
fn leases_outlive_their_server() {
    let mut world = world(&lab(POOL, ""));
    world.run_for(minutes(1));
    let id = world.inner().host_id("router").unwrap();
    let pid = world.inner().processes(id).iter().find(|p| p.name == "dhcpd").unwrap().pid;
    said(&mut world, "router", &format!("kill {pid}"));
    let command = Command::Start {
        host: "router".to_owned(),
        argv: vec!["dhcpd".to_owned(), "eth1".to_owned()],
    };
    world.inner_mut().command(command).unwrap();
    world.run_for(minutes(40));
    let told = log(&world, "router", "dhcpd");
    assert!(told.starts_with("Wrote 1 leases to leases file.\n"), "{told}");
    assert!(told.contains("DHCPACK on 192.168.17.100 to "), "renewed: {told}");
}

/// The server's file is one that ISC's own server takes.
#[test]
fn the_real_server_reads_our_file() {
    let mut world = world(&lab(POOL, ""));
    let text = said(&mut world, "router", "cat /etc/dhcp/dhcpd.conf");
    let dir = std::env::temp_dir().join(format!("netarium-dhcpd-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("dhcpd.conf");
    std::fs::write(&file, text).unwrap();
    let real = std::process::Command::new("dhcpd").args(["-t", "-cf"]).arg(&file).output();
    match real {
        Err(e) => eprintln!("skipped: dhcpd cannot be started: {e}"),
        Ok(out) => assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr)),
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// What runs because of an interface's address does not come into the file a second time.
#[test]
fn a_lab_with_dhcp_is_saved_as_it_is() {
    use netarium::lab::save::{Present, save};
    let text = lab(POOL, "");
    let mut world = world(&text);
    world.run_for(minutes(5));
    let files = netarium::lab::Files::new();
    let present = Present::of(world.inner());
    let saved = save("lab.toml", &text, &files, &netarium::program_names(), &present).unwrap();
    assert_eq!((saved.changes.as_slice(), saved.text.as_str()), (&[][..], text.as_str()));
    // And written out from its model it is the same lab.
    let model = Lab::load_str(&text).unwrap();
    let again = Lab::load_str(&model.model().to_toml()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(again.model(), model.model());
}

/// Clients and servers use packet sockets elsewhere: a firewall that lets nothing in is no obstacle.
#[test]
fn a_closed_firewall_does_not_keep_the_address_away() {
    let text = lab(POOL, "firewall.inbound = []\n");
    let text =
        text.replace("outside = \"campus\" }", "outside = \"campus\" }\nfirewall.inbound = []");
    let mut world = world(&text);
    world.run_for(minutes(40));
    assert_eq!(address(&world, "pc").as_deref(), Some("192.168.17.100"));
    assert!(log(&world, "pc", "dhclient").matches("bound to").count() >= 2, "renewed");
}

#[test]
fn two_nats_in_a_row_need_two_forwards() {
    let lab = Lab::builtin("cgnat").unwrap();
    let mut world = lab.build(1).unwrap();
    let inwards = "curl -m 3 http://203.0.113.2:8080/";
    assert_eq!(world.exec("web", "curl -s -o /dev/null http://friend/").unwrap().code, 0);
    assert_eq!(world.exec("friend", inwards).unwrap().code, 7, "the provider's NAT refuses");
    let inside = said(&mut world, "neighbour", "curl -s http://100.64.0.10:8080/");
    assert!(inside.contains("two NATs"), "{inside}");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.exec("friend", inwards).unwrap().code, 0);
}

/// The offer comes to an address that the host does not have, in a frame that is for it.
#[test]
fn a_host_with_an_address_of_its_own_can_ask_for_another() {
    let more = "[hosts.printer]\nnetworks.home = \"192.168.17.9\"";
    let mut world = world(&lab(POOL, more));
    let shown = said(&mut world, "printer", "dhclient -1 -v eth0");
    assert!(shown.contains("DHCPACK of 192.168.17.101 from 192.168.17.1"), "{shown}");
    assert!(shown.contains("bound to 192.168.17.101"), "{shown}");
}
