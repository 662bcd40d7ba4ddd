//! Two or more hosts on one Ethernet segment, in virtual time, with a wire that can be told to
//! lose, delay and change frames.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the helpers")]

pub mod fuzz;
pub mod peer;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netarium_base::{Cause, Ctx, Duration, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::{Errno, SocketKind, Stack, StackConfig};
use netarium_wire::{Frame, Mac, TcpHeader};

pub const PID: Pid = Pid(7);

/// What the wire does with a frame: how much later than usual it arrives; `None` loses it.
pub type Fate = Box<dyn FnMut(u64, &Frame) -> Option<Duration>>;

/// What else the wire does with a frame.
#[derive(Clone, Copy, Default)]
pub struct Mishap {
    /// The frame arrives once more, this much later.
    pub again: Option<Duration>,
    /// A bit behind the Ethernet header is flipped.
    pub flip: Option<usize>,
    /// A router marks the frame instead of dropping it (RFC 3168), if it is marked as capable.
    pub mark: bool,
}

pub type Mishaps = Box<dyn FnMut(u64, &Frame) -> Mishap>;

/// A narrow way to a host, with a queue in front of it.
#[derive(Clone, Copy)]
pub struct Narrow {
    /// Bits per second.
    pub rate: u64,
    /// Bytes that may wait.
    pub queue: u64,
    /// When the last frame handed over will have left it.
    pub busy_until: Instant,
    /// Frames that found no room.
    pub dropped: u64,
}

impl Narrow {
    pub fn new(rate: u64, queue: u64) -> Narrow {
        Narrow { rate, queue, busy_until: Instant::ZERO, dropped: 0 }
    }

