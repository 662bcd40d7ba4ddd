//! TCP between two hosts on a wire: opening, data, closing, loss, the unhappy ends.

mod common;

use common::{Net, ms, pattern};
use netarium_base::{Duration, Event, SocketId};
use netarium_stack::tcp::config::SynCookies;
use netarium_stack::{Errno, Readiness, Shutdown, SocketOption};
use netarium_wire::{TcpFlags, TcpHeader};

fn flags(net: &Net) -> Vec<String> {
    net.log.iter().map(|l| l.split(' ').nth(2).unwrap().to_owned()).collect()
}

/// RFC 9293 §3.5 and §3.6: three segments to open; the listener stays LISTEN throughout.
#[test]
fn handshake_and_orderly_close() {
    let mut net = Net::new(2);
    let l = net.listen(1, 80, 8);
    let c = net.connect(0, "10.0.0.2:80");
    assert_eq!(net.states(0), ["SYN_SENT"]);
    let mut seen_half_open = false;
    for _ in 0..20 {
        net.step();
        seen_half_open |= net.states(1) == ["SYN_RECV"];
        let rows = net.hosts[1].sockets();
        assert!(rows.iter().any(|r| r.state == "LISTEN"), "the listener stays in LISTEN");
        if net.states(1) == ["ESTABLISHED"] {
            break;
        }
    }
    assert!(seen_half_open);
    assert_eq!(flags(&net), ["S", "S.", "."]);
    let s = net.accept(1, l).unwrap();
    assert_eq!(net.send(0, c, b"hello"), Ok(5));
    net.run(ms(100));
    assert_eq!(net.recv(1, s, 100).unwrap(), b"hello");
    net.close(0, c);
    // The FIN is acknowledged late, since the program may close too and save a segment.
    net.run(ms(60));
    assert_eq!((net.states(0), net.states(1)), (vec!["FIN_WAIT2"], vec!["CLOSE_WAIT"]));
    assert_eq!(net.recv(1, s, 100).unwrap(), b"", "end of stream");
    net.close(1, s);
    net.run(ms(10));
    assert_eq!((net.states(0), net.states(1)), (vec!["TIME_WAIT"], vec![]));
    net.run(Duration::from_secs(60));
    assert!(net.states(0).is_empty(), "2·MSL is over");
    assert!(!net.step(), "nothing is left to happen");
}

/// Refused at once by a reset (RFC 9293 §3.10.7.1).
#[test]
fn closed_port_refuses() {
    let mut net = Net::new(2);
    let c = net.connect(0, "10.0.0.2:81");
    net.run(ms(20));
    assert_eq!(net.hosts[0].take_error(c), Some(Errno::ECONNREFUSED));
    assert_eq!(flags(&net), ["S", "R."]);
}

/// Four retries a second apart, then six with doubled time-outs, 131 s in all, then ETIMEDOUT, as on
/// Linux since 6.5.
#[test]
fn unanswered_syn_times_out() {
    let mut net = Net::new(2);
    net.fate = Box::new(|_, f| TcpHeader::of(f).is_none().then_some(Duration::ZERO));
    let c = net.connect(0, "10.0.0.2:80");
    net.run(Duration::from_secs(130));
    assert_eq!(net.hosts[0].take_error(c), None);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[0].take_error(c), Some(Errno::ETIMEDOUT));
    assert_eq!(flags(&net).len(), 11);
}

/// Nobody answers ARP: «No route to host» after three requests.
#[test]
fn absent_host_is_unreachable() {
    let mut net = Net::new(1);
    let c = net.connect(0, "10.0.0.9:80");
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[0].take_error(c), Some(Errno::EHOSTUNREACH));
    let none = net.on(0, |s, cx| {
        let id = s.socket(netarium_stack::SocketKind::Tcp, common::PID).unwrap();
        s.connect(cx, id, "172.16.0.1:80".parse().unwrap())
    });
    assert_eq!(none, Err(Errno::ENETUNREACH));
}

