//! Our authoritative server beside NSD: the same zone files, the same queries, and the answers
//! compared field by field: header bits, response code, the records of each section in any order,
//! EDNS. The differences that are meant stand in [`is_meant`].
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "runs NSD on the machine and asks it"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};

use super::answer::{Zones, respond};
use crate::dns::zone::Zone;
use crate::dns::{message, text};

const PARENT: &str = "$ORIGIN lab.
$TTL 172800
@ IN SOA ns.nic hostmaster.nic 2026112201 7200 3600 1209600 3600
  IN NS ns.nic
  IN NS ns2.nic
ns.nic A 10.0.0.2
ns2.nic A 10.0.0.22
ns2.nic AAAA fd00::22
shop 3600 NS ns1.shop
ns1.shop 3600 A 10.0.0.3
glueless NS ns.elsewhere.example.
sibling NS ns1.shop
two NS ns1.two
two NS ns2.two
ns1.two A 10.0.0.41
ns2.two A 10.0.0.42
ns2.two AAAA fd00::42
";

const CHILD: &str = "$ORIGIN shop.lab.
$TTL 300
@ IN SOA ns1 admin ( 2026112201 7200 3600 1209600 60 )
  NS ns1
  A 10.0.0.80
  A 10.0.0.81
  AAAA fd00::80
  MX 10 mail
  MX 20 mail2.elsewhere.example.
  TXT \"v=spf1 mx -all\" \"second\"
  CAA 0 issue \"ca.lab\"
ns1 A 10.0.0.3
www CNAME @
ftp CNAME www
out CNAME www.example.org.
nowhere CNAME missing
below CNAME x.sub
self CNAME self
mail A 10.0.0.25
mail HINFO \"PDP-11\" \"UNIX\"
_http._tcp SRV 0 5 80 www
_http._tcp SRV 0 5 81 mail
deep.er.and.deeper A 10.0.0.99
*.wild A 10.0.0.7
*.wild MX 5 mail
*.alias CNAME mail
here.wild TXT \"not the wildcard\"
sub NS ns.sub
sub NS ns1
ns.sub A 10.0.0.4
raw TYPE65280 \\# 3 010203
big TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
big TXT \"4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
80 PTR www
";

const NAMES: &[&str] = &[
    "lab.",
    "shop.lab.",
    "SHOP.lab.",
    "www.shop.lab.",
    "ftp.shop.lab.",
    "out.shop.lab.",
    "nowhere.shop.lab.",
    "below.shop.lab.",
    "self.shop.lab.",
    "mail.shop.lab.",
    "ns1.shop.lab.",
    "_tcp.shop.lab.",
    "_http._tcp.shop.lab.",
    "er.and.deeper.shop.lab.",
    "and.deeper.shop.lab.",
    "deep.er.and.deeper.shop.lab.",
    "x.deep.er.and.deeper.shop.lab.",
    "wild.shop.lab.",
    "a.wild.shop.lab.",
    "a.b.wild.shop.lab.",
    "here.wild.shop.lab.",
    "x.here.wild.shop.lab.",
    "*.wild.shop.lab.",
    "z.alias.shop.lab.",
    "alias.shop.lab.",
    "sub.shop.lab.",
    "ns.sub.shop.lab.",
    "x.y.sub.shop.lab.",
    "raw.shop.lab.",
    "big.shop.lab.",
    "80.shop.lab.",
    "missing.shop.lab.",
    "nic.lab.",
    "ns.nic.lab.",
    "ns2.nic.lab.",
    "glueless.lab.",
    "www.glueless.lab.",
    "sibling.lab.",
    "a.sibling.lab.",
    "two.lab.",
    "www.two.lab.",
    "ns1.two.lab.",
    "nope.lab.",
    ".",
    "example.org.",
    "org.",
];

const TYPES: &[RecordType] = &[
    RecordType::A,
    RecordType::AAAA,
    RecordType::NS,
    RecordType::SOA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::TXT,
    RecordType::PTR,
    RecordType::SRV,
    RecordType::CAA,
    RecordType::DS,
    RecordType::HINFO,
    RecordType::Unknown(65_280),
    RecordType::ANY,
];

/// A query with a name for messages.
struct Asked {
    what: String,
    query: Message,
    tcp: bool,
}

