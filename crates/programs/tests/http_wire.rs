//! HTTP/1.1 as bytes: what one server and one client could read differently is refused, and each
//! status comes from its cause, on the wire and in the log.

mod common;

use common::{Shell, lab_with, statuses, web};

const HOST: &str = "Host: a\r\n";

/// The status of the first answer to raw bytes, and how many answers there were.
fn ask(shell: &mut Shell, raw: &str) -> (u16, usize) {
    let said = shell.exchange(raw.as_bytes());
    let all = statuses(&said);
    (all.first().copied().unwrap_or(0), all.len())
}

#[test]
fn raw_requests_are_read_in_one_way_or_not_at_all() {
    let mut shell = Shell::new(web());
    let post =
        |fields: &str, body: &str| format!("POST /a.txt HTTP/1.1\r\n{HOST}{fields}\r\n{body}");
    let get = |line: &str| format!("{line}\r\n{HOST}\r\n");
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    for (raw, expect) in [
        (get("GET /a.txt HTTP/1.1"), 200),
        (format!("\r\n{}", get("GET /a.txt HTTP/1.1")), 200),
        (get("GET http://a/a.txt HTTP/1.1"), 200),
        (get("GET http://other/a.txt HTTP/1.1"), 200),
        ("GET /a.txt HTTP/1.0\r\n\r\n".to_owned(), 200),
        (get("GET /a.txt?a=|{} HTTP/1.1"), 200),
        ("GET /a.txt HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("GET /a.txt HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".to_owned(), 400),
        ("GET /a.txt HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET http://a/a.txt HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /a.txt\r\n\r\n".to_owned(), 400),
        (get("GET /a.txt HTTP/2.0"), 505),
        (get("GET /a.txt HTTP/9.9"), 505),
        (get("OPTIONS * HTTP/1.1"), 200),
        (get("TRACE / HTTP/1.1"), 405),
        (get("CONNECT a:80 HTTP/1.1"), 405),
        (get("BREW / HTTP/1.1"), 501),
        (get("get / HTTP/1.1"), 501),
        ("\x16\x03\x01\x02\x00\x01\r\n\r\n".to_owned(), 400),
        (post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400),
        (post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400),
        (post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400),
        (post("Content-Length : 5\r\n", "hello"), 400),
        (post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400),
        (post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501),
        (post("Content-Length: 5\r\n", "hello"), 405),
        (chunked("5\r\nhello\r\n0\r\n\r\n"), 405),
        (format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "a".repeat(8_200)), 414),
        (format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "a".repeat(8_200)), 431),
        (format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", "X: y\r\n".repeat(101)), 431),
        (format!("GET /a.txt HTTP/1.1\r\n{HOST}{}\r\n", "X: y\r\n".repeat(99)), 200),
        (format!("GET /a.txt HTTP/1.1\r\n{HOST}Expect: miracle\r\n\r\n"), 417),
        ("GET /a.txt HTTP/1.1\r\nHos".to_owned(), 400),
    ] {
        assert_eq!(ask(&mut shell, &raw), (expect, 1), "{raw:?}");
    }
}

#[test]
fn what_is_smuggled_is_never_a_request() {
    let mut shell = Shell::new(web());
    // Two readers could see one request here, or two: we answer once and close.
    for head in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "Transfer-Encoding:\tchunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n : chunked\r\n",
        "X: y\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nContent-Length: 6\r\n",
        "Content-Length: 6 \r\n 0\r\n",
        "Content-Length: 0,6\r\n",
        "Content-Length: \u{b2}\r\n",
        "Transfer-Encoding: chunked\r\n\tX: y\r\n",
        "Foo: bar\rTransfer-Encoding: chunked\r\n",
    ] {
        let raw = format!(
            "POST /a.txt HTTP/1.1\r\n{HOST}{head}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n{HOST}\r\n"
        );
        assert_eq!(ask(&mut shell, &raw), (400, 1), "{head:?}");
    }
    let log = shell.run("web", "cat /var/log/httpd/access_log").out;
    assert!(!log.contains("smuggled"), "{log}");
}

