//! The other way into a virtual network without root: slirp4netns, with real servers behind it in a
//! network namespace. It has a TCP/IP stack of its own in user space, too, with a real kernel as its
//! peer, and the same MTU as our labs.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::publish::{BULK, Served, Stopped, nginx_conf};

/// The address that slirp4netns gives its guest, and where servers listen there.
const GUEST: &str = "10.0.2.100";
const PORTS: [u16; 3] = [8080, 9000, 9001];

/// Starts a namespace with nginx, a source and a sink, reached through slirp4netns. `None` when a
/// tool is missing or the system gives no namespace.
pub(crate) fn start(folder: &Path) -> Option<Served> {
    let own = std::env::current_exe().ok()?;
    // As root, a user namespace would only keep nginx from changing its user.
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
    let mut bulk = Command::new("unshare");
    bulk.args(if root { &["-n"][..] } else { &["-c", "-n"] }).arg(own).arg("bulk-server");
    let mut bulk = Stopped(bulk.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?);
    // It says a word when it listens, and so is in its namespace.
    let mut word = [0; 1];
    bulk.0.stdout.as_mut()?.read_exact(&mut word).ok()?;
    let pid = bulk.0.id().to_string();

    let conf = folder.join("slirp-nginx.conf");
    std::fs::write(&conf, nginx_conf(folder, "slirp-pid", &PORTS[0].to_string())).ok()?;
    let mut nginx = Command::new("nsenter");
    nginx.args(["-t", &pid, "-n"]);
    if !root {
        nginx.args(["-U", "--preserve-credentials"]);
    }
    nginx.arg("nginx").arg("-c").arg(&conf).stdout(Stdio::null()).stderr(Stdio::null());
    let nginx = Stopped(nginx.spawn().ok()?);

    let socket = folder.join("slirp.sock");
    let mut slirp = Command::new("slirp4netns");
    slirp.args(["--configure", "--mtu=1500", "--api-socket"]).arg(&socket).args([&pid, "tap0"]);
    let slirp = Stopped(slirp.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?);
    let mut doors = Vec::new();
    for guest in PORTS {
        let at = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?;
        forward(&socket, at, guest)?;
        doors.push(at);
    }
    let served = wait(|| page(doors[0])).is_some();
    served.then_some(Served { doors, _ends: vec![slirp, nginx, bulk] })
}

/// Asks for a forward over the API socket, once it is there.
fn forward(socket: &Path, at: SocketAddr, guest: u16) -> Option<()> {
    let mut api = wait(|| UnixStream::connect(socket).ok())?;
    let ask = format!(
        "{{\"execute\":\"add_hostfwd\",\"arguments\":{{\"proto\":\"tcp\",\"host_addr\":\"{}\",\
         \"host_port\":{},\"guest_addr\":\"{GUEST}\",\"guest_port\":{guest}}}}}",
        at.ip(),
        at.port()
    );
    api.write_all(ask.as_bytes()).ok()?;
    api.shutdown(Shutdown::Write).ok()?;
    let mut said = String::new();
    api.read_to_string(&mut said).ok()?;
    (!said.contains("error")).then_some(())
}

/// Whether a page comes: the namespace's address and its server are there.
fn page(at: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET /1k HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(())
}

fn wait<T>(mut there: impl FnMut() -> Option<T>) -> Option<T> {
    (0..100).find_map(|_| {
        let found = there();
        if found.is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        found
    })
}

/// The source and the sink, in the namespace: `netarium-bench bulk-server`.
pub(crate) fn bulk_server() {
    let serve = |port: u16, each: fn(TcpStream)| {
        let listener = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || each(stream));
            }
        })
    };
    let threads = [serve(PORTS[1], source), serve(PORTS[2], sink)];
    println!("!");
    for thread in threads {
        let _ = thread.join();
    }
}

fn source(mut stream: TcpStream) {
    let (piece, mut left) = (vec![7; 256 * 1024], BULK);
    while left > 0 {
        let n = left.min(piece.len() as u64) as usize;
        // A reader that goes away ends it.
        if stream.write_all(&piece[..n]).is_err() {
            return;
        }
        left -= n as u64;
    }
}

fn sink(mut stream: TcpStream) {
    let mut buffer = vec![0; 256 * 1024];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}
