//! How connections between the kernel's TCP and ours begin, end and wait.
#![cfg(target_os = "linux")]

mod common;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time;

use common::{KERNEL, OURS, Pair, Pattern, Setup, on_ground};
use netarium_base::{Duration, LinkEnd, Seed, SocketId};
use netarium_stack::{Errno, RecvFlags, SendFlags, SocketOption};
use netarium_tap::Look;
use netarium_wire::icmp::{self, unreachable};
use netarium_wire::{Frame, IpHeader, TcpFlags, TcpHeader};
use netarium_world::{DirectionSpec, Wire};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

fn ours(port: u16) -> SocketAddr {
    (OURS.parse::<Ipv4Addr>().expect("an address"), port).into()
}

fn kernel_listener(pair: &Pair, port: u16) -> TcpListener {
    pair.netns.run(move || TcpListener::bind((KERNEL, port)).expect("bound"))
}

/// A connection from us to the kernel: our socket, and the kernel's.
fn outward(pair: &mut Pair) -> (SocketId, TcpStream) {
    let listener = kernel_listener(pair, 5001);
    let accepted = pair.kernel(move || listener.accept().expect("accepted").0);
    let id = pair.connect(5001).expect("connected");
    (id, pair.join(accepted))
}

/// A connection from the kernel to us: our socket, and the kernel's.
fn inward(pair: &mut Pair) -> (SocketId, TcpStream) {
    let listener = pair.listen(5001);
    let connected = pair.kernel(|| TcpStream::connect(ours(5001)).expect("connected"));
    let id = pair.accept(listener);
    (id, pair.join(connected))
}

/// A thread of the kernel's side that reads to the end.
fn read_all(pair: &Pair, mut stream: TcpStream) -> std::thread::JoinHandle<io::Result<Vec<u8>>> {
    pair.kernel(move || {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map(|_| all)
    })
}

/// The states of TCP connections that the kernel's namespace knows, as /proc/net/tcp numbers them.
fn kernel_states(pair: &Pair) -> Vec<u8> {
    let table = pair.netns.run(|| std::fs::read_to_string("/proc/thread-self/net/tcp"));
    let table = table.expect("the table of sockets");
    let state = |l: &str| u8::from_str_radix(l.split_whitespace().nth(3)?, 16).ok();
    let mut states: Vec<u8> = table.lines().skip(1).filter_map(state).collect();
    states.sort_unstable();
    states
}

const TIME_WAIT: u8 = 6;

#[test]
fn we_close_first() {
    on_ground("we_close_first", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, stream) = outward(pair);
        pair.send(id, b"last words");
        pair.close(id);
        let read = read_all(pair, stream);
        assert_eq!(pair.join(read).expect("no error"), b"last words");
        pair.until_states(&["TIME_WAIT"]);
        assert!(kernel_states(pair).is_empty(), "the kernel has forgotten it");
    });
}

#[test]
fn they_close_first() {
    on_ground("they_close_first", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, mut stream) = inward(pair);
        stream.write_all(b"last words").expect("sent");
        drop(stream);
        assert_eq!(pair.recv_all(id), Ok(b"last words".to_vec()));
        pair.close(id);
        pair.until_states(&[]);
        assert_eq!(kernel_states(pair), [TIME_WAIT]);
    });
}

/// Both FINs cross: RFC 9293 §3.6 figure 14.
#[test]
fn both_close_at_once() {
    on_ground("both_close_at_once", |netns| {
        let delay = Duration::from_millis(20);
        let wire =
            Wire::plain(Seed(1), "wire", DirectionSpec { delay, ..DirectionSpec::default() });
        let pair = &mut Setup::over(wire).build(netns);
        let (id, stream) = outward(pair);
        // Both are done before either's FIN can have arrived: nobody turns the driver in between.
        pair.close(id);
        drop(stream);
        pair.until_states(&["TIME_WAIT"]);
        assert_eq!(kernel_states(pair), [TIME_WAIT]);
    });
}

