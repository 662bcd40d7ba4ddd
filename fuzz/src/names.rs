//! Datagrams and files for name servers and DHCP: what is asked, what is answered, what is configured.

use std::rc::Rc;

use netarium::world::process::{LocalBoxFuture, Process, Program, Programs, UdpSocket};
use netarium::world::{Input, World};

use super::drive;

/// Where the liar finds what to say.
const LIES: &str = "lies";

const LAB: &str = r#"
version = 1
[networks.net]
subnet = "10.0.0.0/24"
[hosts.ns]
networks.net = "10.0.0.1"
programs = ["nsd lab=lab.zone"]
[hosts.resolver]
networks.net = "10.0.0.53"
programs = ["unbound -r hints"]
[hosts.liar]
networks.net = "10.0.0.66"
programs = ["liar 53", "liar 67"]
[hosts.pc]
networks.net = "10.0.0.7"
[hosts.router]
router = true
[hosts.router.networks.net]
address = "10.0.0.254"
dhcp = { range = "10.0.0.100-10.0.0.120" }
[hosts.web]
networks.net = "10.0.0.80"
[gateway]
network = "net"
address = "10.0.0.99"
"#;

const ZONE: &str = r#"$ORIGIN lab.
$TTL 1h
@ IN SOA ns.lab. me.lab. ( 1 2h 1h 2w 5m )
  IN NS ns
ns A 10.0.0.1
www 60 IN CNAME ns
m MX 10 ns
t TXT "a\"b" ( c
 d ) ; e
s SRV 0 5 80 ns
sub NS ns.sub
ns.sub A 10.0.0.66
* AAAA 2001:db8::1
p PTR ns
"#;
const HINTS: &str = ". 3600000 NS a.root.\na.root. 3600000 A 10.0.0.66\n";
const HTTPD: &str = "Listen 80\nServerName web\nDocumentRoot \"htdocs\"\n<Directory \"htdocs\">\n\
  Options -Indexes\nRequire ip 10.0.0.0/8\n</Directory>\nErrorDocument 404 \"no\"\n\
  <VirtualHost *:80>\nServerName a.lab\nRedirect 301 /x http://b.lab/\n</VirtualHost>\n";
const DHCPD: &str = "subnet 10.0.0.0 netmask 255.255.255.0 {\n range 10.0.0.100 10.0.0.120;\n\
  option routers 10.0.0.254;\n default-lease-time 600;\n}\nhost p { hardware ethernet 02:00:00:00:00:01; fixed-address 10.0.0.9; }\n";

/// The built-in programs, and `liar PORT`, which answers any datagram with the bytes of a file: behind
/// the first bytes of the datagram, by which a client knows its answer.
struct WithLiar;

impl Programs for WithLiar {
    fn names(&self) -> Vec<&'static str> {
        let mut names = netarium_programs::Builtin.names();
        names.push("liar");
        names.sort_unstable();
        names
    }

    fn start(&self, name: &str) -> Option<Program> {
        if name == "liar" { Some(liar) } else { netarium_programs::Builtin.start(name) }
    }
}

fn liar(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let port: u16 = p.args()[1].parse().expect("a port");
        let socket = UdpSocket::bind(&p, ([0, 0, 0, 0], port).into()).expect("a socket");
        socket.set_option(netarium_stack::SocketOption::Broadcast(true)).expect("an option");
        let mut buffer = [0; 2_000];
        loop {
            let Ok((len, meta)) = socket.recv_from(&mut buffer).await else { return 1 };
            let lies = p.read_file(LIES).map(|f| f.to_vec()).unwrap_or_default();
            let Some((how, lies)) = lies.split_first() else { continue };
            let to = if port == 67 { ([255, 255, 255, 255], 68).into() } else { meta.from };
            let mut answer = match (port, how & 1) {
                // The operation, transaction and hardware address; or only the question's identification.
                (67, _) => buffer[..8.min(len)].to_vec(),
                (_, 0) => buffer[..2.min(len)].to_vec(),
                _ => buffer[..question(&buffer[..len])].to_vec(),
            };
            if port == 67 {
                answer[0] = 2;
                answer.extend(lies.iter().take(20));
                answer.extend(buffer.get(28..44).unwrap_or_default());
            } else if let Some(head) = answer.get_mut(2..12) {
                head[0] |= 0x84;
                head[1] = how >> 1 & 7;
                head[2..].copy_from_slice(&[0, 1, 0, 1, 0, how >> 4 & 3, 0, how >> 6]);
            }
            answer.extend(lies.iter().skip(if port == 67 { 36 } else { 0 }).take(1_200));
            // An answer that cannot be sent is an answer that was lost.
            let _ = socket.send_to(&answer, to).await;
        }
    })
}

/// Where the first question of a message ends.
fn question(message: &[u8]) -> usize {
    let mut at = 12;
    while let Some(label @ 1..) = message.get(at) {
        at += 1 + usize::from(*label);
    }
    (at + 5).min(message.len())
}

fn world(files: &[(&str, &[u8])]) -> World {
    let mut known = netarium::program_names();
    known.push("liar");
    let mut all = netarium::lab::Files::new();
    for (path, bytes) in [("lab.zone", ZONE.as_bytes()), ("hints", HINTS.as_bytes())] {
        all.insert(path, bytes.to_vec()).expect("a path");
    }
    for (path, bytes) in files {
        all.insert(path, bytes.to_vec()).expect("a path");
    }
    let lab = netarium::lab::Lab::from_parts("lab.toml", LAB, &all, &known).expect("a lab");
    let options = netarium::lab::build::BuildOptions {
        seed: 1,
        epoch: None,
        trace_limit: 100,
        runs: false,
        programs: Rc::new(WithLiar),
    };
    let mut world = netarium::lab::build::world(&lab, options).expect("a world");
    world.run_until(netarium::Instant::from_nanos(1_000_000));
    world
}

