//! The language: what parses, what is refused and how, and what is left out.

use netarium_drill::script::{Action, Direction, Expr, Time, Transport};
use netarium_drill::{Script, Verdict, run};

fn parse(text: &str) -> Script {
    Script::parse(text, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The only packet of a script, as a report shows it.
fn shown(packet: &str) -> String {
    let script = parse(&format!("0 {packet}"));
    match &script.events[0].action {
        Action::Packet(p) => p.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_are_shown_as_they_are_written() {
    for packet in [
        "< S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>",
        "> S. 0:0(0) ack 1 <...>",
        "> P. 1:1001(1000) ack 1",
        "< . 1:1(0) ack 1 win 257 <sack 1001:2001 3001:4001,nop,nop>",
        "> SEW 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>",
        "< - 1:1001(1000) win 20000",
        "> [ect0] P. 1:1001(1000) ack 1",
        "> [tos 0x10] . 1:1(0) ack 1",
        "> (ttl 33) . 1:1(0) ack 1",
        "< 1001 > 8080 S 0:0(0) win 1000",
        "< PU. 1:11(10) ack 1 win 257 urg 10",
        "< . 4294967001:705(1000) ack 1 win 1000",
        "< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]",
        "< icmp echo_request id 7",
        "< icmp unreachable port_unreachable [udp (100)]",
        "> udp (1000)",
        "< S 0:0(0) win 1000 <unknown 99 0102,eol>",
    ] {
        assert_eq!(shown(packet), packet);
    }
}

#[test]
fn what_is_written_in_several_ways_is_one() {
    assert_eq!(shown("< R. 0:0(0) ack 1 win 0"), "< R. 0:0(0) ack 1 win 0");
    assert_eq!(shown("<  . 1:1(0)  ack 1  win 5"), "< . 1:1(0) ack 1 win 5");
    assert_eq!(shown("< S 0:0(0) win 1 <FO 0102>"), "< S 0:0(0) win 1 <unknown 34 0102>");
    let echoed_first = "< [1:11(10)] icmp unreachable frag_needed mtu 1500";
    assert_eq!(shown(echoed_first), "< icmp unreachable frag_needed mtu 1500 [1:11(10)]");
    assert_eq!(shown("< icmp type_3 code_1"), "< icmp unreachable host_unreachable");
}

#[test]
fn times_of_every_kind() {
    let script = parse(
        "0 close(3) = 0\n0.5 close(3) = 0\n+.1 close(3) = 0\n+1 close(3) = 0\n\
         1.0~1.5 > . 1:1(0)\n+.1~+.2 > . 1:1(0)\n* > . 1:1(0)\n",
    );
    let times: Vec<Time> = script.events.iter().map(|e| e.at).collect();
    assert_eq!(
        times,
        [
            Time::Absolute(0),
            Time::Absolute(500_000),
            Time::Relative(100_000),
            Time::Relative(1_000_000),
            Time::AbsoluteRange(1_000_000, 1_500_000),
            Time::RelativeRange(100_000, 200_000),
            Time::Any,
        ]
    );
}

#[test]
fn calls_with_everything() {
    let script = parse(
        "+0...0.300 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 100}, {\"ab\" \"c\", 3}],\n  \
         msg_flags=0}, MSG_MORE|MSG_OOB) = -1 EAGAIN (Resource temporarily unavailable)",
    );
    let Action::Call(call) = &script.events[0].action else { panic!() };
    assert_eq!((call.name.as_str(), call.until), ("sendmsg", Some(300_000)));
    assert_eq!(call.errno.as_deref(), Some("EAGAIN"));
    assert_eq!(call.result, Expr::Int(-1));
    let Expr::Struct(fields) = &call.args[1] else { panic!("{:?}", call.args[1]) };
    let names: Vec<&str> = fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["msg_name", "msg_iov", "msg_flags"]);
}

#[test]
fn flags_commands_code_and_comments() {
    let script = parse(
        "# a comment\n--ip_version=ipv4 --tolerance_usecs=5000\n--define=X=\"a b\"\n\
         /* a longer\n comment */\n`sysctl -q a=1\n sysctl -q b=2`\n\
         0 %{ assert tcpi_state == 1 }%  // why\n",
    );
    let names: Vec<&str> = script.flags.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["ip_version", "tolerance_usecs", "define"]);
    assert!(matches!(&script.events[0].action, Action::Command(c) if c.contains("b=2")));
    assert!(matches!(&script.events[1].action, Action::Code(c) if c.contains("assert")));
}

#[test]
fn defines_replace_words() {
    let text = "--define=PROTO=IPPROTO_TCP\n0 socket(..., KIND, PROTO) = $FD\n";
    let defines = [("KIND".to_owned(), "SOCK_STREAM".to_owned()), ("FD".into(), "3".into())];
    let script = Script::parse(text, &defines).unwrap();
    let Action::Call(call) = &script.events[0].action else { panic!() };
    assert_eq!(call.args[1], Expr::Word("SOCK_STREAM".to_owned()));
    assert_eq!(call.args[2], Expr::Word("IPPROTO_TCP".to_owned()));
    assert_eq!(call.result, Expr::Int(3));
}

#[test]
fn conditions_choose_what_is_for_this_system() {
    let text = "#ifdef STANDARD\n0 close(1) = 0\n#else\n0 close(2) = 0\n#endif\n\
        #ifdef FreeBSD\n0 close(3) = 0\n#endif\n#ifndef FreeBSD\n0 close(4) = 0\n#endif\n";
    let lines = |script: &Script| script.events.iter().map(|e| e.line).collect::<Vec<_>>();
    assert_eq!(lines(&parse(text)), [2, 10]);
    let freebsd = [("FreeBSD".to_owned(), "1".to_owned())];
    assert_eq!(lines(&Script::parse(text, &freebsd).unwrap()), [2, 7]);
    assert_eq!(lines(&parse("#ifdef Linux\n0 close(1) = 0\n#endif\n")), [2]);
    check_error("#ifdef A\n0 close(1) = 0", "1:1: this `#ifdef` has no `#endif`");
    check_error("0 close(1) = 0 // #if\n#endif", "2:1: `#endif` without `#ifdef`");
}

#[test]
fn outbound_packets_may_leave_options_open() {
    let script = parse("0 > . 1:1(0) ack 1 <...>");
    let Action::Packet(packet) = &script.events[0].action else { panic!() };
    let Transport::Tcp(segment) = &packet.transport else { panic!() };
    assert_eq!((packet.direction, &segment.options), (Direction::Out, &None));
}

#[track_caller]
fn check_error(text: &str, expect: &str) {
    let error = Script::parse(text, &[]).expect_err(text);
    assert_eq!(error.to_string(), expect, "{text}");
    assert!(!error.unsupported, "{text}");
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    check_error("0 < S 0:10(0) win 1", "1:13: 0 plus 0 bytes is not 10");
    check_error("\n0 < Q 0:0(0) win 1", "2:7: `Q` in `Q` is not a TCP flag");
    check_error("0 < S 0:0(0) win 70000", "1:18: the window 70000 is not between 0 and 65535");
    check_error("0 close(3 = 0", "1:11: expected `,` or `)`, found `=`");
    check_error("0 close(3)", "1:11: expected `=`, found the end of the script");
    check_error(
        "close(3) = 0",
        "1:1: expected a time in seconds, `+` and a time, or `*`, found `close`",
    );
    check_error("0.2...0.1 read(3, ..., 1) = 1", "1:11: this call ends before it starts");
    check_error("* close(3) = 0", "1:15: `*` and time ranges are for outbound packets only");
    check_error("0 < . 1:1(0) <...>", "1:19: `<...>` can only be expected, not sent");
    check_error("0 `sleep 1", "1:3: this does not end: ``` is missing");
    check_error("/* no end", "1:1: this comment does not end: `*/` is missing");
    check_error(
        "0 > . 1:1(0) ack 1 <TS val 1 ecr 1,TS val 1 ecr 1,TS val 1 ecr 1,TS val 1 ecr 1,nop>",
        "1:85: these options need 41 bytes; a header has 40",
    );
}

#[track_caller]
fn check_skipped(text: &str, expect: &str) {
    let outcome = run("x.pkt", text, &[]);
    assert_eq!(outcome.verdict, Verdict::Skipped(expect.to_owned()), "{text}");
}

#[test]
fn what_is_left_out_is_skipped_with_its_reason() {
    check_skipped("--ip_version=ipv6\n0 close(3) = 0", "IPv6");
    check_skipped("0 < ipv4 1.2.3.4 > 5.6.7.8: . 1:1(0)", "line 1: encapsulation in ipv4");
    check_skipped("0 > S.5 0:0(0)", "line 1: the ACE field of AccECN");
    check_skipped("0 fork() = 0", "line 1: the call fork");
    check_skipped("0 send(3, ..., 1, MSG_ZEROCOPY) = 1", "line 1: zero copy");
    check_skipped(
        "`sysctl net.ipv4.tcp_ecn=3`\n0 close(3) = 0",
        "line 1: AccECN (tcp_ecn above 2)",
    );
    check_skipped("0 `iptables -A INPUT -j DROP`", "line 1: needs `iptables -A INPUT -j DROP`");
    check_skipped(
        "0 socket(..., SOCK_STREAM, $PROTO) = 3",
        "line 1: `$PROTO` is not defined (give it with --define PROTO=VALUE)",
    );
}

#[test]
fn both_ip_versions_mean_ipv4() {
    let outcome =
        run("x.pkt", "--ip_version=ipv4 --ip_version=ipv6\n0 close(9) = -1 EBADF (x)", &[]);
    assert_eq!(outcome.verdict, Verdict::Passed);
}

#[test]
fn hostile_scripts_end() {
    let deep = format!("0 close({}3{}) = 0", "[".repeat(50_000), "]".repeat(50_000));
    assert!(matches!(run("x", &deep, &[]).verdict, Verdict::Failed(_)));
    let long = format!("0 close(3) = 0 // {}", "x".repeat(5 << 20));
    assert!(matches!(run("x", &long, &[]).verdict, Verdict::Failed(_)));
    for text in ["0 > \u{1F980} 1:1(0)", "\0\0\0", "0 write(3, ..., 99999999999999999999) = 1"] {
        assert!(matches!(run("x", text, &[]).verdict, Verdict::Failed(_)), "{text:?}");
    }
}

/// Scripts with a few bytes changed, left out or doubled: each ends with a verdict.
#[test]
fn mutated_scripts_end() {
    const SEED: &str = "`sysctl -q net.ipv4.tcp_ecn=1`\n\
        0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n\
        +0 listen(3, 1) = 0\n+0 < S 0:0(0) win 1000 <mss 1000,sackOK,TS val 1 ecr 0>\n\
        +0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 1>\n\
        +.1 < . 1:1(0) ack 1 win 1000 <nop,nop,TS val 2 ecr 100>\n\
        +0 accept(3, ..., ...) = 4\n+0...0.2 read(4, ..., 100) = 100\n\
        +.2 < P. 1:101(100) ack 1 win 1000 <nop,nop,TS val 2 ecr 100>\n\
        +0~+.2 > . 1:1(0) ack 101 <...>\n+0 %{ assert tcpi_state == 1, 'x %d' % 3 }%\n\
        +0 poll([{fd=4, events=POLLOUT, revents=POLLOUT}], 1, 0) = 1\n\
        +0 < icmp unreachable frag_needed mtu 1200 [1:11(10)]\n+0 close(4) = 0\n";
    let mut state = 7u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for _ in 0..2000 {
        let mut text: Vec<u8> = SEED.into();
        for _ in 0..1 + next(4) {
            let at = next(text.len());
            match next(4) {
                0 => text[at] = b"0159.+-*<>()[]{}`%'\"|,=~: \nSFx"[next(30)],
                1 => drop(text.remove(at)),
                2 => text.insert(at, text[at]),
                _ => {
                    let other = (at + 1) % text.len();
                    text.swap(at, other);
                }
            }
        }
        let text = String::from_utf8_lossy(&text);
        let _: Verdict = run("x.pkt", &text, &[]).verdict;
    }
}
