//! The runner: what a failure shows, how calls wait, and that time is virtual.

use netarium_drill::{Failure, Flag, Outcome, Verdict, run};

const SERVER: &str = "\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 32792 <mss 1000,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
";

fn play(body: &str) -> Outcome {
    run("x.pkt", &format!("{SERVER}{body}"), &[])
}

#[track_caller]
fn failure(body: &str) -> Failure {
    match play(body).verdict {
        Verdict::Failed(failure) => *failure,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn passes(body: &str) {
    let outcome = play(body);
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome}");
}

#[test]
fn a_packet_that_differs_is_shown_beside_what_was_expected() {
    let f = failure("+0 write(4, ..., 1500) = 1500\n+0 > P. 1:901(900) ack 1\n");
    assert_eq!((f.line, f.source.as_str()), (9, "+0 > P. 1:901(900) ack 1"));
    assert_eq!(f.why, "a packet differs: flags, length");
    assert_eq!(f.expected, "> P. 1:901(900) ack 1");
    assert!(f.got.starts_with("> . 1:1001(1000) ack 1 win "), "{}", f.got);
    assert!(f.got.ends_with(" at 0.100000"), "{}", f.got);
    assert_eq!(f.also.len(), 1);
    assert!(f.also[0].starts_with("0.100000 > P. 1001:1501(500) ack 1"), "{:?}", f.also);
}

#[test]
fn a_packet_that_does_not_come_and_one_at_another_time() {
    let f = failure("+0 > P. 1:901(900) ack 1\n");
    assert_eq!(f.why, "an expected packet was not sent");
    assert_eq!(
        (f.expected.as_str(), f.got.as_str()),
        ("> P. 1:901(900) ack 1 at 0.100000", "nothing")
    );
    let f = failure("+0 write(4, ..., 10) = 10\n+.5 > P. 1:11(10) ack 1\n");
    assert_eq!((f.why.as_str(), f.got.as_str()), ("a packet was sent too early", "at 0.100000"));
    let f = failure("+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1\n+.1 > F. 1:1(0) ack 1\n");
    assert_eq!(f.why, "an expected packet was not sent");
}

#[test]
fn tolerance_is_what_the_script_allows() {
    let text = "+0 write(4, ..., 10) = 10\n+.5 > P. 1:11(10) ack 1\n";
    let outcome = run("x", &format!("--tolerance_usecs=500000\n{SERVER}{text}"), &[]);
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome}");
    let flag = Flag { name: "tolerance_usecs".into(), value: Some("600000".into()), line: 0 };
    let outcome = run("x", &format!("{SERVER}{text}"), &[flag]);
    assert_eq!(outcome.verdict, Verdict::Passed, "the command line wins: {outcome}");
}

#[test]
fn unexpected_packets_fail_the_next_expectation() {
    let f = failure("+0 write(4, ..., 10) = 10\n+0 close(4) = 0\n+0 > F. 11:11(0) ack 1\n");
    assert_eq!(f.why, "a packet differs: flags, sequence number, length");
    assert!(f.got.contains("P. 1:11(10)"), "{}", f.got);
}

#[test]
fn a_call_that_returns_something_else() {
    let f = failure("+0 read(4, ..., 10) = 10\n");
    assert_eq!((f.line, f.why.as_str()), (8, "a call does not return"));
    let f = failure("+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n+0 read(4, ..., 10) = 10\n");
    assert_eq!(f.why, "read returns something else");
    assert_eq!(f.got, "-1 EAGAIN (Resource temporarily unavailable)");
    let f = failure("+0 getsockopt(4, IPPROTO_TCP, TCP_NODELAY, [1], [4]) = 0\n");
    assert_eq!((f.expected.as_str(), f.got.as_str()), ("1", "0"));
}

