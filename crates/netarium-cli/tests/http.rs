//! Real HTTP clients at a published port: curl, wget, Python, ab, wrk.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use common::Running;

/// A lab with one host, published.
fn lab(folder: &Path, program: &str, files: &[(&str, &str)]) {
    let text = format!(
        "version = 1\n[networks.lan]\nsubnet = \"10.0.0.0/24\"\n[hosts.web]\nnetworks.lan = \"10.0.0.1\"\n\
         programs = [\"{program}\"]\n[gateway]\nnetwork = \"lan\"\naddress = \"10.0.0.254\"\n\
         [publish]\n\"127.0.0.1:0\" = \"10.0.0.1:80\"\n"
    );
    for (path, contents) in files.iter().chain([&("lab.toml", text.as_str())]) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
}

/// What a real program says; `None`, and the test says so, when it is not there.
fn real(program: &str, args: &[&str]) -> Option<String> {
    let there =
        Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_err() {
        eprintln!("skipped: {program} is not installed");
        return None;
    }
    let out = Command::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success(), "{program} {args:?}: {text}");
    Some(text)
}

/// Everything that comes back for raw bytes.
fn raw(door: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(door).unwrap();
    // A server that refuses may close before all is written.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

const ROUTES: &str = "[[route]]\npath = \"echo\"\necho = true\nbody_max = 2000000\n";
const PYTHON: &str = r#"
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1])
def ask(method, path, body=None, headers={}, **more):
    c.request(method, path, body, headers, **more)
    r = c.getresponse()
    return r.status, r.read(), r.headers
status, body, headers = ask("GET", "/a.txt")
assert (status, body) == (200, b"0123456789"), (status, body)
tag = headers["ETag"]
assert ask("GET", "/a.txt", headers={"If-None-Match": tag})[:2] == (304, b"")
assert ask("GET", "/a.txt", headers={"If-Match": '"x"'})[0] == 412
assert ask("GET", "/a.txt", headers={"Range": "bytes=2-4"})[:2] == (206, b"234")
assert ask("GET", "/a.txt", headers={"Range": "bytes=20-"})[0] == 416
assert ask("HEAD", "/a.txt")[:2] == (200, b"")
assert ask("OPTIONS", "/a.txt")[2]["Allow"] == "GET, HEAD, OPTIONS"
assert ask("PUT", "/a.txt", b"x")[0] == 405
status, body, _ = ask("POST", "/echo", iter([b"hello ", b"world"]), encode_chunked=True)
assert status == 200 and body.endswith(b"\n\nhello world"), body
status, body, _ = ask("POST", "/echo", b"x" * 1000000)
assert status == 200 and body.endswith(b"x" * 1000000)
print("all good on one connection")
"#;

#[test]
fn real_clients_get_right_answers() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let files = [
        ("htdocs/index.html", "<p>hi"),
        ("htdocs/a.txt", "0123456789"),
        ("routes.toml", ROUTES),
        ("ask.py", PYTHON),
    ];
    lab(&home.join("lab"), "httpd --root htdocs --routes routes.toml", &files);
    let running = Running::start(home, &["lab"]);
    let door = running.door();
    let url = |path: &str| format!("http://{door}{path}");
    if let Some(said) = real("curl", &["-s", "-r", "0-0,-1", &url("/a.txt")]) {
        assert!(said.contains("Content-Range: bytes 9-9/10\r\n\r\n9\r\n"), "{said}");
        let said =
            real("curl", &["-s", "-i", "-H", "Expect: 100-continue", "-d", "x=1", &url("/echo")]);
        assert!(said.unwrap().starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
        let said = real("curl", &["-s", "-T", "-", "-H", "Expect:", &url("/echo")]).unwrap();
        assert!(said.starts_with("PUT /echo HTTP/1.1\n"), "{said}");
        let all =
            ["-s", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\n"];
        let two = [url("/a.txt"), url("/none")];
        let said = real("curl", &[&all[..], &[two[0].as_str(), two[1].as_str()]].concat()).unwrap();
        assert_eq!(said, "200 1\n404 0\n", "one connection");
    }
    if let Some(said) = real("wget", &["-S", "-O", "-", &url("/a.txt")]) {
        assert!(said.contains("0123456789") && said.contains("200 OK"), "{said}");
    }
    let script = home.join("lab/ask.py").display().to_string();
    if let Some(said) = real("python3", &[&script, &door]) {
        assert_eq!(said, "all good on one connection\n");
    }
    if let Some(said) = real("ab", &["-q", "-k", "-n", "500", "-c", "10", &url("/a.txt")]) {
        assert!(said.contains("Complete requests:      500"), "{said}");
        assert!(said.contains("Failed requests:        0"), "{said}");
        assert!(!said.contains("Non-2xx responses"), "{said}");
    }
    if let Ok(out) = Command::new("wrk").args(["-t1", "-c10", "-d1s", &url("/a.txt")]).output() {
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(said.contains("requests in") && !said.contains("Non-2xx"), "{said}");
        assert!(!said.contains("Socket errors"), "{said}");
    }
    running.stop();
}

#[test]
fn smuggled_requests_are_not_answered() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    lab(&home.join("lab"), "httpd --root htdocs", &[("htdocs/index.html", "<p>hi")]);
    let running = Running::start(home, &["lab"]);
    let door = running.door();
    for fields in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "X: a\nTransfer-Encoding: chunked\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n",
        "Host: other\r\n",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: web\r\n{fields}\r\n0\r\n\r\nGET /secret HTTP/1.1\r\nHost: web\r\n\r\n"
        );
        let said = raw(&door, request.as_bytes());
        assert!(said.starts_with("HTTP/1.1 400 "), "{fields:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{fields:?}: {said}");
    }
    let log = running.run(&["exec", "web", "cat", "/var/log/httpd/access_log"]).1;
    assert!(!log.contains("/secret"), "{log}");
    running.stop();
}
