//! From the root down: iterative resolution (RFC 1034 §5.3.3) with limits on everything that a zone's
//! owner could make large.

use core::net::{IpAddr, SocketAddr};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use netarium_base::{Duration, Instant};

use super::Resolver;
use super::cache::{Fact, Trust};
use super::classify::{self, Asked, End, Meaning};
use super::upstream::{Question, Silence};
use crate::dns::text;
use crate::dns::wire::note_step;

/// How many aliases are followed from zone to zone (unbound's MAX_RESTART_COUNT).
const ALIASES_MAX: usize = 11;
/// How many referrals are followed for one name.
const REFERRALS_MAX: usize = 30;
/// How many queries one client's query may cause in all.
const SENDS_MAX: u32 = 64;
/// How many addresses of name servers one client's query may make us look up (NXNSAttack).
const TARGETS_MAX: u32 = 16;
/// How many names of servers of one zone are looked up.
const TARGETS_PER_ZONE: usize = 3;
/// How deep look-ups of servers' addresses nest.
const DEPTH_MAX: usize = 4;
/// How often one server is asked the same.
const TRIES_MAX: u32 = 4;
/// Servers within so much of the quickest are chosen among by chance (unbound's RTT band).
const BAND: Duration = Duration::from_millis(400);
/// How long one client's query may take.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How a question ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Aliases and records.
    Records(Vec<Record>),
    /// Aliases, and then nothing of the type; the SOA record.
    NoData(Vec<Record>, Option<Record>),
    /// Aliases, and then no such name.
    NxDomain(Vec<Record>, Option<Record>),
    /// Nobody could be asked; why.
    Failure(Trouble),
}

/// Why there is no answer, as an Extended DNS Error (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Its number.
    pub(super) code: u16,
    /// In words.
    pub(super) text: String,
}

impl Trouble {
    /// §4.23: no server of a zone gave an answer.
    pub(super) fn unreachable(text: impl Into<String>) -> Trouble {
        Trouble { code: 22, text: text.into() }
    }

    /// §4.1: something that has no number of its own.
    fn other(text: impl Into<String>) -> Trouble {
        Trouble { code: 0, text: text.into() }
    }
}

/// What one client's query may use up.
#[derive(Debug)]
pub(super) struct Budget {
    sends: Cell<u32>,
    targets: Cell<u32>,
    until: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Budget {
        Budget {
            sends: Cell::new(SENDS_MAX),
            targets: Cell::new(TARGETS_MAX),
            until: now + TIME_MAX,
        }
    }

    /// Takes one of what is left.
    fn take(of: &Cell<u32>) -> bool {
        let left = of.get();
        of.set(left.saturating_sub(1));
        left > 0
    }
}

/// A zone and who serves it.
#[derive(Clone, Debug)]
struct Delegation {
    zone: Name,
    /// Addresses that are known.
    addresses: Vec<SocketAddr>,
    /// Names of servers whose addresses are not.
    missing: Vec<Name>,
    forward: bool,
}

/// A look-up on its way: what it may use up, and which names it is part of.
#[derive(Clone)]
struct Work {
    budget: Rc<Budget>,
    /// The servers' names whose addresses are being looked up, the outermost first.
    above: Rc<[Name]>,
}

impl Resolver {
    /// Answers a question, from the cache or from the root down.
    pub(super) async fn resolve(self: &Rc<Self>, name: &Name, rtype: RecordType) -> Outcome {
        let budget = Rc::new(Budget::new(self.process.now()));
        self.follow(name, rtype, Work { budget, above: Rc::new([]) }).await
    }

