//! One TCP transfer client → router (NAT) → server.

use std::cell::Cell;
use std::rc::Rc;

use cpu_time::ProcessTime;
use netarium_base::{Duration, IfIndex, Instant, NodeId, Seed};
use netarium_filter::{Chain, Filter, Match, PortRange, Rule, Target};
use netarium_wire::frame::mac_for_name;
use netarium_world::{
    ByteSink, CaptureSpec, Ends, HostSpec, IfaceSpec, LinkSpec, PcapSink, RouteSpec, SwitchSpec,
    World, WorldBuilder,
};

use crate::{median, peer, programs::Plain};

const RUNS: usize = 5;

/// What the router does besides forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Middle {
    /// Nothing.
    Plain,
    /// Address translation.
    Nat,
    /// Address translation and a chain of rules, of which the last lets the flow pass.
    Rules,
}

pub(crate) fn run(megabytes: u64, captures: bool, trace: bool, plain: bool) {
    let bytes = megabytes * 1_000_000;
    if plain {
        return beside_plain(megabytes);
    }
    let ours = median((0..RUNS).map(|_| transfer(bytes, captures, trace, Middle::Nat)).collect());
    let theirs = median((0..RUNS).map(|_| peer::smoltcp(bytes)).collect());
    let what = match (captures, trace) {
        (true, _) => ", four link ends captured",
        (_, true) => ", trace kept",
        _ => "",
    };
    println!("client -> router (NAT) -> server, 1448-byte segments, {megabytes} MB{what}:");
    println!("  netarium                         {ours:8.0} MB of payload per processor second");
    println!("  smoltcp, bare end points         {theirs:8.0} MB/s   ratio {:.2}", ours / theirs);
}

/// What NAT and rules cost: the kinds of router take turns, so that the machine's moods meet all.
fn beside_plain(megabytes: u64) {
    let kinds = [Middle::Plain, Middle::Nat, Middle::Rules];
    let mut figures = kinds.map(|_| Vec::new());
    for _ in 0..RUNS {
        for (kind, all) in kinds.into_iter().zip(&mut figures) {
            all.push(transfer(megabytes * 1_000_000, false, false, kind));
        }
    }
    let [plain, nat, rules] = figures.map(median);
    println!("client -> router -> server, 1448-byte segments, {megabytes} MB:");
    println!("  plain forwarding                 {plain:8.0} MB of payload per processor second");
    println!("  NAT                              {nat:8.0} MB/s   ratio {:.2}", nat / plain);
    println!("  NAT and twenty rules             {rules:8.0} MB/s   ratio {:.2}", rules / plain);
}

/// MB of payload per processor second.
fn transfer(bytes: u64, captures: bool, trace: bool, middle: Middle) -> f64 {
    let mut world = network(bytes, trace, middle);
    let written = Rc::new(Cell::new(0u64));
    if captures {
        capture(&mut world, Rc::clone(&written));
    }
    let start = ProcessTime::now();
    world.run_until_idle(Instant::ZERO + Duration::from_secs(3600));
    let spent = start.elapsed().as_secs_f64();
    let server = world.host_id("server").expect("the server");
    let stack = world.stack(server).expect("its stack");
    let received: u64 = stack.interfaces().iter().map(|i| i.counters.rx_bytes).sum();
    assert!(received > bytes, "{received} of {bytes} bytes arrived");
    assert!(!captures || written.get() > 3 * bytes, "the captures hold the transfer");
    bytes as f64 / 1e6 / spent
}

/// Counts what would go to a file.
struct Counter(Rc<Cell<u64>>, Vec<u8>);

impl ByteSink for Counter {
    fn write(&mut self, bytes: &[u8]) {
        self.0.set(self.0.get() + bytes.len() as u64);
        self.1.clear();
        self.1.extend_from_slice(bytes);
    }
}

fn capture(world: &mut World, written: Rc<Cell<u64>>) {
    let links = ["client.inside", "server.outside"].map(|n| world.link_id(n).expect("a link"));
    let spec = CaptureSpec { links: links.to_vec(), ends: Ends::Both, ..CaptureSpec::default() };
    world.capture(&spec, Box::new(PcapSink::new(Counter(written, Vec::new()))));
}

fn network(bytes: u64, trace: bool, middle: Middle) -> World {
    let via = "192.168.1.1".parse().ok();
    let default = RouteSpec { to: "0.0.0.0/0".parse().expect("a prefix"), via, iface: 0 };
    // Without NAT the server must know the way back.
    let back = RouteSpec { via: "10.0.0.1".parse().ok(), ..default };
    WorldBuilder::new(Seed(1))
        .trace_limit(if trace { 1_000_000 } else { 0 })
        .programs(Rc::new(Plain))
        .switch(SwitchSpec::new("inside"))
        .switch(SwitchSpec::new("outside"))
        .host(HostSpec { routes: vec![default], ..host("client", &[("inside", "192.168.1.2/24")]) })
        .host(HostSpec { routes: vec![back], ..host("server", &[("outside", "10.0.0.2/24")]) })
        .host(HostSpec {
            forwarding: true,
            filter: (middle != Middle::Plain)
                .then(|| -> FilterOf { Box::new(move |node| filter(node, middle)) }),
            ..host("router", &[("inside", "192.168.1.1/24"), ("outside", "10.0.0.1/24")])
        })
        .link(LinkSpec::new("client.inside", "client", "inside"))
        .link(LinkSpec::new("router.inside", ("router", 0), "inside"))
        .link(LinkSpec::new("router.outside", ("router", 1), "outside"))
        .link(LinkSpec::new("server.outside", "server", "outside"))
        .daemon("server", words("sink 80"))
        .run("client", words(&format!("source 10.0.0.2:80 {bytes}")), Instant::ZERO)
        .build()
        .expect("a valid network")
}

/// How a host gets its filter.
type FilterOf = Box<dyn FnOnce(NodeId) -> Filter>;

fn filter(node: NodeId, middle: Middle) -> Filter {
    let mut filter = Filter::new(node, Seed(1).luck("router", "nat"));
    filter.nat_router(IfIndex(2), IfIndex(3), Vec::new()).expect("a valid NAT");
    if middle == Middle::Rules {
        let rule = |matches, target| Rule::new(matches, target, "rule".into()).expect("a rule");
        for port in 1..20 {
            let matches = Match {
                protocol: Some(6.into()),
                destination_ports: Some(PortRange::one(1_000 + port).into()),
                ..Match::default()
            };
            filter.append_rule(Chain::Forward, rule(matches, Target::Drop)).expect("room");
        }
        let all = rule(Match::default(), Target::Accept);
        filter.append_rule(Chain::Forward, all).expect("room");
    }
    filter
}

pub(crate) fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

pub(crate) fn host(name: &str, interfaces: &[(&str, &str)]) -> HostSpec {
    let iface = |(i, (network, address)): (usize, &(&str, &str))| IfaceSpec {
        name: format!("eth{i}"),
        mac: mac_for_name(&format!("{name}.{network}")),
        mtu: 1500,
        addresses: vec![address.parse().expect("an address")],
    };
    HostSpec {
        name: name.to_owned(),
        interfaces: interfaces.iter().enumerate().map(iface).collect(),
        ..HostSpec::default()
    }
}
