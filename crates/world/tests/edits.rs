//! Wires and rules that change while the world runs.

mod common;

use common::*;
use netarium_base::chance::probability;
use netarium_base::{DropReason, Duration, Instant, Seed};
use netarium_filter::Filter;
use netarium_wire::protocol;
use netarium_world::edit::{Action, Inbound};
use netarium_world::journal::Reader;
use netarium_world::process::{LocalBoxFuture, Process, Program, TcpListener, TcpStream};
use netarium_world::{
    Command, DirectionSpec, Directions, ForwardPort, InboundRule, LinkChange, World, replay,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Answers each connection with its first bytes.
async fn echoes(p: Process) -> i32 {
    let listener = TcpListener::bind(&p, "0.0.0.0:80".parse().unwrap(), 16).unwrap();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return 1 };
        p.spawn(async move {
            let mut buffer = [0; 1_000];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Sends a byte every 100 ms and prints when its echo is back.
async fn asks(p: Process) -> i32 {
    let to = p.args()[1].parse().unwrap();
    let Ok(mut stream) = TcpStream::connect(&p, to).await else {
        p.print("no connection").await;
        return 1;
    };
    for _ in 0..20 {
        let mut byte = [7];
        if stream.write_all(&byte).await.is_err() || stream.read(&mut byte).await.is_err() {
            return 2;
        }
        p.print(&format!("{} ", p.now().as_nanos() / 1_000_000)).await;
        p.sleep(Duration::from_millis(100)).await;
    }
    0
}

const WIRE: DirectionSpec =
    DirectionSpec { delay: Duration::from_millis(1), rate: None, queue: 1_000, loss: 0 };

fn world() -> World {
    let programs = vec![("echoes", program!(echoes)), ("asks", program!(asks))];
    lan(WIRE, programs).trace_limit(100_000).daemon("web", argv("echoes")).build().unwrap()
}

fn link(directions: Directions, change: LinkChange) -> Command {
    Command::Link { link: "pc.net".to_owned(), directions, change }
}

fn rule(action: Action, number: u8, port: Option<u16>) -> InboundRule {
    let ports = port.map(|p| (p, p));
    InboundRule { action, protocol: Some(number), ports, from: None, name: None }
}

fn add(host: &str, rule: InboundRule) -> Command {
    Command::AddRule { host: host.to_owned(), rule, before: None }
}

fn order(world: &mut World, ms: u64, command: Command) {
    world.run_until(Instant::from_nanos(ms * 1_000_000));
    world.command(command).unwrap();
}

fn drops(world: &World, reason: DropReason) -> u64 {
    world.drops().filter(|d| d.1 == reason).map(|d| d.2).sum()
}

fn labels(world: &World, host: &str) -> (bool, Vec<String>) {
    let stack = world.stack(world.host_id(host).unwrap()).unwrap();
    let inbound = Inbound::of(stack.filter().unwrap()).unwrap();
    (inbound.deny, inbound.rules.into_iter().map(|r| r.label).collect())
}

#[test]
fn a_wire_takes_its_new_settings_from_the_next_frame_on() {
    let mut world = world();
    let delay = LinkChange::Delay(Duration::from_millis(30));
    order(&mut world, 0, link(Directions::Up, delay));
    order(&mut world, 0, link(Directions::Down, LinkChange::Rate(Some(1_000_000))));
    order(&mut world, 0, link(Directions::Both, LinkChange::Queue(5)));
    let [up, down] = world.links().find(|l| l.name == "pc.net").unwrap().wires;
    assert_eq!((up.delay, up.rate, up.queue), (Duration::from_millis(30), None, 5));
    assert_eq!((down.delay, down.rate, down.queue), (WIRE.delay, Some(1_000_000), 5));
    let (code, text) = exec(&mut world, 1, "pc", "asks 10.0.0.2:80");
    assert_eq!(code, 0);
    let times: Vec<u64> = text.split_whitespace().map(|t| t.parse().unwrap()).collect();
    // 30 ms and three more ways of 1 ms, 100 ms of sleep, and half a millisecond for 54 bytes.
    assert!(times.windows(2).all(|w| (133..=135).contains(&(w[1] - w[0]))), "{times:?}");
}

#[test]
fn what_is_lost_comes_again_and_what_makes_no_sense_is_refused() {
    let mut world = world();
    order(&mut world, 0, link(Directions::Both, LinkChange::Loss(probability(0.3))));
    let (code, _) = exec(&mut world, 1, "pc", "asks 10.0.0.2:80");
    assert_eq!(code, 0);
    assert!(drops(&world, DropReason::LinkLoss) > 5);
    let before = world.now();
    order(&mut world, 0, link(Directions::Both, LinkChange::Loss(0)));
    let lost = drops(&world, DropReason::LinkLoss);
    let (code, _) = exec(&mut world, 2, "pc", "asks 10.0.0.2:80");
    assert_eq!((code, drops(&world, DropReason::LinkLoss)), (0, lost));
    assert!(world.now() > before);
    for (change, why) in [
        (LinkChange::Delay(Duration::ZERO), "a delay is 1ns to 3600s, not 0s"),
        (LinkChange::Delay(Duration::from_secs(3_601)), "a delay is 1ns to 3600s, not 3601s"),
        (LinkChange::Rate(Some(0)), "a rate is at least 1 bit per second"),
        (LinkChange::Queue(0), "a queue has room for at least one frame"),
    ] {
        assert_eq!(world.command(link(Directions::Both, change)).unwrap_err(), why);
    }
}

#[test]
fn rules_come_and_go_and_flows_that_are_known_go_on() {
    let mut world = world();
    let drop_web = rule(Action::Drop, protocol::TCP, Some(80));
    order(&mut world, 0, add("web", rule(Action::Allow, protocol::ICMP, None)));
    assert_eq!(labels(&world, "web"), (false, vec!["allow icmp".to_owned()]));
    // A connection that is there before the rule goes on behind it.
    world.apply(netarium_world::Input::Exec {
        port: 1,
        host: "pc".to_owned(),
        argv: argv("asks 10.0.0.2:80"),
        stdin: false,
        credit: 1 << 20,
    });
    order(&mut world, 500, add("web", drop_web.clone()));
    world.run_until(secs(4));
    while world.poll_output().is_some() {}
    let ended = world.exited(world.host_id("pc").unwrap());
    assert_eq!(ended.last().unwrap().code, 0, "{ended:?}");
    let (code, text) = exec(&mut world, 2, "pc", "asks 10.0.0.2:80");
    assert_eq!((code, text.as_str()), (1, "no connection"));
    assert!(drops(&world, DropReason::FilterDrop) > 3);
    // By what it says; then nothing is in the way.
    let remove = Command::RemoveRule { host: "web".to_owned(), rule: "drop tcp/80".to_owned() };
    world.command(remove.clone()).unwrap();
    assert_eq!(exec(&mut world, 3, "pc", "asks 10.0.0.2:80").0, 0);
    let error = world.command(remove).unwrap_err();
    assert_eq!(error, "it has no inbound rule `drop tcp/80`; its rules: `allow icmp`");
    // Deny by default, and a rule in front of another.
    let deny = |deny| Command::InboundDefault { host: "web".to_owned(), deny };
    world.command(deny(true)).unwrap();
    assert_eq!(exec(&mut world, 4, "pc", "asks 10.0.0.2:80").0, 1);
    let mut reject = rule(Action::Reject, 0, None);
    (reject.protocol, reject.name) = (None, Some("nobody".to_owned()));
    let first = |rule| Command::AddRule { host: "web".to_owned(), rule, before: Some(1) };
    world.command(first(reject)).unwrap();
    world.command(first(rule(Action::Allow, protocol::TCP, Some(80)))).unwrap();
    let all = ["allow tcp/80", "nobody", "allow icmp"].map(str::to_owned);
    assert_eq!(labels(&world, "web"), (true, all.to_vec()));
    assert_eq!(exec(&mut world, 5, "pc", "asks 10.0.0.2:80").0, 0);
    let nobody = Command::RemoveRule { host: "web".to_owned(), rule: "nobody".to_owned() };
    world.command(nobody).unwrap();
    assert_eq!(labels(&world, "web").1, ["allow tcp/80", "allow icmp"]);
    let far = Command::AddRule { host: "web".to_owned(), rule: drop_web, before: Some(9) };
    assert_eq!(world.command(far).unwrap_err(), "there is no rule 9; the host has 2");
}

/// `friend` outside, `router` between, `web` inside.
fn behind_nat() -> World {
    let programs = vec![("echoes", program!(echoes)), ("asks", program!(asks))];
    let mut b = netarium_world::WorldBuilder::new(Seed(1))
        .programs(std::rc::Rc::new(Library(programs)))
        .switch(netarium_world::SwitchSpec::new("home"))
        .switch(netarium_world::SwitchSpec::new("campus"))
        .trace_limit(100_000);
    let mut router = host("router", "192.168.17.1/24");
    router.forwarding = true;
    let mut outside = host("router.1", "10.0.0.2/24").interfaces.remove(0);
    outside.name = "eth1".to_owned();
    router.interfaces.push(outside);
    router.filter = Some(Box::new(|node| {
        let mut filter = Filter::new(node, Seed(1).luck("router", "filter"));
        let (inside, outside) = (netarium_base::IfIndex(2), netarium_base::IfIndex(3));
        filter.nat_router(inside, outside, Vec::new()).unwrap();
        filter
    }));
    let mut web = host("web", "192.168.17.17/24");
    let to = netarium_wire::Cidr::DEFAULT_V4;
    let via = Some("192.168.17.1".parse().unwrap());
    web.routes.push(netarium_world::RouteSpec { to, via, iface: 0 });
    b = b.host(web).host(router).host(host("friend", "10.0.0.7/24"));
    for (name, iface, network) in [
        ("web", 0, "home"),
        ("router", 0, "home"),
        ("router", 1, "campus"),
        ("friend", 0, "campus"),
    ] {
        b = b.link(netarium_world::LinkSpec::new(
            format!("{name}.{network}"),
            (name, iface),
            network,
        ));
    }
    b.daemon("web", argv("echoes")).build().unwrap()
}

#[test]
fn forwards_come_and_go_and_connections_that_are_known_go_on() {
    let mut world = behind_nat();
    let from = ForwardPort { protocol: protocol::TCP, port: 8080, last: 8080 };
    let router = || "router".to_owned();
    let to = "192.168.17.17:80".parse().unwrap();
    let add = |to| Command::AddForward { host: router(), from, to };
    let remove = Command::RemoveForward { host: router(), from };
    assert_eq!(world.command(remove.clone()).unwrap_err(), "it has no forward of tcp/8080");
    assert_eq!(exec(&mut world, 1, "friend", "asks 10.0.0.2:8080").0, 1);
    let elsewhere = add("10.0.0.7:80".parse().unwrap());
    let not_inside = "10.0.0.7 is not inside, in 192.168.17.0/24";
    assert_eq!(world.command(elsewhere).unwrap_err(), not_inside);
    world.command(add(to)).unwrap();
    let twice = world.command(add(to)).unwrap_err();
    assert_eq!(twice, "it forwards this port already: tcp/8080 -> 192.168.17.17:80");
    assert_eq!(exec(&mut world, 2, "friend", "asks 10.0.0.2:8080").0, 0);
    world.apply(netarium_world::Input::Exec {
        port: 3,
        host: "friend".to_owned(),
        argv: argv("asks 10.0.0.2:8080"),
        stdin: false,
        credit: 1 << 20,
    });
    let soon = world.now() + Duration::from_millis(300);
    world.run_until(soon);
    world.command(remove).unwrap();
    world.run_until(soon + Duration::from_secs(5));
    while world.poll_output().is_some() {}
    let ended = world.exited(world.host_id("friend").unwrap());
    assert_eq!(ended.last().unwrap().code, 0, "a known connection goes on: {ended:?}");
    assert_eq!(exec(&mut world, 4, "friend", "asks 10.0.0.2:8080").0, 1);
    let no_router = Command::RemoveForward { host: "web".to_owned(), from };
    let why = world.command(no_router).unwrap_err();
    assert_eq!(why, "it is no router that translates addresses");
}

#[test]
fn edits_are_replayed() {
    let mut first = behind_nat();
    let from = ForwardPort { protocol: protocol::TCP, port: 8080, last: 8080 };
    let to = "192.168.17.17:80".parse().unwrap();
    order(&mut first, 5, Command::AddForward { host: "router".to_owned(), from, to });
    let loss = LinkChange::Loss(probability(0.2));
    let lossy =
        Command::Link { link: "web.home".to_owned(), directions: Directions::Up, change: loss };
    order(&mut first, 7, lossy);
    let (code, _) = exec(&mut first, 1, "friend", "asks 10.0.0.2:8080");
    assert_eq!(code, 0);
    first.command(add("web", rule(Action::Reject, protocol::TCP, Some(80)))).unwrap();
    let nonsense = Command::RemoveRule { host: "web".to_owned(), rule: "x".to_owned() };
    first.command(nonsense).unwrap_err();
    exec(&mut first, 2, "friend", "asks 10.0.0.2:8080");
    first.flush_journal();
    let mut again = behind_nat();
    let (_, reader) = Reader::open(first.journal().bytes()).unwrap();
    let end = replay(&mut again, reader, Instant::FAR_FUTURE, |_| {});
    assert!(end.divergence.is_none() && end.error.is_none() && end.inputs > 5, "{end:?}");
    assert_eq!(again.fingerprint(), first.fingerprint());
    assert!(again.tracer().records().eq(first.tracer().records()));
}
