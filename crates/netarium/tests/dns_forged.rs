//! Answers that are not what they seem: a server of `shop.lab` that guesses ids, answers from other
//! ports, answers other questions, and says where other people's names are. None of it is believed
//! (RFC 5452, RFC 2181 §5.4.1).

use std::net::SocketAddr;
use std::rc::Rc;

use netarium::lab::{self, build};
use netarium::world::process::{LocalBoxFuture, Process, Program, Programs, Resolver, UdpSocket};
use netarium::world::{Input, Output, Stream, World};
use netarium_base::Instant;
use netarium_base::trace::Event;
use netarium_programs::Builtin;

/// The built-in programs and one more.
struct WithEvil;

impl Programs for WithEvil {
    fn names(&self) -> Vec<&'static str> {
        let mut names = Builtin.names();
        names.push("evil");
        names.sort_unstable();
        names
    }

    fn start(&self, name: &str) -> Option<Program> {
        if name == "evil" { Some(evil) } else { Builtin.start(name) }
    }

    fn resolver(&self) -> Option<Resolver> {
        Builtin.resolver()
    }
}

/// A response to a query: its header and question, one A record for the name that was asked, and
/// one in the additional section for `www.bank.lab`.
fn answer(query: &[u8], id: u16, address: [u8; 4]) -> Vec<u8> {
    // The question ends behind the name's last label, type and class; EDNS is left out.
    let name_end = 12 + query[12..].iter().position(|&b| b == 0).unwrap() + 1;
    let mut out = query[..name_end + 4].to_vec();
    out[..2].copy_from_slice(&id.to_be_bytes());
    out[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    out.extend(address);
    out.extend(b"\x03www\x04bank\x03lab\0");
    out.extend([0, 1, 0, 1, 0, 0, 0xff, 0xff, 0, 4, 6, 6, 6, 6]);
    out
}

fn evil(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let socket = UdpSocket::bind(&p, "10.0.0.3:53".parse().unwrap()).unwrap();
        let other = UdpSocket::bind(&p, "10.0.0.3:5353".parse().unwrap()).unwrap();
        let mut buffer = [0; 1_500];
        loop {
            let Ok((n, meta)) = socket.recv_from(&mut buffer).await else { return 1 };
            let query = &buffer[..n];
            let id = u16::from_be_bytes([query[0], query[1]]);
            let to: SocketAddr = meta.from;
            // From another port, with the right id.
            let _ = other.send_to(&answer(query, id, [6, 6, 6, 6]), to).await;
            // With a guessed id.
            let _ = socket.send_to(&answer(query, id ^ 1, [6, 6, 6, 6]), to).await;
            // To another question: the first letter of the name is another.
            let mut wrong = answer(query, id, [6, 6, 6, 6]);
            wrong[13] ^= 1;
            let _ = socket.send_to(&wrong, to).await;
            // Bytes that are no message, and the query itself.
            let _ = socket.send_to(&wrong[..20], to).await;
            let _ = socket.send_to(query, to).await;
            let _ = socket.send_to(&answer(query, id, [10, 0, 0, 80]), to).await;
        }
    })
}

fn world() -> World {
    let built_in = lab::builtin("dns").unwrap();
    let text = built_in.toml.replace("nsd shop.lab=zones/shop.lab.zone", "evil");
    let lab =
        lab::Lab::from_parts("lab.toml", &text, &built_in.files(), &WithEvil.names()).unwrap();
    let options = build::BuildOptions {
        seed: 1,
        epoch: None,
        trace_limit: 100_000,
        runs: false,
        programs: Rc::new(WithEvil),
    };
    build::world(&lab, options).unwrap()
}

fn run(world: &mut World, port: u64, host: &str, command: &str) -> String {
    let argv = command.split(' ').map(str::to_owned).collect();
    world.apply(Input::Exec { port, host: host.to_owned(), argv, stdin: false, credit: 1 << 20 });
    world.run_until_idle(Instant::from_nanos(world.now().as_nanos() + 100_000_000_000));
    let mut text = Vec::new();
    while let Some(output) = world.poll_output() {
        if let Output::Data { stream: Stream::Stdout | Stream::Stderr, bytes, .. } = output {
            text.extend(bytes);
        }
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn forged_answers_are_not_believed() {
    let mut world = world();
    assert_eq!(run(&mut world, 1, "pc", "dig +short www.shop.lab"), "10.0.0.80\n");
    let rejected: Vec<String> = world
        .tracer()
        .records()
        .filter_map(|r| match &r.event {
            Event::DnsStep { step: "rejected", detail, .. } => Some(detail.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(rejected.len(), 4, "{rejected:?}");
    assert!(rejected[0].contains("its id is"), "{rejected:?}");
    assert!(rejected[1].contains("it answers another question"), "{rejected:?}");
    assert!(rejected[2].contains("it is malformed"), "{rejected:?}");
    assert!(rejected[3].contains("it is a query"), "{rejected:?}");
    // The one from another port never reached the program.
    let dropped = world.tracer().records().filter(|r| matches!(r.event, Event::Dropped { .. }));
    assert_eq!(dropped.count(), 1);
    // What the server said about somebody else's name went nowhere: the bank is asked for above.
    let bank = run(&mut world, 2, "pc", "dig www.bank.lab");
    assert!(bank.contains("NXDOMAIN") && !bank.contains("6.6.6.6"), "{bank}");
    let cache = run(&mut world, 3, "resolver", "unbound-control dump_cache");
    assert!(!cache.contains("6.6.6.6"), "{cache}");
}
