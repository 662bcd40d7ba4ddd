//! Worlds to try things in, and programs to run there.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    missing_docs,
    reason = "each test binary uses a part of it"
)]

use std::cell::RefCell;
use std::rc::Rc;

use netarium_base::{Instant, Seed};
use netarium_wire::Cidr;
use netarium_wire::frame::mac_for_name;
use netarium_world::process::{LocalBoxFuture, Process, Program, Programs};
use netarium_world::{
    DirectionSpec, HostSpec, IfaceSpec, Input, LinkSpec, Output, PortId, Stream, SwitchSpec, World,
    WorldBuilder,
};

/// Programs by name.
pub struct Library(pub Vec<(&'static str, Program)>);

impl Programs for Library {
    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }

    fn start(&self, name: &str) -> Option<Program> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, program)| *program)
    }
}

/// A host with one interface.
pub fn host(name: &str, address: &str) -> HostSpec {
    let address: Cidr = address.parse().unwrap();
    HostSpec {
        name: name.to_owned(),
        interfaces: vec![IfaceSpec {
            name: "eth0".to_owned(),
            mac: mac_for_name(name),
            mtu: 1_500,
            addresses: vec![address],
        }],
        ..HostSpec::default()
    }
}

/// `pc` 10.0.0.1 and `web` 10.0.0.2 on the switch `net`, with these wires everywhere.
pub fn lan(wire: DirectionSpec, programs: Vec<(&'static str, Program)>) -> WorldBuilder {
    let mut b = WorldBuilder::new(Seed(1))
        .programs(Rc::new(Library(programs)))
        .switch(SwitchSpec::new("net"))
        .names([("web".to_owned(), vec!["10.0.0.2".parse().unwrap()])])
        .gateway("pc");
    for (name, address) in [("pc", "10.0.0.1/24"), ("web", "10.0.0.2/24")] {
        let mut link = LinkSpec::new(format!("{name}.net"), (name, 0), "net");
        (link.up, link.down) = (wire, wire);
        b = b.host(host(name, address)).link(link);
    }
    b
}

pub fn argv(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

pub fn secs(s: u64) -> Instant {
    Instant::from_nanos(s * 1_000_000_000)
}

/// Bytes that others write and a test reads.
#[derive(Clone, Default)]
pub struct Bytes(pub Rc<RefCell<Vec<u8>>>);

impl netarium_world::ByteSink for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// Runs a command in a session until it exits; gives its exit code and output.
pub fn exec(world: &mut World, port: PortId, host: &str, line: &str) -> (i32, String) {
    world.apply(Input::Exec {
        port,
        host: host.to_owned(),
        argv: argv(line),
        stdin: false,
        credit: 1 << 20,
    });
    let mut text = String::new();
    loop {
        while let Some(output) = world.poll_output() {
            match output {
                Output::Data { stream: Stream::Stdout | Stream::Stderr, bytes, .. } => {
                    text += &String::from_utf8_lossy(&bytes);
                }
                Output::Exit { code, message, .. } => {
                    text += &message.unwrap_or_default();
                    return (code, text);
                }
                _ => {}
            }
        }
        assert!(world.step(), "the command `{line}` does not end; so far: {text}");
    }
}

/// A program from an async function.
#[macro_export]
macro_rules! program {
    ($f:expr) => {{
        fn start(p: Process) -> LocalBoxFuture<i32> {
            Box::pin($f(p))
        }
        start as Program
    }};
}
