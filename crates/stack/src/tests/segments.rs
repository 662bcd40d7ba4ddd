//! Arbitrary segments in every state: no panic, no endless answer, bounded memory, and in the end
//! nothing is left behind.

use core::net::IpAddr;

use netarium_base::{Duration, IfIndex, Rng, Seed, SocketId};
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOption, TcpOptions};

use super::common::{Net, PID, mac, ms};
use super::invariants::Watch;
use crate::tcp::State;
use crate::{Shutdown, SocketKind, SocketOption, Stack};

/// Host 1 with a connection in `state`; the peer will say nothing more.
fn host_in(state: State) -> (Net, Option<SocketId>) {
    let mut net = Net::new(2);
    let dead = |net: &mut Net| net.fate = Box::new(|_, _| None);
    match state {
        State::Closed | State::Listen => {
            net.listen(0, 80, 8);
            net.pair();
            dead(&mut net);
            (net, None)
        }
        State::SynSent => {
            net.pair();
            dead(&mut net);
            let c = net.connect(0, "10.0.0.2:80");
            (net, Some(c))
        }
        State::SynReceived => {
            net.listen(0, 80, 8);
            net.fate = Box::new(|_, f| {
                let ack = TcpHeader::of(f).is_some_and(|h| !h.flags.contains(TcpFlags::SYN));
                (!ack).then_some(Duration::ZERO)
            });
            net.connect(1, "10.0.0.1:80");
            net.run(ms(20));
            dead(&mut net);
            (net, None)
        }
        _ => {
            let (c, s) = net.pair();
            close_into(&mut net, state, c, s);
            dead(&mut net);
            (net, Some(c))
        }
    }
}

fn close_into(net: &mut Net, state: State, c: SocketId, s: SocketId) {
    let shut = |net: &mut Net, h, id| {
        net.on(h, |st, cx| st.shutdown(cx, id, Shutdown::Write)).unwrap();
    };
    match state {
        State::FinWait1 => {
            net.fate = Box::new(|_, _| None);
            shut(net, 0, c);
        }
        State::FinWait2 => shut(net, 0, c),
        State::CloseWait => shut(net, 1, s),
        State::Closing => {
            shut(net, 0, c);
            shut(net, 1, s);
            net.run(Duration::from_micros(1500));
            return;
        }
        State::LastAck => {
            shut(net, 1, s);
            net.run(ms(20));
            net.fate = Box::new(|_, _| None);
            shut(net, 0, c);
        }
        State::TimeWait => {
            shut(net, 0, c);
            net.run(ms(20));
            shut(net, 1, s);
        }
        _ => {}
    }
    net.run(ms(20));
}

/// What a connection, or a handshake under way, expects.
struct Expected {
    ports: (u16, u16),
    seqs: [u32; 4],
    acks: [u32; 4],
    recent: u32,
}

impl Expected {
    fn of(host: &Stack) -> Option<Expected> {
        if let Some((_, r)) = host.tcp.requests.iter().last() {
            let nxt = r.irs + 1;
            return Some(Expected {
                ports: (r.ends.local_port, r.ends.remote_port),
                seqs: [nxt.0, (nxt + r.window).0, (nxt + r.window / 2).0, r.irs.0],
                acks: [r.iss.0, (r.iss + 1).0, (r.iss + 1).0, (r.iss + 1).0],
                recent: r.agreed.timestamps.map_or(0, |(val, _)| val),
            });
        }
        let c = &host.tcp.iter().last()?.1.conn;
        let middle = c.rcv.nxt + c.rcv.adv.ahead_of(c.rcv.nxt) / 2;
        Some(Expected {
            ports: (c.setup.local.port(), c.setup.remote.port()),
            seqs: [c.rcv.nxt.0, c.rcv.adv.0, middle.0, c.rcv.irs.0],
            acks: [c.snd.una.0, c.snd.nxt.0, c.snd.iss.0, c.snd.nxt.0],
            recent: c.timestamps.map_or(0, |t| t.recent),
        })
    }
}

