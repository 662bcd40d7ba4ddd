//! A small lab: `web` (httpd on 0.0.0.0:80) and `pc` on one switch; and commands to run there.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::rc::Rc;

use netarium_base::{Instant, Seed};
use netarium_programs::Builtin;
use netarium_wire::frame::mac_for_name;
use netarium_world::{
    FileTree, HostSpec, IfaceSpec, Input, LinkSpec, Output, PortId, RouteSpec, Stream, SwitchSpec,
    Target, World, WorldBuilder,
};

/// The page at `/`.
pub const PAGE: &str = "<!DOCTYPE html><title>web</title><p>It works!\n";
/// A file that takes many segments.
pub const BIG: usize = 300_000;
/// 2026-11-22 14:14:17 UTC.
pub const EPOCH: u64 = 1_795_356_857_000_000_000;

fn files() -> FileTree {
    let mut tree = FileTree::new();
    let big: Vec<u8> = (0..BIG).map(|n| (n / 7) as u8).collect();
    let files: [(&str, Vec<u8>); 7] = [
        ("htdocs/index.html", PAGE.into()),
        ("htdocs/a.txt", b"hello\n".to_vec()),
        ("htdocs/docs/index.html", b"docs".to_vec()),
        ("htdocs/empty/x.txt", b"x".to_vec()),
        ("htdocs/.htpasswd", b"secret".to_vec()),
        ("htdocs/big", big),
        ("secret.txt", b"outside the root".to_vec()),
    ];
    for (path, contents) in files {
        tree.insert(path, contents).expect("a path");
    }
    tree
}

fn host(name: &str, address: &str, files: FileTree) -> HostSpec {
    HostSpec {
        name: name.to_owned(),
        interfaces: vec![IfaceSpec {
            name: "eth0".to_owned(),
            mac: mac_for_name(name),
            mtu: 1_500,
            addresses: vec![address.parse().expect("an address")],
        }],
        files: Rc::new(files),
        ..HostSpec::default()
    }
}

/// The lab, with what `web` runs.
pub fn lab(daemons: &[&str]) -> World {
    lab_with(daemons, &[])
}

/// The same with more files.
pub fn lab_with(daemons: &[&str], more: &[(&str, &str)]) -> World {
    let mut all = files();
    for (path, contents) in more {
        all.insert(path, contents.as_bytes().to_vec()).expect("a path");
    }
    let mut pc = host("pc", "192.168.17.20/24", all.clone());
    // A default route to nobody: what lies beyond is unreachable, but not at once.
    let to = "172.16.0.0/16".parse().expect("a network");
    pc.routes = vec![RouteSpec { to, via: "192.168.17.99".parse().ok(), iface: 0 }];
    let mut builder = WorldBuilder::new(Seed(1))
        .epoch(EPOCH)
        .trace_limit(20_000)
        .programs(Rc::new(Builtin))
        .switch(SwitchSpec::new("home"))
        .names([("web".to_owned(), vec!["192.168.17.17".parse().expect("an address")])])
        .host(host("web", "192.168.17.17/24", all))
        .host(pc)
        .gateway("pc");
    for name in ["web", "pc"] {
        builder = builder.link(LinkSpec::new(format!("{name}.home"), (name, 0), "home"));
    }
    for line in daemons {
        builder = builder.daemon("web", argv(line));
    }
    builder.build().expect("a lab")
}

/// A lab with the usual server.
pub fn web() -> World {
    lab(&["httpd --root htdocs"])
}

pub fn argv(line: &str) -> Vec<String> {
    line.split_whitespace().map(|w| w.replace('␣', " ")).collect()
}

/// What a command said and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs commands in sessions; each gets a port of its own.
pub struct Shell {
    pub world: World,
    next: PortId,
    kept: BTreeMap<PortId, Kept>,
}

/// What has come for a port and was not asked for yet.
#[derive(Default)]
struct Kept {
    out: Vec<u8>,
    err: Vec<u8>,
    exit: Option<(i32, Option<String>)>,
    ended: bool,
}

impl Shell {
    pub fn new(world: World) -> Shell {
        let mut shell = Shell { world, next: 1, kept: BTreeMap::new() };
        // The servers have started before anybody asks them.
        shell.wait(1);
        shell
    }

    /// Starts a command.
    pub fn start(&mut self, host: &str, line: &str) -> PortId {
        self.start_argv(host, argv(line))
    }

