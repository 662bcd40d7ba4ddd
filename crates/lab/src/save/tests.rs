//! Worlds that were changed, and what becomes of their lab files.

use std::rc::Rc;

use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process, Program, Programs};
use netarium_world::{Command, Directions, LinkChange, World};

use super::*;
use crate::edit::{forward_port, inbound_rule as read_rule};
use crate::{BuiltIn, builtin};

#[derive(Debug)]
struct Waits;

const NAMES: [&str; 7] = ["httpd", "curl", "dig", "nsd", "ping", "shop", "unbound"];

impl Programs for Waits {
    fn names(&self) -> Vec<&'static str> {
        NAMES.to_vec()
    }

    fn start(&self, name: &str) -> Option<Program> {
        fn wait(p: Process) -> LocalBoxFuture<i32> {
            Box::pin(async move { p.terminated().await.into() })
        }
        NAMES.contains(&name).then_some(wait as Program)
    }
}

fn course() -> &'static BuiltIn {
    builtin("course").unwrap()
}

fn world() -> World {
    let lab = course().load(&NAMES).unwrap();
    let programs = Rc::new(Waits);
    let options =
        crate::build::BuildOptions { seed: 1, epoch: None, trace_limit: 0, runs: false, programs };
    let mut world = crate::build::world(&lab, options).unwrap();
    world.run_until(netarium_base::Instant::from_nanos(1));
    world
}

fn order(world: &mut World, command: Command) {
    world.command(command).unwrap();
}

fn saved(world: &World, text: &str) -> Result<Saved, SaveError> {
    save("lab.toml", text, &course().files(), &NAMES, &Present::of(world))
}

fn link(name: &str, directions: Directions, change: LinkChange) -> Command {
    Command::Link { link: name.to_owned(), directions, change }
}

#[test]
fn nothing_changed_is_nothing_written() {
    let saved = saved(&world(), course().toml).unwrap();
    assert_eq!((saved.text.as_str(), saved.changes.len()), (course().toml, 0));
}

/// All kinds of edits at once; the comments stay, and a world of the new file is as the old one.
#[test]
fn a_changed_world_comes_back_from_its_file() {
    let mut world = world();
    let host = str::to_owned;
    let loss = crate::edit::link_setting("loss", "5%").unwrap();
    order(&mut world, link("web.home", Directions::Both, loss));
    let delay = LinkChange::Delay(Duration::from_millis(20));
    order(&mut world, link("gateway.campus", Directions::Up, delay));
    order(&mut world, link("gateway.campus", Directions::Up, LinkChange::Rate(Some(10_000_000))));
    let (from, to) = (forward_port("tcp/8081").unwrap(), "192.168.17.20:80".parse().unwrap());
    order(&mut world, Command::AddForward { host: host("router"), from, to });
    let from = forward_port("tcp/65535").unwrap();
    order(&mut world, Command::RemoveForward { host: host("router"), from });
    let rule = read_rule("drop tcp/80 from 10.0.0.7/32", Some("not him")).unwrap();
    order(&mut world, Command::AddRule { host: host("web"), rule, before: Some(1) });
    let rule = read_rule("reject any", None).unwrap();
    order(&mut world, Command::AddRule { host: host("pc"), rule, before: None });
    let argv = vec![host("curl"), host("http://web/a b")];
    order(&mut world, Command::Start { host: host("pc"), argv });
    let pid = world.processes(world.host_id("web").unwrap());
    let pid = pid.iter().find(|p| p.daemon).unwrap().pid.0;
    order(&mut world, Command::Kill { host: host("web"), pid, signal: 9 });
    order(&mut world, Command::LinkUp { link: host("pc.home"), up: false });

    let first = saved(&world, course().toml).unwrap();
    assert_eq!(first.left_out, ["pc.home is down"]);
    insta::assert_snapshot!("changes", first.changes.join("\n"));
    let diff: Vec<_> = first.text.lines().filter(|l| !course().toml.contains(*l)).collect();
    insta::assert_snapshot!("lines", diff.join("\n"));
    let comments = |text: &str| text.lines().filter(|l| l.starts_with('#')).count();
    assert_eq!(comments(&first.text), comments(course().toml));
    // Once more changes nothing.
    let again = saved(&world, &first.text).unwrap();
    assert_eq!((again.changes.len(), again.text), (0, first.text));
}