#[test]
fn bulk_in_both_directions() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.transfer((0, c), (1, s), 3_000_000, Duration::from_secs(60));
    net.transfer((1, s), (0, c), 3_000_000, Duration::from_secs(60));
    assert_eq!(net.hosts[0].stats().tcp_retransmits, 0);
}

/// Full segments carry 1448 bytes: 1500 − 20 − 20 − 12 of timestamps.
#[test]
fn segments_are_full() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.transfer((0, c), (1, s), 500_000, Duration::from_secs(60));
    let full = net.log.iter().filter(|l| l.ends_with("len 1448")).count();
    assert!(full > 330, "{full}");
    assert!(!net.log.iter().any(|l| l.ends_with("len 1449")));
}

/// Every pattern of loss, late and reordered delivery leaves the stream whole (RFC 9293 §3.4).
#[test]
fn loss_and_reordering_keep_the_stream_whole() {
    for seed in 0..12u64 {
        let mut net = Net::new(2);
        let (c, s) = net.pair();
        let luck = netarium_base::Seed(seed).luck("wire", "loss");
        net.fate = Box::new(move |n, _| {
            let draw = luck.draw(0, n);
            match draw % 20 {
                0 => None,
                1..=3 => Some(Duration::from_micros(draw >> 32 & 0x1fff)),
                _ => Some(Duration::ZERO),
            }
        });
        net.transfer((0, c), (1, s), 200_000, Duration::from_secs(600));
        net.transfer((1, s), (0, c), 200_000, Duration::from_secs(600));
    }
}

/// RFC 5681 §3.2: one lost segment is repaired by duplicate ACKs, without a time-out.
#[test]
fn fast_retransmit_repairs_a_single_loss() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    let mut data_segments = 0;
    net.fate = Box::new(move |_, f| {
        data_segments += u32::from(f.payload().len() > 1000);
        (data_segments != 8 || f.payload().len() <= 1000).then_some(Duration::ZERO).or_else(|| {
            data_segments += 1;
            None
        })
    });
    let took = net.transfer((0, c), (1, s), 100_000, Duration::from_secs(10));
    assert!(took < ms(150), "{took}: no retransmission time-out of 200 ms");
    assert_eq!(net.hosts[0].stats().tcp_retransmits, 1);
    let kinds: Vec<_> = net
        .trace
        .records()
        .filter_map(|r| match r.event {
            Event::Retransmission { kind, .. } => Some(kind),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["fast"]);
}

/// A lost last segment is repaired by the retransmission timer (RFC 6298 §5).
#[test]
fn tail_loss_is_repaired_by_the_timer() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    let mut first = true;
    net.fate = Box::new(move |_, f| {
        let lost = !f.payload().is_empty() && std::mem::take(&mut first);
        (!lost).then_some(Duration::ZERO)
    });
    net.send(0, c, b"lost once").unwrap();
    net.run(ms(150));
    assert_eq!(net.recv(1, s, 100), Err(Errno::EAGAIN));
    net.run(ms(1000));
    assert_eq!(net.recv(1, s, 100).unwrap(), b"lost once");
}

/// A program that does not read closes the window; probes find out when it opens (RFC 9293
/// §3.8.6.1). Nothing is lost, nothing hangs when the window update is lost.
#[test]
fn zero_window_is_probed() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    let mut sent = 0;
    for _ in 0..200 {
        let chunk: Vec<u8> = (sent..sent + 10_000).map(pattern).collect();
        if let Ok(n) = net.send(0, c, &chunk) {
            sent += n;
        }
        net.run(ms(50));
    }
    net.log.clear();
    net.run(Duration::from_secs(5));
    assert!(net.log.iter().any(|l| l.contains("h1 . len 0")), "probes: {:?}", net.log);
    // The window update that the reading sends is lost.
    net.fate = Box::new(|_, f| TcpHeader::of(f).is_none().then_some(Duration::ZERO));
    let first = net.recv(1, s, 60_000).unwrap();
    net.run(ms(10));
    net.fate = Box::new(|_, _| Some(Duration::ZERO));
    let mut got = first.len();
    for _ in 0..4000 {
        match net.recv(1, s, 60_000) {
            Ok(data) => got += data.len(),
            Err(_) => net.run(ms(50)),
        }
        if got == sent {
            return;
        }
    }
    panic!("{got} of {sent} bytes arrived");
}

