//! `nslookup`, as BIND 9.18 has it: one question on the command line, or a conversation.

use core::net::{IpAddr, SocketAddr};
use std::fmt::Write as _;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use netarium_base::{Duration, Rng};
use netarium_world::process::{LocalBoxFuture, Process};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::dig::VERSION;
use crate::dns::client::{self, How, Miss, Reply, Server};
use crate::dns::message;
use crate::dns::stub::ResolvConf;
use crate::dns::text;

const USAGE: &str = "Usage:
   nslookup [-opt ...]             # interactive mode using default server
   nslookup [-opt ...] - server    # interactive mode using 'server'
   nslookup [-opt ...] host        # just look up 'host' using default server
   nslookup [-opt ...] host server # just look up 'host' using 'server'
";
/// The longest line of a conversation that is read, bytes.
const LINE_MAX: usize = 1_024;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let mut session = Session::new(process);
        let mut words = Vec::new();
        for arg in args.get(1..).unwrap_or_default() {
            match arg.strip_prefix('-') {
                Some(option) if option.to_ascii_lowercase().starts_with("ver") => {
                    process.eprint(&format!("nslookup {VERSION}\n")).await;
                    return 0;
                }
                Some(option) if !option.is_empty() && words.is_empty() => session.set(option).await,
                Some(option) if !option.is_empty() => {
                    process.eprint(USAGE).await;
                    return 1;
                }
                _ => words.push(arg.as_str()),
            }
        }
        let (host, server) = match words.as_slice() {
            [] | ["-"] => (None, None),
            ["-", server] => (None, Some(*server)),
            [host] => (Some(*host), None),
            [host, server] => (Some(*host), Some(*server)),
            _ => {
                process.eprint(USAGE).await;
                return 1;
            }
        };
        if let Some(server) = server
            && !session.use_server(server).await
        {
            return 1;
        }
        match host {
            Some(host) => session.once(host).await,
            None => session.converse().await,
        }
    })
}

struct Session {
    process: Process,
    rng: Rng,
    servers: Vec<Server>,
    rtype: Option<RecordType>,
    class: DNSClass,
    port: u16,
    timeout: u64,
    retry: u32,
    debug: bool,
    recurse: bool,
    tcp: bool,
    search: bool,
    /// Some look-up failed.
    failed: bool,
    /// Some server answered.
    reached: bool,
}

impl Session {
    fn new(process: Process) -> Session {
        Session {
            process,
            rng: process.rng("nslookup"),
            servers: client::usual_servers(&process, 53),
            rtype: None,
            class: DNSClass::IN,
            port: 53,
            timeout: 5,
            retry: 3,
            debug: false,
            recurse: true,
            tcp: false,
            search: true,
            failed: false,
            reached: false,
        }
    }

    /// One question and its answers, with an empty line behind.
    async fn once(&mut self, host: &str) -> i32 {
        self.look_up(host).await;
        self.process.print("\n").await;
        i32::from(self.failed)
    }

    /// Reads commands until the end of input, with a prompt when a terminal asks for them. The exit
    /// code is 1 when no server answered at all, too.
    async fn converse(&mut self) -> i32 {
        let prompt = if self.process.fd(0).is_terminal() { "> " } else { "" };
        self.commands(prompt).await;
        self.process.print("\n").await;
        i32::from(self.failed || !self.reached)
    }

    async fn commands(&mut self, prompt: &str) {
        let mut lines = BufReader::new(self.process.stdin());
        loop {
            self.process.print(prompt).await;
            let mut line = Vec::new();
            let mut limited = tokio::io::AsyncReadExt::take(&mut lines, LINE_MAX as u64);
            match limited.read_until(b'\n', &mut line).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            if !self.obey(line.trim()).await {
                return;
            }
        }
    }

