//! The same world twice: the same bytes. And what watching must not change.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "two worlds run in two threads at once, and tshark reads what they wrote"
)]

mod common;

use common::*;
use netarium_base::chance::probability;
use netarium_base::{Duration, EventId, Instant};
use netarium_world::capture::ByteSink;
use netarium_world::journal::Reader;
use netarium_world::process::{
    LocalBoxFuture, PingSocket, Process, Program, TcpListener, TcpStream, UdpSocket,
};
use netarium_world::{
    CaptureSpec, DirectionSpec, Ends, Input, JsonTrace, Output, PcapSink, RunEnd, Target, World,
    replay,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

async fn server(p: Process) -> i32 {
    let udp = UdpSocket::bind(&p, "0.0.0.0:7".parse().unwrap()).unwrap();
    p.spawn(async move {
        let mut buf = [0; 2_000];
        while let Ok((n, meta)) = udp.recv_from(&mut buf).await {
            let _ = udp.send_to(&buf[..n], meta.from).await;
        }
    });
    let listener = TcpListener::bind(&p, "0.0.0.0:80".parse().unwrap(), 16).unwrap();
    while let Ok((mut stream, _)) = listener.accept().await {
        p.spawn(async move {
            let block = vec![7u8; 300_000];
            let mut rest = &block[..];
            while !rest.is_empty() {
                let write =
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut stream).poll_write(cx, rest));
                let Ok(n) = write.await else { return };
                rest = &rest[n..];
            }
        });
    }
    0
}

async fn client(p: Process) -> i32 {
    let ping = PingSocket::new(&p).unwrap();
    ping.send_to("10.0.0.2".parse().unwrap(), 1, b"abcdefgh").await.unwrap();
    let reply = tokio_free_timeout(&p, ping.recv()).await;
    p.print(&format!("ping {:?}\n", reply.map(|r| r.map(|r| (r.seq, r.payload.len())).ok()))).await;
    let udp = UdpSocket::bind(&p, "0.0.0.0:0".parse().unwrap()).unwrap();
    udp.send_to(b"question", "10.0.0.2:7".parse().unwrap()).await.unwrap();
    let mut buf = [0; 100];
    let answer = tokio_free_timeout(&p, udp.recv(&mut buf)).await;
    p.print(&format!("udp {:?}\n", answer.map(Result::ok))).await;
    let Ok(mut stream) = TcpStream::connect(&p, "10.0.0.2:80".parse().unwrap()).await else {
        return 7;
    };
    let mut total = 0;
    let mut block = vec![0; 8_192];
    loop {
        let mut buf = ReadBuf::new(&mut block);
        let read =
            std::future::poll_fn(|cx| std::pin::Pin::new(&mut stream).poll_read(cx, &mut buf));
        match read.await {
            Ok(()) if buf.filled().is_empty() => break,
            Ok(()) => total += buf.filled().len(),
            Err(_) => return 56,
        }
    }
    p.print(&format!("tcp {total}\n")).await;
    0
}

/// Waits for a second at most.
async fn tokio_free_timeout<T>(p: &Process, f: impl Future<Output = T>) -> Option<T> {
    let mut sleep = std::pin::pin!(p.sleep(Duration::from_secs(1)));
    let mut f = std::pin::pin!(f);
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(value) = f.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(value));
        }
        sleep.as_mut().poll(cx).map(|()| None)
    })
    .await
}

fn lossy() -> DirectionSpec {
    DirectionSpec {
        delay: Duration::from_micros(500),
        rate: Some(100_000_000),
        queue: 50,
        loss: probability(0.02),
    }
}

fn world(wire: DirectionSpec) -> World {
    let programs = vec![("server", program!(server)), ("client", program!(client))];
    lan(wire, programs)
        .daemon("web", argv("server"))
        .run("pc", argv("client"), Instant::from_nanos(1_000))
        .run("pc", argv("client"), Instant::from_nanos(1_000))
        .build()
        .unwrap()
}

