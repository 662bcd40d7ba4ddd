//! What `iptables` reads and prints, and that no words make it panic.

use netarium_base::{NodeId, Seed};
use netarium_stack::StackConfig;
use netarium_wire::Mac;
use proptest::prelude::*;

use super::*;

/// A host with `eth0` and `eth1`.
fn host() -> Stack {
    let config =
        StackConfig { node: NodeId(0), name: "host".to_owned(), seed: Seed(1), forwarding: false };
    let mut stack = Stack::new(config);
    stack.add_interface("eth0", Mac([2, 0, 0, 0, 0, 1]), 1500);
    stack.add_interface("eth1", Mac([2, 0, 0, 0, 0, 2]), 1500);
    stack
}

/// The words of a line; those in quotation marks are one.
fn words(line: &str) -> Vec<String> {
    let mut all = vec![];
    for (i, part) in line.split('"').enumerate() {
        match i % 2 {
            0 => all.extend(part.split_whitespace().map(str::to_owned)),
            _ => all.push(part.to_owned()),
        }
    }
    all
}

/// Commands, each as people type it; all of them are also given to the real iptables.
const SCRIPT: &str = include_str!("script.txt");

/// What was typed, said and answered.
fn transcript(mut run: impl FnMut(&[String]) -> Said) -> String {
    let mut out = String::new();
    for line in SCRIPT.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (said, err, code) = run(&words(line));
        out.push_str(&format!("$ iptables {line}\n{said}{err}"));
        if code != 0 {
            out.push_str(&format!("[{code}]\n"));
        }
    }
    out
}

fn ours() -> String {
    let mut stack = host();
    transcript(|args| run(&mut stack, args))
}

#[test]
fn prints_what_is_in_the_snapshot() {
    insta::assert_snapshot!(ours());
}

/// The same commands to the real iptables, in a network namespace of its own.
#[test]
#[allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "asks the real one"
)]
fn prints_what_the_real_one_prints() {
    use std::process::Command;
    let name = format!("netarium-{}", std::process::id());
    let tool = |args: &[&str]| {
        let out = Command::new("ip").args(args).output().ok()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&out.stdout), text(&out.stderr), out.status.code().unwrap_or(-1)))
    };
    if tool(&["netns", "add", &name]).is_none_or(|said| said.2 != 0) {
        return eprintln!("skipped: no network namespace can be made here");
    }
    let iptables = |args: &[String]| {
        let mut all = vec!["netns", "exec", &name, "iptables-nft"];
        all.extend(args.iter().map(String::as_str));
        tool(&all).unwrap_or_default()
    };
    let version = iptables(&["-V".to_owned()]).0;
    let theirs = (version.trim() == VERSION).then(|| transcript(iptables));
    let _ = tool(&["netns", "delete", &name]);
    let Some(theirs) = theirs else {
        return eprintln!("skipped: this is no {VERSION} but `{}`", version.trim());
    };
    let ours = ours();
    for (ours, theirs) in ours.split("$ iptables ").zip(theirs.split("$ iptables ")) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours, theirs);
}

/// Words that mean something, so that arbitrary lines get far.
const WORDS: &[&str] = &[
    "-A",
    "-I",
    "-D",
    "-R",
    "-C",
    "-L",
    "-S",
    "-F",
    "-Z",
    "-P",
    "-N",
    "-X",
    "-E",
    "-t",
    "nat",
    "filter",
    "INPUT",
    "OUTPUT",
    "FORWARD",
    "PREROUTING",
    "POSTROUTING",
    "web",
    "www",
    "1",
    "2",
    "0",
    "-p",
    "tcp",
    "udp",
    "icmp",
    "all",
    "!",
    "-s",
    "10.0.0.0/8",
    "1.2.3.4",
    "-d",
    "-i",
    "eth0",
    "eth+",
    "-o",
    "lo",
    "--dport",
    "80",
    "1:2",
    "--sport",
    "http",
    "-m",
    "conntrack",
    "--ctstate",
    "NEW,ESTABLISHED",
    "state",
    "--state",
    "multiport",
    "--dports",
    "1,2:9",
    "comment",
    "--comment",
    "x y",
    "--syn",
    "--tcp-flags",
    "SYN,ACK",
    "ALL",
    "--icmp-type",
    "echo-request",
    "3/1",
    "-j",
    "-g",
    "ACCEPT",
    "DROP",
    "REJECT",
    "--reject-with",
    "tcp-reset",
    "LOG",
    "--log-prefix",
    "DNAT",
    "--to-destination",
    "1.1.1.1:80",
    "1.1.1.1-1.1.1.9:1-9/3",
    "SNAT",
    "--to",
    "MASQUERADE",
    "--to-ports",
    "7-9",
    "REDIRECT",
    "RETURN",
    "-n",
    "-v",
    "-x",
    "--line-numbers",
    "-nvL",
    "\u{0}",
    "ü",
    "-",
    "--",
    "-w",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is typed, one line after the other: nothing panics, and a rule that was taken is
    /// shown so that it would be taken again.
    #[test]
    fn any_words_in_any_order(
        lines in prop::collection::vec(
            prop::collection::vec(
                prop_oneof![9 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,6}"],
                0..12,
            ),
            1..12,
        )
    ) {
        let mut stack = host();
        for line in &lines {
            let (.., code) = run(&mut stack, line);
            prop_assert!((0..=4).contains(&code));
        }
        for table in ["filter", "nat"] {
            let t = |more: &str| words(&format!("-t {table} {more}"));
            let (rules, ..) = run(&mut stack, &t("-S"));
            for line in rules.lines().filter(|l| l.starts_with("-A ") && !l.contains('\\')) {
                let check = line.replacen("-A", "-C", 1);
                let said = run(&mut stack, &t(&check));
                prop_assert_eq!(said.2, 0, "{} {:?}", line, said);
            }
        }
    }
}
