//! Two hosts on one wire.

use netarium_world::{Input, Output};

use super::common::{Shell, argv, lab};
use super::{Line, Outcome, Real, check, ours, real};

/// `web` is 192.168.17.17, `pc` 192.168.17.20. On `web` `nc` listens on 8080 (TCP)
/// and 9090 (UDP); `pc` has a connection open to the first.
const COMMANDS: &[Line] = &[
    ("web", "ss -tan"),
    ("web", "ss -tanp"),
    ("web", "ss -uan"),
    ("web", "ss -tuln"),
    ("web", "ss -H -tan"),
    ("web", "ss -t"),
    ("web", "ss -tan state established"),
    ("web", "ss -tan state listening"),
    ("web", "ss -tan sport = :8080"),
    ("web", "ss -tan dport = :8080"),
    ("web", "ss -tan '( sport = :1 or sport = :8080 )' and dst 192.168.17.0/24"),
    ("pc", "ss -tan"),
    ("pc", "ss -tn dst 192.168.17.17"),
    ("web", "netstat -tan"),
    ("web", "netstat -tln"),
    ("web", "netstat -uan"),
    ("web", "netstat -tanp"),
    ("web", "netstat -tanop"),
    ("web", "netstat -ant"),
    ("web", "netstat -t"),
    ("web", "netstat -rn"),
    ("pc", "netstat -nr"),
    ("web", "netstat -s"),
    ("web", "ss -tanpi state listening sport = :1"),
    ("pc", "ss -tinm"),
    ("web", "lsof -nP -i"),
    ("web", "lsof -nP -i tcp:8080"),
    ("web", "lsof -nP -i :1"),
    ("pc", "nc -vz 192.168.17.17 8081"),
    ("pc", "nc -z 192.168.17.17 8081"),
    ("pc", "nc -vzn 192.168.17.17 8081-8083"),
    ("pc", "nc -vz -w 1 192.168.17.99 80"),
    ("pc", "nc -vzn 1.1.1.1 80"),
    ("pc", "nc -vzu 192.168.17.17 9091"),
    ("pc", "nc 192.168.17.17"),
    ("pc", "nc -z 192.168.17.17 99999"),
    ("pc", "nc -z 192.168.17.17 abc"),
    ("pc", "nc -l 10.9.9.9 80"),
    ("pc", "nc -Q"),
    ("pc", "nc -lz 80"),
    ("pc", "nc -k 192.168.17.17 80"),
    ("pc", "nc -s 9.9.9.9 192.168.17.17 8080"),
    ("pc", "nc -vs 9.9.9.9 192.168.17.17 8080"),
    ("pc", "nc -u -s 9.9.9.9 192.168.17.17 9090"),
    ("pc", "nc -s ::1 192.168.17.17 8080"),
    ("pc", "nc -q abc 192.168.17.17 8080"),
    ("pc", "nc -w -1 192.168.17.17 8080"),
    ("pc", "nc -i 99999999999 192.168.17.17 8080"),
    ("pc", "nc -W 0 192.168.17.17 8080"),
    ("pc", "nc -M 999 192.168.17.17 8080"),
    ("pc", "nc -I abc 192.168.17.17 8080"),
    ("pc", "nc -6 192.168.17.17 8080"),
    ("pc", "nc -4 ::1 8080"),
    ("pc", "nc -6l 192.168.17.20 8080"),
    ("pc", "nc -n nosuch 8080"),
    ("pc", "nc -uz 192.168.17.17 1"),
    ("pc", "nc -uz 192.168.17.17 1-2"),
    ("pc", "nc -vuz 192.168.17.17 9090-9091"),
    ("pc", "nc -l -s 9.9.9.9 -p 90"),
    ("pc", "nc -l -s 192.168.17.20 90"),
    ("pc", "hostname -y"),
    ("pc", "hostname -d"),
    ("pc", "hostname -A"),
    ("pc", "hostname -a"),
    ("pc", "hostname -V"),
    ("pc", "hostname -h"),
    ("pc", "hostname -z"),
    ("pc", "hostname -I"),
    ("pc", "tail -f nofile"),
    ("pc", "tail nofile"),
    ("pc", "cat --nope"),
    ("pc", "netstat -st"),
    ("pc", "netstat -su"),
    ("pc", "env kill -l"),
    ("pc", "env kill -l 99"),
    ("pc", "nc -N 192.168.17.17 8085"),
    ("pc", "ping -c 1 -n 192.168.17.17"),
    ("pc", "ping -c 1 -W 1 -n 1.1.1.1"),
    ("pc", "ip route"),
    ("pc", "ip -br address show dev eth0"),
    ("pc", "arp -n 192.168.17.17"),
    ("pc", "route -n"),
    ("pc", "route"),
    ("pc", "route add -net 10.5.0.0 netmask 255.255.0.0 gw 192.168.17.17"),
    ("pc", "route add -host 10.6.0.1 gw 192.168.17.17 metric 5"),
    ("pc", "route add -net 10.5.0.0 netmask 255.255.0.0 gw 192.168.17.17"),
    ("pc", "route add default gw 9.9.9.9"),
    ("pc", "route -n"),
    ("pc", "netstat -rn"),
    ("pc", "ip route get 10.5.1.1"),
    ("pc", "route del -net 10.5.0.0/16"),
    ("pc", "route del -net 1.0.0.0/8"),
    ("pc", "route -n"),
];

/// The hosts, their servers, and a connection that stays open.
const HOSTS: &str = r#"
unshare -n sleep 300 & WEB=$!
while [ "$(readlink /proc/$WEB/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add eth0 type veth peer name eth0 netns $WEB
web() { nsenter -t $WEB -n "$@"; }
pc() { "$@"; }
web ip link set lo up
ip addr add 192.168.17.20/24 dev eth0
ip link set eth0 up
web ip addr add 192.168.17.17/24 dev eth0
web ip link set eth0 up
ip route add 172.16.0.0/16 via 192.168.17.99
web nc -lk 8080 >/dev/null </dev/null & A=$!
web nc -luk 9090 >/dev/null </dev/null & B=$!
until web ss -Htln | grep -q 8080; do :; done
until web ss -Huln | grep -q 9090; do :; done
sleep 300 | nc 192.168.17.17 8080 & C=$!
until web ss -Htn | grep -q 8080; do :; done
"#;

/// What the real programs say, or why they cannot be asked.
fn real() -> Real {
    real::need(&[
        "unshare", "nsenter", "ss", "netstat", "nc", "lsof", "ping", "ip", "arp", "route",
    ])?;
    real::need_openbsd_nc()?;
    real::run(HOSTS, COMMANDS, "kill -9 $A $B $C $WEB\n")
}

fn ours() -> Vec<Outcome> {
    let mut shell = Shell::new(lab(&["nc -lk 8080", "nc -luk 9090"]));
    let port = 1_000;
    let argv = argv("nc 192.168.17.17 8080");
    shell.world.apply(Input::Exec { port, host: "pc".into(), argv, stdin: true, credit: 1 << 20 });
    shell.wait(10);
    while let Some(output) = shell.world.poll_output() {
        assert!(!matches!(output, Output::Exit { .. }), "the connection must stay open");
    }
    ours::run(&mut shell, COMMANDS)
}

#[test]
fn the_real_programs_say_the_same() {
    check(COMMANDS, real, ours);
}
