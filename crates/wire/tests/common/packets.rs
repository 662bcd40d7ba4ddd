//! More sample packets, for what prints and filters them.

use netarium_wire::{Frame, Mac, TcpFlags, TcpOption, TcpOptions, udp};

use super::{back, tcp, text, v4, v6};

/// A DNS message: header words and what follows.
fn dns(id: u16, flags: u16, counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let mut m = Vec::new();
    for word in [id, flags, counts[0], counts[1], counts[2], counts[3]] {
        m.extend(word.to_be_bytes());
    }
    m.extend(rest.concat());
    m
}

/// The record type, class IN, five minutes, and its data.
fn record(name: &[u8], ty: u16, data: &[u8]) -> Vec<u8> {
    let mut r = name.to_vec();
    r.extend(ty.to_be_bytes());
    r.extend([0, 1, 0, 0, 1, 44]);
    r.extend((data.len() as u16).to_be_bytes());
    r.extend(data);
    r
}

const WWW: &[u8] = b"\x03www\x04shop\x03lab\x00";
/// A pointer to `shop.lab` of a first question that asks for [`WWW`], and one to the whole.
const SHOP: &[u8] = &[0xc0, 16];
const SAME: &[u8] = &[0xc0, 12];

fn names() -> Vec<Vec<u8>> {
    let ask = |ty: u8| [WWW, &[0, ty, 0, 1]].concat();
    let opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08abcdefgh".as_slice();
    let soa = [b"\x02ns\xc0\x10\x04host\xc0\x10".as_slice(), &[0, 0, 0, 7].repeat(5)].concat();
    let srv = [&[0, 1, 0, 2, 0, 80], SHOP].concat();
    let answers = [
        record(SAME, 5, SHOP),
        record(SHOP, 1, &[10, 77, 0, 1]),
        record(SHOP, 28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(SHOP, 15, &[&[0, 10], SHOP].concat()),
        record(SHOP, 16, b"\x05hello\x03a\"b"),
        record(SHOP, 33, &srv),
        record(SHOP, 2, b"\x02ns\xc0\x10"),
        record(SHOP, 99, b"\x01x"),
    ];
    let parts: Vec<&[u8]> = answers.iter().map(Vec::as_slice).collect();
    let (q1, q28) = (ask(1), ask(28));
    let soa = record(SHOP, 6, &soa);
    let mut all = vec![
        dns(58747, 0x0120, [1, 0, 0, 1], &[&q1, opt]),
        dns(58747, 0x8580, [1, 8, 0, 1], &[&[q1.as_slice()], &parts[..], &[opt]].concat()),
        dns(7, 0x8183, [1, 0, 1, 0], &[&q28, &soa]),
        dns(7, 0x8182, [1, 0, 0, 0], &[&q28]),
        dns(8, 0x0010, [1, 0, 0, 0], &[&q28]),
        dns(8, 0x8620, [1, 1, 0, 0], &[&q1, parts[1]]),
        dns(9, 0x2800, [1, 0, 1, 0], &[&q1, parts[1]]),
        dns(10, 0x0100, [2, 0, 0, 0], &[&q1, &q28]),
        dns(11, 0x8180, [1, 2, 0, 0], &[&q1, parts[1]]),
        dns(12, 0x0100, [1, 0, 0, 0], &[&[0xc0, 12], &[0, 1, 0, 1]]),
        dns(13, 0x0100, [1, 0, 0, 0], &[&[0, 0, 2, 0, 1]]),
    ];
    all.push(all[0][..20].to_vec());
    all.push(all[0][..11].to_vec());
    all
}

fn leases() -> Vec<Vec<u8>> {
    let message = |op: u8, kind: u8, more: &[u8]| {
        let mut m = vec![0; 236];
        m[..4].copy_from_slice(&[op, 1, 6, 0]);
        m[4..8].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
        m[9] = 3;
        m[10] = if kind == 1 { 0x80 } else { 0 };
        if op == 2 {
            m[16..20].copy_from_slice(&[192, 168, 17, 100]);
            m[20..24].copy_from_slice(&[192, 168, 17, 1]);
            m[44..49].copy_from_slice(b"route");
        }
        m[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        m.extend([99, 130, 83, 99, 53, 1, kind]);
        m.extend(more);
        m.extend([255, 0, 0]);
        m
    };
    let client = b"\x3d\x07\x01\x02\x00\x00\x00\x00\x01\x37\x06\x01\x1c\x02\x03\x0f\xf9\x0c\x03pc1";
    let lease = b"\x36\x04\xc0\xa8\x11\x01\x33\x04\x00\x00\x0e\x10\x01\x04\xff\xff\xff\x00\
        \x03\x04\xc0\xa8\x11\x01\x06\x08\x08\x08\x08\x08\x01\x01\x01\x01\x0f\x03lab\x1a\x02\x05\xdc\
        \x13\x02\x00\x01\x79\x09\x18\xc0\xa8\x05\xc0\xa8\x11\x01\x00\x3b\x04\x00\x00\x0c\x4e";
    let odd = b"\x51\x06\x05\x00\x00abc\xe0\x03xyz\xe1\x02ab\xe2\x04abcd\x34\x01\x03\x38\x02no";
    vec![
        message(1, 1, client),
        message(2, 2, lease),
        message(1, 3, b"\x32\x04\xc0\xa8\x11\x64\x36\x04\xc0\xa8\x11\x01"),
        message(2, 5, lease),
        message(2, 6, odd),
        message(1, 7, b"\x3d\x03\x00ab"),
        message(1, 8, b"\x34")[..242].to_vec(),
    ]
}

/// Packets of the protocols above: DNS, DHCP, text, odd options, fragments, other protocols.
pub(crate) fn more() -> Vec<Box<Frame>> {
    let mut all: Vec<Box<Frame>> = Vec::new();
    for (n, m) in names().iter().enumerate() {
        let (ask, port) = (m.get(2).is_some_and(|b| b & 0x80 == 0), 30_000 + n as u16);
        let (from, to) = if ask { (port, 53) } else { (53, port) };
        for ip in [v4(), v6()] {
            all.push(udp::frame(&ip, from, to, text(m)));
        }
        all.push(udp::frame(&v4(), 5353, 5353, text(m)));
        let framed = [&(m.len() as u16).to_be_bytes()[..], m].concat();
        let header = netarium_wire::TcpHeader {
            src_port: from,
            dst_port: to,
            ..tcp(1, 1, TcpFlags::ACK | TcpFlags::PSH)
        };
        all.push(header.frame(&v4(), &TcpOptions::new(), text(&framed)));
        all.push(header.frame(&v4(), &TcpOptions::new(), text(m)));
    }
    for m in leases() {
        all.push(udp::frame(&v4(), 68, 67, text(&m)));
        all.push(udp::frame(&v4(), 67, 68, text(&m)));
    }
    let said: [(u16, &[u8]); 9] = [
        (80, b"POST /login HTTP/1.1\r\nHost: shop\r\nCookie: a=b\r\n\r\nname=x&password=y"),
        (8080, b"HTTP/1.1 404 Not Found\nServer: x\n\nbody\x01"),
        (8081, b"GET / HTTP/1.1\r\n\r\n"),
        (25, b"220 mail ready\r\n"),
        (21, b"USER anonymous\r\nPASS x"),
        (22, b"SSH-2.0-OpenSSH_9.2\r\n"),
        (43, b"example.com\r\n"),
        (554, b"PLAY rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        (23, b"login: "),
    ];
    for (port, data) in said {
        let header = |flags| netarium_wire::TcpHeader { dst_port: port, ..tcp(1, 1, flags) };
        for flags in [TcpFlags::ACK | TcpFlags::PSH, TcpFlags::RST] {
            all.push(header(flags).frame(&v4(), &TcpOptions::new(), text(data)));
        }
        // A checksum that is wrong.
        let mut bytes = all.last().unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 0x55;
        all.push(Frame::from_bytes(&bytes));
    }
    let mut odd = TcpOptions::new();
    assert!(odd.push(TcpOption::Mss(1000)));
    assert!(
        odd.push_raw(&[28, 4, 0, 5, 34, 2, 254, 4, 0xf9, 0x89, 20, 4, 1, 2, 29, 6, 1, 2, 3, 4])
    );
    all.push(tcp(1, 0, TcpFlags::SYN).frame(&v4(), &odd, text(b"")));
    // Fragments, a service class, options, and other protocols.
    let long = udp::frame(&v4(), 9000, 9001, text(&[b'f'; 3000]));
    all.extend(long.fragment(1500));
    let marked = netarium_wire::IpHeader { tos: 0xb9, ttl: 1, id: 77, dont_fragment: true, ..v4() };
    all.push(udp::frame(&back(marked), 1, 2, text(b"tos")));
    let mut raw = udp::frame(&marked, 1, 2, text(b"other protocol")).to_vec();
    for protocol in [0u8, 1, 4, 41, 50, 59, 89, 132, 143, 200] {
        raw[23] = protocol;
        if !matches!(protocol, 50 | 89 | 132) {
            all.push(Frame::from_bytes(&raw));
        }
    }
    let mut unknown = raw.clone();
    unknown[12..14].copy_from_slice(&[0x88, 0xb5]);
    all.push(Frame::from_bytes(&unknown));
    let tagged = [&raw[..12], &[0x81, 0, 0x60, 5], &raw[12..]].concat();
    all.push(Frame::from_bytes(&tagged));
    for f in &mut all {
        if f.src_mac() == Mac::ZERO {
            f.set_macs(super::THERE, super::HERE);
        }
    }
    all
}
