//! The predicate language: what it means, what it refuses, and that nothing makes it panic.

use std::sync::Arc;

use netarium_base::trace::event::{CONGESTION_REASONS, RETRANSMISSION_KINDS};
use netarium_base::trace::{DropReason, Event, Names, Place, Record};
use netarium_base::{EventId, FlowId, IfIndex, Instant, LinkEnd, LinkId, NodeId, Pid, SocketId};
use netarium_explain::predicate::{DEPTH_MAX, LENGTH_MAX, LIST_MAX};
use netarium_explain::{Predicate, schema, sentence};
use proptest::prelude::*;

struct Lab;

impl Names for Lab {
    fn node(&self, id: NodeId) -> &str {
        ["pc", "router"][id.0 as usize % 2]
    }
    fn link(&self, _: LinkId) -> &str {
        "pc.home"
    }
    fn iface(&self, _: NodeId, _: IfIndex) -> &str {
        "eth0"
    }
}

fn record(place: Place, event: Event) -> Record {
    Record {
        id: EventId(17),
        at: Instant::from_nanos(5_000_000_000),
        cause: EventId(16),
        origin: EventId(3),
        root: EventId(1),
        place,
        flow: FlowId(0x00c0_ffee_00c0_ffee),
        event,
    }
}

fn state() -> Record {
    let socket = SocketId { index: 4, generation: 2 };
    let event =
        Event::TcpState { socket, from: "FIN-WAIT-2", to: "TIME-WAIT", trigger: "FIN received" };
    record(Place::Node(NodeId(0)), event)
}

fn drop() -> Record {
    let event = Event::Dropped { reason: DropReason::FilterDrop, len: 60 };
    record(Place::Iface(NodeId(1), IfIndex(2)), event)
}

fn nat() -> Record {
    let (before, after) = ("192.168.17.5:4000".parse().unwrap(), "10.0.0.2:4000".parse().unwrap());
    record(Place::Node(NodeId(1)), Event::Translated { side: "source", before, after })
}

fn route() -> Record {
    let destination = "10.0.0.7".parse().unwrap();
    let event = Event::RouteChosen { destination, via: None, iface: IfIndex(2) };
    record(Place::Node(NodeId(0)), event)
}

fn sent() -> Record {
    let event = Event::FrameSent { link: LinkId(0), end: LinkEnd::A, len: 60 };
    record(Place::Link(LinkId(0), LinkEnd::A), event)
}

fn started() -> Record {
    let event = Event::ProcessStarted { pid: Pid(3), command: Arc::from("curl -v http://web/") };
    record(Place::Process(NodeId(0), Pid(3)), event)
}

/// A record, conditions that it fulfils, conditions that it does not.
type Case = (Record, &'static [&'static str], &'static [&'static str]);

fn check(cases: impl IntoIterator<Item = Case>) {
    for (record, yes, no) in cases {
        for (texts, expected) in [(yes, true), (no, false)] {
            for text in texts {
                let predicate: Predicate = text.parse().unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(predicate.matches(&record, &Lab), expected, "{text} on {record:?}");
            }
        }
    }
}

#[test]
fn events_are_told_apart() {
    let cases: [Case; 2] = [
        (
            state(),
            &[
                "tcp.state == TIME_WAIT && host == \"pc\"",
                "tcp.state == time-wait",
                "tcp.state.from == FIN_WAIT2",
                "tcp.state in (CLOSED, TIME-WAIT)",
                "tcp.state",
                "tcp.state != CLOSED",
                "event == tcp.state and not host == router",
                "trigger contains 'FIN'",
                "socket == 4.2",
                "at == 5s && at >= 4999ms && at < 1m",
                "flow == 00c0ffee00c0ffee",
                "id == #17 && cause == 16 && origin < 4 && root == 1",
                "drop || (host == pc and place == pc)",
                "host == router or host == pc && tcp.state",
            ][..],
            &[
                "tcp.state == CLOSED",
                "host != pc",
                "!tcp.state",
                "at > 5s",
                "drop",
                "reason",
                "drop.reason != filter-drop",
                "(host == pc || host == router) && drop",
                "process",
            ][..],
        ),
        (
            drop(),
            &[
                "event == \"drop\" && reason == \"filter-drop\"",
                "drop.reason in (no-route, Filter-Drop)",
                "len > 0",
                "interface == eth0",
                "drop.len <= 0x3c && len != -1",
            ],
            &["tcp.segment.len > 0", "reason == no-route", "link"],
        ),
    ];
    check(cases);
}

