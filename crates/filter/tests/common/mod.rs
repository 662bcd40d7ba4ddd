//! A router around a filter: what the stack does with the hooks, in thirty lines.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use core::net::{IpAddr, SocketAddr};

use netarium_base::{Cause, Ctx, DropReason, Duration, IfIndex, Instant, NodeId, Seed, Tracer};
use netarium_filter::{Addresses, Filter, LocalPorts, PortForward, Reject, SessionView, Verdict};
use netarium_wire::icmp::{Icmp, kind};
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOptions, udp};

pub const INSIDE: IfIndex = IfIndex(2);
pub const OUTSIDE: IfIndex = IfIndex(3);
pub const WEB: &str = "192.168.17.17";
pub const PC: &str = "192.168.17.20";
pub const ROUTER_IN: &str = "192.168.17.1";
pub const ROUTER: &str = "10.0.0.2";
pub const FRIEND: &str = "10.0.0.7";

pub const SYN: TcpFlags = TcpFlags::SYN;
pub const ACK: TcpFlags = TcpFlags::ACK;
pub const RST: TcpFlags = TcpFlags::RST;
pub const SYN_ACK: TcpFlags = TcpFlags::SYN.union(TcpFlags::ACK);
pub const FIN_ACK: TcpFlags = TcpFlags::FIN.union(TcpFlags::ACK);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// `tcp("10.0.0.7:4000", "10.0.0.2:80", SYN)`.
pub fn tcp(src: &str, dst: &str, flags: TcpFlags) -> Box<Frame> {
    tcp_at(at(src), at(dst), flags)
}

pub fn tcp_at(src: SocketAddr, dst: SocketAddr, flags: TcpFlags) -> Box<Frame> {
    let header = TcpHeader {
        src_port: src.port(),
        dst_port: dst.port(),
        flags,
        window: 1000,
        ..TcpHeader::default()
    };
    let ip = IpHeader::new(src.ip(), dst.ip());
    header.frame(&ip, &TcpOptions::new(), Payload::copy_from(b"payload"))
}

pub fn udp(src: &str, dst: &str) -> Box<Frame> {
    let (src, dst) = (at(src), at(dst));
    let ip = IpHeader::new(src.ip(), dst.ip());
    udp::frame(&ip, src.port(), dst.port(), Payload::copy_from(b"odd"))
}

pub fn ping(src: &str, dst: &str, kind: u8, ident: u16) -> Box<Frame> {
    let header = IpHeader::new(ip(src), ip(dst));
    Icmp::echo(kind, ident, 1).frame(&header, Payload::copy_from(b"abc"))
}

/// An ICMP error from `src` to the sender of `about`, quoting `quote` bytes behind its IP header.
pub fn error_about(src: &str, about: &Frame, quote: usize) -> Box<Frame> {
    let icmp = Icmp { kind: kind::UNREACHABLE, code: 1, rest: 0 };
    let bytes = about.to_vec();
    let quoted = &bytes[14..(14 + 20 + quote).min(bytes.len())];
    let header = IpHeader::new(ip(src), about.src_ip().unwrap());
    icmp.frame(&header, Payload::copy_from(quoted))
}

/// What became of a packet.
#[derive(Debug)]
pub enum Out {
    Left(IfIndex, Box<Frame>),
    Local(Box<Frame>),
    Dropped(DropReason),
    Rejected(Reject),
}

