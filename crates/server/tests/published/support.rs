//! A lab with small servers of its own, published on real ports.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use netarium_lab::build::{BuildOptions, world};
use netarium_lab::{Files, Lab};
use netarium_programs::Builtin;
use netarium_server::api::new_token;
use netarium_server::client::Client;
use netarium_server::folder::LabFolder;
use netarium_server::proxy::ProxyOptions;
use netarium_server::publish::Limits;
use netarium_server::recording::Tape;
use netarium_server::report::{Notice, Reporter};
use netarium_server::up::{Door, Options, RunningLab};
use netarium_server::{Pace, WorldHandle};
use netarium_world::process::{LocalBoxFuture, Process, Program, Programs, TcpListener, UdpSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Nothing takes this long; a wait that does is a failure with a name instead of a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: no end in sight"))
}

/// What the test server's host can run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Servers;

const SERVERS: &[(&str, Program)] = &[
    ("echo", |p| serve(p, echo)),
    ("half", |p| serve(p, half)),
    ("silent", |p| serve(p, silent)),
    ("slam", |p| serve(p, slam)),
    ("cat", cat),
    ("udp-echo", |p| Box::pin(datagrams(p, |bytes, _| Some(bytes.to_vec())))),
    ("udp-who", |p| Box::pin(datagrams(p, |_, from| Some(from.to_string().into_bytes())))),
    ("dns", |p| Box::pin(datagrams(p, |query, _| answer(query)))),
    ("whoami", |p| serve(p, whoami)),
    ("http", |p| serve(p, http)),
];

impl Programs for Servers {
    fn names(&self) -> Vec<&'static str> {
        let own = SERVERS.iter().map(|s| s.0);
        own.chain(Builtin.names()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn start(&self, name: &str) -> Option<Program> {
        SERVERS.iter().find(|s| s.0 == name).map(|s| s.1).or_else(|| Builtin.start(name))
    }
}

type Stream = netarium_world::process::TcpStream;

fn serve(p: Process, each: fn(Process, Stream) -> LocalBoxFuture<()>) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let port: u16 = p.args()[1].parse().unwrap();
        let at = std::net::SocketAddr::from(([0, 0, 0, 0], port));
        let listener = TcpListener::bind(&p, at, 1024).unwrap();
        loop {
            let Ok((stream, _)) = listener.accept().await else { return 1 };
            p.spawn(each(p, stream));
        }
    })
}

/// Sends back what comes, until the end.
fn echo(_: Process, mut stream: Stream) -> LocalBoxFuture<()> {
    Box::pin(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
        let _ = stream.shutdown().await;
    })
}

