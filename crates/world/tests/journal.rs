//! The binary form of journals: what is written is read; whatever is read causes no panic.

use netarium_base::{Duration, Instant, Seed};
use netarium_wire::Cidr;
use netarium_world::edit::Action;
use netarium_world::journal::codec::Recorded;
use netarium_world::journal::{DecodeError, Entry, Reader};
use netarium_world::link::{Burst, Jitter, Nth, Reorder, Shape};
use netarium_world::{
    Command, Directions, ForwardPort, InboundRule, Input, JournalSink, LinkChange, MirrorSpec,
    Target, World, WorldBuilder,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

fn empty_world() -> World {
    WorldBuilder::new(Seed(u64::MAX)).epoch(5).lab_hash(&[1, 2, 3]).build().unwrap()
}

fn input() -> impl Strategy<Value = Input> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let text = || "\\PC{0,20}";
    let port = any::<u64>;
    let to = prop_oneof![
        any::<(std::net::IpAddr, u16)>().prop_map(|to| Target::Addr(to.into())),
        (text(), any::<u16>()).prop_map(|(host, port)| Target::Name { host, port }),
    ];
    let udp = to.clone();
    let command = prop_oneof![
        (text(), prop::collection::vec(text(), 0..4))
            .prop_map(|(host, argv)| Command::Start { host, argv }),
        (text(), any::<u32>(), any::<u8>()).prop_map(|(host, pid, signal)| Command::Kill {
            host,
            pid,
            signal
        }),
        (text(), any::<bool>()).prop_map(|(link, up)| Command::LinkUp { link, up }),
        edit(),
    ];
    prop_oneof![
        (port(), text(), prop::option::of(text()), prop::option::of(any::<std::net::IpAddr>()), to)
            .prop_map(|(port, client, from, source, to)| Input::Open {
                port,
                client,
                from,
                source,
                to
            }),
        (
            port(),
            text(),
            prop::option::of(text()),
            prop::option::of(any::<std::net::IpAddr>()),
            udp
        )
            .prop_map(|(port, client, from, source, to)| Input::OpenUdp {
                port,
                client,
                from,
                source,
                to
            }),
        (port(), bytes()).prop_map(|(port, bytes)| Input::Data { port, bytes }),
        port().prop_map(|port| Input::Eof { port }),
        port().prop_map(|port| Input::Reset { port }),
        (port(), any::<u32>()).prop_map(|(port, bytes)| Input::Credit { port, bytes }),
        (port(), any::<u32>()).prop_map(|(port, credit)| Input::Accepted { port, credit }),
        (port(), text()).prop_map(|(port, reason)| Input::Refused { port, reason }),
        (port(), bytes()).prop_map(|(port, bytes)| Input::Datagram { port, bytes }),
        (any::<std::net::IpAddr>(), text())
            .prop_map(|(address, label)| Input::Client { address, label }),
        (port(), text(), prop::collection::vec(text(), 0..4), any::<bool>(), any::<u32>())
            .prop_map(|(port, host, argv, stdin, credit)| Input::Exec {
                port,
                host,
                argv,
                stdin,
                credit
            }),
        (port(), any::<u8>()).prop_map(|(port, signal)| Input::Signal { port, signal }),
        (text(), prop::option::of(bytes()))
            .prop_map(|(path, bytes)| Input::FileWrite { path, bytes }),
        command.prop_map(Input::Command),
    ]
}

/// Settings of wires beyond the plain ones, whether they make sense or not.
fn fault() -> impl Strategy<Value = LinkChange> {
    let span = || any::<u64>().prop_map(Duration::from_nanos);
    let shape = prop::sample::select(vec![Shape::Uniform, Shape::Normal]);
    let jitter = (span(), shape, any::<bool>());
    let jitter = jitter.prop_map(|(spread, shape, reorder)| Jitter { spread, shape, reorder });
    let burst = any::<(u32, u32, u32, u32)>();
    let burst = burst.prop_map(|(enter, leave, good, bad)| Burst { enter, leave, good, bad });
    let nth = (prop::collection::vec(any::<u64>(), 0..5), any::<Option<u64>>());
    let reorder = (any::<(u32, u32)>(), span());
    let reorder = reorder.prop_map(|((probability, gap), late)| Reorder { probability, late, gap });
    let matching = prop::sample::select(vec!["tcp", "not (arp or udp port 53)", "less 100"]);
    prop_oneof![
        any::<Option<u64>>().prop_map(LinkChange::QueueBytes),
        prop::option::of(jitter).prop_map(LinkChange::Jitter),
        prop::option::of(burst).prop_map(LinkChange::Burst),
        nth.prop_map(|(list, every)| LinkChange::Nth(Nth { list, every })),
        prop::option::of(matching)
            .prop_map(|text| LinkChange::Matching(text.map(|t| t.parse().unwrap()))),
        any::<u32>().prop_map(LinkChange::Duplicate),
        prop::option::of(reorder).prop_map(LinkChange::Reorder),
        any::<u32>().prop_map(LinkChange::Corrupt),
        any::<Option<u32>>().prop_map(LinkChange::Mtu),
    ]
}

