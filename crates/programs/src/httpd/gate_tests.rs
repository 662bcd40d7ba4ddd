//! Raw requests and what the gate makes of them.

use super::*;

const LIMITS: RequestLimits = RequestLimits { line: 200, fields: 10, field: 100 };

/// The status that a request is refused with; 0 when it passes.
fn status(raw: &str) -> u16 {
    let mut gate = Gate::new(LIMITS);
    gate.push(raw.as_bytes());
    match gate.next() {
        Next::Head(passage) => passage.refusal.map_or(0, |r| r.status.as_u16()),
        Next::More => 1,
        other => panic!("{raw:?}: {other:?}"),
    }
}

#[test]
fn request_lines() {
    for (line, expect) in [
        ("GET / HTTP/1.1", 0),
        ("GET / HTTP/1.0", 0),
        ("GET / HTTP/1.2", 0),
        ("get / HTTP/1.1", 0),
        ("BREW /pot HTTP/1.1", 0),
        ("OPTIONS * HTTP/1.1", 0),
        ("GET http://a/b?c HTTP/1.1", 0),
        ("CONNECT a:80 HTTP/1.1", 0),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/11", 400),
        ("GET / HTTP/1.10", 400),
        ("GET / http/1.1", 400),
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET\t/\tHTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("G(T / HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET a:80 HTTP/1.1", 400),
        ("GET ftp://a/ HTTP/1.1", 400),
        ("GET http://u@a/ HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET /é HTTP/1.1", 400),
        ("\x16\x03\x01 x", 400),
    ] {
        assert_eq!(status(&format!("{line}\r\nHost: a\r\n\r\n")), expect, "{line:?}");
    }
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(200))), 414);
    assert_eq!(status(&format!("GET /{}", "a".repeat(200))), 414);
    assert_eq!(status("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_eq!(status(&"\r\n".repeat(6)), 400);
}

#[test]
fn fields() {
    for (fields, expect) in [
        ("Host: a\r\n", 0),
        ("Host: a:80\r\nX: y\r\nX:z\r\nEmpty:\r\n", 0),
        ("Host: [::1]:80\r\n", 0),
        ("X: y\r\n", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/b\r\n", 400),
        ("Host: u@a\r\n", 400),
        ("Host: a:x\r\n", 400),
        ("Host: a:\r\n", 0),
        ("Host: a:65535\r\n", 0),
        ("Host: a:65536\r\n", 400),
        ("Host:\r\n", 400),
        ("Host : a\r\n", 400),
        ("Host: a\nX: y\r\n", 400),
        ("Host: a\r\n X: y\r\n", 400),
        ("Host: a\r\nX: a\rb\r\n", 400),
        ("Host: a\r\nX: a\0b\r\n", 400),
        ("Host: a\r\nX\r\n", 400),
        ("Host: a\r\n: y\r\n", 400),
        ("Host: a\r\nX(: y\r\n", 400),
        ("Host: a\r\nX: 가\r\n", 0),
        ("Host: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Host: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Host: a\r\nContent-Length: 5, 5\r\n", 400),
        ("Host: a\r\nContent-Length: +5\r\n", 400),
        ("Host: a\r\nContent-Length: -5\r\n", 400),
        ("Host: a\r\nContent-Length: 0x5\r\n", 400),
        ("Host: a\r\nContent-Length:\r\n", 400),
        ("Host: a\r\nContent-Length: 99999999999999999999\r\n", 400),
        ("Host: a\r\nContent-Length : 5\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\n", 0),
        ("Host: a\r\nTransfer-Encoding: CHUNKED\r\n", 0),
        ("Host: a\r\nTransfer-Encoding: ,chunked,\r\n", 0),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: gzip\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: identity\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked, identity\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: \x0bchunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding:\r\n", 400),
    ] {
        assert_eq!(status(&format!("POST / HTTP/1.1\r\n{fields}\r\n")), expect, "{fields:?}");
    }
    assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 0);
    assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(100))), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(11))), 431);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n"), 1);
}

