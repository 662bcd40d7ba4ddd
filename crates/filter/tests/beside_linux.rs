//! The preset `linux` beside Linux: the same router from a network namespace with iptables and from
//! this crate, the same packets into both; who receives what, translated how?
//!
//! Answers and errors are made from what each of the two let out, so that a port that was chosen
//! differently does no harm; whether a port was kept is compared. The differences that are meant stand
//! in `docs/nat.md` and in [`is_meant`].
#![allow(clippy::vec_box, reason = "frames are boxed wherever they travel")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "asks the kernel of the machine"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::*;
use netarium_base::{DropReason, Duration};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader, protocol};

const SEQUENCES: u64 = 300;
const STEPS: usize = 24;

/// The namespaces and the helper that speaks to them.
struct Linux {
    name: String,
    helper: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Drop for Linux {
    fn drop(&mut self) {
        let _ = self.helper.kill();
        let _ = self.helper.wait();
        remove(&self.name);
    }
}

fn sh(line: &str) -> bool {
    let done = Command::new("sh").args(["-ec", line]).output();
    done.is_ok_and(|out| out.status.success())
}

fn remove(name: &str) {
    for side in ["in", "out", "router"] {
        sh(&format!("ip netns delete {name}-{side}"));
    }
}

const SETUP: &str = r"
for ns in in out router; do ip netns add @-$ns; done
r() { ip netns exec @-router $*; }
for side in in out; do
  ip -n @-router link add r$side type veth peer name $side netns @-$side
  ip -n @-$side link set $side up
done
r sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1
r sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
r sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
ip -n @-router link set rin address 02:00:00:00:00:01 up
ip -n @-router link set rout address 02:00:00:00:00:02 up
r sysctl -qw net.ipv4.conf.rin.rp_filter=0 net.ipv4.conf.rout.rp_filter=0
ip -n @-router address add 192.168.17.1/24 dev rin
ip -n @-router address add 10.0.0.2/24 dev rout
for n in 17 20 21 22 23; do
  ip -n @-router neigh add 192.168.17.$n lladdr 02:00:00:00:00:09 dev rin
done
for n in 7 8 9 10 11; do
  ip -n @-router neigh add 10.0.0.$n lladdr 02:00:00:00:00:09 dev rout
done
r iptables -t nat -A POSTROUTING -o rout -j MASQUERADE
r iptables -t nat -A PREROUTING -i rout -p tcp --dport 65535 -j DNAT --to-destination 192.168.17.17:80
r iptables -A FORWARD -i rout -o rin -m conntrack --ctstate DNAT -j ACCEPT
r iptables -A FORWARD -i rout -o rin -m conntrack --ctstate NEW,INVALID -j DROP
r sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
r sysctl -qw net.netfilter.nf_conntrack_checksum=1
r conntrack -F
";

impl Linux {
    /// `Err` says why it cannot be.
    fn new() -> Result<Linux, &'static str> {
        let name = format!("netarium{}", std::process::id());
        if !sh("ip netns add netarium-probe && ip netns delete netarium-probe") {
            return Err("no network namespace can be made here");
        }
        if !sh(&SETUP.replace('@', &name)) {
            remove(&name);
            return Err("the router of namespaces cannot be set up: iptables, conntrack?");
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/beside_linux.py");
        let helper = Command::new("python3")
            .args([script, &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut helper) = helper else {
            remove(&name);
            return Err("there is no python3");
        };
        let to = helper.stdin.take().unwrap();
        let from = BufReader::new(helper.stdout.take().unwrap());
        Ok(Linux { name, helper, to, from })
    }

    fn say(&mut self, line: &str) -> Vec<(bool, Box<Frame>)> {
        writeln!(self.to, "{line}").unwrap();
        let mut out = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the helper has ended");
            let Some((side, hex)) = line.trim().split_once(' ') else { return out };
            let mut bytes = vec![0; 12];
            bytes.extend([8, 0]);
            bytes.extend(
                (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[i * 2..][..2], 16).unwrap()),
            );
            let mut frame = Frame::from_bytes(&bytes);
            frame.parse().unwrap();
            out.push((side == "in", frame));
        }
    }

