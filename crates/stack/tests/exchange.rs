//! What an established connection says, segment by segment: acknowledgements, windows, checks,
//! keep-alive, Nagle, closing.

mod common;

use common::peer::{Peer, Seg, seg};
use netarium_base::Duration;
use netarium_stack::{Errno, RecvFlags, SendFlags, Shutdown, SocketOption};
use netarium_wire::TcpOption;

const NONE: [&str; 0] = [];

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A connection of the usual kind, window 1000 << 7.
fn established() -> (Peer, netarium_base::SocketId) {
    let mut p = Peer::new();
    let s = p.accepted(seg("S", 0, 0).usual());
    (p, s)
}

/// RFC 9293 §3.8.6.3 as Linux does it: quick at first, then every second segment, the rest after
/// 40 ms.
#[test]
fn acknowledgements_are_quick_then_delayed() {
    let (mut p, s) = established();
    let mut at = 1;
    // The first 16 or so are answered at once.
    for i in 0..16 {
        let answer = p.inject(seg(".", at, 1).len(1460));
        at += 1460;
        assert_eq!(answer.len(), 1, "segment {i}: {answer:?}");
        p.recv(s, 5000).unwrap();
        p.sent();
    }
    // The program answers: from now on the connection is interactive.
    p.send(s, 10);
    p.inject(seg(".", at, 11));
    assert_eq!(p.inject(seg("P.", at, 11).len(100)), NONE);
    at += 100;
    let late = p.wait(ms(45));
    assert_eq!(late.len(), 1, "{late:?}");
    assert!(late[0].starts_with("+40 . 11:11(0)"), "{late:?}");
    p.recv(s, 5000).unwrap();
    p.sent();
    let _ = at;
}

/// RFC 5681 §4.2, RFC 2018, RFC 2883: gaps and duplicates are told at once.
#[test]
fn gaps_and_duplicates_are_told_at_once() {
    let (mut p, _s) = established();
    p.inject(seg(".", 1, 1).len(1000));
    let sack = |blocks: &str| format!("<nop,nop,sack {blocks}>");
    let ends = |answer: &[String], tail: &str| {
        assert!(
            answer.len() == 1 && answer[0].ends_with(tail),
            "{answer:?} should end with {tail}"
        );
    };
    ends(&p.inject(seg(".", 2001, 1).len(1000)), &sack("2001:3001"));
    ends(&p.inject(seg(".", 4001, 1).len(1000)), &sack("4001:5001 2001:3001"));
    ends(&p.inject(seg(".", 3001, 1).len(500)), &sack("2001:3501 4001:5001"));
    // Below RCV.NXT: reported once.
    ends(&p.inject(seg(".", 501, 1).len(500)), &sack("501:1001 2001:3501 4001:5001"));
    // Twice out of order.
    ends(&p.inject(seg(".", 2001, 1).len(1000)), &sack("2001:3001 2001:3501 4001:5001"));
    let all = p.inject(seg(".", 1001, 1).len(1000));
    assert!(all[0].contains("ack 3501") && all[0].ends_with(&sack("4001:5001")), "{all:?}");
    let all = p.inject(seg(".", 3501, 1).len(500));
    assert!(all[0].contains("ack 5001") && !all[0].contains("sack"), "{all:?}");
    ends(&p.inject(seg(".", 4501, 1).len(500)), &sack("4501:5001"));
}

/// RFC 2883 §4.2: a segment in order that covers what had come out of order.
#[test]
fn what_was_sent_again_in_one_piece_is_told() {
    let (mut p, _s) = established();
    p.inject(seg(".", 1001, 1).len(1000));
    p.inject(seg(".", 4001, 1).len(1000));
    let all = p.inject(seg(".", 1, 1).len(3000));
    assert!(all[0].contains("ack 3001"), "{all:?}");
    assert!(all[0].ends_with("<nop,nop,sack 1001:2001 4001:5001>"), "{all:?}");
}

