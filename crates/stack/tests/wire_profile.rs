//! What captures show of a system: the bytes of its SYN, SYN+ACK and first segments, as Linux and
//! Windows send them (option order, windows, TTL, DF, identification), against tables.

mod common;

use common::peer::{Peer, seg};
use netarium_base::Duration;
use netarium_stack::TcpConfig;
use netarium_stack::tcp::config::WireProfile;
use netarium_wire::{Frame, TcpOption};

struct Look {
    ttl: u8,
    flags: &'static str,
    window: u16,
    options: Vec<u8>,
}

/// The IP and TCP headers of a frame, by the offsets of RFC 791 and RFC 9293, timestamps blanked.
fn look(frame: &Frame) -> (u8, bool, u16, u16, Vec<u8>) {
    let b = frame.to_vec();
    let (ip, tcp) = (&b[14..34], &b[34..]);
    assert_eq!(ip[0], 0x45);
    let df = ip[6] == 0x40;
    let id = u16::from_be_bytes([ip[4], ip[5]]);
    let window = u16::from_be_bytes([tcp[14], tcp[15]]);
    let end = usize::from(tcp[12] >> 4) * 4;
    let mut options = tcp[20..end].to_vec();
    if let Some(at) = options.windows(2).position(|w| w == [8, 10]) {
        options[at + 2..at + 10].fill(0);
    }
    (ip[8], df, id, window, options)
}

fn check(frame: &Frame, expected: &Look) {
    let (ttl, df, _, window, options) = look(frame);
    assert_eq!(ttl, expected.ttl, "{}: TTL", expected.flags);
    assert!(df, "{}: DF", expected.flags);
    assert_eq!(window, expected.window, "{}: window", expected.flags);
    assert_eq!(options, expected.options, "{}: options", expected.flags);
}

const MSS: [u8; 4] = [2, 4, 5, 180];
const SACK_OK: [u8; 2] = [4, 2];
const TS: [u8; 10] = [8, 10, 0, 0, 0, 0, 0, 0, 0, 0];

fn wscale(shift: u8) -> [u8; 4] {
    [1, 3, 3, shift]
}

fn host(profile: WireProfile) -> Peer {
    let mut p = Peer::new();
    p.host.set_tcp_config(TcpConfig::of(profile));
    p
}

/// `mss,sackOK,TS,nop,wscale`; 64240 in the SYN, 65160 in a SYN+ACK with timestamps; 502 and 510
/// afterwards.
#[test]
fn linux_looks_like_linux() {
    let options = [&MSS[..], &SACK_OK, &TS, &wscale(7)].concat();
    let mut p = host(WireProfile::Linux);
    let c = p.socket();
    let syn = {
        p.peer_port = 80;
        let to = std::net::SocketAddr::from((common::peer::THEIRS, 80));
        let _in_progress = p.on(|s, cx| s.connect(cx, c, to));
        p.frames()
    };
    check(&syn[0], &Look { ttl: 64, flags: "S", window: 64_240, options: options.clone() });
    p.inject(
        seg("S.", 0, 1)
            .mss(1460)
            .opt(TcpOption::SackPermitted)
            .ts(5, p.tsval)
            .opt(TcpOption::WindowScale(7)),
    );
    let mut q = host(WireProfile::Linux);
    q.listen(5);
    let answer = |q: &mut Peer| {
        q.inject_frames(
            seg("S", 0, 0)
                .mss(1460)
                .opt(TcpOption::SackPermitted)
                .ts(5, 0)
                .opt(TcpOption::WindowScale(7)),
        )
    };
    let syn_ack = answer(&mut q);
    check(&syn_ack[0], &Look { ttl: 64, flags: "S.", window: 65_160, options });
    assert_eq!(look(&syn_ack[0]).2, 0, "a SYN+ACK has identification 0");
    let echo = q.tsval;
    q.inject(seg(".", 1, 1).ts(6, echo));
    let ack = q.inject_frames(seg("P.", 1, 1).len(10).ts(7, echo));
    let options = [&[1, 1][..], &TS].concat();
    check(&ack[0], &Look { ttl: 64, flags: ".", window: 510, options });
}

