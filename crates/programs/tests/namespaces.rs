//! The same commands on the same two hosts: in Linux network namespaces with the real programs, and
//! in a lab with ours. Exit codes, and output field by field.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "runs real programs"
)]

mod common;

use std::process::{Command, Stdio};

use common::{Said, Shell, argv, lab};
use netarium_world::{Input, Output};

/// Host, command. `web` is 192.168.17.17, `pc` 192.168.17.20. On `web` `nc` listens on 8080 (TCP)
/// and 9090 (UDP); `pc` has a connection open to the first.
const COMMANDS: &[(&str, &str)] = &[
    ("web", "ss -tan"),
    ("web", "ss -tanp"),
    ("web", "ss -uan"),
    ("web", "ss -tuln"),
    ("web", "ss -H -tan"),
    ("web", "ss -t"),
    ("web", "ss -tan state established"),
    ("web", "ss -tan state listening"),
    ("web", "ss -tan sport = :8080"),
    ("web", "ss -tan dport = :8080"),
    ("web", "ss -tan ( sport = :1 or sport = :8080 ) and dst 192.168.17.0/24"),
    ("pc", "ss -tan"),
    ("pc", "ss -tn dst 192.168.17.17"),
    ("web", "netstat -tan"),
    ("web", "netstat -tln"),
    ("web", "netstat -uan"),
    ("web", "netstat -tanp"),
    ("web", "netstat -tanop"),
    ("web", "netstat -ant"),
    ("web", "netstat -t"),
    ("web", "netstat -rn"),
    ("pc", "netstat -nr"),
    ("web", "lsof -nP -i"),
    ("web", "lsof -nP -i tcp:8080"),
    ("web", "lsof -nP -i :1"),
    ("pc", "nc -vz 192.168.17.17 8081"),
    ("pc", "nc -z 192.168.17.17 8081"),
    ("pc", "nc -vzn 192.168.17.17 8081-8083"),
    ("pc", "nc -vz -w 1 192.168.17.99 80"),
    ("pc", "nc -vzn 1.1.1.1 80"),
    ("pc", "nc -vzu 192.168.17.17 9091"),
    ("pc", "nc 192.168.17.17"),
    ("pc", "nc -z 192.168.17.17 99999"),
    ("pc", "nc -z 192.168.17.17 abc"),
    ("pc", "nc -l 10.9.9.9 80"),
    ("pc", "nc -Q"),
    ("pc", "nc -lz 80"),
    ("pc", "nc -k 192.168.17.17 80"),
    ("pc", "nc -N 192.168.17.17 8085"),
    ("pc", "ping -c 1 -n 192.168.17.17"),
    ("pc", "ping -c 1 -W 1 -n 1.1.1.1"),
    ("pc", "ip route"),
    ("pc", "ip -br address show dev eth0"),
    ("pc", "arp -n 192.168.17.17"),
    ("pc", "route -n"),
    ("pc", "route"),
    ("pc", "route add -net 10.5.0.0 netmask 255.255.0.0 gw 192.168.17.17"),
    ("pc", "route add -host 10.6.0.1 gw 192.168.17.17 metric 5"),
    ("pc", "route add -net 10.5.0.0 netmask 255.255.0.0 gw 192.168.17.17"),
    ("pc", "route add default gw 9.9.9.9"),
    ("pc", "route -n"),
    ("pc", "netstat -rn"),
    ("pc", "ip route get 10.5.1.1"),
    ("pc", "route del -net 10.5.0.0/16"),
    ("pc", "route del -net 1.0.0.0/8"),
    ("pc", "route -n"),
];

/// Builds the hosts, runs the commands, and prints each one's exit code and output.
fn script() -> String {
    let mut text = String::from(
        "set -e\n\
         ip link set lo up\n\
         unshare -n sleep 300 & WEB=$!\n\
         while [ \"$(readlink /proc/$WEB/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do :; done\n\
         ip link add eth0 type veth peer name eth0 netns $WEB\n\
         web() { nsenter -t $WEB -n \"$@\"; }\n\
         pc() { \"$@\"; }\n\
         web ip link set lo up\n\
         ip addr add 192.168.17.20/24 dev eth0\n\
         ip link set eth0 up\n\
         web ip addr add 192.168.17.17/24 dev eth0\n\
         web ip link set eth0 up\n\
         ip route add 172.16.0.0/16 via 192.168.17.99\n\
         web nc -lk 8080 >/dev/null </dev/null & A=$!\n\
         web nc -luk 9090 >/dev/null </dev/null & B=$!\n\
         until web ss -Htln | grep -q 8080; do :; done\n\
         until web ss -Huln | grep -q 9090; do :; done\n\
         sleep 300 | nc 192.168.17.17 8080 & C=$!\n\
         until web ss -Htn | grep -q 8080; do :; done\n\
         set +e\n",
    );
    for (host, command) in COMMANDS {
        let quoted = command.replace('(', "'('").replace(')', "')'");
        text += &format!("echo '@@@'; {host} {quoted} </dev/null 2>&1; echo \"@@@ $?\"\n");
    }
    text + "kill -9 $A $B $C $WEB\n"
}