/// Runs a world; gives its trace, its capture and what the clients said.
fn record(wire: DirectionSpec) -> (Vec<u8>, Vec<u8>, String) {
    let (trace, pcap) = (Bytes::default(), Bytes::default());
    let mut world = world(wire);
    let names = world.name_table();
    world.tracer_mut().add_sink(Box::new(JsonTrace::new(trace.clone(), names)));
    let links = world.links().map(|l| l.id).collect();
    let spec = CaptureSpec { links, ends: Ends::Both, snaplen: 0 };
    let sink = PcapSink::new(pcap.clone()).comment("test");
    world.capture(&spec, Box::new(sink));
    assert_eq!(world.run_until_idle(secs(300)), RunEnd::Idle);
    world.end_captures();
    let pc = world.host_id("pc").unwrap();
    let said: Vec<_> = world.exited(pc).into_iter().flat_map(|p| p.log).collect();
    (trace.0.take(), pcap.0.take(), String::from_utf8(said).unwrap())
}

#[test]
fn two_hosts_talk() {
    let (trace, pcap, said) = record(DirectionSpec::default());
    let once = "ping Some(Some((1, 8)))\nudp Some(Some(8))\ntcp 300000\n";
    assert_eq!(said, [once, once].concat());
    assert!(trace.len() > 100_000 && pcap.len() > 1_200_000, "{} {}", trace.len(), pcap.len());
}

#[test]
fn the_same_world_gives_the_same_bytes_even_in_two_threads() {
    let here = record(lossy());
    assert!(here.2.ends_with("tcp 300000\n"), "{}", here.2);
    let threads = [0, 1].map(|_| std::thread::spawn(|| record(lossy())));
    for thread in threads {
        let there = thread.join().unwrap();
        assert!(there == here, "trace {}, pcap {}", there.0 == here.0, there.1 == here.1);
    }
}

/// Whoever looks changes nothing: not the number of events, not the last id, not the time.
#[test]
fn watching_changes_nothing() {
    let end = |watch: bool| {
        let mut world = world(lossy());
        if watch {
            let sink = |_: &[u8]| {};
            let names = world.name_table();
            world.tracer_mut().add_sink(Box::new(JsonTrace::new(sink, names)));
            let links = world.links().map(|l| l.id).collect();
            let spec = CaptureSpec { links, ends: Ends::Sender, snaplen: 96 };
            world.capture(&spec, Box::new(PcapSink::new(sink)));
        }
        assert_eq!(world.run_until_idle(secs(300)), RunEnd::Idle);
        (world.events(), world.tracer().emitted(), world.now())
    };
    assert_eq!(end(false), end(true));
}

/// Every event but the roots has a cause, and causes come before effects.
#[test]
fn causes_come_before_effects() {
    let programs = vec![("server", program!(server)), ("client", program!(client))];
    let builder = lan(lossy(), programs).trace_limit(1_000_000).daemon("web", argv("server"));
    let mut world = builder.run("pc", argv("client"), secs(1)).build().unwrap();
    assert_eq!(world.run_until_idle(secs(300)), RunEnd::Idle);
    let mut roots = Vec::new();
    for r in world.tracer().records() {
        assert!(r.cause < r.id && r.root <= r.id && r.origin <= r.id, "{r:?}");
        if r.cause == EventId::NONE {
            roots.push(r.event.name());
        } else {
            let cause = world.tracer().get(r.cause).unwrap();
            assert!(cause.at <= r.at && cause.root == r.root, "{cause:?} {r:?}");
        }
    }
    assert_eq!(roots, ["world.started"]);
}

fn outside(world: &mut World) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut take = |world: &mut World, ms| {
        world.run_until(world.now() + Duration::from_millis(ms));
        outputs.extend(std::iter::from_fn(|| world.poll_output()));
    };
    let to = Target::Name { host: "web".to_owned(), port: 80 };
    world.apply(Input::Open { port: 1, client: "a".to_owned(), from: None, source: None, to });
    world.apply(Input::Credit { port: 1, bytes: 10_000 });
    take(world, 20);
    // Between two events of one instant, too.
    world.step();
    let (host, stdin) = ("pc".to_owned(), false);
    world.apply(Input::Exec { port: 2, host, argv: argv("client"), stdin, credit: 1_000 });
    world.step();
    world.apply(Input::Credit { port: 1, bytes: 400_000 });
    world.apply(Input::FileWrite { path: "x".to_owned(), bytes: Some(b"y".to_vec()) });
    take(world, 5_000);
    world.apply(Input::Eof { port: 1 });
    take(world, 5_000);
    world.flush_journal();
    outputs
}

