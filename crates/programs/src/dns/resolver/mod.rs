//! `unbound`: a recursive resolver with a cache, with the flags and the configuration file of
//! unbound.
//!
//! In reading order: this file (starting, clients, who waits for whom), [`iterate`] (from the root
//! down), [`classify`] (what a response means and what of it may be believed), [`upstream`] (one
//! question to one server), [`cache`], [`infra`] (what is known about servers), [`config`],
//! [`control`] (`unbound-control`).
//!
//! Every step is an event of the trace that is caused by the one before: from a query that reaches
//! an authority, `why` leads back through the referrals to the client's query.
//!
//! Left out: DNSSEC, IPv6 towards servers, priming and minimised queries (RFC 8109, RFC 9156):
//! every server is asked the whole question, as textbooks draw it.

mod cache;
mod classify;
mod config;
pub(crate) mod control;
mod infra;
mod iterate;
mod upstream;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::NS;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use netarium_base::Rng;
use netarium_world::process::{LocalBoxFuture, Process};

use super::listen::{self, Client, Reply, Service};
use super::log::Log;
use super::message::{self, EDNS_SIZE, Head, PLAIN_MAX, TCP_MAX};
use super::server::answer::{begin, read};
use super::text;
use super::wire::{self, Side, note_step};
use cache::{Cache, Counters as CacheCounters, Trust};
use classify::End;
use config::{Access, Config, Stop};
use infra::Infra;
use iterate::Outcome;

/// SIGHUP.
const HANG_UP: u8 = 1;
/// How many different questions are worked on at a time.
const FLIGHTS_MAX: usize = 512;
/// The option that tells a client why it got SERVFAIL (RFC 8914 §2).
const EDE_OPTION: u16 = 15;
/// The time to live of the root's hints when they are shown, seconds.
const HINT_TTL: u32 = 518_400;

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
    let log = Log::start(process, "unbound");
    let resolver = Rc::new(Resolver {
        process,
        cache: RefCell::new(Cache::new(config.limits)),
        infra: RefCell::default(),
        rng: RefCell::new(process.rng("dns")),
        flights: RefCell::default(),
        counters: Cell::default(),
        log: Rc::clone(&log),
        config,
    });
    if let Err(e) = listen::serve(process, &resolver.config.addresses, &resolver) {
        log.say("error", &e);
        log.flush().await;
        return 1;
    }
    control::serve(&resolver);
    log.say("info", "start of service (unbound 1.17.1).");
    loop {
        match process.terminated().await {
            HANG_UP => resolver.reload(),
            _ => {
                let asked = resolver.counters.get().queries;
                log.say("info", &format!("service stopped (unbound 1.17.1), {asked} queries."));
                log.flush().await;
                return 0;
            }
        }
    }
}

/// What the resolver did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    /// Clients' queries.
    queries: u64,
    /// Those that were answered at once.
    at_once: u64,
    /// Those that waited for another client's same query.
    coalesced: u64,
    /// Those that were dropped.
    dropped: u64,
    /// Queries to servers, and those over TCP among them.
    sent: u64,
    tcp: u64,
    timeouts: u64,
    lame: u64,
    /// Messages and records that were not believed.
    rejected: u64,
    /// SERVFAIL.
    failed: u64,
}

/// The resolver.
struct Resolver {
    process: Process,
    config: Config,
    cache: RefCell<Cache>,
    infra: RefCell<Infra>,
    rng: RefCell<Rng>,
    /// Questions that are being worked on.
    flights: RefCell<BTreeMap<(Name, u16), Rc<Flight>>>,
    counters: Cell<Counters>,
    log: Rc<Log>,
}

