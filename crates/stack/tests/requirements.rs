//! Requirements of RFC 9293 appendix B that no other test pins down, by their numbers.

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use common::peer::{Peer, THEIRS, seg};
use common::{Net, ms};
use netarium_base::Duration;
use netarium_stack::tcp::config::TimeWaitReuse;
use netarium_stack::{Errno, OptionName, SocketOption};
use netarium_wire::TcpHeader;

const NONE: [&str; 0] = [];

fn iss_of(p: &mut Peer) -> (u32, u16) {
    let c = p.socket();
    p.connect(c);
    (p.iss.unwrap(), p.local_port)
}

/// MUST-8, SHLD-1, MUST-9; RFC 6528 §3: a clock of 4 µs, and an offset by end points and seed.
#[test]
fn initial_numbers_follow_the_clock_and_a_secret() {
    let number = |port: u16, at: Duration| {
        let mut p = Peer::new();
        p.now += at;
        p.listen(5);
        p.peer_port = port;
        p.inject(seg("S", 0, 0));
        p.iss.unwrap()
    };
    let (a, later) = (number(4000, Duration::ZERO), number(4000, ms(4)));
    assert_eq!(later.wrapping_sub(a), 1000, "a tick is 4 µs");
    let others: BTreeSet<u32> = (4000..4100).map(|port| number(port, Duration::ZERO)).collect();
    assert_eq!(others.len(), 100);
    let near = others.iter().filter(|n| n.wrapping_sub(a) < 1 << 24).count();
    assert!(near < 10, "nothing is told by a neighbouring port");
}

/// RFC 6056 §3.3.4: ports come from the range, spread over it, one peer's from those of another apart.
#[test]
fn source_ports_are_spread() {
    let mut p = Peer::new();
    p.host.tcp_config_mut().local_port_range = (40_000, 40_999);
    let ports: Vec<u16> = (0..50).map(|_| iss_of(&mut p).1).collect();
    let different: BTreeSet<_> = ports.iter().collect();
    assert_eq!(different.len(), 50);
    assert!(ports.iter().all(|p| (40_000..=40_999).contains(p)));
}

/// MUST-46: no connection to everyone. MUST-44 and MUST-45: the source address is the route's.
#[test]
fn nobody_connects_to_everyone() {
    let mut p = Peer::new();
    for to in ["255.255.255.255:80", "10.0.0.255:80", "224.0.0.1:80"] {
        let c = p.socket();
        let to: SocketAddr = to.parse().unwrap();
        assert_eq!(p.on(|s, cx| s.connect(cx, c, to)), Err(Errno::ENETUNREACH), "{to}");
    }
    let c = p.socket();
    p.connect(c);
    assert_eq!(p.host.local_addr(c).unwrap().ip(), std::net::IpAddr::from([10, 0, 0, 1]));
}

/// MUST-48, SHLD-21, SHLD-22, MUST-49: DiffServ and TTL are the program's, also in between.
#[test]
fn diffserv_and_ttl_are_the_programs() {
    let mut p = Peer::new();
    let s = p.accepted(seg("S", 0, 0).usual());
    for (tos, ttl) in [(0xb8, 7), (0x20, 99)] {
        p.set(s, SocketOption::Tos(tos));
        p.set(s, SocketOption::Ttl(ttl));
        p.on(|st, cx| st.send(cx, s, b"x")).unwrap();
        let frame = &p.frames()[0];
        assert_eq!((frame.tos(), frame.ttl()), (tos, ttl));
        let acked = p.host.tcp_info(p.now, s).unwrap().bytes_sent as u32 + 1;
        p.inject(seg(".", 1, acked));
    }
}

/// MUST-54, SHLD-25, MUST-56: ICMP errors end a handshake, but not a connection, where they explain a
/// later time-out; MUST-55: source quench is nothing.
#[test]
fn icmp_errors_are_soft_once_connected() {
    let mut p = Peer::new();
    let c = p.socket();
    p.connect(c);
    p.icmp(0, (4, 0, 0));
    p.icmp(99, (3, 1, 0));
    assert_eq!(p.host.take_error(c), None, "quench, and a number that is not in flight");
    p.icmp(0, (3, 1, 0));
    assert_eq!(p.host.take_error(c), Some(Errno::EHOSTUNREACH));
    for code in [(3, 0, 0), (3, 1, 0), (3, 2, 0), (3, 3, 0), (11, 0, 0), (12, 0, 0)] {
        let mut p = Peer::new();
        let s = p.accepted(seg("S", 0, 0).usual());
        p.send(s, 10);
        p.icmp(1, code);
        assert_eq!(p.recv(s, 1), Err(Errno::EAGAIN), "{code:?}");
        p.wait(Duration::from_secs(1000));
        let error = p.recv(s, 1).unwrap_err();
        assert_ne!(error, Errno::ETIMEDOUT, "{code:?}: the reason is remembered");
    }
}

/// SHLD-17, MUST-34: a window taken back is no reason to give up, and old data still goes.
#[test]
fn a_window_may_shrink() {
    let mut p = Peer::new();
    let s = p.accepted(seg("S", 0, 0).usual());
    assert_eq!(p.send(s, 2920).len(), 2);
    p.inject(seg(".", 1, 1).win(1));
    p.wait(ms(50));
    p.inject(seg(".", 1, 1461).win(0));
    for _ in 0..20 {
        p.wait(Duration::from_secs(120));
        p.inject(seg(".", 1, 1461).win(0));
    }
    assert_eq!(p.recv(s, 1), Err(Errno::EAGAIN));
    let sent = p.inject(seg(".", 1, 1461).win(1000));
    let more = p.wait(Duration::from_secs(130));
    let again = sent.iter().chain(&more).any(|l| l.contains("1461:2921(1460)"));
    assert!(again, "{sent:?} {more:?}");
}

