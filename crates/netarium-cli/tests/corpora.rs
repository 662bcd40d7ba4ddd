//! Other people's requests at a published port: REDbot's lint, and gunicorn's corpus of raw requests.
//! Neither is part of this repository: REDbot is run when it is installed (`pip install redbot`), the
//! corpus when `GUNICORN_SOURCE` names an unpacked source distribution of gunicorn
//! (`pip download --no-binary :all: --no-deps gunicorn`). docs/conformance.md has the results.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Running;

const LAB: &str = r#"
version = 1
[networks.lan]
subnet = "10.0.0.0/24"
[hosts.web]
networks.lan = "10.0.0.1"
programs = ["httpd --root htdocs"]
[gateway]
network = "lan"
address = "10.0.0.254"
[publish]
"127.0.0.1:0" = "10.0.0.1:80"
"#;

fn up(home: &Path) -> Running {
    let folder = home.join("lab/htdocs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(home.join("lab/lab.toml"), LAB).unwrap();
    std::fs::write(folder.join("index.html"), "<!DOCTYPE html><title>lab</title><p>hi\n").unwrap();
    std::fs::write(folder.join("a.txt"), "0123456789".repeat(1_000)).unwrap();
    Running::start(home, &["lab", "--proxy", "off"])
}

#[test]
fn redbot_finds_nothing_to_mend() {
    let home = tempfile::tempdir().unwrap();
    let lab = up(home.path());
    for page in ["a.txt", ""] {
        let url = format!("http://{}/{page}", lab.door());
        let out = match Command::new("redbot").args(["-o", "text", &url]).output() {
            Ok(out) => out,
            Err(e) => return println!("skipped: redbot: {e}"),
        };
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        for note in [
            "The server's clock is correct.",
            "The Content-Length header is correct.",
            "If-None-Match conditional requests are supported.",
            "If-Modified-Since conditional requests are supported.",
            "A ranged request returned the correct partial content.",
        ] {
            assert!(said.contains(note), "{page}: {note}\n{said}");
        }
    }
    lab.stop();
}

/// A file of the corpus: what stands for a byte is written out, ends of lines do not count.
fn request(file: &Path) -> Vec<u8> {
    let text = std::fs::read(file).unwrap();
    let mut bytes = text.into_iter().filter(|b| !matches!(b, b'\r' | b'\n')).peekable();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'x') => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => out.extend([Some(b'\\'), other].into_iter().flatten()),
        }
    }
    out
}

/// The status codes of everything that comes back.
fn statuses(door: &str, request: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(door).unwrap();
    // A server that refuses may close before all is written.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all);
    let code = |rest: &str| rest.get(2..5).and_then(|c| c.parse().ok());
    text.split("HTTP/1.").skip(1).filter_map(code).collect()
}

/// A request of HTTP/1.1 names its host; most of the corpus do not.
fn with_host(request: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&request);
    let (head, _) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    if !head.contains("HTTP/1.1") || head.to_ascii_lowercase().contains("\nhost:") {
        return request;
    }
    let line = request.windows(2).position(|w| w == b"\r\n").unwrap() + 2;
    [&request[..line], b"Host: web\r\n", &request[line..]].concat()
}

/// How many requests of a folder are served and refused, each of them answered once at most.
fn count(door: &str, folder: &Path, host: bool) -> (usize, usize) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "http"))
        .collect();
    files.sort();
    let (mut served, mut refused) = (0, 0);
    for file in files {
        let request = request(&file);
        let request = if host { with_host(request) } else { request };
        let answers = statuses(door, &request);
        let is_refused = matches!(answers.first(), Some(400 | 413 | 414 | 431 | 501 | 505));
        assert!(host || answers.len() <= 1, "{}: answered twice: {answers:?}", file.display());
        served += usize::from(!is_refused);
        refused += usize::from(is_refused);
    }
    (served, refused)
}

#[test]
fn gunicorns_corpus() {
    let Some(source) = std::env::var_os("GUNICORN_SOURCE") else {
        return println!("skipped: GUNICORN_SOURCE does not say where gunicorn's source is");
    };
    let requests = Path::new(&source).join("tests/requests");
    let home = tempfile::tempdir().unwrap();
    let lab = up(home.path());
    let (served, _) = count(&lab.door(), &requests.join("valid"), true);
    assert!(served >= 41, "{served} of the valid ones are served");
    let (_, refused) = count(&lab.door(), &requests.join("invalid"), false);
    assert!(refused >= 69, "{refused} of the invalid ones are refused");
    lab.stop();
}
