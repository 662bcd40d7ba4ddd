//! `dig`, as BIND 9.18 has it.

#[cfg(test)]
mod beside_bind;
mod options;
pub(crate) mod print;
mod usage;

use core::net::{IpAddr, SocketAddr};
use std::fmt::Write as _;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, RData, RecordType};
use netarium_base::{Duration, Rng};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::calendar::Date;
use crate::dns::client::{self, How, Miss, Reply, Server};
use crate::dns::stub::ResolvConf;
use crate::dns::text;
use options::{Global, Line, Lookup, Stop};

/// The version that is imitated, as it prints itself.
pub(crate) const VERSION: &str = "9.18.49-1~deb12u3-Debian";
/// No server answered.
const NO_SERVER: i32 = 9;
/// A name that is none.
const INTERNAL: i32 = 10;
/// The number of the cookie option and the length of a client's cookie (RFC 7873 §4).
const COOKIE: (u16, usize) = (10, 8);
/// How many referrals `+trace` follows.
const TRACE_MAX: usize = 30;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let args = args.get(1..).unwrap_or_default();
        match options::parse(args) {
            Ok(line) => run(process, args, line).await,
            Err(Stop::Help) => {
                process.print(usage::FULL).await;
                0
            }
            Err(Stop::Version) => {
                process.eprint(&format!("DiG {VERSION}\n")).await;
                0
            }
            Err(Stop::Usage(what)) => {
                process.eprint(&format!("{what}\n{}", usage::SHORT)).await;
                1
            }
            Err(Stop::Fatal(what)) => {
                process.eprint(&format!("dig: {what}\n")).await;
                1
            }
            Err(Stop::Number { what, value, why, code }) => {
                process.print(&format!("invalid {what} '{value}': {why}\n")).await;
                process.eprint(&format!("dig: Couldn't parse {what}\n")).await;
                code
            }
        }
    })
}

async fn run(process: Process, args: &[String], line: Line) -> i32 {
    for warning in &line.warnings {
        process.eprint(&format!("{warning}\n")).await;
    }
    let found = line.lookups[0].servers.len();
    let mut dig = Dig {
        process,
        rng: process.rng("dig"),
        greeting: greeting(args, &line.global, found),
        global: line.global,
    };
    let mut code = 0;
    for lookup in &line.lookups {
        match dig.look_up(lookup).await {
            Ok(()) => {}
            Err(End::Code(c)) => code = c,
            Err(End::Fatal(text, c)) => {
                process.eprint(&format!("dig: {text}\n")).await;
                return c;
            }
        }
    }
    code
}

/// The version of EDNS that a server takes, when it is older than the one it was asked with.
fn older_edns(reply: &Reply, lookup: &Lookup) -> Option<u8> {
    // The number is BADSIG's, too (RFC 6895 §2.3).
    let refused = u16::from(reply.message.metadata.response_code) == 16;
    let version = reply.message.edns.as_ref()?.version();
    (refused && lookup.edns.is_some_and(|asked| asked > version)).then_some(version)
}

fn greeting(args: &[String], global: &Global, servers: usize) -> String {
    let mut out = format!("\n; <<>> DiG {VERSION} <<>>");
    for arg in args {
        let _ = write!(out, " {arg}");
    }
    out.push('\n');
    if servers > 0 {
        // BIND counts the addresses of the last server that was named.
        out.push_str("; (1 server found)\n");
    }
    let short = if global.short { " +short" } else { "" };
    let _ = writeln!(out, ";; global options:{short} +cmd");
    out
}

/// How a look-up ended that has no answer.
enum End {
    Code(i32),
    Fatal(String, i32),
}

struct Dig {
    process: Process,
    rng: Rng,
    global: Global,
    /// What is printed before the first message.
    greeting: String,
}

impl Dig {
    async fn look_up(&mut self, lookup: &Lookup) -> Result<(), End> {
        let servers = self.servers(lookup).await?;
        if lookup.trace {
            return self.trace(lookup, servers).await;
        }
        let names = self.names(lookup)?;
        let last = names.len() - 1;
        for (n, name) in names.into_iter().enumerate() {
            let query = self.query(lookup, &name, lookup.rtype, lookup.recurse);
            self.show_query(lookup, &query).await;
            let mut reply = self.ask(&servers, &query, lookup).await?;
            if let Some(version) = older_edns(&reply, lookup) {
                if !self.global.short {
                    let text = format!(";; BADVERS, retrying with EDNS version {version}.\n");
                    self.process.print(&text).await;
                }
                let again = Lookup { edns: Some(version), ..lookup.clone() };
                let query = self.query(&again, &name, lookup.rtype, lookup.recurse);
                reply = self.ask(&servers, &query, &again).await?;
            }
            let found = !reply.message.answers.is_empty();
            if found || n == last {
                self.show(lookup, &reply).await;
                return Ok(());
            }
        }
        Ok(())
    }

