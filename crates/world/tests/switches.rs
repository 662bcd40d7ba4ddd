//! Switches and hubs in whole worlds: who sees what, floods, mirrors, loops, partitions.

mod common;

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use common::*;
use netarium_base::trace::{Event, Names};
use netarium_base::{DropReason, Duration, Instant, LinkEnd, Seed};
use netarium_wire::{Frame, Network};
use netarium_world::capture::{CaptureInterface, Direction as CaptureDirection};
use netarium_world::process::{LocalBoxFuture, PingSocket, Process, Program, UdpSocket};
use netarium_world::{
    CaptureSink, CaptureSpec, Command, DirectionSpec, HubSpec, Input, LinkSpec, MirrorSpec, RunEnd,
    SwitchSpec, World, WorldBuilder, replay,
};

/// `ping ADDRESS [COUNT]`: prints how many came back, one every 100 ms.
async fn ping(p: Process) -> i32 {
    let to = p.args()[1].parse().unwrap();
    let count: u16 = p.args().get(2).map_or(1, |n| n.parse().unwrap());
    let socket = PingSocket::new(&p).unwrap();
    let mut back = 0;
    for seq in 0..count {
        let _ = socket.send_to(to, seq, b"payload").await;
        p.sleep(Duration::from_millis(100)).await;
        let now = || {
            poll_fn(|cx| match socket.poll_recv(cx) {
                Poll::Ready(Ok(reply)) => Poll::Ready(Some(reply.seq)),
                _ => Poll::Ready(None),
            })
        };
        while let Some(answered) = now().await {
            back += u32::from(answered == seq);
        }
    }
    p.print(&back.to_string()).await;
    0
}

async fn shout(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:0".parse().unwrap()).unwrap();
    for _ in 0..100 {
        let _ = socket.send_to(&[0; 1_000], "10.0.0.2:9".parse().unwrap()).await;
    }
    0
}

fn programs() -> Vec<(&'static str, Program)> {
    vec![("ping", program!(ping)), ("shout", program!(shout))]
}

fn builder() -> WorldBuilder {
    WorldBuilder::new(Seed(1)).programs(Rc::new(Library(programs()))).trace_limit(200_000)
}

/// Hosts `a`, `b`… at 10.0.0.1, 10.0.0.2…, each on a switch or hub.
fn hosts(mut b: WorldBuilder, plugs: &[(&str, &str)]) -> WorldBuilder {
    for (n, (name, switch)) in (1..).zip(plugs) {
        b = b.host(host(name, &format!("10.0.0.{n}/24")));
        b = b.link(LinkSpec::new(format!("{name}.{switch}"), (*name, 0), *switch));
    }
    b
}

fn cables(mut b: WorldBuilder, cables: &[(&str, &str)]) -> WorldBuilder {
    for (n, (a, c)) in cables.iter().enumerate() {
        b = b.link(LinkSpec::new(format!("{a}.{c}.{n}"), *a, *c));
    }
    b
}

/// Notes the IP packets that arrive at the hosts' ends of links.
#[derive(Clone, Default)]
struct Seen(Rc<RefCell<Vec<(String, String)>>>);

impl CaptureSink for Seen {
    fn begin(&mut self, _: u64, _: Instant, _: &[CaptureInterface]) {}

    fn frame(&mut self, _: usize, _: Instant, way: CaptureDirection, frame: &Frame) {
        if frame.meta.layers.network == Network::Ipv4 && way == CaptureDirection::In {
            let (from, to) = (frame.src_ip().unwrap(), frame.dst_ip().unwrap());
            self.0.borrow_mut().push((from.to_string(), to.to_string()));
        }
    }

    fn end(&mut self, _: Instant) {}
}

/// What an eavesdropper at the host's end of a link hears.
fn listen(world: &mut World, link: &str) -> Seen {
    let seen = Seen::default();
    let links = vec![world.link_id(link).unwrap()];
    let ends = netarium_world::Ends::Receiver;
    world.capture(&CaptureSpec { links, ends, ..CaptureSpec::default() }, Box::new(seen.clone()));
    seen
}

/// How many packets between a and b an eavesdropper heard.
fn overheard(seen: &Seen) -> usize {
    let pair = ["10.0.0.1", "10.0.0.2"];
    let heard = seen.0.take();
    heard.iter().filter(|(a, b)| pair.contains(&a.as_str()) && pair.contains(&b.as_str())).count()
}

fn drops(world: &World, reason: DropReason) -> u64 {
    world.drops().filter(|d| d.1 == reason).map(|d| d.2).sum()
}