/// RFC 5961 §3 to §5 and §10: resets, SYNs and ACKs that do not fit are challenged, at most twice
/// a second.
#[test]
fn what_does_not_fit_is_challenged() {
    let challenge = ". 1:1(0) ack 1 win 502";
    let cases: [(Seg, bool); 10] = [
        (seg("R", 2, 0), true),
        (seg("R", 60_000, 0), true),
        (seg("R", 70_000, 0), false),
        (seg("R", 0, 0), false),
        (seg("S", 0, 0), true),
        (seg("S", 100, 0), true),
        (seg("S.", 1, 1), true),
        (seg(".", 1, 2), true),
        (seg(".", 0x8000_0000, 1), true),
        (seg(".", 1, 0x8000_0000), true),
    ];
    for (i, (segment, challenged)) in cases.into_iter().enumerate() {
        let (mut p, s) = established();
        let expected: &[&str] = if challenged { &[challenge] } else { &[] };
        assert_eq!(p.inject(segment.clone()), expected, "case {i}");
        assert_eq!(p.inject(segment.clone()), NONE, "case {i}: limited");
        p.now += ms(500);
        assert_eq!(p.inject(segment), expected, "case {i}: again");
        assert_eq!(p.recv(s, 1), Err(Errno::EAGAIN), "case {i}: it lives");
    }
    let (mut p, s) = established();
    assert_eq!(p.inject(seg("R", 1, 0)), NONE);
    assert_eq!(p.recv(s, 1), Err(Errno::ECONNRESET));
}

/// RFC 5961 §10: the host's own limit, which varies by chance between half and one and a half.
#[test]
fn challenges_of_a_host_are_limited() {
    let mut p = Peer::new();
    p.host.tcp_config_mut().challenge_ack_limit = 20;
    p.host.tcp_config_mut().invalid_ratelimit = Duration::ZERO;
    p.accepted(seg("S", 0, 0).usual());
    let answers = (0..100).map(|_| p.inject(seg("S", 5, 0)).len()).sum::<usize>();
    assert!((10..=30).contains(&answers), "{answers}");
    let stats = p.host.stats();
    assert_eq!(stats.tcp_challenge_acks + stats.tcp_challenges_limited, 100);
    p.now += secs(1);
    assert_eq!(p.inject(seg("S", 5, 0)).len(), 1);
}

/// RFC 7323 §5: an old timestamp is answered, a reset with one is believed, and after 24 days
/// nothing can be told.
#[test]
fn old_timestamps_are_refused() {
    let mut p = Peer::new();
    let l = p.listen(5);
    p.inject(seg("S", 0, 0).mss(1460).opt(TcpOption::SackPermitted).ts(10_000, 0));
    let echo = p.tsval;
    p.inject(seg(".", 1, 1).ts(10_001, echo));
    let s = p.accept(l).unwrap();
    let answer = p.inject(seg("P.", 1, 1).len(10).ts(9_000, echo));
    assert_eq!(answer, [". 1:1(0) ack 1 win 65160 <nop,nop,TS ecr 10001>"]);
    assert_eq!(p.recv(s, 100), Err(Errno::EAGAIN));
    // RFC 7323 §4.3: only a segment at the left edge moves the echo.
    let answer = p.inject(seg("P.", 11, 1).len(10).ts(10_500, echo));
    assert!(answer[0].contains("TS ecr 10001"), "{answer:?}");
    let answer = p.inject(seg("P.", 1, 1).len(10).ts(10_600, echo));
    assert!(answer[0].contains("ack 21") && answer[0].contains("TS ecr 10600"), "{answer:?}");
    // An ACK for what was never sent does not move it either.
    p.inject(seg("P.", 21, 50).len(10).ts(20_000, echo));
    let answer = p.inject(seg("P.", 21, 1).len(10).ts(10_700, echo));
    assert!(answer[0].contains("TS ecr 10700"), "{answer:?}");
    p.now += secs(25 * 24 * 3600);
    let answer = p.inject(seg("P.", 31, 1).len(10).ts(5, echo));
    assert!(answer[0].contains("ack 41") && answer[0].contains("TS ecr 5"), "{answer:?}");
    assert_eq!(p.inject(seg("R", 41, 0).ts(1, 0)), NONE);
    assert_eq!(p.recv(s, 100).map(|d| d.len()), Ok(40));
    assert_eq!(p.recv(s, 100), Err(Errno::ECONNRESET));
}

/// RFC 9293 §3.8.4 (SHLD-24 to MUST-30): probes below the window at the set times, a reset at the
/// end; an answer starts the wait anew.
#[test]
fn keep_alive_probes_at_its_times() {
    let (mut p, s) = established();
    p.set(s, SocketOption::KeepIdle(secs(10)));
    p.set(s, SocketOption::KeepInterval(secs(2)));
    p.set(s, SocketOption::KeepCount(2));
    p.set(s, SocketOption::KeepAlive(true));
    let probe = ". 0:0(0) ack 1 win 502";
    assert_eq!(p.wait(secs(11)), [format!("+10000 {probe}")]);
    p.inject(seg(".", 1, 1));
    assert_eq!(
        p.wait(secs(20)),
        [format!("+10000 {probe}"), format!("+12000 {probe}"), "+14000 R. 1:1(0) ack 1".to_owned()]
    );
    assert_eq!(p.recv(s, 1), Err(Errno::ETIMEDOUT));
}

