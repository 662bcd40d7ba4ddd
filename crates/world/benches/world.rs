//! What an event costs in queues of several sizes, and what hosts cost to build.

use divan::Bencher;
use netarium_base::{Instant, Seed};
use netarium_wire::frame::mac_for_name;
use netarium_world::queue::{Key, Queue};
use netarium_world::{HostSpec, IfaceSpec, LinkSpec, SwitchSpec, World, WorldBuilder};

fn main() {
    divan::main();
}

/// Takes the next event and puts another one in, in a queue of `n`.
#[divan::bench(args = [10, 1_000, 10_000, 100_000])]
fn event(bencher: Bencher, n: u64) {
    let mut queue = Queue::default();
    let mut rng = Seed(1).stream("bench", "times");
    for i in 0..n {
        queue.push(Key::new(Instant::from_nanos(rng.next_u64() >> 40), i as u32, 0), (0u32, 0u64));
    }
    let mut sequence = 0;
    bencher.bench_local(|| {
        let (key, what) = queue.pop().expect("as many go in as come out");
        sequence += 1;
        let later = key.at().as_nanos() + (rng.next_u64() >> 40);
        queue.push(Key::new(Instant::from_nanos(later), sequence as u32 % 1_000, sequence), what);
    });
}

/// Builds `n` hosts on switches of 100.
#[divan::bench(args = [1_000, 10_000], sample_count = 10)]
fn build(bencher: Bencher, n: usize) {
    bencher.bench_local(|| network(n));
}

fn network(n: usize) -> World {
    let mut b = WorldBuilder::new(Seed(1));
    for i in 0..n {
        let (switch, name) = (format!("net{}", i / 100), format!("h{i}"));
        if i % 100 == 0 {
            b = b.switch(SwitchSpec::new(switch.clone()));
        }
        let address = format!("10.{}.{}.{}/24", i / 25_600, i / 100 % 256, i % 100 + 1);
        let interface = IfaceSpec {
            name: "eth0".to_owned(),
            mac: mac_for_name(&name),
            mtu: 1_500,
            addresses: vec![address.parse().expect("an address")],
        };
        let interfaces = vec![interface];
        b = b.link(LinkSpec::new(format!("{name}.{switch}"), (name.as_str(), 0), switch));
        b = b.host(HostSpec { name, interfaces, ..HostSpec::default() });
    }
    b.build().expect("a valid network")
}
