//! Every segment says what asked for it, and its cause is an event that happened (promise 2).

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::peer::{Peer, seg};
use common::{Net, ms};
use netarium_base::{Duration, Event, EventId, Tracer};
use netarium_stack::tcp::config::SynCookies;
use netarium_stack::{Readiness, SocketOption};

/// Every reason there is. One that is not here is new: name it in this list and in the docs.
const REASONS: [&str; 36] = [
    "ACK without a connection",
    "CWR received",
    "FIN again",
    "FIN received",
    "RST inside the window",
    "SYN in the window",
    "SYN received",
    "SYN+ACK received",
    "abort",
    "beyond the window",
    "close",
    "connect",
    "data",
    "data after close",
    "data read",
    "data received",
    "delayed ack",
    "duplicate data",
    "gap filled",
    "keep-alive",
    "no listener",
    "old timestamp",
    "out of order",
    "outside the window",
    "quick ack",
    "rejected by the firewall",
    "retransmission",
    "second segment received",
    "segment in TIME-WAIT",
    "tail loss probe",
    "the accept queue is full",
    "unacceptable ACK",
    "unexpected SYN",
    "window is closed",
    "window update",
    "zero-window probe",
];

/// Walks over all segments: reasons known, causes there and earlier.
fn walk(trace: &Tracer) -> BTreeMap<&'static str, usize> {
    let ids: BTreeSet<EventId> = trace.records().map(|r| r.id).collect();
    let mut seen = BTreeMap::new();
    for r in trace.records() {
        let Event::SegmentBuilt { reason, .. } = r.event else { continue };
        assert!(REASONS.contains(&reason), "{reason:?} is not in the list");
        // The calls and injected frames of these tests are roots: without a cause of their own.
        let is_root = r.cause == EventId::NONE;
        assert!(is_root || (ids.contains(&r.cause) && r.cause < r.id), "{r:?}");
        *seen.entry(reason).or_insert(0) += 1;
    }
    seen
}

#[test]
fn a_lossy_transfer_explains_every_segment() {
    let mut net = Net::new(2);
    net.trace = Tracer::new(1_000_000);
    let (c, s) = net.pair();
    let mut n = 0u64;
    net.fate = Box::new(move |_, f| {
        n += u64::from(!f.payload().is_empty());
        (f.payload().is_empty() || !n.is_multiple_of(23))
            .then(|| Duration::from_micros(n % 7 * 300))
    });
    net.transfer((0, c), (1, s), 800_000, Duration::from_secs(120));
    net.fate = Box::new(|_, _| Some(Duration::ZERO));
    net.close(0, c);
    net.run(ms(100));
    net.close(1, s);
    net.run(Duration::from_secs(70));
    let seen = walk(&net.trace);
    for reason in ["connect", "SYN received", "data", "retransmission", "out of order", "close"] {
        assert!(seen.contains_key(reason), "{reason}: {seen:?}");
    }
    let segments: usize = seen.values().sum();
    assert!(segments > 500, "{segments}");
}

/// The paths that a transfer does not take: cookies, challenges, probes, path MTU, resets.
#[test]
fn the_rare_segments_explain_themselves_too() {
    let mut p = Peer::new();
    p.trace = Tracer::new(1_000_000);
    p.host.tcp_config_mut().syn_cookies = SynCookies::Always;
    let s = p.accepted(seg("S", 0, 0).usual());
    for stray in [
        seg("S", 7, 0),
        seg("R", 9, 0),
        seg(".", 70_000, 1),
        seg(".", 1, 99),
        seg(".", 0x9000_0000, 1),
    ] {
        p.now += Duration::from_secs(1);
        p.inject(stray);
    }
    p.inject(seg("P.", 3001, 1).len(10));
    p.inject(seg("P.", 1, 1).len(3000));
    p.inject(seg("P.", 1, 1).len(3000));
    p.recv(s, 9000).unwrap();
    p.send(s, 4000);
    p.too_big(1, 900);
    p.inject(seg(".", 3011, 4001).win(0));
    p.send(s, 100);
    p.wait(Duration::from_secs(3));
    p.inject(seg(".", 3011, 4001));
    p.inject(seg(".", 3011, 4101));
    p.set(s, SocketOption::KeepAlive(true));
    p.wait(Duration::from_secs(7201));
    assert!(p.host.readiness(s).contains(Readiness::WRITABLE));
    p.inject(seg("P.", 3011, 4101).len(5));
    p.close(s);
    p.inject(seg("P.", 4000, 4101).len(5));
    let seen = walk(&p.trace);
    for reason in [
        "unexpected SYN",
        "RST inside the window",
        "outside the window",
        "unacceptable ACK",
        "gap filled",
        "retransmission",
        "zero-window probe",
        "keep-alive",
        "abort",
        "ACK without a connection",
    ] {
        assert!(seen.contains_key(reason), "{reason}: {seen:?}");
    }
    let kinds: Vec<&str> = p
        .trace
        .records()
        .filter_map(|r| match r.event {
            Event::Retransmission { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert!(kinds.contains(&"path MTU"), "{kinds:?}");
}