/// With TCP_USER_TIMEOUT that time counts instead of the number of probes.
#[test]
fn the_user_timeout_ends_keep_alive_and_retransmission() {
    let (mut p, s) = established();
    p.set(s, SocketOption::KeepIdle(secs(1)));
    p.set(s, SocketOption::KeepInterval(secs(1)));
    p.set(s, SocketOption::UserTimeout(secs(5)));
    p.set(s, SocketOption::KeepAlive(true));
    let sent = p.wait(secs(20));
    assert!(sent.last().is_some_and(|l| l.starts_with("+5000 R.")), "{sent:?}");
    let (mut p, s) = established();
    p.set(s, SocketOption::UserTimeout(secs(3)));
    p.send(s, 100);
    let sent = p.wait(secs(60));
    let last: u64 = sent.last().unwrap()[1..].split(' ').next().unwrap().parse().unwrap();
    assert!(last <= 3300, "{sent:?}");
    assert_eq!(p.recv(s, 1), Err(Errno::ETIMEDOUT));
}

/// RFC 9293 §3.8.6.1, MUST-34 to MUST-37: a closed window is probed with growing waits, for ever
/// while the peer answers.
#[test]
fn a_closed_window_is_probed_while_the_peer_answers() {
    let (mut p, s) = established();
    p.inject(seg(".", 1, 1).win(0));
    assert_eq!(p.send(s, 100), NONE);
    let mut waits = Vec::new();
    for _ in 0..40 {
        let start = p.now;
        let mut probe = Vec::new();
        while probe.is_empty() {
            let due = p.host.next_deadline().expect("a timer");
            probe = p.wait(due - p.now);
        }
        assert!(probe[0].contains(". 0:0(0)"), "{probe:?}");
        waits.push((p.now - start).as_millis());
        p.inject(seg(".", 1, 1).win(0));
    }
    assert!(waits.windows(2).all(|w| w[0] <= w[1]), "{waits:?}");
    assert_eq!(waits.last(), Some(&120_000));
    let sent = p.inject(seg(".", 1, 1).win(1000));
    assert_eq!(sent, ["P. 1:101(100) ack 1 win 502"]);
}

/// Unanswered probes of a closed window end the connection.
#[test]
fn unanswered_probes_end_the_connection() {
    let (mut p, s) = established();
    p.inject(seg(".", 1, 1).win(0));
    p.send(s, 100);
    let probes = p.wait(secs(3000)).len();
    assert_eq!(probes, 15);
    assert_eq!(p.recv(s, 1), Err(Errno::ETIMEDOUT));
}

/// RFC 9293 §3.7.4 with Minshall's change; TCP_NODELAY, TCP_CORK, MSG_MORE.
#[test]
fn small_segments_are_held_back_as_asked() {
    let (mut p, s) = established();
    assert_eq!(p.send(s, 100), ["P. 1:101(100) ack 1 win 502"]);
    assert_eq!(p.send(s, 50), NONE, "Nagle");
    assert_eq!(p.inject(seg(".", 1, 101)), ["P. 101:151(50) ack 1 win 502"]);
    p.inject(seg(".", 1, 151));
    // A full segment in flight does not hold back a small one.
    assert_eq!(p.send(s, 1460).len(), 1);
    assert_eq!(p.send(s, 20).len(), 1);
    p.inject(seg(".", 1, 151 + 1480));
    p.set(s, SocketOption::Cork(true));
    assert_eq!(p.send(s, 10), NONE);
    assert_eq!(p.send(s, 1455).len(), 1, "a full one goes");
    assert_eq!(p.set(s, SocketOption::Cork(false)).len(), 1, "the rest after the cork");
    p.inject(seg(".", 1, 151 + 1480 + 1465));
    p.set(s, SocketOption::Cork(true));
    assert_eq!(p.send(s, 10), NONE);
    let late = p.wait(ms(250));
    assert!(late.len() == 1 && late[0].starts_with("+20"), "the ceiling: {late:?}");
    p.set(s, SocketOption::Cork(false));
    p.inject(seg(".", 1, 151 + 1480 + 1475));
    let more = |p: &mut Peer| p.on(|st, cx| st.send_with(cx, s, &[1; 30], SendFlags::MORE));
    assert_eq!(more(&mut p), Ok(30));
    assert_eq!(p.sent(), NONE);
    assert_eq!(p.set(s, SocketOption::NoDelay(true)).len(), 1);
    assert_eq!(p.send(s, 5).len(), 1);
    assert_eq!(p.send(s, 5).len(), 1);
}