/// A segment near what is expected.
fn segment(luck: &mut Rng, expected: Option<Expected>) -> Box<Frame> {
    let (local_port, remote_port) = expected.as_ref().map_or((80, 4000), |e| e.ports);
    let near = |luck: &mut Rng, points: [u32; 4]| {
        let offset = [0, 1, 2, 100, 1448, 65_535, 1 << 31][luck.below(7) as usize];
        let point = points[luck.below(4) as usize];
        if luck.below(2) == 0 { point.wrapping_add(offset) } else { point.wrapping_sub(offset) }
    };
    let random = luck.next_u32();
    let (seqs, acks) = expected.as_ref().map_or(([random; 4], [random; 4]), |e| (e.seqs, e.acks));
    let flags = match luck.below(4) {
        0 => TcpFlags::from_bits_truncate(luck.next_u32() as u16),
        1 => TcpFlags::ACK | TcpFlags::FIN,
        2 => TcpFlags::ACK | TcpFlags::PSH,
        _ => TcpFlags::ACK,
    };
    let header = TcpHeader {
        src_port: remote_port,
        dst_port: local_port,
        seq: near(luck, seqs),
        ack: near(luck, acks),
        flags,
        window: [0, 1, 700, 65_535, luck.next_u32() as u16][luck.below(5) as usize],
        urgent: luck.next_u32() as u16,
    };
    let (recent, flight) = expected.map_or((0, None), |e| (e.recent, Some(e.acks)));
    let options = options(luck, recent, flight);
    let len = [0, 0, 0, 1, 2, 100, 1400][luck.below(7) as usize];
    let payload = Payload::copy_from(&vec![luck.next_u32() as u8; len]);
    let peer = IpAddr::from([10, 0, 0, 2]);
    let mut f = header.frame(&IpHeader::new(peer, [10, 0, 0, 1].into()), &options, payload);
    f.set_macs(mac(0), mac(1));
    f
}

/// SACK blocks in and around what is in flight, or anywhere.
fn blocks(luck: &mut Rng, flight: Option<[u32; 4]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + luck.below(4) {
        let Some([una, nxt, ..]) = flight.filter(|_| luck.below(8) > 0) else {
            bytes.extend(luck.next_u64().to_be_bytes());
            continue;
        };
        let around = nxt.wrapping_sub(una).saturating_add(1500);
        let start = una.wrapping_sub(1500).wrapping_add(luck.below(around));
        let len = [1, 100, 700, 1448, 2896, luck.below(20_000)][luck.below(6) as usize];
        bytes.extend(start.to_be_bytes());
        bytes.extend(start.wrapping_add(len).to_be_bytes());
    }
    bytes
}

fn options(luck: &mut Rng, recent: u32, flight: Option<[u32; 4]>) -> TcpOptions {
    let mut o = TcpOptions::new();
    for _ in 0..luck.below(4) {
        match luck.below(7) {
            0 => _ = o.push(TcpOption::Mss(luck.next_u32() as u16 >> luck.below(16))),
            1 => _ = o.push(TcpOption::WindowScale(luck.next_u32() as u8)),
            2 => _ = o.push(TcpOption::SackPermitted),
            3 => _ = o.push(TcpOption::Sack(&blocks(luck, flight))),
            4 => _ = o.push_raw(&[luck.next_u32() as u8, luck.next_u32() as u8]),
            _ => {
                let val = recent.wrapping_add(luck.below(5)).wrapping_sub(1);
                _ = o.push(TcpOption::Timestamps(val, luck.next_u32() >> luck.below(32)));
            }
        }
    }
    o
}

