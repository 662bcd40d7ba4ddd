//! `host`, as BIND 9.18 has it.

use core::net::{IpAddr, SocketAddr};
use std::fmt::Write as _;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use netarium_base::{Duration, Rng};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::dig::print::header;
use crate::dns::client::{self, How, Miss, Reply, Server};
use crate::dns::message;
use crate::dns::stub::ResolvConf;
use crate::dns::text::{self, Columns};
use crate::getopt::{Item, OptError, Spec};

const USAGE: &str = "Usage: host [-aCdilrTvVw] [-c class] [-N ndots] [-t type] [-W time]
            [-R number] [-m flag] [-p port] hostname [server]
       -a is equivalent to -v -t ANY
       -c specifies query class for non-IN data
       -d is equivalent to -v
       -p specifies the port on the server to query
       -r disables recursive processing
       -R specifies number of retries for UDP packets
       -t specifies the query type
       -T enables TCP/IP mode
       -v enables verbose output
       -V print version number and exit
       -W specifies how long to wait for a reply
";

/// What the command line asks for.
struct Host {
    process: Process,
    rng: Rng,
    rtype: Option<RecordType>,
    verbose: bool,
    recurse: bool,
    how: How,
    port: u16,
    named: bool,
    /// `-4` and `-6`.
    families: [bool; 2],
    servers: Vec<Server>,
    /// The words before the first answer were printed.
    introduced: bool,
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let spec = Spec { short: "aAc:dilm:N:p:rR:st:TUvVwW:46C", long: &[] };
        let items = match spec.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => {
                // BIND brings its own getopt, with the words of BSD's.
                let why = match e {
                    OptError::UnknownShort(c) => format!("illegal option -- {c}"),
                    OptError::MissingShort(c) => format!("option requires an argument -- {c}"),
                    _ => "illegal option -- -".to_owned(),
                };
                process.eprint(&format!("host: {why}\n{USAGE}")).await;
                return 1;
            }
        };
        let mut host = Host::new(process);
        let mut words = Vec::new();
        for item in items {
            match item {
                Item::Operand(word) => words.push(word),
                Item::Option('V', _) => {
                    process.eprint("host 9.18.49-1~deb12u3-Debian\n").await;
                    return 0;
                }
                Item::Option(letter, value) => {
                    if let Err((text, code)) = host.option(letter, &value) {
                        process.eprint(&format!("host: {text}\n")).await;
                        return code;
                    }
                }
            }
        }
        match words.as_slice() {
            [name] => {
                host.servers = client::usual_servers(&process, host.port);
                host.look_up(name).await
            }
            [name, server] if host.use_server(server).await => host.look_up(name).await,
            [_, _] => 1,
            _ => {
                process.eprint(USAGE).await;
                1
            }
        }
    })
}

impl Host {
    fn new(process: Process) -> Host {
        let how = How {
            timeout: Duration::from_secs(5),
            tries: 2,
            tcp: false,
            ignore_tc: false,
            quiet_tc: true,
        };
        Host {
            process,
            rng: process.rng("host"),
            rtype: None,
            verbose: false,
            recurse: true,
            how,
            port: 53,
            named: false,
            families: [false; 2],
            servers: Vec::new(),
            introduced: false,
        }
    }

    /// The error is what to say, and the exit code.
    fn option(&mut self, letter: char, value: &str) -> Result<(), (String, i32)> {
        // As C's `atoi` reads it: what is no number is nothing.
        let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        let number = value[..digits].parse::<u64>().unwrap_or(0);
        match letter {
            'a' | 'A' => (self.verbose, self.rtype) = (true, Some(RecordType::ANY)),
            't' => {
                let wrong = || (format!("invalid type: {value}\n"), 2);
                self.rtype = Some(text::parse_rtype(value).ok_or_else(wrong)?);
            }
            'v' | 'd' => self.verbose = true,
            'r' => self.recurse = false,
            'T' => self.how.tcp = true,
            'c' => {
                let wrong = || (format!("invalid class: {value}\n"), 2);
                text::parse_class(value).ok_or_else(wrong)?;
            }
            'W' => self.how.timeout = Duration::from_secs(number.clamp(1, 86_400)),
            'R' => self.how.tries = number.min(99) as u32 + 1,
            'p' => self.port = u16::try_from(number & 0xffff).unwrap_or(0),
            '4' | '6' => {
                self.families[usize::from(letter == '6')] = true;
                if self.families == [true; 2] {
                    return Err(("only one of -4 and -6 allowed".to_owned(), 1));
                }
            }
            'l' | 'C' | 'm' => return Err((format!("-{letter} is not there"), 1)),
            _ => {}
        }
        Ok(())
    }

    async fn use_server(&mut self, name: &str) -> bool {
        let found = self.process.resolve(name).await.unwrap_or_default();
        let Some(&ip) = found.first() else {
            let text = format!("host: couldn't get address for '{name}': not found\n");
            self.process.eprint(&text).await;
            return false;
        };
        let address = SocketAddr::new(ip, self.port);
        self.servers = vec![Server { address, name: name.to_owned() }];
        self.named = true;
        true
    }