/// Says goodbye at once, then reads to the end and drops.
fn half(_: Process, mut stream: Stream) -> LocalBoxFuture<()> {
    Box::pin(async move {
        let _ = stream.write_all(b"bye").await;
        let _ = stream.shutdown().await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
}

/// Accepts and never reads; ends with its peer.
fn silent(p: Process, stream: Stream) -> LocalBoxFuture<()> {
    Box::pin(async move {
        p.sleep(netarium_base::Duration::from_secs(1_000_000)).await;
        drop(stream);
    })
}

/// Breaks the connection off after the first byte.
fn slam(_: Process, mut stream: Stream) -> LocalBoxFuture<()> {
    Box::pin(async move {
        let mut one = [0];
        let _ = stream.read(&mut one).await;
        stream.abort();
    })
}

/// Says who connected, and goodbye.
fn whoami(_: Process, mut stream: Stream) -> LocalBoxFuture<()> {
    Box::pin(async move {
        let who = stream.peer_addr().ip().to_string();
        let _ = stream.write_all(who.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
}

/// Answers each request with what it was asked, and who asked.
fn http(_: Process, mut stream: Stream) -> LocalBoxFuture<()> {
    Box::pin(async move {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            seen.extend_from_slice(&buffer[..n]);
            while let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&seen[..end + 4]).into_owned();
                seen.drain(..end + 4);
                let text = format!("{}\n{head}", stream.peer_addr());
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nKeep-Alive: timeout=5\r\n\
                     Content-Length: {}\r\n\r\n{text}",
                    text.len()
                );
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
}

/// Answers datagrams on a port.
async fn datagrams(p: Process, answer: fn(&[u8], SocketAddr) -> Option<Vec<u8>>) -> i32 {
    let port: u16 = p.args()[1].parse().unwrap();
    let at = SocketAddr::from(([0, 0, 0, 0], port));
    let socket = UdpSocket::bind(&p, at).unwrap();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((n, meta)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(bytes) = answer(&buffer[..n], meta.from) {
            let _ = socket.send_to(&bytes, meta.from).await;
        }
    }
}

/// A name server for which every name is 192.0.2.7 (RFC 1035 §4).
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let name_end = 12 + query.get(12..)?.iter().position(|&b| b == 0)?;
    let question = query.get(12..name_end + 5)?;
    let mut out = query.get(..2)?.to_vec();
    out.extend([0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    out.extend_from_slice(question);
    out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    Some(out)
}

/// Standard input to standard output.
fn cat(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let (mut stdin, mut stdout) = (p.stdin(), p.stdout());
        let mut buffer = vec![0; 4096];
        while let Ok(n @ 1..) = stdin.read(&mut buffer).await {
            if stdout.write_all(&buffer[..n]).await.is_err() {
                return 1;
            }
        }
        7
    })
}

const LAB: &str = r#"
version = 1
lab.name = "doors"
[networks.lan]
subnet = "10.0.0.0/24"
[hosts.server]
networks.lan = "10.0.0.1"
programs = [
    "echo 7", "half 8", "silent 9", "slam 10", "whoami 11", "http 80", "udp-echo 7", "udp-who 11", "dns 53",
]
[hosts.wall]
networks.lan = "10.0.0.2"
firewall.inbound = []
[hosts.friend]
networks.lan = "10.0.0.3"
[gateway]
network = "lan"
address = "10.0.0.254"
[publish]
"127.0.0.1:0" = "10.0.0.1:TO"
"#;

/// A lab that runs, its one door, and what it reports.
pub(crate) struct Up {
    pub(crate) lab: RunningLab,
    world: WorldHandle,
    pub(crate) doors: Vec<Door>,
    pub(crate) notices: mpsc::UnboundedReceiver<Notice>,
    pub(crate) runtime_dir: tempfile::TempDir,
}

impl Up {
    /// Starts the lab with a door to this port of the server.
    pub(crate) async fn to(port: u16) -> Up {
        Up::start(&LAB.replace("10.0.0.1:TO", &format!("10.0.0.1:{port}")), Limits::default()).await
    }

    /// Starts the lab with a door to an address.
    pub(crate) async fn to_address(address: &str, limits: Limits) -> Up {
        Up::start(&LAB.replace("10.0.0.1:TO", address), limits).await
    }

    /// Starts the lab in a folder on disk, whose edits enter it.
    pub(crate) async fn with_folder(port: u16) -> (Up, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let text = LAB.replace("10.0.0.1:TO", &format!("10.0.0.1:{port}"));
        std::fs::write(folder.path().join("lab.toml"), &text).unwrap();
        std::fs::write(folder.path().join("page.html"), "as it was").unwrap();
        let read = LabFolder::read(folder.path()).unwrap();
        (Up::start_in(&text, Limits::default(), Some(read)).await, folder)
    }

    pub(crate) async fn start(text: &str, limits: Limits) -> Up {
        Up::start_in(text, limits, None).await
    }

    /// Starts the lab with a published UDP port.
    pub(crate) async fn datagrams_to(port: u16, limits: Limits) -> Up {
        let text = LAB.replace("127.0.0.1:0\"", "127.0.0.1:0/udp\"");
        Up::start(&text.replace("10.0.0.1:TO", &format!("10.0.0.1:{port}")), limits).await
    }

    /// Starts the lab with a proxy whose connections come from a host.
    pub(crate) async fn with_proxy(from: Option<&str>) -> Up {
        let (listen, from) = (SocketAddr::from(([127, 0, 0, 1], 0)), from.map(str::to_owned));
        let proxy = Some(ProxyOptions { listen, from });
        let text = LAB.replace("10.0.0.1:TO", "10.0.0.1:11");
        Up::start_with(&text, Limits::default(), None, (proxy, false)).await
    }

    /// Starts the lab with a port of `friend` behind which a real server stands.
    pub(crate) async fn attached(port: u16, to: SocketAddr, allowed: bool) -> Up {
        let text = LAB.replace("10.0.0.1:TO", &format!("10.0.0.3:{port}"));
        let text = format!("{text}\n[attach]\n\"friend:{port}\" = \"{to}\"\n");
        Up::start_with(&text, Limits::default(), None, (None, allowed)).await
    }

    async fn start_in(text: &str, limits: Limits, folder: Option<LabFolder>) -> Up {
        Up::start_with(text, limits, folder, (None, false)).await
    }

    async fn start_with(
        text: &str,
        limits: Limits,
        folder: Option<LabFolder>,
        (proxy, allow_attach): (Option<ProxyOptions>, bool),
    ) -> Up {
        let lab = Lab::from_parts("lab.toml", text, &Files::new(), &Servers.names())
            .unwrap_or_else(|e| panic!("{e}"));
        let runtime_dir = tempfile::tempdir().unwrap();
        let options = Options {
            lab,
            folder,
            what: "test".to_owned(),
            name: None,
            pace: Pace::Times(1.0),
            limits,
            proxy,
            allow_attach,
            runtime_dir: runtime_dir.path().join("run"),
            tape: Tape::temporary(),
        };
        let (tx, notices) = mpsc::unbounded_channel();
        let reporter = Reporter::new(move |notice| drop(tx.send(notice)));
        let build = |lab: &Lab| {
            let programs = Rc::new(Servers);
            let runs = false;
            world(lab, BuildOptions { seed: 1, epoch: None, trace_limit: 1000, runs, programs })
        };
        let (lab, doors) = RunningLab::start(options, reporter, build).await.unwrap();
        let world = lab.world();
        Up { lab, world, doors, notices, runtime_dir }
    }

    /// A real connection through the door.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.doors[0].view.listen).await.unwrap()
    }

    /// Connects where the connection will be reset, which may happen before or after it seems
    /// established, and gives the error.
    pub(crate) async fn connect_in_vain(&self) -> std::io::Error {
        match TcpStream::connect(self.doors[0].view.listen).await {
            Ok(mut stream) => soon("the reset", stream.read_u8()).await.unwrap_err(),
            Err(e) => e,
        }
    }

    /// The next notice that `pick` wants.
    pub(crate) async fn notice<T>(&mut self, pick: impl Fn(Notice) -> Option<T>) -> T {
        soon("a notice", async {
            loop {
                if let Some(found) = pick(self.notices.recv().await.expect("the lab runs")) {
                    return found;
                }
            }
        })
        .await
    }

    pub(crate) fn world(&self) -> &WorldHandle {
        &self.world
    }

    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::new(Client::new(self.lab.info().clone()))
    }

    /// The TCP sockets of a host that are neither listening nor waiting out their time.
    pub(crate) async fn live_sockets(&self, host: &'static str) -> usize {
        let count = self.world().query(move |world| {
            let id = world.host_id(host).unwrap();
            let sockets = world.stack(id).unwrap().sockets();
            sockets.iter().filter(|s| !["LISTEN", "TIME_WAIT", ""].contains(&s.state)).count()
        });
        count.await.unwrap()
    }

    /// Asks until the host has no live socket; each question is answered after what came before.
    pub(crate) async fn no_sockets_remain(&self, host: &'static str) {
        soon("the sockets' end", async {
            while self.live_sockets(host).await > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Bytes that no shift or repetition hides.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_9abc_def0_u64;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

/// A token that is certainly not the lab's.
pub(crate) fn other_token() -> String {
    new_token().unwrap()
}