    /// What passes to the other side, whole. Linux puts the pieces of a packet together, translates it
    /// and cuts it again.
    fn pass(&mut self, inside: bool, pieces: &[Box<Frame>]) -> Option<Box<Frame>> {
        let side = if inside { "in" } else { "out" };
        let mut passed = Vec::new();
        for frame in pieces {
            let hex: String = frame.to_vec()[14..].iter().map(|b| format!("{b:02x}")).collect();
            let out = self.say(&format!("{side} {hex}"));
            passed.extend(out.into_iter().filter(|(to, _)| *to != inside).map(|(_, f)| f));
        }
        whole(passed)
    }
}

/// The packet that these pieces are of; `None` for none, and for pieces that do not fit together.
fn whole(mut pieces: Vec<Box<Frame>>) -> Option<Box<Frame>> {
    if pieces.len() <= 1 {
        return pieces.pop();
    }
    let start = |f: &Frame| f.part().ok().flatten().map(|p| p.start);
    pieces.sort_by_key(|f| start(f));
    let mut data = Payload::new();
    for piece in &pieces {
        assert_eq!(start(piece), Some(data.len()), "a piece is missing");
        for slice in piece.ip_data().slices() {
            data.push(slice.clone());
        }
    }
    Some(pieces[0].joined(data).unwrap())
}

/// A step of a sequence; both routers get it in their own terms.
#[derive(Clone, Copy, Debug)]
enum Step {
    Tcp {
        inside: bool,
        host: u8,
        port: u8,
        peer: u8,
        flags: u16,
    },
    Udp {
        inside: bool,
        host: u8,
        port: u8,
        peer: u8,
    },
    Ping {
        inside: bool,
        host: u8,
        ident: u8,
        kind: u8,
    },
    Answer {
        flags: u16,
    },
    Error {
        from: u8,
        quote: usize,
        kind: u8,
        code: u8,
    },
    /// A datagram of 2,000 bytes and more in pieces, the last one first when `shuffled`.
    Pieces {
        inside: bool,
        host: u8,
        port: u8,
        size: u16,
        shuffled: bool,
    },
    /// The server's outside address and port, from inside.
    Hairpin {
        host: u8,
        port: u8,
        flags: u16,
    },
    /// A SYN of a flood: another port each.
    Flood {
        inside: bool,
        number: u16,
    },
    /// All flows have timed out.
    Expire,
}

/// A generator of numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn flags(&mut self) -> u16 {
        const USUAL: [u16; 8] = [0x02, 0x02, 0x10, 0x18, 0x11, 0x04, 0x12, 0x14];
        match self.below(9) {
            // NS, CWR and ECE, too.
            8 => self.below(0x200) as u16,
            n => USUAL[n as usize],
        }
    }

    fn step(&mut self) -> Step {
        let mut small = |n| self.below(n) as u8;
        let (inside, host, port, peer) = (small(3) > 0, small(3), small(3), small(2));
        match self.below(10) {
            0..3 => Step::Tcp { inside, host, port, peer, flags: self.flags() },
            3 => Step::Udp { inside, host, port, peer },
            4 => {
                Step::Ping { inside, host, ident: port, kind: [8, 8, 8, 0][self.below(4) as usize] }
            }
            5..9 => Step::Answer { flags: self.flags() },
            _ => self.rare(inside, host, port, peer),
        }
    }
}

impl Dice {
    /// What a sequence has a few of.
    fn rare(&mut self, inside: bool, host: u8, port: u8, peer: u8) -> Step {
        match self.below(8) {
            0..3 => {
                let quote = [8, 20, 40][self.below(3) as usize];
                let (kind, code) = match self.below(6) {
                    0 => (kind::TIME_EXCEEDED, self.below(2) as u8),
                    1 => (kind::PARAMETER_PROBLEM, 0),
                    2 => (kind::UNREACHABLE, 13),
                    _ => (kind::UNREACHABLE, self.below(4) as u8),
                };
                Step::Error { from: peer, quote, kind, code }
            }
            3 | 4 => {
                let (size, shuffled) = (2_000 + self.below(3_000) as u16, self.below(2) == 0);
                Step::Pieces { inside, host, port, size, shuffled }
            }
            5 => Step::Hairpin { host, port, flags: self.flags() },
            6 => Step::Flood { inside, number: self.below(200) as u16 },
            _ => Step::Expire,
        }
    }
}

fn ends_of(inside: bool, host: u8, port: u8, peer: u8) -> (String, String) {
    let port = 40_000 + u16::from(port);
    if inside {
        return (format!("192.168.17.{}:{port}", 20 + host), format!("10.0.0.{}:80", 7 + peer));
    }
    let to = if peer == 0 { "10.0.0.2:65535" } else { "192.168.17.17:80" };
    (format!("10.0.0.{}:{port}", 7 + host), to.to_owned())
}