fn notes(world: &World) -> Vec<(String, u64)> {
    let names = world.name_table();
    let records = world.tracer().records();
    let note =
        records.filter(|r| matches!(&r.event, Event::Note { text } if text.contains("loop")));
    note.map(|r| match r.place {
        netarium_base::Place::Iface(n, i) => {
            (format!("{} {}", names.node(n), names.iface(n, i)), r.at.as_nanos() / 1_000_000_000)
        }
        other => panic!("{other:?}"),
    })
    .collect()
}

#[test]
fn everyone_on_a_hub_hears_all_and_on_a_switch_only_what_is_theirs() {
    let plugs = [("a", "net"), ("b", "net"), ("spy", "net")];
    let hub = builder().hub(HubSpec { name: "net".to_owned(), title: None });
    let mut world = hosts(hub, &plugs).build().unwrap();
    let seen = listen(&mut world, "spy.net");
    assert_eq!(exec(&mut world, 1, "a", "ping 10.0.0.2 10").1, "10");
    assert_eq!(overheard(&seen), 20);
    let mut world = hosts(builder().switch(SwitchSpec::new("net")), &plugs).build().unwrap();
    let seen = listen(&mut world, "spy.net");
    assert_eq!(exec(&mut world, 1, "a", "ping 10.0.0.2 10").1, "10");
    assert_eq!(overheard(&seen), 0);
}

/// Twenty addresses from one port fill a table of twenty; who comes later is not learned, and what
/// is sent to them goes to everyone, until the table has room again.
#[test]
fn a_table_that_is_flooded_makes_a_hub_of_a_switch() {
    let names: Vec<String> = (0..20).map(|n| format!("x{n:02}")).collect();
    let mut plugs = vec![("a", "net"), ("b", "net"), ("spy", "net")];
    plugs.extend(names.iter().map(|name| (name.as_str(), "crowd")));
    let small = SwitchSpec { table: 20, ..SwitchSpec::new("net") };
    let b = builder().switch(small).hub(HubSpec { name: "crowd".to_owned(), title: None });
    let mut world = hosts(cables(b, &[("crowd", "net")]), &plugs).build().unwrap();
    let net = world.node_id("net").unwrap();
    for (port, name) in (1..).zip(&names) {
        world.apply(Input::Exec {
            port,
            host: name.clone(),
            argv: argv("ping 10.0.0.99"),
            stdin: false,
            credit: 0,
        });
    }
    world.run_until(secs(10));
    assert_eq!(world.switch_table(net).len(), 20);
    let seen = listen(&mut world, "spy.net");
    assert_eq!(exec(&mut world, 100, "a", "ping 10.0.0.2 10").1, "10");
    assert_eq!(overheard(&seen), 20, "the switch repeats what it cannot learn");
    let view = world.switch(net).unwrap();
    assert!(view.stats.full >= 20 && view.stats.flooded >= 20, "{view:?}");
    // The crowd is silent now: after 300 s its addresses are gone.
    world.run_until(secs(400));
    assert_eq!(exec(&mut world, 101, "a", "ping 10.0.0.2 10").1, "10");
    assert!(overheard(&seen) <= 1, "learned again");
    assert_eq!(world.switch_table(net).len(), 2);
}

/// Three switches in a ring, and four that are all joined to each other: pings get through, a note
/// tells of the loop, and what happens is bounded.
#[test]
fn a_loop_is_told_and_melts_nothing() {
    let ring: &[(&str, &str)] = &[("s1", "s2"), ("s2", "s3"), ("s3", "s1")];
    let mesh: &[(&str, &str)] =
        &[("s1", "s2"), ("s1", "s3"), ("s1", "s4"), ("s2", "s3"), ("s2", "s4"), ("s3", "s4")];
    let double: &[(&str, &str)] = &[("s1", "s2"), ("s1", "s2"), ("s2", "s3")];
    let itself: &[(&str, &str)] = &[("s1", "s1"), ("s1", "s2"), ("s2", "s3")];
    for (what, pairs) in [("ring", ring), ("mesh", mesh), ("double", double), ("itself", itself)] {
        for hub in [false, true] {
            let mut b = builder();
            for name in ["s1", "s2", "s3", "s4"] {
                b = match hub {
                    true => b.hub(HubSpec { name: name.to_owned(), title: None }),
                    false => b.switch(SwitchSpec::new(name)),
                };
            }
            let b = hosts(cables(b, pairs), &[("a", "s1"), ("b", "s2"), ("c", "s3")]);
            let mut world = b.build().unwrap();
            assert_eq!(exec(&mut world, 1, "a", "ping 10.0.0.2 100").1, "100", "{what}");
            assert_eq!(exec(&mut world, 2, "c", "ping 10.0.0.1 100").1, "100", "{what}");
            assert_eq!(world.run_until_idle(secs(100)), RunEnd::Idle, "{what}");
            // 200 pings and a few ARP frames, each over at most seven cables and ports.
            assert!(world.events() < 20_000, "{what}: {} events", world.events());
            assert!(drops(&world, DropReason::SwitchLoop) > 0, "{what}");
            let told = notes(&world);
            let switches = world.nodes().filter_map(|n| world.switch(n.id));
            let loops: u64 = switches.map(|s| s.loops).sum();
            assert_eq!(loops, drops(&world, DropReason::SwitchLoop));
            assert!(!told.is_empty() && told.len() <= 4 * 4, "{what}: {told:?}");
        }
    }
}

