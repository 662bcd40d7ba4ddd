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
const BULK: u64 = 1 << 30;

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
    let nginx = nginx(&folder);
    println!("published port, medians of {RUNS}; nginx is asked directly, with nothing between");
    both("wrk -c64, keep-alive, 1 kB, requests/s", &lab.doors[0], nginx.as_ref(), wrk);
    both("ab -c32, a new connection each, requests/s", &lab.doors[0], nginx.as_ref(), ab);
    let rates = |f: fn(SocketAddr) -> f64, door| median((0..RUNS).map(|_| f(door)).collect());
    println!("  bulk out of the lab   {:8.2} Gbit/s", rates(download, lab.doors[1]));
    println!("  bulk into the lab     {:8.2} Gbit/s", rates(upload, lab.doors[2]));
    println!("  processor time of netarium   {:8.2} s", lab.processor_seconds());
    drop((lab, nginx));
    let _ = std::fs::remove_dir_all(&folder);
}

fn both(
    what: &str,
    door: &SocketAddr,
    nginx: Option<&(Stopped, SocketAddr)>,
    measure: fn(SocketAddr) -> Option<f64>,
) {
    let of = |at: SocketAddr| {
        let figures: Vec<f64> = (0..RUNS).filter_map(|_| measure(at)).collect();
        (!figures.is_empty()).then(|| median(figures))
    };
    let Some(ours) = of(*door) else { return println!("  {what}: skipped, the tool is missing") };
    match nginx.and_then(|(_, at)| of(*at)) {
        Some(peer) => {
            println!("  {what}: {ours:.0}, nginx {peer:.0}, ratio {:.2}", ours / peer);
        }
        None => println!("  {what}: {ours:.0}"),
    }
}

/// The number behind a word at the beginning of a line.
fn figure(program: &str, args: &[&str], word: &str) -> Option<f64> {
    let out = Command::new(program).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    for bad in ["Non-2xx", "Socket errors"] {
        if let Some(line) = text.lines().find(|l| l.contains(bad)) {
            println!("  ({program}: {})", line.trim());
        }
    }
    let line = text.lines().find(|l| l.trim_start().starts_with(word))?;
    line.split_whitespace().find_map(|w| w.parse().ok())
}

fn wrk(at: SocketAddr) -> Option<f64> {
    figure("wrk", &["-t1", "-c64", "-d3s", &format!("http://{at}/1k")], "Requests/sec")
}

fn ab(at: SocketAddr) -> Option<f64> {
    let url = format!("http://{at}/1k");
    figure("ab", &["-q", "-n", "20000", "-c", "32", &url], "Requests per second")
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
fn nginx(folder: &Path) -> Option<(Stopped, SocketAddr)> {
    let at = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
    let conf = format!(
        "daemon off; worker_processes 1; pid {0}/pid; error_log /dev/null;\nevents {{ \
         worker_connections 1024; }}\nhttp {{ access_log off; keepalive_requests 1000000000;\n\
         server {{ listen {at} backlog=1024; root {0}/www; }} }}\n",
        folder.display()
    );
    std::fs::write(folder.join("nginx.conf"), conf).ok()?;
    let mut child = Command::new("nginx");
    child.arg("-c").arg(folder.join("nginx.conf")).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Stopped(child.spawn().ok()?);
    for _ in 0..100 {
        if TcpStream::connect(at).is_ok() {
            return Some((child, at));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// A child that does not outlive the measurement.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself; nginx ends its worker only when it is asked to.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