fn exec(world: &mut World, port: u64, host: &str, line: &str) {
    drive::exec(world, port, host, line.split(' ').map(str::to_owned).collect());
}

fn ask(world: &mut World, port: u64, to: &str, datagram: &[u8]) {
    drive::open(world, port, true, to);
    world.apply(Input::Datagram { port, bytes: datagram.to_vec() });
    drive::pass(world, 20);
}

/// A byte that says what the others are: datagrams for servers, what a liar answers to a resolver or
/// to `dig`, a zone, or the liar's offers to a DHCP client.
pub(crate) fn names(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => {
            let mut world = world(&[]);
            for (port, to) in
                (1..).zip(["10.0.0.1:53", "10.0.0.53:53", "10.0.0.254:67", "10.0.0.66:53"])
            {
                ask(&mut world, port, to, &rest[..rest.len().min(1_400)]);
            }
            exec(&mut world, 9, "pc", "dig @10.0.0.1 www.lab +norecurse");
        }
        1 => exec(&mut world(&[(LIES, rest)]), 1, "pc", "dig @10.0.0.53 www.a.lab"),
        2 => exec(&mut world(&[(LIES, rest)]), 1, "pc", "dig @10.0.0.66 www.lab +dnssec +tries=1"),
        3 => exec(&mut world(&[("lab.zone", rest)]), 1, "pc", "dig @10.0.0.1 www.lab ANY"),
        _ => exec(&mut world(&[(LIES, rest)]), 1, "pc", "dhclient -1 -v eth0"),
    }
}

pub(crate) fn name_seeds() -> Vec<Vec<u8>> {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03www\x03lab\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";
    let referral =
        b"\x01a\x03lab\0\0\x02\0\x01\0\0\0\x3c\0\x05\x02ns\xc0\x0e\x02ns\x03lab\0\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x42";
    let mut dhcp = vec![1, 1, 6, 0, 1, 2, 3, 4];
    dhcp.resize(236, 0);
    dhcp.extend([99, 130, 83, 99, 53, 1, 1, 61, 7, 1, 2, 0, 0, 0, 0, 1, 55, 3, 1, 3, 6, 255]);
    let mut offer = vec![0, 0, 0x80, 0, 0, 0, 0, 0, 10, 0, 0, 77];
    offer.resize(228, 0);
    offer.extend([99, 130, 83, 99, 53, 1, 2, 54, 4, 10, 0, 0, 66, 51, 4, 0, 0, 2, 88]);
    offer.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 254, 6, 4, 10, 0, 0, 53, 255]);
    let with = |kind: u8, parts: &[&[u8]]| [&[kind], parts.concat().as_slice()].concat();
    vec![
        with(0, &[query]),
        with(0, &[&dhcp]),
        with(1, &[b"\x01", answer]),
        with(1, &[b"\x51", referral]),
        with(1, &[b"\0", &query[2..], answer]),
        with(2, &[b"\x01", answer]),
        with(2, &[b"\0", &query[2..], answer]),
        with(3, &[ZONE.as_bytes()]),
        with(4, &[b"\0", &offer]),
    ]
}

pub(crate) const NAME_WORDS: &[&str] = &[
    "\u{3}www\u{3}lab\u{0}",
    "\u{0}",
    "\n",
    " IN ",
    "$ORIGIN ",
    "$TTL ",
    "$INCLUDE ",
    "$GENERATE 1-9 ",
    "(",
    ")",
    "\"",
    "\\000",
    "@",
    "*",
    ".",
    "99999999999",
    "SOA ",
    "MX ",
    "TXT ",
    "CNAME ",
    "TYPE65 \\# 3 010203",
    ";",
];

/// A configuration of `httpd` or, behind a zero byte, of `dhcpd`; or, behind a one, a script.
pub(crate) fn configurations(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => {
            exec(&mut world(&[("dhcpd.conf", rest)]), 1, "pc", "dhcpd -t -cf dhcpd.conf");
        }
        Some((1, rest)) => exec(&mut world(&[("script", rest)]), 1, "pc", "sh script"),
        _ => {
            let mut world = world(&[("httpd.conf", bytes), ("htdocs/index.html", b"It works!")]);
            exec(&mut world, 1, "web", "httpd -t -f httpd.conf");
            exec(&mut world, 2, "web", "httpd -k start -f httpd.conf");
            exec(&mut world, 3, "pc", "curl -s -m 2 http://10.0.0.80/x");
        }
    }
}

pub(crate) fn configuration_seeds() -> Vec<Vec<u8>> {
    let script = "x=1; for i in a \"$x\" 'c d'; do echo $i | grep -c . >> f && cat f; done\n\
      if [ $? -eq 0 ]; then curl -s 10.0.0.80 & wait; fi; f() { echo $1; }; f $((2 * 3)) `hostname`\n";
    vec![
        HTTPD.as_bytes().to_vec(),
        [b"\0", DHCPD.as_bytes()].concat(),
        [b"\x01", script.as_bytes()].concat(),
    ]
}

pub(crate) const CONFIGURATION_WORDS: &[&str] = &[
    "\n",
    "<",
    ">",
    "</",
    "\"",
    "\\\n",
    "Listen ",
    "Include ",
    "Require ",
    "Redirect ",
    "{",
    "}",
    ";",
    "range ",
    "host ",
    "$",
    "$(",
    ")",
    "`",
    "|",
    "&",
    "&&",
    ">",
    "<<E\n",
    "for ",
    "do ",
    "done",
    "if ",
    "fi",
    "while :;",
    "${",
    "'",
    "4294967296",
    "-1",
    "0.0.0.0/0",
    "%",
];