    /// The names to try: the one that was typed, with `+search` those of the search list.
    fn names(&self, lookup: &Lookup) -> Result<Vec<Name>, End> {
        let illegal = |e: text::NameError| {
            End::Fatal(format!("'{}' is not a legal name ({e})", lookup.name), INTERNAL)
        };
        let plain = text::parse_name(&lookup.name, &Name::root()).map_err(illegal)?;
        let conf = ResolvConf::of(&self.process).filter(|_| lookup.search);
        Ok(conf.map_or_else(|| vec![plain], |conf| conf.candidates(&lookup.name)))
    }

    /// The servers of a look-up; a name among them is looked up first.
    async fn servers(&self, lookup: &Lookup) -> Result<Vec<Server>, End> {
        let port = self.global.port;
        if lookup.servers.is_empty() {
            return Ok(client::usual_servers(&self.process, port));
        }
        let mut servers = Vec::new();
        for name in &lookup.servers {
            let found = self.process.resolve(name).await;
            let Some(ip) = found.ok().and_then(|all| all.first().copied()) else {
                return Err(End::Fatal(format!("couldn't get address for '{name}': not found"), 1));
            };
            servers.push(Server { address: SocketAddr::new(ip, port), name: name.clone() });
        }
        Ok(servers)
    }

    fn query(&mut self, lookup: &Lookup, name: &Name, rtype: RecordType, recurse: bool) -> Message {
        let id = self.rng.next_u32() as u16;
        let mut query = Message::new(id, MessageType::Query, OpCode::Query);
        let mut question = Query::query(name.clone(), rtype);
        question.set_query_class(lookup.class);
        query.add_query(question);
        query.metadata.recursion_desired = recurse;
        query.metadata.authoritative = lookup.aa;
        query.metadata.authentic_data = lookup.ad;
        query.metadata.checking_disabled = lookup.cd;
        if let Some(version) = lookup.edns {
            let mut edns = Edns::new();
            edns.set_version(version).set_max_payload(lookup.bufsize);
            edns.set_dnssec_ok(lookup.dnssec);
            if lookup.cookie {
                let cookie = self.rng.next_u64().to_be_bytes();
                debug_assert_eq!(cookie.len(), COOKIE.1);
                edns.options_mut().insert(EdnsOption::Unknown(COOKIE.0, cookie.to_vec()));
            }
            query.set_edns(edns);
        }
        query
    }

    async fn ask(
        &mut self,
        servers: &[Server],
        query: &Message,
        lookup: &Lookup,
    ) -> Result<Reply, End> {
        let how = How {
            timeout: Duration::from_secs(lookup.timeout),
            tries: lookup.tries,
            tcp: lookup.over_tcp(),
            ignore_tc: lookup.ignore,
            quiet_tc: self.global.short || !lookup.comments,
        };
        match client::ask(&self.process, servers, query, how).await {
            Ok(reply) => Ok(reply),
            Err(Miss::NoWay) => Err(End::Code(NO_SERVER)),
            Err(Miss::Silence) => {
                self.greet(true).await;
                self.process.print(";; no servers could be reached\n").await;
                Err(End::Code(NO_SERVER))
            }
        }
    }

    /// Prints the greeting, once. `+short` does without; a failure shows it when `+cmd` follows.
    async fn greet(&mut self, failed: bool) {
        let greeting = std::mem::take(&mut self.greeting);
        if self.global.cmd && (failed || !self.global.short) {
            self.process.print(&greeting).await;
        }
    }

    /// `+qr`.
    async fn show_query(&mut self, lookup: &Lookup, query: &Message) {
        if !lookup.qr {
            return;
        }
        self.greet(false).await;
        let title = if lookup.comments { ";; Sending:\n" } else { "" };
        let size = query.to_vec().map_or(0, |bytes| bytes.len());
        let mut out = format!("{title}{}", print::message(query, &self.global, lookup));
        if lookup.stats {
            let _ = write!(out, ";; QUERY SIZE: {size}\n\n");
        }
        self.process.print(&out).await;
    }

