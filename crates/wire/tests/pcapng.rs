//! What the writer wrote, read again by pcap-parser and by tshark.

mod common;

use std::net::IpAddr;

use common::{EPOCH, HERE, capture, conversation, has, read_with, samples, scratch, seen, v4};
use netarium_base::Instant;
use netarium_wire::Frame;
use netarium_wire::cidr::Cidr;
use netarium_wire::pcapng::{
    Direction, Interface, Packet, SECRETS_TLS_KEY_LOG, Section, Statistics, Writer,
};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapNGOption};

/// The blocks of a capture; fails on anything that is not a whole block.
fn blocks(mut bytes: &[u8]) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (rest, block) = pcap_parser::pcapng::parse_block_le(bytes).expect("a whole block");
        bytes = rest;
        found.push(block);
    }
    found
}

fn value<'a>(options: &'a [PcapNGOption<'a>], code: u16) -> Vec<&'a [u8]> {
    let of_code = options.iter().filter(|o| o.code.0 == code);
    of_code.map(|o| &o.value[..usize::from(o.len)]).collect()
}

/// A capture with one block of each kind.
fn one_of_each(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let section = Section { hardware: "Netarium", comment: "a comment", ..Section::default() };
    let mut w = Writer::start(&mut out, EPOCH, &section);
    let addresses = ["10.0.0.1/24", "2001:db8::1/64"].map(|c| c.parse::<Cidr>().expect("a prefix"));
    let interface = Interface {
        name: "web.home",
        description: "내 가상 머신",
        mac: Some(HERE),
        addresses: &addresses,
        speed: Some(1_000_000_000),
        snaplen: 60,
    };
    let id = w.interface(&mut out, &interface);
    let names = [(IpAddr::from([10, 0, 0, 1]), &["web", "web.home"][..])];
    w.names(&mut out, names);
    w.secrets(&mut out, SECRETS_TLS_KEY_LOG, b"CLIENT_RANDOM 00 11\n");
    let packet = Packet {
        interface: id,
        at: Instant::from_nanos(123_456_789),
        direction: Some(Direction::Out),
        id: Some(0x0102_0304_0506_0708),
        comments: &["first", "둘째"],
    };
    w.packet(&mut out, &packet, frame);
    let statistics = Statistics { received: 9, dropped: 2, ..Statistics::default() };
    w.statistics(&mut out, id, &statistics);
    out
}

#[test]
fn every_block_reads_back() {
    let frame = &conversation(v4())[3];
    let out = one_of_each(frame);
    let blocks = blocks(&out);
    let [
        Block::SectionHeader(shb),
        Block::InterfaceDescription(idb),
        Block::NameResolution(nrb),
        Block::DecryptionSecrets(dsb),
        Block::EnhancedPacket(epb),
        Block::InterfaceStatistics(isb),
    ] = &blocks[..]
    else {
        panic!("other blocks than written: {blocks:?}")
    };
    let application = concat!("netarium ", env!("CARGO_PKG_VERSION"));
    assert_eq!(value(&shb.options, 4), [application.as_bytes()]);
    assert_eq!(value(&shb.options, 2), [b"Netarium"]);
    assert_eq!(value(&shb.options, 1), [b"a comment"]);
    assert!(value(&shb.options, 3).is_empty(), "no operating system was given");

    assert_eq!((idb.linktype.0, idb.snaplen, idb.if_tsresol), (1, 60, 9));
    assert_eq!(value(&idb.options, 2), [b"web.home"]);
    assert_eq!(value(&idb.options, 3), ["내 가상 머신".as_bytes()]);
    assert_eq!(value(&idb.options, 4), [[10, 0, 0, 1, 255, 255, 255, 0]]);
    assert_eq!(value(&idb.options, 5)[0][15..], [1, 64]);
    assert_eq!(value(&idb.options, 6), [HERE.0]);
    assert_eq!(value(&idb.options, 8), [1_000_000_000u64.to_le_bytes()]);

    // pcap-parser keeps the padding and the record that ends the list.
    assert_eq!(nrb.nr.len(), 2);
    assert_eq!(nrb.nr[0].record_value, b"\x0a\0\0\x01web\0web.home\0\0\0\0");
    assert_eq!(dsb.secrets_type.0, SECRETS_TLS_KEY_LOG);
    assert_eq!(&dsb.data[..dsb.secrets_len as usize], b"CLIENT_RANDOM 00 11\n");

    let ns = u64::from(epb.ts_high) << 32 | u64::from(epb.ts_low);
    assert_eq!(ns, EPOCH + 123_456_789);
    assert_eq!((epb.caplen, epb.origlen as usize), (60, frame.len()));
    assert_eq!(&epb.packet_data()[..60], &frame.to_vec()[..60]);
    assert_eq!(value(&epb.options, 1), [b"first".as_slice(), "둘째".as_bytes()]);
    assert_eq!(value(&epb.options, 2), [2u32.to_le_bytes()]);
    assert_eq!(value(&epb.options, 5), [0x0102_0304_0506_0708u64.to_le_bytes()]);
    assert_eq!(value(&isb.options, 4), [9u64.to_le_bytes()]);
    assert_eq!(value(&isb.options, 5), [2u64.to_le_bytes()]);
}

/// Every snap length, over heads and payloads of several slices.
#[test]
fn snap_lengths_cut_frames_not_blocks() {
    let mut frame = conversation(v4()).remove(3);
    let mut rope = frame.take_payload();
    rope.push(netarium_wire::Slice::copy_from(b"abc"));
    let ip = v4();
    frame = netarium_wire::udp::frame(&ip, 1, 2, rope);
    let whole = frame.to_vec();
    for snaplen in 1..whole.len() + 2 {
        let bytes = capture(std::slice::from_ref(&frame), snaplen as u32);
        let blocks = blocks(&bytes);
        let Block::EnhancedPacket(epb) = &blocks[2] else { panic!("not a packet") };
        let kept = snaplen.min(whole.len());
        assert_eq!((epb.caplen as usize, epb.origlen as usize), (kept, whole.len()));
        assert_eq!(&epb.packet_data()[..kept], &whole[..kept]);
    }
}

/// Options and name records end at 65535 bytes; what is longer is cut, not written wrongly.
#[test]
fn long_texts_are_cut() {
    let mut out = Vec::new();
    let long = "한".repeat(30_000);
    let mut w = Writer::start(&mut out, 0, &Section { comment: &long, ..Section::default() });
    let id = w.interface(&mut out, &Interface { name: &long, ..Interface::default() });
    let many = [long.as_str(), "", "a\0b", "short"];
    let half = &long[..60_000];
    let fits = [half, half, "short"];
    let none: &[&str] = &[""];
    let address = |last| IpAddr::from([10, 0, 0, last]);
    w.names(&mut out, [(address(1), &many[..]), (address(2), &fits[..]), (address(3), none)]);
    let packet = Packet { comments: &[&long], ..seen(id, 0) };
    w.packet(&mut out, &packet, &conversation(v4())[0]);

    let blocks = blocks(&out);
    let Block::NameResolution(nrb) = &blocks[2] else { panic!("no names") };
    assert_eq!(nrb.nr[0].record_value, b"\x0a\0\0\x01short\0\0\0");
    assert_eq!(nrb.nr[1].record_value.len(), (4 + 60_001 + 6usize).next_multiple_of(4));
    assert_eq!(nrb.nr.len(), 2 + 1, "an address without a usable name is left out");
    let Block::EnhancedPacket(epb) = &blocks[3] else { panic!("no packet") };
    let comment = value(&epb.options, 1)[0];
    assert_eq!(std::str::from_utf8(comment).expect("cut at a character"), "한".repeat(21_845));
}

#[test]
fn tshark_finds_nothing_wrong() {
    if !has("tshark") {
        return;
    }
    let file = scratch("clean.pcapng", &capture(&samples(), 0));
    let wrong = "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || \
                 udp.checksum.status==0 || icmp.checksum.status==0";
    let checked = ["ip", "tcp", "udp"].map(|p| format!("{p}.check_checksum:TRUE"));
    let mut args = vec!["-Y", wrong];
    for c in &checked {
        args.extend(["-o", c]);
    }
    assert_eq!(read_with("tshark", &file, &args), Vec::<String>::new());
    // The filter does find a wrong checksum when there is one.
    let mut bytes = capture(&samples(), 0);
    let at = bytes.windows(14).position(|w| w == b"GET / HTTP/1.1").expect("the request");
    bytes[at] = b'P';
    let file = scratch("broken.pcapng", &bytes);
    assert_eq!(read_with("tshark", &file, &args).len(), 1);
}

#[test]
fn tshark_shows_what_was_recorded() {
    if !has("tshark") {
        return;
    }
    let mut out = Vec::new();
    let mut w = Writer::start(&mut out, EPOCH, &Section::default());
    let interfaces = ["web.home", "router.home"]
        .map(|name| w.interface(&mut out, &Interface { name, ..Interface::default() }));
    w.names(&mut out, [(IpAddr::from([10, 0, 0, 2]), &["web.example"][..])]);
    for (i, f) in conversation(v4()).iter().take(4).enumerate() {
        let comments: &[&str] = if i == 3 { &["the request", "from the browser"] } else { &[] };
        let packet = Packet { comments, ..seen(interfaces[i % 2], i) };
        w.packet(&mut out, &packet, f);
    }
    let file = scratch("shown.pcapng", &out);
    let mut args = vec!["-T", "fields", "-E", "separator=|", "-E", "aggregator=,"];
    let fields = [
        "frame.interface_name",
        "frame.time_epoch",
        "frame.packet_flags_direction",
        "frame.comment",
    ];
    for f in fields {
        args.extend(["-e", f]);
    }
    // Some versions print the direction in hexadecimal.
    let rows = read_with("tshark", &file, &args).into_iter();
    let rows: Vec<String> = rows.map(|r| r.replace("|0x0000000", "|")).collect();
    assert_eq!(
        rows,
        [
            "web.home|1767225600.000000000|1|",
            "router.home|1767225600.000001000|2|",
            "web.home|1767225600.000002000|1|",
            "router.home|1767225600.000003000|2|the request,from the browser",
        ]
    );
    let named = read_with("tshark", &file, &["-N", "n"]);
    assert!(named[0].contains("web.example"), "the name is shown: {}", named[0]);
}
