//! One test for each defect that a review found, and for what it looked at closely.

use netarium_base::{DropReason, Duration, Event, IfIndex, Instant, SocketId};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Frame, IpHeader, Mac, Payload, TcpFlags, TcpHeader};

use super::common::{Net, PID, mac, ms, pattern};
use super::invariants::Watch;
use crate::tcp::connection::Connection;
use crate::tcp::demux::MAX_PARENTLESS;
use crate::tcp::{Seq, State};
use crate::{Errno, Shutdown, SocketKind, SocketOption};

const ETH0: IfIndex = IfIndex(2);

fn conn(net: &mut Net, h: usize) -> &mut Connection {
    let slot = net.hosts[h].tcp.iter().last().expect("a connection").0;
    &mut net.hosts[h].tcp.get_mut(slot).unwrap().conn
}

/// A segment from the peer of host 1's connection, exactly where it is expected.
fn from_peer(net: &mut Net, flags: TcpFlags, data: &[u8]) -> Box<Frame> {
    let c = conn(net, 0);
    let header = TcpHeader {
        src_port: c.setup.remote.port(),
        dst_port: c.setup.local.port(),
        seq: c.rcv.nxt.0,
        ack: c.snd.nxt.0,
        flags,
        window: 500,
        urgent: 0,
    };
    let ip = IpHeader::new(c.setup.remote.ip(), c.setup.local.ip());
    let mut f = header.frame(&ip, &Default::default(), Payload::copy_from(data));
    f.set_macs(mac(0), mac(1));
    f
}

fn drops(net: &Net, reason: DropReason) -> u64 {
    net.trace.drops().filter(|(_, r, _)| *r == reason).map(|(_, _, n)| n).sum()
}

/// RFC 7323 §2.4: the rounding of a scaled window does not add up: single bytes into a full buffer
/// find it full.
#[test]
fn a_full_buffer_stays_full() {
    let mut net = Net::new(2);
    let (_, _) = net.pair();
    net.fate = Box::new(|_, _| None);
    let mut watch = Watch::default();
    for i in 0..70_000usize {
        let n = if i < 60 { 1000 } else { 1 };
        let f = from_peer(&mut net, TcpFlags::ACK, &vec![1; n]);
        net.on(0, |s, cx| s.handle_frame(cx, ETH0, f));
        if i % 1000 == 0 {
            watch.check(&net);
        }
    }
    let c = conn(&mut net, 0);
    assert!(c.recv.len() <= 65_535 + 127, "{}", c.recv.len());
}

/// SO_RCVBUF of a listener holds from the SYN+ACK on.
#[test]
fn a_small_receive_buffer_is_offered_from_the_start() {
    let mut net = Net::new(2);
    let l = net.listen(1, 80, 8);
    net.on(1, |s, cx| s.set_option(cx, l, SocketOption::RecvBuffer(4096))).unwrap();
    net.connect(0, "10.0.0.2:80");
    net.run(ms(20));
    assert!(conn(&mut net, 0).snd.max_wnd <= 4096 + 127);
}

/// RFC 9293 MUST-57, RFC 1122 §3.2.1.3, §3.2.2.6 and §3.3.6: nothing that was sent to everyone, or
/// by nobody, is answered.
#[test]
fn what_goes_to_everyone_is_not_answered() {
    let mut net = Net::new(1);
    net.listen(0, 80, 8);
    let syn = |src: &str, dst: &str, to: Mac| {
        let h = TcpHeader { dst_port: 80, flags: TcpFlags::SYN, ..TcpHeader::default() };
        let ip = IpHeader::new(src.parse().unwrap(), dst.parse().unwrap());
        let mut f = h.frame(&ip, &Default::default(), Payload::new());
        f.set_macs(to, mac(1));
        f
    };
    let multicast = Mac([1, 0, 0x5e, 0, 0, 1]);
    let ip = IpHeader::new("10.0.0.9".parse().unwrap(), "224.0.0.1".parse().unwrap());
    let mut echo = Icmp::echo(kind::ECHO_REQUEST, 1, 1).frame(&ip, Payload::new());
    echo.set_macs(multicast, mac(1));
    let frames = [
        syn("10.0.0.9", "224.0.0.1", multicast),
        syn("10.0.0.9", "10.0.0.255", Mac::BROADCAST),
        syn("10.0.0.9", "10.0.0.1", Mac::BROADCAST),
        syn("0.0.0.0", "10.0.0.1", mac(0)),
        syn("10.0.0.255", "10.0.0.1", mac(0)),
        echo,
    ];
    for (i, f) in frames.into_iter().enumerate() {
        let sent = net.on(0, |s, cx| {
            s.handle_frame(cx, ETH0, f);
            s.poll_transmit().is_some()
        });
        assert!(!sent && net.hosts[0].tcp.is_empty(), "frame {i}");
    }
}

