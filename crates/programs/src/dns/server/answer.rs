//! What an authoritative server says to a query: bytes in, bytes out (RFC 1034 §4.3.2, RFC 2308, RFC
//! 6891, RFC 8482).

use std::collections::BTreeMap;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::dns::message::{self, EDNS_SIZE, Head, PLAIN_MAX, TCP_MAX};
use crate::dns::zone::{Found, RrSet, Zone};

/// How many aliases are followed inside our zones.
const ALIASES_MAX: usize = 16;
/// The time to live of the answer to ANY, seconds (RFC 8482 §4.2).
const ANY_TTL: u32 = 3_789;

/// The zones of a server. One whose file is broken is there, but has no answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zones {
    zones: BTreeMap<Name, Option<Zone>>,
    /// Answers hold what was asked for and nothing else.
    pub(crate) minimal: bool,
    /// The longest answer over UDP, bytes.
    pub(crate) edns_size: u16,
}

impl Zones {
    pub(crate) fn new(minimal: bool) -> Zones {
        Zones { zones: BTreeMap::new(), minimal, edns_size: EDNS_SIZE }
    }

    /// Adds or replaces a zone; `None` for one that could not be read.
    pub(crate) fn insert(&mut self, apex: Name, zone: Option<Zone>) {
        self.zones.insert(apex, zone);
    }

    /// The zone of this name, if it could be read.
    pub(crate) fn get(&self, apex: &Name) -> Option<&Zone> {
        self.zones.get(apex)?.as_ref()
    }

    /// The zone that is nearest to a name. DS records are asked of the parent, when we have it (RFC
    /// 4035 §3.1.4.1).
    fn of(&self, name: &Name, rtype: RecordType) -> Option<&Option<Zone>> {
        let mut at = name.clone();
        let mut own = None;
        loop {
            if let Some(zone) = self.zones.get(&at) {
                if rtype != RecordType::DS || at != *name {
                    return Some(zone);
                }
                own = Some(zone);
            }
            if at.is_root() {
                return own;
            }
            at = at.base_name();
        }
    }
}

/// An answer, and what is to be told about it.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) response: Message,
}

/// Answers a query; `None` when silence is the answer: for responses (two servers would else talk
/// for ever) and for what has no header.
pub(crate) fn respond(zones: &Zones, request: &[u8], tcp: bool) -> Option<Answered> {
    let head = Head::of(request)?;
    if head.response {
        return None;
    }
    let (mut response, limit, glue) = match read(head, request) {
        Ok(query) => {
            let limit = limit(zones, &query, tcp);
            let (response, glue) = answer(zones, &query, tcp);
            (response, limit, glue)
        }
        Err(response) => (response, PLAIN_MAX, false),
    };
    let bytes = message::encode(&mut response, limit, glue);
    Some(Answered { bytes, response })
}

/// How long the answer may be.
fn limit(zones: &Zones, query: &Message, tcp: bool) -> usize {
    match &query.edns {
        _ if tcp => TCP_MAX,
        None => PLAIN_MAX,
        Some(edns) => usize::from(edns.max_payload().min(zones.edns_size)).max(PLAIN_MAX),
    }
}

/// The query in a request, or the error that it gets.
pub(crate) fn read(head: Head, request: &[u8]) -> Result<Message, Message> {
    if head.opcode != u8::from(OpCode::Query) {
        return Err(head.error(ResponseCode::NotImp));
    }
    let query = message::decode(request).ok_or_else(|| head.error(ResponseCode::FormErr))?;
    let transfer = |q: &Query| q.query_type() == RecordType::IXFR;
    let sane = query.queries.len() == 1
        && query.answers.is_empty()
        && (query.authorities.is_empty() || query.queries.iter().all(transfer));
    if !sane {
        return Err(head.error(ResponseCode::FormErr));
    }
    if query.edns.as_ref().is_some_and(|e| e.version() > 0) {
        let mut response = begin(&query, EDNS_SIZE);
        response.metadata.response_code = ResponseCode::BADVERS;
        return Err(response);
    }
    Ok(query)
}

/// An empty response to a query.
pub(crate) fn begin(query: &Message, edns_size: u16) -> Message {
    let mut response =
        Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.add_queries(query.queries.iter().cloned());
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(edns_size);
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        response.set_edns(edns);
    }
    response
}