    /// How long a frame of `len` bytes waits and takes; `None` when there is no room.
    fn pass(&mut self, now: Instant, len: usize) -> Option<Duration> {
        let time = |bytes: u64| Duration::from_nanos(bytes * 8_000_000_000 / self.rate);
        let waiting = self.busy_until.since(now);
        if waiting > time(self.queue) {
            self.dropped += 1;
            return None;
        }
        let takes = waiting + time(len as u64);
        self.busy_until = now + takes;
        Some(takes)
    }
}

pub struct Net {
    pub now: Instant,
    pub trace: Tracer,
    pub hosts: Vec<Stack>,
    pub delay: Duration,
    pub fate: Fate,
    /// Asked for each frame that is not lost.
    pub mishap: Mishaps,
    /// Narrow ways, by the host they lead to.
    pub narrow: BTreeMap<usize, Narrow>,
    pub log: Vec<String>,
    /// Whether segments are written into `log`, and bytes take the whole way.
    pub keep_log: bool,
    pub tcp_segments: u64,
    wire: BTreeMap<(Instant, u64), (usize, u16, Arriving)>,
    sent: u64,
}

impl Net {
    /// Hosts 10.0.0.1, 10.0.0.2, … with a wire of 1 ms.
    pub fn new(hosts: usize) -> Net {
        let stacks = (0..hosts)
            .map(|i| {
                let mut s = Stack::new(StackConfig {
                    node: NodeId(i as u32),
                    name: format!("h{}", i + 1),
                    seed: Seed(1),
                    forwarding: false,
                });
                let eth0 = s.add_interface("eth0", mac(i), 1500);
                s.add_address(eth0, format!("10.0.0.{}/24", i + 1).parse().unwrap());
                s
            })
            .collect();
        Net {
            now: Instant::ZERO,
            trace: Tracer::new(100_000),
            hosts: stacks,
            delay: Duration::from_millis(1),
            fate: Box::new(|_, _| Some(Duration::ZERO)),
            mishap: Box::new(|_, _| Mishap::default()),
            narrow: BTreeMap::new(),
            log: Vec::new(),
            keep_log: true,
            tcp_segments: 0,
            wire: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Lets host `h` make calls, then puts what it sends on the wire.
    pub fn on<R>(&mut self, h: usize, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        let r = f(&mut self.hosts[h], &mut cx);
        self.drain(h);
        r
    }

    fn drain(&mut self, h: usize) {
        while self.hosts[h].poll_event().is_some() {}
        while let Some((iface, frame)) = self.hosts[h].poll_transmit() {
            self.sent += 1;
            self.note(h, &frame);
            let Some(late) = (self.fate)(self.sent, &frame) else { continue };
            let mishap = (self.mishap)(self.sent, &frame);
            let (now, len, dst) = (self.now, frame.len(), frame.dst_mac());
            let narrow = self.narrow.iter_mut().find(|(to, _)| mac(**to) == dst);
            let wait = narrow.map_or(Some(Duration::ZERO), |(_, n)| n.pass(now, len));
            let Some(wait) = wait else { continue };
            let due = now + self.delay + late + wait;
            let frame = match mishap.flip {
                Some(bit) => Arriving::Changed(flipped(&frame, bit)),
                None if mishap.mark && frame.tos() & 3 != 0 => Arriving::Changed(marked(&frame)),
                None => Arriving::Whole(frame),
            };
            self.put_on_wire((h, iface.0), due, &frame);
            if let Some(later) = mishap.again {
                self.sent += 1;
                self.put_on_wire((h, iface.0), due + later, &frame);
            }
        }
    }

    fn put_on_wire(&mut self, (h, iface): (usize, u16), due: Instant, frame: &Arriving) {
        let loops = iface == 1;
        let dst = frame.dst_mac();
        for to in 0..self.hosts.len() {
            let for_it = dst == mac(to) || dst.is_multicast();
            if (loops && to == h) || (!loops && to != h && for_it) {
                let key = (due, self.sent * 16 + to as u64);
                self.wire.insert(key, (to, iface, frame.clone()));
            }
        }
    }

    fn note(&mut self, h: usize, frame: &Frame) {
        if let Some(t) = TcpHeader::of(frame) {
            let len = frame.payload().len();
            self.tcp_segments += 1;
            if !self.keep_log {
                return;
            }
            self.log.push(format!("{} h{} {} len {len}", self.now.as_millis(), h + 1, t.flags));
        }
    }

    fn next(&self) -> Option<Instant> {
        let wire = self.wire.keys().next().map(|(t, _)| *t);
        let timers = self.hosts.iter().filter_map(|s| s.next_deadline()).min();
        [wire, timers].into_iter().flatten().min()
    }

    /// Runs to the next event; `false` when nothing will ever happen.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.next() else { return false };
        assert!(next >= self.now, "time goes forward");
        self.now = next;
        while let Some((&(t, k), _)) = self.wire.first_key_value() {
            if t > self.now {
                break;
            }
            let (to, iface, frame) = self.wire.remove(&(t, k)).unwrap();
            let copy = frame.arrive(self.keep_log);
            self.on(to, |s, cx| s.handle_frame(cx, netarium_base::IfIndex(iface), copy));
        }
        for h in 0..self.hosts.len() {
            if self.hosts[h].next_deadline().is_some_and(|d| d <= self.now) {
                self.on(h, |s, cx| s.handle_deadlines(cx));
            }
        }
        true
    }

    /// Runs for a span of virtual time.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.next().is_some_and(|t| t <= end) {
            self.step();
        }
        self.now = end;
    }