    /// Does what a line says; false: the conversation is over.
    async fn obey(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["exit"] => return false,
            ["server" | "lserver", server, ..] => {
                if self.use_server(server).await {
                    self.show_servers().await;
                }
            }
            ["set", "all", ..] => self.show_all().await,
            ["set", option, ..] => self.set(option).await,
            [word @ ("help" | "?" | "finger" | "ls" | "root" | "view"), ..] => {
                let word = if *word == "?" { "help" } else { word };
                self.process
                    .print(&format!("The '{word}' command is not yet implemented.\n"))
                    .await;
            }
            [host] => self.look_up(host).await,
            [host, server, ..] => {
                let before = self.servers.clone();
                if self.use_server(server).await {
                    self.look_up(host).await;
                }
                self.servers = before;
            }
        }
        true
    }

    async fn use_server(&mut self, name: &str) -> bool {
        match self.process.resolve(name).await {
            Ok(found) if !found.is_empty() => {
                let address = SocketAddr::new(found[0], self.port);
                self.servers = vec![Server { address, name: name.to_owned() }];
                true
            }
            _ => {
                let text = format!("nslookup: couldn't get address for '{name}': not found\n");
                self.process.eprint(&text).await;
                self.failed = true;
                false
            }
        }
    }

    async fn show_servers(&self) {
        let mut out = String::new();
        for server in &self.servers {
            let _ = write!(out, "Default server: {}\nAddress: {}\n", server.name, server.place());
        }
        self.process.print(&out).await;
    }

    async fn show_all(&self) {
        self.show_servers().await;
        let no = |set: bool, word: &str| format!("{}{word}", if set { "" } else { "no" });
        let rtype = text::rtype(self.rtype.unwrap_or(RecordType::A));
        let conf = ResolvConf::of(&self.process);
        let search =
            conf.as_ref().map_or(Vec::new(), |c| c.search.iter().map(text::bare).collect());
        self.process
            .print(&format!(
                "\nSet options:\n  {}\t\t\t{}\t\tnod2\n  {}\t\t{}\n  timeout = {}\t\tretry = {}\tport = {}\tndots = {}\n  querytype = {rtype:<8}\tclass = {}\n  srchlist = {}\n",
                no(self.tcp, "vc"),
                no(self.debug, "debug"),
                no(self.search, "search"),
                no(self.recurse, "recurse"),
                // BIND shows what was set, and 0 otherwise.
                if self.timeout == 5 { 0 } else { self.timeout },
                self.retry,
                self.port,
                conf.as_ref().map_or(1, |c| c.ndots),
                text::class(self.class),
                search.join("/")
            ))
            .await;
    }

    /// `set WORD` and `-WORD`.
    async fn set(&mut self, option: &str) {
        let (word, value) = option.split_once('=').unwrap_or((option, ""));
        let number = value.parse::<u32>().ok();
        match (word.to_ascii_lowercase().as_str(), number) {
            ("type" | "q" | "querytype" | "query" | "ty", _) => match text::parse_rtype(value) {
                Some(rtype) => self.rtype = Some(rtype),
                None => self.process.print(&format!("unknown query type: {value}\n")).await,
            },
            ("class" | "cl", _) => match text::parse_class(value) {
                Some(class) => self.class = class,
                None => self.process.print(&format!("unknown query class: {value}\n")).await,
            },
            ("port" | "po", Some(port)) => {
                self.port = u16::try_from(port).unwrap_or(self.port);
                for server in &mut self.servers {
                    server.address.set_port(self.port);
                }
            }
            ("timeout" | "t", Some(seconds)) => self.timeout = u64::from(seconds.clamp(1, 86_400)),
            ("retry" | "ret", Some(retry)) => self.retry = retry.clamp(1, 100),
            ("debug" | "deb", _) => self.debug = true,
            ("nodebug" | "nodeb", _) => self.debug = false,
            ("recurse" | "rec", _) => self.recurse = true,
            ("norecurse" | "norec", _) => self.recurse = false,
            ("vc" | "v", _) => self.tcp = true,
            ("novc" | "nov", _) => self.tcp = false,
            ("search" | "sea", _) => self.search = true,
            ("nosearch" | "nosea", _) => self.search = false,
            ("d2" | "nod2" | "defname" | "nodefname" | "fail" | "nofail", _) => {}
            _ => self.process.print(&format!("*** Invalid option: {option}\n")).await,
        }
    }

    /// Looks a name or an address up and shows what comes.
    async fn look_up(&mut self, host: &str) {
        if let Ok(address) = host.parse::<IpAddr>() {
            let name = Name::from(address);
            let rtype = self.rtype.filter(|t| *t != RecordType::A).unwrap_or(RecordType::PTR);
            if let Some(reply) = self.ask(&name, rtype).await {
                self.show(&reply, &name, rtype, false).await;
            }
            return;
        }
        let conf = ResolvConf::of(&self.process).unwrap_or_else(|| ResolvConf::parse(""));
        let mut names = if self.search { conf.candidates(host) } else { Vec::new() };
        if names.is_empty() {
            match text::parse_name(host, &Name::root()) {
                Ok(name) => names.push(name),
                Err(e) => {
                    let text = format!("nslookup: '{host}' is not a legal name ({e})\n");
                    self.process.print(&text).await;
                    self.failed = true;
                    return;
                }
            }
        }
        let first = self.rtype.unwrap_or(RecordType::A);
        let mut last = None;
        for name in names {
            let Some(reply) = self.ask(&name, first).await else { return };
            let there = reply.message.metadata.response_code != ResponseCode::NXDomain;
            last = Some((name, reply));
            if there {
                break;
            }
        }
        let Some((name, reply)) = last else { return };
        self.show(&reply, &name, first, true).await;
        // Without a type the IPv6 addresses are asked for, too.
        let found = reply.message.metadata.response_code == ResponseCode::NoError;
        if self.rtype.is_none() && found {
            let name = end_of_aliases(&reply.message, &name);
            if let Some(reply) = self.ask(&name, RecordType::AAAA).await {
                self.show_more(&reply).await;
            }
        }
    }

    async fn ask(&mut self, name: &Name, rtype: RecordType) -> Option<Reply> {
        let mut query = message::query(self.rng.next_u32() as u16, Name::root(), rtype);
        let mut question = Query::query(name.clone(), rtype);
        question.set_query_class(self.class);
        query.queries = vec![question];
        query.metadata.recursion_desired = self.recurse;
        let how = How {
            timeout: Duration::from_secs(self.timeout),
            tries: self.retry,
            tcp: self.tcp || rtype == RecordType::ANY,
            ignore_tc: false,
            quiet_tc: false,
        };
        match client::ask(&self.process, &self.servers, &query, how).await {
            Ok(reply) => {
                self.reached = true;
                Some(reply)
            }
            Err(miss) => {
                if miss == Miss::Silence {
                    self.process.print(";; no servers could be reached\n").await;
                }
                self.failed = true;
                None
            }
        }
    }

    /// Shows an answer. Addresses have no heading, as in the original.
    async fn show(&mut self, reply: &Reply, name: &Name, rtype: RecordType, heading: bool) {
        let message = &reply.message;
        let mut out = String::new();
        if heading {
            let server = &reply.server;
            let _ = write!(out, "Server:\t\t{}\nAddress:\t{}\n\n", server.name, server.place());
        }
        if self.debug {
            out.push_str(&details(message));
        }
        let code = message.metadata.response_code;
        if code != ResponseCode::NoError {
            let (name, code) = (text::bare(name), text::rcode(code));
            let _ = writeln!(out, "** server can't find {name}: {code}");
            self.failed = true;
            return self.process.print(&out).await;
        }
        if heading && !message.metadata.authoritative {
            out.push_str("Non-authoritative answer:\n");
        }
        if message.answers.is_empty() {
            let _ = writeln!(out, "*** Can't find {}: No answer", text::bare(name));
        }
        message.answers.iter().for_each(|r| out.push_str(&answer(r)));
        let plain = matches!(rtype, RecordType::A | RecordType::AAAA);
        if !plain && !message.metadata.authoritative && !message.answers.is_empty() {
            out.push_str("\nAuthoritative answers can be found from:\n");
            let more = message.authorities.iter().chain(&message.additionals);
            more.for_each(|r| out.push_str(&other(r)));
        }
        self.process.print(&out).await;
    }

    /// Shows the second answer, which is only about more addresses.
    async fn show_more(&mut self, reply: &Reply) {
        let mut out = if self.debug { details(&reply.message) } else { String::new() };
        let addresses = reply.message.answers.iter().filter(|r| matches!(r.data, RData::AAAA(_)));
        addresses.for_each(|r| out.push_str(&answer(r)));
        self.process.print(&out).await;
    }
}