#[test]
fn half_closed_by_us() {
    on_ground("half_closed_by_us", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, mut stream) = outward(pair);
        pair.send(id, b"question");
        pair.shutdown(id);
        let answer = Pattern::first(300_000);
        let there = answer.clone();
        let kernel = pair.kernel(move || {
            let mut question = Vec::new();
            stream.read_to_end(&mut question).expect("received");
            stream.write_all(&there).expect("sent");
            question
        });
        assert!(pair.recv_all(id) == Ok(answer), "all of the answer, behind our FIN");
        assert_eq!(pair.join(kernel), b"question");
        pair.close(id);
        pair.until_states(&["TIME_WAIT"]);
    });
}

#[test]
fn half_closed_by_them() {
    on_ground("half_closed_by_them", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, mut stream) = inward(pair);
        stream.write_all(b"question").expect("sent");
        stream.shutdown(Shutdown::Write).expect("shut down");
        assert_eq!(pair.recv_all(id), Ok(b"question".to_vec()));
        let read = read_all(pair, stream);
        let answer = Pattern::first(300_000);
        pair.send(id, &answer);
        pair.close(id);
        assert!(pair.join(read).expect("no error") == answer, "all of the answer");
        pair.until_states(&[]);
    });
}

#[test]
fn nobody_listens() {
    on_ground("nobody_listens", |netns| {
        let pair = &mut Pair::ours(netns);
        assert_eq!(pair.connect(9), Err(Errno::ECONNREFUSED));
        let refused = pair.kernel(|| TcpStream::connect(ours(9)).map(drop));
        let error = pair.join(refused).expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn we_reset() {
    on_ground("we_reset", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, stream) = inward(pair);
        pair.set(id, SocketOption::Linger(Some(Duration::ZERO)));
        pair.close(id);
        let read = read_all(pair, stream);
        let error = pair.join(read).expect_err("it was reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        pair.until_states(&[]);
        assert!(kernel_states(pair).is_empty());
    });
}

#[test]
fn they_reset() {
    on_ground("they_reset", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, stream) = outward(pair);
        SockRef::from(&stream).set_linger(Some(time::Duration::ZERO)).expect("set");
        drop(stream);
        assert_eq!(pair.recv(id), Err(Errno::ECONNRESET));
        pair.close(id);
        pair.until_states(&[]);
    });
}

/// RFC 2525 §2.17: what was not read is told by a reset.
#[test]
fn unread_data_is_a_reset() {
    on_ground("unread_data_is_a_reset", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, stream) = outward(pair);
        pair.send(id, b"nobody reads this");
        pair.until(|p| (p.driver.stack(LinkEnd::A).outq(id) == Ok(0)).then_some(()));
        drop(stream);
        assert_eq!(pair.recv(id), Err(Errno::ECONNRESET));
    });
}

/// The kernel's program does not read: its window closes, is probed, and opens again.
#[test]
fn their_window_closes() {
    on_ground("their_window_closes", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, stream) = outward(pair);
        let all = Pattern::first(8_000_000);
        let (mut done, mut probes) = (0, 0);
        while probes < 2 {
            done += pair.until(|p| {
                let sent = p.driver.call(LinkEnd::A, |s, cx| s.send(cx, id, &all[done..]));
                let now = p.driver.now();
                let info = p.driver.stack(LinkEnd::A).tcp_info(now, id).expect("it stands");
                probes = probes.max(info.probes);
                sent.ok().or((probes >= 2).then_some(0))
            });
            assert!(done < all.len(), "the kernel takes not everything unread");
        }
        let read = read_all(pair, stream);
        pair.send(id, &all[done..]);
        pair.close(id);
        assert!(pair.join(read).expect("no error") == all, "not a byte was lost");
    });
}

/// Our program does not read: the kernel finds our window closed, and waits.
#[test]
fn our_window_closes() {
    on_ground("our_window_closes", |netns| {
        let pair = &mut Pair::ours(netns);
        let closed = std::rc::Rc::new(std::cell::Cell::new(0));
        let seen = closed.clone();
        pair.inspect(Box::new(move |end, frame| {
            let tcp = TcpHeader::of(frame);
            let zero = tcp.is_some_and(|t| t.window == 0 && !t.flags.contains(TcpFlags::RST));
            seen.set(seen.get() + u32::from(zero && end == LinkEnd::A));
            Look::Pass
        }));
        let (id, mut stream) = inward(pair);
        let all = Pattern::first(12_000_000);
        let there = all.clone();
        let write = pair.kernel(move || stream.write_all(&there).expect("sent"));
        // The second closed window is the answer to a probe.
        pair.until(|_| (closed.get() >= 2).then_some(()));
        assert!(pair.recv_all(id) == Ok(all), "not a byte was lost");
        pair.join(write);
    });
}

