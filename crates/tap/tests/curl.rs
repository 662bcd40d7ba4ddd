//! The real curl on the kernel's side, HTTP by hand on ours.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::thread::JoinHandle;

use common::{OURS, Pair, Pattern, Setup, on_ground, tool};
use netarium_base::chance::probability;
use netarium_base::{Seed, SocketId};
use netarium_world::{DirectionSpec, Wire};

const BYTES: usize = 4_000_000;

fn bad_wire() -> Setup {
    let spec = DirectionSpec { loss: probability(0.01), ..DirectionSpec::default() };
    Setup::over(Wire::plain(Seed(5), "wire", spec))
}

fn curl(pair: &Pair, args: &[&str]) -> Option<Child> {
    let mut command = tool("curl")?;
    command.args(["-sS", "--noproxy", "*", "--max-time", "120"]).args(args);
    command.arg(format!("http://{OURS}/pattern"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(pair.netns.spawn(command).expect("curl starts"))
}

/// Reads a request up to the empty line; what came behind it.
fn request(pair: &mut Pair, id: SocketId) -> (String, Vec<u8>) {
    let mut all = Vec::new();
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let body = all.split_off(end + 4);
            return (String::from_utf8(all).expect("text"), body);
        }
        let part = pair.recv(id).expect("received");
        assert!(!part.is_empty(), "the request is whole");
        all.extend(part);
    }
}

/// Reads what the program writes, to its end.
fn collect(mut child: Child) -> JoinHandle<(Vec<u8>, ExitStatus)> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        child.stdout.take().expect("a pipe").read_to_end(&mut all).expect("the output");
        (all, child.wait().expect("its end"))
    })
}

/// What the program wrote, once it has ended well.
fn ended(pair: &mut Pair, output: JoinHandle<(Vec<u8>, ExitStatus)>) -> Vec<u8> {
    let (all, status) = pair.join(output);
    assert!(status.success(), "curl: {status}");
    all
}

#[test]
fn downloads() {
    on_ground("downloads", |netns| {
        let pair = &mut bad_wire().build(netns);
        let listener = pair.listen(80);
        let Some(child) = curl(pair, &["-i"]) else { return };
        let id = pair.accept(listener);
        let (head, _) = request(pair, id);
        assert!(head.starts_with("GET /pattern HTTP/1.1\r\nHost: 10.9.0.1\r\n"), "{head}");
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
        pair.send(id, answer.as_bytes());
        let output = collect(child);
        pair.send(id, &Pattern::first(BYTES));
        let got = ended(pair, output);
        assert!(got == [answer.as_bytes(), &Pattern::first(BYTES)].concat(), "every byte");
    });
}

#[test]
fn uploads() {
    on_ground("uploads", |netns| {
        let pair = &mut bad_wire().build(netns);
        let listener = pair.listen(80);
        let Some(mut child) = curl(pair, &["--data-binary", "@-"]) else { return };
        let mut stdin = child.stdin.take().expect("a pipe");
        let writer = std::thread::spawn(move || {
            stdin.write_all(&Pattern::first(BYTES)).expect("curl reads it");
        });
        let id = pair.accept(listener);
        let (head, mut body) = request(pair, id);
        assert!(head.contains(&format!("\r\nContent-Length: {BYTES}\r\n")), "{head}");
        if head.contains("100-continue") {
            pair.send(id, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        while body.len() < BYTES {
            let part = pair.recv(id).expect("received");
            assert!(!part.is_empty(), "the body is whole");
            body.extend(part);
        }
        assert!(body == Pattern::first(BYTES), "every byte");
        pair.send(id, b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        pair.close(id);
        let output = collect(child);
        assert_eq!(ended(pair, output), b"ok");
        pair.join(writer);
    });
}
