//! What recovery and congestion control make of a path: goodput by loss and delay, and how flows
//! share a bottleneck. Everything from seeds, in virtual minutes.

mod common;

use common::{Narrow, Net, ms};
use netarium_base::{Duration, Seed, SocketId};
use netarium_stack::TcpConfig;
use netarium_stack::tcp::config::{Congestion, Hystart};

/// Senders that always have something to send, on hosts of their own, to one receiver.
struct Flows {
    net: Net,
    /// The receiver's host.
    to: usize,
    senders: Vec<SocketId>,
    sinks: Vec<SocketId>,
    got: Vec<u64>,
}

impl Flows {
    /// `configs` has one entry per sender; the receiver sits behind a way of `rate` bit/s with a
    /// queue of `queue` bytes, `delay` ms away.
    fn new(configs: &[TcpConfig], delay: u64, rate: u64, queue: u64) -> Flows {
        let to = configs.len();
        let mut net = Net::new(to + 1);
        for (h, config) in configs.iter().enumerate() {
            net.hosts[h].set_tcp_config(config.clone());
        }
        // Without a log of every segment: these are many.
        net.keep_log = false;
        net.trace = netarium_base::Tracer::new(0);
        net.delay = ms(delay);
        net.narrow.insert(to, Narrow::new(rate, queue));
        let l = net.listen(to, 80, 8);
        let address = format!("10.0.0.{}:80", to + 1);
        let senders: Vec<_> = (0..to).map(|h| net.connect(h, &address)).collect();
        net.run(ms(10 * delay + 50));
        let sinks = (0..to).map(|_| net.accept(to, l).expect("a connection waits")).collect();
        Flows { net, to, senders, sinks, got: vec![0; to] }
    }

    /// Runs so long; bytes per sender. Accepted sockets come in the order of the senders.
    fn run(&mut self, span: Duration) -> Vec<u64> {
        let end = self.net.now + span;
        let data = vec![0u8; 65_536];
        let before = self.got.clone();
        while self.net.now < end {
            for (h, id) in self.senders.iter().enumerate() {
                while self.net.send(h, *id, &data).is_ok() {}
            }
            for (i, id) in self.sinks.iter().enumerate() {
                while let Ok(d) = self.net.recv(self.to, *id, 16_384) {
                    self.got[i] += d.len() as u64;
                }
            }
            self.net.step();
        }
        self.got.iter().zip(before).map(|(now, then)| now - then).collect()
    }

    /// Loses `per_mille` of the data segments.
    fn lose(&mut self, seed: u64, per_mille: u64) {
        let luck = Seed(seed).luck("wire", "loss");
        self.net.fate = Box::new(move |n, f| {
            let lost = !f.payload().is_empty() && luck.draw(0, n) % 1000 < per_mille;
            (!lost).then_some(Duration::ZERO)
        });
    }
}

fn config(congestion: Congestion) -> TcpConfig {
    TcpConfig { congestion, ..TcpConfig::default() }
}

/// kB/s of one flow over 10 Mbit/s (1250 kB/s with headers) with 64 kB of queue, in 15 s.
fn goodput(config: TcpConfig, delay: u64, per_mille: u64) -> u64 {
    let mut flows = Flows::new(&[config], delay, 10_000_000, 65_536);
    flows.lose(7, per_mille);
    flows.run(Duration::from_secs(15))[0] / 15_000
}

/// A change in behaviour shows here as a changed number.
#[test]
fn goodput_by_loss_delay_and_algorithm() {
    let no_sack = TcpConfig { sack: false, ..config(Congestion::Cubic) };
    let kinds = [
        ("reno", config(Congestion::Reno)),
        ("cubic", config(Congestion::Cubic)),
        ("cubic, no SACK", no_sack),
    ];
    let mut table = String::from("one-way delay      1 ms   10 ms   50 ms\n");
    for (name, config) in kinds {
        for per_mille in [0, 1, 10, 50] {
            table += &format!("{name:15}{:>5}", format!("{}.{}%", per_mille / 10, per_mille % 10));
            for delay in [1, 10, 50] {
                table += &format!("{:8}", goodput(config.clone(), delay, per_mille));
            }
            table += "\n";
        }
    }
    insta::assert_snapshot!(table);
}

/// RFC 6582 §4: without SACK each round trip repairs one hole; after slow start has lost half a window
/// the time-out, which only the first partial acknowledgement puts off, ends that.
#[test]
fn many_holes_without_sack_end_in_a_time_out_not_in_a_crawl() {
    use netarium_base::Event;
    let config = TcpConfig { sack: false, ..config(Congestion::Cubic) };
    let mut flows = Flows::new(&[config], 50, 10_000_000, 65_536);
    flows.net.trace = netarium_base::Tracer::new(100_000);
    flows.run(Duration::from_secs(2));
    let mut fast = 0;
    for r in flows.net.trace.records() {
        match r.event {
            Event::Retransmission { kind: "fast", .. } => fast += 1,
            Event::Retransmission { kind: "rto", .. } => break,
            _ => {}
        }
    }
    assert!((2..10).contains(&fast), "{fast} round trips before the time-out");
    let got = flows.run(Duration::from_secs(10));
    assert!(got[0] > 3_000_000, "{} bytes in 10 s", got[0]);
}