#[test]
fn a_body_in_wrong_chunks_is_no_body() {
    let routes = "[[route]]\npath = \"echo\"\necho = true\n";
    let mut shell =
        Shell::new(lab_with(&["httpd --root htdocs --routes r.toml"], &[("r.toml", routes)]));
    let chunked = |body: &str| {
        format!("POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}")
    };
    for (body, expect) in [
        ("5\r\nhello\r\n0\r\n\r\n", 200),
        ("5;a=\"b\"\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", 200),
        ("zz\r\nhello\r\n0\r\n\r\n", 400),
        ("0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("5\nhello\n0\n\n", 400),
        ("5\r\nhelloXX0\r\n\r\n", 400),
        ("5\r\nhel", 400),
        ("fffffffffffffffff\r\nhello\r\n0\r\n\r\n", 413),
        ("7fffffffffffff\r\nhello\r\n", 400),
    ] {
        let raw = chunked(body);
        assert_eq!(ask(&mut shell, &raw), (expect, 1), "{body:?}");
        // What follows a broken body is not looked at.
        if expect != 200 && body.contains("0\r\n\r\n") {
            let more = format!("{raw}GET /smuggled HTTP/1.1\r\n{HOST}\r\n");
            assert_eq!(ask(&mut shell, &more), (expect, 1), "{body:?}");
        }
    }
    assert!(
        shell
            .exchange(chunked("5\r\nhello\r\n0\r\n\r\n").as_bytes())
            .ends_with("\r\n\r\nPOST /echo HTTP/1.1\nhost: a\ntransfer-encoding: chunked\n\nhello")
    );
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let mut shell = Shell::new(web());
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\n{HOST}\r\n");
    let body = format!("POST /a.txt HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello");
    let raw = format!(
        "{}{body}{}HEAD / HTTP/1.1\r\n{HOST}\r\n{}",
        one("/a.txt"),
        one("/none"),
        one("/docs/")
    );
    let said = shell.exchange(raw.as_bytes());
    assert_eq!(statuses(&said), [200, 405, 404, 200, 200], "{said}");
    assert!(said.ends_with("\r\n\r\ndocs"));
    // The same where the body that nobody wants comes in chunks.
    let body = format!(
        "POST /a.txt HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    );
    let said = shell.exchange(format!("{body}{}", one("/docs/")).as_bytes());
    assert_eq!(statuses(&said), [405, 200], "{said}");
    assert!(!said.contains("Connection: close"), "{said}");
    // A refusal in the middle: what came before is answered, what comes after is not.
    let raw = format!("{}{}BAD\r\n\r\n{}", one("/a.txt"), one("/docs/"), one("/a.txt"));
    assert_eq!(statuses(&shell.exchange(raw.as_bytes())), [200, 200, 400]);
    // Connection: close ends it.
    let close = format!("GET / HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n{}", one("/"));
    assert_eq!(statuses(&shell.exchange(close.as_bytes())), [200]);
    // One connection makes 100 requests at most, as Apache's MaxKeepAliveRequests says.
    let said = shell.exchange(one("/a.txt").repeat(120).as_bytes());
    assert_eq!(statuses(&said).len(), 100);
    assert_eq!(said.matches("Connection: close").count(), 1);
    // The same for an old client that wants its connection kept.
    let old = "GET /a.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let said = shell.exchange(old.repeat(120).as_bytes());
    assert_eq!(statuses(&said).len(), 100);
    assert_eq!(said.matches("Connection: Keep-Alive\r\n").count(), 99);
    assert_eq!(said.matches("Keep-Alive: timeout=5, max=100\r\n").count(), 1);
    assert_eq!(said.matches("Keep-Alive: timeout=5, max=2\r\n").count(), 1);
    assert_eq!(said.matches("Connection: close\r\n").count(), 1);
    // Who says both means `close` (RFC 9112 §9.3).
    let both = "GET /a.txt HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, close\r\n\r\n";
    let said = shell.exchange(both.as_bytes());
    assert!(said.contains("\r\nConnection: close\r\n") && !said.contains("Keep-Alive"), "{said}");
}

#[test]
fn the_go_ahead_comes_before_the_body() {
    let routes = "[[route]]\npath = \"echo\"\necho = true\n";
    let mut shell =
        Shell::new(lab_with(&["httpd --root htdocs --routes r.toml"], &[("r.toml", routes)]));
    let port = shell.connect();
    let head =
        format!("POST /echo HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    shell.send(port, head.as_bytes());
    shell.wait(50);
    assert_eq!(shell.came(port).0, b"HTTP/1.1 100 Continue\r\n\r\n");
    shell.send(port, b"hello");
    shell.wait(50);
    let text = String::from_utf8(shell.came(port).0).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("hello"), "{text}");
    // Who is refused is not asked for the body.
    let port = shell.connect();
    let head = head.replace("/echo", "/a.txt");
    shell.send(port, head.as_bytes());
    shell.wait(50);
    assert_eq!(statuses(&String::from_utf8(shell.came(port).0).unwrap()), [405]);
}

#[test]
fn the_log_has_the_line_that_was_refused() {
    let mut shell = Shell::new(web());
    for line in ["GET / HTTP/3.0", "GET /x#y HTTP/1.1", "GET / HTP/1.1", "GET hello HTTP/1.1"] {
        shell.exchange(format!("{line}\r\n{HOST}\r\n").as_bytes());
        let log = shell.run("web", "tail -n 1 /var/log/httpd/access_log").out;
        assert!(log.contains(&format!("\"{line}\" ")), "{log}");
    }
}

#[test]
fn an_answer_before_the_body_says_that_the_connection_ends() {
    let routes = "[[route]]\npath = \"upload\"\nmethods = [\"POST\"]\nlength_required = true\ntext = \"thanks\"\n";
    let mut shell =
        Shell::new(lab_with(&["httpd --root htdocs --routes r.toml"], &[("r.toml", routes)]));
    for expect in ["", "Expect: 100-continue\r\n"] {
        let port = shell.connect();
        let fields = format!("{HOST}Transfer-Encoding: chunked\r\n{expect}");
        shell.send(port, format!("POST /upload HTTP/1.1\r\n{fields}\r\n").as_bytes());
        shell.wait(50);
        let (said, end) = shell.came(port);
        let said = String::from_utf8(said).unwrap();
        assert_eq!(statuses(&said), [411], "{said}");
        assert!(said.contains("Connection: close\r\n") && end, "{said}");
    }
    // All of it is there: the connection stays.
    let whole =
        format!("POST /upload HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let said = shell.exchange(whole.repeat(2).as_bytes());
    assert_eq!(statuses(&said), [411, 411], "{said}");
}

#[test]
fn a_slow_body_is_not_waited_for_for_ever() {
    let routes = "[[route]]\npath = \"echo\"\necho = true\n";
    let mut shell =
        Shell::new(lab_with(&["httpd --root htdocs --routes r.toml"], &[("r.toml", routes)]));
    let port = shell.connect();
    let head = format!("POST /echo HTTP/1.1\r\n{HOST}Content-Length: 100\r\n\r\n");
    shell.send(port, head.as_bytes());
    // 500 bytes earn a second: a byte now and then does not.
    for _ in 0..4 {
        shell.wait(4_500);
        shell.send(port, b"x");
    }
    assert!(shell.came(port).0.is_empty());
    shell.wait(3_000);
    let (said, end) = shell.came(port);
    assert_eq!(statuses(&String::from_utf8(said).unwrap()), [408]);
    shell.wait(3_000);
    assert!(end || shell.came(port).1, "the connection is closed");
    // Who says nothing at all is closed without a word.
    let port = shell.connect();
    shell.wait(25_000);
    assert_eq!(shell.came(port), (vec![], true));
    let log = shell.run("web", "cat /var/log/httpd/access_log").out;
    assert!(log.contains("\"POST /echo HTTP/1.1\" 408 ") && log.contains("\"-\" 408 0 "), "{log}");
    let errors = shell.run("web", "cat /var/log/httpd/error_log").out;
    assert!(
        errors.contains("request body refused (408): the request did not arrive in time"),
        "{errors}"
    );
}

#[test]
fn a_working_handler_is_not_hurried() {
    let routes = "[[route]]\npath = \"slow\"\ndelay = \"5m\"\ntext = \"at last\"\n";
    let mut shell =
        Shell::new(lab_with(&["httpd --root htdocs --routes r.toml"], &[("r.toml", routes)]));
    let said = shell.run("pc", "curl -s http://web/slow");
    assert_eq!((said.code, said.out.as_str()), (0, "at last"));
}

const CONF: &str = "Listen 80\nServerName web\nDocumentRoot htdocs\nRouteTable r.toml\nLimitRequestBody 64\n\
    Redirect permanent /old /new\nRedirect /today /a.txt\nRedirect gone /gone\n\
    ErrorDocument 404 /docs/index.html\nErrorDocument 403 \"no entry\"\nServerTokens Prod\n\
    Header always set X-Lab yes\n<Directory htdocs/docs>\nRequire ip 192.168.17.17\n</Directory>\n\
    <Location /list>\nOptions +Indexes\n</Location>\nAlias /list htdocs/empty\n";
const ROUTES: &str = "[pool]\nworkers = 1\n[[route]]\npath = \"divide\"\ntemplate = \"{{ 100 // (query.by | int) }}\"\npool = false\n\
    [[route]]\npath = \"crash\"\nfail = \"index out of range\"\npool = false\n\
    [[route]]\npath = \"upload\"\nmethods = [\"POST\"]\nlength_required = true\ntext = \"ok\"\npool = false\n\
    [[route]]\npath = \"work\"\ndelay = \"1s\"\ntext = \"done\"\n";

#[test]
fn each_status_comes_from_its_cause_on_the_wire_and_in_the_log() {
    let mut shell =
        Shell::new(lab_with(&["httpd -f httpd.conf"], &[("httpd.conf", CONF), ("r.toml", ROUTES)]));
    // One worker is busy while the others ask.
    let slow = shell.start("pc", "curl -s http://web/work");
    shell.wait(20);
    let mut expected = Vec::new();
    for (options, path, status) in [
        ("", "/a.txt", 200),
        ("-r 0-1", "/a.txt", 206),
        ("", "/old/x?y", 301),
        ("", "/docs", 403),
        ("", "/today", 302),
        ("-H If-None-Match:␣*", "/a.txt", 304),
        ("-H Host:␣a␣b", "/", 400),
        ("", "/docs/", 403),
        ("", "/none", 404),
        ("-d x", "/a.txt", 405),
        ("", "/gone", 410),
        ("-H If-Match:␣\"x\"", "/a.txt", 412),
        ("-X POST", "/upload", 411),
        (
            "-d 01234567890123456789012345678901234567890123456789012345678901234567890123456789",
            "/upload",
            413,
        ),
        ("-r 100-", "/a.txt", 416),
        ("-H Expect:␣x", "/a.txt", 417),
        ("", "/divide?by=0", 500),
        ("", "/crash", 500),
        ("-X BREW", "/", 501),
        ("", "/work", 503),
    ] {
        let line = format!("curl -s -i {options} http://web{path}");
        let said = shell.run("pc", line.replace("  ", " ").trim()).out;
        assert_eq!(statuses(&said), [status], "{line}: {said}");
        assert!(
            said.contains("\r\nServer: Apache\r\n") && said.contains("X-Lab: yes\r\n"),
            "{said}"
        );
        match status {
            301 => assert!(said.contains("Location: /new/x?y\r\n"), "{said}"),
            404 => assert!(said.ends_with("\r\n\r\ndocs"), "ErrorDocument: {said}"),
            403 => assert!(said.ends_with("no entry"), "ErrorDocument: {said}"),
            405 => assert!(said.contains("Allow: GET, HEAD, OPTIONS\r\n"), "{said}"),
            416 => assert!(said.contains("Content-Range: bytes */6\r\n"), "{said}"),
            503 => assert!(said.contains("Retry-After: 5\r\n"), "{said}"),
            _ => {}
        }
        expected.push(status);
    }
    assert!(shell.run("pc", "curl -s http://web/list/").out.contains("x.txt"));
    assert_eq!(shell.finish(slow, "curl").out, "done");
    assert_eq!(shell.run("pc", "curl -s http://web/divide?by=8").out, "12");
    let log = shell.run("web", "cat /var/log/httpd/access_log").out;
    let logged: Vec<u16> = log
        .lines()
        .map(|l| {
            l.split("\" ").nth(1).and_then(|r| r.get(..3)).and_then(|s| s.parse().ok()).unwrap()
        })
        .collect();
    assert_eq!(logged[..expected.len()], expected, "{log}");
    let errors = shell.run("web", "cat /var/log/httpd/error_log").out;
    for part in [
        "[authz_core:error]",
        "AH01630: client denied by server configuration: htdocs/docs",
        "request refused (400): a Host that is none",
        "[app:error]",
        "the handler panicked: index out of range",
        "/divide: invalid operation",
        "all workers are busy and the queue is full",
        "AH00135: Invalid method in request BREW /",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}