#[test]
fn our_keep_alive_is_answered_and_finds_the_dead() {
    on_ground("our_keep_alive_is_answered_and_finds_the_dead", |netns| {
        let wire = Wire::plain(Seed(1), "wire", DirectionSpec::default());
        let pair = &mut Setup::over(wire).build(netns);
        let (id, stream) = outward(pair);
        for option in [
            SocketOption::KeepAlive(true),
            SocketOption::KeepIdle(Duration::from_secs(1)),
            SocketOption::KeepInterval(Duration::from_secs(1)),
            SocketOption::KeepCount(1),
        ] {
            pair.set(id, option);
        }
        let before = segments_to(pair);
        pair.until(|p| (segments_to(p) >= before + 2).then_some(()));
        assert!(pair.driver.call(LinkEnd::A, |s, _| s.take_error(id)).is_none(), "answered");
        pair.driver.wire().expect("a wire").set_up(false);
        assert_eq!(pair.recv(id), Err(Errno::ETIMEDOUT));
        drop(stream);
    });
}

/// Frames from the kernel that arrived here.
fn segments_to(pair: &mut Pair) -> u64 {
    pair.driver.wire().expect("a wire").stats(LinkEnd::B).delivered_frames
}

#[test]
fn their_keep_alive_is_answered_and_finds_the_dead() {
    on_ground("their_keep_alive_is_answered_and_finds_the_dead", |netns| {
        let wire = Wire::plain(Seed(1), "wire", DirectionSpec::default());
        let pair = &mut Setup::over(wire).build(netns);
        let (id, stream) = inward(pair);
        let second = time::Duration::from_secs(1);
        let times = socket2::TcpKeepalive::new().with_time(second).with_interval(second);
        SockRef::from(&stream).set_tcp_keepalive(&times.with_retries(1)).expect("set");
        let before = segments_to(pair);
        pair.until(|p| (segments_to(p) >= before + 2).then_some(()));
        pair.driver.wire().expect("a wire").set_up(false);
        let read = read_all(pair, stream);
        let error = pair.join(read).expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        pair.close(id);
    });
}

/// RFC 6191: the kernel comes back from the same port while we are in TIME-WAIT.
#[test]
fn our_time_wait_gives_way() {
    on_ground("our_time_wait_gives_way", |netns| {
        let pair = &mut Pair::ours(netns);
        let listener = pair.listen(5001);
        for round in 0..3 {
            let stream = pair.kernel(|| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                socket.set_reuse_address(true).expect("set");
                let from: SocketAddr = (Ipv4Addr::UNSPECIFIED, 40_000).into();
                socket.bind(&from.into()).expect("bound");
                socket.connect(&SockAddr::from(ours(5001))).map(|()| TcpStream::from(socket))
            });
            let id = pair.accept(listener);
            let mut stream = pair.join(stream).expect("connected");
            // We close first, so that the waiting is ours.
            pair.close(id);
            let read = pair.kernel(move || stream.read(&mut [0; 1]).expect("the end"));
            assert_eq!(pair.join(read), 0, "round {round}");
            pair.until_states(&["TIME_WAIT"]);
        }
    });
}

/// The same the other way round: the kernel waits, and gives way to us.
#[test]
fn their_time_wait_gives_way() {
    on_ground("their_time_wait_gives_way", |netns| {
        let pair = &mut Pair::ours(netns);
        let listener = kernel_listener(pair, 5001);
        for round in 0..3 {
            let again = listener.try_clone().expect("a copy");
            let accepted = pair.kernel(move || again.accept().expect("accepted").0);
            let id = pair.begin_connect(5001, |s, id| {
                s.bind(id, ours(40_000)).expect("the port is free");
            });
            let id = pair.connected(id).expect("connected");
            drop(pair.join(accepted));
            assert_eq!(pair.recv(id), Ok(Vec::new()), "round {round}");
            pair.close(id);
            pair.until_states(&[]);
            assert_eq!(kernel_states(pair), [TIME_WAIT, 10]);
        }
    });
}

