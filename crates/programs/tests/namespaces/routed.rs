//! Two hosts with a router between them, and what travels further than a wire: errors from on the
//! way, the way itself, whole connections.

use std::rc::Rc;

use netarium_base::Seed;
use netarium_programs::Builtin;
use netarium_wire::frame::mac_for_name;
use netarium_world::{
    FileTree, HostSpec, IfaceSpec, LinkSpec, RouteSpec, SwitchSpec, World, WorldBuilder,
};

use super::common::{EPOCH, Shell};
use super::{Line, Outcome, check, ours, real};

/// `pc` is 10.0.1.2, `web` 10.0.2.2; the router is 10.0.1.1 and 10.0.2.1 and knows no other way. On
/// `web`, 8080 takes everything, 8081 gives one page, 5001 is iperf's.
const COMMANDS: &[Line] = &[
    ("pc", "hostname"),
    ("web", "hostname; hostname -I"),
    ("pc", "ping -c 1 -n 10.0.2.2"),
    ("pc", "ping -c 2 -i 0.2 -q -n 10.0.2.2"),
    ("pc", "ping -c 1 -n -t 1 10.0.2.2"),
    ("pc", "ping -c 1 -n 10.0.2.99"),
    ("pc", "ping -c 1 -n 10.0.1.99"),
    ("pc", "ping -c 1 -n -M do -s 2000 10.0.2.2"),
    ("pc", "ping -c 1 -n -s 4000 10.0.2.2"),
    ("pc", "traceroute -n 10.0.2.2"),
    ("pc", "traceroute -n -I -q 1 10.0.2.2"),
    ("pc", "traceroute -n -m 1 10.0.2.2"),
    ("pc", "traceroute -n -f 2 -q 2 10.0.2.2 100"),
    ("pc", "curl -sS http://10.0.2.2:81/"),
    ("pc", "curl -sS --connect-timeout 1 http://10.0.2.99/"),
    ("pc", "curl -sS -m 1 http://10.0.2.2:8080/"),
    ("pc", "curl -sS -i http://10.0.2.2:8081/"),
    ("pc", "nc -vz 10.0.2.2 8080"),
    ("pc", "dig @10.0.2.2 www.shop.lab +time=1 +tries=1"),
    ("pc", "nslookup -timeout=1 -retry=1 www.shop.lab 10.0.2.2"),
    ("pc", "iperf -c 10.0.2.2 -n 1M"),
    ("pc", "iperf -c 10.0.2.2 -p 9"),
    ("router", "ip route"),
    ("router", "route -n"),
    ("router", "netstat -rn"),
    ("pc", "netstat -r"),
    ("pc", "ip route get 10.0.2.2"),
    ("pc", "ip route get 10.0.1.1"),
    ("router", "ip -br address"),
    ("router", "ifconfig"),
    ("pc", "ifconfig -s | head -n 2"),
    ("pc", "ifconfig eth9; echo $?; ifconfig -x"),
    (
        "pc",
        "tcpdump -Z root -n -t -i eth0 -c 4 tcp port 8080 2>/dev/null & sleep 1; echo hello | nc -N 10.0.2.2 8080; wait",
    ),
    (
        "router",
        "tcpdump -Z root -n -t -i eth1 -c 2 icmp 2>/dev/null & sleep 1; ping -c 1 10.0.2.2 >/dev/null; wait",
    ),
    ("pc", "netstat -s"),
    ("router", "netstat -s"),
    ("pc", "kill -l 15; kill -9 99999; kill x; env kill 99999; env kill -l 9; echo $?"),
    ("pc", "env kill; env kill -FOO 1; env kill 1x"),
];

/// Who closes first waits: `curl` closes on its side, `nc -lN` on the server's.
const WAITING: &[Line] = &[
    ("pc", "netstat -tan"),
    ("web", "netstat -tan"),
    ("pc", "echo hello | nc -N 10.0.2.2 8080; sleep 0.5"),
    ("pc", "netstat -tan"),
    ("pc", "netstat -tano"),
    ("pc", "ss -tan"),
    ("pc", "ss -tano state time-wait"),
    ("web", "netstat -tan"),
    ("pc", "nc 10.0.2.2 8081 | tail -n 1; sleep 0.5"),
    ("pc", "ss -Htan"),
    ("web", "ss -Htan state time-wait"),
];

/// Three namespaces; no limit on errors, since the commands come quickly.
const HOSTS: &str = r#"
hostname pc
unshare -nu sleep 300 & ROUTER=$!
unshare -nu sleep 300 & WEB=$!
for PID in $ROUTER $WEB; do
  while [ "$(readlink /proc/$PID/ns/uts)" = "$(readlink /proc/self/ns/uts)" ]; do :; done