/// Switches in a chain have cables to two others and no loop: nothing is told.
#[test]
fn a_chain_is_no_loop() {
    let mut b = builder();
    for name in ["s1", "s2", "s3"] {
        b = b.switch(SwitchSpec::new(name));
    }
    let b = hosts(cables(b, &[("s1", "s2"), ("s2", "s3")]), &[("a", "s1"), ("b", "s3")]);
    let mut world = b.build().unwrap();
    assert_eq!(exec(&mut world, 1, "a", "ping 10.0.0.2 50").1, "50");
    // A wire that delivers everything twice is no loop, either.
    let (link, directions) = ("a.s1".to_owned(), Default::default());
    let change = netarium_world::LinkChange::Duplicate(u32::MAX);
    world.command(Command::Link { link, directions, change }).unwrap();
    assert_eq!(exec(&mut world, 2, "a", "ping 10.0.0.2 50").0, 0);
    assert_eq!((notes(&world).len(), drops(&world, DropReason::SwitchLoop)), (0, 0));
    let stats = world.link_stats(world.link_id("a.s1").unwrap()).unwrap();
    assert!(stats[0].duplicated >= 50, "{stats:?}");
}

#[test]
fn a_mirror_port_gets_a_copy_of_everything_once() {
    let plugs = [("a", "net"), ("b", "net"), ("c", "net"), ("spy", "net")];
    let spec = |from: &[&str]| MirrorSpec {
        to: "spy.net".to_owned(),
        from: from.iter().map(|f| (*f).to_owned()).collect(),
    };
    let switch = SwitchSpec { mirror: Some(spec(&[])), ..SwitchSpec::new("net") };
    let build = || hosts(builder().switch(switch.clone()), &plugs).build().unwrap();
    let mut world = build();
    let seen = listen(&mut world, "spy.net");
    assert_eq!(exec(&mut world, 1, "a", "ping 10.0.0.2 10").1, "10");
    assert_eq!(overheard(&seen), 20);
    // Only what passes c.
    let order = |world: &mut World, mirror| {
        world.command(Command::Mirror { switch: "net".to_owned(), mirror })
    };
    order(&mut world, Some(spec(&["c.net"]))).unwrap();
    exec(&mut world, 2, "a", "ping 10.0.0.2 10");
    assert_eq!(overheard(&seen), 0);
    exec(&mut world, 3, "c", "ping 10.0.0.1 10");
    assert_eq!(seen.0.take().len(), 20);
    let net = world.node_id("net").unwrap();
    assert_eq!(world.switch(net).unwrap().mirror, Some(spec(&["c.net"])));
    order(&mut world, None).unwrap();
    exec(&mut world, 4, "c", "ping 10.0.0.1 10");
    assert_eq!(seen.0.take().len(), 0);
    for (mirror, why) in [
        (spec(&["spy.net"]), "`spy.net` cannot be a mirror of itself"),
        (spec(&["nobody.net"]), "no link is called `nobody.net`"),
        (spec(&["a.lo"]), "the link `a.lo` is not plugged into it"),
    ] {
        assert_eq!(order(&mut world, Some(mirror)).unwrap_err(), why);
    }
    world.finish_journal();
    let (_, reader) = netarium_world::journal::Reader::open(world.journal().bytes()).unwrap();
    let end = replay(&mut build(), reader, Instant::FAR_FUTURE, |_| {});
    assert!(end.divergence.is_none() && end.error.is_none(), "{end:?}");
    let bad = SwitchSpec { mirror: Some(spec(&["x.net"])), ..SwitchSpec::new("net") };
    let error = hosts(builder().switch(bad), &plugs).build().unwrap_err();
    assert_eq!(error.to_string(), "the mirror of switch net: no link is called `x.net`");
}

