//! Our lines and tcpdump's, for the same packets.
#![allow(clippy::vec_box, reason = "frames are boxed wherever they travel")]

mod common;

use common::{capture, conversation, has, others, read_with, samples, scratch, tcp, text, v4};
use netarium_wire::dissect::{FlowTracker, Style, line, line_of_bytes};
use netarium_wire::{Frame, TcpFlags, TcpHeader, TcpOptions};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// tcpdump's lines, without what it adds on lines of their own.
fn tcpdump(file: &std::path::Path, extra: &[&str]) -> Vec<String> {
    let args = [&["-nn", "-t"], extra].concat();
    let lines = read_with("tcpdump", file, &args).into_iter();
    lines
        .filter(|l| !l.starts_with('\t'))
        .map(|l| l.trim_end_matches([':', ' ']).to_owned())
        .collect()
}

#[test]
fn a_conversation_reads_as_in_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let frames = samples();
    let file = scratch("lines.pcapng", &capture(&frames, 0));
    for ethernet in [false, true] {
        let extra: &[&str] = if ethernet { &["-e"] } else { &[] };
        let mut flows = FlowTracker::default();
        let style = Style { ethernet };
        let ours: Vec<String> = frames.iter().map(|f| line(f, style, Some(&mut flows))).collect();
        for (ours, theirs) in ours.iter().zip(tcpdump(&file, extra)) {
            assert_eq!(*ours, theirs);
        }
        // -S: absolute sequence numbers, which is what comes without a tracker.
        let extra = [extra, &["-S"]].concat();
        for (f, theirs) in frames.iter().zip(tcpdump(&file, &extra)) {
            assert_eq!(line(f, style, None), theirs);
        }
    }
}

/// Samples with bytes changed at random, some cut off. The same in every run.
fn mutants(count: usize) -> Vec<Box<Frame>> {
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut below = |n: usize| rng.next_u32() as usize % n;
    let samples: Vec<Vec<u8>> = samples().iter().map(|f| f.to_vec()).collect();
    let mut mutant = || {
        let mut bytes = samples[below(samples.len())].clone();
        for _ in 0..below(3) {
            let at = below(bytes.len());
            bytes[at] = below(256) as u8;
        }
        if below(4) == 0 {
            bytes.truncate(14 + below(bytes.len() - 13));
        }
        Frame::from_bytes(&bytes)
    };
    (0..count).map(|_| mutant()).collect()
}

/// Whether tcpdump decodes something here that we do not claim to.
fn beyond_our_scope(ours: &str, theirs: &str) -> bool {
    // Protocols, ethertypes, ICMP types and TCP options without a decoder of ours.
    let undecoded =
        ["ip-proto-", ", 802.3", "ethertype Unknown", "ICMP type-#", "icmp6 type", "unknown-"];
    // The one deliberate difference, and the one flag that this tcpdump does not know.
    let http_anywhere = ours.split_once(": HTTP").is_some_and(|(start, _)| start == theirs);
    let accurate_ecn = ours.contains("e]") && ours.replacen("e]", "]", 1) == theirs;
    // It names some protocols that ARP asks for.
    let arp = ours.starts_with("ARP, ") && ours.contains("Unknown Protocol");
    // Ethertypes that are named, but not taken apart.
    let named = ["Loopback", "PPPoE", "EAPOL", "LLDP", "IPX", "PTP", "MPLS", "TEB", "PUP", "NS"];
    let ethertype = named.iter().any(|n| ours.contains(&format!("ethertype {n}")));
    // UDP ports with a protocol of their own.
    let udp = ours.contains(": UDP, ") && !theirs.contains(": UDP, ");
    ethertype
        || udp
        || undecoded.iter().any(|u| ours.contains(u))
        || http_anywhere
        || accurate_ecn
        || arp
}

#[test]
fn mutants_read_as_in_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let frames = mutants(20_000);
    for snaplen in [262_144, 60, 40] {
        let file = scratch(&format!("mutants-{snaplen}.pcapng"), &capture(&frames, snaplen));
        let theirs = tcpdump(&file, &["-S"]);
        assert_eq!(theirs.len(), frames.len());
        let mut compared = 0;
        for (f, theirs) in frames.iter().zip(theirs) {
            let bytes = f.to_vec();
            let kept = &bytes[..bytes.len().min(snaplen as usize)];
            let ours = line_of_bytes(kept, bytes.len(), Style::default(), None);
            if !beyond_our_scope(&ours, &theirs) {
                compared += 1;
                assert_eq!(ours.trim_end(), theirs, "{bytes:02x?} cut at {snaplen}");
            }
        }
        assert!(compared > 18_000, "only {compared} lines could be compared");
    }
}

