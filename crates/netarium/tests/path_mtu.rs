//! A path-MTU black hole, as it looks from the ends, and its cure.

use netarium::{Lab, World};
use netarium_base::DropReason;

/// `pc` – `near` – a wire of 1400 bytes – `far` – `web`. `near` knows the narrow wire, and a firewall
/// in front of the PC drops what it tells: the page of 100 kB never comes through.
const LAB: &str = r#"version = 1
lab.name = "black-hole"
[networks.home]
subnet = "10.0.0.0/24"
[networks.narrow]
subnet = "10.0.1.0/24"
[networks.servers]
subnet = "10.0.2.0/24"
[hosts.pc]
networks.home = "10.0.0.2"
[hosts.near]
router = true
networks.home = "10.0.0.1"
networks.narrow = { address = "10.0.1.1", mtu = 1400 }
routes = [{ to = "10.0.2.0/24", via = "10.0.1.2" }]
[hosts.far]
router = true
networks.narrow = { address = "10.0.1.2", mtu = 1400 }
networks.servers = "10.0.2.1"
routes = [{ to = "10.0.0.0/24", via = "10.0.1.1" }]
programs = ["iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"]
[hosts.web]
networks.servers = "10.0.2.2"
programs = ["source --listen 80 --bytes 100000 --http"]
"#;

fn drops(world: &World, reason: DropReason) -> u64 {
    world.inner().drops().filter(|(_, r, _)| *r == reason).map(|(_, _, n)| n).sum()
}

fn fetch(world: &mut World) -> (i32, String) {
    let line = "curl -s -m 20 -o page -w %{size_download} http://10.0.2.2/";
    let out = world.exec("pc", line).unwrap();
    (out.code, out.stdout_text())
}

/// RFC 2923 §2.1, RFC 1191: the connection opens, what is short passes, what is long vanishes; with
/// smaller segments, nothing does.
#[test]
fn a_black_hole_swallows_what_is_too_long_until_syns_are_clamped() {
    let mut world = Lab::load_str(LAB).unwrap_or_else(|e| panic!("{e}")).build(1).unwrap();
    assert_eq!(world.exec("pc", "ping -c 1 10.0.2.2").unwrap().code, 0, "short packets pass");
    let (code, size) = fetch(&mut world);
    assert_eq!(code, 28, "the page never comes: {size}");
    assert!(drops(&world, DropReason::FragmentationNeeded) > 2, "long segments, again and again");
    assert!(drops(&world, DropReason::FilterDrop) > 2, "and nobody may say so");
    // Where the narrow wire is known, SYNs offer what fits.
    let clamp = "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS \
                 --clamp-mss-to-pmtu";
    assert_eq!(world.exec("near", clamp).unwrap().code, 0);
    let before = drops(&world, DropReason::FragmentationNeeded);
    assert_eq!(fetch(&mut world), (0, "100000".to_owned()));
    assert_eq!(drops(&world, DropReason::FragmentationNeeded), before);
    let shown = world.exec("near", "iptables -t mangle -L FORWARD -nv").unwrap().stdout_text();
    assert!(shown.contains("tcp flags:0x06/0x02 TCPMSS clamp to PMTU"), "{shown}");
    let saved = world.exec("near", "iptables-save").unwrap().stdout_text();
    let rule = "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n";
    assert!(saved.contains("*mangle\n") && saved.contains(rule), "{saved}");
    // The other cure: let the router speak.
    world.exec("near", "iptables -t mangle -F").unwrap();
    assert_eq!(fetch(&mut world).0, 28);
    world.exec("far", "iptables -D OUTPUT 1").unwrap();
    assert_eq!(fetch(&mut world), (0, "100000".to_owned()));
    // A size of one's own, in the table filter as well.
    world.exec("far", "iptables -A FORWARD -p tcp --syn -j TCPMSS --set-mss 500").unwrap();
    assert_eq!(fetch(&mut world), (0, "100000".to_owned()));
    for (line, says) in [
        (
            "iptables -t mangle -A FORWARD -p tcp --syn -j TCPMSS",
            "At least one parameter is required",
        ),
        (
            "iptables -t mangle -A FORWARD -p tcp --syn -j TCPMSS --set-mss x",
            "out of range (0-65515)",
        ),
        ("iptables -t mangle -A FORWARD -j TCPMSS --set-mss 5", "Invalid argument"),
        (
            "iptables -t mangle -A PREROUTING -p tcp -j TCPMSS --clamp-mss-to-pmtu",
            "Invalid argument",
        ),
    ] {
        let out = world.exec("far", line).unwrap();
        assert!(out.code != 0 && out.stderr_text().contains(says), "{line}: {}", out.stderr_text());
    }
}