/// RFC 9293 §3.8.6.2.1: a sliver of window is not used at once, but after the override time.
#[test]
fn a_sliver_of_window_waits() {
    let (mut p, s) = established();
    p.inject(seg(".", 1, 1).win(2));
    assert_eq!(p.send(s, 3000), NONE);
    let late = p.wait(secs(1));
    assert!(late[0].contains("1:257(256)"), "{late:?}");
}

/// RFC 9293 §3.8.6.2.1: also where no window was ever larger than one byte a byte is a sliver.
#[test]
fn a_byte_of_window_is_a_sliver() {
    let mut p = Peer::new();
    let s = p.socket();
    p.connect(s);
    p.inject(seg("S.", 0, 1).win(0));
    assert_eq!(p.send(s, 100), NONE);
    assert_eq!(p.inject(seg(".", 1, 1).win(1)), NONE);
    let late = p.wait(secs(1));
    assert!(late[0].contains("1:2(1)"), "{late:?}");
}

/// RFC 2525 §2.17: an urgent byte that nobody has read is unread data, too.
#[test]
fn an_unread_urgent_byte_becomes_a_reset() {
    let (mut p, s) = established();
    p.inject(seg("U.", 1, 1).data(b"!").urgent(1));
    let sent = p.close(s);
    assert!(sent[0].starts_with("R"), "{sent:?}");
}

/// The same: a FIN ahead of the stream says that data comes which nobody will read.
#[test]
fn a_fin_ahead_of_the_stream_is_data_for_nobody() {
    let (mut p, s) = established();
    assert!(p.close(s)[0].starts_with("F."));
    let sent = p.inject(seg("F.", 600, 1));
    assert!(sent[0].starts_with("R"), "{sent:?}");
}

/// RFC 2883 §4: a duplicate is reported with the segment that brought it, not with a later one.
#[test]
fn an_old_duplicate_is_no_news() {
    let mut p = Peer::new();
    let s = p.accepted(seg("S", 0, 0).mss(1460).opt(TcpOption::SackPermitted));
    for n in 0..20 {
        p.inject(seg("P.", 1 + 10 * n, 1).data(&[b'x'; 10]));
        p.recv(s, 10).unwrap();
    }
    // Answers are awaited: acknowledgements wait.
    p.send(s, 1);
    p.sent();
    p.inject(seg(".", 191, 2).data(&[b'x'; 20]));
    let sent = p.inject(seg(".", 300, 2).data(&[b'x'; 10]));
    assert!(sent[0].ends_with("<nop,nop,sack 300:310>"), "{sent:?}");
}

/// RFC 9293 §3.8.5, RFC 6093: the urgent byte leaves the stream, reading stops at the mark.
#[test]
fn urgent_data_arrives_apart() {
    let (mut p, s) = established();
    let oob = |p: &mut Peer| {
        let mut b = [0; 4];
        p.on(|st, cx| st.recv_with(cx, s, &mut b, RecvFlags::OOB)).map(|n| b[..n].to_vec())
    };
    assert_eq!(oob(&mut p), Err(Errno::EINVAL));
    // Announced before it arrives.
    p.inject(seg("U.", 1, 1).data(b"ab").urgent(4));
    assert_eq!(oob(&mut p), Err(Errno::EAGAIN));
    p.inject(seg("PU.", 3, 1).data(b"c!de").urgent(2));
    assert_eq!(p.host.inq(s), Ok(3));
    assert_eq!(p.recv(s, 10).unwrap(), b"abc");
    assert_eq!(p.host.at_mark(s), Ok(true));
    assert_eq!(oob(&mut p), Ok(b"!".to_vec()));
    assert_eq!(oob(&mut p), Err(Errno::EINVAL), "once");
    assert_eq!(p.recv(s, 10).unwrap(), b"de");
    assert_eq!(p.host.at_mark(s), Ok(false));
    p.set(s, SocketOption::OobInline(true));
    p.inject(seg("PU.", 7, 1).data(b"x?y").urgent(2));
    assert_eq!(oob(&mut p), Err(Errno::EINVAL));
    assert_eq!(p.recv(s, 10).unwrap(), b"x");
    assert_eq!(p.host.at_mark(s), Ok(true));
    assert_eq!(p.recv(s, 10).unwrap(), b"?y");
}

