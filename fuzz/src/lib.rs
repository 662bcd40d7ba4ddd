//! Bodies of fuzz targets: any bytes, and what must hold of them.
//!
//! `fuzz_targets/` gives them to libFuzzer (`cargo +nightly fuzz run NAME`);
//! `crates/netarium/tests/arbitrary_bytes.rs` runs them over mutations of the seeds here, a bounded
//! number of times, or for as long as `NETARIUM_SOAK` says (seconds). None of them may panic, hang or
//! grow without bound. `commands` types at programs, `hosts` sends frames to hosts, `names` speaks DNS
//! and DHCP and writes configurations, both through `drive`; the others are here.

mod commands;
mod drive;
mod hosts;
mod names;

use netarium_wire::capture_file::Reader;
use netarium_wire::dissect::{Dump, FlowTracker, LinkType, Options, Style, line_of_bytes, text};
use netarium_wire::packet_filter::{Expression, Target as FilterTarget, View, Way};
use netarium_wire::{Frame, Payload};

/// A target: a body, what to begin with, and words that matter to it.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What is to be survived.
    pub body: fn(&[u8]),
    /// Inputs that mean something.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words to put in anywhere.
    pub words: &'static [&'static str],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "frames", body: frames, seeds: frame_seeds, words: &[] },
    Target {
        name: "expressions",
        body: expressions,
        seeds: expression_seeds,
        words: EXPRESSION_WORDS,
    },
    Target { name: "captures", body: captures, seeds: capture_seeds, words: &[] },
    Target { name: "labs", body: labs, seeds: lab_seeds, words: LAB_WORDS },
    Target { name: "predicates", body: predicates, seeds: predicate_seeds, words: PREDICATE_WORDS },
    Target { name: "drills", body: drills, seeds: drill_seeds, words: DRILL_WORDS },
    Target { name: "journals", body: journals, seeds: journal_seeds, words: &[] },
    Target {
        name: "commands",
        body: commands::run,
        seeds: commands::seeds,
        words: commands::WORDS,
    },
    Target {
        name: "http",
        body: commands::http,
        seeds: commands::http_seeds,
        words: commands::HTTP_WORDS,
    },
    Target { name: "filter", body: hosts::filter, seeds: hosts::filter_seeds, words: &[] },
    Target { name: "hosts", body: hosts::stack, seeds: frame_seeds, words: &[] },
    Target {
        name: "names",
        body: names::names,
        seeds: names::name_seeds,
        words: names::NAME_WORDS,
    },
    Target {
        name: "configurations",
        body: names::configurations,
        seeds: names::configuration_seeds,
        words: names::CONFIGURATION_WORDS,
    },
];

/// The target of a name, for `fuzz_targets/`.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("a target");
    (target.body)(bytes);
}

/// Frames and packets to their parts, to text, and into pieces.
fn frames(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut frame = Frame::from_bytes(bytes);
    assert_eq!(frame.to_vec(), bytes[..frame.len()]);
    let _ = frame.parse();
    let _ = frame.verify();
    let mtu = 68 + usize::from(*first);
    for piece in frame.fragment(mtu) {
        assert!(piece.ip_len() <= mtu);
        assert!(piece.part().is_ok());
    }
    let links = [LinkType::Ethernet, LinkType::Raw, LinkType::Cooked, LinkType::Cooked2];
    let dumps = [Dump::None, Dump::Hex, Dump::HexText, Dump::Text];
    let options = Options {
        ethernet: first & 1 != 0,
        quiet: first & 2 != 0,
        verbose: first >> 2 & 3,
        dump: dumps[usize::from(first >> 4 & 3)],
        ..Options::default()
    };
    let mut flows = FlowTracker::new(4);
    for link in links {
        for len in [bytes.len(), bytes.len() * 2 + 100] {
            let said = text(bytes, len, link, &options, Some(&mut flows));
            // Text grows with the packet, not beyond: quoted names and options are what is there.
            assert!(said.len() < 4_000 + bytes.len() * 300, "{} of {}", said.len(), bytes.len());
        }
    }
    line_of_bytes(bytes, bytes.len(), Style::default(), None);
}