fn part(name: &str, sides: &[&[&str]], in_flight: bool) -> Command {
    let side = |s: &&[&str]| s.iter().map(|h| (*h).to_owned()).collect();
    Command::Partition { name: name.to_owned(), sides: sides.iter().map(side).collect(), in_flight }
}

#[test]
fn a_partition_parts_its_sides_and_nobody_else() {
    let plugs = [("a", "net"), ("b", "net"), ("c", "net"), ("d", "net")];
    let build = || hosts(builder().switch(SwitchSpec::new("net")), &plugs).build().unwrap();
    let mut world = build();
    let mut port = 0;
    let mut back = |world: &mut World, from: &str, to: u32| {
        port += 1;
        exec(world, port, from, &format!("ping 10.0.0.{to} 3")).1
    };
    assert_eq!(back(&mut world, "a", 2), "3");
    world.command(part("split", &[&["a", "d"], &["b"]], false)).unwrap();
    assert_eq!(back(&mut world, "a", 2), "0", "between the sides");
    assert_eq!(back(&mut world, "b", 4), "0", "and back");
    assert_eq!(back(&mut world, "a", 4), "3", "on one side");
    assert_eq!(back(&mut world, "a", 3), "3", "c stands on none");
    assert_eq!(back(&mut world, "b", 3), "3", "c stands on none");
    assert!(drops(&world, DropReason::Partition) >= 6);
    // With one side: from all others.
    world.command(part("alone", &[&["c"]], false)).unwrap();
    assert_eq!(back(&mut world, "b", 3), "0");
    assert_eq!(world.partitions().len(), 2);
    assert_eq!(world.partitions()[1].sides, [vec!["c"], vec!["a", "b", "d"]]);
    for (command, why) in [
        (part("split", &[&["a"], &["b"]], false), "there is a partition `split` already"),
        (part("p", &[&["a"], &["a"]], false), "`a` stands on two sides"),
        (part("p", &[&["a"], &["nobody"]], false), "no host is called `nobody`"),
        (part("p", &[&["a"], &[]], false), "a partition has 2 to 64 sides, each with a host"),
        (part("p", &[], false), "a partition has 2 to 64 sides, each with a host"),
        (Command::Heal { name: Some("p".to_owned()) }, "there is no partition `p`"),
    ] {
        assert_eq!(world.command(command).unwrap_err(), why);
    }
    world.command(Command::Heal { name: Some("split".to_owned()) }).unwrap();
    assert_eq!(back(&mut world, "a", 2), "3");
    world.command(Command::Heal { name: None }).unwrap();
    assert_eq!((back(&mut world, "b", 3), world.partitions().len()), ("3".to_owned(), 0));
    world.finish_journal();
    let (_, reader) = netarium_world::journal::Reader::open(world.journal().bytes()).unwrap();
    let mut again = build();
    let end = replay(&mut again, reader, Instant::FAR_FUTURE, |_| {});
    assert!(end.divergence.is_none() && end.error.is_none(), "{end:?}");
    assert!(again.tracer().records().eq(world.tracer().records()));
}

/// What is under way when a partition is made arrives, or does not, as was asked.
#[test]
fn a_partition_catches_frames_in_flight_when_asked() {
    for in_flight in [false, true] {
        let mut link = LinkSpec::new("a.b", ("a", 0), ("b", 0));
        let wire = DirectionSpec { delay: Duration::from_millis(50), ..DirectionSpec::default() };
        (link.up, link.down) = (wire, wire);
        let b = builder().host(host("a", "10.0.0.1/24")).host(host("b", "10.0.0.2/24")).link(link);
        let mut world = b.run("a", argv("shout"), secs(0)).build().unwrap();
        // ARP takes 100 ms; then the datagrams that waited set out.
        world.run_until(Instant::from_nanos(120_000_000));
        let id = world.link_id("a.b").unwrap();
        let before = world.link_stats(id).unwrap()[0];
        let under_way = before.sent_frames - before.delivered_frames;
        assert!(under_way >= 1, "{before:?}");
        world.command(part("p", &[&["a"], &["b"]], in_flight)).unwrap();
        world.run_until(secs(1));
        let after = world.link_stats(id).unwrap()[0];
        let cut = if in_flight { under_way } else { 0 };
        assert_eq!(after.dropped_partition, cut);
        assert_eq!(after.delivered_frames, after.sent_frames - cut);
        let at_link = netarium_base::Place::Link(id, LinkEnd::A);
        let counted = world.drops().find(|d| d.0 == at_link && d.1 == DropReason::Partition);
        assert_eq!(counted.map_or(0, |d| d.2), cut);
    }
}
