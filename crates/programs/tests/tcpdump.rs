//! `tcpdump` on a lab host, and what it writes and prints beside the real one.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "asks the real tcpdump of the machine"
)]

mod common;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use common::{Shell, web};
use netarium_world::{Input, Output, PortId, Stream};

/// What a session has said on both streams, and its exit code.
type Heard = (Vec<u8>, Vec<u8>, Option<i32>);

/// What each session has said.
#[derive(Default)]
struct Sessions(BTreeMap<PortId, Heard>);

impl Sessions {
    fn drain(&mut self, shell: &mut Shell) {
        while let Some(output) = shell.world.poll_output() {
            match output {
                Output::Data { port, stream: Stream::Stderr, bytes } => {
                    self.0.entry(port).or_default().1.extend(bytes);
                }
                Output::Data { port, bytes, .. } => self.0.entry(port).or_default().0.extend(bytes),
                Output::Exit { port, code, .. } => self.0.entry(port).or_default().2 = Some(code),
                _ => {}
            }
        }
    }

    /// Lets the world run until a session has ended.
    fn end(&mut self, shell: &mut Shell, port: PortId) -> (i32, Vec<u8>, String) {
        loop {
            self.drain(shell);
            let seen = self.0.entry(port).or_default();
            if let Some(code) = seen.2 {
                let err = String::from_utf8_lossy(&seen.1).into_owned();
                return (code, std::mem::take(&mut seen.0), err);
            }
            assert!(shell.world.step(), "it does not end: {:?}", String::from_utf8_lossy(&seen.1));
        }
    }

    fn run(&mut self, shell: &mut Shell, host: &str, line: &str) -> (i32, Vec<u8>, String) {
        let port = shell.start(host, line);
        self.end(shell, port)
    }
}

/// Starts tcpdump on `host`, lets `lines` run on `pc`, interrupts it; its output and its end.
fn capture(shell: &mut Shell, host: &str, dump: &str, lines: &[&str]) -> (Vec<u8>, String) {
    let mut sessions = Sessions::default();
    let port = shell.start(host, dump);
    shell.wait(1);
    for line in lines {
        sessions.run(shell, "pc", line);
        shell.wait(10);
    }
    shell.world.apply(Input::Signal { port, signal: 2 });
    let (code, out, err) = sessions.end(shell, port);
    assert_eq!(code, 0, "{err}");
    (out, err)
}