#[test]
fn lists_keep_their_lines_and_comments() {
    let text = "version = 1\n[networks.lan]\nsubnet = \"10.0.0.0/24\"\n[hosts.a]\nnetworks.lan = \"10.0.0.1\"\n\
                firewall.inbound = [\n  # the web\n  { allow = \"tcp/80\" },\n  { allow = \"icmp\" }, # ping\n]\n";
    let read = |text: &str| Lab::from_parts("lab.toml", text, &Files::new(), &NAMES).unwrap();
    let programs = Rc::new(Waits);
    let options =
        crate::build::BuildOptions { seed: 1, epoch: None, trace_limit: 0, runs: false, programs };
    let mut world = crate::build::world(&read(text), options).unwrap();
    let host = || "a".to_owned();
    let rule = read_rule("allow udp/53", None).unwrap();
    order(&mut world, Command::AddRule { host: host(), rule, before: None });
    let present = Present::of(&world);
    let saved = save("lab.toml", text, &Files::new(), &NAMES, &present).unwrap();
    insta::assert_snapshot!("own_lines", saved.text);
    // The file was changed meanwhile so that it is about another lab.
    let other = text.replace("hosts.a", "hosts.b");
    let error = save("lab.toml", &other, &Files::new(), &NAMES, &present).unwrap_err();
    assert!(error.to_string().contains("has changed since"), "{error}");
    let broken = save("lab.toml", "version =", &Files::new(), &NAMES, &present).unwrap_err();
    assert!(matches!(broken, SaveError::Before(_)), "{broken}");
}

fn world_of(text: &str) -> World {
    let lab = Lab::from_parts("lab.toml", text, &Files::new(), &NAMES).unwrap();
    let programs = Rc::new(Waits);
    let options =
        crate::build::BuildOptions { seed: 1, epoch: None, trace_limit: 0, runs: false, programs };
    crate::build::world(&lab, options).unwrap()
}

/// Only the settings that differ are written, each where it stands, and what is said about the
/// others stays.
#[test]
fn comments_of_links_stay() {
    let text = r#"version = 1
[networks.lan]
subnet = "10.0.0.0/24"
link = { rate = "1Gbit", delay = "2ms" } # all of them

[hosts.a.networks.lan]
address = "10.0.0.1"

# The wire of a.
[hosts.a.networks.lan.link]
# far away
delay = "50ms" # really
queue = 100
# bad in one direction
up = { loss = 0.01 } # so it is

[hosts.b]
networks.lan = "10.0.0.2" # short
[hosts.c]
networks.lan = { address = "10.0.0.3", link.delay = "1ms" }
"#;
    let mut world = world_of(text);
    let set = |key: &str, value: &str| crate::edit::link_setting(key, value).unwrap();
    for (name, directions, change) in [
        ("a.lan", Directions::Both, set("delay", "70ms")),
        ("a.lan", Directions::Up, set("loss", "2%")),
        ("a.lan", Directions::Down, set("jitter", "5ms normal")),
        ("b.lan", Directions::Both, set("rate", "none")),
        ("c.lan", Directions::Down, set("delay", "3ms")),
        ("c.lan", Directions::Both, set("drop-match", "tcp port 80")),
        ("c.lan", Directions::Both, set("mtu", "1400")),
    ] {
        order(&mut world, link(name, directions, change));
    }
    let mirror = netarium_world::MirrorSpec { to: "c.lan".to_owned(), from: Vec::new() };
    let mirror = Command::Mirror { switch: "lan".to_owned(), mirror: Some(mirror) };
    order(&mut world, mirror);
    let sides = vec![vec!["a".to_owned()]];
    order(&mut world, Command::Partition { name: "p".to_owned(), sides, in_flight: false });
    let save = |text: &str| save("lab.toml", text, &Files::new(), &NAMES, &Present::of(&world));
    let saved = save(text).unwrap();
    assert_eq!(saved.left_out, ["the partition p"]);
    insta::assert_snapshot!("links", saved.text);
    let again = save(&saved.text).unwrap();
    assert_eq!((again.changes.len(), again.text), (0, saved.text));
}

/// Whatever is set, the file that is written says it.
#[test]
fn every_setting_comes_back() {
    let text = "version = 1\n[networks.n]\nsubnet = \"10.0.0.0/24\"\n\
                link = { mtu = 900, jitter = \"1ms\", corrupt = 0.5, drop_nth = 3, up.queue_bytes = 9 }\n\
                [hosts.a]\nnetworks.n = {}\n";
    let values = [
        ("delay", "7ms"),
        ("rate", "3Mbit"),
        ("queue", "9"),
        ("queue-bytes", "none"),
        ("loss", "3%"),
        ("loss-burst", "p 1% r 2% bad 3% good 4%"),
        ("drop-nth", "none"),
        ("drop-match", "not (arp or \\ tcp)"),
        ("drop-match", "not (arp or tcp)"),
        ("duplicate", "0.1%"),
        ("reorder", "1% by 1us"),
        ("corrupt", "0%"),
        ("jitter", "none"),
        ("mtu", "none"),
    ];
    for directions in [Directions::Both, Directions::Up, Directions::Down] {
        let mut world = world_of(text);
        for (key, value) in values {
            if let Ok(change) = crate::edit::link_setting(key, value) {
                order(&mut world, link("a.n", directions, change));
            }
            let present = Present::of(&world);
            let saved = save("lab.toml", text, &Files::new(), &NAMES, &present).unwrap();
            let after = Present::of(&world_of(&saved.text));
            assert_eq!(after.links, present.links, "{key} {directions:?}\n{}", saved.text);
        }
    }
}