/// RFC 9293 MUST-62: the pointer reaches as far as it can, until the urgent byte is acknowledged.
#[test]
fn urgent_data_is_announced() {
    let (mut p, s) = established();
    let sent = p.on(|st, cx| st.send_with(cx, s, b"hurry", SendFlags::OOB));
    assert_eq!(sent, Ok(5));
    assert_eq!(p.sent(), ["P.U 1:6(5) ack 1 win 502 urg 5"]);
    // Nagle does not hold back what is urgent.
    p.on(|st, cx| st.send_with(cx, s, b"x", SendFlags::OOB)).unwrap();
    assert_eq!(p.sent(), ["P.U 6:7(1) ack 1 win 502 urg 1"]);
    p.inject(seg(".", 1, 7));
    assert_eq!(p.send(s, 3), ["P. 7:10(3) ack 1 win 502"]);
}

/// RFC 9293 §3.6, RFC 2525 §2.17: what `close` means by what is unread and by SO_LINGER.
#[test]
fn closing_tells_the_peer_what_was_lost() {
    let (mut p, s) = established();
    p.inject(seg("P.", 1, 1).len(10));
    assert_eq!(p.close(s), ["R. 1:1(0) ack 11"]);
    let (mut p, s) = established();
    p.set(s, SocketOption::Linger(Some(Duration::ZERO)));
    assert_eq!(p.close(s), ["R. 1:1(0) ack 1"]);
    let (mut p, s) = established();
    assert_eq!(p.close(s), ["F. 1:1(0) ack 1 win 502"]);
    let ends = (std::net::SocketAddr::from((common::peer::OURS, 80)), 4000);
    let remote = std::net::SocketAddr::from((common::peer::THEIRS, ends.1));
    assert!(!p.host.has_lingered(ends.0, remote));
    assert_eq!(p.inject(seg(".", 1, 2)), NONE);
    assert!(p.host.has_lingered(ends.0, remote));
    // Data for nobody.
    assert_eq!(p.inject(seg("P.", 1, 2).len(5)), ["R 2:2(0)"]);
}

/// TCP_LINGER2: how long FIN-WAIT-2 waits without a program.
#[test]
fn fin_wait_2_ends_when_asked() {
    for (option, left_at) in [(None, None), (Some(secs(5)), Some(5)), (Some(secs(0)), Some(60))] {
        let (mut p, s) = established();
        p.set(s, SocketOption::Linger2(option));
        p.close(s);
        let answer = p.inject(seg(".", 1, 2));
        let state = |p: &Peer| p.host.sockets().iter().any(|r| r.state == "FIN_WAIT2");
        match left_at {
            None => assert_eq!(answer, ["R. 2:2(0) ack 1"]),
            Some(t) => {
                p.wait(secs(t) - ms(1));
                assert!(state(&p), "{option:?}");
                p.wait(ms(2));
            }
        }
        assert!(!state(&p), "{option:?}");
    }
}

/// RFC 9293 §3.6.1, RFC 1337: what TIME-WAIT answers, and what ends it.
#[test]
fn time_wait_answers_and_ends_by_the_rules() {
    let time_wait = |rfc1337: bool| {
        let mut p = Peer::new();
        p.host.tcp_config_mut().rfc1337 = rfc1337;
        let s = p.accepted(seg("S", 0, 0).usual());
        p.close(s);
        p.inject(seg(".", 1, 2));
        assert_eq!(p.inject(seg("F.", 1, 2)), [". 2:2(0) ack 2 win 502"]);
        p
    };
    let left = |p: &Peer| p.host.sockets().iter().any(|r| r.state == "TIME_WAIT");
    let mut p = time_wait(false);
    p.wait(secs(59));
    assert!(left(&p));
    // The FIN again: answered, and the wait begins anew.
    assert_eq!(p.inject(seg("F.", 1, 2)).len(), 1);
    p.wait(secs(59));
    assert!(left(&p));
    p.wait(secs(1));
    assert!(!left(&p));
    for (rfc1337, stays) in [(false, false), (true, true)] {
        let mut p = time_wait(rfc1337);
        assert_eq!(p.inject(seg("R", 2, 0)), NONE);
        assert_eq!(left(&p), stays);
    }
    let mut p = time_wait(false);
    assert_eq!(p.inject(seg("R", 100, 0)), NONE, "not exactly expected");
    assert!(left(&p));
    assert_eq!(p.inject(seg("S", 1, 0).usual()), [". 2:2(0) ack 2 win 502"], "an old SYN");
    assert!(left(&p));
    let next = p.inject(seg("S", 1000, 0).usual());
    assert!(next.len() == 1 && next[0].starts_with("S. 0:0(0) ack 1001"), "{next:?}");
    assert!(!left(&p));
}

