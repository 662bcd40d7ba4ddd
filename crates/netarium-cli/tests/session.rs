//! A session with the programs that people use, recorded while files and wires change, and replayed
//! in processes of their own: one by one and many at once.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Running, command};

const LAB: &str = r#"
version = 1
lab.name = "session"
[networks.lan]
subnet = "10.0.0.0/24"
link = { rate = "200Mbit", up = { loss = 0.005 } }
[hosts.web]
networks.lan = "10.0.0.1"
programs = ["httpd --root htdocs"]
[gateway]
network = "lan"
address = "10.0.0.254"
[publish]
"127.0.0.1:0" = "10.0.0.1:80"
"#;

/// Nothing takes this long; a wait that does is a failure with a name instead of a hang.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
/// How many replays are compared.
const REPLAYS: usize = 20;
/// How many of them run at once in the second half.
const AT_ONCE: usize = 5;

/// The path of a real program, or that the test does without it.
fn real(name: &str) -> Option<&str> {
    let found = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: {name} is not installed");
    }
    found.then_some(name)
}

fn write_lab(folder: &Path) {
    std::fs::create_dir_all(folder.join("htdocs")).unwrap();
    std::fs::write(folder.join("lab.toml"), LAB).unwrap();
    let page = "<html><title>first</title><img src=one.svg><img src=two.svg></html>";
    std::fs::write(folder.join("htdocs/index.html"), page).unwrap();
    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>";
    std::fs::write(folder.join("htdocs/one.svg"), svg).unwrap();
    std::fs::write(folder.join("htdocs/two.svg"), svg).unwrap();
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(folder.join("htdocs/big.bin"), big).unwrap();
}

fn browse(home: &Path, url: &str) -> Option<String> {
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--dump-dom",
        &profile,
        url,
    ];
    let out = Command::new(real("chromium")?).args(flags).env("HOME", home).output().unwrap();
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Real clients, some at once; a page that is edited; a wire that is changed and cut.
fn session(lab: &Running, home: &Path) {
    let url = |path: &str| format!("http://{}/{path}", lab.door());
    let get = |path: &str| {
        let out = Command::new("curl").args(["-s", &url(path)]).output().unwrap();
        assert!(out.status.success());
        out.stdout
    };
    let slow = real("wget").map(|wget| {
        let args = ["-q", "--limit-rate=1m", "-O", "slow.bin", &url("big.bin")];
        Command::new(wget).args(args).current_dir(home).spawn().unwrap()
    });
    let text = |path: &str| String::from_utf8(get(path)).unwrap();
    assert!(text("").contains("first"));
    if let Some(dom) = browse(home, &url("")) {
        assert!(dom.contains("<title>first"), "{dom}");
    }
    // The watch on the folder brings it in when the system tells.
    std::fs::write(home.join("lab/htdocs/index.html"), "<title>second</title>").unwrap();
    let patience = std::time::Instant::now() + PATIENCE;
    while !text("").contains("second") {
        assert!(std::time::Instant::now() < patience, "the edit does not enter the lab");
    }
    assert_eq!(lab.run(&["link", "web.lan", "--delay", "2ms", "--loss", "2%"]).0, 0);
    let waiting =
        Command::new("curl").args(["-s", "-o", "page", &url("")]).current_dir(home).spawn();
    assert_eq!(lab.run(&["link", "web.lan", "down"]).0, 0);
    assert_eq!(lab.run(&["link", "web.lan", "up"]).0, 0);
    assert!(waiting.unwrap().wait().unwrap().success());
    assert_eq!(get("big.bin").len(), 3_000_000);
    if let Some(mut slow) = slow {
        assert!(slow.wait().unwrap().success());
        let whole = std::fs::read(home.join("lab/htdocs/big.bin")).unwrap();
        assert!(std::fs::read(home.join("slow.bin")).unwrap() == whole);
    }
}

#[test]
fn a_session_of_real_clients_replays_the_same_every_time() {
    if real("curl").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write_lab(&home.join("lab"));
    let lab =
        Running::start(home, &["lab", "--record", "s.rec", "--trace", "live.jsonl", "--seed", "5"]);
    session(&lab, home);
    lab.stop();

    let replay = |n: usize| {
        let files = ["--pcap", &format!("{n}.pcapng"), "--trace", &format!("{n}.jsonl")];
        let args = [&["-q", "replay", "s.rec"], &files[..]].concat();
        command(home, &args).spawn().unwrap()
    };
    let bytes = |n: usize, kind: &str| std::fs::read(home.join(format!("{n}.{kind}"))).unwrap();
    let numbers: Vec<usize> = (0..REPLAYS).collect();
    let (one_by_one, at_once) = numbers.split_at(REPLAYS / 2);
    for &n in one_by_one {
        assert!(replay(n).wait().unwrap().success(), "replay {n}");
    }
    for group in at_once.chunks(AT_ONCE) {
        let all: Vec<_> = group.iter().map(|&n| replay(n)).collect();
        assert!(all.into_iter().all(|mut child| child.wait().unwrap().success()));
    }
    assert!(bytes(0, "pcapng").len() > 6_000_000);
    // Programs that are torn down with the live world close their sockets: the run has ended then.
    let live = std::fs::read(home.join("live.jsonl")).unwrap();
    assert!(live.starts_with(&bytes(0, "jsonl")), "the replay is not the live run");
    for n in 1..REPLAYS {
        assert!(bytes(n, "pcapng") == bytes(0, "pcapng"), "the capture of replay {n}");
        assert!(bytes(n, "jsonl") == bytes(0, "jsonl"), "the trace of replay {n}");
        for kind in ["pcapng", "jsonl"] {
            std::fs::remove_file(home.join(format!("{n}.{kind}"))).unwrap();
        }
    }
}
