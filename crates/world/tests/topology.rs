//! Switches, hubs, links and names in a whole world.

mod common;

use common::*;
use netarium_base::chance::probability;
use netarium_base::trace::Event;
use netarium_base::{DropReason, Duration, Instant, Place, Seed};
use netarium_filter::Filter;
use netarium_wire::Frame;
use netarium_world::capture::{CaptureInterface, Direction as CaptureDirection};
use netarium_world::process::{LocalBoxFuture, PingSocket, Process, Program, UdpSocket};
use netarium_world::{
    BuildError, CaptureSink, CaptureSpec, DirectionSpec, HubSpec, LinkSpec, RouteSpec, RunEnd,
    SwitchSpec, World, WorldBuilder,
};
use std::rc::Rc;

/// `ping ADDRESS`: prints the time that the answer took.
async fn ping(p: Process) -> i32 {
    let to = p.args()[1].parse().unwrap();
    let socket = PingSocket::new(&p).unwrap();
    let start = p.now();
    socket.send_to(to, 7, b"payload").await.unwrap();
    match socket.recv().await {
        Ok(reply) => {
            p.print(&format!("{} {} {:?}", reply.from, reply.seq, p.now() - start)).await;
            0
        }
        Err(e) => {
            p.print(&e.to_string()).await;
            1
        }
    }
}

async fn shout(p: Process) -> i32 {
    let socket = UdpSocket::bind(&p, "0.0.0.0:0".parse().unwrap()).unwrap();
    for _ in 0..100 {
        let _ = socket.send_to(&[0; 1_000], "10.0.0.2:9".parse().unwrap()).await;
    }
    0
}

fn programs() -> Vec<(&'static str, Program)> {
    vec![("ping", program!(ping)), ("shout", program!(shout))]
}

#[test]
fn the_time_of_a_ping_is_the_sum_of_its_wires() {
    let delay = Duration::from_nanos(1_001);
    let wire = DirectionSpec { delay, rate: Some(1_000_000_000), ..DirectionSpec::default() };
    let mut world = lan(wire, programs()).build().unwrap();
    // ARP request and reply (42 bytes) and echo request and reply (42 + 7), each over two wires.
    let frames = 2 * 2 * (42 * 8 + 1_001) + 2 * 2 * (49 * 8 + 1_001);
    assert_eq!(
        exec(&mut world, 1, "pc", "ping 10.0.0.2"),
        (0, format!("10.0.0.2 7 {}", Duration::from_nanos(frames)))
    );
    let again = 2 * 2 * (49 * 8 + 1_001);
    assert_eq!(exec(&mut world, 2, "pc", "ping 10.0.0.2").1, format!("10.0.0.2 7 {again}ns"));
    // A host visits itself over its own loopback link, whichever of its addresses it uses.
    for (port, address) in [(3, "127.0.0.1"), (4, "10.0.0.1")] {
        let own = exec(&mut world, port, "pc", &format!("ping {address}")).1;
        assert_eq!(own, format!("{address} 7 20us"));
    }
}

#[test]
fn a_switch_learns_where_hosts_are_and_a_hub_does_not() {
    let star = |hub: bool| {
        let b = WorldBuilder::new(Seed(1)).programs(Rc::new(Library(programs())));
        let mut b = match hub {
            true => b.hub(HubSpec { name: "net".to_owned(), title: None }),
            false => b.switch(SwitchSpec::new("net")),
        };
        for n in 1..=3 {
            let name = format!("h{n}");
            b = b.host(host(&name, &format!("10.0.0.{n}/24")));
            b = b.link(LinkSpec::new(format!("{name}.net"), (name, 0), "net"));
        }
        let mut world = b.build().unwrap();
        exec(&mut world, 1, "h1", "ping 10.0.0.2");
        world
    };
    let switched = star(false);
    let net = switched.node_id("net").unwrap();
    let tx = |w: &World| w.port_counters(net).iter().map(|c| c.tx_frames).collect::<Vec<_>>();
    // h3 heard the one ARP request only.
    assert_eq!(tx(&switched), [2, 2, 1]);
    let ports: Vec<_> = switched.switch_table(net).iter().map(|e| e.port.0).collect();
    assert_eq!((ports.len(), ports.iter().sum::<u16>()), (2, 3));
    assert_eq!(tx(&star(true)), [2, 2, 4]);
    assert_eq!(switched.name_table().nodes().collect::<Vec<_>>(), ["h1", "h2", "h3", "net"]);
}

#[test]
fn a_full_queue_is_counted_where_it_is() {
    let wire = DirectionSpec { rate: Some(1_000_000), queue: 10, ..DirectionSpec::default() };
    let mut world = lan(wire, programs()).build().unwrap();
    exec(&mut world, 1, "pc", "ping 10.0.0.2");
    exec(&mut world, 2, "pc", "shout");
    assert_eq!(world.run_until_idle(secs(100)), RunEnd::Idle);
    let link = world.link_id("pc.net").unwrap();
    let [up, _] = world.link_stats(link).unwrap();
    assert_eq!((up.dropped_full, up.sent_frames), (89, 2 + 11));
    let drops: Vec<_> = world.drops().collect();
    let here = Place::Link(link, netarium_base::LinkEnd::A);
    assert!(drops.contains(&(here, DropReason::LinkQueueFull, 89)), "{drops:?}");
}

