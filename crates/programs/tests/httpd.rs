//! `httpd` through real stacks in virtual time.

mod common;

use common::{Shell, lab, web};
use netarium_base::Event;
use netarium_world::Input;
use proptest::prelude::*;

fn code(shell: &mut Shell, options: &str, path: &str) -> String {
    let line = format!("curl -s -o /dev/null -w %{{http_code}} {options} http://web{path}");
    shell.run("pc", line.trim()).out
}

#[test]
fn paths_are_answered_with_the_right_status() {
    let mut shell = Shell::new(web());
    for (path, expect) in [
        ("/", "200"),
        ("/a.txt", "200"),
        ("/a.txt?x=1", "200"),
        ("/docs/", "200"),
        ("/docs", "301"),
        ("/empty/", "403"),
        ("/.htpasswd", "403"),
        ("/none", "404"),
        ("/a.txt/", "404"),
        ("/%2e%2e/secret.txt", "400"),
        ("/docs/%2e%2e/%2e%2e/secret.txt", "400"),
        ("/%2e%2e%2fsecret.txt", "404"),
        ("/a%00.txt", "400"),
        ("/%5c..%5csecret.txt", "404"),
    ] {
        assert_eq!(code(&mut shell, "", path), expect, "{path}");
    }
}

#[test]
fn conditions_are_honoured() {
    let mut shell = Shell::new(web());
    let head = shell.run("pc", "curl -sI http://web/a.txt").out;
    let etag = head.lines().find_map(|l| l.strip_prefix("Etag: ")).expect("a tag").to_owned();
    let if_tag = |tag: &str| format!("-H If-None-Match:␣{tag}");
    assert_eq!(code(&mut shell, &if_tag(&etag), "/a.txt"), "304");
    assert_eq!(code(&mut shell, &if_tag(&format!("\"x\",␣W/{etag}")), "/a.txt"), "304");
    assert_eq!(code(&mut shell, &if_tag("\"x\""), "/a.txt"), "200");
    let date = |date: &str| format!("-H If-Modified-Since:␣{}", date.replace(' ', "␣"));
    assert_eq!(code(&mut shell, &date("Sun, 22 Nov 2026 14:14:17 GMT"), "/a.txt"), "304");
    assert_eq!(code(&mut shell, &date("Sun, 22 Nov 2026 14:14:16 GMT"), "/a.txt"), "200");
    // An edit changes the tag.
    let path = "htdocs/a.txt".to_owned();
    shell.world.apply(Input::FileWrite { path, bytes: Some(b"HELLO\n".to_vec()) });
    assert_eq!(code(&mut shell, &if_tag(&etag), "/a.txt"), "200");
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").out, "HELLO\n");
}

#[test]
fn no_server_header_unless_asked() {
    let mut shell = Shell::new(web());
    let head = shell.run("pc", "curl -sI http://web/").out;
    insta::assert_snapshot!(head.replace("\r\n", "\n"));
    let mut shell = Shell::new(lab(&["httpd --root htdocs --server-header Apache/2.4"]));
    assert!(shell.run("pc", "curl -sI http://web/").out.contains("\r\nServer: Apache/2.4\r\n"));
}