/// Half-close: the peer may go on sending (RFC 9293 §3.6).
#[test]
fn half_close_in_both_directions() {
    for closer in [0usize, 1] {
        let mut net = Net::new(2);
        let (c, s) = net.pair();
        let ids = [c, s];
        let other = 1 - closer;
        net.on(closer, |st, cx| st.shutdown(cx, ids[closer], Shutdown::Write)).unwrap();
        net.run(ms(10));
        assert_eq!(net.send(closer, ids[closer], b"x"), Err(Errno::EPIPE));
        assert_eq!(net.recv(other, ids[other], 10).unwrap(), b"");
        net.transfer((other, ids[other]), (closer, ids[closer]), 100_000, Duration::from_secs(9));
        net.close(other, ids[other]);
        net.run(ms(10));
        assert_eq!(net.recv(closer, ids[closer], 10).unwrap(), b"");
        net.close(closer, ids[closer]);
        net.run(Duration::from_secs(61));
        assert!(net.states(0).is_empty() && net.states(1).is_empty());
    }
}

/// Both FINs cross: FIN-WAIT-1, CLOSING, TIME-WAIT on both sides (RFC 9293 figure 13).
#[test]
fn simultaneous_close() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.close(0, c);
    net.close(1, s);
    net.run(ms(1));
    assert_eq!((net.states(0), net.states(1)), (vec!["CLOSING"], vec!["CLOSING"]));
    net.run(ms(10));
    assert_eq!((net.states(0), net.states(1)), (vec!["TIME_WAIT"], vec!["TIME_WAIT"]));
}

/// Both SYNs cross (RFC 9293 §3.5, figure 8).
#[test]
fn simultaneous_open() {
    let mut net = Net::new(2);
    let mut ids: Vec<SocketId> = Vec::new();
    for (h, to) in [(0usize, "10.0.0.2:1000"), (1, "10.0.0.1:1000")] {
        ids.push(net.on(h, |s, cx| {
            let id = s.socket(netarium_stack::SocketKind::Tcp, common::PID).unwrap();
            s.bind(id, "0.0.0.0:1000".parse().unwrap()).unwrap();
            assert_eq!(s.connect(cx, id, to.parse().unwrap()), Err(Errno::EINPROGRESS));
            id
        }));
    }
    net.run(ms(20));
    assert_eq!((net.states(0), net.states(1)), (vec!["ESTABLISHED"], vec!["ESTABLISHED"]));
    net.transfer((0, ids[0]), (1, ids[1]), 10_000, Duration::from_secs(5));
    net.transfer((1, ids[1]), (0, ids[0]), 10_000, Duration::from_secs(5));
}

/// RFC 2525 §2.17: closing with unread data is a reset; so is a zero linger.
#[test]
fn closing_with_unread_data_resets() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.send(0, c, b"unread").unwrap();
    net.run(ms(10));
    net.close(1, s);
    net.run(ms(10));
    assert_eq!(net.recv(0, c, 10), Err(Errno::ECONNRESET));
    assert_eq!(net.recv(0, c, 10).unwrap(), b"", "the error is reported once");
    assert!(net.states(0).is_empty() && net.states(1).is_empty());

    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.on(0, |st, cx| st.set_option(cx, c, SocketOption::Linger(Some(Duration::ZERO)))).unwrap();
    net.close(0, c);
    net.run(ms(10));
    assert_eq!(net.recv(1, s, 10), Err(Errno::ECONNRESET));
}

