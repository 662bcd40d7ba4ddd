//! Processes that processes start: pipes, files, waiting, signals to groups, stopping, orphans.

mod common;

use common::*;
use netarium_base::{Duration, Pid};
use netarium_world::process::{
    ChildState, Fd, Group, LocalBoxFuture, OpenMode, Process, Program, Spawn, StartError, signal,
};
use netarium_world::{DirectionSpec, Input, Output, PortId, RunEnd, Stream, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn world(programs: Vec<(&'static str, Program)>) -> World {
    let mut all = vec![
        ("upper", program!(upper)),
        ("nap", program!(nap)),
        ("lines", program!(lines)),
        ("where", program!(whereabouts)),
    ];
    all.extend(programs);
    lan(DirectionSpec::default(), all).build().unwrap()
}

fn run(program: Program) -> (i32, String) {
    exec(&mut world(vec![("main", program)]), 1, "pc", "main")
}

/// Standard input in capital letters.
async fn upper(p: Process) -> i32 {
    let mut all = Vec::new();
    p.stdin().read_to_end(&mut all).await.unwrap();
    p.print(&String::from_utf8(all).unwrap().to_uppercase()).await;
    0
}

/// Sleeps so many milliseconds.
async fn nap(p: Process) -> i32 {
    let ms = p.args()[1].parse().unwrap();
    p.sleep(Duration::from_millis(ms)).await;
    p.print(&format!("napped {ms}\n")).await;
    3
}

/// Prints numbered lines until nobody listens.
async fn lines(p: Process) -> i32 {
    for n in 0.. {
        p.print(&format!("line {n}\n")).await;
        assert!(n < 100_000, "a closed pipe must end it");
    }
    0
}

async fn whereabouts(p: Process) -> i32 {
    let var = p.var("COLOUR").unwrap_or_default();
    p.print(&format!("{} {var} ppid={} group={}\n", p.cwd(), p.ppid(), p.group())).await;
    0
}

fn words(line: &str) -> Spawn {
    Spawn::new(argv(line))
}

async fn pipeline(p: Process) -> i32 {
    let (a_read, a_write) = p.pipe().unwrap();
    let (mut b_read, b_write) = p.pipe().unwrap();
    let first = p.spawn_program(words("nap 5").stdout(a_write)).unwrap();
    let second = p.spawn_program(words("upper").stdin(a_read).stdout(b_write)).unwrap();
    let mut text = String::new();
    b_read.read_to_string(&mut text).await.unwrap();
    p.print(&text).await;
    assert_eq!((first.wait().await, second.wait().await), (3, 0));
    assert_eq!(first.state(), ChildState::Exited(3));
    i32::try_from(p.now().as_millis()).unwrap()
}

#[test]
fn programs_are_joined_by_pipes_and_waited_for() {
    assert_eq!(run(program!(pipeline)), (5, "NAPPED 5\n".to_owned()));
}

async fn deaf(p: Process) -> i32 {
    let (mut read, write) = p.pipe().unwrap();
    let child = p.spawn_program(words("lines").stdout(write)).unwrap();
    let mut line = Vec::new();
    assert_eq!(read.read_line(&mut line).await.unwrap(), 7);
    assert_eq!(line, b"line 0\n");
    drop(read);
    child.wait().await
}

#[test]
fn a_pipe_that_nobody_reads_ends_its_writer() {
    assert_eq!(run(program!(deaf)), (141, String::new()));
}

async fn files(p: Process) -> i32 {
    let to = p.open("out.txt", OpenMode::Truncate).unwrap();
    // One description: what both write stands one behind the other.
    let a = p.spawn_program(words("nap 2").stdout(to.clone())).unwrap();
    let b = p.spawn_program(words("nap 1").stdout(to)).unwrap();
    assert_eq!((a.wait().await, b.wait().await), (3, 3));
    assert_eq!(p.read_file("out.txt").unwrap(), "napped 1\nnapped 2\n");
    let more = p.open("out.txt", OpenMode::Append).unwrap();
    let from = p.open("out.txt", OpenMode::Read).unwrap();
    p.spawn_program(words("upper").stdin(from).stdout(more)).unwrap().wait().await;
    assert_eq!(p.read_file("/out.txt").unwrap(), "napped 1\nnapped 2\nNAPPED 1\nNAPPED 2\n");
    let mut null = p.open("/dev/null", OpenMode::Truncate).unwrap();
    null.write_all(b"gone").await.unwrap();
    assert!(p.open("none", OpenMode::Read).is_err());
    assert!(p.read_file("/dev/null").unwrap().is_empty());
    0
}

#[test]
fn files_are_redirected_to_and_from() {
    assert_eq!(run(program!(files)), (0, String::new()));
}

async fn place(p: Process) -> i32 {
    p.make_dir("a/b").unwrap();
    p.set_cwd("a").unwrap();
    assert!(p.set_cwd("nowhere").is_err());
    p.write_file("x", "1").unwrap();
    assert_eq!(p.read_file("/a/x").unwrap(), "1");
    let mut env = p.environment();
    env.insert("COLOUR".to_owned(), "blue".to_owned());
    p.spawn_program(words("where").env(env)).unwrap().wait().await;
    p.spawn_program(words("where").group(Group::New).cwd("a/b")).unwrap().wait().await;
    assert!(p.remove_dir("/a").is_err(), "something is in it");
    p.remove_dir("b").unwrap();
    p.remove_file("x").unwrap();
    assert!(p.metadata("/a").unwrap().is_dir, "an empty folder stays");
    0
}

#[test]
fn children_inherit_where_they_are() {
    let expect = "/a blue ppid=100 group=100\n/a/b  ppid=100 group=102\n";
    assert_eq!(run(program!(place)), (0, expect.to_owned()));
}

async fn forks(p: Process) -> i32 {
    let word = "from the child".to_owned();
    let child = p.fork(words("part"), move |c| {
        Box::pin(async move {
            c.print(&format!("{word} {}", c.pid())).await;
            9
        })
    });
    child.unwrap().wait().await
}

#[test]
fn a_fork_runs_what_it_is_given() {
    assert_eq!(run(program!(forks)), (9, "from the child 101".to_owned()));
}

async fn stops(p: Process) -> i32 {
    let child = p.spawn_program(words("nap 10").group(Group::New)).unwrap();
    p.sleep(Duration::from_millis(5)).await;
    assert!(p.kill_group(child.pid(), signal::TSTP));
    assert_eq!(child.changed(&[ChildState::Running]).await, ChildState::Stopped(signal::TSTP));
    p.sleep(Duration::from_millis(15)).await;
    assert!(p.processes().iter().any(|i| i.pid == child.pid() && i.stopped));
    p.kill(child.pid(), signal::CONT);
    assert_eq!(child.wait().await, 3);
    assert_eq!(p.now().as_millis(), 20, "its timer had fired meanwhile");
    let child = p.spawn_program(words("nap 10").group(Group::New)).unwrap();
    p.kill(child.pid(), signal::STOP);
    p.kill(child.pid(), signal::TERM);
    assert_eq!(child.wait().await, 143);
    assert!(!p.kill_group(child.pid(), signal::TERM));
    0
}

#[test]
fn a_stopped_child_goes_on_or_is_ended() {
    assert_eq!(run(program!(stops)), (0, "napped 10\n".to_owned()));
}

async fn leaves(p: Process) -> i32 {
    drop(p.spawn_program(words("nap 50")).unwrap());
    0
}

#[test]
fn orphans_run_in_the_background() {
    let mut world = world(vec![("leaves", program!(leaves))]);
    assert_eq!(exec(&mut world, 1, "pc", "leaves"), (0, String::new()));
    let pc = world.host_id("pc").unwrap();
    let orphan = world.processes(pc).pop().unwrap();
    assert_eq!((orphan.name.as_str(), orphan.ppid, orphan.daemon), ("nap", Pid(1), true));
    assert_eq!(world.run_until_idle(secs(1)), RunEnd::Idle, "nobody waits for it");
    world.run_until(secs(1));
    let ended = world.exited(pc).pop().unwrap();
    assert_eq!((ended.code, ended.log), (3, b"napped 50\n".to_vec()));
}

async fn many(p: Process) -> i32 {
    let mut children = Vec::new();
    loop {
        match p.spawn_program(words("nap 1000")) {
            Ok(child) => children.push(child),
            Err(e) => {
                p.print(&format!("{} {e}", children.len())).await;
                assert_eq!(e, StartError::TooManyProcesses);
                break;
            }
        }
    }
    let long = Spawn::new(vec!["nap".to_owned(), "x".repeat(3 << 20)]);
    assert_eq!(p.spawn_program(long).unwrap_err(), StartError::TooLong);
    assert_eq!(p.spawn_program(words("none")).unwrap_err(), StartError::NoSuchProgram);
    let mut pipes = Vec::new();
    while let Ok(pipe) = p.pipe() {
        pipes.push(pipe);
    }
    assert_eq!(pipes.len(), 2_048);
    p.kill_group(p.group(), signal::KILL);
    0
}

#[test]
fn there_are_limits() {
    let text = "1023 fork: Resource temporarily unavailable";
    let mut world = world(vec![("main", program!(many))]);
    assert_eq!(exec(&mut world, 1, "pc", "main"), (137, text.to_owned()));
    assert_eq!(world.processes(world.host_id("pc").unwrap()).len(), 1, "its group went with it");
}

/// A small shell: every line of input is a `nap` in a group of its own.
async fn terminal(p: Process) -> i32 {
    assert!(p.make_terminal() && p.fd(0).is_terminal());
    p.ignore(&[signal::INT, signal::TSTP]);
    let mut input: Fd = p.fd(0);
    let mut line = Vec::new();
    while input.read_line(&mut line).await.unwrap() > 0 {
        let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
        let child = p.spawn_program(words(text.trim()).group(Group::New)).unwrap();
        p.set_foreground(child.pid());
        let state = child.changed(&[ChildState::Running]).await;
        p.set_foreground(p.group());
        p.eprint(&format!("{state:?}\n")).await;
    }
    1
}

fn drain(world: &mut World) -> (String, Option<i32>) {
    let (mut text, mut exit) = (String::new(), None);
    while let Some(output) = world.poll_output() {
        match output {
            Output::Data { bytes, .. } => text += &String::from_utf8(bytes).unwrap(),
            Output::Exit { code, .. } => exit = Some(code),
            _ => {}
        }
    }
    (text, exit)
}

fn open_terminal(world: &mut World, port: PortId) {
    let (host, argv) = ("pc".to_owned(), argv("terminal"));
    world.apply(Input::Exec { port, host, argv, stdin: true, credit: 1 << 20 });
}

#[test]
fn a_terminal_has_a_foreground() {
    let mut world = world(vec![("terminal", program!(terminal))]);
    let port = 5;
    open_terminal(&mut world, port);
    let line = |world: &mut World, text: &str| {
        world.apply(Input::Data { port, bytes: text.as_bytes().to_vec() });
    };
    line(&mut world, "nap 1000\n");
    world.apply(Input::Signal { port, signal: signal::INT });
    assert_eq!(drain(&mut world).0, "Exited(130)\n", "and the shell lives");
    line(&mut world, "nap 1000\n");
    world.apply(Input::Signal { port, signal: signal::TSTP });
    assert_eq!(drain(&mut world).0, "Stopped(20)\n");
    // The end of a terminal's input is read once.
    line(&mut world, "upper\n");
    line(&mut world, "abc");
    world.apply(Input::Eof { port });
    assert_eq!(drain(&mut world).0, "ABCExited(0)\n");
    line(&mut world, "upper\n");
    world.apply(Input::Eof { port });
    assert_eq!(drain(&mut world), ("Exited(0)\n".to_owned(), None));
    world.apply(Input::Eof { port });
    assert_eq!(drain(&mut world), (String::new(), Some(1)));
}

async fn greedy(p: Process) -> i32 {
    p.make_terminal();
    let child = p.spawn_program(words("upper").group(Group::New)).unwrap();
    let state = child.changed(&[ChildState::Running]).await;
    assert_eq!(state, ChildState::Stopped(signal::TTIN));
    0
}

#[test]
fn the_background_does_not_read_the_terminal() {
    let mut world = world(vec![("terminal", program!(greedy))]);
    open_terminal(&mut world, 1);
    assert_eq!(drain(&mut world), (String::new(), Some(0)));
}

#[test]
fn who_hangs_up_ends_the_foreground_too() {
    let mut world = world(vec![("terminal", program!(terminal))]);
    open_terminal(&mut world, 1);
    world.apply(Input::Data { port: 1, bytes: b"nap 1000\n".to_vec() });
    assert_eq!(world.processes(world.host_id("pc").unwrap()).len(), 3);
    world.apply(Input::Reset { port: 1 });
    assert_eq!(world.processes(world.host_id("pc").unwrap()).len(), 1);
    let exit = std::iter::from_fn(|| world.poll_output()).last();
    assert!(matches!(exit, Some(Output::Exit { code: 129, .. })), "{exit:?}");
}

#[test]
fn output_of_children_waits_for_credit() {
    let mut world = world(vec![("main", program!(forks))]);
    let (host, argv) = ("pc".to_owned(), argv("main"));
    world.apply(Input::Exec { port: 1, host, argv, stdin: false, credit: 4 });
    let data = |world: &mut World| {
        let all = std::iter::from_fn(|| world.poll_output());
        let bytes = all.filter_map(|o| match o {
            Output::Data { stream: Stream::Stdout, bytes, .. } => Some(bytes),
            _ => None,
        });
        bytes.flatten().collect::<Vec<u8>>()
    };
    assert_eq!(data(&mut world), b"from");
    world.apply(Input::Credit { port: 1, bytes: 100 });
    assert_eq!(data(&mut world), b" the child 101");
}