    /// Follows aliases from zone to zone.
    async fn follow(self: &Rc<Self>, name: &Name, rtype: RecordType, work: Work) -> Outcome {
        let (mut aliases, mut at) = (Vec::new(), name.clone());
        for _ in 0..=ALIASES_MAX {
            let (records, end) = match self.known(&at, rtype) {
                Some(Ok(known)) => known,
                Some(Err(why)) => return Outcome::Failure(why),
                None => match self.iterate(&at, rtype, &work).await {
                    Ok(found) => found,
                    Err(why) => return self.fail(&at, rtype, why),
                },
            };
            aliases.extend(records);
            match end {
                End::Records => return Outcome::Records(aliases),
                End::NoData(soa) => return Outcome::NoData(aliases, soa),
                End::NxDomain(soa) => return Outcome::NxDomain(aliases, soa),
                End::Alias(target) if aliases.iter().any(|r: &Record| r.name == target) => {
                    let why = Trouble::other("the aliases lead in a circle");
                    return self.fail(name, rtype, why);
                }
                End::Alias(target) => {
                    note_step(&self.process, "alias", &at, rtype, || {
                        format!("it is another name of {}", text::bare(&target))
                    });
                    at = target;
                }
            }
        }
        self.fail(name, rtype, Trouble::other(format!("more than {ALIASES_MAX} aliases in a row")))
    }

    fn fail(&self, name: &Name, rtype: RecordType, why: Trouble) -> Outcome {
        note_step(&self.process, "servfail", name, rtype, || why.text.clone());
        let (owner, kind) = (text::name(name), text::rtype(rtype));
        let at = format!("SERVFAIL <{owner} {kind} IN>: {}", why.text);
        self.log.say("error", &at);
        self.cache.borrow_mut().put_failure(self.process.now(), name, rtype, &why);
        Outcome::Failure(why)
    }

    /// What the cache and the configuration say about one name, without following aliases.
    #[allow(clippy::type_complexity, reason = "an answer, a remembered failure, or nothing")]
    pub(super) fn known(
        &self,
        name: &Name,
        rtype: RecordType,
    ) -> Option<Result<(Vec<Record>, End), Trouble>> {
        if let Some(found) = self.local(name, rtype) {
            return Some(Ok(found));
        }
        let now = self.process.now();
        let mut cache = self.cache.borrow_mut();
        let record = |data: RData, ttl: u32| Record::from_rdata(name.clone(), ttl, data);
        let with_ttl =
            |soa: Record, ttl: u32| Some(Record::from_rdata(soa.name.clone(), ttl, soa.data));
        if let Some((fact, ttl)) = cache.fact(now, name, rtype) {
            return Some(match fact {
                Fact::Records(all) => {
                    Ok((all.into_iter().map(|d| record(d, ttl)).collect(), End::Records))
                }
                Fact::NoData(soa) => Ok((Vec::new(), End::NoData(with_ttl(soa, ttl)))),
                Fact::NxDomain(soa) => Ok((Vec::new(), End::NxDomain(with_ttl(soa, ttl)))),
                Fact::Failure(why) => Err(why),
            });
        }
        if rtype == RecordType::CNAME {
            return None;
        }
        let alias = cache.records(now, name, RecordType::CNAME, Trust::Answer)?;
        let target = match &alias.first()?.data {
            RData::CNAME(target) => target.0.clone(),
            _ => return None,
        };
        Some(Ok((alias, End::Alias(target))))
    }

    /// `local-data` of the configuration.
    fn local(&self, name: &Name, rtype: RecordType) -> Option<(Vec<Record>, End)> {
        let mut own = self.config.local.iter().filter(|r| r.name == *name).peekable();
        own.peek()?;
        let found: Vec<Record> = own.filter(|r| r.record_type() == rtype).cloned().collect();
        let end = if found.is_empty() { End::NoData(None) } else { End::Records };
        Some((found, end))
    }

