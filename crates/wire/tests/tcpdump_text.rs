//! Everything that tcpdump prints of a packet, with `-v`, `-q`, `-e`, `-X`…, and what we print of it.
#![allow(clippy::vec_box, reason = "frames are boxed wherever they travel")]

mod common;

use common::packets::more;
use common::{capture, conversation, has, others, samples, scratch, v4, v6};
use netarium_wire::Frame;
use netarium_wire::dissect::{Dump, FlowTracker, LinkType, Options, text as text_of};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// What tcpdump prints of each packet of the file.
fn tcpdump(file: &std::path::Path, flags: &[&str], count: usize) -> Vec<String> {
    let args = [&["-tt", "-n"], flags].concat();
    let all = common::read_with("tcpdump", file, &args).join("\n");
    // Each packet stands behind its time, which says which one it is.
    let mut texts: Vec<String> = Vec::with_capacity(count);
    for line in all.split('\n') {
        let head = format!("1767225600.{:06} ", texts.len());
        match (line.strip_prefix(&head), texts.last_mut()) {
            (Some(rest), _) => texts.push(rest.to_owned()),
            (None, Some(last)) => {
                last.push('\n');
                last.push_str(line);
            }
            (None, None) => panic!("no packet yet: {line}"),
        }
    }
    assert_eq!(texts.len(), count);
    texts
}

fn options(flags: &[&str]) -> Options<'static> {
    let mut o = Options::default();
    for flag in flags {
        match *flag {
            "-e" => o.ethernet = true,
            "-q" => o.quiet = true,
            "-x" => o.dump = Dump::Hex,
            "-xx" => (o.dump, o.dump_link) = (Dump::Hex, true),
            "-X" => o.dump = Dump::HexText,
            "-XX" => (o.dump, o.dump_link) = (Dump::HexText, true),
            "-A" => o.dump = Dump::Text,
            "-S" => {}
            v if v.starts_with("-v") => o.verbose = (v.len() - 1) as u8,
            other => panic!("{other}"),
        }
    }
    o
}

/// Where tcpdump takes apart what we do not claim to.
fn beyond_our_scope(ours: &str, theirs: &str) -> bool {
    let undecoded =
        ["ip-proto-", "802.3", "ICMP type-#", "icmp6 type", "unknown-", "ethertype Unknown"];
    // Options and messages of ICMPv6 beyond the usual; what follows a quoted packet.
    let partly = ["ICMP6", "ICMP Multi-Part", "Unknown (", "router advertisement"];
    undecoded.iter().any(|u| ours.contains(u) || theirs.contains(u))
        || partly.iter().any(|u| theirs.contains(u))
        || undecoded_port(ours, theirs)
        || theirs.contains("mptcp")
        || theirs.contains("TS{")
        || theirs.contains("\\[x")
}

/// Ports and ethertypes with a protocol that has no decoder of ours.
fn undecoded_port(ours: &str, theirs: &str) -> bool {
    let named = ["Loopback", "PPPoE", "EAPOL", "LLDP", "IPX", "PTP", "MPLS", "TEB", "PUP", "NS"];
    let ethertype = named.iter().any(|n| ours.contains(&format!("ethertype {n}")));
    let udp = ours.contains("UDP, ") && !theirs.contains("UDP, ");
    // Ours is what theirs begins with: a TCP port.
    let tcp = ours.contains("Flags [") && theirs.len() > ours.len() && theirs.starts_with(ours);
    ethertype || udp || tcp && !ours.contains(": HTTP")
}

fn compare(frames: &[Box<Frame>], flags: &[&str], snaplen: u32, strict: bool) -> usize {
    let name = format!("text-{}-{snaplen}-{}.pcapng", flags.concat(), frames.len());
    let file = scratch(&name, &capture(frames, snaplen));
    let theirs = tcpdump(&file, flags, frames.len());
    let mut flows = FlowTracker::new(1 << 16);
    let (mut compared, mut wrong) = (0, Vec::new());
    for (f, theirs) in frames.iter().zip(theirs) {
        let bytes = f.to_vec();
        let kept = &bytes[..bytes.len().min(snaplen as usize)];
        let tracker = (!flags.contains(&"-S")).then_some(&mut flows);
        let ours = text_of(kept, bytes.len(), LinkType::Ethernet, &options(flags), tracker);
        if strict || !beyond_our_scope(&ours, &theirs) {
            compared += 1;
            if ours != theirs {
                wrong.push(format!("{flags:?} cut at {snaplen}\n{ours}\n{theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong[..wrong.len().min(8)].join("\n"));
    compared
}

const FLAGS: [&[&str]; 14] = [
    &[],
    &["-e"],
    &["-v"],
    &["-vv"],
    &["-vvv"],
    &["-q"],
    &["-S", "-v"],
    &["-e", "-q"],
    &["-x"],
    &["-xx"],
    &["-X"],
    &["-XX", "-e"],
    &["-A"],
    &["-e", "-vv", "-S"],
];

#[test]
fn packets_read_as_in_tcpdump_whatever_the_flags() {
    if !has("tcpdump") {
        return;
    }
    let mut frames = samples();
    frames.extend(more());
    for flags in FLAGS {
        let all = compare(&frames, flags, 262_144, false);
        assert!(all + 20 > frames.len(), "only {all} of {} with {flags:?}", frames.len());
    }
    // What the usual lab has, strictly.
    let usual = [conversation(v4()), conversation(v6()), others()].concat();
    for flags in FLAGS {
        compare(&usual, flags, 262_144, true);
    }
}

#[test]
fn mutants_read_as_in_tcpdump_whatever_the_flags() {
    if !has("tcpdump") {
        return;
    }
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut below = |n: usize| rng.next_u32() as usize % n;
    let mut seeds = samples();
    seeds.extend(more());
    let mut mutant = || {
        let mut bytes = seeds[below(seeds.len())].to_vec();
        for _ in 0..below(4) {
            let at = below(bytes.len());
            bytes[at] = below(256) as u8;
        }
        if below(4) == 0 {
            bytes.truncate(14 + below(bytes.len() - 13));
        }
        Frame::from_bytes(&bytes)
    };
    let frames: Vec<Box<Frame>> = (0..8_000).map(|_| mutant()).collect();
    for flags in [&["-S"] as &[&str], &["-S", "-v"], &["-S", "-vvv", "-e"]] {
        for snaplen in [262_144, 90, 60] {
            let compared = compare(&frames, flags, snaplen, false);
            assert!(compared > 5_500, "only {compared} could be compared with {flags:?}");
        }
    }
}
