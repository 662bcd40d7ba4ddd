//! What connection tracking and masquerading cost per packet, by the number of tracked flows:
//! `cargo bench -p netarium-filter`. The curve is to stay flat but for the processor's caches;
//! the memory per flow is printed first.

#![allow(clippy::disallowed_macros, reason = "a benchmark prints its figures")]

use core::net::{IpAddr, Ipv4Addr};
use std::cell::RefCell;

use divan::Bencher;
use divan::counter::ItemsCount;
use netarium_base::{Cause, Ctx, IfIndex, Instant, Luck, NodeId, Seed, Tracer};
use netarium_filter::{Addresses, Filter, LocalPorts, Verdict};
use netarium_wire::{Frame, IpHeader, Payload, TcpFlags, TcpHeader, TcpOptions};

const INSIDE: IfIndex = IfIndex(2);
const OUTSIDE: IfIndex = IfIndex(3);
const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const FLOWS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

struct NoPorts;

impl LocalPorts for NoPorts {
    fn in_use(&self, _: u8, _: u16) -> bool {
        false
    }
}

impl Addresses for NoPorts {
    fn address(&self, _: IfIndex) -> Option<IpAddr> {
        None
    }

    fn has(&self, _: IfIndex, _: IpAddr) -> bool {
        false
    }
}

struct Router {
    filter: Filter,
    trace: Tracer,
}

impl Router {
    fn with_flows(n: u32) -> Router {
        let mut filter = Filter::new(NodeId(0), luck());
        filter.nat_router(INSIDE, OUTSIDE, Vec::new()).expect("two interfaces");
        filter.set_session_limit(2_000_000);
        let mut r = Router { filter, trace: Tracer::new(0) };
        for i in 0..n {
            r.out(&mut flow(i, TcpFlags::SYN));
        }
        assert_eq!(r.filter.session_count(), n as usize);
        r
    }

    fn out(&mut self, frame: &mut Frame) {
        let mut cx = Ctx::new(Instant::ZERO, Cause::NONE, &mut self.trace);
        let cx = &mut cx;
        let verdicts = [
            self.filter.prerouting(cx, INSIDE, &NoPorts, frame),
            self.filter.forward(cx, INSIDE, OUTSIDE, frame),
            self.filter.postrouting(cx, OUTSIDE, ROUTER, &NoPorts, frame),
        ];
        assert_eq!(verdicts, [Verdict::Accept; 3]);
    }
}

fn luck() -> Luck {
    Seed(1).luck("router", "filter")
}

/// A segment of the `i`-th flow.
fn flow(i: u32, flags: TcpFlags) -> Box<Frame> {
    let src = Ipv4Addr::from(0xc0a8_1100 + i / 50_000);
    let dst = Ipv4Addr::from(0x0a01_0000 + i / 50_000);
    let src_port = (i % 50_000) as u16 + 10_000;
    let header = TcpHeader { src_port, dst_port: 80, flags, ..TcpHeader::default() };
    let payload = Payload::copy_from(&[0; 1448]);
    header.frame(&IpHeader::new(src.into(), dst.into()), &TcpOptions::new(), payload)
}

/// One packet of any of the flows, from inside to outside: looked up, translated, refreshed.
#[divan::bench(args = FLOWS, sample_count = 100, sample_size = 1000)]
fn known_flow(bencher: Bencher<'_, '_>, flows: u32) {
    let router = RefCell::new(Router::with_flows(flows));
    let mut n = 0;
    bencher
        .counter(ItemsCount::new(1u32))
        .with_inputs(|| {
            n += 1;
            flow((luck().draw(0, n) % u64::from(flows)) as u32, TcpFlags::SYN)
        })
        .bench_local_refs(|frame| router.borrow_mut().out(frame));
}

/// The first packet of a flow, beside so many others.
#[divan::bench(args = FLOWS, sample_count = 50, sample_size = 200)]
fn new_flow(bencher: Bencher<'_, '_>, flows: u32) {
    let router = RefCell::new(Router::with_flows(flows));
    let mut n = flows;
    bencher
        .counter(ItemsCount::new(1u32))
        .with_inputs(|| {
            n += 1;
            flow(n, TcpFlags::SYN)
        })
        .bench_local_refs(|frame| router.borrow_mut().out(frame));
}

fn main() {
    for n in FLOWS {
        let filter = Router::with_flows(n).filter;
        assert_eq!(filter.mappings().count(), n as usize);
        let bytes = filter.bytes_used();
        println!("{n:>9} flows with a mapping each: {} bytes per flow", bytes / n as usize);
    }
    divan::main();
}
