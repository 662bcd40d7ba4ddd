//! The host under test and its wire: one stack, one interface, a remote that answers ARP.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::{Readiness, Route, Stack, StackConfig};
use netarium_wire::{
    Arp, Cidr, Frame, IpHeader, Mac, Network, Payload, TcpFlags, TcpHeader, TcpOption, TcpOptions,
    icmp, protocol, udp,
};

use crate::config::Config;
use crate::script::{Icmp, Opt};

/// The process that makes the script's calls.
pub(super) const PID: Pid = Pid(1);

/// Virtual time when a script starts: clocks of the stack are not at zero then.
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// Timers that may fire in one script; public scripts need a few thousand.
const MAX_STEPS: u32 = 1_000_000;

/// Packets that may wait to be matched; more end the script.
const MAX_SENT: usize = 100_000;

const LOCAL_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const REMOTE_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// The host under test.
pub(super) struct Machine {
    pub(super) stack: Stack,
    pub(super) now: Instant,
    /// What it sent and the script did not yet take, oldest first.
    pub(super) sent: VecDeque<Sent>,
    /// Sockets that became ready since somebody looked.
    pub(super) woken: BTreeSet<SocketId>,
    trace: Tracer,
    iface: IfIndex,
    steps: u32,
}

/// A packet that was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) dst: IpAddr,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) body: Body,
}

/// What a packet carries, in the numbers on the wire.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Tcp {
        header: TcpHeader,
        options: Vec<Opt>,
        data: Vec<u8>,
    },
    Udp {
        ports: (u16, u16),
        len: usize,
    },
    Icmp(Icmp),
    /// Does not parse, or has a wrong checksum.
    Broken(String),
}

/// Why the machine cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runaway(pub(super) &'static str);

/// The ends and IP fields of an inbound packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) tos: u8,
    pub(super) ttl: u8,
}

impl Machine {
    pub(super) fn new(config: &Config) -> Machine {
        let mut stack = Stack::new(StackConfig {
            node: NodeId(0),
            name: "drill".to_owned(),
            seed: Seed(1),
            forwarding: false,
        });
        let iface = stack.add_interface("tun0", LOCAL_MAC, config.mtu);
        if let Some(address) = Cidr::new(config.local_ip.into(), 16) {
            stack.add_address(iface, address);
        }
        // The remote is a neighbour: packetdrill's tun device has no gateway either.
        let source = Some(config.local_ip.into());
        stack.add_route(Route { to: Cidr::DEFAULT_V4, via: None, iface, metric: 0, source });
        Machine {
            stack,
            now: START,
            sent: VecDeque::new(),
            woken: BTreeSet::new(),
            trace: Tracer::new(0),
            iface,
            steps: 0,
        }
    }

    /// Time since the script's start.
    pub(super) fn elapsed(&self, at: Instant) -> Duration {
        at.since(START)
    }

    /// The moment `micros` after the start.
    pub(super) fn at(&self, micros: i64) -> Instant {
        START + Duration::from_micros(micros.max(0) as u64)
    }

    /// Lets the program make a call.
    pub(super) fn call<R>(
        &mut self,
        f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R,
    ) -> Result<R, Runaway> {
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        let r = f(&mut self.stack, &mut cx);
        self.drain()?;
        Ok(r)
    }