fn frame_seeds() -> Vec<Vec<u8>> {
    use netarium_wire::icmp::{Icmp, kind};
    use netarium_wire::{Arp, IpHeader, Mac, TcpFlags, TcpHeader, TcpOption, TcpOptions, udp};
    let v4 = IpHeader::new([10, 0, 0, 7].into(), [10, 0, 0, 2].into());
    let mut options = TcpOptions::new();
    for o in [TcpOption::Mss(1460), TcpOption::SackPermitted, TcpOption::Timestamps(1, 2)] {
        assert!(options.push(o));
    }
    let (flags, payload) =
        (TcpFlags::SYN, Payload::copy_from(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    let tcp =
        TcpHeader { src_port: 40_000, dst_port: 80, flags, window: 1000, ..TcpHeader::default() };
    let dns = b"\x12\x34\x01\0\0\x01\0\x01\0\0\0\x01\x03www\x03lab\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let mut dhcp = vec![1, 1, 6, 0, 1, 2, 3, 4];
    dhcp.resize(236, 0);
    dhcp.extend([99, 130, 83, 99, 53, 1, 1, 61, 7, 1, 2, 0, 0, 0, 0, 1, 55, 3, 1, 3, 6, 255]);
    let arp = Arp {
        operation: Arp::REQUEST,
        sender_mac: Mac([2, 0, 0, 0, 0, 1]),
        sender: [10, 0, 0, 7].into(),
        target_mac: Mac::ZERO,
        target: [10, 0, 0, 2].into(),
    };
    let segment = tcp.frame(&v4, &options, payload);
    let datagram = udp::frame(&v4, 53, 5353, Payload::copy_from(dns));
    let error = netarium_wire::icmp::error(&v4, 3, 3, 0, &datagram);
    let all = [
        arp.frame(Mac::BROADCAST),
        Icmp::echo(kind::ECHO_REQUEST, 1, 1).frame(&v4, Payload::copy_from(&[1; 56])),
        error,
        datagram,
        segment,
        udp::frame(&v4, 68, 67, Payload::copy_from(&dhcp)),
    ];
    let long = udp::frame(&v4, 9, 9, Payload::copy_from(&[7; 3000]));
    let whole = all.into_iter().chain(long.fragment(1500));
    whole.map(|f| [vec![0xff], f.to_vec()].concat()).collect()
}

/// A filter expression, and behind a zero byte the packet that is asked.
fn expressions(bytes: &[u8]) {
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let packet = bytes.get(at + 1..).unwrap_or(&[]);
    let Ok(expression) = Expression::parse(&String::from_utf8_lossy(&bytes[..at])) else { return };
    let hosts = |name: &str| -> Vec<std::net::IpAddr> {
        if name.len().is_multiple_of(2) { Vec::new() } else { vec![[10, 0, 0, 1].into()] }
    };
    expression.names();
    for link in [LinkType::Ethernet, LinkType::Raw, LinkType::Cooked, LinkType::Cooked2] {
        let target = FilterTarget {
            link,
            netmask: Some(0xffff_ff00),
            live: at.is_multiple_of(2),
            hosts: &hosts,
        };
        let Ok(test) = expression.compile(&target) else { continue };
        for way in [Way::In, Way::Out] {
            test.accepts(&View { bytes: packet, len: packet.len() + at, way, ifindex: Some(2) });
        }
    }
}

fn expression_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "host 10.0.0.1 and not port 80",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "(ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2) != 0",
        "src net 10.0.0.0/8 or dst net 192.168 mask 255.255.0.0",
        "ether host 02:00:00:00:00:01 or vlan 5 and udp portrange 1-100",
        "host (web or 10.1) and ip proto \\tcp or less 60 && ip6 host 2001:db8::1",
    ];
    let frames = frame_seeds();
    texts.iter().zip(&frames).map(|(t, f)| [t.as_bytes(), b"\0", &f[1..]].concat()).collect()
}

const EXPRESSION_WORDS: &[&str] = &[
    "and ",
    "or ",
    "not ",
    "(",
    ")",
    "[",
    "]",
    ":",
    "tcp",
    "udp",
    "ip",
    "ip6",
    "arp",
    "ether ",
    "host ",
    "net ",
    "port ",
    "portrange ",
    "proto ",
    "src ",
    "dst ",
    "len ",
    "less ",
    "greater ",
    "vlan ",
    "10.0.0.1",
    "::1",
    "02:00:00:00:00:01",
    "0xffffffff",
    "4294967295",
    "<<",
    "/",
    "mask ",
    "broadcast",
    "multicast",
    "inbound",
    "ifindex ",
    "\\tcp",
    "tcpflags",
    "tcp-syn",
    "-",
    "!",
    "&&",
];

