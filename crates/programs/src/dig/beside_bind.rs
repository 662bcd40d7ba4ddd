//! Our `dig`, `nslookup` and `host` beside BIND's: theirs ask a real socket behind which our
//! authoritative server stands, ours ask the same server inside a world; the outputs are compared
//! byte for byte but for ids, times and cookies.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs BIND's tools on the machine"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::rc::Rc;

use hickory_proto::rr::Name;
use netarium_base::{Instant, Seed};
use netarium_world::{FileTree, HostSpec, Input, Output, Stream, World, WorldBuilder};

use crate::Builtin;
use crate::dns::server::answer::{Zones, respond};
use crate::dns::text;
use crate::dns::zone::Zone;

/// The version whose output is imitated.
const VERSION: &str = "9.18.";

const ZONE: &str = "$ORIGIN shop.lab.
$TTL 300
@ IN SOA ns1 admin 2026112201 7200 3600 1209600 300
  NS ns1
  A 10.0.0.80
  MX 10 mail
  TXT \"v=spf1 mx -all\"
ns1 A 10.0.0.3
www 60 CNAME @
mail A 10.0.0.25
a-name-that-is-rather-long A 10.0.0.1
_http._tcp SRV 0 5 80 www
big TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
sub NS ns.sub
ns.sub A 10.0.0.4
";

/// `@` stands for the server and its port.
const LINES: &[&str] = &[
    "dig @ www.shop.lab",
    "dig @ nope.shop.lab",
    "dig @ shop.lab MX",
    "dig @ shop.lab -t TXT +short",
    "dig @ shop.lab SOA +multiline",
    "dig @ www.shop.lab +multiline",
    "dig @ nope.shop.lab +multiline +noall +authority",
    "dig @ www.shop.lab +noall +answer",
    "dig @ www.shop.lab +short",
    "dig @ www.shop.lab +short +identify",
    "dig @ a-name-that-is-rather-long.shop.lab",
    "dig @ _http._tcp.shop.lab SRV +norecurse",
    "dig @ www.shop.lab +tcp",
    "dig @ www.shop.lab +noedns",
    "dig @ www.shop.lab +dnssec +nocookie",
    "dig @ www.shop.lab +qr",
    "dig @ www.shop.lab +nocmd +nostats +noquestion",
    "dig @ www.shop.lab +nocomments",
    "dig @ www.shop.lab +nottlid +noclass",
    "dig @ www.shop.lab +nottlid",
    "dig @ www.shop.lab +noclass",
    "dig @ www.shop.lab +ttlunits",
    "dig @ www.shop.lab +noadflag +cdflag +aaflag +qr",
    "dig @ www.shop.lab mail.shop.lab",
    "dig @ www.shop.lab +norec +noall +stats shop.lab MX",
    "dig @ x.sub.shop.lab",
    "dig @ www.example.org",
    "dig @ shop.lab ANY",
    "dig @ big.shop.lab TXT +noedns",
    "dig @ big.shop.lab TXT +noedns +ignore",
    "dig @ -x 10.0.0.80",
    "dig @ -c CH -t TXT version.bind",
    "dig @ -q shop.lab -t NS",
    "dig @ shop.lab NS +edns=1",
    "dig @ a..b",
    "dig @ -t NOPE shop.lab",
    "dig @ shop.lab A MX",
    "dig @ shop.lab +nosuch",
    "dig -z",
    "dig @ -x 1.2.3",
    "dig @ -x abc",
    "dig @ -x 1..2",
    "dig @ www.shop.lab +short +cmd",
    "dig @ +time=x a",
    "dig @ +bufsize=99999 a",
    "dig @ +tries=x +retry=x a",
    "dig @ +retry=-1 a",
    "dig @ +edns=300 a",
    "dig @ +ndots=x a",
    "dig @ +time= a",
    "dig @ www.shop.lab +tcp=1",
    "dig -p 99999 a",
    "dig -4 -6 a",
    "dig @127.0.0.1 -p 1 +short +tries=1 a",
    "dig @127.0.0.1 -p 1 +short +cmd +tries=1 a",
    "dig @127.0.0.1 -p 1 +tries=2 a",
    "nslookup -version",
    "nslookup -version x",
    "nslookup -nope",
    "nslookup",
    "host -t FOO a",
    "host -c FOO a",
    "host -4 -6 a",
    "host -V",
    "nslookup PORT www.shop.lab SERVER",
    "nslookup PORT nope.shop.lab SERVER",
    "nslookup PORT -type=mx shop.lab SERVER",
    "nslookup PORT -type=soa shop.lab SERVER",
    "nslookup PORT -type=txt shop.lab SERVER",
    "nslookup PORT -type=ns shop.lab SERVER",
    "nslookup PORT -type=srv _http._tcp.shop.lab SERVER",
    "nslookup PORT -type=aaaa shop.lab SERVER",
    "nslookup PORT -type=nope shop.lab SERVER",
    "nslookup PORT -nope shop.lab SERVER",
    "nslookup PORT -debug mail.shop.lab SERVER",
    "nslookup PORT www.example.org. SERVER",
    "nslookup PORT 10.0.0.80 SERVER",
    "host PORT www.shop.lab SERVER",
    "host PORT nope.shop.lab SERVER",
    "host PORT -t mx shop.lab SERVER",
    "host PORT -t txt shop.lab SERVER",
    "host PORT -t soa shop.lab SERVER",
    "host PORT -v -t a www.shop.lab SERVER",
    "host PORT www.example.org. SERVER",
    "host PORT -t aaaa mail.shop.lab SERVER",
];