#[test]
fn lost_frames_are_traced_at_their_wire() {
    let wire = DirectionSpec { loss: probability(1.0), ..DirectionSpec::default() };
    let mut world = lan(wire, programs()).trace_limit(10_000).build().unwrap();
    assert_eq!(exec(&mut world, 1, "pc", "ping 10.0.0.2"), (1, "No route to host".to_owned()));
    let link = world.link_id("pc.net").unwrap();
    let [up, _] = world.link_stats(link).unwrap();
    assert!(up.dropped_loss >= 3 && up.dropped_loss == up.sent_frames, "{up:?}");
    let lost = |e: &Event| matches!(e, Event::Dropped { reason: DropReason::LinkLoss, .. });
    let traced = world.tracer().records().filter(|r| lost(&r.event)).count();
    assert_eq!(traced as u64, up.dropped_loss);
}

/// Nothing may depend on the order in which the parts of a world are named.
#[test]
fn the_order_of_building_does_not_matter() {
    let wire = DirectionSpec { loss: probability(0.2), ..DirectionSpec::default() };
    let run = |reversed: bool| {
        let mut parts: Vec<usize> = (0..4).collect();
        if reversed {
            parts.reverse();
        }
        let mut b = WorldBuilder::new(Seed(3)).programs(Rc::new(Library(programs())));
        for part in parts {
            b = match part {
                0 => b.switch(SwitchSpec::new("net")),
                1 => b.host(host("a", "10.0.0.1/24")).host(host("b", "10.0.0.2/24")),
                _ => {
                    let name = if part == 2 { "a" } else { "b" };
                    let mut link = LinkSpec::new(format!("{name}.net"), (name, 0), "net");
                    (link.up, link.down) = (wire, wire);
                    b.link(link)
                }
            };
        }
        let trace = Bytes::default();
        let b = b.run("a", argv("ping 10.0.0.2"), secs(1)).run("b", argv("shout"), secs(1));
        let mut world = b.build().unwrap();
        let names = world.name_table();
        let sink = netarium_world::JsonTrace::new(trace.clone(), names);
        world.tracer_mut().add_sink(Box::new(sink));
        world.run_until_idle(secs(100));
        trace.0.take()
    };
    let first = run(false);
    assert!(first.len() > 10_000);
    assert!(first == run(true));
}

/// Notes by interface whether frames still have their handle of connection tracking.
struct Handles(Rc<std::cell::RefCell<Vec<(usize, bool)>>>);

impl CaptureSink for Handles {
    fn begin(&mut self, _: u64, _: Instant, _: &[CaptureInterface]) {}

    fn frame(&mut self, interface: usize, _: Instant, _: CaptureDirection, frame: &Frame) {
        self.0.borrow_mut().push((interface, frame.meta.conntrack.is_some()));
    }

    fn end(&mut self, _: Instant) {}
}

#[test]
fn what_a_host_knows_of_a_connection_comes_back_over_loopback_and_goes_nowhere_else() {
    let mut pc = host("pc", "10.0.0.1/24");
    pc.filter = Some(Box::new(|node| Filter::new(node, Seed(1).luck("pc", "conntrack"))));
    let b = WorldBuilder::new(Seed(1)).programs(Rc::new(Library(programs())));
    let b = b.host(pc).host(host("web", "10.0.0.2/24"));
    let mut world = b.link(LinkSpec::new("pc.web", ("pc", 0), ("web", 0))).build().unwrap();
    let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
    let links = ["pc.lo", "pc.web"].map(|name| world.link_id(name).unwrap());
    let spec = CaptureSpec { links: links.to_vec(), ..CaptureSpec::default() };
    world.capture(&spec, Box::new(Handles(Rc::clone(&seen))));
    exec(&mut world, 1, "pc", "ping 127.0.0.1");
    assert_eq!(seen.take(), [(0, true), (0, true)]);
    exec(&mut world, 2, "pc", "ping 10.0.0.2");
    let across = seen.take();
    assert!(across.len() == 4 && across.iter().all(|&(i, known)| i >= 2 && !known), "{across:?}");
}

#[test]
fn what_does_not_fit_together_is_named() {
    let base = || WorldBuilder::new(Seed(1)).host(host("a", "10.0.0.1/24"));
    let link = |a: &str, n, b: &str| LinkSpec::new("l", (a, n), b);
    let error = |b: WorldBuilder| b.build().unwrap_err().to_string();
    assert_eq!(error(base().switch(SwitchSpec::new("a"))), "the name `a` is used twice");
    assert_eq!(error(base().link(link("a", 0, "x"))), "link l: there is no node called `x`");
    assert_eq!(error(base().link(link("a", 1, "a"))), "link l: `a` has no interface number 1");
    assert_eq!(
        error(base().link(link("a", 0, "a"))),
        "link l: interface number 0 of `a` has a link already"
    );
    assert_eq!(error(base().daemon("b", argv("x"))), "x: there is no host called `b`");
    assert_eq!(error(base().gateway("b")), "the gateway: there is no host called `b`");
    let mut lost = host("r", "10.0.0.3/24");
    let to = "0.0.0.0/0".parse().unwrap();
    lost.routes.push(RouteSpec { to, via: Some("10.0.0.1".parse().unwrap()), iface: 1 });
    let e = WorldBuilder::new(Seed(1)).host(lost).build().unwrap_err();
    assert!(matches!(e, BuildError::NoSuchInterface { iface: 1, .. }), "{e}");
}
