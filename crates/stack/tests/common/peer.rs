//! One host and a peer that says exactly what a test tells it to: segments in, segments out, in
//! virtual time, written as packetdrill writes them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the helpers")]

use std::net::SocketAddr;

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::{Errno, SocketKind, SocketOption, Stack, StackConfig};
use netarium_wire::icmp::{self, kind, unreachable};
use netarium_wire::{
    Arp, Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOption, TcpOptions, protocol,
};

use super::mac;

const ETH0: IfIndex = IfIndex(2);
pub const OURS: [u8; 4] = [10, 0, 0, 1];
pub const THEIRS: [u8; 4] = [10, 0, 0, 2];
pub const PEER_PORT: u16 = 4000;

/// A segment of the peer. Numbers are relative to the initial ones of either side.
#[derive(Clone)]
pub struct Seg {
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    win: u16,
    data: Vec<u8>,
    urgent: u16,
    options: TcpOptions,
    tos: u8,
}

/// A segment with the flags in tcpdump's letters (`S`, `S.`, `P.`, `F.`, `R`, `.`, `U.`).
pub fn seg(flags: &str, seq: u32, ack: u32) -> Seg {
    let mut f = TcpFlags::empty();
    for c in flags.chars() {
        f |= match c {
            'S' => TcpFlags::SYN,
            'F' => TcpFlags::FIN,
            'R' => TcpFlags::RST,
            'P' => TcpFlags::PSH,
            'U' => TcpFlags::URG,
            'E' => TcpFlags::ECE,
            'W' => TcpFlags::CWR,
            '.' => TcpFlags::ACK,
            other => panic!("flag {other}"),
        };
    }
    Seg {
        flags: f,
        seq,
        ack,
        win: 65_535,
        data: Vec::new(),
        urgent: 0,
        options: TcpOptions::new(),
        tos: 0,
    }
}

impl Seg {
    /// The eight classic control bits as in the header.
    pub fn set_flags(&mut self, bits: u8) {
        self.flags = TcpFlags::from_bits_truncate(bits.into());
    }

    pub fn data(mut self, data: &[u8]) -> Seg {
        self.data = data.to_vec();
        self
    }

    pub fn len(self, n: usize) -> Seg {
        self.data(&vec![b'x'; n])
    }

    pub fn win(mut self, win: u16) -> Seg {
        self.win = win;
        self
    }

    pub fn urgent(mut self, pointer: u16) -> Seg {
        self.urgent = pointer;
        self
    }

    pub fn opt(mut self, option: TcpOption<'_>) -> Seg {
        assert!(self.options.push(option));
        self
    }

    pub fn mss(self, mss: u16) -> Seg {
        self.opt(TcpOption::Mss(mss))
    }

    pub fn ts(self, val: u32, ecr: u32) -> Seg {
        self.opt(TcpOption::Timestamps(val, ecr))
    }

    /// MSS 1460, SACK and scaling by 7, without timestamps.
    pub fn usual(self) -> Seg {
        self.mss(1460).opt(TcpOption::SackPermitted).opt(TcpOption::WindowScale(7))
    }
}

pub struct Peer {
    pub now: Instant,
    pub trace: Tracer,
    pub host: Stack,
    /// Initial numbers: ours (once known) and the peer's.
    pub iss: Option<u32>,
    pub irs: u32,
    pub local_port: u16,
    pub peer_port: u16,
    /// The timestamp of the last segment of the host.
    pub tsval: u32,
    sent: Vec<String>,
    frames: Vec<Frame>,
}

impl Peer {
    pub fn new() -> Peer {
        let config = StackConfig {
            node: NodeId(0),
            name: "h1".to_owned(),
            seed: Seed(1),
            forwarding: false,
        };
        let mut host = Stack::new(config);
        let eth0 = host.add_interface("eth0", mac(0), 1500);
        host.add_address(eth0, "10.0.0.1/24".parse().unwrap());
        Peer {
            now: Instant::ZERO + Duration::from_secs(1),
            trace: Tracer::new(100_000),
            host,
            iss: None,
            irs: 0x7fff_ff00,
            local_port: 80,
            peer_port: PEER_PORT,
            tsval: 0,
            sent: Vec::new(),
            frames: Vec::new(),
        }
    }