    /// Goes on to the next timer if it is due by `limit`; `false` when none is.
    pub(super) fn step(&mut self, limit: Instant) -> Result<bool, Runaway> {
        let Some(next) = self.stack.next_deadline().filter(|d| *d <= limit) else {
            return Ok(false);
        };
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(Runaway("more than a million timers fired"));
        }
        self.now = self.now.max(next);
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        self.stack.handle_deadlines(&mut cx);
        self.drain()?;
        Ok(true)
    }

    /// Takes what the stack sends, answers ARP.
    fn drain(&mut self) -> Result<(), Runaway> {
        loop {
            while let Some(event) = self.stack.poll_event() {
                self.woken.insert(event.socket);
            }
            let Some((iface, frame)) = self.stack.poll_transmit() else { return Ok(()) };
            let bytes = frame.to_vec();
            if iface != self.iface {
                // Loopback: the frame comes back at once.
                self.receive(iface, &bytes);
                self.steps += 1;
                if self.steps > MAX_STEPS {
                    return Err(Runaway("the host talks to itself without end"));
                }
                continue;
            }
            let mut copy = Frame::from_bytes(&bytes);
            if copy.parse().is_ok() && copy.meta.layers.network == Network::Arp {
                self.answer_arp(&copy);
                continue;
            }
            if self.sent.len() >= MAX_SENT {
                return Err(Runaway("more than 100000 packets were sent and not expected"));
            }
            self.sent.push_back(Sent::of(&mut copy, self.now));
        }
    }

    fn answer_arp(&mut self, request: &Frame) {
        let Ok(arp) = Arp::parse(request.network()) else { return };
        if arp.operation != Arp::REQUEST {
            return;
        }
        let reply = Arp {
            operation: Arp::REPLY,
            sender_mac: REMOTE_MAC,
            sender: arp.target,
            target_mac: arp.sender_mac,
            target: arp.sender,
        };
        let bytes = reply.frame(arp.sender_mac).to_vec();
        self.receive(self.iface, &bytes);
    }

    fn receive(&mut self, iface: IfIndex, bytes: &[u8]) {
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        self.stack.handle_frame(&mut cx, iface, Frame::from_bytes(bytes));
    }

    /// A packet arrives.
    pub(super) fn inject(&mut self, mut frame: Box<Frame>) -> Result<(), Runaway> {
        frame.set_macs(LOCAL_MAC, REMOTE_MAC);
        let bytes = frame.to_vec();
        self.receive(self.iface, &bytes);
        self.drain()
    }

    /// What a socket is ready for.
    pub(super) fn readiness(&self, id: SocketId) -> Readiness {
        self.stack.readiness(id)
    }
}

impl Sent {
    fn of(frame: &mut Frame, at: Instant) -> Sent {
        let unknown = IpAddr::from([0, 0, 0, 0]);
        let broken = frame.verify().err().map(|e| format!("bad checksum: {e:?}"));
        let dst = frame.dst_ip();
        let body = match broken {
            Some(why) => Body::Broken(why),
            None => Body::of(frame),
        };
        Sent { at, dst: dst.unwrap_or(unknown), tos: frame.tos(), ttl: frame.ttl(), body }
    }
}

impl Body {
    fn of(frame: &Frame) -> Body {
        if let Some(header) = TcpHeader::of(frame) {
            let options = TcpHeader::options_of(frame).map(opt).collect();
            return Body::Tcp { header, options, data: frame.payload().to_vec() };
        }
        if let (Some(protocol::UDP), Some(ports)) = (frame.protocol(), frame.ports()) {
            return Body::Udp { ports, len: udp::data_len(frame).unwrap_or(0) };
        }
        match icmp::Icmp::of(frame) {
            Some(message) => Body::Icmp(icmp_of(&message, frame)),
            None => Body::Broken("neither TCP, UDP nor ICMP".to_owned()),
        }
    }
}

fn icmp_of(message: &icmp::Icmp, frame: &Frame) -> Icmp {
    let quoted = icmp::Quoted::parse(&frame.payload().to_vec());
    let too_big = message.kind == icmp::kind::UNREACHABLE && message.code == 4;
    Icmp {
        kind: message.kind,
        code: message.code,
        mtu: too_big.then_some(message.rest as u16),
        id: message.ident(),
        quoted: quoted.filter(|q| q.protocol == protocol::TCP).map(|q| (q.seq, 0)),
        quotes_udp: quoted.is_some_and(|q| q.protocol == protocol::UDP),
    }
}