/// Changes of wires and rules.
fn edit() -> impl Strategy<Value = Command> {
    let text = || "\\PC{0,20}";
    let names = || prop::collection::vec(text(), 0..3);
    let directions = prop::sample::select(vec![Directions::Both, Directions::Up, Directions::Down]);
    let change = prop_oneof![
        any::<u32>().prop_map(LinkChange::Loss),
        any::<u64>().prop_map(|ns| LinkChange::Delay(Duration::from_nanos(ns))),
        any::<Option<u64>>().prop_map(LinkChange::Rate),
        any::<u32>().prop_map(LinkChange::Queue),
        fault(),
    ];
    let port = || {
        any::<(u8, u16, u16)>().prop_map(|(protocol, port, last)| ForwardPort {
            protocol,
            port,
            last,
        })
    };
    let action = prop::sample::select(vec![Action::Allow, Action::Drop, Action::Reject]);
    let net = any::<(std::net::IpAddr, u8)>()
        .prop_map(|(a, n)| Cidr::new(a, n % if a.is_ipv4() { 33 } else { 129 }).unwrap());
    let rule = (action, any::<(Option<u8>, Option<(u16, u16)>)>(), prop::option::of(net))
        .prop_map(|(action, (protocol, ports), from)| (action, protocol, ports, from));
    let rule = (rule, prop::option::of(text())).prop_map(|(r, name)| InboundRule {
        action: r.0,
        protocol: r.1,
        ports: r.2,
        from: r.3,
        name,
    });
    prop_oneof![
        (text(), directions, change).prop_map(|(link, directions, change)| Command::Link {
            link,
            directions,
            change
        }),
        (text(), port(), any::<std::net::SocketAddr>()).prop_map(|(host, from, to)| {
            // Flow labels and scopes are no part of an address.
            let to = std::net::SocketAddr::new(to.ip(), to.port());
            Command::AddForward { host, from, to }
        }),
        (text(), port()).prop_map(|(host, from)| Command::RemoveForward { host, from }),
        (text(), rule, any::<Option<u32>>()).prop_map(|(host, rule, before)| Command::AddRule {
            host,
            rule,
            before
        }),
        (text(), text()).prop_map(|(host, rule)| Command::RemoveRule { host, rule }),
        (text(), any::<bool>()).prop_map(|(host, deny)| Command::InboundDefault { host, deny }),
        text().prop_map(|link| Command::CutInFlight { link }),
        (text(), prop::collection::vec(names(), 0..4), any::<bool>())
            .prop_map(|(name, sides, in_flight)| Command::Partition { name, sides, in_flight }),
        prop::option::of(text()).prop_map(|name| Command::Heal { name }),
        (text(), prop::option::of((text(), names()))).prop_map(|(switch, mirror)| {
            let mirror = mirror.map(|(to, from)| MirrorSpec { to, from });
            Command::Mirror { switch, mirror }
        }),
    ]
}

fn timed() -> impl Strategy<Value = Vec<(u64, Input)>> {
    prop::collection::vec(
        (prop_oneof![Just(0), any::<u64>().prop_map(|n| n >> 20)], input()),
        0..20,
    )
}

/// Applies inputs to a world and gives the journal and the inputs with their times.
fn journal(inputs: Vec<(u64, Input)>) -> (Vec<u8>, Vec<(Instant, Input)>) {
    let mut world = empty_world();
    let mut wanted = Vec::new();
    for (dt, input) in inputs {
        world.run_until(world.now() + netarium_base::Duration::from_nanos(dt));
        wanted.push((world.now(), input.clone()));
        world.apply(input);
    }
    (world.journal().bytes().to_vec(), wanted)
}

