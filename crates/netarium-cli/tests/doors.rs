//! Real programs through the doors of a running lab: browsers, proxies, attached servers.
#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Running, command, netarium};

/// A program of this machine; says so when it is not there.
fn installed(program: &str) -> bool {
    let there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

fn proxy(lab: &Running) -> String {
    lab.up["lab"]["proxy"]["listen"].as_str().expect("a proxy").to_owned()
}

/// What a GET through real curl says.
fn curl(args: &[&str]) -> (i32, String) {
    let out = Command::new("curl").args(["-s", "--max-time", "60"]).args(args).output().unwrap();
    (out.status.code().unwrap(), String::from_utf8_lossy(&out.stdout).into_owned())
}

#[test]
fn the_proxy_shows_the_labs_names_and_addresses() {
    if !installed("curl") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course", "--proxy", "0", "--proxy-from", "pc"]);
    let (socks, http) = (format!("socks5h://{}", proxy(&lab)), format!("http://{}", proxy(&lab)));
    for through in [&socks, &http] {
        for url in ["http://192.168.17.17/", "http://web/"] {
            let (code, page) = curl(&["-x", through, url]);
            assert!(code == 0 && page.contains("<html"), "{through} {url}: {code} {page}");
        }
    }
    // Who asks is a host of the lab.
    let (_, log) = lab.run(&["exec", "web", "cat", "logs/access_log"]);
    assert!(!log.contains("10.0.0.1 "), "{log}");
    // Nothing outside.
    assert_eq!(curl(&["-x", &socks, "http://example.com/"]).0, 97);
    let (code, page) = curl(&["-x", &http, "http://example.com/"]);
    assert!(code == 0 && page.contains("was not reached"), "{page}");
    lab.stop();
}

/// Nobody reads what `up` says of them, and a pipe holds some 500 lines: two of each connection.
#[test]
fn who_does_not_read_what_is_said_holds_up_no_connection() {
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course", "--proxy", "off"]);
    for n in 0..600 {
        let mut stream = TcpStream::connect(lab.door()).unwrap();
        stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{n}: {answer}");
    }
    lab.stop();
}

#[test]
fn without_a_proxy_or_with_a_wrong_host() {
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course", "--proxy", "off"]);
    assert!(lab.up["lab"]["proxy"].is_null());
    lab.stop();
    let out = netarium(home.path(), &["up", "course", "--proxy-from", "nobody"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(2) && said.contains("no host `nobody`"), "{said}");
}

#[test]
fn a_browser_opens_the_labs_addresses_as_typed() {
    if !installed("chromium") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course", "--proxy", "0"]);
    let dump = |args: &[&str]| {
        let mut all = vec!["browser", "--with", "chromium", "--headless"];
        all.extend_from_slice(args);
        all.extend(["--", "--dump-dom"]);
        let out = netarium(home.path(), &all);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        text
    };
    // From inside the home network, by address and by name.
    for url in ["192.168.17.17", "http://web/"] {
        let page = dump(&["--at", "pc", url]);
        assert!(page.contains("<h1") && !page.contains("ERR_"), "{url}: {page}");
    }
    // Without a host where the lab file says, and without a page the first one; from the gateway the
    // forwarded port is what everybody sees.
    for args in [&["http://www.shop.lab/"][..], &[], &["--at", "gateway"]] {
        let page = dump(args);
        assert!(page.contains("<h1") && !page.contains("ERR_"), "{args:?}: {page}");
    }
    // `localhost` is the lab host's own: nobody listens there.
    let page = dump(&["--at", "pc", &format!("http://{}/", proxy(&lab))]);
    assert!(!page.contains("This is a proxy"), "{page}");
    let left: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with("netarium-browser-"))
        .collect();
    assert!(left.is_empty(), "the profiles are gone: {left:?}");
    lab.stop();
}

#[test]
fn the_browsers_command_line_is_printed_and_a_missing_one_named() {
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["course", "--proxy", "0"]);
    let fake = home.path().join("firefox");
    std::fs::write(&fake, "").unwrap();
    let fake = fake.to_str().unwrap();
    let (code, said) = lab.run(&["browser", "--print", "--with", fake, "web"]);
    assert!(code == 0 && said.starts_with(fake), "{said}");
    assert!(said.contains("--profile") && said.trim_end().ends_with("http://web"), "{said}");
    let (code, said) = lab.run(&["browser", "--with", "no-such-browser"]);
    assert!(code == 1 && said.contains("no-such-browser") && said.contains("--with"), "{said}");
    let (code, said) = lab.run(&["browser", "--at", "nobody", "--print", "--with", fake]);
    assert!(code == 1 && said.contains("no host `nobody`"), "{said}");
    lab.stop();
}