/// Capture files, and what their packets look like.
fn captures(bytes: &[u8]) {
    let Ok(mut reader) = Reader::new(bytes) else { return };
    let link = reader.link().unwrap_or_default();
    let mut records = 0;
    while let Ok(Some(record)) = reader.next_record() {
        assert!(record.bytes.len() <= record.len);
        text(
            &record.bytes[..record.bytes.len().min(500)],
            record.len,
            link,
            &Options::default(),
            None,
        );
        records += 1;
        assert!(records <= bytes.len(), "every record takes bytes");
    }
}

fn capture_seeds() -> Vec<Vec<u8>> {
    use netarium_base::Instant;
    use netarium_wire::capture_file::{Record, pcap_header, pcap_record};
    use netarium_wire::pcapng::{Interface, Packet, Section, Writer};
    let mut pcap = pcap_header(LinkType::Ethernet, 262_144);
    let mut pcapng = Vec::new();
    let mut writer = Writer::start(&mut pcapng, 0, &Section::default());
    let id = writer.interface(&mut pcapng, &Interface { name: "eth0", ..Interface::default() });
    for seed in frame_seeds() {
        pcap_record(&mut pcap, &Record { at: 1_000, len: seed.len() - 1, bytes: &seed[1..] });
        let packet =
            Packet { interface: id, at: Instant::ZERO, direction: None, id: None, comments: &[] };
        writer.packet(&mut pcapng, &packet, &Frame::from_bytes(&seed[1..]));
    }
    vec![pcap, pcapng]
}

/// Lab files.
fn labs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let known = netarium::program_names();
    let files = netarium::lab::Files::new();
    if let Ok(lab) = netarium::lab::Lab::from_parts("lab.toml", &text, &files, &known) {
        // What was accepted can be written and read again.
        let again = netarium::lab::Lab::from_parts("lab.toml", &lab.to_toml(), &files, &known);
        assert!(again.is_ok(), "{}", lab.to_toml());
    }
}

fn lab_seeds() -> Vec<Vec<u8>> {
    netarium::lab::builtins().iter().map(|b| b.toml.as_bytes().to_vec()).collect()
}

const LAB_WORDS: &[&str] = &[
    "[hosts.x]\n",
    "[networks.x]\n",
    "address = ",
    "\"10.0.0.1\"",
    "subnet = ",
    "\"0.0.0.0/0\"",
    "link = { ",
    "delay = \"1ms\"",
    "loss = 0.5",
    "rate = \"1Gbit\"",
    "router = true",
    "nat = {",
    "mirror = { to = ",
    "programs = [",
    "[[run]]\n",
    "at = \"1s\"",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "=",
    "\n",
    "9999999999999999999",
    "-1",
    "kind = \"hub\"",
    "[publish]\n",
    "[gateway]\n",
];

/// Conditions on traces.
fn predicates(bytes: &[u8]) {
    let _ = String::from_utf8_lossy(bytes).parse::<netarium_explain::Predicate>();
}

fn predicate_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "drop.reason == \"no-route\" && ip.src == 10.0.0.1",
        "tcp.state.to == \"ESTABLISHED\" or not (tcp.segment.len > 100)",
        "time >= 1.5s and node == \"web\"",
    ];
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

const PREDICATE_WORDS: &[&str] = &[
    "&&", "||", "!", "(", ")", "==", "!=", "<", ">", "\"", "and ", "or ", "not ", "drop",
    "10.0.0.1", "1s", "~", ".",
];

/// packetdrill scripts, read and run.
fn drills(bytes: &[u8]) {
    let _ = netarium_drill::Script::parse(&String::from_utf8_lossy(bytes), &[]);
}

fn drill_seeds() -> Vec<Vec<u8>> {
    vec![
        b"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n\
          +.1 < S 0:0(0) win 32792 <mss 1460,sackOK,nop,nop,nop,wscale 7>\n+0 > S. 0:0(0) ack 1 <...>\n\
          +.1 < . 1:1(0) ack 1 win 257\n+0 accept(3, ..., ...) = 4\n+0 %{ assert tcpi_unacked == 0 }%\n"
            .to_vec(),
    ]
}

const DRILL_WORDS: &[&str] = &[
    "+0 ", "< ", "> ", "S.", "ack ", "win ", "<", ">", "(", ")", "...", "= ", "mss ", "%{", "}%",
    "\n", "`", "--", "-1",
];

/// Journals and recordings.
fn journals(bytes: &[u8]) {
    if let Ok((_, reader)) = netarium::world::journal::Reader::open(bytes) {
        let entries = reader.take(bytes.len() + 2).count();
        assert!(entries <= bytes.len() + 1, "every entry takes bytes");
    }
    let _ = netarium::Recording::open(bytes);
}

fn journal_seeds() -> Vec<Vec<u8>> {
    hosts::journals()
}
