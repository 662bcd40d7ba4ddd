//! `nsd`: an authoritative name server, with the flags and the configuration file of NSD.
//!
//! Zones are read at the start and again on SIGHUP; a zone whose file has a mistake keeps its former
//! contents, or answers SERVFAIL when it never had any. It never recurses.

pub(crate) mod answer;
#[cfg(test)]
mod beside_nsd;
mod config;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;

use hickory_proto::op::Message;
use hickory_proto::rr::Name;
use netarium_world::process::{LocalBoxFuture, Process};

use super::listen::{self, Client, Reply, Service};
use super::log::Log;
use super::zone::Zone;
use super::zone::parse::FILE_MAX;
use super::{text, wire};
use answer::Zones;
pub(crate) use config::address;
use config::{Config, Stop, ZoneFile};

/// SIGHUP.
const HANG_UP: u8 = 1;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match config::read(&process, args.get(1..).unwrap_or_default()) {
            Ok(config) => run(process, config).await,
            Err(Stop::Text(text)) => {
                process.print(text).await;
                0
            }
            Err(Stop::Wrong(text)) => {
                process.eprint(&format!("{}\n", text.trim_end())).await;
                1
            }
        }
    })
}

async fn run(process: Process, config: Config) -> i32 {
    let log = Log::start(process, "nsd");
    let mut zones = Zones::new(config.minimal);
    zones.edns_size = config.edns_size;
    load(&process, &config.zones, &mut zones, &log);
    let server = Rc::new(Server {
        process,
        zones: RefCell::new(zones),
        verbosity: config.verbosity,
        log: Rc::clone(&log),
        queries: Cell::new(0),
    });
    if let Err(e) = listen::serve(process, &config.addresses, &server) {
        log.say("error", &e);
        log.flush().await;
        return 1;
    }
    log.say("notice", "nsd started (NSD 4.6.1), pid 1 per server");
    loop {
        match process.terminated().await {
            HANG_UP => {
                log.say("notice", "signal received, reloading...");
                load(&process, &config.zones, &mut server.zones.borrow_mut(), &log);
            }
            _ => {
                let queries = server.queries.get();
                log.say(
                    "warning",
                    &format!("signal received, shutting down after {queries} queries"),
                );
                log.flush().await;
                return 0;
            }
        }
    }
}

/// Reads all zones.
fn load(process: &Process, files: &[ZoneFile], zones: &mut Zones, log: &Log) {
    for ZoneFile { apex, path } in files {
        match load_one(process, apex, path) {
            Ok(zone) => {
                let (name, records, serial) = (text::bare(apex), zone.len(), zone.serial());
                log.say(
                    "info",
                    &format!("zone {name} read with success: {records} records, serial {serial}"),
                );
                zones.insert(apex.clone(), Some(zone));
            }
            Err(e) => {
                log.say("error", &format!("zone {} not read: {e}", text::bare(apex)));
                let former = zones.get(apex).cloned();
                zones.insert(apex.clone(), former);
            }
        }
    }
}

fn load_one(process: &Process, apex: &Name, path: &str) -> Result<Zone, String> {
    let contents = |path: &str| {
        let bytes = process.read_file(path).map_err(|e| e.to_string())?;
        if bytes.len() > FILE_MAX {
            return Err(format!("more than {FILE_MAX} bytes"));
        }
        // Windows' editors begin a file with a mark that is no part of its text.
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
    };
    // Included files stand beside the one that includes them.
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let include = |file: &str| {
        contents(&if file.starts_with('/') { file.to_owned() } else { format!("{folder}/{file}") })
    };
    let text = contents(path).map_err(|e| format!("{path}: {e}"))?;
    Zone::parse(apex, path, &text, &include).map_err(|e| e.to_string())
}

struct Server {
    process: Process,
    zones: RefCell<Zones>,
    verbosity: u32,
    log: Rc<Log>,
    queries: Cell<u64>,
}

impl Service for Server {
    fn handle(self: Rc<Self>, request: &[u8], client: Client) -> Reply {
        let answered = answer::respond(&self.zones.borrow(), request, client.tcp);
        let Some(answered) = answered else { return Reply::Now(None) };
        self.queries.set(self.queries.get() + 1);
        let peer = client.address.ip();
        wire::note_query(&self.process, wire::Side::Received, peer, &answered.response);
        wire::note_response(&self.process, wire::Side::Sent, peer, &answered.response);
        if self.verbosity > 0 {
            self.log.say("info", &line(&answered.response, client));
        }
        Reply::Now(Some(answered.bytes))
    }
}

/// The line of a query: who, what, how it ended.
fn line(response: &Message, client: Client) -> String {
    let mut line = format!("query from {}", client.address);
    match response.queries.first() {
        Some(q) => {
            let (class, rtype) = (text::class(q.query_class()), text::rtype(q.query_type()));
            let _ = write!(line, " {} {class} {rtype}", text::name(q.name()));
        }
        None => line.push_str(" without a question"),
    }
    let flags = &response.metadata;
    let _ = write!(line, " {}", if client.tcp { "tcp" } else { "udp" });
    let _ = write!(line, ": {}", text::rcode(flags.response_code));
    for (set, name) in [(flags.authoritative, " aa"), (flags.truncation, " tc")] {
        line.push_str(if set { name } else { "" });
    }
    let sections = [&response.answers, &response.authorities, &response.additionals];
    let counts: Vec<String> = sections.iter().map(|s| s.len().to_string()).collect();
    let _ = write!(line, " {}", counts.join("/"));
    line
}
