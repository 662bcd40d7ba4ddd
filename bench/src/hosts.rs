//! Many hosts: what they cost to build, to keep, and to run.

use std::rc::Rc;

use cpu_time::ProcessTime;
use netarium_base::{Duration, Instant, Seed};
use netarium_world::{HostSpec, LinkSpec, RouteSpec, SwitchSpec, World, WorldBuilder};

use crate::goodput::{host, words};
use crate::programs::Plain;

/// Hosts on one switch.
const PER_SWITCH: usize = 100;

/// Builds `n` idle hosts, 100 to a switch, each switch behind a router on a common backbone.
pub(crate) fn idle(n: usize) {
    let before = resident();
    let start = ProcessTime::now();
    let world = network(n, None);
    let built = start.elapsed().as_secs_f64() * 1e3;
    let kept = resident().saturating_sub(before);
    println!("{n} hosts behind {} switches and routers:", n.div_ceil(PER_SWITCH));
    println!(
        "  built in {built:.1} ms of processor time, {:.1} kB per host",
        kept as f64 / 1e3 / n as f64
    );
    drop(world);
}

/// `n` hosts fetch 10 kB each from one server.
pub(crate) fn star(n: usize) {
    let before = resident();
    let start = ProcessTime::now();
    let mut world = network(n, Some(10_000));
    let built = start.elapsed().as_secs_f64();
    let start = ProcessTime::now();
    world.run_until_idle(Instant::ZERO + Duration::from_secs(600));
    let ran = start.elapsed().as_secs_f64();
    let events = world.events();
    let peak = peak().saturating_sub(before);
    println!("{n} hosts fetch 10 kB each from one server:");
    println!("  built in {built:.3} s, run in {ran:.3} s of processor time");
    println!(
        "  {events} events, {:.0} ns each; {:.1} kB per host at peak; {} of virtual time",
        ran * 1e9 / events as f64,
        peak as f64 / 1e3 / n as f64,
        world.now()
    );
    let failed: usize =
        world.hosts().map(|h| world.exited(h.id).iter().filter(|p| p.code != 0).count()).sum();
    assert_eq!(failed, 0, "every host fetched its 10 kB");
}

/// What an event costs as the number of hosts grows: all fetch 10 kB within two virtual seconds.
pub(crate) fn curve(most: usize) {
    println!("hosts that fetch 10 kB each from one server, within two virtual seconds:");
    let sizes = [100, 1_000, 10_000, 100_000];
    for n in sizes.into_iter().filter(|n| *n <= most) {
        let mut costs = Vec::new();
        let mut events = 0;
        // Small networks are over too soon to be measured once.
        for _ in 0..(30_000 / n).max(1) {
            let mut world = network(n, Some(10_000));
            let start = ProcessTime::now();
            world.run_until_idle(Instant::ZERO + Duration::from_secs(600));
            events = world.events();
            costs.push(start.elapsed().as_secs_f64() * 1e9 / events as f64);
        }
        println!("  {n:7} hosts {events:9} events  {:6.0} ns each", crate::median(costs));
    }
}

fn network(n: usize, fetch: Option<u64>) -> World {
    let route = |via: &str, to: &str| RouteSpec {
        to: to.parse().expect("a prefix"),
        via: via.parse().ok(),
        iface: 0,
    };
    let mut b =
        WorldBuilder::new(Seed(1)).programs(Rc::new(Plain)).switch(SwitchSpec::new("backbone"));
    let mut server = host("server", &[("backbone", "172.16.255.254/16")]);
    for s in 0..n.div_ceil(PER_SWITCH) {
        let (lan, router) = (format!("lan{s}"), format!("router{s}"));
        let (hi, lo) = (s / 250, s % 250 + 1);
        let gateway = format!("10.{hi}.{lo}.254");
        let backbone = format!("172.16.{hi}.{lo}");
        server.routes.push(route(&backbone, &format!("10.{hi}.{lo}.0/24")));
        let lan_address = format!("{gateway}/24");
        let backbone_address = format!("{backbone}/16");
        let interfaces = [(lan.as_str(), &*lan_address), ("backbone", &*backbone_address)];
        b = b
            .switch(SwitchSpec::new(lan.clone()))
            .host(HostSpec { forwarding: true, ..host(&router, &interfaces) })
            .link(LinkSpec::new(format!("{router}.{lan}"), (router.clone(), 0), lan.clone()))
            .link(LinkSpec::new(format!("{router}.backbone"), (router.clone(), 1), "backbone"));
        for h in 0..PER_SWITCH.min(n - s * PER_SWITCH) {
            let name = format!("h{s}-{h}");
            let address = format!("10.{hi}.{lo}.{}/24", h + 1);
            let spec = host(&name, &[(&lan, &address)]);
            b = b
                .host(HostSpec { routes: vec![route(&gateway, "0.0.0.0/0")], ..spec })
                .link(LinkSpec::new(format!("{name}.{lan}"), name.clone(), lan.clone()));
            if fetch.is_some() {
                // Spread over two seconds, as in the ns-3 yardstick.
                let at =
                    Duration::from_nanos(2_000_000_000 / n as u64 * (s * PER_SWITCH + h) as u64);
                b = b.run(name, words("fetch 172.16.255.254:80"), Instant::ZERO + at);
            }
        }
    }
    b = b.link(LinkSpec::new("server.backbone", "server", "backbone")).host(server);
    if let Some(bytes) = fetch {
        b = b.daemon("server", words(&format!("serve 80 {bytes}")));
    }
    b.build().expect("a valid network")
}

/// A figure of this process in bytes, from `/proc/self/status`; 0 where there is none.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn resident() -> u64 {
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}
