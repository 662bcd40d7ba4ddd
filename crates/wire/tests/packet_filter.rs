//! Filter expressions: what they let pass, and what is said about wrong ones, beside tcpdump.
#![allow(clippy::vec_box, reason = "frames are boxed wherever they travel")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "runs tcpdump, which reads files"
)]

mod common;

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use common::packets::more;
use common::{capture, has, samples, scratch};
use netarium_wire::Frame;
use netarium_wire::packet_filter::{
    DEPTH_MAX, Expression, FilterError, LinkType, OPERATORS_MAX, PacketTest, Target, View, Way,
};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

fn hosts(name: &str) -> Vec<IpAddr> {
    if name == "localhost" { vec![IpAddr::from([127, 0, 0, 1])] } else { Vec::new() }
}

fn compile(text: &str) -> Result<PacketTest, FilterError> {
    let target = Target { link: LinkType::Ethernet, netmask: None, live: false, hosts: &hosts };
    Expression::parse(text)?.compile(&target)
}

fn accepts(test: &PacketTest, bytes: &[u8], len: usize) -> bool {
    test.accepts(&View { bytes, len, way: Way::Unknown, ifindex: None })
}

/// Which packets of the file tcpdump lets pass, or what it says. `-O`: its optimiser may leave out
/// accesses behind the captured bytes, and refuses what it finds to reject everything.
fn tcpdump(file: &Path, expression: &str) -> Result<Vec<usize>, String> {
    let mut command = Command::new("tcpdump");
    command.args(["-O", "-tt", "-n", "-q", "-r"]).arg(file).arg(expression);
    let out = command.output().expect("it runs");
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let last = said.lines().last().unwrap_or_default();
        return Err(last.trim_start_matches("tcpdump: ").to_owned());
    }
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let passed = text.lines().filter_map(|l| {
        let micros = l.strip_prefix("1767225600.")?.get(..6)?;
        micros.parse().ok()
    });
    Ok(passed.collect())
}

/// Parts of expressions; each stands alone, too.
const PRIMITIVES: &[&str] = &[
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "igmp",
    "sctp",
    "ah",
    "esp",
    "host 10.0.0.1",
    "src host 10.0.0.1",
    "dst 10.0.0.2",
    "src or dst 10.0.0.1",
    "src and dst host 10.0.0.1",
    "ip host 10.0.0.1",
    "arp host 10.0.0.2",
    "host 10.0",
    "host 2001:db8::1",
    "src 2001:db8::2",
    "ip6 host 2001:db8::1",
    "net 2001:db8::/32",
    "net 10",
    "net 10.0.0",
    "src net 10.0.0.0/30",
    "dst net 10.0.0.0 mask 255.255.255.254",
    "net 192.168.0.0/16",
    "net 0/0",
    "ip net 10.0.0.2/31",
    "ether host 02:00:00:00:00:01",
    "ether src 2:0:0:0:0:1",
    "ether dst 02-00-00-00-00-02",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether broadcast",
    "broadcast",
    "ether multicast",
    "multicast",
    "ip broadcast",
    "ip multicast",
    "ip6 multicast",
    "port 80",
    "tcp port 80",
    "udp port 53",
    "src port 53",
    "tcp dst port 8080",
    "port http",
    "udp port domain",
    "port domain",
    "src or dst port 68",
    "tcp src and dst port 80",
    "portrange 20-80",
    "udp portrange 5000-6000",
    "tcp dst portrange 443-8080",
    "dst portrange 53",
    "portrange 80-20",
    "sctp port 1",
    "port 0",
    "port 65535",
    "ip proto 6",
    "ip proto \\udp",
    "ip proto \\icmp",
    "ip6 proto 58",
    "proto 17",
    "proto \\tcp",
    "ether proto 0x800",
    "ether proto \\arp",
    "ether proto \\ip6",
    "ip proto 132",
    "proto 47",
    "less 60",
    "greater 100",
    "len > 90",
    "len <= 60",
    "len = 54",
    "length != 54",
    "tcp[13] = 2",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] == tcp-syn",
    "tcp[tcpflags] & tcp-ack != 0",
    "ip[8] < 5",
    "ip[8] = 64",
    "ip[0] & 0xf > 5",
    "ip[2:2] > 100",
    "ip[6:2] & 0x1fff != 0",
    "ip[6] & 0x40 != 0",
    "ip[12:4] = 0x0a000001",
    "ether[0] & 1 = 1",
    "ether[12:2] = 0x806",
    "icmp[icmptype] = icmp-echo",
    "icmp[0] = 3",
    "icmp[icmpcode] > 0",
    "icmp6[icmp6type] = icmp6-echo",
    "udp[4:2] > 20",
    "arp[6:2] = 1",
    "ip6[6] = 17",
    "(ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2) != 0",
    "tcp[0:2] + 1 = 4001",
    "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
    "ip[1] / 2 * 2 != ip[1]",
    "ip[8] % 3 = 1",
    "(-ip[8]) > 5",
    "5 < ip[8]",
    "1 = 1",
    "len - 14 = ip[2:2]",
    "byte 23 = 17",
    "byte 12 > 8",
    "ip[60] = 1",
    "tcp[100] = 0",
    "ip[8] ^ 64 = 0",
    "udp[8:4] | 0 != 0",
    "vlan",
    "vlan 5",
    "vlan and ip",
    "vlan 5 and udp",
    "not vlan",
    "host (10.0.0.1 or 10.0.0.2)",
    "port 80 or 53",
    "tcp port 80 or 443 or 53",
    "host 10.0.0.1 and not port 80",
    "port (80 or 53)",
    "not host 10.0.0.1",
    "! tcp",
    "src host 10.0.0.1 or 10.0.0.2 and dst port 53",
    "ip and (tcp or udp) && !port 80",
    "dst host not 10.0.0.1",
    "tcp and port 80 or udp and port 53",
    "host 0x0a000001",
    "src net 10 or 192.168",
    "tcp-syn & 2 = 2",
    "((tcp))",
    "(tcp[13] & 3) != 0",
    "host localhost",
    "ip proto (6 or 17)",
    "net 10.0.0.0/29 and port 53 or 80",
    "ether[6:4]=0x02000000",
];

