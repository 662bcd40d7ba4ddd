//! Outside connections: credit, half-close, reset, errors.

mod common;

use common::*;
use netarium_base::{Duration, Instant, Seed};
use netarium_stack::SocketOption;
use netarium_world::message::CONNECTION_CREDIT;
use netarium_world::process::{
    LocalBoxFuture, Process, Program, Programs, ResolveError, Resolver, TcpListener, TcpStream,
};
use netarium_world::{
    Command, DirectionSpec, FileTree, HostSpec, Input, LAB_PORTS, LinkSpec, Output, PORTS_MAX,
    Stream, SwitchSpec, Target, World, WorldBuilder,
};
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

async fn read(r: &mut (impl AsyncRead + Unpin), buf: &mut [u8]) -> std::io::Result<usize> {
    let mut buf = ReadBuf::new(buf);
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *r).poll_read(cx, &mut buf)).await?;
    Ok(buf.filled().len())
}

async fn write(w: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let n =
            std::future::poll_fn(|cx| std::pin::Pin::new(&mut *w).poll_write(cx, bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}

async fn shutdown(w: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *w).poll_shutdown(cx)).await
}

fn listen(p: &Process) -> TcpListener {
    TcpListener::bind(p, "0.0.0.0:80".parse().unwrap(), 16).unwrap()
}

/// Sends back everything behind the end of what it gets.
async fn echo(p: Process) -> i32 {
    let listener = listen(&p);
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return 1 };
        p.spawn(async move {
            let (mut all, mut buf) = (Vec::new(), vec![0; 10_000]);
            loop {
                match read(&mut stream, &mut buf).await {
                    Ok(0) => break,
                    Ok(n) => all.extend_from_slice(&buf[..n]),
                    Err(_) => return,
                }
            }
            let _ = write(&mut stream, &all).await;
            let _ = shutdown(&mut stream).await;
        });
    }
}

/// Sends without end to whoever connects.
async fn fountain(p: Process) -> i32 {
    let listener = listen(&p);
    let Ok((mut stream, _)) = listener.accept().await else { return 1 };
    let block = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    loop {
        match write(&mut stream, &block).await {
            Ok(()) => sent += block.len(),
            Err(e) => {
                p.print(&format!("{sent} {e}")).await;
                return 0;
            }
        }
    }
}

/// Accepts and never reads.
async fn sink(p: Process) -> i32 {
    let listener = listen(&p);
    let Ok((stream, _)) = listener.accept().await else { return 1 };
    stream.set_option(SocketOption::RecvBuffer(65_536)).unwrap();
    std::future::pending::<()>().await;
    drop(stream);
    0
}

/// Resets whoever connects.
async fn rude(p: Process) -> i32 {
    let listener = listen(&p);
    loop {
        let Ok((stream, _)) = listener.accept().await else { return 1 };
        TcpStream::abort(stream);
    }
}

fn world(program: &str) -> World {
    let programs = vec![
        ("echo", program!(echo)),
        ("fountain", program!(fountain)),
        ("sink", program!(sink)),
        ("rude", program!(rude)),
    ];
    let mut world =
        lan(DirectionSpec::default(), programs).daemon("web", argv(program)).build().unwrap();
    world.run_until(Instant::from_nanos(1_000_000));
    world
}

fn open(world: &mut World, port: u64, to: &str) {
    let client = "127.0.0.1:50000".to_owned();
    let to = Target::Addr(to.parse().unwrap());
    world.apply(Input::Open { port, client, from: None, source: None, to });
}

fn outputs(world: &mut World, for_ms: u64) -> Vec<Output> {
    world.run_until(world.now() + Duration::from_millis(for_ms));
    std::iter::from_fn(|| world.poll_output()).collect()
}

fn bytes_of(outputs: &[Output]) -> Vec<u8> {
    let data = outputs.iter().filter_map(|o| match o {
        Output::Data { bytes, stream: Stream::Net, .. } => Some(bytes.as_slice()),
        _ => None,
    });
    data.collect::<Vec<_>>().concat()
}