    /// Starts a command from its words.
    pub fn start_argv(&mut self, host: &str, argv: Vec<String>) -> PortId {
        self.open(host, argv, false)
    }

    fn open(&mut self, host: &str, argv: Vec<String>, stdin: bool) -> PortId {
        let port = self.next;
        self.next += 1;
        let host = host.to_owned();
        self.world.apply(Input::Exec { port, host, argv, stdin, credit: 1 << 25 });
        port
    }

    /// Runs a command from its words.
    pub fn run_argv(&mut self, host: &str, argv: Vec<String>) -> Said {
        let line = argv.join(" ");
        let port = self.start_argv(host, argv);
        self.finish(port, &line)
    }

    /// Runs a command that reads this.
    pub fn run_with_input(&mut self, host: &str, line: &str, input: &str) -> Said {
        let port = self.open(host, argv(line), true);
        self.world.apply(Input::Data { port, bytes: input.as_bytes().to_vec() });
        self.world.apply(Input::Eof { port });
        self.finish(port, line)
    }

    /// Runs a command to its end. `␣` in the line is a blank inside a word.
    pub fn run(&mut self, host: &str, line: &str) -> Said {
        let port = self.start(host, line);
        self.finish(port, line)
    }

    /// Waits for the end of a command.
    pub fn finish(&mut self, wanted: PortId, line: &str) -> Said {
        loop {
            self.collect();
            let kept = self.kept.entry(wanted).or_default();
            if let Some((code, message)) = kept.exit.take() {
                assert_eq!(message, None, "{line}");
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                let said = Said { code, out: text(&kept.out), err: text(&kept.err) };
                self.kept.remove(&wanted);
                return said;
            }
            let so_far = String::from_utf8_lossy(&kept.err).into_owned();
            assert!(self.world.step(), "`{line}` does not end; so far: {so_far}");
        }
    }

    /// Keeps what has come for each port until somebody asks.
    fn collect(&mut self) {
        while let Some(output) = self.world.poll_output() {
            match output {
                Output::Data { port, stream, bytes } => {
                    let kept = self.kept.entry(port).or_default();
                    match stream {
                        Stream::Stderr => kept.err.extend(bytes),
                        _ => kept.out.extend(bytes),
                    }
                }
                Output::Exit { port, code, message } => {
                    self.kept.entry(port).or_default().exit = Some((code, message));
                }
                Output::Eof { port } | Output::Reset { port, .. } => {
                    self.kept.entry(port).or_default().ended = true;
                }
                _ => {}
            }
        }
    }

    /// Lets virtual time pass.
    pub fn wait(&mut self, ms: u64) {
        let until = self.world.now().as_nanos() + ms * 1_000_000;
        self.world.run_until(Instant::from_nanos(until));
    }

    /// Opens a connection from outside to the server, which takes whatever comes.
    pub fn connect(&mut self) -> PortId {
        let port = self.next;
        self.next += 1;
        let to = Target::Addr("192.168.17.17:80".parse().expect("an address"));
        let client = "test".to_owned();
        self.world.apply(Input::Open { port, client, from: None, source: None, to });
        self.world.apply(Input::Credit { port, bytes: 1 << 25 });
        self.wait(5);
        port
    }

    /// Sends on such a connection.
    pub fn send(&mut self, port: PortId, bytes: &[u8]) {
        self.world.apply(Input::Data { port, bytes: bytes.to_vec() });
        self.wait(5);
    }

    /// What has come since the last look, and whether it has ended.
    pub fn came(&mut self, port: PortId) -> (Vec<u8>, bool) {
        self.collect();
        let kept = self.kept.entry(port).or_default();
        (std::mem::take(&mut kept.out), kept.ended)
    }

    /// Sends bytes on a connection of their own and ends it; all that comes back.
    pub fn exchange(&mut self, bytes: &[u8]) -> String {
        let port = self.connect();
        self.send(port, bytes);
        self.world.apply(Input::Eof { port });
        self.wait(3_000);
        String::from_utf8_lossy(&self.came(port).0).into_owned()
    }
}

/// The statuses of the responses in a stream of them.
pub fn statuses(stream: &str) -> Vec<u16> {
    let code = |rest: &str| rest.get(2..5)?.parse::<u16>().ok();
    stream.split("HTTP/1.").skip(1).filter_map(code).collect()
}
