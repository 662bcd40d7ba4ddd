//! Programs: timers, causes, panics, signals, sessions, files.

mod common;

use common::*;
use netarium_base::trace::Event;
use netarium_base::{Duration, Instant, Pid};
use netarium_world::process::{LocalBoxFuture, Process, Program, UdpSocket, errno};
use netarium_world::{Command, DirectionSpec, Input, Output, RunEnd, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn wire() -> DirectionSpec {
    DirectionSpec::default()
}

/// Reads once.
async fn read(r: &mut (impl AsyncRead + Unpin), buf: &mut [u8]) -> std::io::Result<usize> {
    let mut buf = ReadBuf::new(buf);
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *r).poll_read(cx, &mut buf)).await?;
    Ok(buf.filled().len())
}

async fn naps(p: Process) -> i32 {
    for ms in [30, 10, 20] {
        p.spawn(async move {
            p.sleep(Duration::from_millis(ms)).await;
            p.print(&format!("{ms}@{} ", p.now().as_millis())).await;
        });
    }
    p.sleep(Duration::from_millis(40)).await;
    7
}

#[test]
fn timers_fire_in_order_and_the_exit_code_arrives() {
    let mut world = lan(wire(), vec![("naps", program!(naps))]).build().unwrap();
    assert_eq!(exec(&mut world, 1, "pc", "naps"), (7, "10@10 20@20 30@30 ".to_owned()));
    assert_eq!(world.now().as_millis(), 40);
    assert_eq!(world.processes(world.host_id("pc").unwrap()).len(), 1, "the gateway's entry");
    assert_eq!(exec(&mut world, 2, "pc", "nonsense").0, 127);
}

async fn panics(p: Process) -> i32 {
    p.sleep(Duration::from_millis(1)).await;
    panic!("on purpose");
}