/// The frame of a step, and whether it arrives inside. `last` is what left last, and to which side.
fn frame_of(step: Step, last: Option<&(bool, Box<Frame>)>) -> Option<(bool, Box<Frame>)> {
    Some(match step {
        Step::Tcp { inside, host, port, peer, flags } => {
            let (src, dst) = ends_of(inside, host, port, peer);
            (inside, tcp(&src, &dst, TcpFlags::from_bits_truncate(flags)))
        }
        Step::Udp { inside, host, port, peer } => {
            let (src, dst) = ends_of(inside, host, port, peer);
            (inside, udp(&src, &dst))
        }
        Step::Ping { inside, host, ident, kind } => {
            let from =
                if inside { format!("192.168.17.2{host}") } else { format!("10.0.0.{}", 7 + host) };
            (inside, ping(&from, if inside { FRIEND } else { ROUTER }, kind, ident.into()))
        }
        Step::Answer { flags } => {
            let (to_inside, f) = last?;
            let (src, dst) = (f.src_ip()?.to_string(), f.dst_ip()?.to_string());
            if let Some(icmp) = Icmp::of(f) {
                if icmp.is_error() {
                    return None;
                }
                return Some((*to_inside, ping(&dst, &src, kind::ECHO_REPLY, icmp.ident())));
            }
            let (sport, dport) = f.ports()?;
            let (from, to) = (format!("{dst}:{dport}"), format!("{src}:{sport}"));
            let answer = match f.protocol() {
                Some(protocol::UDP) => udp(&from, &to),
                _ => tcp(&from, &to, TcpFlags::from_bits_truncate(flags)),
            };
            (*to_inside, answer)
        }
        Step::Pieces { inside, host, port, size, .. } => {
            let (src, dst) = ends_of(inside, host, port, 0);
            let (src, dst) = (at(&src), at(if inside { "10.0.0.7:80" } else { &dst }));
            let ip = IpHeader::new(src.ip(), dst.ip());
            let data = Payload::copy_from(&vec![b'f'; size.into()]);
            let mut ip = ip;
            (ip.id, ip.dont_fragment) = (size, false);
            (inside, netarium_wire::udp::frame(&ip, src.port(), dst.port(), data))
        }
        Step::Hairpin { host, port, flags } => {
            let (src, _) = ends_of(true, host, port, 0);
            (true, tcp(&src, "10.0.0.2:65535", TcpFlags::from_bits_truncate(flags)))
        }
        Step::Flood { inside, number } => {
            let (src, dst) = match inside {
                true => (format!("192.168.17.20:{}", 1_000 + number), "10.0.0.7:80"),
                false => (format!("10.0.0.7:{}", 1_000 + number), "10.0.0.2:65535"),
            };
            (inside, tcp(&src, dst, SYN))
        }
        Step::Expire => return None,
        Step::Error { from, quote, kind, code } => {
            let (to_inside, f) = last?;
            if Icmp::of(f).is_some_and(|i| i.is_error()) {
                return None;
            }
            let from = match to_inside {
                true => format!("192.168.17.{}", 20 + from),
                false => format!("10.0.0.{}", 7 + from),
            };
            let icmp = Icmp { kind, code, rest: 0 };
            let bytes = f.to_vec();
            let quoted = &bytes[14..(34 + quote).min(bytes.len())];
            let header = IpHeader::new(ip(&from), f.src_ip()?);
            (*to_inside, icmp.frame(&header, Payload::copy_from(quoted)))
        }
    })
}

/// What is put on Linux' wire. Here the filter gets the whole packet, as the stack gives it.
fn pieces_of(step: Step, frame: Box<Frame>) -> Vec<Box<Frame>> {
    let Step::Pieces { shuffled, .. } = step else { return vec![frame] };
    let mut frame = frame;
    frame.parse().unwrap();
    let mut pieces = frame.fragment(1_500);
    if shuffled {
        pieces.reverse();
    }
    pieces
}