/// RFC 9293 §3.10.7.4: a RST in TIME-WAIT takes nothing from the program that it had received.
#[test]
fn a_reset_in_time_wait_keeps_unread_data() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.on(0, |st, cx| st.shutdown(cx, c, Shutdown::Write)).unwrap();
    net.send(1, s, b"unread").unwrap();
    net.on(1, |st, cx| st.shutdown(cx, s, Shutdown::Write)).unwrap();
    net.run(ms(20));
    assert_eq!(net.states(0), ["TIME_WAIT"]);
    let f = from_peer(&mut net, TcpFlags::RST, &[]);
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, f));
    assert!(net.states(0).is_empty());
    assert_eq!(net.recv(0, c, 100).unwrap(), b"unread");
    assert_eq!(net.recv(0, c, 100).unwrap(), b"", "no error");
}

/// RFC 6298 §5.7: without timestamps a path slower than the time-out is not flooded with copies:
/// the backoff stays until something sent once is measured.
#[test]
fn karns_rule_keeps_the_backoff() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    for h in 0..2 {
        conn(&mut net, h).timestamps = None;
    }
    net.delay = Duration::from_millis(900);
    for i in 0..20u8 {
        net.send(0, c, &[i]).unwrap();
        net.run(Duration::from_secs(8));
        assert_eq!(net.recv(1, s, 9).unwrap(), [i]);
    }
    let copies = net.hosts[0].stats().tcp_retransmits;
    assert!(copies <= 10, "{copies} copies of 20 bytes");
}

/// RFC 6298 §5.7 and RFC 5681 §3.1: after lost SYNs data starts with 3 s and one segment.
#[test]
fn lost_syns_make_a_careful_start() {
    let mut net = Net::new(2);
    net.listen(1, 80, 8);
    net.fate = Box::new(|n, f| {
        let syn = TcpHeader::of(f).is_some_and(|h| h.flags == TcpFlags::SYN);
        (!syn || n > 4).then_some(Duration::ZERO)
    });
    net.connect(0, "10.0.0.2:80");
    conn(&mut net, 0).timestamps = None;
    net.run(Duration::from_secs(8));
    assert_eq!(net.states(0), ["ESTABLISHED"]);
    let c = conn(&mut net, 0);
    assert_eq!((c.rtt.rto(), c.cc.window.cwnd), (Duration::from_secs(3), 1));
}

/// A zero window that lasted long leaves no long time-out behind for what is lost afterwards.
#[test]
fn probes_do_not_slow_down_repairs() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    let data: Vec<u8> = (0..80_000).map(pattern).collect();
    assert_eq!(net.send(0, c, &data), Ok(data.len()));
    net.run(Duration::from_secs(600));
    assert!(conn(&mut net, 0).rtt.rto() > Duration::from_secs(60), "probing");
    // The whole first burst is lost, so that only the timer can repair it.
    net.fate = Box::new(|_, f| f.payload().is_empty().then_some(Duration::ZERO));
    let mut got = net.recv(1, s, 70_000).unwrap();
    net.run(ms(100));
    net.fate = Box::new(|_, _| Some(Duration::ZERO));
    net.run(Duration::from_secs(3));
    while let Ok(more) = net.recv(1, s, 70_000) {
        got.extend(more);
        net.run(ms(300));
    }
    assert_eq!(got, data);
}