fn opt(option: TcpOption<'_>) -> Opt {
    match option {
        TcpOption::End => Opt::Eol,
        TcpOption::Nop => Opt::Nop,
        TcpOption::Mss(mss) => Opt::Mss(mss),
        TcpOption::WindowScale(shift) => Opt::Wscale(shift),
        TcpOption::SackPermitted => Opt::SackOk,
        TcpOption::Sack(bytes) => {
            let long = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
            Opt::Sack(bytes.chunks_exact(8).map(|b| (long(b), long(&b[4..]))).collect())
        }
        TcpOption::Timestamps(val, ecr) => Opt::Ts(val, ecr),
        TcpOption::Unknown(kind, data) => Opt::Unknown(kind, data.to_vec()),
    }
}

/// Options as bytes, in order; what does not fit is left out, and the parser sees to it that it
/// fits.
fn raw_options(options: &[Opt]) -> TcpOptions {
    let mut all = TcpOptions::new();
    for option in options {
        let fits = match option {
            Opt::Nop => all.push(TcpOption::Nop),
            Opt::Eol => all.push(TcpOption::End),
            Opt::Mss(mss) => all.push(TcpOption::Mss(*mss)),
            Opt::Wscale(shift) => all.push(TcpOption::WindowScale(*shift)),
            Opt::SackOk => all.push(TcpOption::SackPermitted),
            Opt::Sack(blocks) => {
                let words = blocks.iter().flat_map(|(from, to)| [from, to]);
                let bytes: Vec<u8> = words.flat_map(|w| w.to_be_bytes()).collect();
                all.push(TcpOption::Sack(&bytes))
            }
            Opt::Ts(val, ecr) => all.push(TcpOption::Timestamps(*val, *ecr)),
            Opt::Unknown(kind, data) => all.push(TcpOption::Unknown(*kind, data)),
        };
        debug_assert!(fits, "the parser checks the length of the options");
    }
    all
}

fn ip_header(packet: Inbound) -> IpHeader {
    let mut ip = IpHeader::new(packet.from.ip(), packet.to.ip());
    (ip.tos, ip.ttl) = (packet.tos, packet.ttl);
    ip
}

/// A TCP segment as a frame.
pub(super) fn segment(
    packet: Inbound,
    header: &TcpHeader,
    options: &[Opt],
    data: &[u8],
) -> Box<Frame> {
    header.frame(&ip_header(packet), &raw_options(options), Payload::copy_from(data))
}

/// A datagram as a frame.
pub(super) fn datagram(packet: Inbound, data: &[u8]) -> Box<Frame> {
    let payload = Payload::copy_from(data);
    udp::frame(&ip_header(packet), packet.from.port(), packet.to.port(), payload)
}

/// An ICMP message about a packet from `packet.to` to `packet.from`: the other way round.
pub(super) fn icmp_message(packet: Inbound, message: &Icmp, seq: u32, len: u32) -> Box<Frame> {
    let rest = match (message.kind, message.mtu) {
        (icmp::kind::ECHO_REQUEST | icmp::kind::ECHO_REPLY, _) => u32::from(message.id) << 16,
        (_, mtu) => mtu.unwrap_or(0).into(),
    };
    let head = icmp::Icmp { kind: message.kind, code: message.code, rest };
    let ip = ip_header(packet);
    if !head.is_error() {
        return head.frame(&ip, Payload::new());
    }
    let about = IpHeader::new(packet.to.ip(), packet.from.ip());
    let data = vec![0; len as usize];
    let (own, peer) = (packet.to.port(), packet.from.port());
    let offending = if message.quotes_udp {
        udp::frame(&about, own, peer, Payload::copy_from(&data))
    } else {
        let header = TcpHeader {
            src_port: own,
            dst_port: peer,
            seq,
            flags: TcpFlags::ACK,
            ..TcpHeader::default()
        };
        header.frame(&about, &TcpOptions::new(), Payload::copy_from(&data))
    };
    icmp::error(&ip, message.kind, message.code, rest, &offending)
}