impl Out {
    #[track_caller]
    pub fn left(self) -> Box<Frame> {
        match self {
            Out::Left(_, f) => f,
            other => panic!("expected the packet to leave, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn local(self) -> Box<Frame> {
        match self {
            Out::Local(f) => f,
            other => panic!("expected the packet to come in, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn dropped(self) -> DropReason {
        match self {
            Out::Dropped(reason) => reason,
            other => panic!("expected a drop, got {other:?}"),
        }
    }
}

/// `192.168.17.20:1000 > 10.0.0.7:80`.
pub fn ends(f: &Frame) -> String {
    let (s, d) = f.ports().unwrap_or_else(|| {
        let ident = Icmp::of(f).map_or(0, |i| i.ident());
        (ident, ident)
    });
    format!("{}:{s} > {}:{d}", f.src_ip().unwrap(), f.dst_ip().unwrap())
}

#[derive(Default)]
pub struct Ports(pub Vec<(u8, u16)>);

impl LocalPorts for Ports {
    fn in_use(&self, protocol: u8, port: u16) -> bool {
        self.0.contains(&(protocol, port))
    }
}

/// The addresses of [`Router`].
pub struct Own;

impl Addresses for Own {
    fn address(&self, iface: IfIndex) -> Option<IpAddr> {
        Some(ip(own_address(iface)))
    }

    fn has(&self, iface: IfIndex, address: IpAddr) -> bool {
        address == ip(own_address(iface))
    }
}

fn own_address(iface: IfIndex) -> &'static str {
    match iface {
        INSIDE => ROUTER_IN,
        OUTSIDE => ROUTER,
        _ => "127.0.0.1",
    }
}

pub struct Router {
    pub filter: Filter,
    pub trace: Tracer,
    pub now: Instant,
    pub ports: Ports,
}

impl Router {
    pub fn new() -> Router {
        Router {
            filter: Filter::new(NodeId(1), Seed(1).luck("router", "filter")),
            trace: Tracer::new(10_000),
            now: Instant::ZERO,
            ports: Ports::default(),
        }
    }

    /// The course's router: masquerade, and tcp/65535 leads to the web server.
    pub fn nat() -> Router {
        let mut r = Router::new();
        let forward = PortForward::tcp(65_535, at("192.168.17.17:80"));
        r.filter.nat_router(INSIDE, OUTSIDE, vec![forward]).unwrap();
        r
    }

    pub fn after(&mut self, d: Duration) -> &mut Router {
        self.now += d;
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        self.filter.handle_deadlines(&mut cx);
        self
    }

    /// A frame from a wire: nothing is known about it but its bytes.
    pub fn arrive(&mut self, input: IfIndex, frame: &Frame) -> Out {
        self.arrive_frame(input, Frame::from_bytes(&frame.to_vec()))
    }

    pub fn arrive_frame(&mut self, input: IfIndex, mut frame: Box<Frame>) -> Out {
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        match self.filter.prerouting(&mut cx, input, &Own, &mut frame) {
            Verdict::Accept => {}
            end => return ended(end),
        }
        let Some(output) = route(&frame) else {
            return match self.filter.input(&mut cx, input, &mut frame) {
                Verdict::Accept => Out::Local(checked(frame)),
                end => ended(end),
            };
        };
        match self.filter.forward(&mut cx, input, output, &mut frame) {
            Verdict::Accept => self.leave(output, frame),
            end => ended(end),
        }
    }

    /// A frame that the router itself makes.
    pub fn send(&mut self, mut frame: Box<Frame>) -> Out {
        let output = route(&frame).unwrap_or(IfIndex(1));
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        match self.filter.output(&mut cx, output, &Own, &mut frame) {
            Verdict::Accept => self.leave(route(&frame).unwrap_or(IfIndex(1)), frame),
            end => ended(end),
        }
    }

    fn leave(&mut self, output: IfIndex, mut frame: Box<Frame>) -> Out {
        let source = ip(own_address(output));
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        match self.filter.postrouting(&mut cx, output, source, &self.ports, &mut frame) {
            Verdict::Accept => Out::Left(output, checked(frame)),
            end => ended(end),
        }
    }

    pub fn sessions(&self) -> Vec<SessionView> {
        self.filter.sessions(self.now).collect()
    }

    /// The names of the events so far, with the word that tells most, oldest first.
    pub fn events(&self) -> Vec<String> {
        let mut all = Vec::new();
        for r in self.trace.records() {
            let mut words = vec![r.event.name().to_owned()];
            r.event.fields(&mut |_, v| {
                if let netarium_base::trace::Value::Str(s) = v {
                    words.push(s);
                }
            });
            all.push(words.join(" "));
        }
        all
    }
}

/// `None`: for the router itself.
fn route(frame: &Frame) -> Option<IfIndex> {
    let dst = frame.dst_ip()?.to_string();
    match dst.as_str() {
        ROUTER | ROUTER_IN | "127.0.0.1" => None,
        d if d.starts_with("192.168.17.") => Some(INSIDE),
        _ => Some(OUTSIDE),
    }
}

fn ended(verdict: Verdict) -> Out {
    match verdict {
        Verdict::Drop(reason) => Out::Dropped(reason),
        Verdict::Reject(how) => Out::Rejected(how),
        Verdict::Accept => unreachable!("accept is not an end"),
    }
}

/// Checks every checksum anew, whatever the metadata says; also inside of an ICMP error.
fn checked(frame: Box<Frame>) -> Box<Frame> {
    let mut again = Frame::from_bytes(&frame.to_vec());
    if frame.meta.verified {
        assert_eq!(again.verify(), Ok(()), "{}", ends(&frame));
        assert_eq!(again.meta.flow, again.flow_key());
    }
    frame
}