    async fn show(&mut self, lookup: &Lookup, reply: &Reply) {
        self.greet(false).await;
        if self.global.short {
            let (ip, ms) = (reply.server.address.ip(), reply.elapsed.as_millis());
            let tail = if lookup.identify {
                format!(" from server {ip} in {ms} ms.")
            } else {
                String::new()
            };
            let lines: String =
                print::short(&reply.message).map(|line| format!("{line}{tail}\n")).collect();
            return self.process.print(&lines).await;
        }
        let title = if lookup.comments { ";; Got answer:\n" } else { "" };
        let mut out = format!("{title}{}", print::message(&reply.message, &self.global, lookup));
        if lookup.stats {
            out.push_str(&self.stats(reply));
            out.push('\n');
        }
        self.process.print(&out).await;
    }

    fn stats(&self, reply: &Reply) -> String {
        let took = if self.global.micros {
            format!("{} usec", reply.elapsed.as_nanos() / 1_000)
        } else {
            format!("{} msec", reply.elapsed.as_millis())
        };
        let date = Date::from_unix(self.process.unix_time() / 1_000_000_000);
        format!(
            ";; Query time: {took}\n;; SERVER: {}({}) ({})\n;; WHEN: {}\n;; MSG SIZE  rcvd: {}\n",
            reply.server.place(),
            reply.server.name,
            if reply.tcp { "TCP" } else { "UDP" },
            date.ctime_utc(),
            reply.size
        )
    }

    /// `+trace`: the root's servers from a resolver, and from there on step by step.
    async fn trace(&mut self, lookup: &Lookup, mut servers: Vec<Server>) -> Result<(), End> {
        let name = self.names(lookup)?.remove(0);
        let mut zone: Option<Name> = None;
        for step in 0..TRACE_MAX {
            let query = if step == 0 {
                self.query(lookup, &Name::root(), RecordType::NS, lookup.recurse)
            } else {
                self.query(lookup, &name, lookup.rtype, false)
            };
            self.show_query(lookup, &query).await;
            let reply = self.ask(&servers, &query, lookup).await?;
            self.greet(false).await;
            let mut out = print::message(&reply.message, &self.global, lookup);
            let _ = write!(
                out,
                ";; Received {} bytes from {}({}) in {} ms\n\n",
                reply.size,
                reply.server.place(),
                reply.server.name,
                reply.elapsed.as_millis()
            );
            if self.global.short {
                let last = step > 0 && !reply.message.answers.is_empty();
                out = if last {
                    print::short(&reply.message).map(|l| l + "\n").collect()
                } else {
                    String::new()
                };
            }
            self.process.print(&out).await;
            let answered = step > 0 && !reply.message.answers.is_empty();
            let next = print::servers_of(&reply.message, step == 0);
            let Some(first) = next.first().filter(|_| !answered) else { return Ok(()) };
            if let Some(above) = zone.as_ref().filter(|_| step > 1) {
                if !above.zone_of(&first.name) {
                    self.process.print(";; BAD REFERRAL\n").await;
                    return Ok(());
                }
                if *above == first.name {
                    self.process.print(";; BAD (HORIZONTAL) REFERRAL\n").await;
                }
            }
            zone = Some(first.name.clone());
            servers = self.next_servers(&reply.message, step == 0).await;
            if servers.is_empty() {
                return Err(End::Code(NO_SERVER));
            }
        }
        Ok(())
    }

    /// The servers that a message names, in an order by chance: by the addresses that came along,
    /// else as the host looks them up.
    async fn next_servers(&mut self, message: &Message, answer: bool) -> Vec<Server> {
        let mut servers = Vec::new();
        for record in print::servers_of(message, answer) {
            let RData::NS(ns) = &record.data else { continue };
            let name = text::bare(&ns.0);
            let glue = message.additionals.iter().filter(|r| r.name == ns.0);
            let mut found: Vec<IpAddr> = glue
                .filter_map(|r| match &r.data {
                    RData::A(a) => Some(IpAddr::V4(a.0)),
                    _ => None,
                })
                .collect();
            if found.is_empty() {
                found = self.process.resolve(&text::name(&ns.0)).await.unwrap_or_default();
            }
            if found.is_empty() {
                let text = format!("couldn't get address for '{name}': not found\n");
                self.process.eprint(&text).await;
            }
            let port = self.global.port;
            servers.extend(
                found
                    .into_iter()
                    .map(|ip| Server { address: SocketAddr::new(ip, port), name: name.clone() }),
            );
        }
        // Fisher and Yates, from the end.
        for at in (1..servers.len()).rev() {
            servers.swap(at, self.rng.below(at as u32 + 1) as usize);
        }
        servers
    }
}
