//! The cache of a resolver: sets of records and what is not there, each until its time to live is
//! over (RFC 1034 §3.6, RFC 2181 §5.4.1, RFC 2308).
//!
//! Bounded in bytes: the entry that was used longest ago makes room. A set is not replaced by one
//! from a less trustworthy place while it is alive.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hickory_proto::rr::{Name, RData, Record, RecordType};
use netarium_base::{Duration, Instant};

use super::iterate::Trouble;
use crate::dns::text;

/// What an entry costs besides its records' bytes.
const OVERHEAD: usize = 160;
/// The longest time something is believed that says it is not there, seconds (unbound's
/// `cache-max-negative-ttl`).
const NEGATIVE_MAX: u32 = 3_600;
/// How long a failure is remembered, seconds (RFC 2308 §7.1; unbound's NORR_TTL).
const FAILURE_TTL: u32 = 5;

/// Where a set comes from, the least trustworthy first (RFC 2181 §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// The additional section of a referral.
    Glue,
    /// The authority section of a referral.
    Referral,
    /// The answer section of an authoritative answer.
    Answer,
}

/// What is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    /// These records.
    Records(Vec<RData>),
    /// The name has no records of the type; the zone's SOA record.
    NoData(Record),
    /// There is no such name.
    NxDomain(Record),
    /// Nobody could be asked, a moment ago: why.
    Failure(Trouble),
}

#[derive(Clone, Debug)]
struct Entry {
    fact: Fact,
    trust: Trust,
    expires: Instant,
    /// Its place in the order of use.
    used: u64,
    cost: usize,
}

/// A name and a type; type 0 stands for the name itself.
type Key = (Name, u16);

/// A key that says something about a name whatever the type.
const WHOLE_NAME: u16 = 0;

/// What the cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) expired: u64,
    pub(super) evicted: u64,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    entries: BTreeMap<Key, Entry>,
    /// By time of use, the longest ago first.
    order: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
    limits: Limits,
    pub(super) counters: Counters,
}

/// The limits of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of all entries.
    pub(super) bytes: usize,
    /// The shortest and the longest time to live, seconds.
    pub(super) ttl: (u32, u32),
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 4 << 20, ttl: (0, 86_400) }
    }
}

impl Cache {
    pub(super) fn new(limits: Limits) -> Cache {
        Cache {
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            limits,
            counters: Counters::default(),
        }
    }

    /// How many entries there are, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    /// A set of at least this trust, with the seconds it has left.
    pub(super) fn records(
        &mut self,
        now: Instant,
        name: &Name,
        rtype: RecordType,
        trust: Trust,
    ) -> Option<Vec<Record>> {
        let (fact, ttl) = self.look(now, (name.clone(), rtype.into()), trust)?;
        match fact {
            Fact::Records(all) => {
                let record = |data| Record::from_rdata(name.clone(), ttl, data);
                Some(all.into_iter().map(record).collect())
            }
            _ => None,
        }
    }

    /// What is known about a question: its records, that there are none, or a failure. Records carry
    /// the time they have left.
    pub(super) fn fact(
        &mut self,
        now: Instant,
        name: &Name,
        rtype: RecordType,
    ) -> Option<(Fact, u32)> {
        let found = self
            .look(now, (name.clone(), rtype.into()), Trust::Answer)
            .or_else(|| self.look(now, (name.clone(), WHOLE_NAME), Trust::Answer));
        match found {
            Some(_) => self.counters.hits += 1,
            None => self.counters.misses += 1,
        }
        found
    }

    fn look(&mut self, now: Instant, key: Key, trust: Trust) -> Option<(Fact, u32)> {
        let entry = self.entries.get_mut(&key)?;
        if entry.expires <= now {
            self.counters.expired += 1;
            self.remove(&key);
            return None;
        }
        if entry.trust < trust {
            return None;
        }
        // Seconds are rounded up: what lives is not yet 0.
        let left = (entry.expires.since(now).as_nanos()).div_ceil(1_000_000_000) as u32;
        let fact = entry.fact.clone();
        self.clock += 1;
        self.order.remove(&entry.used);
        entry.used = self.clock;
        self.order.insert(self.clock, key);
        Some((fact, left))
    }

    /// Remembers a set.
    pub(super) fn put_records(
        &mut self,
        now: Instant,
        name: &Name,
        rtype: RecordType,
        ttl: u32,
        data: Vec<RData>,
        trust: Trust,
    ) {
        let ttl = self.clamp(ttl);
        self.put(now, (name.clone(), rtype.into()), Fact::Records(data), ttl, trust);
    }

    /// The time to live that is believed, seconds.
    pub(super) fn clamp(&self, ttl: u32) -> u32 {
        // RFC 2181 §8: with the highest bit set it is 0.
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        ttl.clamp(self.limits.ttl.0, self.limits.ttl.1)
    }