/// Linux' accept queue: backlog + 1 connections wait, further SYNs are dropped.
#[test]
fn the_accept_queue_is_bounded() {
    let mut net = Net::new(2);
    net.hosts[1].tcp_config_mut().syn_cookies = SynCookies::Off;
    let l = net.listen(1, 80, 2);
    let clients: Vec<_> = (0..6).map(|_| net.connect(0, "10.0.0.2:80")).collect();
    net.run(ms(1500));
    let row = net.hosts[1].sockets().into_iter().find(|r| r.state == "LISTEN").unwrap();
    assert_eq!((row.recv_queue, row.send_queue), (3, 2));
    assert!(net.hosts[1].stats().tcp_listen_drops > 0);
    for _ in 0..3 {
        net.accept(1, l).unwrap();
    }
    // The others get in by their retransmitted SYNs or our SYN+ACKs.
    net.run(Duration::from_secs(10));
    for _ in 0..3 {
        net.accept(1, l).unwrap();
    }
    let ready = |c: &SocketId| net.hosts[0].readiness(*c).contains(Readiness::WRITABLE);
    assert!(clients.iter().all(ready));
}

/// Closing a listener resets what waits in its queues.
#[test]
fn closing_a_listener_resets_its_queue() {
    let mut net = Net::new(2);
    let l = net.listen(1, 80, 8);
    let c = net.connect(0, "10.0.0.2:80");
    net.run(ms(10));
    net.close(1, l);
    net.run(ms(10));
    assert_eq!(net.recv(0, c, 1), Err(Errno::ECONNRESET));
    assert!(net.hosts[1].sockets().is_empty());
}

/// Nagle holds back a second small segment until the first is acknowledged (RFC 9293 §3.7.4).
#[test]
fn nagle_and_nodelay() {
    for (nodelay, expected) in [(false, 2), (true, 3)] {
        let mut net = Net::new(2);
        let (c, _) = net.pair();
        net.on(0, |s, cx| s.set_option(cx, c, SocketOption::NoDelay(nodelay))).unwrap();
        net.log.clear();
        for part in [b"a", b"b", b"c"] {
            net.send(0, c, part).unwrap();
        }
        net.run(ms(300));
        let sent = net.log.iter().filter(|l| l.contains("h1") && !l.ends_with("len 0")).count();
        assert_eq!(sent, expected, "{:?}", net.log);
    }
}

/// RFC 5961 §3: a RST that is not exactly at RCV.NXT is challenged, not believed.
#[test]
fn blind_resets_are_challenged() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    let local = net.hosts[1].peer_addr(s).unwrap();
    let mut last = None;
    net.fate = Box::new(move |_, _| Some(Duration::ZERO));
    net.send(0, c, b"x").unwrap();
    for r in net.trace.records() {
        if let Event::SegmentBuilt { seq, len: 1, .. } = r.event {
            last = Some(seq);
        }
    }
    net.run(ms(20));
    net.recv(1, s, 1).unwrap();
    let next = last.unwrap() + 1;
    let forge = |seq: u32| {
        let h = TcpHeader {
            src_port: local.port(),
            dst_port: 80,
            seq,
            flags: TcpFlags::RST,
            ..TcpHeader::default()
        };
        let ip = netarium_wire::IpHeader::new(local.ip(), "10.0.0.2".parse().unwrap());
        let mut f = h.frame(&ip, &Default::default(), Default::default());
        f.set_macs(common::mac(1), common::mac(0));
        f
    };
    net.log.clear();
    net.on(1, |st, cx| st.handle_frame(cx, netarium_base::IfIndex(2), forge(next + 100)));
    assert_eq!(net.states(1), ["ESTABLISHED"]);
    assert_eq!(flags(&net), ["."], "a challenge ACK");
    net.on(1, |st, cx| st.handle_frame(cx, netarium_base::IfIndex(2), forge(next)));
    assert!(net.states(1).is_empty());
}

