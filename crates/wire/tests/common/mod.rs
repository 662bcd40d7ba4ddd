//! What the tests of this crate share: sample frames, captures, and the tools they are read with.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "runs tshark and tcpdump, which read files"
)]
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::vec_box, reason = "frames are boxed wherever they travel")]

pub(crate) mod packets;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netarium_base::Instant;
use netarium_wire::icmp::{self, Icmp, kind, unreachable};
use netarium_wire::pcapng::{Direction, Interface, InterfaceId, Packet, Section, Writer};
use netarium_wire::{
    Arp, Frame, IpHeader, Mac, Payload, TcpFlags, TcpHeader, TcpOption, TcpOptions, udp,
};

/// 2026-01-01 00:00:00 UTC.
pub(crate) const EPOCH: u64 = 1_767_225_600_000_000_000;
pub(crate) const HERE: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const THERE: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Whether `tool` can be run; says on stderr what is skipped when not.
pub(crate) fn has(tool: &str) -> bool {
    let found = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !found {
        eprintln!("skipped: no {tool}");
    }
    found
}

/// A file in the test's scratch folder.
pub(crate) fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("the scratch folder is writable");
    path
}

/// What `tool` prints about a capture, line by line.
pub(crate) fn read_with(tool: &str, file: &Path, args: &[&str]) -> Vec<String> {
    let out = Command::new(tool).arg("-r").arg(file).args(args).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{tool} failed: {stderr}");
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}

/// The frames as a capture of one interface, a microsecond apart, alternately in and out.
pub(crate) fn capture(frames: &[Box<Frame>], snaplen: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, EPOCH, &Section::default());
    let id = w.interface(&mut out, &Interface { name: "web.home", snaplen, ..Default::default() });
    for (i, f) in frames.iter().enumerate() {
        w.packet(&mut out, &seen(id, i), f);
    }
    out
}

/// The `i`-th packet of an interface.
pub(crate) fn seen(interface: InterfaceId, i: usize) -> Packet<'static> {
    let direction = if i.is_multiple_of(2) { Direction::In } else { Direction::Out };
    Packet {
        interface,
        at: Instant::from_nanos(i as u64 * 1000),
        direction: Some(direction),
        id: None,
        comments: &[],
    }
}

pub(crate) fn v4() -> IpHeader {
    IpHeader::new(IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]))
}

pub(crate) fn v6() -> IpHeader {
    let ip = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    IpHeader::new(ip(1), ip(2))
}

/// `ip` the other way round.
pub(crate) fn back(ip: IpHeader) -> IpHeader {
    IpHeader { src: ip.dst, dst: ip.src, ..ip }
}

pub(crate) fn tcp(seq: u32, ack: u32, flags: TcpFlags) -> TcpHeader {
    TcpHeader { src_port: 4000, dst_port: 80, seq, ack, flags, window: 502, urgent: 0 }
}

pub(crate) fn text(bytes: &[u8]) -> Payload {
    Payload::copy_from(bytes)
}

