//! Wires measured: exact delays, what TCP gets out of a rate, faults in whole worlds.

mod common;

use std::rc::Rc;

use common::*;
use netarium_base::chance::probability;
use netarium_base::trace::Event;
use netarium_base::{DropReason, Duration, Instant, Place, Seed};
use netarium_world::process::{
    LocalBoxFuture, Process, Program, TcpListener, TcpStream, UdpSocket,
};
use netarium_world::{
    Command, DirectionSpec, Directions, Faults, JsonTrace, LinkChange, LinkSpec, Scheduled,
    SwitchSpec, World, WorldBuilder, replay,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// `send BYTES`: to port 80 of 10.0.0.2.
async fn send(p: Process) -> i32 {
    let mut left: usize = p.args()[1].parse().unwrap();
    let Ok(mut stream) = TcpStream::connect(&p, "10.0.0.2:80".parse().unwrap()).await else {
        return 1;
    };
    let buffer = vec![7; 65_536];
    while left > 0 {
        let Ok(n) = stream.write(&buffer[..left.min(65_536)]).await else { return 2 };
        left -= n;
    }
    stream.shutdown().await.map_or(3, |()| 0)
}

/// Reads one connection to its end and prints when its first and its last byte came.
async fn sink(p: Process) -> i32 {
    let listener = TcpListener::bind(&p, "0.0.0.0:80".parse().unwrap(), 16).unwrap();
    let Ok((mut stream, _)) = listener.accept().await else { return 1 };
    let mut buffer = vec![0; 65_536];
    let (mut first, mut bytes) = (None, 0);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        first.get_or_insert(p.now());
        bytes += n;
    }
    let first = first.unwrap_or_default();
    p.print(&format!("{bytes} {} {}", first.as_nanos(), p.now().as_nanos())).await;
    0
}

/// `datagrams N ADDRESS...`: N to each address in turn, one a millisecond, each with a number.
async fn datagrams(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:5000".parse().unwrap()).unwrap();
    let count: u32 = p.args()[1].parse().unwrap();
    let to: Vec<_> = p.args()[2..].iter().map(|a| format!("{a}:9").parse().unwrap()).collect();
    for n in 0..count {
        for &to in &to {
            let _ = socket.send_to(&n.to_be_bytes(), to).await;
        }
        p.sleep(Duration::from_millis(1)).await;
    }
    0
}

/// Prints the numbers that come, until a second passes without one.
async fn numbers(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:9".parse().unwrap()).unwrap();
    let mut buffer = [0; 100];
    loop {
        let Ok((4, _)) = socket.recv_from(&mut buffer).await else { continue };
        let n = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        p.print(&format!("{n} ")).await;
    }
}

fn programs() -> Vec<(&'static str, Program)> {
    vec![
        ("send", program!(send)),
        ("sink", program!(sink)),
        ("datagrams", program!(datagrams)),
        ("numbers", program!(numbers)),
    ]
}

/// `pc` and `web` on one wire, with these faults from `pc` to `web`.
fn wire(spec: DirectionSpec, faults: Faults) -> WorldBuilder {
    let mut link = LinkSpec::new("pc.web", ("pc", 0), ("web", 0));
    (link.up, link.down) = (spec, spec);
    link.faults[0] = faults;
    let b = WorldBuilder::new(Seed(1)).programs(Rc::new(Library(programs()))).trace_limit(100_000);
    b.host(host("pc", "10.0.0.1/24")).host(host("web", "10.0.0.2/24")).link(link).gateway("pc")
}

fn order(world: &mut World, change: LinkChange) {
    let (link, directions) = ("pc.web".to_owned(), Directions::Up);
    world.command(Command::Link { link, directions, change }).unwrap();
}

fn up(world: &World) -> netarium_world::DirectionStats {
    world.link_stats(world.link_id("pc.web").unwrap()).unwrap()[0]
}

fn drops(world: &World, reason: DropReason) -> u64 {
    world.drops().filter(|d| d.1 == reason).map(|d| d.2).sum()
}

/// What a daemon has printed so far.
fn printed(world: &World, host: &str) -> String {
    let id = world.host_id(host).unwrap();
    let log = |p: netarium_world::process::ProcessInfo| world.process_log(id, p.pid);
    let running = world.processes(id).into_iter().filter_map(log);
    let ended = world.exited(id).into_iter().map(|e| e.log);
    let all: Vec<u8> = running.chain(ended).flatten().collect();
    String::from_utf8(all).unwrap()
}