/// After the handshake the identification counts up, and the window is 502 without timestamps.
#[test]
fn linux_counts_its_packets() {
    let mut p = host(WireProfile::Linux);
    let c = p.socket();
    p.connect(c);
    let ack = p.inject_frames(seg("S.", 0, 1).usual());
    check(&ack[0], &Look { ttl: 64, flags: ".", window: 502, options: vec![] });
    let first = look(&ack[0]).2;
    for i in 1..4u16 {
        p.on(|s, cx| s.send(cx, c, &[0; 10])).unwrap();
        let frames = p.frames();
        assert_eq!(look(&frames[0]).2, first.wrapping_add(i));
        p.inject(seg(".", 1, 1 + u32::from(i) * 10));
    }
}

/// `mss,nop,wscale,nop,nop,sackOK`, no timestamps; 64240 in the SYN, 65535 in the SYN+ACK; TTL 128.
#[test]
fn windows_looks_like_windows() {
    let options = [&MSS[..], &wscale(8), &[1, 1], &SACK_OK].concat();
    let mut p = host(WireProfile::Windows);
    let c = p.socket();
    p.peer_port = 80;
    let to = std::net::SocketAddr::from((common::peer::THEIRS, 80));
    let _in_progress = p.on(|s, cx| s.connect(cx, c, to));
    let syn = p.frames();
    check(&syn[0], &Look { ttl: 128, flags: "S", window: 64_240, options: options.clone() });
    assert!((49_152..=65_535).contains(&p.local_port_of(&syn[0])), "Windows' ephemeral ports");
    let times: Vec<String> = p
        .wait(Duration::from_secs(60))
        .iter()
        .map(|l| l.split_once(' ').unwrap().0.to_owned())
        .collect();
    assert_eq!(times, ["+1000", "+3000", "+7000", "+15000"], "four copies, doubled each");
    let mut q = host(WireProfile::Windows);
    q.listen(5);
    let syn_ack = q.inject_frames(seg("S", 0, 0).usual());
    check(&syn_ack[0], &Look { ttl: 128, flags: "S.", window: 65_535, options });
}

/// What the peer does not offer is not answered.
#[test]
fn options_are_answered_only_when_offered() {
    let cases: [(&str, Vec<TcpOption<'static>>, &str); 4] = [
        ("none", vec![], "mss 1460"),
        ("sack", vec![TcpOption::SackPermitted], "mss 1460,nop,nop,sackOK"),
        ("ts", vec![TcpOption::Timestamps(1, 0)], "mss 1460,nop,nop,TS ecr 1"),
        ("wscale", vec![TcpOption::WindowScale(3)], "mss 1460,nop,wscale 7"),
    ];
    for (name, offered, answered) in cases {
        let mut p = Peer::new();
        p.listen(5);
        let syn = offered.into_iter().fold(seg("S", 0, 0).mss(1460), |s, o| s.opt(o));
        let answer = p.inject(syn);
        assert!(answer[0].ends_with(&format!("<{answered}>")), "{name}: {answer:?}");
    }
}

/// RFC 7323 §2.3: a shift above 14 counts as 14; RFC 9293 MUST-15 and MUST-16 for the MSS.
#[test]
fn shifts_and_sizes_are_limited() {
    let mut p = Peer::new();
    let s = p.accepted(seg("S", 0, 0).mss(40).opt(TcpOption::WindowScale(20)));
    let info = p.host.tcp_info(p.now, s).unwrap();
    assert_eq!((info.snd_wscale, info.snd_mss), (14, 48));
    let mut p = Peer::new();
    let l = p.listen(5);
    p.inject(seg("S", 0, 0));
    p.inject(seg(".", 1, 1));
    let s = p.accept(l).unwrap();
    assert_eq!(p.host.tcp_info(p.now, s).unwrap().snd_mss, 536);
    // As on Linux the SYN's window does not count once the handshake is done.
    for syn_window in [700, 65_535] {
        let mut p = Peer::new();
        let s = p.accepted(seg("S", 0, 0).mss(1460).win(syn_window));
        assert_eq!(p.host.tcp_info(p.now, s).unwrap().snd_mss, 500, "half of the window of 1000");
    }
}
