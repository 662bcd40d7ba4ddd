//! What connections cost in memory, and that nothing a peer does makes them cost more.

use netarium_base::{Duration, IfIndex};
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader};

use super::common::{Net, mac};
use crate::sockets::Socket;
use crate::tcp::Connection;
use crate::tcp::demux::{Ends, Slot};
use crate::tcp::reassembly::MAX_RUNS;
use crate::tcp::request::Request;

/// What a map of the ends, the deadlines and the tables of places take per connection.
const INDEX: usize = size_of::<Ends>() + 80 + 32;

/// An established connection without data costs less than 2 kB, a handshake under way a tenth.
#[test]
fn an_idle_connection_is_small() {
    let connection = size_of::<Slot>() + size_of::<Socket>() + INDEX;
    assert!(connection < 1900, "{connection} bytes");
    let request = size_of::<Request>() + INDEX;
    assert!(request < 400, "{request} bytes");
    let mut net = Net::new(2);
    let (_, _) = net.pair();
    net.run(Duration::from_secs(1));
    let c = conn(&mut net);
    assert_eq!((c.recv.len(), c.send.len(), c.ooo.pieces()), (0, 0, (0, 0)));
}

fn conn(net: &mut Net) -> &mut Connection {
    let slot = net.hosts[0].tcp.iter().last().expect("a connection").0;
    &mut net.hosts[0].tcp.get_mut(slot).unwrap().conn
}

/// A segment of the peer, `offset` behind what is expected next.
fn segment(net: &mut Net, offset: u32, len: usize) -> Box<Frame> {
    let c = conn(net);
    let header = TcpHeader {
        src_port: c.setup.remote.port(),
        dst_port: c.setup.local.port(),
        seq: (c.rcv.nxt + offset).0,
        ack: c.snd.nxt.0,
        flags: TcpFlags::ACK,
        window: 500,
        urgent: 0,
    };
    let ip = IpHeader::new(c.setup.remote.ip(), c.setup.local.ip());
    let mut f = header.frame(&ip, &Default::default(), Payload::copy_from(&vec![7; len]));
    f.set_macs(mac(0), mac(1));
    f
}

fn hit(net: &mut Net, offset: u32, len: usize) {
    let f = segment(net, offset, len);
    net.on(0, |s, cx| s.handle_frame(cx, IfIndex(2), f));
}

fn silent_pair() -> Net {
    let mut net = Net::new(2);
    net.pair();
    net.fate = Box::new(|_, _| None);
    net
}

/// Out-of-order single bytes all over the window: runs, slices and bytes stay bounded.
#[test]
fn a_spray_out_of_order_is_bounded() {
    let mut net = silent_pair();
    for i in 0..30_000u32 {
        hit(&mut net, 1 + i * 2, 1);
    }
    let c = conn(&mut net);
    assert!(c.ooo.pieces().0 <= MAX_RUNS, "{:?}", c.ooo.pieces());
    assert!(c.ooo.bytes() <= MAX_RUNS);
    for i in 0..2000u32 {
        hit(&mut net, 1 + i * 2 + 1, 1);
    }
    let c = conn(&mut net);
    assert!(c.ooo.pieces().0 <= MAX_RUNS && c.ooo.bytes() <= 4 * MAX_RUNS);
}

/// Tiny segments in order cost the memory of their bytes, and the window stops them.
#[test]
fn tiny_segments_are_merged_and_stopped() {
    let mut net = silent_pair();
    let limit = conn(&mut net).rcv.limit as usize;
    for _ in 0..80_000 {
        hit(&mut net, 0, 1);
    }
    let c = conn(&mut net);
    assert!(c.recv.len() <= limit + 128, "{}", c.recv.len());
    assert!(c.recv.slices() <= limit / 512 + 2, "{} slices", c.recv.slices());
}

/// What lies beyond the window is dropped and counted.
#[test]
fn data_beyond_the_window_is_not_kept() {
    let mut net = silent_pair();
    let edge = conn(&mut net).receive_window();
    for i in 0..1000 {
        hit(&mut net, edge + i * 1000, 1000);
        hit(&mut net, edge - 10, 1000);
    }
    let c = conn(&mut net);
    assert_eq!((c.ooo.bytes(), c.recv.len()), (10, 0));
    let dropped: u64 = net.trace.drops().map(|(_, _, n)| n).sum();
    assert!(dropped >= 1000, "{dropped}");
}