fn zones() -> Zones {
    let mut zones = Zones::new(false);
    let apex = text::parse_name("shop.lab.", &Name::root()).unwrap();
    let zone = Zone::parse(&apex, "shop.lab", ZONE, &|_| Err(String::new())).unwrap();
    zones.insert(apex, Some(zone));
    zones
}

/// Serves the zone on a real port, over UDP and TCP, as long as the test runs; gives the port.
fn serve() -> std::io::Result<u16> {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        if let Ok(tcp) = TcpListener::bind(udp.local_addr()?) {
            break (udp, tcp);
        }
    };
    let port = udp.local_addr()?.port();
    std::thread::spawn(move || {
        let (zones, mut buffer) = (zones(), vec![0; 65_535]);
        while let Ok((n, from)) = udp.recv_from(&mut buffer) {
            if let Some(answer) = respond(&zones, &buffer[..n], false) {
                let _ = udp.send_to(&answer.bytes, from);
            }
        }
    });
    std::thread::spawn(move || {
        let zones = zones();
        for mut stream in tcp.incoming().flatten() {
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                if stream.read_exact(&mut query).is_err() {
                    break;
                }
                let Some(answer) = respond(&zones, &query, true) else { break };
                let framed =
                    [&(answer.bytes.len() as u16).to_be_bytes()[..], &answer.bytes].concat();
                if stream.write_all(&framed).is_err() {
                    break;
                }
            }
        }
    });
    Ok(port)
}

/// A host that serves the zone to itself.
fn world(port: u16) -> World {
    let mut files = FileTree::new();
    files.insert("shop.lab", ZONE).unwrap();
    let host = HostSpec { name: "pc".to_owned(), files: Rc::new(files), ..HostSpec::default() };
    let daemon = [
        "nsd".to_owned(),
        "-a".to_owned(),
        format!("127.0.0.1@{port}"),
        "shop.lab=shop.lab".to_owned(),
    ];
    let mut world = WorldBuilder::new(Seed(1))
        .epoch(1_795_356_857_000_000_000)
        .programs(Rc::new(Builtin))
        .host(host)
        .gateway("pc")
        .daemon("pc", daemon.to_vec())
        .build()
        .unwrap();
    world.run_until(Instant::from_nanos(1_000_000));
    world
}

fn ours(world: &mut World, port: u64, argv: &[String]) -> (i32, String, String) {
    let (host, argv) = ("pc".to_owned(), argv.to_vec());
    world.apply(Input::Exec { port, host, argv, stdin: false, credit: 1 << 24 });
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let limit = Instant::from_nanos(world.now().as_nanos() + 100_000_000_000);
    loop {
        world.run_until_idle(limit);
        while let Some(output) = world.poll_output() {
            match output {
                Output::Data { stream: Stream::Stderr, bytes, .. } => err.extend(bytes),
                Output::Data { bytes, .. } => out.extend(bytes),
                Output::Exit { code, .. } => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    return (code, text(&out), text(&err));
                }
                _ => {}
            }
        }
    }
}

fn theirs(argv: &[String]) -> Option<(i32, String, String)> {
    let done = Command::new(&argv[0])
        .args(&argv[1..])
        .env("TZ", "UTC")
        .env("HOME", "/nonexistent")
        .output()
        .ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((done.status.code()?, text(&done.stdout), text(&done.stderr)))
}

/// Without what chance and the clock decide, and the length that a cookie takes.
fn plain(text: &str) -> String {
    let cut = |line: &str| {
        let line = if let Some((before, _)) = line.split_once(", id: ") {
            format!("{before}, id: N")
        } else if line.starts_with(";; Query time: ")
            || line.starts_with(";; WHEN: ")
            || line.starts_with("; COOKIE: ")
        {
            line.split_once(": ").map_or(line, |l| l.0).to_owned()
        } else if let Some((before, after)) =
            line.split_once(" in ").filter(|(_, a)| a.contains(" ms"))
        {
            format!("{before} in N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        } else {
            line.to_owned()
        };
        line + "\n"
    };
    text.lines().map(cut).collect()
}

#[test]
fn outputs_are_those_of_bind() {
    let version = theirs(&["dig".to_owned(), "-v".to_owned()]).map(|said| said.2);
    let Some(version) = version.filter(|v| v.contains(VERSION)) else {
        return eprintln!("skipped: there is no dig {VERSION}x here");
    };
    let number = version.trim().trim_start_matches("DiG ").to_owned();
    let port = match serve() {
        Ok(port) => port,
        Err(e) => return eprintln!("skipped: no socket: {e}"),
    };
    let mut world = world(port);
    let mut different = Vec::new();
    for (n, line) in LINES.iter().enumerate() {
        let place =
            if line.starts_with("host") { format!("-p {port}") } else { format!("-port={port}") };
        let line = line.replace(" @ ", &format!(" @127.0.0.1 -p {port} "));
        let line = line.replace("SERVER", "127.0.0.1").replace("PORT", &place);
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let Some(theirs) = theirs(&argv) else { continue };
        let ours = ours(&mut world, n as u64 + 1, &argv);
        let same = |a: &str, b: &str| plain(&a.replace(&number, super::VERSION)) == plain(b);
        if theirs.0 != ours.0 || !same(&theirs.1, &ours.1) || !same(&theirs.2, &ours.2) {
            different.push(format!(
                "=== {line}\n--- theirs {}\n{}{}--- ours {}\n{}{}",
                theirs.0, theirs.1, theirs.2, ours.0, ours.1, ours.2
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        LINES.len(),
        different.join("\n")
    );
}
