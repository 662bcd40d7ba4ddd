//! Bodies of fuzz targets: any bytes are a sequence of segments, calls and waits. Seeded loops run
//! them as tests; `fuzz/` runs them under cargo-fuzz.

use netarium_base::{Duration, SocketId};
use netarium_stack::{Readiness, RecvFlags, SendFlags, Shutdown, SocketOption};
use netarium_wire::TcpOption;

use super::peer::{Peer, Seg, seg};

/// Bytes of a step.
pub const STEP: usize = 8;

/// The most segments that one step may cause besides those of the congestion window: that may be a few
/// hundred once enough was acknowledged, each with no more than 12 bytes when the peer's MSS is the
/// least that is taken (48) and three SACK blocks are in it.
const MOST_ANSWERS: usize = 200;

/// A host with a listener and, by the first byte, a connection of its own: it meets what `bytes`
/// says, and in the end, left alone, forgets everything.
pub fn segments(bytes: &[u8]) {
    let Some((first, steps)) = bytes.split_first() else { return };
    let mut p = Peer::new();
    let listener = p.listen(3);
    let mut socket = None;
    if first.is_multiple_of(2) {
        p.inject(opening(*first));
        p.inject(seg(".", 1, 1).win(1000));
        socket = p.accept(listener).ok();
    } else {
        let c = p.socket();
        p.connect(c);
        socket = socket.or(Some(c));
    }
    let mut at = (1u32, 1u32);
    for step in steps.chunks_exact(STEP) {
        let sent = take_step(&mut p, socket, step, &mut at);
        let window =
            socket.and_then(|id| p.host.tcp_info(p.now, id).ok()).map_or(0, |i| i.snd_cwnd);
        let most = MOST_ANSWERS + window as usize;
        assert!(sent <= most, "{sent} segments after {step:?}, more than {most}");
        if socket.is_none() {
            socket = p.accept(listener).ok();
        }
    }
    p.on(|s, cx| s.release_process(cx, netarium_base::Pid(7)));
    p.wait(Duration::from_secs(4000));
    assert!(p.host.sockets().is_empty(), "{:?}", p.host.sockets());
    assert_eq!(p.host.stats().tcp_bad_transitions, 0);
}

fn opening(first: u8) -> Seg {
    let mut syn = seg("S", 0, 0);
    if first & 2 != 0 {
        syn = syn.mss(u16::from(first) * 8).opt(TcpOption::SackPermitted);
    }
    if first & 4 != 0 {
        syn = syn.opt(TcpOption::WindowScale(first >> 4));
    }
    syn
}

/// One step; how many segments it caused.
fn take_step(
    p: &mut Peer,
    socket: Option<SocketId>,
    step: &[u8],
    (seq, ack): &mut (u32, u32),
) -> usize {
    let [op, a, b, c, d, e, f, g] = *step else { return 0 };
    match op % 8 {
        0 => p.wait(Duration::from_millis(u64::from(a) * u64::from(b))).len().min(MOST_ANSWERS),
        1 => socket.map_or(0, |id| call(p, id, a, b)),
        _ => {
            let near = |base: u32, x: u8, y: u8| match x % 4 {
                0 | 1 => base,
                2 => base.wrapping_add(u32::from(y) * 64),
                _ => base.wrapping_sub(u32::from(y)),
            };
            let (from, to) = (near(*seq, a, b), near(*ack, c, d));
            let len = usize::from(e) * usize::from(e % 3);
            let mut s = seg("", from, to).win(u16::from(f) << (f % 9)).urgent(g.into());
            s.set_flags(if op % 8 < 6 { g | 0x10 } else { g });
            if e.is_multiple_of(5) {
                s = s.ts(u32::from(f), p.tsval.wrapping_sub(u32::from(g % 3)));
            }
            let answers = p.inject(s.len(len));
            if a.is_multiple_of(4) {
                *seq = seq.wrapping_add(len as u32);
            }
            *ack = ack.wrapping_add(u32::from(d % 2) * 100);
            answers.len()
        }
    }
}

fn call(p: &mut Peer, id: SocketId, what: u8, size: u8) -> usize {
    let mut buf = vec![0; usize::from(size) * 40 + 1];
    let more = if size.is_multiple_of(2) { SendFlags::MORE } else { SendFlags::empty() };
    p.on(|s, cx| match what % 10 {
        0..3 => drop(s.send_with(cx, id, &buf, more)),
        3 => drop(s.send_with(cx, id, &buf[..1], SendFlags::OOB)),
        4 | 5 => drop(s.recv(cx, id, &mut buf)),
        6 => drop(s.recv_with(cx, id, &mut buf, RecvFlags::OOB)),
        7 => drop(s.shutdown(
            cx,
            id,
            if size.is_multiple_of(2) { Shutdown::Write } else { Shutdown::Read },
        )),
        8 => drop(s.set_option(cx, id, SocketOption::KeepAlive(size.is_multiple_of(2)))),
        _ => drop(s.set_option(cx, id, SocketOption::Cork(size.is_multiple_of(2)))),
    });
    let _ready: Readiness = p.host.readiness(id);
    p.sent().len()
}
