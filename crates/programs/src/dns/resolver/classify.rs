//! What a server's response means to somebody who asked for one name at a zone's servers, and which
//! of its records may be believed: those at or below the zone that the server was asked as a server
//! of (bailiwick).

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::dns::text;

/// How many aliases of one response are followed.
const ALIASES_MAX: usize = 16;

/// What a response means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// Records, perhaps behind aliases.
    Answer {
        /// The aliases and then the records, as they lead from the name that was asked for.
        records: Vec<Record>,
        end: End,
    },
    /// Ask others: the servers of a zone further down.
    Referral { zone: Name, ttl: u32, servers: Vec<RData> },
    /// The server is no authority for the zone, or says nothing useful; why.
    Lame(String),
}

/// What stands at the end of the aliases.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// The records that were asked for.
    Records,
    /// An alias that leads on to this name.
    Alias(Name),
    /// No such records; the zone's SOA record, if it came along.
    NoData(Option<Record>),
    /// No such name.
    NxDomain(Option<Record>),
}

/// Who was asked what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) name: &'a Name,
    pub(super) rtype: RecordType,
    /// The zone as whose server it was asked.
    pub(super) zone: &'a Name,
    /// It is a resolver that we forward to: it need not be an authority.
    pub(super) forward: bool,
}

impl Asked<'_> {
    /// Whether a record may be believed.
    pub(super) fn in_bailiwick(&self, record: &Record) -> bool {
        record.dns_class == DNSClass::IN && self.zone.zone_of(&record.name)
    }
}

/// Says what a response means.
pub(super) fn meaning(asked: Asked<'_>, response: &Message) -> Meaning {
    let code = response.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Meaning::Lame(format!("it answered {}", text::rcode(code)));
    }
    let (records, at) = follow(asked, response);
    let found = records.last().is_some_and(|r| r.record_type() == asked.rtype)
        || (asked.rtype == RecordType::ANY && !records.is_empty());
    let authority = response.metadata.authoritative || asked.forward;
    if !records.is_empty() && !authority {
        return Meaning::Lame("it answered without being an authority (no AA)".to_owned());
    }
    if found {
        return Meaning::Answer { records, end: End::Records };
    }
    let soa = soa(asked, response, &at);
    if code == ResponseCode::NXDomain {
        return Meaning::Answer { records, end: End::NxDomain(soa) };
    }
    if soa.is_some() {
        return Meaning::Answer { records, end: End::NoData(soa) };
    }
    if !records.is_empty() {
        return Meaning::Answer { records, end: End::Alias(at) };
    }
    match referral(asked, response) {
        Some(meaning) => meaning,
        None if authority => Meaning::Answer { records, end: End::NoData(None) },
        None => Meaning::Lame("it is no authority and names none".to_owned()),
    }
}

/// The records of the answer section that lead from the name that was asked for, and where they end.
fn follow(asked: Asked<'_>, response: &Message) -> (Vec<Record>, Name) {
    let (mut records, mut at) = (Vec::new(), asked.name.clone());
    for _ in 0..ALIASES_MAX {
        let here: Vec<&Record> =
            response.answers.iter().filter(|r| r.name == at && asked.in_bailiwick(r)).collect();
        let wanted =
            |r: &&&Record| asked.rtype == RecordType::ANY || r.record_type() == asked.rtype;
        let found: Vec<&&Record> = here.iter().filter(wanted).collect();
        if !found.is_empty() {
            records.extend(found.into_iter().map(|&r| r.clone()));
            break;
        }
        let alias = here.iter().find_map(|r| match &r.data {
            RData::CNAME(target) => Some(((*r).clone(), target.0.clone())),
            _ => None,
        });
        let Some((record, target)) = alias else { break };
        let seen = records.iter().any(|r: &Record| r.name == target);
        records.push(record);
        at = target;
        if seen {
            break;
        }
    }
    (records, at)
}

/// The SOA record that says for how long something is not there: of a zone that the name is in.
fn soa(asked: Asked<'_>, response: &Message, at: &Name) -> Option<Record> {
    let fits = |r: &&Record| {
        matches!(r.data, RData::SOA(_)) && asked.in_bailiwick(r) && r.name.zone_of(at)
    };
    response.authorities.iter().find(fits).cloned()
}