/// Every event has a cause that came before it, and data segments name the `send` they carry.
#[test]
fn causes_come_before_effects() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.transfer((0, c), (1, s), 50_000, Duration::from_secs(5));
    net.close(0, c);
    net.close(1, s);
    net.run(Duration::from_secs(61));
    let mut data = 0;
    for r in net.trace.records() {
        assert!(r.cause < r.id && r.root <= r.id, "{r:?}");
        if let Event::SegmentBuilt { len, .. } = r.event
            && len > 0
        {
            data += 1;
            let origin = net.trace.get(r.origin).expect("the origin is kept");
            assert!(matches!(origin.event, Event::Call { call: "send", .. }), "{origin:?}");
        }
    }
    assert!(data > 30);
}

/// Loopback: both ends on one host, also by 127.0.0.1 (course, rows 5 and 7).
#[test]
fn a_host_talks_to_itself() {
    for to in ["127.0.0.1:80", "10.0.0.1:80"] {
        let mut net = Net::new(1);
        let l = net.listen(0, 80, 8);
        let c = net.connect(0, to);
        net.run(ms(20));
        let s = net.accept(0, l).unwrap();
        net.transfer((0, c), (0, s), 300_000, Duration::from_secs(5));
        assert_eq!(net.states(0), ["ESTABLISHED", "ESTABLISHED"]);
    }
}

/// A listener on 127.0.0.1 does not answer on the host's other address, and the other way round.
#[test]
fn bind_address_decides_who_is_answered() {
    for (bind, ok, refused) in [
        ("127.0.0.1:80", "127.0.0.1:80", "10.0.0.1:80"),
        ("10.0.0.1:80", "10.0.0.1:80", "127.0.0.1:80"),
    ] {
        let mut net = Net::new(1);
        net.on(0, |s, cx| {
            let id = s.socket(netarium_stack::SocketKind::Tcp, common::PID).unwrap();
            s.bind(id, bind.parse().unwrap()).unwrap();
            s.listen(cx, id, 5).unwrap();
        });
        let a = net.connect(0, ok);
        let b = net.connect(0, refused);
        net.run(ms(20));
        assert_eq!(net.hosts[0].take_error(a), None);
        assert_eq!(net.hosts[0].take_error(b), Some(Errno::ECONNREFUSED));
    }
}

/// A SYN newer than a connection in TIME-WAIT takes its place (RFC 6191).
#[test]
fn time_wait_gives_way_to_a_newer_syn() {
    let mut net = Net::new(2);
    let l = net.listen(1, 80, 8);
    for round in 0..3 {
        let c = net.on(0, |s, cx| {
            let id = s.socket(netarium_stack::SocketKind::Tcp, common::PID).unwrap();
            s.set_option(cx, id, SocketOption::ReuseAddr(true)).unwrap();
            s.bind(id, "0.0.0.0:5000".parse().unwrap()).unwrap();
            assert_eq!(s.connect(cx, id, "10.0.0.2:80".parse().unwrap()), Err(Errno::EINPROGRESS));
            id
        });
        net.run(ms(20));
        let s = net.accept(1, l).unwrap_or_else(|e| panic!("round {round}: {e:?}"));
        // The server closes first and keeps TIME-WAIT.
        net.close(1, s);
        net.run(ms(20));
        net.close(0, c);
        net.run(ms(20));
        assert_eq!(net.states(1), ["TIME_WAIT"]);
    }
}

/// Keep-alive: an idle peer that vanished is noticed after two hours and nine probes.
#[test]
fn keep_alive_notices_a_vanished_peer() {
    let mut net = Net::new(2);
    let (c, _) = net.pair();
    net.on(0, |s, cx| s.set_option(cx, c, SocketOption::KeepAlive(true))).unwrap();
    net.run(Duration::from_secs(7300));
    assert_eq!(net.states(0), ["ESTABLISHED"], "the peer answers");
    net.fate = Box::new(|_, _| None);
    net.run(Duration::from_secs(7200 + 10 * 75));
    assert_eq!(net.hosts[0].take_error(c), Some(Errno::ETIMEDOUT));
}