/// The name at the end of an answer's aliases.
fn end_of_aliases(message: &Message, name: &Name) -> Name {
    let alias = |at: &Name| {
        message.answers.iter().find_map(|r| match &r.data {
            RData::CNAME(target) if r.name == *at => Some(target.0.clone()),
            _ => None,
        })
    };
    let mut at = name.clone();
    for _ in 0..message.answers.len() {
        match alias(&at) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// A record of the answer section.
fn answer(record: &Record) -> String {
    let owner = text::bare(&record.name);
    match &record.data {
        RData::A(a) => format!("Name:\t{owner}\nAddress: {}\n", a.0),
        RData::AAAA(a) => format!("Name:\t{owner}\nAddress: {}\n", a.0),
        _ => other(record),
    }
}

/// Any record on its own.
fn other(record: &Record) -> String {
    let owner = text::bare(&record.name);
    match &record.data {
        RData::SOA(_) => format!("{owner}\n{}", soa(&record.data)),
        _ => format!("{owner}\t{}\n", fact(record)),
    }
}

/// What a record says, in words.
fn fact(record: &Record) -> String {
    let data = text::rdata(&record.data);
    match &record.data {
        RData::A(_) => format!("internet address = {data}"),
        RData::AAAA(_) => format!("has AAAA address {data}"),
        RData::CNAME(_) => format!("canonical name = {data}"),
        RData::NS(_) => format!("nameserver = {data}"),
        RData::PTR(_) => format!("name = {data}"),
        RData::MX(_) => format!("mail exchanger = {data}"),
        RData::TXT(_) => format!("text = {data}"),
        RData::SRV(_) => format!("service = {data}"),
        _ => format!("rdata_{} = {data}", u16::from(record.record_type())),
    }
}

fn soa(data: &RData) -> String {
    let RData::SOA(soa) = data else { return String::new() };
    format!(
        "\torigin = {}\n\tmail addr = {}\n\tserial = {}\n\trefresh = {}\n\tretry = {}\n\texpire = {}\n\tminimum = {}\n",
        text::bare(&soa.mname),
        text::bare(&soa.rname),
        soa.serial,
        soa.refresh as u32,
        soa.retry as u32,
        soa.expire as u32,
        soa.minimum
    )
}

/// `set debug`: all sections.
fn details(message: &Message) -> String {
    let mut out = String::from("------------\n    QUESTIONS:\n");
    for q in &message.queries {
        let (name, rtype) = (text::bare(q.name()), text::rtype(q.query_type()));
        let _ = writeln!(out, "\t{name}, type = {rtype}, class = {}", text::class(q.query_class()));
    }
    for (title, records) in [
        ("ANSWERS", &message.answers),
        ("AUTHORITY RECORDS", &message.authorities),
        ("ADDITIONAL RECORDS", &message.additionals),
    ] {
        let _ = writeln!(out, "    {title}:");
        for record in records {
            let _ = writeln!(out, "    ->  {}", text::bare(&record.name));
            match &record.data {
                RData::SOA(_) => out.push_str(&soa(&record.data)),
                _ => {
                    let _ = writeln!(out, "\t{}", fact(record));
                }
            }
            let _ = writeln!(out, "\tttl = {}", record.ttl);
        }
    }
    out + "------------\n"
}