/// A question that is being worked on, and who waits for it.
#[derive(Debug, Default)]
struct Flight {
    outcome: RefCell<Option<Outcome>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Flight {
    async fn landed(&self) -> Outcome {
        poll_fn(|cx| match &*self.outcome.borrow() {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn land(&self, outcome: Outcome) {
        *self.outcome.borrow_mut() = Some(outcome);
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }
}

impl Service for Resolver {
    fn handle(self: Rc<Self>, request: &[u8], client: Client) -> Reply {
        let Some(head) = Head::of(request).filter(|head| !head.response) else {
            return Reply::Now(None);
        };
        let access = self.access(client);
        if access == Access::Deny {
            return Reply::Now(None);
        }
        self.count(|c| c.queries += 1);
        let query = match read(head, request) {
            Ok(query) => query,
            Err(mut response) => {
                return Reply::Now(Some(message::encode(&mut response, PLAIN_MAX, false)));
            }
        };
        wire::note_query(&self.process, Side::Received, client.address.ip(), &query);
        if self.config.log_queries || self.config.verbosity > 1 {
            self.log.say("info", &question_line(&query, client));
        }
        match self.at_once(&query, access) {
            Some(response) => {
                self.count(|c| c.at_once += 1);
                Reply::Now(Some(self.finish(&query, response, client)))
            }
            None => Reply::Later(Box::pin(async move {
                let outcome = self.outcome(&query.queries[0]).await?;
                Some(self.finish(&query, self.response(&query, outcome), client))
            })),
        }
    }

    fn overloaded(&self) {
        self.count(|c| c.dropped += 1);
    }
}

impl Resolver {
    fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    fn access(&self, client: Client) -> Access {
        let ip = client.address.ip();
        let fits = self.config.access.iter().filter(|(network, _)| network.contains(ip));
        // The narrowest network decides; without any rule a lab's hosts may ask.
        let narrowest = fits.max_by_key(|(network, _)| network.prefix());
        match narrowest {
            Some((_, access)) => *access,
            None if ip.is_loopback() || self.config.access.is_empty() => Access::AllowSnoop,
            None => Access::Refuse,
        }
    }

    /// SIGHUP: the cache is emptied, as unbound does it.
    fn reload(&self) {
        let gone = self.cache.borrow_mut().flush(|_, _| true);
        *self.infra.borrow_mut() = Infra::default();
        self.log.say("info", &format!("reload: {gone} entries of the cache are forgotten"));
    }

    /// The response to a query that needs no packets.
    fn at_once(&self, query: &Message, access: Access) -> Option<Message> {
        let question = &query.queries[0];
        let refused = || {
            let mut response = begin(query, EDNS_SIZE);
            response.metadata.response_code = ResponseCode::Refused;
            Some(response)
        };
        let (name, rtype) = (question.name(), question.query_type());
        let transfer = matches!(rtype, RecordType::AXFR | RecordType::IXFR);
        let recurse = query.metadata.recursion_desired;
        if access == Access::Refuse || transfer || question.query_class() != DNSClass::IN {
            return refused();
        }
        if !recurse && access == Access::Allow {
            return refused();
        }
        if let Some(outcome) = self.cached(name, rtype) {
            note_step(&self.process, "cached", name, rtype, || {
                "the answer is in the cache".to_owned()
            });
            return Some(self.response(query, outcome));
        }
        if !recurse {
            let mut response = begin(query, EDNS_SIZE);
            let (servers, glue) = self.best_referral(name, rtype);
            response.add_authorities(servers);
            response.add_additionals(glue);
            return Some(response);
        }
        None
    }

    /// The outcome that the cache has, all aliases and their end.
    fn cached(&self, name: &Name, rtype: RecordType) -> Option<Outcome> {
        let (mut aliases, mut at): (Vec<Record>, Name) = (Vec::new(), name.clone());
        loop {
            let (records, end) = match self.known(&at, rtype)? {
                Ok(known) => known,
                Err(why) => return Some(Outcome::Failure(why)),
            };
            aliases.extend(records);
            match end {
                End::Records => return Some(Outcome::Records(aliases)),
                End::NoData(soa) => return Some(Outcome::NoData(aliases, soa)),
                End::NxDomain(soa) => return Some(Outcome::NxDomain(aliases, soa)),
                // A circle is for `resolve` to find.
                End::Alias(target) if aliases.iter().any(|r| r.name == target) => return None,
                End::Alias(target) => at = target,
            }
        }
    }

    /// The outcome of a question: of the same question of another client, where one is on its way.
    /// `None` when too many are.
    async fn outcome(self: &Rc<Self>, question: &hickory_proto::op::Query) -> Option<Outcome> {
        let (name, rtype) = (question.name().clone(), question.query_type());
        let key = (name.clone(), u16::from(rtype));
        let known = self.flights.borrow().get(&key).cloned();
        if let Some(flight) = known {
            self.count(|c| c.coalesced += 1);
            note_step(&self.process, "coalesced", &name, rtype, || {
                "the same question is on its way already".to_owned()
            });
            return Some(flight.landed().await);
        }
        if self.flights.borrow().len() >= FLIGHTS_MAX {
            self.overloaded();
            return None;
        }
        let flight = Rc::new(Flight::default());
        self.flights.borrow_mut().insert(key.clone(), Rc::clone(&flight));
        let (this, landing, cause) = (Rc::clone(self), Rc::clone(&flight), self.process.cause());
        // Of its own, so that it lands even when the client's connection is gone.
        self.process.spawn(async move {
            this.process.follow(cause);
            let outcome = this.resolve(&name, rtype).await;
            this.flights.borrow_mut().remove(&key);
            landing.land(outcome);
        });
        Some(flight.landed().await)
    }

    /// An outcome as a message.
    fn response(&self, query: &Message, outcome: Outcome) -> Message {
        let mut response = begin(query, EDNS_SIZE);
        let (code, answers, soa) = match outcome {
            Outcome::Records(records) => (ResponseCode::NoError, records, None),
            Outcome::NoData(aliases, soa) => (ResponseCode::NoError, aliases, soa),
            Outcome::NxDomain(aliases, soa) => (ResponseCode::NXDomain, aliases, soa),
            Outcome::Failure(why) => {
                self.count(|c| c.failed += 1);
                if let Some(edns) = &mut response.edns {
                    let text = [&why.code.to_be_bytes()[..], why.text.as_bytes()].concat();
                    edns.options_mut().insert(EdnsOption::Unknown(EDE_OPTION, text));
                }
                (ResponseCode::ServFail, Vec::new(), None)
            }
        };
        response.metadata.response_code = code;
        // The addresses of servers, as far as they are at hand.
        for server in answers.iter().filter_map(|r| match &r.data {
            RData::NS(server) => Some(server),
            _ => None,
        }) {
            let known = self.cache.borrow_mut().records(
                self.process.now(),
                &server.0,
                RecordType::A,
                Trust::Glue,
            );
            response.add_additionals(known.into_iter().flatten());
        }
        response.add_answers(answers);
        response.add_authorities(soa);
        response
    }

    fn finish(&self, query: &Message, mut response: Message, client: Client) -> Vec<u8> {
        response.metadata.recursion_available = true;
        response.metadata.checking_disabled = query.metadata.checking_disabled;
        let limit = match &query.edns {
            _ if client.tcp => TCP_MAX,
            None => PLAIN_MAX,
            Some(edns) => usize::from(edns.max_payload().min(EDNS_SIZE)).max(PLAIN_MAX),
        };
        let bytes = message::encode(&mut response, limit, false);
        wire::note_response(&self.process, Side::Sent, client.address.ip(), &response);
        if self.config.log_replies || self.config.verbosity > 1 {
            let code = text::rcode(response.metadata.response_code);
            let line = question_line(query, client);
            self.log.say("info", &format!("{line} {code} {}", bytes.len()));
        }
        bytes
    }

    /// The root's servers as records.
    fn root_hints(&self) -> (Vec<Record>, Vec<Record>) {
        let hints = &self.config.root;
        let server =
            |name: &Name| Record::from_rdata(Name::root(), HINT_TTL, RData::NS(NS(name.clone())));
        let mut servers: Vec<Record> = hints.iter().map(|(name, _)| server(name)).collect();
        servers.dedup();
        let glue = hints.iter().map(|(name, ip)| {
            let data = match ip {
                std::net::IpAddr::V4(a) => RData::A((*a).into()),
                std::net::IpAddr::V6(a) => RData::AAAA((*a).into()),
            };
            Record::from_rdata(name.clone(), HINT_TTL, data)
        });
        (servers, glue.collect())
    }

    /// All counters by the names of `unbound-control stats`.
    fn statistics(&self) -> Vec<(&'static str, u64)> {
        let c = self.counters.get();
        let cache = self.cache.borrow();
        let CacheCounters { hits, misses, expired, evicted } = cache.counters;
        let (entries, bytes) = cache.size();
        vec![
            ("total.num.queries", c.queries),
            ("total.num.cachehits", c.at_once),
            ("total.num.cachemiss", c.queries - c.at_once),
            ("total.num.coalesced", c.coalesced),
            ("total.num.dropped", c.dropped),
            ("total.num.servfail", c.failed),
            ("upstream.num.queries", c.sent),
            ("upstream.num.tcp", c.tcp),
            ("upstream.num.timeouts", c.timeouts),
            ("upstream.num.lame", c.lame),
            ("unwanted.replies", c.rejected),
            ("rrset.cache.count", entries as u64),
            ("mem.cache.rrset", bytes as u64),
            ("cache.lookup.hits", hits),
            ("cache.lookup.misses", misses),
            ("cache.expired", expired),
            ("cache.evicted", evicted),
        ]
    }
}

/// `10.0.0.7 www.shop.lab. A IN`.
fn question_line(query: &Message, client: Client) -> String {
    let q = &query.queries[0];
    let (class, rtype) = (text::class(q.query_class()), text::rtype(q.query_type()));
    format!("{} {} {rtype} {class}", client.address.ip(), text::name(q.name()))
}