    /// Walks from the nearest known zone down to the one that has the name.
    async fn iterate(
        self: &Rc<Self>,
        name: &Name,
        rtype: RecordType,
        work: &Work,
    ) -> Result<(Vec<Record>, End), Trouble> {
        let mut at = self.nearest(name, rtype);
        for _ in 0..REFERRALS_MAX {
            let response = self.ask_zone(&mut at, name, rtype, work).await?;
            let now = self.process.now();
            match response {
                Meaning::Answer { mut records, end } => {
                    self.remember(now, name, rtype, &mut records, &end);
                    return Ok((records, end));
                }
                Meaning::Referral { zone, ttl, servers } => {
                    note_step(&self.process, "referral", name, rtype, || {
                        let names: Vec<String> = servers.iter().map(text::rdata).collect();
                        format!("{} is served by {}", text::name(&zone), names.join(", "))
                    });
                    let mut cache = self.cache.borrow_mut();
                    cache.put_records(
                        now,
                        &zone,
                        RecordType::NS,
                        ttl,
                        servers.clone(),
                        Trust::Referral,
                    );
                    drop(cache);
                    at = self.delegation(zone, &servers);
                }
                Meaning::Lame(why) => return Err(Trouble::unreachable(why)),
            }
        }
        Err(Trouble::other(format!("more than {REFERRALS_MAX} referrals")))
    }

