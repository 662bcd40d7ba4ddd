//! What is the same: fields, with what chance decides taken out.

use std::collections::BTreeSet;

/// Whether two outputs of a command say the same.
pub(super) fn same(command: &str, real: &str, ours: &str) -> bool {
    if command.starts_with("netstat -s") {
        return counters(ours).is_subset(&counters(real));
    }
    if command.starts_with("ss -tinm") {
        return names(ours).is_subset(&names(real));
    }
    comparable(command, real) == comparable(command, ours)
}

/// The texts beside the numbers: `segments received`.
fn counters(said: &str) -> BTreeSet<String> {
    let words = |l: &str| -> Vec<String> {
        let plain =
            |w: &str| if w.bytes().all(|b| b.is_ascii_digit()) { "N" } else { w }.to_owned();
        l.split_whitespace().map(plain).collect()
    };
    // Whether a timer of TCP fires before a command's own limit of a second is up is chance there;
    // so is what was lost on a busy machine.
    let chance = ["TCPTimeouts:", "TCPSynRetrans:", "TCPLossProbes:"];
    let lines = said.lines().filter(|l| !chance.iter().any(|name| l.trim().starts_with(name)));
    lines.map(|l| words(l).join(" ")).collect()
}

/// The names of what is told about a connection: `rto`, `cwnd`, `skmem`.
fn names(said: &str) -> BTreeSet<String> {
    let told = said.lines().filter(|l| l.starts_with(['\t', ' ']));
    let name = |w: &str| w.split([':', '(']).next().unwrap_or(w).to_owned();
    let words = told.flat_map(|l| l.split_whitespace().map(name));
    // Settings of the system: options, congestion control.
    let settings = ["ts", "sack", "cubic"];
    let names = words.filter(|w| w.starts_with(|c: char| c.is_ascii_alphabetic()));
    names.filter(|w| !settings.contains(&w.as_str())).collect()
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

/// Every number of a line, however it is written: rates, times, sequence numbers.
fn without_numbers(line: &str) -> Vec<String> {
    let word = |w: &str| {
        let mut out = String::new();
        for c in w.chars() {
            match (c.is_ascii_digit() || c == '.', out.ends_with('N')) {
                (true, true) => {}
                (true, false) => out.push('N'),
                (false, _) => out.push(c),
            }
        }
        out
    };
    line.split_whitespace().map(word).collect()
}

/// Lines that say something else on purpose, or by chance: the connection's descriptors in `lsof`,
/// round-trip times, MAC addresses.
fn comparable(command: &str, said: &str) -> Vec<Vec<String>> {
    let begins = |names: &[&str]| names.iter().any(|n| command.starts_with(n));
    let lines = said.lines().filter(|l| !l.trim().is_empty());
    let lines = lines.filter(|l| !l.starts_with("rtt ") && !l.contains("packets transmitted"));
    let mut rows: Vec<Vec<String>> = if begins(&["traceroute", "iperf"]) {
        lines.map(rates).collect()
    } else if begins(&["ifconfig"]) {
        lines.map(interface).collect()
    } else if command.contains("tcpdump") {
        lines.map(dumped).collect()
    } else {
        lines.map(fields).collect()
    };
    rows.iter_mut().for_each(|row| peculiar(command, row));
    // The kernel lists sockets in the order of its hash tables; iperf's threads write when they can.
    if begins(&["ss", "netstat -", "lsof", "iperf"]) {
        rows.sort();
    }
    rows
}

/// What else the two have to differ in.
fn peculiar(command: &str, row: &mut Vec<String>) {
    if command.starts_with("lsof") {
        // PID, descriptor, device.
        for at in [1, 3, 5] {
            if let Some(cell) =
                row.get_mut(at).filter(|c| c.starts_with(|c: char| c.is_ascii_digit() || c == 'N'))
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
        // `timewait (59.83/0/0)`, `timer:(timewait,59sec,0)`.
        if let Some((_, rest)) = cell.strip_prefix('(').and_then(|c| c.split_once('/')) {
            *cell = format!("(N/{rest}");
        }
        if let Some(rest) = cell.strip_prefix("timer:(timewait,") {
            let tries = rest.split_once(',').map_or("", |r| r.1);
            *cell = format!("timer:(timewait,N,{tries}");
        }
    }
}

/// Times and rates without their numbers and units; addresses and counts stay.
fn rates(line: &str) -> Vec<String> {
    let units = ["ms", "sec", "Gbits/sec", "Mbits/sec", "Kbits/sec", "bits/sec"];
    let mut row: Vec<String> = Vec::new();
    // What the kernel of this machine has chosen for its connection, and when iperf's other thread
    // has asked it: before the connection, after it, or when the socket was closed again (-1).
    let line = line.split(" (icwnd").next().unwrap_or(line);
    if line.starts_with("TCP window size:") && line.ends_with("(default)") {
        return ["TCP", "window", "size:", "(default)"].map(str::to_owned).to_vec();
    }
    for word in line.split_whitespace() {
        if units.contains(&word) {
            row.pop();
            row.push("UNIT".to_owned());
        } else {
            row.push(field(word));
        }
    }
    row
}

/// A line of `ifconfig`: its own address and the words, without MAC addresses and counters. A
/// namespace's loopback has seen other frames, and its addresses were given without a broadcast one.
fn interface(line: &str) -> Vec<String> {
    let addresses = line.trim_start().starts_with("inet");
    let words = line.split_whitespace().filter(|w| w.matches(':').count() != 5);
    let mut row: Vec<String> = words.map(str::to_owned).collect();
    if let Some(at) = row.iter().position(|w| w == "broadcast") {
        row.truncate(at);
    }
    if addresses || line.contains("flags=") { row } else { sizes(&row.join(" ")) }
}

/// Words without counters and units of bytes.
fn sizes(line: &str) -> Vec<String> {
    let row = without_numbers(line).into_iter();
    row.filter(|w| !["B)", "KiB)", "MiB)"].contains(&w.as_str())).collect()
}

/// A line of `tcpdump -t`: no numbers but the addresses, flags and lengths.
fn dumped(line: &str) -> Vec<String> {
    let words = line.split_whitespace().collect::<Vec<_>>();
    let at = words.iter().position(|w| *w == "Flags");
    let Some(at) = at else { return without_numbers(line) };
    let length = words.iter().skip_while(|w| **w != "length").map(|w| (*w).to_owned());
    let middle = without_numbers(&words[at + 2..].join(" "));
    let direction = words[1].rsplit_once('.').map_or("", |w| w.0).to_owned();
    let mut row = vec![direction, words[at + 1].to_owned()];
    row.extend(middle.into_iter().take_while(|w| w != "length"));
    row.extend(length);
    row
}