#[test]
fn every_frame_arrives_exactly_its_serialisation_and_delay_later() {
    for (delay, rate) in [(1, None), (12_345_679, Some(1_000_003)), (123_456_789, Some(7_001))] {
        let delay = Duration::from_nanos(delay);
        let spec = DirectionSpec { delay, rate, ..DirectionSpec::default() };
        let b = wire(spec, Faults::default());
        let mut world = b.run("pc", argv("datagrams 1 10.0.0.2"), secs(0)).build().unwrap();
        world.run_until_idle(secs(100));
        let mut sent = None;
        let mut seen = 0;
        for record in world.tracer().records() {
            match record.event {
                Event::FrameSent { len, .. } => sent = Some((record.at, u64::from(len))),
                Event::FrameDelivered { .. } => {
                    let (at, len) = sent.take().expect("one frame at a time");
                    let bits = u128::from(len) * 8 * 1_000_000_000;
                    let serial = rate.map_or(0, |r| bits.div_ceil(u128::from(r)) as u64);
                    let due = at + Duration::from_nanos(serial) + delay;
                    assert_eq!(record.at, due, "{len} bytes");
                    seen += 1;
                }
                _ => {}
            }
        }
        assert!(seen >= 2, "{seen} at {delay}");
    }
}

/// The share of what a rate can carry in 1448-byte segments that a bulk transfer gets, from its
/// first byte to its last.
fn share(delay: Duration, rate: u64, seconds: u64) -> f64 {
    // 1448 bytes of 1514: Ethernet 14, IP 20, TCP 20 and 12 of timestamps.
    let limit = rate as f64 / 8.0 * 1_448.0 / 1_514.0;
    let round_trip = 2.0 * delay.as_nanos() as f64 / 1e9;
    let bdp = (rate as f64 * round_trip / (1_514.0 * 8.0)).ceil() as u32;
    let spec = DirectionSpec { delay, rate: Some(rate), queue: bdp.max(20), loss: 0 };
    let bytes = (limit * seconds as f64) as u64;
    let b = wire(spec, Faults::default()).trace_limit(0).daemon("web", argv("sink"));
    let line = format!("send {bytes}");
    let mut world = b.run("pc", argv(&line), secs(0)).build().unwrap();
    world.run_until(secs(seconds * 20));
    let text = printed(&world, "web");
    let told: Vec<u64> = text.split(' ').map(|n| n.parse().expect("the transfer ended")).collect();
    assert_eq!(told[0], bytes);
    let took = (told[2] - told[1]) as f64 / 1e9;
    bytes as f64 / took / limit
}

#[test]
fn a_rate_is_what_tcp_gets_at_any_delay() {
    let ms = Duration::from_millis;
    for (delay, rate, seconds, least) in [
        (Duration::from_nanos(1), 10_000_000, 20, 0.94),
        (ms(10), 10_000_000, 60, 0.94),
        (ms(10), 100_000_000, 20, 0.94),
        (ms(100), 10_000_000, 120, 0.94),
    ] {
        let share = share(delay, rate, seconds);
        assert!(share > least && share <= 1.0001, "{share} at {delay}, {rate} bit/s");
    }
}

#[test]
fn a_flipped_bit_is_found_where_a_real_stack_finds_it() {
    // ARP has no checksum: only what carries a datagram is damaged.
    let b = wire(DirectionSpec::default(), Faults::default()).daemon("web", argv("numbers"));
    let mut world = b.run("pc", argv("datagrams 1001 10.0.0.2"), secs(0)).build().unwrap();
    world.run_until(Instant::from_nanos(500_000));
    order(&mut world, LinkChange::Corrupt(probability(1.0)));
    world.run_until(secs(2));
    let flipped = up(&world).corrupted;
    assert_eq!(flipped, 1_000);
    let found = [
        DropReason::BadChecksum,
        DropReason::BadIpChecksum,
        DropReason::Malformed,
        DropReason::NotForMe,
        DropReason::UnknownProtocol,
        DropReason::Martian,
    ];
    let web = world.host_id("web").unwrap();
    let at_web = |place: Place| match place {
        Place::Node(n) | Place::Iface(n, _) => n == web,
        _ => false,
    };
    let dropped: u64 =
        world.drops().filter(|d| found.contains(&d.1) && at_web(d.0)).map(|d| d.2).sum();
    // A source MAC is compared by nobody, nor is the broadcast bit of a destination.
    let text = printed(&world, "web");
    let arrived: Vec<u32> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert_eq!(
        dropped + arrived.len() as u64 - 1,
        flipped,
        "{:?}",
        world.drops().collect::<Vec<_>>()
    );
    // Of 46 bytes 6 are the source MAC: 130 of 1000 pass, and none of them is wrong.
    assert!((80..=185).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.is_sorted() && drops(&world, DropReason::BadChecksum) > 150);
    assert!(drops(&world, DropReason::BadIpChecksum) > 250);
}