#[test]
fn a_journal_replays_to_the_same_outputs() {
    let mut first = world(lossy());
    let said = outside(&mut first);
    assert!(said.iter().any(|o| matches!(o, Output::Exit { port: 2, .. })));
    let journal = first.journal().bytes().to_vec();
    assert_eq!((first.journal().entries(), first.journal().left_out()), (6, 0));

    let mut again = world(lossy());
    let (header, reader) = Reader::open(&journal).unwrap();
    assert_eq!(header.seed, 1);
    let mut replayed = Vec::new();
    let end = replay(&mut again, reader.clone(), Instant::FAR_FUTURE, |o| replayed.push(o));
    assert!(end.divergence.is_none() && end.error.is_none(), "{end:?}");
    assert!(end.inputs == 6 && end.checks >= 3, "{end:?}");
    assert_eq!(replayed, said);
    assert_eq!(again.tracer().emitted(), first.tracer().emitted());
    assert_eq!(again.now(), first.now());

    // In another world the outputs differ, and the replay says from when on.
    let mut other = world(DirectionSpec::default());
    let end = replay(&mut other, reader, Instant::FAR_FUTURE, |_| {});
    let divergence = end.divergence.unwrap();
    assert!(divergence.agreed_until < divergence.at, "{divergence:?}");
}

/// A lab without connections and sessions says nothing; that it goes another way is found anyway.
#[test]
fn divergences_are_found_in_silence() {
    let silent = |wire| {
        let mut world = world(wire);
        for s in 1..5 {
            world.run_until(secs(s));
            world.flush_journal();
        }
        assert!(world.poll_output().is_none());
        world
    };
    let first = silent(lossy());
    let (_, reader) = Reader::open(first.journal().bytes()).unwrap();
    let end = replay(&mut world(lossy()), reader.clone(), Instant::FAR_FUTURE, |_| {});
    assert!(end.checks == 4 && end.divergence.is_none(), "{end:?}");
    // The same, but for one nanosecond on the wires.
    let slower = DirectionSpec { delay: lossy().delay + Duration::from_nanos(1), ..lossy() };
    let end = replay(&mut world(slower), reader, Instant::FAR_FUTURE, |_| {});
    assert_eq!(end.divergence.map(|d| d.at), Some(secs(1)));
}

/// A sink by closure.
#[test]
fn closures_are_byte_sinks() {
    let mut n = 0;
    let mut sink = |b: &[u8]| n += b.len();
    ByteSink::write(&mut sink, b"abc");
    assert_eq!(n, 3);
}

/// Wireshark finds nothing wrong with what a world records.
#[test]
fn wireshark_dissects_every_frame() {
    use std::process::Command;
    let tshark = |args: &[&str]| Command::new("tshark").args(args).output();
    if tshark(&["--version"]).is_err() {
        println!("skipped: there is no tshark here");
        return;
    }
    let (_, pcap, _) = record(lossy());
    let path = std::env::temp_dir().join(format!("netarium-world-{}.pcapng", std::process::id()));
    std::fs::write(&path, pcap).unwrap();
    let file = path.to_str().unwrap();
    let sums = ["ip", "tcp", "udp"].map(|p| format!("{p}.check_checksum:TRUE"));
    let bad = "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || \
               udp.checksum.status==0";
    let [ip, tcp, udp] = &sums;
    let found = tshark(&["-r", file, "-o", ip, "-o", tcp, "-o", udp, "-Y", bad]).unwrap();
    let all = tshark(&["-r", file, "-T", "fields", "-e", "frame.interface_name"]).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let interfaces = String::from_utf8(all.stdout).unwrap();
    for name in ["pc.net", "net.pc", "web.net", "net.web"] {
        assert!(interfaces.lines().any(|l| l == name), "no frame at {name}");
    }
}