    /// Remembers that something is not there, as long as its SOA record says.
    pub(super) fn put_negative(
        &mut self,
        now: Instant,
        name: &Name,
        rtype: Option<RecordType>,
        soa: &Record,
    ) {
        let RData::SOA(data) = &soa.data else { return };
        let ttl = self.clamp(soa.ttl.min(data.minimum)).min(NEGATIVE_MAX);
        let fact =
            if rtype.is_some() { Fact::NoData(soa.clone()) } else { Fact::NxDomain(soa.clone()) };
        let key = (name.clone(), rtype.map_or(WHOLE_NAME, u16::from));
        self.put(now, key, fact, ttl, Trust::Answer);
    }

    /// Remembers a failure for a moment.
    pub(super) fn put_failure(
        &mut self,
        now: Instant,
        name: &Name,
        rtype: RecordType,
        why: &Trouble,
    ) {
        let key = (name.clone(), rtype.into());
        if self.entries.get(&key).is_none_or(|e| e.expires <= now) {
            self.put(now, key, Fact::Failure(why.clone()), FAILURE_TTL, Trust::Answer);
        }
    }

    fn put(&mut self, now: Instant, key: Key, fact: Fact, ttl: u32, trust: Trust) {
        let stays = |old: &Entry| old.expires > now && old.trust > trust;
        if ttl == 0 || self.entries.get(&key).is_some_and(stays) {
            return;
        }
        self.remove(&key);
        let bytes = match &fact {
            Fact::Records(all) => all.iter().map(|d| text::rdata_bytes(d).len() + 32).sum(),
            Fact::NoData(_) | Fact::NxDomain(_) => 128,
            Fact::Failure(why) => why.text.len(),
        };
        let cost = bytes + OVERHEAD + 2 * key.0.len();
        self.clock += 1;
        let expires = now + Duration::from_secs(u64::from(ttl));
        self.order.insert(self.clock, key.clone());
        self.entries.insert(key, Entry { fact, trust, expires, used: self.clock, cost });
        self.bytes += cost;
        while self.bytes > self.limits.bytes {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.forget(&oldest);
            self.counters.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(used) = self.forget(key) {
            self.order.remove(&used);
        }
    }

    fn forget(&mut self, key: &Key) -> Option<u64> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.cost;
        Some(entry.used)
    }

    /// Forgets what fits; says how many entries that were.
    pub(super) fn flush(&mut self, mut fits: impl FnMut(&Name, u16) -> bool) -> usize {
        let gone: Vec<Key> = self.entries.keys().filter(|k| fits(&k.0, k.1)).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
        gone.len()
    }