fn lines(frames: &[Box<Frame>], flows: &mut FlowTracker) -> Vec<String> {
    frames.iter().map(|f| line(f, Style::default(), Some(&mut *flows))).collect()
}

/// The layout itself, for where there is no tcpdump.
#[test]
fn lines_look_like_this() {
    let ours = lines(&conversation(v4()), &mut FlowTracker::default());
    let (there, home) = ("IP 10.0.0.1.4000 > 10.0.0.2.80", "IP 10.0.0.2.80 > 10.0.0.1.4000");
    let ts = "win 502, options [nop,nop,TS val 2 ecr 1]";
    assert_eq!(
        ours[..5],
        [
            format!(
                "{there}: Flags [S], seq 1000, win 502, options \
                 [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0"
            ),
            format!(
                "{home}: Flags [S.], seq 5000, ack 1001, win 502, options \
                 [mss 1460,sackOK,TS val 1 ecr 1,nop,wscale 7], length 0"
            ),
            format!("{there}: Flags [.], ack 1, {ts}, length 0"),
            format!("{there}: Flags [P.], seq 1:30, ack 1, {ts}, length 29: HTTP: GET / HTTP/1.1"),
            format!("{home}: Flags [.], ack 30, {ts}, length 0"),
        ]
    );
    let others = lines(&others(), &mut FlowTracker::default());
    assert_eq!(
        others[..2],
        [
            "ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
            "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:02, length 28",
        ]
    );
    assert_eq!(
        others[8],
        "IP 10.0.0.2 > 10.0.0.1: ICMP 10.0.0.2 tcp port 80 unreachable, length 48"
    );
}

#[test]
fn http_is_recognised_on_any_port_but_not_in_anything() {
    let on = |port, payload: &[u8]| {
        let header = TcpHeader { dst_port: port, ..tcp(1, 1, TcpFlags::ACK) };
        line(&header.frame(&v4(), &TcpOptions::new(), text(payload)), Style::default(), None)
    };
    assert!(on(65535, b"GET /a HTTP/1.1\r\n\r\n").ends_with(": HTTP: GET /a HTTP/1.1"));
    assert!(on(65535, b"HTTP/1.1 404 Not Found\r\n").ends_with(": HTTP: HTTP/1.1 404 Not Found"));
    assert!(on(8080, b"<html>").ends_with("length 6: HTTP"));
    for other in [&b"GET out of here\r\n"[..], b"<html>", b"\0\xff", b""] {
        assert!(on(65535, other).ends_with(&format!("length {}", other.len())));
    }
}

/// A tracker forgets the oldest connection, which then counts from where it is seen again.
#[test]
fn the_tracker_is_bounded() {
    let mut flows = FlowTracker::new(2);
    let mut data = |port, seq, flags| {
        let header = TcpHeader { src_port: port, ..tcp(seq, 1, flags) };
        let f = header.frame(&v4(), &TcpOptions::new(), text(b"x"));
        let line = line(&f, Style::default(), Some(&mut flows));
        assert!(flows.len() <= 2);
        let (_, rest) = line.split_once("seq ").expect("data has a number");
        rest.split(',').next().expect("a number").to_owned()
    };
    let (syn, ack) = (TcpFlags::SYN | TcpFlags::ACK, TcpFlags::ACK);
    assert_eq!(data(1, 100, syn), "100:101");
    assert_eq!(data(1, 105, ack), "5:6");
    data(2, 100, syn);
    assert_eq!(data(1, 106, ack), "6:7");
    data(3, 100, syn);
    assert_eq!(data(1, 107, ack), "107:108", "forgotten: absolute, and the new origin");
    assert_eq!(data(1, 109, ack), "2:3");
    // Sequence numbers wrap.
    data(4, u32::MAX, syn);
    assert_eq!(data(4, 0, ack), "1:2");
}
