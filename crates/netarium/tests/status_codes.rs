//! Row 16 of the course: each status code from the cause that it has in earnest. The table stands in
//! `docs/httpd.md`, where people read it; here each line of it is run and seen three times: by the
//! client, on the wire, and in the server's log.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "asks the real tshark what it sees"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{ACK, SYN, segments, tshark};
use netarium::{BuildOptions, Duration, Lab};

/// What the class heard of, and what stands beside it in the standards.
const CODES: [u16; 21] = [
    200, 206, 301, 302, 304, 400, 403, 404, 405, 408, 411, 412, 413, 414, 416, 417, 431, 500, 501,
    503, 505,
];

const PAGE: &str = include_str!("../../../docs/httpd.md");
const LOG: &str = "cat /var/log/httpd/access_log";

/// A line of the table: what is asked, by whom, and what the answer begins with.
struct Row {
    status: String,
    lab: String,
    client: String,
    server: String,
    command: String,
}

impl Row {
    fn code(&self) -> &str {
        &self.status[..3]
    }
}

/// The lines of the table under its heading.
fn rows() -> Vec<Row> {
    let (_, part) = PAGE.split_once("### Each in a lab\n").expect("the heading");
    let lines = part.lines().skip_while(|l| !l.starts_with('|')).take_while(|l| l.starts_with('|'));
    lines.skip(2).map(row).collect()
}

/// `| 200 OK | lab: client → server | `command` |`, where a `|` of the command is written `\|`.
fn row(line: &str) -> Row {
    let whole = line.replace("\\|", "\u{1}");
    let cells: Vec<String> =
        whole.trim_matches('|').split('|').map(|c| c.trim().replace('\u{1}', "|")).collect();
    let [status, place, command] = &cells[..] else { panic!("three columns: {line}") };
    let (lab, hosts) = place.split_once(": ").expect(line);
    let (client, server) = hosts.split_once(" → ").expect(line);
    Row {
        status: status.clone(),
        lab: lab.to_owned(),
        client: client.to_owned(),
        server: server.to_owned(),
        command: command.trim_matches('`').to_owned(),
    }
}

/// The access log's line with this status.
fn logged<'a>(log: &'a str, code: &str) -> Option<&'a str> {
    log.lines().find(|l| l.split("\" ").nth(1).is_some_and(|rest| rest.starts_with(code)))
}

#[test]
fn each_status_comes_from_its_cause_over_the_wire_into_the_log() {
    for row in rows() {
        let Row { status, lab, client, server, command } = &row;
        let mut world = Lab::builtin(lab).unwrap().build(1).unwrap();
        assert_eq!(world.exec(server, LOG).unwrap().stdout_text(), "", "{lab}");
        let capture = world.capture();
        let said = world.exec(client, command).unwrap();
        // Whoever runs in the background has its answer, too.
        world.run_for(Duration::from_secs(10));
        let line = format!("HTTP/1.1 {status}\r\n");
        assert!(said.stdout_text().contains(&line), "{status}: {command}: {said:?}");
        let capture = world.end_capture(capture);
        let seen = segments(&capture)
            .filter(|s| s.source == 80 && s.payload.starts_with(line.as_bytes()))
            .count();
        assert_eq!(seen, 1, "{status} on the wire: {command}");
        let log = world.exec(server, LOG).unwrap().stdout_text();
        let line = logged(&log, row.code());
        assert!(line.is_some(), "{status} in the log: {command}:\n{log}");
    }
}

#[test]
fn no_code_is_missing_from_the_table() {
    let told: BTreeSet<u16> = rows().iter().map(|r| r.code().parse().unwrap()).collect();
    let all = BTreeSet::from(CODES);
    assert_eq!(told.difference(&all).count(), 0, "unknown to the course: {told:?}");
    let missing: Vec<_> = all.difference(&told).collect();
    assert!(missing.is_empty(), "not in docs/httpd.md: {missing:?}");
}

/// The lab `requests` shows them all by itself, and tshark sees the same ones.
#[test]
fn the_lab_requests_shows_every_code() {
    let options = BuildOptions { seed: Some(1), runs: true, ..BuildOptions::default() };
    let mut world = Lab::builtin("requests").unwrap().build_with(options).unwrap();
    let capture = world.capture();
    world.run_for(Duration::from_secs(60));
    let capture = world.end_capture(capture);
    let answered: BTreeSet<u16> = segments(&capture)
        .filter(|s| s.source == 80 && s.payload.starts_with(b"HTTP/1.1 "))
        .map(|s| std::str::from_utf8(&s.payload[9..12]).unwrap().parse().unwrap())
        .collect();
    assert_eq!(answered, BTreeSet::from(CODES));
    let log = world.exec("web", LOG).unwrap().stdout_text();
    for code in CODES {
        assert!(logged(&log, &code.to_string()).is_some(), "{code} in the log:\n{log}");
    }
    let args = ["-Y", "http.response", "-T", "fields", "-e", "http.response.code"];
    if let Some(text) = tshark("codes", &capture, &args) {
        let seen: BTreeSet<u16> = text.lines().map(|l| l.parse().expect("a code")).collect();
        assert_eq!(seen, answered);
    }
}

/// The lab `busy`: a pool that is full says so at once, a server that is full says nothing.
#[test]
fn two_kinds_of_full_on_the_wire() {
    let mut world = Lab::builtin("busy").unwrap().build(1).unwrap();
    let capture = world.capture();
    // One after the other: of SYNs at the same instant, all would still find room in the queue.
    let rush =
        "for i in 1 2 3 4 5 6 7; do curl -sS -m 3 http://small/slow & sleep 0.001; done; wait";
    let said = world.exec("client", &format!("sh -c '{rush}'")).unwrap();
    let capture = world.end_capture(capture);
    // Three are served; some wait in the queue in vain, the others are not even let in.
    let served = said.stdout_text().matches("at last").count();
    let late = said.stderr_text().matches("timed out").count();
    assert_eq!((served, late), (3, 4), "{said:?}");
    // The milliseconds after which each client's SYN went out.
    let mut syns: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for segment in segments(&capture).filter(|s| s.flags & (SYN | ACK) == SYN) {
        syns.entry(segment.source).or_default().push(segment.time / 1_000_000);
    }
    let (in_time, too_late): (Vec<_>, Vec<_>) = syns.values().partition(|times| times.len() == 1);
    // Three connections, and as many in the queue as Linux lets wait: one more than its backlog.
    assert_eq!((in_time.len(), too_late.len()), (5, 2), "{syns:?}");
    assert!(too_late.iter().all(|times| times[1] - times[0] == 1_000), "after a second: {syns:?}");
    // When they have gone, the server takes the next.
    let next = world.exec("client", "curl -sS http://small/slow").unwrap();
    assert_eq!((next.code, next.stdout_text().as_str()), (0, "at last\n"));
}
