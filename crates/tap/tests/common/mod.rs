//! A host of ours at one end of a wire, the kernel at the other.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the helpers")]

use std::net::SocketAddr;
use std::process::Command;
use std::thread::JoinHandle;
use std::time;

use netarium_base::{Duration, IfIndex, LinkEnd, NodeId, Pid, Seed, SocketId};
use netarium_stack::{Errno, Readiness, SocketKind, SocketOption, Stack, StackConfig, TcpConfig};
use netarium_tap::rootless::{self, Ground};
use netarium_tap::{Driver, End, Inspector, Netns, TapSpec};
use netarium_wire::checksum::Sum;
use netarium_wire::{Frame, Mac};
use netarium_world::Wire;

pub const OURS: &str = "10.9.0.1";
pub const KERNEL: &str = "10.9.0.2";
pub const OUR_MAC: Mac = Mac([2, 0, 0, 0, 9, 1]);
pub const KERNEL_MAC: Mac = Mac([2, 0, 0, 0, 9, 2]);
const PID: Pid = Pid(7);
/// A test that takes this long hangs: everything here ends by events.
const HANGS: time::Duration = time::Duration::from_secs(300);

/// Runs `test` in a namespace of its own, if this machine lets us; `name` is the test's own.
pub fn on_ground(name: &str, test: impl FnOnce(Netns)) {
    match Ground::find() {
        Ok(Ground::Free(netns)) => test(netns),
        Ok(Ground::Again) => {
            let me = std::env::current_exe().expect("this test's program");
            let mut again = rootless::command(me);
            again.args(["--exact", name, "--nocapture", "--include-ignored"]);
            let status = again.status().expect("the probe had started");
            assert!(status.success(), "{name}, as root of a user namespace");
        }
        Err(why) if why.is_refusal() => eprintln!("skipped: {why}"),
        Err(why) => panic!("{why}"),
    }
}

/// How the two ends are joined and set up.
pub struct Setup {
    pub wire: Option<Wire>,
    pub offload: bool,
    pub config: TcpConfig,
    pub sysctls: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    fn default() -> Self {
        // Nothing waits a minute here, and the kernel's metrics of one connection are not the
        // next one's.
        let sysctls = vec![("net.ipv4.tcp_no_metrics_save", "1")];
        Setup { wire: None, offload: false, config: TcpConfig::default(), sysctls }
    }
}

impl Setup {
    pub fn over(wire: Wire) -> Setup {
        Setup { wire: Some(wire), ..Setup::default() }
    }

    pub fn sysctl(mut self, name: &'static str, value: &'static str) -> Setup {
        self.sysctls.push((name, value));
        self
    }

    pub fn config(mut self, change: impl FnOnce(&mut TcpConfig)) -> Setup {
        change(&mut self.config);
        self
    }

    pub fn build(self, netns: Netns) -> Pair {
        for (name, value) in &self.sysctls {
            netns.sysctl(name, value).unwrap_or_else(|e| panic!("{e}"));
        }
        let spec = TapSpec {
            mac: Some(KERNEL_MAC),
            address: format!("{KERNEL}/24").parse().ok(),
            offload: self.offload,
            ..TapSpec::default()
        };
        let tap = netns.tap(&spec).unwrap_or_else(|e| panic!("{e}"));
        let mut stack = Stack::new(StackConfig {
            node: NodeId(1),
            name: "ours".to_owned(),
            seed: Seed(1),
            forwarding: false,
        });
        stack.set_tcp_config(self.config);
        let eth0 = stack.add_interface("eth0", OUR_MAC, 1500);
        stack.add_address(eth0, format!("{OURS}/24").parse().expect("an address"));
        Pair { driver: driver(stack, eth0, tap, self.wire), netns, started: time::Instant::now() }
    }
}

fn driver(stack: Stack, eth0: IfIndex, tap: netarium_tap::Tap, wire: Option<Wire>) -> Driver {
    Driver::new(End::Stack(Box::new(stack), eth0), End::Tap(Box::new(tap)), wire)
}

/// Our host and the kernel.
pub struct Pair {
    pub driver: Driver,
    pub netns: Netns,
    started: time::Instant,
}

impl Pair {
    pub fn ours(netns: Netns) -> Pair {
        Setup::default().build(netns)
    }

    pub fn inspect(&mut self, inspector: Inspector) {
        self.driver.inspect(inspector);
    }

    /// Lets things happen until `done` gives something.
    pub fn until<R>(&mut self, mut done: impl FnMut(&mut Pair) -> Option<R>) -> R {
        loop {
            if let Some(result) = done(self) {
                return result;
            }
            self.driver.turn(Duration::from_millis(10)).expect("the TAP works");
            while self.driver.next_ready().is_some() {}
            assert!(self.started.elapsed() < HANGS, "the test hangs");
        }
    }

    /// Lets things happen until a thread of the kernel's side has ended; its result.
    pub fn join<R>(&mut self, thread: JoinHandle<R>) -> R {
        self.until(|_| thread.is_finished().then_some(()));
        thread.join().expect("the kernel's side did not panic")
    }