fn options(list: &[TcpOption<'_>]) -> TcpOptions {
    let mut o = TcpOptions::new();
    for option in list {
        assert!(o.push(*option));
    }
    o
}

/// A connection that fetches a page, over IPv4 or IPv6.
pub(crate) fn conversation(there: IpHeader) -> Vec<Box<Frame>> {
    use TcpFlags as F;
    let (nop, ts) = (TcpOption::Nop, TcpOption::Timestamps);
    let syn = |ecr| {
        let (mss, ws) = (TcpOption::Mss(1460), TcpOption::WindowScale(7));
        options(&[mss, TcpOption::SackPermitted, ts(1, ecr), nop, ws])
    };
    let o = options(&[nop, nop, ts(2, 1)]);
    let sack = options(&[nop, nop, TcpOption::Sack(&[0, 0, 0x13, 0xf0, 0, 0, 0x14, 0])]);
    let home = back(there);
    let reply = |h: TcpHeader| TcpHeader { src_port: h.dst_port, dst_port: h.src_port, ..h };
    let request = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (a, b) = (1001, 5001);
    let (a2, b2) = (a + request.len() as u32, b + answer.len() as u32);
    vec![
        tcp(a - 1, 0, F::SYN).frame(&there, &syn(0), Payload::new()),
        reply(tcp(b - 1, a, F::SYN | F::ACK)).frame(&home, &syn(1), Payload::new()),
        tcp(a, b, F::ACK).frame(&there, &o, Payload::new()),
        tcp(a, b, F::PSH | F::ACK).frame(&there, &o, text(request)),
        reply(tcp(b, a2, F::ACK)).frame(&home, &o, Payload::new()),
        reply(tcp(b, a2, F::PSH | F::ACK)).frame(&home, &o, text(answer)),
        reply(tcp(b, a2, F::ACK)).frame(&home, &o, text(&[b'x'; 99])),
        tcp(a2, b, F::ACK).frame(&there, &sack, Payload::new()),
        TcpHeader { urgent: 3, ..tcp(a2, b2, F::PSH | F::ACK | F::URG) }.frame(
            &there,
            &o,
            text(b"PUT"),
        ),
        reply(tcp(b2, a2, F::FIN | F::ACK)).frame(&home, &o, Payload::new()),
        tcp(a2, b2 + 1, F::FIN | F::ACK | F::ECE | F::CWR).frame(&there, &o, Payload::new()),
        reply(tcp(b2 + 1, a2 + 1, F::ACK)).frame(&home, &o, Payload::new()),
        tcp(a2, 0, F::RST).frame(&there, &TcpOptions::new(), Payload::new()),
        reply(tcp(0, 1, F::RST | F::ACK)).frame(&home, &TcpOptions::new(), Payload::new()),
    ]
}

/// ARP, UDP and ICMP with its errors.
pub(crate) fn others() -> Vec<Box<Frame>> {
    let ip = |last| std::net::Ipv4Addr::new(10, 0, 0, last);
    let ask = Arp {
        operation: Arp::REQUEST,
        sender_mac: HERE,
        sender: ip(1),
        target_mac: Mac::ZERO,
        target: ip(2),
    };
    let answer = Arp {
        operation: Arp::REPLY,
        sender_mac: THERE,
        sender: ip(2),
        target_mac: HERE,
        target: ip(1),
    };
    let datagram = udp::frame(&v4(), 40000, 41000, text(b"odd"));
    let segment = tcp(7, 0, TcpFlags::SYN).frame(&v4(), &TcpOptions::new(), Payload::new());
    let echo = Icmp::echo(kind::ECHO_REQUEST, 77, 1);
    let home = back(v4());
    vec![
        ask.frame(Mac::BROADCAST),
        answer.frame(HERE),
        Arp { sender: ip(0), ..ask }.frame(Mac::BROADCAST),
        Arp { sender: ip(2), ..ask }.frame(Mac::BROADCAST),
        Arp { target_mac: THERE, ..ask }.frame(THERE),
        echo.frame(&v4(), text(&[1; 56])),
        Icmp { kind: kind::ECHO_REPLY, ..echo }.frame(&home, text(&[1; 56])),
        icmp::error(&home, kind::UNREACHABLE, unreachable::PORT, 0, &datagram),
        icmp::error(&home, kind::UNREACHABLE, unreachable::PORT, 0, &segment),
        icmp::error(&home, kind::UNREACHABLE, unreachable::HOST, 0, &segment),
        icmp::error(&home, kind::UNREACHABLE, unreachable::NETWORK, 0, &segment),
        icmp::error(&home, kind::UNREACHABLE, unreachable::PROTOCOL, 0, &segment),
        icmp::error(&home, kind::UNREACHABLE, unreachable::ADMIN_PROHIBITED, 0, &segment),
        icmp::error(&home, kind::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, 1400, &segment),
        icmp::error(&home, kind::TIME_EXCEEDED, 0, 0, &segment),
        icmp::error(&home, kind::TIME_EXCEEDED, 1, 0, &segment),
        icmp::error(&home, kind::REDIRECT, 1, 0x0a00_0009, &segment),
        datagram,
        segment,
        udp::frame(&v6(), 40000, 41000, text(b"even")),
        udp::frame(&v4(), 40000, 41000, Payload::new()),
    ]
}

/// All samples with MAC addresses.
pub(crate) fn samples() -> Vec<Box<Frame>> {
    let mut all = conversation(v4());
    all.append(&mut conversation(v6()));
    all.append(&mut others());
    for f in &mut all {
        if f.src_mac() == Mac::ZERO {
            f.set_macs(THERE, HERE);
        }
    }
    all
}
