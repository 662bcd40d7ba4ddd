//! Two programs talk over a bad wire: the streams arrive whole and in order, or both ends learn of
//! an error; in bounded virtual time and with a bounded number of segments.

use netarium_base::{DropReason, Duration, Rng, Seed, SocketId};

use super::common::{Mishap, Net, ms, pattern};
use super::invariants::Watch;
use crate::tcp::config::{Congestion, Ecn};
use crate::{Errno, Shutdown, SocketOption};
use netarium_wire::TcpHeader;

/// One end's program: sends so much, reads until the end, and how it closes.
struct Program {
    host: usize,
    socket: SocketId,
    total: usize,
    sent: usize,
    got: usize,
    shut: bool,
    eof: bool,
    closed: bool,
    /// Closes as soon as everything is sent, whatever the peer still says.
    abrupt: bool,
    error: Option<Errno>,
    /// Percentage of turns in which the program does nothing.
    lazy: u32,
}

impl Program {
    fn turn(&mut self, net: &mut Net, luck: &mut Rng) {
        if self.closed || luck.below(100) < self.lazy {
            return;
        }
        self.write(net, luck);
        self.read(net, luck);
        let done = self.sent == self.total && (self.eof || self.abrupt);
        if done || self.error.is_some() {
            net.close(self.host, self.socket);
            self.closed = true;
        }
    }

    fn write(&mut self, net: &mut Net, luck: &mut Rng) {
        if self.error.is_some() || self.shut {
            return;
        }
        if self.sent < self.total {
            let n = 1 + luck.below(12_000) as usize;
            let chunk: Vec<u8> =
                (self.sent..(self.sent + n).min(self.total)).map(pattern).collect();
            match net.send(self.host, self.socket, &chunk) {
                Ok(n) => self.sent += n,
                Err(Errno::EAGAIN) => {}
                Err(e) => self.error = Some(e),
            }
        } else if !self.abrupt {
            let (host, id) = (self.host, self.socket);
            // A connection that the other end has reset meanwhile has nothing to shut down.
            let shut = net.on(host, |s, cx| s.shutdown(cx, id, Shutdown::Write));
            assert!(matches!(shut, Ok(()) | Err(Errno::ENOTCONN)), "{shut:?}");
            self.shut = true;
        }
    }

    fn read(&mut self, net: &mut Net, luck: &mut Rng) {
        let want = 1 + luck.below(20_000) as usize;
        match net.recv(self.host, self.socket, want) {
            Ok(data) if data.is_empty() => self.eof = true,
            Ok(data) => {
                for b in data {
                    assert_eq!(b, pattern(self.got), "byte {}", self.got);
                    self.got += 1;
                }
            }
            Err(Errno::EAGAIN) => {}
            Err(e) => self.error = Some(e),
        }
    }
}

/// A wire that loses, duplicates, delays and breaks `percent` of the frames each.
fn bad_wire(net: &mut Net, seed: u64, percent: u32) {
    let mut luck = Seed(seed).stream("wire", "fate");
    net.fate = Box::new(move |_, f| {
        let tcp = TcpHeader::of(f).is_some();
        match luck.below(100) {
            n if tcp && n < percent => None,
            n if tcp && n < 2 * percent => Some(Duration::from_micros(luck.below(20_000).into())),
            _ => Some(Duration::ZERO),
        }
    });
    let mut luck = Seed(seed).stream("wire", "mishap");
    net.mishap = Box::new(move |_, f| {
        let tcp = TcpHeader::of(f).is_some();
        let mut hit = || tcp && luck.below(100) < percent;
        let (again, flip, mark) = (hit(), hit(), hit());
        Mishap {
            again: again.then(|| Duration::from_micros(luck.below(30_000).into())),
            flip: flip.then(|| luck.next_u32() as usize),
            mark,
        }
    });
}

/// Both ends with settings of their own: any two ways of sending get along.
fn vary(net: &mut Net, seed: u64) {
    let mut luck = Seed(seed).stream("test", "settings");
    for h in &mut net.hosts {
        let mut often = || luck.below(4) > 0;
        let config = h.tcp_config_mut();
        (config.sack, config.dsack) = (often(), often());
        (config.timestamps, config.window_scaling) = (often(), often());
        (config.early_retrans, config.frto) = (often(), often());
        config.slow_start_after_idle = often();
        config.congestion = if often() { Congestion::Cubic } else { Congestion::Reno };
        config.ecn = [Ecn::Off, Ecn::On, Ecn::ServerOnly][luck.below(3) as usize];
        config.initial_window = [1, 2, 10, 40][luck.below(4) as usize];
    }
}