    pub fn on<R>(&mut self, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.trace);
        let r = f(&mut self.host, &mut cx);
        self.drain();
        r
    }

    fn drain(&mut self) {
        while self.host.poll_event().is_some() {}
        while let Some((iface, frame)) = self.host.poll_transmit() {
            assert_eq!(iface, ETH0);
            if frame.to_vec()[12..14] == [8, 6] {
                let arp = Arp::parse(&frame.to_vec()[14..]).expect("an ARP packet");
                self.answer_arp(&arp);
                continue;
            }
            self.note(&frame);
            self.frames.push(*frame);
        }
    }

    fn answer_arp(&mut self, request: &Arp) {
        if request.operation != Arp::REQUEST {
            return;
        }
        let reply = Arp {
            operation: Arp::REPLY,
            sender_mac: mac(1),
            sender: request.target,
            target_mac: request.sender_mac,
            target: request.sender,
        };
        let frame = reply.frame(request.sender_mac);
        self.on(|s, cx| s.handle_frame(cx, ETH0, frame));
    }

    fn note(&mut self, frame: &Frame) {
        let Some(h) = TcpHeader::of(frame) else {
            self.sent.push("not TCP".to_owned());
            return;
        };
        if h.flags.contains(TcpFlags::SYN) {
            self.iss = Some(h.seq);
            self.local_port = h.src_port;
        }
        let rst = h.flags.contains(TcpFlags::RST);
        let plain_rst = rst && !h.flags.contains(TcpFlags::ACK);
        let iss = self.iss.unwrap_or(h.seq);
        let seq = if rst && h.seq == 0 { 0 } else { h.seq.wrapping_sub(iss) };
        let len = frame.payload().len() as u32;
        let mut line = format!("{} {seq}:{}({len})", h.flags, seq + len);
        if h.flags.contains(TcpFlags::ACK) && !plain_rst {
            line += &format!(" ack {}", h.ack.wrapping_sub(self.irs));
        }
        if !rst {
            line += &format!(" win {}", h.window);
        }
        if h.flags.contains(TcpFlags::URG) {
            line += &format!(" urg {}", h.urgent);
        }
        let options: Vec<String> = TcpHeader::options_of(frame).map(|o| self.option(o)).collect();
        if !options.is_empty() {
            line += &format!(" <{}>", options.join(","));
        }
        self.sent.push(line);
    }

    fn option(&mut self, option: TcpOption<'_>) -> String {
        match option {
            TcpOption::Nop => "nop".to_owned(),
            TcpOption::End => "eol".to_owned(),
            TcpOption::Mss(mss) => format!("mss {mss}"),
            TcpOption::WindowScale(s) => format!("wscale {s}"),
            TcpOption::SackPermitted => "sackOK".to_owned(),
            TcpOption::Timestamps(val, ecr) => {
                self.tsval = val;
                format!("TS ecr {ecr}")
            }
            TcpOption::Sack(bytes) => {
                let number =
                    |b: &[u8]| u32::from_be_bytes(b.try_into().unwrap()).wrapping_sub(self.irs);
                let blocks: Vec<String> = bytes
                    .chunks(8)
                    .map(|b| format!("{}:{}", number(&b[..4]), number(&b[4..])))
                    .collect();
                format!("sack {}", blocks.join(" "))
            }
            TcpOption::Unknown(kind, _) => format!("kind {kind}"),
        }
    }

    /// What the host sent since the last call.
    pub fn sent(&mut self) -> Vec<String> {
        self.frames.clear();
        std::mem::take(&mut self.sent)
    }

    /// The frames of what the host sent since the last call.
    pub fn frames(&mut self) -> Vec<Frame> {
        self.sent.clear();
        std::mem::take(&mut self.frames)
    }

    /// The peer sends a segment; what the host answers.
    pub fn inject(&mut self, seg: Seg) -> Vec<String> {
        self.deliver(seg);
        self.sent()
    }

    fn deliver(&mut self, seg: Seg) {
        let header = TcpHeader {
            src_port: self.peer_port,
            dst_port: self.local_port,
            seq: self.irs.wrapping_add(seg.seq),
            ack: if seg.flags.contains(TcpFlags::ACK) {
                self.iss.unwrap_or(0).wrapping_add(seg.ack)
            } else {
                0
            },
            flags: seg.flags,
            window: seg.win,
            urgent: seg.urgent,
        };
        let mut ip = IpHeader::new(THEIRS.into(), OURS.into());
        ip.tos = seg.tos;
        let mut f = header.frame(&ip, &seg.options, Payload::copy_from(&seg.data));
        f.set_macs(mac(0), mac(1));
        self.on(|s, cx| s.handle_frame(cx, ETH0, f));
    }

    /// As [`Peer::inject`]; the frames of the answer.
    pub fn inject_frames(&mut self, seg: Seg) -> Vec<Frame> {
        self.deliver(seg);
        self.frames()
    }

    /// The source port of a frame of the host.
    pub fn local_port_of(&self, frame: &Frame) -> u16 {
        TcpHeader::of(frame).expect("a segment").src_port
    }

    /// A router says that a segment of ours that begins at `seq` is too large.
    pub fn too_big(&mut self, seq: u32, mtu: u32) -> Vec<String> {
        self.icmp(seq, (kind::UNREACHABLE, unreachable::FRAGMENTATION_NEEDED, mtu))
    }

    /// A router reports an error about a segment of ours that begins at `seq`.
    pub fn icmp(&mut self, seq: u32, (kind, code, rest): (u8, u8, u32)) -> Vec<String> {
        let about = TcpHeader {
            src_port: self.local_port,
            dst_port: self.peer_port,
            seq: self.iss.unwrap().wrapping_add(seq),
            flags: TcpFlags::ACK,
            ..TcpHeader::default()
        };
        let quoted = about.frame(
            &IpHeader::new(OURS.into(), THEIRS.into()),
            &TcpOptions::new(),
            Payload::new(),
        );
        let ip = IpHeader::new([10, 0, 0, 9].into(), OURS.into());
        let mut f = icmp::error(&ip, kind, code, rest, &quoted);
        assert_eq!(f.protocol(), Some(protocol::ICMP));
        f.set_macs(mac(0), mac(1));
        self.on(|s, cx| s.handle_frame(cx, ETH0, f));
        self.sent()
    }

    /// Time passes; what the host sends, each with the milliseconds since the call.
    pub fn wait(&mut self, span: Duration) -> Vec<String> {
        let (start, end) = (self.now, self.now + span);
        let mut log = self.sent();
        while let Some(due) = self.host.next_deadline().filter(|d| *d <= end) {
            self.now = self.now.max(due);
            self.on(|s, cx| s.handle_deadlines(cx));
            let at = (self.now - start).as_millis();
            log.extend(self.sent().into_iter().map(|l| format!("+{at} {l}")));
        }
        self.now = end;
        log
    }

    pub fn socket(&mut self) -> SocketId {
        self.host.socket(SocketKind::Tcp, Pid(7)).unwrap()
    }

    pub fn listen(&mut self, backlog: u32) -> SocketId {
        let id = self.socket();
        self.on(|s, cx| {
            s.set_option(cx, id, SocketOption::ReuseAddr(true)).unwrap();
            s.bind(id, SocketAddr::from(([0, 0, 0, 0], 80))).unwrap();
            s.listen(cx, id, backlog).unwrap();
        });
        id
    }

    pub fn connect(&mut self, id: SocketId) -> Vec<String> {
        self.peer_port = 80;
        let to = SocketAddr::from((THEIRS, 80));
        assert_eq!(self.on(|s, cx| s.connect(cx, id, to)), Err(Errno::EINPROGRESS));
        self.sent()
    }

    pub fn set(&mut self, id: SocketId, option: SocketOption) -> Vec<String> {
        self.on(|s, cx| s.set_option(cx, id, option)).unwrap();
        self.sent()
    }

    pub fn accept(&mut self, listener: SocketId) -> Result<SocketId, Errno> {
        self.on(|s, cx| s.accept(cx, listener)).map(|(id, _)| id)
    }

    /// An accepted connection: SYN of the peer with `syn`'s options, ACK, accept.
    pub fn accepted(&mut self, syn: Seg) -> SocketId {
        let l = self.listen(5);
        self.inject(syn);
        self.inject(seg(".", 1, 1).win(1000));
        self.accept(l).unwrap()
    }

    /// As [`Peer::accepted`], at the listener that is there already.
    pub fn accepted_beside(&mut self, syn: Seg) -> SocketId {
        let l = self.host.sockets().iter().find(|r| r.state == "LISTEN").unwrap().id;
        self.inject(syn);
        self.inject(seg(".", 1, 1).win(1000));
        self.accept(l).unwrap()
    }

    pub fn send(&mut self, id: SocketId, n: usize) -> Vec<String> {
        let data = vec![b'y'; n];
        assert_eq!(self.on(|s, cx| s.send(cx, id, &data)), Ok(n));
        self.sent()
    }

    pub fn recv(&mut self, id: SocketId, max: usize) -> Result<Vec<u8>, Errno> {
        let mut buf = vec![0; max];
        let n = self.on(|s, cx| s.recv(cx, id, &mut buf))?;
        buf.truncate(n);
        Ok(buf)
    }

    pub fn close(&mut self, id: SocketId) -> Vec<String> {
        self.on(|s, cx| s.close(cx, id)).unwrap();
        self.sent()
    }
}