fn call(net: &mut Net, luck: &mut Rng, id: SocketId) {
    let what = luck.below(16);
    let mut buf = [0u8; 3000];
    net.on(0, |s, cx| match what {
        0..5 => drop(s.send(cx, id, &buf[..1 + what as usize * 700])),
        5..9 => drop(s.recv(cx, id, &mut buf)),
        9 => drop(s.shutdown(cx, id, Shutdown::Write)),
        10 => drop(s.shutdown(cx, id, Shutdown::Read)),
        11 => drop(s.set_option(cx, id, SocketOption::KeepAlive(buf[0] == 0))),
        12 => drop(s.set_option(cx, id, SocketOption::RecvBuffer(9000))),
        13 => drop(s.take_error(id)),
        _ => {}
    });
}

fn storm(state: State, seed: u64) {
    let mut luck = Seed(seed).stream("test", state.name());
    let (mut net, socket) = host_in(state);
    let half_open = state == State::SynReceived && !net.hosts[0].tcp.requests.is_empty();
    let reached = half_open || net.hosts[0].tcp.iter().any(|(_, e)| e.conn.state == state);
    assert!(reached || matches!(state, State::Closed | State::Listen), "{state:?}");
    let mut watch = Watch::default();
    for _ in 0..60 {
        for _ in 0..luck.below(4) {
            let expected = Expected::of(&net.hosts[0]);
            let f = segment(&mut luck, expected);
            let before = net.tcp_segments;
            net.on(0, |s, cx| s.handle_frame(cx, IfIndex(2), f));
            assert!(net.tcp_segments - before < 1000, "one segment, and so many answers");
            watch.check(&net);
        }
        if let Some(id) = socket.filter(|_| luck.below(3) == 0) {
            call(&mut net, &mut luck, id);
            watch.check(&net);
        }
        if luck.below(3) == 0 {
            net.run(ms(luck.below(3000).into()));
            watch.check(&net);
        }
    }
    net.on(0, |s, cx| s.release_process(cx, PID));
    watch.check(&net);
    net.run(Duration::from_secs(4000));
    let host = &net.hosts[0];
    assert!(host.tcp.is_empty(), "{state:?} seed {seed}: {:?}", host.sockets());
    assert!(host.ip.ports.snapshot().is_empty() && host.tcp.is_quiet());
    assert_eq!(host.tcp.next_deadline(), None);
}

#[test]
fn no_segment_harms_any_state() {
    for state in State::ALL {
        for seed in 0..150 {
            storm(state, seed);
        }
    }
}

/// The same for hours: `cargo test --release -p netarium-stack -- --ignored long`.
#[test]
#[ignore = "it takes hours; no_segment_harms_any_state is its beginning"]
fn long_no_segment_harms_any_state() {
    for seed in 1_000..1_000_000 {
        State::ALL.into_iter().for_each(|state| storm(state, seed));
    }
}

/// No setting of keep-alive makes a timer that is always due, or probes out of TIME-WAIT.
#[test]
fn keep_alive_ends_with_time_wait_and_when_switched_off() {
    let mut net = Net::new(2);
    for h in &mut net.hosts {
        h.tcp_config_mut().keepalive_time = Duration::ZERO;
        h.tcp_config_mut().keepalive_intvl = Duration::ZERO;
    }
    let (c, s) = net.pair();
    net.on(0, |st, cx| st.set_option(cx, c, SocketOption::KeepAlive(true))).unwrap();
    net.on(0, |st, cx| st.set_option(cx, c, SocketOption::KeepAlive(false))).unwrap();
    net.log.clear();
    net.run(Duration::from_secs(10));
    assert!(net.log.is_empty(), "switched off: {:?}", net.log);
    net.on(0, |st, cx| st.set_option(cx, c, SocketOption::KeepAlive(true))).unwrap();
    net.on(0, |st, cx| st.shutdown(cx, c, Shutdown::Write)).unwrap();
    net.on(1, |st, cx| st.shutdown(cx, s, Shutdown::Write)).unwrap();
    net.run(Duration::from_secs(10));
    assert_eq!(net.states(0), ["TIME_WAIT"], "not given up");
    let udp = net.on(0, |st, _| st.socket(SocketKind::Udp, PID)).unwrap();
    net.close(0, udp);
}