/// RFC 9293 MAY-2, RFC 6191: only a listener makes TIME-WAIT give way, and the new connection
/// begins beyond the sequence numbers of the old one.
#[test]
fn a_successor_begins_beyond_time_wait() {
    for listening in [true, false] {
        let mut net = Net::new(2);
        let (s, c) = net.pair();
        // Faster than the clock of the ISN: 2 MB at once.
        net.transfer((0, s), (1, c), 2_000_000, Duration::from_secs(60));
        net.close(0, s);
        net.run(ms(20));
        net.close(1, c);
        net.run(ms(20));
        assert_eq!(net.states(0), ["TIME_WAIT"]);
        let old = conn(&mut net, 0);
        let (used, port) = (old.snd.nxt, old.setup.local.port());
        if listening {
            net.on(0, |s, cx| {
                let id = s.socket(SocketKind::Tcp, PID).unwrap();
                s.set_option(cx, id, SocketOption::ReuseAddr(true)).unwrap();
                s.bind(id, std::net::SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
                s.listen(cx, id, 8).unwrap();
            });
        }
        let h = TcpHeader {
            src_port: 80,
            dst_port: port,
            seq: (old_rcv_nxt(&mut net) + 1_000_000).0,
            flags: TcpFlags::SYN,
            window: 500,
            ..TcpHeader::default()
        };
        let ip = IpHeader::new("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let mut f = h.frame(&ip, &Default::default(), Payload::new());
        f.set_macs(mac(0), mac(1));
        net.fate = Box::new(|_, _| None);
        net.on(0, |s, cx| s.handle_frame(cx, ETH0, f));
        let request = net.hosts[0].tcp.requests.iter().next().map(|(_, r)| r.iss);
        if listening {
            assert!(request.is_some_and(|iss| iss.after(used)));
        } else {
            assert_eq!(request, None);
            assert_eq!(conn(&mut net, 0).state, State::TimeWait);
        }
    }
}

fn old_rcv_nxt(net: &mut Net) -> Seq {
    conn(net, 0).rcv.nxt
}

/// Sequence numbers pass 2³² in the middle of a transfer (RFC 9293 §3.4), in both directions.
#[test]
fn sequence_numbers_wrap() {
    for h in 0..2 {
        let iss = {
            let mut net = Net::new(2);
            net.pair();
            conn(&mut net, h).snd.iss
        };
        // The ISN's clock ticks every 4 µs (RFC 6528): wait until it stands 50,000 below the wrap.
        let mut net = Net::new(2);
        let ticks = 0u32.wrapping_sub(50_000).wrapping_sub(iss.0);
        net.now = Instant::ZERO + Duration::from_micros(u64::from(ticks) * 4);
        let (c, s) = net.pair();
        let start = conn(&mut net, h).snd.iss.0;
        assert!(start > u32::MAX - 60_000, "{start}");
        let luck = netarium_base::Seed(h as u64).luck("wire", "loss");
        net.fate =
            Box::new(move |n, _| (!luck.draw(0, n).is_multiple_of(30)).then_some(Duration::ZERO));
        net.transfer((0, c), (1, s), 200_000, Duration::from_secs(600));
        net.transfer((1, s), (0, c), 200_000, Duration::from_secs(600));
        assert!(conn(&mut net, h).snd.una.0 < 1_000_000, "it wrapped");
    }
}

/// The ACK of the first copy is lost; the answer to the second echoes the first one's timestamp
/// (RFC 7323 §5.3): the wait for our timer is no round trip.
#[test]
fn the_answer_to_a_copy_is_not_measured() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    // The quick ACKs of the start are used up first, and the estimate settles.
    for _ in 0..30 {
        net.send(0, c, b"x").unwrap();
        net.run(ms(100));
    }
    let before = conn(&mut net, 0).rtt.rto();
    net.send(0, c, b"y").unwrap();
    net.fate = Box::new(|_, f| {
        let data = TcpHeader::of(f).is_none() || !f.payload().is_empty();
        data.then_some(Duration::ZERO)
    });
    let lost_until = net.now + Duration::from_secs(30);
    net.run(lost_until - net.now);
    net.fate = Box::new(|_, _| Some(Duration::ZERO));
    net.run(Duration::from_secs(60));
    assert_eq!(conn(&mut net, 0).in_flight(), 0, "acknowledged at last");
    let after = conn(&mut net, 0).rtt.rto();
    assert!(after <= before * 2, "{before} became {after}");
    assert_eq!(net.recv(1, s, 100).unwrap().len(), 31);
}

/// A peer that has filled our window, with a hole in it, acknowledges our data from the window's
/// right edge.
#[test]
fn acks_from_the_right_edge_count() {
    let mut net = Net::new(2);
    let (c, _) = net.pair();
    net.fate = Box::new(|_, _| None);
    net.send(0, c, b"data").unwrap();
    let mut ack = from_peer(&mut net, TcpFlags::ACK, &[]);
    let (una, edge) = (conn(&mut net, 0).snd.una, conn(&mut net, 0).rcv.adv);
    let mut header = TcpHeader::of(&ack).unwrap();
    header.seq = edge.0;
    let ip = IpHeader::new(ack.src_ip().unwrap(), ack.dst_ip().unwrap());
    ack = header.frame(&ip, &Default::default(), Payload::new());
    ack.set_macs(mac(0), mac(1));
    net.on(0, |s, cx| s.handle_frame(cx, ETH0, ack));
    assert_eq!(conn(&mut net, 0).snd.una, una + 4);
}

/// RFC 7323 §5.5: after 24 days of silence the peer's timestamps cannot be called old.
#[test]
fn an_idle_connection_survives_half_the_timestamp_circle() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.run(Duration::from_secs(25 * 24 * 3600));
    net.transfer((0, c), (1, s), 10_000, Duration::from_secs(60));
    net.transfer((1, s), (0, c), 10_000, Duration::from_secs(60));
}

