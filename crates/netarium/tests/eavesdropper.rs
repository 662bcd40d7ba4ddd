//! Row 10 of the course: who can read what others say, on a hub, a switch, a mirror port, and a switch
//! whose table is full.

use netarium::{BuildOptions, Duration, Lab, World};

/// The lab, with what its file tells to happen.
fn lab() -> World {
    let options = BuildOptions { seed: Some(1), runs: true, ..BuildOptions::default() };
    Lab::builtin("eavesdropper").unwrap().build_with(options).unwrap()
}

/// The lab, after all of that.
fn told() -> World {
    let mut world = lab();
    world.run_for(Duration::from_secs(30));
    world
}

/// What Eve reads of a capture.
fn eve(world: &mut World, command: &str) -> String {
    let said = world.exec("eve", command).unwrap();
    assert_eq!(said.code, 0, "{command}: {}", said.stderr_text());
    said.stdout_text()
}

#[test]
fn a_hub_tells_everything_a_switch_nothing_a_mirror_port_everything() {
    let mut world = told();
    let hub = eve(&mut world, "tcpdump -A -n -r hub.pcap");
    assert!(hub.contains("user=mina&password=open-hub"), "{hub}");
    assert!(hub.contains("Cookie: session=4711"), "{hub}");
    let mirror = eve(&mut world, "tcpdump -A -n -r mirror.pcap");
    assert!(mirror.contains("user=mina&password=seen-mirror"), "{mirror}");
    assert!(mirror.contains("Cookie: session=4713"), "{mirror}");
    let switch = eve(&mut world, "tcpdump -A -n -r switch.pcap");
    assert!(!switch.contains("safe-switch") && !switch.contains("4712"), "{switch}");
    let asks = eve(&mut world, "tcpdump -n -r switch.pcap arp host 10.0.2.17");
    assert!(asks.contains("Request who-has 10.0.2.17"), "{asks}");
}

/// Before the flood not a single segment reaches her over the switch, only what is for everyone.
#[test]
fn a_switch_sends_a_segment_to_nobody_else() {
    let mut world = lab();
    world.run_for(Duration::from_secs(10));
    let segments = eve(&mut world, "tcpdump -n -r switch.pcap tcp");
    assert_eq!(segments, "");
    assert_ne!(eve(&mut world, "tcpdump -n -r switch.pcap arp"), "");
    assert_ne!(eve(&mut world, "tcpdump -n -r hub.pcap tcp"), "");
}

#[test]
fn a_flooded_switch_is_a_hub() {
    let mut world = told();
    let switch = eve(&mut world, "tcpdump -A -n -r switch.pcap");
    assert!(switch.contains("user=mina&password=flooded-switch"), "{switch}");
    assert!(switch.contains("Cookie: session=4714"), "{switch}");
    // Once the made-up addresses are forgotten, the switch is a switch again.
    world.run_for(Duration::from_secs(60));
    let curl = "curl -s -d password=safe-again http://10.0.2.17/";
    world.exec("pc", curl).unwrap();
    // The first answer tells the switch who is where; from then on Eve hears nothing.
    world.exec("pc", curl).unwrap();
    let after = eve(&mut world, "tcpdump -A -n -r switch.pcap");
    assert!(!after.contains("safe-again"), "{after}");
}

#[test]
fn eve_hears_only_in_promiscuous_mode() {
    let mut world = lab();
    let link = eve(&mut world, "ip link show dev eth0");
    assert!(link.contains(",PROMISC,"), "{link}");
    // Whoever listens is found by looking at the interface, not at the wire: nothing was sent.
    let eavesdropping = world.inner().host_id("eve").unwrap();
    let sent = |world: &World| {
        let stack = world.inner().stack(eavesdropping).unwrap();
        stack.interfaces().iter().map(|i| i.counters.tx_packets).sum::<u64>()
    };
    world.run_for(Duration::from_secs(4));
    assert_eq!(sent(&world), 0);
}