fn name(text: &str) -> Name {
    text::parse_name(text, &Name::root()).unwrap()
}

/// Every name with every type; then oddities.
fn queries() -> Vec<Asked> {
    let mut all = Vec::new();
    for (n, of) in NAMES.iter().enumerate() {
        for (t, &rtype) in TYPES.iter().enumerate() {
            let mut query = message::query((n * 100 + t) as u16, name(of), rtype);
            query.metadata.recursion_desired = (n + t) % 2 == 0;
            // ANY over UDP is told to come back over TCP, by some.
            let tcp = rtype == RecordType::ANY || (n + t) % 5 == 0;
            if (n + t) % 3 == 0 {
                let mut edns = Edns::new();
                edns.set_max_payload([512, 1_232, 4_096][(n + t) % 9 / 3]);
                edns.set_dnssec_ok((n + t) % 2 == 0);
                query.set_edns(edns);
            }
            all.push(Asked { what: format!("{of} {rtype} tcp {tcp}"), query, tcp });
        }
    }
    let odd = |what: &str, change: fn(&mut Message)| {
        let mut query = message::query(7, name("www.shop.lab."), RecordType::A);
        change(&mut query);
        Asked { what: what.to_owned(), query, tcp: false }
    };
    all.push(odd("status", |q| q.metadata.op_code = OpCode::Status));
    all.push(odd("no question", |q| q.queries.clear()));
    all.push(odd("two questions", |q| {
        q.queries.push(Query::query(q.queries[0].name().clone(), RecordType::MX))
    }));
    all.push(odd("class any", |q| {
        q.queries[0].set_query_class(DNSClass::ANY);
    }));
    all.push(odd("class hesiod", |q| {
        q.queries[0].set_query_class(DNSClass::HS);
    }));
    all.push(odd("version 1", |q| {
        let mut edns = Edns::new();
        edns.set_version(1).set_max_payload(1_232);
        q.set_edns(edns);
    }));
    all.push(odd("axfr", |q| {
        q.queries[0].set_query_type(RecordType::AXFR);
    }));
    all.push(odd("checking disabled", |q| q.metadata.checking_disabled = true));
    all.push(odd("authentic data", |q| q.metadata.authentic_data = true));
    all
}

/// NSD with the two zones on a port of its own.
struct Nsd {
    child: Child,
    folder: PathBuf,
    at: SocketAddr,
}