    /// Runs code of the kernel's side in the namespace, beside ours.
    pub fn kernel<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        self.netns.run(move || std::thread::spawn(f))
    }

    pub fn listen(&mut self, port: u16) -> SocketId {
        self.driver.call(LinkEnd::A, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).expect("a socket");
            s.bind(id, SocketAddr::from(([0, 0, 0, 0], port))).expect("bound");
            s.listen(cx, id, 128).expect("listens");
            id
        })
    }

    /// Begins to connect to the kernel; `set` gets the socket before.
    pub fn begin_connect(&mut self, port: u16, set: impl FnOnce(&mut Stack, SocketId)) -> SocketId {
        let to: SocketAddr = format!("{KERNEL}:{port}").parse().expect("an address");
        self.driver.call(LinkEnd::A, |s, cx| {
            let id = s.socket(SocketKind::Tcp, PID).expect("a socket");
            set(s, id);
            assert_eq!(s.connect(cx, id, to), Err(Errno::EINPROGRESS));
            id
        })
    }

    /// Connects to the kernel.
    pub fn connect(&mut self, port: u16) -> Result<SocketId, Errno> {
        let id = self.begin_connect(port, |_, _| ());
        self.connected(id)
    }

    /// Waits until a connection stands or failed.
    pub fn connected(&mut self, id: SocketId) -> Result<SocketId, Errno> {
        self.until(|p| {
            let ready = p.driver.stack(LinkEnd::A).readiness(id);
            ready.intersects(Readiness::WRITABLE | Readiness::ERROR).then_some(())
        });
        match self.driver.call(LinkEnd::A, |s, _| s.take_error(id)) {
            None => Ok(id),
            Some(e) => Err(e),
        }
    }

    pub fn accept(&mut self, listener: SocketId) -> SocketId {
        self.until(|p| p.driver.call(LinkEnd::A, |s, cx| s.accept(cx, listener).ok()).map(|a| a.0))
    }

    pub fn set(&mut self, id: SocketId, option: SocketOption) {
        self.driver.call(LinkEnd::A, |s, cx| s.set_option(cx, id, option)).expect("a valid option");
    }

    /// Sends `bytes`, or says why not.
    pub fn try_send(&mut self, id: SocketId, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let sent = self.until(|p| {
                let sent = p.driver.call(LinkEnd::A, |s, cx| s.send(cx, id, &bytes[done..]));
                (sent != Err(Errno::EAGAIN)).then_some(sent)
            });
            done += sent?;
        }
        Ok(())
    }

    pub fn send(&mut self, id: SocketId, bytes: &[u8]) {
        self.try_send(id, bytes).expect("it can be sent");
    }

    /// What comes next, at least one byte; empty at the end.
    pub fn recv(&mut self, id: SocketId) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; 65_536];
        let n = self.until(|p| {
            let got = p.driver.call(LinkEnd::A, |s, cx| s.recv(cx, id, &mut buffer));
            (got != Err(Errno::EAGAIN)).then_some(got)
        })?;
        buffer.truncate(n);
        Ok(buffer)
    }

    /// Everything up to the end.
    pub fn recv_all(&mut self, id: SocketId) -> Result<Vec<u8>, Errno> {
        let mut all = Vec::new();
        loop {
            match self.recv(id)? {
                part if part.is_empty() => return Ok(all),
                part => all.extend(part),
            }
        }
    }

    pub fn shutdown(&mut self, id: SocketId) {
        self.driver
            .call(LinkEnd::A, |s, cx| s.shutdown(cx, id, netarium_stack::Shutdown::Write))
            .expect("can be shut down");
    }

    pub fn close(&mut self, id: SocketId) {
        self.driver.call(LinkEnd::A, |s, cx| s.close(cx, id)).expect("can be closed");
    }

    /// Waits until our connections (listeners left out) are in these states, sorted.
    pub fn until_states(&mut self, states: &[&str]) {
        self.until(|p| {
            let rows = p.driver.stack(LinkEnd::A).sockets();
            let mut now: Vec<_> = rows.iter().map(|r| r.state).filter(|s| *s != "LISTEN").collect();
            now.sort_unstable();
            (now == states).then_some(())
        });
    }
}

/// The bytes that tests send: no stretch of them looks like another.
#[derive(Clone, Copy)]
pub struct Pattern;

/// A prime, so that the pattern never comes to lie on a power of two again.
const PERIOD: usize = 65_521;

impl Pattern {
    /// The period, twice.
    pub fn table() -> Vec<u8> {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        };
        let once: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
        [once.as_slice(), &once].concat()
    }

    /// Up to a period from this place of the stream on.
    pub fn at(table: &[u8], place: u64, len: usize) -> &[u8] {
        let from = (place % PERIOD as u64) as usize;
        &table[from..from + len.min(PERIOD)]
    }

    /// The first `len` bytes.
    pub fn first(len: usize) -> Vec<u8> {
        let table = Pattern::table();
        (0..len).map(|i| table[i % PERIOD]).collect()
    }

    /// # Panics
    /// When `bytes` are not what stands at this place.
    pub fn check(table: &[u8], mut place: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let right = Pattern::at(table, place, bytes.len());
            let (now, later) = bytes.split_at(right.len());
            assert!(now == right, "wrong bytes behind {place}");
            place += now.len() as u64;
            bytes = later;
        }
    }
}

/// A program that may not be there; `None` says so.
pub fn tool(name: &str) -> Option<Command> {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()));
    if !found {
        eprintln!("skipped: there is no {name} here");
    }
    found.then(|| Command::new(name))
}

/// The frame with another TOS byte and a right header checksum.
pub fn with_tos(frame: &Frame, low: u8) -> Box<Frame> {
    let mut bytes = frame.to_vec();
    bytes[15] = bytes[15] & !3 | low;
    bytes[24..26].fill(0);
    let header = 14 + usize::from(bytes[14] & 15) * 4;
    let sum = Sum::of(&bytes[14..header]).checksum();
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    Frame::from_bytes(&bytes)
}