    /// Keeps what an authority said.
    fn remember(
        &self,
        now: Instant,
        name: &Name,
        rtype: RecordType,
        records: &mut [Record],
        end: &End,
    ) {
        let mut cache = self.cache.borrow_mut();
        let mut sets: BTreeMap<(Name, u16), (u32, Vec<RData>)> = BTreeMap::new();
        for record in records.iter_mut() {
            record.ttl = cache.clamp(record.ttl);
            let key = (record.name.clone(), record.record_type().into());
            let set = sets.entry(key).or_insert((record.ttl, Vec::new()));
            set.0 = set.0.min(record.ttl);
            set.1.push(record.data.clone());
        }
        for ((owner, of), (ttl, data)) in sets {
            cache.put_records(now, &owner, RecordType::from(of), ttl, data, Trust::Answer);
        }
        let last = records.last().and_then(|r| match &r.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        let at = last.unwrap_or(name);
        match end {
            End::NoData(Some(soa)) => cache.put_negative(now, at, Some(rtype), soa),
            End::NxDomain(Some(soa)) => cache.put_negative(now, at, None, soa),
            _ => {}
        }
    }

    /// The nearest zone above a name whose servers are known: given, cached, or the root.
    fn nearest(&self, name: &Name, rtype: RecordType) -> Delegation {
        // DS records are the parent's.
        let mut at = if rtype == RecordType::DS && !name.is_root() {
            name.base_name()
        } else {
            name.clone()
        };
        loop {
            if let Some(given) = self.config.given.iter().find(|g| g.zone == at) {
                return Delegation {
                    zone: at,
                    addresses: given.servers.clone(),
                    missing: Vec::new(),
                    forward: given.forward,
                };
            }
            if at.is_root() {
                let hints = self.config.root.iter();
                let addresses = hints.map(|(_, ip)| SocketAddr::new(*ip, 53)).collect();
                return Delegation { zone: at, addresses, missing: Vec::new(), forward: false };
            }
            let now = self.process.now();
            let servers =
                self.cache.borrow_mut().records(now, &at, RecordType::NS, Trust::Referral);
            if let Some(servers) = servers {
                let data: Vec<RData> = servers.into_iter().map(|r| r.data).collect();
                let found = self.delegation(at.clone(), &data);
                // Servers inside their own zone without an address can only be asked for above.
                let outside = found.missing.iter().any(|n| !at.zone_of(n));
                if outside || !found.addresses.is_empty() {
                    return found;
                }
            }
            at = at.base_name();
        }
    }

    /// A zone's servers with the addresses that the cache has.
    fn delegation(&self, zone: Name, servers: &[RData]) -> Delegation {
        let now = self.process.now();
        let (mut addresses, mut missing) = (Vec::new(), Vec::new());
        let mut cache = self.cache.borrow_mut();
        for data in servers {
            let RData::NS(server) = data else { continue };
            let found =
                cache.records(now, &server.0, RecordType::A, Trust::Glue).unwrap_or_default();
            let ips = found.iter().filter_map(|r| match &r.data {
                RData::A(a) => Some(SocketAddr::new(IpAddr::V4(a.0), 53)),
                _ => None,
            });
            let before = addresses.len();
            addresses.extend(ips);
            if addresses.len() == before {
                missing.push(server.0.clone());
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        Delegation { zone, addresses, missing, forward: false }
    }

    /// Asks the servers of a zone until one says something useful.
    async fn ask_zone(
        self: &Rc<Self>,
        at: &mut Delegation,
        name: &Name,
        rtype: RecordType,
        work: &Work,
    ) -> Result<Meaning, Trouble> {
        let mut tries: BTreeMap<SocketAddr, u32> = BTreeMap::new();
        let (mut looked_up, mut last) = (0, String::new());
        loop {
            let Some(server) = self.choose(at, &tries) else {
                if looked_up < TARGETS_PER_ZONE && self.find_target(at, work).await {
                    looked_up += 1;
                    continue;
                }
                return Err(Trouble::unreachable(self.all_failed(at, &tries, &last)));
            };
            if self.process.now() >= work.budget.until {
                let seconds = TIME_MAX.as_nanos() / 1_000_000_000;
                return Err(Trouble::unreachable(format!("it took more than {seconds} s")));
            }
            if !Budget::take(&work.budget.sends) {
                return Err(Trouble::other(format!("it took more than {SENDS_MAX} queries")));
            }
            *tries.entry(server).or_default() += 1;
            let question = Question { name, rtype, server, recurse: at.forward };
            let response = match self.exchange(question).await {
                Ok(response) => response,
                Err(Silence::Timeout) => {
                    last = format!("{} did not answer", server.ip());
                    continue;
                }
                Err(Silence::Network(why)) => {
                    last = format!("{}: {why}", server.ip());
                    tries.insert(server, TRIES_MAX);
                    continue;
                }
            };
            let asked = Asked { name, rtype, zone: &at.zone, forward: at.forward };
            match classify::meaning(asked, &response) {
                Meaning::Lame(why) => {
                    last = format!("{} is lame for {}: {why}", server.ip(), text::name(&at.zone));
                    note_step(&self.process, "lame", name, rtype, || last.clone());
                    self.log.say("info", &last);
                    self.count(|c| c.lame += 1);
                    self.infra.borrow_mut().lame(self.process.now(), server.ip(), &at.zone);
                    tries.insert(server, TRIES_MAX);
                }
                meaning => {
                    self.keep_glue(asked, &response, &meaning);
                    return Ok(meaning);
                }
            }
        }
    }

    fn all_failed(&self, at: &Delegation, tries: &BTreeMap<SocketAddr, u32>, last: &str) -> String {
        let zone = text::name(&at.zone);
        match (tries.is_empty(), last.is_empty()) {
            (true, _) if !at.addresses.is_empty() => {
                format!("all servers of {zone} are known to be lame")
            }
            (true, _) => format!("no server of {zone} has an address"),
            (false, _) => format!("all servers of {zone} failed; {last}"),
        }
    }

    /// The server to ask next: one of those that answer soonest, by chance.
    fn choose(&self, at: &Delegation, tries: &BTreeMap<SocketAddr, u32>) -> Option<SocketAddr> {
        let (now, mut infra) = (self.process.now(), self.infra.borrow_mut());
        let mut open: Vec<(Duration, SocketAddr)> = Vec::new();
        for &server in &at.addresses {
            let tried = tries.get(&server).copied().unwrap_or(0);
            if tried < TRIES_MAX && !infra.is_lame(now, server.ip(), &at.zone) {
                open.push((infra.timeout(now, server.ip()), server));
            }
        }
        let least = open.iter().map(|o| o.0).min()?;
        open.retain(|o| o.0.as_nanos() <= least.as_nanos() + BAND.as_nanos());
        let chosen = self.rng.borrow_mut().below(open.len() as u32) as usize;
        open.get(chosen).map(|o| o.1)
    }

    /// Looks up the address of one more of a zone's servers; whether there is one to look up.
    fn find_target<'a>(
        self: &'a Rc<Self>,
        at: &'a mut Delegation,
        work: &'a Work,
    ) -> LocalBoxFutureOf<'a, bool> {
        Box::pin(async move {
            let free = |n: &Name| !work.above.contains(n);
            let Some(next) = at.missing.iter().position(free) else { return false };
            let server = at.missing.remove(next);
            if work.above.len() >= DEPTH_MAX || !Budget::take(&work.budget.targets) {
                note_step(&self.process, "limit", &server, RecordType::A, || {
                    format!("no more servers' addresses are looked up for {}", text::name(&at.zone))
                });
                return false;
            }
            note_step(&self.process, "glueless", &server, RecordType::A, || {
                format!("the address of a server of {} is needed", text::name(&at.zone))
            });
            let above: Vec<Name> = work.above.iter().chain([&server]).cloned().collect();
            let inner = Work { budget: Rc::clone(&work.budget), above: above.into() };
            if let Outcome::Records(records) = self.follow(&server, RecordType::A, inner).await {
                let ips = records.iter().filter_map(|r| match &r.data {
                    RData::A(a) => Some(SocketAddr::new(IpAddr::V4(a.0), 53)),
                    _ => None,
                });
                let new: Vec<_> = ips.filter(|a| !at.addresses.contains(a)).collect();
                at.addresses.extend(new);
            }
            true
        })
    }

    /// Keeps the addresses of the servers that a referral names, as far as its sender may speak for
    /// them; the rest is not believed.
    fn keep_glue(&self, asked: Asked<'_>, response: &Message, meaning: &Meaning) {
        let answered: Vec<RData>;
        let servers = match meaning {
            Meaning::Referral { servers, .. } => servers,
            Meaning::Answer { records, .. } if asked.rtype == RecordType::NS => {
                answered = records.iter().map(|r| r.data.clone()).collect();
                &answered
            }
            _ => return,
        };
        let named =
            |r: &Record| servers.iter().any(|s| matches!(s, RData::NS(ns) if ns.0 == r.name));
        let now = self.process.now();
        let mut sets: BTreeMap<(Name, u16), (u32, Vec<RData>)> = BTreeMap::new();
        for record in &response.additionals {
            if !matches!(record.data, RData::A(_) | RData::AAAA(_)) {
                continue;
            }
            if !asked.in_bailiwick(record) || !named(record) {
                self.count(|c| c.rejected += 1);
                note_step(&self.process, "rejected", asked.name, asked.rtype, || {
                    let (owner, zone) = (text::name(&record.name), text::name(asked.zone));
                    format!("a server of {zone} may not say where {owner} is")
                });
                continue;
            }
            let key = (record.name.clone(), record.record_type().into());
            let set = sets.entry(key).or_insert((record.ttl, Vec::new()));
            set.0 = set.0.min(record.ttl);
            set.1.push(record.data.clone());
        }
        let mut cache = self.cache.borrow_mut();
        for ((owner, rtype), (ttl, data)) in sets {
            cache.put_records(now, &owner, RecordType::from(rtype), ttl, data, Trust::Glue);
        }
    }

    /// What is known of the way to a name: the nearest zone and its servers' records, for clients
    /// that do not want recursion.
    pub(super) fn best_referral(
        &self,
        name: &Name,
        rtype: RecordType,
    ) -> (Vec<Record>, Vec<Record>) {
        let (now, mut at) = (self.process.now(), name.clone());
        let mut cache = self.cache.borrow_mut();
        if rtype == RecordType::DS && !at.is_root() {
            at = at.base_name();
        }
        let servers = loop {
            if let Some(found) = cache.records(now, &at, RecordType::NS, Trust::Referral) {
                break found;
            }
            if at.is_root() {
                return self.root_hints();
            }
            at = at.base_name();
        };
        let mut glue = Vec::new();
        for record in &servers {
            if let RData::NS(server) = &record.data {
                glue.extend(
                    cache.records(now, &server.0, RecordType::A, Trust::Glue).into_iter().flatten(),
                );
            }
        }
        (servers, glue)
    }
}

/// A future that borrows and stays on its thread.
type LocalBoxFutureOf<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + 'a>>;
