//! The published port: real `wrk` and `ab` and bulk bytes, beside nginx without anything between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::median;

/// Repetitions of each figure; the median counts.
const RUNS: usize = 3;
/// Bytes of one bulk transfer.
pub(crate) const BULK: u64 = 1 << 30;

const LAB: &str = r#"
version = 1
lab.name = "publish-bench"
[networks.lan]
subnet = "10.0.0.0/24"
[hosts.server]
networks.lan = "10.0.0.2"
programs = ["httpd --root www", "source --listen 9000 --bytes 1073741824", "sink --listen 9001"]
[gateway]
network = "lan"
address = "10.0.0.1"
[publish]
"127.0.0.1:0" = "10.0.0.2:80"
"127.0.0.2:0" = "10.0.0.2:9000"
"127.0.0.3:0" = "10.0.0.2:9001"
"#;

/// Prints requests per second and bulk rates.
pub(crate) fn run() {
    let program = std::env::current_exe().expect("a path").with_file_name("netarium");
    assert!(program.exists(), "build it first: cargo build --release");
    let folder = std::env::temp_dir().join(format!("netarium-bench-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("www")).expect("a folder");
    std::fs::write(folder.join("lab.toml"), LAB).expect("a lab");
    std::fs::write(folder.join("www/1k"), [b'x'; 1024]).expect("a file");
    let lab = Lab::start(&program, &folder);
    let (nginx, slirp) = (nginx(&folder), slirp(&folder));
    println!(
        "published port, medians of {RUNS}, in turns; nginx is asked directly, with nothing between, \
         and through slirp4netns with an MTU of 1500"
    );
    let peers = [("nginx", nginx), ("slirp4netns", slirp)];
    requests("wrk -c64, keep-alive, 1 kB", &lab, &peers, wrk);
    requests("ab -c32, a new connection each", &lab, &peers, ab);
    bulk("bulk out of the lab", &lab, &peers, 1, download);
    bulk("bulk into the lab", &lab, &peers, 2, upload);
    println!("  processor time of netarium: {:.2} s", lab.processor_seconds());
    drop((lab, peers));
    let _ = std::fs::remove_dir_all(&folder);
}

/// What is measured beside us.
pub(crate) struct Served {
    /// As those of the lab: page, source, sink; perhaps only the first of them.
    pub(crate) doors: Vec<SocketAddr>,
    /// What serves there; ended in this order.
    pub(crate) _ends: Vec<Stopped>,
}

/// A peer; `None` when it is not installed.
type Peer = (&'static str, Option<Served>);

/// What a load generator has found.
#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    requests: f64,
}

/// Requests per second of ours and of the peers, and what one costs ours.
fn requests(what: &str, lab: &Lab, peers: &[Peer], ask: fn(&str, SocketAddr) -> Option<Rate>) {
    let mut cost = Vec::new();
    let ours = |at| {
        let before = lab.processor_seconds();
        let rate = ask("netarium", at)?;
        cost.push((lab.processor_seconds() - before) * 1e6 / rate.requests);
        Some(rate.per_second)
    };
    let Some(line) = in_turns(lab, peers, 0, ours, |peer, at| Some(ask(peer, at)?.per_second))
    else {
        return println!("  {what}: skipped, the tool is missing");
    };
    println!("  {what}, requests/s: {line}; {:.1} µs of processor time each", median(cost));
}

/// Rates of bulk transfers, in Gbit/s.
fn bulk(what: &str, lab: &Lab, peers: &[Peer], door: usize, carry: fn(SocketAddr) -> f64) {
    if let Some(line) = in_turns(lab, peers, door, |at| Some(carry(at)), |_, at| Some(carry(at))) {
        println!("  {what}, Gbit/s: {line}");
    }
}

/// Measures ours and the peers in turns, so that what else the machine does meets all of them.
fn in_turns(
    lab: &Lab,
    peers: &[Peer],
    door: usize,
    mut ours: impl FnMut(SocketAddr) -> Option<f64>,
    mut theirs: impl FnMut(&str, SocketAddr) -> Option<f64>,
) -> Option<String> {
    let (mut own, mut others) = (Vec::new(), vec![Vec::new(); peers.len()]);
    for _ in 0..RUNS {
        own.push(ours(lab.doors[door])?);
        for ((name, doors), figures) in peers.iter().zip(&mut others) {
            let at = doors.as_ref().and_then(|served| served.doors.get(door));
            figures.extend(at.and_then(|at| theirs(name, *at)));
        }
    }
    let own = median(own);
    let number = |n: f64| if n < 100.0 { format!("{n:.2}") } else { format!("{n:.0}") };
    let mut line = number(own);
    for ((name, _), figures) in peers.iter().zip(others).filter(|(_, f)| !f.is_empty()) {
        let peer = median(figures);
        line += &format!(", {name} {} (ratio {:.2})", number(peer), own / peer);
    }
    Some(line)
}

/// What a load generator says of `who`, when it is there.
fn said(who: &str, program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let failed = |l: &&str| l.starts_with("Failed requests:") && !l.ends_with(" 0");
    for line in text.lines().map(str::trim) {
        if line.contains("Non-2xx") || line.contains("Socket errors") || failed(&line) {
            println!("  ({program} of {who}: {line})");
        }
    }
    Some(text)
}

/// The number in a line that has these words.
fn figure(text: &str, words: &str) -> Option<f64> {
    let line = text.lines().find(|l| l.contains(words))?;
    line.split_whitespace().find_map(|w| w.parse().ok())
}

fn wrk(who: &str, at: SocketAddr) -> Option<Rate> {
    let text = said(who, "wrk", &["-t1", "-c64", "-d3s", &format!("http://{at}/1k")])?;
    let (per_second, requests) = (figure(&text, "Requests/sec")?, figure(&text, "requests in")?);
    Some(Rate { per_second, requests })
}

fn ab(who: &str, at: SocketAddr) -> Option<Rate> {
    let url = format!("http://{at}/1k");
    let text = said(who, "ab", &["-q", "-n", "20000", "-c", "32", &url])?;
    Some(Rate { per_second: figure(&text, "Requests per second")?, requests: 20_000.0 })
}

fn slirp(folder: &Path) -> Option<Served> {
    #[cfg(target_os = "linux")]
    let served = crate::slirp::start(folder);
    // Namespaces are Linux's own.
    #[cfg(not(target_os = "linux"))]
    let served = folder.exists().then_some(None).flatten();
    served
}

fn gigabits(bytes: u64, took: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e9 / took.as_secs_f64()
}

fn download(door: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(door).expect("connects");
    let (start, mut total, mut buffer) = (Instant::now(), 0, vec![0; 256 * 1024]);
    loop {
        match stream.read(&mut buffer).expect("reads") {
            0 => break,
            n => total += n as u64,
        }
    }
    assert_eq!(total, BULK);
    gigabits(total, start.elapsed())
}

fn upload(door: SocketAddr) -> f64 {
    let mut stream = TcpStream::connect(door).expect("connects");
    let (start, piece) = (Instant::now(), vec![7; 256 * 1024]);
    for _ in 0..BULK / piece.len() as u64 {
        stream.write_all(&piece).expect("writes");
    }
    stream.shutdown(Shutdown::Write).expect("ends");
    // The lab's end comes when all was read there.
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
    gigabits(BULK, start.elapsed())
}

/// A running lab.
struct Lab {
    child: Stopped,
    doors: Vec<SocketAddr>,
}

impl Lab {
    fn start(program: &Path, folder: &Path) -> Lab {
        let child = Command::new(program)
            .args(["--quiet", "up", "--proxy", "off", "--json"])
            .arg(folder)
            .env("XDG_RUNTIME_DIR", folder)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = Stopped(child.expect("it starts"));
        let mut lines = BufReader::new(child.0.stdout.take().expect("its words")).lines();
        let up = lines.next().expect("it comes up").expect("a line");
        // What it says of each connection must be read, or it would wait.
        std::thread::spawn(move || lines.for_each(drop));
        let doors = up.split("\"listen\":\"").skip(1).map(|rest| {
            let address = rest.split('"').next().unwrap_or_default();
            address.parse().expect("an address")
        });
        Lab { doors: doors.collect(), child }
    }

    /// What it used until now, on Linux.
    fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.0.id()));
        let stat = stat.unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        // utime and stime, in hundredths of a second.
        fields.skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

/// nginx with the same file, when it is installed.
fn nginx(folder: &Path) -> Option<Served> {
    let at = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
    let conf = nginx_conf(folder, "pid", &at.to_string());
    std::fs::write(folder.join("nginx.conf"), conf).ok()?;
    let mut child = Command::new("nginx");
    child.arg("-c").arg(folder.join("nginx.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Stopped(child.spawn().ok()?);
    for _ in 0..100 {
        if TcpStream::connect(at).is_ok() {
            return Some(Served { doors: vec![at], _ends: vec![child] });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

pub(crate) fn nginx_conf(folder: &Path, pid: &str, listen: &str) -> String {
    format!(
        "daemon off; worker_processes 1; pid {0}/{pid}; error_log /dev/null;\nevents {{ \
         worker_connections 1024; }}\nhttp {{ access_log off; keepalive_requests 1000000000;\n\
         server {{ listen {listen} backlog=1024; root {0}/www; }} }}\n",
        folder.display()
    )
}

/// A child that does not outlive the measurement.
pub(crate) struct Stopped(pub(crate) Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself; nginx ends its worker only when it is asked to.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
