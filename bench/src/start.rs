//! From a typed command to the first 200: inside a lab, and through a published port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::median;

const RUNS: usize = 11;

/// Measures the `netarium` beside this program.
pub(crate) fn first_200() {
    let program = std::env::current_exe().expect("a path").with_file_name("netarium");
    assert!(program.exists(), "build it first: cargo build --release");
    let inside = median((0..RUNS).map(|_| inside(&program)).collect());
    let published = median((0..RUNS).map(|_| published(&program)).collect());
    println!("command to first 200, wall time, median of {RUNS}:");
    println!("  exec --lab two-hosts client curl   {inside:6.1} ms");
    println!("  up two-hosts, published port       {published:6.1} ms");
}

fn inside(program: &PathBuf) -> f64 {
    let start = Instant::now();
    let out = Command::new(program)
        .args(["exec", "--lab", "two-hosts", "client", "curl", "-s", "-i", "http://server/"])
        .output()
        .expect("it runs");
    let took = start.elapsed();
    assert!(out.stdout.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&out.stderr));
    took.as_secs_f64() * 1e3
}

/// `up` prints the address once its door is open.
fn published(program: &PathBuf) -> f64 {
    let start = Instant::now();
    let child = Command::new(program)
        .args(["--color", "never", "up", "two-hosts"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Stopped(child.expect("it starts"));
    let lines = BufReader::new(child.0.stderr.take().expect("its screen")).lines();
    let url = lines.map_while(Result::ok).find_map(|l| {
        let rest = l.split("http://127.0.0.1:").nth(1)?;
        rest.split('/').next().and_then(|port| port.parse::<u16>().ok())
    });
    let mut stream = TcpStream::connect(("127.0.0.1", url.expect("a URL"))).expect("connects");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").expect("sends");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("an answer");
    let took = start.elapsed();
    assert_eq!(&status, b"HTTP/1.1 200");
    took.as_secs_f64() * 1e3
}

/// A child that does not outlive the measurement.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