#[test]
fn bytes_go_both_ways_and_half_close_passes() {
    let mut world = world("echo");
    open(&mut world, 1, "10.0.0.2:80");
    assert_eq!(outputs(&mut world, 10), [Output::Accepted { port: 1, credit: CONNECTION_CREDIT }]);
    assert_eq!(world.connections()[0].client, "127.0.0.1:50000");
    let message: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    world.apply(Input::Credit { port: 1, bytes: 1_000_000 });
    world.apply(Input::Data { port: 1, bytes: message.clone() });
    let back = outputs(&mut world, 1_000);
    let credit: u32 =
        back.iter().map(|o| if let Output::Credit { bytes, .. } = o { *bytes } else { 0 }).sum();
    // Credit comes back in pieces of a quarter; what is not granted yet is less than one.
    assert!(credit <= 200_000 && credit > 200_000 - CONNECTION_CREDIT / 4, "{credit}");
    assert!(!back.iter().any(|o| matches!(o, Output::Data { .. })));
    world.apply(Input::Eof { port: 1 });
    let back = outputs(&mut world, 1_000);
    assert!(bytes_of(&back) == message);
    assert_eq!(back.last(), Some(&Output::Eof { port: 1 }));
    assert!(world.connections().is_empty());
}

#[test]
fn without_credit_the_back_pressure_reaches_the_program() {
    let mut world = world("fountain");
    open(&mut world, 1, "10.0.0.2:80");
    world.apply(Input::Credit { port: 1, bytes: 100_000 });
    let first = outputs(&mut world, 10_000);
    assert_eq!(bytes_of(&first).len(), 100_000);
    assert!(outputs(&mut world, 10_000).is_empty());
    // The program is blocked: what it has sent is bounded by the buffers between.
    world.apply(Input::Credit { port: 1, bytes: 50_000 });
    assert_eq!(bytes_of(&outputs(&mut world, 10_000)).len(), 50_000);
    world.apply(Input::Reset { port: 1 });
    outputs(&mut world, 100);
    let web = world.host_id("web").unwrap();
    let log = String::from_utf8(world.exited(web)[0].log.clone()).unwrap();
    let (sent, error) = log.split_once(' ').unwrap();
    assert!(sent.parse::<usize>().unwrap() < 20_000_000, "{sent}");
    assert_eq!(error, "Connection reset by peer");
    let pc = world.host_id("pc").unwrap();
    assert!(world.stack(pc).unwrap().sockets().is_empty());
}

