//! Datagrams from outside, real clients' addresses, and connections that the lab opens; and that a
//! journal replays all of them.

mod common;

use common::*;
use core::net::SocketAddr;
use netarium_base::{Duration, Instant};
use netarium_world::journal::Reader;
use netarium_world::message::{CONNECTION_CREDIT, DATAGRAM_CREDIT, DATAGRAM_MAX, datagram_cost};
use netarium_world::process::{
    LocalBoxFuture, Process, Program, TcpListener, TcpStream, UdpSocket,
};
use netarium_world::{
    CLIENTS_MAX, DirectionSpec, Input, LAB_PORTS, Output, Stream, Target, Transport, World, replay,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Tells each sender where its datagram came from, and gives it back.
async fn udp_echo(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:53".parse().unwrap()).unwrap();
    let mut buf = vec![0; DATAGRAM_MAX];
    while let Ok((n, meta)) = socket.recv_from(&mut buf).await {
        let mut answer = format!("{} ", meta.from).into_bytes();
        answer.extend_from_slice(&buf[..n]);
        answer.truncate(DATAGRAM_MAX);
        let _ = socket.send_to(&answer, meta.from).await;
    }
    1
}

/// Sends a line about whoever connects, and hangs up.
async fn whoami(p: Process) -> i32 {
    let listener = TcpListener::bind(&p, "0.0.0.0:80".parse().unwrap(), 16).unwrap();
    while let Ok((mut stream, peer)) = listener.accept().await {
        let _ = stream.write_all(peer.ip().to_string().as_bytes()).await;
        let _ = stream.shutdown().await;
    }
    1
}

/// What stands before a real server.
async fn relay(p: Process) -> i32 {
    let listener = TcpListener::bind(&p, "0.0.0.0:8000".parse().unwrap(), 16).unwrap();
    while let Ok((mut stream, peer)) = listener.accept().await {
        let to = "127.0.0.1:9000".parse().unwrap();
        let mut outside = p.outside(&peer.to_string(), to).unwrap();
        match outside.connected().await {
            Err(why) => {
                p.print(&why).await;
                stream.abort();
            }
            Ok(()) => {
                if tokio::io::copy_bidirectional(&mut stream, &mut outside).await.is_err() {
                    stream.abort();
                }
            }
        }
    }
    1
}

/// Sends what it was given as an argument, and prints what comes back or how it ended.
async fn ask(p: Process) -> i32 {
    let to: SocketAddr = p.args()[1].parse().unwrap();
    let mut stream = TcpStream::connect(&p, to).await.unwrap();
    stream.write_all(p.args()[2].as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    match stream.read_to_end(&mut all).await {
        Ok(n) => p.print(&format!("{n} bytes: {}", String::from_utf8_lossy(&all))).await,
        Err(e) => p.print(&e.to_string()).await,
    }
    0
}

fn build() -> World {
    let programs = vec![
        ("udp-echo", program!(udp_echo)),
        ("whoami", program!(whoami)),
        ("relay", program!(relay)),
        ("ask", program!(ask)),
    ];
    let wires = DirectionSpec::default();
    let mut b = lan(wires, programs);
    for program in ["udp-echo", "whoami", "relay"] {
        b = b.daemon("web", argv(program));
    }
    b.build().unwrap()
}

fn world() -> World {
    let mut world = build();
    world.run_until(Instant::from_nanos(1_000_000));
    world
}

fn open_udp(world: &mut World, port: u64, to: &str, source: Option<&str>) {
    world.apply(Input::OpenUdp {
        port,
        client: "127.0.0.1:50000".to_owned(),
        from: None,
        source: source.map(|ip| ip.parse().unwrap()),
        to: Target::Addr(to.parse().unwrap()),
    });
}

fn outputs(world: &mut World, for_ms: u64) -> Vec<Output> {
    world.run_until(world.now() + Duration::from_millis(for_ms));
    std::iter::from_fn(|| world.poll_output()).collect()
}

fn datagrams(outputs: &[Output]) -> Vec<String> {
    let all = outputs.iter().filter_map(|o| match o {
        Output::Datagram { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    all.collect()
}

#[test]
fn datagrams_go_there_and_back_each_client_from_its_own_port() {
    let mut world = world();
    for port in [1, 2] {
        open_udp(&mut world, port, "10.0.0.2:53", None);
        world.apply(Input::Credit { port, bytes: DATAGRAM_CREDIT });
        world.apply(Input::Datagram { port, bytes: format!("hello {port}").into_bytes() });
    }
    let out = outputs(&mut world, 10);
    assert_eq!(out[0], Output::Accepted { port: 1, credit: DATAGRAM_CREDIT });
    let answers = datagrams(&out);
    assert_eq!(answers.len(), 2);
    let ports: Vec<&str> = answers.iter().map(|a| a.split(' ').next().unwrap()).collect();
    assert!(ports[0] != ports[1] && ports.iter().all(|p| p.starts_with("10.0.0.1:")), "{ports:?}");
    let known = world.connections();
    assert!(known.len() == 2 && known.iter().all(|c| c.transport == Transport::Udp && c.accepted));
    world.apply(Input::Reset { port: 1 });
    assert_eq!(world.connections().len(), 1);
    // What was under way for it is ignored.
    world.apply(Input::Datagram { port: 1, bytes: vec![1] });
    assert_eq!(outputs(&mut world, 10), []);
}

#[test]
fn datagrams_of_all_sizes_pass_whole() {
    let mut world = world();
    open_udp(&mut world, 1, "10.0.0.2:53", None);
    world.apply(Input::Credit { port: 1, bytes: 10 * DATAGRAM_CREDIT });
    outputs(&mut world, 1);
    for len in [0, 1, 1471, 1472, 1473, 9_000, 65_000] {
        world.apply(Input::Datagram { port: 1, bytes: vec![b'x'; len] });
        let out = outputs(&mut world, 10);
        let answer = datagrams(&out);
        assert_eq!(answer.len(), 1, "{len}: {out:?}");
        let rest = answer[0].split_once(' ').unwrap().1;
        assert!(rest.len() == len && rest.bytes().all(|b| b == b'x'), "{len}");
    }
}

#[test]
fn a_closed_port_in_the_lab_is_told_and_the_flow_goes_on() {
    let mut world = world();
    open_udp(&mut world, 1, "10.0.0.2:99", None);
    world.apply(Input::Credit { port: 1, bytes: DATAGRAM_CREDIT });
    world.apply(Input::Datagram { port: 1, bytes: b"x".to_vec() });
    let out = outputs(&mut world, 10);
    let reason = "Connection refused".to_owned();
    assert_eq!(out[1..], [Output::Unreachable { port: 1, reason }]);
    world.apply(Input::Datagram { port: 1, bytes: b"x".to_vec() });
    assert_eq!(outputs(&mut world, 10).len(), 1);
}

#[test]
fn without_credit_datagrams_wait_and_what_is_no_datagram_ends_the_port() {
    let mut world = world();
    open_udp(&mut world, 1, "10.0.0.2:53", None);
    world.apply(Input::Datagram { port: 1, bytes: b"early".to_vec() });
    assert_eq!(datagrams(&outputs(&mut world, 10)).len(), 0);
    world.apply(Input::Credit { port: 1, bytes: 1 });
    assert_eq!(datagrams(&outputs(&mut world, 10)).len(), 1);
    // Credit comes back in large pieces; what it was is never exceeded.
    let cost = u64::from(datagram_cost(60_000));
    let (mut credit, mut sent) = (u64::from(DATAGRAM_CREDIT) - u64::from(datagram_cost(5)), 0);
    while sent < 50 {
        while credit >= cost {
            world.apply(Input::Datagram { port: 1, bytes: vec![0; 60_000] });
            (credit, sent) = (credit - cost, sent + 1);
        }
        for output in outputs(&mut world, 10) {
            match output {
                Output::Credit { bytes, .. } => credit += u64::from(bytes),
                Output::Datagram { .. } | Output::Unreachable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    world.apply(Input::Datagram { port: 1, bytes: vec![0; DATAGRAM_MAX + 1] });
    let out = outputs(&mut world, 1);
    assert!(out.iter().any(|o| matches!(o, Output::Reset { port: 1, .. })), "{out:?}");
    assert!(world.connections().is_empty());
}

#[test]
fn each_real_client_has_an_address_of_its_own() {
    let mut world = world();
    for (address, label) in [("10.0.0.1", "curl"), ("10.0.0.254", "firefox")] {
        let address = address.parse().unwrap();
        world.apply(Input::Client { address, label: label.to_owned() });
    }
    for (port, source) in [(1, "10.0.0.1"), (2, "10.0.0.254")] {
        let source = Some(source.parse().unwrap());
        let to = Target::Addr("10.0.0.2:80".parse().unwrap());
        world.apply(Input::Open { port, client: String::new(), from: None, source, to });
        world.apply(Input::Credit { port, bytes: 1000 });
    }
    let out = outputs(&mut world, 10);
    for (wanted, text) in [(1, "10.0.0.1"), (2, "10.0.0.254")] {
        let said = out.iter().find_map(|o| match o {
            Output::Data { port, bytes, .. } if *port == wanted => Some(bytes.clone()),
            _ => None,
        });
        assert_eq!(said.unwrap(), text.as_bytes());
    }
    let labels: Vec<String> = world.clients().iter().map(|(a, l)| format!("{a} {l}")).collect();
    assert_eq!(labels, ["10.0.0.1 curl", "10.0.0.254 firefox"]);
    // The network's route is there once.
    let gateway = world.host_id("pc").unwrap();
    let routes = world.stack(gateway).unwrap().routes();
    assert_eq!(routes.iter().filter(|r| r.to == "10.0.0.0/24".parse().unwrap()).count(), 1);
    // Datagrams come from there, too.
    open_udp(&mut world, 3, "10.0.0.2:53", Some("10.0.0.254"));
    world.apply(Input::Credit { port: 3, bytes: DATAGRAM_CREDIT });
    world.apply(Input::Datagram { port: 3, bytes: b"x".to_vec() });
    let said = datagrams(&outputs(&mut world, 10));
    assert!(said[0].starts_with("10.0.0.254:"), "{said:?}");
}

#[test]
fn addresses_that_cannot_be_a_clients_are_refused() {
    let mut world = world();
    for address in ["10.0.0.2", "192.168.9.9"] {
        let (address, label) = (address.parse().unwrap(), "x".to_owned());
        world.apply(Input::Client { address, label });
    }
    assert!(world.clients().is_empty());
    for n in 0..CLIENTS_MAX + 10 {
        let address = format!("10.0.0.{}", n % 250 + 3).parse().unwrap();
        world.apply(Input::Client { address, label: n.to_string() });
    }
    let clients = world.clients();
    assert!(clients.len() <= CLIENTS_MAX);
    assert_eq!(&*clients[0].1, "250", "the label is the latest");
}

fn start_ask(world: &mut World, port: u64, text: &str) {
    world.apply(Input::Exec {
        port,
        host: "pc".to_owned(),
        argv: argv(&format!("ask 10.0.0.2:8000 {text}")),
        stdin: false,
        credit: 100_000,
    });
}

fn printed(outputs: &[Output]) -> String {
    let all = outputs.iter().filter_map(|o| match o {
        Output::Data { bytes, stream: Stream::Stdout, .. } => Some(bytes.as_slice()),
        _ => None,
    });
    String::from_utf8_lossy(&all.collect::<Vec<_>>().concat()).into_owned()
}

/// Plays the real server: answers the question of the lab's port, and gives back what it gets.
fn serve(world: &mut World) -> Vec<Output> {
    let mut seen = Vec::new();
    for _ in 0..5 {
        for output in outputs(world, 5) {
            match &output {
                Output::Open { port, host, client, to } => {
                    assert_eq!((host.as_str(), to.to_string()), ("web", "127.0.0.1:9000".into()));
                    assert!(*port >= LAB_PORTS && client.starts_with("10.0.0.1:"), "{client}");
                    world.apply(Input::Accepted { port: *port, credit: 1_000_000 });
                }
                Output::Data { port, bytes, stream: Stream::Net } => {
                    let (port, bytes) = (*port, bytes.clone());
                    world.apply(Input::Data { port, bytes });
                }
                Output::Eof { port } => world.apply(Input::Eof { port: *port }),
                _ => {}
            }
            seen.push(output);
        }
    }
    seen
}

#[test]
fn a_lab_program_speaks_to_a_real_server() {
    let mut world = world();
    start_ask(&mut world, 1, "hello");
    let seen = serve(&mut world);
    assert_eq!(printed(&seen), "5 bytes: hello");
    assert!(seen.contains(&Output::Credit { port: LAB_PORTS, bytes: CONNECTION_CREDIT }));
    assert!(!seen.iter().any(|o| matches!(o, Output::Reset { .. })), "{seen:?}");
}

#[test]
fn refused_and_broken_real_servers_reset_the_labs_client() {
    for refuse in [true, false] {
        let mut world = world();
        start_ask(&mut world, 1, "hello");
        let out = outputs(&mut world, 5);
        let open = out.iter().find(|o| matches!(o, Output::Open { .. })).expect("it asks");
        let port = open.port().unwrap();
        if refuse {
            world.apply(Input::Refused { port, reason: "Connection refused".to_owned() });
        } else {
            world.apply(Input::Accepted { port, credit: 10 });
            world.apply(Input::Reset { port });
        }
        let out = outputs(&mut world, 50);
        assert!(printed(&out).contains("reset"), "{out:?}");
    }
}

#[test]
fn the_outside_of_a_lab_client_that_resets_is_reset() {
    let mut world = world();
    start_ask(&mut world, 1, "hello");
    let out = outputs(&mut world, 5);
    let port = out.iter().find(|o| matches!(o, Output::Open { .. })).unwrap().port().unwrap();
    world.apply(Input::Accepted { port, credit: 0 });
    outputs(&mut world, 5);
    // The program's end closes its socket with what it did not read; the relay is killed with it.
    let web = world.host_id("web").unwrap();
    let relay = world.processes(web).into_iter().find(|p| p.name == "relay").unwrap();
    let kill =
        netarium_world::Command::Kill { host: "web".to_owned(), pid: relay.pid.0, signal: 9 };
    world.command(kill).unwrap();
    let out = outputs(&mut world, 5);
    assert!(
        out.iter().any(|o| matches!(o, Output::Reset { port: p, .. } if *p == port)),
        "{out:?}"
    );
}

#[test]
fn a_journal_replays_datagrams_clients_and_real_servers_without_them() {
    let mut world = world();
    let address = "10.0.0.254".parse().unwrap();
    world.apply(Input::Client { address, label: "dig".to_owned() });
    open_udp(&mut world, 7, "10.0.0.2:53", Some("10.0.0.254"));
    world.apply(Input::Credit { port: 7, bytes: DATAGRAM_CREDIT });
    world.apply(Input::Datagram { port: 7, bytes: vec![9; 3_000] });
    start_ask(&mut world, 8, "again");
    let mut said = serve(&mut world);
    start_ask(&mut world, 9, "no");
    let more = outputs(&mut world, 5);
    let port = more.iter().find(|o| matches!(o, Output::Open { .. })).unwrap().port().unwrap();
    said.extend(more);
    world.apply(Input::Refused { port, reason: "no".to_owned() });
    said.extend(outputs(&mut world, 20));
    world.finish_journal();
    let bytes = world.journal().bytes().to_vec();

    let mut again = build();
    let (_, reader) = Reader::open(&bytes).unwrap();
    let mut replayed = Vec::new();
    let end = replay(&mut again, reader, Instant::FAR_FUTURE, |o| replayed.push(o));
    assert!(end.divergence.is_none() && end.error.is_none() && end.checks > 0, "{end:?}");
    assert!(replayed == said);
    assert_eq!(again.clients(), world.clients());
    assert_eq!(again.fingerprint(), world.fingerprint());
}