async fn spins(p: Process) -> i32 {
    let _ = p;
    loop {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

#[test]
fn bad_programs_end_and_the_world_lives_on() {
    let programs =
        vec![("naps", program!(naps)), ("panics", program!(panics)), ("spins", program!(spins))];
    let mut world = lan(wire(), programs).trace_limit(1_000).build().unwrap();
    let (code, text) = exec(&mut world, 1, "pc", "panics");
    assert_eq!(code, 134);
    assert_eq!(text, "panics (pid 100) panicked: on purpose");
    let (code, text) = exec(&mut world, 2, "pc", "spins");
    assert_eq!(code, 137);
    assert!(text.contains("was polled 1000000 times while no time passed"), "{text}");
    assert_eq!(exec(&mut world, 3, "pc", "naps").0, 7);
    let notes = world.tracer().records().filter(|r| matches!(r.event, Event::Note { .. }));
    assert_eq!(notes.count(), 2);
}

async fn waits(p: Process) -> i32 {
    if p.args().len() > 1 {
        p.print("ready").await;
        let signal = p.terminated().await;
        p.print(&format!(" got {signal}")).await;
        return 3;
    }
    std::future::pending().await
}

#[test]
fn signals_kill_unless_they_are_awaited() {
    let mut world = lan(wire(), vec![("waits", program!(waits))]).build().unwrap();
    for (port, line, signal, code) in
        [(1, "waits", 15, 143), (2, "waits x", 2, 3), (3, "waits x", 9, 137), (4, "waits", 1, 129)]
    {
        let host = "pc".to_owned();
        world.apply(Input::Exec { port, host, argv: argv(line), stdin: false, credit: 100 });
        world.apply(Input::Signal { port, signal });
        let exit = std::iter::from_fn(|| world.poll_output()).last();
        assert_eq!(exit, Some(Output::Exit { port, code, message: None }), "{line} {signal}");
    }
    assert!(world.is_idle());
}

async fn upper(p: Process) -> i32 {
    let mut stdin = p.stdin();
    let mut buf = [0; 10];
    loop {
        match read(&mut stdin, &mut buf).await {
            Ok(0) => return 0,
            Ok(n) => p.print(&String::from_utf8_lossy(&buf[..n]).to_uppercase()).await,
            Err(_) => return 1,
        }
    }
}

#[test]
fn sessions_are_bounded_by_credit_in_both_directions() {
    let mut world = lan(wire(), vec![("upper", program!(upper))]).build().unwrap();
    let host = "pc".to_owned();
    world.apply(Input::Exec { port: 1, host, argv: argv("upper"), stdin: true, credit: 4 });
    assert_eq!(world.poll_output(), Some(Output::Accepted { port: 1, credit: 65_536 }));
    world.apply(Input::Data { port: 1, bytes: b"hello world!".to_vec() });
    let data = |text: &str| Output::Data {
        port: 1,
        stream: Stream::Stdout,
        bytes: text.as_bytes().to_vec(),
    };
    assert_eq!(world.poll_output(), Some(Output::Credit { port: 1, bytes: 10 }));
    assert_eq!(world.poll_output(), Some(data("HELL")));
    assert_eq!(world.poll_output(), None);
    world.apply(Input::Credit { port: 1, bytes: 100 });
    assert_eq!(world.poll_output(), Some(data("O WORL")));
    assert_eq!(world.poll_output(), Some(Output::Credit { port: 1, bytes: 2 }));
    assert_eq!(world.poll_output(), Some(data("D!")));
    world.apply(Input::Eof { port: 1 });
    assert_eq!(world.poll_output(), Some(Output::Exit { port: 1, code: 0, message: None }));
    // Whoever sends more than there is credit for is cut off.
    let host = "pc".to_owned();
    world.apply(Input::Exec { port: 2, host, argv: argv("upper"), stdin: true, credit: 4 });
    world.apply(Input::Data { port: 2, bytes: vec![b'x'; 65_537] });
    let exit = std::iter::from_fn(|| world.poll_output()).last();
    assert!(
        matches!(exit, Some(Output::Exit { port: 2, code: 129, message: Some(_) })),
        "{exit:?}"
    );
}

async fn daemon(p: Process) -> i32 {
    for n in 0.. {
        p.sleep(Duration::from_secs(1)).await;
        p.print(&format!("tick {n}\n")).await;
    }
    0
}

#[test]
fn sleeps_of_daemons_do_not_keep_the_world_busy_but_those_of_the_foreground_do() {
    let programs = vec![("daemon", program!(daemon)), ("naps", program!(naps))];
    let builder = lan(wire(), programs).daemon("web", argv("daemon"));
    let mut world = builder.run("pc", argv("naps"), secs(2)).build().unwrap();
    assert_eq!(world.run_until_idle(secs(100)), RunEnd::Idle);
    assert_eq!(world.now(), secs(2) + Duration::from_millis(40));
    let web = world.host_id("web").unwrap();
    assert_eq!(world.process_log(web, Pid(100)).unwrap(), b"tick 0\ntick 1\n");
    let pc = world.exited(world.host_id("pc").unwrap());
    assert_eq!((pc[0].code, pc[0].log.as_slice()), (7, &b"10@2010 20@2020 30@2030 "[..]));
}

async fn fails(p: Process) -> i32 {
    p.print("why\n").await;
    3
}

#[test]
fn background_programs_that_fail_are_told_once() {
    let programs =
        vec![("daemon", program!(daemon)), ("fails", program!(fails)), ("naps", program!(naps))];
    let builder = lan(wire(), programs).daemon("web", argv("daemon")).daemon("web", argv("fails"));
    let mut world = builder.run("pc", argv("naps"), secs(1)).build().unwrap();
    world.run_until_idle(secs(3));
    let web = world.host_id("web").unwrap();
    let kill = Command::Kill { host: "web".to_owned(), pid: 100, signal: 15 };
    world.command(kill).unwrap();
    // Not the one that somebody ended, and not the one in the foreground.
    let failed = world.take_failed();
    let [(host, failed)] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!((*host, failed.code, failed.log.as_slice()), (web, 3, &b"why\n"[..]));
    assert_eq!(failed.argv, ["fails"]);
    assert_eq!(world.take_failed(), []);
}

async fn writes(p: Process) -> i32 {
    p.append_file("/var/lines", b"one ").unwrap();
    p.sleep(Duration::from_secs(1)).await;
    p.append_file("var/lines", b"two").unwrap();
    let text = p.read_file("var/./lines").unwrap();
    let edited = p.read_file("lab.txt").map_or_else(|e| e.to_string(), |b| format!("{b:?}"));
    let modified = p.metadata("var/lines").unwrap().modified;
    p.print(&format!("{} {modified} {edited}", String::from_utf8_lossy(&text))).await;
    0
}

#[test]
fn files_are_the_hosts_own_and_edits_of_the_lab_appear() {
    let mut world = lan(wire(), vec![("writes", program!(writes))]).build().unwrap();
    let (_, text) = exec(&mut world, 1, "pc", "writes");
    assert_eq!(text, "one two 1.000000000 No such file or directory");
    world.apply(Input::FileWrite { path: "lab.txt".to_owned(), bytes: Some(b"new".to_vec()) });
    let (_, text) = exec(&mut world, 2, "web", "writes");
    assert_eq!(text, "one two 2.000000000 b\"new\"");
    world.apply(Input::FileWrite { path: "../x".to_owned(), bytes: None });
}

async fn causes(p: Process) -> i32 {
    p.sleep(Duration::from_millis(1)).await;
    let note = |text: &str| Event::Note { text: text.into() };
    p.emit(netarium_base::FlowId::NONE, || note("a"));
    p.emit(netarium_base::FlowId::NONE, || note("b"));
    0
}

#[test]
fn what_a_program_does_is_caused_by_its_wake() {
    let programs = vec![("causes", program!(causes))];
    let mut world = lan(wire(), programs).trace_limit(1_000).build().unwrap();
    exec(&mut world, 1, "pc", "causes");
    let records: Vec<_> = world.tracer().records().skip(1).collect();
    let names: Vec<_> = records.iter().map(|r| r.event.name()).collect();
    let wanted = ["input", "process.started", "process.woken", "note", "note", "process.exited"];
    assert_eq!(names, wanted);
    for pair in records.windows(2) {
        assert_eq!(pair[1].cause, pair[0].id, "{:?}", pair[1]);
        assert_eq!(pair[1].root, records[0].id);
    }
}

async fn silent(p: Process) -> i32 {
    p.emit(netarium_base::FlowId::NONE, || panic!("nobody looks"));
    0
}

#[test]
fn events_cost_nothing_when_nobody_looks() {
    let programs = || vec![("silent", program!(silent))];
    let mut world = lan(wire(), programs()).build().unwrap();
    assert_eq!(exec(&mut world, 1, "pc", "silent").0, 0);
    let mut watched = lan(wire(), programs()).trace_limit(100).build().unwrap();
    assert_eq!(exec(&mut watched, 1, "pc", "silent").0, 134);
}

async fn refused(p: Process) -> i32 {
    let web = p.resolve("WEB").await.unwrap()[0];
    let to = (web, 81).into();
    let e = netarium_world::process::TcpStream::connect(&p, to).await.unwrap_err();
    p.print(&format!("{e} {:?}", errno(&e))).await;
    assert!(p.resolve("nobody").await.is_err());
    0
}

#[test]
fn errors_of_sockets_carry_their_errno() {
    let mut world = lan(wire(), vec![("refused", program!(refused))]).build().unwrap();
    let (code, text) = exec(&mut world, 1, "pc", "refused");
    assert_eq!((code, text.as_str()), (0, "Connection refused Some(ECONNREFUSED)"));
    assert!(world.now() > Instant::ZERO);
}

/// `AsyncWrite` is object-safe for the programs' sake.
#[test]
fn streams_are_tokio_streams() {
    fn check<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>() {}
    check::<netarium_world::process::TcpStream>();
}

/// Answers each datagram ten seconds later.
async fn late(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:7".parse().unwrap()).unwrap();
    let mut buf = [0; 100];
    while let Ok((n, meta)) = socket.recv_from(&mut buf).await {
        p.sleep(Duration::from_secs(10)).await;
        let _ = socket.send_to(&buf[..n], meta.from).await;
    }
    1
}

async fn asks(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:0".parse().unwrap()).unwrap();
    socket.send_to(b"question", "10.0.0.2:7".parse().unwrap()).await.unwrap();
    let mut buf = [0; 100];
    i32::try_from(socket.recv(&mut buf).await.unwrap()).unwrap()
}

#[test]
fn a_daemon_that_sleeps_before_it_answers_keeps_the_world_busy() {
    let programs = vec![("late", program!(late)), ("asks", program!(asks))];
    let builder = lan(wire(), programs).daemon("web", argv("late"));
    let mut world = builder.run("pc", argv("asks"), secs(1)).build().unwrap();
    world.run_until(secs(5));
    assert!(!world.is_idle(), "`asks` waits for an answer");
    assert_eq!(world.run_until_idle(secs(100)), RunEnd::Idle);
    let pc = world.exited(world.host_id("pc").unwrap());
    assert_eq!(pc.iter().map(|p| p.code).collect::<Vec<_>>(), [8]);
    assert_eq!(world.now().as_nanos() / 1_000_000_000, 11);
}

/// Two programs that wake each other for ever by signals, in many pairs: no single one is polled
/// too often before the world says that it is stuck.
async fn pingpong(p: Process) -> i32 {
    let partner = Pid(p.pid().0 ^ 1);
    // From now on signals do not kill.
    let mut listens = Box::pin(p.terminated());
    std::future::poll_fn(|cx| {
        assert!(listens.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    p.sleep(Duration::from_secs(1)).await;
    let mut signal = 0;
    loop {
        let mut terminated = std::pin::pin!(p.terminated());
        std::future::poll_fn(|cx| {
            let polled = terminated.as_mut().poll(cx);
            p.kill(partner, 15);
            polled.map(|s| signal = s)
        })
        .await;
        assert_eq!(signal, 15);
    }
}

#[test]
fn programs_that_wake_each_other_for_ever_are_named() {
    let mut builder = lan(wire(), vec![("pingpong", program!(pingpong))]);
    for n in 0..40 {
        builder = builder.run("web", argv(&format!("pingpong {n}")), Instant::ZERO);
    }
    let mut world = builder.build().unwrap();
    let RunEnd::Stuck(why) = world.run_until_idle(secs(2)) else { panic!("it ended") };
    assert_eq!(world.stuck(), Some(why.as_str()));
    let many = "programs were polled more than 10000000 times while no time passed";
    assert!(why.starts_with(many) && why.contains("`pingpong "), "{why}");
    // A stuck world stays so, and can still be looked at and dropped.
    assert_eq!(world.now(), secs(1));
    assert_eq!(world.processes(world.host_id("web").unwrap()).len(), 40);
    world.apply(Input::Eof { port: 1 });
    assert!(!world.step());
}
