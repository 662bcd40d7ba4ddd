//! What happens to every segment: checksum, build, parse, verify, rewrite.
//!
//! `cargo bench -p netarium-wire`

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};

use divan::counter::BytesCount;
use divan::{Bencher, main as run};
use netarium_wire::checksum::Sum;
use netarium_wire::dissect::{Style, line};
use netarium_wire::ip::Side;
use netarium_wire::pcapng::{Interface, Packet, Section, Writer};
use netarium_wire::{Frame, IpHeader, Payload, Slice, TcpFlags, TcpHeader, TcpOption, TcpOptions};

/// Payload of a full segment with timestamps, in bytes.
const SEGMENT: usize = 1448;

fn main() {
    run();
}

fn header() -> (IpHeader, TcpHeader, TcpOptions) {
    let ip = IpHeader::new(IpAddr::from([192, 168, 17, 17]), IpAddr::from([10, 0, 0, 7]));
    let tcp = TcpHeader {
        src_port: 80,
        dst_port: 4000,
        seq: 1,
        ack: 1,
        flags: TcpFlags::ACK,
        window: 502,
        urgent: 0,
    };
    let mut options = TcpOptions::new();
    options.push(TcpOption::Nop);
    options.push(TcpOption::Nop);
    options.push(TcpOption::Timestamps(1, 2));
    (ip, tcp, options)
}

fn data() -> Slice {
    Slice::copy_from(&[0x5a; SEGMENT])
}

fn segment() -> Box<Frame> {
    let (ip, tcp, options) = header();
    tcp.frame(&ip, &options, Payload::from(data()))
}

#[divan::bench(args = [20, 64, SEGMENT, 65_536])]
fn checksum(bencher: Bencher<'_, '_>, len: usize) {
    let bytes = vec![0x5a; len];
    bencher.counter(BytesCount::new(len)).bench(|| Sum::of(black_box(&bytes)));
}

#[divan::bench(args = [0, SEGMENT])]
fn build(bencher: Bencher<'_, '_>, len: usize) {
    let (ip, tcp, options) = header();
    let data = data().range(0, len);
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        let payload = if len == 0 { Payload::new() } else { Payload::from(data.clone()) };
        black_box(&tcp).frame(&ip, &options, payload)
    });
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let bytes = segment().to_vec();
    bencher.counter(BytesCount::new(bytes.len())).bench(|| Frame::from_bytes(black_box(&bytes)));
}

#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let bytes = segment().to_vec();
    bencher
        .counter(BytesCount::new(bytes.len()))
        .with_inputs(|| Frame::from_bytes(&bytes))
        .bench_local_refs(|f| f.verify());
}

#[divan::bench]
fn verify_known(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(segment).bench_local_refs(|f| black_box(f).verify());
}

#[divan::bench]
fn clone(bencher: Bencher<'_, '_>) {
    let f = segment();
    bencher.bench_local(|| black_box(&f).clone());
}

#[divan::bench]
fn rewrite_source(bencher: Bencher<'_, '_>) {
    let to = SocketAddr::from(([10, 0, 0, 2], 65_535));
    bencher.with_inputs(segment).bench_local_refs(|f| f.rewrite(Side::Source, black_box(to)));
}

#[divan::bench]
fn decrement_ttl(bencher: Bencher<'_, '_>) {
    bencher.with_inputs(segment).bench_local_refs(|f| black_box(f).decrement_ttl());
}

#[divan::bench]
fn dissect(bencher: Bencher<'_, '_>) {
    let f = segment();
    bencher.bench_local(|| line(black_box(&f), Style::default(), None));
}

#[divan::bench]
fn capture(bencher: Bencher<'_, '_>) {
    let f = segment();
    let mut out = Vec::new();
    let mut writer = Writer::start(&mut out, 0, &Section::default());
    let interface = writer.interface(&mut out, &Interface::default());
    let at = Default::default();
    let packet = Packet { interface, at, direction: None, id: None, comments: &[] };
    bencher.counter(BytesCount::new(f.len())).bench_local(|| {
        out.clear();
        writer.packet(&mut out, &packet, black_box(&f));
        out.len()
    });
}