/// SHLD-4, RFC 6191: `connect` takes over end points in TIME-WAIT after a second, when asked and
/// when timestamps protect it.
#[test]
fn connect_reuses_time_wait() {
    for (mode, reused) in [(TimeWaitReuse::Off, false), (TimeWaitReuse::On, true)] {
        let mut net = Net::new(2);
        net.hosts[0].tcp_config_mut().tw_reuse = mode;
        net.hosts[0].tcp_config_mut().local_port_range = (50_000, 50_000);
        let (c, s) = net.pair();
        net.close(0, c);
        net.run(ms(100));
        net.close(1, s);
        net.run(Duration::from_secs(2));
        assert_eq!(net.states(0), ["TIME_WAIT"]);
        let next = net.on(0, |st, cx| {
            let id = st.socket(netarium_stack::SocketKind::Tcp, common::PID).unwrap();
            st.connect(cx, id, "10.0.0.2:80".parse().unwrap())
        });
        let expected = if reused { Errno::EINPROGRESS } else { Errno::EADDRNOTAVAIL };
        assert_eq!(next, Err(expected), "{mode:?}");
        net.run(ms(100));
        if reused {
            assert_eq!(net.states(0), ["ESTABLISHED"]);
        }
    }
}

/// MUST-24, MUST-25, MUST-28 and the other defaults that programs read back, with Linux' limits.
#[test]
fn options_read_back_as_on_linux() {
    let mut p = Peer::new();
    let id = p.socket();
    let defaults = [
        (OptionName::KeepAlive, SocketOption::KeepAlive(false)),
        (OptionName::KeepIdle, SocketOption::KeepIdle(Duration::from_secs(7200))),
        (OptionName::KeepInterval, SocketOption::KeepInterval(Duration::from_secs(75))),
        (OptionName::KeepCount, SocketOption::KeepCount(9)),
        (OptionName::NoDelay, SocketOption::NoDelay(false)),
        (OptionName::SynCount, SocketOption::SynCount(6)),
        (OptionName::MaxSeg, SocketOption::MaxSeg(536)),
        (OptionName::Ttl, SocketOption::Ttl(64)),
        (OptionName::RecvLowat, SocketOption::RecvLowat(1)),
        (OptionName::UserTimeout, SocketOption::UserTimeout(Duration::ZERO)),
        (OptionName::Error, SocketOption::Error(None)),
    ];
    for (name, value) in defaults {
        assert_eq!(p.host.get_option(id, name), Ok(value));
    }
    let doubled = [(10_000, 20_000), (1, 2304), (10_000_000, 425_984)];
    for (set, got) in doubled {
        p.set(id, SocketOption::RecvBuffer(set));
        let read = p.host.get_option(id, OptionName::RecvBuffer);
        assert_eq!(read, Ok(SocketOption::RecvBuffer(got)));
    }
    for bad in [
        SocketOption::KeepCount(0),
        SocketOption::KeepIdle(Duration::from_secs(40_000)),
        SocketOption::MaxSeg(20),
        SocketOption::SynCount(200),
        SocketOption::Ttl(0),
    ] {
        assert_eq!(p.on(|s, cx| s.set_option(cx, id, bad)), Err(Errno::EINVAL), "{bad:?}");
    }
    assert_eq!(p.host.get_option(id, OptionName::Mtu), Err(Errno::ENOTCONN));
}

/// MUST-65 and MAY-3: MSS stands in each SYN and in no other segment. TCP_MAXSEG limits it.
#[test]
fn mss_stands_in_syns_only() {
    let mut p = Peer::new();
    let c = p.socket();
    p.set(c, SocketOption::MaxSeg(1000));
    let syn = p.connect(c);
    assert!(syn[0].contains("<mss 1000,"), "{syn:?}");
    p.inject(seg("S.", 0, 1).usual());
    p.on(|s, cx| s.send(cx, c, &[0; 2500])).unwrap();
    let frames = p.frames();
    assert_eq!(frames.iter().map(|f| f.payload().len()).collect::<Vec<_>>(), [1000, 1000, 500]);
    assert!(frames.iter().all(|f| TcpHeader::options_of(f).count() == 0));
    assert_eq!(SocketAddr::from((THEIRS, 80)), p.host.peer_addr(c).unwrap());
}

/// MUST-62's other side: Nagle and the window hold for what follows urgent data (RFC 6093 §3).
#[test]
fn urgent_data_does_not_open_windows() {
    let mut p = Peer::new();
    let s = p.accepted(seg("S", 0, 0).usual());
    p.inject(seg(".", 1, 1).win(0));
    let sent = p.on(|st, cx| st.send_with(cx, s, b"now", netarium_stack::SendFlags::OOB)).unwrap();
    assert_eq!((sent, p.sent()), (3, NONE.map(str::to_owned).to_vec()));
    let sent = p.inject(seg(".", 1, 1));
    assert_eq!(sent, ["P.U 1:4(3) ack 1 win 502 urg 3"]);
}