/// Opens, moves data both ways and closes, from both sides at once if `simultaneous`, with the
/// n-th TCP segment lost: everything arrives, and nothing is left.
fn life(lost: u64, simultaneous: bool) -> u64 {
    let mut net = Net::new(2);
    let mut seen = 0;
    net.fate = Box::new(move |_, f| {
        seen += u64::from(TcpHeader::of(f).is_some());
        (seen != lost || TcpHeader::of(f).is_none()).then_some(Duration::ZERO)
    });
    let (a, b) = if simultaneous { cross(&mut net) } else { open(&mut net) };
    net.send(0, a, &[1; 4000]).unwrap();
    net.send(1, b, &[2; 4000]).unwrap();
    if !simultaneous {
        net.run(Duration::from_secs(2));
    }
    for (h, id) in [(0, a), (1, b)] {
        net.on(h, |s, cx| s.shutdown(cx, id, Shutdown::Write)).unwrap();
        if !simultaneous {
            net.run(Duration::from_secs(2));
        }
    }
    net.run(Duration::from_secs(4));
    for (h, id) in [(0, a), (1, b)] {
        let got = net.recv(h, id, 9000).unwrap_or_else(|e| panic!("segment {lost}: {e:?}"));
        assert_eq!(got, vec![2 - h as u8; 4000], "segment {lost} lost");
        assert_eq!(net.recv(h, id, 1).unwrap(), b"", "segment {lost} lost");
        net.close(h, id);
    }
    net.run(Duration::from_secs(70));
    Watch::default().check(&net);
    assert!(net.hosts.iter().all(|h| h.tcp.is_empty()), "segment {lost}: {:?}", net.states(0));
    // RFC 4022: tcpOutSegs and tcpRetransSegs count each segment once.
    let counted = net.hosts.iter().map(|h| h.stats().tcp_out_segments + h.stats().tcp_retransmits);
    assert_eq!(counted.sum::<u64>(), net.tcp_segments);
    net.tcp_segments
}

