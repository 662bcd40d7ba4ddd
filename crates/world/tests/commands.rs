//! What an operator changes in a running world.

mod common;

use common::*;
use netarium_base::trace::Event;
use netarium_base::{DropReason, Duration, EventId, Pid};
use netarium_world::journal::Reader;
use netarium_world::process::{LocalBoxFuture, Process, Program, UdpSocket};
use netarium_world::{Command, DirectionSpec, Input, World, replay};

/// Sends a datagram every second and keeps what it got.
async fn beats(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:9".parse().unwrap()).unwrap();
    p.spawn(async move {
        loop {
            p.sleep(Duration::from_secs(1)).await;
            let _ = socket.send_to(b"beat", "10.0.0.2:9".parse().unwrap()).await;
        }
    });
    p.print("beating").await;
    p.terminated().await.into()
}

async fn hears(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:9".parse().unwrap()).unwrap();
    let mut buf = [0; 100];
    while socket.recv(&mut buf).await.is_ok() {
        p.print(&format!("{} ", p.now().as_nanos() / 1_000_000)).await;
    }
    1
}

fn world() -> World {
    let programs = vec![("beats", program!(beats)), ("hears", program!(hears))];
    let wire = DirectionSpec { delay: Duration::from_millis(100), ..DirectionSpec::default() };
    let world = lan(wire, programs).trace_limit(10_000).daemon("web", argv("hears"));
    world.build().unwrap()
}

fn start(line: &str) -> Command {
    Command::Start { host: "pc".to_owned(), argv: argv(line) }
}

fn kill(pid: u32, signal: u8) -> Command {
    Command::Kill { host: "pc".to_owned(), pid, signal }
}

fn link(up: bool) -> Command {
    Command::LinkUp { link: "pc.net".to_owned(), up }
}

fn order(world: &mut World, ms: u64, command: Command) {
    world.run_until(netarium_base::Instant::from_nanos(ms * 1_000_000));
    world.apply(Input::Command(command));
}

fn notes(world: &World) -> Vec<String> {
    let note = |e: &Event| match e {
        Event::Note { text } => Some(text.to_string()),
        _ => None,
    };
    world.tracer().records().filter_map(|r| note(&r.event)).collect()
}

#[test]
fn programs_start_and_end_by_command() {
    let mut world = world();
    order(&mut world, 1_000, start("beats"));
    let pc = world.host_id("pc").unwrap();
    let started = world.processes(pc).into_iter().find(|p| p.pid == Pid(100)).unwrap();
    assert!(started.daemon && started.command == "beats");
    assert_eq!(world.process_log(pc, Pid(100)).unwrap(), b"beating");
    assert!(world.is_idle(), "a daemon keeps nobody waiting");
    order(&mut world, 2_500, kill(100, 15));
    assert_eq!(world.exited(pc)[0].code, 15);
    // Both are roots, and what they did hangs on them.
    let records: Vec<_> = world.tracer().records().collect();
    let text = |e: &Event| match e {
        Event::Command { text } => Some(text.to_string()),
        _ => None,
    };
    let commands: Vec<_> = records.iter().filter_map(|r| Some((text(&r.event)?, r))).collect();
    let texts: Vec<_> = commands.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["start pc beats", "kill -15 pc 100"]);
    for ((_, root), wanted) in commands.iter().zip(["process.started", "process.exited"]) {
        assert_eq!(root.cause, EventId::NONE);
        let follows = records.iter().find(|r| r.event.name() == wanted && r.root == root.id);
        assert!(follows.is_some(), "{wanted}");
    }
}

#[test]
fn a_link_that_is_down_drops_but_what_is_under_way_arrives() {
    let mut world = world();
    order(&mut world, 0, start("beats"));
    // The beat of second 2 has left when the link goes down, those of 3 and 4 find it down.
    order(&mut world, 2_050, link(false));
    assert!(!world.links().find(|l| l.name == "pc.net").unwrap().up);
    order(&mut world, 4_500, link(true));
    world.run_until(secs(7));
    let web = world.host_id("web").unwrap();
    let heard = world.process_log(web, Pid(100)).unwrap();
    // The first waits for the address to be resolved: three more ways of 100 ms over two wires.
    assert_eq!(String::from_utf8(heard).unwrap(), "1600 2200 5200 6200 ");
    let pc_net = world.link_id("pc.net").unwrap();
    let [up, _] = world.link_stats(pc_net).unwrap();
    assert_eq!(up.dropped_down, 2);
    let drops: u64 = world.drops().filter(|d| d.1 == DropReason::LinkDown).map(|d| d.2).sum();
    assert_eq!(drops, 2);
}

#[test]
fn what_cannot_be_done_is_noted() {
    let mut world = world();
    let elsewhere = Command::Start { host: "nowhere".to_owned(), argv: argv("beats") };
    let no_link = Command::LinkUp { link: "x".to_owned(), up: false };
    for command in [start("nonsense"), elsewhere, kill(7, 9), kill(100, 77), no_link] {
        order(&mut world, 1, command);
    }
    let refused = world.command(kill(7, 9)).unwrap_err();
    assert_eq!(refused, "No such process");
    let wanted = [
        "`start pc nonsense` was not done: nonsense: command not found",
        "`start nowhere beats` was not done: no host is called `nowhere`",
        "`kill -9 pc 7` was not done: No such process",
        "`kill -77 pc 100` was not done: signal 77 does nothing",
        "`link x down` was not done: no link is called `x`",
        "`kill -9 pc 7` was not done: No such process",
    ];
    assert_eq!(notes(&world), wanted);
}

#[test]
fn commands_are_replayed() {
    let mut first = world();
    order(&mut first, 500, start("beats"));
    order(&mut first, 2_050, link(false));
    order(&mut first, 3_000, kill(100, 9));
    first.flush_journal();
    let mut again = world();
    let (_, reader) = Reader::open(first.journal().bytes()).unwrap();
    let end = replay(&mut again, reader, netarium_base::Instant::FAR_FUTURE, |_| {});
    assert!(end.inputs == 3 && end.divergence.is_none() && end.error.is_none(), "{end:?}");
    assert_eq!(again.tracer().emitted(), first.tracer().emitted());
    assert!(again.tracer().records().eq(first.tracer().records()));
}
