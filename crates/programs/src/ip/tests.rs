//! The grammar and the layouts of `ip`, beside iproute2's own output.

use netarium_base::IfIndex;
use netarium_stack::{IfCounters, NeighbourInfo, NeighbourState, Route};
use netarium_wire::{Cidr, Mac};

use super::*;

const MAC: Mac = Mac([2, 0x21, 0x70, 0x7d, 0xcb, 0x50]);

fn interfaces() -> [Interface; 2] {
    let lo = Interface {
        index: IfIndex(1),
        name: "lo".into(),
        mac: Mac([0; 6]),
        mtu: 65_535,
        addresses: vec!["127.0.0.1/8".parse().unwrap()],
        up: true,
        promiscuous: 0,
        counters: IfCounters { rx_bytes: 664_061, rx_packets: 498, ..IfCounters::default() },
    };
    let eth0 = Interface {
        index: IfIndex(2),
        name: "eth0".into(),
        mac: MAC,
        mtu: 1500,
        addresses: vec!["10.0.0.2/24".parse().unwrap()],
        up: true,
        promiscuous: 0,
        counters: IfCounters { tx_bytes: 12_345_678_901, ..IfCounters::default() },
    };
    [lo, eth0]
}

fn of(line: &str) -> Result<Command, Refusal> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&args)
}

#[test]
fn objects_and_commands_may_be_shortened() {
    let show =
        |o, dev: Option<&str>| Ok(Command::Show(Options::default(), o, dev.map(str::to_owned)));
    assert_eq!(of("a"), show(Object::Address, None));
    assert_eq!(of("addr sh dev lo"), show(Object::Address, Some("lo")));
    assert_eq!(of("address list eth0"), show(Object::Address, Some("eth0")));
    assert_eq!(of("r"), show(Object::Route, None));
    assert_eq!(of("neigh"), show(Object::Neighbour, None));
    assert_eq!(of("l dev eth0"), show(Object::Link, Some("eth0")));
    assert_eq!(of("r get 10.0.0.7"), Ok(Command::Get("10.0.0.7".parse().unwrap())));
    assert_eq!(of("foo").unwrap_err(), ("Object \"foo\" is unknown, try \"ip help\".\n".into(), 1));
    let wrong = "Command \"foo\" is unknown, try \"ip address help\".\n";
    assert_eq!(of("addr foo").unwrap_err(), (wrong.into(), 255));
    assert_eq!(of("").unwrap_err().1, 255);
    assert_eq!(of("-zz a").unwrap_err().1, 255);
    assert_eq!(of("addr add 10.0.0.9/24 dev eth0").unwrap_err().1, 2);
}

#[test]
fn addresses_and_links() {
    let all = interfaces();
    let all: Vec<&Interface> = all.iter().collect();
    insta::assert_snapshot!(show::addresses(&all, Options::default(), &|_, _| None), @r"
    1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65535 qdisc noqueue state UNKNOWN group default qlen 1000
        link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
        inet 127.0.0.1/8 scope host lo
           valid_lft forever preferred_lft forever
    2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
        link/ether 02:21:70:7d:cb:50 brd ff:ff:ff:ff:ff:ff
        inet 10.0.0.2/24 brd 10.0.0.255 scope global eth0
           valid_lft forever preferred_lft forever
    ");
    let options = Options { statistics: true, ..Options::default() };
    // Compared with iproute2 6.1, trailing blanks included.
    let lo = "\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65535 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    RX:  bytes packets errors dropped  missed   mcast           
        664061     498      0       0       0       0 
    TX:  bytes packets errors dropped carrier collsns           
             0       0      0       0       0       0 
";
    assert_eq!(show::links(&all[..1], options), lo);
    assert!(show::links(&all[1..], options).contains("\n    12345678901       0 "));
    let brief = show::brief(&all, true);
    assert_eq!(
        brief,
        "lo               UNKNOWN        127.0.0.1/8 \neth0             UP             10.0.0.2/24 \n"
    );
}

#[test]
fn routes_and_neighbours() {
    let all = interfaces();
    let chosen: Vec<&Interface> = all.iter().collect();
    let route = |to: &str, via: Option<&str>, iface| Route {
        to: to.parse::<Cidr>().unwrap(),
        via: via.map(|v| v.parse().unwrap()),
        iface: IfIndex(iface),
        metric: 0,
        source: None,
    };
    let routes = [
        route("127.0.0.0/8", None, 1),
        route("10.0.0.0/24", None, 2),
        route("0.0.0.0/0", Some("10.0.0.1"), 2),
        route("192.168.5.1", Some("10.0.0.9"), 2),
    ];
    let text = show::routes(&routes, &all, &chosen, Options::default());
    let expect = "default via 10.0.0.1 dev eth0 \n\
        10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.2 \n\
        192.168.5.1 via 10.0.0.9 dev eth0 \n";
    assert_eq!(text, expect);
    let to = "10.0.0.77".parse().unwrap();
    let own = "10.0.0.2".parse().unwrap();
    assert_eq!(
        show::route_get(&all, to, IfIndex(2), own, None, None),
        "10.0.0.77 dev eth0 src 10.0.0.2 uid 0 \n    cache \n"
    );
    assert_eq!(
        show::route_get(&all, to, IfIndex(2), own, None, Some((1_400, 597))),
        "10.0.0.77 dev eth0 src 10.0.0.2 uid 0 \n    cache expires 597sec mtu 1400 \n"
    );
    assert_eq!(
        show::route_get(&all, own, IfIndex(1), own, None, None),
        "local 10.0.0.2 dev lo src 10.0.0.2 uid 0 \n    cache <local> \n"
    );
    let neighbour = |address: &str, mac, state| NeighbourInfo {
        address: address.parse().unwrap(),
        mac,
        iface: IfIndex(2),
        state,
    };
    let rows = [
        neighbour("10.0.0.1", Some(MAC), NeighbourState::Reachable),
        neighbour("10.0.0.77", None, NeighbourState::Failed),
    ];
    assert_eq!(
        show::neighbours(&rows, &chosen),
        "10.0.0.1 dev eth0 lladdr 02:21:70:7d:cb:50 REACHABLE \n10.0.0.77 dev eth0 FAILED \n"
    );
}
