//! Our curl, on a lab host's loopback.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use netarium_base::Seed;
use netarium_programs::Builtin;
use netarium_wire::frame::mac_for_name;
use netarium_world::process::{LocalBoxFuture, Process, Program, Programs, TcpListener};
use netarium_world::{
    FileTree, HostSpec, IfaceSpec, Input, Output, Stream, SwitchSpec, World, WorldBuilder,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Said;
use super::script::{Conversation, State};

/// What both have on standard input.
pub(crate) const STDIN: &[u8] = b"from stdin\n";

/// In place of an exit code: it waits for something that does not come.
const NEVER: i32 = -999;

thread_local! {
    /// The scripted server's memory, and the files that curl left.
    static STATE: RefCell<State> = RefCell::new(State::default());
    static FILES: RefCell<BTreeMap<String, Vec<u8>>> = RefCell::default();
}

/// The usual programs, the scripted server, and one that tells which files there are.
struct Library;

impl Programs for Library {
    fn names(&self) -> Vec<&'static str> {
        vec!["collect", "curl", "scripted"]
    }

    fn start(&self, name: &str) -> Option<Program> {
        match name {
            "scripted" => Some(scripted),
            "collect" => Some(collect),
            _ => Builtin.start(name),
        }
    }
}

fn scripted(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let port = process.args()[1].parse().expect("a port");
        let address = ([127, 0, 0, 1], port).into();
        let listener = TcpListener::bind(&process, address, 16).expect("a free port");
        while let Ok((mut stream, _)) = listener.accept().await {
            process.spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut conversation = STATE.with_borrow_mut(Conversation::new);
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    let reply = STATE.with_borrow_mut(|s| conversation.feed(&buffer[..n], s));
                    if stream.write_all(&reply.bytes).await.is_err() || reply.close {
                        return;
                    }
                }
            });
        }
        0
    })
}

fn collect(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let mut folders = vec![String::new()];
        let mut all = BTreeMap::new();
        while let Some(folder) = folders.pop() {
            for entry in process.list_dir(&format!("/{folder}")).expect("a folder") {
                let path = format!("{folder}{}", entry.name);
                match process.read_file(&path) {
                    Ok(contents) => _ = all.insert(path, contents.to_vec()),
                    Err(_) => folders.push(format!("{path}/")),
                }
            }
        }
        FILES.set(all);
        0
    })
}

fn world(port: u16) -> World {
    let mut tree = FileTree::new();
    for (name, contents) in super::files() {
        tree.insert(name, contents).expect("a path");
    }
    let host = HostSpec {
        name: "pc".to_owned(),
        interfaces: vec![IfaceSpec {
            name: "eth0".to_owned(),
            mac: mac_for_name("pc"),
            mtu: 1_500,
            addresses: vec!["192.168.17.20/24".parse().expect("an address")],
        }],
        files: Rc::new(tree),
        ..HostSpec::default()
    };
    WorldBuilder::new(Seed(1))
        .epoch(1_795_356_857_000_000_000)
        .programs(Rc::new(Library))
        .switch(SwitchSpec::new("home"))
        .host(host)
        .gateway("pc")
        .daemon("pc", vec!["scripted".to_owned(), port.to_string()])
        .build()
        .expect("a lab")
}

/// Runs curl.
pub(crate) fn run(port: u16, args: &[String]) -> Said {
    STATE.set(State::default());
    let mut world = world(port);
    // Until the server listens: curl could choose its port, and talk to itself.
    world.run_until(netarium_base::Instant::from_nanos(1_000_000));
    let argv = ["curl".to_owned()].iter().chain(args).cloned().collect();
    let mut said = exec(&mut world, 1, argv);
    said.wire = STATE.with_borrow(State::wire);
    exec(&mut world, 2, vec!["collect".to_owned()]);
    said.files = FILES.take();
    for (name, contents) in super::files() {
        if said.files.get(name).is_some_and(|c| c == contents) {
            said.files.remove(name);
        }
    }
    said.files.retain(|name, _| !name.starts_with("var/") && !name.starts_with("etc/"));
    said
}

fn exec(world: &mut World, port: u64, argv: Vec<String>) -> Said {
    let host = "pc".to_owned();
    world.apply(Input::Exec { port, host, argv: argv.clone(), stdin: true, credit: 1 << 25 });
    world.apply(Input::Data { port, bytes: STDIN.to_vec() });
    world.apply(Input::Eof { port });
    let mut said = Said::default();
    loop {
        while let Some(output) = world.poll_output() {
            match output {
                Output::Data { port: p, stream, bytes } if p == port => match stream {
                    Stream::Stderr => said.err.extend(bytes),
                    _ => said.out.extend(bytes),
                },
                Output::Exit { port: p, code, message } if p == port => {
                    assert_eq!(message, None, "{argv:?}");
                    said.code = code;
                    return said;
                }
                _ => {}
            }
        }
        if !world.step() {
            said.code = NEVER;
            return said;
        }
    }
}
