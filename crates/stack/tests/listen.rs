//! Passive opens as Linux answers them: requests, their repetition and end, overflow of both
//! queues, SYN cookies, TCP_DEFER_ACCEPT (RFC 9293 §3.10.7.2 and §3.10.7.4, RFC 4987).

mod common;

use common::peer::{Peer, Seg, seg};
use netarium_base::Duration;
use netarium_stack::tcp::config::SynCookies;
use netarium_stack::{Errno, SocketOption};
use netarium_wire::TcpOption;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn syn() -> Seg {
    seg("S", 0, 0).usual()
}

const SYN_ACK: &str = "S. 0:0(0) ack 1 win 64240 <mss 1460,nop,nop,sackOK,nop,wscale 7>";

/// RFC 9293 §3.10.7.2: only a SYN begins something; the listener stays.
#[test]
fn a_listener_answers_only_what_it_should() {
    let mut p = Peer::new();
    p.listen(5);
    assert_eq!(p.inject(seg("R", 0, 0)), [""; 0]);
    assert_eq!(p.inject(seg("R.", 0, 7)), [""; 0]);
    assert_eq!(p.inject(seg("", 0, 0)), [""; 0]);
    assert_eq!(p.inject(seg("F", 0, 0)), [""; 0]);
    assert_eq!(p.inject(seg(".", 5, 0)), ["R 0:0(0)"]);
    assert_eq!(p.inject(seg("S.", 5, 0)), ["R 0:0(0)"]);
    assert_eq!(p.inject(syn()), [SYN_ACK]);
    assert_eq!(p.host.sockets().iter().filter(|r| r.state == "LISTEN").count(), 1);
}

/// The SYN+ACK goes out five more times, then the request is gone (RFC 9293 MUST-20).
#[test]
fn an_unanswered_syn_ack_is_repeated_and_given_up() {
    let mut p = Peer::new();
    p.listen(5);
    p.inject(syn());
    let times: Vec<String> =
        p.wait(secs(200)).iter().map(|l| l.split_once(' ').expect("a time").0.to_owned()).collect();
    assert_eq!(times, ["+1000", "+3000", "+7000", "+15000", "+31000"]);
    assert!(p.host.sockets().iter().all(|r| r.state == "LISTEN"));
    assert_eq!(p.host.stats().tcp_attempt_fails, 1);
    // Its last ACK comes too late.
    assert_eq!(p.inject(seg(".", 1, 1)), ["R 1:1(0)"]);
}

/// RFC 9293 §3.10.7.4 in SYN-RECEIVED, by what arrives.
#[test]
fn a_handshake_under_way_answers_by_the_rules() {
    let cases: [(Seg, &[&str], bool); 9] = [
        (syn(), &[SYN_ACK], true),
        (seg(".", 1, 2), &["R 2:2(0)"], true),
        (seg(".", 1, 0), &["R 0:0(0)"], true),
        (seg("R", 1, 0), &[], false),
        (seg("R", 70_000, 0), &[], true),
        (seg(".", 70_000, 1), &[". 1:1(0) ack 1 win 501"], true),
        (seg("S", 100, 0), &["R. 0:0(0) ack 101"], false),
        (seg("", 1, 0), &[], true),
        (seg("F", 1, 0), &[], true),
    ];
    for (i, (segment, answer, stays)) in cases.into_iter().enumerate() {
        let mut p = Peer::new();
        p.listen(5);
        p.inject(syn());
        assert_eq!(p.inject(segment), answer, "case {i}");
        let half_open = p.host.sockets().iter().any(|r| r.state == "SYN_RECV");
        assert_eq!(half_open, stays, "case {i}");
    }
}

/// The ACK may bring data and a FIN with it.
#[test]
fn the_last_ack_may_bring_data_and_fin() {
    let mut p = Peer::new();
    let l = p.listen(5);
    p.inject(syn());
    assert_eq!(p.inject(seg("FP.", 1, 1).data(b"hello")), [""; 0]);
    let late = p.wait(Duration::from_millis(50));
    assert_eq!(late, ["+40 . 1:1(0) ack 7 win 502"], "our own FIN might have carried it");
    let s = p.accept(l).unwrap();
    assert_eq!(p.recv(s, 10).unwrap(), b"hello");
    assert_eq!(p.recv(s, 10).unwrap(), b"");
}

/// The accept queue takes one more than the backlog; then SYNs are dropped and the ACK of a
/// handshake under way is ignored, until the SYN+ACK timer finds room again.
#[test]
fn overflow_of_the_accept_queue_is_waited_out_or_reset() {
    for abort in [false, true] {
        let mut p = Peer::new();
        p.host.tcp_config_mut().abort_on_overflow = abort;
        p.host.tcp_config_mut().syn_cookies = SynCookies::Off;
        let l = p.listen(2);
        for port in 0..2 {
            p.peer_port = 4000 + port;
            p.inject(syn());
            p.inject(seg(".", 1, 1));
        }
        // Two handshakes begin while there is room for one.
        p.peer_port = 5000;
        p.inject(syn());
        let first = p.iss;
        p.peer_port = 5001;
        p.inject(syn());
        p.inject(seg(".", 1, 1));
        p.peer_port = 5000;
        p.iss = first;
        let answer = p.inject(seg(".", 1, 1));
        assert_eq!(p.host.stats().tcp_listen_overflows, 1);
        if abort {
            assert_eq!(answer, ["R 1:1(0)"]);
            continue;
        }
        assert_eq!(answer, [""; 0]);
        p.peer_port = 5002;
        assert_eq!(p.inject(syn()), [""; 0], "no new ones either");
        p.peer_port = 5000;
        assert_eq!(p.accept(l).map(|_| ()), Ok(()));
        assert_eq!(p.wait(secs(1)), [format!("+1000 {SYN_ACK}")]);
        p.inject(seg(".", 1, 1));
        for _ in 0..3 {
            assert!(p.accept(l).is_ok());
        }
        assert_eq!(p.accept(l), Err(Errno::EAGAIN));
    }
}