done
router() { nsenter -t $ROUTER -n -u "$@"; }
web() { nsenter -t $WEB -n -u "$@"; }
pc() { "$@"; }
router hostname router
web hostname web
ip link add eth0 type veth peer name eth0 netns $ROUTER
router ip link add eth1 type veth peer name eth0 netns $WEB
for HOST in router web; do $HOST ip link set lo up; done
for HOST in pc router web; do
  $HOST sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit'
done
router sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip addr add 10.0.1.2/24 dev eth0; ip link set eth0 up
router ip addr add 10.0.1.1/24 dev eth0; router ip link set eth0 up
router ip addr add 10.0.2.1/24 dev eth1; router ip link set eth1 up
web ip addr add 10.0.2.2/24 dev eth0; web ip link set eth0 up
ip route add default via 10.0.1.1
web ip route add default via 10.0.2.1
web nc -lk 8080 >/dev/null </dev/null & A=$!
printf 'HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n' | web nc -lN 8081 >/dev/null & B=$!
web iperf -s >/dev/null 2>&1 & C=$!
until web ss -Htln | grep -q 8080; do :; done
until web ss -Htln | grep -q 8081; do :; done
if command -v iperf; then until web ss -Htln | grep -q 5001; do :; done; fi
until ping -c 1 -W 1 10.0.2.2; do :; done
"#;

/// The servers on `web`.
const DAEMONS: [&[&str]; 3] = [
    &["nc", "-lk", "8080"],
    &[
        "sh",
        "-c",
        "printf 'HTTP/1.0 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n' | nc -lN 8081",
    ],
    &["iperf", "-s"],
];

fn host(name: &str, addresses: &[&str]) -> HostSpec {
    let iface = |(n, address): (usize, &&str)| IfaceSpec {
        name: format!("eth{n}"),
        mac: mac_for_name(&format!("{name}.{n}")),
        mtu: 1_500,
        addresses: vec![address.parse().expect("an address")],
    };
    HostSpec {
        name: name.to_owned(),
        interfaces: addresses.iter().enumerate().map(iface).collect(),
        files: Rc::new(FileTree::new()),
        ..HostSpec::default()
    }
}

fn world() -> World {
    let by = |router: &str| {
        let to = "0.0.0.0/0".parse().expect("a network");
        vec![RouteSpec { to, via: router.parse().ok(), iface: 0 }]
    };
    let pc = HostSpec { routes: by("10.0.1.1"), ..host("pc", &["10.0.1.2/24"]) };
    let web = HostSpec { routes: by("10.0.2.1"), ..host("web", &["10.0.2.2/24"]) };
    let both = ["10.0.1.1/24", "10.0.2.1/24"];
    let router = HostSpec { forwarding: true, ..host("router", &both) };
    let mut builder = WorldBuilder::new(Seed(1))
        .epoch(EPOCH)
        .programs(Rc::new(Builtin))
        .switch(SwitchSpec::new("inside"))
        .switch(SwitchSpec::new("outside"))
        .host(pc)
        .host(router)
        .host(web);
    for (name, end, net) in [
        ("pc.inside", ("pc", 0), "inside"),
        ("router.inside", ("router", 0), "inside"),
        ("router.outside", ("router", 1), "outside"),
        ("web.outside", ("web", 0), "outside"),
    ] {
        builder = builder.link(LinkSpec::new(name, end, (net, 0)));
    }
    for words in DAEMONS {
        builder = builder.daemon("web", words.iter().map(|w| (*w).to_owned()).collect());
    }
    builder.build().expect("a lab")
}

fn both(lines: &[Line]) {
    let tools = ["unshare", "nsenter", "ss", "netstat", "nc", "ping", "ip", "route", "hostname"];
    let real = || {
        real::need(&tools)?;
        real::need_openbsd_nc()?;
        real::run(HOSTS, lines, "kill -9 $A $B $C $ROUTER $WEB\n")
    };
    check(lines, real, || {
        let mut shell = Shell::new(world());
        // As there: the addresses of the neighbours are known.
        let first: Vec<Outcome> = ours::run(&mut shell, &[("pc", "ping -c 1 10.0.2.2")]);
        assert_eq!(first[0].0, 0, "{first:?}");
        ours::run(&mut shell, lines)
    });
}

#[test]
fn programs_say_the_same_across_a_router() {
    both(COMMANDS);
}

#[test]
fn whoever_closes_first_waits() {
    both(WAITING);
}