/// RFC 1191, RFC 5927 §7: a router's word cuts segments, if it quotes what is in flight.
#[test]
fn a_smaller_path_cuts_segments() {
    let (mut p, s) = established();
    assert_eq!(p.send(s, 2920).len(), 2);
    assert_eq!(p.too_big(50_000, 1000), NONE, "quotes nothing in flight");
    let again = p.too_big(1, 1000);
    assert_eq!(again[0], ". 1:961(960) ack 1 win 502");
    assert_eq!(p.host.tcp_info(p.now, s).unwrap().pmtu, 1000);
    p.inject(seg(".", 1, 2921));
    // Another connection to the same host knows it; the route forgets after ten minutes.
    p.peer_port = 4001;
    let t = p.accepted_beside(seg("S", 0, 0).usual());
    assert_eq!(p.send(t, 2000)[0], ". 1:961(960) ack 1 win 502");
    p.inject(seg(".", 1, 2001));
    p.now += secs(601);
    assert_eq!(p.send(t, 1460)[0], "P. 2001:3461(1460) ack 1 win 502");
    p.inject(seg(".", 1, 3461));
    // Below the floor DF is given up instead (Linux' min_pmtu).
    assert_eq!(p.send(t, 1460).len(), 1);
    let again = p.too_big(3461, 300);
    assert_eq!(again[0], ". 3461:3973(512) ack 1 win 502");
    assert!(p.host.tcp_info(p.now, t).unwrap().pmtu == 552);
}

/// TCP_NOTSENT_LOWAT and SO_RCVLOWAT.
#[test]
fn low_water_marks_hold() {
    let (mut p, s) = established();
    p.set(s, SocketOption::NotSentLowat(1000));
    p.inject(seg(".", 1, 1).win(0));
    let big = vec![0; 100_000];
    assert_eq!(p.on(|st, cx| st.send(cx, s, &big)), Ok(43 * 1460), "one chunk");
    assert_eq!(p.on(|st, cx| st.send(cx, s, &big)), Err(Errno::EAGAIN));
    p.set(s, SocketOption::RecvLowat(100));
    p.inject(seg("P.", 1, 1).len(99).win(0));
    assert!(!p.host.readiness(s).contains(netarium_stack::Readiness::READABLE));
    p.inject(seg("P.", 100, 1).len(1).win(0));
    assert!(p.host.readiness(s).contains(netarium_stack::Readiness::READABLE));
}

/// MSG_PEEK and MSG_TRUNC.
#[test]
fn peeking_and_dropping() {
    let (mut p, s) = established();
    p.inject(seg("P.", 1, 1).data(b"abcdef"));
    let mut recv = |n: usize, flags| {
        let mut b = vec![b'-'; n];
        let n = p.on(|st, cx| st.recv_with(cx, s, &mut b, flags)).unwrap();
        (n, b)
    };
    assert_eq!(recv(3, RecvFlags::PEEK), (3, b"abc".to_vec()));
    assert_eq!(recv(2, RecvFlags::TRUNC), (2, b"--".to_vec()));
    assert_eq!(recv(9, RecvFlags::PEEK | RecvFlags::TRUNC).0, 4);
    assert_eq!(recv(9, RecvFlags::empty()).0, 4);
}

/// SHUT_RD does not stop the peer, and what comes can still be read, as on Linux.
#[test]
fn a_closed_receiving_half_still_reads_what_comes() {
    let (mut p, s) = established();
    p.on(|st, cx| st.shutdown(cx, s, Shutdown::Read)).unwrap();
    assert_eq!(p.recv(s, 10).unwrap(), b"");
    p.inject(seg("P.", 1, 1).data(b"late"));
    assert_eq!(p.recv(s, 10).unwrap(), b"late");
    assert_eq!(p.recv(s, 10).unwrap(), b"");
}