#[test]
fn urgent_data_from_us() {
    on_ground("urgent_data_from_us", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, stream) = outward(pair);
        pair.send(id, b"abc");
        let flags = SendFlags::OOB;
        let sent = pair.driver.call(LinkEnd::A, |s, cx| s.send_with(cx, id, b"!", flags));
        assert_eq!(sent, Ok(1));
        pair.send(id, b"def");
        pair.close(id);
        let kernel = pair.kernel(move || {
            let (mut urgent, mut rest) = ([std::mem::MaybeUninit::uninit(); 1], Vec::new());
            let mut stream = stream;
            let mut first = [0; 3];
            stream.read_exact(&mut first).expect("before the mark");
            let taken = SockRef::from(&stream).recv_out_of_band(&mut urgent);
            stream.read_to_end(&mut rest).expect("behind the mark");
            (first, taken.map_err(|e| e.to_string()), rest)
        });
        assert_eq!(pair.join(kernel), (*b"abc", Ok(1), b"def".to_vec()));
    });
}

#[test]
fn urgent_data_from_them() {
    on_ground("urgent_data_from_them", |netns| {
        let pair = &mut Pair::ours(netns);
        let (id, mut stream) = inward(pair);
        stream.write_all(b"abc").expect("sent");
        SockRef::from(&stream).send_out_of_band(b"!").expect("sent");
        stream.write_all(b"def").expect("sent");
        drop(stream);
        assert_eq!(pair.recv(id), Ok(b"abc".to_vec()), "reading stops at the mark");
        let mut urgent = [0];
        let taken =
            pair.driver.call(LinkEnd::A, |s, cx| s.recv_with(cx, id, &mut urgent, RecvFlags::OOB));
        assert_eq!((taken, urgent), (Ok(1), *b"!"));
        assert_eq!(pair.recv_all(id), Ok(b"def".to_vec()));
    });
}

/// RFC 1191: from some time on a router between us takes no more than 1000 bytes.
#[test]
fn the_path_becomes_narrow() {
    on_ground("the_path_becomes_narrow", |netns| {
        let pair = &mut Pair::ours(netns);
        let told = std::rc::Rc::new(std::cell::Cell::new([0u32; 2]));
        let seen = told.clone();
        let mut frames = 0;
        pair.inspect(Box::new(move |end, frame| {
            frames += 1;
            if frames < 200 || frame.ip_len() <= 1000 {
                return Look::Pass;
            }
            let mut counts = seen.get();
            counts[end.index()] += 1;
            seen.set(counts);
            Look::Answer(vec![too_big(frame, 1000)])
        }));
        let (id, mut stream) = outward(pair);
        let all = Pattern::first(2_000_000);
        let there = all.clone();
        let write = pair.kernel(move || {
            stream.write_all(&there).expect("sent");
            stream
        });
        let mut got = Vec::new();
        while got.len() < all.len() {
            got.extend(pair.recv(id).expect("received"));
        }
        assert!(got == all, "not a byte was lost on the way to us");
        let stream = pair.join(write);
        let read = read_all(pair, stream);
        pair.send(id, &all);
        pair.close(id);
        assert!(pair.join(read).expect("no error") == all, "nor on the way to them");
        let told = told.get();
        assert!(told.iter().all(|n| (1..200).contains(n)), "each was told, and learnt: {told:?}");
    });
}

/// What a router between the two says about a frame that is too long: ICMP type 3, code 4.
fn too_big(frame: &Frame, mtu: u16) -> Box<Frame> {
    let ip = IpHeader::new([10, 9, 0, 254].into(), frame.src_ip().expect("an IP packet"));
    let code = unreachable::FRAGMENTATION_NEEDED;
    let mut answer = icmp::error(&ip, icmp::kind::UNREACHABLE, code, mtu.into(), frame);
    answer.set_macs(frame.src_mac(), frame.dst_mac());
    answer
}