#[test]
fn each_message_ends_where_the_next_begins() {
    let mut gate = Gate::new(LIMITS);
    let one = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let two =
        "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let three = "GET /3 HTTP/1.7\r\nHost: a\r\n\r\n";
    gate.push(format!("{one}{two}{three}").as_bytes());
    let line = |n: Next| match n {
        Next::Head(p) => String::from_utf8(p.line).unwrap(),
        other => panic!("{other:?}"),
    };
    let body = |gate: &mut Gate| {
        let Next::Body(n) = gate.next() else { panic!("a body") };
        String::from_utf8(gate.take(n).collect()).unwrap()
    };
    assert_eq!(line(gate.next()), "POST /1 HTTP/1.1");
    assert_eq!(body(&mut gate), "hello");
    assert_eq!(line(gate.next()), "POST /2 HTTP/1.1");
    assert_eq!(body(&mut gate), "2\r\nhi\r\n0\r\n\r\n");
    let Next::Head(passage) = gate.next() else { panic!("a head") };
    assert_eq!(passage.line, b"GET /3 HTTP/1.7");
    assert!(passage.head.starts_with(b"GET /3 HTTP/1.1\r\n"), "an unknown minor version is 1.1");
    assert_eq!(gate.next(), Next::More);
    assert!(!gate.is_inside());
}

#[test]
fn a_refusal_shuts_the_gate() {
    let mut gate = Gate::new(LIMITS);
    gate.push(b"HEAD /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let Next::Head(passage) = gate.next() else { panic!("a head") };
    assert!(passage.head.starts_with(b"HEAD / HTTP/1.1\r\n"), "its answer has no body");
    assert_eq!(passage.line, b"HEAD /x HTTP/1.1");
    assert_eq!(gate.next(), Next::Shut);
    let mut gate = Gate::new(LIMITS);
    gate.push(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    assert!(matches!(gate.next(), Next::Head(Passage { refusal: None, .. })));
    assert!(matches!(gate.next(), Next::BadBody(r) if r.status == 400));
    assert_eq!(gate.next(), Next::Shut);
}

proptest::proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_judged_the_same(
        pieces in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::sample::select(vec![
                    "GET ", "POST ", "/ ", "HTTP/1.1", "\r\n", "\n", "\r", "\r\n\r\n", "Host: a\r\n",
                    "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "abc", "3\r\n", "0\r\n",
                    "GET / HTTP/1.1\r\nHost: a\r\n\r\n", " ", ":", "\0",
                ]).prop_map(|t| t.as_bytes().to_vec()),
                proptest::collection::vec(proptest::prelude::any::<u8>(), 0..8),
            ], 0..12)
    ) {
        let whole: Vec<u8> = pieces.concat();
        let run = |parts: Vec<&[u8]>| {
            let mut gate = Gate::new(LIMITS);
            let mut said = Vec::new();
            let mut body = Vec::new();
            for part in parts {
                gate.push(part);
                loop {
                    match gate.next() {
                        Next::More | Next::Shut => break,
                        Next::Body(n) => body.extend(gate.take(n)),
                        Next::Head(p) => said.push((p.head, p.line.len(), p.refusal)),
                        Next::BadBody(r) => said.push((Vec::new(), 0, Some(r))),
                    }
                }
                proptest::prop_assert!(gate.buffer.len() <= HEAD_MAX);
            }
            Ok((said.into_iter().map(|s| (s.0, s.2)).collect::<Vec<_>>(), body.len()))
        };
        let bytes = run(whole.chunks(1).collect())?;
        let once = run(vec![&whole])?;
        // A piece that is judged at once can be refused for its beginning before its end is seen.
        proptest::prop_assert_eq!(
            bytes.0.iter().map(|s| s.1.as_ref().map(|r| r.status)).collect::<Vec<_>>().len(),
            once.0.len()
        );
        if once.0.iter().all(|s| s.1.is_none()) {
            proptest::prop_assert_eq!(bytes.1, once.1);
        }
    }
}

use proptest::strategy::Strategy as _;