/// RFC 4987 §3.6: with a full SYN queue the SYN+ACK carries all there is to know.
#[test]
fn cookies_keep_the_door_open() {
    for (timestamps, mss, agreed) in [(false, 1460, 1460), (true, 1400, 1300)] {
        let mut p = Peer::new();
        p.host.tcp_config_mut().syn_cookies = SynCookies::Always;
        let l = p.listen(5);
        let mut first = seg("S", 0, 0).mss(mss).opt(TcpOption::SackPermitted);
        if timestamps {
            first = first.ts(100, 0);
        }
        let answer = p.inject(first.opt(TcpOption::WindowScale(3)));
        let options =
            if timestamps { "mss 1460,sackOK,TS ecr 100,nop,wscale 7" } else { "mss 1460" };
        let window = if timestamps { 65_160 } else { 64_240 };
        assert_eq!(answer, [format!("S. 0:0(0) ack 1 win {window} <{options}>")]);
        assert!(p.host.sockets().iter().all(|r| r.state == "LISTEN"), "nothing is kept");
        let echo = p.tsval;
        let mut ack = seg(".", 1, 1).win(4000);
        let mut wrong = seg(".", 1, 100).win(500);
        if timestamps {
            ack = ack.ts(101, echo);
            wrong = wrong.ts(101, echo);
        }
        assert_eq!(p.inject(wrong), ["R 100:100(0)"]);
        assert_eq!(p.inject(ack), [""; 0]);
        let s = p.accept(l).unwrap();
        let info = p.host.tcp_info(p.now, s).unwrap();
        let (size, scale) = if timestamps { (agreed - 12, 3) } else { (agreed, 0) };
        assert_eq!((info.snd_mss, info.snd_wscale), (size, scale));
        assert_eq!(info.snd_wnd, 4000 << scale);
        let stats = p.host.stats();
        assert_eq!((stats.tcp_cookies_sent, stats.tcp_cookies_received), (1, 1));
        assert_eq!(stats.tcp_cookies_failed, 1);
    }
}

/// A flood costs a bounded number of requests, and the rest gets cookies or is dropped.
#[test]
fn a_syn_flood_costs_bounded_memory() {
    for mode in [SynCookies::Off, SynCookies::WhenFull] {
        let mut p = Peer::new();
        p.host.tcp_config_mut().syn_cookies = mode;
        p.listen(128);
        for port in 1024..30_000 {
            p.peer_port = port;
            p.inject(syn());
        }
        let kept = p.host.sockets().iter().filter(|r| r.state == "SYN_RECV").count();
        assert_eq!(kept, 128, "{mode:?}");
        let stats = p.host.stats();
        let rest = 30_000 - 1024 - 128;
        if mode == SynCookies::Off {
            assert_eq!(stats.tcp_listen_drops, rest);
        } else {
            assert_eq!(stats.tcp_cookies_sent, rest);
        }
        p.wait(secs(200));
        assert_eq!(p.host.sockets().len(), 1);
    }
}

/// TCP_DEFER_ACCEPT: the bare ACK is ignored, data completes the handshake; a peer that stays
/// silent gets in at the end of the time.
#[test]
fn deferred_accept_waits_for_data() {
    let mut p = Peer::new();
    let l = p.listen(5);
    p.set(l, SocketOption::DeferAccept(3));
    p.inject(syn());
    assert_eq!(p.inject(seg(".", 1, 1)), [""; 0]);
    assert_eq!(p.accept(l), Err(Errno::EAGAIN));
    p.inject(seg("P.", 1, 1).data(b"GET"));
    assert!(p.accept(l).is_ok());

    p.peer_port = 4001;
    p.inject(syn());
    p.inject(seg(".", 1, 1));
    let sent = p.wait(secs(4));
    assert_eq!(sent, [format!("+3000 {SYN_ACK}")], "one last chance");
    p.inject(seg(".", 1, 1));
    assert!(p.accept(l).is_ok());
}

/// Closing a listener forgets handshakes silently and resets what waits to be accepted.
#[test]
fn closing_a_listener_leaves_nothing() {
    let mut p = Peer::new();
    let l = p.listen(5);
    p.inject(syn());
    p.inject(seg(".", 1, 1));
    p.peer_port = 4001;
    let first = p.iss;
    p.inject(syn());
    p.peer_port = 4000;
    p.iss = first;
    assert_eq!(p.close(l), ["R. 1:1(0) ack 1"]);
    assert!(p.host.sockets().is_empty());
}

/// A request that ICMP calls unreachable ends, if the quoted number is the SYN+ACK's (RFC 5927).
#[test]
fn icmp_ends_a_handshake_only_with_the_right_number() {
    let mut p = Peer::new();
    p.listen(5);
    p.inject(syn());
    p.icmp(5, (3, 1, 0));
    assert_eq!(p.host.sockets().len(), 2);
    p.icmp(0, (3, 1, 0));
    assert_eq!(p.host.sockets().len(), 1);
}
