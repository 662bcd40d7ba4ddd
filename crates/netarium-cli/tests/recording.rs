//! Sessions with real sockets, recorded, and replayed in this process and in others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use netarium::lab::{Files, Lab as Model};
use netarium::recording::{Ending, Moment};
use netarium::world::{ByteSink, Command as Order, Input, JsonTrace};
use netarium::{BuildOptions, Lab, Recording, Replay, program_names};
use netarium_server::publish::Limits;
use netarium_server::recording::Tape;
use netarium_server::report::Reporter;
use netarium_server::up::{Options, RunningLab};
use netarium_server::{Pace, WorldHandle};

const LAB: &str = r#"
version = 1
lab.name = "recorded"
[networks.lan]
subnet = "10.0.0.0/24"
link = { rate = "100Mbit", up = { loss = 0.01 } }
[hosts.web]
networks.lan = "10.0.0.1"
programs = ["httpd --root htdocs"]
[gateway]
network = "lan"
address = "10.0.0.254"
[publish]
"127.0.0.1:0" = "10.0.0.1:80"
"#;

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl ByteSink for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }
}

fn model() -> Model {
    let mut files = Files::new();
    files.insert("htdocs/index.html", "<html>first</html>").unwrap();
    files.insert("htdocs/big.bin", vec![7u8; 3_000_000]).unwrap();
    Model::from_parts("lab.toml", LAB, &files, &program_names()).unwrap()
}

/// Asks for a page; the answer is read later.
fn ask(door: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(door).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&all));
    all
}

/// Real clients, one of which does not read for long; an edit; a wire that is cut and mended.
fn clients(door: SocketAddr, world: &WorldHandle) {
    let slow = ask(door, "/big.bin");
    assert!(answer(ask(door, "/")).ends_with(b"<html>first</html>"));
    let path = "htdocs/index.html".to_owned();
    world.input(Input::FileWrite { path, bytes: Some(b"<html>second</html>".to_vec()) }).unwrap();
    let cut = |up| Input::Command(Order::LinkUp { link: "web.lan".to_owned(), up });
    world.input(cut(false)).unwrap();
    let waiting = ask(door, "/");
    world.input(cut(true)).unwrap();
    assert!(answer(waiting).ends_with(b"<html>second</html>"));
    drop(ask(door, "/big.bin"));
    assert!(answer(slow).len() > 3_000_000);
}

/// Records a session into a file; gives the trace of the live run.
fn record(file: &Path, runtime_dir: &Path) -> Vec<u8> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let trace = Bytes::default();
    let tape = Tape::create(file, &model(), false).unwrap();
    let options = Options {
        lab: model(),
        folder: None,
        what: "test".to_owned(),
        name: None,
        pace: Pace::Times(1.0),
        limits: Limits::default(),
        proxy: None,
        allow_attach: false,
        runtime_dir: runtime_dir.to_owned(),
        tape: tape.clone(),
    };
    let sink = trace.clone();
    let build = move |lab: &Model| {
        let options = BuildOptions { seed: Some(9), epoch: Some(7), ..BuildOptions::default() };
        Lab::from(lab.clone()).build_with(options).map(|world| {
            let mut world = world.into_inner();
            let names = world.name_table();
            world.tracer_mut().add_sink(Box::new(JsonTrace::new(sink, names)));
            world
        })
    };
    let (lab, doors) =
        runtime.block_on(RunningLab::start(options, Reporter::new(|_| {}), build)).unwrap();
    clients(doors[0].view.listen, &lab.world());
    runtime.block_on(lab.stop()).unwrap();
    assert!(tape.take_failure().is_none());
    std::mem::take(&mut *trace.0.lock().unwrap())
}

#[test]
fn a_session_with_real_clients_replays_to_the_byte() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("session.rec");
    let live = record(&file, &home.path().join("run"));
    assert!(live.len() > 100_000);

    let recording = Recording::open(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(*recording.ending(), Ending::Whole);
    let mut replay = Replay::new(recording).unwrap();
    let again = Bytes::default();
    let names = replay.world().name_table();
    replay.watch().tracer_mut().add_sink(Box::new(JsonTrace::new(again.clone(), names)));
    assert!(replay.play(Moment::End, &mut |_| {}), "{:?}", replay.divergence());
    assert!(replay.inputs() > 10 && replay.checks() > 2);
    let again = std::mem::take(&mut *again.0.lock().unwrap());
    // Programs that are torn down with the live world close their sockets: the run has ended then.
    let torn_down = live.strip_prefix(&again[..]).expect("the replay's trace is the live one");
    let last = format!("\"at\":{},", replay.world().now().as_nanos());
    assert!(String::from_utf8_lossy(torn_down).lines().all(|line| line.contains(&last)));

    let mut captures = Vec::new();
    for n in 0..3 {
        let (pcap, trace) = (format!("{n}.pcapng"), format!("{n}.jsonl"));
        let args = ["replay", "session.rec", "--pcap", &pcap, "--trace", &trace];
        let mut command = Command::new(env!("CARGO_BIN_EXE_netarium"));
        let status = command.args(args).current_dir(home.path()).status().unwrap();
        assert!(status.success());
        assert!(std::fs::read(home.path().join(trace)).unwrap() == again);
        captures.push(std::fs::read(home.path().join(pcap)).unwrap());
    }
    assert!(captures[0].len() > 3_000_000 && captures.iter().all(|c| *c == captures[0]));
}
