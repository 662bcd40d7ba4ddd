//! The real curl, over the real loopback.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::Said;
use super::script::{Conversation, State};

/// `curl --version`'s first line.
pub(crate) fn version() -> Option<String> {
    let out = Command::new("curl").arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&out.stdout).lines().next()?.to_owned())
}

/// The scripted server for one command.
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // Ends with the test: nobody connects any more.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Server { port, state }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let _ = stream.set_nodelay(true);
    let mut conversation = Conversation::new(&mut state.lock().expect("no panic"));
    let mut buffer = [0; 16 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let reply = conversation.feed(&buffer[..n], &mut state.lock().expect("no panic"));
        if stream.write_all(&reply.bytes).is_err() || reply.close {
            return;
        }
    }
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Runs curl in a folder of its own.
pub(crate) fn run(server: Server, args: &[String]) -> Said {
    let name =
        format!("netarium-curl-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, contents) in super::files() {
        std::fs::write(folder.join(name), contents).expect("a file");
    }
    let mut child = Command::new("curl")
        .args(args)
        .current_dir(&folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &folder)
        .env("LC_ALL", "C")
        .env("COLUMNS", "80")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let _ = stdin.write_all(super::ours::STDIN);
    drop(stdin);
    let out = child.wait_with_output().expect("curl ends");
    let files = left(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    let wire = server.state.lock().expect("no panic").wire();
    Said { code: out.status.code().unwrap_or(-1), out: out.stdout, err: out.stderr, wire, files }
}

/// The files that were not there before, or changed.
fn left(folder: &PathBuf) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("below it").display().to_string();
            all.insert(name, std::fs::read(&path).expect("a file"));
        }
    }
    for (name, contents) in super::files() {
        if all.get(name).is_some_and(|c| c == contents) {
            all.remove(name);
        }
    }
    all
}