fn inputs(entries: impl Iterator<Item = Entry>) -> Vec<(Instant, Input)> {
    let only = |e: Entry| match e.what {
        Recorded::Input(input) => Some((e.at, input)),
        Recorded::Check(_) | Recorded::Full | Recorded::End => None,
    };
    entries.filter_map(only).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(list in timed()) {
        let (bytes, wanted) = journal(list);
        let (header, reader) = Reader::open(&bytes).unwrap();
        prop_assert_eq!((header.seed, header.epoch, header.lab), (u64::MAX, 5, vec![1, 2, 3]));
        let read: Result<Vec<_>, _> = reader.collect();
        prop_assert_eq!(inputs(read.unwrap().into_iter()), wanted);
    }

    #[test]
    fn a_cut_journal_is_good_up_to_the_cut(list in timed(), cut in any::<prop::sample::Index>()) {
        let (bytes, wanted) = journal(list);
        let cut = &bytes[..cut.index(bytes.len())];
        match Reader::open(cut) {
            Err(DecodeError::NotAJournal | DecodeError::Cut { offset: 0 }) => {}
            Err(e) => prop_assert!(false, "{e}"),
            Ok((_, reader)) => {
                let all: Vec<_> = reader.collect();
                let good = inputs(all.iter().filter_map(|e| e.clone().ok()));
                prop_assert_eq!(&good[..], &wanted[..good.len()]);
                if let Some(Err(e)) = all.last() {
                    prop_assert!(matches!(e, DecodeError::Cut { .. }), "{}", e);
                }
            }
        }
    }

    #[test]
    fn damage_is_an_error_and_no_panic(
        list in timed(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let (mut bytes, _) = journal(list);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok((_, reader)) = Reader::open(&bytes) {
            let all: Vec<_> = reader.collect();
            prop_assert!(all.iter().rev().skip(1).all(Result::is_ok), "an error is the last");
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_journal(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"NETARIUM-J\n".to_vec();
        bytes.extend(tail);
        if let Ok((_, reader)) = Reader::open(&bytes) {
            prop_assert!(reader.count() <= bytes.len());
        }
    }
}

#[test]
fn another_version_is_named() {
    assert_eq!(Reader::open(b"NETARIUM-J\n\x02").unwrap_err(), DecodeError::Version(2));
    assert_eq!(Reader::open(b"pcap").unwrap_err(), DecodeError::NotAJournal);
}

/// Skipping an entry would replay something else: a newer build's journal is refused by name.
#[test]
fn what_a_newer_build_wrote_is_named() {
    let (journal, _) = journal(Vec::new());
    let read = |entry: &[u8]| {
        let bytes = [&journal[..], entry].concat();
        Reader::open(&bytes).unwrap().1.next().unwrap().unwrap_err().to_string()
    };
    let offset = journal.len();
    for (entry, what) in [
        (&[3, 0, 0, 99][..], "an entry of kind 99"),
        (&[4, 0, 0, 9, 77], "a command of kind 77"),
        (&[8, 0, 0, 1, 1, 0, 0, 0, 9], "a target of kind 9"),
    ] {
        let wanted =
            format!("the journal has {what} at byte {offset}, which this build does not know");
        assert_eq!(read(entry), wanted);
    }
}

struct Spill(Rc<RefCell<Vec<u8>>>);

impl JournalSink for Spill {
    fn append(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

#[test]
fn a_journal_spills_from_its_beginning() {
    let data = |n| Input::Data { port: n, bytes: vec![0; 100_000] };
    let mut world = empty_world();
    world.apply(data(1));
    let spilled = Rc::new(RefCell::new(Vec::new()));
    world.spill_journal(Box::new(Spill(Rc::clone(&spilled))));
    world.apply(data(2));
    world.apply(Input::Eof { port: 3 });
    world.flush_journal();
    assert!(world.journal().bytes().is_empty());
    let bytes = spilled.borrow();
    let (_, reader) = Reader::open(&bytes).unwrap();
    let entries: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!((entries.len(), inputs(entries.into_iter()).len()), (4, 3));
}

#[test]
fn without_a_sink_memory_is_bounded_and_the_journal_says_where_it_ends() {
    let data = |n| Input::Data { port: n, bytes: vec![0; 1 << 20] };
    let mut world = empty_world();
    (0..80).for_each(|n| world.apply(data(n)));
    world.flush_journal();
    let journal = world.journal();
    assert_eq!((journal.entries(), journal.left_out()), (64, 16));
    assert!(journal.bytes().len() < 66 << 20);
    // A sink that comes now makes room, but what was left out stays out: there is no gap.
    let spilled = Rc::new(RefCell::new(Vec::new()));
    world.spill_journal(Box::new(Spill(Rc::clone(&spilled))));
    world.apply(data(80));
    world.flush_journal();
    assert_eq!((world.journal().entries(), world.journal().left_out()), (64, 17));
    let bytes = spilled.borrow();
    let (_, reader) = Reader::open(&bytes).unwrap();
    let entries: Vec<_> = reader.clone().map(Result::unwrap).collect();
    let full = entries.iter().filter(|e| e.what == Recorded::Full).count();
    assert_eq!((full, entries.last().map(|e| &e.what)), (1, Some(&Recorded::Full)));
    let end = netarium_world::replay(&mut empty_world(), reader, Instant::FAR_FUTURE, |_| {});
    assert!(end.incomplete && end.inputs == 64 && end.divergence.is_none(), "{end:?}");
}