/// The response to a query that is in order, and whether its additional section is needed.
fn answer(zones: &Zones, query: &Message, tcp: bool) -> (Message, bool) {
    let mut response = begin(query, zones.edns_size);
    let question = &query.queries[0];
    let transfer = matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR);
    let class = matches!(question.query_class(), DNSClass::IN | DNSClass::ANY);
    if transfer || !class {
        // RFC 5936 §4.2: zones are not transferred over UDP at all.
        let code = if transfer && !tcp { ResponseCode::NotImp } else { ResponseCode::Refused };
        response.metadata.response_code = code;
        return (response, false);
    }
    let mut work = Work { zones, rtype: question.query_type(), response, glue: false };
    work.answer(question.name().clone());
    if question.query_class() == DNSClass::ANY {
        // RFC 1034 §3.7.1: nobody is an authority for all classes.
        work.response.metadata.authoritative = false;
        work.response.authorities.clear();
        work.response.additionals.clear();
    }
    (work.response, work.glue)
}

struct Work<'a> {
    zones: &'a Zones,
    rtype: RecordType,
    response: Message,
    glue: bool,
}

impl<'a> Work<'a> {
    fn answer(&mut self, asked: Name) {
        let mut name = asked;
        for step in 0..ALIASES_MAX {
            let zone = match self.zones.of(&name, self.rtype) {
                Some(Some(zone)) => zone,
                // Aliases may lead out of what we know: the resolver goes on.
                _ if step > 0 => return,
                Some(None) => return self.code(ResponseCode::ServFail),
                None => return self.code(ResponseCode::Refused),
            };
            match zone.find(&name, self.rtype) {
                Found::Alias(set) => {
                    self.response.metadata.authoritative = true;
                    self.response.add_answers(set.records(&name));
                    match set.data.first() {
                        Some(RData::CNAME(target)) => name = target.0.clone(),
                        _ => return,
                    }
                    if self.response.answers.iter().any(|r| r.name == name) {
                        return; // a loop of aliases
                    }
                }
                found => return self.end(zone, &name, found, step == 0),
            }
        }
    }

    fn code(&mut self, code: ResponseCode) {
        self.response.metadata.response_code = code;
    }

    /// What stands at the end of the aliases; `first`: there were none.
    fn end(&mut self, zone: &'a Zone, name: &Name, found: Found<'a>, first: bool) {
        self.response.metadata.authoritative |= !matches!(found, Found::Referral { .. }) || !first;
        match found {
            Found::Records(set) => self.records(zone, name, set),
            Found::Node(_) => {
                // RFC 8482 §4.2: one small record instead of everything.
                let hinfo = HINFO::new("RFC8482".to_owned(), String::new());
                let record = Record::from_rdata(name.clone(), ANY_TTL, RData::HINFO(hinfo));
                self.response.add_answer(record);
            }
            Found::Referral { cut, servers } => {
                self.response.add_authorities(servers.records(&cut));
                self.additional(Some(zone), servers);
                self.glue = true;
            }
            Found::NoData | Found::NxDomain => {
                if found == Found::NxDomain {
                    self.code(ResponseCode::NXDomain);
                }
                self.response.add_authorities(zone.negative_soa());
            }
            Found::Alias(_) => {}
        }
    }

    fn records(&mut self, zone: &'a Zone, name: &Name, set: &'a RrSet) {
        self.response.add_answers(set.records(name));
        if self.zones.minimal {
            return;
        }
        let servers = zone.set(zone.apex(), RecordType::NS);
        let own = self.rtype == RecordType::NS && name == zone.apex();
        if let Some(servers) = servers.filter(|_| !own) {
            self.response.add_authorities(servers.records(zone.apex()));
        }
        self.additional(None, set);
        if let Some(servers) = servers.filter(|_| !own) {
            self.additional(None, servers);
        }
    }

    /// The addresses of the names in these records, as far as we have them (RFC 1035 §3.3). Glue is
    /// taken from the zone that delegates, even where it is no authority.
    fn additional(&mut self, delegating: Option<&'a Zone>, set: &'a RrSet) {
        for data in &set.data {
            let target = match data {
                RData::NS(ns) => &ns.0,
                RData::MX(mx) => &mx.exchange,
                RData::SRV(srv) => &srv.target,
                _ => continue,
            };
            for rtype in [RecordType::A, RecordType::AAAA] {
                let zone = delegating.filter(|z| z.apex().zone_of(target));
                let zone = zone.or_else(|| self.zones.of(target, rtype)?.as_ref());
                let Some(set) = zone.and_then(|z| z.set(target, rtype)) else { continue };
                for record in set.records(target) {
                    let there = |section: &[Record]| section.contains(&record);
                    if !there(&self.response.answers) && !there(&self.response.additionals) {
                        self.response.add_additional(record);
                    }
                }
            }
        }
    }
}