/// TCP brings everything over a wire that does everything at once; twice the same, byte by byte.
#[test]
fn a_bad_wire_is_the_same_bad_wire_again() {
    let faults = || Faults {
        jitter: Some("2ms normal reorder".parse().unwrap()),
        burst: Some("p 0.5% r 40%".parse().unwrap()),
        duplicate: probability(0.02),
        reorder: Some("2% by 3ms".parse().unwrap()),
        corrupt: probability(0.01),
        ..Faults::default()
    };
    let run = || {
        let spec = DirectionSpec {
            delay: Duration::from_millis(5),
            rate: Some(20_000_000),
            loss: probability(0.01),
            queue: 100,
        };
        let b = wire(spec, faults()).daemon("web", argv("sink"));
        let mut world = b.run("pc", argv("send 1000000"), secs(0)).build().unwrap();
        let trace = Bytes::default();
        let sink = JsonTrace::new(trace.clone(), world.name_table());
        world.tracer_mut().add_sink(Box::new(sink));
        world.run_until(secs(300));
        assert!(printed(&world, "web").starts_with("1000000 "), "{}", printed(&world, "web"));
        let s = up(&world);
        assert!(
            s.duplicated > 5 && s.reordered > 5 && s.corrupted > 2 && s.dropped_burst > 2,
            "{s:?}"
        );
        assert_eq!(s.sent_frames + s.duplicated, s.delivered_frames + s.dropped(), "{s:?}");
        trace.0.take()
    };
    let first = run();
    assert!(first == run());
    let text = String::from_utf8(first).unwrap();
    for fault in ["duplicated", "reordered", "corrupted"] {
        assert!(text.contains(&format!("\"fault\":\"{fault}\"")), "{fault}");
    }
}

/// What a link does to its frames is decided by its own name and settings.
#[test]
fn one_links_settings_do_not_shift_the_luck_of_another() {
    let run = |other: Faults, extra_host: bool| {
        let mut b = WorldBuilder::new(Seed(1)).programs(Rc::new(Library(programs())));
        let mut names = vec![("pc", 1), ("web", 2), ("db", 3)];
        names.extend(extra_host.then_some(("ahost", 4)));
        for (name, n) in names {
            let mut link = LinkSpec::new(format!("{name}.net"), (name, 0), "net");
            match name {
                "web" => {
                    link.faults[1] = Faults {
                        burst: Some("p 5% r 50%".parse().unwrap()),
                        duplicate: probability(0.1),
                        jitter: Some("100us".parse().unwrap()),
                        ..Faults::default()
                    };
                }
                "db" => link.faults[1] = other.clone(),
                _ => {}
            }
            b = b.host(host(name, &format!("10.0.0.{n}/24"))).link(link);
        }
        let b = b.switch(SwitchSpec::new("net")).daemon("web", argv("numbers"));
        let mut world =
            b.run("pc", argv("datagrams 1000 10.0.0.2 10.0.0.3"), secs(0)).build().unwrap();
        world.run_until(secs(3));
        printed(&world, "web")
    };
    let quiet = run(Faults::default(), false);
    let lost =
        Faults { corrupt: probability(0.5), burst: "p 9% r 9%".parse().ok(), ..Faults::default() };
    assert_eq!(quiet, run(lost, false));
    assert_eq!(quiet, run(Faults::default(), true));
    let count = quiet.split_whitespace().count();
    assert!((900..1_090).contains(&count), "{count}");
}

