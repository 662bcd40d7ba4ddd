//! Bytes between the kernel's TCP and ours, both ways, over good and bad wires.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use common::{KERNEL, OURS, Pair, Pattern, Setup, on_ground};
use netarium_base::chance::probability;
use netarium_base::{Duration, LinkEnd, Seed, SocketId};
use netarium_stack::tcp::config::{Ecn, SynCookies};
use netarium_stack::{Errno, SocketOption, TcpConfig};
use netarium_world::{DirectionSpec, Faults, Wire};

const MB: u64 = 1_000_000;

/// The same wire in both directions.
fn wire(change: impl FnOnce(&mut DirectionSpec, &mut Faults)) -> Wire {
    let (mut spec, mut faults) = (DirectionSpec::default(), Faults::default());
    change(&mut spec, &mut faults);
    Wire::new(Seed(3), "wire", (spec, faults.clone()), (spec, faults))
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The kernel sends the pattern to whoever connects, and closes.
fn kernel_source(pair: &Pair, bytes: u64) -> JoinHandle<()> {
    let listener = pair.netns.run(|| TcpListener::bind((KERNEL, 5001)).expect("bound"));
    pair.kernel(move || {
        let (mut stream, _) = listener.accept().expect("accepted");
        let (table, mut place) = (Pattern::table(), 0);
        while place < bytes {
            let part = Pattern::at(&table, place, (bytes - place) as usize);
            stream.write_all(part).expect("sent");
            place += part.len() as u64;
        }
    })
}

/// The kernel connects to us and reads the pattern to its end; how much it was.
fn kernel_sink(pair: &Pair) -> JoinHandle<u64> {
    pair.kernel(|| {
        let mut stream = TcpStream::connect((OURS, 5001)).expect("connected");
        let (table, mut buffer, mut place) = (Pattern::table(), vec![0; 1 << 17], 0);
        loop {
            let n = stream.read(&mut buffer).expect("received");
            if n == 0 {
                return place;
            }
            Pattern::check(&table, place, &buffer[..n]);
            place += n as u64;
        }
    })
}

/// We read the pattern to its end.
fn our_sink(pair: &mut Pair, id: SocketId) -> u64 {
    let (table, mut buffer, mut place) = (Pattern::table(), vec![0; 1 << 17], 0);
    loop {
        let got = pair.until(|p| {
            let got = p.driver.call(LinkEnd::A, |s, cx| s.recv(cx, id, &mut buffer));
            (got != Err(Errno::EAGAIN)).then_some(got)
        });
        match got.expect("received") {
            0 => return place,
            n => Pattern::check(&table, place, &buffer[..n]),
        }
        place += got.expect("checked") as u64;
    }
}

fn our_source(pair: &mut Pair, id: SocketId, bytes: u64) {
    let (table, mut place) = (Pattern::table(), 0);
    while place < bytes {
        let part = Pattern::at(&table, place, (bytes - place) as usize);
        pair.send(id, part);
        place += part.len() as u64;
    }
    pair.close(id);
}

/// So many bytes from the kernel to us, then as many from us to the kernel; both sides check each
/// byte. The copies that we and the kernel sent.
fn both_ways(pair: &mut Pair, bytes: u64) {
    let source = kernel_source(pair, bytes);
    let id = pair.connect(5001).expect("connected");
    assert_eq!(our_sink(pair, id), bytes, "from the kernel");
    pair.close(id);
    pair.join(source);
    let listener = pair.listen(5001);
    let sink = kernel_sink(pair);
    let id = pair.accept(listener);
    our_source(pair, id, bytes);
    assert_eq!(pair.join(sink), bytes, "to the kernel");
}

fn over(name: &str, setup: impl FnOnce() -> Setup, bytes: u64) {
    on_ground(name, |netns| both_ways(&mut setup().build(netns), bytes));
}

#[test]
fn straight() {
    over("straight", Setup::default, 20 * MB);
}

#[test]
fn in_bunches() {
    over("in_bunches", || Setup { offload: true, ..Setup::default() }, 100 * MB);
}

#[test]
fn with_loss() {
    over("with_loss", || Setup::over(wire(|spec, _| spec.loss = probability(0.01))), 5 * MB);
}

#[test]
fn with_delay_and_loss() {
    let bad = |spec: &mut DirectionSpec, _: &mut Faults| {
        (spec.delay, spec.loss) = (ms(5), probability(0.003));
    };
    over("with_delay_and_loss", || Setup::over(wire(bad)), 5 * MB);
}

#[test]
fn with_reordering() {
    let bad = |_: &mut _, faults: &mut Faults| faults.reorder = "5% by 1ms".parse().ok();
    over("with_reordering", || Setup::over(wire(bad)), 5 * MB);
}

#[test]
fn with_duplicates() {
    let bad = |_: &mut _, faults: &mut Faults| faults.duplicate = probability(0.05);
    over("with_duplicates", || Setup::over(wire(bad)), 5 * MB);
}

#[test]
fn with_wrong_bits() {
    let bad = |_: &mut _, faults: &mut Faults| faults.corrupt = probability(0.002);
    over("with_wrong_bits", || Setup::over(wire(bad)), 3 * MB);
}

#[test]
fn with_everything() {
    let bad = |spec: &mut DirectionSpec, faults: &mut Faults| {
        (spec.delay, spec.loss, spec.rate) = (ms(2), probability(0.002), Some(200_000_000));
        faults.jitter = "1ms normal reorder".parse().ok();
        faults.reorder = "1% by 3ms".parse().ok();
        (faults.duplicate, faults.corrupt) = (probability(0.01), probability(0.0005));
        faults.burst = "p 0.05% r 30%".parse().ok();
    };
    over("with_everything", || Setup::over(wire(bad)), 3 * MB);
}

#[test]
fn without_timestamps() {
    let plain = || Setup::over(wire(|spec, _| spec.loss = probability(0.01)));
    over("without_timestamps", || plain().sysctl("net.ipv4.tcp_timestamps", "0"), 2 * MB);
}

#[test]
fn without_sack() {
    let plain = || Setup::over(wire(|spec, _| spec.loss = probability(0.005)));
    over("without_sack", || plain().config(|c| c.sack = false), 2 * MB);
}

#[test]
fn without_window_scaling() {
    over(
        "without_window_scaling",
        || Setup::default().config(|c| c.window_scaling = false),
        5 * MB,
    );
}

#[test]
fn with_cookies_of_the_kernel() {
    over(
        "with_cookies_of_the_kernel",
        || Setup::default().sysctl("net.ipv4.tcp_syncookies", "2"),
        MB,
    );
}

#[test]
fn with_cookies_of_ours() {
    let cookies = |c: &mut TcpConfig| c.syn_cookies = SynCookies::Always;
    on_ground("with_cookies_of_ours", |netns| {
        let mut pair = Setup::default().config(cookies).build(netns);
        both_ways(&mut pair, MB);
    });
}

#[test]
fn with_ecn() {
    on_ground("with_ecn", |netns| {
        let setup = Setup::over(wire(|spec, _| spec.delay = ms(1)));
        let setup = setup.sysctl("net.ipv4.tcp_ecn", "1").config(|c| c.ecn = Ecn::On);
        let mut pair = setup.build(netns);
        let marks = mark_every(&mut pair, 500);
        both_ways(&mut pair, 5 * MB);
        let (marked, echoed, reduced) = marks.take();
        assert!(marked.iter().all(|n| *n > 0), "both sides sent what can be marked: {marked:?}");
        assert!(echoed.iter().all(|n| *n > 0), "both echo marks: {echoed:?}");
        assert!(reduced.iter().all(|n| *n > 0), "both say that they slowed down: {reduced:?}");
    });
}

/// By end: frames that were marked, ECE, and CWR.
type Marks = std::rc::Rc<std::cell::Cell<([u64; 2], [u64; 2], [u64; 2])>>;

/// Marks each `n`-th capable frame of each end, as a router would (RFC 3168 §5).
fn mark_every(pair: &mut Pair, n: u64) -> Marks {
    use netarium_tap::Look;
    use netarium_wire::{TcpFlags, TcpHeader};
    let marks = Marks::default();
    let (seen, mut capable) = (marks.clone(), [0; 2]);
    pair.inspect(Box::new(move |end, frame| {
        let i = end.index();
        let (mut marked, mut echoed, mut reduced) = seen.get();
        if let Some(tcp) = TcpHeader::of(frame).filter(|t| !t.flags.contains(TcpFlags::SYN)) {
            echoed[i] += u64::from(tcp.flags.contains(TcpFlags::ECE));
            reduced[i] += u64::from(tcp.flags.contains(TcpFlags::CWR));
        }
        capable[i] += u64::from(frame.tos() & 3 == 2);
        let hit = frame.tos() & 3 == 2 && capable[i] % n == 0;
        marked[i] += u64::from(hit);
        seen.set((marked, echoed, reduced));
        if hit { Look::Instead(vec![common::with_tos(frame, 3)]) } else { Look::Pass }
    }));
    marks
}

#[test]
fn in_small_segments() {
    on_ground("in_small_segments", |netns| {
        let mut pair = Pair::ours(netns);
        let source = kernel_source(&pair, MB);
        let small = SocketOption::MaxSeg(100);
        let id = pair.begin_connect(5001, |s, id| {
            let mut trace = netarium_base::Tracer::new(0);
            let now = netarium_base::Instant::ZERO;
            let mut cx = netarium_base::Ctx::new(now, netarium_base::Cause::NONE, &mut trace);
            s.set_option(&mut cx, id, small).expect("a valid size");
        });
        let id = pair.connected(id).expect("connected");
        assert_eq!(our_sink(&mut pair, id), MB);
        pair.close(id);
        pair.join(source);
    });
}

/// Two gigabytes each way, without a byte wrong.
#[test]
#[ignore = "takes a minute; run in release"]
fn two_gigabytes_each_way() {
    over("two_gigabytes_each_way", Setup::default, 2_000 * MB);
}

/// The same in bunches.
#[test]
#[ignore = "takes half a minute; run in release"]
fn two_gigabytes_in_bunches() {
    let bunches = || Setup { offload: true, ..Setup::default() };
    over("two_gigabytes_in_bunches", bunches, 2_000 * MB);
}

/// The same over a wire that loses, doubles and reorders.
#[test]
#[ignore = "takes minutes; run in release"]
fn two_gigabytes_over_a_bad_wire() {
    let bad = |spec: &mut DirectionSpec, faults: &mut Faults| {
        spec.loss = probability(0.0005);
        faults.reorder = "0.1% by 300us".parse().ok();
        faults.duplicate = probability(0.001);
    };
    over("two_gigabytes_over_a_bad_wire", || Setup::over(wire(bad)), 2_000 * MB);
}