/// What is compared of a packet: its ends, and what it is. A port that was changed is `?`.
fn seen(came: &Frame, left: &Frame) -> String {
    let what = match (TcpHeader::of(left), Icmp::of(left)) {
        (Some(h), _) => format!("tcp {:?}", h.flags),
        (_, Some(i)) => format!("icmp {}/{}", i.kind, i.code),
        _ => format!("udp of {} bytes", left.payload().len()),
    };
    let own = ports(came);
    let port = |now: u16, before: u16| if now == before { now.to_string() } else { "?".to_owned() };
    let now = ports(left);
    let mut inner = String::new();
    if Icmp::of(left).is_some_and(|i| i.is_error()) {
        let (p, q) = (left.payload().prefix(28), came.payload().prefix(28));
        inner = format!(
            " about {:?} > {:?}, the same ports: {}",
            &p[12..16],
            &p[16..20],
            p[20..24] == q[20..24]
        );
    }
    format!(
        "{what} {}:{} > {}:{}{inner}",
        left.src_ip().unwrap(),
        port(now.0, own.0),
        left.dst_ip().unwrap(),
        port(now.1, own.1)
    )
}

fn ports(f: &Frame) -> (u16, u16) {
    match Icmp::of(f) {
        Some(i) if !i.is_error() => (i.ident(), i.ident()),
        _ => f.ports().unwrap_or_default(),
    }
}

/// Nothing listens on the router: its host answers segments with RST, which ends the flow at once.
fn refuse(r: &mut Router, f: &Frame) {
    let Some(header) = TcpHeader::of(f).filter(|h| !h.flags.contains(RST)) else { return };
    let (from, to) = (f.dst_ip().unwrap(), f.src_ip().unwrap());
    let (from, to) = (format!("{from}:{}", header.dst_port), format!("{to}:{}", header.src_port));
    r.send(tcp(&from, &to, RST | ACK));
}

/// Differences that are meant: what belongs to no flow does not leave with an inside address here.
fn is_meant(
    ours: &Result<Box<Frame>, Option<DropReason>>,
    came: &Frame,
    theirs: Option<&Frame>,
) -> bool {
    matches!(ours, Err(Some(DropReason::ConntrackInvalid)))
        && theirs.is_some_and(|f| f.src_ip() == came.src_ip())
}

#[test]
fn packets_fare_as_in_linux() {
    let mut linux = match Linux::new() {
        Ok(linux) => linux,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let (mut compared, mut passed, mut meant) = (0, 0, 0);
    for seed in 0..SEQUENCES {
        let mut dice = Dice(seed);
        let mut r = Router::nat();
        linux.say("flush");
        let mut last: [Option<(bool, Box<Frame>)>; 2] = [None, None];
        let mut story = Vec::new();
        for _ in 0..STEPS {
            let step = dice.step();
            if matches!(step, Step::Expire) {
                // Five days and more here; there the same by hand.
                r.after(Duration::from_secs(6 * 24 * 3600));
                linux.say("flush");
                story.push("all flows expire".to_owned());
                continue;
            }
            let both = (frame_of(step, last[0].as_ref()), frame_of(step, last[1].as_ref()));
            let (Some((inside, ours)), Some((_, theirs))) = both else { continue };
            let ours = Frame::from_bytes(&ours.to_vec());
            let mut came = ours.clone();
            came.parse().unwrap();
            story.push(format!("{step:?}: {}", ends(&came)));
            let input = if inside { INSIDE } else { OUTSIDE };
            let we = match r.arrive_frame(input, came.clone()) {
                Out::Left(output, f) if output != input => Ok(f),
                Out::Dropped(reason) => Err(Some(reason)),
                Out::Local(f) => {
                    refuse(&mut r, &f);
                    Err(None)
                }
                _ => Err(None),
            };
            let mut their_came = Frame::from_bytes(&theirs.to_vec());
            their_came.parse().unwrap();
            let they = linux.pass(inside, &pieces_of(step, theirs));
            if is_meant(&we, &came, they.as_deref()) {
                meant += 1;
                continue;
            }
            let we_saw = we.as_ref().map(|f| seen(&came, f)).map_err(|_| ());
            let they_saw = they.as_ref().map(|f| seen(&their_came, f)).ok_or(());
            assert_eq!(we_saw, they_saw, "seed {seed} ({we:?})\n{}", story.join("\n"));
            compared += 1;
            if let (Ok(f), Some(t)) = (we, they) {
                passed += 1;
                last = [Some((!inside, f)), Some((!inside, t))];
            }
        }
    }
    assert!(compared > 3_000 && passed > 1_000, "{compared} {passed}");
    eprintln!("{compared} packets fared alike, {passed} of them passed; {meant} meant differences");
}
