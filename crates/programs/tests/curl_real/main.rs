//! The real curl and ours, given the same command lines and the same server: what they say, how
//! they end, what they send, and which files they leave must be the same.
//!
//! `lines.txt` has the command lines. The server ([`script`]) is one function from request to
//! answer; the real curl meets it over loopback, ours over the loopback of a lab host.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "asks the real one"
)]

mod mask;
mod ours;
mod real;
mod script;

use std::collections::BTreeMap;

/// The version whose words ours are.
const VERSION: &str = "curl 7.88.1 ";
const LINES: &str = include_str!("lines.txt");

/// What came of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    code: i32,
    out: Vec<u8>,
    err: Vec<u8>,
    /// Each request as it came, by connection.
    wire: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
}

/// The files that every command finds.
fn files() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("data.txt", b"line one\nline two\r\n".as_slice()),
        ("data.bin", b"\x00\x01binary\xff\n"),
        ("page.html", b"<p>hi\n"),
        ("heads.txt", b"X-From-File: 1\nX-Second: two\n"),
        ("cookies.txt", include_bytes!("cookies.txt")),
        ("heads.cookies", b"HTTP/1.1 200 OK\r\nSet-Cookie: fromhead=1; path=/\r\n\r\n"),
        ("part.txt", b"0123456789"),
        ("wfmt.txt", b"%{http_code} from file\\n"),
        ("curlrc", include_bytes!("curlrc")),
        ("form.txt", b"form file\n"),
        ("old.etag", b"\"v1\""),
        (".netrc", b"machine 127.0.0.1 login me password secret\n"),
    ]
}

/// The words of a line; those in double quotation marks are one, `{P}` is the server's port.
fn words(line: &str, port: u16) -> Vec<String> {
    let line = line.replace("URL", &format!("http://127.0.0.1:{port}"));
    let line = line.replace("{P}", &port.to_string());
    let (mut all, mut word, mut open, mut quoted) = (vec![], String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (open, quoted) = (!open, true),
            ' ' if !open => {
                if quoted || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                quoted = false;
            }
            c => word.push(c),
        }
    }
    if quoted || !word.is_empty() {
        all.push(word);
    }
    all
}

#[test]
fn says_and_does_what_the_real_one_does() {
    let Some(version) = real::version() else {
        return eprintln!("skipped: there is no curl here");
    };
    if !version.starts_with(VERSION) {
        return eprintln!("skipped: this is no {VERSION}but `{version}`");
    }
    let lines = LINES.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let only = std::env::var("CURL_LINE").ok();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for line in lines.filter(|l| only.as_deref().is_none_or(|o| l.contains(o))) {
        count += 1;
        let server = real::Server::start();
        let port = server.port;
        let theirs = mask::all(real::run(server, &words(line, port)));
        let ours = mask::all(ours::run(port, &words(line, port)));
        let (theirs, ours) = (show(&theirs), show(&ours));
        if theirs != ours {
            wrong.push(format!("$ curl {line}\n{}", difference(&theirs, &ours)));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(only.is_some() || count >= 60, "only {count} lines");
}

fn show(said: &Said) -> String {
    let text = |b: &[u8]| b.escape_ascii().to_string().replace("\\n", "\\n\n");
    let mut all = format!("exit {}\n-- out\n{}\n", said.code, text(&said.out));
    all.push_str(&format!("-- err\n{}\n", text(&said.err)));
    for request in &said.wire {
        all.push_str(&format!("-- wire\n{}\n", text(request.as_bytes())));
    }
    for (name, contents) in &said.files {
        all.push_str(&format!("-- file {name}\n{}\n", text(contents)));
    }
    all
}

/// The two, line by line; `-` is theirs, `+` ours.
fn difference(theirs: &str, ours: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let mut longest = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = if a[i] == b[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            out.push_str(&format!("  {}\n", a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            out.push_str(&format!("- {}\n", a[i]));
            i += 1;
        } else {
            out.push_str(&format!("+ {}\n", b[j]));
            j += 1;
        }
    }
    out
}

/// The server listens before curl chooses a port of its own: 40381 is the one that it would take.
#[test]
fn the_server_is_there_first() {
    let port = 40_381;
    let said = ours::run(port, &words("-sS URL/hello", port));
    assert_eq!((said.code, said.out.as_slice()), (0, b"hello\n".as_slice()));
}