#[test]
fn credit_is_given_back_only_for_what_the_socket_took() {
    let mut world = world("sink");
    open(&mut world, 1, "10.0.0.2:80");
    let mut credit = u64::from(CONNECTION_CREDIT);
    outputs(&mut world, 10);
    let mut sent = 0u64;
    for _ in 0..1_000 {
        let n = credit.min(50_000);
        if n > 0 {
            world.apply(Input::Data { port: 1, bytes: vec![0; n as usize] });
            (credit, sent) = (credit - n, sent + n);
        }
        for o in outputs(&mut world, 100) {
            match o {
                Output::Credit { bytes, .. } => credit += u64::from(bytes),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(credit, 0, "the credit dries up when nobody reads");
    assert!(sent < 40_000_000, "{sent}");
    world.apply(Input::Data { port: 1, bytes: vec![0] });
    let end = outputs(&mut world, 10);
    assert!(matches!(&end[..], [Output::Reset { port: 1, reason }] if reason.contains("credit")));
}

#[test]
fn failures_become_resets_with_a_reason() {
    let mut world = world("rude");
    open(&mut world, 1, "10.0.0.2:81");
    let refused = Output::Reset { port: 1, reason: "Connection refused".to_owned() };
    assert_eq!(outputs(&mut world, 1_000), [refused]);
    open(&mut world, 2, "10.0.0.99:80");
    let unreachable = Output::Reset { port: 2, reason: "No route to host".to_owned() };
    assert_eq!(outputs(&mut world, 60_000), [unreachable]);
    open(&mut world, 3, "11.0.0.1:80");
    let no_route = Output::Reset { port: 3, reason: "Network is unreachable".to_owned() };
    assert_eq!(outputs(&mut world, 0), [no_route]);
    open(&mut world, 4, "10.0.0.2:80");
    world.apply(Input::Credit { port: 4, bytes: 1_000 });
    let reset = outputs(&mut world, 1_000);
    let reason = "Connection reset by peer".to_owned();
    assert_eq!(reset.last(), Some(&Output::Reset { port: 4, reason }));
    let (client, from) = (String::new(), Some("nobody".to_owned()));
    let to = Target::Addr("10.0.0.2:80".parse().unwrap());
    world.apply(Input::Open { port: 5, client, from, source: None, to });
    let reason = "no host is called `nobody`".to_owned();
    assert_eq!(outputs(&mut world, 0), [Output::Reset { port: 5, reason }]);
    assert!(world.connections().is_empty());
}

#[test]
fn the_number_of_ports_is_bounded() {
    let mut world = world("echo");
    for port in 0..PORTS_MAX as u64 {
        open(&mut world, port, "10.0.0.2:80");
    }
    open(&mut world, 99_999, "10.0.0.2:80");
    let all = outputs(&mut world, 0);
    assert!(
        matches!(&all[..], [Output::Reset { port: 99_999, reason }] if reason.contains("4096"))
    );
}

fn open_from(world: &mut World, port: u64, source: Option<&str>, to: Target) -> Vec<Output> {
    let client = String::new();
    let source = source.map(|s| s.parse().unwrap());
    world.apply(Input::Open { port, client, from: None, source, to });
    outputs(world, 100)
}

fn reset(port: u64, reason: &str) -> Output {
    Output::Reset { port, reason: reason.to_owned() }
}

#[test]
fn names_are_looked_up_at_the_host_that_connects() {
    let mut world = world("echo");
    let name = |host: &str| Target::Name { host: host.to_owned(), port: 80 };
    for (port, host) in [(1, "WEB."), (2, "10.0.0.2"), (3, "[10.0.0.2]")] {
        let end = open_from(&mut world, port, None, name(host));
        assert_eq!(end, [Output::Accepted { port, credit: CONNECTION_CREDIT }], "{host}");
    }
    let unknown = reset(4, "Name or service not known: nowhere");
    assert_eq!(open_from(&mut world, 4, None, name("nowhere")), [unknown]);
    // The gateway's own, where nobody listens.
    let end = open_from(&mut world, 5, None, name("localhost"));
    assert_eq!(end, [reset(5, "Connection refused")]);
}

/// A library whose hosts ask somebody for names, which takes 5 ms.
struct Asking;

impl Programs for Asking {
    fn names(&self) -> Vec<&'static str> {
        vec!["echo"]
    }

    fn start(&self, _: &str) -> Option<Program> {
        Some(program!(echo))
    }

    fn resolver(&self) -> Option<Resolver> {
        Some(|p, name| {
            Box::pin(async move {
                p.sleep(Duration::from_millis(5)).await;
                match name.as_str() {
                    "www.lab" => Ok(vec!["10.0.0.2".parse().unwrap()]),
                    "slow.lab" => std::future::pending().await,
                    _ => Err(ResolveError::Temporary(name)),
                }
            })
        })
    }
}

#[test]
fn a_connection_to_a_name_begins_when_the_name_is_an_address() {
    let builder = lan(DirectionSpec::default(), Vec::new()).programs(Rc::new(Asking));
    let mut world = builder.daemon("web", argv("echo")).build().unwrap();
    world.run_until(secs(1));
    let to = |host: &str| Target::Name { host: host.to_owned(), port: 80 };
    let start = |world: &mut World, port, host: &str| {
        let client = String::new();
        world.apply(Input::Open { port, client, from: None, source: None, to: to(host) });
    };
    // What the outside says meanwhile is not forgotten: its credit and its end.
    start(&mut world, 1, "www.lab");
    world.apply(Input::Credit { port: 1, bytes: 10 });
    world.apply(Input::Eof { port: 1 });
    assert_eq!(outputs(&mut world, 4), [], "the look-up takes 5 ms");
    let end = outputs(&mut world, 100);
    assert!(matches!(end[..], [Output::Accepted { .. }, Output::Eof { .. }]), "{end:?}");
    let failed = reset(2, "Temporary failure in name resolution: nowhere");
    start(&mut world, 2, "nowhere");
    assert_eq!(outputs(&mut world, 100), [failed]);
    // The outside goes away, sends too early, or somebody kills the process.
    start(&mut world, 3, "slow.lab");
    start(&mut world, 4, "slow.lab");
    start(&mut world, 5, "slow.lab");
    let pc = world.host_id("pc").unwrap();
    let look_ups: Vec<_> = world.processes(pc).into_iter().filter(|p| p.name == "lookup").collect();
    assert_eq!(look_ups.len(), 3);
    assert_eq!(look_ups[0].command, "lookup slow.lab");
    world.apply(Input::Reset { port: 3 });
    world.apply(Input::Data { port: 4, bytes: vec![0] });
    let kill = Command::Kill { host: "pc".to_owned(), pid: look_ups[2].pid.0, signal: 9 };
    world.command(kill).unwrap();
    let early = reset(4, "the outside sent data: more than it had credit for");
    let killed = reset(5, "the process that looked up the name was killed");
    assert_eq!(outputs(&mut world, 100), [early, killed]);
    assert!(world.processes(pc).iter().all(|p| p.name != "lookup"));
    assert!(world.is_idle());
}

#[test]
fn hosts_files_come_before_the_labs_table() {
    let mut files = FileTree::new();
    let hosts = "# mine\n10.0.0.2 web2 Alias # x\nnonsense web3\n10.0.0.9 web\n";
    files.insert("files/pc/etc/hosts", hosts).unwrap();
    let pc = HostSpec { files: Rc::new(files), ..host("pc", "10.0.0.1/24") };
    let wire = |name: &str| LinkSpec::new(format!("{name}.net"), (name, 0), "net");
    let mut world = WorldBuilder::new(Seed(1))
        .programs(Rc::new(Library(vec![("echo", program!(echo)), ("names", program!(names))])))
        .switch(SwitchSpec::new("net"))
        .host(pc)
        .host(host("web", "10.0.0.2/24"))
        .names([("web".to_owned(), vec!["10.0.0.2".parse().unwrap()])])
        .link(wire("pc"))
        .link(wire("web"))
        .gateway("pc")
        .build()
        .unwrap();
    let (code, text) = exec(&mut world, 1, "pc", "names web2 ALIAS. web web3 10.0.0.2 10.0.0.9");
    assert_eq!(code, 0);
    assert_eq!(text, "10.0.0.2 10.0.0.2 10.0.0.9 - web2 web ");
    let (_, text) = exec(&mut world, 2, "web", "names web2 web 10.0.0.2");
    assert_eq!(text, "- 10.0.0.2 web ");
}

/// Prints what each name or address stands for.
async fn names(p: Process) -> i32 {
    for word in &p.args()[1..] {
        let found = match word.parse() {
            Ok(address) => p.local_name(address),
            Err(_) => p.resolve(word).await.ok().map(|all| all[0].to_string()),
        };
        p.print(&format!("{} ", found.unwrap_or("-".to_owned()))).await;
    }
    0
}

#[test]
fn a_connection_comes_from_the_address_that_it_asks_for() {
    let pc = {
        let mut pc = host("pc", "10.0.0.1/24");
        pc.interfaces[0].addresses.push("10.0.0.50/24".parse().unwrap());
        pc
    };
    let wire = |name: &str| LinkSpec::new(format!("{name}.net"), (name, 0), "net");
    let mut world = WorldBuilder::new(Seed(1))
        .programs(Rc::new(Library(vec![("echo", program!(echo))])))
        .switch(SwitchSpec::new("net"))
        .host(pc)
        .host(host("web", "10.0.0.2/24"))
        .link(wire("pc"))
        .link(wire("web"))
        .gateway("pc")
        .daemon("web", argv("echo"))
        .build()
        .unwrap();
    world.run_until(secs(1));
    let to = || Target::Addr("10.0.0.2:80".parse().unwrap());
    for (port, source) in [(1, None), (2, Some("10.0.0.50")), (3, Some("10.0.0.1"))] {
        let end = open_from(&mut world, port, source, to());
        assert_eq!(end, [Output::Accepted { port, credit: CONNECTION_CREDIT }], "{source:?}");
        let socket = world.connections().last().unwrap().socket;
        let local = world.stack(world.host_id("pc").unwrap()).unwrap().local_addr(socket).unwrap();
        assert_eq!(local.ip().to_string(), source.unwrap_or("10.0.0.1"));
    }
    for (port, source) in [(4, "10.0.0.51"), (5, "0.0.0.0")] {
        let end = open_from(&mut world, port, Some(source), to());
        assert_eq!(end, [reset(port, &format!("{source} is not an address of pc"))]);
    }
}

#[test]
fn the_outside_cannot_take_the_labs_ports() {
    let mut world = world("echo");
    let to = Target::Addr("10.0.0.2:80".parse().unwrap());
    let port = LAB_PORTS;
    let own = "port 9223372036854775808 is one of the lab's own, which begin at 2^63";
    assert_eq!(open_from(&mut world, port, None, to.clone()), [reset(port, own)]);
    let (host, credit) = ("web".to_owned(), 100);
    world.apply(Input::Exec { port, host, argv: argv("echo"), stdin: false, credit });
    assert_eq!(outputs(&mut world, 0), [reset(port, own)]);
    let last = LAB_PORTS - 1;
    assert!(matches!(open_from(&mut world, last, None, to)[..], [Output::Accepted { .. }]));
}