    async fn look_up(&mut self, word: &str) -> i32 {
        if let Ok(address) = word.parse::<IpAddr>() {
            let rtype = self.rtype.unwrap_or(RecordType::PTR);
            return self.show_types(&[Name::from(address)], word, &[rtype]).await;
        }
        let conf = ResolvConf::of(&self.process).unwrap_or_else(|| ResolvConf::parse(""));
        let names = conf.candidates(word);
        match self.rtype {
            Some(rtype) => self.show_types(&names, word, &[rtype]).await,
            None => {
                let usual = [RecordType::A, RecordType::AAAA, RecordType::MX];
                self.show_types(&names, word, &usual).await
            }
        }
    }

    /// Asks for the first type of each name until one is there, then for the other types of what
    /// its aliases lead to.
    async fn show_types(&mut self, names: &[Name], word: &str, types: &[RecordType]) -> i32 {
        let mut there = None;
        for (n, name) in names.iter().enumerate() {
            let Some(reply) = self.ask(name, types[0]).await else { return 1 };
            let missing = reply.message.metadata.response_code == ResponseCode::NXDomain;
            if !missing || n + 1 == names.len() {
                there = Some((name.clone(), reply));
                break;
            }
        }
        let Some((name, reply)) = there else {
            self.process.print(&format!("host: '{word}' is not a legal name\n")).await;
            return 1;
        };
        if !self.show(&name, &reply, types[0], types.len() > 1).await {
            return 1;
        }
        let target = self.target(&reply.message, name);
        for &rtype in &types[1..] {
            let Some(reply) = self.ask(&target, rtype).await else { return 1 };
            self.show(&target, &reply, rtype, true).await;
        }
        0
    }

    fn target(&self, message: &Message, name: Name) -> Name {
        let last = message.answers.last();
        match last.map(|r| &r.data) {
            Some(RData::CNAME(target)) => target.0.clone(),
            Some(_) => last.map_or(name, |r| r.name.clone()),
            None => name,
        }
    }

    async fn ask(&mut self, name: &Name, rtype: RecordType) -> Option<Reply> {
        if self.verbose {
            self.process.print(&format!("Trying \"{}\"\n", text::bare(name))).await;
        }
        let mut query = message::query(self.rng.next_u32() as u16, name.clone(), rtype);
        query.metadata.recursion_desired = self.recurse;
        let how = How { tcp: self.how.tcp || rtype == RecordType::ANY, ..self.how };
        match client::ask(&self.process, &self.servers, &query, how).await {
            Ok(reply) => Some(reply),
            Err(miss) => {
                if miss == Miss::Silence {
                    self.process.print(";; no servers could be reached\n").await;
                }
                None
            }
        }
    }

    /// Shows an answer; false: there is no such name.
    async fn show(&mut self, name: &Name, reply: &Reply, rtype: RecordType, several: bool) -> bool {
        let mut out = String::new();
        if self.named && !std::mem::replace(&mut self.introduced, true) {
            let server = &reply.server;
            let (name, place) = (&server.name, server.place());
            let _ =
                write!(out, "Using domain server:\nName: {name}\nAddress: {place}\nAliases: \n\n");
        }
        let code = reply.message.metadata.response_code;
        let good = code == ResponseCode::NoError;
        if !good {
            let (number, word) = (u16::from(code), text::rcode(code));
            let _ = writeln!(out, "Host {} not found: {number}({word})", text::bare(name));
        } else if self.verbose {
            out.push_str(&verbose(reply));
        } else {
            reply.message.answers.iter().for_each(|r| out.push_str(&sentence(r)));
            if reply.message.answers.is_empty() && !several {
                let _ = writeln!(out, "{} has no {} record", text::bare(name), text::rtype(rtype));
            }
        }
        self.process.print(&out).await;
        good
    }
}

/// A record as a sentence.
fn sentence(record: &Record) -> String {
    let (owner, data) = (text::bare(&record.name), text::rdata(&record.data));
    match &record.data {
        RData::A(_) => format!("{owner} has address {data}\n"),
        RData::AAAA(_) => format!("{owner} has IPv6 address {data}\n"),
        RData::CNAME(_) => format!("{owner} is an alias for {data}\n"),
        RData::NS(_) => format!("{owner} name server {data}\n"),
        RData::PTR(_) => format!("{owner} domain name pointer {data}\n"),
        RData::MX(_) => format!("{owner} mail is handled by {data}\n"),
        RData::TXT(_) => format!("{owner} descriptive text {data}\n"),
        RData::HINFO(_) => format!("{owner} host information {data}\n"),
        _ => format!("{owner} has {} record {data}\n", text::rtype(record.record_type())),
    }
}

fn verbose(reply: &Reply) -> String {
    let message = &reply.message;
    let mut out = header(message);
    // `host` does not remark on recursion that is not to be had.
    out = out.replace(";; WARNING: recursion requested but not available\n", "");
    out.push_str(";; QUESTION SECTION:\n");
    for q in &message.queries {
        let mut line = Columns::comment(&text::name(q.name()));
        line.at(32, &text::class(q.query_class()));
        line.at(40, &text::rtype(q.query_type()));
        let _ = writeln!(out, "{}", line.text);
    }
    for (title, records) in [
        ("ANSWER", &message.answers),
        ("AUTHORITY", &message.authorities),
        ("ADDITIONAL", &message.additionals),
    ] {
        if !records.is_empty() {
            let _ = write!(out, "\n;; {title} SECTION:\n");
            records.iter().for_each(|r| out.push_str(&(text::record(r) + "\n")));
        }
    }
    let (place, ms) = (reply.server.place(), reply.elapsed.as_millis());
    let _ = writeln!(out, "\nReceived {} bytes from {place} in {ms} ms", reply.size);
    out
}