/// What the real programs say, or why they cannot be asked.
fn real() -> Result<Vec<(i32, String)>, String> {
    for tool in ["unshare", "nsenter", "ss", "netstat", "nc", "lsof", "ping", "ip", "arp", "route"]
    {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
        if !found.is_ok_and(|o| o.status.success()) {
            return Err(format!("{tool} is not installed"));
        }
    }
    let is_openbsd = Command::new("nc").arg("-h").output().map_err(|e| e.to_string())?;
    if !String::from_utf8_lossy(&is_openbsd.stderr).starts_with("OpenBSD netcat") {
        return Err("nc is another netcat".to_owned());
    }
    let out = Command::new("unshare")
        .args([
            "-rn",
            "--kill-child",
            "-pf",
            "--mount-proc",
            "timeout",
            "-s",
            "KILL",
            "60",
            "bash",
            "-c",
            &script(),
        ])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let all: Vec<(i32, String)> = text
        .split("@@@\n")
        .skip(1)
        .filter_map(|part| {
            let (said, rest) = part.split_once("@@@ ")?;
            Some((rest.lines().next()?.parse().ok()?, said.to_owned()))
        })
        .collect();
    if all.len() == COMMANDS.len() {
        Ok(all)
    } else {
        let why = String::from_utf8_lossy(&out.stderr);
        Err(format!("no network namespaces: {}", why.lines().next().unwrap_or("it ended early")))
    }
}

fn ours() -> Vec<(i32, String)> {
    let mut shell = Shell::new(lab(&["nc -lk 8080", "nc -luk 9090"]));
    let port = 1_000;
    let argv = argv("nc 192.168.17.17 8080");
    shell.world.apply(Input::Exec { port, host: "pc".into(), argv, stdin: true, credit: 1 << 20 });
    shell.wait(10);
    while let Some(output) = shell.world.poll_output() {
        assert!(!matches!(output, Output::Exit { .. }), "the connection must stay open");
    }
    let run = |(host, command): &(&str, &str)| {
        let Said { code, out, err } = shell.run(host, command);
        (code, err + &out)
    };
    COMMANDS.iter().map(run).collect()
}

/// The fields of a line, with what chance decides taken out: ports that were chosen, process ids,
/// descriptors, inodes, times.
fn fields(line: &str) -> Vec<String> {
    line.split_whitespace().map(field).collect()
}

fn field(word: &str) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out += &rest[..at];
        rest = &rest[at..];
        let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number = &rest[..len];
        let chosen = out.ends_with(':') && number.parse::<u32>().is_ok_and(|n| n >= 32_768);
        let identity = out.ends_with("pid=") || out.ends_with("fd=") || word.ends_with("/nc");
        let time = out.ends_with("time=") || out.ends_with("time=N.");
        let whole = len == word.len() && len >= 3;
        out += if chosen || identity || time || whole { "N" } else { number };
        rest = &rest[len..];
    }
    out + rest
}

/// Lines that say something else on purpose, or by chance: the connection's descriptors in `lsof`,
/// round-trip times, MAC addresses.
fn comparable(command: &str, said: &str) -> Vec<Vec<String>> {
    let lines = said.lines().filter(|l| !l.trim().is_empty());
    let mut rows: Vec<Vec<String>> = lines
        .filter(|l| !l.starts_with("rtt ") && !l.contains("packets transmitted"))
        .map(fields)
        .collect();
    for row in &mut rows {
        if command.starts_with("lsof") {
            // PID, descriptor, device.
            for at in [1, 3, 5] {
                if let Some(cell) = row
                    .get_mut(at)
                    .filter(|c| c.starts_with(|c: char| c.is_ascii_digit() || c == 'N'))
                {
                    *cell = "N".to_owned();
                }
            }
        }
        if command.starts_with("arp") || command.contains("-br address") {
            row.retain(|cell| cell.matches(':').count() != 5 && !cell.starts_with("fe80"));
        }
        if command.starts_with("ip route get") {
            row.retain(|cell| cell != "uid" && cell != "0");
        }
        for cell in row.iter_mut() {
            // `ip -br address` names the other end of a veth; the lab has none.
            if let Some((name, _)) = cell.split_once("@if") {
                *cell = name.to_owned();
            }
        }
    }
    // The kernel lists sockets in the order of its hash tables.
    if command.starts_with("ss") || command.starts_with("netstat -") || command.starts_with("lsof")
    {
        rows.sort();
    }
    rows
}

#[test]
fn the_real_programs_say_the_same() {
    let real = match real() {
        Ok(real) => real,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let mut wrong = Vec::new();
    for (((host, command), real), ours) in COMMANDS.iter().zip(&real).zip(&ours()) {
        let same = comparable(command, &real.1) == comparable(command, &ours.1);
        if real.0 != ours.0 || !same {
            wrong.push(format!(
                "{host}: {command}\n-- real, exit code {}\n{}-- ours, exit code {}\n{}",
                real.0, real.1, ours.0, ours.1
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), COMMANDS.len(), wrong.join("\n"));
}
