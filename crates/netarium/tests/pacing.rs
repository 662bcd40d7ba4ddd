//! Pacing in a lab: switched on for a host in its file, or by a program, seen in a capture.

use std::collections::BTreeMap;

use netarium::{CaptureSpec, Ends, Lab};

fn lab(pacing: bool) -> String {
    format!(
        r#"version = 1
lab.name = "pacing"
[networks.home]
subnet = "10.0.0.0/24"
link = {{ delay = "5ms" }}
[hosts.pc]
networks.home = "10.0.0.2"
pacing = {pacing}
[hosts.web]
networks.home = "10.0.0.3"
programs = ["iperf -s"]
"#
    )
}

/// What `command` on `pc` prints, and the capture of its wire.
fn run(pacing: bool, command: &str) -> (String, Vec<u8>) {
    let lab = Lab::load_str(&lab(pacing)).unwrap_or_else(|e| panic!("{e}"));
    let mut world = lab.build(1).unwrap();
    let wires = world.inner().links();
    let links = wires.filter(|l| l.name == "pc.home").map(|l| l.id).collect();
    let capture = world.capture_links(CaptureSpec { links, ends: Ends::Sender, snaplen: 0 });
    let said = world.exec("pc", command).unwrap();
    assert_eq!(said.code, 0, "{}", said.stderr_text());
    (said.stdout_text(), world.end_capture(capture))
}

/// Times in nanoseconds, each with how many frames of 1514 bytes the capture has there: enhanced
/// packet blocks of pcapng.
fn full_frames(capture: &[u8]) -> Vec<(u64, usize)> {
    let word = |at: usize| u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
    let (mut at, mut found) = (0, BTreeMap::<u64, usize>::new());
    while at < capture.len() {
        if (word(at), word(at + 4) >= 32) == (6, true) && word(at + 24) == 1514 {
            let time = u64::from(word(at + 12)) << 32 | u64::from(word(at + 16));
            *found.entry(time).or_default() += 1;
        }
        at += word(at + 4) as usize;
    }
    found.into_iter().collect()
}

#[test]
fn a_rate_of_a_program_spaces_the_frames_on_the_wire() {
    let command = "iperf -c 10.0.0.3 -t 3 --fq-rate 8M";
    let (said, capture) = run(false, command);
    let frames = full_frames(&capture);
    assert!(frames.len() > 900, "{}", frames.len());
    let from = frames[0].0 + 1_000_000_000;
    let second: Vec<_> =
        frames.iter().filter(|(t, _)| (from..from + 1_000_000_000).contains(t)).collect();
    let bytes: usize = second.iter().map(|(_, n)| n * 1_448).sum();
    assert!((980_000..=1_020_000).contains(&bytes), "{bytes} bytes in a second: {said}");
    for pair in second.windows(2) {
        let gap = pair[1].0 - pair[0].0;
        assert!(pair[0].1 == 2 && gap.abs_diff(2_896_000) <= 2, "{pair:?}");
    }
    assert_eq!(run(false, command), (said, capture), "the same again");
}

#[test]
fn a_host_paces_when_its_file_says_so() {
    let command = "iperf -c 10.0.0.3 -n 200K";
    let most = |pacing| {
        let frames = full_frames(&run(pacing, command).1);
        frames.into_iter().map(|(_, n)| n).max().expect("frames")
    };
    assert!(most(false) >= 10, "the initial window at once");
    assert!(most(true) < 10, "in quanta: {}", most(true));
}