#[test]
fn expressions_let_pass_what_they_do_in_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let mut frames = samples();
    frames.extend(more());
    let cut: Vec<Box<Frame>> = frames
        .iter()
        .enumerate()
        .map(|(n, f)| Frame::from_bytes(&f.to_vec()[..f.len().min(14 + n * 7 % 60)]))
        .collect();
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut below = |n: usize| rng.next_u32() as usize % n;
    let mut expressions: Vec<String> = PRIMITIVES.iter().map(|p| (*p).to_owned()).collect();
    for _ in 0..250 {
        let mut text = String::new();
        for n in 0..2 + below(4) {
            if n > 0 {
                text.push_str([" and ", " or ", " && ", " || "][below(4)]);
            }
            text.push_str(["", "", "not ", "!"][below(4)]);
            let part = PRIMITIVES[below(PRIMITIVES.len())];
            // A tag moves what comes behind it, in ways of its own where alternatives meet.
            if part.contains("vlan") {
                text.push_str("ip");
            } else if below(3) == 0 {
                text.push_str(&format!("({part})"));
            } else {
                text.push_str(part);
            }
        }
        expressions.push(text);
    }
    let (mut compared, mut passed, mut wrong) = (0, 0, Vec::new());
    for (name, frames) in [("filter", &frames), ("filter-cut", &cut)] {
        for snaplen in [262_144, 40] {
            let file = scratch(&format!("{name}-{snaplen}.pcapng"), &capture(frames, snaplen));
            for text in &expressions {
                let ours = compile(text).map(|test| {
                    let wanted = |f: &Frame| {
                        let bytes = f.to_vec();
                        accepts(&test, &bytes[..bytes.len().min(snaplen as usize)], bytes.len())
                    };
                    (0..frames.len()).filter(|n| wanted(&frames[*n])).collect::<Vec<_>>()
                });
                let theirs = tcpdump(&file, text);
                let ours = ours.map_err(|e| e.0);
                if ours != theirs {
                    wrong.push(format!("{text} of {name} cut at {snaplen}: {ours:?} {theirs:?}"));
                }
                compared += 1;
                passed += theirs.map_or(0, |t| t.len());
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong[..wrong.len().min(9)].join("\n"));
    assert!(compared > 1_000 && passed > 10_000, "{compared} {passed}");
}

#[test]
fn wrong_expressions_are_told_in_libpcaps_words() {
    if !has("tcpdump") {
        return;
    }
    let file = scratch("filter-wrong.pcapng", &capture(&samples(), 0));
    let mut wrong = Vec::new();
    for text in [
        "foo",
        "port",
        "host",
        "tcp port",
        "port foo",
        "port 80 80",
        "tcp and",
        "and tcp",
        "(tcp",
        "tcp)",
        "host 256.1.1.1",
        "net 10.0.0.1/8",
        "net 10.0.0.0/33",
        "net 10.0.0.1 mask 255.0.0.0",
        "host 10.0.0.0/8",
        "port 65536",
        "port 70000",
        "udp port 99999",
        "ip port 80",
        "tcp host 10.0.0.1",
        "icmp host 10.0.0.1",
        "ether host 10.0.0.1",
        "host 02:00:00:00:00:01",
        "tcp[13:3] = 1",
        "ah[0] = 1",
        "ip6 host 10.0.0.1",
        "ip host 2001:db8::1",
        "arp proto 1",
        "tcp proto 6",
        "src proto 6",
        "ip proto foo",
        "ether proto foo",
        "inbound",
        "outbound",
        "host nowhere.invalid",
        "tcp[13",
        "tcp[] = 1",
        "ip[0] / 0 = 1",
        "ip[0] << 32 = 1",
        "portrange 1-",
        "portrange a-b",
        "proto 10.0.0.1",
        "port 10.0.0.1",
        "ether host nobody",
        "tcp broadcast",
        "gateway 10.0.0.1",
        "vlan 5000",
        "net foo",
        "not",
        "()",
        "len",
        "5",
        "tcp = 5",
        "ip[8] < < 5",
        "less",
        "greater x",
        "udp port http2x",
        "=",
        "10.0.0.1",
        "port port",
        "src",
        "ether",
        "link",
        "host host",
    ] {
        let theirs = tcpdump(&file, text);
        let ours = compile(text).err().map(|e| e.0);
        if ours != theirs.as_ref().err().cloned() {
            wrong.push(format!("{text}: {ours:?}, not {:?}", theirs.err()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn limits_are_refused_not_followed() {
    let deep = |n: u32| format!("{}tcp{}", "(".repeat(n as usize), ")".repeat(n as usize));
    assert!(compile(&deep(DEPTH_MAX / 2)).is_ok());
    assert!(compile(&deep(DEPTH_MAX * 2)).is_err());
    assert!(compile(&"not ".repeat(DEPTH_MAX as usize * 2)).is_err());
    assert!(compile(&format!("1{} = 2", "+1".repeat(OPERATORS_MAX as usize * 2))).is_err());
    assert!(compile(&vec!["ip"; OPERATORS_MAX as usize * 2].join(" or ")).is_err());
    assert!(compile(&format!("{}1 = 1", "-".repeat(100_000))).is_err());
    let many = compile(&vec!["ip"; OPERATORS_MAX as usize].join(" or ")).unwrap();
    assert!(!accepts(&many, &[0; 60], 60));
}

#[test]
fn names_are_looked_up_by_whoever_asks() {
    let expression =
        Expression::parse("host web or dst shop and port http or ether host x").unwrap();
    assert_eq!(expression.names(), ["web", "shop"]);
    assert_eq!(Expression::parse("").unwrap().names(), Vec::<String>::new());
    assert!(compile("").unwrap().is_empty());
    let cooked = Target { link: LinkType::Cooked2, netmask: None, live: true, hosts: &hosts };
    let test = |text: &str| Expression::parse(text).unwrap().compile(&cooked);
    let packet = |kind: u8| {
        let mut b = vec![8, 0, 0, 0, 0, 0, 0, 2, 0, 1, kind, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        b.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        b.extend([0, 53, 0, 99, 0, 8, 0, 0]);
        b
    };
    for (text, out, other) in [
        ("outbound", true, false),
        ("inbound", false, true),
        ("udp src port 53", true, true),
        ("ifindex 2", true, true),
        ("ifindex 3", false, false),
        ("ip[8] = 64", true, true),
        ("ip6", false, false),
    ] {
        let test = test(text).unwrap();
        assert_eq!(accepts(&test, &packet(4), 48), out, "{text}");
        assert_eq!(accepts(&test, &packet(0), 48), other, "{text}");
    }
    assert!(test("ether host 02:00:00:00:00:01").is_err());
}
