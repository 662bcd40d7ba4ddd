//! Prints what an idle host and an idle established connection cost in memory, as the growth of
//! the process' resident set (Linux only; elsewhere only the sizes of the types).
//!
//! `cargo run --release -p netarium-stack --example memory`
#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a program for developers: it prints, and asks the system for its own size"
)]

use std::error::Error;

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, Tracer};
use netarium_stack::tcp::Connection;
use netarium_stack::{Errno, SocketKind, Stack, StackConfig};
use netarium_wire::Mac;

const HOSTS: usize = 10_000;
const CONNECTIONS: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!("size_of Connection: {} bytes", size_of::<Connection>());
    println!("size_of Stack: {} bytes", size_of::<Stack>());
    let mut pair = [host(0)?, host(1)?];
    let before = resident();
    connect_all(&mut pair)?;
    report("idle established connection, one end", before, 2 * CONNECTIONS);
    let rows = pair.iter().map(|h| h.sockets().len()).sum::<usize>();
    assert!(rows > 2 * CONNECTIONS, "all are established: {rows}");
    // The connections stay, so that the hosts get fresh memory.
    let before = resident();
    let hosts: Vec<Stack> = (0..HOSTS).map(host).collect::<Result<_, _>>()?;
    report("idle host", before, hosts.len());
    Ok(())
}

fn host(i: usize) -> Result<Stack, Box<dyn Error>> {
    let node = NodeId(i as u32);
    let config = StackConfig { node, name: format!("h{i}"), seed: Seed(1), forwarding: false };
    let mut s = Stack::new(config);
    let eth0 = s.add_interface("eth0", mac(i), 1500);
    s.add_address(eth0, format!("10.{}.{}.1/8", i >> 8, i & 255).parse()?);
    Ok(s)
}

fn mac(i: usize) -> Mac {
    let i = (i as u32).to_be_bytes();
    Mac([2, 0, i[0], i[1], i[2], i[3]])
}

/// Establishes [`CONNECTIONS`] connections between two hosts and accepts them.
fn connect_all(pair: &mut [Stack; 2]) -> Result<(), Box<dyn Error>> {
    let mut trace = Tracer::new(0);
    let mut now = Instant::ZERO;
    let listener = pair[1].socket(SocketKind::Tcp, Pid(1))?;
    pair[1].bind(listener, "0.0.0.0:80".parse()?)?;
    pair[1].listen(&mut Ctx::new(now, Cause::NONE, &mut trace), listener, 128)?;
    for _ in 0..CONNECTIONS {
        let mut cx = Ctx::new(now, Cause::NONE, &mut trace);
        let id = pair[0].socket(SocketKind::Tcp, Pid(1))?;
        match pair[0].connect(&mut cx, id, "10.0.1.1:80".parse()?) {
            Err(Errno::EINPROGRESS) => {}
            other => return Err(format!("connect: {other:?}").into()),
        }
        exchange(pair, &mut cx);
        pair[1].accept(&mut cx, listener)?;
        now += Duration::from_millis(1);
    }
    Ok(())
}

/// Carries frames both ways until neither host has any.
fn exchange(pair: &mut [Stack; 2], cx: &mut Ctx<'_>) {
    loop {
        let mut moved = false;
        for from in 0..2 {
            while let Some((_, frame)) = pair[from].poll_transmit() {
                pair[1 - from].handle_frame(cx, IfIndex(2), frame);
                moved = true;
            }
            while pair[from].poll_event().is_some() {}
        }
        if !moved {
            return;
        }
    }
}

fn report(what: &str, before: Option<usize>, count: usize) {
    match before.zip(resident()) {
        Some((before, after)) => {
            println!("{what}: {} bytes", after.saturating_sub(before) / count);
        }
        None => println!("{what}: the resident set is not known on this system"),
    }
}

/// Resident bytes of this process.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok().map(|kib| kib * 1024)
}