#[test]
fn addresses_links_and_programs_are_told_apart() {
    let cases: [Case; 4] = [
        (
            nat(),
            &[
                "before in 192.168.17.0/24",
                "nat.before == 192.168.17.5:4000",
                "after in (10.0.0.2, 10.0.0.3)",
                "after in 0.0.0.0/0",
            ],
            &["before in 10.0.0.0/24", "after in ::/0", "before == 192.168.17.5:4001"],
        ),
        (
            route(),
            &["destination in 10.0.0.0/29", "destination == 10.0.0.7", "!via", "route.iface == 2"],
            &["via", "via != 10.0.0.1", "destination in 10.0.0.0/30"],
        ),
        (
            sent(),
            &["link == pc.home", "link contains home", "place == pc.home", "end == a"],
            &["host"],
        ),
        (started(), &["process == 3 && pid == 3", "command contains \"curl\""], &["interface"]),
    ];
    check(cases);
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let texts = [
        "",
        "tcp.stat == TIME_WAIT",
        "tcp.state == TIME_WIAT",
        "host = pc",
        "host == pc & drop",
        "host == \"pc",
        "host < pc",
        "len == many",
        "len == +5",
        "at > 5",
        "at contains 5",
        "drop contains 5",
        "drop.reason == filterdrop",
        "event == dorp",
        "drop == 5",
        "address == 10.0.0.0/24",
        "address in 10.0.0.0/33",
        "address in (10.0.0.1",
        "flow == c0ffee",
        "(host == pc",
        "host == pc)",
        "host == pc drop",
        "host ==",
        "host in ()",
        "»ü« == 5",
        "id == x",
    ];
    let told: Vec<String> = texts
        .iter()
        .map(|t| format!("{t}\n→ {}\n", t.parse::<Predicate>().expect_err(t)))
        .collect();
    insta::assert_snapshot!("mistakes", told.join("\n"));
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |n: usize| format!("{}drop{}", "(".repeat(n), ")".repeat(n)).parse::<Predicate>();
    assert!(nested(DEPTH_MAX - 1).is_ok());
    assert!(nested(DEPTH_MAX).unwrap_err().message().contains("deep"));
    let nots = |n: usize| format!("{}drop", "!".repeat(n)).parse::<Predicate>();
    assert!(nots(DEPTH_MAX - 1).is_ok() && nots(DEPTH_MAX).is_err());
    let list = |n: usize| format!("len in ({})", vec!["1"; n].join(",")).parse::<Predicate>();
    assert!(list(LIST_MAX).is_ok() && list(LIST_MAX + 1).is_err());
    assert!("x".repeat(LENGTH_MAX + 1).parse::<Predicate>().is_err());
}

#[test]
fn words_of_a_list_are_checked() {
    for fine in [
        "tcp.congestion.reason == fast-retransmit",
        "tcp.congestion.reason in (\"fast retransmit\", lost-syns, ecn_echo)",
        "tcp.retransmission.kind != rto",
    ] {
        assert!(fine.parse::<Predicate>().is_ok(), "{fine}");
    }
    let typo = "tcp.congestion.reason == timout".parse::<Predicate>().unwrap_err();
    assert!(typo.message().contains("`timout` is no word of this field"), "{typo}");
    assert!(typo.to_string().contains("timeout"), "the right word is near: {typo}");
    assert!("tcp.retransmission.kind == probe".parse::<Predicate>().is_err());
}

#[test]
fn the_page_shows_the_schema() {
    let page = include_str!("../../../docs/predicates.md");
    let tables = schema::markdown();
    assert!(page.contains(&tables), "docs/predicates.md must contain:\n{tables}");
    // The lists stand in the schema's words, too: nobody should have to guess one.
    for (field, words) in [
        ("tcp.congestion.reason", CONGESTION_REASONS),
        ("tcp.retransmission.kind", RETRANSMISSION_KINDS),
    ] {
        let row = tables.lines().find(|l| l.starts_with(&format!("| `{field}`"))).unwrap();
        assert!(words.iter().all(|w| row.contains(&format!("`{w}`"))), "{row}");
    }
}

#[test]
fn each_event_has_a_sentence() {
    for record in [state(), drop(), nat(), route(), sent(), started()] {
        let text = sentence(&record, &Lab);
        assert!(text.ends_with('.') && text.len() > 10, "{text}");
    }
    assert_eq!(
        sentence(&state(), &Lab),
        "The connection went from FIN-WAIT-2 to TIME-WAIT: FIN received."
    );
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "(",
        ")",
        "!",
        "&&",
        "||",
        "and",
        "or",
        "not",
        "in",
        "contains",
        "==",
        "!=",
        "<",
        ">=",
        ",",
        "tcp.state",
        "host",
        "drop",
        "reason",
        "at",
        "len",
        "address",
        "before",
        "flow",
        "link",
        "id",
        "TIME_WAIT",
        "pc",
        "5",
        "5s",
        "-1",
        "10.0.0.0/24",
        "10.0.0.1:80",
        "\"",
        "'x'",
        "é",
        "\\",
        "=",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|p| p.join(" "))
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in prop_oneof![any::<String>(), pieces(), "[ -~]{0,80}"]) {
        match text.parse::<Predicate>() {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(predicate) => {
                for record in [state(), drop(), nat(), route(), sent(), started()] {
                    let holds = predicate.matches(&record, &Lab);
                    if let Ok(not) = format!("!({text})").parse::<Predicate>() {
                        prop_assert_ne!(not.matches(&record, &Lab), holds);
                    }
                }
            }
        }
    }
}