#[test]
fn an_idle_connection_is_closed_by_the_server_which_then_waits() {
    let mut shell = Shell::new(web());
    // A client that keeps its connection open longer than the server's five seconds.
    shell.world.apply(open(100));
    get(&mut shell, 100, "GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    shell.wait(4_000);
    let during = shell.run("web", "netstat -tn").out;
    assert!(during.contains("ESTABLISHED"), "{during}");
    shell.wait(1_500);
    assert!(ended(&mut shell, 100), "the server has closed");
    shell.world.apply(Input::Eof { port: 100 });
    shell.wait(10);
    let after = shell.run("web", "netstat -ano").out;
    let waiting: Vec<&str> = after.lines().filter(|l| l.contains("TIME_WAIT")).collect();
    assert_eq!(waiting.len(), 1, "{after}");
    assert!(waiting[0].starts_with("  TCP    192.168.17.17:80       192.168.17."), "{after}");
    assert!(waiting[0].ends_with("TIME_WAIT       0"), "{after}");
    assert!(after.contains("0.0.0.0:0              LISTENING "), "{after}");
    let there = shell.run("pc", "netstat -tan").out;
    assert!(!there.contains("TIME_WAIT"), "{there}");
}

#[test]
fn a_slow_head_is_not_waited_for_for_ever() {
    let mut shell = Shell::new(web());
    shell.world.apply(open(100));
    get(&mut shell, 100, "GET / HTTP/1.1\r\nHo");
    for _ in 0..4 {
        shell.wait(4_500);
        shell.world.apply(Input::Data { port: 100, bytes: b"x".to_vec() });
    }
    assert!(!ended(&mut shell, 100));
    shell.wait(2_500);
    assert!(ended(&mut shell, 100));
    let log = shell.run("web", "cat /var/log/httpd/access_log").out;
    assert!(log.contains("\"GET / HTTP/1.1\" 408 "), "{log}");
}

#[test]
fn netstat_and_ps_agree_about_the_listener() {
    let mut shell = Shell::new(web());
    let table = shell.run("web", "netstat -ano").out;
    let row = table.lines().find(|l| l.contains("LISTENING")).expect("a listener");
    let pid = row.split_whitespace().last().expect("a pid");
    let ps = shell.run("web", "ps -ef").out;
    let line = ps.lines().find(|l| l.split_whitespace().nth(1) == Some(pid)).expect("the process");
    assert!(line.ends_with("httpd --root htdocs"), "{ps}");
    let linux = shell.run("web", "netstat -tlnp").out;
    assert!(linux.contains(&format!("LISTEN      {pid}/httpd")), "{linux}");
}

#[test]
fn a_download_shows_both_listening_and_established() {
    let mut shell = Shell::new(web());
    let port = shell.start("pc", "curl -s --max-time 1 -o /dev/null http://web/big");
    while !shell.run("web", "netstat -tn").out.contains("ESTABLISHED") {
        assert!(shell.world.step());
    }
    let table = shell.run("web", "netstat -ano").out;
    assert!(table.contains("LISTENING") && table.contains("ESTABLISHED"), "{table}");
    assert_eq!(shell.finish(port, "curl").code, 0);
    shell.wait(100);
    // The client closed first: it waits.
    assert!(shell.run("pc", "netstat -tan").out.contains("TIME_WAIT"));
    assert!(!shell.run("web", "netstat -tan").out.contains("TIME_WAIT"));
}

#[test]
fn a_port_in_use_is_reported_in_apaches_words() {
    let mut shell = Shell::new(web());
    let said = shell.run("web", "httpd --root htdocs");
    assert_eq!(said.code, 1);
    insta::assert_snapshot!(said.err, @r"
    (98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:80
    no listening sockets available, shutting down
    ");
    let said = shell.run("web", "httpd --root nowhere --listen 81");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("DocumentRoot 'nowhere' is not a directory"));
}

#[test]
fn a_server_on_loopback_answers_only_its_host() {
    let mut shell = Shell::new(lab(&["httpd --root htdocs --listen 127.0.0.1:80"]));
    assert_eq!(shell.run("web", "curl -s http://127.0.0.1/a.txt").out, "hello\n");
    assert_eq!(shell.run("pc", "curl -s http://web/a.txt").code, 7);
    let mut shell = Shell::new(web());
    for url in ["http://127.0.0.1/a.txt", "http://192.168.17.17/a.txt", "http://localhost/a.txt"] {
        assert_eq!(shell.run("web", &format!("curl -s {url}")).out, "hello\n", "{url}");
    }
}

#[test]
fn requests_are_logged_with_what_was_sent() {
    let mut shell = Shell::new(web());
    shell.run("pc", "curl -s -A me -e http://ref/ http://web/a.txt?q");
    shell.run("pc", "curl -s http://web/none");
    shell.wait(1);
    insta::assert_snapshot!(shell.run("web", "cat /var/log/httpd/access_log").out);
}

#[test]
fn both_ends_tell_the_trace_what_was_asked_and_answered() {
    let mut shell = Shell::new(web());
    shell.run("pc", "curl -s http://web/none?q=1");
    let mut told = Vec::new();
    for record in shell.world.tracer().records() {
        match &record.event {
            Event::HttpRequest { method, target } => {
                told.push((record.flow, format!("{method} {target}")));
            }
            Event::HttpResponse { status, bytes } => {
                told.push((record.flow, format!("{status} {bytes}")));
            }
            _ => {}
        }
    }
    let texts: Vec<&str> = told.iter().map(|t| t.1.as_str()).collect();
    assert_eq!(texts[..2], ["GET /none?q=1", "GET /none?q=1"]);
    assert!(texts[2].starts_with("404 ") && texts[2] == texts[3], "{texts:?}");
    assert!(told.iter().all(|t| t.0 == told[0].0), "one conversation: {told:?}");
}

#[test]
fn connections_beyond_the_limit_wait_for_their_turn() {
    let mut shell = Shell::new(lab(&["httpd --root htdocs --max-connections 2"]));
    let ports: Vec<_> =
        (0..6).map(|_| shell.start("pc", "curl -sS -o /dev/null http://web/big")).collect();
    for port in ports {
        let said = shell.finish(port, "curl");
        assert_eq!((said.code, said.err.as_str()), (0, ""));
    }
}

#[test]
fn a_server_told_to_stop_stops() {
    let mut shell = Shell::new(web());
    let table = shell.run("web", "netstat -ano").out;
    let row = table.lines().find(|l| l.contains("LISTENING")).expect("a listener");
    let pid = row.split_whitespace().last().expect("a pid");
    assert_eq!(shell.run("web", &format!("kill {pid}")).code, 0);
    shell.wait(1);
    assert!(!shell.run("web", "netstat -ano").out.contains("LISTENING"));
    assert_eq!(shell.run("pc", "curl -s http://web/").code, 7);
}

fn open(port: u64) -> Input {
    let to = netarium_world::Target::Addr("192.168.17.17:80".parse().expect("an address"));
    Input::Open { port, client: "test".to_owned(), from: None, source: None, to }
}

/// Sends on an outside connection, and lets the answer come.
fn get(shell: &mut Shell, port: u64, text: &str) {
    shell.world.apply(Input::Credit { port, bytes: 1 << 20 });
    shell.wait(5);
    shell.world.apply(Input::Data { port, bytes: text.as_bytes().to_vec() });
    shell.wait(5);
}

/// Whether the outside connection has seen its end.
fn ended(shell: &mut Shell, wanted: u64) -> bool {
    shell.came(wanted).1
}

/// Pieces that a parser may stumble over, and any bytes.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "GET ",
        "POST ",
        "/ ",
        "/big ",
        "/%2e%2e/ ",
        "* ",
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/2.0",
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "Host: web\r\n",
        "Host: a\r\nHost: b\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "ffffffffffffffff\r\n",
        "5\r\nabcde\r\n0\r\n\r\n",
        "Expect: 100-continue\r\n",
        "Connection: Upgrade\r\n",
        "Connection: close\r\n",
        ": \r\n",
        "GET / HTTP/1.1\r\nHost: web\r\n\r\n",
        "HEAD /big HTTP/1.1\r\nHost: web\r\n\r\n",
        "GET /big HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nabcde",
        "POST /a HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        "PUT / HTTP/1.1\r\nHost: web\r\nContent-Length: 100000\r\n\r\n",
        "CONNECT web:80 HTTP/1.1\r\nHost: web\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(|t| t.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_leave_the_server_serving(
        clients in prop::collection::vec((prop::collection::vec(piece(), 0..8), 0u8..3), 1..6)
    ) {
        let mut shell = Shell::new(web());
        for (n, (pieces, end)) in clients.into_iter().enumerate() {
            let port = 1_000 + n as u64;
            shell.world.apply(open(port));
            shell.world.apply(Input::Credit { port, bytes: 10_000 });
            shell.wait(2);
            for bytes in pieces {
                shell.world.apply(Input::Data { port, bytes });
                shell.wait(1);
            }
            match end {
                0 => shell.world.apply(Input::Eof { port }),
                1 => shell.world.apply(Input::Reset { port }),
                _ => {}
            }
        }
        let said = shell.run("pc", "curl -sS http://web/a.txt");
        prop_assert_eq!((said.code, said.out.as_str()), (0, "hello\n"));
        // All are gone in the end: nothing holds a connection for ever.
        shell.wait(100_000);
        let table = shell.run("web", "netstat -tn").out;
        prop_assert!(!table.contains("ESTABLISHED") && !table.contains("CLOSE_WAIT"), "{}", table);
    }
}