/// A referral must lead further down, towards the name (RFC 1034 §5.3.3 step 4b).
fn referral(asked: Asked<'_>, response: &Message) -> Option<Meaning> {
    let servers: Vec<&Record> =
        response.authorities.iter().filter(|r| r.record_type() == RecordType::NS).collect();
    let zone = &servers.first()?.name;
    let further = asked.zone.zone_of(zone) && zone != asked.zone && zone.zone_of(asked.name);
    if response.metadata.authoritative && !further {
        return None;
    }
    if !further {
        let (to, zone) = (text::name(zone), text::name(asked.zone));
        return Some(Meaning::Lame(format!("it refers to {to}, which is not below {zone}")));
    }
    let of_zone = servers.iter().filter(|r| r.name == *zone && r.dns_class == DNSClass::IN);
    let ttl = of_zone.clone().map(|r| r.ttl).min().unwrap_or(0);
    let servers = of_zone.map(|r| r.data.clone()).collect();
    Some(Meaning::Referral { zone: zone.clone(), ttl, servers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message;
    use crate::dns::zone::parse;

    fn name(text: &str) -> Name {
        text::parse_name(text, &Name::root()).unwrap()
    }

    fn records(text: &str) -> Vec<Record> {
        let text = format!("$TTL 300\n{text}\n");
        let parsed = parse::parse("t", &text, &Name::root(), &|_| Err(String::new())).unwrap();
        parsed.into_iter().map(|p| p.record).collect()
    }

    /// A server of `lab.` is asked for the A records of `www.shop.lab.`.
    fn check(flags: &str, answer: &str, authority: &str, expect: &str) {
        let (asked_for, zone) = (name("www.shop.lab."), name("lab."));
        let asked = Asked { name: &asked_for, rtype: RecordType::A, zone: &zone, forward: false };
        let mut response = message::query(1, asked_for.clone(), RecordType::A);
        response.metadata.authoritative = flags.contains("aa");
        if flags.contains("nx") {
            response.metadata.response_code = ResponseCode::NXDomain;
        }
        if flags.contains("refused") {
            response.metadata.response_code = ResponseCode::Refused;
        }
        response.answers = records(answer);
        response.authorities = records(authority);
        let got = match meaning(asked, &response) {
            Meaning::Answer { records, end } => {
                let end = match end {
                    End::Records => "records".to_owned(),
                    End::Alias(to) => format!("on to {}", text::name(&to)),
                    End::NoData(soa) => format!("nodata {}", soa.is_some()),
                    End::NxDomain(soa) => format!("nxdomain {}", soa.is_some()),
                };
                format!("{} {end}", records.len())
            }
            Meaning::Referral { zone, ttl, servers } => {
                format!("see {} {ttl} {}", text::name(&zone), servers.len())
            }
            Meaning::Lame(why) => format!("lame: {why}"),
        };
        assert_eq!(got, expect, "{flags} {answer} / {authority}");
    }

    #[test]
    fn responses_have_a_meaning() {
        let soa = "lab. SOA a. b. 1 2 3 4 5";
        check("aa", "www.shop.lab. A 10.0.0.1\nwww.shop.lab. A 10.0.0.2", "", "2 records");
        check("aa", "WWW.shop.lab. CNAME shop.lab.\nshop.lab. A 10.0.0.1", "", "2 records");
        check("aa", "www.shop.lab. CNAME shop.lab.", "", "1 on to shop.lab.");
        check("aa", "www.shop.lab. CNAME shop.lab.", soa, "1 nodata true");
        check("aa nx", "", soa, "0 nxdomain true");
        check("aa nx", "", "", "0 nxdomain false");
        check("aa", "", soa, "0 nodata true");
        check("aa", "", "", "0 nodata false");
        check("", "", "shop.lab. NS ns.shop.lab.\nshop.lab. 60 NS b.", "see shop.lab. 60 2");
    }

    #[test]
    fn what_is_not_in_the_servers_bailiwick_is_not_believed() {
        // The records behind an alias that leaves the zone are somebody else's.
        check(
            "aa",
            "www.shop.lab. CNAME bank.example.\nbank.example. A 6.6.6.6",
            "",
            "1 on to bank.example.",
        );
        // A SOA of a zone that the name is not in says nothing about it.
        check("aa nx", "", "example. SOA a. b. 1 2 3 4 5", "0 nxdomain false");
        // Other names' records do not answer.
        check("aa", "www.bank.lab. A 6.6.6.6", "", "0 nodata false");
    }

    #[test]
    fn lame_servers() {
        check(
            "",
            "www.shop.lab. A 10.0.0.1",
            "",
            "lame: it answered without being an authority (no AA)",
        );
        check("", "", ". NS a.root.", "lame: it refers to ., which is not below lab.");
        check("", "", "lab. NS a.", "lame: it refers to lab., which is not below lab.");
        check("", "", "bank.lab. NS a.", "lame: it refers to bank.lab., which is not below lab.");
        check("", "", "", "lame: it is no authority and names none");
        check("refused", "", "", "lame: it answered REFUSED");
    }

    #[test]
    fn loops_of_aliases_end() {
        check(
            "aa",
            "www.shop.lab. CNAME a.lab.\na.lab. CNAME www.shop.lab.",
            "",
            "2 on to www.shop.lab.",
        );
    }
}
