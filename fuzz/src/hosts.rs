//! Frames for a host's filter and for whole hosts, in any order.

#[path = "../../crates/filter/tests/common/mod.rs"]
mod router;

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, Tracer};
use netarium_filter::{Filter, PortForward};
use netarium_stack::{PacketConfig, Stack, StackConfig};
use netarium_wire::{Frame, Mac, TcpFlags};
use router::{INSIDE, OUTSIDE, Out, Router};

/// Bytes of a step.
const STEP: usize = 6;
/// How many flows the router tracks.
const FLOWS: usize = 10_000;

/// A router with NAT meets packets from both sides, answers to what it let out, errors about it, and
/// bytes that are no packets; time passes.
pub(crate) fn filter(bytes: &[u8]) {
    let mut router = Router::nat();
    let mut last: Option<(IfIndex, Box<Frame>)> = None;
    for step in bytes.chunks(STEP) {
        let [op, a, b, c, d, e] = *step else { return };
        let inside = a & 1 == 0;
        let input = if inside { INSIDE } else { OUTSIDE };
        let (src, dst) = if inside {
            (
                format!("192.168.17.{}:{}", 20 + b % 4, 1_000 + u16::from(c % 4)),
                format!("10.0.0.{}:80", 7 + d % 4),
            )
        } else {
            (
                format!("10.0.0.{}:{}", 7 + b % 4, 1_000 + u16::from(c % 4)),
                ["10.0.0.2:65535", "192.168.17.17:80", "10.0.0.2:1000"][usize::from(d % 3)]
                    .to_owned(),
            )
        };
        let frame = match op % 8 {
            0 | 1 => router::tcp(
                &src,
                &dst,
                TcpFlags::from_bits_truncate(u16::from(e) | u16::from(a & 2) << 7),
            ),
            2 => router::udp(&src, &dst),
            3 => {
                let host = |end: &str| end.split(':').next().unwrap_or("10.0.0.9").to_owned();
                router::ping(&host(&src), &host(&dst), [8, 0, 13, 17][usize::from(e % 4)], c.into())
            }
            4 => match &last {
                Some((_, f)) => router::error_about("10.0.0.9", f, 8 + usize::from(e % 64)),
                None => continue,
            },
            5 => {
                router.after(Duration::from_millis(u64::from(e) * u64::from(d) * 100));
                continue;
            }
            6 => match &last {
                Some((_, f)) => {
                    let mut bytes = f.to_vec();
                    let at = usize::from(b) % bytes.len();
                    bytes[at] ^= c;
                    bytes.truncate(14 + usize::from(d) % bytes.len());
                    Frame::from_bytes(&bytes)
                }
                None => continue,
            },
            _ => {
                let mut raw = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0];
                raw.extend(step);
                raw.extend_from_slice(&[a; 40][..usize::from(e % 41)]);
                Frame::from_bytes(&raw)
            }
        };
        let mut frame = Frame::from_bytes(&frame.to_vec());
        // What does not parse ends before the filter, in the stack.
        if frame.parse().is_err()
            || frame.protocol().is_none()
            || frame.dst_ip().is_none_or(|i| i.is_ipv6())
        {
            continue;
        }
        if let Out::Left(output, f) = router.arrive_frame(input, frame) {
            last = Some((output, f));
        }
        assert!(router.sessions().len() <= FLOWS);
    }
    router.after(Duration::from_secs(6 * 24 * 3600));
    assert!(router.sessions().is_empty(), "everything is forgotten in the end");
}

pub(crate) fn filter_seeds() -> Vec<Vec<u8>> {
    let flow = |flags: &[u8]| flags.iter().flat_map(|f| [0, 0, 0, 0, 0, *f]).collect::<Vec<u8>>();
    vec![
        flow(&[2, 16, 24, 17, 16, 4]),
        [flow(&[2]), vec![4, 0, 0, 0, 0, 20, 5, 0, 0, 0, 255, 255]].concat(),
    ]
}

/// A router with NAT and packet sockets takes any frames, in pieces of `bytes` behind a zero length.
pub(crate) fn stack(bytes: &[u8]) {
    let config =
        StackConfig { node: NodeId(0), name: "r".to_owned(), seed: Seed(1), forwarding: true };
    let mut stack = Stack::new(config);
    let mut trace = Tracer::new(1_000);
    let macs = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];
    let (a, b) =
        (stack.add_interface("eth0", macs[0], 1500), stack.add_interface("eth1", macs[1], 600));
    stack.add_address(a, "192.168.17.1/24".parse().expect("a network"));
    stack.add_address(b, "10.0.0.2/24".parse().expect("a network"));
    let mut nat = Filter::new(NodeId(0), Seed(1).luck("r", "nat"));
    let forward = PortForward::tcp(65_535, "192.168.17.17:80".parse().expect("an address"));
    nat.nat_router(a, b, vec![forward]).expect("a router");
    stack.set_filter(Some(nat));
    let mut now = Instant::ZERO;
    let ring =
        PacketConfig { iface: Some(a), promiscuous: true, ring: 4_000, ..PacketConfig::default() };
    let tap = stack.open_packet(&mut Ctx::new(now, Cause::NONE, &mut trace), Pid(1), ring);
    for (n, piece) in bytes.split(|b| *b == 0xff).enumerate().take(64) {
        let (iface, mac) = if n % 2 == 0 { (a, macs[0]) } else { (b, macs[1]) };
        let mut raw = piece.to_vec();
        if raw.len() >= 6 && n % 3 > 0 {
            raw[..6].copy_from_slice(&mac.0);
        }
        let mut cx = Ctx::new(now, Cause::NONE, &mut trace);
        stack.handle_frame(&mut cx, iface, Frame::from_bytes(&raw));
        let mut out = 0;
        while let Some((_, frame)) = stack.poll_transmit() {
            assert!(frame.ip_len() <= 1500);
            out += 1;
            assert!(out < 1_000, "one frame makes no storm");
        }
        while stack.poll_event().is_some() {}
        now += Duration::from_millis(50);
        stack.handle_deadlines(&mut Ctx::new(now, Cause::NONE, &mut trace));
    }
    let tap = tap.expect("a tap");
    while stack.recv_packet(tap).is_ok() {}
    stack.close(&mut Ctx::new(now, Cause::NONE, &mut trace), tap).expect("it was open");
}

/// The journal of a lab in which something happened, and its recording.
pub(crate) fn journals() -> Vec<Vec<u8>> {
    let lab = netarium::Lab::builtin("two-hosts").expect("a built-in lab");
    let mut world = lab.build(1).expect("a world");
    let input = netarium::world::Input::FileWrite {
        path: "htdocs/index.html".to_owned(),
        bytes: Some(b"edited".to_vec()),
    };
    world.inner_mut().apply(input);
    world.exec("client", "ping -c 1 server").expect("it ends");
    world.inner_mut().finish_journal();
    let journal = world.inner().journal().bytes().to_vec();
    let mut recording = netarium::lab::recording::write_head(lab.model(), false).expect("a head");
    recording.extend(&journal);
    vec![journal, recording]
}
