//! curl's side of an exchange over an in-memory connection: framing, failures, `-v` lines.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::DuplexStream;

use super::super::output::Place;
use super::super::terminal::{Talk, Words};
use super::*;

/// Time stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn until(&self, _: Instant) -> LocalBoxFuture<()> {
        Box::pin(async {})
    }
}

/// Polls until the future is ready: all that it waits for is in this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("the exchange does not end");
}

struct Seen {
    result: Result<(u16, bool), Failure>,
    out: String,
    err: String,
}

/// Lets curl talk to a server that says `answer` and then closes, if `close`.
fn talk(answer: &[u8], close: bool, change: impl FnOnce(&mut Request, &mut bool)) -> Seen {
    let (mut ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(1 << 20);
    block_on(theirs.write_all(answer)).expect("room");
    if close {
        block_on(theirs.shutdown()).expect("an end");
    }
    let mut request = Request {
        method: "GET".to_owned(),
        head: b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        together: true,
        ..Request::default()
    };
    let mut include = false;
    change(&mut request, &mut include);
    let mut out = Vec::new();
    let err = Rc::new(RefCell::new(Vec::new()));
    let result = {
        let mut terminal = Terminal::new(Words::File(Rc::clone(&err)), Talk::Verbose, false);
        let mut sink = Sink::new(Place::Stream(&mut out));
        sink.include = include;
        let mut around = Around {
            sink: &mut sink,
            terminal: &mut terminal,
            progress: &Progress::default(),
            clock: &Still,
            on_field: &mut |_, _| Vec::new(),
        };
        let work = exchange(&mut ours, &request, &mut around);
        block_on(work).map(|o| (o.head.status, o.reusable))
    };
    let text = |b: Vec<u8>| String::from_utf8_lossy(&b).replace("\r\n", "\n");
    Seen { result, out: text(out), err: text(err.take()) }
}

fn code(answer: &[u8]) -> (i32, String) {
    let failure = talk(answer, true, |_, _| ()).result.expect_err("a failure");
    (failure.code, failure.message)
}

#[test]
fn bodies_end_as_their_framing_says() {
    for (answer, close, out, reusable) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "hello", true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            true,
            "hello",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            false,
            "abc",
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nabc", true, "abc", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", true, "hi", false),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", false, "", true),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", false, "hi", true),
        // More than was said: the connection is not used again.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi more", false, "hi", false),
    ] {
        let seen = talk(answer.as_bytes(), close, |_, _| ());
        assert_eq!(seen.out, out, "{answer}");
        assert_eq!(seen.result.map(|r| r.1), Ok(reusable), "{answer}");
    }
    let head =
        talk(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, |r, _| r.head_only = true);
    assert_eq!(head.result, Ok((200, true)));
}

#[test]
fn each_failure_has_curls_code_and_words() {
    assert_eq!(code(b""), (52, "Empty reply from server".into()));
    assert_eq!(code(b"garbage\r\n\r\n"), (1, "Received HTTP/0.9 when not allowed".into()));
    assert_eq!(code(b"HTTP/1.1 200 OK\r\nA: b\r\n").0, 56);
    assert_eq!(
        code(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
        (18, "transfer closed with 97 bytes remaining to read".into())
    );
    assert_eq!(
        code(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        (18, "transfer closed with outstanding read data remaining".into())
    );
    let fail = talk(b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx", false, |r, _| r.fail = true);
    assert_eq!(fail.result, Err(Failure::new(22, "The requested URL returned error: 404")));
    assert_eq!(fail.out, "");
}

#[test]
fn verbose_lines_stand_as_in_curl() {
    // Compared with curl 7.88.1 against a server that says the same.
    let seen =
        talk(b"HTTP/1.0 200 OK\r\nX-odd:  y\r\nContent-Length: 5\r\n\r\nhello", true, |r, _| {
            r.body = b"a=b".to_vec();
        });
    insta::assert_snapshot!(seen.err, @r"
    > GET / HTTP/1.1
    > 
    } [3 bytes data]
    * HTTP 1.0, assume close after body
    < HTTP/1.0 200 OK
    < X-odd:  y
    < Content-Length: 5
    < 
    { [5 bytes data]
    ");
    let seen = talk(b"HTTP/1.1 200 OK\r\n\r\nabc", true, |_, include| *include = true);
    assert!(seen.err.contains(
        "< HTTP/1.1 200 OK\n* no chunk, no close, no size. Assume close to signal end\n< \n"
    ));
    assert_eq!(seen.out, "HTTP/1.1 200 OK\n\nabc");
}

#[test]
fn a_redirects_body_is_not_shown_when_it_is_followed() {
    let answer = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 3\r\n\r\nabc";
    let seen = talk(answer, false, |r, _| r.follow = true);
    assert_eq!((seen.result, seen.out.as_str()), (Ok((302, true)), ""));
    assert!(seen.err.ends_with("* Ignoring the response-body\n{ [3 bytes data]\n"));
}

proptest::proptest! {
    #[test]
    fn any_answer_ends_without_panic(answer: Vec<u8>, prefix in 0usize..4) {
        let starts: [&[u8]; 4] = [
            b"",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ];
        let _ = talk(&[starts[prefix], &answer].concat(), true, |_, _| ());
    }
}