const ATTACH: &str = r#"
version = 1
lab.name = "attached"
[networks.lan]
subnet = "10.0.0.0/24"
[hosts.web]
networks.lan = "10.0.0.2"
[hosts.pc]
networks.lan = "10.0.0.3"
[gateway]
network = "lan"
address = "10.0.0.1"
[publish]
"127.0.0.1:0" = "10.0.0.2:80"
[attach]
"web:80" = "REAL"
"#;

/// A server that is ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until something accepts there.
fn wait_for(address: SocketAddr, server: &mut Server) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::time::Instant::now() < patience {
        // Where nobody listens yet, a connection may choose that very port and meet itself.
        let met = TcpStream::connect(address);
        if met.is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address)) {
            return;
        }
        assert!(server.0.try_wait().unwrap().is_none(), "the server has ended");
        std::thread::yield_now();
    }
    panic!("nobody listens on {address}");
}

fn start(folder: &Path, program: &str, args: &[&str], address: SocketAddr) -> Server {
    let child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut server = Server(child);
    wait_for(address, &mut server);
    server
}

/// A lab whose `web` is a real server, looked at from inside and from outside, and replayed without
/// it.
fn stands_in(name: &str, server: impl FnOnce(&Path, SocketAddr) -> Server) {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("www");
    std::fs::create_dir(&root).unwrap();
    let page: String = (0..60_000).map(|n| format!("{n} ")).collect();
    std::fs::write(root.join("page.txt"), &page).unwrap();
    let mut open = std::fs::metadata(home.path()).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o755);
    std::fs::set_permissions(home.path(), open).unwrap();
    let address = free_port();
    let real = server(home.path(), address);
    let file = home.path().join("lab.toml");
    std::fs::write(&file, ATTACH.replace("REAL", &address.to_string())).unwrap();
    let lab = Running::start(
        home.path(),
        &["lab.toml", "--allow-attach", "--proxy", "off", "--record", "run.rec"],
    );
    // A host of the lab, and a real client through the published port.
    let fetch = ["exec", "pc", "curl", "-s", "-i", "http://web/page.txt"];
    let (code, said) = lab.run(&fetch);
    assert!(code == 0 && said.contains(" 200 ") && said.ends_with(&page), "{name}: {code}");
    let (_, head) = lab.run(&["exec", "pc", "curl", "-s", "-I", "http://web/nothing"]);
    assert!(head.contains(" 404 "), "{name}: {head}");
    if installed("curl") {
        let (code, outside) = curl(&[&format!("http://{}/page.txt", lab.door())]);
        assert!(code == 0 && outside == page, "{name}");
    }
    let (_, sockets) = lab.run(&["exec", "web", "netstat", "-ano"]);
    assert!(sockets.contains("0.0.0.0:80") && sockets.contains("LISTENING"), "{sockets}");
    let (_, processes) = lab.run(&["exec", "web", "ps"]);
    assert!(processes.contains("attach"), "{processes}");
    lab.stop();
    drop(real);
    let out = command(home.path(), &["replay", "run.rec"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{name}: {said}");
}

#[test]
fn pythons_server_stands_in_for_a_lab_host() {
    if installed("python3") {
        stands_in("python", |home, at| {
            let port = at.port().to_string();
            let args = ["-m", "http.server", &port, "--bind", "127.0.0.1", "-d", "www"];
            start(home, "python3", &args, at)
        });
    }
}

#[test]
fn nginx_stands_in_for_a_lab_host() {
    if installed("nginx") {
        stands_in("nginx", |home, at| {
            // One process: a worker would outlive the master that the test ends.
            let conf = format!(
                "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/error.log;\nevents {{}}\nhttp {{ \
                 access_log off; client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; \
                 fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;\n\
                 server {{ listen {at}; root {0}/www; }} }}\n",
                home.display()
            );
            std::fs::write(home.join("nginx.conf"), conf).unwrap();
            let conf = home.join("nginx.conf");
            start(home, "nginx", &["-c", conf.to_str().unwrap()], at)
        });
    }
}

#[test]
fn apache_stands_in_for_a_lab_host() {
    if installed("apache2") {
        stands_in("apache", |home, at| {
            let modules = "/usr/lib/apache2/modules";
            let conf = format!(
                "ServerRoot {0}\nServerName localhost\nListen {at}\nPidFile {0}/apache.pid\n\
                 ErrorLog {0}/error.log\nLoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
                 LoadModule authz_core_module {modules}/mod_authz_core.so\n\
                 DocumentRoot {0}/www\n<Directory {0}/www>\nRequire all granted\n</Directory>\n",
                home.display()
            );
            std::fs::write(home.join("apache.conf"), conf).unwrap();
            let conf = home.join("apache.conf");
            start(home, "apache2", &["-X", "-f", conf.to_str().unwrap()], at)
        });
    }
}

#[test]
fn without_leave_a_real_server_is_not_reached_and_the_reason_is_told() {
    let real = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = tempfile::tempdir().unwrap();
    let text = ATTACH.replace("REAL", &real.local_addr().unwrap().to_string());
    std::fs::write(home.path().join("lab.toml"), text).unwrap();
    let mut child = command(home.path(), &["up", "--json", "--proxy", "off", "lab.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut one = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut one).unwrap();
    let out = netarium(home.path(), &["exec", "pc", "curl", "-s", "http://web/"]);
    assert_eq!(out.status.code(), Some(7), "connection refused");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let said = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("--allow-attach"), "{said}");
    real.set_nonblocking(true).unwrap();
    assert!(real.accept().is_err(), "nobody came");
}

#[test]
fn the_screen_names_all_doors() {
    let home = tempfile::tempdir().unwrap();
    let text = ATTACH
        .replace("REAL", "127.0.0.1:9")
        .replace("[publish]\n", "[publish]\n\"127.0.0.1:0/udp\" = \"10.0.0.2:53\"\n");
    std::fs::write(home.path().join("lab.toml"), text).unwrap();
    let mut child = command(home.path(), &["up", "--allow-attach", "--proxy", "0", "lab.toml"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains("Ctrl-C stops") && stderr.read(&mut byte).unwrap() > 0 {
        said.push(char::from(byte[0]));
    }
    for words in
        ["leads to 10.0.0.2:80", "(UDP)", "leads to 10.0.0.2:53", "web:80", "127.0.0.1:9", "SOCKS5"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    std::io::stderr().flush().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_program_of_the_lab_file_that_fails_is_told() {
    let home = tempfile::tempdir().unwrap();
    let text = "version = 1\n[networks.lan]\nsubnet = \"10.0.0.0/24\"\n[hosts.web]\n\
                networks.lan = \"10.0.0.2\"\nprograms = [\"httpd -f 'my httpd.conf'\"]\n";
    std::fs::write(home.path().join("lab.toml"), text).unwrap();
    std::fs::write(home.path().join("my httpd.conf"), "Listen 80\nLisen 90\n").unwrap();
    let mut lab = Running::start(home.path(), &["lab.toml", "--proxy", "off"]);
    let failed = lab.tells("failed");
    assert_eq!((&failed["host"], &failed["code"]), (&"web".into(), &1.into()), "{failed}");
    assert_eq!(failed["argv"], serde_json::json!(["httpd", "-f", "my httpd.conf"]));
    assert!(failed["said"].as_str().unwrap().contains("Invalid command 'Lisen'"), "{failed}");
    lab.stop();
}

#[test]
fn saving_a_lab_does_not_write_what_attach_says() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("lab.toml"), ATTACH.replace("REAL", "127.0.0.1:9")).unwrap();
    let lab = Running::start(home.path(), &["lab.toml", "--allow-attach", "--proxy", "off"]);
    // Until it listens: the door leads there.
    while !lab.run(&["exec", "web", "ps"]).1.contains("attach") {}
    assert_eq!(lab.run(&["link", "web.lan", "--delay", "5ms"]).0, 0);
    let (code, said) = lab.run(&["save"]);
    assert!(code == 0, "{said}");
    let text = std::fs::read_to_string(home.path().join("lab.toml")).unwrap();
    assert!(text.contains("5ms") && !text.contains("programs"), "{text}");
    lab.stop();
}