fn open(net: &mut Net) -> (SocketId, SocketId) {
    let l = net.listen(1, 80, 8);
    let c = net.connect(0, "10.0.0.2:80");
    net.run(Duration::from_secs(4));
    let s = net.accept(1, l).expect("a connection waits");
    net.close(1, l);
    (c, s)
}

fn cross(net: &mut Net) -> (SocketId, SocketId) {
    let mut ids = [(0usize, "10.0.0.2:1000"), (1, "10.0.0.1:1000")].map(|(h, to)| {
        net.on(h, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).unwrap();
            s.bind(id, "0.0.0.0:1000".parse().unwrap()).unwrap();
            assert_eq!(s.connect(cx, id, to.parse().unwrap()), Err(Errno::EINPROGRESS));
            id
        })
    });
    net.run(Duration::from_secs(4));
    ids.reverse();
    (ids[1], ids[0])
}

/// RFC 9293 §3.5 to §3.8: whichever segment of a connection's life is lost, it is repaired.
#[test]
fn any_single_loss_is_repaired() {
    for simultaneous in [false, true] {
        let all = life(u64::MAX, simultaneous);
        assert!(all > 15);
        for lost in 1..=all {
            life(lost, simultaneous);
        }
    }
}

/// RFC 6582 §3.2 step 2: a time-out that came too early makes copies, their duplicate ACKs do not
/// pass for a loss. Nothing is lost here.
#[test]
fn copies_after_a_time_out_start_no_recovery() {
    let mut net = Net::new(2);
    let (c, s) = net.pair();
    net.delay = ms(300);
    net.transfer((0, c), (1, s), 400_000, Duration::from_secs(100));
    let kinds = net.trace.records().filter_map(|r| match r.event {
        Event::Retransmission { kind, .. } => Some(kind),
        _ => None,
    });
    let kinds: Vec<_> = kinds.collect();
    assert!(kinds.contains(&"rto") && !kinds.contains(&"fast"), "{kinds:?}");
}

/// RFC 9293 figure 8: crossing SYNs are answered, not sent again.
#[test]
fn crossing_syns_are_no_retransmissions() {
    let mut net = Net::new(2);
    cross(&mut net);
    let again = net.trace.records().filter(|r| matches!(r.event, Event::Retransmission { .. }));
    assert_eq!(again.count(), 0);
    assert_eq!(net.hosts[0].stats().tcp_retransmits, 0);
}

/// A connection that is reset while it waits for `accept` is handed out, and says so.
#[test]
fn a_reset_in_the_accept_queue_is_reported() {
    let mut net = Net::new(2);
    let l = net.listen(1, 80, 8);
    let c = net.connect(0, "10.0.0.2:80");
    net.run(ms(20));
    net.on(0, |s, cx| s.abort(cx, c)).unwrap();
    net.run(ms(20));
    Watch::default().check(&net);
    let s = net.accept(1, l).unwrap();
    assert_eq!(net.recv(1, s, 1), Err(Errno::ECONNRESET));
    net.close(1, s);
    net.close(1, l);
    Watch::default().check(&net);
    assert!(net.hosts[1].tcp.is_empty());
}

/// Closing connections that no program holds are bounded.
#[test]
fn time_wait_is_bounded() {
    let mut net = Net::new(2);
    let l = net.listen(1, 80, 8);
    for _ in 0..MAX_PARENTLESS + 20 {
        let c = net.connect(0, "10.0.0.2:80");
        net.run(ms(5));
        let s = net.accept(1, l).unwrap();
        net.close(1, s);
        net.run(ms(5));
        net.close(0, c);
        net.run(ms(5));
    }
    Watch::default().check(&net);
    assert_eq!(net.states(1).len(), MAX_PARENTLESS as usize);
    assert_eq!(net.hosts[1].stats().tcp_orphan_drops, 20);
    assert_eq!(drops(&net, DropReason::AcceptQueueFull), 0);
}
