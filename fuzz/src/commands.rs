//! Command lines of programs that parse much, and bytes for an HTTP server, on a small lab.

use netarium::world::{Input, Output, World};

use super::drive;

const LAB: &str = r#"
version = 1
[networks.home]
subnet = "192.168.17.0/24"
[hosts.web]
networks.home = "192.168.17.17"
programs = ["httpd --root htdocs"]
[hosts.pc]
networks.home = "192.168.17.20"
[gateway]
network = "home"
address = "192.168.17.1"
"#;

fn world() -> World {
    let mut files = netarium::lab::Files::new();
    files.insert("htdocs/index.html", b"It works!".to_vec()).expect("a path");
    let lab = netarium::Lab::load("lab.toml", LAB, &files).expect("a lab");
    let mut world = lab.build(1).expect("a world").into_inner();
    world.run_until(netarium::Instant::from_nanos(1_000_000));
    world
}

/// One line, run on a host until it ends, or for a while.
pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut world = world();
    for (port, line) in text.lines().take(8).enumerate() {
        let argv: Vec<String> =
            line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        // These run until somebody ends them.
        let endless = ["sleep", "httpd", "sink", "source"];
        if argv.first().is_none_or(|program| endless.contains(&program.as_str())) {
            continue;
        }
        drive::exec(&mut world, port as u64 + 1, "pc", argv);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "iptables -A INPUT -p tcp --dport 80 -m conntrack --ctstate NEW -j ACCEPT\niptables -L -n -v",
        "iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 65535 -j DNAT --to-destination 10.0.0.1:80\niptables -S",
        "netsh advfirewall firewall add rule name=web dir=in action=allow protocol=TCP localport=80",
        "tcpdump -i any -nn -vvv -X -c 2 tcp port 80 or icmp\nping -c 1 192.168.17.17",
        "tcpdump -r /x.pcap -tttt -e host 10.0.0.1",
        "curl -v -m 2 -d a=b -H X:y --resolve web:80:192.168.17.17 http://web:80/x?y=z#f",
        "ping -c 1 -s 100 -t 3 -M do 192.168.17.17\ntraceroute -n -m 3 192.168.17.17",
        "netstat -ano\nip -s -4 addr show dev eth0\narp -a\nconntrack -L -p tcp\nps aux",
        "macof -i eth0 -n 3 -s 10.0.0.1 -e ff:ff:ff:ff:ff:ff\nkill -TERM 99\nls -la /",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}

pub(crate) const WORDS: &[&str] = &[
    " ",
    "\n",
    "-",
    "--",
    "iptables ",
    "netsh ",
    "tcpdump ",
    "curl ",
    "ping ",
    "ip ",
    "netstat ",
    "traceroute ",
    "conntrack ",
    "arp ",
    "-A INPUT",
    "-j DROP",
    "--dport ",
    "99999",
    "-1",
    "4294967296",
    "10.0.0.1/33",
    "name=",
    "rule ",
    "-c ",
    "-w ",
    "-s ",
    "-i ",
    "\u{ac00}",
    "=",
    ":",
    "http://",
    "@",
    "%",
    "'",
    "\"",
];

/// What a client says to the server, in pieces.
pub(crate) fn http(bytes: &[u8]) {
    let mut world = world();
    let port = 1;
    drive::open(&mut world, port, false, "192.168.17.17:80");
    for piece in bytes.chunks(1 + bytes.len() / 3) {
        world.apply(Input::Data { port, bytes: piece.to_vec() });
        drive::pass(&mut world, 5);
    }
    world.apply(Input::Eof { port });
    drive::steps(&mut world, |output| matches!(output, Output::Eof { .. } | Output::Reset { .. }));
}

pub(crate) fn http_seeds() -> Vec<Vec<u8>> {
    [
        "GET / HTTP/1.1\r\nHost: web\r\nRange: bytes=0-5,7-\r\nIf-None-Match: \"x\", W/\"y\"\r\n\r\n",
        "GET http://web/%2e%2e/a?b=c HTTP/1.1\r\nHost: web\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
        "HEAD /a/b/../c%41 HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: web:80\r\nExpect: 100-continue\r\nCookie: a=b; c=d\r\n\r\n",
    ]
    .map(|t| t.as_bytes().to_vec())
    .to_vec()
}

pub(crate) const HTTP_WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "GET ",
    "POST ",
    " HTTP/1.1",
    "Host: ",
    "Content-Length: ",
    "chunked",
    "%00",
    "%2f",
    "../",
    "?",
    "*",
    "Range: bytes=",
    "-",
    "18446744073709551616",
    "\t",
    ":",
    "\u{0}",
];