/// Two flows of one kind share a bottleneck within 20 % of each other, and use it to 95 % with a
/// queue of one bandwidth-delay product (RFC 9438 §5, RFC 5681).
#[test]
fn two_flows_share_evenly_and_fill_the_way() {
    use Congestion::{Cubic, Reno};
    for (congestion, delay) in [(Cubic, 5), (Cubic, 20), (Reno, 20)] {
        let rate = 10_000_000;
        let bdp = rate / 8 * 2 * delay / 1000;
        let mut flows = Flows::new(&[config(congestion), config(congestion)], delay, rate, bdp);
        flows.run(Duration::from_secs(20));
        let got = flows.run(Duration::from_secs(100));
        let (low, high) = (got[0].min(got[1]), got[0].max(got[1]));
        let share = low as f64 / high as f64;
        // Payload bytes of full frames: 1448 of 1514.
        let used = (got[0] + got[1]) as f64 * 8.0 * 1514.0 / 1448.0 / 100.0 / rate as f64;
        assert!(used > 0.95, "{congestion:?} {delay} ms: {used:.3} used");
        assert!(share > 0.8, "{congestion:?} {delay} ms: {got:?}, {share:.3}");
    }
}

/// A flow that comes later gets its share: CUBIC's fast convergence (RFC 9438 §4.7).
#[test]
fn late_comers_get_their_share() {
    let rate = 10_000_000;
    let both = [config(Congestion::Cubic), config(Congestion::Cubic)];
    let mut flows = Flows::new(&both, 20, rate, rate / 8 * 40 / 1000);
    let late = flows.senders.pop().unwrap();
    let alone = flows.run(Duration::from_secs(30));
    assert!(alone[0] > 20 * u64::from(rate as u32 / 8) && alone[1] == 0);
    flows.senders.push(late);
    flows.run(Duration::from_secs(60));
    let got = flows.run(Duration::from_secs(60));
    let share = got[1] as f64 / (got[0] + got[1]) as f64;
    assert!((0.35..=0.65).contains(&share), "{got:?}");
}

/// Two flows of which the second travels `factor` times as long share a bottleneck: how many times as
/// much the first gets, and how much of the way both use.
fn rtt_share(congestion: Congestion, factor: u64) -> (f64, f64) {
    // Long enough for CUBIC's own growth: over short round trips it does as Reno (RFC 9438 §4.3).
    let (rate, delay) = (40_000_000, 50);
    let bdp = rate / 8 * 2 * delay * factor / 1000;
    let mut flows = Flows::new(&[config(congestion), config(congestion)], delay, rate, bdp);
    let far: std::net::IpAddr = [10, 0, 0, 2].into();
    flows.net.fate = Box::new(move |_, f| {
        let is_far = f.src_ip() == Some(far) || f.dst_ip() == Some(far);
        Some(ms(if is_far { delay * (factor - 1) } else { 0 }))
    });
    flows.run(Duration::from_secs(30));
    let got = flows.run(Duration::from_secs(120));
    let used = (got[0] + got[1]) as f64 * 8.0 * 1514.0 / 1448.0 / 120.0 / rate as f64;
    (got[0] as f64 / got[1] as f64, used)
}

/// RFC 9438 §3.3: with CUBIC the shares of flows with different round trips stand in the inverse
/// ratio of these, or closer; with Reno about in its square (Lakshman and Madhow 1997). The
/// bottleneck's queue belongs to both round trips, so that the ratio is smaller than that of the bare
/// ways.
#[test]
fn round_trips_share_as_published() {
    let mut table = String::from("longer by    cubic    reno\n");
    for factor in [2, 4] {
        let (cubic, used) = rtt_share(Congestion::Cubic, factor);
        let (reno, _) = rtt_share(Congestion::Reno, factor);
        table += &format!("{factor:9}{cubic:9.2}{reno:8.2}\n");
        assert!(used > 0.95, "{factor}: {used:.3} used");
        // Half of the queue belongs to both round trips.
        let (factor, half) = (factor as f64, factor as f64 / 2.0);
        let seen = (factor + half) / (1.0 + half);
        let least = seen.sqrt() * 0.9;
        assert!((least..factor).contains(&cubic), "{factor}: CUBIC {cubic:.2}, {seen:.2}");
        assert!((seen..factor * factor).contains(&reno), "{factor}: Reno {reno:.2}, {seen:.2}");
        assert!(reno > 1.3 * cubic, "{factor}: CUBIC {cubic:.2}, Reno {reno:.2}");
    }
    insta::assert_snapshot!(table);
}

/// HyStart++ leaves slow start before a queue of four bandwidth-delay products overflows (RFC 9406
/// §1).
#[test]
fn hystart_loses_less_in_slow_start() {
    let copies = |hystart| {
        let config = TcpConfig { hystart, ..config(Congestion::Cubic) };
        let mut flows = Flows::new(&[config], 25, 40_000_000, 800_000);
        flows.run(Duration::from_secs(3));
        flows.net.hosts[0].stats().tcp_retransmits
    };
    let (off, plus) = (copies(Hystart::Off), copies(Hystart::PlusPlus));
    assert!(plus * 3 < off, "{plus} copies instead of {off}");
}