impl Drop for Nsd {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Nsd {
    fn start() -> Result<Nsd, String> {
        let program = ["/usr/sbin/nsd", "/usr/bin/nsd"].into_iter().find(|p| Path::new(p).exists());
        let program = program.ok_or("there is no nsd here")?;
        let folder = std::env::temp_dir().join(format!("netarium-nsd-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr());
        let at = free.map_err(|e| e.to_string())?;
        let here = folder.display();
        let conf = format!(
            "server:\n ip-address: 127.0.0.1\n port: {}\n username: \"\"\n zonesdir: \"{here}\"\n \
             pidfile: \"{here}/pid\"\n zonelistfile: \"{here}/list\"\n xfrdfile: \"{here}/xfrd\"\n \
             xfrdir: \"{here}\"\n database: \"\"\n server-count: 1\n round-robin: no\n\
             remote-control:\n control-enable: no\n\
             zone:\n name: lab\n zonefile: lab\nzone:\n name: shop.lab\n zonefile: shop.lab\n",
            at.port()
        );
        for (file, contents) in [("lab", PARENT), ("shop.lab", CHILD), ("nsd.conf", &conf)] {
            std::fs::write(folder.join(file), contents).map_err(|e| e.to_string())?;
        }
        let child = Command::new(program)
            .args(["-d", "-c"])
            .arg(folder.join("nsd.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| e.to_string())?;
        let nsd = Nsd { child, folder, at };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let ready = message::query(1, name("lab."), RecordType::SOA);
            if nsd.ask(&ready.to_vec().unwrap(), false, Duration::from_millis(200)).is_some() {
                return Ok(nsd);
            }
        }
        Err("nsd does not answer".to_owned())
    }

    fn ask(&self, query: &[u8], tcp: bool, wait: Duration) -> Option<Vec<u8>> {
        if tcp {
            let mut stream = TcpStream::connect(self.at).ok()?;
            stream.set_read_timeout(Some(wait)).ok()?;
            stream.write_all(&(query.len() as u16).to_be_bytes()).ok()?;
            stream.write_all(query).ok()?;
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut answer).ok()?;
            return Some(answer);
        }
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        socket.set_read_timeout(Some(wait)).ok()?;
        socket.send_to(query, self.at).ok()?;
        let mut buffer = vec![0; 65_535];
        let n = socket.recv(&mut buffer).ok()?;
        buffer.truncate(n);
        Some(buffer)
    }
}

fn ours() -> Zones {
    let mut zones = Zones::new(false);
    for (apex, contents) in [("lab.", PARENT), ("shop.lab.", CHILD)] {
        let zone = Zone::parse(&name(apex), apex, contents, &|_| Err(String::new())).unwrap();
        zones.insert(name(apex), Some(zone));
    }
    zones
}

/// All that is compared, as text, so that a difference can be read. The letters of names are left
/// out: a name that is written as a pointer has those of where it points.
fn fields(answer: Option<&Vec<u8>>) -> Vec<String> {
    let Some(bytes) = answer else { return vec!["silence".to_owned()] };
    let Some(m) = message::decode(bytes) else { return vec![format!("unreadable {bytes:?}")] };
    let mut out = vec![format!(
        "{} id {} aa {} tc {} rd {} ra {} ad {} cd {}",
        text::rcode(m.metadata.response_code),
        m.metadata.id,
        m.metadata.authoritative,
        m.metadata.truncation,
        m.metadata.recursion_desired,
        m.metadata.recursion_available,
        m.metadata.authentic_data,
        m.metadata.checking_disabled
    )];
    out.extend(
        m.queries
            .iter()
            .map(|q| format!("? {} {}", text::name(q.name()), text::rtype(q.query_type()))),
    );
    for (mark, section) in [('=', &m.answers), ('^', &m.authorities), ('+', &m.additionals)] {
        let mut lines: Vec<String> = section
            .iter()
            .map(|r: &Record| format!("{mark} {}", text::record(r).to_ascii_lowercase()))
            .collect();
        lines.sort();
        out.extend(lines);
    }
    if let Some(edns) = &m.edns {
        let (version, dnssec) = (edns.version(), edns.flags().dnssec_ok);
        out.push(format!("edns {version} do {dnssec} size {}", edns.max_payload()));
    }
    out
}

/// Differences that are meant, each with its reason:
/// - ANY gets one HINFO record that says why (RFC 8482 §4.2), where NSD gives a set of the name;
/// - what does not fit into UDP leaves no records behind, where NSD keeps some;
/// - a refusal repeats the question whatever its class, where NSD leaves out those it does not know.
fn is_meant(asked: &Asked, theirs: &[String], ours: &[String]) -> bool {
    let any = asked.query.queries.first().is_some_and(|q| q.query_type() == RecordType::ANY);
    let truncated = |side: &[String]| side[0].contains("tc true");
    let odd_class = asked.what == "class hesiod";
    ((any || odd_class) && theirs[0] == ours[0]) || (truncated(theirs) && truncated(ours))
}

#[test]
fn answers_are_those_of_nsd() {
    let nsd = match Nsd::start() {
        Ok(nsd) => nsd,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let (zones, queries) = (ours(), queries());
    let (mut different, mut meant) = (Vec::new(), 0);
    for asked in &queries {
        let bytes = asked.query.to_vec().unwrap();
        let theirs = fields(nsd.ask(&bytes, asked.tcp, Duration::from_secs(5)).as_ref());
        let ours = fields(respond(&zones, &bytes, asked.tcp).map(|a| a.bytes).as_ref());
        if theirs == ours {
            continue;
        }
        if is_meant(asked, &theirs, &ours) {
            meant += 1;
            continue;
        }
        different.push(format!(
            "{}\n nsd:  {}\n ours: {}",
            asked.what,
            theirs.join("\n       "),
            ours.join("\n       ")
        ));
    }
    eprintln!("{} queries compared with NSD, {meant} differ as they should", queries.len());
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert!(queries.len() > 500 && meant < 60, "{meant} of {}", queries.len());
}
