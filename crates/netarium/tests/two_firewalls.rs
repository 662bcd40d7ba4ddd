//! Row 12 of the course: a firewall in front of the NAT and one behind it. Which port must each name?

use netarium::{Lab, World};

const PAGE: &str = "curl -m 3 http://10.0.1.2:65535/";

/// How many packets each host's filter dropped so far: the physical PC's, the server's.
fn dropped(world: &World) -> [u64; 2] {
    ["physical", "web"].map(|name| {
        let host = world.inner().host_id(name).unwrap();
        let filter = world.inner().stack(host).and_then(|s| s.filter()).unwrap();
        filter.drops().map(|d| d.1).sum()
    })
}

fn ok(world: &mut World, host: &str, command: &str) -> String {
    let said = world.exec(host, command).unwrap();
    assert_eq!(said.code, 0, "{command}: {}{}", said.stdout_text(), said.stderr_text());
    said.stdout_text().to_owned()
}

#[test]
fn both_firewalls_have_to_be_open_each_for_its_own_port() {
    let mut world = Lab::builtin("two-firewalls").unwrap().build(1).unwrap();
    // Closed: the first firewall drops what asks, and says so.
    assert_eq!(world.exec("friend", PAGE).unwrap().code, 28);
    let [physical, web] = dropped(&world);
    assert!(physical > 0 && web == 0, "{physical} {web}");
    // The wrong port: in front of the NAT nobody knows port 80.
    ok(&mut world, "physical", "iptables -A FORWARD -p tcp --dport 80 -j ACCEPT");
    assert_eq!(world.exec("friend", PAGE).unwrap().code, 28);
    assert_eq!(dropped(&world)[1], 0);
    ok(&mut world, "physical", "iptables -R FORWARD 3 -p tcp --dport 65535 -j ACCEPT");
    // One open: now the second firewall drops.
    let before = dropped(&world)[0];
    assert_eq!(world.exec("friend", PAGE).unwrap().code, 28);
    assert_eq!(dropped(&world)[0], before);
    assert!(dropped(&world)[1] > 0);
    // The wrong port again: behind the NAT nobody knows port 65535.
    let add = "netsh advfirewall firewall add rule name=web dir=in action=allow protocol=TCP";
    ok(&mut world, "web", &format!("{add} localport=65535"));
    assert_eq!(world.exec("friend", PAGE).unwrap().code, 28);
    ok(&mut world, "web", "netsh advfirewall firewall delete rule name=web");
    // Both open.
    ok(&mut world, "web", &format!("{add} localport=80"));
    assert!(ok(&mut world, "friend", PAGE).contains("Both are open"));
    let table = ok(&mut world, "nat", "conntrack -L -p tcp --dport 65535");
    assert!(table.contains("src=10.0.0.7 dst=10.0.1.2"), "{table}");
    assert!(table.contains("src=192.168.17.17 dst=10.0.0.7 sport=80"), "{table}");
    // And closed again, while it runs.
    ok(&mut world, "physical", "iptables -D FORWARD -p tcp --dport 65535 -j ACCEPT");
    assert_eq!(world.exec("friend", PAGE).unwrap().code, 28);
}