/// HTTP, pings of several sizes, what is refused, what is not there.
const TALK: &[&str] = &[
    "curl -s -o page http://192.168.17.17/",
    "curl -s -o big http://192.168.17.17/big",
    "curl -s http://192.168.17.17:81/",
    "ping -c 2 192.168.17.17",
    "ping -c 1 -s 4000 192.168.17.17",
    "ping -c 1 127.0.0.1",
    "ping -c 1 -w 5 192.168.17.250",
    "traceroute -q 1 192.168.17.17",
    "curl -s http://127.0.0.1:80/",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn it_prints_what_passes_and_ends_with_its_counts() {
    let mut shell = Shell::new(web());
    let (out, err) = capture(
        &mut shell,
        "pc",
        "tcpdump -i eth0 -nn tcp",
        &["curl -s -o page http://192.168.17.17/"],
    );
    let (out, lines) = (text(&out), text(&out).lines().count());
    assert!(out.contains(" IP 192.168.17.20."), "{out}");
    assert!(out.contains(" > 192.168.17.17.80: Flags [S], seq "), "{out}");
    assert!(out.contains(": HTTP: GET / HTTP/1.1\n"), "{out}");
    assert!(out.contains(": HTTP: HTTP/1.1 200 OK\n"), "{out}");
    // The newline of the interrupt is one more.
    let n = lines - 1;
    assert_eq!(
        err,
        format!(
            "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n\
             listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n\
             {n} packets captured\n{n} packets received by filter\n0 packets dropped by kernel\n"
        )
    );
}

#[test]
fn it_stops_by_itself_after_c_packets() {
    let mut shell = Shell::new(web());
    let mut sessions = Sessions::default();
    let port = shell.start("web", "tcpdump -i any -nn -t -c 2 port 80");
    shell.wait(1);
    sessions.run(&mut shell, "pc", "curl -s -o page http://192.168.17.17/");
    let (code, out, err) = sessions.end(&mut shell, port);
    let out = text(&out);
    assert_eq!(code, 0);
    assert!(out.starts_with("eth0  In  IP 192.168.17.20."), "{out}");
    assert!(out.lines().nth(1).unwrap().starts_with("eth0  Out IP 192.168.17.17.80 > "), "{out}");
    assert_eq!(out.lines().count(), 2);
    assert!(err.starts_with("tcpdump: data link type LINUX_SLL2\ntcpdump: verbose"), "{err}");
    assert!(err.contains("\nlistening on any, link-type LINUX_SLL2 (Linux cooked v2), "), "{err}");
    assert!(err.contains("\n2 packets captured\n"), "{err}");
}

#[test]
fn what_goes_over_loopback_is_told_once_and_counted_twice() {
    let mut shell = Shell::new(web());
    let lines = ["ping -c 1 127.0.0.1"];
    let (out, err) = capture(&mut shell, "pc", "tcpdump -i lo -nn -t", &lines);
    let out = text(&out);
    assert_eq!(out.matches("echo request").count(), 1, "{out}");
    assert!(err.contains("\n2 packets captured\n4 packets received by filter\n"), "{err}");
}

#[test]
fn promiscuous_mode_shows_and_ends() {
    let mut shell = Shell::new(web());
    let mut sessions = Sessions::default();
    let flags = |shell: &mut Shell, sessions: &mut Sessions| {
        text(&sessions.run(shell, "web", "ip link show dev eth0").1)
    };
    let port = shell.start("web", "tcpdump -i eth0");
    let plain = shell.start("web", "tcpdump -p -i eth0");
    shell.wait(1);
    let link = flags(&mut shell, &mut sessions);
    assert!(link.contains("<BROADCAST,MULTICAST,PROMISC,UP,LOWER_UP>"), "{link}");
    shell.world.apply(Input::Signal { port, signal: 15 });
    sessions.end(&mut shell, port);
    let link = flags(&mut shell, &mut sessions);
    assert!(link.contains("<BROADCAST,MULTICAST,UP,LOWER_UP>"), "{link}");
    shell.world.apply(Input::Signal { port: plain, signal: 9 });
    sessions.end(&mut shell, plain);
}

#[test]
fn what_cannot_be_is_told() {
    let mut shell = Shell::new(web());
    for (line, code, err) in [
        ("tcpdump -i eth9", 1, "tcpdump: eth9: No such device exists\n(No such device exists)\n"),
        ("tcpdump -r nofile", 1, "tcpdump: nofile: No such file or directory\n"),
        ("tcpdump -r htdocs/index.html", 1, "tcpdump: unknown file format\n"),
        ("tcpdump -i lo foo", 1, "tcpdump: can't parse filter expression: syntax error\n"),
        ("tcpdump -i lo host nobody", 1, "tcpdump: unknown host 'nobody'\n"),
        ("tcpdump -c 0", 1, "tcpdump: invalid packet count 0\n"),
    ] {
        let said = shell.run("pc", line);
        assert_eq!((said.code, said.err.as_str()), (code, err), "{line}");
    }
    let list = shell.run("pc", "tcpdump -D");
    assert_eq!(
        list.out,
        "1.eth0 [Up, Running, Connected]\n\
         2.any (Pseudo-device that captures on all interfaces) [Up, Running]\n\
         3.lo [Up, Running, Loopback]\n"
    );
    assert!(shell.run("pc", "tcpdump --version").out.starts_with("tcpdump version 4.99.3"));
}

/// What the machine's tcpdump prints of a capture; `None` when there is none.
fn real(file: &std::path::Path, flags: &str) -> Option<String> {
    let mut command = Command::new("tcpdump");
    // The lab's clock is UTC.
    command.env("TZ", "UTC").arg("-r").arg(file).args(common::argv(flags));
    let out = command.stderr(Stdio::null()).output().ok()?;
    Some(text(&out.stdout))
}

const READS: &[&str] = &[
    "-nn",
    "-n -e",
    "-n -v",
    "-n -vv -S",
    "-n -q -t",
    "-n -tt",
    "-n -ttt",
    "-n -tttt",
    "-n -ttttt -#",
    "-n -X -c 20",
    "-n -XX -c 20",
    "-n -x -e -c 20",
    "-n -A -c 40",
    "-n -e -vvv",
    "-nn tcp␣port␣80",
    "-nn tcp[tcpflags]␣&␣(tcp-syn|tcp-fin)␣!=␣0",
    "-nn icmp␣or␣arp",
    "-nn src␣host␣192.168.17.17␣and␣not␣tcp",
    "-nn -v ip[6:2]␣&␣0x3fff␣!=␣0",
    "-nn greater␣1000",
    "-nn net␣192.168.17.0/24␣and␣portrange␣80-90",
];

#[test]
fn a_labs_capture_reads_as_in_the_real_tcpdump() {
    let mut compared = 0;
    for (interface, snaplen) in [("eth0", 262_144), ("eth0", 80), ("any", 262_144), ("any", 100)] {
        let mut shell = Shell::new(web());
        let dump = format!("tcpdump -i {interface} -s {snaplen} -w talk.pcap");
        capture(&mut shell, "pc", &dump, TALK);
        let mut sessions = Sessions::default();
        let (_, bytes, _) = sessions.run(&mut shell, "pc", "tcpdump -r talk.pcap -w -");
        assert!(bytes.len() > 10_000, "{}", bytes.len());
        let name = format!("talk-{interface}-{snaplen}.pcap");
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, &bytes).expect("the scratch folder is writable");
        for flags in READS {
            let Some(theirs) = real(&file, flags) else {
                return eprintln!("skipped: no tcpdump");
            };
            let line = format!("tcpdump -r talk.pcap {flags}");
            let (code, ours, err) = sessions.run(&mut shell, "pc", &line);
            assert_eq!(code, 0, "{line}: {err}");
            let named = |text: &str| {
                // The machine has names of its own for interfaces.
                if interface == "any" { without_interfaces(text) } else { text.to_owned() }
            };
            let (ours, theirs) = (named(&text(&ours)), named(&theirs));
            for (n, (o, t)) in ours.lines().zip(theirs.lines()).enumerate() {
                assert_eq!(o, t, "{line} on {interface}, line {n}");
            }
            assert_eq!(ours.lines().count(), theirs.lines().count(), "{line}");
            compared += ours.lines().count();
        }
    }
    assert!(compared > 10_000, "{compared}");
}

/// Lines without the name in front of the direction.
fn without_interfaces(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let direction = [" In  ", " Out ", " B   ", " M   ", " P   "];
        match direction.iter().filter_map(|d| line.find(d)).min() {
            Some(at) if !line.starts_with('\t') => {
                let head = line[..at].trim_end().rsplit_once(' ').map_or("", |(time, _)| time);
                out.push_str(&format!("{head}{}\n", &line[at..]));
            }
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

#[test]
fn tshark_finds_nothing_wrong_in_its_files() {
    let mut shell = Shell::new(web());
    capture(&mut shell, "web", "tcpdump -U -i any -w all.pcap", TALK);
    let (_, bytes, _) = Sessions::default().run(&mut shell, "web", "tcpdump -r all.pcap -w -");
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("all.pcap");
    std::fs::write(&file, bytes).expect("the scratch folder is writable");
    let wrong = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0";
    let checks = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE"];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(&file).args(checks.iter().flat_map(|c| ["-o", c])).args(["-Y", wrong]);
    match command.output() {
        Ok(out) => {
            assert!(out.status.success(), "{}", text(&out.stderr));
            assert_eq!(text(&out.stdout), "");
        }
        Err(_) => eprintln!("skipped: no tshark"),
    }
}