    /// A listener on host `h`.
    pub fn listen(&mut self, h: usize, port: u16, backlog: u32) -> SocketId {
        self.on(h, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).unwrap();
            s.bind(id, SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
            s.listen(cx, id, backlog).unwrap();
            id
        })
    }

    /// A connecting socket on host `h`.
    pub fn connect(&mut self, h: usize, to: &str) -> SocketId {
        self.on(h, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).unwrap();
            assert_eq!(s.connect(cx, id, to.parse().unwrap()), Err(Errno::EINPROGRESS));
            id
        })
    }

    pub fn accept(&mut self, h: usize, listener: SocketId) -> Result<SocketId, Errno> {
        self.on(h, |s, cx| s.accept(cx, listener).map(|(id, _)| id))
    }

    /// An established pair: (client on h1, server on h2).
    pub fn pair(&mut self) -> (SocketId, SocketId) {
        self.pair_after(Duration::from_millis(20))
    }

    /// The same on a wire that needs longer.
    pub fn pair_after(&mut self, span: Duration) -> (SocketId, SocketId) {
        let l = self.listen(1, 80, 8);
        let c = self.connect(0, "10.0.0.2:80");
        self.run(span);
        let s = self.accept(1, l).expect("a connection waits");
        (c, s)
    }

    pub fn send(&mut self, h: usize, id: SocketId, data: &[u8]) -> Result<usize, Errno> {
        self.on(h, |s, cx| s.send(cx, id, data))
    }

    pub fn recv(&mut self, h: usize, id: SocketId, max: usize) -> Result<Vec<u8>, Errno> {
        let mut buf = vec![0; max];
        let n = self.on(h, |s, cx| s.recv(cx, id, &mut buf))?;
        buf.truncate(n);
        Ok(buf)
    }

    pub fn close(&mut self, h: usize, id: SocketId) {
        self.on(h, |s, cx| s.close(cx, id)).unwrap();
    }

    /// The states of the TCP connections of host `h`, listeners left out.
    pub fn states(&self, h: usize) -> Vec<&'static str> {
        let rows = self.hosts[h].sockets();
        rows.iter()
            .filter(|r| r.state != "LISTEN" && !r.state.is_empty())
            .map(|r| r.state)
            .collect()
    }

    /// Moves `total` bytes from `from` to `to` and checks every one; returns how long it took.
    pub fn transfer(
        &mut self,
        (from, source): (usize, SocketId),
        (to, sink): (usize, SocketId),
        total: usize,
        limit: Duration,
    ) -> Duration {
        let start = self.now;
        let (mut sent, mut got) = (0usize, 0usize);
        while got < total {
            if sent < total {
                let chunk: Vec<u8> = (sent..(sent + 20_000).min(total)).map(pattern).collect();
                match self.send(from, source, &chunk) {
                    Ok(n) => sent += n,
                    Err(Errno::EAGAIN) => {}
                    Err(e) => panic!("send after {sent}: {e:?}"),
                }
            }
            while let Ok(data) = self.recv(to, sink, 50_000) {
                assert!(!data.is_empty(), "end of stream after {got} of {total}");
                for b in data {
                    assert_eq!(b, pattern(got), "byte {got}");
                    got += 1;
                }
            }
            if got < total {
                assert!(self.step(), "deadlock at {got} of {total}");
                assert!(self.now - start < limit, "{got} of {total} after {limit}");
            }
        }
        self.now - start
    }
}

/// A frame on the wire.
#[derive(Clone)]
enum Arriving {
    Whole(Box<Frame>),
    Changed(Vec<u8>),
}

impl Arriving {
    fn dst_mac(&self) -> Mac {
        match self {
            Arriving::Whole(f) => f.dst_mac(),
            Arriving::Changed(b) => Mac(b[..6].try_into().unwrap()),
        }
    }

    /// The bytes take the whole way: what is sent must parse and verify again; unless it must be
    /// quick.
    fn arrive(&self, whole_way: bool) -> Box<Frame> {
        match self {
            Arriving::Whole(frame) if !whole_way => frame.clone(),
            Arriving::Whole(frame) => {
                let mut copy = Frame::from_bytes(&frame.to_vec());
                copy.parse().expect("a sent frame parses");
                copy.verify().expect("a sent frame has right checksums");
                copy.meta.cause = frame.meta.cause;
                copy
            }
            Arriving::Changed(bytes) => Frame::from_bytes(bytes),
        }
    }
}

fn flipped(frame: &Frame, bit: usize) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let bit = 14 * 8 + bit % ((bytes.len() - 14) * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// The frame with IP's ECN field at «congestion experienced» and the header checksum put right.
fn marked(frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    bytes[15] |= 3;
    bytes[24..26].fill(0);
    let words = bytes[14..34].chunks_exact(2);
    let mut sum: u32 = words.map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    bytes
}

pub fn mac(i: usize) -> Mac {
    Mac([2, 0, 0, 0, 0, i as u8 + 1])
}

pub fn pattern(i: usize) -> u8 {
    (i.wrapping_mul(31) ^ (i >> 8)) as u8
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
