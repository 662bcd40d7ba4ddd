//! What many connections cost: memory of idle ones, processor time of opening and closing, and
//! whether anything slows down with their number.
//!
//! Two hosts hand each other their frames, without wires between them: what is measured is the
//! stack. Memory is the growth of the resident set (Linux; elsewhere it is not shown).

use std::net::SocketAddr;

use cpu_time::ProcessTime;
use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::{SocketKind, Stack, StackConfig};
use netarium_wire::Mac;

const PID: Pid = Pid(1);
const ETH0: IfIndex = IfIndex(2);

/// Two hosts that hand each other their frames at once.
struct Pair {
    hosts: [Stack; 2],
    trace: Tracer,
    now: Instant,
    listeners: Vec<SocketId>,
}

impl Pair {
    fn new() -> Pair {
        let host = |i: u32| {
            let config = StackConfig {
                node: NodeId(i),
                name: format!("h{i}"),
                seed: Seed(1),
                forwarding: false,
            };
            let mut s = Stack::new(config);
            let eth0 = s.add_interface("eth0", Mac([2, 0, 0, 0, 0, i as u8]), 1500);
            let address = format!("10.0.0.{}/24", i + 1);
            s.add_address(eth0, address.parse().expect("an address"));
            s
        };
        let hosts = [host(0), host(1)];
        let (trace, now) = (Tracer::new(0), Instant::ZERO);
        Pair { hosts, trace, now, listeners: Vec::new() }
    }

    fn on<R>(&mut self, h: usize, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        f(&mut self.hosts[h], &mut cx)
    }

    /// Hands over frames until neither host has any.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for h in 0..2 {
                while self.hosts[h].poll_event().is_some() {}
                while let Some((_, frame)) = self.hosts[h].poll_transmit() {
                    moved = true;
                    self.on(1 - h, |s, cx| s.handle_frame(cx, ETH0, frame));
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now += span;
        for h in 0..2 {
            self.on(h, |s, cx| s.handle_deadlines(cx));
        }
        self.settle();
    }

    fn listen(&mut self, port: u16) {
        let id = self.on(1, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).expect("a socket");
            s.bind(id, SocketAddr::from(([0, 0, 0, 0], port))).expect("a free port");
            s.listen(cx, id, 128).expect("to listen");
            id
        });
        self.listeners.push(id);
    }

    /// Opens a connection to the `n`-th listener and accepts it.
    fn open(&mut self, n: usize) -> (SocketId, SocketId) {
        let to = SocketAddr::from(([10, 0, 0, 2], 1000 + n as u16));
        let client = self.on(0, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).expect("a socket");
            let _in_progress = s.connect(cx, id, to);
            id
        });
        self.settle();
        let listener = self.listeners[n];
        let server = self.on(1, |s, cx| s.accept(cx, listener)).expect("a connection").0;
        (client, server)
    }

    fn send(&mut self, (client, server): (SocketId, SocketId)) {
        self.on(0, |s, cx| s.send(cx, client, b"x")).expect("room");
        self.settle();
        let mut buf = [0; 8];
        let n = self.on(1, |s, cx| s.recv(cx, server, &mut buf)).expect("a byte");
        assert_eq!(n, 1);
        self.settle();
    }
}

/// Idle connections: bytes each; what a byte sent over one of them costs, by their number.
pub(crate) fn idle(most: usize) {
    let mut pair = Pair::new();
    for i in 0..most.div_ceil(20_000) {
        pair.listen(1000 + i as u16);
    }
    let mut connections = Vec::with_capacity(most);
    let before = resident();
    println!(
        "{:>12} {:>14} {:>14} {:>14}",
        "connections", "bytes each end", "µs per byte", "µs to open"
    );
    let mut steps = vec![1000, 10_000, 100_000];
    steps.retain(|n| *n < most);
    steps.push(most);
    for step in steps {
        let start = ProcessTime::now();
        let opened = step - connections.len();
        while connections.len() < step {
            let n = connections.len() / 20_000;
            connections.push(pair.open(n));
        }
        let opening = start.elapsed().as_secs_f64() * 1e6 / opened as f64;
        pair.pass(Duration::from_secs(1));
        let each = resident().saturating_sub(before) / (2 * step);
        let start = ProcessTime::now();
        for i in 0..10_000 {
            let at = (i * 7919) % connections.len();
            pair.send(connections[at]);
            pair.pass(Duration::from_micros(10));
        }
        let sending = start.elapsed().as_secs_f64() * 1e6 / 10_000.0;
        println!("{step:>12} {each:>14} {sending:>14.2} {opening:>14.2}");
    }
}

/// Connections opened and closed, one after the other, TIME-WAIT of the client included.
pub(crate) fn cycles(count: usize) {
    let mut pair = Pair::new();
    pair.listen(1000);
    let start = ProcessTime::now();
    for _ in 0..count {
        let (client, server) = pair.open(0);
        for (h, id) in [(0, client), (1, server)] {
            pair.on(h, |s, cx| s.close(cx, id)).expect("an open socket");
            pair.settle();
        }
        // So that TIME-WAIT ends before the ports run out.
        pair.pass(Duration::from_millis(5));
    }
    let spent = start.elapsed().as_secs_f64();
    let each = spent * 1e6 / count as f64;
    println!(
        "{count} connections opened and closed in {spent:.1} processor seconds, {each:.1} µs each"
    );
}

/// Bytes of memory in use; 0 where that cannot be asked.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|p| p.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