fn converse(seed: u64) {
    let mut luck = Seed(seed).stream("test", "streams");
    let mut net = Net::new(2);
    net.delay = Duration::from_micros([10, 1000, 40_000][luck.below(3) as usize]);
    for h in &mut net.hosts {
        // On a wire this bad eight losses in a row happen: a closing end that gives up without a
        // word would leave the other waiting for ever, as it should.
        h.tcp_config_mut().orphan_retries = 15;
        h.tcp_config_mut().keepalive_time = Duration::from_secs(60);
    }
    vary(&mut net, seed);
    let l = net.listen(1, 80, 8);
    if luck.below(3) == 0 {
        let size = SocketOption::RecvBuffer(4096 + luck.below(8000));
        net.on(1, |s, cx| s.set_option(cx, l, size)).unwrap();
    }
    let c = net.connect(0, "10.0.0.2:80");
    if luck.below(3) == 0 {
        let size = SocketOption::RecvBuffer(4096 + luck.below(8000));
        net.on(0, |s, cx| s.set_option(cx, c, size)).unwrap();
    }
    net.run(ms(200));
    let s = net.accept(1, l).unwrap();
    net.close(1, l);
    for (h, id) in [(0, c), (1, s)] {
        // A reset may be lost, and who only waits for data learns of it by a probe.
        net.on(h, |st, cx| st.set_option(cx, id, SocketOption::KeepAlive(true))).unwrap();
    }
    bad_wire(&mut net, seed, [0, 1, 5, 12][luck.below(4) as usize]);
    let mut programs = [(0, c), (1, s)].map(|(host, socket)| Program {
        host,
        socket,
        total: [0, 1, 3000, 60_000, 150_000][luck.below(5) as usize],
        sent: 0,
        got: 0,
        shut: false,
        eof: false,
        closed: false,
        abrupt: luck.below(8) == 0,
        error: None,
        lazy: [0, 50, 97][luck.below(3) as usize],
    });
    let start = net.now;
    net.tcp_segments = 0;
    let mut watch = Watch::default();
    while !programs.iter().all(|p| p.closed) {
        for p in &mut programs {
            p.turn(&mut net, &mut luck);
        }
        net.run(Duration::from_micros(luck.below(40_000).into()));
        watch.check(&net);
        assert!(net.now - start < Duration::from_secs(3600), "seed {seed}: no progress");
    }
    judge(seed, &mut net, &programs);
}

fn judge(seed: u64, net: &mut Net, programs: &[Program; 2]) {
    let [a, b] = programs;
    let abrupt = a.abrupt || b.abrupt;
    if a.error.is_none() && b.error.is_none() && !abrupt {
        assert_eq!((a.got, b.got), (b.total, a.total), "seed {seed}: the streams are whole");
    } else {
        // Nothing here is bad enough to end a connection that nobody ends.
        assert!(abrupt, "seed {seed}: {:?} {:?}", a.error, b.error);
    }
    let bytes = (a.sent + b.sent) as u64;
    let bound = 100 + bytes / 40;
    assert!(net.tcp_segments < bound, "seed {seed}: {} segments, {bytes} bytes", net.tcp_segments);
    // RFC 6691 §2: whatever options a segment has, it fits.
    let too_big = net.trace.drops().filter(|(_, r, _)| *r == DropReason::FrameTooBig);
    assert_eq!(too_big.count(), 0, "seed {seed}");
    // Whatever is left closes by itself.
    net.run(Duration::from_secs(3600));
    for host in &net.hosts {
        assert!(host.tcp.is_empty() && host.ip.ports.snapshot().is_empty(), "seed {seed}");
        assert!(host.is_quiet() && host.tcp.next_deadline().is_none(), "seed {seed}");
    }
}

/// The same for hours: `cargo test --release -p netarium-stack -- --ignored long`.
#[test]
#[ignore = "it takes hours; streams_survive_bad_wires is its beginning"]
fn long_streams_survive_bad_wires() {
    (1_000..1_000_000).for_each(converse);
}

#[test]
fn streams_survive_bad_wires() {
    for seed in 0..400 {
        converse(seed);
    }
}