#[test]
fn blocking_calls_end_when_the_script_says() {
    passes("+0...0.2 read(4, ..., 10) = 10\n+.2 < P. 1:11(10) ack 1 win 257\n");
    let f = failure("+0...0.3 read(4, ..., 10) = 10\n+.2 < P. 1:11(10) ack 1 win 257\n");
    assert_eq!((f.line, f.why.as_str()), (8, "read returns at another time"));
    assert_eq!((f.expected.as_str(), f.got.as_str()), ("at 0.400000", "at 0.300000"));
    let f = failure("+0...0.3 read(4, ..., 10) = 10\n");
    assert_eq!((f.line, f.why.as_str()), (8, "a call does not return"));
}

#[test]
fn one_packet_of_the_script_may_be_several_of_ours() {
    passes("+0 write(4, ..., 5000) = 5000\n+0 > P. 1:5001(5000) ack 1\n");
    let f = failure("+0 write(4, ..., 5000) = 5000\n+0 > P. 1:6001(6000) ack 1\n");
    assert!(f.why.contains("length"), "{}", f.why);
    let f = failure("+0 write(4, ..., 20000) = 20000\n+0 > P. 1:12001(12000) ack 1\n");
    assert!(f.got.contains("1:10001(10000)"), "the window ends it: {}", f.got);
}

#[test]
fn two_hours_take_no_time() {
    passes(
        "+0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0\n\
         +7200 > . 0:0(0) ack 1\n+.1 < . 1:1(0) ack 1 win 257\n\
         +7200 > . 0:0(0) ack 1\n",
    );
}

#[test]
fn code_sees_tcp_info() {
    passes("+0 %{ assert tcpi_state == TCP_ESTABLISHED and tcpi_snd_mss == 1000 }%\n");
    let f = failure("+0 %{ assert tcpi_snd_cwnd == 99, 'cwnd %d' % tcpi_snd_cwnd }%\n");
    assert!(f.why.starts_with("assert tcpi_snd_cwnd == 99 does not hold: cwnd "), "{}", f.why);
}

#[test]
fn what_is_left_out_of_a_script_that_runs_is_noted() {
    let outcome = play("+0 `nstat | grep Tcp`\n+0 %{ import json }%\n");
    assert_eq!(outcome.verdict, Verdict::Passed);
    assert_eq!(
        outcome.notes,
        [
            "line 8: `nstat | grep Tcp` was left out: a shell command",
            "line 9: the code was left out: `import`",
        ]
    );
}

#[test]
fn differences_that_are_not_fatal_are_noted() {
    let text = format!("--non_fatal=packet,syscall\n{SERVER}+0 close(9) = 0\n");
    let outcome = run("x", &text, &[]);
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome}");
    assert_eq!(outcome.notes, ["line 9: close returns something else (--non_fatal)"]);
}

#[test]
fn timestamps_run_as_the_script_says_when_it_asks() {
    let script = |tick: u32, val: u32| {
        format!(
            "--tcp_ts_tick_usecs={tick}\n\
             0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n\
             +0 listen(3, 1) = 0\n+0 < S 0:0(0) win 1000 <mss 1000,sackOK,TS val 1 ecr 0>\n\
             +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 1>\n\
             +.5 < . 1:1(0) ack 1 win 1000 <nop,nop,TS val 2 ecr 100>\n\
             +0 accept(3, ..., ...) = 4\n+0 write(4, ..., 10) = 10\n\
             +0 > P. 1:11(10) ack 1 <nop,nop,TS val {val} ecr 2>\n"
        )
    };
    assert_eq!(run("x", &script(1000, 600), &[]).verdict, Verdict::Passed);
    assert_eq!(run("x", &script(0, 7), &[]).verdict, Verdict::Passed, "not checked");
    assert!(matches!(run("x", &script(1000, 700), &[]).verdict, Verdict::Failed(_)));
}

#[test]
fn verbose_tells_every_event() {
    let outcome = play("+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n");
    let log = outcome.log.join("\n");
    assert!(log.contains("0.000000 < S 0:0(0) win 32792 <mss 1000,nop,wscale 7>"), "{log}");
    assert!(log.contains("0.100000 accept(…) = 4"), "{log}");
    assert!(log.contains("0.100000 > P. 1:11(10) ack 1 win"), "{log}");
}