    /// All that is alive, as `unbound-control dump_cache` writes it: sets first, then what is not
    /// there.
    pub(super) fn dump(&self, now: Instant) -> String {
        let (mut sets, mut messages) = (String::new(), String::new());
        for ((name, rtype), entry) in self.entries.iter().filter(|(_, e)| e.expires > now) {
            let left = entry.expires.since(now).as_nanos() / 1_000_000_000;
            let (owner, kind) = (text::name(name), text::rtype(RecordType::from(*rtype)));
            let _ = match &entry.fact {
                Fact::Records(all) => {
                    let trust = entry.trust as u8;
                    let _ = writeln!(sets, ";rrset {left} {} 0 {trust} 0", all.len());
                    all.iter().try_for_each(|data| {
                        writeln!(sets, "{owner}\t{left}\tIN\t{kind}\t{}", text::rdata(data))
                    })
                }
                Fact::NoData(_) => writeln!(messages, "msg {owner} IN {kind} NOERROR {left}"),
                Fact::NxDomain(_) => writeln!(messages, "msg {owner} IN ANY NXDOMAIN {left}"),
                Fact::Failure(why) => {
                    writeln!(messages, "msg {owner} IN {kind} SERVFAIL {left} ; {}", why.text)
                }
            };
        }
        format!(
            "START_RRSET_CACHE\n{sets}END_RRSET_CACHE\nSTART_MSG_CACHE\n{messages}END_MSG_CACHE\nEOF\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::{A, SOA};

    fn name(text: &str) -> Name {
        text::parse_name(text, &Name::root()).unwrap()
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn address(last: u8) -> RData {
        RData::A(A::new(10, 0, 0, last))
    }

    fn put(cache: &mut Cache, now: u64, of: &str, last: u8, ttl: u32, trust: Trust) {
        cache.put_records(at(now), &name(of), RecordType::A, ttl, vec![address(last)], trust);
    }

    fn get(cache: &mut Cache, now: u64, of: &str) -> Option<(String, u32)> {
        match cache.fact(at(now), &name(of), RecordType::A)? {
            (Fact::Records(all), ttl) => Some((text::rdata(&all[0]), ttl)),
            (other, ttl) => Some((format!("{other:?}")[..6].to_owned(), ttl)),
        }
    }

    #[test]
    fn records_live_as_long_as_they_say() {
        let mut cache = Cache::new(Limits::default());
        put(&mut cache, 10, "a.lab.", 1, 300, Trust::Answer);
        assert_eq!(get(&mut cache, 10, "A.LAB."), Some(("10.0.0.1".into(), 300)));
        assert_eq!(get(&mut cache, 309, "a.lab."), Some(("10.0.0.1".into(), 1)));
        assert_eq!(get(&mut cache, 310, "a.lab."), None);
        assert_eq!(cache.size(), (0, 0));
        put(&mut cache, 10, "long.lab.", 1, 1_000_000, Trust::Answer);
        assert_eq!(get(&mut cache, 10, "long.lab.").unwrap().1, 86_400);
        put(&mut cache, 10, "odd.lab.", 1, u32::MAX, Trust::Answer);
        assert_eq!(get(&mut cache, 10, "odd.lab."), None, "RFC 2181 §8");
        let Counters { hits, misses, expired, evicted } = cache.counters;
        assert_eq!((hits, misses, expired, evicted), (3, 2, 1, 0));
    }

    #[test]
    fn trust_decides_what_stays() {
        let mut cache = Cache::new(Limits::default());
        put(&mut cache, 0, "ns.lab.", 1, 100, Trust::Glue);
        assert_eq!(get(&mut cache, 1, "ns.lab."), None, "glue is no answer");
        let glue = cache.records(at(1), &name("ns.lab."), RecordType::A, Trust::Glue);
        assert_eq!(glue.unwrap()[0].ttl, 99);
        put(&mut cache, 1, "ns.lab.", 2, 50, Trust::Answer);
        put(&mut cache, 2, "ns.lab.", 3, 100, Trust::Glue);
        assert_eq!(get(&mut cache, 3, "ns.lab."), Some(("10.0.0.2".into(), 48)));
        // What is over defends nothing.
        put(&mut cache, 60, "ns.lab.", 4, 100, Trust::Glue);
        assert!(cache.records(at(61), &name("ns.lab."), RecordType::A, Trust::Glue).is_some());
    }

    #[test]
    fn what_is_not_there_is_remembered_by_its_soa() {
        let mut cache = Cache::new(Limits::default());
        let soa = SOA::new(name("ns.lab."), name("x.lab."), 1, 2, 3, 4, 60);
        let soa = Record::from_rdata(name("lab."), 300, RData::SOA(soa));
        cache.put_negative(at(0), &name("no.lab."), None, &soa);
        cache.put_negative(at(0), &name("a.lab."), Some(RecordType::A), &soa);
        assert_eq!(get(&mut cache, 59, "no.lab."), Some(("NxDoma".into(), 1)));
        assert_eq!(get(&mut cache, 59, "a.lab."), Some(("NoData".into(), 1)));
        assert!(cache.fact(at(1), &name("a.lab."), RecordType::MX).is_none());
        assert_eq!(get(&mut cache, 60, "no.lab."), None);
        cache.put_failure(
            at(0),
            &name("bad.lab."),
            RecordType::A,
            &Trouble::unreachable("no server"),
        );
        assert_eq!(get(&mut cache, 4, "bad.lab."), Some(("Failur".into(), 1)));
        assert_eq!(get(&mut cache, 5, "bad.lab."), None);
    }

    #[test]
    fn the_oldest_make_room() {
        let mut cache = Cache::new(Limits { bytes: 1_000, ..Limits::default() });
        for n in 0..4 {
            put(&mut cache, 0, &format!("h{n}.lab."), n, 300, Trust::Answer);
        }
        assert!(get(&mut cache, 1, "h0.lab.").is_some(), "used last");
        for n in 4..6 {
            put(&mut cache, 0, &format!("h{n}.lab."), n, 300, Trust::Answer);
        }
        let left: Vec<u8> =
            (0..6).filter(|n| get(&mut cache, 1, &format!("h{n}.lab.")).is_some()).collect();
        assert_eq!(left, [0, 3, 4, 5]);
        assert!(cache.size().1 <= 1_000);
        assert_eq!(cache.counters.evicted, 2);
        assert_eq!(cache.flush(|name, _| *name != self::name("h5.lab.")), 3);
        assert_eq!(
            cache.dump(at(1)),
            "START_RRSET_CACHE\n;rrset 299 1 0 2 0\nh5.lab.\t299\tIN\tA\t10.0.0.5\nEND_RRSET_CACHE\nSTART_MSG_CACHE\nEND_MSG_CACHE\nEOF\n"
        );
    }
}