/// A schedule is a part of the lab: it is in the trace as commands, each the root of what follows,
/// and a replay has it without a journal.
#[test]
fn a_link_that_flaps_by_schedule() {
    let build = || {
        let b = wire(DirectionSpec::default(), Faults::default());
        let state = |at: u64, up| Scheduled {
            at: Instant::ZERO + Duration::from_millis(at),
            command: Command::LinkUp { link: "pc.web".to_owned(), up },
            again: Some((Duration::from_millis(100), 4)),
        };
        let odd = Command::LinkUp { link: "nowhere".to_owned(), up: true };
        let odd = Scheduled { at: secs(2), command: odd, again: None };
        let b = b.schedule(state(50, false)).schedule(state(100, true)).schedule(odd);
        b.daemon("web", argv("numbers")).run("pc", argv("datagrams 600 10.0.0.2"), secs(0))
    };
    let mut world = build().build().unwrap();
    assert_eq!(world.scheduled().len(), 3);
    world.run_until_idle(secs(100));
    assert!(world.now() >= secs(2) && world.scheduled().is_empty(), "the schedule is waited for");
    let text = printed(&world, "web");
    let came: Vec<u32> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    // Down from 50 to 100 ms, from 150 to 200 … until 500, each command behind the datagram of its
    // millisecond.
    let missing: Vec<u32> = (0..600).filter(|n| !came.contains(n)).collect();
    assert!(missing.iter().all(|n| (n - 1) % 100 >= 50 && *n <= 500), "{missing:?}");
    assert_eq!((missing.len() as u64, up(&world).dropped_down), (250, 250));
    let commands: Vec<_> = world
        .tracer()
        .records()
        .filter_map(|r| match &r.event {
            Event::Command { text } => {
                Some((r.at.as_nanos() / 1_000_000, r.root == r.id, text.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(commands.len(), 11);
    assert_eq!(commands[0], (50, true, "schedule: link pc.web down".into()));
    assert_eq!(commands[9], (500, true, "schedule: link pc.web up".into()));
    let note = |e: &Event| matches!(e, Event::Note { text } if text.contains("no link is called `nowhere`"));
    assert!(world.tracer().records().any(|r| note(&r.event)));
    world.finish_journal();
    let mut again = build().build().unwrap();
    let (_, reader) = netarium_world::journal::Reader::open(world.journal().bytes()).unwrap();
    let end = replay(&mut again, reader, Instant::FAR_FUTURE, |_| {});
    assert!(end.divergence.is_none() && end.error.is_none() && end.inputs == 0, "{end:?}");
    assert!(again.tracer().records().eq(world.tracer().records()));
}

#[test]
fn a_cable_that_is_cut_takes_what_is_on_it() {
    let spec = DirectionSpec { delay: Duration::from_millis(50), ..DirectionSpec::default() };
    let b = wire(spec, Faults::default()).daemon("web", argv("numbers"));
    let mut world = b.run("pc", argv("datagrams 300 10.0.0.2"), secs(0)).build().unwrap();
    // The first waits for ARP: 100 ms. From 100 ms on each takes 50 ms.
    world.run_until(Instant::from_nanos(200_500_000));
    let link = || "pc.web".to_owned();
    world.command(Command::LinkUp { link: link(), up: false }).unwrap();
    world.command(Command::CutInFlight { link: link() }).unwrap();
    assert_eq!((up(&world).dropped_cut, drops(&world, DropReason::LinkCut)), (50, 50));
    let cut = |e: &Event| matches!(e, Event::Dropped { reason: DropReason::LinkCut, .. });
    let records: Vec<_> = world.tracer().records().collect();
    let root = records.iter().find(|r| cut(&r.event)).map(|r| r.root).unwrap();
    let command = records.iter().find(|r| r.id == root).unwrap();
    assert!(
        matches!(&command.event, Event::Command { text } if &**text == "link pc.web cut in flight")
    );
    world.run_until(Instant::from_nanos(220_500_000));
    world.command(Command::LinkUp { link: link(), up: true }).unwrap();
    world.run_until(secs(2));
    let text = printed(&world, "web");
    let came: Vec<u32> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let missing: Vec<u32> = (0..300).filter(|n| !came.contains(n)).collect();
    assert!(missing.contains(&151) && missing.contains(&220) && missing.len() >= 70, "{missing:?}");
    assert_eq!(world.stuck(), None);
    assert!(world.is_idle(), "nothing is under way");
}
